/* SPDX-License-Identifier: MIT */
/* cudnn.convolution, by the functions that cuDNN has had since its first versions: they pick among the
 * same engines as the graphs do, and need no compiler at run time. */
#include "evaluator/worker/library_internal.h"
#include "base/util.h"

#include <stdlib.h>

/* Numbers of cudnn_graph.h, cudnn_ops.h and cudnn_cnn.h. */
enum {
    DATA_F32 = 0, DATA_F16 = 2, DATA_BF16 = 9,
    FORMAT_NCHW = 0, CROSS_CORRELATION = 1,
    MATH_DEFAULT = 0, MATH_FMA = 3,
    ACTIVATION_RELU = 1, ACTIVATION_IDENTITY = 5, PROPAGATE_NAN = 1,
    ALGO_PRECOMPUTED = 1, /* implicit GEMM with indices computed ahead: the one that takes a bias */
    ALGOS_MAX = 8, DIMS_MAX = 2 + LIBRARY_SPATIAL,
};

struct perf { /* cudnnConvolutionFwdAlgoPerf_t */
    int algo, status;
    float time;
    size_t memory;
    int determinism, math, reserved[3];
};

struct dnn {
    void *handle;
    size_t (*version)(void);
    int (*create)(void **);
    int (*destroy)(void *);
    int (*set_stream)(void *, CUstream);
    int (*tensor_create)(void **);
    int (*tensor_set)(void *, int, int, const int *, const int *);
    int (*tensor_destroy)(void *);
    int (*filter_create)(void **);
    int (*filter_set)(void *, int, int, int, const int *);
    int (*filter_destroy)(void *);
    int (*conv_create)(void **);
    int (*conv_set)(void *, int, const int *, const int *, const int *, int, int);
    int (*conv_groups)(void *, int);
    int (*conv_math)(void *, int);
    int (*conv_destroy)(void *);
    int (*activation_create)(void **);
    int (*activation_set)(void *, int, int, double);
    int (*activation_destroy)(void *);
    int (*algos)(void *, void *, void *, void *, void *, int, int *, struct perf *);
    int (*workspace)(void *, void *, void *, void *, void *, int, size_t *);
    int (*forward)(void *, const void *, void *, const void *, void *, const void *, void *, int, void *, size_t,
                   const void *, void *, void *);
    int (*fused)(void *, const void *, void *, const void *, void *, const void *, void *, int, void *, size_t,
                 const void *, void *, const void *, void *, const void *, void *, void *, void *);
};

struct step {
    void *x, *w, *y, *bias, *conv, *activation;
    bool fused; /* with a bias, and what follows it */
    int algo;
    struct library_workspace workspace;
};

static int load(void *library, void **ret_state, char *ret_version, size_t size, struct err *err)
{
    struct dnn *d = xcalloc(1, sizeof(*d));
    const struct library_symbol symbols[] = {
        { "cudnnGetVersion", (void **)&d->version },
        { "cudnnCreate", (void **)&d->create },
        { "cudnnDestroy", (void **)&d->destroy },
        { "cudnnSetStream", (void **)&d->set_stream },
        { "cudnnCreateTensorDescriptor", (void **)&d->tensor_create },
        { "cudnnSetTensorNdDescriptor", (void **)&d->tensor_set },
        { "cudnnDestroyTensorDescriptor", (void **)&d->tensor_destroy },
        { "cudnnCreateFilterDescriptor", (void **)&d->filter_create },
        { "cudnnSetFilterNdDescriptor", (void **)&d->filter_set },
        { "cudnnDestroyFilterDescriptor", (void **)&d->filter_destroy },
        { "cudnnCreateConvolutionDescriptor", (void **)&d->conv_create },
        { "cudnnSetConvolutionNdDescriptor", (void **)&d->conv_set },
        { "cudnnSetConvolutionGroupCount", (void **)&d->conv_groups },
        { "cudnnSetConvolutionMathType", (void **)&d->conv_math },
        { "cudnnDestroyConvolutionDescriptor", (void **)&d->conv_destroy },
        { "cudnnCreateActivationDescriptor", (void **)&d->activation_create },
        { "cudnnSetActivationDescriptor", (void **)&d->activation_set },
        { "cudnnDestroyActivationDescriptor", (void **)&d->activation_destroy },
        { "cudnnGetConvolutionForwardAlgorithm_v7", (void **)&d->algos },
        { "cudnnGetConvolutionForwardWorkspaceSize", (void **)&d->workspace },
        { "cudnnConvolutionForward", (void **)&d->forward },
        { "cudnnConvolutionBiasActivationForward", (void **)&d->fused },
    };
    int r = library_symbols(library, symbols, ARRAY_LEN(symbols), err), code = r < 0 ? 0 : d->create(&d->handle);
    if (code != 0) {
        r = err_set(err, ERR_DEVICE, "cudnnCreate: status %d", code);
    }
    if (r < 0) {
        free(d);
        return r;
    }
    size_t v = d->version();
    snprintf(ret_version, size, "cuDNN %zu.%zu.%zu", v / 10000, v / 100 % 100, v % 100);
    *ret_state = d;
    return 0;
}

