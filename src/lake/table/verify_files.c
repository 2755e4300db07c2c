/* verify_files.c -- manifest lists against manifests, manifests against data files. */
#include <inttypes.h>

#include "base/alloc.h"
#include "base/date.h"
#include "lake/table/bounds.h"
#include "lake/table/verify_impl.h"

/* ---- manifests ---- */
struct counted {
    int64_t files[3], rows[3]; /* by status */
    int64_t min_sequence;
};

static void check_bounds(struct k2_verify *v, const struct k2_data_file *file) {
    const struct k2_table_schema *schema = k2_metadata_current_schema(v->metadata);
    for (int i = 0; i < file->stats_count; i++) {
        const struct k2_column_stats *s = &file->stats[i];
        const struct k2_field *field = k2_schema_field(schema, s->field_id);
        if (s->null_count > s->value_count && s->value_count >= 0)
            k2_verify_broken(v, "%.*s: field %d has more nulls than values", K2_FMT(file->path),
                             s->field_id);
        bool is_flat = field && !field->element_id && !field->key_id;
        if (is_flat && s->value_count >= 0 && s->value_count != file->record_count)
            k2_verify_broken(v, "%.*s: field %d has %" PRId64 " values in %" PRId64 " rows",
                             K2_FMT(file->path), s->field_id, s->value_count, file->record_count);
        if (!field || !s->has_bounds || !s->has_upper)
            continue;
        struct k2_str lower = k2_buf_view(&s->lower), upper = k2_buf_view(&s->upper);
        int64_t low = 0, high = 0;
        bool is_text = k2_bound_is_text(field->type);
        bool is_number =
            k2_bound_number(field->type, lower, &low) && k2_bound_number(field->type, upper, &high);
        if ((is_text && k2_str_cmp(lower, upper) > 0) || (is_number && low > high))
            k2_verify_broken(v, "%.*s: the bounds of %s are inverted", K2_FMT(file->path),
                             field->name.ptr);
    }
}

/* A day or identity partition must agree with the bounds of its column. */
static void check_partition(struct k2_verify *v, const struct k2_partition_spec *spec,
                            const struct k2_manifest_entry *entry) {
    const struct k2_data_file *file = &entry->file;
    for (int f = 0; f < K2_MIN(spec->field_count, (int)K2_PARTITION_MAX); f++) {
        int32_t width;
        enum k2_transform transform = k2_transform_parse(spec->fields[f].transform, &width);
        const struct k2_partition_value *value = &file->partition[f];
        if ((entry->partition_unknown & (1u << f)) || value->is_null)
            continue;
        for (int i = 0; i < file->stats_count; i++) {
            const struct k2_column_stats *s = &file->stats[i];
            int64_t low, high;
            if (s->field_id != spec->fields[f].source_id || !s->has_bounds || !s->has_upper)
                continue;
            struct k2_str lower = k2_buf_view(&s->lower), upper = k2_buf_view(&s->upper);
            bool is_day = transform == K2_TRANSFORM_DAY &&
                          k2_bound_number(K2_STR("timestamptz"), lower, &low) &&
                          k2_bound_number(K2_STR("timestamptz"), upper, &high);
            if (is_day &&
                (k2_days_from_us(low) != value->number || k2_days_from_us(high) != value->number))
                k2_verify_broken(v, "%.*s holds other days than its partition %s",
                                 K2_FMT(file->path), spec->fields[f].name.ptr);
            /* Longer values may be cut in the bounds. */
            if (transform == K2_TRANSFORM_IDENTITY && value->text.ptr && value->text.len <= 16 &&
                (!k2_str_eq(lower, value->text) || !k2_str_eq(upper, value->text)))
                k2_verify_broken(v, "%.*s holds other values than its partition %s",
                                 K2_FMT(file->path), spec->fields[f].name.ptr);
        }
    }
}

static void check_entry(struct k2_verify *v, const struct k2_manifest_file *row,
                        const struct k2_manifest_entry *entry, struct counted *counted) {
    const struct k2_data_file *file = &entry->file;
    const struct k2_partition_spec *spec = k2_metadata_spec(v->metadata, row->spec_id);
    counted->files[entry->status]++;
    counted->rows[entry->status] += file->record_count;
    if (entry->status != K2_ENTRY_ADDED && v->metadata->format_version > 1 &&
        (!entry->has_sequence || !entry->has_file_sequence))
        k2_verify_broken(v, "%.*s: the entry of %.*s must carry its sequence numbers",
                         K2_FMT(row->path), K2_FMT(file->path));
    if (file->sequence_number > row->sequence_number)
        k2_verify_broken(v, "%.*s: %.*s has a sequence number above its manifest's",
                         K2_FMT(row->path), K2_FMT(file->path));
    if (entry->status == K2_ENTRY_DELETED)
        return;
    if (counted->min_sequence < 0 || file->sequence_number < counted->min_sequence)
        counted->min_sequence = file->sequence_number;
    k2_intern_add(&v->reachable, file->path);
    check_bounds(v, file);
    if (spec)
        check_partition(v, spec, entry);
}

