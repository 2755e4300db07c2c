/* diag_test.c -- lines, levels, folding, JSON, and threads writing at once. */
#include "base/diag.h"

#include <jansson.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/date.h"
#include "support/test.h"

/* Diagnostics into memory for one test, by a clock that stands still. */
struct capture {
    char *text;
    size_t len;
    FILE *out;
    struct k2_clock_fake clock;
};

static void begin(struct capture *c, enum k2_diag_level level, enum k2_diag_format format) {
    c->out = open_memstream(&c->text, &c->len);
    k2_clock_fake_init(&c->clock, 16139 * K2_DAY_NS);
    k2_diag_set_clock(&c->clock.clock);
    k2_diag_init(level, format, c->out);
}

static void end(struct capture *c) {
    k2_diag_init(K2_DIAG_INFO, K2_DIAG_LOGFMT, stderr);
    k2_diag_set_clock(NULL);
    fclose(c->out);
    free(c->text);
}

TEST(diag_logfmt_line) {
    struct capture c;
    begin(&c, K2_DIAG_INFO, K2_DIAG_LOGFMT);
    k2_info("feed.connect", "venue=%s symbols=%u", "binance", 3u);
    k2_warn("empty");
    k2_error("bad", "error=%s x=%s", K2_Q("a \"b\" \\ c\nd"), "e\nf");
    assert_string_equal(
        c.text, "time=2014-03-10T00:00:00.000000Z level=info event=feed.connect venue=binance "
                "symbols=3\n"
                "time=2014-03-10T00:00:00.000000Z level=warn event=empty\n"
                "time=2014-03-10T00:00:00.000000Z level=error event=bad error=\"a \\\"b\\\" \\\\ "
                "c\\nd\" x=e f\n");
    end(&c);
}

static int evaluated;
static int evaluate(void) {
    return ++evaluated;
}

TEST(diag_level_is_tested_before_the_arguments) {
    struct capture c;
    begin(&c, K2_DIAG_WARN, K2_DIAG_LOGFMT);
    k2_info("quiet", "n=%d", evaluate());
    assert_int_equal(evaluated, 0);
    k2_warn("loud", "n=%d", evaluate());
    assert_int_equal(evaluated, 1);
    assert_int_equal(strncmp(c.text, "time=", 5), 0);
    end(&c);
    enum k2_diag_level level;
    enum k2_diag_format format;
    CHECK(k2_diag_level_of("error", &level) && level == K2_DIAG_ERROR);
    CHECK(!k2_diag_level_of("loud", &level));
    CHECK(k2_diag_format_of("json", &format) && format == K2_DIAG_JSON);
    CHECK(!k2_diag_format_of("", &format));
}

static int count_lines(const char *text) {
    int lines = 0;
    for (; *text; text++)
        lines += *text == '\n';
    return lines;
}

TEST(diag_folds_repeated_lines) {
    struct capture c;
    begin(&c, K2_DIAG_INFO, K2_DIAG_LOGFMT);
    for (int i = 0; i < 100; i++)
        k2_warn("disk.full", "path=/x");
    assert_int_equal(count_lines(c.text), 1);
    k2_warn("disk.full", "path=/y"); /* another text is another line */
    assert_int_equal(count_lines(c.text), 2);
    c.clock.ns += 4999999999;
    k2_warn("disk.full", "path=/x");
    assert_int_equal(count_lines(c.text), 2);
    c.clock.ns += 1;
    k2_info("other");
    CHECK(strstr(c.text, "event=disk.full path=/x repeated=100\n"));
    assert_int_equal(count_lines(c.text), 4);
    k2_warn("disk.full", "path=/x");
    assert_int_equal(count_lines(c.text), 5);
    k2_warn("disk.full", "path=/x");
    k2_diag_flush();
    CHECK(strstr(c.text, "path=/x repeated=1\n"));
    for (int i = 0; i < 1000; i++)
        k2_info("many", "i=%d", i);
    assert_int_equal(count_lines(c.text), 1006);
    end(&c);
}

TEST(diag_json_is_json) {
    struct capture c;
    begin(&c, K2_DIAG_DEBUG, K2_DIAG_JSON);
    char longer[3000];
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = 0;
    k2_debug("a.b", "n=%d neg=%d zero=%s plain=%s q=%s word", 5, -7, "007", "plain",
             K2_Q("two \"words\" \\ \x01 end\nline"));
    k2_debug("bytes", "bad=\xff\xfe good=é long=%s", longer);
    k2_debug("bytes2", "a=%s b=\"%s", "=", "open");
    k2_debug("none");
    struct k2_str rest = k2_str_of(c.text);
    int lines = 0;
    while (rest.ptr && rest.len) {
        struct k2_str line = k2_str_split(rest, '\n', &rest);
        json_error_t why;
        json_t *root = json_loadb(line.ptr, line.len, 0, &why);
        if (!root)
            fail_msg("%s in %.*s", why.text, K2_FMT(line));
        CHECK(json_is_string(json_object_get(root, "event")));
        if (lines++ == 0) {
            assert_int_equal(json_integer_value(json_object_get(root, "n")), 5);
            assert_int_equal(json_integer_value(json_object_get(root, "neg")), -7);
            assert_string_equal(json_string_value(json_object_get(root, "q")),
                                "two \"words\" \\   end\nline");
            assert_string_equal(json_string_value(json_object_get(root, "plain")), "plain");
        }
        json_decref(root);
    }
    assert_int_equal(lines, 4);
    end(&c);
}

static void *write_many(void *arg) {
    for (int i = 0; i < 200; i++)
        k2_info("thread", "id=%d i=%d", *(int *)arg, i);
    return NULL;
}

TEST(diag_threads_write_whole_lines) {
    struct capture c;
    begin(&c, K2_DIAG_INFO, K2_DIAG_LOGFMT);
    pthread_t threads[4];
    int ids[4] = {0, 1, 2, 3};
    for (int i = 0; i < 4; i++)
        CHECK(pthread_create(&threads[i], NULL, write_many, &ids[i]) == 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(count_lines(c.text), 800);
    struct k2_str rest = k2_str_of(c.text);
    while (rest.ptr && rest.len)
        CHECK(k2_str_starts(k2_str_split(rest, '\n', &rest), "time=2014-03-10T00:00:00.000000Z "));
    end(&c);
}
