/* sim.c -- a market of random walks: which symbol trades, when, and at what price. Integers only,
 * so that a seed means the same on every machine. */
#include <stdio.h>

#include "base/alloc.h"
#include "feed/sim_impl.h"

/* 2024-03-14T00:00:00Z */
#define START_NS 1710374400000000000ll
#define DAY_NS   86400000000000ll
enum { TICK = 1000000 /* 0.01 */, CHECK_EVERY = 65536 };

static void make_symbols(struct k2_sim *s) {
    uint32_t count = s->opts->symbols;
    uint64_t sum = 0;
    s->symbols = k2_new_array(struct k2_sim_symbol, count);
    s->weights = k2_new_array(uint64_t, count);
    for (uint32_t i = 0; i < count; i++) {
        char name[48];
        struct k2_sim_symbol *symbol = &s->symbols[i];
        int len =
            snprintf(name, sizeof name, "S%llu_%04u", (unsigned long long)s->opts->seed, i + 1);
        symbol->code = k2_intern_add(&s->strings, (struct k2_str){name, (size_t)len});
        symbol->venue = (uint8_t)(i % SIM_VENUES);
        symbol->price = 500 + (int64_t)k2_random_below(&s->market, 20000);
        symbol->skip[0] = symbol->skip[1] = s->already ? -1 : 0;
        sum += 1000000000u / (i + 1); /* Zipf: the n-th symbol trades 1/n as often as the first */
        s->weights[i] = sum;
    }
}

/* Where to look for each stretch of weights, so that few steps lead from there to any symbol. */
static void make_guide(struct k2_sim *s) {
    uint64_t sum = s->weights[s->opts->symbols - 1];
    uint32_t symbol = 0;
    while (sum >> s->guide_shift >= SIM_GUIDE)
        s->guide_shift++;
    for (uint64_t i = 0; i < SIM_GUIDE && i << s->guide_shift < sum; i++) {
        while (s->weights[symbol] <= i << s->guide_shift)
            symbol++;
        s->guide[i] = symbol;
    }
}

static uint32_t pick_symbol(struct k2_sim *s) {
    uint64_t at = k2_random_below(&s->market, s->weights[s->opts->symbols - 1]);
    uint32_t symbol = s->guide[at >> s->guide_shift];
    while (s->weights[symbol] <= at)
        symbol++;
    return symbol;
}

static void set_times(struct k2_sim *s, struct k2_sim_item *item) {
    item->time_us = s->time_ns / 1000;
    item->nanos = (int32_t)(s->time_ns % 1000);
    item->ingestion_us = item->time_us + 200 + (int64_t)k2_random_below(&s->market, 2800);
}

/* Whole lots on the stock venues, steps of 0.0001 on the crypto venue; small sizes are common. */
static int64_t random_quantity(struct k2_sim *s, const struct k2_sim_symbol *symbol) {
    static const uint16_t lots[] = {1, 2, 5, 10, 10, 20, 50, 100, 100, 100, 200, 200, 500, 1000};
    uint64_t draw = k2_random_u64(&s->market);
    if (symbol->venue == SIM_VENUES - 1)
        return (int64_t)(1 + (draw >> 20) % (1u << (4 + draw % 12))) * 10000;
    if (draw % 10 < 3)
        return (int64_t)(1 + (draw >> 8) % 1500) * 100000000;
    return (int64_t)lots[(draw >> 8) % K2_COUNT(lots)] * 100000000;
}

static void walk_price(struct k2_sim *s, struct k2_sim_symbol *symbol) {
    static const int8_t steps[16] = {-2, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 2};
    symbol->price = K2_MAX(symbol->price + steps[k2_random_u64(&s->market) >> 60], 100);
}

static void make_trade(struct k2_sim *s, uint32_t at, uint8_t side, struct k2_sim_item *item) {
    struct k2_sim_symbol *symbol = &s->symbols[at];
    item->symbol = at;
    item->is_quote = false;
    item->side = side;
    walk_price(s, symbol);
    set_times(s, item);
    item->number = symbol->numbers[0] + 1;
    item->price = symbol->price * TICK;
    item->quantity = random_quantity(s, symbol);
    item->condition = k2_random_below(&s->market, 50) == 0;
    item->id = ++s->ids[symbol->venue];
}

