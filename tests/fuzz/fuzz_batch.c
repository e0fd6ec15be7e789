/* fuzz_batch.c - any bytes as a frame of the ingest socket.
 *
 * Claims   No fault. Where msgpack-c unpacks the frame as one map, a second reader written from the
 *          protocol agrees on acceptance and on every point; where it does not, neither do we. A
 *          refusal names a point of the batch or none. The scratch stays within its bound, and the
 *          same frame decodes the same after another one, and with a key more that nobody knows (which
 *          keeps the decoder from taking it in one pass).
 */
#include "ch/assert.h"
#include "ch/batch_decoder.h"

#include "support/reference_batch.h"

enum { NOW = 1234567, SCRATCH_BYTES_MAX = 64 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Small, so that inputs reach them. */
static ch_limits_t
small_limits(void)
{
    ch_limits_t limits = ch_limits_default();
    limits.batch_bytes = 64 * 1024;
    limits.batch_points = 50;
    limits.key_bytes = 100;
    limits.labels = 4;
    return limits;
}

static void
check_refusal(ch_status_t status, const ch_batch_t *batch, const ch_reject_t *reject,
              const ch_limits_t *limits)
{
    CH_ASSERT(status == CH_ERR_INVALID || status == CH_ERR_LIMIT);
    CH_ASSERT(reject->code == status);
    CH_ASSERT(reject->index >= -1 && reject->index <= (int64_t)limits->batch_points);
    CH_ASSERT(reject->message[0] != 0);
    CH_ASSERT(batch->points == 0 && batch->block_count == 0);
}

static void
check_points(const ch_batch_t *batch, const ch_buffer_t *expected)
{
    ch_buffer_t ours = {0};
    reference_print(batch, &ours);
    CH_ASSERT(ch_bytes_equal(ch_buffer_bytes(&ours), ch_buffer_bytes(expected)));
    ch_buffer_release(&ours);
}

/* The frame with one pair more at its end; false when it is no small map. */
static bool
add_unknown_key(ch_bytes_t frame, ch_buffer_t *out)
{
    if (frame.size == 0 || frame.data[0] < 0x80 || frame.data[0] >= 0x8f)
        return false;
    ch_buffer_append(out, frame.data, frame.size);
    ch_buffer_append(out, "\xa2zz\xc0", 4);
    out->data[0]++;
    return true;
}

/* What was decided about the frame is decided about it with an unknown key as well. */
static void
check_two_passes(ch_batch_decoder_t *decoder, ch_bytes_t frame, ch_status_t expected,
                 const ch_batch_t *batch)
{
    ch_buffer_t points = {0}, more = {0};
    ch_reject_t reject;
    if (expected == CH_OK)
        reference_print(batch, &points);
    if (add_unknown_key(frame, &more)) {
        ch_status_t status =
            ch_batch_decode(decoder, ch_buffer_bytes(&more), NOW, &batch, &reject);
        CH_ASSERT(status == expected);
        if (status == CH_OK)
            check_points(batch, &points);
    }
    ch_buffer_release(&points);
    ch_buffer_release(&more);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static ch_batch_decoder_t *decoder; /* kept: its scratch and key cache carry over */
    ch_limits_t limits = small_limits();
    const ch_batch_t *batch = NULL;
    ch_reject_t reject;
    ch_buffer_t expected = {0};
    if (!decoder)
        decoder = ch_batch_decoder_new(&limits);
    ch_bytes_t frame = ch_bytes(data, size);
    reference_t reference = reference_batch(frame, &limits, NOW, &expected);
    ch_status_t status = ch_batch_decode(decoder, frame, NOW, &batch, &reject);
    if (status == CH_OK) {
        CH_ASSERT(reference == REFERENCE_OK || reference == REFERENCE_NOT_ASKED);
        if (reference == REFERENCE_OK)
            check_points(batch, &expected);
        CH_ASSERT(ch_batch_decode(decoder, frame, NOW, &batch, &reject) == CH_OK);
        if (reference == REFERENCE_OK)
            check_points(batch, &expected);
        if (size + 4 <= limits.batch_bytes)
            check_two_passes(decoder, frame, status, batch);
    } else if (status == CH_ERR_CORRUPT) {
        CH_ASSERT(reference == REFERENCE_UNREADABLE || reference == REFERENCE_NOT_ASKED ||
                  size > 2 * limits.batch_bytes);
    } else {
        CH_ASSERT(reference != REFERENCE_OK);
        check_refusal(status, batch, &reject, &limits);
    }
    CH_ASSERT(ch_batch_decoder_bytes(decoder) < SCRATCH_BYTES_MAX);
    ch_buffer_release(&expected);
    return 0;
}
