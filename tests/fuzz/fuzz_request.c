/* fuzz_request.c - any bytes as a request of the query socket.
 *
 * Claims   No fault; the id to echo is one whole msgpack value; a request that decodes encodes to
 *          one that decodes to the same op and fields.
 */
#include "ch/assert.h"
#include "ch/cursor.h"
#include "ch/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_same(const ch_request_t *a, const ch_request_t *b)
{
    CH_ASSERT(a->op == b->op);
    CH_ASSERT(ch_bytes_equal(a->name, b->name) && ch_bytes_equal(a->labels, b->labels));
    CH_ASSERT(ch_bytes_equal(a->match, b->match) && ch_bytes_equal(a->query, b->query));
    CH_ASSERT(ch_bytes_equal(a->cursor, b->cursor) && ch_bytes_equal(a->label, b->label));
    CH_ASSERT(a->time == b->time && a->start == b->start && a->end == b->end);
    CH_ASSERT(a->step == b->step && a->limit == b->limit);
    CH_ASSERT(a->timeout_ms == b->timeout_ms && a->min_lsn == b->min_lsn &&
              a->term == b->term);
    CH_ASSERT(a->epoch == b->epoch && a->seq == b->seq && a->level == b->level);
    CH_ASSERT(strcmp(a->producer, b->producer) == 0 && a->wait_ms == b->wait_ms);
    CH_ASSERT(a->form_table == b->form_table && a->dry_run == b->dry_run);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ch_limits_t limits = ch_limits_default();
    ch_request_t request, again;
    ch_buffer_t out = {0};
    ch_request_init(&request);
    ch_request_init(&again);
    ch_status_t status = ch_request_decode(ch_bytes(data, size), &limits, &request);
    CH_ASSERT(status == CH_OK || status == CH_ERR_INVALID || status == CH_ERR_LIMIT);
    ch_cursor_t id = ch_cursor(request.id);
    CH_ASSERT(ch_cursor_skip(&id, NULL));
    CH_ASSERT(ch_cursor_done(&id));
    if (status == CH_OK && request.op != CH_OP_UNKNOWN) {
        ch_request_encode(&request, &out);
        CH_ASSERT(ch_request_decode(ch_buffer_bytes(&out), &limits, &again) == CH_OK);
        check_same(&request, &again);
        CH_ASSERT(ch_bytes_equal(request.id, again.id));
    }
    ch_buffer_release(&out);
    ch_request_release(&request);
    ch_request_release(&again);
    return 0;
}
