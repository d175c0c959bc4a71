/* SPDX-License-Identifier: MIT */
/* A task of any bytes. What parses has sizes at every shape and a reference that can be bound. */
#include "base/util.h"
#include "kernelbench/candidate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct device_facts facts = { 132, 232448, INT64_MAX, "sm_90a" };
    struct task *task = NULL;
    struct err err = { 0 };
    if (task_parse((const char *)data, size, "extern \"C\" __global__ void k() {} /* ## */", &task,
                   &err)
        < 0) {
        require(!task && err.text[0]);
        return 0;
    }
    auto_arena struct arena *arena = arena_new();
    for (size_t i = 0; i < task->n_shapes; i++) {
        for (size_t k = 0; k < task->n_tensors; k++) {
            int64_t count = 0;
            require(tensor_count(&task->tensors[k], &task->shapes[i].symbols, &count, NULL) == 0);
            require(count >= 1);
        }
        struct bound *bound = NULL;
        if (task->reference_plan
            && candidate_bind(task, &task->shapes[i], task->reference_plan, &facts, arena, &bound,
                              &err) == 0) {
            require(bound->n_tensors == task->n_tensors);
        }
    }
    task_free(task);
    return 0;
}
