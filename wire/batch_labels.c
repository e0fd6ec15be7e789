/* batch_labels.c - keys and labels of a batch to canonical text.
 *
 * Speed   What arrives is nearly always canonical already. A key text is looked up among the last
 *         ones before it is taken apart; labels of a map or table are sorted only when they do not
 *         stand in order, and written by one pass that checks as it copies.
 */
#include "batch_reader.h"

#include "cursor_fast.h"

#include <stdlib.h>

/* Copy a label value: escapes written, UTF-8 checked. NULL: not UTF-8. `to` has room for twice. */
static uint8_t *
copy_value(ch_bytes_t value, uint8_t *to)
{
    const uint64_t ones = 0x0101010101010101u, highs = 0x8080808080808080u;
    size_t i = 0;
    for (; value.size - i >= 8; i += 8) { /* eight at a time while nothing is special */
        uint64_t word = ch_load_u64(value.data + i);
        uint64_t quote = word ^ (ones * '"'), slash = word ^ (ones * '\\'),
                 line = word ^ (ones * '\n');
        uint64_t special = ((quote - ones) & ~quote) | ((slash - ones) & ~slash) |
                           ((line - ones) & ~line) | word;
        if (special & highs)
            break;
        ch_store_u64(to, word);
        to += 8;
    }
    bool ascii = true;
    for (; i < value.size; i++) {
        uint8_t byte = value.data[i];
        ascii &= byte < 0x80;
        if (byte == '"' || byte == '\\' || byte == '\n') {
            *to++ = '\\';
            byte = byte == '\n' ? 'n' : byte;
        }
        *to++ = byte;
    }
    return ascii || ch_bytes_is_utf8(value) ? to : NULL;
}

bool
ch_batch_write_labels(ch_batch_decoder_t *decoder, const ch_label_t *labels,
                      uint32_t count, ch_bytes_t *labels_out, ch_fault_t *fault_out)
{
    size_t most = 0;
    uint32_t present = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (labels[i].value.size == 0)
            continue;
        if (labels[i].name.size + labels[i].value.size > decoder->limits.key_bytes)
            return ch_fault(fault_out, CH_ERR_LIMIT, "a canonical key is too long");
        present++;
        most += labels[i].name.size + labels[i].value.size * 2 + 4;
    }
    if (present > decoder->limits.labels)
        return ch_fault(fault_out, CH_ERR_LIMIT, "a series has too many labels");
    uint8_t *text = ch_batch_alloc(decoder, most, 1);
    if (!text)
        return false;
    uint8_t *to = text;
    for (uint32_t i = 0; i < count; i++) {
        if (labels[i].value.size == 0)
            continue;
        if (to > text)
            *to++ = ',';
        memcpy(to, labels[i].name.data, labels[i].name.size);
        to += labels[i].name.size;
        *to++ = '=';
        *to++ = '"';
        to = copy_value(labels[i].value, to);
        if (!to) {
            ch_scratch_trim(&decoder->scratch, text, 0);
            return ch_fault(fault_out, CH_ERR_INVALID, "a label value is not UTF-8");
        }
        *to++ = '"';
    }
    ch_scratch_trim(&decoder->scratch, text, (size_t)(to - text));
    *labels_out = ch_bytes(text, (size_t)(to - text));
    return true;
}

static int
compare_labels(const void *a, const void *b)
{
    return ch_bytes_compare(((const ch_label_t *)a)->name, ((const ch_label_t *)b)->name);
}

/* Sort decoder->labels, check names. */
static bool
sort_labels(ch_batch_decoder_t *decoder, uint32_t count, ch_fault_t *fault_out)
{
    ch_label_t *labels = decoder->labels;
    bool sorted = true;
    for (uint32_t i = 1; i < count && sorted; i++)
        sorted = compare_labels(&labels[i - 1], &labels[i]) <= 0;
    if (!sorted)
        qsort(labels, count, sizeof labels[0], compare_labels);
    for (uint32_t i = 0; i < count; i++) {
        if (!ch_series_name_valid(labels[i].name))
            return ch_fault(fault_out, CH_ERR_INVALID, "a label name is not valid");
        if (i > 0 && ch_bytes_equal(labels[i - 1].name, labels[i].name))
            return ch_fault(fault_out, CH_ERR_INVALID, "a label is given twice");
    }
    return true;
}

