/* store_cityhall.c - this engine through its own API, as the node uses it: one writer, a syncer and a
 * flusher beside it. */
#include "store.h"

#include <pthread.h>
#include <stdlib.h>

#include "ch/alloc.h"
#include "ch/engine.h"

enum { ROWS_MAX = 1024 };

typedef struct own {
    ch_engine_t *engine;
    bool synced, inline_work;
    pthread_mutex_t mutex;
    pthread_cond_t moved;
    int64_t next_time; /* of a put */
    ch_view_t *view;   /* between read_begin and read_end */
    ch_series_list_t list;
    ch_points_t points;
} own_t;

static void
must(ch_status_t status, const char *what)
{
    if (status < 0)
        ch_store_die("%s: %s", what, ch_fail_text());
}

static void
on_progress(void *context)
{
    own_t *own = context;
    (void)pthread_mutex_lock(&own->mutex);
    (void)pthread_cond_broadcast(&own->moved);
    (void)pthread_mutex_unlock(&own->mutex);
}

static void *
own_open(const ch_store_options_t *options)
{
    own_t *own = ch_calloc(1, sizeof *own);
    own->synced = options->synced;
    own->inline_work = options->inline_work;
    (void)pthread_mutex_init(&own->mutex, NULL);
    (void)pthread_cond_init(&own->moved, NULL);
    ch_engine_options_t engine;
    ch_engine_options_init(&engine);
    engine.path = options->path;
    engine.background_threads = options->inline_work ? 0 : 1;
    engine.sync_mode = options->synced ? CH_SYNC_GROUP : CH_SYNC_INTERVAL;
    engine.memory_limit = UINT64_C(4)
                          << 30; /* a series of each short put is kept in memory */
    engine.limits.series = 100000000;
    if (options->keep_tables)
        engine.compaction_flushes = 0;
    if (options->memtable_bytes)
        engine.memtable_bytes = options->memtable_bytes;
    engine.on_progress = on_progress;
    engine.on_progress_context = own;
    must(ch_engine_open(&engine, &own->engine), "open");
    return own;
}

static void
own_close(void *store)
{
    own_t *own = store;
    must(ch_engine_close(own->engine), "close");
    ch_engine_destroy(&own->engine);
    (void)pthread_mutex_destroy(&own->mutex);
    (void)pthread_cond_destroy(&own->moved);
    ch_points_release(&own->points);
    ch_free(own);
}

static uint64_t
append(own_t *own, const ch_batch_block_t *blocks, uint32_t count, uint32_t points)
{
    const ch_batch_t batch = {.blocks = blocks, .block_count = count, .points = points};
    ch_append_result_t result;
    if (!ch_engine_ready(own->engine) && own->inline_work)
        must(ch_engine_sync(own->engine), "sync");
    if (!own->inline_work && !ch_engine_ready(own->engine)) {
        (void)pthread_mutex_lock(&own->mutex);
        while (!ch_engine_ready(own->engine))
            (void)pthread_cond_wait(&own->moved, &own->mutex);
        (void)pthread_mutex_unlock(&own->mutex);
    }
    must(ch_engine_append(own->engine, &batch, &result), "append");
    if (result.state != CH_APPEND_TAKEN)
        ch_store_die("append: refused, %s", result.reject.message);
    if (own->inline_work)
        must(ch_engine_work(own->engine), "work");
    return result.lsn;
}

static void
field_names(const ch_devops_t *devops, char texts[][32], ch_bytes_t *names)
{
    for (uint32_t f = 0; f < CH_DEVOPS_FIELDS; f++) {
        const ch_bytes_t field = devops->fields[f];
        memcpy(texts[f], CH_DEVOPS_NAME "_", sizeof CH_DEVOPS_NAME);
        memcpy(texts[f] + sizeof CH_DEVOPS_NAME, field.data, field.size);
        names[f] = ch_bytes(texts[f], sizeof CH_DEVOPS_NAME + field.size);
    }
}

/* One step of many hosts: a table of hosts by fields. */
static uint64_t
write_table(own_t *own, const ch_slab_t *slab)
{
    static int64_t packed[CH_DEVOPS_FIELDS][ROWS_MAX];
    static ch_bytes_t labels[ROWS_MAX];
    char texts[CH_DEVOPS_FIELDS][32];
    ch_bytes_t names[CH_DEVOPS_FIELDS];
    ch_values_t values[CH_DEVOPS_FIELDS];
    field_names(slab->devops, texts, names);
    for (uint32_t h = 0; h < slab->host_count; h++) {
        const uint32_t host = slab->host_first + h;
        const uint8_t *from = ch_slab_values(slab, slab->step_first, host);
        labels[h] = ch_bytes(slab->devops->host[host].labels,
                             slab->devops->host[host].labels_size);
        for (uint32_t f = 0; f < CH_DEVOPS_FIELDS; f++)
            packed[f][h] = from[f];
    }
    for (uint32_t f = 0; f < CH_DEVOPS_FIELDS; f++)
        values[f] = (ch_values_t){.form = CH_VALUES_I64, .packed = (uint8_t *)packed[f]};
    const ch_batch_block_t block = {
        .kind = CH_BLOCK_TABLE,
        .rows = slab->host_count,
        .fields = CH_DEVOPS_FIELDS,
        .names = names,
        .labels = labels,
        .times = {.form = CH_TIMES_REGULAR, .start = ch_devops_time(slab->step_first)},
        .values = values};
    return append(own, &block, 1, ch_slab_points(slab));
}

