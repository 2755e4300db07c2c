/* csv.c -- a file of lines into batches: streaming, constant memory, bad lines into events. */
#include <stdio.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "feed/csv_impl.h"
#include "feed/input.h"
#include "market/topic.h"

enum { BUFFER_BYTES = 1 << 21, RAW_KEPT = 1 << 16 };

/* ---- batches ---- */

static bool flush_topic(struct k2_csv *csv, struct k2_csv_topic *topic) {
    if (!topic->batch->rows)
        return true;
    K2_TRY(csv->out->batch(csv->out->self, topic->name, topic->batch, csv->err));
    k2_batch_zero(topic->batch, 0, topic->given); /* many at once: quicker than a row at a time */
    topic->given = 0;
    k2_batch_clear(topic->batch);
    csv->last_batch = NULL;
    return true;
}

static bool flush_all(struct k2_csv *csv) {
    for (int i = 0; i < csv->topic_count; i++)
        K2_TRY(flush_topic(csv, &csv->topics[i]));
    if (!csv->events->rows)
        return true;
    K2_TRY(csv->out->batch(csv->out->self, K2_EVENTS_TOPIC, csv->events, csv->err));
    k2_batch_clear(csv->events);
    return true;
}

struct k2_csv_topic *k2_csv_topic(struct k2_csv *csv, uint32_t exchange, uint8_t asset_class) {
    for (int i = 0; i < csv->topic_count; i++)
        if (csv->topics[i].exchange == exchange && csv->topics[i].asset_class == asset_class)
            return &csv->topics[i];
    return NULL;
}

struct k2_batch *k2_csv_batch(struct k2_csv *csv, uint32_t exchange, uint8_t asset_class) {
    struct k2_csv_topic *topic = k2_csv_topic(csv, exchange, asset_class);
    const struct k2_schema *schema = k2_schema_of(csv->layout->kind);
    if (!topic) {
        if (csv->topic_count == CSV_TOPICS_MAX) {
            k2_err_set(csv->err, K2_LIMIT, "%s: more than %d exchanges in one file", csv->path,
                       CSV_TOPICS_MAX);
            return NULL;
        }
        topic = &csv->topics[csv->topic_count];
        *topic = (struct k2_csv_topic){.exchange = exchange, .asset_class = asset_class};
        if (!k2_topic_name(schema, asset_class, k2_intern_str(&csv->strings, exchange), topic->name,
                           csv->err))
            return NULL;
        topic->batch = k2_batch_new(schema, CSV_BATCH, &csv->strings);
        csv->topic_count++;
    }
    struct k2_batch *batch = topic->batch;
    if ((batch->rows == batch->rows_max || batch->text.len > 1 << 26) && !flush_topic(csv, topic))
        return NULL;
    if (topic->given > batch->rows) /* the row before was no good */
        k2_batch_zero(batch, batch->rows, 1);
    topic->given = batch->rows + 1;
    return batch;
}

int64_t k2_csv_next(struct k2_csv *csv, uint32_t symbol, uint32_t exchange, int32_t day) {
    for (int tried = 0, at = csv->count_last; tried < csv->count_count; tried++) {
        struct k2_csv_count *c = &csv->counts[at];
        if (c->symbol == symbol && c->day == day && c->exchange == exchange) {
            csv->count_last = at;
            return c->n++;
        }
        at = at ? at - 1 : csv->count_count - 1;
    }
    csv->counts = k2_realloc(csv->counts, (size_t)(csv->count_count + 1) * sizeof *csv->counts);
    csv->count_last = csv->count_count++;
    csv->counts[csv->count_last] =
        (struct k2_csv_count){symbol, exchange, day, csv->opts->sequence_start + 1};
    return csv->opts->sequence_start;
}

/* ---- bad lines ---- */

