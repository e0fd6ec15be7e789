#include "db/session.h"

#include "ch/alloc.h"
#include "ch/assert.h"
#include "ch/checksum.h"
#include "ch/coding.h"

/* A batch whose lsn is not durable yet. */
typedef struct in_flight {
    uint64_t seq;
    uint64_t lsn;
} in_flight_t;

typedef struct session {
    char producer[CH_PRODUCER_BYTES_MAX + 1];
    uint64_t epoch;
    uint64_t consumed; /* expected - 1 */
    uint64_t durable, durable_lsn;
    bool gap;
    bool changed; /* since the last capture */
    uint64_t rejected, gaps, duplicates;
    uint64_t series; /* brought; counts from the start of the process */
    int64_t last_time;
    in_flight_t *flight; /* ring of flight_capacity (a power of two) */
    uint32_t flight_first, flight_count, flight_capacity;
    ch_reject_t *rejects; /* oldest first */
    uint32_t reject_count;
} session_t;

struct ch_session_map {
    session_t **slots; /* open addressing by hash of the producer's name */
    size_t capacity, count;
    uint64_t durable_lsn; /* at least */
};

ch_session_map_t *
ch_session_map_new(void)
{
    ch_session_map_t *map = ch_calloc(1, sizeof *map);
    map->capacity = 64;
    map->slots = ch_calloc(map->capacity, sizeof *map->slots);
    return map;
}

void
ch_session_map_destroy(ch_session_map_t **map)
{
    if (!*map)
        return;
    for (size_t i = 0; i < (*map)->capacity; i++) {
        session_t *session = (*map)->slots[i];
        if (!session)
            continue;
        ch_free(session->flight);
        ch_free(session->rejects);
        ch_free(session);
    }
    ch_free((*map)->slots);
    ch_free(ch_take(map));
}

size_t
ch_session_map_count(const ch_session_map_t *map)
{
    return map->count;
}

static session_t **
find_slot(session_t **slots, size_t capacity, const char *producer)
{
    size_t at = ch_hash64(producer, strlen(producer), 0) & (capacity - 1);
    while (slots[at] && strcmp(slots[at]->producer, producer) != 0)
        at = (at + 1) & (capacity - 1);
    return &slots[at];
}

static session_t *
find(const ch_session_map_t *map, const char *producer)
{
    return *find_slot(map->slots, map->capacity, producer);
}

static void
grow_map(ch_session_map_t *map)
{
    size_t capacity = map->capacity * 2;
    session_t **slots = ch_calloc(capacity, sizeof *slots);
    for (size_t i = 0; i < map->capacity; i++)
        if (map->slots[i])
            *find_slot(slots, capacity, map->slots[i]->producer) = map->slots[i];
    ch_free(map->slots);
    map->slots = slots;
    map->capacity = capacity;
}

static session_t *
find_or_make(ch_session_map_t *map, const char *producer)
{
    session_t *session = find(map, producer);
    if (session)
        return session;
    if (map->count * 2 >= map->capacity)
        grow_map(map);
    session = ch_calloc(1, sizeof *session);
    strncpy(session->producer, producer, CH_PRODUCER_BYTES_MAX);
    *find_slot(map->slots, map->capacity, producer) = session;
    map->count++;
    return session;
}

ch_append_state_t
ch_session_check(ch_session_map_t *map, const ch_identity_t *identity,
                 uint32_t producers_max)
{
    CH_ASSERT(identity->epoch > 0);
    session_t *session = find(map, identity->producer);
    if (!session && map->count >= producers_max)
        return CH_APPEND_HELD;
    uint64_t epoch = session ? session->epoch : 0;
    if (identity->epoch < epoch)
        return CH_APPEND_FENCED;
    if (identity->epoch >
        epoch) /* an epoch opens with its seq 1, and until then fences nobody */
        return identity->seq == 1 ? CH_APPEND_TAKEN : CH_APPEND_GAP;
    if (identity->seq <= session->consumed) {
        session->duplicates++;
        return CH_APPEND_DUPLICATE;
    }
    if (identity->seq == session->consumed + 1)
        return CH_APPEND_TAKEN;
#ifdef CH_FAULT_SESSION_GAP_TAKEN
    if (session->gaps > 0)
        return CH_APPEND_TAKEN;
#endif
    session->gaps++;
    session->gap = true;
    return CH_APPEND_GAP;
}

static void
start_epoch(session_t *session, uint64_t epoch)
{
    session->epoch = epoch;
    session->consumed = session->durable = session->durable_lsn = 0;
    session->flight_count = 0;
    session->reject_count = 0;
}

