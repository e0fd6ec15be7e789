#include "support/wal_batch.h"

#include <stdio.h>
#include <string.h>

enum { SERIES = 400, NAMES = 7, STRING_BYTES = 20 };

/* --- names ----------------------------------------------------------------------------------- */

static void
namer_series(void *context, uint32_t series, uint32_t *name_id_out,
             uint32_t *labels_id_out)
{
    (void)context;
    *name_id_out = series % NAMES;
    *labels_id_out = series / NAMES;
}

static ch_bytes_t
namer_name(void *context, uint32_t name_id)
{
    static char text[32];
    (void)context;
    return ch_bytes(text, (size_t)snprintf(text, sizeof text, "metric_%u", name_id));
}

static ch_bytes_t
namer_labels(void *context, uint32_t labels_id)
{
    static char text[32];
    (void)context;
    if (labels_id == 0)
        return ch_bytes("", 0);
    return ch_bytes(text, (size_t)snprintf(text, sizeof text, "host=\"h%u\"", labels_id));
}

ch_wal_namer_t
ch_wal_batch_namer(void)
{
    return (ch_wal_namer_t){
        .series = namer_series, .name = namer_name, .labels = namer_labels};
}

/* --- making ---------------------------------------------------------------------------------- */

typedef struct maker {
    ch_rng_t rng;
    ch_wal_arena_t *arena;
} maker_t;

static int64_t
any_int(maker_t *maker)
{
    uint64_t raw = ch_rng_next(&maker->rng);
    return (int64_t)(raw >> ch_rng_below(&maker->rng, 64)) *
           (ch_rng_below(&maker->rng, 2) ? 1 : -1);
}

static double
any_float(maker_t *maker)
{
    static const uint64_t strange[] = {0x8000000000000000, 0x7ff0000000000000,
                                       0xfff0000000000000, 0x7ff8000000000001,
                                       0x7ff0000000000001, 0xfff8000000abcdef,
                                       0x4320000000000000, 0xc320000000000000,
                                       0x4330000000000000, 0x1,
                                       0x4318000000000000, 0x0};
    uint64_t bits = strange[ch_rng_below(&maker->rng, sizeof strange / 8)];
    double value;
    memcpy(&value, &bits, 8);
    return value;
}

static uint8_t *
take_packed(maker_t *maker, uint32_t n)
{
    uint8_t *bytes = ch_wal_arena_take(maker->arena, (size_t)n * 8 + 16);
    return bytes + ch_rng_below(&maker->rng, 8); /* frames align nothing */
}

static void
make_ints(maker_t *maker, uint32_t rows, ch_values_t *values)
{
    static const unsigned shifts[] = {64, 60, 50, 40, 20, 0};
    uint8_t *packed = take_packed(maker, rows);
    unsigned shift = shifts[ch_rng_below(&maker->rng, 6)];
    int64_t base = any_int(maker);
    for (uint32_t i = 0; i < rows; i++) {
        uint64_t offset = shift == 64 ? 0 : ch_rng_next(&maker->rng) >> shift;
        ch_store_u64(packed + (size_t)i * 8, (uint64_t)base + offset);
    }
    *values = (ch_values_t){.form = CH_VALUES_I64, .packed = packed};
}

static void
make_floats(maker_t *maker, uint32_t rows, ch_values_t *values)
{
    uint8_t *packed = take_packed(maker, rows);
    uint64_t kind = ch_rng_below(&maker->rng, 4);
    for (uint32_t i = 0; i < rows; i++) {
        double value = (double)(int64_t)ch_rng_below(&maker->rng, 100000) - 50000.0;
        if (kind == 1)
            value = value / 100;
        if ((kind == 2 && ch_rng_below(&maker->rng, 10) == 0) || kind == 3)
            value = any_float(maker);
        ch_store_f64(packed + (size_t)i * 8, value);
    }
    *values = (ch_values_t){.form = CH_VALUES_F64, .packed = packed};
}

static ch_value_t
any_value(maker_t *maker, uint64_t kinds)
{
    switch (ch_rng_below(&maker->rng, kinds)) {
    case 0:
        return ch_value_int(any_int(maker));
    case 1:
        return ch_value_float(any_float(maker));
    case 2:
        return ch_value_bool(ch_rng_below(&maker->rng, 2));
    case 3: {
        size_t size = ch_rng_below(&maker->rng, STRING_BYTES);
        uint8_t *text = ch_wal_arena_take(maker->arena, size + 1);
        for (size_t i = 0; i < size; i++)
            text[i] = (uint8_t)ch_rng_next(&maker->rng);
        return ch_value_string(ch_bytes(text, size));
    }
    default:
        return (ch_value_t){.type = CH_VALUE_NONE};
    }
}

