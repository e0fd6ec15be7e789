/* keys.c - reading the keys, and reading them again.
 *
 * A change is told by what lstat says of the file: inode, size, times. Times have the grain of the kernel's
 * tick, so a file that was written just before it was read may be written again without a trace; such a
 * one is read once more when it has settled.
 */
#include "keys.h"

#include <errno.h>
#include <string.h>
#include <zmq.h>
#include "ch/alloc.h"
#include "ch/selector.h"

#define SETTLED_NS INT64_C(1000000000)

bool
ch_keys_wanted(const ch_config_t *config)
{
    return config->security_key_file[0] != '\0';
}

static ch_status_t
check_selector(const char *text)
{
    ch_selector_t *selector = NULL;
    ch_status_t status = ch_selector_parse(ch_bytes_text(text), &selector);
    ch_selector_destroy(&selector);
    return status;
}

/* ---- the file of the table */

static void
look(ch_keys_t *keys, struct stat *found, int *errno_out)
{
    memset(found, 0, sizeof *found);
    *errno_out = lstat(keys->path, found) == 0 ? 0 : errno;
}

bool
ch_keys_changed(ch_keys_t *keys, int64_t wall_ns)
{
    struct stat found;
    int failure;
    look(keys, &found, &failure);
    const struct stat *seen = &keys->seen;
    bool same = failure == keys->seen_errno && found.st_dev == seen->st_dev &&
                found.st_ino == seen->st_ino && found.st_size == seen->st_size &&
                found.st_mode == seen->st_mode && found.st_uid == seen->st_uid &&
                memcmp(&found.st_mtim, &seen->st_mtim, sizeof found.st_mtim) == 0 &&
                memcmp(&found.st_ctim, &seen->st_ctim, sizeof found.st_ctim) == 0;
    int64_t written_ns =
        (int64_t)found.st_ctim.tv_sec * 1000000000 + found.st_ctim.tv_nsec;
    return !same || (!keys->settled && wall_ns - written_ns > SETTLED_NS);
}

static void
install(ch_keys_t *keys, ch_keyring_t *fresh)
{
    (void)pthread_mutex_lock(&keys->lock);
    ch_keyring_t *old = keys->current;
    keys->current = fresh;
    (void)atomic_fetch_add(&keys->generation, 1);
    (void)pthread_mutex_unlock(&keys->lock);
    ch_keyring_drop(&old);
}

ch_status_t
ch_keys_reload(ch_keys_t *keys, int64_t wall_ns)
{
    ch_keyring_t *fresh = NULL;
    look(keys, &keys->seen, &keys->seen_errno); /* before the file is read */
    int64_t written_ns =
        (int64_t)keys->seen.st_ctim.tv_sec * 1000000000 + keys->seen.st_ctim.tv_nsec;
    keys->settled = keys->seen_errno || wall_ns - written_ns > SETTLED_NS;
    ch_status_t status = ch_keyring_load(keys->path, check_selector, &fresh);
    if (status == CH_OK)
        install(keys, fresh);
    return status;
}

ch_keyring_t *
ch_keys_take(ch_keys_t *keys, uint64_t *generation_out)
{
    (void)pthread_mutex_lock(&keys->lock);
    ch_keyring_t *keyring = ch_keyring_ref(keys->current);
    *generation_out = atomic_load(&keys->generation);
    (void)pthread_mutex_unlock(&keys->lock);
    return keyring;
}

/* ---- open */

/* A secret that is not the public key's would show only as peers that cannot connect. */
static ch_status_t
check_pair(const char *path, const ch_secret_t *secret)
{
    char derived[CH_KEY_TEXT_BYTES];
    if (zmq_curve_public(derived, secret->secret_key) != 0)
        return ch_fail(CH_ERR_UNSUPPORTED,
                       "%s: libzmq here was built without CURVE; keys cannot be used",
                       path);
    if (strcmp(derived, secret->public_key) != 0)
        return ch_fail(CH_ERR_INVALID,
                       "%s: the public key is not that of the secret key; make a new "
                       "pair with chq keygen",
                       path);
    return CH_OK;
}

ch_status_t
ch_keys_open(const ch_config_t *config, ch_keys_t **keys_out)
{
    ch_keys_t *keys = ch_calloc(1, sizeof *keys);
    (void)pthread_mutex_init(&keys->lock, NULL);
    keys->path = config->security_authorized_keys;
    ch_clock_t clock = ch_clock_system();
    ch_status_t status = ch_secret_load(config->security_key_file, &keys->secret);
    if (status == CH_OK)
        status = check_pair(config->security_key_file, keys->secret);
    if (status == CH_OK)
        status = ch_keys_reload(keys, ch_clock_wall_ns(&clock));
    if (status == CH_OK &&
        zmq_curve_keypair(keys->stranger_public, keys->stranger_secret) != 0)
        status = ch_fail(CH_ERR_UNSUPPORTED, "no key pair could be made: %s",
                         zmq_strerror(zmq_errno()));
    if (status < 0) {
        ch_keys_destroy(&keys);
        return status;
    }
    *keys_out = keys;
    return CH_OK;
}

ch_status_t
ch_keys_check(const ch_config_t *config)
{
    ch_keys_t *keys = NULL;
    ch_status_t status = ch_keys_wanted(config) ? ch_keys_open(config, &keys) : CH_OK;
    ch_keys_destroy(&keys);
    return status;
}

void
ch_keys_destroy(ch_keys_t **keys_in)
{
    ch_keys_t *keys = ch_take(keys_in);
    if (!keys)
        return;
    ch_keyring_drop(&keys->current);
    ch_secret_destroy(&keys->secret);
    (void)pthread_mutex_destroy(&keys->lock);
    ch_free(keys);
}
