/* row_json.c -- rows as JSON, without the engine. */
#include "query/row_json.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/date.h"
#include "base/json.h"
#include "market/decimal.h"

void k2_json_base64(struct k2_buf *out, struct k2_str bytes) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    k2_buf_byte(out, '"');
    for (size_t i = 0; i < bytes.len; i += 3) {
        size_t left = bytes.len - i;
        uint32_t v = (uint32_t)(uint8_t)bytes.ptr[i] << 16;
        if (left > 1)
            v |= (uint32_t)(uint8_t)bytes.ptr[i + 1] << 8;
        if (left > 2)
            v |= (uint8_t)bytes.ptr[i + 2];
        const char group[4] = {digits[v >> 18], digits[v >> 12 & 63],
                               left > 1 ? digits[v >> 6 & 63] : '=',
                               left > 2 ? digits[v & 63] : '='};
        k2_buf_append(out, group, 4);
    }
    k2_buf_byte(out, '"');
}

static void put_list(struct k2_buf *out, struct k2_str blocks) {
    struct k2_cursor cursor = {0};
    struct k2_str item;
    k2_buf_byte(out, '[');
    for (int i = 0; k2_list_next(blocks, &cursor, &item); i++) {
        k2_buf_text(out, i ? "," : "");
        k2_json_quote(out, item);
    }
    k2_buf_byte(out, ']');
}

static void put_map(struct k2_buf *out, struct k2_str blocks) {
    struct k2_cursor cursor = {0};
    struct k2_str key, value;
    k2_buf_byte(out, '{');
    for (int i = 0; k2_map_next(blocks, &cursor, &key, &value); i++) {
        k2_buf_text(out, i ? "," : "");
        k2_json_quote(out, key);
        k2_buf_byte(out, ':');
        k2_json_quote(out, value);
    }
    k2_buf_byte(out, '}');
}

static void put_flags(struct k2_buf *out, uint32_t flags, const char *const *names) {
    k2_buf_byte(out, '[');
    for (bool more = false; flags; flags &= flags - 1, more = true)
        k2_buf_printf(out, "%s\"%s\"", more ? "," : "", names[__builtin_ctz(flags)]);
    k2_buf_byte(out, ']');
}

static void put_value(struct k2_buf *out, const struct k2_batch *batch, int column, uint32_t row) {
    const struct k2_column *c = &batch->schema->columns[column];
    const struct k2_vector *v = &batch->col[column];
    char text[40];
    switch (c->type) {
    case K2_INT32: k2_buf_printf(out, "%d", v->i32[row]); return;
    case K2_INT64: k2_buf_printf(out, "%" PRId64, v->i64[row]); return;
    case K2_TIMESTAMP:
        k2_us_to_iso(v->i64[row], text);
        k2_buf_printf(out, "\"%s\"", text);
        return;
    case K2_DECIMAL:
        k2_decimal_format_full(v->i64[row], text);
        k2_buf_text(out, text);
        return;
    case K2_BINARY: k2_json_base64(out, k2_batch_get(batch, v->span[row])); return;
    case K2_LIST: put_list(out, k2_batch_get(batch, v->span[row])); return;
    case K2_MAP: put_map(out, k2_batch_get(batch, v->span[row])); return;
    case K2_FLAGS: put_flags(out, v->u32[row], c->names); return;
    default: k2_json_quote(out, k2_batch_text(batch, column, row)); return;
    }
}

static void message_id(struct k2_buf *out, const struct k2_batch *batch, uint32_t row,
                       const struct k2_kind_columns *c) {
    struct k2_str exchange = k2_batch_text(batch, c->exchange, row);
    struct k2_str symbol = k2_batch_text(batch, c->symbol, row);
    k2_buf_printf(out, "%.*s.%.*s.%" PRId64, K2_FMT(exchange), K2_FMT(symbol),
                  k2_row_number(batch, c, row));
}

static int64_t timestamp_ns(const struct k2_batch *batch, uint32_t row,
                            const struct k2_kind_columns *c) {
    return batch->col[c->timestamp].i64[row] * 1000 + batch->col[c->nanos].i32[row];
}

void k2_row_json(struct k2_buf *out, const struct k2_batch *batch, uint32_t row,
                 enum k2_row_form form) {
    const struct k2_kind_columns *c = &k2_kind_columns[batch->schema->kind];
    bool is_stored = form == K2_ROW_STORED && c->timestamp >= 0; /* with what K2's views derive */
    int count = batch->schema->column_count;
    if (form == K2_ROW_RECORD && batch->schema->table_name)
        count -= 3;
    k2_buf_byte(out, '{');
    if (is_stored) {
        struct k2_buf id = {0};
        message_id(&id, batch, row, c);
        k2_json_key_str(out, "message_id", k2_buf_view(&id));
        k2_buf_done(&id);
    }
    for (int i = 0; i < count; i++) {
        k2_json_key(out, batch->schema->columns[i].name);
        if (k2_batch_is_null(batch, i, row))
            k2_buf_text(out, "null");
        else
            put_value(out, batch, i, row);
        if (is_stored && i == c->nanos)
            k2_json_key_int(out, "timestamp_ns", timestamp_ns(batch, row, c));
    }
    k2_buf_byte(out, '}');
}
