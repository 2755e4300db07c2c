/* replay_gaps.c -- is anything missing in what was replayed? The gap ledger knows. */
#include <stdlib.h>
#include <strings.h>

#include "base/alloc.h"
#include "lake/table/read.h"
#include "query/replay_impl.h"

/* Numbers of one key that are missing, and when the rows beside them happened. */
struct hole {
    uint32_t key, gap;
    int64_t first, last;
    int64_t below, below_ns; /* the nearest row below: its number and time */
    int64_t above, above_ns;
};

struct judge {
    const struct k2_replay_opts *opts;
    const struct k2_kind_columns *c;
    struct k2_intern strings, keys, ids; /* keys: exchange and symbol, as codes */
    struct hole *holes;                  /* by key and first once all are known */
    size_t count, cap;
    int64_t losses; /* of the log: no one knows which numbers, or of when */
};

static void add_hole(struct judge *j, struct hole hole) {
    if (j->count == j->cap) {
        j->cap = K2_MAX(j->cap * 2, (size_t)64);
        j->holes = k2_realloc(j->holes, j->cap * sizeof *j->holes);
    }
    hole.below = hole.below_ns = INT64_MIN;
    hole.above = hole.above_ns = INT64_MAX;
    j->holes[j->count++] = hole;
}

/* What the log lost unread may be of any symbol. Its row is named after the topic, where the
 * exchange's letters are of one case. */
static bool is_loss(const struct judge *j, const struct k2_batch *b, uint32_t row,
                    bool *ret_is_asked) {
    struct k2_str asked = j->opts->exchange, exchange = k2_batch_text(b, K2_GAP_EXCHANGE, row);
    *ret_is_asked = !asked.len || (asked.len == exchange.len &&
                                   strncasecmp(asked.ptr, exchange.ptr, asked.len) == 0);
    return k2_str_starts(k2_batch_text(b, K2_GAP_CODE, row), "LOG_");
}

static bool is_asked(const struct judge *j, struct k2_str exchange, struct k2_str symbol) {
    const struct k2_replay_opts *o = j->opts;
    bool is = !o->symbol_count;
    for (int i = 0; !is && i < o->symbol_count; i++)
        is = k2_str_eq(o->symbols[i], symbol);
    return is && (!o->exchange.len || k2_str_eq(o->exchange, exchange));
}

static void take_gap(struct judge *j, const struct k2_batch *b, uint32_t row) {
    uint32_t pair[2] = {b->col[K2_GAP_EXCHANGE].u32[row], b->col[K2_GAP_SYMBOL].u32[row]};
    bool is_loss_asked, is_lost = is_loss(j, b, row, &is_loss_asked);
    if (is_lost ? !is_loss_asked
                : !is_asked(j, k2_batch_text(b, K2_GAP_EXCHANGE, row),
                            k2_batch_text(b, K2_GAP_SYMBOL, row)))
        return;
    uint32_t known = j->ids.count;
    uint32_t gap = k2_intern_add(&j->ids, k2_batch_text(b, K2_GAP_ID, row));
    if (gap != known)
        return;
    if (is_lost)
        j->losses++;
    else
        add_hole(j, (struct hole){.key = k2_intern_add(&j->keys, k2_str_make(pair, sizeof pair)),
                                  .gap = gap,
                                  .first = b->col[K2_GAP_FIRST_MISSING].i64[row],
                                  .last = b->col[K2_GAP_LAST_MISSING].i64[row]});
}

static bool take_gaps(void *self, const struct k2_batch *b) {
    struct judge *j = self;
    for (uint32_t i = 0; i < b->rows; i++)
        if (k2_str_is(k2_batch_text(b, K2_GAP_DATA_TYPE, i), j->opts->schema->name))
            take_gap(j, b, i);
    return true;
}

/* ---- fills ---- */

struct fill {
    uint32_t gap;
    int64_t first, last;
};
struct fills {
    struct judge *judge;
    struct fill *list;
    size_t count, cap;
};

