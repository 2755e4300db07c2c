/* arena_test.c -- alignment, zeroing, growth, reset; and the guard against heap use. */
#include "base/arena.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "support/test.h"

TEST(arena_gives_aligned_zeroed_memory) {
    struct k2_arena arena = {0};
    for (size_t size = 0; size < 3000; size += 7) {
        unsigned char *p = k2_arena_alloc(&arena, size);
        CHECK(((uintptr_t)p & 15) == 0);
        for (size_t i = 0; i < size; i++)
            CHECK(p[i] == 0);
        memset(p, 0xff, size);
    }
    k2_arena_done(&arena);
    CHECK(arena.head == NULL);
}

TEST(arena_reset_keeps_one_block_and_zeroes_again) {
    struct k2_arena arena;
    k2_arena_init(&arena, 64);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 100; i++) {
            char *p = k2_arena_alloc(&arena, 100);
            CHECK(p[0] == 0 && p[99] == 0);
            memset(p, 1, 100);
        }
        k2_arena_reset(&arena);
        CHECK(arena.head != NULL);
    }
    k2_arena_done(&arena);
    k2_arena_reset(&arena);
}

TEST(arena_takes_more_than_a_block) {
    struct k2_arena arena;
    k2_arena_init(&arena, 16);
    char *p = k2_arena_alloc(&arena, 1 << 20);
    p[(1 << 20) - 1] = 1;
    k2_arena_done(&arena);
}

TEST(arena_text) {
    struct k2_arena arena = {0};
    assert_string_equal(k2_arena_strdup(&arena, "abc"), "abc");
    assert_string_equal(k2_arena_printf(&arena, "%d-%s", 7, "x"), "7-x");
    struct k2_str s = k2_arena_str(&arena, K2_STR("a\0b"));
    assert_int_equal(s.len, 3);
    CHECK(s.ptr[3] == 0);
    CHECK(k2_arena_str(&arena, (struct k2_str){NULL, 0}).ptr[0] == 0);
    k2_arena_done(&arena);
}

TEST(no_alloc_scope_aborts_on_heap_use) {
    pid_t child = fork();
    if (child == 0) {
        close(2);
        K2_NO_ALLOC;
        k2_free(k2_alloc(1));
        _exit(0);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    { K2_NO_ALLOC; }
    k2_free(k2_alloc(1)); /* allowed again after the scope */
}
