/* rows.c -- packing rows into records, and taking them out in another order. */
#include "lake/parquet/rows.h"

#include "base/alloc.h"
#include "lake/parquet/rle.h"
#include "lake/parquet/strings.h"

enum {
    ROWS_MIN = 2048,        /* fewer lie in the cache anyway */
    LOOK_STEP = 8192,       /* rows from one block that is looked at to the next */
    RECORDS_MAX = 64 << 20, /* bytes of records, if not one row group has more */
    BLOCK = 256,            /* rows whose records fit the first cache with their columns */
    TEXT_MAX = 16,          /* bytes of a short string */
    SYMBOLS_MAX = 1 << 16,  /* beyond so many nothing is kept by symbol */
    CELLS_MAX = 4096,       /* distinct lists or maps that have numbers */
    CACHE = 256,            /* of them that are found by a look at their ends */
    LINE = 64,
    AHEAD = 1024, /* bytes of text that are fetched before they are needed */
};

void k2_pq_packed_done(struct k2_pq_packed *packed) {
    for (int i = 0; i < K2_COLUMNS_MAX; i++)
        k2_pq_dictionary_done(&packed->cells[i]);
    k2_free(packed->records);
    k2_free(packed->columns);
    k2_buf_done(&packed->wanted);
    k2_buf_done(&packed->rank);
    k2_buf_done(&packed->tables);
    k2_buf_done(&packed->runs);
    k2_buf_done(&packed->extent_room);
    *packed = (struct k2_pq_packed){0};
}

static char *make_room(char *room, size_t *size, size_t wanted) {
    if (*size >= wanted)
        return room;
    k2_free(room);
    *size = wanted;
    return k2_alloc_pages(wanted);
}

/* ---- how a record is laid out ---- */

static int bytes_of(uint64_t range) {
    return range ? (71 - __builtin_clzll(range)) / 8 : 0;
}

/* How far apart the numbers in rows [first, first + range) lie, seen from one block in so many. */
struct extent {
    const void *from;
    uint32_t range, step;
    uint64_t low, high; /* of the type that is asked for, sign and all */
};

#define LOOK(name, type)                                                                           \
    static void name(struct extent *e) {                                                           \
        const type *in = e->from;                                                                  \
        type low = in[e->range - 1], high = low;                                                   \
        for (uint32_t i = 0; i < e->range; i += e->step)                                           \
            for (uint32_t j = i; j < K2_MIN(i + BLOCK, e->range); j++) {                           \
                low = K2_MIN(low, in[j]);                                                          \
                high = K2_MAX(high, in[j]);                                                        \
            }                                                                                      \
        e->low = (uint64_t)low;                                                                    \
        e->high = (uint64_t)high;                                                                  \
    }
LOOK(look_u8, uint8_t)
LOOK(look_u32, uint32_t)
LOOK(look_i32, int32_t)
LOOK(look_i64, int64_t)

/* Looks at a part of a field's values, or at all of them, and makes it as wide as they need, and
 * wider where others were not seen. */
static void measure(const struct k2_pq_packed *p, struct k2_pq_field *f, bool all) {
    const struct k2_vector *v = &p->batch->col[f->column];
    const char *from = f->is_valid ? (const char *)v->valid : v->data;
    struct extent e = {from + (size_t)p->least * f->word, p->range, all ? BLOCK : LOOK_STEP, 0, 0};
    if (f->word == 1)
        look_u8(&e);
    else if (f->word == 8)
        look_i64(&e);
    else if (p->batch->schema->columns[f->column].type == K2_INT32)
        look_i32(&e);
    else
        look_u32(&e);
    uint64_t range = e.high - e.low, margin = all ? 0 : range;
    f->base = e.low - margin;
    f->width = f->word;
    if (range <= UINT64_MAX / 4)
        f->width = (uint8_t)K2_MIN(bytes_of(range + 2 * margin), (int)f->word);
    if (f->width == f->word)
        f->base = 0;
}

static struct k2_pq_field *add_field(struct k2_pq_packed *p, int column, bool is_valid,
                                     size_t word) {
    struct k2_pq_field *field = &p->fields[p->field_count++];
    *field = (struct k2_pq_field){.column = (uint8_t)column,
                                  .width = (uint8_t)word,
                                  .word = (uint8_t)word,
                                  .is_valid = is_valid};
    return field;
}

