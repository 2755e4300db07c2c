/* verify_pages.c -- a chunk's pages one by one: what their headers, the footer and the two indexes
 * say of them against what they hold.
 */
#include "lake/parquet/verify_impl.h"

/* ---- values, as far as their number goes ---- */

static bool are_lengths_right(const struct k2_pq_text_in *text) {
    struct k2_delta_in lengths = text->suffix;
    int64_t bytes = text->end - text->at;
    int32_t some[K2_PQ_BLOCK];
    while (lengths.left && bytes >= 0) {
        size_t n = K2_MIN(lengths.left, (size_t)K2_PQ_BLOCK);
        k2_delta_take_i32(&lengths, n, some);
        for (size_t i = 0; i < n; i++)
            bytes -= (uint32_t)some[i];
    }
    return bytes == 0;
}

static bool is_plain_text_right(const struct k2_pq_text_in *text, int64_t values) {
    const uint8_t *at = text->at;
    for (; values && text->end - at >= 4; values--) {
        uint32_t len;
        memcpy(&len, at, 4);
        if (len > (size_t)(text->end - at) - 4)
            return false;
        at += 4 + (size_t)len;
    }
    return values == 0 && at == text->end;
}

/* Indices may end with packed ones that are filled up to a multiple of 8, or of what suits a
 * writer.
 */
static bool are_indices_right(struct k2_pq_stream *s, int64_t values) {
    uint32_t index[K2_PQ_BLOCK];
    bool is_run;
    while (values) {
        size_t n =
            k2_pq_take_index(s, (size_t)K2_MIN(values, (int64_t)K2_PQ_BLOCK), index, &is_run);
        if (n == 0)
            return false;
        values -= (int64_t)n;
    }
    return s->index.at == s->index.end && (s->index.left == 0 || s->index.is_literal);
}

/* Whether the page at hand has exactly so many values. */
static bool is_body_right(struct k2_pq_stream *s, int64_t values) {
    bool is_number = k2_pq_is_number(s->shape);
    switch (s->encoding) {
    case K2_PQ_RLE_DICTIONARY: return are_indices_right(s, values);
    case K2_PQ_DELTA: return (int64_t)s->delta.left == values;
    case K2_PQ_PLAIN:
        return is_number ? s->text.end - s->text.at ==
                               values * (s->shape->physical == K2_PQ_INT64 ? 8 : 4)
                         : is_plain_text_right(&s->text, values);
    case K2_PQ_DELTA_STRINGS:
        if ((int64_t)s->text.prefix.left != values)
            return false;
        break;
    default: break;
    }
    return (int64_t)s->text.suffix.left == values && are_lengths_right(&s->text);
}

/* ---- one page ---- */

/* Counts rows, nulls and values of the page at hand by its levels. */
static bool count_levels(struct k2_pq_stream *s, struct k2_pq_seen *page, bool *ret_starts) {
    uint8_t def[K2_PQ_BLOCK], rep[K2_PQ_BLOCK];
    *ret_starts = true;
    for (uint32_t done = 0; done < s->levels_left;) {
        uint32_t n = K2_MIN(s->levels_left - done, (uint32_t)K2_PQ_BLOCK);
        memset(rep, 0, n);
        memset(def, s->stored->max_def, n);
        if ((s->stored->max_rep && !k2_rle_take_levels(&s->rep, n, rep)) ||
            (s->stored->max_def && !k2_rle_take_levels(&s->def, n, def)))
            return false;
        if (done == 0)
            *ret_starts = rep[0] == 0;
        for (uint32_t i = 0; i < n; i++) {
            page->rows += rep[i] == 0;
            page->values += def[i] == s->stored->max_def;
            if (def[i] > s->stored->max_def)
                return false;
        }
        done += n;
    }
    page->nulls = s->levels_left - page->values;
    return true;
}

struct totals {
    int64_t rows, nulls, plain_bytes, dictionaries;
    uint32_t encodings;
};

