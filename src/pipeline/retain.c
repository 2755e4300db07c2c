/* retain.c -- what of the log may go: nothing that a table or its state still needs (docs/rules.md:
 * state).
 */
#include "base/alloc.h"
#include "pipeline/pipeline.h"

struct retaining {
    struct k2_lake *lake;
    struct k2_log *log;
    const char *only;
    bool is_forced, is_ok;
    int64_t bytes;
    struct k2_err *err;
};

/* The lowest offset of one log partition that is still needed: reading begins again at the state's
 * offset, which is never beyond the position. */
static bool needed(const struct k2_metadata *metadata, const struct k2_topic_info *info, int p,
                   int64_t start, int64_t *ret_keep, struct k2_err *err) {
    bool found = false;
    struct k2_position position;
    *ret_keep = start;
    if (metadata)
        K2_TRY(k2_position_find(metadata, info->name, p, &found, &position, err));
    if (found && strcmp(position.log_id, info->log_id) == 0)
        *ret_keep =
            position.state[0] ? K2_MIN(position.next, position.state_offset) : position.next;
    return true;
}

static bool retain_topic(void *self, const struct k2_topic_info *info) {
    struct retaining *r = self;
    const char *table = k2_pipeline_main_table(k2_str_of(info->name));
    if (!table || (r->only && strcmp(r->only, info->name) != 0))
        return true;
    size_t count = (size_t)info->partition_count;
    const struct k2_metadata *metadata = NULL;
    struct k2_log_range *ranges = k2_new_array(struct k2_log_range, count);
    int64_t *keep = k2_new_array(int64_t, count), bytes = 0;
    r->is_ok = k2_lake_load(r->lake, &table, 1, &metadata, r->err) &&
               k2_log_ranges(r->log, info->name, ranges, r->err);
    for (size_t p = 0; r->is_ok && p < count; p++)
        r->is_ok = needed(metadata, info, (int)p, ranges[p].start, &keep[p], r->err);
    r->is_ok = r->is_ok && k2_log_trim(r->log, info->name, keep, r->is_forced, &bytes, r->err);
    r->bytes += bytes;
    k2_metadata_unref(metadata);
    k2_free(ranges);
    k2_free(keep);
    return r->is_ok || k2_err_wrap(r->err, "trim %s", info->name);
}

bool k2_pipeline_trim(struct k2_lake *lake, struct k2_log *log, const char *topic, bool is_forced,
                      int64_t *ret_bytes, struct k2_err *err) {
    struct retaining r = {
        .lake = lake, .log = log, .only = topic, .is_forced = is_forced, .is_ok = true, .err = err};
    struct k2_topic_info info;
    if (topic)
        K2_TRY(k2_log_topic(log, topic, false, &info, err));
    K2_TRY(k2_log_topics(log, retain_topic, &r, err));
    *ret_bytes = r.bytes;
    return r.is_ok;
}
