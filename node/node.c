/* node.c - start in order, wait, stop in order.
 *
 * Start    keys, engine (lock, recovery), auth actor, ingest actor, front actor, a stranger is refused,
 *          endpoints file, `event=ready`.
 * Stop     on SIGTERM or SIGINT: ingest ends, the log is synced so that waiting acks are told the
 *          truth, the front tells the rest, the engine flushes and seals. A second signal, or
 *          STOP_SECONDS, ends the process at once; that is a crash, which recovery covers.
 * Failed   when log or manifest cannot be written: who waits is told `internal`, exit 74. Nothing
 *          is flushed or sealed then: what the disk holds is decided by recovery.
 */
#include "node.h"

#include <czmq.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include "auth_actor.h"
#include "ch/assert.h"
#include "ch/fs.h"
#include "endpoints.h"
#include "front_actor.h"
#include "ingest_actor.h"
#include "self_test.h"
#include "sockets.h"
#include "watch.h"

#if defined(CH_ASAN) || defined(CH_TSAN)
enum { STOP_SECONDS = 60 }; /* a sanitizer's pace is no reason to give up */
#else
enum { STOP_SECONDS = 10 };
#endif

typedef struct runtime {
    ch_node_t *node;
    zactor_t *auth, *ingest, *front;
    char ingest_endpoint[CH_ENDPOINT_BYTES], query_endpoint[CH_ENDPOINT_BYTES];
    int signals; /* signalfd */
} runtime_t;

/* ---- the engine's side */

/* From the engine's threads. The fence orders the engine's change before the look at who waits; the
 * front orders the other way round, so one of both sees the other. */
static void
on_progress(void *context)
{
    ch_node_t *node = context;
    atomic_thread_fence(memory_order_seq_cst);
    ch_poke_raise(&node->ingest_poke);
    if (atomic_load(&node->front_waits))
        ch_poke_raise(&node->front_poke);
    if (atomic_load(&node->serving) && ch_engine_failed(node->engine))
        ch_poke_raise(&node->main_poke);
}

static int64_t
query_wall_ns(void *context)
{
    const ch_node_t *node = context;
    return ch_clock_wall_ns(&node->clock);
}

static int64_t
query_monotonic_ns(void *context)
{
    const ch_node_t *node = context;
    return atomic_load(&node->stopping) ? INT64_MAX : ch_clock_monotonic_ns(&node->clock);
}

/* The rules' selectors, cut out of the configured texts. */
typedef struct retention {
    ch_retention_rule_t rules[CH_CONFIG_RULES];
    char matches[CH_CONFIG_RULES][CH_CONFIG_TEXT_MAX + 1];
} retention_t;

static ch_status_t
read_retention(const ch_config_t *config, retention_t *retention,
               ch_retention_options_t *options)
{
    *options = (ch_retention_options_t){.age_ns = (int64_t)config->retention_age_ms *
                                                  INT64_C(1000000),
                                        .bytes = config->retention_size,
                                        .rules = retention->rules};
    for (int i = 0; i < CH_CONFIG_RULES; i++) {
        const char *text = config->retention_rules[i];
        size_t size = 0;
        uint64_t age_ms = 0;
        if (!text[0])
            continue;
        ch_status_t status = ch_config_rule_parse(text, &size, &age_ms);
        if (status < 0)
            return status;
        snprintf(retention->matches[i], sizeof retention->matches[i], "%.*s", (int)size,
                 text);
        retention->rules[options->rule_count++] = (ch_retention_rule_t){
            retention->matches[i], (int64_t)age_ms * INT64_C(1000000)};
    }
    return CH_OK;
}