static void
settle(session_t *session, uint64_t durable_lsn)
{
    while (session->flight_count > 0) {
        in_flight_t *oldest = &session->flight[session->flight_first];
        if (oldest->lsn > durable_lsn)
            break;
        session->durable = oldest->seq;
        session->durable_lsn = oldest->lsn;
        session->flight_first =
            (session->flight_first + 1) & (session->flight_capacity - 1);
        session->flight_count--;
    }
}

static void
push_flight(session_t *session, uint64_t seq, uint64_t lsn, uint64_t durable_lsn)
{
    if (session->flight_count == session->flight_capacity)
        settle(session, durable_lsn);
    if (session->flight_count == session->flight_capacity) {
        uint32_t capacity = session->flight_capacity ? session->flight_capacity * 2 : 8;
        in_flight_t *flight = ch_alloc(capacity * sizeof *flight);
        for (uint32_t i = 0; i < session->flight_count; i++)
            flight[i] = session->flight[(session->flight_first + i) &
                                        (session->flight_capacity - 1)];
        ch_free(session->flight);
        session->flight = flight;
        session->flight_first = 0;
        session->flight_capacity = capacity;
    }
    uint32_t at =
        (session->flight_first + session->flight_count) & (session->flight_capacity - 1);
    session->flight[at] = (in_flight_t){seq, lsn};
    session->flight_count++;
}

static void
keep_reject(session_t *session, const ch_reject_t *reject)
{
    if (!session->rejects)
        session->rejects = ch_calloc(CH_SESSION_REJECTS_MAX, sizeof *session->rejects);
    if (session->reject_count == CH_SESSION_REJECTS_MAX) {
        memmove(session->rejects, session->rejects + 1,
                (CH_SESSION_REJECTS_MAX - 1) * sizeof *session->rejects);
        session->reject_count--;
    }
    session->rejects[session->reject_count++] = *reject;
    session->rejected++;
}

void
ch_session_consume(ch_session_map_t *map, const ch_identity_t *identity, uint64_t lsn,
                   int64_t time, const ch_reject_t *reject)
{
    session_t *session = find_or_make(map, identity->producer);
    if (session->epoch != identity->epoch)
        start_epoch(session, identity->epoch);
    session->consumed = identity->seq;
    session->gap = false;
    session->changed = true;
    session->last_time = time;
    push_flight(session, identity->seq, lsn, map->durable_lsn);
    if (reject) {
        ch_reject_t kept = *reject;
        kept.seq = identity->seq;
        keep_reject(session, &kept);
    }
}

uint64_t
ch_session_series(const ch_session_map_t *map, const char *producer)
{
    const session_t *session = find(map, producer);
    return session ? session->series : 0;
}

void
ch_session_map_shrink_series(ch_session_map_t *map, uint64_t kept, uint64_t before)
{
    for (size_t i = 0; i < map->capacity; i++)
        if (map->slots[i])
            map->slots[i]->series = map->slots[i]->series * kept / before;
}

void
ch_session_add_series(ch_session_map_t *map, const char *producer, uint64_t count)
{
    find_or_make(map, producer)->series += count;
}

static void
fill_view(session_t *session, uint64_t durable_lsn, ch_session_view_t *view)
{
    settle(session, durable_lsn);
    view->epoch = session->epoch;
    view->received = session->consumed;
    view->durable = session->durable;
    view->durable_lsn = session->durable_lsn;
    view->expected = session->consumed + 1;
    view->gap = session->gap;
    view->rejected = session->rejected;
    view->gaps = session->gaps;
    view->duplicates = session->duplicates;
    view->last_time = session->last_time;
    view->reject_count = session->reject_count;
    if (session->reject_count)
        memcpy(view->rejects, session->rejects,
               session->reject_count * sizeof *session->rejects);
}

ch_status_t
ch_session_view(ch_session_map_t *map, const char *producer, uint64_t durable_lsn,
                ch_session_view_t *view_out)
{
    session_t *session = find(map, producer);
    if (!session)
        return CH_NOT_FOUND;
    fill_view(session, durable_lsn, view_out);
    return CH_OK;
}

void
ch_session_map_durable(ch_session_map_t *map, uint64_t durable_lsn)
{
    map->durable_lsn = durable_lsn;
}

size_t
ch_session_map_in_flight(const ch_session_map_t *map)
{
    size_t count = 0;
    for (size_t i = 0; i < map->capacity; i++)
        count += map->slots[i] ? map->slots[i]->flight_count : 0;
    return count;
}

