/* table_test.c -- tables over memory and files: create, commit, positions, conflicts, scans. */
#include "lake/table/table.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/date.h"
#include "base/file.h"
#include "base/json.h"
#include "lake/table/manifest.h"
#include "support/test.h"

#define TRADES "market_data.trades"
enum { DAY0 = 16139 }; /* 2014-03-10 */

struct rig {
    struct k2_clock_fake clock;
    struct k2_lake *lake;
    char warehouse[128], catalog[160];
};

static struct k2_lake *open_lake(struct rig *rig, struct k2_clock *clock) {
    struct k2_err err = {0};
    struct k2_lake_opts opts = {.warehouse = rig->warehouse,
                                .catalog = rig->catalog,
                                .catalog_name = "k2",
                                .clock = clock,
                                .previous_versions = 5,
                                .manifest_merge_count = 8};
    struct k2_lake *lake = k2_lake_open(&opts, &err);
    if (!lake)
        fail_msg("%s", err.msg);
    return lake;
}

static void rig_open(struct rig *rig, bool is_local) {
    const char *dir = test_dir();
    snprintf(rig->warehouse, sizeof rig->warehouse, is_local ? "file:%s/wh" : "memory:", dir);
    snprintf(rig->catalog, sizeof rig->catalog, "sqlite:%s/catalog.db", dir);
    k2_clock_fake_init(&rig->clock, 1700000000000000000);
    rig->lake = open_lake(rig, &rig->clock.clock);
}

static void rig_close(struct rig *rig) {
    k2_lake_free(rig->lake);
}

static const struct k2_metadata *load(struct k2_lake *lake, const char *table) {
    struct k2_err err = {0};
    const struct k2_metadata *metadata = NULL;
    if (!k2_lake_load(lake, &table, 1, &metadata, &err))
        fail_msg("%s", err.msg);
    return metadata;
}

static const struct k2_metadata *create(struct k2_lake *lake, enum k2_kind kind,
                                        const char *partition) {
    struct k2_err err = {0};
    const struct k2_metadata *metadata = NULL;
    if (!k2_lake_create(lake, k2_schema_of(kind), partition, &metadata, &err))
        fail_msg("%s", err.msg);
    return metadata;
}

static bool prop_is(const struct k2_metadata *m, const char *key, const char *value) {
    return k2_str_is(k2_metadata_property(m, key), value);
}

/* A data file that was never written: what commits and scans know of one. */
struct fake_file {
    struct k2_data_file file;
    struct k2_column_stats stats[2];
    int64_t low_us, high_us;
    char path[200];
};

static struct k2_buf view(const void *bytes, size_t len) {
    return (struct k2_buf){(char *)bytes, len, 0};
}

static void fake(struct fake_file *f, const struct k2_metadata *m, int number, int day,
                 const char *exchange, const char *low_symbol, const char *high_symbol) {
    *f = (struct fake_file){.low_us = day * K2_DAY_US, .high_us = day * K2_DAY_US + 1000};
    snprintf(f->path, sizeof f->path, "%s/data/day=%d/%s/%d.parquet", m->location.ptr, day,
             exchange, number);
    f->stats[0] = (struct k2_column_stats){.field_id = K2_TRADE_SYMBOL + 1,
                                           .bytes = 10,
                                           .value_count = 100,
                                           .has_bounds = true,
                                           .has_upper = true,
                                           .lower = view(low_symbol, strlen(low_symbol)),
                                           .upper = view(high_symbol, strlen(high_symbol))};
    f->stats[1] = (struct k2_column_stats){.field_id = K2_TRADE_TIMESTAMP + 1,
                                           .bytes = 10,
                                           .value_count = 100,
                                           .has_bounds = true,
                                           .has_upper = true,
                                           .lower = view(&f->low_us, 8),
                                           .upper = view(&f->high_us, 8)};
    f->file = (struct k2_data_file){.path = k2_str_of(f->path),
                                    .spec_id = m->default_spec_id,
                                    .partition = {{.number = day}, {.text = k2_str_of(exchange)}},
                                    .record_count = 100,
                                    .file_size = 1000,
                                    .stats_count = 2,
                                    .stats = f->stats,
                                    .sort_order_id = 1};
}

static struct k2_move move(int log_partition, bool is_first, int64_t from, int64_t to) {
    struct k2_move m = {.topic = "market.crypto.trades.sim",
                        .log_partition = log_partition,
                        .is_first = is_first,
                        .from = {.log_id = "5f3e", .next = from},
                        .to = {.log_id = "5f3e", .next = to, .epoch = 1}};
    return m;
}