static void
make_list(maker_t *maker, uint32_t rows, bool holes, ch_values_t *values)
{
    ch_value_t *list = ch_wal_arena_take(maker->arena, rows * sizeof *list + 1);
    uint64_t kind = ch_rng_below(&maker->rng, 4);
    for (uint32_t i = 0; i < rows; i++) {
        list[i] = any_value(maker, holes ? 5 : 4);
        if (kind == 0)
            list[i] = ch_value_int(any_int(maker));
        if (kind == 1)
            list[i] = ch_value_float(any_float(maker));
        if (kind == 2 && holes)
            list[i] = (ch_value_t){.type = CH_VALUE_NONE};
    }
    *values = (ch_values_t){.form = CH_VALUES_LIST, .list = list};
}

static void
make_values(maker_t *maker, ch_batch_block_t *block)
{
    ch_values_t *values =
        ch_wal_arena_take(maker->arena, block->fields * sizeof *values + 1);
    for (uint32_t j = 0; j < block->fields; j++) {
        uint64_t kind = ch_rng_below(&maker->rng, 3);
        if (kind == 0)
            make_ints(maker, block->rows, &values[j]);
        else if (kind == 1)
            make_floats(maker, block->rows, &values[j]);
        else
            make_list(maker, block->rows, block->kind == CH_BLOCK_TABLE, &values[j]);
    }
    block->values = values;
}

static void
make_times(maker_t *maker, uint32_t rows, int64_t now, ch_times_t *times)
{
    uint64_t kind = ch_rng_below(&maker->rng, 4);
    *times =
        (ch_times_t){.form = CH_TIMES_REGULAR, .start = now - 1000000000, .step = 10};
    if (kind == 0)
        return;
    uint8_t *packed = take_packed(maker, rows);
    for (uint32_t i = 0; i < rows; i++) {
        int64_t time = now + (int64_t)i * 10000000000;
        if (kind == 2)
            time += (int64_t)ch_rng_below(&maker->rng, 5000000);
        if (kind == 3)
            time = any_int(maker);
        ch_store_i64(packed + (size_t)i * 8, time);
    }
    *times = (ch_times_t){.form = CH_TIMES_PACKED, .packed = packed};
}

static void
make_ids(maker_t *maker, const ch_batch_block_t *block, uint32_t *ids)
{
    size_t cells = ch_batch_block_cells(block);
    uint64_t kind = ch_rng_below(&maker->rng, 3);
    uint32_t first = (uint32_t)ch_rng_below(&maker->rng, SERIES);
    for (size_t i = 0; i < cells; i++) {
        uint32_t row = (uint32_t)(i / block->fields),
                 field = (uint32_t)(i % block->fields);
        ids[i] = first + (uint32_t)i;
        if (kind == 1)
            ids[i] = first + row * 50 + field * 2;
        if (kind == 2)
            ids[i] = (uint32_t)ch_rng_below(&maker->rng, SERIES);
        if (block->kind == CH_BLOCK_TABLE &&
            block->values[field].form == CH_VALUES_LIST &&
            block->values[field].list[row].type == CH_VALUE_NONE)
            ids[i] = UINT32_MAX;
    }
}

static void
make_block(maker_t *maker, uint32_t size, int64_t now, ch_batch_block_t *block)
{
    *block = (ch_batch_block_t){.kind = (ch_block_kind_t)ch_rng_below(&maker->rng, 3)};
    block->rows = (uint32_t)ch_rng_below(&maker->rng, size + 1);
    block->fields = 1;
    if (block->kind == CH_BLOCK_TABLE)
        block->fields = (uint32_t)ch_rng_below(&maker->rng, size) + 1;
    make_times(maker, block->rows, now, &block->times);
    make_values(maker, block);
}

static uint32_t
count_points(const ch_batch_block_t *block)
{
    uint32_t points = 0;
    for (uint32_t j = 0; j < block->fields; j++)
        for (uint32_t i = 0; i < block->rows; i++)
            points += ch_values_at(&block->values[j], i).type != CH_VALUE_NONE;
    return points;
}

