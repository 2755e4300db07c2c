/* manifest_read.c -- manifests and manifest lists of any writer, field by field id. */
#include <strings.h>

#include "base/alloc.h"
#include "lake/table/avro_container.h"
#include "lake/table/avro_wire.h"
#include "lake/table/manifest.h"

enum {
    SUMMARIES_MAX = 1024, /* fields of a partition spec */
    COLUMNS_MAX = 8192,   /* columns one entry has statistics of */
};

/* What all parts of a parse share. */
struct reader {
    struct k2_container container;
    struct k2_wire_schema schema;
    struct k2_arena *arena;
    struct k2_wire wire;
};

static const struct k2_wire_node *node_at(const struct reader *r, const struct k2_wire_node *record,
                                          int index) {
    return &r->schema.nodes[record->first + index];
}

static bool open_file(struct reader *r, struct k2_str bytes, struct k2_arena *arena,
                      struct k2_err *err) {
    *r = (struct reader){.arena = arena};
    K2_TRY(k2_container_open(bytes, &r->container, err));
    K2_TRY(
        k2_wire_compile(k2_container_find(&r->container, "avro.schema"), arena, &r->schema, err));
    return r->schema.nodes[0].kind == K2_WIRE_RECORD ||
           k2_err_set(err, K2_CORRUPT, "Avro file whose root is no record");
}

/* Room for one more item in a list that doubles. What a file claims to hold is not believed: memory
 * grows with what was truly read. */
static void *grown(struct k2_arena *arena, void *items, size_t size, int count) {
    if (count != 0 && (count < 16 || (count & (count - 1)) != 0))
        return items;
    void *more = k2_arena_alloc(arena, size * (size_t)(count < 16 ? 16 : count * 2));
    if (count)
        memcpy(more, items, size * (size_t)count);
    return more;
}

/* ---- manifest lists ---- */
static void read_summary(struct reader *r, const struct k2_wire_node *record,
                         struct k2_field_summary *summary) {
    for (int i = 0; i < record->count; i++) {
        const struct k2_wire_node *node = node_at(r, record, i);
        switch (node->field_id) {
        case 509: k2_wire_get_boolean(&r->schema, node, &r->wire, &summary->contains_null); break;
        case 518:
            summary->has_nan =
                k2_wire_get_boolean(&r->schema, node, &r->wire, &summary->contains_nan);
            break;
        case 510:
            summary->has_lower = k2_wire_get_bytes(&r->schema, node, &r->wire, &summary->lower);
            break;
        case 511:
            summary->has_upper = k2_wire_get_bytes(&r->schema, node, &r->wire, &summary->upper);
            break;
        default: k2_wire_skip(&r->schema, node, &r->wire); break;
        }
    }
}

static void read_summaries(struct reader *r, const struct k2_wire_node *node,
                           struct k2_manifest_file *file) {
    node = k2_wire_value(&r->schema, node, &r->wire);
    if (node->kind == K2_WIRE_NULL)
        return;
    const struct k2_wire_node *item = node->kind == K2_WIRE_ARRAY ? node_at(r, node, 0) : NULL;
    if (!item || item->kind != K2_WIRE_RECORD) {
        r->wire.is_bad = true;
        return;
    }
    for (;;) {
        int64_t count = k2_wire_count(&r->wire);
        if (count > SUMMARIES_MAX - file->summary_count)
            r->wire.is_bad = true;
        if (r->wire.is_bad || count == 0)
            return;
        struct k2_field_summary *all =
            k2_arena_new(r->arena, struct k2_field_summary, file->summary_count + count);
        if (file->summary_count)
            memcpy(all, file->summaries, sizeof *all * (size_t)file->summary_count);
        file->summaries = all;
        for (int64_t i = 0; i < count && !r->wire.is_bad; i++)
            read_summary(r, item, &all[file->summary_count++]);
    }
}

static int32_t as_i32(int64_t value) {
    return value < INT32_MIN || value > INT32_MAX ? -1 : (int32_t)value;
}

