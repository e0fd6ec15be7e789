/* series_key.c - key text to canonical form and back.
 *
 * Fast path   Producers that write keys as the node does (labels sorted, no empty value) are the
 *             rule: then the canonical label text *is* the span between the braces and nothing is
 *             copied. One pass checks grammar and order together; only a key that fails the order
 *             test is taken apart, sorted and written anew.
 */
#include "ch/series_key.h"

#include "ch/alloc.h"
#include "ch/coding.h"

#include <stdlib.h>

enum { LABELS_HARD_MAX = 256 }; /* stack room; configured limits stay below */

void
ch_text_append(ch_text_t *text, const void *data, size_t size)
{
    if (text->size + size > text->capacity) {
        size_t capacity = text->capacity < 128 ? 128 : text->capacity * 2;
        while (capacity < text->size + size)
            capacity *= 2;
        text->data = ch_realloc(text->data, capacity);
        text->capacity = capacity;
    }
    if (size)
        memcpy(text->data + text->size, data, size);
    text->size += size;
}

void
ch_text_reset(ch_text_t *text)
{
    text->size = 0;
}

void
ch_text_release(ch_text_t *text)
{
    ch_free(text->data);
    *text = (ch_text_t){0};
}

ch_bytes_t
ch_text_bytes(const ch_text_t *text)
{
    return ch_bytes(text->data, text->size);
}

/* Bytes that no name may hold: control characters and { } " = , */
static bool
name_byte(uint8_t byte)
{
    return byte >= 0x20 && byte != 0x7f && byte != '{' && byte != '}' && byte != '"' &&
           byte != '=' && byte != ',';
}

bool
ch_series_name_valid(ch_bytes_t name)
{
    if (name.size == 0)
        return false;
    for (size_t i = 0; i < name.size; i++)
        if (!name_byte(name.data[i]))
            return false;
    return ch_bytes_is_utf8(name);
}

/* One `name="value"` at *at; the value is still escaped. */
typedef struct raw_label {
    ch_bytes_t name;
    ch_bytes_t value;
    bool escaped;
} raw_label_t;

static ch_status_t
read_label(ch_bytes_t text, size_t *at, raw_label_t *label_out)
{
    size_t i = *at, name_start = i;
    while (i < text.size && name_byte(text.data[i]))
        i++;
    ch_bytes_t name = ch_bytes(text.data + name_start, i - name_start);
    if (name.size == 0)
        return ch_fail(CH_ERR_INVALID, "series key: empty label name at byte %zu", i);
    if (i + 1 >= text.size || text.data[i] != '=' || text.data[i + 1] != '"')
        return ch_fail(CH_ERR_INVALID, "series key: expected =\" at byte %zu", i);
    i += 2;
    size_t value_start = i;
    bool escaped = false;
    for (; i < text.size && text.data[i] != '"'; i++) {
        if (text.data[i] == '\n')
            return ch_fail(CH_ERR_INVALID, "series key: newline not escaped at byte %zu",
                           i);
        if (text.data[i] != '\\')
            continue;
        escaped = true;
        i++;
        if (i == text.size ||
            (text.data[i] != '"' && text.data[i] != '\\' && text.data[i] != 'n'))
            return ch_fail(CH_ERR_INVALID, "series key: bad escape at byte %zu", i);
    }
    if (i >= text.size)
        return ch_fail(CH_ERR_INVALID, "series key: label value not closed");
    *label_out =
        (raw_label_t){name, ch_bytes(text.data + value_start, i - value_start), escaped};
    *at = i + 1;
    return CH_OK;
}

static void
unescape(ch_bytes_t value, ch_text_t *out)
{
    for (size_t i = 0; i < value.size; i++) {
        char byte = (char)value.data[i];
        if (byte == '\\') {
            i++;
            byte = value.data[i] == 'n' ? '\n' : (char)value.data[i];
        }
        ch_text_append(out, &byte, 1);
    }
}

static void
escape(ch_bytes_t value, ch_text_t *out)
{
    size_t plain = 0;
    for (size_t i = 0; i < value.size; i++) {
        uint8_t byte = value.data[i];
        if (byte != '"' && byte != '\\' && byte != '\n')
            continue;
        ch_text_append(out, value.data + plain, i - plain);
        char pair[2] = {'\\', byte == '\n' ? 'n' : (char)byte};
        ch_text_append(out, pair, 2);
        plain = i + 1;
    }
    ch_text_append(out, value.data + plain, value.size - plain);
}

static int
compare_raw(const void *a, const void *b)
{
    return ch_bytes_compare(((const raw_label_t *)a)->name,
                            ((const raw_label_t *)b)->name);
}

