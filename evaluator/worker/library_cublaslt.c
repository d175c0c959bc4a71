/* SPDX-License-Identifier: MIT */
/* cublaslt.matmul. Row-major C = A B is column-major C' = B' A', so B goes first. */
#include "evaluator/worker/library_internal.h"
#include "base/util.h"

#include <stdlib.h>

/* Numbers of cublasLt.h, cublas_api.h and library_types.h. */
enum {
    DATA_F32 = 0, DATA_F16 = 2, DATA_BF16 = 14,
    COMPUTE_F32 = 68, COMPUTE_FAST_TF32 = 77,
    OP_N = 0, OP_T = 1,
    DESC_TRANSA = 3, DESC_TRANSB = 4, DESC_EPILOGUE = 7, DESC_BIAS_POINTER = 8,
    LAYOUT_BATCH_COUNT = 5, LAYOUT_BATCH_OFFSET = 6,
    PREFERENCE_WORKSPACE = 1,
    EPILOGUE_DEFAULT = 1, EPILOGUE_RELU = 2, EPILOGUE_BIAS = 4, EPILOGUE_RELU_BIAS = 6, EPILOGUE_GELU = 32,
    EPILOGUE_GELU_BIAS = 36,
};

struct algo { /* cublasLtMatmulAlgo_t */
    uint64_t data[8];
};

struct heuristic { /* cublasLtMatmulHeuristicResult_t */
    struct algo algo;
    size_t workspace;
    int state;
    float waves;
    int reserved[4];
};

struct lt {
    void *handle;
    size_t (*version)(void);
    int (*create)(void **);
    int (*destroy)(void *);
    int (*desc_create)(void **, int, int);
    int (*desc_set)(void *, int, const void *, size_t);
    int (*desc_destroy)(void *);
    int (*layout_create)(void **, int, uint64_t, uint64_t, int64_t);
    int (*layout_set)(void *, int, const void *, size_t);
    int (*layout_destroy)(void *);
    int (*preference_create)(void **);
    int (*preference_set)(void *, int, const void *, size_t);
    int (*preference_destroy)(void *);
    int (*heuristic)(void *, void *, void *, void *, void *, void *, void *, int, struct heuristic *, int *);
    int (*matmul)(void *, void *, const void *, const void *, void *, const void *, void *, const void *, const void *,
                  void *, void *, void *, const struct algo *, void *, size_t, CUstream);
};

struct step {
    void *desc, *first, *second, *out; /* operands as the library has them: B, A, C */
    struct algo algo;
    struct library_workspace workspace;
};

static int load(void *library, void **ret_state, char *ret_version, size_t size, struct err *err)
{
    struct lt *lt = xcalloc(1, sizeof(*lt));
    const struct library_symbol symbols[] = {
        { "cublasLtGetVersion", (void **)&lt->version },
        { "cublasLtCreate", (void **)&lt->create },
        { "cublasLtDestroy", (void **)&lt->destroy },
        { "cublasLtMatmulDescCreate", (void **)&lt->desc_create },
        { "cublasLtMatmulDescSetAttribute", (void **)&lt->desc_set },
        { "cublasLtMatmulDescDestroy", (void **)&lt->desc_destroy },
        { "cublasLtMatrixLayoutCreate", (void **)&lt->layout_create },
        { "cublasLtMatrixLayoutSetAttribute", (void **)&lt->layout_set },
        { "cublasLtMatrixLayoutDestroy", (void **)&lt->layout_destroy },
        { "cublasLtMatmulPreferenceCreate", (void **)&lt->preference_create },
        { "cublasLtMatmulPreferenceSetAttribute", (void **)&lt->preference_set },
        { "cublasLtMatmulPreferenceDestroy", (void **)&lt->preference_destroy },
        { "cublasLtMatmulAlgoGetHeuristic", (void **)&lt->heuristic },
        { "cublasLtMatmul", (void **)&lt->matmul },
    };
    int r = library_symbols(library, symbols, ARRAY_LEN(symbols), err), code = r < 0 ? 0 : lt->create(&lt->handle);
    if (code != 0) {
        r = err_set(err, ERR_DEVICE, "cublasLtCreate: status %d", code);
    }
    if (r < 0) {
        free(lt);
        return r;
    }
    size_t v = lt->version();
    snprintf(ret_version, size, "cuBLASLt %zu.%zu.%zu", v / 10000, v / 100 % 100, v % 100);
    *ret_state = lt;
    return 0;
}

static void unload(void *state)
{
    struct lt *lt = state;
    lt->destroy(lt->handle);
    free(lt);
}

static void close_step(void *state, void *opened)
{
    const struct lt *lt = state;
    struct step *step = opened;
    void *const layouts[] = { step->first, step->second, step->out };
    for (size_t i = 0; i < ARRAY_LEN(layouts); i++) {
        if (layouts[i]) {
            lt->layout_destroy(layouts[i]);
        }
    }
    if (step->desc) {
        lt->desc_destroy(step->desc);
    }
    free(step);
}

