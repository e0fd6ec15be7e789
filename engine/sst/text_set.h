/// Distinct texts, numbered in the order they came: how a writer stores a label set once.
///
/// Owner    the set copies texts; what ch_text_set_get gives is valid until the next add.
/// Threads  one at a time.
#ifndef CH_SST_TEXT_SET_H
#define CH_SST_TEXT_SET_H

#include "ch/bytes.h"

typedef struct ch_text_set ch_text_set_t;

ch_text_set_t *ch_text_set_new(void);
void ch_text_set_destroy(ch_text_set_t **set);

/// The text's number; a new one when it was not there.
uint32_t ch_text_set_add(ch_text_set_t *set, ch_bytes_t text);
/// The same for a set whose texts all come by this call, in rising order: the last one again, or one above it.
/// Without a probe, and ch_text_set_sorted is not needed.
uint32_t ch_text_set_follow(ch_text_set_t *set, ch_bytes_t text);
uint32_t ch_text_set_count(const ch_text_set_t *set);
ch_bytes_t ch_text_set_get(const ch_text_set_t *set, uint32_t number);

/// The numbers ordered by their texts' bytes; the caller frees the array.
uint32_t *ch_text_set_sorted(const ch_text_set_t *set);

#endif
