/* SPDX-License-Identifier: MIT */
/* tune TASK CANDIDATE: the best config of one kernel on this device. */
#include "agent/cmd_tune.h"
#include "agent/catalog.h"
#include "agent/command.h"
#include "agent/tune_desk.h"
#include "agent/tune_show.h"
#include "base/file.h"
#include "base/util.h"

#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { EVALS_DEFAULT = 200, PROGRESS_MS = 200, LOOK_MS = 100, LOOKS = 10 };

struct live {
    const struct options *options;
    struct session session;
    struct task *task;
    struct candidate *candidate, *best;
    struct tuning *tuning;
    struct tune_desk *desk; /* NULL: no model is asked */
    FILE *say;
    char *out;
    bool terminal, done, stopped, waiting;
    uint64_t said;
    uv_signal_t interrupt;
    uv_timer_t look;
    int looks;
    int code, exit_code;
    struct err err;
};

static void on_progress(void *ud, const struct tuning_progress *p)
{
    struct live *l = ud;
    uint64_t now = clock_ns() / 1000000;
    if (l->options->quiet || !l->terminal || (now - l->said < PROGRESS_MS && p->done < p->asked)) {
        return;
    }
    l->said = now;
    fprintf(l->say, "\r\033[K%zu of %zu configs, %zu failed", p->done, p->budget, p->failed);
    if (p->best_us > 0) {
        fprintf(l->say, ", best %.4g us", p->best_us);
    }
    fprintf(l->say, "; %s", p->what);
    fflush(l->say);
}

static void on_tuned(void *ud, const struct tuning_result *result)
{
    struct live *l = ud;
    const struct device_info *device = session_device(&l->session);
    l->done = true;
    l->tuning = NULL;
    l->best = result->best;
    if (l->terminal && !l->options->quiet) {
        fputs("\r\033[K", l->say);
    }
    if (result->code < 0) {
        l->code = err_set(&l->err, result->code, "%s", result->error);
        return;
    }
    struct tune_about about = { .task = l->task, .candidate = l->candidate, .device = device,
                                .seed = (uint64_t)l->options->seed };
    tune_show(l->say, &about, result);
    l->exit_code = result->best ? EXIT_DONE : EXIT_NEGATIVE;
    int r = folder_make(l->out, &l->err);
    r = r < 0 || !result->best ? r : candidate_save(result->best, l->out, &l->err);
    r = r < 0 ? r : tune_show_page(&about, result, l->out, &l->err);
    r = r < 0 || !l->options->t4 ? r : tune_show_t4(&about, result, l->options->t4, &l->err);
    r = r < 0 || !l->options->json ? r : output_json(l->options->json, tune_show_json(&about, result),
                                                     &l->err);
    l->code = r;
    if (r == 0) {
        fprintf(l->say, "%s%s%s/report.html\n", result->best ? l->out : "",
                result->best ? "/plan.json and kernel.cu, " : "", l->out);
    }
}

static void on_interrupt(uv_signal_t *handle, int number)
{
    struct live *l = handle->data;
    (void)number;
    l->stopped = l->done = true;
}

/* With --no-wait: a few looks in a row at which only somebody outside can bring it on. */
static void on_look(uv_timer_t *timer)
{
    struct live *l = timer->data;
    const struct llm *llm = tune_desk_model(l->desk)->llm;
    bool only = l->tuning && tuning_asks(l->tuning) && llm && llm_waiting(llm) > 0;
    l->looks = only ? l->looks + 1 : 0;
    l->waiting = l->looks >= LOOKS;
    l->done = l->done || l->waiting;
}

/* --pin JSON, or the name of a file of it: one config, or a list of them. The caller frees. */
static int read_pins(const char *pin, char ***ret, size_t *ret_n, struct err *err)
{
    json_t *json = NULL;
    bool text = pin && (*pin == '{' || *pin == '[');
    int r = !pin ? 0 : text ? jread_parse(pin, strlen(pin), &json, err) : jread_file(pin, &json, err);
    if (r < 0) {
        return err_wrap(err, "--pin");
    }
    size_t n = json_is_array(json) ? json_array_size(json) : json ? 1 : 0;
    char **list = xcalloc(n + 1, sizeof(*list));
    for (size_t i = 0; i < n; i++) {
        list[i] = json_canonical(json_is_array(json) ? json_array_get(json, i) : json);
    }
    json_decref(json);
    *ret = list;
    *ret_n = n;
    return 0;
}

