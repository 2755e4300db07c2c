/* csv_layouts.c -- the table of layouts, and the rows of each. */
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/date.h"
#include "base/file.h"
#include "feed/csv_impl.h"
#include "market/topic.h"
#include "market/venue.h"

/* ---- shared ---- */

static const char *file_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static bool put_number_id(struct k2_batch *b, int column, const char *prefix, int64_t number) {
    char text[64];
    int len = snprintf(text, sizeof text, "%s%lld", prefix, (long long)number);
    b->col[column].span[b->rows] = k2_batch_put(b, (struct k2_str){text, (size_t)len});
    return true;
}

/* A map of the entries that have a value; the span of the row before is used again when equal. */
static void put_vendor(struct k2_csv *csv, struct k2_batch *b, int column,
                       const struct k2_str *keys, const struct k2_str *values, uint32_t count) {
    bool is_same = csv->last_batch == b && count <= 8;
    for (uint32_t i = 0; is_same && i < count; i++)
        is_same = k2_str_eq(values[i], csv->last_vendor[i]);
    if (!is_same) {
        struct k2_str some_keys[8] = {0}, some_values[8] = {0};
        uint32_t some = 0;
        for (uint32_t i = 0; i < count && i < 8; i++)
            if (values[i].len) {
                some_keys[some] = keys[i];
                some_values[some++] = values[i];
            }
        csv->last_span = k2_batch_put_map(b, some_keys, some_values, some);
        /* The batch's text may move, its offsets do not: compare by a copy kept in it. */
        for (uint32_t i = 0; i < count && i < 8; i++)
            csv->last_vendor[i] = (struct k2_str){NULL, 0};
        csv->last_batch = b;
        for (uint32_t i = 0; i < count && i < 8; i++) {
            uint32_t code = k2_intern_add(&csv->strings, values[i]);
            csv->last_vendor[i] = k2_intern_str(&csv->strings, code);
        }
    }
    b->col[column].span[b->rows] = csv->last_span;
    b->col[column].valid[b->rows] = csv->last_span.len > 0;
}

/* ---- ASX sample files ---- */

/* company_info.csv beside the file's folder tells the symbol of a company id. */
static bool find_company(struct k2_csv *csv) {
    const char *name = file_name(csv->path), *dot = strchr(name, '.');
    int id_len = (int)(dot ? dot - name : (long)strlen(name));
    snprintf(csv->company, sizeof csv->company, "%.*s", id_len, name);
    if (csv->opts->symbol) {
        snprintf(csv->symbol, sizeof csv->symbol, "%s", csv->opts->symbol);
        return true;
    }
    struct k2_buf path = {0}, text = {0};
    k2_buf_printf(&path, "%.*s../reference-data/company_info.csv", (int)(name - csv->path),
                  csv->path);
    bool ok = k2_file_read(k2_buf_cstr(&path), 1 << 24, &text, csv->err);
    struct k2_str rest = k2_buf_view(&text);
    while (ok && rest.ptr && !csv->symbol[0]) {
        struct k2_str line = k2_str_split(rest, '\n', &rest), more;
        struct k2_str id = k2_str_split(line, ',', &more);
        struct k2_str symbol = k2_str_split(more, ',', &more);
        if (k2_str_is(id, csv->company) && symbol.len && symbol.len < sizeof csv->symbol)
            snprintf(csv->symbol, sizeof csv->symbol, "%.*s", K2_FMT(symbol));
    }
    if (!ok || !csv->symbol[0]) {
        k2_err_set(csv->err, K2_USAGE,
                   "%s: the symbol of company %s cannot be told from %s; say --symbol S", csv->path,
                   csv->company, path.ptr);
        ok = false;
    }
    k2_buf_done(&path);
    k2_buf_done(&text);
    return ok;
}

