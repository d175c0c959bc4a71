/* SPDX-License-Identifier: MIT */
#include "agent/bench_plant.h"
#include "agent/bench_image.h"
#include "agent/catalog.h"
#include "base/file.h"
#include "base/jread.h"
#include "base/rng.h"
#include "base/util.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ARGUMENTS_MAX = 1 << 20, PER_SUBJECT_MAX = 4096 };

struct plant *plant_new(const struct options *options, struct bench_report *report)
{
    struct plant *p = xcalloc(1, sizeof(*p));
    p->options = options;
    p->report = report;
    p->began = clock_ns();
    for (size_t i = 1; i < options->n_args; i++) {
        long long part = 0, parts = 0;
        if (sscanf(options->args[i], "%lld/%lld", &part, &parts) == 2 && parts > 0 && part > 0
            && part <= parts) {
            p->part = (size_t)part - 1;
            p->parts = (size_t)parts;
        } else if (p->n_words < PLANT_WORDS_MAX) {
            p->words[p->n_words++] = options->args[i];
        }
    }
    p->whole = p->parts == 0 && p->n_words == 0 && options->runs <= 0;
    return p;
}

static void subject_done(struct subject *s)
{
    candidate_free(s->candidate);
    task_free(s->task);
    arena_free(s->arena);
    free(s->picked);
    free(s->name);
    free(s->plan);
}

void plant_done(struct plant *p)
{
    for (struct planted *s = p->survivors, *after; s; s = after) {
        after = s->next;
        plant_free(s);
    }
    for (size_t i = 0; i < p->n_subjects; i++) {
        subject_done(&p->subjects[i]);
    }
    free(p->arguments);
    free(p);
}

static bool wanted(const struct plant *p, const char *name)
{
    bool any = p->n_words == 0;
    for (size_t i = 0; i < p->n_words; i++) {
        any = any || str_prefix(name, p->words[i]);
    }
    return any;
}

static size_t family_of(struct plant *p, const char *family)
{
    for (size_t i = 0; i < p->n_families; i++) {
        if (str_eq(p->families[i], family)) {
            return i;
        }
    }
    require(p->n_families < PLANT_FAMILIES_MAX);
    p->families[p->n_families] = family;
    return p->n_families++;
}

/* Takes the candidate; the task is read for each subject, which then owns it. */
static int add_subject(struct plant *p, const char *task, const char *name,
                       struct candidate *candidate, struct err *err)
{
    struct task *read = NULL;
    int r = p->n_subjects < PLANT_SUBJECTS_MAX ? catalog_task(task, &read, err)
                                               : err_set(err, ERR_TOOBIG, "too many kernels");
    if (r < 0) {
        candidate_free(candidate);
        return r;
    }
    struct subject *s = &p->subjects[p->n_subjects++];
    *s = (struct subject) { .name = xstrdup(name), .task = read, .candidate = candidate,
                            .family = family_of(p, read->family), .arena = arena_new(),
                            .plan = json_canonical(candidate->plan->json) };
    mutate_all(candidate->source, s->plan, read->precision, s->arena, &s->mutants);
    return 0;
}

static int read_variants(struct plant *p, const char *task_name, struct err *err)
{
    struct task *task = NULL;
    struct catalog_family family = { 0 };
    int r = catalog_task(task_name, &task, err);
    r = r < 0 ? r : catalog_family(task->family, &family, err);
    for (size_t i = 0; i < family.n; i++) {
        auto_free char *name = xprintf("%s/%s", task->family, family.variants[i]->name);
        struct candidate *variant = family.variants[i];
        if (r == 0 && wanted(p, name)) {
            family.variants[i] = NULL;
            r = add_subject(p, task_name, name, variant, err);
        }
    }
    catalog_family_done(&family);
    task_free(task);
    return r;
}

/* tests/honest/NAME: kernel.cu, plan.json, and expect.json with the task. */
static int read_honest(struct plant *p, const char *root, const char *name, struct err *err)
{
    auto_free char *folder = xprintf("%s/%s", root, name), *label = xprintf("honest/%s", name);
    auto_free char *document = xprintf("%s/expect.json", folder);
    if (name[0] == '.' || !file_exists(document) || !wanted(p, label)) {
        return 0;
    }
    json_t *expect = NULL;
    const char *task = NULL;
    struct candidate *candidate = NULL;
    int r = jread_file(document, &expect, err);
    r = r < 0 ? r : jread_string(expect, "task", true, NULL, &task, err);
    r = r < 0 ? err_wrap(err, "%s", document) : candidate_load(folder, &candidate, err);
    auto_free char *beside = xprintf("%s/%s", folder, r == 0 ? task : "");
    r = r < 0 ? r : add_subject(p, task[0] == '.' ? beside : task, label, candidate, err);
    json_decref(expect);
    return r;
}

static int read_all_honest(struct plant *p, struct err *err)
{
    auto_free char *root = NULL;
    int r = file_find_shipped("tests/honest", &root, err);
    struct dirent **found = NULL;
    int n = r < 0 ? 0 : scandir(root, &found, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        r = r < 0 ? r : read_honest(p, root, found[i]->d_name, err);
        free(found[i]);
    }
    free(found);
    return r;
}

int plant_read(struct plant *p, struct err *err)
{
    char *names[CATALOG_NAMES_MAX];
    size_t n = 0;
    int r = catalog_names(false, names, &n, err);
    for (size_t i = 0; i < n; i++) {
        r = r < 0 ? r : read_variants(p, names[i], err);
        free(names[i]);
    }
    r = r < 0 ? r : read_all_honest(p, err);
    auto_free char *path = NULL;
    if (r == 0 && file_find_shipped("tests/mutants/equivalent.txt", &path, NULL) == 0) {
        r = file_read(path, ARGUMENTS_MAX, &p->arguments, NULL, err);
    }
    return r == 0 && p->n_subjects == 0 ? err_set(err, ERR_NOTFOUND, "no kernel is called so") : r;
}

