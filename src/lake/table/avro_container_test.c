/* avro_container_test.c -- container files and values by field id, whole, broken and strange. */
#include "lake/table/avro_container.h"

#include "lake/table/avro_wire.h"
#include "support/fixture.h"

static const uint8_t sync[16] = "0123456789abcde";

static void write_numbers(struct k2_container_writer *w, int count, bool is_deflated) {
    struct k2_container_meta meta = {K2_STR("key"), K2_STR("value")};
    k2_container_begin(w, K2_STR("{\"type\":\"record\",\"name\":\"r\",\"fields\":[]}"), &meta, 1,
                       is_deflated, sync);
    for (int i = 0; i < count; i++) {
        k2_buf_zigzag(&w->block, i);
        k2_container_record(w);
    }
    k2_container_end(w);
}

static void check_numbers(int count, bool is_deflated) {
    struct k2_err err = {0};
    struct k2_container_writer w;
    write_numbers(&w, count, is_deflated);
    struct k2_container c;
    struct k2_arena arena = {0};
    CHECK_OK(k2_container_open(k2_buf_view(&w.out), &c, &err));
    CHECK(k2_str_is(k2_container_find(&c, "key"), "value"));
    CHECK(k2_str_is(k2_container_find(&c, "avro.codec"), is_deflated ? "deflate" : "null"));
    CHECK(!k2_container_find(&c, "other").ptr);
    int64_t seen = 0, records;
    struct k2_str bytes;
    for (;;) {
        CHECK_OK(k2_container_next(&c, &arena, &records, &bytes, &err));
        if (!records)
            break;
        struct k2_wire wire = k2_wire_of(bytes);
        for (int64_t i = 0; i < records; i++)
            CHECK(k2_wire_long(&wire) == seen++);
        CHECK(!wire.is_bad && wire.at == wire.end);
    }
    CHECK(seen == count);
    k2_arena_done(&arena);
    k2_container_writer_done(&w);
}

TEST(container_round_trip) {
    for (int deflated = 0; deflated < 2; deflated++) {
        check_numbers(0, deflated);
        check_numbers(1, deflated);
        check_numbers(300000, deflated); /* several blocks */
    }
}

/* Whatever is cut off or flipped: an error or other values, never a read outside. */
static void read_all(struct k2_str bytes) {
    struct k2_err err = {0};
    struct k2_container c;
    struct k2_arena arena = {0};
    struct k2_str records;
    int64_t count = 1;
    if (k2_container_open(bytes, &c, &err))
        while (count && k2_container_next(&c, &arena, &count, &records, &err))
            continue;
    k2_arena_done(&arena);
}

TEST(container_broken_bytes) {
    for (int deflated = 0; deflated < 2; deflated++) {
        struct k2_container_writer w;
        write_numbers(&w, 50, deflated);
        for (size_t len = 0; len < w.out.len; len++)
            read_all(k2_str_make(w.out.ptr, len));
        for (size_t i = 0; i < w.out.len; i++) {
            w.out.ptr[i] ^= 0x55;
            read_all(k2_buf_view(&w.out));
            w.out.ptr[i] ^= 0x55;
        }
        k2_container_writer_done(&w);
    }
}

TEST(container_refuses) {
    struct k2_err err = {0};
    struct k2_container c;
    CHECK(!k2_container_open(K2_STR(""), &c, &err) && err.code == K2_CORRUPT);
    CHECK(!k2_container_open(K2_STR("PAR1 and more"), &c, &err) && err.code == K2_CORRUPT);
    CHECK(!k2_container_open(K2_STR("Obj\1"), &c, &err) && err.code == K2_CORRUPT);
    CHECK(
        !k2_container_open(K2_STR("Obj\1\2\024avro.codec\014snappy\0________________"), &c, &err));
    CHECK(err.code == K2_INVALID && strstr(err.msg, "snappy"));
    CHECK(!k2_container_open(K2_STR("Obj\1\0________________"), &c, &err));
    CHECK(err.code == K2_CORRUPT && strstr(err.msg, "schema"));
}

/* ---- values ---- */
static bool compiles(const char *json, struct k2_arena *arena, struct k2_wire_schema *schema) {
    struct k2_err err = {0};
    return k2_wire_compile(k2_str_of(json), arena, schema, &err);
}

static const char strange_schema[] =
    "{\"type\":\"record\",\"name\":\"all\",\"fields\":["
    "{\"name\":\"a\",\"type\":{\"type\":{\"type\":\"int\",\"logicalType\":\"date\"}},\"field-id\":"
    "1},"
    "{\"name\":\"b\",\"type\":[\"null\",{\"type\":\"fixed\",\"name\":\"f4\",\"size\":4}]},"
    "{\"name\":\"c\",\"type\":{\"type\":\"map\",\"values\":{\"type\":\"array\",\"items\":\"f4\"}}},"
    "{\"name\":\"d\",\"type\":{\"type\":\"enum\",\"name\":\"e\",\"symbols\":[\"X\",\"Y\"]}},"
    "{\"name\":\"e\",\"type\":[\"double\",\"float\",\"boolean\"]},"
    "{\"name\":\"f\",\"type\":[\"null\",\"all\"]},"
    "{\"name\":\"g\",\"type\":\"string\",\"field-id\":9}]}";

