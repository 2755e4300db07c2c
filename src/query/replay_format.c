/* replay_format.c -- rows of a batch laid out as the vectors that query's formatters read.
 *
 * So a replay's output cannot differ from a query's: both come from the same code. Symbols are
 * handed on as codes into the batch's string table, and texts longer than a DuckDB string holds
 * inline as pointers into the batch.
 */
#include "query/replay_format.h"

#include <stdio.h>

#include "base/alloc.h"
#include "query/format.h"
#include "query/replay_avro.h"
#include "query/replay_impl.h"

/* What stands in a column of the output: a column of the batch, or something made of several. */
enum { FROM_MESSAGE_ID = -1, FROM_TIMESTAMP_NS = -2 };
enum { OUT_COLUMNS_MAX = K2_COLUMNS_MAX + 2, INLINE_MAX = 12 };

struct lane {
    int from;
    struct k2_buf data, valid, keys, values; /* of the vector, and of its children */
};

struct k2_replay_writer {
    const struct k2_schema *schema;
    const struct k2_kind_columns *c;
    struct k2_formatter f; /* of an Avro file only the way out */
    struct lane lanes[OUT_COLUMNS_MAX];
    struct k2_buf ids; /* texts of message ids */
    bool is_avro;
    struct k2_avro_blocks avro;
};

/* ---- types ---- */

static const struct k2_str *name_strings(const char *const *names, struct k2_arena *arena,
                                         uint32_t *ret_count) {
    uint32_t count = 0;
    while (names[count])
        count++;
    struct k2_str *strings = k2_arena_new(arena, struct k2_str, count);
    for (uint32_t i = 0; i < count; i++)
        strings[i] = k2_str_of(names[i]);
    *ret_count = count;
    return strings;
}

static struct k2_type_node enum_node(const char *const *names, struct k2_arena *arena) {
    struct k2_type_node node = {.id = DUCKDB_TYPE_ENUM, .storage = DUCKDB_TYPE_UTINYINT};
    node.dict = (struct k2_str *)(uintptr_t)name_strings(names, arena, &node.dict_count);
    return node;
}

static struct k2_type_node node_of(const struct k2_column *column, struct k2_arena *arena) {
    struct k2_type_node node = {.id = DUCKDB_TYPE_VARCHAR};
    switch (column->type) {
    case K2_INT32: node.id = DUCKDB_TYPE_INTEGER; break;
    case K2_INT64: node.id = DUCKDB_TYPE_BIGINT; break;
    case K2_TIMESTAMP: node.id = DUCKDB_TYPE_TIMESTAMP_TZ; break;
    case K2_DECIMAL:
        node = (struct k2_type_node){
            .id = DUCKDB_TYPE_DECIMAL, .storage = DUCKDB_TYPE_BIGINT, .width = 18, .scale = 8};
        break;
    case K2_SYMBOL:
        node = (struct k2_type_node){.id = DUCKDB_TYPE_ENUM, .storage = DUCKDB_TYPE_UINTEGER};
        break;
    case K2_ENUM: node = enum_node(column->names, arena); break;
    case K2_BINARY: node.id = DUCKDB_TYPE_BLOB; break;
    case K2_LIST:
    case K2_FLAGS:
    case K2_MAP:
        node.id = column->type == K2_MAP ? DUCKDB_TYPE_MAP : DUCKDB_TYPE_LIST;
        node.child_count = column->type == K2_MAP ? 2 : 1;
        node.children = k2_arena_new(arena, struct k2_type_node, node.child_count);
        for (int i = 0; i < node.child_count; i++)
            node.children[i] = column->type == K2_FLAGS
                                   ? enum_node(column->names, arena)
                                   : (struct k2_type_node){.id = DUCKDB_TYPE_VARCHAR};
        break;
    case K2_STRING: break;
    }
    node.name = k2_str_of(column->name);
    return node;
}

