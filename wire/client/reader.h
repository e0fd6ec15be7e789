/// Inside of the reader handle: shared by reader.c (asking) and reader_result.c (answers).
#ifndef CH_CLIENT_READER_H
#define CH_CLIENT_READER_H

#include "cityhall.h"
#include "query_link.h"

#include "ch/request.h"

struct cityhall_reader {
    cityhall_reader_options_t options;
    void *context;
    bool own_context;
    ch_secret_t *secret; /* NULL: no CURVE */
    ch_query_link_t link;
    ch_buffer_t request;
    ch_reply_view_t view; /* of the last answer */
    ch_bytes_t frame;
    char error[512];
    char code[32];

    /* the answer being walked: series, result, or label maps */
    ch_op_t walking; /* CH_OP_UNKNOWN: none */
    ch_cursor_t items;
    uint32_t items_left;
    /* what the next page of `read` is asked with */
    char *match;
    int64_t start, end;
    ch_buffer_t cursor;
    bool more;

    /* memory of what was handed out */
    ch_buffer_t text;   /* strings, each NUL-terminated */
    ch_buffer_t labels; /* cityhall_label_t */
    ch_buffer_t names;  /* const char * */
    ch_buffer_t times;
    ch_buffer_t values; /* doubles, int64 or cityhall_value_t */
};

cityhall_status_t ch_reader_fail(cityhall_reader_t *reader, cityhall_status_t status,
                                 const char *format, ...) CH_PRINTF(3, 4);

/// Ask, with all tries. REFUSED for an error reply; `view` and `frame` hold the answer then too.
cityhall_status_t ch_reader_ask(cityhall_reader_t *reader, ch_request_t *request);

/// Walk the array `field` of the answer.
cityhall_status_t ch_reader_walk(cityhall_reader_t *reader, ch_op_t op,
                                 const char *field);

/// Ask for the first or next page of `read`.
cityhall_status_t ch_reader_read_page(cityhall_reader_t *reader);

/// A copy in `text`, NUL-terminated, as an offset (the buffer may move until all is copied).
size_t ch_reader_keep(cityhall_reader_t *reader, ch_bytes_t bytes);

#endif
