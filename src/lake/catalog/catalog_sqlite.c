/* catalog_sqlite.c -- Iceberg's SQL catalog in a SQLite file.
 *
 *   iceberg_tables(catalog_name, table_namespace, table_name, metadata_location,
 *                  previous_metadata_location, iceberg_type)          V0 has no iceberg_type
 *   iceberg_namespace_properties(catalog_name, namespace, property_key, property_value)
 *
 * A namespace is there because of its row ('exists', 'true'). Rows whose iceberg_type is 'VIEW' are
 * never read or moved.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

#include <sqlite3.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/file.h"
#include "lake/catalog/catalog_impl.h"

enum {
    BUSY_TIMEOUT_MS = 30000,  /* for another process's transaction */
    QUEUE_TIMEOUT_MS = 60000, /* for the committers before us */
};

struct sqlite_catalog {
    struct k2_catalog catalog;
    pthread_mutex_t lock; /* guards db */
    sqlite3 *db;
    char *path, *catalog_name;
    bool has_type;              /* layout V1 */
    pthread_mutex_t queue_lock; /* held from queue to leave: flock does not keep threads apart */
    int queue_fd;
};

static struct sqlite_catalog *sqlite_of(struct k2_catalog *catalog) {
    return (struct sqlite_catalog *)catalog;
}

static bool failed(struct sqlite_catalog *c, const char *what, struct k2_err *err) {
    int code = c->db ? sqlite3_errcode(c->db) & 0xff : SQLITE_NOMEM;
    bool busy = code == SQLITE_BUSY || code == SQLITE_LOCKED;
    bool broken = code == SQLITE_CORRUPT || code == SQLITE_NOTADB;
    enum k2_code kind = busy                      ? K2_UNAVAILABLE
                        : broken                  ? K2_CORRUPT
                        : code == SQLITE_FULL     ? K2_LIMIT
                        : code == SQLITE_READONLY ? K2_DENIED
                                                  : K2_IO;
    k2_err_set(err, kind, "catalog %s: %s: %s", c->path, what,
               c->db ? sqlite3_errmsg(c->db) : "out of memory");
    if (err && busy)
        err->retriable = true;
    return false;
}

static bool run(struct sqlite_catalog *c, const char *sql, struct k2_err *err) {
    return sqlite3_exec(c->db, sql, NULL, NULL, NULL) == SQLITE_OK || failed(c, sql, err);
}

/* A statement with its first texts bound. NULL with an error. */
static sqlite3_stmt *prepare(struct sqlite_catalog *c, const char *sql, const struct k2_str *texts,
                             int count, struct k2_err *err) {
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(c->db, sql, -1, &statement, NULL);
    for (int i = 0; code == SQLITE_OK && i < count; i++)
        code = sqlite3_bind_text(statement, i + 1, texts[i].ptr, (int)texts[i].len, SQLITE_STATIC);
    if (code == SQLITE_OK)
        return statement;
    failed(c, "prepare", err);
    sqlite3_finalize(statement);
    return NULL;
}

/* Runs a statement that gives no rows; tells how many it changed. */
static bool change(struct sqlite_catalog *c, const char *sql, const struct k2_str *texts, int count,
                   int *ret_changed, struct k2_err *err) {
    sqlite3_stmt *statement = prepare(c, sql, texts, count, err);
    if (!statement)
        return false;
    bool ok = sqlite3_step(statement) == SQLITE_DONE || failed(c, "change a row", err);
    sqlite3_finalize(statement);
    if (ok)
        *ret_changed = sqlite3_changes(c->db);
    return ok;
}

/* ---- load and list ---- */
static bool load_one(struct sqlite_catalog *c, const struct k2_table_name *name,
                     struct k2_buf *location, struct k2_err *err) {
    const char *sql = c->has_type
                          ? "SELECT metadata_location FROM iceberg_tables WHERE catalog_name = ?1 "
                            "AND table_namespace = ?2 AND table_name = ?3 "
                            "AND (iceberg_type = 'TABLE' OR iceberg_type IS NULL)"
                          : "SELECT metadata_location FROM iceberg_tables WHERE catalog_name = ?1 "
                            "AND table_namespace = ?2 AND table_name = ?3";
    struct k2_str texts[] = {k2_str_of(c->catalog_name), name->space, name->name};
    sqlite3_stmt *statement = prepare(c, sql, texts, 3, err);
    if (!statement)
        return false;
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW && sqlite3_column_text(statement, 0))
        k2_buf_append(location, sqlite3_column_text(statement, 0),
                      (size_t)sqlite3_column_bytes(statement, 0));
    bool ok = code == SQLITE_ROW || code == SQLITE_DONE || failed(c, "read a table's row", err);
    sqlite3_finalize(statement);
    return ok;
}