static bool take_fills(void *self, const struct k2_batch *b) {
    struct fills *f = self;
    for (uint32_t i = 0; i < b->rows; i++) {
        uint32_t gap = k2_intern_find(&f->judge->ids, k2_batch_text(b, K2_GAP_EVENT_GAP_ID, i));
        if (gap == UINT32_MAX || !k2_str_is(k2_batch_text(b, K2_GAP_EVENT_TYPE, i), "FILL"))
            continue;
        if (f->count == f->cap) {
            f->cap = K2_MAX(f->cap * 2, (size_t)64);
            f->list = k2_realloc(f->list, f->cap * sizeof *f->list);
        }
        f->list[f->count++] =
            (struct fill){gap, b->col[K2_GAP_EVENT_FIRST].i64[i], b->col[K2_GAP_EVENT_LAST].i64[i]};
    }
    return true;
}

static int by_gap(const void *a, const void *b) {
    const struct fill *x = a, *y = b;
    if (x->gap != y->gap)
        return x->gap < y->gap ? -1 : 1;
    return x->first < y->first ? -1 : x->first > y->first;
}

/* Holes are what is left of gaps between their fills. Holes stand by gap: ids rise. */
static void subtract_fills(struct judge *j, struct fills *fills) {
    struct hole *gaps = j->holes;
    size_t gap_count = j->count, at = 0;
    j->holes = NULL;
    j->count = j->cap = 0;
    if (fills->count)
        qsort(fills->list, fills->count, sizeof *fills->list, by_gap);
    for (size_t g = 0; g < gap_count; g++) {
        struct hole rest = gaps[g];
        while (at < fills->count && fills->list[at].gap < rest.gap)
            at++;
        for (; at < fills->count && fills->list[at].gap == rest.gap; at++) {
            const struct fill *f = &fills->list[at];
            if (f->first > rest.first)
                add_hole(j, (struct hole){.key = rest.key,
                                          .gap = rest.gap,
                                          .first = rest.first,
                                          .last = K2_MIN(f->first - 1, rest.last)});
            rest.first = K2_MAX(rest.first, f->last + 1);
        }
        if (rest.first <= rest.last)
            add_hole(j, rest);
    }
    k2_free(gaps);
}

/* ---- when ---- */

static int by_key(const void *a, const void *b) {
    const struct hole *x = a, *y = b;
    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    return x->first < y->first ? -1 : x->first > y->first;
}

