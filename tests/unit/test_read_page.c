/* Pages of raw points: complete, ordered, bounded, and stable while series come and go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "ch/alloc.h"
#include "ch/query.h"
#include "ch/rng.h"
#include "ch/series_key.h"
#include "support/array_source.h"

static ch_selector_t *
selector_of(const char *label, ch_match_kind_t kind, const char *value)
{
    ch_matcher_t matcher = {
        .kind = kind, .label = ch_bytes_text(label), .value = ch_bytes_text(value)};
    ch_selector_t *selector = NULL;
    assert_int_equal(ch_selector_new(&matcher, 1, &selector), CH_OK);
    return selector;
}

static ch_read_params_t
everything(void)
{
    return (ch_read_params_t){.start = CH_TIME_MIN,
                              .end = CH_TIME_MAX,
                              .points_max = 1000000,
                              .bytes_max = 8 << 20,
                              .series_max = 10000};
}

/* What pages gave, as text: a line per point. */
typedef struct log_text {
    ch_text_t text;
    size_t pages, pages_largest;
} log_text_t;

static void
log_page(log_text_t *log, const ch_read_page_t *page)
{
    uint64_t points = 0;
    for (size_t i = 0; i < page->series.count; i++) {
        const ch_series_ref_t *series = &page->series.items[i];
        const ch_points_t *run = &page->points[i];
        assert_true(run->count > 0);
        for (size_t j = 0; j < run->count; j++) {
            char line[96];
            ch_value_t value = ch_points_value(run, j);
            ch_series_key_format(series->name, series->labels, &log->text);
            int size =
                value.type == CH_VALUE_STRING
                    ? snprintf(line, sizeof line, " %lld \"%zu\"\n",
                               (long long)run->times[j], value.string.size)
                    : snprintf(line, sizeof line, " %lld %a\n", (long long)run->times[j],
                               value.type == CH_VALUE_INT ? (double)value.i64
                                                          : value.f64);
            ch_text_append(&log->text, line, (size_t)size);
        }
        points += run->count;
    }
    assert_int_equal(points, page->point_count);
    log->pages++;
    if (points > log->pages_largest)
        log->pages_largest = points;
}

/* Follow cursors to the end; between pages `between` may change the source. */
static void
read_all(array_source_t *array, const ch_selector_t *selector, ch_read_params_t params,
         void (*between)(array_source_t *), log_text_t *log)
{
    uint8_t *cursor = NULL;
    bool more = true;
    while (more) {
        ch_source_t source = array_source_open(array);
        ch_read_page_t *page = NULL;
        ch_status_t status = ch_read_page(&source, selector, &params, &page);
        if (status != CH_OK)
            fail_msg("page %zu: %s", log->pages, ch_fail_text());
        log_page(log, page);
        more = page->more;
        assert_true(!more || page->point_count > 0);
        assert_true(more == (page->cursor != NULL));
        ch_free(cursor);
        params.cursor = ch_bytes(page->cursor, page->cursor_size);
        cursor = ch_take(&page->cursor);
        ch_read_page_destroy(&page);
        assert_true(log->pages < 100000);
        if (between)
            between(array);
    }
    ch_free(cursor);
}

static void
assert_same_text(const log_text_t *a, const log_text_t *b)
{
    assert_int_equal(a->text.size, b->text.size);
    assert_memory_equal(a->text.data, b->text.data, a->text.size);
}

static void
fill(array_source_t *array, ch_rng_t *rng, unsigned series, unsigned points)
{
    static const char text[300] = "text";
    for (unsigned i = 0; i < series; i++) {
        char key[64];
        snprintf(key, sizeof key, "m%u{host=\"h%u\"}", i % 7, i);
        int64_t time = -50;
        for (unsigned j = (unsigned)ch_rng_below(rng, points + 1); j > 0; j--) {
            time += 1 + (int64_t)ch_rng_below(rng, 100);
            uint64_t kind = i % 3 ? 0 : ch_rng_below(rng, 4);
            ch_value_t value =
                kind == 1   ? ch_value_int((int64_t)j)
                : kind == 2 ? ch_value_string(ch_bytes(text, ch_rng_below(rng, 300)))
                            : ch_value_float(j * 0.5);
            array_source_put(array, key, time, value);
        }
    }
}

