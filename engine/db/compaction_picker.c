/* compaction_picker.c - which tables to merge next.
 *
 * Problem     Few tables make reads quick; every merge writes all it reads. And a merge of the wrong
 *             set lets an old value win: what lies between two inputs by age must not be left out.
 * Idea        Three rules, looked at in this order. Flushes: once level 0 has enough of them, the oldest
 *             are merged and cut at window boundaries. Runs: in a window the newest runs are merged
 *             with each older one that is at most twice as large as all above it, so that a late point
 *             does not rewrite a week and a byte is rewritten a logarithmic number of times.
 *             Growth: what lies in small windows goes to the larger one when all of that is old enough.
 *             Deletes: on request, or when they are many, tables that lack some are written anew.
 * Safety      Whatever a rule proposes is widened by every table that overlaps it in time and lies
 *             between its inputs by lsn, until there is none. When that reaches a table that cannot be
 *             read, the proposal is dropped.
 * Source      Size-tiered merging as in Bigtable (Chang et al., OSDI 2006), inside time windows.
 */
#include "db/compaction_picker.h"

#include "ch/alloc.h"

#include <stdlib.h>

enum {
    RATIO = 2
}; /* an older run is rewritten by newer ones that add up to half of it */

#define HOUR_NS INT64_C(3600000000000)

ch_compaction_policy_t
ch_compaction_policy_default(void)
{
    return (ch_compaction_policy_t){
        .window_ns = {0, 2 * HOUR_NS, 24 * HOUR_NS, 7 * 24 * HOUR_NS},
        .flushes = 4,
        .flushed_bytes = 256ull << 20,
        .flushes_max = 16,
        .runs_max = 8,
        .joined_bytes = 1 << 20,
    };
}

/* ---- windows ---- */

ch_compaction_window_t
ch_compaction_window(const ch_compaction_policy_t *policy, uint32_t level, int64_t time)
{
    int64_t size = policy->window_ns[level];
    int64_t place = time % size;
    if (place < 0)
        place += size;
    bool below = time<INT64_MIN + place, above = time> INT64_MAX - (size - 1 - place);
    return (ch_compaction_window_t){
        .level = level,
        .first = below ? INT64_MIN : time - place,
        .last = above ? INT64_MAX : time + (size - 1 - place),
    };
}

/* Is everything in the window of `level` around `time` older than that window is long? */
static bool
has_aged(const ch_compaction_policy_t *policy, uint32_t level, int64_t newest,
         int64_t time)
{
    int64_t last = ch_compaction_window(policy, level, time).last;
    return last <= INT64_MAX - policy->window_ns[level] &&
           newest > last + policy->window_ns[level];
}

uint32_t
ch_compaction_level_of(const ch_compaction_policy_t *policy, int64_t newest, int64_t time)
{
    uint32_t level = CH_COMPACTION_LEVEL_LAST;
    while (level > 1 && !has_aged(policy, level, newest, time))
        level--;
    return level;
}

/* ---- the tables, sorted for the rules ---- */

/* A table below level 0 and the window it should be in. */
typedef struct homed {
    uint32_t at; /* in tables */
    ch_compaction_window_t home;
} homed_t;

typedef struct picker {
    const ch_compaction_policy_t *policy;
    const ch_compaction_table_t *tables;
    size_t count;
    int64_t newest;
    uint32_t *flushes; /* level 0, oldest first */
    size_t flush_count;
    homed_t *homed; /* the rest, by home, then oldest first */
    size_t homed_count;
    bool *chosen; /* scratch: the proposal at hand */
    ch_compaction_plan_t plan;
} picker_t;

static int
compare_age(const ch_compaction_table_t *a, const ch_compaction_table_t *b)
{
    if (a->lsn_max != b->lsn_max)
        return a->lsn_max < b->lsn_max ? -1 : 1;
    return (a->file_number > b->file_number) - (a->file_number < b->file_number);
}

static int
by_age(const void *a, const void *b, void *context)
{
    const ch_compaction_table_t *tables = context;
    return compare_age(&tables[*(const uint32_t *)a], &tables[*(const uint32_t *)b]);
}

static int
by_home(const void *a, const void *b, void *context)
{
    const homed_t *x = a, *y = b;
    if (x->home.first != y->home.first)
        return x->home.first < y->home.first ? -1 : 1;
    if (x->home.level != y->home.level)
        return x->home.level < y->home.level ? -1 : 1;
    return by_age(&x->at, &y->at, context);
}

