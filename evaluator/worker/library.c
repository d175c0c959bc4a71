/* SPDX-License-Identifier: MIT */
#include "evaluator/worker/library_internal.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/util.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct loaded {
    void *state; /* NULL: not yet */
    char version[64];
};

struct libraries {
    struct library_places places;
    struct loaded loaded[LIBRARY_CALLS];
    struct library_workspace workspace;
};

struct library_step {
    struct libraries *libraries;
    struct gpu *gpu;
    const struct bound_launch *launch;
    const struct library_ops *ops;
    void *state, *step;
};

static const struct {
    const char *title, *files[3], *get;
    const struct library_ops *ops;
} known[LIBRARY_CALLS] = {
    [LIBRARY_CALL_MATMUL] = { "cuBLASLt", { "libcublasLt.so.13", "libcublasLt.so.12", NULL },
                              "it is a part of the CUDA Toolkit", &library_cublaslt },
    [LIBRARY_CALL_CONVOLUTION] = { "cuDNN", { "libcudnn.so.9", NULL },
                                   "install cuDNN 9 from NVIDIA, or take PyTorch's", &library_cudnn },
};

static bool look_in(const char *folder, enum library_call call, struct library_places *ret)
{
    for (size_t i = 0; known[call].files[i]; i++) {
        char *path = ret->path[call];
        snprintf(path, LIBRARY_PATH_MAX, "%s/%s", folder, known[call].files[i]);
        if (file_exists(path)) {
            snprintf(ret->folder[call], LIBRARY_PATH_MAX, "%s", folder);
            return true;
        }
        path[0] = '\0';
    }
    return false;
}

/* What the libraries themselves need from the system's folders, which are closed once the process is sealed. */
static void load_runtimes(void)
{
    static const char *const names[] = { "libgcc_s.so.1", "libstdc++.so.6", "libz.so.1", "librt.so.1", "libdl.so.2",
                                         "libpthread.so.0", "libm.so.6" };
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        (void)dlopen(names[i], RTLD_NOW | RTLD_GLOBAL); /* one that is missing is named when it's needed */
    }
}

void library_look(struct library_places *ret)
{
    static const char *const usual[] = { "/usr/local/cuda/lib64", "/usr/lib/x86_64-linux-gnu",
                                         "/usr/lib/aarch64-linux-gnu", "/usr/lib64" };
    const char *given = getenv("WARPSMITH_LIBRARIES"), *cuda = getenv("WARPSMITH_CUDA");
    *ret = (struct library_places) { 0 };
    for (enum library_call call = 0; call < LIBRARY_CALLS; call++) {
        auto_free char *folders = xstrdup(given ? given : ""), *toolkit = xprintf("%s/lib64", cuda ? cuda : "");
        bool found = false;
        char *save = NULL;
        for (char *one = strtok_r(folders, ":", &save); one && !found; one = strtok_r(NULL, ":", &save)) {
            found = look_in(one, call, ret);
        }
        found = found || (cuda && look_in(toolkit, call, ret));
        for (size_t i = 0; !found && i < ARRAY_LEN(usual); i++) {
            found = look_in(usual[i], call, ret);
        }
        if (found) {
            load_runtimes();
        }
    }
}

struct libraries *libraries_new(const struct library_places *places)
{
    struct libraries *l = xcalloc(1, sizeof(*l));
    l->places = *places;
    return l;
}

void libraries_free(struct libraries *l, const struct gpu *gpu)
{
    for (size_t i = 0; l && i < LIBRARY_CALLS; i++) {
        if (l->loaded[i].state && !gpu->broken) {
            known[i].ops->unload(l->loaded[i].state);
        }
    }
    if (l && l->workspace.at && !gpu->broken) {
        gpu->cu.cuMemFree(l->workspace.at);
    }
    free(l);
}

const char *libraries_version(const struct libraries *l, enum library_call call)
{
    return l && l->loaded[call].state ? l->loaded[call].version : NULL;
}

