/* replay_to.h -- where a replay's bytes go: standard output, or a TCP connection.
 *
 * A reader that leaves standard output has enough; one that leaves a connection we made is missed.
 * Threads: the main thread.
 */
#ifndef K2_CLI_REPLAY_TO_H
#define K2_CLI_REPLAY_TO_H

#include <stdatomic.h>
#include <stddef.h>

#include "base/err.h"

struct k2_outlet {
    int fd;
    const char *url; /* NULL: standard output */
    const atomic_bool *stop;
    size_t piece; /* bytes that a write takes at once without waiting, where there is room */
    bool is_left; /* by the reader of standard output */
};
/* url: "tcp://HOST:PORT", or NULL; it and stop are borrowed. USAGE for another url, UNAVAILABLE
 * when nobody listens there within 5 s. */
bool k2_outlet_open(struct k2_outlet *outlet, const char *url, const atomic_bool *stop,
                    struct k2_err *err) K2_MUST;
/* Waits as long as the reader is slow. CANCELLED when the reader of standard output left, or when
 * stop was set while the reader did not read; UNAVAILABLE when a connection broke. */
bool k2_outlet_write(void *outlet, const void *bytes, size_t len, struct k2_err *err) K2_MUST;
/* Whether the reader is still there, to be asked while there is nothing to write. Errors as of
 * k2_outlet_write. */
bool k2_outlet_check(struct k2_outlet *outlet, struct k2_err *err) K2_MUST;
/* Ends the stream. Of a connection: waits up to 5 s for the reader to have taken all. An outlet
 * that was never opened is fine. */
void k2_outlet_close(struct k2_outlet *outlet);

#endif
