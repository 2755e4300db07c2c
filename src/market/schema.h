/* schema.h -- the one table of record kinds and their columns.
 *
 * Avro schemas, Iceberg schemas, Parquet field ids, CSV and JSON names and the data dictionary all
 * come from here: adding a column is adding a row (at the end of its kind; the digest counts on the
 * order). A kind is a set of columns with one home: the Iceberg table it is stored in and, where it
 * travels through the log, an Avro record.
 */
#ifndef K2_MARKET_SCHEMA_H
#define K2_MARKET_SCHEMA_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

/* How a value looks in a batch, in the tables, and in Avro. */
enum k2_type {
    K2_INT32,     /* int32_t;  int */
    K2_INT64,     /* int64_t;  long */
    K2_TIMESTAMP, /* int64_t, microseconds since the epoch, UTC; timestamptz */
    K2_DECIMAL,   /* int64_t, scaled by 10^8; decimal(18, 8) */
    K2_SYMBOL,    /* uint32_t code in the batch's string table; string */
    K2_ENUM,      /* uint8_t index into names[]; string */
    K2_STRING,    /* struct k2_span in the batch's text; string, UTF-8 */
    K2_BINARY,    /* struct k2_span in the batch's text; binary */
    K2_LIST,      /* struct k2_span: Avro array<string> blocks (see k2_list_next); list<string> */
    K2_MAP,   /* struct k2_span: Avro map<string> blocks (see k2_map_next); map<string, string> */
    K2_FLAGS, /* uint32_t, one bit per names[]; list<string> of the set bits, in names[] order */
};

/* What the Avro record says of a required column that a producer may leave out. Optional columns
 * are unions with null whatever stands here. */
enum k2_avro_rule {
    K2_AVRO_GIVEN,    /* always there */
    K2_AVRO_NULLABLE, /* union with null; null is 0 here, and the pipeline fills it */
    K2_AVRO_DEFAULT,  /* plain, with 0, false or [] as default */
};

struct k2_column {
    const char *name;
    enum k2_type type;
    bool is_required;
    int8_t avro;              /* position in the Avro record, from 1; 0: not in it */
    const char *const *names; /* K2_ENUM, K2_FLAGS: NULL-terminated */
    const char *doc;
    enum k2_avro_rule avro_rule;
};

enum k2_kind {
    K2_TRADE,
    K2_QUOTE,
    K2_REFERENCE, /* instruments */
    K2_EVENT,     /* what a feed found before a record existed; travels in k2.events */
    K2_GAP,       /* ledger: a gap as found */
    K2_GAP_EVENT, /* ledger: FILL and ACK of a gap */
    K2_DEAD_LETTER,
    K2_KIND_COUNT,
};

enum { K2_COLUMNS_MAX = 24 };

/* Columns that kinds share, -1 where a kind lacks one. */
struct k2_kind_columns {
    int symbol, exchange, timestamp, nanos, source_sequence, platform_sequence, flags;
    int log_id;
};
extern const struct k2_kind_columns k2_kind_columns[K2_KIND_COUNT];

/* A field of a table's default partition spec: day or identity of a column (-1 ends the list). */
struct k2_spec_field {
    int column;
    const char *transform; /* "identity", "day", "truncate[4]" */
    const char *name;
};

struct k2_schema {
    enum k2_kind kind;
    const char *name;            /* data type in topic names and message keys: "trades" */
    const char *table_namespace; /* "market_data" */
    const char *table_name;      /* "trades"; NULL: a kind without a table */
    const char *avro_name;       /* "TradeV2"; NULL: a kind that does not travel */
    int column_count;
    const struct k2_column *columns;
    struct k2_spec_field spec[4];
    int time_column; /* the column partitions and time pruning use; -1: none */
};

