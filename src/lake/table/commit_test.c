/* commit_test.c -- commits whose swap is lost, late or never answered, by a catalog that lies. */
#include <stdio.h>

#include "lake/catalog/catalog_impl.h"
#include "lake/table/table_impl.h"
#include "support/test.h"

#define TRADES "market_data.trades"

enum fault {
    NO_FAULT,
    ANSWER_LOST,    /* lands, then fails */
    REFUSED,        /* fails for good, nothing done */
    BUSY,           /* fails once, nothing done */
    FOREIGN_COMMIT, /* another program's commit lands first */
    OVERTAKEN,      /* lands, and another program's commit lands on it */
    OVERTAKEN_LOST, /* the same, then fails */
    EXPIRED_LOST,   /* the same, and that commit has expired ours */
    FOREIGN_TABLE,  /* another program makes the table first, where that of trades lies */
    GONE_SILENT,    /* lands, then fails, and the catalog cannot be read any more */
};

/* What the wrapped calls do next. */
static struct {
    const struct k2_catalog_ops *real;
    enum fault fault;
    int times;
    bool is_unreadable;
    struct k2_store *store;
    int number, loads;
    const char *find, *replace; /* what a foreign commit changes in the metadata; NULL: nothing */
} lies;

static void change_text(struct k2_buf *bytes) {
    struct k2_buf changed = {0};
    const char *at = strstr(k2_buf_cstr(bytes), lies.find);
    if (!at)
        fail_msg("%s is not in %s", lies.find, bytes->ptr);
    k2_buf_append(&changed, bytes->ptr, (size_t)(at - bytes->ptr));
    k2_buf_text(&changed, lies.replace);
    k2_buf_text(&changed, at + strlen(lies.find));
    k2_buf_done(bytes);
    *bytes = changed;
}

/* A commit as others make it, on the metadata file at from: a copy of the one at like. */
static void commit_foreign(struct k2_catalog *catalog, const struct k2_named_swap *swap,
                           const char *from, const char *like) {
    struct k2_err err = {0};
    struct k2_buf path = {0}, bytes = {0}, uri = {0};
    CHECK_OK(k2_store_path(lies.store, k2_str_of(like), &path, &err));
    CHECK_OK(k2_store_get(lies.store, k2_buf_cstr(&path), &bytes, &err));
    if (lies.find)
        change_text(&bytes);
    path.len = 0;
    k2_buf_printf(&path, "market_data/trades/metadata/%05d-foreign.metadata.json", ++lies.number);
    CHECK_OK(k2_store_put(lies.store, k2_buf_cstr(&path), k2_buf_view(&bytes), true, &err));
    k2_store_uri(lies.store, path.ptr, &uri);
    struct k2_named_swap foreign = {swap->table, from, k2_buf_cstr(&uri)};
    bool landed = false;
    CHECK_OK(lies.real->swap(catalog, &foreign, 1, &landed, &err));
    CHECK(landed);
    k2_buf_done(&path);
    k2_buf_done(&bytes);
    k2_buf_done(&uri);
}

static void make_foreign(struct k2_catalog *catalog, struct k2_table_name table) {
    struct k2_err err = {0};
    struct k2_pointer trades = {.table = TRADES};
    bool landed = false;
    CHECK_OK(k2_catalog_load(catalog, &trades, 1, &err));
    struct k2_named_swap foreign = {table, NULL, k2_buf_cstr(&trades.location)};
    CHECK_OK(lies.real->swap(catalog, &foreign, 1, &landed, &err));
    CHECK(landed);
    k2_buf_done(&trades.location);
}

static bool lying_swap(struct k2_catalog *catalog, const struct k2_named_swap *swaps, int count,
                       bool *ret_landed, struct k2_err *err) {
    enum fault fault = lies.times > 0 ? lies.fault : NO_FAULT;
    lies.times--;
    if (fault == FOREIGN_COMMIT)
        commit_foreign(catalog, &swaps[0], swaps[0].from, swaps[0].from);
    if (fault == FOREIGN_TABLE)
        make_foreign(catalog, swaps[0].table);
    if (fault == REFUSED)
        return k2_err_set(err, K2_IO, "injected: refused");
    if (fault == BUSY) {
        k2_err_set(err, K2_UNAVAILABLE, "injected: busy");
        err->retriable = true;
        return false;
    }
    if (!lies.real->swap(catalog, swaps, count, ret_landed, err))
        return false;
    char log[300];
    if (fault == EXPIRED_LOST) { /* as it was before ours, but for the metadata log */
        snprintf(log, sizeof log,
                 "\"metadata-log\":[{\"timestamp-ms\":1700000000000,\"metadata-file\":\"%s\"}]",
                 swaps[0].to);
        lies.find = "\"metadata-log\":[]";
        lies.replace = log;
        commit_foreign(catalog, &swaps[0], swaps[0].to, swaps[0].from);
    }
    if (fault == OVERTAKEN || fault == OVERTAKEN_LOST)
        commit_foreign(catalog, &swaps[0], swaps[0].to, swaps[0].to);
    lies.is_unreadable = fault == GONE_SILENT;
    return fault == NO_FAULT || fault == FOREIGN_COMMIT || fault == OVERTAKEN ||
           k2_err_set(err, K2_IO, "injected: no answer");
}

