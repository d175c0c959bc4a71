/* SPDX-License-Identifier: MIT */
/* kernelbench run: candidates on problems, from a folder or from a provider; what comes of it is in OUT. */
#include "agent/command.h"
#include "agent/kernelbench_run.h"
#include "base/file.h"
#include "base/jread.h"
#include "base/util.h"
#include "memory/campaign_lock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

bool kernelbench_run_quiet(const struct running *run)
{
    return run->options.json && str_eq(run->options.json, "-");
}

const char *kernelbench_run_torch(const struct session *session)
{
    const json_t *hello = pytorch_hello(evaluator_oracle(session->evaluator));
    const char *version = json_string_value(json_object_get(hello, "torch"));
    return version ? version : "";
}

static bool offline(const struct running *run)
{
    return !run->options.candidates && str_eq(run->options.llm, "offline");
}

/* The first shipped kernel of each problem, and nothing after it, needs no campaign: one problem is whole
 * before the next begins. */
static bool shipped_only(const struct running *run)
{
    return offline(run) && run->options.steps == 0 && run->options.tune_budget <= 0;
}

/* The other devices' oracles needn't find it out again. */
static void tell_others(struct running *run, const struct item *item)
{
    for (size_t i = 1; i < session_devices(&run->session) && item->task; i++) {
        pytorch_ask(evaluator_oracle(session_nth(&run->session, i)->evaluator),
                    json_pack("{s:s,s:s,s:O}", "kind", "know", "problem", item->problem->path, "described",
                              item->described), 0, NULL, NULL);
    }
}

/* What a problem is; without a task where it can't be judged, or where there's nobody to propose anything. */
static void describe(struct running *run, struct item *item)
{
    const struct problem *p = item->problem;
    struct err err = { 0 };
    item->mapped = run->maps && kernelbench_map_family(run->maps, p);
    int r = offline(run) && !item->mapped ? err_set(&err, ERR_NOTFOUND, "no shipped kernel computes this") : 0;
    r = r < 0 || !p->unreadable ? r : err_set(&err, ERR_INVALID, "%s", p->unreadable);
    r = r < 0 ? r : kernelbench_ask(&run->session.loop, evaluator_oracle(run->session.evaluator),
                                    json_pack("{s:s,s:s}", "kind", "describe", "problem", p->path),
                                    &item->described, &err);
    r = r < 0 ? r : kernelbench_document(&run->options, item->mapped ? run->maps : NULL, p, item->described,
                                         &item->document, &err);
    r = r < 0 ? r : problem_document_task(p, item->document, &item->task, &err);
    tell_others(run, item);
    item->code = r;
    item->why = r < 0 ? arena_strdup(run->arena, err_text(&err)) : NULL;
}

/* A folder of another layout would otherwise look like one that has nothing yet. */
static void tell_without(const struct running *run)
{
    if (run->options.candidates && run->without) {
        printf("\n%zu problems have no candidate in %s; one lies in %s/levelL/ID_NAME or in a folder of that, and is "
               "kernel.cu and plan.json\n", run->without, run->options.candidates, run->options.candidates);
    }
}

static int sum_up(struct running *run, struct err *err)
{
    const struct options *o = &run->options;
    if (!kernelbench_run_quiet(run)) {
        tell_without(run);
        printf("\n%zu problems; %zu candidates judged, %zu known already; %zu accepted, %zu errors\n"
               "warpsmith kernelbench score --out %s\n", run->n, run->judged, run->known, run->accepted,
               run->troubled, o->out);
        if (run->next < run->n) {
            printf("--wall: %zu problems weren't reached; the same command goes on\n", run->n - run->next);
        }
    }
    if (!o->json) {
        return 0;
    }
    return output_json(o->json,
                       json_pack("{s:s,s:I,s:I,s:I,s:I,s:I,s:I,s:s*}", "out", o->out, "problems",
                                 (json_int_t)run->n, "reached", (json_int_t)run->next,
                                 "judged", (json_int_t)run->judged, "known", (json_int_t)run->known, "accepted",
                                 (json_int_t)run->accepted, "errors", (json_int_t)run->troubled, "campaign",
                                 run->campaign), err);
}

static int run_all(struct running *run, struct err *err)
{
    auto_free char *folder = xprintf("%s/results", run->options.out);
    int r = folder_make(folder, err);
    for (size_t i = 0; r == 0 && i < run->n; i++) {
        describe(run, &run->items[i]);
        if (run->options.candidates) {
            kernelbench_folder_find(run, &run->items[i], run->options.candidates);
            run->without += run->items[i].n == 0;
        } else if (shipped_only(run) && run->items[i].task) {
            kernelbench_folder_shipped(run, &run->items[i]);
        }
    }
    r = r < 0 || run->options.candidates || shipped_only(run) ? r : kernelbench_campaign(run, err);
    r = r < 0 ? r : kernelbench_lanes(run, err);
    return r < 0 ? r : sum_up(run, err);
}

