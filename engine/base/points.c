#include "ch/points.h"

#include "ch/alloc.h"

#include <stdlib.h>

enum { STRINGS_BYTES = 16 * 1024 };

/* A link of string memory: the newest first. */
struct ch_points_strings {
    struct ch_points_strings *next;
    size_t used, size;
    uint8_t data[];
};

void
ch_points_clear(ch_points_t *points)
{
    points->count = 0;
    points->form = CH_POINTS_EMPTY;
    while (points->strings && points->strings->next) {
        struct ch_points_strings *next = points->strings->next;
        ch_free(points->strings);
        points->strings = next;
    }
    if (points->strings)
        points->strings->used = 0;
}

void
ch_points_release(ch_points_t *points)
{
    ch_points_clear(points);
    ch_free(points->strings);
    ch_free(points->times);
    ch_free(points->values);
    *points = (ch_points_t){0};
}

static size_t
value_bytes(ch_points_form_t form)
{
    return form == CH_POINTS_LIST ? sizeof(ch_value_t) : sizeof(int64_t);
}

/* Turn the run into a LIST, in place of what it was. */
static void
to_list(ch_points_t *points)
{
    ch_value_t *list = ch_alloc((points->capacity + CH_POINTS_PAD) * sizeof(ch_value_t));
    for (size_t i = 0; i < points->count; i++)
        list[i] = ch_points_value(points, i);
    ch_free(points->values);
    points->list = list;
    points->form = CH_POINTS_LIST;
}

static void
grow(ch_points_t *points, size_t needed)
{
    if (needed <= points->capacity && points->times)
        return;
    size_t capacity = points->capacity < 64 ? 64 : points->capacity;
    while (capacity < needed)
        capacity += capacity / 2;
    points->times =
        ch_realloc(points->times, (capacity + CH_POINTS_PAD) * sizeof(int64_t));
    points->values = ch_realloc(points->values,
                                (capacity + CH_POINTS_PAD) * value_bytes(points->form));
    points->capacity = capacity;
}

void
ch_points_reserve(ch_points_t *points, ch_points_form_t form, size_t more)
{
    if (points->form == CH_POINTS_EMPTY) {
        /* An emptied run may have been a LIST or not: value slots are sized anew. */
        ch_free(points->values);
        points->values = NULL;
        points->form = form;
        if (points->capacity)
            points->values =
                ch_alloc((points->capacity + CH_POINTS_PAD) * value_bytes(form));
    } else if (points->form != form && points->form != CH_POINTS_LIST) {
        to_list(points);
    }
    grow(points, points->count + more);
}

ch_bytes_t
ch_points_keep_string(ch_points_t *points, ch_bytes_t string)
{
    struct ch_points_strings *link = points->strings;
    if (!link || link->size - link->used < string.size) {
        size_t size = string.size > STRINGS_BYTES ? string.size : STRINGS_BYTES;
        link = ch_alloc(sizeof *link + size);
        *link = (struct ch_points_strings){.next = points->strings, .size = size};
        points->strings = link;
    }
    uint8_t *to = link->data + link->used;
    if (string.size)
        memcpy(to, string.data, string.size);
    link->used += string.size;
    return ch_bytes(to, string.size);
}

static ch_points_form_t
form_of(ch_value_type_t type)
{
    return type == CH_VALUE_INT     ? CH_POINTS_I64
           : type == CH_VALUE_FLOAT ? CH_POINTS_F64
                                    : CH_POINTS_LIST;
}

void
ch_points_append(ch_points_t *points, int64_t time, ch_value_t value)
{
    ch_points_reserve(points, form_of(value.type), 1);
    if (value.type == CH_VALUE_STRING)
        value.string = ch_points_keep_string(points, value.string);
    size_t at = points->count++;
    points->times[at] = time;
    if (points->form == CH_POINTS_I64)
        points->ints[at] = value.i64;
    else if (points->form == CH_POINTS_F64)
        points->floats[at] = value.f64;
    else
        points->list[at] = value;
}

void
ch_points_append_range(ch_points_t *points, const ch_points_t *source, size_t from,
                       size_t to)
{
    if (from >= to)
        return;
    if (source->form == CH_POINTS_LIST ||
        (points->form != CH_POINTS_EMPTY && points->form != source->form)) {
        for (size_t i = from; i < to; i++)
            ch_points_append(points, source->times[i], ch_points_value(source, i));
        return;
    }
    ch_points_reserve(points, source->form, to - from);
    memcpy(points->times + points->count, source->times + from,
           (to - from) * sizeof(int64_t));
    memcpy(points->ints + points->count, source->ints + from,
           (to - from) * sizeof(int64_t));
    points->count += to - from;
}

void
ch_points_merge(const ch_points_t *older, const ch_points_t *newer, ch_points_t *out)
{
    ch_points_clear(out);
    size_t i = 0, j = 0;
    while (i < older->count && j < newer->count) {
        /* Copy the whole run that stands before the other side's next point. */
        size_t from = i;
        while (i < older->count && older->times[i] < newer->times[j])
            i++;
        ch_points_append_range(out, older, from, i);
        if (i == older->count)
            break;
        if (older->times[i] == newer->times[j])
            i++; /* replaced */
        from = j;
        int64_t until = i < older->count ? older->times[i] : INT64_MAX;
        do
            j++;
        while (j < newer->count && newer->times[j] < until);
        ch_points_append_range(out, newer, from, j);
    }
    ch_points_append_range(out, older, i, older->count);
    ch_points_append_range(out, newer, j, newer->count);
}
