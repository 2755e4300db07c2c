/* verify_impl.h -- what the files of verify share. Private to verify*.c. */
#ifndef K2_LAKE_TABLE_VERIFY_IMPL_H
#define K2_LAKE_TABLE_VERIFY_IMPL_H

#include "base/intern.h"
#include "lake/table/table_impl.h"

struct k2_verify {
    struct k2_lake *lake;
    const struct k2_metadata *metadata;
    const struct k2_schema *schema;
    k2_verify_fn *report;
    void *self;
    struct k2_verify_result *result;
    struct k2_intern reachable; /* URIs the metadata leads to */
    struct k2_intern manifests; /* those looked at */
    struct k2_intern live;      /* data files of the current snapshot */
};

/* Report a broken rule, and an observation. */
void k2_verify_broken(struct k2_verify *v, const char *fmt, ...) K2_PRINTF(2, 3);
/* As k2_verify_broken. */
void k2_verify_note(struct k2_verify *v, const char *fmt, ...) K2_PRINTF(2, 3);

/* Each looks at one layer. */
void k2_verify_metadata(struct k2_verify *v);
void k2_verify_positions(struct k2_verify *v);
void k2_verify_snapshots(struct k2_verify *v);
void k2_verify_files(struct k2_verify *v);
bool k2_verify_orphans(struct k2_verify *v, struct k2_err *err) K2_MUST;

/* The log positions of a main table's rows; NULL for tables whose rows need not have one each. */
struct k2_verify_rows;
struct k2_verify_rows *k2_verify_rows_new(struct k2_verify *v);
void k2_verify_rows_free(struct k2_verify_rows *rows);
/* Takes in the rows of one file. */
bool k2_verify_rows_read(struct k2_verify_rows *rows, struct k2_parquet_file *file,
                         struct k2_str path, struct k2_err *err) K2_MUST;

#endif
