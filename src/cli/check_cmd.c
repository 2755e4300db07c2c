/* check_cmd.c -- k2 check and k2 config: what is set, and whether it works. */
#include <stdio.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/cli.h"

static int failures;

static void line(bool ok, const char *what, const char *detail) {
    k2_out_printf("%-9s %-10s %s\n", ok ? "ok" : "FAILED", what, detail);
    failures += !ok;
}

/* A file can be made, fsynced and removed in the home. */
static void check_home(struct k2_home *home) {
    struct k2_err err = {0};
    const char *probe = k2_home_path(home, "run/check.probe");
    char text[600];
    bool ok = k2_file_replace(probe, K2_STR("probe"), &err);
    unlink(probe);
    struct statvfs fs;
    if (ok && statvfs(home->dir, &fs) == 0) {
        double free_gb = (double)fs.f_bavail * (double)fs.f_frsize / 1e9;
        snprintf(text, sizeof text, "%s is writable, %.1f GB free%s", home->dir, free_gb,
                 free_gb < 1 ? "; under 1 GB: make room before ingesting" : "");
        line(free_gb >= 0.1, "home", text);
        return;
    }
    snprintf(text, sizeof text, "%s; give this user the right to write there, or say --home DIR",
             err.msg);
    line(ok, "home", text);
}

static bool count_topic(void *self, const struct k2_topic_info *info) {
    (void)info;
    ++*(int *)self;
    return true;
}

static bool count_table(void *self, const char *table, const char *location) {
    (void)table, (void)location;
    ++*(int *)self;
    return true;
}

int k2_cmd_check(struct k2_home *home, const struct k2_args *args, struct k2_err *err) {
    (void)args, (void)err;
    struct k2_err why = {0};
    char text[600];
    line(true, "settings", "every setting is known and in range");
    if (!k2_home_open(home, K2_HOME_MAKE, &why)) {
        snprintf(text, sizeof text, "%s; say --home DIR or mend its rights", why.msg);
        line(false, "home", text);
        return why.code == K2_UNAVAILABLE ? 4 : K2_EXIT_USAGE;
    }
    check_home(home);
    int tables = 0, topics = 0;
    bool ok = k2_home_open(home, K2_HOME_LAKE, &why) &&
              k2_catalog_list(k2_lake_catalog(home->lake), count_table, &tables, &why);
    snprintf(text, sizeof text, "%s%s (%d tables)", ok ? "" : why.msg,
             k2_config_str(home->config, "catalog"), tables);
    line(ok, "catalog", text);
    ok = k2_home_open(home, K2_HOME_LOG, &why) &&
         k2_log_topics(home->log, count_topic, &topics, &why);
    snprintf(text, sizeof text, "%s%s (%d topics)", ok ? "" : why.msg,
             k2_config_str(home->config, "log"), topics);
    line(ok, "log", text);
    return !failures ? K2_EXIT_DONE : why.code == K2_UNAVAILABLE ? 4 : K2_EXIT_USAGE;
}

int k2_cmd_config(struct k2_home *home, const struct k2_args *args, struct k2_err *err) {
    static const char *const names[] = {"setting", "value", "origin"};
    static const bool numbers[] = {false, false, false};
    struct k2_grid grid = {K2_COUNT(names), names, numbers, {0}, 0};
    struct k2_config_item item;
    struct k2_buf text = {0};
    if (k2_arg(args, "doc"))
        k2_config_doc(&text);
    else if (k2_arg(args, "example"))
        k2_config_example(&text);
    if (text.len) {
        k2_out(k2_buf_view(&text));
        k2_buf_done(&text);
        return K2_EXIT_DONE;
    }
    if (args->count) {
        if (!k2_config_find(home->config, args->words[0], &item, err))
            return -1;
        k2_out_printf("%s\n", item.value);
        return K2_EXIT_DONE;
    }
    for (size_t at = 0; k2_config_next(home->config, &at, &item);) {
        k2_grid_add(&grid, "%s", item.key);
        k2_grid_add(&grid, "%s", item.value);
        k2_grid_add(&grid, "%s", item.origin);
    }
    return k2_grid_print(&grid, k2_arg(args, "format"), err) ? K2_EXIT_DONE : -1;
}
