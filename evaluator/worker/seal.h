#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * Sealing: after start-up a worker gives up what it no longer needs, because it goes on to handle
 * text and code that a model wrote. Landlock takes the file system away (but for the folders
 * named), seccomp takes away starting programs, sockets, tracing and looking into other processes.
 * Neither can be undone. no_new_privs must be set before. Where Landlock knows the network (ABI 4) and
 * signals and abstract sockets (ABI 6) it takes those, too, though seccomp has them already.
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
    char memory[160]; /* what caps it: "cgroup", or "watchdog (no cgroup: why)"; "": nothing does */
};

/* Files under the n folders of `readable` can still be read, nothing else opened or made. A kernel
 * without Landlock isn't an error (ret->landlock is 0); a rule that can't be set up is. */
int seal_process(const char *const *readable, size_t n, struct seal *ret, struct err *err);

/* No core files, no file that grows, few descriptors, no message queues. */
void seal_limits(void);

/* Ends this process when it has taken more than `bytes` of memory. Resident memory is what counts:
 * NVRTC reserves gigabytes of address space for each core, so that can't be capped. */
int seal_memory(size_t bytes, struct err *err);

/* Puts this process into a cgroup of its own that may take `bytes` of memory and no swap, where a
 * writable cgroup v2 with the memory controller was delegated to us. ERR_UNSUPPORTED says what is
 * missing. Empty cgroups of workers before are removed. Before sealing. */
int seal_cgroup(size_t bytes, struct err *err);

/* Overwrites the environment's text, which could be read back from /proc/self/environ. Nothing that
 * getenv gave before may be used after. */
void seal_environment(void);

/* This process ends after `seconds` more of CPU time than it has used. */
void seal_cpu_seconds(unsigned seconds);
