/* SPDX-License-Identifier: MIT */
/* Initialisation, the device, the primary context, and the exports of warpsim.h. */
#include "evaluator/sim/driver.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

/* The state that the Driver API's contract makes process-wide. */
static struct {
    pthread_mutex_t lock;
    volatile sig_atomic_t stop;
    struct driver driver;
} process = {.lock = PTHREAD_MUTEX_INITIALIZER};

static __thread bool thread_is_current; /* cuCtxSetCurrent is a thread's own */

static CUcontext the_context(void)
{
    return (CUcontext)&process.driver;
}

const volatile int *driver_stop_flag(void)
{
    return (const volatile int *)&process.stop;
}

CUresult driver_enter(enum driver_need need, struct driver **ret_driver)
{
    struct driver *d = &process.driver;
    CUresult r = CUDA_SUCCESS;

    pthread_mutex_lock(&process.lock);
    if (!d->initialised)
        r = CUDA_ERROR_NOT_INITIALIZED;
    else if (need == DRIVER_NEEDS_CONTEXT && (!thread_is_current || !d->retained))
        r = CUDA_ERROR_INVALID_CONTEXT;
    else if (need == DRIVER_NEEDS_CONTEXT)
        r = d->sticky;
    if (r != CUDA_SUCCESS) {
        pthread_mutex_unlock(&process.lock);
        return r;
    }
    *ret_driver = d;
    return CUDA_SUCCESS;
}

void driver_leave(struct driver **driver)
{
    if (*driver)
        pthread_mutex_unlock(&process.lock);
}

void driver_diagnose(struct driver *d, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(d->diagnosis, sizeof(d->diagnosis), format, args);
    va_end(args);
}

CUresult driver_result(int err)
{
    switch (err) {
    case 0:
        return CUDA_SUCCESS;
    case -ENOMEM:
        return CUDA_ERROR_OUT_OF_MEMORY;
    case -EINVAL:
    case ERR_INVALID:
        return CUDA_ERROR_INVALID_VALUE;
    case ERR_UNSUPPORTED:
        return CUDA_ERROR_NOT_SUPPORTED;
    default:
        return CUDA_ERROR_UNKNOWN;
    }
}

DRIVER_API CUresult cuInit(unsigned int flags)
{
    const char *key = getenv("WARPSIM_DEVICE");
    struct driver *d = &process.driver;
    CUresult r = CUDA_SUCCESS;

    if (flags)
        return CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_lock(&process.lock);
    if (!d->initialised) {
        d->machine = machine_find(key && *key ? key : "h200");
        if (!d->machine) {
            driver_diagnose(d, "WARPSIM_DEVICE=%s: no such device, use one of: %s", key,
                            machine_keys());
            r = CUDA_ERROR_NO_DEVICE;
        } else {
            d->checks = WARPSIM_CHECK_ALL;
            d->default_stream.magic = DRIVER_STREAM;
            d->stack_limit = 1024;
            d->initialised = true;
        }
    }
    pthread_mutex_unlock(&process.lock);
    return r;
}

DRIVER_API CUresult cuDriverGetVersion(int *version)
{
    if (!version)
        return CUDA_ERROR_INVALID_VALUE;
    *version = DRIVER_VERSION;
    return CUDA_SUCCESS;
}

/* The threads start here, before a sandbox that forbids new ones can be in place. */
static CUresult open_context(struct driver *d)
{
    int64_t threads = 0;
    const char *text = getenv("WARPSIM_THREADS");
    if (text && *text && (!str_to_i64(text, &threads) || threads < 1 || threads > 4096)) {
        driver_diagnose(d, "WARPSIM_THREADS=%s is no number of threads", text);
        return CUDA_ERROR_INVALID_VALUE;
    }
    int err = vmem_new(d->machine->memory, &d->mem);
    if (!err)
        err = threads_new((unsigned)threads, &d->threads);
    if (!err)
        err = launcher_new(d->threads, &d->launcher);
    return driver_result(err);
}

static void close_context(struct driver *d)
{
    driver_modules_free(d);
    driver_streams_free(d);
    driver_hosts_free(d);
    launcher_free(d->launcher);
    threads_free(d->threads);
    vmem_free(d->mem);
    d->launcher = NULL;
    d->threads = NULL;
    d->mem = NULL;
    model_cache_reset(&d->cache, d->machine);
    d->now = 0;
}

DRIVER_API CUresult cuDevicePrimaryCtxRetain(CUcontext *ctx, CUdevice dev)
{
    DRIVER_ENTER(d, DRIVER_NEEDS_INIT);
    if (dev != 0)
        return CUDA_ERROR_INVALID_DEVICE;
    if (!ctx)
        return CUDA_ERROR_INVALID_VALUE;
    if (d->retained == 0) {
        CUresult r = open_context(d);
        if (r != CUDA_SUCCESS)
            return r;
    }
    d->retained++;
    *ctx = the_context();
    return CUDA_SUCCESS;
}

