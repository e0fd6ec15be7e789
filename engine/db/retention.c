/* retention.c - the pure part: reference time and cuts.
 *
 * Problem     `now - age` deletes everything when the clock jumps ahead by a year, and a wrong clock also
 *             stamps what arrives.
 * Idea        reference <= wall clock; beyond what monotonic time explains it needs data as new; and what
 *             data confirm all at once it follows by a step a run (an hour a minute). A node that was off
 *             for a month catches up within a day; a clock that jumped leaves a day to notice.
 * Example     Reference 10:00, a run later the wall clock says 10:01: reference 10:01. It says 10:01 next
 *             year while data are of 10:01: still 10:01. Data of next year come too: 11:01, 12:02, ..., each
 *             with a warning.
 */
#include "db/retention.h"

#include <stdlib.h>

#include "ch/alloc.h"
#include "ch/coding.h"

static int64_t
later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t
earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t
add(int64_t time, int64_t span)
{
    int64_t sum;
    if (__builtin_add_overflow(time, span, &sum))
        return span > 0 ? INT64_MAX : INT64_MIN;
    return sum;
}

bool
ch_retention_advance(ch_retention_clock_t *clock, int64_t wall_ns, int64_t monotonic_ns,
                     int64_t newest)
{
    if (!clock->known) {
        clock->known = newest != INT64_MIN;
        clock->reference = earlier(wall_ns, newest);
        clock->monotonic_ns = monotonic_ns;
        return false;
    }
    int64_t passed = add(clock->reference, monotonic_ns - clock->monotonic_ns);
    int64_t confirmed = earlier(wall_ns, later(newest, passed));
    int64_t most = add(passed, CH_RETENTION_STEP_NS);
#ifdef CH_FAULT_RETENTION_TRUSTS_CLOCK
    confirmed = most = wall_ns;
#endif
    clock->reference = later(clock->reference, earlier(confirmed, most));
    clock->monotonic_ns = monotonic_ns;
    return confirmed > most;
}

int64_t
ch_retention_cut(int64_t reference, int64_t age_ns)
{
    return age_ns == 0 ? INT64_MIN : add(reference, -age_ns);
}

int64_t
ch_retention_grain(int64_t age_ns)
{
    return later(CH_RETENTION_RUN_NS, earlier(CH_RETENTION_STEP_NS, age_ns / 64));
}

static int
by_time_max(const void *a, const void *b)
{
    const ch_retention_table_t *x = a, *y = b;
    return (x->time_max > y->time_max) - (x->time_max < y->time_max);
}

int64_t
ch_retention_size_cut(ch_retention_table_t *tables, size_t count, uint64_t bytes_max)
{
    uint64_t total = 0, gone = 0;
    for (size_t i = 0; i < count; i++)
        total += tables[i].bytes;
    if (count)
        qsort(tables, count, sizeof *tables, by_time_max);
    int64_t cut = INT64_MIN;
    for (size_t i = 0; i + 1 < count && total - gone > bytes_max; i++) {
        gone += tables[i].bytes;
        if ((cut != INT64_MIN && gone > total / 16) ||
            tables[i].time_max >= tables[count - 1].time_max)
            break;
        cut = tables[i].time_max + 1;
    }
    return cut;
}

/* ---- options ---- */

ch_status_t
ch_retention_init(ch_retention_t *retention, const ch_retention_options_t *options)
{
    *retention = (ch_retention_t){.options = *options};
    ch_retention_rule_t *rules = ch_calloc(options->rule_count + 1, sizeof *rules);
    retention->options.rules = rules;
    retention->options.rule_count = 0;
    retention->cuts = ch_calloc(options->rule_count + 2, sizeof *retention->cuts);
    for (size_t i = 0; i < options->rule_count + 2; i++)
        retention->cuts[i] = INT64_MIN;
    for (size_t i = 0; i < options->rule_count; i++) {
        ch_selector_t *selector = NULL;
        ch_status_t status =
            ch_selector_parse(ch_bytes_text(options->rules[i].match), &selector);
        ch_selector_destroy(&selector);
        if (status < 0)
            return ch_fail_context(status, "retention rule %zu: ", i + 1);
        if (options->rules[i].age_ns < 0)
            return ch_fail(CH_ERR_INVALID, "retention rule %zu: an age below 0", i + 1);
        rules[retention->options.rule_count++] = (ch_retention_rule_t){
            ch_strdup(options->rules[i].match), options->rules[i].age_ns};
    }
    return CH_OK;
}

void
ch_retention_release(ch_retention_t *retention)
{
    for (size_t i = 0; i < retention->options.rule_count; i++)
        ch_free((char *)(uintptr_t)retention->options.rules[i].match);
    ch_free((void *)(uintptr_t)retention->options.rules);
    ch_free(retention->cuts);
    *retention = (ch_retention_t){0};
}
