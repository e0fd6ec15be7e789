/// Remembers how key texts of the last batches were taken apart: producers name the same series
/// again and again, and checking 100 bytes of key costs more than all the rest of a point.
///
/// Shape    sets of two slots; the set of a hash holds the last two keys that hashed there, whole. A
///          hit compares the whole key.
/// Memory   CH_KEY_CACHE_SLOTS slots; a key that does not fit a slot is not remembered.
/// Threads  one at a time.
#ifndef CH_KEY_CACHE_H
#define CH_KEY_CACHE_H

#include "ch/bytes.h"

enum { CH_KEY_CACHE_SLOTS = 4096, CH_KEY_CACHE_TEXT_BYTES = 364 };

typedef struct ch_key_slot {
    uint64_t hash;
    uint32_t key_size; /* 0: empty */
    uint32_t name_size;
    uint16_t labels_at; /* canonical label text: in the key, or behind it */
    uint16_t labels_size;
    uint8_t text
        [CH_KEY_CACHE_TEXT_BYTES]; /* the key, then its labels if they were not canonical */
} ch_key_slot_t;

typedef struct ch_key_cache {
    ch_key_slot_t *slots;
    unsigned turn; /* which slot of a full set goes */
} ch_key_cache_t;

void ch_key_cache_release(ch_key_cache_t *cache);

/// The slot that holds `key`, or NULL; *hash_out is for ch_key_cache_put.
const ch_key_slot_t *ch_key_cache_find(const ch_key_cache_t *cache, ch_bytes_t key,
                                       uint64_t *hash_out);

/// Remember what ch_series_key_parse made of `key`.
void ch_key_cache_put(ch_key_cache_t *cache, ch_bytes_t key, uint64_t hash,
                      ch_bytes_t name, ch_bytes_t labels);

#endif