/* ---- what every row of a symbol has ---- */

#define UNKNOWN UINT32_MAX

/* Whether values are what the table of their symbols says; what is unknown is noted. */
#define FOLLOWS(name, type)                                                                        \
    static bool name(const uint32_t *symbols, const type *in, uint32_t count, uint32_t *table) {   \
        for (uint32_t i = 0; i < count; i++) {                                                     \
            uint32_t *known = &table[symbols[i]];                                                  \
            if (K2_LIKELY(*known == in[i]))                                                        \
                continue;                                                                          \
            if (*known != UNKNOWN)                                                                 \
                return false;                                                                      \
            *known = in[i];                                                                        \
        }                                                                                          \
        return true;                                                                               \
    }
FOLLOWS(follows_u8, uint8_t)
FOLLOWS(follows_u32, uint32_t)

static uint32_t *table_of(const struct k2_pq_packed *p, const struct k2_pq_field *f) {
    return (uint32_t *)(void *)p->tables.ptr + f->base * p->symbol_count;
}

/* Looks whether each symbol seems to have one value of a field, which then gets a table. */
static bool seems_known(struct k2_pq_packed *p, struct k2_pq_field *f) {
    const struct k2_vector *v = &p->batch->col[f->column];
    if (p->symbol < 0 || f->column == p->symbol || f->word > 4)
        return false;
    const uint32_t *symbols = p->batch->col[p->symbol].u32 + p->least;
    const char *from = f->is_valid ? (const char *)v->valid : v->data;
    size_t bytes = (size_t)p->symbol_count * sizeof(uint32_t);
    struct k2_pq_field try = *f;
    try.base = p->table_count;
    k2_buf_reserve(&p->tables, bytes);
    memset(p->tables.ptr + p->tables.len, 255, bytes);
    uint32_t *table = table_of(p, &try);
    from += (size_t)p->least * f->word;
    for (uint32_t i = 0; i < p->range; i += LOOK_STEP) {
        uint32_t n = K2_MIN((uint32_t)BLOCK, p->range - i);
        if (f->word == 1
                ? !follows_u8(symbols + i, (const uint8_t *)from + i, n, table)
                : !follows_u32(symbols + i, (const uint32_t *)(const void *)from + i, n, table))
            return false;
    }
    p->tables.len += bytes;
    f->base = p->table_count++;
    f->is_known = true;
    f->width = 0;
    return true;
}

/* Symbols and enums that are known need no array where they have no nulls. */
static void note_runs(struct k2_pq_packed *p, const struct k2_pq_field *f) {
    enum k2_type type = p->batch->schema->columns[f->column].type;
    if (f->is_valid || p->batch->col[f->column].valid || (type != K2_SYMBOL && type != K2_ENUM))
        return;
    p->forms[f->column] = K2_PQ_RUNS;
    p->table_of[f->column] = (uint32_t)f->base;
}

static void find_symbol(struct k2_pq_packed *p) {
    const struct k2_schema *schema = p->batch->schema;
    p->symbol = -1;
    p->symbol_count = p->batch->strings ? p->batch->strings->count : 0;
    p->table_count = 0;
    k2_buf_clear(&p->tables);
    for (int c = schema->column_count - 1; c >= 0; c--)
        if (schema->columns[c].type == K2_SYMBOL && schema->columns[c].is_required &&
            p->symbol_count <= SYMBOLS_MAX)
            p->symbol = c;
}

/* ---- the fields ---- */

/* A field of numbers. */
static void add_number(struct k2_pq_packed *p, int column, bool is_valid, size_t word) {
    struct k2_pq_field *f = add_field(p, column, is_valid, word);
    if (column == p->symbol || seems_known(p, f))
        note_runs(p, f);
    if (!f->is_known)
        measure(p, f, false);
}

