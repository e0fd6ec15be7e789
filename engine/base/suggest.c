/* suggest.c - edit distance, for messages about words that nobody knows. */
#include "ch/suggest.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

void
ch_suggest_init(ch_suggest_t *suggest, const char *word)
{
    snprintf(suggest->word, sizeof suggest->word, "%s", word);
    suggest->best[0] = '\0';
    suggest->distance = SIZE_MAX;
}

static size_t
least(size_t a, size_t b)
{
    return a < b ? a : b;
}

size_t
ch_suggest_distance(const char *a, const char *b)
{
    /* rows[i % 3][j]: edits from a[0, i) to b[0, j); a swap looks two rows back */
    size_t rows[3][CH_SUGGEST_BYTES_MAX + 1];
    size_t a_size = strnlen(a, CH_SUGGEST_BYTES_MAX),
           b_size = strnlen(b, CH_SUGGEST_BYTES_MAX);
    for (size_t j = 0; j <= b_size; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= a_size; i++) {
        size_t *row = rows[i % 3], *above = rows[(i - 1) % 3],
               *two_above = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= b_size; j++) {
            size_t cost = a[i - 1] != b[j - 1];
            row[j] = least(least(above[j] + 1, row[j - 1] + 1), above[j - 1] + cost);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = least(row[j], two_above[j - 2] + 1);
        }
    }
    return rows[a_size % 3][b_size];
}

void
ch_suggest_offer(ch_suggest_t *suggest, const char *known)
{
    size_t distance = ch_suggest_distance(suggest->word, known);
    if (distance >= suggest->distance)
        return;
    suggest->distance = distance;
    snprintf(suggest->best, sizeof suggest->best, "%s", known);
}

const char *
ch_suggest_best(const ch_suggest_t *suggest)
{
    return suggest->distance <= strlen(suggest->word) / 3 ? suggest->best : NULL;
}