static void make_quote(struct k2_sim *s, uint32_t at, struct k2_sim_item *item) {
    struct k2_sim_symbol *symbol = &s->symbols[at];
    int64_t spread = 1 + (int64_t)k2_random_below(&s->market, 3);
    item->symbol = at;
    item->is_quote = true;
    set_times(s, item);
    item->number = symbol->numbers[1] + 1;
    item->price = (symbol->price - spread) * TICK;
    item->ask = (symbol->price + spread) * TICK;
    item->quantity = random_quantity(s, symbol);
    item->ask_quantity = random_quantity(s, symbol);
    item->id = ++s->ids[symbol->venue];
}

static bool pass_on(struct k2_sim *s, struct k2_sim_item *item) {
    K2_TRY(k2_sim_plant(s, item));
    s->symbols[item->symbol].numbers[item->is_quote] = item->number;
    s->good++;
    if (item->is_quote)
        s->truth->quotes++;
    else
        s->truth->trades++;
    return k2_sim_emit(s, item) && k2_sim_release(s, false);
}

/* One event: a quote, a trade, or a sweep of trades that share time and side. */
static bool one_event(struct k2_sim *s) {
    struct k2_sim_item item = {0};
    uint32_t at = pick_symbol(s);
    s->time_ns += (int64_t)k2_random_below(&s->market, (uint64_t)s->mean_gap_ns * 2 + 1);
    bool is_trade = (k2_random_u64(&s->market) >> 32) < s->trade_share;
    if (!is_trade) {
        make_quote(s, at, &item);
        return pass_on(s, &item);
    }
    uint8_t side = (uint8_t)(k2_random_u64(&s->market) >> 63);
    int64_t count = 1;
    if (k2_random_below(&s->market, 12) == 0)
        count = 2 + (int64_t)k2_random_below(&s->market, 8);
    for (; count && s->good < s->opts->rows; count--) {
        make_trade(s, at, side, &item);
        K2_TRY(pass_on(s, &item));
    }
    return true;
}

/* With a rate: wait until the stream is no longer ahead of it, and let what waited be seen. */
static bool keep_pace(struct k2_sim *s) {
    int64_t due = s->started_ns + (int64_t)((double)s->emitted / s->rate * 1e9);
    int64_t now = k2_now_ns(s->clock);
    if (due - now < 20000000)
        return true;
    K2_TRY(k2_sim_flush(s));
    s->clock->sleep_ns(s->clock, due - now);
    return true;
}

static bool check_out(struct k2_sim *s) {
    if (s->out->progress && !s->out->progress(s->out->self, s->good, s->opts->rows, s->good))
        return k2_err_set(s->err, K2_CANCELLED, "stopped after %lld messages", (long long)s->good);
    return true;
}

static bool run(struct k2_sim *s) {
    int64_t checked = 0;
    while (s->good < s->opts->rows) {
        K2_TRY(one_event(s));
        if (s->rate > 0)
            K2_TRY(keep_pace(s));
        if (s->good - checked >= CHECK_EVERY) {
            checked = s->good;
            K2_TRY(check_out(s));
        }
    }
    return k2_sim_release(s, true) && k2_sim_flush(s) && check_out(s);
}

bool k2_sim_run(const struct k2_sim_opts *opts, double rate, const struct k2_feed_out *out,
                k2_sim_already_fn *already, void *already_self, struct k2_clock *clock,
                struct k2_sim_truth *ret_truth, struct k2_err *err) {
    if (!opts->symbols)
        return k2_err_set(err, K2_USAGE, "the simulator needs at least one symbol");
    struct k2_sim s = {.opts = opts,
                       .out = out,
                       .already = already,
                       .already_self = already_self,
                       .clock = clock,
                       .rate = rate,
                       .truth = ret_truth,
                       .err = err,
                       .time_ns = START_NS,
                       .started_ns = k2_now_ns(clock)};
    *ret_truth = (struct k2_sim_truth){0};
    k2_random_seed(&s.market, opts->seed * 2 + 1);
    k2_random_seed(&s.plants, opts->seed * 2 + 2);
    s.mean_gap_ns = K2_MIN(DAY_NS / K2_MAX(opts->rows, 1) * 9 / 10, 10000000000ll);
    s.trade_share = (uint64_t)(4294967296.0 / (1.0 + opts->quotes_per_trade));
    k2_sim_open_batches(&s);
    make_symbols(&s);
    make_guide(&s);
    k2_sim_plan(&s);
    bool ok = run(&s);
    k2_sim_tell(&s);
    k2_sim_close_batches(&s);
    k2_free(s.symbols);
    k2_free(s.weights);
    k2_free(s.held);
    return ok;
}