static bool lying_load(struct k2_catalog *catalog, const struct k2_table_name *names,
                       struct k2_pointer *pointers, int count, struct k2_err *err) {
    lies.loads++;
    if (lies.is_unreadable)
        return k2_err_set(err, K2_UNAVAILABLE, "injected: unreadable");
    return lies.real->load(catalog, names, pointers, count, err);
}

struct rig {
    struct k2_clock_fake clock;
    struct k2_lake *lake;
    struct k2_catalog_ops ops;
    const struct k2_metadata *base;
};

static void rig_open(struct rig *rig, enum fault fault, int times) {
    struct k2_err err = {0};
    char url[160];
    snprintf(url, sizeof url, "sqlite:%s/catalog.db", test_dir());
    k2_clock_fake_init(&rig->clock, 1700000000000000000);
    struct k2_lake_opts opts = {.warehouse = "memory:", .catalog = url, .clock = &rig->clock.clock};
    rig->lake = k2_lake_open(&opts, &err);
    CHECK_OK(rig->lake != NULL);
    CHECK_OK(k2_lake_create(rig->lake, k2_schema_of(K2_TRADE), NULL, &rig->base, &err));
    rig->ops = *rig->lake->catalog->ops;
    memset(&lies, 0, sizeof lies);
    lies.real = rig->lake->catalog->ops;
    lies.store = k2_lake_store(rig->lake);
    lies.fault = fault;
    lies.times = times;
    rig->ops.swap = lying_swap;
    rig->ops.load = lying_load;
    rig->lake->catalog->ops = &rig->ops;
}

static void rig_close(struct rig *rig) {
    k2_metadata_unref(rig->base);
    k2_lake_free(rig->lake);
}

static bool commit(struct rig *rig, int64_t from, int64_t to, struct k2_err *err) {
    struct k2_move move = {.topic = "t",
                           .is_first = from == 0,
                           .from = {.log_id = "l", .next = from},
                           .to = {.log_id = "l", .next = to}};
    struct k2_data_file file = {.path = K2_STR("memory:///lake/market_data/trades/data/x.parquet"),
                                .partition = {{.number = 1}, {.text = K2_STR("ASX")}},
                                .record_count = 5,
                                .file_size = 50};
    struct k2_change change = {.base = rig->base,
                               .operation = "append",
                               .add_count = 1,
                               .add = &file,
                               .move_count = 1,
                               .moves = &move};
    bool ok = k2_lake_commit(rig->lake, &change, 1, err);
    if (ok) {
        k2_metadata_unref(rig->base);
        rig->base = change.result;
    }
    return ok;
}

/* The table as a fresh load sees it: that many snapshots of a row count each. */
static void check_snapshots(struct rig *rig, int count) {
    struct k2_err err = {0};
    const char *name = TRADES;
    const struct k2_metadata *m = NULL;
    lies.is_unreadable = false;
    CHECK_OK(k2_lake_load(rig->lake, &name, 1, &m, &err));
    CHECK(m->snapshot_count == count);
    struct k2_scan scan;
    CHECK_OK(k2_table_scan(rig->lake, m, k2_schema_of(K2_TRADE), 0, NULL, 0, &scan, &err));
    CHECK(scan.file_count == count);
    k2_scan_done(&scan);
    k2_metadata_unref(m);
}

static bool count_objects(void *self, const struct k2_object *object) {
    (void)object;
    ++*(int *)self;
    return true;
}

static int objects(struct rig *rig) {
    struct k2_err err = {0};
    int count = 0;
    CHECK_OK(k2_store_list(k2_lake_store(rig->lake), "", count_objects, &count, &err));
    return count;
}

TEST(commit_answer_lost) {
    struct rig rig;
    struct k2_err err = {0};
    rig_open(&rig, ANSWER_LOST, 1);
    CHECK_OK(commit(&rig, 0, 5, &err)); /* looked up: it is there */
    check_snapshots(&rig, 1);
    CHECK_OK(commit(&rig, 5, 9, &err));
    check_snapshots(&rig, 2);
    rig_close(&rig);
}

/* Others have gone on from a commit before it is looked up: it is there all the same. */
TEST(commit_answer_lost_and_others_went_on) {
    static const enum fault faults[] = {OVERTAKEN_LOST, EXPIRED_LOST};
    for (size_t i = 0; i < K2_COUNT(faults); i++) {
        struct rig rig;
        struct k2_err err = {0};
        rig_open(&rig, faults[i], 1);
        CHECK_OK(commit(&rig, 0, 5, &err));
        check_snapshots(&rig, faults[i] == EXPIRED_LOST ? 0 : 1);
        rig_close(&rig);
    }
}

