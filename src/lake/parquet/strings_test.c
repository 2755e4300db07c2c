/* strings_test.c -- strings come back from every encoding, and share what makes them small. */
#include "lake/parquet/strings.h"

#include "support/property.h"
#include "support/test.h"

enum { COUNT_MAX = 3000 };

struct rig {
    struct k2_buf bytes, page, scratch, out;
    uint32_t ends[COUNT_MAX + 1];
    struct k2_pq_text text;
};

static void rig_clear(struct rig *rig) {
    k2_buf_clear(&rig->bytes);
    k2_buf_clear(&rig->page);
    k2_buf_clear(&rig->out);
    rig->ends[0] = 0;
    rig->text = (struct k2_pq_text){.ends = rig->ends + 1};
}

static void rig_add(struct rig *rig, struct k2_str s) {
    k2_buf_str(&rig->bytes, s);
    k2_buf_reserve(&rig->bytes, K2_PQ_SLACK);
    rig->ends[++rig->text.count] = (uint32_t)rig->bytes.len;
    rig->text.bytes = rig->bytes.ptr;
}

static void rig_done(struct rig *rig) {
    k2_buf_done(&rig->bytes);
    k2_buf_done(&rig->page);
    k2_buf_done(&rig->scratch);
    k2_buf_done(&rig->out);
}

/* Encodes; returns the sum of what the cuts separate in cuts[2], and the extremes. */
static void encode(struct rig *rig, size_t cuts[2]) {
    uint32_t least, greatest;
    k2_pq_put_delta_strings(&rig->text, &rig->scratch, &rig->page, cuts, &least, &greatest);
    k2_buf_reserve(&rig->page, K2_PQ_SLACK);
    for (uint32_t i = 0; i < rig->text.count; i++) {
        CHECK(k2_str_cmp(k2_pq_text_at(&rig->text, least), k2_pq_text_at(&rig->text, i)) <= 0);
        CHECK(k2_str_cmp(k2_pq_text_at(&rig->text, greatest), k2_pq_text_at(&rig->text, i)) >= 0);
    }
}

static void check_comes_back(struct rig *rig) {
    static struct k2_span spans[COUNT_MAX];
    struct k2_pq_text_in in = {0};
    const uint8_t *at = (const uint8_t *)rig->page.ptr;
    CHECK(k2_pq_text_open(&in, K2_PQ_DELTA_STRINGS, at, at + rig->page.len));
    CHECK(k2_pq_text_take(&in, rig->text.count, 1u << 30, &rig->out, spans));
    for (uint32_t i = 0; i < rig->text.count; i++) {
        struct k2_str s = k2_str_make(rig->out.ptr + spans[i].offset, spans[i].len);
        CHECK(k2_str_eq(s, k2_pq_text_at(&rig->text, i)));
    }
    k2_buf_done(&in.last);
}

/* Strings of one of several sorts: counted ids, ids of many lengths, random text, repeats. */
static void add_random(struct rig *rig, struct k2_random *random, uint64_t sort, uint64_t *id) {
    char text[160];
    int len = 0;
    *id += k2_random_below(random, 200);
    switch (sort) {
    case 0: len = snprintf(text, sizeof text, "%llu", (unsigned long long)*id); break;
    case 1:
        len = snprintf(text, sizeof text, "T-%0*llu", 1 + (int)k2_random_below(random, 40),
                       (unsigned long long)*id);
        break;
    case 2:
        for (len = (int)k2_random_below(random, 150); len < 150 && k2_random_below(random, 9);)
            text[len++] = 'x';
        for (int i = 0; i < len; i++)
            text[i] = (char)k2_random_below(random, 256);
        break;
    default: len = snprintf(text, sizeof text, "%s", *id % 3 ? "" : "the same");
    }
    rig_add(rig, k2_str_make(text, (size_t)len));
}

TEST(strings_of_all_sorts_come_back) {
    struct rig rig = {0};
    struct k2_random random;
    k2_random_seed(&random, (uint64_t)property_seed());
    for (int64_t round = 0; round < property_rounds(60); round++) {
        uint64_t id = k2_random_below(&random, 1000000), sort = (uint64_t)round % 5;
        uint32_t count = (uint32_t)k2_random_below(&random, COUNT_MAX + 1);
        size_t cuts[2];
        rig_clear(&rig);
        for (uint32_t i = 0; i < count; i++)
            add_random(&rig, &random, sort < 4 ? sort : k2_random_below(&random, 4), &id);
        encode(&rig, cuts);
        CHECK(cuts[0] <= cuts[1] && cuts[1] <= rig.page.len);
        check_comes_back(&rig);
    }
    rig_done(&rig);
}

/* Ids that are counted up differ in two or three digits, now and then in more. Were each to share
 * all it can, its two lengths would take most of the page. */
TEST(counted_ids_share_evenly) {
    enum { COUNT = 2048 };
    struct rig rig = {0};
    struct k2_random random;
    uint64_t id = 1000000;
    size_t cuts[2];
    k2_random_seed(&random, 5);
    rig_clear(&rig);
    for (uint32_t i = 0; i < COUNT; i++)
        add_random(&rig, &random, 0, &id);
    encode(&rig, cuts);
    struct k2_pq_text_in in = {0};
    const uint8_t *at = (const uint8_t *)rig.page.ptr;
    int32_t suffix[COUNT];
    int usual = 0;
    CHECK(k2_pq_text_open(&in, K2_PQ_DELTA_STRINGS, at, at + rig.page.len));
    k2_delta_take_i32(&in.suffix, COUNT, suffix);
    for (int i = 0; i < COUNT; i++)
        usual += suffix[i] == 3;
    CHECK(usual > COUNT * 8 / 10);
    CHECK(rig.page.len - cuts[1] < COUNT * 35 / 10);
    check_comes_back(&rig);
    k2_buf_done(&in.last);
    rig_done(&rig);
}

/* Where some are much longer than others, even lengths would store what is shared again. */
TEST(uneven_strings_share_all_they_can) {
    enum { COUNT = 1024, LONG = 28 };
    struct rig rig = {0};
    size_t cuts[2];
    rig_clear(&rig);
    for (uint32_t i = 0; i < COUNT; i++) {
        char text[64];
        /* Every other time the first letter changes, and all behind it is new. */
        snprintf(text, sizeof text, "%c%0*u", 'a' + (int)(i / 2 % 26), LONG - 1, i % 2);
        rig_add(&rig, k2_str_of(text));
    }
    encode(&rig, cuts);
    CHECK(rig.page.len - cuts[1] == COUNT / 2 * LONG + COUNT / 2 * 1);
    check_comes_back(&rig);
    rig_done(&rig);
}
