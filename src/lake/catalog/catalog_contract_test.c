/* catalog_contract_test.c -- what every catalog must do, run over each backend and layout. */
#include "lake/catalog/catalog.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include <sqlite3.h>

#include "base/alloc.h"
#include "support/test.h"

enum layout { V1, V0 };

static void run_sql(const char *path, const char *sql) {
    sqlite3 *db;
    CHECK(sqlite3_open(path, &db) == SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    sqlite3_close(db);
}

/* The first column of the first row as text, "" for none. */
static void ask_sql(const char *path, const char *sql, char ret_text[200]) {
    sqlite3 *db;
    sqlite3_stmt *statement;
    CHECK(sqlite3_open(path, &db) == SQLITE_OK);
    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    ret_text[0] = 0;
    if (sqlite3_step(statement) == SQLITE_ROW && sqlite3_column_text(statement, 0))
        snprintf(ret_text, 200, "%s", (const char *)sqlite3_column_text(statement, 0));
    sqlite3_finalize(statement);
    sqlite3_close(db);
}

static void catalog_freep(struct k2_catalog **catalog) {
    k2_catalog_free(*catalog);
}

static struct k2_catalog *open_at(const char *path, const char *name) {
    struct k2_err err = {0};
    char url[160];
    snprintf(url, sizeof url, "sqlite:%s", path);
    struct k2_catalog *catalog = k2_catalog_open(url, name, &err);
    if (!catalog)
        fail_msg("%s", err.msg);
    return catalog;
}

static void new_path(enum layout layout, char ret_path[128]) {
    const char *dir = test_dir();
    snprintf(ret_path, 128, layout == V0 ? "%s/catalog.db" : "%s/sub/catalog.db", dir);
    if (layout == V0)
        run_sql(ret_path,
                "CREATE TABLE iceberg_tables (catalog_name VARCHAR(255) NOT NULL,"
                "table_namespace VARCHAR(255) NOT NULL,table_name VARCHAR(255) NOT NULL,"
                "metadata_location VARCHAR(1000),previous_metadata_location VARCHAR(1000),"
                "PRIMARY KEY (catalog_name, table_namespace, table_name))");
}

#define CATALOG_TEST(id)                                                                           \
    static void id##_on(const char *path, enum layout layout);                                     \
    static void id##_run(enum layout layout) {                                                     \
        char path[128];                                                                            \
        new_path(layout, path);                                                                    \
        id##_on(path, layout);                                                                     \
    }                                                                                              \
    TEST(id##_sqlite) {                                                                            \
        id##_run(V1);                                                                              \
    }                                                                                              \
    TEST(id##_sqlite_v0) {                                                                         \
        id##_run(V0);                                                                              \
    }                                                                                              \
    static void id##_on(const char *path, __attribute__((unused)) enum layout layout)

static bool swap_one(struct k2_catalog *catalog, const char *table, const char *from,
                     const char *to) {
    struct k2_err err = {0};
    struct k2_swap swap = {table, from, to};
    bool landed = false;
    CHECK_OK(k2_catalog_swap(catalog, &swap, 1, &landed, &err));
    return landed;
}

static bool stands_at(struct k2_catalog *catalog, const char *table, const char *location) {
    struct k2_err err = {0};
    struct k2_pointer pointer = {.table = table};
    CHECK_OK(k2_catalog_load(catalog, &pointer, 1, &err));
    bool same = k2_str_is(k2_buf_view(&pointer.location), location);
    k2_buf_done(&pointer.location);
    return same;
}

CATALOG_TEST(catalog_create_load_swap) {
    K2_AUTO(catalog_freep) struct k2_catalog *catalog = open_at(path, "k2");
    CHECK(stands_at(catalog, "market_data.trades", ""));
    CHECK(swap_one(catalog, "market_data.trades", NULL, "m0"));
    CHECK(!swap_one(catalog, "market_data.trades", NULL, "m1"));
    CHECK(stands_at(catalog, "market_data.trades", "m0"));
    CHECK(!swap_one(catalog, "market_data.trades", "m1", "m2"));
    CHECK(!swap_one(catalog, "market_data.quotes", "m0", "m1"));
    CHECK(swap_one(catalog, "market_data.trades", "m0", "m1"));
    CHECK(stands_at(catalog, "market_data.trades", "m1"));
    K2_AUTO(catalog_freep) struct k2_catalog *again = open_at(path, "k2");
    CHECK(stands_at(again, "market_data.trades", "m1"));
    K2_AUTO(catalog_freep) struct k2_catalog *other = open_at(path, "other");
    CHECK(stands_at(other, "market_data.trades", ""));
    char text[200];
    ask_sql(path, "SELECT previous_metadata_location FROM iceberg_tables", text);
    assert_string_equal(text, "m0");
    ask_sql(path,
            "SELECT namespace || property_key || property_value FROM "
            "iceberg_namespace_properties WHERE catalog_name = 'k2'",
            text);
    assert_string_equal(text, "market_dataexiststrue");
    ask_sql(path, "PRAGMA journal_mode", text);
    assert_string_equal(text, "wal");
    ask_sql(path, "SELECT count(*) FROM pragma_table_info('iceberg_tables')", text);
    assert_string_equal(text, layout == V0 ? "5" : "6");
    if (layout == V1) {
        ask_sql(path, "SELECT iceberg_type FROM iceberg_tables", text);
        assert_string_equal(text, "TABLE");
    }
}

