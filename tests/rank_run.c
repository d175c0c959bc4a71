/* SPDX-License-Identifier: MIT */
/*
 * Runs the cases that rank_prepare wrote and prints a line "MICROSECONDS NAME" for each: measured
 * on a GPU when LIBRARY is the driver's libcuda.so.1 (median, L2 flushed before each sample), or
 * modelled when it is libwarpsim.so. Needs nothing but the library.
 *
 *   rank_run LIBRARY DIR [SAMPLES] [FILTER]
 *
 * With the simulator, a line says after a tab what bounds the case and how long that took the host.
 */
#include <cuda.h>
#include <dlfcn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "evaluator/sim/warpsim.h"

#define STR2(x) #x
#define STR(x) STR2(x)
#define SYMBOLS(X)                                                                                 \
    X(cuInit)                                                                                      \
    X(cuDevicePrimaryCtxRetain)                                                                    \
    X(cuCtxSetCurrent)                                                                             \
    X(cuCtxSynchronize)                                                                            \
    X(cuModuleLoadData)                                                                            \
    X(cuModuleUnload)                                                                              \
    X(cuModuleGetFunction)                                                                         \
    X(cuFuncGetParamInfo)                                                                          \
    X(cuFuncSetAttribute)                                                                          \
    X(cuLaunchKernel)                                                                              \
    X(cuMemAlloc)                                                                                  \
    X(cuMemFree)                                                                                   \
    X(cuMemsetD8Async)                                                                             \
    X(cuMemsetD32Async)                                                                            \
    X(cuMemcpyHtoD)                                                                                \
    X(cuMemcpyDtoD)                                                                                \
    X(cuEventCreate)                                                                               \
    X(cuEventRecord)                                                                               \
    X(cuEventSynchronize)                                                                          \
    X(cuEventElapsedTime)

enum { MAX_BUFFERS = 64, MAX_STEPS = 64, MAX_ARGS = 32 };

struct step {
    CUfunction f; /* NULL: a memset */
    unsigned grid[3], block[3], shared;
    int buffer, value;
    uint64_t args[MAX_ARGS];
    void *params[MAX_ARGS];
};

struct run {
#define X(name) __typeof__(&name) name;
    SYMBOLS(X)
#undef X
    int (*sample)(unsigned);
    int (*diagnosis)(char *, size_t);
    int (*counters)(struct warpsim_counters *);
    const char *(*bound_name)(enum warpsim_bound);
    const char *dir;
    CUdeviceptr flush, buffers[MAX_BUFFERS];
    int64_t bytes[MAX_BUFFERS];
    int n_buffers, n_steps;
    struct step steps[MAX_STEPS];
    CUevent start, end;
    CUmodule module;
};

#define FLUSH_BYTES (256u << 20)

static void check(const struct run *run, CUresult r, const char *what)
{
    char text[1024] = "";
    if (r == CUDA_SUCCESS)
        return;
    if (run->diagnosis)
        run->diagnosis(text, sizeof(text));
    fprintf(stderr, "%s: error %d %s\n", what, (int)r, text);
    fflush(stdout);
    _Exit(1);
}

static void open_library(struct run *run, const char *path)
{
    CUcontext ctx;
    void *lib = dlopen(path, RTLD_NOW);
    if (!lib) {
        fprintf(stderr, "%s\n", dlerror());
        exit(1);
    }
#define X(name)                                                                                    \
    run->name = (__typeof__(run->name))dlsym(lib, STR(name));                                      \
    if (!run->name) {                                                                              \
        fprintf(stderr, "no %s\n", STR(name));                                                     \
        exit(1);                                                                                   \
    }
    SYMBOLS(X)
#undef X
    run->sample = (int (*)(unsigned))dlsym(lib, "warpsim_sample_blocks");
    run->diagnosis = (int (*)(char *, size_t))dlsym(lib, "warpsim_diagnosis");
    run->counters = (int (*)(struct warpsim_counters *))dlsym(lib, "warpsim_counters");
    run->bound_name = (const char *(*)(enum warpsim_bound))dlsym(lib, "warpsim_bound_name");
    check(run, run->cuInit(0), "cuInit");
    check(run, run->cuDevicePrimaryCtxRetain(&ctx, 0), "context");
    check(run, run->cuCtxSetCurrent(ctx), "context");
    check(run, run->cuEventCreate(&run->start, 0), "event");
    check(run, run->cuEventCreate(&run->end, 0), "event");
    if (run->sample)
        run->sample(64);
    else
        check(run, run->cuMemAlloc(&run->flush, FLUSH_BYTES), "flush");
}

