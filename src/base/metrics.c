/* metrics.c -- series in lists that only grow, numbers in relaxed atomics, and Prometheus text. */
#include "base/metrics.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/alloc.h"

enum { SERIES_MAX = 2000, LABEL_MAX = 128, LABELS_MAX = 6, BUCKETS_MAX = 16 };
enum type { COUNTER, GAUGE, HISTOGRAM };

struct buckets {
    int count;
    double bounds[BUCKETS_MAX];
};

static const struct buckets NONE = {0};
static const struct buckets LATENCY = {11, {.001, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5}};
static const struct buckets STORAGE = {9, {.01, .05, .1, .2, .5, 1, 2, 5, 10}};
static const struct buckets COMMIT_ROWS = {9, {10, 50, 100, 500, 1000, 5000, 10000, 50000, 1e6}};
static const struct buckets BATCH_ROWS = {9, {10, 50, 100, 500, 1000, 2000, 5000, 10000, 65536}};
static const struct buckets SCAN_ROWS = {6, {100, 1000, 10000, 1e5, 1e6, 1e7}};

static const struct row {
    enum type type;
    const struct buckets *buckets;
    const char *name, *labels, *help;
} rows[] = {
#define K2_METRIC_ROW(id, type, buckets, name, labels, help)                                       \
    [K2_METRIC_##id] = {type, &buckets, "k2_" name, labels, help},
    K2_METRICS(K2_METRIC_ROW)
#undef K2_METRIC_ROW
};

struct k2_series {
    struct k2_series *next; /* set once, before others can see the series */
    const struct row *row;
    char *labels; /* label values, each ending in NUL */
    size_t labels_len;
    _Atomic uint64_t bits; /* COUNTER: the number; GAUGE and HISTOGRAM (its sum): a double's bits */
    _Atomic uint64_t hits[]; /* HISTOGRAM: per bucket, the last beyond all bounds */
};

struct k2_metrics {
    _Atomic(struct k2_series *) heads[K2_METRIC_COUNT]; /* newest first; read without the mutex */
    pthread_mutex_t mutex;                              /* guards adding a series, and counts */
    int counts[K2_METRIC_COUNT];
    struct k2_buf common; /* service="...",environment="...",component="..." */
};

static void put_escaped(struct k2_buf *buf, const char *text) {
    for (; *text; text++) {
        if (*text == '\n')
            k2_buf_text(buf, "\\n");
        else if (*text == '"' || *text == '\\')
            k2_buf_append(buf, (char[]){'\\', *text}, 2);
        else
            k2_buf_byte(buf, (uint8_t)*text);
    }
}

static void put_label(struct k2_buf *buf, struct k2_str name, const char *value) {
    if (buf->len && buf->ptr[buf->len - 1] == '"')
        k2_buf_byte(buf, ',');
    k2_buf_printf(buf, "%.*s=\"", K2_FMT(name));
    put_escaped(buf, value);
    k2_buf_byte(buf, '"');
}

struct k2_metrics *k2_metrics_new(const char *service, const char *environment,
                                  const char *component) {
    struct k2_metrics *metrics = k2_new(struct k2_metrics);
    pthread_mutex_init(&metrics->mutex, NULL);
    put_label(&metrics->common, K2_STR("service"), service);
    put_label(&metrics->common, K2_STR("environment"), environment);
    put_label(&metrics->common, K2_STR("component"), component);
    return metrics;
}

void k2_metrics_free(struct k2_metrics *metrics) {
    if (!metrics)
        return;
    for (int i = 0; i < K2_METRIC_COUNT; i++) {
        struct k2_series *series = atomic_load(&metrics->heads[i]);
        while (series) {
            struct k2_series *next = series->next;
            k2_free(series->labels);
            k2_free(series);
            series = next;
        }
    }
    pthread_mutex_destroy(&metrics->mutex);
    k2_buf_done(&metrics->common);
    k2_free(metrics);
}

/* Bytes of value that fit, without half a character at the end. */
static size_t cut_value(const char *value) {
    size_t len = strnlen(value, LABEL_MAX + 1);
    if (len <= LABEL_MAX)
        return len;
    for (len = LABEL_MAX; len > 0 && ((unsigned char)value[len] & 0xc0) == 0x80; len--)
        ;
    return len;
}

/* The label values one after the other, as a series keeps them; NULL in values stands for "other".
 */
static size_t pack_labels(const struct row *row, const char *const *values,
                          char ret[LABELS_MAX * (LABEL_MAX + 1)]) {
    size_t len = 0;
    int count = 0;
    struct k2_str rest = k2_str_of(row->labels);
    while (rest.len) {
        k2_str_split(rest, ',', &rest);
        K2_ASSERT(count < LABELS_MAX);
        const char *value = values ? values[count] : "other";
        K2_ASSERT(value); /* as many values as the row has labels */
        size_t bytes = cut_value(value);
        memcpy(ret + len, value, bytes);
        ret[len + bytes] = 0;
        len += bytes + 1;
        count++;
    }
    return len;
}

static struct k2_series *find_series(struct k2_metrics *metrics, enum k2_metric metric,
                                     const char *labels, size_t len) {
    struct k2_series *series = atomic_load_explicit(&metrics->heads[metric], memory_order_acquire);
    while (series && (series->labels_len != len || memcmp(series->labels, labels, len) != 0))
        series = series->next;
    return series;
}

static struct k2_series *add_series(struct k2_metrics *metrics, enum k2_metric metric,
                                    const char *labels, size_t len) {
    const struct row *row = &rows[metric];
    size_t hits = row->type == HISTOGRAM ? (size_t)row->buckets->count + 1 : 0;
    struct k2_series *series = k2_calloc(1, sizeof *series + hits * sizeof series->hits[0]);
    series->row = row;
    series->labels = memcpy(k2_alloc(len + 1), labels, len);
    series->labels_len = len;
    series->next = atomic_load_explicit(&metrics->heads[metric], memory_order_relaxed);
    atomic_store_explicit(&metrics->heads[metric], series, memory_order_release);
    metrics->counts[metric]++;
    return series;
}

struct k2_series *k2_metrics_get(struct k2_metrics *metrics, enum k2_metric metric,
                                 const char *const *values) {
    static const char *const none[] = {NULL};
    char labels[LABELS_MAX * (LABEL_MAX + 1)];
    size_t len = pack_labels(&rows[metric], values ? values : none, labels);
    struct k2_series *series = find_series(metrics, metric, labels, len);
    if (series)
        return series;
    pthread_mutex_lock(&metrics->mutex);
    if (metrics->counts[metric] >= SERIES_MAX)
        len = pack_labels(&rows[metric], NULL, labels);
    series = find_series(metrics, metric, labels, len);
    if (!series)
        series = add_series(metrics, metric, labels, len);
    pthread_mutex_unlock(&metrics->mutex);
    return series;
}

static double as_double(uint64_t bits) {
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint64_t as_bits(double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

void k2_series_add(struct k2_series *series, uint64_t n) {
    K2_DCHECK(series->row->type == COUNTER);
    atomic_fetch_add_explicit(&series->bits, n, memory_order_relaxed);
}

void k2_series_set(struct k2_series *series, double value) {
    K2_DCHECK(series->row->type == GAUGE);
    atomic_store_explicit(&series->bits, as_bits(value), memory_order_relaxed);
}

static void add_double(_Atomic uint64_t *bits, double delta) {
    uint64_t old = atomic_load_explicit(bits, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(bits, &old, as_bits(as_double(old) + delta),
                                                  memory_order_relaxed, memory_order_relaxed))
        ;
}

void k2_series_move(struct k2_series *series, double delta) {
    K2_DCHECK(series->row->type == GAUGE);
    add_double(&series->bits, delta);
}

void k2_series_observe(struct k2_series *series, double value) {
    K2_DCHECK(series->row->type == HISTOGRAM);
    const struct buckets *buckets = series->row->buckets;
    int i = 0;
    while (i < buckets->count && value > buckets->bounds[i])
        i++;
    atomic_fetch_add_explicit(&series->hits[i], 1, memory_order_relaxed);
    add_double(&series->bits, value);
}

double k2_series_value(const struct k2_series *series) {
    uint64_t bits = atomic_load_explicit(&series->bits, memory_order_relaxed);
    if (series->row->type == COUNTER)
        return (double)bits;
    if (series->row->type == GAUGE)
        return as_double(bits);
    uint64_t count = 0;
    for (int i = 0; i <= series->row->buckets->count; i++)
        count += atomic_load_explicit(&series->hits[i], memory_order_relaxed);
    return (double)count;
}

/* The shortest decimal that reads back as the same double. */
static void put_number(struct k2_buf *buf, double value) {
    if (isnan(value) || isinf(value)) {
        k2_buf_text(buf, isnan(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf");
        return;
    }
    char text[40];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        double back;
        if (sscanf(text, "%lf", &back) == 1 && back == value)
            break;
    }
    k2_buf_text(buf, text);
}

/* name_suffix{common,labels and, for a bucket, le} and a space. */
static void put_head(struct k2_buf *buf, const struct k2_metrics *metrics,
                     const struct k2_series *series, const char *suffix, const double *bound) {
    k2_buf_printf(buf, "%s%s{", series->row->name, suffix);
    k2_buf_str(buf, k2_buf_view(&metrics->common));
    const char *value = series->labels;
    struct k2_str rest = k2_str_of(series->row->labels);
    while (rest.len) {
        put_label(buf, k2_str_split(rest, ',', &rest), value);
        value += strlen(value) + 1;
    }
    if (bound) {
        k2_buf_text(buf, ",le=\"");
        put_number(buf, *bound);
        k2_buf_byte(buf, '"');
    }
    k2_buf_text(buf, "} ");
}

static void put_histogram(struct k2_buf *buf, const struct k2_metrics *metrics,
                          const struct k2_series *series) {
    const struct buckets *buckets = series->row->buckets;
    uint64_t count = 0;
    for (int i = 0; i <= buckets->count; i++) {
        double bound = i < buckets->count ? buckets->bounds[i] : INFINITY;
        count += atomic_load_explicit(&series->hits[i], memory_order_relaxed);
        put_head(buf, metrics, series, "_bucket", &bound);
        k2_buf_printf(buf, "%llu\n", (unsigned long long)count);
    }
    put_head(buf, metrics, series, "_sum", NULL);
    put_number(buf, as_double(atomic_load_explicit(&series->bits, memory_order_relaxed)));
    k2_buf_byte(buf, '\n');
    put_head(buf, metrics, series, "_count", NULL);
    k2_buf_printf(buf, "%llu\n", (unsigned long long)count);
}

static void put_series(struct k2_buf *buf, const struct k2_metrics *metrics,
                       const struct k2_series *series) {
    if (series->row->type == HISTOGRAM) {
        put_histogram(buf, metrics, series);
        return;
    }
    uint64_t bits = atomic_load_explicit(&series->bits, memory_order_relaxed);
    put_head(buf, metrics, series, "", NULL);
    if (series->row->type == COUNTER)
        k2_buf_printf(buf, "%llu", (unsigned long long)bits);
    else
        put_number(buf, as_double(bits));
    k2_buf_byte(buf, '\n');
}

void k2_metrics_text(struct k2_metrics *metrics, struct k2_buf *buf) {
    static const char *const types[] = {"counter", "gauge", "histogram"};
    for (int i = 0; i < K2_METRIC_COUNT; i++) {
        const struct k2_series *series =
            atomic_load_explicit(&metrics->heads[i], memory_order_acquire);
        if (!series)
            continue;
        const struct row *row = &rows[i];
        k2_buf_printf(buf, "# HELP %s %s\n# TYPE %s %s\n", row->name, row->help, row->name,
                      types[row->type]);
        for (; series; series = series->next)
            put_series(buf, metrics, series);
    }
}