static const struct k2_metadata *append(struct k2_lake *lake, const struct k2_metadata *base,
                                        const struct k2_data_file *files, int count,
                                        const struct k2_move *moves, int move_count) {
    struct k2_err err = {0};
    struct k2_change change = {.base = base,
                               .operation = "append",
                               .add_count = count,
                               .add = files,
                               .moves = moves,
                               .move_count = move_count};
    if (!k2_lake_commit(lake, &change, 1, &err))
        fail_msg("%s", err.msg);
    return change.result;
}

#define TABLE_TEST(id)                                                                             \
    static void id##_on(struct rig *rig);                                                          \
    TEST(id##_memory) {                                                                            \
        struct rig rig;                                                                            \
        rig_open(&rig, false);                                                                     \
        id##_on(&rig);                                                                             \
        rig_close(&rig);                                                                           \
    }                                                                                              \
    TEST(id##_files) {                                                                             \
        struct rig rig;                                                                            \
        rig_open(&rig, true);                                                                      \
        id##_on(&rig);                                                                             \
        rig_close(&rig);                                                                           \
    }                                                                                              \
    static void id##_on(struct rig *rig)

TABLE_TEST(table_create) {
    CHECK(load(rig->lake, TRADES) == NULL);
    const struct k2_metadata *m = create(rig->lake, K2_TRADE, NULL);
    CHECK(m->format_version == 2 && m->current_snapshot_id == 0 && m->snapshot_count == 0);
    CHECK(m->last_column_id == K2_TRADE_COLUMNS + 4 && m->default_sort_id == 1);
    CHECK(m->specs[0].field_count == 2 && m->last_partition_id == 1001);
    CHECK(k2_str_is(m->specs[0].fields[0].name, "timestamp_day"));
    CHECK(m->specs[0].fields[0].source_id == K2_TRADE_TIMESTAMP + 1);
    CHECK(prop_is(m, "write.parquet.compression-codec", "zstd"));
    CHECK(prop_is(m, "write.metadata.previous-versions-max", "5"));
    const struct k2_metadata *again = create(rig->lake, K2_TRADE, NULL);
    CHECK(again == m);
    struct k2_field_ids ids[K2_COLUMNS_MAX], expected[K2_COLUMNS_MAX];
    struct k2_err err = {0};
    CHECK_OK(k2_metadata_field_ids(m, k2_schema_of(K2_TRADE), ids, &err));
    k2_schema_default_ids(k2_schema_of(K2_TRADE), expected);
    CHECK(memcmp(ids, expected, sizeof *ids * K2_TRADE_COLUMNS) == 0);
    CHECK(!k2_metadata_field_ids(m, k2_schema_of(K2_QUOTE), ids, &err) && err.code == K2_INVALID);
    k2_metadata_unref(again);
    k2_metadata_unref(m);
    const struct k2_metadata *gaps = create(rig->lake, K2_GAP, NULL);
    CHECK(gaps->default_sort_id == 0 && gaps->specs[0].field_count == 0);
    CHECK(gaps->last_partition_id == 999);
    k2_metadata_unref(gaps);
}

/* The spec of the table, as text, after it was asked for. */
static const struct k2_metadata *respec(struct rig *rig, const char *text, int32_t id, int count,
                                        int32_t last_field) {
    const struct k2_metadata *m = create(rig->lake, K2_TRADE, text);
    const struct k2_metadata *seen = load(rig->lake, TRADES);
    CHECK(seen == m && m->default_spec_id == id && m->spec_count == count);
    CHECK(m->last_partition_id == last_field);
    k2_metadata_unref(seen);
    return m;
}

