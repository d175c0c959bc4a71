/* SPDX-License-Identifier: MIT */
/*
 * Campaigns at scale: 1,000 tasks at once, each waiting for a model on loopback that takes a second to
 * answer, and instant workers. Prompts, HTTP, replies, selection, binding, durable records: all real.
 * Needs the tests' fake_llm and fake_worker.
 */
#include "agent/bench_tasks.h"
#include "agent/campaign.h"
#include "agent/ledger.h"
#include "base/file.h"
#include "base/jread.h"
#include "base/util.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { CAMPAIGN_TASKS = 1000, CAMPAIGN_BENCH_STEPS = 10, FILES_WANTED = 8192, ANSWERS = 4 };

struct provider_process {
    pid_t pid;
    int parent, port;
};

struct watch {
    uv_prepare_t prepare;
    uint64_t last_ns, longest_ns;
    size_t scored, turns;
    double peak_mib, cpu_ms;
    const struct evaluator *evaluator;
};

/* A second variant of the family as a model would answer it; each with another comment. */
static int write_answer(const char *path, int number, struct err *err)
{
    struct catalog_family family;
    int r = catalog_family("elementwise", &family, err);
    if (r < 0) {
        return r;
    }
    const struct candidate *c = family.variants[family.n > 1];
    auto_free char *plan = json_compact(c->plan->json);
    auto_free char *text = xprintf("```cuda\n// answer %d\n%s\n```\n```json\n%s\n```\nstrategy: %s\n", number,
                                   c->source, plan, c->plan->strategy);
    r = file_write(path, text, strlen(text), err);
    catalog_family_done(&family);
    return r;
}