/* Many steps of one host: a column a field. */
static uint64_t
write_columns(own_t *own, const ch_slab_t *slab)
{
    static int64_t packed[CH_DEVOPS_FIELDS][ROWS_MAX];
    char texts[CH_DEVOPS_FIELDS][32];
    ch_bytes_t names[CH_DEVOPS_FIELDS];
    ch_values_t values[CH_DEVOPS_FIELDS];
    ch_batch_block_t blocks[CH_DEVOPS_FIELDS];
    const ch_devops_host_t *host = &slab->devops->host[slab->host_first];
    const ch_bytes_t labels = ch_bytes(host->labels, host->labels_size);
    field_names(slab->devops, texts, names);
    for (uint32_t s = 0; s < slab->step_count; s++) {
        const uint8_t *from =
            ch_slab_values(slab, slab->step_first + s, slab->host_first);
        for (uint32_t f = 0; f < CH_DEVOPS_FIELDS; f++)
            packed[f][s] = from[f];
    }
    for (uint32_t f = 0; f < CH_DEVOPS_FIELDS; f++) {
        values[f] = (ch_values_t){.form = CH_VALUES_I64, .packed = (uint8_t *)packed[f]};
        blocks[f] =
            (ch_batch_block_t){.kind = CH_BLOCK_SERIES,
                               .rows = slab->step_count,
                               .fields = 1,
                               .names = &names[f],
                               .labels = &labels,
                               .times = {.form = CH_TIMES_REGULAR,
                                         .start = ch_devops_time(slab->step_first),
                                         .step = CH_DEVOPS_STEP_NS},
                               .values = &values[f]};
    }
    return append(own, blocks, CH_DEVOPS_FIELDS, ch_slab_points(slab));
}

static uint64_t
own_write(void *store, const ch_slab_t *slab)
{
    if (slab->host_count > ROWS_MAX || slab->step_count > ROWS_MAX ||
        (slab->host_count > 1 && slab->step_count > 1))
        ch_store_die("a slab is one step of up to %d hosts or one host", ROWS_MAX);
    return slab->step_count == 1 ? write_table(store, slab) : write_columns(store, slab);
}

static void
own_wait(void *store, uint64_t ticket)
{
    own_t *own = store;
    if (!own->synced)
        return;
    if (own->inline_work) {
        must(ch_engine_sync(own->engine), "sync");
        return;
    }
    if (ch_engine_durable_lsn(own->engine) >= ticket)
        return;
    (void)pthread_mutex_lock(&own->mutex);
    while (ch_engine_durable_lsn(own->engine) < ticket)
        (void)pthread_cond_wait(&own->moved, &own->mutex);
    (void)pthread_mutex_unlock(&own->mutex);
}

static void
own_write_series(void *store, ch_bytes_t labels, uint64_t number,
                 const ch_points_t *points)
{
    (void)number;
    const ch_bytes_t name = ch_bytes_text("nab");
    const ch_values_t values = {.form = points->form == CH_POINTS_I64 ? CH_VALUES_I64
                                                                      : CH_VALUES_F64,
                                .packed = points->values};
    const ch_batch_block_t block = {
        .kind = CH_BLOCK_SERIES,
        .rows = (uint32_t)points->count,
        .fields = 1,
        .names = &name,
        .labels = &labels,
        .times = {.form = CH_TIMES_PACKED, .packed = (const uint8_t *)points->times},
        .values = &values};
    (void)append(store, &block, 1, (uint32_t)points->count);
}

static void
own_put(void *store, ch_bytes_t key, ch_bytes_t text)
{
    own_t *own = store;
    const ch_bytes_t labels = ch_bytes("", 0);
    const ch_value_t value = ch_value_string(text);
    const ch_values_t values = {.form = CH_VALUES_LIST, .list = &value};
    const ch_batch_block_t block = {
        .kind = CH_BLOCK_POINTS,
        .rows = 1,
        .fields = 1,
        .names = &key,
        .labels = &labels,
        .times = {.form = CH_TIMES_REGULAR, .start = CH_DEVOPS_START_NS},
        .values = &values};
    (void)append(own, &block, 1, 1);
}

static bool
own_has(void *store, ch_bytes_t key)
{
    own_t *own = store;
    ch_view_t *view = NULL;
    int64_t time;
    ch_value_t value;
    must(ch_view_open(own->engine, &view), "view");
    ch_status_t status =
        ch_view_get(view, key, ch_bytes("", 0), CH_TIME_MAX, &time, &value);
    must(status, "get");
    ch_view_destroy(&view);
    return status == CH_OK;
}

