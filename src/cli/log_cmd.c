/* log_cmd.c -- k2 log list | read | lag | trim | accept: the durable log. */
#include <inttypes.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/date.h"
#include "base/json.h"
#include "cli/holder.h"
#include "market/avro.h"
#include "market/topic.h"
#include "query/row_json.h"

struct listing {
    struct k2_home *home;
    struct k2_grid *grid;
    struct k2_err *err;
    bool is_ok;
};

static bool list_topic(void *self, const struct k2_topic_info *info) {
    struct listing *l = self;
    struct k2_log_range *ranges = k2_new_array(struct k2_log_range, (size_t)info->partition_count);
    int64_t records = 0, trimmed = 0, bytes = 0;
    l->is_ok = k2_log_ranges(l->home->log, info->name, ranges, l->err) &&
               k2_log_bytes(l->home->log, info->name, &bytes, l->err);
    for (int p = 0; p < info->partition_count; p++) {
        records += ranges[p].end - ranges[p].start;
        trimmed += ranges[p].start;
    }
    k2_grid_add(l->grid, "%s", info->name);
    k2_grid_add(l->grid, "%d", info->partition_count);
    k2_grid_add(l->grid, "%" PRId64, records);
    k2_grid_add(l->grid, "%" PRId64, trimmed);
    k2_grid_add(l->grid, "%" PRId64, bytes);
    k2_grid_add(l->grid, "%s", info->log_id);
    k2_free(ranges);
    return l->is_ok;
}

int k2_cmd_log_list(struct k2_home *home, const struct k2_args *args, struct k2_err *err) {
    static const char *const names[] = {"topic",   "partitions", "records",
                                        "trimmed", "bytes",      "log_id"};
    static const bool numbers[] = {false, true, true, true, true, false};
    struct k2_grid grid = {K2_COUNT(names), names, numbers, {0}, 0};
    if (!k2_home_open(home, K2_HOME_LOG, err))
        return -1;
    struct listing l = {home, &grid, err, true};
    bool ok = k2_log_topics(home->log, list_topic, &l, err) && l.is_ok;
    return ok && k2_grid_print(&grid, k2_arg(args, "format"), err) ? K2_EXIT_DONE : -1;
}

/* ---- lag ---- */

static bool add_lag(void *self, const char *topic, int log_partition, int64_t committed,
                    int64_t end) {
    struct k2_grid *grid = self;
    k2_grid_add(grid, "%s", topic);
    k2_grid_add(grid, "%d", log_partition);
    k2_grid_add(grid, "%" PRId64, committed);
    k2_grid_add(grid, "%" PRId64, end);
    k2_grid_add(grid, "%" PRId64, end - committed);
    return true;
}

int k2_cmd_log_lag(struct k2_home *home, const struct k2_args *args, struct k2_err *err) {
    static const char *const names[] = {"topic", "log_partition", "committed", "end", "lag"};
    static const bool numbers[] = {false, true, true, true, true};
    struct k2_grid grid = {K2_COUNT(names), names, numbers, {0}, 0};
    if (!k2_home_open(home, K2_HOME_LOG | K2_HOME_LAKE, err) ||
        !k2_pipeline_lag(home->lake, home->log, NULL, add_lag, &grid, err))
        return -1;
    return k2_grid_print(&grid, k2_arg(args, "format"), err) ? K2_EXIT_DONE : -1;
}

/* ---- read ---- */

/* The plans of the schema ids met; a topic has a handful. */
struct decoder {
    struct k2_home *home;
    const struct k2_schema *schema;
    struct k2_intern strings;
    struct k2_batch *batch;
    struct {
        uint32_t id;
        struct k2_avro_plan *plan;
    } plans[16];
    int plan_count;
};

static struct k2_avro_plan *plan_of(struct decoder *d, uint32_t id) {
    for (int i = 0; i < d->plan_count; i++)
        if (d->plans[i].id == id)
            return d->plans[i].plan;
    struct k2_buf json = {0};
    struct k2_err ignored;
    struct k2_avro_plan *plan = NULL;
    if (k2_registry_get(d->home->registry, id, &json, &ignored))
        plan = k2_avro_plan_new(d->schema, k2_buf_view(&json), &ignored);
    k2_buf_done(&json);
    if (d->plan_count < (int)K2_COUNT(d->plans)) {
        d->plans[d->plan_count].id = id;
        d->plans[d->plan_count++].plan = plan;
    }
    return plan;
}

static void print_record(struct decoder *d, const struct k2_record *record, struct k2_buf *line) {
    char when[40];
    uint32_t id;
    struct k2_str body;
    k2_us_to_iso(record->time_us, when);
    k2_buf_clear(line);
    k2_buf_byte(line, '{');
    k2_json_key_int(line, "log_partition", record->log_partition);
    k2_json_key_int(line, "log_offset", record->offset);
    k2_json_key_str(line, "log_time", k2_str_of(when));
    k2_json_key_str(line, "key", record->key);
    bool is_framed = k2_avro_unframe(record->value, &id, &body);
    if (is_framed)
        k2_json_key_int(line, "schema_id", id);
    struct k2_avro_plan *plan = is_framed ? plan_of(d, id) : NULL;
    k2_batch_clear(d->batch);
    if (plan && k2_avro_decode(plan, body, d->batch) == K2_AVRO_OK) {
        k2_json_key(line, "value");
        k2_row_json(line, d->batch, 0, K2_ROW_RECORD);
    } else {
        k2_json_key(line, "raw");
        k2_json_base64(line, record->value);
    }
    k2_buf_text(line, "}\n");
    k2_out(k2_buf_view(line));
}

