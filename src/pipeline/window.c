/* window.c -- the rows and ledgers of the commit to come, and the index over them. */
#include "base/alloc.h"
#include "pipeline/lane.h"

void k2_window_init(struct k2_lane *lane) {
    struct k2_window *w = &lane->window;
    bool is_letters = lane->schema->kind == K2_DEAD_LETTER;
    int64_t wanted = K2_MIN(lane->opts->commit_rows + K2_CHUNK, (int64_t)K2_FILE_ROWS);
    uint32_t rows = is_letters ? K2_LEDGER_ROWS : (uint32_t)wanted;
    w->rows = k2_batch_new(lane->schema, rows, &lane->strings);
    w->drop = k2_new_array(uint8_t, rows);
    w->group = k2_new_array(uint8_t, rows);
    w->key_of = k2_new_array(uint32_t, rows);
    w->dead = is_letters
                  ? w->rows
                  : k2_batch_new(k2_schema_of(K2_DEAD_LETTER), K2_LEDGER_ROWS, &lane->strings);
    w->gaps = k2_batch_new(k2_schema_of(K2_GAP), K2_LEDGER_ROWS, &lane->strings);
    w->gap_events = k2_batch_new(k2_schema_of(K2_GAP_EVENT), K2_LEDGER_ROWS, &lane->strings);
}

void k2_window_done(struct k2_window *window) {
    if (window->dead != window->rows)
        k2_batch_free(window->dead);
    k2_batch_free(window->rows);
    k2_batch_free(window->gaps);
    k2_batch_free(window->gap_events);
    k2_intern_done(&window->identities);
    k2_free(window->drop);
    k2_free(window->group);
    k2_free(window->key_of);
    k2_free(window->index);
    *window = (struct k2_window){0};
}

void k2_window_clear(struct k2_window *window) {
    memset(window->drop, 0, window->rows->rows);
    k2_batch_clear(window->rows);
    k2_batch_clear(window->dead);
    k2_batch_clear(window->gaps);
    k2_batch_clear(window->gap_events);
    k2_intern_done(&window->identities);
    window->file_count = 0;
    window->bytes = window->records = window->started_ns = 0;
    window->counts = (struct k2_pipeline_counts){0};
    if (window->index_rows)
        memset(window->index, 0, ((size_t)window->index_mask + 1) * sizeof *window->index);
    window->index_rows = 0;
}

static uint32_t index_slot(const struct k2_lane *lane, uint32_t key, int64_t number) {
    uint64_t h = ((uint64_t)number ^ (uint64_t)key << 40) * 0x9e3779b97f4a7c15u;
    return (uint32_t)(h >> 32) & lane->window.index_mask;
}

/* The index is made only when something must be looked up, and only as far as asked: in-order data
 * never pays for it. */
static void extend_index(struct k2_lane *lane, uint32_t rows) {
    struct k2_window *w = &lane->window;
    if (!w->index) {
        uint32_t size = 1;
        while (size < w->rows->rows_max * 2)
            size *= 2;
        w->index = k2_new_array(uint32_t, size);
        w->index_mask = size - 1;
    }
    const struct k2_kind_columns *c = &k2_kind_columns[lane->schema->kind];
    for (; w->index_rows < rows; w->index_rows++) {
        if (w->drop[w->index_rows])
            continue;
        uint32_t slot =
            index_slot(lane, w->key_of[w->index_rows], k2_row_number(w->rows, c, w->index_rows));
        while (w->index[slot])
            slot = (slot + 1) & w->index_mask;
        w->index[slot] = w->index_rows + 1;
    }
}

uint32_t k2_window_find(struct k2_lane *lane, uint32_t row, int64_t number) {
    struct k2_window *w = &lane->window;
    const struct k2_kind_columns *c = &k2_kind_columns[lane->schema->kind];
    extend_index(lane, row);
    uint32_t key = w->key_of[row];
    for (uint32_t slot = index_slot(lane, key, number); w->index[slot];
         slot = (slot + 1) & w->index_mask) {
        uint32_t at = w->index[slot] - 1;
        if (w->key_of[at] == key && !w->drop[at] && k2_row_number(w->rows, c, at) == number)
            return at;
    }
    return UINT32_MAX;
}
