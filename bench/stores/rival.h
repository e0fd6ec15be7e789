/* rival.h - a key-value store by the C API that RocksDB took over from LevelDB: the same functions under
 * two prefixes. Included once by each rival's file, which defines
 *
 *   RIVAL(name)         the prefixed name, of functions and types
 *   RIVAL_NAME          the store's name here
 *   rival_options       static function: what differs in its settings
 *   rival_flush         static function: write the memtable to a table
 */
#include "store.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "ch/alloc.h"

enum { KEY_BYTES = 16, VALUE_BYTES = 8, MEMTABLE_BYTES = 64 << 20, BLOOM_BITS = 10 };

typedef struct rival {
    RIVAL(t) * db;
    RIVAL(options_t) * options;
    RIVAL(writeoptions_t) * write;
    RIVAL(readoptions_t) * read;
    RIVAL(iterator_t) * iterator; /* between read_begin and read_end */
    pthread_t compacter;          /* from compact_begin until compacted says true */
    bool compact_ended;           /* atomic */
} rival_t;

static void rival_options(rival_t *rival, const ch_store_options_t *options);
static void rival_flush(void *store);

static void
must(char *error, const char *what)
{
    if (error)
        ch_store_die(RIVAL_NAME ", %s: %s", what, error);
}

static void *
rival_open(const ch_store_options_t *options)
{
    char *error = NULL;
    rival_t *rival = ch_calloc(1, sizeof *rival);
    rival->options = RIVAL(options_create)();
    RIVAL(options_set_create_if_missing)(rival->options, 1);
    RIVAL(options_set_write_buffer_size)
    (rival->options, options->memtable_bytes ? options->memtable_bytes : MEMTABLE_BYTES);
    rival_options(rival, options);
    rival->write = RIVAL(writeoptions_create)();
    RIVAL(writeoptions_set_sync)(rival->write, options->synced);
    rival->read = RIVAL(readoptions_create)();
    rival->db = RIVAL(open)(rival->options, options->path, &error);
    must(error, "open");
    return rival;
}

static void
rival_close(void *store)
{
    rival_t *rival = store;
    rival_flush(rival);
    RIVAL(close)(rival->db);
    RIVAL(writeoptions_destroy)(rival->write);
    RIVAL(readoptions_destroy)(rival->read);
    RIVAL(options_destroy)(rival->options);
    ch_free(rival);
}

static void
put_big_endian(char *out, uint64_t number)
{
    for (int i = 0; i < 8; i++)
        out[i] = (char)(number >> (56 - 8 * i));
}

static void
point_key(char key[KEY_BYTES], uint64_t series, int64_t time)
{
    put_big_endian(key, series);
    put_big_endian(key + 8, (uint64_t)time);
}

static void
write_batch(rival_t *rival, RIVAL(writebatch_t) * batch)
{
    char *error = NULL;
    RIVAL(write)(rival->db, rival->write, batch, &error);
    must(error, "write");
    RIVAL(writebatch_destroy)(batch);
}

static uint64_t
rival_write(void *store, const ch_slab_t *slab)
{
    RIVAL(writebatch_t) *batch = RIVAL(writebatch_create)();
    char key[KEY_BYTES];
    for (uint32_t s = slab->step_first; s < slab->step_first + slab->step_count; s++)
        for (uint32_t h = slab->host_first; h < slab->host_first + slab->host_count;
             h++) {
            const uint8_t *from = ch_slab_values(slab, s, h);
            for (uint32_t f = 0; f < CH_DEVOPS_FIELDS; f++) {
                int64_t value = from[f];
                point_key(key, (uint64_t)h * CH_DEVOPS_FIELDS + f, ch_devops_time(s));
                RIVAL(writebatch_put)
                (batch, key, sizeof key, (char *)&value, VALUE_BYTES);
            }
        }
    write_batch(store, batch);
    return 0;
}

static void
rival_wait(void *store, uint64_t ticket)
{
    (void)store, (void)ticket;
}

static void
rival_write_series(void *store, ch_bytes_t labels, uint64_t number,
                   const ch_points_t *points)
{
    RIVAL(writebatch_t) *batch = RIVAL(writebatch_create)();
    char key[KEY_BYTES];
    (void)labels;
    for (size_t i = 0; i < points->count; i++) {
        point_key(key, number, points->times[i]);
        RIVAL(writebatch_put)
        (batch, key, sizeof key, (char *)&points->ints[i], VALUE_BYTES);
    }
    write_batch(store, batch);
}

