/* simdisk.c - directories, live and durable, and the name operations between.
 *
 * Idea     Every directory has two sets of entries. An operation (create, unlink, rename) changes the
 *          live set at once and waits in one list, in order, until a sync of a directory that it
 *          touches, or a crash, moves it to the durable set.
 * Order    Two operations depend when they share a (directory, name). What is made durable takes
 *          the earlier operations that it depends on along; so a rename of a new file never leaves
 *          both its names, and no operation meets an entry that it cannot explain.
 * Renames  between directories last when either directory is synced: journals write them whole.
 */
#include "support/simdisk.h"

#include <stdio.h>
#include <stdlib.h>

#include "ch/alloc.h"
#include "ch/assert.h"

enum { NAME_BYTES_MAX = 255 };

typedef struct entry {
    char *name;
    ch_simnode_t *node;
} entry_t;

typedef struct names {
    entry_t *entries; /* in order of name */
    size_t count;
    size_t capacity;
} names_t;

struct ch_simnode {
    ch_simfile_t *file; /* NULL: a directory */
    names_t live;
    names_t durable;
    size_t index; /* in the disk's list */
    unsigned uses;
    bool locked;
    bool linked; /* reached from the root by live names; set by mark_linked */
    bool needed; /* scratch of collect */
};

typedef struct slot {
    ch_simnode_t *directory; /* NULL: none */
    char name[NAME_BYTES_MAX + 1];
} slot_t;

typedef struct name_change {
    slot_t from; /* loses its entry */
    slot_t to;   /* gets one, for node */
    ch_simnode_t *node;
    bool chosen; /* scratch of sync_dir and crash */
} name_change_t;

struct ch_simdisk {
    ch_simnode_t **nodes; /* [0] is the root */
    size_t node_count;
    size_t node_capacity;
    name_change_t *changes;
    size_t change_count;
    size_t change_capacity;
};

/* ---- sets of names ---- */

