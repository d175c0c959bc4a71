/* SPDX-License-Identifier: MIT */
#include "evaluator/toolkit.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/util.h"

#include <stdlib.h>

static bool holds_headers(const char *root, char **ret)
{
    if (!root || !*root) {
        return false;
    }
    char *folder = xprintf("%s/include", root);
    auto_free char *header = xprintf("%s/cuda_fp16.h", folder);
    if (!file_exists(header)) {
        free(folder);
        return false;
    }
    *ret = folder;
    return true;
}

int toolkit_include(char **ret, struct err *err)
{
    auto_free char *bundled = NULL;
    if (file_find_program("../cuda", &bundled, NULL) < 0) {
        bundled = NULL;
    }
    const char *const roots[] = { getenv("WARPSMITH_CUDA"), bundled, getenv("CUDA_HOME"),
                                  getenv("CUDA_PATH"), WS_CUDA_ROOT, "/usr/local/cuda",
                                  "/opt/cuda" };
    auto_buf struct buf tried;
    buf_init(&tried, 4096);
    for (size_t i = 0; i < ARRAY_LEN(roots); i++) {
        if (holds_headers(roots[i], ret)) {
            return 0;
        }
        if (roots[i] && *roots[i]) {
            buf_printf(&tried, "%s%s", tried.len ? ", " : "", roots[i]);
        }
    }
    return err_set(err, ERR_ENVIRONMENT,
                   "the CUDA Toolkit's headers (include/cuda_fp16.h) are in none of %s; install the "
                   "toolkit 12.8 or newer from NVIDIA, or point at it with WARPSMITH_CUDA=/path/to/cuda",
                   tried.at);
}
