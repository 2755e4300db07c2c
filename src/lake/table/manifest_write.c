/* manifest_write.c -- manifests and manifest lists as the Java library writes them. */
#include <inttypes.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/json.h"
#include "lake/table/avro_container.h"
#include "lake/table/bounds.h"
#include "lake/table/manifest.h"

/* A field of an Avro record: required, or a union with null. */
#define REQ(name, type, doc, id)                                                                   \
    "{\"name\":\"" name "\",\"type\":" type ",\"doc\":\"" doc "\",\"field-id\":" #id "}"
#define OPT(name, type, doc, id)                                                                   \
    "{\"name\":\"" name "\",\"type\":[\"null\"," type "],\"doc\":\"" doc                           \
    "\",\"default\":null,\"field-id\":" #id "}"
#define INT_MAP(key, value, type)                                                                  \
    "{\"type\":\"array\",\"items\":{\"type\":\"record\",\"name\":\"k" #key "_v" #value             \
    "\",\"fields\":[{\"name\":\"key\",\"type\":\"int\",\"field-id\":" #key                         \
    "},{\"name\":\"value\",\"type\":\"" type "\",\"field-id\":" #value                             \
    "}]},\"logicalType\":\"map\"}"

static const char
    list_schema[] =
        "{\"type\":\"record\",\"name\":\"manifest_file\",\"fields\":[" REQ(
            "manifest_path", "\"string\"", "Location URI with FS scheme",
            500) "," REQ("manifest_length", "\"long\"", "Total file size in bytes",
                         501) "," REQ("partition_spec_id", "\"int\"", "Spec ID used to write",
                                      502) "," REQ("content", "\"int\"",
                                                   "Contents of the manifest: 0=data, 1=deletes", 517) "," REQ("sequence_number", "\"long\"", "Sequence number when the manifest was added", 515) "," REQ("min_sequence_number", "\"long\"", "Lowest sequence number in the manifest", 516) "," REQ("added_snapshot_id", "\"long\"", "Snapshot ID that added the manifest", 503) "," REQ("added_files_count", "\"int\"", "Added entry count", 504) "," REQ("existing_files_count",
                                                                                                                                                                                                                                                                                                                                                                                                                                                           "\"int\"",
                                                                                                                                                                                                                                                                                                                                                                                                                                                           "Existing entry count", 505) "," REQ("deleted_files_count", "\"int\"", "Deleted entry count", 506) "," REQ("added_rows_count", "\"long\"", "Added rows count", 512) "," REQ("existing_rows_count",
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                       "\"long\"",
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                       "Existing rows count",
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                       513) "," REQ("deleted_rows_count",
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                    "\"long\"", "Deleted rows count", 514) "," OPT("partitions",
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                   "{\"type\":\"array\",\"items\":{\"type\":\"record\",\"name\":\"r508\",\"fields\":[" REQ(
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                       "contains_null",
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                       "\"boolean\"",
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                       "True if any file has a null partition value",
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                       509) "," OPT("contains_nan",
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                    "\"boolean\"",
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                    "True if any file has a nan partition value", 518) "," OPT("lower_bound", "\"bytes\"", "Partition lower bound for all files", 510) "," OPT("upper_bound",
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                               "\"bytes\"",
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                               "Partition upper bound for all files",
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                               511) "]},\"element-id\":508}",
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                   "Summary for each partition", 507) "," OPT("key_metadata",
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                              "\"bytes\"",
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                              "Encryption key metadata blob",
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                              519) "]}";