CATALOG_TEST(catalog_swaps_all_or_none) {
    struct k2_err err = {0};
    K2_AUTO(catalog_freep) struct k2_catalog *catalog = open_at(path, "k2");
    CHECK(swap_one(catalog, "a.t", NULL, "t0"));
    CHECK(swap_one(catalog, "a.u", NULL, "u0"));
    bool landed;
    struct k2_swap stale[] = {{"z.new", NULL, "n0"}, {"a.u", "u9", "u1"}, {"a.t", "t0", "t1"}};
    CHECK_OK(k2_catalog_swap(catalog, stale, 3, &landed, &err));
    CHECK(!landed);
    CHECK(stands_at(catalog, "a.t", "t0") && stands_at(catalog, "a.u", "u0"));
    CHECK(stands_at(catalog, "z.new", ""));
    stale[1].from = "u0";
    CHECK_OK(k2_catalog_swap(catalog, stale, 3, &landed, &err));
    CHECK(landed);
    struct k2_pointer pointers[] = {
        {.table = "a.t"}, {.table = "a.u"}, {.table = "z.new"}, {.table = "z.no"}};
    CHECK_OK(k2_catalog_load(catalog, pointers, 4, &err));
    CHECK(k2_str_is(k2_buf_view(&pointers[0].location), "t1"));
    CHECK(k2_str_is(k2_buf_view(&pointers[1].location), "u1"));
    CHECK(k2_str_is(k2_buf_view(&pointers[2].location), "n0"));
    CHECK(pointers[3].location.len == 0);
    for (int i = 0; i < 4; i++)
        k2_buf_done(&pointers[i].location);
    struct k2_swap twice[] = {{"a.t", "t1", "t2"}, {"a.t", "t1", "t3"}};
    CHECK(!k2_catalog_swap(catalog, twice, 2, &landed, &err) && err.code == K2_INVALID);
    CHECK(stands_at(catalog, "a.t", "t1"));
}

static bool add_row(void *self, const char *table, const char *location) {
    k2_buf_printf(self, "%s=%s ", table, location);
    return true;
}

CATALOG_TEST(catalog_lists_and_drops) {
    struct k2_err err = {0};
    K2_AUTO(catalog_freep) struct k2_catalog *catalog = open_at(path, "k2");
    K2_AUTO(catalog_freep) struct k2_catalog *other = open_at(path, "other");
    CHECK(swap_one(catalog, "b.t", NULL, "1"));
    CHECK(swap_one(catalog, "a.z", NULL, "2"));
    CHECK(swap_one(catalog, "a.deep.y", NULL, "3"));
    CHECK(swap_one(other, "a.x", NULL, "4"));
    struct k2_buf text = {0};
    CHECK_OK(k2_catalog_list(catalog, add_row, &text, &err));
    assert_string_equal(k2_buf_cstr(&text), "a.z=2 a.deep.y=3 b.t=1 ");
    CHECK_OK(k2_catalog_drop(catalog, "a.z", &err));
    CHECK(!k2_catalog_drop(catalog, "a.z", &err) && err.code == K2_NOT_FOUND);
    CHECK(stands_at(catalog, "a.z", ""));
    CHECK(stands_at(other, "a.x", "4"));
    k2_buf_done(&text);
}

TEST(catalog_leaves_views_alone) {
    struct k2_err err = {0};
    char path[128];
    new_path(V1, path);
    K2_AUTO(catalog_freep) struct k2_catalog *catalog = open_at(path, "k2");
    run_sql(path, "INSERT INTO iceberg_tables VALUES('k2','a','v','view0',NULL,'VIEW');"
                  "INSERT INTO iceberg_tables VALUES('k2','a','t','old',NULL,NULL)");
    CHECK(stands_at(catalog, "a.v", ""));
    CHECK(!swap_one(catalog, "a.v", NULL, "m0"));
    CHECK(!swap_one(catalog, "a.v", "view0", "m0"));
    CHECK(!k2_catalog_drop(catalog, "a.v", &err) && err.code == K2_NOT_FOUND);
    CHECK(swap_one(catalog, "a.t", "old", "new"));
    struct k2_buf text = {0};
    CHECK_OK(k2_catalog_list(catalog, add_row, &text, &err));
    assert_string_equal(k2_buf_cstr(&text), "a.t=new ");
    k2_buf_done(&text);
    char value[200];
    ask_sql(path, "SELECT metadata_location FROM iceberg_tables WHERE table_name = 'v'", value);
    assert_string_equal(value, "view0");
}

