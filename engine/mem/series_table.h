/// Series keys to dense local ids, never on the wire or in the WAL.
///
/// Shape    three interned tables: names (text -> name id), label sets (canonical label text ->
///          labels id), series ((name id, labels id) -> series id), ids dense from 0, each looked up
///          by hash and then compared whole. A cell of a table costs one probe of two integers.
/// Threads  one writer interns; its own look-ups take no lock. Readers look up and read texts from
///          any thread (texts never move once interned; ids < ch_series_table_count are complete).
#ifndef CH_MEM_SERIES_TABLE_H
#define CH_MEM_SERIES_TABLE_H

#include "ch/bytes.h"
#include "ch/status.h"
#include "os/stream.h"

typedef struct ch_series_table ch_series_table_t;

#define CH_SERIES_NONE UINT32_MAX

ch_series_table_t *ch_series_table_new(void);
void ch_series_table_destroy(ch_series_table_t **table);

/// Writer only: id of the text, interned when new.
uint32_t ch_series_table_intern_name(ch_series_table_t *table, ch_bytes_t name);
uint32_t ch_series_table_intern_labels(ch_series_table_t *table, ch_bytes_t labels);
/// Writer only: *new_out says whether it was made by this call.
uint32_t ch_series_table_intern(ch_series_table_t *table, uint32_t name_id,
                                uint32_t labels_id, bool *new_out);
/// Writer only, without making it: CH_SERIES_NONE when absent.
uint32_t ch_series_table_peek_name(const ch_series_table_t *table, ch_bytes_t name);
uint32_t ch_series_table_peek_labels(const ch_series_table_t *table, ch_bytes_t labels);
uint32_t ch_series_table_peek(const ch_series_table_t *table, uint32_t name_id,
                              uint32_t labels_id);

/// Any thread: id of a series or CH_SERIES_NONE.
uint32_t ch_series_table_find(ch_series_table_t *table, ch_bytes_t name,
                              ch_bytes_t labels);

/// Any thread: counts, and texts by id (valid as long as the table).
uint32_t ch_series_table_count(const ch_series_table_t *table);
uint32_t ch_series_table_name_count(const ch_series_table_t *table);
uint32_t ch_series_table_labels_count(const ch_series_table_t *table);
void ch_series_table_get(const ch_series_table_t *table, uint32_t series,
                         uint32_t *name_id_out, uint32_t *labels_id_out);
ch_bytes_t ch_series_table_name(const ch_series_table_t *table, uint32_t name_id);
ch_bytes_t ch_series_table_labels(const ch_series_table_t *table, uint32_t labels_id);
/// For who knows what it reads next: ask for the texts of the series `soon`, and for what the same call will
/// need for `later` when its turn comes.
void ch_series_table_prefetch(const ch_series_table_t *table, uint32_t soon,
                              uint32_t later);
size_t ch_series_table_bytes(const ch_series_table_t *table);
/// Writer: what so many series more would take at most for a time, without their texts.
size_t ch_series_table_growth(const ch_series_table_t *table, uint64_t more);

/// A moment of the table: names, label sets and series below these ids.
typedef struct ch_series_mark {
    uint32_t names, labels, series;
} ch_series_mark_t;

/// Any thread: now. All texts of the series counted are counted too.
ch_series_mark_t ch_series_table_mark(const ch_series_table_t *table);

/// Any thread: write what came between two marks (docs/format/catalogue.md, "Series").
void ch_series_table_save(const ch_series_table_t *table, ch_series_mark_t from,
                          ch_series_mark_t to, ch_stream_writer_t *out);

/// Before a load: room for as many, and have it touched. The second may run beside the load, from
/// another thread: a first touch costs more than all else.
void ch_series_table_reserve(ch_series_table_t *table, ch_series_mark_t to);
void ch_series_table_touch(const ch_series_table_t *table);

/// Before the table is shared: take up what was saved, under the same ids. The table must stand at
/// `from`. Errors: CH_ERR_CORRUPT, CH_ERR_IO; part of it may be there then.
ch_status_t ch_series_table_load(ch_series_table_t *table, ch_series_mark_t from,
                                 ch_series_mark_t to,
                                 ch_stream_reader_t *in) CH_MUST_CHECK;

#endif
