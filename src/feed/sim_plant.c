/* sim_plant.c -- faults planted in the stream, and the truth about each of them.
 *
 * A gap skips numbers. A late message is a gap of one that is filled some hundreds of messages
 * later. A duplicate is the same message once more. A bad record either decodes and breaks a rule,
 * and then takes a number of its own, or cannot be decoded, and then takes none.
 */
#include <inttypes.h>

#include "base/alloc.h"
#include "base/json.h"
#include "feed/sim_impl.h"

/* The good message after which the next of left plants goes: spread evenly, with jitter. */
static int64_t next_place(struct k2_sim *s, int64_t left) {
    if (!left)
        return INT64_MAX;
    int64_t room = s->opts->rows - s->good;
    int64_t step = room / (left + 1);
    return s->good + 1 + step / 2 + (int64_t)k2_random_below(&s->plants, (uint64_t)K2_MAX(step, 1));
}

void k2_sim_plan(struct k2_sim *s) {
    s->gaps_left = s->opts->gaps;
    s->late_left = s->opts->late;
    s->duplicates_left = s->opts->duplicates;
    s->bad_left = s->opts->bad;
    s->next_gap = next_place(s, s->gaps_left);
    s->next_late = next_place(s, s->late_left);
    s->next_duplicate = next_place(s, s->duplicates_left);
    s->next_bad = next_place(s, s->bad_left);
}

/* ---- held items: a heap by when they are due ---- */

static void hold(struct k2_sim *s, const struct k2_sim_item *item, int64_t delay) {
    if (s->held_count == s->held_cap) {
        s->held_cap = s->held_cap ? s->held_cap * 2 : 64;
        s->held = k2_realloc(s->held, (size_t)s->held_cap * sizeof *s->held);
    }
    int at = s->held_count++;
    s->held[at] = (struct k2_sim_held){s->emitted + delay, *item};
    for (; at && s->held[at].due < s->held[(at - 1) / 2].due; at = (at - 1) / 2) {
        struct k2_sim_held swap = s->held[at];
        s->held[at] = s->held[(at - 1) / 2];
        s->held[(at - 1) / 2] = swap;
    }
}

static struct k2_sim_item take_held(struct k2_sim *s) {
    struct k2_sim_item item = s->held[0].item;
    s->held[0] = s->held[--s->held_count];
    for (int at = 0;;) {
        int child = 2 * at + 1;
        if (child >= s->held_count)
            return item;
        if (child + 1 < s->held_count && s->held[child + 1].due < s->held[child].due)
            child++;
        if (s->held[at].due <= s->held[child].due)
            return item;
        struct k2_sim_held swap = s->held[at];
        s->held[at] = s->held[child];
        s->held[child] = swap;
        at = child;
    }
}

bool k2_sim_release(struct k2_sim *s, bool everything) {
    while (s->held_count && (everything || s->held[0].due <= s->emitted)) {
        struct k2_sim_item item = take_held(s);
        K2_TRY(k2_sim_emit(s, &item));
    }
    return true;
}

/* ---- the truth ---- */

static void tell(struct k2_sim *s, struct k2_buf *list, const struct k2_sim_item *item) {
    const struct k2_sim_symbol *symbol = &s->symbols[item->symbol];
    k2_buf_text(list, list->len ? ",\n  {" : "\n  {");
    k2_json_key_str(list, "exchange", k2_str_of(k2_sim_venues[symbol->venue]));
    k2_json_key_str(list, "symbol", k2_intern_str(&s->strings, symbol->code));
    k2_json_key_str(list, "data_type", k2_str_of(item->is_quote ? "quotes" : "trades"));
}

static void tell_gap(struct k2_sim *s, const struct k2_sim_item *item, int64_t first, int64_t last,
                     int64_t filled) {
    tell(s, &s->gaps, item);
    k2_json_key_int(&s->gaps, "first", first);
    k2_json_key_int(&s->gaps, "last", last);
    k2_json_key_int(&s->gaps, "missing", last - first + 1);
    k2_json_key_int(&s->gaps, "filled", filled);
    k2_buf_byte(&s->gaps, '}');
    s->truth->gaps++;
    s->truth->missing += last - first + 1;
}

static void tell_number(struct k2_sim *s, struct k2_buf *list, const struct k2_sim_item *item) {
    tell(s, list, item);
    k2_json_key_int(list, "number", item->number);
    k2_buf_byte(list, '}');
}

static void tell_bad(struct k2_sim *s, const struct k2_sim_item *item, const char *kind,
                     bool has_number) {
    tell(s, &s->bad, item);
    k2_json_key_str(&s->bad, "kind", k2_str_of(kind));
    if (has_number)
        k2_json_key_int(&s->bad, "number", item->number);
    k2_buf_byte(&s->bad, '}');
}

