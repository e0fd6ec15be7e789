/* manifest.c - which tables are live, and up to which lsn.
 *
 * Problem     A flush adds a file and retires WAL segments; a crash must show all of it or none.
 * Idea        A log of edits, each checksummed and synced; an edit happened iff it reads back whole.
 * Invariant   Every file that a synced edit names is complete, synced, and its name is too.
 * Crash       A torn last edit never happened: its files are strays, reported and removed at start.
 * Damage      An edit is followed by an empty one once it is durable. A bad edit with a whole one
 *             behind it is therefore damage and stops the start; cutting it off would lose a flush
 *             whose WAL is gone.
 */
#include "db/manifest.h"

#include "ch/alloc.h"
#include "ch/assert.h"
#include "ch/checksum.h"
#include "ch/coding.h"

#include <pthread.h>
#include <stdlib.h>

enum {
    FILE_HEADER_BYTES = 32,
    EDIT_HEADER_BYTES = 16,
    FORMAT_VERSION = 1,
    EDIT_BYTES_MAX = 256 << 20, /* a million sessions fit; a flipped length does not */
    REWRITE_BYTES = 4 << 20,
    TABLES_MAX = 1 << 20,
    TOMBSTONES_MAX = 4 * CH_TOMBSTONES_MAX,
};

enum {
    TAG_ADD = 1,
    TAG_REMOVE = 2,
    TAG_FLUSHED = 3,
    TAG_NEXT_FILE = 4,
    TAG_TERM = 5,
    TAG_SESSIONS = 6,
    TAG_TOMBSTONE = 7,
    TAG_ERASED = 8,
};

struct ch_manifest {
    ch_fs_t *fs;
    char *dir;
    ch_file_t *file;
    uint64_t offset;        /* where the next edit goes; read by anybody: move_to */
    uint64_t evidence_lost; /* where the last lost evidence should stand; 0: none was */
    uint64_t base_bytes;    /* size after the last rewrite */
    ch_manifest_state_t state;
    ch_session_map_t *sessions; /* as of the flushed position; owned */
    bool failed;
    pthread_mutex_t
        lock; /* held by apply and freeze, also over what they do on the disk */
};

static void
move_to(ch_manifest_t *manifest, uint64_t offset)
{
    __atomic_store_n(&manifest->offset, offset, __ATOMIC_RELAXED);
}

const ch_manifest_state_t *
ch_manifest_state(const ch_manifest_t *manifest)
{
    return &manifest->state;
}

uint64_t
ch_manifest_bytes(const ch_manifest_t *manifest)
{
    return __atomic_load_n(&manifest->offset, __ATOMIC_RELAXED);
}

uint64_t
ch_manifest_evidence_lost(const ch_manifest_t *manifest)
{
    return manifest->evidence_lost;
}

void
ch_manifest_destroy(ch_manifest_t **manifest)
{
    if (!*manifest)
        return;
    ch_fs_close(&(*manifest)->file);
    ch_session_map_destroy(&(*manifest)->sessions);
    for (size_t i = 0; i < (*manifest)->state.tombstone_count; i++)
        ch_tombstone_text_release(&(*manifest)->state.tombstones[i]);
    ch_free((*manifest)->state.tombstones);
    ch_free((*manifest)->state.tables);
    ch_free((*manifest)->dir);
    (void)pthread_mutex_destroy(&(*manifest)->lock);
    ch_free(ch_take(manifest));
}

static char *
path_in(const char *dir, const char *name)
{
    size_t size = strlen(dir) + strlen(name) + 2;
    char *path = ch_alloc(size);
    memcpy(path, dir, strlen(dir));
    path[strlen(dir)] = '/';
    memcpy(path + strlen(dir) + 1, name, strlen(name) + 1);
    return path;
}

/* ---- the state that edits add up to ---- */

