/* replay.c -- merges the files of a snapshot into time order. */
#include "query/replay.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/date.h"
#include "base/intern.h"
#include "lake/table/read.h"
#include "market/topic.h"

/* ---- as of ---- */

static bool is_digits(struct k2_str s) {
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] < '0' || s.ptr[i] > '9')
            return false;
    return s.len > 0;
}

bool k2_as_of_resolve(const struct k2_metadata *metadata, const char *as_of, int64_t *ret_snapshot,
                      struct k2_err *err) {
    *ret_snapshot = metadata->current_snapshot_id;
    if (!as_of)
        return true;
    struct k2_str text = k2_str_of(as_of);
    int64_t id, ns;
    if (is_digits(text)) {
        if (!k2_str_to_i64(text, &id) || !k2_metadata_snapshot(metadata, id))
            return k2_err_set(err, K2_NOT_FOUND, "%.*s has no snapshot %s (see k2 table snapshots)",
                              K2_FMT(metadata->identifier), as_of);
        *ret_snapshot = id;
        return true;
    }
    const struct k2_ref *ref = k2_metadata_find_ref(metadata, text);
    if (ref) {
        *ret_snapshot = ref->snapshot_id;
        return true;
    }
    if (!k2_iso_to_ns(text, &ns, err)) {
        err->code = K2_USAGE;
        return k2_err_wrap(err, "--as-of \"%s\" is no snapshot id and no tag", as_of);
    }
    const struct k2_snapshot *snapshot = k2_metadata_snapshot_at(metadata, ns / 1000000);
    *ret_snapshot = snapshot ? snapshot->snapshot_id : 0;
    return true;
}

/* ---- one file in the merge ---- */

struct source {
    struct k2_str uri;
    int64_t low_us; /* of the timestamps in it */
    struct k2_batch *batch;
    int64_t *ts; /* by place in order */
    uint32_t *order;
    uint32_t count, at;
};

struct columns {
    int symbol, exchange, timestamp, nanos, source, platform;
};
static const struct columns trade_columns = {K2_TRADE_SYMBOL,          K2_TRADE_EXCHANGE,
                                             K2_TRADE_TIMESTAMP,       K2_TRADE_NANOS,
                                             K2_TRADE_SOURCE_SEQUENCE, K2_TRADE_PLATFORM_SEQUENCE};
static const struct columns quote_columns = {K2_QUOTE_SYMBOL,          K2_QUOTE_EXCHANGE,
                                             K2_QUOTE_TIMESTAMP,       K2_QUOTE_NANOS,
                                             K2_QUOTE_SOURCE_SEQUENCE, K2_QUOTE_PLATFORM_SEQUENCE};

/* What a key's emitted numbers span, for completeness. */
struct span_of_key {
    int64_t low, high;
};

struct merge {
    const struct k2_replay_opts *opts;
    const struct columns *c;
    const struct k2_metadata *metadata;
    int64_t snapshot;
    struct k2_intern strings;
    struct source *sources; /* by low_us; [0, opened) have been opened */
    int source_count, opened;
    int *heap, heap_count; /* indexes of sources, smallest row first */
    uint8_t *wanted;       /* by symbol code: 0 unknown, 1 yes, 2 no */
    uint32_t wanted_cap;
    uint32_t exchange_code;
    struct k2_intern keys; /* exchange NUL symbol, as codes */
    struct span_of_key *spans;
    uint32_t last_symbol, last_exchange, last_key;
};

static int64_t number_of(const struct merge *m, const struct k2_batch *b, uint32_t row) {
    return b->col[m->c->source].valid[row] ? b->col[m->c->source].i64[row]
                                           : b->col[m->c->platform].i64[row];
}

static int compare_codes(const struct merge *m, uint32_t a, uint32_t b) {
    return a == b ? 0 : k2_str_cmp(k2_intern_str(&m->strings, a), k2_intern_str(&m->strings, b));
}

/* Rows of equal time: exchange, symbol, number. */
static int compare_ties(const struct merge *m, const struct k2_batch *a, uint32_t i,
                        const struct k2_batch *b, uint32_t j) {
    int order = compare_codes(m, a->col[m->c->exchange].u32[i], b->col[m->c->exchange].u32[j]);
    if (!order)
        order = compare_codes(m, a->col[m->c->symbol].u32[i], b->col[m->c->symbol].u32[j]);
    if (order)
        return order;
    int64_t x = number_of(m, a, i), y = number_of(m, b, j);
    return x < y ? -1 : x > y;
}

