/* args.h -- reading a command line into struct k2_args. */
#ifndef K2_CLI_ARGS_H
#define K2_CLI_ARGS_H

#include "cli/cli.h"

/* Flags may stand anywhere after the command, as --name value or --name=value; "--" ends them.
 * USAGE for an unknown flag (with the nearest), a missing value, too few or too many words. */
bool k2_args_parse(const struct k2_command *command, int argc, char **argv, struct k2_args *args,
                   struct k2_err *err) K2_MUST;
void k2_args_done(struct k2_args *args);

#endif
