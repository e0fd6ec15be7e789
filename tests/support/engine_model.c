#include "support/engine_model.h"

#include "ch/alloc.h"
#include "ch/series_key.h"
#include "support/engine_model_state.h"
#include "support/test.h"

static const char *const strings[] = {"", "up", "down",
                                      "a rather longer text than the others"};

ch_model_t *
ch_model_new(void)
{
    ch_model_t *model = ch_calloc(1, sizeof *model);
    for (int i = 0; i < CH_MODEL_NAMES; i++)
        snprintf(model->names[i], sizeof model->names[i], "metric%s%d", i % 2 ? "." : "_",
                 i);
    for (int i = 1; i < CH_MODEL_LABELS; i++)
        snprintf(model->labels[i], sizeof model->labels[i], "dc=\"%c\",host=\"h%d\"",
                 'a' + i % 2, i);
    return model;
}

ch_model_t *
ch_model_copy(const ch_model_t *model)
{
    ch_model_t *copy = ch_model_new();
    copy->points = ch_alloc((model->count + 1) * sizeof *copy->points);
    if (model->count)
        memcpy(copy->points, model->points, model->count * sizeof *copy->points);
    copy->count = copy->capacity = model->count;
    return copy;
}

void
ch_model_destroy(ch_model_t **model)
{
    if (!*model)
        return;
    ch_free((*model)->points);
    ch_free(ch_take(model));
}

static ch_value_t
random_value(ch_rng_t *rng)
{
    switch (ch_rng_below(rng, 5)) {
    case 0:
        return ch_value_float((double)ch_rng_below(rng, 1000) / 7);
    case 1:
        return ch_value_bool(ch_rng_below(rng, 2));
    case 2:
        return ch_value_string(ch_bytes_text(strings[ch_rng_below(rng, 4)]));
    default:
        return ch_value_int((int64_t)ch_rng_next(rng) >> ch_rng_below(rng, 60));
    }
}

static void
fill_values(ch_model_t *model, ch_rng_t *rng, uint32_t b, uint32_t f, uint32_t rows,
            bool nones)
{
    ch_values_t *values = &model->values[b][f];
    values->form = (ch_values_form_t)ch_rng_below(rng, 3);
    values->packed = (const uint8_t *)model->packed[b][f];
    values->list = model->lists[b][f];
    for (uint32_t i = 0; i < rows; i++) {
        if (values->form == CH_VALUES_I64)
            model->packed[b][f][i] = ch_rng_next(rng) >> ch_rng_below(rng, 64);
        else if (values->form == CH_VALUES_F64)
            ch_store_f64(&model->packed[b][f][i], (double)ch_rng_below(rng, 100000) / 64);
        else
            model->lists[b][f][i] = nones && ch_rng_below(rng, 4) == 0
                                        ? (ch_value_t){.type = CH_VALUE_NONE}
                                        : random_value(rng);
    }
}

static void
fill_times(ch_model_t *model, ch_rng_t *rng, uint32_t b, uint32_t rows)
{
    ch_times_t *times = &model->blocks[b].times;
    *times = (ch_times_t){.packed = (const uint8_t *)model->times[b]};
    if (ch_rng_below(rng, 2)) {
        times->form = CH_TIMES_REGULAR;
        times->start = (int64_t)ch_rng_below(rng, CH_MODEL_TIMES) * SECOND;
        times->step = (int64_t)ch_rng_below(rng, 3) * SECOND;
        return;
    }
    for (uint32_t i = 0; i < rows; i++)
        model->times[b][i] = ch_rng_below(rng, CH_MODEL_TIMES) * (uint64_t)SECOND;
}

/* As the decoder does for scrapes of one batch: the same series again, names and labels shared. */
static void
repeat_table(ch_model_t *model, ch_rng_t *rng, uint32_t b)
{
    ch_batch_block_t *block = &model->blocks[b];
    *block = model->blocks[b - 1];
    block->values = model->values[b];
    for (uint32_t f = 0; f < block->fields; f++)
        fill_values(model, rng, b, f, block->rows, true);
    fill_times(model, rng, b, block->rows);
}

