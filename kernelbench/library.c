/* SPDX-License-Identifier: MIT */
#include "kernelbench/library.h"
#include "base/util.h"

static const char *const epilogues[] = { "none", "relu", "gelu", NULL };
static const char *const computes[] = { "f32", "tf32", NULL };
static const char *const flags[] = { "false", "true", NULL };

static const struct library_member matmul[] = {
    { "a", LIBRARY_KIND_INPUT, true, 1, 0, -1, NULL },
    { "b", LIBRARY_KIND_INPUT, true, 1, 0, -1, NULL },
    { "out", LIBRARY_KIND_OUTPUT, true, 1, 0, -1, NULL },
    { "bias", LIBRARY_KIND_INPUT, false, 1, 0, -1, NULL },
    { "m", LIBRARY_KIND_NUMBER, true, 1, 0, 1, NULL },
    { "n", LIBRARY_KIND_NUMBER, true, 1, 0, 1, NULL },
    { "k", LIBRARY_KIND_NUMBER, true, 1, 0, 1, NULL },
    { "batch", LIBRARY_KIND_NUMBER, false, 1, 0, 1, NULL },
    { "trans_a", LIBRARY_KIND_CHOICE, false, 1, 0, 0, flags },
    { "trans_b", LIBRARY_KIND_CHOICE, false, 1, 0, 0, flags },
    { "epilogue", LIBRARY_KIND_CHOICE, false, 1, 0, LIBRARY_EPILOGUE_NONE, epilogues },
    { "compute", LIBRARY_KIND_CHOICE, false, 1, 0, LIBRARY_COMPUTE_F32, computes },
};

static const struct library_member convolution[] = {
    { "x", LIBRARY_KIND_INPUT, true, 1, 0, -1, NULL },
    { "w", LIBRARY_KIND_INPUT, true, 1, 0, -1, NULL },
    { "out", LIBRARY_KIND_OUTPUT, true, 1, 0, -1, NULL },
    { "bias", LIBRARY_KIND_INPUT, false, 1, 0, -1, NULL },
    { "input", LIBRARY_KIND_NUMBER, true, 2 + LIBRARY_SPATIAL, LIBRARY_SPATIAL, 1, NULL },
    { "filter", LIBRARY_KIND_NUMBER, true, 2 + LIBRARY_SPATIAL, LIBRARY_SPATIAL, 1, NULL },
    { "stride", LIBRARY_KIND_NUMBER, false, LIBRARY_SPATIAL, LIBRARY_SPATIAL, 1, NULL },
    { "padding", LIBRARY_KIND_NUMBER, false, LIBRARY_SPATIAL, LIBRARY_SPATIAL, 0, NULL },
    { "dilation", LIBRARY_KIND_NUMBER, false, LIBRARY_SPATIAL, LIBRARY_SPATIAL, 1, NULL },
    { "groups", LIBRARY_KIND_NUMBER, false, 1, 0, 1, NULL },
    { "epilogue", LIBRARY_KIND_CHOICE, false, 1, 0, LIBRARY_EPILOGUE_NONE, epilogues },
    { "compute", LIBRARY_KIND_CHOICE, false, 1, 0, LIBRARY_COMPUTE_F32, computes },
};

static const struct library_table tables[] = {
    { "cublaslt.matmul", LIBRARY_CALL_MATMUL, ARRAY_LEN(matmul), LIBRARY_MATMUL_ARGS, matmul },
    { "cudnn.convolution", LIBRARY_CALL_CONVOLUTION, ARRAY_LEN(convolution), LIBRARY_CONVOLUTION_ARGS,
      convolution },
};

const struct library_table *library_at(size_t i)
{
    return i < ARRAY_LEN(tables) ? &tables[i] : NULL;
}

const struct library_table *library_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
        if (str_eq(tables[i].name, name)) {
            return &tables[i];
        }
    }
    return NULL;
}

bool library_convolution_out(const int64_t *args, int64_t ret[LIBRARY_SPATIAL])
{
    for (size_t i = 0; i < LIBRARY_SPATIAL; i++) {
        int64_t in = args[LIBRARY_CONVOLUTION_INPUT + 2 + i], filter = args[LIBRARY_CONVOLUTION_FILTER + 2 + i];
        int64_t stride = args[LIBRARY_CONVOLUTION_STRIDE + i], dilation = args[LIBRARY_CONVOLUTION_DILATION + i];
        int64_t span = in + 2 * args[LIBRARY_CONVOLUTION_PADDING + i] - dilation * (filter - 1) - 1;
        if (span < 0 || stride < 1) {
            return false;
        }
        ret[i] = span / stride + 1;
    }
    return true;
}
