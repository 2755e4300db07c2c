/* ledger_cmd.c -- k2 gaps, k2 dlq, k2 instruments: the ledgers and the reference data, readable;
 * and what a person may do about them.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/alloc.h"
#include "cli/sink.h"
#include "lake/table/read.h"
#include "market/avro.h"
#include "market/topic.h"

/* A text as an SQL literal. */
static void put_literal(struct k2_buf *out, const char *text) {
    k2_buf_byte(out, '\'');
    for (const char *p = text; *p; p++) {
        if (*p == '\'')
            k2_buf_byte(out, '\'');
        k2_buf_byte(out, (uint8_t)*p);
    }
    k2_buf_byte(out, '\'');
}

static int finish(struct k2_home *home, struct k2_buf *sql, const struct k2_args *args,
                  struct k2_err *err) {
    int code = k2_run_sql(home, k2_buf_cstr(sql), k2_arg(args, "format"), err);
    k2_buf_done(sql);
    return code;
}

int k2_cmd_gaps(struct k2_home *home, const struct k2_args *args, struct k2_err *err) {
    struct k2_buf sql = {0};
    const char *symbol = k2_arg(args, "symbol");
    k2_buf_text(&sql, "select gap_id, first_missing, last_missing, missing, recovered, severity, "
                      "detected_at, recovered_at from gaps where true");
    if (k2_arg(args, "open"))
        k2_buf_text(&sql, " and recovered < missing");
    if (symbol) {
        k2_buf_text(&sql, " and symbol = ");
        put_literal(&sql, symbol);
    }
    k2_buf_text(&sql, " order by detected_at, gap_id");
    return finish(home, &sql, args, err);
}

static bool put_limit(struct k2_buf *sql, const struct k2_args *args, struct k2_err *err) {
    int64_t limit = 1000;
    K2_TRY(k2_arg_i64(args, "limit", 1, INT64_MAX, &limit, err));
    k2_buf_printf(sql, " limit %" PRId64, limit);
    return true;
}

int k2_cmd_dlq_list(struct k2_home *home, const struct k2_args *args, struct k2_err *err) {
    struct k2_buf sql = {0};
    k2_buf_text(&sql, "select stage, error_code, count(*) as letters, min(received_at) as first, "
                      "max(received_at) as last, min(error) as example from dead_letters "
                      "group by stage, error_code order by letters desc, error_code");
    if (!put_limit(&sql, args, err))
        return -1;
    return finish(home, &sql, args, err);
}

int k2_cmd_dlq_show(struct k2_home *home, const struct k2_args *args, struct k2_err *err) {
    struct k2_buf sql = {0};
    k2_buf_text(&sql, "select received_at, source, stage, error_code, error, log_topic, "
                      "log_partition, log_offset, raw from dead_letters");
    if (args->count) {
        k2_buf_text(&sql, " where error_code = ");
        put_literal(&sql, args->words[0]);
    }
    k2_buf_text(&sql, " order by received_at, log_topic, log_partition, log_offset");
    if (!put_limit(&sql, args, err))
        return -1;
    return finish(home, &sql, args, err);
}

int k2_cmd_instruments_list(struct k2_home *home, const struct k2_args *args, struct k2_err *err) {
    struct k2_buf sql = {0};
    k2_buf_text(&sql,
                "select symbol, exchange, asset_class, company_name, isin, currency, "
                "is_active, may_be_negative, tier from instruments order by exchange, symbol");
    return finish(home, &sql, args, err);
}

int k2_cmd_instruments_show(struct k2_home *home, const struct k2_args *args, struct k2_err *err) {
    struct k2_buf sql = {0};
    k2_buf_text(&sql, "select * from instruments_history where symbol = ");
    put_literal(&sql, args->words[0]);
    k2_buf_text(&sql, " order by exchange, platform_sequence");
    return finish(home, &sql, args, err);
}

/* ---- reading a ledger ---- */

static bool read_ledger(struct k2_home *home, enum k2_kind kind, k2_rows_fn *take, void *self,
                        struct k2_intern *strings, struct k2_err *err) {
    const struct k2_schema *schema = k2_schema_of(kind);
    char table[64];
    snprintf(table, sizeof table, "%s.%s", schema->table_namespace, schema->table_name);
    const char *name = table;
    const struct k2_metadata *metadata = NULL;
    K2_TRY(k2_lake_load(home->lake, &name, 1, &metadata, err));
    struct k2_read_opts read = {
        .metadata = metadata, .schema = schema, .columns = ~0u, .strings = strings};
    bool ok = k2_table_read(home->lake, &read, take, self, err);
    k2_metadata_unref(metadata);
    return ok;
}

/* ---- gaps ack ---- */