TABLE_TEST(table_partition_specs_follow_each_other) {
    struct fake_file file;
    const struct k2_metadata *m = create(rig->lake, K2_TRADE, NULL);
    fake(&file, m, 0, DAY0, "ASX", "AAA", "MMM");
    const struct k2_metadata *before = append(rig->lake, m, &file.file, 1, NULL, 0);
    k2_metadata_unref(m);
    m = respec(rig, "exchange, truncate(symbol, 4)", 1, 2, 1002);
    CHECK(m->specs[1].fields[0].field_id == 1001); /* it is the field that was there */
    CHECK(m->specs[1].fields[1].field_id == 1002);
    CHECK(m->current_snapshot_id == before->current_snapshot_id && m->snapshot_count == 1);
    CHECK(m->last_updated_ms > before->last_updated_ms);
    k2_metadata_unref(before);
    k2_metadata_unref(m);
    m = respec(rig, "exchange, truncate(symbol, 4)", 1, 2, 1002); /* it is so already */
    k2_metadata_unref(m);
    m = respec(rig, NULL, 1, 2, 1002); /* nobody asks for another */
    k2_metadata_unref(m);
    m = respec(rig, "day(timestamp), exchange", 0, 2, 1002);
    k2_metadata_unref(m);
    m = respec(rig, "none", 2, 3, 1002);
    struct k2_err err = {0};
    const struct k2_metadata *none = NULL;
    CHECK(!k2_lake_create(rig->lake, k2_schema_of(K2_TRADE), "nope", &none, &err));
    CHECK(err.code == K2_INVALID);
    k2_metadata_unref(none);
    none = respec(rig, NULL, 2, 3, 1002);
    CHECK(none == m);
    k2_metadata_unref(none);
    k2_metadata_unref(m);
}

/* What was read ahead is read no more: the files may be gone by then. */
TABLE_TEST(table_read_ahead) {
    static const char *const names[] = {"market_data.quotes", TRADES};
    if (strncmp(rig->warehouse, "file:", 5) != 0)
        return;
    const struct k2_metadata *m = create(rig->lake, K2_TRADE, NULL);
    struct fake_file file;
    fake(&file, m, 0, DAY0, "ASX", "AAA", "MMM");
    const struct k2_metadata *after = append(rig->lake, m, &file.file, 1, NULL, 0);
    struct k2_lake *ahead = open_lake(rig, &rig->clock.clock);
    struct k2_lake *enough = open_lake(rig, &rig->clock.clock);
    atomic_bool is_enough = false;
    k2_lake_read_ahead(ahead, names, 2, &is_enough);
    is_enough = true;
    k2_lake_read_ahead(enough, names, 2, &is_enough);
    struct k2_err err = {0};
    CHECK_OK(k2_path_remove(rig->warehouse + 5, &err));
    const struct k2_metadata *read = load(ahead, TRADES);
    struct k2_scan scan;
    CHECK_OK(k2_table_scan(ahead, read, k2_schema_of(K2_TRADE), 0, NULL, 0, &scan, &err));
    CHECK(scan.file_count == 1);
    const struct k2_metadata *none = NULL;
    CHECK(!k2_lake_load(enough, &names[1], 1, &none, &err) && err.code == K2_NOT_FOUND);
    is_enough = false;
    k2_lake_read_ahead(enough, names, 2, &is_enough); /* what is wrong is for others to say */
    k2_scan_done(&scan);
    k2_metadata_unref(read);
    k2_lake_free(ahead);
    k2_lake_free(enough);
    k2_metadata_unref(after);
    k2_metadata_unref(m);
}

TABLE_TEST(table_append_and_reload) {
    const struct k2_metadata *m = create(rig->lake, K2_TRADE, NULL);
    struct fake_file files[2];
    fake(&files[0], m, 0, DAY0, "ASX", "AAA", "MMM");
    fake(&files[1], m, 1, DAY0 + 1, "SIM", "BBB", "ZZZ");
    struct k2_data_file both[] = {files[0].file, files[1].file};
    struct k2_move moves[] = {move(0, true, 0, 50), move(3, true, 7, 100)};
    const struct k2_metadata *after = append(rig->lake, m, both, 2, moves, 2);
    CHECK(after->snapshot_count == 1 && after->last_sequence_number == 1);
    struct k2_lake *other = open_lake(rig, &rig->clock.clock);
    /* A memory store is its lake's own, so only files can be read by another. */
    if (strncmp(rig->warehouse, "file:", 5) == 0) {
        const struct k2_metadata *read = load(other, TRADES);
        const struct k2_snapshot *s = k2_metadata_snapshot(read, after->current_snapshot_id);
        CHECK(s && s->sequence_number == 1 && s->parent_id == 0 && s->schema_id == 0);
        CHECK(k2_str_is(k2_snapshot_summary(s, "added-records"), "200"));
        CHECK(k2_str_is(k2_snapshot_summary(s, "total-data-files"), "2"));
        CHECK(k2_str_is(k2_snapshot_summary(s, "changed-partition-count"), "2"));
        CHECK(k2_str_is(k2_snapshot_summary(s, "k2.moved"),
                        "{\"market.crypto.trades.sim\":{\"0\":[0,50],\"3\":[7,100]}}"));
        CHECK(read->log_count == 1 && read->ref_count == 1);
        CHECK(k2_metadata_find_ref(read, K2_STR("main"))->snapshot_id == s->snapshot_id);
        struct k2_scan scan;
        struct k2_err err = {0};
        CHECK_OK(k2_table_scan(other, read, k2_schema_of(K2_TRADE), 0, NULL, 0, &scan, &err));
        CHECK(scan.file_count == 2 && scan.total_files == 2 && scan.total_rows == 200);
        const struct k2_data_file *f = &scan.files[0];
        CHECK(k2_str_eq(f->path, both[0].path) && f->record_count == 100 && f->file_size == 1000);
        CHECK(f->sequence_number == 1 && f->file_sequence_number == 1);
        CHECK(f->snapshot_id == s->snapshot_id && f->sort_order_id == 1);
        CHECK(f->partition[0].number == DAY0 && k2_str_is(f->partition[1].text, "ASX"));
        CHECK(f->stats_count == 2 && f->stats[0].value_count == 100);
        CHECK(k2_str_is(k2_buf_view(&f->stats[0].upper), "MMM"));
        k2_scan_done(&scan);
        k2_metadata_unref(read);
    }
    k2_lake_free(other);
    k2_metadata_unref(after);
    k2_metadata_unref(m);
}

