/* digest.c -- rows to the bytes they are known by, many rows to one call of the hash. */
#include "query/digest.h"

#include <stdlib.h>

#include "base/alloc.h"

enum {
    HASH_BYTES = 1 << 17, /* handed to the hash at once */
    CELL_TEXT = 27,       /* longer texts are written from the string table */
    TABLES_MAX = 4,       /* string tables in use at once: one per window of a replay */
    AHEAD = 24,           /* rows between a prefetch and its use */
};

/* A short text as it is written: u32 length, then bytes. All of it is copied, the rest is
 * overwritten by what comes next. */
struct cell {
    uint8_t len; /* bytes to write; 0: too long for a cell */
    uint8_t bytes[CELL_TEXT + 4];
};

struct table {
    const struct k2_intern *strings;
    struct cell *cells; /* by code */
    uint32_t count;
    size_t longest; /* text */
};

/* How one column is written. */
struct step {
    enum k2_type type;
    uint8_t column, width;
    uint16_t number;
    bool is_required, has_text; /* of a row's own */
    struct cell *names;         /* K2_ENUM */
};

struct k2_digest {
    struct k2_hasher *hasher;
    struct k2_buf buf;
    struct step steps[K2_COLUMNS_MAX];
    int step_count, symbol_count;
    struct table tables[TABLES_MAX];
    int table_count;
};

static struct cell cell_of(struct k2_str text) {
    struct cell cell = {0};
    if (text.len > CELL_TEXT)
        return cell;
    uint32_t len = (uint32_t)text.len;
    memcpy(cell.bytes, &len, 4);
    memcpy(cell.bytes + 4, text.ptr, len);
    cell.len = (uint8_t)(len + 4);
    return cell;
}

uint32_t k2_digest_columns(const struct k2_schema *schema) {
    uint32_t columns = 0;
    for (int i = 0; i < schema->column_count - 3; i++)
        if (schema->columns[i].type != K2_FLAGS)
            columns |= 1u << i;
    return columns;
}

static struct cell *name_cells(const char *const *names) {
    size_t count = 0;
    while (names[count])
        count++;
    struct cell *cells = k2_new_array(struct cell, count);
    for (size_t i = 0; i < count; i++) {
        cells[i] = cell_of(k2_str_of(names[i]));
        K2_ASSERT(cells[i].len);
    }
    return cells;
}

struct k2_digest *k2_digest_new(const struct k2_schema *schema) {
    struct k2_digest *d = k2_new(struct k2_digest);
    d->hasher = k2_hasher_new();
    uint32_t columns = k2_digest_columns(schema);
    for (int i = 0; i < schema->column_count; i++) {
        const struct k2_column *c = &schema->columns[i];
        if (!(columns >> i & 1))
            continue;
        d->symbol_count += c->type == K2_SYMBOL;
        d->steps[d->step_count++] =
            (struct step){.type = c->type,
                          .column = (uint8_t)i,
                          .width = (uint8_t)k2_type_width(c->type),
                          .number = (uint16_t)(i + 1),
                          .is_required = c->is_required,
                          .has_text = c->type == K2_STRING || c->type == K2_BINARY ||
                                      c->type == K2_LIST || c->type == K2_MAP,
                          .names = c->type == K2_ENUM ? name_cells(c->names) : NULL};
    }
    return d;
}

void k2_digest_free(struct k2_digest *d) {
    if (!d)
        return;
    for (int i = 0; i < d->step_count; i++)
        k2_free(d->steps[i].names);
    for (int i = 0; i < d->table_count; i++)
        k2_free(d->tables[i].cells);
    k2_hasher_free(d->hasher);
    k2_buf_done(&d->buf);
    k2_free(d);
}

/* The cells of a batch's strings, those that are new since the last call among them. */
static const struct table *table_of(struct k2_digest *d, const struct k2_intern *strings) {
    int at = 0;
    while (at < d->table_count && d->tables[at].strings != strings)
        at++;
    K2_ASSERT(at < TABLES_MAX);
    struct table *table = &d->tables[at];
    if (at == d->table_count) {
        d->table_count++;
        table->strings = strings;
    }
    if (table->count < strings->count) {
        table->cells = k2_realloc(table->cells, strings->count * sizeof *table->cells);
        for (; table->count < strings->count; table->count++) {
            struct k2_str text = k2_intern_str(strings, table->count);
            table->cells[table->count] = cell_of(text);
            table->longest = K2_MAX(table->longest, text.len);
        }
    }
    return table;
}

/* ---- values; each returns the place behind what it wrote ---- */

static inline uint8_t *put_number(uint8_t *at, int64_t value) {
    memcpy(at, &value, 8);
    return at + 8;
}

static inline uint8_t *put_cell(uint8_t *at, const struct cell *cell) {
    memcpy(at, cell->bytes, sizeof cell->bytes);
    return at + cell->len;
}

static uint8_t *put_text(uint8_t *at, struct k2_str s) {
    uint32_t len = (uint32_t)s.len;
    memcpy(at, &len, 4);
    if (len)
        memcpy(at + 4, s.ptr, len);
    return at + 4 + len;
}

