/* str_test.c -- views, numbers, UTF-8, distances, buffers. */
#include "base/str.h"

#include "support/test.h"

TEST(str_compares_in_byte_order) {
    static const char *const sorted[] = {"", "A", "AB", "B", "a", "\xc3\xa9", "\xff"};
    for (size_t i = 0; i < K2_COUNT(sorted); i++)
        for (size_t j = 0; j < K2_COUNT(sorted); j++) {
            int order = k2_str_cmp(k2_str_of(sorted[i]), k2_str_of(sorted[j]));
            CHECK((order > 0) - (order < 0) == (i > j) - (i < j));
        }
    CHECK(k2_str_eq(K2_STR(""), (struct k2_str){NULL, 0}));
}

TEST(str_trim_split_prefix) {
    CHECK(k2_str_is(k2_str_trim(K2_STR(" \t a b\r\n")), "a b"));
    CHECK(k2_str_is(k2_str_trim(K2_STR(" ")), ""));
    struct k2_str rest = K2_STR("a,,b");
    CHECK(k2_str_is(k2_str_split(rest, ',', &rest), "a"));
    CHECK(k2_str_is(k2_str_split(rest, ',', &rest), ""));
    CHECK(k2_str_is(k2_str_split(rest, ',', &rest), "b"));
    CHECK(rest.ptr == NULL);
    CHECK(k2_str_starts(K2_STR("kafka://x"), "kafka://") && !k2_str_starts(K2_STR("k"), "ka"));
    CHECK(k2_str_ends(K2_STR("a.csv"), ".csv") && !k2_str_ends(K2_STR("csv"), ".csv"));
}

TEST(str_to_i64_is_strict) {
    static const struct {
        const char *text;
        bool ok;
        int64_t value;
    } cases[] = {
        {"0", true, 0},
        {"-0", true, 0},
        {"007", true, 7},
        {"9223372036854775807", true, INT64_MAX},
        {"-9223372036854775808", true, INT64_MIN},
        {"9223372036854775808", false, 0},
        {"-9223372036854775809", false, 0},
        {"92233720368547758070", false, 0},
        {"", false, 0},
        {"-", false, 0},
        {"+1", false, 0},
        {" 1", false, 0},
        {"1 ", false, 0},
        {"1.0", false, 0},
        {"--1", false, 0},
        {"1e3", false, 0},
    };
    for (size_t i = 0; i < K2_COUNT(cases); i++) {
        int64_t value = 42;
        bool ok = k2_str_to_i64(k2_str_of(cases[i].text), &value);
        CHECK(ok == cases[i].ok);
        assert_int_equal(value, ok ? cases[i].value : 42);
    }
}

TEST(str_utf8_table) {
    static const struct {
        const char *text;
        bool ok;
    } cases[] = {
        {"", true},
        {"plain ascii that is longer than eight", true},
        {"\xc2\x80", true},
        {"\xdf\xbf", true},
        {"\xe0\xa0\x80", true},
        {"\xed\x9f\xbf", true},
        {"\xee\x80\x80", true},
        {"\xf0\x90\x80\x80", true},
        {"\xf4\x8f\xbf\xbf", true},
        {"12345678\xe2\x82\xac", true},
        {"\x80", false},
        {"\xc0\x80", false},
        {"\xc1\xbf", false},
        {"\xc2", false},
        {"\xc2\x41", false},
        {"\xe0\x9f\xbf", false},
        {"\xe2\x82", false},
        {"\xed\xa0\x80", false},
        {"\xed\xbf\xbf", false},
        {"\xf0\x8f\xbf\xbf", false},
        {"\xf4\x90\x80\x80", false},
        {"\xf5\x80\x80\x80", false},
        {"\xf0\x9f\x98", false},
        {"1234567\xff", false},
        {"12345678\xff", false},
    };
    for (size_t i = 0; i < K2_COUNT(cases); i++)
        if (k2_str_is_utf8(k2_str_of(cases[i].text)) != cases[i].ok)
            fail_msg("case %zu", i);
}

TEST(str_distance) {
    assert_int_equal(k2_str_distance(K2_STR("comit"), K2_STR("commit")), 1);
    assert_int_equal(k2_str_distance(K2_STR(""), K2_STR("abc")), 3);
    assert_int_equal(k2_str_distance(K2_STR("kitten"), K2_STR("sitting")), 3);
    assert_int_equal(k2_str_distance(K2_STR("same"), K2_STR("same")), 0);
    char longer[100] = {0};
    assert_int_equal(k2_str_distance(k2_str_make(longer, 100), K2_STR("a")), 64);
}

TEST(buf_grows_and_prints) {
    struct k2_buf buf = {0};
    for (int i = 0; i < 1000; i++)
        k2_buf_printf(&buf, "%d,", i);
    CHECK(strncmp(k2_buf_cstr(&buf), "0,1,2,", 6) == 0);
    CHECK(k2_str_ends(k2_buf_view(&buf), "998,999,"));
    k2_buf_clear(&buf);
    k2_buf_text(&buf, "");
    k2_buf_append(&buf, NULL, 0);
    assert_int_equal(buf.len, 0);
    k2_buf_done(&buf);
    k2_buf_done(&buf);
}

TEST(buf_varints) {
    static const struct {
        int64_t value;
        const char *bytes;
        size_t len;
    } cases[] = {
        {0, "\x00", 1},
        {-1, "\x01", 1},
        {1, "\x02", 1},
        {63, "\x7e", 1},
        {64, "\x80\x01", 2},
        {-65, "\x81\x01", 2},
        {INT64_MIN, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10},
    };
    for (size_t i = 0; i < K2_COUNT(cases); i++) {
        struct k2_buf buf = {0};
        k2_buf_zigzag(&buf, cases[i].value);
        assert_int_equal(buf.len, cases[i].len);
        assert_memory_equal(buf.ptr, cases[i].bytes, buf.len);
        k2_buf_done(&buf);
    }
    struct k2_buf buf = {0};
    k2_buf_u32(&buf, 0x04030201);
    k2_buf_u64(&buf, 1);
    assert_memory_equal(buf.ptr, "\1\2\3\4\1\0\0\0\0\0\0\0", 12);
    k2_buf_done(&buf);
}
