/* store_contract_test.c -- what every store must do, run over each backend. */
#include "lake/store/store.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/file.h"
#include "support/test.h"

static struct k2_store *open_store(bool is_local) {
    struct k2_err err = {0};
    struct k2_buf url = {0};
    k2_buf_printf(&url, is_local ? "file:%s/lake/house" : "memory:", is_local ? test_dir() : "");
    struct k2_store *store = k2_store_open(url.ptr ? k2_buf_cstr(&url) : "memory:", &err);
    k2_buf_done(&url);
    if (!store)
        fail_msg("open store: %s", err.msg);
    return store;
}

/* Runs a suite over both backends. */
#define STORE_TEST(id)                                                                             \
    static void id##_on(struct k2_store *store);                                                   \
    static void id##_run(bool is_local) {                                                          \
        K2_AUTO(k2_store_freep) struct k2_store *store = open_store(is_local);                     \
        id##_on(store);                                                                            \
    }                                                                                              \
    TEST(id##_local) {                                                                             \
        id##_run(true);                                                                            \
    }                                                                                              \
    TEST(id##_memory) {                                                                            \
        id##_run(false);                                                                           \
    }                                                                                              \
    static void id##_on(struct k2_store *store)

static bool put(struct k2_store *store, const char *path, const char *text) {
    struct k2_err err = {0};
    return k2_store_put(store, path, k2_str_of(text), false, &err);
}

static bool holds(struct k2_store *store, const char *path, const char *text) {
    struct k2_err err = {0};
    struct k2_buf out = {0};
    bool same = k2_store_get(store, path, &out, &err) && k2_str_is(k2_buf_view(&out), text);
    k2_buf_done(&out);
    return same;
}

STORE_TEST(store_put_and_get) {
    struct k2_err err = {0};
    CHECK(put(store, "a/b/c.txt", "hello"));
    CHECK(holds(store, "a/b/c.txt", "hello"));
    CHECK(put(store, "a/b/c.txt", "other, longer"));
    CHECK(holds(store, "a/b/c.txt", "other, longer"));
    CHECK(put(store, "a/b/c.txt", "x"));
    CHECK(holds(store, "a/b/c.txt", "x"));
    CHECK(put(store, "empty", ""));
    CHECK(holds(store, "empty", ""));
    int64_t bytes = -1;
    CHECK_OK(k2_store_size(store, "a/b/c.txt", &bytes, &err));
    CHECK(bytes == 1);
}

STORE_TEST(store_get_appends) {
    struct k2_err err = {0};
    struct k2_buf out = {0};
    k2_buf_text(&out, "before ");
    CHECK(put(store, "o", "0123456789"));
    CHECK_OK(k2_store_get_range(store, "o", 3, 4, &out, &err));
    CHECK(k2_str_is(k2_buf_view(&out), "before 3456"));
    CHECK_OK(k2_store_get_range(store, "o", 10, 0, &out, &err));
    CHECK(!k2_store_get_range(store, "o", 8, 3, &out, &err) && err.code == K2_CORRUPT);
    CHECK(!k2_store_get_range(store, "o", 11, 0, &out, &err) && err.code == K2_CORRUPT);
    CHECK(!k2_store_get_range(store, "o", -1, 2, &out, &err) && err.code == K2_INVALID);
    CHECK(!k2_store_get_range(store, "o", 0, INT64_MAX, &out, &err) && err.code == K2_INVALID);
    CHECK(k2_str_is(k2_buf_view(&out), "before 3456"));
    k2_buf_done(&out);
}

STORE_TEST(store_absent_objects) {
    struct k2_err err = {0};
    struct k2_buf out = {0};
    int64_t bytes;
    CHECK(put(store, "folder/o", "x"));
    const char *absent[] = {"nothing", "no/such/folder/o", "folder", "folder/o/x"};
    for (size_t i = 0; i < K2_COUNT(absent) - 1; i++) {
        CHECK(!k2_store_get(store, absent[i], &out, &err) && err.code == K2_NOT_FOUND);
        CHECK(!k2_store_size(store, absent[i], &bytes, &err) && err.code == K2_NOT_FOUND);
        CHECK(!k2_store_get_range(store, absent[i], 0, 1, &out, &err) && err.code == K2_NOT_FOUND);
    }
    CHECK(!k2_store_get(store, absent[3], &out, &err));
    CHECK_OK(k2_store_delete(store, "nothing", &err));
    CHECK_OK(k2_store_delete(store, "no/such/folder/o", &err));
    CHECK_OK(k2_store_delete(store, "folder/o", &err));
    CHECK_OK(k2_store_delete(store, "folder/o", &err));
    CHECK(!k2_store_get(store, "folder/o", &out, &err) && err.code == K2_NOT_FOUND);
    CHECK(put(store, "folder/o", "again"));
    CHECK(holds(store, "folder/o", "again"));
    k2_buf_done(&out);
}

