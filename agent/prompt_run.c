/* SPDX-License-Identifier: MIT */
/* Who is who in a run: the best, the parent's ancestors, what an example would only repeat. */
#include "agent/prompt_parts.h"
#include "base/util.h"

#include <string.h>

bool prompt_accepted(const struct prompt_tried *t)
{
    return t && t->verdict && t->verdict->status == VERDICT_STATUS_ACCEPTED && t->verdict->time.n;
}

const struct prompt_tried *prompt_find_tried(const struct prompt_input *input, int64_t seq)
{
    for (size_t i = 0; i < input->n_tried; i++) {
        if (input->tried[i].seq == seq) {
            return &input->tried[i];
        }
    }
    return NULL;
}

const struct prompt_tried *prompt_best(const struct prompt_input *input)
{
    const struct verdict *v = input->parent_verdict;
    const struct prompt_tried *best = NULL;
    for (size_t i = 0; i < input->n_tried; i++) {
        const struct prompt_tried *t = &input->tried[i];
        best = prompt_accepted(t)
                && (!best || t->verdict->time.median_us < best->verdict->time.median_us) ? t : best;
    }
    bool faster = best && v && best->seq != input->parent_seq
        && (v->status != VERDICT_STATUS_ACCEPTED || v->time.n == 0
            || best->verdict->time.median_us < v->time.median_us);
    return faster ? best : NULL;
}

static bool same_source(const struct candidate *a, const struct candidate *b)
{
    return a && b && a->source_len == b->source_len && memcmp(a->source, b->source, a->source_len) == 0;
}

static bool repeats(const struct candidate *example, const struct prompt_tried *t)
{
    return t && (id_eq(&example->id, &t->id) || same_source(example, t->candidate));
}

bool prompt_example_is_new(const struct prompt_input *input)
{
    const struct candidate *example = input->example->candidate;
    const struct candidate *parent = input->parent;
    if ((parent && (id_eq(&example->id, &parent->id) || same_source(example, parent)))
        || repeats(example, prompt_best(input))) {
        return false;
    }
    const struct prompt_tried *t = prompt_find_tried(input, input->parent_seq);
    for (size_t guard = 0; t && guard < input->n_tried; guard++) {
        if (repeats(example, t)) {
            return false;
        }
        t = t->parent >= 0 ? prompt_find_tried(input, t->parent) : NULL;
    }
    return true;
}