struct positions {
    struct k2_buf text;
};

static bool add_position(void *self, struct k2_str topic, int log_partition,
                         const struct k2_position *position) {
    struct positions *p = self;
    k2_buf_printf(&p->text, "%.*s/%d=%s:%lld:%lld:%s:%lld ", K2_FMT(topic), log_partition,
                  position->log_id, (long long)position->next, (long long)position->epoch,
                  position->state, (long long)position->state_offset);
    return true;
}

TABLE_TEST(table_positions) {
    struct k2_err err = {0};
    const struct k2_metadata *m = create(rig->lake, K2_TRADE, NULL);
    bool found;
    struct k2_position position;
    CHECK_OK(k2_position_find(m, "market.crypto.trades.sim", 0, &found, &position, &err));
    CHECK(!found);
    struct k2_move moves[] = {move(10, true, 0, 5), move(2, true, 0, 50)};
    snprintf(moves[1].to.state, sizeof moves[1].to.state, "7a\"b");
    moves[1].to.state_offset = 40;
    const struct k2_metadata *after = append(rig->lake, m, NULL, 0, moves, 2);
    CHECK(after->snapshot_count == 1);
    CHECK_OK(k2_position_find(after, "market.crypto.trades.sim", 2, &found, &position, &err));
    CHECK(found && position.next == 50 && position.epoch == 1 && position.state_offset == 40);
    struct positions seen = {0};
    CHECK_OK(k2_position_each(after, add_position, &seen, &err));
    assert_string_equal(k2_buf_cstr(&seen.text), "market.crypto.trades.sim/2=5f3e:50:1:7a\"b:40 "
                                                 "market.crypto.trades.sim/10=5f3e:5:1::0 ");
    k2_buf_done(&seen.text);
    k2_metadata_unref(after);
    k2_metadata_unref(m);
}

static enum k2_code try_move(struct rig *rig, const struct k2_metadata *base, struct k2_move wanted,
                             struct k2_err *err) {
    *err = (struct k2_err){0};
    struct k2_change change = {
        .base = base, .operation = "append", .moves = &wanted, .move_count = 1};
    bool ok = k2_lake_commit(rig->lake, &change, 1, err);
    k2_metadata_unref(change.result);
    return ok ? K2_OK : err->code;
}

static bool count_objects(void *self, const struct k2_object *object) {
    (void)object;
    ++*(int *)self;
    return true;
}

