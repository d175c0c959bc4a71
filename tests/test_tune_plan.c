/* SPDX-License-Identifier: MIT */
/* A plan's space as a tuner sees it, against asking the plan of every combination. */
#include "agent/tune/tune_plan.h"
#include "agent/tune/tune_config.h"
#include "base/buf.h"
#include "base/util.h"
#include "tests/sample.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

struct fixture {
    struct task *task;
    struct candidate *candidate;
    struct space space;
    struct tune_space *made;
    struct err err;
};

/* The sample plan, patched, at a shape of the sample task; returns tune_plan's code. */
static int open_plan(struct fixture *f, const char *shape, const char *patch)
{
    const struct device_facts facts = sample_facts();
    *f = (struct fixture) { .task = sample_task(), .candidate = sample_candidate_with(patch) };
    if (space_init(&f->space, f->task, task_shape(f->task, shape), f->candidate->plan, &facts,
                   &f->err) < 0) {
        fail_msg("%s", err_text(&f->err));
    }
    return tune_plan(&f->space, &f->made, &f->err);
}

static void close_plan(struct fixture *f)
{
    tune_space_free(f->made);
    candidate_free(f->candidate);
    task_free(f->task);
}

static void test_kinds(void **state)
{
    (void)state;
    struct fixture f;
    assert_int_equal(
        open_plan(&f, "default",
                  "{\"params\": {\"A\": 8, \"B\": 2, \"C\": 1, \"D\": 96, \"E\": 5, \"F\": 0, \"G\": 7, \"H\": 3},"
                  " \"space\": {\"A\": {\"enum\": [8, 2, 4]}, \"B\": {\"enum\": [2, 1, 0]},"
                  " \"C\": {\"enum\": [0, 1]}, \"D\": {\"enum\": [192, 96]}, \"E\": {\"int\": [2, 8, 3]},"
                  " \"F\": {\"permutation\": 4}, \"G\": {\"enum\": [7]}, \"H\": {\"enum\": [2, 3, 4, 5]}},"
                  " \"constraints\": null}"),
        0);
    static const struct {
        const char *name;
        enum tune_kind kind;
        uint32_t n, places;
    } expected[] = {
        { "A", TUNE_POW2, 3, 0 },          { "B", TUNE_CHOICE, 3, 0 },  { "BLOCK", TUNE_POW2, 5, 0 },
        { "C", TUNE_BOOL, 2, 0 },          { "D", TUNE_NUMBER, 2, 0 },  { "E", TUNE_NUMBER, 3, 0 },
        { "F", TUNE_PERMUTATION, 24, 4 },  { "H", TUNE_CHOICE, 4, 0 },  { "STAGED", TUNE_BOOL, 2, 0 },
        { "VEC", TUNE_POW2, 3, 0 },
    };
    assert_int_equal(f.made->n, ARRAY_LEN(expected));
    for (size_t i = 0; i < ARRAY_LEN(expected); i++) {
        const struct tune_param *param = &f.made->params[i];
        assert_string_equal(param->name, expected[i].name);
        assert_int_equal(param->kind, expected[i].kind);
        assert_int_equal(param->n, expected[i].n);
        assert_int_equal(param->places, expected[i].places);
        for (uint32_t k = 1; k < param->n; k++) {
            assert_true(param->values[k - 1] < param->values[k]);
        }
    }
    int64_t values[PLAN_PARAMS_MAX];
    assert_true(f.made->has_own);
    tune_plan_values(f.made, f.made->own, values);
    assert_memory_equal(values, f.space.own, f.space.n * sizeof(*values));
    close_plan(&f);
}

/* Patches whose space is small enough to ask space_allows of every combination. */
static const char *const patches[] = {
    "{}",
    "{\"constraints\": [\"BLOCK*VEC <= 512\", \"VEC > 1 || STAGED\"]}",
    "{\"constraints\": [\"BLOCK*VEC == 512\"]}",
    "{\"constraints\": [\"cols % VEC == 0\"]}",
    "{\"constraints\": [\"cols % VEC == 0\"], \"when\": null}",
    "{\"constraints\": [\"VEC == 2\"], \"when\": [{\"if\": \"BLOCK > 128\", \"params\": {\"VEC\": 2}}]}",
    "{\"constraints\": [\"STAGED\"], \"when\": [{\"if\": \"BLOCK > 128\", \"params\": {\"VEC\": 2}}]}",
    "{\"constraints\": [\"BLOCK > 64\", \"1024 / (BLOCK - 64) > 2\"]}",
    "{\"constraints\": [\"sm_count > 100\", \"4*BLOCK*VEC <= max_shared\"]}",
    ("{\"params\": {\"ORDER\": 0}, \"space\": {\"ORDER\": {\"permutation\": 3}},"
     " \"constraints\": [\"ORDER < 4 || STAGED\", \"ORDER * VEC < 9\"]}"),
};

