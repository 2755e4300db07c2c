/* lookup.c -- is the row there already? One pruned scan of the table for all open questions
 * (docs/rules.md: identity), slice by slice: names first, content only where a name was asked for.
 */
#include "base/alloc.h"
#include "base/hash.h"
#include "lake/table/read.h"
#include "pipeline/lane.h"

enum { K2_SLICE = 32768 };

static bool same_text(const struct k2_batch *a, const struct k2_batch *b, int column, uint32_t i,
                      uint32_t j) {
    return k2_str_eq(k2_batch_text(a, column, i), k2_batch_text(b, column, j));
}

static bool same_int(const struct k2_batch *a, const struct k2_batch *b, int column, uint32_t i,
                     uint32_t j) {
    return a->col[column].i64[i] == b->col[column].i64[j];
}

/* Content as docs/rules.md: identity has it. */
bool k2_rows_same(const struct k2_batch *a, uint32_t i, const struct k2_batch *b, uint32_t j) {
    if (a->schema->kind == K2_TRADE)
        return same_int(a, b, K2_TRADE_TIMESTAMP, i, j) &&
               a->col[K2_TRADE_NANOS].i32[i] == b->col[K2_TRADE_NANOS].i32[j] &&
               same_int(a, b, K2_TRADE_PRICE, i, j) && same_int(a, b, K2_TRADE_QUANTITY, i, j) &&
               a->col[K2_TRADE_SIDE].u8[i] == b->col[K2_TRADE_SIDE].u8[j] &&
               same_text(a, b, K2_TRADE_ID, i, j);
    return same_int(a, b, K2_QUOTE_TIMESTAMP, i, j) &&
           a->col[K2_QUOTE_NANOS].i32[i] == b->col[K2_QUOTE_NANOS].i32[j] &&
           same_int(a, b, K2_QUOTE_BID_PRICE, i, j) &&
           same_int(a, b, K2_QUOTE_BID_QUANTITY, i, j) &&
           same_int(a, b, K2_QUOTE_ASK_PRICE, i, j) && same_int(a, b, K2_QUOTE_ASK_QUANTITY, i, j);
}

uint64_t k2_row_content_hash(const struct k2_batch *b, uint32_t row) {
    static const int trade[] = {K2_TRADE_TIMESTAMP, K2_TRADE_PRICE, K2_TRADE_QUANTITY};
    static const int quote[] = {K2_QUOTE_TIMESTAMP, K2_QUOTE_BID_PRICE, K2_QUOTE_BID_QUANTITY,
                                K2_QUOTE_ASK_PRICE, K2_QUOTE_ASK_QUANTITY};
    bool is_trade = b->schema->kind == K2_TRADE;
    int64_t values[8] = {0};
    int count = is_trade ? (int)K2_COUNT(trade) : (int)K2_COUNT(quote);
    for (int i = 0; i < count; i++)
        values[i] = b->col[is_trade ? trade[i] : quote[i]].i64[row];
    values[count++] = b->col[is_trade ? K2_TRADE_NANOS : K2_QUOTE_NANOS].i32[row];
    if (!is_trade)
        return k2_hash64(values, sizeof values);
    struct k2_str id = k2_batch_text(b, K2_TRADE_ID, row);
    values[count++] = b->col[K2_TRADE_SIDE].u8[row];
    values[count] = (int64_t)k2_hash64(id.ptr, id.len);
    return k2_hash64(values, sizeof values);
}

/* Item by item: the same map may be cut into blocks in several ways. */
static void put_map(struct k2_buf *out, struct k2_str blocks) {
    struct k2_cursor cursor = {0};
    struct k2_str key, value;
    while (k2_map_next(blocks, &cursor, &key, &value)) {
        k2_buf_zigzag(out, (int64_t)key.len);
        k2_buf_str(out, key);
        k2_buf_zigzag(out, (int64_t)value.len);
        k2_buf_str(out, value);
    }
}