static bool
requested(const picker_t *picker, const ch_compaction_table_t *table)
{
    return picker->policy->requested_lsn >= table->lsn_min;
}

static ch_compaction_window_t
home_of(const picker_t *picker, const ch_compaction_table_t *table)
{
    uint32_t level =
        ch_compaction_level_of(picker->policy, picker->newest, table->time_min);
    if (requested(picker, table))
        level = CH_COMPACTION_LEVEL_LAST;
    if (level < table->level)
        level = table->level;
    ch_compaction_window_t home =
        ch_compaction_window(picker->policy, level, table->time_min);
    if (home.last <
        table->time_max) /* several windows of the last level, left together */
        home.last = ch_compaction_window(picker->policy, level, table->time_max).last;
    return home;
}

static bool
is_last(const homed_t *homed)
{
    return homed->home.level == CH_COMPACTION_LEVEL_LAST;
}

/* Homes of the last level that overlap are one, for some table reaches over both. Takes and leaves them
 * sorted. */
static void
join_homes(picker_t *picker)
{
    homed_t *all = picker->homed;
    for (size_t from = 0, to; from < picker->homed_count; from = to) {
        int64_t first = all[from].home.first, last = all[from].home.last;
        to = from + 1;
        if (!is_last(&all[from]))
            continue;
        for (; to < picker->homed_count &&
               (!is_last(&all[to]) || all[to].home.first <= last);
             to++)
            if (is_last(&all[to]) && all[to].home.last > last)
                last = all[to].home.last;
        for (size_t i = from; i < to; i++)
            if (is_last(&all[i])) {
                all[i].home.first = first;
                all[i].home.last = last;
            }
    }
    qsort_r(all, picker->homed_count, sizeof *all, by_home,
            (void *)(uintptr_t)picker->tables);
}

static void
sort_tables(picker_t *picker)
{
    picker->flushes = ch_alloc((picker->count + 1) * sizeof *picker->flushes);
    picker->homed = ch_alloc((picker->count + 1) * sizeof *picker->homed);
    picker->newest = INT64_MIN;
    for (size_t i = 0; i < picker->count; i++)
        if (picker->tables[i].time_max > picker->newest)
            picker->newest = picker->tables[i].time_max;
    for (size_t i = 0; i < picker->count; i++) {
        const ch_compaction_table_t *table = &picker->tables[i];
        if (table->level == 0)
            picker->flushes[picker->flush_count++] = (uint32_t)i;
        else
            picker->homed[picker->homed_count++] =
                (homed_t){(uint32_t)i, home_of(picker, table)};
    }
    void *tables = (void *)(uintptr_t)picker->tables;
    qsort_r(picker->flushes, picker->flush_count, sizeof *picker->flushes, by_age,
            tables);
    qsort_r(picker->homed, picker->homed_count, sizeof *picker->homed, by_home, tables);
#ifndef CH_FAULT_PICKER_HOMES_APART
    join_homes(picker);
#endif
}

/* ---- proposals ---- */

/* The times and positions that a set spans. */
typedef struct hull {
    int64_t time_min, time_max;
    uint64_t lsn_min, lsn_max;
} hull_t;

static void
widen(hull_t *hull, const ch_compaction_table_t *table)
{
    if (table->time_min < hull->time_min)
        hull->time_min = table->time_min;
    if (table->time_max > hull->time_max)
        hull->time_max = table->time_max;
    if (table->lsn_min < hull->lsn_min)
        hull->lsn_min = table->lsn_min;
    if (table->lsn_max > hull->lsn_max)
        hull->lsn_max = table->lsn_max;
}

static bool
lies_between(const hull_t *hull, const ch_compaction_table_t *table)
{
    return table->time_min <= hull->time_max && table->time_max >= hull->time_min &&
           table->lsn_min <= hull->lsn_max && table->lsn_max >= hull->lsn_min;
}

/* Add to picker->chosen whatever must come along. False: a table that cannot be read must. */
static bool
close_over(picker_t *picker)
{
    hull_t hull = {INT64_MAX, INT64_MIN, UINT64_MAX, 0};
    for (size_t i = 0; i < picker->count; i++)
        if (picker->chosen[i])
            widen(&hull, &picker->tables[i]);
    for (bool grown = true; grown;) {
        grown = false;
        for (size_t i = 0; i < picker->count; i++) {
            const ch_compaction_table_t *table = &picker->tables[i];
            if (picker->chosen[i] || !lies_between(&hull, table))
                continue;
            picker->chosen[i] = grown = true;
            widen(&hull, table);
        }
    }
    for (size_t i = 0; i < picker->count; i++)
        if (picker->chosen[i] && picker->tables[i].excluded)
            return false;
    return true;
}

