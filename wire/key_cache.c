#include "key_cache.h"

#include "ch/checksum.h"

#include <stdlib.h>

void
ch_key_cache_release(ch_key_cache_t *cache)
{
    free(cache->slots);
    cache->slots = NULL;
}

const ch_key_slot_t *
ch_key_cache_find(const ch_key_cache_t *cache, ch_bytes_t key, uint64_t *hash_out)
{
    uint64_t hash = ch_hash64(key.data, key.size, 0);
    *hash_out = hash;
    if (!cache->slots)
        return NULL;
    const ch_key_slot_t *set = &cache->slots[hash % (CH_KEY_CACHE_SLOTS / 2) * 2];
    for (const ch_key_slot_t *slot = set; slot < set + 2; slot++)
        if (slot->hash == hash && slot->key_size == key.size &&
            memcmp(slot->text, key.data, key.size) == 0)
            return slot;
    return NULL;
}

void
ch_key_cache_put(ch_key_cache_t *cache, ch_bytes_t key, uint64_t hash, ch_bytes_t name,
                 ch_bytes_t labels)
{
    bool inside = labels.size == 0 ||
                  (labels.data >= key.data && labels.data < key.data + key.size);
    if (key.size == 0 || key.size + (inside ? 0 : labels.size) > CH_KEY_CACHE_TEXT_BYTES)
        return;
    if (!cache->slots)
        cache->slots = calloc(CH_KEY_CACHE_SLOTS, sizeof *cache->slots);
    if (!cache->slots)
        return;
    ch_key_slot_t *slot = &cache->slots[hash % (CH_KEY_CACHE_SLOTS / 2) * 2];
    if (slot[0].key_size && (!slot[1].key_size || ++cache->turn % 2))
        slot++;
    slot->hash = hash;
    slot->key_size = (uint32_t)key.size;
    slot->name_size = (uint32_t)name.size;
    slot->labels_size = (uint16_t)labels.size;
    slot->labels_at = (uint16_t)key.size;
    memcpy(slot->text, key.data, key.size);
    if (labels.size == 0)
        return;
    if (inside)
        slot->labels_at = (uint16_t)(labels.data - key.data);
    else
        memcpy(slot->text + key.size, labels.data, labels.size);
}
