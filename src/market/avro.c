/* avro.c -- rows of a batch to Avro binary and back (Avro 1.11 specification, "Binary encoding").
 */
#include "market/avro.h"

#ifdef __BMI2__
#include <immintrin.h>
#endif

#include "base/alloc.h"
#include "market/avro_plan.h"

/* A test holds these against the schema's table. */
static const struct k2_avro_field trade_wire[] = {
    {K2_TRADE_ID, K2_STRING, K2_FIELD_PLAIN},
    {K2_TRADE_SYMBOL, K2_SYMBOL, K2_FIELD_PLAIN},
    {K2_TRADE_EXCHANGE, K2_SYMBOL, K2_FIELD_PLAIN},
    {K2_TRADE_ASSET_CLASS, K2_ENUM, K2_FIELD_PLAIN},
    {K2_TRADE_TIMESTAMP, K2_TIMESTAMP, K2_FIELD_PLAIN},
    {K2_TRADE_PRICE, K2_DECIMAL, K2_FIELD_PLAIN},
    {K2_TRADE_QUANTITY, K2_DECIMAL, K2_FIELD_PLAIN},
    {K2_TRADE_CURRENCY, K2_SYMBOL, K2_FIELD_PLAIN},
    {K2_TRADE_SIDE, K2_ENUM, K2_FIELD_PLAIN},
    {K2_TRADE_CONDITIONS, K2_LIST, K2_FIELD_PLAIN},
    {K2_TRADE_SOURCE_SEQUENCE, K2_INT64, K2_FIELD_OPTIONAL},
    {K2_TRADE_INGESTION, K2_TIMESTAMP, K2_FIELD_PLAIN},
    {K2_TRADE_PLATFORM_SEQUENCE, K2_INT64, K2_FIELD_ZERO_IS_NULL},
    {K2_TRADE_VENDOR_DATA, K2_MAP, K2_FIELD_OPTIONAL},
    {K2_TRADE_NANOS, K2_INT32, K2_FIELD_PLAIN},
    {K2_TRADE_FLAGS, K2_FLAGS, K2_FIELD_PLAIN},
};
static const struct k2_avro_field quote_wire[] = {
    {K2_QUOTE_ID, K2_STRING, K2_FIELD_PLAIN},
    {K2_QUOTE_SYMBOL, K2_SYMBOL, K2_FIELD_PLAIN},
    {K2_QUOTE_EXCHANGE, K2_SYMBOL, K2_FIELD_PLAIN},
    {K2_QUOTE_ASSET_CLASS, K2_ENUM, K2_FIELD_PLAIN},
    {K2_QUOTE_TIMESTAMP, K2_TIMESTAMP, K2_FIELD_PLAIN},
    {K2_QUOTE_BID_PRICE, K2_DECIMAL, K2_FIELD_PLAIN},
    {K2_QUOTE_BID_QUANTITY, K2_DECIMAL, K2_FIELD_PLAIN},
    {K2_QUOTE_ASK_PRICE, K2_DECIMAL, K2_FIELD_PLAIN},
    {K2_QUOTE_ASK_QUANTITY, K2_DECIMAL, K2_FIELD_PLAIN},
    {K2_QUOTE_CURRENCY, K2_SYMBOL, K2_FIELD_PLAIN},
    {K2_QUOTE_SOURCE_SEQUENCE, K2_INT64, K2_FIELD_OPTIONAL},
    {K2_QUOTE_INGESTION, K2_TIMESTAMP, K2_FIELD_PLAIN},
    {K2_QUOTE_PLATFORM_SEQUENCE, K2_INT64, K2_FIELD_ZERO_IS_NULL},
    {K2_QUOTE_VENDOR_DATA, K2_MAP, K2_FIELD_OPTIONAL},
    {K2_QUOTE_NANOS, K2_INT32, K2_FIELD_PLAIN},
    {K2_QUOTE_FLAGS, K2_FLAGS, K2_FIELD_PLAIN},
};
static const struct k2_avro_field reference_wire[] = {
    {K2_REFERENCE_COMPANY_ID, K2_STRING, K2_FIELD_PLAIN},
    {K2_REFERENCE_SYMBOL, K2_SYMBOL, K2_FIELD_PLAIN},
    {K2_REFERENCE_EXCHANGE, K2_SYMBOL, K2_FIELD_PLAIN},
    {K2_REFERENCE_ASSET_CLASS, K2_ENUM, K2_FIELD_PLAIN},
    {K2_REFERENCE_COMPANY_NAME, K2_STRING, K2_FIELD_PLAIN},
    {K2_REFERENCE_ISIN, K2_STRING, K2_FIELD_OPTIONAL},
    {K2_REFERENCE_CURRENCY, K2_STRING, K2_FIELD_OPTIONAL},
    {K2_REFERENCE_LISTING_DATE, K2_TIMESTAMP, K2_FIELD_OPTIONAL},
    {K2_REFERENCE_DELISTING_DATE, K2_TIMESTAMP, K2_FIELD_OPTIONAL},
    {K2_REFERENCE_IS_ACTIVE, K2_ENUM, K2_FIELD_BOOLEAN},
    {K2_REFERENCE_INGESTION, K2_TIMESTAMP, K2_FIELD_PLAIN},
    {K2_REFERENCE_VENDOR_DATA, K2_MAP, K2_FIELD_OPTIONAL},
    {K2_REFERENCE_PLATFORM_SEQUENCE, K2_INT64, K2_FIELD_ZERO_IS_NULL},
    {K2_REFERENCE_MAY_BE_NEGATIVE, K2_ENUM, K2_FIELD_BOOLEAN},
    {K2_REFERENCE_TIER, K2_INT32, K2_FIELD_PLAIN},
};
static const struct k2_avro_field event_wire[] = {
    {K2_EVENT_TYPE, K2_STRING, K2_FIELD_PLAIN},
    {K2_EVENT_SOURCE, K2_STRING, K2_FIELD_PLAIN},
    {K2_EVENT_IDENTITY, K2_STRING, K2_FIELD_PLAIN},
    {K2_EVENT_STAGE, K2_STRING, K2_FIELD_PLAIN},
    {K2_EVENT_ERROR_CODE, K2_STRING, K2_FIELD_PLAIN},
    {K2_EVENT_ERROR, K2_STRING, K2_FIELD_PLAIN},
    {K2_EVENT_RAW, K2_BINARY, K2_FIELD_PLAIN},
    {K2_EVENT_INGESTION, K2_TIMESTAMP, K2_FIELD_PLAIN},
};