/* The columns as SQL shows them: message_id first, timestamp_ns behind timestamp_nanos. */
static int make_columns(struct k2_replay_writer *w, struct k2_arena *arena,
                        struct k2_type_node **ret_columns) {
    struct k2_type_node *columns = k2_arena_new(arena, struct k2_type_node, OUT_COLUMNS_MAX);
    int count = 0;
    columns[count] = (struct k2_type_node){.id = DUCKDB_TYPE_VARCHAR, .name = K2_STR("message_id")};
    w->lanes[count++].from = FROM_MESSAGE_ID;
    for (int i = 0; i < w->schema->column_count; i++) {
        columns[count] = node_of(&w->schema->columns[i], arena);
        w->lanes[count++].from = i;
        if (i != w->c->nanos)
            continue;
        columns[count] =
            (struct k2_type_node){.id = DUCKDB_TYPE_BIGINT, .name = K2_STR("timestamp_ns")};
        w->lanes[count++].from = FROM_TIMESTAMP_NS;
    }
    *ret_columns = columns;
    return count;
}

/* ---- vectors ---- */

static duckdb_string_t string_of(struct k2_str text) {
    duckdb_string_t s = {0};
    s.value.inlined.length = (uint32_t)text.len;
    if (text.len > INLINE_MAX)
        s.value.pointer.ptr = (char *)(uintptr_t)text.ptr;
    else if (text.len)
        memcpy(s.value.inlined.inlined, text.ptr, text.len);
    return s;
}

static void put_string(struct k2_buf *out, struct k2_str text) {
    duckdb_string_t s = string_of(text);
    memcpy(k2_room(out, sizeof s), &s, sizeof s);
    out->len += sizeof s;
}

enum { NUMBER_BYTES = 24 };

static struct k2_str number_text(char buf[NUMBER_BYTES], int64_t number) {
    char *end = buf + NUMBER_BYTES, *at = end;
    uint64_t rest = number < 0 ? -(uint64_t)number : (uint64_t)number;
    do {
        *--at = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest);
    if (number < 0)
        *--at = '-';
    return k2_str_make(at, (size_t)(end - at));
}

/* exchange.symbol.number. The texts lie in a buffer that does not move: room is made for all. */
static void fill_ids(struct k2_replay_writer *w, struct lane *lane, const struct k2_batch *b,
                     const uint32_t *rows, uint32_t count) {
    size_t room = 0;
    for (uint32_t i = 0; i < count; i++)
        room += k2_batch_text(b, w->c->exchange, rows[i]).len +
                k2_batch_text(b, w->c->symbol, rows[i]).len + NUMBER_BYTES + 2;
    k2_buf_clear(&w->ids);
    k2_buf_reserve(&w->ids, room);
    for (uint32_t i = 0; i < count; i++) {
        char buf[NUMBER_BYTES];
        size_t start = w->ids.len;
        k2_put(&w->ids, k2_batch_text(b, w->c->exchange, rows[i]));
        k2_put_byte(&w->ids, '.');
        k2_put(&w->ids, k2_batch_text(b, w->c->symbol, rows[i]));
        k2_put_byte(&w->ids, '.');
        k2_put(&w->ids, number_text(buf, k2_row_number(b, w->c, rows[i])));
        put_string(&lane->data, k2_str_make(w->ids.ptr + start, w->ids.len - start));
    }
}

static void fill_times(const struct k2_replay_writer *w, struct lane *lane,
                       const struct k2_batch *b, const uint32_t *rows, uint32_t count) {
    int64_t *to = (int64_t *)(void *)k2_buf_reserve(&lane->data, count * sizeof *to);
    for (uint32_t i = 0; i < count; i++)
        to[i] = b->col[w->c->timestamp].i64[rows[i]] * 1000 + b->col[w->c->nanos].i32[rows[i]];
}

static void fill_fixed(struct lane *lane, const struct k2_vector *v, size_t width,
                       const uint32_t *rows, uint32_t count) {
    char *to = k2_buf_reserve(&lane->data, count * width);
    switch (width) {
    case 1:
        for (uint32_t i = 0; i < count; i++)
            to[i] = (char)v->u8[rows[i]];
        break;
    case 4:
        for (uint32_t i = 0; i < count; i++)
            ((uint32_t *)(void *)to)[i] = v->u32[rows[i]];
        break;
    default:
        for (uint32_t i = 0; i < count; i++)
            ((int64_t *)(void *)to)[i] = v->i64[rows[i]];
        break;
    }
}

