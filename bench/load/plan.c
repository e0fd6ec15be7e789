#include "plan.h"

#include <stdlib.h>
#include <string.h>

#include "ch/alloc.h"
#include "ch/assert.h"

bool
ch_shape_parse(const char *text, ch_shape_t *shape_out)
{
    static const char *const names[] = {"series", "tables", "rows", "points"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(text, names[i]) == 0) {
            *shape_out = (ch_shape_t)i;
            return true;
        }
    }
    return false;
}

static uint32_t
block_steps(const ch_plan_t *plan)
{
    return plan->options.shape == CH_SHAPE_SERIES ? plan->options.column : 1;
}

void
ch_plan_init(ch_plan_t *plan, const ch_plan_options_t *options)
{
    *plan = (ch_plan_t){.options = *options};
    uint32_t steps = options->devops->steps, block = block_steps(plan);
    uint64_t blocks = (steps + block - 1) / block;
    uint64_t unit_points = (uint64_t)block * CH_DEVOPS_FIELDS;
    plan->units = blocks * options->host_count;
    plan->batch_units =
        options->batch_points > unit_points ? options->batch_points / unit_points : 1;
    plan->batches = (plan->units + plan->batch_units - 1) / plan->batch_units;
    plan->encoder = ch_batch_encoder_new();
    CH_ASSERT(plan->encoder != NULL);
    size_t rows = plan->batch_units > block ? plan->batch_units : block;
    plan->packed_times = ch_alloc(rows * 8);
    plan->packed_values = ch_alloc(rows * 8 * CH_DEVOPS_FIELDS);
    plan->cells = ch_alloc(rows * CH_DEVOPS_TAGS * sizeof *plan->cells);
}

void
ch_plan_release(ch_plan_t *plan)
{
    ch_batch_encoder_destroy(&plan->encoder);
    ch_free(plan->packed_times);
    ch_free(plan->packed_values);
    ch_free(plan->cells);
}

static uint64_t
units_until(const ch_plan_t *plan, uint64_t seq)
{
    uint64_t units = seq * plan->batch_units;
    return units < plan->units ? units : plan->units;
}

/* Units of one host among the first `units`. */
static uint32_t
blocks_of_host(const ch_plan_t *plan, uint64_t units, uint32_t host)
{
    uint32_t count = plan->options.host_count;
    return (uint32_t)(units / count) + (units % count > host - plan->options.host_first);
}

uint32_t
ch_plan_steps(const ch_plan_t *plan, uint64_t seq, uint32_t host)
{
    uint32_t steps =
        blocks_of_host(plan, units_until(plan, seq), host) * block_steps(plan);
    return steps < plan->options.devops->steps ? steps : plan->options.devops->steps;
}

uint64_t
ch_plan_points(const ch_plan_t *plan, uint64_t seq)
{
    uint64_t points = 0;
    for (uint32_t i = 0; i < plan->options.host_count; i++)
        points += ch_plan_steps(plan, seq, plan->options.host_first + i);
    return points * CH_DEVOPS_FIELDS;
}

/* ---- one unit in each shape */

static void
add_series(ch_plan_t *plan, uint32_t host, uint32_t step)
{
    const ch_devops_t *devops = plan->options.devops;
    uint32_t left = devops->steps - step;
    uint32_t count = left < plan->options.column ? left : plan->options.column;
    ch_times_t times = {.form = CH_TIMES_REGULAR,
                        .start = ch_devops_time(step),
                        .step = CH_DEVOPS_STEP_NS};
    if (!plan->options.regular) {
        times = (ch_times_t){.form = CH_TIMES_PACKED, .packed = plan->packed_times};
        for (uint32_t i = 0; i < count; i++)
            ch_store_i64(plan->packed_times + (size_t)i * 8, ch_devops_time(step + i));
    }
    const ch_values_t values = {.form = CH_VALUES_I64, .packed = plan->packed_values};
    for (uint32_t field = 0; field < CH_DEVOPS_FIELDS; field++) {
        char key[CH_DEVOPS_LABELS_BYTES + 40];
        size_t size = ch_devops_key(devops, host, field, key);
        for (uint32_t i = 0; i < count; i++)
            ch_store_i64(plan->packed_values + (size_t)i * 8,
                         ch_devops_values(devops, step + i, host)[field]);
        ch_batch_encoder_series(plan->encoder, ch_bytes(key, size), &times, &values,
                                count);
    }
}

