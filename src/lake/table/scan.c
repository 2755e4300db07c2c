/* scan.c -- which live files of a snapshot may hold rows that match.
 *
 * A file is left out only where a bound proves that it holds no such row: bounds that are absent,
 * unreadable or inverted prove nothing. Pruned are manifests by their partition summaries, then
 * files by partition values and by column bounds.
 */
#include "base/alloc.h"
#include "lake/table/bounds.h"
#include "lake/table/table_impl.h"

/* A predicate, with what it needs of the table. */
struct want {
    const struct k2_predicate *predicate;
    int32_t field_id;
    enum k2_type type;
    struct k2_str iceberg_type;
    bool is_text;
};

/* A field of a partition spec that a predicate speaks of. */
struct lead {
    const struct want *want;
    int place; /* in the spec */
    struct k2_bound_field bound;
    bool is_string;
};

enum { WANTS_MAX = 32, LEADS_MAX = WANTS_MAX * K2_PARTITION_MAX };

struct scanner {
    struct k2_lake *lake;
    const struct k2_metadata *metadata;
    struct k2_scan *scan;
    int file_cap, held_cap;
    struct want wants[WANTS_MAX];
    int want_count;
    struct lead leads[LEADS_MAX]; /* of the spec of the manifest at hand */
    int lead_count;
};

/* What is known of a range of values. */
struct range {
    bool has_lower, has_upper;
    struct k2_str lower, upper;
};

/* ---- one predicate against one range ---- */
/* Some writers cut an upper bound without rounding it up: what begins with it may be there too. */
static bool text_in(struct k2_str text, const struct range *range) {
    if (range->has_lower && k2_str_cmp(text, range->lower) < 0)
        return false;
    return !range->has_upper || k2_str_cmp(text, range->upper) <= 0 ||
           (text.len > range->upper.len && range->upper.len > 0 &&
            memcmp(text.ptr, range->upper.ptr, range->upper.len) == 0);
}

static bool number_in(int64_t low, int64_t high, struct k2_str type, const struct range *range) {
    int64_t lower = INT64_MIN, upper = INT64_MAX;
    if (range->has_lower && !k2_bound_number(type, range->lower, &lower))
        return true;
    if (range->has_upper && !k2_bound_number(type, range->upper, &upper))
        return true;
    return lower > upper || (low <= upper && high >= lower);
}

static bool column_may_hold(const struct want *want, const struct range *range) {
    const struct k2_predicate *p = want->predicate;
    if (!p->value_count)
        return want->is_text ||
               number_in(p->has_low ? p->low : INT64_MIN, p->has_high ? p->high : INT64_MAX,
                         want->iceberg_type, range);
    if (!want->is_text ||
        (range->has_lower && range->has_upper && k2_str_cmp(range->lower, range->upper) > 0))
        return true;
    for (int i = 0; i < p->value_count; i++)
        if (text_in(p->values[i], range))
            return true;
    return false;
}

/* Partition values of equal column values are equal; of a range they are a range where the
 * transform keeps the order. */
static bool numbers_may_lead(const struct lead *lead, const struct range *range) {
    const struct k2_predicate *p = lead->want->predicate;
    struct k2_partition_value low, high;
    bool is_one = p->has_low && p->has_high && p->low == p->high;
    if (lead->bound.transform == K2_TRANSFORM_BUCKET && !is_one)
        return true;
    if ((p->has_low && !k2_transform_number(&lead->bound, lead->want->type, p->low, &low)) ||
        (p->has_high && !k2_transform_number(&lead->bound, lead->want->type, p->high, &high)))
        return true;
    return number_in(p->has_low ? low.number : INT64_MIN, p->has_high ? high.number : INT64_MAX,
                     K2_STR("int"), range);
}

static bool lead_may_hold(const struct lead *lead, const struct range *range) {
    const struct k2_predicate *p = lead->want->predicate;
    if (!p->value_count)
        return lead->want->is_text || numbers_may_lead(lead, range);
    if (!lead->want->is_text)
        return true;
    if (lead->is_string && range->has_lower && range->has_upper &&
        k2_str_cmp(range->lower, range->upper) > 0)
        return true;
    for (int i = 0; i < p->value_count; i++) {
        struct k2_partition_value value;
        if (!k2_transform_text(&lead->bound, p->values[i], &value))
            return true;
        if (lead->is_string ? text_in(value.text, range)
                            : number_in(value.number, value.number, K2_STR("int"), range))
            return true;
    }
    return false;
}

