#include "curve.h"

#include <stdio.h>
#include <string.h>
#include <zmq.h>

/* A key given as text into its place. */
static bool
take_key(const char *text, char slot[CH_KEY_TEXT_BYTES])
{
    uint8_t key[CH_KEY_BYTES];
    if (!ch_z85_decode(text, strlen(text), key))
        return false;
    explicit_bzero(key, sizeof key);
    memcpy(slot, text, CH_KEY_TEXT_BYTES);
    return true;
}

static ch_status_t
load(const char *key_file, const char *secret_key, ch_secret_t **secret_out)
{
    if (key_file && secret_key)
        return ch_fail(CH_ERR_INVALID, "key_file and secret_key are both given");
    if (key_file)
        return ch_secret_load(key_file, secret_out);
    if (!secret_key)
        return ch_fail(CH_ERR_INVALID, "server_key goes with key_file or secret_key");
    ch_status_t status = ch_secret_new(secret_out);
    if (status == CH_OK && !take_key(secret_key, (*secret_out)->secret_key))
        status = ch_fail(CH_ERR_INVALID, "secret_key is not 40 characters of Z85");
    return status;
}

/* What is still to be known: whom to expect, and our own public key, which the secret one tells. */
static ch_status_t
complete(ch_secret_t *secret, const char *server_key)
{
    char derived[CH_KEY_TEXT_BYTES];
    if (server_key && !take_key(server_key, secret->server_key))
        return ch_fail(CH_ERR_INVALID,
                       "the node's public key is not 40 characters of Z85");
    if (!secret->server_key[0])
        return ch_fail(CH_ERR_INVALID,
                       "the node's public key is needed (server_key, or a line `server "
                       "KEY` in the key file)");
    if (zmq_curve_public(derived, secret->secret_key) != 0)
        return ch_fail(CH_ERR_UNSUPPORTED, "libzmq here was built without CURVE");
    if (secret->public_key[0] && strcmp(derived, secret->public_key) != 0)
        return ch_fail(CH_ERR_INVALID,
                       "the key file's public key is not that of its secret key");
    memcpy(secret->public_key, derived, sizeof derived);
    return CH_OK;
}

cityhall_status_t
ch_client_curve_open(const char *key_file, const char *secret_key, const char *server_key,
                     ch_secret_t **secret_out, char *error, size_t error_size)
{
    ch_secret_t *secret = NULL;
    *secret_out = NULL;
    if (!key_file && !secret_key && !server_key)
        return CITYHALL_OK;
    ch_status_t status = load(key_file, secret_key, &secret);
    if (status == CH_OK)
        status = complete(secret, server_key);
    if (status < 0) {
        ch_secret_destroy(&secret);
        (void)snprintf(error, error_size, "%s", ch_fail_text());
        return CITYHALL_ERR_ARGUMENT;
    }
    *secret_out = secret;
    return CITYHALL_OK;
}

bool
ch_client_curve_set(void *socket, const ch_secret_t *secret)
{
    return !secret || (zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, secret->server_key,
                                      CH_KEY_TEXT_BYTES) == 0 &&
                       zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, secret->public_key,
                                      CH_KEY_TEXT_BYTES) == 0 &&
                       zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, secret->secret_key,
                                      CH_KEY_TEXT_BYTES) == 0);
}
