/* identity_test.c -- what makes two messages one, how venues count, and what a number says. */
#include "support/pipeline_rig.h"

#define QUOTES "market.equities.quotes.simx"
#define CRYPTO "market.crypto.trades.simx"

static struct k2_pipeline_counts counts_of(struct rig *r) {
    struct k2_pipeline_counts counts;
    k2_pipeline_counts(r->pipeline, &counts);
    return counts;
}

static void append_to(struct rig *r, const char *topic, struct k2_batch *batch) {
    struct k2_err err = {0};
    CHECK_OK(k2_log_append(r->log, topic, batch, &err));
    k2_batch_clear(batch);
}

/* ---- content ---- */

/* Gives the batch's last row another value in a column. */
static void change(struct k2_batch *b, int column) {
    uint32_t row = b->rows - 1;
    struct k2_vector *v = &b->col[column];
    struct k2_str key = K2_STR("k"), text = K2_STR("other");
    if (v->valid)
        v->valid[row] = 1;
    switch (b->schema->columns[column].type) {
    case K2_INT32: v->i32[row] += 7; break;
    case K2_INT64:
    case K2_TIMESTAMP:
    case K2_DECIMAL: v->i64[row] += 1; break;
    case K2_SYMBOL: v->u32[row] = k2_intern_add(b->strings, text); break;
    case K2_ENUM: v->u8[row]++; break;
    case K2_LIST: v->span[row] = k2_batch_put_list(b, &text, 1); break;
    case K2_MAP: v->span[row] = k2_batch_put_map(b, &key, &text, 1); break;
    default: v->span[row] = k2_batch_put(b, text);
    }
}

static void put_quote(struct k2_batch *b, int64_t n, int64_t bid, int64_t bid_size, int64_t ask,
                      int64_t ask_size) {
    uint32_t row = b->rows++;
    for (int i = 0; i < b->schema->column_count; i++) {
        size_t width = k2_type_width(b->schema->columns[i].type);
        memset((char *)b->col[i].data + row * width, 0, width);
        if (b->col[i].valid)
            b->col[i].valid[row] = 0;
    }
    b->col[K2_QUOTE_SYMBOL].u32[row] = k2_intern_add(b->strings, K2_STR("AAA"));
    b->col[K2_QUOTE_EXCHANGE].u32[row] = k2_intern_add(b->strings, K2_STR("SIMX"));
    b->col[K2_QUOTE_CURRENCY].u32[row] = k2_intern_add(b->strings, K2_STR("USD"));
    b->col[K2_QUOTE_TIMESTAMP].i64[row] = DAY_US + n * 1000;
    b->col[K2_QUOTE_BID_PRICE].i64[row] = bid * 1000000;
    b->col[K2_QUOTE_BID_QUANTITY].i64[row] = bid_size * 1000000;
    b->col[K2_QUOTE_ASK_PRICE].i64[row] = ask * 1000000;
    b->col[K2_QUOTE_ASK_QUANTITY].i64[row] = ask_size * 1000000;
    b->col[K2_QUOTE_SOURCE_SEQUENCE].i64[row] = n;
    b->col[K2_QUOTE_SOURCE_SEQUENCE].valid[row] = 1;
}

/* Number 1 again, once for each column that may differ: content makes it a conflict, the rest is
 * the same message. */
static void check_content(struct rig *r, const char *topic, struct k2_batch *b, uint32_t content,
                          uint32_t other) {
    for (int column = 0; column < b->schema->column_count; column++) {
        if (!((content | other) & 1u << column))
            continue;
        struct k2_pipeline_counts before = counts_of(r);
        if (b->schema->kind == K2_TRADE)
            put(r, "AAA", 1, 1000);
        else
            put_quote(b, 1, 99, 5, 101, 5);
        change(b, column);
        append_to(r, topic, b);
        settle(r);
        struct k2_pipeline_counts after = counts_of(r);
        bool is_conflict = after.rejected == before.rejected + 1;
        bool is_duplicate = after.duplicates == before.duplicates + 1;
        if (is_conflict != !!(content & 1u << column) || is_duplicate == is_conflict)
            fail_msg("%s of %s", b->schema->columns[column].name, b->schema->name);
        CHECK(after.rows == before.rows);
    }
}

