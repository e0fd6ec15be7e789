#include "grants.h"

#include <string.h>
#include "ch/alloc.h"

struct ch_grants {
    ch_keys_t *keys;
    ch_keyring_t *keyring;
    uint64_t generation;
    ch_grant_t *items; /* one a key, in the keyring's order */
};

static void
release_items(ch_grants_t *grants)
{
    size_t count = grants->keyring ? ch_keyring_count(grants->keyring) : 0;
    for (size_t i = 0; i < count; i++)
        ch_selector_destroy(&grants->items[i].series);
    ch_free(grants->items);
    ch_keyring_drop(&grants->keyring);
}

static ch_grant_t *
item_of(const ch_grants_t *grants, const char *text)
{
    const ch_key_t *key = ch_keyring_find(grants->keyring, ch_bytes_text(text));
    return key ? &grants->items[key - ch_keyring_at(grants->keyring, 0)] : NULL;
}

/* Keys that stay keep what they have used of their rates. */
static void
refresh(ch_grants_t *grants)
{
    ch_grants_t fresh = {.keys = grants->keys};
    fresh.keyring = ch_keys_take(grants->keys, &fresh.generation);
    size_t count = ch_keyring_count(fresh.keyring);
    fresh.items = ch_calloc(count + 1, sizeof *fresh.items);
    for (size_t i = 0; i < count; i++) {
        const ch_key_t *key = ch_keyring_at(fresh.keyring, i);
        const ch_grant_t *old = grants->keyring ? item_of(grants, key->text) : NULL;
        fresh.items[i].key = key;
        fresh.items[i].points = old ? old->points : (double)key->rate;
        fresh.items[i].points_ns = old ? old->points_ns : 0;
    }
    release_items(grants);
    *grants = fresh;
}

ch_grants_t *
ch_grants_new(ch_keys_t *keys)
{
    if (!keys)
        return NULL;
    ch_grants_t *grants = ch_calloc(1, sizeof *grants);
    grants->keys = keys;
    refresh(grants);
    return grants;
}

void
ch_grants_destroy(ch_grants_t **grants_in)
{
    ch_grants_t *grants = ch_take(grants_in);
    if (!grants)
        return;
    release_items(grants);
    ch_free(grants);
}

ch_grant_t *
ch_grants_find(ch_grants_t *grants, const char *text)
{
#ifndef CH_FAULT_ROLE_NOT_RECHECKED
    if (atomic_load(&grants->keys->generation) != grants->generation)
        refresh(grants);
#endif
    return text ? item_of(grants, text) : NULL;
}

bool
ch_grant_producer(const ch_grant_t *grant, const char *producer)
{
#ifdef CH_FAULT_PRODUCER_UNBOUND
    return true;
#endif
    const char *prefix = grant->key->producer;
    return strncmp(producer, prefix, strlen(prefix)) == 0;
}

/* ---- series */

static ch_status_t
refuse(const ch_grant_t *grant, ch_bytes_t name, ch_bytes_t labels)
{
    int name_size = (int)(name.size < 60 ? name.size : 60);
    int labels_size = (int)(labels.size < 60 ? labels.size : 60);
    return ch_fail(CH_ERR_FORBIDDEN, "the key %s may not write %.*s{%.*s}",
                   grant->key->name, name_size, (const char *)name.data, labels_size,
                   (const char *)labels.data);
}

static ch_status_t
check(const ch_grant_t *grant, ch_bytes_t name, ch_bytes_t labels)
{
    int accepts = ch_selector_accepts(grant->series, name, labels);
    if (accepts < 0)
        return (ch_status_t)accepts;
    return accepts ? CH_OK : refuse(grant, name, labels);
}

/* A selector is a conjunction over labels and the name apart, so a table's cells are all accepted if each
 * name is with the first labels, and all labels are with the first name. */
static ch_status_t
check_block(const ch_grant_t *grant, const ch_batch_block_t *block)
{
    bool table = block->kind == CH_BLOCK_TABLE;
    size_t names = table ? block->fields : ch_batch_block_cells(block);
    if (ch_batch_block_cells(block) == 0)
        return CH_OK;
    ch_status_t status = CH_OK;
    for (size_t i = 0; status == CH_OK && i < names; i++)
        status = check(grant, block->names[i], block->labels[table ? 0 : i]);
    for (size_t i = 1; table && status == CH_OK && i < block->rows; i++)
        status = check(grant, block->names[0], block->labels[i]);
    return status;
}

ch_status_t
ch_grant_series(ch_grant_t *grant, const ch_batch_t *batch)
{
    if (!grant->key->series[0])
        return CH_OK;
    ch_status_t status = CH_OK;
    if (!grant->series)
        status = ch_selector_parse(ch_bytes_text(grant->key->series), &grant->series);
    for (uint32_t i = 0; status == CH_OK && i < batch->block_count; i++)
        status = check_block(grant, &batch->blocks[i]);
#ifdef CH_FAULT_GRANT_SERIES_UNCHECKED
    return CH_OK;
#endif
    if (status < 0 && status != CH_ERR_FORBIDDEN)
        return ch_fail_context(CH_ERR_FORBIDDEN,
                               "series= of the key %s: ", grant->key->name);
    return status;
}

/* ---- rate */

bool
ch_grant_rate(ch_grant_t *grant, uint32_t points, int64_t now_ns)
{
    double rate = (double)grant->key->rate;
    if (rate <= 0)
        return true;
    if (grant->points_ns && now_ns > grant->points_ns)
        grant->points += rate * (double)(now_ns - grant->points_ns) / 1e9;
    if (grant->points > rate) /* a second's worth may be saved up */
        grant->points = rate;
    grant->points_ns = now_ns;
    if (grant->points <= 0)
        return false;
    grant->points -= points;
    return true;
}
