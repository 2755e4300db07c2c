/* stats.h -- the least and greatest value of a page, a chunk or a file, and how they are stored.
 *
 * Numbers are kept as int64_t, strings are borrowed. Long strings are cut where they are stored: a
 * cut lower bound stays below, a cut upper bound is raised to the next string of that length, and
 * where there is none it is left out. Threads: values.
 */
#ifndef K2_LAKE_PARQUET_STATS_H
#define K2_LAKE_PARQUET_STATS_H

#include "lake/parquet/leaf.h"

struct k2_pq_bounds {
    bool has; /* false: no value */
    int64_t low, high;
    struct k2_str least, greatest;
};

/* Of values [first, first + count) of a leaf. seen is scratch. */
struct k2_pq_bounds k2_pq_leaf_bounds(const struct k2_pq_leaf *leaf, uint32_t first, uint32_t count,
                                      struct k2_buf *seen);
/* Widens into by other. */
void k2_pq_bounds_merge(struct k2_pq_bounds *into, const struct k2_pq_bounds *other, bool is_text);

/* How much of s a bound keeps: all of it up to 64 bytes (for Parquet) or 16 characters (for
 * Iceberg; 16 bytes when it is not UTF-8), else a shorter piece that ends between characters. */
size_t k2_pq_cut_bytes(struct k2_str s, bool is_utf8);
size_t k2_pq_cut_chars(struct k2_str s, bool is_utf8);
/* Makes s the least string of at most its characters that is above all that begin with it; false
 * when there is none, and then s is empty. */
bool k2_pq_raise(struct k2_buf *s, bool is_utf8);

/* Appends a bound as Parquet stores it: 4 or 8 bytes little endian, or the string. Returns whether
 * it is exact; *ret_lost is set when an upper bound cannot be given (nothing is appended then). */
bool k2_pq_put_bound(const struct k2_pq_shape *shape, const struct k2_pq_bounds *bounds,
                     bool is_upper, struct k2_buf *out, bool *ret_lost);
/* Appends a bound in Iceberg's single-value form; false when an upper one cannot be given. */
bool k2_pq_put_iceberg_bound(const struct k2_pq_shape *shape, const struct k2_pq_bounds *bounds,
                             bool is_upper, struct k2_buf *out);

#endif