static void
fill_block(ch_model_t *model, ch_rng_t *rng, uint32_t b)
{
    ch_batch_block_t *block = &model->blocks[b];
    if (b > 0 && model->blocks[b - 1].kind == CH_BLOCK_TABLE &&
        ch_rng_below(rng, 3) == 0) {
        repeat_table(model, rng, b);
        return;
    }
    block->kind = (ch_block_kind_t)ch_rng_below(rng, 3);
    block->rows = 1 + (uint32_t)ch_rng_below(rng, ch_rng_below(rng, 4) ? 12 : 200);
    block->fields =
        block->kind == CH_BLOCK_TABLE ? 1 + (uint32_t)ch_rng_below(rng, 6) : 1;
    block->names = model->block_names[b];
    block->labels = model->block_labels[b];
    block->values = model->values[b];
    for (uint32_t i = 0; i < CELLS_MAX; i++) {
        model->block_names[b][i] =
            ch_bytes_text(model->names[ch_rng_below(rng, CH_MODEL_NAMES)]);
        model->block_labels[b][i] =
            ch_bytes_text(model->labels[ch_rng_below(rng, CH_MODEL_LABELS)]);
    }
    for (uint32_t f = 0; f < block->fields; f++)
        fill_values(model, rng, b, f, block->rows, block->kind == CH_BLOCK_TABLE);
    fill_times(model, rng, b, block->rows);
}

static uint32_t
series_of(const ch_model_t *model, ch_bytes_t name, ch_bytes_t labels)
{
    uint32_t n = (uint32_t)(((const char *)name.data - model->names[0]) /
                            (ptrdiff_t)sizeof model->names[0]);
    uint32_t l = (uint32_t)(((const char *)labels.data - model->labels[0]) /
                            (ptrdiff_t)sizeof model->labels[0]);
    return n * CH_MODEL_LABELS + l;
}

static void
note_fresh(ch_model_t *model, const ch_batch_block_t *block)
{
    for (uint32_t i = 0; i < block->rows; i++) {
        for (uint32_t j = 0; j < block->fields; j++) {
            ch_value_t value = ch_values_at(&block->values[j], i);
            if (value.type == CH_VALUE_NONE)
                continue;
            uint32_t name = block->kind == CH_BLOCK_TABLE ? j : i;
            bool single = block->kind == CH_BLOCK_SERIES;
            model->fresh[model->fresh_count++] = (model_point_t){
                .series = series_of(model, block->names[single ? 0 : name],
                                    block->labels[single ? 0 : i]),
                .time = ch_times_at(&block->times, i),
                .value = value};
        }
    }
}

const ch_batch_t *
ch_model_batch(ch_model_t *model, ch_rng_t *rng, const ch_identity_t *identity)
{
    model->batch = (ch_batch_t){.blocks = model->blocks};
    model->batch.block_count =
        (uint32_t)ch_rng_below(rng, BLOCKS_MAX) + (ch_rng_below(rng, 8) > 0);
    if (model->batch.block_count > BLOCKS_MAX)
        model->batch.block_count = BLOCKS_MAX;
    if (identity)
        model->batch.identity = *identity;
    model->fresh_count = 0;
    for (uint32_t b = 0; b < model->batch.block_count; b++) {
        fill_block(model, rng, b);
        note_fresh(model, &model->blocks[b]);
    }
    model->batch.points = (uint32_t)model->fresh_count;
    return &model->batch;
}