static void unload(void *state)
{
    struct dnn *d = state;
    d->destroy(d->handle);
    free(d);
}

static void close_step(void *state, void *opened)
{
    const struct dnn *d = state;
    struct step *s = opened;
    const struct {
        void *what;
        int (*destroy)(void *);
    } all[] = { { s->x, d->tensor_destroy }, { s->y, d->tensor_destroy }, { s->bias, d->tensor_destroy },
                { s->w, d->filter_destroy }, { s->conv, d->conv_destroy }, { s->activation, d->activation_destroy } };
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        if (all[i].what) {
            all[i].destroy(all[i].what);
        }
    }
    free(s);
}

/* A contiguous tensor; `n` sizes, of which the ones of missing dimensions (depth) are left out by the caller. */
static int make_tensor(const struct dnn *d, int type, const int *dims, int n, void **ret)
{
    int strides[DIMS_MAX];
    for (int i = n - 1, run = 1; i >= 0; i--) {
        strides[i] = run;
        run *= dims[i];
    }
    int code = d->tensor_create(ret);
    return code ? code : d->tensor_set(*ret, type, n, dims, strides);
}

/* The sizes from `from` on, with depth only where there is some: cuDNN has 2-d and 3-d, no 1-d. */
static void take(const int64_t *from, size_t fixed, bool deep, int *ret)
{
    for (size_t i = 0; i < fixed; i++) {
        ret[i] = (int)from[i];
    }
    for (size_t i = deep ? 0 : 1, to = fixed; i < LIBRARY_SPATIAL; i++) {
        ret[to++] = (int)from[fixed + i];
    }
}

