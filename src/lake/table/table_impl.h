/* table_impl.h -- what the files of lake/table share: metadata with its raw parts, the lake's
 * cache.
 *
 * A metadata version is made of parts with their own counts of references, so that the next version
 * shares what did not change: `fixed` (schemas, specs, members K2 does not write) and one piece per
 * snapshot, kept as JSON text so that writing a version copies bytes.
 */
#ifndef K2_LAKE_TABLE_TABLE_IMPL_H
#define K2_LAKE_TABLE_TABLE_IMPL_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/json.h"
#include "lake/table/manifest.h"
#include "lake/table/table.h"

/* ---- metadata ---- */
struct k2_raw_member {
    struct k2_str key, text; /* text: JSON */
};
/* How a field of the default spec is computed from a batch of the table's kind. */
enum k2_transform {
    K2_TRANSFORM_UNKNOWN,
    K2_TRANSFORM_IDENTITY,
    K2_TRANSFORM_YEAR,
    K2_TRANSFORM_MONTH,
    K2_TRANSFORM_DAY,
    K2_TRANSFORM_HOUR,
    K2_TRANSFORM_TRUNCATE,
    K2_TRANSFORM_BUCKET,
    K2_TRANSFORM_VOID,
};
struct k2_bound_field {
    enum k2_transform transform;
    int32_t width; /* truncate, bucket */
    int column;    /* of the kind; -1: not one of K2's */
};

struct k2_fixed {
    atomic_int refs;
    struct k2_arena arena;
    struct k2_str location, table_uuid;
    int format_version;
    int32_t last_column_id, current_schema_id, default_spec_id, last_partition_id, default_sort_id;
    int schema_count, spec_count;
    struct k2_table_schema *schemas;
    struct k2_str *schema_texts; /* JSON of each */
    struct k2_partition_spec *specs;
    struct k2_str *spec_texts; /* JSON of each one's fields */
    int member_count;          /* written back as they were read */
    struct k2_raw_member *members;
    const struct k2_schema *kind; /* by the table's name; NULL: none of K2's */
    struct k2_bound_field bound[K2_PARTITION_MAX];
};

/* One snapshot: what was parsed and its JSON, in one block of memory. */
struct k2_snapshot_piece {
    atomic_int refs;
    struct k2_arena arena;
    struct k2_snapshot snapshot;
    struct k2_str text;
};

struct k2_previous_file {
    struct k2_str metadata_file;
    int64_t timestamp_ms;
};

struct k2_metadata_impl {
    struct k2_metadata pub; /* first: a k2_metadata is one of these */
    atomic_int refs;
    struct k2_arena arena;
    struct k2_fixed *fixed;
    struct k2_snapshot_piece **pieces; /* pub.snapshot_count */
    struct k2_str *ref_texts; /* pub.ref_count: members but snapshot-id, each after a comma */
    int previous_count;
    struct k2_previous_file *previous; /* metadata-log, oldest first */
};

static inline struct k2_metadata_impl *k2_metadata_impl_of(const struct k2_metadata *metadata) {
    return (struct k2_metadata_impl *)metadata;
}

/* Parses a metadata file (plain or gzip). */
struct k2_metadata *k2_metadata_parse(struct k2_str bytes, const char *identifier,
                                      const char *location, struct k2_err *err) K2_MUST;
/* The JSON of a whole version. respec (NULL: as they are) stands in for its partition specs. */
struct k2_respec {
    int32_t default_spec_id, last_partition_id;
    struct k2_str specs; /* JSON of all of them */
};
void k2_metadata_write(const struct k2_metadata *metadata, const struct k2_respec *respec,
                       struct k2_buf *out);
/* Where the version after base goes: ".../metadata/00012-<uuid>.metadata.json", in arena. */
char *k2_metadata_next_location(const struct k2_metadata *base, const char *uuid,
                                struct k2_arena *arena);
/* What a commit does to base; texts are copied. */
struct k2_version_opts {
    const char *location;         /* of the new metadata file */
    struct k2_snapshot *snapshot; /* NULL: none is added */
    int64_t timestamp_ms;
    const struct k2_property *set; /* a NULL value pointer removes the key */
    int set_count;
    uint32_t previous_versions;
};
struct k2_metadata *k2_metadata_version(const struct k2_metadata *base,
                                        const struct k2_version_opts *opts);
const struct k2_table_schema *k2_metadata_current_schema(const struct k2_metadata *metadata);
const struct k2_partition_spec *k2_metadata_spec(const struct k2_metadata *metadata,
                                                 int32_t spec_id);
const struct k2_field *k2_schema_field(const struct k2_table_schema *schema, int32_t id);
struct k2_fixed *k2_fixed_ref(struct k2_fixed *fixed);
void k2_fixed_unref(struct k2_fixed *fixed);
/* Fills fixed->bound for the default spec. */
void k2_fixed_bind(struct k2_fixed *fixed, struct k2_str columns_property);