/* The line's identity: its bytes, and how many equal ones stood before it in this file. */
static bool set_aside(struct k2_csv *csv, struct k2_str line, const struct k2_csv_fault *fault) {
    struct k2_batch *e = csv->events;
    char hex[33], text[1200];
    if (e->rows == e->rows_max || e->text.len > 1 << 25)
        K2_TRY(flush_all(csv));
    uint32_t before = csv->bad_lines.count;
    struct k2_hash128 hash = k2_hash128(line.ptr, line.len);
    uint32_t at = k2_intern_add(&csv->bad_lines, k2_str_make(&hash, sizeof hash));
    if (csv->bad_lines.count != before) {
        csv->bad_counts =
            k2_realloc(csv->bad_counts, csv->bad_lines.count * sizeof *csv->bad_counts);
        csv->bad_counts[at] = 0;
    }
    uint32_t row = e->rows;
    k2_hash128_hex(hash, hex);
    e->col[K2_EVENT_TYPE].span[row] = k2_batch_put(e, K2_STR("BAD_LINE"));
    int len = snprintf(text, sizeof text, "%.1000s:%lld", csv->path, (long long)csv->line);
    struct k2_str source = {text, (size_t)len};
    e->col[K2_EVENT_SOURCE].span[row] =
        k2_batch_put(e, k2_str_is_utf8(source) ? source : K2_STR("a file"));
    len = snprintf(text, sizeof text, "%s:%s:%lld", csv->layout->name, hex,
                   (long long)csv->bad_counts[at]++);
    e->col[K2_EVENT_IDENTITY].span[row] = k2_batch_put(e, (struct k2_str){text, (size_t)len});
    e->col[K2_EVENT_STAGE].span[row] = k2_batch_put(e, K2_STR("feed"));
    e->col[K2_EVENT_ERROR_CODE].span[row] = k2_batch_put(e, k2_str_of(fault->code));
    e->col[K2_EVENT_ERROR].span[row] = k2_batch_put(e, k2_str_of(fault->text));
    struct k2_str raw = {line.ptr, K2_MIN(line.len, (size_t)RAW_KEPT)};
    e->col[K2_EVENT_RAW].span[row] = k2_batch_put(e, raw);
    e->col[K2_EVENT_INGESTION].i64[row] = csv->ingestion_us;
    e->rows++;
    csv->result->events++;
    return true;
}

/* ---- lines ---- */

static bool check_bytes(struct k2_str line, struct k2_csv_fault *fault) {
    if (memchr(line.ptr, 0, line.len))
        return k2_csv_fault(fault, "NUL_BYTE", "the line holds a NUL byte");
    if (!k2_str_is_utf8(line))
        return k2_csv_fault(fault, "UTF8", "the line is not valid UTF-8");
    return true;
}

static bool judge(struct k2_csv *csv, struct k2_str line, struct k2_csv_fault *fault) {
    const struct k2_csv_layout *layout = csv->layout;
    if (!check_bytes(line, fault))
        return false;
    if (!k2_csv_split(csv, line, layout->is_quoted))
        return k2_csv_fault(fault, "QUOTES",
                            "quotes do not balance, or there are too many columns");
    int want = layout->fields ? layout->fields : csv->column_count;
    if (want >= 0 && csv->field_count != want)
        return k2_csv_fault(fault, "COLUMN_COUNT", "the line has %d columns, not %d",
                            csv->field_count, want);
    return layout->row(csv, fault);
}

/* One line without its end. False: an error of the feed, not of the line. */
static bool take_line(struct k2_csv *csv, struct k2_str line) {
    csv->line++;
    csv->result->lines++;
    if (line.len && line.ptr[line.len - 1] == '\r')
        line.len--;
    if (csv->line == 1 && k2_str_starts(line, "\xef\xbb\xbf"))
        line.ptr += 3, line.len -= 3;
    if (csv->line == 1 && csv->layout->has_header) {
        csv->result->lines--;
        if (!k2_str_is_utf8(line) || !k2_csv_split(csv, line, true))
            return k2_err_set(csv->err, K2_INVALID, "%s:1: the header cannot be read", csv->path);
        return csv->layout->header(csv);
    }
    if (!line.len)
        return true;
    struct k2_csv_fault fault = {0};
    csv->err->code = K2_OK;
    if (judge(csv, line, &fault)) {
        csv->result->rows++;
        return true;
    }
    return csv->err->code == K2_OK && set_aside(csv, line, &fault);
}

