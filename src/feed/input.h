/* input.h -- bytes of a file as they are or as gzip or zstd hold them, told by content. */
#ifndef K2_FEED_INPUT_H
#define K2_FEED_INPUT_H

#include "base/err.h"
#include "base/str.h"

struct k2_input;
/* path, or "-" for standard input. INVALID for a folder. Free with k2_input_close. */
struct k2_input *k2_input_open(const char *path, struct k2_err *err) K2_MUST;
void k2_input_close(struct k2_input *input);
/* Up to room bytes; *ret_len 0 is the end. CORRUPT for a broken or truncated stream. */
bool k2_input_read(struct k2_input *input, char *bytes, size_t room, size_t *ret_len,
                   struct k2_err *err) K2_MUST;
/* Bytes taken from the file so far, and its size (0: not known). */
int64_t k2_input_at(const struct k2_input *input, int64_t *ret_size);

#endif
