/* format_parquet.c -- a result as one Parquet file, which DuckDB writes and K2 sends on. */
#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>

#include "query/query_impl.h"

static bool send_file(struct k2_run *run, const char *path, struct k2_err *err) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return k2_err_sys(err, "open %s", path);
    struct k2_buf piece = {0};
    (void)k2_buf_reserve(&piece, K2_OUTPUT_BYTES);
    bool ok = true;
    for (ssize_t got = 1; ok && got > 0;) {
        got = read(fd, piece.ptr, K2_OUTPUT_BYTES);
        if (got < 0)
            ok = k2_err_sys(err, "read %s", path);
        else if (got)
            ok = k2_engine_check(run->query->engine, err) &&
                 run->to.write(run->to.self, piece.ptr, (size_t)got, err);
    }
    close(fd);
    k2_buf_done(&piece);
    return ok;
}

/* Whether a row follows the first limit rows. */
static bool has_more(struct k2_run *run, int64_t limit, bool *ret_more, struct k2_err *err) {
    struct k2_buf sql = {0};
    struct k2_stream stream;
    duckdb_data_chunk chunk = NULL;
    k2_buf_text(&sql, "SELECT 1 FROM (\n");
    k2_buf_str(&sql, k2_buf_view(&run->gated.body));
    k2_buf_printf(&sql, "\n) AS t LIMIT 1 OFFSET %" PRId64, limit);
    bool ok = k2_query_regate(run, k2_buf_view(&sql), err) &&
              k2_stream_prepare(&stream, run->query->engine, k2_buf_cstr(&sql), err);
    if (ok) {
        ok = k2_stream_start(&stream, err) && k2_stream_next(&stream, &chunk, err);
        *ret_more = chunk != NULL;
        duckdb_destroy_data_chunk(&chunk);
        k2_stream_done(&stream);
    }
    k2_buf_done(&sql);
    return ok;
}

static bool copy(struct k2_run *run, const char *path, struct k2_err *err) {
    struct k2_buf select = {0}, sql = {0};
    bool ok = k2_query_select(run, run->query->limits.rows, &select, err);
    if (ok) {
        k2_buf_text(&sql, "COPY (\n");
        k2_buf_str(&sql, k2_buf_view(&select));
        k2_buf_text(&sql, "\n) TO ");
        k2_sql_literal(&sql, k2_str_of(path));
        k2_buf_text(&sql, " (FORMAT parquet, COMPRESSION zstd)");
        ok = k2_engine_copy(run->query->engine, k2_buf_cstr(&sql), &run->result.rows, err);
    }
    k2_buf_done(&select);
    k2_buf_done(&sql);
    return ok;
}

bool k2_query_parquet(struct k2_run *run, struct k2_err *err) {
    struct k2_buf path = {0};
    k2_buf_printf(&path, "%s/out/result.parquet", run->query->private);
    int64_t limit = run->query->limits.rows;
    bool ok = copy(run, k2_buf_cstr(&path), err);
    if (ok && limit && run->result.rows == limit)
        ok = has_more(run, limit, &run->result.is_cut, err);
    ok = ok && send_file(run, path.ptr, err);
    unlink(path.ptr);
    k2_buf_done(&path);
    return ok;
}
