/* SPDX-License-Identifier: MIT */
#include "agent/tune_model.h"
#include "agent/prompt_parts.h"
#include "agent/tune_prompt.h"
#include "agent/tune_reply.h"
#include "base/util.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROUND_CALLS = 2, NOTE_MAX = 600, WHY_MAX = 480, LOOK_MS = 100, LOOKS = 3 };

struct tune_model {
    struct tune_model_options options;
    struct arena *arena;
    struct model_call call;
    struct turn turn; /* while an answer waits to be handed over */
    const struct tuner *tuner; /* NULL: nobody waits any more, though an answer may come and be kept */
    int round;
    bool corrected;
    const char *unusable, *fault; /* this round's first answer, if it couldn't be used */
    struct tune_reply reply;      /* of the answer read last: its notes go into the next question */
    struct tune_proposals proposals;
    tune_model_cb done;
    void *ud;
    char note[NOTE_MAX];
};

static void hand_over(void *ud)
{
    struct tune_model *m = ud;
    if (m->tuner) {
        m->done(m->ud, &m->proposals);
    }
}

static void hand_over_soon(struct tune_model *m)
{
    turns_add(m->options.desk->turns, &m->turn, hand_over, m);
}

static void give_none(struct tune_model *m, int code, const char *why)
{
    snprintf(m->note, sizeof(m->note), "asked for configs, round %d: %s; the search went on without the "
             "model", m->round, prompt_line(m->arena, why, WHY_MAX));
    m->proposals = (struct tune_proposals) { .code = code, .why = m->note };
    hand_over_soon(m);
}

static struct tune_prompt_input prompt_input(const struct tune_model *m)
{
    const struct tune_model_options *o = &m->options;
    struct tune_prompt_input in = {
        .task = o->task, .candidate = o->candidate, .device = o->device, .about = o->about,
        .space = o->space, .unit = o->unit, .modelled = o->modelled,
        .why = o->why, .why_ud = o->why_ud, .opening = m->round == 0, .passed = m->reply.notes,
        .n_passed = m->reply.n_notes, .reply = m->unusable, .fault = m->fault,
    };
    in.n_samples = tuner_samples(m->tuner, &in.samples);
    in.left = o->budget > in.n_samples ? o->budget - in.n_samples : 0;
    in.most = MIN(tuner_wants(m->tuner), in.left);
    return in;
}

static int write_words(struct model_call *call, struct err *err)
{
    struct tune_model *m = container_of(call, struct tune_model, call);
    struct tune_prompt_input in = prompt_input(m);
    struct prompt prompt;
    if (in.reply) {
        in.n_passed = 0; /* the fault says it */
    }
    int r = tune_prompt_build(&in, m->arena, &prompt, err);
    call->n_messages = r == 0 ? prompt.n : 0;
    for (size_t i = 0; i < call->n_messages; i++) {
        call->messages[i]
            = (struct llm_message) { prompt.messages[i].role, prompt.messages[i].text };
    }
    return r;
}

static bool known(const void *ud, const uint16_t *config)
{
    const struct tune_prompt_input *in = ud;
    for (size_t i = 0; i < in->n_samples; i++) {
        if (memcmp(in->samples[i].config, config, in->space->n * sizeof(*config)) == 0) {
            return true;
        }
    }
    return false;
}

static int64_t number_of(const struct tune_model *m)
{
    return m->options.first_call + ROUND_CALLS * m->round + m->corrected;
}

static void read_answer(struct tune_model *m)
{
    const char *text = m->call.record.reply;
    struct tune_prompt_input in = prompt_input(m);
    struct tune_reply_input input = { .text = text, .len = strlen(text), .space = in.space,
                                      .base = tune_prompt_base(&in), .known = known, .ud = &in,
                                      .most = in.most };
    tune_reply_parse(&input, m->arena, &m->reply);
    if (m->reply.n) {
        m->proposals = (struct tune_proposals) { .why = "", .configs = m->reply.configs,
                                                 .n = m->reply.n };
        hand_over_soon(m);
    } else if (!m->corrected) {
        m->corrected = true;
        m->unusable = text;
        m->fault = m->reply.fault;
        model_call_begin(&m->call, number_of(m), "correction");
    } else {
        give_none(m, 0, m->reply.fault);
    }
}

