/* position.c -- where the log stands, in table properties (docs/rules.md: commit).
 *
 *   k2.pos.<topic>/<log partition> =
 *       {"log":"<log id>","next":N,"epoch":N,"state":"<object>","at":N}
 */
#include "lake/table/position.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/json.h"

#define PREFIX "k2.pos."

void k2_position_key(const char *topic, int log_partition, struct k2_buf *out) {
    k2_buf_printf(out, PREFIX "%s/%d", topic, log_partition);
}

void k2_position_text(const struct k2_position *position, struct k2_buf *out) {
    k2_buf_byte(out, '{');
    k2_json_key_str(out, "log", k2_str_of(position->log_id));
    k2_json_key_int(out, "next", position->next);
    k2_json_key_int(out, "epoch", position->epoch);
    k2_json_key_str(out, "state", k2_str_of(position->state));
    k2_json_key_int(out, "at", position->state_offset);
    k2_buf_byte(out, '}');
}

static bool copy_text(struct k2_str text, char *to, size_t size) {
    if (!text.ptr || text.len >= size)
        return false;
    memcpy(to, text.ptr, text.len);
    to[text.len] = 0;
    return true;
}

bool k2_position_parse(struct k2_str text, struct k2_position *ret_position) {
    struct k2_err ignored = {0};
    K2_AUTO(k2_json_freep) struct k2_json *json = k2_json_parse(text, &ignored);
    *ret_position = (struct k2_position){
        .next = k2_json_int(k2_json_get(json, "next"), -1),
        .epoch = k2_json_int(k2_json_get(json, "epoch"), -1),
        .state_offset = k2_json_int(k2_json_get(json, "at"), -1),
    };
    return copy_text(k2_json_str(k2_json_get(json, "log")), ret_position->log_id,
                     sizeof ret_position->log_id) &&
           copy_text(k2_json_str(k2_json_get(json, "state")), ret_position->state,
                     sizeof ret_position->state) &&
           ret_position->next >= 0 && ret_position->epoch >= 0 && ret_position->state_offset >= 0;
}

static bool read_position(const struct k2_metadata *metadata, const struct k2_property *property,
                          struct k2_position *ret_position, struct k2_err *err) {
    return k2_position_parse(property->value, ret_position) ||
           k2_err_set(err, K2_CORRUPT, "table %s: the property %.*s is no position: %.*s",
                      metadata->identifier.ptr, K2_FMT(property->key),
                      (int)K2_MIN(property->value.len, (size_t)200), property->value.ptr);
}

bool k2_position_find(const struct k2_metadata *metadata, const char *topic, int log_partition,
                      bool *ret_found, struct k2_position *ret_position, struct k2_err *err) {
    struct k2_buf key = {0};
    k2_position_key(topic, log_partition, &key);
    const struct k2_property *property = NULL;
    for (int i = 0; !property && i < metadata->property_count; i++)
        if (k2_str_eq(metadata->properties[i].key, k2_buf_view(&key)))
            property = &metadata->properties[i];
    k2_buf_done(&key);
    *ret_found = property != NULL;
    return !property || read_position(metadata, property, ret_position, err);
}

struct named {
    struct k2_str topic;
    int64_t log_partition;
    const struct k2_property *property;
};

static int by_topic(const void *a, const void *b) {
    const struct named *x = a, *y = b;
    int order = k2_str_cmp(x->topic, y->topic);
    return order ? order
                 : (x->log_partition > y->log_partition) - (x->log_partition < y->log_partition);
}

static bool split_key(const struct k2_property *property, struct named *ret_named) {
    struct k2_str key = property->key;
    if (!k2_str_starts(key, PREFIX))
        return false;
    size_t slash = key.len;
    while (slash > 0 && key.ptr[slash - 1] != '/')
        slash--;
    size_t head = sizeof PREFIX - 1;
    ret_named->property = property;
    return slash > head + 1 &&
           k2_str_to_i64(k2_str_make(key.ptr + slash, key.len - slash),
                         &ret_named->log_partition) &&
           ret_named->log_partition >= 0 && ret_named->log_partition <= INT32_MAX &&
           (ret_named->topic = k2_str_make(key.ptr + head, slash - 1 - head)).len > 0;
}

bool k2_position_each(const struct k2_metadata *metadata, k2_position_fn *each, void *self,
                      struct k2_err *err) {
    struct named *all = k2_new_array(struct named, (size_t)metadata->property_count + 1);
    int count = 0;
    for (int i = 0; i < metadata->property_count; i++)
        count += split_key(&metadata->properties[i], &all[count]);
    qsort(all, (size_t)count, sizeof *all, by_topic);
    bool ok = true, go_on = true;
    for (int i = 0; ok && go_on && i < count; i++) {
        struct k2_position position;
        ok = read_position(metadata, all[i].property, &position, err);
        if (ok)
            go_on = each(self, all[i].topic, (int)all[i].log_partition, &position);
    }
    k2_free(all);
    return ok;
}
