/* prompt.h -- lines from a person at a terminal: history, completion, statements over several
 * lines. Threads: the main thread.
 */
#ifndef K2_CLI_PROMPT_H
#define K2_CLI_PROMPT_H

#include "cli/cli.h"

struct k2_prompt;
/* history_path: the file earlier lines come from and these go to; one that cannot be read is begun
 * anew. words complete what is typed; NULL-terminated, borrowed. */
struct k2_prompt *k2_prompt_open(const char *history_path, const char *const *words,
                                 struct k2_err *err) K2_MUST;
void k2_prompt_close(struct k2_prompt *prompt);
/* The next statement: one line that begins with '.', or lines up to a ';' or an empty line. Ctrl-C
 * drops what was typed. False at the end of input. */
bool k2_prompt_next(struct k2_prompt *prompt, struct k2_buf *statement) K2_MUST;

#endif
