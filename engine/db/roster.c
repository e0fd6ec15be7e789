#include "db/roster.h"

#include "ch/alloc.h"

ch_roster_t *
ch_roster_new(uint64_t generation)
{
    ch_roster_t *roster = ch_calloc(1, sizeof *roster);
    *roster = (ch_roster_t){.references = 1,
                            .generation = generation,
                            .series = ch_series_table_new(),
                            .index = ch_label_index_new(),
                            .states = ch_series_states_new()};
    return roster;
}

void
ch_roster_retain(ch_roster_t *roster)
{
    (void)__atomic_add_fetch(&roster->references, 1, __ATOMIC_RELAXED);
}

void
ch_roster_release(ch_roster_t **roster)
{
    ch_roster_t *released = ch_take(roster);
    if (!released || __atomic_sub_fetch(&released->references, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    ch_label_index_destroy(&released->index); /* its texts are the table's */
    ch_series_table_destroy(&released->series);
    ch_series_states_destroy(&released->states);
    ch_free(released);
}

bool
ch_roster_is_last(const ch_roster_t *roster)
{
    return __atomic_load_n(&roster->references, __ATOMIC_ACQUIRE) == 1;
}

static void
index_series(ch_roster_t *roster, uint32_t series)
{
    uint32_t name_id, labels_id;
    ch_series_table_get(roster->series, series, &name_id, &labels_id);
    ch_label_index_add(roster->index, series, name_id,
                       ch_series_table_name(roster->series, name_id), labels_id,
                       ch_series_table_labels(roster->series, labels_id));
}

void
ch_roster_born(ch_roster_t *roster, uint32_t series, uint64_t lsn)
{
    ch_series_states_add(roster->states, series, lsn);
    index_series(roster, series);
}

uint32_t
ch_roster_adopt(ch_roster_t *roster, const ch_roster_t *from, uint32_t series)
{
    uint32_t name_id, labels_id;
    bool born = false;
    ch_series_table_get(from->series, series, &name_id, &labels_id);
    ch_series_table_t *table = roster->series;
    uint32_t name =
        ch_series_table_intern_name(table, ch_series_table_name(from->series, name_id));
    uint32_t labels = ch_series_table_intern_labels(
        table, ch_series_table_labels(from->series, labels_id));
    uint32_t id = ch_series_table_intern(table, name, labels, &born);
    if (born) {
        ch_series_states_adopt(roster->states, id, from->states, series);
        index_series(roster, id);
    }
    return id;
}

uint64_t
ch_roster_bytes(const ch_roster_t *roster)
{
    return sizeof *roster + ch_series_table_bytes(roster->series) +
           ch_label_index_bytes(roster->index) + ch_series_states_bytes(roster->states) +
           2 * sizeof(uint32_t) * (uint64_t)ch_series_table_count(roster->series);
}