/* A line beyond the limit: its beginning is kept, the rest is passed over to its end. */
static bool take_long_line(struct k2_csv *csv, struct k2_str head) {
    struct k2_csv_fault fault = {0};
    csv->line++;
    csv->result->lines++;
    k2_csv_fault(&fault, "LINE_TOO_LONG", "the line is longer than %d bytes", CSV_LINE_MAX);
    return set_aside(csv, head, &fault);
}

static bool say(struct k2_csv *csv, const struct k2_input *input) {
    int64_t size, at = k2_input_at(input, &size);
    if (csv->out->progress && !csv->out->progress(csv->out->self, at, size, csv->result->rows))
        return k2_err_set(csv->err, K2_CANCELLED, "%s: stopped at line %lld", csv->path,
                          (long long)csv->line);
    return true;
}

static bool read_lines(struct k2_csv *csv, struct k2_input *input) {
    char *buffer = k2_alloc(BUFFER_BYTES);
    size_t len = 0, got = 1;
    bool ok = true, is_skipping = false;
    while (ok && got) {
        ok = k2_input_read(input, buffer + len, BUFFER_BYTES - len, &got, csv->err);
        if (!ok)
            break;
        len += got;
        csv->result->bytes += (int64_t)got;
        size_t at = 0;
        for (char *end; ok && (end = memchr(buffer + at, '\n', len - at));) {
            size_t line = (size_t)(end - buffer) - at;
            if (!is_skipping)
                ok = line > CSV_LINE_MAX ? take_long_line(csv, (struct k2_str){buffer + at, line})
                                         : take_line(csv, (struct k2_str){buffer + at, line});
            is_skipping = false;
            at += line + 1;
        }
        len -= at;
        memmove(buffer, buffer + at, len);
        if (ok && is_skipping) {
            len = 0;
        } else if (ok && len > CSV_LINE_MAX) {
            ok = take_long_line(csv, (struct k2_str){buffer, len});
            is_skipping = true;
            len = 0;
        }
        ok = ok && say(csv, input);
    }
    struct k2_err kept = *csv->err;
    if (ok && len && !is_skipping)
        ok = take_line(csv, (struct k2_str){buffer, len});
    k2_free(buffer);
    if (ok)
        return flush_all(csv);
    /* What came before a broken stream counts. */
    if (kept.code == K2_CORRUPT && flush_all(csv))
        *csv->err = kept;
    return false;
}

/* ---- the file ---- */

static void close_csv(struct k2_csv *csv) {
    for (int i = 0; i < csv->topic_count; i++)
        k2_batch_free(csv->topics[i].batch);
    k2_batch_free(csv->events);
    k2_zone_free(csv->zone);
    k2_intern_done(&csv->strings);
    k2_intern_done(&csv->bad_lines);
    k2_buf_done(&csv->unquoted);
    k2_free(csv->bad_counts);
    k2_free(csv->counts);
    k2_free(csv);
}

bool k2_csv_read(const char *path, const struct k2_csv_opts *opts, const struct k2_feed_out *out,
                 struct k2_csv_result *ret_result, struct k2_err *err) {
    const struct k2_csv_layout *layout = k2_csv_layout_find(opts->layout);
    *ret_result = (struct k2_csv_result){0};
    if (!layout)
        return k2_err_set(err, K2_USAGE, "there is no layout \"%s\"", opts->layout);
    struct k2_input *input = k2_input_open(path, err);
    if (!input)
        return false;
    struct k2_csv *csv = k2_new(struct k2_csv);
    *csv = (struct k2_csv){.path = path,
                           .opts = opts,
                           .layout = layout,
                           .out = out,
                           .result = ret_result,
                           .ingestion_us = k2_now_ns(opts->clock) / 1000,
                           .err = err};
    uint32_t empty = k2_intern_add(&csv->strings, K2_STR(""));
    K2_ASSERT(empty == 0);
    csv->events = k2_batch_new(k2_schema_of(K2_EVENT), 1024, &csv->strings);
    const char *zone = opts->zone ? opts->zone : layout->zone ? layout->zone : "UTC";
    csv->zone = k2_zone_load(zone, err);
    bool ok = csv->zone && k2_csv_prepare(csv) && read_lines(csv, input);
    k2_input_close(input);
    close_csv(csv);
    return ok;
}
