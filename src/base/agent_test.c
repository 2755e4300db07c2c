/* agent_test.c -- rings and agents: the same stages on one thread and on two give the same answer.
 */
#include "base/agent.h"

#include <sched.h>

#include "base/ring.h"
#include "support/test.h"

enum { ITEMS = 100000, SLOTS = 16 };

TEST(ring_is_first_in_first_out_and_bounded) {
    struct k2_ring ring;
    k2_ring_init(&ring, 4);
    int items[5];
    for (int round = 0; round < 3; round++) {
        CHECK(k2_ring_pop(&ring) == NULL);
        for (int i = 0; i < 4; i++)
            CHECK(k2_ring_push(&ring, &items[i]));
        CHECK(!k2_ring_push(&ring, &items[4]));
        assert_int_equal(k2_ring_count(&ring), 4);
        for (int i = 0; i < 4; i++)
            CHECK(k2_ring_pop(&ring) == &items[i]);
    }
    k2_ring_done(&ring);
}

/* A source fills slots from the empty ring; a sink adds them up and hands them back. */
struct line {
    struct k2_ring full, empty;
    int64_t slots[SLOTS];
    int64_t sent, received, sum;
};

static int source_work(void *self) {
    struct line *line = self;
    K2_NO_ALLOC;
    if (line->sent == ITEMS)
        return 0;
    int64_t *slot = k2_ring_pop(&line->empty);
    if (!slot)
        return 0;
    *slot = line->sent++;
    return k2_ring_push(&line->full, slot) ? 1 : -2;
}

static int sink_work(void *self) {
    struct line *line = self;
    K2_NO_ALLOC;
    if (line->received == ITEMS)
        return -1;
    int64_t *slot = k2_ring_pop(&line->full);
    if (!slot)
        return 0;
    if (*slot != line->received++)
        return -2;
    line->sum += *slot;
    return k2_ring_push(&line->empty, slot) ? 1 : -2;
}

static void line_init(struct line *line) {
    *line = (struct line){.sent = 0};
    k2_ring_init(&line->full, SLOTS);
    k2_ring_init(&line->empty, SLOTS);
    for (int i = 0; i < SLOTS; i++)
        CHECK(k2_ring_push(&line->empty, &line->slots[i]));
}

static void line_check(struct line *line) {
    assert_int_equal(line->received, ITEMS);
    assert_int_equal(line->sum, (int64_t)ITEMS * (ITEMS - 1) / 2);
    k2_ring_done(&line->full);
    k2_ring_done(&line->empty);
}

TEST(agents_on_one_thread) {
    struct line line;
    line_init(&line);
    struct k2_agent agents[] = {{"source", source_work, &line}, {"sink", sink_work, &line}};
    atomic_bool stop = false;
    CHECK(!k2_agents_run(agents, 2, &stop)); /* the sink ends it */
    CHECK(atomic_load(&stop));
    line_check(&line);
}

TEST(agents_on_two_threads) {
    struct line line;
    line_init(&line);
    struct k2_agent agents[] = {{"source", source_work, &line}, {"sink", sink_work, &line}};
    atomic_bool stop = false;
    struct k2_agents *threads;
    struct k2_err err = {0};
    CHECK_OK(k2_agents_start(agents, 2, &stop, &threads, &err));
    while (!atomic_load(&stop))
        sched_yield();
    CHECK(!k2_agents_stop(threads));
    line_check(&line);
}

static int idle_work(void *self) {
    atomic_fetch_add((atomic_int *)self, 1);
    return 0;
}

TEST(agents_stop_from_outside) {
    atomic_int rounds = 0;
    struct k2_agent agent = {"a name that is longer than 15", idle_work, &rounds};
    atomic_bool stop = false;
    struct k2_agents *threads;
    struct k2_err err = {0};
    CHECK_OK(k2_agents_start(&agent, 1, &stop, &threads, &err));
    while (atomic_load(&rounds) < 300) /* long enough to have parked */
        sched_yield();
    CHECK(k2_agents_stop(threads));
    CHECK(k2_agents_stop(NULL));
}
