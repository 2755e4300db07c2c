/* table_cmd.c -- k2 table list | show | snapshots | files | history: the lake, readable. */
#include <inttypes.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/date.h"
#include "base/json.h"
#include "cli/cli.h"

const struct k2_schema *k2_table_typed(const char *typed, struct k2_err *err) {
    const struct k2_schema *schema = k2_schema_by_table(k2_str_of(typed));
    if (schema)
        return schema;
    struct k2_buf known = {0};
    const char *nearest = NULL;
    int best = 3;
    for (int k = 0; k < K2_KIND_COUNT; k++) {
        const char *name = k2_schema_of((enum k2_kind)k)->table_name;
        if (!name)
            continue;
        k2_buf_printf(&known, "%s%s", known.len ? ", " : "", name);
        int distance = k2_str_distance(k2_str_of(typed), k2_str_of(name));
        if (distance < best)
            best = distance, nearest = name;
    }
    if (nearest)
        k2_err_set(err, K2_USAGE, "there is no table \"%s\"; did you mean %s?", typed, nearest);
    else
        k2_err_set(err, K2_USAGE, "there is no table \"%s\"; K2 knows %s", typed,
                   k2_buf_cstr(&known));
    k2_buf_done(&known);
    return NULL;
}

static const struct k2_metadata *load(struct k2_home *home, const char *typed,
                                      const struct k2_schema **ret_schema, struct k2_err *err) {
    char name[128];
    const struct k2_schema *schema = k2_table_typed(typed, err);
    const char *table = name;
    const struct k2_metadata *metadata = NULL;
    if (!schema)
        return NULL;
    snprintf(name, sizeof name, "%s.%s", schema->table_namespace, schema->table_name);
    if (!k2_home_open(home, K2_HOME_LAKE, err) ||
        !k2_lake_load(home->lake, &table, 1, &metadata, err))
        return NULL;
    if (!metadata)
        k2_err_set(err, K2_NOT_FOUND, "table %s has not been written yet", name);
    *ret_schema = schema;
    return metadata;
}

struct totals {
    int64_t rows, files, bytes;
};

static bool count_files(struct k2_home *home, const struct k2_metadata *metadata,
                        const struct k2_schema *schema, struct totals *ret, struct k2_err *err) {
    struct k2_scan scan = {0};
    *ret = (struct totals){0};
    if (!metadata->current_snapshot_id)
        return true;
    K2_TRY(k2_table_scan(home->lake, metadata, schema, 0, NULL, 0, &scan, err));
    for (int i = 0; i < scan.file_count; i++) {
        ret->rows += scan.files[i].record_count;
        ret->bytes += scan.files[i].file_size;
        ret->files++;
    }
    k2_scan_done(&scan);
    return true;
}

struct listing {
    struct k2_home *home;
    struct k2_grid *grid;
    struct k2_err *err;
    bool is_ok;
};

static bool list_table(void *self, const char *table, const char *location) {
    struct listing *l = self;
    (void)location;
    const struct k2_schema *schema = k2_schema_by_table(k2_str_of(table));
    const struct k2_metadata *metadata = NULL;
    struct totals totals = {0};
    l->is_ok = k2_lake_load(l->home->lake, &table, 1, &metadata, l->err);
    if (l->is_ok && metadata && schema)
        l->is_ok = count_files(l->home, metadata, schema, &totals, l->err);
    if (l->is_ok) {
        char when[40] = "";
        if (metadata)
            k2_us_to_iso(metadata->last_updated_ms * 1000, when);
        k2_grid_add(l->grid, "%s", table);
        k2_grid_add(l->grid, "%" PRId64, totals.rows);
        k2_grid_add(l->grid, "%" PRId64, totals.files);
        k2_grid_add(l->grid, "%" PRId64, totals.bytes);
        k2_grid_add(l->grid, "%d", metadata ? metadata->snapshot_count : 0);
        k2_grid_add(l->grid, "%s", when);
    }
    k2_metadata_unref(metadata);
    return l->is_ok;
}

