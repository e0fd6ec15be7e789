/// Labels to series: which series does a selector name?
///
/// Shape    postings are Roaring bitmaps of *label set* ids per (label name, value); each name has
///          its list of (labels id, series id). A selector narrows label sets by postings, names by
///          the name list, and joins.
/// Threads  one writer adds; any thread selects (a read-write lock inside, held by the writer only
///          for a new series).
#ifndef CH_INDEX_LABEL_INDEX_H
#define CH_INDEX_LABEL_INDEX_H

#include "ch/selector.h"

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

/// Series ids that the selector accepts, ascending. Errors: CH_ERR_LIMIT (more than series_max, or
/// a regex that gave up).
ch_status_t ch_label_index_select(ch_label_index_t *index, const ch_selector_t *selector,
                                  size_t series_max,
                                  ch_series_ids_t *ids_out) CH_MUST_CHECK;

size_t ch_label_index_bytes(const ch_label_index_t *index);

#endif
