/* SPDX-License-Identifier: MIT */
/* What a step is decided by and what a provider is told: context, history, what was tried. */
#include "agent/campaign_internal.h"
#include "base/util.h"

enum { RUN_RECALL = 3 };

int run_context(const struct run *run, const struct attempt *parent, struct context *ret,
                struct err *err)
{
    const struct device_info *d = session_device(run->campaign->session);
    const char *class = parent ? bottleneck_name(parent->verdict.bottleneck) : "none";
    return context_init(ret, run->task->family, class, d->arch, d->modelled, err);
}

/* The task's dtypes, for strategies that are made for some only. */
static struct htg_list task_dtypes(const struct run *run, struct arena *arena)
{
    const char **names = arena_alloc(arena, run->task->n_tensors + 1, sizeof(*names));
    for (size_t i = 0; i < run->task->n_tensors; i++) {
        names[i] = dtype_name(run->task->tensors[i].dtype);
    }
    return (struct htg_list) { names, run->task->n_tensors };
}

/* Attempts without a candidate say nothing about a direction: a model was silent. */
static size_t make_history(const struct run *run, const struct attempt *parent,
                           struct arena *arena, struct select_step **ret)
{
    struct select_step *steps = arena_alloc(arena, run->n_attempts + 1, sizeof(*steps));
    size_t n = 0;
    for (size_t i = 0; i < run->n_attempts; i++) {
        const struct attempt *a = &run->attempts[i];
        if (!a->direction || !*a->direction || !a->judged) {
            continue; /* the start came from nowhere */
        }
        steps[n++] = (struct select_step) {
            .direction = a->direction,
            .strategy = a->strategy && *a->strategy ? a->strategy : NULL,
            .outcome = a->outcome,
            .lineage = run_in_lineage(run, a->seq, parent),
            .here = parent && a->parent == parent->seq,
        };
    }
    *ret = steps;
    return n;
}

static bool seen_before(const struct run *run, size_t at)
{
    for (size_t i = 0; i < at && run->attempts[at].judged; i++) {
        if (run->attempts[i].judged && id_eq(&run->attempts[i].id, &run->attempts[at].id)) {
            return true;
        }
    }
    return false;
}

void run_ask(struct run *run, const struct attempt *parent, struct ask *ret)
{
    struct arena *arena = run->step.arena;
    const char **variants = arena_alloc(arena, run->n_attempts + 1, sizeof(*variants));
    struct prompt_tried *tried = arena_alloc(arena, run->n_attempts + 1, sizeof(*tried));
    for (size_t i = 0; i < run->n_attempts; i++) {
        const struct attempt *a = &run->attempts[i];
        variants[i] = a->variant;
        struct verdict *verdict = NULL;
        if (a->judged) { /* the list of attempts may move: what is kept here must not */
            verdict = arena_alloc(arena, 1, sizeof(*verdict));
            *verdict = a->verdict;
        }
        tried[i] = (struct prompt_tried) {
            .seq = a->seq, .parent = a->parent, .direction = a->direction, .strategy = a->strategy,
            .title = a->title, .verdict = verdict, .why = a->why, .same = seen_before(run, i),
            .id = a->id, .candidate = a->candidate, .values = a->values,
            .tuning = a->tuning,
        };
    }
    const struct campaign_options *o = &run->campaign->options;
    *ret = (struct ask) { .task = run->task,
                          .device = session_device(run->campaign->session),
                          .parent = parent ? parent->candidate : NULL,
                          .baseline = run_baseline(run),
                          .parent_seq = parent ? parent->seq : -1,
                          .parent_direction = parent ? parent->direction : "",
                          .parent_strategy = parent ? parent->strategy : "",
                          .htg = run->campaign->session->htg,
                          .family = run->family,
                          .variants = variants,
                          .tried = tried,
                          .n_tried = run->n_attempts,
                          .step = (uint64_t)run->step.number,
                          .seq = run->step.seq,
                          .samples = 1,
                          .tune_budget = str_eq(o->tuner, "none") ? 0 : o->tune_budget };
    for (size_t i = 0; parent && i < run->n_attempts; i++) {
        if (run->attempts[i].seq == parent->seq) {
            ret->parent_verdict = tried[i].verdict;
        }
    }
}

int run_choose(struct run *run, const struct attempt *parent, struct ask *ask, struct err *err)
{
    struct campaign *c = run->campaign;
    struct step *s = &run->step;
    struct htg *htg = c->session->htg;
    struct select_request request = { .seed = c->options.seed, .step = (uint64_t)s->number,
                                      .task = run->task->name, .ablation = c->ablation };
    bool *strategies = arena_alloc(s->arena, htg_strategies(htg) + 1, sizeof(bool));
    if (c->provider->could) {
        if (!c->provider->could(c->provider, ask, &request.directions, strategies)) {
            return ERR_NOTFOUND;
        }
        request.strategies = strategies;
    }
    struct select_step *history;
    int r = run_context(run, parent, &request.context, err);
    request.dtypes = task_dtypes(run, s->arena);
    request.n_history = make_history(run, parent, s->arena, &history);
    request.history = history;
    select_tuning_default(&request.tuning);
    r = r < 0 ? r : select_direction(htg, &request, s->arena, &s->choice, err);
    r = r < 0 ? r : select_strategies(htg, &request, RUN_RECALL, s->arena, s->choice, err);
    return r;
}
