/* put.c - short texts under short keys, each a batch of its own; and keys that are not there. */
#include "work.h"

#include <stdio.h>
#include <string.h>

#include "ch/alloc.h"
#include "ch/rng.h"

enum { KEY_BYTES = 16, TEXT_BYTES = 100, TEXT_FRESH = 50 };

/* Even numbers are put, odd ones are not there; scattered, so that puts come in no order. */
static ch_bytes_t
key_at(uint32_t number, bool there, char key[KEY_BYTES + 1])
{
    snprintf(key, KEY_BYTES + 1, "k%08x%07x", number * 2654435761u,
             number << 1 | (there ? 0u : 1u));
    return ch_bytes(key, KEY_BYTES);
}

/* Half of it says nothing new, as in other stores' benchmarks of their own. */
static void
fill_text(ch_rng_t *rng, char text[TEXT_BYTES])
{
    for (int i = 0; i < TEXT_FRESH; i++)
        text[i] = (char)(' ' + (int)ch_rng_below(rng, 95));
    memcpy(text + TEXT_FRESH, text, TEXT_BYTES - TEXT_FRESH);
}

void
ch_work_put(const ch_work_t *work)
{
    char key[KEY_BYTES + 1], text[TEXT_BYTES];
    ch_rng_t rng;
    ch_samples_t samples = {0};
    void *store = work->store->open(&work->options);
    ch_rng_seed(&rng, 1);
    double cpu = -ch_cpu_seconds();
    int64_t inside = 0; /* without the making of keys and texts */
    for (uint32_t round = 0; round < work->rounds; round++) {
        for (uint32_t i = 0; i < work->count; i++) {
            const ch_bytes_t at = key_at(i, true, key);
            fill_text(&rng, text);
            int64_t spent = -ch_now_ns();
            work->store->put(store, at, ch_bytes(text, sizeof text));
            spent += ch_now_ns();
            ch_samples_add(&samples, spent);
            inside += spent;
        }
        if (work->rounds > 1)
            work->store->flush(store);
    }
    cpu += ch_cpu_seconds();
    if (strcmp(work->then, "compact") == 0)
        work->store->compact(store);
    work->store->close(store);
    printf(
        "{\"puts\": %zu, \"seconds\": %.6f, \"cpu_seconds\": %.6f, \"user_bytes\": %llu, "
        "\"written_bytes\": %llu, \"put_ms\": ",
        samples.count, (double)inside / 1e9, cpu,
        (unsigned long long)samples.count * (KEY_BYTES + TEXT_BYTES),
        (unsigned long long)ch_written_bytes());
    ch_samples_print(&samples, stdout);
    printf("}\n");
    ch_samples_release(&samples);
}

static double
look_us(const ch_work_t *work, void *store, bool there)
{
    char key[KEY_BYTES + 1];
    ch_rng_t rng;
    int64_t spent = 0;
    ch_rng_seed(&rng, 2);
    for (int run = 0; run < 2; run++) { /* the first one warms */
        spent = -ch_now_ns();
        for (uint32_t i = 0; i < work->rounds; i++) {
            const ch_bytes_t at =
                key_at((uint32_t)ch_rng_below(&rng, work->count), there, key);
            if (work->store->has(store, at) != there)
                ch_store_die("%s is %sthere", key, there ? "not " : "");
        }
        spent += ch_now_ns();
    }
    return (double)spent / 1e3 / work->rounds;
}

void
ch_work_miss(const ch_work_t *work)
{
    void *store = work->store->open(&work->options);
    double missing = look_us(work, store, false);
    double there = look_us(work, store, true);
    work->store->close(store);
    printf("{\"missing_us\": %.4f, \"there_us\": %.4f}\n", missing, there);
}
