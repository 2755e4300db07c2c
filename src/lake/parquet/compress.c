/* compress.c -- zstd over the body of a page, searched as its bytes deserve. */
#include "lake/parquet/writer_impl.h"

/* Where speed was asked for: bits of the hash tables (what would be found with larger ones is worth
 * less than the cache they take) and the length of a repeat that is worth a reference. */
static const struct {
    ZSTD_strategy strategy;
    int hash_log, match_min; /* 0: zstd's own */
} searches[K2_PQ_SEARCHES] = {
    [K2_PQ_SEARCH_SHORT] = {ZSTD_fast, 12, 0},
    [K2_PQ_SEARCH_LONG] = {ZSTD_fast, 10, 7},
    [K2_PQ_SEARCH_BOTH] = {ZSTD_dfast, 12, 5},
};

/* Contexts keep their tables from page to page. */
static ZSTD_CCtx *compressor(struct k2_parquet_writer *w, enum k2_pq_search search) {
    bool is_fast = w->opts.zstd_level <= 1;
    ZSTD_CCtx **place = &w->zstd[is_fast ? search : K2_PQ_SEARCH_SHORT];
    if (*place)
        return *place;
    *place = ZSTD_createCCtx();
    K2_ASSERT(*place);
    ZSTD_CCtx_setParameter(*place, ZSTD_c_compressionLevel, w->opts.zstd_level);
    if (is_fast) {
        ZSTD_CCtx_setParameter(*place, ZSTD_c_strategy, (int)searches[search].strategy);
        ZSTD_CCtx_setParameter(*place, ZSTD_c_hashLog, searches[search].hash_log);
        ZSTD_CCtx_setParameter(*place, ZSTD_c_minMatch, searches[search].match_min);
        if (searches[search].strategy == ZSTD_dfast) /* its table of short repeats */
            ZSTD_CCtx_setParameter(*place, ZSTD_c_chainLog, searches[search].hash_log);
    }
    return *place;
}

/* A cut ends a block of the frame, and each block has codes by the frequencies of its own bytes. */
bool k2_pq_compress(struct k2_parquet_writer *writer, enum k2_pq_search search, struct k2_buf *out,
                    struct k2_err *err) {
    struct k2_parquet_writer *w = writer;
    enum { PARTS = K2_COUNT(w->cuts) + 1, BLOCK_HEADER = 3 };
    ZSTD_CCtx *zstd = compressor(w, search);
    size_t room = ZSTD_compressBound(w->body.len) + PARTS * BLOCK_HEADER;
    ZSTD_outBuffer to = {k2_buf_reserve(out, room), room, 0};
    size_t left = ZSTD_CCtx_reset(zstd, ZSTD_reset_session_only), at = 0;
    if (!ZSTD_isError(left))
        left = ZSTD_CCtx_setPledgedSrcSize(zstd, w->body.len);
    for (int part = 0; part < PARTS && !ZSTD_isError(left); part++) {
        bool is_last = part == PARTS - 1;
        size_t end = is_last ? w->body.len : w->cuts[part];
        if (end <= at && !is_last)
            continue;
        ZSTD_inBuffer from = {w->body.ptr + at, end - at, 0};
        left = ZSTD_compressStream2(zstd, &to, &from, is_last ? ZSTD_e_end : ZSTD_e_flush);
        at = end;
    }
    if (left)
        return k2_err_set(err, K2_BUG, "zstd: %s",
                          ZSTD_isError(left) ? ZSTD_getErrorName(left) : "no room for a page");
    out->len += to.pos;
    return true;
}

void k2_pq_compressors_free(struct k2_parquet_writer *writer) {
    for (int i = 0; i < K2_PQ_SEARCHES; i++) {
        ZSTD_freeCCtx(writer->zstd[i]);
        writer->zstd[i] = NULL;
    }
}