int k2_cmd_table_list(struct k2_home *home, const struct k2_args *args, struct k2_err *err) {
    static const char *const names[] = {"table", "rows", "files", "bytes", "snapshots", "updated"};
    static const bool numbers[] = {false, true, true, true, true, false};
    struct k2_grid grid = {K2_COUNT(names), names, numbers, {0}, 0};
    if (!k2_home_open(home, K2_HOME_LAKE, err))
        return -1;
    struct listing l = {home, &grid, err, true};
    bool ok = k2_catalog_list(k2_lake_catalog(home->lake), list_table, &l, err) && l.is_ok;
    return ok && k2_grid_print(&grid, k2_arg(args, "format"), err) ? K2_EXIT_DONE : -1;
}

/* ---- show ---- */

static const struct k2_table_schema *current_schema(const struct k2_metadata *metadata) {
    for (int i = 0; i < metadata->schema_count; i++)
        if (metadata->schemas[i].schema_id == metadata->current_schema_id)
            return &metadata->schemas[i];
    return &metadata->schemas[0];
}

static void spec_text(const struct k2_metadata *metadata, struct k2_buf *out) {
    const struct k2_table_schema *schema = current_schema(metadata);
    for (int s = 0; s < metadata->spec_count; s++) {
        if (metadata->specs[s].spec_id != metadata->default_spec_id)
            continue;
        for (int f = 0; f < metadata->specs[s].field_count; f++) {
            const struct k2_partition_field *field = &metadata->specs[s].fields[f];
            struct k2_str column = K2_STR("?");
            for (int c = 0; c < schema->field_count; c++)
                if (schema->fields[c].id == field->source_id)
                    column = schema->fields[c].name;
            k2_buf_text(out, f ? ", " : "");
            if (k2_str_is(field->transform, "identity"))
                k2_buf_str(out, column);
            else
                k2_buf_printf(out, "%.*s(%.*s)", K2_FMT(field->transform), K2_FMT(column));
        }
    }
    if (!out->len)
        k2_buf_text(out, "unpartitioned");
}

static bool add_offset(void *self, struct k2_str topic, int log_partition,
                       const struct k2_position *position) {
    struct k2_buf *out = self;
    k2_buf_text(out, out->len && out->ptr[out->len - 1] != '{' ? "," : "");
    k2_buf_printf(out, "\"%.*s/%d\":%" PRId64, K2_FMT(topic), log_partition, position->next);
    return true;
}

static bool show_json(const struct k2_metadata *m, const struct totals *totals,
                      struct k2_err *err) {
    struct k2_buf out = {0}, spec = {0}, offsets = {0};
    const struct k2_table_schema *schema = current_schema(m);
    spec_text(m, &spec);
    k2_buf_byte(&offsets, '{');
    bool ok = k2_position_each(m, add_offset, &offsets, err);
    k2_buf_byte(&out, '{');
    k2_json_key_str(&out, "identifier", m->identifier);
    k2_json_key_str(&out, "location", m->location);
    k2_json_key_str(&out, "metadata_location", m->metadata_location);
    k2_json_key_int(&out, "current_snapshot_id", m->current_snapshot_id);
    k2_json_key(&out, "schema");
    k2_buf_byte(&out, '[');
    for (int i = 0; i < schema->field_count; i++) {
        const struct k2_field *f = &schema->fields[i];
        k2_buf_text(&out, i ? ",{" : "{");
        k2_json_key_int(&out, "id", f->id);
        k2_json_key_str(&out, "name", f->name);
        k2_json_key_str(&out, "type", f->type);
        k2_json_key_bool(&out, "required", f->is_required);
        k2_buf_byte(&out, '}');
    }
    k2_buf_byte(&out, ']');
    k2_json_key_str(&out, "spec", k2_buf_view(&spec));
    k2_json_key_int(&out, "rows", totals->rows);
    k2_json_key_int(&out, "files", totals->files);
    k2_json_key_int(&out, "bytes", totals->bytes);
    k2_json_key(&out, "offsets");
    k2_buf_str(&out, k2_buf_view(&offsets));
    k2_buf_text(&out, "}}\n");
    if (ok)
        k2_out(k2_buf_view(&out));
    k2_buf_done(&out);
    k2_buf_done(&spec);
    k2_buf_done(&offsets);
    return ok;
}

