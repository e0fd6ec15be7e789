/* Label index against brute force: every series asked with ch_selector_accepts. */
#include "support/test.h"

#include <pthread.h>
#include <stdatomic.h>

#include "ch/alloc.h"
#include "ch/rng.h"
#include "ch/series_key.h"
#include "index/label_index.h"
#include "support/simfs.h"

enum { SETS = 400, NAMES = 6, SERIES_MAX = 1500 };

typedef struct world {
    ch_rng_t rng;
    ch_label_index_t *index;
    ch_bytes_t names[NAMES];
    char *sets[SETS];
    struct {
        uint32_t name, labels;
    } series[SERIES_MAX];
    uint32_t count;
    bool taken[NAMES][SETS];
} world_t;

static const char *const labels[] = {"host", "job", "zone", "a.b", "id"};
static const char *const values[] = {"a",     "b",      "ab",   "web-1",
                                     "web-2", "x\\\"y", "\\\\", "\xc3\xa9"};

static char *
random_set(ch_rng_t *rng, uint32_t number)
{
    ch_label_t chosen[5];
    ch_text_t text = {0};
    uint32_t count = 0;
    char unescaped[5][32];
    for (uint32_t i = 0; i < 5; i++) {
        if (number == 0 || ch_rng_below(rng, 3) == 0)
            continue; /* set 0 is the empty one */
        const char *from = values[ch_rng_below(rng, 8)];
        snprintf(unescaped[i], 32, "%s", from);
        if (i == 4)
            snprintf(unescaped[i], 32, "%u%s", number, ch_rng_below(rng, 2) ? "\"" : "");
        chosen[count++] =
            (ch_label_t){ch_bytes_text(labels[i]), ch_bytes_text(unescaped[i])};
    }
    assert_int_equal(ch_series_labels_format(chosen, count, 32, &text), CH_OK);
    ch_text_append(&text, "", 1);
    char *copy = ch_strdup(text.data);
    ch_text_release(&text);
    return copy;
}

static world_t *
world_new(ch_rng_t *seed)
{
    static const char *const names[NAMES] = {"up", "cpu.load", "web-1",
                                             "a",  "net",      "\xc3\xa9"};
    world_t *world = ch_calloc(1, sizeof *world);
    ch_rng_seed(&world->rng, ch_rng_next(seed));
    world->index = ch_label_index_new();
    for (uint32_t i = 0; i < NAMES; i++)
        world->names[i] = ch_bytes_text(names[i]);
    for (uint32_t i = 0; i < SETS; i++)
        world->sets[i] = random_set(&world->rng, i);
    return world;
}

static void
world_destroy(world_t *world)
{
    ch_label_index_destroy(&world->index);
    assert_null(world->index);
    for (uint32_t i = 0; i < SETS; i++)
        ch_free(world->sets[i]);
    ch_free(world);
}

static void
add_series(world_t *world, uint32_t name, uint32_t set)
{
    if (world->taken[name][set] || world->count == SERIES_MAX)
        return;
    world->taken[name][set] = true;
    uint32_t id = world->count++;
    world->series[id].name = name;
    world->series[id].labels = set;
    ch_label_index_add(world->index, id, name, world->names[name], set,
                       ch_bytes_text(world->sets[set]));
}

static ch_matcher_t
random_matcher(world_t *world, char text[32])
{
    static const char *const exact[] = {"",       "a",    "b", "web-1",
                                        "x\\\"y", "\\\\", "7", "nothing"};
    static const char *const regexes[] = {".*",       ".+",  "a|b",       "web-.",
                                          "(web-1)?", "x.*", "[0-9]+\"?", "\xc3\xa9|",
                                          "nothing",  "a*b*"};
    static const char *const asked[] = {"host", "job",      "zone",   "a.b",
                                        "id",   "__name__", "missing"};
    ch_matcher_t matcher = {.kind = (ch_match_kind_t)ch_rng_below(&world->rng, 4),
                            .label = ch_bytes_text(asked[ch_rng_below(&world->rng, 7)])};
    bool is_exact = matcher.kind == CH_MATCH_EQ || matcher.kind == CH_MATCH_NE;
    snprintf(text, 32, "%s",
             is_exact ? exact[ch_rng_below(&world->rng, 8)]
                      : regexes[ch_rng_below(&world->rng, 10)]);
    matcher.value = ch_bytes_text(text);
    return matcher;
}

