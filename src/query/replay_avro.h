/* replay_avro.h -- records as an Avro object container file (Avro 1.11 specification), streamed.
 *
 *   "Obj" 1 | metadata: map<bytes> | sync (16)                header
 *   count: long | size: long | size bytes | sync (16)         block, repeated
 *
 * Private to query.
 */
#ifndef K2_QUERY_REPLAY_AVRO_H
#define K2_QUERY_REPLAY_AVRO_H

#include "market/batch.h"

struct k2_avro_blocks {
    struct k2_buf record, block;
    int64_t block_records;
    uint8_t sync[16]; /* made of the schema, so that the same rows give the same bytes */
};
void k2_avro_blocks_done(struct k2_avro_blocks *blocks);
/* Appends the header to out, and sets the sync marker. */
void k2_avro_blocks_begin(struct k2_avro_blocks *blocks, const struct k2_schema *schema,
                          struct k2_buf *out);
/* Adds records to the block at hand; a full block is appended to out. */
void k2_avro_blocks_add(struct k2_avro_blocks *blocks, const struct k2_batch *batch,
                        const uint32_t *rows, uint32_t count, struct k2_buf *out);
/* Appends the block at hand, if there is anything in it. */
void k2_avro_blocks_flush(struct k2_avro_blocks *blocks, struct k2_buf *out);

#endif