static uint8_t *put_list(uint8_t *at, struct k2_str blocks) {
    uint32_t count = 0;
    uint8_t *end = at + 4;
    struct k2_cursor cursor = {0};
    struct k2_str item;
    for (; blocks.len && k2_list_next(blocks, &cursor, &item); count++)
        end = put_text(end, item);
    memcpy(at, &count, 4);
    return end;
}

struct entry {
    struct k2_str key, value;
};

static int by_key(const void *a, const void *b) {
    return k2_str_cmp(((const struct entry *)a)->key, ((const struct entry *)b)->key);
}

/* An entry takes two bytes at least, which bounds their number. */
static uint8_t *put_map(uint8_t *at, struct k2_str blocks) {
    enum { FEW = 64 };
    struct entry few[FEW], *entries = few;
    uint32_t count = 0;
    struct k2_cursor cursor = {0};
    if (blocks.len > 2 * FEW)
        entries = k2_new_array(struct entry, blocks.len / 2 + 1);
    while (blocks.len && k2_map_next(blocks, &cursor, &entries[count].key, &entries[count].value))
        count++;
    qsort(entries, count, sizeof *entries, by_key);
    memcpy(at, &count, 4);
    at += 4;
    for (uint32_t i = 0; i < count; i++)
        at = put_text(put_text(at, entries[i].key), entries[i].value);
    if (entries != few)
        k2_free(entries);
    return at;
}

/* ---- rows ---- */

/* What a row may take at most, besides its texts, lists and maps. */
static size_t fixed_room(const struct k2_digest *d, const struct table *table) {
    return (size_t)d->step_count * (2 + sizeof(struct cell)) + sizeof(struct cell) +
           (size_t)d->symbol_count * table->longest;
}

/* And those: an item of a list or map grows from one byte of length to four. */
static size_t text_room(const struct k2_digest *d, const struct k2_batch *batch, uint32_t row) {
    size_t room = 0;
    for (int i = 0; i < d->step_count; i++) {
        const struct step *s = &d->steps[i];
        if (s->has_text)
            room += (size_t)batch->col[s->column].span[row].len * (s->type >= K2_LIST ? 4 : 1);
    }
    return room;
}

static uint8_t *put_row(const struct k2_digest *d, const struct k2_batch *batch,
                        const struct cell *cells, uint32_t row, uint8_t *at) {
    for (int i = 0; i < d->step_count; i++) {
        const struct step *s = &d->steps[i];
        const struct k2_vector *v = &batch->col[s->column];
        if (!s->is_required && !v->valid[row])
            continue;
        memcpy(at, &s->number, 2);
        at += 2;
        switch (s->type) {
        case K2_INT32: at = put_number(at, v->i32[row]); break;
        case K2_INT64:
        case K2_TIMESTAMP:
        case K2_DECIMAL: at = put_number(at, v->i64[row]); break;
        case K2_ENUM: at = put_cell(at, &s->names[v->u8[row]]); break;
        case K2_SYMBOL: {
            const struct cell *cell = &cells[v->u32[row]];
            at = K2_LIKELY(cell->len) ? put_cell(at, cell)
                                      : put_text(at, k2_intern_str(batch->strings, v->u32[row]));
            break;
        }
        case K2_LIST: at = put_list(at, k2_batch_get(batch, v->span[row])); break;
        case K2_MAP: at = put_map(at, k2_batch_get(batch, v->span[row])); break;
        default: at = put_text(at, k2_batch_get(batch, v->span[row])); break;
        }
    }
    return at;
}

/* Rows in time order lie all over a batch that is sorted by symbol. */
static void fetch_ahead(const struct k2_digest *d, const struct k2_batch *batch, uint32_t row) {
    for (int i = 0; i < d->step_count; i++)
        __builtin_prefetch((const char *)batch->col[d->steps[i].column].data +
                           (size_t)row * d->steps[i].width);
}

static void hash_some(struct k2_digest *d) {
    if (d->buf.len)
        k2_hasher_add(d->hasher, d->buf.ptr, d->buf.len);
    k2_buf_clear(&d->buf);
}

void k2_digest_add(struct k2_digest *d, const struct k2_batch *batch, const uint32_t *rows,
                   uint32_t count) {
    const struct table *table = table_of(d, batch->strings);
    const size_t room = fixed_room(d, table);
    for (uint32_t i = 0; i < count; i++) {
        if (i + AHEAD < count)
            fetch_ahead(d, batch, rows[i + AHEAD]);
        size_t bytes = room + text_room(d, batch, rows[i]);
        uint8_t *at = (uint8_t *)k2_buf_reserve(&d->buf, bytes);
        uint8_t *end = put_row(d, batch, table->cells, rows[i], at);
        d->buf.len += (size_t)(end - at);
        if (d->buf.len >= HASH_BYTES)
            hash_some(d);
    }
}

struct k2_hash128 k2_digest_end(struct k2_digest *d) {
    hash_some(d);
    return k2_hasher_end(d->hasher);
}