int library_symbols(void *library, const struct library_symbol *symbols, size_t n, struct err *err)
{
    for (size_t i = 0; i < n; i++) {
        *symbols[i].to = dlsym(library, symbols[i].name);
        if (!*symbols[i].to) {
            return err_set(err, ERR_UNSUPPORTED, "it lacks %s", symbols[i].name);
        }
    }
    return 0;
}

static int load(struct libraries *l, struct gpu *gpu, enum library_call call, struct err *err)
{
    struct loaded *loaded = &l->loaded[call];
    const char *title = known[call].title;
    if (loaded->state) {
        return 0;
    }
    if (gpu->modelled) {
        return err_set(err, ERR_UNSUPPORTED, "%s needs a GPU, and this device is simulated", title);
    }
    if (!l->places.path[call][0]) {
        return err_set(err, ERR_UNSUPPORTED, "%s isn't there (%s): %s, then name its folder in WARPSMITH_LIBRARIES",
                       title, known[call].files[0], known[call].get);
    }
    if (!l->workspace.at) {
        int r = gpu_check(gpu, gpu->cu.cuMemAlloc(&l->workspace.at, LIBRARY_WORKSPACE), "a library's workspace", err);
        if (r < 0) {
            return r;
        }
        l->workspace.size = LIBRARY_WORKSPACE;
    }
    /* cuDNN looks for cuBLASLt by its name alone, and aborts where it finds none. */
    if (call == LIBRARY_CALL_CONVOLUTION
        && (!l->places.path[LIBRARY_CALL_MATMUL][0]
            || !dlopen(l->places.path[LIBRARY_CALL_MATMUL], RTLD_NOW | RTLD_GLOBAL))) {
        return err_set(err, ERR_UNSUPPORTED, "%s needs cuBLASLt, which isn't there (%s): name its folder in "
                                             "WARPSMITH_LIBRARIES", title, known[LIBRARY_CALL_MATMUL].files[0]);
    }
    void *library = dlopen(l->places.path[call], RTLD_NOW | RTLD_LOCAL);
    const char *why = library ? NULL : dlerror();
    int r = library ? known[call].ops->load(library, &loaded->state, loaded->version, sizeof(loaded->version), err)
                    : err_set(err, ERR_UNSUPPORTED, "%s", why ? why : "dlopen failed");
    if (r < 0) {
        err_wrap(err, "%s can't be used", title);
    }
    return r;
}

int library_step_open(struct libraries *libraries, struct gpu *gpu, const struct bound *bound,
                      const struct bound_launch *launch, struct library_step **ret, struct err *err)
{
    enum library_call call = launch->library->call;
    const struct bound_buffer *first = &bound->buffers[launch->args[0].value];
    int64_t args[LIBRARY_ARGS_MAX];
    void *step = NULL;
    int r = load(libraries, gpu, call, err);
    for (size_t i = 0; i < launch->n_args; i++) {
        args[i] = launch->args[i].value;
    }
    r = r < 0 ? r : known[call].ops->open(libraries->loaded[call].state, &libraries->workspace, first->dtype, args,
                                          &step, err);
    if (r < 0) {
        return r;
    }
    *ret = xcalloc(1, sizeof(**ret));
    **ret = (struct library_step) { libraries, gpu, launch, known[call].ops, libraries->loaded[call].state, step };
    return 0;
}

void library_step_close(struct library_step *step)
{
    if (step && !step->gpu->broken) {
        step->ops->close(step->state, step->step);
    }
    free(step);
}

int library_step_run(struct library_step *step, const CUdeviceptr *buffers, struct err *err)
{
    CUdeviceptr at[LIBRARY_ARGS_MAX] = { 0 };
    for (size_t i = 0; i < step->launch->n_args; i++) {
        const struct bound_arg *arg = &step->launch->args[i];
        at[i] = arg->kind == BOUND_ARG_KIND_BUFFER ? buffers[arg->value] : 0;
    }
    return step->ops->run(step->state, step->step, at, step->gpu->stream, err);
}
