#include "chq/import.h"
#include "support/test.h"

/* What the sink was told, as text. */
static char seen[4096];

static void
note_value(cityhall_value_t value)
{
    size_t used = strlen(seen);
    char *to = seen + used;
    size_t room = sizeof seen - used;
    if (value.type == CITYHALL_INT)
        snprintf(to, room, "%lldi", (long long)value.as.i64);
    else if (value.type == CITYHALL_FLOAT)
        snprintf(to, room, "%g", value.as.f64);
    else if (value.type == CITYHALL_BOOL)
        snprintf(to, room, "%s", value.as.boolean ? "true" : "false");
    else
        snprintf(to, room, "'%.*s'", (int)value.as.string.size, value.as.string.data);
}

static bool
note_point(void *context, const char *key, int64_t time, cityhall_value_t value)
{
    (void)context;
    size_t used = strlen(seen);
    snprintf(seen + used, sizeof seen - used, "%s@%lld=", key, (long long)time);
    note_value(value);
    strcat(seen, ";");
    return true;
}

static bool
note_row(void *context, const char *name, const cityhall_label_t *labels,
         size_t label_count, int64_t time, const char *const *fields,
         const cityhall_value_t *values, size_t field_count)
{
    (void)context;
    size_t used = strlen(seen);
    snprintf(seen + used, sizeof seen - used, "%s[", name);
    for (size_t i = 0; i < label_count; i++) {
        used = strlen(seen);
        snprintf(seen + used, sizeof seen - used, "%s=%s|", labels[i].name,
                 labels[i].value);
    }
    used = strlen(seen);
    snprintf(seen + used, sizeof seen - used, "]@%lld", (long long)time);
    for (size_t i = 0; i < field_count; i++) {
        used = strlen(seen);
        snprintf(seen + used, sizeof seen - used, " %s:", fields[i]);
        note_value(values[i]);
    }
    strcat(seen, ";");
    return true;
}

typedef bool (*parse_fn)(chq_import_t *import, char *line, char *error,
                         size_t error_size);

/* The error, or what was seen. */
static const char *
parse(parse_fn function, chq_import_t *import, const char *text)
{
    static char error[160];
    char line[512];
    snprintf(line, sizeof line, "%s", text);
    seen[0] = error[0] = '\0';
    assert_true(function(import, line, error, sizeof error));
    return *error ? error : seen;
}

static chq_import_t
new_import(const char *key)
{
    return (chq_import_t){.path = "test",
                          .key = key,
                          .precision_ns = 1,
                          .sink = {NULL, note_point, note_row}};
}

static void
begin_csv(chq_import_t *import, const char *const *lines)
{
    char line[256], error[160];
    snprintf(line, sizeof line, "%s", lines[0]);
    assert_true(chq_csv_header(import, line, error, sizeof error));
    for (int i = 1; lines[i]; i++) {
        snprintf(line, sizeof line, "%s", lines[i]);
        chq_csv_scan(import, line);
    }
}

static void
test_csv_types_are_those_of_the_column(void **state)
{
    (void)state;
    chq_import_t import = new_import("k");
    const char *const ints[] = {"timestamp,value", "1,5", "2,6", NULL};
    begin_csv(&import, ints);
    assert_string_equal(parse(chq_import_csv_line, &import, ints[1]), "k@1000000000=5i;");
    const char *const floats[] = {"timestamp,value", "1,5", "2,6.5", NULL};
    begin_csv(&import, floats);
    assert_string_equal(parse(chq_import_csv_line, &import, floats[1]),
                        "k@1000000000=5;");
    const char *const wide[] = {"time,a,\"b{h=\"\"c,d\"\"}\"", "1,5,x",
                                "2,,\"say \"\"hi\"\"\"", NULL};
    begin_csv(&import, wide);
    assert_string_equal(parse(chq_import_csv_line, &import, wide[1]),
                        "k_a@1000000000=5i;k_b{h=\"c,d\"}@1000000000='x';");
    assert_string_equal(parse(chq_import_csv_line, &import, wide[2]),
                        "k_b{h=\"c,d\"}@2000000000='say \"hi\"';");
    assert_string_equal(parse(chq_import_csv_line, &import, "soon,1,2"),
                        "\"soon\" is no time");
    assert_string_equal(parse(chq_import_csv_line, &import, "1,2"),
                        "2 columns, the header has 3");
    assert_string_equal(parse(chq_import_csv_line, &import, "1,2,3,4"),
                        "3 and more columns, the header has 3");
    chq_csv_release();
}

