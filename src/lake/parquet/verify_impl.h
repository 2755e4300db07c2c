/* verify_impl.h -- what the parts of the checker share: findings, claims of the footer, pages seen.
 *
 * The checker knows a file by two ways, the reader's and its own walk, and compares. Threads: a
 * check belongs to one thread.
 */
#ifndef K2_LAKE_PARQUET_VERIFY_IMPL_H
#define K2_LAKE_PARQUET_VERIFY_IMPL_H

#include "lake/parquet/reader_impl.h"

enum { K2_PQ_PAGE_COUNTS_MAX = 8, K2_PQ_SORTING_MAX = 8 };

/* How many pages of a kind a chunk is said to have. */
struct k2_pq_page_count {
    int type, encoding;
    int64_t count;
};
/* What the footer says of a chunk and the reader has no use for. */
struct k2_pq_claims {
    uint32_t encodings; /* a bit each */
    int64_t plain_bytes;
    int page_count_count; /* of kinds */
    struct k2_pq_page_count page_counts[K2_PQ_PAGE_COUNTS_MAX];
};
/* By which of the file's leaves the rows of a group are said to be sorted. */
struct k2_pq_sorting {
    int count;
    struct {
        int leaf;
        bool is_descending, is_nulls_first;
    } by[K2_PQ_SORTING_MAX];
};
/* Bytes of the file that belong to one of its parts. */
struct k2_pq_extent {
    int64_t start, bytes;
    const char *part;
};
/* A data page as it was found. */
struct k2_pq_seen {
    int64_t offset, bytes, first_row, rows, nulls, values;
};
/* A column index; the lists have one entry a page. */
struct k2_pq_column_index {
    size_t page_count;
    bool *is_null;
    struct k2_str *low, *high;
    int order;
};

struct k2_pq_verify {
    struct k2_parquet_file *file;
    const struct k2_field_ids *ids;
    k2_finding_fn *finding;
    void *self;
    struct k2_arena arena, chunk_arena;  /* the latter is reset from chunk to chunk */
    struct k2_pq_claims *claims;         /* by row group, then leaf of the file */
    struct k2_pq_sorting *sorting;       /* by row group */
    struct k2_buf extents, bytes, pages; /* pages: struct k2_pq_seen of the chunk at hand */
    struct k2_intern strings;
    struct k2_batch *batch, *last; /* a slice of rows; the row before it */
};

static inline const struct k2_pq_meta *k2_pq_chunk_of(const struct k2_pq_verify *v, int row_group,
                                                      int leaf) {
    return &v->file->groups[row_group].chunks[v->file->stored[leaf].index];
}
static inline const struct k2_pq_seen *k2_pq_pages(const struct k2_pq_verify *v) {
    return (const struct k2_pq_seen *)v->pages.ptr;
}
static inline size_t k2_pq_page_count(const struct k2_pq_verify *v) {
    return v->pages.len / sizeof(struct k2_pq_seen);
}

/* Whether a struct has the fields it needs, and no id twice or above last: seen is what
 * k2_thrift_note made. */
static inline bool k2_pq_fields_fit(uint32_t seen, uint32_t need, int last) {
    return (seen & need) == need && !(seen & ~k2_thrift_ids(1, last));
}

/* Report what is wrong: with the file, or with a leaf (of the schema) in a row group. */
void k2_pq_find(const struct k2_pq_verify *v, const char *fmt, ...) K2_PRINTF(2, 3);
void k2_pq_find_at(const struct k2_pq_verify *v, int row_group, int leaf, const char *fmt, ...)
    K2_PRINTF(4, 5);
/* Reads bytes [offset, offset + bytes) of the file into v->bytes; false where there are none. */
bool k2_pq_verify_fetch(struct k2_pq_verify *v, struct k2_pq_place place);

/* Checks the footer beyond what the reader looks at, fills claims and sorting, and checks that
 * every byte of the file belongs to one part of it. */
void k2_pq_verify_footer(struct k2_pq_verify *v);
/* Checks headers, levels and counts of a chunk's pages, and both its indexes against them; fills
 * v->pages. *ret_is_sound: false when a finding was reported after which values make no sense.
 * Errors, here and below: what is not the file's fault. */
bool k2_pq_verify_pages(struct k2_pq_verify *v, int row_group, int leaf, bool *ret_is_sound,
                        struct k2_err *err) K2_MUST;
/* Reads the column index of a chunk of page_count pages; false where it has none that can be read.
 * What it gives lives until chunk_arena is reset. */
bool k2_pq_verify_column_index(struct k2_pq_verify *v, int row_group, int leaf, size_t page_count,
                               struct k2_pq_column_index *ret);
/* Checks the values of a column against statistics, column index and Bloom filter. pages are those
 * of its leaf, or of its two, the first of which is leaf. *ret_is_sound: they could be read. */
bool k2_pq_verify_values(struct k2_pq_verify *v, int row_group, int leaf,
                         const struct k2_buf pages[2], bool *ret_is_sound,
                         struct k2_err *err) K2_MUST;
/* Checks that rows are sorted as the footer says. */
bool k2_pq_verify_order(struct k2_pq_verify *v, int row_group, struct k2_err *err) K2_MUST;
/* Reports an error that is the file's fault, and hands on any other: false. */
bool k2_pq_verify_take(const struct k2_pq_verify *v, const struct k2_err *why,
                       struct k2_err *err) K2_MUST;

#endif
