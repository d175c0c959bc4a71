/* SPDX-License-Identifier: MIT */
/*
 * The memory that a fresh store starts with, as data: whole, without doubles, and for every family,
 * architecture and bottleneck something to say.
 */
#include "base/file.h"
#include "base/util.h"
#include "graph/htg_seed.h"
#include "graph/select.h"
#include "kernelbench/dtype.h"

#include <ctype.h>
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { STRATEGIES_MIN = 110, TRANSITIONS_MIN = 60, PER_DIRECTION = 4, FILE_LINES_MAX = 600,
       GUIDANCE_MIN = 120, PITFALLS_MIN = 40, TITLE_MAX = 80, WORDS_MAX = 400, WORD_ROOM = 24 };

/* Families of tasks that the memory speaks of: those that ship, and KernelBench's. */
static const char *const families[] = {
    "attention", "convolution", "elementwise", "fused", "layernorm", "loss", "matmul", "matvec",
    "norm", "pooling", "quantised_matmul", "reduction", "rmsnorm", "scan", "softmax",
    "activation", "axis_arg", "axis_reduce", "batch_norm", "channel_rmsnorm", "convolution_bias",
    "convolution_transposed", "cross_entropy", "depthwise", "depthwise_separable", "diagonal",
    "gemm", "group_norm", "instance_norm", "kl_divergence", "masked_scan", "row_norm",
    "row_softmax", "sdpa", "triplet",
};

