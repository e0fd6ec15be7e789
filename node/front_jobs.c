/* front_jobs.c - jobs: their life, where they wait, and who holds them.
 *
 * A job is freed when it is answered and nobody else holds it. One that times out while the ingest
 * thread has it is answered at once and freed when it comes back; workers keep deadlines themselves.
 */
#include "front.h"

#include <inttypes.h>
#include "ch/alloc.h"
#include "ch/assert.h"
#include "query_ops.h"
#include "sockets.h"

ch_job_t *
ch_front_job_new(ch_front_t *front, zmq_msg_t *peer, zmq_msg_t *frame)
{
    ch_job_t *job = ch_calloc(1, sizeof *job);
    zmq_msg_init(&job->peer);
    zmq_msg_init(&job->frame);
    zmq_msg_init(&job->reply);
    zmq_msg_move(&job->peer, peer);
    zmq_msg_move(&job->frame, frame);
    ch_request_init(&job->request);
    job->received_ns = ch_clock_monotonic_ns(&front->node->clock);
    job->next = front->jobs;
    if (job->next)
        job->next->previous = job;
    front->jobs = job;
    return job;
}

static void
unqueue(ch_front_t *front, ch_job_t *job)
{
    ch_job_t *before = NULL;
    for (ch_job_t *at = front->queue_first; at != job; at = at->queued)
        before = at;
    if (before)
        before->queued = job->queued;
    else
        front->queue_first = job->queued;
    if (front->queue_last == job)
        front->queue_last = before;
    job->queued = NULL;
    front->queue_count--;
    front->queue_bytes -= zmq_msg_size(&job->frame);
}

/* Take a job from wherever it waits in this thread. */
static void
take_back(ch_front_t *front, ch_job_t *job)
{
    ch_heap_remove(&front->deadlines, &job->deadline);
    if (job->place == CH_JOB_LSN)
        ch_heap_remove(&front->by_durable, &job->position);
    if (job->place == CH_JOB_FLUSH)
        ch_heap_remove(&front->by_flushed, &job->position);
    if (job->place == CH_JOB_COMPACT)
        ch_heap_remove(&front->by_compacted, &job->position);
    if (job->place == CH_JOB_QUEUE)
        unqueue(front, job);
    if (job->place != CH_JOB_CONTROL && job->place != CH_JOB_WORKER)
        job->place = CH_JOB_FRONT;
}

void
ch_front_job_free(ch_front_t *front, ch_job_t *job)
{
    take_back(front, job);
    if (job->previous)
        job->previous->next = job->next;
    else
        front->jobs = job->next;
    if (job->next)
        job->next->previous = job->previous;
    zmq_msg_close(&job->peer);
    zmq_msg_close(&job->frame);
    zmq_msg_close(&job->reply);
    ch_view_destroy(&job->before);
    ch_free(job->scope);
    ch_request_release(&job->request);
    ch_free(job);
}

/* ---- answers */

/* A peer that does not read what it asked for gets an error in place of more of it. */
static void
keep_within_budget(ch_front_t *front, ch_job_t *job, zmq_msg_t *body)
{
    ch_bytes_t peer = ch_bytes(zmq_msg_data(&job->peer), zmq_msg_size(&job->peer));
    if (!ch_reply_budget_allows(front->budget, peer, zmq_msg_size(body))) {
        ch_count(&front->node->stats, CH_COUNT_QUERY_LIMIT, 1);
        ch_bytes_t frame =
            ch_reply_error(&front->reply, job->request.id, "limit",
                           "too many bytes of earlier replies are not read yet", NULL);
        zmq_msg_close(body);
        zmq_msg_init_size(body, frame.size);
        memcpy(zmq_msg_data(body), frame.data, frame.size);
    }
    ch_reply_budget_wrap(front->budget, peer, body);
}

static void
send_reply(ch_front_t *front, ch_job_t *job, zmq_msg_t *body, ch_status_t status)
{
    ch_node_t *node = front->node;
    keep_within_budget(front, job, body);
    int64_t took_ns = ch_clock_monotonic_ns(&node->clock) - job->received_ns;
    ch_histogram_record(&node->stats.request_us[job->request.op],
                        (uint64_t)took_ns / 1000);
    ch_count(&node->stats, CH_COUNT_QUERY_REPLY_BYTES, zmq_msg_size(body));
    if (status < 0)
        ch_count(&node->stats, CH_COUNT_QUERY_ERRORS, 1);
    if (status == CH_ERR_LIMIT)
        ch_count(&node->stats, CH_COUNT_QUERY_LIMIT, 1);
    if (status == CH_ERR_TIMEOUT)
        ch_count(&node->stats, CH_COUNT_QUERY_TIMEOUT, 1);
    if (ch_audit_concerns(&job->request))
        ch_audit_job(node->audit, job,
                     status >= 0 ? "ok"
                     : job->code ? job->code
                                 : ch_reply_code(status));
    ch_front_send(front, &job->peer, body);
    take_back(front, job);
    job->answered = true;
    if (job->place == CH_JOB_FRONT)
        ch_front_job_free(front, job);
}

