/* Columns written once must be readable for ever: tests/golden/column_v1.txt says which. */
#include "ch/alloc.h"
#include "ch/coding.h"
#include "column/float_column.h"
#include "column/int_column.h"
#include "support/test.h"

enum { BYTES_MAX = 2048, VALUES_MAX = 512, BLOCK_TIME_MIN = 1000 };

typedef struct buffer {
    uint8_t bytes[BYTES_MAX + CH_COLUMN_PAD];
    size_t size;
} buffer_t;

typedef struct fixture {
    ch_column_scratch_t *scratch;
    bool write;              /* the writer gives the same bytes ... */
    ch_column_level_t level; /* ... at this level */
} fixture_t;

static buffer_t
parse_hex(const char *text)
{
    buffer_t buffer = {.size = 0};
    assert_non_null(text);
    for (; text[0] && text[0] != '-'; text += 2) {
        unsigned byte;
        assert_int_equal(sscanf(text, "%2x", &byte), 1);
        assert_true(buffer.size < BYTES_MAX);
        buffer.bytes[buffer.size++] = (uint8_t)byte;
    }
    return buffer;
}

static ch_bytes_t
bytes_of(const buffer_t *buffer)
{
    return ch_bytes(buffer->bytes, buffer->size);
}

static void
expect_bytes(const uint8_t *bytes, size_t size, const buffer_t *expected)
{
    assert_int_equal(size, expected->size);
    assert_memory_equal(bytes, expected->bytes, size);
}

/* The words behind the colon as 64-bit numbers of a base. */
static size_t
parse_numbers(char **rest, int base, int64_t *numbers)
{
    size_t n = 0;
    for (char *word; (word = strtok_r(NULL, " \n", rest)); n++) {
        assert_true(n < VALUES_MAX);
        numbers[n] =
            base == 10 ? strtoll(word, NULL, 10) : (int64_t)strtoull(word, NULL, 16);
    }
    return n;
}

static void
check_int(fixture_t *f, char **rest)
{
    int64_t x[VALUES_MAX], out[VALUES_MAX + CH_POINTS_PAD];
    uint8_t written[8 * VALUES_MAX + 128];
    size_t used;
    buffer_t column = parse_hex(strtok_r(NULL, " ", rest));
    assert_string_equal(strtok_r(NULL, " ", rest), ":");
    size_t n = parse_numbers(rest, 10, x);
    assert_int_equal(ch_int_column_decode(f->scratch, bytes_of(&column), n, out, &used),
                     CH_OK);
    assert_int_equal(used, column.size);
    assert_memory_equal(out, x, n * sizeof *x);
    if (f->write)
        expect_bytes(written, ch_int_column_encode(f->scratch, f->level, x, n, written),
                     &column);
}

static void
check_float(fixture_t *f, char **rest)
{
    int64_t bits[VALUES_MAX];
    double out[VALUES_MAX + CH_POINTS_PAD];
    uint8_t written[16 * VALUES_MAX + 256];
    size_t used;
    buffer_t column = parse_hex(strtok_r(NULL, " ", rest));
    assert_string_equal(strtok_r(NULL, " ", rest), ":");
    size_t n = parse_numbers(rest, 16, bits);
    assert_int_equal(ch_float_column_decode(f->scratch, bytes_of(&column), n, out, &used),
                     CH_OK);
    assert_int_equal(used, column.size);
    assert_memory_equal(out, bits, n * sizeof *bits);
    const double *v = (const double *)(void *)bits;
    if (f->write)
        expect_bytes(written, ch_float_column_encode(f->scratch, f->level, v, n, written),
                     &column);
}

static ch_value_t
parse_value(const char *word, buffer_t *string)
{
    uint64_t bits = strtoull(word + 1, NULL, 16);
    switch (word[0]) {
    case 'i':
        return ch_value_int(strtoll(word + 1, NULL, 10));
    case 'f':
        return ch_value_float(ch_load_f64(&bits));
    case 'b':
        return ch_value_bool(word[1] == '1');
    default:
        assert_int_equal(word[0], 's');
        *string = parse_hex(word + 1);
        return ch_value_string(bytes_of(string));
    }
}

