/* SPDX-License-Identifier: MIT */
/* Which shipped kernels are for which task: a family's name alone says too little. */
#include "agent/catalog.h"
#include "base/util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static bool fits(const char *task_name, const char *variant_name)
{
    static const struct device_facts facts = { .sm_count = 132, .max_shared = 227 << 10, .max_memory = 100ll << 30,
                                               .arch = "sm_90" };
    struct err err = { 0 };
    struct task *task = NULL;
    struct candidate *variant = NULL;
    int r = catalog_task(task_name, &task, &err);
    r = r < 0 ? r : catalog_candidate(variant_name, task->family, &variant, &err);
    if (r < 0) {
        fail_msg("%s", err_text(&err));
    }
    bool fit = catalog_fits(task, variant, &facts);
    candidate_free(variant);
    task_free(task);
    return fit;
}

static void test_fits(void **state)
{
    (void)state;
    assert_true(fits("softmax", "01_two_kernels"));
    assert_true(fits("column_sum", "01_one_thread"));
    assert_true(fits("gelu", "01_one_thread")); /* the family has another name */
    /* Of the same family, with outputs of another size: column_sum's kernels would write past them. */
    assert_false(fits(WS_SOURCE_DIR "/tests/exploits/tasks/row_argmax", "01_one_thread"));
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_fits) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
