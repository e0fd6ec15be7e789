/* config.c - values from defaults, a file, the environment and --set into one struct.
 *
 * Sources are read in order of precedence, so "the later replaces the earlier" needs no priorities.
 * Within one file a key may stand once: of two values one is surely a mistake.
 */
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <ini.h>
#include "ch/alloc.h"
#include "ch/assert.h"
#include "ch/log.h"
#include "ch/selector.h"
#include "ch/suggest.h"

enum { NAME_BYTES = 128, LINE_BYTES = 190 /* inih is built with lines of 200 bytes */ };

#define MAX_AGE_MS (UINT64_C(36500) * 24 * 3600 * 1000) /* as of retention.age */

static const char environment_prefix[] = "CITYHALL_";

static char **
text_slot(const ch_config_t *config, const ch_config_key_t *key)
{
    return (char **)((char *)(uintptr_t)config + key->offset);
}

static uint64_t *
number_slot(const ch_config_t *config, const ch_config_key_t *key)
{
    return (uint64_t *)((char *)(uintptr_t)config + key->offset);
}

static void
full_name(const ch_config_key_t *key, char *out, size_t out_size)
{
    snprintf(out, out_size, "%s.%s", key->section, key->key);
}

/* CITYHALL_SECTION_KEY */
static void
environment_name(const ch_config_key_t *key, char *out, size_t out_size)
{
    snprintf(out, out_size, "%s%s_%s", environment_prefix, key->section, key->key);
    for (char *at = out; *at; at++)
        *at = (char)toupper((unsigned char)*at);
}

/* ---- one value ---- */

static ch_status_t
set_number(ch_config_t *config, const ch_config_key_t *key, const char *value)
{
    uint64_t number = 0;
    ch_status_t status = ch_units_parse(key->type, value, &number);
    if (status < 0)
        return status;
    bool ranged = key->max > 0;
    if (ranged && (number < key->min || number > key->max)) {
        char low[32], high[32];
        ch_units_format(key->type, key->min, low, sizeof low);
        ch_units_format(key->type, key->max, high, sizeof high);
        return ch_fail(CH_ERR_INVALID, "%s is out of range, which is %s to %s", value,
                       low, high);
    }
    *number_slot(config, key) = number;
    return CH_OK;
}

static bool
name_valid(const char *text)
{
    return strlen(text) <= CH_PRODUCER_BYTES_MAX &&
           text[strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                             "0123456789._/-")] == '\0';
}

static bool
port_valid(const char *port)
{
    if (strcmp(port, "*") == 0)
        return true;
    size_t digits = strspn(port, "0123456789");
    return digits > 0 && digits <= 5 && port[digits] == '\0' &&
           strtol(port, NULL, 10) <= 65535;
}

/* host:port, where the host may be [IPv6] */
static bool
address_valid(const char *text)
{
    const char *colon = strrchr(text, ':');
    return colon && colon > text && port_valid(colon + 1) && !strpbrk(text, " \t/;");
}

ch_status_t
ch_config_rule_parse(const char *text, size_t *selector_size_out, uint64_t *age_ms_out)
{
    const char *colon = strrchr(text, ':');
    if (!colon || colon == text)
        return ch_fail(CH_ERR_INVALID, "it is not SELECTOR:AGE, such as cpu_user:30d");
    ch_selector_t *selector = NULL;
    ch_status_t status = ch_units_parse(CH_CONFIG_DURATION, colon + 1, age_ms_out);
    if (status == CH_OK && *age_ms_out > MAX_AGE_MS)
        status = ch_fail(CH_ERR_INVALID, "%s is more than 36500d", colon + 1);
    if (status == CH_OK)
        status = ch_selector_parse(ch_bytes(text, (size_t)(colon - text)), &selector);
    ch_selector_destroy(&selector);
    *selector_size_out = (size_t)(colon - text);
    return status < 0 ? status : CH_OK;
}

static ch_status_t
check_rule(const char *text)
{
    size_t size;
    uint64_t age_ms;
    ch_status_t status = ch_config_rule_parse(text, &size, &age_ms);
    return status < 0 ? CH_ERR_INVALID : CH_OK;
}