TEST(identity_of_a_trade_is_its_content) {
    struct rig r;
    rig_open(&r);
    open_pipeline(&r);
    put(&r, "AAA", 1, 1000);
    append(&r);
    settle(&r);
    check_content(&r, TOPIC, r.batch,
                  1u << K2_TRADE_TIMESTAMP | 1u << K2_TRADE_NANOS | 1u << K2_TRADE_PRICE |
                      1u << K2_TRADE_QUANTITY | 1u << K2_TRADE_SIDE | 1u << K2_TRADE_ID,
                  1u << K2_TRADE_INGESTION | 1u << K2_TRADE_PLATFORM_SEQUENCE |
                      1u << K2_TRADE_CONDITIONS | 1u << K2_TRADE_VENDOR_DATA |
                      1u << K2_TRADE_CURRENCY);
    struct k2_buf codes = {0};
    read_rows(&r, "ops.dead_letters", K2_DEAD_LETTER, add_codes, &codes);
    for (const char *at = k2_buf_cstr(&codes); *at; at += strlen("SEQUENCE_CONFLICT "))
        CHECK(strncmp(at, "SEQUENCE_CONFLICT ", strlen("SEQUENCE_CONFLICT ")) == 0);
    k2_buf_done(&codes);
    rig_close(&r);
}

TEST(identity_of_a_quote_is_its_content) {
    struct rig r;
    rig_open(&r);
    open_pipeline(&r);
    struct k2_batch *b = k2_batch_new(k2_schema_of(K2_QUOTE), 64, &r.strings);
    put_quote(b, 1, 99, 5, 101, 5);
    append_to(&r, QUOTES, b);
    settle(&r);
    check_content(&r, QUOTES, b,
                  1u << K2_QUOTE_TIMESTAMP | 1u << K2_QUOTE_NANOS | 1u << K2_QUOTE_BID_PRICE |
                      1u << K2_QUOTE_BID_QUANTITY | 1u << K2_QUOTE_ASK_PRICE |
                      1u << K2_QUOTE_ASK_QUANTITY,
                  1u << K2_QUOTE_ID | 1u << K2_QUOTE_INGESTION | 1u << K2_QUOTE_PLATFORM_SEQUENCE |
                      1u << K2_QUOTE_VENDOR_DATA | 1u << K2_QUOTE_CURRENCY);
    k2_batch_free(b);
    rig_close(&r);
}

/* What a record says its message_id is means nothing. */
TEST(identity_in_the_record_is_not_asked) {
    struct rig r;
    struct k2_buf value = {0};
    rig_open(&r);
    open_pipeline(&r);
    put(&r, "AAA", 1234567, 1000);
    append(&r);
    struct k2_record record = newest(&r, K2_STR("SIMX.AAA"), &value);
    char *id = memmem(value.ptr, value.len, "SIMX.AAA.1234567", 16);
    CHECK(id);
    id[15] = '8';
    append_raw(&r, record);
    settle(&r);
    CHECK(counts_of(&r).rows == 1 && counts_of(&r).duplicates == 1);
    k2_buf_done(&value);
    rig_close(&r);
}

/* ---- who must look ---- */

/* Records of another topic are of the same exchange, symbol and kind: the key's first record there
 * asks the table. */
