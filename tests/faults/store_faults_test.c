/* store_faults_test.c -- store and catalog by themselves: every call of puts, streams,
 * replacements, swaps and lists fails once. What was promised is there; what failed is there whole
 * or not at all.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/file.h"
#include "faults/loop.h"
#include "lake/catalog/catalog.h"
#include "lake/store/store.h"
#include "support/disk.h"
#include "support/test.h"

enum { OBJECTS = 4, OBJECT_BYTES = 3000, TABLES = 2, SWAPS = 4 };

enum promise { NONE, MAYBE, SURELY };

struct subject {
    char label[128], store_url[200], catalog_url[200];
    struct k2_store *store;
    struct k2_catalog *catalog;
    enum promise objects[OBJECTS];
    int hint, hint_tried;     /* the version the replaced object is promised at; one tried since */
    int landed, landed_tried; /* the same of the tables' pointers */
};

static void *begin(const char *dir, const char *label) {
    struct subject *s = k2_new(struct subject);
    snprintf(s->label, sizeof s->label, "%s", label);
    snprintf(s->store_url, sizeof s->store_url, "file:%s/warehouse", dir);
    snprintf(s->catalog_url, sizeof s->catalog_url, "sqlite:%s/catalog.db", dir);
    disk_boot(1);
    return s;
}

static void close_both(struct subject *s) {
    k2_catalog_free(s->catalog);
    k2_store_free(s->store);
    s->catalog = NULL;
    s->store = NULL;
}

static void end(void *self) {
    disk_boot(0);
    close_both(self);
    k2_free(self);
}

static bool open_both(struct subject *s, struct k2_err *err) {
    s->store = k2_store_open(s->store_url, err);
    s->catalog = s->store ? k2_catalog_open(s->catalog_url, "k2", err) : NULL;
    return s->catalog != NULL;
}

static void fill(char bytes[OBJECT_BYTES], int number) {
    memset(bytes, 'a' + number, OBJECT_BYTES);
}

static void name_object(int i, char path[64]) {
    snprintf(path, 64, "a/folder%d/object%d", i / 2, i);
}

/* Every other object is streamed. */
static bool put_object(struct subject *s, int i, struct k2_err *err) {
    char path[64], bytes[OBJECT_BYTES];
    name_object(i, path);
    fill(bytes, i);
    s->objects[i] = MAYBE;
    if (i % 2 == 0) {
        K2_TRY(k2_store_put(s->store, path, k2_str_make(bytes, sizeof bytes), true, err));
    } else {
        struct k2_sink *sink = k2_sink_open(s->store, path, err);
        if (!sink)
            return false;
        bool ok = k2_sink_write(sink, bytes, 1000, err) &&
                  k2_sink_write(sink, bytes + 1000, sizeof bytes - 1000, err);
        if (!ok) {
            k2_sink_abort(sink);
            return false;
        }
        K2_TRY(k2_sink_commit(sink, err));
    }
    s->objects[i] = SURELY;
    return true;
}

static bool put_hint(struct subject *s, int version, struct k2_err *err) {
    char text[20];
    snprintf(text, sizeof text, "%d", version);
    s->hint_tried = version;
    K2_TRY(k2_store_put(s->store, "a/hint", k2_str_of(text), false, err));
    s->hint = version;
    return true;
}

static bool swap_tables(struct subject *s, int version, struct k2_err *err) {
    char from[20], to[20];
    snprintf(from, sizeof from, "v%d", version - 1);
    snprintf(to, sizeof to, "v%d", version);
    const char *old = version > 1 ? from : NULL;
    struct k2_swap swaps[TABLES] = {{"a.one", old, to}, {"a.two", old, to}};
    bool landed;
    s->landed_tried = version;
    K2_TRY(k2_catalog_queue(s->catalog, err));
    bool ok = k2_catalog_swap(s->catalog, swaps, TABLES, &landed, err);
    k2_catalog_leave(s->catalog);
    if (ok && !landed)
        fail_msg("%s: nobody else moved the tables, and yet %s was not there", s->label, from);
    s->landed = ok ? version : s->landed;
    return ok;
}

static bool count_one(void *self, const struct k2_object *object) {
    (void)object;
    ++*(int *)self;
    return true;
}

static bool work(struct subject *s, struct k2_err *err) {
    int count = 0;
    K2_TRY(open_both(s, err));
    for (int i = 0; i < OBJECTS; i++)
        K2_TRY(put_object(s, i, err) && put_hint(s, i + 1, err));
    for (int i = 1; i <= SWAPS; i++)
        K2_TRY(swap_tables(s, i, err));
    K2_TRY(k2_store_list(s->store, "a", count_one, &count, err));
    CHECK(count == OBJECTS + 1);
    return true;
}

static bool run(void *self, struct k2_err *err) {
    bool ok = work(self, err);
    close_both(self);
    return ok;
}