/* The place of a name, or where it belongs. */
static size_t
names_search(const names_t *names, const char *name)
{
    size_t low = 0, high = names->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (strcmp(names->entries[middle].name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static ch_simnode_t *
names_find(const names_t *names, const char *name)
{
    size_t at = names_search(names, name);
    bool found = at < names->count && strcmp(names->entries[at].name, name) == 0;
    return found ? names->entries[at].node : NULL;
}

static void
names_remove(names_t *names, const char *name)
{
    if (!names_find(names, name))
        return;
    size_t at = names_search(names, name);
    ch_free(names->entries[at].name);
    names->count--;
    memmove(&names->entries[at], &names->entries[at + 1],
            (names->count - at) * sizeof *names->entries);
}

static void
names_put(names_t *names, const char *name, ch_simnode_t *node)
{
    names_remove(names, name);
    if (names->count == names->capacity) {
        names->capacity = names->capacity ? 2 * names->capacity : 8;
        names->entries =
            ch_realloc(names->entries, names->capacity * sizeof *names->entries);
    }
    size_t at = names_search(names, name);
    memmove(&names->entries[at + 1], &names->entries[at],
            (names->count - at) * sizeof *names->entries);
    names->entries[at] = (entry_t){.name = ch_strdup(name), .node = node};
    names->count++;
}

static void
names_clear(names_t *names)
{
    for (size_t i = 0; i < names->count; i++)
        ch_free(names->entries[i].name);
    names->count = 0;
}

static void
names_release(names_t *names)
{
    names_clear(names);
    ch_free(names->entries);
    *names = (names_t){0};
}

/* ---- nodes ---- */

static ch_simnode_t *
node_new(ch_simdisk_t *disk, ch_simfile_t *file)
{
    if (disk->node_count == disk->node_capacity) {
        disk->node_capacity = disk->node_capacity ? 2 * disk->node_capacity : 16;
        disk->nodes =
            ch_realloc(disk->nodes, disk->node_capacity * sizeof(ch_simnode_t *));
    }
    ch_simnode_t *node = ch_calloc(1, sizeof *node);
    node->file = file;
    node->index = disk->node_count;
    disk->nodes[disk->node_count++] = node;
    return node;
}

static void
node_destroy(ch_simnode_t *node)
{
    ch_simfile_destroy(&node->file);
    names_release(&node->live);
    names_release(&node->durable);
    ch_free(node);
}

ch_simdisk_t *
ch_simdisk_new(void)
{
    ch_simdisk_t *disk = ch_calloc(1, sizeof *disk);
    (void)node_new(disk, NULL);
    return disk;
}

void
ch_simdisk_destroy(ch_simdisk_t **disk)
{
    for (size_t i = 0; i < (*disk)->node_count; i++)
        node_destroy((*disk)->nodes[i]);
    ch_free((*disk)->nodes);
    ch_free((*disk)->changes);
    ch_free(*disk);
    *disk = NULL;
}

static void
names_clone(ch_simdisk_t *disk, names_t *to, const names_t *from)
{
    for (size_t i = 0; i < from->count; i++)
        names_put(to, from->entries[i].name, disk->nodes[from->entries[i].node->index]);
}

static ch_simnode_t *
node_twin(ch_simdisk_t *disk, const ch_simnode_t *node)
{
    return node ? disk->nodes[node->index] : NULL;
}

ch_simdisk_t *
ch_simdisk_clone(ch_simdisk_t *disk)
{
    ch_simdisk_t *copy = ch_calloc(1, sizeof *copy);
    for (size_t i = 0; i < disk->node_count; i++)
        (void)node_new(copy, disk->nodes[i]->file ? ch_simfile_clone(disk->nodes[i]->file)
                                                  : NULL);
    for (size_t i = 0; i < disk->node_count; i++) {
        names_clone(copy, &copy->nodes[i]->live, &disk->nodes[i]->live);
        names_clone(copy, &copy->nodes[i]->durable, &disk->nodes[i]->durable);
    }
    copy->change_count = copy->change_capacity = disk->change_count;
    copy->changes = ch_calloc(disk->change_count + 1, sizeof *copy->changes);
    for (size_t i = 0; i < disk->change_count; i++) {
        name_change_t *change = &copy->changes[i];
        *change = disk->changes[i];
        change->from.directory = node_twin(copy, change->from.directory);
        change->to.directory = node_twin(copy, change->to.directory);
        change->node = node_twin(copy, change->node);
    }
    return copy;
}

/* Mark what the root reaches by live names: a file may be open and have no name. */
static void
mark_linked(const ch_simdisk_t *disk)
{
    ch_simnode_t **found = ch_calloc(disk->node_count, sizeof(ch_simnode_t *));
    for (size_t i = 0; i < disk->node_count; i++)
        disk->nodes[i]->linked = false;
    size_t count = 0;
    found[count++] = disk->nodes[0];
    disk->nodes[0]->linked = true;
    for (size_t next = 0; next < count; next++)
        for (size_t i = 0; i < found[next]->live.count; i++) {
            ch_simnode_t *node = found[next]->live.entries[i].node;
            if (!node->linked)
                found[count++] = node;
            node->linked = true;
        }
    ch_free(found);
}

static void
need(ch_simnode_t *node, ch_simnode_t **found, size_t *count)
{
    if (!node || node->needed)
        return;
    node->needed = true;
    found[(*count)++] = node;
}

/* Mark what any state or open file can still show. */
static void
mark_needed(ch_simdisk_t *disk)
{
    ch_simnode_t **found = ch_calloc(disk->node_count, sizeof(ch_simnode_t *));
    size_t count = 0;
    need(disk->nodes[0], found, &count);
    for (size_t i = 0; i < disk->node_count; i++)
        if (disk->nodes[i]->uses)
            need(disk->nodes[i], found, &count);
    for (size_t i = 0; i < disk->change_count; i++) {
        need(disk->changes[i].from.directory, found, &count);
        need(disk->changes[i].to.directory, found, &count);
        need(disk->changes[i].node, found, &count);
    }
    for (size_t next = 0; next < count; next++) {
        for (size_t i = 0; i < found[next]->live.count; i++)
            need(found[next]->live.entries[i].node, found, &count);
        for (size_t i = 0; i < found[next]->durable.count; i++)
            need(found[next]->durable.entries[i].node, found, &count);
    }
    ch_free(found);
}

static void
collect(ch_simdisk_t *disk)
{
    mark_needed(disk);
    size_t kept = 0;
    for (size_t i = 0; i < disk->node_count; i++) {
        ch_simnode_t *node = disk->nodes[i];
        if (!node->needed) {
            node_destroy(node);
            continue;
        }
        node->needed = false;
        node->index = kept;
        disk->nodes[kept++] = node;
    }
    disk->node_count = kept;
}

/* ---- paths ---- */

/* Take the next part off *path into name; false at the end. "." and empty parts mean nothing. */
static bool
next_part(const char **path, char *name)
{
    for (;;) {
        *path += strspn(*path, "/");
        size_t size = strcspn(*path, "/");
        if (size == 0)
            return false;
        CH_ASSERT(size <= NAME_BYTES_MAX);
        memcpy(name, *path, size);
        name[size] = 0;
        *path += size;
        CH_ASSERT(strcmp(name, "..") != 0);
        if (strcmp(name, ".") != 0)
            return true;
    }
}

/* NULL: some part is missing, or a file. */
static ch_simnode_t *
find_directory(ch_simdisk_t *disk, const char *path)
{
    char name[NAME_BYTES_MAX + 1];
    ch_simnode_t *node = disk->nodes[0];
    while (node && next_part(&path, name))
        node = node->file ? NULL : names_find(&node->live, name);
    return node && !node->file ? node : NULL;
}

/* The slot that a path names; false when its directory is missing or it is the root. */
static bool
find_slot(ch_simdisk_t *disk, const char *path, slot_t *slot)
{
    char name[NAME_BYTES_MAX + 1];
    slot->directory = disk->nodes[0];
    if (!next_part(&path, slot->name))
        return false;
    while (next_part(&path, name)) {
        ch_simnode_t *node = names_find(&slot->directory->live, slot->name);
        if (!node || node->file)
            return false;
        slot->directory = node;
        memcpy(slot->name, name, sizeof name);
    }
    return true;
}

static ch_simnode_t *
slot_node(const slot_t *slot)
{
    return names_find(&slot->directory->live, slot->name);
}

/* ---- name operations ---- */

static name_change_t *
change_push(ch_simdisk_t *disk)
{
    if (disk->change_count == disk->change_capacity) {
        disk->change_capacity = disk->change_capacity ? 2 * disk->change_capacity : 16;
        disk->changes =
            ch_realloc(disk->changes, disk->change_capacity * sizeof *disk->changes);
    }
    name_change_t *change = &disk->changes[disk->change_count++];
    memset(change, 0, sizeof *change);
    return change;
}

/* Do it to the live names and remember it. */
static void
change_names(ch_simdisk_t *disk, const slot_t *from, const slot_t *to, ch_simnode_t *node)
{
    name_change_t *change = change_push(disk);
    change->node = node;
    if (from) {
        change->from = *from;
        names_remove(&from->directory->live, from->name);
    }
    if (to) {
        change->to = *to;
        names_put(&to->directory->live, to->name, node);
    }
}

static bool
slots_equal(const slot_t *a, const slot_t *b)
{
    return a->directory && a->directory == b->directory && strcmp(a->name, b->name) == 0;
}

static bool
depends(const name_change_t *a, const name_change_t *b)
{
    return slots_equal(&a->from, &b->from) || slots_equal(&a->from, &b->to) ||
           slots_equal(&a->to, &b->from) || slots_equal(&a->to, &b->to);
}

/* Move the chosen operations to the durable names, in order. */
static void
changes_apply_chosen(ch_simdisk_t *disk)
{
    size_t kept = 0;
    for (size_t i = 0; i < disk->change_count; i++) {
        name_change_t *change = &disk->changes[i];
        if (change->chosen && change->from.directory)
            names_remove(&change->from.directory->durable, change->from.name);
        if (change->chosen && change->to.directory)
            names_put(&change->to.directory->durable, change->to.name, change->node);
        if (!change->chosen)
            disk->changes[kept++] = *change;
    }
    disk->change_count = kept;
}

ch_status_t
ch_simdisk_open(ch_simdisk_t *disk, const char *path, unsigned flags,
                ch_simnode_t **node_out)
{
    slot_t slot;
    bool create = flags & CH_FS_CREATE;
    ch_simnode_t *node = NULL;
    if (find_slot(disk, path, &slot))
        node = slot_node(&slot);
    else if (create)
        return ch_fail(CH_ERR_IO, "open %s: no such directory", path);
    if (!node && !create)
        return ch_fail(CH_NOT_FOUND, "open %s: no such file", path);
    if (node && create && (flags & CH_FS_EXCLUSIVE))
        return ch_fail(CH_ERR_EXISTS, "open %s: it is there already", path);
    if (node && !node->file)
        return ch_fail(CH_ERR_IO, "open %s: not a regular file", path);
    if (!node) {
        node = node_new(disk, ch_simfile_new());
        change_names(disk, NULL, &slot, node);
    }
    node->uses++;
    *node_out = node;
    return CH_OK;
}

void
ch_simdisk_close(ch_simnode_t *node)
{
    CH_ASSERT(node->uses > 0);
    node->uses--;
}

ch_simfile_t *
ch_simdisk_file(ch_simnode_t *node)
{
    return node->file;
}

bool
ch_simdisk_lock(ch_simnode_t *node)
{
    bool free = !node->locked;
    node->locked = true;
    return free;
}

void
ch_simdisk_unlock(ch_simnode_t *node)
{
    node->locked = false;
}

ch_status_t
ch_simdisk_rename(ch_simdisk_t *disk, const char *from, const char *to)
{
    slot_t source, target;
    ch_simnode_t *node = find_slot(disk, from, &source) ? slot_node(&source) : NULL;
    if (!node || !find_slot(disk, to, &target))
        return ch_fail(CH_ERR_IO, "rename %s to %s: no such file or directory", from, to);
    ch_simnode_t *replaced = slot_node(&target);
    if (replaced && (!replaced->file || !node->file))
        return ch_fail(CH_ERR_IO, "rename %s to %s: is a directory", from, to);
    if (replaced != node)
        change_names(disk, &source, &target, node);
    return CH_OK;
}

ch_status_t
ch_simdisk_unlink(ch_simdisk_t *disk, const char *path)
{
    slot_t slot;
    ch_simnode_t *node = find_slot(disk, path, &slot) ? slot_node(&slot) : NULL;
    if (!node || (!node->file && node->live.count > 0))
        return ch_fail(CH_ERR_IO, "unlink %s: no such file, or a directory in use", path);
    change_names(disk, &slot, NULL, node);
    return CH_OK;
}

ch_status_t
ch_simdisk_link(ch_simdisk_t *disk, const char *from, const char *to)
{
    slot_t source, target;
    ch_simnode_t *node = find_slot(disk, from, &source) ? slot_node(&source) : NULL;
    if (!node || !node->file || !find_slot(disk, to, &target))
        return ch_fail(CH_ERR_IO, "link %s to %s: no such file or directory", from, to);
    if (slot_node(&target))
        return ch_fail(CH_ERR_EXISTS, "link %s to %s: it is there already", from, to);
    change_names(disk, NULL, &target, node);
    return CH_OK;
}

ch_status_t
ch_simdisk_links(ch_simdisk_t *disk, const char *path, uint64_t *count_out)
{
    slot_t slot;
    ch_simnode_t *node = find_slot(disk, path, &slot) ? slot_node(&slot) : NULL;
    if (!node || !node->file)
        return ch_fail(CH_ERR_IO, "links of %s: no such file", path);
    *count_out = 0;
    for (size_t i = 0; i < disk->node_count; i++)
        for (size_t n = 0; n < disk->nodes[i]->live.count; n++)
            *count_out += disk->nodes[i]->live.entries[n].node == node;
    return CH_OK;
}

ch_status_t
ch_simdisk_mkdir(ch_simdisk_t *disk, const char *path)
{
    slot_t slot;
    if (find_directory(disk, path))
        return CH_OK;
    if (!find_slot(disk, path, &slot))
        return ch_fail(CH_ERR_IO, "mkdir %s: no such directory above it", path);
    if (slot_node(&slot))
        return ch_fail(CH_ERR_EXISTS, "mkdir %s: a file has this name", path);
    change_names(disk, NULL, &slot, node_new(disk, NULL));
    return CH_OK;
}

ch_status_t
ch_simdisk_sync_dir(ch_simdisk_t *disk, const char *path)
{
    ch_simnode_t *directory = find_directory(disk, path);
    if (!directory)
        return ch_fail(CH_ERR_IO, "fsync directory %s: no such directory", path);
    for (size_t i = disk->change_count; i-- > 0;) {
        name_change_t *change = &disk->changes[i];
        change->chosen =
            change->from.directory == directory || change->to.directory == directory;
        for (size_t j = i + 1; !change->chosen && j < disk->change_count; j++)
            change->chosen =
                disk->changes[j].chosen && depends(change, &disk->changes[j]);
    }
    changes_apply_chosen(disk);
    collect(disk);
    return CH_OK;
}

ch_status_t
ch_simdisk_list(ch_simdisk_t *disk, const char *path, char ***names_out,
                size_t *count_out)
{
    ch_simnode_t *directory = find_directory(disk, path);
    if (!directory)
        return ch_fail(CH_ERR_IO, "open directory %s: no such directory", path);
    char **names = ch_calloc(directory->live.count + 1, sizeof *names);
    for (size_t i = 0; i < directory->live.count; i++)
        names[i] = ch_strdup(directory->live.entries[i].name);
    *names_out = names;
    *count_out = directory->live.count;
    return CH_OK;
}

ch_simfile_t *
ch_simdisk_find(ch_simdisk_t *disk, const char *path)
{
    slot_t slot;
    ch_simnode_t *node = find_slot(disk, path, &slot) ? slot_node(&slot) : NULL;
    return node ? node->file : NULL;
}

/* ---- the whole disk ---- */

/* A directory or file met on a walk, with the path that led there. */
typedef struct step {
    const ch_simnode_t *node;
    char *path;
} step_t;

static char *
path_join(const char *directory, const char *name)
{
    size_t size = strlen(directory) + strlen(name) + 2;
    char *path = ch_alloc(size);
    (void)snprintf(path, size, "%s%s%s", directory, *directory ? "/" : "", name);
    return path;
}

static int
path_compare(const void *a, const void *b)
{
    return strcmp(((const ch_simdisk_path_t *)a)->path,
                  ((const ch_simdisk_path_t *)b)->path);
}

void
ch_simdisk_files(const ch_simdisk_t *disk, ch_simdisk_path_t **paths_out,
                 size_t *count_out)
{
    step_t *steps = ch_calloc(disk->node_count, sizeof *steps);
    size_t step_count = 0, path_count = 0, name_count = 0;
    for (size_t i = 0; i < disk->node_count; i++) /* a file may have several names */
        name_count += disk->nodes[i]->live.count;
    ch_simdisk_path_t *paths = ch_calloc(name_count + 1, sizeof *paths);
    steps[step_count++] = (step_t){.node = disk->nodes[0], .path = ch_strdup("")};
    for (size_t next = 0; next < step_count; next++) {
        const names_t *names = &steps[next].node->live;
        for (size_t i = 0; i < names->count; i++) {
            const ch_simnode_t *node = names->entries[i].node;
            char *path = path_join(steps[next].path, names->entries[i].name);
            if (node->file)
                paths[path_count++] = (ch_simdisk_path_t){
                    .path = path, .size = ch_simfile_size(node->file)};
            else
                steps[step_count++] = (step_t){.node = node, .path = path};
        }
        ch_free(steps[next].path);
    }
    ch_free(steps);
    qsort(paths, path_count, sizeof *paths, path_compare);
    *paths_out = paths;
    *count_out = path_count;
}

uint64_t
ch_simdisk_used(const ch_simdisk_t *disk)
{
    mark_linked(disk);
    uint64_t used = 0;
    for (size_t i = 0; i < disk->node_count; i++) {
        const ch_simnode_t *node = disk->nodes[i];
        if (node->file && (node->linked || node->uses))
            used += ch_simfile_size(node->file);
    }
    return used;
}

size_t
ch_simdisk_unsynced(const ch_simdisk_t *disk)
{
    size_t unsynced = disk->change_count;
    for (size_t i = 0; i < disk->node_count; i++)
        if (disk->nodes[i]->file)
            unsynced += ch_simfile_unsynced(disk->nodes[i]->file);
    return unsynced;
}

static void
choose_names(ch_simdisk_t *disk, ch_simfs_crash_t mode, ch_rng_t *rng)
{
    for (size_t i = 0; i < disk->change_count; i++) {
        name_change_t *change = &disk->changes[i];
        change->chosen = mode == CH_SIMFS_KEEP_UNSYNCED ||
                         (mode == CH_SIMFS_RANDOM && ch_rng_below(rng, 2));
        for (size_t j = 0; change->chosen && j < i; j++)
            if (!disk->changes[j].chosen && depends(&disk->changes[j], change))
                change->chosen = false;
    }
}

void
ch_simdisk_crash(ch_simdisk_t *disk, ch_simfs_crash_t mode, ch_rng_t *rng)
{
    choose_names(disk, mode, rng);
    changes_apply_chosen(disk);
    disk->change_count = 0;
    for (size_t i = 0; i < disk->node_count; i++) {
        ch_simnode_t *node = disk->nodes[i];
        node->uses = 0;
        node->locked = false;
        names_clear(&node->live);
        for (size_t j = 0; j < node->durable.count; j++)
            names_put(&node->live, node->durable.entries[j].name,
                      node->durable.entries[j].node);
        if (node->file)
            ch_simfile_crash(node->file, mode, rng);
    }
    collect(disk);
}
