/// Bytes of int columns, shared by encoder and decoder (docs/format/column.md, "Int column").
/// Changing a number here is a new format version.
#ifndef CH_COLUMN_INT_COLUMN_FORMAT_H
#define CH_COLUMN_INT_COLUMN_FORMAT_H

enum {
    CH_INT_KIND_MASK = 0x03,
    CH_INT_KIND_PACK = 0,
    CH_INT_KIND_PATCH = 1,
    CH_INT_KIND_TANS = 2,

    CH_INT_PREDICTOR_SHIFT = 2,
    CH_INT_PREDICTOR_MASK = 0x07,
    CH_INT_FOR = 0,    /* distance to the first value */
    CH_INT_DELTA = 1,  /* difference to the value before */
    CH_INT_DELTA2 = 2, /* difference of differences */
    CH_INT_LINE = 3,   /* distance to a straight line */
    CH_INT_PREDICTORS = 4,

    CH_INT_HAS_FACTOR = 0x20,
    CH_INT_ZIGZAG = 0x40,
    CH_INT_RESERVED = 0x80,

    CH_INT_GAP_SKIP = 255, /* a gap byte that moves on without a patch */
    CH_INT_SLOPE_BITS = 16,
};

#endif
