#include "sst/key_block.h"

static void
append_varint(ch_text_t *to, uint64_t value)
{
    uint8_t bytes[CH_VARINT_BYTES_MAX];
    ch_text_append(to, bytes, (size_t)(ch_varint_put(bytes, value) - bytes));
}

void
ch_key_block_encode(const ch_key_pair_t *pairs, size_t count, ch_text_t *out)
{
    uint32_t head_before = 0;
    for (size_t i = 0; i < count;) {
        size_t run = 1;
        while (i + run < count && pairs[i + run].head == pairs[i].head)
            run++;
        append_varint(out, pairs[i].head - head_before);
        append_varint(out, run);
        append_varint(out, pairs[i].tail);
        for (size_t j = i + 1; j < i + run; j++)
            append_varint(out, pairs[j].tail - pairs[j - 1].tail - 1);
        head_before = pairs[i].head;
        i += run;
    }
}

/* One run at `from`: returns the byte after it, NULL when it makes no sense. */
static const uint8_t *
run_decode(const uint8_t *from, const uint8_t *end, uint64_t head, uint64_t run,
           uint32_t tails, ch_key_pair_t *pairs_out)
{
    uint64_t tail = 0;
    for (uint64_t j = 0; j < run; j++) {
        uint64_t distance = 0;
        from = ch_varint_get_max(from, end, tails, &distance);
        if (!from)
            return NULL;
        tail = j ? tail + 1 + distance : distance;
        if (tail >= tails)
            return NULL;
        pairs_out[j] = (ch_key_pair_t){.head = (uint32_t)head, .tail = (uint32_t)tail};
    }
    return from;
}

ch_status_t
ch_key_block_decode(ch_bytes_t content, size_t count, uint32_t heads, uint32_t tails,
                    ch_key_pair_t *pairs_out)
{
    const uint8_t *from = content.data, *end = content.data + content.size;
    uint64_t head = 0;
    for (size_t i = 0; i < count;) {
        uint64_t distance = 0, run = 0;
        from = ch_varint_get_max(from, end, heads, &distance);
        if (from)
            from = ch_varint_get_max(from, end, count - i, &run);
        head += distance;
        if (!from || run == 0 || head >= heads || (i && distance == 0))
            return ch_fail(CH_ERR_CORRUPT, "bad run of keys at key %zu", i);
        from = run_decode(from, end, head, run, tails, pairs_out + i);
        if (!from)
            return ch_fail(CH_ERR_CORRUPT, "bad tail number behind key %zu", i);
        i += run;
    }
    if (from != end)
        return ch_fail(CH_ERR_CORRUPT, "%zu bytes behind the last key",
                       (size_t)(end - from));
    return CH_OK;
}
