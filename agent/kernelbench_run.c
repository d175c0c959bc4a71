/* SPDX-License-Identifier: MIT */
/* kernelbench run: candidates that lie in a folder, judged on the problems they are for. */
#include "agent/command.h"
#include "agent/kernelbench.h"
#include "base/file.h"
#include "base/jread.h"
#include "base/jwrite.h"
#include "base/util.h"
#include "memory/record.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { SAMPLES_MAX = 256 };

/* One candidate of the problem in hand. */
struct entry {
    struct running *run;
    const char *name; /* below the problem's folder; "." for the folder itself */
    struct candidate *candidate;
    char *key; /* its verdict's, in the store */
    json_t *verdict;
    char *error;
    bool known;
};

struct running {
    struct session session;
    const struct options *options;
    struct arena *arena;
    struct task *task; /* of the problem in hand */
    size_t n, waiting;
    struct entry entries[SAMPLES_MAX];
    size_t judged, known, accepted, troubled;
};

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Sorted names in a folder that `wanted` likes; a folder that isn't there has none. */
static size_t names_in(struct arena *arena, const char *folder, bool (*wanted)(const char *, int),
                       int id, const char *ret[SAMPLES_MAX])
{
    DIR *dir = opendir(folder);
    size_t n = 0;
    struct dirent *entry;
    while (dir && n < SAMPLES_MAX && (entry = readdir(dir))) {
        if (wanted(entry->d_name, id)) {
            ret[n++] = arena_strdup(arena, entry->d_name);
        }
    }
    if (dir) {
        closedir(dir);
    }
    qsort(ret, n, sizeof(*ret), by_text);
    return n;
}

/* "19" or "19_ReLU" */
static bool is_for(const char *name, int id)
{
    size_t digits = strspn(name, "0123456789");
    return digits > 0 && digits < 7 && atoi(name) == id && (name[digits] == '_' || !name[digits]);
}

static bool is_sample(const char *name, int id)
{
    (void)id;
    return name[0] != '.';
}

static bool holds_candidate(const char *folder)
{
    auto_free char *source = xprintf("%s/kernel.cu", folder);
    return file_exists(source);
}

static void add(struct running *run, const char *folder, const char *name)
{
    struct entry *e = &run->entries[run->n++];
    struct err err = { 0 };
    *e = (struct entry) { .run = run, .name = arena_strdup(run->arena, name) };
    if (candidate_load(folder, &e->candidate, &err) < 0) {
        e->error = xstrdup(err_text(&err));
    }
}

/* DIR/levelL/ID or ID_name with kernel.cu in it, or in each of its folders. */
static void find_candidates(struct running *run, const struct problem *p)
{
    const char *of_problem[SAMPLES_MAX], *samples[SAMPLES_MAX];
    run->n = 0;
    const char *level = arena_printf(run->arena, "%s/level%d", run->options->candidates, p->level);
    size_t n = names_in(run->arena, level, is_for, p->id, of_problem);
    for (size_t i = 0; i < n; i++) {
        const char *folder = arena_printf(run->arena, "%s/%s", level, of_problem[i]);
        if (holds_candidate(folder) && run->n < SAMPLES_MAX) {
            add(run, folder, of_problem[i]);
        }
        size_t m = names_in(run->arena, folder, is_sample, 0, samples);
        for (size_t k = 0; k < m && run->n < SAMPLES_MAX; k++) {
            const char *inner = arena_printf(run->arena, "%s/%s", folder, samples[k]);
            if (holds_candidate(inner)) {
                add(run, inner, arena_printf(run->arena, "%s/%s", of_problem[i], samples[k]));
            }
        }
    }
}

static void put(struct running *run, enum store_db db, const char *key, const json_t *json)
{
    struct err err = { 0 };
    auto_free char *text = json_compact(json);
    struct store_batch *batch = store_batch_new();
    store_batch_put(batch, db, key, text, strlen(text));
    if (store_commit(run->session.store, batch, &err) < 0) { /* lost, it is asked for again */
        log_line(run->session.log, LOG_LEVEL_WARN, "kernelbench", "not kept: %s", err_text(&err));
    }
}

static json_t *get(struct running *run, enum store_db db, const char *key)
{
    auto_arena struct arena *arena = arena_new();
    const void *at;
    size_t len;
    json_t *json = NULL;
    if (run->options->fresh || store_get(run->session.store, db, key, arena, &at, &len, NULL) < 0
        || jread_parse(at, len, &json, NULL) < 0) {
        return NULL;
    }
    return json;
}

static const char *torch_version(const struct running *run)
{
    const json_t *hello = pytorch_hello(evaluator_oracle(run->session.evaluator));
    const char *version = json_string_value(json_object_get(hello, "torch"));
    return version ? version : "";
}

