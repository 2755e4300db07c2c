/* config_test.c -- settings: sources and their order, refusals, secrets, documents. */
#include "base/config.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/config_impl.h"
#include "base/file.h"
#include "support/test.h"

/* Loads text as k2.yaml and returns the error it gives, "" for none. */
static const char *load(struct k2_config *config, const char *text) {
    static struct k2_err err;
    err = (struct k2_err){0};
    if (k2_config_load_text(config, k2_str_of(text), "k2.yaml", &err))
        return "";
    CHECK(err.code == K2_USAGE || err.code == K2_LIMIT);
    return err.msg;
}

static const char *set(struct k2_config *config, const char *key, const char *value) {
    static struct k2_err err;
    err = (struct k2_err){0};
    return k2_config_set(config, key, value, "-o", &err) ? "" : err.msg;
}

static const char *check(struct k2_config *config) {
    static struct k2_err err;
    err = (struct k2_err){0};
    return k2_config_check(config, &err) ? "" : err.msg;
}

TEST(config_defaults) {
    K2_AUTO(k2_config_freep) struct k2_config *config = k2_config_new();
    assert_string_equal(k2_config_str(config, "log"), "embedded:");
    assert_string_equal(k2_config_str(config, "catalog.name"), "k2");
    assert_int_equal(k2_config_i64(config, "commit.rows"), 1000000);
    assert_int_equal(k2_config_i64(config, "commit.bytes"), 128 << 20);
    assert_int_equal(k2_config_i64(config, "commit.age_ms"), 1000);
    assert_int_equal(k2_config_i64(config, "log.segment.bytes"), 256 << 20);
    assert_int_equal(k2_config_i64(config, "gc.grace_ms"), 3600000);
    CHECK(k2_config_bool(config, "s3.path_style"));
    CHECK(k2_config_f64(config, "validate.price_move_pct") == 10);
    CHECK(k2_config_named(config, "venue.%s.numbering", "asx") == NULL);
    CHECK(!k2_config_is_set(config, "commit.rows"));
    assert_string_equal(check(config), "");
    k2_config_free(NULL);
}

TEST(config_later_sources_win) {
    K2_AUTO(k2_config_freep) struct k2_config *config = k2_config_new();
    struct k2_err err = {0};
    assert_string_equal(load(config, "commit:\n  rows: 5\n  age_ms: 2s\ncommit.bytes: 2MiB\n"
                                     "venue: {binance: {numbering: dense}}\n"
                                     "topic.market.trades.ack: committed\n"
                                     "log: \"kafka://a:9092,b:9092\"\n"),
                        "");
    assert_int_equal(k2_config_i64(config, "commit.rows"), 5);
    assert_int_equal(k2_config_i64(config, "commit.age_ms"), 2000);
    assert_int_equal(k2_config_i64(config, "commit.bytes"), 2 << 20);
    assert_string_equal(k2_config_str(config, "log"), "kafka://a:9092,b:9092");
    assert_string_equal(k2_config_named(config, "topic.%s.ack", "market.trades"), "committed");
    char *const env[] = {"PATH=/bin",
                         "K2_HOME=/x",
                         "K2_COMMIT_ROWS=6",
                         "K2_BIN=k2",
                         "K2_VENUE_BINANCE_NUMBERING=rising",
                         NULL};
    CHECK_OK(k2_config_load_env(config, env, &err));
    assert_int_equal(k2_config_i64(config, "commit.rows"), 6);
    assert_string_equal(k2_config_named(config, "venue.%s.numbering", "BINANCE"), "rising");
    assert_string_equal(set(config, "commit.rows", "7"), "");
    assert_int_equal(k2_config_i64(config, "commit.rows"), 7);
    assert_string_equal(load(config, "commit.rows: 8"), ""); /* a second file may set it again */
    struct k2_config_item item;
    CHECK_OK(k2_config_find(config, "commit.rows", &item, &err));
    assert_string_equal(item.origin, "k2.yaml:1");
    CHECK_OK(k2_config_find(config, "venue.binance.numbering", &item, &err));
    assert_string_equal(item.origin, "environment K2_VENUE_BINANCE_NUMBERING");
    CHECK_OK(k2_config_find(config, "venue.asx.numbering", &item, &err));
    assert_string_equal(item.origin, "default");
}

