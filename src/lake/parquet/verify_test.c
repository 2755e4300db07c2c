/* verify_test.c -- the checker: sound files pass; every kind of damage, planted byte by byte where
 * the structure is known, is found and named; damage at random is found or changes nothing.
 */
#include <zlib.h>

#include "base/alloc.h"
#include "base/random.h"
#include "lake/parquet/reader_impl.h"
#include "support/test.h"

#define PATH "f.parquet"
enum { ROWS = 700, GROUP_ROWS = 400, PAGE_ROWS = 150, PATH_MAX_STEPS = 10, END = -1 };

struct rig {
    struct k2_store *store;
    const struct k2_schema *schema;
    struct k2_field_ids ids[K2_COLUMNS_MAX];
    struct k2_intern strings;
    struct k2_batch *batch;
    struct k2_buf sound;          /* the file as it was written */
    struct k2_parquet_file *file; /* opened when it was sound */
    struct k2_buf findings;
};

static void fill_row(struct k2_batch *b, uint32_t i) {
    char text[40];
    struct k2_str item = K2_STR("AUCTION"), keys[] = {K2_STR("market"), K2_STR("tick")},
                  values[] = {i % 3 ? K2_STR("lit") : K2_STR("dark"), K2_STR("0.01")};
    k2_batch_zero(b, i, 1);
    for (int c = 0; c < b->schema->column_count; c++)
        if (b->col[c].valid)
            b->col[c].valid[i] = 1;
    snprintf(text, sizeof text, "SYM%u", i / 100);
    b->col[K2_TRADE_SYMBOL].u32[i] = k2_intern_add(b->strings, k2_str_of(text));
    b->col[K2_TRADE_EXCHANGE].u32[i] = k2_intern_add(b->strings, K2_STR("ASX"));
    b->col[K2_TRADE_CURRENCY].u32[i] = k2_intern_add(b->strings, K2_STR("AUD"));
    b->col[K2_TRADE_LOG_ID].u32[i] = k2_intern_add(b->strings, K2_STR("580c0c3a"));
    snprintf(text, sizeof text, "T%u", 1000000 + i * 7);
    b->col[K2_TRADE_ID].span[i] = k2_batch_put(b, k2_str_of(text));
    b->col[K2_TRADE_TIMESTAMP].i64[i] = 1710374400000000ll + i * 1000 + i % 7;
    b->col[K2_TRADE_NANOS].i32[i] = (int32_t)(i * 37 % 1000);
    b->col[K2_TRADE_PRICE].i64[i] = 1000000000 + (int64_t)(i % 11) * 1000000;
    b->col[K2_TRADE_QUANTITY].i64[i] = 100000000 * (int64_t)(1 + i % 5);
    b->col[K2_TRADE_SIDE].u8[i] = i % 2;
    b->col[K2_TRADE_CONDITIONS].span[i] = k2_batch_put_list(b, &item, i % 10 == 0);
    b->col[K2_TRADE_SOURCE_SEQUENCE].valid[i] = i % 4 != 0;
    b->col[K2_TRADE_SOURCE_SEQUENCE].i64[i] = i % 4 ? 5000 + i : 0;
    b->col[K2_TRADE_VENDOR_DATA].span[i] = k2_batch_put_map(b, keys, values, 2);
    b->col[K2_TRADE_FLAGS].u32[i] = i % 50 ? 0 : K2_FLAG_LATE;
    b->col[K2_TRADE_LOG_OFFSET].i64[i] = i;
}

static void write_file(struct rig *rig, const struct k2_parquet_opts *opts) {
    struct k2_err err = {0};
    struct k2_file_stats stats = {0};
    CHECK_OK(k2_store_delete(rig->store, PATH, &err));
    struct k2_sink *sink = k2_sink_open(rig->store, PATH, &err);
    CHECK_OK(sink != NULL);
    struct k2_parquet_writer *w = k2_parquet_writer_new(sink, rig->schema, rig->ids, opts, &err);
    CHECK_OK(w != NULL);
    CHECK_OK(k2_parquet_write(w, rig->batch, NULL, rig->batch->rows, &err));
    CHECK_OK(k2_parquet_finish(w, &stats, &err));
    k2_parquet_writer_free(w);
    CHECK_OK(k2_sink_commit(sink, &err));
    k2_file_stats_done(&stats);
    k2_buf_clear(&rig->sound);
    CHECK_OK(k2_store_get(rig->store, PATH, &rig->sound, &err));
    k2_parquet_close(rig->file);
    rig->file = k2_parquet_open(rig->store, PATH, rig->schema, rig->ids, &err);
    CHECK_OK(rig->file != NULL);
}

