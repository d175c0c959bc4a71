/* SPDX-License-Identifier: MIT */
/* Rules over small spaces against counting them all, and over large ones against arithmetic. */
#include "agent/tune/tune_solve.h"
#include "base/util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { RULES_MAX = 8 };

/* A rule asks for sum(config[i] for i in deps) % modulus == rest; modulus 0: it can't be evaluated. */
struct random_rules {
    struct tune_rules rules;
    uint32_t sizes[TUNE_PARAMS_MAX];
    uint64_t deps[RULES_MAX];
    unsigned modulus[RULES_MAX], rest[RULES_MAX];
};

static int holds_modulo(const void *ud, size_t rule, const uint16_t *config, struct err *err)
{
    const struct random_rules *r = ud;
    unsigned sum = 0;
    for (uint64_t m = r->deps[rule]; m; m &= m - 1) {
        sum += config[__builtin_ctzll(m)];
    }
    if (r->modulus[rule] == 0) {
        return sum == r->rest[rule] ? err_set(err, ERR_INVALID, "rule %zu breaks", rule) : 1;
    }
    return sum % r->modulus[rule] == r->rest[rule];
}

static void make_rules(struct random_rules *r, struct rng *rng, bool may_break)
{
    memset(r, 0, sizeof(*r));
    r->rules = (struct tune_rules) { .n = rng_below(rng, 6), .sizes = r->sizes, .deps = r->deps,
                                     .n_rules = rng_below(rng, 5), .holds = holds_modulo, .ud = r };
    for (size_t i = 0; i < r->rules.n; i++) {
        r->sizes[i] = 2 + (uint32_t)rng_below(rng, 5);
    }
    for (size_t k = 0; k < r->rules.n_rules; k++) {
        uint64_t all = ((uint64_t)1 << r->rules.n) - 1;
        r->deps[k] = rng_u64(rng) & rng_u64(rng) & all;
        bool breaks = may_break && rng_below(rng, 6) == 0;
        r->modulus[k] = breaks ? 0 : 2 + (unsigned)rng_below(rng, 2);
        r->rest[k] = (unsigned)rng_below(rng, 2);
    }
}

/* All combinations one by one, the last parameter fastest; SIZE_MAX: a rule broke. */
static size_t count_all(const struct random_rules *r, uint16_t *ret_rows)
{
    size_t size = 1, n = 0;
    for (size_t i = 0; i < r->rules.n; i++) {
        size *= r->sizes[i];
    }
    for (size_t number = 0; number < size; number++) {
        uint16_t config[TUNE_PARAMS_MAX] = { 0 };
        size_t rest = number;
        for (size_t i = r->rules.n; i-- > 0;) {
            config[i] = (uint16_t)(rest % r->sizes[i]);
            rest /= r->sizes[i];
        }
        bool kept = true, broke = false;
        for (size_t k = 0; k < r->rules.n_rules; k++) {
            int holds = holds_modulo(r, k, config, NULL);
            kept = kept && holds != 0;
            broke = broke || holds < 0;
        }
        if (kept && broke) {
            return SIZE_MAX;
        }
        if (kept) {
            memcpy(ret_rows + n++ * r->rules.n, config, r->rules.n * sizeof(*config));
        }
    }
    return n;
}

static void check_against_all(const struct random_rules *r, uint16_t *rows)
{
    auto_arena struct arena *arena = arena_new();
    size_t n = count_all(r, rows), listed = 0;
    struct tune_solution *solution = NULL;
    uint64_t conflict = 0;
    enum tune_count kind;
    int code = tune_solve(&r->rules, arena, &solution, &conflict, NULL);
    if (n == SIZE_MAX || (n == 0 && code == ERR_INVALID)) {
        assert_int_equal(code, ERR_INVALID); /* also in one group, where nothing is left in another */
        return;
    }
    if (n == 0) {
        assert_int_equal(code, ERR_NOTFOUND);
        assert_true(conflict != 0);
        return;
    }
    assert_int_equal(code, 0);
    assert_true(tune_solve_count(solution, &kind) == (double)n && kind == TUNE_COUNT_EXACT);
    uint16_t *list = tune_solve_list(solution, arena, n, &listed);
    assert_int_equal(listed, n);
    assert_memory_equal(list, rows, n * r->rules.n * sizeof(*rows));
    assert_null(tune_solve_list(solution, arena, n - 1, &listed));
    struct rng rng;
    rng_init(&rng, 1, 2, 3);
    for (int i = 0; i < 20; i++) {
        uint16_t config[TUNE_PARAMS_MAX];
        assert_int_equal(tune_solve_draw(solution, &rng, config), 0);
        for (size_t k = 0; k < r->rules.n_rules; k++) {
            assert_int_equal(holds_modulo(r, k, config, NULL), 1);
        }
    }
}