/* By lsn. Edits come in that order, so the place is at the end or near it. */
static void
add_table(ch_manifest_state_t *state, const ch_manifest_table_t *table)
{
    size_t count = state->table_count++, at = count;
    if ((count & (count - 1)) == 0) /* room for as many again */
        state->tables =
            ch_realloc(state->tables, (count ? 2 * count : 1) * sizeof *state->tables);
    while (at > 0 && state->tables[at - 1].info.lsn_max > table->info.lsn_max)
        at--;
    memmove(&state->tables[at + 1], &state->tables[at],
            (count - at) * sizeof *state->tables);
    state->tables[at] = *table;
}

static bool
remove_table(ch_manifest_state_t *state, uint64_t file_number)
{
    for (size_t i = 0; i < state->table_count; i++) {
        if (state->tables[i].info.file_number != file_number)
            continue;
        memmove(&state->tables[i], &state->tables[i + 1],
                (state->table_count - i - 1) * sizeof *state->tables);
        state->table_count--;
        return true;
    }
    return false;
}

static ch_manifest_table_t *
find_table(ch_manifest_state_t *state, uint64_t file_number)
{
    for (size_t i = 0; i < state->table_count; i++)
        if (state->tables[i].info.file_number == file_number)
            return &state->tables[i];
    return NULL;
}

static bool
add_tombstone(ch_manifest_state_t *state, const ch_tombstone_text_t *text)
{
    if (state->tombstone_count == TOMBSTONES_MAX)
        return false;
    state->tombstones = ch_realloc(state->tombstones, (state->tombstone_count + 1) *
                                                          sizeof *state->tombstones);
    state->tombstones[state->tombstone_count++] = ch_tombstone_text_copy(text);
    return true;
}

static bool
tombstone_ended(const ch_manifest_state_t *state, size_t at)
{
    const ch_tombstone_text_t *text = &state->tombstones[at];
    for (size_t i = at + 1; i < state->tombstone_count; i++)
        if (ch_tombstone_text_covers(&state->tombstones[i], text))
            return true;
    for (size_t i = 0; i < state->table_count; i++) {
        const ch_manifest_table_t *table = &state->tables[i];
        if (text->lsn > ch_manifest_erased_lsn(table) &&
            ch_tombstone_text_overlaps(text, table->info.time_min, table->info.time_max))
            return false;
    }
    return true;
}

/* The rule of tombstone.h; who reads edits and who writes them come to the same. */
static void
end_tombstones(ch_manifest_state_t *state)
{
    size_t kept = 0;
    for (size_t i = 0; i < state->tombstone_count; i++) {
        if (tombstone_ended(state, i))
            ch_tombstone_text_release(&state->tombstones[i]);
        else
            state->tombstones[kept++] = state->tombstones[i];
    }
    state->tombstone_count = kept;
}

/* ---- edits to bytes and back ---- */

static void
put_byte(ch_text_t *out, uint8_t byte)
{
    ch_text_append(out, &byte, 1);
}

static void
put(ch_text_t *out, uint64_t value)
{
    uint8_t bytes[CH_VARINT_BYTES_MAX];
    ch_text_append(out, bytes, (size_t)(ch_varint_put(bytes, value) - bytes));
}

static void
put_table(ch_text_t *out, const ch_manifest_table_t *table)
{
    const ch_sstable_info_t *info = &table->info;
    put_byte(out, TAG_ADD);
    put(out, info->file_number);
    put(out, table->level);
    put(out, info->file_bytes);
    put(out, info->lsn_min);
    put(out, info->lsn_max);
    put(out, ch_zigzag(info->time_min));
    put(out, ch_zigzag(info->time_max));
    put(out, info->series);
    put(out, info->points);
    if (table->erased_lsn <= info->lsn_max)
        return;
    put_byte(out, TAG_ERASED);
    put(out, info->file_number);
    put(out, table->erased_lsn);
}

static void
put_tagged(ch_text_t *out, uint8_t tag, uint64_t value)
{
    put_byte(out, tag);
    put(out, value);
}

