/* table.h -- Iceberg v2 tables: metadata, manifests, commits of several tables at once, scans.
 *
 * Spec structs use the spec's words (apache/iceberg format/spec.md). Invariants: a k2_metadata is
 * one metadata file, immutable once loaded, reference counted; a commit adds a snapshot to every
 * table it changes and lands whole or not at all (docs/rules.md: commit). Threads: a k2_lake may be
 * used by any thread; metadata objects are shared read-only.
 */
#ifndef K2_LAKE_TABLE_TABLE_H
#define K2_LAKE_TABLE_TABLE_H

#include <stdatomic.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/random.h"
#include "lake/catalog/catalog.h"
#include "lake/parquet/parquet.h"
#include "lake/store/store.h"
#include "market/schema.h"

/* ---- the lake: one store and one catalog ---- */
struct k2_lake_opts {
    const char *warehouse;    /* store url */
    const char *catalog;      /* catalog url */
    const char *catalog_name; /* "k2" */
    struct k2_clock *clock;
    uint32_t previous_versions;    /* metadata-log length, 100 */
    uint32_t manifest_merge_count; /* manifests of one commit's size are merged at this many, 100 */
};
struct k2_lake;
struct k2_lake *k2_lake_open(const struct k2_lake_opts *opts, struct k2_err *err) K2_MUST;
void k2_lake_free(struct k2_lake *lake);
struct k2_store *k2_lake_store(struct k2_lake *lake);
struct k2_catalog *k2_lake_catalog(struct k2_lake *lake);

/* ---- metadata ---- */
struct k2_property {
    struct k2_str key, value;
};
struct k2_field {
    int32_t id;
    struct k2_str name, type; /* type as in the metadata: "long", "decimal(18, 8)", "list", "map" */
    bool is_required;
    int32_t element_id, key_id, value_id; /* list and map; 0 otherwise */
    struct k2_str element_type, value_type;
    bool element_required, value_required;
    struct k2_str doc;
};
struct k2_table_schema {
    int32_t schema_id;
    int field_count;
    struct k2_field *fields;
};
struct k2_partition_field {
    int32_t source_id, field_id;
    struct k2_str name, transform;
};
struct k2_partition_spec {
    int32_t spec_id;
    int field_count;
    struct k2_partition_field *fields;
};
struct k2_snapshot {
    int64_t snapshot_id, parent_id; /* parent 0: none */
    int64_t sequence_number, timestamp_ms;
    int32_t schema_id;
    struct k2_str manifest_list; /* uri */
    int summary_count;
    struct k2_property *summary; /* operation among them */
};
struct k2_ref {
    struct k2_str name;
    int64_t snapshot_id;
    bool is_tag;
};
struct k2_log_entry {
    int64_t timestamp_ms, snapshot_id;
};
struct k2_metadata {
    struct k2_str identifier, metadata_location, table_uuid, location;
    int format_version;
    int64_t last_sequence_number, last_updated_ms, current_snapshot_id; /* 0: none */
    int32_t last_column_id, current_schema_id, default_spec_id, last_partition_id, default_sort_id;
    int schema_count, spec_count, snapshot_count, property_count, ref_count, log_count;
    struct k2_table_schema *schemas;
    struct k2_partition_spec *specs;
    struct k2_snapshot *snapshots; /* oldest first */
    struct k2_property *properties;
    struct k2_ref *refs;
    struct k2_log_entry *snapshot_log;
};
void k2_metadata_unref(const struct k2_metadata *metadata); /* NULL is fine */
const struct k2_metadata *k2_metadata_ref(const struct k2_metadata *metadata);
/* NULL-pointer string when there is no such property. */
struct k2_str k2_metadata_property(const struct k2_metadata *metadata, const char *key);
const struct k2_snapshot *k2_metadata_snapshot(const struct k2_metadata *metadata, int64_t id);
/* The current snapshot at a time, by the snapshot log; NULL: the table had none yet. */
const struct k2_snapshot *k2_metadata_snapshot_at(const struct k2_metadata *metadata, int64_t ms);
const struct k2_ref *k2_metadata_find_ref(const struct k2_metadata *metadata, struct k2_str name);
struct k2_str k2_snapshot_summary(const struct k2_snapshot *snapshot, const char *key);
/* The field ids of K2's columns in this table, by the property k2.columns (docs/rules.md: schema).
 * INVALID names a column that was dropped or narrowed by others. ids[schema->column_count]. */