uint64_t k2_version_hash(const struct k2_batch *b, uint32_t row) {
    struct k2_buf content = {0};
    for (int i = 0; i < K2_REFERENCE_LOG_ID; i++) {
        if (i == K2_REFERENCE_INGESTION || i == K2_REFERENCE_PLATFORM_SEQUENCE)
            continue;
        k2_buf_byte(&content, (uint8_t)i);
        if (k2_batch_is_null(b, i, row))
            continue;
        enum k2_type type = b->schema->columns[i].type;
        if (type == K2_TIMESTAMP || type == K2_INT32)
            k2_buf_append(&content, (char *)b->col[i].data + row * k2_type_width(type),
                          k2_type_width(type));
        else if (type == K2_MAP)
            put_map(&content, k2_batch_text(b, i, row));
        else
            k2_buf_str(&content, k2_batch_text(b, i, row));
        k2_buf_byte(&content, 0);
    }
    uint64_t hash = k2_hash64(content.ptr, content.len);
    k2_buf_done(&content);
    return hash;
}

/* By these a row is found... */
static uint32_t name_columns(enum k2_kind kind) {
    const struct k2_kind_columns *c = &k2_kind_columns[kind];
    return 1u << c->symbol | 1u << c->exchange | 1u << c->source_sequence |
           1u << c->platform_sequence;
}

/* ... and by these it is compared (docs/rules.md: identity). */
static uint32_t content_columns(enum k2_kind kind) {
    if (kind == K2_TRADE)
        return 1u << K2_TRADE_TIMESTAMP | 1u << K2_TRADE_NANOS | 1u << K2_TRADE_PRICE |
               1u << K2_TRADE_QUANTITY | 1u << K2_TRADE_SIDE | 1u << K2_TRADE_ID;
    return 1u << K2_QUOTE_TIMESTAMP | 1u << K2_QUOTE_NANOS | 1u << K2_QUOTE_BID_PRICE |
           1u << K2_QUOTE_BID_QUANTITY | 1u << K2_QUOTE_ASK_PRICE | 1u << K2_QUOTE_ASK_QUANTITY;
}

/* ---- open files, the least used of which makes way ---- */

static void close_file(struct k2_open_file *open) {
    k2_parquet_close(open->file);
    k2_buf_done(&open->path);
    *open = (struct k2_open_file){0};
}

void k2_lookup_close(struct k2_lane *lane) {
    for (int i = 0; i < K2_OPEN_FILES; i++)
        if (lane->open[i].file)
            close_file(&lane->open[i]);
}

static struct k2_parquet_file *open_file(struct k2_lane *lane, struct k2_str uri,
                                         struct k2_err *err) {
    const struct k2_metadata *metadata = lane->main;
    const struct k2_schema *schema = lane->schema;
    struct k2_open_file *oldest = &lane->open[0];
    for (int i = 0; i < K2_OPEN_FILES; i++) {
        struct k2_open_file *open = &lane->open[i];
        if (open->file && k2_str_eq(k2_buf_view(&open->path), uri)) {
            open->used = ++lane->open_clock;
            return open->file;
        }
        if (open->used < oldest->used)
            oldest = open;
    }
    if (oldest->file)
        close_file(oldest);
    oldest->file = k2_table_open_file(lane->opts->lake, metadata, schema, uri, err);
    if (oldest->file) {
        k2_buf_str(&oldest->path, uri);
        oldest->used = ++lane->open_clock;
    }
    return oldest->file;
}

/* ---- rows ---- */

/* The open questions, hashed by (exchange, symbol, number); several may ask the same. */
struct questions {
    struct k2_lane *lane;
    uint32_t *slots, mask;
    uint32_t *next;
    struct span {
        int64_t low, high; /* numbers asked of a symbol; low above high: none */
    } * of_symbol;
    uint32_t symbol_count;
    int64_t low, high;
    struct match {
        uint32_t place, wanted; /* row of the slice, index in lane->wanted */
    } * matches;
    uint32_t match_count, match_cap;
};