void
ch_model_taken(ch_model_t *model, uint64_t lsn)
{
    if (model->count + model->fresh_count > model->capacity) {
        model->capacity = (model->count + model->fresh_count) * 2;
        model->points =
            ch_realloc(model->points, model->capacity * sizeof *model->points);
    }
    for (size_t i = 0; i < model->fresh_count; i++) {
        model->points[model->count] = model->fresh[i];
        model->points[model->count++].lsn = lsn;
    }
}

void
ch_model_cut(ch_model_t *model, uint64_t lsn)
{
    while (model->count > 0 && model->points[model->count - 1].lsn > lsn)
        model->count--;
    for (size_t i = 0; i < model->count; i++)
        if (model->points[i].deleted_lsn > lsn)
            model->points[i].deleted_lsn = 0;
}

/* ---- deletes ---- */

static void
choose_series(ch_model_t *model, ch_rng_t *rng, model_delete_t *delete)
{
    uint32_t name = (uint32_t)ch_rng_below(rng, CH_MODEL_NAMES);
    uint32_t host = (uint32_t)ch_rng_below(rng, CH_MODEL_LABELS);
    uint64_t kind = ch_rng_below(rng, 16);
    const char *form = "{__name__=\"%s\"}";
    if (kind >= 6 && kind < 10)
        form = "{__name__=\"%s\",host=\"h%u\"}";
    if (kind >= 10 && kind < 13)
        form = "{__name__=~\"metric.*%.0s\",host=~\"h(%u|7)\"}";
    if (kind == 13)
        form = "{__name__=~\".+\"}";
    if (kind == 14)
        form = "nobody";
    if (kind == 15)
        form = "{__name__=~\"metric_.*\",host!=\"\"}";
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-extra-args"
    (void)snprintf(model->match, sizeof model->match, form, model->names[name], host);
#pragma GCC diagnostic pop
    for (uint32_t series = 0; series < ALL_SERIES; series++) {
        uint32_t n = series / CH_MODEL_LABELS, h = series % CH_MODEL_LABELS;
        delete->names[series] = kind < 6    ? n == name
                                : kind < 10 ? n == name && h == host && h > 0
                                : kind < 13 ? h == host && h > 0
                                : kind < 14 ? true
                                : kind < 15 ? false
                                            : n % 2 == 0 && h > 0;
    }
}

const ch_delete_t *
ch_model_delete(ch_model_t *model, ch_rng_t *rng, const ch_identity_t *identity)
{
    model_delete_t *delete = &model->fresh_delete;
    choose_series(model, rng, delete);
    delete->start = CH_TIME_MIN;
    delete->end = CH_TIME_MAX;
    if (ch_rng_below(rng, 3))
        delete->start = (int64_t)ch_rng_below(rng, CH_MODEL_TIMES) * SECOND;
    if (ch_rng_below(rng, 3))
        delete->end = (int64_t)ch_rng_below(rng, CH_MODEL_TIMES) * SECOND;
    model->delete = (ch_delete_t){
        .match = ch_bytes_text(model->match), .start = delete->start, .end = delete->end};
    if (identity)
        model->delete.identity = *identity;
    return &model->delete;
}

static bool
takes(const model_delete_t *delete, const model_point_t *point)
{
    return delete->names[point->series] && point->time >= delete->start &&
           (point->time < delete->end || delete->end == CH_TIME_MAX);
}

void
ch_model_deleted(ch_model_t *model, uint64_t lsn)
{
    for (size_t i = 0; i < model->count; i++)
        if (!model->points[i].deleted_lsn &&
            takes(&model->fresh_delete, &model->points[i]))
            model->points[i].deleted_lsn = lsn;
}

void
ch_model_retained(ch_model_t *model, int64_t cut, uint64_t lsn)
{
    for (uint32_t series = 0; series < ALL_SERIES; series++)
        model->fresh_delete.names[series] = true;
    model->fresh_delete.start = CH_TIME_MIN;
    model->fresh_delete.end = cut;
    ch_model_deleted(model, lsn);
}

