/* replay_load.c -- fills windows: which files to read next, how far, and what is carried over.
 *
 * The usual case reads each file once: files are taken by their first moment until a window holds
 * enough, all rows before the first moment of the next file are ready, and the few behind it are
 * carried into the next window. Where so many files overlap that they do not fit in memory, time is
 * cut into slices that do: rows are counted by time first, then each slice is read out of all
 * files, some of them several times.
 */
#include <stdlib.h>
#include <sys/mman.h>

#include "base/alloc.h"
#include "lake/table/read.h"
#include "query/replay_load.h"

#define MEMORY_DEFAULT (512ll << 20)
enum {
    ROWS_WANTED = 1 << 18, /* a window is not made larger than this without need */
    ROWS_LEAST = 256,      /* nor smaller, for want of memory */
    TEXT_PER_ROW = 32,     /* bytes of text a row is expected to have at most */
    ROW_EXTRA = 8 + 4 + 6, /* time, order, and half of what sorting them takes */
};

/* ---- how much fits ---- */

static uint32_t row_bytes(const struct k2_schema *schema, uint32_t columns) {
    size_t bytes = ROW_EXTRA + TEXT_PER_ROW;
    for (int i = 0; i < schema->column_count; i++)
        if (columns >> i & 1)
            bytes += k2_type_width(schema->columns[i].type) + !schema->columns[i].is_required;
    return (uint32_t)bytes;
}

/* Rows are emitted in an order that leaps about in these arrays: with small pages each leap is a
 * miss in the tables of pages, too. Only advice: where it is not taken, things are slower. */
static void advise_large_pages(void *start, const void *end) {
    uintptr_t page = 2u << 20, from = ((uintptr_t)start + page - 1) & ~(page - 1);
    uintptr_t until = (uintptr_t)end & ~(page - 1);
    if (from < until)
        (void)madvise((void *)from, until - from, MADV_HUGEPAGE);
}

static void make_window(struct k2_loader *l, struct k2_window *w) {
    size_t rows = l->rows_max;
    w->batch = k2_batch_new(l->opts->schema, l->rows_max, w->strings);
    w->ts = k2_alloc(rows * sizeof *w->ts);
    w->order = k2_alloc(rows * sizeof *w->order);
    k2_buf_reserve(&w->batch->text, l->text_max);
    advise_large_pages(w->batch->memory, w->batch->log_time_us + rows);
    advise_large_pages(w->ts, w->ts + rows);
    advise_large_pages(w->order, w->order + rows);
    advise_large_pages(w->batch->text.ptr, w->batch->text.ptr + l->text_max);
}

static void size_windows(struct k2_loader *l) {
    int64_t memory = l->opts->memory ? l->opts->memory : MEMORY_DEFAULT, total = 0;
    for (int i = 0; i < l->file_count; i++)
        total += l->files[i].rows;
    int64_t rows = memory / 2 / row_bytes(l->opts->schema, l->columns);
    rows = K2_MAX(K2_MIN(rows, K2_MIN(total, (int64_t)1 << 31)), ROWS_LEAST);
    l->rows_max = (uint32_t)rows;
    l->text_max = (size_t)rows * TEXT_PER_ROW;
    for (int i = 0; i < 2; i++)
        make_window(l, &l->windows[i]);
}

/* ---- files in the order of what is left of them ---- */

static int64_t next_us(const struct k2_replay_file *f) {
    return K2_MAX(f->low_us, f->done_us);
}

static int by_next(const void *a, const void *b) {
    const struct k2_replay_file *x = a, *y = b;
    int64_t p = next_us(x), q = next_us(y);
    return p != q ? (p < q ? -1 : 1) : k2_str_cmp(x->uri, y->uri);
}

static void sort_files(struct k2_loader *l) {
    qsort(l->files, (size_t)l->file_count, sizeof *l->files, by_next);
    l->pending = l->file_count;
    while (l->pending && l->files[l->pending - 1].done_us == INT64_MAX)
        l->pending--;
}

