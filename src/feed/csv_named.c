/* csv_named.c -- layouts whose header names the columns: k2-trades, k2-quotes, k2-instruments, and
 * the companies of the ASX sample. */
#include <stdio.h>

#include "base/date.h"
#include "feed/csv_impl.h"
#include "market/topic.h"
#include "market/venue.h"

/* Columns a header may name and K2 fills itself. */
static bool is_ignored(const struct k2_schema *schema, int column) {
    return column >= schema->column_count - 3 || schema->columns[column].type == K2_FLAGS ||
           k2_str_is(k2_str_of(schema->columns[column].name), "ingestion_timestamp");
}

static bool need(struct k2_csv *csv, const char *name, bool is_given) {
    if (is_given)
        return true;
    for (int i = 0; i < csv->column_count; i++)
        if (csv->columns[i] >= 0 &&
            k2_str_is(k2_str_of(k2_schema_of(csv->layout->kind)->columns[csv->columns[i]].name),
                      name))
            return true;
    return k2_err_set(csv->err, K2_INVALID, "%s:1: the header has no column %s", csv->path, name);
}

/* The field of a column of the kind, or -1. */
static int find_field(const struct k2_csv *csv, int column) {
    for (int i = 0; i < csv->column_count; i++)
        if (csv->columns[i] == column)
            return i;
    return -1;
}

static void find_keys(struct k2_csv *csv, const struct k2_schema *schema) {
    int symbol = k2_schema_column(schema, K2_STR("symbol"));
    int exchange = k2_schema_column(schema, K2_STR("exchange"));
    csv->keys = (struct k2_csv_keys){
        .symbol = symbol,
        .exchange = exchange,
        .nanos = k2_schema_column(schema, K2_STR("timestamp_nanos")),
        .symbol_field = find_field(csv, symbol),
        .exchange_field = find_field(csv, exchange),
        .asset_class_field = find_field(csv, k2_schema_column(schema, K2_STR("asset_class")))};
}

bool k2_csv_header(struct k2_csv *csv) {
    const struct k2_schema *schema = k2_schema_of(csv->layout->kind);
    csv->column_count = csv->field_count;
    for (int i = 0; i < csv->field_count; i++) {
        int column = k2_schema_column(schema, k2_str_trim(csv->fields[i]));
        csv->columns[i] = (int16_t)(column >= 0 && is_ignored(schema, column) ? -1 : column);
        for (int j = 0; j < i; j++)
            if (column >= 0 && csv->columns[j] == column)
                return k2_err_set(csv->err, K2_INVALID, "%s:1: the header names %s twice",
                                  csv->path, schema->columns[column].name);
    }
    static const char *const trade[] = {"timestamp", "price", "quantity", NULL};
    static const char *const quote[] = {"timestamp", "bid_price",    "bid_quantity",
                                        "ask_price", "ask_quantity", NULL};
    static const char *const reference[] = {NULL};
    const char *const *names = schema->kind == K2_TRADE   ? trade
                               : schema->kind == K2_QUOTE ? quote
                                                          : reference;
    find_keys(csv, schema);
    K2_TRY(need(csv, "symbol", csv->opts->symbol != NULL));
    K2_TRY(need(csv, "exchange", csv->opts->exchange != NULL));
    for (; *names; names++)
        K2_TRY(need(csv, *names, false));
    return true;
}

/* ---- values of any type ---- */

static bool fill_list(struct k2_batch *b, int column, struct k2_str text) {
    struct k2_str items[64], rest = text;
    uint32_t count = 0;
    if (k2_str_is(text, "[]"))
        rest.ptr = NULL;
    while (rest.ptr && text.len && count < 64)
        items[count++] = k2_str_split(rest, ';', &rest);
    b->col[column].span[b->rows] = k2_batch_put_list(b, items, count);
    return true;
}

