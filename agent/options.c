/* SPDX-License-Identifier: MIT */
#include "agent/options.h"
#include "base/util.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum option_kind { OPTION_TEXT, OPTION_WHOLE, OPTION_REAL, OPTION_FLAG };

struct option_entry {
    const char *name, *argument, *text;
    enum option_kind kind;
    size_t offset;
    double lo, hi;
};

#define AT(field) offsetof(struct options, field)

static const struct option_entry entries[] = {
    { "gpu", "N|sim|sim:b200|auto", "the device; auto: a GPU if there is one, else the simulator; several, "
      "where a command takes them: 0,1 or all",
      OPTION_TEXT, AT(gpu), 0, 0 },
    { "store", "DIR", "what is remembered between runs (default: $WARPSMITH_STORE, else "
      "~/.local/share/warpsmith/store)", OPTION_TEXT, AT(store), 0, 0 },
    { "out", "DIR", "where results go", OPTION_TEXT, AT(out), 0, 0 },
    { "json", "FILE", "write the result as JSON; - is stdout", OPTION_TEXT, AT(json), 0, 0 },
    { "llm", "PROVIDER", "who proposes candidates: offline (the shipped variants), openai:MODEL, "
      "anthropic:MODEL, spool:DIR, replay:FILE", OPTION_TEXT, AT(llm), 0, 0 },
    { "provider", "PROVIDER", "the same as --llm", OPTION_TEXT, AT(llm), 0, 0 },
    { "model", "NAME", "the model, where --llm doesn't say it", OPTION_TEXT, AT(model), 0, 0 },
    { "base-url", "URL", "of a server with the provider's interface (default: the provider's own)",
      OPTION_TEXT, AT(base_url), 0, 0 },
    { "key-file", "FILE", "holds the provider's key, and is open to you alone (default: "
      "$OPENAI_API_KEY, $ANTHROPIC_API_KEY)", OPTION_TEXT, AT(key_file), 0, 0 },
    { "ca", "FILE", "certificates (PEM) to trust besides the system's", OPTION_TEXT, AT(ca), 0, 0 },
    { "proxy", "URL", "for the provider (default: as https_proxy and no_proxy say)", OPTION_TEXT,
      AT(proxy), 0, 0 },
    { "prices", "FILE", "prices of models in USD per million tokens, before the shipped ones",
      OPTION_TEXT, AT(prices), 0, 0 },
    { "max-tokens", "N", "of one answer, the model's reasoning included (default 16384)",
      OPTION_WHOLE, AT(max_tokens), 1, 1e6 },
    { "temperature", "T", "of the model's sampling (default: left to the provider)", OPTION_REAL,
      AT(temperature), 0, 2 },
    { "llm-timeout", "SECONDS", "for one answer of the model (default 600)", OPTION_REAL,
      AT(llm_timeout), 1, 86400 },
    { "start", "CANDIDATE", "begin from this candidate (default: the family's 01_*)", OPTION_TEXT,
      AT(start), 0, 0 },
    { "baseline", "CANDIDATE", "what speedup is measured against (default: the start)",
      OPTION_TEXT, AT(baseline), 0, 0 },
    { "ablate", "NAME", "switch a part of the memory off: flat, random, no-prefix, no-position, "
      "no-local, frozen, none", OPTION_TEXT, AT(ablate), 0, 0 },
    { "tuner", "NAME", "as tune's --algorithm (llm and hybrid ask --llm's model), or none: nothing is tuned",
      OPTION_TEXT, AT(tuner), 0, 0 },
    { "tune", "N", "configs that may be measured for one candidate", OPTION_WHOLE,
      AT(tune_budget), 0, 1e6 },
    { "replay", "FILE", "a recorded space: a cache of Kernel Tuner or a T4 file, plain or gzip",
      OPTION_TEXT, AT(replay), 0, 0 },
    { "earlier", "FOLDER", "recorded spaces of the kernel on other devices, KERNEL.DEVICE.json.gz: a prior "
      "learned from them begins a replay", OPTION_TEXT, AT(earlier), 0, 0 },
    { "algorithm", "NAME", "how configs are searched; a wrong name lists them", OPTION_TEXT,
      AT(algorithm), 0, 0 },
    { "flags", "K=V,..", "of the algorithm; a wrong one lists them", OPTION_TEXT, AT(flags), 0, 0 },
    { "pin", "JSON", "known-good configs that are measured first: {\"BLOCK\": 256}, or a list of such, "
      "or a file with either", OPTION_TEXT, AT(pin), 0, 0 },
    { "t4", "FILE", "write what was measured as T4 (gzip if it ends in .gz)", OPTION_TEXT, AT(t4), 0, 0 },
    { "evals", "N", "configs that may be measured, failures among them (default 200)", OPTION_WHOLE,
      AT(evals), 1, 200000 },
    { "seeds", "K", "searches, with seeds from --seed on (default 20)", OPTION_WHOLE, AT(seeds), 1,
      10000 },
    { "batch", "B", "configs asked for before the first of them is told (default 1)", OPTION_WHOLE,
      AT(batch), 1, 4096 },
    { "threads", "T", "searches at once (default: one a core)", OPTION_WHOLE, AT(threads), 1, 256 },
    { "noise", NULL, "a recorded single timing instead of the mean, the best judged by its mean",
      OPTION_FLAG, AT(noise), 0, 0 },
    { "unlisted", NULL, "search as if the space were too large to list", OPTION_FLAG, AT(unlisted), 0, 0 },
    { "seed", "S", "every decision follows from it", OPTION_WHOLE, AT(seed), 0, 9e15 },
    { "steps", "N", "steps a task", OPTION_WHOLE, AT(steps), 0, 1e6 },
    { "jobs", "N", "compile workers (default: one a core)", OPTION_WHOLE, AT(jobs), 0, 256 },
    { "runs", "N", "repetitions", OPTION_WHOLE, AT(runs), 1, 1e6 },
    { "deadline", "SECONDS", "for one compile, and for one judgement", OPTION_REAL,
      AT(deadline_s), 0.1, 86400 },
    { "wall", "SECONDS", "stop after so much time", OPTION_REAL, AT(wall_s), 0, 1e9 },
    { "gpu-seconds", "SECONDS", "stop after so much device time", OPTION_REAL, AT(gpu_s), 0, 1e9 },
    { "usd", "DOLLARS", "hard budget for the model, over all tasks", OPTION_REAL, AT(usd), 1e-6, 1e6 },
    { "tokens", "N", "hard budget of the model's tokens, in and out, over all tasks", OPTION_WHOLE,
      AT(tokens), 1, 1e12 },
    { "samples", "N", "proposals that a model makes of each choice, at once (default 1)",
      OPTION_WHOLE, AT(samples), 1, 32 },
    { "repairs", "N", "how often a model may mend a candidate that failed (default 2)",
      OPTION_WHOLE, AT(repairs), 0, 4 },
    { "no-wait", NULL, "end, with exit code 0, when only replies from outside are awaited",
      OPTION_FLAG, AT(no_wait), 0, 0 },
    { "suite", "DIR", "a checkout of KernelBench", OPTION_TEXT, AT(suite), 0, 0 },
    { "levels", "LIST", "such as 1,2 (default: 1-3)", OPTION_TEXT, AT(levels), 0, 0 },
    { "problems", "LIST", "numbers, such as 1-20,36 (default: all)", OPTION_TEXT, AT(problems), 0, 0 },
    { "candidates", "DIR", "DIR/level1/19_ReLU/kernel.cu and so on", OPTION_TEXT, AT(candidates), 0, 0 },
    { "pytorch", "LIST", "which of PyTorch's own times are measured: eager, eager_tf32, compile, max_autotune, or none "
      "(default: eager,eager_tf32)", OPTION_TEXT, AT(pytorch), 0, 0 },
    { "mapped", NULL, "in the words of the shipped family that computes it (kernels/*/problems.json), whose variants "
      "then run on it", OPTION_FLAG, AT(mapped), 0, 0 },
    { "precision", "NAME", "of products' operands, which the strict gate holds candidates to: f32 (default), tf32 (with "
      "--protocol verified the default: its baseline's), bf16, f16", OPTION_TEXT, AT(precision), 0, 0 },
    { "to", "DIR", "where exported files go", OPTION_TEXT, AT(to), 0, 0 },
    { "format", "NAME", "of an export: upstream (KernelBench's files, ModelNew), torch (a Python module), c (launcher and "
      "image)", OPTION_TEXT, AT(format), 0, 0 },
    { "against", "RUN", "another run's folder, to say what differs", OPTION_TEXT, AT(against), 0, 0 },
    { "check", "DIR", "what `kernelbench check` left: problems that are degenerate are listed apart", OPTION_TEXT,
      AT(check), 0, 0 },
    { "html", "FILE", "write a page that any browser shows", OPTION_TEXT, AT(html), 0, 0 },
    { "all", NULL, "every candidate, not only each problem's best", OPTION_FLAG, AT(all), 0, 0 },
    { "from-source", NULL, "leave the compiled image out: it is compiled where it runs", OPTION_FLAG,
      AT(from_source), 0, 0 },
    { "protocol", "LIST", "rules to judge by: strict (default), kb (KernelBench's own), verified (KernelBench-Verified's)",
      OPTION_TEXT, AT(protocol), 0, 0 },
    { "exact-inputs", NULL, "for kb and verified: inputs and weights from KernelBench's own seeds, drawn on the CPU (slow)",
      OPTION_FLAG, AT(exact_inputs), 0, 0 },
    { "record", "FILE", "write all that a replay needs", OPTION_TEXT, AT(record), 0, 0 },
    { "until-sol", "SHARE", "stop at this share of the speed of light", OPTION_REAL, AT(until_sol),
      0, 1 },
    { "fresh", NULL, "judge again what the store has a verdict of", OPTION_FLAG, AT(fresh), 0, 0 },
    { "full", NULL, "the long form", OPTION_FLAG, AT(full), 0, 0 },
    { "profile", NULL, "hardware counters and energy of what is accepted", OPTION_FLAG, AT(profile),
      0, 0 },
    { "sanitize", NULL, "run what was accepted under compute-sanitizer, too", OPTION_FLAG,
      AT(sanitize), 0, 0 },
    { "quiet", NULL, "no progress", OPTION_FLAG, AT(quiet), 0, 0 },
    { "verbose", NULL, "log what happens to stderr", OPTION_FLAG, AT(verbose), 0, 0 },
    { "help", NULL, "this text", OPTION_FLAG, AT(help), 0, 0 },
};