static struct k2_parquet_opts small_opts(void) {
    struct k2_parquet_opts opts = k2_parquet_defaults();
    opts.row_group_rows = GROUP_ROWS;
    opts.page_rows = PAGE_ROWS;
    opts.zstd_level = -1; /* so that what is flipped is the thing itself */
    opts.is_sorted = true;
    opts.has_bloom = true;
    return opts;
}

static void rig_open(struct rig *rig) {
    struct k2_err err = {0};
    struct k2_parquet_opts opts = small_opts();
    memset(rig, 0, sizeof *rig);
    rig->store = k2_store_open("memory:", &err);
    CHECK_OK(rig->store != NULL);
    rig->schema = k2_schema_of(K2_TRADE);
    k2_schema_default_ids(rig->schema, rig->ids);
    rig->batch = k2_batch_new(rig->schema, ROWS, &rig->strings);
    for (uint32_t i = 0; i < ROWS; i++)
        fill_row(rig->batch, i);
    rig->batch->rows = ROWS;
    write_file(rig, &opts);
}

static void rig_close(struct rig *rig) {
    k2_parquet_close(rig->file);
    k2_batch_free(rig->batch);
    k2_store_free(rig->store);
    k2_intern_done(&rig->strings);
    k2_buf_done(&rig->sound);
    k2_buf_done(&rig->findings);
}

static void add_finding(void *self, const char *finding) {
    struct k2_buf *findings = self;
    k2_buf_text(findings, finding);
    k2_buf_byte(findings, '\n');
}

/* What the checker says of bytes in place of the file. */
static const char *verify(struct rig *rig, struct k2_str bytes) {
    struct k2_err err = {0};
    k2_buf_clear(&rig->findings);
    CHECK_OK(k2_store_put(rig->store, PATH, bytes, false, &err));
    CHECK_OK(k2_parquet_verify(rig->store, PATH, rig->schema, rig->ids, add_finding, &rig->findings,
                               &err));
    return k2_buf_cstr(&rig->findings);
}

static void expect(struct rig *rig, const struct k2_buf *bytes, const char *name,
                   const char *expected) {
    const char *said = verify(rig, k2_buf_view(bytes));
    if (!strstr(said, expected))
        fail_msg("%s: no finding with \"%s\" among:\n%s", name, expected, said);
}

/* ---- places in Thrift ---- */

/* The value at a path of field ids and, within lists, indexes: where it begins (of a boolean: its
 * field header, which is its value) and its type. */
static uint8_t *find_value(uint8_t *bytes, size_t len, const int *path, int *ret_type) {
    struct k2_thrift_in in = {bytes, bytes + len, false};
    int type = K2_THRIFT_STRUCT;
    const uint8_t *at = bytes;
    for (int step = 0; step < PATH_MAX_STEPS && path[step] != END; step++) {
        if (type == K2_THRIFT_LIST) {
            int item = *in.at & 15;
            CHECK((size_t)path[step] < k2_thrift_get_list(&in, type, item));
            for (int i = 0; i < path[step]; i++)
                k2_thrift_skip(&in, item);
            type = item;
            at = in.at;
            continue;
        }
        CHECK(type == K2_THRIFT_STRUCT);
        int id = 0;
        for (at = in.at; (type = k2_thrift_next(&in, &id)) != K2_THRIFT_STOP && id != path[step];
             at = in.at)
            k2_thrift_skip(&in, type);
        CHECK(!in.failed && id == path[step]);
        if (type != K2_THRIFT_TRUE && type != K2_THRIFT_FALSE)
            at = in.at;
    }
    *ret_type = type;
    return (uint8_t *)(uintptr_t)at;
}

/* Changes a value without changing its length: a number by one, the last character of a string, a
 * boolean to the other one, a list's length by one. */
