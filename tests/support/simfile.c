/* simfile.c - what a file is, what of it is durable, and the changes between.
 *
 * Idea     `live` is what reads show. `durable` is what the last sync promised. `changes` lead
 *          from one to the other: writes, cuts (truncate) and growth, in order.
 * Crash    Each 512-byte sector takes its content as of some change, chosen for itself: that is all
 *          that caching, write-back in any order and torn writes can do, and no more. Within a
 *          sector a kept change implies the earlier ones, since the disk gets whole sectors.
 * Example  changes 1: write sectors 0..3, 2: write sector 2. Possible: sector 2 of change 2 with
 *          sectors 0, 1, 3 old (2 overtook 1), or sectors 0 and 3 of change 1 alone (1 torn, 2 lost).
 * Cuts     are metadata and journalled: a cut that was lost (the size chosen is from before it)
 *          keeps nothing that was written after it.
 */
#include "support/simdisk.h"

#include "ch/alloc.h"
#include "ch/assert.h"

typedef struct content {
    uint8_t *bytes;
    size_t size;
    size_t capacity;
} content_t;

typedef struct change {
    uint8_t *
        bytes; /* NULL: [offset, offset + size) becomes zeros (a cut), or nothing (growth) */
    uint64_t offset; /* first byte touched */
    size_t size;
    size_t size_after; /* of the file */
    bool cut;
} change_t;

struct ch_simfile {
    content_t live;
    content_t durable;
    change_t *changes;
    size_t change_count;
    size_t change_capacity;
};

static void
content_resize(content_t *content, size_t size)
{
    if (size > content->capacity) {
        content->capacity = size > 2 * content->capacity ? size : 2 * content->capacity;
        content->bytes = ch_realloc(content->bytes, content->capacity);
    }
    if (size > content->size)
        memset(content->bytes + content->size, 0, size - content->size);
    content->size = size;
}

static void
content_copy(content_t *to, const content_t *from)
{
    content_resize(to, from->size);
    if (from->size)
        memcpy(to->bytes, from->bytes, from->size);
}

/* Put the part of a change that lies in [begin, end) into content, which is large enough. */
static void
change_apply(const change_t *change, content_t *content, uint64_t begin, uint64_t end)
{
    uint64_t from = change->offset > begin ? change->offset : begin;
    uint64_t to =
        change->offset + change->size < end ? change->offset + change->size : end;
    if (from >= to)
        return;
    if (change->bytes)
        memcpy(content->bytes + from, change->bytes + (from - change->offset), to - from);
    else
        memset(content->bytes + from, 0, to - from);
}

static change_t *
change_push(ch_simfile_t *file)
{
    if (file->change_count == file->change_capacity) {
        file->change_capacity = file->change_capacity ? 2 * file->change_capacity : 4;
        file->changes =
            ch_realloc(file->changes, file->change_capacity * sizeof *file->changes);
    }
    change_t *change = &file->changes[file->change_count++];
    *change = (change_t){0};
    return change;
}

static void
changes_clear(ch_simfile_t *file)
{
    for (size_t i = 0; i < file->change_count; i++)
        ch_free(file->changes[i].bytes);
    file->change_count = 0;
}

ch_simfile_t *
ch_simfile_new(void)
{
    return ch_calloc(1, sizeof(ch_simfile_t));
}

void
ch_simfile_destroy(ch_simfile_t **file)
{
    if (!*file)
        return;
    changes_clear(*file);
    ch_free((*file)->changes);
    ch_free((*file)->live.bytes);
    ch_free((*file)->durable.bytes);
    ch_free(*file);
    *file = NULL;
}

ch_simfile_t *
ch_simfile_clone(const ch_simfile_t *file)
{
    ch_simfile_t *copy = ch_simfile_new();
    content_copy(&copy->live, &file->live);
    content_copy(&copy->durable, &file->durable);
    for (size_t i = 0; i < file->change_count; i++) {
        change_t *change = change_push(copy);
        *change = file->changes[i];
        if (!change->bytes)
            continue;
        change->bytes = ch_alloc(change->size);
        memcpy(change->bytes, file->changes[i].bytes, change->size);
    }
    return copy;
}

uint64_t
ch_simfile_size(const ch_simfile_t *file)
{
    return file->live.size;
}

size_t
ch_simfile_read(const ch_simfile_t *file, uint64_t offset, void *to, size_t size)
{
    if (offset >= file->live.size || size == 0)
        return 0;
    size_t there = file->live.size - offset;
    size_t got = there < size ? there : size;
    memcpy(to, file->live.bytes + offset, got);
    return got;
}

void
ch_simfile_write(ch_simfile_t *file, uint64_t offset, const void *from, size_t size)
{
    if (size == 0)
        return;
    size_t end = (size_t)offset + size;
    content_resize(&file->live, end > file->live.size ? end : file->live.size);
    memcpy(file->live.bytes + offset, from, size);
    change_t *change = change_push(file);
    change->bytes = ch_alloc(size);
    memcpy(change->bytes, from, size);
    change->offset = offset;
    change->size = size;
    change->size_after = file->live.size;
}

void
ch_simfile_truncate(ch_simfile_t *file, uint64_t size)
{
    if (size == file->live.size)
        return;
    change_t *change = change_push(file);
    change->offset = size;
    change->size_after = (size_t)size;
    if (size < file->live.size) {
        change->cut = true;
        change->size = file->live.size - (size_t)size;
    }
    content_resize(&file->live, (size_t)size);
}

