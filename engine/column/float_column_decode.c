/* float_column_decode.c - read a column of doubles that may be anything.
 *
 * Any integers give some doubles, so only lengths and references are checked. Slots hold integers
 * until the last step turns them into bits of doubles in place. */
#include "column/float_column.h"

#include "column/float_column_format.h"
#include "column/int_column.h"
#include "column/kernels.h"
#include "column/scratch.h"
#include "ch/assert.h"
#include "ch/coding.h"

static ch_status_t
corrupt(const char *what)
{
    return ch_fail(CH_ERR_CORRUPT, "float column: %s", what);
}

/* An int column at *from, which then begins behind it. */
static ch_status_t
get_ints(ch_column_scratch_t *scratch, ch_bytes_t *from, size_t n, int64_t *x_out)
{
    size_t used;
    ch_status_t status = ch_int_column_decode(scratch, *from, n, x_out, &used);
    if (status >= 0)
        *from = ch_bytes(from->data + used, from->size - used);
    return status;
}

static void
from_sortable(int64_t *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] = (int64_t)ch_float_sortable((uint64_t)x[i]);
}

static ch_status_t
get_decimals(ch_column_scratch_t *scratch, ch_bytes_t *from, unsigned head, size_t n,
             int64_t *x)
{
    unsigned exponent = head & CH_FLOAT_EXPONENT_MASK;
    if (exponent > CH_FLOAT_EXPONENT_MAX)
        return corrupt("exponent above 18");
    ch_status_t status = get_ints(scratch, from, n, x);
    if (status < 0)
        return status;
    ch_kernels()->to_float((uint64_t *)x, n, ch_float_power(exponent));
    if (!(head & CH_FLOAT_HAS_CORRECTIONS))
        return CH_OK;
    status = get_ints(scratch, from, n, scratch->corrections);
    for (size_t i = 0; status >= 0 && i < n; i++)
        x[i] = (int64_t)((uint64_t)x[i] + (uint64_t)scratch->corrections[i]);
    return status;
}

static ch_status_t
get_dictionary(ch_column_scratch_t *scratch, ch_bytes_t *from, size_t n, int64_t *x)
{
    uint64_t distinct;
    const uint8_t *at =
        ch_varint_get_max(from->data, from->data + from->size, n, &distinct);
    if (!at || distinct == 0)
        return corrupt("size of its dictionary");
    from->size -= (size_t)(at - from->data);
    from->data = at;
    ch_status_t status = get_ints(scratch, from, (size_t)distinct, scratch->dictionary);
    if (status >= 0)
        status = get_ints(scratch, from, n, x);
    if (status < 0)
        return status;
    from_sortable(scratch->dictionary, (size_t)distinct);
    for (size_t i = 0; i < n; i++) {
        if ((uint64_t)x[i] >= distinct)
            return corrupt("rank outside its dictionary");
        x[i] = scratch->dictionary[x[i]];
    }
    return CH_OK;
}

ch_status_t
ch_float_column_decode(ch_column_scratch_t *scratch, ch_bytes_t from, size_t n,
                       double *v_out, size_t *used_out)
{
    CH_ASSERT(n >= 1);
    CH_ASSERT(n <= CH_CHUNK_POINTS_MAX);
    if (from.size == 0)
        return corrupt("no bytes");
    unsigned head = from.data[0], low = head & CH_FLOAT_EXPONENT_MASK;
    int64_t *x = (int64_t *)(void *)v_out;
    ch_bytes_t rest = ch_bytes(from.data + 1, from.size - 1);
    ch_status_t status;
    unsigned mode = head >> CH_FLOAT_MODE_SHIFT & CH_FLOAT_MODE_MASK;
    if (mode != CH_FLOAT_DECIMAL && (low || head & CH_FLOAT_HAS_CORRECTIONS))
        return corrupt("reserved bits in its head byte");
    switch (mode) {
    case CH_FLOAT_DECIMAL:
        status = get_decimals(scratch, &rest, head, n, x);
        break;
    case CH_FLOAT_BITS:
        status = get_ints(scratch, &rest, n, x);
        if (status >= 0)
            from_sortable(x, n);
        break;
    case CH_FLOAT_DICTIONARY:
        status = get_dictionary(scratch, &rest, n, x);
        break;
    default:
        status = corrupt("reserved mode");
        break;
    }
    if (status >= 0)
        *used_out = from.size - rest.size;
    return status;
}
