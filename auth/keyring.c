/* keyring.c - the parser of authorized_keys, and the table it makes. */
#include "ch/keyring.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include "ch/alloc.h"
#include "ch/assert.h"
#include "ch/key_file.h"
#include "ch/suggest.h"

struct ch_keyring {
    atomic_uint holders;
    ch_key_t *keys; /* in the order of the file */
    size_t count, capacity;
    const ch_key_t **by_text; /* sorted */
    char *memory;             /* the file's text; producer and series point into it */
};

typedef struct parser {
    const char *origin;
    unsigned line;
    ch_selector_check_t check;
    ch_keyring_t *keyring;
} parser_t;

static const struct {
    const char *name;
    ch_role_t role;
} roles[] = {{"write", CH_ROLE_WRITE},
             {"read", CH_ROLE_READ},
             {"replicate", CH_ROLE_REPLICATE},
             {"admin", CH_ROLE_ADMIN}};
enum { ROLE_COUNT = sizeof roles / sizeof roles[0] };

/* ---- the table */

ch_keyring_t *
ch_keyring_ref(ch_keyring_t *keyring)
{
    (void)atomic_fetch_add(&keyring->holders, 1);
    return keyring;
}

void
ch_keyring_drop(ch_keyring_t **keyring_in)
{
    ch_keyring_t *keyring = ch_take(keyring_in);
    if (!keyring || atomic_fetch_sub(&keyring->holders, 1) != 1)
        return;
    ch_free(keyring->keys);
    ch_free(keyring->by_text);
    ch_free(keyring->memory);
    ch_free(keyring);
}

size_t
ch_keyring_count(const ch_keyring_t *keyring)
{
    return keyring->count;
}

const ch_key_t *
ch_keyring_at(const ch_keyring_t *keyring, size_t i)
{
    CH_ASSERT(i < keyring->count);
    return &keyring->keys[i];
}

static int
compare_text(const void *text, const void *entry)
{
    return memcmp(text, (*(const ch_key_t *const *)entry)->text, CH_KEY_TEXT);
}

const ch_key_t *
ch_keyring_find(const ch_keyring_t *keyring, ch_bytes_t text)
{
    if (text.size != CH_KEY_TEXT || keyring->count == 0)
        return NULL;
    const ch_key_t **found = bsearch(text.data, keyring->by_text, keyring->count,
                                     sizeof *keyring->by_text, compare_text);
    return found ? *found : NULL;
}

void
ch_roles_format(unsigned set, char out[40])
{
    size_t size = 0;
    out[0] = '\0';
    for (int i = 0; i < ROLE_COUNT; i++)
        if (set & roles[i].role)
            size += (size_t)snprintf(out + size, 40 - size, "%s%s", size ? "," : "",
                                     roles[i].name);
}

/* ---- a line */

/* The word at *at, NUL-terminated in place; NULL at the end. */
static char *
next_word(char **at)
{
    char *word = *at + strspn(*at, " \t");
    size_t size = strcspn(word, " \t");
    if (size == 0)
        return NULL;
    *at = word + size;
    if (word[size])
        *(*at)++ = '\0';
    return word;
}

static ch_status_t
parse_role(const parser_t *parser, const char *word, size_t size, unsigned *set)
{
    char text[32];
    ch_suggest_t suggest;
    (void)snprintf(text, sizeof text, "%.*s", (int)(size < 31 ? size : 31), word);
    ch_suggest_init(&suggest, text);
    for (int i = 0; i < ROLE_COUNT; i++) {
        if (strlen(roles[i].name) == size && memcmp(roles[i].name, word, size) == 0) {
            *set |= roles[i].role;
            return CH_OK;
        }
        ch_suggest_offer(&suggest, roles[i].name);
    }
    const char *best = ch_suggest_best(&suggest);
    return ch_fail(CH_ERR_PARSE, "%s:%u: no role %s%s%s%s", parser->origin, parser->line,
                   size ? text : "at a comma", best ? "; did you mean " : "",
                   best ? best : "; there are write, read, replicate and admin",
                   best ? "?" : "");
}

static ch_status_t
parse_roles(const parser_t *parser, const char *word, unsigned *set)
{
    if (!word)
        return ch_fail(CH_ERR_PARSE,
                       "%s:%u: the key has no roles; expected KEY ROLES NAME",
                       parser->origin, parser->line);
    for (;;) {
        size_t size = strcspn(word, ",");
        ch_status_t status = parse_role(parser, word, size, set);
        if (status < 0 || !word[size])
            return status;
        word += size + 1;
    }
}

/* A producer's id is made of the same characters. */
static bool
name_valid(const char *text)
{
    size_t size = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                               "0123456789._/-");
    return size > 0 && size <= CH_KEY_NAME_MAX && text[size] == '\0';
}

static ch_status_t
parse_name(const parser_t *parser, const char *word, ch_key_t *key)
{
    if (!word)
        return ch_fail(CH_ERR_PARSE,
                       "%s:%u: the key has no name; expected KEY ROLES NAME",
                       parser->origin, parser->line);
    if (!name_valid(word))
        return ch_fail(CH_ERR_PARSE,
                       "%s:%u: a name is 1 to 64 characters of [A-Za-z0-9._/-]",
                       parser->origin, parser->line);
    (void)snprintf(key->name, sizeof key->name, "%s", word);
    return CH_OK;
}

