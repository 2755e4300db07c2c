/* reference.c -- which instruments may trade at or below zero, from reference_data.instruments. */
#include <stdio.h>

#include "base/alloc.h"
#include "lake/table/read.h"
#include "pipeline/lane.h"

/* The newest version of each instrument, by "exchange.symbol". */
struct newest {
    struct k2_intern names;
    int64_t *versions;
    uint8_t *is_negative;
};

static bool take_rows(void *self, const struct k2_batch *rows) {
    struct newest *n = self;
    for (uint32_t i = 0; i < rows->rows; i++) {
        char name[300];
        struct k2_str exchange = k2_batch_text(rows, K2_REFERENCE_EXCHANGE, i);
        struct k2_str symbol = k2_batch_text(rows, K2_REFERENCE_SYMBOL, i);
        int len = snprintf(name, sizeof name, "%.*s.%.*s", K2_FMT(exchange), K2_FMT(symbol));
        uint32_t before = n->names.count;
        uint32_t at =
            k2_intern_add(&n->names, (struct k2_str){name, K2_MIN((size_t)len, sizeof name - 1)});
        if (n->names.count != before) {
            n->versions = k2_realloc(n->versions, n->names.count * sizeof *n->versions);
            n->is_negative = k2_realloc(n->is_negative, n->names.count);
            n->versions[at] = -1;
        }
        int64_t version = rows->col[K2_REFERENCE_PLATFORM_SEQUENCE].i64[i];
        if (version > n->versions[at]) {
            n->versions[at] = version;
            n->is_negative[at] = rows->col[K2_REFERENCE_MAY_BE_NEGATIVE].u8[i];
        }
    }
    return true;
}

bool k2_reference_load(struct k2_lane *lane, struct k2_err *err) {
    k2_intern_done(&lane->negatives);
    lane->negatives_snapshot = 0;
    if (!lane->settings.reference_snapshot)
        return true;
    const char *table = "reference_data.instruments";
    const struct k2_metadata *metadata = NULL;
    K2_TRY(k2_lake_load(lane->opts->lake, &table, 1, &metadata, err));
    struct newest newest = {0};
    struct k2_read_opts read = {.metadata = metadata,
                                .schema = k2_schema_of(K2_REFERENCE),
                                .snapshot_id = lane->settings.reference_snapshot,
                                .columns = 1u << K2_REFERENCE_EXCHANGE | 1u << K2_REFERENCE_SYMBOL |
                                           1u << K2_REFERENCE_PLATFORM_SEQUENCE |
                                           1u << K2_REFERENCE_MAY_BE_NEGATIVE,
                                .strings = &lane->strings};
    bool ok = k2_table_read(lane->opts->lake, &read, take_rows, &newest, err);
    for (uint32_t i = 0; ok && i < newest.names.count; i++)
        if (newest.is_negative[i])
            k2_intern_add(&lane->negatives, k2_intern_str(&newest.names, i));
    if (ok)
        lane->negatives_snapshot = lane->settings.reference_snapshot;
    k2_metadata_unref(metadata);
    k2_intern_done(&newest.names);
    k2_free(newest.versions);
    k2_free(newest.is_negative);
    return ok || k2_err_wrap(err, "read instruments");
}
