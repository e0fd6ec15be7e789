/* request.c - requests of the query socket.
 *
 * Idea   Two tables: what each field is (how it is read, where it goes) and which fields each op
 *        takes. A field that an op does not take is as unknown as any other key: ignored. A known
 *        field that is nil is the same as an absent one (JavaScript's undefined arrives as nil).
 */
#include "ch/request.h"

#include "ch/cursor.h"
#include "pack.h"

#include <stddef.h>

enum { REQUEST_LABELS_MAX = 256, READ_LIMIT_DEFAULT = 1000000 };

typedef enum {
    FIELD_OP,
    FIELD_ID,
    FIELD_TIMEOUT_MS,
    FIELD_MIN_LSN,
    FIELD_TERM,
    FIELD_PRODUCER,
    FIELD_EPOCH,
    FIELD_SEQ,
    FIELD_LEVEL,
    FIELD_WAIT_MS,
    FIELD_KEY,
    FIELD_MATCH,
    FIELD_LABEL,
    FIELD_QUERY,
    FIELD_TIME,
    FIELD_START,
    FIELD_END,
    FIELD_STEP,
    FIELD_LIMIT,
    FIELD_CURSOR,
    FIELD_FORM,
    FIELD_DRY_RUN,
    FIELD_NAME,
    FIELD_REMOVE,
    FIELDS
} field_t;

typedef enum {
    KIND_OWN,   /* read by a function of its own */
    KIND_TIME,  /* int64 ns or a timestamp */
    KIND_COUNT, /* int from `least`, into a u64 */
    KIND_MS,    /* int from 0, into a u32, cut to fit */
    KIND_TEXT,  /* UTF-8 str, not empty */
    KIND_BYTES, /* str or bin */
    KIND_BOOL,
} field_kind_t;

typedef struct field_spec {
    const char *name;
    field_kind_t kind;
    int least;
    size_t offset; /* of the value in ch_request_t */
    size_t has;    /* of its has_ flag; 0: none */
} field_spec_t;

#define AT(member) offsetof(ch_request_t, member)
static const field_spec_t fields[FIELDS] = {
    [FIELD_OP] = {"op", KIND_OWN, 0, 0, 0},
    [FIELD_ID] = {"id", KIND_OWN, 0, 0, 0},
    [FIELD_TIMEOUT_MS] = {"timeout_ms", KIND_MS, 0, AT(timeout_ms), AT(has_timeout_ms)},
    [FIELD_MIN_LSN] = {"min_lsn", KIND_COUNT, 0, AT(min_lsn), AT(has_min_lsn)},
    [FIELD_TERM] = {"term", KIND_COUNT, 0, AT(term), AT(has_term)},
    [FIELD_PRODUCER] = {"producer", KIND_OWN, 0, 0, 0},
    [FIELD_EPOCH] = {"epoch", KIND_COUNT, 1, AT(epoch), 0},
    [FIELD_SEQ] = {"seq", KIND_COUNT, 1, AT(seq), 0},
    [FIELD_LEVEL] = {"level", KIND_OWN, 0, 0, 0},
    [FIELD_WAIT_MS] = {"wait_ms", KIND_MS, 0, AT(wait_ms), 0},
    [FIELD_KEY] = {"key", KIND_OWN, 0, 0, 0},
    [FIELD_MATCH] = {"match", KIND_TEXT, 0, AT(match), AT(has_match)},
    [FIELD_LABEL] = {"label", KIND_TEXT, 0, AT(label), 0},
    [FIELD_QUERY] = {"query", KIND_TEXT, 0, AT(query), 0},
    [FIELD_TIME] = {"time", KIND_TIME, 0, AT(time), AT(has_time)},
    [FIELD_START] = {"start", KIND_TIME, 0, AT(start), AT(has_start)},
    [FIELD_END] = {"end", KIND_TIME, 0, AT(end), AT(has_end)},
    [FIELD_STEP] = {"step", KIND_COUNT, 1, AT(step), AT(has_step)},
    [FIELD_LIMIT] = {"limit", KIND_COUNT, 1, AT(limit), AT(has_limit)},
    [FIELD_CURSOR] = {"cursor", KIND_BYTES, 0, AT(cursor), 0},
    [FIELD_FORM] = {"form", KIND_OWN, 0, 0, 0},
    [FIELD_DRY_RUN] = {"dry_run", KIND_BOOL, 0, AT(dry_run), 0},
    [FIELD_NAME] = {"name", KIND_TEXT, 0, AT(snapshot), 0},
    [FIELD_REMOVE] = {"remove", KIND_BOOL, 0, AT(remove), 0},
};

