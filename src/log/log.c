/* log.c -- the embedded log: a folder of topics, each a journal; "memory:" is one that is not kept.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/file.h"
#include "log/log_impl.h"
#include "market/avro.h"
#include "market/topic.h"

/* ---- open ---- */

static bool open_root(struct k2_log *log, struct k2_err *err) {
    const char *url = log->opts.url;
    if (strcmp(url, "memory:") == 0) {
        log->root = k2_dir_make_temp(NULL, "k2-log", err);
        log->is_volatile = true;
        return log->root;
    }
    if (strncmp(url, "embedded:/", 10) != 0)
        return k2_err_set(err, K2_USAGE,
                          "log %s: K2 knows embedded:/absolute/folder and memory:", url);
    log->root = k2_strdup(url + 9);
    return log->opts.read_only || k2_dir_make(log->root, err);
}

struct k2_log *k2_log_open(const struct k2_log_opts *opts, struct k2_err *err) {
    struct k2_log *log = k2_new(struct k2_log);
    log->opts = *opts;
    pthread_mutex_init(&log->lock, NULL);
    if (opts->partitions < 1 || opts->partitions > K2_PARTITIONS_MAX)
        k2_err_set(err, K2_USAGE, "log.partitions must be 1 to %d", K2_PARTITIONS_MAX);
    else if (open_root(log, err))
        return log;
    k2_log_free(log);
    return NULL;
}

static void free_topic(struct k2_topic *topic) {
    if (topic->bytes)
        for (int p = 0; p < topic->journal->partition_count; p++)
            k2_buf_done(&topic->bytes[p]);
    k2_free(topic->bytes);
    k2_free(topic->counts);
    k2_free(topic->row_partition);
    k2_free(topic->row_index);
    k2_free(topic->partition_of);
    k2_journal_free(topic->journal);
    pthread_mutex_destroy(&topic->lock);
    k2_free(topic);
}

void k2_log_free(struct k2_log *log) {
    if (!log)
        return;
    for (int i = 0; i < log->topic_count; i++)
        free_topic(log->topics[i]);
    k2_free(log->topics);
    struct k2_err ignored;
    if (log->is_volatile && log->root)
        (void)!k2_path_remove(log->root, &ignored);
    k2_free(log->root);
    pthread_mutex_destroy(&log->lock);
    k2_free(log);
}

/* ---- topics ---- */

static bool is_topic_name(const char *name) {
    size_t len = strlen(name);
    for (size_t i = 0; i < len; i++) {
        char c = name[i];
        bool ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '.' || c == '_' || c == '-';
        if (!ok)
            return false;
    }
    return len > 0 && len < 200 && name[0] != '.';
}

static bool make_topic(struct k2_log *log, const char *name, bool create,
                       struct k2_topic **ret_topic, struct k2_err *err) {
    char dir[4300];
    snprintf(dir, sizeof dir, "%s/%s", log->root, name);
    bool is_single = strcmp(name, K2_EVENTS_TOPIC) == 0;
    int partitions = !create ? 0 : is_single ? 1 : (int)log->opts.partitions;
    struct k2_journal *journal =
        k2_journal_open(dir, partitions, log->opts.segment_bytes, log->is_volatile, err);
    if (!journal)
        return k2_err_wrap(err, "topic %s", name);
    struct k2_topic *topic = k2_new(struct k2_topic);
    snprintf(topic->name, sizeof topic->name, "%s", name);
    topic->journal = journal;
    pthread_mutex_init(&topic->lock, NULL);
    topic->bytes = k2_new_array(struct k2_buf, (size_t)journal->partition_count);
    topic->counts = k2_new_array(uint32_t, (size_t)journal->partition_count);
    log->topics = k2_realloc(log->topics, (size_t)(log->topic_count + 1) * sizeof *log->topics);
    *ret_topic = log->topics[log->topic_count++] = topic;
    return true;
}

