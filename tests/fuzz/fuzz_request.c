/* fuzz_request.c - any bytes as a request of the query socket.
 *
 * Claims   No fault; the id to echo is one whole msgpack value; a request that decodes encodes to
 *          one that decodes to the same op and fields. What decodes is one whole map to msgpack-c too, with the
 *          same op, id, numbers and texts; and what is such a map and asks for no more than a ping is taken.
 */
#include "ch/assert.h"
#include "ch/cursor.h"
#include "ch/request.h"

#include <msgpack.h>

#include "support/reference_batch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_same(const ch_request_t *a, const ch_request_t *b)
{
    CH_ASSERT(a->op == b->op);
    CH_ASSERT(ch_bytes_equal(a->name, b->name) && ch_bytes_equal(a->labels, b->labels));
    CH_ASSERT(ch_bytes_equal(a->match, b->match) && ch_bytes_equal(a->query, b->query));
    CH_ASSERT(ch_bytes_equal(a->cursor, b->cursor) && ch_bytes_equal(a->label, b->label));
    CH_ASSERT(a->time == b->time && a->start == b->start && a->end == b->end);
    CH_ASSERT(a->step == b->step && a->limit == b->limit);
    CH_ASSERT(a->timeout_ms == b->timeout_ms && a->min_lsn == b->min_lsn &&
              a->term == b->term);
    CH_ASSERT(a->epoch == b->epoch && a->seq == b->seq && a->level == b->level);
    CH_ASSERT(strcmp(a->producer, b->producer) == 0 && a->wait_ms == b->wait_ms);
    CH_ASSERT(a->form_table == b->form_table && a->dry_run == b->dry_run);
}

/* ---- msgpack-c's view */

/* The value of a key, NULL when it is absent or nil; `count_out`: how often the key is there. */
static const msgpack_object *
find(const msgpack_object_map *map, const char *name, unsigned *count_out)
{
    const msgpack_object *found = NULL;
    *count_out = 0;
    for (uint32_t i = 0; i < map->size; i++) {
        const msgpack_object *key = &map->ptr[i].key;
        if (key->type != MSGPACK_OBJECT_STR || key->via.str.size != strlen(name) ||
            memcmp(key->via.str.ptr, name, key->via.str.size) != 0)
            continue;
        ++*count_out;
        found = &map->ptr[i].val;
    }
    return found && found->type != MSGPACK_OBJECT_NIL ? found : NULL;
}

static void
check_number(const msgpack_object_map *map, const char *name, bool given, uint64_t value,
             uint64_t most)
{
    unsigned count;
    const msgpack_object *object = find(map, name, &count);
    if (!given)
        return;
    CH_ASSERT(object && count == 1 && object->type == MSGPACK_OBJECT_POSITIVE_INTEGER);
    CH_ASSERT(value == (object->via.u64 < most ? object->via.u64 : most));
}

static void
check_text(const msgpack_object_map *map, const char *name, ch_bytes_t value)
{
    unsigned count;
    const msgpack_object *object = find(map, name, &count);
    if (value.size == 0)
        return;
    CH_ASSERT(object && count == 1);
    CH_ASSERT(object->type == MSGPACK_OBJECT_STR || object->type == MSGPACK_OBJECT_BIN);
    CH_ASSERT(ch_bytes_equal(value, ch_bytes(object->via.str.ptr, object->via.str.size)));
}

static void
check_id(const msgpack_object_map *map, ch_bytes_t id)
{
    unsigned count;
    const msgpack_object *object = find(map, "id", &count);
    msgpack_unpacked unpacked;
    msgpack_unpacked_init(&unpacked);
    size_t offset = 0;
    CH_ASSERT(msgpack_unpack_next(&unpacked, (const char *)id.data, id.size, &offset) ==
              MSGPACK_UNPACK_SUCCESS);
    CH_ASSERT(offset == id.size);
    msgpack_sbuffer ours, theirs; /* as bytes: NaN is no equal of itself */
    msgpack_sbuffer_init(&ours);
    msgpack_sbuffer_init(&theirs);
    msgpack_packer packer;
    msgpack_packer_init(&packer, &ours, msgpack_sbuffer_write);
    msgpack_pack_object(&packer, unpacked.data);
    msgpack_packer_init(&packer, &theirs, msgpack_sbuffer_write);
    if (object)
        msgpack_pack_object(&packer, *object);
    else
        msgpack_pack_nil(&packer);
    CH_ASSERT(ch_bytes_equal(ch_bytes(ours.data, ours.size),
                             ch_bytes(theirs.data, theirs.size)));
    msgpack_sbuffer_destroy(&ours);
    msgpack_sbuffer_destroy(&theirs);
    msgpack_unpacked_destroy(&unpacked);
}

