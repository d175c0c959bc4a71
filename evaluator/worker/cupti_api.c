/* SPDX-License-Identifier: MIT */
#include "evaluator/worker/cupti_api.h"
#include "base/util.h"

#include <dlfcn.h>
#include <stdlib.h>

static const char *const names[] = { "libcupti.so.13", "libcupti.so.12", "libcupti.so" };

static void *open_under(const char *root)
{
    static const char *const folders[]
        = { "lib64", "lib", "extras/CUPTI/lib64", "targets/x86_64-linux/lib",
            "targets/sbsa-linux/lib" };
    void *library = NULL;
    for (size_t i = 0; i < ARRAY_LEN(folders) && !library; i++) {
        for (size_t k = 0; k < ARRAY_LEN(names) && !library; k++) {
            auto_free char *path = xprintf("%s/%s/%s", root, folders[i], names[k]);
            library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        }
    }
    return library;
}

static void *open_anywhere(void)
{
    const char *const roots[] = { getenv("WARPSMITH_CUDA"), getenv("CUDA_HOME"),
                                  getenv("CUDA_PATH"), "/usr/local/cuda", "/opt/cuda" };
    void *library = NULL;
    for (size_t i = 0; i < ARRAY_LEN(roots) && !library; i++) {
        library = roots[i] && *roots[i] ? open_under(roots[i]) : NULL;
    }
    for (size_t i = 0; i < ARRAY_LEN(names) && !library; i++) {
        library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    }
    return library;
}

int cupti_api_load(const char *path, struct cupti_api *ret, struct err *err)
{
    struct cupti_api api
        = { .library = path ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : open_anywhere() };
    if (!api.library) {
        return err_set(err, ERR_UNSUPPORTED,
                       "CUPTI (libcupti.so.13 or .12) was not found%s%s; it comes with the CUDA "
                       "Toolkit (package cuda-cupti-13-0), or point at it with WARPSMITH_CUPTI",
                       path ? " at " : "", path ? path : "");
    }
    *(void **)&api.cuptiGetResultString = dlsym(api.library, "cuptiGetResultString");
#define X(name, params)                                                                            \
    *(void **)&api.name = dlsym(api.library, #name);                                               \
    if (!api.name) {                                                                               \
        return err_set(err, ERR_UNSUPPORTED,                                                       \
                       "this CUPTI is too old: it lacks %s; that of CUDA 13 has it", #name);    \
    }
    CUPTI_FUNCTIONS(X)
#undef X
    *ret = api;
    return 0;
}

/* What a person can do about it, by the codes of cupti_result.h. */
static const char *remedy(int result)
{
    switch (result) {
    case 26:
        return ": another profiler is at work on this GPU";
    case 33:
    case 40:
        return ": the host of this virtual machine must allow counters";
    case 35:
        return ": the driver lets administrators alone read counters; run as root or with "
               "CAP_SYS_ADMIN, or load the driver with NVreg_RestrictProfilingToAdminUsers=0";
    case 41:
        return ": a GPU in confidential computing mode has no counters";
    case 43:
        return ": a part of a GPU (MIG) has no counters";
    default:
        return "";
    }
}

int cupti_api_check(const struct cupti_api *api, int result, const char *what, struct err *err)
{
    if (result == 0) {
        return 0;
    }
    const char *name = NULL;
    if (api->cuptiGetResultString) {
        api->cuptiGetResultString(result, &name);
    }
    return err_set(err, ERR_UNSUPPORTED, "%s: %s (%d)%s", what, name ? name : "CUPTI error", result,
                   remedy(result));
}