TEST(identity_of_a_first_record_is_looked_up) {
    struct rig r;
    rig_open(&r);
    open_pipeline(&r);
    put(&r, "AAA", 1, 1000);
    put(&r, "BBB", 1, 1000);
    append(&r);
    settle(&r);
    put(&r, "AAA", 1, 1000); /* there already */
    put(&r, "BBB", 1, 2000); /* there with another price */
    put(&r, "CCC", 1, 1000);
    for (uint32_t i = 0; i < r.batch->rows; i++)
        r.batch->col[K2_TRADE_ASSET_CLASS].u8[i] = K2_CRYPTO;
    append_to(&r, CRYPTO, r.batch);
    settle(&r);
    struct k2_pipeline_counts n = counts_of(&r);
    CHECK(n.rows == 3 && n.duplicates == 1 && n.rejected == 1 && n.late == 0);
    rig_close(&r);
}

static void put_at(struct rig *r, int64_t number, enum k2_asset_class class) {
    put(r, "AAA", number % K2_NUMBER_DAY, 1000);
    r->batch->col[K2_TRADE_SOURCE_SEQUENCE].i64[r->batch->rows - 1] = number;
    r->batch->col[K2_TRADE_ASSET_CLASS].u8[r->batch->rows - 1] = (uint8_t) class;
}

/* Number 2 of monday is missing, comes by another topic, and then fills the gap as well. */
TEST(identity_of_a_fill_of_an_earlier_session_is_looked_up) {
    const int64_t monday = 20240930 * K2_NUMBER_DAY, tuesday = 20241001 * K2_NUMBER_DAY;
    struct rig r;
    rig_open(&r);
    open_pipeline(&r);
    put_at(&r, monday + 1, K2_EQUITIES);
    put_at(&r, monday + 4, K2_EQUITIES);
    put_at(&r, tuesday + 1, K2_EQUITIES);
    append(&r);
    settle(&r);
    put_at(&r, monday + 2, K2_CRYPTO);
    append_to(&r, CRYPTO, r.batch);
    settle(&r);
    put_at(&r, monday + 2, K2_EQUITIES);
    append(&r);
    settle(&r);
    struct k2_pipeline_counts n = counts_of(&r);
    CHECK(n.rows == 4 && n.gaps == 1 && n.duplicates == 1 && n.fills == 0);
    rig_close(&r);
}

/* ---- how venues count ---- */

static int rising(void *self, struct k2_str exchange) {
    (void)self, (void)exchange;
    return K2_NUMBERING_RISING;
}

static int dense(void *self, struct k2_str exchange) {
    (void)self, (void)exchange;
    return K2_NUMBERING_DENSE;
}

/* One topic, of the venue; numbers 1 and 5, by the source or by the feed. Returns the gaps found.
 */
static int64_t gaps_of(const char *exchange, const char *topic, enum k2_asset_class class,
                       bool is_source, int (*numbering)(void *, struct k2_str)) {
    struct rig r;
    rig_open(&r);
    r.opts.numbering = numbering;
    open_pipeline(&r);
    for (int64_t n = 1; n <= 5; n += 4) {
        put(&r, "AAA", n, 1000);
        uint32_t row = r.batch->rows - 1;
        r.batch->col[K2_TRADE_EXCHANGE].u32[row] = k2_intern_add(&r.strings, k2_str_of(exchange));
        r.batch->col[K2_TRADE_ASSET_CLASS].u8[row] = (uint8_t) class;
        r.batch->col[K2_TRADE_SOURCE_SEQUENCE].valid[row] = is_source;
        r.batch->col[K2_TRADE_PLATFORM_SEQUENCE].i64[row] = is_source ? 0 : n;
    }
    append_to(&r, topic, r.batch);
    settle(&r);
    int64_t gaps = counts_of(&r).gaps;
    CHECK(counts_of(&r).rows == 2);
    rig_close(&r);
    return gaps;
}

