/// Limits on what wire and disk may ask of us, each with its reason. Those that operators may
/// change are fields of ch_limits_t (defaults: ch_limits_default); the rest are constants.
#ifndef CH_LIMITS_H
#define CH_LIMITS_H

#include <stdint.h>

enum {
    CH_STRING_BYTES_MAX = 64 * 1024, /* the protocol: a string value */
    CH_PRODUCER_BYTES_MAX = 64,      /* docs/protocol.md */
    CH_DEPTH_MAX = 8,                /* the protocol: nesting of a batch */
    CH_CHUNK_POINTS_MAX =
        8192, /* docs/format/column.md: decode buffers are sized by it */
    CH_CHUNK_POINTS_TARGET = 4096, /* docs/format/column.md */
    CH_SESSION_REJECTS_MAX = 64,   /* the protocol: refusals kept per producer */
    CH_BATCH_KEY_BYTES_MAX =
        8 << 20 /* docs/protocol.md: expanded key bytes of one batch */
};

typedef struct ch_limits {
    uint32_t batch_bytes;  /* a frame on the ingest socket; twice that disconnects */
    uint32_t batch_points; /* points in one batch */
    uint32_t key_bytes;    /* a canonical series key */
    uint32_t labels;       /* labels of a series */
    uint32_t
        request_bytes; /* a frame on the query socket; beyond, the peer is disconnected */
    uint32_t reply_bytes;     /* a reply is cut (with a cursor) or refused above this */
    uint64_t series;          /* series a node keeps */
    uint64_t producer_series; /* series one producer may bring while the node runs */
    uint32_t producers;       /* sessions a node keeps */
    uint64_t query_samples;   /* samples one query may touch */
    uint64_t query_memory;    /* bytes one query may hold */
    uint32_t query_timeout_ms;
} ch_limits_t;

/// The protocol's defaults (docs/protocol.md).
ch_limits_t ch_limits_default(void);

#endif