static void read_list_row(struct reader *r, struct k2_manifest_file *file) {
    const struct k2_wire_node *root = &r->schema.nodes[0];
    *file = (struct k2_manifest_file){.length = -1,
                                      .added_files = -1,
                                      .existing_files = -1,
                                      .deleted_files = -1,
                                      .added_rows = -1,
                                      .existing_rows = -1,
                                      .deleted_rows = -1};
    int64_t spec_id = 0, content = 0;
    for (int i = 0; i < root->count; i++) {
        const struct k2_wire_node *node = node_at(r, root, i);
        int64_t *number = NULL;
        switch (node->field_id) {
        case 500: k2_wire_get_bytes(&r->schema, node, &r->wire, &file->path); continue;
        case 519: k2_wire_get_bytes(&r->schema, node, &r->wire, &file->key_metadata); continue;
        case 507: read_summaries(r, node, file); continue;
        case 501: number = &file->length; break;
        case 502: number = &spec_id; break;
        case 517: number = &content; break;
        case 515: number = &file->sequence_number; break;
        case 516: number = &file->min_sequence_number; break;
        case 503: number = &file->added_snapshot_id; break;
        case 504: number = &file->added_files; break;
        case 505: number = &file->existing_files; break;
        case 506: number = &file->deleted_files; break;
        case 512: number = &file->added_rows; break;
        case 513: number = &file->existing_rows; break;
        case 514: number = &file->deleted_rows; break;
        default: break;
        }
        if (number)
            k2_wire_get_long(&r->schema, node, &r->wire, number);
        else
            k2_wire_skip(&r->schema, node, &r->wire);
    }
    file->spec_id = as_i32(spec_id);
    file->content = as_i32(content);
}

struct k2_manifest_list *k2_manifest_list_new(void) {
    struct k2_manifest_list *list = k2_new(struct k2_manifest_list);
    atomic_init(&list->refs, 1);
    return list;
}

static bool parse_list(struct k2_manifest_list *list, struct k2_str bytes, struct k2_err *err) {
    struct reader r;
    K2_TRY(open_file(&r, bytes, &list->arena, err));
    for (;;) {
        int64_t count;
        struct k2_str records;
        K2_TRY(k2_container_next(&r.container, r.arena, &count, &records, err));
        if (count == 0)
            return true;
        if (count > INT32_MAX - list->count)
            return k2_err_set(err, K2_LIMIT, "too many manifests in one list");
        r.wire = k2_wire_of(records);
        for (int64_t i = 0; i < count && !r.wire.is_bad; i++) {
            list->files = grown(r.arena, list->files, sizeof *list->files, list->count);
            struct k2_manifest_file *file = &list->files[list->count++];
            read_list_row(&r, file);
            r.wire.is_bad |= !file->path.len || file->length < 0;
        }
        if (r.wire.is_bad || r.wire.at != r.wire.end)
            return k2_err_set(err, K2_CORRUPT, "manifest list with a broken row %d", list->count);
    }
}

struct k2_manifest_list *k2_manifest_list_parse(struct k2_str bytes, struct k2_err *err) {
    struct k2_manifest_list *list = k2_manifest_list_new();
    if (parse_list(list, bytes, err))
        return list;
    k2_manifest_list_unref(list);
    return NULL;
}

struct k2_manifest_list *k2_manifest_list_ref(struct k2_manifest_list *list) {
    if (list)
        atomic_fetch_add_explicit(&list->refs, 1, memory_order_relaxed);
    return list;
}

void k2_manifest_list_unref(struct k2_manifest_list *list) {
    if (!list || atomic_fetch_sub_explicit(&list->refs, 1, memory_order_acq_rel) != 1)
        return;
    k2_arena_done(&list->arena);
    k2_free(list);
}

struct k2_manifest_file k2_manifest_file_copy(struct k2_arena *arena,
                                              const struct k2_manifest_file *file) {
    struct k2_manifest_file copy = *file;
    copy.path = k2_arena_str(arena, file->path);
    if (file->key_metadata.ptr)
        copy.key_metadata = k2_arena_str(arena, file->key_metadata);
    copy.summaries = k2_arena_new(arena, struct k2_field_summary, file->summary_count);
    for (int i = 0; i < file->summary_count; i++) {
        copy.summaries[i] = file->summaries[i];
        copy.summaries[i].lower = k2_arena_str(arena, file->summaries[i].lower);
        copy.summaries[i].upper = k2_arena_str(arena, file->summaries[i].upper);
    }
    return copy;
}