void
ch_model_prune(ch_model_t *model, uint64_t lsn)
{
    static size_t last[ALL_SERIES][CH_MODEL_SECONDS];
    size_t kept = 0;
    memset(last, 0xff, sizeof last);
    for (size_t i = 0; i < model->count && model->points[i].lsn <= lsn; i++)
        last[model->points[i].series][model->points[i].time / SECOND] = i;
    for (size_t i = 0; i < model->count; i++) {
        const model_point_t *point = &model->points[i];
        bool gone = point->deleted_lsn && point->deleted_lsn <= lsn;
        if (point->lsn > lsn || (!gone && last[point->series][point->time / SECOND] == i))
            model->points[kept++] = *point;
    }
    model->count = kept;
}

/* Is the point gone as of a position? */
static bool
is_deleted(const model_point_t *point, uint64_t lsn)
{
    return point->deleted_lsn && point->deleted_lsn <= lsn;
}

/* ---- questions ---- */

void
ch_model_expect(const ch_model_t *model, uint32_t series, uint64_t lsn,
                ch_model_series_t *out)
{
    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < model->count && model->points[i].lsn <= lsn; i++) {
        if (model->points[i].series != series)
            continue;
        int64_t second = model->points[i].time / SECOND;
        assert_in_range(second, 0, CH_MODEL_SECONDS - 1);
        if (is_deleted(&model->points[i], lsn))
            continue;
        out->present[second] = out->any = true;
        out->value[second] = model->points[i].value;
    }
}

void
ch_model_count(const ch_model_t *model, uint64_t lsn, uint64_t *points_out,
               uint64_t *series_out)
{
    static ch_model_series_t expected;
    *points_out = *series_out = 0;
    for (uint32_t series = 0; series < ALL_SERIES; series++) {
        uint64_t points = 0;
        if (!model->fresh_delete.names[series])
            continue;
        ch_model_expect(model, series, lsn, &expected);
        for (int64_t second = 0; second < CH_MODEL_SECONDS; second++) {
            model_point_t point = {.series = series, .time = second * SECOND};
            points += expected.present[second] && takes(&model->fresh_delete, &point);
        }
        *points_out += points;
        *series_out += points > 0;
    }
}

static void
compare_read(const ch_source_t *source, const ch_series_ref_t *ref,
             const ch_model_series_t *expected, int64_t start, int64_t end,
             size_t points_max)
{
    ch_points_t points = {0};
    bool more = false;
    assert_int_equal(
        source->read(source->context, ref, start, end, points_max, &points, &more),
        CH_OK);
    size_t at = 0;
    bool expect_more = false;
    for (int64_t second = 0; second < CH_MODEL_SECONDS; second++) {
        if (!expected->present[second] || second * SECOND < start ||
            second * SECOND >= end)
            continue;
        if (at == points_max) {
            expect_more = true;
            break;
        }
        assert_true(at < points.count);
        assert_int_equal(points.times[at], second * SECOND);
        assert_true(
            ch_value_equal(ch_points_value(&points, at), expected->value[second]));
        at++;
    }
    assert_int_equal(at, points.count);
    assert_int_equal(more, expect_more);
    ch_points_release(&points);
}

static void
compare_get(ch_view_t *view, ch_bytes_t name, ch_bytes_t labels,
            const ch_model_series_t *expected, int64_t time)
{
    int64_t newest = -1, got = 0;
    ch_value_t value;
    for (int64_t second = 0; second < CH_MODEL_SECONDS; second++)
        if (expected->present[second] && second * SECOND <= time)
            newest = second;
    ch_status_t status = ch_view_get(view, name, labels, time, &got, &value);
    assert_int_equal(status, newest < 0 ? CH_NOT_FOUND : CH_OK);
    if (newest < 0)
        return;
    assert_int_equal(got, newest * SECOND);
    assert_true(ch_value_equal(value, expected->value[newest]));
}

