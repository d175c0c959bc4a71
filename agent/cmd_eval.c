/* SPDX-License-Identifier: MIT */
/* eval: is this candidate right, and how fast is it really? */
#include "agent/catalog.h"
#include "agent/command.h"
#include "agent/eval_protocol.h"
#include "base/jread.h"
#include "base/util.h"

#include <string.h>

struct waiting {
    const struct options *options;
    bool done;
    int code, exit_code;
    struct err *err;
    bool more;       /* other rules come after: one object for all */
    json_t *verdict; /* kept for that */
};

static void print_verdict(FILE *out, const struct verdict *v)
{
    fprintf(out, "%s", verdict_status_name(v->status));
    if (v->status != VERDICT_STATUS_ACCEPTED || str_eq(v->phase, "task")) {
        fprintf(out, " (phase %s)\n%s\n", v->phase, v->detail);
        return;
    }
    fprintf(out, " on %s\n", v->device);
    fprintf(out, "time       %.4g us%s (95 %% interval %.4g .. %.4g, %zu samples)\n",
            v->time.median_us, v->modelled ? " modelled, not measured" : "", v->time.lo_us,
            v->time.hi_us, v->time.n);
    if (v->speedup > 0) {
        fprintf(out, "baseline   %.4g us, speedup %.3fx (%.3f .. %.3f): %s\n",
                v->baseline.median_us, v->speedup, v->speedup_lo, v->speedup_hi, v->relation);
    }
    if (v->throttle[0] || v->shared || v->time.dropped) {
        fprintf(out, "timing     %zu samples dropped%s%s%s\n", v->time.dropped,
                v->throttle[0] ? "; clocks held back: " : "", v->throttle,
                v->shared ? "; another process was on the GPU" : "");
    }
    if (v->sol > 0) {
        fprintf(out, "SOL        %.1f %% of the %s bound (%s); %s\n", 100 * v->sol, v->sol_bound,
                v->sol_basis, bottleneck_name(v->bottleneck));
    }
    fprintf(out, "resources  %d registers, %d B spilled, %d B shared a block, occupancy %.0f %%\n",
            v->registers, v->spill_bytes, v->shared_bytes, 100 * v->occupancy);
    if (v->nondeterministic) {
        fprintf(out, "note       two runs on the same inputs differ in their last bits\n");
    }
    if (*v->remarks) {
        fprintf(out, "remarks    %s\n", v->remarks);
    }
    if (v->sanitizer.tool && *v->sanitizer.tool) {
        fprintf(out, "sanitizer  %s: %d findings%s%s\n", v->sanitizer.tool, v->sanitizer.errors,
                *v->sanitizer.text ? "; " : "", v->sanitizer.text);
    }
    fprintf(out, "error      at most %.3g", v->max_error);
    if (v->precision_limit > 0) {
        fprintf(out, "; RMS %.1e of the outputs' spread, the precision allows %.1e",
                v->precision_error, v->precision_limit);
    }
    fprintf(out, "\n%s%s%s", *v->degenerate ? "task       degenerate, so would pass: " : "",
            v->degenerate, *v->degenerate ? "\n" : "");
    fprintf(out, "cost       %.2f s compiling, %.2f s on the device\n", v->compile_s, v->device_s);
}

/* What decided, then every counter with its unit, its name elsewhere and what it says. */
static void print_profile(FILE *out, const struct verdict *v)
{
    const char *modelled = v->modelled ? " (modelled)" : "";
    if (*v->bottleneck_why) {
        fprintf(out, "bottleneck %s%s: %s\n", bottleneck_name(v->bottleneck), modelled,
                v->bottleneck_why);
    }
    if (v->joules > 0) {
        fprintf(out, "energy     %.4g mJ a run, back to back with others\n", 1e3 * v->joules);
    }
    if (*v->profile) {
        fprintf(out, "profile    %s\n", v->profile);
    }
    if (v->counters.known) {
        fprintf(out, "counters%s\n", v->modelled ? " (modelled, the simulator's own)" : "");
    }
    for (int i = 0; i < COUNTER_COUNT; i++) {
        enum counter c = (enum counter)i;
        double value = counters_get(&v->counters, c);
        if (counters_has(&v->counters, c) && (value > 0 || !counter_is_stall(c))) {
            fprintf(out, "  %-22s %11.5g %-5s  %s%s%s%s\n", counter_name(c), value,
                    counter_unit(c), counter_says(c), v->modelled ? "" : " (",
                    v->modelled ? "" : counter_metric(c), v->modelled ? "" : ")");
        }
    }
}

static void on_judged(void *ud, int code, const struct verdict *v, const char *error)
{
    struct waiting *w = ud;
    w->done = true;
    if (code < 0) {
        w->code = err_set(w->err, code, "%s", error);
        return;
    }
    w->exit_code = v->status == VERDICT_STATUS_ACCEPTED ? EXIT_DONE : EXIT_NEGATIVE;
    if (!str_eq(w->options->json, "-")) {
        print_verdict(stdout, v);
        print_profile(stdout, v);
    }
    if (w->options->json && !w->more) {
        w->code = output_json(w->options->json, verdict_json(v), w->err);
    } else if (w->options->json) {
        json_decref(w->verdict);
        w->verdict = verdict_json(v);
    }
}