/* ---- manifests ---- */
/* What is known of one entry while it is read; reused for the next. */
struct gathered {
    struct k2_column_stats *stats;
    int count, cap;
    int64_t *splits;
    int split_count, split_cap;
};

static struct k2_column_stats *stats_of(struct gathered *g, int64_t field_id, int hint) {
    if (hint < g->count && g->stats[hint].field_id == field_id)
        return &g->stats[hint];
    for (int i = 0; i < g->count; i++)
        if (g->stats[i].field_id == field_id)
            return &g->stats[i];
    if (g->count == g->cap) {
        g->cap = g->cap ? g->cap * 2 : 32;
        g->stats = k2_realloc(g->stats, sizeof *g->stats * (size_t)g->cap);
    }
    g->stats[g->count] = (struct k2_column_stats){
        .field_id = (int32_t)field_id, .bytes = -1, .value_count = -1, .null_count = -1};
    return &g->stats[g->count++];
}

static void put_stat(struct k2_column_stats *stats, int map_id, int64_t number,
                     struct k2_str bytes) {
    struct k2_buf bound = {(char *)bytes.ptr, bytes.len, 0};
    switch (map_id) {
    case 108: stats->bytes = number; break;
    case 109: stats->value_count = number; break;
    case 110: stats->null_count = number; break;
    case 125:
        stats->has_bounds = true;
        stats->lower = bound;
        break;
    case 128:
        stats->has_upper = true;
        stats->upper = bound;
        break;
    default: break;
    }
}

/* A map keyed by field id: an array of {key, value} records, whose ids the spec fixes per map. */
static void read_map(struct reader *r, const struct k2_wire_node *node, int map_id,
                     struct gathered *g) {
    bool is_bytes = map_id == 125 || map_id == 128;
    node = k2_wire_value(&r->schema, node, &r->wire);
    if (node->kind == K2_WIRE_NULL)
        return;
    const struct k2_wire_node *item = node->kind == K2_WIRE_ARRAY ? node_at(r, node, 0) : NULL;
    if (!item || item->kind != K2_WIRE_RECORD || item->count != 2) {
        r->wire.is_bad = true;
        return;
    }
    const struct k2_wire_node *key_node = node_at(r, item, 0), *value_node = node_at(r, item, 1);
    int place = 0;
    for (;;) {
        int64_t count = k2_wire_count(&r->wire);
        for (int64_t i = 0; i < count && !r->wire.is_bad; i++) {
            int64_t key = -1, number = 0;
            struct k2_str bytes = {0};
            bool has_key = k2_wire_get_long(&r->schema, key_node, &r->wire, &key);
            bool has_value = is_bytes ? k2_wire_get_bytes(&r->schema, value_node, &r->wire, &bytes)
                                      : k2_wire_get_long(&r->schema, value_node, &r->wire, &number);
            r->wire.is_bad |= g->count == COLUMNS_MAX;
            if (has_key && has_value && key >= 0 && key <= INT32_MAX)
                put_stat(stats_of(g, key, place), map_id, number, bytes);
            place++;
        }
        if (r->wire.is_bad || count == 0)
            return;
    }
}

static void read_splits(struct reader *r, const struct k2_wire_node *node, struct gathered *g) {
    node = k2_wire_value(&r->schema, node, &r->wire);
    if (node->kind == K2_WIRE_NULL)
        return;
    if (node->kind != K2_WIRE_ARRAY) {
        r->wire.is_bad = true;
        return;
    }
    for (;;) {
        int64_t count = k2_wire_count(&r->wire);
        for (int64_t i = 0; i < count && !r->wire.is_bad; i++) {
            if (g->split_count == g->split_cap) {
                g->split_cap = g->split_cap ? g->split_cap * 2 : 16;
                g->splits = k2_realloc(g->splits, sizeof *g->splits * (size_t)g->split_cap);
            }
            int64_t offset = 0;
            k2_wire_get_long(&r->schema, node_at(r, node, 0), &r->wire, &offset);
            g->splits[g->split_count++] = offset;
        }
        if (r->wire.is_bad || count == 0)
            return;
    }
}

