#include "db/version.h"

#include "ch/alloc.h"

static void
retain(uint32_t *references)
{
    (void)__atomic_add_fetch(references, 1, __ATOMIC_RELAXED);
}

/* True for the one who let go last. */
static bool
let_go(uint32_t *references)
{
    return __atomic_sub_fetch(references, 1, __ATOMIC_ACQ_REL) == 0;
}

ch_table_t *
ch_table_new(ch_fs_t *fs, const char *path, uint32_t level, ch_sstable_t *sstable)
{
    ch_table_t *table = ch_calloc(1, sizeof *table);
    *table = (ch_table_t){.sstable = sstable,
                          .fs = fs,
                          .path = ch_strdup(path),
                          .level = level,
                          .erased_lsn = ch_sstable_info(sstable)->lsn_max,
                          .references = 1};
    return table;
}

void
ch_table_release(ch_table_t **table)
{
    ch_table_t *released = ch_take(table);
    if (!released || !let_go(&released->references))
        return;
    ch_sstable_destroy(&released->sstable);
    if (released->obsolete && ch_fs_unlink(released->fs, released->path) < 0) {
        /* A stray that the next start removes. */
    }
    ch_free(released->path);
    ch_free(released);
}

ch_shared_memtable_t *
ch_shared_memtable_new(ch_memtable_t *memtable)
{
    ch_shared_memtable_t *shared = ch_calloc(1, sizeof *shared);
    *shared = (ch_shared_memtable_t){memtable, 1};
    return shared;
}

void
ch_shared_memtable_release(ch_shared_memtable_t **memtable)
{
    ch_shared_memtable_t *released = ch_take(memtable);
    if (!released || !let_go(&released->references))
        return;
    ch_memtable_destroy(&released->memtable);
    ch_free(released);
}

static ch_tombstones_t *
prune(ch_tombstones_t *tombstones, const ch_version_t *version, uint64_t durable_lsn)
{
    if (!tombstones)
        return NULL;
    ch_tombstone_table_t *tables = ch_calloc(version->table_count + 1, sizeof *tables);
    for (size_t i = 0; i < version->table_count; i++) {
        const ch_sstable_info_t *info = ch_sstable_info(version->tables[i]->sstable);
        tables[i] = (ch_tombstone_table_t){version->tables[i]->erased_lsn, info->time_min,
                                           info->time_max};
    }
    ch_tombstones_t *kept = ch_tombstones_prune(
        tombstones, version->flushed_lsn, durable_lsn, tables, version->table_count);
    ch_free(tables);
    return kept;
}

ch_version_t *
ch_version_new(uint64_t flushed_lsn, ch_table_t *const *tables, size_t table_count,
               ch_shared_memtable_t *immutable, ch_shared_memtable_t *active,
               ch_tombstones_t *tombstones, uint64_t durable_lsn)
{
    ch_version_t *version = ch_calloc(1, sizeof *version);
    *version = (ch_version_t){.references = 1,
                              .flushed_lsn = flushed_lsn,
                              .table_count = table_count,
                              .tables = ch_calloc(table_count + 1, sizeof(ch_table_t *)),
                              .immutable = immutable,
                              .active = active};
    for (size_t i = 0; i < table_count; i++) {
        version->tables[i] = tables[i];
        retain(&tables[i]->references);
    }
    if (immutable)
        retain(&immutable->references);
    retain(&active->references);
    version->tombstones = prune(tombstones, version, durable_lsn);
    return version;
}

void
ch_version_retain(ch_version_t *version)
{
    retain(&version->references);
}

void
ch_version_release(ch_version_t **version)
{
    ch_version_t *released = ch_take(version);
    if (!released || !let_go(&released->references))
        return;
    for (size_t i = 0; i < released->table_count; i++)
        ch_table_release(&released->tables[i]);
    ch_free(released->tables);
    ch_shared_memtable_release(&released->immutable);
    ch_shared_memtable_release(&released->active);
    ch_tombstones_release(&released->tombstones);
    ch_free(released);
}
