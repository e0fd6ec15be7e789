/// A file system in memory that can lose power, fill up, fail and flip bits; same seed, same run.
///
/// Loss      What a disk may forget: writes and size changes of a file since its last sync; names
///           made, renamed or removed since the last sync of their directory. A file's sync does
///           not make its name last. Names are of a directory: a lost directory takes its files.
/// Sectors   512 bytes, aligned. After a crash a sector holds some version that it had since the
///           last sync; so a write may be lost, torn or overtaken by a later one, and no sector is
///           half old, half new.
/// Sizes     The size after a crash is some size since the last sync; what was not kept reads as
///           zeros. A cut that was lost keeps nothing written after it.
/// Names     A rename is atomic. A kept name operation implies the earlier ones on its names.
/// Syncs     A file's failed sync forgets its unsynced writes at the next crash, while reads still
///           show them, and the next sync says CH_OK without them (Linux marks such pages clean).
///           After a failed sync of a directory its names are still unsynced, no more.
/// Paths     '/' between parts; a leading '/' or "./" means nothing; no "..". Root is there.
/// Threads   all functions from any thread, one mutex inside; no callback runs under it.
#ifndef TESTS_SUPPORT_SIMFS_H
#define TESTS_SUPPORT_SIMFS_H

#include "ch/fs.h"
#include "ch/rng.h"

typedef struct ch_simfs ch_simfs_t;

/// The calls of ch/fs.h as bits, for faults and counts. Close is none: it cannot fail.
typedef enum {
    CH_SIMFS_OPEN = 1 << 0,
    CH_SIMFS_READ = 1 << 1,
    CH_SIMFS_WRITE = 1 << 2,
    CH_SIMFS_SYNC = 1 << 3,
    CH_SIMFS_TRUNCATE = 1 << 4,
    CH_SIMFS_SIZE = 1 << 5,
    CH_SIMFS_RENAME = 1 << 6,
    CH_SIMFS_UNLINK = 1 << 7,
    CH_SIMFS_MKDIR = 1 << 8,
    CH_SIMFS_SYNC_DIR = 1 << 9,
    CH_SIMFS_LIST = 1 << 10,
    CH_SIMFS_LOCK = 1 << 11,
    CH_SIMFS_SPACE = 1 << 12,
    CH_SIMFS_LINK = 1 << 13,
    CH_SIMFS_ALL = (1 << 14) - 1,
    /* Calls that can change what a crash leaves (open: when it creates). */
    CH_SIMFS_CHANGES = CH_SIMFS_OPEN | CH_SIMFS_WRITE | CH_SIMFS_SYNC |
                       CH_SIMFS_TRUNCATE | CH_SIMFS_RENAME | CH_SIMFS_UNLINK |
                       CH_SIMFS_MKDIR | CH_SIMFS_SYNC_DIR | CH_SIMFS_LINK,
} ch_simfs_call_t;

/// What happens at the n-th call.
typedef enum {
    CH_SIMFS_EIO,    /* fails, nothing done */
    CH_SIMFS_EIO_ON, /* this and every later matching call fails */
    CH_SIMFS_ENOSPC, /* CH_ERR_NOSPACE; a write has written a part, drawn by the seed */
    CH_SIMFS_SHORT_WRITE, /* as ENOSPC, but CH_ERR_IO */
    CH_SIMFS_FREEZE, /* power is gone: done or not (the seed decides), this call and every
                             later one of any kind says CH_ERR_IO */
} ch_simfs_fault_t;

/// What a power loss leaves.
typedef enum {
    CH_SIMFS_LOSE_UNSYNCED, /* only what was promised */
    CH_SIMFS_KEEP_UNSYNCED, /* everything, as after kill -9 (but failed syncs took their writes) */
    CH_SIMFS_RANDOM, /* anything between, drawn from rng */
} ch_simfs_crash_t;

ch_simfs_t *ch_simfs_new(uint64_t seed);
/// Files must be closed before. Accepts NULL, nulls.
void ch_simfs_destroy(ch_simfs_t **simfs);
/// Live and durable state, capacity and unsynced changes; no open files, locks, faults, observer,
/// and counts of 0.
ch_simfs_t *ch_simfs_clone(ch_simfs_t *simfs);
/// Valid as long as simfs.
ch_fs_t *ch_simfs_fs(ch_simfs_t *simfs);

/// Power is lost and comes back: what is left is durable, faults are cleared, locks are free, files
/// still open say CH_ERR_IO until closed. `rng` may be NULL except for RANDOM.
void ch_simfs_crash(ch_simfs_t *simfs, ch_simfs_crash_t mode, ch_rng_t *rng);

/// Plan one fault: the n-th call from now (n >= 1) of a kind in `calls`. Replaces the last plan.
void ch_simfs_set_fault(ch_simfs_t *simfs, unsigned calls, uint64_t nth,
                        ch_simfs_fault_t fault);
void ch_simfs_clear_fault(ch_simfs_t *simfs);
/// Did the planned fault strike?
bool ch_simfs_fault_struck(ch_simfs_t *simfs);

/// Calls so far of the kinds in `calls` (failed ones too).
uint64_t ch_simfs_count(ch_simfs_t *simfs, unsigned calls);

/// Called after each call of a kind in `calls`, outside the lock, in the caller's thread: the place
/// to clone and crash the clone. NULL ends it.
typedef void (*ch_simfs_observe_fn)(void *context, ch_simfs_t *simfs,
                                    ch_simfs_call_t call, const char *path);
void ch_simfs_observe(ch_simfs_t *simfs, unsigned calls, ch_simfs_observe_fn observe,
                      void *context);

/// Sum of file sizes allowed; 0 (at first) means no limit. A write that does not fit writes what
/// does and says CH_ERR_NOSPACE.
void ch_simfs_set_capacity(ch_simfs_t *simfs, uint64_t bytes);
/// Sum of sizes of the files that have a name or are open.
uint64_t ch_simfs_used(ch_simfs_t *simfs);

/// Changes (writes, cuts, names) that a crash could lose now.
size_t ch_simfs_unsynced(ch_simfs_t *simfs);

/// Turn over one bit (0 = lowest of the first byte) of a file at rest, live and durable.
/// CH_NOT_FOUND: no such file, or it ends before.
ch_status_t ch_simfs_flip(ch_simfs_t *simfs, const char *path, uint64_t bit);

/// Every file with its whole path ("db/wal/1.wal") in order of name; stops at non-zero.
typedef ch_status_t (*ch_simfs_visit_fn)(void *context, const char *path, uint64_t size);
ch_status_t ch_simfs_files(ch_simfs_t *simfs, ch_simfs_visit_fn visit, void *context);

#endif