/* Write sorted raw labels (escapes already canonical), leaving out the empty ones. */
static ch_status_t
write_sorted(const raw_label_t *labels, uint32_t count, ch_text_t *out)
{
    bool first = true;
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0 && ch_bytes_equal(labels[i].name, labels[i - 1].name))
            return ch_fail(CH_ERR_INVALID, "series key: label %.*s given twice",
                           (int)(labels[i].name.size < 64 ? labels[i].name.size : 64),
                           (const char *)labels[i].name.data);
        if (labels[i].value.size == 0)
            continue;
        if (!first)
            ch_text_append(out, ",", 1);
        first = false;
        ch_text_append(out, labels[i].name.data, labels[i].name.size);
        ch_text_append(out, "=\"", 2);
        ch_text_append(out, labels[i].value.data, labels[i].value.size);
        ch_text_append(out, "\"", 1);
    }
    return CH_OK;
}

/* Take apart the text between the braces. *sorted_out: it is canonical as it stands. */
static ch_status_t
read_labels(ch_bytes_t text, uint32_t labels_max, raw_label_t *labels,
            uint32_t *count_out, bool *sorted_out)
{
    uint32_t count = 0;
    bool sorted = true;
    size_t at = 0;
    while (at < text.size) {
        if (count == labels_max)
            return ch_fail(CH_ERR_LIMIT, "series key: more than %u labels", labels_max);
        ch_status_t status = read_label(text, &at, &labels[count]);
        if (status < 0)
            return status;
        if (ch_bytes_equal(labels[count].name, ch_bytes_text("__name__")))
            return ch_fail(CH_ERR_INVALID,
                           "series key: __name__ is not a label in key text");
        if (labels[count].value.size == 0 ||
            (count > 0 &&
             ch_bytes_compare(labels[count - 1].name, labels[count].name) >= 0))
            sorted = false;
        count++;
        if (at == text.size)
            break;
        if (text.data[at] != ',' || at + 1 == text.size)
            return ch_fail(CH_ERR_INVALID, "series key: expected , or } after a label");
        at++;
    }
    *count_out = count;
    *sorted_out = sorted;
    return CH_OK;
}

ch_status_t
ch_series_key_parse(ch_bytes_t key, uint32_t labels_max, uint32_t key_bytes_max,
                    ch_text_t *scratch, ch_bytes_t *name_out, ch_bytes_t *labels_out)
{
    if (!ch_bytes_is_utf8(key))
        return ch_fail(CH_ERR_INVALID, "series key: not UTF-8");
    size_t name_size = 0;
    while (name_size < key.size && name_byte(key.data[name_size]))
        name_size++;
    if (name_size == 0)
        return ch_fail(CH_ERR_INVALID, "series key: empty name");
    ch_bytes_t name = ch_bytes(key.data, name_size), labels = ch_bytes(key.data, 0);
    if (name_size < key.size) {
        if (key.data[name_size] != '{' || key.data[key.size - 1] != '}')
            return ch_fail(CH_ERR_INVALID,
                           "series key: byte %zu cannot stand in a name, and is "
                           "no {labels}",
                           name_size);
        ch_bytes_t inner = ch_bytes(key.data + name_size + 1, key.size - name_size - 2);
        if (name_size + 2 > key.size)
            return ch_fail(CH_ERR_INVALID, "series key: { not closed");
        raw_label_t raw[LABELS_HARD_MAX];
        uint32_t count = 0;
        bool sorted = true;
        uint32_t most = labels_max < LABELS_HARD_MAX ? labels_max : LABELS_HARD_MAX;
        ch_status_t status = read_labels(inner, most, raw, &count, &sorted);
        if (status < 0)
            return status;
        labels = inner;
        if (!sorted) {
            size_t start = scratch->size;
            qsort(raw, count, sizeof raw[0], compare_raw);
            status = write_sorted(raw, count, scratch);
            if (status < 0)
                return status;
            if (scratch->size >
                start) /* else all were empty, and scratch may hold nothing */
                labels = ch_bytes(scratch->data + start, scratch->size - start);
            else
                labels = ch_bytes(key.data, 0);
        }
    }
    if (ch_series_key_size(name, labels) > key_bytes_max)
        return ch_fail(CH_ERR_LIMIT, "series key: longer than %u bytes", key_bytes_max);
    *name_out = name;
    *labels_out = labels;
    return CH_OK;
}

static int
compare_label(const void *a, const void *b)
{
    return ch_bytes_compare(((const ch_label_t *)a)->name, ((const ch_label_t *)b)->name);
}

