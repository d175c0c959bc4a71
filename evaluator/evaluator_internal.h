#pragma once
/* SPDX-License-Identifier: MIT */
/* Shared by evaluator.c (opening, device) and judge.c. */
#include "evaluator/compiler.h"
#include "evaluator/evaluator.h"
#include "evaluator/pool.h"

struct evaluator {
    uv_loop_t *loop;
    struct log log;
    struct pool *compile_pool, *device_pool;
    struct compiler *compiler;
    struct device_info device;
    struct judgement *live; /* list, for close */
    struct pytorch *oracle;
    int exchange[2]; /* sockets: the device worker's and the oracle's end; 0: none */
    /* How workers of this device are started: program, library, number, environment. */
    char *worker, *driver, *index, *env_device;
};

/* Workers for the device; `profile` NULL: the one that judges, else as in worker/device.h. */
int evaluator_device_pool(const struct evaluator *evaluator, const char *profile, struct pool **ret,
                          struct err *err);

/* The gate's own device code (evaluator/worker/gate.cu), built into this library. */
const char *gate_source(void);
/* That of evaluator/worker/peaks.cu. */
const char *peaks_source(void);
