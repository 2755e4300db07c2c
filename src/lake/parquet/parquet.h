/* parquet.h -- K2's own Parquet writer and reader, for the encodings K2 writes.
 *
 * The writer takes rows of a batch and makes: required columns where the schema says so, field ids,
 * data pages v2, exact statistics, column and offset index, page CRCs, zstd by column. The reader
 * reads such files back into batches and prunes row groups. It takes what others write as far as it
 * is close to that (pages v1, optional columns without NULLs) and refuses the rest by name:
 * INVALID. Threads: a writer or a reader belongs to one thread; several may run at once.
 */
#ifndef K2_LAKE_PARQUET_PARQUET_H
#define K2_LAKE_PARQUET_PARQUET_H

#include "base/err.h"
#include "lake/store/store.h"
#include "market/batch.h"

struct k2_parquet_opts {
    uint32_t row_group_rows; /* default 131072 */
    uint32_t page_rows;      /* default 65536, at most 131072 */
    int zstd_level;          /* default 1; -1: no compression */
    bool is_sorted;      /* rows come in (symbol, timestamp, number) order: encodings for that */
    bool has_page_index; /* default on through k2_parquet_defaults */
    bool has_bloom;      /* Bloom filter on the symbol column */
};
struct k2_parquet_opts k2_parquet_defaults(void);

/* What Iceberg's data_file wants to know of one top-level or nested field. Bounds are in Iceberg's
 * single-value form (appendix D): ints and times little endian, decimals big-endian minimal,
 * strings raw, cut to 16 code points (upper ones rounded up) where longer. */
struct k2_column_stats {
    int32_t field_id;
    int64_t bytes;       /* compressed, headers included */
    int64_t value_count; /* nulls included */
    int64_t null_count;
    bool has_bounds; /* lists and maps have none, all-null columns neither */
    bool has_upper;  /* false where a cut upper bound could not be rounded up */
    struct k2_buf lower, upper;
};
struct k2_file_stats {
    int64_t rows, bytes;
    int stats_count;
    struct k2_column_stats *stats; /* one per leaf field id */
    int split_count;
    int64_t *split_offsets; /* start of each row group */
};
void k2_file_stats_done(struct k2_file_stats *stats);

struct k2_parquet_writer;
/* Writes into sink (borrowed; the caller commits it). ids[schema->column_count] are the field ids.
 */
struct k2_parquet_writer *k2_parquet_writer_new(struct k2_sink *sink,
                                                const struct k2_schema *schema,
                                                const struct k2_field_ids *ids,
                                                const struct k2_parquet_opts *opts,
                                                struct k2_err *err) K2_MUST;
/* Begins another file with a writer that has finished one, or has failed to, in the memory that it
 * has: the way to write many. After an error it can be restarted again. */
bool k2_parquet_writer_restart(struct k2_parquet_writer *writer, struct k2_sink *sink,
                               const struct k2_schema *schema, const struct k2_field_ids *ids,
                               const struct k2_parquet_opts *opts, struct k2_err *err) K2_MUST;
/* Makes ready what k2_parquet_write does with an order, for files that will each have a piece of
 * order[0..count): fetching the rows of a batch once for all of them saves time, and nothing else
 * changes. Until the next call, for which count 0 will do, batch and order stay as they are. */
void k2_parquet_prepare(struct k2_parquet_writer *writer, const struct k2_batch *batch,
                        const uint32_t *order, uint32_t count);
/* Adds rows order[0..count) of batch (order NULL: rows 0..count) as one or more row groups. Errors:
 * those of the sink; INVALID for a string that is not UTF-8 or a decimal beyond 18 digits. Rows
 * that are not in the order of the batch are copied first, a million of them at a time. */
bool k2_parquet_write(struct k2_parquet_writer *writer, const struct k2_batch *batch,
                      const uint32_t *order, uint32_t count, struct k2_err *err) K2_MUST;
/* Writes indexes and footer; fills *ret_stats (k2_file_stats_done frees it). */
bool k2_parquet_finish(struct k2_parquet_writer *writer, struct k2_file_stats *ret_stats,
                       struct k2_err *err) K2_MUST;