/* What an INI file cannot say is no value from elsewhere either: --print-config must be readable again. */
static ch_status_t
check_sayable(const char *value)
{
    size_t size = strlen(value);
    for (size_t i = 0; i < size; i++)
        if ((unsigned char)value[i] < ' ' || value[i] == 0x7f)
            return ch_fail(CH_ERR_INVALID, "byte %zu of the value is a control character",
                           i);
    if (size && (value[0] == ' ' || value[size - 1] == ' '))
        return ch_fail(CH_ERR_INVALID, "the value begins or ends with a space");
    if (value[0] == ';' || strstr(value, " ;"))
        return ch_fail(CH_ERR_INVALID, "a ; that begins the value or follows a space "
                                       "would begin a comment in a file");
    return CH_OK;
}

static ch_status_t
check_text(const ch_config_key_t *key, const char *value)
{
    if (value[0] == '\0')
        return key->required ? ch_fail(CH_ERR_INVALID, "the value is empty") : CH_OK;
    ch_status_t status = check_sayable(value);
    if (status < 0)
        return status;
    char quoted[160];
    ch_log_quote(value, strlen(value), quoted, sizeof quoted);
    if (key->type == CH_CONFIG_NAME && !name_valid(value))
        return ch_fail(CH_ERR_INVALID, "%s is not 1 to 64 bytes of [A-Za-z0-9._/-]",
                       quoted);
    if (key->type == CH_CONFIG_ADDRESS && !address_valid(value))
        return ch_fail(CH_ERR_INVALID, "%s is not host:port", quoted);
    if (key->type == CH_CONFIG_RULE)
        return check_rule(value);
    if (key->type != CH_CONFIG_ENDPOINT)
        return CH_OK;
    bool tcp = strncmp(value, "tcp://", 6) == 0 && address_valid(value + 6);
    bool ipc = strncmp(value, "ipc://", 6) == 0 && value[6];
    if (!tcp && !ipc)
        return ch_fail(CH_ERR_INVALID, "%s is not tcp://host:port or ipc://path", quoted);
    return CH_OK;
}

static ch_status_t
set_text(ch_config_t *config, const ch_config_key_t *key, const char *value)
{
    ch_status_t status = check_text(key, value);
    if (status < 0)
        return status;
    char **slot = text_slot(config, key);
    ch_free(*slot);
    *slot = ch_strdup(value);
    return CH_OK;
}

static ch_status_t
set_value(ch_config_t *config, size_t i, const char *value, const char *origin)
{
    size_t count;
    const ch_config_key_t *key = &ch_config_keys(&count)[i];
    if (strlen(value) > CH_CONFIG_TEXT_MAX)
        return ch_fail(CH_ERR_INVALID, "%s: %s.%s: the value is longer than %d bytes",
                       origin, key->section, key->key, CH_CONFIG_TEXT_MAX);
    ch_status_t status = ch_config_is_number(key->type) ? set_number(config, key, value)
                                                        : set_text(config, key, value);
    if (status < 0)
        return ch_fail_context(status, "%s: %s.%s: ", origin, key->section, key->key);
    snprintf(config->origins[i], sizeof config->origins[i], "%s", origin);
    return CH_OK;
}

/* Index of "section.key", or the number of keys. */
static size_t
find_key(const char *name)
{
    size_t count;
    const ch_config_key_t *keys = ch_config_keys(&count);
    for (size_t i = 0; i < count; i++) {
        char known[NAME_BYTES];
        full_name(&keys[i], known, sizeof known);
        if (strcmp(known, name) == 0)
            return i;
    }
    return count;
}

static ch_status_t
fail_unknown(const char *name, const char *origin)
{
    size_t count;
    const ch_config_key_t *keys = ch_config_keys(&count);
    ch_suggest_t suggest;
    ch_suggest_init(&suggest, name);
    for (size_t i = 0; i < count; i++) {
        char known[NAME_BYTES];
        full_name(&keys[i], known, sizeof known);
        ch_suggest_offer(&suggest, known);
    }
    char quoted[NAME_BYTES];
    ch_log_quote(name, strlen(name), quoted, sizeof quoted);
    const char *best = ch_suggest_best(&suggest);
    if (best)
        return ch_fail(CH_ERR_INVALID, "%s: unknown key %s; did you mean %s?", origin,
                       quoted, best);
    return ch_fail(CH_ERR_INVALID, "%s: unknown key %s; --help lists them all", origin,
                   quoted);
}

/* ---- sources ---- */

