/* reader.c -- row groups of K2's own files back into batches; every length is checked. */
#include <zlib.h>
#include <zstd.h>

#include "base/alloc.h"
#include "lake/parquet/delta.h"
#include "lake/parquet/reader_impl.h"
#include "lake/parquet/rle.h"
#include "lake/parquet/strings.h"

static bool corrupt(const struct k2_parquet_file *f, const char *what, struct k2_err *err) {
    return k2_err_set(err, K2_CORRUPT, "%s: %s", f->path, what);
}

static void done(struct k2_leaf_data *d) {
    k2_free(d->def);
    k2_free(d->rep);
    k2_free(d->numbers);
    k2_free(d->spans);
    k2_free(d->index);
    k2_buf_done(&d->text);
    k2_buf_done(&d->raw);
    k2_buf_done(&d->page);
    k2_buf_done(&d->scratch);
    k2_free(d->dict_numbers);
    k2_free(d->dict_spans);
    k2_free(d->ends);
}

/* ---- pages ---- */

struct page {
    int type, encoding;
    int64_t plain_bytes, bytes, values, nulls, rows, def_bytes, rep_bytes, crc;
    bool is_compressed;
};

static void read_v2(struct k2_thrift_in *in, struct page *p) {
    int id = 0, type;
    while ((type = k2_thrift_next(in, &id)) != K2_THRIFT_STOP && !in->failed)
        switch (id) {
        case 1: p->values = k2_thrift_get_int(in, type); break;
        case 2: p->nulls = k2_thrift_get_int(in, type); break;
        case 3: p->rows = k2_thrift_get_int(in, type); break;
        case 4: p->encoding = k2_thrift_get_i32(in, type); break;
        case 5: p->def_bytes = k2_thrift_get_int(in, type); break;
        case 6: p->rep_bytes = k2_thrift_get_int(in, type); break;
        case 7: p->is_compressed = k2_thrift_get_bool(in, type); break;
        default: k2_thrift_skip(in, type);
        }
}

static void read_dictionary_header(struct k2_thrift_in *in, struct page *p) {
    int id = 0, type;
    while ((type = k2_thrift_next(in, &id)) != K2_THRIFT_STOP && !in->failed)
        switch (id) {
        case 1: p->values = k2_thrift_get_int(in, type); break;
        case 2: p->encoding = k2_thrift_get_i32(in, type); break;
        default: k2_thrift_skip(in, type);
        }
}

static bool read_page_header(struct k2_thrift_in *in, struct page *p) {
    int id = 0, type;
    *p = (struct page){.type = -1, .crc = -1, .is_compressed = true};
    while ((type = k2_thrift_next(in, &id)) != K2_THRIFT_STOP && !in->failed)
        switch (id) {
        case 1: p->type = k2_thrift_get_i32(in, type); break;
        case 2: p->plain_bytes = k2_thrift_get_int(in, type); break;
        case 3: p->bytes = k2_thrift_get_int(in, type); break;
        case 4: p->crc = (int64_t)(uint32_t)k2_thrift_get_i32(in, type); break;
        case 7: read_dictionary_header(in, p); break;
        case 8: read_v2(in, p); break;
        default: k2_thrift_skip(in, type);
        }
    int64_t levels = p->def_bytes + p->rep_bytes;
    return !in->failed && p->bytes >= 0 && p->plain_bytes >= 0 && p->bytes <= in->end - in->at &&
           p->plain_bytes < 1 << 30 && p->def_bytes >= 0 && p->rep_bytes >= 0 &&
           levels <= p->bytes && levels <= p->plain_bytes && p->values >= 0 &&
           p->values <= INT32_MAX && p->nulls >= 0 && p->nulls <= p->values;
}

