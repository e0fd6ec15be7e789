/* aggregate.c - folding series into groups.
 *
 * Name      It is dropped from groups unless `by (__name__)` asks for it; then a function's "drop the
 *           name" follows the group, because the name goes only when the result is made.
 * Order     Values are folded in the order of the series' keys, so the same data gives the same
 *           last digit.
 */
#include "query/aggregate.h"

#include <math.h>

#include "ch/alloc.h"
#include "ch/checksum.h"
#include "ch/series_key.h"
#include "query/range_functions.h"

/* What one step of one group has come to: min, max, count and sum use `mean` as plain fields. */
typedef union cell {
    ch_promql_mean_t mean;
    ch_promql_variance_t variance;
} cell_t;

typedef struct group {
    uint64_t hash;
    ch_bytes_t name, labels;
    bool drop_name;
    cell_t *cells;
} group_t;

struct ch_promql_aggregate {
    ch_promql_eval_t *eval;
    ch_aggregate_t op;
    bool without, by_name;
    const ch_promql_labels_t *labels;
    group_t *groups;
    size_t count, capacity;
    uint32_t *slots; /* group number + 1, 0 for free; size is a power of two */
    size_t slot_count;
    ch_text_t scratch;
};

static bool
listed(const ch_promql_labels_t *labels, ch_bytes_t name)
{
    for (uint32_t i = 0; i < labels->count; i++)
        if (ch_bytes_equal(labels->names[i], name))
            return true;
    return false;
}

ch_promql_aggregate_t *
ch_promql_aggregate_new(ch_promql_eval_t *eval, const ch_expr_t *expr)
{
    ch_promql_aggregate_t *aggregate = ch_calloc(1, sizeof *aggregate);
    aggregate->eval = eval;
    aggregate->op = expr->aggregate.op;
    aggregate->without = expr->aggregate.without;
    aggregate->labels = &expr->aggregate.labels;
    aggregate->by_name =
        !aggregate->without && listed(aggregate->labels, ch_bytes_text("__name__"));
    aggregate->slot_count = 64;
    aggregate->slots = ch_calloc(aggregate->slot_count, sizeof *aggregate->slots);
    return aggregate;
}

void
ch_promql_aggregate_destroy(ch_promql_aggregate_t **aggregate)
{
    if (!*aggregate)
        return;
    for (size_t i = 0; i < (*aggregate)->count; i++)
        ch_free((*aggregate)->groups[i].cells);
    ch_free((*aggregate)->groups);
    ch_free((*aggregate)->slots);
    ch_text_release(&(*aggregate)->scratch);
    ch_free(*aggregate);
    *aggregate = NULL;
}

/* The end of `name="value"` in canonical label text that begins at `at`. */
static size_t
label_end(ch_bytes_t labels, size_t value_at)
{
    size_t at = value_at + 1;
    while (at < labels.size && labels.data[at] != '"')
        at += labels.data[at] == '\\' ? 2 : 1;
    return at < labels.size ? at + 1 : labels.size;
}

/* Keep the labels of the group: canonical text stays canonical when pieces of it go. */
static ch_bytes_t
group_labels(ch_promql_aggregate_t *aggregate, ch_bytes_t labels)
{
    ch_text_reset(&aggregate->scratch);
    for (size_t at = 0; at < labels.size;) {
        const uint8_t *equals = memchr(labels.data + at, '=', labels.size - at);
        if (!equals)
            break;
        size_t value_at = (size_t)(equals - labels.data) + 1;
        size_t end = label_end(labels, value_at);
        ch_bytes_t name = ch_bytes(labels.data + at, value_at - 1 - at);
        if (listed(aggregate->labels, name) != aggregate->without) {
            if (aggregate->scratch.size)
                ch_text_append(&aggregate->scratch, ",", 1);
            ch_text_append(&aggregate->scratch, labels.data + at, end - at);
        }
        at = end + 1; /* the comma */
    }
    return ch_text_bytes(&aggregate->scratch);
}

static void
grow_slots(ch_promql_aggregate_t *aggregate)
{
    ch_free(aggregate->slots);
    aggregate->slot_count *= 2;
    aggregate->slots = ch_calloc(aggregate->slot_count, sizeof *aggregate->slots);
    for (size_t i = 0; i < aggregate->count; i++) {
        size_t slot = aggregate->groups[i].hash & (aggregate->slot_count - 1);
        while (aggregate->slots[slot])
            slot = (slot + 1) & (aggregate->slot_count - 1);
        aggregate->slots[slot] = (uint32_t)i + 1;
    }
}

static ch_status_t
group_add(ch_promql_aggregate_t *aggregate, const group_t *wanted, size_t slot,
          group_t **group_out)
{
    ch_promql_eval_t *eval = aggregate->eval;
    size_t bytes = eval->steps * sizeof(cell_t) + sizeof(group_t);
    bytes += wanted->name.size + wanted->labels.size;
    if (eval->group_bytes + bytes > CH_PROMQL_GROUP_BYTES_MAX)
        return ch_fail(
            CH_ERR_LIMIT,
            "aggregation needs more than %d MiB for %zu groups at %zu steps: group by "
            "fewer labels or take longer steps",
            CH_PROMQL_GROUP_BYTES_MAX >> 20, aggregate->count + 1, eval->steps);
    ch_status_t status = ch_promql_hold(eval, bytes);
    if (status < 0)
        return status;
    eval->group_bytes += bytes;
    if (aggregate->count == aggregate->capacity) {
        aggregate->capacity = aggregate->capacity ? aggregate->capacity * 2 : 16;
        aggregate->groups = ch_realloc(aggregate->groups,
                                       aggregate->capacity * sizeof *aggregate->groups);
    }
    group_t *group = &aggregate->groups[aggregate->count++];
    *group = *wanted;
    group->name = ch_query_memory_copy(eval->memory, wanted->name);
    group->labels = ch_query_memory_copy(eval->memory, wanted->labels);
    group->cells = ch_calloc(eval->steps, sizeof *group->cells);
    aggregate->slots[slot] = (uint32_t)aggregate->count;
    if (aggregate->count * 2 > aggregate->slot_count)
        grow_slots(aggregate);
    *group_out = group;
    return CH_OK;
}