/* Row-major rows x cols, as the column-major cols x rows that the same memory is. */
static int make_layout(const struct lt *lt, int type, int64_t rows, int64_t cols, int64_t batch, void **ret)
{
    int32_t count = (int32_t)batch;
    int64_t offset = rows * cols;
    int code = lt->layout_create(ret, type, (uint64_t)cols, (uint64_t)rows, cols);
    code = code ? code : lt->layout_set(*ret, LAYOUT_BATCH_COUNT, &count, sizeof(count));
    return code ? code : lt->layout_set(*ret, LAYOUT_BATCH_OFFSET, &offset, sizeof(offset));
}

static int epilogue_of(const int64_t *args)
{
    static const int plain[] = { EPILOGUE_DEFAULT, EPILOGUE_RELU, EPILOGUE_GELU };
    static const int biased[] = { EPILOGUE_BIAS, EPILOGUE_RELU_BIAS, EPILOGUE_GELU_BIAS };
    int64_t which = args[LIBRARY_MATMUL_EPILOGUE];
    return args[LIBRARY_MATMUL_BIAS] >= 0 ? biased[which] : plain[which];
}

static int describe(const struct lt *lt, struct step *step, enum dtype dtype, const int64_t *args)
{
    const int64_t m = args[LIBRARY_MATMUL_M], n = args[LIBRARY_MATMUL_N], k = args[LIBRARY_MATMUL_K];
    const int64_t batch = args[LIBRARY_MATMUL_BATCH];
    const int type = dtype == DTYPE_F16 ? DATA_F16 : dtype == DTYPE_BF16 ? DATA_BF16 : DATA_F32;
    const bool fast = dtype == DTYPE_F32 && args[LIBRARY_MATMUL_COMPUTE] == LIBRARY_COMPUTE_TF32;
    const bool turn_a = args[LIBRARY_MATMUL_TRANS_A], turn_b = args[LIBRARY_MATMUL_TRANS_B];
    const int32_t first = turn_b ? OP_T : OP_N, second = turn_a ? OP_T : OP_N, epilogue = epilogue_of(args);
    int code = lt->desc_create(&step->desc, fast ? COMPUTE_FAST_TF32 : COMPUTE_F32, DATA_F32);
    code = code ? code : lt->desc_set(step->desc, DESC_TRANSA, &first, sizeof(first));
    code = code ? code : lt->desc_set(step->desc, DESC_TRANSB, &second, sizeof(second));
    code = code ? code : lt->desc_set(step->desc, DESC_EPILOGUE, &epilogue, sizeof(epilogue));
    code = code ? code : make_layout(lt, type, turn_b ? n : k, turn_b ? k : n, batch, &step->first);
    code = code ? code : make_layout(lt, type, turn_a ? k : m, turn_a ? m : k, batch, &step->second);
    return code ? code : make_layout(lt, type, m, n, batch, &step->out);
}

static int pick(const struct lt *lt, struct step *step)
{
    void *preference = NULL;
    struct heuristic best = { 0 };
    int found = 0, code = lt->preference_create(&preference);
    uint64_t room = step->workspace.size;
    code = code ? code : lt->preference_set(preference, PREFERENCE_WORKSPACE, &room, sizeof(room));
    code = code ? code : lt->heuristic(lt->handle, step->desc, step->first, step->second, step->out, step->out,
                                       preference, 1, &best, &found);
    if (preference) {
        lt->preference_destroy(preference);
    }
    step->algo = best.algo;
    return code ? code : found < 1 ? -1 : best.state;
}

static int open_step(void *state, const struct library_workspace *workspace, enum dtype dtype, const int64_t *args,
                     void **ret, struct err *err)
{
    const struct lt *lt = state;
    struct step *step = xcalloc(1, sizeof(*step));
    step->workspace = *workspace;
    int code = describe(lt, step, dtype, args);
    code = code ? code : pick(lt, step);
    if (code) {
        close_step(state, step);
        return err_set(err, ERR_UNSUPPORTED, "cuBLASLt can't do this product (status %d)", code);
    }
    *ret = step;
    return 0;
}

static int run_step(void *state, void *opened, const CUdeviceptr *at, CUstream stream, struct err *err)
{
    const struct lt *lt = state;
    struct step *step = opened;
    const float one = 1, zero = 0;
    void *bias = (void *)(uintptr_t)at[LIBRARY_MATMUL_BIAS], *out = (void *)(uintptr_t)at[LIBRARY_MATMUL_OUT];
    int code = bias ? lt->desc_set(step->desc, DESC_BIAS_POINTER, &bias, sizeof(bias)) : 0;
    code = code ? code
                : lt->matmul(lt->handle, step->desc, &one, (void *)(uintptr_t)at[LIBRARY_MATMUL_B], step->first,
                             (void *)(uintptr_t)at[LIBRARY_MATMUL_A], step->second, &zero, out, step->out, out,
                             step->out, &step->algo, (void *)(uintptr_t)step->workspace.at, step->workspace.size,
                             stream);
    return code ? err_set(err, ERR_DEVICE, "cublasLtMatmul: status %d", code) : 0;
}

const struct library_ops library_cublaslt = { load, open_step, run_step, close_step, unload };