static bool less(const struct merge *m, int a, int b) {
    const struct source *x = &m->sources[a], *y = &m->sources[b];
    if (x->ts[x->at] != y->ts[y->at])
        return x->ts[x->at] < y->ts[y->at];
    return compare_ties(m, x->batch, x->order[x->at], y->batch, y->order[y->at]) < 0;
}

static void sift_down(struct merge *m, int at) {
    for (;;) {
        int child = 2 * at + 1;
        if (child >= m->heap_count)
            return;
        if (child + 1 < m->heap_count && less(m, m->heap[child + 1], m->heap[child]))
            child++;
        if (!less(m, m->heap[child], m->heap[at]))
            return;
        int swap = m->heap[at];
        m->heap[at] = m->heap[child];
        m->heap[child] = swap;
        at = child;
    }
}

static void heap_add(struct merge *m, int source) {
    int at = m->heap_count++;
    m->heap[at] = source;
    for (; at && less(m, m->heap[at], m->heap[(at - 1) / 2]); at = (at - 1) / 2) {
        int swap = m->heap[at];
        m->heap[at] = m->heap[(at - 1) / 2];
        m->heap[(at - 1) / 2] = swap;
    }
}

/* ---- reading a file into order ---- */

static bool is_wanted_symbol(struct merge *m, uint32_t code) {
    if (!m->opts->symbol_count)
        return true;
    if (code >= m->wanted_cap) {
        uint32_t cap = K2_MAX(code + 1, m->wanted_cap * 2);
        m->wanted = k2_realloc(m->wanted, cap);
        memset(m->wanted + m->wanted_cap, 0, cap - m->wanted_cap);
        m->wanted_cap = cap;
    }
    if (!m->wanted[code]) {
        m->wanted[code] = 2;
        for (int i = 0; i < m->opts->symbol_count; i++)
            if (k2_str_eq(m->opts->symbols[i], k2_intern_str(&m->strings, code)))
                m->wanted[code] = 1;
    }
    return m->wanted[code] == 1;
}

/* Keeps the rows asked for: order[] and, beside it, their time in ns. */
static void pick_rows(struct merge *m, struct source *s) {
    const struct k2_replay_opts *o = m->opts;
    const struct k2_batch *b = s->batch;
    const int64_t *us = b->col[m->c->timestamp].i64;
    const int32_t *nanos = b->col[m->c->nanos].i32;
    for (uint32_t i = 0; i < b->rows; i++) {
        int64_t ns = us[i] * 1000 + nanos[i];
        if ((o->has_from && ns < o->from_ns) || (o->has_to && ns >= o->to_ns) ||
            !is_wanted_symbol(m, b->col[m->c->symbol].u32[i]) ||
            (o->exchange.len && b->col[m->c->exchange].u32[i] != m->exchange_code))
            continue;
        s->order[s->count] = i;
        s->ts[s->count++] = ns;
    }
}

/* Stable radix sort of (ts, order) by time, 11 bits a pass over the bits that differ. */
static void sort_by_time(int64_t *ts, uint32_t *order, uint32_t count) {
    int64_t low = INT64_MAX, high = INT64_MIN;
    bool is_sorted = true;
    for (uint32_t i = 0; i < count; i++) {
        is_sorted &= i == 0 || ts[i - 1] <= ts[i];
        low = K2_MIN(low, ts[i]);
        high = K2_MAX(high, ts[i]);
    }
    if (is_sorted)
        return;
    int64_t *ts2 = k2_alloc(count * sizeof *ts2);
    uint32_t *order2 = k2_alloc(count * sizeof *order2), starts[2048];
    int64_t *from = ts, *to = ts2;
    uint32_t *from_order = order, *to_order = order2;
    for (int shift = 0; shift < 64 && (uint64_t)(high - low) >> shift; shift += 11) {
        memset(starts, 0, sizeof starts);
        for (uint32_t i = 0; i < count; i++)
            starts[(uint64_t)(from[i] - low) >> shift & 2047]++;
        for (uint32_t b = 0, sum = 0; b < 2048; b++) {
            uint32_t n = starts[b];
            starts[b] = sum;
            sum += n;
        }
        for (uint32_t i = 0; i < count; i++) {
            uint32_t place = starts[(uint64_t)(from[i] - low) >> shift & 2047]++;
            to[place] = from[i];
            to_order[place] = from_order[i];
        }
        int64_t *swap = from;
        from = to, to = swap;
        uint32_t *swap_order = from_order;
        from_order = to_order, to_order = swap_order;
    }
    if (from != ts) {
        memcpy(ts, from, count * sizeof *ts);
        memcpy(order, from_order, count * sizeof *order);
    }
    k2_free(ts2);
    k2_free(order2);
}

