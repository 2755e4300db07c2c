/* avro_container_fuzz.c -- any bytes as an Avro container whose records are walked over. */
#include "lake/table/avro_container.h"
#include "lake/table/avro_wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct k2_err err = {0};
    struct k2_container container;
    struct k2_wire_schema schema;
    struct k2_arena arena = {0};
    struct k2_str records;
    int64_t count = 0;
    bool ok = k2_container_open(k2_str_make(data, size), &container, &err) &&
              k2_wire_compile(k2_container_find(&container, "avro.schema"), &arena, &schema, &err);
    while (ok && k2_container_next(&container, &arena, &count, &records, &err) && count) {
        struct k2_wire wire = k2_wire_of(records);
        for (int64_t i = 0; i < count && !wire.is_bad; i++)
            k2_wire_skip(&schema, &schema.nodes[0], &wire);
    }
    k2_arena_done(&arena);
    return 0;
}
