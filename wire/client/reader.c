/* reader.c - the reader handle: one question at a time, asked again on a fresh socket when no answer
 * comes (Lazy Pirate, ZeroMQ Guide 4). Questions only read, so asking twice does no harm; flush and
 * seal may be asked twice too. */
#include "reader.h"

#include "ch/alloc.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { GRACE_MS = 500 }; /* beyond the node's own timeout, for its answer to arrive */

cityhall_status_t
ch_reader_fail(cityhall_reader_t *reader, cityhall_status_t status, const char *format,
               ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reader->error, sizeof reader->error, format, arguments);
    va_end(arguments);
    return status;
}

void
cityhall_reader_options_init(cityhall_reader_options_t *options)
{
    *options = (cityhall_reader_options_t){
        .query = "tcp://127.0.0.1:7879",
        .timeout_ms = 5000,
        .tries = 3,
        .options_size = sizeof *options,
    };
}

static cityhall_status_t
open_reader(cityhall_reader_t *reader, const cityhall_reader_options_t *options)
{
    if (options->options_size != sizeof *options || !options->query ||
        options->tries == 0 || options->timeout_ms == 0)
        return ch_reader_fail(
            reader, CITYHALL_ERR_ARGUMENT,
            "options were not set up by cityhall_reader_options_init, or "
            "query, tries or timeout_ms is missing");
    reader->options = *options;
    cityhall_status_t status =
        ch_client_curve_open(options->key_file, options->secret_key, options->server_key,
                             &reader->secret, reader->error, sizeof reader->error);
    if (status < 0)
        return status;
    reader->options.secret_key = NULL; /* the caller may wipe it */
    reader->own_context = options->zmq_context == NULL;
    reader->context = reader->own_context ? zmq_ctx_new() : options->zmq_context;
    if (!reader->context || !ch_query_link_open(&reader->link, reader->context,
                                                options->query, reader->secret))
        return ch_reader_fail(reader, CITYHALL_ERR_NETWORK, "query %s: %s",
                              options->query, zmq_strerror(zmq_errno()));
    return CITYHALL_OK;
}

cityhall_status_t
cityhall_reader_open(const cityhall_reader_options_t *options,
                     cityhall_reader_t **reader_out, char *error, size_t error_size)
{
    *reader_out = NULL;
    cityhall_reader_t *reader = calloc(1, sizeof *reader);
    cityhall_status_t status =
        reader ? open_reader(reader, options) : CITYHALL_ERR_MEMORY;
    if (status < 0) {
        if (error && error_size)
            snprintf(error, error_size, "%s", reader ? reader->error : "no memory");
        cityhall_reader_destroy(&reader);
        return status;
    }
    *reader_out = reader;
    return CITYHALL_OK;
}

void
cityhall_reader_destroy(cityhall_reader_t **reader_p)
{
    cityhall_reader_t *reader = ch_take(reader_p);
    if (!reader)
        return;
    if (reader->link.endpoint)
        ch_query_link_close(&reader->link);
    if (reader->own_context && reader->context)
        zmq_ctx_term(reader->context);
    ch_secret_destroy(&reader->secret);
    ch_buffer_release(&reader->request);
    ch_buffer_release(&reader->cursor);
    ch_buffer_release(&reader->text);
    ch_buffer_release(&reader->labels);
    ch_buffer_release(&reader->names);
    ch_buffer_release(&reader->times);
    ch_buffer_release(&reader->values);
    free(reader->match);
    free(reader);
}

void
cityhall_reader_after(cityhall_reader_t *reader, uint64_t lsn, uint64_t term)
{
    reader->options.min_lsn = lsn;
    reader->options.term = term;
}

const char *
cityhall_reader_error(const cityhall_reader_t *reader)
{
    return reader->error;
}

const char *
cityhall_reader_code(const cityhall_reader_t *reader)
{
    return reader->code;
}

/* ---- asking */

/* Wait for the answer of this try. 1, 0 (none came), -1 (it makes no sense). */
static int
await_reply(cityhall_reader_t *reader)
{
    int64_t deadline_ms = ch_client_now_ms() + reader->options.timeout_ms + GRACE_MS;
    for (;;) {
        int got = ch_query_link_receive(&reader->link, &reader->view, &reader->frame);
        int64_t left = deadline_ms - ch_client_now_ms();
        if (got != 0 || left <= 0)
            return got;
        zmq_pollitem_t item = {.socket = reader->link.socket, .events = ZMQ_POLLIN};
        zmq_poll(&item, 1, (long)left);
    }
}

