/* manifest_test.c -- manifests as the Java library writes them, and those it and others wrote. */
#include "lake/table/manifest.h"

#include "base/json.h"
#include "lake/table/avro_container.h"
#include "support/fixture.h"

static struct k2_manifest_list *list_of(const char *name) {
    struct k2_err err = {0};
    struct k2_buf bytes = {0};
    fixture_read(__FILE__, name, &bytes);
    struct k2_manifest_list *list = k2_manifest_list_parse(k2_buf_view(&bytes), &err);
    if (!list)
        fail_msg("%s: %s", name, err.msg);
    k2_buf_done(&bytes);
    return list;
}

static struct k2_manifest *manifest_of(const char *name, const struct k2_manifest_file *row,
                                       const struct k2_partition_spec *spec) {
    struct k2_err err = {0};
    struct k2_buf bytes = {0};
    fixture_read(__FILE__, name, &bytes);
    struct k2_manifest *manifest = k2_manifest_parse(k2_buf_view(&bytes), row, spec, &err);
    if (!manifest)
        fail_msg("%s: %s", name, err.msg);
    k2_buf_done(&bytes);
    return manifest;
}

static struct k2_partition_field spec_fields[] = {
    {1, 1000, {"ts_day", 6}, {"day", 3}},
    {2, 1001, {"venue", 5}, {"identity", 8}},
    {3, 1002, {"symbol_bucket_16", 16}, {"bucket[16]", 10}},
};

TEST(manifest_reads_java_list) {
    struct k2_manifest_list *list = list_of("iceberg/java-v2-manifest-list.avro");
    CHECK(list->count == 3);
    const struct k2_manifest_file *row = &list->files[1];
    CHECK(k2_str_ends(row->path, "ea55fc03-a7d1-49e8-ae50-8791cbc99779-m1.avro"));
    CHECK(row->length == 8342 && row->spec_id == 0 && row->content == 0);
    CHECK(row->sequence_number == 5 && row->min_sequence_number == 1);
    CHECK(row->added_snapshot_id == 7933449487212994085);
    CHECK(row->added_files == 0 && row->existing_files == 5 && row->deleted_files == 0);
    CHECK(row->existing_rows == 401 && row->summary_count == 2 && !row->key_metadata.ptr);
    CHECK(k2_str_is(row->summaries[1].lower, "alpha") &&
          k2_str_is(row->summaries[1].upper, "gamma"));
    CHECK(row->summaries[0].has_nan && !row->summaries[0].contains_null);
    CHECK(list->files[2].content == 1);
    k2_manifest_list_unref(list);
}

TEST(manifest_reads_old_and_other_lists) {
    struct k2_manifest_list *list = list_of("iceberg/java-v1-manifest-list.avro");
    CHECK(list->count == 3 && list->files[0].sequence_number == 0);
    CHECK(list->files[1].added_files == 2 && list->files[1].added_rows == 200);
    k2_manifest_list_unref(list);
    list = list_of("iceberg/pyiceberg-v2-manifest-list.avro");
    CHECK(list->count == 3 && list->files[1].added_rows == 1500 && list->files[2].length == 5012);
    k2_manifest_list_unref(list);
}

TEST(manifest_reads_java_entries) {
    struct k2_manifest_file row = {.spec_id = 1, .sequence_number = 5, .added_snapshot_id = 9};
    struct k2_partition_spec spec = {1, 3, spec_fields};
    struct k2_manifest *m = manifest_of("iceberg/java-v2-manifest-0.avro", &row, &spec);
    CHECK(m->count == 1);
    const struct k2_manifest_entry *e = &m->entries[0];
    CHECK(e->status == K2_ENTRY_ADDED && e->content == K2_CONTENT_DATA && e->is_parquet);
    CHECK(!e->has_sequence && e->file.sequence_number == 5 && e->file.file_sequence_number == 5);
    CHECK(e->file.snapshot_id == 7933449487212994085 && !e->is_strange);
    CHECK(e->file.partition[0].number == 20456 && k2_str_is(e->file.partition[1].text, "gamma"));
    CHECK(e->file.partition[2].number == 7 && (e->partition_unknown & 7) == 0);
    CHECK(e->file.record_count == 1 && e->file.file_size == 2135 && e->file.sort_order_id == 1);
    CHECK(e->file.split_count == 1 && e->file.split_offsets[0] == 4);
    CHECK(e->file.stats_count == 8);
    const struct k2_column_stats *price = &e->file.stats[4];
    CHECK(price->field_id == 5 && price->null_count == 1 && !price->has_bounds);
    CHECK(e->file.stats[1].bytes == 44);
    CHECK(k2_str_is(k2_buf_view(&e->file.stats[1].upper), "gamma"));
    k2_manifest_unref(m);

    spec.field_count = 2;
    row.spec_id = 0;
    m = manifest_of("iceberg/java-v2-manifest-1.avro", &row, &spec);
    CHECK(m->count == 5);
    CHECK(m->entries[0].status == K2_ENTRY_EXISTING && m->entries[0].has_sequence);
    CHECK(m->entries[0].file.sequence_number == 4 && m->entries[4].file.sequence_number == 1);
    CHECK(m->entries[4].file.record_count == 100);
    k2_manifest_unref(m);
}

