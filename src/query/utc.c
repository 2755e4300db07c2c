/* utc.c -- time functions by arithmetic, where DuckDB would ask a calendar.
 */
#include "query/utc.h"

#include <strings.h>

#include "base/date.h"
#include "base/str.h"

/* DuckDB's infinite times. */
static bool is_infinite(int64_t us) {
    return us == INT64_MAX || us == -INT64_MAX;
}

/* ---- stretches of time ---- */

/* Buckets count from Monday, 2000-01-03, those of months from 2000-01. */
static const int64_t origin_us = 10959 * K2_DAY_US;
enum { ORIGIN_YEAR = 2000, YEAR_MAX = 300000 /* beyond all times of 64 bits */ };
static const char *const too_far = "a time is too far away for its bucket";

/* The bucket found last: [from, until). Rows of a symbol come in order of time, so the next is
 * mostly the same. */
struct stretch {
    int64_t from, until;
};

/* Why there is none, or NULL. */
static const char *find_days(int64_t width_us, int64_t us, struct stretch *ret) {
    int64_t past = (us % width_us - origin_us % width_us) % width_us;
    if (__builtin_sub_overflow(us, past < 0 ? past + width_us : past, &ret->from))
        return too_far;
    if (__builtin_add_overflow(ret->from, width_us, &ret->until))
        ret->until = INT64_MAX;
    return NULL;
}

static bool start_of_month(int64_t month, int64_t *ret_us) {
    int64_t year = month / 12 - (month % 12 < 0);
    struct k2_date date = {(int32_t)(ORIGIN_YEAR + year), (int32_t)(month - year * 12) + 1, 1};
    return year >= -YEAR_MAX && year <= YEAR_MAX &&
           !__builtin_mul_overflow(k2_days_from_date(date), K2_DAY_US, ret_us);
}

static const char *find_months(int32_t width, int64_t us, struct stretch *ret) {
    struct k2_date date = k2_date_from_days(k2_days_from_us(us));
    int64_t month = ((int64_t)date.year - ORIGIN_YEAR) * 12 + date.month - 1;
    int64_t past = month % width;
    month -= past < 0 ? past + width : past;
    if (!start_of_month(month, &ret->from))
        return too_far;
    if (!start_of_month(month + width, &ret->until))
        ret->until = INT64_MAX;
    return NULL;
}

/* ISO years begin on the Monday of the week that holds January 4. */
static int32_t iso_year_start(int32_t year) {
    int32_t fourth = k2_days_from_date((struct k2_date){year, 1, 4});
    int32_t weekday = (fourth + 3) % 7;
    return fourth - (weekday < 0 ? weekday + 7 : weekday);
}

static const char *find_iso_year(int64_t us, struct stretch *ret) {
    int32_t day = k2_days_from_us(us), year = k2_date_from_days(day).year;
    if (day < iso_year_start(year))
        year--;
    else if (day >= iso_year_start(year + 1))
        year++;
    if (__builtin_mul_overflow(iso_year_start(year), K2_DAY_US, &ret->from))
        return too_far;
    if (__builtin_mul_overflow(iso_year_start(year + 1), K2_DAY_US, &ret->until))
        ret->until = INT64_MAX;
    return NULL;
}

/* ---- rows ---- */

enum { ARGS_MAX = 3 };

/* The arguments of one call and where its results go. */
struct call {
    uint64_t rows;
    int count;
    void *args[ARGS_MAX];
    uint64_t *valid[ARGS_MAX]; /* NULL: all rows are */
    void *results;
    duckdb_vector out;
    bool has_nulls;
};

static struct call begin(duckdb_data_chunk input, duckdb_vector out) {
    struct call call = {.rows = duckdb_data_chunk_get_size(input),
                        .count = (int)duckdb_data_chunk_get_column_count(input),
                        .results = duckdb_vector_get_data(out),
                        .out = out};
    for (int i = 0; i < call.count; i++) {
        duckdb_vector vector = duckdb_data_chunk_get_vector(input, (idx_t)i);
        call.args[i] = duckdb_vector_get_data(vector);
        call.valid[i] = duckdb_vector_get_validity(vector);
        call.has_nulls |= call.valid[i] != NULL;
    }
    return call;
}