/* Headers, where they answer at all, answer what a walk over the points says. */
static void
compare_summary(const ch_source_t *source, const ch_series_ref_t *ref,
                const ch_model_series_t *expected, int64_t start, int64_t end)
{
    ch_summary_t summary = {0};
    if (source->summarise(source->context, ref, start, end, &summary) != CH_OK)
        return;
    uint64_t count = 0;
    double min = 0, max = 0, first = 0, last = 0;
    bool falls = false;
    for (int64_t second = 0; second < CH_MODEL_SECONDS; second++) {
        if (!expected->present[second] || second * SECOND < start ||
            second * SECOND >= end)
            continue;
        ch_value_t value = expected->value[second];
        double number = value.type == CH_VALUE_FLOAT  ? value.f64
                        : value.type == CH_VALUE_BOOL ? value.boolean
                                                      : (double)value.i64;
        min = count == 0 || number < min ? number : min;
        max = count == 0 || number > max ? number : max;
        first = count == 0 ? number : first;
        falls = falls || (count > 0 && number < last);
        last = number;
        count++;
    }
    assert_int_equal(summary.count, count);
    if (count) {
        assert_true(summary.min == min);
        assert_true(summary.max == max);
        assert_true(summary.first == first);
        assert_true(summary.last == last);
        assert_true(summary.falls || !falls);
    }
}

static void
compare_series(ch_model_t *model, ch_view_t *view, ch_rng_t *rng, uint32_t series)
{
    static ch_model_series_t expected;
    const ch_source_t *source = ch_view_source(view);
    ch_bytes_t name = ch_bytes_text(model->names[series / CH_MODEL_LABELS]);
    ch_bytes_t labels = ch_bytes_text(model->labels[series % CH_MODEL_LABELS]);
    ch_model_expect(model, series, ch_view_lsn(view), &expected);
    char text[128];
    snprintf(text, sizeof text, "{__name__=\"%.*s\"%s%.*s}", (int)name.size, name.data,
             labels.size ? "," : ",host=\"\"", (int)labels.size, labels.data);
    ch_selector_t *selector = NULL;
    assert_int_equal(ch_selector_parse(ch_bytes_text(text), &selector), CH_OK);
    ch_series_list_t list = {0};
    assert_int_equal(
        source->select(source->context, selector, CH_TIME_MIN, CH_TIME_MAX, 100, &list),
        CH_OK);
    assert_int_equal(list.count, expected.any);
    int64_t start = (int64_t)ch_rng_below(rng, CH_MODEL_TIMES) * SECOND;
    int64_t end = start + (int64_t)ch_rng_below(rng, CH_MODEL_TIMES) * SECOND;
    if (list.count) {
        compare_read(source, &list.items[0], &expected, CH_TIME_MIN, CH_TIME_MAX,
                     SIZE_MAX);
        compare_read(source, &list.items[0], &expected, start, end,
                     ch_rng_below(rng, 20));
        compare_summary(source, &list.items[0], &expected, CH_TIME_MIN, CH_TIME_MAX);
        compare_summary(source, &list.items[0], &expected, start, end);
    }
    compare_get(view, name, labels, &expected, CH_TIME_MAX);
    compare_get(view, name, labels, &expected, start);
    ch_series_list_release(&list);
    ch_selector_destroy(&selector);
}

static bool
count_visit(void *context, ch_bytes_t text)
{
    (void)text;
    ++*(size_t *)context;
    return true;
}

static void
compare_names(ch_model_t *model, ch_view_t *view)
{
    bool seen[CH_MODEL_NAMES] = {false};
    size_t expected = 0, got = 0;
    for (size_t i = 0; i < model->count && model->points[i].lsn <= ch_view_lsn(view);
         i++) {
        uint32_t name = model->points[i].series / CH_MODEL_LABELS;
        if (seen[name] || is_deleted(&model->points[i], ch_view_lsn(view)))
            continue;
        seen[name] = true;
        expected++;
    }
    assert_int_equal(
        ch_view_label_values(view, NULL, ch_bytes_text("__name__"), count_visit, &got),
        CH_OK);
    assert_int_equal(got, expected);
}