static void add_text(struct k2_pq_packed *p, int column) {
    const struct k2_span *spans = p->batch->col[column].span + p->least;
    struct k2_pq_field *f = add_field(p, column, false, sizeof *spans);
    uint32_t most = 0;
    for (uint32_t i = 0; i < p->range; i += LOOK_STEP)
        for (uint32_t j = i; j < K2_MIN(i + BLOCK, p->range); j++)
            most = K2_MAX(most, spans[j].len);
    if (most > TEXT_MAX)
        return;
    p->forms[column] = K2_PQ_SHORT;
    f->word = f->width = 1 + TEXT_MAX;
}

static void add_column(struct k2_pq_packed *p, int column) {
    const struct k2_column *c = &p->batch->schema->columns[column];
    p->forms[column] = K2_PQ_AS_IS;
    if (c->type == K2_LIST || c->type == K2_MAP) {
        p->forms[column] = K2_PQ_CELLS;
        k2_pq_dictionary_clear(&p->cells[column]);
        k2_pq_dictionary_str(&p->cells[column], K2_STR(""));
        add_field(p, column, false, sizeof(uint16_t));
    } else if (c->type == K2_STRING || c->type == K2_BINARY)
        add_text(p, column);
    else
        add_number(p, column, false, k2_type_width(c->type));
    if (p->batch->col[column].valid)
        add_number(p, column, true, 1);
}

/* Fields one behind the other, the widest last, so that little is lost behind it; text, of which
 * more is written than is wide, comes first. */
static void lay_out(struct k2_pq_packed *p) {
    static const uint8_t words[] = {1 + TEXT_MAX, 1, 2, 4, 8};
    struct k2_pq_field sorted[2 * K2_COLUMNS_MAX];
    int count = 0;
    size_t at = 0, end = 1;
    for (size_t w = 0; w < K2_COUNT(words); w++)
        for (int width = 0; width <= words[w]; width++)
            for (int i = 0; i < p->field_count; i++) {
                struct k2_pq_field *f = &p->fields[i];
                if (f->word != words[w] || f->width != width)
                    continue;
                f->at = (uint16_t)at;
                at += f->width;
                end = f->width ? K2_MAX(end, f->at + (size_t)f->word) : end;
                sorted[count++] = *f;
            }
    memcpy(p->fields, sorted, (size_t)count * sizeof *sorted);
    p->stride = end <= LINE / 2 ? LINE / 2 : end <= LINE ? LINE : (end + 15) & ~(size_t)15;
}

static bool is_ascending(const uint32_t *rows, uint32_t count) {
    bool falls = false;
    for (uint32_t i = 1; i < count; i++)
        falls |= rows[i] < rows[i - 1];
    return !falls;
}

uint32_t k2_pq_pack_plan(struct k2_pq_packed *packed, const struct k2_batch *batch,
                         const uint32_t *order, uint32_t count, uint32_t group_rows) {
    struct k2_pq_packed *p = packed;
    uint32_t least = UINT32_MAX, greatest = 0;
    if (count < ROWS_MIN || is_ascending(order, count))
        return 0;
    for (uint32_t i = 0; i < count; i++) {
        least = K2_MIN(least, order[i]);
        greatest = K2_MAX(greatest, order[i]);
    }
    p->batch = batch;
    p->least = least;
    p->range = greatest - least + 1;
    p->field_count = 0;
    find_symbol(p);
    for (int c = 0; c < batch->schema->column_count; c++)
        add_column(p, c);
    lay_out(p);
    uint32_t rows = (uint32_t)(RECORDS_MAX / p->stride);
    if (count <= rows)
        return count;
    uint32_t times = (count + rows - 1) / rows, groups = (count / times) / group_rows + 1;
    return groups * group_rows;
}

/* ---- packing ---- */

/* Rows that are packed one behind the other: [first, first + count), or those in row. */
struct block {
    uint32_t first, count;
    const uint32_t *row;
};

#define FETCH(name, type)                                                                          \
    static const type *name(const type *from, const struct block *b, type *own) {                  \
        if (!b->row)                                                                               \
            return from + b->first;                                                                \
        for (uint32_t i = 0; i < b->count; i++)                                                    \
            own[i] = from[b->row[i]];                                                              \
        return own;                                                                                \
    }
FETCH(fetch_u8, uint8_t)
FETCH(fetch_u32, uint32_t)
FETCH(fetch_u64, uint64_t)

