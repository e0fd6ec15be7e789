/// What of a data directory (or a snapshot, a backup) is damaged, found without a node and without changing
/// a byte: every checksum is compared, and what the files say of each other.
///
/// Threads  any; the visitor is called on the caller's.
#ifndef CH_VERIFY_H
#define CH_VERIFY_H

#include <stdbool.h>

#include "ch/fs.h"

typedef struct ch_verify_finding {
    bool damage;      /* false: a crash leaves that, a start deals with it */
    const char *file; /* below the directory */
    const char *text; /* bytes and what is wrong with them */
} ch_verify_finding_t;

typedef struct ch_verify_report {
    uint64_t tables, segments; /* looked at */
    uint64_t points;           /* in whole tables */
    uint64_t damaged, notes;   /* findings */
} ch_verify_report_t;

/// Look at everything; findings are visited as they come. CH_OK also when there is damage: see the
/// report. Errors: CH_ERR_BUSY (a node has the directory), CH_ERR_INVALID (no data directory),
/// CH_ERR_IO. A file of a newer version is a finding.
ch_status_t ch_verify(ch_fs_t *fs, const char *dir,
                      void (*visit)(void *context, const ch_verify_finding_t *finding),
                      void *context, ch_verify_report_t *report_out) CH_MUST_CHECK;

#endif
