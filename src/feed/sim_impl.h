/* sim_impl.h -- the simulator's market and what it emits. Private to feed. */
#ifndef K2_FEED_SIM_IMPL_H
#define K2_FEED_SIM_IMPL_H

#include "feed/feed.h"

enum { SIM_VENUES = 3, SIM_TOPICS = 6, SIM_BATCH = 8192, SIM_GUIDE = 1024 };

/* One message, before it is a row. */
struct k2_sim_item {
    uint32_t symbol;
    bool is_quote;
    uint8_t side, condition;
    int32_t nanos;
    int64_t number, time_us, ingestion_us;
    int64_t price, quantity, ask, ask_quantity; /* trades use the first two */
    uint64_t id;
};

/* Something to be emitted once so many messages have been. */
struct k2_sim_held {
    int64_t due;
    struct k2_sim_item item;
};

struct k2_sim_symbol {
    int64_t numbers[2]; /* last number, of trades and of quotes */
    int64_t price;      /* in ticks of 0.01 */
    int64_t skip[2];    /* records of an earlier run still to pass over; -1: not asked yet */
    uint32_t code;      /* of its name */
    uint8_t venue;
};

struct k2_sim {
    const struct k2_sim_opts *opts;
    const struct k2_feed_out *out;
    k2_sim_already_fn *already;
    void *already_self;
    struct k2_clock *clock;
    double rate;
    struct k2_sim_truth *truth;
    struct k2_err *err;

    struct k2_random market, plants; /* streams of their own: a plant does not move the market */
    struct k2_sim_symbol *symbols;
    uint64_t *weights;         /* running sums, by symbol */
    uint32_t guide[SIM_GUIDE]; /* the first symbol whose sum is above a stretch's beginning */
    int guide_shift;           /* bits of a stretch of weights */
    int64_t time_ns, mean_gap_ns;
    uint64_t trade_share; /* of 2^32: messages that are trades */
    uint64_t ids[SIM_VENUES];
    int64_t emitted, good, started_ns;

    struct k2_intern strings;
    struct k2_batch *batches[SIM_TOPICS];
    char topics[SIM_TOPICS][200];
    uint32_t venue_codes[SIM_VENUES], currency_codes[SIM_VENUES];

    struct k2_sim_held *held; /* heap, the next due first */
    int held_count, held_cap;
    int64_t next_gap, next_late, next_duplicate, next_bad; /* good messages at which to plant */
    int64_t gaps_left, late_left, duplicates_left, bad_left;
    struct k2_buf gaps, late, duplicates, bad; /* of the truth, as JSON */
};

/* sim_emit.c: rows, raw records and their order. */
bool k2_sim_emit(struct k2_sim *sim, const struct k2_sim_item *item) K2_MUST;
bool k2_sim_emit_raw(struct k2_sim *sim, uint32_t symbol, bool is_quote,
                     struct k2_str value) K2_MUST;
bool k2_sim_flush(struct k2_sim *sim) K2_MUST;
void k2_sim_open_batches(struct k2_sim *sim);
void k2_sim_close_batches(struct k2_sim *sim);
/* sim_plant.c: faults, and the truth about them. */
void k2_sim_plan(struct k2_sim *sim);
/* Plants what is due around item, which may get another number; it is emitted by the caller. */
bool k2_sim_plant(struct k2_sim *sim, struct k2_sim_item *item) K2_MUST;
/* Emits held items that are due (all of them where everything is). */
bool k2_sim_release(struct k2_sim *sim, bool everything) K2_MUST;
void k2_sim_tell(struct k2_sim *sim);
/* The venue's name, for the truth. */
extern const char *const k2_sim_venues[SIM_VENUES];

#endif