TEST(config_refuses_unknown_keys_with_the_nearest) {
    K2_AUTO(k2_config_freep) struct k2_config *config = k2_config_new();
    assert_string_equal(set(config, "comit.rows", "1"),
                        "-o: unknown setting \"comit.rows\"; did you mean commit.rows?");
    assert_string_equal(load(config, "log: \"embedded:\"\ncommit:\n  rowz: 1\n"),
                        "k2.yaml:3: unknown setting \"commit.rowz\"; did you mean commit.rows?");
    char *const env[] = {"K2_COMIT_ROWS=1", NULL};
    struct k2_err err = {0};
    CHECK(!k2_config_load_env(config, env, &err));
    assert_string_equal(
        err.msg, "environment: unknown variable K2_COMIT_ROWS; did you mean K2_COMMIT_ROWS?");
    struct k2_config_item item;
    CHECK(!k2_config_find(config, "nope", &item, &err));
    CHECK(strstr(set(config, "venue..numbering", "dense"), "unknown"));
    CHECK(strstr(set(config, "venue.a b.numbering", "dense"), "a name in"));
    CHECK(set(config, "", "x")[0]);
}

TEST(config_refuses_bad_values) {
    static const struct {
        const char *key, *value;
    } cases[] = {
        {"commit.rows", "0"},
        {"commit.rows", "abc"},
        {"commit.rows", "1.5"},
        {"commit.rows", ""},
        {"commit.bytes", "1"},
        {"commit.bytes", "12XB"},
        {"commit.bytes", "-1"},
        {"commit.bytes", "9999999999T"},
        {"commit.age_ms", "2 weeks"},
        {"commit.age_ms", "0"},
        {"s3.path_style", "maybe"},
        {"ack", "logs"},
        {"ack", "lo"},
        {"log", "embedded"},
        {"log", "redis://x"},
        {"api.listen", "8000"},
        {"api.listen", "a:70000"},
        {"api.listen", ":80"},
        {"catalog.name", ""},
        {"catalog.name", "a\nb"},
        {"catalog.name", "\xff"},
        {"validate.price_move_pct", "nan"},
        {"validate.price_move_pct", "-1"},
        {"validate.price_move_pct", "0x1"},
        {"venue.x.numbering", "some"},
    };
    K2_AUTO(k2_config_freep) struct k2_config *config = k2_config_new();
    for (size_t i = 0; i < K2_COUNT(cases); i++) {
        const char *msg = set(config, cases[i].key, cases[i].value);
        if (strncmp(msg, "-o: ", 4) != 0 || !strstr(msg, cases[i].key))
            fail_msg("%s=%s gave \"%s\"", cases[i].key, cases[i].value, msg);
    }
    assert_string_equal(set(config, "gap.page", "x"),
                        "-o: gap.page: \"x\" is refused; allowed: whole number, 1 to 1000000000 "
                        "messages");
}

TEST(config_units) {
    static const struct {
        const char *key, *value;
        int64_t number;
    } cases[] = {
        {"query.memory", "2G", 2ll << 30},
        {"query.memory", "128MiB", 128 << 20},
        {"query.memory", "65536k", 64 << 20},
        {"query.memory", "1 TiB", 1ll << 40},
        {"query.memory", "67108864B", 64 << 20},
        {"query.timeout_ms", "500ms", 500},
        {"query.timeout_ms", "1h", 3600000},
        {"query.timeout_ms", "2m", 120000},
        {"query.timeout_ms", "7", 7},
        {"query.timeout_ms", "1d", 86400000},
    };
    K2_AUTO(k2_config_freep) struct k2_config *config = k2_config_new();
    for (size_t i = 0; i < K2_COUNT(cases); i++) {
        assert_string_equal(set(config, cases[i].key, cases[i].value), "");
        assert_int_equal(k2_config_i64(config, cases[i].key), cases[i].number);
    }
    assert_string_equal(set(config, "s3.path_style", "off"), "");
    CHECK(!k2_config_bool(config, "s3.path_style"));
}

