/* err_test.c -- error values: formatting, wrapping, cutting, the table of codes. */
#include "base/err.h"

#include <errno.h>

#include "support/test.h"

TEST(err_set_and_wrap_read_from_the_outside_in) {
    struct k2_err err = {0};
    CHECK(!k2_err_set(&err, K2_INVALID, "row %d", 17));
    CHECK(!k2_err_wrap(&err, "read %s", "trades.csv"));
    assert_string_equal(err.msg, "read trades.csv: row 17");
    assert_int_equal(err.code, K2_INVALID);
    assert_int_equal(err.len, strlen(err.msg));
    CHECK(!err.retriable);
    CHECK(!k2_err_set(&err, K2_UNAVAILABLE, "gone"));
    CHECK(err.retriable);
}

TEST(err_null_is_taken) {
    CHECK(!k2_err_set(NULL, K2_IO, "x"));
    CHECK(!k2_err_wrap(NULL, "x"));
    CHECK(!k2_err_sys(NULL, "x"));
}

TEST(err_sys_maps_errno) {
    static const struct {
        int number;
        enum k2_code code;
    } cases[] = {{ENOENT, K2_NOT_FOUND}, {ENOSPC, K2_LIMIT}, {EDQUOT, K2_LIMIT}, {EIO, K2_IO}};
    for (size_t i = 0; i < K2_COUNT(cases); i++) {
        struct k2_err err = {0};
        errno = cases[i].number;
        CHECK(!k2_err_sys(&err, "open %s", "x"));
        assert_int_equal(err.code, cases[i].code);
        assert_int_equal(errno, cases[i].number);
        CHECK(strstr(err.msg, "open x: "));
    }
}

TEST(err_long_messages_are_cut_and_stay_text) {
    char longer[2000];
    memset(longer, 'a', sizeof longer);
    longer[sizeof longer - 1] = 0;
    struct k2_err err = {0};
    CHECK(!k2_err_set(&err, K2_IO, "%s", longer));
    assert_int_equal(err.len, sizeof err.msg - 1);
    CHECK(!k2_err_wrap(&err, "%s", "head"));
    CHECK(strncmp(err.msg, "head: aaa", 9) == 0);
    assert_int_equal(strlen(err.msg), sizeof err.msg - 1);
    CHECK(!k2_err_wrap(&err, "%s", longer));
    assert_int_equal(strlen(err.msg), sizeof err.msg - 1);
}

TEST(err_exit_codes) {
    assert_int_equal(k2_err_exit_code(K2_OK), 0);
    assert_int_equal(k2_err_exit_code(K2_USAGE), 2);
    assert_int_equal(k2_err_exit_code(K2_UNAVAILABLE), 4);
    assert_int_equal(k2_err_exit_code(K2_DENIED), 5);
    assert_int_equal(k2_err_exit_code(K2_BUG), 1);
    assert_string_equal(k2_err_text(K2_CORRUPT), "corrupt data");
}