TEST(manifest_reads_old_and_other_entries) {
    struct k2_manifest_file row = {.sequence_number = 3};
    struct k2_partition_spec spec = {0, 2, spec_fields};
    struct k2_manifest *m = manifest_of("iceberg/java-v1-manifest-0.avro", &row, &spec);
    CHECK(m->count == 1 && m->entries[0].status == K2_ENTRY_ADDED);
    CHECK(k2_str_is(m->entries[0].file.partition[1].text, "gamma"));
    k2_manifest_unref(m);
    m = manifest_of("iceberg/pyiceberg-v2-manifest-0.avro", &row, &spec);
    CHECK(m->count == 1 && m->entries[0].file.record_count == 100);
    CHECK(m->entries[0].file.partition[0].number == 20456 && m->entries[0].file.stats_count == 8);
    k2_manifest_unref(m);
    m = manifest_of("iceberg/java-v2-delete-manifest.avro", &row, NULL);
    CHECK(m->count == 1 && m->entries[0].content == K2_CONTENT_POSITION_DELETES);
    k2_manifest_unref(m);
}

/* ---- what K2 writes ---- */
static void write_one(struct k2_buf *out, struct k2_manifest_file *ret_row) {
    static struct k2_partition_field fields[] = {{1, 1000, {"ts_day", 6}, {"day", 3}},
                                                 {2, 1001, {"venue", 5}, {"identity", 8}},
                                                 {3, 1002, {"2 odd", 5}, {"truncate[4]", 11}}};
    static struct k2_partition_spec spec = {7, 3, fields};
    struct k2_manifest_opts opts = {.schema = K2_STR("{\"type\":\"struct\"}"),
                                    .schema_id = 3,
                                    .spec = &spec,
                                    .spec_fields = K2_STR("[]"),
                                    .types = {"date", "string", "string"},
                                    .snapshot_id = 42,
                                    .sequence_number = 9};
    struct k2_column_stats stats[] = {
        {.field_id = 1,
         .bytes = 5,
         .value_count = 10,
         .null_count = 0,
         .has_bounds = true,
         .has_upper = true,
         .lower = {"aa", 2, 0},
         .upper = {"b\0", 2, 0}},
        {.field_id = 2, .bytes = 6, .value_count = 10, .null_count = 10},
        {.field_id = 30,
         .bytes = 7,
         .value_count = 10,
         .null_count = 1,
         .has_bounds = true,
         .lower = {"zz", 2, 0}},
    };
    int64_t splits[] = {4, 99};
    struct k2_data_file file = {.path = K2_STR("file:///x/a.parquet"),
                                .spec_id = 7,
                                .partition = {{.number = -5},
                                              {.text = K2_STR("Z\xc3\xbcrich and beyond")},
                                              {.is_null = true}},
                                .record_count = 10,
                                .file_size = 1234,
                                .stats_count = 3,
                                .stats = stats,
                                .split_count = 2,
                                .split_offsets = splits,
                                .sort_order_id = 1};
    struct k2_manifest_writer *w = k2_manifest_writer_new(&opts);
    k2_manifest_add(w, K2_ENTRY_ADDED, &file);
    file.partition[0].number = 16139;
    file.partition[1].text = K2_STR("ASX");
    file.sequence_number = 4;
    file.file_sequence_number = 3;
    file.snapshot_id = 41;
    file.split_count = file.stats_count = 0;
    k2_manifest_add(w, K2_ENTRY_EXISTING, &file);
    struct k2_str bytes;
    struct k2_manifest_file row;
    k2_manifest_finish(w, &bytes, &row);
    k2_buf_str(out, bytes);
    static struct k2_arena arena; /* the row outlives the writer */
    row.path = K2_STR("file:///x/m0.avro");
    *ret_row = k2_manifest_file_copy(&arena, &row);
    k2_manifest_writer_free(w);

    struct k2_err err = {0};
    struct k2_manifest *m = k2_manifest_parse(bytes = k2_buf_view(out), ret_row, &spec, &err);
    CHECK_OK(m != NULL);
    CHECK(m->count == 2 && k2_str_is(m->schema, "{\"type\":\"struct\"}"));
    const struct k2_manifest_entry *e = m->entries;
    CHECK(e[0].status == K2_ENTRY_ADDED && e[0].has_snapshot && e[0].file.snapshot_id == 42);
    CHECK(!e[0].has_sequence && !e[0].has_file_sequence && e[0].file.sequence_number == 9);
    CHECK(e[1].status == K2_ENTRY_EXISTING && e[1].has_sequence && e[1].has_file_sequence);
    CHECK(e[1].file.sequence_number == 4 && e[1].file.file_sequence_number == 3);
    CHECK(e[1].file.snapshot_id == 41);
    CHECK(e[0].file.partition[0].number == -5 && e[0].file.partition[2].is_null);
    CHECK(k2_str_is(e[0].file.partition[1].text, "Z\xc3\xbcrich and beyond"));
    CHECK(e[0].file.stats_count == 3 && e[0].file.split_count == 2);
    CHECK(e[0].file.stats[0].upper.len == 2 && e[0].file.stats[0].upper.ptr[1] == 0);
    CHECK(!e[0].file.stats[1].has_bounds && !e[0].file.stats[2].has_upper);
    CHECK(e[0].file.stats[2].null_count == 1 && e[0].file.split_offsets[1] == 99);
    k2_manifest_unref(m);
    (void)bytes;
}

