/* SPDX-License-Identifier: MIT */
/*
 * Documents of a memory, kept choices and keys; the first byte picks a parser. Each reads or
 * refuses with a text. What was read comes back as it was: a choice decides the same again, a
 * learned strategy is written and read to the same entry.
 */
#include "base/util.h"
#include "graph/htg_seed.h"
#include "graph/select.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void seed(char kind, const char *text, size_t len)
{
    struct htg *htg = htg_new(), *copy = htg_new();
    const struct htg_direction known = {.id = "known"};
    require(htg_add_direction(htg, &known, NULL) == 0);
    require(htg_add_direction(copy, &known, NULL) == 0);
    struct err err = {0};
    int r = kind == 'd'   ? htg_seed_directions(htg, text, len, &err)
            : kind == 's' ? htg_seed_strategies(htg, text, len, &err)
                          : htg_seed_transitions(htg, text, len, &err);
    require((r < 0) == (err.text[0] != '\0'));
    for (size_t i = 0; kind == 's' && i < htg_strategies(htg); i++) {
        json_t *json = htg_seed_strategy_json(htg_strategy(htg, i));
        require(htg_seed_strategy(copy, json, NULL) == 0);
        json_t *again = htg_seed_strategy_json(htg_strategy(copy, i));
        require(json_equal(json, again));
        json_decref(json);
        json_decref(again);
    }
    htg_free(htg);
    htg_free(copy);
}

static void choice(const char *text, size_t len)
{
    json_t *json;
    if (jread_parse(text, len, &json, NULL) < 0) {
        return;
    }
    auto_arena struct arena *arena = arena_new();
    struct choice *read = NULL, *again = NULL;
    struct err err = {0};
    int r = choice_parse(json, arena, &read, &err);
    require((r == 0) == (read != NULL) && (r < 0) == (err.text[0] != '\0'));
    if (r == 0) {
        json_t *kept = choice_json(read);
        require(choice_parse(kept, arena, &again, NULL) == 0);
        require(again->picked == read->picked && again->control == read->control);
        json_decref(kept);
    }
    json_decref(json);
}

static void keys(const char *text, size_t len)
{
    auto_arena struct arena *arena = arena_new();
    const char *key = arena_strndup(arena, text, len), *node, *where;
    struct context context;
    if (context_parse(key, &context, NULL) == 0) {
        char back[CONTEXT_KEY_MAX];
        struct context again;
        context_key(&context, CONTEXT_RUNG_EXACT, back);
        require(context_parse(back, &again, NULL) == 0);
        require(str_eq(context.arch, again.arch) && str_eq(context.family, again.family));
    }
    enum stats_kind kind;
    size_t node_len;
    if (stats_key_parse(key, &kind, &node, &node_len, &where, NULL) == 0) {
        char back[STATS_KEY_MAX];
        stats_key(kind, NULL, arena_strndup(arena, node, node_len), where, back);
        require(str_eq(key, back));
    }
    struct htg *htg = htg_new();
    const struct tally tally = {.n = 1};
    (void)htg_stat_set(htg, key, &tally, NULL);
    htg_free(htg);
    (void)context_arch_matches("sm_90", key);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    const char *text = (const char *)data + 1;
    switch (data[0]) {
    case 'd':
    case 's':
    case 't':
        seed((char)data[0], text, size - 1);
        break;
    case 'c':
        choice(text, size - 1);
        break;
    default:
        keys(text, size - 1);
    }
    return 0;
}
