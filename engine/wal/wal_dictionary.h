/// Segment-local numbers of names, label sets and series, from both sides.
///
/// Numbering  the writer's: global id -> local id, as arrays indexed by the global id. An entry is
///            stamped with the segment it belongs to, so a rotation forgets everything at no cost.
/// Dictionary the reader's: local series -> (name, label text), filled from records' additions.
/// Threads    each belongs to one thread at a time.
#ifndef CH_WAL_DICTIONARY_H
#define CH_WAL_DICTIONARY_H

#include "wal/wal.h"
#include "wal/wal_memory.h"

typedef struct ch_wal_slot {
    uint32_t stamp;
    uint32_t local;
} ch_wal_slot_t;

/// One kind of thing: slots by global id, and the global ids in local order (to undo).
typedef struct ch_wal_ids {
    ch_wal_slot_t *slots;
    size_t slot_count;
    uint32_t *globals;
    uint32_t count;
    uint32_t capacity;
} ch_wal_ids_t;

/// Counts at one moment; ch_wal_numbering_undo goes back to it.
typedef struct ch_wal_mark {
    uint32_t names, labels, series;
} ch_wal_mark_t;

typedef struct ch_wal_numbering {
    uint32_t
        stamp; /* entries with another stamp are of an earlier segment; 0 is never current */
    ch_wal_ids_t names, labels, series;
} ch_wal_numbering_t;

void ch_wal_numbering_release(ch_wal_numbering_t *numbering);
/// A new segment: everything is forgotten.
void ch_wal_numbering_reset(ch_wal_numbering_t *numbering);
/// The same segment, but global ids mean something else: none is known any more, local numbers go on.
void ch_wal_numbering_renumber(ch_wal_numbering_t *numbering);
ch_wal_mark_t ch_wal_numbering_mark(const ch_wal_numbering_t *numbering);
void ch_wal_numbering_undo(ch_wal_numbering_t *numbering, ch_wal_mark_t mark);

/// Add `global`, which has no local number yet; returns the number.
uint32_t ch_wal_ids_add(ch_wal_ids_t *ids, uint32_t stamp, uint32_t global);

/// Local number of `global`, made when new.
static inline uint32_t
ch_wal_ids_map(ch_wal_ids_t *ids, uint32_t stamp, uint32_t global)
{
    if (global < ids->slot_count && ids->slots[global].stamp == stamp)
        return ids->slots[global].local;
    return ch_wal_ids_add(ids, stamp, global);
}

ch_wal_dictionary_t *ch_wal_dictionary_new(void);
void ch_wal_dictionary_destroy(ch_wal_dictionary_t **dictionary);
void ch_wal_dictionary_reset(ch_wal_dictionary_t *dictionary);
uint32_t ch_wal_dictionary_names(const ch_wal_dictionary_t *dictionary);
uint32_t ch_wal_dictionary_labels(const ch_wal_dictionary_t *dictionary);
/// Texts are copied. add_series: both numbers are below the counts above.
void ch_wal_dictionary_add_name(ch_wal_dictionary_t *dictionary, ch_bytes_t name);
void ch_wal_dictionary_add_labels(ch_wal_dictionary_t *dictionary, ch_bytes_t labels);
void ch_wal_dictionary_add_series(ch_wal_dictionary_t *dictionary, uint32_t name,
                                  uint32_t labels);

#endif