static int start_provider(const char *folder, struct provider_process *ret, struct err *err)
{
    auto_free char *program = NULL;
    const char *argv[2 * ANSWERS + 4] = { "fake_llm", "--latency", "1000" };
    int r = file_find_program("fake_llm", &program, err), in[2], out[2];
    if (r < 0) {
        return err_wrap(err, "this bench needs the tests' fake provider");
    }
    auto_free char *paths[ANSWERS] = { NULL };
    for (int i = 0; r == 0 && i < ANSWERS; i++) {
        paths[i] = xprintf("%s/answer%d", folder, i);
        argv[3 + 2 * i] = "--answer";
        argv[4 + 2 * i] = paths[i];
        r = write_answer(paths[i], i, err);
    }
    if (r == 0 && (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0)) {
        r = err_set(err, -errno, "pipe: %s", strerror(errno));
    }
    if (r < 0) {
        return r;
    }
    ret->pid = fork();
    if (ret->pid == 0) {
        dup2(in[0], STDIN_FILENO);
        dup2(out[1], STDOUT_FILENO);
        execv(program, (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    ret->parent = in[1];
    FILE *said = fdopen(out[0], "r");
    bool good = fscanf(said, "port %d", &ret->port) == 1;
    fclose(said);
    return good ? 0 : err_set(err, ERR_ENVIRONMENT, "%s didn't start", program);
}

static void stop_provider(struct provider_process *p)
{
    close(p->parent);
    kill(p->pid, SIGKILL);
    waitpid(p->pid, NULL, 0);
}

/* Once a turn: how long the loop's thread worked since the last one. Its processor time, since other
 * programs on the machine take the processor away at any moment. */
static void on_prepare(uv_prepare_t *handle)
{
    struct watch *w = handle->data;
    struct timespec ts;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    uint64_t now = (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
    if (w->turns++) {
        w->longest_ns = MAX(w->longest_ns, now - w->last_ns);
    }
    w->last_ns = now;
}

static void on_event(void *ud, const struct campaign_event *e)
{
    struct watch *w = ud;
    if (e->kind != CAMPAIGN_EVENT_SCORED || ++w->scored % 512) {
        return;
    }
    int pids[16];
    double mib = bench_resident_mib(0);
    size_t n = evaluator_pids(w->evaluator, pids, ARRAY_LEN(pids));
    for (size_t i = 0; i < MIN(n, ARRAY_LEN(pids)); i++) {
        mib += pids[i] ? bench_resident_mib(pids[i]) : 0;
    }
    w->peak_mib = MAX(w->peak_mib, mib);
}

/* Of this process, all its threads. */
static double cpu_ms(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e3
        + (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-3;
}

static void figures(struct bench_report *report, const struct watch *w, const struct ledger_line *cost,
                    size_t tasks, int64_t steps, double seconds)
{
    int64_t asked = (int64_t)tasks * steps;
    bench_figure(report, "steps", (double)w->scored / seconds, "steps/s", BENCH_BAR_LEAST, 900);
    bench_figure(report, "memory, agent and workers", w->peak_mib, "MiB", BENCH_BAR_MOST, 512);
    bench_figure(report, "calls lost", (double)(asked - cost->answered), "calls", BENCH_BAR_MOST, 0);
    bench_figure(report, "calls sent twice or failed", (double)(cost->calls - asked + cost->failed),
                 "calls", BENCH_BAR_MOST, 0);
    bench_figure(report, "processor time of the agent", w->cpu_ms / (double)MAX(1, w->scored), "ms/step",
                 BENCH_BAR_NONE, 0);
    bench_figure(report, "longest turn of the loop", (double)w->longest_ns * 1e-6, "ms of processor",
                 BENCH_BAR_NONE, 0);
    bench_figure(report, "tasks at once", (double)tasks, "tasks", BENCH_BAR_NONE, 0);
    bench_figure(report, "calls in all", (double)cost->calls, "calls", BENCH_BAR_NONE, 0);
}

static int run_campaign(struct session *session, const struct options *o, char **paths, size_t n,
                        const char *url, struct bench_report *report, struct err *err)
{
    struct llm_options model;
    llm_options_init(&model);
    model.base_url = url;
    model.max_in_flight = 2 * (int)n;
    struct campaign_options options = { .tasks = (const char *const *)paths, .n_tasks = n,
                                        .llm = "openai:loopback", .tuner = "none",
                                        .seed = (uint64_t)o->seed,
                                        .steps = o->steps > 0 ? o->steps : CAMPAIGN_BENCH_STEPS,
                                        .repairs = 0, .plateau = INT64_MAX, .model = &model };
    struct campaign *campaign = NULL;
    struct watch watch = { .evaluator = session->evaluator };
    struct ledger_line *lines, total;
    size_t n_lines;
    auto_arena struct arena *arena = arena_new();
    int r = campaign_new(session, &options, NULL, &campaign, err);
    if (r < 0) {
        return r;
    }
    campaign_on_event(campaign, on_event, &watch);
    uv_prepare_init(&session->loop, &watch.prepare);
    watch.prepare.data = &watch;
    uv_prepare_start(&watch.prepare, on_prepare);
    uv_unref((uv_handle_t *)&watch.prepare);
    uint64_t began = clock_ns();
    watch.cpu_ms = -cpu_ms();
    r = campaign_run(campaign, err);
    watch.cpu_ms += cpu_ms();
    double seconds = (double)(clock_ns() - began) * 1e-9;
    uv_close((uv_handle_t *)&watch.prepare, NULL);
    r = r < 0 ? r : ledger_read(session->store, campaign_id(campaign), arena, &lines, &n_lines, &total,
                                err);
    if (r == 0) {
        figures(report, &watch, &total, n, options.steps, seconds);
    }
    campaign_free(campaign);
    uv_run(&session->loop, UV_RUN_NOWAIT);
    return r;
}

static int run_session(const struct options *o, const char *folder, char **paths, size_t n, int port,
                       struct bench_report *report, struct err *err)
{
    auto_free char *store = xprintf("%s/store", folder);
    auto_free char *url = xprintf("http://127.0.0.1:%d", port);
    auto_free char *worker = NULL;
    struct options copy = *o;
    struct session session;
    copy.store = store;
    int r = file_find_program("fake_worker", &worker, err);
    r = r < 0 ? err_wrap(err, "this bench needs the tests' instant worker")
              : session_open(&session, &copy, SESSION_STORE | SESSION_MEMORY, err);
    if (r < 0) {
        return r;
    }
    struct evaluator_options evaluator = { .gpu = "0", .compile_workers = 2, .worker = worker };
    r = evaluator_open(&session.loop, &evaluator, &session.evaluator, err);
    r = r < 0 ? r : run_campaign(&session, o, paths, n, url, report, err);
    session_close(&session);
    return r;
}

static int run(const struct options *o, struct bench_report *report, struct err *err)
{
    size_t n = o->runs > 0 ? (size_t)MIN(o->runs, CAMPAIGN_TASKS_MAX) : CAMPAIGN_TASKS;
    struct rlimit files;
    char *folder = NULL;
    struct provider_process provider = { 0 };
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = MIN(files.rlim_max, (rlim_t)FILES_WANTED);
    setrlimit(RLIMIT_NOFILE, &files);
    setenv("OPENAI_API_KEY", "loopback", 0);
    int r = bench_folder(&folder, err);
    if (r < 0) {
        return r;
    }
    char **paths = xcalloc(n, sizeof(*paths));
    r = bench_write_tasks(folder, paths, n, err);
    r = r < 0 ? r : start_provider(folder, &provider, err);
    if (r == 0) {
        r = run_session(o, folder, paths, n, provider.port, report, err);
        stop_provider(&provider);
    }
    for (size_t i = 0; i < n; i++) {
        free(paths[i]);
    }
    free(paths);
    folder_remove(folder, NULL);
    free(folder);
    return r;
}

const struct bench bench_campaign = {
    .name = "campaign",
    .summary = "1,000 tasks at once, a model on loopback with a second of latency, instant workers",
    .run = run,
};
