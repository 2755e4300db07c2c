/* loop.h -- fail the first call, then the second, and so on, until a run meets no fault; cut the
 * power before the first, then before the second.
 */
#ifndef K2_TESTS_FAULTS_LOOP_H
#define K2_TESTS_FAULTS_LOOP_H

#include "base/err.h"

/* One subject of fault loops. run does its work in a new folder dir under faults, and returns false
 * with err when a call failed; it leaves nothing open. check opens what is there without faults,
 * finds everything acknowledged, finishes the work and fails the test otherwise; is_rebooted: as
 * the first thing after a power cut. */
struct fault_subject {
    const char *name;
    void *(*begin)(const char *dir, const char *label);
    bool (*run)(void *self, struct k2_err *err);
    void (*check)(void *self, bool is_rebooted);
    void (*end)(void *self);
    int stride; /* in a normal run only every so many-th call fails; 0 or 1: each */
};

/* Runs the subject under every kind of fault; each error must have a code of the outer world and
 * name a file. With K2_TEST_FAULTS=all in the environment the stride is 1, without it eight times
 * as long with a sanitizer. */
void fault_loops(const struct fault_subject *subject);
/* Cuts the power before every call of the subject that changes something, several times with other
 * remains; stride and environment as above. */
void power_cuts(const struct fault_subject *subject);

#endif
