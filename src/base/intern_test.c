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
