/// The node's own key and the table of those who get in, shared by its threads.
///
/// Shape    the table is immutable and counted; a new one replaces it, and `generation` tells the actors,
///          which look at it with each message.
/// Threads  open and destroy: main. reload: the auth actor. take: any.
#ifndef CH_KEYS_H
#define CH_KEYS_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include "ch/keyring.h"
#include "ch/secret.h"
#include "config.h"

typedef struct ch_keys {
    ch_secret_t *secret;
    const char *path; /* authorized_keys; the configuration's */
    /* A pair that nobody was given, to see that it is refused (self_test.h). */
    char stranger_public[CH_KEY_TEXT_BYTES], stranger_secret[CH_KEY_TEXT_BYTES];
    pthread_mutex_t lock;
    ch_keyring_t *current;       /* under lock */
    _Atomic uint64_t generation; /* grows with each new table */
    /* The auth actor's: the file as it was when it was read last. */
    struct stat seen;
    int seen_errno;
    bool settled; /* seen so long after it was written that a later write shows */
} ch_keys_t;

/// Do these settings ask for keys?
bool ch_keys_wanted(const ch_config_t *config);

/// Read both files. Errors are one line that names file and line, or what is wrong with the pair.
ch_status_t ch_keys_open(const ch_config_t *config, ch_keys_t **keys_out) CH_MUST_CHECK;
/// The same, for --check-config: nothing stays open. CH_OK also when there are none to be.
ch_status_t ch_keys_check(const ch_config_t *config) CH_MUST_CHECK;
void ch_keys_destroy(ch_keys_t **keys);

/// The table of now, the caller's to drop.
ch_keyring_t *ch_keys_take(ch_keys_t *keys, uint64_t *generation_out);

/// Did the file change since it was read last? Costs one lstat.
bool ch_keys_changed(ch_keys_t *keys, int64_t wall_ns);

/// Read authorized_keys again. On an error the table stays as it is.
ch_status_t ch_keys_reload(ch_keys_t *keys, int64_t wall_ns) CH_MUST_CHECK;

#endif
