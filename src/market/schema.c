/* schema.c -- the table of kinds and columns, and what is derived from it. */
#include "market/schema.h"

#include <stdio.h>

const char *const k2_asset_classes[] = {"equities", "crypto", "futures", "options", NULL};
const char *const k2_sides[] = {"BUY", "SELL", "SELL_SHORT", "UNKNOWN", NULL};
const char *const k2_severities[] = {"log", "page", "halt", NULL};
const char *const k2_flags[] = {"LATE",      "OUT_OF_ORDER", "PRICE_MOVE", "TIME_FROM_RECEIPT",
                                "RECOVERED", "CORRECTED",    "CROSSED",    "LOCKED",
                                NULL};

#define REQ true
#define OPT false
#define LOG_POSITION(prefix)                                                                       \
    [prefix##_LOG_ID] = {"log_id",                                                                 \
                         K2_SYMBOL,                                                                \
                         REQ,                                                                      \
                         0,                                                                        \
                         NULL,                                                                     \
                         "the log the record came from: low half of xxh3-64 of its id, in hex"},   \
    [prefix##_LOG_PARTITION] =                                                                     \
        {"log_partition", K2_INT32, REQ, 0, NULL, "log partition of the record"},                  \
    [prefix##_LOG_OFFSET] = {"log_offset", K2_INT64, REQ, 0, NULL, "offset of the record"}

static const struct k2_column trade_columns[] = {
    [K2_TRADE_ID] = {"trade_id", K2_STRING, REQ, 2, NULL, "the venue's id of the trade"},
    [K2_TRADE_SYMBOL] = {"symbol", K2_SYMBOL, REQ, 3, NULL, "the venue's symbol"},
    [K2_TRADE_EXCHANGE] = {"exchange", K2_SYMBOL, REQ, 4, NULL, "venue, upper case"},
    [K2_TRADE_ASSET_CLASS] = {"asset_class", K2_ENUM, REQ, 5, k2_asset_classes,
                              "equities, crypto, futures or options"},
    [K2_TRADE_TIMESTAMP] = {"timestamp", K2_TIMESTAMP, REQ, 6, NULL,
                            "the venue's time of the trade, UTC, microseconds"},
    [K2_TRADE_NANOS] = {"timestamp_nanos", K2_INT32, REQ, 16, NULL,
                        "nanoseconds beyond timestamp, 0-999", K2_AVRO_DEFAULT},
    [K2_TRADE_PRICE] = {"price", K2_DECIMAL, REQ, 7, NULL, "price in currency"},
    [K2_TRADE_QUANTITY] = {"quantity", K2_DECIMAL, REQ, 8, NULL, "shares, contracts or coins"},
    [K2_TRADE_CURRENCY] = {"currency", K2_SYMBOL, REQ, 9, NULL, "quote currency"},
    [K2_TRADE_SIDE] = {"side", K2_ENUM, REQ, 10, k2_sides, "side of the aggressor"},
    [K2_TRADE_CONDITIONS] = {"trade_conditions", K2_LIST, REQ, 11, NULL,
                             "the venue's conditions; CANCEL and CORRECT among them",
                             K2_AVRO_DEFAULT},
    [K2_TRADE_SOURCE_SEQUENCE] = {"source_sequence", K2_INT64, OPT, 12, NULL,
                                  "the venue's sequence number, where it has one"},
    [K2_TRADE_INGESTION] = {"ingestion_timestamp", K2_TIMESTAMP, REQ, 13, NULL,
                            "when K2 first had the message, UTC"},
    [K2_TRADE_PLATFORM_SEQUENCE] = {"platform_sequence", K2_INT64, REQ, 14, NULL,
                                    "K2's own number per exchange and symbol", K2_AVRO_NULLABLE},
    [K2_TRADE_VENDOR_DATA] = {"vendor_data", K2_MAP, OPT, 15, NULL, "what only this venue gives"},
    [K2_TRADE_FLAGS] = {"quality_flags", K2_FLAGS, REQ, 17, k2_flags,
                        "what was known of the row at its commit", K2_AVRO_DEFAULT},
    LOG_POSITION(K2_TRADE),
};

static const struct k2_column quote_columns[] = {
    [K2_QUOTE_ID] = {"quote_id", K2_STRING, REQ, 2, NULL, "the venue's id of the quote"},
    [K2_QUOTE_SYMBOL] = {"symbol", K2_SYMBOL, REQ, 3, NULL, "the venue's symbol"},
    [K2_QUOTE_EXCHANGE] = {"exchange", K2_SYMBOL, REQ, 4, NULL, "venue, upper case"},
    [K2_QUOTE_ASSET_CLASS] = {"asset_class", K2_ENUM, REQ, 5, k2_asset_classes,
                              "equities, crypto, futures or options"},
    [K2_QUOTE_TIMESTAMP] = {"timestamp", K2_TIMESTAMP, REQ, 6, NULL,
                            "the venue's time of the quote, UTC, microseconds"},
    [K2_QUOTE_NANOS] = {"timestamp_nanos", K2_INT32, REQ, 16, NULL,
                        "nanoseconds beyond timestamp, 0-999", K2_AVRO_DEFAULT},
    [K2_QUOTE_BID_PRICE] = {"bid_price", K2_DECIMAL, REQ, 7, NULL, "best bid; 0 with no bid"},
    [K2_QUOTE_BID_QUANTITY] = {"bid_quantity", K2_DECIMAL, REQ, 8, NULL, "size at the best bid"},
    [K2_QUOTE_ASK_PRICE] = {"ask_price", K2_DECIMAL, REQ, 9, NULL, "best ask; 0 with no ask"},
    [K2_QUOTE_ASK_QUANTITY] = {"ask_quantity", K2_DECIMAL, REQ, 10, NULL, "size at the best ask"},
    [K2_QUOTE_CURRENCY] = {"currency", K2_SYMBOL, REQ, 11, NULL, "quote currency"},
    [K2_QUOTE_SOURCE_SEQUENCE] = {"source_sequence", K2_INT64, OPT, 12, NULL,
                                  "the venue's sequence number, where it has one"},
    [K2_QUOTE_INGESTION] = {"ingestion_timestamp", K2_TIMESTAMP, REQ, 13, NULL,
                            "when K2 first had the message, UTC"},
    [K2_QUOTE_PLATFORM_SEQUENCE] = {"platform_sequence", K2_INT64, REQ, 14, NULL,
                                    "K2's own number per exchange and symbol", K2_AVRO_NULLABLE},
    [K2_QUOTE_VENDOR_DATA] = {"vendor_data", K2_MAP, OPT, 15, NULL, "what only this venue gives"},
    [K2_QUOTE_FLAGS] = {"quality_flags", K2_FLAGS, REQ, 17, k2_flags,
                        "what was known of the row at its commit", K2_AVRO_DEFAULT},
    LOG_POSITION(K2_QUOTE),
};

static const char *const booleans[] = {"false", "true", NULL};

static const struct k2_column reference_columns[] = {
    [K2_REFERENCE_COMPANY_ID] = {"company_id", K2_STRING, REQ, 2, NULL,
                                 "the source's id of the issuer"},
    [K2_REFERENCE_SYMBOL] = {"symbol", K2_SYMBOL, REQ, 3, NULL, "the venue's symbol"},
    [K2_REFERENCE_EXCHANGE] = {"exchange", K2_SYMBOL, REQ, 4, NULL, "venue, upper case"},
    [K2_REFERENCE_ASSET_CLASS] = {"asset_class", K2_ENUM, REQ, 5, k2_asset_classes,
                                  "equities, crypto, futures or options"},
    [K2_REFERENCE_COMPANY_NAME] = {"company_name", K2_STRING, REQ, 6, NULL, "name of the issuer"},
    [K2_REFERENCE_ISIN] = {"isin", K2_STRING, OPT, 7, NULL, "ISIN"},
    [K2_REFERENCE_CURRENCY] = {"currency", K2_STRING, OPT, 8, NULL, "currency of its prices"},
    [K2_REFERENCE_LISTING_DATE] = {"listing_date", K2_TIMESTAMP, OPT, 9, NULL, "first day listed"},
    [K2_REFERENCE_DELISTING_DATE] = {"delisting_date", K2_TIMESTAMP, OPT, 10, NULL,
                                     "last day listed"},
    [K2_REFERENCE_IS_ACTIVE] = {"is_active", K2_ENUM, REQ, 11, booleans, "listed now"},
    [K2_REFERENCE_MAY_BE_NEGATIVE] = {"may_be_negative", K2_ENUM, REQ, 15, booleans,
                                      "prices at or below zero are valid", K2_AVRO_DEFAULT},
    [K2_REFERENCE_TIER] = {"tier", K2_INT32, REQ, 16, NULL,
                           "1 is kept longest under overload, 4 shed first", K2_AVRO_DEFAULT},
    [K2_REFERENCE_INGESTION] = {"ingestion_timestamp", K2_TIMESTAMP, REQ, 12, NULL,
                                "when K2 first had the record, UTC"},
    [K2_REFERENCE_PLATFORM_SEQUENCE] = {"platform_sequence", K2_INT64, REQ, 14, NULL,
                                        "version of the instrument, from 1", K2_AVRO_NULLABLE},
    [K2_REFERENCE_VENDOR_DATA] = {"vendor_data", K2_MAP, OPT, 13, NULL,
                                  "what only this source gives"},
    LOG_POSITION(K2_REFERENCE),
};

static const struct k2_column event_columns[] = {
    [K2_EVENT_TYPE] = {"type", K2_STRING, REQ, 1, NULL, "BAD_LINE, BAD_FRAME, RECONNECT, ..."},
    [K2_EVENT_SOURCE] = {"source", K2_STRING, REQ, 2, NULL, "file and line, or venue"},
    [K2_EVENT_IDENTITY] = {"identity", K2_STRING, REQ, 3, NULL,
                           "what makes the event the same event when it is seen again"},
    [K2_EVENT_STAGE] = {"stage", K2_STRING, REQ, 4, NULL, "where it was found"},
    [K2_EVENT_ERROR_CODE] = {"error_code", K2_STRING, REQ, 5, NULL, "short code"},
    [K2_EVENT_ERROR] = {"error", K2_STRING, REQ, 6, NULL, "what is wrong, in words"},
    [K2_EVENT_RAW] = {"raw", K2_BINARY, REQ, 7, NULL, "the bytes as they came"},
    [K2_EVENT_INGESTION] = {"ingestion_timestamp", K2_TIMESTAMP, REQ, 8, NULL,
                            "when K2 found it, UTC"},
};

static const struct k2_column gap_columns[] = {
    [K2_GAP_ID] = {"gap_id", K2_STRING, REQ, 0, NULL, "exchange.symbol.data_type.first_missing"},
    [K2_GAP_EXCHANGE] = {"exchange", K2_SYMBOL, REQ, 0, NULL, "venue"},
    [K2_GAP_SYMBOL] = {"symbol", K2_SYMBOL, REQ, 0, NULL, "symbol"},
    [K2_GAP_DATA_TYPE] = {"data_type", K2_SYMBOL, REQ, 0, NULL, "trades, quotes, ..."},
    [K2_GAP_CODE] = {"code", K2_SYMBOL, REQ, 0, NULL, "SEQUENCE or LOG_TRUNCATED"},
    [K2_GAP_FIRST_MISSING] = {"first_missing", K2_INT64, REQ, 0, NULL, "first missing number"},
    [K2_GAP_LAST_MISSING] = {"last_missing", K2_INT64, REQ, 0, NULL, "last missing number"},
    [K2_GAP_MISSING] = {"missing", K2_INT64, REQ, 0, NULL, "numbers missing when it was found"},
    [K2_GAP_SEVERITY] = {"severity", K2_ENUM, REQ, 0, k2_severities, "log, page or halt"},
    [K2_GAP_DETECTED_AT] = {"detected_at", K2_TIMESTAMP, REQ, 0, NULL,
                            "log time of the record that showed it"},
    [K2_GAP_LOG_TOPIC] = {"log_topic", K2_SYMBOL, REQ, 0, NULL, "topic of that record"},
    LOG_POSITION(K2_GAP),
};

static const struct k2_column gap_event_columns[] = {
    [K2_GAP_EVENT_GAP_ID] = {"gap_id", K2_STRING, REQ, 0, NULL, "the gap"},
    [K2_GAP_EVENT_TYPE] = {"type", K2_SYMBOL, REQ, 0, NULL, "FILL or ACK"},
    [K2_GAP_EVENT_FIRST] = {"first", K2_INT64, REQ, 0, NULL, "first number filled"},
    [K2_GAP_EVENT_LAST] = {"last", K2_INT64, REQ, 0, NULL, "last number filled"},
    [K2_GAP_EVENT_AT] = {"at", K2_TIMESTAMP, REQ, 0, NULL, "log time of the record"},
    [K2_GAP_EVENT_REASON] = {"reason", K2_STRING, OPT, 0, NULL, "why it was acknowledged"},
    [K2_GAP_EVENT_LOG_TOPIC] = {"log_topic", K2_SYMBOL, REQ, 0, NULL, "topic of the record"},
    LOG_POSITION(K2_GAP_EVENT),
};

static const struct k2_column dead_letter_columns[] = {
    [K2_DEAD_RECEIVED_AT] = {"received_at", K2_TIMESTAMP, REQ, 0, NULL, "log time of the record"},
    [K2_DEAD_SOURCE] = {"source", K2_STRING, REQ, 0, NULL, "file and line, or the record's key"},
    [K2_DEAD_LOG_TOPIC] = {"log_topic", K2_SYMBOL, REQ, 0, NULL, "topic of the record"},
    [K2_DEAD_STAGE] = {"stage", K2_SYMBOL, REQ, 0, NULL, "feed, decode, sequence, validate, dedup"},
    [K2_DEAD_ERROR_CODE] = {"error_code", K2_SYMBOL, REQ, 0, NULL, "short code"},
    [K2_DEAD_ERROR] = {"error", K2_STRING, REQ, 0, NULL, "what is wrong, in words"},
    [K2_DEAD_IDENTITY] = {"identity", K2_STRING, OPT, 0, NULL,
                          "layout, hash and count of a bad line"},
    [K2_DEAD_RAW] = {"raw", K2_BINARY, REQ, 0, NULL, "the bytes as they came"},
    [K2_DEAD_SCHEMA_ID] = {"schema_id", K2_INT32, OPT, 0, NULL, "schema id in the record"},
    LOG_POSITION(K2_DEAD),
};

#define COLUMNS(array) .column_count = (int)K2_COUNT(array), .columns = (array)
#define NO_SPEC        .spec = {{-1, NULL, NULL}}

static const struct k2_schema schemas[K2_KIND_COUNT] = {
    [K2_TRADE] = {K2_TRADE, "trades", "market_data", "trades", "TradeV2", COLUMNS(trade_columns),
                  .spec = {{K2_TRADE_TIMESTAMP, "day", "timestamp_day"},
                           {K2_TRADE_EXCHANGE, "identity", "exchange"},
                           {-1, NULL, NULL}},
                  .time_column = K2_TRADE_TIMESTAMP},
    [K2_QUOTE] = {K2_QUOTE, "quotes", "market_data", "quotes", "QuoteV2", COLUMNS(quote_columns),
                  .spec = {{K2_QUOTE_TIMESTAMP, "day", "timestamp_day"},
                           {K2_QUOTE_EXCHANGE, "identity", "exchange"},
                           {-1, NULL, NULL}},
                  .time_column = K2_QUOTE_TIMESTAMP},
    [K2_REFERENCE] = {K2_REFERENCE, "reference_data", "reference_data", "instruments",
                      "ReferenceDataV2", COLUMNS(reference_columns), NO_SPEC, .time_column = -1},
    [K2_EVENT] = {K2_EVENT, "events", NULL, NULL, "EventV1", COLUMNS(event_columns), NO_SPEC,
                  .time_column = -1},
    [K2_GAP] = {K2_GAP, "gaps", "ops", "gaps", NULL, COLUMNS(gap_columns), NO_SPEC,
                .time_column = K2_GAP_DETECTED_AT},
    [K2_GAP_EVENT] = {K2_GAP_EVENT, "gap_events", "ops", "gap_events", NULL,
                      COLUMNS(gap_event_columns), NO_SPEC, .time_column = K2_GAP_EVENT_AT},
    [K2_DEAD_LETTER] = {K2_DEAD_LETTER, "dead_letters", "ops", "dead_letters", NULL,
                        COLUMNS(dead_letter_columns), NO_SPEC, .time_column = K2_DEAD_RECEIVED_AT},
};

const struct k2_schema *k2_schema_of(enum k2_kind kind) {
    K2_ASSERT(kind < K2_KIND_COUNT);
    return &schemas[kind];
}

const struct k2_schema *k2_schema_by_name(struct k2_str name) {
    for (int i = 0; i < K2_KIND_COUNT; i++)
        if (k2_str_is(name, schemas[i].name))
            return &schemas[i];
    return NULL;
}

const struct k2_schema *k2_schema_by_table(struct k2_str table) {
    struct k2_str rest, head = k2_str_split(table, '.', &rest);
    for (int i = 0; i < K2_KIND_COUNT; i++) {
        const struct k2_schema *s = &schemas[i];
        if (!s->table_name)
            continue;
        bool full =
            rest.ptr && k2_str_is(head, s->table_namespace) && k2_str_is(rest, s->table_name);
        if (full || (!rest.ptr && k2_str_is(head, s->table_name)))
            return s;
    }
    return NULL;
}

int k2_schema_column(const struct k2_schema *schema, struct k2_str name) {
    for (int i = 0; i < schema->column_count; i++)
        if (k2_str_is(name, schema->columns[i].name))
            return i;
    return -1;
}

int k2_name_index(const char *const *names, struct k2_str name) {
    for (int i = 0; names[i]; i++)
        if (k2_str_is(name, names[i]))
            return i;
    return -1;
}

int32_t k2_schema_default_ids(const struct k2_schema *schema, struct k2_field_ids *ids) {
    int32_t next = schema->column_count + 1;
    for (int i = 0; i < schema->column_count; i++) {
        enum k2_type type = schema->columns[i].type;
        ids[i] = (struct k2_field_ids){.id = i + 1};
        if (type == K2_LIST || type == K2_FLAGS || type == K2_MAP)
            ids[i].inner = next++;
        if (type == K2_MAP)
            ids[i].value = next++;
    }
    return next - 1;
}

static const char *avro_type(const struct k2_column *column) {
    switch (column->type) {
    case K2_INT32: return "\"int\"";
    case K2_INT64: return "\"long\"";
    case K2_TIMESTAMP: return "{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"}";
    case K2_DECIMAL:
        return "{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":18,\"scale\":8}";
    case K2_BINARY: return "\"bytes\"";
    case K2_LIST:
    case K2_FLAGS: return "{\"type\":\"array\",\"items\":\"string\"}";
    case K2_MAP: return "{\"type\":\"map\",\"values\":\"string\"}";
    case K2_SYMBOL:
    case K2_STRING: return "\"string\"";
    case K2_ENUM: return NULL;
    }
    return NULL;
}

static void avro_enum(const struct k2_column *column, struct k2_buf *out) {
    if (column->names == booleans) {
        k2_buf_text(out, "\"boolean\"");
        return;
    }
    bool is_side = column->names == k2_sides;
    k2_buf_printf(out, "{\"type\":\"enum\",\"name\":\"%s\",\"symbols\":[",
                  is_side ? "TradeSide" : "AssetClass");
    for (int i = 0; column->names[i]; i++)
        k2_buf_printf(out, "%s\"%s\"", i ? "," : "", column->names[i]);
    k2_buf_text(out, "]}");
}

static const char *avro_default(enum k2_type type) {
    return type == K2_LIST || type == K2_FLAGS ? "[]" : type == K2_ENUM ? "false" : "0";
}

static void avro_field(const struct k2_column *column, struct k2_buf *out) {
    bool nullable = !column->is_required || column->avro_rule == K2_AVRO_NULLABLE;
    k2_buf_printf(out, ",{\"name\":\"%s\",\"type\":", column->name);
    if (nullable)
        k2_buf_text(out, "[\"null\",");
    if (column->type == K2_ENUM)
        avro_enum(column, out);
    else
        k2_buf_text(out, avro_type(column));
    if (nullable)
        k2_buf_text(out, "],\"default\":null");
    else if (column->avro_rule == K2_AVRO_DEFAULT)
        k2_buf_printf(out, ",\"default\":%s", avro_default(column->type));
    k2_buf_printf(out, ",\"doc\":\"%s\"}", column->doc);
}

void k2_schema_avro(const struct k2_schema *schema, struct k2_buf *out) {
    K2_ASSERT(schema->avro_name);
    k2_buf_printf(out,
                  "{\"type\":\"record\",\"name\":\"%s\",\"namespace\":\"com.k2.marketdata\","
                  "\"fields\":[",
                  schema->avro_name);
    size_t first = out->len;
    if (schema->kind != K2_EVENT)
        k2_buf_text(out, ",{\"name\":\"message_id\",\"type\":\"string\","
                         "\"doc\":\"informative; K2 derives it as exchange.symbol.number\"}");
    for (int position = 1; position <= K2_COLUMNS_MAX; position++)
        for (int i = 0; i < schema->column_count; i++)
            if (schema->columns[i].avro == position)
                avro_field(&schema->columns[i], out);
    out->ptr[first] = ' ';
    k2_buf_text(out, "]}");
}

static const char *sql_type(enum k2_type type) {
    switch (type) {
    case K2_INT32: return "int";
    case K2_INT64: return "bigint";
    case K2_TIMESTAMP: return "timestamptz";
    case K2_DECIMAL: return "decimal(18,8)";
    case K2_BINARY: return "blob";
    case K2_LIST:
    case K2_FLAGS: return "varchar[]";
    case K2_MAP: return "map(varchar, varchar)";
    default: return "varchar";
    }
}

void k2_schema_doc(struct k2_buf *out) {
    struct k2_field_ids ids[K2_COLUMNS_MAX];
    for (int k = 0; k < K2_KIND_COUNT; k++) {
        const struct k2_schema *s = &schemas[k];
        if (!s->table_name)
            continue;
        k2_schema_default_ids(s, ids);
        k2_buf_printf(
            out, "## %s.%s\n\n| id | column | type | null | meaning |\n|---|---|---|---|---|\n",
            s->table_namespace, s->table_name);
        for (int i = 0; i < s->column_count; i++)
            k2_buf_printf(out, "| %d | `%s` | %s | %s | %s |\n", ids[i].id, s->columns[i].name,
                          sql_type(s->columns[i].type), s->columns[i].is_required ? "" : "yes",
                          s->columns[i].doc);
        k2_buf_text(out, "\n");
    }
}

const struct k2_kind_columns k2_kind_columns[K2_KIND_COUNT] = {
    [K2_TRADE] = {K2_TRADE_SYMBOL, K2_TRADE_EXCHANGE, K2_TRADE_TIMESTAMP, K2_TRADE_NANOS,
                  K2_TRADE_SOURCE_SEQUENCE, K2_TRADE_PLATFORM_SEQUENCE, K2_TRADE_FLAGS,
                  K2_TRADE_LOG_ID},
    [K2_QUOTE] = {K2_QUOTE_SYMBOL, K2_QUOTE_EXCHANGE, K2_QUOTE_TIMESTAMP, K2_QUOTE_NANOS,
                  K2_QUOTE_SOURCE_SEQUENCE, K2_QUOTE_PLATFORM_SEQUENCE, K2_QUOTE_FLAGS,
                  K2_QUOTE_LOG_ID},
    [K2_REFERENCE] = {K2_REFERENCE_SYMBOL, K2_REFERENCE_EXCHANGE, -1, -1, -1,
                      K2_REFERENCE_PLATFORM_SEQUENCE, -1, K2_REFERENCE_LOG_ID},
    [K2_DEAD_LETTER] = {-1, -1, -1, -1, -1, -1, -1, K2_DEAD_LOG_ID},
    [K2_GAP] = {K2_GAP_SYMBOL, K2_GAP_EXCHANGE, -1, -1, -1, -1, -1, K2_GAP_LOG_ID},
    [K2_GAP_EVENT] = {-1, -1, -1, -1, -1, -1, -1, K2_GAP_EVENT_LOG_ID},
    [K2_EVENT] = {-1, -1, -1, -1, -1, -1, -1, -1},
};