#define BIT(field) (1u << FIELD_##field)
#define READ_BITS (BIT(TIMEOUT_MS) | BIT(MIN_LSN) | BIT(TERM))
#define IDENTITY_BITS (BIT(PRODUCER) | BIT(EPOCH) | BIT(SEQ))
#define RANGE_BITS (BIT(START) | BIT(END))

typedef struct op_spec {
    const char *name;
    uint32_t required;
    uint32_t optional;
} op_spec_t;

static const op_spec_t ops[CH_OP_COUNT] = {
    [CH_OP_UNKNOWN] = {"", 0, 0},
    [CH_OP_PING] = {"ping", 0, 0},
    [CH_OP_ACK] = {"ack", IDENTITY_BITS, BIT(LEVEL) | BIT(WAIT_MS)},
    [CH_OP_GET] = {"get", BIT(KEY), BIT(TIME) | READ_BITS},
    [CH_OP_READ] = {"read", BIT(MATCH),
                    RANGE_BITS | BIT(LIMIT) | BIT(CURSOR) | READ_BITS},
    [CH_OP_QUERY] = {"query", BIT(QUERY),
                     BIT(TIME) | RANGE_BITS | BIT(STEP) | BIT(FORM) | READ_BITS},
    [CH_OP_SERIES] = {"series", BIT(MATCH), RANGE_BITS | BIT(LIMIT) | READ_BITS},
    [CH_OP_LABELS] = {"labels", 0, BIT(MATCH) | RANGE_BITS | READ_BITS},
    [CH_OP_LABEL_VALUES] = {"label_values", BIT(LABEL),
                            BIT(MATCH) | RANGE_BITS | READ_BITS},
    [CH_OP_DELETE] = {"delete", BIT(MATCH),
                      RANGE_BITS | BIT(DRY_RUN) | BIT(TIMEOUT_MS) | IDENTITY_BITS},
    [CH_OP_STATS] = {"stats", 0, 0},
    [CH_OP_PRODUCERS] = {"producers", 0, 0},
    [CH_OP_FLUSH] = {"flush", 0, BIT(TIMEOUT_MS)},
    [CH_OP_COMPACT] = {"compact", 0, BIT(TIMEOUT_MS)},
    [CH_OP_SEAL] = {"seal", 0, BIT(TIMEOUT_MS)},
    [CH_OP_SNAPSHOT] = {"snapshot", 0, BIT(NAME) | BIT(REMOVE) | BIT(TIMEOUT_MS)},
    [CH_OP_PROMOTE] = {"promote", 0, BIT(TIMEOUT_MS)},
    [CH_OP_REPLICAS] = {"replicas", 0, 0},
    [CH_OP_HELLO] = {"hello", 0, 0},
    [CH_OP_FETCH] = {"fetch", 0, 0},
    [CH_OP_REPLICA_ACK] = {"replica_ack", 0, 0},
};

static const char *const level_names[] = {"received", "durable", "replicated"};

const char *
ch_op_name(ch_op_t op)
{
    return (unsigned)op < CH_OP_COUNT ? ops[op].name : "";
}

const char *
ch_level_name(ch_level_t level)
{
    return level_names[level];
}

static const uint8_t nil_byte = 0xc0;

static void
set_defaults(ch_request_t *request)
{
    ch_text_t scratch = request->scratch;
    *request = (ch_request_t){
        .id = ch_bytes(&nil_byte, 1),
        .level = CH_LEVEL_DURABLE,
        .time = INT64_MAX,
        .start = INT64_MIN,
        .end = INT64_MAX,
        .limit = UINT64_MAX,
        .scratch = scratch,
    };
    ch_text_reset(&request->scratch);
}