static ch_status_t
open_engine(ch_node_t *node)
{
    const ch_config_t *config = node->config;
    retention_t retention;
    ch_engine_options_t options;
    ch_engine_options_init(&options);
    options.path = config->node_data;
    options.clock = &node->clock;
    options.log = &node->log;
    options.sync_mode = config->wal_sync_interval_ms ? CH_SYNC_INTERVAL : CH_SYNC_GROUP;
    if (config->wal_sync_interval_ms)
        options.sync_interval_ms = (uint32_t)config->wal_sync_interval_ms;
    options.wal_segment_bytes = config->wal_segment_bytes;
    options.wal_segment_max_age_ms = (uint32_t)config->wal_segment_max_age_ms;
    options.memtable_bytes = config->engine_memtable_bytes;
    options.memory_limit = config->engine_memory_limit;
    options.compaction_bytes_per_s = config->engine_compaction_rate;
    if (!config->engine_compaction)
        options.compaction_flushes = 0;
    options.limits = node->limits;
    options.on_progress = on_progress;
    options.on_progress_context = node;
    ch_status_t status = read_retention(config, &retention, &options.retention);
    if (status == CH_OK)
        status = ch_engine_open(&options, &node->engine);
    if (status == CH_ERR_BUSY)
        return ch_fail(status, "data directory %s is in use by another node",
                       config->node_data);
    if (status == CH_OK)
        atomic_store(&node->serving, true);
    return status;
}

/* ---- start */

static void
take_name(ch_node_t *node)
{
    char host[256] = "cityhall";
    const char *name = node->config->node_name;
    if (!name[0] && gethostname(host, sizeof host - 1) == 0)
        name = host;
    snprintf(node->name, sizeof node->name, "%.*s", CH_PRODUCER_BYTES_MAX,
             name[0] ? name : host);
}

/* A connection may have its queue full of the greatest batches, or requests, and no more. */
static ch_intake_t *
intake_new(const ch_node_t *node)
{
    const ch_intake_limits_t limits = {
        .connection_bytes = {(CH_INGEST_QUEUE_MESSAGES + 4) * 2 *
                                 (uint64_t)node->limits.batch_bytes,
                             (UINT64_C(64) << 20) +
                                 2 * (uint64_t)node->limits.request_bytes},
        .total_bytes = ch_config_memory_plan(node->config).intake,
    };
    return ch_intake_new(&limits);
}

static ch_node_t *
node_new(const ch_config_t *config)
{
    ch_node_t *node =
        aligned_alloc(64, (sizeof *node + 63) / 64 * 64); /* the ring is aligned */
    CH_ASSERT(node);
    memset(node, 0, sizeof *node);
    node->config = config;
    node->limits = ch_config_limits(config);
    uint64_t share = ch_config_memory_plan(config).queries / config->query_workers;
    if (node->limits.query_memory > share)
        node->limits.query_memory = share;
    node->log = ch_log_stderr((ch_log_level_t)config->log_level);
    node->clock = ch_clock_system();
    node->query_clock = (ch_clock_t){
        .wall_ns = query_wall_ns, .monotonic_ns = query_monotonic_ns, .context = node};
    node->ingest_poke.fd = node->front_poke.fd = node->main_poke.fd = -1;
    node->intake = intake_new(node);
    take_name(node);
    snprintf(node->control_endpoint, sizeof node->control_endpoint, "inproc://control-%p",
             (void *)node);
    return node;
}

static void
node_destroy(ch_node_t *node)
{
    ch_poke_release(&node->ingest_poke);
    ch_poke_release(&node->front_poke);
    ch_poke_release(&node->main_poke);
    ch_intake_destroy(&node->intake);
    ch_audit_destroy(&node->audit);
    ch_gate_destroy(&node->gate);
    ch_keys_destroy(&node->keys);
    free(node);
}

static ch_status_t
open_pokes(ch_node_t *node)
{
    ch_status_t status = ch_poke_init(&node->ingest_poke);
    if (status == CH_OK)
        status = ch_poke_init(&node->front_poke);
    if (status == CH_OK)
        status = ch_poke_init(&node->main_poke);
    return status;
}

