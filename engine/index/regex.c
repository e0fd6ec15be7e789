#include "index/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdatomic.h>

#include "ch/alloc.h"

static _Atomic uint64_t given_up;

struct ch_regex {
    enum { MATCH_ALL, MATCH_SOME, MATCH_CODE } kind; /* `.*`, `.+`, anything else */
    pcre2_code *code;
    pcre2_match_data *data;
    pcre2_match_context *context;
    unsigned slow; /* matches that took the long limit */
};

/* `.` matches newlines, `$` only the very end, `^` also after a last newline in multi-line mode, and
 * the whole text must match: what Go's `^(?s:...)$` says. */
static const uint32_t options =
    PCRE2_UTF | PCRE2_DOTALL | PCRE2_DOLLAR_ENDONLY | PCRE2_ALT_CIRCUMFLEX |
    PCRE2_ANCHORED | PCRE2_ENDANCHORED | PCRE2_NO_AUTO_CAPTURE | PCRE2_NEVER_BACKSLASH_C;

static ch_status_t
compile_failed(int error)
{
    PCRE2_UCHAR text[160];
    if (pcre2_get_error_message(error, text, sizeof text) < 0)
        text[0] = 0;
    bool large =
        error == PCRE2_ERROR_PATTERN_TOO_LARGE || error == PCRE2_ERROR_HEAP_FAILED;
    return ch_fail(large ? CH_ERR_LIMIT : CH_ERR_PARSE, "regex: %s", (const char *)text);
}

static ch_status_t
compile(ch_regex_t *regex, ch_bytes_t pattern)
{
    int error;
    PCRE2_SIZE offset;
    pcre2_compile_context *context = pcre2_compile_context_create(NULL);
    if (context == NULL)
        return ch_fail(CH_ERR_LIMIT, "regex: no memory to compile it");
    pcre2_set_newline(context, PCRE2_NEWLINE_LF);
    pcre2_set_bsr(context, PCRE2_BSR_ANYCRLF);
    regex->code = pcre2_compile(pattern.data ? pattern.data : (PCRE2_SPTR) "",
                                pattern.size, options, &error, &offset, context);
    pcre2_compile_context_free(context);
    if (regex->code == NULL)
        return compile_failed(error);
    regex->data = pcre2_match_data_create(1, NULL);
    regex->context = pcre2_match_context_create(NULL);
    if (regex->data == NULL || regex->context == NULL)
        return ch_fail(CH_ERR_LIMIT, "regex: no memory to match it");
    pcre2_set_depth_limit(regex->context, CH_REGEX_STEPS_MAX);
    pcre2_set_heap_limit(regex->context, CH_REGEX_HEAP_KIB_MAX);
    return CH_OK;
}

ch_status_t
ch_regex_new(ch_bytes_t pattern, ch_regex_t **regex_out)
{
    ch_text_t translated = {0};
    ch_regex_t *regex = ch_calloc(1, sizeof *regex);
    ch_status_t status = ch_regex_translate(pattern, &translated);
    regex->kind = ch_bytes_equal(pattern, ch_bytes_text(".*"))   ? MATCH_ALL
                  : ch_bytes_equal(pattern, ch_bytes_text(".+")) ? MATCH_SOME
                                                                 : MATCH_CODE;
    if (status >= 0 && regex->kind == MATCH_CODE)
        status = compile(regex, ch_text_bytes(&translated));
    if (status >= 0)
        *regex_out = ch_take(&regex);
    ch_text_release(&translated);
    ch_regex_destroy(&regex);
    return status;
}

void
ch_regex_destroy(ch_regex_t **regex)
{
    ch_regex_t *self = *regex;
    if (self == NULL)
        return;
    pcre2_match_context_free(self->context);
    pcre2_match_data_free(self->data);
    pcre2_code_free(self->code);
    ch_free(self);
    *regex = NULL;
}

static int
match(ch_regex_t *regex, ch_bytes_t text, uint32_t steps_max)
{
    pcre2_set_match_limit(regex->context, steps_max);
    return pcre2_match(regex->code, text.data ? text.data : (PCRE2_SPTR) "", text.size, 0,
                       0, regex->data, regex->context);
}

int
ch_regex_matches(ch_regex_t *regex, ch_bytes_t text)
{
    if (regex->kind != MATCH_CODE)
        return regex->kind == MATCH_ALL || text.size > 0;
    int found = match(regex, text, CH_REGEX_STEPS_USUAL);
    if (found == PCRE2_ERROR_MATCHLIMIT && regex->slow++ < CH_REGEX_SLOW_MAX)
        found = match(regex, text, CH_REGEX_STEPS_MAX);
    if (found >= 0)
        return 1;
    /* Text that is not UTF-8 is no value that could be stored: it matches nothing. */
    if (found == PCRE2_ERROR_NOMATCH ||
        (found <= PCRE2_ERROR_UTF8_ERR1 && found >= PCRE2_ERROR_UTF8_ERR21))
        return 0;
    atomic_fetch_add_explicit(&given_up, 1, memory_order_relaxed);
    return ch_fail(CH_ERR_LIMIT,
                   "regex: gave up, it takes too many steps; make it simpler");
}

uint64_t
ch_regex_given_up(void)
{
    return atomic_load_explicit(&given_up, memory_order_relaxed);
}
