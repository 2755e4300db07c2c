/* help.c -- the table of commands, and help made from it. */
#include <stdio.h>

#include "cli/cli.h"

#define FORMAT                                                                                     \
    { "format", "table|json", "how to print it" }
static const struct k2_option format_only[] = {FORMAT, {0}};
static const struct k2_option csv_options[] = {
    {"layout", "L",
     "asx-trades, asx-quotes, k2-trades, k2-quotes, binance-trades, k2-instruments, asx-companies"},
    {"exchange", "X", "exchange of the rows, where the layout does not say"},
    {"symbol", "S", "symbol of the rows, where neither file nor name says"},
    {"tz", "ZONE", "time zone of local times, like Australia/Sydney"},
    {"sequence-start", "N", "number of the first line of each day (default 1)"},
    {0}};
static const struct k2_option sim_options[] = {
    {"rows", "N", "good messages, trades and quotes together (default 1000000)"},
    {"symbols", "N", "symbols (default 500)"},
    {"seed", "N", "seed; the same seed makes the same data (default 1)"},
    {"rate", "MSGS_PER_S", "messages a second (default: as fast as it goes)"},
    {"quotes-per-trade", "X", "quotes for each trade (default 1)"},
    {"gaps", "N", "holes to plant"},
    {"duplicates", "N", "duplicates to plant"},
    {"late", "N", "late messages to plant: a hole first, filled later"},
    {"bad", "N", "bad records to plant"},
    {"truth", "FILE", "write what was planted, as JSON"},
    {0}};
static const struct k2_option worker_options[] = {
    {"topics", "A,B", "only these topics"},
    {"until-idle", NULL, "end when everything in the log at the start is committed"},
    {0}};
static const struct k2_option query_options[] = {
    {"as-of", "SNAPSHOT|TIME",
     "as the tables stood: snapshot id, tag, time (ISO 8601) or TOPIC/PARTITION@OFFSET"},
    {"format", "F", "table, csv, json, ndjson, parquet or arrow (default table)"},
    {"out", "FILE", "write there instead of to standard output"},
    {"history-only", NULL, "what is committed only (today every query is that)"},
    {"timeout", "S", "give up after so many seconds"},
    {"limit-rows", "N", "print at most so many rows"},
    {"limit-memory", "SIZE", "memory the query may use, like 512MiB"},
    {0}};
static const struct k2_option replay_options[] = {
    {"symbol", "A,B", "only these symbols"},
    {"exchange", "X", "only this exchange"},
    {"from", "T", "from this time on (ISO 8601)"},
    {"to", "T", "before this time"},
    {"to", "URL", "send the rows to tcp://HOST:PORT (both --to may be given)"},
    {"as-of", "S", "what to pin: snapshot id, tag, time or TOPIC/PARTITION@OFFSET"},
    {"speed", "N", "N times as fast as the rows' own times, or max (default)"},
    {"follow", NULL, "go on with what is committed, until interrupted"},
    {"format", "F", "ndjson (default), json, csv, avro, arrow, or none: the digest alone"},
    {0}};
static const struct k2_option log_read_options[] = {{"partition", "P", "only this log partition"},
                                                    {"from", "OFFSET", "from this offset on"},
                                                    {"limit", "N", "at most so many records"},
                                                    {0}};
static const struct k2_option gaps_options[] = {{"open", NULL, "only gaps that are not filled"},
                                                {"symbol", "S", "only this symbol"},
                                                {"format", "F", "as in k2 query"},
                                                {0}};
static const struct k2_option ledger_options[] = {
    {"limit", "N", "at most so many rows"}, {"format", "F", "as in k2 query"}, {0}};
static const struct k2_option ack_options[] = {{"reason", "R", "why, for the record"}, {0}};
static const struct k2_option retry_options[] = {{"limit", "N", "at most so many"}, {0}};
static const struct k2_option sql_format[] = {{"format", "F", "as in k2 query"}, {0}};
static const struct k2_option config_options[] = {
    {"doc", NULL, "print the reference of all settings"},
    {"example", NULL, "print a commented k2.yaml"},
    FORMAT,
    {0}};
static const struct k2_option demo_options[] = {
    {"step", "N", "only chapter N (1 to 6) of the story, on the home as it is"},
    {"pace", "fast|talk",
     "talk waits for Enter after each thing shown, or 20 s without a terminal"},
    {"reset", NULL, "throw the demo's home away first"},
    {0}};
static const struct k2_option bench_options[] = {
    {"rows", "N", "rows to work on"}, {"json", NULL, "print JSON"}, {0}};