static void read_partition_value(struct reader *r, const struct k2_wire_node *node,
                                 struct k2_partition_value *value, bool *ret_known) {
    *ret_known = true;
    struct k2_wire ahead = r->wire;
    const struct k2_wire_node *type = k2_wire_value(&r->schema, node, &ahead);
    if (type->kind == K2_WIRE_NULL) {
        value->is_null = true;
        r->wire = ahead;
    } else if (type->kind == K2_WIRE_LONG) {
        int64_t number = 0;
        k2_wire_get_long(&r->schema, node, &r->wire, &number);
        value->number = (int32_t)number;
        *ret_known = number == value->number;
    } else if (type->kind == K2_WIRE_BYTES && type->is_string) {
        k2_wire_get_bytes(&r->schema, node, &r->wire, &value->text);
    } else {
        k2_wire_skip(&r->schema, node, &r->wire);
        *ret_known = false;
    }
}

static void read_partition(struct reader *r, const struct k2_wire_node *node,
                           const struct k2_partition_spec *spec, struct k2_manifest_entry *entry) {
    node = k2_wire_value(&r->schema, node, &r->wire);
    entry->partition_unknown = ~0u;
    if (node->kind != K2_WIRE_RECORD) {
        r->wire.is_bad |= node->kind != K2_WIRE_NULL;
        return;
    }
    for (int i = 0; i < node->count; i++) {
        const struct k2_wire_node *part = node_at(r, node, i);
        int place = -1;
        for (int f = 0; spec && f < spec->field_count && f < K2_PARTITION_MAX; f++)
            if (spec->fields[f].field_id == part->field_id)
                place = f;
        bool is_known = false;
        if (place < 0)
            k2_wire_skip(&r->schema, part, &r->wire);
        else
            read_partition_value(r, part, &entry->file.partition[place], &is_known);
        if (is_known)
            entry->partition_unknown &= ~(1u << place);
    }
    if (spec && spec->field_count == 0)
        entry->partition_unknown = 0;
}

static bool is_parquet(struct k2_str format) {
    return format.len == 7 && strncasecmp(format.ptr, "parquet", 7) == 0;
}

static void read_data_file(struct reader *r, const struct k2_wire_node *node,
                           const struct k2_partition_spec *spec, struct k2_manifest_entry *entry,
                           struct gathered *g) {
    struct k2_data_file *file = &entry->file;
    int64_t content = 0, sort_order = 0;
    struct k2_str format = {0}, key = {0};
    node = k2_wire_value(&r->schema, node, &r->wire);
    if (node->kind != K2_WIRE_RECORD) {
        r->wire.is_bad = true;
        return;
    }
    for (int i = 0; i < node->count && !r->wire.is_bad; i++) {
        const struct k2_wire_node *part = node_at(r, node, i);
        switch (part->field_id) {
        case 134: k2_wire_get_long(&r->schema, part, &r->wire, &content); break;
        case 100: k2_wire_get_bytes(&r->schema, part, &r->wire, &file->path); break;
        case 101: k2_wire_get_bytes(&r->schema, part, &r->wire, &format); break;
        case 102: read_partition(r, part, spec, entry); break;
        case 103: k2_wire_get_long(&r->schema, part, &r->wire, &file->record_count); break;
        case 104: k2_wire_get_long(&r->schema, part, &r->wire, &file->file_size); break;
        case 108:
        case 109:
        case 110:
        case 125:
        case 128: read_map(r, part, part->field_id, g); break;
        case 131: entry->is_strange |= k2_wire_get_bytes(&r->schema, part, &r->wire, &key); break;
        case 132: read_splits(r, part, g); break;
        case 140: k2_wire_get_long(&r->schema, part, &r->wire, &sort_order); break;
        default: k2_wire_skip(&r->schema, part, &r->wire); break;
        }
    }
    entry->is_parquet = is_parquet(format);
    entry->content = content >= 0 && content <= 2 ? (enum k2_file_content)content : 0;
    file->sort_order_id = as_i32(sort_order);
    if (!file->path.len || file->record_count < 0 || file->file_size < 0 || content < 0 ||
        content > 2)
        r->wire.is_bad = true;
}

static void keep_gathered(struct reader *r, struct gathered *g, struct k2_data_file *file) {
    file->stats_count = g->count;
    file->stats = k2_arena_new(r->arena, struct k2_column_stats, g->count);
    if (g->count)
        memcpy(file->stats, g->stats, sizeof *g->stats * (size_t)g->count);
    file->split_count = g->split_count;
    file->split_offsets = k2_arena_new(r->arena, int64_t, g->split_count);
    if (g->split_count)
        memcpy(file->split_offsets, g->splits, sizeof *g->splits * (size_t)g->split_count);
    g->count = g->split_count = 0;
}

