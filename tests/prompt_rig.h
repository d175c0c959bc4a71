#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * What tests of prompts share: a softmax on an H200 with a parent, its verdict, three attempts, a
 * worked example and the seed memory, ready for prompt_build; and ways to look into its text.
 * A test changes the rig's members before it builds. Verdicts and attempts are the rig's own, so
 * pointers to them hold until rig_done.
 */
#include "agent/prompt.h"

struct rig {
    struct arena *arena;
    struct task *task;
    struct candidate *parent, *other, *best; /* of one family; `other` is the example's */
    struct htg *htg;
    struct choice *choice;
    struct device_info device;
    struct verdict verdict, failed;
    struct prompt_tried tried[3];
    struct prompt_example example;
    struct prompt_input input;
};

void rig_init(struct rig *rig);
void rig_done(struct rig *rig);
/* The choice of a step in this direction, with its strategies recalled. */
void rig_choose(struct rig *rig, const char *direction);
/* Fails the test where it can't be built. */
void rig_build(struct rig *rig, struct prompt *ret);

void assert_has(const char *text, const char *part);
/* Each after the one before. */
void assert_order(const char *text, const char *const *parts, size_t n);