/* The page's values, decompressed, with slack behind them. */
static bool open_page(const struct k2_parquet_file *f, struct k2_leaf_data *d, const struct page *p,
                      const uint8_t *body, const uint8_t **ret_at, const uint8_t **ret_end,
                      struct k2_err *err) {
    int64_t levels = p->def_bytes + p->rep_bytes;
    size_t plain = (size_t)(p->plain_bytes - levels), packed = (size_t)(p->bytes - levels);
    char *out = k2_pq_scratch(&d->page, plain + K2_PQ_SLACK);
    if (d->chunk->codec == K2_PQ_ZSTD && p->is_compressed && plain) {
        size_t got = ZSTD_decompress(out, plain, body + levels, packed);
        if (ZSTD_isError(got) || got != plain)
            return corrupt(f, "a page cannot be decompressed", err);
    } else if (plain && packed != plain) {
        return corrupt(f, "the sizes of a page do not fit", err);
    } else if (plain) {
        memcpy(out, body + levels, plain);
    }
    memset(out + plain, 0, K2_PQ_SLACK);
    *ret_at = (const uint8_t *)out;
    *ret_end = *ret_at + plain;
    return true;
}

/* ---- values ---- */

static bool take_numbers(struct k2_leaf_data *d, int encoding, const uint8_t *at,
                         const uint8_t *end, size_t count, int64_t *out) {
    bool is_wide = d->shape->physical == K2_PQ_INT64;
    size_t width = is_wide ? 8 : 4;
    if (encoding == K2_PQ_PLAIN) {
        if ((size_t)(end - at) < count * width)
            return false;
        for (size_t i = 0; i < count; i++) {
            int32_t narrow;
            memcpy(&narrow, at + i * width, 4);
            out[i] = narrow;
            if (is_wide)
                memcpy(&out[i], at + i * 8, 8);
        }
        return true;
    }
    if (encoding != K2_PQ_DELTA)
        return false;
    if (is_wide)
        return k2_delta_decode_i64(&at, end, count, out);
    int32_t *narrow = k2_pq_scratch(&d->scratch, count * 4 + K2_PQ_SLACK);
    if (!k2_delta_decode_i32(&at, end, count, narrow))
        return false;
    for (size_t i = 0; i < count; i++)
        out[i] = narrow[i];
    return true;
}

static bool take_strings(struct k2_leaf_data *d, int encoding, const uint8_t *at,
                         const uint8_t *end, size_t count, struct k2_span *out) {
    uint32_t start = (uint32_t)d->text.len;
    d->ends = k2_realloc(d->ends, (count + 1) * sizeof *d->ends);
    struct k2_pq_text_out to = {&d->text, d->ends, UINT32_MAX / 2};
    bool ok = encoding == K2_PQ_PLAIN ? k2_pq_get_plain(at, end, count, &to)
              : encoding == K2_PQ_DELTA_LENGTH
                  ? k2_pq_get_delta_length(at, end, count, &d->scratch, &to)
              : encoding == K2_PQ_DELTA_STRINGS
                  ? k2_pq_get_delta_strings(at, end, count, &d->scratch, &to)
                  : false;
    for (size_t i = 0; ok && i < count; i++) {
        out[i] = (struct k2_span){start, d->ends[i] - start};
        start = d->ends[i];
    }
    return ok;
}

static bool take_dictionary(struct k2_leaf_data *d, const struct page *p, const uint8_t *at,
                            const uint8_t *end) {
    size_t count = (size_t)p->values;
    int encoding = p->encoding == K2_PQ_PLAIN_DICTIONARY ? K2_PQ_PLAIN : p->encoding;
    if (d->dict_count || count > (size_t)(end - at) + 1)
        return false;
    d->dict_count = (uint32_t)count;
    if (k2_pq_is_number(d->shape)) {
        d->dict_numbers = k2_new_array(int64_t, count + 8);
        return take_numbers(d, encoding, at, end, count, d->dict_numbers);
    }
    d->dict_spans = k2_new_array(struct k2_span, count);
    return take_strings(d, encoding, at, end, count, d->dict_spans);
}

static bool take_indexes(struct k2_leaf_data *d, const uint8_t *at, const uint8_t *end,
                         size_t count) {
    if (!count)
        return true;
    uint32_t *index = d->index + d->value_count;
    if (at == end || *at > 32 || !k2_rle_decode(at + 1, end, *at, count, index))
        return false;
    for (size_t i = 0; i < count; i++) {
        if (index[i] >= d->dict_count)
            return false;
        if (d->dict_numbers)
            d->numbers[d->value_count + i] = d->dict_numbers[index[i]];
        else
            d->spans[d->value_count + i] = d->dict_spans[index[i]];
    }
    return true;
}

