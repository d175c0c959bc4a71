/* SPDX-License-Identifier: MIT */
#include "agent/tune/tune_plan.h"
#include "agent/tune/tune_solve.h"
#include "base/buf.h"
#include "base/util.h"

#include <stdlib.h>
#include <string.h>

struct tune_plan {
    struct space space;
    struct tune_space *made;
    struct symbol device[2];
    struct symbols outer;
    uint32_t sizes[TUNE_PARAMS_MAX];
    size_t tunable[TUNE_PARAMS_MAX];    /* a parameter's place in struct space */
    int64_t *choices[TUNE_PARAMS_MAX];  /* a parameter's values, by rank */
    size_t param_of[PLAN_PARAMS_MAX];   /* a tunable's parameter; SIZE_MAX: it keeps its own value */
    /* Rules are the plan's constraints, before them one that says that its `when`s can be evaluated. */
    uint64_t deps[TUNE_RULES_MAX];
    bool settles[TUNE_RULES_MAX]; /* a `when` may change what the rule sees */
    size_t first_constraint;
    struct tune_rules rules;
    struct tune_solution *solution;
};

/* --- Values --- */

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static bool all_powers(const int64_t *values, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (values[i] < 1 || (values[i] & (values[i] - 1))) {
            return false;
        }
    }
    return true;
}

/* Values ascend. */
static enum tune_kind enum_kind(const int64_t *values, size_t n)
{
    bool zero = false;
    for (size_t i = 0; i < n; i++) {
        zero = zero || values[i] == 0;
    }
    if (n == 2 && values[0] == 0 && values[1] == 1) {
        return TUNE_BOOL;
    }
    bool codes = zero || values[n - 1] - values[0] == (int64_t)n - 1;
    return all_powers(values, n) ? TUNE_POW2 : codes ? TUNE_CHOICE : TUNE_NUMBER;
}

static uint32_t places_of(size_t n)
{
    uint32_t places = 1;
    for (size_t product = 1; product < n; product *= ++places) {
    }
    return places;
}

static void make_param(struct arena *arena, const char *name, const struct range *range,
                       struct tune_param *param, int64_t **ret_choices)
{
    static const enum tune_kind kinds[] = {
        [RANGE_KIND_POW2] = TUNE_POW2, [RANGE_KIND_INT] = TUNE_NUMBER, [RANGE_KIND_ENUM] = TUNE_CHOICE,
        [RANGE_KIND_BOOL] = TUNE_BOOL, [RANGE_KIND_PERMUTATION] = TUNE_PERMUTATION,
    };
    size_t n = range->n_choices;
    int64_t *choices = arena_alloc(arena, n, sizeof(*choices));
    double *values = arena_alloc(arena, n, sizeof(*values));
    const char **texts = arena_alloc(arena, n, sizeof(*texts));
    memcpy(choices, range->choices, n * sizeof(*choices));
    qsort(choices, n, sizeof(*choices), by_value);
    for (size_t i = 0; i < n; i++) {
        values[i] = (double)choices[i];
        texts[i] = arena_printf(arena, "%lld", (long long)choices[i]);
    }
    enum tune_kind kind = kinds[range->kind];
    *ret_choices = choices;
    *param = (struct tune_param) {
        .name = arena_strdup(arena, name), .n = (uint32_t)n, .values = values, .texts = texts,
        .kind = kind == TUNE_CHOICE ? enum_kind(choices, n) : kind,
        .places = kind == TUNE_PERMUTATION ? places_of(n) : 0,
    };
}

/*
 * The `when` that holds here whatever is tuned; NULL: none, or it depends. What it sets isn't tuned:
 * all values of that would be the same program.
 */