/* ---- encoding ---- */

/* Before a loop whose count is known: no loop at all. */
#ifdef __clang__
#define K2_UNROLL _Pragma("clang loop unroll(full)")
#else
#define K2_UNROLL _Pragma("GCC unroll 16")
#endif

/* Writes up to ten bytes; eight are written whatever the length, callers leave that room. */
static inline char *put_long(char *p, int64_t value) {
    uint64_t v = ((uint64_t)value << 1) ^ (uint64_t)(value >> 63);
    if (v < 128) {
        *p = (char)v;
        return p + 1;
    }
#ifdef __BMI2__
    if (K2_LIKELY(v >> 56 == 0)) {
        int bytes = (63 - __builtin_clzll(v)) / 7 + 1;
        uint64_t more = 0x8080808080808080u >> (64 - 8 * (bytes - 1));
        uint64_t word = _pdep_u64(v, 0x7f7f7f7f7f7f7f7fu) | more;
        memcpy(p, &word, 8);
        return p + bytes;
    }
#endif
    for (; v >= 128; v >>= 7)
        *p++ = (char)(v | 128);
    *p++ = (char)v;
    return p;
}

static char *put_bytes(char *p, struct k2_str s) {
    p = put_long(p, (int64_t)s.len);
    if (s.len)
        memcpy(p, s.ptr, s.len);
    return p + s.len;
}

/* Text that can be read for K2_WORDS_MAX bytes whatever its length, into room for as many: short
 * ones are copied without a look at how short. What is too much is overwritten by what follows. */
static inline char *put_readable(char *p, const char *text, size_t len) {
    memcpy(p, text, K2_WORDS_MAX);
    if (K2_UNLIKELY(len > K2_WORDS_MAX))
        memcpy(p, text, len);
    return p + len;
}