static bool sqlite_load(struct k2_catalog *catalog, const struct k2_table_name *names,
                        struct k2_pointer *pointers, int count, struct k2_err *err) {
    struct sqlite_catalog *c = sqlite_of(catalog);
    pthread_mutex_lock(&c->lock);
    bool ok = run(c, "BEGIN", err);
    bool begun = ok;
    for (int i = 0; ok && i < count; i++)
        ok = load_one(c, &names[i], &pointers[i].location, err);
    if (begun)
        sqlite3_exec(c->db, "COMMIT", NULL, NULL, NULL); /* reads only: nothing to lose */
    pthread_mutex_unlock(&c->lock);
    return ok;
}

struct row {
    char *table, *location;
};

static bool sqlite_list(struct k2_catalog *catalog, k2_table_fn *each, void *self,
                        struct k2_err *err) {
    struct sqlite_catalog *c = sqlite_of(catalog);
    const char *sql = c->has_type
                          ? "SELECT table_namespace || '.' || table_name, metadata_location FROM "
                            "iceberg_tables WHERE catalog_name = ?1 AND (iceberg_type = 'TABLE' OR "
                            "iceberg_type IS NULL) ORDER BY table_namespace, table_name"
                          : "SELECT table_namespace || '.' || table_name, metadata_location FROM "
                            "iceberg_tables WHERE catalog_name = ?1 "
                            "ORDER BY table_namespace, table_name";
    struct k2_str name = k2_str_of(c->catalog_name);
    struct k2_arena arena = {0};
    struct row *rows = NULL;
    size_t count = 0, cap = 0;
    pthread_mutex_lock(&c->lock);
    sqlite3_stmt *statement = prepare(c, sql, &name, 1, err);
    int code = SQLITE_ERROR;
    while (statement && (code = sqlite3_step(statement)) == SQLITE_ROW) {
        if (count == cap) {
            cap = cap ? cap * 2 : 16;
            rows = k2_realloc(rows, cap * sizeof *rows);
        }
        const char *table = (const char *)sqlite3_column_text(statement, 0);
        const char *location = (const char *)sqlite3_column_text(statement, 1);
        rows[count++] = (struct row){k2_arena_strdup(&arena, table ? table : ""),
                                     k2_arena_strdup(&arena, location ? location : "")};
    }
    bool ok = statement && (code == SQLITE_DONE || failed(c, "list tables", err));
    sqlite3_finalize(statement);
    pthread_mutex_unlock(&c->lock);
    for (size_t i = 0; ok && i < count; i++)
        if (!each(self, rows[i].table, rows[i].location))
            break;
    k2_free(rows);
    k2_arena_done(&arena);
    return ok;
}

/* ---- swap and drop ---- */
static bool insert_row(struct sqlite_catalog *c, const struct k2_named_swap *swap, int *ret_changed,
                       struct k2_err *err) {
    struct k2_str space[] = {k2_str_of(c->catalog_name), swap->table.space};
    int changed;
    K2_TRY(change(c,
                  "INSERT OR IGNORE INTO iceberg_namespace_properties(catalog_name, namespace, "
                  "property_key, property_value) VALUES (?1, ?2, 'exists', 'true')",
                  space, 2, &changed, err));
    const char *sql = c->has_type
                          ? "INSERT OR IGNORE INTO iceberg_tables(catalog_name, table_namespace, "
                            "table_name, metadata_location, iceberg_type) "
                            "VALUES (?1, ?2, ?3, ?4, 'TABLE')"
                          : "INSERT OR IGNORE INTO iceberg_tables(catalog_name, table_namespace, "
                            "table_name, metadata_location) VALUES (?1, ?2, ?3, ?4)";
    struct k2_str texts[] = {space[0], swap->table.space, swap->table.name, k2_str_of(swap->to)};
    return change(c, sql, texts, 4, ret_changed, err);
}

static bool update_row(struct sqlite_catalog *c, const struct k2_named_swap *swap, int *ret_changed,
                       struct k2_err *err) {
    const char *sql = c->has_type
                          ? "UPDATE iceberg_tables SET metadata_location = ?4, "
                            "previous_metadata_location = ?5 WHERE catalog_name = ?1 AND "
                            "table_namespace = ?2 AND table_name = ?3 AND metadata_location = ?5 "
                            "AND (iceberg_type = 'TABLE' OR iceberg_type IS NULL)"
                          : "UPDATE iceberg_tables SET metadata_location = ?4, "
                            "previous_metadata_location = ?5 WHERE catalog_name = ?1 AND "
                            "table_namespace = ?2 AND table_name = ?3 AND metadata_location = ?5";
    struct k2_str texts[] = {k2_str_of(c->catalog_name), swap->table.space, swap->table.name,
                             k2_str_of(swap->to), k2_str_of(swap->from)};
    return change(c, sql, texts, 5, ret_changed, err);
}