static void put_null(duckdb_vector out, uint64_t row) {
    duckdb_vector_ensure_validity_writable(out);
    duckdb_validity_set_row_invalid(duckdb_vector_get_validity(out), row);
}

/* Whether the arguments of a row are there; the result is NULL otherwise. */
static bool has_row(const struct call *call, uint64_t row) {
    for (int i = 0; call->has_nulls && i < call->count; i++)
        if (call->valid[i] && !duckdb_validity_row_is_valid(call->valid[i], row)) {
            put_null(call->out, row);
            return false;
        }
    return true;
}

/* ---- time_bucket ---- */

static const char *find_bucket(const duckdb_interval *width, int64_t us, struct stretch *ret) {
    if (width->months && (width->days || width->micros))
        return "a bucket of months cannot have days or a time of day as well";
    if (width->days && width->micros)
        return "a bucket of days cannot have a time of day as well";
    if (width->months < 0 || width->days < 0 || width->micros < 0 ||
        !(width->months || width->days || width->micros))
        return "a bucket must be longer than nothing";
    if (width->months)
        return find_months(width->months, us, ret);
    int64_t width_us = width->micros;
    if (width->days && __builtin_mul_overflow(width->days, K2_DAY_US, &width_us))
        return too_far;
    return find_days(width_us, us, ret);
}

static void time_bucket(duckdb_function_info info, duckdb_data_chunk input, duckdb_vector out) {
    struct call call = begin(input, out);
    const duckdb_interval *widths = call.args[0];
    const int64_t *times = call.args[1];
    int64_t *results = call.results;
    struct stretch found = {0};
    uint64_t at = 0; /* the row whose width found is of */
    for (uint64_t i = 0; i < call.rows; i++) {
        if (!has_row(&call, i))
            continue;
        bool is_same = memcmp(&widths[i], &widths[at], sizeof *widths) == 0;
        if (!is_same || times[i] < found.from || times[i] >= found.until) {
            if (is_infinite(times[i])) {
                results[i] = times[i];
                continue;
            }
            const char *failure = find_bucket(&widths[i], times[i], &found);
            if (failure) {
                duckdb_scalar_function_set_error(info, failure);
                return;
            }
            at = i;
        }
        results[i] = found.from;
    }
}

/* ---- units ---- */

struct unit {
    const char *names; /* all that DuckDB knows, a space after each */
    int64_t us;
    int32_t months; /* both 0: ISO years */
};
static const struct unit units[] = {
    {"microsecond microseconds us usec usecs usecond useconds ", 1, 0},
    {"millisecond milliseconds ms msec msecs msecond mseconds ", 1000, 0},
    {"second seconds sec secs s epoch ", 1000000, 0},
    {"minute minutes min mins m ", 60000000, 0},
    {"hour hours hr hrs h ", 3600000000, 0},
    {"day days d dayofmonth dow dayofweek weekday isodow doy dayofyear julian jd ", K2_DAY_US, 0},
    {"week weeks w weekofyear ", 7 * K2_DAY_US, 0},
    {"yearweek ", 7 * K2_DAY_US, 0},
    {"month months mon mons ", 0, 1},
    {"quarter quarters ", 0, 3},
    {"year years yr yrs y ", 0, 12},
    {"isoyear ", 0, 0},
    {"decade decades dec decs ", 0, 120},
    {"century centuries cent c ", 0, 1200},
    {"millennium millennia millenniums millenium mil mils ", 0, 12000},
};

static const struct unit *find_unit(struct k2_str name) {
    for (size_t i = 0; i < K2_COUNT(units); i++)
        for (const char *at = units[i].names; *at; at = strchr(at, ' ') + 1)
            if (strcspn(at, " ") == name.len && strncasecmp(at, name.ptr, name.len) == 0)
                return &units[i];
    return NULL;
}

