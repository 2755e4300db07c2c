/* date_test.c -- civil dates and ISO 8601 text, on both sides of 1970. */
#include "base/date.h"

#include "support/test.h"

TEST(days_round_trip) {
    for (int32_t days = -200000; days < 200000; days += 13) {
        struct k2_date date = k2_date_from_days(days);
        CHECK(k2_date_is_valid(date));
        assert_int_equal(k2_days_from_date(date), days);
    }
    int32_t next = k2_days_from_date((struct k2_date){1899, 1, 1});
    for (int32_t days = next; days < next + 366 * 202; days++) {
        struct k2_date a = k2_date_from_days(days), b = k2_date_from_days(days + 1);
        bool follows = (b.year == a.year && b.month == a.month && b.day == a.day + 1) ||
                       (b.day == 1 && (b.month == a.month + 1 || b.year == a.year + 1));
        CHECK(follows);
    }
}

TEST(days_known) {
    assert_int_equal(k2_days_from_date((struct k2_date){1970, 1, 1}), 0);
    assert_int_equal(k2_days_from_date((struct k2_date){1969, 12, 31}), -1);
    assert_int_equal(k2_days_from_date((struct k2_date){2000, 2, 29}), 11016);
    assert_int_equal(k2_days_from_date((struct k2_date){2014, 3, 10}), 16139);
    assert_int_equal(k2_yyyymmdd(16139), 20140310);
    CHECK(k2_date_is_valid((struct k2_date){2024, 2, 29}));
    CHECK(k2_date_is_valid((struct k2_date){2000, 2, 29}));
    CHECK(!k2_date_is_valid((struct k2_date){1900, 2, 29}));
    CHECK(!k2_date_is_valid((struct k2_date){2023, 2, 29}));
    CHECK(!k2_date_is_valid((struct k2_date){2023, 4, 31}));
    CHECK(!k2_date_is_valid((struct k2_date){2023, 13, 1}));
    CHECK(!k2_date_is_valid((struct k2_date){2023, 0, 1}));
    CHECK(!k2_date_is_valid((struct k2_date){2023, 1, 0}));
}

TEST(us_floor_to_days) {
    assert_int_equal(k2_days_from_us(0), 0);
    assert_int_equal(k2_days_from_us(-1), -1);
    assert_int_equal(k2_days_from_us(-K2_DAY_US), -1);
    assert_int_equal(k2_days_from_us(-K2_DAY_US - 1), -2);
    assert_int_equal(k2_days_from_us(K2_DAY_US - 1), 0);
}

TEST(iso_text) {
    char text[40];
    k2_us_to_iso(0, text);
    assert_string_equal(text, "1970-01-01T00:00:00.000000Z");
    k2_us_to_iso(-1, text);
    assert_string_equal(text, "1969-12-31T23:59:59.999999Z");
    k2_us_to_iso(16139 * K2_DAY_US + 3723000004, text);
    assert_string_equal(text, "2014-03-10T01:02:03.000004Z");
    char day[16];
    k2_days_to_iso(16139, day);
    assert_string_equal(day, "2014-03-10");
}

TEST(iso_parses) {
    static const struct {
        const char *text;
        int64_t ns;
    } cases[] = {
        {"1970-01-01", 0},
        {"1970-01-01T00:00:00Z", 0},
        {"1970-01-01 00:00", 0},
        {" 1970-01-01T00:00:00.000000001z ", 1},
        {"1970-01-01T00:00:01.5", 1500000000},
        {"1970-01-01T11:00:00+11:00", 0},
        {"1969-12-31T19:00:00-0500", 0},
        {"1969-12-31T23:59:59.999999999Z", -1},
        {"2014-03-10T01:02:03.000004Z", 16139 * K2_DAY_NS + 3723000004000},
    };
    for (size_t i = 0; i < K2_COUNT(cases); i++) {
        struct k2_err err = {0};
        int64_t ns = 0;
        CHECK_OK(k2_iso_to_ns(k2_str_of(cases[i].text), &ns, &err));
        assert_int_equal(ns, cases[i].ns);
    }
}

TEST(iso_refuses) {
    static const char *const cases[] = {
        "",
        "today",
        "2014-3-10",
        "2014-03-10T",
        "2014-03-10T9:00",
        "2014-03-10T24:00:00",
        "2014-03-10T09:60:00",
        "2014-03-10T09:00:60",
        "2014-03-10T09:00:00.",
        "2014-03-10T09:00:00.1234567890",
        "2014-03-10T09:00:00+19:00",
        "2014-03-10T09:00:00 Z",
        "2014-03-10x",
        "2014-02-29",
        "2014-13-01",
        "0001-01-01",
        "2262-01-01",
        "+2014-03-10",
    };
    for (size_t i = 0; i < K2_COUNT(cases); i++) {
        struct k2_err err = {0};
        int64_t ns = 42;
        if (k2_iso_to_ns(k2_str_of(cases[i]), &ns, &err))
            fail_msg("took %s", cases[i]);
        assert_int_equal(err.code, K2_INVALID);
        assert_int_equal(ns, 42);
    }
}