static void
encode_edit(const ch_manifest_edit_t *edit, ch_text_t *out)
{
    for (size_t i = 0; i < edit->add_count; i++)
        put_table(out, &edit->add[i]);
    for (size_t i = 0; i < edit->remove_count; i++)
        put_tagged(out, TAG_REMOVE, edit->remove[i]);
    if (edit->flushed_lsn)
        put_tagged(out, TAG_FLUSHED, edit->flushed_lsn);
    if (edit->next_file)
        put_tagged(out, TAG_NEXT_FILE, edit->next_file);
    if (edit->term)
        put_tagged(out, TAG_TERM, edit->term);
    for (size_t i = 0; i < edit->tombstone_count; i++) {
        put_byte(out, TAG_TOMBSTONE);
        ch_tombstone_text_encode(&edit->tombstones[i], out);
    }
    if (edit->sessions.size) {
        put_byte(out, TAG_SESSIONS);
        ch_text_append(out, edit->sessions.data, edit->sessions.size);
    }
}

static const uint8_t *
get_table(const uint8_t *at, const uint8_t *end, ch_manifest_table_t *table)
{
    uint64_t fields[9];
    for (int i = 0; i < 9; i++) {
        at = ch_varint_get(at, end, &fields[i]);
        if (!at)
            return NULL;
    }
    *table = (ch_manifest_table_t){
        .info = {.file_number = fields[0],
                 .file_bytes = fields[2],
                 .lsn_min = fields[3],
                 .lsn_max = fields[4],
                 .time_min = ch_unzigzag(fields[5]),
                 .time_max = ch_unzigzag(fields[6]),
                 .series = fields[7],
                 .points = fields[8]},
        .level = (uint32_t)fields[1],
    };
    return at;
}

static const uint8_t *
apply_tombstone(ch_manifest_state_t *state, const uint8_t *at, const uint8_t *end)
{
    ch_tombstone_text_t text;
    at = ch_tombstone_text_decode(at, end, &text);
    if (!at)
        return NULL;
    bool added = add_tombstone(state, &text);
    ch_tombstone_text_release(&text);
    return added ? at : NULL;
}

static const uint8_t *
apply_erased(ch_manifest_state_t *state, const uint8_t *at, const uint8_t *end)
{
    uint64_t file_number, lsn;
    at = ch_varint_get(at, end, &file_number);
    at = at ? ch_varint_get(at, end, &lsn) : NULL;
    ch_manifest_table_t *table = at ? find_table(state, file_number) : NULL;
    if (!table)
        return NULL;
    table->erased_lsn = lsn;
    return at;
}

/* One field; NULL when it does not decode or makes no sense. */
static const uint8_t *
apply_field(ch_manifest_t *manifest, const uint8_t *at, const uint8_t *end)
{
    ch_manifest_state_t *state = &manifest->state;
    uint8_t tag = *at++;
    uint64_t value = 0;
    if (tag == TAG_ADD) {
        ch_manifest_table_t table;
        at = get_table(at, end, &table);
        if (at)
            add_table(state, &table);
        return at;
    }
    if (tag == TAG_SESSIONS)
        return ch_session_map_restore(manifest->sessions, &at, end) < 0 ? NULL : at;
    if (tag == TAG_TOMBSTONE)
        return apply_tombstone(state, at, end);
    if (tag == TAG_ERASED)
        return apply_erased(state, at, end);
    at = ch_varint_get(at, end, &value);
    if (!at)
        return NULL;
    switch (tag) {
    case TAG_REMOVE:
        return remove_table(state, value) ? at : NULL;
    case TAG_FLUSHED:
        state->flushed_lsn = value;
        return at;
    case TAG_NEXT_FILE:
        state->next_file = value;
        return at;
    case TAG_TERM:
        state->term = value;
        return at;
    default:
        return NULL;
    }
}

