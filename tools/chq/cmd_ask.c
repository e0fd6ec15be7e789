/* cmd_ask.c - labels, ping, flush, compact, seal, snapshot, stats, producers: short questions, answered as a
 * list. */
#include <inttypes.h>
#include <msgpack.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "chq/chq.h"
#include "chq/text.h"

int
chq_cmd_labels(chq_t *chq)
{
    const char *match = chq_option(chq, "match");
    chq_arguments(chq, 0, 1);
    cityhall_reader_t *reader = chq_reader(chq);
    const char *const *names = NULL;
    const char *columns[] = {chq->argc ? "value" : "label"};
    size_t count = 0;
    cityhall_status_t status =
        chq->argc
            ? cityhall_reader_label_values(reader, chq->argv[0], match, &names, &count)
            : cityhall_reader_labels(reader, match, &names, &count);
    chq_output_t *output = chq_output_new(stdout, chq->format, chq->color, columns, 1);
    for (size_t i = 0; status >= 0 && i < count; i++) {
        chq_cell_t cell = chq_cell_text(names[i]);
        chq_output_row(output, &cell);
    }
    return chq_finish(chq, &reader, &output, status,
                      chq->argc ? "no values" : "no labels");
}

int
chq_cmd_ping(chq_t *chq)
{
    static const char *const columns[] = {"node", "role", "version", "term", "lsn", "ms"};
    chq_arguments(chq, 0, 0);
    cityhall_reader_t *reader = chq_reader(chq);
    cityhall_ping_t ping;
    struct timespec before, after;
    (void)clock_gettime(CLOCK_MONOTONIC, &before);
    cityhall_status_t status = cityhall_reader_ping(reader, &ping);
    (void)clock_gettime(CLOCK_MONOTONIC, &after);
    chq_output_t *output = chq_output_new(stdout, chq->format, chq->color, columns, 6);
    if (status >= 0) {
        char term[24], lsn[24], ms[CHQ_NUMBER_BYTES];
        double took = (double)(after.tv_sec - before.tv_sec) * 1e3 +
                      (double)(after.tv_nsec - before.tv_nsec) / 1e6;
        (void)snprintf(term, sizeof term, "%" PRIu64, ping.term);
        (void)snprintf(lsn, sizeof lsn, "%" PRIu64, ping.lsn);
        (void)snprintf(ms, sizeof ms, "%.2f", took);
        chq_cell_t cells[6] = {chq_cell_text(ping.node),    chq_cell_text(ping.role),
                               chq_cell_text(ping.version), chq_cell_literal(term),
                               chq_cell_literal(lsn),       chq_cell_literal(ms)};
        chq_output_row(output, cells);
    }
    return chq_finish(chq, &reader, &output, status, "no answer");
}

/* ---- replies that are maps */

static bool
key_is(const msgpack_object_kv *pair, const char *name)
{
    return pair->key.type == MSGPACK_OBJECT_STR &&
           pair->key.via.str.size == strlen(name) &&
           memcmp(pair->key.via.str.ptr, name, pair->key.via.str.size) == 0;
}

static const msgpack_object *
find(const msgpack_object *map, const char *name)
{
    for (uint32_t i = 0; map->type == MSGPACK_OBJECT_MAP && i < map->via.map.size; i++)
        if (key_is(&map->via.map.ptr[i], name))
            return &map->via.map.ptr[i].val;
    return NULL;
}

static const char *
copy_text(const msgpack_object *object, char *out, size_t size)
{
    size_t length = object->type == MSGPACK_OBJECT_STR ? object->via.str.size : 0;
    length = length < size ? length : size - 1;
    if (length)
        memcpy(out, object->via.str.ptr, length);
    out[length] = '\0';
    return out;
}

static chq_cell_t
number_cell(const msgpack_object *object, char scratch[48])
{
    chq_double_format(0, false, scratch);
    if (object && object->type == MSGPACK_OBJECT_POSITIVE_INTEGER)
        (void)snprintf(scratch, 48, "%" PRIu64, object->via.u64);
    else if (object && object->type == MSGPACK_OBJECT_NEGATIVE_INTEGER)
        (void)snprintf(scratch, 48, "%" PRId64, object->via.i64);
    else if (object && (object->type == MSGPACK_OBJECT_FLOAT64 ||
                        object->type == MSGPACK_OBJECT_FLOAT32))
        chq_double_format(object->via.f64, false, scratch);
    return chq_cell_literal(scratch);
}

