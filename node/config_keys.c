/* config_keys.c - the one table of configuration keys.
 *
 * Everything that is said about a key stands in its row: name, type, default, range, meaning. The
 * parser, --help, --print-config and docs/configuration.md read it, so they cannot disagree.
 */
#include "config.h"

#include <stddef.h>

#define KIB (UINT64_C(1) << 10)
#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)
#define MINUTE_MS (UINT64_C(60) * 1000)

#define SLOT(field) offsetof(ch_config_t, field)

#define RULE(n, help)                                                                    \
    {                                                                                    \
        "retention", "rule_" #n, CH_CONFIG_RULE, false, SLOT(retention_rules[(n)-1]),    \
            "", 0, 0, help                                                               \
    }

static const ch_config_key_t keys[] = {
    {"node", "name", CH_CONFIG_NAME, false, SLOT(node_name), "", 0, 0,
     "Name of this node in replies and logs, 1 to 64 bytes of [A-Za-z0-9._/-]. Empty: "
     "the host's "
     "name."},
    {"node", "data", CH_CONFIG_PATH, true, SLOT(node_data), "cityhall-data", 0, 0,
     "Data directory; made when missing, locked while the node runs. Same as --data."},
    {"listen", "ingest", CH_CONFIG_ENDPOINT, true, SLOT(listen_ingest),
     "tcp://127.0.0.1:7878", 0, 0,
     "PULL socket for write batches. Port * takes a free one (see <data>/endpoints)."},
    {"listen", "query", CH_CONFIG_ENDPOINT, true, SLOT(listen_query),
     "tcp://127.0.0.1:7879", 0, 0,
     "ROUTER socket for requests (REQ, or DEALER with the empty delimiter frame)."},
    {"listen", "publish", CH_CONFIG_ENDPOINT, false, SLOT(listen_publish),
     "tcp://127.0.0.1:7880", 0, 0,
     "PUB socket for sealed segments and heartbeats. Reserved: bound from the release "
     "that "
     "replicates."},
    {"listen", "http", CH_CONFIG_ADDRESS, false, SLOT(listen_http), "127.0.0.1:7881", 0,
     0, "Address of the HTTP interface. Reserved: served from a later release."},
    {"wal", "sync", CH_CONFIG_SYNC, true, SLOT(wal_sync_interval_ms), "group", 0,
     10 * MINUTE_MS,
     "When the log is synced: `group` syncs as soon as the last sync is done; "
     "`interval:100ms` at "
     "most that often (acknowledgements wait for it)."},
    {"wal", "segment_bytes", CH_CONFIG_BYTES, true, SLOT(wal_segment_bytes), "64MiB",
     1 * MIB, 1 * GIB, "Seal a log segment at this size."},
    {"wal", "segment_max_age", CH_CONFIG_DURATION, true, SLOT(wal_segment_max_age_ms),
     "1s", 10, 24 * 60 * MINUTE_MS,
     "Seal a log segment this long after its first record."},
    {"engine", "memtable_bytes", CH_CONFIG_BYTES, true, SLOT(engine_memtable_bytes),
     "64MiB", 1 * MIB, 16 * GIB,
     "Flush the memtable at this size; two of them at most are in memory."},
    {"engine", "memory_limit", CH_CONFIG_BYTES, true, SLOT(engine_memory_limit), "1GiB",
     64 * MIB, 1024 * GIB,
     "What memtables, series, cached blocks, queries and sockets together may take. "
     "Series and "
     "cached blocks share what the others leave; when it is spent, a batch that names a "
     "new series "
     "is rejected, and those that are there go on."},
    {"engine", "compaction", CH_CONFIG_BOOL, true, SLOT(engine_compaction), "true", 0, 1,
     "Merge tables in the background; without it they are merged on request alone."},
    {"engine", "compaction_rate", CH_CONFIG_BYTES, true, SLOT(engine_compaction_rate),
     "32MiB", 64 * KIB, 1024 * GIB,
     "Bytes that merges of tables read in a second, at most."},
    {"limits", "batch_bytes", CH_CONFIG_BYTES, true, SLOT(limit_batch_bytes), "4MiB",
     1 * KIB, 64 * MIB,
     "A batch's frame. Up to twice that is consumed and rejected; beyond, the peer is "
     "disconnected."},
    {"limits", "batch_points", CH_CONFIG_COUNT, true, SLOT(limit_batch_points), "100000",
     1, 10000000, "Points in one batch."},
    {"limits", "key_bytes", CH_CONFIG_BYTES, true, SLOT(limit_key_bytes), "1KiB", 16,
     16 * KIB, "A canonical series key."},
    {"limits", "labels", CH_CONFIG_COUNT, true, SLOT(limit_labels), "32", 0, 1000,
     "Labels of one series."},
    {"limits", "request_bytes", CH_CONFIG_BYTES, true, SLOT(limit_request_bytes), "1MiB",
     1 * KIB, 64 * MIB, "A request's frame; beyond, the peer is disconnected."},
    {"limits", "reply_bytes", CH_CONFIG_BYTES, true, SLOT(limit_reply_bytes), "8MiB",
     64 * KIB, 256 * MIB,
     "A reply; longer reads go on with a cursor, other answers fail with `limit`."},
    {"limits", "series", CH_CONFIG_COUNT, true, SLOT(limit_series), "5000000", 1,
     100000000, "Series the node keeps; a batch that names one more is rejected."},
    {"limits", "producer_series", CH_CONFIG_COUNT, true, SLOT(limit_producer_series),
     "1000000", 1, 100000000,
     "New series that one producer may bring while the node runs (batches without "
     "identity together count as one); a batch that names one more is rejected."},
    {"limits", "connections", CH_CONFIG_COUNT, true, SLOT(limit_connections), "0", 0,
     1000000,
     "Connections of all tcp sockets together; at the limit new ones wait outside. 0: as "
     "many as the limit of open files leaves beside log and tables."},
    {"limits", "producers", CH_CONFIG_COUNT, true, SLOT(limit_producers), "100000", 1,
     10000000, "Producers whose sessions the node keeps."},
    {"limits", "query_samples", CH_CONFIG_COUNT, true, SLOT(limit_query_samples),
     "50000000", 1, UINT64_C(100000000000), "Points one query may touch."},
    {"limits", "query_memory", CH_CONFIG_BYTES, true, SLOT(limit_query_memory), "32MiB",
     1 * MIB, 1024 * GIB,
     "Memory one query may hold: the points at hand, groups and answer. Never more "
     "than "
     "its worker's share of engine.memory_limit."},
    {"limits", "query_timeout", CH_CONFIG_DURATION, true, SLOT(limit_query_timeout_ms),
     "30s", 10, 60 * MINUTE_MS,
     "How long a request may take when it names no timeout_ms; also the most it "
     "may name."},
    {"retention", "age", CH_CONFIG_DURATION, true, SLOT(retention_age_ms), "0s", 0,
     36500 * 24 * 60 * MINUTE_MS,
     "How long points stay, of series that no rule names, counted back from the newest "
     "time that "
     "clock and data agree on; 0s keeps them for ever."},
    {"retention", "size", CH_CONFIG_BYTES, true, SLOT(retention_size), "0", 0,
     UINT64_C(1) << 60,
     "Bytes that all tables together may take; above, the oldest go, whole tables at a "
     "time; "
     "0 sets no limit."},
    RULE(
        1,
        "`SELECTOR:AGE`, such as {team=\"lab\"}:90d: these series stay so long, whatever "
        "retention.age says; of several rules the longest counts; an age of 0s: for "
        "ever."),
    RULE(2, "One more, as rule_1."),
    RULE(3, "One more, as rule_1."),
    RULE(4, "One more, as rule_1."),
    RULE(5, "One more, as rule_1."),
    RULE(6, "One more, as rule_1."),
    RULE(7, "One more, as rule_1."),
    RULE(8, "One more, as rule_1."),
    {"log", "level", CH_CONFIG_LEVEL, true, SLOT(log_level), "info", 0, 0,
     "Least level that is logged to stderr: debug, info, warn, error."},
    {"audit", "log", CH_CONFIG_PATH, false, SLOT(audit_log), "", 0, 0,
     "File to which deletes, snapshots, flushes, merges on request and refused peers are "
     "appended, one line each. Empty: they stand in the node's log as module=audit."},
    {"query", "workers", CH_CONFIG_COUNT, true, SLOT(query_workers), "2", 1, 64,
     "Threads that answer reads and queries."},
    {"security", "key_file", CH_CONFIG_PATH, false, SLOT(security_key_file), "", 0, 0,
     "File with the node's key pair (chq keygen), mode 0600; with it every socket speaks "
     "CURVE and admits only the keys of security.authorized_keys. See "
     "[security](security.md)."},
    {"security", "authorized_keys", CH_CONFIG_PATH, false, SLOT(security_authorized_keys),
     "", 0, 0,
     "File with the keys that get in and what each may do (chq auth); read again when it "
     "changes, and on SIGHUP."},
    {"security", "insecure", CH_CONFIG_BOOL, true, SLOT(security_insecure), "false", 0, 1,
     "Allow endpoints that other machines can reach although nothing is encrypted or "
     "authenticated."},
};

_Static_assert(sizeof keys / sizeof keys[0] <= CH_CONFIG_KEYS_MAX,
               "origins has a row per key");

const ch_config_key_t *
ch_config_keys(size_t *count_out)
{
    *count_out = sizeof keys / sizeof keys[0];
    return keys;
}

bool
ch_config_is_number(ch_config_type_t type)
{
    return type >= CH_CONFIG_BYTES;
}

const char *
ch_config_type_name(ch_config_type_t type)
{
    static const char *const names[] = {
        [CH_CONFIG_NAME] = "name",         [CH_CONFIG_PATH] = "path",
        [CH_CONFIG_ENDPOINT] = "endpoint", [CH_CONFIG_ADDRESS] = "host:port",
        [CH_CONFIG_RULE] = "rule",         [CH_CONFIG_BYTES] = "bytes",
        [CH_CONFIG_DURATION] = "duration", [CH_CONFIG_COUNT] = "count",
        [CH_CONFIG_BOOL] = "bool",         [CH_CONFIG_LEVEL] = "level",
        [CH_CONFIG_SYNC] = "sync",
    };
    return names[type];
}