static void change(uint8_t *bytes, size_t len, const int *path) {
    int type;
    uint8_t *at = find_value(bytes, len, path, &type);
    switch (type) {
    case K2_THRIFT_TRUE:
    case K2_THRIFT_FALSE: *at ^= K2_THRIFT_TRUE ^ K2_THRIFT_FALSE; break;
    case K2_THRIFT_BINARY:
        CHECK(*at > 0 && *at < 128);
        at[*at] ^= 1;
        break;
    case K2_THRIFT_LIST: *at ^= 0x10; break;
    default: *at ^= 2;
    }
}

/* ---- the footer ---- */

struct footer_case {
    const char *expected;
    int path[PATH_MAX_STEPS];
};

TEST(parquet_verify_footer) {
    /* Leaves: 0 trade_id, 1 symbol, 4 timestamp, 6 price, 11 source_sequence. */
    static const struct footer_case cases[] = {
        {"says version", {1, END}},
        {"the footer says", {3, END}},
        {"the schema says", {2, 0, 5, END}},
        {"another name of", {2, 3, 4, END}},
        {"field id", {2, 1, 9, END}},
        {"field id", {2, 11, 9, END}},
        {"stored as", {2, 5, 1, END}},
        {"another repetition of trade_id", {2, 1, 3, END}},
        {"another converted type of symbol", {2, 2, 6, END}},
        {"another scale or precision of price", {2, 7, 7, END}},
        {"another scale or precision of price", {2, 7, 8, END}},
        {"another scale or precision of price", {2, 7, 10, 5, 1, END}},
        {"another scale or precision of price", {2, 7, 10, 5, 2, END}},
        {"another logical type of timestamp", {2, 5, 10, 8, 1, END}},
        {"column orders", {7, END}},
        {"it says", {4, 0, 2, END}},
        {"row groups have", {4, 1, 3, END}},
        {"not in the order that is promised", {4, 0, 4, 1, 2, END}},
        {"it says it starts at", {4, 1, 5, END}},
        {"compressed bytes", {4, 1, 6, END}},
        {"it says it is number", {4, 1, 7, END}},
        {"column timestamp: the type of the chunk", {4, 0, 1, 4, 3, 1, END}},
        {"column timestamp: the footer does not name the encoding", {4, 0, 1, 4, 3, 2, 0, END}},
        {"column symbol: the path of the chunk", {4, 1, 1, 1, 3, 3, 0, END}},
        {"column symbol: K2 does not read the codec", {4, 0, 1, 1, 3, 4, END}},
        {"column symbol: has", {4, 0, 1, 1, 3, 5, END}},
        {"column price: the footer says", {4, 0, 1, 6, 3, 6, END}},
        {"column price", {4, 0, 1, 6, 3, 7, END}},
        {"column price", {4, 0, 1, 6, 3, 9, END}},
        {"column symbol: the statistics count", {4, 0, 1, 1, 3, 12, 3, END}},
        {"column symbol: the statistics' greatest value", {4, 0, 1, 1, 3, 12, 5, END}},
        {"column symbol: the statistics' least value", {4, 0, 1, 1, 3, 12, 6, END}},
        {"column price: the statistics' greatest value", {4, 0, 1, 6, 3, 12, 5, END}},
        {"column timestamp: the statistics' least value", {4, 1, 1, 4, 3, 12, 6, END}},
        {"column vendor_data.key: the statistics' least value", {4, 1, 1, 14, 3, 12, 6, END}},
        {"column symbol: the footer counts", {4, 0, 1, 1, 3, 13, 1, 2, END}},
        {"column symbol: the footer counts", {4, 0, 1, 1, 3, 13, 0, 3, END}},
        {"column symbol: the footer counts", {4, 0, 1, 1, 3, 13, 0, 1, END}},
        {"a Bloom filter", {4, 0, 1, 1, 3, 14, END}},
        {"belong to nothing", {4, 0, 1, 1, 3, 15, END}},
        {"an offset index", {4, 0, 1, 2, 4, END}},
        {"column exchange: the offset index", {4, 0, 1, 2, 4, END}},
        {"column exchange: the offset index", {4, 0, 1, 2, 5, END}},
        {"column exchange: the column index", {4, 0, 1, 2, 6, END}},
        {"column exchange: the column index", {4, 0, 1, 2, 7, END}},
    };
    struct rig rig;
    struct k2_buf bytes = {0};
    rig_open(&rig);
    CHECK(verify(&rig, k2_buf_view(&rig.sound))[0] == 0);
    for (size_t i = 0; i < K2_COUNT(cases); i++) {
        char name[32];
        snprintf(name, sizeof name, "footer case %zu", i);
        k2_buf_clear(&bytes);
        k2_buf_str(&bytes, k2_buf_view(&rig.sound));
        size_t len = rig.file->footer.len;
        change((uint8_t *)bytes.ptr + bytes.len - 8 - len, len, cases[i].path);
        expect(&rig, &bytes, name, cases[i].expected);
    }
    k2_buf_done(&bytes);
    rig_close(&rig);
}

