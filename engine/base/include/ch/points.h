/// A growable run of points of one series, columns side by side: what reads produce.
///
/// Shape    times[count]; and, by form, ints[count], floats[count] or list[count]. A run starts
///          empty with no form; the first append decides; a value of another type turns the whole
///          run into a LIST (types are kept point by point).
/// Units    times: ns since the epoch.
/// Owner    the run owns its arrays and copies of its strings.
/// Threads  one at a time.
#ifndef CH_POINTS_H
#define CH_POINTS_H

#include "ch/value.h"

typedef enum {
    CH_POINTS_EMPTY,
    CH_POINTS_I64,
    CH_POINTS_F64,
    CH_POINTS_LIST
} ch_points_form_t;

typedef struct ch_points {
    ch_points_form_t form;
    size_t count;
    size_t capacity;
    int64_t *times;
    union {
        int64_t *ints;
        double *floats;
        ch_value_t *list;
        void *values;
    };
    struct ch_points_strings *strings; /* chain of owned string memory */
} ch_points_t;

/// Room beyond `capacity` that decoders may scribble on (vector kernels): 16 slots.
#define CH_POINTS_PAD 16

void ch_points_release(ch_points_t *points);

/// Forget the points, keep the memory.
void ch_points_clear(ch_points_t *points);

/// Make room for `more` points of `form` (converting to LIST when the form differs from the
/// present one) and return nothing: the caller fills times/values at [count] and raises count.
void ch_points_reserve(ch_points_t *points, ch_points_form_t form, size_t more);

/// Append one point; a string is copied.
void ch_points_append(ch_points_t *points, int64_t time, ch_value_t value);

/// Append [from, to) of another run.
void ch_points_append_range(ch_points_t *points, const ch_points_t *source, size_t from,
                            size_t to);

/// Copy string bytes into the run's own memory; valid until clear or release.
ch_bytes_t ch_points_keep_string(ch_points_t *points, ch_bytes_t string);

static inline ch_value_t
ch_points_value(const ch_points_t *points, size_t i)
{
    switch (points->form) {
    case CH_POINTS_I64:
        return ch_value_int(points->ints[i]);
    case CH_POINTS_F64:
        return ch_value_float(points->floats[i]);
    default:
        return points->list[i];
    }
}

/// Merge `newer` over `older` (both sorted by time, times distinct in each) into `out`, which is
/// cleared first: at equal times the newer point stays.
void ch_points_merge(const ch_points_t *older, const ch_points_t *newer,
                     ch_points_t *out);

#endif