static void test_random(void **state)
{
    (void)state;
    struct rng rng;
    auto_free uint16_t *rows = xcalloc(6 * 6 * 6 * 6 * 6 * 6, sizeof(*rows));
    rng_init(&rng, 7, 0, 0);
    for (int i = 0; i < 3000; i++) {
        struct random_rules r;
        make_rules(&r, &rng, i % 3 == 0);
        check_against_all(&r, rows);
    }
}

/* 40 parameters of 10 values in four chains: too many to list, counted and drawn exactly. */
static int holds_order(const void *ud, size_t rule, const uint16_t *config, struct err *err)
{
    (void)ud;
    (void)err;
    size_t i = rule / 2 * 10 + rule % 2;
    return config[i] < config[i + 1];
}

static void test_groups(void **state)
{
    (void)state;
    auto_arena struct arena *arena = arena_new();
    uint32_t sizes[40];
    uint64_t deps[8], conflict;
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        sizes[i] = 10;
    }
    for (size_t k = 0; k < ARRAY_LEN(deps); k++) {
        deps[k] = (uint64_t)3 << (k / 2 * 10 + k % 2);
    }
    const struct tune_rules rules = { .n = 40, .sizes = sizes, .n_rules = 8, .deps = deps,
                                      .holds = holds_order };
    struct tune_solution *solution;
    enum tune_count kind;
    assert_int_equal(tune_solve(&rules, arena, &solution, &conflict, NULL), 0);
    double count = 1;
    for (int i = 0; i < 4; i++) {
        count *= 120; /* a < b < c of ten values */
    }
    for (int i = 0; i < 28; i++) {
        count *= 10;
    }
    assert_true(tune_solve_count(solution, &kind) == count && kind == TUNE_COUNT_EXACT);
    size_t n;
    assert_null(tune_solve_list(solution, arena, TUNE_LIST_MAX, &n));
    struct rng rng;
    size_t zeros = 0, lowest = 0;
    rng_init(&rng, 1, 0, 0);
    for (int i = 0; i < 6000; i++) {
        uint16_t config[40];
        assert_int_equal(tune_solve_draw(solution, &rng, config), 0);
        assert_true(config[30] < config[31] && config[31] < config[32]);
        zeros += config[39] == 0;
        lowest += config[0] == 0; /* 36 of the 120 */
    }
    assert_in_range(zeros, 480, 720);
    assert_in_range(lowest, 1600, 2000);
}

/* 12 parameters of 16 values, all tied: their sum is what one of them says, each pair of neighbours differs. */
static int holds_tight(const void *ud, size_t rule, const uint16_t *config, struct err *err)
{
    (void)ud;
    (void)err;
    if (rule < 11) {
        return config[rule + 1] == (config[rule] + 5 + (config[rule] > 7)) % 16
               || config[rule + 1] == config[rule];
    }
    return config[0] + config[11] == 30;
}

static void test_tight(void **state)
{
    (void)state;
    auto_arena struct arena *arena = arena_new();
    uint32_t sizes[12];
    uint64_t deps[12], conflict;
    for (size_t i = 0; i < 12; i++) {
        sizes[i] = 16;
        deps[i] = i < 11 ? (uint64_t)3 << i : 1 | 1 << 11;
    }
    const struct tune_rules rules = { .n = 12, .sizes = sizes, .n_rules = 12, .deps = deps,
                                      .holds = holds_tight };
    struct tune_solution *solution;
    struct rng rng;
    enum tune_count kind;
    rng_init(&rng, 1, 0, 0);
    assert_int_equal(tune_solve(&rules, arena, &solution, &conflict, NULL), 0);
    double count = tune_solve_count(solution, &kind);
    assert_true(kind == TUNE_COUNT_EXACT && count >= 1 && count < 16 * 2048);
    for (int i = 0; i < 200; i++) {
        uint16_t config[12];
        assert_int_equal(tune_solve_draw(solution, &rng, config), 0);
        for (size_t k = 0; k < 12; k++) {
            assert_int_equal(holds_tight(NULL, k, config, NULL), 1);
        }
    }
}

