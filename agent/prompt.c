/* SPDX-License-Identifier: MIT */
/* The parts put together: what may be cut is measured, the budget divided, the templates filled. */
#include "agent/prompt.h"
#include "agent/prompt_parts.h"
#include "agent/template.h"
#include "base/embed.h"
#include "base/util.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

EMBED_TEXT(prompt_contract_text, WS_PROMPTS "/contract.md");
EMBED_TEXT(prompt_state_text, WS_PROMPTS "/state.md");
EMBED_TEXT(prompt_step_text, WS_PROMPTS "/step.md");
EMBED_TEXT(prompt_correction_text, WS_PROMPTS "/correction.md");
EMBED_TEXT(prompt_repair_text, WS_PROMPTS "/repair.md");

/* Parts that may be cut, with their shares of what the fixed ones leave. */
#define PART_LIST(X)                                                                               \
    X(REFERENCE, 14) X(PARENT, 30) X(PLAN, 7) X(VERDICT, 9) X(BEST, 16) X(BEST_PLAN, 4)            \
    X(STRATEGIES, 13) X(EXAMPLE, 15) X(EXAMPLE_PLAN, 4) X(TRIED, 8)
enum part {
#define X(name, share) PART_##name,
    PART_LIST(X)
#undef X
    PARTS
};

/* Of the budget: what the turns after the question may take, so that it doesn't change with them. */
static const double turns_share = 0.3;

struct builder {
    const struct prompt_input *input;
    struct arena *arena;
    struct err *err;
    struct prompt prompt;
    const char *parts[PARTS]; /* NULL: absent */
    size_t question, turns;   /* bytes that each may take */
};

static int add_message(struct builder *b, const char *role, const char *text)
{
    struct prompt *p = &b->prompt;
    require(p->n < PROMPT_MESSAGES_MAX);
    p->messages[p->n++] = (struct prompt_message) { role, text };
    return 0;
}

static const char *fenced(struct builder *b, const char *tag, const char *text)
{
    if (!text) {
        return NULL;
    }
    auto_buf struct buf out;
    buf_init(&out, PROMPT_TEXT_MAX);
    prompt_fence(&out, tag, text);
    return arena_strndup(b->arena, out.at, out.len);
}

static int render(struct builder *b, const char *file, const char *text,
                  const struct template_value *values, size_t n, const char **ret)
{
    auto_buf struct buf out;
    buf_init(&out, PROMPT_TEXT_MAX);
    int r = template_render(file, text, values, n, &out, b->err);
    if (r == 0) {
        *ret = arena_strndup(b->arena, out.len ? out.at : "", out.len);
    }
    return r;
}

static const char *source_of(struct builder *b, const struct candidate *candidate)
{
    return prompt_clean(b->arena, candidate->source, candidate->source_len);
}

static void collect(struct builder *b)
{
    const struct prompt_input *in = b->input;
    const char *reference = in->task->reference_source;
    b->parts[PART_REFERENCE]
        = prompt_clean(b->arena, reference ? reference : "", reference ? strlen(reference) : 0);
    b->parts[PART_PARENT] = in->parent ? source_of(b, in->parent) : NULL;
    b->parts[PART_PLAN] = in->parent ? prompt_plan(in->parent->plan, b->arena) : NULL;
    b->parts[PART_STRATEGIES] = prompt_strategies(in, b->arena);
    b->parts[PART_TRIED] = prompt_tried(in, b->arena);
    if (in->parent_verdict) {
        b->parts[PART_VERDICT] = prompt_verdict(in, b->arena);
    }
    const struct prompt_tried *best = prompt_best(in);
    if (best && best->candidate) {
        b->parts[PART_BEST] = source_of(b, best->candidate);
        b->parts[PART_BEST_PLAN] = prompt_plan(best->candidate->plan, b->arena);
    }
    if (in->example && in->choice->recall && prompt_example_is_new(in)) {
        b->parts[PART_EXAMPLE] = source_of(b, in->example->candidate);
        b->parts[PART_EXAMPLE_PLAN] = prompt_plan(in->example->candidate->plan, b->arena);
    }
}

/* Cuts the parts so that they and `fixed` bytes of frame stay within the question's room. */
static int fit(struct builder *b, size_t fixed)
{
    static const size_t shares[] = {
#define X(name, share) share,
        PART_LIST(X)
#undef X
    };
    struct prompt_share room[PARTS];
    if (fixed >= b->question) {
        return err_set(b->err, ERR_TOOBIG, "the prompt's fixed parts take %zu bytes, and the budget has "
                       "room for %zu: give it more tokens", fixed, b->question);
    }
    for (size_t i = 0; i < PARTS; i++) {
        room[i] = (struct prompt_share) { b->parts[i] ? strlen(b->parts[i]) : 0, shares[i], 0 };
    }
    prompt_divide(room, PARTS, b->question - fixed);
    for (size_t i = 0; i < PARTS; i++) {
        b->parts[i] = b->parts[i] ? prompt_cut(b->arena, b->parts[i], room[i].most) : NULL;
    }
    return 0;
}