static bool
read_str(ch_cursor_t *cursor, ch_bytes_t *text_out)
{
    ch_item_t item;
    if (ch_cursor_str(cursor, text_out))
        return true;
    if (!ch_cursor_next(cursor, &item) || item.kind != CH_ITEM_STR)
        return false;
    *text_out = item.bytes;
    return true;
}

/* A map of strings into decoder->labels. `name_out`: where `__name__` goes; NULL: it is a fault. */
static bool
read_pairs(ch_batch_decoder_t *decoder, ch_cursor_t *cursor, uint32_t pairs,
           uint32_t *count_out, ch_bytes_t *name_out, ch_fault_t *fault_out)
{
    const ch_bytes_t reserved = ch_bytes_text("__name__");
    uint32_t count = 0;
    if (pairs > CH_BATCH_LABELS_MAX)
        return ch_fault(fault_out, CH_ERR_LIMIT, "a series has too many labels");
    for (uint32_t i = 0; i < pairs; i++) {
        ch_bytes_t name, value;
        if (!read_str(cursor, &name) || !read_str(cursor, &value))
            return ch_fault(fault_out, CH_ERR_INVALID, "labels are no map of strings");
        if (!ch_bytes_equal(name, reserved)) {
            decoder->labels[count++] = (ch_label_t){name, value};
            continue;
        }
        if (!name_out)
            return ch_fault(fault_out, CH_ERR_INVALID, "__name__ is not a label here");
        if (name_out->data)
            return ch_fault(fault_out, CH_ERR_INVALID, "__name__ is given twice");
        *name_out = value;
    }
    *count_out = count;
    return true;
}

/* Labels of a map, the cursor inside it, to canonical text. Without fault the cursor stands behind. */
static bool
read_map(ch_batch_decoder_t *decoder, ch_cursor_t *inside, uint32_t pairs,
         ch_bytes_t *name_out, ch_bytes_t *labels_out, ch_fault_t *fault_out)
{
    uint32_t count;
    return read_pairs(decoder, inside, pairs, &count, name_out, fault_out) &&
           sort_labels(decoder, count, fault_out) &&
           ch_batch_write_labels(decoder, decoder->labels, count, labels_out, fault_out);
}

/* The cursor goes behind a map: to `behind` when it was read whole, else by skipping it. */
static bool
leave_map(ch_cursor_t *cursor, ch_cursor_t behind, bool whole)
{
    if (whole)
        *cursor = behind;
    else
        (void)ch_cursor_skip(cursor, NULL);
    return whole;
}

bool
ch_batch_read_labels(ch_batch_decoder_t *decoder, ch_cursor_t *cursor,
                     ch_bytes_t *labels_out, ch_fault_t *fault_out)
{
    ch_cursor_t inside = *cursor;
    ch_item_t item;
    if (!ch_cursor_next(&inside, &item) || item.kind != CH_ITEM_MAP) {
        (void)ch_cursor_skip(cursor, NULL);
        return ch_fault(fault_out, CH_ERR_INVALID, "labels are no map");
    }
    bool whole = read_map(decoder, &inside, item.count, NULL, labels_out, fault_out);
    return leave_map(cursor, inside, whole);
}

static bool
read_key_map(ch_batch_decoder_t *decoder, ch_cursor_t *inside, uint32_t pairs,
             ch_bytes_t *name_out, ch_bytes_t *labels_out, ch_fault_t *fault_out)
{
    ch_bytes_t name = {0};
    if (!read_map(decoder, inside, pairs, &name, labels_out, fault_out))
        return false;
    if (!name.data)
        return ch_fault(fault_out, CH_ERR_INVALID, "a key map has no __name__");
    if (!ch_series_name_valid(name))
        return ch_fault(fault_out, CH_ERR_INVALID, "a series name is not valid");
    if (ch_series_key_size(name, *labels_out) > decoder->limits.key_bytes)
        return ch_fault(fault_out, CH_ERR_LIMIT, "a canonical key is too long");
    *name_out = name;
    return true;
}