CATALOG_TEST(catalog_refuses_names) {
    struct k2_err err = {0};
    K2_AUTO(catalog_freep) struct k2_catalog *catalog = open_at(path, "k2");
    char long_name[300];
    memset(long_name, 'n', sizeof long_name);
    long_name[1] = '.';
    long_name[sizeof long_name - 1] = 0;
    const char *bad[] = {"", "t", ".t", "a.", long_name};
    for (size_t i = 0; i < K2_COUNT(bad); i++) {
        struct k2_pointer pointer = {.table = bad[i]};
        struct k2_swap swap = {bad[i], NULL, "m"};
        bool landed;
        CHECK(!k2_catalog_load(catalog, &pointer, 1, &err) && err.code == K2_INVALID);
        CHECK(!k2_catalog_swap(catalog, &swap, 1, &landed, &err) && err.code == K2_INVALID);
    }
    char location[1200];
    memset(location, 'm', sizeof location);
    location[1001] = 0;
    struct k2_swap swap = {"a.t", NULL, location};
    bool landed;
    CHECK(!k2_catalog_swap(catalog, &swap, 1, &landed, &err) && err.code == K2_INVALID);
    location[1000] = 0;
    CHECK(swap_one(catalog, "a.t", NULL, location));
}

TEST(catalog_open_refuses) {
    struct k2_err err = {0};
    CHECK(!k2_catalog_open("sqlite:relative.db", "k2", &err) && err.code == K2_INVALID);
    CHECK(!k2_catalog_open("oracle:/x", "k2", &err) && err.code == K2_INVALID);
    char path[128], url[160];
    snprintf(path, sizeof path, "%s/catalog.db", test_dir());
    FILE *file = fopen(path, "w");
    for (int i = 0; i < 1000; i++)
        fputs("this is no database\n", file);
    fclose(file);
    snprintf(url, sizeof url, "sqlite:%s", path);
    CHECK(!k2_catalog_open(url, "k2", &err) && err.code == K2_CORRUPT);
    CHECK(strstr(err.msg, path));
    CHECK(!k2_catalog_open("sqlite:/proc/nothing/catalog.db", "k2", &err));
}

enum { RACERS = 4, MOVES = 50 };
struct race {
    const char *path;
    struct k2_catalog *shared; /* NULL: each thread opens its own, as processes do */
    bool is_queued;
    atomic_int landed, lost, inside;
};

/* Counts "a.t" up by swapping "n" for "n+1"; the two tables must stay equal. */
static void *count_up(void *self) {
    struct race *race = self;
    struct k2_err err = {0};
    struct k2_catalog *catalog = race->shared ? race->shared : open_at(race->path, "k2");
    for (int i = 0; i < MOVES;) {
        if (race->is_queued) {
            if (!k2_catalog_queue(catalog, &err))
                abort();
            if (atomic_fetch_add(&race->inside, 1) != 0)
                abort();
        }
        struct k2_pointer pointers[] = {{.table = "a.t"}, {.table = "a.u"}};
        bool landed = false;
        if (!k2_catalog_load(catalog, pointers, 2, &err))
            abort();
        const char *from = k2_buf_cstr(&pointers[0].location);
        if (strcmp(from, k2_buf_cstr(&pointers[1].location)) != 0)
            abort();
        char to[32];
        snprintf(to, sizeof to, "%lld", strtoll(from, NULL, 10) + 1);
        struct k2_swap swaps[] = {{"a.u", from, to}, {"a.t", from, to}};
        if (!k2_catalog_swap(catalog, swaps, 2, &landed, &err))
            abort();
        k2_buf_done(&pointers[0].location);
        k2_buf_done(&pointers[1].location);
        atomic_fetch_add(landed ? &race->landed : &race->lost, 1);
        i += landed;
        if (race->is_queued) {
            atomic_fetch_sub(&race->inside, 1);
            k2_catalog_leave(catalog);
        }
    }
    if (!race->shared)
        k2_catalog_free(catalog);
    return NULL;
}

static void run_race(struct race *race) {
    char path[128];
    new_path(V1, path);
    K2_AUTO(catalog_freep) struct k2_catalog *catalog = open_at(path, "k2");
    CHECK(swap_one(catalog, "a.t", NULL, "0"));
    CHECK(swap_one(catalog, "a.u", NULL, "0"));
    race->path = path;
    if (race->shared)
        race->shared = catalog;
    pthread_t threads[RACERS];
    for (int i = 0; i < RACERS; i++)
        CHECK(pthread_create(&threads[i], NULL, count_up, race) == 0);
    for (int i = 0; i < RACERS; i++)
        pthread_join(threads[i], NULL);
    char expected[32];
    snprintf(expected, sizeof expected, "%d", RACERS * MOVES);
    CHECK(stands_at(catalog, "a.t", expected));
    CHECK(atomic_load(&race->landed) == RACERS * MOVES);
}

TEST(catalog_racing_swaps) {
    struct race race = {0};
    run_race(&race);
}

TEST(catalog_queue_keeps_committers_apart) {
    struct race race = {.is_queued = true};
    run_race(&race);
    CHECK(atomic_load(&race.lost) == 0);
    struct race threads = {.is_queued = true, .shared = (struct k2_catalog *)&race};
    run_race(&threads);
    CHECK(atomic_load(&threads.lost) == 0);
}