/* Does the command's list hold this name as a whole word? */
static bool takes(const struct command *command, const char *name)
{
    size_t n = strlen(name);
    const char *at = command->takes;
    while ((at = strstr(at, name))) {
        bool starts = at == command->takes || at[-1] == ' ';
        if (starts && (at[n] == ' ' || at[n] == '\0')) {
            return true;
        }
        at += n;
    }
    return str_eq(name, "help");
}

static const struct option_entry *find(const struct command *command, const char *name, size_t len)
{
    for (size_t i = 0; i < ARRAY_LEN(entries); i++) {
        if (strlen(entries[i].name) == len && memcmp(entries[i].name, name, len) == 0
            && takes(command, entries[i].name)) {
            return &entries[i];
        }
    }
    return NULL;
}

static int unknown_option(const struct command *command, const char *arg, size_t len)
{
    const char *known[ARRAY_LEN(entries)];
    size_t n = 0;
    for (size_t i = 0; i < ARRAY_LEN(entries); i++) {
        if (takes(command, entries[i].name)) {
            known[n++] = entries[i].name;
        }
    }
    auto_free char *name = strndup(arg, len);
    const char *near = suggest(name, known, n);
    fprintf(stderr, "warpsmith %s: there is no option --%s here%s%s%s; see warpsmith %s --help\n",
            command->name, name, near ? ", did you mean --" : "", near ? near : "",
            near ? "?" : "", command->name);
    return ERR_INVALID;
}