enum { ANY = 1 << 20 };
const struct k2_command k2_commands[] = {
    {"demo", "[--pace talk] [--step N]", "the whole story on generated data, in under a minute",
     demo_options, 0, 0, k2_cmd_demo},
    {"ingest csv", "FILE... --layout L", "files through log, checks and tables", csv_options, 1,
     ANY, k2_cmd_ingest_csv},
    {"ingest sim", "[--rows N] [--seed N] ...", "generated market data with planted faults",
     sim_options, 0, 0, k2_cmd_ingest_sim},
    {"ingest worker", "[--until-idle]", "the log into tables until stopped", worker_options, 0, 0,
     k2_cmd_ingest_worker},
    {"serve", "", "run the pipeline until stopped", NULL, 0, 0, k2_cmd_serve},
    {"query", "[SQL | -]",
     "SQL over trades, quotes, gaps, dead_letters, instruments, ...; a prompt", query_options, 0, 1,
     k2_cmd_query},
    {"replay", "TABLE", "trades or quotes in time order, with a digest", replay_options, 1, 1,
     k2_cmd_replay},
    {"table list", "", "all tables", format_only, 0, 0, k2_cmd_table_list},
    {"table show", "TABLE", "schema, partitioning, size and log positions", format_only, 1, 1,
     k2_cmd_table_show},
    {"table snapshots", "TABLE", "its snapshots and what each commit did", format_only, 1, 1,
     k2_cmd_table_snapshots},
    {"table files", "TABLE", "its data files", format_only, 1, 1, k2_cmd_table_files},
    {"table history", "TABLE", "which snapshot was current when", format_only, 1, 1,
     k2_cmd_table_history},
    {"log list", "", "topics of the log", format_only, 0, 0, k2_cmd_log_list},
    {"log read", "TOPIC", "records of a topic as JSON lines", log_read_options, 1, 1,
     k2_cmd_log_read},
    {"log lag", "", "how far the tables are behind the log", format_only, 0, 0, k2_cmd_log_lag},
    {"log trim", "[TOPIC]", "drop whole segments that no table needs any more", NULL, 0, 1,
     k2_cmd_log_trim},
    {"log accept", "TOPIC...", "go on after the log lost records; the loss is put on record", NULL,
     1, ANY, k2_cmd_log_accept},
    {"gaps", "[--open] [--symbol S]", "the gap ledger", gaps_options, 0, 0, k2_cmd_gaps},
    {"gaps ack", "ID [--reason R]", "acknowledge a gap", ack_options, 1, 1, k2_cmd_gaps_ack},
    {"dlq list", "", "dead letters by source, stage and error", ledger_options, 0, 0,
     k2_cmd_dlq_list},
    {"dlq show", "[CODE]", "dead letters one by one, of one error code or all", ledger_options, 0,
     1, k2_cmd_dlq_show},
    {"dlq retry", "[CODE]", "send dead letters through the checks again", retry_options, 0, 1,
     k2_cmd_dlq_retry},
    {"instruments list", "", "reference data, newest versions", sql_format, 0, 0,
     k2_cmd_instruments_list},
    {"instruments show", "SYMBOL", "every version of one instrument", sql_format, 1, 1,
     k2_cmd_instruments_show},
    {"verify", "[TABLE]", "catalog, metadata, manifests, files, counts and positions", NULL, 0, 1,
     k2_cmd_verify},
    {"check", "", "preflight: home, settings, catalog, warehouse, log", NULL, 0, 0, k2_cmd_check},
    {"config", "[KEY]", "effective settings and where each comes from", config_options, 0, 1,
     k2_cmd_config},
    {"bench", "[NAME]", "how fast it is here", bench_options, 0, 1, k2_cmd_bench},
    {"version", "", "version of k2", NULL, 0, 0, k2_cmd_version},
    {0}};

static void help_all(void) {
    k2_out_printf("usage: k2 [--home DIR] [--config FILE] [-o key=value]... COMMAND ...\n\n");
    for (const struct k2_command *c = k2_commands; c->words; c++)
        k2_out_printf("  %-18s %s\n", c->words, c->summary);
    k2_out_printf("\nk2 help COMMAND tells more, k2 help columns what the tables hold. Home: "
                  "--home, else K2_HOME, else ./k2-data.\n"
                  "Exit codes: 0 done, 1 failed, 2 usage, 3 bad input set aside, 4 server "
                  "unreachable, 5 refused.\n");
}

static void help_one(const struct k2_command *c) {
    k2_out_printf("usage: k2 %s %s\n\n%s.\n", c->words, c->usage, c->summary);
    for (int i = 0; c->flags && c->flags[i].name; i++) {
        char flag[80];
        snprintf(flag, sizeof flag, "--%s%s%s", c->flags[i].name, c->flags[i].value ? " " : "",
                 c->flags[i].value ? c->flags[i].value : "");
        k2_out_printf("%s  %-28s %s\n", i ? "" : "\n", flag, c->flags[i].doc);
    }
}

/* The data dictionary, as docs/data-dictionary.md holds it. */
static void help_columns(void) {
    struct k2_buf text = {0};
    k2_schema_doc(&text);
    k2_out_printf("# Data dictionary\n\nThe stored columns of each table, in the order of their "
                  "field ids. SQL shows these and a few\nderived ones: `describe trades` lists "
                  "them.\n\n");
    k2_out(k2_buf_view(&text));
    k2_buf_done(&text);
}

int k2_help(const char *const *words, int count, struct k2_err *err) {
    if (!count) {
        help_all();
        return K2_EXIT_DONE;
    }
    if (count == 1 && strcmp(words[0], "columns") == 0) {
        help_columns();
        return K2_EXIT_DONE;
    }
    struct k2_buf typed = {0};
    for (int i = 0; i < count; i++)
        k2_buf_printf(&typed, "%s%s", i ? " " : "", words[i]);
    int shown = 0;
    for (const struct k2_command *c = k2_commands; c->words; c++) {
        struct k2_str w = k2_str_of(c->words);
        bool fits = k2_str_starts(w, k2_buf_cstr(&typed)) &&
                    (w.len == typed.len || w.ptr[typed.len] == ' ');
        if (!fits)
            continue;
        if (shown++)
            k2_out_printf("\n");
        help_one(c);
    }
    if (!shown)
        k2_err_set(err, K2_USAGE, "there is no command \"%s\" (see k2 help)", typed.ptr);
    k2_buf_done(&typed);
    return shown ? K2_EXIT_DONE : -1;
}

int k2_cmd_version(struct k2_home *home, const struct k2_args *args, struct k2_err *err) {
    (void)home, (void)args, (void)err;
    k2_out_printf("k2 0.1.0\n");
    return K2_EXIT_DONE;
}