/* Return the bits that any of the values has. */
#define PUT(name, type)                                                                            \
    static uint64_t name(const type *in, uint32_t count, type base, char *to, size_t stride) {     \
        type bits = 0;                                                                             \
        for (uint32_t i = 0; i < count; i++, to += stride) {                                       \
            type value = (type)(in[i] - base);                                                     \
            bits |= value;                                                                         \
            memcpy(to, &value, sizeof value);                                                      \
        }                                                                                          \
        return bits;                                                                               \
    }
PUT(put_u8, uint8_t)
PUT(put_u16, uint16_t)
PUT(put_u32, uint32_t)
PUT(put_u64, uint64_t)

/* Whether all values are one, which has no place in the records. */
#define ALL(name, type)                                                                            \
    static uint64_t name(const type *in, uint32_t count, type base) {                              \
        type bits = 0;                                                                             \
        for (uint32_t i = 0; i < count; i++)                                                       \
            bits |= in[i] ^ base;                                                                  \
        return bits;                                                                               \
    }
ALL(differ_u8, uint8_t)
ALL(differ_u32, uint32_t)
ALL(differ_u64, uint64_t)

/* Returns the length of the longest, of which only so much was copied as is short. */
static uint32_t put_text(const struct k2_buf *text, const struct k2_span *spans,
                         const uint8_t *valid, uint32_t count, char *to, size_t stride) {
    uint32_t most = 0;
    for (uint32_t i = 0; i < count; i++, to += stride) {
        struct k2_span span = valid && !valid[i] ? (struct k2_span){0} : spans[i];
        most = K2_MAX(most, span.len);
        to[0] = (char)span.len;
        if (span.offset + (uint64_t)AHEAD < text->len)
            __builtin_prefetch(text->ptr + span.offset + AHEAD);
        if (span.offset + (uint64_t)TEXT_MAX <= text->len)
            memcpy(to + 1, text->ptr + span.offset, TEXT_MAX);
        else if (span.len)
            memcpy(to + 1, text->ptr + span.offset, K2_MIN(span.len, (uint32_t)TEXT_MAX));
    }
    return most;
}

/* Lists and maps that were seen, by a mix of their first and last bytes. */
struct cell_cache {
    struct {
        struct k2_str bytes;
        uint32_t cell;
    } slots[CACHE];
};

static uint64_t load(const char *at) {
    uint64_t word;
    memcpy(&word, at, 8);
    return word;
}

/* Equal bytes, of which there are at least 8. */
static bool is_same(const char *a, const char *b, size_t len) {
    for (size_t i = 0; i + 8 < len; i += 8)
        if (load(a + i) != load(b + i))
            return false;
    return load(a + len - 8) == load(b + len - 8);
}

static uint32_t find_cell(struct k2_pq_dictionary *cells, struct cell_cache *cache,
                          struct k2_str bytes) {
    if (bytes.len < 8)
        return bytes.len ? k2_pq_dictionary_str(cells, bytes) : 0;
    uint64_t mix = (load(bytes.ptr) ^ load(bytes.ptr + bytes.len - 8) * 31) + bytes.len;
    __auto_type slot = &cache->slots[mix * 0x9e3779b97f4a7c15ull >> 56];
    if (slot->bytes.len != bytes.len || !is_same(slot->bytes.ptr, bytes.ptr, bytes.len)) {
        slot->cell = k2_pq_dictionary_str(cells, bytes);
        slot->bytes = bytes;
    }
    return slot->cell;
}

/* False where there are too many distinct ones. */
static bool put_cells(struct k2_pq_packed *p, const struct k2_pq_field *f, struct cell_cache *cache,
                      const struct k2_span *spans, const uint8_t *valid, uint32_t count, char *to) {
    uint16_t cell[BLOCK];
    struct k2_pq_dictionary *cells = &p->cells[f->column];
    for (uint32_t i = 0; i < count; i++) {
        bool is_there = !valid || valid[i];
        cell[i] =
            is_there ? (uint16_t)find_cell(cells, cache, k2_batch_get(p->batch, spans[i])) : 0;
    }
    put_u16(cell, count, 0, to, p->stride);
    return cells->count <= CELLS_MAX;
}