static int set(const struct command *command, const struct option_entry *e, const char *value,
               struct options *ret)
{
    char *field = (char *)ret + e->offset;
    int64_t whole = 0;
    double real = 0;
    bool good = true;
    switch (e->kind) {
    case OPTION_TEXT:
        good = *value != '\0';
        *(const char **)(void *)field = value;
        break;
    case OPTION_WHOLE:
        good = str_to_i64(value, &whole) && (double)whole >= e->lo && (double)whole <= e->hi;
        *(int64_t *)(void *)field = whole;
        break;
    case OPTION_REAL:
        good = str_to_f64(value, &real) && real >= e->lo && real <= e->hi;
        *(double *)(void *)field = real;
        break;
    case OPTION_FLAG:
        *(bool *)field = true;
        break;
    }
    if (!good && e->kind == OPTION_TEXT) {
        fprintf(stderr, "warpsmith %s: --%s is empty\n", command->name, e->name);
    } else if (!good) {
        fprintf(stderr, "warpsmith %s: --%s %s: expected a %snumber from %g to %g\n",
                command->name, e->name, value, e->kind == OPTION_WHOLE ? "whole " : "", e->lo,
                e->hi);
    }
    return good ? 0 : ERR_INVALID;
}

static void set_defaults(struct options *o)
{
    *o = (struct options) { .gpu = "auto", .llm = "offline", .seed = 1, .steps = -1, .runs = -1,
                            .samples = -1, .repairs = -1, .evals = -1, .seeds = -1,
                            .batch = -1, .threads = -1,
                            .tune_budget = -1, .temperature = NAN };
    o->store = getenv("WARPSMITH_STORE");
    if (!o->store || !*o->store) {
        const char *data = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
        o->owned_store = data && *data ? xprintf("%s/warpsmith/store", data)
            : home && *home            ? xprintf("%s/.local/share/warpsmith/store", home)
                                       : xstrdup("warpsmith-store");
        o->store = o->owned_store;
    }
}