/* What is right depends on PyTorch's version, too. */
static char *key_of(struct running *run, const struct candidate *candidate)
{
    const char *plain = session_verdict_key(&run->session, run->arena, run->task, candidate, NULL);
    const char *torch = torch_version(run);
    const struct id_part parts[] = { { plain, strlen(plain) }, { torch, strlen(torch) } };
    struct id id;
    char hex[ID_HEX];
    id_of_parts(parts, ARRAY_LEN(parts), &id);
    id_hex(&id, hex);
    return xstrdup(hex);
}

static void on_judged(void *ud, int code, const struct verdict *v, const char *error)
{
    struct entry *e = ud;
    struct running *run = e->run;
    run->waiting--;
    if (code < 0) {
        e->error = xstrdup(error ? error : err_name(code));
        return;
    }
    e->verdict = verdict_json(v);
    if (verdict_status_final(v->status)) {
        put(run, STORE_DB_VERDICTS, e->key, e->verdict);
    }
}

/* All at once: what one compiles while another is on the device is time won. */
static void judge_all(struct running *run)
{
    for (size_t i = 0; i < run->n; i++) {
        struct entry *e = &run->entries[i];
        if (!e->candidate) {
            continue;
        }
        e->key = key_of(run, e->candidate);
        e->verdict = get(run, STORE_DB_VERDICTS, e->key);
        e->known = e->verdict != NULL;
        if (!e->known) {
            struct judge_request request = { .task = run->task, .candidate = e->candidate,
                                             .depth = JUDGE_DEPTH_FULL,
                                             .deadline_ms = (uint64_t)(run->options->deadline_s * 1000) };
            run->waiting++;
            evaluator_judge(run->session.evaluator, &request, on_judged, e);
        }
    }
    while (run->waiting && uv_run(&run->session.loop, UV_RUN_ONCE)) {
    }
}

/* PyTorch's own times, measured once for a problem, a device and a version. */
static json_t *baselines(struct running *run, const struct problem *p, struct err *err)
{
    const struct device_info *d = evaluator_device(run->session.evaluator);
    const char *wanted = run->options->pytorch ? run->options->pytorch : "eager,eager_tf32";
    if (d->modelled || str_eq(wanted, "none")) {
        return NULL;
    }
    char hex[ID_HEX];
    id_hex(&p->hash, hex);
    auto_free char *key = xprintf("pytorch/%s/%s/%s/%s/%s", d->uuid, d->driver, torch_version(run), wanted,
                                  hex);
    json_t *known = get(run, STORE_DB_DEVICES, key), *answer = NULL;
    if (known) {
        return known;
    }
    json_t *variants = json_array();
    auto_free char *copy = xstrdup(wanted);
    char *save = NULL;
    for (char *name = strtok_r(copy, ",", &save); name; name = strtok_r(NULL, ",", &save)) {
        json_array_append_new(variants, json_string(name));
    }
    json_t *question = json_pack("{s:s,s:s,s:s,s:o}", "kind", "baseline", "problem", p->path, "hash", hex,
                                 "variants", variants);
    if (kernelbench_ask(&run->session.loop, evaluator_oracle(run->session.evaluator), question, &answer,
                        err) < 0) {
        return NULL;
    }
    json_t *times = json_incref(json_object_get(answer, "baselines"));
    json_decref(answer);
    if (times) {
        put(run, STORE_DB_DEVICES, key, times);
    }
    return times;
}

static json_t *candidates_json(struct running *run)
{
    json_t *list = json_array();
    for (size_t i = 0; i < run->n; i++) {
        struct entry *e = &run->entries[i];
        char hex[ID_HEX] = "";
        if (e->candidate) {
            id_hex(&e->candidate->id, hex);
        }
        json_t *one = json_pack("{s:s,s:s,s:b}", "name", e->name, "id", hex, "known", e->known);
        if (e->verdict) {
            json_object_set(one, "verdict", e->verdict);
        }
        if (e->error) {
            json_object_set_new(one, "error", json_text(e->error, strlen(e->error)));
        }
        json_array_append_new(list, one);
    }
    return list;
}

/* One line a candidate: what came of it, its time, and PyTorch's beside it. */
static void tell(struct running *run, const struct problem *p, const json_t *times)
{
    const json_t *eager = json_object_get(json_object_get(times, "eager"), "median_us");
    bool quiet = run->options->json && str_eq(run->options->json, "-");
    for (size_t i = 0; i < run->n; i++) {
        struct entry *e = &run->entries[i];
        const char *status = json_string_value(json_object_get(e->verdict, "status"));
        const char *detail = json_string_value(json_object_get(e->verdict, "detail"));
        bool accepted = status && str_eq(status, "accepted");
        double us = json_number_value(json_object_get(json_object_get(e->verdict, "time"), "median_us"));
        run->accepted += accepted;
        run->troubled += e->error != NULL;
        run->known += e->known;
        run->judged += e->verdict && !e->known;
        if (quiet) {
            continue;
        }
        printf("%d/%-3d %-36.36s %-12s ", p->level, p->id, e->name, e->error ? "error" : status);
        if (!accepted) {
            printf("%.160s\n", e->error ? e->error : detail ? detail : "");
            continue;
        }
        printf("%9.4g us%s", us, json_is_true(json_object_get(e->verdict, "modelled")) ? " modelled" : "");
        if (eager && us > 0) {
            printf("  %.3gx of eager (%.4g us)", json_number_value(eager) / us, json_number_value(eager));
        }
        printf("%s\n", e->known ? "  (known)" : "");
    }
    fflush(stdout);
}