static char *read_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f || fseek(f, 0, SEEK_END))
        return NULL;
    long n = ftell(f);
    rewind(f);
    char *text = calloc(1, (size_t)n + 1);
    if (text && fread(text, 1, (size_t)n, f) != (size_t)n)
        text[0] = 0;
    fclose(f);
    return text;
}

/* A megabyte of values of the type, repeated over the buffer: real data, so that powers and
 * branches are those of real data. */
static void fill(struct run *run, CUdeviceptr p, int64_t bytes, const char *dtype, int64_t bound)
{
    const size_t chunk = 1 << 20;
    uint8_t *host = malloc(chunk);
    uint32_t seed = 12345;
    int wide = !strcmp(dtype, "f64") || !strcmp(dtype, "i64")    ? 8
               : !strcmp(dtype, "f16") || !strcmp(dtype, "bf16") ? 2
                                                                 : 4;
    for (size_t i = 0; i < chunk; i += (size_t)wide) {
        double sum = -6;
        for (int k = 0; k < 12; k++) {
            seed = seed * 1664525u + 1013904223u;
            sum += (double)(seed >> 8) / (1 << 24);
        }
        float x = (float)sum;
        uint32_t bits;
        memcpy(&bits, &x, 4);
        if (!strcmp(dtype, "f64")) {
            memcpy(host + i, &sum, 8);
        } else if (dtype[0] == 'i') {
            uint64_t v = bound > 0 ? seed % (uint64_t)bound : 1;
            memcpy(host + i, &v, (size_t)wide);
        } else if (!strcmp(dtype, "bf16")) {
            uint16_t h = (uint16_t)(bits >> 16);
            memcpy(host + i, &h, 2);
        } else if (!strcmp(dtype, "f16")) {
            _Float16 h = (_Float16)x;
            memcpy(host + i, &h, 2);
        } else {
            memcpy(host + i, &x, 4);
        }
    }
    size_t first = (size_t)bytes < chunk ? (size_t)bytes : chunk;
    check(run, run->cuMemcpyHtoD(p, host, first), "upload");
    for (int64_t at = (int64_t)first; at < bytes && first == chunk;) { /* doubling */
        int64_t n = at < bytes - at ? at : bytes - at;
        check(run, run->cuMemcpyDtoD(p + (CUdeviceptr)at, p, (size_t)n), "copy");
        at += n;
    }
    free(host);
}

static bool read_step(struct run *run, FILE *f, struct step *s)
{
    char word[256], kind;
    int n_args, buffer;
    *s = (struct step){0};
    if (fscanf(f, " %255s", word) != 1)
        return false;
    if (!strcmp(word, "memset"))
        return fscanf(f, "%d %d", &s->buffer, &s->value) == 2;
    if (fscanf(f, " %255s %u %u %u %u %u %u %u %d", word, &s->grid[0], &s->grid[1], &s->grid[2],
               &s->block[0], &s->block[1], &s->block[2], &s->shared, &n_args) != 9)
        return false;
    check(run, run->cuModuleGetFunction(&s->f, run->module, word), word);
    if (s->shared > 48 << 10)
        check(run,
              run->cuFuncSetAttribute(s->f, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
                                      (int)s->shared),
              "shared");
    for (int i = 0; i < n_args && i < MAX_ARGS; i++) {
        size_t offset, size;
        double number;
        long long value;
        s->params[i] = &s->args[i];
        check(run, run->cuFuncGetParamInfo(s->f, (size_t)i, &offset, &size), "parameter");
        if (fscanf(f, " %c", &kind) != 1)
            return false;
        if (kind == 'b') {
            if (fscanf(f, "%d", &buffer) != 1)
                return false;
            s->args[i] = run->buffers[buffer];
        } else if (kind == 'i') {
            if (fscanf(f, "%lld", &value) != 1)
                return false;
            s->args[i] = (uint64_t)value;
        } else {
            if (fscanf(f, "%lf", &number) != 1)
                return false;
            float single = (float)number;
            memcpy(&s->args[i], size == 4 ? (void *)&single : (void *)&number, size);
        }
    }
    return true;
}

static void sequence(struct run *run)
{
    for (int i = 0; i < run->n_steps; i++) {
        struct step *s = &run->steps[i];
        if (s->f)
            check(run,
                  run->cuLaunchKernel(s->f, s->grid[0], s->grid[1], s->grid[2], s->block[0],
                                      s->block[1], s->block[2], s->shared, NULL, s->params, NULL),
                  "launch");
        else
            check(run,
                  run->cuMemsetD8Async(run->buffers[s->buffer], (unsigned char)s->value,
                                       (size_t)run->bytes[s->buffer], NULL),
                  "memset");
    }
}