STORE_TEST(store_put_if_absent) {
    struct k2_err err = {0};
    CHECK_OK(k2_store_put(store, "one", K2_STR("first"), true, &err));
    CHECK(!k2_store_put(store, "one", K2_STR("second"), true, &err) && err.code == K2_CONFLICT);
    CHECK(strstr(err.msg, "one"));
    CHECK(holds(store, "one", "first"));
}

STORE_TEST(store_refuses_paths) {
    struct k2_err err = {0};
    char long_part[300], long_path[1200];
    memset(long_part, 'p', sizeof long_part - 1);
    long_part[sizeof long_part - 1] = 0;
    for (size_t i = 0; i < sizeof long_path; i++)
        long_path[i] = i % 2 ? '/' : 'a';
    long_path[sizeof long_path - 1] = 0;
    const char *bad[] = {"",     "/", "/a",    "a/",   "a//b",  "..",      "../a",    "a/../b",
                         "a/..", ".", "a/./b", "a\nb", "a\x7f", long_part, long_path, ".k2-1-2"};
    for (size_t i = 0; i < K2_COUNT(bad); i++) {
        CHECK(!k2_store_put(store, bad[i], K2_STR("x"), false, &err) && err.code == K2_INVALID);
        CHECK(!k2_store_delete(store, bad[i], &err) && err.code == K2_INVALID);
        CHECK(!k2_sink_open(store, bad[i], &err) && err.code == K2_INVALID);
    }
    CHECK(put(store, "timestamp_day=2014-03-10/exchange=A%2FX/..x/y..z.parquet", "fine"));
}

STORE_TEST(store_addresses) {
    struct k2_err err = {0};
    struct k2_buf uri = {0}, path = {0};
    k2_store_uri(store, "a/b=%20.parquet", &uri);
    CHECK(strstr(k2_buf_cstr(&uri), ":///"));
    CHECK_OK(k2_store_path(store, k2_buf_view(&uri), &path, &err));
    CHECK(k2_str_is(k2_buf_view(&path), "a/b=%20.parquet"));

    /* Java's short form: one slash after the scheme. */
    char *at = strstr(uri.ptr, "///");
    memmove(at, at + 2, strlen(at + 2) + 1);
    path.len = 0;
    CHECK_OK(k2_store_path(store, k2_str_of(uri.ptr), &path, &err));
    CHECK(k2_str_is(k2_buf_view(&path), "a/b=%20.parquet"));

    uri.len = 0;
    k2_store_uri(store, "", &uri);
    const char *suffixes[] = {"", "/", "x/a", "/../a", "//a", "/a/../../b"};
    for (size_t i = 0; i < K2_COUNT(suffixes); i++) {
        struct k2_buf bad = {0};
        k2_buf_str(&bad, k2_buf_view(&uri));
        k2_buf_text(&bad, suffixes[i]);
        CHECK(!k2_store_path(store, k2_buf_view(&bad), &path, &err) && err.code == K2_INVALID);
        k2_buf_done(&bad);
    }
    CHECK(!k2_store_path(store, K2_STR("s3://bucket/a"), &path, &err) && err.code == K2_INVALID);
    CHECK(!k2_store_path(store, K2_STR("a"), &path, &err) && err.code == K2_INVALID);
    CHECK(!k2_store_path(store, (struct k2_str){0}, &path, &err) && err.code == K2_INVALID);
    k2_buf_done(&uri);
    k2_buf_done(&path);
}

struct names {
    struct k2_buf text;
    int64_t bytes;
    int stop_after;
};

static bool add_name(void *self, const struct k2_object *object) {
    struct names *names = self;
    k2_buf_printf(&names->text, "%s ", object->path);
    names->bytes += object->bytes;
    CHECK(object->modified_ms > 1600000000000);
    return --names->stop_after != 0;
}

static void check_list(struct k2_store *store, const char *prefix, int stop_after,
                       const char *expected) {
    struct k2_err err = {0};
    struct names names = {.stop_after = stop_after};
    CHECK_OK(k2_store_list(store, prefix, add_name, &names, &err));
    assert_string_equal(k2_buf_cstr(&names.text), expected);
    k2_buf_done(&names.text);
}

