/* SPDX-License-Identifier: MIT */
#include "kernelbench/space.h"
#include "base/util.h"
#include "tests/sample.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

struct fixture {
    struct task *task;
    struct candidate *candidate;
    struct arena *arena;
    struct space space;
};

/* The space of the sample plan, patched, at a shape of the sample task. */
static void open_space(struct fixture *f, const char *shape, const char *patch)
{
    struct device_facts facts = sample_facts();
    struct err err = { 0 };
    f->task = sample_task();
    f->candidate = sample_candidate_with(patch);
    f->arena = arena_new();
    if (space_init(&f->space, f->task, task_shape(f->task, shape), f->candidate->plan, &facts, &err)
        < 0) {
        fail_msg("%s", err_text(&err));
    }
}

static void close_space(struct fixture *f)
{
    arena_free(f->arena);
    candidate_free(f->candidate);
    task_free(f->task);
}

static void test_init(void **state)
{
    (void)state;
    struct fixture f;
    open_space(&f, "default", "{}");
    assert_int_equal(f.space.n, 3);
    assert_string_equal(f.space.names[0], "BLOCK");
    assert_string_equal(f.space.names[1], "STAGED");
    assert_string_equal(f.space.names[2], "VEC");
    assert_int_equal(f.space.own[0], 256);
    assert_int_equal(f.space.own[1], 1);
    assert_int_equal(f.space.own[2], 4);
    assert_int_equal(space_size(&f.space), 5 * 2 * 3);
    assert_int_equal(space_allows(&f.space, f.space.own, NULL), 1);
    close_space(&f);
}

static void test_unknown_symbol(void **state)
{
    (void)state;
    struct task *task = sample_task();
    struct candidate *candidate = sample_candidate_with("{\"constraints\": [\"1\", \"BLOC < 9\"]}");
    struct device_facts facts = sample_facts();
    struct space space;
    struct err err = { 0 };
    assert_int_equal(space_init(&space, task, &task->shapes[0], candidate->plan, &facts, &err),
                     ERR_INVALID);
    assert_string_equal(err_text(&err), "constraints[1]: in \"BLOC < 9\": unknown symbol \"BLOC\", "
                                        "did you mean \"BLOCK\"?");
    candidate_free(candidate);
    candidate = sample_candidate_with(
        "{\"when\": [{\"if\": \"0 && bloc\", \"params\": {\"VEC\": 1}}]}");
    assert_int_equal(space_init(&space, task, &task->shapes[0], candidate->plan, &facts, &err),
                     ERR_INVALID);
    assert_string_equal(err_text(&err), "when[0].if: in \"0 && bloc\": unknown symbol \"bloc\"");
    candidate_free(candidate);
    task_free(task);
}

/* Against a plain double loop over the two tunables that the constraint names. */
static void test_list(void **state)
{
    (void)state;
    struct fixture f;
    open_space(&f, "default", "{\"constraints\": [\"BLOCK*VEC <= 512\", \"VEC > 1 || STAGED\"]}");
    int64_t *configs = NULL;
    size_t n = 0, row = 0;
    assert_int_equal(space_list(&f.space, f.arena, &configs, &n, NULL), 0);
    static const int64_t vecs[] = { 1, 2, 4 };
    for (int64_t block = 64; block <= 1024; block *= 2) {
        for (int64_t staged = 0; staged <= 1; staged++) {
            for (size_t v = 0; v < ARRAY_LEN(vecs); v++) {
                if (block * vecs[v] > 512 || !(vecs[v] > 1 || staged)) {
                    continue;
                }
                assert_true(row < n);
                assert_int_equal(configs[3 * row], block);
                assert_int_equal(configs[3 * row + 1], staged);
                assert_int_equal(configs[3 * row + 2], vecs[v]);
                row++;
            }
        }
    }
    assert_int_equal(row, n);
    close_space(&f);
}

/* Where a `when` holds, constraints see the parameters that it sets. */
static void test_when(void **state)
{
    (void)state;
    struct fixture f;
    open_space(&f, "held_out[0]", "{\"constraints\": [\"cols % VEC == 0\"]}");
    const int64_t config[] = { 256, 0, 4 };
    assert_int_equal(space_allows(&f.space, config, NULL), 1);
    close_space(&f);
    open_space(&f, "held_out[0]", "{\"constraints\": [\"cols % VEC == 0\"], \"when\": null}");
    assert_int_equal(space_allows(&f.space, config, NULL), 0);
    close_space(&f);
}

static void test_nothing_left(void **state)
{
    (void)state;
    struct fixture f;
    struct err err = { 0 };
    int64_t *configs = NULL;
    size_t n;
    open_space(&f, "small", "{\"constraints\": [\"BLOCK > 4096\"]}");
    assert_int_equal(space_list(&f.space, f.arena, &configs, &n, &err), ERR_NOTFOUND);
    assert_string_equal(err_text(&err),
                        "the constraints leave none of the 30 configs at shape small");
    assert_null(configs);
    close_space(&f);
}

static void test_faulty_constraint(void **state)
{
    (void)state;
    struct fixture f;
    struct err err = { 0 };
    int64_t *configs = NULL;
    size_t n;
    open_space(&f, "default", "{\"constraints\": [\"1024 % (BLOCK - 512) == 0\"]}");
    assert_int_equal(space_list(&f.space, f.arena, &configs, &n, &err), ERR_INVALID);
    assert_non_null(strstr(err_text(&err), "at shape default: constraints[0]: "));
    assert_non_null(strstr(err_text(&err), "division by zero"));
    assert_int_equal(space_list(&f.space, f.arena, &configs, &n, NULL), ERR_INVALID);
    close_space(&f);
}

static void test_large(void **state)
{
    (void)state;
    struct fixture f;
    struct err err = { 0 };
    int64_t *configs = NULL;
    size_t n;
    open_space(&f, "small",
               "{\"params\": {\"A\": 1, \"B\": 1, \"C\": 1, \"D\": 1, \"E\": 1, \"F\": 1},"
               " \"space\": {\"A\": {\"int\": [1, 4096]}, \"B\": {\"int\": [1, 4096]},"
               " \"C\": {\"int\": [1, 4096]}, \"D\": {\"int\": [1, 4096]},"
               " \"E\": {\"int\": [1, 4096]}, \"F\": {\"int\": [1, 4096]}}}");
    assert_true(space_size(&f.space) == INT64_MAX);
    assert_int_equal(space_list(&f.space, f.arena, &configs, &n, &err), ERR_TOOBIG);
    close_space(&f);
}

/* Nothing to tune is one config of no values. */
static void test_empty(void **state)
{
    (void)state;
    struct fixture f;
    int64_t *configs = NULL;
    size_t n = 0;
    open_space(&f, "small", "{\"space\": null}");
    assert_int_equal(f.space.n, 0);
    assert_int_equal(space_size(&f.space), 1);
    assert_int_equal(space_list(&f.space, f.arena, &configs, &n, NULL), 0);
    assert_int_equal(n, 1);
    close_space(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_init),         cmocka_unit_test(test_unknown_symbol),
        cmocka_unit_test(test_list),         cmocka_unit_test(test_when),
        cmocka_unit_test(test_nothing_left), cmocka_unit_test(test_faulty_constraint),
        cmocka_unit_test(test_large),        cmocka_unit_test(test_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
