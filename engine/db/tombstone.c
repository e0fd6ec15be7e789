/* tombstone.c - sets of deletes: resolved once, pinned by versions, asked per series.
 *
 * Cost      Without deletes a read asks one NULL pointer. With some it asks `any`, a bitmap of all series
 *           that any of them names; only those series look at the list.
 * Example   Points of lsn 5 lie in table A (erased up to 9), those of lsn 12 in the memtable; a delete
 *           gets lsn 11. It applies to A (11 > 9) and, in the memtable, to points below 11: the point of
 *           lsn 12 stays. The flush writes table B (lsn 10 to 12, erased up to 12); the delete still
 *           applies to A, never to B, and goes with A.
 */
#include "db/tombstone.h"

#include <roaring/roaring.h>

#include "ch/alloc.h"
#include "ch/assert.h"
#include "ch/coding.h"
#include "wal/wal_format.h"

/* ---- texts ---- */

ch_tombstone_text_t
ch_tombstone_text_copy(const ch_tombstone_text_t *text)
{
    const ch_wal_delete_t *what = &text->what;
    size_t list = what->except_count * sizeof(ch_bytes_t),
           size = list + what->selector.size;
    for (uint32_t i = 0; i < what->except_count; i++)
        size += what->except[i].size;
    ch_tombstone_text_t copy = *text;
    copy.memory = ch_alloc(size + 1);
    ch_bytes_t *except = copy.memory;
    uint8_t *at = (uint8_t *)copy.memory + list;
    memcpy(at, what->selector.data, what->selector.size);
    copy.what.selector = ch_bytes(at, what->selector.size);
    at += what->selector.size;
    for (uint32_t i = 0; i < what->except_count; i++) {
        memcpy(at, what->except[i].data, what->except[i].size);
        except[i] = ch_bytes(at, what->except[i].size);
        at += what->except[i].size;
    }
    copy.what.except = except;
    return copy;
}

void
ch_tombstone_text_release(ch_tombstone_text_t *text)
{
    ch_free(ch_take(&text->memory));
}

static void
put(ch_text_t *out, uint64_t value)
{
    uint8_t bytes[CH_VARINT_BYTES_MAX];
    ch_text_append(out, bytes, (size_t)(ch_varint_put(bytes, value) - bytes));
}

static void
put_selector(ch_text_t *out, ch_bytes_t selector)
{
    put(out, selector.size);
    ch_text_append(out, selector.data, selector.size);
}

void
ch_tombstone_text_encode(const ch_tombstone_text_t *text, ch_text_t *out)
{
    put(out, text->lsn);
    put_selector(out, text->what.selector);
    put(out, text->what.except_count);
    for (uint32_t i = 0; i < text->what.except_count; i++)
        put_selector(out, text->what.except[i]);
    put(out, ch_zigzag(text->what.start));
    put(out, ch_zigzag(text->what.end));
}

static const uint8_t *
get_selector(const uint8_t *at, const uint8_t *end, ch_bytes_t *selector_out)
{
    uint64_t size = 0;
    at = at ? ch_varint_get_max(at, end, CH_WAL_SELECTOR_BYTES_MAX, &size) : NULL;
    if (!at || size == 0 || size > (uint64_t)(end - at))
        return NULL;
    *selector_out = ch_bytes(at, size);
    return at + size;
}

const uint8_t *
ch_tombstone_text_decode(const uint8_t *at, const uint8_t *end,
                         ch_tombstone_text_t *text_out)
{
    ch_tombstone_text_t text = {0};
    uint64_t count = 0, start = 0, stop = 0;
    at = ch_varint_get(at, end, &text.lsn);
    at = get_selector(at, end, &text.what.selector);
    at = at ? ch_varint_get_max(at, end, CH_WAL_EXCEPTIONS_MAX, &count) : NULL;
    ch_bytes_t *except = ch_calloc(count + 1, sizeof *except);
    for (uint64_t i = 0; i < count; i++)
        at = get_selector(at, end, &except[i]);
    at = at ? ch_varint_get(at, end, &start) : NULL;
    at = at ? ch_varint_get(at, end, &stop) : NULL;
    if (!at) {
        ch_free(except);
        return NULL;
    }
    text.what.except = except;
    text.what.except_count = (uint32_t)count;
    text.what.start = ch_unzigzag(start);
    text.what.end = ch_unzigzag(stop);
    text.memory = except;
    *text_out = text;
    return at;
}

