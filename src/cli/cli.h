/* cli.h -- the one binary: commands as a table of rows, their arguments, and the home they work on.
 *
 * A command is a row {words, usage, flags, run}. run returns the exit code of the program; on an
 * error it fills err and returns -1, and main prints it and derives the exit code. Data goes to
 * stdout through k2_out, everything else to stderr. Threads: the main thread.
 */
#ifndef K2_CLI_CLI_H
#define K2_CLI_CLI_H

#include <stdatomic.h>

#include "base/config.h"
#include "lake/table/table.h"
#include "log/log.h"
#include "log/registry.h"
#include "pipeline/pipeline.h"

enum { K2_EXIT_DONE, K2_EXIT_FAILED, K2_EXIT_USAGE, K2_EXIT_SET_ASIDE };

struct k2_option {
    const char *name;  /* without the dashes */
    const char *value; /* what its value is called in help; NULL: a switch */
    const char *doc;
};
enum { K2_FLAGS_MAX = 24 };
struct k2_args {
    const struct k2_option *flags;
    const char *values[K2_FLAGS_MAX]; /* by flag; "" for a switch that is set */
    int count;
    const char **words; /* what is no flag */
};
/* The value of a flag of the command's table, or NULL when it was not given. */
const char *k2_arg(const struct k2_args *args, const char *name);
/* Numbers with bounds; USAGE names the flag and the bounds. *ret stays when it was not given. */
bool k2_arg_i64(const struct k2_args *args, const char *name, int64_t low, int64_t high,
                int64_t *ret, struct k2_err *err) K2_MUST;

/* What was typed before the command; settings are read with it, once or again. */
struct k2_globals {
    const char *home, *config_file;
    const char *sets[64];
    int set_count;
};

/* The home and what lies in it, opened by k2_home_open as far as asked. */
struct k2_home {
    const char *dir; /* absolute */
    struct k2_globals globals;
    struct k2_config *config;
    struct k2_lake *lake;
    struct k2_log *log;
    struct k2_registry *registry;
    struct k2_clock *clock;
};

struct k2_command {
    const char *words; /* "ingest csv" */
    const char *usage; /* after the words: "FILE... --layout L" */
    const char *summary;
    const struct k2_option *flags; /* ends with a NULL name; NULL: none */
    int words_min, words_max;      /* further words */
    int (*run)(struct k2_home *home, const struct k2_args *args, struct k2_err *err);
};
/* Ends with a NULL words. */
extern const struct k2_command k2_commands[];
int k2_help(const char *const *words, int count, struct k2_err *err);

enum { K2_HOME_LAKE = 1, K2_HOME_LOG = 2, K2_HOME_MAKE = 4 };
/* Opens parts of the home that are not open yet. Without K2_HOME_MAKE a home that does not exist is
 * NOT_FOUND, with what to do about it. */
bool k2_home_open(struct k2_home *home, int parts, struct k2_err *err) K2_MUST;
void k2_home_close(struct k2_home *home);
/* dir/name. Valid until the home is closed. */
const char *k2_home_path(struct k2_home *home, const char *name);
/* Reads file, environment and -o again. When they are not in order, the settings stay as they were
 * and err says why. What was opened stays open with what it was opened with. */
bool k2_settings_reload(struct k2_home *home, struct k2_err *err) K2_MUST;
/* Pipeline options from the settings; writer names the command. */
void k2_home_pipeline_opts(struct k2_home *home, const char *writer, struct k2_pipeline_opts *ret);

/* The table that a user named, with or without its namespace; NULL with USAGE and the nearest. */
const struct k2_schema *k2_table_typed(const char *typed, struct k2_err *err) K2_MUST;

/* Set by SIGINT and SIGTERM. */
extern atomic_bool k2_stop_asked;

/* ---- output ---- */
void k2_out(struct k2_str text);
void k2_out_printf(const char *fmt, ...) K2_PRINTF(1, 2);
/* Flushes stdout; IO when it could not be written. */
bool k2_out_flush(struct k2_err *err) K2_MUST;
/* Whether the reader of stdout has left, as head does: it has enough, and nothing is wrong. */
bool k2_out_is_left(void);
/* A line to stderr, "k2: " before it. */
void k2_say(const char *fmt, ...) K2_PRINTF(1, 2);
bool k2_stderr_is_terminal(void);
/* A progress line on a terminal's stderr, overwritten by the next; nothing elsewhere. */
void k2_progress(const char *fmt, ...) K2_PRINTF(1, 2);
/* The same with a bar before it; share is what is done of all, 0 to 1. Colour obeys NO_COLOR. */
void k2_progress_bar(double share, const char *fmt, ...) K2_PRINTF(2, 3);
void k2_progress_end(void);

/* A small table for people, or the same as JSON objects for scripts. */
struct k2_grid {
    int column_count;
    const char *const *names;
    const bool *is_number; /* right-aligned, and bare in JSON */
    struct k2_buf cells;   /* NUL-terminated, row by row */
    int cell_count;
};
void k2_grid_add(struct k2_grid *grid, const char *fmt, ...) K2_PRINTF(2, 3);
/* format: NULL or "table", "json". USAGE for another. Frees the grid. */
bool k2_grid_print(struct k2_grid *grid, const char *format, struct k2_err *err) K2_MUST;

/* ---- commands ---- */
typedef int k2_run_fn(struct k2_home *home, const struct k2_args *args, struct k2_err *err);
k2_run_fn k2_cmd_ingest_csv, k2_cmd_ingest_sim, k2_cmd_ingest_worker;
k2_run_fn k2_cmd_query, k2_cmd_replay, k2_cmd_verify, k2_cmd_check, k2_cmd_config, k2_cmd_version;
k2_run_fn k2_cmd_table_list, k2_cmd_table_show, k2_cmd_table_snapshots, k2_cmd_table_files,
    k2_cmd_table_history;
k2_run_fn k2_cmd_log_list, k2_cmd_log_read, k2_cmd_log_lag, k2_cmd_log_trim, k2_cmd_log_accept;
k2_run_fn k2_cmd_serve;
k2_run_fn k2_cmd_gaps, k2_cmd_gaps_ack, k2_cmd_dlq_list, k2_cmd_dlq_show, k2_cmd_dlq_retry,
    k2_cmd_instruments_list, k2_cmd_instruments_show;
k2_run_fn k2_cmd_demo, k2_cmd_bench;
/* Runs SQL K2 wrote itself and prints it; shared by the ledgers' commands. */
int k2_run_sql(struct k2_home *home, const char *sql, const char *format, struct k2_err *err);

#endif
