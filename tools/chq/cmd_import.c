/* cmd_import.c - write and import: files to batches to a durable end.
 *
 * Resume    Batches are cut by size alone, so the same file gives the same batches. With --resume the
 *           producer's name is the hash of the file and the options, and its epoch is 1: what an
 *           earlier run made durable is a duplicate to the node and has no further effect.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "ch/checksum.h"
#include "chq/chq.h"
#include "chq/import.h"

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
    int64_t shown_ns; /* of the progress bar; 0: none is on the screen */
    bool line_bad;    /* the sink did not take it, and --skip-bad was given */
    int code;
} job_t;

static volatile sig_atomic_t interrupted;

static void
note_interrupt(int number)
{
    interrupted = number;
}

static int64_t
monotonic_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* A message below the progress bar, not through it. */
static void __attribute__((format(printf, 2, 3))) say(job_t *job, const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (job->shown_ns)
        (void)fputc('\n', stderr);
    job->shown_ns = 0;
    chq_say("%s", text);
}

static bool
sink_failed(job_t *job, const char *key, cityhall_status_t status)
{
    bool content = status == CITYHALL_ERR_ARGUMENT || status == CITYHALL_ERR_LIMIT;
    if (content && job->import.skip_bad) {
        job->line_bad = true;
        return true;
    }
    say(job, "%s:%" PRIu64 ": %.100s: %s", job->import.path, job->import.line, key,
        cityhall_producer_error(job->producer));
    job->code = content ? CHQ_EXIT_USAGE : CHQ_EXIT_UNREACHABLE;
    return false;
}

static bool
sink_point(void *context, const char *key, int64_t time, cityhall_value_t value)
{
    job_t *job = context;
    cityhall_status_t status = cityhall_producer_point(job->producer, key, time, value);
    job->points += status >= 0;
    return status >= 0 || sink_failed(job, key, status);
}

static bool
sink_row(void *context, const char *name, const cityhall_label_t *labels,
         size_t label_count, int64_t time, const char *const *fields,
         const cityhall_value_t *values, size_t field_count)
{
    job_t *job = context;
    cityhall_status_t status = cityhall_producer_row(
        job->producer, name, labels, label_count, time, fields, values, field_count);
    job->points += status >= 0 ? field_count : 0;
    return status >= 0 || sink_failed(job, name, status);
}

static void
say_reject(void *context, const cityhall_reject_t *reject)
{
    job_t *job = context;
    if (job->rejected++ < 5)
        say(job, "%s: batch %" PRIu64 " refused at point %" PRId64 ": %s: %s",
            job->import.path, reject->seq, reject->index, reject->code, reject->message);
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
        stderr, "\r[%.*s%.*s] %3d%%  %" PRIu64 " points%s", done,
        "##############################", WIDTH - done, "..............................",
        (int)(job->bytes * 100 / job->bytes_total), job->points, last ? "\n" : "");
    if (last)
        job->shown_ns = 0;
}

/* A line without its newline; false at the end of the file. */
static bool
next_line(job_t *job, char *error, size_t error_size)
{
    ssize_t size = getline(&job->line, &job->line_capacity, job->file);
    if (size < 0)
        return false;
    job->bytes += size;
    job->import.line++;
    *error = '\0';
    if (memchr(job->line, '\0', (size_t)size))
        (void)snprintf(error, error_size, "a zero byte; is this a text file?");
    if (job->import.line == 1 && strncmp(job->line, "\xef\xbb\xbf", 3) == 0) {
        size -= 3; /* a byte order mark */
        memmove(job->line, job->line + 3, (size_t)size + 1);
    }
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
    if (!next_line(job, error, sizeof error)) {
        chq_say("%s: empty; a CSV begins with a line that names its columns",
                job->import.path);
        return false;
    }
    if (*error || !chq_csv_header(&job->import, job->line, error, sizeof error)) {
        chq_say("%s:1: %s", job->import.path, error);
        return false;
    }
    while (next_line(job, error, sizeof error))
        chq_csv_scan(&job->import, job->line);
    rewind_file(job);
    return next_line(job, error, sizeof error); /* the header */
}