/* Whole or not there; returns whether it is there. */
static bool check_object(struct subject *s, int i) {
    char path[64], bytes[OBJECT_BYTES];
    struct k2_buf got = {0};
    struct k2_err err = {0};
    name_object(i, path);
    fill(bytes, i);
    bool is_there = k2_store_get(s->store, path, &got, &err);
    bool is_whole = got.len == sizeof bytes && memcmp(got.ptr, bytes, sizeof bytes) == 0;
    if (is_there ? !is_whole || s->objects[i] == NONE
                 : err.code != K2_NOT_FOUND || s->objects[i] == SURELY)
        fail_msg("%s: %s has %zu bytes: %s", s->label, path, got.len, err.msg);
    k2_buf_done(&got);
    return is_there;
}

static void check_hint(struct subject *s) {
    struct k2_buf got = {0};
    struct k2_err err = {0};
    bool is_there = k2_store_get(s->store, "a/hint", &got, &err);
    int version = is_there ? (int)strtol(k2_buf_cstr(&got), NULL, 10) : 0;
    if (version != s->hint && version != s->hint_tried)
        fail_msg("%s: the hint says %d, not %d", s->label, version, s->hint);
    k2_buf_done(&got);
}

/* Both tables stand at the same version, the promised one or the one tried last. */
static void check_tables(struct subject *s) {
    struct k2_pointer pointers[TABLES] = {{.table = "a.one"}, {.table = "a.two"}};
    struct k2_err err = {0};
    CHECK_OK(k2_catalog_load(s->catalog, pointers, TABLES, &err));
    CHECK(k2_str_eq(k2_buf_view(&pointers[0].location), k2_buf_view(&pointers[1].location)));
    int version = pointers[0].location.len
                      ? (int)strtol(k2_buf_cstr(&pointers[0].location) + 1, NULL, 10)
                      : 0;
    if (version != s->landed && version != s->landed_tried)
        fail_msg("%s: the tables stand at %d, not %d", s->label, version, s->landed);
    s->landed = s->landed_tried = version;
    for (int i = 0; i < TABLES; i++)
        k2_buf_done(&pointers[i].location);
}

static void check(void *self, bool is_rebooted) {
    struct subject *s = self;
    struct k2_err err = {0};
    if (is_rebooted)
        disk_boot(2);
    CHECK_OK(open_both(s, &err));
    for (int i = 0; i < OBJECTS; i++)
        if (!check_object(s, i))
            CHECK_OK(put_object(s, i, &err));
    check_hint(s);
    check_tables(s);
    for (int i = s->landed + 1; i <= SWAPS; i++)
        CHECK_OK(swap_tables(s, i, &err));
    CHECK_OK(put_hint(s, OBJECTS + 1, &err));
    check_hint(s);
    check_tables(s);
    close_both(s);
}

static const struct fault_subject store_and_catalog = {
    .name = "store and catalog", .begin = begin, .run = run, .check = check, .end = end};

TEST(faults_in_store_and_catalog) {
    fault_loops(&store_and_catalog);
}

TEST(power_cuts_in_store_and_catalog) {
    power_cuts(&store_and_catalog);
}

/* The version both tables stand at, to someone who opens the catalog now. */
static int version_seen(struct subject *s) {
    struct k2_err err = {0};
    CHECK_OK(open_both(s, &err));
    struct k2_pointer pointer = {.table = "a.one"};
    CHECK_OK(k2_catalog_load(s->catalog, &pointer, 1, &err));
    int version =
        pointer.location.len ? (int)strtol(k2_buf_cstr(&pointer.location) + 1, NULL, 10) : 0;
    k2_buf_done(&pointer.location);
    return version;
}

/* Fails one fsync, opens again as the next process would, and cuts the power. */
static bool see_and_cut(const char *dir, const char *remains, long nth, uint64_t seed) {
    struct k2_err err = {0};
    CHECK_OK(k2_dir_make(dir, &err));
    struct subject *s = begin(dir, "seen");
    disk_watch(dir);
    disk_record();
    disk_rule((struct disk_rule){
        .calls = DISK_SYNC | DISK_TRUNCATE, .nth = nth, .error = EIO, .and_after = true});
    (void)!run(s, &err);
    bool was_hit = disk_hits() > 0;
    disk_no_rules();
    int before = version_seen(s);
    disk_cut(remains, seed);
    disk_rule((struct disk_rule){.calls = DISK_CHANGES, .error = EIO, .and_after = true});
    close_both(s);
    disk_end();
    CHECK_OK(k2_path_remove(dir, &err));
    CHECK(rename(remains, dir) == 0);
    disk_boot(2);
    int after = version_seen(s);
    if (after != before)
        fail_msg("call %ld, seed %d: %d was seen, %d is left", nth, (int)seed, before, after);
    end(s);
    CHECK_OK(k2_path_remove(dir, &err));
    return was_hit;
}

TEST(a_swap_that_was_seen_survives_a_power_cut) {
    char dir[200], remains[220];
    snprintf(dir, sizeof dir, "%s/disk", test_dir());
    snprintf(remains, sizeof remains, "%s.remains", dir);
    bool has_more = true;
    for (long nth = 0; has_more; nth++)
        for (uint64_t seed = 1; has_more && seed <= 8; seed++)
            has_more = see_and_cut(dir, remains, nth, (uint64_t)nth * 8 + seed);
}
