/// The writer's door for chunks that are encoded already; for sst/ only.
#ifndef CH_SST_SSTABLE_WRITER_PART_H
#define CH_SST_SSTABLE_WRITER_PART_H

#include "column/chunk.h"
#include "sst/sstable.h"

/// Add a chunk to the open series: what its directory entry says, its times (its own, whatever the
/// entry says of sharing) and its values.
ch_status_t ch_sstable_writer_add_encoded(ch_sstable_writer_t *writer,
                                          const ch_chunk_t *chunk, ch_bytes_t times,
                                          ch_bytes_t values) CH_MUST_CHECK;

#endif
