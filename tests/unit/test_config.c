/* Goal: configuration is read from every source in the documented order, and every slip is an error
 * that names its place. The table's defaults are checked against the engine's and wire's. */
#include "support/test.h"

#include <unistd.h>
#include "ch/log.h"
#include "config.h"
#include "ch/suggest.h"

static char path[64];

static const char *
file_with(const char *text)
{
    snprintf(path, sizeof path, "/tmp/test_config.XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    return path;
}

static ch_status_t
load(ch_config_t *config, const char *text)
{
    ch_config_init(config);
    ch_status_t status = ch_config_load_file(config, file_with(text));
    unlink(path);
    return status;
}

static void
assert_refused(const char *text, const char *said)
{
    ch_config_t config;
    assert_int_equal(load(&config, text), CH_ERR_INVALID);
    if (!strstr(ch_fail_text(), said))
        fail_msg("expected \"%s\" in \"%s\"", said, ch_fail_text());
    ch_config_release(&config);
}

static void
test_defaults_are_those_of_the_limits(void **state)
{
    (void)state;
    ch_config_t config;
    ch_config_init(&config);
    ch_limits_t ours = ch_config_limits(&config), theirs = ch_limits_default();
    assert_int_equal(ours.batch_bytes, theirs.batch_bytes);
    assert_int_equal(ours.batch_points, theirs.batch_points);
    assert_int_equal(ours.key_bytes, theirs.key_bytes);
    assert_int_equal(ours.labels, theirs.labels);
    assert_int_equal(ours.request_bytes, theirs.request_bytes);
    assert_int_equal(ours.reply_bytes, theirs.reply_bytes);
    assert_int_equal(ours.series, theirs.series);
    assert_int_equal(ours.producers, theirs.producers);
    assert_int_equal(ours.query_samples, theirs.query_samples);
    assert_int_equal(ours.query_timeout_ms, theirs.query_timeout_ms);
    assert_string_equal(config.listen_ingest, "tcp://127.0.0.1:7878");
    assert_string_equal(config.listen_query, "tcp://127.0.0.1:7879");
    assert_int_equal(ch_config_check(&config), CH_OK);
    ch_config_release(&config);
}

static void
test_a_file_sets_values_with_units_and_comments(void **state)
{
    (void)state;
    ch_config_t config;
    assert_int_equal(load(&config,
                          "# a comment\n"
                          "[node]\n"
                          "  name = records-1 ; indented, with a comment behind\n"
                          "[wal]\n"
                          "sync = interval:100ms\n"
                          "segment_bytes=4MiB\n"
                          "segment_max_age = 5m\n"
                          "[engine]\n"
                          "memtable_bytes = 8388608\n"
                          "[log]\n"
                          "level = debug"),
                     CH_OK);
    assert_string_equal(config.node_name, "records-1");
    assert_int_equal(config.wal_sync_interval_ms, 100);
    assert_int_equal(config.wal_segment_bytes, 4 << 20);
    assert_int_equal(config.wal_segment_max_age_ms, 300000);
    assert_int_equal(config.engine_memtable_bytes, 8 << 20);
    assert_int_equal(config.log_level, CH_LOG_DEBUG);
    ch_config_release(&config);
}

static void
test_slips_in_a_file_name_the_line_and_the_nearest_key(void **state)
{
    (void)state;
    assert_refused("[listen]\n\ningset = tcp://127.0.0.1:1\n", ":3: unknown key");
    assert_refused("[listen]\n\ningset = tcp://127.0.0.1:1\n",
                   "did you mean listen.ingest?");
    assert_refused("[quux]\nfrobnicate = 1\n", "--help lists them all");
    assert_refused("[wal]\nsegment_bytes = 64MB\n",
                   ":2: wal.segment_bytes: \"64MB\" is not a size");
    assert_refused("[wal]\nsegment_bytes = 1KiB\n",
                   "out of range, which is 1MiB to 1GiB");
    assert_refused("[wal]\nsegment_max_age = 100\n", "is not a duration");
    assert_refused("[wal]\nsync = interval:0ms\n", "is not `group`");
    assert_refused("[query]\nworkers = -1\n", "is not a whole number");
    assert_refused("[query]\nworkers = 99999999999999999999999\n",
                   "is not a whole number");
    assert_refused("[engine]\nmemory_limit = 99999999999999GiB\n", "is not a size");
    assert_refused("[security]\ninsecure = yes\n", "is not true or false");
    assert_refused("[listen]\ningest =\n", "the value is empty");
    assert_refused("[listen]\ningest = 127.0.0.1:7878\n", "is not tcp://host:port");
    assert_refused("[listen]\nquery = tcp://127.0.0.1:70000\n", "is not tcp://host:port");
    assert_refused("[node]\nname = a b\n", "is not 1 to 64 bytes");
    assert_refused("[query]\nworkers = 1\nworkers = 2\n",
                   ":3: query.workers is set already in line 2");
    assert_refused("[query]\nworkers\n", ":2: neither [section] nor key = value");
    assert_refused("[node]\n [query\nworkers = 1\n", ":2: the section has no ]");
    assert_refused("workers = 1\n[query]\n",
                   ":1: workers stands above the first [section]");
    char line[400];
    memset(line, 'x', sizeof line);
    memcpy(line, "[node]\ndata = ", 14);
    line[sizeof line - 1] = '\0';
    assert_refused(line, ":2: the line is longer than 190 bytes");
}

static void
test_a_missing_file_is_an_error(void **state)
{
    (void)state;
    ch_config_t config;
    ch_config_init(&config);
    assert_int_equal(ch_config_load_file(&config, "/nonexistent/cityhall.ini"),
                     CH_ERR_IO);
    assert_non_null(strstr(ch_fail_text(), "/nonexistent/cityhall.ini"));
    ch_config_release(&config);
}

static void
test_environment_then_set_replace_the_file(void **state)
{
    (void)state;
    ch_config_t config;
    assert_int_equal(load(&config, "[query]\nworkers = 3\n[node]\nname = file\n"), CH_OK);
    char *environment[] = {"CITYHALL_QUERY_WORKERS=4",
                           "CITYHALL_LISTEN_INGEST=ipc:///tmp/x", "HOME=/root",
                           "CITYHALL_SERVICE_HOST=10.0.0.1", NULL};
    assert_int_equal(ch_config_load_environment(&config, environment), CH_OK);
    assert_int_equal(config.query_workers, 4);
    assert_string_equal(config.listen_ingest, "ipc:///tmp/x");
    assert_int_equal(ch_config_set_pair(&config, "query.workers=5"), CH_OK);
    assert_int_equal(config.query_workers, 5);
    assert_string_equal(config.node_name, "file");
    ch_config_release(&config);
}

static void
test_slips_in_environment_and_set_are_refused(void **state)
{
    (void)state;
    ch_config_t config;
    ch_config_init(&config);
    char *near[] = {"CITYHALL_LISTEN_INGST=x", NULL};
    assert_int_equal(ch_config_load_environment(&config, near), CH_ERR_INVALID);
    assert_non_null(strstr(ch_fail_text(), "did you mean CITYHALL_LISTEN_INGEST?"));
    char *section[] = {"CITYHALL_LIMITS_ELEPHANTS_PER_CHANDELIER=x", NULL};
    assert_int_equal(ch_config_load_environment(&config, section), CH_ERR_INVALID);
    char *value[] = {"CITYHALL_QUERY_WORKERS=many", NULL};
    assert_int_equal(ch_config_load_environment(&config, value), CH_ERR_INVALID);
    assert_non_null(strstr(ch_fail_text(), "CITYHALL_QUERY_WORKERS"));
    assert_int_equal(ch_config_set_pair(&config, "query.workers"), CH_ERR_INVALID);
    assert_int_equal(ch_config_set_pair(&config, "node.data=/a\nb"), CH_ERR_INVALID);
    assert_int_equal(ch_config_set_pair(&config, "node.data= /a"), CH_ERR_INVALID);
    assert_int_equal(ch_config_set_pair(&config, "node.data=/a ;b"), CH_ERR_INVALID);
    assert_int_equal(ch_config_set_pair(&config, "node.data=;b"), CH_ERR_INVALID);
    assert_int_equal(ch_config_set_pair(&config, "node.data=/a;b"), CH_OK);
    assert_int_equal(ch_config_set_pair(&config, "query.wrokers=2"), CH_ERR_INVALID);
    assert_non_null(strstr(ch_fail_text(), "did you mean query.workers?"));
    ch_config_release(&config);
}

static void
test_only_loopback_is_taken_unless_insecure(void **state)
{
    (void)state;
    assert_true(ch_config_is_loopback("tcp://127.0.0.1:*"));
    assert_true(ch_config_is_loopback("tcp://127.9.9.9:1"));
    assert_true(ch_config_is_loopback("tcp://[::1]:7878"));
    assert_true(ch_config_is_loopback("tcp://localhost:7878"));
    assert_true(ch_config_is_loopback("ipc:///run/cityhall"));
    assert_false(ch_config_is_loopback("tcp://*:7878"));
    assert_false(ch_config_is_loopback("tcp://0.0.0.0:7878"));
    assert_false(ch_config_is_loopback("tcp://127.example.org:7878"));
    assert_false(ch_config_is_loopback("tcp://eth0:7878"));
    assert_false(ch_config_is_loopback("tcp://[::]:7878"));
    ch_config_t config;
    ch_config_init(&config);
    assert_int_equal(ch_config_set_pair(&config, "listen.query=tcp://0.0.0.0:7879"),
                     CH_OK);
    assert_int_equal(ch_config_check(&config), CH_ERR_INVALID);
    assert_non_null(
        strstr(ch_fail_text(), "--set: listen.query: tcp://0.0.0.0:7879 can"));
    assert_non_null(strstr(ch_fail_text(), "security.insecure=true"));
    assert_int_equal(ch_config_set_pair(&config, "security.insecure=true"), CH_OK);
    assert_int_equal(ch_config_check(&config), CH_OK);
    ch_config_release(&config);
}

static void
test_keys_that_contradict_each_other_are_refused(void **state)
{
    (void)state;
    ch_config_t config;
    ch_config_init(&config);
    assert_int_equal(ch_config_set_pair(&config, "listen.query=tcp://127.0.0.1:7878"),
                     CH_OK);
    assert_int_equal(ch_config_check(&config), CH_ERR_INVALID);
    assert_int_equal(ch_config_set_pair(&config, "listen.query=tcp://127.0.0.1:*"),
                     CH_OK);
    assert_int_equal(ch_config_set_pair(&config, "listen.ingest=tcp://127.0.0.1:*"),
                     CH_OK);
    assert_int_equal(ch_config_check(&config), CH_OK);
    assert_int_equal(ch_config_set_pair(&config, "engine.memtable_bytes=1GiB"), CH_OK);
    assert_int_equal(ch_config_check(&config), CH_ERR_INVALID);
    assert_non_null(strstr(ch_fail_text(), "engine.memory_limit=1GiB (default)"));
    assert_non_null(
        strstr(ch_fail_text(), "at least 2796MiB for engine.memtable_bytes=1GiB"));
    ch_config_release(&config);
}

static void
print_to(const ch_config_t *config, ch_config_form_t form, char **text_out)
{
    size_t size;
    FILE *memory = open_memstream(text_out, &size);
    ch_config_print(config, form, memory);
    fclose(memory);
}

static void
test_what_is_printed_reads_back_the_same(void **state)
{
    (void)state;
    ch_config_t config, again;
    ch_config_init(&config);
    assert_int_equal(ch_config_set_pair(&config, "wal.sync=interval:1500ms"), CH_OK);
    assert_int_equal(ch_config_set_pair(&config, "wal.segment_bytes=3145729"), CH_OK);
    assert_int_equal(ch_config_set_pair(&config, "log.level=warn"), CH_OK);
    char *text, *second;
    print_to(&config, CH_CONFIG_PRINT_INI, &text);
    assert_int_equal(load(&again, text), CH_OK);
    for (size_t i = 0; i < CH_CONFIG_KEYS_MAX; i++)
        memcpy(again.origins[i], config.origins[i], sizeof again.origins[i]);
    print_to(&again, CH_CONFIG_PRINT_INI, &second);
    assert_string_equal(text, second);
    assert_int_equal(again.wal_sync_interval_ms, 1500);
    assert_int_equal(again.wal_segment_bytes, 3145729);
    free(text);
    free(second);
    ch_config_release(&config);
    ch_config_release(&again);
}

static void
test_the_reference_page_is_up_to_date(void **state)
{
    (void)state;
    ch_config_t config;
    ch_config_init(&config);
    char *text;
    print_to(&config, CH_CONFIG_PRINT_MARKDOWN, &text);
    FILE *page = fopen(CH_SOURCE_DIR "/docs/configuration.md", "r");
    assert_non_null(page);
    static char stored[64 * 1024];
    stored[fread(stored, 1, sizeof stored - 1, page)] = '\0';
    fclose(page);
    assert_string_equal(text, stored);
    free(text);
    ch_config_release(&config);
}

static void
test_retention_rules_are_checked(void **state)
{
    (void)state;
    ch_config_t config;
    size_t size;
    uint64_t age_ms;
    ch_config_init(&config);
    assert_int_equal(ch_config_set_pair(&config, "retention.age=30d"), CH_OK);
    assert_int_equal(config.retention_age_ms, UINT64_C(30) * 24 * 3600 * 1000);
    assert_int_equal(
        ch_config_set_pair(&config, "retention.rule_1={team=\"a:b\",x=~\"y|z\"}:90d"),
        CH_OK);
    assert_int_equal(ch_config_rule_parse(config.retention_rules[0], &size, &age_ms),
                     CH_OK);
    assert_int_equal(size, strlen("{team=\"a:b\",x=~\"y|z\"}"));
    assert_int_equal(age_ms, UINT64_C(90) * 24 * 3600 * 1000);
    assert_int_equal(ch_config_set_pair(&config, "retention.rule_2=cpu:0s"), CH_OK);
    static const char *const wrong[] = {
        "cpu", "cpu:", ":7d", "cpu:7", "{{:7d", "{a=~\".*\"}:7d", "cpu:7w", "cpu:99999d"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char pair[80];
        snprintf(pair, sizeof pair, "retention.rule_3=%s", wrong[i]);
        assert_int_equal(ch_config_set_pair(&config, pair), CH_ERR_INVALID);
        assert_non_null(strstr(ch_fail_text(), "retention.rule_3"));
    }
    ch_config_release(&config);
}

static void
test_edit_distance_counts_edits(void **state)
{
    (void)state;
    assert_int_equal(ch_suggest_distance("", "abc"), 3);
    assert_int_equal(ch_suggest_distance("kitten", "sitting"), 3);
    assert_int_equal(ch_suggest_distance("ingest", "ingset"), 1);
    assert_int_equal(ch_suggest_distance("same", "same"), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults_are_those_of_the_limits),
        cmocka_unit_test(test_a_file_sets_values_with_units_and_comments),
        cmocka_unit_test(test_slips_in_a_file_name_the_line_and_the_nearest_key),
        cmocka_unit_test(test_a_missing_file_is_an_error),
        cmocka_unit_test(test_environment_then_set_replace_the_file),
        cmocka_unit_test(test_slips_in_environment_and_set_are_refused),
        cmocka_unit_test(test_only_loopback_is_taken_unless_insecure),
        cmocka_unit_test(test_keys_that_contradict_each_other_are_refused),
        cmocka_unit_test(test_what_is_printed_reads_back_the_same),
        cmocka_unit_test(test_the_reference_page_is_up_to_date),
        cmocka_unit_test(test_retention_rules_are_checked),
        cmocka_unit_test(test_edit_distance_counts_edits),
    };
    return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
