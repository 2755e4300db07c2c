/* args.c -- flags and words of a command line. */
#include "cli/args.h"

#include <stdio.h>

#include "base/alloc.h"

static int find_flag(const struct k2_option *flags, struct k2_str name) {
    for (int i = 0; flags && flags[i].name; i++)
        if (k2_str_is(name, flags[i].name))
            return i;
    return -1;
}

/* A flag that means two things has two rows of its name, one behind the other: the second time it
 * is given it fills the second. */
static int find_free_flag(const struct k2_args *args, struct k2_str name) {
    int flag = find_flag(args->flags, name);
    while (flag >= 0 && args->values[flag] && args->flags[flag + 1].name &&
           k2_str_is(name, args->flags[flag + 1].name))
        flag++;
    return flag;
}

static bool unknown_flag(const struct k2_command *command, struct k2_str name, struct k2_err *err) {
    const char *nearest = NULL;
    int best = 4;
    for (int i = 0; command->flags && command->flags[i].name; i++) {
        int distance = k2_str_distance(name, k2_str_of(command->flags[i].name));
        if (distance < best) {
            best = distance;
            nearest = command->flags[i].name;
        }
    }
    return k2_err_set(err, K2_USAGE, "%s: unknown option --%.*s%s%s%s (see k2 help %s)",
                      command->words, K2_FMT(name), nearest ? "; did you mean --" : "",
                      nearest ? nearest : "", nearest ? "?" : "", command->words);
}

bool k2_args_parse(const struct k2_command *command, int argc, char **argv, struct k2_args *args,
                   struct k2_err *err) {
    *args = (struct k2_args){.flags = command->flags,
                             .words = k2_new_array(const char *, (size_t)argc + 1)};
    bool only_words = false;
    for (int i = 0; i < argc; i++) {
        const char *word = argv[i];
        if (only_words || strncmp(word, "--", 2) != 0) {
            args->words[args->count++] = word;
            continue;
        }
        if (!word[2]) {
            only_words = true;
            continue;
        }
        struct k2_str value, name = k2_str_split(k2_str_of(word + 2), '=', &value);
        int flag = find_free_flag(args, name);
        if (flag < 0)
            return unknown_flag(command, name, err);
        K2_ASSERT(flag < K2_FLAGS_MAX);
        bool wants_value = command->flags[flag].value != NULL;
        if (wants_value && !value.ptr && i + 1 == argc)
            return k2_err_set(err, K2_USAGE, "%s: --%s wants a value: --%s %s", command->words,
                              command->flags[flag].name, command->flags[flag].name,
                              command->flags[flag].value);
        if (!wants_value && value.ptr)
            return k2_err_set(err, K2_USAGE, "%s: --%s takes no value", command->words,
                              command->flags[flag].name);
        args->values[flag] = !wants_value ? "" : value.ptr ? value.ptr : argv[++i];
    }
    if (args->count < command->words_min || args->count > command->words_max)
        return k2_err_set(err, K2_USAGE, "usage: k2 %s%s%s", command->words,
                          *command->usage ? " " : "", command->usage);
    return true;
}

void k2_args_done(struct k2_args *args) {
    k2_free(args->words);
}

const char *k2_arg(const struct k2_args *args, const char *name) {
    int flag = find_flag(args->flags, k2_str_of(name));
    K2_ASSERT(flag >= 0);
    return args->values[flag];
}

bool k2_arg_i64(const struct k2_args *args, const char *name, int64_t low, int64_t high,
                int64_t *ret, struct k2_err *err) {
    const char *text = k2_arg(args, name);
    int64_t value;
    if (!text)
        return true;
    if (!k2_str_to_i64(k2_str_of(text), &value) || value < low || value > high)
        return k2_err_set(err, K2_USAGE, "--%s %s: wants a whole number from %lld to %lld", name,
                          text, (long long)low, (long long)high);
    *ret = value;
    return true;
}
