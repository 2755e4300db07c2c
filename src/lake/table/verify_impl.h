/* verify_impl.h -- what the files of verify share. Private to verify*.c. */
#ifndef K2_LAKE_TABLE_VERIFY_IMPL_H
#define K2_LAKE_TABLE_VERIFY_IMPL_H

#include "base/intern.h"
#include "lake/table/table_impl.h"

/* The log positions of rows seen so far, over all tables of one walk. */
struct k2_seen;

/* What the commits of a main table say became of the offsets they moved past. */
struct k2_account {
    bool is_whole; /* from the first commit on, and nobody else has added rows */
    int64_t moved, rows, duplicates, rejected, skipped, acknowledged;
};

struct k2_verify {
    struct k2_lake *lake;
    const struct k2_metadata *metadata;
    const struct k2_schema *schema;
    k2_verify_fn *report;
    bool (*progress)(void *self, const char *table, int files, int files_all); /* or NULL */
    void *self;
    struct k2_verify_result *result;
    struct k2_intern reachable; /* URIs the metadata leads to */
    struct k2_intern manifests; /* those looked at */
    struct k2_intern live;      /* data files of the current snapshot */
    struct k2_seen *seen;
    struct k2_account account;
};

/* Report a broken rule, and an observation. */
void k2_verify_broken(struct k2_verify *v, const char *fmt, ...) K2_PRINTF(2, 3);
/* As k2_verify_broken. */
void k2_verify_note(struct k2_verify *v, const char *fmt, ...) K2_PRINTF(2, 3);

/* Each looks at one layer. */
void k2_verify_metadata(struct k2_verify *v);
void k2_verify_positions(struct k2_verify *v);
void k2_verify_snapshots(struct k2_verify *v);
/* False: stopped by progress. */
bool k2_verify_files(struct k2_verify *v, struct k2_err *err) K2_MUST;
bool k2_verify_orphans(struct k2_verify *v, struct k2_err *err) K2_MUST;

/* verify_account.c: each commit accounts for every offset it moved past; fills v->account. */
void k2_verify_commits(struct k2_verify *v);
/* The rows and dead letters seen in all tables are those the commits account for. */
void k2_verify_account(struct k2_verify *v);

/* The caller frees it. */
struct k2_seen *k2_seen_new(void);
void k2_seen_free(struct k2_seen *seen);
/* How many positions of a log were seen; log_id as rows carry it. */
int64_t k2_seen_count(struct k2_seen *seen, struct k2_str log_id);

/* The log positions of a table's rows; NULL for tables whose rows need not have one each. */
struct k2_verify_rows;
struct k2_verify_rows *k2_verify_rows_new(struct k2_verify *v);
void k2_verify_rows_free(struct k2_verify_rows *rows);
/* Takes in the rows of one file. */
bool k2_verify_rows_read(struct k2_verify_rows *rows, struct k2_parquet_file *file,
                         struct k2_str path, struct k2_err *err) K2_MUST;

#endif
