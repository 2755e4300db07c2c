/* query_tool.c -- runs one SQL statement over a folder of Parquet files, for tests in Python.
 *
 *   query_tool FOLDER FORMAT SQL [rows [memory [timeout_ms [spill]]]]     result on stdout
 *   query_tool FOLDER --trades FILES ROWS                         makes trades to ask for
 */
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "support/query_files.h"

static bool write_out(void *self, const void *bytes, size_t len, struct k2_err *err) {
    (void)self;
    return k2_fd_write(STDOUT_FILENO, bytes, len, err);
}

static bool make_trades(const char *folder, long files, long rows, struct k2_err *err) {
    for (long i = 0; i < files; i++) {
        char name[64];
        snprintf(name, sizeof name, "%06ld.parquet", i);
        K2_TRY(query_files_trades(folder, name, i * rows, rows, err));
    }
    return true;
}

static int64_t number(int argc, char **argv, int at) {
    return argc > at ? strtoll(argv[at], NULL, 10) : 0;
}

static bool run(int argc, char **argv, struct k2_err *err) {
    struct k2_query_opts opts = {.limits = {.rows = number(argc, argv, 4),
                                            .memory = number(argc, argv, 5),
                                            .timeout_ms = number(argc, argv, 6)}};
    if (argc > 7)
        opts.spill = argv[7];
    enum k2_format format;
    K2_TRY(k2_query_confine(opts.limits.memory, err));
    if (!k2_format_parse(k2_str_of(argv[2]), &format))
        return k2_err_set(err, K2_USAGE, "no format %s", argv[2]);
    struct k2_query *query = k2_query_open_with(&opts, argv[1], query_files_plan, argv[1], err);
    if (!query)
        return false;
    struct k2_query_result result;
    bool ok = k2_query_run(query, k2_str_of(argv[3]), format, write_out, NULL, &result, err);
    if (ok)
        fprintf(stderr, "rows=%" PRId64 " cut=%d\n", result.rows, result.is_cut);
    k2_query_free(query);
    return ok;
}

int main(int argc, char **argv) {
    struct k2_err err = {0};
    if (argc < 4) {
        fprintf(stderr, "usage: query_tool FOLDER FORMAT SQL [rows [memory [timeout_ms]]]\n");
        return 2;
    }
    bool is_make = strcmp(argv[2], "--trades") == 0 && argc > 4;
    bool ok = is_make ? make_trades(argv[1], number(argc, argv, 3), number(argc, argv, 4), &err)
                      : run(argc, argv, &err);
    if (!ok)
        fprintf(stderr, "%s: %s\n", k2_err_text(err.code), err.msg);
    return ok ? 0 : k2_err_exit_code(err.code);
}