static void
rival_put(void *store, ch_bytes_t key, ch_bytes_t text)
{
    rival_t *rival = store;
    char *error = NULL;
    RIVAL(put)
    (rival->db, rival->write, (const char *)key.data, key.size, (const char *)text.data,
     text.size, &error);
    must(error, "put");
}

static bool
rival_has(void *store, ch_bytes_t key)
{
    rival_t *rival = store;
    char *error = NULL;
    size_t size;
    char *value = RIVAL(get)(rival->db, rival->read, (const char *)key.data, key.size,
                             &size, &error);
    must(error, "get");
    bool found = value != NULL;
    RIVAL(free)(value);
    return found;
}

static void
rival_compact(void *store)
{
    rival_t *rival = store;
    RIVAL(compact_range)(rival->db, NULL, 0, NULL, 0);
}

static void *
compact_beside(void *store)
{
    rival_t *rival = store;
    rival_compact(rival);
    __atomic_store_n(&rival->compact_ended, true, __ATOMIC_RELEASE);
    return NULL;
}

static uint64_t
rival_compact_begin(void *store)
{
    rival_t *rival = store;
    rival->compact_ended = false;
    if (pthread_create(&rival->compacter, NULL, compact_beside, rival) != 0)
        ch_store_die("no thread");
    return 0;
}

static bool
rival_compacted(void *store, uint64_t ticket)
{
    rival_t *rival = store;
    (void)ticket;
    if (!__atomic_load_n(&rival->compact_ended, __ATOMIC_ACQUIRE))
        return false;
    (void)pthread_join(rival->compacter, NULL);
    return true;
}

static int64_t
value_at(const RIVAL(iterator_t) * iterator)
{
    size_t size;
    int64_t value = 0;
    const char *data = RIVAL(iter_value)(iterator, &size);
    memcpy(&value, data, VALUE_BYTES);
    return value;
}

static bool
rival_newest(void *store, const ch_devops_t *devops, uint32_t host, uint32_t field,
             int64_t *value_out)
{
    rival_t *rival = store;
    const uint64_t series = (uint64_t)host * CH_DEVOPS_FIELDS + field;
    char key[KEY_BYTES];
    size_t size;
    (void)devops;
    RIVAL(iterator_t) *iterator = RIVAL(create_iterator)(rival->db, rival->read);
    point_key(key, series + 1, 0);
    RIVAL(iter_seek)(iterator, key, sizeof key);
    if (RIVAL(iter_valid)(iterator))
        RIVAL(iter_prev)(iterator);
    else
        RIVAL(iter_seek_to_last)(iterator);
    point_key(key, series, 0);
    bool found = RIVAL(iter_valid)(iterator) &&
                 memcmp(RIVAL(iter_key)(iterator, &size), key, 8) == 0;
    if (found)
        *value_out = value_at(iterator);
    RIVAL(iter_destroy)(iterator);
    return found;
}

static void
rival_read_begin(void *store, const ch_devops_t *devops)
{
    rival_t *rival = store;
    (void)devops;
    rival->iterator = RIVAL(create_iterator)(rival->db, rival->read);
}

static uint64_t
rival_read(void *store, uint32_t series, double *sum_out)
{
    rival_t *rival = store;
    RIVAL(iterator_t) *iterator = rival->iterator;
    char key[KEY_BYTES];
    size_t size;
    uint64_t count = 0;
    point_key(key, series, 0);
    for (RIVAL(iter_seek)(iterator, key, sizeof key); RIVAL(iter_valid)(iterator);
         RIVAL(iter_next)(iterator)) {
        if (memcmp(RIVAL(iter_key)(iterator, &size), key, 8) != 0)
            break;
        if (sum_out)
            *sum_out += (double)value_at(iterator);
        count++;
    }
    return count;
}

static double
rival_mean(void *store, uint32_t series)
{
    double sum = 0;
    uint64_t count = rival_read(store, series, &sum);
    return sum / (double)count;
}

static void
rival_read_end(void *store)
{
    rival_t *rival = store;
    RIVAL(iter_destroy)(rival->iterator);
}

#define RIVAL_OPS                                                                        \
    {                                                                                    \
        .name = RIVAL_NAME, .concurrent = true, .open = rival_open,                      \
        .close = rival_close, .write = rival_write, .wait = rival_wait,                  \
        .write_series = rival_write_series, .put = rival_put, .has = rival_has,          \
        .flush = rival_flush, .compact = rival_compact,                                  \
        .compact_begin = rival_compact_begin, .compacted = rival_compacted,              \
        .newest = rival_newest, .read_begin = rival_read_begin, .read = rival_read,      \
        .mean = rival_mean, .read_end = rival_read_end                                   \
    }
