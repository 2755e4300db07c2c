/* fuzz_test.c -- a fuzz target without a fuzzer: its committed inputs, and many of them changed at
 * random, the same in every run. It passes when nothing crashes.
 */
#include <dirent.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/random.h"
#include "base/str.h"
#include "support/test.h"

enum { CHANGES = 300, INPUT_MAX = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The target gets a copy of just that size, so that a sanitizer sees a read beyond it. */
static void run(const struct k2_buf *input) {
    uint8_t *exact = k2_alloc(input->len + !input->len);
    if (input->len)
        memcpy(exact, input->ptr, input->len);
    CHECK(LLVMFuzzerTestOneInput(exact, input->len) == 0);
    k2_free(exact);
}

static void load(const char *name, struct k2_buf *input) {
    struct k2_buf path = {0};
    k2_buf_printf(&path, "%s/%s", K2_CORPUS, name);
    FILE *file = fopen(k2_buf_cstr(&path), "rb");
    CHECK(file);
    k2_buf_clear(input);
    input->len = fread(k2_buf_reserve(input, INPUT_MAX), 1, INPUT_MAX, file);
    fclose(file);
    k2_buf_done(&path);
}

/* Some bits, bytes, numbers or pieces; mostly few, and rather at the end, where formats keep what
 * they say of the rest. */
static void change(struct k2_random *random, struct k2_buf *input) {
    static const uint8_t telling[] = {0, 1, 0x7f, 0x80, 0xff, 0xfe};
    for (uint64_t n = 1 + k2_random_below(random, 5); n && input->len > 1; n--) {
        size_t skip = k2_random_below(random, 2) ? input->len / 2 : 0;
        size_t at = skip + k2_random_below(random, input->len - skip);
        size_t max = K2_MIN(input->len - at, (size_t)32), len = 1 + k2_random_below(random, max);
        switch (k2_random_below(random, 5)) {
        case 0: input->ptr[at] ^= (char)(1 << k2_random_below(random, 8)); break;
        case 1: input->ptr[at] = (char)k2_random_u64(random); break;
        case 2:
            memset(input->ptr + at, telling[k2_random_below(random, sizeof telling)], len);
            break;
        case 3:
            memmove(input->ptr + at, input->ptr + k2_random_below(random, input->len - len + 1),
                    len);
            break;
        default:
            memmove(input->ptr + at, input->ptr + at + len, input->len - at - len);
            input->len -= len;
        }
    }
}

static int compare(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

TEST(fuzz_corpus) {
    char *names[256];
    size_t count = 0;
    struct k2_buf input = {0}, changed = {0};
    struct k2_random random;
    DIR *folder = opendir(K2_CORPUS);
    CHECK(folder);
    for (struct dirent *entry; (entry = readdir(folder)) && count < 256;)
        if (entry->d_name[0] != '.')
            names[count++] = k2_strdup(entry->d_name);
    closedir(folder);
    CHECK(count > 0);
    qsort(names, count, sizeof *names, compare);
    k2_random_seed(&random, 1);
    for (size_t i = 0; i < count; i++) {
        load(names[i], &input);
        run(&input);
        for (int k = 0; k < CHANGES; k++) {
            k2_buf_clear(&changed);
            k2_buf_str(&changed, k2_buf_view(&input));
            change(&random, &changed);
            run(&changed);
        }
        k2_free(names[i]);
    }
    k2_buf_done(&input);
    k2_buf_done(&changed);
}
