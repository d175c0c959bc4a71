#pragma once
/* SPDX-License-Identifier: MIT */
/* What library.c shares with the files that know one library each. */
#include "evaluator/worker/library.h"

struct library_workspace {
    CUdeviceptr at;
    size_t size;
};

/* A library that is loaded; each step that it opens comes with what it needs to run. */
struct library_ops {
    /* `library` is a handle of dlopen. */
    int (*load)(void *library, void **ret_state, char *ret_version, size_t size, struct err *err);
    int (*open)(void *state, const struct library_workspace *workspace, enum dtype dtype, const int64_t *args,
                void **ret_step, struct err *err);
    /* The addresses of a step's buffers stand where its arguments have buffers; 0: none. */
    int (*run)(void *state, void *step, const CUdeviceptr *at, CUstream stream, struct err *err);
    void (*close)(void *state, void *step);
    void (*unload)(void *state);
};

extern const struct library_ops library_cublaslt, library_cudnn;

/* Fills a struct's members with the functions of these names; ERR_UNSUPPORTED names one that lacks. */
struct library_symbol {
    const char *name;
    void **to;
};
int library_symbols(void *library, const struct library_symbol *symbols, size_t n, struct err *err);
