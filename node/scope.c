#include "scope.h"

#include "ch/alloc.h"

/* A new selector with the matchers of both. */
static ch_status_t
both(const ch_selector_t *a, const ch_selector_t *b, ch_selector_t **selector_out)
{
    uint32_t count = a->count + b->count;
    ch_matcher_t *matchers = ch_calloc(count, sizeof *matchers);
    if (a->count) /* a selection of all has no matchers */
        memcpy(matchers, a->matchers, a->count * sizeof *matchers);
    memcpy(matchers + a->count, b->matchers, b->count * sizeof *matchers);
    ch_status_t status = ch_selector_new(matchers, count, selector_out);
    ch_free(matchers);
    return status;
}

static ch_status_t
scope_select(void *context, const ch_selector_t *selector, int64_t start, int64_t end,
             size_t series_max, ch_series_list_t *list_out)
{
    const ch_scope_t *scope = context;
    ch_selector_t *narrow = NULL;
    ch_status_t status = both(selector, scope->selector, &narrow);
    if (status == CH_OK)
        status = scope->inner->select(scope->inner->context, narrow, start, end,
                                      series_max, list_out);
    ch_selector_destroy(&narrow);
    return status;
}

static ch_status_t
scope_read(void *context, const ch_series_ref_t *series, int64_t start, int64_t end,
           size_t points_max, ch_points_t *points_out, bool *more_out)
{
    const ch_source_t *inner = ((const ch_scope_t *)context)->inner;
    return inner->read(inner->context, series, start, end, points_max, points_out,
                       more_out);
}

static ch_status_t
scope_summarise(void *context, const ch_series_ref_t *series, int64_t start, int64_t end,
                ch_summary_t *summary_out)
{
    const ch_source_t *inner = ((const ch_scope_t *)context)->inner;
    return inner->summarise(inner->context, series, start, end, summary_out);
}

ch_status_t
ch_scope_init(ch_scope_t *scope, const char *text)
{
    *scope = (ch_scope_t){0};
    return text ? ch_selector_parse(ch_bytes_text(text), &scope->selector) : CH_OK;
}

void
ch_scope_release(ch_scope_t *scope)
{
    ch_selector_destroy(&scope->selector);
}

const ch_source_t *
ch_scope_source(ch_scope_t *scope, const ch_source_t *inner)
{
    if (!scope->selector)
        return inner;
    scope->inner = inner;
    scope->source = (ch_source_t){.context = scope,
                                  .select = scope_select,
                                  .read = scope_read,
                                  .summarise = inner->summarise ? scope_summarise : NULL};
    return &scope->source;
}

ch_status_t
ch_scope_narrow(const ch_scope_t *scope, ch_selector_t **selector)
{
    if (!scope->selector)
        return CH_OK;
    ch_selector_t *narrow = NULL;
    const ch_selector_t none = {0};
    ch_status_t status = both(*selector ? *selector : &none, scope->selector, &narrow);
    if (status < 0)
        return status;
    ch_selector_destroy(selector);
    *selector = narrow;
    return CH_OK;
}

ch_status_t
ch_scope_series(const ch_scope_t *scope, ch_bytes_t name, ch_bytes_t labels)
{
    int accepts =
        scope->selector ? ch_selector_accepts(scope->selector, name, labels) : 1;
    if (accepts < 0)
        return (ch_status_t)accepts;
    return accepts ? CH_OK
                   : ch_fail(CH_ERR_FORBIDDEN, "the key may not read this series");
}
