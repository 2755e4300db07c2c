/* replay_avro.c -- blocks of records, in the encoding the log uses. */
#include "query/replay_avro.h"

#include "base/hash.h"
#include "market/avro.h"

enum { BLOCK_BYTES = 64 << 10, FRAME_BYTES = 5 /* before a record in the log */ };

static void put_text(struct k2_buf *out, struct k2_str text) {
    k2_buf_zigzag(out, (int64_t)text.len);
    k2_buf_str(out, text);
}

void k2_avro_blocks_done(struct k2_avro_blocks *b) {
    k2_buf_done(&b->record);
    k2_buf_done(&b->block);
}

void k2_avro_blocks_begin(struct k2_avro_blocks *b, const struct k2_schema *schema,
                          struct k2_buf *out) {
    static const char magic[4] = {'O', 'b', 'j', 1};
    struct k2_buf json = {0};
    k2_schema_avro(schema, &json);
    struct k2_hash128 hash = k2_hash128(json.ptr, json.len);
    memcpy(b->sync, &hash.low, 8);
    memcpy(b->sync + 8, &hash.high, 8);
    k2_buf_append(out, magic, sizeof magic);
    k2_buf_zigzag(out, 2);
    put_text(out, K2_STR("avro.codec"));
    put_text(out, K2_STR("null"));
    put_text(out, K2_STR("avro.schema"));
    put_text(out, k2_buf_view(&json));
    k2_buf_zigzag(out, 0);
    k2_buf_append(out, b->sync, sizeof b->sync);
    k2_buf_done(&json);
}

void k2_avro_blocks_flush(struct k2_avro_blocks *b, struct k2_buf *out) {
    if (!b->block_records)
        return;
    k2_buf_zigzag(out, b->block_records);
    put_text(out, k2_buf_view(&b->block));
    k2_buf_append(out, b->sync, sizeof b->sync);
    k2_buf_clear(&b->block);
    b->block_records = 0;
}

void k2_avro_blocks_add(struct k2_avro_blocks *b, const struct k2_batch *batch,
                        const uint32_t *rows, uint32_t count, struct k2_buf *out) {
    for (uint32_t i = 0; i < count; i++) {
        k2_buf_clear(&b->record);
        k2_avro_encode(batch, rows[i], 0, &b->record);
        k2_buf_append(&b->block, b->record.ptr + FRAME_BYTES, b->record.len - FRAME_BYTES);
        b->block_records++;
        if (b->block.len >= BLOCK_BYTES)
            k2_avro_blocks_flush(b, out);
    }
}
