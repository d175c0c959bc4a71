/* SPDX-License-Identifier: MIT */
/* Which files of a checkout are problems, and what the oracle's answers make of them. */
#include "kernelbench/problem.h"
#include "base/file.h"
#include "base/jread.h"
#include "base/util.h"
#include "tests/cases.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static const char zeros[] = "0000000000000000000000000000000000000000000000000000000000000000";

/* The problem that the cases' documents speak of. */
static struct problem sample(void)
{
    struct problem p = { .level = 2, .id = 7, .name = "7_Sample", .path = "/suite/level2/7_Sample.py",
                         .family = "matmul" };
    assert_true(id_parse(zeros, &p.hash));
    return p;
}

static int run_case(const json_t *the_case, const char *text, size_t len, struct err *err)
{
    (void)the_case;
    json_t *described = NULL;
    struct task *task = NULL;
    struct problem p = sample();
    int r = jread_parse(text, len, &described, err);
    r = r < 0 ? r : problem_task(&p, described, &task, err);
    json_decref(described);
    task_free(task);
    return r;
}

static void test_cases(void **state)
{
    (void)state;
    assert_true(cases_all("described", run_case) >= 10);
}

static void test_task(void **state)
{
    (void)state;
    auto_free char *text = cases_base("described");
    json_t *described = NULL;
    struct task *task = NULL;
    struct err err = { 0 };
    struct problem p = sample();
    assert_int_equal(jread_parse(text, strlen(text), &described, &err), 0);
    if (problem_task(&p, described, &task, &err) < 0) {
        fail_msg("%s", err_text(&err));
    }
    assert_string_equal(task->name, "l2-7_Sample");
    assert_string_equal(task->family, "matmul");
    assert_string_equal(task->oracle, p.path);
    assert_string_equal(task->oracle_hash, zeros);
    assert_true(task->specialise && task->relative && task->atol == 1e-4);
    assert_null(task->reference_plan);
    /* Names that a plan can't use are mended, and no two are the same. */
    assert_non_null(task_tensor(task, "linear_weight"));
    assert_non_null(task_tensor(task, "t_float"));
    assert_non_null(task_tensor(task, "N_2"));
    assert_non_null(symbols_find(&task->shapes[0].symbols, "N"));
    assert_null(symbols_find(&task->shapes[0].symbols, "class"));
    assert_int_equal(task_tensor(task, "target")->domain, DOMAIN_KIND_INDEX);
    assert_int_equal(task_tensor(task, "target")->dtype, DTYPE_I64);
    assert_int_equal(task->n_scalars, 3);
    assert_int_equal(task->scalars[0].dtype, DTYPE_F32);
    assert_int_equal(task->scalars[1].dtype, DTYPE_I64);
    assert_int_equal(task->scalars[2].dtype, DTYPE_BOOL);
    int64_t terms;
    assert_int_equal(task_accumulation(task, &task->shapes[0], &terms, &err), 0);
    assert_int_equal(terms, 128 + 64); /* inputs over outputs, and a row of the weights */
    task_free(task);
    json_decref(described);
}

static void check_list(const char *list, int n, bool want)
{
    bool found = !want;
    assert_int_equal(problem_listed(list, n, &found, NULL), 0);
    assert_int_equal(found, want);
}

static void test_lists(void **state)
{
    (void)state;
    check_list(NULL, 5, true);
    check_list("1-20,36", 20, true);
    check_list("1-20,36", 21, false);
    check_list("1-20,36", 36, true);
    check_list("7", 7, true);
    static const char *const bad[] = { "", "a", "1,", ",1", "3-1", "1-", "-3", "1 2", "1--3" };
    for (size_t i = 1; i < ARRAY_LEN(bad); i++) {
        bool found = true;
        struct err err = { 0 };
        assert_int_equal(problem_listed(bad[i], 1, &found, &err), ERR_INVALID);
        assert_non_null(strstr(err.text, "is no list of numbers"));
        assert_true(found);
    }
}

static void put(const char *folder, const char *name)
{
    auto_free char *path = xprintf("%s/%s", folder, name);
    assert_int_equal(file_write(path, name, strlen(name), NULL), 0);
}