static const char entry_schema_head[] =
    "{\"type\":\"record\",\"name\":\"manifest_entry\",\"fields\":["
    "{\"name\":\"status\",\"type\":\"int\",\"field-id\":0},"
    "{\"name\":\"snapshot_id\",\"type\":[\"null\",\"long\"],\"default\":null,\"field-id\":1},"
    "{\"name\":\"sequence_number\",\"type\":[\"null\",\"long\"],\"default\":null,\"field-id\":3},"
    "{\"name\":\"file_sequence_number\",\"type\":[\"null\",\"long\"],\"default\":null,"
    "\"field-id\":4},"
    "{\"name\":\"data_file\",\"type\":{\"type\":\"record\",\"name\":\"r2\",\"fields\":[" REQ(
        "content", "\"int\"",
        "Contents of the file: 0=data, 1=position deletes, 2=equality deletes",
        134) "," REQ("file_path", "\"string\"", "Location URI with FS scheme",
                     100) "," REQ("file_format", "\"string\"",
                                  "File format name: avro, orc, or parquet",
                                  101) ","
                                       "{\"name\":\"partition\",\"type\":{\"type\":\"record\","
                                       "\"name\":\"r102\",\"fields\":[";

static const char entry_schema_tail[] =
    "]},\"doc\":\"Partition data tuple, schema based on the partition "
    "spec\",\"field-id\":102}," REQ("record_count", "\"long\"", "Number of records in the file", 103) "," REQ(
        "file_size_in_bytes", "\"long\"", "Total file size in bytes",
        104) "," OPT("column_sizes", INT_MAP(117, 118, "long"),
                     "Map of column id to total size on disk",
                     108) "," OPT("value_counts", INT_MAP(119, 120, "long"),
                                  "Map of column id to total count, including null and NaN",
                                  109) "," OPT("null_value_counts", INT_MAP(121, 122, "long"),
                                               "Map of column id to null value count",
                                               110) "," OPT("nan_value_counts",
                                                            INT_MAP(138, 139, "long"),
                                                            "Map of column id to number of NaN "
                                                            "values in the column",
                                                            137) "," OPT("lower_bounds",
                                                                         INT_MAP(126, 127, "bytes"),
                                                                         "Map of column id to "
                                                                         "lower bound",
                                                                         125) "," OPT("upper_"
                                                                                      "bounds",
                                                                                      INT_MAP(
                                                                                          129, 130,
                                                                                          "bytes"),
                                                                                      "Map of "
                                                                                      "column id "
                                                                                      "to upper "
                                                                                      "bound",
                                                                                      128) "," OPT("key_metadata",
                                                                                                   "\"bytes\"",
                                                                                                   "Encryption key metadata blob",
                                                                                                   131) "," OPT("split_offsets",
                                                                                                                "{\"type\":\"array\",\"items\":\"long\",\"element-id\":133}",
                                                                                                                "Splittable offsets",
                                                                                                                132) "," OPT("equality_ids",
                                                                                                                             "{\"type\":\"array\",\"items\":\"int\",\"element-id\":136}",
                                                                                                                             "Equality comparison field IDs",
                                                                                                                             135) "," OPT("sort_order_id",
                                                                                                                                          "\"int\"",
                                                                                                                                          "Sort order ID",
                                                                                                                                          140) "]},\"field-id\":2}]}";

static void put_bytes(struct k2_buf *out, struct k2_str bytes) {
    k2_buf_zigzag(out, (int64_t)bytes.len);
    k2_buf_str(out, bytes);
}

static void put_null(struct k2_buf *out) {
    k2_buf_zigzag(out, 0);
}

/* The branch of [null, T] that is not null. */
static void put_there(struct k2_buf *out) {
    k2_buf_zigzag(out, 1);
}

/* ---- manifest lists ---- */
static void put_optional_bytes(struct k2_buf *out, bool is_there, struct k2_str bytes) {
    if (!is_there) {
        put_null(out);
        return;
    }
    put_there(out);
    put_bytes(out, bytes);
}

static void put_summary(struct k2_buf *out, const struct k2_field_summary *summary) {
    k2_buf_byte(out, summary->contains_null);
    if (summary->has_nan) {
        put_there(out);
        k2_buf_byte(out, summary->contains_nan);
    } else {
        put_null(out);
    }
    put_optional_bytes(out, summary->has_lower, summary->lower);
    put_optional_bytes(out, summary->has_upper, summary->upper);
}