/* k=v;k=v */
static bool fill_map(struct k2_batch *b, int column, struct k2_str text,
                     struct k2_csv_fault *fault) {
    struct k2_str keys[64], values[64], rest = text;
    uint32_t count = 0;
    if (k2_str_is(text, "{}"))
        rest.ptr = NULL;
    while (rest.ptr && count < 64) {
        struct k2_str value, key = k2_str_split(k2_str_split(rest, ';', &rest), '=', &value);
        if (!value.ptr)
            return k2_csv_fault(fault, "MAP", "vendor_data wants k=v;k=v");
        keys[count] = key;
        values[count++] = value;
    }
    b->col[column].span[b->rows] = k2_batch_put_map(b, keys, values, count);
    return true;
}

static bool fill_time(struct k2_csv *csv, struct k2_batch *b, int column, struct k2_str text,
                      struct k2_csv_fault *fault) {
    struct k2_err why;
    int64_t ns;
    if (!k2_iso_to_ns(text, &ns, &why))
        return k2_csv_fault(fault, "TIME", "%s %s", b->schema->columns[column].name, why.msg);
    bool has_zone =
        text.len > 10 &&
        (text.ptr[text.len - 1] == 'Z' || memchr(text.ptr + 10, 'Z', text.len - 10) ||
         memchr(text.ptr + 10, '+', text.len - 10) || memchr(text.ptr + 10, '-', text.len - 10));
    int64_t s = ns / 1000000000 - (ns % 1000000000 < 0), utc;
    if (!has_zone && csv->opts->zone) {
        if (!k2_zone_to_utc(csv->zone, s, &utc))
            return k2_csv_fault(fault, "TIME", "the local time was skipped by the clocks");
        ns += (utc - s) * 1000000000;
    }
    int64_t us = ns / 1000 - (ns % 1000 < 0);
    b->col[column].i64[b->rows] = us;
    int nanos = csv->keys.nanos;
    if (nanos == column + 1 && !b->col[nanos].i32[b->rows])
        b->col[nanos].i32[b->rows] = (int32_t)(ns - us * 1000);
    return true;
}

static bool fill(struct k2_csv *csv, struct k2_batch *b, int column, struct k2_str text,
                 struct k2_csv_fault *fault) {
    const struct k2_column *c = &b->schema->columns[column];
    struct k2_vector *v = &b->col[column];
    int64_t number;
    if (!text.len)
        return c->is_required && c->type == K2_DECIMAL
                   ? k2_csv_fault(fault, "NUMBER", "%s is empty", c->name)
                   : true;
    if (v->valid)
        v->valid[b->rows] = 1;
    switch (c->type) {
    case K2_INT32:
        K2_TRY(k2_csv_int(c->name, text, &number, fault));
        v->i32[b->rows] = (int32_t)number;
        return number == (int32_t)number ||
               k2_csv_fault(fault, "NUMBER", "%s is too large", c->name);
    case K2_INT64: return k2_csv_int(c->name, text, &v->i64[b->rows], fault);
    case K2_DECIMAL: return k2_csv_decimal(c->name, text, &v->i64[b->rows], fault);
    case K2_TIMESTAMP: return fill_time(csv, b, column, text, fault);
    case K2_SYMBOL: v->u32[b->rows] = k2_intern_add(&csv->strings, text); return true;
    case K2_ENUM: {
        int index = k2_name_index(c->names, text);
        v->u8[b->rows] = (uint8_t)index;
        return index >= 0 || k2_csv_fault(fault, "ENUM", "%s has a value it cannot have", c->name);
    }
    case K2_LIST: return fill_list(b, column, text);
    case K2_MAP: return fill_map(b, column, text, fault);
    default: v->span[b->rows] = k2_batch_put(b, text); return true;
    }
}

/* ---- rows ---- */

static struct k2_str field_at(const struct k2_csv *csv, int field) {
    return field >= 0 ? csv->fields[field] : (struct k2_str){"", 0};
}

