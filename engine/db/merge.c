/* merge.c - a k-way merge over key order.
 *
 * Problem     Tables hold gigabytes; most of their chunks overlap nothing and could stay as they are.
 * Idea        A heap of cursors by key. Of the inputs that have the key at hand, the chunk that begins
 *             first is looked at: when no other begins before it ends, it passes as it is; else all that
 *             hang together in time are decoded and laid over each other by age.
 * Joining     Decoded points wait in `pending` until there are two chunks' worth; what is left at the end
 *             is cut evenly. A long chunk behind a short rest is decoded too, so that the rest does not
 *             end up as a short chunk: all chunks but those of short series get half a target at least.
 * Source      The heap is as in Knuth, TAOCP 3, 5.4.1 (replacement by the next of the same run).
 */
#include "db/merge.h"

#include "ch/alloc.h"
#include "ch/limits.h"
#include "ch/series_key.h"
#include "sst/table_cursor.h"

enum {
    DICTIONARY_BYTES = 64 << 20, /* of all inputs together */
    DICTIONARY_BYTES_MAX = 4 << 20,
};

typedef struct source {
    size_t age; /* place among the inputs */
    bool pass;
    ch_table_cursor_t *cursor;
    ch_points_t points; /* decoded, of the chunks at hand */
    uint64_t bytes;     /* of the cursor, counted so far */
} source_t;

typedef struct merge {
    const ch_merge_options_t *options;
    ch_merge_result_t *result;
    source_t *sources;
    source_t **heap;
    size_t heap_count;
    source_t **here; /* those at the key at hand, oldest first */
    size_t here_count;
    ch_points_t pending, merged, spare;
    ch_sstable_writer_t *writer;
    char *path;
    bool begun; /* the series at hand, in the writer */
    uint64_t series_expected;
} merge_t;

/* ---- the heap ---- */

static int
compare_keys(const source_t *a, const source_t *b)
{
    return ch_series_key_compare(
        ch_table_cursor_name(a->cursor), ch_table_cursor_labels(a->cursor),
        ch_table_cursor_name(b->cursor), ch_table_cursor_labels(b->cursor));
}

static bool
comes_before(const source_t *a, const source_t *b)
{
    int order = compare_keys(a, b);
    return order ? order < 0 : a->age < b->age;
}

static void
heap_push(merge_t *merge, source_t *source)
{
    size_t at = merge->heap_count++;
    for (; at > 0 && comes_before(source, merge->heap[(at - 1) / 2]); at = (at - 1) / 2)
        merge->heap[at] = merge->heap[(at - 1) / 2];
    merge->heap[at] = source;
}

static source_t *
heap_pop(merge_t *merge)
{
    source_t *top = merge->heap[0], *moved = merge->heap[--merge->heap_count];
    size_t at = 0, count = merge->heap_count;
    for (size_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && comes_before(merge->heap[child + 1], merge->heap[child]))
            child++;
        if (!comes_before(merge->heap[child], moved))
            break;
        merge->heap[at] = merge->heap[child];
    }
    merge->heap[at] = moved;
    return top;
}

/* ---- outputs ---- */

static ch_status_t
open_output(merge_t *merge)
{
    const ch_merge_options_t *options = merge->options;
    uint64_t number = 0;
    merge->path = options->new_file(options->context, &number);
    const ch_sstable_writer_options_t writer = {.series_expected = merge->series_expected,
                                                .level = options->level};
    return ch_sstable_writer_open(options->fs, merge->path, number, &writer,
                                  &merge->writer);
}

static ch_status_t
close_output(merge_t *merge)
{
    ch_merge_result_t *result = merge->result;
    if (!merge->writer)
        return CH_OK;
    ch_sstable_info_t info;
    ch_status_t status = ch_sstable_writer_finish(merge->writer, merge->options->lsn_min,
                                                  merge->options->lsn_max, &info);
    ch_sstable_writer_destroy(&merge->writer);
    if (status < 0)
        return status;
    result->outputs =
        ch_realloc(result->outputs, (result->output_count + 1) * sizeof *result->outputs);
    result->outputs[result->output_count++] =
        (ch_merge_output_t){.path = ch_take(&merge->path), .info = info};
    result->bytes_written += info.file_bytes;
    return CH_OK;
}