/* Begins to fetch what the next block wants of an array. */
static void fetch_ahead(const void *from, const struct block *b, size_t width) {
    const char *next = (const char *)from + (size_t)(b->first + b->count) * width;
    for (size_t i = 0; !b->row && i < BLOCK * width; i += LINE)
        __builtin_prefetch(next + i);
}

/* A field of numbers; false where one of them does not fit. */
static bool put_number(struct k2_pq_packed *p, const struct k2_pq_field *f, const struct block *b,
                       char *to) {
    const struct k2_vector *v = &p->batch->col[f->column];
    const void *from = f->is_valid ? v->valid : v->data;
    union {
        uint8_t u8[BLOCK];
        uint32_t u32[BLOCK];
        uint64_t u64[BLOCK];
    } own;
    uint64_t bits;
    fetch_ahead(from, b, f->word);
    if (f->word == 1) {
        const uint8_t *in = fetch_u8(from, b, own.u8);
        bits = f->width ? put_u8(in, b->count, (uint8_t)f->base, to, p->stride)
                        : differ_u8(in, b->count, (uint8_t)f->base);
    } else if (f->word == 4) {
        const uint32_t *in = fetch_u32(from, b, own.u32);
        bits = f->width ? put_u32(in, b->count, (uint32_t)f->base, to, p->stride)
                        : differ_u32(in, b->count, (uint32_t)f->base);
    } else {
        const uint64_t *in = fetch_u64(from, b, own.u64);
        bits = f->width ? put_u64(in, b->count, f->base, to, p->stride)
                        : differ_u64(in, b->count, f->base);
    }
    return bits == 0 || (f->width && bits >> (8 * f->width - 1) <= 1);
}

/* False where two rows of a symbol differ. */
static bool check_known(struct k2_pq_packed *p, const struct k2_pq_field *f,
                        const struct block *b) {
    const struct k2_vector *v = &p->batch->col[f->column];
    const void *from = f->is_valid ? v->valid : v->data;
    uint32_t own_symbols[BLOCK], own[BLOCK], *table = table_of(p, f);
    const uint32_t *symbols = fetch_u32(p->batch->col[p->symbol].u32, b, own_symbols);
    fetch_ahead(from, b, f->word);
    if (f->word == 1)
        return follows_u8(symbols, fetch_u8(from, b, (uint8_t *)own), b->count, table);
    return follows_u32(symbols, fetch_u32(from, b, own), b->count, table);
}

/* One field of a block of records that begin at to; false where it has to be laid out anew. */
static bool put_field(struct k2_pq_packed *p, const struct k2_pq_field *f, const struct block *b,
                      struct cell_cache *cache, char *to) {
    const struct k2_vector *v = &p->batch->col[f->column];
    enum k2_pq_form form = p->forms[f->column];
    if (f->is_known)
        return check_known(p, f, b);
    to += f->at;
    if (f->is_valid || form == K2_PQ_AS_IS || form == K2_PQ_RUNS)
        return put_number(p, f, b, to);
    uint64_t own[BLOCK];
    uint8_t own_valid[BLOCK];
    fetch_ahead(v->data, b, sizeof *v->span);
    const struct k2_span *spans = (const struct k2_span *)fetch_u64(v->data, b, own);
    const uint8_t *valid = v->valid ? fetch_u8(v->valid, b, own_valid) : NULL;
    if (form == K2_PQ_CELLS)
        return put_cells(p, f, cache, spans, valid, b->count, to);
    return put_text(&p->batch->text, spans, valid, b->count, to, p->stride) <= TEXT_MAX;
}

/* What was thought of a field turned out wrong. */
static void think_again(struct k2_pq_packed *p, struct k2_pq_field *f) {
    if (f->is_known) {
        f->is_known = false;
        if (!f->is_valid)
            p->forms[f->column] = K2_PQ_AS_IS;
        measure(p, f, true);
    } else if (!f->is_valid &&
               (p->forms[f->column] == K2_PQ_SHORT || p->forms[f->column] == K2_PQ_CELLS)) {
        p->forms[f->column] = K2_PQ_AS_IS;
        f->width = f->word = sizeof(struct k2_span);
    } else
        measure(p, f, true);
}