void
ch_wal_batch_make(ch_wal_batch_t *made, uint64_t seed, uint64_t number, uint32_t size)
{
    enum { BLOCKS = 4 };
    *made = (ch_wal_batch_t){.time = 1700000000000000000 + (int64_t)number * 1000003};
    maker_t maker = {.arena = &made->arena};
    ch_rng_seed(&maker.rng, seed * 1000003 + number);
    ch_batch_t *batch = &made->batch;
    batch->block_count = (uint32_t)ch_rng_below(&maker.rng, BLOCKS + 1);
    ch_batch_block_t *blocks = ch_wal_arena_take(&made->arena, BLOCKS * sizeof *blocks);
    size_t cells = 0;
    for (uint32_t b = 0; b < batch->block_count; b++) {
        make_block(&maker, size, made->time, &blocks[b]);
        if (b > 0 && blocks[b].rows == blocks[b - 1].rows)
            blocks[b].times = blocks[b - 1].times;
        batch->points += count_points(&blocks[b]);
        cells += ch_batch_block_cells(&blocks[b]);
    }
    made->series = ch_wal_arena_take(&made->arena, (cells + 1) * sizeof *made->series);
    cells = 0;
    for (uint32_t b = 0; b < batch->block_count; b++) {
        make_ids(&maker, &blocks[b], made->series + cells);
        cells += ch_batch_block_cells(&blocks[b]);
    }
    batch->blocks = blocks;
    if (ch_rng_below(&maker.rng, 2)) {
        batch->identity = (ch_identity_t){.present = true, .epoch = 3, .seq = number + 1};
        snprintf(batch->identity.producer, sizeof batch->identity.producer, "agent-%u",
                 (unsigned)ch_rng_below(&maker.rng, 5));
    }
}

void
ch_wal_batch_release(ch_wal_batch_t *made)
{
    ch_wal_arena_release(&made->arena);
}

/* --- comparing ------------------------------------------------------------------------------- */

static bool
same_series(uint32_t global, uint32_t local, const ch_wal_dictionary_t *dictionary)
{
    ch_wal_namer_t namer = ch_wal_batch_namer();
    uint32_t name_id, labels_id;
    ch_bytes_t name, labels;
    if (local >= ch_wal_dictionary_count(dictionary))
        return false;
    namer.series(NULL, global, &name_id, &labels_id);
    ch_wal_dictionary_series(dictionary, local, &name, &labels);
    return ch_bytes_equal(name, namer.name(NULL, name_id)) &&
           ch_bytes_equal(labels, namer.labels(NULL, labels_id));
}

static const char *
compare_cells(const ch_batch_block_t *a, const ch_batch_block_t *b,
              const uint32_t *global, const uint32_t *local,
              const ch_wal_dictionary_t *dictionary)
{
    for (uint32_t i = 0; i < a->rows; i++)
        for (uint32_t j = 0; j < a->fields; j++) {
            ch_value_t value = ch_values_at(&a->values[j], i);
            size_t cell = a->kind == CH_BLOCK_SERIES ? 0 : (size_t)i * a->fields + j;
            if (!ch_value_equal(value, ch_values_at(&b->values[j], i)))
                return "a value differs";
            if (value.type != CH_VALUE_NONE &&
                !same_series(global[cell], local[cell], dictionary))
                return "a series differs";
            if (value.type == CH_VALUE_NONE && local[cell] != 0)
                return "the id of a cell without a point is not 0";
        }
    return NULL;
}

static const char *
compare_block(const ch_batch_block_t *a, const ch_batch_block_t *b,
              const uint32_t *global, const uint32_t *local,
              const ch_wal_dictionary_t *dictionary)
{
    if (a->kind != b->kind || a->rows != b->rows || a->fields != b->fields)
        return "a block's shape differs";
    for (uint32_t i = 0; i < a->rows; i++)
        if (ch_times_at(&a->times, i) != ch_times_at(&b->times, i))
            return "a time differs";
    return compare_cells(a, b, global, local, dictionary);
}

static bool
same_identity(const ch_identity_t *a, const ch_identity_t *b)
{
    return a->present == b->present && strcmp(a->producer, b->producer) == 0 &&
           a->epoch == b->epoch && a->seq == b->seq;
}

const char *
ch_wal_batch_compare(const ch_wal_batch_t *made, const ch_wal_record_t *record,
                     const ch_wal_dictionary_t *dictionary)
{
    const ch_batch_t *a = &made->batch, *b = &record->batch;
    size_t cells = 0;
    if (record->type != CH_WAL_BATCH || record->time != made->time)
        return "type or time differ";
    if (!same_identity(&a->identity, &b->identity))
        return "the identity differs";
    if (a->block_count != b->block_count || a->points != b->points)
        return "the number of blocks or points differs";
    for (uint32_t i = 0; i < a->block_count; i++) {
        const char *wrong =
            compare_block(&a->blocks[i], &b->blocks[i], made->series + cells,
                          record->series + cells, dictionary);
        if (wrong)
            return wrong;
        cells += ch_batch_block_cells(&a->blocks[i]);
    }
    return NULL;
}
