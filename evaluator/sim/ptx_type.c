/* SPDX-License-Identifier: MIT */
#include "evaluator/sim/ptx_ast.h"

#include <ctype.h>
#include <string.h>

static const struct {
    const char *name; /* upper case */
    uint8_t size;
} types[] = {{"", 0},
#define X(name, size) {#name, size},
             PTX_TYPES(X)
#undef X
};

unsigned ptx_type_size(enum ptx_type type)
{
    return types[type].size;
}

enum ptx_type ptx_type_parse(const char *name, size_t len)
{
    for (unsigned t = 1; t < sizeof(types) / sizeof(types[0]); t++) {
        if (strlen(types[t].name) != len)
            continue;
        size_t i = 0;
        while (i < len && name[i] == tolower((unsigned char)types[t].name[i]))
            i++;
        if (i == len)
            return t;
    }
    return PTX_NONE;
}

bool ptx_type_is_float(enum ptx_type type)
{
    switch (type) {
    case PTX_F16:
    case PTX_F16X2:
    case PTX_BF16:
    case PTX_BF16X2:
    case PTX_F32:
    case PTX_F64:
    case PTX_TF32:
    case PTX_F32X2:
        return true;
    default:
        return false;
    }
}

bool ptx_type_is_signed(enum ptx_type type)
{
    return type == PTX_S8 || type == PTX_S16 || type == PTX_S32 || type == PTX_S64 ||
           type == PTX_S16X2;
}
