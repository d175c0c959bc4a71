/* SPDX-License-Identifier: MIT */
/* prompt: what a language model would be asked in the first step from a candidate. Asks nobody. */
#include "agent/campaign.h"
#include "agent/catalog.h"
#include "agent/command.h"
#include "agent/prompt.h"
#include "base/util.h"
#include "graph/select.h"

#include <string.h>

enum { STRATEGIES_SHOWN = 3 };

struct asked {
    const struct options *options;
    struct session *session;
    struct arena *arena;
    const struct task *task;
    const struct candidate *candidate;
    bool done;
    int code;
    struct err *err;
};

static int choose(const struct asked *a, const struct verdict *v, struct choice **ret)
{
    const char *dtypes[TASK_TENSORS_MAX];
    struct select_request request = { .seed = a->options->seed, .step = 1, .task = a->task->name };
    for (size_t i = 0; i < a->task->n_tensors; i++) {
        dtypes[i] = dtype_name(a->task->tensors[i].dtype);
    }
    request.dtypes = (struct htg_list) { dtypes, a->task->n_tensors };
    const struct device_info *device = session_device(a->session);
    int r = context_init(&request.context, a->task->family, bottleneck_name(v->bottleneck),
                         device->facts.arch, device->modelled, a->err);
    if (r == 0 && a->options->ablate
        && !select_ablation_parse(a->options->ablate, &request.ablation)) {
        r = err_set(a->err, ERR_INVALID, "--ablate %s: there is no such ablation", a->options->ablate);
    }
    select_tuning_default(&request.tuning);
    r = r < 0 ? r : select_direction(a->session->htg, &request, a->arena, ret, a->err);
    return r < 0 ? r : select_strategies(a->session->htg, &request, STRATEGIES_SHOWN, a->arena, *ret,
                                         a->err);
}

static int show(const struct asked *a, const struct prompt *prompt)
{
    if (!a->options->json) {
        fputs(prompt_text(prompt, a->arena), stdout);
        fprintf(stderr, "about %lld tokens, id %.12s\n", (long long)prompt->tokens, prompt->id);
        return 0;
    }
    json_t *messages = json_array();
    for (size_t i = 0; i < prompt->n; i++) {
        const struct prompt_message *m = &prompt->messages[i];
        json_array_append_new(messages, json_pack("{s:s,s:s}", "role", m->role, "content", m->text));
    }
    return output_json(a->options->json, json_pack("{s:s,s:I,s:o}", "id", prompt->id, "tokens",
                                                   (json_int_t)prompt->tokens, "messages", messages),
                       a->err);
}

static void on_judged(void *ud, int code, const struct verdict *v, const char *error)
{
    struct asked *a = ud;
    struct choice *choice = NULL;
    struct prompt prompt;
    a->done = true;
    if (code < 0) {
        a->code = err_set(a->err, code, "%s", error);
        return;
    }
    const struct prompt_tried tried = { .parent = -1, .direction = "", .strategy = "",
                                        .title = a->candidate->name, .verdict = v, .why = "" };
    a->code = choose(a, v, &choice);
    const struct prompt_input input = {
        .task = a->task, .device = session_device(a->session), .htg = a->session->htg,
        .choice = choice, .parent = a->candidate, .parent_verdict = v, .parent_direction = "",
        .parent_strategy = "", .tried = &tried, .n_tried = 1,
        .tune_budget = session_device(a->session)->modelled ? CAMPAIGN_TUNE_MODELLED : CAMPAIGN_TUNE,
    };
    a->code = a->code < 0 ? a->code : prompt_build(&input, a->arena, &prompt, a->err);
    a->code = a->code < 0 ? a->code : show(a, &prompt);
}

static int ask(const struct options *o, const struct task *task, const struct candidate *candidate,
               struct err *err)
{
    struct session session;
    int r = session_open(&session, o, SESSION_MEMORY | SESSION_EVALUATOR, err);
    if (r < 0) {
        return options_fail(err);
    }
    auto_arena struct arena *arena = arena_new();
    struct asked a = { .options = o, .session = &session, .arena = arena, .task = task,
                       .candidate = candidate, .err = err };
    const struct judge_request request = { .task = task, .candidate = candidate,
                                           .depth = JUDGE_DEPTH_QUICK, .profile = o->profile,
                                           .deadline_ms = (uint64_t)(o->deadline_s * 1000) };
    evaluator_judge(session.evaluator, &request, on_judged, &a);
    while (!a.done && uv_run(&session.loop, UV_RUN_ONCE)) {
    }
    session_close(&session);
    return a.code < 0 ? options_fail(err) : EXIT_DONE;
}

static int first_of_family(const char *family, struct candidate **ret, struct err *err)
{
    struct catalog_family variants;
    int r = catalog_family(family, &variants, err);
    if (r == 0 && !variants.n) {
        r = err_set(err, ERR_NOTFOUND, "no kernel of the family %s ships: name a candidate to start "
                                       "from", family);
    }
    r = r < 0 ? r : candidate_with_params(variants.variants[0], NULL, 0, ret, err);
    catalog_family_done(&variants);
    return r;
}

static int run_prompt(const struct options *o)
{
    struct err err = { 0 };
    struct task *task = NULL;
    struct candidate *candidate = NULL;
    int r = catalog_task(o->args[0], &task, &err);
    if (r == 0) {
        r = o->n_args > 1 ? catalog_candidate(o->args[1], task->family, &candidate, &err)
                          : first_of_family(task->family, &candidate, &err);
    }
    int code = r < 0 ? options_fail(&err) : ask(o, task, candidate, &err);
    candidate_free(candidate);
    task_free(task);
    return code;
}

const struct command command_prompt = {
    .name = "prompt",
    .summary = "show what a language model would be asked",
    .usage = "prompt TASK [CANDIDATE] [options]",
    .help = "Judges CANDIDATE (the family's first variant if there is none) and prints the question of\n"
            "a first step from it, with the seed memory. Nothing is sent. --seed draws another direction.\n\n"
            "  warpsmith prompt softmax 02_block_per_row --gpu sim\n"
            "  warpsmith prompt ./mytask ./mine --json -",
    .takes = "gpu seed ablate deadline jobs json profile verbose",
    .args_min = 1,
    .args_max = 2,
    .run = run_prompt,
};
