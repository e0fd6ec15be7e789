/* series_table.c - three interned tables behind one another: names, label sets, series.
 *
 * Shape       A table is (a) a segmented array of records by id, which never moves, and (b) an open
 *             addressing index of 8-byte slots: the hash's low half above id + 1, 0 when empty.
 *             A probe compares the stored hash, then the whole key. An index grows by doubling at
 *             3/4 and needs only its own slots for it, never a key.
 * Order       Producers name series in the order in which they named them first, so ids come in a row: what
 *             was found last, or the id behind it, is compared before anything is hashed. With more series
 *             than the caches hold, a probe would wait for memory.
 * Bytes       a series costs 8 (record) + 11..21 (index); a text its bytes + 4 (length) + 8 (record)
 *             + 11..21 (index). 5 M series over 500 k label sets of 105 bytes: about 180 MiB; with
 *             a label set each, the worst case: about 720 MiB.
 * Threads     Only the writer changes anything, so its own probes take no lock. It holds the lock
 *             for writing while it adds an entry; ch_series_table_find holds it for reading. Records
 *             by id need no lock: they are complete before the count that covers them is released.
 */
#include "mem/series_table.h"

#include <pthread.h>
#include <stdatomic.h>

#include "ch/alloc.h"
#include "ch/assert.h"
#include "ch/checksum.h"
#include "ch/coding.h"
#include "mem/arena.h"

enum {
    SEGMENT_BITS = 10, /* records in the first segment; each next one doubles */
    SEGMENT_COUNT = 32 - SEGMENT_BITS + 1,
    SLOTS_FIRST = 1024,
    TEXT_HEADER_BYTES = 4,
    LOAD_AHEAD = 16, /* slots asked for before they are filled */
};

/* Records of 8 bytes by id, in segments that never move. */
typedef struct records {
    uint64_t *segments[SEGMENT_COUNT];
    _Atomic uint32_t count;
    size_t bytes;
} records_t;

typedef struct slots {
    uint64_t *items;
    uint64_t mask;
} slots_t;

typedef struct table {
    records_t records;
    slots_t slots;
    uint32_t last; /* the writer's: id found or added last */
} table_t;

/* Texts of a load. */
typedef struct region {
    struct region *next;
    uint8_t *memory;
    size_t bytes;
} region_t;

struct ch_series_table {
    pthread_rwlock_t lock; /* guards the slots against ch_series_table_find */
    table_t names;         /* records: pointers to a length and a text */
    table_t labels;
    table_t series; /* records: name id above labels id */
    ch_arena_pool_t *pool;
    ch_arena_t texts;
    region_t *regions;
    size_t region_bytes;
    _Atomic size_t bytes; /* without the arena's texts */
};

static size_t
segment_of(uint32_t id, size_t *offset_out)
{
    uint64_t shifted = (uint64_t)id + (1u << SEGMENT_BITS);
    unsigned top = 63 - (unsigned)__builtin_clzll(shifted);
    *offset_out = (size_t)(shifted - (UINT64_C(1) << top));
    return top - SEGMENT_BITS;
}

static uint64_t
record_at(const records_t *records, uint32_t id)
{
    size_t offset;
    size_t segment = segment_of(id, &offset);
    return records->segments[segment][offset];
}

static uint32_t
records_count(const records_t *records)
{
    return atomic_load_explicit(&records->count, memory_order_acquire);
}

static uint32_t
record_add(records_t *records, uint64_t record)
{
    uint32_t id = records_count(records);
    CH_ASSERT(id < CH_SERIES_NONE - 1);
    size_t offset;
    size_t segment = segment_of(id, &offset);
    if (offset == 0) {
        size_t size = sizeof(uint64_t) << (segment + SEGMENT_BITS);
        records->segments[segment] = ch_arena_map(size);
        records->bytes += size;
    }
    records->segments[segment][offset] = record;
    atomic_store_explicit(&records->count, id + 1, memory_order_release);
    return id;
}

static uint64_t
slot_make(uint64_t hash, uint32_t id)
{
    return hash << 32 | (id + 1);
}

static void
slots_put(slots_t *slots, uint64_t slot)
{
    uint64_t at = (slot >> 32) & slots->mask;
    while (slots->items[at] != 0)
        at = (at + 1) & slots->mask;
    slots->items[at] = slot;
}

static void
slots_resize(slots_t *slots, uint64_t count)
{
    slots_t old = *slots;
    slots->items = ch_arena_map(count * sizeof(uint64_t));
    slots->mask = count - 1;
    for (uint64_t i = 0; old.items != NULL && i <= old.mask; i++) {
        if (old.items[i] != 0)
            slots_put(slots, old.items[i]);
    }
    if (old.items != NULL)
        ch_arena_unmap(old.items, (old.mask + 1) * sizeof(uint64_t));
}