static bool swap_rows(struct sqlite_catalog *c, const struct k2_named_swap *swaps, int count,
                      bool *ret_landed, struct k2_err *err) {
    int changed = 1;
    for (int i = 0; changed && i < count; i++)
        K2_TRY(swaps[i].from ? update_row(c, &swaps[i], &changed, err)
                             : insert_row(c, &swaps[i], &changed, err));
    if (!changed) {
        K2_TRY(run(c, "ROLLBACK", err));
        *ret_landed = false;
        return true;
    }
    K2_TRY(run(c, "COMMIT", err));
    *ret_landed = true;
    return true;
}

static bool sqlite_swap(struct k2_catalog *catalog, const struct k2_named_swap *swaps, int count,
                        bool *ret_landed, struct k2_err *err) {
    struct sqlite_catalog *c = sqlite_of(catalog);
    pthread_mutex_lock(&c->lock);
    bool ok = run(c, "BEGIN IMMEDIATE", err) && swap_rows(c, swaps, count, ret_landed, err);
    if (!sqlite3_get_autocommit(c->db))
        sqlite3_exec(c->db, "ROLLBACK", NULL, NULL, NULL);
    pthread_mutex_unlock(&c->lock);
    return ok;
}

static bool sqlite_drop(struct k2_catalog *catalog, struct k2_table_name name, bool *ret_found,
                        struct k2_err *err) {
    struct sqlite_catalog *c = sqlite_of(catalog);
    const char *sql = c->has_type ? "DELETE FROM iceberg_tables WHERE catalog_name = ?1 AND "
                                    "table_namespace = ?2 AND table_name = ?3 "
                                    "AND (iceberg_type = 'TABLE' OR iceberg_type IS NULL)"
                                  : "DELETE FROM iceberg_tables WHERE catalog_name = ?1 AND "
                                    "table_namespace = ?2 AND table_name = ?3";
    struct k2_str texts[] = {k2_str_of(c->catalog_name), name.space, name.name};
    int changed = 0;
    pthread_mutex_lock(&c->lock);
    bool ok = change(c, sql, texts, 3, &changed, err);
    pthread_mutex_unlock(&c->lock);
    if (ok)
        *ret_found = changed > 0;
    return ok;
}

/* ---- the queue ---- */
static bool sqlite_queue(struct k2_catalog *catalog, struct k2_err *err) {
    struct sqlite_catalog *c = sqlite_of(catalog);
    pthread_mutex_lock(&c->queue_lock);
    int64_t deadline = k2_monotonic_ns() + QUEUE_TIMEOUT_MS * 1000000ll, wait_ns = 100000;
    while (flock(c->queue_fd, LOCK_EX | LOCK_NB) != 0) {
        bool taken = errno == EWOULDBLOCK || errno == EINTR;
        if (!taken)
            k2_err_sys(err, "lock %s.lock", c->path);
        else if (k2_monotonic_ns() > deadline)
            k2_err_set(err, K2_UNAVAILABLE,
                       "another process has held %s.lock for %d s: is a k2 program stopped?",
                       c->path, QUEUE_TIMEOUT_MS / 1000);
        if (!taken || k2_monotonic_ns() > deadline) {
            if (err)
                err->retriable = taken;
            pthread_mutex_unlock(&c->queue_lock);
            return false;
        }
        struct k2_clock *clock = k2_clock_real();
        clock->sleep_ns(clock, wait_ns);
        wait_ns = K2_MIN(wait_ns * 2, 5000000);
    }
    return true;
}

static void sqlite_leave(struct k2_catalog *catalog) {
    struct sqlite_catalog *c = sqlite_of(catalog);
    flock(c->queue_fd, LOCK_UN);
    pthread_mutex_unlock(&c->queue_lock);
}

/* ---- open ---- */
static bool find_layout(struct sqlite_catalog *c, bool *ret_exists, struct k2_err *err) {
    sqlite3_stmt *statement =
        prepare(c, "SELECT name FROM pragma_table_info('iceberg_tables')", NULL, 0, err);
    if (!statement)
        return false;
    int code;
    *ret_exists = c->has_type = false;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        *ret_exists = true;
        if (strcmp((const char *)sqlite3_column_text(statement, 0), "iceberg_type") == 0)
            c->has_type = true;
    }
    bool ok = code == SQLITE_DONE || failed(c, "read the layout", err);
    sqlite3_finalize(statement);
    return ok;
}

/* A process that died, or whose fsync failed, may have left a commit that is there to be read and
 * would not survive a power cut. Whoever reads it may act on it (the log is trimmed by positions),
 * so it is copied into the database, which is fsynced, before anyone does. */