static uint32_t question_slot(const struct questions *q, uint32_t exchange, uint32_t symbol,
                              int64_t number) {
    uint64_t h = ((uint64_t)number * 0x9e3779b97f4a7c15u) ^ ((uint64_t)symbol << 32 | exchange);
    return (uint32_t)((h * 0xff51afd7ed558ccdu) >> 32) & q->mask;
}

static void ask(struct questions *q) {
    struct k2_lane *lane = q->lane;
    const struct k2_kind_columns *c = &k2_kind_columns[lane->schema->kind];
    uint32_t size = 64;
    while (size < lane->wanted_count * 2)
        size *= 2;
    q->mask = size - 1;
    q->slots = k2_new_array(uint32_t, size);
    q->next = k2_new_array(uint32_t, lane->wanted_count);
    q->symbol_count = lane->strings.count;
    q->of_symbol = k2_new_array(struct span, q->symbol_count);
    for (uint32_t i = 0; i < q->symbol_count; i++)
        q->of_symbol[i] = (struct span){INT64_MAX, INT64_MIN};
    q->low = INT64_MAX, q->high = INT64_MIN;
    for (uint32_t i = 0; i < lane->wanted_count; i++) {
        const struct k2_wanted *w = &lane->wanted[i];
        uint32_t symbol = lane->window.rows->col[c->symbol].u32[w->row];
        uint32_t slot =
            question_slot(q, lane->window.rows->col[c->exchange].u32[w->row], symbol, w->number);
        struct span *span = &q->of_symbol[symbol];
        q->next[i] = q->slots[slot];
        q->slots[slot] = i + 1;
        span->low = K2_MIN(span->low, w->number);
        span->high = K2_MAX(span->high, w->number);
        q->low = K2_MIN(q->low, w->number);
        q->high = K2_MAX(q->high, w->number);
    }
}

static void forget(struct questions *q) {
    k2_free(q->slots);
    k2_free(q->next);
    k2_free(q->of_symbol);
    k2_free(q->matches);
}

static void add_match(struct questions *q, uint32_t place, uint32_t wanted) {
    if (q->match_count == q->match_cap) {
        q->match_cap = q->match_cap ? q->match_cap * 2 : 1024;
        q->matches = k2_realloc(q->matches, q->match_cap * sizeof *q->matches);
    }
    q->matches[q->match_count++] = (struct match){place, wanted};
}

/* Which rows of a slice somebody asks for. */
static void match_names(struct questions *q, const struct k2_batch *names) {
    struct k2_lane *lane = q->lane;
    const struct k2_kind_columns *c = &k2_kind_columns[lane->schema->kind];
    const struct k2_batch *rows = lane->window.rows;
    q->match_count = 0;
    for (uint32_t j = 0; j < names->rows; j++) {
        uint32_t symbol = names->col[c->symbol].u32[j], exchange = names->col[c->exchange].u32[j];
        int64_t number = k2_row_number(names, c, j);
        if (symbol >= q->symbol_count || number < q->of_symbol[symbol].low ||
            number > q->of_symbol[symbol].high)
            continue;
        for (uint32_t at = q->slots[question_slot(q, exchange, symbol, number)]; at;
             at = q->next[at - 1]) {
            const struct k2_wanted *w = &lane->wanted[at - 1];
            if (w->number == number && rows->col[c->symbol].u32[w->row] == symbol &&
                rows->col[c->exchange].u32[w->row] == exchange)
                add_match(q, j, at - 1);
        }
    }
}