TABLE_TEST(table_requirements) {
    struct k2_err err = {0};
    const struct k2_metadata *m = create(rig->lake, K2_TRADE, NULL);
    CHECK(try_move(rig, m, move(0, false, 0, 5), &err) == K2_CONFLICT);
    CHECK(try_move(rig, m, move(0, true, 0, 5), &err) == K2_OK);
    int before = 0, after = 0;
    CHECK_OK(k2_store_list(k2_lake_store(rig->lake), "", count_objects, &before, &err));
    CHECK(try_move(rig, m, move(0, true, 0, 5), &err) == K2_CONFLICT);
    CHECK(strstr(err.msg, "market.crypto.trades.sim") && strstr(err.msg, "partition 0"));
    CHECK(try_move(rig, m, move(0, false, 4, 9), &err) == K2_CONFLICT);
    CHECK(strstr(err.msg, "offset 5") && strstr(err.msg, "expected 4"));
    struct k2_move other = move(0, false, 5, 9);
    snprintf(other.from.log_id, sizeof other.from.log_id, "beef");
    CHECK(try_move(rig, m, other, &err) == K2_CONFLICT);
    other = move(0, false, 5, 9);
    snprintf(other.from.state, sizeof other.from.state, "s");
    CHECK(try_move(rig, m, other, &err) == K2_CONFLICT);
    other = move(0, false, 5, 9);
    other.from.state_offset = 1;
    CHECK(try_move(rig, m, other, &err) == K2_CONFLICT);
    other = move(0, false, 5, 9);
    other.to.epoch = 0;
    CHECK(try_move(rig, m, other, &err) == K2_CONFLICT);
    CHECK(try_move(rig, m, move(0, false, 5, 4), &err) == K2_INVALID);
    CHECK_OK(k2_store_list(k2_lake_store(rig->lake), "", count_objects, &after, &err));
    CHECK(before == after); /* what fails leaves nothing behind */
    CHECK(try_move(rig, m, move(0, false, 5, 9), &err) == K2_OK);
    k2_metadata_unref(m);
}

TABLE_TEST(table_commits_several_or_none) {
    struct k2_err err = {0};
    const struct k2_metadata *trades = create(rig->lake, K2_TRADE, NULL);
    const struct k2_metadata *gaps = create(rig->lake, K2_GAP, NULL);
    struct k2_move wanted = move(0, true, 0, 10);
    struct k2_property set = {K2_STR("k2.log.12345678"), K2_STR("topic")};
    struct k2_property extra = {K2_STR("k2.writer"), K2_STR("test")};
    struct k2_change changes[] = {
        {.base = trades, .operation = "append", .moves = &wanted, .move_count = 1},
        {.base = gaps,
         .operation = "append",
         .set = &set,
         .set_count = 1,
         .summary = &extra,
         .summary_count = 1}};
    CHECK_OK(k2_lake_commit(rig->lake, changes, 2, &err));
    const struct k2_metadata *first[] = {changes[0].result, changes[1].result};
    CHECK(prop_is(first[1], "k2.log.12345678", "topic"));
    CHECK(k2_str_is(k2_snapshot_summary(&first[1]->snapshots[0], "k2.writer"), "test"));
    CHECK(first[0]->last_updated_ms == first[1]->last_updated_ms);
    CHECK(first[0]->snapshots[0].timestamp_ms == first[1]->snapshots[0].timestamp_ms);

    /* The move no longer holds: neither table may change. */
    CHECK(!k2_lake_commit(rig->lake, changes, 2, &err) && err.code == K2_CONFLICT);
    const struct k2_metadata *now = load(rig->lake, "ops.gaps");
    CHECK(now->snapshot_count == 1);
    k2_metadata_unref(now);
    changes[1].base = trades;
    CHECK(!k2_lake_commit(rig->lake, changes, 2, &err) && err.code == K2_INVALID);
    k2_metadata_unref(first[0]);
    k2_metadata_unref(first[1]);
    k2_metadata_unref(trades);
    k2_metadata_unref(gaps);
}

TABLE_TEST(table_snapshot_times) {
    const struct k2_metadata *m = create(rig->lake, K2_TRADE, NULL);
    int64_t start = m->last_updated_ms;
    const struct k2_metadata *a = append(rig->lake, m, NULL, 0, NULL, 0);
    CHECK(a->last_updated_ms == start + 1); /* the clock stands still */
    rig->clock.ns -= 120 * 1000000000ll;
    const struct k2_metadata *b = append(rig->lake, a, NULL, 0, NULL, 0);
    CHECK(b->last_updated_ms == start + 2);
    CHECK(k2_str_is(k2_snapshot_summary(&b->snapshots[1], "k2.clock-behind-ms"), "120001"));
    rig->clock.ns += 1000 * 1000000000ll;
    const struct k2_metadata *c = append(rig->lake, b, NULL, 0, NULL, 0);
    CHECK(c->last_updated_ms == start + 880000);
    CHECK(!k2_snapshot_summary(&c->snapshots[2], "k2.clock-behind-ms").ptr);
    CHECK(k2_metadata_snapshot_at(c, start) == NULL);
    CHECK(k2_metadata_snapshot_at(c, start + 1) == &c->snapshots[0]);
    CHECK(k2_metadata_snapshot_at(c, start + 879999) == &c->snapshots[1]);
    CHECK(k2_metadata_snapshot_at(c, INT64_MAX) == &c->snapshots[2]);
    CHECK(c->snapshots[2].parent_id == c->snapshots[1].snapshot_id);
    k2_metadata_unref(m);
    k2_metadata_unref(a);
    k2_metadata_unref(b);
    k2_metadata_unref(c);
}