/* Marks the rows of an order that leaves many out. Returns how many there are. */
static uint32_t mark(struct k2_pq_packed *p, const uint32_t *order, uint32_t count) {
    size_t words = p->range / 64 + 1;
    uint64_t *wanted = k2_pq_scratch(&p->wanted, words * sizeof *wanted);
    uint32_t *rank = k2_pq_scratch(&p->rank, words * sizeof *rank), sum = 0;
    memset(wanted, 0, words * sizeof *wanted);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t row = order[i] - p->least;
        wanted[row / 64] |= 1ull << row % 64;
    }
    for (size_t i = 0; i < words; i++) {
        rank[i] = sum;
        sum += (uint32_t)__builtin_popcountll(wanted[i]);
    }
    return sum;
}

/* The next marked rows, at most a block; *word is where to look on, and loses what was taken. */
static uint32_t next_rows(const struct k2_pq_packed *p, size_t *word, uint64_t *left,
                          uint32_t *rows) {
    const uint64_t *wanted = (const uint64_t *)p->wanted.ptr;
    size_t words = p->range / 64 + 1;
    uint32_t count = 0;
    for (;;) {
        for (; *left && count < BLOCK; *left &= *left - 1)
            rows[count++] = p->least + (uint32_t)(*word * 64) + (uint32_t)__builtin_ctzll(*left);
        if (*left || ++*word >= words)
            return count;
        *left = wanted[*word];
    }
}

static bool pack_all(struct k2_pq_packed *p, uint32_t count) {
    struct cell_cache caches[K2_COLUMNS_MAX];
    uint32_t rows[BLOCK];
    size_t word = 0;
    uint64_t left = p->is_dense ? 0 : *(const uint64_t *)p->wanted.ptr;
    for (int c = 0; c < p->batch->schema->column_count; c++)
        if (p->forms[c] == K2_PQ_CELLS)
            memset(&caches[c], 0, sizeof caches[c]);
    for (uint32_t done = 0; done < count;) {
        struct block block = {p->least + done, K2_MIN(count - done, (uint32_t)BLOCK), NULL};
        if (!p->is_dense) {
            block.row = rows;
            block.count = next_rows(p, &word, &left, rows);
        }
        char *to = p->records + done * p->stride;
        for (int i = 0; i < p->field_count; i++) {
            struct k2_pq_field *f = &p->fields[i];
            if (!put_field(p, f, &block, &caches[f->column], to)) {
                think_again(p, f);
                return false;
            }
        }
        done += block.count;
    }
    return true;
}

void k2_pq_pack(struct k2_pq_packed *packed, const uint32_t *order, uint32_t count) {
    struct k2_pq_packed *p = packed;
    uint32_t slots = p->range;
    p->is_dense = p->range / 5 * 4 <= count;
    if (!p->is_dense)
        slots = mark(p, order, count);
    do {
        lay_out(p);
        p->records = make_room(p->records, &p->records_size, slots * p->stride + K2_PQ_SLACK);
    } while (!pack_all(p, slots));
}

/* ---- taking out ---- */

/* Finds the records of rows. */
static void seek(const struct k2_pq_packed *p, const uint32_t *order, uint32_t count,
                 const char **records) {
    const uint64_t *wanted = (const uint64_t *)p->wanted.ptr;
    const uint32_t *rank = (const uint32_t *)p->rank.ptr;
    for (uint32_t i = 0; i < count; i++) {
        size_t slot = order[i] - p->least;
        if (!p->is_dense) {
            uint64_t before = wanted[slot / 64] & ((1ull << slot % 64) - 1);
            slot = rank[slot / 64] + (uint32_t)__builtin_popcountll(before);
        }
        records[i] = p->records + slot * p->stride;
    }
}

/* Begins to fetch records; few at a time, as only so many can be on their way. */
static void fetch_records(const struct k2_pq_packed *p, const char *const *records,
                          uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        __builtin_prefetch(records[i]);
        if (p->stride > LINE)
            __builtin_prefetch(records[i] + p->stride - 1);
    }
}