static bool
parse_line(job_t *job, char *error, size_t size)
{
    switch (job->format) {
    case CHQ_IMPORT_CSV:
        return !job->line[strspn(job->line, " \t")] ||
               chq_import_csv_line(&job->import, job->line, error, size);
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
    char error[160];
    while (job->code == 0 && !interrupted && next_line(job, error, sizeof error)) {
        job->line_bad = false;
        if (!*error && !parse_line(job, error, sizeof error))
            return;
        if (job->line_bad || (*error && job->import.skip_bad)) {
            job->import.bad++;
        } else if (*error) {
            say(job, "%s:%" PRIu64 ": %s (--skip-bad passes over such lines)",
                job->import.path, job->import.line, error);
            job->code = CHQ_EXIT_USAGE;
        }
        show_progress(job, false);
    }
    if (ferror(job->file)) {
        say(job, "%s: %s", job->import.path, strerror(errno));
        job->code = CHQ_EXIT_LOCAL;
    }
}

/* What cannot be read twice (standard input, a pipe) is copied to a file without a name. */
static FILE *
spool_input(FILE *input, const char *path)
{
    char buffer[1 << 16];
    FILE *copy = tmpfile();
    size_t size = 0;
    while (copy && (size = fread(buffer, 1, sizeof buffer, input)) > 0)
        if (fwrite(buffer, 1, size, copy) != size)
            break;
    if (!copy || fflush(copy) != 0 || ferror(copy) || ferror(input))
        chq_die(CHQ_EXIT_LOCAL, "%s: %s", path, strerror(errno));
    rewind(copy);
    if (input != stdin)
        (void)fclose(input);
    return copy;
}

static FILE *
open_input(const char *path)
{
    struct stat kind;
    FILE *file = fopen(path, "re");
    if (!file || fstat(fileno(file), &kind) != 0)
        chq_die(CHQ_EXIT_LOCAL, "%s: %s", path, strerror(errno));
    if (S_ISDIR(kind.st_mode))
        chq_die(CHQ_EXIT_LOCAL, "%s: is a directory", path);
    return S_ISREG(kind.st_mode) ? file : spool_input(file, path);
}

static void
name_by_content(job_t *job, char name[CHQ_PRODUCER_BYTES])
{
    uint8_t digest[CH_DIGEST_BYTES];
    char buffer[1 << 16];
    size_t size;
    ch_digest_t *state = ch_digest_new();
    const char *key = job->import.key          ? job->import.key
                      : job->import.key_single ? job->import.key_single
                                               : "";
    ch_digest_update(state, key, strlen(key) + 1);
    ch_digest_update(state, &job->format, sizeof job->format);
    ch_digest_update(state, &job->import.precision_ns, sizeof job->import.precision_ns);
    ch_digest_update(state, &job->import.skip_bad, sizeof job->import.skip_bad);
    while ((size = fread(buffer, 1, sizeof buffer, job->file)) > 0)
        ch_digest_update(state, buffer, size);
    ch_digest_value(state, digest);
    ch_digest_destroy(&state);
    rewind(job->file);
    (void)snprintf(name, CHQ_PRODUCER_BYTES, "import/");
    for (int i = 0; i < CH_DIGEST_BYTES; i++)
        (void)snprintf(name + 7 + 2 * i, 3, "%02x", digest[i]);
}

static void
open_producer(job_t *job)
{
    char name[CHQ_PRODUCER_BYTES];
    cityhall_producer_options_t options = chq_producer_options(job->chq);
    options.producer = name;
    options.on_reject = say_reject;
    options.on_reject_context = job;
    if (job->resume) {
        name_by_content(job, name);
        options.epoch = 1;
    } else {
        chq_producer_name(name);
    }
    job->producer = chq_producer(&options);
}

static void
say_done(job_t *job, int64_t started)
{
    double seconds = (double)(monotonic_ns() - started) / 1e9;
    char bad[64] = "";
    if (job->import.bad)
        (void)snprintf(bad, sizeof bad, ", %" PRIu64 " bad lines passed over",
                       job->import.bad);
    if (job->rejected)
        chq_say("%s: %" PRIu64 " batches were refused, the rest is durable%s",
                job->import.path, job->rejected, bad);
    else if (job->points == 0)
        (void)fprintf(stderr, "%s: no points in it%s\n", job->import.path, bad);
    else
        (void)fprintf(
            stderr, "%s: %" PRIu64 " points durable in %.2f s (%.0f points/s)%s\n",
            job->import.path, job->points, seconds, (double)job->points / seconds, bad);
}

static void
finish(job_t *job, int64_t started)
{
    cityhall_status_t status = cityhall_producer_send(job->producer, NULL);
    if (status >= 0)
        status = cityhall_producer_wait(job->producer, CITYHALL_DURABLE,
                                        (int32_t)job->chq->timeout_ms * 6);
    if (status < 0) {
        const char *why = cityhall_producer_error(job->producer);
        say(job, "%s: not all of it is durable: %s; run again with --resume",
            job->import.path, *why ? why : "no answer in time");
        job->code = CHQ_EXIT_UNREACHABLE;
        return;
    }
    show_progress(job, true);
    if (!job->chq->quiet)
        say_done(job, started);
    if (job->rejected)
        job->code = CHQ_EXIT_REFUSED;
}

/* Ctrl-C ends reading; a second one ends the program wherever it is. */
static void
watch_interrupts(void)
{
    struct sigaction action = {.sa_handler = note_interrupt,
                               .sa_flags = (int)SA_RESETHAND};
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
}

/* As the signal would have ended us, but not without a word. */
static void
end_interrupted(job_t *job)
{
    say(job, "%s: interrupted at line %" PRIu64 "; what was sent stays, --resume goes on",
        job->import.path, job->import.line);
    (void)signal(interrupted, SIG_DFL);
    (void)raise(interrupted);
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
    open_producer(job);
    (void)fseek(job->file, first, SEEK_SET);
    watch_interrupts();
    read_lines(job);
    if (interrupted)
        end_interrupted(job);
    else if (job->code == 0)
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

static int
import_one(chq_t *chq, const char *path, const chq_import_t *settings, const char *format,
           bool resume)
{
    bool input = strcmp(path, "-") == 0;
    const char *name = input ? "standard input" : path;
    job_t job = {.chq = chq, .import = *settings, .resume = resume};
    job.import.path = name;
    job.import.sink = (chq_import_sink_t){&job, sink_point, sink_row};
    job.format = (chq_import_format_t)parse_format(format, name);
    job.file = input ? spool_input(stdin, name) : open_input(path);
    char *key = input ? NULL : key_of_file(path);
    job.import.key_single = key;
    run_file(&job);
    cityhall_producer_destroy(&job.producer);
    chq_csv_release();
    (void)fclose(job.file);
    free(job.line);
    free(key);
    return job.code;
}

static int64_t
precision_ns(const char *unit)
{
    static const struct {
        const char *name;
        int64_t ns;
    } units[] = {{"ns", 1}, {"us", 1000}, {"ms", 1000000}, {"s", 1000000000}};
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (strcmp(units[i].name, unit) == 0)
            return units[i].ns;
    chq_die(CHQ_EXIT_USAGE, "--precision %s: ns, us, ms or s", unit);
}

static int
import_files(chq_t *chq, int least)
{
    static char dash[] = "-";
    const char *format = chq_option(chq, "format"), *unit = chq_option(chq, "precision");
    chq_import_t settings = {.key = chq_option(chq, "key"),
                             .precision_ns = precision_ns(unit ? unit : "ns")};
    settings.skip_bad = chq_switch(chq, "skip-bad");
    bool resume = chq_switch(chq, "resume");
    chq_arguments(chq, least, 100000);
    if (chq->argc == 0) {
        chq->argv[0] = dash;
        chq->argc = 1;
    }
    int code = CHQ_EXIT_OK, i = 0;
    while (i < chq->argc && code == CHQ_EXIT_OK)
        code = import_one(chq, chq->argv[i++], &settings, format, resume);
    if (code != CHQ_EXIT_OK && i < chq->argc)
        chq_say("stopped there: %d more files were not read", chq->argc - i);
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
