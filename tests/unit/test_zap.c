/* Goal: a handshake is judged by the key, its roles and the endpoint it came to, and by nothing that a peer can
 * say. Method: requests frame by frame, against a table of known keys. */
#include "support/test.h"

#include <stdio.h>

#include "zap.h"

static const uint8_t key_write[CH_KEY_BYTES] = {1}, key_read[CH_KEY_BYTES] = {2},
                     key_replicate[CH_KEY_BYTES] = {3}, key_unknown[CH_KEY_BYTES] = {4};

static ch_status_t
check_series(const char *text)
{
    (void)text;
    return CH_OK;
}

static ch_keyring_t *
table(void)
{
    char text[512];
    size_t size = 0;
    const uint8_t *keys[] = {key_write, key_read, key_replicate};
    const char *const names[] = {"write", "read", "replicate"};
    for (int i = 0; i < 3; i++) {
        char key[CH_KEY_TEXT_BYTES];
        ch_z85_encode(keys[i], key);
        size += (size_t)snprintf(text + size, sizeof text - size, "%s %s %s\n", key,
                                 names[i], names[i]);
    }
    ch_keyring_t *keyring = NULL;
    assert_int_equal(ch_keyring_parse(ch_bytes(text, size), "t", check_series, &keyring),
                     CH_OK);
    return keyring;
}

static ch_zap_request_t
request_of(const char *domain, const char *mechanism, const uint8_t *key)
{
    return (ch_zap_request_t){.frames = {ch_bytes_text("1.0"), ch_bytes_text("1"),
                                         ch_bytes_text(domain), ch_bytes_text("10.0.0.1"),
                                         ch_bytes_text(""), ch_bytes_text(mechanism),
                                         ch_bytes(key, CH_KEY_BYTES)},
                              .count = 7};
}

static void
test_each_domain_asks_for_its_role(void **state)
{
    (void)state;
    ch_keyring_t *keyring = table();
    static const struct {
        const char *domain;
        const uint8_t *key;
        bool admitted;
    } cases[] = {
        {"ingest", key_write, true},      {"ingest", key_read, false},
        {"ingest", key_replicate, false}, {"query", key_write, true},
        {"query", key_read, true},        {"query", key_replicate, true},
        {"publish", key_write, false},    {"publish", key_read, false},
        {"publish", key_replicate, true}, {"", key_write, false},
        {"elsewhere", key_write, false},  {"ingest", key_unknown, false},
        {"query", key_unknown, false},    {"publish", key_unknown, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ch_zap_request_t request = request_of(cases[i].domain, "CURVE", cases[i].key);
        ch_zap_answer_t answer;
        ch_zap_judge(&request, keyring, &answer);
        assert_int_equal(answer.admitted, cases[i].admitted);
        assert_string_equal(answer.code, cases[i].admitted ? "200" : "400");
        assert_string_equal(answer.address, "10.0.0.1");
        assert_int_equal(strlen(answer.user), CH_KEY_TEXT);
        assert_int_equal(answer.key != NULL, cases[i].key != key_unknown);
    }
    ch_keyring_drop(&keyring);
}

static void
test_other_shapes_are_refused(void **state)
{
    (void)state;
    ch_keyring_t *keyring = table();
    ch_zap_answer_t answer;
    ch_zap_request_t request = request_of("ingest", "CURVE", key_write);
    request.frames[0] = ch_bytes_text("2.0");
    ch_zap_judge(&request, keyring, &answer);
    assert_string_equal(answer.code, "500");
    for (size_t count = 0; count < 12; count++) {
        request = request_of("ingest", "CURVE", key_write);
        request.count = count;
        ch_zap_judge(&request, keyring, &answer);
        assert_int_equal(answer.admitted, count == 7);
    }
    const char *const mechanisms[] = {"NULL", "PLAIN", "GSSAPI", "curve", ""};
    for (size_t i = 0; i < sizeof mechanisms / sizeof mechanisms[0]; i++) {
        request = request_of("ingest", mechanisms[i], key_write);
        ch_zap_judge(&request, keyring, &answer);
        assert_false(answer.admitted);
    }
    request = request_of("ingest", "CURVE", key_write);
    request.frames[6].size--;
    ch_zap_judge(&request, keyring, &answer);
    assert_false(answer.admitted);
    char address[300];
    memset(address, '\n', sizeof address);
    request = request_of("ingest", "CURVE", key_write);
    request.frames[3] = ch_bytes(address, sizeof address);
    ch_zap_judge(&request, keyring, &answer);
    assert_true(answer.admitted);
    assert_int_equal(strspn(answer.address, "."), sizeof answer.address - 1);
    ch_keyring_drop(&keyring);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_domain_asks_for_its_role),
        cmocka_unit_test(test_other_shapes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
