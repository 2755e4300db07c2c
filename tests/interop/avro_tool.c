/* avro_tool.c -- random records for another Avro implementation to read.
 *
 * usage: avro_tool KIND ROWS SEED. First line: the Avro schema. Then a line each: the framed bytes
 * in hex, a space, and the record as JSON.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/random.h"
#include "market/avro.h"
#include "query/row_json.h"

static void fill(struct k2_batch *b, int column, struct k2_random *random) {
    struct k2_vector *v = &b->col[column];
    const struct k2_column *c = &b->schema->columns[column];
    struct k2_str words[] = {K2_STR("AAA"), K2_STR("z\xc3\xbcrich"), K2_STR("")};
    struct k2_str word = words[k2_random_below(random, 3)], keys[] = {K2_STR("a"), K2_STR("b")};
    int64_t number = (int64_t)(k2_random_u64(random) >> 14);
    if (v->valid)
        v->valid[0] = k2_random_below(random, 2) == 0;
    switch (c->type) {
    case K2_INT32: v->i32[0] = (int32_t)number; break;
    case K2_INT64: v->i64[0] = number + 1; break;
    case K2_TIMESTAMP: v->i64[0] = number; break;
    case K2_DECIMAL: v->i64[0] = k2_random_below(random, 2) ? number : -number; break;
    case K2_SYMBOL: v->u32[0] = k2_intern_add(b->strings, word); break;
    case K2_ENUM: v->u8[0] = (uint8_t)k2_random_below(random, 2); break;
    case K2_LIST:
        v->span[0] = k2_batch_put_list(b, words, (uint32_t)k2_random_below(random, 4));
        break;
    case K2_MAP:
        v->span[0] = k2_batch_put_map(b, keys, words, (uint32_t)k2_random_below(random, 3));
        break;
    case K2_FLAGS: v->u32[0] = (uint32_t)k2_random_below(random, 256); break;
    default: v->span[0] = k2_batch_put(b, word);
    }
}

int main(int argc, char **argv) {
    const struct k2_schema *schema = argc == 4 ? k2_schema_by_name(k2_str_of(argv[1])) : NULL;
    int64_t rows = 0, seed = 0;
    if (!schema || !schema->avro_name || !k2_str_to_i64(k2_str_of(argv[2]), &rows) ||
        !k2_str_to_i64(k2_str_of(argv[3]), &seed))
        return 2;
    struct k2_random random;
    struct k2_intern strings = {0};
    struct k2_buf out = {0}, wire = {0};
    struct k2_batch *batch = k2_batch_new(schema, 1, &strings);
    k2_random_seed(&random, (uint64_t)seed);
    k2_schema_avro(schema, &out);
    printf("%s\n", k2_buf_cstr(&out));
    for (; rows > 0; rows--) {
        k2_batch_clear(batch);
        k2_buf_clear(&wire);
        k2_buf_clear(&out);
        for (int i = 0; i < schema->column_count; i++)
            if (schema->columns[i].avro)
                fill(batch, i, &random);
        batch->rows = 1;
        k2_avro_encode(batch, 0, 7, &wire);
        for (size_t i = 0; i < wire.len; i++)
            printf("%02x", (uint8_t)wire.ptr[i]);
        k2_row_json(&out, batch, 0, K2_ROW_RECORD);
        printf(" %s\n", k2_buf_cstr(&out));
    }
    k2_buf_done(&out);
    k2_buf_done(&wire);
    k2_batch_free(batch);
    k2_intern_done(&strings);
    return 0;
}
