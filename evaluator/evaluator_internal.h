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
};

/* The gate's own device code (evaluator/worker/gate.cu), built into this library. */
const char *gate_source(void);
