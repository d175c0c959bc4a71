/* SPDX-License-Identifier: MIT */
#include "agent/command.h"
#include "base/util.h"

#include <signal.h>
#include <stdio.h>

static const struct command *const commands[] = {
    &command_optimize, &command_resume, &command_tune,   &command_eval,   &command_report, &command_ledger,
    &command_replay,   &command_memory,   &command_prompt, &command_doctor, &command_bench,
    &command_kernelbench, &command_export,
};

static void print_help(FILE *out)
{
    fputs("warpsmith turns a slow CUDA kernel into a fast one that is proven correct.\n\n"
          "usage: warpsmith COMMAND [options]\n\n",
          out);
    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        fprintf(out, "  %-10s %s\n", commands[i]->name, commands[i]->summary);
    }
    fputs("\nwarpsmith COMMAND --help says more. To begin: warpsmith optimize softmax\n", out);
}

static int unknown_command(const char *name)
{
    const char *names[ARRAY_LEN(commands)];
    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        names[i] = commands[i]->name;
    }
    const char *near = suggest(name, names, ARRAY_LEN(names));
    fprintf(stderr, "warpsmith: there is no command \"%s\"%s%s%s; see warpsmith --help\n", name,
            near ? ", did you mean " : "", near ? near : "", near ? "?" : "");
    return EXIT_USAGE;
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file that may grow no more is an error that says which */
    if (argc < 2) {
        print_help(stderr);
        return EXIT_USAGE;
    }
    if (str_eq(argv[1], "--help") || str_eq(argv[1], "-h") || str_eq(argv[1], "help")) {
        print_help(stdout);
        return EXIT_DONE;
    }
    if (str_eq(argv[1], "--version")) {
        puts("warpsmith " WS_VERSION);
        return EXIT_DONE;
    }
    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        if (!str_eq(argv[1], commands[i]->name)) {
            continue;
        }
        struct options options;
        if (options_parse(commands[i], argc - 2, argv + 2, &options) < 0) {
            options_done(&options);
            return EXIT_USAGE;
        }
        int code = EXIT_DONE;
        if (options.help) {
            options_help(commands[i], stdout);
        } else {
            code = commands[i]->run(&options);
        }
        options_done(&options);
        return code;
    }
    return unknown_command(argv[1]);
}
