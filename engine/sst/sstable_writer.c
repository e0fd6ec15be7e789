/* sstable_writer.c - series in key order become a sorted table file.
 *
 * Problem     Half a table must never be taken for a table, and a label set that ten fields share
 *             must be stored once although its series stand far apart in key order.
 * Idea        All goes to `<path>.tmp`; the name `<path>` appears by a rename after the sync of the
 *             data. Keys are cut in head and tail; the tails seen are interned, and get their
 *             numbers when the last series has come.
 * Invariant   What stands under `path` is complete and synced.
 * Crash       Before the rename a stray `.tmp` is left, which the start of the engine removes.
 * Limitation  Memory grows with the distinct label sets (their text) and with the series (20 bytes).
 */
#include "sst/sstable.h"

#include <stdio.h>

#include "ch/alloc.h"
#include "ch/assert.h"
#include "ch/limits.h"
#include "sst/bloom.h"
#include "sst/dictionary.h"
#include "sst/sstable_index.h"
#include "sst/sstable_writer_part.h"
#include "sst/text_set.h"

enum {
    WRITER_MAGIC = 0x77737468,
    WRITE_BYTES = 256 * 1024, /* a write call: large, so that it is rare */
    SYNC_BYTES = 8 << 20, /* where pieces do not go out as they come (ch_fs_write_out):
                                 small, so that a sync of the log does not wait long */
    BLOOM_BITS_PER_KEY = 10,
    SERIES_EXPECTED_MAX = 1 << 20, /* memory taken on trust */
};

struct ch_sstable_writer {
    uint32_t magic;
    ch_fs_t *fs;
    ch_file_t *file;
    char *path, *tmp_path;
    bool tmp_exists;
    bool failed; /* a call on the file failed: nothing but destroy makes sense */
    bool finished;

    ch_text_t out;    /* not yet written */
    uint64_t written; /* offset where `out` belongs */
    uint64_t synced;
    ch_sstable_info_t info;
    uint64_t chunks;

    ch_column_scratch_t *column_scratch;
    ch_block_builder_t *block;
    ch_sst_index_builder_t index;
    uint64_t rank_last_block; /* last rank of the block before, UINT64_MAX: none */

    ch_text_t head, tail, last_head, last_tail;
    ch_text_set_t *heads, *tails;
    ch_key_pair_t *pairs; /* tail: number in `tails`, its rank in the end */
    uint64_t *hashes;
    size_t series_capacity;

    uint64_t series_points; /* of the open series */
    int64_t series_last;    /* its last time */
};

static void
grow_series(ch_sstable_writer_t *writer, size_t capacity)
{
    writer->series_capacity = capacity;
    writer->pairs = ch_realloc(writer->pairs, capacity * sizeof *writer->pairs);
    writer->hashes = ch_realloc(writer->hashes, capacity * sizeof *writer->hashes);
}

ch_status_t
ch_sstable_writer_open(ch_fs_t *fs, const char *path, uint64_t file_number,
                       const ch_sstable_writer_options_t *options,
                       ch_sstable_writer_t **writer_out)
{
    uint64_t series_expected = options->series_expected;
    ch_sstable_writer_t *writer = ch_calloc(1, sizeof *writer);
    writer->magic = WRITER_MAGIC;
    writer->fs = fs;
    writer->info.file_number = file_number;
    writer->rank_last_block = UINT64_MAX;
    writer->path = ch_strdup(path);
    size_t tmp_size = strlen(path) + sizeof ".tmp";
    writer->tmp_path = ch_alloc(tmp_size);
    snprintf(writer->tmp_path, tmp_size, "%s.tmp", path);
    writer->column_scratch = ch_column_scratch_new();
    writer->block = ch_block_builder_new(options->level);
    writer->heads = ch_text_set_new();
    writer->tails = ch_text_set_new();
    grow_series(writer, series_expected < 64                    ? 64
                        : series_expected > SERIES_EXPECTED_MAX ? SERIES_EXPECTED_MAX
                                                                : series_expected);
    ch_status_t status =
        ch_fs_open(fs, writer->tmp_path, CH_FS_WRITE | CH_FS_CREATE, &writer->file);
    if (status < 0)
        goto done;
    writer->tmp_exists = true;
    status = ch_fs_truncate(writer->file, 0); /* of a stray of the same name */
    if (status >= 0)
        *writer_out = ch_take(&writer);
done:
    ch_sstable_writer_destroy(&writer);
    return status;
}

