#include "ch/value.h"

bool
ch_value_equal(ch_value_t a, ch_value_t b)
{
    if (a.type != b.type)
        return false;
    switch (a.type) {
    case CH_VALUE_INT:
        return a.i64 == b.i64;
    case CH_VALUE_FLOAT:
        /* NOLINTNEXTLINE(bugprone-suspicious-memory-comparison,cert-*): bits are meant */
        return memcmp(&a.f64, &b.f64, sizeof a.f64) == 0;
    case CH_VALUE_BOOL:
        return a.boolean == b.boolean;
    case CH_VALUE_STRING:
        return ch_bytes_equal(a.string, b.string);
    case CH_VALUE_NONE:
        break;
    }
    return true;
}