/* Everything that was read but not emitted will be read again. */
static void forget_carried(struct k2_loader *l) {
    l->before = NULL;
    for (int i = 0; i < l->file_count; i++) {
        struct k2_replay_file *f = &l->files[i];
        if (f->high_us >= l->emitted_us)
            f->done_us = K2_MIN(f->done_us, l->emitted_us);
    }
    sort_files(l);
}

static uint32_t carried_rows(const struct k2_loader *l) {
    return l->before ? l->before->count - l->before->ready : 0;
}

/* How many carried rows lie before a moment. */
static uint32_t carried_before(const struct k2_loader *l, int64_t us) {
    if (!l->before)
        return 0;
    uint32_t low = l->before->ready, high = l->before->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (k2_floor_us(l->before->ts[middle]) < us)
            low = middle + 1;
        else
            high = middle;
    }
    return low - l->before->ready;
}

/* The rows of a file before a moment, were they spread evenly. */
static double rows_before(const struct k2_replay_file *f, int64_t us) {
    if (f->high_us < us)
        return (double)f->rows;
    double low = (double)f->low_us, high = (double)f->high_us;
    return (double)f->rows * ((double)us - low) / (high - low + 1);
}

/* ---- whole files ---- */

/* What reading the first files whole would give. */
struct reach {
    int files;
    double ready;   /* rows, about */
    int64_t loaded; /* rows */
    int64_t end_us; /* of what is ready */
};

static double ready_of(const struct k2_loader *l, const struct reach *r) {
    double ready = carried_before(l, r->end_us);
    for (int i = 0; i < r->files; i++)
        ready += rows_before(&l->files[i], r->end_us);
    return ready;
}

static struct reach reach_of(const struct k2_loader *l) {
    struct reach r = {.loaded = carried_rows(l), .end_us = INT64_MAX};
    while (r.files < l->pending && r.loaded + l->files[r.files].rows <= l->rows_max) {
        r.loaded += l->files[r.files++].rows;
        if (r.loaded < ROWS_WANTED || r.files == l->pending)
            continue;
        r.end_us = next_us(&l->files[r.files]);
        r.ready = ready_of(l, &r);
        if (r.ready * 2 >= (double)r.loaded)
            return r;
    }
    r.end_us = r.files < l->pending ? next_us(&l->files[r.files]) : INT64_MAX;
    r.ready = ready_of(l, &r);
    return r;
}

static bool is_worthwhile(const struct reach *r) {
    return r->end_us == INT64_MAX || (r->files && r->ready * 8 >= (double)r->loaded);
}

static void carry_over(struct k2_loader *l, struct k2_window *w) {
    uint32_t count = carried_rows(l);
    if (!count)
        return;
    const struct k2_window *from = l->before;
    k2_copy_rows(w->batch, from->batch, from->order + from->ready, count, l->columns);
    for (uint32_t i = 0; i < count; i++)
        w->order[i] = i;
    memcpy(w->ts, from->ts + from->ready, count * sizeof *w->ts);
    w->count = count;
}

static bool read_whole(struct k2_loader *l, struct k2_window *w, const struct reach *r,
                       struct k2_err *err) {
    carry_over(l, w);
    for (int i = 0; i < r->files && !l->is_over; i++) {
        K2_TRY(k2_loader_read(l, w, &l->files[i], INT64_MAX, err));
        l->files[i].done_us = INT64_MAX;
    }
    return true;
}

/* ---- slices of many files ---- */