static ch_status_t
apply_body(ch_manifest_t *manifest, ch_bytes_t body, uint64_t offset)
{
    const uint8_t *at = body.data, *end = body.data + body.size;
    while (at < end) {
        if (*at == TAG_ADD && manifest->state.table_count == TABLES_MAX)
            return ch_fail(CH_ERR_LIMIT,
                           "%s/manifest: the edit at byte %llu names a table beyond the "
                           "%d that there may be",
                           manifest->dir, (unsigned long long)offset, TABLES_MAX);
        at = apply_field(manifest, at, end);
        if (!at)
            return ch_fail(
                CH_ERR_VERSION,
                "%s/manifest: the edit at byte %llu has a field this version does not "
                "know; was the directory written by a newer version?",
                manifest->dir, (unsigned long long)offset);
    }
    end_tombstones(&manifest->state);
    return CH_OK;
}

/* ---- reading ---- */

static uint64_t
edit_seed(uint64_t cluster, uint64_t offset, uint64_t length)
{
    return ch_seed(cluster, offset, length, 0);
}

/* Is there a whole edit at `offset`? */
static bool
edit_at(ch_bytes_t file, uint64_t cluster, size_t offset, ch_bytes_t *body_out)
{
    if (file.size - offset < EDIT_HEADER_BYTES ||
        memcmp(file.data + offset, "CHME", 4) != 0)
        return false;
    uint32_t length = ch_load_u32(file.data + offset + 4);
    if (length > EDIT_BYTES_MAX || length > file.size - offset - EDIT_HEADER_BYTES)
        return false;
    const uint8_t *body = file.data + offset + EDIT_HEADER_BYTES;
    if (ch_hash64(body, length, edit_seed(cluster, offset, length)) !=
        ch_load_u64(file.data + offset + 8))
        return false;
    *body_out = ch_bytes(body, length);
    return true;
}

static bool
edit_after(ch_bytes_t file, uint64_t cluster, size_t offset, size_t *found_out)
{
    ch_bytes_t body;
    for (size_t at = offset + 1; at + EDIT_HEADER_BYTES <= file.size; at++)
        if (file.data[at] == 'C' && edit_at(file, cluster, at, &body)) {
            *found_out = at;
            return true;
        }
    return false;
}

/* Evidence is not synced: a power loss may take it, or the part of it that lies in the sector before,
 * and leave the next edit, of the same sync, whole. Nothing else is so short; it says nothing. */
static bool
evidence_lost(ch_manifest_t *manifest, ch_bytes_t file, size_t *offset, ch_bytes_t *body)
{
    if (file.size - *offset < EDIT_HEADER_BYTES ||
        !edit_at(file, manifest->state.cluster, *offset + EDIT_HEADER_BYTES, body))
        return false;
    manifest->evidence_lost = *offset;
    *offset += EDIT_HEADER_BYTES;
    return true;
}

static ch_status_t
read_edits(ch_manifest_t *manifest, ch_bytes_t file)
{
    size_t offset = FILE_HEADER_BYTES, next = 0;
    ch_bytes_t body;
    while (offset < file.size && (edit_at(file, manifest->state.cluster, offset, &body) ||
                                  evidence_lost(manifest, file, &offset, &body))) {
        ch_status_t status = apply_body(manifest, body, offset);
        if (status < 0)
            return status;
        offset += EDIT_HEADER_BYTES + body.size;
    }
    move_to(manifest, offset);
    if (offset < file.size && edit_after(file, manifest->state.cluster, offset, &next))
        return ch_fail(
            CH_ERR_CORRUPT,
            "%s/manifest: bytes %zu to %zu are damaged (a whole edit follows); restore "
            "the file from a copy",
            manifest->dir, offset, next);
    return CH_OK;
}