static ch_status_t
parse_producer(const parser_t *parser, const char *value, ch_key_t *key)
{
    if (!name_valid(value))
        return ch_fail(CH_ERR_PARSE,
                       "%s:%u: producer= is 1 to 64 characters of [A-Za-z0-9._/-], with "
                       "which ids begin",
                       parser->origin, parser->line);
    if (key->producer[0])
        return ch_fail(CH_ERR_PARSE, "%s:%u: producer= stands there twice",
                       parser->origin, parser->line);
    key->producer = value;
    return CH_OK;
}

static ch_status_t
parse_rate(const parser_t *parser, const char *value, ch_key_t *key)
{
    size_t digits = strspn(value, "0123456789");
    uint64_t rate = digits > 0 && digits < 12 ? strtoull(value, NULL, 10) : 0;
    if (value[digits] || rate == 0)
        return ch_fail(CH_ERR_PARSE,
                       "%s:%u: rate= is a whole number of points a second, above 0",
                       parser->origin, parser->line);
    if (key->rate)
        return ch_fail(CH_ERR_PARSE, "%s:%u: rate= stands there twice", parser->origin,
                       parser->line);
    key->rate = rate;
    return CH_OK;
}

static ch_status_t
parse_series(const parser_t *parser, char *value, ch_key_t *key)
{
    size_t size = strlen(value);
    while (size > 0 && (value[size - 1] == ' ' || value[size - 1] == '\t'))
        value[--size] = '\0';
    if (parser->check(value) < 0)
        return ch_fail_context(CH_ERR_PARSE, "%s:%u: series=: ", parser->origin,
                               parser->line);
    key->series = value;
    return CH_OK;
}

static ch_status_t
parse_option(const parser_t *parser, const char *word, ch_key_t *key)
{
    if (strncmp(word, "producer=", 9) == 0)
        return parse_producer(parser, word + 9, key);
    if (strncmp(word, "rate=", 5) == 0)
        return parse_rate(parser, word + 5, key);
    return ch_fail(CH_ERR_PARSE,
                   "%s:%u: behind the name there may be producer=, rate= and, last, "
                   "series=",
                   parser->origin, parser->line);
}

/* What a restriction would not hold for must not look restricted. */
static ch_status_t
judge(const parser_t *parser, const ch_key_t *key)
{
    bool write = key->roles & CH_ROLE_WRITE;
    if (!write && (key->producer[0] || key->rate))
        return ch_fail(CH_ERR_PARSE, "%s:%u: producer= and rate= go with the role write",
                       parser->origin, parser->line);
    if (key->series[0] && (key->roles & (CH_ROLE_ADMIN | CH_ROLE_REPLICATE)))
        return ch_fail(CH_ERR_PARSE,
                       "%s:%u: series= does not bind the roles admin and replicate, "
                       "which concern all series; give them to another key",
                       parser->origin, parser->line);
    return CH_OK;
}

static ch_status_t
parse_options(const parser_t *parser, char *at, ch_key_t *key)
{
    for (;;) {
        at += strspn(at, " \t");
        bool series = strncmp(at, "series=", 7) == 0;
        char *word = series ? NULL : next_word(&at);
        ch_status_t status = CH_OK;
        if (series)
            status = parse_series(parser, at + 7, key);
        else if (word)
            status = parse_option(parser, word, key);
        if (status < 0)
            return status;
        if (!word)
            return judge(parser, key);
    }
}

static ch_key_t *
add_key(ch_keyring_t *keyring)
{
    if (keyring->count == keyring->capacity) {
        keyring->capacity = keyring->capacity ? keyring->capacity * 2 : 16;
        keyring->keys =
            ch_realloc(keyring->keys, keyring->capacity * sizeof *keyring->keys);
    }
    ch_key_t *key = &keyring->keys[keyring->count++];
    *key = (ch_key_t){.producer = "", .series = ""};
    return key;
}

/* `line` is NUL-terminated and ours to change. */
static ch_status_t
parse_line(parser_t *parser, char *line)
{
    line += strspn(line, " \t");
    if (line[0] == '\0' ||
        line[0] == '#') /* no key begins so: it would be above 2^32 - 1 */
        return CH_OK;
    if (parser->keyring->count == CH_KEYRING_KEYS_MAX)
        return ch_fail(CH_ERR_PARSE, "%s:%u: more than %d keys", parser->origin,
                       parser->line, CH_KEYRING_KEYS_MAX);
    uint8_t bytes[CH_KEY_BYTES];
    const char *word = next_word(&line);
    if (!ch_z85_decode(word, strlen(word), bytes))
        return ch_fail(CH_ERR_PARSE,
                       "%s:%u: the first word is no public key of 40 characters of Z85",
                       parser->origin, parser->line);
    ch_key_t *key = add_key(parser->keyring);
    key->line = parser->line;
    memcpy(key->text, word, CH_KEY_TEXT);
    ch_status_t status = parse_roles(parser, next_word(&line), &key->roles);
    if (status == CH_OK)
        status = parse_name(parser, next_word(&line), key);
    return status < 0 ? status : parse_options(parser, line, key);
}