/* ---- what stands around it ---- */

static void copy_sound(const struct rig *rig, struct k2_buf *bytes) {
    k2_buf_clear(bytes);
    k2_buf_str(bytes, k2_buf_view(&rig->sound));
}

TEST(parquet_verify_frame) {
    struct rig rig;
    struct k2_buf bytes = {0};
    rig_open(&rig);
    for (size_t i = 0; i < 4; i++) {
        size_t end = rig.sound.len;
        copy_sound(&rig, &bytes);
        bytes.ptr[i] ^= 1;
        expect(&rig, &bytes, "opening magic", "does not begin as");
        copy_sound(&rig, &bytes);
        bytes.ptr[end - 1 - i] ^= 1;
        expect(&rig, &bytes, "closing magic", "does not end as");
        copy_sound(&rig, &bytes);
        bytes.ptr[end - 5 - i] ^= 1;
        expect(&rig, &bytes, "length of the footer", "f.parquet: ");
    }
    for (size_t len = 0; len < rig.sound.len; len += 1 + len / 50)
        CHECK(verify(&rig, k2_str_make(rig.sound.ptr, len))[0] != 0);
    size_t at = (size_t)rig.file->groups[1].chunks[0].data;
    k2_buf_clear(&bytes);
    k2_buf_append(&bytes, rig.sound.ptr, at);
    k2_buf_byte(&bytes, 0); /* all that follows lies one byte on */
    k2_buf_append(&bytes, rig.sound.ptr + at, rig.sound.len - at);
    expect(&rig, &bytes, "a byte more", "row group 1, column trade_id: ");
    k2_buf_done(&bytes);
    rig_close(&rig);
}

/* ---- pages ---- */

struct page {
    size_t at, body, end;
    struct k2_pq_header header;
};

/* The dictionary of a chunk, or the first page of its data. */
static struct page find_page(const struct rig *rig, int group, int leaf, bool is_dictionary) {
    const struct k2_pq_meta *m = &rig->file->groups[group].chunks[leaf];
    const uint8_t *bytes = (const uint8_t *)rig->sound.ptr;
    struct page page = {.at = (size_t)(is_dictionary ? m->dictionary : m->data)};
    struct k2_thrift_in in = {bytes + page.at, bytes + rig->sound.len, false};
    CHECK(k2_pq_header_read(&in, &page.header));
    page.body = (size_t)(in.at - bytes);
    page.end = page.body + (size_t)page.header.bytes;
    return page;
}

struct page_case {
    const char *expected;
    int leaf;
    bool is_dictionary;
    int path[PATH_MAX_STEPS];
};

TEST(parquet_verify_page_headers) {
    static const struct page_case cases[] = {
        {"column timestamp: ", 4, false, {1, END}},
        {"column timestamp: the sizes of a page", 4, false, {2, END}},
        {"column timestamp: ", 4, false, {3, END}},
        {"column timestamp: the checksum of a page", 4, false, {4, END}},
        {"column timestamp: ", 4, false, {8, 1, END}},
        {"column source_sequence: ", 11, false, {8, 1, END}},
        {"column source_sequence: page 0: its header says", 11, false, {8, 2, END}},
        {"column source_sequence: a page", 11, false, {8, 3, END}},
        {"column trade_conditions: a page", 10, false, {8, 3, END}},
        {"column vendor_data.value: page 0: its header says", 15, false, {8, 3, END}},
        {"column timestamp: ", 4, false, {8, 4, END}},
        {"column source_sequence: ", 11, false, {8, 5, END}},
        {"column trade_conditions: ", 10, false, {8, 6, END}},
        {"column symbol: ", 1, true, {1, END}},
        {"column symbol: the sizes of a page", 1, true, {2, END}},
        {"column symbol: ", 1, true, {3, END}},
        {"column symbol: the checksum of a page", 1, true, {4, END}},
        {"column symbol: ", 1, true, {7, 1, END}},
        {"column symbol: K2 does not read a dictionary in the encoding", 1, true, {7, 2, END}},
    };
    struct rig rig;
    struct k2_buf bytes = {0};
    rig_open(&rig);
    for (size_t i = 0; i < K2_COUNT(cases); i++) {
        char name[32];
        snprintf(name, sizeof name, "page header case %zu", i);
        struct page page = find_page(&rig, 0, cases[i].leaf, cases[i].is_dictionary);
        copy_sound(&rig, &bytes);
        change((uint8_t *)bytes.ptr + page.at, page.body - page.at, cases[i].path);
        expect(&rig, &bytes, name, cases[i].expected);
    }
    k2_buf_done(&bytes);
    rig_close(&rig);
}

