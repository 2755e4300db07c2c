/* verify_cmd.c -- k2 verify: the tables against the rules, a line for each broken one. */
#include <inttypes.h>
#include <stdio.h>

#include "base/alloc.h"
#include "cli/cli.h"

struct verifying {
    struct k2_home *home;
    const char *only; /* a table typed, or NULL */
    struct k2_verify_result result;
    struct k2_err *err;
    bool is_ok, is_found;
};

static void report(void *self, bool is_note, const char *table, const char *text) {
    (void)self;
    k2_out_printf("%s: %s%s\n", table, is_note ? "note: " : "", text);
}

static bool go_on(void *self, const char *topic, int log_partition, int64_t committed,
                  int64_t end) {
    (void)self, (void)topic, (void)log_partition, (void)committed, (void)end;
    return true;
}

/* Positions against the log: none past its end, none of another log. */
static void verify_log(struct verifying *v) {
    struct k2_err why = {0};
    if (k2_home_open(v->home, K2_HOME_LOG, &why) &&
        k2_pipeline_lag(v->home->lake, v->home->log, NULL, go_on, NULL, &why))
        return;
    bool is_broken = why.code == K2_CONFLICT;
    k2_out_printf("%slog: %s\n", is_broken ? "" : "note: ", why.msg);
    *(is_broken ? &v->result.broken : &v->result.notes) += 1;
}

static bool verify_table(void *self, const char *table, const char *location) {
    struct verifying *v = self;
    (void)location;
    const struct k2_schema *schema = k2_schema_by_table(k2_str_of(table));
    if (v->only && schema != k2_schema_by_table(k2_str_of(v->only)))
        return true;
    if (!schema) {
        report(v, true, table, "is not one of K2's tables; left alone");
        return true;
    }
    v->is_found = true;
    k2_progress("verify %s", table);
    const struct k2_metadata *metadata = NULL;
    v->is_ok = k2_lake_load(v->home->lake, &table, 1, &metadata, v->err);
    if (v->is_ok && metadata)
        v->is_ok = k2_table_verify(v->home->lake, metadata, schema, report, v, &v->result, v->err);
    k2_metadata_unref(metadata);
    return v->is_ok && !atomic_load(&k2_stop_asked);
}

int k2_cmd_verify(struct k2_home *home, const struct k2_args *args, struct k2_err *err) {
    struct verifying v = {.home = home, .err = err, .is_ok = true};
    v.only = args->count ? args->words[0] : NULL;
    if (v.only && !k2_schema_by_table(k2_str_of(v.only))) {
        k2_err_set(err, K2_USAGE, "there is no table \"%s\"", v.only);
        return -1;
    }
    if (!k2_home_open(home, K2_HOME_LAKE, err) ||
        !k2_catalog_list(k2_lake_catalog(home->lake), verify_table, &v, err) || !v.is_ok)
        return -1;
    if (v.only && !v.is_found) {
        k2_err_set(err, K2_NOT_FOUND, "table %s has not been written yet", v.only);
        return -1;
    }
    verify_log(&v);
    k2_progress_end();
    const struct k2_verify_result *r = &v.result;
    k2_out_printf("%s: %" PRId64 " tables, %" PRId64 " snapshots, %" PRId64 " manifests, %" PRId64
                  " files, %" PRId64 " rows; %" PRId64 " broken rules, %" PRId64 " notes\n",
                  r->broken ? "BROKEN" : "ok", r->tables, r->snapshots, r->manifests, r->files,
                  r->rows, r->broken, r->notes);
    return r->broken ? K2_EXIT_FAILED : K2_EXIT_DONE;
}
