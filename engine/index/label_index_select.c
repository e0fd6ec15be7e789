/* label_index_select.c - which series does a selector name? (label_index.c tells what it looks at.) */
#include "index/label_index_state.h"

#include <stdlib.h>

#include "ch/alloc.h"
#include "ch/assert.h"

enum {
    SLICE = 256,     /* values judged between two looks at the index */
    REGEX_UNITS = 8, /* of work (ch/deadline.h): a text and a regex */
};

/* A matcher, and what it said of the first `judged` values of its label (or of the names). */
typedef struct question {
    const ch_matcher_t *matcher;
    bool of_name;
    bool takes_empty;
    uint8_t *verdicts;
    uint32_t judged;
    ch_deadline_t *deadline;
} question_t;

/* Copies up to SLICE texts that the question is about, from number `from` on. */
static uint32_t
copy_texts(ch_label_index_t *index, const question_t *question, uint32_t from,
           ch_bytes_t texts[SLICE])
{
    uint32_t count = 0;
    CH_ASSERT(pthread_rwlock_rdlock(&index->lock) == 0);
    if (question->of_name) {
        for (; count < SLICE && from + count < index->name_count; count++)
            texts[count] = index->names[from + count].text;
    } else {
        uint32_t label = ch_index_label_find(index, question->matcher->label);
        const label_t *of = label == NONE ? NULL : &index->labels[label];
        for (; of != NULL && count < SLICE && from + count < of->count; count++)
            texts[count] = value_text(&index->values[of->values[from + count]]);
    }
    pthread_rwlock_unlock(&index->lock);
    return count;
}

/* Without the lock: judge all values that there are. Only regexes are worth it. */
static ch_status_t
judge(ch_label_index_t *index, question_t *question)
{
    ch_bytes_t texts[SLICE];
    uint32_t count;
    if (question->matcher->kind != CH_MATCH_RE && question->matcher->kind != CH_MATCH_NRE)
        return CH_OK;
    while ((count = copy_texts(index, question, question->judged, texts)) > 0) {
        question->verdicts = ch_realloc(question->verdicts, question->judged + count);
        for (uint32_t i = 0; i < count; i++) {
            int verdict = ch_matcher_accepts(question->matcher, texts[i]);
            if (verdict < 0)
                return (ch_status_t)verdict;
            question->verdicts[question->judged++] = (uint8_t)verdict;
        }
        ch_status_t status = ch_deadline_work(question->deadline, REGEX_UNITS * count);
        if (status < 0)
            return status;
    }
    return CH_OK;
}

static int
verdict_of(const question_t *question, uint32_t number, ch_bytes_t text)
{
    return number < question->judged ? question->verdicts[number]
                                     : ch_matcher_accepts(question->matcher, text);
}

/* Bitmaps and single ids to be united. */
typedef struct gathering {
    const roaring_bitmap_t **bitmaps;
    uint32_t *singles;
    size_t bitmap_count, single_count;
} gathering_t;

static void
gather(gathering_t *gathering, const value_t *value)
{
    if (value_sets(value) != NULL)
        gathering->bitmaps[gathering->bitmap_count++] = value_sets(value);
    else
        gathering->singles[gathering->single_count++] = value_single(value);
}

static roaring_bitmap_t *
unite(gathering_t *gathering)
{
    roaring_bitmap_t *all =
        gathering->bitmap_count > 0
            ? roaring_bitmap_or_many(gathering->bitmap_count, gathering->bitmaps)
            : ch_index_bitmap_new();
    CH_ASSERT(all != NULL);
    if (gathering->single_count > 0)
        roaring_bitmap_add_many(all, gathering->single_count, gathering->singles);
    return all;
}

/* Locked: label sets with a value that the question takes (`taken`) or refuses. */
static ch_status_t
sets_by_verdict(const ch_label_index_t *index, const question_t *question,
                const label_t *label, bool taken, roaring_bitmap_t **sets_out)
{
    ch_status_t status = CH_OK;
    gathering_t gathering = {
        .bitmaps = ch_alloc((label->count + 1) * sizeof *gathering.bitmaps),
        .singles = ch_alloc((label->count + 1) * sizeof *gathering.singles),
    };
    for (uint32_t i = 0; i < label->count && status >= 0; i++) {
        const value_t *value = &index->values[label->values[i]];
        int verdict = verdict_of(question, i, value_text(value));
        if (verdict < 0)
            status = (ch_status_t)verdict;
        else if ((verdict == 1) == taken)
            gather(&gathering, value);
        if (status >= 0)
            status = ch_deadline_work(question->deadline, 1);
    }
    if (status >= 0)
        *sets_out = unite(&gathering);
    ch_free(gathering.bitmaps);
    ch_free(gathering.singles);
    return status;
}

