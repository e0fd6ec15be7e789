/// msgpack-c's packer over a ch_buffer_t, and the few items that need care.
///
/// Errors   the buffer's sticky failure.
/// Threads  one at a time.
#ifndef CH_PACK_H
#define CH_PACK_H

#include "ch/batch.h"
#include "ch/buffer.h"

#include <msgpack.h>

msgpack_packer ch_packer(ch_buffer_t *buffer);

void ch_pack_text(msgpack_packer *packer, const char *text);
void ch_pack_str(msgpack_packer *packer, ch_bytes_t bytes);
void ch_pack_bin(msgpack_packer *packer, ch_bytes_t bytes);
void ch_pack_ext(msgpack_packer *packer, int8_t type, const void *data, size_t size);

/// A point's value: NONE is nil, a string is str when it is UTF-8 and bin otherwise.
void ch_pack_value(msgpack_packer *packer, ch_value_t value);

/// Times and values in the forms of docs/protocol.md.
void ch_pack_times(msgpack_packer *packer, const ch_times_t *times, uint32_t count);
void ch_pack_values(msgpack_packer *packer, const ch_values_t *values, uint32_t count);

#endif
