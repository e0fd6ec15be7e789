/// Blocks of a dictionary of sorted texts, prefix-compressed with restart points
/// (docs/format/sstable.md, "Dictionary block"). Heads and tails of keys are such dictionaries.
///
/// Threads  a builder and a cursor belong to one thread; searching a block is pure.
#ifndef CH_SST_DICTIONARY_H
#define CH_SST_DICTIONARY_H

#include "ch/series_key.h"
#include "sst/sstable_format.h"

typedef struct ch_dictionary_builder {
    ch_text_t content;  /* entries of the open block */
    ch_text_t restarts; /* u32 each */
    ch_text_t last;     /* the newest text: what the next one shares bytes with */
    uint32_t entries;   /* in the open block */
} ch_dictionary_builder_t;

void ch_dictionary_builder_release(ch_dictionary_builder_t *builder);

/// Add a text (above the last one, at most CH_SST_TEXT_BYTES_MAX).
void ch_dictionary_builder_add(ch_dictionary_builder_t *builder, ch_bytes_t text);

/// Is the open block big enough to be closed?
bool ch_dictionary_builder_full(const ch_dictionary_builder_t *builder);

/// The content of the open block, valid until the next add; the block after it is begun.
ch_bytes_t ch_dictionary_builder_close(ch_dictionary_builder_t *builder);

/// Bytes of the shortest text above `last` and not above `text`: a prefix of `text`.
size_t ch_dictionary_separator(ch_bytes_t last, ch_bytes_t text);

/// A walk over one block's content.
typedef struct ch_dictionary_cursor {
    ch_bytes_t entries; /* without the restart points */
    const uint8_t *restarts;
    uint32_t restart_count;
    uint32_t next; /* place of the entry that comes next */
    size_t at;     /* where it begins */
    uint32_t text_size;
    uint8_t text[CH_SST_TEXT_BYTES_MAX]; /* the entry read last */
} ch_dictionary_cursor_t;

/// Begin before the first entry. `content` is borrowed. Errors: CH_ERR_CORRUPT.
ch_status_t ch_dictionary_cursor_init(ch_dictionary_cursor_t *cursor,
                                      ch_bytes_t content) CH_MUST_CHECK;

/// Read the next entry into `text`: CH_OK, CH_END, CH_ERR_CORRUPT.
ch_status_t ch_dictionary_cursor_next(ch_dictionary_cursor_t *cursor) CH_MUST_CHECK;

/// Read entry `place` into `text`. CH_ERR_CORRUPT also when there is none.
ch_status_t ch_dictionary_cursor_seek(ch_dictionary_cursor_t *cursor,
                                      uint32_t place) CH_MUST_CHECK;

/// Find a text: CH_OK and its place, CH_NOT_FOUND, CH_ERR_CORRUPT.
ch_status_t ch_dictionary_cursor_find(ch_dictionary_cursor_t *cursor, ch_bytes_t text,
                                      uint32_t *place_out) CH_MUST_CHECK;

static inline ch_bytes_t
ch_dictionary_cursor_text(const ch_dictionary_cursor_t *cursor)
{
    return ch_bytes(cursor->text, cursor->text_size);
}

#endif