static const struct plan_when *always(const struct tune_plan *plan)
{
    const struct plan *p = plan->space.plan;
    struct symbol values[PLAN_PARAMS_MAX];
    const struct symbols scope = { values, p->n_params, &plan->outer };
    for (size_t i = 0; i < p->n_params; i++) {
        values[i] = (struct symbol) { p->params[i].name, p->params[i].value };
    }
    for (size_t i = 0; i < p->n_whens; i++) {
        int64_t holds;
        for (size_t k = 0; k < p->n_params; k++) {
            if (p->params[k].range && expr_mentions(p->whens[i].condition, p->params[k].name)) {
                return NULL;
            }
        }
        if (expr_eval(p->whens[i].condition, &scope, &holds, NULL) < 0) {
            return NULL; /* a rule will say so */
        }
        if (holds) {
            return &p->whens[i];
        }
    }
    return NULL;
}

static bool sets(const struct plan_when *when, const char *name)
{
    const struct symbols changed = { when ? when->params : NULL, when ? when->n : 0, NULL };
    return symbols_find(&changed, name) != NULL;
}

static void make_params(struct tune_plan *plan)
{
    struct tune_space *made = plan->made;
    const struct plan_when *when = always(plan);
    made->params = arena_alloc(made->arena, PLAN_PARAMS_MAX, sizeof(*made->params));
    for (size_t i = 0; i < plan->space.n; i++) {
        const struct range *range = plan->space.ranges[i];
        plan->param_of[i] = SIZE_MAX;
        if (range->n_choices > 1 && !sets(when, plan->space.names[i])) {
            size_t at = made->n++;
            make_param(made->arena, plan->space.names[i], range, &made->params[at],
                       &plan->choices[at]);
            plan->param_of[i] = at;
            plan->tunable[at] = i;
            plan->sizes[at] = made->params[at].n;
        }
    }
}

void tune_plan_values(const struct tune_space *space, const uint16_t *config, int64_t *ret)
{
    const struct tune_plan *plan = space->ud;
    for (size_t i = 0; i < plan->space.n; i++) {
        size_t at = plan->param_of[i];
        ret[i] = at == SIZE_MAX ? plan->space.own[i] : plan->choices[at][config[at]];
    }
}

/* The ranks of the plan's own values. */
static void own_ranks(const struct tune_plan *plan, uint16_t *ret)
{
    for (size_t i = 0; i < plan->made->n; i++) {
        for (uint32_t k = 0; k < plan->sizes[i]; k++) {
            if (plan->choices[i][k] == plan->space.own[plan->tunable[i]]) {
                ret[i] = (uint16_t)k;
            }
        }
    }
}

/* --- Rules --- */

static uint64_t mentions(const struct tune_plan *plan, const struct expr *expr)
{
    uint64_t deps = 0;
    for (size_t i = 0; i < plan->made->n; i++) {
        deps |= (uint64_t)expr_mentions(expr, plan->made->params[i].name) << i;
    }
    return deps;
}

/* May a `when` change a name that this expression mentions? */
static bool changed_by_when(const struct plan *plan, const struct expr *expr)
{
    for (size_t i = 0; i < plan->n_whens; i++) {
        for (size_t k = 0; k < plan->whens[i].n; k++) {
            if (expr_mentions(expr, plan->whens[i].params[k].name)) {
                return true;
            }
        }
    }
    return false;
}

/*
 * Symbols of the plan's parameters under a config: those that the rule depends on and those that
 * aren't tuned; all of them where a `when` must be asked. Returns how many.
 */
static size_t bind(const struct tune_plan *plan, uint64_t deps, bool all, const uint16_t *config,
                   struct symbol *ret)
{
    const struct plan *p = plan->space.plan;
    size_t tunable = 0, n = 0;
    for (size_t i = 0; i < p->n_params; i++) {
        const struct param *param = &p->params[i];
        size_t at = param->range ? plan->param_of[tunable++] : SIZE_MAX;
        if (at == SIZE_MAX) {
            ret[n++] = (struct symbol) { param->name, param->value };
        } else if (all || deps >> at & 1) {
            ret[n++] = (struct symbol) { param->name, plan->choices[at][all && !(deps >> at & 1)
                                                                        ? 0 : config[at]] };
        }
    }
    return n;
}