static void read_files(struct htg *htg, const char *pattern,
                       int (*reader)(struct htg *, const char *, size_t, struct err *))
{
    glob_t found;
    auto_free char *path = xprintf(WS_SOURCE_DIR "/kernels/memory/%s", pattern);
    assert_int_equal(glob(path, 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        auto_free char *text = NULL;
        size_t len, lines = 0;
        struct err err = { 0 };
        assert_int_equal(file_read(found.gl_pathv[i], 4 << 20, &text, &len, NULL), 0);
        for (size_t k = 0; k < len; k++) {
            lines += text[k] == '\n';
        }
        if (lines > FILE_LINES_MAX || reader(htg, text, len, &err) < 0) {
            fail_msg("%s: %zu lines, %s", found.gl_pathv[i], lines, err_text(&err));
        }
    }
    globfree(&found);
}

static int setup(void **state)
{
    struct htg *htg = htg_new();
    read_files(htg, "directions.json", htg_seed_directions);
    read_files(htg, "strategies*.json", htg_seed_strategies);
    read_files(htg, "transitions.json", htg_seed_transitions);
    *state = htg;
    return 0;
}

static int teardown(void **state)
{
    htg_free(*state);
    return 0;
}

static void test_how_much(void **state)
{
    const struct htg *htg = *state;
    size_t under[HTG_DIRECTIONS_MAX] = { 0 };
    assert_int_equal(htg_directions(htg), 13);
    assert_true(htg_strategies(htg) >= STRATEGIES_MIN);
    assert_true(htg_transitions(htg) >= TRANSITIONS_MIN);
    for (size_t i = 0; i < htg_strategies(htg); i++) {
        under[htg_strategy(htg, i)->direction_index]++;
    }
    for (size_t d = 0; d < htg_directions(htg); d++) {
        if (under[d] < PER_DIRECTION) {
            fail_msg("%s has %zu strategies", htg_direction(htg, d)->id, under[d]);
        }
    }
}

static bool is_tunable(const char *name)
{
    bool is = isupper((unsigned char)*name);
    for (const char *c = name; *c; c++) {
        is = is && (isupper((unsigned char)*c) || isdigit((unsigned char)*c) || *c == '_');
    }
    return is;
}

/* "sm_90" or "sm_80+", of an architecture that exists. */
static bool is_arch(const char *entry)
{
    static const char *const known[] = { "80", "86", "87", "89", "90", "100", "103", "110", "120" };
    size_t n = strlen(entry);
    n -= n && entry[n - 1] == '+';
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if (str_prefix(entry, "sm_") && n == 3 + strlen(known[i])
            && strncmp(entry + 3, known[i], n - 3) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_family(const char *name)
{
    bool is = false;
    for (size_t i = 0; i < ARRAY_LEN(families); i++) {
        is = is || str_eq(name, families[i]);
    }
    return is;
}

/* What is missing or wrong, or NULL. */
static const char *strategy_fault(const struct htg_strategy *s)
{
    enum dtype dtype;
    if (strlen(s->guidance) < GUIDANCE_MIN || strlen(s->pitfalls) < PITFALLS_MIN) {
        return "guidance or pitfalls too short";
    }
    if (!*s->title || strlen(s->title) > TITLE_MAX) {
        return "title";
    }
    if (!s->prior.given || s->state != HTG_STATE_SEED) {
        return "prior or state";
    }
    for (size_t i = 0; i < s->tunables.n; i++) {
        if (!is_tunable(s->tunables.at[i])) {
            return s->tunables.at[i];
        }
    }
    for (size_t i = 0; i < s->archs.n; i++) {
        if (!is_arch(s->archs.at[i])) {
            return s->archs.at[i];
        }
    }
    for (size_t i = 0; i < s->families.n; i++) {
        if (!is_family(s->families.at[i])) {
            return s->families.at[i];
        }
    }
    for (size_t i = 0; i < s->dtypes.n; i++) {
        if (!dtype_parse(s->dtypes.at[i], &dtype) && !str_eq(s->dtypes.at[i], "tf32")) {
            return s->dtypes.at[i];
        }
    }
    return NULL;
}

static void test_each_is_whole(void **state)
{
    const struct htg *htg = *state;
    size_t wrong = 0;
    for (size_t i = 0; i < htg_strategies(htg); i++) {
        const char *fault = strategy_fault(htg_strategy(htg, i));
        if (fault) {
            print_error("%s: %s\n", htg_strategy(htg, i)->id, fault);
            wrong++;
        }
    }
    for (size_t i = 0; i < htg_transitions(htg); i++) {
        const struct htg_transition *t = htg_transition(htg, i);
        if (strlen(t->when) < 20 || strlen(t->why) < 15 || strlen(t->risk) < 4) {
            print_error("%s > %s\n", t->from, t->to);
            wrong++;
        }
    }
    assert_int_equal(wrong, 0);
}

struct words {
    char at[WORDS_MAX][WORD_ROOM];
    size_t n;
};

/* The words that mean something, each once, without a plural's s. */
static void read_words(const char *text, struct words *ret)
{
    static const char *const empty[] = { "a", "an", "the", "of", "in", "to", "for", "and", "or", "with",
                                         "by", "from", "on", "it", "its", "as", "one", "at", "that",
                                         "is", "are", "not", "into", "instead", "so" };
    ret->n = 0;
    for (const char *c = text; *c;) {
        size_t n = 0;
        char word[WORD_ROOM] = "";
        for (; isalnum((unsigned char)c[n]); n++) {
            if (n + 1 < WORD_ROOM) {
                word[n] = (char)tolower((unsigned char)c[n]);
            }
        }
        size_t len = strlen(word);
        if (len > 3 && word[len - 1] == 's') {
            word[len - 1] = '\0';
        }
        bool skip = !*word;
        for (size_t i = 0; i < ARRAY_LEN(empty); i++) {
            skip = skip || str_eq(word, empty[i]);
        }
        for (size_t i = 0; i < ret->n; i++) {
            skip = skip || str_eq(word, ret->at[i]);
        }
        if (!skip && ret->n < WORDS_MAX) {
            memcpy(ret->at[ret->n++], word, sizeof(word));
        }
        c += n ? n : 1;
    }
}

/* Words in both over words in either. */
static double overlap(const struct words *a, const struct words *b)
{
    size_t both = 0;
    for (size_t i = 0; i < a->n; i++) {
        for (size_t k = 0; k < b->n; k++) {
            both += str_eq(a->at[i], b->at[k]);
        }
    }
    size_t all = a->n + b->n - both;
    return all ? (double)both / (double)all : 0;
}

static size_t count_alike(const struct htg *htg, bool titles, double most)
{
    size_t n = htg_strategies(htg), alike = 0;
    struct words *words = xcalloc(n, sizeof(*words));
    for (size_t i = 0; i < n; i++) {
        const struct htg_strategy *s = htg_strategy(htg, i);
        read_words(titles ? s->title : s->guidance, &words[i]);
        for (size_t k = 0; k < i; k++) {
            double o = overlap(&words[i], &words[k]);
            if (o >= most) {
                print_error("%s and %s: %.2f\n", s->id, htg_strategy(htg, k)->id, o);
                alike++;
            }
        }
    }
    free(words);
    return alike;
}

static void test_no_synonyms(void **state)
{
    assert_int_equal(count_alike(*state, true, 0.5), 0);
    assert_int_equal(count_alike(*state, false, 0.4), 0);

    struct htg *twice = htg_new(); /* the guard bites */
    const struct htg_direction direction = { .id = "d", .title = "D" };
    const struct htg_strategy a = { .id = "a", .direction = "d", .title = "Rows kept in registers",
                                    .guidance = "g" };
    const struct htg_strategy b = { .id = "b", .direction = "d", .title = "The row, kept in a register",
                                    .guidance = "h" };
    assert_int_equal(htg_add_direction(twice, &direction, NULL), 0);
    assert_int_equal(htg_add_strategy(twice, &a, NULL), 0);
    assert_int_equal(htg_add_strategy(twice, &b, NULL), 0);
    assert_int_equal(count_alike(twice, true, 0.5), 1);
    htg_free(twice);
}

static void test_transitions_reach_everything(void **state)
{
    const struct htg *htg = *state;
    size_t start = 0;
    for (size_t d = 0; d < htg_directions(htg); d++) {
        const char *id = htg_direction(htg, d)->id;
        size_t out = 0, in = 0;
        for (size_t i = 0; i < htg_transitions(htg); i++) {
            out += str_eq(htg_transition(htg, i)->from, id);
            in += str_eq(htg_transition(htg, i)->to, id);
        }
        start += htg_find_transition(htg, HTG_START, id) != NULL;
        if (out < 2 || in < 2) {
            fail_msg("%s: %zu out, %zu in", id, out, in);
        }
    }
    assert_true(start >= 8);
}

static struct select_request request(const char *family, const char *bottleneck, const char *arch,
                                     const char *const *dtype)
{
    struct select_request r = { .dtypes = { dtype, 1 }, .task = family };
    assert_int_equal(context_init(&r.context, family, bottleneck, arch, false, NULL), 0);
    return r;
}

/* Wherever a run may stand, several directions have something to offer. */
static void test_something_for_every_context(void **state)
{
    const struct htg *htg = *state;
    static const char *const bottlenecks[] = { "incorrect", "launch_bound", "latency_bound",
                                               "memory_bound", "compute_bound", "near_limit" };
    static const char *const archs[] = { "sm_80", "sm_90", "sm_100" };
    static const char *const f32[] = { "f32" };
    for (size_t f = 0; f < ARRAY_LEN(families); f++) {
        for (size_t b = 0; b < ARRAY_LEN(bottlenecks); b++) {
            for (size_t a = 0; a < ARRAY_LEN(archs); a++) {
                struct select_request r = request(families[f], bottlenecks[b], archs[a], f32);
                uint64_t directions = 0;
                for (size_t s = 0; s < htg_strategies(htg); s++) {
                    if (select_applies(htg, s, &r)) {
                        directions |= (uint64_t)1 << htg_strategy(htg, s)->direction_index;
                    }
                }
                if (__builtin_popcountll(directions) < 3) {
                    fail_msg("%s, %s, %s: %d directions", families[f], bottlenecks[b], archs[a],
                             __builtin_popcountll(directions));
                }
            }
        }
    }
}

static void test_instructions_of_their_machines(void **state)
{
    const struct htg *htg = *state;
    static const char *const bf16[] = { "bf16" };
    static const struct {
        const char *strategy, *arch;
        bool applies;
    } cases[] = {
        { "mma-sync-ldmatrix", "sm_80", true },      { "wgmma-shared-operands", "sm_80", false },
        { "wgmma-shared-operands", "sm_90", true },  { "wgmma-shared-operands", "sm_100", false },
        { "tcgen05-tensor-memory", "sm_90", false }, { "tcgen05-tensor-memory", "sm_100", true },
        { "bulk-copy-pipeline", "sm_80", false },    { "bulk-copy-pipeline", "sm_100", true },
        { "setmaxnreg-by-role", "sm_90", true },     { "cluster-shared-operands", "sm_80", false },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct select_request r = request("matmul", "compute_bound", cases[i].arch, bf16);
        int index = htg_find_strategy(htg, cases[i].strategy);
        assert_true(index >= 0);
        if (select_applies(htg, (size_t)index, &r) != cases[i].applies) {
            fail_msg("%s on %s", cases[i].strategy, cases[i].arch);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_how_much),
        cmocka_unit_test(test_each_is_whole),
        cmocka_unit_test(test_no_synonyms),
        cmocka_unit_test(test_transitions_reach_everything),
        cmocka_unit_test(test_something_for_every_context),
        cmocka_unit_test(test_instructions_of_their_machines),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
