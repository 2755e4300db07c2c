/* venue.h -- what K2 knows of each venue: how it counts, its zone, its asset class. */
#ifndef K2_MARKET_VENUE_H
#define K2_MARKET_VENUE_H

#include "base/str.h"
#include "market/schema.h"

/* How a venue's source_sequence runs within (exchange, symbol, kind); docs/rules.md: identity. */
enum k2_numbering {
    K2_NUMBERING_DENSE,   /* +1 each: a hole is a gap */
    K2_NUMBERING_RANGED,  /* first..last, dense */
    K2_NUMBERING_RISING,  /* grows; holes are normal */
    K2_NUMBERING_CHANNEL, /* dense per connection: the feed finds gaps */
    K2_NUMBERING_NONE,    /* no numbers: the platform's own */
};
extern const char *const k2_numberings[];

struct k2_venue {
    const char *name; /* upper case */
    enum k2_asset_class asset_class;
    enum k2_numbering numbering;
    const char *zone;
    bool is_halt_armed; /* a gap above gap.halt halts the key */
};
/* The row of a venue, or NULL. */
const struct k2_venue *k2_venue_find(struct k2_str exchange);
/* The asset class of an exchange: its row's, else equities. */
enum k2_asset_class k2_venue_asset_class(struct k2_str exchange);

#endif
