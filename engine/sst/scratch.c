#include "sst/table.h"

#include <pthread.h>
#include <stdlib.h>

#include "ch/alloc.h"

/* What a thread keeps between calls; a rare huge block is given back. */
enum { KEPT_BYTES_MAX = 1 << 20, KEPT_POINTS_MAX = 16 * 1024 };

static pthread_once_t key_once = PTHREAD_ONCE_INIT;
static pthread_key_t scratch_key;

static void
scratch_destroy(void *memory)
{
    ch_sst_scratch_t *scratch = memory;
    if (!scratch)
        return;
    for (int i = 0; i < 2; i++) {
        ch_sst_buffer_release(&scratch->dictionaries[i].stored);
        ch_sst_buffer_release(&scratch->dictionaries[i].unpacked);
        ch_cached_release(&scratch->dictionaries[i].held);
    }
    ch_sst_buffer_release(&scratch->keys.stored);
    ch_sst_buffer_release(&scratch->keys.unpacked);
    ch_block_release(&scratch->own);
    ch_cached_release(&scratch->held_block);
    ch_column_scratch_destroy(&scratch->column);
    ch_points_release(&scratch->points);
    ch_text_release(&scratch->text);
    ch_free(scratch);
}

/* The main thread's is freed when the library is unloaded or the program ends. */
static void
key_create(void)
{
    if (pthread_key_create(&scratch_key, scratch_destroy) != 0)
        abort();
}

__attribute__((destructor)) static void
key_destroy(void)
{
    (void)pthread_once(&key_once, key_create);
    scratch_destroy(pthread_getspecific(scratch_key));
    (void)pthread_setspecific(scratch_key, NULL);
}

ch_sst_scratch_t *
ch_sst_scratch_borrow(void)
{
    (void)pthread_once(&key_once, key_create);
    ch_sst_scratch_t *scratch = pthread_getspecific(scratch_key);
    if (scratch && pthread_setspecific(scratch_key, NULL) == 0)
        return scratch;
    scratch = ch_calloc(1, sizeof *scratch);
    scratch->column = ch_column_scratch_new();
    return scratch;
}

void
ch_sst_scratch_return(ch_sst_scratch_t *scratch)
{
    if (scratch->block.bytes.capacity > KEPT_BYTES_MAX ||
        scratch->own.directory.capacity > KEPT_BYTES_MAX) {
        ch_block_release(&scratch->own);
        ch_cached_release(&scratch->held_block);
        scratch->block = (ch_block_t){0};
        scratch->block_place = (ch_block_place_t){0};
    }
    if (scratch->points.capacity > KEPT_POINTS_MAX)
        ch_points_release(&scratch->points);
    ch_points_clear(&scratch->points);
    /* A callback may have borrowed and returned another one meanwhile. */
    if (pthread_getspecific(scratch_key) ||
        pthread_setspecific(scratch_key, scratch) != 0)
        scratch_destroy(scratch);
}
