/* reader_impl.h -- an opened file, and a column chunk being read front to back. Private to
 * lake/parquet.
 *
 * Invariants: a stream stands at a level of its chunk; whatever comes out of the file is checked
 * before it sizes an allocation or a loop. Threads: a file and its streams belong to one thread.
 */
#ifndef K2_LAKE_PARQUET_READER_IMPL_H
#define K2_LAKE_PARQUET_READER_IMPL_H

#include <zstd.h>

#include "base/arena.h"
#include "lake/parquet/delta.h"
#include "lake/parquet/parquet.h"
#include "lake/parquet/rle.h"
#include "lake/parquet/shape.h"
#include "lake/parquet/strings.h"
#include "lake/parquet/thrift_compact.h"

enum {
    K2_PQ_PAGE_BYTES_MIN = 16, /* of a page and its header */
    K2_PQ_CHUNK_LEVELS_MAX = 1 << 28,
    K2_PQ_BLOCK = 1024, /* levels or indices that are looked at together */
};

/* A place in the file; 0 bytes: none. */
struct k2_pq_place {
    int64_t offset, bytes;
};
/* What the footer says of a chunk. */
struct k2_pq_meta {
    int physical, codec;
    int64_t values, bytes, data, dictionary; /* dictionary -1: none */
    int64_t nulls;                           /* -1: not said */
    struct k2_str low, high;                 /* of the statistics; NULL: none */
    bool is_low_exact, is_high_exact, has_exactness;
    struct k2_pq_place column_index, offset_index, bloom;
};
struct k2_pq_row_group {
    int64_t rows;
    struct k2_pq_meta *chunks; /* by leaf of the file */
};
/* A leaf as the file has it; what K2 writes as required, others may write as optional. */
struct k2_pq_stored {
    int physical;
    int32_t field_id, column_id; /* of the leaf and of the column it is part of */
    uint8_t max_def, max_rep;
    uint8_t element_def; /* least definition level of an element of a list or map */
    bool is_column_optional;
    int16_t index; /* among the file's leaves; -1: the file lacks it */
};
struct k2_pq_stream;
struct k2_parquet_file {
    struct k2_store *store;
    char *path;
    int64_t size, rows;
    const struct k2_schema *schema;
    struct k2_pq_shape shapes[K2_PQ_LEAVES_MAX];
    struct k2_pq_stored stored[K2_PQ_LEAVES_MAX]; /* by leaf of the schema */
    int leaf_count, file_leaf_count, group_count;
    struct k2_pq_row_group *groups;
    struct k2_arena arena;
    struct k2_buf footer;
    ZSTD_DCtx *zstd;                 /* made when first needed */
    struct k2_pq_stream *streams[2]; /* reused from column to column */
};

/* A page's header. */
struct k2_pq_header {
    uint32_t fields, inner_fields; /* that it has: k2_thrift_note */
    int type, encoding, def_encoding, rep_encoding;
    int64_t plain_bytes, bytes, values, nulls, rows, def_bytes, rep_bytes, crc; /* crc -1: none */
    bool is_compressed;
};

/* A page that was begun: its header from at, its body from body to end. */
struct k2_pq_begun {
    const uint8_t *at, *body, *end;
    struct k2_pq_header header;
};

/* Where a dictionary's string lies in the text of the batch at hand. */
struct k2_pq_placed {
    struct k2_span span;
    uint32_t round; /* of the stream, when it was put there */
};

/* Levels and elements of a list or map column that were decoded together. */
struct k2_pq_block {
    uint32_t at, count;         /* levels */
    uint32_t element, elements; /* taken of the elements; how many there are */
    bool is_by_index;           /* elements are entries of the dictionary */
    uint8_t def[K2_PQ_BLOCK], rep[K2_PQ_BLOCK];
    uint32_t index[K2_PQ_BLOCK];
    struct k2_span spans[K2_PQ_BLOCK]; /* in text, where not by index */
    struct k2_buf text;
};

