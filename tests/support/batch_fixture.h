/// A decoder of batches under test, fed with notation (tests/support/notation.h).
///
/// Use      cmocka_unit_test_setup_teardown(test, batch_set_up, batch_tear_down); then decode, and look at
///          what stands in `batch` or `reject`.
#ifndef CH_TEST_BATCH_FIXTURE_H
#define CH_TEST_BATCH_FIXTURE_H

#include "support/test.h"

#include "ch/batch_decoder.h"

enum { BATCH_NOW = 777 }; /* the node's clock */

extern ch_batch_decoder_t *decoder;
extern const ch_batch_t *batch; /* of the last decode */
extern ch_reject_t reject;

int batch_set_up(void **state);
int
batch_set_up_small(void **state); /* 10 points, 512 bytes, keys of 40 bytes, 3 labels */
int batch_tear_down(void **state);

ch_status_t decode_frame(ch_bytes_t frame);
ch_status_t decode(const char *text);

/// The points of `batch`, a line each: key time value.
void expect_points(const char *expected);

#define assert_decodes(text, expected)                                                   \
    do {                                                                                 \
        assert_int_equal(decode(text), CH_OK);                                           \
        expect_points(expected);                                                         \
    } while (0)

/// The batch is refused with this code, for this point.
void check_refused(const char *text, ch_status_t code, int64_t index, const char *file,
                   int line);

#define assert_bad(text, index)                                                          \
    check_refused(text, CH_ERR_INVALID, index, __FILE__, __LINE__)
#define assert_limit(text, index)                                                        \
    check_refused(text, CH_ERR_LIMIT, index, __FILE__, __LINE__)

#endif
