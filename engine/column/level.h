/// How hard an encoder of columns works. Both levels write one format: any reader reads either.
#ifndef CH_COLUMN_LEVEL_H
#define CH_COLUMN_LEVEL_H

typedef enum {
    CH_COLUMN_FAST, /* bit-packing only: flush and the upper levels of compaction */
    CH_COLUMN_DENSE, /* entropy coding too, where it wins: data that stays, at the last level */
} ch_column_level_t;

#endif