TEST(commit_refused) {
    struct rig rig;
    struct k2_err err = {0};
    rig_open(&rig, REFUSED, 1);
    CHECK(!commit(&rig, 0, 5, &err) && err.code == K2_IO && strstr(err.msg, "refused"));
    check_snapshots(&rig, 0);
    CHECK_OK(commit(&rig, 0, 5, &err));
    check_snapshots(&rig, 1);
    rig_close(&rig);
}

TEST(commit_busy_is_tried_again) {
    struct rig rig;
    struct k2_err err = {0};
    rig_open(&rig, BUSY, 3);
    CHECK_OK(commit(&rig, 0, 5, &err));
    check_snapshots(&rig, 1);
    rig_close(&rig);
    rig_open(&rig, BUSY, 1000);
    CHECK(!commit(&rig, 0, 5, &err) && err.code == K2_UNAVAILABLE && err.retriable);
    check_snapshots(&rig, 0);
    rig_close(&rig);
}

TEST(commit_rebases_after_a_lost_swap) {
    struct rig rig;
    struct k2_err err = {0};
    rig_open(&rig, FOREIGN_COMMIT, 3);
    int before = objects(&rig);
    CHECK_OK(commit(&rig, 0, 5, &err));
    check_snapshots(&rig, 1);
    /* Three files of the others; a manifest, a list and a metadata file of ours: what the lost
     * attempts wrote is gone. */
    CHECK(objects(&rig) == before + 3 + 3);
    lies.times = 1000;
    before = objects(&rig);
    CHECK(!commit(&rig, 5, 9, &err) && err.code == K2_UNAVAILABLE && err.retriable);
    CHECK(objects(&rig) == before + 20);
    rig_close(&rig);
}

TEST(commit_outcome_unknown) {
    struct rig rig;
    struct k2_err err = {0};
    rig_open(&rig, GONE_SILENT, 1);
    CHECK(!commit(&rig, 0, 5, &err) && err.code == K2_UNAVAILABLE && !err.retriable);
    CHECK(strstr(err.msg, "unknown") && strstr(err.msg, "load the tables again"));
    check_snapshots(&rig, 1); /* it had landed, and nothing of it was deleted */
    CHECK(!commit(&rig, 0, 5, &err) && err.code == K2_CONFLICT);
    check_snapshots(&rig, 1);
    rig_close(&rig);
}

/* What held for the first attempt may no longer hold for the next. */
TEST(commit_checks_its_moves_again_after_a_lost_swap) {
    struct rig rig;
    struct k2_err err = {0};
    rig_open(&rig, FOREIGN_COMMIT, 0);
    CHECK_OK(commit(&rig, 0, 5, &err));
    int before = objects(&rig);
    lies.times = 1;
    lies.find = "\\\"next\\\":5";
    lies.replace = "\\\"next\\\":7";
    CHECK(!commit(&rig, 5, 9, &err) && err.code == K2_CONFLICT);
    CHECK(strstr(err.msg, "stands at offset 7") && strstr(err.msg, "expected 5"));
    check_snapshots(&rig, 1);
    CHECK(objects(&rig) == before + 1); /* the metadata of the others */
    rig_close(&rig);
}

/* The hint names what the catalog says once a commit has landed, not what landed. */
TEST(commit_hints_at_what_is_newest) {
    struct rig rig;
    struct k2_err err = {0};
    struct k2_buf hint = {0};
    rig_open(&rig, OVERTAKEN, 1);
    CHECK_OK(commit(&rig, 0, 5, &err));
    CHECK_OK(
        k2_store_get(lies.store, "market_data/trades/metadata/version-hint.text", &hint, &err));
    assert_string_equal(k2_buf_cstr(&hint), "00001-foreign");
    k2_buf_done(&hint);
    rig_close(&rig);
}

/* Tables that belong together are seen at one moment. */
TEST(load_of_several_tables_is_one_catalog_read) {
    struct rig rig;
    struct k2_err err = {0};
    const char *names[] = {TRADES, "ops.gaps", "ops.dead_letters"};
    const struct k2_metadata *tables[K2_COUNT(names)];
    rig_open(&rig, NO_FAULT, 0);
    CHECK_OK(k2_lake_load(rig.lake, names, K2_COUNT(names), tables, &err));
    CHECK(lies.loads == 1 && tables[0] && !tables[1] && !tables[2]);
    k2_metadata_unref(tables[0]);
    rig_close(&rig);
}

/* Another process makes the table first: its table is taken, and nothing of ours is left. */
TEST(create_takes_the_table_another_has_just_made) {
    struct rig rig;
    struct k2_err err = {0};
    const struct k2_metadata *quotes = NULL;
    rig_open(&rig, FOREIGN_TABLE, 1);
    CHECK_OK(k2_lake_create(rig.lake, k2_schema_of(K2_QUOTE), NULL, &quotes, &err));
    CHECK(k2_str_is(quotes->metadata_location, rig.base->metadata_location.ptr));
    CHECK(objects(&rig) == 2); /* of trades: the metadata file and the hint */
    k2_metadata_unref(quotes);
    rig_close(&rig);
}