static bool print_offset(void *self, struct k2_str topic, int log_partition,
                         const struct k2_position *position) {
    (void)self;
    k2_out_printf("  %.*s/%d  next %" PRId64 "\n", K2_FMT(topic), log_partition, position->next);
    return true;
}

static bool show_text(const struct k2_metadata *m, const struct totals *totals,
                      struct k2_err *err) {
    struct k2_buf spec = {0};
    const struct k2_table_schema *schema = current_schema(m);
    spec_text(m, &spec);
    k2_out_printf("%.*s\n", K2_FMT(m->identifier));
    k2_out_printf("location   %.*s\n", K2_FMT(m->location));
    k2_out_printf("metadata   %.*s\n", K2_FMT(m->metadata_location));
    k2_out_printf("snapshot   %" PRId64 "\n", m->current_snapshot_id);
    k2_out_printf("partition  %s\n", k2_buf_cstr(&spec));
    k2_out_printf("rows       %" PRId64 " in %" PRId64 " files, %" PRId64 " bytes\n\ncolumns\n",
                  totals->rows, totals->files, totals->bytes);
    for (int i = 0; i < schema->field_count; i++)
        k2_out_printf("  %3d  %-20.*s %.*s%s\n", schema->fields[i].id,
                      K2_FMT(schema->fields[i].name), K2_FMT(schema->fields[i].type),
                      schema->fields[i].is_required ? "" : " (null)");
    k2_out_printf("\nlog positions\n");
    k2_buf_done(&spec);
    K2_TRY(k2_position_each(m, print_offset, NULL, err));
    k2_out_printf("\nlogs\n");
    for (int i = 0; i < m->property_count; i++)
        if (k2_str_starts(m->properties[i].key, "k2.log."))
            k2_out_printf("  %s  %.*s\n", m->properties[i].key.ptr + strlen("k2.log."),
                          K2_FMT(m->properties[i].value));
    return true;
}

int k2_cmd_table_show(struct k2_home *home, const struct k2_args *args, struct k2_err *err) {
    const struct k2_schema *schema;
    const struct k2_metadata *m = load(home, args->words[0], &schema, err);
    struct totals totals;
    const char *format = k2_arg(args, "format");
    bool ok = m && count_files(home, m, schema, &totals, err);
    if (ok && format && strcmp(format, "json") == 0)
        ok = show_json(m, &totals, err);
    else if (ok && (!format || strcmp(format, "table") == 0))
        ok = show_text(m, &totals, err);
    else if (ok)
        ok = k2_err_set(err, K2_USAGE, "--format %s: this command knows table and json", format);
    k2_metadata_unref(m);
    return ok ? K2_EXIT_DONE : -1;
}

/* ---- snapshots, files, history ---- */

static void add_summary(struct k2_grid *grid, const struct k2_snapshot *s, const char *key) {
    struct k2_str value = k2_snapshot_summary(s, key);
    if (!value.ptr)
        value = K2_STR("0");
    k2_grid_add(grid, "%.*s", K2_FMT(value));
}