/* What trades and quotes of the sample share. Returns the batch with the row begun. */
static struct k2_batch *begin_asx(struct k2_csv *csv, int64_t *ret_number, int64_t *ret_us,
                                  struct k2_csv_fault *fault) {
    uint32_t exchange = k2_intern_add(&csv->strings, k2_str_of(csv->exchange));
    uint32_t symbol = k2_intern_add(&csv->strings, k2_str_of(csv->symbol));
    int32_t day;
    if (!k2_csv_local_time(csv, csv->fields[0], csv->fields[1], ret_us, &day, fault))
        return NULL;
    /* The line takes its place in the file's order before it is judged further: mending it later
     * renumbers nothing, and until then its number is missing and known to be. */
    *ret_number = k2_day_number(day) + k2_csv_next(csv, symbol, exchange, day);
    return k2_csv_batch(csv, exchange, K2_EQUITIES);
}

static bool asx_trade(struct k2_csv *csv, struct k2_csv_fault *fault) {
    const struct k2_str *f = csv->fields;
    int64_t number, us, price, volume, qualifiers;
    struct k2_batch *b = begin_asx(csv, &number, &us, fault);
    if (!b || !k2_csv_decimal("price", f[2], &price, fault) ||
        !k2_csv_decimal("volume", f[3], &volume, fault) ||
        !k2_csv_int("qualifiers", f[4], &qualifiers, fault))
        return false;
    static const struct k2_str keys[] = {
        {"company_id", 10}, {"qualifiers", 10}, {"venue", 5}, {"buyer_id", 8}};
    const struct k2_str values[] = {k2_str_of(csv->company), f[4], f[5], f[6]};
    uint32_t row = b->rows;
    put_number_id(b, K2_TRADE_ID, "ASX-", number);
    b->col[K2_TRADE_SYMBOL].u32[row] = k2_intern_add(&csv->strings, k2_str_of(csv->symbol));
    b->col[K2_TRADE_EXCHANGE].u32[row] = k2_intern_add(&csv->strings, k2_str_of(csv->exchange));
    b->col[K2_TRADE_ASSET_CLASS].u8[row] = K2_EQUITIES;
    b->col[K2_TRADE_TIMESTAMP].i64[row] = us;
    b->col[K2_TRADE_PRICE].i64[row] = price;
    b->col[K2_TRADE_QUANTITY].i64[row] = volume;
    b->col[K2_TRADE_CURRENCY].u32[row] = k2_intern_add(&csv->strings, K2_STR("AUD"));
    b->col[K2_TRADE_SIDE].u8[row] = K2_SIDE_UNKNOWN;
    b->col[K2_TRADE_INGESTION].i64[row] = csv->ingestion_us;
    b->col[K2_TRADE_PLATFORM_SEQUENCE].i64[row] = number;
    put_vendor(csv, b, K2_TRADE_VENDOR_DATA, keys, values, 4);
    b->rows++;
    return true;
}

static bool asx_quote(struct k2_csv *csv, struct k2_csv_fault *fault) {
    const struct k2_str *f = csv->fields;
    int64_t number, us, bid, ask, bid_size, ask_size;
    struct k2_batch *b = begin_asx(csv, &number, &us, fault);
    if (!b || !k2_csv_decimal("bid", f[2], &bid, fault) ||
        !k2_csv_decimal("ask", f[3], &ask, fault) ||
        !k2_csv_decimal("bid volume", f[4], &bid_size, fault) ||
        !k2_csv_decimal("ask volume", f[5], &ask_size, fault))
        return false;
    static const struct k2_str keys[] = {{"company_id", 10}};
    const struct k2_str values[] = {k2_str_of(csv->company)};
    uint32_t row = b->rows;
    put_number_id(b, K2_QUOTE_ID, "ASX-", number);
    b->col[K2_QUOTE_SYMBOL].u32[row] = k2_intern_add(&csv->strings, k2_str_of(csv->symbol));
    b->col[K2_QUOTE_EXCHANGE].u32[row] = k2_intern_add(&csv->strings, k2_str_of(csv->exchange));
    b->col[K2_QUOTE_ASSET_CLASS].u8[row] = K2_EQUITIES;
    b->col[K2_QUOTE_TIMESTAMP].i64[row] = us;
    b->col[K2_QUOTE_BID_PRICE].i64[row] = bid;
    b->col[K2_QUOTE_BID_QUANTITY].i64[row] = bid_size;
    b->col[K2_QUOTE_ASK_PRICE].i64[row] = ask;
    b->col[K2_QUOTE_ASK_QUANTITY].i64[row] = ask_size;
    b->col[K2_QUOTE_CURRENCY].u32[row] = k2_intern_add(&csv->strings, K2_STR("AUD"));
    b->col[K2_QUOTE_INGESTION].i64[row] = csv->ingestion_us;
    b->col[K2_QUOTE_PLATFORM_SEQUENCE].i64[row] = number;
    put_vendor(csv, b, K2_QUOTE_VENDOR_DATA, keys, values, 1);
    b->rows++;
    return true;
}