TEST(config_yaml_refusals) {
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"commit.rows: 1\ncommit:\n  rows: 2\n", "k2.yaml:3: commit.rows is set a second time"},
        {"venue.a.numbering: dense\nvenue.A.numbering: none\n", "second time (first on line 1)"},
        {"commit.rows: [1]\n", "k2.yaml:1: lists"},
        {"- a\n", "lists"},
        {"a: &x 1\n", "anchors"},
        {"a: *x\n", "aliases"},
        {"commit: &x {rows: 1}\n", "anchors"},
        {"commit.rows: !int 1\n", "tags"},
        {"word\n", "key: value"},
        {"? {a: b}\n: c\n", "a key must be a word"},
        {"a: {b: {c: {d: {e: {f: {g: {h: {i: 1}}}}}}}}\n", "8 deep"},
        {"a: b\n--- \nc: d\n", "unknown setting \"a\""},
        {"gap.page: 3\n---\ngap.halt: 5\n", "k2.yaml:2: a second document"},
        {"a: \"unclosed\n", "k2.yaml:"},
        {"\"\": 1\n", "a key must have"},
        {"\"a\\0b\": 1\n", "a key must have"},
        {"catalog.name: \"a\\0b\"\n", "without control characters"},
        {"nope:\n", "unknown setting"},
    };
    for (size_t i = 0; i < K2_COUNT(cases); i++) {
        K2_AUTO(k2_config_freep) struct k2_config *config = k2_config_new();
        const char *msg = load(config, cases[i].text);
        if (!strstr(msg, cases[i].says))
            fail_msg("case %zu gave \"%s\"", i, msg);
    }
    K2_AUTO(k2_config_freep) struct k2_config *config = k2_config_new();
    assert_string_equal(load(config, ""), "");
    assert_string_equal(load(config, "# nothing\n"), "");
    assert_string_equal(load(config, "s3:\ncommit.rows: ~\n"), "");
    assert_int_equal(k2_config_i64(config, "commit.rows"), 1000000);
}

TEST(config_rules_between_keys) {
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"gap: {page: 100, halt: 100}", "gap.halt (100) must be above gap.page (100)"},
        {"s3.access_key: a", "s3.secret_key is not set"},
        {"warehouse: s3://", "needs a bucket"},
        {"log.retention.bytes: 1k", "log.segment.bytes"},
        {"api.listen: \"127.0.0.1:8081\"", "both 127.0.0.1:8081"},
        {"gc.grace_ms: 1s", "query.timeout_ms"},
    };
    for (size_t i = 0; i < K2_COUNT(cases); i++) {
        K2_AUTO(k2_config_freep) struct k2_config *config = k2_config_new();
        assert_string_equal(load(config, cases[i].text), "");
        CHECK(strstr(check(config), cases[i].says));
    }
}

static const char *secret_of(struct k2_config *config, const char *key, struct k2_buf *buf) {
    static struct k2_err err;
    err = (struct k2_err){0};
    k2_buf_clear(buf);
    return k2_config_secret(config, key, buf, &err) ? k2_buf_cstr(buf) : err.msg;
}

TEST(config_secrets_resolve) {
    K2_AUTO(k2_config_freep) struct k2_config *config = k2_config_new();
    struct k2_buf buf = {0};
    struct k2_err err = {0};
    char path[128], value[256];
    snprintf(path, sizeof path, "%s/secret", test_dir());
    CHECK_OK(k2_file_replace(path, K2_STR("p@ss/wörd\n"), &err));
    setenv("TEST_CONFIG_SECRET", "from env", 1);
    set(config, "s3.secret_key", "plain");
    assert_string_equal(secret_of(config, "s3.secret_key", &buf), "plain");
    set(config, "s3.secret_key", "env:TEST_CONFIG_SECRET");
    assert_string_equal(secret_of(config, "s3.secret_key", &buf), "from env");
    set(config, "s3.secret_key", "exec:printf 'a b\\n'");
    assert_string_equal(secret_of(config, "s3.secret_key", &buf), "a b");
    snprintf(value, sizeof value, "file:%s", path);
    set(config, "s3.secret_key", value);
    assert_string_equal(secret_of(config, "s3.secret_key", &buf), "p@ss/wörd");
    snprintf(value, sizeof value, "postgres://k2:file:%s@db:5432/lake", path);
    assert_string_equal(set(config, "catalog", value), "");
    assert_string_equal(secret_of(config, "catalog", &buf),
                        "postgres://k2:p%40ss%2Fw%C3%B6rd@db:5432/lake");
    set(config, "catalog", "postgres://k2:literal@db/lake");
    assert_string_equal(secret_of(config, "catalog", &buf), "postgres://k2:literal@db/lake");
    set(config, "s3.secret_key", "env:TEST_CONFIG_NONE");
    CHECK(strstr(secret_of(config, "s3.secret_key", &buf), "TEST_CONFIG_NONE is not set"));
    set(config, "s3.secret_key", "exec:exit 3");
    CHECK(strstr(secret_of(config, "s3.secret_key", &buf), "failed"));
    set(config, "s3.secret_key", "exec:true");
    CHECK(strstr(secret_of(config, "s3.secret_key", &buf), "empty"));
    set(config, "s3.secret_key", "file:/nowhere/at/all");
    CHECK(strstr(secret_of(config, "s3.secret_key", &buf), "s3.secret_key: "));
    k2_buf_done(&buf);
}