int k2_cmd_table_snapshots(struct k2_home *home, const struct k2_args *args, struct k2_err *err) {
    static const char *const names[] = {"snapshot_id", "committed_at", "operation",
                                        "added_rows",  "added_files",  "total_rows",
                                        "duplicates",  "late",         "rejected"};
    static const bool numbers[] = {true, false, false, true, true, true, true, true, true};
    static const char *const keys[] = {"added-records", "added-data-files", "total-records",
                                       "k2.duplicates", "k2.late",          "k2.rejected"};
    const struct k2_schema *schema;
    const struct k2_metadata *m = load(home, args->words[0], &schema, err);
    struct k2_grid grid = {K2_COUNT(names), names, numbers, {0}, 0};
    for (int i = 0; m && i < m->snapshot_count; i++) {
        const struct k2_snapshot *s = &m->snapshots[i];
        char when[40];
        k2_us_to_iso(s->timestamp_ms * 1000, when);
        k2_grid_add(&grid, "%" PRId64, s->snapshot_id);
        k2_grid_add(&grid, "%s", when);
        struct k2_str operation = k2_snapshot_summary(s, "operation");
        k2_grid_add(&grid, "%.*s", K2_FMT(operation));
        for (size_t k = 0; k < K2_COUNT(keys); k++)
            add_summary(&grid, s, keys[k]);
    }
    bool ok = m && k2_grid_print(&grid, k2_arg(args, "format"), err);
    k2_metadata_unref(m);
    return ok ? K2_EXIT_DONE : -1;
}

int k2_cmd_table_files(struct k2_home *home, const struct k2_args *args, struct k2_err *err) {
    static const char *const names[] = {"path", "rows", "bytes", "snapshot_id", "sorted"};
    static const bool numbers[] = {false, true, true, true, false};
    const struct k2_schema *schema;
    const struct k2_metadata *m = load(home, args->words[0], &schema, err);
    struct k2_grid grid = {K2_COUNT(names), names, numbers, {0}, 0};
    struct k2_scan scan = {0};
    bool ok = m && (!m->current_snapshot_id ||
                    k2_table_scan(home->lake, m, schema, 0, NULL, 0, &scan, err));
    for (int i = 0; ok && i < scan.file_count; i++) {
        k2_grid_add(&grid, "%.*s", K2_FMT(scan.files[i].path));
        k2_grid_add(&grid, "%" PRId64, scan.files[i].record_count);
        k2_grid_add(&grid, "%" PRId64, scan.files[i].file_size);
        k2_grid_add(&grid, "%" PRId64, scan.files[i].snapshot_id);
        k2_grid_add(&grid, "%s", scan.files[i].sort_order_id ? "yes" : "no");
    }
    ok = ok && k2_grid_print(&grid, k2_arg(args, "format"), err);
    k2_scan_done(&scan);
    k2_metadata_unref(m);
    return ok ? K2_EXIT_DONE : -1;
}

int k2_cmd_table_history(struct k2_home *home, const struct k2_args *args, struct k2_err *err) {
    static const char *const names[] = {"made_current_at", "snapshot_id", "is_ancestor"};
    static const bool numbers[] = {false, true, false};
    const struct k2_schema *schema;
    const struct k2_metadata *m = load(home, args->words[0], &schema, err);
    struct k2_grid grid = {K2_COUNT(names), names, numbers, {0}, 0};
    for (int i = 0; m && i < m->log_count; i++) {
        char when[40];
        k2_us_to_iso(m->snapshot_log[i].timestamp_ms * 1000, when);
        bool is_ancestor = false;
        const struct k2_snapshot *s = k2_metadata_snapshot(m, m->current_snapshot_id);
        for (int steps = 0; s && !is_ancestor && steps <= m->snapshot_count; steps++) {
            is_ancestor = s->snapshot_id == m->snapshot_log[i].snapshot_id;
            s = s->parent_id ? k2_metadata_snapshot(m, s->parent_id) : NULL;
        }
        k2_grid_add(&grid, "%s", when);
        k2_grid_add(&grid, "%" PRId64, m->snapshot_log[i].snapshot_id);
        k2_grid_add(&grid, "%s", is_ancestor ? "yes" : "no");
    }
    bool ok = m && k2_grid_print(&grid, k2_arg(args, "format"), err);
    k2_metadata_unref(m);
    return ok ? K2_EXIT_DONE : -1;
}
