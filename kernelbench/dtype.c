/* SPDX-License-Identifier: MIT */
#include "kernelbench/dtype.h"
#include "base/util.h"

static const struct {
    const char *name;
    size_t size;
    bool is_float;
} dtypes[] = {
    [DTYPE_F64] = { "f64", 8, true },       [DTYPE_F32] = { "f32", 4, true },
    [DTYPE_F16] = { "f16", 2, true },       [DTYPE_BF16] = { "bf16", 2, true },
    [DTYPE_F8E4M3] = { "f8e4m3", 1, true }, [DTYPE_F8E5M2] = { "f8e5m2", 1, true },
    [DTYPE_I64] = { "i64", 8, false },      [DTYPE_I32] = { "i32", 4, false },
    [DTYPE_I16] = { "i16", 2, false },      [DTYPE_I8] = { "i8", 1, false },
    [DTYPE_U8] = { "u8", 1, false },        [DTYPE_BOOL] = { "bool", 1, false },
};

bool dtype_parse(const char *name, enum dtype *ret)
{
    for (size_t i = 0; i < ARRAY_LEN(dtypes); i++) {
        if (str_eq(name, dtypes[i].name)) {
            *ret = (enum dtype)i;
            return true;
        }
    }
    return false;
}

const char *dtype_name(enum dtype dtype)
{
    return dtypes[dtype].name;
}

size_t dtype_size(enum dtype dtype)
{
    return dtypes[dtype].size;
}

bool dtype_is_float(enum dtype dtype)
{
    return dtypes[dtype].is_float;
}
