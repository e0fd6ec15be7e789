/// Questions to the query socket that may overlap: a DEALER, replies told apart by number.
///
/// Errors   a socket that cannot be made or a reply that is none ends the program: a benchmark has
///          nothing to rescue.
/// Threads  a dealer belongs to one thread.
#ifndef CH_BENCH_DEALER_H
#define CH_BENCH_DEALER_H

#include <zmq.h>
#include "ch/reply_view.h"
#include "ch/request.h"

typedef struct ch_dealer {
    void *socket;
    ch_buffer_t request;
    zmq_msg_t reply;
} ch_dealer_t;

/// Show nodes the key of this file from now on; NULL: none. Before threads are made.
void ch_load_take_key(const char *path);
/// Before a socket connects.
void ch_load_show_key(void *socket);

void ch_dealer_open(ch_dealer_t *dealer, void *context, const char *endpoint);
void ch_dealer_close(ch_dealer_t *dealer);

/// Send `request` under the number `id`. Waits while the queue is full.
void ch_dealer_ask(ch_dealer_t *dealer, ch_request_t *request, uint64_t id);

/// The same for the acknowledgement of one batch; its seq is the number.
void ch_dealer_ask_ack(ch_dealer_t *dealer, const char *producer, uint64_t seq,
                       uint32_t wait_ms);

/// False: nothing came within `timeout_ms`. The view is valid until the next call.
bool ch_dealer_receive(ch_dealer_t *dealer, int timeout_ms, uint64_t *id_out,
                       ch_reply_view_t *view_out);

/// Ask and wait for the answer; a refusal or silence (30 s) ends the program.
void ch_dealer_must(ch_dealer_t *dealer, ch_request_t *request,
                    ch_reply_view_t *view_out);

/// Print one line to stderr and exit 1.
void ch_load_die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

#endif