static void put_entry(struct lane *lane, uint64_t offset, uint64_t length) {
    duckdb_list_entry entry = {offset, length};
    memcpy(k2_room(&lane->data, sizeof entry), &entry, sizeof entry);
    lane->data.len += sizeof entry;
}

static void fill_list(struct lane *lane, const struct k2_batch *b, int column, const uint32_t *rows,
                      uint32_t count) {
    uint64_t total = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct k2_str item, blocks = {0};
        struct k2_cursor cursor = {0};
        uint64_t first = total;
        if (!k2_batch_is_null(b, column, rows[i]))
            blocks = k2_batch_get(b, b->col[column].span[rows[i]]);
        for (; blocks.len && k2_list_next(blocks, &cursor, &item); total++)
            put_string(&lane->keys, item);
        put_entry(lane, first, total - first);
    }
}

static void fill_map(struct lane *lane, const struct k2_batch *b, int column, const uint32_t *rows,
                     uint32_t count) {
    uint64_t total = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct k2_str key, value, blocks = {0};
        struct k2_cursor cursor = {0};
        uint64_t first = total;
        if (!k2_batch_is_null(b, column, rows[i]))
            blocks = k2_batch_get(b, b->col[column].span[rows[i]]);
        for (; blocks.len && k2_map_next(blocks, &cursor, &key, &value); total++) {
            put_string(&lane->keys, key);
            put_string(&lane->values, value);
        }
        put_entry(lane, first, total - first);
    }
}

static void fill_flags(struct lane *lane, const struct k2_vector *v, const uint32_t *rows,
                       uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        uint64_t first = lane->keys.len;
        for (uint32_t flags = v->u32[rows[i]]; flags; flags &= flags - 1)
            k2_put_byte(&lane->keys, (char)__builtin_ctz(flags));
        put_entry(lane, first, lane->keys.len - first);
    }
}

static void fill_texts(struct lane *lane, const struct k2_batch *b, int column,
                       const uint32_t *rows, uint32_t count) {
    for (uint32_t i = 0; i < count; i++)
        put_string(&lane->data, k2_batch_is_null(b, column, rows[i])
                                    ? K2_STR("")
                                    : k2_batch_get(b, b->col[column].span[rows[i]]));
}

/* Bits of what is there; false when everything is. */
static bool fill_valid(struct lane *lane, const struct k2_vector *v, const uint32_t *rows,
                       uint32_t count) {
    if (!v->valid)
        return false;
    size_t bytes = ((size_t)count + 63) / 64 * 8;
    uint64_t *bits = (uint64_t *)(void *)k2_buf_reserve(&lane->valid, bytes);
    memset(bits, 0, bytes);
    for (uint32_t i = 0; i < count; i++)
        bits[i / 64] |= (uint64_t)v->valid[rows[i]] << (i % 64);
    return true;
}

static void fill_column(struct k2_replay_writer *w, int at, const struct k2_batch *b,
                        const uint32_t *rows, uint32_t count) {
    struct lane *lane = &w->lanes[at];
    const struct k2_vector *v = &b->col[lane->from];
    enum k2_type type = w->schema->columns[lane->from].type;
    switch (type) {
    case K2_SYMBOL:
        w->f.columns[at].dict = b->strings->names;
        w->f.columns[at].dict_count = b->strings->count;
        fill_fixed(lane, v, sizeof *v->u32, rows, count);
        break;
    case K2_STRING:
    case K2_BINARY: fill_texts(lane, b, lane->from, rows, count); break;
    case K2_LIST: fill_list(lane, b, lane->from, rows, count); break;
    case K2_MAP: fill_map(lane, b, lane->from, rows, count); break;
    case K2_FLAGS: fill_flags(lane, v, rows, count); break;
    default: fill_fixed(lane, v, k2_type_width(type), rows, count); break;
    }
}

