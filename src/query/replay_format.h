/* replay_format.h -- rows of a replay as bytes: NDJSON, JSON, CSV and Arrow just as `k2 query`
 * writes the same rows of SELECT *, and Avro object container files of the records as the log knows
 * them.
 *
 * The same rows give the same bytes, however they were cut into calls, but for Avro and Arrow,
 * where a flush ends a block. Threads: a writer belongs to one thread.
 */
#ifndef K2_QUERY_REPLAY_FORMAT_H
#define K2_QUERY_REPLAY_FORMAT_H

#include "market/batch.h"
#include "query/query.h"

struct k2_replay_writer;
/* Of rows of K2_TRADE or K2_QUOTE; format is "ndjson", "json", "csv", "avro" or "arrow". Whole rows
 * go to write, many at once. USAGE for another format. Free with k2_replay_writer_free. */
struct k2_replay_writer *k2_replay_writer_new(const struct k2_schema *schema, struct k2_str format,
                                              k2_write_fn *write, void *self,
                                              struct k2_err *err) K2_MUST;
void k2_replay_writer_free(struct k2_replay_writer *writer);
/* What stands before the first row: a header, or nothing. */
bool k2_replay_writer_begin(struct k2_replay_writer *writer, struct k2_err *err) K2_MUST;
/* rows[0..count) of batch come next. LIMIT for values too large for the format. */
bool k2_replay_writer_add(struct k2_replay_writer *writer, const struct k2_batch *batch,
                          const uint32_t *rows, uint32_t count, struct k2_err *err) K2_MUST;
/* Writes all rows so far. */
bool k2_replay_writer_flush(struct k2_replay_writer *writer, struct k2_err *err) K2_MUST;
/* The same, and what stands after the last row. */
bool k2_replay_writer_end(struct k2_replay_writer *writer, struct k2_err *err) K2_MUST;

#endif
