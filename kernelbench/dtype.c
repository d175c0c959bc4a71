/* SPDX-License-Identifier: MIT */
#include "kernelbench/dtype.h"
#include "base/util.h"

#include <math.h>
#include <string.h>

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

/* A number in a narrow type, rounded to nearest even. `most` is what larger numbers become:
 * infinity, or 448 where there is none. */
static uint16_t narrow_bits(double value, int exponent_bits, int mantissa_bits, uint16_t most,
                            uint16_t nan)
{
    int bias = (1 << (exponent_bits - 1)) - 1, exponent;
    uint16_t sign = (uint16_t)(signbit(value) ? 1u << (exponent_bits + mantissa_bits) : 0);
    double a = fabs(value);
    if (isnan(value)) {
        return nan;
    }
    if (a == 0 || isinf(a)) {
        return (uint16_t)(sign | (a == 0 ? 0 : most));
    }
    frexp(a, &exponent);
    exponent = MAX(exponent - 1, 1 - bias);
    /* Steps of the exponent's last place; a carry runs into the exponent as it should. */
    double steps = nearbyint(ldexp(a, mantissa_bits - exponent));
    double whole = ldexp(1, mantissa_bits), place = ldexp(exponent + bias - 1, mantissa_bits);
    double bits = steps < whole ? steps : place + steps;
    return (uint16_t)(sign | (uint16_t)fmin(bits, most));
}

bool dtype_bits(enum dtype dtype, double v, uint64_t *ret)
{
    float f = (float)v;
    int64_t whole = v >= -9.2e18 && v <= 9.2e18 ? (int64_t)v : 0;
    uint64_t bits = 0;
    switch (dtype) {
    case DTYPE_F64: memcpy(&bits, &v, 8); break;
    case DTYPE_F32: memcpy(&bits, &f, 4); break;
    case DTYPE_F16: bits = narrow_bits(v, 5, 10, 0x7c00, 0x7e00); break;
    case DTYPE_BF16: bits = narrow_bits(v, 8, 7, 0x7f80, 0x7fc0); break;
    case DTYPE_F8E5M2: bits = narrow_bits(v, 5, 2, 0x7c, 0x7e); break;
    case DTYPE_F8E4M3: bits = narrow_bits(v, 4, 3, 0x7e, 0x7f); break;
    case DTYPE_I64:
    case DTYPE_I32:
    case DTYPE_I16:
    case DTYPE_I8:
    case DTYPE_U8: bits = (uint64_t)whole; break;
    case DTYPE_BOOL: bits = v != 0; break;
    default: return false;
    }
    *ret = bits;
    return true;
}
