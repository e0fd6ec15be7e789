/// Files that decide who gets in: opened only when nobody else can have a hand in them.
///
/// SECRET   mode 0600 or less, owned by who runs this: others can neither read nor write it.
/// TRUSTED  others may read it; only its owner (who runs this, or root) may write it.
/// Both     a regular file, named itself: a symbolic link is refused, since whoever may change the link
///          chooses the file. Mode and owner are asked of the opened file, so it cannot be exchanged in
///          between.
/// Errors   CH_ERR_IO (missing, unreadable), CH_ERR_LIMIT (too long), CH_ERR_INVALID (the rest); the text is
///          one line: what, where, what to do.
#ifndef CH_KEY_FILE_H
#define CH_KEY_FILE_H

#include <stddef.h>
#include "ch/status.h"

typedef enum { CH_KEY_FILE_SECRET, CH_KEY_FILE_TRUSTED } ch_key_file_kind_t;

/// Read the whole file into `buffer` (not terminated). Above `size` bytes: CH_ERR_LIMIT; without any:
/// CH_ERR_INVALID.
ch_status_t ch_key_file_read(const char *path, ch_key_file_kind_t kind, char *buffer,
                             size_t size, size_t *size_out) CH_MUST_CHECK;

#endif