STORE_TEST(store_list) {
    CHECK(put(store, "t/data/b.parquet", "12"));
    CHECK(put(store, "t/data/a.parquet", "1"));
    CHECK(put(store, "t/data.txt", "1"));
    CHECK(put(store, "t/metadata/x/y/z", "1"));
    CHECK(put(store, "tt/o", "1"));
    CHECK(put(store, "a", "1"));
    check_list(store, "", -1,
               "a t/data.txt t/data/a.parquet t/data/b.parquet t/metadata/x/y/z tt/o ");
    check_list(store, "t", -1, "t/data.txt t/data/a.parquet t/data/b.parquet t/metadata/x/y/z ");
    check_list(store, "t/data", -1, "t/data/a.parquet t/data/b.parquet ");
    check_list(store, "t", 2, "t/data.txt t/data/a.parquet ");
    check_list(store, "nothing/here", -1, "");
    check_list(store, "a", -1, "");
}

STORE_TEST(store_sinks) {
    struct k2_err err = {0};
    struct k2_sink *sink = k2_sink_open(store, "deep/er/file", &err);
    CHECK_OK(sink != NULL);
    CHECK_OK(k2_sink_write(sink, "abc", 3, &err));
    CHECK_OK(k2_sink_write(sink, NULL, 0, &err));
    CHECK_OK(k2_sink_write(sink, "def", 3, &err));
    CHECK(k2_sink_bytes(sink) == 6);
    CHECK(!holds(store, "deep/er/file", "abcdef"));
    check_list(store, "", -1, "");
    CHECK_OK(k2_sink_commit(sink, &err));
    CHECK(holds(store, "deep/er/file", "abcdef"));

    sink = k2_sink_open(store, "deep/er/file", &err);
    CHECK_OK(k2_sink_write(sink, "new", 3, &err));
    k2_sink_abort(sink);
    CHECK(holds(store, "deep/er/file", "abcdef"));

    sink = k2_sink_open(store, "deep/er/file", &err);
    CHECK_OK(k2_sink_write(sink, "new", 3, &err));
    CHECK_OK(k2_sink_commit(sink, &err));
    CHECK(holds(store, "deep/er/file", "new"));
    check_list(store, "", -1, "deep/er/file ");
    k2_sink_abort(NULL);
}

enum { RACERS = 8, ROUNDS = 50 };
struct race {
    struct k2_store *store;
    atomic_int wins[ROUNDS];
    atomic_int failures;
};

static void *race_puts(void *self) {
    struct race *race = self;
    char path[64], text[64];
    for (int i = 0; i < ROUNDS; i++) {
        struct k2_err err = {0};
        snprintf(path, sizeof path, "race/%d/object", i);
        snprintf(text, sizeof text, "round %d", i);
        if (k2_store_put(race->store, path, k2_str_of(text), true, &err))
            atomic_fetch_add(&race->wins[i], 1);
        else if (err.code != K2_CONFLICT)
            atomic_fetch_add(&race->failures, 1);
        /* Whoever lost must see the winner's whole object. */
        if (!holds(race->store, path, text))
            atomic_fetch_add(&race->failures, 1);
    }
    return NULL;
}

STORE_TEST(store_racing_puts) {
    struct race race = {.store = store};
    pthread_t threads[RACERS];
    for (int i = 0; i < RACERS; i++)
        CHECK(pthread_create(&threads[i], NULL, race_puts, &race) == 0);
    for (int i = 0; i < RACERS; i++)
        pthread_join(threads[i], NULL);
    CHECK(atomic_load(&race.failures) == 0);
    for (int i = 0; i < ROUNDS; i++)
        CHECK(atomic_load(&race.wins[i]) == 1);
}

TEST(store_local_makes_a_removed_folder_again) {
    struct k2_err err = {0};
    const char *dir = test_dir();
    char url[128], folder[128];
    snprintf(url, sizeof url, "file://%s/w/", dir);
    snprintf(folder, sizeof folder, "%s/w/a", dir);
    K2_AUTO(k2_store_freep) struct k2_store *store = k2_store_open(url, &err);
    CHECK_OK(store != NULL);
    CHECK(put(store, "a/b/o", "1"));
    CHECK_OK(k2_path_remove(folder, &err));
    CHECK(put(store, "a/b/o", "2"));
    CHECK(holds(store, "a/b/o", "2"));
}

TEST(store_open_refuses) {
    struct k2_err err = {0};
    const char *bad[] = {"", "file:", "file:relative", "file:/", "s3://bucket", "/tmp", "memory"};
    for (size_t i = 0; i < K2_COUNT(bad); i++) {
        CHECK(!k2_store_open(bad[i], &err));
        CHECK(err.code == K2_INVALID);
    }
}