void
ch_model_compare(ch_model_t *model, ch_engine_t *engine, ch_rng_t *rng, bool everything)
{
    ch_view_t *view = NULL;
    assert_int_equal(ch_view_open(engine, &view), CH_OK);
    assert_int_equal(ch_view_lsn(view), ch_engine_durable_lsn(engine));
    uint32_t all = CH_MODEL_NAMES * CH_MODEL_LABELS;
    if (everything)
        for (uint32_t series = 0; series < all; series++)
            compare_series(model, view, rng, series);
    else
        compare_series(model, view, rng, (uint32_t)ch_rng_below(rng, all));
    compare_names(model, view);
    ch_model_compare_queries(model, view, rng);
    ch_view_destroy(&view);
}

static bool
read_agrees(const ch_source_t *source, const ch_series_ref_t *ref,
            const ch_model_series_t *expected)
{
    ch_points_t points = {0};
    bool more = false;
    ch_status_t status = source->read(source->context, ref, CH_TIME_MIN, CH_TIME_MAX,
                                      SIZE_MAX, &points, &more);
    size_t at = 0;
    bool agrees = true;
    for (int64_t second = 0; status >= 0 && agrees && second < CH_MODEL_SECONDS;
         second++) {
        if (!expected->present[second])
            continue;
        agrees = at < points.count && points.times[at] == second * SECOND &&
                 ch_value_equal(ch_points_value(&points, at), expected->value[second]);
        at++;
    }
    agrees = agrees && (status < 0 || at == points.count);
    ch_points_release(&points);
    return agrees;
}

bool
ch_model_agrees_or_errs(ch_model_t *model, ch_engine_t *engine)
{
    static ch_model_series_t expected;
    ch_view_t *view = NULL;
    bool agrees = ch_view_open(engine, &view) == CH_OK;
    for (uint32_t series = 0; agrees && series < CH_MODEL_NAMES * CH_MODEL_LABELS;
         series++) {
        ch_bytes_t name = ch_bytes_text(model->names[series / CH_MODEL_LABELS]);
        ch_bytes_t labels = ch_bytes_text(model->labels[series % CH_MODEL_LABELS]);
        int64_t time;
        ch_value_t value;
        ch_model_expect(model, series, ch_view_lsn(view), &expected);
        ch_status_t status = ch_view_get(view, name, labels, CH_TIME_MAX, &time, &value);
        agrees = status < 0 || (status == CH_OK) == expected.any;
        if (agrees && status == CH_OK)
            agrees = time % SECOND == 0 && time >= 0 &&
                     time < (int64_t)CH_MODEL_SECONDS * SECOND &&
                     expected.present[time / SECOND] &&
                     ch_value_equal(value, expected.value[time / SECOND]);
        ch_series_list_t list = {0};
        ch_selector_t *selector = NULL;
        char text[128];
        snprintf(text, sizeof text, "{__name__=\"%.*s\"%s%.*s}", (int)name.size,
                 name.data, labels.size ? "," : ",host=\"\"", (int)labels.size,
                 labels.data);
        const ch_source_t *source = ch_view_source(view);
        assert_int_equal(ch_selector_parse(ch_bytes_text(text), &selector), CH_OK);
        if (agrees && source->select(source->context, selector, CH_TIME_MIN, CH_TIME_MAX,
                                     100, &list) >= 0) {
            agrees = (list.count == 1) == expected.any;
            if (agrees && list.count)
                agrees = read_agrees(source, &list.items[0], &expected);
        }
        ch_series_list_release(&list);
        ch_selector_destroy(&selector);
    }
    ch_view_destroy(&view);
    return agrees;
}
