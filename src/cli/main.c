/* main.c -- argv to a command: global options, settings, signals, exit codes. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "cli/args.h"

extern char **environ;
atomic_bool k2_stop_asked;

static void on_signal(int signal_number) {
    (void)signal_number;
    /* The second one means it: leave at once. The log and the tables bear that at any moment. */
    if (atomic_exchange(&k2_stop_asked, true))
        _exit(128 + signal_number);
}

static void catch_signals(void) {
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    /* Secrets must not end up in a core file. */
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
}

/* Takes the options before the command; *ret_at is where the command begins. */
static bool parse_globals(int argc, char **argv, struct k2_globals *g, int *ret_at,
                          struct k2_err *err) {
    int i = 1;
    for (; i < argc && argv[i][0] == '-'; i++) {
        struct k2_str value, name = k2_str_split(k2_str_of(argv[i]), '=', &value);
        bool is_help = k2_str_is(name, "--help") || k2_str_is(name, "-h");
        if (is_help || k2_str_is(name, "--version"))
            break;
        bool is_known =
            k2_str_is(name, "--home") || k2_str_is(name, "--config") || k2_str_is(name, "-o");
        if (!is_known)
            return k2_err_set(err, K2_USAGE, "unknown option %s before the command (see k2 help)",
                              argv[i]);
        const char *text = value.ptr && argv[i][1] == '-' ? value.ptr
                           : i + 1 < argc                 ? argv[++i]
                                                          : NULL;
        if (!text)
            return k2_err_set(err, K2_USAGE, "%.*s wants a value", K2_FMT(name));
        if (k2_str_is(name, "--home"))
            g->home = text;
        else if (k2_str_is(name, "--config"))
            g->config_file = text;
        else if (g->set_count < (int)K2_COUNT(g->sets))
            g->sets[g->set_count++] = text;
    }
    *ret_at = i;
    return true;
}

/* Settings of tables say what only the lake can judge: table.<name>.partition. */
static bool check_tables(struct k2_config *config, struct k2_err *err) {
    struct k2_config_item item;
    for (size_t at = 0; k2_config_next(config, &at, &item);) {
        struct k2_str rest, name;
        if (!k2_str_starts(k2_str_of(item.key), "table.") || strchr(item.key, '<'))
            continue;
        name = k2_str_split(k2_str_of(item.key + 6), '.', &rest);
        char table[128];
        snprintf(table, sizeof table, "%.*s", K2_FMT(name));
        const struct k2_schema *schema = k2_table_typed(table, err);
        if (!schema || !k2_partition_check(schema, item.value, err)) {
            err->code = K2_USAGE;
            return k2_err_wrap(err, "%s: %s", item.origin, item.key);
        }
    }
    return true;
}

static bool load_settings(struct k2_home *home, struct k2_err *err) {
    const struct k2_globals *g = &home->globals;
    const char *file = g->config_file ? g->config_file : k2_home_path(home, "k2.yaml");
    if (g->config_file || k2_path_exists(file))
        K2_TRY(k2_config_load_file(home->config, file, err));
    K2_TRY(k2_config_load_env(home->config, environ, err));
    for (int i = 0; i < g->set_count; i++) {
        struct k2_str value, key = k2_str_split(k2_str_of(g->sets[i]), '=', &value);
        if (!value.ptr)
            return k2_err_set(err, K2_USAGE, "-o %s: wants key=value", g->sets[i]);
        char name[256];
        snprintf(name, sizeof name, "%.*s", K2_FMT(key));
        K2_TRY(k2_config_set(home->config, name, value.ptr, "-o", err));
    }
    return k2_config_check(home->config, err) && check_tables(home->config, err);
}

bool k2_settings_reload(struct k2_home *home, struct k2_err *err) {
    struct k2_config *old = home->config;
    home->config = k2_config_new();
    if (load_settings(home, err)) {
        k2_config_free(old);
        return true;
    }
    k2_config_free(home->config);
    home->config = old;
    return false;
}