/* An error reply: keep its code and text. */
static cityhall_status_t
refused(cityhall_reader_t *reader)
{
    const ch_reply_view_t *view = &reader->view;
    snprintf(reader->code, sizeof reader->code, "%.*s", (int)view->code.size,
             (const char *)view->code.data);
    return ch_reader_fail(reader, CITYHALL_ERR_REFUSED, "%.*s: %.*s",
                          (int)view->code.size, (const char *)view->code.data,
                          (int)view->message.size, (const char *)view->message.data);
}

/* Send what is in reader->request, as often as needed. */
static cityhall_status_t
ask_encoded(cityhall_reader_t *reader)
{
    reader->code[0] = 0;
    reader->walking = CH_OP_UNKNOWN;
    if (reader->request.failed)
        return ch_reader_fail(reader, CITYHALL_ERR_MEMORY, "no memory");
    for (uint32_t try = 0; try < reader->options.tries; try++) {
        if (try > 0 && !ch_query_link_renew(&reader->link))
            return ch_reader_fail(reader, CITYHALL_ERR_NETWORK, "query %s: %s",
                                  reader->options.query, zmq_strerror(zmq_errno()));
        int got = 0;
        if (ch_query_link_send(&reader->link, ch_buffer_bytes(&reader->request)))
            got = await_reply(reader);
        if (got < 0)
            return ch_reader_fail(reader, CITYHALL_ERR_PROTOCOL,
                                  "the node's reply is no reply");
        if (got > 0)
            return reader->view.ok ? CITYHALL_OK : refused(reader);
    }
    (void)ch_query_link_renew(&reader->link);
    return ch_reader_fail(reader, CITYHALL_ERR_TIMEOUT, "query %s: no answer to %u tries",
                          reader->options.query, reader->options.tries);
}

cityhall_status_t
ch_reader_ask(cityhall_reader_t *reader, ch_request_t *request)
{
    uint8_t id[9];
    request->id = ch_query_link_next_id(&reader->link, id);
    request->has_timeout_ms = true;
    request->timeout_ms = reader->options.timeout_ms;
    request->has_min_lsn = reader->options.min_lsn > 0;
    request->min_lsn = reader->options.min_lsn;
    request->has_term = reader->options.term > 0;
    request->term = reader->options.term;
    ch_buffer_clear(&reader->request);
    ch_request_encode(request, &reader->request);
    return ask_encoded(reader);
}

/* A request of the caller's own: its map is sent with an id of ours added in front. */
cityhall_status_t
cityhall_reader_request(cityhall_reader_t *reader, const void *request, size_t size,
                        const void **reply_out, size_t *size_out)
{
    uint8_t id[9];
    ch_cursor_t whole = ch_cursor(ch_bytes(request, size)), at = whole;
    ch_item_t item;
    if (!ch_cursor_skip(&whole, NULL) || !ch_cursor_done(&whole) ||
        !ch_cursor_next(&at, &item) || item.kind != CH_ITEM_MAP ||
        item.count >= UINT16_MAX)
        return ch_reader_fail(reader, CITYHALL_ERR_ARGUMENT,
                              "the request is not one msgpack map");
    for (uint32_t left = item.count; left > 0; left--) {
        ch_cursor_t key_at = at;
        ch_item_t key = {0};
        if (!ch_cursor_skip(&at, NULL) || !ch_cursor_next(&key_at, &key) ||
            ch_item_is(&key, "id") || !ch_cursor_skip(&at, NULL))
            return ch_reader_fail(reader, CITYHALL_ERR_ARGUMENT,
                                  "leave `id` out of the request: the library sets it");
    }
    at = ch_cursor(ch_bytes(request, size));
    (void)ch_cursor_next(&at, &item);
    const uint8_t head[] = {
        0xde, (uint8_t)((item.count + 1) >> 8), (uint8_t)(item.count + 1), 0xa2, 'i',
        'd'};
    ch_bytes_t number = ch_query_link_next_id(&reader->link, id);
    ch_buffer_clear(&reader->request);
    ch_buffer_append(&reader->request, head, sizeof head);
    ch_buffer_append(&reader->request, number.data, number.size);
    ch_buffer_append(&reader->request, at.at, (size_t)(at.end - at.at));
    cityhall_status_t status = ask_encoded(reader);
    if (status >= 0 || status == CITYHALL_ERR_REFUSED) {
        *reply_out = reader->frame.data;
        *size_out = reader->frame.size;
    }
    return status;
}