/* Before any thread is made: all inherit the blocked mask, so signals reach only the signalfd. */
static ch_status_t
open_signals(runtime_t *runtime)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    if (ch_keys_wanted(runtime->node->config))
        sigaddset(&set, SIGHUP); /* read the keys again; without keys it ends us */
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ,
                 SIG_IGN); /* a file size limit is an error of write, not a death */
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
    runtime->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return runtime->signals >= 0
               ? CH_OK
               : ch_fail(CH_ERR_IO, "signalfd: %s", strerrordesc_np(errno));
}

/* Every connection and every table is a file. */
static void
raise_file_limit(const ch_log_t *log)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max)
        return;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        ch_log(log, CH_LOG_WARN, "node", "nofile", "error=%d", errno);
}

static void
log_start(const ch_node_t *node)
{
    char data[CH_CONFIG_TEXT_MAX / 2];
    const ch_config_t *config = node->config;
    ch_log_quote(config->node_data, strlen(config->node_data), data, sizeof data);
    ch_log(&node->log, CH_LOG_INFO, "node", "start", "version=%s name=%s data=%s pid=%d",
           CH_VERSION, node->name, data, (int)getpid());
    if (config->security_insecure && !ch_keys_wanted(config))
        ch_log(&node->log, CH_LOG_WARN, "node", "insecure",
               "meaning=\"security.insecure=true: anybody who reaches the endpoints may "
               "write, "
               "read and delete; nothing is encrypted\"");
}

static ch_status_t
start_actor(zactor_fn function, ch_node_t *node, zactor_t **actor_out, char *endpoint_out)
{
    *actor_out = zactor_new(function, node);
    if (!*actor_out)
        return ch_fail(CH_ERR_LIMIT, "an actor did not start: %s",
                       zmq_strerror(zmq_errno()));
    return ch_actor_await(*actor_out, endpoint_out, CH_ENDPOINT_BYTES);
}

/* What this start does to the data that is there, by whose hand. */
static void
audit_start(const ch_node_t *node)
{
    const ch_config_t *config = node->config;
    char who[64], rule[CH_CONFIG_TEXT_MAX / 4];
    (void)snprintf(who, sizeof who, "uid %u, pid %d", (unsigned)getuid(), (int)getpid());
    ch_audit(node->audit, "start", ch_bytes_text(who), "ok",
             "version=%s insecure=%d retention_age_ms=%" PRIu64
             " retention_size=%" PRIu64,
             CH_VERSION, (int)config->security_insecure, config->retention_age_ms,
             config->retention_size);
    for (int i = 0; i < CH_CONFIG_RULES; i++) {
        const char *text = config->retention_rules[i];
        if (text[0])
            ch_audit(node->audit, "retention", ch_bytes_text(who), "ok", "rule=%s",
                     ch_log_quote(text, strlen(text), rule, sizeof rule));
    }
}

static void
log_listening(const ch_node_t *node, const char *socket, const char *endpoint)
{
    ch_log(&node->log, CH_LOG_INFO, "node", "listening", "socket=%s endpoint=%s", socket,
           endpoint);
}

/* Locked memory is scarce in some containers; the node serves all the same. */
static ch_status_t
open_keys(ch_node_t *node)
{
    if (!ch_keys_wanted(node->config))
        return CH_OK;
    ch_status_t status = ch_keys_open(node->config, &node->keys);
    if (status < 0)
        return status;
    ch_log(&node->log, CH_LOG_INFO, "auth", "keys", "public=%s keys=%zu",
           node->keys->secret->public_key, ch_keyring_count(node->keys->current));
    if (!node->keys->secret->locked)
        ch_log(&node->log, CH_LOG_WARN, "auth", "not_locked",
               "meaning=\"the secret key may be swapped to disk: RLIMIT_MEMLOCK leaves "
               "no room to lock a page\"");
    return CH_OK;
}