void
ch_front_finish(ch_front_t *front, ch_job_t *job, ch_bytes_t frame, ch_status_t status)
{
    zmq_msg_t body;
    zmq_msg_init_size(&body, frame.size);
    memcpy(zmq_msg_data(&body), frame.data, frame.size);
    send_reply(front, job, &body, status);
}

void
ch_front_fail(ch_front_t *front, ch_job_t *job, const char *code, const char *message)
{
    job->code = code;
    ch_status_t status = strcmp(code, "limit") == 0     ? CH_ERR_LIMIT
                         : strcmp(code, "timeout") == 0 ? CH_ERR_TIMEOUT
                                                        : CH_ERR_INVALID;
    ch_front_finish(front, job,
                    ch_reply_error(&front->reply, job->request.id, code, message, NULL),
                    status);
}

void
ch_front_fail_status(ch_front_t *front, ch_job_t *job, ch_status_t status)
{
    ch_front_finish(front, job, ch_query_error(&front->reply, job->request.id, status),
                    status);
}

/* ---- waiting here */

static void
wait_in(ch_front_t *front, ch_job_t *job, ch_job_place_t place)
{
    job->place = place;
    ch_heap_push(&front->deadlines, &job->deadline, (uint64_t)job->deadline_ns, 0);
}

void
ch_front_wait_lsn(ch_front_t *front, ch_job_t *job, uint64_t lsn)
{
    wait_in(front, job, CH_JOB_LSN);
    ch_heap_push(&front->by_durable, &job->position, lsn, 0);
}

/* A delete that is done: its answer counts what it took, and that is a worker's job. */
static void
answer_delete(ch_front_t *front, ch_job_t *job)
{
    if (job->before) {
        ch_front_to_worker(front, job);
        return;
    }
    ch_status_t status = CH_OK;
    ch_bytes_t frame = ch_query_deleted(front->node, &job->request, NULL, job->lsn, 0,
                                        &front->reply, &status);
    ch_front_finish(front, job, frame, status);
}

static void
wait_delete(ch_front_t *front, ch_job_t *job)
{
    atomic_store(&front->node->front_waits, true); /* before the next look at progress */
    wait_in(front, job, CH_JOB_LSN);
    ch_heap_push(&front->by_durable, &job->position, job->lsn, 0);
}

static void
wait_tables(ch_front_t *front, ch_job_t *job)
{
    bool flush = job->request.op == CH_OP_FLUSH;
    atomic_store(&front->node->front_waits, true);
    wait_in(front, job, flush ? CH_JOB_FLUSH : CH_JOB_COMPACT);
    ch_heap_push(flush ? &front->by_flushed : &front->by_compacted, &job->position,
                 job->lsn, 0);
}

/* ---- workers */

static void
start_job(ch_front_t *front, unsigned worker, ch_job_t *job)
{
    take_back(front, job);
    front->busy[worker] = true;
    front->busy_count++;
    job->place = CH_JOB_WORKER;
    job->worker = worker;
    ch_count(&front->node->stats, CH_COUNT_QUERY_WORKED, 1);
    ch_socket_send_pointer(zsock_resolve(front->workers[worker]), job);
}

static void
start_jobs(ch_front_t *front)
{
    for (unsigned i = 0; i < front->worker_count && front->queue_first; i++) {
        if (!front->busy[i])
            start_job(front, i, front->queue_first);
    }
}

void
ch_front_to_worker(ch_front_t *front, ch_job_t *job)
{
    size_t size = zmq_msg_size(&job->frame);
    if (front->queue_count >= CH_FRONT_QUEUE_MAX ||
        front->queue_bytes + size > CH_FRONT_QUEUE_BYTES_MAX) {
        ch_front_fail(front, job, "limit",
                      job->deleted
                          ? "the delete is done; too many requests wait for a "
                            "worker that could count it"
                          : "too many requests wait for a worker; ask again later");
        return;
    }
    wait_in(front, job, CH_JOB_QUEUE);
    if (front->queue_last)
        front->queue_last->queued = job;
    else
        front->queue_first = job;
    front->queue_last = job;
    front->queue_count++;
    front->queue_bytes += size;
    start_jobs(front);
}

void
ch_front_take_worker(ch_front_t *front, unsigned worker)
{
    char word[32];
    ch_job_t *job =
        ch_socket_take_pointer(zsock_resolve(front->workers[worker]), ZMQ_DONTWAIT, word);
    if (!job)
        return;
    front->busy[worker] = false;
    front->busy_count--;
    job->place = CH_JOB_FRONT;
    send_reply(front, job, &job->reply, job->status);
    start_jobs(front);
}

/* ---- the ingest thread */