static bool read_topic(struct k2_home *home, const char *topic, const struct k2_args *args,
                       struct k2_err *err) {
    int64_t partition = -1, from = -1, limit = INT64_MAX;
    K2_TRY(k2_arg_i64(args, "partition", 0, 1 << 20, &partition, err));
    K2_TRY(k2_arg_i64(args, "from", 0, INT64_MAX, &from, err));
    K2_TRY(k2_arg_i64(args, "limit", 0, INT64_MAX, &limit, err));
    struct k2_topic_info info;
    K2_TRY(k2_log_topic(home->log, topic, false, &info, err));
    if (partition >= info.partition_count)
        return k2_err_set(err, K2_USAGE, "--partition %lld: %s has log partitions 0 to %d",
                          (long long)partition, topic, info.partition_count - 1);
    struct k2_log_range *ranges = k2_new_array(struct k2_log_range, (size_t)info.partition_count);
    int64_t *starts = k2_new_array(int64_t, (size_t)info.partition_count);
    bool ok = k2_log_ranges(home->log, topic, ranges, err);
    for (int p = 0; p < info.partition_count; p++)
        starts[p] = partition >= 0 && p != partition ? -1
                    : from >= 0                      ? K2_MAX(from, ranges[p].start)
                                                     : ranges[p].start;
    for (int p = 0; p < info.partition_count; p++)
        starts[p] = K2_MIN(starts[p], ranges[p].end);
    struct k2_log_reader *reader = ok ? k2_log_reader_new(home->log, topic, starts, err) : NULL;
    struct decoder d = {.home = home, .schema = k2_topic_schema(k2_str_of(topic))};
    d.batch = k2_batch_new(d.schema ? d.schema : k2_schema_of(K2_EVENT), 1, &d.strings);
    struct k2_record records[256];
    struct k2_buf line = {0};
    int count = 1;
    for (ok = reader != NULL; ok && count && limit > 0 && !atomic_load(&k2_stop_asked);) {
        ok = k2_log_read(reader, records, (int)K2_MIN(limit, 256), &count, err);
        for (int i = 0; ok && i < count; i++, limit--)
            print_record(&d, &records[i], &line);
    }
    for (int i = 0; i < d.plan_count; i++)
        k2_avro_plan_free(d.plans[i].plan);
    k2_buf_done(&line);
    k2_batch_free(d.batch);
    k2_intern_done(&d.strings);
    k2_log_reader_free(reader);
    k2_free(ranges);
    k2_free(starts);
    return ok;
}

int k2_cmd_log_read(struct k2_home *home, const struct k2_args *args, struct k2_err *err) {
    if (!k2_home_open(home, K2_HOME_LOG, err))
        return -1;
    return read_topic(home, args->words[0], args, err) ? K2_EXIT_DONE : -1;
}

/* ---- trim and accept ---- */

int k2_cmd_log_trim(struct k2_home *home, const struct k2_args *args, struct k2_err *err) {
    const char *topic = args->count ? args->words[0] : NULL;
    int64_t bytes = 0;
    if (!k2_home_open(home, K2_HOME_LOG | K2_HOME_LAKE, err) ||
        !k2_pipeline_trim(home->lake, home->log, topic, true, &bytes, err))
        return -1;
    k2_say("removed %" PRId64 " bytes of whole segments that no table needs any more", bytes);
    return K2_EXIT_DONE;
}

int k2_cmd_log_accept(struct k2_home *home, const struct k2_args *args, struct k2_err *err) {
    struct k2_holder holder = {0};
    struct k2_holder_opts opts = {.name = "log accept"};
    struct k2_topic_info info;
    struct k2_buf names = {0};
    bool ok = k2_home_open(home, K2_HOME_LOG | K2_HOME_LAKE, err);
    for (int i = 0; ok && i < args->count; i++) {
        k2_buf_printf(&names, "%s%s", i ? "," : "", args->words[i]);
        ok = k2_log_topic(home->log, args->words[i], false, &info, err);
    }
    opts.accept = k2_buf_cstr(&names);
    ok = ok && k2_holder_wait(&holder, home, &opts, err);
    if (ok) {
        struct k2_pipeline_counts n;
        k2_pipeline_counts(holder.pipeline, &n);
        if (n.losses)
            k2_say("%" PRId64 " log partitions of %s go on; what was lost is on record, see: k2 "
                   "query \"select * from gaps_found where code like 'LOG%%'\"",
                   n.losses, opts.accept);
        else
            k2_say("the tables and the log of %s agree; there was nothing to accept", opts.accept);
        ok = k2_pipeline_stop(holder.pipeline, err) && k2_pipeline_flush(holder.pipeline, err);
    }
    k2_holder_close(&holder);
    k2_buf_done(&names);
    return ok ? K2_EXIT_DONE : -1;
}
