/* clock.h -- time is handed in, so that tests and the simulation can own it. */
#ifndef K2_BASE_CLOCK_H
#define K2_BASE_CLOCK_H

#include <stdint.h>

/* now_ns: nanoseconds since the epoch, UTC. sleep_ns: waits at least that long (a fake clock just
 * moves on). Threads: the real clock may be used from any; a fake one belongs to one thread. */
struct k2_clock {
    int64_t (*now_ns)(struct k2_clock *clock);
    void (*sleep_ns)(struct k2_clock *clock, int64_t ns);
};

/* The system's clock; static, nothing to free. */
struct k2_clock *k2_clock_real(void);

static inline int64_t k2_now_ns(struct k2_clock *clock) {
    return clock->now_ns(clock);
}
static inline int64_t k2_now_ms(struct k2_clock *clock) {
    return clock->now_ns(clock) / 1000000;
}

/* A clock that stands still until it is told otherwise. */
struct k2_clock_fake {
    struct k2_clock clock;
    int64_t ns;
};
void k2_clock_fake_init(struct k2_clock_fake *fake, int64_t ns);

/* Nanoseconds that only move forward, for measuring how long something took. */
int64_t k2_monotonic_ns(void);
/* CPU time this process has used, all threads. */
int64_t k2_cpu_ns(void);

#endif
