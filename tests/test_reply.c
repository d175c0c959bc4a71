/* SPDX-License-Identifier: MIT */
/*
 * Replies of language models, good and bad: every file in tests/cases/reply is one. Lines of
 * "key: value" up to "====", then the reply as it came. Keys: fault, strategy, invented, title,
 * summary, direction (exact); correction, source (must be part of it); note (one line for each, part of it;
 * no others may be there); cut, crlf, bom (how it came); before (the case that it corrects).
 */
#include "agent/reply.h"
#include "base/file.h"
#include "base/util.h"
#include "graph/htg_seed.h"

#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { CASES_MIN = 70, KEYS_MAX = 24 };

struct the_case {
    const char *name;
    size_t n_keys;
    const char *keys[KEYS_MAX], *values[KEYS_MAX];
    const char *reply;
    size_t len;
};

static struct htg *graph(void)
{
    struct htg *htg = htg_new();
    const struct htg_direction direction = { .id = "data-reuse", .title = "Data reuse" };
    const struct htg_strategy strategies[] = {
        { .id = "row-in-registers", .direction = "data-reuse", .title = "Keep the row in registers",
          .guidance = "g" },
        { .id = "online-softmax", .direction = "data-reuse", .title = "Online maximum and sum",
          .guidance = "g" },
    };
    assert_int_equal(htg_add_direction(htg, &direction, NULL), 0);
    for (size_t i = 0; i < ARRAY_LEN(strategies); i++) {
        assert_int_equal(htg_add_strategy(htg, &strategies[i], NULL), 0);
    }
    return htg;
}

static const char *key_of(const struct the_case *c, const char *key)
{
    for (size_t i = 0; i < c->n_keys; i++) {
        if (str_eq(c->keys[i], key)) {
            return c->values[i];
        }
    }
    return NULL;
}

static void load(const char *name, struct arena *arena, struct the_case *ret)
{
    auto_free char *path = xprintf(WS_SOURCE_DIR "/tests/cases/reply/%s.txt", name);
    auto_free char *raw = NULL;
    size_t len;
    assert_int_equal(file_read(path, REPLY_MAX, &raw, &len, NULL), 0);
    char *text = arena_strndup(arena, raw, len);
    *ret = (struct the_case) { .name = arena_strdup(arena, name) };
    char *reply = strstr(text, "====\n");
    assert_non_null(reply);
    *reply = '\0';
    ret->reply = reply + 5;
    ret->len = len - (size_t)(ret->reply - text);
    char *save = NULL;
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        char *colon = strchr(line, ':');
        assert_non_null(colon);
        *colon = '\0';
        ret->keys[ret->n_keys] = line;
        ret->values[ret->n_keys++] = colon[1] == ' ' ? colon + 2 : colon + 1;
        assert_true(ret->n_keys < KEYS_MAX);
    }
}

/* As it came over the wire: line ends, byte order mark. */
static void dress(struct the_case *c, struct arena *arena)
{
    char *out = arena_alloc(arena, 2 * c->len + 4, 1);
    size_t n = 0;
    if (key_of(c, "bom")) {
        memcpy(out, "\xef\xbb\xbf", 3);
        n = 3;
    }
    for (size_t i = 0; i < c->len; i++) {
        if (c->reply[i] == '\n' && key_of(c, "crlf")) {
            out[n++] = '\r';
        }
        out[n++] = c->reply[i];
    }
    c->reply = out;
    c->len = n;
}

static void parse(const char *name, const struct htg *htg, struct arena *arena,
                  struct the_case *ret_case, struct reply *ret)
{
    load(name, arena, ret_case);
    dress(ret_case, arena);
    struct reply before = { 0 };
    const char *earlier = key_of(ret_case, "before");
    if (earlier) {
        struct the_case other;
        parse(earlier, htg, arena, &other, &before);
        candidate_free(before.candidate);
    }
    const struct reply_input input = { .text = ret_case->reply, .len = ret_case->len,
                                       .cut = key_of(ret_case, "cut") != NULL, .htg = htg,
                                       .before = earlier ? &before : NULL };
    reply_parse(&input, arena, ret);
}

static size_t check(const struct the_case *c, bool ok, const char *what, const char *got)
{
    if (!ok) {
        print_error("%s: %s: got \"%s\"\n", c->name, what, got ? got : "(null)");
    }
    return !ok;
}

static size_t check_notes(const struct the_case *c, const struct reply *reply)
{
    size_t wrong = 0, wanted = 0;
    for (size_t i = 0; i < c->n_keys; i++) {
        bool found = !str_eq(c->keys[i], "note");
        wanted += !found;
        for (size_t k = 0; !found && k < reply->n_notes; k++) {
            found = strstr(reply->notes[k], c->values[i]) != NULL;
        }
        wrong += check(c, found, c->values[i], "no such note");
    }
    for (size_t k = 0; wanted != reply->n_notes && k < reply->n_notes; k++) {
        wrong += check(c, false, "notes that are there", reply->notes[k]);
    }
    return wrong;
}