void
ch_config_init(ch_config_t *config)
{
    size_t count;
    const ch_config_key_t *keys = ch_config_keys(&count);
    memset(config, 0, sizeof *config);
    for (size_t i = 0; i < count; i++) {
        ch_status_t status = set_value(config, i, keys[i].preset, "default");
        if (status < 0)
            fprintf(stderr, "%s\n", ch_fail_text());
        CH_ASSERT(status == CH_OK); /* the table's own defaults are valid */
    }
}

void
ch_config_release(ch_config_t *config)
{
    size_t count;
    const ch_config_key_t *keys = ch_config_keys(&count);
    for (size_t i = 0; i < count; i++) {
        if (ch_config_is_number(keys[i].type))
            continue;
        char **slot = text_slot(config, &keys[i]);
        ch_free(*slot);
        *slot = NULL;
    }
}

ch_status_t
ch_config_set(ch_config_t *config, const char *section, const char *key,
              const char *value, const char *origin)
{
    char name[NAME_BYTES];
    snprintf(name, sizeof name, "%s.%s", section, key);
    size_t count;
    ch_config_keys(&count);
    size_t i = find_key(name);
    return i < count ? set_value(config, i, value, origin) : fail_unknown(name, origin);
}

ch_status_t
ch_config_set_pair(ch_config_t *config, const char *pair)
{
    const char *equals = strchr(pair, '=');
    char name[NAME_BYTES];
    if (!equals || (size_t)(equals - pair) >= sizeof name)
        return ch_fail(CH_ERR_INVALID, "--set %.100s: expected section.key=value", pair);
    snprintf(name, sizeof name, "%.*s", (int)(equals - pair), pair);
    size_t count;
    ch_config_keys(&count);
    size_t i = find_key(name);
    return i < count ? set_value(config, i, equals + 1, "--set")
                     : fail_unknown(name, "--set");
}

typedef struct file_reader {
    FILE *file;
    ch_config_t *config;
    const char *path;
    unsigned line;
    unsigned lines[CH_CONFIG_KEYS_MAX]; /* where a key stood already; 0: nowhere */
    ch_status_t status;                 /* of the first error */
} file_reader_t;

/* One line of at most LINE_BYTES, without white space in front: inih would take an indented line as
 * going on the last value. False: the end, or a line that cannot be one. */
static bool
read_line(file_reader_t *reader, char line[LINE_BYTES + 2])
{
    size_t size = 0;
    int byte;
    while ((byte = getc(reader->file)) != EOF && byte != '\n') {
        if (byte == '\0' || size == LINE_BYTES) {
            reader->status =
                byte ? ch_fail(CH_ERR_INVALID, "%s:%u: the line is longer than %d bytes",
                               reader->path, reader->line + 1, LINE_BYTES)
                     : ch_fail(CH_ERR_INVALID, "%s:%u: a zero byte; is this a text file?",
                               reader->path, reader->line + 1);
            return false;
        }
        if (size > 0 || (byte != ' ' && byte != '\t'))
            line[size++] = (char)byte;
    }
    line[size] = '\n';
    line[size + 1] = '\0';
    return size > 0 || byte != EOF;
}

/* The only way to know the line in the handler: inih asks for one line, then calls the handler for
 * it. It would go on after a broken section, and blame the keys below it. */
static char *
reader_line(char *to, int size, void *context)
{
    file_reader_t *reader = context;
    char line[LINE_BYTES + 2];
    if (reader->status < 0 || size < (int)sizeof line || !read_line(reader, line))
        return NULL;
    reader->line++;
    if (line[0] == '[' && !strchr(line, ']')) {
        reader->status = ch_fail(CH_ERR_INVALID, "%s:%u: the section has no ]",
                                 reader->path, reader->line);
        return NULL;
    }
    snprintf(to, (size_t)size, "%s", line);
    return to;
}

static int
reader_value(void *context, const char *section, const char *key, const char *value)
{
    file_reader_t *reader = context;
    char origin[CH_CONFIG_ORIGIN_BYTES], name[NAME_BYTES];
    snprintf(origin, sizeof origin, "%.140s:%u", reader->path, reader->line);
    snprintf(name, sizeof name, "%s.%s", section, key);
    if (reader->status < 0)
        return 1;
    size_t count;
    ch_config_keys(&count);
    size_t i = find_key(name);
    if (!*section) {
        reader->status = ch_fail(
            CH_ERR_INVALID, "%s: %.40s stands above the first [section]", origin, key);
    } else if (i == count) {
        reader->status = fail_unknown(name, origin);
    } else if (reader->lines[i]) {
        reader->status = ch_fail(CH_ERR_INVALID, "%s: %s is set already in line %u",
                                 origin, name, reader->lines[i]);
    } else {
        reader->lines[i] = reader->line;
        reader->status = set_value(reader->config, i, value, origin);
    }
    return 1;
}

