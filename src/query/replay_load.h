/* replay_load.h -- the loader of a replay from within: what fills windows, and what reads files.
 * Private to query. */
#ifndef K2_QUERY_REPLAY_LOAD_H
#define K2_QUERY_REPLAY_LOAD_H

#include "query/digest.h"
#include "query/replay_impl.h"

/* Rows by time: counts[i] of them in [low + i * width, low + (i + 1) * width). */
enum { K2_TIMES = 1 << 16 };
struct k2_times {
    int64_t low, high;
    uint64_t width;
    uint32_t count, *counts;
};

struct k2_loader {
    const struct k2_replay_opts *opts;
    const struct k2_metadata *metadata;
    const struct k2_kind_columns *c;
    uint32_t columns; /* that are read */
    struct k2_replay_file *files;
    int file_count, pending; /* files[0, pending) have something left, in the order of it */
    uint32_t rows_max;
    size_t text_max;
    bool is_over;       /* a window met more text than it may hold */
    int64_t emitted_us; /* what lies before it is in windows that are ready */
    struct k2_window windows[2], *before;
    struct k2_times times;
    struct k2_buf sort_scratch;
    struct k2_batch *scratch; /* one row group, of which some rows are taken */
    uint32_t *picked;         /* those rows */
    uint8_t *wanted[2];       /* by window and symbol code: 0 unknown, 1 yes, 2 no */
    uint32_t wanted_cap[2];
    struct k2_ring free, full;
    struct k2_agent agent;
    struct k2_agents *thread;
    atomic_bool stop, has_failed;
    struct k2_err err;
    void *memory;
};

/* Adds the rows of file in [its done_us, until_us) that were asked for. Stops early, with is_over
 * set, when the text does not fit. CORRUPT for a file that does not hold what its manifest says. */
bool k2_loader_read(struct k2_loader *loader, struct k2_window *window, struct k2_replay_file *file,
                    int64_t until_us, struct k2_err *err) K2_MUST;
/* Counts those of them that lie in the range of loader->times. */
bool k2_loader_count(struct k2_loader *loader, struct k2_window *window,
                     struct k2_replay_file *file, struct k2_err *err) K2_MUST;

/* Appends rows of src to dst, which has room: the columns asked for. */
void k2_copy_rows(struct k2_batch *dst, const struct k2_batch *src, const uint32_t *rows,
                  uint32_t count, uint32_t columns);

static inline int64_t k2_floor_us(int64_t ns) {
    return ns / 1000 - (ns % 1000 < 0);
}

#endif
