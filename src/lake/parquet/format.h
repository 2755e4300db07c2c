/* format.h -- the numbers of the Parquet format that K2 uses, under its own words. */
#ifndef K2_LAKE_PARQUET_FORMAT_H
#define K2_LAKE_PARQUET_FORMAT_H

#include <stddef.h>

enum k2_pq_physical {
    K2_PQ_BOOLEAN,
    K2_PQ_INT32,
    K2_PQ_INT64,
    K2_PQ_INT96,
    K2_PQ_FLOAT,
    K2_PQ_DOUBLE,
    K2_PQ_BYTE_ARRAY,
    K2_PQ_FIXED_LEN_BYTE_ARRAY,
};
enum k2_pq_repetition { K2_PQ_REQUIRED, K2_PQ_OPTIONAL, K2_PQ_REPEATED };
enum k2_pq_converted {
    K2_PQ_UTF8 = 0,
    K2_PQ_MAP = 1,
    K2_PQ_LIST = 3,
    K2_PQ_DECIMAL = 5,
    K2_PQ_TIMESTAMP_MILLIS = 9,
    K2_PQ_TIMESTAMP_MICROS = 10,
    K2_PQ_INT_32 = 17, /* what INT32 and INT64 are anyway; never written */
    K2_PQ_INT_64 = 18,
};
/* Members of the union LogicalType. */
enum k2_pq_logical {
    K2_PQ_LOGICAL_STRING = 1,
    K2_PQ_LOGICAL_MAP = 2,
    K2_PQ_LOGICAL_LIST = 3,
    K2_PQ_LOGICAL_DECIMAL = 5,
    K2_PQ_LOGICAL_TIMESTAMP = 8,
};
enum { K2_PQ_UNIT_MICROS = 2 }; /* of the union TimeUnit */
enum k2_pq_encoding {
    K2_PQ_PLAIN = 0,
    K2_PQ_PLAIN_DICTIONARY = 2, /* the older name of RLE_DICTIONARY; read, never written */
    K2_PQ_RLE = 3,
    K2_PQ_DELTA = 5, /* DELTA_BINARY_PACKED */
    K2_PQ_DELTA_LENGTH = 6,
    K2_PQ_DELTA_STRINGS = 7, /* DELTA_BYTE_ARRAY */
    K2_PQ_RLE_DICTIONARY = 8,
    K2_PQ_ENCODINGS = 10,
};
enum k2_pq_codec { K2_PQ_UNCOMPRESSED = 0, K2_PQ_ZSTD = 6 };
enum k2_pq_page_type { K2_PQ_PAGE_V1 = 0, K2_PQ_PAGE_DICTIONARY = 2, K2_PQ_PAGE_V2 = 3 };
enum k2_pq_order { K2_PQ_UNORDERED, K2_PQ_ASCENDING, K2_PQ_DESCENDING };

enum {
    /* Readable (or writable) bytes behind the end of every coded input (output): the packers move
     * whole words. */
    K2_PQ_SLACK = 64,
    K2_PQ_PAGE_ROWS_MAX = 1 << 17, /* of a page, written or read */
    K2_PQ_BOUND_BYTES = 64,        /* longer strings are cut in statistics */
    K2_PQ_BOUND_CHARS = 16,        /* and in Iceberg's bounds */
};

#endif