struct gap_search {
    const char *gap_id;
    bool is_found;
};

static bool find_gap(void *self, const struct k2_batch *rows) {
    struct gap_search *s = self;
    for (uint32_t i = 0; !s->is_found && i < rows->rows; i++)
        s->is_found = k2_str_is(k2_batch_text(rows, K2_GAP_ID, i), s->gap_id);
    return !s->is_found;
}

/* The event that the pipeline turns into a row of ops.gap_events. */
static bool append_ack(struct k2_ingest *ingest, const char *gap_id, const char *reason,
                       struct k2_err *err) {
    struct k2_intern strings = {0};
    struct k2_batch *e = k2_batch_new(k2_schema_of(K2_EVENT), 1, &strings);
    struct k2_feed_out out = k2_ingest_out(ingest);
    e->rows = 1;
    e->col[K2_EVENT_TYPE].span[0] = k2_batch_put(e, K2_STR(K2_EVENT_GAP_ACK));
    e->col[K2_EVENT_SOURCE].span[0] = k2_batch_put(e, k2_str_of(gap_id));
    e->col[K2_EVENT_IDENTITY].span[0] = (struct k2_span){0};
    e->col[K2_EVENT_STAGE].span[0] = k2_batch_put(e, K2_STR("gaps"));
    e->col[K2_EVENT_ERROR_CODE].span[0] = k2_batch_put(e, K2_STR("ACK"));
    e->col[K2_EVENT_ERROR].span[0] = k2_batch_put(e, k2_str_of(reason));
    e->col[K2_EVENT_RAW].span[0] = (struct k2_span){0};
    e->col[K2_EVENT_INGESTION].i64[0] = k2_now_ns(ingest->home->clock) / 1000;
    bool ok = out.batch(out.self, K2_EVENTS_TOPIC, e, err);
    k2_batch_free(e);
    k2_intern_done(&strings);
    return ok;
}

int k2_cmd_gaps_ack(struct k2_home *home, const struct k2_args *args, struct k2_err *err) {
    struct gap_search search = {.gap_id = args->words[0]};
    struct k2_intern strings = {0};
    const char *reason = k2_arg(args, "reason");
    bool ok = k2_home_open(home, K2_HOME_LAKE | K2_HOME_LOG, err) &&
              read_ledger(home, K2_GAP, find_gap, &search, &strings, err);
    k2_intern_done(&strings);
    if (ok && !search.is_found)
        ok = k2_err_set(err, K2_NOT_FOUND, "there is no gap \"%s\"; see: k2 gaps", search.gap_id);
    struct k2_ingest ingest = {0};
    ok = ok && k2_ingest_open(&ingest, home, "gaps ack", err) &&
         append_ack(&ingest, search.gap_id, reason ? reason : "", err) &&
         k2_ingest_finish(&ingest, err);
    k2_ingest_close(&ingest);
    if (!ok)
        return -1;
    k2_say("gap %s is acknowledged", search.gap_id);
    return K2_EXIT_DONE;
}

/* ---- dlq retry ---- */

enum { RETRY_BATCH = 512 };

/* Dead letters that are records of a topic go back into it, as they came. */
struct retry {
    struct k2_ingest *ingest;
    const char *code; /* only this error code, or NULL */
    struct k2_intern strings;
    int64_t left; /* how many more */
    int64_t retried, lines, undecodable;
    struct k2_buf bytes; /* keys and values of the records waiting */
    struct k2_record records[RETRY_BATCH];
    size_t offsets[RETRY_BATCH];
    char topic[K2_TOPIC_MAX];
    int count;
    struct k2_err *err;
    bool is_ok, has_matched;
};

static bool send_waiting(struct retry *r) {
    struct k2_feed_out out = k2_ingest_out(r->ingest);
    const char *at = r->bytes.ptr;
    for (int i = 0; i < r->count; i++) {
        struct k2_record *record = &r->records[i];
        record->key.ptr = at + r->offsets[i];
        record->value.ptr = record->key.ptr + record->key.len;
    }
    r->is_ok = !r->count || out.raw(out.self, r->topic, r->records, r->count, r->err);
    r->retried += r->count;
    r->count = 0;
    k2_buf_clear(&r->bytes);
    return r->is_ok;
}

/* What could not be decoded is only sent again when it can be now: else every retry would set it
 * aside once more. */