static bool
same_series(const ch_wal_delete_t *a, const ch_wal_delete_t *b)
{
    bool same =
        ch_bytes_equal(a->selector, b->selector) && a->except_count == b->except_count;
    for (uint32_t i = 0; same && i < a->except_count; i++)
        same = ch_bytes_equal(a->except[i], b->except[i]);
    return same;
}

bool
ch_tombstone_text_covers(const ch_tombstone_text_t *later,
                         const ch_tombstone_text_t *earlier)
{
    return later->lsn > earlier->lsn && later->what.start <= earlier->what.start &&
           later->what.end >= earlier->what.end &&
           same_series(&later->what, &earlier->what);
}

bool
ch_tombstone_text_overlaps(const ch_tombstone_text_t *text, int64_t time_min,
                           int64_t time_max)
{
    return text->what.start <= time_max &&
           (text->what.end > time_min || text->what.end == INT64_MAX);
}

/* ---- resolving ---- */

/* One by one, each with the whole patience that a regex gets: what gives up here came after the
 * record was written. */
static ch_status_t
select_patiently(const ch_series_table_t *table, ch_bytes_t text, ch_series_ids_t *ids)
{
    ch_selector_t *selector = NULL;
    ch_status_t status = ch_selector_parse(text, &selector);
    for (uint32_t series = 0; status >= 0 && series < ch_series_table_count(table);
         series++) {
        uint32_t name_id, labels_id;
        ch_series_table_get(table, series, &name_id, &labels_id);
        ch_bytes_t name = ch_series_table_name(table, name_id);
        ch_bytes_t labels = ch_series_table_labels(table, labels_id);
        int accepts = ch_selector_accepts(selector, name, labels);
        if (accepts < 0) { /* its patience is for all texts together: once more, anew */
            ch_selector_destroy(&selector);
            status = ch_selector_parse(text, &selector);
            accepts = status < 0 ? 0 : ch_selector_accepts(selector, name, labels);
        }
        if (accepts != 1)
            continue;
        if (ids->count == ids->capacity) {
            ids->capacity = ids->capacity ? ids->capacity * 2 : 256;
            ids->items = ch_realloc(ids->items, ids->capacity * sizeof *ids->items);
        }
        ids->items[ids->count++] = series;
    }
    ch_selector_destroy(&selector);
    return status;
}

static ch_status_t
resolve(ch_label_index_t *index, const ch_series_table_t *table, ch_bytes_t text,
        bool logged, roaring_bitmap_t **series_out)
{
    ch_selector_t *selector = NULL;
    ch_series_ids_t ids = {0};
    ch_status_t status = ch_selector_parse(text, &selector);
    if (status >= 0)
        status = ch_label_index_select(index, selector, SIZE_MAX, NULL, &ids);
    ch_selector_destroy(&selector);
    if (status == CH_ERR_LIMIT && logged)
        status = select_patiently(table, text, &ids);
    if (status >= 0)
        *series_out = roaring_bitmap_of_ptr(ids.count, ids.items);
    ch_series_ids_release(&ids);
    if (status == CH_ERR_PARSE && logged)
        status = CH_ERR_VERSION;
    return status;
}

ch_status_t
ch_tombstone_new(const ch_tombstone_text_t *text, bool logged, ch_label_index_t *index,
                 const ch_series_table_t *series, ch_tombstone_t **tombstone_out)
{
    roaring_bitmap_t *named = NULL;
    ch_status_t status = resolve(index, series, text->what.selector, logged, &named);
    for (uint32_t i = 0; i < text->what.except_count && status >= 0; i++) {
        roaring_bitmap_t *except = NULL;
        status = resolve(index, series, text->what.except[i], logged, &except);
        if (status < 0)
            break;
        roaring_bitmap_andnot_inplace(named, except);
        roaring_bitmap_free(except);
    }
    if (status < 0) {
        if (named)
            roaring_bitmap_free(named);
        return ch_fail_context(status,
                               "delete at lsn %llu: ", (unsigned long long)text->lsn);
    }
    (void)roaring_bitmap_run_optimize(named);
    ch_tombstone_t *tombstone = ch_calloc(1, sizeof *tombstone);
    tombstone->references = 1;
    tombstone->text = ch_tombstone_text_copy(text);
    tombstone->series = named;
    tombstone->bytes = roaring_bitmap_portable_size_in_bytes(named);
    *tombstone_out = tombstone;
    return CH_OK;
}

