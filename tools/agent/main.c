/* cityhall-agent - pushes this machine's own metrics to a node.
 *
 * Every interval one batch: load, CPU use in percent, memory, disks, network. It is an ordinary
 * identified producer: a node that is away gets everything it missed when it is back, as far as the
 * window reaches. With --durable-count N it stops when the N-th batch is durable (for scripts).
 */
#include "agent/proc.h"

#include <cityhall.h>

#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { TEXT_BYTES = 1 << 16, ENTRIES_MAX = 64, EXIT_USAGE = 2 };

typedef struct agent {
    cityhall_producer_t *producer;
    int64_t now_ns;
    ch_cpu_times_t cpu_before[ENTRIES_MAX];
    size_t cpu_before_count;
    char text[TEXT_BYTES];
    bool failed;
} agent_t;

static const char usage[] =
    "usage: cityhall-agent [--ingest ENDPOINT] [--query ENDPOINT] [--producer NAME]\n"
    "                      [--interval SECONDS] [--durable-count N]\n"
    "                      [--key-file FILE] [--server-key KEY]\n"
    "\n"
    "Pushes this machine's metrics (system.cpu.*, system.memory.*, system.disk.*,\n"
    "system.network.*) to a CityHall node until Ctrl-C.\n"
    "  --ingest    the node's PULL socket   (tcp://127.0.0.1:7878)\n"
    "  --query     the node's REP socket    (tcp://127.0.0.1:7879)\n"
    "  --producer  name in the node's ledger (agent)\n"
    "  --interval  seconds between batches, 0.1 to 3600 (1)\n"
    "  --key-file  this agent's key pair, of chq keygen (no CURVE)\n"
    "  --server-key  the node's public key (the key file has it)\n"
    "  --durable-count  stop when so many batches are durable (0: never)\n";

static const char *
read_proc(agent_t *agent, const char *path)
{
    agent->text[0] = '\0';
    FILE *file = fopen(path, "re");
    if (!file)
        return agent->text;
    size_t size = fread(agent->text, 1, sizeof agent->text - 1, file);
    agent->text[size] = '\0';
    (void)fclose(file);
    return agent->text;
}

static void
put(agent_t *agent, const char *key, cityhall_value_t value)
{
    if (cityhall_producer_point(agent->producer, key, agent->now_ns, value) ==
        CITYHALL_OK)
        return;
    (void)fprintf(stderr, "cityhall-agent: %s: %s\n", key,
                  cityhall_producer_error(agent->producer));
    agent->failed = true;
}

static void
put_of(agent_t *agent, const char *metric, const char *label, const char *name,
       uint64_t value)
{
    char key[160];
    (void)snprintf(key, sizeof key, "%.64s{%.16s=\"%.31s\"}", metric, label, name);
    put(agent, key, cityhall_int((int64_t)value));
}

static void
put_load(agent_t *agent)
{
    double load[3];
    if (!ch_proc_load(read_proc(agent, "/proc/loadavg"), load))
        return;
    put(agent, "system.cpu.load", cityhall_float(load[0]));
    put(agent, "system.cpu.load5", cityhall_float(load[1]));
    put(agent, "system.cpu.load15", cityhall_float(load[2]));
}

/* Percent of the time since the last look; the first look has nothing to compare with. */
static void
put_cpu(agent_t *agent)
{
    ch_cpu_times_t now[ENTRIES_MAX];
    size_t count = ch_proc_cpu(read_proc(agent, "/proc/stat"), now, ENTRIES_MAX);
    for (size_t i = 0; i < count && i < agent->cpu_before_count; i++) {
        uint64_t total = now[i].total - agent->cpu_before[i].total;
        uint64_t busy = now[i].busy - agent->cpu_before[i].busy;
        char key[64] = "system.cpu.usage";
        if (now[i].name[3]) /* "cpu0" and on; "cpu" is all of them */
            (void)snprintf(key, sizeof key, "system.cpu.usage{core=\"%s\"}",
                           now[i].name + 3);
        uint64_t tenths = total ? busy * 1000 / total : 0;
        if (total > 0) /* a tenth of a percent is all that a second of ticks can tell */
            put(agent, key, cityhall_float((double)tenths / 10));
    }
    memcpy(agent->cpu_before, now, count * sizeof *now);
    agent->cpu_before_count = count;
}

static void
put_memory(agent_t *agent)
{
    const char *text = read_proc(agent, "/proc/meminfo");
    uint64_t total, available, swap_total, swap_free;
    if (ch_proc_meminfo(text, "MemTotal", &total) &&
        ch_proc_meminfo(text, "MemAvailable", &available)) {
        put(agent, "system.memory.total", cityhall_int((int64_t)total));
        put(agent, "system.memory.available", cityhall_int((int64_t)available));
        put(agent, "system.memory.used", cityhall_int((int64_t)(total - available)));
    }
    if (ch_proc_meminfo(text, "SwapTotal", &swap_total) &&
        ch_proc_meminfo(text, "SwapFree", &swap_free))
        put(agent, "system.memory.swap_used",
            cityhall_int((int64_t)(swap_total - swap_free)));
}

static void
put_disks(agent_t *agent)
{
    ch_disk_counters_t disks[ENTRIES_MAX];
    size_t count = ch_proc_disks(read_proc(agent, "/proc/diskstats"), disks, ENTRIES_MAX);
    for (size_t i = 0; i < count; i++) {
        put_of(agent, "system.disk.read_bytes", "device", disks[i].name,
               disks[i].read_bytes);
        put_of(agent, "system.disk.written_bytes", "device", disks[i].name,
               disks[i].written_bytes);
        put_of(agent, "system.disk.io_ms", "device", disks[i].name, disks[i].io_ms);
    }
}