static void put_list_row(struct k2_buf *out, const struct k2_manifest_file *file) {
    put_bytes(out, file->path);
    const int64_t numbers[] = {file->length,
                               file->spec_id,
                               file->content,
                               file->sequence_number,
                               file->min_sequence_number,
                               file->added_snapshot_id,
                               file->added_files,
                               file->existing_files,
                               file->deleted_files,
                               file->added_rows,
                               file->existing_rows,
                               file->deleted_rows};
    for (size_t i = 0; i < K2_COUNT(numbers); i++)
        k2_buf_zigzag(out, numbers[i]);
    put_there(out);
    if (file->summary_count)
        k2_buf_zigzag(out, file->summary_count);
    for (int i = 0; i < file->summary_count; i++)
        put_summary(out, &file->summaries[i]);
    k2_buf_zigzag(out, 0);
    put_optional_bytes(out, file->key_metadata.ptr != NULL, file->key_metadata);
}

void k2_manifest_list_write(const struct k2_manifest_file *files, int count,
                            const struct k2_snapshot *snapshot, const uint8_t sync[16],
                            struct k2_buf *out) {
    char id[24], parent[24], sequence[24];
    snprintf(id, sizeof id, "%" PRId64, snapshot->snapshot_id);
    snprintf(parent, sizeof parent, "%" PRId64, snapshot->parent_id);
    snprintf(sequence, sizeof sequence, "%" PRId64, snapshot->sequence_number);
    struct k2_container_meta meta[] = {
        {K2_STR("snapshot-id"), k2_str_of(id)},
        {K2_STR("parent-snapshot-id"), k2_str_of(snapshot->parent_id ? parent : "null")},
        {K2_STR("sequence-number"), k2_str_of(sequence)},
        {K2_STR("format-version"), K2_STR("2")},
    };
    struct k2_container_writer writer;
    k2_container_begin(&writer, k2_str_make(list_schema, sizeof list_schema - 1), meta,
                       (int)K2_COUNT(meta), true, sync);
    for (int i = 0; i < count; i++) {
        put_list_row(&writer.block, &files[i]);
        k2_container_record(&writer);
    }
    k2_container_end(&writer);
    k2_buf_str(out, k2_buf_view(&writer.out));
    k2_container_writer_done(&writer);
}

/* ---- manifests ---- */
struct k2_manifest_writer {
    struct k2_manifest_opts opts;
    struct k2_container_writer container;
    struct k2_arena arena;
    struct k2_manifest_file row;
    struct k2_field_summary summaries[K2_PARTITION_MAX];
};

/* A name Avro allows, made as Java does: '_' before a leading digit, _xHH for other bytes. */
static void put_avro_name(struct k2_buf *out, struct k2_str name, bool *ret_same) {
    size_t start = out->len;
    for (size_t i = 0; i < name.len; i++) {
        unsigned char c = (unsigned char)name.ptr[i];
        bool is_digit = c >= '0' && c <= '9';
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        if (is_digit && i == 0)
            k2_buf_byte(out, '_');
        if (is_digit || is_letter)
            k2_buf_byte(out, c);
        else
            k2_buf_printf(out, "_x%X", c);
    }
    *ret_same = k2_str_eq(k2_str_make(out->ptr + start, out->len - start), name);
}

static void put_partition_field(struct k2_buf *out, const struct k2_partition_field *field,
                                const char *type) {
    bool is_same;
    k2_buf_text(out, "{\"name\":\"");
    put_avro_name(out, field->name, &is_same);
    k2_buf_text(out, "\",\"type\":[\"null\",");
    if (strcmp(type, "date") == 0)
        k2_buf_text(out, "{\"type\":\"int\",\"logicalType\":\"date\"}");
    else
        k2_buf_printf(out, "\"%s\"", type);
    k2_buf_printf(out, "],\"default\":null,\"field-id\":%d", field->field_id);
    if (!is_same) {
        k2_buf_text(out, ",\"iceberg-field-name\":");
        k2_json_quote(out, field->name);
    }
    k2_buf_byte(out, '}');
}