static int parse_option(const struct command *command, int argc, char **argv, int *i,
                        struct options *ret)
{
    const char *name = argv[*i] + 2, *equals = strchr(name, '=');
    size_t len = equals ? (size_t)(equals - name) : strlen(name);
    const struct option_entry *e = find(command, name, len);
    if (!e) {
        return unknown_option(command, name, len);
    }
    const char *value = equals ? equals + 1 : NULL;
    if (e->kind == OPTION_FLAG && value) {
        fprintf(stderr, "warpsmith %s: --%s takes no value\n", command->name, e->name);
        return ERR_INVALID;
    }
    if (e->kind != OPTION_FLAG && !value) {
        if (*i + 1 >= argc) {
            fprintf(stderr, "warpsmith %s: --%s needs %s\n", command->name, e->name, e->argument);
            return ERR_INVALID;
        }
        value = argv[++*i];
    }
    return set(command, e, value, ret);
}

int options_parse(const struct command *command, int argc, char **argv, struct options *ret)
{
    set_defaults(ret);
    size_t n = 0;
    bool only_args = false;
    for (int i = 0; i < argc; i++) {
        if (!only_args && str_eq(argv[i], "--")) {
            only_args = true;
        } else if (!only_args && str_eq(argv[i], "-h")) {
            ret->help = true;
        } else if (!only_args && str_prefix(argv[i], "--")) {
            int r = parse_option(command, argc, argv, &i, ret);
            if (r < 0) {
                return r;
            }
        } else {
            argv[n++] = argv[i]; /* never past what was read */
        }
    }
    ret->args = (const char *const *)argv;
    ret->n_args = n;
    ret->log = (struct log) { .out = ret->verbose ? stderr : NULL, .level = LOG_LEVEL_INFO };
    if (!ret->help && (n < command->args_min || n > command->args_max)) {
        fprintf(stderr, "usage: warpsmith %s\nsee warpsmith %s --help\n", command->usage,
                command->name);
        return ERR_INVALID;
    }
    return 0;
}

void options_done(struct options *options)
{
    free(options->owned_store);
    options->owned_store = NULL;
}

void options_help(const struct command *command, FILE *out)
{
    fprintf(out, "usage: warpsmith %s\n\n%s\n\noptions:\n", command->usage, command->help);
    for (size_t i = 0; i < ARRAY_LEN(entries); i++) {
        const struct option_entry *e = &entries[i];
        if (takes(command, e->name)) {
            auto_free char *left
                = xprintf("--%s%s%s", e->name, e->argument ? " " : "", e->argument ? e->argument : "");
            fprintf(out, "  %-30s %s\n", left, e->text);
        }
    }
    fprintf(out, "\nexit codes: 0 done, 1 the answer is negative, 2 usage, 3 this machine lacks "
                 "something\n");
}

int options_fail(const struct err *err)
{
    fprintf(stderr, "warpsmith: %s\n", err_text(err));
    switch (err->code) {
    case ERR_ENVIRONMENT:
    case ERR_UNSUPPORTED:
    case ERR_CRASH:
    case ERR_PROTOCOL:
    case ERR_TIMEOUT:
    case ERR_DEVICE:
    case ERR_BUSY:
    case ERR_FULL:
    case ERR_VERSION:
    case ERR_BUG:
        return EXIT_ENVIRONMENT;
    case ERR_CANCELED:
        return EXIT_NEGATIVE;
    default:
        return err->code > -1000 && err->code < 0 && err->code != -2 /* ENOENT */
            ? EXIT_ENVIRONMENT
            : EXIT_USAGE;
    }
}
