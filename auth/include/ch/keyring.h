/// authorized_keys: who may do what, as a table.
///
/// File     a line a key: KEY ROLES NAME [producer=PREFIX] [rate=POINTS] [series=SELECTOR]
///            KEY     the public key, 40 characters of Z85
///            ROLES   some of write,read,replicate,admin with commas between
///            NAME    for logs and for chq auth rm, 1 to 64 of [A-Za-z0-9._/-], once in the file
///            producer=PREFIX   of write: producers' ids begin with it
///            rate=POINTS       of write: points a second
///            series=SELECTOR   of write and read: these series alone; the rest of the line
///          Empty lines, and lines that begin with # (as no key does), say nothing.
/// Bounds   CH_KEYRING_BYTES_MAX, CH_KEYRING_LINE_MAX, CH_KEYRING_KEYS_MAX.
/// Errors   CH_ERR_PARSE; the text says `origin:line: what`.
/// Threads  immutable, counted: share it with ch_keyring_ref.
#ifndef CH_KEYRING_H
#define CH_KEYRING_H

#include "ch/bytes.h"
#include "ch/status.h"
#include "ch/z85.h"

enum {
    CH_KEYRING_BYTES_MAX = 2 << 20,
    CH_KEYRING_LINE_MAX = 2048,
    CH_KEYRING_KEYS_MAX = 10000,
    CH_KEY_NAME_MAX = 64,
};

typedef enum {
    CH_ROLE_WRITE = 1,
    CH_ROLE_READ = 2,
    CH_ROLE_REPLICATE = 4,
    CH_ROLE_ADMIN = 8,
    CH_ROLE_ANY = 15,
} ch_role_t;

typedef struct ch_key {
    char text[CH_KEY_TEXT_BYTES];
    char name[CH_KEY_NAME_MAX + 1];
    unsigned roles;       /* ch_role_t, or-ed */
    const char *producer; /* prefix; "": any */
    const char *series;   /* selector; "": all */
    uint64_t rate;        /* points a second; 0: as many as come */
    unsigned line;
} ch_key_t;

typedef struct ch_keyring ch_keyring_t;

/// Says whether a selector is one; CH_OK, or a failure with its text. This room knows no selectors.
typedef ch_status_t (*ch_selector_check_t)(const char *text);

ch_status_t ch_keyring_parse(ch_bytes_t text, const char *origin,
                             ch_selector_check_t check,
                             ch_keyring_t **keyring_out) CH_MUST_CHECK;

/// The file, which nobody but its owner may write (key_file.h).
ch_status_t ch_keyring_load(const char *path, ch_selector_check_t check,
                            ch_keyring_t **keyring_out) CH_MUST_CHECK;

/// One more holder; each drops its own.
ch_keyring_t *ch_keyring_ref(ch_keyring_t *keyring);
void ch_keyring_drop(ch_keyring_t **keyring);

/// The key of this text, or NULL. Valid as long as the keyring.
const ch_key_t *ch_keyring_find(const ch_keyring_t *keyring, ch_bytes_t text);

size_t ch_keyring_count(const ch_keyring_t *keyring);
/// In the order of the file.
const ch_key_t *ch_keyring_at(const ch_keyring_t *keyring, size_t i);

/// "write,read" into `out`.
void ch_roles_format(unsigned roles, char out[40]);

#endif