ch_status_t
ch_config_load_file(ch_config_t *config, const char *path)
{
    file_reader_t reader = {.config = config, .path = path};
    reader.file = fopen(path, "re");
    if (!reader.file)
        return ch_fail(CH_ERR_IO, "%s: cannot be read: %s", path, strerrordesc_np(errno));
    int bad_line = ini_parse_stream(reader_line, &reader, reader_value, &reader);
    bool unread = ferror(reader.file) != 0;
    fclose(reader.file);
    if (reader.status < 0)
        return reader.status;
    if (unread)
        return ch_fail(CH_ERR_IO, "%s: cannot be read", path);
    if (bad_line != 0)
        return ch_fail(CH_ERR_INVALID, "%s:%d: neither [section] nor key = value", path,
                       bad_line);
    return CH_OK;
}

/* A variable of our prefix that is no key: a slip of ours, or somebody else's? */
static ch_status_t
judge_stranger(const char *name)
{
    size_t count;
    const ch_config_key_t *keys = ch_config_keys(&count);
    ch_suggest_t suggest;
    ch_suggest_init(&suggest, name);
    for (size_t i = 0; i < count; i++) {
        char known[NAME_BYTES];
        environment_name(&keys[i], known, sizeof known);
        ch_suggest_offer(&suggest, known);
    }
    const char *best = ch_suggest_best(&suggest);
    if (best)
        return ch_fail(CH_ERR_INVALID,
                       "environment: unknown variable %.100s; did you mean %s?", name,
                       best);
    for (size_t i = 0; i < count; i++) {
        size_t length = strlen(keys[i].section);
        const char *rest = name + sizeof environment_prefix - 1;
        if (strncasecmp(rest, keys[i].section, length) == 0 && rest[length] == '_')
            return ch_fail(CH_ERR_INVALID,
                           "environment: unknown variable %.100s; --help lists the keys",
                           name);
    }
    return CH_OK;
}

static ch_status_t
take_variable(ch_config_t *config, const char *variable)
{
    const char *equals = strchr(variable, '=');
    char name[NAME_BYTES];
    if (!equals || (size_t)(equals - variable) >= sizeof name)
        return CH_OK;
    snprintf(name, sizeof name, "%.*s", (int)(equals - variable), variable);
    size_t count;
    const ch_config_key_t *keys = ch_config_keys(&count);
    for (size_t i = 0; i < count; i++) {
        char known[NAME_BYTES], origin[CH_CONFIG_ORIGIN_BYTES];
        environment_name(&keys[i], known, sizeof known);
        if (strcmp(known, name))
            continue;
        snprintf(origin, sizeof origin, "environment %s", name);
        return set_value(config, i, equals + 1, origin);
    }
    return judge_stranger(name);
}

ch_status_t
ch_config_load_environment(ch_config_t *config, char *const *environment)
{
    for (; *environment; environment++) {
        if (strncmp(*environment, environment_prefix, sizeof environment_prefix - 1))
            continue;
        ch_status_t status = take_variable(config, *environment);
        if (status < 0)
            return status;
    }
    return CH_OK;
}

/* ---- between keys ---- */

static const char *
origin_of(const ch_config_t *config, const char *name)
{
    return config->origins[find_key(name)];
}

bool
ch_config_is_loopback(const char *endpoint)
{
    if (strncmp(endpoint, "ipc://", 6) == 0)
        return true;
    const char *host = strncmp(endpoint, "tcp://", 6) == 0 ? endpoint + 6 : endpoint;
    const char *colon = strrchr(host, ':');
    size_t size = colon ? (size_t)(colon - host) : strlen(host);
    static const char *const names[] = {"localhost", "[::1]", "::1"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (size == strlen(names[i]) && strncmp(host, names[i], size) == 0)
            return true;
    }
    /* 127.0.0.0/8 in digits only: "127.example.org" is a name that may mean any machine */
    return size > 4 && strncmp(host, "127.", 4) == 0 &&
           strspn(host, "0123456789.") == size;
}

