/* SPDX-License-Identifier: MIT */
/* kernelbench export: what a run judged, as files that other programs take. For each candidate that is wanted the
 * problem is described anew, its plan bound and its source compiled, so that what comes out runs by itself. */
#include "agent/command.h"
#include "agent/export.h"
#include "agent/kernelbench.h"
#include "agent/kernelbench_results.h"
#include "agent/kernelbench_upstream.h"
#include "base/file.h"
#include "base/jread.h"
#include "base/util.h"

#include <string.h>

enum { PROBLEM_BYTES_MAX = 1 << 20, EXPORT_BYTES_MAX = 256 << 20 };

enum form { FORM_UPSTREAM, FORM_TORCH, FORM_C };

struct exporting {
    struct session session;
    const struct options *options;
    struct results *results;
    struct pytorch *pytorch;
    struct kernelbench_maps *maps; /* opened when a result wants it */
    struct problem *problems;
    size_t n_problems, done, failed;
    enum form form;
    const char *to; /* --to, or for upstream the folder of the run below it */
};

/* The problem's file in hand. */
struct subject {
    const struct result *result;
    const struct problem *problem;
    struct task *task;
    json_t *described;
    char *text;
};

static void say(const struct exporting *x, const struct result *of, const char *what, const char *text)
{
    if (!(x->options->json && str_eq(x->options->json, "-"))) {
        printf("%d/%-3d %-36.36s %s%.*s\n", of->level, of->id, of->name, what, (int)strcspn(text, "\n"), text);
    }
}

static const struct problem *problem_of(const struct exporting *x, const struct result *of, struct err *err)
{
    const char *hash = json_string_value(json_object_get(of->doc, "hash"));
    for (size_t i = 0; i < x->n_problems; i++) {
        const struct problem *p = &x->problems[i];
        char hex[ID_HEX];
        id_hex(&p->hash, hex);
        if (p->level == of->level && p->id == of->id) {
            if (hash && str_eq(hash, hex)) {
                return p;
            }
            err_set(err, ERR_INVALID, "%s is not the file that was judged; give the run's --suite", p->path);
            return NULL;
        }
    }
    err_set(err, ERR_NOTFOUND, "the suite has no such problem");
    return NULL;
}

/* A result says whether its task was in a family's words. */
static int make_task(struct exporting *x, struct subject *s, struct err *err)
{
    bool mapped = x->options->mapped || json_is_true(json_object_get(s->result->doc, "mapped"));
    json_t *doc = NULL;
    int r = mapped && !x->maps ? kernelbench_maps_open(&x->maps, err) : 0;
    r = r < 0 ? r : kernelbench_document(x->options, mapped ? x->maps : NULL, s->problem, s->described, &doc, err);
    r = r < 0 ? r : problem_document_task(s->problem, doc, &s->task, err);
    json_decref(doc);
    return r;
}

static int open_subject(struct exporting *x, const struct result *of, struct subject *ret, struct err *err)
{
    size_t len;
    *ret = (struct subject) { .result = of, .problem = problem_of(x, of, err) };
    if (!ret->problem) {
        return err->code;
    }
    int r = ret->problem->unreadable ? err_set(err, ERR_INVALID, "%s", ret->problem->unreadable)
                                     : file_read(ret->problem->path, PROBLEM_BYTES_MAX, &ret->text, &len, err);
    r = r < 0 ? r : kernelbench_ask(&x->session.loop, x->pytorch,
                                    json_pack("{s:s,s:s}", "kind", "describe", "problem", ret->problem->path),
                                    &ret->described, err);
    return r < 0 ? r : make_task(x, ret, err);
}

static void close_subject(struct subject *s)
{
    task_free(s->task);
    json_decref(s->described);
    free(s->text);
}