static bool
let_go(uint32_t *references)
{
    return __atomic_sub_fetch(references, 1, __ATOMIC_ACQ_REL) == 0;
}

static void
retain(uint32_t *references)
{
    (void)__atomic_add_fetch(references, 1, __ATOMIC_RELAXED);
}

void
ch_tombstone_retain(ch_tombstone_t *tombstone)
{
    retain(&tombstone->references);
}

void
ch_tombstone_release(ch_tombstone_t **tombstone)
{
    ch_tombstone_t *released = ch_take(tombstone);
    if (!released || !let_go(&released->references))
        return;
    roaring_bitmap_free(released->series);
    ch_tombstone_text_release(&released->text);
    ch_free(released);
}

uint64_t
ch_tombstone_series_count(const ch_tombstone_t *tombstone)
{
    return roaring_bitmap_get_cardinality(tombstone->series);
}

bool
ch_tombstone_names(const ch_tombstone_t *tombstone, uint32_t series)
{
    return roaring_bitmap_contains(tombstone->series, series);
}

void
ch_tombstone_visit(const ch_tombstone_t *tombstone,
                   bool (*visit)(uint32_t series, void *context), void *context)
{
    (void)roaring_iterate(tombstone->series, visit, context);
}

/* ---- sets ---- */

void
ch_tombstones_retain(ch_tombstones_t *set)
{
    retain(&set->references);
}

void
ch_tombstones_release(ch_tombstones_t **set)
{
    ch_tombstones_t *released = ch_take(set);
    if (!released || !let_go(&released->references))
        return;
    for (size_t i = 0; i < released->count; i++)
        ch_tombstone_release(&released->items[i]);
    if (released->any)
        roaring_bitmap_free(released->any);
    ch_free(released);
}

static ch_tombstones_t *
set_new(size_t capacity)
{
    ch_tombstones_t *set = ch_calloc(1, sizeof *set + capacity * sizeof *set->items);
    set->references = 1;
    return set;
}

static void
set_put(ch_tombstones_t *set, ch_tombstone_t *tombstone)
{
    retain(&tombstone->references);
    set->items[set->count++] = tombstone;
    set->bytes += tombstone->bytes;
}

ch_tombstones_t *
ch_tombstones_add(const ch_tombstones_t *set, ch_tombstone_t *tombstone)
{
    ch_tombstones_t *grown = set_new((set ? set->count : 0) + 1);
    for (size_t i = 0; set && i < set->count; i++)
        set_put(grown, set->items[i]);
    set_put(grown, tombstone);
    grown->settled_lsn = set ? set->settled_lsn : 0;
    grown->any = set ? roaring_bitmap_or(set->any, tombstone->series)
                     : roaring_bitmap_copy(tombstone->series);
    return grown;
}

static roaring_bitmap_t *
bitmap_new(void)
{
    roaring_bitmap_t *bitmap = roaring_bitmap_create();
    CH_ASSERT(bitmap != NULL);
    return bitmap;
}

static ch_tombstone_t *
renumbered(const ch_tombstone_t *tombstone, const uint32_t *map, uint32_t count)
{
    roaring_uint32_iterator_t at;
    ch_tombstone_t *other = ch_calloc(1, sizeof *other);
    other->references = 1;
    other->text = ch_tombstone_text_copy(&tombstone->text);
    other->series = bitmap_new();
    roaring_init_iterator(tombstone->series, &at);
    for (; at.has_value && at.current_value < count; roaring_advance_uint32_iterator(&at))
        if (map[at.current_value] != CH_SERIES_NONE)
            roaring_bitmap_add(other->series, map[at.current_value]);
    (void)roaring_bitmap_run_optimize(other->series);
    other->bytes = roaring_bitmap_portable_size_in_bytes(other->series);
    return other;
}

ch_tombstones_t *
ch_tombstones_renumber(const ch_tombstones_t *set, const uint32_t *map, uint32_t count)
{
    ch_tombstones_t *other = set_new(set->count);
    other->settled_lsn = set->settled_lsn;
    other->any = bitmap_new();
    for (size_t i = 0; i < set->count; i++) {
        ch_tombstone_t *tombstone = renumbered(set->items[i], map, count);
        set_put(other, tombstone);
        roaring_bitmap_or_inplace(other->any, tombstone->series);
        ch_tombstone_release(&tombstone);
    }
    return other;
}