/* ---- scans ---- */
static int files_of(struct rig *rig, const struct k2_metadata *m, int64_t snapshot,
                    const struct k2_predicate *predicates, int count) {
    struct k2_scan scan;
    struct k2_err err = {0};
    CHECK_OK(k2_table_scan(rig->lake, m, k2_schema_of(K2_TRADE), snapshot, predicates, count, &scan,
                           &err));
    int files = scan.file_count;
    k2_scan_done(&scan);
    return files;
}

static int equal(struct rig *rig, const struct k2_metadata *m, int column, const char *text) {
    struct k2_str value = k2_str_of(text);
    struct k2_predicate p = {.column = column, .value_count = 1, .values = &value};
    return files_of(rig, m, 0, &p, 1);
}

static int within(struct rig *rig, const struct k2_metadata *m, int column, int64_t low,
                  int64_t high) {
    struct k2_predicate p = {
        .column = column, .has_low = true, .low = low, .has_high = true, .high = high};
    return files_of(rig, m, 0, &p, 1);
}

TABLE_TEST(table_scan_prunes) {
    const struct k2_metadata *m = create(rig->lake, K2_TRADE, NULL);
    struct fake_file f[4];
    fake(&f[0], m, 0, DAY0, "ASX", "AAA", "MMM");
    fake(&f[1], m, 1, DAY0, "SIM", "NNN", "ZZZ");
    fake(&f[2], m, 2, DAY0 + 1, "ASX", "AAA", "ZZZ");
    fake(&f[3], m, 3, -3, "OLD", "AAA", "ZZZ"); /* before 1970 */
    f[3].stats[0].has_upper = false;
    const struct k2_metadata *a =
        append(rig->lake, m, (struct k2_data_file[]){f[0].file, f[1].file}, 2, NULL, 0);
    const struct k2_metadata *b =
        append(rig->lake, a, (struct k2_data_file[]){f[2].file, f[3].file}, 2, NULL, 0);
    CHECK(files_of(rig, b, 0, NULL, 0) == 4);
    CHECK(files_of(rig, b, a->current_snapshot_id, NULL, 0) == 2);
    CHECK(equal(rig, b, K2_TRADE_EXCHANGE, "ASX") == 2);
    CHECK(equal(rig, b, K2_TRADE_EXCHANGE, "SIM") == 1);
    CHECK(equal(rig, b, K2_TRADE_EXCHANGE, "NYSE") == 0);
    CHECK(equal(rig, b, K2_TRADE_SYMBOL, "BBB") == 3);
    CHECK(equal(rig, b, K2_TRADE_SYMBOL, "ZZZ") == 3);
    CHECK(equal(rig, b, K2_TRADE_SYMBOL, "ZZZZ") == 3); /* as if the bound were cut */
    CHECK(equal(rig, b, K2_TRADE_SYMBOL, "a") == 1);    /* no upper bound: may be there */
    CHECK(within(rig, b, K2_TRADE_TIMESTAMP, DAY0 * K2_DAY_US, DAY0 * K2_DAY_US) == 2);
    CHECK(within(rig, b, K2_TRADE_TIMESTAMP, DAY0 * K2_DAY_US + 1001, INT64_MAX) == 1);
    CHECK(within(rig, b, K2_TRADE_TIMESTAMP, -3 * K2_DAY_US, -3 * K2_DAY_US + 5) == 1);
    CHECK(within(rig, b, K2_TRADE_TIMESTAMP, INT64_MIN, -3 * K2_DAY_US - 1) == 0);
    CHECK(within(rig, b, K2_TRADE_PRICE, 5, 6) == 4); /* no statistics: nothing is proved */
    struct k2_str asx = K2_STR("ASX");
    struct k2_predicate two[] = {
        {.column = K2_TRADE_EXCHANGE, .value_count = 1, .values = &asx},
        {.column = K2_TRADE_TIMESTAMP, .has_low = true, .low = (DAY0 + 1) * K2_DAY_US}};
    CHECK(files_of(rig, b, 0, two, 2) == 1);
    struct k2_scan scan;
    struct k2_err err = {0};
    CHECK(!k2_table_scan(rig->lake, b, k2_schema_of(K2_TRADE), 77, NULL, 0, &scan, &err));
    CHECK(err.code == K2_NOT_FOUND);
    k2_metadata_unref(m);
    k2_metadata_unref(a);
    k2_metadata_unref(b);
}