static ch_status_t
read_header(ch_manifest_t *manifest, ch_bytes_t file)
{
    if (file.size < FILE_HEADER_BYTES || memcmp(file.data, "CHMF", 4) != 0 ||
        ch_hash64(file.data, 24, 0) != ch_load_u64(file.data + 24))
        return ch_fail(CH_ERR_CORRUPT,
                       "%s/manifest: bytes 0 to 32, the header, are damaged",
                       manifest->dir);
    uint32_t version = ch_load_u32(file.data + 4);
    if (version != FORMAT_VERSION)
        return ch_fail(CH_ERR_VERSION,
                       "%s/manifest has format version %u; this program knows %d",
                       manifest->dir, version, FORMAT_VERSION);
    manifest->state.cluster = ch_load_u64(file.data + 8);
    return CH_OK;
}

static ch_status_t
read_file(ch_manifest_t *manifest, const char *path)
{
    ch_file_t *file = NULL;
    uint8_t *bytes = NULL;
    uint64_t size = 0;
    ch_status_t status = ch_fs_open(manifest->fs, path, CH_FS_READ, &file);
    if (status != CH_OK)
        goto done;
    status = ch_fs_size(file, &size);
    if (status < 0)
        goto done;
    bytes = size < (1ull << 32) ? ch_try_alloc(size + 1) : NULL;
    if (!bytes) {
        status = ch_fail(CH_ERR_LIMIT, "%s: %llu bytes do not fit in memory", path,
                         (unsigned long long)size);
        goto done;
    }
    status = ch_fs_read_exact(file, 0, bytes, size);
    if (status >= 0)
        status = read_header(manifest, ch_bytes(bytes, size));
    if (status >= 0)
        status = read_edits(manifest, ch_bytes(bytes, size));
done:
    ch_free(bytes);
    ch_fs_close(&file);
    return status;
}

/* ---- writing ---- */

static ch_status_t
write_edit(ch_manifest_t *manifest, ch_file_t *file, uint64_t offset, ch_bytes_t body)
{
    uint8_t *bytes = ch_alloc(EDIT_HEADER_BYTES + body.size);
    memcpy(bytes, "CHME", 4);
    ch_store_u32(bytes + 4, (uint32_t)body.size);
    ch_store_u64(bytes + 8,
                 ch_hash64(body.data, body.size,
                           edit_seed(manifest->state.cluster, offset, body.size)));
    if (body.size)
        memcpy(bytes + EDIT_HEADER_BYTES, body.data, body.size);
    ch_status_t status = ch_fs_write(file, offset, bytes, EDIT_HEADER_BYTES + body.size);
    ch_free(bytes);
    return status;
}

static void
encode_state(ch_manifest_t *manifest, ch_text_t *out)
{
    const ch_manifest_state_t *state = &manifest->state;
    ch_text_t sessions = {0};
    ch_session_map_capture(manifest->sessions, true, &sessions);
    ch_manifest_edit_t edit = {
        .add = state->tables,
        .add_count = state->table_count,
        .flushed_lsn = state->flushed_lsn,
        .next_file = state->next_file,
        .term = state->term,
        .sessions = ch_text_bytes(&sessions),
        .tombstones = state->tombstones,
        .tombstone_count = state->tombstone_count,
    };
    encode_edit(&edit, out);
    ch_text_release(&sessions);
}

static ch_status_t
write_new_file(ch_manifest_t *manifest, ch_file_t *file, ch_bytes_t body)
{
    uint8_t header[FILE_HEADER_BYTES] = {0};
    memcpy(header, "CHMF", 4);
    ch_store_u32(header + 4, FORMAT_VERSION);
    ch_store_u64(header + 8, manifest->state.cluster);
    ch_store_u64(header + 24, ch_hash64(header, 24, 0));
    ch_status_t status = ch_fs_truncate(file, 0);
    if (status >= 0)
        status = ch_fs_write(file, 0, header, sizeof header);
    if (status >= 0)
        status = write_edit(manifest, file, FILE_HEADER_BYTES, body);
    if (status >= 0)
        status = ch_fs_sync(file);
    return status;
}