static void check_counts(struct k2_verify *v, const struct k2_manifest_file *row,
                         const struct counted *counted) {
    const struct {
        const char *what;
        int64_t listed, found;
    } counts[] = {
        {"existing files", row->existing_files, counted->files[K2_ENTRY_EXISTING]},
        {"added files", row->added_files, counted->files[K2_ENTRY_ADDED]},
        {"deleted files", row->deleted_files, counted->files[K2_ENTRY_DELETED]},
        {"existing rows", row->existing_rows, counted->rows[K2_ENTRY_EXISTING]},
        {"added rows", row->added_rows, counted->rows[K2_ENTRY_ADDED]},
        {"deleted rows", row->deleted_rows, counted->rows[K2_ENTRY_DELETED]},
    };
    for (size_t i = 0; i < K2_COUNT(counts); i++)
        if (counts[i].listed >= 0 && counts[i].listed != counts[i].found)
            k2_verify_broken(v, "%.*s holds %" PRId64 " %s, the manifest list says %" PRId64,
                             K2_FMT(row->path), counts[i].found, counts[i].what, counts[i].listed);
    if (counted->min_sequence >= 0 && row->min_sequence_number != counted->min_sequence)
        k2_verify_broken(
            v, "%.*s: its lowest sequence number is %" PRId64 ", the manifest list says %" PRId64,
            K2_FMT(row->path), counted->min_sequence, row->min_sequence_number);
}

/* Every value must lie in the summary, or readers leave the manifest out. */
static void check_summaries(struct k2_verify *v, const struct k2_manifest_file *row,
                            const struct k2_manifest *manifest) {
    const struct k2_partition_spec *spec = k2_metadata_spec(v->metadata, row->spec_id);
    const char *types[K2_PARTITION_MAX];
    if (!spec || !k2_spec_types(v->metadata, spec, types) ||
        row->summary_count != spec->field_count)
        return;
    for (int i = 0; i < manifest->count; i++) {
        const struct k2_manifest_entry *entry = &manifest->entries[i];
        for (int f = 0; f < spec->field_count; f++) {
            const struct k2_field_summary *summary = &row->summaries[f];
            const struct k2_partition_value *value = &entry->file.partition[f];
            if (entry->status == K2_ENTRY_DELETED || (entry->partition_unknown & (1u << f)))
                continue;
            bool is_string = strcmp(types[f], "string") == 0;
            struct k2_str bytes =
                is_string ? value->text : k2_str_make(&value->number, sizeof value->number);
            bool is_in = value->is_null ? summary->contains_null
                                        : summary->has_lower && summary->has_upper &&
                                              k2_bound_cmp(is_string, summary->lower, bytes) <= 0 &&
                                              k2_bound_cmp(is_string, summary->upper, bytes) >= 0;
            if (!is_in)
                k2_verify_broken(v, "%.*s: the partition of %.*s is outside the manifest's summary",
                                 K2_FMT(row->path), K2_FMT(entry->file.path));
        }
    }
}

static bool check_size(struct k2_verify *v, struct k2_str uri, int64_t expected, const char *what) {
    struct k2_err err = {0};
    struct k2_buf path = {0};
    int64_t bytes = 0;
    bool ok = k2_store_path(v->lake->store, uri, &path, &err) &&
              k2_store_size(v->lake->store, k2_buf_cstr(&path), &bytes, &err);
    k2_buf_done(&path);
    if (!ok)
        k2_verify_broken(v, "%s is not there: %s", what, err.msg);
    else if (bytes != expected)
        k2_verify_broken(v, "%s %.*s has %" PRId64 " bytes, %" PRId64 " are expected", what,
                         K2_FMT(uri), bytes, expected);
    return ok && bytes == expected;
}

static void check_manifest(struct k2_verify *v, const struct k2_manifest_file *row) {
    if (k2_intern_find(&v->manifests, row->path) != UINT32_MAX)
        return;
    k2_intern_add(&v->manifests, row->path);
    k2_intern_add(&v->reachable, row->path);
    v->result->manifests++;
    struct k2_err err = {0};
    if (!k2_metadata_spec(v->metadata, row->spec_id))
        k2_verify_broken(v, "%.*s names partition spec %d, which is not there", K2_FMT(row->path),
                         row->spec_id);
    if (!check_size(v, row->path, row->length, "manifest"))
        return;
    struct k2_manifest *manifest = k2_lake_manifest(v->lake, v->metadata, row, &err);
    if (!manifest) {
        k2_verify_broken(v, "%s", err.msg);
        return;
    }
    struct counted counted = {.min_sequence = -1};
    for (int i = 0; i < manifest->count; i++)
        check_entry(v, row, &manifest->entries[i], &counted);
    check_counts(v, row, &counted);
    check_summaries(v, row, manifest);
    k2_manifest_unref(manifest);
}

/* ---- snapshots ---- */
static void check_total(struct k2_verify *v, const struct k2_snapshot *s, const char *key,
                        int64_t found) {
    struct k2_str text = k2_snapshot_summary(s, key);
    int64_t said;
    if (text.ptr && (!k2_str_to_i64(text, &said) || said != found))
        k2_verify_broken(v, "snapshot %" PRId64 ": %s is %.*s, its manifests hold %" PRId64,
                         s->snapshot_id, key, K2_FMT(text), found);
}