static int check_variants(const char *list, struct err *err)
{
    static const char *const known[] = { "eager", "eager_tf32", "compile", "max_autotune" };
    auto_free char *copy = xstrdup(list ? list : "");
    char *save = NULL;
    for (char *name = strtok_r(copy, ",", &save); name; name = strtok_r(NULL, ",", &save)) {
        bool found = str_eq(list, "none");
        for (size_t i = 0; i < ARRAY_LEN(known); i++) {
            found = found || str_eq(name, known[i]);
        }
        if (!found) {
            return err_set(err, ERR_INVALID, "--pytorch: \"%.40s\" is none of eager, eager_tf32, compile, "
                                             "max_autotune", name);
        }
    }
    return 0;
}

/* Said before anything is opened, so that what was meant can't be mistaken for what is done. */
static int check_together(const struct options *o, const struct kernelbench_rules *rules, struct err *err)
{
    struct stat st;
    if (!o->out) {
        return err_set(err, ERR_INVALID, "run needs --out DIR, and --candidates DIR unless --llm is to propose them");
    }
    if (o->candidates && !str_eq(o->llm, "offline")) {
        return err_set(err, ERR_INVALID, "--candidates judges those that are there, --llm %s proposes others: give one "
                                         "of them", o->llm);
    }
    if (o->candidates && (stat(o->candidates, &st) < 0 || !S_ISDIR(st.st_mode))) {
        return err_set(err, ERR_NOTFOUND, "--candidates %s isn't a folder; it has level1/19_ReLU/kernel.cu and plan.json, "
                                          "and so on", o->candidates);
    }
    if (o->exact_inputs && !rules->kb && !rules->verified) {
        return err_set(err, ERR_INVALID, "--exact-inputs is for --protocol kb or verified");
    }
    return 0;
}

/* What the options mean together. */
static int settle(struct running *run, const struct options *o, struct err *err)
{
    run->options = *o;
    int r = check_variants(o->pytorch, err);
    r = r < 0 ? r : kernelbench_precision_check(o, err);
    r = r < 0 ? r : kernelbench_rules_parse(o, &run->rules, err);
    r = r < 0 ? r : check_together(o, &run->rules, err);
    if (run->rules.verified && !o->precision) {
        run->options.precision = "tf32"; /* its baseline's */
    }
    if (r == 0 && !o->candidates && !shipped_only(run) && !run->rules.strict) {
        r = err_set(err, ERR_INVALID, "--protocol: a campaign is judged strictly; name strict, too");
    }
    return r < 0 || !(o->mapped || offline(run)) ? r : kernelbench_maps_open(&run->maps, err);
}

static int find_items(struct running *run, struct err *err)
{
    struct problem *problems = NULL;
    int r = kernelbench_problems(&run->options, run->arena, &problems, &run->n, err);
    if (r < 0) {
        return r;
    }
    run->items = xcalloc(run->n, sizeof(*run->items));
    for (size_t i = 0; i < run->n; i++) {
        run->items[i] = (struct item) { .run = run, .problem = &problems[i] };
    }
    if (run->options.candidates || shipped_only(run)) {
        return 0; /* a file a problem, written whole: two at once do no harm */
    }
    r = campaign_lock_take(run->options.out, "kernelbench", &run->lock, err);
    if (r < 0) {
        return err_wrap(err, "%s", run->options.out);
    }
    return kernelbench_campaign_find(run, err);
}

int kernelbench_run(const struct options *o)
{
    struct err err = { 0 };
    struct running *run = xcalloc(1, sizeof(*run));
    run->arena = arena_new();
    run->began_ns = clock_ns();
    int parts = SESSION_STORE | SESSION_EVALUATOR | SESSION_ORACLE | SESSION_SEVERAL;
    int r = settle(run, o, &err);
    r = r < 0 ? r : find_items(run, &err);
    r = r < 0 ? r : session_open(&run->session, &run->options, o->candidates ? parts : parts | SESSION_MEMORY, &err);
    if (r == 0) {
        r = run_all(run, &err);
        for (size_t i = 0; i < run->n; i++) {
            kernelbench_item_drop(&run->items[i]);
        }
        session_close(&run->session);
    }
    campaign_lock_drop(run->lock);
    free(run->items);
    kernelbench_maps_close(run->maps);
    arena_free(run->arena);
    free(run);
    return r < 0 ? options_fail(&err) : EXIT_DONE;
}
