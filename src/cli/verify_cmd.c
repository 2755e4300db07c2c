/* verify_cmd.c -- k2 verify: the tables against the rules, a line for each broken one. */
#include <inttypes.h>
#include <stdio.h>

#include "base/alloc.h"
#include "cli/cli.h"

enum { TABLES_MAX = 64 };

struct verifying {
    struct k2_home *home;
    const struct k2_schema *only; /* of the table typed, or NULL */
    struct k2_verify_result result;
    char *names[TABLES_MAX];
    int count;
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

static bool name_table(void *self, const char *table, const char *location) {
    struct verifying *v = self;
    (void)location;
    const struct k2_schema *schema = k2_schema_by_table(k2_str_of(table));
    if (!schema && !v->only) {
        report(v, true, table, "is not one of K2's tables; left alone");
        v->result.notes++;
    } else if (schema && (!v->only || schema == v->only) && v->count < TABLES_MAX) {
        v->names[v->count++] = k2_strdup(table);
    }
    return true;
}

static bool show_progress(void *self, const char *table, int files, int files_all) {
    (void)self;
    k2_progress_bar((double)files / files_all, "verify %s", table);
    return !atomic_load(&k2_stop_asked);
}

static bool verify_tables(struct verifying *v, struct k2_err *err) {
    const struct k2_metadata *tables[TABLES_MAX] = {0};
    const struct k2_verify_opts opts = {.report = report, .progress = show_progress, .self = v};
    bool ok = k2_lake_load(v->home->lake, (const char *const *)v->names, v->count, tables, err);
    int there = 0;
    for (int i = 0; ok && i < v->count; i++)
        if (tables[i])
            tables[there++] = tables[i];
    ok = ok && k2_lake_verify(v->home->lake, tables, there, &opts, &v->result, err);
    for (int i = 0; i < there; i++)
        k2_metadata_unref(tables[i]);
    return ok;
}

int k2_cmd_verify(struct k2_home *home, const struct k2_args *args, struct k2_err *err) {
    struct verifying v = {.home = home};
    if (args->count) {
        v.only = k2_table_typed(args->words[0], err);
        if (!v.only)
            return -1;
    }
    bool ok = k2_home_open(home, K2_HOME_LAKE, err) &&
              k2_catalog_list(k2_lake_catalog(home->lake), name_table, &v, err);
    if (ok && v.only && !v.count)
        ok = k2_err_set(err, K2_NOT_FOUND, "table %s has not been written yet", args->words[0]);
    ok = ok && verify_tables(&v, err);
    for (int i = 0; i < v.count; i++)
        k2_free(v.names[i]);
    k2_progress_end();
    if (!ok)
        return -1;
    verify_log(&v);
    const struct k2_verify_result *r = &v.result;
    k2_out_printf("%s: %" PRId64 " tables, %" PRId64 " snapshots, %" PRId64 " manifests, %" PRId64
                  " files, %" PRId64 " rows; %" PRId64 " broken rules, %" PRId64 " notes\n",
                  r->broken ? "BROKEN" : "ok", r->tables, r->snapshots, r->manifests, r->files,
                  r->rows, r->broken, r->notes);
    return r->broken ? K2_EXIT_FAILED : K2_EXIT_DONE;
}
