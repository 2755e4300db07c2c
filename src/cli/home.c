/* home.c -- the folder a command works on, and what is opened from its settings. */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "cli/cli.h"

/* A few paths live as long as the home; more than these are never asked for. */
static struct k2_arena paths;

const char *k2_home_path(struct k2_home *home, const char *name) {
    return k2_arena_printf(&paths, "%s/%s", home->dir, name);
}

/* "file:" alone means the folder of that name in the home. */
static const char *url_of(struct k2_home *home, const char *key, const char *scheme,
                          const char *name) {
    const char *url = k2_config_str(home->config, key);
    size_t len = strlen(scheme);
    if (strcmp(url, scheme) == 0)
        return k2_arena_printf(&paths, "%s%s", scheme, k2_home_path(home, name));
    if (strncmp(url, scheme, len) == 0 && url[len] != '/')
        return k2_arena_printf(&paths, "%s%s", scheme, k2_home_path(home, url + len));
    return url;
}

static bool make_home(struct k2_home *home, struct k2_err *err) {
    static const char *const folders[] = {"run", "spill"};
    K2_TRY(k2_dir_make(home->dir, err));
    for (size_t i = 0; i < K2_COUNT(folders); i++)
        K2_TRY(k2_dir_make(k2_home_path(home, folders[i]), err));
    return true;
}

static bool open_lake(struct k2_home *home, struct k2_err *err) {
    struct k2_lake_opts opts = {
        .warehouse = url_of(home, "warehouse", "file:", "warehouse"),
        .catalog = url_of(home, "catalog", "sqlite:", "catalog.db"),
        .catalog_name = k2_config_str(home->config, "catalog.name"),
        .clock = home->clock,
        .previous_versions = (uint32_t)k2_config_i64(home->config, "metadata.previous_versions"),
        .manifest_merge_count = (uint32_t)k2_config_i64(home->config, "manifest.merge_count"),
    };
    home->lake = k2_lake_open(&opts, err);
    return home->lake != NULL;
}

static bool open_log(struct k2_home *home, struct k2_err *err) {
    home->registry = k2_registry_open(url_of(home, "registry", "embedded:", "registry"), err);
    if (!home->registry)
        return false;
    struct k2_log_opts opts = {
        .url = url_of(home, "log", "embedded:", "log"),
        .partitions = (uint32_t)k2_config_i64(home->config, "log.partitions"),
        .segment_bytes = k2_config_i64(home->config, "log.segment.bytes"),
        .retention_bytes = k2_config_i64(home->config, "log.retention.bytes"),
        .retention_ms = k2_config_i64(home->config, "log.retention.ms"),
        .clock = home->clock,
        .registry = home->registry,
    };
    home->log = k2_log_open(&opts, err);
    return home->log != NULL;
}

bool k2_home_open(struct k2_home *home, int parts, struct k2_err *err) {
    bool is_local = strncmp(k2_config_str(home->config, "catalog"), "sqlite:", 7) == 0;
    if (parts & K2_HOME_MAKE)
        K2_TRY(make_home(home, err));
    else if (is_local && !k2_path_exists(k2_home_path(home, ".")))
        return k2_err_set(
            err, K2_NOT_FOUND,
            "there is no K2 home at %s; say which with --home DIR or K2_HOME, or make "
            "one by ingesting (k2 ingest sim)",
            home->dir);
    if ((parts & K2_HOME_LAKE) && !home->lake)
        K2_TRY(open_lake(home, err));
    if ((parts & K2_HOME_LOG) && !home->log)
        K2_TRY(open_log(home, err));
    return true;
}

void k2_home_close(struct k2_home *home) {
    k2_log_free(home->log);
    k2_registry_free(home->registry);
    k2_lake_free(home->lake);
    home->log = NULL;
    home->registry = NULL;
    home->lake = NULL;
    k2_arena_done(&paths);
}

static int numbering(void *self, struct k2_str exchange) {
    struct k2_home *home = self;
    char name[128];
    snprintf(name, sizeof name, "%.*s", K2_FMT(exchange));
    const char *value = k2_config_named(home->config, "venue.%s.numbering", name);
    return value ? k2_name_index(k2_numberings, k2_str_of(value)) : -1;
}

static const char *partition(void *self, const char *table) {
    struct k2_home *home = self;
    return k2_config_named(home->config, "table.%s.partition", table);
}

void k2_home_pipeline_opts(struct k2_home *home, const char *writer, struct k2_pipeline_opts *ret) {
    const struct k2_config *c = home->config;
    *ret = (struct k2_pipeline_opts){
        .lake = home->lake,
        .log = home->log,
        .registry = home->registry,
        .clock = home->clock,
        .writer = writer,
        .commit_rows = k2_config_i64(c, "commit.rows"),
        .commit_bytes = k2_config_i64(c, "commit.bytes"),
        .commit_age_ms = k2_config_i64(c, "commit.age_ms"),
        .gap_page = k2_config_i64(c, "gap.page"),
        .gap_halt = k2_config_i64(c, "gap.halt"),
        .future_ms = k2_config_i64(c, "validate.future_ms"),
        .price_move_ppm = (int64_t)(k2_config_f64(c, "validate.price_move_pct") * 10000 + 0.5),
        .numbering = numbering,
        .partition = partition,
        .settings = home,
    };
}
