/* SPDX-License-Identifier: MIT */
/* The oracle's answers, which a problem's own code has a hand in: no text makes more of them than a
 * task that holds together. */
#include "base/jread.h"
#include "base/util.h"
#include "kernelbench/problem.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct problem problem = { .level = 1, .id = 1, .name = "1_Sample",
                                            .path = "/suite/level1/1_Sample.py", .family = "other" };
    json_t *described = NULL;
    struct task *task = NULL;
    struct err err = { 0 };
    if (jread_parse((const char *)data, size, &described, &err) < 0) {
        return 0;
    }
    if (problem_task(&problem, described, &task, &err) < 0) {
        require(!task && err.text[0]);
    } else {
        int64_t count = 0, terms = 0;
        require(task->oracle && task->n_shapes == 1 && task->n_tensors <= TASK_TENSORS_MAX);
        for (size_t i = 0; i < task->n_tensors; i++) {
            require(tensor_count(&task->tensors[i], &task->shapes[0].symbols, &count, NULL) == 0);
        }
        require(task_accumulation(task, &task->shapes[0], &terms, NULL) == 0 && terms >= 1);
    }
    task_free(task);
    json_decref(described);
    return 0;
}
