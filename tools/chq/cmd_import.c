/* cmd_import.c - write and import: files to batches to a durable end.
 *
 * Resume    Batches are cut by size alone, so the same file gives the same batches. With --resume the
 *           producer's name is the hash of the file and the options, and its epoch is 1: what an
 *           earlier run made durable is a duplicate to the node and has no further effect.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ch/checksum.h"
#include "chq/chq.h"
#include "chq/import.h"
#include "chq/text.h"

typedef struct job {
    chq_t *chq;
    chq_import_t import;
    chq_import_format_t format;
    bool resume;
    cityhall_producer_t *producer;
    FILE *file;
    char *line;
    size_t line_capacity;
    uint64_t points, rejected;
    int64_t bytes, bytes_total;
    int64_t shown_ns;
    int code;
} job_t;

static int64_t
monotonic_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static bool
sink_failed(job_t *job, cityhall_status_t status)
{
    chq_say("%s:%" PRIu64 ": %s", job->import.path, job->import.line,
            cityhall_producer_error(job->producer));
    job->code = status == CITYHALL_ERR_TIMEOUT ? CHQ_EXIT_UNREACHABLE : CHQ_EXIT_USAGE;
    return false;
}

static bool
sink_point(void *context, const char *key, int64_t time, cityhall_value_t value)
{
    job_t *job = context;
    cityhall_status_t status = cityhall_producer_point(job->producer, key, time, value);
    job->points++;
    return status >= 0 || sink_failed(job, status);
}

static bool
sink_row(void *context, const char *name, const cityhall_label_t *labels,
         size_t label_count, int64_t time, const char *const *fields,
         const cityhall_value_t *values, size_t field_count)
{
    job_t *job = context;
    cityhall_status_t status = cityhall_producer_row(
        job->producer, name, labels, label_count, time, fields, values, field_count);
    job->points += field_count;
    return status >= 0 || sink_failed(job, status);
}

static void
say_reject(void *context, const cityhall_reject_t *reject)
{
    job_t *job = context;
    if (job->rejected++ < 5)
        chq_say("%s: batch %" PRIu64 " refused at point %" PRId64 ": %s: %s",
                job->import.path, reject->seq, reject->index, reject->code,
                reject->message);
}

static void
show_progress(job_t *job, bool last)
{
    int64_t now = monotonic_ns();
    if (job->chq->quiet || !isatty(STDERR_FILENO) || job->bytes_total <= 0 ||
        (!last && now - job->shown_ns < 100000000))
        return;
    enum { WIDTH = 30 };
    int done = (int)(job->bytes * WIDTH / job->bytes_total);
    job->shown_ns = now;
    (void)fprintf(
        stderr, "\r%.*s%.*s %3d%%  %" PRIu64 " points%s", done,
        "##############################", WIDTH - done, "..............................",
        (int)(job->bytes * 100 / job->bytes_total), job->points, last ? "\n" : "");
}

/* A line without its newline; false at the end of the file. */
static bool
next_line(job_t *job)
{
    ssize_t size = getline(&job->line, &job->line_capacity, job->file);
    if (size < 0)
        return false;
    job->bytes += size;
    job->import.line++;
    while (size > 0 && (job->line[size - 1] == '\n' || job->line[size - 1] == '\r'))
        job->line[--size] = '\0';
    return true;
}

static void
rewind_file(job_t *job)
{
    rewind(job->file);
    job->import.line = 0;
    job->bytes = 0;
}

static bool
scan_csv(job_t *job)
{
    char error[160];
    if (!next_line(job)) {
        chq_say("%s: empty", job->import.path);
        return false;
    }
    if (!chq_csv_header(&job->import, job->line, error, sizeof error)) {
        chq_say("%s:1: %s", job->import.path, error);
        return false;
    }
    while (next_line(job))
        chq_csv_scan(&job->import, job->line);
    rewind_file(job);
    return next_line(job); /* the header */
}

static bool
parse_line(job_t *job, char *error, size_t size)
{
    switch (job->format) {
    case CHQ_IMPORT_CSV:
        return !*job->line || chq_import_csv_line(&job->import, job->line, error, size);
    case CHQ_IMPORT_NDJSON:
        return chq_import_json_line(&job->import, job->line, error, size);
    case CHQ_IMPORT_LINE_PROTOCOL:
        break;
    }
    return chq_import_influx_line(&job->import, job->line, error, size);
}