/* Copy canonical label text to where it lives as long as the batch. */
static bool
keep_labels(ch_batch_decoder_t *decoder, const void *text, size_t size,
            ch_bytes_t *labels_out)
{
    uint8_t *copy = ch_batch_alloc(decoder, size, 1);
    if (!copy)
        return false;
    memcpy(copy, text, size);
    *labels_out = ch_bytes(copy, size);
    return true;
}

static bool
read_key_text(ch_batch_decoder_t *decoder, ch_bytes_t key, ch_bytes_t *name_out,
              ch_bytes_t *labels_out, ch_fault_t *fault_out)
{
    uint64_t hash;
    const ch_key_slot_t *slot = ch_key_cache_find(&decoder->keys, key, &hash);
    if (slot) {
        *name_out = ch_bytes(key.data, slot->name_size);
        if (slot->labels_size && slot->labels_at >= key.size)
            return keep_labels(decoder, slot->text + slot->labels_at, slot->labels_size,
                               labels_out);
        *labels_out = ch_bytes(key.data + slot->labels_at, slot->labels_size);
        return true;
    }
    ch_text_reset(&decoder->text);
    ch_bytes_t name, labels;
    ch_status_t status =
        ch_series_key_parse(key, decoder->limits.labels, decoder->limits.key_bytes,
                            &decoder->text, &name, &labels);
    if (status < 0)
        return ch_fault(fault_out, status, ch_fail_text());
    ch_key_cache_put(&decoder->keys, key, hash, name, labels);
    *name_out = name;
    *labels_out = labels;
    if (labels.size && labels.data == (const uint8_t *)decoder->text.data)
        return keep_labels(decoder, labels.data, labels.size, labels_out);
    return true;
}

bool
ch_batch_read_key(ch_batch_decoder_t *decoder, ch_cursor_t *cursor, ch_bytes_t *name_out,
                  ch_bytes_t *labels_out, ch_fault_t *fault_out)
{
    ch_cursor_t inside = *cursor;
    ch_item_t item;
    ch_bytes_t text;
    if (ch_cursor_str(cursor, &text))
        return read_key_text(decoder, text, name_out, labels_out, fault_out);
    if (!ch_cursor_next(&inside, &item))
        return ch_fault(fault_out, CH_ERR_INVALID, "a key is missing");
    if (item.kind == CH_ITEM_STR) {
        *cursor = inside;
        return read_key_text(decoder, item.bytes, name_out, labels_out, fault_out);
    }
    if (item.kind != CH_ITEM_MAP) {
        (void)ch_cursor_skip(cursor, NULL);
        return ch_fault(fault_out, CH_ERR_INVALID, "a key is no string and no map");
    }
    bool whole =
        read_key_map(decoder, &inside, item.count, name_out, labels_out, fault_out);
    return leave_map(cursor, inside, whole);
}

bool
ch_batch_join_name(ch_batch_decoder_t *decoder, ch_bytes_t name, ch_bytes_t field,
                   ch_bytes_t *joined_out, ch_fault_t *fault_out)
{
    if (!ch_series_name_valid(field))
        return ch_fault(fault_out, CH_ERR_INVALID, "a field name is not valid");
    if (name.size + 1 + field.size > decoder->limits.key_bytes)
        return ch_fault(fault_out, CH_ERR_LIMIT, "a canonical key is too long");
    uint8_t *text = ch_batch_alloc(decoder, name.size + 1 + field.size, 1);
    if (!text)
        return false;
    memcpy(text, name.data, name.size);
    text[name.size] = '_';
    memcpy(text + name.size + 1, field.data, field.size);
    *joined_out = ch_bytes(text, name.size + 1 + field.size);
    return true;
}