/* ---- Binance public data ---- */

/* The quote currency is the longest known suffix of the symbol. */
static struct k2_str quote_currency(struct k2_str symbol) {
    static const char *const known[] = {"USDT", "USDC", "BUSD", "TUSD", "USDP", "BTC",
                                        "ETH",  "BNB",  "EUR",  "GBP",  "AUD",  "USD",
                                        "TRY",  "ZAR",  "UAH",  "NGN"};
    for (size_t i = 0; i < K2_COUNT(known); i++)
        if (k2_str_ends(symbol, known[i]) && symbol.len > strlen(known[i]))
            return k2_str_of(known[i]);
    return (struct k2_str){symbol.ptr + K2_MAX(symbol.len, 4ul) - 4, K2_MIN(symbol.len, 4ul)};
}

/* BTCUSDT-trades-2024-01-01.csv */
static bool find_pair(struct k2_csv *csv) {
    const char *name = file_name(csv->path), *dash = strchr(name, '-');
    if (csv->opts->symbol)
        snprintf(csv->symbol, sizeof csv->symbol, "%s", csv->opts->symbol);
    else if (dash && dash > name)
        snprintf(csv->symbol, sizeof csv->symbol, "%.*s", (int)(dash - name), name);
    else
        return k2_err_set(csv->err, K2_USAGE,
                          "%s: the symbol cannot be told from the file's name; say --symbol S",
                          csv->path);
    return true;
}

/* Milliseconds until 2024, microseconds from 2025 on: the magnitude tells. */
static bool binance_time(struct k2_str text, int64_t *ret_us, struct k2_csv_fault *fault) {
    K2_TRY(k2_csv_int("time", text, ret_us, fault));
    if (*ret_us < 100000000000 || *ret_us > 100000000000000000)
        return k2_csv_fault(fault, "TIME", "time %lld is neither ms nor us since 1970",
                            (long long)*ret_us);
    if (*ret_us < 100000000000000)
        *ret_us *= 1000;
    return true;
}