/* ---- manifests and entries ---- */
static void find_leads(struct scanner *s, int32_t spec_id) {
    const struct k2_partition_spec *spec = k2_metadata_spec(s->metadata, spec_id);
    const char *types[K2_PARTITION_MAX];
    s->lead_count = 0;
    if (!spec || !k2_spec_types(s->metadata, spec, types))
        return;
    for (int f = 0; f < spec->field_count; f++) {
        for (int w = 0; w < s->want_count; w++) {
            if (spec->fields[f].source_id != s->wants[w].field_id)
                continue;
            struct lead *lead = &s->leads[s->lead_count++];
            *lead = (struct lead){
                .want = &s->wants[w], .place = f, .is_string = strcmp(types[f], "string") == 0};
            lead->bound.transform =
                k2_transform_parse(spec->fields[f].transform, &lead->bound.width);
        }
    }
}

static bool manifest_may_hold(const struct scanner *s, const struct k2_manifest_file *row) {
    for (int i = 0; i < s->lead_count; i++) {
        const struct lead *lead = &s->leads[i];
        if (lead->place >= row->summary_count)
            continue;
        const struct k2_field_summary *summary = &row->summaries[lead->place];
        /* No bounds in a summary means that all values are null, or nothing at all. */
        struct range range = {summary->has_lower, summary->has_upper, summary->lower,
                              summary->upper};
        if (!lead_may_hold(lead, &range))
            return false;
    }
    return true;
}

static bool partition_may_hold(const struct scanner *s, const struct k2_manifest_entry *entry) {
    for (int i = 0; i < s->lead_count; i++) {
        const struct lead *lead = &s->leads[i];
        const struct k2_partition_value *value = &entry->file.partition[lead->place];
        if (entry->partition_unknown & (1u << lead->place))
            continue;
        if (value->is_null)
            return false; /* null matches no predicate */
        struct k2_str bytes =
            lead->is_string ? value->text : k2_str_make(&value->number, sizeof value->number);
        struct range range = {true, true, bytes, bytes};
        if (!lead_may_hold(lead, &range))
            return false;
    }
    return true;
}

static bool columns_may_hold(const struct scanner *s, const struct k2_data_file *file) {
    for (int w = 0; w < s->want_count; w++) {
        const struct want *want = &s->wants[w];
        for (int i = 0; i < file->stats_count; i++) {
            const struct k2_column_stats *stats = &file->stats[i];
            if (stats->field_id != want->field_id)
                continue;
            if (stats->null_count >= 0 && stats->null_count == file->record_count)
                return false;
            struct range range = {stats->has_bounds, stats->has_upper, k2_buf_view(&stats->lower),
                                  k2_buf_view(&stats->upper)};
            if (!column_may_hold(want, &range))
                return false;
        }
    }
    return true;
}

static bool add_file(struct scanner *s, const struct k2_manifest_entry *entry, struct k2_err *err) {
    struct k2_scan *scan = s->scan;
    if (!entry->is_parquet)
        return k2_err_set(err, K2_INVALID, "table %s: %.*s is no Parquet file; K2 reads no other",
                          s->metadata->identifier.ptr, K2_FMT(entry->file.path));
    if (scan->file_count == s->file_cap) {
        s->file_cap = s->file_cap ? s->file_cap * 2 : 64;
        struct k2_data_file *more = k2_arena_new(&scan->arena, struct k2_data_file, s->file_cap);
        if (scan->file_count)
            memcpy(more, scan->files, sizeof *more * (size_t)scan->file_count);
        scan->files = more;
    }
    scan->files[scan->file_count++] = entry->file;
    return true;
}

static void hold(struct scanner *s, struct k2_manifest *manifest) {
    struct k2_scan *scan = s->scan;
    if (scan->held_count == s->held_cap) {
        s->held_cap = s->held_cap ? s->held_cap * 2 : 64;
        struct k2_manifest **more = k2_arena_new(&scan->arena, struct k2_manifest *, s->held_cap);
        if (scan->held_count)
            memcpy(more, scan->held, sizeof *more * (size_t)scan->held_count);
        scan->held = more;
    }
    scan->held[scan->held_count++] = manifest;
}

static bool scan_manifest(struct scanner *s, const struct k2_manifest_file *row,
                          struct k2_err *err) {
    bool is_counted = row->added_files >= 0 && row->existing_files >= 0 && row->added_rows >= 0 &&
                      row->existing_rows >= 0;
    if (is_counted) {
        s->scan->total_files += row->added_files + row->existing_files;
        s->scan->total_rows += row->added_rows + row->existing_rows;
    }
    find_leads(s, row->spec_id);
    if (is_counted && (row->added_files + row->existing_files == 0 || !manifest_may_hold(s, row)))
        return true;
    struct k2_manifest *manifest = k2_lake_manifest(s->lake, s->metadata, row, err);
    if (!manifest)
        return false;
    hold(s, manifest);
    for (int i = 0; i < manifest->count; i++) {
        const struct k2_manifest_entry *entry = &manifest->entries[i];
        if (entry->status == K2_ENTRY_DELETED)
            continue;
        if (!is_counted) {
            s->scan->total_files++;
            s->scan->total_rows += entry->file.record_count;
        }
        if (partition_may_hold(s, entry) && columns_may_hold(s, &entry->file))
            K2_TRY(add_file(s, entry, err));
    }
    return true;
}