/* Is each tunable that isn't searched at its own value? */
static bool is_own_elsewhere(const struct fixture *f, const int64_t *values)
{
    for (size_t i = 0; i < f->space.n; i++) {
        bool searched = false;
        for (size_t k = 0; k < f->made->n; k++) {
            searched = searched || str_eq(f->made->params[k].name, f->space.names[i]);
        }
        if (!searched && values[i] != f->space.own[i]) {
            return false;
        }
    }
    return true;
}

static void check_all(const struct fixture *f)
{
    auto_arena struct arena *arena = arena_new();
    int64_t *configs;
    size_t n, row = 0;
    assert_int_equal(space_list(&f->space, arena, &configs, &n, NULL), 0);
    for (size_t i = 0; i < n; i++) {
        if (!is_own_elsewhere(f, configs + i * f->space.n)) {
            continue;
        }
        assert_true(row < f->made->n_listed);
        const uint16_t *config = f->made->listed + row++ * f->made->n;
        int64_t values[PLAN_PARAMS_MAX];
        tune_plan_values(f->made, config, values);
        assert_memory_equal(values, configs + i * f->space.n, f->space.n * sizeof(*values));
        assert_int_equal(f->made->allows(f->made->ud, config), 1);
    }
    assert_int_equal(row, f->made->n_listed);
    assert_int_equal(f->made->has_own, space_allows(&f->space, f->space.own, NULL) == 1);
}

/* At this shape a `when` sets VEC (or VEC and BLOCK): searching them would measure one program often. */
static void test_set_by_when(void **state)
{
    (void)state;
    struct fixture f;
    assert_int_equal(open_plan(&f, "held_out[0]", "{}"), 0);
    assert_int_equal(f.made->n, 2);
    assert_string_equal(f.made->params[0].name, "BLOCK");
    assert_string_equal(f.made->params[1].name, "STAGED");
    assert_int_equal(f.made->n_listed, 10);
    close_plan(&f);
    /* Where that depends on what is tuned, it is searched. */
    assert_int_equal(open_plan(&f, "held_out[0]",
                               "{\"when\": [{\"if\": \"BLOCK > 64\", \"params\": {\"VEC\": 1}}]}"), 0);
    assert_int_equal(f.made->n, 3);
    close_plan(&f);
}

static void test_against_plan(void **state)
{
    (void)state;
    static const char *const shapes[] = { "default", "small", "held_out[0]" };
    for (size_t i = 0; i < ARRAY_LEN(patches); i++) {
        for (size_t s = 0; s < ARRAY_LEN(shapes); s++) {
            struct fixture f;
            int r = open_plan(&f, shapes[s], patches[i]);
            if (r == 0) {
                check_all(&f);
            } else {
                auto_arena struct arena *arena = arena_new();
                int64_t *configs;
                size_t n;
                assert_int_equal(r, ERR_NOTFOUND);
                assert_int_equal(space_list(&f.space, arena, &configs, &n, NULL), ERR_NOTFOUND);
            }
            close_plan(&f);
        }
    }
}

static void test_said(void **state)
{
    (void)state;
    static const struct {
        const char *patch;
        int code;
        const char *error;
    } cases[] = {
        { "{\"constraints\": [\"VEC > 0\", \"BLOCK > 4096\"]}", ERR_NOTFOUND,
          "constraints[1] (BLOCK > 4096) can't hold for any config at shape default" },
        { "{\"constraints\": [\"BLOCK > 512\", \"STAGED || VEC > 1\", \"BLOCK * VEC < 600\"]}", ERR_NOTFOUND,
          "constraints[0] (BLOCK > 512), constraints[2] (BLOCK * VEC < 600) can't hold together for any "
          "config at shape default" },
        { "{\"constraints\": [\"cols < 5\"]}", ERR_NOTFOUND,
          "constraints[0] (cols < 5) can't hold for any config at shape default" },
        { "{\"constraints\": [\"1024 % (BLOCK - 512) == 0\"]}", ERR_INVALID,
          "at shape default: constraints[0]: in \"1024 % (BLOCK - 512) == 0\": division by zero" },
        { "{\"constraints\": [\"VEC / (cols - cols) > 1\"]}", ERR_INVALID,
          "at shape default: constraints[0]: in \"VEC / (cols - cols) > 1\": division by zero" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct fixture f;
        assert_int_equal(open_plan(&f, "default", cases[i].patch), cases[i].code);
        assert_string_equal(err_text(&f.err), cases[i].error);
        assert_null(f.made);
        close_plan(&f);
    }
}

/* 4096^6 configs: counted, not listed, drawn from, also where only one in 2^54 is allowed. */
static void test_large(void **state)
{
    (void)state;
    static const char format[]
        = "{\"params\": {\"A\": 1, \"B\": 1, \"C\": 1, \"D\": 1, \"E\": 1, \"F\": 1},"
          " \"space\": {\"A\": {\"int\": [1, 4096]}, \"B\": {\"int\": [1, 4096]},"
          " \"C\": {\"int\": [1, 4096]}, \"D\": {\"int\": [1, 4096]}, \"E\": {\"int\": [1, 4096]},"
          " \"F\": {\"int\": [1, 4096]}}, \"constraints\": [%s]}";
    auto_free char *loose = xprintf(format, ""), *tight = xprintf(
        format, "\"A == 4096\", \"B == 17 || B == 4000\", \"C > 4090\", \"D + E < 4\"");
    const double sizes[] = { 4096. * 4096 * 4096 * 4096 * 4096 * 4096 * 30, 1. * 2 * 6 * 3 * 4096 * 30 };
    const char *const texts[] = { loose, tight };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct fixture f;
        struct rng rng;
        uint16_t config[PLAN_PARAMS_MAX];
        rng_init(&rng, 1, i, 0);
        assert_int_equal(open_plan(&f, "default", texts[i]), 0);
        assert_true(f.made->n_allowed == sizes[i] && f.made->count == TUNE_COUNT_EXACT);
        assert_int_equal(f.made->n_listed, 0);
        for (int k = 0; k < 100; k++) {
            assert_int_equal(tune_space_draw(f.made, &rng, config), 0);
            assert_int_equal(tune_space_allows(f.made, config), 1);
        }
        close_plan(&f);
    }
}

