/// PromQL's instant selector: `name{label="v",other=~"re.*",x!="y",z!~"w"}`, also
/// `{__name__="any text"}`, `{"any text"}`, and a dotted key bare (`system.cpu.load`).
///
/// Regexes  RE2 syntax, fully anchored, matched by pcre2 with match limits; what only a
///          backtracking engine can do (backreferences, lookaround ...) is refused as CH_ERR_PARSE.
/// Threads  immutable once parsed; each thread matches with its own ch_selector_t or under a lock.
#ifndef CH_SELECTOR_H
#define CH_SELECTOR_H

#include "ch/bytes.h"
#include "ch/status.h"

typedef enum { CH_MATCH_EQ, CH_MATCH_NE, CH_MATCH_RE, CH_MATCH_NRE } ch_match_kind_t;

typedef struct ch_matcher {
    ch_match_kind_t kind;
    ch_bytes_t label; /* "__name__" for the name */
    ch_bytes_t value; /* unescaped */
    void *regex;      /* compiled, owned by the selector */
} ch_matcher_t;

typedef struct ch_selector {
    ch_matcher_t *matchers;
    uint32_t count;
    char *memory; /* what the matchers point into */
} ch_selector_t;

/// Parse `text` whole. Errors: CH_ERR_PARSE (text says where), CH_ERR_LIMIT.
/// A selector needs one matcher that does not match the empty string (CH_ERR_PARSE otherwise).
ch_status_t ch_selector_parse(ch_bytes_t text,
                              ch_selector_t **selector_out) CH_MUST_CHECK;

/// Build from matchers (copied); for the PromQL parser. Same errors.
ch_status_t ch_selector_new(const ch_matcher_t *matchers, uint32_t count,
                            ch_selector_t **selector_out) CH_MUST_CHECK;

void ch_selector_destroy(ch_selector_t **selector);

/// Does one matcher accept this label value ("" when the label is absent)?
/// Returns 1, 0, or a negative status (CH_ERR_LIMIT: the regex gave up).
int ch_matcher_accepts(const ch_matcher_t *matcher, ch_bytes_t value);

/// Does the whole selector accept a series? Returns as ch_matcher_accepts.
int ch_selector_accepts(const ch_selector_t *selector, ch_bytes_t name,
                        ch_bytes_t labels);

#endif