/* The text of the failure that led here is worth more than that of the clean-up. */
static void
remove_temporary(ch_sstable_writer_t *writer)
{
    char *text = ch_strdup(ch_fail_text());
    if (ch_fs_unlink(writer->fs, writer->tmp_path) < 0) /* a stray at worst */
        (void)ch_fail(CH_ERR_IO, "%s", text);
    ch_free(text);
}

void
ch_sstable_writer_destroy(ch_sstable_writer_t **writer_in)
{
    ch_sstable_writer_t *writer = *writer_in;
    if (!writer)
        return;
    CH_ASSERT(writer->magic == WRITER_MAGIC);
    ch_fs_close(&writer->file);
    if (writer->tmp_exists)
        remove_temporary(writer);
    ch_free(writer->path);
    ch_free(writer->tmp_path);
    ch_text_release(&writer->out);
    ch_column_scratch_destroy(&writer->column_scratch);
    ch_block_builder_destroy(&writer->block);
    ch_sst_index_builder_release(&writer->index);
    ch_text_release(&writer->head);
    ch_text_release(&writer->tail);
    ch_text_release(&writer->last_head);
    ch_text_release(&writer->last_tail);
    ch_text_set_destroy(&writer->heads);
    ch_text_set_destroy(&writer->tails);
    ch_free(writer->pairs);
    ch_free(writer->hashes);
    writer->magic = 0;
    ch_free(writer);
    *writer_in = NULL;
}

static uint64_t
offset_now(const ch_sstable_writer_t *writer)
{
    return writer->written + writer->out.size;
}

/* Hand `out` to the file when it is large, or `force`d. */
static ch_status_t
flush_out(ch_sstable_writer_t *writer, bool force)
{
    if (writer->out.size == 0 || (!force && writer->out.size < WRITE_BYTES))
        return CH_OK;
    ch_status_t status =
        ch_fs_write(writer->file, writer->written, writer->out.data, writer->out.size);
    if (status < 0) {
        writer->failed = true;
        return status;
    }
    ch_fs_write_out(writer->file, writer->written, writer->out.size);
    writer->written += writer->out.size;
    ch_text_reset(&writer->out);
    if (writer->written - writer->synced < SYNC_BYTES)
        return CH_OK;
    writer->synced = writer->written;
    status = ch_fs_sync(writer->file);
    writer->failed = status < 0;
    return status;
}

uint64_t
ch_sstable_writer_bytes(const ch_sstable_writer_t *writer)
{
    return offset_now(writer);
}

static uint64_t
seed_here(const ch_sstable_writer_t *writer, unsigned kind)
{
    return ch_sst_seed(writer->info.file_number, offset_now(writer), kind);
}

/* Cut a key in head and tail (docs/format/sstable.md, "Keys"). */
static void
cut_key(ch_sstable_writer_t *writer, ch_bytes_t name, ch_bytes_t labels)
{
    ch_text_reset(&writer->head);
    ch_text_reset(&writer->tail);
    ch_text_append(&writer->head, name.data, name.size);
    if (labels.size == 0)
        return;
    ch_text_append(&writer->head, "{", 1);
    ch_text_append(&writer->tail, labels.data, labels.size);
    ch_text_append(&writer->tail, "}", 1);
}

static ch_status_t
check_key(ch_sstable_writer_t *writer, ch_bytes_t name, ch_bytes_t labels)
{
    if (name.size == 0 || memchr(name.data, '{', name.size) ||
        name.size >= CH_SST_TEXT_BYTES_MAX || labels.size >= CH_SST_TEXT_BYTES_MAX)
        return ch_fail(CH_ERR_INVALID, "sstable %s: a key of %zu + %zu bytes is no key",
                       writer->path, name.size, labels.size);
    if (writer->info.series == UINT32_MAX / 2)
        return ch_fail(CH_ERR_LIMIT, "sstable %s: too many series", writer->path);
    if (writer->info.series == 0)
        return CH_OK;
    int order =
        ch_bytes_compare(ch_text_bytes(&writer->head), ch_text_bytes(&writer->last_head));
    if (order == 0)
        order = ch_bytes_compare(ch_text_bytes(&writer->tail),
                                 ch_text_bytes(&writer->last_tail));
    if (order > 0)
        return CH_OK;
    return ch_fail(CH_ERR_INVALID, "sstable %s: key %llu is not above the one before",
                   writer->path, (unsigned long long)writer->info.series);
}