struct tie_context {
    const struct merge *m;
    const struct k2_batch *batch;
};

static int compare_places(const void *a, const void *b, void *context) {
    const struct tie_context *t = context;
    return compare_ties(t->m, t->batch, *(const uint32_t *)a, t->batch, *(const uint32_t *)b);
}

/* Files sorted by (symbol, time, number) come out of the radix sort right; others are put right. */
static void sort_ties(const struct merge *m, struct source *s) {
    struct tie_context context = {m, s->batch};
    for (uint32_t i = 0, end; i < s->count; i = end) {
        bool is_sorted = true;
        for (end = i + 1; end < s->count && s->ts[end] == s->ts[i]; end++)
            is_sorted &= compare_places(&s->order[end - 1], &s->order[end], &context) <= 0;
        if (!is_sorted)
            qsort_r(s->order + i, end - i, sizeof *s->order, compare_places, &context);
    }
}

static void close_source(struct source *s) {
    k2_batch_free(s->batch);
    k2_free(s->ts);
    k2_free(s->order);
    s->batch = NULL;
    s->ts = NULL;
    s->order = NULL;
}

static bool open_source(struct merge *m, int at, struct k2_err *err) {
    struct source *s = &m->sources[at];
    struct k2_parquet_file *file =
        k2_table_open_file(m->opts->lake, m->metadata, m->opts->schema, s->uri, err);
    if (!file)
        return false;
    uint32_t rows = (uint32_t)k2_parquet_rows(file);
    s->batch = k2_batch_new(m->opts->schema, K2_MAX(rows, 1u), &m->strings);
    bool ok = true;
    for (int g = 0; ok && g < k2_parquet_row_groups(file); g++)
        ok = k2_parquet_read(file, g, ~0u, s->batch, err);
    k2_parquet_close(file);
    if (!ok)
        return false;
    s->ts = k2_alloc((size_t)rows * sizeof *s->ts);
    s->order = k2_alloc((size_t)rows * sizeof *s->order);
    if (m->opts->exchange.len)
        m->exchange_code = k2_intern_add(&m->strings, m->opts->exchange);
    pick_rows(m, s);
    sort_by_time(s->ts, s->order, s->count);
    sort_ties(m, s);
    if (s->count)
        heap_add(m, at);
    else
        close_source(s);
    return true;
}

/* ---- the merge ---- */

static void note_number(struct merge *m, const struct k2_batch *b, uint32_t row) {
    uint32_t symbol = b->col[m->c->symbol].u32[row], exchange = b->col[m->c->exchange].u32[row];
    if (symbol != m->last_symbol || exchange != m->last_exchange) {
        uint32_t pair[2] = {exchange, symbol}, before = m->keys.count;
        m->last_key = k2_intern_add(&m->keys, k2_str_make(pair, sizeof pair));
        m->last_symbol = symbol, m->last_exchange = exchange;
        if (m->keys.count != before) {
            m->spans = k2_realloc(m->spans, m->keys.count * sizeof *m->spans);
            m->spans[m->last_key] = (struct span_of_key){INT64_MAX, INT64_MIN};
        }
    }
    int64_t number = number_of(m, b, row);
    struct span_of_key *span = &m->spans[m->last_key];
    span->low = K2_MIN(span->low, number);
    span->high = K2_MAX(span->high, number);
}