/* The writer stands in the series at hand. */
static ch_status_t
begin_series(merge_t *merge)
{
    ch_status_t status = CH_OK;
    if (merge->begun)
        return CH_OK;
    if (!merge->writer)
        status = open_output(merge);
    if (status >= 0)
        status = ch_sstable_writer_begin(merge->writer,
                                         ch_table_cursor_name(merge->here[0]->cursor),
                                         ch_table_cursor_labels(merge->here[0]->cursor));
    merge->begun = status >= 0;
    return status;
}

/* Write the first `count` of the points that wait. */
static ch_status_t
write_pending(merge_t *merge, size_t count)
{
    if (count == 0)
        return CH_OK;
    ch_status_t status = begin_series(merge);
    if (status >= 0)
        status = ch_sstable_writer_points(merge->writer, &merge->pending, 0, count);
    if (status < 0)
        return status;
    ch_points_clear(&merge->spare);
    ch_points_append_range(&merge->spare, &merge->pending, count, merge->pending.count);
    ch_points_t swapped = merge->pending;
    merge->pending = merge->spare;
    merge->spare = swapped;
    return CH_OK;
}

static ch_status_t
add_points(merge_t *merge, const ch_points_t *points)
{
    ch_points_t *pending = &merge->pending;
    ch_status_t status = CH_OK;
    /* Ints behind floats would make a chunk of mixed values, which no aggregate answers for. */
    if (pending->count && pending->form != points->form)
        status = write_pending(merge, pending->count);
    if (status < 0)
        return status;
    ch_points_append_range(pending, points, 0, points->count);
    if (pending->count < 2 * CH_CHUNK_POINTS_TARGET)
        return CH_OK;
    return write_pending(merge, (pending->count / CH_CHUNK_POINTS_TARGET - 1) *
                                    CH_CHUNK_POINTS_TARGET);
}

/* ---- one series ---- */

static ch_status_t
blame(merge_t *merge, const source_t *source, ch_status_t status)
{
    if (status < 0) {
        merge->result->input_failed = true;
        merge->result->failed_input = source->age;
    }
    return status;
}

static bool
has_deletes(const merge_t *merge, const source_t *source, int64_t first, int64_t last)
{
    const ch_merge_options_t *options = merge->options;
    return options->touches &&
           options->touches(options->context, source->age,
                            ch_table_cursor_name(source->cursor),
                            ch_table_cursor_labels(source->cursor), first, last);
}

/* May the chunk at hand go as it is? `next`: where another input's begins. */
static bool
can_pass(const merge_t *merge, const source_t *source, const ch_stored_chunk_t *chunk,
         bool alone, int64_t next)
{
    bool large =
        chunk->points >= CH_MERGE_PASS_POINTS || chunk->bytes >= CH_MERGE_PASS_BYTES;
    bool rest_is_short =
        merge->pending.count && merge->pending.count < CH_MERGE_PASS_POINTS;
    return source->pass && large && !rest_is_short &&
           (alone || chunk->time_last < next) &&
           chunk->time_first >= merge->options->first &&
           chunk->time_last <= merge->options->last &&
           !has_deletes(merge, source, chunk->time_first, chunk->time_last);
}

static ch_status_t
pass(merge_t *merge, source_t *source)
{
    ch_status_t status = write_pending(merge, merge->pending.count);
    if (status >= 0)
        status = begin_series(merge);
    if (status >= 0)
        status = ch_sstable_writer_pass(merge->writer, source->cursor);
    if (status < 0)
        return status;
    merge->result->chunks_passed++;
    return blame(merge, source, ch_table_cursor_step(source->cursor));
}

