/* SPDX-License-Identifier: MIT */
#include "evaluator/worker/cuda_api.h"

#include <dlfcn.h>

#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)

int cuda_api_load(const char *library, struct cuda_api *ret, struct err *err)
{
    struct cuda_api api = { .library = dlopen(library, RTLD_NOW | RTLD_LOCAL) };
    if (!api.library) {
        const char *why = dlerror();
        return err_set(err, ERR_ENVIRONMENT,
                       "the CUDA driver can't be loaded (%s): install NVIDIA's driver, or use the "
                       "simulator with --gpu sim", why ? why : library);
    }
#define X(name)                                                                                    \
    *(void **)&api.name = dlsym(api.library, TEXT(name));                                          \
    if (!api.name) {                                                                               \
        return err_set(err, ERR_ENVIRONMENT,                                                       \
                       "this CUDA driver is too old: it lacks %s; driver 570 (CUDA 12.8) or newer " \
                       "is needed", TEXT(name));                                                   \
    }
    CUDA_REQUIRED(X)
#undef X
#define X(name) *(void **)&api.name = dlsym(api.library, TEXT(name));
    CUDA_OPTIONAL(X)
#undef X
    *(void **)&api.warpsim_diagnosis = dlsym(api.library, "warpsim_diagnosis");
    *(void **)&api.warpsim_sample_blocks = dlsym(api.library, "warpsim_sample_blocks");
    *(void **)&api.warpsim_checks = dlsym(api.library, "warpsim_checks");
    *(void **)&api.warpsim_counters = dlsym(api.library, "warpsim_counters");
    *ret = api;
    return 0;
}
