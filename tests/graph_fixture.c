/* SPDX-License-Identifier: MIT */
#include "graph_fixture.h"
#include "base/util.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

struct htg *fixture_graph(const double *priors)
{
    struct htg *htg = htg_new();
    for (int i = 0; i < FIXTURE_DIRECTIONS; i++) {
        char id[] = {(char)('a' + i), '\0'};
        struct htg_direction direction = {.id = id,
                                          .prior.given = 1u << CONTEXT_CLASS_MEMORY_BOUND};
        direction.prior.gain[CONTEXT_CLASS_MEMORY_BOUND] = priors ? priors[i] : 0;
        assert_int_equal(htg_add_direction(htg, &direction, NULL), 0);
        for (int j = 1; j <= 2; j++) {
            char name[] = {(char)('a' + i), (char)('0' + j), '\0'};
            struct htg_strategy strategy = {.id = name, .direction = id};
            assert_int_equal(htg_add_strategy(htg, &strategy, NULL), 0);
        }
    }
    return htg;
}

struct select_request fixture_request(uint64_t seed, uint64_t step)
{
    struct select_request request = {.seed = seed, .step = step, .task = "t"};
    assert_int_equal(
        context_init(&request.context, "softmax", "memory_bound", "sm_90", false, NULL), 0);
    select_tuning_default(&request.tuning);
    request.tuning.control_share = 0;
    request.tuning.trust_floor = 1;
    return request;
}

void fixture_stat(struct htg *htg, const char *key, int64_t n, double mean)
{
    struct tally tally = {.n = n, .mean = mean, .m2 = 0.01 * (double)n};
    assert_int_equal(htg_stat_set(htg, key, &tally, NULL), 0);
}

void fixture_edge(struct htg *htg, const char *from, const char *to, double prior)
{
    struct htg_transition edge = {.from = from, .to = to, .prior = prior};
    assert_int_equal(htg_add_transition(htg, &edge, NULL), 0);
}

void fixture_known(struct htg *htg, enum stats_kind kind, const char *from, const char *node,
                   int64_t n, double mean)
{
    struct select_request request = fixture_request(0, 0);
    for (int i = 0; i < CONTEXT_RUNGS; i++) {
        char where[CONTEXT_KEY_MAX], key[STATS_KEY_MAX];
        context_key(&request.context, (enum context_rung)i, where);
        stats_key(kind, from, node, where, key);
        fixture_stat(htg, key, n, mean);
    }
}

struct choice *fixture_choose(const struct htg *htg, const struct select_request *request,
                              struct arena *arena)
{
    struct choice *choice = NULL;
    struct err err = {0};
    if (select_direction(htg, request, arena, &choice, &err) < 0) {
        fail_msg("%s", err.text);
    }
    return choice;
}

int fixture_setup(void **state)
{
    struct bench *bench = xcalloc(1, sizeof(*bench));
    bench->htg = fixture_graph(NULL);
    bench->arena = arena_new();
    *state = bench;
    return 0;
}

int fixture_teardown(void **state)
{
    struct bench *bench = *state;
    htg_free(bench->htg);
    arena_free(bench->arena);
    cleanup_free(&bench);
    return 0;
}