/* ---- names and types ---- */
/* Iceberg's name of a flat type; "list" and "map" for the nested ones. */
const char *k2_iceberg_type(enum k2_type type);
enum k2_transform k2_transform_parse(struct k2_str text, int32_t *ret_width);
/* The type a transform gives: "date", "string", "int", ...; NULL when K2 cannot hold it. */
const char *k2_transform_result(enum k2_transform transform, struct k2_str source_type);
/* The partition value of a number (times in us) or a text. False where the transform does not apply
 * to such values. Text borrows. */
bool k2_transform_number(const struct k2_bound_field *bound, enum k2_type type, int64_t number,
                         struct k2_partition_value *ret_value);
bool k2_transform_text(const struct k2_bound_field *bound, struct k2_str text,
                       struct k2_partition_value *ret_value);
/* Fills types (K2_PARTITION_MAX) for a spec. False: a field has a type K2 cannot hold. */
bool k2_spec_types(const struct k2_metadata *metadata, const struct k2_partition_spec *spec,
                   const char **ret_types);
/* Spec text ("day(timestamp), exchange") into a spec's fields, whose ids count from 1000; they and
 * their texts are in arena. ids: of the table's columns. */
bool k2_spec_parse(const struct k2_schema *schema, const struct k2_field_ids *ids, const char *text,
                   struct k2_arena *arena, struct k2_partition_spec *ret_spec,
                   struct k2_err *err) K2_MUST;
/* The JSON of a spec's fields. */
void k2_spec_put(const struct k2_partition_spec *spec, struct k2_buf *out);
/* Has the files written from now on follow the spec text; what is there stays as it is. *metadata
 * is of the table, and becomes the newest version of it. */
bool k2_lake_repartition(struct k2_lake *lake, const struct k2_schema *schema, const char *text,
                         const struct k2_metadata **metadata, struct k2_err *err) K2_MUST;
/* The id of a column in "name:id,name:id,..."; 0: not named. */
int32_t k2_columns_find(struct k2_str property, struct k2_str name);

/* ---- the lake ---- */
enum {
    K2_CACHED_TABLES = 64,
    K2_CACHED_LISTS = 64,
    K2_CACHED_MANIFESTS = 1024,
    K2_CACHED_ENTRIES = 100000, /* of all cached manifests; about 2 kB each */
};
struct k2_cached {
    char *uri; /* NULL: free */
    uint64_t hash;
    void *value;
    uint64_t used; /* ticks */
};
struct k2_lake {
    struct k2_store *store;
    struct k2_catalog *catalog;
    struct k2_clock *clock;
    uint32_t previous_versions, manifest_merge_count;
    pthread_mutex_t lock; /* guards all below */
    struct k2_random random;
    uint64_t ticks;
    struct k2_cached tables[K2_CACHED_TABLES]; /* uri: identifier; value: newest metadata */
    struct k2_cached lists[K2_CACHED_LISTS];
    struct k2_cached manifests[K2_CACHED_MANIFESTS];
    int64_t manifest_entries; /* in manifests */
};

/* Fresh names, ids and sync markers, from the lake's own randomness under its lock. */
void k2_lake_uuid(struct k2_lake *lake, char ret_uuid[37]);
/* A positive random snapshot id. */
int64_t k2_lake_new_id(struct k2_lake *lake);
/* The marker between the blocks of one Avro file. */
void k2_lake_sync(struct k2_lake *lake, uint8_t ret_sync[16]);
/* Puts metadata in the cache as the newest of its table. */
void k2_lake_keep(struct k2_lake *lake, const struct k2_metadata *metadata);
/* The manifest list of a snapshot (NULL: an empty one). Unref it. */
struct k2_manifest_list *k2_lake_list(struct k2_lake *lake, const struct k2_snapshot *snapshot,
                                      struct k2_err *err) K2_MUST;
void k2_lake_keep_list(struct k2_lake *lake, struct k2_str uri, struct k2_manifest_list *list);
struct k2_manifest *k2_lake_manifest(struct k2_lake *lake, const struct k2_metadata *metadata,
                                     const struct k2_manifest_file *row,
                                     struct k2_err *err) K2_MUST;
/* Reads the object of a URI. */
bool k2_lake_get(struct k2_lake *lake, struct k2_str uri, struct k2_buf *out,
                 struct k2_err *err) K2_MUST;
bool k2_lake_put(struct k2_lake *lake, struct k2_str uri, struct k2_str bytes,
                 struct k2_err *err) K2_MUST;
/* Points version-hint.text at what the catalog has now. The caller is in the catalog's queue. A
 * hint that cannot be written is no error: it may lag. */
void k2_lake_hint(struct k2_lake *lake, const char *const *tables, int count);

#endif
