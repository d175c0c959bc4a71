/* SPDX-License-Identifier: MIT */
/* What the parts of a prompt say: direction, strategies, what was tried, what is asked for. */
#include "agent/prompt_parts.h"
#include "base/util.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

enum { LINE_MAX_BYTES = 240, TITLE_MAX_BYTES = 100, TRIED_SHOWN = 60 };

static char *settled(const struct buf *out, struct arena *arena)
{
    return arena_strndup(arena, out->len ? out->at : "", out->len);
}

static const char *picked(const struct prompt_input *input)
{
    return input->choice->directions[input->choice->picked].id;
}

char *prompt_direction(const struct prompt_input *input, struct arena *arena)
{
    auto_buf struct buf out;
    buf_init(&out, 256 << 10);
    const char *id = picked(input);
    int index = htg_find_direction(input->htg, id);
    const struct htg_direction *d = index < 0 ? NULL : htg_direction(input->htg, (size_t)index);
    buf_printf(&out, "%s (%s)\n%s\n", d ? d->title : id, id, d ? d->summary : "");
    const char *from = input->parent_direction && *input->parent_direction ? input->parent_direction
                                                                           : HTG_START;
    const struct htg_transition *t = htg_find_transition(input->htg, from, id);
    if (t && input->choice->recall) {
        buf_printf(&out, "%s %s this pays when: %s Why: %s Risk: %s\n",
                   str_eq(from, HTG_START) ? "From the" : "After", from, t->when, t->why, t->risk);
    }
    buf_puts(&out, "If it doesn't fit this kernel, the others are: ");
    for (size_t i = 0, n = 0; i < htg_directions(input->htg); i++) {
        const char *other = htg_direction(input->htg, i)->id;
        if (!str_eq(other, id)) {
            buf_printf(&out, "%s%s", n++ ? ", " : "", other);
        }
    }
    buf_puts(&out, ".\n");
    return prompt_clean(arena, out.at, out.len);
}

static void add_list(struct buf *out, const char *label, const struct htg_list *list)
{
    for (size_t i = 0; i < list->n; i++) {
        buf_printf(out, "%s%s", i ? ", " : label, list->at[i]);
    }
    buf_puts(out, list->n ? "\n" : "");
}

/* Experience in words: what the estimate rests on. */
static void add_experience(struct buf *out, const struct estimate *e)
{
    static const char *const where[] = { "for this family, bottleneck and architecture",
                                         "for this bottleneck", "anywhere" };
    if (e->level < CONTEXT_RUNGS) {
        const struct tally *t = &e->rung[e->level];
        buf_printf(out, "Experience: %.0f times %s, %.2fx its parent on the mean, failures counted.\n",
                   (double)t->n, where[e->level], exp(t->mean));
    }
}

static void add_strategy(struct buf *out, const struct htg_strategy *s,
                         const struct choice_strategy *ranked, struct arena *arena)
{
    auto_buf struct buf text;
    buf_init(&text, 128 << 10);
    buf_printf(&text, "%s\n", s->guidance);
    if (s->pitfalls && *s->pitfalls) {
        buf_printf(&text, "Pitfalls: %s\n", s->pitfalls);
    }
    add_list(&text, "Tunables to expose: ", &s->tunables);
    add_experience(&text, &ranked->estimate);
    const char *clean = prompt_clean(arena, text.at, text.len);
    const char *title = prompt_line(arena, s->title, TITLE_MAX_BYTES);
    buf_printf(out, "## %s: %s\n\n", s->id, s->state == HTG_STATE_SEED ? title : "a learned strategy");
    if (s->state == HTG_STATE_SEED) {
        buf_printf(out, "%s\n", clean);
    } else { /* a model wrote it */
        prompt_fence(out, "", arena_printf(arena, "%s\n%s", title, clean));
        buf_puts(out, "\n");
    }
}

char *prompt_strategies(const struct prompt_input *input, struct arena *arena)
{
    const struct choice *choice = input->choice;
    auto_buf struct buf out;
    buf_init(&out, PROMPT_TEXT_MAX);
    for (size_t i = 0; choice->recall && i < choice->n_recalled && i < choice->n_strategies; i++) {
        int index = htg_find_strategy(input->htg, choice->strategies[i].id);
        if (index >= 0) {
            add_strategy(&out, htg_strategy(input->htg, (size_t)index), &choice->strategies[i], arena);
        }
    }
    while (out.len > 1 && out.at[out.len - 1] == '\n' && out.at[out.len - 2] == '\n') {
        out.at[--out.len] = '\0';
    }
    return out.len ? settled(&out, arena) : NULL;
}