void
ch_request_init(ch_request_t *request)
{
    request->scratch = (ch_text_t){0};
    set_defaults(request);
}

void
ch_request_release(ch_request_t *request)
{
    ch_text_release(&request->scratch);
}

/* ---- decode */

/* Find the known fields: each value's place. False: not one whole map, or a field twice. */
static ch_status_t
find_fields(ch_bytes_t frame, ch_cursor_t at[FIELDS])
{
    bool seen[FIELDS] = {false};
    ch_cursor_t cursor = ch_cursor(frame);
    ch_item_t item;
    const char *twice = NULL;
    if (!ch_cursor_next(&cursor, &item) || item.kind != CH_ITEM_MAP)
        return ch_fail(CH_ERR_INVALID, "a request is one msgpack map");
    for (uint32_t i = 0; i < item.count; i++) {
        ch_item_t key = {0};
        ch_cursor_t key_at = cursor;
        if (!ch_cursor_skip(&cursor, NULL) || !ch_cursor_next(&key_at, &key))
            return ch_fail(CH_ERR_INVALID, "the request's msgpack is broken");
        ch_cursor_t value = cursor;
        if (!ch_cursor_skip(&cursor, NULL))
            return ch_fail(CH_ERR_INVALID, "the request's msgpack is broken");
        for (int field = 0; field < FIELDS; field++) {
            if (!ch_item_is(&key, fields[field].name))
                continue;
            if (seen[field])
                twice = fields[field].name;
            else if (value.at[0] != nil_byte)
                at[field] = value;
            seen[field] = true;
        }
    }
    if (!ch_cursor_done(&cursor))
        return ch_fail(CH_ERR_INVALID, "bytes follow the request's map");
    return twice ? ch_fail(CH_ERR_INVALID, "%s is given twice", twice) : CH_OK;
}

static ch_status_t
read_op(ch_cursor_t at, ch_request_t *request)
{
    ch_item_t item;
    if (!at.at)
        return ch_fail(CH_ERR_INVALID, "op is missing");
    if (!ch_cursor_next(&at, &item) || item.kind != CH_ITEM_STR)
        return ch_fail(CH_ERR_INVALID, "op is no string");
    for (int op = CH_OP_UNKNOWN + 1; op < CH_OP_COUNT; op++)
        if (ch_item_is(&item, ops[op].name))
            request->op = (ch_op_t)op;
    return CH_OK;
}

static ch_status_t
read_producer(const ch_item_t *item, ch_request_t *request)
{
    bool fine = item->kind == CH_ITEM_STR && item->bytes.size > 0 &&
                item->bytes.size <= CH_PRODUCER_BYTES_MAX;
    for (size_t i = 0; fine && i < item->bytes.size; i++) {
        uint8_t byte = item->bytes.data[i];
        fine = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
               (byte >= '0' && byte <= '9') || byte == '.' || byte == '_' ||
               byte == '/' || byte == '-';
    }
    if (!fine)
        return ch_fail(CH_ERR_INVALID,
                       "producer is not 1 to 64 bytes of [A-Za-z0-9._/-]");
    memcpy(request->producer, item->bytes.data, item->bytes.size);
    request->producer[item->bytes.size] = 0;
    request->has_identity = true;
    return CH_OK;
}

static ch_status_t
read_level(const ch_item_t *item, ch_request_t *request)
{
    for (int level = CH_LEVEL_RECEIVED; level <= CH_LEVEL_REPLICATED; level++)
        if (ch_item_is(item, level_names[level])) {
            request->level = (ch_level_t)level;
            return CH_OK;
        }
    return ch_fail(CH_ERR_INVALID, "level is not received, durable or replicated");
}

static ch_status_t
read_form(const ch_item_t *item, ch_request_t *request)
{
    request->form_table = ch_item_is(item, "table");
    if (!request->form_table && !ch_item_is(item, "series"))
        return ch_fail(CH_ERR_INVALID, "form is not table or series");
    return CH_OK;
}