/* From here on there is no way back: the name leads to the new file. */
static ch_status_t
put_in_place(ch_manifest_t *manifest, const char *temporary, const char *path)
{
    ch_status_t status = ch_fs_rename(manifest->fs, temporary, path);
    if (status < 0)
        return status;
    status = ch_fs_sync_dir(manifest->fs, manifest->dir);
    return status == CH_ERR_NOSPACE ? CH_ERR_IO : status;
}

/* What stands before `offset` is durable: say so behind it. Without room it stays unsaid. */
static ch_status_t
write_evidence(ch_manifest_t *manifest)
{
    ch_status_t status =
        write_edit(manifest, manifest->file, manifest->offset, ch_bytes(NULL, 0));
    if (status >= 0)
        move_to(manifest, manifest->offset + EDIT_HEADER_BYTES);
    return status == CH_ERR_NOSPACE ? CH_OK : status;
}

/* A new file of one edit in the old one's place. CH_ERR_NOSPACE: the old one stays. */
static ch_status_t
write_file(ch_manifest_t *manifest, ch_bytes_t body)
{
    char *temporary = path_in(manifest->dir, "manifest.tmp");
    char *path = path_in(manifest->dir, "manifest");
    ch_file_t *file = NULL;
    ch_status_t status =
        ch_fs_open(manifest->fs, temporary, CH_FS_WRITE | CH_FS_CREATE, &file);
    if (status >= 0)
        status = write_new_file(manifest, file, body);
    if (status >= 0)
        status = put_in_place(manifest, temporary, path);
#ifdef CH_FAULT_MANIFEST_KEEPS_OLD_FILE
    if (manifest->file)
        status = status < 0 ? status : CH_ERR_NOSPACE;
#endif
    if (status >= 0) {
        ch_fs_close(&manifest->file);
        manifest->file = ch_take(&file);
        manifest->base_bytes = FILE_HEADER_BYTES + EDIT_HEADER_BYTES + body.size;
        move_to(manifest, manifest->base_bytes);
        status = write_evidence(manifest);
    }
    ch_fs_close(&file);
    ch_free(temporary);
    ch_free(path);
    return status;
}

/* Everything as one edit. */
static ch_status_t
rewrite(ch_manifest_t *manifest)
{
    ch_text_t body = {0};
    encode_state(manifest, &body);
    ch_status_t status = write_file(manifest, ch_text_bytes(&body));
    ch_text_release(&body);
    return status;
}

/* Sessions of the state go to the engine's own map as well. */
static ch_status_t
copy_sessions(ch_manifest_t *manifest, ch_session_map_t *to)
{
    ch_text_t text = {0};
    ch_session_map_capture(manifest->sessions, true, &text);
    const uint8_t *at = (const uint8_t *)text.data;
    ch_status_t status = ch_session_map_restore(to, &at, at + text.size);
    ch_text_release(&text);
    return status;
}

ch_status_t
ch_manifest_open(ch_fs_t *fs, const char *dir, uint64_t cluster,
                 ch_session_map_t *sessions, ch_manifest_t **manifest_out)
{
    ch_manifest_t *manifest = ch_calloc(1, sizeof *manifest);
    (void)pthread_mutex_init(&manifest->lock, NULL);
    manifest->fs = fs;
    manifest->dir = ch_strdup(dir);
    manifest->sessions = ch_session_map_new();
    char *path = path_in(dir, "manifest");
    ch_status_t status = read_file(manifest, path);
    if (status == CH_NOT_FOUND) {
        manifest->state.cluster = cluster;
        manifest->state.next_file = 1;
        manifest->state.term = 1;
        status = CH_OK;
    }
    if (status >= 0)
        status = copy_sessions(manifest, sessions);
    if (status >= 0)
        *manifest_out = ch_take(&manifest);
    ch_free(path);
    ch_manifest_destroy(&manifest);
    return status;
}

ch_status_t
ch_manifest_begin(ch_manifest_t *manifest)
{
    return rewrite(manifest);
}

