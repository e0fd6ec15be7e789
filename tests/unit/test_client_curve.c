/* Goal: a handle's three key options make a whole pair or a text that says what is missing. Method: keys made by
 * libzmq, each combination. */
#include "support/test.h"

#include <stdio.h>
#include <zmq.h>

#include "client/curve.h"

typedef struct keys {
    char public_key[41], secret_key[41], server_key[41];
} keys_t;

static keys_t
make_keys(void)
{
    keys_t keys;
    char unused[41];
    assert_int_equal(zmq_curve_keypair(keys.public_key, keys.secret_key), 0);
    assert_int_equal(zmq_curve_keypair(keys.server_key, unused), 0);
    return keys;
}

static void
refused(const char *file, const char *secret_key, const char *server_key,
        const char *said)
{
    ch_secret_t *secret = NULL;
    char error[256] = "";
    assert_int_equal(
        ch_client_curve_open(file, secret_key, server_key, &secret, error, sizeof error),
        CITYHALL_ERR_ARGUMENT);
    assert_null(secret);
    if (!strstr(error, said))
        fail_msg("\"%s\" does not say \"%s\"", error, said);
}

static void
test_a_secret_key_as_text_tells_its_public_key(void **state)
{
    (void)state;
    keys_t keys = make_keys();
    ch_secret_t *secret = NULL;
    char error[256];
    assert_int_equal(ch_client_curve_open(NULL, NULL, NULL, &secret, error, sizeof error),
                     CITYHALL_OK);
    assert_null(secret);
    assert_int_equal(ch_client_curve_open(NULL, keys.secret_key, keys.server_key, &secret,
                                          error, sizeof error),
                     CITYHALL_OK);
    assert_string_equal(secret->public_key, keys.public_key);
    assert_string_equal(secret->server_key, keys.server_key);
    ch_secret_destroy(&secret);
}

static void
test_what_is_missing_is_named(void **state)
{
    (void)state;
    keys_t keys = make_keys();
    refused(NULL, NULL, keys.server_key, "server_key goes with");
    refused(NULL, keys.secret_key, NULL, "the node's public key is needed");
    refused(NULL, "short", keys.server_key, "secret_key is not 40");
    refused(NULL, keys.secret_key, "short", "public key is not 40");
    refused("file", keys.secret_key, keys.server_key, "are both given");
    refused("/nonexistent/key", NULL, keys.server_key,
            "/nonexistent/key: cannot be read");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_secret_key_as_text_tells_its_public_key),
        cmocka_unit_test(test_what_is_missing_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
