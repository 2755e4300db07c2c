/* state.c -- the table of keys and its state object.
 *
 * Object (little endian, varints as Avro writes longs):
 *   "K2ST" u32 version | section count
 *   section: topic string, log partition, offset, settings: 6 longs, key count
 *     key: exchange string, symbol string, last, session, last_platform, last_time, last_price,
 *          version_hash, reset_time, reset_day, held, gap count, gaps (first, last, gap_first)
 *   u64 xxh3-64 of everything before it
 */
#include "pipeline/state.h"

#include "base/alloc.h"
#include "base/hash.h"

enum { STATE_VERSION = 2 };

static void free_key(struct k2_key *key) {
    k2_free(key->gaps);
}

void k2_keys_done(struct k2_keys *keys) {
    for (uint32_t i = 0; i < keys->count; i++)
        free_key(&keys->keys[i]);
    k2_free(keys->keys);
    k2_free(keys->slots);
    *keys = (struct k2_keys){0};
}

static uint32_t slot_of(const struct k2_keys *keys, uint32_t topic, uint32_t exchange,
                        uint32_t symbol) {
    uint64_t h = ((uint64_t)symbol << 32 | exchange) * 0x9e3779b97f4a7c15u + topic;
    uint32_t slot = (uint32_t)((h * 0xff51afd7ed558ccdu) >> 32) & keys->slot_mask;
    for (;; slot = (slot + 1) & keys->slot_mask) {
        uint32_t at = keys->slots[slot];
        if (!at)
            return slot;
        const struct k2_key *key = &keys->keys[at - 1];
        if (key->symbol == symbol && key->topic == topic && key->exchange == exchange)
            return slot;
    }
}

static void rebuild(struct k2_keys *keys) {
    k2_free(keys->slots);
    keys->slots = k2_new_array(uint32_t, (size_t)keys->cap * 2);
    keys->slot_mask = keys->cap * 2 - 1;
    for (uint32_t i = 0; i < keys->count; i++) {
        const struct k2_key *key = &keys->keys[i];
        keys->slots[slot_of(keys, key->topic, key->exchange, key->symbol)] = i + 1;
    }
}

struct k2_key *k2_keys_get(struct k2_keys *keys, uint32_t topic, uint32_t exchange, uint32_t symbol,
                           bool *ret_is_new) {
    if (keys->slots) {
        uint32_t at = keys->slots[slot_of(keys, topic, exchange, symbol)];
        if (at) {
            *ret_is_new = false;
            return &keys->keys[at - 1];
        }
    }
    if (keys->count == keys->cap) {
        keys->cap = keys->cap ? keys->cap * 2 : 256;
        keys->keys = k2_realloc(keys->keys, keys->cap * sizeof *keys->keys);
        rebuild(keys);
    }
    struct k2_key *key = &keys->keys[keys->count++];
    *key = (struct k2_key){.topic = topic, .exchange = exchange, .symbol = symbol, .held = -1};
    keys->slots[slot_of(keys, topic, exchange, symbol)] = keys->count;
    *ret_is_new = true;
    return key;
}

void k2_keys_drop(struct k2_keys *keys, uint32_t topic, int32_t log_partition) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < keys->count; i++) {
        struct k2_key *key = &keys->keys[i];
        if (key->topic == topic && key->log_partition == log_partition)
            free_key(key);
        else
            keys->keys[kept++] = *key;
    }
    keys->count = kept;
    if (keys->cap)
        rebuild(keys);
}

/* ---- the object ---- */

static void put_str(struct k2_buf *out, struct k2_str s) {
    k2_buf_zigzag(out, (int64_t)s.len);
    k2_buf_str(out, s);
}

static void put_key(struct k2_buf *out, const struct k2_key *key, const struct k2_intern *strings) {
    put_str(out, k2_intern_str(strings, key->exchange));
    put_str(out, k2_intern_str(strings, key->symbol));
    const int64_t fields[] = {key->last,          key->session,    key->last_platform,
                              key->last_time_us,  key->last_price, (int64_t)key->version_hash,
                              key->reset_time_us, key->reset_day,  key->held,
                              key->gap_count};
    for (size_t i = 0; i < K2_COUNT(fields); i++)
        k2_buf_zigzag(out, fields[i]);
    for (uint32_t i = 0; i < key->gap_count; i++) {
        k2_buf_zigzag(out, key->gaps[i].first);
        k2_buf_zigzag(out, key->gaps[i].last);
        k2_buf_zigzag(out, key->gaps[i].gap_first);
    }
}

static bool in_section(const struct k2_key *key, const struct k2_section *section) {
    return key->topic == section->topic_index && key->log_partition == section->log_partition;
}

static void put_settings(struct k2_buf *out, const struct k2_chain_settings *s) {
    const int64_t fields[] = {s->future_us, s->price_move_ppm,     s->gap_page,
                              s->gap_halt,  s->reference_snapshot, s->numbering};
    for (size_t i = 0; i < K2_COUNT(fields); i++)
        k2_buf_zigzag(out, fields[i]);
}

