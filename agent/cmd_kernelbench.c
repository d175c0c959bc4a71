/* SPDX-License-Identifier: MIT */
/* kernelbench: the problems of a KernelBench checkout, candidates on them, and what that scores. */
#include "agent/command.h"
#include "agent/kernelbench.h"
#include "base/util.h"

#include <stdio.h>
#include <string.h>

/* Options that one part alone knows, or two: another would leave them out without a word. */
static int check_part(const struct options *o, const char *part)
{
    const struct {
        const char *name, *of;
        bool given;
    } own[] = { { "candidates", "run export", o->candidates }, { "pytorch", "run", o->pytorch },
                { "protocol", "run", o->protocol }, { "exact-inputs", "run", o->exact_inputs },
                { "precision", "run import export", o->precision }, { "mapped", "run import export", o->mapped },
                { "json", "list check run score export", o->json }, { "to", "export", o->to }, { "format", "export", o->format }, { "all", "export", o->all },
                { "from-source", "export", o->from_source }, { "against", "score", o->against },
                { "check", "score", o->check }, { "html", "score", o->html }, { "full", "score", o->full } };
    for (size_t i = 0; i < ARRAY_LEN(own); i++) {
        if (own[i].given && !strstr(own[i].of, part)) {
            fprintf(stderr, "warpsmith kernelbench %s: --%s is for %s; see warpsmith kernelbench --help\n", part,
                    own[i].name, own[i].of);
            return ERR_INVALID;
        }
    }
    return 0;
}

static int run_kernelbench(const struct options *o)
{
    static const struct {
        const char *name;
        int (*run)(const struct options *);
    } parts[] = { { "list", kernelbench_list }, { "check", kernelbench_check }, { "import", kernelbench_import },
                  { "run", kernelbench_run },
                  { "score", kernelbench_score }, { "export", kernelbench_export } };
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        if (str_eq(o->args[0], parts[i].name)) {
            return check_part(o, o->args[0]) < 0 ? EXIT_USAGE : parts[i].run(o);
        }
    }
    fprintf(stderr, "warpsmith kernelbench: \"%s\" is none of list, check, import, run, score, export\n", o->args[0]);
    return EXIT_USAGE;
}

const struct command command_kernelbench = {
    .name = "kernelbench",
    .summary = "real KernelBench problems: what they are, candidates judged on them, scores",
    .usage = "kernelbench list|check|import|run|score|export [options]",
    .help = "list says of every problem of a checkout what it takes and gives, and which can't be judged.\n"
            "check asks whether they are fit to judge by: no trivial candidate may pass, PyTorch's f32 must.\n"
            "import writes each as a task's folder (task.json and a copy of the file), for optimize, eval and tune.\n"
            "run judges candidates strictly, with PyTorch as the oracle: those of a folder (--candidates:\n"
            "DIR/level1/19_ReLU/kernel.cu and plan.json, or one more folder each below that), or those that\n"
            "--llm proposes, all problems one campaign (offline: the shipped kernels; --steps 0: the first of\n"
            "each alone). Started again, it goes on. --gpu 0,1 shares the problems out.\n"
            "score reads what a run left: by rule and baseline, with intervals; --html makes a page, --against RUN says\n"
            "what differs, --check DIR knows degenerate problems from a check. export makes files that other programs take:\n"
            "KernelBench's own (ModelNew, eval_results.json, baselines), Python modules, C.\n"
            "The Python is $WARPSMITH_PYTHON, else python3.\n\n"
            "  warpsmith kernelbench list --suite KernelBench --levels 1\n"
            "  warpsmith kernelbench run --suite KernelBench --levels 1 --problems 1-20,36 \\\n"
            "      --candidates mine --out runs/mine --gpu 0 --protocol strict,kb,verified\n"
            "  warpsmith kernelbench run --suite KernelBench --levels 1,2 --llm anthropic:MODEL --usd 20 \\\n"
            "      --out runs/model --gpu 0,1\n"
            "  warpsmith kernelbench score --out runs/mine --json -\n"
            "  warpsmith kernelbench export --suite KernelBench --out runs/mine --to upstream",
    .takes = "suite levels problems candidates mapped precision pytorch out gpu store jobs json deadline wall fresh "
             "to format against check html all full from-source verbose llm provider model base-url key-file ca "
             "proxy prices max-tokens temperature llm-timeout samples repairs usd tokens gpu-seconds until-sol "
             "no-wait tuner tune seed steps profile ablate quiet protocol exact-inputs",
    .args_min = 1,
    .args_max = 1,
    .run = run_kernelbench,
};
