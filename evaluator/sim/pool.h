#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * A few host threads that all run one function at a time. They are started once, when the device is
 * opened, so that a process may forbid itself new threads afterwards.
 */
struct pool;

/* threads includes the caller of pool_run; 0 means one for each online processor. Fewer are used
 * when the system refuses to start them all. */
int pool_new(unsigned threads, struct pool **ret_pool);
void pool_free(struct pool *pool); /* NULL is fine */

unsigned pool_threads(const struct pool *pool);

/* Runs fn(arg, i) for every thread i, the caller as thread 0, and returns when all have returned.
 */
void pool_run(struct pool *pool, void (*fn)(void *arg, unsigned thread), void *arg);