static bool scan_list(struct scanner *s, const struct k2_snapshot *snapshot, struct k2_err *err) {
    struct k2_manifest_list *list = k2_lake_list(s->lake, snapshot, err);
    bool ok = list != NULL;
    for (int i = 0; ok && i < list->count; i++) {
        const struct k2_manifest_file *row = &list->files[i];
        if (row->content == 0)
            ok = scan_manifest(s, row, err);
        else if (row->added_files != 0 || row->existing_files != 0)
            ok = k2_err_set(err, K2_INVALID,
                            "snapshot %lld has row-level deletes, written by another engine; "
                            "rewrite the table's data files there",
                            (long long)snapshot->snapshot_id);
    }
    k2_manifest_list_unref(list);
    return ok;
}

static bool find_wants(struct scanner *s, const struct k2_schema *schema,
                       const struct k2_predicate *predicates, int count, struct k2_err *err) {
    struct k2_field_ids ids[K2_COLUMNS_MAX];
    const struct k2_table_schema *current = k2_metadata_current_schema(s->metadata);
    K2_TRY(k2_metadata_field_ids(s->metadata, schema, ids, err));
    for (int i = 0; i < count && s->want_count < WANTS_MAX; i++) {
        int column = predicates[i].column;
        K2_ASSERT(column >= 0 && column < schema->column_count);
        const struct k2_field *field = k2_schema_field(current, ids[column].id);
        s->wants[s->want_count++] = (struct want){.predicate = &predicates[i],
                                                  .field_id = ids[column].id,
                                                  .type = schema->columns[column].type,
                                                  .iceberg_type = field->type,
                                                  .is_text = k2_bound_is_text(field->type)};
    }
    return true;
}

bool k2_table_scan(struct k2_lake *lake, const struct k2_metadata *metadata,
                   const struct k2_schema *schema, int64_t snapshot_id,
                   const struct k2_predicate *predicates, int predicate_count,
                   struct k2_scan *ret_scan, struct k2_err *err) {
    *ret_scan = (struct k2_scan){0};
    if (!snapshot_id)
        snapshot_id = metadata->current_snapshot_id;
    if (!snapshot_id)
        return true;
    const struct k2_snapshot *snapshot = k2_metadata_snapshot(metadata, snapshot_id);
    if (!snapshot)
        return k2_err_set(err, K2_NOT_FOUND, "table %s has no snapshot %lld (it may have expired)",
                          metadata->identifier.ptr, (long long)snapshot_id);
    struct scanner *s = k2_new(struct scanner);
    s->lake = lake;
    s->metadata = metadata;
    s->scan = ret_scan;
    bool ok =
        find_wants(s, schema, predicates, predicate_count, err) && scan_list(s, snapshot, err);
    k2_free(s);
    if (!ok) {
        k2_scan_done(ret_scan);
        return k2_err_wrap(err, "scan table %s", metadata->identifier.ptr);
    }
    return true;
}

/* A list has the newest manifests first. */
static void read_manifests(struct k2_lake *lake, const struct k2_metadata *metadata,
                           const atomic_bool *is_enough) {
    struct k2_err ignored = {0};
    const struct k2_snapshot *snapshot =
        k2_metadata_snapshot(metadata, metadata->current_snapshot_id);
    struct k2_manifest_list *list = snapshot ? k2_lake_list(lake, snapshot, &ignored) : NULL;
    bool ok = list != NULL;
    for (int i = 0; ok && i < list->count && !atomic_load(is_enough); i++) {
        const struct k2_manifest_file *row = &list->files[i];
        struct k2_manifest *manifest =
            row->content == 0 ? k2_lake_manifest(lake, metadata, row, &ignored) : NULL;
        ok = manifest || row->content != 0;
        k2_manifest_unref(manifest);
    }
    k2_manifest_list_unref(list);
}

void k2_lake_read_ahead(struct k2_lake *lake, const char *const *tables, int count,
                        const atomic_bool *is_enough) {
    struct k2_err ignored = {0};
    for (int i = 0; i < count && !atomic_load(is_enough); i++) {
        const struct k2_metadata *metadata = NULL;
        if (k2_lake_load(lake, &tables[i], 1, &metadata, &ignored) && metadata)
            read_manifests(lake, metadata, is_enough);
        k2_metadata_unref(metadata);
    }
}

void k2_scan_done(struct k2_scan *scan) {
    for (int i = 0; i < scan->held_count; i++)
        k2_manifest_unref(scan->held[i]);
    k2_arena_done(&scan->arena);
    *scan = (struct k2_scan){0};
}