/* Decode what a source has up to *end, which each chunk may move on. */
static ch_status_t
decode_until(merge_t *merge, source_t *source, int64_t *end, bool *grown)
{
    const ch_stored_chunk_t *chunk;
    while ((chunk = ch_table_cursor_chunk(source->cursor)) && chunk->time_first <= *end) {
        int64_t last = chunk->time_last;
        ch_status_t status = ch_table_cursor_decode(source->cursor, &source->points);
        if (status >= 0)
            status = ch_table_cursor_step(source->cursor);
        if (status < 0)
            return blame(merge, source, status);
        *end = last > *end ? last : *end;
        *grown = true;
    }
    return CH_OK;
}

static void
take_deletes(const merge_t *merge, source_t *source)
{
    const ch_merge_options_t *options = merge->options;
    ch_points_t *points = &source->points;
    if (points->count &&
        has_deletes(merge, source, points->times[0], points->times[points->count - 1]))
        options->filter(options->context, source->age,
                        ch_table_cursor_name(source->cursor),
                        ch_table_cursor_labels(source->cursor), points);
}

/* Lay what the sources have decoded over each other, oldest below. */
static const ch_points_t *
lay_over(merge_t *merge)
{
    const ch_points_t *below = NULL;
    for (size_t i = 0; i < merge->here_count; i++) {
        const ch_points_t *above = &merge->here[i]->points;
        if (above->count == 0)
            continue;
        if (!below) {
            below = above;
            continue;
        }
#ifdef CH_FAULT_MERGE_OLDER_WINS
        ch_points_merge(above, below, &merge->spare);
#else
        ch_points_merge(below, above, &merge->spare);
#endif
        ch_points_t swapped = merge->merged;
        merge->merged = merge->spare;
        merge->spare = swapped;
        below = &merge->merged;
    }
    return below;
}

/* All chunks that hang together in time with the one that begins first. */
static ch_status_t
merge_cluster(merge_t *merge, int64_t end)
{
    for (size_t i = 0; i < merge->here_count; i++)
        ch_points_clear(&merge->here[i]->points);
    for (bool grown = true; grown;) {
        grown = false;
        for (size_t i = 0; i < merge->here_count; i++) {
            ch_status_t status = decode_until(merge, merge->here[i], &end, &grown);
            if (status < 0)
                return status;
        }
    }
    for (size_t i = 0; i < merge->here_count; i++)
        take_deletes(merge, merge->here[i]);
    const ch_points_t *points = lay_over(merge);
    return points ? add_points(merge, points) : CH_OK;
}

static ch_status_t
merge_series(merge_t *merge)
{
    ch_status_t status = CH_OK;
    ch_points_clear(&merge->pending);
    merge->begun = false;
    while (status >= 0) {
        source_t *source = NULL;
        const ch_stored_chunk_t *first = NULL;
        int64_t next = 0;
        bool alone = true;
        for (size_t i = 0; i < merge->here_count; i++) {
            const ch_stored_chunk_t *chunk =
                ch_table_cursor_chunk(merge->here[i]->cursor);
            if (!chunk)
                continue;
            bool earlier = !first || chunk->time_first < first->time_first;
            const ch_stored_chunk_t *other = earlier ? first : chunk;
            if (other && (alone || other->time_first < next)) {
                next = other->time_first;
                alone = false;
            }
            if (earlier) {
                first = chunk;
                source = merge->here[i];
            }
        }
        if (!first)
            break;
        status = can_pass(merge, source, first, alone, next)
                     ? pass(merge, source)
                     : merge_cluster(merge, first->time_last);
    }
    return status < 0 ? status : write_pending(merge, merge->pending.count);
}

/* ---- all series ---- */

/* To the source's next series. */
static ch_status_t
advance(merge_t *merge, source_t *source, uint64_t *bytes)
{
    ch_status_t status = ch_table_cursor_next(source->cursor);
    uint64_t read = ch_table_cursor_bytes(source->cursor);
    *bytes += read - source->bytes;
    source->bytes = read;
    if (status == CH_OK)
        heap_push(merge, source);
    return blame(merge, source, status);
}