static const char *find_in(const struct unit *unit, int64_t us, struct stretch *ret) {
    if (unit->us)
        return find_days(unit->us, us, ret);
    return unit->months ? find_months(unit->months, us, ret) : find_iso_year(us, ret);
}

static void fail_unit(duckdb_function_info info, struct k2_str name) {
    struct k2_err err;
    k2_err_set(&err, K2_INVALID, "\"%.*s\" is no unit of time here",
               (int)K2_MIN(name.len, (size_t)40), name.ptr);
    duckdb_scalar_function_set_error(info, err.msg);
}

/* The unit of a row: that of the row before, mostly. NULL after telling why. */
static const struct unit *unit_of(duckdb_function_info info, duckdb_string_t *text,
                                  struct k2_str *name, const struct unit *before) {
    struct k2_str now = {duckdb_string_t_data(text), duckdb_string_t_length(*text)};
    if (before && k2_str_eq(now, *name))
        return before;
    const struct unit *unit = find_unit(*name = now);
    if (!unit)
        fail_unit(info, now);
    return unit;
}

/* ---- date_trunc ---- */

static void date_trunc(duckdb_function_info info, duckdb_data_chunk input, duckdb_vector out) {
    struct call call = begin(input, out);
    duckdb_string_t *names = call.args[0];
    const int64_t *times = call.args[1];
    int64_t *results = call.results;
    struct stretch found = {0};
    const struct unit *before = NULL;
    struct k2_str name = {0};
    for (uint64_t i = 0; i < call.rows; i++) {
        if (!has_row(&call, i))
            continue;
        const struct unit *unit = unit_of(info, &names[i], &name, before);
        if (!unit)
            return;
        bool is_found = unit == before && times[i] >= found.from && times[i] < found.until;
        const char *failure = NULL;
        if (!is_found && !is_infinite(times[i]))
            failure = find_in(unit, times[i], &found);
        if (failure) {
            duckdb_scalar_function_set_error(info, failure);
            return;
        }
        results[i] = is_infinite(times[i]) ? times[i] : found.from;
        before = is_infinite(times[i]) ? NULL : unit;
    }
}

/* ---- differences ---- */

/* Which of its unit a time lies in, numbered from any: the answer found last. */
struct place {
    const struct unit *unit;
    struct stretch found;
    int64_t number;
};

static const char *number_of(const struct unit *unit, int64_t us, struct place *place) {
    struct stretch *found = &place->found;
    if (place->unit == unit && us >= found->from && us < found->until)
        return NULL;
    place->unit = NULL;
    const char *failure = find_in(unit, us, found);
    if (failure)
        return failure;
    place->unit = unit;
    if (unit->us) {
        place->number = (found->from - origin_us % unit->us) / unit->us;
        return NULL;
    }
    enum { TO_THURSDAY = 3 }; /* of the first week, which lies in the ISO year */
    int32_t day = k2_days_from_us(found->from) + (unit->months ? 0 : TO_THURSDAY);
    struct k2_date date = k2_date_from_days(day);
    int32_t months = (date.year - ORIGIN_YEAR) * 12 + date.month - 1;
    place->number = unit->months ? months / unit->months : date.year;
    return NULL;
}

static void date_diff(duckdb_function_info info, duckdb_data_chunk input, duckdb_vector out) {
    struct call call = begin(input, out);
    duckdb_string_t *names = call.args[0];
    const int64_t *starts = call.args[1], *ends = call.args[2];
    int64_t *results = call.results;
    struct place start = {0}, end = {0};
    const struct unit *unit = NULL, *day = find_unit(K2_STR("day")),
                      *week = find_unit(K2_STR("week"));
    struct k2_str name = {0};
    for (uint64_t i = 0; i < call.rows; i++) {
        if (!has_row(&call, i))
            continue;
        if (is_infinite(starts[i]) || is_infinite(ends[i])) {
            put_null(out, i);
            continue;
        }
        unit = unit_of(info, &names[i], &name, unit);
        if (!unit)
            return;
        /* Weeks are a distance of seven days each, Mondays between are for yearweek. */
        const struct unit *counted = unit == week ? day : unit;
        const char *failure = number_of(counted, starts[i], &start);
        failure = failure ? failure : number_of(counted, ends[i], &end);
        if (!failure && __builtin_sub_overflow(end.number, start.number, &results[i]))
            failure = "two times are too far apart for their unit";
        if (failure) {
            duckdb_scalar_function_set_error(info, failure);
            return;
        }
        results[i] /= unit == week ? 7 : 1;
    }
}

