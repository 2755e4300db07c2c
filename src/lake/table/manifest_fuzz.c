/* manifest_fuzz.c -- any bytes as a manifest and as a manifest list. */
#include "lake/table/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct k2_partition_field fields[] = {{1, 1000, {"a", 1}, {"day", 3}},
                                                 {2, 1001, {"b", 1}, {"identity", 8}}};
    static struct k2_partition_spec spec = {0, 2, fields};
    struct k2_err err = {0};
    struct k2_manifest_file row = {.sequence_number = 1};
    struct k2_str bytes = k2_str_make(data, size);
    struct k2_manifest *manifest = k2_manifest_parse(bytes, &row, &spec, &err);
    struct k2_manifest_list *list = k2_manifest_list_parse(bytes, &err);
    struct k2_buf out = {0};
    struct k2_snapshot snapshot = {.snapshot_id = 1};
    if (list)
        k2_manifest_list_write(list->files, list->count, &snapshot,
                               (const uint8_t *)"0123456789abcdef", &out);
    k2_buf_done(&out);
    k2_manifest_unref(manifest);
    k2_manifest_list_unref(list);
    return 0;
}
