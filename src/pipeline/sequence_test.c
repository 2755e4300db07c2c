/* sequence_test.c -- numbers against a plain model, and the state object's round trip. */
#include "pipeline/sequence.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "base/random.h"
#include "market/topic.h"
#include "support/test.h"

static enum k2_sequence_event take(struct k2_key *key, int64_t number, struct k2_interval *gap) {
    return k2_sequence_take(key, number, true, gap);
}

TEST(sequence_first_then_in_order_then_gap_then_fill) {
    struct k2_key key = {0};
    struct k2_interval gap;
    CHECK(take(&key, 10, &gap) == K2_SEQ_FIRST);
    CHECK(take(&key, 11, &gap) == K2_SEQ_IN_ORDER);
    CHECK(take(&key, 15, &gap) == K2_SEQ_GAP && gap.first == 12 && gap.last == 14);
    CHECK(take(&key, 13, &gap) == K2_SEQ_FILL && gap.gap_first == 12);
    CHECK(key.gap_count == 2);
    CHECK(take(&key, 13, &gap) == K2_SEQ_LOOK);
    CHECK(take(&key, 14, &gap) == K2_SEQ_FILL && gap.gap_first == 12);
    CHECK(take(&key, 12, &gap) == K2_SEQ_FILL && gap.gap_first == 12);
    CHECK(key.gap_count == 0 && key.last == 15);
    CHECK(take(&key, 5, &gap) == K2_SEQ_LOOK);
    CHECK(take(&key, 15, &gap) == K2_SEQ_LOOK);
    k2_free(key.gaps);
}

TEST(sequence_holes_of_rising_venues_are_normal) {
    struct k2_key key = {0};
    struct k2_interval gap;
    CHECK(k2_sequence_take(&key, 10, false, &gap) == K2_SEQ_FIRST);
    CHECK(k2_sequence_take(&key, 90, false, &gap) == K2_SEQ_IN_ORDER);
    CHECK(k2_sequence_take(&key, 50, false, &gap) == K2_SEQ_LOOK);
    CHECK(key.gap_count == 0);
}

TEST(sequence_sessions_only_move_forward) {
    const int64_t monday = 20140310 * K2_NUMBER_DAY, tuesday = 20140311 * K2_NUMBER_DAY;
    struct k2_key key = {0};
    struct k2_interval gap;
    CHECK(take(&key, monday + 1, &gap) == K2_SEQ_FIRST);
    CHECK(take(&key, monday + 4, &gap) == K2_SEQ_GAP);
    CHECK(take(&key, tuesday + 1, &gap) == K2_SEQ_RESET);
    CHECK(take(&key, tuesday + 2, &gap) == K2_SEQ_IN_ORDER);
    CHECK(take(&key, monday + 9, &gap) == K2_SEQ_LOOK);
    CHECK(take(&key, monday + 2, &gap) == K2_SEQ_FILL);
    CHECK(key.last == tuesday + 2);
    k2_free(key.gaps);
}

/* Model: a flag per number, and the last. */
TEST(sequence_agrees_with_a_model_on_random_numbers) {
    enum { NUMBERS = 3000 };
    struct k2_random random;
    k2_random_seed(&random, 3);
    for (int round = 0; round < 50; round++) {
        uint8_t seen[NUMBERS] = {0};
        struct k2_key key = {0};
        struct k2_interval gap;
        int64_t last = 0, first = 0;
        for (int step = 0; step < 4000; step++) {
            int64_t number = 1 + (int64_t)k2_random_below(&random, NUMBERS - 1);
            if (last && k2_random_below(&random, 3))
                number = K2_MIN(last + 1 + (int64_t)k2_random_below(&random, 2), NUMBERS - 1);
            enum k2_sequence_event event = take(&key, number, &gap), want;
            if (!last)
                want = K2_SEQ_FIRST;
            else if (number == last + 1)
                want = K2_SEQ_IN_ORDER;
            else if (number > last)
                want = K2_SEQ_GAP;
            else
                want = number > first && !seen[number] ? K2_SEQ_FILL : K2_SEQ_LOOK;
            assert_int_equal(event, want);
            first = first ? first : number;
            last = K2_MAX(last, number);
            if (event != K2_SEQ_LOOK)
                seen[number] = 1;
        }
        for (uint32_t i = 0; i < key.gap_count; i++) {
            CHECK(key.gaps[i].first <= key.gaps[i].last && key.gaps[i].last < last);
            CHECK(i == 0 || key.gaps[i - 1].last < key.gaps[i].first);
        }
        k2_free(key.gaps);
    }
}

TEST(sequence_forgets_the_oldest_gap_beyond_the_limit) {
    struct k2_key key = {0};
    struct k2_interval gap;
    take(&key, 1, &gap);
    for (int64_t i = 1; i <= K2_GAPS_MAX; i++)
        CHECK(take(&key, 1 + 4 * i, &gap) == K2_SEQ_GAP);
    CHECK(key.gap_count == K2_GAPS_MAX && key.gaps[0].first == 2);
    CHECK(take(&key, 7, &gap) == K2_SEQ_FILL); /* splits 6..8: the oldest goes */
    CHECK(key.gap_count == K2_GAPS_MAX && key.gaps[0].first == 6 && key.gaps[1].first == 8);
    CHECK(take(&key, 3, &gap) == K2_SEQ_LOOK);
    for (uint32_t i = 1; i < key.gap_count; i++)
        CHECK(key.gaps[i - 1].last < key.gaps[i].first);
    k2_free(key.gaps);
}

