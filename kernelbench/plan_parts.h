#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * The parts of a plan that plan.c hands on: the ranges of its tunables, its launches, its compile
 * options. Internal to this folder. Each reads one member of the document into `plan`; memory comes
 * from the arena; a fault is ERR_INVALID with the path.
 */
#include "kernelbench/plan.h"

/* "space": after "params", whose values it checks against the ranges. */
int plan_space(const json_t *doc, const struct jpath *at, struct arena *arena, struct plan *plan,
               struct err *err);

/* "launches" and "prepare". */
int plan_launches(const json_t *doc, const struct jpath *at, struct arena *arena, struct plan *plan,
                  struct err *err);

/* "compile": every option must be on the allow-list. */
int plan_compile(const json_t *doc, const struct jpath *at, struct arena *arena, struct plan *plan,
                 struct err *err);