ch_status_t
ch_series_labels_format(ch_label_t *labels, uint32_t count, uint32_t labels_max,
                        ch_text_t *out)
{
    if (count > labels_max)
        return ch_fail(CH_ERR_LIMIT, "series key: more than %u labels", labels_max);
    for (uint32_t i = 1; i < count; i++)
        if (compare_label(&labels[i - 1], &labels[i]) > 0) {
            qsort(labels, count, sizeof labels[0], compare_label);
            break;
        }
    bool first = true;
    for (uint32_t i = 0; i < count; i++) {
        if (!ch_series_name_valid(labels[i].name))
            return ch_fail(CH_ERR_INVALID, "series key: bad label name");
        if (!ch_bytes_is_utf8(labels[i].value))
            return ch_fail(CH_ERR_INVALID, "series key: a label value is not UTF-8");
        if (i > 0 && ch_bytes_equal(labels[i].name, labels[i - 1].name))
            return ch_fail(CH_ERR_INVALID, "series key: label %.*s given twice",
                           (int)(labels[i].name.size < 64 ? labels[i].name.size : 64),
                           (const char *)labels[i].name.data);
        if (labels[i].value.size == 0)
            continue;
        if (!first)
            ch_text_append(out, ",", 1);
        first = false;
        ch_text_append(out, labels[i].name.data, labels[i].name.size);
        ch_text_append(out, "=\"", 2);
        escape(labels[i].value, out);
        ch_text_append(out, "\"", 1);
    }
    return CH_OK;
}

ch_status_t
ch_series_labels_next(ch_bytes_t labels, size_t *cursor, ch_text_t *scratch,
                      ch_label_t *label_out)
{
    if (*cursor >= labels.size)
        return CH_END;
    raw_label_t raw;
    size_t at = *cursor;
    if (read_label(labels, &at, &raw) < 0)
        return ch_fail(CH_ERR_CORRUPT, "label text is not canonical");
    if (at < labels.size && labels.data[at] != ',')
        return ch_fail(CH_ERR_CORRUPT, "label text is not canonical");
    *cursor = at + 1;
    label_out->name = raw.name;
    label_out->value = raw.value;
    if (raw.escaped) {
        size_t start = scratch->size;
        unescape(raw.value, scratch);
        label_out->value = ch_bytes(scratch->data + start, scratch->size - start);
    }
    return CH_OK;
}

void
ch_series_key_format(ch_bytes_t name, ch_bytes_t labels, ch_text_t *out)
{
    ch_text_append(out, name.data, name.size);
    if (labels.size == 0)
        return;
    ch_text_append(out, "{", 1);
    ch_text_append(out, labels.data, labels.size);
    ch_text_append(out, "}", 1);
}

/* The i-th byte of the whole key, -1 behind its end. */
static int
key_byte(ch_bytes_t name, ch_bytes_t labels, size_t i)
{
    if (i < name.size)
        return name.data[i];
    if (labels.size == 0)
        return -1;
    i -= name.size;
    if (i == 0)
        return '{';
    if (i <= labels.size)
        return labels.data[i - 1];
    return i == labels.size + 1 ? '}' : -1;
}

/* The first of eight bytes uppermost. */
static uint64_t
load_word(const uint8_t *at)
{
    return __builtin_bswap64(ch_load_u64(at));
}

uint64_t
ch_series_key_word(ch_bytes_t name, ch_bytes_t labels, size_t at)
{
    uint64_t word = 0;
    if (at + sizeof word <= name.size)
        return load_word(name.data + at);
    if (at > name.size && at - name.size - 1 + sizeof word <= labels.size)
        return load_word(labels.data + (at - name.size - 1));
    for (size_t i = 0; i < sizeof word; i++) {
        int byte = key_byte(name, labels, at + i);
        word = word << 8 | (byte < 0 ? 0 : (uint64_t)byte);
    }
    return word;
}

int
ch_series_key_compare(ch_bytes_t name_a, ch_bytes_t labels_a, ch_bytes_t name_b,
                      ch_bytes_t labels_b)
{
    if (ch_bytes_equal(name_a, name_b)) {
        /* Equal names: only the label texts differ; the closing brace sorts after every ASCII
         * byte that can follow a prefix (a comma), so a shared prefix needs the whole-key rule. */
        size_t shared = labels_a.size < labels_b.size ? labels_a.size : labels_b.size;
        int order = shared ? memcmp(labels_a.data, labels_b.data, shared) : 0;
        if (order || labels_a.size == labels_b.size)
            return order;
        if (shared == 0)
            return labels_a.size ? 1 : -1;
        int next_a = labels_a.size > shared ? labels_a.data[shared] : '}';
        int next_b = labels_b.size > shared ? labels_b.data[shared] : '}';
        return next_a - next_b;
    }
    size_t shared = name_a.size < name_b.size ? name_a.size : name_b.size;
    int order = memcmp(name_a.data, name_b.data, shared);
    if (order)
        return order;
    for (size_t i = shared;; i++) {
        int a = key_byte(name_a, labels_a, i), b = key_byte(name_b, labels_b, i);
        if (a != b || a < 0)
            return a - b;
    }
}
