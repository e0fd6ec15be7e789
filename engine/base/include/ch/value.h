/// A value with its type, point by point: float64 with every bit kept, int64, bool, string.
///
/// Strings are borrowed; whoever hands out a value says until when.
#ifndef CH_VALUE_H
#define CH_VALUE_H

#include "ch/bytes.h"

typedef enum {
    CH_VALUE_INT = 0,
    CH_VALUE_FLOAT = 1,
    CH_VALUE_BOOL = 2,
    CH_VALUE_STRING = 3,
    CH_VALUE_NONE = 4, /* no point here (a nil in rows and tables) */
} ch_value_type_t;

typedef struct ch_value {
    ch_value_type_t type;
    union {
        int64_t i64;
        double f64;
        bool boolean;
        ch_bytes_t string;
    };
} ch_value_t;

static inline ch_value_t
ch_value_int(int64_t value)
{
    return (ch_value_t){.type = CH_VALUE_INT, .i64 = value};
}

static inline ch_value_t
ch_value_float(double value)
{
    return (ch_value_t){.type = CH_VALUE_FLOAT, .f64 = value};
}

static inline ch_value_t
ch_value_bool(bool value)
{
    return (ch_value_t){.type = CH_VALUE_BOOL, .boolean = value};
}

static inline ch_value_t
ch_value_string(ch_bytes_t value)
{
    return (ch_value_t){.type = CH_VALUE_STRING, .string = value};
}

/// Same type and same bits.
bool ch_value_equal(ch_value_t a, ch_value_t b);

#endif
