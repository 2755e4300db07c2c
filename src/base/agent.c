/* agent.c -- the loops that drive agents, and how they wait. */
#include "base/agent.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"

enum { SPINS = 100, YIELDS = 200 };
#define PARK_NS 1000000ll

static void relax(void) {
#ifdef __x86_64__
    __builtin_ia32_pause();
#endif
}

/* idle counts the rounds without work. */
static void wait_a_little(int *idle) {
    if (*idle < SPINS)
        relax();
    else if (*idle < YIELDS)
        sched_yield();
    else
        k2_clock_real()->sleep_ns(k2_clock_real(),
                                  *idle < YIELDS + 10 ? 50000 : PARK_NS); /* short parks first */
    if (*idle < YIELDS + 10)
        (*idle)++;
}

bool k2_agents_run(struct k2_agent *agents, int count, atomic_bool *stop) {
    int idle = 0;
    while (!atomic_load_explicit(stop, memory_order_acquire)) {
        int moved = 0;
        for (int i = 0; i < count; i++) {
            int work = agents[i].do_work(agents[i].self);
            if (work < 0) {
                atomic_store_explicit(stop, true, memory_order_release);
                return false;
            }
            moved |= work;
        }
        if (moved)
            idle = 0;
        else
            wait_a_little(&idle);
    }
    return true;
}

struct runner {
    pthread_t thread;
    struct k2_agent *agent;
    atomic_bool *stop;
    bool ok; /* written by the thread, read after it was joined */
};

struct k2_agents {
    int count;
    atomic_bool *stop;
    struct runner runners[];
};

static void *run_one(void *arg) {
    struct runner *runner = arg;
    char name[16];
    snprintf(name, sizeof name, "%.15s", runner->agent->name);
    pthread_setname_np(pthread_self(), name);
    runner->ok = k2_agents_run(runner->agent, 1, runner->stop);
    return NULL;
}

bool k2_agents_start(struct k2_agent *agents, int count, atomic_bool *stop,
                     struct k2_agents **ret_threads, struct k2_err *err) {
    size_t size = sizeof(struct k2_agents) + (size_t)count * sizeof(struct runner);
    struct k2_agents *threads = k2_calloc(1, size);
    threads->stop = stop;
    for (int i = 0; i < count; i++) {
        struct runner *runner = &threads->runners[i];
        *runner = (struct runner){.agent = &agents[i], .stop = stop, .ok = true};
        int failed = pthread_create(&runner->thread, NULL, run_one, runner);
        if (failed) {
            k2_agents_stop(threads);
            return k2_err_set(err, K2_LIMIT, "no thread for %s: %s", agents[i].name,
                              strerror(failed));
        }
        threads->count++;
    }
    *ret_threads = threads;
    return true;
}

bool k2_agents_stop(struct k2_agents *threads) {
    if (!threads)
        return true;
    atomic_store_explicit(threads->stop, true, memory_order_release);
    bool ok = true;
    for (int i = 0; i < threads->count; i++) {
        pthread_join(threads->runners[i].thread, NULL);
        ok = ok && threads->runners[i].ok;
    }
    k2_free(threads);
    return ok;
}
