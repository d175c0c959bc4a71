#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * The command line. Options that mean the same in every command are parsed in one place; a command
 * says which of them it takes. Bad usage is answered on stderr with what to write instead, and exit
 * code 2.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include "base/err.h"
#include "base/log.h"

/* Exit codes of every command. */
enum exit_code { EXIT_DONE = 0, EXIT_NEGATIVE = 1, EXIT_USAGE = 2, EXIT_ENVIRONMENT = 3 };

/* One letter an option, for the set a command takes; see options.c for what each is. */
struct options {
    const char *gpu;      /* --gpu, "auto" */
    const char *store;    /* --store, see options_store_default */
    const char *out;      /* --out DIR */
    const char *json;     /* --json FILE, "-" is stdout */
    const char *llm;      /* --llm, "offline" */
    const char *start;    /* --start CANDIDATE */
    const char *baseline; /* --baseline CANDIDATE */
    const char *ablate;   /* --ablate NAME */
    const char *shape;    /* --shape NAME */
    const char *tuner;    /* --tuner random|exhaustive|none */
    const char *record;   /* --record FILE */
    const char *suite, *levels, *problems, *candidates, *pytorch, *precision; /* of kernelbench */
    const char *to, *format, *against, *check, *html; /* of its score and export */
    const char *protocol; /* of kernelbench run, see kernelbench_protocol.h */
    const char *replay, *earlier, *algorithm, *flags, *pin, *t4; /* of tune, see cmd_tune.c */
    const char *model, *base_url, *key_file, *ca, *proxy, *prices; /* for --llm, see agent/llm.h */
    int64_t seed, steps, tune_budget, jobs, runs;
    int64_t evals, seeds, batch, threads; /* of tune; -1: not given */
    int64_t max_tokens;              /* 0: the provider's default */
    int64_t samples, repairs, tokens; /* -1, -1, 0: none given */
    double temperature, llm_timeout; /* NAN: left out; 0: the default */
    double deadline_s, wall_s, gpu_s, until_sol, usd;
    bool fresh, verbose, quiet, help, full, profile, sanitize, no_wait, noise, unlisted, mapped, exact_inputs, all, from_source;
    struct log log;
    char *owned_store;
    size_t n_args;
    const char *const *args; /* what isn't an option */
};

struct command {
    const char *name;
    const char *summary; /* one line for the list of commands */
    const char *usage;   /* "optimize TASK [options]" */
    const char *help;    /* a few lines, with an example */
    const char *takes;   /* names of options, space-separated */
    size_t args_min, args_max;
    int (*run)(const struct options *options);
};

/* Parses what follows the command's name; negative: said on stderr, exit with EXIT_USAGE. */
int options_parse(const struct command *command, int argc, char **argv, struct options *ret);
void options_done(struct options *options);
void options_help(const struct command *command, FILE *out);

/* Prints "warpsmith: text" and returns the exit code that fits the error. */
int options_fail(const struct err *err);
