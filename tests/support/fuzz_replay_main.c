/* fuzz_replay_main.c - runs a fuzz target without libFuzzer, in every test run and under any
 * compiler and sanitizer.
 *
 * Runs     the empty input, every file of the corpus folder, then mutations of them: bits flipped,
 *          bytes set to values that decoders stumble over, parts removed, repeated and spliced.
 * Usage    replay_<name> CORPUS [MUTATIONS]    (a file in place of a folder runs that file alone)
 * Replay   CH_TEST_SEED=<seed printed> gives the same mutations.
 */
#include <errno.h>
#include <inttypes.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "ch/alloc.h"
#include "ch/bytes.h"
#include "ch/rng.h"

enum {
    MUTATIONS = 2000,
    INPUT_BYTES_MAX =
        1 << 20, /* larger corpus files are an error: they belong elsewhere */
    EDITS_MAX = 4,
    PATH_BYTES = 1024,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct input {
    uint8_t *data;
    size_t size;
} input_t;

typedef struct corpus {
    input_t *inputs;
    size_t count;
} corpus_t;

/* From a copy of its exact size on the heap, so that the sanitizer sees one byte too many. */
static void
run(const uint8_t *data, size_t size)
{
    uint8_t *copy = ch_alloc(size ? size : 1);
    if (size)
        memcpy(copy, data, size);
    (void)LLVMFuzzerTestOneInput(copy, size);
    ch_free(copy);
}

static void
corpus_push(corpus_t *corpus, uint8_t *data, size_t size)
{
    corpus->inputs =
        ch_realloc(corpus->inputs, (corpus->count + 1) * sizeof *corpus->inputs);
    corpus->inputs[corpus->count++] = (input_t){.data = data, .size = size};
}

static void
corpus_read_file(corpus_t *corpus, const char *path)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data = ch_alloc(INPUT_BYTES_MAX);
    size_t size = file ? fread(data, 1, INPUT_BYTES_MAX, file) : 0;
    if (!file || ferror(file) || !feof(file)) {
        fprintf(stderr, "%s: cannot be read, or larger than %d bytes\n", path,
                INPUT_BYTES_MAX);
        exit(1);
    }
    (void)fclose(file);
    corpus_push(corpus, data, size);
}

static int
is_visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

/* In order of name, so that a seed means the same on every machine. */
static void
corpus_read(corpus_t *corpus, const char *path)
{
    struct stat about;
    if (stat(path, &about) < 0)
        return; /* a target may start without a corpus */
    if (!S_ISDIR(about.st_mode)) {
        corpus_read_file(corpus, path);
        return;
    }
    struct dirent **entries = NULL;
    int count = scandir(path, &entries, is_visible, alphasort);
    for (int i = 0; i < count; i++) {
        char name[PATH_BYTES];
        (void)snprintf(name, sizeof name, "%s/%s", path, entries[i]->d_name);
        corpus_read_file(corpus, name);
        free(entries[i]);
    }
    free(entries);
}

/* A place in [0, size], size included. */
static size_t
place(ch_rng_t *rng, size_t size)
{
    return (size_t)ch_rng_below(rng, size + 1);
}

static void
set_byte(input_t *input, ch_rng_t *rng)
{
    static const uint8_t hard[] = {0x00, 0x01, 0x7f, 0x80, 0xc1, 0xdd, 0xdf, 0xff};
    if (input->size == 0)
        return;
    uint8_t *byte = &input->data[ch_rng_below(rng, input->size)];
    if (ch_rng_below(rng, 2))
        *byte ^= (uint8_t)(1u << ch_rng_below(rng, 8));
    else
        *byte = hard[ch_rng_below(rng, sizeof hard)];
}

static void
cut(input_t *input, ch_rng_t *rng)
{
    size_t from = place(rng, input->size), to = from + place(rng, input->size - from);
    memmove(input->data + from, input->data + to, input->size - to);
    input->size -= to - from;
}

/* Put a part of another input over, or into, this one. */
static void
splice(input_t *input, ch_rng_t *rng, const input_t *other)
{
    size_t from = place(rng, other->size), part = place(rng, other->size - from);
    size_t to = place(rng, input->size);
    if (part > INPUT_BYTES_MAX - input->size)
        return;
    memmove(input->data + to + part, input->data + to, input->size - to);
    memcpy(input->data + to, other->data + from, part);
    input->size += part;
}

static void
mutate(input_t *input, ch_rng_t *rng, const corpus_t *corpus)
{
    for (uint64_t edits = 1 + ch_rng_below(rng, EDITS_MAX); edits > 0; edits--) {
        switch (ch_rng_below(rng, 6)) {
        case 0:
            cut(input, rng);
            break;
        case 1:
            splice(input, rng, &corpus->inputs[ch_rng_below(rng, corpus->count)]);
            break;
        default:
            set_byte(input, rng);
        }
    }
}

static void
run_mutations(const corpus_t *corpus, ch_rng_t *rng, uint64_t count)
{
    input_t input = {.data = ch_alloc(INPUT_BYTES_MAX)};
    for (uint64_t i = 0; i < count; i++) {
        const input_t *from = &corpus->inputs[ch_rng_below(rng, corpus->count)];
        memcpy(input.data, from->data, from->size);
        input.size = from->size;
        mutate(&input, rng, corpus);
        run(input.data, input.size);
    }
    ch_free(input.data);
}

int
main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: %s CORPUS [MUTATIONS]\n", argv[0]);
        return 2;
    }
    const char *chosen = getenv("CH_TEST_SEED");
    uint64_t seed = chosen ? strtoull(chosen, NULL, 0) : ch_rng_entropy();
    uint64_t mutations = argc > 2 ? strtoull(argv[2], NULL, 10) : MUTATIONS;
    corpus_t corpus = {0};
    corpus_push(&corpus, ch_calloc(1, 1), 0);
    corpus_read(&corpus, argv[1]);
    if (corpus.count < 2) { /* a corpus in the wrong place would pass for ever */
        fprintf(stderr, "%s: no inputs there\n", argv[1]);
        return 2;
    }
    printf("%zu inputs and %" PRIu64 " mutations, CH_TEST_SEED=%" PRIu64 "\n",
           corpus.count, mutations, seed);
    (void)fflush(stdout); /* before anything can crash */
    for (size_t i = 0; i < corpus.count; i++)
        run(corpus.inputs[i].data, corpus.inputs[i].size);
    ch_rng_t rng;
    ch_rng_seed(&rng, seed);
    run_mutations(&corpus, &rng, mutations);
    for (size_t i = 0; i < corpus.count; i++)
        ch_free(corpus.inputs[i].data);
    ch_free(corpus.inputs);
    return 0;
}
