/* sim_emit.c -- items become rows of a batch per topic. */
#include <stdio.h>

#include "base/alloc.h"
#include "feed/sim_impl.h"
#include "market/topic.h"

const char *const k2_sim_venues[SIM_VENUES] = {"SIMX", "SIMY", "SIMC"};
static const char *const currencies[SIM_VENUES] = {"USD", "USD", "USDT"};
static const uint8_t asset_classes[SIM_VENUES] = {K2_EQUITIES, K2_EQUITIES, K2_CRYPTO};

void k2_sim_open_batches(struct k2_sim *s) {
    for (int v = 0; v < SIM_VENUES; v++) {
        s->venue_codes[v] = k2_intern_add(&s->strings, k2_str_of(k2_sim_venues[v]));
        s->currency_codes[v] = k2_intern_add(&s->strings, k2_str_of(currencies[v]));
        for (int q = 0; q < 2; q++) {
            const struct k2_schema *schema = k2_schema_of(q ? K2_QUOTE : K2_TRADE);
            struct k2_err ignored;
            s->batches[v * 2 + q] = k2_batch_new(schema, SIM_BATCH, &s->strings);
            bool ok = k2_topic_name(schema, asset_classes[v], k2_str_of(k2_sim_venues[v]),
                                    s->topics[v * 2 + q], &ignored);
            K2_ASSERT(ok);
        }
    }
}

void k2_sim_close_batches(struct k2_sim *s) {
    for (int i = 0; i < SIM_TOPICS; i++)
        k2_batch_free(s->batches[i]);
    k2_intern_done(&s->strings);
}

static bool flush_one(struct k2_sim *s, int topic) {
    struct k2_batch *batch = s->batches[topic];
    if (!batch->rows)
        return true;
    K2_TRY(s->out->batch(s->out->self, s->topics[topic], batch, s->err));
    k2_batch_clear(batch);
    return true;
}

bool k2_sim_flush(struct k2_sim *s) {
    for (int i = 0; i < SIM_TOPICS; i++)
        K2_TRY(flush_one(s, i));
    return true;
}

static struct k2_span put_id(struct k2_batch *b, uint64_t id) {
    char digits[20];
    size_t at = sizeof digits;
    do
        digits[--at] = (char)('0' + id % 10);
    while (id /= 10);
    return k2_batch_put(b, (struct k2_str){digits + at, sizeof digits - at});
}

static void put_trade(const struct k2_sim *s, struct k2_batch *b, const struct k2_sim_item *item) {
    uint32_t row = b->rows++;
    const struct k2_sim_symbol *symbol = &s->symbols[item->symbol];
    static const struct k2_str odd_lot = {"ODD_LOT", 7};
    b->col[K2_TRADE_ID].span[row] = put_id(b, item->id);
    b->col[K2_TRADE_SYMBOL].u32[row] = symbol->code;
    b->col[K2_TRADE_EXCHANGE].u32[row] = s->venue_codes[symbol->venue];
    b->col[K2_TRADE_ASSET_CLASS].u8[row] = asset_classes[symbol->venue];
    b->col[K2_TRADE_TIMESTAMP].i64[row] = item->time_us;
    b->col[K2_TRADE_NANOS].i32[row] = item->nanos;
    b->col[K2_TRADE_PRICE].i64[row] = item->price;
    b->col[K2_TRADE_QUANTITY].i64[row] = item->quantity;
    b->col[K2_TRADE_CURRENCY].u32[row] = s->currency_codes[symbol->venue];
    b->col[K2_TRADE_SIDE].u8[row] = item->side;
    b->col[K2_TRADE_CONDITIONS].span[row] = k2_batch_put_list(b, &odd_lot, item->condition);
    b->col[K2_TRADE_SOURCE_SEQUENCE].i64[row] = item->number;
    b->col[K2_TRADE_SOURCE_SEQUENCE].valid[row] = 1;
    b->col[K2_TRADE_INGESTION].i64[row] = item->ingestion_us;
    b->col[K2_TRADE_PLATFORM_SEQUENCE].i64[row] = 0;
    b->col[K2_TRADE_VENDOR_DATA].valid[row] = 0;
    b->col[K2_TRADE_FLAGS].u32[row] = 0;
}

