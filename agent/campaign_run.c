/* SPDX-License-Identifier: MIT */
/* The loop of a campaign: until every run is over, time is up, or only somebody outside can help. */
#include "agent/campaign_internal.h"
#include "base/util.h"

#include <stdlib.h>

static bool waiting(const struct campaign *c)
{
    for (size_t i = 0; i < c->n_runs; i++) {
        if (c->runs[i].committing) {
            return true; /* a commit under way can't be taken back: it is waited for */
        }
    }
    return !c->stopping && c->n_done < c->n_runs;
}

/* The wall clock is hard: what is under way is cancelled, and stays open for a resume. */
static void on_wall(uv_timer_t *timer)
{
    struct campaign *c = timer->data;
    for (size_t i = 0; i < c->n_runs && !c->stopping; i++) {
        struct run *run = &c->runs[i];
        if (run->phase != RUN_PHASE_DONE) {
            run_stop(run);
            run_end(run, run_best(run) == NULL, "the wall-clock budget is used up");
        }
    }
}

/* Is every run over, or waiting for nothing but replies from outside? */
static bool only_outside(const struct campaign *c, size_t *ret_waiting)
{
    struct provider_facts facts = { 0 };
    size_t asking = 0;
    if (!c->provider->facts) {
        return false;
    }
    c->provider->facts(c->provider, &facts);
    for (size_t i = 0; i < c->n_runs; i++) {
        const struct run *run = &c->runs[i];
        if (run->phase == RUN_PHASE_DONE) {
            continue;
        }
        if (run->phase != RUN_PHASE_SAMPLES || run->committing) {
            return false;
        }
        for (size_t k = 0; k < run->step.n_samples; k++) {
            const struct sample *s = &run->step.samples[k];
            bool asks = s->asking || (s->tuning && tuning_asks(s->tuning));
            if (!s->settled && !asks) {
                return false;
            }
            asking += asks;
        }
    }
    *ret_waiting = facts.waiting;
    return asking > 0 && facts.waiting == asking && facts.pending == asking;
}

enum { OUTSIDE_EVERY_MS = 100, OUTSIDE_TIMES = 3 };

/* A few looks in a row, so that a reply that lies there already has been seen. */
static void on_look(uv_timer_t *timer)
{
    struct campaign *c = timer->data;
    size_t n = 0;
    c->looks = only_outside(c, &n) ? c->looks + 1 : 0;
    if (c->looks < OUTSIDE_TIMES || c->stopping) {
        return;
    }
    c->awaited = n;
    campaign_stop_runs(c);
}

static uv_timer_t *start_timer(struct campaign *c, uv_timer_cb fn, uint64_t ms, uint64_t again)
{
    uv_timer_t *timer = xcalloc(1, sizeof(*timer));
    uv_timer_init(&c->session->loop, timer);
    timer->data = c;
    uv_timer_start(timer, fn, ms, again);
    return timer;
}

static void on_timer_closed(uv_handle_t *handle)
{
    free(handle);
}

static void stop_timer(uv_timer_t *timer)
{
    if (timer) {
        uv_close((uv_handle_t *)timer, on_timer_closed);
    }
}

static const char *final_status(const struct campaign *c)
{
    return c->awaited           ? "waiting"
        : c->code == 0          ? "done"
        : c->code == ERR_CANCELED ? "canceled"
                                  : "failed";
}

int campaign_run(struct campaign *c, struct err *err)
{
    uv_timer_t *wall = NULL, *look = NULL;
    if (c->options.wall_s > 0 && !c->replay) {
        double left = MAX(0.0, c->options.wall_s - campaign_seconds(c));
        wall = start_timer(c, on_wall, (uint64_t)(left * 1000) + 1, 0);
    }
    if (c->options.no_wait) {
        look = start_timer(c, on_look, OUTSIDE_EVERY_MS, OUTSIDE_EVERY_MS);
    }
    for (size_t i = 0; i < c->n_runs; i++) {
        c->runs[i].ready = true;
        run_soon(&c->runs[i]);
    }
    for (int idle = 0; waiting(c) && idle < 2;) { /* what ended the loop may have parked a run */
        bool more = c->replay && replay_turn(c);
        bool alive = uv_run(&c->session->loop, more ? UV_RUN_NOWAIT : UV_RUN_ONCE);
        idle = alive || more ? 0 : idle + 1;
    }
    stop_timer(wall);
    stop_timer(look);
    struct err save = { 0 };
    int r = campaign_save(c, final_status(c), &save);
    if (c->code < 0) {
        return err_set(err, c->code, "campaign %s: %s", c->id, err_text(&c->err));
    }
    return r < 0 ? err_set(err, r, "campaign %s: %s", c->id, err_text(&save)) : 0;
}