void k2_parquet_writer_free(struct k2_parquet_writer *writer);

struct k2_parquet_file;
/* Opens and checks the footer. Columns are found by field id; a column of the schema that the file
 * lacks reads as NULL (INVALID where it is required). CORRUPT names the path and what is wrong. */
struct k2_parquet_file *k2_parquet_open(struct k2_store *store, const char *path,
                                        const struct k2_schema *schema,
                                        const struct k2_field_ids *ids, struct k2_err *err) K2_MUST;
void k2_parquet_close(struct k2_parquet_file *file);
int64_t k2_parquet_rows(const struct k2_parquet_file *file);
int k2_parquet_row_groups(const struct k2_parquet_file *file);
int64_t k2_parquet_row_group_rows(const struct k2_parquet_file *file, int row_group);
/* False when the statistics prove that no row of the row group has the column within
 * [low, high] (ints, times, decimals: as stored in a batch). */
bool k2_parquet_may_hold_int(const struct k2_parquet_file *file, int row_group, int column,
                             int64_t low, int64_t high);
bool k2_parquet_may_hold_str(const struct k2_parquet_file *file, int row_group, int column,
                             struct k2_str value);
/* Appends all rows of a row group to batch (which has room, else LIMIT): the columns whose bit is
 * set in columns; the others are left undefined for those rows. Every byte is checked: CORRUPT;
 * INVALID for a codec, an encoding or a NULL that K2 does not read. After an error the rows of
 * batch are those it had, its text may have grown. Rows may share their text. */
bool k2_parquet_read(struct k2_parquet_file *file, int row_group, uint32_t columns,
                     struct k2_batch *batch, struct k2_err *err) K2_MUST;
/* As k2_parquet_read, for rows [first, first + count) of a row group, which must be rows of it.
 * Where the file has an offset index only the pages of those rows are fetched; rows of their pages
 * that lie before first are decoded and dropped, so ranges should begin where pages do. */
bool k2_parquet_read_rows(struct k2_parquet_file *file, int row_group, uint32_t first,
                          uint32_t count, uint32_t columns, struct k2_batch *batch,
                          struct k2_err *err) K2_MUST;

/* Reads a row group from row first to its end in slices of any size, decoding every page once. It
 * holds the group's compressed bytes, and one page and one dictionary of each column decompressed:
 * a merge over many files needs that and a small batch for each. Borrows file, which may be read in
 * other ways and by other cursors meanwhile. */
struct k2_parquet_cursor;
struct k2_parquet_cursor *k2_parquet_cursor_open(struct k2_parquet_file *file, int row_group,
                                                 uint32_t first, uint32_t columns,
                                                 struct k2_err *err) K2_MUST;
/* Appends the next rows, at most rows_max and none at the end, as k2_parquet_read does. Batches may
 * change from call to call. After an error the cursor can only be freed. */
bool k2_parquet_cursor_next(struct k2_parquet_cursor *cursor, uint32_t rows_max,
                            struct k2_batch *batch, struct k2_err *err) K2_MUST;
/* Rows that are still to come. */
uint32_t k2_parquet_cursor_left(const struct k2_parquet_cursor *cursor);
void k2_parquet_cursor_free(struct k2_parquet_cursor *cursor);

/* Checks a whole file. The footer: magic, schema (names, types, field ids as the table has them),
 * sums, and that every byte belongs to one part. Every page: header, checksum, levels, counts. The
 * two indexes, the statistics, Bloom filters and the promised order against the values; bounds must
 * be those of the values, exact or cut, not merely true. Columns that the file lacks, or has beyond
 * the schema, are fine. Each broken rule is reported, with row group, column and page; returns
 * false only for what is not the file's fault. Needs memory for some thousand rows and one column's
 * pages.
 */
typedef void k2_finding_fn(void *self, const char *finding);
bool k2_parquet_verify(struct k2_store *store, const char *path, const struct k2_schema *schema,
                       const struct k2_field_ids *ids, k2_finding_fn *finding, void *self,
                       struct k2_err *err) K2_MUST;

#endif
