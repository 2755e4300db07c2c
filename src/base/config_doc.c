/* config_doc.c -- the rules between settings, and the two documents that the table of rows yields.
 */
#include "base/config_impl.h"

static bool check_gap(const struct k2_config *config, struct k2_err *err) {
    int64_t page = k2_config_i64(config, "gap.page"), halt = k2_config_i64(config, "gap.halt");
    return halt > page || k2_err_set(err, K2_USAGE, "gap.halt (%lld) must be above gap.page (%lld)",
                                     (long long)halt, (long long)page);
}

static bool check_s3_keys(const struct k2_config *config, struct k2_err *err) {
    bool access = k2_config_str(config, "s3.access_key")[0] != 0;
    bool secret = k2_config_str(config, "s3.secret_key")[0] != 0;
    return access == secret ||
           k2_err_set(err, K2_USAGE, "s3.access_key and s3.secret_key go together; %s is not set",
                      access ? "s3.secret_key" : "s3.access_key");
}

static bool check_bucket(const struct k2_config *config, struct k2_err *err) {
    const char *warehouse = k2_config_str(config, "warehouse");
    bool bare = strncmp(warehouse, "s3://", 5) == 0 && (!warehouse[5] || warehouse[5] == '/');
    return !bare ||
           k2_err_set(err, K2_USAGE, "warehouse: s3:// needs a bucket (s3://bucket/prefix)");
}

static bool check_retention(const struct k2_config *config, struct k2_err *err) {
    int64_t keep = k2_config_i64(config, "log.retention.bytes");
    int64_t segment = k2_config_i64(config, "log.segment.bytes");
    return keep == 0 || keep >= segment ||
           k2_err_set(err, K2_USAGE,
                      "log.retention.bytes (%lld) must be 0 or at least log.segment.bytes (%lld)",
                      (long long)keep, (long long)segment);
}

static bool check_listen(const struct k2_config *config, struct k2_err *err) {
    const char *api = k2_config_str(config, "api.listen");
    bool same = strcmp(api, k2_config_str(config, "registry.listen")) == 0;
    bool any = k2_str_ends(k2_str_of(api), ":0");
    return !same || any ||
           k2_err_set(err, K2_USAGE, "api.listen and registry.listen are both %s", api);
}

static bool check_grace(const struct k2_config *config, struct k2_err *err) {
    int64_t grace = k2_config_i64(config, "gc.grace_ms");
    int64_t query = k2_config_i64(config, "query.timeout_ms");
    return grace >= query ||
           k2_err_set(err, K2_USAGE,
                      "gc.grace_ms (%lld) must be at least query.timeout_ms (%lld), else a running "
                      "query could lose its files",
                      (long long)grace, (long long)query);
}

bool k2_config_check(const struct k2_config *config, struct k2_err *err) {
    static bool (*const rules[])(const struct k2_config *, struct k2_err *) = {
        check_gap, check_s3_keys, check_bucket, check_retention, check_listen, check_grace,
    };
    for (size_t i = 0; i < K2_COUNT(rules); i++)
        K2_TRY(rules[i](config, err));
    return true;
}

void k2_config_doc(struct k2_buf *buf) {
    k2_buf_text(
        buf, "# Settings\n\n"
             "Sources, later ones winning: defaults, `k2.yaml` in the home (or `--config FILE`), "
             "`K2_*` environment variables\n(`commit.age_ms` is `K2_COMMIT_AGE_MS`), "
             "`-o key=value`. Sizes take k, M, G, T (powers of 1024, also KiB ...);\ndurations "
             "take ms, s, m, h, d. Secrets, and passwords within addresses, may be `env:NAME`, "
             "`file:PATH` or\n`exec:COMMAND`. Where a key has `<name>`, case and the characters "
             "`.`, `-`, `_` do not matter in the name.\n\n"
             "| key | default | allowed | meaning |\n|---|---|---|---|\n");
    for (size_t i = 0; i < k2_config_row_count; i++) {
        const struct k2_config_row *row = &k2_config_rows[i];
        struct k2_buf allowed = {0};
        if (row->is_secret)
            k2_buf_text(&allowed, "secret");
        else
            k2_config_allowed(row, &allowed);
        k2_buf_printf(buf, "| `%s` | %s%s%s | %s | %s |\n", row->key, row->standard[0] ? "`" : "",
                      row->standard, row->standard[0] ? "`" : "", k2_buf_cstr(&allowed), row->doc);
        k2_buf_done(&allowed);
    }
}

/* A comment of lines that fit 100 columns. */
static void wrap_comment(struct k2_buf *buf, const char *text) {
    enum { WIDTH = 96 };
    while (*text) {
        size_t len = strlen(text);
        if (len > WIDTH)
            for (len = WIDTH; len > 1 && text[len] != ' '; len--)
                ;
        k2_buf_printf(buf, "# %.*s\n", (int)len, text);
        text += len;
        text += *text == ' ';
    }
}

void k2_config_example(struct k2_buf *buf) {
    k2_buf_text(buf, "# k2.yaml -- settings of one home. Every line shows a default; take away the "
                     "\"#\" to change it.\n");
    for (size_t i = 0; i < k2_config_row_count; i++) {
        const struct k2_config_row *row = &k2_config_rows[i];
        bool quoted = row->type == K2_CONFIG_STR || row->type == K2_CONFIG_ADDRESS ||
                      row->type == K2_CONFIG_LISTEN || !row->standard[0];
        k2_buf_byte(buf, '\n');
        wrap_comment(buf, row->doc);
        struct k2_buf allowed = {0};
        k2_config_allowed(row, &allowed);
        wrap_comment(buf, k2_buf_cstr(&allowed));
        k2_buf_done(&allowed);
        const char *quote = quoted ? "\"" : "";
        k2_buf_printf(buf, "#%s: %s%s%s\n", row->key, quote, row->standard, quote);
    }
}