static void begin(struct k2_manifest_writer *w) {
    const struct k2_manifest_opts *opts = &w->opts;
    struct k2_buf schema = {0};
    char schema_id[16], spec_id[16];
    k2_buf_text(&schema, entry_schema_head);
    for (int i = 0; i < opts->spec->field_count; i++) {
        if (i)
            k2_buf_byte(&schema, ',');
        put_partition_field(&schema, &opts->spec->fields[i], opts->types[i]);
    }
    k2_buf_text(&schema, entry_schema_tail);
    snprintf(schema_id, sizeof schema_id, "%d", opts->schema_id);
    snprintf(spec_id, sizeof spec_id, "%d", opts->spec->spec_id);
    struct k2_container_meta meta[] = {
        {K2_STR("schema"), opts->schema},
        {K2_STR("schema-id"), k2_str_of(schema_id)},
        {K2_STR("partition-spec"), opts->spec_fields},
        {K2_STR("partition-spec-id"), k2_str_of(spec_id)},
        {K2_STR("format-version"), K2_STR("2")},
        {K2_STR("content"), K2_STR("data")},
    };
    k2_container_begin(&w->container, k2_buf_view(&schema), meta, (int)K2_COUNT(meta), true,
                       opts->sync);
    k2_buf_done(&schema);
}

struct k2_manifest_writer *k2_manifest_writer_new(const struct k2_manifest_opts *opts) {
    K2_ASSERT(opts->spec->field_count <= K2_PARTITION_MAX);
    struct k2_manifest_writer *w = k2_new(struct k2_manifest_writer);
    w->opts = *opts;
    w->row = (struct k2_manifest_file){.spec_id = opts->spec->spec_id,
                                       .added_snapshot_id = opts->snapshot_id,
                                       .sequence_number = opts->sequence_number,
                                       .summaries = w->summaries,
                                       .summary_count = opts->spec->field_count};
    begin(w);
    return w;
}

void k2_manifest_writer_free(struct k2_manifest_writer *w) {
    if (!w)
        return;
    k2_container_writer_done(&w->container);
    k2_arena_done(&w->arena);
    k2_free(w);
}

static void put_partition(struct k2_buf *out, const struct k2_manifest_opts *opts,
                          const struct k2_partition_value *values) {
    for (int i = 0; i < opts->spec->field_count; i++) {
        if (values[i].is_null) {
            put_null(out);
            continue;
        }
        put_there(out);
        if (strcmp(opts->types[i], "string") == 0)
            put_bytes(out, values[i].text);
        else
            k2_buf_zigzag(out, values[i].number);
    }
}

static int64_t stat_of(const struct k2_column_stats *stats, int map_id) {
    return map_id == 108 ? stats->bytes : map_id == 109 ? stats->value_count : stats->null_count;
}

static void put_counts(struct k2_buf *out, const struct k2_data_file *file, int map_id) {
    int count = 0;
    for (int i = 0; i < file->stats_count; i++)
        count += stat_of(&file->stats[i], map_id) >= 0;
    put_there(out);
    if (count)
        k2_buf_zigzag(out, count);
    for (int i = 0; i < file->stats_count; i++) {
        int64_t number = stat_of(&file->stats[i], map_id);
        if (number < 0)
            continue;
        k2_buf_zigzag(out, file->stats[i].field_id);
        k2_buf_zigzag(out, number);
    }
    k2_buf_zigzag(out, 0);
}

static bool has_bound(const struct k2_column_stats *stats, bool is_upper) {
    return stats->has_bounds && (!is_upper || stats->has_upper);
}

static void put_bounds(struct k2_buf *out, const struct k2_data_file *file, bool is_upper) {
    int count = 0;
    for (int i = 0; i < file->stats_count; i++)
        count += has_bound(&file->stats[i], is_upper);
    put_there(out);
    if (count)
        k2_buf_zigzag(out, count);
    for (int i = 0; i < file->stats_count; i++) {
        const struct k2_column_stats *stats = &file->stats[i];
        if (!has_bound(stats, is_upper))
            continue;
        k2_buf_zigzag(out, stats->field_id);
        put_bytes(out, k2_buf_view(is_upper ? &stats->upper : &stats->lower));
    }
    k2_buf_zigzag(out, 0);
}

