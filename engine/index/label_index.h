/// Labels to series: which series does a selector name?
///
/// Shape    postings are Roaring bitmaps of *label set* ids per (label name, value); each name has
///          its list of (labels id, series id). A selector narrows label sets by postings, names by
///          the name list, and joins.
/// Threads  one writer adds; any thread selects (a read-write lock inside, held by the writer only
///          for a new series).
#ifndef CH_INDEX_LABEL_INDEX_H
#define CH_INDEX_LABEL_INDEX_H

#include "ch/deadline.h"
#include "ch/selector.h"
#include "os/stream.h"

typedef struct ch_label_index ch_label_index_t;

ch_label_index_t *ch_label_index_new(void);
void ch_label_index_destroy(ch_label_index_t **index);

/// A new series. Texts must live as long as the index (they are the series table's).
void ch_label_index_add(ch_label_index_t *index, uint32_t series, uint32_t name_id,
                        ch_bytes_t name, uint32_t labels_id, ch_bytes_t labels);

typedef struct ch_series_ids {
    uint32_t *items;
    size_t count;
    size_t capacity;
} ch_series_ids_t;
void ch_series_ids_release(ch_series_ids_t *ids);

/// Series ids that the selector accepts, ascending. `deadline` may be NULL. Errors: CH_ERR_LIMIT (more
/// than series_max, or a regex that gave up), CH_ERR_TIMEOUT.
ch_status_t ch_label_index_select(ch_label_index_t *index, const ch_selector_t *selector,
                                  size_t series_max, ch_deadline_t *deadline,
                                  ch_series_ids_t *ids_out) CH_MUST_CHECK;

size_t ch_label_index_bytes(const ch_label_index_t *index);
/// Writer: what a step of growth would take, if so many values more bring one.
size_t ch_label_index_growth(const ch_label_index_t *index, uint64_t more);

/// The texts by id, valid as long as the index.
typedef struct ch_index_texts {
    void *context;
    ch_bytes_t (*name)(void *context, uint32_t name_id);
    ch_bytes_t (*labels)(void *context, uint32_t labels_id);
} ch_index_texts_t;

/// A moment of the index: names, labels, values, label sets and series added so far.
typedef struct ch_label_index_mark {
    uint32_t names, labels, values, series;
    void *sets; /* ch_label_index_save takes it */
} ch_label_index_mark_t;

ch_label_index_mark_t ch_label_index_mark(ch_label_index_t *index);

/// Any thread, while the writer goes on: write the index as of the mark (docs/format/catalogue.md,
/// "Labels"). `label_sets`, counted after the mark was taken: ids below it are saved beside.
/// mark.series may be lowered: series below it are written.
void ch_label_index_save(ch_label_index_t *index, ch_label_index_mark_t mark,
                         uint32_t label_sets, const ch_index_texts_t *texts,
                         ch_stream_writer_t *out);

/// Before a load: room for as many values; and have it touched (beside the load, from another thread).
void ch_label_index_reserve(ch_label_index_t *index, uint32_t values);
void ch_label_index_touch(const ch_label_index_t *index);

/// Into an empty index. There are so many names, label sets and series; the index must have all of
/// the series. Errors: CH_ERR_CORRUPT, CH_ERR_IO; the index can only be destroyed then.
ch_status_t ch_label_index_load(ch_label_index_t *index, uint32_t names,
                                uint32_t label_sets, uint32_t series,
                                const ch_index_texts_t *texts,
                                ch_stream_reader_t *in) CH_MUST_CHECK;

#endif