static ch_status_t
check_points(const ch_sstable_writer_t *writer, const ch_points_t *points, size_t from,
             size_t to)
{
    bool rising = true;
    for (size_t i = from + 1; i < to; i++)
        rising &= points->times[i - 1] < points->times[i];
    if (!rising)
        return ch_fail(CH_ERR_INVALID, "sstable %s: times of a series do not rise",
                       writer->path);
    return CH_OK;
}

/* Points of the open series go on behind those it has. */
static ch_status_t
check_follows(const ch_sstable_writer_t *writer, int64_t first)
{
    if (writer->series_points && first <= writer->series_last)
        return ch_fail(CH_ERR_INVALID, "sstable %s: times of a series do not rise",
                       writer->path);
    return CH_OK;
}

/* Take the key into the dictionaries and the list of pairs. Its tail's number is the set's own
 * until all tails are known. */
static void
add_key(ch_sstable_writer_t *writer, ch_bytes_t name, ch_bytes_t labels)
{
    size_t at = writer->info.series++;
    if (at == writer->series_capacity)
        grow_series(writer, at * 2);
    writer->pairs[at] = (ch_key_pair_t){
        .head = ch_text_set_follow(writer->heads, ch_text_bytes(&writer->head)),
        .tail = ch_text_set_add(writer->tails, ch_text_bytes(&writer->tail))};
    writer->hashes[at] = ch_bloom_hash(name, labels);
    ch_text_t head = writer->last_head, tail = writer->last_tail;
    writer->last_head = writer->head;
    writer->last_tail = writer->tail;
    writer->head = head;
    writer->tail = tail;
}

static ch_status_t
close_block(ch_sstable_writer_t *writer)
{
    if (ch_block_builder_chunks(writer->block) == 0)
        return CH_OK;
    ch_data_entry_t entry;
    ch_block_builder_close(writer->block, writer->info.file_number, offset_now(writer),
                           &writer->out, &entry);
    entry.continues = entry.first_rank == writer->rank_last_block;
    writer->rank_last_block = (uint64_t)entry.first_rank + entry.series - 1;
    ch_sst_index_builder_data(&writer->index, &entry);
    return flush_out(writer, false);
}

/* Where the chunk that begins at `from` ends: chunks share the points evenly, so that the last is not
 * a short one; long strings end one before. */
static size_t
chunk_end(const ch_points_t *points, size_t from, size_t end)
{
    size_t left = end - from;
    size_t chunks = (left + CH_CHUNK_POINTS_TARGET - 1) / CH_CHUNK_POINTS_TARGET;
    size_t to = from + (left + chunks - 1) / chunks;
    if (points->form != CH_POINTS_LIST)
        return to;
    size_t bytes = 0;
    for (size_t i = from; i < to; i++) {
        if (bytes >= CH_SST_CHUNK_STRING_BYTES)
            return i;
        if (points->list[i].type == CH_VALUE_STRING)
            bytes += points->list[i].string.size;
    }
    return to;
}

/* A chunk is in the open block: close that when it is full. */
static ch_status_t
chunk_added(ch_sstable_writer_t *writer)
{
    writer->chunks++;
    return ch_block_builder_full(writer->block) ? close_block(writer) : CH_OK;
}

static uint32_t
open_rank(const ch_sstable_writer_t *writer)
{
    return (uint32_t)(writer->info.series - 1);
}

static ch_status_t
add_points(ch_sstable_writer_t *writer, const ch_points_t *points, size_t from,
           size_t end)
{
    for (size_t to; from < end; from = to) {
        to = chunk_end(points, from, end);
        ch_block_builder_add(writer->block, writer->column_scratch, open_rank(writer),
                             points, from, to);
        ch_status_t status = chunk_added(writer);
        if (status < 0)
            return status;
    }
    return CH_OK;
}