#define GET(name, type)                                                                            \
    static void name(const char *const *records, uint32_t count, const struct k2_pq_field *f,      \
                     type *out) {                                                                  \
        type base = (type)f->base, mask = (type) ~(type)0;                                         \
        size_t at = f->at;                                                                         \
        if (f->width < sizeof mask)                                                                \
            mask = (type)(((type)1 << 8 * f->width) - 1);                                          \
        for (uint32_t i = 0; i < count; i++) {                                                     \
            type value;                                                                            \
            memcpy(&value, records[i] + at, sizeof value);                                         \
            out[i] = (type)((value & mask) + base);                                                \
        }                                                                                          \
    }
GET(get_u8, uint8_t)
GET(get_u16, uint16_t)
GET(get_u32, uint32_t)
GET(get_u64, uint64_t)

static void get_text(const char *const *records, uint32_t count, size_t at, char *bytes,
                     uint32_t *ends) {
    uint32_t end = ends[-1];
    for (uint32_t i = 0; i < count; i++) {
        const char *from = records[i] + at;
        memcpy(bytes + end, from + 1, TEXT_MAX);
        end += (uint8_t)from[0];
        ends[i] = end;
    }
}

#define WIDEN(name, type)                                                                          \
    static void name(const type *in, uint32_t count, struct k2_pq_low_high *extent) {              \
        type low = in[0], high = in[0];                                                            \
        for (uint32_t i = 1; i < count; i++) {                                                     \
            low = K2_MIN(low, in[i]);                                                              \
            high = K2_MAX(high, in[i]);                                                            \
        }                                                                                          \
        extent->low = K2_MIN(extent->low, low);                                                    \
        extent->high = K2_MAX(extent->high, high);                                                 \
    }
WIDEN(widen_i32, int32_t)
WIDEN(widen_i64, int64_t)

/* Notes the bounds of numbers that were just taken out, while they are in the cache. */
static void note_extent(struct k2_pq_packed *p, int column, uint32_t row, uint32_t count) {
    struct k2_pq_low_high *extent = p->extents[column];
    if (!extent)
        return;
    extent += row / p->page_rows;
    if (p->view.schema->columns[column].type == K2_INT32)
        widen_i32(p->view.col[column].i32 + row, count, extent);
    else
        widen_i64(p->view.col[column].i64 + row, count, extent);
}

/* Room for the bounds of all pages of numbers, of which none is null, where pages are whole blocks.
 */
static void begin_extents(struct k2_pq_packed *p, uint32_t count) {
    uint32_t pages = (count + p->page_rows - 1) / p->page_rows;
    struct k2_pq_low_high *all =
        k2_pq_scratch(&p->extent_room, (size_t)p->field_count * pages * sizeof *all);
    memset(p->extents, 0, sizeof p->extents);
    for (int f = 0; p->page_rows % BLOCK == 0 && f < p->field_count; f++) {
        int column = p->fields[f].column;
        enum k2_type type = p->batch->schema->columns[column].type;
        bool is_number =
            type == K2_INT32 || type == K2_INT64 || type == K2_TIMESTAMP || type == K2_DECIMAL;
        if (!is_number || p->fields[f].is_known || p->batch->col[column].valid)
            continue;
        p->extents[column] = all;
        for (uint32_t i = 0; i < pages; i++)
            *all++ = (struct k2_pq_low_high){INT64_MAX, INT64_MIN};
    }
}

static void get_field(struct k2_pq_packed *p, const struct k2_pq_field *f,
                      const char *const *records, uint32_t row, uint32_t count) {
    struct k2_vector *to = &p->view.col[f->column];
    if (f->is_valid)
        get_u8(records, count, f, to->valid + row);
    else if (f->word == 1)
        get_u8(records, count, f, to->u8 + row);
    else if (f->word == 2)
        get_u16(records, count, f, (uint16_t *)to->data + row);
    else if (f->word == 4)
        get_u32(records, count, f, to->u32 + row);
    else if (f->word == 8)
        get_u64(records, count, f, (uint64_t *)to->data + row);
    else
        get_text(records, count, f->at, to->data, p->ends[f->column] + row + 1);
    if (!f->is_valid)
        note_extent(p, f->column, row, count);
}

#define FILL(name, type)                                                                           \
    static void name(const struct k2_pq_packed *p, const uint32_t *table, type *to) {              \
        const struct k2_pq_run *runs = (const struct k2_pq_run *)p->runs.ptr;                      \
        for (uint32_t r = 0, row = 0; r < p->run_count; r++)                                       \
            for (type value = (type)table[runs[r].symbol]; row < runs[r].end; row++)               \
                to[row] = value;                                                                   \
    }
