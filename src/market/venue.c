/* venue.c -- the table of venues. */
#include "market/venue.h"

const char *const k2_numberings[] = {"dense", "ranged", "rising", "channel", "none", NULL};

static const struct k2_venue venues[] = {
    {"ASX", K2_EQUITIES, K2_NUMBERING_DENSE, "Australia/Sydney", false},
    {"NYSE", K2_EQUITIES, K2_NUMBERING_RISING, "America/New_York", false},
    {"NASDAQ", K2_EQUITIES, K2_NUMBERING_RISING, "America/New_York", false},
    {"BINANCE", K2_CRYPTO, K2_NUMBERING_DENSE, "UTC", false},
    {"KRAKEN", K2_CRYPTO, K2_NUMBERING_NONE, "UTC", false},
    {"COINBASE", K2_CRYPTO, K2_NUMBERING_CHANNEL, "UTC", false},
    {"SIMX", K2_EQUITIES, K2_NUMBERING_DENSE, "UTC", false},
    {"SIMY", K2_EQUITIES, K2_NUMBERING_DENSE, "UTC", false},
    {"SIMC", K2_CRYPTO, K2_NUMBERING_DENSE, "UTC", false},
};

const struct k2_venue *k2_venue_find(struct k2_str exchange) {
    for (size_t i = 0; i < K2_COUNT(venues); i++)
        if (k2_str_is(exchange, venues[i].name))
            return &venues[i];
    return NULL;
}

enum k2_asset_class k2_venue_asset_class(struct k2_str exchange) {
    const struct k2_venue *venue = k2_venue_find(exchange);
    return venue ? venue->asset_class : K2_EQUITIES;
}
