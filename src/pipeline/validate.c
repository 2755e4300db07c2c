/* validate.c -- what a record must satisfy to become a row (docs/rules.md: the chain). No clock:
 * "future" is measured against the time the log took the record. */
#include <stdio.h>

#include "market/decimal.h"
#include "pipeline/lane.h"

static bool may_be_negative(const struct k2_lane *lane, const struct k2_key *key) {
    if (!lane->negatives.count)
        return false;
    char name[300];
    int len = snprintf(name, sizeof name, "%s.%s", k2_intern_str(&lane->strings, key->exchange).ptr,
                       k2_intern_str(&lane->strings, key->symbol).ptr);
    size_t size = K2_MIN((size_t)len, sizeof name - 1);
    return k2_intern_find(&lane->negatives, (struct k2_str){name, size}) != UINT32_MAX;
}

static const char *say(char text[160], const char *code, const char *what, int64_t value,
                       const char *rule) {
    char number[24];
    k2_decimal_format(value, number);
    snprintf(text, 160, "%s %s %s", what, number, rule);
    return code;
}

static void flag_move(const struct k2_lane *lane, const struct k2_key *key, int64_t price,
                      uint32_t *flags) {
    if (key->last_price <= 0 || lane->settings.price_move_ppm == 0)
        return;
    __int128 move = (__int128)price - key->last_price;
    __int128 bound = (__int128)key->last_price * lane->settings.price_move_ppm;
    if ((move < 0 ? -move : move) * 1000000 > bound)
        *flags |= K2_FLAG_PRICE_MOVE;
}

static const char *check_trade(struct k2_lane *lane, const struct k2_key *key, uint32_t row,
                               uint32_t *flags, char text[160]) {
    const struct k2_batch *b = lane->window.rows;
    int64_t price = b->col[K2_TRADE_PRICE].i64[row], quantity = b->col[K2_TRADE_QUANTITY].i64[row];
    if (K2_UNLIKELY(price <= 0) && !may_be_negative(lane, key))
        return say(text, "PRICE_NOT_POSITIVE", "price", price, "is not above 0");
    if (K2_UNLIKELY(quantity < 0))
        return say(text, "QUANTITY_NEGATIVE", "quantity", quantity, "is below 0");
    flag_move(lane, key, price, flags);
    return NULL;
}

static const char *check_side(struct k2_lane *lane, const struct k2_key *key,
                              const char *price_name, int64_t price, int64_t quantity,
                              char text[160]) {
    if (price == 0 && quantity == 0)
        return NULL; /* an empty side */
    if (quantity < 0)
        return say(text, "QUANTITY_NEGATIVE", "quantity", quantity, "is below 0");
    if (price <= 0 && !may_be_negative(lane, key))
        return say(text, "PRICE_NOT_POSITIVE", price_name, price, "is not above 0");
    return NULL;
}

static const char *check_quote(struct k2_lane *lane, const struct k2_key *key, uint32_t row,
                               uint32_t *flags, char text[160]) {
    const struct k2_batch *b = lane->window.rows;
    int64_t bid = b->col[K2_QUOTE_BID_PRICE].i64[row], ask = b->col[K2_QUOTE_ASK_PRICE].i64[row];
    int64_t bid_size = b->col[K2_QUOTE_BID_QUANTITY].i64[row];
    int64_t ask_size = b->col[K2_QUOTE_ASK_QUANTITY].i64[row];
    const char *code = check_side(lane, key, "bid_price", bid, bid_size, text);
    if (!code)
        code = check_side(lane, key, "ask_price", ask, ask_size, text);
    bool has_both = (bid || bid_size) && (ask || ask_size);
    if (has_both && bid >= ask)
        *flags |= bid > ask ? K2_FLAG_CROSSED : K2_FLAG_LOCKED;
    return code;
}

const char *k2_validate_time(const struct k2_lane *lane, uint32_t row, int64_t log_time_us,
                             char text[160]) {
    const struct k2_kind_columns *c = &k2_kind_columns[lane->schema->kind];
    if (c->timestamp < 0)
        return NULL;
    int64_t us = lane->window.rows->col[c->timestamp].i64[row];
    int32_t nanos = lane->window.rows->col[c->nanos].i32[row];
    if (us < K2_TIME_MIN_US || us >= K2_TIME_MAX_US || nanos < 0 || nanos > 999) {
        snprintf(text, 160, "timestamp %lld us and %d ns is not between the years 1900 and 2200",
                 (long long)us, nanos);
        return "TIME_ABSURD";
    }
    if (us > log_time_us + lane->settings.future_us) {
        snprintf(text, 160, "timestamp is %lld ms ahead of the log's time",
                 (long long)((us - log_time_us) / 1000));
        return "TIME_IN_FUTURE";
    }
    return NULL;
}

static bool is_name(struct k2_str s) {
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.ptr[i] <= ' ' || s.ptr[i] == 0x7f)
            return false;
    return s.len > 0 && s.len <= 128;
}

const char *k2_validate(struct k2_lane *lane, const struct k2_key *key, uint32_t row,
                        uint32_t *flags, char text[160]) {
    if (key->last_time_us == 0 && !is_name(k2_intern_str(&lane->strings, key->symbol))) {
        snprintf(text, 160, "symbol is empty, too long, or holds spaces or control characters");
        return "SYMBOL_MALFORMED";
    }
    if (lane->schema->kind == K2_TRADE)
        return check_trade(lane, key, row, flags, text);
    if (lane->schema->kind == K2_QUOTE)
        return check_quote(lane, key, row, flags, text);
    return NULL;
}
