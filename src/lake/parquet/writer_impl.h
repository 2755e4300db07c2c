/* writer_impl.h -- the writer's parts: what it holds between pages, chunks and row groups. */
#ifndef K2_LAKE_PARQUET_WRITER_IMPL_H
#define K2_LAKE_PARQUET_WRITER_IMPL_H

#include <zstd.h>

#include "base/arena.h"
#include "lake/parquet/leaf.h"
#include "lake/parquet/parquet.h"
#include "lake/parquet/stats.h"

/* What a compressor in a hurry looks for. */
enum k2_pq_search {
    K2_PQ_SEARCH_SHORT, /* repeats of any length: text, plain values */
    K2_PQ_SEARCH_LONG,  /* long ones only: faster where there are hardly others */
    K2_PQ_SEARCH_BOTH,  /* each by a table of its own: small steps, which repeat in runs */
    K2_PQ_SEARCHES
};

/* How the values of a chunk are written. */
struct k2_pq_plan {
    enum k2_pq_encoding encoding;
    bool is_aligned; /* bit widths are whole bytes, for the compressor that follows */
    bool is_zstd;    /* pages that shrink are compressed */
    enum k2_pq_search search;
};

struct k2_pq_page {
    int64_t offset, first_row, nulls;
    int32_t bytes; /* header included */
    uint32_t values;
    struct k2_pq_bounds bounds;
};

/* What the footer says of a column chunk. */
struct k2_pq_chunk {
    enum k2_pq_encoding encoding;
    bool is_zstd, has_bounds, has_upper, is_lower_exact, is_upper_exact;
    int32_t page_count;
    int64_t dictionary_offset; /* -1: none */
    int64_t data_offset, bytes, plain_bytes, levels, nulls;
    struct k2_str lower, upper; /* the arena's */
    /* Places in the writer's buffers of blooms and indexes; length 0: none. */
    size_t bloom_at, column_index_at, offset_index_at;
    int32_t bloom_bytes, column_index_bytes, offset_index_bytes;
};

struct k2_pq_group {
    int64_t rows, offset, bytes, plain_bytes;
    struct k2_pq_chunk *chunks; /* one a leaf; the arena's */
};

/* A leaf over the whole file. */
struct k2_pq_leaf_state {
    struct k2_pq_shape shape;
    int64_t bytes, levels, nulls;
    struct k2_pq_bounds bounds; /* its strings lie in least and greatest */
    struct k2_buf least, greatest;
    uint32_t entries; /* of the last chunk's dictionary of numbers */
    int zstd_pause;   /* pages to leave uncompressed, because the last tried did not shrink */
};

struct k2_parquet_writer {
    struct k2_sink *sink;
    const struct k2_schema *schema;
    struct k2_parquet_opts opts;
    struct k2_field_ids ids[K2_COLUMNS_MAX];
    int leaf_count;
    struct k2_pq_leaf_state leaves[K2_PQ_LEAVES_MAX];
    int64_t position, rows;
    struct k2_pq_group *groups;
    int group_count, group_cap;
    struct k2_arena arena;
    struct k2_buf blooms, column_indexes, offset_indexes;
    ZSTD_CCtx *zstd[K2_PQ_SEARCHES]; /* made when first needed */
    struct k2_pq_builder builder;
    struct k2_pq_packed packed;
    const uint32_t *prepared; /* rows that are packed for files to come; NULL: none */
    uint32_t prepared_count;
    struct k2_pq_dictionary dictionary; /* of the chunk at hand, where the leaf has none */
    size_t cuts[2]; /* places in body, rising, where bytes of another kind begin; 0: none */
    struct k2_buf index, body, stored, header, lengths, seen, sample, bound, page_bounds;
    struct k2_pq_page *pages; /* of the chunk at hand */
    int page_count, page_cap;
};

/* A chunk as it is written: the leaf (re-expressed by index where a dictionary was made) and the
 * dictionary of its entries, if any. */
struct k2_pq_source {
    const struct k2_pq_shape *shape;
    struct k2_pq_leaf leaf;
    struct k2_pq_plan plan;
    struct k2_pq_bounds bounds;                /* of the whole chunk */
    const struct k2_pq_dictionary *dictionary; /* NULL unless the plan wants one */
    const uint32_t *index;                     /* with dictionary: of every value */
};

/* Picks the encoding of a chunk by type and a look at its values, and builds its dictionary. */
void k2_pq_choose(struct k2_parquet_writer *writer, struct k2_pq_source *source);
/* Writes one chunk. */
bool k2_pq_write_chunk(struct k2_parquet_writer *writer, struct k2_pq_leaf_state *state,
                       const struct k2_pq_leaf *leaf, struct k2_pq_chunk *chunk,
                       struct k2_err *err) K2_MUST;
/* Writes the dictionary page of a chunk. */
bool k2_pq_write_dictionary(struct k2_parquet_writer *writer, const struct k2_pq_source *source,
                            struct k2_pq_chunk *chunk, struct k2_err *err) K2_MUST;
/* Appends body, compressed, to out; what lies beyond a cut gets codes of its own. */
bool k2_pq_compress(struct k2_parquet_writer *writer, enum k2_pq_search search, struct k2_buf *out,
                    struct k2_err *err) K2_MUST;
/* Frees the writer's compressors. */
void k2_pq_compressors_free(struct k2_parquet_writer *writer);
/* A stretch of a leaf that makes one page: whole rows. */
struct k2_pq_stretch {
    uint32_t level, levels, value, values, rows;
};
/* Writes a data page and appends it to the writer's pages. */
bool k2_pq_write_page(struct k2_parquet_writer *writer, struct k2_pq_leaf_state *state,
                      const struct k2_pq_source *source, const struct k2_pq_stretch *stretch,
                      struct k2_pq_chunk *chunk, struct k2_err *err) K2_MUST;
/* Hands bytes to the sink and counts them. */
bool k2_pq_emit(struct k2_parquet_writer *writer, struct k2_str bytes, struct k2_err *err) K2_MUST;
/* Writes Bloom filters, indexes, footer and closing magic. */
bool k2_pq_write_footer(struct k2_parquet_writer *writer, struct k2_err *err) K2_MUST;

#endif