/* Cut off a half-written edit, for good. */
static ch_status_t
take_back(ch_manifest_t *manifest)
{
    ch_status_t status = ch_fs_truncate(manifest->file, manifest->offset);
    if (status >= 0)
        status = ch_fs_sync(manifest->file);
    return status;
}

/* Write and sync. What found no room did not happen, whatever of it was written: the caller takes back
 * the files that the edit names, and no crash may bring it back. After any other failure, and after a
 * failed sync, nobody knows what the file holds. */
static ch_status_t
append_edit(ch_manifest_t *manifest, ch_bytes_t body)
{
    ch_status_t status = write_edit(manifest, manifest->file, manifest->offset, body);
    if (status == CH_ERR_NOSPACE && take_back(manifest) >= 0)
        return status;
#ifndef CH_FAULT_MANIFEST_NO_SYNC
    if (status >= 0)
        status = ch_fs_sync(manifest->file);
#endif
    if (status >= 0)
        status = apply_body(manifest, body, manifest->offset);
    if (status < 0) {
        manifest->failed = true;
        return status == CH_ERR_NOSPACE ? CH_ERR_IO : status;
    }
    move_to(manifest, manifest->offset + EDIT_HEADER_BYTES + body.size);
    return CH_OK;
}

/* The edit is durable; what fails here leaves a file that must not be written to. */
static ch_status_t
settle_edit(ch_manifest_t *manifest)
{
    ch_status_t status = write_evidence(manifest);
    if (status >= 0 && manifest->offset > manifest->base_bytes + REWRITE_BYTES)
        status = rewrite(manifest);
    if (status >= 0 || status == CH_ERR_NOSPACE)
        return CH_OK; /* no room for a new file: the old one goes on */
    manifest->failed = true;
    return status;
}

static ch_status_t
apply_locked(ch_manifest_t *manifest, const ch_manifest_edit_t *edit)
{
    if (manifest->failed)
        return ch_fail(CH_ERR_CLOSED, "manifest: an earlier write failed");
    CH_ASSERT(manifest->file);
    if (edit->add_count > TABLES_MAX - manifest->state.table_count)
        return ch_fail(CH_ERR_LIMIT, "%s/manifest: there are %zu tables, and %d at most",
                       manifest->dir, manifest->state.table_count, TABLES_MAX);
    ch_text_t body = {0};
    encode_edit(edit, &body);
    ch_status_t status = append_edit(manifest, ch_text_bytes(&body));
    if (status >= 0)
        status = settle_edit(manifest);
    ch_text_release(&body);
    return status;
}

ch_status_t
ch_manifest_apply(ch_manifest_t *manifest, const ch_manifest_edit_t *edit)
{
    (void)pthread_mutex_lock(&manifest->lock);
    ch_status_t status = apply_locked(manifest, edit);
    (void)pthread_mutex_unlock(&manifest->lock);
    return status;
}

/* ---- for another directory ---- */

ch_status_t
ch_manifest_freeze(ch_manifest_t *manifest,
                   ch_status_t (*visit)(void *context, const ch_manifest_table_t *table),
                   void *context, ch_text_t *image, uint64_t *flushed_lsn_out)
{
    ch_status_t status = CH_OK;
    (void)pthread_mutex_lock(&manifest->lock);
    const ch_manifest_state_t *state = &manifest->state;
    for (size_t i = 0; status == CH_OK && i < state->table_count; i++)
        status = visit(context, &state->tables[i]);
    if (status == CH_OK) {
        encode_state(manifest, image);
        *flushed_lsn_out = state->flushed_lsn;
    }
    (void)pthread_mutex_unlock(&manifest->lock);
    return status;
}

ch_status_t
ch_manifest_write_image(ch_fs_t *fs, const char *dir, uint64_t cluster, ch_bytes_t image)
{
    ch_manifest_t manifest = {
        .fs = fs, .dir = ch_strdup(dir), .state = {.cluster = cluster}};
    ch_status_t status = write_file(&manifest, image);
    ch_fs_close(&manifest.file);
    ch_free(manifest.dir);
    return status;
}