/* The row of a kind; never NULL, valid for ever. */
const struct k2_schema *k2_schema_of(enum k2_kind kind);
/* By data type ("trades"), or NULL. */
const struct k2_schema *k2_schema_by_name(struct k2_str name);
/* By table, with or without its namespace ("gaps", "ops.gaps"), or NULL. A bare name is looked for
 * in market_data, reference_data, ops, in this order. */
const struct k2_schema *k2_schema_by_table(struct k2_str table);
/* The index of a column by name, or -1. */
int k2_schema_column(const struct k2_schema *schema, struct k2_str name);
/* Index of name in a NULL-terminated list, or -1. */
int k2_name_index(const char *const *names, struct k2_str name);

/* The Iceberg field ids K2 gives a new table: top level 1..n in column order, then the nested
 * fields in column order (element; key, value), as the Java library numbers them (docs/rules.md:
 * schema). */
struct k2_field_ids {
    int32_t id;    /* of the column */
    int32_t inner; /* list element or map key; 0 for flat columns */
    int32_t value; /* map value */
};
/* Fills ids[column_count]; returns the last id used. */
int32_t k2_schema_default_ids(const struct k2_schema *schema, struct k2_field_ids *ids);
/* The Avro schema (JSON) of a kind that travels. Appends to out. */
void k2_schema_avro(const struct k2_schema *schema, struct k2_buf *out);
/* A markdown table per kind: the data dictionary. */
void k2_schema_doc(struct k2_buf *out);