void
ch_session_map_visit(ch_session_map_t *map, uint64_t durable_lsn,
                     void (*visit)(void *context, const char *producer,
                                   const ch_session_view_t *view),
                     void *context)
{
    ch_session_view_t *view = ch_calloc(1, sizeof *view);
    for (size_t i = 0; i < map->capacity; i++) {
        if (!map->slots[i])
            continue;
        fill_view(map->slots[i], durable_lsn, view);
        visit(context, map->slots[i]->producer, view);
    }
    ch_free(view);
}

/* docs/format/manifest.md, "Session". */
static void
put(ch_text_t *out, uint64_t value)
{
    uint8_t bytes[CH_VARINT_BYTES_MAX];
    ch_text_append(out, bytes, (size_t)(ch_varint_put(bytes, value) - bytes));
}

static void
capture_one(session_t *session, ch_text_t *out)
{
    size_t length = strlen(session->producer);
    put(out, length);
    ch_text_append(out, session->producer, length);
    put(out, session->epoch);
    put(out, session->consumed);
    uint32_t last = session->flight_count;
    uint64_t lsn = session->durable_lsn;
    if (last > 0) /* by the time the edit is written, everything captured is durable */
        lsn = session
                  ->flight[(session->flight_first + last - 1) &
                           (session->flight_capacity - 1)]
                  .lsn;
    put(out, lsn);
    put(out, session->rejected);
    put(out, session->gaps);
    put(out, session->duplicates);
    put(out, ch_zigzag(session->last_time));
    put(out, session->reject_count);
    for (uint32_t i = 0; i < session->reject_count; i++) {
        put(out, session->rejects[i].seq);
        put(out, ch_zigzag(session->rejects[i].index));
        put(out, ch_zigzag(session->rejects[i].code));
    }
    session->changed = false;
}

void
ch_session_map_capture(ch_session_map_t *map, bool all, ch_text_t *out)
{
    uint64_t count = 0;
    for (size_t i = 0; i < map->capacity; i++)
        count += map->slots[i] && (all || map->slots[i]->changed);
    put(out, count);
    for (size_t i = 0; i < map->capacity; i++)
        if (map->slots[i] && (all || map->slots[i]->changed))
            capture_one(map->slots[i], out);
}

/* Read `count` varints into `to`; NULL when the bytes run out. */
static const uint8_t *
get_many(const uint8_t *from, const uint8_t *end, uint64_t *to, size_t count)
{
    for (size_t i = 0; i < count && from; i++)
        from = ch_varint_get(from, end, &to[i]);
    return from;
}

static const uint8_t *
restore_rejects(session_t *session, const uint8_t *at, const uint8_t *end, uint64_t count)
{
    session->reject_count = 0;
    for (uint64_t i = 0; i < count && at; i++) {
        uint64_t fields[3];
        at = get_many(at, end, fields, 3);
        if (!at)
            break;
        ch_reject_t reject = {.seq = fields[0],
                              .index = ch_unzigzag(fields[1]),
                              .code = (ch_status_t)ch_unzigzag(fields[2])};
        keep_reject(session, &reject);
    }
    return at;
}

static const uint8_t *
restore_one(ch_session_map_t *map, const uint8_t *at, const uint8_t *end)
{
    uint64_t length, fields[8];
    at = ch_varint_get_max(at, end, CH_PRODUCER_BYTES_MAX, &length);
    if (!at || length == 0 || length > (uint64_t)(end - at) || memchr(at, 0, length))
        return NULL;
    char producer[CH_PRODUCER_BYTES_MAX + 1] = {0};
    memcpy(producer, at, length);
    at = get_many(at + length, end, fields, 8);
    if (!at || fields[7] > CH_SESSION_REJECTS_MAX)
        return NULL;
    session_t *session = find_or_make(map, producer);
    start_epoch(session, fields[0]);
    session->consumed = session->durable = fields[1];
    session->durable_lsn = fields[2];
    at = restore_rejects(session, at, end, fields[7]);
    session->rejected = fields[3];
    session->gaps = fields[4];
    session->duplicates = fields[5];
    session->last_time = ch_unzigzag(fields[6]);
    return at;
}

ch_status_t
ch_session_map_restore(ch_session_map_t *map, const uint8_t **from, const uint8_t *end)
{
    uint64_t count;
    const uint8_t *at = ch_varint_get(*from, end, &count);
    for (uint64_t i = 0; at && i < count; i++)
        at = restore_one(map, at, end);
    if (!at)
        return ch_fail(CH_ERR_CORRUPT, "manifest: a producer session does not decode");
    *from = at;
    return CH_OK;
}