static void
add_row(ch_plan_t *plan, uint32_t host, uint32_t step)
{
    const ch_devops_t *devops = plan->options.devops;
    const uint8_t *at = ch_devops_values(devops, step, host);
    ch_label_t labels[CH_DEVOPS_TAGS];
    ch_value_t values[CH_DEVOPS_FIELDS];
    for (int i = 0; i < CH_DEVOPS_TAGS; i++)
        labels[i] = (ch_label_t){devops->tag_names[i], devops->host[host].tags[i]};
    for (int i = 0; i < CH_DEVOPS_FIELDS; i++)
        values[i] = ch_value_int(at[i]);
    ch_batch_encoder_row(plan->encoder, ch_bytes_text(CH_DEVOPS_NAME), labels,
                         CH_DEVOPS_TAGS, ch_when(ch_devops_time(step)), devops->fields,
                         values, CH_DEVOPS_FIELDS);
}

static void
add_points(ch_plan_t *plan, uint32_t host, uint32_t step)
{
    const uint8_t *at = ch_devops_values(plan->options.devops, step, host);
    for (uint32_t field = 0; field < CH_DEVOPS_FIELDS; field++) {
        char key[CH_DEVOPS_LABELS_BYTES + 40];
        size_t size = ch_devops_key(plan->options.devops, host, field, key);
        ch_batch_encoder_point(plan->encoder, ch_bytes(key, size),
                               ch_when(ch_devops_time(step)), ch_value_int(at[field]));
    }
}

/* One scrape: `count` hosts from `host` on at one step. */
static void
add_table(ch_plan_t *plan, uint32_t host, uint32_t count, uint32_t step)
{
    const ch_devops_t *devops = plan->options.devops;
    ch_values_t values[CH_DEVOPS_FIELDS];
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *at = ch_devops_values(devops, step, host + i);
        memcpy(plan->cells + (size_t)i * CH_DEVOPS_TAGS, devops->host[host + i].tags,
               sizeof devops->host[host + i].tags);
        for (uint32_t j = 0; j < CH_DEVOPS_FIELDS; j++)
            ch_store_i64(plan->packed_values + ((size_t)j * count + i) * 8, at[j]);
    }
    for (uint32_t j = 0; j < CH_DEVOPS_FIELDS; j++) {
        values[j] = (ch_values_t){.form = CH_VALUES_I64,
                                  .packed = plan->packed_values + (size_t)j * count * 8};
    }
    const ch_batch_table_t table = {.name = ch_bytes_text(CH_DEVOPS_NAME),
                                    .label_count = CH_DEVOPS_TAGS,
                                    .label_names = devops->tag_names,
                                    .rows = count,
                                    .label_values = plan->cells,
                                    .single_time = true,
                                    .when = ch_when(ch_devops_time(step)),
                                    .field_count = CH_DEVOPS_FIELDS,
                                    .fields = devops->fields,
                                    .values = values};
    ch_batch_encoder_table(plan->encoder, &table);
}

/* The units from `unit` on that one call can take, at most `left`: of a table all of one step. */
static uint64_t
add_units(ch_plan_t *plan, uint64_t unit, uint64_t left)
{
    uint32_t hosts = plan->options.host_count, offset = (uint32_t)(unit % hosts);
    uint32_t host = plan->options.host_first + offset;
    uint32_t step = (uint32_t)(unit / hosts) * block_steps(plan);
    uint64_t of_step = hosts - offset < left ? hosts - offset : left;
    switch (plan->options.shape) {
    case CH_SHAPE_SERIES:
        add_series(plan, host, step);
        return 1;
    case CH_SHAPE_TABLES:
        add_table(plan, host, (uint32_t)of_step, step);
        return of_step;
    case CH_SHAPE_ROWS:
        add_row(plan, host, step);
        return 1;
    case CH_SHAPE_POINTS:
        break;
    }
    add_points(plan, host, step);
    return 1;
}

ch_bytes_t
ch_plan_encode(ch_plan_t *plan, const char *producer, uint64_t seq)
{
    ch_identity_t identity = {.present = true, .epoch = 1, .seq = seq};
    strncpy(identity.producer, producer, sizeof identity.producer - 1);
    uint64_t unit = units_until(plan, seq - 1), end = units_until(plan, seq);
    ch_batch_encoder_reset(plan->encoder);
    while (unit < end)
        unit += add_units(plan, unit, end - unit);
    ch_bytes_t frame;
    if (ch_batch_encoder_finish(plan->encoder, &identity, &frame) < 0)
        abort(); /* out of memory */
    return frame;
}