/* Columns, in order. The last three of every stored kind are the record's log position. */
enum {
    K2_TRADE_ID,
    K2_TRADE_SYMBOL,
    K2_TRADE_EXCHANGE,
    K2_TRADE_ASSET_CLASS,
    K2_TRADE_TIMESTAMP,
    K2_TRADE_NANOS,
    K2_TRADE_PRICE,
    K2_TRADE_QUANTITY,
    K2_TRADE_CURRENCY,
    K2_TRADE_SIDE,
    K2_TRADE_CONDITIONS,
    K2_TRADE_SOURCE_SEQUENCE,
    K2_TRADE_INGESTION,
    K2_TRADE_PLATFORM_SEQUENCE,
    K2_TRADE_VENDOR_DATA,
    K2_TRADE_FLAGS,
    K2_TRADE_LOG_ID,
    K2_TRADE_LOG_PARTITION,
    K2_TRADE_LOG_OFFSET,
    K2_TRADE_COLUMNS,
};
enum {
    K2_QUOTE_ID,
    K2_QUOTE_SYMBOL,
    K2_QUOTE_EXCHANGE,
    K2_QUOTE_ASSET_CLASS,
    K2_QUOTE_TIMESTAMP,
    K2_QUOTE_NANOS,
    K2_QUOTE_BID_PRICE,
    K2_QUOTE_BID_QUANTITY,
    K2_QUOTE_ASK_PRICE,
    K2_QUOTE_ASK_QUANTITY,
    K2_QUOTE_CURRENCY,
    K2_QUOTE_SOURCE_SEQUENCE,
    K2_QUOTE_INGESTION,
    K2_QUOTE_PLATFORM_SEQUENCE,
    K2_QUOTE_VENDOR_DATA,
    K2_QUOTE_FLAGS,
    K2_QUOTE_LOG_ID,
    K2_QUOTE_LOG_PARTITION,
    K2_QUOTE_LOG_OFFSET,
    K2_QUOTE_COLUMNS,
};
enum {
    K2_REFERENCE_COMPANY_ID,
    K2_REFERENCE_SYMBOL,
    K2_REFERENCE_EXCHANGE,
    K2_REFERENCE_ASSET_CLASS,
    K2_REFERENCE_COMPANY_NAME,
    K2_REFERENCE_ISIN,
    K2_REFERENCE_CURRENCY,
    K2_REFERENCE_LISTING_DATE,
    K2_REFERENCE_DELISTING_DATE,
    K2_REFERENCE_IS_ACTIVE,
    K2_REFERENCE_MAY_BE_NEGATIVE,
    K2_REFERENCE_TIER,
    K2_REFERENCE_INGESTION,
    K2_REFERENCE_PLATFORM_SEQUENCE,
    K2_REFERENCE_VENDOR_DATA,
    K2_REFERENCE_LOG_ID,
    K2_REFERENCE_LOG_PARTITION,
    K2_REFERENCE_LOG_OFFSET,
    K2_REFERENCE_COLUMNS,
};
enum {
    K2_EVENT_TYPE,
    K2_EVENT_SOURCE,
    K2_EVENT_IDENTITY,
    K2_EVENT_STAGE,
    K2_EVENT_ERROR_CODE,
    K2_EVENT_ERROR,
    K2_EVENT_RAW,
    K2_EVENT_INGESTION,
    K2_EVENT_COLUMNS,
};
/* The event type by which a person acknowledges the gap that source names; error is the reason. */
#define K2_EVENT_GAP_ACK "GAP_ACK"
enum {
    K2_GAP_ID,
    K2_GAP_EXCHANGE,
    K2_GAP_SYMBOL,
    K2_GAP_DATA_TYPE,
    K2_GAP_CODE,
    K2_GAP_FIRST_MISSING,
    K2_GAP_LAST_MISSING,
    K2_GAP_MISSING,
    K2_GAP_SEVERITY,
    K2_GAP_DETECTED_AT,
    K2_GAP_LOG_TOPIC,
    K2_GAP_LOG_ID,
    K2_GAP_LOG_PARTITION,
    K2_GAP_LOG_OFFSET,
    K2_GAP_COLUMNS,
};
enum {
    K2_GAP_EVENT_GAP_ID,
    K2_GAP_EVENT_TYPE,
    K2_GAP_EVENT_FIRST,
    K2_GAP_EVENT_LAST,
    K2_GAP_EVENT_AT,
    K2_GAP_EVENT_REASON,
    K2_GAP_EVENT_LOG_TOPIC,
    K2_GAP_EVENT_LOG_ID,
    K2_GAP_EVENT_LOG_PARTITION,
    K2_GAP_EVENT_LOG_OFFSET,
    K2_GAP_EVENT_COLUMNS,
};
enum {
    K2_DEAD_RECEIVED_AT,
    K2_DEAD_SOURCE,
    K2_DEAD_LOG_TOPIC,
    K2_DEAD_STAGE,
    K2_DEAD_ERROR_CODE,
    K2_DEAD_ERROR,
    K2_DEAD_IDENTITY,
    K2_DEAD_RAW,
    K2_DEAD_SCHEMA_ID,
    K2_DEAD_LOG_ID,
    K2_DEAD_LOG_PARTITION,
    K2_DEAD_LOG_OFFSET,
    K2_DEAD_COLUMNS,
};

/* Values of the enumerated columns. */
enum k2_asset_class { K2_EQUITIES, K2_CRYPTO, K2_FUTURES, K2_OPTIONS };
enum k2_side { K2_BUY, K2_SELL, K2_SELL_SHORT, K2_SIDE_UNKNOWN };
enum k2_severity { K2_SEVERITY_LOG, K2_SEVERITY_PAGE, K2_SEVERITY_HALT };
enum k2_flag {
    K2_FLAG_LATE = 1 << 0,
    K2_FLAG_OUT_OF_ORDER = 1 << 1,
    K2_FLAG_PRICE_MOVE = 1 << 2,
    K2_FLAG_TIME_FROM_RECEIPT = 1 << 3,
    K2_FLAG_RECOVERED = 1 << 4,
    K2_FLAG_CORRECTED = 1 << 5,
    K2_FLAG_CROSSED = 1 << 6,
    K2_FLAG_LOCKED = 1 << 7,
};
extern const char *const k2_asset_classes[];
extern const char *const k2_sides[];
extern const char *const k2_severities[];
extern const char *const k2_flags[];

#endif
