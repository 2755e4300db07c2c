/* metadata_fuzz.c -- any bytes as a metadata file; what is taken must survive being written. */
#include "lake/table/table_impl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct k2_err err = {0};
    struct k2_metadata *m =
        k2_metadata_parse(k2_str_make(data, size), "market_data.trades", "file:///m", &err);
    if (!m)
        return 0;
    struct k2_field_ids ids[K2_COLUMNS_MAX];
    struct k2_version_opts opts = {
        .location = "file:///n", .timestamp_ms = 1, .previous_versions = 2};
    struct k2_metadata *next = k2_metadata_version(m, &opts);
    struct k2_buf text = {0};
    k2_metadata_write(next, NULL, &text);
    struct k2_metadata *again =
        k2_metadata_parse(k2_buf_view(&text), "market_data.trades", "file:///n", &err);
    K2_ASSERT(again && again->snapshot_count == m->snapshot_count);
    if (!k2_metadata_field_ids(again, k2_schema_of(K2_TRADE), ids, &err))
        err.code = K2_OK;
    k2_metadata_unref(again);
    k2_metadata_unref(next);
    k2_metadata_unref(m);
    k2_buf_done(&text);
    return 0;
}