/* Twelve values of 64, each above the one before: one config in 10^9, in one group that can't be listed. */
static void test_chain(void **state)
{
    (void)state;
    auto_buf struct buf patch;
    buf_init(&patch, 1 << 16);
    buf_puts(&patch, "{\"params\": {");
    for (int i = 0; i < 12; i++) {
        buf_printf(&patch, "%s\"P%d\": %d", i ? ", " : "", i, 12 - i);
    }
    buf_puts(&patch, "}, \"space\": {");
    for (int i = 0; i < 12; i++) {
        buf_printf(&patch, "%s\"P%d\": {\"int\": [1, 64]}", i ? ", " : "", i);
    }
    buf_puts(&patch, "}, \"constraints\": [");
    for (int i = 0; i < 11; i++) {
        buf_printf(&patch, "%s\"P%d < P%d\"", i ? ", " : "", i, i + 1);
    }
    buf_puts(&patch, "]}");
    struct fixture f;
    struct rng rng;
    rng_init(&rng, 1, 2, 3);
    assert_int_equal(open_plan(&f, "default", patch.at), 0);
    assert_int_equal(f.made->count, TUNE_COUNT_ESTIMATE);
    assert_false(f.made->has_own);
    for (int k = 0; k < 20; k++) {
        uint16_t config[PLAN_PARAMS_MAX];
        assert_int_equal(tune_space_draw(f.made, &rng, config), 0);
        assert_int_equal(tune_space_allows(f.made, config), 1);
    }
    close_plan(&f);
}

static void test_nothing_to_tune(void **state)
{
    (void)state;
    struct fixture f;
    uint16_t config[1];
    struct rng rng = { { 1, 2, 3, 4 } };
    assert_int_equal(open_plan(&f, "default", "{\"space\": null}"), 0);
    assert_int_equal(f.made->n, 0);
    assert_int_equal(f.made->n_listed, 1);
    assert_true(f.made->has_own);
    assert_int_equal(tune_space_draw(f.made, &rng, config), 0);
    assert_int_equal(tune_space_find(f.made, config), 0);
    close_plan(&f);
}

/* The same space has the same id; values, constraints, shape and fixed parameters are in it. */
static void test_id(void **state)
{
    (void)state;
    static const struct {
        const char *shape, *patch;
        bool same;
    } cases[] = {
        { "default", "{}", true },
        { "default", "{\"params\": {\"BLOCK\": 128}}", true },
        { "default", "{\"tags\": null, \"compile\": null}", true },
        { "small", "{}", false },
        { "default", "{\"params\": {\"SPLIT\": 4}}", false },
        { "default", "{\"space\": {\"BLOCK\": {\"pow2\": [128, 1024]}}}", false },
        { "default", "{\"constraints\": [\"BLOCK*VEC <= cols+1\"]}", false },
    };
    struct id first;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct fixture f;
        assert_int_equal(open_plan(&f, cases[i].shape, cases[i].patch), 0);
        first = i == 0 ? f.made->id : first;
        assert_int_equal(id_eq(&first, &f.made->id), cases[i].same);
        close_plan(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds), cmocka_unit_test(test_against_plan),
        cmocka_unit_test(test_said),  cmocka_unit_test(test_large),
        cmocka_unit_test(test_chain), cmocka_unit_test(test_set_by_when),
        cmocka_unit_test(test_nothing_to_tune), cmocka_unit_test(test_id),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