/* Levels, then values. */
static bool take_data(const struct k2_parquet_file *f, struct k2_leaf_data *d, const struct page *p,
                      const uint8_t *body, struct k2_err *err) {
    const uint8_t *at, *end;
    size_t levels = (size_t)p->values, present = levels;
    if (levels > d->level_max - d->level_count)
        return corrupt(f, "a column has more values than its row group says", err);
    K2_TRY(open_page(f, d, p, body, &at, &end, err));
    /* Levels are followed by the compressed values, so their decoders may look ahead only as far as
     * a copy with slack reaches. */
    size_t level_bytes = (size_t)(p->rep_bytes + p->def_bytes);
    uint8_t *copy = k2_pq_scratch(&d->scratch, level_bytes + 2 * K2_PQ_SLACK);
    memcpy(copy, body, level_bytes);
    memset(copy + level_bytes, 0, K2_PQ_SLACK);
    bool ok = true;
    if (d->shape->max_rep)
        ok = k2_rle_decode_levels(copy, copy + p->rep_bytes, 1, levels, d->rep + d->level_count);
    int width = d->shape->max_def > 1 ? 2 : 1;
    if (ok && d->shape->max_def) {
        uint8_t *def = d->def + d->level_count;
        ok = k2_rle_decode_levels(copy + p->rep_bytes, copy + level_bytes, width, levels, def);
        present = 0;
        for (size_t i = 0; ok && i < levels; i++) {
            ok = def[i] <= d->shape->max_def;
            present += def[i] == d->shape->max_def;
        }
    }
    if (!ok)
        return corrupt(f, "the levels of a page make no sense", err);
    if (p->encoding == K2_PQ_RLE_DICTIONARY || p->encoding == K2_PQ_PLAIN_DICTIONARY) {
        ok = take_indexes(d, at, end, present);
    } else {
        memset(d->index + d->value_count, 0xff, present * sizeof *d->index);
        ok = k2_pq_is_number(d->shape)
                 ? take_numbers(d, p->encoding, at, end, present, d->numbers + d->value_count)
                 : take_strings(d, p->encoding, at, end, present, d->spans + d->value_count);
    }
    if (!ok)
        return corrupt(f, "the values of a page cannot be decoded", err);
    d->level_count += levels;
    d->value_count += present;
    return true;
}

static bool take_page(const struct k2_parquet_file *f, struct k2_leaf_data *d,
                      struct k2_thrift_in *in, struct k2_err *err) {
    struct page p;
    if (!read_page_header(in, &p))
        return corrupt(f, "a page header makes no sense", err);
    const uint8_t *body = in->at, *at, *end;
    in->at += p.bytes;
    if (p.crc >= 0 && (int64_t)crc32(0, body, (uInt)p.bytes) != p.crc)
        return corrupt(f, "the checksum of a page does not match", err);
    if (p.type == K2_PQ_PAGE_V2)
        return take_data(f, d, &p, body, err);
    if (p.type != K2_PQ_PAGE_DICTIONARY)
        return k2_err_set(err, K2_INVALID, "%s: holds a page of type %d; K2 reads version 2 pages",
                          f->path, p.type);
    K2_TRY(open_page(f, d, &p, body, &at, &end, err));
    return take_dictionary(d, &p, at, end) || corrupt(f, "a dictionary cannot be decoded", err);
}