static void on_end(struct model_call *call, enum model_call_end end, const char *why)
{
    struct tune_model *m = container_of(call, struct tune_model, call);
    if (!m->tuner) {
        return;
    }
    if (end == MODEL_CALL_ANSWERED) {
        read_answer(m);
    } else {
        give_none(m, end == MODEL_CALL_BROKEN ? call->code : 0, why);
    }
}

struct tune_model *tune_model_new(const struct tune_model_options *options)
{
    struct tune_model *m = xcalloc(1, sizeof(*m));
    m->options = *options;
    m->arena = arena_new();
    m->call.desk = options->desk;
    m->call.arena = m->arena;
    m->call.task = options->task_name;
    m->call.seq = options->seq;
    m->call.words = write_words;
    m->call.done = on_end;
    return m;
}

void tune_model_ask(struct tune_model *m, const struct tuner *tuner, int round,
                    tune_model_cb done, void *ud)
{
    m->tuner = tuner;
    m->round = round;
    m->corrected = false;
    m->unusable = m->fault = NULL;
    m->done = done;
    m->ud = ud;
    model_call_begin(&m->call, number_of(m), "tune");
}

static void free_model(struct model_call *call)
{
    struct tune_model *m = container_of(call, struct tune_model, call);
    arena_free(m->arena);
    free(m);
}

void tune_model_free(struct tune_model *m)
{
    if (m) {
        turns_remove(&m->turn);
        model_call_drop(&m->call, free_model);
    }
}

const char *tune_model_note(const struct tune_model *m)
{
    return m->note;
}

/* One round of a search that has nothing else to do. */
struct wait {
    struct tuner *tuner;
    const struct model_desk *desk;
    bool over, outside;
    int code, looks;
};

static void on_proposals(void *ud, const struct tune_proposals *p)
{
    struct wait *w = ud;
    w->over = true;
    w->code = p->code;
    if (p->code == 0) {
        tuner_offer(w->tuner, p->configs, p->n);
    }
}

/* A few looks in a row, so that a reply that lies there already has been seen. */
static void on_look(uv_timer_t *timer)
{
    struct wait *w = timer->data;
    const struct llm *llm = w->desk->llm;
    bool only = llm && llm_waiting(llm) > 0 && llm_waiting(llm) == w->desk->asking;
    w->looks = only ? w->looks + 1 : 0;
    w->outside = w->looks >= LOOKS;
}

static void on_timer_closed(uv_handle_t *handle)
{
    free(handle);
}

int tune_model_round(struct tune_model *m, struct tuner *tuner, uv_loop_t *loop, bool no_wait,
                     struct err *err)
{
    struct wait w = { .tuner = tuner, .desk = m->options.desk };
    uv_timer_t *timer = xcalloc(1, sizeof(*timer));
    uv_timer_init(loop, timer);
    timer->data = &w;
    if (no_wait) {
        uv_timer_start(timer, on_look, LOOK_MS, LOOK_MS);
    }
    tune_model_ask(m, tuner, tuner_waits(tuner), on_proposals, &w);
    while (!w.over && !w.outside) {
        uv_run(loop, UV_RUN_ONCE);
    }
    uv_close((uv_handle_t *)timer, on_timer_closed);
    if (!w.over) {
        m->tuner = NULL;
        return err_set(err, ERR_BUSY, "a reply is awaited in %s", llm_where(w.desk->llm));
    }
    return w.code < 0 ? err_set(err, w.code, "%s", m->note) : 0;
}
