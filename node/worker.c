#include "worker.h"

#include "ch/alloc.h"
#include "job.h"
#include "query_ops.h"
#include "snapshot_ops.h"
#include "sockets.h"

/* Replies above this go out uncopied, and the worker grows a new buffer for the next. */
enum { HAND_OVER_BYTES = 64 << 10 };

static void
free_reply(void *data, void *hint)
{
    (void)hint;
    ch_free(data);
}

static void
make_reply(ch_job_t *job, ch_reply_t *reply, ch_bytes_t frame)
{
    bool whole = frame.data == reply->buffer.data && frame.size >= HAND_OVER_BYTES;
    if (whole && zmq_msg_init_data(&job->reply, reply->buffer.data, frame.size,
                                   free_reply, NULL) == 0) {
        reply->buffer = (ch_buffer_t){0};
        return;
    }
    zmq_msg_init_size(&job->reply, frame.size);
    memcpy(zmq_msg_data(&job->reply), frame.data, frame.size);
}

/* The evaluator looks at the clock now and then; that the time is up already is seen here. */
static ch_bytes_t
answer(const ch_node_t *node, ch_job_t *job, ch_reply_t *reply)
{
    if (job->deleted)
        return ch_query_deleted(node, &job->request, job->before, job->lsn,
                                job->deadline_ns, reply, &job->status);
    bool in_time = ch_clock_monotonic_ns(&node->query_clock) < job->deadline_ns;
    if (in_time && job->request.op == CH_OP_SNAPSHOT)
        return ch_snapshot_answer(node, &job->request, reply, &job->status);
    if (in_time)
        return ch_query_answer(node, &job->request, job->scope, job->deadline_ns, reply,
                               &job->status);
    job->status = ch_fail(CH_ERR_TIMEOUT, "the time was up before a worker began");
    return ch_query_error(reply, job->request.id, job->status);
}

void
ch_worker_actor(zsock_t *pipe, void *argument)
{
    ch_node_t *node = argument;
    void *socket = zsock_resolve(pipe);
    ch_reply_t reply;
    ch_reply_init(&reply, node->limits.reply_bytes);
    ch_actor_report(pipe, CH_OK, "worker");
    char word[32] = "";
    while (strcmp(word, "$TERM")) {
        ch_job_t *job = ch_socket_take_pointer(socket, 0, word);
        if (!job)
            continue;
        make_reply(job, &reply, answer(node, job, &reply));
        ch_socket_send_pointer(socket, job);
    }
    ch_reply_release(&reply);
    ch_actor_ends();
}