static void
read_lines(job_t *job)
{
    while (job->code == 0 && next_line(job)) {
        char error[160] = "";
        if (!parse_line(job, error, sizeof error))
            return;
        if (*error && job->import.skip_bad) {
            job->import.bad++;
        } else if (*error) {
            chq_say("%s:%" PRIu64 ": %s (--skip-bad passes over such lines)",
                    job->import.path, job->import.line, error);
            job->code = CHQ_EXIT_USAGE;
        }
        show_progress(job, false);
    }
    if (ferror(job->file)) {
        chq_say("%s: %s", job->import.path, strerror(errno));
        job->code = CHQ_EXIT_LOCAL;
    }
}

/* Standard input is copied to a file without a name: it is read twice. */
static FILE *
spool_input(void)
{
    char buffer[1 << 16];
    FILE *copy = tmpfile();
    size_t size = 0;
    while (copy && (size = fread(buffer, 1, sizeof buffer, stdin)) > 0)
        if (fwrite(buffer, 1, size, copy) != size)
            break;
    if (!copy || ferror(copy) || ferror(stdin))
        chq_die(CHQ_EXIT_LOCAL, "standard input: %s", strerror(errno));
    rewind(copy);
    return copy;
}

static void
name_by_content(job_t *job, char name[64])
{
    uint8_t digest[CH_DIGEST_BYTES];
    char buffer[1 << 16];
    size_t size;
    ch_digest_t *state = ch_digest_new();
    const char *key = job->import.key ? job->import.key : "";
    ch_digest_update(state, key, strlen(key));
    ch_digest_update(state, &job->import.precision_ns, sizeof job->import.precision_ns);
    ch_digest_update(state, &job->import.skip_bad, sizeof job->import.skip_bad);
    while ((size = fread(buffer, 1, sizeof buffer, job->file)) > 0)
        ch_digest_update(state, buffer, size);
    ch_digest_value(state, digest);
    ch_digest_destroy(&state);
    rewind(job->file);
    (void)snprintf(name, 64, "import/");
    for (int i = 0; i < CH_DIGEST_BYTES; i++)
        (void)snprintf(name + 7 + 2 * i, 3, "%02x", digest[i]);
}

static bool
open_producer(job_t *job)
{
    char name[64], error[256];
    (void)snprintf(name, sizeof name, "chq/import/%ld", (long)getpid());
    cityhall_producer_options_t options;
    cityhall_producer_options_init(&options);
    options.ingest = job->chq->ingest;
    options.query = job->chq->node;
    options.producer = name;
    options.request_timeout_ms = job->chq->timeout_ms;
    options.on_reject = say_reject;
    options.on_reject_context = job;
    if (job->resume) {
        name_by_content(job, name);
        options.epoch = 1;
    }
    if (cityhall_producer_open(&options, &job->producer, error, sizeof error) >= 0)
        return true;
    chq_say("%s", error);
    job->code = CHQ_EXIT_USAGE;
    return false;
}

static void
finish(job_t *job, int64_t started)
{
    cityhall_status_t status = cityhall_producer_send(job->producer, NULL);
    if (status >= 0)
        status = cityhall_producer_wait(job->producer, CITYHALL_DURABLE,
                                        (int32_t)job->chq->timeout_ms * 6);
    if (status < 0) {
        chq_say("%s: not all of it is durable: %s; run again with --resume",
                job->import.path,
                *cityhall_producer_error(job->producer)
                    ? cityhall_producer_error(job->producer)
                    : "no answer in time");
        job->code = CHQ_EXIT_UNREACHABLE;
        return;
    }
    show_progress(job, true);
    double seconds = (double)(monotonic_ns() - started) / 1e9;
    if (!job->chq->quiet)
        (void)fprintf(stderr, "%s: %" PRIu64 " points durable in %.2f s (%.0f points/s)",
                      job->import.path, job->points, seconds,
                      (double)job->points / seconds);
    if (!job->chq->quiet)
        (void)fprintf(stderr,
                      job->import.bad ? ", %" PRIu64 " bad lines passed over\n" : "\n",
                      job->import.bad);
    if (job->rejected)
        job->code = CHQ_EXIT_REFUSED;
}

