#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * The inside of libwarpsim.so's CUDA Driver API. The API is one object for each process by
 * contract (cuInit, the primary context), so this is the one place in the project with state of its
 * own: `struct driver`, reached through driver_enter, which takes its lock, checks what every entry
 * point checks and answers the sticky error once there is one.
 *
 * Work is done when it is submitted; a stream holds nothing back. The device has one clock, in
 * modelled nanoseconds, that every operation moves on in the order of submission: operations never
 * overlap, also those of different streams. An operation that captures goes into its graph instead.
 */
#include <cuda.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "evaluator/sim/exec.h"
#include "evaluator/sim/launch.h"
#include "evaluator/sim/machine.h"
#include "evaluator/sim/model.h"
#include "evaluator/sim/threads.h"
#include "evaluator/sim/ptx.h"
#include "evaluator/sim/vmem.h"
#include "evaluator/sim/warpsim.h"

#define DRIVER_API __attribute__((visibility("default")))
#define DRIVER_VERSION 13000

struct driver_function {
    uint32_t magic;
    struct driver_module *module;
    const struct ptx_kernel *kernel;
    struct exec_program *program; /* NULL until first needed */
    struct exec_program_info info;
    char *refused; /* why there is no program, or NULL */
    unsigned max_dynamic_shared;
};

struct driver_module {
    uint32_t magic;
    struct ptx_module *ptx;
    struct driver_function *functions; /* one for each of ptx's kernels */
    struct driver_module *next;
};

struct driver_host { /* backed by device memory, so that kernels can reach it too */
    uint64_t addr;
    uint8_t *host;
    struct driver_host *next;
};

struct CUgraph_st { /* operations in the order they were captured */
    struct driver_op *ops;
    size_t n, cap;
};

struct CUstream_st {
    uint32_t magic;
    struct CUgraph_st *capture; /* NULL when it doesn't capture */
    struct CUstream_st *next;
};

struct CUevent_st {
    uint32_t magic;
    bool recorded, timed;
    double at; /* modelled ns */
};

enum driver_op_kind {
    DRIVER_OP_LAUNCH,
    DRIVER_OP_FILL,
    DRIVER_OP_COPY,
    DRIVER_OP_EVENT,
    DRIVER_OP_WRITE
};

struct driver_op {
    enum driver_op_kind kind;
    union {
        struct {
            struct driver_function *function;
            uint32_t grid[3], block[3], shared;
            bool cooperative, programmatic;
            uint8_t *params; /* param_size bytes, owned */
        } launch;
        struct {
            uint64_t addr, size;
            uint32_t value;
            unsigned width;
        } fill;
        struct { /* either side: a device address or a host pointer */
            uint64_t dst, src, size;
            bool dst_host, src_host;
        } copy;
        struct CUevent_st *event;
        struct {
            uint64_t addr, value;
            unsigned width;
        } write;
    };
};

struct driver {
    bool initialised;
    const struct machine *machine;
    struct vmem *mem;
    struct threads *threads;
    struct launcher *launcher;
    unsigned retained; /* of the primary context */
    CUresult sticky;
    struct CUstream_st default_stream;
    struct CUstream_st *streams;
    struct driver_module *modules;
    struct driver_host *hosts; /* page-locked host memory */
    struct model_cache cache;
    double now; /* modelled ns */
    bool after_event; /* the next operation is the first behind an event */
    unsigned sample_blocks, checks;
    uint64_t stack_limit;
    uint64_t grid_workspace; /* device address, 0 until a cooperative launch needs it */
    bool has_counters;
    struct warpsim_counters counters;
    char diagnosis[1024];
};

enum driver_magic {
    DRIVER_FUNCTION = 0x66756e63,
    DRIVER_MODULE = 0x6d6f6475,
    DRIVER_STREAM = 0x73747265,
    DRIVER_EVENT = 0x6576656e
};

enum driver_need { DRIVER_NEEDS_INIT, DRIVER_NEEDS_CONTEXT };

/* Takes the lock, or returns what the entry point must answer. */
CUresult driver_enter(enum driver_need need, struct driver **ret_driver);
void driver_leave(struct driver **driver);

/* Opens a function's body: `d` is the locked driver from here to the end of the scope. */
#define DRIVER_ENTER(d, need)                                                                      \
    struct driver *d __attribute__((cleanup(driver_leave))) = NULL;                                \
    do {                                                                                           \
        CUresult entered_ = driver_enter(need, &d);                                                \
        if (entered_ != CUDA_SUCCESS)                                                              \
            return entered_;                                                                       \
    } while (0)

/* Non-zero while warpsim_stop wants the running launch to end. */
const volatile int *driver_stop_flag(void);

void driver_diagnose(struct driver *d, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Handles: the struct, or NULL where the handle is none of ours. */
struct CUstream_st *driver_stream(struct driver *d, CUstream handle);
struct driver_function *driver_function(CUfunction handle);

/* Does op now, or puts it into the graph that the stream captures; takes over what op owns. */
CUresult driver_submit(struct driver *d, CUstream stream, struct driver_op *op);
CUresult driver_perform(struct driver *d, const struct driver_op *op, bool in_graph);
void driver_op_done(struct driver_op *op);
CUresult driver_graph_add(struct CUgraph_st *graph, struct driver_op *op);
void driver_graph_free(struct CUgraph_st *graph);
CUresult driver_perform_launch(struct driver *d, const struct driver_op *op, bool in_graph);

/* The function's program, decoded when first asked for; NOT_SUPPORTED with a diagnosis. */
CUresult driver_function_load(struct driver *d, struct driver_function *f);
unsigned driver_function_regs(const struct driver_function *f);
unsigned driver_function_shared(const struct driver_function *f);
unsigned driver_function_max_threads(const struct driver *d, const struct driver_function *f);

void driver_modules_free(struct driver *d);
void driver_streams_free(struct driver *d);
void driver_hosts_free(struct driver *d);

/* Maps a negative errno or ERR_* of the simulator's parts. */
CUresult driver_result(int err);