TEST(config_secrets_are_never_shown) {
    K2_AUTO(k2_config_freep) struct k2_config *config = k2_config_new();
    set(config, "s3.access_key", "HUSH1");
    set(config, "s3.secret_key", "HUSH2");
    set(config, "catalog", "postgres://k2:HUSH3@db/lake?password=HUSH4&sslmode=require");
    set(config, "registry", "http://u:HU/SH5@host");
    struct k2_config_item item;
    struct k2_buf all = {0};
    for (size_t at = 0; k2_config_next(config, &at, &item);)
        k2_buf_printf(&all, "%s=%s %s\n", item.key, item.value, item.origin);
    k2_buf_text(&all, set(config, "s3.secret_key", "HUSH6\x01"));
    k2_buf_text(&all, set(config, "catalog", "mysql://k2:HUSH7@db"));
    k2_buf_text(&all, load(config, "s3.secret_key: \"HUSH8\\n\"\n"));
    k2_buf_text(&all, load(config, "warehouse: \"s4://u:HUSH9@b\"\n"));
    const char *text = k2_buf_cstr(&all);
    CHECK(!strstr(text, "HUSH") && !strstr(text, "SH5"));
    CHECK(strstr(text, "s3.secret_key=(secret) -o\n"));
    CHECK(strstr(text, "catalog=postgres://k2:***@db/lake?password=***&sslmode=require -o\n"));
    CHECK(strstr(text, "registry=http://u:***@host"));
    k2_buf_done(&all);
}

TEST(config_files) {
    K2_AUTO(k2_config_freep) struct k2_config *config = k2_config_new();
    struct k2_err err = {0};
    char path[128];
    snprintf(path, sizeof path, "%s/k2.yaml", test_dir());
    CHECK(!k2_config_load_file(config, path, &err) && err.code == K2_NOT_FOUND);
    CHECK_OK(k2_file_replace(path, K2_STR("\n\ngap.page: none\n"), &err));
    CHECK(!k2_config_load_file(config, path, &err));
    char says[256];
    snprintf(says, sizeof says, "%s:3: gap.page: ", path);
    CHECK(strncmp(err.msg, says, strlen(says)) == 0);
}

/* The commented example with its comment signs taken away must load, and change nothing. */
TEST(config_documents_cover_every_row) {
    struct k2_buf doc = {0}, example = {0}, live = {0};
    k2_config_doc(&doc);
    k2_config_example(&example);
    k2_buf_cstr(&doc);
    for (size_t i = 0; i < k2_config_row_count; i++) {
        char head[128];
        snprintf(head, sizeof head, "| `%s` |", k2_config_rows[i].key);
        CHECK(strstr(doc.ptr, head));
        CHECK(strlen(k2_config_rows[i].doc) > 10);
        for (size_t j = 0; j < i; j++)
            CHECK(strcmp(k2_config_rows[i].key, k2_config_rows[j].key) != 0);
    }
    struct k2_str rest = k2_buf_view(&example);
    while (rest.ptr && rest.len) {
        struct k2_str line = k2_str_split(rest, '\n', &rest);
        CHECK(line.len <= 100);
        bool setting = line.len > 1 && line.ptr[0] == '#' && line.ptr[1] != ' ';
        if (setting && !memchr(line.ptr, '<', line.len)) {
            k2_buf_append(&live, line.ptr + 1, line.len - 1);
            k2_buf_byte(&live, '\n');
        }
    }
    K2_AUTO(k2_config_freep) struct k2_config *config = k2_config_new();
    K2_AUTO(k2_config_freep) struct k2_config *plain = k2_config_new();
    assert_string_equal(load(config, k2_buf_cstr(&live)), "");
    struct k2_config_item a, b;
    size_t at = 0, plain_at = 0;
    while (k2_config_next(plain, &plain_at, &b)) {
        CHECK(k2_config_next(config, &at, &a));
        assert_string_equal(a.value, b.value);
    }
    k2_buf_done(&doc);
    k2_buf_done(&example);
    k2_buf_done(&live);
}