static bool run_merge(struct merge *m, k2_replay_fn *each, void *self,
                      struct k2_replay_result *result, struct k2_err *err) {
    struct k2_hasher *hasher = k2_hasher_new();
    struct k2_buf scratch = {0};
    bool ok = true;
    while (ok) {
        /* A file that begins before the next row is part of the merge from here on. */
        while (ok && m->opened < m->source_count &&
               (!m->heap_count || m->sources[m->opened].low_us <=
                                      m->sources[m->heap[0]].ts[m->sources[m->heap[0]].at] / 1000))
            ok = open_source(m, m->opened++, err);
        if (!ok || !m->heap_count)
            break;
        struct source *s = &m->sources[m->heap[0]];
        uint32_t row = s->order[s->at];
        k2_digest_row(hasher, s->batch, row, &scratch);
        note_number(m, s->batch, row);
        result->rows++;
        ok = each(self, s->batch, row, err);
        if (++s->at == s->count) {
            close_source(s);
            m->heap[0] = m->heap[--m->heap_count];
        }
        sift_down(m, 0);
    }
    result->digest = k2_hasher_end(hasher);
    k2_hasher_free(hasher);
    k2_buf_done(&scratch);
    return ok;
}

/* ---- which files ---- */

static int by_low(const void *a, const void *b) {
    const struct source *x = a, *y = b;
    return x->low_us < y->low_us ? -1 : x->low_us > y->low_us;
}

static int64_t file_low(const struct k2_data_file *file, int32_t field) {
    for (int i = 0; i < file->stats_count; i++)
        if (file->stats[i].field_id == field && file->stats[i].has_bounds &&
            file->stats[i].lower.len == 8) {
            int64_t low;
            memcpy(&low, file->stats[i].lower.ptr, 8);
            return low;
        }
    return INT64_MIN;
}

static bool plan(struct merge *m, struct k2_scan *scan, struct k2_err *err) {
    const struct k2_replay_opts *o = m->opts;
    struct k2_predicate predicates[3];
    int count = 0;
    if (o->symbol_count)
        predicates[count++] = (struct k2_predicate){
            .column = m->c->symbol, .value_count = o->symbol_count, .values = o->symbols};
    if (o->exchange.len)
        predicates[count++] = (struct k2_predicate){
            .column = m->c->exchange, .value_count = 1, .values = &o->exchange};
    if (o->has_from || o->has_to)
        predicates[count++] = (struct k2_predicate){.column = m->c->timestamp,
                                                    .has_low = o->has_from,
                                                    .has_high = o->has_to,
                                                    .low = o->from_ns / 1000 - 1,
                                                    .high = o->to_ns / 1000 + 1};
    struct k2_field_ids ids[K2_COLUMNS_MAX];
    K2_TRY(k2_metadata_field_ids(m->metadata, o->schema, ids, err));
    if (!m->snapshot)
        return true;
    K2_TRY(
        k2_table_scan(o->lake, m->metadata, o->schema, m->snapshot, predicates, count, scan, err));
    m->source_count = scan->file_count;
    m->sources = k2_new_array(struct source, (size_t)scan->file_count);
    m->heap = k2_new_array(int, (size_t)scan->file_count);
    for (int i = 0; i < scan->file_count; i++) {
        m->sources[i].uri = scan->files[i].path;
        m->sources[i].low_us = file_low(&scan->files[i], ids[m->c->timestamp].id);
    }
    qsort(m->sources, (size_t)m->source_count, sizeof *m->sources, by_low);
    return true;
}

/* ---- completeness, from the gap ledger ---- */

struct gap_count {
    struct merge *m;
    struct k2_intern ids;
    int64_t *missing; /* by id; less what was filled; 0 for gaps outside what was emitted */
};

static bool count_gaps(void *self, const struct k2_batch *rows) {
    struct gap_count *g = self;
    for (uint32_t i = 0; i < rows->rows; i++) {
        uint32_t pair[2] = {rows->col[K2_GAP_EXCHANGE].u32[i], rows->col[K2_GAP_SYMBOL].u32[i]};
        uint32_t key = k2_intern_find(&g->m->keys, k2_str_make(pair, sizeof pair));
        if (key == UINT32_MAX ||
            !k2_str_is(k2_batch_text(rows, K2_GAP_DATA_TYPE, i), g->m->opts->schema->name))
            continue;
        const struct span_of_key *span = &g->m->spans[key];
        if (rows->col[K2_GAP_LAST_MISSING].i64[i] < span->low ||
            rows->col[K2_GAP_FIRST_MISSING].i64[i] > span->high)
            continue;
        uint32_t before = g->ids.count;
        uint32_t id = k2_intern_add(&g->ids, k2_batch_text(rows, K2_GAP_ID, i));
        if (g->ids.count != before)
            g->missing = k2_realloc(g->missing, g->ids.count * sizeof *g->missing);
        g->missing[id] = rows->col[K2_GAP_MISSING].i64[i];
    }
    return true;
}