static uint64_t
seed_of_test(void)
{
    const char *given = getenv("CH_TEST_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 0) : ch_rng_entropy();
    print_message("CH_TEST_SEED=%llu\n", (unsigned long long)seed);
    return seed;
}

static void
test_pages_of_any_size_give_the_same_points(void **state)
{
    (void)state;
    ch_rng_t rng;
    ch_rng_seed(&rng, seed_of_test());
    array_source_t array = {0};
    fill(&array, &rng, 40, 60);
    ch_selector_t *selector = selector_of("__name__", CH_MATCH_RE, ".+");
    log_text_t whole = {0};
    read_all(&array, selector, everything(), NULL, &whole);
    assert_int_equal(whole.pages, 1);
    assert_true(whole.text.size > 0);
    for (int round = 0; round < 40; round++) {
        log_text_t parts = {0};
        ch_read_params_t params = everything();
        params.points_max = ch_rng_below(&rng, round < 5 ? 3 : 200);
        params.bytes_max = ch_rng_below(&rng, round % 2 ? 2000 : 20000);
        read_all(&array, selector, params, NULL, &parts);
        assert_same_text(&whole, &parts);
        assert_true(parts.pages_largest <= (params.points_max ? params.points_max : 1));
        ch_text_release(&parts.text);
    }
    ch_text_release(&whole.text);
    ch_selector_destroy(&selector);
    array_source_release(&array);
}

static void
test_start_is_inside_and_end_is_outside(void **state)
{
    (void)state;
    array_source_t array = {0};
    for (int i = 0; i < 10; i++)
        array_source_put(&array, "a", i * 10, ch_value_int(i));
    ch_selector_t *selector = selector_of("__name__", CH_MATCH_EQ, "a");
    ch_read_params_t params = everything();
    params.start = 20;
    params.end = 50;
    params.points_max = 2;
    log_text_t log = {0};
    read_all(&array, selector, params, NULL, &log);
    ch_text_append(&log.text, "", 1);
    assert_string_equal(log.text.data, "a 20 0x1p+1\na 30 0x1.8p+1\na 40 0x1p+2\n");
    assert_int_equal(log.pages, 2);
    ch_text_release(&log.text);
    ch_selector_destroy(&selector);
    array_source_release(&array);
}

/* The last representable time has no time after it: the cursor must not wrap. */
static void
test_the_last_time_of_all_is_read_once(void **state)
{
    (void)state;
    array_source_t array = {0};
    array_source_put(&array, "a", INT64_MAX - 1, ch_value_int(1));
    array_source_put(&array, "a", INT64_MAX, ch_value_int(2));
    array_source_put(&array, "b", INT64_MIN, ch_value_int(3));
    ch_selector_t *selector = selector_of("__name__", CH_MATCH_RE, ".+");
    ch_read_params_t params = everything();
    params.points_max = 1;
    log_text_t log = {0};
    read_all(&array, selector, params, NULL, &log);
    ch_text_append(&log.text, "", 1);
    assert_string_equal(log.text.data,
                        "a 9223372036854775806 0x1p+0\na 9223372036854775807 "
                        "0x1p+1\nb -9223372036854775808 0x1.8p+1\n");
    ch_text_release(&log.text);
    ch_selector_destroy(&selector);
    array_source_release(&array);
}

/* New series before, between and after those that are read, one each page. */
static void
add_series(array_source_t *array)
{
    static unsigned number;
    char key[64];
    snprintf(key, sizeof key, "%c_new{n=\"%u\"}", "amz"[number % 3], number);
    array_source_put(array, key, 1, ch_value_int(1));
    number++;
}

static void
test_series_added_between_pages_move_nothing(void **state)
{
    (void)state;
    array_source_t array = {0};
    for (int i = 0; i < 30; i++) {
        char key[32];
        snprintf(key, sizeof key, "old{n=\"%02d\"}", i);
        for (int j = 0; j < 5; j++)
            array_source_put(&array, key, j, ch_value_int(i * 10 + j));
    }
    ch_selector_t *all = selector_of("__name__", CH_MATCH_RE, ".+");
    ch_selector_t *old = selector_of("__name__", CH_MATCH_EQ, "old");
    log_text_t before = {0}, paged = {0}, kept = {0};
    read_all(&array, old, everything(), NULL, &before);
    ch_read_params_t params = everything();
    params.points_max = 3;
    read_all(&array, all, params, add_series, &paged);
    ch_text_append(&paged.text, "", 1);
    for (char *rest = paged.text.data, *line; (line = strsep(&rest, "\n"));) {
        if (strncmp(line, "old{", 4) != 0)
            continue;
        ch_text_append(&kept.text, line, strlen(line));
        ch_text_append(&kept.text, "\n", 1);
    }
    assert_same_text(&before, &kept);
    ch_text_release(&before.text);
    ch_text_release(&paged.text);
    ch_text_release(&kept.text);
    ch_selector_destroy(&all);
    ch_selector_destroy(&old);
    array_source_release(&array);
}

static void
test_a_cursor_that_is_not_ours_is_refused(void **state)
{
    (void)state;
    array_source_t array = {0};
    for (int i = 0; i < 4; i++)
        array_source_put(&array, "name{label=\"value\"}", i, ch_value_int(i));
    ch_source_t source = array_source_open(&array);
    ch_selector_t *selector = selector_of("__name__", CH_MATCH_EQ, "name");
    ch_read_params_t params = everything();
    params.points_max = 2;
    ch_read_page_t *first = NULL, *page = NULL;
    assert_int_equal(ch_read_page(&source, selector, &params, &first), CH_OK);
    assert_true(first->more);
    for (size_t bit = 0; bit < first->cursor_size * 8; bit++) {
        first->cursor[bit / 8] ^= (uint8_t)(1u << bit % 8);
        params.cursor = ch_bytes(first->cursor, first->cursor_size);
        assert_int_equal(ch_read_page(&source, selector, &params, &page), CH_ERR_INVALID);
        first->cursor[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (size_t size = 1; size < first->cursor_size; size++) {
        params.cursor = ch_bytes(first->cursor, size);
        assert_int_equal(ch_read_page(&source, selector, &params, &page), CH_ERR_INVALID);
    }
    params.cursor = ch_bytes(first->cursor, first->cursor_size);
    assert_int_equal(ch_read_page(&source, selector, &params, &page), CH_OK);
    assert_int_equal(page->point_count, 2);
    assert_false(page->more);
    ch_read_page_destroy(&page);
    ch_read_page_destroy(&first);
    ch_selector_destroy(&selector);
    array_source_release(&array);
}

static int64_t
fixed_time(void *context)
{
    return *(const int64_t *)context;
}

static void
test_errors_and_limits_come_through(void **state)
{
    (void)state;
    array_source_t array = {0};
    for (int i = 0; i < 3; i++) {
        char key[16];
        snprintf(key, sizeof key, "a%d", i);
        array_source_put(&array, key, i, ch_value_int(i));
    }
    ch_source_t source = array_source_open(&array);
    ch_selector_t *selector = selector_of("__name__", CH_MATCH_RE, ".+");
    ch_read_page_t *page = NULL;
    ch_read_params_t params = everything();
    params.series_max = 2;
    assert_int_equal(ch_read_page(&source, selector, &params, &page), CH_ERR_LIMIT);
    params = everything();
    int64_t at = 1001;
    ch_clock_t clock = {
        .wall_ns = fixed_time, .monotonic_ns = fixed_time, .context = &at};
    params.clock = &clock;
    params.deadline_ns = 1000;
    assert_int_equal(ch_read_page(&source, selector, &params, &page), CH_ERR_TIMEOUT);
    at = 1000;
    array.fail_read = CH_ERR_CORRUPT;
    assert_int_equal(ch_read_page(&source, selector, &params, &page), CH_ERR_CORRUPT);
    array.fail_read = CH_OK;
    assert_int_equal(ch_read_page(&source, selector, &params, &page), CH_OK);
    assert_int_equal(page->point_count, 3);
    ch_read_page_destroy(&page);
    ch_selector_destroy(&selector);
    array_source_release(&array);
}

static void
test_large_strings_are_read_in_small_bites(void **state)
{
    (void)state;
    array_source_t array = {0};
    char *large = ch_calloc(1, 64 * 1024);
    for (int i = 0; i < 300; i++)
        array_source_put(&array, "log", i, ch_value_string(ch_bytes(large, 64 * 1024)));
    ch_selector_t *selector = selector_of("__name__", CH_MATCH_EQ, "log");
    ch_read_params_t params = everything();
    params.bytes_max = 1 << 20;
    ch_source_t source = array_source_open(&array);
    ch_read_page_t *page = NULL;
    assert_int_equal(ch_read_page(&source, selector, &params, &page), CH_OK);
    assert_int_equal(page->point_count,
                     15); /* 16 of 64 KiB and their times are over 1 MiB */
    assert_true(array.points_read <= 64);
    ch_read_page_destroy(&page);
    ch_selector_destroy(&selector);
    array_source_release(&array);
    ch_free(large);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pages_of_any_size_give_the_same_points),
        cmocka_unit_test(test_start_is_inside_and_end_is_outside),
        cmocka_unit_test(test_the_last_time_of_all_is_read_once),
        cmocka_unit_test(test_series_added_between_pages_move_nothing),
        cmocka_unit_test(test_a_cursor_that_is_not_ours_is_refused),
        cmocka_unit_test(test_errors_and_limits_come_through),
        cmocka_unit_test(test_large_strings_are_read_in_small_bites),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
