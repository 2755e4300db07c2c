/* intern_test.c -- dense codes, one per distinct string, found again after growth. */
#include "base/intern.h"

#include "support/test.h"

TEST(intern_gives_dense_codes_that_stay) {
    struct k2_intern table = {0};
    CHECK(k2_intern_find(&table, K2_STR("x")) == UINT32_MAX);
    const char *first = NULL;
    for (uint32_t i = 0; i < 5000; i++) {
        char name[16];
        snprintf(name, sizeof name, "S%u", i);
        assert_int_equal(k2_intern_add(&table, k2_str_of(name)), i);
        if (i == 0)
            first = k2_intern_str(&table, 0).ptr;
    }
    CHECK(first == k2_intern_str(&table, 0).ptr); /* strings do not move */
    for (uint32_t i = 0; i < 5000; i++) {
        char name[16];
        snprintf(name, sizeof name, "S%u", i);
        assert_int_equal(k2_intern_add(&table, k2_str_of(name)), i);
        assert_int_equal(k2_intern_find(&table, k2_str_of(name)), i);
        assert_string_equal(k2_intern_str(&table, i).ptr, name);
    }
    assert_int_equal(table.count, 5000);
    CHECK(k2_intern_find(&table, K2_STR("S5000")) == UINT32_MAX);
    k2_intern_done(&table);
    assert_int_equal(k2_intern_add(&table, K2_STR("")), 0);
    CHECK(k2_intern_find(&table, (struct k2_str){NULL, 0}) == 0);
    k2_intern_done(&table);
}

TEST(intern_tells_strings_apart_whatever_their_length) {
    static const char text[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    struct k2_intern table = {0};
    for (uint32_t len = 0; len < sizeof text; len++)
        CHECK(k2_intern_add(&table, k2_str_make(text, len)) == len);
    uint32_t next = table.count;
    for (uint32_t len = 1; len < sizeof text; len++) /* another last byte, or a NUL there */
        for (uint32_t k = 0; k < 2; k++) {
            char other[sizeof text];
            memcpy(other, text, len);
            other[len - 1] = k ? 'b' : 0;
            CHECK(k2_intern_find(&table, k2_str_make(other, len)) == UINT32_MAX);
            CHECK(k2_intern_add(&table, k2_str_make(other, len)) == next);
            next++;
        }
    for (uint32_t len = 0; len < sizeof text; len++)
        CHECK(k2_intern_find(&table, k2_str_make(text, len)) == len);
    k2_intern_done(&table);
}

TEST(intern_finds_words_as_it_finds_strings) {
    struct k2_intern table = {0};
    CHECK(k2_intern_find_words(&table, (struct k2_words){'A', 0, 1}) == UINT32_MAX);
    uint32_t one = k2_intern_add(&table, K2_STR("A"));
    uint32_t other = k2_intern_add(&table, K2_STR("ABCDEFGHI"));
    CHECK(k2_intern_find_words(&table, (struct k2_words){'A', 0, 1}) == one);
    CHECK(k2_intern_find_words(&table, (struct k2_words){0x4847464544434241u, 'I', 9}) == other);
    CHECK(k2_intern_find_words(&table, (struct k2_words){'A', 0, 2}) == UINT32_MAX);
    k2_intern_done(&table);
}