static bool count_times(struct k2_loader *l, struct k2_window *w, int64_t low, int64_t high,
                        struct k2_err *err) {
    struct k2_times *t = &l->times;
    uint64_t range = (uint64_t)high - (uint64_t)low;
    if (!t->counts)
        t->counts = k2_new_array(uint32_t, K2_TIMES);
    memset(t->counts, 0, K2_TIMES * sizeof *t->counts);
    t->low = low;
    t->high = high;
    t->width = range / K2_TIMES + 1;
    t->count = (uint32_t)(range / t->width) + 1;
    for (int i = 0; i < l->pending && next_us(&l->files[i]) <= high; i++)
        K2_TRY(k2_loader_count(l, w, &l->files[i], err));
    return true;
}

/* From the first row on as far as files overlap, each the next. */
static bool count_overlapping(struct k2_loader *l, struct k2_window *w, struct k2_err *err) {
    int64_t low = next_us(&l->files[0]), high = low;
    for (int i = 0; i < l->pending && next_us(&l->files[i]) <= high; i++)
        high = K2_MAX(high, l->files[i].high_us);
    return count_times(l, w, low, high, err);
}

static int64_t time_of(const struct k2_times *t, uint32_t place) {
    return (int64_t)((uint64_t)t->low + place * t->width);
}

/* A moment before which at most rows_max rows are left. Counts that are too coarse are made finer
 * around the first rows: each round looks at one part in 2^16, so there are four at most. */
static bool cut_time(struct k2_loader *l, struct k2_window *w, int64_t *ret_us,
                     struct k2_err *err) {
    struct k2_times *t = &l->times;
    int64_t first = next_us(&l->files[0]);
    if (!t->counts || first < t->low || first > t->high)
        K2_TRY(count_overlapping(l, w, err));
    for (;;) {
        uint32_t place = (uint32_t)(((uint64_t)first - (uint64_t)t->low) / t->width), rows = 0;
        while (place < t->count && t->counts[place] <= l->rows_max - rows)
            rows += t->counts[place++];
        if (place == t->count) {
            *ret_us = t->high == INT64_MAX ? INT64_MAX : t->high + 1;
            return true;
        }
        *ret_us = time_of(t, place);
        if (rows)
            return true;
        if (t->width == 1)
            return k2_err_set(err, K2_LIMIT,
                              "%u rows have the same time, more than replay.memory holds; raise it",
                              t->counts[place]);
        first = time_of(t, place);
        K2_TRY(count_times(l, w, first, time_of(t, place + 1) - 1, err));
    }
}

static bool read_slice(struct k2_loader *l, struct k2_window *w, int64_t end_us,
                       struct k2_err *err) {
    for (int i = 0; i < l->pending && next_us(&l->files[i]) < end_us && !l->is_over; i++) {
        struct k2_replay_file *f = &l->files[i];
        K2_TRY(k2_loader_read(l, w, f, end_us, err));
        f->done_us = f->high_us < end_us ? INT64_MAX : end_us;
    }
    return true;
}

/* ---- windows ---- */

/* Rows with more text than expected: fewer of them from here on. */
static bool shrink(struct k2_loader *l, struct k2_err *err) {
    if (l->rows_max <= ROWS_LEAST)
        return k2_err_set(err, K2_LIMIT, "a few rows hold more text than replay.memory; raise it");
    l->rows_max = K2_MAX(l->rows_max / 2, (uint32_t)ROWS_LEAST);
    l->is_over = false;
    forget_carried(l);
    return true;
}

static void clear(struct k2_window *w) {
    k2_batch_clear(w->batch);
    w->count = w->ready = 0;
}

/* Reads what the window is to hold; *ret_end_us: what lies before it is ready. */
static bool read_window(struct k2_loader *l, struct k2_window *w, int64_t *ret_end_us,
                        struct k2_err *err) {
    for (;;) {
        clear(w);
        sort_files(l);
        struct reach r = reach_of(l);
        *ret_end_us = r.end_us;
        if (is_worthwhile(&r)) {
            K2_TRY(read_whole(l, w, &r, err));
        } else {
            forget_carried(l);
            K2_TRY(cut_time(l, w, ret_end_us, err));
            K2_TRY(read_slice(l, w, *ret_end_us, err));
        }
        if (!l->is_over)
            return true;
        K2_TRY(shrink(l, err));
    }
}