/* Compares the rows of a slice that were asked for; it begins at row first of the row group. */
static bool compare_matches(struct questions *q, struct k2_parquet_file *file, int row_group,
                            uint32_t first, struct k2_err *err) {
    struct k2_lane *lane = q->lane;
    if (!q->match_count)
        return true;
    uint32_t low = q->matches[0].place, high = q->matches[q->match_count - 1].place;
    k2_batch_clear(lane->found);
    K2_TRY(k2_parquet_read_rows(file, row_group, first + low, high - low + 1,
                                content_columns(lane->schema->kind), lane->found, err));
    for (uint32_t i = 0; i < q->match_count; i++) {
        struct k2_wanted *w = &lane->wanted[q->matches[i].wanted];
        w->found = k2_rows_same(lane->window.rows, w->row, lane->found, q->matches[i].place - low)
                       ? K2_FOUND_SAME
                       : K2_FOUND_OTHER;
    }
    return true;
}

static bool search_group(struct questions *q, struct k2_parquet_file *file, int row_group,
                         struct k2_err *err) {
    struct k2_lane *lane = q->lane;
    struct k2_parquet_cursor *names =
        k2_parquet_cursor_open(file, row_group, 0, name_columns(lane->schema->kind), err);
    bool ok = names != NULL;
    for (uint32_t first = 0, rows = 1; ok && rows; first += rows) {
        k2_batch_clear(lane->found);
        ok = k2_parquet_cursor_next(names, K2_SLICE, lane->found, err);
        rows = lane->found->rows;
        if (!ok || !rows)
            break;
        match_names(q, lane->found);
        ok = compare_matches(q, file, row_group, first, err);
    }
    k2_parquet_cursor_free(names);
    return ok;
}

static bool search_file(struct questions *q, struct k2_str uri, bool all_source, bool all_platform,
                        struct k2_err *err) {
    const struct k2_kind_columns *c = &k2_kind_columns[q->lane->schema->kind];
    struct k2_parquet_file *file = open_file(q->lane, uri, err);
    bool ok = file != NULL;
    for (int g = 0; ok && g < k2_parquet_row_groups(file); g++) {
        int column = all_source ? c->source_sequence : c->platform_sequence;
        bool may_hold = (!all_source && !all_platform) ||
                        k2_parquet_may_hold_int(file, g, column, q->low, q->high);
        ok = !may_hold || search_group(q, file, g, err);
    }
    return ok;
}

/* The distinct values of a symbol column over the questions; 0 when there are more than max. */
static int distinct(const struct k2_lane *lane, int column, struct k2_str *values, int max) {
    uint32_t codes[64];
    int count = 0;
    for (uint32_t i = 0; i < lane->wanted_count; i++) {
        uint32_t code = lane->window.rows->col[column].u32[lane->wanted[i].row];
        int at = 0;
        while (at < count && codes[at] != code)
            at++;
        if (at < count)
            continue;
        if (count == max)
            return 0;
        codes[count] = code;
        values[count++] = k2_intern_str(&lane->strings, code);
    }
    return count;
}

bool k2_lookup_rows(struct k2_lane *lane, struct k2_err *err) {
    const struct k2_kind_columns *c = &k2_kind_columns[lane->schema->kind];
    if (!lane->main || !lane->main->current_snapshot_id)
        return true;
    struct questions q = {.lane = lane};
    ask(&q);
    if (!lane->found)
        lane->found = k2_batch_new(lane->schema, K2_SLICE, &lane->strings);
    bool all_source = true, all_platform = true;
    for (uint32_t i = 0; i < lane->wanted_count; i++) {
        all_source &= lane->wanted[i].is_source;
        all_platform &= !lane->wanted[i].is_source;
    }
    struct k2_str exchanges[8], symbols[64];
    struct k2_predicate predicates[3];
    int count = 0, values;
    if ((values = distinct(lane, c->exchange, exchanges, 8)) > 0)
        predicates[count++] = (struct k2_predicate){
            .column = c->exchange, .value_count = values, .values = exchanges};
    if ((values = distinct(lane, c->symbol, symbols, 64)) > 0)
        predicates[count++] =
            (struct k2_predicate){.column = c->symbol, .value_count = values, .values = symbols};
    if (all_source || all_platform)
        predicates[count++] =
            (struct k2_predicate){.column = all_source ? c->source_sequence : c->platform_sequence,
                                  .has_low = true,
                                  .has_high = true,
                                  .low = q.low,
                                  .high = q.high};
    struct k2_scan scan = {0};
    bool ok =
        k2_table_scan(lane->opts->lake, lane->main, lane->schema, 0, predicates, count, &scan, err);
    for (int f = 0; ok && f < scan.file_count; f++)
        ok = search_file(&q, scan.files[f].path, all_source, all_platform, err);
    k2_scan_done(&scan);
    forget(&q);
    return ok || k2_err_wrap(err, "look up rows of %s", lane->schema->table_name);
}

