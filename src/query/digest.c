/* digest.c -- the bytes of a row that a replay's digest is made of (contracts 9). */
#include <stdlib.h>

#include "query/replay.h"

enum { ENTRIES_MAX = 1024 };

struct entry {
    struct k2_str key, value;
};

static int by_key(const void *a, const void *b) {
    return k2_str_cmp(((const struct entry *)a)->key, ((const struct entry *)b)->key);
}

static void put_str(struct k2_buf *out, struct k2_str s) {
    k2_buf_u32(out, (uint32_t)s.len);
    k2_buf_str(out, s);
}

static void put_list(struct k2_buf *out, struct k2_str blocks) {
    size_t at = out->len;
    uint32_t count = 0;
    struct k2_cursor cursor = {0};
    struct k2_str item;
    k2_buf_u32(out, 0);
    for (; k2_list_next(blocks, &cursor, &item); count++)
        put_str(out, item);
    memcpy(out->ptr + at, &count, 4);
}

/* Entries by key bytes. Beyond ENTRIES_MAX, which no venue comes near, in the order stored. */
static void put_map(struct k2_buf *out, struct k2_str blocks) {
    struct entry entries[ENTRIES_MAX];
    uint32_t count = 0;
    struct k2_cursor cursor = {0};
    while (count < ENTRIES_MAX &&
           k2_map_next(blocks, &cursor, &entries[count].key, &entries[count].value))
        count++;
    qsort(entries, count, sizeof *entries, by_key);
    k2_buf_u32(out, count);
    for (uint32_t i = 0; i < count; i++) {
        put_str(out, entries[i].key);
        put_str(out, entries[i].value);
    }
}

void k2_digest_row(struct k2_hasher *hasher, const struct k2_batch *batch, uint32_t row,
                   struct k2_buf *scratch) {
    const struct k2_schema *schema = batch->schema;
    k2_buf_clear(scratch);
    for (int i = 0; i < schema->column_count; i++) {
        const struct k2_column *c = &schema->columns[i];
        bool is_position = i >= schema->column_count - 3;
        if (is_position || c->type == K2_FLAGS || k2_batch_is_null(batch, i, row))
            continue;
        uint16_t number = (uint16_t)(i + 1);
        k2_buf_append(scratch, &number, 2);
        const struct k2_vector *v = &batch->col[i];
        switch (c->type) {
        case K2_INT32: k2_buf_u64(scratch, (uint64_t)(int64_t)v->i32[row]); break;
        case K2_INT64:
        case K2_TIMESTAMP:
        case K2_DECIMAL: k2_buf_u64(scratch, (uint64_t)v->i64[row]); break;
        case K2_LIST: put_list(scratch, k2_batch_get(batch, v->span[row])); break;
        case K2_MAP: put_map(scratch, k2_batch_get(batch, v->span[row])); break;
        default: put_str(scratch, k2_batch_text(batch, i, row)); break;
        }
    }
    k2_hasher_add(hasher, scratch->ptr, scratch->len);
}