static uint32_t crc_of(const struct k2_buf *bytes, const struct page *page) {
    return (uint32_t)crc32_z(0, (const Bytef *)bytes->ptr + page->body, page->end - page->body);
}

/* Writes the checksum that the body now has; false where it would need another length. */
static bool seal(struct k2_buf *bytes, const struct page *page) {
    static const int path[] = {4, END};
    struct k2_buf was = {0}, is = {0};
    int type;
    k2_buf_zigzag(&was, (int32_t)(uint32_t)page->header.crc);
    k2_buf_zigzag(&is, (int32_t)crc_of(bytes, page));
    bool fits = was.len == is.len;
    if (fits)
        memcpy(find_value((uint8_t *)bytes->ptr + page->at, page->body - page->at, path, &type),
               is.ptr, is.len);
    k2_buf_done(&was);
    k2_buf_done(&is);
    return fits;
}

/* Every byte of a few bodies: found by the checksum, or, where that was made to fit again, by what
 * the bytes mean: the finding names the column. */
TEST(parquet_verify_page_bodies) {
    static const struct {
        const char *expected;
        int leaf;
        bool is_dictionary;
    } cases[] = {
        {"column symbol: ", 1, true},
        {"column symbol: ", 1, false},
        {"column price: ", 6, false},
        {"column trade_conditions: ", 10, false},
        {"column source_sequence: ", 11, false},
        {"column vendor_data", 14, false},
        {"column trade_id: ", 0, false},
    };
    struct rig rig;
    struct k2_buf bytes = {0};
    struct k2_random random;
    int sealed = 0, found = 0;
    rig_open(&rig);
    k2_random_seed(&random, 1);
    for (size_t i = 0; i < K2_COUNT(cases); i++) {
        struct page page = find_page(&rig, 0, cases[i].leaf, cases[i].is_dictionary);
        for (size_t at = page.body; at < page.end; at += 1 + (page.end - page.body) / 200) {
            copy_sound(&rig, &bytes);
            bytes.ptr[at] ^= (char)(1 << k2_random_below(&random, 8));
            expect(&rig, &bytes, "body", "the checksum of a page");
            if (!seal(&bytes, &page))
                continue;
            const char *said = verify(&rig, k2_buf_view(&bytes));
            sealed++;
            found += strstr(said, cases[i].expected) != NULL;
        }
    }
    /* A value between the bounds that becomes another is a sound file with other data. */
    CHECK(sealed > 300 && found > sealed / 3);
    k2_buf_done(&bytes);
    rig_close(&rig);
}

TEST(parquet_verify_not_utf8) {
    struct rig rig;
    struct k2_buf bytes = {0};
    rig_open(&rig);
    struct page page = find_page(&rig, 0, 0, false);
    bool is_sealed = false;
    for (size_t at = page.end; !is_sealed && at-- > page.body;) { /* the last are the strings' */
        copy_sound(&rig, &bytes);
        bytes.ptr[at] = (char)0xff;
        is_sealed = seal(&bytes, &page);
    }
    expect(&rig, &bytes, "a string", "column trade_id: a string is not valid UTF-8");
    k2_buf_done(&bytes);
    rig_close(&rig);
}

/* ---- the two indexes and the Bloom filter ---- */

struct index_case {
    const char *expected;
    int leaf;
    bool is_offset_index;
    int path[PATH_MAX_STEPS];
};

