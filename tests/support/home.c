/* home.c -- a whole K2 in a folder, and what must be true of its tables. */
#include "support/home.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/alloc.h"
#include "lake/table/read.h"

#define TOPIC  "market.equities.trades.simx"
#define DAY_US (20000ll * 86400000000ll)

enum fate {
    NEVER_SENT = 0,
    TRIED = 1 << 0,  /* an append of it failed, or has not been answered */
    ACKED = 1 << 1,  /* an append of it was acknowledged */
    BAD = 1 << 2,    /* it cannot become a row */
    GAP = 1 << 3,    /* it is left out when its turn comes */
    FILLED = 1 << 4, /* and sent later */
};

/* Very many files are made here and soon removed, and none needs to last; but a container may have
 * very little there. */
__attribute__((constructor)) static void live_in_memory(void) {
    struct statvfs room;
    bool has_room = statvfs("/dev/shm", &room) == 0 &&
                    (uint64_t)room.f_bavail * room.f_frsize >= (uint64_t)1 << 30;
    if (has_room && access("/dev/shm", W_OK) == 0)
        setenv("TMPDIR", "/dev/shm", 0);
}

void home_init(struct test_home *home, const char *dir) {
    *home = (struct test_home){.partitions = 3, .segment_bytes = 1 << 12, .commit_rows = 100};
    snprintf(home->dir, sizeof home->dir, "%s", dir);
    k2_clock_fake_init(&home->clock, (DAY_US + 3600000000ll) * 1000);
    home->batch = k2_batch_new(k2_schema_of(K2_TRADE), HOME_BATCH, &home->strings);
    home->book =
        mmap(NULL, sizeof *home->book, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (home->book == MAP_FAILED)
        abort();
    for (int s = 0; s < HOME_SYMBOLS; s++)
        home->book->next[s] = 1;
}

void home_done(struct test_home *home) {
    home_close(home);
    k2_batch_free(home->batch);
    k2_intern_done(&home->strings);
    munmap(home->book, sizeof *home->book);
}

bool home_open_log(struct test_home *home, struct k2_err *err) {
    char url[200];
    snprintf(url, sizeof url, "embedded:%s/registry", home->dir);
    home->registry = k2_registry_open(url, err);
    if (!home->registry)
        return false;
    snprintf(url, sizeof url, "embedded:%s/log", home->dir);
    struct k2_log_opts opts = {.url = url,
                               .partitions = (uint32_t)home->partitions,
                               .segment_bytes = home->segment_bytes,
                               .clock = &home->clock.clock,
                               .registry = home->registry};
    struct k2_topic_info info;
    home->log = k2_log_open(&opts, err);
    if (home->log && k2_log_topic(home->log, TOPIC, true, &info, err))
        return true;
    home_close(home);
    return false;
}

static struct k2_lake *open_lake(struct test_home *home, struct k2_err *err) {
    char warehouse[200], catalog[200];
    snprintf(warehouse, sizeof warehouse, "file:%s/warehouse", home->dir);
    snprintf(catalog, sizeof catalog, "sqlite:%s/catalog.db", home->dir);
    struct k2_lake_opts lake = {.warehouse = warehouse,
                                .catalog = catalog,
                                .catalog_name = "k2",
                                .clock = &home->clock.clock,
                                .previous_versions = 20,
                                .manifest_merge_count = 4};
    return k2_lake_open(&lake, err);
}

/* Another one most times, so that what changes it is failed, cut and killed like all else. */
static const char *partition_of(void *self, const char *table) {
    static const char *const specs[] = {"exchange, day(timestamp)", "day(timestamp), exchange",
                                        NULL};
    const struct test_home *home = self;
    return strcmp(table, "trades") == 0 ? specs[home->book->opens % (long)K2_COUNT(specs)] : NULL;
}

/* A setting differs each time, so that each run writes its state, and the next reads it back. */
static struct k2_pipeline *open_pipeline(struct test_home *home, struct k2_lake *lake,
                                         struct k2_err *err) {
    struct k2_pipeline_opts opts = {.lake = lake,
                                    .log = home->log,
                                    .registry = home->registry,
                                    .clock = &home->clock.clock,
                                    .writer = "test",
                                    .commit_rows = home->commit_rows,
                                    .commit_bytes = 1 << 26,
                                    .commit_age_ms = 1000,
                                    .gap_page = 10 + home->book->opens++ % 2,
                                    .gap_halt = 100,
                                    .future_ms = 60000,
                                    .price_move_ppm = 500000,
                                    .partition = partition_of,
                                    .settings = home,
                                    .seed = home->seed};
    return k2_pipeline_open(&opts, err);
}

bool home_open(struct test_home *home, struct k2_err *err) {
    if (home_open_log(home, err) && (home->lake = open_lake(home, err)) &&
        (home->pipeline = open_pipeline(home, home->lake, err)))
        return true;
    home_close(home);
    return false;
}

bool home_open_rival(struct test_home *home, struct k2_lake **ret_lake,
                     struct k2_pipeline **ret_pipeline, struct k2_err *err) {
    *ret_lake = open_lake(home, err);
    *ret_pipeline = *ret_lake ? open_pipeline(home, *ret_lake, err) : NULL;
    if (*ret_pipeline)
        return true;
    k2_lake_free(*ret_lake);
    *ret_lake = NULL;
    return false;
}

void home_close_rival(struct k2_lake *lake, struct k2_pipeline *pipeline) {
    k2_pipeline_free(pipeline);
    k2_lake_free(lake);
}

void home_close(struct test_home *home) {
    k2_pipeline_free(home->pipeline);
    k2_lake_free(home->lake);
    k2_log_free(home->log);
    k2_registry_free(home->registry);
    home->pipeline = NULL;
    home->lake = NULL;
    home->log = NULL;
    home->registry = NULL;
}

/* ---- trades ---- */

static int64_t price_of(int symbol, int64_t number) {
    return (1000 + symbol * 10 + number % 7) * 1000000;
}

static void put_row(struct test_home *home, int symbol, int64_t n) {
    struct k2_batch *b = home->batch;
    uint32_t row = b->rows++;
    char id[24], name[8];
    int len = snprintf(id, sizeof id, "%" PRId64, n);
    snprintf(name, sizeof name, "S%d", symbol);
    k2_batch_zero(b, row, 1);
    b->col[K2_TRADE_ID].span[row] = k2_batch_put(b, (struct k2_str){id, (size_t)len});
    b->col[K2_TRADE_SYMBOL].u32[row] = k2_intern_add(&home->strings, k2_str_of(name));
    b->col[K2_TRADE_EXCHANGE].u32[row] = k2_intern_add(&home->strings, K2_STR("SIMX"));
    b->col[K2_TRADE_CURRENCY].u32[row] = k2_intern_add(&home->strings, K2_STR("USD"));
    b->col[K2_TRADE_TIMESTAMP].i64[row] = DAY_US + n * 1000;
    b->col[K2_TRADE_INGESTION].i64[row] = DAY_US + n * 1000 + 500;
    b->col[K2_TRADE_PRICE].i64[row] = home->book->fate[symbol][n] & BAD ? 0 : price_of(symbol, n);
    b->col[K2_TRADE_QUANTITY].i64[row] = 100000000;
    b->col[K2_TRADE_SIDE].u8[row] = K2_BUY;
    b->col[K2_TRADE_SOURCE_SEQUENCE].i64[row] = n;
    b->col[K2_TRADE_SOURCE_SEQUENCE].valid[row] = 1;
}

static void put(struct test_home *home, int symbol, int64_t n) {
    struct test_book *book = home->book;
    book->in_batch[book->batch_rows].symbol = symbol;
    book->in_batch[book->batch_rows++].number = (int)n;
    put_row(home, symbol, n); /* it allocates: what dies of that has it in the book */
}

/* The next number of a symbol: one in 31 is left out, every other of those comes ten later. */
static void put_next(struct test_home *home, int symbol) {
    int64_t n = home->book->next[symbol]++;
    if (n >= HOME_NUMBERS)
        abort();
    if (n % 31 == 17) {
        home->book->fate[symbol][n] |= GAP;
        n = home->book->next[symbol]++;
    }
    if (n % 43 == 29)
        home->book->fate[symbol][n] |= BAD;
    put(home, symbol, n);
    if (n > 10 && (n - 10) % 62 == 17) {
        home->book->fate[symbol][n - 10] |= FILLED;
        put(home, symbol, n - 10);
    }
}

void home_fill(struct test_home *home, int rows) {
    for (int i = 0; i < rows; i++)
        put_next(home, i % HOME_SYMBOLS);
}

void home_resume(struct test_home *home) {
    k2_batch_clear(home->batch);
    for (int i = 0; i < home->book->batch_rows; i++)
        put_row(home, home->book->in_batch[i].symbol, home->book->in_batch[i].number);
}

bool home_append(struct test_home *home, struct k2_err *err) {
    for (int i = 0; i < home->book->batch_rows; i++)
        home->book->fate[home->book->in_batch[i].symbol][home->book->in_batch[i].number] |= TRIED;
    if (!k2_log_append(home->log, TOPIC, home->batch, err))
        return false;
    for (int i = 0; i < home->book->batch_rows; i++)
        home->book->fate[home->book->in_batch[i].symbol][home->book->in_batch[i].number] |= ACKED;
    k2_batch_clear(home->batch);
    home->book->batch_rows = 0;
    return true;
}

bool home_settle(struct test_home *home, struct k2_err *err) {
    for (int64_t moved = 1; moved;)
        K2_TRY(k2_pipeline_step(home->pipeline, &moved, err));
    K2_TRY(k2_pipeline_flush(home->pipeline, err));
    return !k2_pipeline_stopped(home->pipeline, err);
}

bool home_trim(struct test_home *home, struct k2_err *err) {
    int64_t bytes;
    return k2_pipeline_trim(home->lake, home->log, TOPIC, true, &bytes, err);
}

/* ---- checks ---- */

struct seen {
    struct test_home *home;
    uint8_t rows[HOME_SYMBOLS][HOME_NUMBERS], gaps[HOME_SYMBOLS][HOME_NUMBERS];
    uint8_t fills[HOME_SYMBOLS][HOME_NUMBERS];
    int64_t *places; /* log partition and offset of dead letters */
    int place_count;
};

static int symbol_of(struct k2_str name) {
    return name.len == 2 && name.ptr[0] == 'S' ? name.ptr[1] - '0' : -1;
}

static bool see_trades(void *self, const struct k2_batch *rows) {
    struct seen *seen = self;
    for (uint32_t i = 0; i < rows->rows; i++) {
        int symbol = symbol_of(k2_batch_text(rows, K2_TRADE_SYMBOL, i));
        int64_t n = rows->col[K2_TRADE_SOURCE_SEQUENCE].i64[i];
        HOME_CHECK(seen->home, symbol >= 0 && symbol < HOME_SYMBOLS && n > 0 && n < HOME_NUMBERS);
        HOME_CHECK(seen->home, rows->col[K2_TRADE_PRICE].i64[i] == price_of(symbol, n));
        seen->rows[symbol][n]++;
    }
    return true;
}

static bool see_gaps(void *self, const struct k2_batch *rows) {
    struct seen *seen = self;
    for (uint32_t i = 0; i < rows->rows; i++) {
        int symbol = symbol_of(k2_batch_text(rows, K2_GAP_SYMBOL, i));
        int64_t n = rows->col[K2_GAP_FIRST_MISSING].i64[i];
        HOME_CHECK(seen->home, symbol >= 0 && symbol < HOME_SYMBOLS && n > 0 && n < HOME_NUMBERS);
        HOME_CHECK(seen->home, rows->col[K2_GAP_LAST_MISSING].i64[i] == n);
        seen->gaps[symbol][n]++;
    }
    return true;
}

static bool see_fills(void *self, const struct k2_batch *rows) {
    struct seen *seen = self;
    for (uint32_t i = 0; i < rows->rows; i++) {
        struct k2_str id = k2_batch_text(rows, K2_GAP_EVENT_GAP_ID, i); /* SIMX.S1.trades.17 */
        int64_t n = rows->col[K2_GAP_EVENT_FIRST].i64[i];
        int symbol = id.len > 7 ? id.ptr[6] - '0' : -1;
        HOME_CHECK(seen->home, symbol >= 0 && symbol < HOME_SYMBOLS && n > 0 && n < HOME_NUMBERS);
        seen->fills[symbol][n]++;
    }
    return true;
}

static bool see_dead(void *self, const struct k2_batch *rows) {
    struct seen *seen = self;
    for (uint32_t i = 0; i < rows->rows; i++) {
        int64_t place = (int64_t)rows->col[K2_DEAD_LOG_PARTITION].i32[i] << 40 |
                        rows->col[K2_DEAD_LOG_OFFSET].i64[i];
        for (int j = 0; j < seen->place_count; j++)
            HOME_CHECK(seen->home, seen->places[j] != place);
        seen->places = k2_realloc(seen->places, sizeof(int64_t) * (size_t)(seen->place_count + 1));
        seen->places[seen->place_count++] = place;
    }
    return true;
}

static void say_broken(void *self, bool is_note, const char *table, const char *text) {
    struct test_home *home = self;
    if (!is_note)
        print_message("%s: %s: %s\n", home->label, table, text);
}

static const struct {
    const char *table;
    enum k2_kind kind;
    k2_rows_fn *see;
} tables[] = {{"market_data.trades", K2_TRADE, see_trades},
              {"ops.gaps", K2_GAP, see_gaps},
              {"ops.gap_events", K2_GAP_EVENT, see_fills},
              {"ops.dead_letters", K2_DEAD_LETTER, see_dead}};

struct pinned {
    const struct k2_metadata *metadata[K2_COUNT(tables)];
};

/* All tables as of one moment. */
static struct pinned pin(struct test_home *home) {
    const char *names[K2_COUNT(tables)];
    struct pinned pinned = {0};
    struct k2_err err = {0};
    for (size_t i = 0; i < K2_COUNT(tables); i++)
        names[i] = tables[i].table;
    HOME_OK(home, k2_lake_load(home->lake, names, K2_COUNT(tables), pinned.metadata, &err));
    for (size_t i = 0; i < K2_COUNT(tables); i++)
        HOME_CHECK(home, pinned.metadata[i] != NULL);
    return pinned;
}

static void unpin(struct pinned *pinned) {
    for (size_t i = 0; i < K2_COUNT(tables); i++)
        k2_metadata_unref(pinned->metadata[i]);
}

static bool read_tables(struct test_home *home, struct seen *seen, struct k2_err *err) {
    struct pinned pinned = pin(home);
    bool ok = true;
    for (size_t i = 0; ok && i < K2_COUNT(tables); i++) {
        struct k2_intern strings = {0};
        struct k2_read_opts read = {.metadata = pinned.metadata[i],
                                    .schema = k2_schema_of(tables[i].kind),
                                    .columns = ~0u,
                                    .strings = &strings};
        ok = k2_table_read(home->lake, &read, tables[i].see, seen, err);
        k2_intern_done(&strings);
    }
    unpin(&pinned);
    return ok;
}

bool home_read(struct test_home *home, struct k2_err *err) {
    struct seen *seen = k2_new(struct seen);
    seen->home = home;
    bool ok = read_tables(home, seen, err);
    k2_free(seen->places);
    k2_free(seen);
    return ok;
}

int64_t home_verify(struct test_home *home) {
    struct k2_verify_result result = {0};
    struct k2_verify_opts opts = {.report = say_broken, .self = home};
    struct k2_err err = {0};
    struct pinned pinned = pin(home);
    HOME_OK(home,
            k2_lake_verify(home->lake, pinned.metadata, K2_COUNT(tables), &opts, &result, &err));
    unpin(&pinned);
    return result.broken;
}

/* How often the ledgers must hold a number follows from the last acknowledged one. */
static void check_number(struct test_home *home, const struct seen *seen, int s, int n,
                         int last_acked, int *dead_min) {
    unsigned fate = home->book->fate[s][n];
    int rows = seen->rows[s][n], gaps = seen->gaps[s][n], fills = seen->fills[s][n];
    bool is_sent = fate & (TRIED | ACKED), is_bad = fate & BAD;
    if (rows > 1 || gaps > 1 || fills > 1)
        fail_msg("%s: S%d number %d: %d rows, %d gaps, %d fills", home->label, s, n, rows, gaps,
                 fills);
    if (rows && (!is_sent || is_bad))
        fail_msg("%s: S%d number %d is in the table but was never good", home->label, s, n);
    if ((fate & ACKED) && !is_bad && !rows)
        fail_msg("%s: S%d number %d was acknowledged and is lost", home->label, s, n);
    if (gaps && !(fate & GAP))
        fail_msg("%s: S%d number %d is a gap that never was", home->label, s, n);
    if ((fate & GAP) && n < last_acked && !gaps)
        fail_msg("%s: the gap at S%d number %d is lost", home->label, s, n);
    if (fills != (rows && (fate & GAP)))
        fail_msg("%s: the fill of S%d number %d is there %d times", home->label, s, n, fills);
    *dead_min += (fate & ACKED) && is_bad;
}

void home_check(struct test_home *home) {
    struct seen *seen = k2_new(struct seen);
    struct k2_err err = {0};
    int dead_min = 0;
    seen->home = home;
    HOME_OK(home, read_tables(home, seen, &err));
    HOME_CHECK(home, home_verify(home) == 0);
    for (int s = 0; s < HOME_SYMBOLS; s++) {
        int last = 0;
        for (int n = 1; n < HOME_NUMBERS; n++)
            last = home->book->fate[s][n] & ACKED ? n : last;
        for (int n = 1; n < HOME_NUMBERS; n++)
            check_number(home, seen, s, n, last, &dead_min);
    }
    if (seen->place_count < dead_min)
        fail_msg("%s: %d dead letters, at least %d were sent", home->label, seen->place_count,
                 dead_min);
    k2_free(seen->places);
    k2_free(seen);
}

void home_check_after_death(struct test_home *home) {
    struct k2_err err = {0};
    home_resume(home);
    HOME_OK(home, home_open(home, &err));
    if (home->book->batch_rows)
        HOME_OK(home, home_append(home, &err));
    HOME_OK(home, home_settle(home, &err));
    home_check(home);
    home_close(home);
}

static bool add_position(void *self, struct k2_str topic, int log_partition,
                         const struct k2_position *position) {
    (void)topic, (void)log_partition;
    *(int64_t *)self += position->next;
    return true;
}

int64_t home_position(struct test_home *home) {
    const char *table = "market_data.trades";
    const struct k2_metadata *metadata = NULL;
    struct k2_err err = {0};
    int64_t sum = 0;
    HOME_OK(home, k2_lake_load(home->lake, &table, 1, &metadata, &err));
    HOME_OK(home, k2_position_each(metadata, add_position, &sum, &err));
    k2_metadata_unref(metadata);
    return sum;
}
