/// A CURVE key as text: Z85 (ZeroMQ RFC 32), 40 characters for 32 bytes.
///
/// Threads  pure functions.
#ifndef CH_Z85_H
#define CH_Z85_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    CH_KEY_BYTES = 32,
    CH_KEY_TEXT = 40,           /* characters */
    CH_KEY_TEXT_BYTES = 40 + 1, /* with the NUL */
};

/// False, and nothing written: not 40 characters of Z85, or a group of five above 2^32 - 1.
bool ch_z85_decode(const char *text, size_t size, uint8_t key_out[CH_KEY_BYTES]);

void ch_z85_encode(const uint8_t key[CH_KEY_BYTES], char text_out[CH_KEY_TEXT_BYTES]);

#endif
