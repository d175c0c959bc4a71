#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * The parts of a plan that plan.c hands on: the ranges of its tunables, its launches, its compile
 * options. Internal to this folder. Each reads one member of the document into `plan`; memory comes
 * from the arena; a fault is ERR_INVALID with the path.
 */
#include "kernelbench/plan.h"

/* Writes {"list": {"of": RANGE, "n": k}} of "space" as k ranges NAME_0, NAME_1, ..., and the list's values
   in "params" (one for all, or k of them) likewise; before either is read. */
int plan_expand_lists(json_t *doc, const struct jpath *at, struct arena *arena, struct err *err);

/* "space": after "params", whose values it checks against the ranges. */
int plan_space(const json_t *doc, const struct jpath *at, struct arena *arena, struct plan *plan,
               struct err *err);

/* "launches" and "prepare". */
int plan_launches(const json_t *doc, const struct jpath *at, struct arena *arena, struct plan *plan,
                  struct err *err);

/* One step with "library" in it. */
int plan_library(const json_t *step, const struct jpath *at, struct arena *arena, struct plan_launch *launch,
                 struct err *err);

/* "compile": every option must be on the allow-list. */
int plan_compile(const json_t *doc, const struct jpath *at, struct arena *arena, struct plan *plan,
                 struct err *err);