/* One counter a row; a histogram's parts are rows of their own, `name.part`. */
static void
print_stat(chq_output_t *output, const char *name, const msgpack_object *value)
{
    char scratch[48];
    if (value->type != MSGPACK_OBJECT_MAP) {
        chq_cell_t cells[2] = {chq_cell_text(name), number_cell(value, scratch)};
        chq_output_row(output, cells);
        return;
    }
    for (uint32_t i = 0; i < value->via.map.size; i++) {
        char part[64], whole[192];
        (void)snprintf(whole, sizeof whole, "%s.%s", name,
                       copy_text(&value->via.map.ptr[i].key, part, sizeof part));
        if (value->via.map.ptr[i].val.type == MSGPACK_OBJECT_MAP ||
            value->via.map.ptr[i].val.type == MSGPACK_OBJECT_ARRAY)
            continue; /* buckets: for programs, not for a list */
        chq_cell_t cells[2] = {chq_cell_text(whole),
                               number_cell(&value->via.map.ptr[i].val, scratch)};
        chq_output_row(output, cells);
    }
}

/* Ask `op`, hand its map field to `print`, a pair at a time. */
static int
ask_map(chq_t *chq, const char *op, const char *field, const char *const *columns,
        unsigned count,
        void (*print)(chq_output_t *output, const char *name,
                      const msgpack_object *value),
        const char *prefix, const char *nothing)
{
    cityhall_reader_t *reader = chq_reader(chq);
    const void *reply = NULL;
    size_t size = 0, offset = 0;
    cityhall_status_t status = cityhall_reader_op(reader, op, &reply, &size);
    chq_output_t *output =
        chq_output_new(stdout, chq->format, chq->color, columns, count);
    msgpack_unpacked whole;
    msgpack_unpacked_init(&whole);
    const msgpack_object *map = NULL;
    if (status >= 0 &&
        msgpack_unpack_next(&whole, reply, size, &offset) == MSGPACK_UNPACK_SUCCESS)
        map = find(&whole.data, field);
    for (uint32_t i = 0; map && map->type == MSGPACK_OBJECT_MAP && i < map->via.map.size;
         i++) {
        char name[128];
        (void)copy_text(&map->via.map.ptr[i].key, name, sizeof name);
        if (strncmp(name, prefix, strlen(prefix)) == 0)
            print(output, name, &map->via.map.ptr[i].val);
    }
    msgpack_unpacked_destroy(&whole);
    return chq_finish(chq, &reader, &output, status, nothing);
}

int
chq_cmd_stats(chq_t *chq)
{
    static const char *const columns[] = {"name", "value"};
    chq_arguments(chq, 0, 1);
    return ask_map(chq, "stats", "stats", columns, 2, print_stat,
                   chq->argc ? chq->argv[0] : "", "no counter begins like this");
}

static void
print_producer(chq_output_t *output, const char *name, const msgpack_object *value)
{
    static const char *const fields[] = {"epoch",    "durable", "replicated",
                                         "rejected", "gaps",    "duplicates"};
    char scratch[6][48], stamp[CHQ_TIME_BYTES];
    chq_cell_t cells[8] = {chq_cell_text(name)};
    for (int i = 0; i < 6; i++)
        cells[i + 1] = number_cell(find(value, fields[i]), scratch[i]);
    const msgpack_object *time = find(value, "last_time");
    int64_t ns = time && time->type == MSGPACK_OBJECT_POSITIVE_INTEGER
                     ? (int64_t)time->via.u64
                     : 0;
    cells[7] = chq_cell_text(chq_time_format(ns, stamp));
    chq_output_row(output, cells);
}

int
chq_cmd_producers(chq_t *chq)
{
    static const char *const columns[] = {"producer", "epoch", "durable",    "replicated",
                                          "rejected", "gaps",  "duplicates", "last_time"};
    chq_arguments(chq, 0, 0);
    return ask_map(chq, "producers", "producers", columns, 8, print_producer, "",
                   "no producers");
}