/* The baseline: the one that was named, else the family's first variant unless that is judged. */
static int find_baseline(const struct options *o, const struct task *task,
                         const struct candidate *candidate, struct candidate **ret,
                         struct err *err)
{
    *ret = NULL;
    if (o->baseline) {
        return str_eq(o->baseline, "none")
            ? 0
            : catalog_candidate(o->baseline, task->family, ret, err);
    }
    struct catalog_family family;
    int r = catalog_family(task->family, &family, err);
    if (r == 0 && family.n && !id_eq(&family.variants[0]->id, &candidate->id)) {
        r = candidate_with_params(family.variants[0], NULL, 0, ret, err);
    }
    catalog_family_done(&family);
    return r;
}

/* By other rules than the gate's. In JSON they are a verdict's "protocols", alone where strict isn't asked for. */
static void judge_by_rules(struct session *session, const struct kernelbench_rules *rules, const struct task *task,
                           const struct candidate *candidate, struct waiting *w)
{
    json_t *results = NULL;
    int r = candidate ? eval_protocol(session, rules, task, candidate, &results, w->err)
                      : err_set(w->err, ERR_INVALID, "--protocol needs a candidate");
    w->code = MIN(r, 0);
    w->exit_code = r == 1 ? EXIT_NEGATIVE : w->exit_code;
    json_t *all = w->verdict ? w->verdict : json_object();
    w->verdict = NULL;
    json_object_set_new(all, "protocols", results ? results : json_object());
    if (r >= 0 && w->options->json) {
        w->code = output_json(w->options->json, all, w->err);
    } else {
        json_decref(all);
    }
}

static int judge(const struct options *o, const struct task *task,
                 const struct candidate *candidate, const struct candidate *baseline,
                 struct err *err)
{
    struct session session;
    struct kernelbench_rules rules;
    int r = kernelbench_rules_parse(o, &rules, err);
    bool others = r == 0 && (rules.kb || rules.verified);
    r = r < 0 ? r : session_open(&session, o, SESSION_EVALUATOR | (task->oracle ? SESSION_ORACLE : 0)
                                 | (others ? SESSION_STORE : 0), err);
    if (r < 0) {
        return options_fail(err);
    }
    /* One that was named and doesn't fit is said; the family's own just isn't for this task. */
    bool fits = !baseline || o->baseline || catalog_fits(task, baseline, &session_device(&session)->facts);
    int64_t runs = !rules.strict ? 0 : o->runs > 0 ? o->runs : 1;
    struct waiting waiting = { .options = o, .err = err, .more = others };
    for (int64_t i = 0; i < runs && waiting.code == 0; i++) {
        struct judge_request request = { .task = task, .candidate = candidate,
                                         .baseline = fits ? baseline : NULL,
                                         .depth = candidate ? JUDGE_DEPTH_FULL : JUDGE_DEPTH_TASK,
                                         .profile = o->profile, .sanitize = o->sanitize,
                                         .deadline_ms = (uint64_t)(o->deadline_s * 1000) };
        waiting.done = false;
        evaluator_judge(session.evaluator, &request, on_judged, &waiting);
        while (!waiting.done && uv_run(&session.loop, UV_RUN_ONCE)) {
        }
    }
    if (others && waiting.code == 0) {
        judge_by_rules(&session, &rules, task, candidate, &waiting);
    }
    session_close(&session);
    json_decref(waiting.verdict);
    return waiting.code < 0 ? options_fail(err) : waiting.exit_code;
}

static int run_eval(const struct options *o)
{
    struct err err = { 0 };
    struct task *task = NULL;
    struct candidate *candidate = NULL, *baseline = NULL;
    int r = catalog_task(o->args[0], &task, &err);
    if (o->n_args > 1) {
        r = r < 0 ? r : catalog_candidate(o->args[1], task->family, &candidate, &err);
        r = r < 0 ? r : find_baseline(o, task, candidate, &baseline, &err);
    }
    int code = r < 0 ? options_fail(&err) : judge(o, task, candidate, baseline, &err);
    candidate_free(baseline);
    candidate_free(candidate);
    task_free(task);
    return code;
}

const struct command command_eval = {
    .name = "eval",
    .summary = "judge one candidate: is it right, and how fast",
    .usage = "eval TASK [CANDIDATE] [options]",
    .help = "CANDIDATE is a folder with kernel.cu and plan.json, or a shipped variant's name.\n"
            "Checks it on every shape of the task with fresh inputs, then times it beside the baseline.\n"
            "Without a candidate the task itself is judged: no trivial candidate must pass it.\n\n"
            "  warpsmith eval softmax 06_row_in_registers\n"
            "  warpsmith eval softmax ./mine --gpu 0 --json -\n"
            "  warpsmith eval softmax ./mine --profile      # counters, bottleneck, energy\n"
            "  warpsmith eval tasks/level1/19_ReLU ./mine --protocol kb    # KernelBench's own rules",
    .takes = "gpu store baseline deadline exact-inputs jobs json profile protocol runs sanitize verbose",
    .args_min = 1,
    .args_max = 2,
    .run = run_eval,
};