/* A key given as a map of strings, the cursor inside it. */
static ch_status_t
read_key_map(ch_cursor_t cursor, uint32_t pairs, const ch_limits_t *limits,
             ch_request_t *request)
{
    ch_label_t labels[REQUEST_LABELS_MAX];
    uint32_t count = 0, present = 0;
    bool named = false;
    if (pairs > REQUEST_LABELS_MAX)
        return ch_fail(CH_ERR_LIMIT, "key: more than %u labels", limits->labels);
    for (uint32_t i = 0; i < pairs; i++) {
        ch_item_t name, value;
        if (!ch_cursor_next(&cursor, &name) || name.kind != CH_ITEM_STR ||
            !ch_cursor_next(&cursor, &value) || value.kind != CH_ITEM_STR)
            return ch_fail(CH_ERR_INVALID, "key is no map of strings");
        if (ch_item_is(&name, "__name__")) {
            if (named)
                return ch_fail(CH_ERR_INVALID, "key: __name__ is given twice");
            request->name = value.bytes;
            named = true;
            continue;
        }
        present += value.bytes.size > 0;
        labels[count++] = (ch_label_t){name.bytes, value.bytes};
    }
    if (!named || !ch_series_name_valid(request->name))
        return ch_fail(CH_ERR_INVALID, "key: __name__ is missing or not valid");
    if (present > limits->labels)
        return ch_fail(CH_ERR_LIMIT, "key: more than %u labels", limits->labels);
    ch_status_t status =
        ch_series_labels_format(labels, count, REQUEST_LABELS_MAX, &request->scratch);
    if (status < 0)
        return status;
    request->labels = ch_text_bytes(&request->scratch);
    if (ch_series_key_size(request->name, request->labels) > limits->key_bytes)
        return ch_fail(CH_ERR_LIMIT, "key: longer than %u bytes", limits->key_bytes);
    return CH_OK;
}

static ch_status_t
read_key(ch_cursor_t inside, const ch_item_t *item, const ch_limits_t *limits,
         ch_request_t *request)
{
    if (item->kind == CH_ITEM_MAP)
        return read_key_map(inside, item->count, limits, request);
    if (item->kind != CH_ITEM_STR)
        return ch_fail(CH_ERR_INVALID, "key is no string and no map");
    return ch_series_key_parse(item->bytes, limits->labels, limits->key_bytes,
                               &request->scratch, &request->name, &request->labels);
}

static ch_status_t
read_text(const field_spec_t *spec, const ch_item_t *item, ch_bytes_t *text_out)
{
    bool text = item->kind == CH_ITEM_STR ||
                (spec->kind == KIND_BYTES && item->kind == CH_ITEM_BIN);
    if (!text)
        return ch_fail(CH_ERR_INVALID, "%s is no string", spec->name);
    if (spec->kind == KIND_TEXT &&
        (item->bytes.size == 0 || !ch_bytes_is_utf8(item->bytes)))
        return ch_fail(CH_ERR_INVALID, "%s is empty or not UTF-8", spec->name);
    *text_out = item->bytes;
    return CH_OK;
}

/* A field whose kind says all. */
static ch_status_t
read_plain(const field_spec_t *spec, const ch_item_t *item, ch_request_t *request)
{
    uint8_t *to = (uint8_t *)request + spec->offset;
    uint32_t milliseconds;
    switch (spec->kind) {
    case KIND_TIME:
        if (!ch_item_time(item, (int64_t *)(void *)to))
            return ch_fail(CH_ERR_INVALID, "%s is no int64 nanoseconds", spec->name);
        break;
    case KIND_COUNT:
        if (item->kind != CH_ITEM_INT || item->i64 < spec->least)
            return ch_fail(CH_ERR_INVALID, "%s is no int from %d", spec->name,
                           spec->least);
        memcpy(to, &item->i64, sizeof item->i64);
        break;
    case KIND_MS:
        if (item->kind != CH_ITEM_INT || item->i64 < 0)
            return ch_fail(CH_ERR_INVALID, "%s is no int from 0", spec->name);
        milliseconds = item->i64 > UINT32_MAX ? UINT32_MAX : (uint32_t)item->i64;
        memcpy(to, &milliseconds, sizeof milliseconds);
        break;
    case KIND_BOOL:
        if (item->kind != CH_ITEM_BOOL)
            return ch_fail(CH_ERR_INVALID, "%s is no bool", spec->name);
        memcpy(to, &item->boolean, sizeof item->boolean);
        break;
    case KIND_TEXT:
    case KIND_BYTES:
    case KIND_OWN:
        return read_text(spec, item, (ch_bytes_t *)(void *)to);
    }
    return CH_OK;
}