bool k2_metadata_field_ids(const struct k2_metadata *metadata, const struct k2_schema *schema,
                           struct k2_field_ids *ids, struct k2_err *err) K2_MUST;

/* Loads tables ("market_data.trades") in one catalog read; ret_metadata[i] is NULL for a table that
 * does not exist. The caller unrefs each. Parsed metadata is kept for the next call. */
bool k2_lake_load(struct k2_lake *lake, const char *const *tables, int count,
                  const struct k2_metadata **ret_metadata, struct k2_err *err) K2_MUST;
/* Makes the table of a kind with the default spec, sort order and K2's properties; what another
 * process has just made is loaded instead. partition: spec as text ("day(timestamp), exchange"),
 * which files written from now on follow, also where the table was there; NULL: the table's own,
 * for a new one the kind's default. */
bool k2_lake_create(struct k2_lake *lake, const struct k2_schema *schema, const char *partition,
                    const struct k2_metadata **ret_metadata, struct k2_err *err) K2_MUST;

/* Whether the table of a kind can have text as its partition spec; INVALID says why not. */
bool k2_partition_check(const struct k2_schema *schema, const char *text,
                        struct k2_err *err) K2_MUST;

/* ---- data files ---- */
enum { K2_PARTITION_MAX = 4 };
struct k2_manifest;
struct k2_partition_value {
    bool is_null;
    int32_t number;     /* day (days since the epoch) */
    struct k2_str text; /* identity or truncate of a string */
};
struct k2_data_file {
    struct k2_str path; /* uri */
    int32_t spec_id;
    struct k2_partition_value partition[K2_PARTITION_MAX];
    int64_t record_count, file_size;
    int stats_count;
    struct k2_column_stats *stats; /* bounds as written */
    int split_count;
    int64_t *split_offsets;
    int32_t sort_order_id;                                      /* 0: unsorted */
    int64_t sequence_number, file_sequence_number, snapshot_id; /* as read from manifests */
};
/* The partition tuple of row of batch under the table's default spec. Strings borrow from batch. */
bool k2_partition_of(const struct k2_metadata *metadata, const struct k2_batch *batch, uint32_t row,
                     struct k2_partition_value ret_values[K2_PARTITION_MAX],
                     struct k2_err *err) K2_MUST;
/* Appends a fresh path for a data file of that partition, relative to the store:
 * "market_data/trades/data/timestamp_day=2014-03-10/exchange=ASX/<uuid>.parquet". */
void k2_data_path(const struct k2_metadata *metadata, const struct k2_partition_value *values,
                  struct k2_random *random, struct k2_buf *out);

/* ---- positions (docs/rules.md: commit): the value of the property k2.pos.<topic>/<log partition>
 * ---- */
struct k2_position {
    char log_id[37];
    int64_t next; /* the next offset to read */
    int64_t epoch;
    char state[64];       /* state object below <warehouse>/_k2/state/, "" for none */
    int64_t state_offset; /* the offset that state stands at, <= next */
};
/* False when the table has no position for it yet. CORRUPT when the property cannot be read. */
bool k2_position_find(const struct k2_metadata *metadata, const char *topic, int log_partition,
                      bool *ret_found, struct k2_position *ret_position,
                      struct k2_err *err) K2_MUST;
/* Calls each for every position the table holds, by topic and log partition. */
typedef bool k2_position_fn(void *self, struct k2_str topic, int log_partition,
                            const struct k2_position *position);
bool k2_position_each(const struct k2_metadata *metadata, k2_position_fn *each, void *self,
                      struct k2_err *err) K2_MUST;

/* ---- as of ---- */
/* A moment in the life of several tables, and where one of them knows it by itself, its snapshot.
 */
struct k2_as_of {
    struct k2_str name; /* an id or tag, which other tables may know too; ptr NULL: none */
    int64_t ms;         /* INT64_MAX: now */
    const struct k2_metadata *table; /* whose snapshot_id this is; NULL: none */
    int64_t snapshot_id;
};
/* text: digits are a snapshot id; then a tag; then TOPIC/PARTITION@OFFSET, the commit that took
 * that record of the log (docs/rules.md: time travel and readers); then a time (ISO 8601, zone or
 * UTC). NULL: now. tables may hold NULLs; text and tables are borrowed by *ret_as_of. Errors:
 * NOT_FOUND, USAGE. */