static size_t check_case(const struct the_case *c, const struct reply *reply)
{
    size_t wrong = 0;
    const char *fault = key_of(c, "fault"), *part = key_of(c, "correction");
    const char *source = key_of(c, "source");
    wrong += check(c, str_eq(reply_fault_name(reply->fault), fault), fault,
                   reply_fault_name(reply->fault));
    wrong += check(c, (reply->fault == REPLY_FAULT_NONE) == (reply->candidate != NULL), "candidate",
                   reply->correction);
    wrong += check(c, (reply->fault == REPLY_FAULT_NONE) == (*reply->correction == '\0'),
                   "correction", reply->correction);
    wrong += check(c, !part || strstr(reply->correction, part), "correction", reply->correction);
    wrong += check(c, !source || (reply->source && strstr(reply->source, source)), "source",
                   reply->source);
    wrong += check(c, str_eq(reply->strategy, key_of(c, "strategy")), "strategy", reply->strategy);
    wrong += check(c, reply->invented == (key_of(c, "invented") != NULL), "invented", "");
    const char *title = key_of(c, "title"), *summary = key_of(c, "summary");
    wrong += check(c, str_eq(reply->title, title ? title : ""), "title", reply->title);
    wrong += check(c, str_eq(reply->summary, summary ? summary : ""), "summary", reply->summary);
    const char *direction = key_of(c, "direction");
    wrong += check(c, str_eq(reply->direction, direction ? direction : ""), "direction", reply->direction);
    return wrong + check_notes(c, reply);
}

static void test_cases(void **state)
{
    (void)state;
    glob_t found;
    size_t wrong = 0;
    struct htg *htg = graph();
    assert_int_equal(glob(WS_SOURCE_DIR "/tests/cases/reply/*.txt", 0, NULL, &found), 0);
    assert_true(found.gl_pathc >= CASES_MIN);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        const char *base = strrchr(found.gl_pathv[i], '/') + 1;
        auto_free char *name = xprintf("%.*s", (int)(strlen(base) - 4), base);
        auto_arena struct arena *arena = arena_new();
        struct the_case c;
        struct reply reply;
        parse(name, htg, arena, &c, &reply);
        wrong += check_case(&c, &reply);
        candidate_free(reply.candidate);
    }
    globfree(&found);
    htg_free(htg);
    assert_int_equal(wrong, 0);
}

static enum reply_fault fault_of(const char *text, size_t len)
{
    auto_arena struct arena *arena = arena_new();
    struct reply reply;
    const struct reply_input input = { .text = text, .len = len };
    reply_parse(&input, arena, &reply);
    candidate_free(reply.candidate);
    return reply.fault;
}

static void test_limits(void **state)
{
    (void)state;
    auto_free char *big = xcalloc(REPLY_MAX + 2, 1);
    memset(big, 'a', REPLY_MAX + 1);
    assert_int_equal(fault_of(big, REPLY_MAX + 1), REPLY_FAULT_TOO_BIG);
    assert_int_equal(fault_of(big, REPLY_MAX), REPLY_FAULT_NO_BLOCKS);
    assert_int_equal(fault_of("a\0b", 3), REPLY_FAULT_NOT_TEXT);

    auto_free char *long_source
        = xprintf("```cuda\n__global__ void k() {}\n/*%.*s*/\n```\n```json\n{\"launches\": []}\n```\n",
                  CANDIDATE_SOURCE_MAX, big);
    assert_int_equal(fault_of(long_source, strlen(long_source)), REPLY_FAULT_TOO_BIG);
    auto_free char *long_plan
        = xprintf("```cuda\n__global__ void k() {}\n```\n```json\n{\"launches\": \"%.*s\"}\n```\n",
                  PLAN_TEXT_MAX, big);
    assert_int_equal(fault_of(long_plan, strlen(long_plan)), REPLY_FAULT_TOO_BIG);
}

/* Megabytes of fences, quotes and commas take time in proportion. */
static void test_hostile_sizes(void **state)
{
    (void)state;
    static const char *const units[] = { "```\n", "```a\n", "~~~~\n", "<think>", "</think>", ",", "'",
                                         "/*", "strategy: x\n", "```json\n{\"launches\": ,,,, '", "&lt;" };
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        size_t n = strlen(units[i]), len = 0;
        auto_free char *text = xcalloc(REPLY_MAX + 1, 1);
        while (len + n <= REPLY_MAX / 4) {
            memcpy(text + len, units[i], n);
            len += n;
        }
        assert_int_not_equal(fault_of(text, len), REPLY_FAULT_NONE);
    }
}

static void test_without_graph(void **state)
{
    (void)state;
    auto_arena struct arena *arena = arena_new();
    struct the_case c;
    struct reply reply;
    load("strategy_unknown", arena, &c);
    const struct reply_input input = { .text = c.reply, .len = c.len };
    reply_parse(&input, arena, &reply);
    assert_string_equal(reply.strategy, "row-in-register");
    candidate_free(reply.candidate);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_hostile_sizes),
        cmocka_unit_test(test_without_graph),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
