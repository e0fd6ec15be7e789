/* What the manifest's reader makes of a file: a first byte of 0 mod 2, the rest is the file; else it is the
 * bodies of edits, each behind a length of two bytes, which are given their headers and checksums
 * here. What reads well is written anew and must read the same. */
#include "ch/alloc.h"
#include "ch/checksum.h"
#include "ch/coding.h"
#include "db/manifest.h"
#include "support/simfs.h"

enum { CLUSTER = 42, FILE_HEADER_BYTES = 32, EDIT_HEADER_BYTES = 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
put_header(ch_text_t *file)
{
    uint8_t header[FILE_HEADER_BYTES] = {'C', 'H', 'M', 'F', 1};
    ch_store_u64(header + 8, CLUSTER);
    ch_store_u64(header + 24, ch_hash64(header, 24, 0));
    ch_text_append(file, header, sizeof header);
}

static void
put_edit(ch_text_t *file, ch_bytes_t body)
{
    uint8_t header[EDIT_HEADER_BYTES] = {'C', 'H', 'M', 'E'};
    uint64_t seed = ch_seed(CLUSTER, file->size, body.size, 0);
    ch_store_u32(header + 4, (uint32_t)body.size);
    ch_store_u64(header + 8, ch_hash64(body.data, body.size, seed));
    ch_text_append(file, header, sizeof header);
    ch_text_append(file, body.data, body.size);
}

static void
build(ch_text_t *file, ch_bytes_t input)
{
    put_header(file);
    while (input.size >= 2) {
        size_t length = (size_t)input.data[0] << 8 | input.data[1];
        length = length < input.size - 2 ? length : input.size - 2;
        put_edit(file, ch_bytes(input.data + 2, length));
        input = ch_bytes(input.data + 2 + length, input.size - 2 - length);
    }
}

static void
write_file(ch_fs_t *fs, ch_bytes_t bytes)
{
    ch_file_t *file = NULL;
    if (ch_fs_open(fs, "manifest", CH_FS_WRITE | CH_FS_CREATE, &file) < 0 ||
        ch_fs_write(file, 0, bytes.data, bytes.size) < 0)
        __builtin_trap(); /* memory takes it */
    ch_fs_close(&file);
}

/* All that the state says, as bytes; empty when it does not open. */
static void
read_state(ch_fs_t *fs, bool write_anew, ch_text_t *said)
{
    ch_session_map_t *sessions = ch_session_map_new();
    ch_manifest_t *manifest = NULL;
    ch_text_reset(said);
    ch_status_t status = ch_manifest_open(fs, "/", CLUSTER, sessions, &manifest);
    if (status < 0 && status != CH_ERR_CORRUPT && status != CH_ERR_VERSION)
        __builtin_trap();
    if (status >= 0) {
        const ch_manifest_state_t *state = ch_manifest_state(manifest);
        const uint64_t numbers[] = {state->cluster, state->term, state->flushed_lsn,
                                    state->next_file, state->table_count};
        ch_text_append(said, numbers, sizeof numbers);
        for (size_t i = 0; i < state->table_count; i++) {
            const ch_sstable_info_t *info = &state->tables[i].info;
            const uint64_t table[] = {state->tables[i].level,
                                      info->file_number,
                                      info->lsn_min,
                                      info->lsn_max,
                                      (uint64_t)info->time_min,
                                      (uint64_t)info->time_max,
                                      info->points};
            ch_text_append(said, table, sizeof table);
        }
        ch_session_map_capture(sessions, false, said);
        if (write_anew && ch_manifest_begin(manifest) < 0)
            __builtin_trap();
    }
    ch_manifest_destroy(&manifest);
    ch_session_map_destroy(&sessions);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    ch_text_t file = {0}, before = {0}, after = {0};
    ch_simfs_t *simfs = ch_simfs_new(1);
    if (data[0] % 2 == 0)
        ch_text_append(&file, data + 1, size - 1);
    else
        build(&file, ch_bytes(data + 1, size - 1));
    write_file(ch_simfs_fs(simfs), ch_text_bytes(&file));
    read_state(ch_simfs_fs(simfs), true, &before);
    if (before.size > 0) {
        read_state(ch_simfs_fs(simfs), false, &after);
        if (!ch_bytes_equal(ch_text_bytes(&before), ch_text_bytes(&after)))
            __builtin_trap();
    }
    ch_simfs_destroy(&simfs);
    ch_text_release(&file);
    ch_text_release(&before);
    ch_text_release(&after);
    return 0;
}