static int holds(const void *ud, size_t rule, const uint16_t *config, struct err *err)
{
    const struct tune_plan *plan = ud;
    const struct plan *p = plan->space.plan;
    struct symbol values[PLAN_PARAMS_MAX];
    bool settle = plan->settles[rule];
    const struct expr *expr = rule < plan->first_constraint
                                  ? NULL
                                  : p->constraints[rule - plan->first_constraint];
    struct symbols scope = { values, bind(plan, plan->deps[rule], settle, config, values),
                             &plan->outer };
    int r = settle ? plan_settle(p, &plan->outer, values, err) : 0;
    int64_t value = 1;
    if (r == 0 && expr) {
        r = expr_eval(expr, &scope, &value, err);
        if (r < 0) {
            err_wrap(err, "constraints[%zu]", rule - plan->first_constraint);
        }
    }
    if (r < 0) {
        err_wrap(err, "at shape %s", plan->space.shape->name);
        return r;
    }
    return value != 0;
}

/* What the constraint can be while its parameters are anywhere within bounds. */
static bool can_hold(const void *ud, size_t rule, const uint16_t *lo, const uint16_t *hi)
{
    const struct tune_plan *plan = ud;
    if (plan->settles[rule]) {
        return true;
    }
    struct expr_range ranges[PLAN_PARAMS_MAX];
    struct expr_interval within;
    struct symbol values[PLAN_PARAMS_MAX];
    struct symbols scope = { values, bind(plan, 0, false, lo, values), &plan->outer };
    size_t n = 0;
    for (uint64_t m = plan->deps[rule]; m; m &= m - 1) {
        size_t i = (size_t)__builtin_ctzll(m);
        ranges[n++] = (struct expr_range) { plan->made->params[i].name,
                                            { plan->choices[i][lo[i]], plan->choices[i][hi[i]] } };
    }
    const struct expr *expr = plan->space.plan->constraints[rule - plan->first_constraint];
    return !expr_bounds(expr, ranges, n, &scope, &within) || within.lo != 0 || within.hi != 0;
}

static void make_rules(struct tune_plan *plan)
{
    const struct plan *p = plan->space.plan;
    uint64_t whens = 0;
    size_t n = 0;
    for (size_t i = 0; i < p->n_whens; i++) {
        whens |= mentions(plan, p->whens[i].condition);
    }
    if (p->n_whens > 0) {
        plan->settles[n] = true;
        plan->deps[n++] = whens;
    }
    plan->first_constraint = n;
    for (size_t i = 0; i < p->n_constraints; i++) {
        const struct expr *expr = p->constraints[i];
        plan->settles[n] = changed_by_when(p, expr);
        plan->deps[n++] = mentions(plan, expr) | (changed_by_when(p, expr) ? whens : 0);
    }
    plan->rules = (struct tune_rules) { .n = plan->made->n, .sizes = plan->sizes, .n_rules = n,
                                        .deps = plan->deps, .holds = holds,
                                        .can_hold = can_hold, .ud = plan };
}

/* Which constraints leave nothing. */
static int say_empty(const struct tune_plan *plan, uint64_t conflict, struct err *err)
{
    auto_buf struct buf list;
    buf_init(&list, sizeof(err->text) / 2);
    int n = __builtin_popcountll(conflict);
    for (uint64_t m = conflict; m; m &= m - 1) {
        size_t rule = (size_t)__builtin_ctzll(m);
        size_t i = rule - plan->first_constraint;
        if (rule >= plan->first_constraint) {
            buf_printf(&list, "%sconstraints[%zu] (%s)", list.len ? ", " : "", i,
                       expr_text(plan->space.plan->constraints[i]));
        }
    }
    const char *shape = plan->space.shape->name;
    if (n == 0) {
        return err_set(err, ERR_NOTFOUND, "no config was found that keeps the constraints at shape %s",
                       shape);
    }
    return err_set(err, ERR_NOTFOUND, "%s can't hold%s for any config at shape %s",
                   list.len ? list.at : "the constraints", n > 1 ? " together" : "", shape);
}

