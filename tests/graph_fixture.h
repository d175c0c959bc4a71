#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * A small graph for tests of selection: directions "a".."f", two strategies each ("a1", "a2"...),
 * with all priors at 0 unless a test says otherwise. Functions fail the running test themselves.
 */
#include "graph/htg_learn.h"

enum { FIXTURE_DIRECTIONS = 6 };

/* `priors` by direction for class memory_bound, or NULL. */
struct htg *fixture_graph(const double *priors);
/* Context softmax|memory_bound|sm_90, default tuning, task "t", no controls. */
struct select_request fixture_request(uint64_t seed, uint64_t step);
void fixture_stat(struct htg *htg, const char *key, int64_t n, double mean);
void fixture_edge(struct htg *htg, const char *from, const char *to, double prior);
/* fixture_stat on every rung of the request's context. */
void fixture_known(struct htg *htg, enum stats_kind kind, const char *from, const char *node,
                   int64_t n, double mean);
struct choice *fixture_choose(const struct htg *htg, const struct select_request *request,
                              struct arena *arena);

/* One test's graph and arena, as the state of a cmocka test. */
struct bench {
    struct htg *htg;
    struct arena *arena;
};

int fixture_setup(void **state);
int fixture_teardown(void **state);
