#include "sst/text_set.h"

#include <stdlib.h>

#include "ch/alloc.h"
#include "ch/assert.h"
#include "ch/checksum.h"
#include "ch/series_key.h"

enum { SLOTS_FIRST = 256 };

/* Open addressing, at most half full. */
typedef struct slot {
    uint32_t hash;
    uint32_t number; /* plus one; 0: free */
} slot_t;

struct ch_text_set {
    ch_text_t bytes;
    size_t *ends; /* text i is [ends[i - 1], ends[i]) */
    uint32_t count, capacity;
    slot_t *slots;
    uint32_t slot_mask;
};

ch_text_set_t *
ch_text_set_new(void)
{
    ch_text_set_t *set = ch_calloc(1, sizeof *set);
    set->slots = ch_calloc(SLOTS_FIRST, sizeof *set->slots);
    set->slot_mask = SLOTS_FIRST - 1;
    return set;
}

void
ch_text_set_destroy(ch_text_set_t **set)
{
    if (!*set)
        return;
    ch_text_release(&(*set)->bytes);
    ch_free((*set)->ends);
    ch_free((*set)->slots);
    ch_free(*set);
    *set = NULL;
}

uint32_t
ch_text_set_count(const ch_text_set_t *set)
{
    return set->count;
}

ch_bytes_t
ch_text_set_get(const ch_text_set_t *set, uint32_t number)
{
    size_t from = number ? set->ends[number - 1] : 0;
    return ch_bytes(set->bytes.data + from, set->ends[number] - from);
}

static void
grow_slots(ch_text_set_t *set)
{
    uint32_t mask = set->slot_mask * 2 + 1;
    slot_t *slots = ch_calloc((size_t)mask + 1, sizeof *slots);
    for (uint32_t i = 0; i <= set->slot_mask; i++) {
        if (!set->slots[i].number)
            continue;
        uint32_t at = set->slots[i].hash & mask;
        while (slots[at].number)
            at = (at + 1) & mask;
        slots[at] = set->slots[i];
    }
    ch_free(set->slots);
    set->slots = slots;
    set->slot_mask = mask;
}

static void
append_text(ch_text_set_t *set, ch_bytes_t text)
{
    if (set->count == set->capacity) {
        set->capacity = set->capacity ? set->capacity * 2 : SLOTS_FIRST;
        set->ends = ch_realloc(set->ends, set->capacity * sizeof *set->ends);
    }
    ch_text_append(&set->bytes, text.data, text.size);
    set->ends[set->count++] = set->bytes.size;
}

uint32_t
ch_text_set_add(ch_text_set_t *set, ch_bytes_t text)
{
    uint32_t hash = (uint32_t)ch_hash64(text.data, text.size, 0);
    uint32_t at = hash & set->slot_mask;
    for (; set->slots[at].number; at = (at + 1) & set->slot_mask)
        if (set->slots[at].hash == hash &&
            ch_bytes_equal(ch_text_set_get(set, set->slots[at].number - 1), text))
            return set->slots[at].number - 1;
    append_text(set, text);
    set->slots[at] = (slot_t){.hash = hash, .number = set->count};
    uint32_t number = set->count - 1;
    if (set->count > set->slot_mask / 2)
        grow_slots(set);
    return number;
}

uint32_t
ch_text_set_follow(ch_text_set_t *set, ch_bytes_t text)
{
    int order =
        set->count ? ch_bytes_compare(ch_text_set_get(set, set->count - 1), text) : -1;
    CH_ASSERT(order <= 0);
    if (order < 0)
        append_text(set, text);
    return set->count - 1;
}

static int
compare_numbers(const void *a, const void *b, void *set)
{
    return ch_bytes_compare(ch_text_set_get(set, *(const uint32_t *)a),
                            ch_text_set_get(set, *(const uint32_t *)b));
}

uint32_t *
ch_text_set_sorted(const ch_text_set_t *set)
{
    uint32_t *numbers = ch_alloc((set->count + 1) * sizeof *numbers);
    for (uint32_t i = 0; i < set->count; i++)
        numbers[i] = i;
    /* Texts come in long rising runs, which glibc's merge sort likes. */
    qsort_r(numbers, set->count, sizeof *numbers, compare_numbers,
            (void *)(uintptr_t)set);
    return numbers;
}
