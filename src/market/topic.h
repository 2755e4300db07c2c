/* topic.h -- names: topics, keys, numbers (docs/rules.md: identity). */
#ifndef K2_MARKET_TOPIC_H
#define K2_MARKET_TOPIC_H

#include "base/err.h"
#include "market/schema.h"

#define K2_EVENTS_TOPIC "k2.events"
enum { K2_TOPIC_MAX = 200 };

/* "market.equities.trades.asx" into ret_topic (exchange lower-cased). INVALID where the exchange
 * has characters other than letters, digits, '-' and '_'. */
bool k2_topic_name(const struct k2_schema *schema, enum k2_asset_class asset_class,
                   struct k2_str exchange, char ret_topic[K2_TOPIC_MAX],
                   struct k2_err *err) K2_MUST;
/* The kind whose records a topic holds, or NULL when the name does not fit the rule. */
const struct k2_schema *k2_topic_schema(struct k2_str topic);

/* The exchange a topic is for: the last part of its name, upper case. */
void k2_topic_exchange(const char *topic, char ret_exchange[K2_TOPIC_MAX]);

/* A number whose day matters: YYYYMMDD * 10^11 + n (docs/rules.md: identity). */
#define K2_NUMBER_DAY 100000000000ll
static inline int64_t k2_number_session(int64_t number) {
    return number / K2_NUMBER_DAY;
}

/* What the time of a record may be: 1900 up to, not including, 2200. */
#define K2_TIME_MIN_US (-2208988800000000ll)
#define K2_TIME_MAX_US 7258118400000000ll
/* What numbers that carry a day (days since the epoch) are above; 0 for days that no record may be
 * of, whose numbers would not fit. */
int64_t k2_day_number(int32_t day);

/* The log's key of a row is "exchange.symbol"; its log partition follows from it by murmur2. */
uint32_t k2_key_partition(struct k2_str key, uint32_t partition_count);

#endif