DRIVER_API CUresult cuDevicePrimaryCtxRelease(CUdevice dev)
{
    DRIVER_ENTER(d, DRIVER_NEEDS_INIT);
    if (dev != 0)
        return CUDA_ERROR_INVALID_DEVICE;
    if (d->retained == 0)
        return CUDA_ERROR_INVALID_CONTEXT;
    if (--d->retained == 0)
        close_context(d);
    return CUDA_SUCCESS;
}

DRIVER_API CUresult cuCtxSetCurrent(CUcontext ctx)
{
    DRIVER_ENTER(d, DRIVER_NEEDS_INIT);
    if (ctx && (ctx != the_context() || d->retained == 0))
        return CUDA_ERROR_INVALID_CONTEXT;
    thread_is_current = ctx != NULL;
    return CUDA_SUCCESS;
}

DRIVER_API CUresult cuCtxGetCurrent(CUcontext *ctx)
{
    DRIVER_ENTER(d, DRIVER_NEEDS_INIT);
    if (!ctx)
        return CUDA_ERROR_INVALID_VALUE;
    *ctx = thread_is_current && d->retained ? the_context() : NULL;
    return CUDA_SUCCESS;
}

DRIVER_API CUresult cuCtxGetDevice(CUdevice *dev)
{
    DRIVER_ENTER(d, DRIVER_NEEDS_CONTEXT);
    if (!dev)
        return CUDA_ERROR_INVALID_VALUE;
    *dev = 0;
    return CUDA_SUCCESS;
}

DRIVER_API CUresult cuCtxSynchronize(void)
{
    DRIVER_ENTER(d, DRIVER_NEEDS_CONTEXT);
    return CUDA_SUCCESS;
}

DRIVER_API CUresult cuCtxSetLimit(CUlimit limit, size_t value)
{
    DRIVER_ENTER(d, DRIVER_NEEDS_CONTEXT);
    if (limit == CU_LIMIT_STACK_SIZE)
        d->stack_limit = value;
    return limit < CU_LIMIT_MAX ? CUDA_SUCCESS : CUDA_ERROR_UNSUPPORTED_LIMIT;
}

DRIVER_API CUresult cuCtxGetLimit(size_t *value, CUlimit limit)
{
    DRIVER_ENTER(d, DRIVER_NEEDS_CONTEXT);
    if (!value)
        return CUDA_ERROR_INVALID_VALUE;
    if (limit != CU_LIMIT_STACK_SIZE)
        return CUDA_ERROR_UNSUPPORTED_LIMIT;
    *value = d->stack_limit;
    return CUDA_SUCCESS;
}

DRIVER_API CUresult cuCtxResetPersistingL2Cache(void)
{
    DRIVER_ENTER(d, DRIVER_NEEDS_CONTEXT);
    return CUDA_SUCCESS; /* eviction priorities aren't modelled, so no line persists */
}

DRIVER_API int warpsim_diagnosis(char *buf, size_t n)
{
    pthread_mutex_lock(&process.lock);
    bool some = process.driver.diagnosis[0] != '\0';
    if (buf && n)
        snprintf(buf, n, "%s", process.driver.diagnosis);
    pthread_mutex_unlock(&process.lock);
    return some ? 0 : -1;
}

DRIVER_API int warpsim_sample_blocks(unsigned max_blocks)
{
    pthread_mutex_lock(&process.lock);
    process.driver.sample_blocks = max_blocks;
    pthread_mutex_unlock(&process.lock);
    return 0;
}

DRIVER_API int warpsim_checks(unsigned mask)
{
    if (mask & ~(unsigned)WARPSIM_CHECK_ALL)
        return -1;
    pthread_mutex_lock(&process.lock);
    process.driver.checks = mask;
    pthread_mutex_unlock(&process.lock);
    return 0;
}

DRIVER_API int warpsim_stop(void)
{
    process.stop = 1; /* no lock: the launch that it must end holds it */
    return 0;
}

DRIVER_API int warpsim_counters(struct warpsim_counters *ret_counters)
{
    pthread_mutex_lock(&process.lock);
    bool some = process.driver.has_counters;
    if (some && ret_counters)
        *ret_counters = process.driver.counters;
    pthread_mutex_unlock(&process.lock);
    return some ? 0 : -1;
}

DRIVER_API const char *warpsim_bound_name(enum warpsim_bound bound)
{
    static const char *const names[WARPSIM_BOUND_COUNT] = {
        "launch", "blocks", "latency", "issue",  "alu",    "fma", "f64",
        "sfu",    "tensor", "lsu",     "shared", "atomic", "l2",  "dram"};
    return (unsigned)bound < WARPSIM_BOUND_COUNT ? names[bound] : NULL;
}