static bool check_page(struct k2_pq_verify *v, struct k2_pq_stream *s, int leaf,
                       struct totals *totals) {
    const struct k2_pq_header *h = &s->data.header;
    struct k2_pq_seen page = {
        .offset = s->raw_at + (s->data.at - (const uint8_t *)s->raw.ptr),
        .bytes = s->data.end - s->data.at,
        .first_row = totals->rows,
    };
    int number = (int)k2_pq_page_count(v), group = s->row_group;
    bool starts_row;
    if (!count_levels(s, &page, &starts_row)) {
        k2_pq_find_at(v, group, leaf, "page %d: its levels make no sense", number);
        return false;
    }
    if (!k2_pq_fields_fit(h->fields, 0, 8) ||
        !k2_pq_fields_fit(h->inner_fields, 0, h->type == K2_PQ_PAGE_V2 ? 8 : 5))
        k2_pq_find_at(v, group, leaf, "page %d: its header has a field of no meaning", number);
    if (!starts_row)
        k2_pq_find_at(v, group, leaf, "page %d: it begins within a row", number);
    if (h->type == K2_PQ_PAGE_V2 && h->rows != page.rows)
        k2_pq_find_at(v, group, leaf, "page %d: its header says %lld rows, it has %lld", number,
                      (long long)h->rows, (long long)page.rows);
    if (h->type == K2_PQ_PAGE_V2 && h->nulls != page.nulls)
        k2_pq_find_at(v, group, leaf, "page %d: its header says %lld nulls, it has %lld", number,
                      (long long)h->nulls, (long long)page.nulls);
    if (page.values && !is_body_right(s, page.values)) {
        k2_pq_find_at(v, group, leaf, "page %d: it does not hold %lld values", number,
                      (long long)page.values);
        return false;
    }
    totals->rows += page.rows;
    totals->nulls += page.nulls;
    totals->plain_bytes += (s->data.body - s->data.at) + h->plain_bytes;
    if (h->encoding >= 0 && h->encoding < K2_PQ_ENCODINGS)
        totals->encodings |= 1u << h->encoding;
    k2_buf_append(&v->pages, &page, sizeof page);
    return starts_row;
}

/* ---- the chunk ---- */

static void check_dictionary(const struct k2_pq_verify *v, const struct k2_pq_stream *s, int leaf,
                             struct totals *totals) {
    const struct k2_pq_meta *m = s->chunk;
    const struct k2_pq_begun *d = &s->dictionary;
    if (!s->has_dictionary) {
        if (m->dictionary >= 0)
            k2_pq_find_at(v, s->row_group, leaf, "the footer says there is a dictionary");
        return;
    }
    int64_t offset = s->raw_at + (d->at - (const uint8_t *)s->raw.ptr);
    if (!k2_pq_fields_fit(d->header.fields, 0, 8) ||
        !k2_pq_fields_fit(d->header.inner_fields, 0, 3))
        k2_pq_find_at(v, s->row_group, leaf, "the dictionary's header has a field of no meaning");
    if (m->dictionary != offset)
        k2_pq_find_at(v, s->row_group, leaf, "the dictionary lies at %lld, the footer says %lld",
                      (long long)offset, (long long)m->dictionary);
    totals->dictionaries = 1;
    totals->plain_bytes += (d->body - d->at) + d->header.plain_bytes;
}

/* Pages of each kind, where the footer counts them. */
static void check_page_counts(const struct k2_pq_verify *v, const struct k2_pq_stream *s, int leaf,
                              const struct k2_pq_claims *claims, const struct totals *totals) {
    int64_t data = 0, dictionaries = 0;
    for (int i = 0; i < claims->page_count_count; i++) {
        const struct k2_pq_page_count *c = &claims->page_counts[i];
        if (c->type == K2_PQ_PAGE_DICTIONARY)
            dictionaries += c->count;
        else if (c->type != K2_PQ_PAGE_V1 && c->type != K2_PQ_PAGE_V2)
            k2_pq_find_at(v, s->row_group, leaf, "the footer counts pages of the type %d", c->type);
        else if (c->encoding >= 0 && c->encoding < K2_PQ_ENCODINGS &&
                 (totals->encodings >> c->encoding & 1))
            data += c->count;
        else
            k2_pq_find_at(v, s->row_group, leaf, "the footer counts pages of the encoding %s",
                          k2_pq_encoding_name(c->encoding));
    }
    if (claims->page_count_count &&
        (data != (int64_t)k2_pq_page_count(v) || dictionaries != totals->dictionaries))
        k2_pq_find_at(v, s->row_group, leaf,
                      "the footer counts %lld pages and %lld dictionaries, there are %zu and %lld",
                      (long long)data, (long long)dictionaries, k2_pq_page_count(v),
                      (long long)totals->dictionaries);
}

static void check_chunk(const struct k2_pq_verify *v, const struct k2_pq_stream *s, int leaf,
                        const struct totals *totals) {
    const struct k2_pq_meta *m = s->chunk;
    int group = s->row_group;
    const struct k2_pq_claims *claims =
        &v->claims[group * v->file->file_leaf_count + s->stored->index];
    if (m->nulls >= 0 && m->nulls != totals->nulls)
        k2_pq_find_at(v, group, leaf, "the statistics count %lld nulls, there are %lld",
                      (long long)m->nulls, (long long)totals->nulls);
    if (k2_pq_page_count(v) && k2_pq_pages(v)->offset != m->data)
        k2_pq_find_at(v, group, leaf, "the first page lies at %lld, the footer says %lld",
                      (long long)k2_pq_pages(v)->offset, (long long)m->data);
    if (claims->plain_bytes != totals->plain_bytes)
        k2_pq_find_at(v, group, leaf, "the footer says %lld bytes uncompressed, there are %lld",
                      (long long)claims->plain_bytes, (long long)totals->plain_bytes);
    for (int i = 0; i < K2_PQ_ENCODINGS; i++)
        if ((totals->encodings & ~claims->encodings) >> i & 1)
            k2_pq_find_at(v, group, leaf, "the footer does not name the encoding %s",
                          k2_pq_encoding_name(i));
    check_page_counts(v, s, leaf, claims, totals);
}

