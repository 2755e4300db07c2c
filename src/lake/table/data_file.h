/* data_file.h -- rows of a batch become a data file of a table, ready for a commit to add. */
#ifndef K2_LAKE_TABLE_DATA_FILE_H
#define K2_LAKE_TABLE_DATA_FILE_H

#include "lake/parquet/parquet.h"
#include "lake/table/table.h"

/* What data files are written with, one after the other. Threads: belongs to one thread. */
struct k2_data_writer {
    struct k2_lake *lake;
    struct k2_random *random; /* of file names */
    struct k2_parquet_opts opts;
    struct k2_parquet_writer
        *parquet; /* NULL at first; made by the first file, used again by all */
};
void k2_data_writer_done(struct k2_data_writer *writer);

/* Writes rows order[0..count) of batch (order NULL: rows 0..count), all of one file partition, at
 * least one; the file and its folder are durable when it returns. ret_file is what a commit adds:
 * its path is in arena, its statistics are those of ret_stats (k2_file_stats_done frees them), its
 * partition values borrow from batch. Errors: those of store and Parquet writer; INVALID where the
 * table cannot hold the rows. */
bool k2_data_file_write(struct k2_data_writer *writer, const struct k2_metadata *metadata,
                        const struct k2_batch *batch, const uint32_t *order, uint32_t count,
                        struct k2_arena *arena, struct k2_data_file *ret_file,
                        struct k2_file_stats *ret_stats, struct k2_err *err) K2_MUST;

#endif