/* Spaces around numbers do not make strings of them; quoted ones are part of the cell. */
static void
test_csv_spaces_do_not_count(void **state)
{
    (void)state;
    chq_import_t import = new_import("k");
    const char *const lines[] = {"time , value", "1, 5", " 2\t,6 ", NULL};
    begin_csv(&import, lines);
    assert_string_equal(parse(chq_import_csv_line, &import, lines[1]),
                        "k@1000000000=5i;");
    assert_string_equal(parse(chq_import_csv_line, &import, lines[2]),
                        "k@2000000000=6i;");
    assert_string_equal(parse(chq_import_csv_line, &import, "3,\" 7 \""),
                        "k@3000000000=' 7 ';");
    chq_csv_release();
}

static void
test_csv_time_may_stand_anywhere(void **state)
{
    (void)state;
    chq_import_t import = new_import(NULL);
    const char *const lines[] = {"a,Timestamp,b", "5,1,2.5", NULL};
    begin_csv(&import, lines);
    assert_string_equal(parse(chq_import_csv_line, &import, lines[1]),
                        "a@1000000000=5i;b@1000000000=2.5;");
    chq_csv_release();
}

static void
test_csv_header_faults(void **state)
{
    (void)state;
    static const struct {
        const char *line, *said;
    } bad[] = {{"time,a,a", "both named"},   {"time,a=b,c", "no series key"},
               {"time,,c", "no series key"}, {"time;a;b", "commas"},
               {"time\ta", "commas"},        {"1,2,3", "name the columns"},
               {"", "name the columns"}};
    chq_import_t import = new_import(NULL);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char line[64], error[160];
        snprintf(line, sizeof line, "%s", bad[i].line);
        assert_false(chq_csv_header(&import, line, error, sizeof error));
        assert_non_null(strstr(error, bad[i].said));
    }
    import.key_single = "file";
    char line[] = "time,", error[160];
    assert_true(chq_csv_header(&import, line, error, sizeof error));
    chq_csv_release();
}

static void
test_csv_without_header_is_refused(void **state)
{
    (void)state;
    chq_import_t import = new_import("k");
    char line[] = "2020-01-01 00:00:00,5", error[160];
    assert_false(chq_csv_header(&import, line, error, sizeof error));
    assert_non_null(strstr(error, "name the columns"));
    chq_csv_release();
}

static void
test_line_protocol(void **state)
{
    (void)state;
    chq_import_t import = new_import(NULL);
    assert_string_equal(
        parse(chq_import_influx_line, &import,
              "cpu,host=a\\ b,dc=x\\,y user=1i,sys=2.5,up=t,msg=\"q \\\" , = \\\\\" 7"),
        "cpu[host=a b|dc=x,y|]@7 user:1i sys:2.5 up:true msg:'q \" , = \\';");
    assert_string_equal(parse(chq_import_influx_line, &import, "# a comment"), "");
    assert_string_equal(parse(chq_import_influx_line, &import, "m\\ n f=3u 1"),
                        "m n[]@1 f:3i;");
    assert_string_equal(parse(chq_import_influx_line, &import, " m f=1 1 "),
                        "m[]@1 f:1;");
    static const char *const bad[] = {
        "cpu",          "cpu f",      "cpu,host f=1",
        "cpu f=\"open", "cpu f=1x 3", "cpu f=1 soon",
        ",a=b f=1",     "cpu f=1i,g", "cpu f=99999999999999999999i 1"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_true(parse(chq_import_influx_line, &import, bad[i]) != seen);
}

static void
test_ndjson(void **state)
{
    (void)state;
    chq_import_t import = new_import(NULL);
    assert_string_equal(parse(chq_import_json_line, &import,
                              "{\"key\":\"a{x=\\\"1\\\"}\",\"time\":1,\"value\":2.0}"),
                        "a{x=\"1\"}@1000000000=2;");
    assert_string_equal(
        parse(chq_import_json_line, &import,
              "{\"name\":\"cpu\",\"labels\":{\"h\":\"a\"},\"time\":\"1970-01-01\","
              "\"fields\":{\"u\":1,\"up\":true}}"),
        "cpu[h=a|]@0 u:1i up:true;");
    static const char *const bad[] = {"{", "[]", "{\"key\":\"a\",\"value\":null}",
                                      "{\"key\":\"a\",\"time\":\"x\",\"value\":1}",
                                      "{\"name\":\"a\"}"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_true(parse(chq_import_json_line, &import, bad[i]) != seen);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_csv_types_are_those_of_the_column),
        cmocka_unit_test(test_csv_without_header_is_refused),
        cmocka_unit_test(test_csv_spaces_do_not_count),
        cmocka_unit_test(test_csv_time_may_stand_anywhere),
        cmocka_unit_test(test_csv_header_faults),
        cmocka_unit_test(test_line_protocol),
        cmocka_unit_test(test_ndjson),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