void k2_state_write(const struct k2_keys *keys, const struct k2_intern *strings,
                    const struct k2_section *sections, int count, struct k2_buf *out) {
    size_t start = out->len;
    k2_buf_text(out, "K2ST");
    k2_buf_u32(out, STATE_VERSION);
    k2_buf_zigzag(out, count);
    for (int s = 0; s < count; s++) {
        put_str(out, sections[s].topic);
        k2_buf_zigzag(out, sections[s].log_partition);
        k2_buf_zigzag(out, sections[s].offset);
        put_settings(out, &sections[s].settings);
        int64_t members = 0;
        for (uint32_t i = 0; i < keys->count; i++)
            members += in_section(&keys->keys[i], &sections[s]);
        k2_buf_zigzag(out, members);
        for (uint32_t i = 0; i < keys->count; i++)
            if (in_section(&keys->keys[i], &sections[s]))
                put_key(out, &keys->keys[i], strings);
    }
    k2_buf_u64(out, k2_hash64(out->ptr + start, out->len - start));
}

struct reader {
    const uint8_t *at, *end;
    bool is_bad;
};

static int64_t get_long(struct reader *r) {
    uint64_t value = 0;
    for (int shift = 0; r->at < r->end && shift < 64; shift += 7) {
        uint8_t byte = *r->at++;
        value |= (uint64_t)(byte & 127) << shift;
        if (byte < 128)
            return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
    }
    r->is_bad = true;
    return 0;
}

static struct k2_str get_str(struct reader *r) {
    int64_t len = get_long(r);
    if (r->is_bad || len < 0 || len > r->end - r->at) {
        r->is_bad = true;
        return (struct k2_str){"", 0};
    }
    struct k2_str s = k2_str_make(r->at, (size_t)len);
    r->at += len;
    return s;
}

/* Reads one key; into is NULL to pass over it. */
static void get_key(struct reader *r, struct k2_keys *into, uint32_t topic, int32_t log_partition,
                    struct k2_intern *strings) {
    struct k2_str exchange = get_str(r), symbol = get_str(r);
    int64_t f[10];
    for (size_t i = 0; i < K2_COUNT(f); i++)
        f[i] = get_long(r);
    if (r->is_bad || f[9] < 0 || f[9] > K2_GAPS_MAX) {
        r->is_bad = true;
        return;
    }
    struct k2_key *key = NULL;
    if (into) {
        bool is_new;
        key = k2_keys_get(into, topic, k2_intern_add(strings, exchange),
                          k2_intern_add(strings, symbol), &is_new);
        key->log_partition = log_partition;
        key->last = f[0], key->session = f[1], key->last_platform = f[2];
        key->last_time_us = f[3], key->last_price = f[4], key->version_hash = (uint64_t)f[5];
        key->reset_time_us = f[6], key->reset_day = f[7], key->held = f[8];
        key->gap_count = key->gap_cap = (uint32_t)f[9];
        k2_free(key->gaps);
        key->gaps = k2_new_array(struct k2_interval, key->gap_cap);
    }
    for (int64_t i = 0; i < f[9]; i++) {
        struct k2_interval gap = {get_long(r), 0, 0};
        gap.last = get_long(r);
        gap.gap_first = get_long(r);
        if (key)
            key->gaps[i] = gap;
    }
}

static bool open_object(struct k2_str object, struct reader *r, struct k2_err *err) {
    uint64_t sum;
    uint32_t version;
    if (object.len < 16 || memcmp(object.ptr, "K2ST", 4) != 0)
        return k2_err_set(err, K2_CORRUPT, "not a state object");
    memcpy(&sum, object.ptr + object.len - 8, 8);
    memcpy(&version, object.ptr + 4, 4);
    if (sum != k2_hash64(object.ptr, object.len - 8))
        return k2_err_set(err, K2_CORRUPT, "state object: checksum does not match");
    if (version != STATE_VERSION)
        return k2_err_set(err, K2_CORRUPT, "state object: version %u is not known here", version);
    r->at = (const uint8_t *)object.ptr + 8;
    r->end = (const uint8_t *)object.ptr + object.len - 8;
    return true;
}

static struct k2_chain_settings get_settings(struct reader *r) {
    struct k2_chain_settings s;
    s.future_us = get_long(r);
    s.price_move_ppm = get_long(r);
    s.gap_page = get_long(r);
    s.gap_halt = get_long(r);
    s.reference_snapshot = get_long(r);
    s.numbering = get_long(r);
    return s;
}

bool k2_state_read(struct k2_str object, struct k2_str topic, int32_t log_partition,
                   uint32_t topic_index, struct k2_keys *keys, struct k2_intern *strings,
                   struct k2_chain_settings *ret_settings, int64_t *ret_offset,
                   struct k2_err *err) {
    struct reader r = {0};
    K2_TRY(open_object(object, &r, err));
    struct k2_chain_settings settings = {0};
    bool found = false;
    for (int64_t sections = get_long(&r); sections > 0 && !r.is_bad && !found; sections--) {
        struct k2_str name = get_str(&r);
        int64_t partition = get_long(&r), offset = get_long(&r);
        settings = get_settings(&r);
        int64_t count = get_long(&r);
        found = k2_str_eq(name, topic) && partition == log_partition;
        for (; count > 0 && !r.is_bad; count--)
            get_key(&r, found ? keys : NULL, topic_index, log_partition, strings);
        if (found)
            *ret_offset = offset;
    }
    if (r.is_bad)
        return k2_err_set(err, K2_CORRUPT, "state object: ends in the middle of a value");
    if (!found)
        return k2_err_set(err, K2_NOT_FOUND, "state object: no section for %.*s/%d", K2_FMT(topic),
                          log_partition);
    *ret_settings = settings;
    return true;
}