/* --- The space --- */

/* As tune_solve has it: a constraint that can't be evaluated doesn't matter where another forbids. */
static int allows(const void *ud, const uint16_t *config)
{
    const struct tune_plan *plan = ud;
    int ret = 1;
    for (size_t k = 0; k < plan->rules.n_rules; k++) {
        int r = holds(plan, k, config, NULL);
        if (r == 0) {
            return 0;
        }
        ret = ret < 0 ? ret : r;
    }
    return ret;
}

static int draw(const void *ud, struct rng *rng, uint16_t *ret_config)
{
    const struct tune_plan *plan = ud;
    return tune_solve_draw(plan->solution, rng, ret_config);
}

static void set_id(const struct tune_plan *plan, struct id *ret)
{
    auto_buf struct buf text;
    buf_init(&text, SIZE_MAX);
    for (size_t i = 0; i < plan->made->n; i++) {
        const struct tune_param *param = &plan->made->params[i];
        buf_printf(&text, "%s %d", param->name, (int)param->kind);
        for (uint32_t k = 0; k < param->n; k++) {
            buf_printf(&text, " %s", param->texts[k]);
        }
        buf_puts(&text, "\n");
    }
    const struct plan *p = plan->space.plan;
    for (size_t i = 0; i < p->n_constraints; i++) {
        buf_printf(&text, "where %s\n", expr_text(p->constraints[i]));
    }
    const struct symbols *scopes[] = { &plan->outer, plan->outer.outer };
    for (size_t s = 0; s < ARRAY_LEN(scopes); s++) {
        for (size_t i = 0; i < scopes[s]->n; i++) {
            buf_printf(&text, "%s=%lld\n", scopes[s]->at[i].name, (long long)scopes[s]->at[i].value);
        }
    }
    for (size_t i = 0; i < p->n_params; i++) {
        if (!p->params[i].range) {
            buf_printf(&text, "%s=%lld\n", p->params[i].name, (long long)p->params[i].value);
        }
    }
    id_of_bytes(text.at, text.len, ret);
}

static int solve(struct tune_plan *plan, struct err *err)
{
    struct tune_space *made = plan->made;
    uint64_t conflict;
    int r = tune_solve(&plan->rules, made->arena, &plan->solution, &conflict, err);
    if (r == ERR_NOTFOUND) {
        return say_empty(plan, conflict, err);
    }
    if (r < 0) {
        return r;
    }
    made->n_allowed = tune_solve_count(plan->solution, &made->count);
    made->listed = tune_solve_list(plan->solution, made->arena, TUNE_LIST_MAX, &made->n_listed);
    r = tune_space_seal(made, err);
    made->own = arena_alloc(made->arena, PLAN_PARAMS_MAX, sizeof(*made->own));
    own_ranks(plan, made->own);
    made->has_own = tune_space_allows(made, made->own) == 1;
    set_id(plan, &made->id);
    return r;
}

int tune_plan(const struct space *space, struct tune_space **ret, struct err *err)
{
    struct arena *arena = arena_new();
    struct tune_plan *plan = arena_alloc(arena, 1, sizeof(*plan));
    plan->space = *space;
    plan->device[0] = (struct symbol) { "sm_count", space->facts.sm_count };
    plan->device[1] = (struct symbol) { "max_shared", space->facts.max_shared };
    plan->outer = (struct symbols) { plan->device, ARRAY_LEN(plan->device), &space->shape->symbols };
    plan->made = arena_alloc(arena, 1, sizeof(*plan->made));
    *plan->made = (struct tune_space) { .arena = arena, .allows = allows, .draw = draw, .ud = plan };
    make_params(plan);
    make_rules(plan);
    int r = solve(plan, err);
    if (r < 0) {
        arena_free(arena);
        return r;
    }
    *ret = plan->made;
    return 0;
}