void
ch_front_to_ingest(ch_front_t *front, ch_job_t *job)
{
    wait_in(front, job, CH_JOB_CONTROL);
    ch_socket_send_pointer(zsock_resolve(front->control), job);
}

static void
end_control(ch_front_t *front, ch_job_t *job)
{
    take_back(front, job);
    job->place = CH_JOB_FRONT;
    if (job->answered) {
        ch_front_job_free(front, job);
    } else if (job->status < 0) {
        (void)ch_fail(job->status, "%s", job->text);
        if (job->status == CH_ERR_BUSY) /* a gap: the state is not there yet */
            ch_front_fail(front, job, "stale", job->text);
        else
            ch_front_fail_status(front, job, job->status);
    } else if (job->request.op == CH_OP_DELETE) {
        wait_delete(front, job);
    } else if (job->request.op == CH_OP_FLUSH || job->request.op == CH_OP_COMPACT) {
        wait_tables(front, job);
    } else {
        ch_reply_begin(&front->reply, job->request.id);
        ch_reply_put_uint(&front->reply, "segment", job->segment);
        ch_bytes_t frame;
        ch_status_t status = ch_reply_finish(&front->reply, &frame);
        CH_ASSERT(status == CH_OK); /* a few bytes */
        ch_front_finish(front, job, frame, CH_OK);
    }
}

void
ch_front_take_control(ch_front_t *front)
{
    char word[32];
    ch_job_t *job;
    while (
        (job = ch_socket_take_pointer(zsock_resolve(front->control), ZMQ_DONTWAIT, word)))
        end_control(front, job);
}

/* ---- progress and time */

static void
finish_tables(ch_front_t *front, ch_job_t *job, uint64_t lsn)
{
    ch_reply_begin(&front->reply, job->request.id);
    ch_reply_put_uint(&front->reply, "lsn", lsn);
    ch_bytes_t frame;
    ch_status_t status = ch_reply_finish(&front->reply, &frame);
    CH_ASSERT(status == CH_OK);
    ch_front_finish(front, job, frame, CH_OK);
}

static void
time_out(ch_front_t *front, ch_job_t *job)
{
    char text[160];
    if (job->deleted && job->place == CH_JOB_QUEUE) {
        ch_front_fail(front, job, "timeout",
                      "the delete is done; no worker became free in time to count");
    } else if (job->place == CH_JOB_LSN && !job->deleted) {
        snprintf(text, sizeof text,
                 "lsn %" PRIu64 " of term %" PRIu64 " is not here yet: at lsn %" PRIu64,
                 job->request.min_lsn, job->request.term,
                 ch_engine_durable_lsn(front->node->engine));
        ch_front_fail(front, job, "stale", text);
    } else if (job->place == CH_JOB_QUEUE) {
        ch_front_fail(front, job, "timeout", "no worker became free in time");
    } else {
        ch_front_fail(front, job, "timeout",
                      "it goes on, but takes longer than the timeout");
    }
}

void
ch_front_progress(ch_front_t *front, int64_t now_ns)
{
    ch_heap_node_t *top;
    uint64_t durable = ch_engine_durable_lsn(front->node->engine);
    while ((top = ch_heap_top(&front->by_durable)) && top->major <= durable) {
        ch_job_t *job = CH_HEAP_OWNER(top, ch_job_t, position);
        take_back(front, job);
        if (job->deleted)
            answer_delete(front, job);
        else
            ch_front_route(front, job);
    }
    uint64_t flushed =
        front->by_flushed.count ? ch_engine_flushed_lsn(front->node->engine) : 0;
    while ((top = ch_heap_top(&front->by_flushed)) && top->major <= flushed)
        finish_tables(front, CH_HEAP_OWNER(top, ch_job_t, position), flushed);
    uint64_t compacted =
        front->by_compacted.count ? ch_engine_compacted_lsn(front->node->engine) : 0;
    while ((top = ch_heap_top(&front->by_compacted)) && top->major <= compacted)
        finish_tables(front, CH_HEAP_OWNER(top, ch_job_t, position), compacted);
    while ((top = ch_heap_top(&front->deadlines)) && top->major <= (uint64_t)now_ns)
        time_out(front, CH_HEAP_OWNER(top, ch_job_t, deadline));
}

void
ch_front_drain(ch_front_t *front, const char *message)
{
    ch_job_t *next = NULL;
    uint64_t durable = ch_engine_durable_lsn(front->node->engine);
    for (ch_job_t *job = front->jobs; job; job = next) {
        next = job->next;
        bool done = job->deleted && job->lsn <= durable;
        if (!job->answered && done && job->place != CH_JOB_WORKER)
            ch_front_fail(front, job, "internal", "the delete is done; the node stops");
        else if (!job->answered && job->place != CH_JOB_WORKER &&
                 job->place != CH_JOB_ACK)
            ch_front_fail(front, job, "internal", message);
    }
}