static int describe(const struct dnn *d, struct step *s, enum dtype dtype, const int64_t *args)
{
    int64_t out[2 + LIBRARY_SPATIAL] = { args[LIBRARY_CONVOLUTION_INPUT], args[LIBRARY_CONVOLUTION_FILTER] };
    int x[DIMS_MAX], w[DIMS_MAX], y[DIMS_MAX], pad[LIBRARY_SPATIAL], stride[LIBRARY_SPATIAL], dilation[LIBRARY_SPATIAL];
    const int type = dtype == DTYPE_F16 ? DATA_F16 : dtype == DTYPE_BF16 ? DATA_BF16 : DATA_F32;
    const bool exact = dtype == DTYPE_F32 && args[LIBRARY_CONVOLUTION_COMPUTE] == LIBRARY_COMPUTE_F32;
    const bool deep = args[LIBRARY_CONVOLUTION_INPUT + 2] > 1 || args[LIBRARY_CONVOLUTION_FILTER + 2] > 1;
    const int n = deep ? DIMS_MAX : DIMS_MAX - 1;
    library_convolution_out(args, &out[2]);
    take(&args[LIBRARY_CONVOLUTION_INPUT], 2, deep, x);
    take(&args[LIBRARY_CONVOLUTION_FILTER], 2, deep, w);
    take(out, 2, deep, y);
    take(&args[LIBRARY_CONVOLUTION_PADDING], 0, deep, pad);
    take(&args[LIBRARY_CONVOLUTION_STRIDE], 0, deep, stride);
    take(&args[LIBRARY_CONVOLUTION_DILATION], 0, deep, dilation);
    int bias[DIMS_MAX] = { 1, y[1], 1, 1, 1 };
    int code = make_tensor(d, type, x, n, &s->x);
    code = code ? code : make_tensor(d, type, y, n, &s->y);
    code = code ? code : make_tensor(d, type, bias, n, &s->bias);
    code = code ? code : d->filter_create(&s->w);
    code = code ? code : d->filter_set(s->w, type, FORMAT_NCHW, n, w);
    code = code ? code : d->conv_create(&s->conv);
    code = code ? code : d->conv_set(s->conv, n - 2, pad, stride, dilation, CROSS_CORRELATION, DATA_F32);
    code = code ? code : d->conv_groups(s->conv, (int)args[LIBRARY_CONVOLUTION_GROUPS]);
    code = code ? code : d->conv_math(s->conv, exact ? MATH_FMA : MATH_DEFAULT);
    code = code ? code : d->activation_create(&s->activation);
    const bool relu = args[LIBRARY_CONVOLUTION_EPILOGUE] == LIBRARY_EPILOGUE_RELU;
    s->fused = args[LIBRARY_CONVOLUTION_BIAS] >= 0;
    return code ? code : d->activation_set(s->activation, relu ? ACTIVATION_RELU : ACTIVATION_IDENTITY, PROPAGATE_NAN, 0);
}

/* The library's own order of preference, the first that fits the workspace. */
static int pick(const struct dnn *d, struct step *s)
{
    struct perf found[ALGOS_MAX];
    int n = 0, code = d->algos(d->handle, s->x, s->w, s->conv, s->y, ALGOS_MAX, &n, found);
    s->algo = -1;
    for (int i = 0; code == 0 && i < n && s->algo < 0; i++) {
        bool takes_bias = !s->fused || found[i].algo == ALGO_PRECOMPUTED;
        if (found[i].status == 0 && found[i].memory <= s->workspace.size && takes_bias) {
            s->algo = found[i].algo;
            d->conv_math(s->conv, found[i].math);
        }
    }
    return code ? code : s->algo < 0 ? -1 : 0;
}

static int open_step(void *state, const struct library_workspace *workspace, enum dtype dtype, const int64_t *args,
                     void **ret, struct err *err)
{
    const struct dnn *d = state;
    struct step *s = xcalloc(1, sizeof(*s));
    s->workspace = *workspace;
    int code = describe(d, s, dtype, args);
    code = code ? code : pick(d, s);
    if (code) {
        close_step(state, s);
        return err_set(err, ERR_UNSUPPORTED, "cuDNN can't do this convolution (status %d)", code);
    }
    *ret = s;
    return 0;
}

static int run_step(void *state, void *opened, const CUdeviceptr *at, CUstream stream, struct err *err)
{
    const struct dnn *d = state;
    struct step *s = opened;
    const float one = 1, zero = 0;
    void *y = (void *)(uintptr_t)at[LIBRARY_CONVOLUTION_OUT], *room = (void *)(uintptr_t)s->workspace.at;
    const void *x = (void *)(uintptr_t)at[LIBRARY_CONVOLUTION_X], *w = (void *)(uintptr_t)at[LIBRARY_CONVOLUTION_W];
    const void *bias = (void *)(uintptr_t)at[LIBRARY_CONVOLUTION_BIAS];
    int code = d->set_stream(d->handle, stream);
    if (code == 0 && bias) {
        code = d->fused(d->handle, &one, s->x, x, s->w, w, s->conv, s->algo, room, s->workspace.size, &zero, s->y, y,
                        s->bias, bias, s->activation, s->y, y);
    } else if (code == 0) {
        code = d->forward(d->handle, &one, s->x, x, s->w, w, s->conv, s->algo, room, s->workspace.size, &zero, s->y, y);
    }
    return code ? err_set(err, ERR_DEVICE, "cuDNN's convolution: status %d", code) : 0;
}

const struct library_ops library_cudnn = { load, open_step, run_step, close_step, unload };
