/* commit_impl.h -- a commit in the making. Private to commit.c and commit_files.c. */
#ifndef K2_LAKE_TABLE_COMMIT_IMPL_H
#define K2_LAKE_TABLE_COMMIT_IMPL_H

#include "lake/table/table_impl.h"

enum {
    K2_COMMIT_ATTEMPTS = 20,
    K2_COMMIT_TABLES = 32,
    K2_COMMIT_SPECS = 8,        /* partition specs among the files of one change */
    K2_COMMIT_SMALL = 64 << 10, /* bytes: shorter manifests are merged */
    K2_COMMIT_FILES_PER_TRY = 2 + K2_COMMIT_SPECS,
};

/* One table of a commit. */
struct k2_pending {
    struct k2_change *change;
    const char *table;
    const struct k2_metadata *current; /* what this attempt is built on */
    int64_t snapshot_id;
    char uuid[37];
    int manifest_count; /* numbers files of this commit: <uuid>-m<n>.avro */
    /* Written once, used by every attempt. */
    bool has_manifests;
    struct k2_manifest_file added[K2_COMMIT_SPECS];
    int added_count;
    /* Of this attempt. */
    struct k2_snapshot snapshot;
    struct k2_manifest_list *list;
    struct k2_metadata *next;
    char *location; /* of next */
    int64_t kept, replaced, created, processed;
    struct k2_str tried[K2_COMMIT_FILES_PER_TRY]; /* files written by this attempt alone */
    int tried_count;
};

struct k2_commit {
    struct k2_lake *lake;
    struct k2_arena arena;
    struct k2_pending *pending;
    int count, attempt;
    bool is_doubtful;                /* the outcome of an attempt was once unknown */
    int64_t timestamp_ms, behind_ms; /* behind: the clock is, by that much (0: it is not) */
};

/* Writes the manifests of what is added, once. */
bool k2_commit_manifests(struct k2_commit *commit, struct k2_pending *p,
                         struct k2_err *err) K2_MUST;
/* Merges small manifests where there are enough, fills p->snapshot and writes the manifest list. */
bool k2_commit_list(struct k2_commit *commit, struct k2_pending *p, struct k2_err *err) K2_MUST;

#endif