static ch_status_t
start_actors(runtime_t *runtime)
{
    ch_node_t *node = runtime->node;
    ch_status_t status = CH_OK;
    char word[CH_ENDPOINT_BYTES];
    if (node->keys)
        status = start_actor(ch_auth_actor, node, &runtime->auth, word);
    if (status == CH_OK)
        status = start_actor(ch_ingest_actor, node, &runtime->ingest,
                             runtime->ingest_endpoint);
    if (status == CH_OK)
        status =
            start_actor(ch_front_actor, node, &runtime->front, runtime->query_endpoint);
    if (status == CH_OK && node->keys)
        status =
            ch_self_test(node->keys, runtime->ingest_endpoint, runtime->query_endpoint);
    if (status < 0)
        return status;
    ch_intake_listen(node->intake, 0, runtime->ingest_endpoint);
    ch_intake_listen(node->intake, 1, runtime->query_endpoint);
    node->gate = ch_gate_new((uint32_t)node->config->limit_connections);
    ch_watch_look(&(ch_watch_t){0}, node); /* figures, before anybody asks for them */
    log_listening(node, "ingest", runtime->ingest_endpoint);
    log_listening(node, "query", runtime->query_endpoint);
    audit_start(node);
    const ch_endpoint_t endpoints[] = {{"ingest", runtime->ingest_endpoint},
                                       {"query", runtime->query_endpoint}};
    return ch_endpoints_write(node->config->node_data, endpoints, 2);
}

static ch_status_t
start(runtime_t *runtime)
{
    ch_node_t *node = runtime->node;
    ch_status_t status = open_signals(runtime);
    if (status == CH_OK)
        status = open_pokes(node);
    if (status < 0)
        return status;
    raise_file_limit(&node->log);
    ch_fs_posix_reserve();
    zsys_handler_set(NULL); /* signals are ours; its one I/O thread is what we want */
    log_start(node);
    status =
        ch_audit_new(node->config->audit_log, &node->log, &node->clock, &node->audit);
    if (status == CH_OK)
        status = open_keys(node);
    if (status == CH_OK)
        status = open_engine(node);
    if (status == CH_OK)
        status = start_actors(runtime);
    return status;
}

/* ---- serve */

static bool
engine_failed(const ch_node_t *node)
{
    return atomic_load(&node->failing) || ch_engine_failed(node->engine);
}

/* Is it a signal to end? Reading takes it off the pending ones; the next is then a second one. */
static bool
take_signal(const runtime_t *runtime)
{
    struct signalfd_siginfo info;
    char who[64];
    if (read(runtime->signals, &info, sizeof info) != (ssize_t)sizeof info)
        return false;
    bool reload = info.ssi_signo == SIGHUP;
    (void)snprintf(who, sizeof who, "uid %u, pid %u", info.ssi_uid, info.ssi_pid);
    ch_audit(runtime->node->audit, reload ? "reload" : "stop", ch_bytes_text(who), "ok",
             "signal=%u", info.ssi_signo);
    if (reload)
        zstr_send(runtime->auth, "RELOAD");
    return !reload;
}

/* Until a signal comes or the engine fails. */
static void
wait_for_end(runtime_t *runtime)
{
    ch_node_t *node = runtime->node;
    struct pollfd fds[] = {{.fd = runtime->signals, .events = POLLIN},
                           {.fd = node->main_poke.fd, .events = POLLIN}};
    ch_watch_t watch = {0};
    for (;;) {
        ch_poke_arm(&node->main_poke);
        if (engine_failed(node))
            return;
        int count = poll(fds, 2, ch_intake_pause_ms(node->intake));
        ch_watch_look(&watch, node);
        if (count > 0 && fds[1].revents)
            ch_poke_clear(&node->main_poke);
        if (count > 0 && fds[0].revents && take_signal(runtime))
            return;
    }
}

/* ---- stop */

static void
die_at_once(int signal_number)
{
    static const char again[] =
        "level=warn module=node event=killed reason=\"second signal\"\n";
    static const char late[] =
        "level=error module=node event=killed reason=\"stopping took longer "
        "than 10 s; the next start recovers\"\n";
    const char *text = signal_number == SIGALRM ? late : again;
    ssize_t written = write(STDERR_FILENO, text, strlen(text));
    (void)written;
    _exit(CH_EXIT_FAILED);
}