static int
ask_plain(chq_t *chq, const char *op)
{
    chq_arguments(chq, 0, 0);
    cityhall_reader_t *reader = chq_reader(chq);
    const void *reply;
    size_t size;
    cityhall_status_t status = cityhall_reader_op(reader, op, &reply, &size);
    int code = status < 0 ? chq_reader_failed(chq, reader, status) : CHQ_EXIT_OK;
    cityhall_reader_destroy(&reader);
    return code;
}

int
chq_cmd_flush(chq_t *chq)
{
    return ask_plain(chq, "flush");
}

int
chq_cmd_compact(chq_t *chq)
{
    return ask_plain(chq, "compact");
}

int
chq_cmd_seal(chq_t *chq)
{
    return ask_plain(chq, "seal");
}

/* ---- snapshots */

static void
print_snapshot(chq_output_t *output, const char *name, const msgpack_object *value)
{
    char scratch[3][48];
    chq_cell_t cells[4] = {chq_cell_text(name),
                           number_cell(find(value, "tables"), scratch[0]),
                           number_cell(find(value, "bytes"), scratch[1]),
                           number_cell(find(value, "points"), scratch[2])};
    chq_output_row(output, cells);
}

static int
list_snapshots(chq_t *chq)
{
    static const char *const columns[] = {"name", "tables", "bytes", "points"};
    return ask_map(chq, "snapshot", "snapshots", columns, 4, print_snapshot, "",
                   "no snapshots");
}

static void
pack_text(msgpack_packer *packer, const char *text)
{
    (void)msgpack_pack_str(packer, strlen(text));
    (void)msgpack_pack_str_body(packer, text, strlen(text));
}

static cityhall_status_t
ask_snapshot(const chq_t *chq, cityhall_reader_t *reader, const char *name, bool remove,
             const void **reply_out, size_t *size_out)
{
    msgpack_sbuffer request;
    msgpack_packer packer;
    msgpack_sbuffer_init(&request);
    msgpack_packer_init(&packer, &request, msgpack_sbuffer_write);
    (void)msgpack_pack_map(&packer, 4);
    pack_text(&packer, "op");
    pack_text(&packer, "snapshot");
    pack_text(&packer, "name");
    pack_text(&packer, name);
    pack_text(&packer, "remove");
    (void)(remove ? msgpack_pack_true(&packer) : msgpack_pack_false(&packer));
    pack_text(&packer, "timeout_ms");
    (void)msgpack_pack_uint32(&packer, chq->timeout_ms);
    cityhall_status_t status =
        cityhall_reader_request(reader, request.data, request.size, reply_out, size_out);
    msgpack_sbuffer_destroy(&request);
    return status;
}

static void
print_made(chq_output_t *output, const void *reply, size_t size)
{
    char name[128], path[4096], scratch[2][48];
    size_t offset = 0;
    msgpack_unpacked whole;
    msgpack_unpacked_init(&whole);
    if (msgpack_unpack_next(&whole, reply, size, &offset) == MSGPACK_UNPACK_SUCCESS) {
        const msgpack_object *names[2] = {find(&whole.data, "name"),
                                          find(&whole.data, "path")};
        if (names[0] && names[1]) {
            chq_cell_t cells[4] = {chq_cell_text(copy_text(names[0], name, sizeof name)),
                                   chq_cell_text(copy_text(names[1], path, sizeof path)),
                                   number_cell(find(&whole.data, "lsn"), scratch[0]),
                                   number_cell(find(&whole.data, "tables"), scratch[1])};
            chq_output_row(output, cells);
        }
    }
    msgpack_unpacked_destroy(&whole);
}

int
chq_cmd_snapshot(chq_t *chq)
{
    static const char *const columns[] = {"name", "path", "lsn", "tables"};
    bool remove = chq_switch(chq, "remove");
    chq_arguments(chq, remove ? 1 : 0, 1);
    if (chq->argc == 0)
        return list_snapshots(chq);
    cityhall_reader_t *reader = chq_reader(chq);
    const void *reply = NULL;
    size_t size = 0;
    cityhall_status_t status =
        ask_snapshot(chq, reader, chq->argv[0], remove, &reply, &size);
    if (status >= 0 && remove) {
        cityhall_reader_destroy(&reader);
        return CHQ_EXIT_OK;
    }
    chq_output_t *output = chq_output_new(stdout, chq->format, chq->color, columns, 4);
    if (status >= 0)
        print_made(output, reply, size);
    return chq_finish(chq, &reader, &output, status, "no snapshot was made");
}