static void put_quote(const struct k2_sim *s, struct k2_batch *b, const struct k2_sim_item *item) {
    uint32_t row = b->rows++;
    const struct k2_sim_symbol *symbol = &s->symbols[item->symbol];
    b->col[K2_QUOTE_ID].span[row] = put_id(b, item->id);
    b->col[K2_QUOTE_SYMBOL].u32[row] = symbol->code;
    b->col[K2_QUOTE_EXCHANGE].u32[row] = s->venue_codes[symbol->venue];
    b->col[K2_QUOTE_ASSET_CLASS].u8[row] = asset_classes[symbol->venue];
    b->col[K2_QUOTE_TIMESTAMP].i64[row] = item->time_us;
    b->col[K2_QUOTE_NANOS].i32[row] = item->nanos;
    b->col[K2_QUOTE_BID_PRICE].i64[row] = item->price;
    b->col[K2_QUOTE_BID_QUANTITY].i64[row] = item->quantity;
    b->col[K2_QUOTE_ASK_PRICE].i64[row] = item->ask;
    b->col[K2_QUOTE_ASK_QUANTITY].i64[row] = item->ask_quantity;
    b->col[K2_QUOTE_CURRENCY].u32[row] = s->currency_codes[symbol->venue];
    b->col[K2_QUOTE_SOURCE_SEQUENCE].i64[row] = item->number;
    b->col[K2_QUOTE_SOURCE_SEQUENCE].valid[row] = 1;
    b->col[K2_QUOTE_INGESTION].i64[row] = item->ingestion_us;
    b->col[K2_QUOTE_PLATFORM_SEQUENCE].i64[row] = 0;
    b->col[K2_QUOTE_VENDOR_DATA].valid[row] = 0;
    b->col[K2_QUOTE_FLAGS].u32[row] = 0;
}

static struct k2_str key_of(const struct k2_sim *s, uint32_t at, char key[80]) {
    const struct k2_sim_symbol *symbol = &s->symbols[at];
    int len = snprintf(key, 80, "%s.%s", k2_sim_venues[symbol->venue],
                       k2_intern_str(&s->strings, symbol->code).ptr);
    return (struct k2_str){key, (size_t)len};
}

/* Whether an earlier run has put this record into the log already. */
static bool is_there(struct k2_sim *s, uint32_t at, bool is_quote, int topic) {
    int64_t *skip = &s->symbols[at].skip[is_quote];
    if (K2_UNLIKELY(*skip < 0)) {
        char key[80];
        *skip = s->already(s->already_self, s->topics[topic], key_of(s, at, key));
    }
    if (K2_LIKELY(*skip == 0))
        return false;
    --*skip;
    return true;
}

bool k2_sim_emit(struct k2_sim *s, const struct k2_sim_item *item) {
    int topic = s->symbols[item->symbol].venue * 2 + item->is_quote;
    struct k2_batch *batch = s->batches[topic];
    s->emitted++;
    if (is_there(s, item->symbol, item->is_quote, topic))
        return true;
    if (item->is_quote)
        put_quote(s, batch, item);
    else
        put_trade(s, batch, item);
    return batch->rows < batch->rows_max || flush_one(s, topic);
}

/* Raw values go after everything of their topic that came before them. */
bool k2_sim_emit_raw(struct k2_sim *s, uint32_t symbol, bool is_quote, struct k2_str value) {
    int topic = s->symbols[symbol].venue * 2 + is_quote;
    char key[80];
    s->emitted++;
    if (is_there(s, symbol, is_quote, topic))
        return true;
    struct k2_record record = {.log_partition = -1, .key = key_of(s, symbol, key), .value = value};
    return flush_one(s, topic) && s->out->raw(s->out->self, s->topics[topic], &record, 1, s->err);
}