/* ---- dead letters, by identity ---- */

static void forget_letter(struct k2_lane *lane, uint32_t row) {
    struct k2_window *w = &lane->window;
    w->counts.rejected--;
    w->counts.duplicates++;
    if (w->dead == w->rows) {
        w->drop[row] = 1;
        return;
    }
    /* The side table is written whole, so the letter is taken out by moving the last into its
     * place. */
    struct k2_batch *d = w->dead;
    uint32_t last = --d->rows;
    if (row == last)
        return;
    for (int i = 0; i < d->schema->column_count; i++) {
        size_t width = k2_type_width(d->schema->columns[i].type);
        memcpy((char *)d->col[i].data + row * width, (char *)d->col[i].data + last * width, width);
        if (d->col[i].valid)
            d->col[i].valid[row] = d->col[i].valid[last];
    }
    for (uint32_t i = 0; i < lane->letter_count; i++)
        if (lane->letters[i].row == last)
            lane->letters[i].row = row;
}

static struct k2_str identity_of(const struct k2_lane *lane, uint32_t letter) {
    return k2_batch_text(lane->window.dead, K2_DEAD_IDENTITY, lane->letters[letter].row);
}

struct asked {
    struct k2_intern identities;
    uint8_t *is_there;
};

static bool search_letters(void *self, const struct k2_batch *rows) {
    struct asked *asked = self;
    for (uint32_t j = 0; j < rows->rows; j++) {
        if (k2_batch_is_null(rows, K2_DEAD_IDENTITY, j))
            continue;
        uint32_t at = k2_intern_find(&asked->identities, k2_batch_text(rows, K2_DEAD_IDENTITY, j));
        if (at != UINT32_MAX)
            asked->is_there[at] = 1;
    }
    return true;
}

bool k2_lookup_letters(struct k2_lane *lane, struct k2_err *err) {
    struct asked asked = {0};
    for (uint32_t i = 0; i < lane->letter_count; i++)
        k2_intern_add(&asked.identities, identity_of(lane, i));
    asked.is_there = k2_new_array(uint8_t, asked.identities.count);
    struct k2_read_opts read = {.metadata = lane->dead,
                                .schema = k2_schema_of(K2_DEAD_LETTER),
                                .columns = 1u << K2_DEAD_IDENTITY,
                                .strings = &lane->strings};
    bool ok = k2_table_read(lane->opts->lake, &read, search_letters, &asked, err);
    for (uint32_t i = 0; ok && i < lane->letter_count; i++) {
        struct k2_str identity = identity_of(lane, i);
        bool in_window = k2_intern_find(&lane->window.identities, identity) != UINT32_MAX;
        lane->letters[i].is_found =
            in_window || asked.is_there[k2_intern_find(&asked.identities, identity)];
        if (!lane->letters[i].is_found)
            k2_intern_add(&lane->window.identities, identity);
    }
    for (uint32_t i = lane->letter_count; ok && i-- > 0;)
        if (lane->letters[i].is_found)
            forget_letter(lane, lane->letters[i].row);
    k2_free(asked.is_there);
    k2_intern_done(&asked.identities);
    return ok || k2_err_wrap(err, "look up dead letters");
}