static void check_snapshot(struct k2_verify *v, const struct k2_snapshot *s) {
    struct k2_err err = {0};
    v->result->snapshots++;
    k2_intern_add(&v->reachable, s->manifest_list);
    struct k2_manifest_list *list = k2_lake_list(v->lake, s, &err);
    if (!list) {
        k2_verify_broken(v, "snapshot %" PRId64 ": %s", s->snapshot_id, err.msg);
        return;
    }
    int64_t files = 0, rows = 0;
    bool is_counted = true;
    for (int i = 0; i < list->count; i++) {
        const struct k2_manifest_file *row = &list->files[i];
        is_counted &= row->added_files >= 0 && row->existing_files >= 0 && row->added_rows >= 0 &&
                      row->existing_rows >= 0;
        files += row->content == 0 ? row->added_files + row->existing_files : 0;
        rows += row->content == 0 ? row->added_rows + row->existing_rows : 0;
        if (row->sequence_number > s->sequence_number ||
            row->min_sequence_number > row->sequence_number)
            k2_verify_broken(v,
                             "snapshot %" PRId64 ": %.*s has sequence number %" PRId64
                             " (lowest %" PRId64 "), the snapshot %" PRId64,
                             s->snapshot_id, K2_FMT(row->path), row->sequence_number,
                             row->min_sequence_number, s->sequence_number);
        check_manifest(v, row);
    }
    if (is_counted) {
        check_total(v, s, "total-data-files", files);
        check_total(v, s, "total-records", rows);
    }
    k2_manifest_list_unref(list);
}

void k2_verify_snapshots(struct k2_verify *v) {
    for (int i = 0; i < v->metadata->snapshot_count; i++)
        check_snapshot(v, &v->metadata->snapshots[i]);
}

/* ---- data files of the current snapshot ---- */
static void add_finding(void *self, const char *finding) {
    k2_verify_broken(self, "%s", finding);
}

static void check_parquet(struct k2_verify *v, const struct k2_data_file *file,
                          const struct k2_field_ids *ids, struct k2_verify_rows *rows) {
    struct k2_err err = {0};
    struct k2_buf path = {0};
    if (!k2_store_path(v->lake->store, file->path, &path, &err)) {
        k2_verify_broken(v, "%s", err.msg);
        return;
    }
    struct k2_store *store = v->lake->store;
    struct k2_parquet_file *parquet =
        k2_parquet_open(store, k2_buf_cstr(&path), v->schema, ids, &err);
    if (!parquet)
        k2_verify_broken(v, "%s", err.msg);
    else if (k2_parquet_rows(parquet) != file->record_count)
        k2_verify_broken(v, "%.*s holds %" PRId64 " rows, its manifest says %" PRId64,
                         K2_FMT(file->path), k2_parquet_rows(parquet), file->record_count);
    if (parquet && rows && !k2_verify_rows_read(rows, parquet, file->path, &err))
        k2_verify_broken(v, "%s", err.msg);
    k2_parquet_close(parquet);
    if (!k2_parquet_verify(store, path.ptr, v->schema, ids, add_finding, v, &err))
        k2_verify_broken(v, "%.*s cannot be looked at: %s", K2_FMT(file->path), err.msg);
    k2_buf_done(&path);
}

static void check_file(struct k2_verify *v, const struct k2_data_file *file,
                       const struct k2_field_ids *ids, struct k2_verify_rows *rows) {
    v->result->files++;
    v->result->rows += file->record_count;
    if (k2_intern_find(&v->live, file->path) != UINT32_MAX)
        k2_verify_broken(v, "%.*s is live twice", K2_FMT(file->path));
    k2_intern_add(&v->live, file->path);
    if (check_size(v, file->path, file->file_size, "data file"))
        check_parquet(v, file, ids, rows);
}

bool k2_verify_files(struct k2_verify *v, struct k2_err *err) {
    struct k2_err why = {0};
    struct k2_field_ids ids[K2_COLUMNS_MAX];
    struct k2_scan scan;
    if (!v->schema || !v->metadata->current_snapshot_id)
        return true;
    if (!k2_metadata_field_ids(v->metadata, v->schema, ids, &why) ||
        !k2_table_scan(v->lake, v->metadata, v->schema, 0, NULL, 0, &scan, &why)) {
        k2_verify_broken(v, "%s", why.msg);
        return true;
    }
    struct k2_verify_rows *rows = k2_verify_rows_new(v);
    bool ok = true;
    for (int i = 0; ok && i < scan.file_count; i++) {
        check_file(v, &scan.files[i], ids, rows);
        ok = !v->progress ||
             v->progress(v->self, v->metadata->identifier.ptr, i + 1, scan.file_count) ||
             k2_err_set(err, K2_CANCELLED, "stopped");
    }
    k2_verify_rows_free(rows);
    k2_scan_done(&scan);
    return ok;
}
