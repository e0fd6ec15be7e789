/// A long run of bytes in a file, written once from front to back and read so, in checked pieces
/// (docs/format/catalogue.md, "Pieces"), each compressed where that makes it smaller. What a reader hands
/// out has been checked before.
///
/// Threads  each belongs to one.
#ifndef CH_OS_STREAM_H
#define CH_OS_STREAM_H

#include "ch/fs.h"

typedef struct ch_stream_writer ch_stream_writer_t;

/// Begins at `offset` of the file, which is borrowed. `seed` ties the pieces to their place.
ch_stream_writer_t *ch_stream_writer_new(ch_file_t *file, uint64_t offset, uint64_t seed);
void ch_stream_writer_destroy(ch_stream_writer_t **writer);

/// The first failure is kept until ch_stream_finish.
void ch_stream_put(ch_stream_writer_t *writer, const void *data, size_t size);
void ch_stream_put_u32(ch_stream_writer_t *writer, uint32_t value);

/// Write the last piece (not synced); *end_out: where it ends in the file.
ch_status_t ch_stream_finish(ch_stream_writer_t *writer, uint64_t *end_out) CH_MUST_CHECK;

typedef struct ch_stream_reader ch_stream_reader_t;

ch_stream_reader_t *ch_stream_reader_new(ch_file_t *file, uint64_t offset,
                                         uint64_t file_bytes, uint64_t seed);
void ch_stream_reader_destroy(ch_stream_reader_t **reader);

/// Exactly `size` bytes. Errors: CH_ERR_CORRUPT (also at the end), CH_ERR_IO.
ch_status_t ch_stream_get(ch_stream_reader_t *reader, void *to,
                          size_t size) CH_MUST_CHECK;
ch_status_t ch_stream_get_u32(ch_stream_reader_t *reader, uint32_t *to) CH_MUST_CHECK;

/// More than this cannot come any more: checks sizes before memory is taken for them.
uint64_t ch_stream_left(const ch_stream_reader_t *reader);

/// The stream must end here; *end_out as of ch_stream_finish.
ch_status_t ch_stream_end(ch_stream_reader_t *reader, uint64_t *end_out) CH_MUST_CHECK;

#endif
