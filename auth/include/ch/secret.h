/// A key pair of a node, a producer or a reader, with its file, and the memory that holds the secret.
///
/// File     lines of a word and a key, both needed but the last: `public KEY`, `secret KEY`, `server KEY`
///          (whom to expect at the other end; of clients). A line whose first character is # is a
///          comment. Mode 0600, see key_file.h.
/// Memory   a page of its own: locked against swapping where the system lets us, left out of core dumps,
///          wiped before it is given back. What libzmq copies of it is libzmq's.
/// Threads  read-only once loaded.
#ifndef CH_SECRET_H
#define CH_SECRET_H

#include <stdbool.h>
#include "ch/status.h"
#include "ch/z85.h"

typedef struct ch_secret {
    char public_key[CH_KEY_TEXT_BYTES];
    char secret_key[CH_KEY_TEXT_BYTES];
    char server_key[CH_KEY_TEXT_BYTES]; /* empty: not in the file */
    bool locked;                        /* mlock worked */
} ch_secret_t;

/// An empty one, to fill in and save. CH_ERR_LIMIT: no memory.
ch_status_t ch_secret_new(ch_secret_t **secret_out) CH_MUST_CHECK;

/// Errors as of ch_key_file_read, and CH_ERR_PARSE with `path:line`.
ch_status_t ch_secret_load(const char *path, ch_secret_t **secret_out) CH_MUST_CHECK;

/// Write a new file, mode 0600, synced; one that is there stays as it is: CH_ERR_EXISTS.
ch_status_t ch_secret_save(const char *path, const ch_secret_t *secret) CH_MUST_CHECK;

void ch_secret_destroy(ch_secret_t **secret);

#endif
