#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * Sealing: after start-up a worker gives up what it no longer needs, because it goes on to handle
 * text and code that a model wrote. Landlock takes the file system away (but for the folders
 * named), seccomp takes away starting programs, sockets, tracing and looking into other processes.
 * Neither can be undone. no_new_privs must be set before.
 *
 * Threads that started earlier (a GPU driver's) stay outside Landlock; seccomp reaches them too
 * (TSYNC).
 */
#include <stdbool.h>
#include <stddef.h>
#include "base/err.h"

struct seal {
    int landlock; /* ABI version in force, 0: the kernel has none */
    bool seccomp;
};

/* Files under the n folders of `readable` can still be read, nothing else opened or made. A kernel
 * without Landlock isn't an error (ret->landlock is 0); a rule that can't be set up is. */
int seal_process(const char *const *readable, size_t n, struct seal *ret, struct err *err);

/* No core files, few descriptors; a cap on address space where `memory` is not 0. */
void seal_limits(size_t memory);

/* Overwrites the environment's text, which could be read back from /proc/self/environ. Nothing that
 * getenv gave before may be used after. */
void seal_environment(void);

/* This process ends after `seconds` more of CPU time than it has used. */
void seal_cpu_seconds(unsigned seconds);