/* Until a position that the engine moves in the background has reached `lsn`. */
static void
wait_until(own_t *own, uint64_t (*position)(const ch_engine_t *engine), uint64_t lsn,
           const char *what)
{
    (void)pthread_mutex_lock(&own->mutex);
    while (position(own->engine) < lsn) {
        if (ch_engine_failed(own->engine))
            ch_store_die("%s: %s", what, ch_engine_held_reason(own->engine));
        (void)pthread_cond_wait(&own->moved, &own->mutex);
    }
    (void)pthread_mutex_unlock(&own->mutex);
}

static void
own_flush(void *store)
{
    own_t *own = store;
    uint64_t lsn = 0;
    must(ch_engine_flush(own->engine, &lsn), "flush");
    wait_until(own, ch_engine_flushed_lsn, lsn, "flush");
}

static uint64_t
own_compact_begin(void *store)
{
    own_t *own = store;
    uint64_t lsn = 0;
    must(ch_engine_compact(own->engine, &lsn), "compact");
    return lsn;
}

static bool
own_compacted(void *store, uint64_t ticket)
{
    own_t *own = store;
    return ch_engine_compacted_lsn(own->engine) >= ticket;
}

static void
own_compact(void *store)
{
    wait_until(store, ch_engine_compacted_lsn, own_compact_begin(store), "compact");
}

static bool
own_newest(void *store, const ch_devops_t *devops, uint32_t host, uint32_t field,
           int64_t *value_out)
{
    own_t *own = store;
    char texts[CH_DEVOPS_FIELDS][32];
    ch_bytes_t names[CH_DEVOPS_FIELDS];
    ch_view_t *view = NULL;
    int64_t time;
    ch_value_t value;
    field_names(devops, texts, names);
    must(ch_view_open(own->engine, &view), "view");
    ch_status_t status =
        ch_view_get(view, names[field],
                    ch_bytes(devops->host[host].labels, devops->host[host].labels_size),
                    CH_TIME_MAX, &time, &value);
    must(status, "get");
    ch_view_destroy(&view);
    if (status == CH_OK)
        *value_out = value.i64;
    return status == CH_OK;
}

static void
own_read_begin(void *store, const ch_devops_t *devops)
{
    own_t *own = store;
    const size_t wanted = (size_t)devops->hosts * CH_DEVOPS_FIELDS;
    ch_selector_t *selector = NULL;
    must(ch_selector_parse(ch_bytes_text("{__name__=~\"" CH_DEVOPS_NAME "_.+\"}"),
                           &selector),
         "selector");
    must(ch_view_open(own->engine, &own->view), "view");
    const ch_source_t *source = ch_view_source(own->view);
    must(source->select(source->context, selector, CH_TIME_MIN, CH_TIME_MAX, wanted,
                        &own->list),
         "select");
    if (own->list.count != wanted)
        ch_store_die("%zu series there, not %zu", own->list.count, wanted);
    ch_selector_destroy(&selector);
}

static uint64_t
own_read(void *store, uint32_t series, double *sum_out)
{
    own_t *own = store;
    bool more = false;
    const ch_source_t *source = ch_view_source(own->view);
    must(source->read(source->context, &own->list.items[series], CH_TIME_MIN, CH_TIME_MAX,
                      SIZE_MAX, &own->points, &more),
         "read");
    if (sum_out)
        for (size_t i = 0; i < own->points.count; i++)
            *sum_out += (double)own->points.ints[i];
    return own->points.count;
}

static double
own_mean(void *store, uint32_t series)
{
    own_t *own = store;
    ch_summary_t summary;
    const ch_source_t *source = ch_view_source(own->view);
    ch_status_t status = source->summarise(source->context, &own->list.items[series],
                                           CH_TIME_MIN, CH_TIME_MAX, &summary);
    if (status != CH_OK || summary.decoded)
        ch_store_die("the headers cannot tell the mean of series %u", series);
    return summary.sum / (double)summary.count;
}

static void
own_read_end(void *store)
{
    own_t *own = store;
    ch_series_list_release(&own->list);
    own->list = (ch_series_list_t){0};
    ch_view_destroy(&own->view);
}

const ch_store_ops_t ch_store_cityhall = {.name = "cityhall",
                                          .open = own_open,
                                          .close = own_close,
                                          .write = own_write,
                                          .wait = own_wait,
                                          .write_series = own_write_series,
                                          .put = own_put,
                                          .has = own_has,
                                          .flush = own_flush,
                                          .compact = own_compact,
                                          .compact_begin = own_compact_begin,
                                          .compacted = own_compacted,
                                          .newest = own_newest,
                                          .read_begin = own_read_begin,
                                          .read = own_read,
                                          .mean = own_mean,
                                          .read_end = own_read_end};