struct k2_pq_stream {
    struct k2_parquet_file *file;
    const struct k2_pq_shape *shape;
    const struct k2_pq_stored *stored;
    const struct k2_pq_meta *chunk;
    const struct k2_column *column;
    int row_group;
    bool is_whole; /* all of the chunk was fetched */
    struct k2_buf raw;
    int64_t raw_at;                      /* where it lies in the file, when is_whole */
    const uint8_t *at, *end;             /* pages not yet begun */
    struct k2_pq_begun data, dictionary; /* the page at hand; valid with has_dictionary */
    int64_t levels_begun;                /* of the pages that were */
    uint32_t levels_left;                /* of the page at hand */
    uint32_t rows_to_pass;               /* before the first row asked for */
    int encoding;
    struct k2_buf page; /* decompressed */
    struct k2_rle_in def, rep, index;
    struct k2_delta_in delta;
    struct k2_pq_text_in text; /* PLAIN numbers too: its at and end */
    uint32_t entries;          /* of the dictionary */
    bool has_dictionary;
    struct k2_buf numbers; /* entries of 4 or 8 bytes; of enums and flags, as they are meant */
    struct k2_buf strings; /* struct k2_span of every entry, in dictionary_text */
    struct k2_buf dictionary_text;
    struct k2_buf codes; /* entries as codes of codes_of */
    const struct k2_intern *codes_of;
    struct k2_buf placed;      /* struct k2_pq_placed of every entry */
    uint32_t round;            /* changes when what was placed is no longer to be used */
    struct k2_pq_block *block; /* of lists and maps */
};

static inline bool k2_pq_is_number(const struct k2_pq_shape *shape) {
    return shape->physical == K2_PQ_INT32 || shape->physical == K2_PQ_INT64;
}
static inline struct k2_str k2_pq_entry(const struct k2_pq_stream *stream, uint32_t entry) {
    struct k2_span span = ((const struct k2_span *)stream->strings.ptr)[entry];
    return (struct k2_str){stream->dictionary_text.ptr + span.offset, span.len};
}

/* Errors that name path, row group and column: CORRUPT, and INVALID for what K2 does not read. */
bool k2_pq_corrupt(const struct k2_pq_stream *stream, const char *what, struct k2_err *err) K2_MUST;
bool k2_pq_refuse(const struct k2_pq_stream *stream, const char *what, const char *name,
                  struct k2_err *err) K2_MUST;
/* The format's own name of an encoding or a codec. */
const char *k2_pq_encoding_name(int encoding);
const char *k2_pq_codec_name(int codec);

/* An unused stream; k2_pq_stream_start makes it stand before row first of a chunk, of which rows
 * up to first + count will be asked for. The memory of earlier chunks is used again. */
struct k2_pq_stream *k2_pq_stream_new(struct k2_parquet_file *file);
void k2_pq_stream_free(struct k2_pq_stream *stream);
bool k2_pq_stream_start(struct k2_pq_stream *stream, int row_group, int leaf, uint32_t first,
                        uint32_t count, struct k2_err *err) K2_MUST;
/* Steps to the next page with levels, taking in a dictionary on the way. *ret_is_there: false at
 * the end of the chunk, and then it has as many values as the footer says. */
bool k2_pq_stream_page(struct k2_pq_stream *stream, bool *ret_is_there, struct k2_err *err) K2_MUST;
/* Reads a page header; false when it makes no sense. The cursor stands behind it then. */
bool k2_pq_header_read(struct k2_thrift_in *in, struct k2_pq_header *ret) K2_MUST;

/* Reads the next rows of a flat column, or of a list, map or flags column (values: the stream of a
 * map's values, else NULL), into rows base to base + rows of batch. */
bool k2_pq_read_flat(struct k2_pq_stream *stream, struct k2_batch *batch, uint32_t base,
                     uint32_t rows, struct k2_err *err) K2_MUST;
bool k2_pq_read_nested(struct k2_pq_stream *stream, struct k2_pq_stream *values,
                       struct k2_batch *batch, uint32_t base, uint32_t rows,
                       struct k2_err *err) K2_MUST;
/* Takes strings of the page at hand that are not by index. */
bool k2_pq_take_text(struct k2_pq_stream *stream, size_t count, struct k2_buf *out,
                     struct k2_span *spans, struct k2_err *err) K2_MUST;
/* Takes indices into the dictionary, each checked: a run or several values, at most max; out[0] is
 * the value of a run. Returns how many; 0: the bytes are wrong. */
size_t k2_pq_take_index(struct k2_pq_stream *stream, size_t max, uint32_t *out, bool *ret_is_run);

#endif