static void test_find(void **state)
{
    (void)state;
    char root[] = "/tmp/ws_problem_XXXXXX";
    assert_non_null(mkdtemp(root));
    auto_free char *one = xprintf("%s/KernelBench/level1", root);
    auto_free char *two = xprintf("%s/KernelBench/level2", root);
    assert_int_equal(folder_make(one, NULL), 0);
    assert_int_equal(folder_make(two, NULL), 0);
    static const char *const files[] = { "10_Softmax.py", "2_Conv2D.py", "readme.md", "3.py", "x_4.py",
                                         "5_draft.py.bak" };
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        put(one, files[i]);
    }
    put(two, "1_Gemm.py");
    auto_arena struct arena *arena = arena_new();
    struct problem *list;
    struct err err = { 0 };
    size_t n = 0;
    assert_int_equal(problem_find(root, NULL, NULL, arena, &list, &n, &err), 0);
    assert_int_equal(n, 3);
    assert_string_equal(list[0].name, "2_Conv2D");
    assert_string_equal(list[0].family, "convolution");
    assert_string_equal(list[1].name, "10_Softmax");
    assert_int_equal(list[2].level, 2);
    assert_string_equal(list[2].family, "matmul");
    assert_false(id_eq(&list[0].hash, &list[1].hash));
    assert_int_equal(problem_find(root, "1", "5-20", arena, &list, &n, &err), 0);
    assert_int_equal(n, 1);
    assert_int_equal(problem_find(root, "1", "99", arena, &list, &n, &err), ERR_NOTFOUND);
    assert_int_equal(problem_find(root, "3", NULL, arena, &list, &n, &err), ERR_NOTFOUND);
    assert_int_equal(problem_find(root, "4", NULL, arena, &list, &n, &err), ERR_UNSUPPORTED);
    assert_non_null(strstr(err.text, "must be downloaded"));
    assert_int_equal(problem_find("/nonexistent", NULL, NULL, arena, &list, &n, &err), ERR_NOTFOUND);
    assert_int_equal(folder_remove(root, NULL), 0);
}

/* What can't be read is a problem that says so, and doesn't keep the others away; a pipe isn't waited for. */
static void test_unreadable(void **state)
{
    (void)state;
    char root[] = "/tmp/ws_problem_XXXXXX";
    assert_non_null(mkdtemp(root));
    auto_free char *level = xprintf("%s/level1", root), *folder = xprintf("%s/2_Folder.py", level);
    auto_free char *dangling = xprintf("%s/3_Dangling.py", level), *pipe = xprintf("%s/4_Pipe.py", level);
    assert_int_equal(folder_make(folder, NULL), 0);
    assert_int_equal(symlink("nowhere", dangling), 0);
    assert_int_equal(mkfifo(pipe, 0600), 0);
    put(level, "1_Softmax.py");
    auto_arena struct arena *arena = arena_new();
    struct problem *list;
    struct err err = { 0 };
    size_t n = 0;
    assert_int_equal(problem_find(root, NULL, NULL, arena, &list, &n, &err), 0);
    assert_int_equal(n, 4);
    assert_null(list[0].unreadable);
    assert_non_null(strstr(list[1].unreadable, "2_Folder.py: not a file"));
    assert_non_null(strstr(list[2].unreadable, "3_Dangling.py: No such file"));
    assert_non_null(strstr(list[3].unreadable, "4_Pipe.py: not a file"));
    assert_int_equal(folder_remove(root, NULL), 0);
}

/* Results are kept by number: of two with one, the second would take the first one's place. */
static void test_twice(void **state)
{
    (void)state;
    char root[] = "/tmp/ws_problem_XXXXXX";
    assert_non_null(mkdtemp(root));
    auto_free char *level = xprintf("%s/level1", root);
    assert_int_equal(folder_make(level, NULL), 0);
    put(level, "1_Softmax.py");
    put(level, "19_ReLU.py");
    put(level, "19_ReLU_old.py");
    auto_arena struct arena *arena = arena_new();
    struct problem *list;
    struct err err = { 0 };
    size_t n = 0;
    assert_int_equal(problem_find(root, NULL, NULL, arena, &list, &n, &err), ERR_INVALID);
    assert_non_null(strstr(err.text, "has the number 19, too"));
    assert_int_equal(problem_find(root, NULL, "1-18", arena, &list, &n, &err), 0);
    assert_int_equal(n, 1);
    assert_int_equal(folder_remove(root, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases), cmocka_unit_test(test_task), cmocka_unit_test(test_lists),
        cmocka_unit_test(test_find), cmocka_unit_test(test_unreadable), cmocka_unit_test(test_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
