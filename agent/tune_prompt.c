/* SPDX-License-Identifier: MIT */
#include "agent/tune_prompt.h"
#include "agent/prompt_parts.h"
#include "agent/template.h"
#include "agent/tune/tune_config.h"
#include "agent/tune_prompt_parts.h"
#include "base/embed.h"
#include "base/util.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

EMBED_TEXT(tune_contract_text, WS_PROMPTS "/tune_contract.md");
EMBED_TEXT(tune_state_text, WS_PROMPTS "/tune_state.md");
EMBED_TEXT(tune_round_text, WS_PROMPTS "/tune_round.md");
EMBED_TEXT(tune_correction_text, WS_PROMPTS "/tune_correction.md");

enum { VALUES_SHOWN = 24 };

static const char *settled(const struct buf *out, struct arena *arena)
{
    return arena_strndup(arena, out->len ? out->at : "", out->len);
}

static const char *fenced(struct arena *arena, const char *tag, const char *text)
{
    if (!text) {
        return NULL;
    }
    auto_buf struct buf out;
    buf_init(&out, PROMPT_TEXT_MAX);
    prompt_fence(&out, tag, text);
    return settled(&out, arena);
}

static const char *kind_text(const struct tune_param *param)
{
    switch (param->kind) {
    case TUNE_POW2: return "powers of two";
    case TUNE_NUMBER: return "numbers";
    case TUNE_CHOICE: return "one of";
    case TUNE_BOOL: return "off or on";
    case TUNE_PERMUTATION: return "permutations, by rank in lexicographic order";
    }
    return "";
}

/* "BLOCK (powers of two): 64, 128, 256"; the middle of a long list is left out. */
static const char *tunables(const struct tune_space *space, struct arena *arena)
{
    auto_buf struct buf out;
    buf_init(&out, PROMPT_TEXT_MAX);
    for (size_t i = 0; i < space->n; i++) {
        const struct tune_param *p = &space->params[i];
        bool number = p->values != NULL;
        buf_printf(&out, "%s (%s): ", prompt_line(arena, p->name, 80), kind_text(p));
        for (uint32_t k = 0; k < p->n; k++) {
            bool skip = p->n > VALUES_SHOWN && k >= VALUES_SHOWN - 4 && k < p->n - 3;
            if (skip) {
                buf_puts(&out, k == VALUES_SHOWN - 4 ? ", ..." : "");
                continue;
            }
            const char *quote = number ? "" : "\"";
            buf_printf(&out, "%s%s%s%s", k ? ", " : "", quote, prompt_line(arena, p->texts[k], 80),
                       quote);
        }
        buf_printf(&out, p->n > VALUES_SHOWN ? " (%" PRIu32 " values)\n" : "\n", p->n);
    }
    return fenced(arena, "", out.at);
}

static const char *count_text(const struct tune_space *space, struct arena *arena)
{
    bool exact = space->count == TUNE_COUNT_EXACT;
    const char *is = exact ? "" : "about ";
    return arena_printf(arena, "%zu tunables; %s%.*g of %.6g combinations are allowed.", space->n, is,
                        exact ? 9 : 3, space->n_allowed, (double)tune_space_size(space));
}

static const char *constraints(const struct candidate *candidate, struct arena *arena)
{
    if (!candidate || !candidate->plan->n_constraints) {
        return NULL;
    }
    auto_buf struct buf out;
    buf_init(&out, PROMPT_TEXT_MAX);
    for (size_t i = 0; i < candidate->plan->n_constraints; i++) {
        buf_printf(&out, "%s\n", expr_text(candidate->plan->constraints[i]));
    }
    return fenced(arena, "", out.at);
}

static int render(const char *file, const char *text, const struct template_value *values, size_t n,
                  struct arena *arena, const char **ret, struct err *err)
{
    auto_buf struct buf out;
    buf_init(&out, PROMPT_TEXT_MAX);
    int r = template_render(file, text, values, n, &out, err);
    if (r == 0) {
        *ret = settled(&out, arena);
    }
    return r;
}

static int build_state(const struct tune_prompt_input *in, struct arena *arena, const char **ret,
                       struct err *err)
{
    const struct prompt_input device = { .device = in->device };
    const struct candidate *c = in->candidate;
    const char *source = c ? prompt_clean(arena, c->source, c->source_len) : NULL;
    const char *sheet = in->device ? prompt_device(&device, arena, err) : NULL;
    if (in->device && !sheet) {
        return err ? err->code : ERR_INVALID;
    }
    const struct template_value values[] = {
        { "device", sheet },
        { "about", in->about ? fenced(arena, "", prompt_line(arena, in->about, 400)) : NULL },
        { "task", in->task ? prompt_task(in->task, arena) : NULL },
        { "source", c ? fenced(arena, "cuda", prompt_cut(arena, source, TUNE_PROMPT_SOURCE)) : NULL },
        { "plan", c ? fenced(arena, "json", prompt_plan(c->plan, arena)) : "" },
        { "count", count_text(in->space, arena) },
        { "tunables", tunables(in->space, arena) },
        { "constraints", constraints(c, arena) },
        { "recorded", c ? NULL : "" },
    };
    return render("tune_state.md", tune_state_text, values, ARRAY_LEN(values), arena, ret, err);
}