static bool
applies(const ch_tombstone_t *tombstone, uint64_t flushed_lsn,
        const ch_tombstone_table_t *tables, size_t table_count)
{
    const ch_tombstone_text_t *text = &tombstone->text;
    if (text->lsn > flushed_lsn)
        return true; /* a memtable may hold older points, and only the log has it */
    for (size_t i = 0; i < table_count; i++)
        if (text->lsn > tables[i].erased_lsn &&
            ch_tombstone_text_overlaps(text, tables[i].time_min, tables[i].time_max))
            return true;
    return false;
}

/* Not by one that is not durable: a reader whose cut lies before that one needs this. */
static bool
is_covered(const ch_tombstones_t *set, size_t at, uint64_t durable_lsn)
{
    for (size_t i = set->count; i-- > at + 1;) {
        const ch_tombstone_text_t *later = &set->items[i]->text;
        if (later->lsn <= set->settled_lsn)
            return false;
        if (later->lsn <= durable_lsn &&
            ch_tombstone_text_covers(later, &set->items[at]->text))
            return true;
    }
    return false;
}

ch_tombstones_t *
ch_tombstones_prune(ch_tombstones_t *set, uint64_t flushed_lsn, uint64_t durable_lsn,
                    const ch_tombstone_table_t *tables, size_t table_count)
{
    if (!set)
        return NULL;
    ch_tombstones_t *kept = set_new(set->count);
    for (size_t i = 0; i < set->count; i++)
        if (applies(set->items[i], flushed_lsn, tables, table_count) &&
            !is_covered(set, i, durable_lsn))
            set_put(kept, set->items[i]);
    if (kept->count == 0) {
        ch_free(kept);
        return NULL;
    }
    if (kept->count == set->count) {
        ch_tombstones_release(&kept);
        ch_tombstones_retain(set);
        return set;
    }
    kept->settled_lsn = durable_lsn > set->settled_lsn ? durable_lsn : set->settled_lsn;
    kept->any = roaring_bitmap_copy(kept->items[0]->series);
    for (size_t i = 1; i < kept->count; i++)
        roaring_bitmap_or_inplace(kept->any, kept->items[i]->series);
    return kept;
}

/* ---- asking ---- */

void
ch_erasures_release(ch_erasures_t *erasures)
{
    ch_free(erasures->items);
    *erasures = (ch_erasures_t){0};
}

static void
erasures_put(ch_erasures_t *erasures, const ch_tombstone_text_t *text)
{
    if (erasures->count == erasures->capacity) {
        erasures->capacity = erasures->capacity ? erasures->capacity * 2 : 16;
        erasures->items =
            ch_realloc(erasures->items, erasures->capacity * sizeof *erasures->items);
    }
    erasures->items[erasures->count++] =
        (ch_erasure_t){text->lsn, text->what.start, text->what.end};
}

bool
ch_tombstones_gather(const ch_tombstones_t *set, uint32_t series, uint64_t lsn_above,
                     uint64_t lsn_max, int64_t start, int64_t end,
                     ch_erasures_t *erasures)
{
    erasures->count = 0;
    if (!set || !roaring_bitmap_contains(set->any, series))
        return false;
    int64_t last = end == INT64_MAX || end == INT64_MIN ? end : end - 1;
    for (size_t i = 0; i < set->count; i++) {
        const ch_tombstone_text_t *text = &set->items[i]->text;
        if (text->lsn > lsn_above && text->lsn <= lsn_max &&
            ch_tombstone_text_overlaps(text, start, last) &&
            roaring_bitmap_contains(set->items[i]->series, series))
            erasures_put(erasures, text);
    }
    return erasures->count > 0;
}

void
ch_tombstones_filter(const ch_tombstones_t *set, uint32_t series, uint64_t lsn_above,
                     uint64_t lsn_max, ch_erasures_t *scratch, ch_points_t *points)
{
    if (ch_tombstones_gather(set, series, lsn_above, lsn_max, INT64_MIN, INT64_MAX,
                             scratch))
        ch_points_erase(points, 0, scratch->items, scratch->count, lsn_above);
}