/* The number of holes that lie below a number of a key, or belong to a key before it. */
static size_t holes_below(const struct judge *j, uint32_t key, int64_t number) {
    size_t low = 0, high = j->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct hole *h = &j->holes[middle];
        if (h->key < key || (h->key == key && h->last < number))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* A row is the neighbour of the hole above it and of the one below it, unless one is nearer. */
static void note_row(struct judge *j, uint32_t key, int64_t number, int64_t ns) {
    size_t at = holes_below(j, key, number);
    if (at > 0 && j->holes[at - 1].key == key && number < j->holes[at - 1].above) {
        j->holes[at - 1].above = number;
        j->holes[at - 1].above_ns = ns;
    }
    if (at < j->count && j->holes[at].key == key && number > j->holes[at].below) {
        j->holes[at].below = number;
        j->holes[at].below_ns = ns;
    }
}

static bool take_rows(void *self, const struct k2_batch *b) {
    struct judge *j = self;
    uint32_t last[2] = {UINT32_MAX, UINT32_MAX}, key = UINT32_MAX;
    for (uint32_t i = 0; i < b->rows; i++) {
        uint32_t pair[2] = {b->col[j->c->exchange].u32[i], b->col[j->c->symbol].u32[i]};
        if (memcmp(pair, last, sizeof pair) != 0) {
            memcpy(last, pair, sizeof pair);
            key = k2_intern_find(&j->keys, k2_str_make(pair, sizeof pair));
        }
        if (key != UINT32_MAX)
            note_row(j, key, k2_row_number(b, j->c, i),
                     b->col[j->c->timestamp].i64[i] * 1000 + b->col[j->c->nanos].i32[i]);
    }
    return true;
}

/* Two holes without a row between them share the rows around both. */
static void share_neighbours(struct judge *j) {
    for (size_t i = 1; i < j->count; i++)
        if (j->holes[i].key == j->holes[i - 1].key && j->holes[i].below == INT64_MIN) {
            j->holes[i].below = j->holes[i - 1].below;
            j->holes[i].below_ns = j->holes[i - 1].below_ns;
        }
    for (size_t i = j->count; i-- > 1;)
        if (j->holes[i].key == j->holes[i - 1].key && j->holes[i - 1].above == INT64_MAX) {
            j->holes[i - 1].above = j->holes[i].above;
            j->holes[i - 1].above_ns = j->holes[i].above_ns;
        }
}

static struct k2_str symbol_of(const struct judge *j, uint32_t key) {
    uint32_t pair[2];
    memcpy(pair, k2_intern_str(&j->keys, key).ptr, sizeof pair);
    return k2_intern_str(&j->strings, pair[1]);
}

/* Where the snapshot has expired meanwhile, rows of the current one tell as much. */
static int64_t snapshot_to_read(const struct k2_replay *r) {
    return k2_metadata_snapshot(r->tables[0], r->snapshot_id) ? r->snapshot_id : 0;
}

static uint32_t columns_to_read(const struct judge *j) {
    return 1u << j->c->symbol | 1u << j->c->exchange | 1u << j->c->timestamp | 1u << j->c->nanos |
           1u << j->c->source_sequence | 1u << j->c->platform_sequence;
}

/* ---- when: many holes, all rows of their symbols ---- */

static bool read_symbols(struct judge *j, const struct k2_replay *r,
                         const struct k2_predicate *symbols, struct k2_err *err) {
    struct k2_read_opts read = {.metadata = r->tables[0],
                                .schema = j->opts->schema,
                                .snapshot_id = snapshot_to_read(r),
                                .predicates = symbols,
                                .predicate_count = 1,
                                .columns = columns_to_read(j),
                                .strings = &j->strings};
    return k2_table_read(j->opts->lake, &read, take_rows, j, err);
}

/* ---- when: few holes, the rows with numbers near theirs ---- */

enum { NEAR = 64 };
#define FAR (1ll << 42) /* from here on all numbers are looked at */

struct near {
    struct judge *judge;
    const struct k2_replay *replay;
    struct k2_predicate number; /* of its source, or K2's own */
    struct k2_str symbol;
    struct k2_batch *batch;
};

static bool read_groups(struct near *n, struct k2_parquet_file *file, struct k2_err *err) {
    struct judge *j = n->judge;
    for (int g = 0; g < k2_parquet_row_groups(file); g++) {
        if (!k2_parquet_may_hold_int(file, g, n->number.column, n->number.low, n->number.high) ||
            !k2_parquet_may_hold_str(file, g, j->c->symbol, n->symbol))
            continue;
        int64_t rows = k2_parquet_row_group_rows(file, g);
        if (!n->batch || n->batch->rows_max < rows) {
            k2_batch_free(n->batch);
            n->batch = k2_batch_new(j->opts->schema, (uint32_t)rows, &j->strings);
        }
        k2_batch_clear(n->batch);
        K2_TRY(k2_parquet_read(file, g, columns_to_read(j), n->batch, err));
        take_rows(j, n->batch);
    }
    return true;
}

static bool read_near(struct near *n, struct k2_err *err) {
    const struct k2_replay_opts *o = n->judge->opts;
    const struct k2_metadata *metadata = n->replay->tables[0];
    struct k2_predicate predicates[] = {
        n->number, {.column = n->judge->c->symbol, .value_count = 1, .values = &n->symbol}};
    struct k2_scan scan = {0};
    bool ok = k2_table_scan(o->lake, metadata, o->schema, snapshot_to_read(n->replay), predicates,
                            K2_COUNT(predicates), &scan, err);
    for (int i = 0; ok && i < scan.file_count; i++) {
        struct k2_parquet_file *file =
            k2_table_open_file(o->lake, metadata, o->schema, scan.files[i].path, err);
        ok = file && read_groups(n, file, err);
        k2_parquet_close(file);
    }
    k2_scan_done(&scan);
    return ok;
}

/* The rows beside a hole nearly always have the numbers beside it; only where those were rejected,
 * or never came, does one have to look further. */
static bool find_near(struct near *n, const struct hole *hole, struct k2_err *err) {
    struct judge *j = n->judge;
    const int columns[] = {j->c->source_sequence, j->c->platform_sequence};
    bool is_found = false;
    n->symbol = symbol_of(j, hole->key);
    for (int64_t reach = NEAR; !is_found; reach *= NEAR) {
        bool is_far = reach > FAR;
        int64_t low = INT64_MIN, high = INT64_MAX;
        if (!is_far && hole->first > INT64_MIN + reach)
            low = hole->first - reach;
        if (!is_far && hole->last < INT64_MAX - reach)
            high = hole->last + reach;
        for (size_t i = 0; i < K2_COUNT(columns); i++) {
            n->number = (struct k2_predicate){
                .column = columns[i], .has_low = true, .has_high = true, .low = low, .high = high};
            K2_TRY(read_near(n, err));
        }
        is_found = is_far || (hole->below != INT64_MIN && hole->below >= low &&
                              hole->above != INT64_MAX && hole->above <= high);
    }
    return true;
}

/* ---- when: which of the two is less work ---- */

static bool rows_of_symbols(const struct judge *j, const struct k2_replay *r,
                            const struct k2_predicate *symbols, int64_t *ret_rows,
                            struct k2_err *err) {
    struct k2_scan scan = {0};
    K2_TRY(k2_table_scan(j->opts->lake, r->tables[0], j->opts->schema, snapshot_to_read(r), symbols,
                         1, &scan, err));
    *ret_rows = 0;
    for (int i = 0; i < scan.file_count; i++)
        *ret_rows += scan.files[i].record_count;
    k2_scan_done(&scan);
    return true;
}

/* Looks up the rows beside the holes. */
static bool find_neighbours(struct judge *j, const struct k2_replay *r, int64_t look_rows,
                            struct k2_err *err) {
    struct k2_str *names = k2_new_array(struct k2_str, j->keys.count + 1);
    for (uint32_t i = 0; i < j->keys.count; i++)
        names[i] = symbol_of(j, i);
    struct k2_predicate symbols = {
        .column = j->c->symbol, .value_count = (int)j->keys.count, .values = names};
    struct near near = {.judge = j, .replay = r};
    int64_t rows = 0;
    bool ok = rows_of_symbols(j, r, &symbols, &rows, err);
    if (ok && rows / look_rows < (int64_t)j->count)
        ok = read_symbols(j, r, &symbols, err);
    else
        for (size_t i = 0; ok && i < j->count; i++)
            ok = find_near(&near, &j->holes[i], err);
    k2_batch_free(near.batch);
    k2_free(names);
    share_neighbours(j);
    return ok;
}

/* What is missing happened between its neighbours: can that be in the range asked for? */
static bool may_be_in_range(const struct k2_replay_opts *o, const struct hole *hole) {
    return !(o->has_from && hole->above_ns < o->from_ns) &&
           !(o->has_to && hole->below_ns >= o->to_ns);
}

/* ---- the ledger ---- */

/* As of the replayed snapshot's time: all tables of a commit have one time. */
static bool read_ledger(struct judge *j, int64_t until_ms, const struct k2_metadata *ledger,
                        enum k2_kind kind, k2_rows_fn *take, void *self, struct k2_err *err) {
    const struct k2_snapshot *then = ledger ? k2_metadata_snapshot_at(ledger, until_ms) : NULL;
    if (!then)
        return true;
    struct k2_read_opts read = {.metadata = ledger,
                                .schema = k2_schema_of(kind),
                                .snapshot_id = then->snapshot_id,
                                .columns = ~0u,
                                .strings = &j->strings};
    return k2_table_read(j->opts->lake, &read, take, self, err);
}

bool k2_replay_judge(const struct k2_replay *r, int64_t look_rows, struct k2_replay_result *result,
                     struct k2_err *err) {
    struct judge j = {.opts = r->opts, .c = &k2_kind_columns[r->opts->schema->kind]};
    struct fills fills = {.judge = &j};
    bool ok = read_ledger(&j, r->snapshot_ms, r->tables[1], K2_GAP, take_gaps, &j, err) &&
              read_ledger(&j, r->snapshot_ms, r->tables[2], K2_GAP_EVENT, take_fills, &fills, err);
    if (ok)
        subtract_fills(&j, &fills);
    if (ok && j.count) {
        qsort(j.holes, j.count, sizeof *j.holes, by_key);
        if (r->opts->has_from || r->opts->has_to)
            ok = find_neighbours(&j, r, look_rows, err);
    }
    result->open_gaps = j.losses;
    for (size_t i = 0, counted = SIZE_MAX; ok && i < j.count; i++)
        if (may_be_in_range(r->opts, &j.holes[i]) && j.holes[i].gap != counted) {
            counted = j.holes[i].gap;
            result->open_gaps++;
        }
    result->is_complete = result->open_gaps == 0;
    k2_free(j.holes);
    k2_free(fills.list);
    k2_intern_done(&j.strings);
    k2_intern_done(&j.keys);
    k2_intern_done(&j.ids);
    return ok;
}