static void drop_entries(struct running *run)
{
    for (size_t i = 0; i < run->n; i++) {
        candidate_free(run->entries[i].candidate);
        json_decref(run->entries[i].verdict);
        free(run->entries[i].key);
        free(run->entries[i].error);
    }
    run->n = 0;
    task_free(run->task);
    run->task = NULL;
}

static int keep(struct running *run, const struct problem *p, json_t *result, struct err *err)
{
    auto_free char *path = xprintf("%s/results/level%d_%d.json", run->options->out, p->level, p->id);
    auto_free char *text = json_dumps(result, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
    json_decref(result);
    require(text != NULL);
    return file_write(path, text, strlen(text), err);
}

static int run_problem(struct running *run, const struct problem *p, struct err *err)
{
    const struct device_info *d = evaluator_device(run->session.evaluator);
    struct err why = { 0 }, unmeasured = { 0 };
    json_t *described = NULL, *times = NULL;
    char hex[ID_HEX];
    id_hex(&p->hash, hex);
    find_candidates(run, p);
    int r = kernelbench_describe(&run->session.loop, evaluator_oracle(run->session.evaluator), p,
                                 &run->task, &described, &why);
    json_t *result = json_pack("{s:i,s:i,s:i,s:s,s:s,s:s,s:i,s:s,s:b,s:s}", "format", 1, "level", p->level,
                               "id", p->id, "name", p->name, "family", p->family, "hash", hex, "gate",
                               EVALUATOR_GATE_VERSION, "device", d->name, "modelled", d->modelled, "torch",
                               torch_version(run));
    if (described) {
        json_object_set(result, "bytes", json_object_get(described, "bytes"));
    }
    if (r < 0) {
        run->troubled += r != ERR_UNSUPPORTED;
        json_object_set_new(result, r == ERR_UNSUPPORTED ? "unsupported" : "error",
                            json_text(err_text(&why), strlen(err_text(&why))));
        if (!(run->options->json && str_eq(run->options->json, "-"))) {
            printf("%d/%-3d %-36.36s %-12s %.200s\n", p->level, p->id, p->name,
                   r == ERR_UNSUPPORTED ? "unsupported" : "error", err_text(&why));
        }
    } else if (run->n) {
        times = baselines(run, p, &unmeasured);
        judge_all(run);
        tell(run, p, times);
    }
    if (times) {
        json_object_set_new(result, "baselines", times);
    } else if (unmeasured.code) {
        json_object_set_new(result, "unmeasured", json_string(err_text(&unmeasured)));
    }
    json_object_set_new(result, "candidates", candidates_json(run));
    json_decref(described);
    drop_entries(run);
    return keep(run, p, result, err);
}

static int run_all(struct running *run, const struct problem *problems, size_t n, struct err *err)
{
    auto_free char *folder = xprintf("%s/results", run->options->out);
    int r = folder_make(folder, err);
    for (size_t i = 0; r == 0 && i < n; i++) {
        run->arena = arena_new();
        r = run_problem(run, &problems[i], err);
        arena_free(run->arena);
    }
    if (r == 0 && !(run->options->json && str_eq(run->options->json, "-"))) {
        printf("\n%zu problems; %zu candidates judged, %zu known already; %zu accepted, %zu errors\n"
               "warpsmith kernelbench score --out %s\n", n, run->judged, run->known, run->accepted,
               run->troubled, run->options->out);
    }
    if (r == 0 && run->options->json) {
        r = output_json(run->options->json,
                        json_pack("{s:s,s:I,s:I,s:I,s:I,s:I}", "out", run->options->out, "problems",
                                  (json_int_t)n, "judged", (json_int_t)run->judged, "known",
                                  (json_int_t)run->known, "accepted", (json_int_t)run->accepted, "errors",
                                  (json_int_t)run->troubled), err);
    }
    return r;
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

int kernelbench_run(const struct options *o)
{
    struct err err = { 0 };
    struct problem *problems = NULL;
    size_t n = 0;
    auto_arena struct arena *arena = arena_new();
    int r = check_variants(o->pytorch, &err);
    r = r < 0 ? r : o->candidates && o->out
        ? kernelbench_problems(o, arena, &problems, &n, &err)
        : err_set(&err, ERR_INVALID, "run needs --candidates DIR and --out DIR");
    struct running *run = xcalloc(1, sizeof(*run));
    run->options = o;
    r = r < 0 ? r : session_open(&run->session, o, SESSION_STORE | SESSION_EVALUATOR | SESSION_ORACLE, &err);
    if (r == 0) {
        r = run_all(run, problems, n, &err);
        session_close(&run->session);
    }
    free(run);
    return r < 0 ? options_fail(&err) : EXIT_DONE;
}
