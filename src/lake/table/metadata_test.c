/* metadata_test.c -- metadata files of Java, PyIceberg and K2; what is kept, what is refused. */
#include <zlib.h>

#include "lake/table/table_impl.h"
#include "support/fixture.h"

static struct k2_metadata *parse(struct k2_str text, struct k2_err *err) {
    return k2_metadata_parse(text, "md.trades",
                             "file:///w/md/trades/metadata/00004-x.metadata.json", err);
}

static struct k2_metadata *fixture(const char *name, struct k2_buf *bytes) {
    struct k2_err err = {0};
    fixture_read(__FILE__, name, bytes);
    struct k2_metadata *m = parse(k2_buf_view(bytes), &err);
    if (!m)
        fail_msg("%s: %s", name, err.msg);
    return m;
}

TEST(metadata_reads_java) {
    struct k2_buf bytes = {0};
    struct k2_metadata *m = fixture("iceberg/java-v2.metadata.json", &bytes);
    CHECK(m->format_version == 2 && m->last_sequence_number == 5 && m->snapshot_count == 5);
    CHECK(m->current_snapshot_id == 7933449487212994085 && m->default_spec_id == 1);
    CHECK(m->schema_count == 2 && m->schemas[1].field_count == 8 && m->current_schema_id == 1);
    CHECK(k2_str_is(m->schemas[0].fields[4].type, "decimal(18, 8)"));
    CHECK(k2_str_is(m->schemas[0].fields[0].doc, "event time"));
    CHECK(m->specs[1].field_count == 3 && k2_str_is(m->specs[1].fields[2].transform, "bucket[16]"));
    CHECK(m->snapshots[0].parent_id == 0 && m->snapshots[4].schema_id == 1);
    CHECK(k2_str_is(k2_snapshot_summary(&m->snapshots[4], "total-records"), "402"));
    CHECK(k2_metadata_find_ref(m, K2_STR("main"))->snapshot_id == m->current_snapshot_id);
    CHECK(!k2_metadata_find_ref(m, K2_STR("other")));
    CHECK(k2_metadata_snapshot_at(m, 1795219548282) == &m->snapshots[2]);
    CHECK(k2_metadata_snapshot_at(m, 1795219544895) == NULL);
    k2_metadata_unref(m);
    k2_buf_done(&bytes);
}

TEST(metadata_reads_others) {
    struct k2_buf bytes = {0};
    struct k2_metadata *m = fixture("iceberg/pyiceberg-v2.metadata.json", &bytes);
    CHECK(m->snapshot_count == 3 && m->snapshots[2].parent_id == m->snapshots[1].snapshot_id);
    k2_metadata_unref(m);
    bytes.len = 0;
    m = fixture("iceberg/java-v1.metadata.json", &bytes);
    CHECK(m->format_version == 1 && m->snapshots[0].sequence_number == 0);
    k2_metadata_unref(m);
    bytes.len = 0;
    struct k2_err err = {0};
    fixture_read(__FILE__, "iceberg/java-v3.metadata.json", &bytes);
    CHECK(!parse(k2_buf_view(&bytes), &err) && err.code == K2_INVALID);
    CHECK(strstr(err.msg, "version 3"));
    k2_buf_done(&bytes);
}

