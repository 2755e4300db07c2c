/* reference.c -- which instruments may trade at or below zero, from reference_data.instruments. */
#include <stdio.h>

#include "base/alloc.h"
#include "pipeline/lane.h"

/* Takes one row group's rows: the newest version of each instrument decides. */
static void take_rows(struct k2_intern *names, int64_t **versions, uint8_t **negative,
                      const struct k2_batch *found) {
    for (uint32_t i = 0; i < found->rows; i++) {
        char name[300];
        struct k2_str exchange = k2_batch_text(found, K2_REFERENCE_EXCHANGE, i);
        struct k2_str symbol = k2_batch_text(found, K2_REFERENCE_SYMBOL, i);
        int len = snprintf(name, sizeof name, "%.*s.%.*s", K2_FMT(exchange), K2_FMT(symbol));
        uint32_t before = names->count;
        uint32_t at =
            k2_intern_add(names, (struct k2_str){name, K2_MIN((size_t)len, sizeof name - 1)});
        if (names->count != before) {
            *versions = k2_realloc(*versions, names->count * sizeof **versions);
            *negative = k2_realloc(*negative, names->count);
            (*versions)[at] = -1;
        }
        int64_t version = found->col[K2_REFERENCE_PLATFORM_SEQUENCE].i64[i];
        if (version > (*versions)[at]) {
            (*versions)[at] = version;
            (*negative)[at] = found->col[K2_REFERENCE_MAY_BE_NEGATIVE].u8[i];
        }
    }
}

static bool read_file(struct k2_lane *lane, const struct k2_metadata *metadata, struct k2_str uri,
                      struct k2_intern *names, int64_t **versions, uint8_t **negative,
                      struct k2_err *err) {
    const struct k2_schema *schema = k2_schema_of(K2_REFERENCE);
    struct k2_store *store = k2_lake_store(lane->opts->lake);
    struct k2_field_ids ids[K2_COLUMNS_MAX];
    struct k2_buf path = {0};
    struct k2_parquet_file *file = NULL;
    if (k2_metadata_field_ids(metadata, schema, ids, err) && k2_store_path(store, uri, &path, err))
        file = k2_parquet_open(store, k2_buf_cstr(&path), schema, ids, err);
    k2_buf_done(&path);
    bool ok = file != NULL;
    uint32_t columns = 1u << K2_REFERENCE_EXCHANGE | 1u << K2_REFERENCE_SYMBOL |
                       1u << K2_REFERENCE_PLATFORM_SEQUENCE | 1u << K2_REFERENCE_MAY_BE_NEGATIVE;
    for (int g = 0; ok && g < k2_parquet_row_groups(file); g++) {
        struct k2_batch *found =
            k2_batch_new(schema, (uint32_t)k2_parquet_row_group_rows(file, g), &lane->strings);
        ok = k2_parquet_read(file, g, columns, found, err);
        if (ok)
            take_rows(names, versions, negative, found);
        k2_batch_free(found);
    }
    k2_parquet_close(file);
    return ok;
}

bool k2_reference_load(struct k2_lane *lane, struct k2_err *err) {
    k2_intern_done(&lane->negatives);
    if (!lane->settings.reference_snapshot)
        return true;
    const char *table = "reference_data.instruments";
    const struct k2_metadata *metadata = NULL;
    K2_TRY(k2_lake_load(lane->opts->lake, &table, 1, &metadata, err));
    struct k2_intern names = {0};
    int64_t *versions = NULL;
    uint8_t *negative = NULL;
    struct k2_scan scan = {0};
    bool ok = !metadata || k2_table_scan(lane->opts->lake, metadata, k2_schema_of(K2_REFERENCE),
                                         lane->settings.reference_snapshot, NULL, 0, &scan, err);
    for (int f = 0; ok && f < scan.file_count; f++)
        ok = read_file(lane, metadata, scan.files[f].path, &names, &versions, &negative, err);
    for (uint32_t i = 0; ok && i < names.count; i++)
        if (negative[i])
            k2_intern_add(&lane->negatives, k2_intern_str(&names, i));
    k2_scan_done(&scan);
    k2_metadata_unref(metadata);
    k2_intern_done(&names);
    k2_free(versions);
    k2_free(negative);
    return ok || k2_err_wrap(err, "read instruments");
}