/* Returns whether the selector was one at all. */
static bool
check_random_selector(world_t *world)
{
    char texts[4][32];
    ch_matcher_t matchers[4];
    uint32_t count = 1 + (uint32_t)ch_rng_below(&world->rng, 4);
    for (uint32_t i = 0; i < count; i++)
        matchers[i] = random_matcher(world, texts[i]);
    ch_selector_t *selector;
    if (ch_selector_new(matchers, count, &selector) < 0)
        return false;
    ch_series_ids_t ids = {0};
    assert_int_equal(
        ch_label_index_select(world->index, selector, SERIES_MAX, NULL, &ids), CH_OK);
    size_t at = 0;
    for (uint32_t id = 0; id < world->count; id++) {
        int wanted =
            ch_selector_accepts(selector, world->names[world->series[id].name],
                                ch_bytes_text(world->sets[world->series[id].labels]));
        bool found = at < ids.count && ids.items[at] == id;
        assert_int_equal(found, wanted);
        at += found;
    }
    assert_int_equal(at, ids.count);
    if (at > 0) {
        ch_series_ids_t none = {0};
        assert_int_equal(
            ch_label_index_select(world->index, selector, at - 1, NULL, &none),
            CH_ERR_LIMIT);
        assert_null(none.items);
    }
    ch_series_ids_release(&ids);
    ch_selector_destroy(&selector);
    return true;
}

static ch_bytes_t
name_of(void *context, uint32_t id)
{
    return ((world_t *)context)->names[id];
}

static ch_bytes_t
set_of(void *context, uint32_t id)
{
    return ch_bytes_text(((world_t *)context)->sets[id]);
}

static ch_status_t
load_from(ch_file_t *file, world_t *world, uint32_t series, ch_label_index_t **index_out)
{
    const ch_index_texts_t texts = {world, name_of, set_of};
    uint64_t bytes = 0, end = 0;
    assert_int_equal(ch_fs_size(file, &bytes), CH_OK);
    ch_stream_reader_t *in = ch_stream_reader_new(file, 0, bytes, 1);
    *index_out = ch_label_index_new();
    ch_status_t status = ch_label_index_load(*index_out, NAMES, SETS, series, &texts, in);
    if (status >= 0)
        status = ch_stream_end(in, &end);
    ch_stream_reader_destroy(&in);
    return status;
}

/* Goal: what was saved answers as it did, whatever came between the mark and the saving; and no
 * damage gets in. Method: mark, add, save, load; ask; then turn bits over. */
