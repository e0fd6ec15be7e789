#include "audit.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "ch/alloc.h"

#define NS_PER_LINE (INT64_C(1000000000) / CH_AUDIT_PER_SECOND)

enum { LINE_BYTES = 1024, WHO_BYTES = 160, TEXT_BYTES = 400, FILE_MODE = 0600 };

struct ch_audit {
    int fd; /* -1: lines go to `log` */
    const ch_log_t *log;
    const ch_clock_t *clock;
    pthread_mutex_t mutex;
    int64_t owed_ns; /* when the bucket is full again; ahead of now by what is in use */
    uint64_t more;   /* held back since the last line */
    ch_audit_view_t view;
};

static ch_status_t
open_file(const char *path, int *fd_out)
{
    struct stat about;
    int fd =
        open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK,
             FILE_MODE);
    if (fd < 0)
        return ch_fail(CH_ERR_IO, "audit.log: %s cannot be opened for appending: %s",
                       path, strerrordesc_np(errno));
    if (fstat(fd, &about) != 0 || !S_ISREG(about.st_mode)) {
        close(fd);
        return ch_fail(CH_ERR_IO, "audit.log: %s is no regular file", path);
    }
    *fd_out = fd;
    return CH_OK;
}

ch_status_t
ch_audit_new(const char *path, const ch_log_t *log, const ch_clock_t *clock,
             ch_audit_t **audit_out)
{
    int fd = -1;
    ch_status_t status = path[0] ? open_file(path, &fd) : CH_OK;
    if (status < 0)
        return status;
    ch_audit_t *audit = ch_calloc(1, sizeof *audit);
    audit->fd = fd;
    audit->log = log;
    audit->clock = clock;
    (void)pthread_mutex_init(&audit->mutex, NULL);
    *audit_out = audit;
    return CH_OK;
}

void
ch_audit_destroy(ch_audit_t **audit_in)
{
    ch_audit_t *audit = *audit_in;
    if (!audit)
        return;
    if (audit->fd >= 0)
        close(audit->fd);
    (void)pthread_mutex_destroy(&audit->mutex);
    ch_free(audit);
    *audit_in = NULL;
}

/* A bucket that is full at first and refills with time. */
static bool
may_write(ch_audit_t *audit, int64_t now_ns)
{
#ifdef CH_FAULT_AUDIT_UNBOUNDED
    return true;
#endif
    if (audit->owed_ns < now_ns)
        audit->owed_ns = now_ns;
    if (audit->owed_ns - now_ns >= CH_AUDIT_BURST * NS_PER_LINE)
        return false;
    audit->owed_ns += NS_PER_LINE;
    return true;
}

/* One write, so that lines of other processes do not come in between. */
static bool
append(const ch_audit_t *audit, const char *line)
{
    char whole[LINE_BYTES + 96], stamp[32];
    int64_t now_ns = ch_clock_wall_ns(audit->clock);
    const time_t seconds = (time_t)(now_ns / 1000000000);
    struct tm parts;
    (void)gmtime_r(&seconds, &parts);
    (void)strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &parts);
    int size = snprintf(whole, sizeof whole, "time=%s.%03dZ level=info module=audit %s\n",
                        stamp, (int)(now_ns / 1000000 % 1000), line);
    if (size < 0)
        return false;
    size_t length = (size_t)size < sizeof whole ? (size_t)size : sizeof whole - 1;
    return write(audit->fd, whole, length) == (ssize_t)length;
}

static void
put_line(ch_audit_t *audit, const char *event, const char *rest)
{
    char line[LINE_BYTES];
    if (audit->fd < 0) {
        ch_log(audit->log, CH_LOG_INFO, "audit", event, "%s more=%" PRIu64, rest,
               audit->more);
        audit->view.written++;
        return;
    }
    (void)snprintf(line, sizeof line, "event=%s %s more=%" PRIu64, event, rest,
                   audit->more);
    if (append(audit, line))
        audit->view.written++;
    else
        audit->view.lost++;
}

void
ch_audit(ch_audit_t *audit, const char *event, ch_bytes_t who, const char *result,
         const char *format, ...)
{
    char rest[LINE_BYTES - 128], quoted[WHO_BYTES];
    if (!audit)
        return;
    ch_log_quote((const char *)who.data, who.size, quoted, sizeof quoted);
    int used = snprintf(rest, sizeof rest, "who=%s result=%s%s", quoted, result,
                        *format ? " " : "");
    va_list arguments;
    va_start(arguments, format);
    if (used > 0 && (size_t)used < sizeof rest)
        (void)vsnprintf(rest + used, sizeof rest - (size_t)used, format, arguments);
    va_end(arguments);
    (void)pthread_mutex_lock(&audit->mutex);
    if (may_write(audit, ch_clock_monotonic_ns(audit->clock))) {
        put_line(audit, event, rest);
        audit->more = 0;
    } else {
        audit->more++;
        audit->view.held++;
    }
    (void)pthread_mutex_unlock(&audit->mutex);
}

ch_audit_view_t
ch_audit_view(ch_audit_t *audit)
{
    (void)pthread_mutex_lock(&audit->mutex);
    ch_audit_view_t view = audit->view;
    (void)pthread_mutex_unlock(&audit->mutex);
    return view;
}

/* ---- requests */

bool
ch_audit_concerns(const ch_request_t *request)
{
    switch (request->op) {
    case CH_OP_DELETE:
        return !request->dry_run;
    case CH_OP_SNAPSHOT: /* without a name: a list */
        return request->snapshot.size > 0;
    case CH_OP_FLUSH:
    case CH_OP_COMPACT:
    case CH_OP_SEAL:
    case CH_OP_PROMOTE:
        return true;
    default:
        return false;
    }
}

/* What is known of a peer: the name that its key has, else where it comes from. */
static ch_bytes_t
peer_of(const ch_job_t *job)
{
    const char *name = zmq_msg_gets(&job->frame, "User-Id");
    if (!name || !name[0])
        name = zmq_msg_gets(&job->frame, "Peer-Address");
    return ch_bytes_text(name ? name : "");
}

void
ch_audit_job(ch_audit_t *audit, const ch_job_t *job, const char *result)
{
    const ch_request_t *request = &job->request;
    const char *event = ch_op_name(request->op);
    char text[TEXT_BYTES];
    if (request->op == CH_OP_DELETE)
        ch_audit(audit, event, peer_of(job), result,
                 "match=%s start=%" PRId64 " end=%" PRId64 " lsn=%" PRIu64
                 " producer=%s seq=%" PRIu64,
                 ch_log_quote((const char *)request->match.data, request->match.size,
                              text, sizeof text),
                 request->start, request->end, job->lsn,
                 request->has_identity ? request->producer : "-", request->seq);
    else if (request->op == CH_OP_SNAPSHOT)
        ch_audit(audit, event, peer_of(job), result, "name=%s remove=%d",
                 ch_log_quote((const char *)request->snapshot.data,
                              request->snapshot.size, text, sizeof text),
                 request->remove);
    else
        ch_audit(audit, event, peer_of(job), result, "lsn=%" PRIu64, job->lsn);
}
