/* agent.h -- a stage of work that anyone may drive: all on one thread, or a thread each.
 *
 * do_work does a bounded piece of work and returns how much it moved: above 0 rows, 0 nothing to
 * do, below 0 this agent is finished or failed and everything shall stop. It never waits; waiting
 * is done here, by spinning, then yielding, then parking for up to a millisecond. Threads: an
 * agent's do_work runs on one thread at a time.
 */
#ifndef K2_BASE_AGENT_H
#define K2_BASE_AGENT_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/err.h"

struct k2_agent {
    const char *name; /* at most 15 bytes show as the thread's name */
    int (*do_work)(void *self);
    void *self;
};

/* Runs the agents in turn on this thread until *stop. False, with *stop set, when an agent ended
 * it. */
bool k2_agents_run(struct k2_agent *agents, int count, atomic_bool *stop);

/* Threads that run agents. */
struct k2_agents;
/* A thread per agent; agents and stop are borrowed until k2_agents_stop. Any agent that returns
 * below 0 sets *stop, and so do the others end. LIMIT when no thread can be had: none is left
 * running. */
bool k2_agents_start(struct k2_agent *agents, int count, atomic_bool *stop,
                     struct k2_agents **ret_threads, struct k2_err *err) K2_MUST;
/* Sets *stop, waits for all threads and frees; NULL is fine. True when no agent ended it. */
bool k2_agents_stop(struct k2_agents *threads);

#endif