TEST(manifest_round_trip) {
    struct k2_buf bytes = {0}, list_bytes = {0};
    struct k2_manifest_file row;
    struct k2_err err = {0};
    write_one(&bytes, &row);
    CHECK(row.added_files == 1 && row.existing_files == 1 && row.deleted_files == 0);
    CHECK(row.added_rows == 10 && row.existing_rows == 10 && row.min_sequence_number == 4);
    CHECK(row.length == (int64_t)bytes.len && row.spec_id == 7 && row.summary_count == 3);
    int32_t day = -5;
    CHECK(k2_str_eq(row.summaries[0].lower, k2_str_make(&day, 4)));
    CHECK(k2_str_is(row.summaries[1].lower, "ASX"));
    CHECK(k2_str_is(row.summaries[1].upper, "Z\xc3\xbcrich and beyond"));
    CHECK(row.summaries[2].contains_null && !row.summaries[2].has_upper);

    struct k2_snapshot snapshot = {.snapshot_id = 42, .sequence_number = 9};
    row.key_metadata = K2_STR("key");
    k2_manifest_list_write(&row, 1, &snapshot, (const uint8_t *)"0123456789abcdef", &list_bytes);
    struct k2_manifest_list *list = k2_manifest_list_parse(k2_buf_view(&list_bytes), &err);
    CHECK_OK(list != NULL);
    const struct k2_manifest_file *read = &list->files[0];
    CHECK(list->count == 1 && k2_str_eq(read->path, row.path) && read->length == row.length);
    CHECK(read->min_sequence_number == 4 && read->sequence_number == 9);
    CHECK(read->added_rows == 10 && read->summary_count == 3);
    CHECK(k2_str_is(read->key_metadata, "key"));
    k2_manifest_list_unref(list);
    k2_buf_done(&bytes);
    k2_buf_done(&list_bytes);
}

/* The keys of each field of an Avro schema, in order: name(id)type. Unions show their branches. */
static void shape(const struct k2_json *type, struct k2_buf *out, int depth) {
    CHECK(depth < 12);
    if (k2_json_is_string(type)) {
        k2_buf_str(out, k2_json_str(type));
    } else if (k2_json_is_array(type)) {
        k2_buf_byte(out, '[');
        for (size_t i = 0; i < k2_json_count(type); i++) {
            shape(k2_json_at(type, i), out, depth + 1);
            k2_buf_byte(out, '|');
        }
        k2_buf_byte(out, ']');
    } else {
        struct k2_str name = k2_json_str(k2_json_get(type, "name"));
        struct k2_str logical = k2_json_str(k2_json_get(type, "logicalType"));
        const struct k2_json *fields = k2_json_get(type, "fields");
        k2_buf_printf(out, "%.*s<%.*s>{", K2_FMT(name), K2_FMT(logical));
        if (k2_json_get(type, "items"))
            shape(k2_json_get(type, "items"), out, depth + 1);
        for (size_t i = 0; i < k2_json_count(fields); i++) {
            const struct k2_json *field = k2_json_at(fields, i);
            struct k2_str field_name = k2_json_str(k2_json_get(field, "name"));
            int64_t id = k2_json_int(k2_json_get(field, "field-id"), -1);
            bool has_default = k2_json_get(field, "default") != NULL;
            k2_buf_printf(out, "%.*s(%lld)%s", K2_FMT(field_name), (long long)id,
                          has_default ? "=" : ":");
            if (id != 102) /* the partition record has the fields of its spec */
                shape(k2_json_get(field, "type"), out, depth + 1);
            k2_buf_byte(out, ' ');
        }
        k2_buf_byte(out, '}');
    }
}