void tune_prompt_config(const struct tune_space *space, const uint16_t *config, struct buf *out)
{
    json_t *json = tune_config_json(space, config);
    json_write(json, false, out);
    json_decref(json);
}

const uint16_t *tune_prompt_base(const struct tune_prompt_input *in)
{
    const struct tuner_sample *best = NULL;
    if (in->space->has_own) {
        return in->space->own;
    }
    for (size_t i = 0; i < in->n_samples; i++) {
        const struct tuner_sample *s = &in->samples[i];
        best = s->time > 0 && (!best || s->time < best->time) ? s : best;
    }
    return best ? best->config : NULL;
}

static const char *base_text(const struct tune_prompt_input *in, struct arena *arena)
{
    const uint16_t *base = tune_prompt_base(in);
    if (!base) {
        return NULL;
    }
    auto_buf struct buf out;
    buf_init(&out, PROMPT_TEXT_MAX);
    tune_prompt_config(in->space, base, &out);
    return fenced(arena, "json", out.at);
}

static const char *passed(const struct tune_prompt_input *in, struct arena *arena)
{
    if (in->n_passed == 0) {
        return NULL;
    }
    auto_buf struct buf out;
    buf_init(&out, PROMPT_TEXT_MAX);
    for (size_t i = 0; i < in->n_passed; i++) {
        buf_printf(&out, "%s\n", prompt_line(arena, in->passed[i], 400));
    }
    return fenced(arena, "", out.at);
}

static int build_round(const struct tune_prompt_input *in, struct arena *arena, const char **ret,
                       struct err *err)
{
    struct tune_history *h = tune_history_new(in, arena);
    bool careful = h->n_failed * 3 >= h->n_told && h->n_failed > 1 && h->n_ran > 0;
    const struct template_value values[] = {
        { "base", base_text(in, arena) },
        { "measured", h->n_ran ? fenced(arena, "", tune_history_table(h)) : NULL },
        { "search", tune_history_summary(h) },
        { "unit", in->unit },
        { "modelled", in->modelled ? "" : NULL },
        { "anchors", h->n_ran > 1 ? fenced(arena, "json", tune_history_anchors(h)) : NULL },
        { "patterns", h->n_ran > TUNE_PROMPT_TOP ? fenced(arena, "", tune_history_patterns(h)) : NULL },
        { "top", arena_printf(arena, "%d", TUNE_PROMPT_TOP) },
        { "failed", h->n_failed ? fenced(arena, "", tune_history_failures(h)) : NULL },
        { "passed", passed(in, arena) },
        { "first", in->opening && !careful ? "" : NULL },
        { "next", !in->opening && !careful ? "" : NULL },
        { "careful", careful ? "" : NULL },
        { "most", arena_printf(arena, "%zu", in->most) },
        { "left", arena_printf(arena, "%zu", in->left) },
    };
    return render("tune_round.md", tune_round_text, values, ARRAY_LEN(values), arena, ret, err);
}

static void add(struct prompt *p, const char *role, const char *text)
{
    require(p->n < PROMPT_MESSAGES_MAX);
    p->messages[p->n++] = (struct prompt_message) { role, text };
}

int tune_prompt_build(const struct tune_prompt_input *in, struct arena *arena, struct prompt *ret,
                      struct err *err)
{
    struct prompt p = { .n = 0 };
    const char *state = NULL, *round = NULL, *again = NULL;
    int r = build_state(in, arena, &state, err);
    r = r < 0 ? r : build_round(in, arena, &round, err);
    if (r == 0 && in->reply) {
        const struct template_value values[] = {
            { "request", fenced(arena, "", prompt_clean(arena, in->fault, strlen(in->fault))) },
        };
        r = render("tune_correction.md", tune_correction_text, values, 1, arena, &again, err);
    }
    if (r < 0) {
        return r;
    }
    p.stable = strlen(state);
    add(&p, "system", tune_contract_text);
    add(&p, "user", prompt_join(arena, state, round));
    if (again) {
        const char *reply = prompt_clean(arena, in->reply, strlen(in->reply));
        add(&p, "assistant", prompt_cut(arena, *reply ? reply : "(nothing)", 16 << 10));
        add(&p, "user", again);
    }
    *ret = p;
    return 0;
}
