/// The canonical form of a series key: a name, and label text sorted by label name.
///
/// Form     `name` or `name{label="value",...}`; in label values `"`, `\` and newline are written
///          `\"`, `\\`, `\n`. The *label text* is what stands between the braces, canonical, and is
///          empty without labels. Everywhere inside the engine a series is (name, label text).
/// Order    series come ordered by the bytes of the whole key: ch_series_key_compare.
/// Threads  pure functions.
#ifndef CH_SERIES_KEY_H
#define CH_SERIES_KEY_H

#include "ch/bytes.h"
#include "ch/status.h"

typedef struct ch_label {
    ch_bytes_t name;
    ch_bytes_t value; /* unescaped */
} ch_label_t;

/// Growable scratch for canonical text; bytes stay valid until the next reset or release.
typedef struct ch_text {
    char *data;
    size_t size;
    size_t capacity;
} ch_text_t;

void ch_text_append(ch_text_t *text, const void *data, size_t size);
void ch_text_reset(ch_text_t *text);
void ch_text_release(ch_text_t *text);
ch_bytes_t ch_text_bytes(const ch_text_t *text);

/// Check a metric name or label name: non-empty UTF-8 without { } " = , or control characters.
bool ch_series_name_valid(ch_bytes_t name);

/// Parse key text (labels in any order). On success *name_out points into `key`; *labels_out is
/// the canonical label text: into `key` when it stood canonically there, else appended to
/// `scratch` (valid while scratch is neither reset nor grown further: copy it or finish with it;
/// pass a fresh scratch per key when several must live together).
/// Errors: CH_ERR_INVALID (grammar, UTF-8, a label given twice), CH_ERR_LIMIT (more than
/// `labels_max` labels or a canonical key above `key_bytes_max`).
ch_status_t ch_series_key_parse(ch_bytes_t key, uint32_t labels_max,
                                uint32_t key_bytes_max, ch_text_t *scratch,
                                ch_bytes_t *name_out,
                                ch_bytes_t *labels_out) CH_MUST_CHECK;

/// Append the canonical label text of `labels` (any order, sorted in place; empty values left
/// out) to `out`. Errors as ch_series_key_parse.
ch_status_t ch_series_labels_format(ch_label_t *labels, uint32_t count,
                                    uint32_t labels_max, ch_text_t *out) CH_MUST_CHECK;

/// Walk canonical label text. *cursor starts at 0. The name points into `labels`; the value does
/// too unless it holds escapes, then it is unescaped into `scratch` (appended).
/// Returns CH_OK, CH_END, or CH_ERR_CORRUPT.
ch_status_t ch_series_labels_next(ch_bytes_t labels, size_t *cursor, ch_text_t *scratch,
                                  ch_label_t *label_out) CH_MUST_CHECK;

/// Append the whole key's text.
void ch_series_key_format(ch_bytes_t name, ch_bytes_t labels, ch_text_t *out);

/// Bytes of the whole canonical key.
static inline size_t
ch_series_key_size(ch_bytes_t name, ch_bytes_t labels)
{
    return name.size + (labels.size ? labels.size + 2 : 0);
}

/// Eight bytes of the whole canonical key from byte `at` on as a number, the first one uppermost; zeros
/// behind its end. Where two keys' words differ, they are in the order of the keys.
uint64_t ch_series_key_word(ch_bytes_t name, ch_bytes_t labels, size_t at);

/// Order of the whole canonical keys, without building them.
int ch_series_key_compare(ch_bytes_t name_a, ch_bytes_t labels_a, ch_bytes_t name_b,
                          ch_bytes_t labels_b);

#endif
