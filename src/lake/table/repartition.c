/* repartition.c -- another partition spec for the files to come. Specs that files were written by
 * stay, and so do the ids of their fields: one that comes again gets the id it had. */
#include "base/alloc.h"
#include "lake/table/table_impl.h"

enum { ATTEMPTS = 10 };

static bool is_same_field(const struct k2_partition_field *a, const struct k2_partition_field *b) {
    return a->source_id == b->source_id && k2_str_eq(a->transform, b->transform);
}

static bool is_same(const struct k2_partition_spec *a, const struct k2_partition_spec *b) {
    for (int i = 0; i < a->field_count && i < b->field_count; i++)
        if (!is_same_field(&a->fields[i], &b->fields[i]))
            return false;
    return a->field_count == b->field_count;
}

static const struct k2_partition_field *find_field(const struct k2_fixed *fixed,
                                                   const struct k2_partition_field *wanted) {
    for (int s = 0; s < fixed->spec_count; s++)
        for (int f = 0; f < fixed->specs[s].field_count; f++)
            if (is_same_field(&fixed->specs[s].fields[f], wanted))
                return &fixed->specs[s].fields[f];
    return NULL;
}

/* All specs of the table, spec among them, which is the default. */
static void put_respec(const struct k2_fixed *fixed, struct k2_partition_spec *spec,
                       struct k2_respec *ret, struct k2_buf *specs) {
    *ret = (struct k2_respec){.last_partition_id = fixed->last_partition_id};
    bool is_there = false;
    k2_buf_byte(specs, '[');
    for (int i = 0; i < fixed->spec_count; i++) {
        k2_buf_printf(specs, "%s{\"spec-id\":%d,\"fields\":%.*s}", i ? "," : "",
                      fixed->specs[i].spec_id, K2_FMT(fixed->spec_texts[i]));
        spec->spec_id = K2_MAX(spec->spec_id, fixed->specs[i].spec_id + 1);
        if (!is_there && is_same(&fixed->specs[i], spec)) {
            is_there = true;
            ret->default_spec_id = fixed->specs[i].spec_id;
        }
    }
    if (!is_there) {
        for (int i = 0; i < spec->field_count; i++) {
            const struct k2_partition_field *known = find_field(fixed, &spec->fields[i]);
            if (known)
                spec->fields[i] = *known;
            else
                spec->fields[i].field_id = ++ret->last_partition_id;
        }
        k2_buf_printf(specs, ",{\"spec-id\":%d,\"fields\":", spec->spec_id);
        k2_spec_put(spec, specs);
        k2_buf_byte(specs, '}');
        ret->default_spec_id = spec->spec_id;
    }
    k2_buf_byte(specs, ']');
    ret->specs = k2_buf_view(specs);
}

/* Writes the version with the spec and swaps it in. *ret_landed false: another was faster. */
static bool swap_in(struct k2_lake *lake, const struct k2_metadata *base,
                    struct k2_partition_spec *spec, struct k2_arena *arena, bool *ret_landed,
                    struct k2_err *err) {
    char uuid[37];
    struct k2_respec respec;
    struct k2_buf text = {0}, specs = {0}, path = {0};
    k2_lake_uuid(lake, uuid);
    const char *location = k2_metadata_next_location(base, uuid, arena);
    const char *table = base->identifier.ptr;
    struct k2_version_opts opts = {.location = location,
                                   .timestamp_ms =
                                       K2_MAX(k2_now_ms(lake->clock), base->last_updated_ms + 1),
                                   .previous_versions = lake->previous_versions};
    const struct k2_metadata *next = k2_metadata_version(base, &opts);
    put_respec(k2_metadata_impl_of(base)->fixed, spec, &respec, &specs);
    k2_metadata_write(next, &respec, &text);
    k2_metadata_unref(next);
    struct k2_swap swap = {table, base->metadata_location.ptr, location};
    struct k2_err ignored;
    bool ok = k2_lake_put(lake, k2_str_of(location), k2_buf_view(&text), err) &&
              k2_catalog_swap(lake->catalog, &swap, 1, ret_landed, err);
    /* Of no use to anyone; where it cannot be deleted gc takes it. */
    if (ok && !*ret_landed && k2_store_path(lake->store, k2_str_of(location), &path, &ignored))
        (void)!k2_store_delete(lake->store, k2_buf_cstr(&path), &ignored);
    if (ok && *ret_landed)
        k2_lake_hint(lake, &table, 1);
    k2_buf_done(&path);
    k2_buf_done(&specs);
    k2_buf_done(&text);
    return ok;
}

/* One attempt in the queue of committers; *ret_done once the table has the spec. */
static bool attempt(struct k2_lake *lake, const struct k2_schema *schema, const char *text,
                    const struct k2_metadata **metadata, bool *ret_done, struct k2_err *err) {
    struct k2_field_ids ids[K2_COLUMNS_MAX];
    struct k2_partition_spec spec;
    K2_AUTO(k2_arena_done) struct k2_arena arena = {0};
    const char *table = k2_arena_str(&arena, (*metadata)->identifier).ptr;
    const struct k2_metadata *now = NULL;
    K2_TRY(k2_lake_load(lake, &table, 1, &now, err));
    if (!now)
        return k2_err_set(err, K2_CONFLICT, "table %s was dropped", table);
    k2_metadata_unref(*metadata);
    *metadata = now;
    K2_TRY(k2_metadata_field_ids(now, schema, ids, err));
    K2_TRY(k2_spec_parse(schema, ids, text, &arena, &spec, err));
    *ret_done = is_same(k2_metadata_spec(now, now->default_spec_id), &spec);
    bool landed;
    return *ret_done || swap_in(lake, now, &spec, &arena, &landed, err);
}

bool k2_lake_repartition(struct k2_lake *lake, const struct k2_schema *schema, const char *text,
                         const struct k2_metadata **metadata, struct k2_err *err) {
    bool ok = true, is_done = false;
    K2_TRY(k2_catalog_queue(lake->catalog, err));
    for (int i = 0; ok && !is_done && i < ATTEMPTS; i++)
        ok = attempt(lake, schema, text, metadata, &is_done, err);
    k2_catalog_leave(lake->catalog);
    return ok && (is_done || k2_err_set(err, K2_UNAVAILABLE,
                                        "its partition spec could not be changed: others moved the "
                                        "table each time"));
}
