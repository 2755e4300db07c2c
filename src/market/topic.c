/* topic.c -- topic names and the log partition of a key. */
#include "market/topic.h"

#include <ctype.h>
#include <stdio.h>

#include "base/date.h"
#include "base/hash.h"

static bool is_name(struct k2_str s) {
    for (size_t i = 0; i < s.len; i++)
        if (!isalnum((unsigned char)s.ptr[i]) && s.ptr[i] != '-' && s.ptr[i] != '_')
            return false;
    return s.len > 0;
}

bool k2_topic_name(const struct k2_schema *schema, enum k2_asset_class asset_class,
                   struct k2_str exchange, char ret_topic[K2_TOPIC_MAX], struct k2_err *err) {
    if (schema->kind == K2_EVENT) {
        snprintf(ret_topic, K2_TOPIC_MAX, "%s", K2_EVENTS_TOPIC);
        return true;
    }
    if (!is_name(exchange) || exchange.len > 64)
        return k2_err_set(err, K2_INVALID,
                          "exchange \"%.*s\" is not a name of letters, digits, '-' and '_'",
                          K2_FMT(exchange));
    int len = snprintf(ret_topic, K2_TOPIC_MAX, "market.%s.%s.", k2_asset_classes[asset_class],
                       schema->name);
    for (size_t i = 0; i < exchange.len; i++)
        ret_topic[len++] = (char)tolower((unsigned char)exchange.ptr[i]);
    ret_topic[len] = 0;
    return true;
}

const struct k2_schema *k2_topic_schema(struct k2_str topic) {
    if (k2_str_is(topic, K2_EVENTS_TOPIC))
        return k2_schema_of(K2_EVENT);
    struct k2_str rest;
    if (!k2_str_is(k2_str_split(topic, '.', &rest), "market") || !rest.ptr)
        return NULL;
    struct k2_str asset_class = k2_str_split(rest, '.', &rest);
    if (!rest.ptr || k2_name_index(k2_asset_classes, asset_class) < 0)
        return NULL;
    const struct k2_schema *schema = k2_schema_by_name(k2_str_split(rest, '.', &rest));
    return schema && schema->avro_name && schema->kind != K2_EVENT && is_name(rest) ? schema : NULL;
}

uint32_t k2_key_partition(struct k2_str key, uint32_t partition_count) {
    return (k2_murmur2(key.ptr, key.len) & 0x7fffffffu) % partition_count;
}

void k2_topic_exchange(const char *topic, char ret_exchange[K2_TOPIC_MAX]) {
    const char *dot = strrchr(topic, '.');
    size_t n = 0;
    for (const char *p = dot ? dot + 1 : topic; *p && n + 1 < K2_TOPIC_MAX; p++)
        ret_exchange[n++] = (char)(*p >= 'a' && *p <= 'z' ? *p - 32 : *p);
    ret_exchange[n] = 0;
}

int64_t k2_day_number(int32_t day) {
    bool may_be = day >= k2_days_from_us(K2_TIME_MIN_US) && day < k2_days_from_us(K2_TIME_MAX_US);
    return may_be ? k2_yyyymmdd(day) * K2_NUMBER_DAY : 0;
}