static void
test_saved_indexes_answer_the_same(void **state)
{
    (void)state;
    ch_rng_t seed;
    ch_rng_seed(&seed, ch_test_seed());
    ch_simfs_t *simfs = ch_simfs_new(ch_test_seed());
    for (int round = 0; round < 6; round++) {
        world_t *world = world_new(&seed);
        const ch_index_texts_t texts = {world, name_of, set_of};
        for (uint32_t i = 0; i < 900; i++)
            add_series(world, (uint32_t)ch_rng_below(&world->rng, NAMES),
                       (uint32_t)ch_rng_below(&world->rng, SETS));
        ch_label_index_mark_t mark = ch_label_index_mark(world->index);
        uint32_t count = world->count;
        assert_int_equal(mark.series, count);
        for (uint32_t i = 0; i < 300; i++)
            add_series(world, (uint32_t)ch_rng_below(&world->rng, NAMES),
                       (uint32_t)ch_rng_below(&world->rng, SETS));
        ch_file_t *file = NULL;
        uint64_t end = 0;
        assert_int_equal(
            ch_fs_open(ch_simfs_fs(simfs), "index", CH_FS_WRITE | CH_FS_CREATE, &file),
            CH_OK);
        assert_int_equal(ch_fs_truncate(file, 0), CH_OK);
        ch_stream_writer_t *out = ch_stream_writer_new(file, 0, 1);
        ch_label_index_save(world->index, mark, SETS, &texts, out);
        assert_int_equal(ch_stream_finish(out, &end), CH_OK);
        ch_stream_writer_destroy(&out);
        ch_label_index_destroy(&world->index);
        assert_int_equal(load_from(file, world, count, &world->index), CH_OK);
        uint32_t later = world->count;
        world->count = count;
        for (int i = 0; i < 200; i++)
            (void)check_random_selector(world);
        for (uint32_t id = count; id < later; id++, world->count++) /* it goes on */
            ch_label_index_add(world->index, id, world->series[id].name,
                               world->names[world->series[id].name],
                               world->series[id].labels,
                               ch_bytes_text(world->sets[world->series[id].labels]));
        for (int i = 0; i < 100; i++)
            (void)check_random_selector(world);
        for (int i = 0; i < 100; i++) {
            ch_label_index_t *damaged = NULL;
            uint64_t bit = ch_rng_below(&world->rng, end * 8);
            assert_int_equal(ch_simfs_flip(simfs, "index", bit), CH_OK);
            assert_int_equal(load_from(file, world, count, &damaged), CH_ERR_CORRUPT);
            ch_label_index_destroy(&damaged);
            assert_int_equal(ch_simfs_flip(simfs, "index", bit), CH_OK);
        }
        ch_fs_close(&file);
        world_destroy(world);
    }
    ch_simfs_destroy(&simfs);
}

static void
test_index_selects_what_brute_force_does(void **state)
{
    (void)state;
    ch_rng_t seed;
    ch_rng_seed(&seed, ch_test_seed());
    for (int round = 0; round < 12; round++) {
        world_t *world = world_new(&seed);
        unsigned asked = 0;
        bool in_order = ch_rng_below(&world->rng, 2);
        for (uint32_t i = 0; i < 2400; i++) {
            uint32_t set =
                in_order ? i / NAMES : (uint32_t)ch_rng_below(&world->rng, SETS);
            add_series(world, (uint32_t)ch_rng_below(&world->rng, NAMES), set);
            if (i % 60 == 0)
                asked += check_random_selector(world);
        }
        for (int i = 0; i < 100; i++)
            asked += check_random_selector(world);
        assert_true(asked > 50);
        assert_true(ch_label_index_bytes(world->index) > world->count * 8);
        world_destroy(world);
    }
}

/* Goal: a few of many, so that the join searches instead of scanning; and a regex that gives up. */
static void
test_narrow_questions_and_hostile_ones(void **state)
{
    (void)state;
    enum { COUNT = 20000 };
    ch_label_index_t *index = ch_label_index_new();
    char(*sets)[64] = ch_calloc(COUNT, sizeof *sets);
    for (uint32_t i = 0; i < COUNT; i++) {
        snprintf(sets[i], 64, "host=\"%032u\",rack=\"r%u\"", i, i / 10);
        ch_label_index_add(index, COUNT - 1 - i, 0, ch_bytes_text("up"), i,
                           ch_bytes_text(sets[i]));
    }
    ch_selector_t *selector;
    ch_series_ids_t ids = {0};
    assert_int_equal(ch_selector_parse(ch_bytes_text("up{rack=\"r77\"}"), &selector),
                     CH_OK);
    assert_int_equal(ch_label_index_select(index, selector, 100, NULL, &ids), CH_OK);
    assert_int_equal(ids.count, 10);
    for (uint32_t i = 0; i < 10; i++)
        assert_int_equal(ids.items[i], COUNT - 1 - 779 + i);
    ch_series_ids_release(&ids);
    ch_selector_destroy(&selector);
    assert_int_equal(
        ch_selector_parse(ch_bytes_text("up{host=~\"(0|00|000)*[xy]\"}"), &selector),
        CH_OK);
    assert_int_equal(ch_label_index_select(index, selector, 100, NULL, &ids),
                     CH_ERR_LIMIT);
    ch_selector_destroy(&selector);
    ch_label_index_destroy(&index);
    ch_free(sets);
}

/* A clock that counts how often it is looked at. */
static int64_t
looks_ns(void *context)
{
    return ++*(int64_t *)context;
}