bool k2_topic_open(struct k2_log *log, const char *name, bool create, struct k2_topic **ret_topic,
                   struct k2_err *err) {
    if (!is_topic_name(name))
        return k2_err_set(err, K2_USAGE,
                          "\"%s\" is no topic name: letters, digits, '.', '_' and '-'", name);
    pthread_mutex_lock(&log->lock);
    *ret_topic = NULL;
    for (int i = 0; i < log->topic_count; i++)
        if (strcmp(log->topics[i]->name, name) == 0)
            *ret_topic = log->topics[i];
    bool ok = *ret_topic || make_topic(log, name, create, ret_topic, err);
    pthread_mutex_unlock(&log->lock);
    return ok;
}

static void describe(const struct k2_topic *topic, struct k2_topic_info *info) {
    *info = (struct k2_topic_info){.partition_count = topic->journal->partition_count};
    memcpy(info->name, topic->name, sizeof info->name);
    memcpy(info->log_id, topic->journal->log_id, sizeof info->log_id);
}

bool k2_log_topic(struct k2_log *log, const char *topic, bool create,
                  struct k2_topic_info *ret_info, struct k2_err *err) {
    struct k2_topic *found;
    K2_TRY(k2_topic_open(log, topic, create, &found, err));
    describe(found, ret_info);
    return true;
}