static ch_status_t
group_find(ch_promql_aggregate_t *aggregate, const ch_promql_row_t *row,
           group_t **group_out)
{
    group_t wanted = {.name = aggregate->by_name ? row->name : ch_bytes("", 0),
                      .labels = group_labels(aggregate, row->labels)};
    uint64_t seed = ch_hash64(wanted.name.data, wanted.name.size, 0);
    wanted.hash = ch_hash64(wanted.labels.data, wanted.labels.size, seed);
    size_t slot = wanted.hash & (aggregate->slot_count - 1);
    for (; aggregate->slots[slot]; slot = (slot + 1) & (aggregate->slot_count - 1)) {
        group_t *group = &aggregate->groups[aggregate->slots[slot] - 1];
        if (group->hash == wanted.hash && ch_bytes_equal(group->name, wanted.name) &&
            ch_bytes_equal(group->labels, wanted.labels)) {
            *group_out = group;
            return CH_OK;
        }
    }
    return group_add(aggregate, &wanted, slot, group_out);
}

static void
cell_fold(ch_aggregate_t op, cell_t *cell, double value)
{
    ch_promql_mean_t *plain = &cell->mean;
    switch (op) {
    case CH_AGGREGATE_AVG:
        ch_promql_mean_add(&cell->mean, value);
        return;
    case CH_AGGREGATE_STDDEV:
    case CH_AGGREGATE_STDVAR:
        ch_promql_variance_add(&cell->variance, value);
        return;
    case CH_AGGREGATE_SUM:
        ch_promql_add(value, &plain->sum, &plain->compensation);
        break;
    case CH_AGGREGATE_MIN:
        if (plain->count == 0 || value < plain->sum || isnan(plain->sum))
            plain->sum = value;
        break;
    case CH_AGGREGATE_MAX:
        if (plain->count == 0 || value > plain->sum || isnan(plain->sum))
            plain->sum = value;
        break;
    default: /* count, group: the count alone */
        break;
    }
    plain->count++;
}

static double
cell_value(ch_aggregate_t op, const cell_t *cell)
{
    bool varies = op == CH_AGGREGATE_STDDEV || op == CH_AGGREGATE_STDVAR;
    if ((varies ? cell->variance.count : cell->mean.count) == 0)
        return ch_promql_absent();
    switch (op) {
    case CH_AGGREGATE_SUM:
        return isinf(cell->mean.sum) ? cell->mean.sum
                                     : cell->mean.sum + cell->mean.compensation;
    case CH_AGGREGATE_AVG:
        return ch_promql_mean_value(&cell->mean);
    case CH_AGGREGATE_STDDEV:
        return sqrt(ch_promql_variance_value(&cell->variance));
    case CH_AGGREGATE_STDVAR:
        return ch_promql_variance_value(&cell->variance);
    case CH_AGGREGATE_COUNT:
        return cell->mean.count;
    case CH_AGGREGATE_GROUP:
        return 1;
    default:
        return cell->mean.sum;
    }
}

static ch_status_t
aggregate_take(void *context, const ch_promql_row_t *row)
{
    ch_promql_aggregate_t *aggregate = context;
    group_t *group = NULL;
    ch_status_t status = group_find(aggregate, row, &group);
    if (status < 0)
        return status;
    group->drop_name = group->drop_name || row->drop_name;
    for (size_t step = 0; step < aggregate->eval->steps; step++)
        if (!ch_promql_is_absent(row->values[step]))
            cell_fold(aggregate->op, &group->cells[step], row->values[step]);
    return ch_promql_work(aggregate->eval, aggregate->eval->steps);
}

ch_promql_sink_t
ch_promql_aggregate_sink(ch_promql_aggregate_t *aggregate)
{
    return (ch_promql_sink_t){.take = aggregate_take, .context = aggregate};
}

ch_status_t
ch_promql_aggregate_push(ch_promql_aggregate_t *aggregate, ch_promql_sink_t sink)
{
    size_t steps = aggregate->eval->steps;
    double *values = ch_alloc(steps * sizeof *values);
    ch_status_t status = CH_OK;
    for (size_t i = 0; status >= 0 && i < aggregate->count; i++) {
        const group_t *group = &aggregate->groups[i];
        for (size_t step = 0; step < steps; step++)
            values[step] = cell_value(aggregate->op, &group->cells[step]);
        ch_promql_row_t row = {.name = group->name,
                               .labels = group->labels,
                               .drop_name = group->drop_name,
                               .values = values};
        status = ch_promql_work(aggregate->eval, steps);
        if (status >= 0)
            status = sink.take(sink.context, &row);
    }
    ch_free(values);
    return status;
}