/* Reads a whole column chunk. */
static bool read_chunk(struct k2_parquet_file *f, const struct k2_pq_row_group *group, int leaf,
                       struct k2_leaf_data *d, struct k2_err *err) {
    const struct k2_pq_meta *chunk = d->chunk = &group->chunks[f->file_leaf[leaf]];
    d->shape = &f->shapes[leaf];
    int64_t start = chunk->dictionary >= 0 ? chunk->dictionary : chunk->data;
    if (chunk->codec != K2_PQ_ZSTD && chunk->codec != K2_PQ_UNCOMPRESSED)
        return k2_err_set(err, K2_INVALID, "%s: compression codec %d is not read here", f->path,
                          chunk->codec);
    if (start < 4 || chunk->bytes < 0 || chunk->bytes > f->size - start || chunk->values < 0 ||
        chunk->values > 1 << 28)
        return corrupt(f, "a column chunk lies outside the file", err);
    size_t n = (size_t)chunk->values;
    d->level_max = n;
    d->def = k2_new_array(uint8_t, n + K2_PQ_SLACK);
    d->rep = k2_new_array(uint8_t, n + K2_PQ_SLACK);
    d->index = k2_new_array(uint32_t, n + K2_PQ_SLACK);
    if (k2_pq_is_number(d->shape))
        d->numbers = k2_new_array(int64_t, n + K2_PQ_SLACK);
    else
        d->spans = k2_new_array(struct k2_span, n);
    K2_TRY(k2_store_get_range(f->store, f->path, start, chunk->bytes, &d->raw, err));
    const uint8_t *bytes = (const uint8_t *)d->raw.ptr;
    struct k2_thrift_in in = {bytes, bytes + d->raw.len, false};
    while (d->level_count < n)
        K2_TRY(take_page(f, d, &in, err));
    return true;
}

/* ---- into the batch ---- */

static struct k2_str text_at(const struct k2_leaf_data *d, uint32_t value) {
    return (struct k2_str){d->text.ptr + d->spans[value].offset, d->spans[value].len};
}

static bool put_text(struct k2_batch *b, const struct k2_column *c, struct k2_vector *v,
                     const struct k2_leaf_data *d, uint32_t value, uint32_t row, uint32_t *memo) {
    uint32_t entry = d->index[value];
    struct k2_str text = text_at(d, value);
    if (c->type == K2_SYMBOL) {
        if (entry == UINT32_MAX)
            v->u32[row] = k2_intern_add(b->strings, text);
        else if (memo[entry] != UINT32_MAX)
            v->u32[row] = memo[entry];
        else
            v->u32[row] = memo[entry] = k2_intern_add(b->strings, text);
    } else if (c->type == K2_ENUM) {
        int name = k2_name_index(c->names, text);
        if (name < 0)
            return false;
        v->u8[row] = (uint8_t)name;
    } else {
        v->span[row] = k2_batch_put(b, text);
    }
    return true;
}

static bool put_flat(struct k2_parquet_file *f, struct k2_batch *b, int column,
                     const struct k2_leaf_data *d, uint32_t base, uint32_t rows,
                     struct k2_err *err) {
    const struct k2_column *c = &b->schema->columns[column];
    struct k2_vector *v = &b->col[column];
    if (d->level_count != rows)
        return corrupt(f, "a column has not as many values as its row group has rows", err);
    uint32_t *memo = k2_alloc((d->dict_count + 1) * sizeof *memo), value = 0;
    memset(memo, 0xff, (d->dict_count + 1) * sizeof *memo);
    bool ok = true;
    for (uint32_t i = 0; ok && i < rows; i++) {
        bool is_there = !d->shape->max_def || d->def[i] == 1;
        if (v->valid)
            v->valid[base + i] = is_there;
        if (!is_there) {
            size_t width = k2_type_width(c->type);
            memset((char *)v->data + (base + i) * width, 0, width);
        } else if (c->type == K2_INT32) {
            v->i32[base + i] = (int32_t)d->numbers[value++];
        } else if (d->numbers) {
            v->i64[base + i] = d->numbers[value++];
        } else {
            ok = put_text(b, c, v, d, value++, base + i, memo);
        }
    }
    k2_free(memo);
    return ok || corrupt(f, "a value is none of those its column may have", err);
}

enum { ITEMS_MAX = 4096 };

static bool put_items(struct k2_batch *b, int column, uint32_t row, const struct k2_str *keys,
                      const struct k2_str *values, uint32_t count) {
    const struct k2_column *c = &b->schema->columns[column];
    struct k2_vector *v = &b->col[column];
    if (c->type == K2_LIST) {
        v->span[row] = k2_batch_put_list(b, keys, count);
    } else if (c->type == K2_MAP) {
        v->span[row] = k2_batch_put_map(b, keys, values, count);
    } else {
        v->u32[row] = 0;
        for (uint32_t i = 0; i < count; i++) {
            int flag = k2_name_index(c->names, keys[i]);
            if (flag < 0)
                return false;
            v->u32[row] |= 1u << flag;
        }
    }
    return true;
}