/* The days between are all of 24 hours; what is left has the same sign. */
static void minus(duckdb_function_info info, duckdb_data_chunk input, duckdb_vector out) {
    struct call call = begin(input, out);
    const int64_t *times = call.args[0], *subtracted = call.args[1];
    duckdb_interval *results = call.results;
    for (uint64_t i = 0; i < call.rows; i++) {
        if (!has_row(&call, i))
            continue;
        if (is_infinite(times[i]) || is_infinite(subtracted[i])) {
            duckdb_scalar_function_set_error(info, "Cannot subtract infinite timestamps");
            return;
        }
        int64_t days = times[i] / K2_DAY_US - subtracted[i] / K2_DAY_US;
        int64_t us = times[i] % K2_DAY_US - subtracted[i] % K2_DAY_US;
        days += us / K2_DAY_US;
        us %= K2_DAY_US;
        int32_t carry = days > 0 && us < 0 ? 1 : days < 0 && us > 0 ? -1 : 0;
        results[i] =
            (duckdb_interval){.days = (int32_t)days - carry, .micros = us + carry * K2_DAY_US};
    }
}

/* ---- nanoseconds ---- */

static void epoch_ns(duckdb_function_info info, duckdb_data_chunk input, duckdb_vector out) {
    struct call call = begin(input, out);
    const int64_t *times = call.args[0];
    const int32_t *nanos = call.args[1];
    int64_t *results = call.results;
    bool is_out = false;
    for (uint64_t i = 0; i < call.rows; i++)
        if (has_row(&call, i))
            is_out |= __builtin_mul_overflow(times[i], 1000, &results[i]) ||
                      __builtin_add_overflow(results[i], nanos[i], &results[i]);
    if (is_out)
        duckdb_scalar_function_set_error(info, "a time is too far for nanoseconds in 64 bits");
}

/* ---- parts ---- */

enum part { YEAR, QUARTER, MONTH, DAY, DAY_OF_YEAR, WEEKDAY, ISO_WEEKDAY, HOUR, MINUTE, SECOND };

static int64_t part_of_date(enum part part, int32_t day) {
    struct k2_date date = k2_date_from_days(day);
    int32_t weekday = (day + 4) % 7; /* from Sunday */
    weekday += weekday < 0 ? 7 : 0;
    switch (part) {
    case YEAR: return date.year;
    case QUARTER: return (date.month - 1) / 3 + 1;
    case MONTH: return date.month;
    case DAY: return date.day;
    case DAY_OF_YEAR: return day - k2_days_from_date((struct k2_date){date.year, 1, 1}) + 1;
    case WEEKDAY: return weekday;
    default: return weekday ? weekday : 7;
    }
}

static int64_t part_of_time(enum part part, int64_t in_day) {
    switch (part) {
    case HOUR: return in_day / 3600000000;
    case MINUTE: return in_day / 60000000 % 60;
    default: return in_day / 1000000 % 60;
    }
}

