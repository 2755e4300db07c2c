/* manifest.h -- manifests (which data files there are) and manifest lists (which manifests).
 *
 * Spec: format v2, "Manifests" and "Manifest Lists". Written with the field ids, record names and
 * field order of the Java library; read by field id from any writer, v1 included. Threads: what was
 * parsed is immutable and may be shared. Private to lake/table.
 */
#ifndef K2_LAKE_TABLE_MANIFEST_H
#define K2_LAKE_TABLE_MANIFEST_H

#include <stdatomic.h>

#include "lake/table/table.h"

enum k2_entry_status { K2_ENTRY_EXISTING, K2_ENTRY_ADDED, K2_ENTRY_DELETED };
enum k2_file_content { K2_CONTENT_DATA, K2_CONTENT_POSITION_DELETES, K2_CONTENT_EQUALITY_DELETES };

/* ---- manifest lists ---- */
struct k2_field_summary {
    bool contains_null, contains_nan, has_nan;
    bool has_lower, has_upper;
    struct k2_str lower, upper; /* single-value form */
};
struct k2_manifest_file {
    struct k2_str path; /* uri */
    int64_t length;
    int32_t spec_id, content; /* content 1: deletes */
    int64_t sequence_number, min_sequence_number, added_snapshot_id;
    int64_t added_files, existing_files, deleted_files; /* -1: v1, not known */
    int64_t added_rows, existing_rows, deleted_rows;
    int summary_count;
    struct k2_field_summary *summaries;
    struct k2_str key_metadata; /* NULL pointer: none */
};
/* One parsed list; counted references. */
struct k2_manifest_list {
    atomic_int refs;
    struct k2_arena arena;
    int count;
    struct k2_manifest_file *files;
};
struct k2_manifest_list *k2_manifest_list_new(void);
/* bytes: the file. Free with k2_manifest_list_unref. */
struct k2_manifest_list *k2_manifest_list_parse(struct k2_str bytes, struct k2_err *err) K2_MUST;
struct k2_manifest_list *k2_manifest_list_ref(struct k2_manifest_list *list);
void k2_manifest_list_unref(struct k2_manifest_list *list);
/* Appends the file of a snapshot (its id, parent and sequence number go into the metadata). */
void k2_manifest_list_write(const struct k2_manifest_file *files, int count,
                            const struct k2_snapshot *snapshot, const uint8_t sync[16],
                            struct k2_buf *out);
/* A deep copy into arena. */
struct k2_manifest_file k2_manifest_file_copy(struct k2_arena *arena,
                                              const struct k2_manifest_file *file);

/* ---- manifests ---- */
struct k2_manifest_entry {
    enum k2_entry_status status;
    enum k2_file_content content;
    bool has_snapshot, has_sequence, has_file_sequence; /* as written, before inheriting */
    bool is_parquet;
    bool is_strange; /* holds what k2_data_file cannot: such an entry is never rewritten */
    uint32_t partition_unknown; /* bit per spec field whose value K2 cannot hold */
    struct k2_data_file file;   /* sequence numbers and snapshot inherited where they were null */
};
struct k2_manifest {
    atomic_int refs;
    struct k2_arena arena;
    struct k2_str schema; /* metadata "schema" of the file */
    int count;
    struct k2_manifest_entry *entries;
};
/* bytes: the file that row names; spec: of row->spec_id (NULL: partition values are left out). */
struct k2_manifest *k2_manifest_parse(struct k2_str bytes, const struct k2_manifest_file *row,
                                      const struct k2_partition_spec *spec,
                                      struct k2_err *err) K2_MUST;
struct k2_manifest *k2_manifest_ref(struct k2_manifest *manifest);
void k2_manifest_unref(struct k2_manifest *manifest);

/* What a manifest is written with. */
struct k2_manifest_opts {
    struct k2_str schema; /* the table's schema as Iceberg JSON */
    int32_t schema_id;
    const struct k2_partition_spec *spec;
    struct k2_str spec_fields; /* its fields as a JSON array */
    /* Result type of each spec field: "date", "string", "int". */
    const char *types[K2_PARTITION_MAX];
    int64_t snapshot_id, sequence_number; /* of the commit */
    uint8_t sync[16];
};
struct k2_manifest_writer;
struct k2_manifest_writer *k2_manifest_writer_new(const struct k2_manifest_opts *opts);
void k2_manifest_writer_free(struct k2_manifest_writer *writer);
/* ADDED: sequence numbers are left null, to be inherited. EXISTING: as file has them. */
void k2_manifest_add(struct k2_manifest_writer *writer, enum k2_entry_status status,
                     const struct k2_data_file *file);
/* Ends the file. ret_row gets all but path; it borrows from the writer, as does ret_bytes. */
void k2_manifest_finish(struct k2_manifest_writer *writer, struct k2_str *ret_bytes,
                        struct k2_manifest_file *ret_row);

#endif