/* Rows of a list, flags or map column: values is NULL but for maps. */
static bool put_nested(struct k2_parquet_file *f, struct k2_batch *b, int column,
                       const struct k2_leaf_data *d, const struct k2_leaf_data *values,
                       uint32_t base, uint32_t rows, struct k2_err *err) {
    struct k2_vector *v = &b->col[column];
    struct k2_str *keys = k2_new_array(struct k2_str, ITEMS_MAX);
    struct k2_str *texts = k2_new_array(struct k2_str, ITEMS_MAX);
    uint8_t full = d->shape->max_def;
    uint32_t at = 0, value = 0, row = 0;
    bool ok = !values || values->level_count == d->level_count;
    for (; ok && row < rows && at < d->level_count; row++) {
        uint32_t count = 0;
        ok = d->rep[at] == 0;
        bool is_there = !v->valid || d->def[at] > 0;
        if (v->valid)
            v->valid[base + row] = is_there;
        do {
            if (d->def[at] == full && count < ITEMS_MAX) {
                keys[count] = text_at(d, value);
                if (values)
                    ok &= value < values->value_count;
                if (values && ok)
                    texts[count] = text_at(values, value);
                count++;
                value++;
            }
            at++;
        } while (at < d->level_count && d->rep[at]);
        ok = ok && put_items(b, column, base + row, keys, texts, count);
    }
    ok = ok && row == rows && at == d->level_count;
    k2_free(keys);
    k2_free(texts);
    return ok || corrupt(f, "a list or map column makes no sense", err);
}

static void put_nulls(struct k2_batch *b, int column, uint32_t base, uint32_t rows) {
    struct k2_vector *v = &b->col[column];
    size_t width = k2_type_width(b->schema->columns[column].type);
    memset((char *)v->data + base * width, 0, rows * width);
    memset(v->valid + base, 0, rows);
}

static bool read_column(struct k2_parquet_file *f, const struct k2_pq_row_group *group, int leaf,
                        struct k2_batch *b, uint32_t base, struct k2_err *err) {
    const struct k2_pq_shape *shape = &f->shapes[leaf];
    uint32_t rows = (uint32_t)group->rows;
    if (f->file_leaf[leaf] < 0) {
        put_nulls(b, shape->column, base, rows);
        return true;
    }
    struct k2_leaf_data d = {0}, values = {0};
    bool ok = read_chunk(f, group, leaf, &d, err);
    if (ok && shape->part == K2_PQ_KEY)
        ok = read_chunk(f, group, leaf + 1, &values, err);
    if (ok && shape->part == K2_PQ_FLAT)
        ok = put_flat(f, b, shape->column, &d, base, rows, err);
    else if (ok)
        ok = put_nested(f, b, shape->column, &d, shape->part == K2_PQ_KEY ? &values : NULL, base,
                        rows, err);
    done(&d);
    done(&values);
    return ok;
}

bool k2_parquet_read(struct k2_parquet_file *file, int row_group, uint32_t columns,
                     struct k2_batch *batch, struct k2_err *err) {
    const struct k2_pq_row_group *group = &file->groups[row_group];
    K2_ASSERT(batch->schema == file->schema && row_group < file->group_count);
    if (group->rows > batch->rows_max - batch->rows)
        return k2_err_set(err, K2_LIMIT, "%s: a row group of %lld rows does not fit", file->path,
                          (long long)group->rows);
    for (int leaf = 0; leaf < file->leaf_count; leaf++) {
        const struct k2_pq_shape *shape = &file->shapes[leaf];
        if (shape->part == K2_PQ_VALUE || !(columns >> shape->column & 1))
            continue;
        K2_TRY(read_column(file, group, leaf, batch, batch->rows, err));
    }
    batch->rows += (uint32_t)group->rows;
    return true;
}
