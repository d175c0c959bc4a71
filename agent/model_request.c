/* SPDX-License-Identifier: MIT */
/* What a model is asked, and how a request is kept: its texts once each, under their hashes. */
#include "agent/model_talk.h"
#include "base/jread.h"
#include "base/util.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

/* [A-Za-z0-9._-] only; a name that had to be changed keeps apart from others by its hash. */
const char *model_key(struct talk *t, int64_t number)
{
    const char *name = t->ask->task->name;
    char part[49];
    size_t n = 0;
    bool same = strlen(name) < sizeof(part);
    for (; name[n] && n + 1 < sizeof(part); n++) {
        bool good = (name[n] >= 'a' && name[n] <= 'z') || (name[n] >= 'A' && name[n] <= 'Z')
            || (name[n] >= '0' && name[n] <= '9') || name[n] == '_' || name[n] == '-';
        part[n] = good ? name[n] : '_';
        same = same && good;
    }
    part[n] = '\0';
    struct id id;
    char hex[ID_HEX];
    id_of_bytes(name, strlen(name), &id);
    id_hex(&id, hex);
    return arena_printf(t->arena, "%s.%s%s%.8s.%06lld.%02lld", t->model->campaign->id, part,
                        same ? "" : "-", same ? "" : hex, (long long)t->ask->seq,
                        (long long)number);
}

/* The best kernel that won with the strategy proposed first, if the choice follows memory. */
static const struct prompt_example *find_example(struct talk *t)
{
    const struct choice *choice = t->ask->choice;
    if (!choice->recall || !choice->n_strategies) {
        return NULL;
    }
    int index = htg_find_strategy(t->ask->htg, choice->strategies[0].id);
    const struct htg_example *best
        = index < 0 ? NULL : htg_best_example(htg_strategy(t->ask->htg, (size_t)index),
                                              &choice->context);
    struct candidate_record record;
    struct candidate *candidate = NULL;
    if (!best || record_get_candidate(model_store(t), best->candidate, t->arena, &record, NULL) < 0
        || candidate_parse(record.plan, strlen(record.plan), record.source, strlen(record.source),
                           &candidate, NULL) < 0) {
        return NULL; /* from another store: its words came without its kernel */
    }
    struct prompt_example *e = arena_alloc(t->arena, 1, sizeof(*e));
    const char *about = arena_printf(t->arena, "%s on %s%s, %.2fx its parent", best->context.family,
                                     best->context.arch, best->context.modelled ? " (modelled)" : "",
                                     exp(best->gain));
    *e = (struct prompt_example) { choice->strategies[0].id, about, candidate };
    return e;
}

int model_build(struct talk *t, struct err *err)
{
    const struct ask *a = t->ask;
    const struct prompt_example *example = find_example(t);
    struct prompt_input input = {
        .task = a->task, .device = a->device, .htg = a->htg, .choice = a->choice,
        .parent = a->parent, .parent_verdict = a->parent_verdict, .parent_seq = a->parent_seq,
        .parent_direction = a->parent_direction, .parent_strategy = a->parent_strategy,
        .baseline = a->baseline, .example = example, .tried = a->tried, .n_tried = a->n_tried,
        .turns = t->turns, .n_turns = t->n_turns, .sample = a->sample, .samples = a->samples,
        .tune_budget = a->tune_budget,
    };
    struct prompt prompt;
    int r = prompt_build(&input, t->arena, &prompt, err);
    if (example) {
        candidate_free((struct candidate *)(uintptr_t)example->candidate);
    }
    for (size_t i = 0; r == 0 && i < prompt.n; i++) {
        t->messages[i] = (struct llm_message) { prompt.messages[i].role, prompt.messages[i].text };
    }
    t->n_messages = r == 0 ? prompt.n : 0;
    return r;
}

const char *model_request_text(struct talk *t)
{
    auto_buf struct buf text;
    buf_init(&text, STORE_VALUE_MAX);
    struct jwriter w = { &text, false };
    jwrite_open(&w, NULL, '{');
    jwrite_open(&w, "messages", '[');
    for (size_t i = 0; i < t->n_messages; i++) {
        struct id id;
        char hex[ID_HEX];
        id_of_bytes(t->messages[i].text, strlen(t->messages[i].text), &id);
        id_hex(&id, hex);
        jwrite_open(&w, NULL, '{');
        jwrite_string(&w, "role", t->messages[i].role);
        jwrite_string(&w, "text", hex);
        jwrite_close(&w, '}');
        t->prompts[i] = arena_strdup(t->arena, hex);
    }
    jwrite_close(&w, ']');
    jwrite_close(&w, '}');
    return arena_strdup(t->arena, text.at);
}

void model_put_prompts(struct talk *t, struct store_batch *batch)
{
    struct model *m = t->model;
    for (size_t i = 0; i < t->n_messages && t->prompts[i]; i++) {
        if (i == 0 && str_eq(m->contract, t->prompts[i])) {
            continue;
        }
        store_batch_put_once(batch, STORE_DB_PROMPTS, t->prompts[i], t->messages[i].text,
                             strlen(t->messages[i].text));
    }
    if (t->n_messages && t->prompts[0]) {
        snprintf(m->contract, sizeof(m->contract), "%s", t->prompts[0]);
    }
}

static int read_message(struct store *store, const json_t *one, struct arena *arena,
                        struct llm_message *ret, struct err *err)
{
    const char *role = "", *hex = "";
    const void *at;
    size_t len;
    int r = jread_string(one, "role", true, NULL, &role, err);
    r = r < 0 ? r : jread_string(one, "text", true, NULL, &hex, err);
    r = r < 0 ? r : store_get(store, STORE_DB_PROMPTS, hex, arena, &at, &len, err);
    if (r < 0) {
        return r == ERR_NOTFOUND ? err_set(err, r, "prompts/%s is missing", hex) : r;
    }
    *ret = (struct llm_message) { arena_strdup(arena, role), at };
    return 0;
}

int model_request_read(struct store *store, const char *text, struct arena *arena,
                       struct llm_message *ret, size_t most, size_t *ret_n, struct err *err)
{
    json_t *json = NULL;
    int r = jread_parse(text, strlen(text), &json, err);
    const json_t *list = json_object_get(json, "messages");
    size_t n = json_array_size(list);
    if (r == 0 && (n == 0 || n > most)) {
        r = err_set(err, ERR_INVALID, "a call's request holds %zu messages", n);
    }
    for (size_t i = 0; r == 0 && i < n; i++) {
        r = read_message(store, json_array_get(list, i), arena, &ret[i], err);
    }
    *ret_n = r == 0 ? n : 0;
    json_decref(json);
    return r;
}