static int build_state(struct builder *b, const char *device, const char **ret)
{
    const struct plan *plan = b->input->task->reference_plan;
    const char *language = b->input->task->oracle ? "python" : "cuda";
    const char *source = fenced(b, language, b->parts[PART_REFERENCE]);
    const char *launches
        = plan ? fenced(b, "json", prompt_plan(plan, b->arena)) : "";
    const struct template_value values[] = {
        { "device", device },
        { "task", prompt_task(b->input->task, b->arena) },
        { "reference", *b->parts[PART_REFERENCE]
                           ? prompt_join(b->arena, source, launches)
                           : "(a program beside, which isn't shown)\n" },
    };
    return render(b, "state.md", prompt_state_text, values, ARRAY_LEN(values), ret);
}

static const char *both(struct builder *b, enum part source, enum part plan)
{
    return b->parts[source] ? prompt_join(b->arena, fenced(b, "cuda", b->parts[source]),
                                          fenced(b, "json", b->parts[plan]))
                            : NULL;
}

/* "4, 34.97 us (modelled), by data-reuse / row-in-registers, ..." without what a model wrote. */
static const char *best_words(struct builder *b)
{
    const struct prompt_tried *best = prompt_best(b->input);
    if (!best) {
        return NULL;
    }
    bool made = best->direction && *best->direction;
    return arena_printf(b->arena, "%" PRId64 ", %.4g us%s%s%s%s%s%s%s", best->seq,
                        best->verdict->time.median_us, best->verdict->modelled ? " (modelled)" : "",
                        made ? ", by " : "", made ? best->direction : "",
                        best->strategy && *best->strategy ? " / " : "",
                        best->strategy ? prompt_line(b->arena, best->strategy, HTG_ID_MAX) : "",
                        best->values && *best->values ? ", with " : "",
                        best->values ? best->values : "");
}

static int build_step(struct builder *b, const char **ret)
{
    const struct prompt_input *in = b->input;
    struct arena *arena = b->arena;
    bool sampled = in->samples > 1;
    const struct prompt_example none = { "", "", NULL }, *e = in->example ? in->example : &none;
    const struct template_value values[] = {
        { "parent_seq", arena_printf(arena, "%" PRId64, in->parent_seq) },
        { "parent", fenced(b, "cuda", b->parts[PART_PARENT]) },
        { "plan", fenced(b, "json", b->parts[PART_PLAN]) },
        { "verdict", fenced(b, "", b->parts[PART_VERDICT]) },
        { "best_words", best_words(b) },
        { "best", both(b, PART_BEST, PART_BEST_PLAN) },
        { "direction", prompt_direction(in, arena) },
        { "strategies", b->parts[PART_STRATEGIES] },
        { "own", b->parts[PART_STRATEGIES] ? NULL : "" },
        { "example", both(b, PART_EXAMPLE, PART_EXAMPLE_PLAN) },
        { "example_strategy", prompt_line(arena, e->strategy, HTG_ID_MAX) },
        { "example_about", prompt_line(arena, e->about, 200) },
        { "tried", fenced(b, "", b->parts[PART_TRIED]) },
        { "goal", prompt_goal(in, arena) },
        { "tuner", prompt_tuner(in, arena) },
        { "sample", sampled ? arena_printf(arena, "%" PRId64, in->sample + 1) : NULL },
        { "samples", arena_printf(arena, "%" PRId64, in->samples) },
        { "first", in->sample == 0 ? "" : NULL },
        { "other", in->sample == 0 ? NULL : "" },
    };
    return render(b, "step.md", prompt_step_text, values, ARRAY_LEN(values), ret);
}

/* Frame first, with the parts empty, to know what it takes; then the whole. */
static int build_question(struct builder *b)
{
    const char *state, *step, *whole[PARTS];
    const char *device = prompt_device(b->input, b->arena, b->err);
    if (!device) {
        return b->err ? b->err->code : ERR_INVALID;
    }
    collect(b);
    memcpy(whole, b->parts, sizeof(whole));
    for (size_t i = 0; i < PARTS; i++) {
        b->parts[i] = b->parts[i] ? (i == PART_REFERENCE ? "-" : "") : NULL;
    }
    int r = build_state(b, device, &state);
    r = r < 0 ? r : build_step(b, &step);
    if (r < 0) {
        return r;
    }
    memcpy(b->parts, whole, sizeof(whole));
    r = fit(b, strlen(state) + strlen(step) + strlen(prompt_contract_text));
    r = r < 0 ? r : build_state(b, device, &state);
    r = r < 0 ? r : build_step(b, &step);
    if (r < 0) {
        return r;
    }
    b->prompt.stable = strlen(state);
    add_message(b, "system", prompt_contract_text);
    return add_message(b, "user", prompt_join(b->arena, state, step));
}

/* The template has a part for each status. */
static int render_repair(struct builder *b, const struct verdict *v, size_t most, const char **ret)
{
    struct arena *arena = b->arena;
    const char *detail = v->detail ? v->detail : "";
    detail = prompt_cut(arena, prompt_clean(arena, detail, strlen(detail)), most);
    const struct template_value values[] = {
        { "status", verdict_status_name(v->status) },
        { "phase", prompt_line(arena, v->phase && *v->phase ? v->phase : "no phase", 40) },
        { "detail", fenced(b, "", detail) },
#define X(name, word) { word, v->status == VERDICT_STATUS_##name ? "" : NULL },
        VERDICT_STATUS_LIST(X)
#undef X
    };
    return render(b, "repair.md", prompt_repair_text, values, ARRAY_LEN(values), ret);
}