static bool make_lasting(struct sqlite_catalog *c, struct k2_err *err) {
    int code = sqlite3_wal_checkpoint_v2(c->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    return code == SQLITE_OK || code == SQLITE_BUSY || failed(c, "checkpoint", err);
}

/* Under the queue: two programs that open a new file at once must not trip over each other. */
static bool set_up(struct sqlite_catalog *c, struct k2_err *err) {
    bool exists;
    K2_TRY(run(c, "PRAGMA journal_mode = WAL", err));
    K2_TRY(run(c, "PRAGMA synchronous = FULL", err));
    K2_TRY(make_lasting(c, err));
    K2_TRY(find_layout(c, &exists, err));
    if (!exists)
        K2_TRY(run(c,
                   "CREATE TABLE IF NOT EXISTS iceberg_tables("
                   "catalog_name VARCHAR(255) NOT NULL, table_namespace VARCHAR(255) NOT NULL, "
                   "table_name VARCHAR(255) NOT NULL, metadata_location VARCHAR(1000), "
                   "previous_metadata_location VARCHAR(1000), iceberg_type VARCHAR(5), "
                   "PRIMARY KEY (catalog_name, table_namespace, table_name))",
                   err));
    K2_TRY(run(c,
               "CREATE TABLE IF NOT EXISTS iceberg_namespace_properties("
               "catalog_name VARCHAR(255) NOT NULL, namespace VARCHAR(255) NOT NULL, "
               "property_key VARCHAR(255) NOT NULL, property_value VARCHAR(1000) NOT NULL, "
               "PRIMARY KEY (catalog_name, namespace, property_key))",
               err));
    return exists || find_layout(c, &exists, err);
}

/* After any failure to open for writing SQLite opens for reading, and stays so: a disk that failed
 * once would take no commit until the program ends. Where the file may be written it is an error.
 */
static bool open_database(struct sqlite_catalog *c, struct k2_err *err) {
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    if (sqlite3_open_v2(c->path, &c->db, flags, NULL) != SQLITE_OK)
        return failed(c, "open", err);
    if (sqlite3_db_readonly(c->db, "main") == 1 && access(c->path, W_OK) == 0)
        return k2_err_set(err, K2_IO, "catalog %s: cannot be opened for writing just now", c->path);
    return true;
}

static bool open_files(struct sqlite_catalog *c, struct k2_err *err) {
    struct k2_buf text = {0};
    k2_buf_text(&text, c->path);
    char *slash = strrchr(k2_buf_cstr(&text), '/');
    slash[slash == text.ptr ? 1 : 0] = 0;
    bool ok = k2_dir_make(text.ptr, err);
    text.len = 0;
    k2_buf_printf(&text, "%s.lock", c->path);
    if (ok) {
        c->queue_fd = open(text.ptr, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        ok = c->queue_fd >= 0 || k2_err_sys(err, "open %s", text.ptr);
    }
    k2_buf_done(&text);
    return ok && open_database(c, err);
}

static void sqlite_free(struct k2_catalog *catalog) {
    struct sqlite_catalog *c = sqlite_of(catalog);
    sqlite3_close(c->db);
    if (c->queue_fd >= 0)
        close(c->queue_fd);
    pthread_mutex_destroy(&c->lock);
    pthread_mutex_destroy(&c->queue_lock);
    k2_free(c->path);
    k2_free(c->catalog_name);
    k2_free(c);
}

static const struct k2_catalog_ops sqlite_ops = {
    .name = "sqlite",
    .load = sqlite_load,
    .swap = sqlite_swap,
    .drop = sqlite_drop,
    .list = sqlite_list,
    .queue = sqlite_queue,
    .leave = sqlite_leave,
    .free = sqlite_free,
};

struct k2_catalog *k2_catalog_open_sqlite(const char *path, const char *catalog_name,
                                          struct k2_err *err) {
    struct sqlite_catalog *c = k2_new(struct sqlite_catalog);
    c->catalog.ops = &sqlite_ops;
    c->path = k2_strdup(path);
    c->catalog_name = k2_strdup(catalog_name);
    c->queue_fd = -1;
    pthread_mutex_init(&c->lock, NULL);
    pthread_mutex_init(&c->queue_lock, NULL);
    bool ok = open_files(c, err);
    if (ok)
        sqlite3_busy_timeout(c->db, BUSY_TIMEOUT_MS);
    ok = ok && sqlite_queue(&c->catalog, err);
    if (ok) {
        ok = set_up(c, err);
        sqlite_leave(&c->catalog);
    }
    if (ok)
        return &c->catalog;
    sqlite_free(&c->catalog);
    return NULL;
}