static void
take_job(picker_t *picker, uint32_t level, uint64_t bytes)
{
    ch_compaction_plan_t *plan = &picker->plan;
    plan->inputs = ch_alloc((picker->count + 1) * sizeof *plan->inputs);
    plan->level = level;
    plan->bytes = bytes;
    for (size_t i = 0; i < picker->count; i++) {
        if (!picker->chosen[i])
            continue;
        plan->inputs[plan->input_count++] = (uint32_t)i;
        if (level && picker->tables[i].level > plan->level)
            plan->level = picker->tables[i].level; /* never back into smaller windows */
    }
    qsort_r(plan->inputs, plan->input_count, sizeof *plan->inputs, by_age,
            (void *)(uintptr_t)picker->tables);
}

static void
begin(picker_t *picker)
{
    memset(picker->chosen, 0, picker->count * sizeof *picker->chosen);
}

/* What is in picker->chosen may be merged to `level`, if it can be. The first proposal that holds
 * becomes the job. */
static bool
propose(picker_t *picker, uint32_t level)
{
#ifdef CH_FAULT_PICKER_LEAVES_GAP
    size_t inputs = 0;
    for (size_t i = 0; i < picker->count; i++)
        if (picker->chosen[i] && ++inputs == 2)
            picker->chosen[i] = false;
#else
    if (!close_over(picker))
        return false;
#endif
    uint64_t bytes = 0;
    for (size_t i = 0; i < picker->count; i++)
        if (picker->chosen[i])
            bytes += picker->tables[i].bytes;
    picker->plan.debt += bytes;
    if (!picker->plan.inputs)
        take_job(picker, level, bytes);
    return true;
}

/* ---- level 0 ---- */

/* Flushes [from, to) stand next to each other by age, and all can be read. */
static void
propose_flushes(picker_t *picker, size_t from, size_t to)
{
    uint64_t bytes = 0;
    bool asked = false;
    for (size_t i = from; i < to; i++) {
        bytes += picker->tables[picker->flushes[i]].bytes;
        asked |= requested(picker, &picker->tables[picker->flushes[i]]);
    }
    if (!asked && to - from < picker->policy->flushes &&
        (to - from < 2 || bytes < picker->policy->flushed_bytes))
        return;
    if (to - from > picker->policy->flushes_max)
        to = from + picker->policy->flushes_max;
    begin(picker);
    for (size_t i = from; i < to; i++)
        picker->chosen[picker->flushes[i]] = true;
    if (propose(picker, asked ? CH_COMPACTION_LEVEL_LAST : 0))
        picker->plan.requested_left |= asked;
}

static void
look_at_flushes(picker_t *picker)
{
    size_t from = 0;
    for (size_t i = 0; i <= picker->flush_count; i++) {
        if (i < picker->flush_count && !picker->tables[picker->flushes[i]].excluded)
            continue;
        if (i > from)
            propose_flushes(picker, from, i);
        from = i + 1;
    }
}

/* ---- windows ---- */

/* All tables of one home. */
typedef struct group {
    const homed_t *tables;
    size_t count;
    ch_compaction_window_t home;
} group_t;

static const ch_compaction_table_t *
table_of(const picker_t *picker, const group_t *group, size_t i)
{
    return &picker->tables[group->tables[i].at];
}

static bool
same_run(const ch_compaction_table_t *a, const ch_compaction_table_t *b)
{
    return a->lsn_min == b->lsn_min && a->lsn_max == b->lsn_max;
}

static void
choose_from(picker_t *picker, const group_t *group, size_t from)
{
    begin(picker);
    for (size_t i = from; i < group->count; i++)
        picker->chosen[group->tables[i].at] = true;
}

/* Everything that the request covers becomes one run of the last level. */
static void
propose_requested(picker_t *picker, const group_t *group)
{
    bool small = false, runs = false, deletes = false;
    const ch_compaction_table_t *first = NULL;
    begin(picker);
    for (size_t i = 0; i < group->count; i++) {
        const ch_compaction_table_t *table = table_of(picker, group, i);
        if (!requested(picker, table))
            continue;
        small |= table->level < CH_COMPACTION_LEVEL_LAST;
        runs |= first && !same_run(first, table);
        deletes |= table->lacks_deletes;
        first = first ? first : table;
        picker->chosen[group->tables[i].at] = true;
    }
    if ((small || runs || deletes) && propose(picker, CH_COMPACTION_LEVEL_LAST))
        picker->plan.requested_left = true;
}