cityhall_status_t
cityhall_reader_op(cityhall_reader_t *reader, const char *op, const void **reply_out,
                   size_t *size_out)
{
    ch_request_t request;
    ch_request_init(&request);
    for (int known = CH_OP_UNKNOWN + 1; known < CH_OP_COUNT; known++)
        if (strcmp(op, ch_op_name((ch_op_t)known)) == 0)
            request.op = (ch_op_t)known;
    if (request.op == CH_OP_UNKNOWN)
        return ch_reader_fail(reader, CITYHALL_ERR_ARGUMENT, "no such op: %.64s", op);
    cityhall_status_t status = ch_reader_ask(reader, &request);
    if (status >= 0 || status == CITYHALL_ERR_REFUSED) {
        *reply_out = reader->frame.data;
        *size_out = reader->frame.size;
    }
    return status;
}

/* ---- questions */

cityhall_status_t
ch_reader_read_page(cityhall_reader_t *reader)
{
    ch_request_t request;
    ch_bytes_t cursor = {0};
    ch_request_init(&request);
    request.op = CH_OP_READ;
    request.match = ch_bytes_text(reader->match);
    request.has_start = reader->start != INT64_MIN;
    request.start = reader->start;
    request.has_end = reader->end != INT64_MAX;
    request.end = reader->end;
    request.cursor = ch_buffer_bytes(&reader->cursor);
    cityhall_status_t status = ch_reader_ask(reader, &request);
    if (status < 0)
        return status;
    reader->more =
        ch_reply_view_text(&reader->view, "cursor", &cursor) && cursor.size > 0;
    ch_buffer_clear(&reader->cursor);
    ch_buffer_append(&reader->cursor, cursor.data, cursor.size);
    if (reader->cursor.failed)
        return ch_reader_fail(reader, CITYHALL_ERR_MEMORY, "no memory");
    return ch_reader_walk(reader, CH_OP_READ, "series");
}

cityhall_status_t
cityhall_reader_read(cityhall_reader_t *reader, const char *match, int64_t start,
                     int64_t end)
{
    char *copy = strdup(match);
    if (!copy)
        return ch_reader_fail(reader, CITYHALL_ERR_MEMORY, "no memory");
    free(reader->match);
    reader->match = copy;
    reader->start = start;
    reader->end = end;
    ch_buffer_clear(&reader->cursor);
    return ch_reader_read_page(reader);
}

static cityhall_status_t
ask_query(cityhall_reader_t *reader, ch_request_t *request, const char *query)
{
    request->op = CH_OP_QUERY;
    request->query = ch_bytes_text(query);
    cityhall_status_t status = ch_reader_ask(reader, request);
    if (status < 0)
        return status;
    if (strcmp(cityhall_reader_type(reader), "string") == 0) {
        reader->walking =
            CH_OP_QUERY; /* no series; the value is cityhall_reader_string's */
        reader->items_left = 0;
        return CITYHALL_OK;
    }
    return ch_reader_walk(reader, CH_OP_QUERY, "result");
}

cityhall_status_t
cityhall_reader_query(cityhall_reader_t *reader, const char *query, int64_t time)
{
    ch_request_t request;
    ch_request_init(&request);
    request.has_time = true;
    request.time = time;
    return ask_query(reader, &request, query);
}

cityhall_status_t
cityhall_reader_query_range(cityhall_reader_t *reader, const char *query, int64_t start,
                            int64_t end, int64_t step)
{
    ch_request_t request;
    ch_request_init(&request);
    request.has_start = request.has_end = request.has_step = true;
    request.start = start;
    request.end = end;
    request.step = step;
    return ask_query(reader, &request, query);
}

cityhall_status_t
cityhall_reader_series(cityhall_reader_t *reader, const char *match, int64_t start,
                       int64_t end, uint64_t limit)
{
    ch_request_t request;
    ch_request_init(&request);
    request.op = CH_OP_SERIES;
    request.match = ch_bytes_text(match);
    request.has_start = start != INT64_MIN;
    request.start = start;
    request.has_end = end != INT64_MAX;
    request.end = end;
    request.has_limit = limit > 0;
    request.limit = limit;
    cityhall_status_t status = ch_reader_ask(reader, &request);
    return status < 0 ? status : ch_reader_walk(reader, CH_OP_SERIES, "series");
}
