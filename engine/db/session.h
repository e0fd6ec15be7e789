/// Producer sessions: which batch of which producer comes next (docs/protocol.md).
///
/// Core      check and consume are pure state changes: no clock, no I/O. What they decide is logged
///           by the caller as a WAL record and applied again, undecided, at recovery.
/// Durable   a session knows the lsn of each of its batches until that lsn is durable; the durable
///           seq is worked out when somebody asks.
/// Edits     the flush takes the sessions changed since the last memtable switch, exactly as they
///           stood at the switch (ch_session_map_capture): a state newer than the flushed position
///           would claim batches that a power loss may still take away.
/// Threads   the caller locks.
#ifndef CH_DB_SESSION_H
#define CH_DB_SESSION_H

#include "ch/engine.h"
#include "ch/series_key.h"

typedef struct ch_session_map ch_session_map_t;

ch_session_map_t *ch_session_map_new(void);
void ch_session_map_destroy(ch_session_map_t **map);
size_t ch_session_map_count(const ch_session_map_t *map);

/// What would become of this batch? TAKEN means it is the expected one; HELD that its producer is
/// new and the map holds `producers_max`. Counts gaps and duplicates.
ch_append_state_t ch_session_check(ch_session_map_t *map, const ch_identity_t *identity,
                                   uint32_t producers_max);

/// The batch became record `lsn`: consume its seq; `reject` non-NULL when it was refused.
void ch_session_consume(ch_session_map_t *map, const ch_identity_t *identity,
                        uint64_t lsn, int64_t time, const ch_reject_t *reject);

/// New series that this producer has brought since the map was made; 0 for an unknown one.
uint64_t ch_session_series(const ch_session_map_t *map, const char *producer);
/// Of `before` series `kept` are left; who brought those that went is not known: everybody's share.
void ch_session_map_shrink_series(ch_session_map_t *map, uint64_t kept, uint64_t before);
void ch_session_add_series(ch_session_map_t *map, const char *producer, uint64_t count);

/// Everything up to `durable_lsn` is durable: what consume remembers of batches in flight stays as
/// small as what is in flight, also when nobody ever asks.
void ch_session_map_durable(ch_session_map_t *map, uint64_t durable_lsn);

/// Batches remembered as not durable yet, of all producers.
size_t ch_session_map_in_flight(const ch_session_map_t *map);

/// Fill a view as of `durable_lsn`; CH_NOT_FOUND when the producer is unknown.
ch_status_t ch_session_view(ch_session_map_t *map, const char *producer,
                            uint64_t durable_lsn, ch_session_view_t *view_out);

void ch_session_map_visit(ch_session_map_t *map, uint64_t durable_lsn,
                          void (*visit)(void *context, const char *producer,
                                        const ch_session_view_t *view),
                          void *context);

/// Append the encoded state of every session changed since the last capture to `out` (a varint
/// count, then the sessions), or of all of them.
void ch_session_map_capture(ch_session_map_t *map, bool all, ch_text_t *out);

/// Read one captured set back over what is there. Errors: CH_ERR_CORRUPT.
ch_status_t ch_session_map_restore(ch_session_map_t *map, const uint8_t **from,
                                   const uint8_t *end) CH_MUST_CHECK;

#endif