static int ascending(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return x < y ? -1 : x > y;
}

static double measure(struct run *run, int samples)
{
    float ms[1000];
    if (!run->sample)
        for (int i = 0; i < 3; i++)
            sequence(run);
    for (int i = 0; i < samples; i++) {
        if (run->flush) {
            /* Long enough for the launches behind it to be queued, so that their latency is hidden.
             */
            for (int k = 0; k < 2; k++)
                check(run, run->cuMemsetD32Async(run->flush, (unsigned)i, FLUSH_BYTES / 4, NULL),
                      "flush");
        }
        check(run, run->cuEventRecord(run->start, NULL), "event");
        sequence(run);
        check(run, run->cuEventRecord(run->end, NULL), "event");
        check(run, run->cuEventSynchronize(run->end), "run");
        check(run, run->cuEventElapsedTime(&ms[i], run->start, run->end), "event");
    }
    qsort(ms, (size_t)samples, sizeof(ms[0]), ascending);
    return ms[samples / 2] * 1e3;
}

static bool run_case(struct run *run, FILE *f, int samples, const char *filter)
{
    char name[512], dtype[16], path[1024];
    unsigned image;
    if (fscanf(f, " case %511s %u %d %d", name, &image, &run->n_buffers, &run->n_steps) != 4)
        return false;
    bool wanted = !filter || strstr(name, filter);
    snprintf(path, sizeof(path), "%s/%u.%s", run->dir, image, run->sample ? "ptx" : "cubin");
    char *text = wanted ? read_file(path) : NULL;
    if (wanted)
        check(run, run->cuModuleLoadData(&run->module, text), name);
    for (int i = 0; i < run->n_buffers; i++) {
        int role;
        long long bytes, bound;
        if (fscanf(f, " buffer %lld %15s %d %lld", &bytes, dtype, &role, &bound) != 4)
            return false;
        run->bytes[i] = bytes;
        if (!wanted)
            continue;
        check(run, run->cuMemAlloc(&run->buffers[i], (size_t)bytes), "memory");
        fill(run, run->buffers[i], bytes, dtype, bound);
    }
    for (int i = 0; i < run->n_steps; i++) {
        if (!wanted) {
            if (fscanf(f, " %*[^\n]") < 0)
                return false;
        } else if (!read_step(run, f, &run->steps[i])) {
            return false;
        }
    }
    if (!wanted)
        return true;
    struct timespec before, after;
    clock_gettime(CLOCK_MONOTONIC, &before);
    double us = measure(run, samples);
    clock_gettime(CLOCK_MONOTONIC, &after);
    printf("%.3f %s", us, name);
    if (run->counters) {
        struct warpsim_counters c;
        run->counters(&c);
        printf("\t%s %.2fs blocks/SM %u", run->bound_name(c.bound),
               (double)(after.tv_sec - before.tv_sec) +
                   (double)(after.tv_nsec - before.tv_nsec) * 1e-9,
               c.blocks_per_sm);
        for (int i = 0; i < WARPSIM_BOUND_COUNT; i++)
            if (c.bound_ns[i] > 0.05 * c.time_ns)
                printf(" %s %.1f", run->bound_name((enum warpsim_bound)i), c.bound_ns[i] / 1e3);
    }
    printf("\n");
    fflush(stdout);
    for (int i = 0; i < run->n_buffers; i++)
        check(run, run->cuMemFree(run->buffers[i]), "free");
    check(run, run->cuModuleUnload(run->module), "unload");
    free(text);
    return true;
}

int main(int argc, char **argv)
{
    static struct run run;
    char path[1024];
    if (argc < 3) {
        fprintf(stderr, "usage: rank_run LIBRARY DIR [SAMPLES] [FILTER]\n");
        return 2;
    }
    run.dir = argv[2];
    open_library(&run, argv[1]);
    int samples = argc > 3 ? atoi(argv[3]) : run.sample ? 1 : 21;
    samples = samples < 1 ? 1 : samples > 1000 ? 1000 : samples;
    snprintf(path, sizeof(path), "%s/cases.txt", run.dir);
    FILE *f = fopen(path, "r");
    if (!f) {
        perror(path);
        return 1;
    }
    while (run_case(&run, f, samples, argc > 4 ? argv[4] : NULL))
        ;
    bool all = feof(f);
    fclose(f);
    return all ? 0 : 1;
}
