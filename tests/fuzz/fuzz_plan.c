/* SPDX-License-Identifier: MIT */
/*
 * A plan of any bytes, bound at every shape of a fixed task. What parses has an id that survives
 * its own canonical form; what binds keeps every limit that a launch has;
 * what is drawn from its space keeps the constraints.
 */
#include "agent/tune/tune_plan.h"
#include "base/util.h"
#include "kernelbench/space.h"

#include <stdlib.h>
#include <string.h>

/* "##" keeps the check of kernel names quiet, so that any name gets past it. */
static const char source[] = "extern \"C\" __global__ void k() {} /* ## */";
static const char task_text[]
    = "{\"format\":1,\"name\":\"t\",\"family\":\"f\",\"shapes\":{\"default\":{\"rows\":4096,"
      "\"cols\":8192},\"small\":{\"rows\":64,\"cols\":1000}},\"held_out\":[{\"rows\":777,"
      "\"cols\":1025}],"
      "\"inputs\":[{\"name\":\"x\",\"dtype\":\"f32\",\"shape\":[\"rows\",\"cols\"]}],"
      "\"weights\":[{\"name\":\"w\",\"dtype\":\"bf16\",\"shape\":[\"cols\"]}],"
      "\"scalars\":[{\"name\":\"scale\",\"dtype\":\"f32\",\"value\":1}],"
      "\"outputs\":[{\"name\":\"y\",\"dtype\":\"f32\",\"shape\":[\"rows\",\"cols\"]}],"
      "\"tolerance\":{\"atol\":0,\"rtol\":0}}";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_bound(const struct bound *bound, const struct device_facts *facts)
{
    for (size_t i = 0; i < bound->n_launches; i++) {
        const struct bound_launch *launch = &bound->launches[i];
        if (!launch->kernel) {
            require(launch->buffer >= 0 && (size_t)launch->buffer < bound->n_buffers);
            continue;
        }
        require(launch->block[0] * launch->block[1] * launch->block[2] <= 1024);
        require(launch->grid[0] >= 1 && launch->grid[1] >= 1 && launch->grid[2] >= 1);
        require(launch->shared >= 0 && launch->shared <= facts->max_shared);
        for (size_t k = 0; k < launch->n_args; k++) {
            const struct bound_arg *arg = &launch->args[k];
            require(arg->kind != BOUND_ARG_KIND_BUFFER || (size_t)arg->value < bound->n_buffers);
            require(arg->kind != BOUND_ARG_KIND_SCALAR || arg->value == 0);
        }
    }
    json_decref(bound_json(bound));
}

static void check_id(const struct candidate *candidate)
{
    auto_free char *text = plan_canonical(candidate->plan);
    struct candidate *again = NULL;
    require(candidate_parse(text, strlen(text), source, strlen(source), &again, NULL) == 0);
    require(id_eq(&candidate->id, &again->id));
    candidate_free(again);
}

static void check_space(const struct task *task, const struct candidate *candidate,
                        const struct device_facts *facts)
{
    struct space space;
    struct tune_space *made = NULL;
    struct err err = { 0 };
    if (space_init(&space, task, &task->shapes[0], candidate->plan, facts, NULL) < 0) {
        return;
    }
    if (tune_plan(&space, &made, &err) < 0) {
        require(!made && err.text[0]);
        return;
    }
    struct rng rng;
    uint16_t config[TUNE_PARAMS_MAX];
    rng_init(&rng, 1, 1, 1);
    for (int i = 0; i < 3 && tune_space_draw(made, &rng, config) == 0; i++) {
        int64_t values[PLAN_PARAMS_MAX];
        tune_plan_values(made, config, values);
        require(tune_space_allows(made, config) == 1 && space_allows(&space, values, NULL) != 0);
    }
    require(made->has_own == (tune_space_allows(made, made->own) == 1));
    tune_space_free(made);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct device_facts facts = { 132, 232448, (int64_t)1 << 32, "sm_90a" };
    struct candidate *candidate = NULL;
    struct task *task = NULL;
    struct err err = { 0 };
    auto_arena struct arena *arena = arena_new();
    if (candidate_parse((const char *)data, size, source, strlen(source), &candidate, &err) < 0) {
        require(!candidate && err.text[0]);
        return 0;
    }
    require(task_parse(task_text, strlen(task_text), NULL, &task, NULL) == 0);
    for (size_t i = 0; i < task->n_shapes; i++) {
        struct bound *bound = NULL;
        if (candidate_bind(task, &task->shapes[i], candidate->plan, &facts, arena, &bound, &err)
            == 0) {
            check_bound(bound, &facts);
        }
    }
    check_id(candidate);
    check_space(task, candidate, &facts);
    candidate_free(candidate);
    task_free(task);
    return 0;
}
