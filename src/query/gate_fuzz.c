/* gate_fuzz.c -- any bytes as SQL: what the gate accepts is one SELECT that touches no file. */
#include <stdlib.h>

#include "query/gate_impl.h"
#include "query/views.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct k2_engine *engine;

/* Every SQL table, all of them empty. */
static void open_once(void) {
    struct k2_engine_opts opts = {.memory = 256 << 20};
    struct k2_err err = {0};
    struct k2_sources sources = {0};
    if (engine)
        return;
    engine = k2_engine_start(1, &err);
    for (int kind = 0; kind < K2_KIND_COUNT; kind++) {
        sources.kinds[kind].is_used = k2_schema_of(kind)->table_name != NULL;
        k2_source_columns(&sources.kinds[kind], k2_schema_of(kind), NULL, &sources.arena);
    }
    if (!engine || !k2_engine_lock(engine, &opts, &err) ||
        !k2_views_make(engine, &sources, (1u << K2_SQL_TABLE_COUNT) - 1, &err))
        abort();
    k2_arena_done(&sources.arena);
}

static void check_accepted(struct k2_gated *gated) {
    struct k2_err err = {0};
    struct k2_stream stream;
    if (!k2_stream_prepare(&stream, engine, k2_buf_cstr(&gated->body), &err)) {
        if (err.code == K2_DENIED || err.code == K2_IO)
            abort();
        return;
    }
    if (duckdb_prepared_statement_type(stream.statement) != DUCKDB_STATEMENT_TYPE_SELECT)
        abort();
    k2_stream_done(&stream);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct k2_gated gated;
    struct k2_err err = {0};
    open_once();
    struct k2_buf json = {0};
    k2_buf_append(&json, data, size);
    k2_gate_tame_numbers(&json);
    k2_json_free(k2_json_parse(k2_buf_view(&json), &err));
    k2_buf_done(&json);
    if (k2_gate(engine, k2_str_make(data, size), &gated, &err)) {
        check_accepted(&gated);
        k2_gated_done(&gated);
    } else if (k2_engine_is_broken(engine)) {
        k2_engine_free(engine);
        engine = NULL;
    }
    return 0;
}