static void
parse_points(char **rest, ch_points_t *points)
{
    for (char *word; (word = strtok_r(NULL, " \n", rest));) {
        buffer_t string;
        int64_t time = strtoll(word, NULL, 10);
        word = strtok_r(NULL, " \n", rest);
        assert_non_null(word);
        ch_points_append(points, time, parse_value(word, &string));
    }
}

static void
expect_equal_points(const ch_points_t *a, const ch_points_t *b)
{
    assert_int_equal(a->count, b->count);
    for (size_t i = 0; i < a->count; i++) {
        assert_int_equal(a->times[i], b->times[i]);
        assert_true(ch_value_equal(ch_points_value(a, i), ch_points_value(b, i)));
    }
}

static void
expect_chunk_written(fixture_t *f, const ch_points_t *points, const buffer_t expected[3])
{
    ch_chunk_t chunk;
    uint8_t entry[160];
    size_t max = ch_chunk_bytes_max(points, 0, points->count);
    uint8_t *times = ch_alloc(max), *values = ch_alloc(max);
    ch_chunk_encode(f->scratch, f->level, points, 0, points->count, times, values,
                    &chunk);
    const uint8_t *end = ch_chunk_put(entry, &chunk, BLOCK_TIME_MIN, 0);
    expect_bytes(entry, (size_t)(end - entry), &expected[0]);
    expect_bytes(times, chunk.times_bytes, &expected[1]);
    expect_bytes(values, chunk.values_bytes, &expected[2]);
    ch_free(times);
    ch_free(values);
}

static void
check_chunk(fixture_t *f, char **rest)
{
    buffer_t parts[3]; /* entry, times, values */
    ch_points_t expected = {0}, points = {0};
    ch_chunk_t chunk;
    uint32_t ref;
    for (int i = 0; i < 3; i++)
        parts[i] = parse_hex(strtok_r(NULL, " ", rest));
    assert_string_equal(strtok_r(NULL, " ", rest), ":");
    parse_points(rest, &expected);
    const uint8_t *end = parts[0].bytes + parts[0].size;
    assert_ptr_equal(ch_chunk_get(parts[0].bytes, end, BLOCK_TIME_MIN, &chunk, &ref),
                     end);
    assert_int_equal(chunk.times_bytes, parts[1].size);
    assert_int_equal(chunk.values_bytes, parts[2].size);
    assert_int_equal(ch_chunk_decode(f->scratch, &chunk, bytes_of(&parts[1]),
                                     bytes_of(&parts[2]), &points),
                     CH_OK);
    expect_equal_points(&expected, &points);
    if (f->write)
        expect_chunk_written(f, &expected, parts);
    ch_points_release(&expected);
    ch_points_release(&points);
}

/* Returns the number of columns of the line, 0 or 1. */
static unsigned
check_line(fixture_t *f, char *line)
{
    char *rest;
    if (line[0] == '#' || line[0] == '\n')
        return 0;
    char *kind = strtok_r(line, " ", &rest), *suffix = strchr(kind, '-');
    f->write = !suffix || strcmp(suffix, "-read");
    f->level = suffix && !strcmp(suffix, "-dense") ? CH_COLUMN_DENSE : CH_COLUMN_FAST;
    if (suffix)
        *suffix = 0;
    if (!strcmp(kind, "int"))
        check_int(f, &rest);
    else if (!strcmp(kind, "float"))
        check_float(f, &rest);
    else if (!strcmp(kind, "chunk"))
        check_chunk(f, &rest);
    else
        fail_msg("unknown kind %s", kind);
    return 1;
}

static void
test_columns_of_version_1_are_read_and_written(void **state)
{
    (void)state;
    static char line[16384];
    unsigned count = 0;
    fixture_t f = {.scratch = ch_column_scratch_new()};
    FILE *file = fopen(CH_SOURCE_DIR "/tests/golden/column_v1.txt", "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file)) {
        if (line[0] == '#') /* what the next line is about, should it fail */
            fputs(line, stdout);
        count += check_line(&f, line);
    }
    fclose(file);
    ch_column_scratch_destroy(&f.scratch);
    assert_int_equal(count, 41);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_columns_of_version_1_are_read_and_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