/* What still lies in smaller windows than its home. */
static bool
propose_growth(picker_t *picker, const group_t *group)
{
    bool any = false;
    begin(picker);
    for (size_t i = 0; i < group->count; i++) {
        if (table_of(picker, group, i)->level == group->home.level)
            continue;
        picker->chosen[group->tables[i].at] = any = true;
    }
    return any && propose(picker, group->home.level);
}

/* From which place on are the runs above large enough to take this one along? */
static void
propose_runs(picker_t *picker, const group_t *group)
{
    bool open = picker->newest <= group->home.last;
    size_t enough = open ? picker->policy->flushes : 2, runs = 0;
    uint64_t above = 0;
    for (size_t i = 0; i < group->count; i++) {
        const ch_compaction_table_t *table = table_of(picker, group, i);
        runs += i == 0 || !same_run(table, table_of(picker, group, i - 1));
        above += table->bytes;
    }
    bool too_many = runs >= picker->policy->runs_max;
    for (size_t from = 0, to; from < group->count && runs >= 2; from = to, runs--) {
        uint64_t bytes = 0;
        for (to = from; to < group->count && same_run(table_of(picker, group, from),
                                                      table_of(picker, group, to));
             to++)
            bytes += table_of(picker, group, to)->bytes;
        above -= bytes;
        if (!too_many && (runs < enough || bytes / RATIO > above))
            continue;
        choose_from(picker, group, from);
        if (propose(picker, group->home.level))
            return;
    }
}

static void
look_at_windows(picker_t *picker, void (*rule)(picker_t *, const group_t *))
{
    for (size_t from = 0, to; from < picker->homed_count; from = to) {
        group_t group = {.tables = &picker->homed[from],
                         .home = picker->homed[from].home};
        for (to = from; to < picker->homed_count &&
                        picker->homed[to].home.first == group.home.first &&
                        picker->homed[to].home.level == group.home.level;
             to++)
            group.count++;
        rule(picker, &group);
    }
}

/* Deletes go when no table is left that lacks them. */
static bool
propose_deletes(picker_t *picker, const group_t *group)
{
    bool due = false;
    for (size_t i = 0; i < group->count; i++)
        due |= table_of(picker, group, i)->lacks_deletes;
    if (!due || !picker->policy->apply_deletes)
        return false;
    choose_from(picker, group, 0);
    return propose(picker, group->home.level);
}

/* A window that must grow has no use for merges inside the small ones. */
static void
grow_or_merge(picker_t *picker, const group_t *group)
{
    if (!propose_growth(picker, group) && !propose_deletes(picker, group))
        propose_runs(picker, group);
}

bool
ch_compaction_pick(const ch_compaction_policy_t *policy,
                   const ch_compaction_table_t *tables, size_t count,
                   ch_compaction_plan_t *plan_out)
{
    picker_t picker = {.policy = policy, .tables = tables, .count = count};
    picker.chosen = ch_calloc(count + 1, sizeof *picker.chosen);
    sort_tables(&picker);
    picker.plan.newest = picker.newest;
    look_at_flushes(&picker);
    if (policy->requested_lsn)
        look_at_windows(&picker, propose_requested);
    look_at_windows(&picker, grow_or_merge);
    ch_free(picker.flushes);
    ch_free(picker.homed);
    ch_free(picker.chosen);
    *plan_out = picker.plan;
    return picker.plan.inputs != NULL;
}

ch_compaction_window_t
ch_compaction_plan_window(const ch_compaction_policy_t *policy,
                          const ch_compaction_plan_t *plan, int64_t time)
{
    if (plan->level == CH_COMPACTION_LEVEL_LAST && plan->bytes <= policy->joined_bytes)
        return (ch_compaction_window_t){
            .level = plan->level, .first = INT64_MIN, .last = INT64_MAX};
    return ch_compaction_window(
        policy,
        plan->level ? plan->level : ch_compaction_level_of(policy, plan->newest, time),
        time);
}

void
ch_compaction_plan_release(ch_compaction_plan_t *plan)
{
    ch_free(plan->inputs);
    *plan = (ch_compaction_plan_t){0};
}
