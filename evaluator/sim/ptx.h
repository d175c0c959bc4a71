#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * PTX text as a module: its kernels with their parameters, its global variables with their first
 * bytes, and (opaque here, see ptx_ast.h) the statements that decode.c turns into a program.
 *
 * The text comes from NVRTC, but a candidate may put anything into it through inline assembly: the
 * parser accepts any bytes without crashing, with caps on everything, and an error names the line
 * of the text. All pieces live in the module's arena and die with ptx_module_free.
 *
 * Sizes, alignments and offsets are in bytes. Whoever loads the module gives each variable of
 * space PTX_GLOBAL or PTX_CONST its device address (`addr`), copies `init` there and applies the
 * relocations, before it decodes a kernel.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

enum ptx_space { PTX_GENERIC, PTX_GLOBAL, PTX_SHARED, PTX_LOCAL, PTX_CONST, PTX_PARAM, PTX_REG };

struct ptx_param {
    const char *name;
    uint32_t size, align, offset; /* offset in the kernel's parameter bytes */
};

/* At `offset` of a variable's bytes stands the address of `target` plus `add`. */
struct ptx_reloc {
    uint32_t offset;
    uint64_t add;
    struct ptx_var *target;
};

struct ptx_var {
    const char *name;
    enum ptx_space space;
    bool is_extern;       /* an extern .shared array: dynamic shared memory */
    bool is_kernel_param; /* `addr` is its offset in the kernel's parameter bytes */
    uint32_t align;
    uint64_t size;
    const uint8_t *init; /* `size` bytes, or NULL for zeros */
    const struct ptx_reloc *relocs;
    size_t n_relocs;
    uint64_t addr; /* device address, set by the loader (global and const) */
    uint32_t line;
};

struct ptx_kernel {
    const char *name;
    const struct ptx_param *params;
    size_t n_params;
    uint32_t param_size;                                    /* of all parameters together */
    uint32_t maxntid[3], reqntid[3], minnctapersm, maxnreg; /* 0 where not given */
    uint32_t line;
    /* What ptxas said of it, from a leading comment "// warpsim: kernel NAME regs N spill N shared
     * N"; -1 where there was none. */
    int32_t info_regs, info_spill, info_shared;
    const char *refused;         /* a directive that isn't simulated (clusters), or NULL */
    const struct ptx_func *func; /* ptx_ast.h */
};

struct ptx_module {
    uint32_t version;   /* 90 for 9.0 */
    const char *target; /* "sm_90a" */
    struct ptx_kernel *kernels;
    size_t n_kernels;
    struct ptx_var **vars; /* globals and constants */
    size_t n_vars;
    struct ptx_parser *own; /* ptx_ast.h */
};

/* text need not be terminated and is copied. ERR_INVALID (the err says "PTX line N: ..."),
 * ERR_TOOBIG, ERR_UNSUPPORTED for a feature of the language that isn't simulated. */
int ptx_module_parse(const char *text, size_t n, struct ptx_module **ret_module, struct err *err);
void ptx_module_free(struct ptx_module *module); /* NULL is fine */

struct ptx_kernel *ptx_module_kernel(const struct ptx_module *module, const char *name);
struct ptx_var *ptx_module_var(const struct ptx_module *module, const char *name);