static bool count_fills(void *self, const struct k2_batch *rows) {
    struct gap_count *g = self;
    for (uint32_t i = 0; i < rows->rows; i++) {
        uint32_t id = k2_intern_find(&g->ids, k2_batch_text(rows, K2_GAP_EVENT_GAP_ID, i));
        if (id == UINT32_MAX || !k2_str_is(k2_batch_text(rows, K2_GAP_EVENT_TYPE, i), "FILL"))
            continue;
        g->missing[id] -=
            rows->col[K2_GAP_EVENT_LAST].i64[i] - rows->col[K2_GAP_EVENT_FIRST].i64[i] + 1;
    }
    return true;
}

/* The ledger as of the replayed snapshot's time: side tables land in the same commit. */
static bool read_ledger(struct merge *m, const struct k2_metadata *ledger, enum k2_kind kind,
                        k2_rows_fn *take, void *self, struct k2_err *err) {
    if (!ledger)
        return true;
    const struct k2_snapshot *pinned = k2_metadata_snapshot(m->metadata, m->snapshot);
    const struct k2_snapshot *then =
        pinned ? k2_metadata_snapshot_at(ledger, pinned->timestamp_ms) : NULL;
    if (!then)
        return true;
    struct k2_read_opts read = {.metadata = ledger,
                                .schema = k2_schema_of(kind),
                                .snapshot_id = then->snapshot_id,
                                .columns = ~0u,
                                .strings = &m->strings};
    return k2_table_read(m->opts->lake, &read, take, self, err);
}

static bool judge(struct merge *m, const struct k2_metadata *const *tables,
                  struct k2_replay_result *result, struct k2_err *err) {
    struct gap_count g = {.m = m};
    bool ok = read_ledger(m, tables[1], K2_GAP, count_gaps, &g, err) &&
              read_ledger(m, tables[2], K2_GAP_EVENT, count_fills, &g, err);
    for (uint32_t i = 0; i < g.ids.count; i++)
        result->open_gaps += g.missing[i] > 0;
    result->is_complete = result->open_gaps == 0;
    k2_intern_done(&g.ids);
    k2_free(g.missing);
    return ok;
}

bool k2_replay_run(const struct k2_replay_opts *opts, k2_replay_fn *each, void *self,
                   struct k2_replay_result *ret_result, struct k2_err *err) {
    char main[64];
    snprintf(main, sizeof main, "%s.%s", opts->schema->table_namespace, opts->schema->table_name);
    const char *names[] = {main, "ops.gaps", "ops.gap_events"};
    const struct k2_metadata *tables[3] = {0};
    *ret_result = (struct k2_replay_result){.is_complete = true};
    K2_TRY(k2_lake_load(opts->lake, names, 3, tables, err));
    struct merge m = {.opts = opts,
                      .c = opts->schema->kind == K2_TRADE ? &trade_columns : &quote_columns,
                      .metadata = tables[0],
                      .last_symbol = UINT32_MAX};
    struct k2_scan scan = {0};
    bool ok = true;
    if (tables[0])
        ok = k2_as_of_resolve(tables[0], opts->as_of, &m.snapshot, err) && plan(&m, &scan, err) &&
             run_merge(&m, each, self, ret_result, err) && judge(&m, tables, ret_result, err);
    ret_result->snapshot_id = m.snapshot;
    for (int i = 0; i < m.opened; i++)
        close_source(&m.sources[i]);
    k2_scan_done(&scan);
    k2_free(m.sources);
    k2_free(m.heap);
    k2_free(m.wanted);
    k2_free(m.spans);
    k2_intern_done(&m.keys);
    k2_intern_done(&m.strings);
    for (int i = 0; i < 3; i++)
        k2_metadata_unref(tables[i]);
    return ok;
}