static bool fill(struct k2_loader *l, struct k2_window *w, struct k2_err *err) {
    int64_t end_us;
    K2_TRY(read_window(l, w, &end_us, err));
    k2_window_sort(w, l->c, &l->sort_scratch);
    l->before = w;
    w->ready = end_us == INT64_MAX ? w->count : carried_before(l, end_us);
    l->emitted_us = end_us;
    sort_files(l);
    w->is_last = !l->pending && w->ready == w->count;
    return true;
}

/* ---- the thread ---- */

static int work(void *self) {
    struct k2_loader *l = self;
    struct k2_window *w = k2_ring_pop(&l->free);
    if (!w)
        return 0;
    if (!fill(l, w, &l->err)) {
        atomic_store(&l->has_failed, true);
        return -1;
    }
    bool is_last = w->is_last; /* the window is the other thread's once it is pushed */
    bool is_pushed = k2_ring_push(&l->full, w);
    K2_ASSERT(is_pushed);
    return is_last ? -1 : 1;
}

struct k2_loader *k2_loader_new(const struct k2_replay_opts *opts,
                                const struct k2_metadata *metadata, struct k2_replay_file *files,
                                int count, struct k2_intern strings[2]) {
    /* Rings keep to cache lines of their own, and the heap does not. */
    enum { LINE = 64 };
    void *memory = k2_calloc(1, sizeof(struct k2_loader) + LINE);
    struct k2_loader *l = (void *)(((uintptr_t)memory + LINE - 1) & ~(uintptr_t)(LINE - 1));
    l->memory = memory;
    l->opts = opts;
    l->metadata = metadata;
    l->c = &k2_kind_columns[opts->schema->kind];
    l->columns = opts->reads_all ? ~0u : k2_digest_columns(opts->schema);
    l->files = files;
    l->file_count = count;
    l->emitted_us = INT64_MIN;
    k2_ring_init(&l->free, 2);
    k2_ring_init(&l->full, 2);
    for (int i = 0; i < 2; i++) {
        l->windows[i].strings = &strings[i];
        bool is_pushed = k2_ring_push(&l->free, &l->windows[i]);
        K2_ASSERT(is_pushed);
    }
    size_windows(l);
    return l;
}

bool k2_loader_start(struct k2_loader *l, struct k2_err *err) {
    l->agent = (struct k2_agent){"replay-load", work, l};
    return k2_agents_start(&l->agent, 1, &l->stop, &l->thread, err);
}

struct k2_window *k2_loader_take(struct k2_loader *l, bool *ret_failed) {
    *ret_failed = atomic_load(&l->has_failed);
    return k2_ring_pop(&l->full);
}

void k2_loader_return(struct k2_loader *l, struct k2_window *window) {
    bool is_pushed = k2_ring_push(&l->free, window);
    K2_ASSERT(is_pushed);
}

bool k2_loader_stop(struct k2_loader *l, struct k2_err *err) {
    atomic_store(&l->stop, true);
    k2_agents_stop(l->thread);
    l->thread = NULL;
    if (atomic_load(&l->has_failed)) {
        *err = l->err;
        return false;
    }
    return true;
}

void k2_loader_free(struct k2_loader *l) {
    if (!l)
        return;
    k2_agents_stop(l->thread);
    for (int i = 0; i < 2; i++) {
        k2_batch_free(l->windows[i].batch);
        k2_free(l->windows[i].ts);
        k2_free(l->windows[i].order);
        k2_free(l->wanted[i]);
    }
    k2_batch_free(l->scratch);
    k2_free(l->picked);
    k2_free(l->times.counts);
    k2_buf_done(&l->sort_scratch);
    k2_ring_done(&l->free);
    k2_ring_done(&l->full);
    k2_free(l->memory);
}