TEST(wire_walks_every_type) {
    struct k2_arena arena = {0};
    struct k2_wire_schema schema;
    CHECK(compiles(strange_schema, &arena, &schema));
    const struct k2_wire_node *root = &schema.nodes[0];
    CHECK(root->kind == K2_WIRE_RECORD && root->count == 7);
    CHECK(schema.nodes[root->first].is_date && schema.nodes[root->first].field_id == 1);
    static const char one[] =
        "\x0a"                              /* a = 5 */
        "\x02zzzz"                          /* b */
        "\x02\x02k\x03\x10yyyyxxxx\x00\x00" /* c: {"k": [8 bytes in a block]} */
        "\x02"                              /* d */
        "\x00"
        "12345678" /* e: a double */
        "\x00"     /* f: null */
        "\x06rst"; /* g */
    /* The second has the first in its field f. */
    char two[200];
    size_t len = sizeof one - 1, head = 5 + 1 + 1;
    (void)head;
    memcpy(two, one, len - 5);
    two[len - 5] = 2;
    memcpy(two + len - 4, one, len);
    memcpy(two + 2 * len - 4, "\x06uvw", 4);
    for (int i = 0; i < 2; i++) {
        struct k2_wire wire = k2_wire_of(i ? k2_str_make(two, 2 * len) : k2_str_make(one, len));
        k2_wire_skip(&schema, root, &wire);
        CHECK(!wire.is_bad && wire.at == wire.end);
    }
    for (size_t cut = 0; cut < len; cut++) {
        struct k2_wire wire = k2_wire_of(k2_str_make(one, cut));
        k2_wire_skip(&schema, root, &wire);
        CHECK(wire.is_bad);
    }
    k2_arena_done(&arena);
}

TEST(wire_bounds_depth) {
    struct k2_arena arena = {0};
    struct k2_wire_schema schema;
    /* A record that holds itself: every byte goes one level down. */
    CHECK(compiles("{\"type\":\"record\",\"name\":\"n\",\"fields\":[{\"name\":\"x\",\"type\":"
                   "[\"null\",\"n\"]}]}",
                   &arena, &schema));
    char down[1000];
    memset(down, 2, sizeof down);
    struct k2_wire wire = k2_wire_of(k2_str_make(down, sizeof down));
    k2_wire_skip(&schema, &schema.nodes[0], &wire);
    CHECK(wire.is_bad);
    /* And one that has no end and takes no byte. */
    CHECK(compiles("{\"type\":\"record\",\"name\":\"n\",\"fields\":[{\"name\":\"x\",\"type\":"
                   "\"n\"}]}",
                   &arena, &schema));
    wire = k2_wire_of(K2_STR("x"));
    k2_wire_skip(&schema, &schema.nodes[0], &wire);
    CHECK(wire.is_bad);
    k2_arena_done(&arena);
}

TEST(wire_refuses_schemas) {
    struct k2_arena arena = {0};
    struct k2_wire_schema schema;
    const char *bad[] = {"",
                         "{}",
                         "7",
                         "\"nosuch\"",
                         "{\"type\":\"array\"}",
                         "{\"type\":\"fixed\",\"name\":\"f\"}",
                         "{\"type\":\"record\",\"name\":\"r\",\"fields\":[{\"name\":\"x\"}]}",
                         "[\"null\",\"later\"]"};
    for (size_t i = 0; i < K2_COUNT(bad); i++)
        CHECK(!compiles(bad[i], &arena, &schema));
    struct k2_buf wide = {0};
    k2_buf_byte(&wide, '[');
    for (int i = 0; i < 5000; i++)
        k2_buf_text(&wide, i ? ",\"int\"" : "\"int\"");
    k2_buf_byte(&wide, ']');
    struct k2_err err = {0};
    CHECK(!k2_wire_compile(k2_buf_view(&wide), &arena, &schema, &err) && err.code == K2_LIMIT);
    k2_buf_done(&wide);
    k2_arena_done(&arena);
}

TEST(wire_numbers) {
    struct k2_wire wire = k2_wire_of(K2_STR("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"));
    CHECK(k2_wire_long(&wire) == INT64_MIN && !wire.is_bad);
    wire = k2_wire_of(K2_STR("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"));
    CHECK(k2_wire_long(&wire) == 0 && wire.is_bad);
    wire = k2_wire_of(K2_STR("\x03"));
    CHECK(!k2_wire_boolean(&wire) && wire.is_bad);
    wire = k2_wire_of(K2_STR("\x01")); /* a length of -1 */
    CHECK(!k2_wire_bytes(&wire).ptr && wire.is_bad);
}
