/* SPDX-License-Identifier: MIT */
/* Which shipped family a problem belongs to: kernels/FAMILY/problems.json (kernelbench/mapping.h), found
 * and applied, so that the family's variants run on the problem. */
#include "agent/catalog.h"
#include "agent/kernelbench.h"
#include "base/file.h"
#include "base/jread.h"
#include "base/util.h"
#include "kernelbench/mapping.h"

#include <stdlib.h>
#include <string.h>

struct kernelbench_maps {
    struct arena *arena;
    size_t n;
    struct mapping mappings[CATALOG_NAMES_MAX];
    struct task *natives[CATALOG_NAMES_MAX]; /* read when first asked for */
};

static int read_family(struct kernelbench_maps *maps, const char *root, const char *family, struct err *err)
{
    auto_free char *path = xprintf("%s/%s/problems.json", root, family);
    auto_free char *text = NULL;
    size_t len;
    if (!file_exists(path)) {
        return 0;
    }
    int r = file_read(path, JREAD_TEXT_MAX, &text, &len, err);
    r = r < 0 ? r : mapping_parse(text, len, family, maps->arena, &maps->mappings[maps->n++], err);
    if (r < 0) {
        err_wrap(err, "%s", path);
    }
    return r;
}

int kernelbench_maps_open(struct kernelbench_maps **ret, struct err *err)
{
    char *names[CATALOG_NAMES_MAX];
    size_t n = 0;
    auto_free char *root = NULL;
    int r = file_find_shipped("kernels", &root, err);
    r = r < 0 ? r : catalog_names(true, names, &n, err);
    struct kernelbench_maps *maps = xcalloc(1, sizeof(*maps));
    maps->arena = arena_new();
    for (size_t i = 0; i < n; i++) {
        r = r < 0 ? r : read_family(maps, root, names[i], err);
        free(names[i]);
    }
    if (r < 0) {
        kernelbench_maps_close(maps);
        return r;
    }
    *ret = maps;
    return 0;
}

void kernelbench_maps_close(struct kernelbench_maps *maps)
{
    for (size_t i = 0; maps && i < maps->n; i++) {
        mapping_done(&maps->mappings[i]);
        task_free(maps->natives[i]);
    }
    if (maps) {
        arena_free(maps->arena);
    }
    free(maps);
}

/* The entry of a problem and the mapping's number, or NULL. */
static const struct mapping_entry *find(const struct kernelbench_maps *maps, const struct problem *problem,
                                        size_t *ret_at)
{
    auto_free char *name = xprintf("%d/%s", problem->level, problem->name);
    for (size_t i = 0; i < maps->n; i++) {
        const struct mapping_entry *entry = mapping_find(&maps->mappings[i], name);
        if (entry) {
            *ret_at = i;
            return entry;
        }
    }
    return NULL;
}

const char *kernelbench_map_family(const struct kernelbench_maps *maps, const struct problem *problem)
{
    size_t at;
    return find(maps, problem, &at) ? maps->mappings[at].family : NULL;
}

int kernelbench_map_document(struct kernelbench_maps *maps, const struct problem *problem, json_t *doc,
                             struct err *err)
{
    size_t at;
    const struct mapping_entry *entry = find(maps, problem, &at);
    if (!entry) {
        return err_set(err, ERR_NOTFOUND, "%s: no shipped kernel computes this", problem->name);
    }
    const struct mapping *mapping = &maps->mappings[at];
    int r = maps->natives[at] ? 0 : catalog_task(mapping->task, &maps->natives[at], err);
    r = r < 0 ? r : mapping_apply(entry, maps->natives[at], doc, err);
    if (r < 0) {
        err_wrap(err, "kernels/%s/problems.json", mapping->family);
    }
    return r;
}

int kernelbench_map_start(const struct kernelbench_maps *maps, const struct problem *problem,
                          struct candidate **ret, struct err *err)
{
    size_t at;
    struct candidate *shipped = NULL;
    const struct mapping_entry *entry = find(maps, problem, &at);
    int r = entry ? catalog_candidate(entry->start, maps->mappings[at].family, &shipped, err)
                  : err_set(err, ERR_NOTFOUND, "%s: no shipped kernel computes this", problem->name);
    r = r < 0 ? r : candidate_with_params(shipped, entry->params, entry->n_params, ret, err);
    candidate_free(shipped);
    if (r < 0 && entry) {
        err_wrap(err, "kernels/%s/problems.json: problems.%s", maps->mappings[at].family, entry->problem);
    }
    return r;
}

/* Operands of fewer bits: what that brings about, the oracle finds out for each distribution by rounding them,
 * and the gate grants it; of itself an element may be off by two roundings. */
static const struct {
    const char *precision;
    double rtol;
} coarse[] = { { "tf32", 1e-3 }, { "f16", 1e-3 }, { "bf16", 8e-3 } };

int kernelbench_precision_check(const struct options *o, struct err *err)
{
    bool known = !o->precision || str_eq(o->precision, "f32");
    for (size_t i = 0; i < ARRAY_LEN(coarse); i++) {
        known = known || str_eq(o->precision, coarse[i].precision);
    }
    return known ? 0 : err_set(err, ERR_INVALID, "--precision: \"%.40s\" is none of f32, tf32, bf16, f16", o->precision);
}

static void set_precision(json_t *doc, const char *precision)
{
    json_object_set_new(doc, "precision", json_string(precision)); /* task_parse knows the names */
    for (size_t i = 0; i < ARRAY_LEN(coarse); i++) {
        if (str_eq(precision, coarse[i].precision)) {
            json_object_set_new(json_object_get(doc, "tolerance"), "rtol", json_real(coarse[i].rtol));
        }
    }
}

int kernelbench_document(const struct options *o, struct kernelbench_maps *maps, const struct problem *problem,
                         const json_t *described, json_t **ret, struct err *err)
{
    json_t *doc = NULL;
    int r = problem_document(problem, described, &doc, err);
    r = r < 0 || !maps ? r : kernelbench_map_document(maps, problem, doc, err);
    if (r < 0) {
        json_decref(doc);
        return r;
    }
    /* Where there's no product, there are no operands to round. */
    const json_t *flops = json_object_get(described, "flops");
    if (o->precision && (!flops || json_integer_value(flops) > 0)) {
        set_precision(doc, o->precision);
    }
    *ret = doc;
    return 0;
}