/* Locked: label sets that the question is about: those it takes, or, when it takes the empty
 * string, those it refuses. */
static ch_status_t
question_sets(const ch_label_index_t *index, const question_t *question,
              roaring_bitmap_t **sets_out)
{
    const ch_matcher_t *matcher = question->matcher;
    bool exact = matcher->kind == CH_MATCH_EQ || matcher->kind == CH_MATCH_NE;
    uint32_t found = ch_index_label_find(index, matcher->label);
    if (found == NONE) {
        *sets_out = ch_index_bitmap_new();
        return CH_OK;
    }
    const label_t *label = &index->labels[found];
    if (!exact)
        return sets_by_verdict(index, question, label, !question->takes_empty, sets_out);
    if (matcher->value.size == 0) { /* ="" refuses, !="" takes whatever has the label */
        *sets_out = roaring_bitmap_copy(label->sets);
        CH_ASSERT(*sets_out != NULL);
        return CH_OK;
    }
    uint32_t value = ch_index_value_find(index, found, matcher->value);
    gathering_t one = {.bitmaps = (const roaring_bitmap_t *[1]){NULL},
                       .singles = (uint32_t[1]){0}};
    if (value != NONE)
        gather(&one, &index->values[value]);
    *sets_out = unite(&one);
    return CH_OK;
}

/* Locked: narrow *sets (NULL: all of them) by the questions that do, or do not, take "". */
static ch_status_t
narrow_sets(const ch_label_index_t *index, const question_t *questions, uint32_t count,
            bool takes_empty, roaring_bitmap_t **sets)
{
    for (uint32_t i = 0; i < count; i++) {
        const question_t *question = &questions[i];
        if (question->of_name || question->takes_empty != takes_empty)
            continue;
        roaring_bitmap_t *other;
        ch_status_t status = question_sets(index, question, &other);
        if (status < 0)
            return status;
        if (*sets == NULL && !takes_empty) {
            *sets = other;
            continue;
        }
        if (*sets == NULL)
            *sets = roaring_bitmap_copy(index->sets);
        CH_ASSERT(*sets != NULL);
        if (takes_empty)
            roaring_bitmap_andnot_inplace(*sets, other);
        else
            roaring_bitmap_and_inplace(*sets, other);
        roaring_bitmap_free(other);
    }
    return CH_OK;
}

/* ---- the join ---- */

typedef struct join {
    const roaring_bitmap_t *sets; /* NULL: all */
    uint64_t set_count;
    size_t series_max;
    ch_deadline_t *deadline;
    ch_series_ids_t ids;
} join_t;

static ch_status_t
take(join_t *join, uint32_t series)
{
    ch_series_ids_t *ids = &join->ids;
    if (ids->count == join->series_max)
        return ch_fail(CH_ERR_LIMIT, "more than %zu series match; narrow the selector",
                       join->series_max);
    if (ids->count == ids->capacity) {
        ids->capacity = ids->capacity ? ids->capacity * 2 : 64;
        ids->items = ch_realloc(ids->items, ids->capacity * sizeof *ids->items);
    }
    ids->items[ids->count++] = series;
    return CH_OK;
}

static ch_status_t
join_by_scan(join_t *join, const name_t *name, uint32_t from)
{
    ch_status_t status = CH_OK;
    for (uint32_t i = from; i < name->count && status >= 0; i++) {
        const pair_t *pair = &name->pairs[i];
        if (join->sets == NULL || roaring_bitmap_contains(join->sets, pair->labels_id))
            status = take(join, pair->series);
        if (status >= 0)
            status = ch_deadline_work(join->deadline, 1);
    }
    return status;
}

static ch_status_t
join_by_search(join_t *join, const name_t *name)
{
    roaring_uint32_iterator_t sets;
    uint32_t from = 0;
    ch_status_t status = join_by_scan(join, name, name->sorted); /* the tail */
    roaring_init_iterator(join->sets, &sets);
    for (; sets.has_value && status >= 0; roaring_advance_uint32_iterator(&sets)) {
        uint32_t to = name->sorted;
        while (from < to) {
            uint32_t middle = from + (to - from) / 2;
            if (name->pairs[middle].labels_id < sets.current_value)
                from = middle + 1;
            else
                to = middle;
        }
        if (from < name->sorted && name->pairs[from].labels_id == sets.current_value)
            status = take(join, name->pairs[from].series);
        if (status >= 0)
            status = ch_deadline_work(join->deadline, 2);
    }
    return status;
}