static void
put_network(agent_t *agent)
{
    ch_net_counters_t nets[ENTRIES_MAX];
    size_t count = ch_proc_net(read_proc(agent, "/proc/net/dev"), nets, ENTRIES_MAX);
    for (size_t i = 0; i < count; i++) {
        put_of(agent, "system.network.received_bytes", "interface", nets[i].name,
               nets[i].received_bytes);
        put_of(agent, "system.network.sent_bytes", "interface", nets[i].name,
               nets[i].sent_bytes);
    }
}

static void
push_once(agent_t *agent)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    agent->now_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
    put_load(agent);
    put_cpu(agent);
    put_memory(agent);
    put_disks(agent);
    put_network(agent);
    cityhall_status_t status = cityhall_producer_send(agent->producer, NULL);
    if (status < 0)
        (void)fprintf(stderr, "cityhall-agent: %s\n",
                      cityhall_producer_error(agent->producer));
}

static void
say_reject(void *context, const cityhall_reject_t *reject)
{
    (void)context;
    (void)fprintf(stderr, "cityhall-agent: batch %llu refused: %s: %s\n",
                  (unsigned long long)reject->seq, reject->code, reject->message);
}

typedef struct arguments {
    cityhall_producer_options_t options;
    double interval;
    uint64_t durable_count;
} arguments_t;

/* 0, or the exit code. */
static int
parse_arguments(int argc, char **argv, arguments_t *arguments)
{
    static const struct option options[] = {
        {"ingest", required_argument, NULL, 'i'},
        {"query", required_argument, NULL, 'q'},
        {"producer", required_argument, NULL, 'p'},
        {"interval", required_argument, NULL, 'n'},
        {"durable-count", required_argument, NULL, 'c'},
        {"key-file", required_argument, NULL, 'k'},
        {"server-key", required_argument, NULL, 's'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0}};
    for (int choice; (choice = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
        switch (choice) {
        case 'i':
            arguments->options.ingest = optarg;
            break;
        case 'q':
            arguments->options.query = optarg;
            break;
        case 'p':
            arguments->options.producer = optarg;
            break;
        case 'n':
            arguments->interval = strtod(optarg, NULL);
            break;
        case 'c':
            arguments->durable_count = strtoull(optarg, NULL, 10);
            break;
        case 'k':
            arguments->options.key_file = optarg;
            break;
        case 's':
            arguments->options.server_key = optarg;
            break;
        case 'h':
            (void)fputs(usage, stdout);
            exit(0);
        default:
            (void)fputs(usage, stderr);
            return EXIT_USAGE;
        }
    }
    if (optind < argc || !(arguments->interval >= 0.1 && arguments->interval <= 3600)) {
        (void)fputs(usage, stderr);
        return EXIT_USAGE;
    }
    return 0;
}

/* A timer and the signals that end us, both as descriptors. */
static void
open_descriptors(double interval, struct pollfd wait_for[2])
{
    sigset_t signals;
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGINT);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigprocmask(SIG_BLOCK, &signals, NULL);
    struct itimerspec every = {.it_value = {.tv_nsec = 1}};
    every.it_interval.tv_sec = (time_t)interval;
    every.it_interval.tv_nsec =
        (long)((interval - (double)every.it_interval.tv_sec) * 1e9);
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    (void)timerfd_settime(timer, 0, &every, NULL);
    wait_for[0] = (struct pollfd){.fd = timer, .events = POLLIN};
    wait_for[1] =
        (struct pollfd){.fd = signalfd(-1, &signals, SFD_CLOEXEC), .events = POLLIN};
}

static void
run(agent_t *agent, const arguments_t *arguments)
{
    struct pollfd wait_for[2];
    cityhall_producer_stats_t stats = {0};
    open_descriptors(arguments->interval, wait_for);
    for (;;) {
        if (cityhall_producer_poll(agent->producer, 0) == CITYHALL_ERR_FENCED) {
            (void)fprintf(stderr, "cityhall-agent: another agent runs under this name\n");
            agent->failed = true;
            break;
        }
        cityhall_producer_stats(agent->producer, &stats);
        if (arguments->durable_count && stats.durable >= arguments->durable_count)
            break;
        int wait_ms = stats.held_batches ? 50 : -1;
        if (poll(wait_for, 2, wait_ms) < 0 && errno != EINTR)
            break;
        if (wait_for[1].revents)
            break;
        uint64_t ticks;
        if (wait_for[0].revents && read(wait_for[0].fd, &ticks, sizeof ticks) > 0)
            push_once(agent);
    }
    (void)close(wait_for[0].fd);
    (void)close(wait_for[1].fd);
}

int
main(int argc, char **argv)
{
    arguments_t arguments = {.interval = 1};
    cityhall_producer_options_init(&arguments.options);
    arguments.options.producer = "agent";
    arguments.options.on_reject = say_reject;
    int code = parse_arguments(argc, argv, &arguments);
    if (code)
        return code;
    agent_t *agent = calloc(1, sizeof *agent);
    char error[256];
    if (!agent || cityhall_producer_open(&arguments.options, &agent->producer, error,
                                         sizeof error) < 0) {
        (void)fprintf(stderr, "cityhall-agent: %s\n", agent ? error : "out of memory");
        free(agent);
        return 1;
    }
    run(agent, &arguments);
    bool failed = cityhall_producer_close(&agent->producer, 2000) < 0 || agent->failed;
    free(agent);
    return failed;
}