/* A line that names no number takes its place in the file's order, per symbol and UTC day. */
static void number_row(struct k2_csv *csv, struct k2_batch *b, int symbol, int exchange) {
    bool is_trade = b->schema->kind == K2_TRADE;
    int source = is_trade ? K2_TRADE_SOURCE_SEQUENCE : K2_QUOTE_SOURCE_SEQUENCE;
    int platform = is_trade ? K2_TRADE_PLATFORM_SEQUENCE : K2_QUOTE_PLATFORM_SEQUENCE;
    int time = is_trade ? K2_TRADE_TIMESTAMP : K2_QUOTE_TIMESTAMP;
    uint32_t row = b->rows;
    if (b->col[source].valid[row] || b->col[platform].i64[row] > 0)
        return;
    int32_t day = k2_days_from_us(b->col[time].i64[row]);
    b->col[platform].i64[row] = k2_day_number(day) + k2_csv_next(csv, b->col[symbol].u32[row],
                                                                 b->col[exchange].u32[row], day);
}

static void set_defaults(struct k2_csv *csv, struct k2_batch *b, uint8_t asset_class) {
    uint32_t row = b->rows;
    if (b->schema->kind == K2_TRADE) {
        b->col[K2_TRADE_ASSET_CLASS].u8[row] = asset_class;
        b->col[K2_TRADE_SIDE].u8[row] = K2_SIDE_UNKNOWN;
        b->col[K2_TRADE_INGESTION].i64[row] = csv->ingestion_us;
    } else if (b->schema->kind == K2_QUOTE) {
        b->col[K2_QUOTE_ASSET_CLASS].u8[row] = asset_class;
        b->col[K2_QUOTE_INGESTION].i64[row] = csv->ingestion_us;
    } else {
        b->col[K2_REFERENCE_ASSET_CLASS].u8[row] = asset_class;
        b->col[K2_REFERENCE_IS_ACTIVE].u8[row] = 1;
        b->col[K2_REFERENCE_TIER].i32[row] = 3;
        b->col[K2_REFERENCE_INGESTION].i64[row] = csv->ingestion_us;
    }
}

/* The code of a venue, checked where no batch of it is open: names of topics are made of it. */
static bool find_venue(struct k2_csv *csv, struct k2_str venue, int asset_class, uint32_t *ret_code,
                       struct k2_csv_fault *fault) {
    char topic[K2_TOPIC_MAX];
    struct k2_err why;
    *ret_code = k2_intern_find(&csv->strings, venue);
    if (*ret_code != UINT32_MAX && k2_csv_topic(csv, *ret_code, (uint8_t)asset_class))
        return true;
    if (!k2_topic_name(k2_schema_of(csv->layout->kind), (enum k2_asset_class)asset_class, venue,
                       topic, &why))
        return k2_csv_fault(fault, "EXCHANGE", "%s", why.msg);
    *ret_code = k2_intern_add(&csv->strings, venue);
    return true;
}

