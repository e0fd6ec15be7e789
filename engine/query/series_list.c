/* series_list.c - a growable list of series references; the names belong to the source. */
#include "ch/source.h"

#include "ch/alloc.h"

void
ch_series_list_release(ch_series_list_t *list)
{
    ch_free(list->items);
    *list = (ch_series_list_t){0};
}

void
ch_series_list_append(ch_series_list_t *list, ch_series_ref_t ref)
{
    if (list->count == list->capacity) {
        list->capacity = list->capacity ? list->capacity * 2 : 16;
        list->items = ch_realloc(list->items, list->capacity * sizeof *list->items);
    }
    list->items[list->count++] = ref;
}