static ch_status_t
merge_next_series(merge_t *merge)
{
    const ch_merge_options_t *options = merge->options;
    merge->here_count = 0;
    do
        merge->here[merge->here_count++] = heap_pop(merge);
    while (merge->heap_count && compare_keys(merge->heap[0], merge->here[0]) == 0);
    ch_status_t status = merge_series(merge);
    uint64_t bytes = 0;
    for (size_t i = 0; status >= 0 && i < merge->here_count; i++)
        status = advance(merge, merge->here[i], &bytes);
    merge->result->bytes_read += bytes;
    if (status >= 0 && merge->writer &&
        ch_sstable_writer_bytes(merge->writer) >= options->file_bytes_max)
        status = close_output(merge);
    if (status >= 0)
        status = options->pace(options->context, bytes);
    return status;
}

static ch_status_t
open_sources(merge_t *merge)
{
    const ch_merge_options_t *options = merge->options;
    size_t count = options->input_count, texts = DICTIONARY_BYTES / count;
    if (texts > DICTIONARY_BYTES_MAX)
        texts = DICTIONARY_BYTES_MAX;
    merge->sources = ch_calloc(count, sizeof *merge->sources);
    merge->heap = ch_calloc(count, sizeof *merge->heap);
    merge->here = ch_calloc(count, sizeof *merge->here);
    for (size_t i = 0; i < count; i++) {
        source_t *source = &merge->sources[i];
        uint64_t series = ch_sstable_info(options->inputs[i].sstable)->series;
        if (series > merge->series_expected)
            merge->series_expected = series;
        *source = (source_t){.age = i, .pass = options->inputs[i].pass};
        source->cursor = ch_table_cursor_new(options->inputs[i].sstable, options->first,
                                             options->last, texts);
        ch_status_t status = advance(merge, source, &merge->result->bytes_read);
        if (status < 0)
            return status;
    }
    return CH_OK;
}

static void
merge_release(merge_t *merge)
{
    for (size_t i = 0; merge->sources && i < merge->options->input_count; i++) {
        ch_table_cursor_destroy(&merge->sources[i].cursor);
        ch_points_release(&merge->sources[i].points);
    }
    ch_sstable_writer_destroy(&merge->writer);
    ch_points_release(&merge->pending);
    ch_points_release(&merge->merged);
    ch_points_release(&merge->spare);
    ch_free(merge->sources);
    ch_free(merge->heap);
    ch_free(merge->here);
    ch_free(merge->path);
}

ch_status_t
ch_merge_run(const ch_merge_options_t *options, ch_merge_result_t *result_out)
{
    *result_out = (ch_merge_result_t){0};
    merge_t merge = {.options = options, .result = result_out};
    ch_status_t status = open_sources(&merge);
    while (status >= 0 && merge.heap_count)
        status = merge_next_series(&merge);
    if (status >= 0)
        status = close_output(&merge);
    merge_release(&merge);
    if (status < 0) {
        ch_merge_result_t said = *result_out;
        ch_merge_result_release(result_out, options->fs, true);
        result_out->input_failed = said.input_failed;
        result_out->failed_input = said.failed_input;
        return status;
    }
    return CH_OK;
}

void
ch_merge_result_release(ch_merge_result_t *result, ch_fs_t *fs, bool remove)
{
    char *text = ch_strdup(ch_fail_text());
    for (size_t i = 0; i < result->output_count; i++) {
        if (remove && ch_fs_unlink(fs, result->outputs[i].path) < 0)
            (void)ch_fail(CH_ERR_IO, "%s", text); /* a stray; what led here says more */
        ch_free(result->outputs[i].path);
    }
    ch_free(text);
    ch_free(result->outputs);
    *result = (ch_merge_result_t){0};
}