/* All changes, whole and in order. */
static void
changes_apply(ch_simfile_t *file)
{
    for (size_t i = 0; i < file->change_count; i++) {
        content_resize(&file->durable, file->changes[i].size_after);
        change_apply(&file->changes[i], &file->durable, 0, file->durable.size);
    }
}

void
ch_simfile_sync(ch_simfile_t *file)
{
#ifndef CH_FAULT_SIMFS_SYNC_FORGETS
    changes_apply(file);
#endif
    changes_clear(file);
}

void
ch_simfile_sync_failed(ch_simfile_t *file)
{
    size_t kept = 0; /* sizes are in the file system's journal, not in the lost pages */
    for (size_t i = 0; i < file->change_count; i++) {
        ch_free(file->changes[i].bytes);
        file->changes[kept] = file->changes[i];
        kept += file->changes[i].bytes == NULL;
    }
    file->change_count = kept;
}

size_t
ch_simfile_unsynced(const ch_simfile_t *file)
{
    return file->change_count;
}

/* ---- a random crash ---- */

typedef struct draw {
    size_t size;     /* of the file afterwards */
    size_t size_max; /* of all sizes it had */
    size_t changes;  /* changes from here on are lost whole */
    size_t journal;  /* cuts before this index are kept whole */
    size_t *version; /* per sector: changes before this index are in it */
} draw_t;

enum { DRAW_KEEP, DRAW_LOSE, DRAW_TEAR, DRAW_COUNT };

/* Nothing, everything or something: the two ends are drawn as often as all between. */
static size_t
draw_upto(ch_rng_t *rng, size_t count)
{
    switch (ch_rng_below(rng, DRAW_COUNT)) {
    case DRAW_LOSE:
        return 0;
    case DRAW_KEEP:
        return count;
    default:
        return (size_t)ch_rng_below(rng, count + 1);
    }
}

static void
draw_size(const ch_simfile_t *file, ch_rng_t *rng, draw_t *draw)
{
    draw->journal = draw_upto(rng, file->change_count);
    draw->size =
        draw->journal ? file->changes[draw->journal - 1].size_after : file->durable.size;
    draw->changes = file->change_count;
    draw->size_max = file->durable.size;
    for (size_t i = 0; i < file->change_count; i++) {
        const change_t *change = &file->changes[i];
        if (change->size_after > draw->size_max)
            draw->size_max = change->size_after;
        if (change->cut && i >= draw->journal && i < draw->changes)
            draw->changes = i;
    }
}

static void
draw_sectors(const ch_simfile_t *file, ch_rng_t *rng, draw_t *draw)
{
    for (size_t i = 0; i < draw->changes; i++) {
        const change_t *change = &file->changes[i];
        uint64_t fate = change->cut ? DRAW_KEEP : ch_rng_below(rng, DRAW_COUNT);
        if (fate == DRAW_LOSE || change->size == 0)
            continue;
        size_t first = (size_t)change->offset / CH_SIMDISK_SECTOR_BYTES;
        size_t last =
            ((size_t)change->offset + change->size - 1) / CH_SIMDISK_SECTOR_BYTES;
        for (size_t sector = first; sector <= last; sector++)
            if (fate == DRAW_KEEP || ch_rng_below(rng, 2))
                draw->version[sector] = i + 1;
    }
}

static void
draw_apply(ch_simfile_t *file, const draw_t *draw)
{
    content_resize(&file->durable, draw->size_max);
    for (size_t i = 0; i < draw->changes; i++) {
        const change_t *change = &file->changes[i];
        uint64_t end = change->offset + change->size;
        for (uint64_t at = change->offset; at < end;) {
            uint64_t sector = at / CH_SIMDISK_SECTOR_BYTES;
            uint64_t next = (sector + 1) * CH_SIMDISK_SECTOR_BYTES;
            if (draw->version[sector] > i)
                change_apply(change, &file->durable, at, next);
            at = next;
        }
    }
    content_resize(&file->durable, draw->size);
}

static void
crash_random(ch_simfile_t *file, ch_rng_t *rng)
{
    draw_t draw = {0};
    draw_size(file, rng, &draw);
    draw.version =
        ch_calloc(draw.size_max / CH_SIMDISK_SECTOR_BYTES + 1, sizeof *draw.version);
    draw_sectors(file, rng, &draw);
    draw_apply(file, &draw);
    ch_free(draw.version);
}

void
ch_simfile_crash(ch_simfile_t *file, ch_simfs_crash_t mode, ch_rng_t *rng)
{
    if (mode == CH_SIMFS_KEEP_UNSYNCED)
        changes_apply(file);
    if (mode == CH_SIMFS_RANDOM && file->change_count)
        crash_random(file, rng);
    changes_clear(file);
    content_copy(&file->live, &file->durable);
}

bool
ch_simfile_flip(ch_simfile_t *file, uint64_t bit)
{
    uint8_t mask = (uint8_t)(1u << (bit % 8));
    uint64_t byte = bit / 8;
    if (byte >= file->live.size)
        return false;
    file->live.bytes[byte] ^= mask;
    if (byte < file->durable.size)
        file->durable.bytes[byte] ^= mask;
    return true;
}
