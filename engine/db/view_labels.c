/* view_labels.c - the label names and values that series of a view carry. */
#include "db/damage.h"
#include "db/engine_state.h"

#include "ch/alloc.h"
#include "ch/checksum.h"

#include <stdlib.h>

enum { SERIES_UNITS = 8 }; /* of work (ch/deadline.h) */

/* A set of texts that live elsewhere. */
typedef struct text_set {
    ch_bytes_t *slots; /* open addressing; data NULL is free */
    size_t capacity, count;
} text_set_t;

static void
text_set_put(text_set_t *set, ch_bytes_t text)
{
    if (set->count * 2 >= set->capacity) {
        text_set_t grown = {.capacity = set->capacity ? set->capacity * 2 : 256};
        grown.slots = ch_calloc(grown.capacity, sizeof *grown.slots);
        for (size_t i = 0; i < set->capacity; i++)
            if (set->slots[i].data)
                text_set_put(&grown, set->slots[i]);
        ch_free(set->slots);
        *set = grown;
    }
    size_t at = ch_hash64(text.data, text.size, 0) & (set->capacity - 1);
    while (set->slots[at].data && !ch_bytes_equal(set->slots[at], text))
        at = (at + 1) & (set->capacity - 1);
    if (!set->slots[at].data) {
        set->slots[at] = text;
        set->count++;
    }
}

static int
by_bytes(const void *a, const void *b)
{
    return ch_bytes_compare(*(const ch_bytes_t *)a, *(const ch_bytes_t *)b);
}

static ch_status_t
text_set_visit(text_set_t *set, ch_deadline_t *deadline,
               bool (*visit)(void *context, ch_bytes_t text), void *context)
{
    size_t count = 0;
    for (size_t i = 0; i < set->capacity; i++)
        if (set->slots[i].data)
            set->slots[count++] = set->slots[i];
    ch_status_t status = CH_OK;
    if (count)
        status =
            ch_deadline_sort(deadline, set->slots, count, sizeof *set->slots, by_bytes);
    for (size_t i = 0; i < count && status >= 0; i++)
        if (!visit(context, set->slots[i]))
            break;
    return status;
}

typedef struct label_walk {
    ch_view_t *view;
    const ch_bytes_t *label; /* NULL: collect label names; else this label's values */
    text_set_t found;
    uint8_t *labels_seen; /* by label set id: each is taken apart once */
    ch_text_t unescaped;
    ch_points_t kept; /* memory of unescaped values */
} label_walk_t;

static ch_status_t
walk_label_set(label_walk_t *walk, ch_bytes_t labels)
{
    size_t cursor = 0;
    ch_label_t label;
    ch_status_t status;
    while ((status = ch_series_labels_next(labels, &cursor, &walk->unescaped, &label)) ==
           CH_OK) {
        if (!walk->label) {
            text_set_put(&walk->found, label.name);
        } else if (ch_bytes_equal(label.name, *walk->label)) {
            bool foreign = label.value.data < labels.data ||
                           label.value.data >= labels.data + labels.size;
            text_set_put(&walk->found,
                         foreign ? ch_points_keep_string(&walk->kept, label.value)
                                 : label.value);
        }
        ch_text_reset(&walk->unescaped);
    }
    return status < 0 ? status : CH_OK;
}

static ch_status_t
walk_series(label_walk_t *walk, uint32_t series)
{
    const ch_roster_t *roster = ch_version_roster(walk->view->version);
    ch_status_t status = ch_deadline_work(&walk->view->deadline, SERIES_UNITS);
    if (status < 0)
        return status;
    if (ch_series_states_born(roster->states, series) > walk->view->lsn)
        return CH_OK;
    uint32_t name_id, labels_id;
    ch_series_table_get(roster->series, series, &name_id, &labels_id);
    if (ch_series_states_touched(roster->states, series)) {
        ch_series_ref_t ref = {series, ch_series_table_name(roster->series, name_id),
                               ch_series_table_labels(roster->series, labels_id)};
        int has = ch_view_forgive(
            walk->view, ch_view_has_points(walk->view, &ref, CH_TIME_MIN, CH_TIME_MAX),
            1);
        if (has <= 0)
            return (ch_status_t)has;
    }
    if (!walk->label)
        text_set_put(&walk->found, ch_bytes_text("__name__"));
    if (walk->label && ch_bytes_equal(*walk->label, ch_bytes_text("__name__"))) {
        text_set_put(&walk->found, ch_series_table_name(roster->series, name_id));
        return CH_OK;
    }
    if (walk->labels_seen[labels_id])
        return CH_OK;
    walk->labels_seen[labels_id] = 1;
    return walk_label_set(walk, ch_series_table_labels(roster->series, labels_id));
}

static ch_status_t
walk_all(label_walk_t *walk, const ch_selector_t *selector)
{
    const ch_roster_t *roster = ch_version_roster(walk->view->version);
    uint32_t count = ch_series_table_count(roster->series);
    walk->labels_seen = ch_calloc(ch_series_table_labels_count(roster->series) + 1, 1);
    ch_status_t status = ch_view_forgive(
        walk->view, ch_version_check_keys(walk->view->version, CH_TIME_MIN, CH_TIME_MAX),
        CH_OK);
    if (!selector) {
        for (uint32_t series = 0; series < count && status >= 0; series++)
            status = walk_series(walk, series);
        return status;
    }
    ch_series_list_t list = {0};
    const ch_source_t *source = &walk->view->source;
    status = source->select(source->context, selector, CH_TIME_MIN, CH_TIME_MAX, SIZE_MAX,
                            &list);
    /* A series that came after `count` was read may use a newer label set than labels_seen has. */
    for (size_t i = 0; i < list.count && status >= 0; i++)
        if (list.items[i].id < count)
            status = walk_series(walk, list.items[i].id);
    ch_series_list_release(&list);
    return status;
}

static ch_status_t
collect(ch_view_t *view, const ch_selector_t *selector, const ch_bytes_t *label,
        bool (*visit)(void *context, ch_bytes_t text), void *context)
{
    label_walk_t walk = {.view = view, .label = label};
    ch_status_t status = walk_all(&walk, selector);
    if (status >= 0)
        status = text_set_visit(&walk.found, &view->deadline, visit, context);
    ch_free(walk.found.slots);
    ch_free(walk.labels_seen);
    ch_text_release(&walk.unescaped);
    ch_points_release(&walk.kept);
    return status < 0 ? status : CH_OK;
}

ch_status_t
ch_view_labels(ch_view_t *view, const ch_selector_t *selector,
               bool (*visit)(void *context, ch_bytes_t name), void *context)
{
    return collect(view, selector, NULL, visit, context);
}

ch_status_t
ch_view_label_values(ch_view_t *view, const ch_selector_t *selector, ch_bytes_t label,
                     bool (*visit)(void *context, ch_bytes_t value), void *context)
{
    return collect(view, selector, &label, visit, context);
}