bool k2_as_of_find(const struct k2_metadata *const *tables, int count, const char *text,
                   struct k2_as_of *ret_as_of, struct k2_err *err) K2_MUST;
/* The snapshot of one of the tables at that moment; NULL: it had none yet. */
const struct k2_snapshot *k2_as_of_snapshot(const struct k2_metadata *metadata,
                                            const struct k2_as_of *as_of);

/* ---- commits ---- */
struct k2_move {
    const char *topic;
    int log_partition;
    bool is_first;           /* the base must not name this log partition yet (from is its start) */
    struct k2_position from; /* must equal the base's: log id, next, state; epoch not above to's */
    struct k2_position to;
};
/* What a commit does to one table. Everything is borrowed for the call. */
struct k2_change {
    const struct k2_metadata *base; /* what the caller built it on; rebased when the table moved */
    const char *operation;          /* "append" */
    int add_count;
    const struct k2_data_file *add;
    int move_count;
    const struct k2_move *moves;
    int set_count;
    const struct k2_property *set; /* table properties */
    int summary_count;
    const struct k2_property *summary; /* added to what the spec wants */
    const struct k2_metadata *result;  /* filled on success; the caller unrefs it */
};
/* Lands all changes under one swap, or none. A change always adds a snapshot, even without files.
 * Errors: CONFLICT when a move's requirement fails against the current base (nothing is written:
 * reload positions and read the log again); others as of store and catalog. After an error the
 * outcome is known: an unknown one was looked up (docs/rules.md: commit). */
bool k2_lake_commit(struct k2_lake *lake, struct k2_change *changes, int count,
                    struct k2_err *err) K2_MUST;

/* ---- scans ---- */
/* All rows whose column lies in a range; several are AND-ed. */
struct k2_predicate {
    int column; /* of the kind's schema */
    bool has_low, has_high;
    int64_t low, high; /* inclusive; ints, times (us), decimals (scaled) */
    int value_count;   /* strings: equal to one of values (0: numeric range) */
    const struct k2_str *values;
};
struct k2_scan {
    int file_count;
    struct k2_data_file *files;      /* live files that may hold matching rows */
    int64_t total_files, total_rows; /* live in the snapshot */
    struct k2_arena arena;
    struct k2_manifest **held; /* own what files borrow */
    int held_count;
};
/* snapshot_id 0: the current one. Prunes by manifest summaries, partition values and bounds. */
bool k2_table_scan(struct k2_lake *lake, const struct k2_metadata *metadata,
                   const struct k2_schema *schema, int64_t snapshot_id,
                   const struct k2_predicate *predicates, int predicate_count,
                   struct k2_scan *ret_scan, struct k2_err *err) K2_MUST;
void k2_scan_done(struct k2_scan *scan);
/* Reads the current metadata of tables, and manifests from the newest on, into what the lake keeps
 * in memory, until all are there or *is_enough. Whoever needs them finds them read; errors are left
 * to him. */
void k2_lake_read_ahead(struct k2_lake *lake, const char *const *tables, int count,
                        const atomic_bool *is_enough);

/* ---- verify: catalog -> metadata -> manifest lists -> manifests -> Parquet ---- */
struct k2_verify_result {
    int64_t tables, snapshots, manifests, files, rows, broken, notes;
};
/* is_note: an observation (orphans), not a broken rule. */
typedef void k2_verify_fn(void *self, bool is_note, const char *table, const char *text);
struct k2_verify_opts {
    k2_verify_fn *report;
    /* After each data file of a table; false ends the walk with CANCELLED. May be NULL. */
    bool (*progress)(void *self, const char *table, int files, int files_all);
    void *self;
};
/* Walks tables, pinned at the given metadata by one catalog read: all their snapshots, and the data
 * files of the current ones (k2_parquet_verify). With ops.dead_letters among them, every offset the
 * commits moved past is accounted for by a row or a dead letter. Reports are made on the calling
 * thread; false only where the walk itself could not go on. */
bool k2_lake_verify(struct k2_lake *lake, const struct k2_metadata *const *tables, int count,
                    const struct k2_verify_opts *opts, struct k2_verify_result *result,
                    struct k2_err *err) K2_MUST;

#endif