static bool can_decode(struct retry *r, struct k2_str value, const char *topic) {
    const struct k2_schema *schema = k2_topic_schema(k2_str_of(topic));
    struct k2_err ignored;
    struct k2_buf json = {0};
    struct k2_str body;
    uint32_t id;
    if (!schema || !k2_avro_unframe(value, &id, &body) ||
        !k2_registry_get(r->ingest->home->registry, id, &json, &ignored))
        return false;
    struct k2_avro_plan *plan = k2_avro_plan_new(schema, k2_buf_view(&json), &ignored);
    struct k2_batch *batch = k2_batch_new(schema, 1, &r->strings);
    bool ok = plan && k2_avro_decode(plan, body, batch) == K2_AVRO_OK;
    k2_batch_free(batch);
    k2_avro_plan_free(plan);
    k2_buf_done(&json);
    return ok;
}

static bool retry_row(struct retry *r, const struct k2_batch *rows, uint32_t i) {
    char topic[K2_TOPIC_MAX];
    struct k2_str name = k2_batch_text(rows, K2_DEAD_LOG_TOPIC, i);
    struct k2_str key = k2_batch_text(rows, K2_DEAD_SOURCE, i);
    struct k2_str value = k2_batch_text(rows, K2_DEAD_RAW, i);
    snprintf(topic, sizeof topic, "%.*s", K2_FMT(name));
    if (strcmp(topic, K2_EVENTS_TOPIC) == 0) {
        r->lines++;
        return true;
    }
    if (k2_str_is(k2_batch_text(rows, K2_DEAD_STAGE, i), "decode") &&
        !can_decode(r, value, topic)) {
        r->undecodable++;
        return true;
    }
    if ((r->count == RETRY_BATCH || (r->count && strcmp(topic, r->topic) != 0)) && !send_waiting(r))
        return false;
    memcpy(r->topic, topic, sizeof topic);
    r->offsets[r->count] = r->bytes.len;
    r->records[r->count++] =
        (struct k2_record){.log_partition = -1, .key.len = key.len, .value.len = value.len};
    k2_buf_str(&r->bytes, key);
    k2_buf_str(&r->bytes, value);
    r->left--;
    return true;
}

static bool retry_rows(void *self, const struct k2_batch *rows) {
    struct retry *r = self;
    for (uint32_t i = 0; r->is_ok && r->left > 0 && i < rows->rows; i++)
        if (!r->code || k2_str_is(k2_batch_text(rows, K2_DEAD_ERROR_CODE, i), r->code)) {
            r->has_matched = true;
            (void)!retry_row(r, rows, i); /* is_ok says how it went */
        }
    return r->is_ok && r->left > 0 && !atomic_load(&k2_stop_asked);
}

static void say_retried(const struct retry *r) {
    struct k2_pipeline_counts n = {0};
    if (r->ingest->holder.pipeline)
        k2_pipeline_counts(r->ingest->holder.pipeline, &n);
    if (r->ingest->holder.pipeline)
        k2_say("sent %" PRId64 " records through the checks again: %" PRId64
               " are rows now, %" PRId64 " are still set aside or were rows already",
               r->retried, n.rows, r->retried - n.rows);
    else
        k2_say("sent %" PRId64 " records through the checks again", r->retried);
    if (r->undecodable)
        k2_say("%" PRId64 " records still cannot be decoded and were left alone", r->undecodable);
    if (r->lines)
        k2_say("%" PRId64 " bad lines of files were left alone: mend the file and ingest it again",
               r->lines);
}

int k2_cmd_dlq_retry(struct k2_home *home, const struct k2_args *args, struct k2_err *err) {
    struct k2_ingest ingest;
    struct retry r = {.ingest = &ingest,
                      .code = args->count ? args->words[0] : NULL,
                      .left = INT64_MAX,
                      .err = err,
                      .is_ok = true};
    if (!k2_arg_i64(args, "limit", 1, INT64_MAX, &r.left, err) ||
        !k2_home_open(home, K2_HOME_LAKE | K2_HOME_LOG, err))
        return -1;
    bool ok = k2_ingest_open(&ingest, home, "dlq retry", err) &&
              read_ledger(home, K2_DEAD_LETTER, retry_rows, &r, &r.strings, err) && r.is_ok &&
              send_waiting(&r) && k2_ingest_finish(&ingest, err);
    if (ok && r.code && !r.has_matched)
        ok = k2_err_set(err, K2_NOT_FOUND, "no dead letter has the code %s; see: k2 dlq list",
                        r.code);
    if (ok)
        say_retried(&r);
    struct k2_pipeline_counts n = {0};
    if (ingest.holder.pipeline)
        k2_pipeline_counts(ingest.holder.pipeline, &n);
    k2_ingest_close(&ingest);
    k2_buf_done(&r.bytes);
    k2_intern_done(&r.strings);
    if (!ok)
        return -1;
    return r.undecodable + r.lines || r.retried > n.rows ? K2_EXIT_SET_ASIDE : K2_EXIT_DONE;
}
