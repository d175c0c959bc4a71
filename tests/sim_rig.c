/* SPDX-License-Identifier: MIT */
#include "tests/sim_rig.h"

#include <dlfcn.h>
#include <nvrtc.h>
#include <string.h>
#include <sys/wait.h>

#define STR2(x) #x
#define STR(x) STR2(x)

int rig_in_child(void (*body)(void *arg), void *arg)
{
    int status = -1;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        body(arg);
        fflush(NULL);
        _exit(0);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void rig_ok(const struct rig *rig, CUresult result, const char *call, const char *file, int line)
{
    const char *name = NULL;
    char text[1024] = "";
    if (result == CUDA_SUCCESS)
        return;
    rig->cuGetErrorName(result, &name);
    rig->warpsim_diagnosis(text, sizeof(text));
    fprintf(stderr, "%s:%d: %s: %d %s: %s\n", file, line, call, (int)result, name ? name : "?",
            text);
    _exit(1);
}

void rig_open(struct rig *rig, const char *device, const char *threads)
{
    CUcontext ctx;
    if (device)
        setenv("WARPSIM_DEVICE", device, 1);
    if (threads)
        setenv("WARPSIM_THREADS", threads, 1);
    rig->library = dlopen(WS_BIN_DIR "/libwarpsim.so", RTLD_NOW | RTLD_LOCAL);
    if (!rig->library) {
        fprintf(stderr, "%s\n", dlerror());
        _exit(1);
    }
    /* STR expands cuda.h's macros, so that cuMemAlloc is looked up as cuMemAlloc_v2. */
#define X(name)                                                                                    \
    rig->name = (__typeof__(rig->name))dlsym(rig->library, STR(name));                             \
    RIG_CHECK(rig->name != NULL);
    RIG_SYMBOLS(X)
#undef X
    RIG_OK(rig, cuInit(0));
    RIG_OK(rig, cuDevicePrimaryCtxRetain(&ctx, 0));
    RIG_OK(rig, cuCtxSetCurrent(ctx));
    RIG_OK(rig, cuEventCreate(&rig->start, 0));
    RIG_OK(rig, cuEventCreate(&rig->end, 0));
}

char *rig_ptx(const char *cuda)
{
    const char *const options[] = {"--gpu-architecture=compute_90", "-std=c++17",
                                   "-I" WS_CUDA_DIR "/include", "-I" WS_CUDA_DIR "/include/cccl",
                                   "-lineinfo"};
    nvrtcProgram program;
    size_t n = 0;
    RIG_CHECK(nvrtcCreateProgram(&program, cuda, "test.cu", 0, NULL, NULL) == NVRTC_SUCCESS);
    nvrtcResult r =
        nvrtcCompileProgram(program, (int)(sizeof(options) / sizeof(options[0])), options);
    if (r != NVRTC_SUCCESS) {
        nvrtcGetProgramLogSize(program, &n);
        char *log = calloc(1, n + 1);
        nvrtcGetProgramLog(program, log);
        fprintf(stderr, "%s\n", log);
        _exit(1);
    }
    RIG_CHECK(nvrtcGetPTXSize(program, &n) == NVRTC_SUCCESS);
    char *ptx = malloc(n);
    RIG_CHECK(ptx && nvrtcGetPTX(program, ptx) == NVRTC_SUCCESS);
    nvrtcDestroyProgram(&program);
    return ptx;
}

CUmodule rig_module(const struct rig *rig, const char *cuda)
{
    CUmodule module;
    char *ptx = rig_ptx(cuda);
    RIG_OK(rig, cuModuleLoadData(&module, ptx));
    free(ptx);
    return module;
}

CUfunction rig_function(const struct rig *rig, const char *cuda, const char *name)
{
    CUfunction f;
    CUmodule module = rig_module(rig, cuda);
    RIG_OK(rig, cuModuleGetFunction(&f, module, name));
    return f;
}

CUdeviceptr rig_alloc(const struct rig *rig, size_t bytes)
{
    CUdeviceptr p;
    RIG_OK(rig, cuMemAlloc(&p, bytes));
    return p;
}

CUdeviceptr rig_floats(const struct rig *rig, size_t n)
{
    CUdeviceptr p = rig_alloc(rig, 4 * n);
    float *x = malloc(4 * n);
    RIG_CHECK(x);
    for (size_t i = 0; i < n; i++)
        x[i] = (float)(i * 37 % 101) / 101.0f - 0.4f;
    RIG_OK(rig, cuMemcpyHtoD(p, x, 4 * n));
    free(x);
    return p;
}

double rig_time3(const struct rig *rig, CUfunction f, const unsigned g[3], const unsigned b[3],
                 unsigned shared, void **params)
{
    float ms = 0;
    RIG_OK(rig, cuEventRecord(rig->start, NULL));
    RIG_OK(rig, cuLaunchKernel(f, g[0], g[1], g[2], b[0], b[1], b[2], shared, NULL, params, NULL));
    RIG_OK(rig, cuEventRecord(rig->end, NULL));
    RIG_OK(rig, cuEventElapsedTime(&ms, rig->start, rig->end));
    return ms * 1e3;
}

double rig_time(const struct rig *rig, CUfunction f, unsigned grid, unsigned block, unsigned shared,
                void **params)
{
    return rig_time3(rig, f, (unsigned[]){grid, 1, 1}, (unsigned[]){block, 1, 1}, shared, params);
}