static void add_time(struct buf *out, const struct verdict *v)
{
    buf_printf(out, "%.4g us%s", v->time.median_us, v->modelled ? " (modelled)" : "");
}

/* "1x" would hide what a few hundredths are. */
static void add_gain(struct buf *out, double ratio)
{
    if (ratio >= 1.5) {
        buf_printf(out, ", %.3gx as fast as its parent", ratio);
    } else {
        buf_printf(out, ", %+.1f %% time against its parent", 100 * (1 / ratio - 1));
    }
}

static void add_outcome(struct buf *out, const struct prompt_input *input,
                        const struct prompt_tried *t, struct arena *arena)
{
    const struct verdict *v = t->verdict;
    if (!v) {
        buf_printf(out, "no candidate: %s", prompt_line(arena, t->why ? t->why : "", LINE_MAX_BYTES));
    } else if (prompt_accepted(t)) {
        const struct prompt_tried *parent = prompt_find_tried(input, t->parent);
        buf_puts(out, "accepted, ");
        add_time(out, v);
        if (prompt_accepted(parent)) {
            add_gain(out, parent->verdict->time.median_us / v->time.median_us);
        }
        if (v->registers) {
            buf_printf(out, ", %d registers, occupancy %.0f %%", v->registers, 100 * v->occupancy);
        }
        buf_printf(out, ", %s", bottleneck_name(v->bottleneck));
    } else {
        buf_printf(out, "%s in %s: %s", verdict_status_name(v->status), v->phase ? v->phase : "",
                   prompt_line(arena, v->detail ? v->detail : "", LINE_MAX_BYTES));
    }
    buf_puts(out, t->same ? " (the same candidate as an earlier one)\n" : "\n");
}

char *prompt_tried(const struct prompt_input *input, struct arena *arena)
{
    auto_buf struct buf out;
    buf_init(&out, PROMPT_TEXT_MAX);
    size_t first = input->n_tried > TRIED_SHOWN ? input->n_tried - TRIED_SHOWN : 0;
    if (first) {
        buf_printf(&out, "(%zu earlier attempts aren't listed)\n", first);
    }
    for (size_t i = first; i < input->n_tried; i++) {
        const struct prompt_tried *t = &input->tried[i];
        bool titled = t->title && *t->title && !str_eq(t->title, t->strategy);
        const char *title = titled ? prompt_line(arena, t->title, TITLE_MAX_BYTES) : "";
        buf_printf(&out, "#%" PRId64, t->seq);
        if (t->parent >= 0) {
            buf_printf(&out, " from #%" PRId64 " by %s", t->parent, t->direction);
        }
        if (t->strategy && *t->strategy) {
            buf_printf(&out, " / %s", t->strategy);
        }
        if (*title) {
            buf_printf(&out, " \"%s\"", title);
        }
        if (t->values && *t->values) {
            buf_printf(&out, " with %s", t->values);
        }
        buf_puts(&out, ": ");
        add_outcome(&out, input, t, arena);
    }
    return out.len ? settled(&out, arena) : NULL;
}

char *prompt_goal(const struct prompt_input *input, struct arena *arena)
{
    const struct verdict *v = input->parent_verdict;
    const char *id = picked(input);
    auto_buf struct buf out;
    buf_init(&out, 4096);
    if (v && v->status == VERDICT_STATUS_ACCEPTED && v->time.n) {
        buf_puts(&out, "Write a kernel that is right at every shape and faster than the parent's ");
        add_time(&out, v);
        buf_printf(&out, " at the default shape, by a step in the direction %s.", id);
    } else if (!input->parent) {
        buf_printf(&out, "There is no kernel yet that is right. Write one that computes what the reference does, from "
                         "scratch: right first, then fast, with an eye to the direction %s.", id);
    } else {
        buf_printf(&out, "The parent isn't right yet. Write a kernel that is right at every shape, by a "
                         "step in the direction %s; then fast.", id);
    }
    const struct prompt_tried *best = prompt_best(input);
    if (best) {
        buf_printf(&out, " The parent isn't the best so far: that is attempt %" PRId64 " with ",
                   best->seq);
        add_time(&out, best->verdict);
        buf_puts(&out, ", shown above. The target is to be faster than it.");
    }
    return settled(&out, arena);
}

char *prompt_tuner(const struct prompt_input *input, struct arena *arena)
{
    if (input->tune_budget <= 0) {
        return arena_strdup(arena, "Nothing is tuned here: the plan's own values count, so choose them well.");
    }
    return arena_printf(arena, "The tuner measures up to %" PRId64 " combinations of your plan's space, "
                        "its own values first.", input->tune_budget);
}
