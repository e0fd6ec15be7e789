/// Fully anchored regular expressions in RE2's syntax (as Prometheus 3 takes them), run by pcre2.
///
/// Syntax   Go's regexp/syntax with Perl classes, and `.` matching newlines too. The text is read by
///          a parser of our own, which refuses what RE2 does not have (backreferences, lookaround,
///          atomic groups, possessive quantifiers, recursion, conditionals, callouts, verbs, \K \G
///          \R \X ...) and writes down a pcre2 pattern of the same meaning.
/// Limits   pcre2 backtracks: a match gives up after CH_REGEX_STEPS_MAX steps, and a regex for good
///          once CH_REGEX_SLOW_MAX matches took more than CH_REGEX_STEPS_USUAL: a million values
///          must not take hours just because each is within its limit.
/// Threads  one at a time per regex (it owns its match block).
#ifndef CH_INDEX_REGEX_H
#define CH_INDEX_REGEX_H

#include "ch/series_key.h"

enum {
    CH_REGEX_BYTES_MAX = 16 * 1024,  /* pattern text: longer ones are no one's question */
    CH_REGEX_DEPTH_MAX = 100,        /* nested groups; pcre2 compiles them by recursion */
    CH_REGEX_REPEAT_MAX = 1000,      /* RE2's limit for {n,m} */
    CH_REGEX_STEPS_MAX = 100 * 1000, /* a few milliseconds for one value */
    CH_REGEX_STEPS_USUAL = 2000,     /* sensible regexes take tens */
    CH_REGEX_SLOW_MAX = 300,
    CH_REGEX_HEAP_KIB_MAX = 4 * 1024, /* backtracking points of one match */
};

typedef struct ch_regex ch_regex_t;

/// Errors: CH_ERR_PARSE, CH_ERR_LIMIT (too long, too deep, too large when compiled).
ch_status_t ch_regex_new(ch_bytes_t pattern, ch_regex_t **regex_out) CH_MUST_CHECK;
void ch_regex_destroy(ch_regex_t **regex);

/// 1 or 0, or CH_ERR_LIMIT when it gave up.
int ch_regex_matches(ch_regex_t *regex, ch_bytes_t text);

/// How often ch_regex_matches gave up, in this process. Any thread.
uint64_t ch_regex_given_up(void);

/// RE2's syntax to pcre2's, appended to `out`. Errors as ch_regex_new.
ch_status_t ch_regex_translate(ch_bytes_t pattern, ch_text_t *out) CH_MUST_CHECK;

#endif
