/* SPDX-License-Identifier: MIT */
#include "agent/tune_desk.h"
#include "base/util.h"
#include "memory/campaign_lock.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

struct tune_desk {
    struct session *session;
    struct model_desk desk;
    struct budget budget;
    struct campaign_lock *lock;
    char *id, *task, *device, *missing;
    int64_t started_s;
};

static int save(struct tune_desk *d, const char *status, struct err *err)
{
    const char *const tasks[] = { d->task };
    struct campaign_record record = {
        .id = d->id, .status = status, .device = d->device, .llm = d->session->options->llm,
        .n_tasks = 1, .tasks = tasks, .seed = d->session->options->seed, .started_s = d->started_s,
        .ended_s = str_eq(status, "running") ? 0 : (int64_t)time(NULL), .extra = TUNE_DESK_EXTRA,
    };
    struct store_batch *batch = store_batch_new();
    int r = record_put_campaign(batch, &record, err);
    if (r < 0) {
        store_batch_free(batch);
        return r;
    }
    return store_commit(d->session->store, batch, err);
}

/* When it began first, if the store knows it. */
static int take_up(struct tune_desk *d, struct err *err)
{
    auto_arena struct arena *arena = arena_new();
    struct campaign_record record;
    int r = record_get_campaign(d->session->store, d->id, arena, &record, err);
    d->started_s = r == 0 ? record.started_s : (int64_t)time(NULL);
    if (r == ERR_NOTFOUND) {
        return save(d, "running", err);
    }
    r = r < 0 ? r : ledger_budget(d->session->store, d->id, &d->budget, err);
    return r < 0 ? r : save(d, "running", err);
}

static int open_model(struct tune_desk *d, struct err *err)
{
    const struct options *o = d->session->options;
    struct llm_options options;
    session_model_options(o, &options);
    options.spec = o->llm;
    int r = llm_open(&d->session->loop, &options, &d->desk.llm, err);
    const char *missing = r == 0 && o->usd > 0 ? llm_price_missing(d->desk.llm) : NULL;
    if (missing) {
        r = err_set(err, ERR_INVALID, "--usd: %s", missing);
    }
    if (r == ERR_ENVIRONMENT) { /* no key, say: the search goes on without, and its result says why */
        d->missing = xstrdup(err_text(err));
        d->desk.missing = d->missing;
        d->desk.provider = o->llm;
        return 0;
    }
    if (r == 0) {
        d->desk.provider = llm_name(d->desk.llm);
    }
    return r;
}

int tune_desk_open(struct session *session, const char *what, const char *task, const char *device,
                   struct tune_desk **ret, struct err *err)
{
    const struct options *o = session->options;
    struct tune_desk *d = xcalloc(1, sizeof(*d));
    struct id id;
    char hex[ID_HEX];
    auto_free char *whole = xprintf("%s\n%s\n%s\n%s", what, o->llm, o->model ? o->model : "",
                                    o->base_url ? o->base_url : "");
    id_of_bytes(whole, strlen(whole), &id);
    id_hex(&id, hex);
    d->session = session;
    d->id = xprintf("t%.12s", hex);
    d->task = xstrdup(task);
    d->device = xstrdup(device);
    d->budget = (struct budget) { .usd_most = o->usd, .tokens_most = o->tokens };
    d->desk = (struct model_desk) { .store = session->store, .budget = &d->budget, .campaign = d->id,
                                    .turns = turns_new(&session->loop) };
    int r = open_model(d, err);
    r = r < 0 ? r : campaign_lock_take(store_path(session->store), d->id, &d->lock, err);
    r = r < 0 ? r : take_up(d, err);
    if (r < 0) {
        tune_desk_close(d, NULL);
        return r;
    }
    *ret = d;
    return 0;
}

struct model_desk *tune_desk_model(struct tune_desk *d)
{
    return &d->desk;
}

const char *tune_desk_id(const struct tune_desk *d)
{
    return d->id;
}

void tune_desk_close(struct tune_desk *d, const char *status)
{
    if (!d) {
        return;
    }
    if (status) {
        save(d, status, NULL); /* what it cost stands in its calls */
    }
    llm_close(d->desk.llm);
    turns_free(d->desk.turns);
    campaign_lock_drop(d->lock);
    free(d->id);
    free(d->task);
    free(d->device);
    free(d->missing);
    free(d);
}
