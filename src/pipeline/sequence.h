/* sequence.h -- what a number says: in order, a gap, a fill, or look (docs/rules.md: identity). */
#ifndef K2_PIPELINE_SEQUENCE_H
#define K2_PIPELINE_SEQUENCE_H

#include "market/venue.h"
#include "pipeline/state.h"

enum k2_sequence_event {
    K2_SEQ_FIRST,    /* of its key: look */
    K2_SEQ_IN_ORDER, /* above the last: surely new */
    K2_SEQ_GAP,      /* above the last, numbers between are missing */
    K2_SEQ_RESET,    /* the session moved on: surely new */
    K2_SEQ_FILL,     /* in an open gap: surely new */
    K2_SEQ_LOOK,     /* at or below the last, in no open gap: only a look-up can tell */
};

/* Takes number into key's state. For a GAP *ret_gap is what is missing, for a FILL
 * ret_gap->gap_first names the gap. is_dense: a hole is a gap. The state it leaves depends on its
 * arguments only. */
enum k2_sequence_event k2_sequence_take(struct k2_key *key, int64_t number, bool is_dense,
                                        struct k2_interval *ret_gap);

/* Whether raw, at time_us, shows that the venue began to count anew (docs/rules.md: identity, RESET
 * without session ids): it fell by more than half while time moved on by more than an hour. */
bool k2_sequence_fell(const struct k2_key *key, int64_t raw, int64_t time_us);

#endif
