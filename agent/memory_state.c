/* SPDX-License-Identifier: MIT */
/* memory stats: how much experience there is. memory verify: that it all hangs together. */
#include "agent/memory_command.h"
#include "base/jread.h"
#include "base/util.h"
#include "graph/htg_learn.h"
#include "graph/order.h"
#include "memory/verify.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* The experience of all directions together, on devices or in the model. */
static struct tally all_directions(const struct htg *htg, bool modelled)
{
    struct tally sum = { 0 };
    for (size_t i = 0; i < htg_directions(htg); i++) {
        const struct tally *t = memory_everywhere(htg, STATS_KIND_DIRECTION, NULL,
                                                  htg_direction(htg, i)->id, modelled);
        if (t) {
            tally_merge(&sum, t);
        }
    }
    return sum;
}

static size_t count_states(const struct htg *htg, enum htg_state state)
{
    size_t n = 0;
    for (size_t i = 0; i < htg_strategies(htg); i++) {
        n += htg_strategy(htg, i)->state == state;
    }
    return n;
}

static size_t count_examples(const struct htg *htg)
{
    size_t n = 0;
    for (size_t i = 0; i < htg_strategies(htg); i++) {
        n += htg_strategy(htg, i)->n_examples;
    }
    return n;
}

static json_t *experience_json(const struct htg *htg, bool modelled)
{
    struct tally t = all_directions(htg, modelled);
    struct context context;
    struct select_tuning tuning;
    select_tuning_default(&tuning);
    require(context_init(&context, "any", "none", "sm_90", modelled, NULL) == 0);
    double k = order_k(view_of(htg, &context), htg_directions(htg), 0); /* 0: can't be told yet */
    return json_pack("{s:I, s:I, s:f, s:f, s:f}", "steps", (json_int_t)t.n, "failures",
                     (json_int_t)t.failures, "mean_gain", t.mean, "trust",
                     htg_trust(htg, &context, tuning.k), "k_edge", k);
}

static json_t *stats_json(const struct htg *htg, const struct store_facts *facts)
{
    json_t *states = json_object(), *records = json_object();
    for (int i = HTG_STATE_SEED; i <= HTG_STATE_RETIRED; i++) {
        json_object_set_new(states, htg_state_name((enum htg_state)i),
                            json_integer((json_int_t)count_states(htg, (enum htg_state)i)));
    }
    for (int i = 0; i < STORE_DB_COUNT; i++) {
        json_object_set_new(records, store_db_name((enum store_db)i),
                            json_integer((json_int_t)facts->records[i]));
    }
    return json_pack("{s:I, s:I, s:o, s:I, s:I, s:o, s:o, s:o, s:I}", "directions",
                     (json_int_t)htg_directions(htg), "transitions",
                     (json_int_t)htg_transitions(htg), "strategies", states, "examples",
                     (json_int_t)count_examples(htg), "statistics",
                     (json_int_t)stats_count(htg_stats(htg)), "measured",
                     experience_json(htg, false), "modelled", experience_json(htg, true), "records",
                     records, "bytes", (json_int_t)facts->used_bytes);
}

static void print_experience(const char *what, const json_t *json)
{
    double k = json_number_value(json_object_get(json, "k_edge"));
    json_int_t n = json_integer_value(json_object_get(json, "steps"));
    if (n == 0) {
        printf("%-12s no steps yet\n", what);
        return;
    }
    printf("%-12s %lld steps, %lld failed, %.3fx a step on average; trust %.2f; %s\n", what,
           (long long)n, (long long)json_integer_value(json_object_get(json, "failures")),
           exp(json_number_value(json_object_get(json, "mean_gain"))),
           json_number_value(json_object_get(json, "trust")),
           k == 0              ? "too little to tell whether order matters"
               : k >= ORDER_K_MOST ? "what came before made no difference so far"
                                   : "order matters");
}

static void print_stats(const json_t *json)
{
    const char *key;
    json_t *value;
    printf("graph        %lld directions, %lld transitions, strategies:",
           (long long)json_integer_value(json_object_get(json, "directions")),
           (long long)json_integer_value(json_object_get(json, "transitions")));
    json_object_foreach(json_object_get(json, "strategies"), key, value) {
        printf(" %lld %s", (long long)json_integer_value(value), key);
    }
    printf("; %lld worked examples\n", (long long)json_integer_value(json_object_get(json, "examples")));
    print_experience("measured", json_object_get(json, "measured"));
    print_experience("modelled", json_object_get(json, "modelled"));
    printf("store        %.1f MiB:", (double)json_integer_value(json_object_get(json, "bytes")) / 1048576);
    json_object_foreach(json_object_get(json, "records"), key, value) {
        if (json_integer_value(value)) {
            printf(" %lld %s", (long long)json_integer_value(value), key);
        }
    }
    printf("\n");
}

static int run_stats(const struct options *o, size_t n_args, const char *const *args)
{
    (void)n_args;
    (void)args;
    struct session session;
    struct store_facts facts;
    struct err err = { 0 };
    int r = session_open(&session, o, SESSION_MEMORY | SESSION_STORE_READ, &err);
    if (r < 0) {
        return options_fail(&err);
    }
    r = store_facts(session.store, &facts, &err);
    if (r == 0) {
        json_t *json = stats_json(session.htg, &facts);
        if (o->json) {
            r = output_json(o->json, json, &err);
        } else {
            print_stats(json);
            json_decref(json);
        }
    }
    session_close(&session);
    return r < 0 ? options_fail(&err) : EXIT_DONE;
}

static int run_verify(const struct options *o, size_t n_args, const char *const *args)
{
    (void)n_args;
    (void)args;
    auto_arena struct arena *arena = arena_new();
    struct session session;
    struct verify_report report;
    struct err err = { 0 };
    int r = session_open(&session, o, SESSION_STORE_READ, &err);
    if (r < 0) {
        return options_fail(&err);
    }
    r = store_verify(session.store, arena, &report, &err);
    if (r == 0) {
        printf("%llu records, %llu references, %llu statistics checked: %llu problems\n",
               (unsigned long long)report.records, (unsigned long long)report.references,
               (unsigned long long)report.statistics, (unsigned long long)report.n_problems);
        for (uint64_t i = 0; i < MIN(report.n_problems, (uint64_t)VERIFY_PROBLEMS_MAX); i++) {
            printf("  %s\n", report.problems[i]);
        }
    }
    session_close(&session);
    return r < 0 ? options_fail(&err) : report.n_problems ? EXIT_NEGATIVE : EXIT_DONE;
}

const struct memory_part memory_stats = {
    "stats", "stats", "how much experience there is", 0, 0, run_stats,
};
const struct memory_part memory_verify = {
    "verify", "verify", "proves that the store hangs together", 0, 0, run_verify,
};
