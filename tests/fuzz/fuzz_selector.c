/* fuzz_selector.c - any bytes as a selector, and what it accepts.
 *
 * Input    selector text, then, after the first NUL if there is one, a value to match.
 * Claims   no fault and no stall; a selector that parses can be built again from its matchers and
 *          gives the same answers; it refuses a series that has nothing it names.
 */
#include "ch/assert.h"
#include "ch/bytes.h"
#include "ch/selector.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
compare_answers(const ch_selector_t *parsed, const ch_selector_t *built, ch_bytes_t value)
{
    CH_ASSERT(parsed->count == built->count);
    for (uint32_t i = 0; i < parsed->count; i++) {
        int answer = ch_matcher_accepts(&parsed->matchers[i], value);
        CH_ASSERT(answer == 0 || answer == 1 || answer == CH_ERR_LIMIT);
        CH_ASSERT(answer == ch_matcher_accepts(&built->matchers[i], value));
    }
    ch_bytes_t none = ch_bytes("", 0);
    CH_ASSERT(ch_selector_accepts(parsed, none, none) != 1);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *end = size > 0 ? memchr(data, 0, size) : NULL;
    size_t text_size = end != NULL ? (size_t)(end - data) : size;
    ch_bytes_t value =
        end != NULL ? ch_bytes(end + 1, size - text_size - 1) : ch_bytes("aa", 2);
    ch_selector_t *parsed, *built;
    if (ch_selector_parse(ch_bytes(data, text_size), &parsed) < 0)
        return 0;
    CH_ASSERT(ch_selector_new(parsed->matchers, parsed->count, &built) == CH_OK);
    compare_answers(parsed, built, value);
    ch_selector_destroy(&built);
    ch_selector_destroy(&parsed);
    return 0;
}