static void
count_points(ch_sstable_writer_t *writer, int64_t first, int64_t last, size_t count)
{
    ch_sstable_info_t *info = &writer->info;
    if (info->points == 0 || first < info->time_min)
        info->time_min = first;
    if (info->points == 0 || last > info->time_max)
        info->time_max = last;
    info->points += count;
    writer->series_points += count;
    writer->series_last = last;
}

static ch_status_t
check_open(const ch_sstable_writer_t *writer)
{
    CH_ASSERT(writer->magic == WRITER_MAGIC);
    CH_ASSERT(!writer->finished);
    if (writer->failed)
        return ch_fail(CH_ERR_CLOSED, "sstable %s: an earlier write failed",
                       writer->path);
    return CH_OK;
}

static ch_status_t
check_series_done(const ch_sstable_writer_t *writer)
{
    if (writer->info.series && !writer->series_points)
        return ch_fail(CH_ERR_INVALID, "sstable %s: a series without points",
                       writer->path);
    return CH_OK;
}

ch_status_t
ch_sstable_writer_begin(ch_sstable_writer_t *writer, ch_bytes_t name, ch_bytes_t labels)
{
    ch_status_t status = check_open(writer);
    if (status >= 0)
        status = check_series_done(writer);
    if (status < 0)
        return status;
    cut_key(writer, name, labels);
    status = check_key(writer, name, labels);
    if (status < 0)
        return status;
    add_key(writer, name, labels);
    writer->series_points = 0;
    return CH_OK;
}

ch_status_t
ch_sstable_writer_points(ch_sstable_writer_t *writer, const ch_points_t *points,
                         size_t from, size_t to)
{
    CH_ASSERT(from < to);
    CH_ASSERT(writer->info.series > 0);
    ch_status_t status = check_open(writer);
    if (status >= 0)
        status = check_points(writer, points, from, to);
    if (status >= 0)
        status = check_follows(writer, points->times[from]);
    if (status < 0)
        return status;
    count_points(writer, points->times[from], points->times[to - 1], to - from);
    return add_points(writer, points, from, to);
}

ch_status_t
ch_sstable_writer_add_encoded(ch_sstable_writer_t *writer, const ch_chunk_t *chunk,
                              ch_bytes_t times, ch_bytes_t values)
{
    CH_ASSERT(writer->info.series > 0);
    ch_status_t status = check_open(writer);
    if (status >= 0)
        status = check_follows(writer, chunk->time_first);
    if (status < 0)
        return status;
    count_points(writer, chunk->time_first, chunk->time_last, chunk->count);
    ch_block_builder_pass(writer->block, open_rank(writer), chunk, times, values);
    return chunk_added(writer);
}

ch_status_t
ch_sstable_writer_add(ch_sstable_writer_t *writer, ch_bytes_t name, ch_bytes_t labels,
                      const ch_points_t *points)
{
    if (points->count == 0)
        return ch_fail(CH_ERR_INVALID, "sstable %s: a series without points",
                       writer->path);
    ch_status_t status = check_points(writer, points, 0, points->count);
    if (status >= 0) /* before the key is taken: a refusal changes nothing */
        status = ch_sstable_writer_begin(writer, name, labels);
    if (status >= 0)
        status = ch_sstable_writer_points(writer, points, 0, points->count);
    return status;
}

/* One block of the dictionary is complete: to `out`, and to the index. */
static ch_status_t
close_dictionary_block(ch_sstable_writer_t *writer, int which,
                       ch_dictionary_builder_t *builder, ch_bytes_t separator)
{
    uint32_t entries = builder->entries;
    uint64_t seed =
        seed_here(writer, which == CH_SST_DICTIONARY_HEADS ? CH_SST_HEADS : CH_SST_TAILS);
    size_t bytes = ch_packed_block_append(ch_dictionary_builder_close(builder), true,
                                          seed, &writer->out);
    ch_sst_index_builder_dictionary(&writer->index, which, bytes, entries, separator);
    return flush_out(writer, false);
}