/* ---- the indexes ---- */

static void check_offset_index(struct k2_pq_verify *v, int group, int leaf) {
    const struct k2_pq_meta *m = k2_pq_chunk_of(v, group, leaf);
    const struct k2_pq_seen *pages = k2_pq_pages(v);
    int id = 0, type;
    if (!m->offset_index.bytes)
        return;
    if (!k2_pq_verify_fetch(v, m->offset_index)) {
        k2_pq_find_at(v, group, leaf, "the offset index lies outside of the file");
        return;
    }
    const uint8_t *bytes = (const uint8_t *)v->bytes.ptr;
    struct k2_thrift_in in = {bytes, bytes + v->bytes.len, false};
    size_t count = 0;
    uint32_t fields = 0;
    while ((type = k2_thrift_next(&in, &id)) != K2_THRIFT_STOP) {
        k2_thrift_note(&fields, id);
        if (id != 1) {
            k2_thrift_skip(&in, type);
            continue;
        }
        count = k2_thrift_get_list(&in, type, K2_THRIFT_STRUCT);
        for (size_t i = 0; i < count && !in.failed; i++) {
            int64_t place[4] = {0, -1, -1, -1};
            uint32_t seen = 0;
            for (id = 0; (type = k2_thrift_next(&in, &id)) != K2_THRIFT_STOP;
                 k2_thrift_note(&seen, id))
                if (id >= 1 && id <= 3)
                    place[id] =
                        id == 2 ? k2_thrift_get_i32(&in, type) : k2_thrift_get_i64(&in, type);
                else
                    k2_thrift_skip(&in, type);
            if (!k2_pq_fields_fit(seen, k2_thrift_ids(1, 3), 3))
                k2_thrift_fail(&in);
            if (i < k2_pq_page_count(v) && !in.failed &&
                (place[1] != pages[i].offset || place[2] != pages[i].bytes ||
                 place[3] != pages[i].first_row))
                k2_pq_find_at(v, group, leaf,
                              "the offset index says page %zu has %lld bytes at %lld from row "
                              "%lld, it has %lld at %lld from row %lld",
                              i, (long long)place[2], (long long)place[1], (long long)place[3],
                              (long long)pages[i].bytes, (long long)pages[i].offset,
                              (long long)pages[i].first_row);
        }
        id = 1;
    }
    if (in.failed || in.at != in.end || !k2_pq_fields_fit(fields, k2_thrift_ids(1, 1), 2))
        k2_pq_find_at(v, group, leaf, "the offset index cannot be read");
    else if (count != k2_pq_page_count(v))
        k2_pq_find_at(v, group, leaf, "the offset index has %zu pages, there are %zu", count,
                      k2_pq_page_count(v));
}

/* A list of the column index; each has one entry a page. */
static bool begin_list(struct k2_thrift_in *in, int type, int item, size_t page_count) {
    if (k2_thrift_get_list(in, type, item) != page_count)
        k2_thrift_fail(in);
    return !in->failed;
}

static struct k2_str *read_bounds(struct k2_pq_verify *v, struct k2_thrift_in *in, int type,
                                  size_t page_count) {
    if (!begin_list(in, type, K2_THRIFT_BINARY, page_count))
        return NULL;
    struct k2_str *bounds = k2_arena_new(&v->chunk_arena, struct k2_str, page_count);
    for (size_t i = 0; i < page_count; i++)
        bounds[i] = k2_arena_str(&v->chunk_arena, k2_thrift_get_str(in, K2_THRIFT_BINARY));
    return bounds;
}

