#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * A few host threads that all run one function at a time. They are started once, when the device is
 * opened, so that a process may forbid itself new threads afterwards.
 */
struct threads;

/* count includes the caller of threads_run; 0 means one for each online processor. Fewer are used
 * when the system refuses to start them all. */
int threads_new(unsigned count, struct threads **ret_threads);
void threads_free(struct threads *threads); /* NULL is fine */

unsigned threads_count(const struct threads *threads);

/* Runs fn(arg, i) for every thread i, the caller as thread 0, and returns when all have returned.
 */
void threads_run(struct threads *threads, void (*fn)(void *arg, unsigned thread), void *arg);