/* Write the texts of `set` in the order given; NULL: as they came. */
static ch_status_t
write_dictionary(ch_sstable_writer_t *writer, int which, const ch_text_set_t *set,
                 const uint32_t *order)
{
    ch_dictionary_builder_t builder = {0};
    ch_bytes_t separator = {0};
    ch_status_t status = CH_OK;
    uint32_t count = ch_text_set_count(set);
    for (uint32_t i = 0; status >= 0 && i < count; i++) {
        ch_bytes_t text = ch_text_set_get(set, order ? order[i] : i);
        if (i && builder.entries == 0)
            separator = ch_bytes(
                text.data, ch_dictionary_separator(
                               ch_text_set_get(set, order ? order[i - 1] : i - 1), text));
        ch_dictionary_builder_add(&builder, text);
        if (ch_dictionary_builder_full(&builder) || i + 1 == count)
            status = close_dictionary_block(writer, which, &builder, separator);
    }
    ch_dictionary_builder_release(&builder);
    return status;
}

/* Heads came in order; tails get the numbers of their order now. */
static ch_status_t
write_dictionaries(ch_sstable_writer_t *writer)
{
    ch_status_t status =
        write_dictionary(writer, CH_SST_DICTIONARY_HEADS, writer->heads, NULL);
    if (status < 0)
        return status;
    uint32_t *order = ch_text_set_sorted(writer->tails);
    uint32_t count = ch_text_set_count(writer->tails);
    uint32_t *rank_of = ch_alloc((count + 1) * sizeof *rank_of);
    for (uint32_t i = 0; i < count; i++)
        rank_of[order[i]] = i;
    for (size_t i = 0; i < writer->info.series; i++)
        writer->pairs[i].tail = rank_of[writer->pairs[i].tail];
    status = write_dictionary(writer, CH_SST_DICTIONARY_TAILS, writer->tails, order);
    ch_free(rank_of);
    ch_free(order);
    return status;
}

static ch_status_t
write_keys(ch_sstable_writer_t *writer)
{
    ch_text_t content = {0};
    ch_status_t status = CH_OK;
    for (size_t i = 0; status >= 0 && i < writer->info.series;
         i += CH_SST_KEY_BLOCK_SERIES) {
        size_t left = writer->info.series - i;
        ch_text_reset(&content);
        ch_key_block_encode(
            writer->pairs + i,
            left < CH_SST_KEY_BLOCK_SERIES ? left : CH_SST_KEY_BLOCK_SERIES, &content);
        size_t bytes = ch_packed_block_append(
            ch_text_bytes(&content), true, seed_here(writer, CH_SST_KEYS), &writer->out);
        ch_sst_index_builder_keys(&writer->index, bytes, writer->pairs[i]);
        status = flush_out(writer, false);
    }
    ch_text_release(&content);
    return status;
}

static size_t
write_filter(ch_sstable_writer_t *writer)
{
    ch_bloom_t *bloom = ch_bloom_new(writer->info.series, BLOOM_BITS_PER_KEY);
    for (size_t i = 0; i < writer->info.series; i++)
        ch_bloom_add(bloom, writer->hashes[i]);
    size_t size = ch_bloom_image_bytes(bloom);
    uint8_t *image = ch_alloc(size);
    ch_bloom_encode(bloom, image);
    size_t bytes = ch_packed_block_append(ch_bytes(image, size), false,
                                          seed_here(writer, CH_SST_FILTER), &writer->out);
    ch_free(image);
    ch_bloom_destroy(&bloom);
    return bytes;
}

static size_t
write_index(ch_sstable_writer_t *writer)
{
    ch_text_t content = {0};
    ch_sst_index_builder_close(&writer->index, &content);
    size_t bytes = ch_packed_block_append(ch_text_bytes(&content), true,
                                          seed_here(writer, CH_SST_INDEX), &writer->out);
    ch_text_release(&content);
    return bytes;
}