static void
check_fields(const msgpack_object_map *map, const ch_request_t *request)
{
    if (request->op != CH_OP_UNKNOWN)
        check_text(map, "op", ch_bytes_text(ch_op_name(request->op)));
    check_id(map, request->id);
    check_number(map, "timeout_ms", request->has_timeout_ms, request->timeout_ms,
                 UINT32_MAX);
    check_number(map, "min_lsn", request->has_min_lsn, request->min_lsn, UINT64_MAX);
    check_number(map, "term", request->has_term, request->term, UINT64_MAX);
    check_number(map, "limit", request->has_limit, request->limit, UINT64_MAX);
    check_number(map, "epoch", request->has_identity, request->epoch, UINT64_MAX);
    check_number(map, "seq", request->has_identity, request->seq, UINT64_MAX);
    check_text(map, "producer", ch_bytes_text(request->producer));
    check_text(map, "match", request->match);
    check_text(map, "query", request->query);
    check_text(map, "label", request->label);
    check_text(map, "cursor", request->cursor);
}

/* A ping takes nothing: only a key that some request knows, given twice, spoils it. */
static bool
is_plain_ping(const msgpack_object_map *map)
{
    static const char *const known[] = {
        "op",    "id",     "timeout_ms", "min_lsn", "term", "producer",
        "epoch", "seq",    "level",      "wait_ms", "key",  "match",
        "label", "query",  "time",       "start",   "end",  "step",
        "limit", "cursor", "form",       "dry_run", "name", "remove"};
    unsigned count;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        (void)find(map, known[i], &count);
        if (count > 1)
            return false;
    }
    const msgpack_object *op = find(map, "op", &count);
    return op && op->type == MSGPACK_OBJECT_STR && op->via.str.size == 4 &&
           memcmp(op->via.str.ptr, "ping", 4) == 0;
}

static void
check_against_reference(ch_bytes_t frame, ch_status_t status, const ch_request_t *request)
{
    msgpack_unpacked unpacked;
    size_t offset = 0;
    if (reference_claims_too_much(frame))
        return;
    msgpack_unpacked_init(&unpacked);
    msgpack_unpack_return result =
        msgpack_unpack_next(&unpacked, (const char *)frame.data, frame.size, &offset);
    bool whole = result == MSGPACK_UNPACK_SUCCESS && offset == frame.size &&
                 unpacked.data.type == MSGPACK_OBJECT_MAP;
    if (status == CH_OK &&
        result != MSGPACK_UNPACK_NOMEM_ERROR) { /* that: nested too deep */
        CH_ASSERT(whole);
        check_fields(&unpacked.data.via.map, request);
    } else if (whole && is_plain_ping(&unpacked.data.via.map)) {
        CH_ASSERT(status == CH_OK);
    }
    msgpack_unpacked_destroy(&unpacked);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ch_limits_t limits = ch_limits_default();
    ch_request_t request, again;
    ch_buffer_t out = {0};
    ch_request_init(&request);
    ch_request_init(&again);
    ch_status_t status = ch_request_decode(ch_bytes(data, size), &limits, &request);
    CH_ASSERT(status == CH_OK || status == CH_ERR_INVALID || status == CH_ERR_LIMIT);
    check_against_reference(ch_bytes(data, size), status, &request);
    ch_cursor_t id = ch_cursor(request.id);
    CH_ASSERT(ch_cursor_skip(&id, NULL));
    CH_ASSERT(ch_cursor_done(&id));
    if (status == CH_OK && request.op != CH_OP_UNKNOWN) {
        ch_request_encode(&request, &out);
        CH_ASSERT(ch_request_decode(ch_buffer_bytes(&out), &limits, &again) == CH_OK);
        check_same(&request, &again);
        CH_ASSERT(ch_bytes_equal(request.id, again.id));
    }
    ch_buffer_release(&out);
    ch_request_release(&request);
    ch_request_release(&again);
    return 0;
}
