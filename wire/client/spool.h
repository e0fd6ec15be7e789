/// Batches of a producer on disk until they are acknowledged, so that its own crash loses nothing.
///
/// Shape    a directory of one producer: `lock`, and files `<number>.spool`, the number hex and
///          ascending. A file: "CHSPOOL1", then records {u32 size, u32 crc32c of the frame, frame},
///          little-endian. Frames carry producer, epoch and seq themselves.
/// Rules    appended in seq order; a file is closed at CH_SPOOL_FILE_BYTES and deleted when all of
///          its batches are acknowledged. A torn record at the end of the last file was never sent:
///          it is cut off. Damage anywhere else is an error, and nothing is touched.
/// Errors   -1 with errno, or with errno 0 and text in `error` when the content is wrong.
/// Threads  one at a time.
#ifndef CH_SPOOL_H
#define CH_SPOOL_H

#include "ch/bytes.h"

enum { CH_SPOOL_FILE_BYTES = 8 << 20, CH_SPOOL_FRAME_BYTES_MAX = 64 << 20 };

typedef struct ch_spool ch_spool_t;

/// Open (or make) the directory and lock it. `visit` gets every batch that is held, oldest first;
/// it returns false to stop with an error. NULL on failure, `error` says why.
ch_spool_t *ch_spool_open(const char *path, bool sync,
                          bool (*visit)(void *context, uint64_t epoch, uint64_t seq,
                                        const char *producer, ch_bytes_t frame),
                          void *context, char *error, size_t error_size);
void ch_spool_destroy(ch_spool_t **spool);

/// Append a batch; with `sync` it is on disk when this returns. False: errno.
bool ch_spool_append(ch_spool_t *spool, uint64_t seq, ch_bytes_t frame);

/// Everything up to `seq` is acknowledged.
void ch_spool_release(ch_spool_t *spool, uint64_t seq);

/// Replace all of it: `next` hands out the frames now held (i from 0), seq from 1. All or nothing.
bool ch_spool_rewrite(ch_spool_t *spool,
                      bool (*next)(void *context, size_t i, ch_bytes_t *frame_out),
                      void *context);

uint32_t ch_crc32c(const void *data, size_t size);

#endif
