/* views_select.c -- what each SQL table is, over the stored tables. */
#include "query/views.h"

/* The number of a message: the venue's, else K2's own (docs/rules.md: identity). */
#define NUMBER "coalesce(source_sequence, platform_sequence)"

static void put_column(struct k2_buf *sql, const struct k2_source_column *column) {
    k2_buf_text(sql, ", ");
    k2_sql_name(sql, column->name);
}

static void put_foreign(struct k2_buf *sql, const struct k2_source *source) {
    for (int i = 0; i < source->column_count; i++)
        if (source->columns[i].is_foreign)
            put_column(sql, &source->columns[i]);
}

/* trades and quotes: message_id before and timestamp_ns among the stored columns. */
static void put_messages(struct k2_buf *sql, const struct k2_source *source) {
    k2_buf_text(sql, "exchange || '.' || symbol || '.' || " NUMBER "::VARCHAR AS message_id");
    for (int i = 0; i < source->column_count; i++) {
        put_column(sql, &source->columns[i]);
        if (k2_str_is(source->columns[i].name, "timestamp_nanos"))
            k2_buf_text(sql, ", epoch_ns(\"timestamp\", timestamp_nanos) AS timestamp_ns");
    }
}

static void put_instruments(struct k2_buf *sql, const struct k2_source *source) {
    for (int i = 0; i < source->column_count; i++) {
        struct k2_str name = source->columns[i].name;
        if (i)
            k2_buf_text(sql, ", ");
        if (k2_str_is(name, "is_active") || k2_str_is(name, "may_be_negative"))
            k2_buf_printf(sql, "%.*s = 'true' AS %.*s", K2_FMT(name), K2_FMT(name));
        else
            k2_sql_name(sql, name);
    }
}

static void put_all(struct k2_buf *sql, const struct k2_source *source) {
    for (int i = 0; i < source->column_count; i++) {
        if (i)
            k2_buf_text(sql, ", ");
        k2_sql_name(sql, source->columns[i].name);
    }
}

/* A cancel takes away the trade it refers to and every earlier correction of it; a correction takes
 * away the same and stands in its place. What happened last counts, by the message's number. */
static void put_trades_final(struct k2_buf *sql, const struct k2_source *source) {
    k2_buf_text(sql, "WITH changes AS (SELECT exchange AS e, symbol AS s, "
                     "vendor_data['ref_trade_id'] AS ref, max(" NUMBER ") AS number "
                     "FROM k2.trades WHERE list_contains(trade_conditions, 'CANCEL') OR "
                     "list_contains(trade_conditions, 'CORRECT') GROUP BY ALL) SELECT ");
    put_messages(sql, source);
    k2_buf_text(sql, " FROM k2.trades LEFT JOIN changes AS of_trade ON of_trade.e = exchange AND "
                     "of_trade.s = symbol AND of_trade.ref = trade_id AND of_trade.number > " NUMBER
                     " LEFT JOIN changes AS of_change ON of_change.e = exchange AND "
                     "of_change.s = symbol AND of_change.ref = vendor_data['ref_trade_id'] AND "
                     "list_contains(trade_conditions, 'CORRECT') AND of_change.number > " NUMBER
                     " WHERE of_trade.ref IS NULL AND of_change.ref IS NULL AND "
                     "NOT list_contains(trade_conditions, 'CANCEL')");
}

static void put_gaps(struct k2_buf *sql) {
    k2_buf_text(
        sql, "SELECT g.gap_id, exchange, symbol, data_type, first_missing, last_missing, missing, "
             "coalesce(f.filled, 0) AS recovered, severity, detected_at, "
             "CASE WHEN f.filled >= missing THEN f.filled_at END AS recovered_at, log_topic, "
             "log_id, log_partition, log_offset FROM k2.gaps AS g LEFT JOIN ("
             "SELECT gap_id, sum(\"last\" - \"first\" + 1)::BIGINT AS filled, "
             "max(\"at\") AS filled_at FROM k2.gap_events WHERE \"type\" = 'FILL' GROUP BY gap_id"
             ") AS f ON f.gap_id = g.gap_id");
}

static void put_from(struct k2_buf *sql, const struct k2_source *source, bool is_wide) {
    k2_buf_text(sql, " FROM (");
    k2_source_select(source, is_wide, sql);
    k2_buf_byte(sql, ')');
}

static void put_instruments_latest(struct k2_buf *sql, const struct k2_source *source,
                                   bool is_wide) {
    k2_buf_text(sql, "SELECT ");
    put_instruments(sql, source);
    put_from(sql, source, is_wide);
    k2_buf_text(sql, " QUALIFY row_number() OVER (PARTITION BY exchange, symbol "
                     "ORDER BY platform_sequence DESC, log_offset DESC) = 1");
}

bool k2_view_is_whole(int table) {
    return table != K2_SQL_GAPS && table != K2_SQL_TRADES_FINAL;
}

void k2_view_select(const struct k2_sources *sources, int table, struct k2_buf *sql) {
    const struct k2_source *source = &sources->kinds[k2_sql_table_of(table)->kinds[0]];
    switch (table) {
    case K2_SQL_GAPS: put_gaps(sql); return;
    case K2_SQL_TRADES_FINAL: put_trades_final(sql, source); return;
    case K2_SQL_INSTRUMENTS: put_instruments_latest(sql, source, sources->is_wide); return;
    default: break;
    }
    k2_buf_text(sql, "SELECT ");
    switch (table) {
    case K2_SQL_TRADES:
    case K2_SQL_QUOTES: put_messages(sql, source); break;
    case K2_SQL_INSTRUMENTS_HISTORY: put_instruments(sql, source); break;
    case K2_SQL_DEAD_LETTERS:
        k2_buf_text(sql,
                    "received_at, source, log_topic, log_id, log_partition, log_offset, stage, "
                    "error_code, error, raw, schema_id");
        put_foreign(sql, source);
        break;
    default: put_all(sql, source); break;
    }
    put_from(sql, source, sources->is_wide);
}