/* Decimal: unscaled two's complement, big endian, as few bytes as hold it. */
static char *put_decimal(char *p, int64_t value) {
    int bytes = (64 - __builtin_clrsbll(value) + 7) / 8;
    uint64_t wire = __builtin_bswap64((uint64_t)value << (64 - bytes * 8));
    *p++ = (char)(bytes << 1);
    memcpy(p, &wire, 8);
    return p + bytes;
}

static char *put_flags(char *p, uint32_t flags, const char *const *names) {
    if (flags) {
        p = put_long(p, __builtin_popcount(flags));
        for (; flags; flags &= flags - 1)
            p = put_bytes(p, k2_str_of(names[__builtin_ctz(flags)]));
    }
    *p++ = 0;
    return p;
}

/* Room for one value of any type but for its text: flags are the longest, all names at once. */
enum { VALUE_BYTES = 24, FLAGS_BYTES = 160 };

/* Length of a value's text in a row. */
static inline __attribute__((always_inline)) size_t text_bytes(const struct k2_batch *batch,
                                                               struct k2_avro_field field,
                                                               uint32_t row) {
    const struct k2_vector *v = &batch->col[field.column];
    switch ((enum k2_type)field.type) {
    case K2_SYMBOL: return 2 * batch->strings->names[v->u32[row]].len; /* twice: message id */
    case K2_STRING:
    case K2_BINARY:
    case K2_LIST:
    case K2_MAP: return v->span[row].len;
    default: return 0;
    }
}

static inline __attribute__((always_inline)) char *put_value(char *p, const struct k2_batch *batch,
                                                             struct k2_avro_field field,
                                                             uint32_t row) {
    const struct k2_vector *v = &batch->col[field.column];
    switch ((enum k2_type)field.type) {
    case K2_INT32: return put_long(p, v->i32[row]);
    case K2_INT64:
    case K2_TIMESTAMP: return put_long(p, v->i64[row]);
    case K2_DECIMAL: return put_decimal(p, v->i64[row]);
    case K2_ENUM:
        *p++ = (char)(field.form == K2_FIELD_BOOLEAN ? v->u8[row] : v->u8[row] << 1);
        return p;
    case K2_FLAGS: return put_flags(p, v->u32[row], batch->schema->columns[field.column].names);
    case K2_SYMBOL: {
        struct k2_str name = batch->strings->names[v->u32[row]];
        return put_readable(put_long(p, (int64_t)name.len), name.ptr, name.len);
    }
    case K2_STRING:
    case K2_BINARY: {
        struct k2_span span = v->span[row];
        if (K2_UNLIKELY(batch->text.cap - span.offset < K2_WORDS_MAX))
            return put_bytes(p, k2_batch_get(batch, span));
        return put_readable(put_long(p, span.len), batch->text.ptr + span.offset, span.len);
    }
    case K2_LIST:
    case K2_MAP: {
        struct k2_str blocks = k2_batch_get(batch, v->span[row]);
        if (!blocks.len)
            *p++ = 0;
        else
            memcpy(p, blocks.ptr, blocks.len);
        return p + blocks.len;
    }
    }
    return p;
}

static inline __attribute__((always_inline)) char *put_field(char *p, const struct k2_batch *batch,
                                                             struct k2_avro_field field,
                                                             uint32_t row) {
    bool is_null = false;
    if (field.form >= K2_FIELD_OPTIONAL) {
        const struct k2_vector *v = &batch->col[field.column];
        is_null = field.form == K2_FIELD_OPTIONAL ? !v->valid[row] : !v->i64[row];
        *p++ = is_null ? 0 : 2;
    }
    return is_null ? p : put_value(p, batch, field, row);
}