TEST(metadata_reads_gzip) {
    struct k2_buf plain = {0}, packed = {0};
    fixture_read(__FILE__, "iceberg/java-v2.metadata.json", &plain);
    z_stream stream = {0};
    CHECK(deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
    stream.next_in = (Bytef *)plain.ptr;
    stream.avail_in = (uInt)plain.len;
    stream.next_out = (Bytef *)k2_buf_reserve(&packed, plain.len);
    stream.avail_out = (uInt)plain.len;
    CHECK(deflate(&stream, Z_FINISH) == Z_STREAM_END);
    packed.len = stream.total_out;
    deflateEnd(&stream);
    struct k2_err err = {0};
    struct k2_metadata *m = parse(k2_buf_view(&packed), &err);
    CHECK_OK(m != NULL);
    CHECK(m->snapshot_count == 5);
    k2_metadata_unref(m);
    packed.len /= 2;
    CHECK(!parse(k2_buf_view(&packed), &err) && err.code == K2_CORRUPT);
    k2_buf_done(&plain);
    k2_buf_done(&packed);
}

/* Two JSON objects of the same members, wherever they stand. */
static void check_members(const struct k2_json *a, const struct k2_json *b,
                          const char *const *but) {
    void *iterator = NULL;
    struct k2_str key;
    const struct k2_json *value;
    while (k2_json_next(a, &iterator, &key, &value)) {
        if (k2_name_index(but, key) >= 0)
            continue;
        struct k2_buf x = {0}, y = {0};
        k2_json_dump(value, &x);
        k2_json_dump(k2_json_get(b, key.ptr), &y);
        assert_string_equal(k2_buf_cstr(&x), k2_buf_cstr(&y));
        k2_buf_done(&x);
        k2_buf_done(&y);
    }
}

static void check_kept(const char *name) {
    struct k2_err err = {0};
    struct k2_buf bytes = {0}, written = {0};
    struct k2_metadata *m = fixture(name, &bytes);
    struct k2_property summary = {K2_STR("operation"), K2_STR("append")};
    struct k2_snapshot snapshot = {.snapshot_id = 77,
                                   .parent_id = m->current_snapshot_id,
                                   .sequence_number = m->last_sequence_number + 1,
                                   .timestamp_ms = m->last_updated_ms + 1,
                                   .schema_id = 1,
                                   .manifest_list = K2_STR("file:///l.avro"),
                                   .summary_count = 1,
                                   .summary = &summary};
    struct k2_property set[] = {{K2_STR("owner"), {0}},
                                {K2_STR("write.delete.mode"), K2_STR("copy \"on\" write")},
                                {K2_STR("k2.new"), K2_STR("")}};
    struct k2_version_opts opts = {.location = "file:///w/md/trades/metadata/00005-y.metadata.json",
                                   .snapshot = &snapshot,
                                   .timestamp_ms = snapshot.timestamp_ms,
                                   .set = set,
                                   .set_count = 3,
                                   .previous_versions = 3};
    struct k2_metadata *next = k2_metadata_version(m, &opts);
    k2_metadata_write(next, NULL, &written);
    K2_AUTO(k2_json_freep) struct k2_json *a = k2_json_parse(k2_buf_view(&bytes), &err);
    K2_AUTO(k2_json_freep) struct k2_json *b = k2_json_parse(k2_buf_view(&written), &err);
    CHECK_OK(a && b);
    const char *const changed[] = {"last-sequence-number", "last-updated-ms",     "snapshots",
                                   "properties",           "current-snapshot-id", "refs",
                                   "snapshot-log",         "metadata-log",        NULL};
    check_members(a, b, changed);
    const struct k2_json *old = k2_json_get(a, "snapshots"), *new = k2_json_get(b, "snapshots");
    CHECK(k2_json_count(new) == k2_json_count(old) + 1);
    const char *const none[] = {NULL};
    for (size_t i = 0; i < k2_json_count(old); i++)
        check_members(k2_json_at(old, i), k2_json_at(new, i), none);

    struct k2_metadata *read = parse(k2_buf_view(&written), &err);
    CHECK_OK(read != NULL);
    CHECK(read->current_snapshot_id == 77 && read->snapshot_count == m->snapshot_count + 1);
    CHECK(!k2_metadata_property(read, "owner").ptr);
    CHECK(k2_str_is(k2_metadata_property(read, "write.delete.mode"), "copy \"on\" write"));
    CHECK(k2_metadata_property(read, "k2.new").ptr);
    CHECK(k2_metadata_find_ref(read, K2_STR("main"))->snapshot_id == 77);
    CHECK(k2_metadata_impl_of(read)->previous_count == 3);
    CHECK(k2_str_is(k2_metadata_impl_of(read)->previous[2].metadata_file,
                    "file:///w/md/trades/metadata/00004-x.metadata.json"));
    k2_metadata_unref(m); /* the next version outlives it */
    CHECK(next->snapshots[0].manifest_list.len > 0);
    k2_metadata_unref(next);
    k2_metadata_unref(read);
    k2_buf_done(&bytes);
    k2_buf_done(&written);
}

TEST(metadata_keeps_what_it_does_not_know) {
    check_kept("iceberg/java-v2.metadata.json");
    check_kept("iceberg/pyiceberg-v2.metadata.json");
}

/* text with from replaced by to, once. */
static struct k2_metadata *altered(const char *from, const char *to, struct k2_err *err) {
    static struct k2_buf bytes, text;
    bytes.len = text.len = 0;
    fixture_read(__FILE__, "iceberg/java-v2.metadata.json", &bytes);
    const char *at = strstr(k2_buf_cstr(&bytes), from);
    if (!at)
        fail_msg("%s is not in the fixture", from);
    k2_buf_append(&text, bytes.ptr, (size_t)(at - bytes.ptr));
    k2_buf_text(&text, to);
    k2_buf_text(&text, at + strlen(from));
    struct k2_metadata *m = parse(k2_buf_view(&text), err);
    k2_buf_done(&bytes);
    k2_buf_done(&text);
    return m;
}

TEST(metadata_refuses_what_is_broken) {
    struct k2_err err = {0};
    const char *required[] = {"format-version",
                              "table-uuid",
                              "location",
                              "last-updated-ms",
                              "last-column-id",
                              "schemas",
                              "current-schema-id",
                              "partition-specs",
                              "default-spec-id",
                              "last-partition-id",
                              "default-sort-order-id",
                              "sort-orders",
                              "last-sequence-number"};
    for (size_t i = 0; i < K2_COUNT(required); i++) {
        char from[64];
        snprintf(from, sizeof from, "\"%s\"", required[i]);
        CHECK(!altered(from, "\"gone\"", &err));
        CHECK(err.code == K2_CORRUPT && strlen(err.msg) > 10);
    }
    CHECK(!altered("\"current-schema-id\":1", "\"current-schema-id\":9", &err));
    CHECK(!altered("\"default-spec-id\":1", "\"default-spec-id\":9", &err));
    CHECK(!altered("\"current-snapshot-id\":7", "\"current-snapshot-id\":8", &err));
    CHECK(!parse(K2_STR("[]"), &err) && err.code == K2_CORRUPT);
    CHECK(!parse(K2_STR(""), &err) && err.code == K2_CORRUPT);
}

/* ---- field ids ---- */
static struct k2_metadata *trades_with(const char *from, const char *to, struct k2_err *err) {
    struct k2_lake_opts opts = {.warehouse = "memory:", .catalog_name = "k2"};
    struct k2_buf url = {0}, bytes = {0}, text = {0}, path = {0};
    k2_buf_printf(&url, "sqlite:%s/catalog.db", test_dir());
    opts.catalog = k2_buf_cstr(&url);
    struct k2_lake *lake = k2_lake_open(&opts, err);
    CHECK(lake);
    const struct k2_metadata *m = NULL;
    CHECK(k2_lake_create(lake, k2_schema_of(K2_TRADE), NULL, &m, err));
    CHECK(k2_store_path(k2_lake_store(lake), m->metadata_location, &path, err));
    CHECK(k2_store_get(k2_lake_store(lake), k2_buf_cstr(&path), &bytes, err));
    const char *at = strstr(k2_buf_cstr(&bytes), from);
    if (!at)
        fail_msg("%s is not in %s", from, bytes.ptr);
    k2_buf_append(&text, bytes.ptr, (size_t)(at - bytes.ptr));
    k2_buf_text(&text, to);
    k2_buf_text(&text, at + strlen(from));
    struct k2_metadata *changed =
        k2_metadata_parse(k2_buf_view(&text), "market_data.trades", "x", err);
    if (!changed)
        fail_msg("%s", err->msg);
    k2_metadata_unref(m);
    k2_lake_free(lake);
    k2_buf_done(&url);
    k2_buf_done(&bytes);
    k2_buf_done(&text);
    k2_buf_done(&path);
    return changed;
}

static bool fits(const char *from, const char *to, struct k2_err *err) {
    struct k2_field_ids ids[K2_COLUMNS_MAX];
    struct k2_metadata *m = trades_with(from, to, err);
    bool ok = k2_metadata_field_ids(m, k2_schema_of(K2_TRADE), ids, err);
    k2_metadata_unref(m);
    return ok;
}

TEST(metadata_field_ids) {
    struct k2_err err = {0};
#define PRICE "\"name\":\"price\",\"required\":true,\"type\":\"decimal(18, 8)\""
#define NANOS "\"name\":\"timestamp_nanos\",\"required\":true,\"type\":\"int\""
    CHECK(fits(PRICE, "\"name\":\"cost\",\"required\":false,\"type\":\"decimal(38,8)\"", &err));
    CHECK(fits(NANOS, "\"name\":\"n\",\"required\":true,\"type\":\"long\"", &err));
    CHECK(!fits(PRICE, "\"name\":\"price\",\"required\":true,\"type\":\"decimal(10, 8)\"", &err));
    CHECK(err.code == K2_INVALID && strstr(err.msg, "price") && strstr(err.msg, "decimal(10, 8)"));
    CHECK(!fits(PRICE, "\"name\":\"price\",\"required\":true,\"type\":\"decimal(20, 2)\"", &err));
    CHECK(!fits(PRICE, "\"name\":\"price\",\"required\":true,\"type\":\"double\"", &err));
    CHECK(!fits("{\"id\":3,", "{\"id\":23,", &err) && strstr(err.msg, "dropped"));
    CHECK(!fits("\"name\":\"source_sequence\",\"required\":false",
                "\"name\":\"source_sequence\",\"required\":true", &err));
    CHECK(!fits(",side:10", ",slide:10", &err) && strstr(err.msg, "side"));
    CHECK(!fits("\"k2.columns\"", "\"k3.columns\"", &err) && strstr(err.msg, "k2.columns"));
}