static ch_status_t
read_field(field_t field, ch_cursor_t at, const ch_limits_t *limits,
           ch_request_t *request)
{
    ch_item_t item;
    const field_spec_t *spec = &fields[field];
    if (!ch_cursor_next(&at, &item))
        return ch_fail(CH_ERR_INVALID, "the request's msgpack is broken");
    switch (field) {
    case FIELD_PRODUCER:
        return read_producer(&item, request);
    case FIELD_LEVEL:
        return read_level(&item, request);
    case FIELD_FORM:
        return read_form(&item, request);
    case FIELD_KEY:
        return read_key(at, &item, limits, request);
    default:
        break;
    }
    ch_status_t status = read_plain(spec, &item, request);
    if (status >= 0 && spec->has)
        *((uint8_t *)request + spec->has) = true;
    return status;
}

/* What no single field can say. */
static ch_status_t
check_whole(uint32_t given, ch_request_t *request)
{
    uint32_t identity = given & IDENTITY_BITS;
    if (identity && identity != IDENTITY_BITS)
        return ch_fail(CH_ERR_INVALID,
                       "producer, epoch and seq come all together or not at all");
    if (request->op == CH_OP_READ && !request->has_limit)
        request->limit = READ_LIMIT_DEFAULT;
    if (request->remove && request->snapshot.size == 0)
        return ch_fail(CH_ERR_INVALID, "remove: name is missing");
    if (request->op != CH_OP_QUERY)
        return CH_OK;
    uint32_t range = given & (RANGE_BITS | BIT(STEP));
    if (range && range != (RANGE_BITS | BIT(STEP)))
        return ch_fail(CH_ERR_INVALID, "start, end and step come all together");
    if (range && request->has_time)
        return ch_fail(CH_ERR_INVALID, "a query has time, or start, end and step");
    if (range && request->end < request->start)
        return ch_fail(CH_ERR_INVALID, "end is before start");
    return CH_OK;
}

ch_status_t
ch_request_decode(ch_bytes_t frame, const ch_limits_t *limits, ch_request_t *request)
{
    ch_cursor_t at[FIELDS] = {{0}};
    set_defaults(request);
    ch_status_t status = find_fields(frame, at);
    ch_bytes_t id;
    if (at[FIELD_ID].at && ch_cursor_raw(&at[FIELD_ID], &id))
        request->id = id;
    if (status >= 0)
        status = read_op(at[FIELD_OP], request);
    if (status < 0)
        return status;
    const op_spec_t *op = &ops[request->op];
    uint32_t given = 0;
    for (field_t field = FIELD_TIMEOUT_MS; field < FIELDS; field++) {
        uint32_t bit = 1u << field;
        if (!((op->required | op->optional) & bit))
            continue;
        if (!at[field].at && (op->required & bit))
            return ch_fail(CH_ERR_INVALID, "%s is missing", fields[field].name);
        if (!at[field].at)
            continue;
        given |= bit;
        status = read_field(field, at[field], limits, request);
        if (status < 0)
            return status;
    }
    return check_whole(given, request);
}

/* ---- encode */

typedef struct writer {
    ch_buffer_t *out;
    msgpack_packer packer;
    uint16_t pairs;
} writer_t;

static void
put_key(writer_t *writer, field_t field)
{
    ch_pack_text(&writer->packer, fields[field].name);
    writer->pairs++;
}

