/// A source that shows only the series that a selector accepts: what a key with series= may read.
///
/// Selections are narrowed by the scope's matchers before the engine sees them; series that were selected
/// are read as they are.
/// Threads  one at a time.
#ifndef CH_SCOPE_H
#define CH_SCOPE_H

#include "ch/source.h"

typedef struct ch_scope {
    ch_selector_t *selector; /* NULL: everything */
    const ch_source_t *inner;
    ch_source_t source;
} ch_scope_t;

/// `text` NULL: everything. Release it also after an error.
ch_status_t ch_scope_init(ch_scope_t *scope, const char *text) CH_MUST_CHECK;
void ch_scope_release(ch_scope_t *scope);

/// `inner` through the scope; valid as long as both. One at a time.
const ch_source_t *ch_scope_source(ch_scope_t *scope, const ch_source_t *inner);

/// Replace *selector (NULL: all) by one that also asks for the scope's matchers.
ch_status_t ch_scope_narrow(const ch_scope_t *scope,
                            ch_selector_t **selector) CH_MUST_CHECK;

/// CH_OK, or CH_ERR_FORBIDDEN: this series lies outside.
ch_status_t ch_scope_series(const ch_scope_t *scope, ch_bytes_t name,
                            ch_bytes_t labels) CH_MUST_CHECK;

#endif
