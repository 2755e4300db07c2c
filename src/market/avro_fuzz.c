/* avro_fuzz.c -- libFuzzer: a producer's schema and body, both from outside. */
#include <stddef.h>
#include <stdint.h>

#include "market/avro.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first byte picks the kind, the second where the schema ends (in sixteenths); without a schema
 * K2's own is used, so that bodies are reached too. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const enum k2_kind kinds[] = {K2_TRADE, K2_QUOTE, K2_REFERENCE, K2_EVENT};
    if (size < 2)
        return 0;
    const struct k2_schema *schema = k2_schema_of(kinds[data[0] % 4]);
    size_t cut = (size - 2) * (data[1] % 16) / 16;
    struct k2_buf own = {0};
    struct k2_err err = {0};
    struct k2_str json = k2_str_make(data + 2, cut);
    if (!cut) {
        k2_schema_avro(schema, &own);
        json = k2_buf_view(&own);
    }
    struct k2_avro_plan *plan = k2_avro_plan_new(schema, json, &err);
    if (plan) {
        struct k2_intern strings = {0};
        struct k2_batch *batch = k2_batch_new(schema, 1, &strings);
        (void)k2_avro_decode(plan, k2_str_make(data + 2 + cut, size - 2 - cut), batch);
        k2_batch_free(batch);
        k2_intern_done(&strings);
        k2_avro_plan_free(plan);
    }
    k2_buf_done(&own);
    return 0;
}
