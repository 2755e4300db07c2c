/* json_test.c -- reading JSON trees and writing JSON text. */
#include "base/json.h"

#include "support/test.h"

TEST(json_reads) {
    struct k2_err err = {0};
    K2_AUTO(k2_json_freep)
    struct k2_json *root = k2_json_parse(
        K2_STR("{\"i\":-9223372036854775808,\"s\":\"a\\u00e9\\n\",\"l\":[1,true,null],\"o\":{},"
               "\"d\":1.5}"),
        &err);
    CHECK_OK(root != NULL);
    CHECK(k2_json_is_object(root) && !k2_json_is_array(root));
    CHECK(k2_json_int(k2_json_get(root, "i"), 0) == INT64_MIN);
    CHECK(k2_json_int(k2_json_get(root, "s"), 7) == 7);
    CHECK(k2_str_is(k2_json_str(k2_json_get(root, "s")), "a\xc3\xa9\n"));
    CHECK(!k2_json_str(k2_json_get(root, "i")).ptr);
    const struct k2_json *list = k2_json_get(root, "l");
    CHECK(k2_json_count(list) == 3 && k2_json_bool(k2_json_at(list, 1), false));
    CHECK(k2_json_is_null(k2_json_at(list, 2)) && !k2_json_at(list, 3));
    CHECK(k2_json_count(root) == 0 && !k2_json_get(list, "x"));
    CHECK(k2_json_real(k2_json_get(root, "d"), 0) == 1.5);
    CHECK(!k2_json_get(root, "nothing") && !k2_json_is_null(NULL));
    CHECK(k2_json_int(NULL, 3) == 3 && !k2_json_str(NULL).ptr && k2_json_count(NULL) == 0);
}

TEST(json_walks_in_order) {
    struct k2_err err = {0};
    K2_AUTO(k2_json_freep)
    struct k2_json *root = k2_json_parse(K2_STR("{\"z\":1,\"a\":2,\"m\":3}"), &err);
    void *iterator = NULL;
    struct k2_str key;
    const struct k2_json *value;
    struct k2_buf seen = {0};
    while (k2_json_next(root, &iterator, &key, &value))
        k2_buf_printf(&seen, "%.*s%lld", K2_FMT(key), (long long)k2_json_int(value, 0));
    assert_string_equal(k2_buf_cstr(&seen), "z1a2m3");
    seen.len = 0;
    k2_json_dump(root, &seen);
    assert_string_equal(k2_buf_cstr(&seen), "{\"z\":1,\"a\":2,\"m\":3}");
    k2_buf_done(&seen);
}

TEST(json_refuses) {
    struct k2_err err = {0};
    const char *bad[] = {"",
                         "{",
                         "[1,]",
                         "{\"a\":1,\"a\":2}",
                         "nul",
                         "1 2",
                         "\"\\ud800\"",
                         "99999999999999999999",
                         "{\"a\" 1}",
                         "\"a\xff\"",
                         "{\"a\":1}garbage"};
    for (size_t i = 0; i < K2_COUNT(bad); i++) {
        CHECK(!k2_json_parse(k2_str_of(bad[i]), &err));
        CHECK(err.code == K2_CORRUPT && strstr(err.msg, "line"));
    }
    struct k2_buf deep = {0};
    for (int i = 0; i < 5000; i++)
        k2_buf_byte(&deep, '[');
    CHECK(!k2_json_parse(k2_buf_view(&deep), &err));
    CHECK(err.code == K2_LIMIT || err.code == K2_CORRUPT);
    k2_buf_done(&deep);
}

TEST(json_writes) {
    struct k2_buf out = {0};
    struct k2_err err = {0};
    k2_buf_byte(&out, '{');
    k2_json_key_int(&out, "n", INT64_MIN);
    k2_json_key_str(&out, "s", K2_STR("a\"b\\\n\t\x01\xc3\xa9\xff|\xe2\x82"));
    k2_json_key_bool(&out, "b", true);
    k2_json_key(&out, "l");
    k2_buf_text(&out, "[]}");
    K2_AUTO(k2_json_freep) struct k2_json *root = k2_json_parse(k2_buf_view(&out), &err);
    CHECK_OK(root != NULL);
    CHECK(k2_json_int(k2_json_get(root, "n"), 0) == INT64_MIN);
    CHECK(k2_str_is(k2_json_str(k2_json_get(root, "s")),
                    "a\"b\\\n\t\x01\xc3\xa9\xef\xbf\xbd|\xef\xbf\xbd\xef\xbf\xbd"));
    CHECK(k2_json_bool(k2_json_get(root, "b"), false));
    k2_buf_done(&out);
}