static void
run_file(job_t *job)
{
    int64_t started = monotonic_ns();
    if (fseek(job->file, 0, SEEK_END) == 0)
        job->bytes_total = ftell(job->file);
    rewind_file(job);
    if (job->format == CHQ_IMPORT_CSV && !scan_csv(job)) {
        job->code = CHQ_EXIT_USAGE;
        return;
    }
    long first = ftell(job->file);
    rewind(job->file);
    if (!open_producer(job))
        return;
    (void)fseek(job->file, first, SEEK_SET);
    read_lines(job);
    if (job->code == 0)
        finish(job, started);
}

static int
parse_format(const char *text, const char *path)
{
    const char *dot = strrchr(path, '.');
    const char *name = text ? text : dot ? dot + 1 : "";
    if (strcmp(name, "csv") == 0)
        return CHQ_IMPORT_CSV;
    if (strcmp(name, "ndjson") == 0 || strcmp(name, "jsonl") == 0)
        return CHQ_IMPORT_NDJSON;
    if (strcmp(name, "line") == 0 || strcmp(name, "lp") == 0 ||
        strcmp(name, "influx") == 0)
        return CHQ_IMPORT_LINE_PROTOCOL;
    chq_die(CHQ_EXIT_USAGE, "%s: which format? --format csv, ndjson or line", path);
}

/* `dir/speed_6005.csv` names the series speed_6005. */
static char *
key_of_file(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *key = strdup(slash ? slash + 1 : path);
    char *dot = key ? strrchr(key, '.') : NULL;
    if (dot && dot != key)
        *dot = '\0';
    return key;
}

static bool
is_two_columns(FILE *file)
{
    char *line = NULL;
    size_t capacity = 0, commas = 0;
    if (getline(&line, &capacity, file) > 0)
        for (const char *at = line; *at; at++)
            commas += *at == ',';
    free(line);
    rewind(file);
    return commas == 1;
}

static int
import_one(chq_t *chq, const char *path, const chq_import_t *settings, const char *format,
           bool resume)
{
    bool input = strcmp(path, "-") == 0;
    job_t job = {.chq = chq, .import = *settings, .resume = resume};
    job.import.path = input ? "standard input" : path;
    job.import.sink = (chq_import_sink_t){&job, sink_point, sink_row};
    job.format =
        (chq_import_format_t)parse_format(format, input ? "standard input" : path);
    job.file = input ? spool_input() : fopen(path, "re");
    if (!job.file) {
        chq_say("%s: %s", path, strerror(errno));
        return CHQ_EXIT_LOCAL;
    }
    char *key = NULL;
    if (job.format == CHQ_IMPORT_CSV && !job.import.key && !input &&
        is_two_columns(job.file))
        job.import.key = key = key_of_file(path);
    run_file(&job);
    cityhall_producer_destroy(&job.producer);
    chq_csv_release();
    (void)fclose(job.file);
    free(job.line);
    free(key);
    return job.code;
}

static int
import_files(chq_t *chq, int least)
{
    static char dash[] = "-";
    const char *format = chq_option(chq, "format"), *unit = chq_option(chq, "precision");
    chq_import_t settings = {.key = chq_option(chq, "key"), .precision_ns = 1};
    char one[16];
    (void)snprintf(one, sizeof one, "1%s", unit ? unit : "ns");
    if (!chq_duration_parse(one, &settings.precision_ns))
        chq_die(CHQ_EXIT_USAGE, "--precision %s: ns, us, ms or s", unit);
    settings.skip_bad = chq_switch(chq, "skip-bad");
    bool resume = chq_switch(chq, "resume");
    chq_arguments(chq, least, 100000);
    if (chq->argc == 0) {
        chq->argv[0] = dash;
        chq->argc = 1;
    }
    int code = CHQ_EXIT_OK;
    for (int i = 0; i < chq->argc && code == CHQ_EXIT_OK; i++)
        code = import_one(chq, chq->argv[i], &settings, format, resume);
    return code;
}

int
chq_cmd_write(chq_t *chq)
{
    return import_files(chq, 0);
}

int
chq_cmd_import(chq_t *chq)
{
    return import_files(chq, 1);
}