/* Goal: a question stops wherever its deadline passes, and looks often enough to notice. Method: let it
 * pass at the first look, at the second ..., until the answer is there. */
static void
test_a_question_stops_at_its_deadline(void **state)
{
    (void)state;
    enum { COUNT = 20000, LOOKS_MIN = 50 };
    ch_label_index_t *index = ch_label_index_new();
    char(*sets)[32] = ch_calloc(COUNT, sizeof *sets);
    for (uint32_t i = 0; i < COUNT; i++) {
        (void)snprintf(sets[i], 32, "host=\"%u\"", i);
        ch_label_index_add(index, COUNT - 1 - i, 0, ch_bytes_text("up"), i,
                           ch_bytes_text(sets[i]));
    }
    ch_selector_t *selector;
    assert_int_equal(ch_selector_parse(ch_bytes_text("up{host=~\".+\"}"), &selector),
                     CH_OK);
    ch_status_t status = CH_ERR_TIMEOUT;
    ch_series_ids_t ids = {0};
    int64_t passes = 0;
    for (; status == CH_ERR_TIMEOUT; passes++) {
        int64_t looks = 0;
        const ch_clock_t clock = {looks_ns, looks_ns, &looks};
        ch_deadline_t deadline = {.clock = &clock, .at_ns = passes + 1};
        status = ch_label_index_select(index, selector, COUNT, &deadline, &ids);
        assert_true(status == CH_OK || (ids.items == NULL && looks == passes + 2));
    }
    assert_int_equal(status, CH_OK);
    assert_true(passes > LOOKS_MIN);
    assert_int_equal(ids.count, COUNT);
    for (uint32_t i = 0; i < COUNT; i++)
        assert_int_equal(ids.items[i], i);
    ch_series_ids_release(&ids);
    ch_selector_destroy(&selector);
    ch_label_index_destroy(&index);
    ch_free(sets);
}

typedef struct asker {
    ch_label_index_t *index;
    _Atomic bool stop;
    _Atomic uint32_t wrong;
} asker_t;

/* Series i has a="i % 2" and b="i": a="1", b!~"..." must never show an even series, whatever the
 * writer adds between the two matchers. */
static void *
ask_until_stopped(void *context)
{
    asker_t *asker = context;
    ch_selector_t *selector;
    size_t last = 0;
    if (ch_selector_parse(ch_bytes_text("up{a=\"1\",b!~\".*[02468]\",b=~\".+\"}"),
                          &selector) < 0)
        return NULL;
    do {
        ch_series_ids_t ids = {0};
        if (ch_label_index_select(asker->index, selector, 1 << 20, NULL, &ids) < 0 ||
            ids.count < last)
            asker->wrong++;
        last = ids.count;
        for (size_t i = 0; i < ids.count; i++)
            asker->wrong += ids.items[i] != 2 * i + 1;
        ch_series_ids_release(&ids);
    } while (!asker->stop);
    ch_selector_destroy(&selector);
    return NULL;
}

static void
test_questions_beside_the_writer(void **state)
{
    (void)state;
    enum { COUNT = 3000 };
    asker_t asker = {.index = ch_label_index_new()};
    char(*sets)[32] = ch_calloc(COUNT, sizeof *sets);
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask_until_stopped, &asker), 0);
    for (uint32_t i = 0; i < COUNT; i++) {
        snprintf(sets[i], 32, "a=\"%u\",b=\"%u\"", i % 2, i);
        ch_label_index_add(asker.index, i, 0, ch_bytes_text("up"), i,
                           ch_bytes_text(sets[i]));
    }
    asker.stop = true;
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(asker.wrong, 0);
    ch_label_index_destroy(&asker.index);
    ch_free(sets);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_index_selects_what_brute_force_does),
        cmocka_unit_test(test_saved_indexes_answer_the_same),
        cmocka_unit_test(test_narrow_questions_and_hostile_ones),
        cmocka_unit_test(test_a_question_stops_at_its_deadline),
        cmocka_unit_test(test_questions_beside_the_writer),
    };
    return cmocka_run_group_tests_name("label_index", tests, NULL, NULL);
}