/* ---- many commits ---- */
TABLE_TEST(table_merges_manifests) {
    const struct k2_metadata *m = create(rig->lake, K2_TRADE, NULL);
    enum { COMMITS = 40 };
    for (int i = 0; i < COMMITS; i++) {
        struct fake_file f;
        fake(&f, m, i, DAY0 + i % 3, i % 2 ? "ASX" : "SIM", "AAA", "ZZZ");
        const struct k2_metadata *next = append(rig->lake, m, &f.file, 1, NULL, 0);
        k2_metadata_unref(m);
        m = next;
    }
    const struct k2_snapshot *last = &m->snapshots[COMMITS - 1];
    struct k2_buf bytes = {0}, path = {0};
    struct k2_err err = {0};
    CHECK_OK(k2_store_path(k2_lake_store(rig->lake), last->manifest_list, &path, &err));
    CHECK_OK(k2_store_get(k2_lake_store(rig->lake), k2_buf_cstr(&path), &bytes, &err));
    struct k2_manifest_list *list = k2_manifest_list_parse(k2_buf_view(&bytes), &err);
    CHECK_OK(list != NULL);
    CHECK(list->count <= 9);
    int64_t added = 0, existing = 0;
    for (int i = 0; i < list->count; i++) {
        const struct k2_manifest_file *row = &list->files[i];
        added += row->added_files;
        existing += row->existing_files;
        CHECK(row->min_sequence_number >= 1);
        CHECK(row->min_sequence_number <= row->sequence_number);
    }
    CHECK(added + existing == COMMITS && existing > 0);
    k2_manifest_list_unref(list);
    CHECK(k2_str_is(k2_snapshot_summary(last, "total-data-files"), "40"));
    CHECK(k2_str_is(k2_snapshot_summary(last, "operation"), "append"));

    struct k2_scan scan;
    CHECK_OK(k2_table_scan(rig->lake, m, k2_schema_of(K2_TRADE), 0, NULL, 0, &scan, &err));
    CHECK(scan.file_count == COMMITS);
    bool seen[COMMITS + 1] = {0};
    for (int i = 0; i < COMMITS; i++) {
        int64_t sequence = scan.files[i].sequence_number;
        CHECK(sequence >= 1 && sequence <= COMMITS && !seen[sequence]);
        seen[sequence] = true;
        CHECK(scan.files[i].file_sequence_number == sequence);
        CHECK(scan.files[i].snapshot_id == m->snapshots[sequence - 1].snapshot_id);
    }
    k2_scan_done(&scan);
    for (int i = 0; i < COMMITS; i++) /* every old snapshot stays as it was */
        CHECK(files_of(rig, m, m->snapshots[i].snapshot_id, NULL, 0) == i + 1);
    k2_buf_done(&bytes);
    k2_buf_done(&path);
    k2_metadata_unref(m);
}

TEST(table_metadata_log_and_hint) {
    struct rig rig;
    rig_open(&rig, true);
    struct k2_err err = {0};
    const struct k2_metadata *m = create(rig.lake, K2_TRADE, NULL);
    for (int i = 0; i < 9; i++) {
        const struct k2_metadata *next = append(rig.lake, m, NULL, 0, NULL, 0);
        k2_metadata_unref(m);
        m = next;
    }
    struct k2_buf bytes = {0}, hint = {0}, path = {0};
    struct k2_store *store = k2_lake_store(rig.lake);
    CHECK_OK(k2_store_path(store, m->metadata_location, &path, &err));
    CHECK(strstr(k2_buf_cstr(&path), "/metadata/00009-"));
    CHECK_OK(k2_store_get(store, path.ptr, &bytes, &err));
    struct k2_json *json = k2_json_parse(k2_buf_view(&bytes), &err);
    CHECK_OK(json != NULL);
    const struct k2_json *log = k2_json_get(json, "metadata-log");
    CHECK(k2_json_count(log) == 5);
    struct k2_str last = k2_json_str(k2_json_get(k2_json_at(log, 4), "metadata-file"));
    CHECK(memmem(last.ptr, last.len, "/metadata/00008-", 16));
    CHECK(k2_json_count(k2_json_get(json, "snapshot-log")) == 9);
    k2_json_free(json);
    CHECK_OK(k2_store_get(store, "market_data/trades/metadata/version-hint.text", &hint, &err));
    const char *name = strrchr(path.ptr, '/') + 1;
    CHECK(hint.len == 5 + 1 + 36 && memcmp(hint.ptr, name, hint.len) == 0);
    k2_buf_done(&bytes);
    k2_buf_done(&hint);
    k2_buf_done(&path);
    k2_metadata_unref(m);
    rig_close(&rig);
}