TEST(parquet_verify_indexes) {
    static const struct index_case cases[] = {
        {"column timestamp: the column index says page 0", 4, false, {1, 0, END}},
        {"column index's lower bound of page 0", 4, false, {2, 0, END}},
        {"column index's lower bound of page 2", 0, false, {2, 2, END}},
        {"column index's upper bound of page 1", 4, false, {3, 1, END}},
        {"column vendor_data.key: the column index's upper bound", 14, false, {3, 0, END}},
        {"column timestamp_nanos: the column index's boundary order", 5, false, {4, END}},
        {"column source_sequence: the column index counts", 11, false, {5, 0, END}},
        {"column timestamp: the column index cannot be read", 4, false, {1, END}},
        {"column timestamp: the column index cannot be read", 4, false, {2, END}},
        {"column timestamp: the column index cannot be read", 4, false, {5, END}},
        {"column timestamp: the offset index says page 0", 4, true, {1, 0, 1, END}},
        {"column timestamp: the offset index says page 1", 4, true, {1, 1, 2, END}},
        {"column timestamp: the offset index says page 2", 4, true, {1, 2, 3, END}},
        {"column timestamp: the offset index", 4, true, {1, END}},
    };
    struct rig rig;
    struct k2_buf bytes = {0};
    rig_open(&rig);
    for (size_t i = 0; i < K2_COUNT(cases); i++) {
        const struct k2_pq_meta *m = &rig.file->groups[0].chunks[cases[i].leaf];
        struct k2_pq_place place = cases[i].is_offset_index ? m->offset_index : m->column_index;
        char name[32];
        int type;
        snprintf(name, sizeof name, "index case %zu", i);
        copy_sound(&rig, &bytes);
        uint8_t *index = (uint8_t *)bytes.ptr + place.offset;
        if (i == 0) /* booleans of a list are bytes of their own */
            *find_value(index, (size_t)place.bytes, cases[i].path, &type) ^= 3;
        else
            change(index, (size_t)place.bytes, cases[i].path);
        expect(&rig, &bytes, name, cases[i].expected);
    }
    k2_buf_done(&bytes);
    rig_close(&rig);
}

TEST(parquet_verify_bloom) {
    struct rig rig;
    struct k2_buf bytes = {0};
    rig_open(&rig);
    struct k2_pq_place bloom = rig.file->groups[0].chunks[1].bloom;
    CHECK(bloom.bytes > 32);
    copy_sound(&rig, &bytes);
    static const int size[] = {1, END};
    change((uint8_t *)bytes.ptr + bloom.offset, (size_t)bloom.bytes, size);
    expect(&rig, &bytes, "its header", "column symbol: the Bloom filter cannot be read");
    int cleared = 0;
    for (int64_t i = bloom.bytes - 32; i < bloom.bytes; i++)
        for (int bit = 0; bit < 8; bit++) {
            if (!(rig.sound.ptr[bloom.offset + i] >> bit & 1))
                continue;
            copy_sound(&rig, &bytes);
            bytes.ptr[bloom.offset + i] ^= (char)(1 << bit);
            expect(&rig, &bytes, "a bit less", "column symbol: the Bloom filter lacks");
            cleared++;
        }
    CHECK(cleared > 0);
    k2_buf_done(&bytes);
    rig_close(&rig);
}

/* ---- rows ---- */

TEST(parquet_verify_order) {
    struct rig rig;
    struct k2_parquet_opts opts = small_opts();
    rig_open(&rig);
    int64_t *timestamp = rig.batch->col[K2_TRADE_TIMESTAMP].i64;
    timestamp[450] = timestamp[449] - 1;
    write_file(&rig, &opts);
    CHECK(strstr(verify(&rig, k2_buf_view(&rig.sound)),
                 "row group 1: row 50 is not in the order that is promised"));
    opts.is_sorted = false;
    write_file(&rig, &opts);
    CHECK(verify(&rig, k2_buf_view(&rig.sound))[0] == 0);
    rig_close(&rig);
}

static bool is_same_row(const struct k2_batch *a, const struct k2_batch *b, uint32_t row) {
    for (int c = 0; c < a->schema->column_count; c++) {
        enum k2_type type = a->schema->columns[c].type;
        bool is_null = k2_batch_is_null(a, c, row);
        if (is_null != k2_batch_is_null(b, c, row))
            return false;
        if (is_null)
            continue;
        size_t width = k2_type_width(type), at = width * row;
        bool is_same = type == K2_LIST || type == K2_MAP
                           ? k2_str_eq(k2_batch_get(a, a->col[c].span[row]),
                                       k2_batch_get(b, b->col[c].span[row]))
                       : type == K2_SYMBOL || type == K2_STRING
                           ? k2_str_eq(k2_batch_text(a, c, row), k2_batch_text(b, c, row))
                           : memcmp(a->col[c].u8 + at, b->col[c].u8 + at, width) == 0;
        if (!is_same)
            return false;
    }
    return true;
}