/* One group of 20 parameters with 4^20 / 2 combinations: an estimate, and draws by rejection. */
static int holds_even(const void *ud, size_t rule, const uint16_t *config, struct err *err)
{
    (void)ud;
    (void)rule;
    (void)err;
    unsigned sum = 0;
    for (size_t i = 0; i < 20; i++) {
        sum += config[i];
    }
    return sum % 2 == 0;
}

static void test_loose(void **state)
{
    (void)state;
    auto_arena struct arena *arena = arena_new();
    uint32_t sizes[20];
    uint64_t deps[] = { (1 << 20) - 1 }, conflict;
    for (size_t i = 0; i < 20; i++) {
        sizes[i] = 4;
    }
    const struct tune_rules rules = { .n = 20, .sizes = sizes, .n_rules = 1, .deps = deps,
                                      .holds = holds_even };
    struct tune_solution *solution;
    struct rng rng;
    enum tune_count kind;
    uint16_t config[20];
    rng_init(&rng, 1, 0, 0);
    assert_int_equal(tune_solve(&rules, arena, &solution, &conflict, NULL), 0);
    double share = tune_solve_count(solution, &kind) / (double)((int64_t)1 << 39);
    assert_true(kind == TUNE_COUNT_ESTIMATE && share > 0.9 && share < 1.1);
    assert_int_equal(tune_solve_draw(solution, &rng, config), 0);
    assert_int_equal(holds_even(NULL, 0, config, NULL), 1);
}

/* 20 digits of 8 values, each above the one before by at most one, else nothing: far too rare to hit,
   too many to list; a descent finds them. */
static int holds_slow(const void *ud, size_t rule, const uint16_t *config, struct err *err)
{
    (void)ud;
    (void)err;
    return config[rule + 1] == config[rule] || config[rule + 1] == config[rule] + 1;
}

static void test_descents(void **state)
{
    (void)state;
    auto_arena struct arena *arena = arena_new();
    uint32_t sizes[40];
    uint64_t deps[39], conflict;
    for (size_t i = 0; i < 40; i++) {
        sizes[i] = 64;
    }
    for (size_t k = 0; k < 39; k++) {
        deps[k] = (uint64_t)3 << k;
    }
    const struct tune_rules rules = { .n = 40, .sizes = sizes, .n_rules = 39, .deps = deps,
                                      .holds = holds_slow };
    struct tune_solution *solution;
    struct rng rng;
    enum tune_count kind;
    rng_init(&rng, 1, 0, 0);
    assert_int_equal(tune_solve(&rules, arena, &solution, &conflict, NULL), 0);
    tune_solve_count(solution, &kind);
    assert_int_equal(kind, TUNE_COUNT_ESTIMATE);
    uint16_t config[40];
    assert_int_equal(tune_solve_draw(solution, &rng, config), 0);
    for (size_t k = 0; k < 39; k++) {
        assert_int_equal(holds_slow(NULL, k, config, NULL), 1);
    }
}

/* Of five rules, the second and the fifth can't hold together. */
static int holds_against(const void *ud, size_t rule, const uint16_t *config, struct err *err)
{
    (void)ud;
    (void)err;
    switch (rule) {
    case 1: return config[0] + config[1] > 8;
    case 4: return config[0] + config[1] < 4;
    default: return config[1] + config[2] > 1;
    }
}

static void test_conflict(void **state)
{
    (void)state;
    auto_arena struct arena *arena = arena_new();
    const uint32_t sizes[] = { 6, 6, 6 };
    const uint64_t deps[] = { 6, 3, 6, 6, 3 };
    const struct tune_rules rules = { .n = 3, .sizes = sizes, .n_rules = 5, .deps = deps,
                                      .holds = holds_against };
    struct tune_solution *solution = NULL;
    uint64_t conflict = 0;
    assert_int_equal(tune_solve(&rules, arena, &solution, &conflict, NULL), ERR_NOTFOUND);
    assert_int_equal(conflict, 1 << 1 | 1 << 4);
    assert_null(solution);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),   cmocka_unit_test(test_groups),
        cmocka_unit_test(test_tight),    cmocka_unit_test(test_loose),
        cmocka_unit_test(test_descents), cmocka_unit_test(test_conflict),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
