/* query_run.h -- what the query command and its prompt share. Threads: the main thread. */
#ifndef K2_CLI_QUERY_RUN_H
#define K2_CLI_QUERY_RUN_H

#include "cli/cli.h"
#include "query/query.h"

/* Runs one statement on an engine of its own and writes the result to fd (-1: standard output).
 * SIGINT and SIGTERM cancel it. Errors: as of k2_query_run. */
bool k2_query_stream(struct k2_home *home, struct k2_str sql, const char *as_of,
                     const struct k2_query_limits *limits, enum k2_format format, int fd,
                     struct k2_query_result *ret, struct k2_err *err) K2_MUST;
/* Statements from a terminal until it ends. Returns the exit code, -1 with err. */
int k2_query_prompt(struct k2_home *home, const char *as_of, const struct k2_query_limits *limits,
                    enum k2_format format, struct k2_err *err) K2_MUST;

#endif
