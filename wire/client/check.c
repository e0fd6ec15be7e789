#include "check.h"

#include "ch/series_key.h"

const char *
ch_check_name(ch_bytes_t name)
{
    return ch_series_name_valid(name)
               ? NULL
               : "a name is empty, not UTF-8, or holds one of { } \" = , or a control "
                 "character";
}

const char *
ch_check_producer(const char *producer)
{
    size_t size = strlen(producer);
    if (size < 1 || size > 64)
        return "the producer id is not 1 to 64 bytes";
    for (size_t i = 0; i < size; i++) {
        char c = producer[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
              (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '/' || c == '-'))
            return "the producer id holds something else than [A-Za-z0-9._/-]";
    }
    return NULL;
}

/* The quoted value at `at`; returns the place behind it, 0 when it is broken. */
static size_t
check_value(ch_bytes_t key, size_t at)
{
    if (at >= key.size || key.data[at] != '"')
        return 0;
    for (at++; at < key.size; at++) {
        uint8_t byte = key.data[at];
        if (byte == '"')
            return at + 1;
        if (byte == '\n')
            return 0;
        if (byte != '\\')
            continue;
        at++;
        if (at == key.size ||
            (key.data[at] != '"' && key.data[at] != '\\' && key.data[at] != 'n'))
            return 0;
    }
    return 0;
}

static bool
given_before(const ch_bytes_t *names, size_t count, ch_bytes_t name)
{
    for (size_t i = 0; i < count; i++)
        if (ch_bytes_equal(names[i], name))
            return true;
    return false;
}

/* name="value",... from `at` to the closing brace, which is the last byte. */
static const char *
check_labels(ch_bytes_t key, size_t at, bool *limit_out)
{
    ch_bytes_t names[CH_CLIENT_LABELS_MAX];
    size_t count = 0, end = key.size - 1;
    while (at < end) {
        size_t start = at;
        while (at < end && key.data[at] != '=')
            at++;
        ch_bytes_t name = ch_bytes(key.data + start, at - start);
        if (!ch_series_name_valid(name) ||
            ch_bytes_equal(name, ch_bytes_text("__name__")))
            return "a label name in the key is not valid";
        *limit_out = count == CH_CLIENT_LABELS_MAX;
        if (*limit_out)
            return "the key has too many labels";
        if (given_before(names, count, name))
            return "a label is given twice in the key";
        names[count++] = name;
        at = check_value(key, at + 1);
        if (at == 0)
            return "a label value in the key is not \"...\" with the escapes \\\" \\\\ "
                   "\\n";
        if (at < end && (key.data[at] != ',' || at + 1 == end))
            return "the labels of the key are not separated by single commas";
        at += at < end;
    }
    return NULL;
}

const char *
ch_check_key(ch_bytes_t key, bool *limit_out)
{
    *limit_out = key.size > CH_CLIENT_KEY_BYTES_MAX;
    if (*limit_out)
        return "the key is above 1 KiB";
    if (!ch_bytes_is_utf8(key))
        return "the key is not UTF-8";
    size_t name = 0;
    while (name < key.size && key.data[name] != '{')
        name++;
    const char *wrong = ch_check_name(ch_bytes(key.data, name));
    if (wrong || name == key.size)
        return wrong;
    if (key.data[key.size - 1] != '}' || name + 1 == key.size)
        return "the key's { is not closed";
    return check_labels(key, name + 1, limit_out);
}