void plant_pick(struct plant *p, uint64_t seed, size_t most)
{
    for (size_t i = 0; i < p->n_subjects; i++) {
        struct subject *s = &p->subjects[i];
        size_t each = MIN((most + p->n_subjects - 1) / p->n_subjects, (size_t)PER_SUBJECT_MAX);
        s->picked = xcalloc(each, sizeof(*s->picked));
        s->n_picked = mutate_pick(&s->mutants, seed ^ rng_key(s->name), each, s->picked);
    }
}

struct planted *plant_original(struct subject *s)
{
    struct planted *item = xcalloc(1, sizeof(*item));
    *item = (struct planted) { .subject = s, .candidate = s->candidate };
    return item;
}

struct planted *plant_one(struct plant *p, struct subject *s, size_t index)
{
    auto_arena struct arena *arena = arena_new();
    const struct mutant *m = &s->mutants.at[s->picked[index]];
    const char *source = mutate_source(s->candidate->source, m, arena);
    const char *plan = m->plan ? m->plan : s->plan;
    struct candidate *candidate = NULL;
    if (candidate_parse(plan, strlen(plan), source, strlen(source), &candidate, NULL) < 0) {
        p->broken++;
        return NULL;
    }
    struct planted *item = xcalloc(1, sizeof(*item));
    *item = (struct planted) { .subject = s, .mutant = m, .candidate = candidate, .owned = true };
    return item;
}

void plant_free(struct planted *item)
{
    if (item->owned) {
        candidate_free(item->candidate);
    }
    free(item);
}

struct plant_count *plant_count_of(struct plant *p, const struct planted *item)
{
    return &p->count[item->subject->family][item->mutant->kind];
}

void plant_add(struct plant_count *to, const struct plant_count *from)
{
    if (to) {
        to->differ += from->differ;
        to->killed += from->killed;
    }
}

bool plant_held_out(const char *family)
{
    return str_eq(family, "attention") || str_eq(family, "reduction");
}

struct waiting {
    bool done;
    int code;
    char *bytes;
    size_t len;
};

static void on_image(void *ud, int code, const void *bytes, size_t len, const char *error)
{
    struct waiting *w = ud;
    (void)error;
    w->done = true;
    w->code = code;
    w->len = len;
    w->bytes = code < 0 ? NULL : xcalloc(len + 1, 1);
    if (code == 0) {
        memcpy(w->bytes, bytes, len);
    }
}

static int image(struct plant *p, const struct subject *s, const struct shape *shape,
                 const struct candidate *candidate, struct waiting *ret, struct err *err)
{
    *ret = (struct waiting) { 0 };
    evaluator_image_at(p->session->evaluator, s->task, shape, candidate, on_image, ret);
    while (!ret->done && uv_run(&p->session->loop, UV_RUN_ONCE)) {
    }
    return ret->code < 0 ? err_set(err, ret->code, "%s doesn't compile again", s->name) : 0;
}

/* The launches at a shape as text. */
static char *launches(struct plant *p, const struct subject *s, const struct shape *shape,
                      const struct candidate *candidate)
{
    auto_arena struct arena *arena = arena_new();
    struct bound *bound = NULL;
    const struct device_info *device = evaluator_device(p->session->evaluator);
    if (candidate_bind(s->task, shape, candidate->plan, &device->facts, arena, &bound, NULL) < 0) {
        return xstrdup("");
    }
    json_t *json = bound_json(bound);
    char *text = json_canonical(json);
    json_decref(json);
    return text;
}

int plant_is_same(struct plant *p, const struct planted *item, bool *ret, struct err *err)
{
    const struct subject *s = item->subject;
    int r = 0;
    *ret = true;
    for (size_t i = 0; r == 0 && *ret && i < s->task->n_shapes; i++) {
        const struct shape *shape = &s->task->shapes[i];
        auto_free char *was = launches(p, s, shape, s->candidate);
        auto_free char *now = launches(p, s, shape, item->candidate);
        struct waiting a, b = { 0 };
        r = image(p, s, shape, s->candidate, &a, err);
        r = r < 0 ? r : image(p, s, shape, item->candidate, &b, err);
        *ret = r == 0 && str_eq(was, now) && bench_image_same(a.bytes, a.len, b.bytes, b.len);
        free(a.bytes);
        free(b.bytes);
    }
    return r;
}

bool plant_is_argued(const struct plant *p, const struct planted *item)
{
    char id[ID_SHORT];
    id_short(&item->candidate->id, id);
    return p->arguments && strstr(p->arguments, id);
}

static void keep(const char *out, const struct planted *item, const char *id, const char *line)
{
    auto_free char *folder = xprintf("%s/%s", out, id), *list = xprintf("%s/misses.txt", out);
    if (folder_make(folder, NULL) < 0) {
        return;
    }
    candidate_save(item->candidate, folder, NULL);
    FILE *f = fopen(list, "a");
    if (f) {
        fputs(line, f);
        fclose(f);
    }
}

void plant_report(struct plant *p, const struct planted *item, const char *word)
{
    char id[ID_SHORT];
    const struct mutant *m = item->mutant;
    id_short(&item->candidate->id, id);
    auto_free char *line = xprintf("%s %s %s:%d %s: %s\n", word, id, item->subject->name, m->line,
                                   mutate_class_name(m->kind), m->what);
    if (p->report->out) {
        fputs(line, p->report->out);
        fflush(p->report->out);
    }
    if (p->options->out) {
        keep(p->options->out, item, id, line);
    }
}