static void put_data_file(struct k2_buf *out, const struct k2_manifest_opts *opts,
                          const struct k2_data_file *file) {
    k2_buf_zigzag(out, K2_CONTENT_DATA);
    put_bytes(out, file->path);
    put_bytes(out, K2_STR("PARQUET"));
    put_partition(out, opts, file->partition);
    k2_buf_zigzag(out, file->record_count);
    k2_buf_zigzag(out, file->file_size);
    put_counts(out, file, 108);
    put_counts(out, file, 109);
    put_counts(out, file, 110);
    put_there(out); /* nan_value_counts: K2 has no floating point columns */
    k2_buf_zigzag(out, 0);
    put_bounds(out, file, false);
    put_bounds(out, file, true);
    put_null(out); /* key_metadata */
    put_there(out);
    if (file->split_count)
        k2_buf_zigzag(out, file->split_count);
    for (int i = 0; i < file->split_count; i++)
        k2_buf_zigzag(out, file->split_offsets[i]);
    k2_buf_zigzag(out, 0);
    put_null(out); /* equality_ids */
    put_there(out);
    k2_buf_zigzag(out, file->sort_order_id);
}

static void widen(struct k2_manifest_writer *w, int index, struct k2_str bound) {
    struct k2_field_summary *summary = &w->summaries[index];
    bool is_string = strcmp(w->opts.types[index], "string") == 0;
    if (!summary->has_lower || k2_bound_cmp(is_string, bound, summary->lower) < 0)
        summary->lower = k2_arena_str(&w->arena, bound);
    if (!summary->has_upper || k2_bound_cmp(is_string, bound, summary->upper) > 0)
        summary->upper = k2_arena_str(&w->arena, bound);
    summary->has_lower = summary->has_upper = true;
}

/* Partition bounds are kept whole: a cut upper bound would have to be rounded up. */
static void summarise(struct k2_manifest_writer *w, const struct k2_data_file *file) {
    for (int i = 0; i < w->opts.spec->field_count; i++) {
        const struct k2_partition_value *value = &file->partition[i];
        w->summaries[i].has_nan = true;
        if (value->is_null) {
            w->summaries[i].contains_null = true;
            continue;
        }
        bool is_string = strcmp(w->opts.types[i], "string") == 0;
        widen(w, i, is_string ? value->text : k2_str_make(&value->number, sizeof value->number));
    }
}

void k2_manifest_add(struct k2_manifest_writer *w, enum k2_entry_status status,
                     const struct k2_data_file *file) {
    K2_ASSERT(status != K2_ENTRY_DELETED);
    bool is_added = status == K2_ENTRY_ADDED;
    struct k2_buf *out = &w->container.block;
    k2_buf_zigzag(out, status);
    put_there(out);
    k2_buf_zigzag(out, is_added ? w->opts.snapshot_id : file->snapshot_id);
    if (is_added) {
        put_null(out);
        put_null(out);
    } else {
        put_there(out);
        k2_buf_zigzag(out, file->sequence_number);
        put_there(out);
        k2_buf_zigzag(out, file->file_sequence_number);
    }
    put_data_file(out, &w->opts, file);
    k2_container_record(&w->container);
    summarise(w, file);
    *(is_added ? &w->row.added_files : &w->row.existing_files) += 1;
    *(is_added ? &w->row.added_rows : &w->row.existing_rows) += file->record_count;
    int64_t sequence = is_added ? w->opts.sequence_number : file->sequence_number;
    bool is_first = w->row.added_files + w->row.existing_files == 1;
    if (is_first || sequence < w->row.min_sequence_number)
        w->row.min_sequence_number = sequence;
}

void k2_manifest_finish(struct k2_manifest_writer *w, struct k2_str *ret_bytes,
                        struct k2_manifest_file *ret_row) {
    k2_container_end(&w->container);
    w->row.length = (int64_t)w->container.out.len;
    *ret_bytes = k2_buf_view(&w->container.out);
    *ret_row = w->row;
}