static ch_status_t
join_name(join_t *join, const name_t *name)
{
    if (join->sets != NULL && join->set_count * 16 < name->sorted)
        return join_by_search(join, name);
    return join_by_scan(join, name, 0);
}

/* 1, 0 or a status. */
static int
name_accepted(const name_t *name, uint32_t name_id, const question_t *questions,
              uint32_t count)
{
    int accepted = name->text.data != NULL;
    for (uint32_t i = 0; i < count && accepted == 1; i++) {
        if (questions[i].of_name)
            accepted = verdict_of(&questions[i], name_id, name->text);
    }
    return accepted;
}

static ch_status_t
join_names(const ch_label_index_t *index, const question_t *questions, uint32_t count,
           join_t *join)
{
    uint32_t from = 0, to = index->name_count;
    for (uint32_t i = 0; i < count; i++) {
        if (!questions[i].of_name || questions[i].matcher->kind != CH_MATCH_EQ)
            continue;
        uint32_t found = ch_index_name_find(index, questions[i].matcher->value);
        if (found == NONE)
            return CH_OK;
        from = found;
        to = found + 1;
    }
    for (uint32_t id = from; id < to; id++) {
        int accepted = name_accepted(&index->names[id], id, questions, count);
        ch_status_t status = accepted < 0    ? (ch_status_t)accepted
                             : accepted == 0 ? CH_OK
                                             : join_name(join, &index->names[id]);
        if (status >= 0)
            status = ch_deadline_work(join->deadline, 1);
        if (status < 0)
            return status;
    }
    return CH_OK;
}

static int
compare_ids(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
    return (left > right) - (left < right);
}

static ch_status_t
select_locked(const ch_label_index_t *index, const question_t *questions, uint32_t count,
              join_t *join)
{
    roaring_bitmap_t *sets = NULL;
    ch_status_t status = narrow_sets(index, questions, count, false, &sets);
    if (status >= 0)
        status = narrow_sets(index, questions, count, true, &sets);
    if (status >= 0) {
        join->sets = sets;
        join->set_count = sets != NULL ? roaring_bitmap_get_cardinality(sets) : 0;
        status = join_names(index, questions, count, join);
    }
    if (sets != NULL)
        roaring_bitmap_free(sets);
    return status;
}

ch_status_t
ch_label_index_select(ch_label_index_t *index, const ch_selector_t *selector,
                      size_t series_max, ch_deadline_t *deadline,
                      ch_series_ids_t *ids_out)
{
    join_t join = {.series_max = series_max, .deadline = deadline};
    question_t *questions = ch_calloc(selector->count + 1, sizeof *questions);
    ch_status_t status = CH_OK;
    for (uint32_t i = 0; i < selector->count && status >= 0; i++) {
        question_t *question = &questions[i];
        question->matcher = &selector->matchers[i];
        question->deadline = deadline;
        question->of_name =
            ch_bytes_equal(question->matcher->label, ch_bytes_text("__name__"));
        int empty = ch_matcher_accepts(question->matcher, ch_bytes("", 0));
        question->takes_empty = empty == 1;
        status = empty < 0 ? (ch_status_t)empty : judge(index, question);
    }
    if (status >= 0) {
        CH_ASSERT(pthread_rwlock_rdlock(&index->lock) == 0);
        status = select_locked(index, questions, selector->count, &join);
        pthread_rwlock_unlock(&index->lock);
    }
    for (uint32_t i = 0; i < selector->count; i++)
        ch_free(questions[i].verdicts);
    ch_free(questions);
    if (status >= 0 && join.ids.count > 1)
        status = ch_deadline_sort(deadline, join.ids.items, join.ids.count,
                                  sizeof *join.ids.items, compare_ids);
    if (status >= 0)
        *ids_out = join.ids;
    else
        ch_series_ids_release(&join.ids);
    return status;
}

void
ch_series_ids_release(ch_series_ids_t *ids)
{
    ch_free(ids->items);
    *ids = (ch_series_ids_t){0};
}