static int build_turn(struct builder *b, const struct prompt_turn *turn, size_t reply_most,
                      size_t words_most)
{
    struct arena *arena = b->arena;
    const char *reply = prompt_clean(arena, turn->reply, turn->reply_len), *text = NULL;
    reply = prompt_cut(arena, *reply ? reply : "(nothing)\n", reply_most);
    int r;
    if (turn->correction) {
        const char *request = prompt_clean(arena, turn->correction, strlen(turn->correction));
        const struct template_value values[]
            = { { "request", fenced(b, "", prompt_cut(arena, request, words_most)) } };
        r = render(b, "correction.md", prompt_correction_text, values, ARRAY_LEN(values), &text);
    } else if (turn->verdict) {
        r = render_repair(b, turn->verdict, words_most, &text);
    } else {
        return err_set(b->err, ERR_INVALID, "a turn has neither correction nor verdict");
    }
    if (r == 0) {
        add_message(b, "assistant", reply);
        add_message(b, "user", text);
    }
    return r;
}

static int build_turns(struct builder *b)
{
    const struct prompt_input *in = b->input;
    struct prompt_share room[2 * PROMPT_TURNS_MAX];
    if (in->n_turns > PROMPT_TURNS_MAX) {
        return err_set(b->err, ERR_INVALID, "%zu turns, %d at most", in->n_turns, PROMPT_TURNS_MAX);
    }
    for (size_t i = 0; i < in->n_turns; i++) {
        const struct prompt_turn *t = &in->turns[i];
        const char *words = t->correction ? t->correction
                            : t->verdict && t->verdict->detail ? t->verdict->detail : "";
        room[2 * i] = (struct prompt_share) { t->reply_len + 16, 3, 0 };
        room[2 * i + 1] = (struct prompt_share) { strlen(words), 1, 0 };
    }
    prompt_divide(room, 2 * in->n_turns, b->turns);
    int r = 0;
    for (size_t i = 0; r == 0 && i < in->n_turns; i++) {
        r = build_turn(b, &in->turns[i], room[2 * i].most, room[2 * i + 1].most);
    }
    return r;
}

static int check_input(const struct prompt_input *in, struct err *err)
{
    const struct choice *choice = in->choice;
    if (!in->task || !in->device || !in->htg || !choice
        || choice->picked >= choice->n_directions) {
        return err_set(err, ERR_INVALID, "a prompt needs task, device, graph and choice");
    }
    if (in->budget_tokens && in->budget_tokens < PROMPT_BUDGET_MIN) {
        return err_set(err, ERR_INVALID, "a prompt of %" PRId64 " tokens, it takes at least %d",
                       in->budget_tokens, PROMPT_BUDGET_MIN);
    }
    return 0;
}

static void finish(struct prompt *p)
{
    struct id_part parts[2 * PROMPT_MESSAGES_MAX];
    size_t bytes = 0;
    for (size_t i = 0; i < p->n; i++) {
        const struct prompt_message *m = &p->messages[i];
        parts[2 * i] = (struct id_part) { m->role, strlen(m->role) };
        parts[2 * i + 1] = (struct id_part) { m->text, strlen(m->text) };
        bytes += parts[2 * i + 1].len;
    }
    struct id id;
    id_of_parts(parts, 2 * p->n, &id);
    id_hex(&id, p->id);
    p->tokens = (int64_t)ceil((double)bytes / PROMPT_BYTES_PER_TOKEN);
}

int prompt_build(const struct prompt_input *input, struct arena *arena, struct prompt *ret,
                 struct err *err)
{
    int r = check_input(input, err);
    if (r < 0) {
        return r;
    }
    double tokens = (double)(input->budget_tokens ? input->budget_tokens : PROMPT_BUDGET);
    double bytes = MIN(tokens * PROMPT_BYTES_PER_TOKEN, (double)PROMPT_TEXT_MAX / 4);
    struct builder b = { .input = input, .arena = arena, .err = err,
                         .question = (size_t)(bytes * (1 - turns_share)),
                         .turns = (size_t)(bytes * turns_share) };
    r = build_question(&b);
    r = r < 0 ? r : build_turns(&b);
    if (r == 0) {
        finish(&b.prompt);
        *ret = b.prompt;
    }
    return r;
}

char *prompt_text(const struct prompt *prompt, struct arena *arena)
{
    auto_buf struct buf out;
    buf_init(&out, 4 * PROMPT_TEXT_MAX);
    for (size_t i = 0; i < prompt->n; i++) {
        buf_printf(&out, "%s=== %s ===\n\n", i ? "\n" : "", prompt->messages[i].role);
        buf_puts(&out, prompt->messages[i].text);
    }
    return arena_strndup(arena, out.len ? out.at : "", out.len);
}
