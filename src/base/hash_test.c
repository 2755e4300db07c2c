/* hash_test.c -- published vectors, because these numbers are stored and sent. */
#include "base/hash.h"

#include "base/macros.h"
#include "support/test.h"

TEST(crc32c_vectors) {
    assert_int_equal(k2_crc32c(0, "123456789", 9), 0xe3069283u);
    assert_int_equal(k2_crc32c(0, "", 0), 0);
    unsigned char zeros[32] = {0};
    assert_int_equal(k2_crc32c(0, zeros, 32), 0x8a9136aau);
    const char *digits = "123456789";
    for (size_t cut = 0; cut <= 9; cut++) {
        uint32_t crc = k2_crc32c(0, digits, cut);
        assert_int_equal(k2_crc32c(crc, digits + cut, 9 - cut), 0xe3069283u);
    }
}

TEST(murmur2_as_the_java_client) {
    static const struct {
        const char *key;
        int32_t hash;
    } cases[] = {
        {"21", -973932308},
        {"foobar", -790332482},
        {"a-little-bit-long-string", -985981536},
        {"a-little-bit-longer-string", -1486304829},
        {"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971},
        {"abc", 479470107},
    };
    for (size_t i = 0; i < K2_COUNT(cases); i++)
        assert_int_equal((int32_t)k2_murmur2(cases[i].key, strlen(cases[i].key)), cases[i].hash);
}

TEST(xxh_vectors) {
    CHECK(k2_xxh64("", 0) == 0xef46db3751d8e999u);
    CHECK(k2_xxh64("abc", 3) == 0x44bc2cf5ad770999u);
    CHECK(k2_hash64("", 0) == 0x2d06800538d394c2u);
    char hex[33];
    k2_hash128_hex(k2_hash128("", 0), hex);
    assert_string_equal(hex, "99aa06d3014798d86001c324468d497f");
}

TEST(hasher_is_the_same_in_pieces) {
    char text[1000];
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)(i * 7);
    struct k2_hash128 whole = k2_hash128(text, sizeof text);
    struct k2_hasher *hasher = k2_hasher_new();
    for (size_t i = 0; i < sizeof text; i += 100)
        k2_hasher_add(hasher, text + i, 100);
    struct k2_hash128 pieces = k2_hasher_end(hasher);
    CHECK(pieces.low == whole.low && pieces.high == whole.high);
    k2_hasher_free(hasher);
}