void k2_sim_tell(struct k2_sim *s) {
    struct k2_buf *json = &s->truth->json;
    const struct {
        const char *name;
        struct k2_buf *list;
    } lists[] = {
        {"gaps", &s->gaps}, {"late", &s->late}, {"duplicates", &s->duplicates}, {"bad", &s->bad}};
    k2_buf_printf(json,
                  "{\"seed\": %" PRIu64 ",\n \"rows\": {\"trades\": %" PRId64
                  ", \"quotes\": %" PRId64 "}",
                  s->opts->seed, s->truth->trades, s->truth->quotes);
    for (size_t i = 0; i < K2_COUNT(lists); i++) {
        k2_buf_printf(json, ",\n \"%s\": [", lists[i].name);
        k2_buf_str(json, k2_buf_view(lists[i].list));
        k2_buf_byte(json, ']');
        k2_buf_done(lists[i].list);
    }
    k2_buf_text(json, "}\n");
}

/* ---- planting ---- */

static void plant_gap(struct k2_sim *s, struct k2_sim_item *item) {
    uint64_t draw = k2_random_below(&s->plants, 10);
    int64_t skipped = 1 + (int64_t)k2_random_below(&s->plants, draw ? 8 : 40);
    tell_gap(s, item, item->number, item->number + skipped - 1, 0);
    item->number += skipped;
}

/* The message itself is held; the next one, of the same symbol, shows the hole at once. */
static void plant_late(struct k2_sim *s, struct k2_sim_item *item) {
    tell_gap(s, item, item->number, item->number, 1);
    tell_number(s, &s->late, item);
    hold(s, item, 300 + (int64_t)k2_random_below(&s->plants, 700));
    s->truth->late++;
    s->good++;
    if (item->is_quote)
        s->truth->quotes++;
    else
        s->truth->trades++;
    item->number++;
    item->id = ++s->ids[s->symbols[item->symbol].venue];
}

static void plant_duplicate(struct k2_sim *s, const struct k2_sim_item *item) {
    uint64_t reach = k2_random_below(&s->plants, 4) ? 200 : 20000;
    tell_number(s, &s->duplicates, item);
    hold(s, item, 1 + (int64_t)k2_random_below(&s->plants, reach));
    s->truth->duplicates++;
}

static bool plant_broken_rule(struct k2_sim *s, struct k2_sim_item *item, uint64_t which) {
    struct k2_sim_item bad = *item;
    if (which == 0)
        bad.price = 0;
    else if (which == 1)
        bad.quantity = -bad.quantity;
    else
        bad.time_us = 4102444800000000; /* 2100-01-01 */
    tell_bad(s, &bad, which == 0 ? "price" : which == 1 ? "quantity" : "time", true);
    s->truth->bad_records++;
    item->number++;
    return k2_sim_emit(s, &bad);
}

static bool plant_undecodable(struct k2_sim *s, const struct k2_sim_item *item, uint64_t which) {
    static const struct {
        const char *kind;
        struct k2_str value;
    } values[] = {{"truncated", {"\0\0", 2}},
                  {"magic", {"{\"price\": 1}", 12}},
                  {"schema", {"\0\xff\xff\xff\xff\x02\x02", 7}}};
    tell_bad(s, item, values[which].kind, false);
    s->truth->undecodable++;
    return k2_sim_emit_raw(s, item->symbol, item->is_quote, values[which].value);
}

bool k2_sim_plant(struct k2_sim *s, struct k2_sim_item *item) {
    /* Only where the key has been seen: what comes before a first message is not a gap. */
    if (K2_LIKELY(s->good < s->next_gap && s->good < s->next_late && s->good < s->next_duplicate &&
                  s->good < s->next_bad) ||
        item->number < 2)
        return true;
    if (s->good >= s->next_bad) {
        uint64_t which = k2_random_below(&s->plants, 6);
        K2_TRY(which < 3 ? plant_broken_rule(s, item, which)
                         : plant_undecodable(s, item, which - 3));
        s->next_bad = next_place(s, --s->bad_left);
    } else if (s->good >= s->next_gap) {
        plant_gap(s, item);
        s->next_gap = next_place(s, --s->gaps_left);
    } else if (s->good >= s->next_late && s->good + 1 < s->opts->rows) {
        plant_late(s, item);
        s->next_late = next_place(s, --s->late_left);
    } else if (s->good >= s->next_duplicate) {
        plant_duplicate(s, item);
        s->next_duplicate = next_place(s, --s->duplicates_left);
    }
    return true;
}