TEST(sequence_fell_needs_half_and_an_hour) {
    struct k2_key key = {.last = 1000, .last_time_us = 0};
    CHECK(k2_sequence_fell(&key, 100, 3600000001));
    CHECK(!k2_sequence_fell(&key, 100, 3600000000));
    CHECK(!k2_sequence_fell(&key, 600, 7200000000));
}

static void fill_keys(struct k2_keys *keys, struct k2_intern *strings, struct k2_random *random) {
    for (int i = 0; i < 300; i++) {
        char name[16];
        bool is_new;
        snprintf(name, sizeof name, "S%d", i);
        struct k2_key *key = k2_keys_get(keys, (uint32_t)i % 2, k2_intern_add(strings, K2_STR("X")),
                                         k2_intern_add(strings, k2_str_of(name)), &is_new);
        CHECK(is_new);
        key->log_partition = i % 4;
        struct k2_interval gap;
        for (int64_t n = 1; n < 40; n += 1 + (int64_t)k2_random_below(random, 3))
            take(key, n, &gap);
        key->last_price = -5 - i;
        key->version_hash = k2_random_u64(random);
    }
}

TEST(state_object_round_trips_by_section) {
    struct k2_random random;
    k2_random_seed(&random, 5);
    struct k2_keys keys = {0}, back = {0};
    struct k2_intern strings = {0}, others = {0};
    struct k2_chain_settings settings = {60000000, 10, 10, 100, 77, 2}, got;
    fill_keys(&keys, &strings, &random);
    struct k2_section sections[8];
    for (int i = 0; i < 8; i++)
        sections[i] = (struct k2_section){i / 4 ? K2_STR("b") : K2_STR("a"), i % 4, 100 + i,
                                          (uint32_t)i / 4, settings};
    struct k2_buf object = {0};
    struct k2_err err = {0};
    k2_state_write(&keys, &strings, sections, 8, &object);
    int64_t offset;
    for (int i = 0; i < 8; i++) {
        CHECK_OK(k2_state_read(k2_buf_view(&object), sections[i].topic, sections[i].log_partition,
                               (uint32_t)i / 4, &back, &others, &got, &offset, &err));
        CHECK(offset == 100 + i && memcmp(&got, &settings, sizeof got) == 0);
    }
    CHECK(back.count == keys.count);
    for (uint32_t i = 0; i < keys.count; i++) {
        const struct k2_key *a = &keys.keys[i];
        bool is_new;
        const struct k2_key *b =
            k2_keys_get(&back, a->topic, k2_intern_add(&others, K2_STR("X")),
                        k2_intern_add(&others, k2_intern_str(&strings, a->symbol)), &is_new);
        CHECK(!is_new && a->last == b->last && a->last_price == b->last_price &&
              a->version_hash == b->version_hash && a->held == b->held &&
              a->log_partition == b->log_partition && a->gap_count == b->gap_count);
        CHECK(memcmp(a->gaps, b->gaps, a->gap_count * sizeof *a->gaps) == 0);
    }
    CHECK(!k2_state_read(k2_buf_view(&object), K2_STR("c"), 0, 0, &back, &others, &got, &offset,
                         &err) &&
          err.code == K2_NOT_FOUND);
    k2_keys_drop(&back, 0, 0);
    CHECK(back.count == keys.count - 75);
    k2_keys_done(&keys);
    k2_keys_done(&back);
    k2_intern_done(&strings);
    k2_intern_done(&others);
    k2_buf_done(&object);
}

TEST(state_object_damaged_anywhere_is_corrupt) {
    struct k2_random random;
    k2_random_seed(&random, 6);
    struct k2_keys keys = {0}, back = {0};
    struct k2_intern strings = {0};
    struct k2_chain_settings got;
    fill_keys(&keys, &strings, &random);
    struct k2_section section = {.topic = K2_STR("a"), .offset = 9};
    struct k2_buf object = {0};
    k2_state_write(&keys, &strings, &section, 1, &object);
    int64_t offset;
    struct k2_err err = {0};
    for (size_t at = 0; at < object.len; at += 7) {
        object.ptr[at] ^= 0x40;
        CHECK(!k2_state_read(k2_buf_view(&object), K2_STR("a"), 0, 0, &back, &strings, &got,
                             &offset, &err) &&
              err.code == K2_CORRUPT);
        object.ptr[at] ^= 0x40;
    }
    /* The checksum is right, but a value is cut, or the version unknown. */
    struct k2_buf cut = {0};
    for (size_t len = 8; len < object.len - 8; len += 5) {
        k2_buf_clear(&cut);
        k2_buf_append(&cut, object.ptr, len);
        k2_buf_u64(&cut, k2_hash64(object.ptr, len));
        err = (struct k2_err){0};
        CHECK(!k2_state_read(k2_buf_view(&cut), K2_STR("a"), 0, 0, &back, &strings, &got, &offset,
                             &err) &&
              err.code == K2_CORRUPT);
    }
    cut.ptr[4]++;
    cut.len -= 8;
    k2_buf_u64(&cut, k2_hash64(cut.ptr, cut.len));
    CHECK(!k2_state_read(k2_buf_view(&cut), K2_STR("a"), 0, 0, &back, &strings, &got, &offset,
                         &err) &&
          strstr(err.msg, "version 3"));
    k2_buf_done(&cut);
    for (size_t len = 0; len < object.len; len += 11)
        CHECK(!k2_state_read((struct k2_str){object.ptr, len}, K2_STR("a"), 0, 0, &back, &strings,
                             &got, &offset, &err));
    k2_keys_done(&keys);
    k2_keys_done(&back);
    k2_intern_done(&strings);
    k2_buf_done(&object);
}
