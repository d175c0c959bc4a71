#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * Compiled images by content: the same source, options, architecture and compiler are compiled
 * once. Results are kept in memory and, if a folder is given, on disk (checked by hash when read
 * back, so a damaged file is only a miss). Requests for something being compiled wait for it.
 */
#include <jansson.h>
#include <stdbool.h>
#include "base/id.h"
#include "evaluator/pool.h"

struct compiler;
struct compile_ticket;

enum { COMPILE_MEMORY_MAX = 256 << 20 }; /* bytes of images kept in memory */

struct image {
    struct id key;
    bool ok;
    const char *log; /* the compiler's messages; "" if none */
    const void *bytes;
    size_t len;
    const json_t *kernels; /* {"softmax": {"registers": .., "spill_bytes": .., "shared": ..}} */
    const json_t *findings; /* what the PTX does that a gate may refuse: worker/refuse.h */
    double seconds;        /* of the compile, also when it came from the cache */
    bool cached;
};

struct compile_request {
    const char *name; /* for messages: "kernel.cu" */
    const char *source;
    const char *const *options;
    size_t n_options;
    uint64_t deadline_ms;
};

/* `image` lives until the callback returns; code < 0: no image, see `error`. */
typedef void (*compile_cb)(void *ud, int code, const struct image *image, const char *error);

/* Borrows the pool. `ptx`: images are PTX text for the simulator, else cubins for `arch`. */
struct compiler *compiler_new(struct pool *pool, const char *arch, bool ptx, const char *folder);
/* After the pool was closed: what waited has been called by then. NULL is fine. */
void compiler_free(struct compiler *compiler);

/* An image in memory or on disk comes before this returns (NULL), any other from the loop. */
struct compile_ticket *compiler_get(struct compiler *compiler,
                                    const struct compile_request *request, compile_cb done,
                                    void *ud);
/* No callback any more; the compile itself goes on for whoever else waits. NULL is fine. */
void compile_cancel(struct compile_ticket *ticket);
