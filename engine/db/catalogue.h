/// What the tables say of series, kept beside them so that a start need not read it out of every table
/// (docs/format/catalogue.md).
///
/// Shape    an image of series table and label index, and behind it, flush by flush, the series that
///          came since. Each part names an lsn: all series with points in tables up to there are in
///          it or in the parts before.
/// Truth    the tables' keys. A catalogue that is missing, damaged or of another database is said
///          loudly and made anew; nothing else depends on it, so its failures stop nothing.
/// Empty    it also knows which series deletes may have emptied. Once a merge has ended such a delete
///          nothing else knows: so before that, it is settled.
/// Threads  load: while opening. save: the flusher (close: the writer). settle: the compactor. renew: the
///          sweeper. The engine's catalogue_mutex lets one at a time.
#ifndef CH_DB_CATALOGUE_H
#define CH_DB_CATALOGUE_H

#include "ch/status.h"
#include "db/roster.h"

struct ch_engine;

typedef struct ch_catalogue {
    uint64_t number;        /* of the image; 0: there is none */
    ch_series_mark_t image; /* what it holds */
    ch_series_mark_t saved; /* with what was added since */
    uint64_t lsn;           /* as of `saved` */
    uint64_t added_bytes;   /* whole parts in the file of additions */
    bool torn;              /* something else follows them: only a new image helps */
    bool abandoned;         /* until the next start there is none */
    ch_roster_t *roster;    /* whose series, by whose ids */
} ch_catalogue_t;

/// Fill series table, label index and states. Tables with lsn_max <= catalogue.lsn need not be asked
/// for their keys.
void ch_catalogue_load(struct ch_engine *engine);

/// Remove it for good, and keep none until the next start: a table's keys cannot be read, and what does not
/// have them must not cover it. Series table and index stay as they are. < 0: it may still be there.
ch_status_t ch_catalogue_abandon(struct ch_engine *engine) CH_MUST_CHECK;

void ch_catalogue_release(ch_catalogue_t *catalogue);

/// The tables up to `lsn` are installed and everything up to there is durable: note which series they
/// have. Small when few came.
void ch_catalogue_save(struct ch_engine *engine, uint64_t lsn);

/// Sweeper: write it anew if it is not of the present roster and everything that one took over is flushed.
void ch_catalogue_renew(struct ch_engine *engine);

/// Make what it says of series up to `lsn`, which is flushed, survive a power loss; nothing to do where
/// there is none. < 0: it may not.
ch_status_t ch_catalogue_settle(struct ch_engine *engine, uint64_t lsn) CH_MUST_CHECK;

#endif