static ch_status_t
check_reach(const ch_config_t *config, const ch_config_key_t *key)
{
    const char *value = *text_slot(config, key);
    /* CURVE is ZeroMQ's; the HTTP address has nothing of it */
    bool keyed = config->security_key_file[0] && key->type == CH_CONFIG_ENDPOINT;
    if (value[0] == '\0' || keyed || config->security_insecure ||
        ch_config_is_loopback(value))
        return CH_OK;
    char name[NAME_BYTES];
    full_name(key, name, sizeof name);
    return ch_fail(
        CH_ERR_INVALID,
        "%s: %s: %s can be reached from other machines, and nothing protects it; use "
        "127.0.0.1, %ssay security.insecure=true if the network is trusted",
        origin_of(config, name), name, value,
        key->type == CH_CONFIG_ENDPOINT ? "set security.key_file, or " : "or ");
}

/* Half of it would look protected. */
static ch_status_t
check_keys(const ch_config_t *config)
{
    bool pair = config->security_key_file[0], table = config->security_authorized_keys[0];
    if (pair == table)
        return CH_OK;
    const char *given = pair ? "security.key_file" : "security.authorized_keys";
    const char *missing = pair ? "security.authorized_keys" : "security.key_file";
    return ch_fail(CH_ERR_INVALID, "%s: %s is set and %s is not; keys need both",
                   origin_of(config, given), given, missing);
}

static bool
takes_any_port(const char *endpoint)
{
    size_t size = strlen(endpoint);
    return size > 2 && (strcmp(endpoint + size - 2, ":*") == 0 ||
                        strcmp(endpoint + size - 2, ":0") == 0);
}

static ch_status_t
check_listen(const ch_config_t *config)
{
    size_t count;
    const ch_config_key_t *keys = ch_config_keys(&count);
    for (size_t i = 0; i < count; i++) {
        if (keys[i].type != CH_CONFIG_ENDPOINT && keys[i].type != CH_CONFIG_ADDRESS)
            continue;
        ch_status_t status = check_reach(config, &keys[i]);
        if (status < 0)
            return status;
    }
    if (strcmp(config->listen_ingest, config->listen_query) == 0 &&
        !takes_any_port(config->listen_ingest))
        return ch_fail(CH_ERR_INVALID,
                       "listen.ingest (%s) and listen.query (%s) are both %s",
                       origin_of(config, "listen.ingest"),
                       origin_of(config, "listen.query"), config->listen_ingest);
    return CH_OK;
}

ch_memory_plan_t
ch_config_memory_plan(const ch_config_t *config)
{
    ch_engine_options_t options;
    ch_engine_options_init(&options);
    return ch_engine_memory_plan(config->engine_memory_limit,
                                 config->engine_memtable_bytes, options.wal_window_bytes);
}

ch_status_t
ch_config_check(const ch_config_t *config)
{
    ch_status_t status = check_keys(config);
    if (status == CH_OK)
        status = check_listen(config);
    if (status < 0)
        return status;
    ch_memory_plan_t plan = ch_config_memory_plan(config);
    if (plan.fits)
        return CH_OK;
    char text[3][32];
    ch_units_format(CH_CONFIG_BYTES, config->engine_memory_limit, text[0],
                    sizeof text[0]);
    ch_units_format(CH_CONFIG_BYTES, config->engine_memtable_bytes, text[1],
                    sizeof text[1]);
    ch_units_format(CH_CONFIG_BYTES, plan.least, text[2], sizeof text[2]);
    return ch_fail(
        CH_ERR_INVALID,
        "engine.memory_limit=%s (%s) must hold two memtables beside the program, "
        "sockets, queries and series: at least %s for "
        "engine.memtable_bytes=%s (%s)",
        text[0], origin_of(config, "engine.memory_limit"), text[2], text[1],
        origin_of(config, "engine.memtable_bytes"));
}

ch_limits_t
ch_config_limits(const ch_config_t *config)
{
    return (ch_limits_t){
        .batch_bytes = (uint32_t)config->limit_batch_bytes,
        .batch_points = (uint32_t)config->limit_batch_points,
        .key_bytes = (uint32_t)config->limit_key_bytes,
        .labels = (uint32_t)config->limit_labels,
        .request_bytes = (uint32_t)config->limit_request_bytes,
        .reply_bytes = (uint32_t)config->limit_reply_bytes,
        .series = config->limit_series,
        .producer_series = config->limit_producer_series,
        .producers = (uint32_t)config->limit_producers,
        .query_samples = config->limit_query_samples,
        .query_memory = config->limit_query_memory,
        .query_timeout_ms = (uint32_t)config->limit_query_timeout_ms,
    };
}