static void
table_init(table_t *table)
{
    slots_resize(&table->slots, SLOTS_FIRST);
}

static void
table_release(table_t *table)
{
    for (size_t i = 0; i < SEGMENT_COUNT; i++)
        ch_arena_unmap(table->records.segments[i], sizeof(uint64_t)
                                                       << (i + SEGMENT_BITS));
    ch_arena_unmap(table->slots.items, (table->slots.mask + 1) * sizeof(uint64_t));
}

static size_t
table_bytes(const table_t *table)
{
    return table->records.bytes + (table->slots.mask + 1) * sizeof(uint64_t);
}

static void
bytes_note(ch_series_table_t *self)
{
    size_t bytes = table_bytes(&self->names) + table_bytes(&self->labels) +
                   table_bytes(&self->series) + self->region_bytes + sizeof *self;
    atomic_store_explicit(&self->bytes, bytes, memory_order_relaxed);
}

/* Writer: add a record that the probe did not find. The lock keeps finders off the slots. */
static uint32_t
table_add(ch_series_table_t *self, table_t *table, uint64_t hash, uint64_t record)
{
    CH_ASSERT(pthread_rwlock_wrlock(&self->lock) == 0);
    uint64_t count = (uint64_t)records_count(&table->records) + 1;
    if (count * 4 > (table->slots.mask + 1) * 3)
        slots_resize(&table->slots, (table->slots.mask + 1) * 2);
    uint32_t id = record_add(&table->records, record);
    slots_put(&table->slots, slot_make(hash, id));
    pthread_rwlock_unlock(&self->lock);
    bytes_note(self);
    return id;
}

static ch_bytes_t
text_of(uint64_t record)
{
    const uint8_t *at = (const uint8_t *)(uintptr_t)record;
    return ch_bytes(at + TEXT_HEADER_BYTES, ch_load_u32(at));
}

static uint64_t
text_hash(ch_bytes_t text)
{
    return ch_hash64(text.data, text.size, 0);
}

static uint32_t
text_probe(const table_t *table, ch_bytes_t text, uint64_t hash)
{
    const slots_t *slots = &table->slots;
    uint64_t tag = hash & UINT32_MAX;
    for (uint64_t at = tag & slots->mask; slots->items[at] != 0;
         at = (at + 1) & slots->mask) {
        if (slots->items[at] >> 32 != tag)
            continue;
        uint32_t id = (uint32_t)slots->items[at] - 1;
        if (ch_bytes_equal(text_of(record_at(&table->records, id)), text))
            return id;
    }
    return CH_SERIES_NONE;
}

static uint64_t
text_keep(ch_series_table_t *self, ch_bytes_t text)
{
    uint8_t *at = ch_arena_alloc(&self->texts, TEXT_HEADER_BYTES + text.size, 1);
    ch_store_u32(at, (uint32_t)text.size);
    if (text.size > 0)
        memcpy(at + TEXT_HEADER_BYTES, text.data, text.size);
    return (uint64_t)(uintptr_t)at;
}

/* The text found last, or the one behind it. */
static uint32_t
text_guess(const table_t *table, ch_bytes_t text)
{
    uint32_t count = records_count(&table->records);
    for (uint32_t id = table->last; id < count && id - table->last < 2; id++)
        if (ch_bytes_equal(text_of(record_at(&table->records, id)), text))
            return id;
    return CH_SERIES_NONE;
}

static uint32_t
text_intern(ch_series_table_t *self, table_t *table, ch_bytes_t text)
{
    uint32_t id = text_guess(table, text);
    if (id == CH_SERIES_NONE) {
        uint64_t hash = text_hash(text);
        id = text_probe(table, text, hash);
        if (id == CH_SERIES_NONE)
            id = table_add(self, table, hash, text_keep(self, text));
    }
    table->last = id;
    return id;
}

static uint64_t
pair_record(uint32_t name_id, uint32_t labels_id)
{
    return (uint64_t)name_id << 32 | labels_id;
}

/* Murmur3's finaliser: a cell of a table costs one of these and one probe. */
static uint64_t
pair_hash(uint64_t pair)
{
    pair ^= pair >> 33;
    pair *= UINT64_C(0xff51afd7ed558ccd);
    pair ^= pair >> 33;
    pair *= UINT64_C(0xc4ceb9fe1a85ec53);
    return pair ^ pair >> 33;
}