TEST(identity_venues_say_what_a_hole_means) {
    CHECK(gaps_of("SIMX", TOPIC, K2_EQUITIES, true, NULL) == 1);
    CHECK(gaps_of("SIMX", TOPIC, K2_EQUITIES, true, rising) == 0);
    CHECK(gaps_of("BINANCE", "market.crypto.trades.binance", K2_CRYPTO, true, NULL) == 1);
    CHECK(gaps_of("COINBASE", "market.crypto.trades.coinbase", K2_CRYPTO, true, NULL) == 0);
    CHECK(gaps_of("NOWHERE", "market.equities.trades.nowhere", K2_EQUITIES, true, NULL) == 0);
    CHECK(gaps_of("NOWHERE", "market.equities.trades.nowhere", K2_EQUITIES, true, dense) == 1);
    CHECK(gaps_of("NOWHERE", "market.equities.trades.nowhere", K2_EQUITIES, false, NULL) == 1);
}

/* ---- the platform's numbers ---- */

struct numbers {
    int64_t of[2][10]; /* by symbol, A or B, and the trade's id */
};

static bool see_numbers(void *self, const struct k2_batch *rows) {
    struct numbers *numbers = self;
    for (uint32_t i = 0; i < rows->rows; i++) {
        int symbol = k2_batch_text(rows, K2_TRADE_SYMBOL, i).ptr[0] - 'A';
        int id = k2_batch_text(rows, K2_TRADE_ID, i).ptr[0] - '0';
        numbers->of[symbol][id] = rows->col[K2_TRADE_PLATFORM_SEQUENCE].i64[i];
    }
    return true;
}

/* The day of the clock is of no importance, and an earlier day never makes a number fall. */
TEST(identity_of_rows_without_a_number_goes_by_their_own_day) {
    static const int64_t days[] = {0, 0, -1, 0, -2};
    struct numbers numbers = {0};
    struct rig r;
    rig_open(&r);
    r.clock.ns += 9 * 86400000000000ll;
    open_pipeline(&r);
    for (int i = 0; i < 5; i++) {
        put(&r, i < 4 ? "A" : "B", i, 1000);
        r.batch->col[K2_TRADE_SOURCE_SEQUENCE].valid[i] = 0;
        r.batch->col[K2_TRADE_TIMESTAMP].i64[i] += days[i] * 86400000000ll;
    }
    append(&r);
    settle(&r);
    read_rows(&r, "market_data.trades", K2_TRADE, see_numbers, &numbers);
    for (int i = 0; i < 4; i++)
        CHECK(numbers.of[0][i] == 20241004 * K2_NUMBER_DAY + i + 1);
    CHECK(numbers.of[1][4] == 20241002 * K2_NUMBER_DAY + 1);
    rig_close(&r);
}

/* One record with a wrong date must not take all that follow to another day, or session. */
TEST(identity_of_a_row_whose_time_cannot_be_moves_no_number) {
    enum { FUTURE_DAYS = 30000, ABSURD_DAYS = 100000000 };
    static const int64_t days[] = {0, FUTURE_DAYS, ABSURD_DAYS, -ABSURD_DAYS, 0};
    struct numbers numbers = {0};
    struct k2_pipeline_counts n;
    struct rig r;
    rig_open(&r);
    open_pipeline(&r);
    for (int i = 0; i < 5; i++) {
        put(&r, "A", i, 1000);
        r.batch->col[K2_TRADE_SOURCE_SEQUENCE].valid[i] = 0;
        r.batch->col[K2_TRADE_TIMESTAMP].i64[i] += days[i] * 86400000000ll;
    }
    for (int i = 5; i < 9; i++)
        put(&r, "B", i < 7 ? 991 + i : 992 + i, 1000);
    put(&r, "B", 7, 1000); /* fell: with a time that can be it would begin a session */
    r.batch->col[K2_TRADE_TIMESTAMP].i64[9] += FUTURE_DAYS * 86400000000ll;
    put(&r, "B", 1001, 1000);
    append(&r);
    settle(&r);
    k2_pipeline_counts(r.pipeline, &n);
    CHECK(n.rows == 2 + 5 && n.rejected == 4 && n.late == 0 && n.duplicates == 0);
    read_rows(&r, "market_data.trades", K2_TRADE, see_numbers, &numbers);
    CHECK(numbers.of[0][0] == 20241004 * K2_NUMBER_DAY + 1);
    CHECK(numbers.of[0][4] == 20241004 * K2_NUMBER_DAY + 2);
    rig_close(&r);
}

