/* SPDX-License-Identifier: MIT */
/* tune: the best config of a kernel, on a device or on a recorded space. */
#include "agent/cmd_tune.h"
#include "agent/command.h"
#include "agent/tune/tune_config.h"
#include "base/util.h"

#include <string.h>

int tune_pins(const struct options *options, const struct tune_space *space, uint16_t **ret,
              size_t *ret_n, struct err *err)
{
    json_t *list = NULL;
    const char *text = options->pin;
    bool inline_json = text[strspn(text, " \t\n")] == '{' || text[strspn(text, " \t\n")] == '[';
    int r = inline_json ? jread_parse(text, strlen(text), &list, err) : jread_file(text, &list, err);
    r = r < 0 ? r : tune_config_read_all(space, list, ret, ret_n, err);
    json_decref(list);
    if (r < 0) {
        err_wrap(err, "--pin");
    }
    return r;
}

/* A model is for the algorithms that ask one; without a name, for the one that goes on by itself. */
static bool settle_algorithm(struct options *o)
{
    if (str_eq(o->llm, "offline")) {
        return true;
    }
    o->algorithm = o->algorithm ? o->algorithm : "hybrid";
    if (str_eq(o->algorithm, "hybrid") || str_eq(o->algorithm, "llm")) {
        return true;
    }
    fprintf(stderr, "warpsmith tune: --algorithm %s asks no model; --llm is for llm and hybrid\n", o->algorithm);
    return false;
}

static int run_tune(const struct options *given)
{
    struct options settled = *given, *o = &settled;
    if (o->replay && o->n_args > 0) {
        fprintf(stderr, "warpsmith tune: --replay takes its space from the file, not from \"%s\"\n",
                o->args[0]);
        return EXIT_USAGE;
    }
    if (!o->replay && o->n_args < 2) {
        fprintf(stderr, "warpsmith tune: name a task and a candidate, or a space with --replay FILE\n"
                        "see warpsmith tune --help\n");
        return EXIT_USAGE;
    }
    if (o->earlier && (!o->replay || o->unlisted)) {
        fprintf(stderr, "warpsmith tune: --earlier is for --replay, without --unlisted; what was tuned here "
                        "before is found in the store\n");
        return EXIT_USAGE;
    }
    if (!settle_algorithm(o)) {
        return EXIT_USAGE;
    }
    return o->replay ? tune_replayed(o) : tune_live(o);
}

const struct command command_tune = {
    .name = "tune",
    .summary = "find the best config of a kernel, on a device or on a recorded space",
    .usage = "tune TASK CANDIDATE [options] | tune --replay FILE [options]",
    .help
    = "Searches the space of a candidate's plan on the device: compares the finalists in pairs, checks the best\n"
      "on every shape, writes it. What was measured is kept in the store and isn't measured again unless --fresh.\n"
      "--runs N takes N timed runs a config at least; --t4 FILE keeps the samples as a T4 file, and nothing is\n"
      "cut short then.\n"
      "With --replay: a space that was measured whole and recorded (a cache of Kernel Tuner, a T4 file; plain or\n"
      "gzip). A replay's score is the recorded optimum divided by the best found; a config counts once, and one\n"
      "that failed counts, too.\n\n"
      "  warpsmith tune matmul 08_persistent --evals 200 --out tuned\n"
      "  warpsmith tune softmax ./mine --algorithm exhaustive --evals 4000 --t4 softmax.json.gz\n"
      "  warpsmith tune matmul 05_pipeline --algorithm hybrid --llm anthropic:MODEL --usd 1\n"
      "  warpsmith tune --replay convolution.A100.json.gz --evals 200 --seeds 20 --out page\n"
      "  warpsmith tune --replay spaces/gemm.A100.json.gz --earlier spaces --algorithm prior --evals 5\n"
      "  warpsmith tune --replay space.json --algorithm lfbo --flags form=tree,copies=3 --noise --json -",
    .takes = "replay earlier algorithm flags evals seeds seed batch threads noise unlisted pin json out gpu store t4 "
             "runs deadline jobs fresh quiet verbose llm model base-url key-file ca proxy prices max-tokens "
             "temperature llm-timeout usd tokens no-wait",
    .args_min = 0,
    .args_max = 2,
    .run = run_tune,
};
