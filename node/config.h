/// The node's configuration: one table of keys (config_keys.c) from which parsing, help, the printed
/// forms and docs/configuration.md come.
///
/// Order    default < file < environment < --set; each later source replaces the earlier one.
/// Shape    every key is a text slot (char *) or a number slot (uint64_t: bytes, ms, count, 0/1).
/// Errors   CH_ERR_INVALID with a text that names the place (file:line, variable,
///          option), what is wrong, and for an unknown key the nearest known one.
/// Threads  built by one thread, then read-only.
#ifndef CH_CONFIG_H
#define CH_CONFIG_H

#include <stdio.h>
#include "ch/bytes.h"
#include "ch/engine.h"
#include "ch/limits.h"
#include "ch/status.h"

enum {
    CH_CONFIG_KEYS_MAX =
        64, /* a static assert in config_keys.c keeps the table below it */
    CH_CONFIG_TEXT_MAX = 1024,   /* bytes of one value */
    CH_CONFIG_RULES = 8,         /* of retention */
    CH_CONFIG_ORIGIN_BYTES = 160 /* "file:line" for print-config and messages */
};

typedef enum {
    CH_CONFIG_NAME,     /* text: 1 to 64 bytes of [A-Za-z0-9._/-] */
    CH_CONFIG_PATH,     /* text: a path, not empty */
    CH_CONFIG_ENDPOINT, /* text: tcp://host:port, ipc://path, or empty where allowed */
    CH_CONFIG_ADDRESS,  /* text: host:port, or empty */
    CH_CONFIG_RULE,     /* text: selector:duration, or empty */
    CH_CONFIG_BYTES,    /* number: 4096, 4KiB, 64MiB, 1GiB */
    CH_CONFIG_DURATION, /* number of ms: 100ms, 1s, 5m, 1h */
    CH_CONFIG_COUNT,    /* number */
    CH_CONFIG_BOOL,     /* number: true, false */
    CH_CONFIG_LEVEL,    /* number: debug, info, warn, error (ch_log_level_t) */
    CH_CONFIG_SYNC,     /* number of ms: group (0), interval:100ms */
} ch_config_type_t;

typedef struct ch_config {
    char *node_name; /* empty: the host's name */
    char *node_data;
    char *listen_ingest, *listen_query, *listen_publish, *listen_http;
    uint64_t wal_sync_interval_ms; /* 0: group commit */
    uint64_t wal_segment_bytes, wal_segment_max_age_ms;
    uint64_t engine_memtable_bytes, engine_memory_limit;
    uint64_t engine_compaction, engine_compaction_rate;
    uint64_t limit_batch_bytes, limit_batch_points, limit_key_bytes, limit_labels;
    uint64_t limit_request_bytes, limit_reply_bytes, limit_series, limit_producers;
    uint64_t limit_producer_series, limit_connections; /* connections 0: by descriptors */
    uint64_t limit_query_samples, limit_query_memory, limit_query_timeout_ms;
    uint64_t retention_age_ms, retention_size; /* 0: no limit */
    char *retention_rules[CH_CONFIG_RULES];
    uint64_t log_level;
    char *audit_log; /* empty: the node's own log */
    uint64_t query_workers;
    char *security_key_file, *security_authorized_keys; /* both or none */
    uint64_t security_insecure;
    char origins[CH_CONFIG_KEYS_MAX]
                [CH_CONFIG_ORIGIN_BYTES]; /* where each value came from */
} ch_config_t;

typedef struct ch_config_key {
    const char *section;
    const char *key;
    ch_config_type_t type;
    bool required;      /* an empty value is refused */
    size_t offset;      /* of the slot in ch_config_t */
    const char *preset; /* the default, as text */
    uint64_t min, max;  /* numbers */
    const char *help;
} ch_config_key_t;

/// The table; *count_out keys.
const ch_config_key_t *ch_config_keys(size_t *count_out);

/// Does the slot hold a number (else a text)?
bool ch_config_is_number(ch_config_type_t type);

/// "bytes", "duration", ...: how help and docs name the type.
const char *ch_config_type_name(ch_config_type_t type);

/// Every default. Release it even when a later step fails.
void ch_config_init(ch_config_t *config);
void ch_config_release(ch_config_t *config);

/// Set one key. `origin` says where it stood, for messages and --print-config.
ch_status_t ch_config_set(ch_config_t *config, const char *section, const char *key,
                          const char *value, const char *origin) CH_MUST_CHECK;

/// Set from "section.key=value" (--set).
ch_status_t ch_config_set_pair(ch_config_t *config, const char *pair) CH_MUST_CHECK;

/// Read an INI file. Errors: CH_ERR_IO (cannot be read), CH_ERR_INVALID.
ch_status_t ch_config_load_file(ch_config_t *config, const char *path) CH_MUST_CHECK;

/// Take CITYHALL_<SECTION>_<KEY> from a NULL-terminated environment. A CITYHALL_ variable that is
/// no key is an error when it looks like a slip (same section, or near a key); others (such as the
/// ones container platforms make from service names) are left alone.
ch_status_t ch_config_load_environment(ch_config_t *config,
                                       char *const *environment) CH_MUST_CHECK;

/// What must hold between keys: endpoints that differ, only loopback unless there are keys or
/// security.insecure.
ch_status_t ch_config_check(const ch_config_t *config) CH_MUST_CHECK;

/// Can this endpoint be reached from this machine only?
bool ch_config_is_loopback(const char *endpoint);

/// How engine.memory_limit is shared out.
ch_memory_plan_t ch_config_memory_plan(const ch_config_t *config);

ch_limits_t ch_config_limits(const ch_config_t *config);

typedef enum {
    CH_CONFIG_PRINT_INI,
    CH_CONFIG_PRINT_MARKDOWN,
    CH_CONFIG_PRINT_HELP
} ch_config_form_t;

/// Print the effective values (INI), the reference page (MARKDOWN) or the key list (HELP).
void ch_config_print(const ch_config_t *config, ch_config_form_t form, FILE *to);

/// Take `selector:duration` apart: the selector's length and the age. Errors: CH_ERR_INVALID,
/// CH_ERR_PARSE (the selector).
ch_status_t ch_config_rule_parse(const char *text, size_t *selector_size_out,
                                 uint64_t *age_ms_out) CH_MUST_CHECK;

/// Value text <-> number; pure. `parse` errors: CH_ERR_INVALID.
ch_status_t ch_units_parse(ch_config_type_t type, const char *text,
                           uint64_t *value_out) CH_MUST_CHECK;
/// The shortest exact text, such as "64MiB" or "1s".
void ch_units_format(ch_config_type_t type, uint64_t value, char *out, size_t out_size);

#endif
