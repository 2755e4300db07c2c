/* csv_impl.h -- what the layouts of the CSV feed share. Private to feed. */
#ifndef K2_FEED_CSV_IMPL_H
#define K2_FEED_CSV_IMPL_H

#include "base/zone.h"
#include "feed/feed.h"

enum { CSV_FIELDS_MAX = 64, CSV_TOPICS_MAX = 64, CSV_BATCH = 8192, CSV_LINE_MAX = 1 << 20 };

/* One open batch: rows of one topic. */
struct k2_csv_topic {
    char name[200];
    uint32_t exchange; /* code, and asset class: what the name was made of */
    uint8_t asset_class;
    struct k2_batch *batch;
    uint32_t given; /* rows handed out since it was last empty: only the last can be dirty */
};

/* Per symbol and day: how many lines there were. */
struct k2_csv_count {
    uint32_t symbol, exchange;
    int32_t day;
    int64_t n;
};

struct k2_csv {
    const char *path;
    const struct k2_csv_opts *opts;
    const struct k2_csv_layout *layout;
    const struct k2_feed_out *out;
    struct k2_csv_result *result;
    struct k2_zone *zone;
    struct k2_intern strings; /* 0 is the empty one, so that zeroed columns hold it */
    struct k2_csv_topic topics[CSV_TOPICS_MAX];
    int topic_count;
    struct k2_batch *events;
    struct k2_intern bad_lines; /* bytes of bad lines, and how often each has been */
    int64_t *bad_counts;
    int64_t line, ingestion_us;
    struct k2_csv_count *counts;
    int count_count, count_last;
    char symbol[128], exchange[128], company[64];
    int16_t columns[CSV_FIELDS_MAX]; /* of a header: field -> column of the kind, -1 unknown */
    int column_count;
    /* Of layouts whose header names the columns: those of the kind, and their fields (-1: none). */
    struct k2_csv_keys {
        int symbol, exchange, nanos;
        int symbol_field, exchange_field, asset_class_field;
    } keys;
    struct k2_str fields[CSV_FIELDS_MAX];
    int field_count;
    struct k2_buf unquoted;
    struct k2_str last_vendor[8]; /* of the row before, and its span */
    struct k2_span last_span;
    struct k2_batch *last_batch;
    struct k2_err *err;
};

/* Why a line is set aside; text is for people. */
struct k2_csv_fault {
    const char *code;
    char text[300];
};

struct k2_csv_layout {
    const char *name;
    enum k2_kind kind;
    bool has_header, is_quoted;
    int fields; /* exact number; 0: by the header; -1: the row says */
    const char *exchange, *zone;
    /* Header line taken (has_header): false with an error when it does not fit. */
    bool (*header)(struct k2_csv *csv);
    /* The fields of a line become a row. False: fault says why. */
    bool (*row)(struct k2_csv *csv, struct k2_csv_fault *fault);
};
const struct k2_csv_layout *k2_csv_layout_find(const char *name);

/* csv_layouts.c: what the layout must know before the first line: the symbol of a file named after
 * a company, and so on. False with csv->err. */
bool k2_csv_prepare(struct k2_csv *csv);

/* csv_named.c: layouts with a header. */
bool k2_csv_header(struct k2_csv *csv);
bool k2_csv_named_row(struct k2_csv *csv, struct k2_csv_fault *fault);
bool k2_csv_company_header(struct k2_csv *csv);
bool k2_csv_company(struct k2_csv *csv, struct k2_csv_fault *fault);

/* csv_fields.c: values out of fields. Each returns false and fills fault. */
bool k2_csv_decimal(const char *name, struct k2_str text, int64_t *ret, struct k2_csv_fault *fault);
bool k2_csv_int(const char *name, struct k2_str text, int64_t *ret, struct k2_csv_fault *fault);
bool k2_csv_fault(struct k2_csv_fault *fault, const char *code, const char *fmt, ...)
    K2_PRINTF(3, 4);
/* MM/DD/YYYY and HH:MM:SS.mmm in csv->zone; *ret_day is the local day. */
bool k2_csv_local_time(struct k2_csv *csv, struct k2_str date, struct k2_str time, int64_t *ret_us,
                       int32_t *ret_day, struct k2_csv_fault *fault);
/* Splits a line into csv->fields; false: unbalanced quotes or too many fields. */
bool k2_csv_split(struct k2_csv *csv, struct k2_str line, bool is_quoted);
/* csv.c: the open batch of an exchange and asset class, or NULL. */
struct k2_csv_topic *k2_csv_topic(struct k2_csv *csv, uint32_t exchange, uint8_t asset_class);
/* csv.c: the batch rows of an exchange go to, with room for one row; NULL with csv->err. The row's
 * columns are zero. */
struct k2_batch *k2_csv_batch(struct k2_csv *csv, uint32_t exchange, uint8_t asset_class);
/* The next number, from 1, of (symbol, exchange, day). */
int64_t k2_csv_next(struct k2_csv *csv, uint32_t symbol, uint32_t exchange, int32_t day);

#endif
