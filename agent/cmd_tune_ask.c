/* SPDX-License-Identifier: MIT */
/* tune --replay --llm: a model proposes for searches on a recorded space; it sees the space, no source. */
#include "agent/cmd_tune_replay.h"
#include "agent/tune_desk.h"
#include "agent/tune_model.h"
#include "base/util.h"

#include <stdlib.h>
#include <string.h>

struct replayed_ask {
    const struct replayed *replayed;
    struct session session;
    struct tune_desk *desk;
    struct seed {
        struct replayed_ask *ask;
        struct tune_model *model;
        char *note;
    } *seeds;
    char *about, *name;
    bool waiting, failed;
};

bool replayed_asks(const struct replayed *t)
{
    const char *algorithm = t->options->algorithm;
    bool proposed = algorithm && (str_eq(algorithm, "llm") || str_eq(algorithm, "hybrid"));
    return proposed && t->options->llm && !str_eq(t->options->llm, "offline");
}

static int propose(void *ud, struct tuner *tuner, int round, struct err *err)
{
    struct seed *seed = ud;
    struct replayed_ask *a = seed->ask;
    (void)round; /* the tuner says it, too */
    return tune_model_round(seed->model, tuner, &a->session.loop, a->replayed->options->no_wait, err);
}

/* All that tells this run from another: calls of the same run are the same calls. */
static char *identity(const struct replayed *t)
{
    const struct options *o = t->options;
    char id[ID_HEX];
    id_hex(&t->recorded->space->id, id);
    return xprintf("replay %s|%s|%s|%s|%s|%s|%zu|%lld|%d|%lld", id, t->recorded->kernel,
                   t->recorded->device, o->algorithm, o->flags ? o->flags : "", o->pin ? o->pin : "",
                   t->evals, (long long)o->seed, o->noise, (long long)o->batch);
}

static void make_models(struct replayed_ask *a)
{
    const struct replayed *t = a->replayed;
    for (size_t i = 0; i < t->n; i++) {
        const struct tune_model_options options = {
            .desk = tune_desk_model(a->desk), .task_name = a->name, .seq = (int64_t)i,
            .space = t->recorded->space, .about = a->about, .unit = "ms", .budget = t->evals,
        };
        a->seeds[i] = (struct seed) { .ask = a, .model = tune_model_new(&options) };
        t->jobs[i].options.propose = propose;
        t->jobs[i].options.ud = &a->seeds[i];
    }
}

int replayed_ask_open(struct replayed *t, struct err *err)
{
    struct replayed_ask *a = xcalloc(1, sizeof(*a));
    const char *kernel = *t->recorded->kernel ? t->recorded->kernel : "a kernel";
    const char *device = *t->recorded->device ? t->recorded->device : "a device";
    auto_free char *what = identity(t);
    a->replayed = t;
    a->seeds = xcalloc(t->n, sizeof(*a->seeds));
    a->name = xstrdup(kernel);
    a->about = xprintf("A recorded space: %s on %s. Its source isn't known.", kernel, device);
    t->ask = a;
    int r = session_open(&a->session, t->options, SESSION_STORE, err);
    r = r < 0 ? r : tune_desk_open(&a->session, what, kernel, device, &a->desk, err);
    if (r == 0) {
        make_models(a);
    }
    return r;
}

int replayed_ask_run(struct replayed *t, struct err *err)
{
    struct replayed_ask *a = t->ask;
    int r = 0, awaited = 0;
    struct err first = { 0 };
    for (size_t i = 0; r == 0 && i < t->n; i++) {
        struct tune_replay_job *job = &t->jobs[i];
        struct err own = { 0 };
        r = tune_replay(job->recorded, &job->options, &job->run, &own);
        a->seeds[i].note = xstrdup(tune_model_note(a->seeds[i].model));
        if (r == ERR_BUSY) { /* the other seeds' questions can go out, too */
            first = awaited++ ? first : own;
            r = 0;
        } else if (r < 0) {
            *err = own;
        }
    }
    a->waiting = r == 0 && awaited;
    a->failed = r < 0;
    return a->waiting ? err_set(err, ERR_BUSY, "%d of %zu searches: %s", awaited, t->n, first.text) : r;
}

const char *replayed_ask_note(const struct replayed_ask *a, size_t seed)
{
    return a && a->seeds[seed].note ? a->seeds[seed].note : "";
}

void replayed_ask_close(struct replayed_ask *a)
{
    if (!a) {
        return;
    }
    for (size_t i = 0; i < a->replayed->n; i++) {
        tune_model_free(a->seeds[i].model);
        free(a->seeds[i].note);
    }
    tune_desk_close(a->desk, a->failed ? "failed" : a->waiting ? "waiting" : "done");
    session_close(&a->session);
    free(a->seeds);
    free(a->about);
    free(a->name);
    free(a);
}
