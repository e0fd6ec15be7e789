/// Changing authorized_keys: one line comes or goes, every other byte stays; the file is replaced whole.
///
/// Atomic   the new text is written beside the file, synced and renamed over it, so a node that looks at
///          any moment sees the old table or the new one. Two changes at once wait for each other
///          (a lock on the file that is being written).
/// Checks   what would be written is parsed first: a change never leaves a file that a node refuses.
/// Errors   as of ch_keyring_load; CH_NOT_FOUND: no such key.
#ifndef CH_KEYRING_EDIT_H
#define CH_KEYRING_EDIT_H

#include "ch/keyring.h"

/// Append `line` (without the newline); a missing file is made.
ch_status_t ch_keyring_edit_add(const char *path, const char *line,
                                ch_selector_check_t check) CH_MUST_CHECK;

/// Take out the line of the key with this name, or of this public key.
ch_status_t ch_keyring_edit_remove(const char *path, const char *name_or_key,
                                   ch_selector_check_t check) CH_MUST_CHECK;

#endif
