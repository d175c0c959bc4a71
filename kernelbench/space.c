/* SPDX-License-Identifier: MIT */
#include "kernelbench/space.h"
#include "base/util.h"

/* Names of the device's facts in the order of their values below. */
static struct symbols device_scope(const struct space *space, struct symbol facts[2])
{
    facts[0] = (struct symbol) { "sm_count", space->facts.sm_count };
    facts[1] = (struct symbol) { "max_shared", space->facts.max_shared };
    return (struct symbols) { facts, 2, &space->shape->symbols };
}

int space_init(struct space *space, const struct task *task, const struct shape *shape,
               const struct plan *plan, const struct device_facts *facts, struct err *err)
{
    struct space s = { .plan = plan, .task = task, .shape = shape, .facts = *facts };
    struct symbol values[PLAN_PARAMS_MAX], device[2];
    struct symbols outer = device_scope(&s, device);
    struct symbols scope = { values, plan->n_params, &outer };
    for (size_t i = 0; i < plan->n_params; i++) {
        const struct param *param = &plan->params[i];
        values[i] = (struct symbol) { param->name, param->value };
        if (param->range) {
            s.names[s.n] = param->name;
            s.ranges[s.n] = param->range;
            s.own[s.n++] = param->value;
        }
    }
    for (size_t i = 0; i < plan->n_constraints; i++) {
        int r = expr_check(plan->constraints[i], &scope, err);
        if (r < 0) {
            err_wrap(err, "constraints[%zu]", i);
            return r;
        }
    }
    for (size_t i = 0; i < plan->n_whens; i++) {
        int r = expr_check(plan->whens[i].condition, &scope, err);
        if (r < 0) {
            err_wrap(err, "when[%zu].if", i);
            return r;
        }
    }
    *space = s;
    return 0;
}

int64_t space_size(const struct space *space)
{
    int64_t size = 1;
    for (size_t i = 0; i < space->n; i++) {
        if (__builtin_mul_overflow(size, (int64_t)space->ranges[i]->n_choices, &size)) {
            return INT64_MAX;
        }
    }
    return size;
}

/* The constraints see the parameters that would run here, so after the first `when` that holds. */
int space_allows(const struct space *space, const int64_t *config, struct err *err)
{
    const struct plan *plan = space->plan;
    struct symbol values[PLAN_PARAMS_MAX], device[2];
    struct symbols outer = device_scope(space, device);
    struct symbols scope = { values, plan->n_params, &outer };
    size_t tunable = 0;
    for (size_t i = 0; i < plan->n_params; i++) {
        const struct param *param = &plan->params[i];
        values[i] = (struct symbol) { param->name,
                                      param->range ? config[tunable++] : param->value };
    }
    int r = plan_settle(plan, &outer, values, err);
    for (size_t i = 0; r == 0 && i < plan->n_constraints; i++) {
        int64_t holds;
        r = expr_eval(plan->constraints[i], &scope, &holds, err);
        if (r < 0) {
            err_wrap(err, "constraints[%zu]", i);
        } else if (!holds) {
            return 0;
        }
    }
    if (r < 0) {
        err_wrap(err, "at shape %s", space->shape->name);
        return r;
    }
    return 1;
}

/* The config of this number; the last tunable runs fastest. */
static void nth(const struct space *space, int64_t number, int64_t *ret_config)
{
    for (size_t i = space->n; i-- > 0;) {
        int64_t n = (int64_t)space->ranges[i]->n_choices;
        ret_config[i] = space->ranges[i]->choices[number % n];
        number /= n;
    }
}

int space_list(const struct space *space, struct arena *arena, int64_t **ret_configs,
               size_t *ret_n, struct err *err)
{
    int64_t size = space_size(space);
    if (size > SPACE_LIST_MAX) {
        return err_set(err, ERR_TOOBIG, "a space of %lld configs, %d at most can be listed",
                       (long long)size, SPACE_LIST_MAX);
    }
    auto_free unsigned char *allowed = xcalloc((size_t)size, 1);
    int64_t config[PLAN_PARAMS_MAX];
    size_t n = 0;
    for (int64_t i = 0; i < size; i++) {
        nth(space, i, config);
        int r = space_allows(space, config, err);
        if (r < 0) {
            return r;
        }
        allowed[i] = r > 0;
        n += r > 0;
    }
    if (n == 0) {
        return err_set(err, ERR_NOTFOUND, "the constraints leave none of the %lld configs at shape "
                                          "%s", (long long)size, space->shape->name);
    }
    int64_t *configs = arena_alloc(arena, n * MAX(space->n, (size_t)1), sizeof(*configs));
    size_t row = 0;
    for (int64_t i = 0; i < size; i++) {
        if (allowed[i]) {
            nth(space, i, configs + row++ * space->n);
        }
    }
    *ret_configs = configs;
    *ret_n = n;
    return 0;
}
