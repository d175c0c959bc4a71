#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * One group of parameters that rules tie together, and walks over its combinations. For tune_solve.c
 * (groups and what is made of them), tune_walk.c (lists, contradictions) and tune_walk_draw.c (what is
 * too large to list) alone.
 */
#include "agent/tune/tune_solve.h"

struct tune_group {
    size_t n, n_rules;
    uint8_t param[TUNE_PARAMS_MAX];  /* in the order they are set */
    uint8_t rule[TUNE_RULES_MAX];    /* in their own order */
    uint64_t ready[TUNE_PARAMS_MAX]; /* bit k: rule[k] can be asked once this one is set */
    uint16_t *rows;                  /* NULL: a free parameter, or too many */
    size_t n_rows;                   /* 0: too many */
    double estimate;                 /* of their number, then */
    bool hits;                       /* and whether drawing freely finds enough */
};

/* Where each parameter may still be, both ends included. */
struct tune_box {
    uint16_t lo[TUNE_PARAMS_MAX], hi[TUNE_PARAMS_MAX];
};

/* A walk over one group's combinations. */
struct tune_walk {
    const struct tune_rules *rules;
    const struct tune_group *group;
    uint64_t asked; /* which of the group's rules count */
    uint16_t config[TUNE_PARAMS_MAX];
    size_t visits, most;
    bool first_only, cut;
    uint16_t *rows;
    size_t n_rows, room;
    struct err *err;
};

/* 1 kept, 0 broken, negative: a rule can't be evaluated, and no other is broken. */
int tune_walk_keeps(struct tune_walk *w);
/* The box of all combinations, narrowed; false: there are none. */
bool tune_walk_begin(struct tune_walk *w, struct tune_box *ret);
/*
 * Sets the parameter of this depth, by config and box, and narrows the box. False if a rule that is
 * ready now is broken, or another one can't hold any more. One that can't be evaluated isn't yet held
 * against the combination: another may forbid it; *unsure says to ask all at the end.
 */
bool tune_walk_set(struct tune_walk *w, size_t depth, uint16_t value, struct tune_box *box,
                   bool *unsure);
/* Lists the group's combinations, 0 or an error of a rule; w->cut: it took too long. */
int tune_walk_list(struct tune_walk *w);
/* A smallest set of rules that nothing keeps, by their numbers; 0 if it wasn't found. */
uint64_t tune_walk_conflict(const struct tune_rules *rules, const struct tune_group *group);

/* How a group that is too large to list is drawn from, and about how large it is. */
void tune_walk_look(const struct tune_rules *rules, struct tune_group *group);
/* 0 or ERR_NOTFOUND; sets the group's parameters in `config`. */
int tune_walk_draw(const struct tune_rules *rules, const struct tune_group *group, struct rng *rng,
                   uint16_t *config);