static void fill(struct k2_replay_writer *w, int at, const struct k2_batch *b, const uint32_t *rows,
                 uint32_t count) {
    struct lane *lane = &w->lanes[at];
    struct k2_vec *vec = &w->f.vecs[at];
    k2_buf_clear(&lane->data);
    k2_buf_clear(&lane->keys);
    k2_buf_clear(&lane->values);
    bool has_nulls = lane->from >= 0 && fill_valid(lane, &b->col[lane->from], rows, count);
    if (lane->from == FROM_MESSAGE_ID)
        fill_ids(w, lane, b, rows, count);
    else if (lane->from == FROM_TIMESTAMP_NS)
        fill_times(w, lane, b, rows, count);
    else
        fill_column(w, at, b, rows, count);
    vec->data = lane->data.ptr;
    vec->valid = has_nulls ? (const uint64_t *)(const void *)lane->valid.ptr : NULL;
    const struct k2_buf *children[] = {&lane->keys, &lane->values};
    for (int i = 0; i < w->f.columns[at].child_count; i++)
        vec->children[i].data = children[i]->ptr;
}

/* ---- the writer ---- */

struct k2_replay_writer *k2_replay_writer_new(const struct k2_schema *schema, struct k2_str format,
                                              k2_write_fn *write, void *self, struct k2_err *err) {
    static const struct {
        const char *name;
        const struct k2_formatter_ops *ops; /* NULL: Avro */
    } formats[] = {{"ndjson", &k2_format_ndjson},
                   {"json", &k2_format_json},
                   {"csv", &k2_format_csv},
                   {"arrow", &k2_format_arrow},
                   {"avro", NULL}};
    size_t at = 0;
    while (at < K2_COUNT(formats) && !k2_str_is(format, formats[at].name))
        at++;
    if (at == K2_COUNT(formats)) {
        k2_err_set(err, K2_USAGE,
                   "--format %.*s: replay writes ndjson, json, csv, avro, arrow or "
                   "none",
                   K2_FMT(format));
        return NULL;
    }
    struct k2_replay_writer *w = k2_new(struct k2_replay_writer);
    w->schema = schema;
    w->c = &k2_kind_columns[schema->kind];
    w->is_avro = !formats[at].ops;
    struct k2_arena arena = {0};
    struct k2_type_node *columns;
    int count = make_columns(w, &arena, &columns);
    k2_formatter_init(&w->f, formats[at].ops, columns, count, &arena, write, self);
    return w;
}

void k2_replay_writer_free(struct k2_replay_writer *w) {
    if (!w)
        return;
    for (size_t i = 0; i < K2_COUNT(w->lanes); i++) {
        k2_buf_done(&w->lanes[i].data);
        k2_buf_done(&w->lanes[i].valid);
        k2_buf_done(&w->lanes[i].keys);
        k2_buf_done(&w->lanes[i].values);
    }
    k2_buf_done(&w->ids);
    k2_avro_blocks_done(&w->avro);
    k2_formatter_done(&w->f);
    k2_free(w);
}

bool k2_replay_writer_begin(struct k2_replay_writer *w, struct k2_err *err) {
    if (!w->is_avro)
        return k2_formatter_begin(&w->f, err);
    k2_avro_blocks_begin(&w->avro, w->schema, &w->f.out);
    return true;
}

bool k2_replay_writer_add(struct k2_replay_writer *w, const struct k2_batch *batch,
                          const uint32_t *rows, uint32_t count, struct k2_err *err) {
    K2_ASSERT(batch->schema == w->schema);
    if (w->is_avro) {
        k2_avro_blocks_add(&w->avro, batch, rows, count, &w->f.out);
        return k2_formatter_spill(&w->f, false, err);
    }
    for (int i = 0; i < w->f.column_count; i++)
        fill(w, i, batch, rows, count);
    return k2_formatter_rows(&w->f, count, err);
}

bool k2_replay_writer_flush(struct k2_replay_writer *w, struct k2_err *err) {
    if (!w->is_avro)
        return k2_formatter_flush(&w->f, err);
    k2_avro_blocks_flush(&w->avro, &w->f.out);
    return k2_formatter_spill(&w->f, true, err);
}

bool k2_replay_writer_end(struct k2_replay_writer *w, struct k2_err *err) {
    return w->is_avro ? k2_replay_writer_flush(w, err) : k2_formatter_end(&w->f, err);
}
