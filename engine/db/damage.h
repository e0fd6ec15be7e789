/// Tables that cannot be read, whole or in part: the node lives, other ranges answer, and nobody is told less
/// than there is.
///
/// Whole     footer, index or filter is bad, or the file is missing: a damaged table stands in its place
///           (sst/sstable.h) with what the manifest says, and every answer that needs its range is
///           CH_ERR_CORRUPT. The file stays where it is, merges leave the table alone, deletes that it
///           lacks are kept for it: a start finds it whole again once the file is restored.
/// Keys      of a table that the catalogue does not cover tell which series there are. When they cannot be
///           read, any selector may miss some: where the table's range is asked, it is CH_ERR_CORRUPT.
///           No catalogue is kept meanwhile, since one that claims to cover the table would hide its
///           series for good.
/// In part   a block that turns out bad is CH_ERR_CORRUPT for those who need it, said once in the log.
#ifndef CH_DB_DAMAGE_H
#define CH_DB_DAMAGE_H

#include "db/manifest.h"
#include "db/version.h"

struct ch_engine;

/// Open a table that the manifest lists and take its keys, if the catalogue lacks them; damage is said in the
/// log. Errors: CH_ERR_VERSION, CH_ERR_IO (the file is there and cannot be opened: no rights, no
/// descriptors).
ch_status_t ch_engine_open_listed(struct ch_engine *engine,
                                  const ch_manifest_table_t *listed,
                                  ch_table_t **table_out) CH_MUST_CHECK;

/// A question to the table ended like this: when that is damage, it is said, once a table.
void ch_table_note(struct ch_engine *engine, ch_table_t *table, ch_status_t status);

/// CH_ERR_CORRUPT when a table that may have points in [start, end) may have series that nobody knows of.
ch_status_t ch_version_check_keys(const ch_version_t *version, int64_t start,
                                  int64_t end) CH_MUST_CHECK;

#endif
