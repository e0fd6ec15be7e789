#include "ch/alloc.h"
#include "ch/rng.h"
#include "sst/bloom.h"
#include "support/test.h"

enum { KEYS = 20000 };

static uint64_t
hash_of(uint32_t i)
{
    char labels[32];
    int size = snprintf(labels, sizeof labels, "host=\"h%u\"", i);
    return ch_bloom_hash(ch_bytes_text("cpu"), ch_bytes(labels, (size_t)size));
}

static ch_bloom_t *
bloom_of_evens(void)
{
    ch_bloom_t *bloom = ch_bloom_new(KEYS, 10);
    for (uint32_t i = 0; i < 2 * KEYS; i += 2)
        ch_bloom_add(bloom, hash_of(i));
    return bloom;
}

/* Goal: a bloom filter never denies a key it holds. Method: add the evens, ask for each. */
static void
test_bloom_finds_every_key_added(void **state)
{
    (void)state;
    ch_bloom_t *bloom = bloom_of_evens();
    for (uint32_t i = 0; i < 2 * KEYS; i += 2)
        assert_true(ch_bloom_may_contain(bloom, hash_of(i)));
    ch_bloom_destroy(&bloom);
    assert_null(bloom);
}

/* Goal: 10 bits a key deny all but 2 % of the others (1 % is the ideal, lines cost some). Method:
 * ask for the odd ones; the hash is fixed, so is the figure. */
static void
test_bloom_denies_most_other_keys(void **state)
{
    (void)state;
    ch_bloom_t *bloom = bloom_of_evens();
    unsigned wrong = 0;
    for (uint32_t i = 1; i < 2 * KEYS; i += 2)
        wrong += ch_bloom_may_contain(bloom, hash_of(i));
    assert_in_range(wrong, 1, KEYS / 50);
    ch_bloom_destroy(&bloom);
}

/* Goal: a filter read back answers alike. Method: encode, decode, compare over evens and odds. */
static void
test_bloom_survives_its_image(void **state)
{
    (void)state;
    ch_bloom_t *bloom = bloom_of_evens(), *again = NULL;
    size_t size = ch_bloom_image_bytes(bloom);
    uint8_t *image = ch_alloc(size);
    ch_bloom_encode(bloom, image);
    assert_int_equal(ch_bloom_decode(ch_bytes(image, size), &again), CH_OK);
    for (uint32_t i = 0; i < 2 * KEYS; i++)
        assert_int_equal(ch_bloom_may_contain(bloom, hash_of(i)),
                         ch_bloom_may_contain(again, hash_of(i)));
    ch_bloom_destroy(&bloom);
    ch_bloom_destroy(&again);
    ch_free(image);
}

/* Goal: an image that makes no sense is refused. Method: each length, probe count and line count
 * that is wrong. */
static void
test_bloom_refuses_images_that_make_no_sense(void **state)
{
    (void)state;
    uint8_t image[8 + 64] = {6, 0, 0, 0, 1};
    ch_bloom_t *bloom = NULL;
    for (size_t size = 0; size < sizeof image; size++)
        assert_int_equal(ch_bloom_decode(ch_bytes(image, size), &bloom), CH_ERR_CORRUPT);
    image[0] = 0;
    assert_int_equal(ch_bloom_decode(ch_bytes(image, sizeof image), &bloom),
                     CH_ERR_CORRUPT);
    image[0] = 17;
    assert_int_equal(ch_bloom_decode(ch_bytes(image, sizeof image), &bloom),
                     CH_ERR_CORRUPT);
    image[0] = 6;
    image[4] = 2;
    assert_int_equal(ch_bloom_decode(ch_bytes(image, sizeof image), &bloom),
                     CH_ERR_CORRUPT);
    image[4] = 0;
    assert_int_equal(ch_bloom_decode(ch_bytes(image, sizeof image), &bloom),
                     CH_ERR_CORRUPT);
    assert_null(bloom);
    image[4] = 1;
    assert_int_equal(ch_bloom_decode(ch_bytes(image, sizeof image), &bloom), CH_OK);
    assert_false(ch_bloom_may_contain(bloom, hash_of(1)));
    ch_bloom_destroy(&bloom);
}

/* Goal: name and labels are told apart. Method: the same bytes cut elsewhere hash differently. */
static void
test_bloom_hash_knows_where_the_name_ends(void **state)
{
    (void)state;
    assert_true(ch_bloom_hash(ch_bytes_text("ab"), ch_bytes_text("c")) !=
                ch_bloom_hash(ch_bytes_text("a"), ch_bytes_text("bc")));
    ch_bloom_t *empty = ch_bloom_new(0, 10);
    assert_false(ch_bloom_may_contain(empty, hash_of(7)));
    ch_bloom_destroy(&empty);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bloom_finds_every_key_added),
        cmocka_unit_test(test_bloom_denies_most_other_keys),
        cmocka_unit_test(test_bloom_survives_its_image),
        cmocka_unit_test(test_bloom_refuses_images_that_make_no_sense),
        cmocka_unit_test(test_bloom_hash_knows_where_the_name_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
