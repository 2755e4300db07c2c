/* output.c -- stdout for data, stderr for everything else, small tables. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/json.h"
#include "cli/cli.h"

static bool has_failed;
static int failed_errno;
static bool is_progress_shown;

void k2_out(struct k2_str text) {
    if (text.len && fwrite(text.ptr, 1, text.len, stdout) != text.len && !has_failed) {
        has_failed = true;
        failed_errno = errno;
    }
}

void k2_out_printf(const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    if (vprintf(fmt, args) < 0 && !has_failed) {
        has_failed = true;
        failed_errno = errno;
    }
    va_end(args);
}

bool k2_out_flush(struct k2_err *err) {
    if (fflush(stdout) != 0 && !has_failed) {
        has_failed = true;
        failed_errno = errno;
    }
    errno = failed_errno;
    return !has_failed || k2_err_sys(err, "write standard output");
}

bool k2_out_is_left(void) {
    return has_failed && failed_errno == EPIPE;
}

bool k2_stderr_is_terminal(void) {
    return isatty(STDERR_FILENO);
}

void k2_say(const char *fmt, ...) {
    k2_progress_end();
    va_list args;
    va_start(args, fmt);
    fputs("k2: ", stderr);
    vfprintf(stderr, fmt, args);
    fputc('\n', stderr);
    va_end(args);
}

void k2_progress(const char *fmt, ...) {
    if (!k2_stderr_is_terminal())
        return;
    va_list args;
    va_start(args, fmt);
    fputs("\r\033[K", stderr);
    vfprintf(stderr, fmt, args);
    fflush(stderr);
    va_end(args);
    is_progress_shown = true;
}

/* Eighths of a cell where the terminal knows UTF-8, else whole ones. */
static void draw_bar(double share, char *out, size_t size) {
    enum { CELLS = 24 };
    static const char *const eighths[] = {"",       "\u258f", "\u258e", "\u258d",
                                          "\u258c", "\u258b", "\u258a", "\u2589"};
    const char *locale = getenv("LC_ALL");
    if (!locale || !*locale)
        locale = getenv("LC_CTYPE");
    if (!locale || !*locale)
        locale = getenv("LANG");
    bool is_utf8 = locale && (strstr(locale, "UTF-8") || strstr(locale, "utf8"));
    int filled = (int)(share * CELLS * 8), used = 0, cells = 0;
    for (; cells < filled / 8; cells++)
        used += snprintf(out + used, size - (size_t)used, "%s", is_utf8 ? "\u2588" : "#");
    if (is_utf8 && cells < CELLS && filled % 8) {
        used += snprintf(out + used, size - (size_t)used, "%s", eighths[filled % 8]);
        cells++;
    }
    snprintf(out + used, size - (size_t)used, "%*s", CELLS - cells, "");
}

void k2_progress_bar(double share, const char *fmt, ...) {
    char bar[128], text[160];
    if (!k2_stderr_is_terminal())
        return;
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    share = share < 0 ? 0 : share > 1 ? 1 : share;
    draw_bar(share, bar, sizeof bar);
    const char *no_colour = getenv("NO_COLOR");
    bool is_plain = no_colour && *no_colour;
    k2_progress("%s%s%s %3.0f%%  %s", is_plain ? "[" : "\033[36m", bar, is_plain ? "]" : "\033[0m",
                100 * share, text);
}

void k2_progress_end(void) {
    if (is_progress_shown)
        fputs("\r\033[K", stderr);
    is_progress_shown = false;
}

/* ---- grids ---- */

void k2_grid_add(struct k2_grid *grid, const char *fmt, ...) {
    char text[2048];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    k2_buf_append(&grid->cells, text, strlen(text) + 1);
    grid->cell_count++;
}

static void print_cell(const char *text, int width, bool is_number, bool is_last) {
    int shown = 0;
    for (const char *p = text; *p; p++)
        shown += ((unsigned char)*p & 0xc0) != 0x80;
    int pad = K2_MAX(width - shown, 0);
    if (is_number)
        k2_out_printf("%*s%s", pad, "", text);
    else
        k2_out_printf("%s%*s", text, is_last ? 0 : pad, "");
    k2_out_printf("%s", is_last ? "\n" : "  ");
}

static void print_table(const struct k2_grid *grid) {
    int widths[32] = {0}, columns = grid->column_count;
    for (int i = 0; i < columns; i++)
        widths[i] = (int)strlen(grid->names[i]);
    const char *cell = grid->cells.ptr;
    for (int i = 0; i < grid->cell_count; i++, cell += strlen(cell) + 1)
        widths[i % columns] = K2_MAX(widths[i % columns], (int)strlen(cell));
    for (int i = 0; i < columns; i++)
        print_cell(grid->names[i], widths[i], grid->is_number[i], i == columns - 1);
    cell = grid->cells.ptr;
    for (int i = 0; i < grid->cell_count; i++, cell += strlen(cell) + 1)
        print_cell(cell, widths[i % columns], grid->is_number[i % columns],
                   i % columns == columns - 1);
}

static void print_json(const struct k2_grid *grid) {
    struct k2_buf out = {0};
    const char *cell = grid->cells.ptr;
    k2_buf_byte(&out, '[');
    for (int i = 0; i < grid->cell_count; i++, cell += strlen(cell) + 1) {
        int column = i % grid->column_count;
        if (column == 0)
            k2_buf_text(&out, i ? ",\n {" : "{");
        if (grid->is_number[column] && *cell) {
            k2_json_key(&out, grid->names[column]);
            k2_buf_text(&out, cell);
        } else {
            k2_json_key_str(&out, grid->names[column], k2_str_of(cell));
        }
        if (column == grid->column_count - 1)
            k2_buf_byte(&out, '}');
    }
    k2_buf_text(&out, "]\n");
    k2_out(k2_buf_view(&out));
    k2_buf_done(&out);
}

bool k2_grid_print(struct k2_grid *grid, const char *format, struct k2_err *err) {
    bool is_json = format && strcmp(format, "json") == 0;
    bool ok = is_json || !format || strcmp(format, "table") == 0;
    if (!ok)
        k2_err_set(err, K2_USAGE, "--format %s: this command knows table and json", format);
    else if (is_json)
        print_json(grid);
    else
        print_table(grid);
    k2_buf_done(&grid->cells);
    return ok;
}
