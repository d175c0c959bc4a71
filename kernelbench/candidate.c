/* SPDX-License-Identifier: MIT */
#include "kernelbench/candidate.h"
#include "base/file.h"
#include "base/util.h"
#include "kernelbench/source.h"

#include <string.h>

_Static_assert((int)SOURCE_MAX == (int)CANDIDATE_SOURCE_MAX, "one limit of source");

/* Takes plan and a copy of the source; `name` may be NULL. */
static int candidate_new(const json_t *plan, const char *name, const char *source, size_t len,
                         struct candidate **ret, struct err *err)
{
    int r = source_check_text(source, len, "kernel.cu", err);
    if (r < 0) {
        return r;
    }
    struct arena *arena = arena_new();
    struct candidate *candidate = arena_alloc(arena, 1, sizeof(*candidate));
    candidate->arena = arena;
    candidate->name = arena_strdup(arena, name ? name : "");
    candidate->source = arena_strndup(arena, source, len);
    candidate->source_len = len;
    r = plan_parse(plan, NULL, arena, &candidate->plan, err);
    if (r == 0) {
        r = source_check_kernels(candidate->source, "kernel.cu", candidate->plan, NULL, err);
    }
    if (r < 0) {
        candidate_free(candidate);
        return r;
    }
    auto_free char *text = plan_canonical(candidate->plan);
    const struct id_part parts[] = { { text, strlen(text) }, { source, len } };
    id_of_parts(parts, ARRAY_LEN(parts), &candidate->id);
    *ret = candidate;
    return 0;
}

int candidate_parse(const char *plan_json, size_t plan_len, const char *source, size_t source_len,
                    struct candidate **ret, struct err *err)
{
    json_t *plan = NULL;
    int r = plan_len > PLAN_TEXT_MAX
        ? err_set(err, ERR_TOOBIG, "plan.json: %zu bytes, %d at most", plan_len, PLAN_TEXT_MAX)
        : jread_parse(plan_json, plan_len, &plan, err);
    if (r < 0) {
        return r;
    }
    auto_free char *text = xcalloc(source_len + 1, 1);
    memcpy(text, source, source_len);
    r = candidate_new(plan, NULL, text, source_len, ret, err);
    json_decref(plan);
    return r;
}

/* "softmax/02_warp/" is called "02_warp". */
static char *last_part(const char *folder)
{
    size_t end = strlen(folder);
    while (end && folder[end - 1] == '/') {
        end--;
    }
    size_t start = end;
    while (start && folder[start - 1] != '/') {
        start--;
    }
    return xprintf("%.*s", (int)(end - start), folder + start);
}

int candidate_load(const char *folder, struct candidate **ret, struct err *err)
{
    auto_free char *plan_path = xprintf("%s/plan.json", folder);
    auto_free char *source_path = xprintf("%s/kernel.cu", folder);
    auto_free char *name = last_part(folder);
    auto_free char *source = NULL, *text = NULL;
    size_t len = 0, text_len = 0;
    json_t *plan = NULL;
    int r = file_read(plan_path, PLAN_TEXT_MAX, &text, &text_len, err);
    if (r < 0) {
        return r;
    }
    r = file_read(source_path, SOURCE_MAX, &source, &len, err);
    if (r < 0) {
        return r;
    }
    r = jread_parse(text, text_len, &plan, err);
    if (r == 0) {
        r = candidate_new(plan, name, source, len, ret, err);
        json_decref(plan);
    }
    if (r < 0) {
        err_wrap(err, "%s", plan_path);
    }
    return r;
}

static int check_choice(const struct plan *plan, const struct symbol *choice, struct err *err)
{
    const char *known[PLAN_PARAMS_MAX];
    for (size_t i = 0; i < plan->n_params; i++) {
        const struct param *param = &plan->params[i];
        known[i] = param->name;
        if (!str_eq(param->name, choice->name)) {
            continue;
        }
        bool allowed = choice->value == param->value;
        for (size_t k = 0; param->range && k < param->range->n_choices; k++) {
            allowed = allowed || param->range->choices[k] == choice->value;
        }
        return allowed ? 0
                       : err_set(err, ERR_INVALID, "%s=%lld is outside the plan's space%s",
                                 choice->name, (long long)choice->value,
                                 param->range ? "" : ": the parameter is fixed");
    }
    const char *near = suggest(choice->name, known, plan->n_params);
    return err_set(err, ERR_INVALID, "the plan has no parameter \"%.64s\"%s%s%s", choice->name,
                   near ? ", did you mean \"" : "", near ? near : "", near ? "\"?" : "");
}

int candidate_with_params(const struct candidate *candidate, const struct symbol *params, size_t n,
                          struct candidate **ret, struct err *err)
{
    for (size_t i = 0; i < n; i++) {
        int r = check_choice(candidate->plan, &params[i], err);
        if (r < 0) {
            return r;
        }
    }
    json_t *plan = json_deep_copy(candidate->plan->json);
    require(plan != NULL);
    json_t *values = json_object_get(plan, "params");
    for (size_t i = 0; i < n; i++) {
        require(json_object_set_new(values, params[i].name, json_integer(params[i].value)) == 0);
    }
    int r = candidate_new(plan, candidate->name, candidate->source, candidate->source_len, ret,
                          err);
    json_decref(plan);
    return r;
}

int candidate_save(const struct candidate *candidate, const char *folder, struct err *err)
{
    auto_free char *source_path = xprintf("%s/kernel.cu", folder);
    auto_free char *plan_path = xprintf("%s/plan.json", folder);
    auto_free char *plan = json_pretty(candidate->plan->json);
    int r = file_write(source_path, candidate->source, candidate->source_len, err);
    return r < 0 ? r : file_write(plan_path, plan, strlen(plan), err);
}

void candidate_free(struct candidate *candidate)
{
    if (candidate) {
        plan_done(candidate->plan);
        arena_free(candidate->arena);
    }
}