static int start(struct live *l, char **pins, size_t n_pins)
{
    const struct options *o = l->options;
    struct tuning_options options = {
        .task = l->task, .candidate = l->candidate, .algorithm = o->algorithm, .flags = o->flags,
        .budget = (size_t)(o->evals > 0 ? o->evals : EVALS_DEFAULT),
        .seed = (uint64_t)o->seed, .deadline_ms = (uint64_t)(o->deadline_s * 1000),
        .n_pinned = n_pins, .pinned = (const char *const *)pins,
        .samples = o->runs > 0 ? (size_t)o->runs : 0,
        .hopeless = o->t4 ? -1 : 0, /* a space to keep is measured whole */
        .verify = true, .progress = on_progress,
        .desk = l->desk ? tune_desk_model(l->desk) : NULL,
    };
    return tuning_start(&l->session, &options, on_tuned, l, &l->tuning, &l->err);
}

/* Everything that tells this tuning from another, so that its answers are found again. */
static int open_desk(struct live *l)
{
    const struct options *o = l->options;
    char task[ID_HEX], candidate[ID_HEX];
    if (str_eq(o->llm, "offline")) {
        return 0;
    }
    id_hex(&l->task->id, task);
    id_hex(&l->candidate->id, candidate);
    auto_free char *what = xprintf("%s %s %s %s %lld %lld", task, candidate, o->algorithm ? o->algorithm : "",
                                   o->flags ? o->flags : "", (long long)o->evals, (long long)o->seed);
    return tune_desk_open(&l->session, what, l->task->name, session_device(&l->session)->name, &l->desk,
                          &l->err);
}

/* Starts, and runs the loop until there is a result, somebody stops it, or it only waits. */
static int conduct(struct live *l, char **pins, size_t n_pins)
{
    const struct options *o = l->options;
    uv_signal_init(&l->session.loop, &l->interrupt);
    uv_timer_init(&l->session.loop, &l->look);
    l->interrupt.data = l->look.data = l;
    uv_signal_start(&l->interrupt, on_interrupt, SIGINT);
    int r = open_desk(l);
    if (r == 0 && l->desk && o->no_wait) {
        uv_timer_start(&l->look, on_look, LOOK_MS, LOOK_MS);
    }
    r = r < 0 ? r : start(l, pins, n_pins);
    while (r == 0 && !l->done && uv_run(&l->session.loop, UV_RUN_ONCE)) {
    }
    if (l->tuning) {
        tuning_cancel(l->tuning);
    }
    uv_close((uv_handle_t *)&l->interrupt, NULL);
    uv_close((uv_handle_t *)&l->look, NULL);
    tune_desk_close(l->desk, r < 0 || l->code < 0 ? "failed" : l->stopped ? "canceled" : l->waiting
                        ? "waiting" : "done");
    return r;
}

static int run(struct live *l)
{
    const struct options *o = l->options;
    char **pins = NULL;
    size_t n_pins = 0;
    int r = catalog_task(o->args[0], &l->task, &l->err);
    r = r < 0 ? r : catalog_candidate(o->args[1], l->task->family, &l->candidate, &l->err);
    r = r < 0 ? r : read_pins(o->pin, &pins, &n_pins, &l->err);
    r = r < 0 ? r : session_open(&l->session, o, SESSION_STORE | SESSION_EVALUATOR
                                 | (l->task->oracle ? SESSION_ORACLE : 0), &l->err);
    if (r == 0) {
        l->out = o->out ? xstrdup(o->out)
                        : xprintf("runs/tune-%s-%s", l->task->name, l->candidate->name);
        r = conduct(l, pins, n_pins);
        session_close(&l->session);
    }
    for (size_t i = 0; i < n_pins; i++) {
        free(pins[i]);
    }
    free(pins);
    return r < 0 ? r : l->code;
}

int tune_live(const struct options *o)
{
    struct live l = { .options = o, .say = str_eq(o->json, "-") ? stderr : stdout };
    l.terminal = isatty(fileno(l.say)) != 0;
    int r = run(&l);
    if (l.stopped) {
        fprintf(stderr, "\nstopped; what was measured is kept: the same command goes on\n");
        l.exit_code = EXIT_NEGATIVE;
    } else if (l.waiting) {
        fprintf(stderr, "a reply of the model is awaited; the same command goes on\n");
    }
    candidate_free(l.best);
    candidate_free(l.candidate);
    task_free(l.task);
    free(l.out);
    return r < 0 ? options_fail(&l.err) : l.exit_code;
}