static uint32_t
pair_probe(const table_t *table, uint64_t pair, uint64_t hash)
{
    const slots_t *slots = &table->slots;
    uint64_t tag = hash & UINT32_MAX;
    for (uint64_t at = tag & slots->mask; slots->items[at] != 0;
         at = (at + 1) & slots->mask) {
        uint32_t id = (uint32_t)slots->items[at] - 1;
        if (slots->items[at] >> 32 == tag && record_at(&table->records, id) == pair)
            return id;
    }
    return CH_SERIES_NONE;
}

ch_series_table_t *
ch_series_table_new(void)
{
    ch_series_table_t *table = ch_calloc(1, sizeof *table);
    pthread_rwlockattr_t attributes;
    CH_ASSERT(pthread_rwlockattr_init(&attributes) == 0);
    /* glibc prefers readers by default: many finders would starve the one writer. */
    pthread_rwlockattr_setkind_np(&attributes,
                                  PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    CH_ASSERT(pthread_rwlock_init(&table->lock, &attributes) == 0);
    pthread_rwlockattr_destroy(&attributes);
    table_init(&table->names);
    table_init(&table->labels);
    table_init(&table->series);
    table->pool = ch_arena_pool_new();
    ch_arena_init(&table->texts, table->pool);
    return table;
}

void
ch_series_table_destroy(ch_series_table_t **table)
{
    ch_series_table_t *self = *table;
    if (self == NULL)
        return;
    table_release(&self->names);
    table_release(&self->labels);
    table_release(&self->series);
    ch_arena_release(&self->texts);
    ch_arena_pool_destroy(&self->pool);
    while (self->regions != NULL) {
        region_t *region = self->regions;
        self->regions = region->next;
        ch_arena_unmap(region->memory, region->bytes);
        ch_free(region);
    }
    pthread_rwlock_destroy(&self->lock);
    ch_free(self);
    *table = NULL;
}

uint32_t
ch_series_table_intern_name(ch_series_table_t *table, ch_bytes_t name)
{
    return text_intern(table, &table->names, name);
}

uint32_t
ch_series_table_intern_labels(ch_series_table_t *table, ch_bytes_t labels)
{
    return text_intern(table, &table->labels, labels);
}

uint32_t
ch_series_table_intern(ch_series_table_t *table, uint32_t name_id, uint32_t labels_id,
                       bool *new_out)
{
    CH_DEBUG_ASSERT(name_id < ch_series_table_name_count(table));
    CH_DEBUG_ASSERT(labels_id < ch_series_table_labels_count(table));
    table_t *all = &table->series;
    uint64_t pair = pair_record(name_id, labels_id);
    uint32_t id = all->last + 1;
    *new_out = false;
    if (id >= records_count(&all->records) || record_at(&all->records, id) != pair) {
        uint64_t hash = pair_hash(pair);
        id = pair_probe(all, pair, hash);
        *new_out = id == CH_SERIES_NONE;
        if (*new_out)
            id = table_add(table, all, hash, pair);
    }
    all->last = id;
    return id;
}

uint32_t
ch_series_table_peek_name(const ch_series_table_t *table, ch_bytes_t name)
{
    return text_probe(&table->names, name, text_hash(name));
}

uint32_t
ch_series_table_peek_labels(const ch_series_table_t *table, ch_bytes_t labels)
{
    return text_probe(&table->labels, labels, text_hash(labels));
}

uint32_t
ch_series_table_peek(const ch_series_table_t *table, uint32_t name_id, uint32_t labels_id)
{
    uint64_t pair = pair_record(name_id, labels_id);
    return pair_probe(&table->series, pair, pair_hash(pair));
}

uint32_t
ch_series_table_find(ch_series_table_t *table, ch_bytes_t name, ch_bytes_t labels)
{
    uint64_t name_hash = text_hash(name);
    uint64_t labels_hash = text_hash(labels);
    uint32_t found = CH_SERIES_NONE;
    CH_ASSERT(pthread_rwlock_rdlock(&table->lock) == 0);
    uint32_t name_id = text_probe(&table->names, name, name_hash);
    uint32_t labels_id = text_probe(&table->labels, labels, labels_hash);
    if (name_id != CH_SERIES_NONE && labels_id != CH_SERIES_NONE)
        found = ch_series_table_peek(table, name_id, labels_id);
    pthread_rwlock_unlock(&table->lock);
    return found;
}

uint32_t
ch_series_table_count(const ch_series_table_t *table)
{
    return records_count(&table->series.records);
}

uint32_t
ch_series_table_name_count(const ch_series_table_t *table)
{
    return records_count(&table->names.records);
}

uint32_t
ch_series_table_labels_count(const ch_series_table_t *table)
{
    return records_count(&table->labels.records);
}

void
ch_series_table_get(const ch_series_table_t *table, uint32_t series,
                    uint32_t *name_id_out, uint32_t *labels_id_out)
{
    CH_ASSERT(series < ch_series_table_count(table));
    uint64_t pair = record_at(&table->series.records, series);
    *name_id_out = (uint32_t)(pair >> 32);
    *labels_id_out = (uint32_t)pair;
}

ch_bytes_t
ch_series_table_name(const ch_series_table_t *table, uint32_t name_id)
{
    CH_ASSERT(name_id < ch_series_table_name_count(table));
    return text_of(record_at(&table->names.records, name_id));
}

ch_bytes_t
ch_series_table_labels(const ch_series_table_t *table, uint32_t labels_id)
{
    CH_ASSERT(labels_id < ch_series_table_labels_count(table));
    return text_of(record_at(&table->labels.records, labels_id));
}

void
ch_series_table_prefetch(const ch_series_table_t *table, uint32_t soon, uint32_t later)
{
    size_t offset, segment = segment_of(later, &offset);
    __builtin_prefetch(&table->series.records.segments[segment][offset]);
    uint64_t pair = record_at(&table->series.records, soon);
    uint64_t name = record_at(&table->names.records, (uint32_t)(pair >> 32));
    uint64_t labels = record_at(&table->labels.records, (uint32_t)pair);
    __builtin_prefetch((const void *)(uintptr_t)name);
    __builtin_prefetch((const void *)(uintptr_t)labels);
}

/* The next steps of what grows in steps: slots, which are there twice while they move, and segments. */
static size_t
table_growth(const table_t *table, uint64_t more)
{
    uint64_t count = records_count(&table->records), size = table->slots.mask + 1;
    size_t growth = 0, offset;
    while ((count + more) * 4 > size * 3) {
        size *= 2;
        growth = size * sizeof(uint64_t);
    }
    for (size_t segment = segment_of((uint32_t)count, &offset) + (offset != 0);
         segment <= segment_of((uint32_t)(count + more), &offset); segment++)
        growth += sizeof(uint64_t) << (segment + SEGMENT_BITS);
    return growth;
}

size_t
ch_series_table_growth(const ch_series_table_t *table, uint64_t more)
{
    return table_growth(&table->series, more) + table_growth(&table->labels, more);
}

size_t
ch_series_table_bytes(const ch_series_table_t *table)
{
    return atomic_load_explicit(&table->bytes, memory_order_relaxed) +
           ch_arena_bytes(&table->texts);
}

/* ---- saving and loading ---- */

ch_series_mark_t
ch_series_table_mark(const ch_series_table_t *table)
{
    /* The texts of a series are there before it is, so they are counted after it. */
    uint32_t series = ch_series_table_count(table);
    return (ch_series_mark_t){.series = series,
                              .names = ch_series_table_name_count(table),
                              .labels = ch_series_table_labels_count(table)};
}

static void
texts_save(const table_t *table, uint32_t from, uint32_t to, ch_stream_writer_t *out)
{
    uint64_t bytes = 0;
    for (uint32_t id = from; id < to; id++)
        bytes += TEXT_HEADER_BYTES + text_of(record_at(&table->records, id)).size;
    ch_stream_put(out, &bytes, sizeof bytes);
    for (uint32_t id = from; id < to; id++) {
        const void *text = (const void *)(uintptr_t)record_at(&table->records, id);
        ch_stream_put(out, text,
                      TEXT_HEADER_BYTES + text_of(record_at(&table->records, id)).size);
    }
}

void
ch_series_table_save(const ch_series_table_t *table, ch_series_mark_t from,
                     ch_series_mark_t to, ch_stream_writer_t *out)
{
    texts_save(&table->names, from.names, to.names, out);
    texts_save(&table->labels, from.labels, to.labels, out);
    uint64_t before = 0;
    for (uint32_t id = from.series; id < to.series; id++) {
        uint64_t pair = record_at(&table->series.records, id), more = pair - before;
        ch_stream_put(out, &more, sizeof more); /* mostly what it was some series ago */
        before = pair;
    }
}

static void
slots_reserve(slots_t *slots, uint64_t count)
{
    uint64_t size = slots->mask + 1;
    while (count * 4 > size * 3)
        size *= 2;
    if (size > slots->mask + 1)
        slots_resize(slots, size);
}

void
ch_series_table_reserve(ch_series_table_t *table, ch_series_mark_t to)
{
    slots_reserve(&table->labels.slots, to.labels);
    slots_reserve(&table->series.slots, to.series);
}

void
ch_series_table_touch(const ch_series_table_t *table)
{
    ch_touch(table->labels.slots.items, (table->labels.slots.mask + 1) * 8);
    ch_touch(table->series.slots.items, (table->series.slots.mask + 1) * 8);
}

/* Enter ids [from, the count) into the slots. Each slot is a cache miss, so they are asked for some
 * time ahead. */
static void
slots_fill(table_t *table, uint32_t from, uint64_t (*hash)(uint64_t record))
{
    uint64_t count = records_count(&table->records), ahead[LOAD_AHEAD];
    slots_reserve(&table->slots, count);
    for (uint64_t id = from; id < count + LOAD_AHEAD; id++) {
        if (id >= from + (uint64_t)LOAD_AHEAD)
            slots_put(&table->slots, ahead[id % LOAD_AHEAD]);
        if (id >= count)
            continue;
        uint64_t slot =
            slot_make(hash(record_at(&table->records, (uint32_t)id)), (uint32_t)id);
        __builtin_prefetch(&table->slots.items[(slot >> 32) & table->slots.mask], 1);
        ahead[id % LOAD_AHEAD] = slot;
    }
}

static uint64_t
hash_of_text(uint64_t record)
{
    return text_hash(text_of(record));
}

/* The texts of a load lie in one piece of memory, as they lay in the file. */
static ch_status_t
texts_load(ch_series_table_t *self, table_t *table, uint32_t from, uint32_t to,
           ch_stream_reader_t *in)
{
    uint64_t bytes = 0;
    ch_status_t status = ch_stream_get(in, &bytes, sizeof bytes);
    if (status >= 0 &&
        (bytes > ch_stream_left(in) || (uint64_t)(to - from) * TEXT_HEADER_BYTES > bytes))
        status =
            ch_fail(CH_ERR_CORRUPT, "texts of %llu bytes", (unsigned long long)bytes);
    if (status < 0 || bytes == 0)
        return status;
    region_t *region = ch_alloc(sizeof *region);
    *region = (region_t){self->regions, ch_arena_map(bytes), bytes};
    self->regions = region;
    self->region_bytes += bytes;
    status = ch_stream_get(in, region->memory, bytes);
    uint64_t at = 0;
    for (uint32_t id = from; status >= 0 && id < to; id++) {
        uint64_t left = bytes - at;
        const uint8_t *text = region->memory + at;
        if (left < TEXT_HEADER_BYTES || ch_load_u32(text) > left - TEXT_HEADER_BYTES)
            return ch_fail(CH_ERR_CORRUPT, "text %u runs out of its place", id);
        at += TEXT_HEADER_BYTES + ch_load_u32(text);
        (void)record_add(&table->records, (uint64_t)(uintptr_t)text);
    }
    if (status >= 0 && at != bytes)
        return ch_fail(CH_ERR_CORRUPT, "texts do not fill their place");
    if (status >= 0)
        slots_fill(table, from, hash_of_text);
    return status;
}

static ch_status_t
pairs_load(ch_series_table_t *self, ch_series_mark_t from, ch_series_mark_t to,
           ch_stream_reader_t *in)
{
    uint64_t pairs[512], pair = 0;
    for (uint32_t id = from.series; id < to.series;) {
        uint32_t left = to.series - id, count = left < 512 ? left : 512;
        ch_status_t status = ch_stream_get(in, pairs, count * sizeof *pairs);
        if (status < 0)
            return status;
        for (uint32_t i = 0; i < count; i++, id++) {
            pair += pairs[i];
            if (pair >> 32 >= to.names || (uint32_t)pair >= to.labels)
                return ch_fail(CH_ERR_CORRUPT, "series %u has texts that are not there",
                               id);
            (void)record_add(&self->series.records, pair);
        }
    }
    slots_fill(&self->series, from.series, pair_hash);
    return CH_OK;
}

ch_status_t
ch_series_table_load(ch_series_table_t *table, ch_series_mark_t from, ch_series_mark_t to,
                     ch_stream_reader_t *in)
{
    ch_series_mark_t now = ch_series_table_mark(table);
    if (from.names != now.names || from.labels != now.labels ||
        from.series != now.series || to.names < from.names || to.labels < from.labels ||
        to.series < from.series || to.series >= CH_SERIES_NONE - 1)
        return ch_fail(CH_ERR_CORRUPT, "it does not continue what is there");
    ch_status_t status = texts_load(table, &table->names, from.names, to.names, in);
    if (status >= 0)
        status = texts_load(table, &table->labels, from.labels, to.labels, in);
    if (status >= 0)
        status = pairs_load(table, from, to, in);
    bytes_note(table);
    return status < 0 ? status : CH_OK;
}