/* RUN/candidates/ID, which a run keeps; else where --candidates has it, if it is still the same. */
static int load_candidate(const struct exporting *x, const struct result *of, const json_t *one,
                          struct candidate **ret, struct err *err)
{
    const char *id = json_string_value(json_object_get(one, "id"));
    const char *name = json_string_value(json_object_get(one, "name"));
    auto_free char *kept = xprintf("%s/candidates/%s", x->options->out, id && *id ? id : "none");
    auto_free char *source = xprintf("%s/kernel.cu", kept);
    auto_free char *given = xprintf("%s/level%d/%s", x->options->candidates ? x->options->candidates : "", of->level,
                                    name ? name : "");
    char hex[ID_HEX];
    bool here = file_exists(source);
    if (!here && !x->options->candidates) {
        return err_set(err, ERR_NOTFOUND, "%s isn't there; give the run's --candidates", kept);
    }
    int r = candidate_load(here ? kept : given, ret, err);
    if (r == 0) {
        id_hex(&(*ret)->id, hex);
        if (!id || !str_eq(hex, id)) {
            candidate_free(*ret);
            return err_set(err, ERR_INVALID, "%s is another candidate than the one that was judged",
                           here ? kept : given);
        }
    }
    return r;
}

static int write_text(const char *path, const struct buf *text, struct err *err)
{
    return file_write(path, text->at, text->len, err);
}

/* Upstream's analysis looks at sample 0 alone: a winner by itself has that number. */
static int write_form(const struct exporting *x, const struct subject *s, size_t sample, const struct export *e,
                      struct err *err)
{
    const struct result *of = s->result;
    auto_buf struct buf text;
    buf_init(&text, EXPORT_BYTES_MAX);
    auto_free char *place = NULL;
    if (x->form == FORM_UPSTREAM) {
        auto_free char *folder = upstream_folder(x->results, x->options->out, x->to, of->level);
        place = xprintf("%s/level_%d_problem_%d_sample_%zu_kernel.py", folder, of->level, of->id,
                        x->options->all ? sample : (size_t)0);
        int r = folder_make(folder, err);
        r = r < 0 ? r : export_model(e, s->text, &text, err);
        return r < 0 ? r : write_text(place, &text, err);
    }
    if (x->form == FORM_TORCH) {
        place = xprintf("%s/%s.py", x->to, e->name);
        int r = folder_make(x->to, err);
        r = r < 0 ? r : export_function(e, &text, err);
        return r < 0 ? r : write_text(place, &text, err);
    }
    place = xprintf("%s/%s", x->to, e->name);
    int r = folder_make(place, err);
    return r < 0 ? r : export_c(e, place, err);
}

/* "KernelBench level 1 problem 19 (19_ReLU), candidate right: accepted, 12.3 us" */
static char *made_of(const struct result *of, const json_t *one, struct arena *arena)
{
    const json_t *verdict = json_object_get(one, "verdict");
    const char *status = json_string_value(json_object_get(verdict, "status"));
    const char *name = json_string_value(json_object_get(one, "name"));
    const char *kb = json_string_value(json_object_get(json_object_get(one, "kb"), "status"));
    char *made = arena_printf(arena, "KernelBench level %d problem %d (%s), candidate %s: %s%s%s%s", of->level, of->id,
                              of->name, name ? name : "?", status ? "strictly " : "", status ? status : "not judged strictly",
                              kb ? "; by KernelBench's own rules " : "", kb ? kb : "");
    for (char *at = made; *at; at++) {
        *at = (unsigned char)*at < 32 ? ' ' : *at;
    }
    return made;
}

static int export_one(struct exporting *x, const struct subject *s, size_t sample, struct err *err)
{
    auto_arena struct arena *arena = arena_new();
    const json_t *one = json_array_get(s->result->candidates, sample);
    struct candidate *candidate = NULL;
    struct export e = { 0 };
    char *name = arena_printf(arena, "level%d_%s", s->result->level, s->result->name);
    if (x->options->all && x->form != FORM_UPSTREAM) {
        name = arena_printf(arena, "%s_sample_%zu", name, sample);
    }
    int r = load_candidate(x, s->result, one, &candidate, err);
    if (r < 0) {
        return r;
    }
    r = export_make(&x->session, s->task, candidate, name, s->described, arena, &e, err);
    if (r == 0) {
        e.made = made_of(s->result, one, arena);
        e.from_source = x->options->from_source;
        r = write_form(x, s, sample, &e, err);
    }
    export_done(&e);
    candidate_free(candidate);
    return r;
}

