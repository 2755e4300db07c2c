/* query_run.h -- what the query command and its prompt share. Threads: the main thread. */
#ifndef K2_CLI_QUERY_RUN_H
#define K2_CLI_QUERY_RUN_H

#include "cli/cli.h"
#include "query/query.h"

/* Opens the home's lake and, at the same time, as much of a query as needs none. */
bool k2_query_begin_home(struct k2_home *home, struct k2_str sql, struct k2_query **ret_begun,
                         struct k2_err *err) K2_MUST;

struct k2_statement {
    struct k2_str sql;
    const char *as_of; /* NULL: now */
    const struct k2_query_limits *limits;
    enum k2_format format;
    int fd;                 /* where the result goes; -1: standard output */
    struct k2_query *begun; /* taken; NULL: one is opened here */
    bool is_last;           /* the process ends after it */
};
/* Runs one statement on an engine of its own. SIGINT and SIGTERM cancel it. Errors: as of
 * k2_query_run. */
bool k2_query_stream(struct k2_home *home, const struct k2_statement *statement,
                     struct k2_query_result *ret, struct k2_err *err) K2_MUST;
/* Statements from a terminal until it ends. Returns the exit code, -1 with err. */
int k2_query_prompt(struct k2_home *home, const char *as_of, const struct k2_query_limits *limits,
                    enum k2_format format, struct k2_err *err) K2_MUST;

#endif