static void
put_uint(writer_t *writer, field_t field, bool given, uint64_t value)
{
    if (!given)
        return;
    put_key(writer, field);
    msgpack_pack_uint64(&writer->packer, value);
}

static void
put_time(writer_t *writer, field_t field, bool given, int64_t value)
{
    if (!given)
        return;
    put_key(writer, field);
    msgpack_pack_int64(&writer->packer, value);
}

static void
put_text(writer_t *writer, field_t field, ch_bytes_t text)
{
    if (text.size == 0)
        return;
    put_key(writer, field);
    ch_pack_str(&writer->packer, text);
}

static void
put_true(writer_t *writer, field_t field, bool given)
{
    if (!given)
        return;
    put_key(writer, field);
    msgpack_pack_true(&writer->packer);
}

static void
put_series_key(writer_t *writer, const ch_request_t *request)
{
    if (request->name.size == 0)
        return;
    put_key(writer, FIELD_KEY);
    msgpack_pack_str(&writer->packer, ch_series_key_size(request->name, request->labels));
    ch_buffer_append(writer->out, request->name.data, request->name.size);
    if (request->labels.size == 0)
        return;
    ch_buffer_append(writer->out, "{", 1);
    ch_buffer_append(writer->out, request->labels.data, request->labels.size);
    ch_buffer_append(writer->out, "}", 1);
}

static void
put_identity(writer_t *writer, const ch_request_t *request)
{
    if (!request->has_identity)
        return;
    put_text(writer, FIELD_PRODUCER, ch_bytes_text(request->producer));
    put_uint(writer, FIELD_EPOCH, true, request->epoch);
    put_uint(writer, FIELD_SEQ, true, request->seq);
    if (request->op != CH_OP_ACK)
        return;
    put_text(writer, FIELD_LEVEL, ch_bytes_text(ch_level_name(request->level)));
    put_uint(writer, FIELD_WAIT_MS, request->wait_ms > 0, request->wait_ms);
}

static void
put_read_fields(writer_t *writer, const ch_request_t *request)
{
    put_series_key(writer, request);
    put_text(writer, FIELD_MATCH, request->match);
    put_text(writer, FIELD_LABEL, request->label);
    put_text(writer, FIELD_QUERY, request->query);
    put_time(writer, FIELD_TIME, request->has_time, request->time);
    put_time(writer, FIELD_START, request->has_start, request->start);
    put_time(writer, FIELD_END, request->has_end, request->end);
    put_time(writer, FIELD_STEP, request->has_step, request->step);
    put_uint(writer, FIELD_LIMIT, request->has_limit, request->limit);
    if (request->cursor.size) {
        put_key(writer, FIELD_CURSOR);
        ch_pack_bin(&writer->packer, request->cursor);
    }
    put_uint(writer, FIELD_TIMEOUT_MS, request->has_timeout_ms, request->timeout_ms);
    put_uint(writer, FIELD_MIN_LSN, request->has_min_lsn, request->min_lsn);
    put_uint(writer, FIELD_TERM, request->has_term, request->term);
}

void
ch_request_encode(const ch_request_t *request, ch_buffer_t *out)
{
    writer_t writer = {.out = out, .packer = ch_packer(out)};
    size_t head = out->size;
    ch_buffer_append(out, "\xde\0\0", 3); /* a map, its count filled in at the end */
    put_text(&writer, FIELD_OP, ch_bytes_text(ch_op_name(request->op)));
    if (request->id.size) {
        put_key(&writer, FIELD_ID);
        ch_buffer_append(out, request->id.data, request->id.size);
    }
    put_identity(&writer, request);
    put_read_fields(&writer, request);
    if (request->form_table)
        put_text(&writer, FIELD_FORM, ch_bytes_text("table"));
    put_true(&writer, FIELD_DRY_RUN, request->dry_run);
    put_text(&writer, FIELD_NAME, request->snapshot);
    put_true(&writer, FIELD_REMOVE, request->remove);
    if (out->failed)
        return;
    out->data[head + 1] = (uint8_t)(writer.pairs >> 8);
    out->data[head + 2] = (uint8_t)writer.pairs;
}