/* Reads an index whose every list must have page_count entries; nulls: NULL when it has none. */
static bool read_column_index(struct k2_pq_verify *v, struct k2_pq_place place, size_t page_count,
                              struct k2_pq_column_index *ret, int64_t **ret_nulls) {
    int id = 0, type;
    if (!place.bytes || !k2_pq_verify_fetch(v, place))
        return false;
    const uint8_t *bytes = (const uint8_t *)v->bytes.ptr;
    struct k2_thrift_in in = {bytes, bytes + v->bytes.len, false};
    *ret = (struct k2_pq_column_index){.page_count = page_count, .order = -1};
    *ret_nulls = NULL;
    uint32_t seen = 0;
    for (; (type = k2_thrift_next(&in, &id)) != K2_THRIFT_STOP; k2_thrift_note(&seen, id))
        if (id == 1 && begin_list(&in, type, K2_THRIFT_TRUE, page_count)) {
            ret->is_null = k2_arena_new(&v->chunk_arena, bool, page_count);
            for (size_t i = 0; i < page_count; i++)
                ret->is_null[i] = k2_thrift_item_bool(&in);
        } else if (id == 2) {
            ret->low = read_bounds(v, &in, type, page_count);
        } else if (id == 3) {
            ret->high = read_bounds(v, &in, type, page_count);
        } else if (id == 4) {
            ret->order = k2_thrift_get_i32(&in, type);
        } else if (id == 5 && begin_list(&in, type, K2_THRIFT_I64, page_count)) {
            *ret_nulls = k2_arena_new(&v->chunk_arena, int64_t, page_count);
            for (size_t i = 0; i < page_count; i++)
                (*ret_nulls)[i] = k2_thrift_get_i64(&in, K2_THRIFT_I64);
        } else if (!in.failed) {
            k2_thrift_skip(&in, type);
        }
    return !in.failed && in.at == in.end && k2_pq_fields_fit(seen, k2_thrift_ids(1, 4), 7) &&
           ret->is_null && ret->low && ret->high;
}

bool k2_pq_verify_column_index(struct k2_pq_verify *v, int row_group, int leaf, size_t page_count,
                               struct k2_pq_column_index *ret) {
    int64_t *nulls;
    return read_column_index(v, k2_pq_chunk_of(v, row_group, leaf)->column_index, page_count, ret,
                             &nulls);
}

static void check_column_index(struct k2_pq_verify *v, int group, int leaf) {
    const struct k2_pq_meta *m = k2_pq_chunk_of(v, group, leaf);
    const struct k2_pq_seen *pages = k2_pq_pages(v);
    struct k2_pq_column_index index;
    int64_t *nulls;
    if (!m->column_index.bytes)
        return;
    k2_arena_reset(&v->chunk_arena);
    if (!read_column_index(v, m->column_index, k2_pq_page_count(v), &index, &nulls)) {
        k2_pq_find_at(v, group, leaf, "the column index cannot be read, or is not one of %zu pages",
                      k2_pq_page_count(v));
        return;
    }
    for (size_t i = 0; i < index.page_count; i++) {
        if (index.is_null[i] != (pages[i].values == 0))
            k2_pq_find_at(v, group, leaf, "the column index says page %zu is %s null", i,
                          index.is_null[i] ? "all" : "not all");
        if (nulls && nulls[i] != pages[i].nulls)
            k2_pq_find_at(v, group, leaf,
                          "the column index counts %lld nulls in page %zu, there are %lld",
                          (long long)nulls[i], i, (long long)pages[i].nulls);
    }
}

static bool walk_pages(struct k2_pq_verify *v, struct k2_pq_stream *s, int leaf,
                       struct totals *totals, bool *ret_is_sound, struct k2_err *err) {
    *ret_is_sound = true;
    for (bool is_there = true;;) {
        K2_TRY(k2_pq_stream_page(s, &is_there, err));
        if (!is_there)
            return true;
        if (!check_page(v, s, leaf, totals)) {
            *ret_is_sound = false;
            return true;
        }
        s->levels_left = 0;
    }
}

bool k2_pq_verify_pages(struct k2_pq_verify *v, int row_group, int leaf, bool *ret_is_sound,
                        struct k2_err *err) {
    struct k2_pq_stream *s = k2_pq_stream_new(v->file);
    struct totals totals = {0};
    struct k2_err why = {0};
    k2_buf_clear(&v->pages);
    bool ok = k2_pq_stream_start(s, row_group, leaf, 0, UINT32_MAX, &why) &&
              walk_pages(v, s, leaf, &totals, ret_is_sound, &why);
    if (ok && *ret_is_sound) {
        check_dictionary(v, s, leaf, &totals);
        check_chunk(v, s, leaf, &totals);
        check_offset_index(v, row_group, leaf);
        check_column_index(v, row_group, leaf);
        *ret_is_sound = totals.rows == v->file->groups[row_group].rows;
        if (!*ret_is_sound)
            k2_pq_find_at(v, row_group, leaf, "its pages have %lld rows, its row group %lld",
                          (long long)totals.rows, (long long)v->file->groups[row_group].rows);
    }
    k2_pq_stream_free(s);
    if (ok)
        return true;
    *ret_is_sound = false;
    return k2_pq_verify_take(v, &why, err);
}