static void time_part(duckdb_function_info info, duckdb_data_chunk input, duckdb_vector out) {
    struct call call = begin(input, out);
    const enum part part = *(const enum part *)duckdb_scalar_function_get_extra_info(info);
    const int64_t *times = call.args[0];
    int64_t *results = call.results, of_date = 0;
    struct stretch day = {0};
    for (uint64_t i = 0; i < call.rows; i++) {
        if (!has_row(&call, i))
            continue;
        if (is_infinite(times[i])) {
            put_null(out, i);
            continue;
        }
        if (times[i] < day.from || times[i] >= day.until) {
            const char *failure = find_days(K2_DAY_US, times[i], &day);
            if (failure) {
                duckdb_scalar_function_set_error(info, failure);
                return;
            }
            of_date = part < HOUR ? part_of_date(part, k2_days_from_us(day.from)) : 0;
        }
        results[i] = part < HOUR ? of_date : part_of_time(part, times[i] - day.from);
    }
}

/* ---- registration ---- */

#define TIME DUCKDB_TYPE_TIMESTAMP_TZ
#define TEXT DUCKDB_TYPE_VARCHAR
#define LONG DUCKDB_TYPE_BIGINT

static const struct function {
    const char *name;
    duckdb_type args[ARGS_MAX], result;
    duckdb_scalar_function_t run;
    enum part part; /* for time_part */
} functions[] = {
    {"time_bucket", {DUCKDB_TYPE_INTERVAL, TIME}, TIME, time_bucket, 0},
    {"date_trunc", {TEXT, TIME}, TIME, date_trunc, 0},
    {"datetrunc", {TEXT, TIME}, TIME, date_trunc, 0},
    {"date_diff", {TEXT, TIME, TIME}, LONG, date_diff, 0},
    {"datediff", {TEXT, TIME, TIME}, LONG, date_diff, 0},
    {"-", {TIME, TIME}, DUCKDB_TYPE_INTERVAL, minus, 0},
    {"epoch_ns", {TIME, DUCKDB_TYPE_INTEGER}, LONG, epoch_ns, 0},
    {"year", {TIME}, LONG, time_part, YEAR},
    {"quarter", {TIME}, LONG, time_part, QUARTER},
    {"month", {TIME}, LONG, time_part, MONTH},
    {"day", {TIME}, LONG, time_part, DAY},
    {"dayofmonth", {TIME}, LONG, time_part, DAY},
    {"dayofyear", {TIME}, LONG, time_part, DAY_OF_YEAR},
    {"dayofweek", {TIME}, LONG, time_part, WEEKDAY},
    {"weekday", {TIME}, LONG, time_part, WEEKDAY},
    {"isodow", {TIME}, LONG, time_part, ISO_WEEKDAY},
    {"hour", {TIME}, LONG, time_part, HOUR},
    {"minute", {TIME}, LONG, time_part, MINUTE},
    {"second", {TIME}, LONG, time_part, SECOND},
};

static bool register_function(duckdb_connection connection, const struct function *function) {
    duckdb_scalar_function scalar = duckdb_create_scalar_function();
    duckdb_scalar_function_set_name(scalar, function->name);
    for (int i = 0; i < ARGS_MAX && function->args[i] != DUCKDB_TYPE_INVALID; i++) {
        duckdb_logical_type type = duckdb_create_logical_type(function->args[i]);
        duckdb_scalar_function_add_parameter(scalar, type);
        duckdb_destroy_logical_type(&type);
    }
    duckdb_logical_type result = duckdb_create_logical_type(function->result);
    duckdb_scalar_function_set_return_type(scalar, result);
    duckdb_destroy_logical_type(&result);
    duckdb_scalar_function_set_function(scalar, function->run);
    duckdb_scalar_function_set_extra_info(scalar, (void *)(uintptr_t)&function->part, NULL);
    bool ok = duckdb_register_scalar_function(connection, scalar) == DuckDBSuccess;
    duckdb_destroy_scalar_function(&scalar);
    return ok;
}

bool k2_utc_register(duckdb_connection connection, struct k2_err *err) {
    bool ok = true;
    for (size_t i = 0; ok && i < K2_COUNT(functions); i++)
        ok = register_function(connection, &functions[i]);
    return ok || k2_err_set(err, K2_BUG, "DuckDB refused the time functions for UTC");
}