/* The longest row of commands whose words stand at argv. *ret_words of them are used. */
static const struct k2_command *find_command(int argc, char **argv, int *ret_words) {
    const struct k2_command *found = NULL;
    *ret_words = 0;
    for (const struct k2_command *c = k2_commands; c->words; c++) {
        struct k2_str rest = k2_str_of(c->words);
        int words = 0;
        bool fits = true;
        while (rest.ptr && fits) {
            struct k2_str word = k2_str_split(rest, ' ', &rest);
            fits = words < argc && k2_str_is(word, argv[words]);
            words++;
        }
        if (fits && words > *ret_words) {
            found = c;
            *ret_words = words;
        }
    }
    return found;
}

static bool unknown_command(int argc, char **argv, struct k2_err *err) {
    char typed[128];
    snprintf(typed, sizeof typed, "%s%s%s", argv[0], argc > 1 && argv[1][0] != '-' ? " " : "",
             argc > 1 && argv[1][0] != '-' ? argv[1] : "");
    const char *nearest = NULL;
    int best = 5;
    for (const struct k2_command *c = k2_commands; c->words; c++) {
        struct k2_str rest, first = k2_str_split(k2_str_of(c->words), ' ', &rest);
        int whole = k2_str_distance(k2_str_of(typed), k2_str_of(c->words));
        int head = k2_str_distance(k2_str_of(argv[0]), first);
        int distance = K2_MIN(whole, head + 1);
        if (distance < best) {
            best = distance;
            nearest = c->words;
        }
    }
    return k2_err_set(err, K2_USAGE, "there is no command \"%s\"%s%s%s (see k2 help)", typed,
                      nearest ? "; did you mean \"k2 " : "", nearest ? nearest : "",
                      nearest ? "\"?" : "");
}

static int run(int argc, char **argv, struct k2_home *home, struct k2_err *err) {
    struct k2_globals g = {.home = getenv("K2_HOME")};
    int at = 0;
    if (!parse_globals(argc, argv, &g, &at, err))
        return -1;
    if (at == argc || strcmp(argv[at], "--help") == 0 || strcmp(argv[at], "-h") == 0)
        return k2_help(NULL, 0, err);
    if (strcmp(argv[at], "--version") == 0)
        return k2_cmd_version(home, NULL, err);
    if (strcmp(argv[at], "help") == 0)
        return k2_help((const char *const *)argv + at + 1, argc - at - 1, err);
    int words;
    const struct k2_command *command = find_command(argc - at, argv + at, &words);
    if (!command)
        return unknown_command(argc - at, argv + at, err) - 1;
    for (int i = at + words; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0)
            return k2_help((const char *const *)argv + at, words, err);
    home->dir = k2_path_real(g.home && g.home[0] ? g.home : "k2-data");
    home->config = k2_config_new();
    home->clock = k2_clock_real();
    home->globals = g;
    if (!load_settings(home, err))
        return -1;
    struct k2_args args;
    int code = -1;
    if (k2_args_parse(command, argc - at - words, argv + at + words, &args, err))
        code = command->run(home, &args, err);
    if (code < 0 && err->code != K2_USAGE)
        k2_err_wrap(err, "%s", command->words);
    k2_args_done(&args);
    return code;
}

int main(int argc, char **argv) {
    struct k2_err err = {0};
    struct k2_home home = {0};
    catch_signals();
    int code = run(argc, argv, &home, &err);
    k2_progress_end();
    struct k2_err out_err = {0};
    if (!k2_out_flush(&out_err) && code >= 0) {
        err = out_err;
        code = -1;
    }
    if (code < 0 && k2_out_is_left()) {
        code = K2_EXIT_DONE;
    } else if (code < 0) {
        k2_say("%s", err.msg);
        code = k2_err_exit_code(err.code);
    }
    k2_home_close(&home);
    k2_config_free(home.config);
    k2_free((void *)(uintptr_t)home.dir);
    return code;
}