static bool binance_trade(struct k2_csv *csv, struct k2_csv_fault *fault) {
    const struct k2_str *f = csv->fields;
    int64_t id, us, price, quantity;
    bool is_header =
        csv->line == 1 && f[0].len && (f[0].ptr[0] | 32) >= 'a' && (f[0].ptr[0] | 32) <= 'z';
    if (is_header) {
        csv->result->rows--;
        return true;
    }
    if (csv->field_count < 6 || csv->field_count > 7)
        return k2_csv_fault(fault, "COLUMN_COUNT", "the line has %d columns, not 6 or 7",
                            csv->field_count);
    bool is_maker = k2_str_is(f[5], "True") || k2_str_is(f[5], "true");
    if (!is_maker && !k2_str_is(f[5], "False") && !k2_str_is(f[5], "false"))
        return k2_csv_fault(fault, "BOOLEAN", "isBuyerMaker is neither true nor false");
    if (!k2_csv_int("trade id", f[0], &id, fault) ||
        !k2_csv_decimal("price", f[1], &price, fault) ||
        !k2_csv_decimal("qty", f[2], &quantity, fault) || !binance_time(f[4], &us, fault))
        return false;
    uint32_t exchange = k2_intern_add(&csv->strings, k2_str_of(csv->exchange));
    struct k2_batch *b = k2_csv_batch(csv, exchange, K2_CRYPTO);
    if (!b)
        return false;
    static const struct k2_str keys[] = {{"maker", 5}};
    const struct k2_str values[] = {is_maker ? K2_STR("buyer") : K2_STR("seller")};
    uint32_t row = b->rows;
    b->col[K2_TRADE_ID].span[row] = k2_batch_put(b, f[0]);
    b->col[K2_TRADE_SYMBOL].u32[row] = k2_intern_add(&csv->strings, k2_str_of(csv->symbol));
    b->col[K2_TRADE_EXCHANGE].u32[row] = exchange;
    b->col[K2_TRADE_ASSET_CLASS].u8[row] = K2_CRYPTO;
    b->col[K2_TRADE_TIMESTAMP].i64[row] = us;
    b->col[K2_TRADE_PRICE].i64[row] = price;
    b->col[K2_TRADE_QUANTITY].i64[row] = quantity;
    b->col[K2_TRADE_CURRENCY].u32[row] =
        k2_intern_add(&csv->strings, quote_currency(k2_str_of(csv->symbol)));
    b->col[K2_TRADE_SIDE].u8[row] = is_maker ? K2_SELL : K2_BUY;
    b->col[K2_TRADE_SOURCE_SEQUENCE].i64[row] = id;
    b->col[K2_TRADE_SOURCE_SEQUENCE].valid[row] = 1;
    b->col[K2_TRADE_INGESTION].i64[row] = csv->ingestion_us;
    put_vendor(csv, b, K2_TRADE_VENDOR_DATA, keys, values, 1);
    b->rows++;
    return true;
}

/* ---- the table ---- */

static const struct k2_csv_layout layouts[] = {
    {"asx-trades", K2_TRADE, false, false, 7, "ASX", "Australia/Sydney", NULL, asx_trade},
    {"asx-quotes", K2_QUOTE, false, false, 6, "ASX", "Australia/Sydney", NULL, asx_quote},
    {"k2-trades", K2_TRADE, true, true, 0, NULL, "UTC", k2_csv_header, k2_csv_named_row},
    {"k2-quotes", K2_QUOTE, true, true, 0, NULL, "UTC", k2_csv_header, k2_csv_named_row},
    {"binance-trades", K2_TRADE, false, false, -1, "BINANCE", "UTC", NULL, binance_trade},
    {"k2-instruments", K2_REFERENCE, true, true, 0, NULL, "UTC", k2_csv_header, k2_csv_named_row},
    {"asx-companies", K2_REFERENCE, true, true, 0, "ASX", "UTC", k2_csv_company_header,
     k2_csv_company},
};

const char *const k2_csv_layouts[] = {
    "asx-trades",     "asx-quotes",     "k2-trades",     "k2-quotes",
    "binance-trades", "k2-instruments", "asx-companies", NULL};

const struct k2_csv_layout *k2_csv_layout_find(const char *name) {
    for (size_t i = 0; i < K2_COUNT(layouts); i++)
        if (strcmp(layouts[i].name, name) == 0)
            return &layouts[i];
    return NULL;
}

bool k2_csv_prepare(struct k2_csv *csv) {
    const char *exchange = csv->opts->exchange ? csv->opts->exchange : csv->layout->exchange;
    snprintf(csv->exchange, sizeof csv->exchange, "%s", exchange ? exchange : "");
    if (csv->layout->row == asx_trade || csv->layout->row == asx_quote)
        return find_company(csv);
    return csv->layout->row != binance_trade || find_pair(csv);
}
