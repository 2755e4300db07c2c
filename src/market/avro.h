/* avro.h -- records of a batch as Avro binary in Confluent framing, and back.
 *
 * Framing: byte 0, schema id (4 bytes, big endian), Avro body. Encoding always uses K2's own schema
 * of the kind. Decoding takes the writer's schema: it is compiled once into a plan (fields matched
 * by name, unknown ones skipped, missing ones defaulted, int to long and the like promoted), so any
 * producer's schema of the same record works. Nothing here trusts its bytes.
 */
#ifndef K2_MARKET_AVRO_H
#define K2_MARKET_AVRO_H

#include "base/err.h"
#include "market/batch.h"

/* Appends the framed bytes of one row to out. */
void k2_avro_encode(const struct k2_batch *batch, uint32_t row, uint32_t schema_id,
                    struct k2_buf *out);

/* A writer's schema compiled against a kind. Immutable after it is made; free with
 * k2_avro_plan_free. INVALID when json is no Avro record schema or lacks a field K2 requires. */
struct k2_avro_plan;
struct k2_avro_plan *k2_avro_plan_new(const struct k2_schema *schema, struct k2_str json,
                                      struct k2_err *err) K2_MUST;
void k2_avro_plan_free(struct k2_avro_plan *plan);

/* What became of one record. */
enum k2_avro_result {
    K2_AVRO_OK,
    K2_AVRO_MALFORMED, /* ends early, bad varint, trailing bytes, unknown enum symbol */
    K2_AVRO_RANGE,     /* a decimal beyond decimal(18, 8) */
    K2_AVRO_TEXT,      /* a string that is not UTF-8, or holds NUL */
};
/* Decodes an Avro body (after the framing) into row batch->rows and counts it. On anything but OK
 * the batch is as before. */
enum k2_avro_result k2_avro_decode(const struct k2_avro_plan *plan, struct k2_str body,
                                   struct k2_batch *batch);
/* Splits the framing off a value. False: too short or another magic byte. */
bool k2_avro_unframe(struct k2_str value, uint32_t *ret_schema_id, struct k2_str *ret_body);

#endif