static void read_entry(struct reader *r, const struct k2_manifest_file *row,
                       const struct k2_partition_spec *spec, struct k2_manifest_entry *entry,
                       struct gathered *g) {
    const struct k2_wire_node *root = &r->schema.nodes[0];
    struct k2_data_file *file = &entry->file;
    int64_t status = -1;
    *entry = (struct k2_manifest_entry){.file = {.spec_id = row->spec_id,
                                                 .record_count = -1,
                                                 .file_size = -1,
                                                 .snapshot_id = row->added_snapshot_id}};
    for (int i = 0; i < root->count && !r->wire.is_bad; i++) {
        const struct k2_wire_node *node = node_at(r, root, i);
        switch (node->field_id) {
        case 0: k2_wire_get_long(&r->schema, node, &r->wire, &status); break;
        case 1:
            entry->has_snapshot = k2_wire_get_long(&r->schema, node, &r->wire, &file->snapshot_id);
            break;
        case 3:
            entry->has_sequence =
                k2_wire_get_long(&r->schema, node, &r->wire, &file->sequence_number);
            break;
        case 4:
            entry->has_file_sequence =
                k2_wire_get_long(&r->schema, node, &r->wire, &file->file_sequence_number);
            break;
        case 2: read_data_file(r, node, spec, entry, g); break;
        default: k2_wire_skip(&r->schema, node, &r->wire); break;
        }
    }
    if (status < 0 || status > 2)
        r->wire.is_bad = true;
    entry->status = (enum k2_entry_status)status;
    if (!entry->has_sequence)
        file->sequence_number = row->sequence_number;
    if (!entry->has_file_sequence)
        file->file_sequence_number = row->sequence_number;
    keep_gathered(r, g, file);
}

static bool parse_manifest(struct k2_manifest *manifest, struct k2_str bytes,
                           const struct k2_manifest_file *row, const struct k2_partition_spec *spec,
                           struct gathered *g, struct k2_err *err) {
    struct reader r;
    K2_TRY(open_file(&r, bytes, &manifest->arena, err));
    manifest->schema = k2_arena_str(r.arena, k2_container_find(&r.container, "schema"));
    for (;;) {
        int64_t count;
        struct k2_str records;
        K2_TRY(k2_container_next(&r.container, r.arena, &count, &records, err));
        if (count == 0)
            return true;
        if (count > INT32_MAX - manifest->count)
            return k2_err_set(err, K2_LIMIT, "too many entries in one manifest");
        r.wire = k2_wire_of(records);
        for (int64_t i = 0; i < count && !r.wire.is_bad; i++) {
            manifest->entries =
                grown(r.arena, manifest->entries, sizeof *manifest->entries, manifest->count);
            read_entry(&r, row, spec, &manifest->entries[manifest->count++], g);
        }
        if (r.wire.is_bad || r.wire.at != r.wire.end)
            return k2_err_set(err, K2_CORRUPT, "manifest with a broken entry %d", manifest->count);
    }
}

struct k2_manifest *k2_manifest_parse(struct k2_str bytes, const struct k2_manifest_file *row,
                                      const struct k2_partition_spec *spec, struct k2_err *err) {
    struct k2_manifest *manifest = k2_new(struct k2_manifest);
    atomic_init(&manifest->refs, 1);
    struct gathered g = {0};
    bool ok = parse_manifest(manifest, bytes, row, spec, &g, err);
    k2_free(g.stats);
    k2_free(g.splits);
    if (ok)
        return manifest;
    k2_manifest_unref(manifest);
    return NULL;
}

struct k2_manifest *k2_manifest_ref(struct k2_manifest *manifest) {
    if (manifest)
        atomic_fetch_add_explicit(&manifest->refs, 1, memory_order_relaxed);
    return manifest;
}

void k2_manifest_unref(struct k2_manifest *manifest) {
    if (!manifest || atomic_fetch_sub_explicit(&manifest->refs, 1, memory_order_acq_rel) != 1)
        return;
    k2_arena_done(&manifest->arena);
    k2_free(manifest);
}