static void shape_of(struct k2_str file, struct k2_buf *out) {
    struct k2_err err = {0};
    struct k2_container c;
    CHECK_OK(k2_container_open(file, &c, &err));
    K2_AUTO(k2_json_freep)
    struct k2_json *schema = k2_json_parse(k2_container_find(&c, "avro.schema"), &err);
    shape(schema, out, 0);
}

TEST(manifest_schema_is_that_of_java) {
    struct k2_buf ours = {0}, java = {0}, a = {0}, b = {0};
    struct k2_manifest_file row;
    write_one(&ours, &row);
    fixture_read(__FILE__, "iceberg/java-v2-manifest-0.avro", &java);
    shape_of(k2_buf_view(&ours), &a);
    shape_of(k2_buf_view(&java), &b);
    /* Java's newest has one field more at the end, for deletes. */
    static const char extra[] = "referenced_data_file(143)=[null|string|] ";
    char *at = strstr(k2_buf_cstr(&b), extra);
    CHECK(at);
    memmove(at, at + sizeof extra - 1, strlen(at + sizeof extra - 1) + 1);
    assert_string_equal(k2_buf_cstr(&a), b.ptr);

    struct k2_snapshot snapshot = {.snapshot_id = 42};
    ours.len = java.len = a.len = b.len = 0;
    k2_manifest_list_write(&row, 1, &snapshot, (const uint8_t *)"0123456789abcdef", &ours);
    fixture_read(__FILE__, "iceberg/java-v2-manifest-list.avro", &java);
    shape_of(k2_buf_view(&ours), &a);
    shape_of(k2_buf_view(&java), &b);
    assert_string_equal(k2_buf_cstr(&a), k2_buf_cstr(&b));
    k2_buf_done(&ours);
    k2_buf_done(&java);
    k2_buf_done(&a);
    k2_buf_done(&b);
}

TEST(manifest_metadata_of_the_file) {
    struct k2_buf bytes = {0};
    struct k2_manifest_file row;
    struct k2_container c;
    struct k2_err err = {0};
    write_one(&bytes, &row);
    CHECK_OK(k2_container_open(k2_buf_view(&bytes), &c, &err));
    CHECK(k2_str_is(k2_container_find(&c, "schema-id"), "3"));
    CHECK(k2_str_is(k2_container_find(&c, "partition-spec"), "[]"));
    CHECK(k2_str_is(k2_container_find(&c, "partition-spec-id"), "7"));
    CHECK(k2_str_is(k2_container_find(&c, "format-version"), "2"));
    CHECK(k2_str_is(k2_container_find(&c, "content"), "data"));
    CHECK(k2_str_is(k2_container_find(&c, "avro.codec"), "deflate"));
    struct k2_str schema = k2_container_find(&c, "avro.schema");
    CHECK(memmem(schema.ptr, schema.len, "\"name\":\"_2_x20odd\"", 18));
    CHECK(memmem(schema.ptr, schema.len, "\"iceberg-field-name\":\"2 odd\"", 28));
    k2_buf_done(&bytes);
}

TEST(manifest_broken_bytes) {
    struct k2_buf bytes = {0};
    struct k2_manifest_file row;
    struct k2_err err = {0};
    write_one(&bytes, &row);
    for (size_t i = 0; i < bytes.len; i += 3) {
        bytes.ptr[i] ^= 0x21;
        k2_manifest_unref(k2_manifest_parse(k2_buf_view(&bytes), &row, NULL, &err));
        k2_manifest_list_unref(k2_manifest_list_parse(k2_buf_view(&bytes), &err));
        bytes.ptr[i] ^= 0x21;
        k2_manifest_unref(k2_manifest_parse(k2_str_make(bytes.ptr, i), &row, NULL, &err));
    }
    k2_buf_done(&bytes);
}