bool k2_csv_named_row(struct k2_csv *csv, struct k2_csv_fault *fault) {
    const struct k2_schema *schema = k2_schema_of(csv->layout->kind);
    int symbol = csv->keys.symbol, exchange = csv->keys.exchange;
    struct k2_str class = field_at(csv, csv->keys.asset_class_field);
    struct k2_str venue = csv->opts->exchange ? k2_str_of(csv->opts->exchange)
                                              : field_at(csv, csv->keys.exchange_field);
    struct k2_str name =
        csv->opts->symbol ? k2_str_of(csv->opts->symbol) : field_at(csv, csv->keys.symbol_field);
    int asset_class =
        class.len ? k2_name_index(k2_asset_classes, class) : (int)k2_venue_asset_class(venue);
    uint32_t code;
    if (asset_class < 0)
        return k2_csv_fault(fault, "ENUM",
                            "asset_class is none of equities, crypto, futures, options");
    K2_TRY(find_venue(csv, venue, asset_class, &code, fault));
    if (!name.len)
        return k2_csv_fault(fault, "SYMBOL", "symbol is empty");
    struct k2_batch *b = k2_csv_batch(csv, code, (uint8_t)asset_class);
    if (!b)
        return false;
    size_t text_len = b->text.len;
    set_defaults(csv, b, (uint8_t)asset_class);
    b->col[symbol].u32[b->rows] = k2_intern_add(&csv->strings, name);
    b->col[exchange].u32[b->rows] = code;
    bool ok = true;
    for (int i = 0; ok && i < csv->column_count; i++)
        if (csv->columns[i] >= 0 && csv->columns[i] != symbol && csv->columns[i] != exchange)
            ok = fill(csv, b, csv->columns[i], csv->fields[i], fault);
    if (schema->kind != K2_REFERENCE && (ok || b->col[schema->time_column].i64[b->rows]))
        number_row(csv, b, symbol, exchange);
    if (!ok) {
        b->text.len = text_len;
        return false;
    }
    b->rows++;
    return true;
}

/* ---- companies of the ASX sample ---- */

bool k2_csv_company_header(struct k2_csv *csv) {
    static const char *const names[] = {"company_id", "symbol",     "company_name",
                                        "ISIN",       "start_date", "end_date"};
    csv->column_count = csv->field_count;
    bool fits = csv->field_count == (int)K2_COUNT(names);
    for (size_t i = 0; fits && i < K2_COUNT(names); i++)
        fits = k2_str_is(k2_str_trim(csv->fields[i]), names[i]);
    return fits || k2_err_set(csv->err, K2_INVALID,
                              "%s:1: the header must be company_id,symbol,company_name,ISIN,"
                              "start_date,end_date",
                              csv->path);
}

static bool company_date(struct k2_csv *csv, struct k2_batch *b, int column, struct k2_str text,
                         struct k2_csv_fault *fault) {
    int32_t day;
    int64_t us;
    if (!text.len)
        return true;
    K2_TRY(k2_csv_local_time(csv, text, K2_STR("00:00:00.000"), &us, &day, fault));
    b->col[column].i64[b->rows] = us;
    b->col[column].valid[b->rows] = 1;
    return true;
}

bool k2_csv_company(struct k2_csv *csv, struct k2_csv_fault *fault) {
    const struct k2_str *f = csv->fields;
    if (!f[0].len || !f[1].len)
        return k2_csv_fault(fault, "SYMBOL", "company_id or symbol is empty");
    uint32_t exchange = k2_intern_add(&csv->strings, k2_str_of(csv->exchange));
    struct k2_batch *b = k2_csv_batch(csv, exchange, K2_EQUITIES);
    if (!b)
        return false;
    set_defaults(csv, b, K2_EQUITIES);
    uint32_t row = b->rows;
    if (!company_date(csv, b, K2_REFERENCE_LISTING_DATE, f[4], fault) ||
        !company_date(csv, b, K2_REFERENCE_DELISTING_DATE, f[5], fault))
        return false;
    b->col[K2_REFERENCE_COMPANY_ID].span[row] = k2_batch_put(b, f[0]);
    b->col[K2_REFERENCE_SYMBOL].u32[row] = k2_intern_add(&csv->strings, f[1]);
    b->col[K2_REFERENCE_EXCHANGE].u32[row] = exchange;
    b->col[K2_REFERENCE_COMPANY_NAME].span[row] = k2_batch_put(b, f[2]);
    b->col[K2_REFERENCE_ISIN].span[row] = k2_batch_put(b, f[3]);
    b->col[K2_REFERENCE_ISIN].valid[row] = f[3].len > 0;
    b->col[K2_REFERENCE_CURRENCY].span[row] = k2_batch_put(b, K2_STR("AUD"));
    b->col[K2_REFERENCE_CURRENCY].valid[row] = 1;
    b->rows++;
    return true;
}