static void
write_footer(ch_sstable_writer_t *writer, uint64_t index_offset, size_t filter_bytes,
             size_t index_bytes)
{
    const ch_sstable_info_t *info = &writer->info;
    uint8_t footer[CH_SST_FOOTER_BYTES] = {0};
    ch_store_u64(footer + CH_SST_FOOTER_FILE_NUMBER, info->file_number);
    ch_store_u64(footer + CH_SST_FOOTER_LSN_MIN, info->lsn_min);
    ch_store_u64(footer + CH_SST_FOOTER_LSN_MAX, info->lsn_max);
    ch_store_i64(footer + CH_SST_FOOTER_TIME_MIN, info->time_min);
    ch_store_i64(footer + CH_SST_FOOTER_TIME_MAX, info->time_max);
    ch_store_u64(footer + CH_SST_FOOTER_SERIES, info->series);
    ch_store_u64(footer + CH_SST_FOOTER_POINTS, info->points);
    ch_store_u64(footer + CH_SST_FOOTER_CHUNKS, writer->chunks);
    ch_store_u64(footer + CH_SST_FOOTER_INDEX_OFFSET, index_offset);
    ch_store_u64(footer + CH_SST_FOOTER_FILTER_BYTES, filter_bytes);
    ch_store_u32(footer + CH_SST_FOOTER_INDEX_BYTES, (uint32_t)index_bytes);
    ch_store_u32(footer + CH_SST_FOOTER_HEADS, ch_text_set_count(writer->heads));
    ch_store_u32(footer + CH_SST_FOOTER_TAILS, ch_text_set_count(writer->tails));
    ch_store_u32(footer + CH_SST_FOOTER_VERSION, CH_SST_VERSION);
    ch_store_u32(
        footer + CH_SST_FOOTER_CHECK,
        ch_check32(footer, CH_SST_FOOTER_CHECK, seed_here(writer, CH_SST_FOOTER)));
    ch_store_u64(footer + CH_SST_FOOTER_MAGIC, CH_SST_MAGIC);
    ch_text_append(&writer->out, footer, sizeof footer);
}

/* All parts behind the data blocks. */
static ch_status_t
write_tail_parts(ch_sstable_writer_t *writer)
{
    ch_status_t status = close_block(writer);
    if (status >= 0)
        status = write_dictionaries(writer);
    if (status >= 0)
        status = write_keys(writer);
    if (status < 0)
        return status;
    size_t filter_bytes = write_filter(writer);
    uint64_t index_offset = offset_now(writer);
    size_t index_bytes = write_index(writer);
    write_footer(writer, index_offset, filter_bytes, index_bytes);
    return flush_out(writer, true);
}

/* The directory that `path` names a file in. */
static ch_status_t
sync_directory_of(ch_fs_t *fs, const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return ch_fs_sync_dir(fs, ".");
    char *directory = ch_strdup(path);
    directory[slash == path ? 1 : slash - path] = '\0';
    ch_status_t status = ch_fs_sync_dir(fs, directory);
    ch_free(directory);
    return status;
}

/* From a complete temporary file to a durable name. */
static ch_status_t
publish(ch_sstable_writer_t *writer)
{
#ifndef CH_FAULT_SST_NO_SYNC_BEFORE_RENAME
    ch_status_t status = ch_fs_sync(writer->file);
    if (status < 0)
        return status;
#else
    ch_status_t status;
#endif
    ch_fs_close(&writer->file);
    status = ch_fs_rename(writer->fs, writer->tmp_path, writer->path);
    if (status < 0)
        return status;
    writer->tmp_exists = false;
    return sync_directory_of(writer->fs, writer->path);
}

ch_status_t
ch_sstable_writer_finish(ch_sstable_writer_t *writer, uint64_t lsn_min, uint64_t lsn_max,
                         ch_sstable_info_t *info_out)
{
    ch_status_t status = check_open(writer);
    if (status >= 0)
        status = check_series_done(writer);
    if (status < 0)
        return status;
    writer->info.lsn_min = lsn_min;
    writer->info.lsn_max = lsn_max;
    status = write_tail_parts(writer);
    if (status >= 0)
        status = publish(writer);
    if (status < 0) {
        writer->failed = true;
        return status;
    }
    writer->finished = true;
    writer->info.file_bytes = writer->written;
    *info_out = writer->info;
    return CH_OK;
}