/* exchange.symbol.number where the number is known here, else empty. */
static char *put_message_id(char *p, const struct k2_batch *batch, uint32_t row) {
    if (batch->schema->kind != K2_TRADE && batch->schema->kind != K2_QUOTE) {
        *p++ = 0;
        return p;
    }
    bool is_trade = batch->schema->kind == K2_TRADE;
    const struct k2_vector *source =
        &batch->col[is_trade ? K2_TRADE_SOURCE_SEQUENCE : K2_QUOTE_SOURCE_SEQUENCE];
    int platform = is_trade ? K2_TRADE_PLATFORM_SEQUENCE : K2_QUOTE_PLATFORM_SEQUENCE;
    int64_t number = source->valid[row] ? source->i64[row] : batch->col[platform].i64[row];
    if (number <= 0) {
        *p++ = 0;
        return p;
    }
    const uint32_t *exchanges = batch->col[is_trade ? K2_TRADE_EXCHANGE : K2_QUOTE_EXCHANGE].u32;
    const uint32_t *symbols = batch->col[is_trade ? K2_TRADE_SYMBOL : K2_QUOTE_SYMBOL].u32;
    struct k2_str exchange = k2_intern_str(batch->strings, exchanges[row]);
    struct k2_str symbol = k2_intern_str(batch->strings, symbols[row]);
    char digits[20 + K2_WORDS_MAX]; /* the number ends at 20 */
    unsigned first = 20;
    uint64_t n = (uint64_t)number;
    for (; n >= 10; n /= 10)
        digits[--first] = (char)('0' + n % 10);
    digits[--first] = (char)('0' + n);
    p = put_long(p, (int64_t)(exchange.len + symbol.len + 20 - first + 2));
    p = put_readable(p, exchange.ptr, exchange.len);
    *p++ = '.';
    p = put_readable(p, symbol.ptr, symbol.len);
    *p++ = '.';
    return put_readable(p, digits + first, 20 - first);
}

/* Straight code for a kind, as its fields are known where this is inlined. */
static inline __attribute__((always_inline)) void encode_row(const struct k2_batch *batch,
                                                             const struct k2_avro_field *fields,
                                                             int count, uint32_t row,
                                                             uint32_t schema_id,
                                                             struct k2_buf *out) {
    size_t bound = 64 + (size_t)count * VALUE_BYTES + FLAGS_BYTES;
    K2_UNROLL
    for (int i = 0; i < count; i++)
        bound += text_bytes(batch, fields[i], row);
    char *start = k2_buf_reserve(out, bound), *p = start;
    uint32_t id = __builtin_bswap32(schema_id);
    *p++ = 0;
    memcpy(p, &id, 4);
    p += 4;
    if (batch->schema->kind != K2_EVENT)
        p = put_message_id(p, batch, row);
    K2_UNROLL
    for (int i = 0; i < count; i++)
        p = put_field(p, batch, fields[i], row);
    out->len += (size_t)(p - start);
    K2_DCHECK((size_t)(p - start) <= bound);
}

#define WIRE(name) (name), K2_COUNT(name)

void k2_avro_encode(const struct k2_batch *batch, uint32_t row, uint32_t schema_id,
                    struct k2_buf *out) {
    switch (batch->schema->kind) {
    case K2_TRADE: encode_row(batch, WIRE(trade_wire), row, schema_id, out); break;
    case K2_QUOTE: encode_row(batch, WIRE(quote_wire), row, schema_id, out); break;
    case K2_REFERENCE: encode_row(batch, WIRE(reference_wire), row, schema_id, out); break;
    default:
        K2_ASSERT(batch->schema->kind == K2_EVENT);
        encode_row(batch, WIRE(event_wire), row, schema_id, out);
    }
}

bool k2_avro_unframe(struct k2_str value, uint32_t *ret_schema_id, struct k2_str *ret_body) {
    if (value.len < 5 || value.ptr[0] != 0)
        return false;
    uint32_t id;
    memcpy(&id, value.ptr + 1, 4);
    *ret_schema_id = __builtin_bswap32(id);
    *ret_body = (struct k2_str){value.ptr + 5, value.len - 5};
    return true;
}

const struct k2_avro_field *k2_avro_wire(enum k2_kind kind, int *ret_count) {
    static const struct {
        const struct k2_avro_field *fields;
        int count;
    } wires[K2_KIND_COUNT] = {[K2_TRADE] = {WIRE(trade_wire)},
                              [K2_QUOTE] = {WIRE(quote_wire)},
                              [K2_REFERENCE] = {WIRE(reference_wire)},
                              [K2_EVENT] = {WIRE(event_wire)}};
    *ret_count = wires[kind].count;
    return wires[kind].fields;
}
