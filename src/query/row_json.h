/* row_json.h -- one row of a batch as JSON, as `k2 log read` prints it. */
#ifndef K2_QUERY_ROW_JSON_H
#define K2_QUERY_ROW_JSON_H

#include "market/batch.h"

enum k2_row_form {
    K2_ROW_RECORD, /* the record's own columns: no log position */
    K2_ROW_STORED, /* as SQL shows it: message_id and timestamp_ns derived, log position at the end
                    */
};
/* Appends the row as one JSON object. Numbers with all their digits, times as ISO 8601 UTC, bytes
 * as base64, NULL as null. */
void k2_row_json(struct k2_buf *out, const struct k2_batch *batch, uint32_t row,
                 enum k2_row_form form);
/* Appends bytes as a JSON string of base64. */
void k2_json_base64(struct k2_buf *out, struct k2_str bytes);

#endif
