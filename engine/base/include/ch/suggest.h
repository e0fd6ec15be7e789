/// "Did you mean ...?": the nearest of the offered words, by edit distance.
///
/// Source   Levenshtein distance with swaps of neighbours (optimal string alignment), two rows.
/// Threads  one at a time per struct.
#ifndef CH_SUGGEST_H
#define CH_SUGGEST_H

#include <stddef.h>

enum { CH_SUGGEST_BYTES_MAX = 127 };

typedef struct ch_suggest {
    char word[CH_SUGGEST_BYTES_MAX + 1]; /* cut to fit */
    char best[CH_SUGGEST_BYTES_MAX + 1];
    size_t distance;
} ch_suggest_t;

void ch_suggest_init(ch_suggest_t *suggest, const char *word);
void ch_suggest_offer(ch_suggest_t *suggest, const char *known);

/// The nearest, or NULL when none is near enough to be meant (a third of the word's length).
const char *ch_suggest_best(const ch_suggest_t *suggest);

/// Single-character edits between two words (of at most CH_SUGGEST_BYTES_MAX bytes).
size_t ch_suggest_distance(const char *a, const char *b);

#endif