FILL(fill_u8, uint8_t)
FILL(fill_u32, uint32_t)

/* Finds the runs of the view, and fills in what is known. */
static void fill_known(struct k2_pq_packed *p) {
    const uint32_t *symbols = p->view.col[p->symbol].u32;
    struct k2_pq_run *runs = k2_pq_scratch(&p->runs, p->view.rows * sizeof *runs);
    p->run_count = 0;
    for (uint32_t row = 0; row < p->view.rows;) {
        uint32_t end = k2_run_end(symbols, row, p->view.rows);
        runs[p->run_count++] = (struct k2_pq_run){symbols[row], end};
        row = end;
    }
    for (int i = 0; i < p->field_count; i++) {
        const struct k2_pq_field *f = &p->fields[i];
        const struct k2_vector *to = &p->view.col[f->column];
        if (f->is_known && f->is_valid)
            fill_u8(p, table_of(p, f), to->valid);
        else if (f->is_known && p->forms[f->column] == K2_PQ_AS_IS && f->word == 1)
            fill_u8(p, table_of(p, f), to->u8);
        else if (f->is_known && p->forms[f->column] == K2_PQ_AS_IS)
            fill_u32(p, table_of(p, f), to->u32);
    }
}

/* Bytes of an array of a view; room behind it for words that are read or written as a whole. */
static size_t padded(size_t bytes) {
    return (bytes + K2_PQ_SLACK + LINE - 1) & ~(size_t)(LINE - 1);
}

/* Places of the columns one behind the other; returns where they end. */
static size_t place_columns(struct k2_pq_packed *p, uint32_t count) {
    size_t at = 0;
    for (int i = 0; i < p->field_count; i++) {
        const struct k2_pq_field *f = &p->fields[i];
        struct k2_vector *to = &p->view.col[f->column];
        bool is_text = f->word == 1 + TEXT_MAX;
        if (p->columns) {
            if (f->is_valid)
                to->valid = (uint8_t *)p->columns + at;
            else
                to->data = p->columns + at;
        }
        at += padded(is_text ? (size_t)(f->width - 1) * count : (size_t)f->word * count);
        if (is_text) {
            p->ends[f->column] = (uint32_t *)(void *)(p->columns + at);
            at += padded(((size_t)count + 1) * sizeof(uint32_t));
        }
    }
    return at;
}

const struct k2_batch *k2_pq_take(struct k2_pq_packed *packed, const uint32_t *order,
                                  uint32_t count, uint32_t page_rows) {
    struct k2_pq_packed *p = packed;
    p->page_rows = page_rows;
    const char *here[BLOCK], *next[BLOCK], **records = here, **more = next;
    p->view = (struct k2_batch){.schema = p->batch->schema,
                                .rows = count,
                                .rows_max = count,
                                .strings = p->batch->strings,
                                .text = p->batch->text};
    p->columns = make_room(p->columns, &p->columns_size, place_columns(p, count));
    place_columns(p, count);
    begin_extents(p, count);
    for (int c = 0; c < p->view.schema->column_count; c++)
        if (p->forms[c] == K2_PQ_SHORT)
            p->ends[c][0] = 0;
    uint32_t rows = K2_MIN(count, (uint32_t)BLOCK), share = BLOCK / (uint32_t)p->field_count + 1;
    seek(p, order, rows, records);
    for (uint32_t row = 0, coming; row < count; row += rows, rows = coming) {
        coming = K2_MIN(count - row - rows, (uint32_t)BLOCK);
        seek(p, order + row + rows, coming, more);
        for (uint32_t f = 0, at = 0; f < (uint32_t)p->field_count; f++, at += share) {
            if (at < coming)
                fetch_records(p, more + at, K2_MIN(share, coming - at));
            if (!p->fields[f].is_known)
                get_field(p, &p->fields[f], records, row, rows);
        }
        const char **swap = records;
        records = more;
        more = swap;
    }
    if (p->symbol >= 0)
        fill_known(p);
    return &p->view;
}
