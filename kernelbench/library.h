#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * Library steps of a plan: work that NVIDIA's libraries do, so that a fused rewrite of a whole network is
 * possible and it stays clear what is whose (a verdict names the libraries it used).
 *
 *   {"library": "cublaslt.matmul", "a": "x", "b": "w", "out": "y", "m": "rows", "n": 512, "k": "cols",
 *    "trans_b": true, "bias": "b", "epilogue": "relu"}
 *     out[m,n] = epilogue(a[m,k] b[k,n] + bias[n]), row-major; trans_a: a is [k,m]; trans_b: b is [n,k]
 *   {"library": "cudnn.convolution", "x": "x", "w": "w", "out": "y", "input": [n, c, h, w],
 *    "filter": [k, "c/groups", r, s], "stride": [1, 1], "padding": [0, 0], "bias": "b", "epilogue": "relu"}
 *     cross-correlation in one to three dimensions, as PyTorch's Conv1d to Conv3d have it
 *
 * A step is bound to a list of arguments in the order of its table: buffers, numbers, and choices as
 * their index. The worker loads a library when a job first names it; where it is missing, the verdict is
 * `unsupported` and says how to get it.
 */
#include "base/arena.h"
#include "base/err.h"
#include "base/expr.h"
#include "base/jread.h"

enum { LIBRARY_ARGS_MAX = 32, LIBRARY_SPATIAL = 3 };

enum library_call { LIBRARY_CALL_MATMUL, LIBRARY_CALL_CONVOLUTION, LIBRARY_CALLS };

/* Arguments of cublaslt.matmul. */
enum {
    LIBRARY_MATMUL_A, LIBRARY_MATMUL_B, LIBRARY_MATMUL_OUT, LIBRARY_MATMUL_BIAS, LIBRARY_MATMUL_M,
    LIBRARY_MATMUL_N, LIBRARY_MATMUL_K, LIBRARY_MATMUL_BATCH, LIBRARY_MATMUL_TRANS_A,
    LIBRARY_MATMUL_TRANS_B, LIBRARY_MATMUL_EPILOGUE, LIBRARY_MATMUL_COMPUTE, LIBRARY_MATMUL_ARGS,
};

/* Arguments of cudnn.convolution; sizes of missing dimensions are 1, paddings 0, and come first. */
enum {
    LIBRARY_CONVOLUTION_X, LIBRARY_CONVOLUTION_W, LIBRARY_CONVOLUTION_OUT, LIBRARY_CONVOLUTION_BIAS,
    LIBRARY_CONVOLUTION_INPUT,                                                       /* n, c, d, h, w */
    LIBRARY_CONVOLUTION_FILTER = LIBRARY_CONVOLUTION_INPUT + 2 + LIBRARY_SPATIAL,    /* k, c/groups, d, h, w */
    LIBRARY_CONVOLUTION_STRIDE = LIBRARY_CONVOLUTION_FILTER + 2 + LIBRARY_SPATIAL,
    LIBRARY_CONVOLUTION_PADDING = LIBRARY_CONVOLUTION_STRIDE + LIBRARY_SPATIAL,
    LIBRARY_CONVOLUTION_DILATION = LIBRARY_CONVOLUTION_PADDING + LIBRARY_SPATIAL,
    LIBRARY_CONVOLUTION_GROUPS = LIBRARY_CONVOLUTION_DILATION + LIBRARY_SPATIAL,
    LIBRARY_CONVOLUTION_EPILOGUE, LIBRARY_CONVOLUTION_COMPUTE, LIBRARY_CONVOLUTION_ARGS,
};

enum library_epilogue { LIBRARY_EPILOGUE_NONE, LIBRARY_EPILOGUE_RELU, LIBRARY_EPILOGUE_GELU };
enum library_compute { LIBRARY_COMPUTE_F32, LIBRARY_COMPUTE_TF32 }; /* of f32 operands */

enum library_kind { LIBRARY_KIND_INPUT, LIBRARY_KIND_OUTPUT, LIBRARY_KIND_NUMBER, LIBRARY_KIND_CHOICE };

/* One member of a step, which makes `n` arguments. */
struct library_member {
    const char *name;
    enum library_kind kind;
    bool required;
    size_t n, spatial; /* of n, how many are spatial: a list of fewer is filled up in front of these */
    int64_t missing;   /* the value of a number that isn't there; of a buffer, -1 is none */
    const char *const *choices; /* NULL-terminated */
};

struct library_table {
    const char *name; /* "cublaslt.matmul" */
    enum library_call call;
    size_t n_members, n_args;
    const struct library_member *members;
};

/* NULL: no library step is called so. */
const struct library_table *library_find(const char *name);
const struct library_table *library_at(size_t i); /* NULL behind the last */

/* The spatial sizes of a convolution's output; false where a dimension comes out empty. */
bool library_convolution_out(const int64_t *args, int64_t ret[LIBRARY_SPATIAL]);
