/* replay_cmd.c -- k2 replay: a pinned snapshot as an ordered stream, and its digest. */
#include <inttypes.h>
#include <stdio.h>

#include "base/date.h"
#include "cli/cli.h"
#include "query/replay.h"
#include "query/row_json.h"

enum { SYMBOLS_MAX = 256, FLUSH_BYTES = 1 << 18 };

struct emitter {
    struct k2_buf out;
    enum { FORM_NDJSON, FORM_CSV, FORM_NONE } form;
};

static bool emit(void *self, const struct k2_batch *batch, const uint32_t *rows, uint32_t count,
                 struct k2_err *err) {
    struct emitter *e = self;
    for (uint32_t i = 0; i < count; i++) {
        if (e->form == FORM_NDJSON) {
            k2_row_json(&e->out, batch, rows[i], K2_ROW_STORED);
            k2_buf_byte(&e->out, '\n');
        } else {
            k2_row_csv(&e->out, batch, rows[i]);
        }
    }
    if (e->out.len >= FLUSH_BYTES) {
        k2_out(k2_buf_view(&e->out));
        k2_buf_clear(&e->out);
        K2_TRY(k2_out_flush(err));
    }
    return true;
}

static bool parse_form(const char *format, struct emitter *e, struct k2_err *err) {
    if (!format || strcmp(format, "ndjson") == 0)
        e->form = FORM_NDJSON;
    else if (strcmp(format, "csv") == 0)
        e->form = FORM_CSV;
    else if (strcmp(format, "none") == 0)
        e->form = FORM_NONE;
    else
        return k2_err_set(err, K2_USAGE, "--format %s: replay writes ndjson, csv or none", format);
    return true;
}

static bool parse_time(const char *text, bool *ret_has, int64_t *ret_ns, struct k2_err *err) {
    *ret_has = text != NULL;
    if (!text)
        return true;
    if (k2_iso_to_ns(k2_str_of(text), ret_ns, err))
        return true;
    err->code = K2_USAGE;
    return false;
}

int k2_cmd_replay(struct k2_home *home, const struct k2_args *args, struct k2_err *err) {
    struct emitter e = {0};
    struct k2_str symbols[SYMBOLS_MAX];
    struct k2_replay_opts opts = {.schema = k2_schema_by_table(k2_str_of(args->words[0])),
                                  .as_of = k2_arg(args, "as-of"),
                                  .symbols = symbols,
                                  .stop = &k2_stop_asked};
    const char *speed = k2_arg(args, "speed"), *exchange = k2_arg(args, "exchange");
    if (!opts.schema || (opts.schema->kind != K2_TRADE && opts.schema->kind != K2_QUOTE)) {
        k2_err_set(err, K2_USAGE, "replay %s: only trades and quotes can be replayed",
                   args->words[0]);
        return -1;
    }
    if (speed && strcmp(speed, "max") != 0) {
        k2_err_set(err, K2_USAGE, "--speed %s: replay runs at full speed (max)", speed);
        return -1;
    }
    struct k2_str rest = k2_str_of(k2_arg(args, "symbol"));
    while (rest.ptr && opts.symbol_count < SYMBOLS_MAX)
        symbols[opts.symbol_count++] = k2_str_split(rest, ',', &rest);
    if (exchange)
        opts.exchange = k2_str_of(exchange);
    if (!parse_form(k2_arg(args, "format"), &e, err) ||
        !parse_time(k2_arg(args, "from"), &opts.has_from, &opts.from_ns, err) ||
        !parse_time(k2_arg(args, "to"), &opts.has_to, &opts.to_ns, err) ||
        !k2_home_open(home, K2_HOME_LAKE, err))
        return -1;
    opts.lake = home->lake;
    opts.reads_all = e.form != FORM_NONE;
    opts.memory = k2_config_i64(home->config, "replay.memory");
    if (e.form == FORM_CSV)
        k2_row_csv_header(&e.out, opts.schema);
    struct k2_replay_result result;
    bool ok = k2_replay_run(&opts, e.form == FORM_NONE ? NULL : emit, &e, &result, err);
    k2_out(k2_buf_view(&e.out));
    k2_buf_done(&e.out);
    if (!ok || !k2_out_flush(err))
        return -1;
    char digest[33];
    k2_hash128_hex(result.digest, digest);
    fprintf(stderr, "rows=%" PRId64 " digest=%s snapshot=%" PRId64 " complete=%s\n", result.rows,
            digest, result.snapshot_id, result.is_complete ? "yes" : "no");
    return K2_EXIT_DONE;
}