/* ---- the file */

static ch_status_t
check_line(const parser_t *parser, const char *line, size_t size)
{
    if (size > CH_KEYRING_LINE_MAX)
        return ch_fail(CH_ERR_PARSE, "%s:%u: the line is longer than %d bytes",
                       parser->origin, parser->line, CH_KEYRING_LINE_MAX);
    for (size_t i = 0; i < size; i++)
        if (((unsigned char)line[i] < ' ' && line[i] != '\t') || line[i] == 0x7f)
            return ch_fail(CH_ERR_PARSE, "%s:%u: byte %zu is a control character",
                           parser->origin, parser->line, i + 1);
    if (!ch_bytes_is_utf8(ch_bytes(line, size)))
        return ch_fail(CH_ERR_PARSE, "%s:%u: the line is no UTF-8", parser->origin,
                       parser->line);
    return CH_OK;
}

static ch_status_t
parse_lines(parser_t *parser, char *text, size_t size)
{
    for (size_t at = 0; at < size;) {
        char *end = memchr(text + at, '\n', size - at);
        size_t next = end ? (size_t)(end - text) : size, length = next - at;
        if (length > 0 && text[at + length - 1] == '\r')
            length--;
        parser->line++;
        ch_status_t status = check_line(parser, text + at, length);
        text[at + length] = '\0'; /* there is one byte more than `size` */
        if (status == CH_OK)
            status = parse_line(parser, text + at);
        if (status < 0)
            return status;
        at = next + 1;
    }
    return CH_OK;
}

static int
order_by_text(const void *a, const void *b)
{
    return memcmp((*(const ch_key_t *const *)a)->text,
                  (*(const ch_key_t *const *)b)->text, CH_KEY_TEXT);
}

static int
order_by_name(const void *a, const void *b)
{
    return strcmp((*(const ch_key_t *const *)a)->name,
                  (*(const ch_key_t *const *)b)->name);
}

static ch_status_t
refuse_twice(const parser_t *parser, const ch_key_t *a, const ch_key_t *b,
             const char *what)
{
    unsigned first = a->line < b->line ? a->line : b->line;
    unsigned second = a->line < b->line ? b->line : a->line;
    return ch_fail(CH_ERR_PARSE, "%s:%u: the same %s stands in line %u", parser->origin,
                   second, what, first);
}

/* Sort, and find what is there twice: first the names, so that the order that stays is that of keys. */
static ch_status_t
build_index(parser_t *parser)
{
    ch_keyring_t *keyring = parser->keyring;
    size_t count = keyring->count;
    keyring->by_text = ch_calloc(count + 1, sizeof *keyring->by_text);
    for (size_t i = 0; i < count; i++)
        keyring->by_text[i] = &keyring->keys[i];
    for (int round = 0; round < 2; round++) {
        int (*order)(const void *, const void *) = round ? order_by_text : order_by_name;
        qsort(keyring->by_text, count, sizeof *keyring->by_text, order);
        for (size_t i = 1; i < count; i++)
            if (order(&keyring->by_text[i - 1], &keyring->by_text[i]) == 0)
                return refuse_twice(parser, keyring->by_text[i - 1], keyring->by_text[i],
                                    round ? "key" : "name");
    }
    return CH_OK;
}

ch_status_t
ch_keyring_parse(ch_bytes_t text, const char *origin, ch_selector_check_t check,
                 ch_keyring_t **keyring_out)
{
    if (text.size > CH_KEYRING_BYTES_MAX)
        return ch_fail(CH_ERR_PARSE, "%s: is longer than %d bytes", origin,
                       CH_KEYRING_BYTES_MAX);
    parser_t parser = {.origin = origin,
                       .check = check,
                       .keyring = ch_calloc(1, sizeof *parser.keyring)};
    atomic_init(&parser.keyring->holders, 1);
    parser.keyring->memory = ch_calloc(1, text.size + 1);
    if (text.size)
        memcpy(parser.keyring->memory, text.data, text.size);
    ch_status_t status = parse_lines(&parser, parser.keyring->memory, text.size);
    if (status == CH_OK)
        status = build_index(&parser);
    if (status < 0) {
        ch_keyring_drop(&parser.keyring);
        return status;
    }
    *keyring_out = parser.keyring;
    return CH_OK;
}

ch_status_t
ch_keyring_load(const char *path, ch_selector_check_t check, ch_keyring_t **keyring_out)
{
    char *text = ch_alloc(CH_KEYRING_BYTES_MAX);
    size_t size = 0;
    ch_status_t status =
        ch_key_file_read(path, CH_KEY_FILE_TRUSTED, text, CH_KEYRING_BYTES_MAX, &size);
    if (status == CH_OK)
        status = ch_keyring_parse(ch_bytes(text, size), path, check, keyring_out);
    ch_free(text);
    return status;
}