/* Whether the file, such as it is, still gives the rows that went in. */
static bool reads_the_same(struct rig *rig) {
    struct k2_err err;
    struct k2_intern strings = {0};
    struct k2_batch *b = k2_batch_new(rig->schema, rig->batch->rows, &strings);
    struct k2_parquet_file *file = k2_parquet_open(rig->store, PATH, rig->schema, rig->ids, &err);
    bool ok = file && k2_parquet_rows(file) == rig->batch->rows;
    for (int g = 0; ok && g < k2_parquet_row_groups(file); g++)
        ok = k2_parquet_read(file, g, ~0u, b, &err);
    for (uint32_t i = 0; ok && i < rig->batch->rows; i++)
        ok = is_same_row(rig->batch, b, i);
    k2_parquet_close(file);
    k2_batch_free(b);
    k2_intern_done(&strings);
    return ok;
}

/* One bit of most bytes: it is found, or it stood for nothing (a name of the writer, a bit more in
 * a Bloom filter, an optional field that is another now). */
TEST(parquet_verify_every_byte) {
    struct rig rig;
    struct k2_buf bytes = {0};
    struct k2_random random;
    struct k2_parquet_opts opts = small_opts();
    size_t missed = 0, tried = 0;
    rig_open(&rig);
    k2_random_seed(&random, 7);
    opts.zstd_level = 1;
    opts.row_group_rows = 90;
    opts.page_rows = 40;
    rig.batch->rows = 150;
    write_file(&rig, &opts);
    uint64_t stride = TEST_IS_SLOW ? 12 : 2;
    for (size_t at = 0; at < rig.sound.len; at += 1 + k2_random_below(&random, stride), tried++) {
        copy_sound(&rig, &bytes);
        bytes.ptr[at] ^= (char)(1 << k2_random_below(&random, 8));
        if (verify(&rig, k2_buf_view(&bytes))[0])
            continue;
        missed++;
        if (!reads_the_same(&rig))
            fail_msg("a bit of byte %zu of %zu changes what is read and is not found", at,
                     rig.sound.len);
    }
    CHECK(tried > rig.sound.len / stride && missed < tried / 25);
    k2_buf_done(&bytes);
    rig_close(&rig);
}

/* Many bits, and pieces that are moved, cut out or overwritten. */
TEST(parquet_verify_at_random) {
    struct rig rig;
    struct k2_buf bytes = {0};
    struct k2_random random;
    rig_open(&rig);
    k2_random_seed(&random, 11);
    for (int round = 0; round < (TEST_IS_SLOW ? 300 : 1500); round++) {
        copy_sound(&rig, &bytes);
        for (uint64_t n = 1 + k2_random_below(&random, 4); n; n--) {
            /* Half of it hits what is behind the data: indexes and footer. */
            size_t half = k2_random_below(&random, 2) ? bytes.len / 2 : 0;
            size_t at = half + k2_random_below(&random, bytes.len - half);
            size_t len = k2_random_below(&random, K2_MIN(bytes.len - at, (size_t)64));
            size_t from = k2_random_below(&random, bytes.len - len);
            switch (k2_random_below(&random, 4)) {
            case 0: bytes.ptr[at] ^= (char)(1 << k2_random_below(&random, 8)); break;
            case 1: bytes.ptr[at] = (char)k2_random_u64(&random); break;
            case 2: memmove(bytes.ptr + at, bytes.ptr + from, len); break;
            default:
                memmove(bytes.ptr + at, bytes.ptr + at + len, bytes.len - at - len);
                bytes.len -= len;
            }
        }
        bool is_found = verify(&rig, k2_buf_view(&bytes))[0] != 0;
        if (!is_found && !reads_the_same(&rig))
            fail_msg("round %d: other rows are read and nothing is found", round);
    }
    k2_buf_done(&bytes);
    rig_close(&rig);
}