static int by_name(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

bool k2_log_topics(struct k2_log *log, k2_topic_fn *each, void *self, struct k2_err *err) {
    DIR *dir = opendir(log->root);
    if (!dir)
        return !k2_path_exists(log->root) || k2_err_sys(err, "open %s", log->root);
    char **names = NULL;
    int count = 0;
    for (struct dirent *entry; (entry = readdir(dir));) {
        char path[4400];
        snprintf(path, sizeof path, "%s/%s/topic", log->root, entry->d_name);
        if (!is_topic_name(entry->d_name) || !k2_path_exists(path))
            continue;
        names = k2_realloc(names, (size_t)(count + 1) * sizeof *names);
        names[count++] = k2_strdup(entry->d_name);
    }
    closedir(dir);
    if (count)
        qsort(names, (size_t)count, sizeof *names, by_name);
    bool ok = true, go_on = true;
    for (int i = 0; i < count; i++) {
        struct k2_topic_info info;
        if (ok && go_on)
            ok = k2_log_topic(log, names[i], false, &info, err);
        if (ok && go_on)
            go_on = each(self, &info);
        k2_free(names[i]);
    }
    k2_free(names);
    return ok;
}

bool k2_log_bytes(struct k2_log *log, const char *topic, int64_t *ret_bytes, struct k2_err *err) {
    struct k2_topic *t;
    K2_TRY(k2_topic_open(log, topic, false, &t, err));
    *ret_bytes = (int64_t)(k2_journal_durable(t->journal) - k2_journal_start(t->journal));
    return true;
}

/* ---- append ---- */

static bool register_schema(struct k2_log *log, struct k2_topic *topic,
                            const struct k2_schema *schema, struct k2_err *err) {
    struct k2_buf json = {0};
    char subject[220];
    snprintf(subject, sizeof subject, "%s-value", topic->name);
    k2_schema_avro(schema, &json);
    bool ok = k2_registry_register(log->opts.registry, subject, k2_buf_view(&json),
                                   &topic->schema_id, err);
    k2_buf_done(&json);
    return ok || k2_err_wrap(err, "register the schema of %s", topic->name);
}

static uint32_t hash_key(const struct k2_batch *batch, int exchange, int symbol, uint32_t row,
                         uint32_t partitions, struct k2_buf *key) {
    k2_buf_clear(key);
    k2_buf_str(key, k2_batch_text(batch, exchange, row));
    k2_buf_byte(key, '.');
    k2_buf_str(key, k2_batch_text(batch, symbol, row));
    return k2_key_partition(k2_buf_view(key), partitions);
}

/* A key's log partition by its symbol's code: murmur2 runs once a symbol and append, not once a
 * row. Codes mean nothing beyond the call: the next batch may come with another string table. */
static void place_rows(struct k2_topic *t, const struct k2_batch *batch, int exchange, int symbol) {
    uint32_t partitions = (uint32_t)t->journal->partition_count, of = UINT32_MAX;
    struct k2_buf key = {0};
    if (t->partition_cap < batch->strings->count) {
        t->partition_cap = batch->strings->count * 2;
        t->partition_of = k2_realloc(t->partition_of, t->partition_cap * sizeof *t->partition_of);
    }
    for (uint32_t i = 0; i < batch->rows; i++) {
        uint32_t code = batch->col[symbol].u32[i];
        if (K2_UNLIKELY(batch->col[exchange].u32[i] != of)) {
            memset(t->partition_of, 0, batch->strings->count * sizeof *t->partition_of);
            of = batch->col[exchange].u32[i];
        }
        if (!t->partition_of[code])
            t->partition_of[code] =
                (uint16_t)(hash_key(batch, exchange, symbol, i, partitions, &key) + 1);
        t->row_partition[i] = t->partition_of[code] - 1u;
    }
    k2_buf_done(&key);
}

static void begin_frames(struct k2_topic *t, uint32_t rows) {
    for (int p = 0; p < t->journal->partition_count; p++) {
        k2_buf_clear(&t->bytes[p]);
        k2_buf_reserve(&t->bytes[p], K2_FRAME_BYTES);
        t->bytes[p].len = K2_FRAME_BYTES;
        t->counts[p] = 0;
    }
    if (t->rows_max < rows) {
        t->row_partition = k2_realloc(t->row_partition, rows * sizeof *t->row_partition);
        t->row_index = k2_realloc(t->row_index, rows * sizeof *t->row_index);
        t->rows_max = rows;
    }
}

/* The key and a place for the lengths; returns where the lengths go. */
static size_t begin_record(struct k2_buf *bytes) {
    size_t at = bytes->len;
    k2_buf_reserve(bytes, 8);
    bytes->len += 8;
    return at;
}

static void end_record(struct k2_buf *bytes, size_t at, size_t key_len) {
    uint32_t lengths[2] = {(uint32_t)key_len, (uint32_t)(bytes->len - at - 8 - key_len)};
    memcpy(bytes->ptr + at, lengths, 8);
}

static void encode_row(struct k2_topic *t, const struct k2_batch *batch, uint32_t row, int exchange,
                       int symbol) {
    uint32_t p = t->row_partition[row];
    struct k2_buf *bytes = &t->bytes[p];
    size_t at = begin_record(bytes), key = bytes->len;
    if (symbol >= 0) {
        k2_buf_str(bytes, batch->strings->names[batch->col[exchange].u32[row]]);
        k2_buf_byte(bytes, '.');
        k2_buf_str(bytes, batch->strings->names[batch->col[symbol].u32[row]]);
    }
    size_t key_len = bytes->len - key;
    k2_avro_encode(batch, row, t->schema_id, bytes);
    end_record(bytes, at, key_len);
    t->row_index[row] = t->counts[p]++;
}

/* Writes the frames that hold records; base[] gets each log partition's first offset. */
static bool write_frames(struct k2_log *log, struct k2_topic *t, int64_t *base,
                         int64_t *ret_time_us, struct k2_ticket *ret_ticket, struct k2_err *err) {
    struct k2_group_part parts[K2_PARTITIONS_MAX];
    int count = 0;
    for (int p = 0; p < t->journal->partition_count; p++)
        if (t->counts[p])
            parts[count++] = (struct k2_group_part){
                .log_partition = (uint32_t)p, .count = t->counts[p], .bytes = &t->bytes[p]};
    *ret_time_us = k2_now_ns(log->opts.clock) / 1000;
    *ret_ticket = (struct k2_ticket){.topic = t};
    if (log->opts.retention_bytes &&
        (int64_t)(k2_journal_durable(t->journal) - k2_journal_start(t->journal)) >
            log->opts.retention_bytes)
        return k2_err_set(err, K2_LIMIT,
                          "topic %s has reached log.retention.bytes with records the tables still "
                          "need; run k2 ingest worker, or raise the limit",
                          t->name);
    if (!k2_journal_write(t->journal, parts, count, *ret_time_us, &ret_ticket->position,
                          &ret_ticket->generation, err))
        return k2_err_wrap(err, "append to %s", t->name);
    for (int i = 0; i < count; i++)
        base[parts[i].log_partition] = parts[i].base_offset;
    return true;
}

bool k2_log_write(struct k2_log *log, const char *topic, struct k2_batch *batch,
                  struct k2_ticket *ret_ticket, struct k2_err *err) {
    struct k2_topic *t;
    K2_TRY(k2_topic_open(log, topic, true, &t, err));
    int exchange = k2_schema_column(batch->schema, K2_STR("exchange"));
    int symbol = k2_schema_column(batch->schema, K2_STR("symbol"));
    int64_t base[K2_PARTITIONS_MAX], time_us;
    pthread_mutex_lock(&t->lock);
    bool ok = t->schema_id || register_schema(log, t, batch->schema, err);
    if (ok) {
        begin_frames(t, batch->rows);
        if (symbol >= 0)
            place_rows(t, batch, exchange, symbol);
        else
            memset(t->row_partition, 0, batch->rows * sizeof *t->row_partition);
        for (uint32_t i = 0; i < batch->rows; i++)
            encode_row(t, batch, i, exchange, symbol);
        ok = write_frames(log, t, base, &time_us, ret_ticket, err);
    }
    for (uint32_t i = 0; ok && i < batch->rows; i++) {
        batch->log_partition[i] = (int32_t)t->row_partition[i];
        batch->log_offset[i] = base[t->row_partition[i]] + t->row_index[i];
        batch->log_time_us[i] = time_us;
    }
    pthread_mutex_unlock(&t->lock);
    return ok;
}

bool k2_log_write_raw(struct k2_log *log, const char *topic, struct k2_record *records, int count,
                      struct k2_ticket *ret_ticket, struct k2_err *err) {
    struct k2_topic *t;
    K2_TRY(k2_topic_open(log, topic, true, &t, err));
    int64_t base[K2_PARTITIONS_MAX], time_us;
    uint32_t partitions = (uint32_t)t->journal->partition_count;
    pthread_mutex_lock(&t->lock);
    begin_frames(t, (uint32_t)count);
    for (int i = 0; i < count; i++) {
        const struct k2_record *r = &records[i];
        uint32_t p = r->log_partition >= 0 ? (uint32_t)r->log_partition
                                           : k2_key_partition(r->key, partitions);
        K2_ASSERT(p < partitions);
        size_t at = begin_record(&t->bytes[p]);
        k2_buf_str(&t->bytes[p], r->key);
        k2_buf_str(&t->bytes[p], r->value);
        end_record(&t->bytes[p], at, r->key.len);
        t->row_partition[i] = p;
        t->row_index[i] = t->counts[p]++;
    }
    bool ok = write_frames(log, t, base, &time_us, ret_ticket, err);
    for (int i = 0; ok && i < count; i++) {
        records[i].log_partition = (int32_t)t->row_partition[i];
        records[i].offset = base[t->row_partition[i]] + t->row_index[i];
        records[i].time_us = time_us;
    }
    pthread_mutex_unlock(&t->lock);
    return ok;
}

bool k2_log_wait(struct k2_log *log, const struct k2_ticket *ticket, struct k2_err *err) {
    (void)log;
    struct k2_topic *t = ticket->topic;
    return k2_journal_sync(t->journal, ticket->position, ticket->generation, err) ||
           k2_err_wrap(err, "append to %s", t->name);
}

bool k2_log_append(struct k2_log *log, const char *topic, struct k2_batch *batch,
                   struct k2_err *err) {
    struct k2_ticket ticket;
    return k2_log_write(log, topic, batch, &ticket, err) && k2_log_wait(log, &ticket, err);
}