static void export_problem(struct exporting *x, const struct result *of)
{
    struct err err = { 0 };
    struct subject subject;
    size_t best = result_winner(of), n = json_array_size(of->candidates);
    if (n == 0 || (!x->options->all && best == SIZE_MAX)) {
        say(x, of, "nothing to export", n ? ": no candidate is correct" : ": no candidate");
        return;
    }
    int r = open_subject(x, of, &subject, &err);
    if (r < 0) {
        say(x, of, "not exported: ", err_text(&err));
        x->failed++;
    }
    for (size_t i = 0; r == 0 && i < n; i++) {
        if (!x->options->all && i != best) {
            continue;
        }
        struct err why = { 0 };
        const char *name = json_string_value(json_object_get(json_array_get(of->candidates, i), "name"));
        bool good = export_one(x, &subject, i, &why) == 0;
        say(x, of, good ? "" : "not exported: ", good ? name ? name : "" : err_text(&why));
        x->done += good;
        x->failed += !good;
    }
    close_subject(&subject);
}

static int choose(const struct options *o, struct exporting *x, struct err *err)
{
    static const char *const forms[] = { "upstream", "torch", "c" };
    for (size_t i = 0; o->format && i < ARRAY_LEN(forms); i++) {
        if (str_eq(o->format, forms[i])) {
            x->form = (enum form)i;
            return 0;
        }
    }
    return o->format ? err_set(err, ERR_INVALID, "--format \"%.40s\" is none of upstream, torch, c", o->format) : 0;
}

static int export_all(struct exporting *x, struct err *err)
{
    const struct options *o = x->options;
    struct pytorch_options python = { .device = "cpu", .log = &o->log };
    int r = pytorch_open(&x->session.loop, &python, &x->pytorch, err);
    for (size_t i = 0; r == 0 && i < x->results->n; i++) {
        bool level = true, id = true;
        r = problem_listed(o->levels, x->results->at[i].level, &level, err);
        r = r < 0 ? r : problem_listed(o->problems, x->results->at[i].id, &id, err);
        if (r == 0 && level && id) {
            export_problem(x, &x->results->at[i]);
        }
    }
    if (r == 0 && x->form == FORM_UPSTREAM) {
        r = upstream_results(x->results, o->out, x->to, o->all, err);
        r = r < 0 ? r : upstream_baselines(x->results, x->to, err);
    }
    if (r == 0 && !(o->json && str_eq(o->json, "-"))) {
        printf("\n%zu exported to %s, %zu could not be\n", x->done, x->to, x->failed);
        if (x->form == FORM_UPSTREAM && x->done) {
            printf("KernelBench's eval_from_generations.py judges what eval_results.json doesn't have: move that file away "
                   "first.\nIts run_and_check.py takes these files with check_kernel=False: it looks for load_inline, which "
                   "they don't need.\n");
        }
    }
    pytorch_close(x->pytorch);
    return r;
}

int kernelbench_export(const struct options *o)
{
    struct err err = { 0 };
    struct exporting x = { .options = o, .to = o->to };
    auto_arena struct arena *arena = arena_new();
    int r = o->out && o->to ? choose(o, &x, &err)
                            : err_set(&err, ERR_INVALID, "export needs --out RUN and --to DIR");
    r = r < 0 ? r : results_read(o->out, NULL, &x.results, &err);
    r = r < 0 ? r : kernelbench_problems(o, arena, &x.problems, &x.n_problems, &err);
    r = r < 0 ? r : session_open(&x.session, o, SESSION_EVALUATOR, &err);
    if (r == 0) {
        r = export_all(&x, &err);
        session_close(&x.session);
    }
    if (r == 0 && o->json) {
        r = output_json(o->json, json_pack("{s:s,s:I,s:I}", "to", x.to, "exported", (json_int_t)x.done, "failed",
                                           (json_int_t)x.failed), &err);
    }
    kernelbench_maps_close(x.maps);
    results_free(x.results);
    return r < 0 ? options_fail(&err) : x.failed ? EXIT_NEGATIVE : EXIT_DONE;
}