/* ---- races ---- */
enum { RACERS = 4, ROUNDS = 25 };
struct race {
    struct rig *rig;
    atomic_int landed, conflicts;
    int number;
};

/* Each thread is a process of its own: an own lake on the same files. All move log partition 0. */
static void *race_commits(void *self) {
    struct race *race = self;
    struct k2_lake *lake = open_lake(race->rig, k2_clock_real());
    for (int i = 0; i < ROUNDS;) {
        struct k2_err err = {0};
        const struct k2_metadata *m = load(lake, TRADES);
        struct k2_position position = {0};
        bool found;
        if (!k2_position_find(m, "market.crypto.trades.sim", 0, &found, &position, &err))
            abort();
        struct k2_move wanted = move(0, !found, position.next, position.next + 1);
        struct k2_change change = {
            .base = m, .operation = "append", .moves = &wanted, .move_count = 1};
        bool ok = k2_lake_commit(lake, &change, 1, &err);
        if (!ok && err.code != K2_CONFLICT)
            abort();
        atomic_fetch_add(ok ? &race->landed : &race->conflicts, 1);
        i += ok;
        k2_metadata_unref(change.result);
        k2_metadata_unref(m);
    }
    k2_lake_free(lake);
    return NULL;
}

TEST(table_racing_writers) {
    struct rig rig;
    rig_open(&rig, true);
    struct k2_err err = {0};
    k2_metadata_unref(create(rig.lake, K2_TRADE, NULL));
    struct race race = {.rig = &rig};
    pthread_t threads[RACERS];
    for (int i = 0; i < RACERS; i++)
        CHECK(pthread_create(&threads[i], NULL, race_commits, &race) == 0);
    for (int i = 0; i < RACERS; i++)
        pthread_join(threads[i], NULL);
    const struct k2_metadata *m = load(rig.lake, TRADES);
    struct k2_position position;
    bool found;
    CHECK_OK(k2_position_find(m, "market.crypto.trades.sim", 0, &found, &position, &err));
    CHECK(position.next == RACERS * ROUNDS && m->snapshot_count == RACERS * ROUNDS);
    CHECK(atomic_load(&race.landed) == RACERS * ROUNDS);
    k2_metadata_unref(m);
    rig_close(&rig);
}

TEST(table_rebases_on_foreign_commits) {
    struct rig rig;
    rig_open(&rig, true);
    const struct k2_metadata *m = create(rig.lake, K2_TRADE, NULL);
    struct k2_lake *other = open_lake(&rig, &rig.clock.clock);
    struct fake_file f[2];
    fake(&f[0], m, 0, DAY0, "ASX", "AAA", "MMM");
    fake(&f[1], m, 1, DAY0, "SIM", "NNN", "ZZZ");
    struct k2_move one = move(0, true, 0, 5), two = move(1, true, 0, 6);
    const struct k2_metadata *a = append(other, m, &f[0].file, 1, &one, 1);
    const struct k2_metadata *b = append(rig.lake, m, &f[1].file, 1, &two, 1);
    CHECK(b->snapshot_count == 2 && b->snapshots[1].parent_id == a->current_snapshot_id);
    CHECK(files_of(&rig, b, 0, NULL, 0) == 2);
    bool found;
    struct k2_position position;
    struct k2_err err = {0};
    CHECK_OK(k2_position_find(b, "market.crypto.trades.sim", 0, &found, &position, &err));
    CHECK(found && position.next == 5);
    k2_metadata_unref(m);
    k2_metadata_unref(a);
    k2_metadata_unref(b);
    k2_lake_free(other);
    rig_close(&rig);
}