/* ---- gaps ---- */

struct severities {
    uint8_t of[200]; /* by the numbers that are missing */
    struct k2_buf ids;
};

static bool see_severities(void *self, const struct k2_batch *rows) {
    struct severities *s = self;
    for (uint32_t i = 0; i < rows->rows; i++) {
        int64_t missing = rows->col[K2_GAP_MISSING].i64[i];
        CHECK(missing < 200);
        s->of[missing] = (uint8_t)(1 + rows->col[K2_GAP_SEVERITY].u8[i]);
        k2_buf_str(&s->ids, k2_batch_text(rows, K2_GAP_ID, i));
        k2_buf_byte(&s->ids, ' ');
    }
    return true;
}

TEST(identity_a_gap_is_named_and_graded) {
    struct rig r;
    struct severities s = {0};
    rig_open(&r);
    open_pipeline(&r);
    int64_t n = 1;
    put(&r, "AAA", n, 1000);
    for (int i = 0; i < 4; i++)
        put(&r, "AAA", n += 1 + (int64_t[]){9, 10, 100, 101}[i], 1000);
    append(&r);
    settle(&r);
    read_rows(&r, "ops.gaps", K2_GAP, see_severities, &s);
    CHECK(s.of[9] == 1 + K2_SEVERITY_LOG && s.of[10] == 1 + K2_SEVERITY_PAGE);
    CHECK(s.of[100] == 1 + K2_SEVERITY_PAGE);
    CHECK(s.of[101] == 1 + K2_SEVERITY_PAGE); /* the venue does not arm halting */
    CHECK(strstr(k2_buf_cstr(&s.ids), "SIMX.AAA.trades.2 "));
    k2_buf_done(&s.ids);
    rig_close(&r);
}

/* ---- quotes ---- */

static bool see_flags(void *self, const struct k2_batch *rows) {
    uint32_t *flags = self;
    for (uint32_t i = 0; i < rows->rows; i++)
        flags[rows->col[K2_QUOTE_SOURCE_SEQUENCE].i64[i]] =
            rows->col[K2_QUOTE_FLAGS].u32[i] | 1u << 31;
    return true;
}

TEST(identity_of_a_quote_may_have_an_empty_side_and_be_crossed) {
    struct rig r;
    rig_open(&r);
    open_pipeline(&r);
    struct k2_batch *b = k2_batch_new(k2_schema_of(K2_QUOTE), 64, &r.strings);
    put_quote(b, 1, 99, 5, 101, 5);
    put_quote(b, 2, 0, 0, 101, 5);
    put_quote(b, 3, 99, 5, 0, 0);
    put_quote(b, 4, 0, 0, 0, 0);
    put_quote(b, 5, 102, 5, 101, 5);
    put_quote(b, 6, 101, 5, 101, 5);
    put_quote(b, 7, 0, 5, 101, 5);
    append_to(&r, QUOTES, b);
    settle(&r);
    uint32_t flags[8] = {0};
    read_rows(&r, "market_data.quotes", K2_QUOTE, see_flags, flags);
    for (int n = 1; n <= 4; n++)
        CHECK(flags[n] == 1u << 31);
    CHECK(flags[5] == (1u << 31 | K2_FLAG_CROSSED) && flags[6] == (1u << 31 | K2_FLAG_LOCKED));
    CHECK(flags[7] == 0 && counts_of(&r).rejected == 1); /* a size without a price */
    k2_batch_free(b);
    rig_close(&r);
}