/* From now on a signal, or the alarm, ends the process. */
static void
arm_impatience(void)
{
    struct sigaction action = {.sa_handler = die_at_once};
    sigset_t set;
    sigemptyset(&set);
    static const int numbers[] = {SIGTERM, SIGINT, SIGALRM};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        sigaddset(&set, numbers[i]);
        (void)sigaction(numbers[i], &action, NULL);
    }
    (void)alarm(STOP_SECONDS);
    (void)pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

static void
stop_actors(runtime_t *runtime, bool failed)
{
    ch_node_t *node = runtime->node;
    ch_actor_destroy(&runtime->ingest);
    if (node->engine &&
        !failed) { /* without room, what is not durable is pending still */
        ch_status_t status = ch_engine_sync(node->engine);
        failed = status < 0 && status != CH_ERR_NOSPACE;
    }
    atomic_store(&node->stopping, true);
    if (runtime->front) {
        zstr_send(runtime->front, failed ? "FAIL" : "DRAIN");
        char *drained = zstr_recv(runtime->front);
        zstr_free(&drained);
    }
    ch_actor_destroy(&runtime->front);
    ch_actor_destroy(&runtime->auth);
}

static void
log_error(const ch_node_t *node, const char *event)
{
    char why[400];
    ch_log(&node->log, CH_LOG_ERROR, "node", event, "reason=%s",
           ch_log_quote(ch_fail_text(), strlen(ch_fail_text()), why, sizeof why));
}

/* The engine's threads call on_progress until they are joined, so node->engine stays until then. */
static void
destroy_engine(ch_node_t *node)
{
    ch_engine_t *engine = node->engine;
    ch_engine_destroy(&engine);
    node->engine = NULL;
}

/* Flush and seal. A full disk is no failure: the log holds what the tables could not take. */
static int
close_engine(ch_node_t *node)
{
    if (engine_failed(node))
        return CH_EXIT_IO;
    ch_status_t status = ch_engine_close(node->engine);
    if (status == CH_OK)
        return EXIT_SUCCESS;
    log_error(node, "close_failed");
    return status == CH_ERR_IO ? CH_EXIT_IO : CH_EXIT_FAILED;
}

static int
stop(runtime_t *runtime)
{
    ch_node_t *node = runtime->node;
    bool failed = engine_failed(node);
    ch_log(&node->log, failed ? CH_LOG_ERROR : CH_LOG_INFO, "node", "stopping",
           "reason=%s", failed ? "failed" : "signal");
    arm_impatience();
    ch_endpoints_remove(node->config->node_data);
    stop_actors(runtime, failed);
    int code = close_engine(node);
    destroy_engine(node);
    ch_log(&node->log, CH_LOG_INFO, "node", "stopped", "code=%d", code);
    return code;
}

/* Started half: undo, and leave the data as a clean stop does. */
static int
abandon(runtime_t *runtime)
{
    ch_node_t *node = runtime->node;
    log_error(node, "start_failed");
    if (runtime->front && runtime->query_endpoint[0])
        stop_actors(runtime, false);
    ch_actor_destroy(&runtime->front);
    ch_actor_destroy(&runtime->ingest);
    ch_actor_destroy(&runtime->auth);
    if (node->engine && ch_engine_close(node->engine) < 0)
        log_error(node, "close_failed");
    destroy_engine(node);
    return CH_EXIT_FAILED;
}

int
ch_node_run(const ch_config_t *config)
{
    runtime_t runtime = {.node = node_new(config), .signals = -1};
    int code;
    if (start(&runtime) < 0) {
        code = abandon(&runtime);
    } else {
        ch_log(&runtime.node->log, CH_LOG_INFO, "node", "ready",
               "lsn=%" PRIu64 " term=%" PRIu64,
               ch_engine_durable_lsn(runtime.node->engine),
               ch_engine_term(runtime.node->engine));
        wait_for_end(&runtime);
        code = stop(&runtime);
    }
    if (runtime.signals >= 0)
        close(runtime.signals);
    node_destroy(runtime.node);
    return code;
}
