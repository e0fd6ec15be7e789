/* fuzz_key.c - any bytes as the text of a series key.
 *
 * Claims   No fault. What is taken is canonical: its labels stand in order, each once and none empty, and the whole
 *          key parses to itself, within the same limits. Labels taken apart and put together in any order give the
 *          same text. What is refused has a reason, and is refused with more room too unless it was too long.
 */
#include "ch/assert.h"
#include "ch/limits.h"
#include "ch/series_key.h"

enum { LABELS_MAX = 8, KEY_BYTES_MAX = 200, LABELS_HARD_MAX = 256 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Take the labels apart; they rise strictly by name. */
static uint32_t
take_apart(ch_bytes_t labels, ch_text_t *scratch, ch_label_t *out)
{
    uint32_t count = 0;
    size_t cursor = 0;
    ch_status_t status;
    /* Values are unescaped into scratch, which moves as it grows: room for all of them first. */
    for (size_t i = 0; i < labels.size + 1; i++)
        ch_text_append(scratch, "", 1);
    ch_text_reset(scratch);
    while ((status = ch_series_labels_next(labels, &cursor, scratch, &out[count])) ==
           CH_OK) {
        CH_ASSERT(ch_series_name_valid(out[count].name) && out[count].value.size > 0);
        CH_ASSERT(ch_bytes_is_utf8(out[count].value));
        CH_ASSERT(count == 0 ||
                  ch_bytes_compare(out[count - 1].name, out[count].name) < 0);
        count++;
        CH_ASSERT(count <= LABELS_MAX);
    }
    CH_ASSERT(status == CH_END);
    return count;
}

static void
check_put_together(ch_bytes_t labels)
{
    ch_text_t scratch = {0}, again = {0};
    ch_label_t apart[LABELS_MAX + 1];
    uint32_t count = take_apart(labels, &scratch, apart);
    for (uint32_t i = 0; i < count / 2; i++) { /* the other way round */
        ch_label_t other = apart[i];
        apart[i] = apart[count - 1 - i];
        apart[count - 1 - i] = other;
    }
    CH_ASSERT(ch_series_labels_format(apart, count, LABELS_MAX, &again) == CH_OK);
    CH_ASSERT(ch_bytes_equal(ch_text_bytes(&again), labels));
    ch_text_release(&scratch);
    ch_text_release(&again);
}

static void
check_canonical(ch_bytes_t name, ch_bytes_t labels)
{
    ch_text_t key = {0}, scratch = {0};
    ch_bytes_t name_again, labels_again;
    CH_ASSERT(ch_series_name_valid(name));
    CH_ASSERT(ch_series_key_size(name, labels) <= KEY_BYTES_MAX);
    ch_series_key_format(name, labels, &key);
    CH_ASSERT(ch_series_key_parse(ch_text_bytes(&key), LABELS_MAX, KEY_BYTES_MAX,
                                  &scratch, &name_again, &labels_again) == CH_OK);
    CH_ASSERT(ch_bytes_equal(name, name_again) && ch_bytes_equal(labels, labels_again));
    CH_ASSERT(scratch.size == 0); /* canonical text is taken as it stands */
    ch_text_release(&key);
    ch_text_release(&scratch);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ch_text_t scratch = {0}, roomy = {0};
    ch_bytes_t name, labels, name_roomy, labels_roomy, text = ch_bytes(data, size);
    ch_status_t status =
        ch_series_key_parse(text, LABELS_MAX, KEY_BYTES_MAX, &scratch, &name, &labels);
    ch_status_t with_room = ch_series_key_parse(text, LABELS_HARD_MAX, UINT32_MAX, &roomy,
                                                &name_roomy, &labels_roomy);
    CH_ASSERT(status == CH_OK || status == CH_ERR_INVALID || status == CH_ERR_LIMIT);
    CH_ASSERT(status == CH_OK || ch_fail_text()[0]);
    if (status == CH_OK) {
        CH_ASSERT(with_room == CH_OK && ch_bytes_equal(name, name_roomy));
        CH_ASSERT(ch_bytes_equal(labels, labels_roomy));
        check_canonical(name, labels);
        check_put_together(labels);
    } else if (status == CH_ERR_INVALID) {
        CH_ASSERT(with_room == CH_ERR_INVALID);
    }
    ch_text_release(&scratch);
    ch_text_release(&roomy);
    return 0;
}
