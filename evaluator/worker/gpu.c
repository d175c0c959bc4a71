/* SPDX-License-Identifier: MIT */
#include "evaluator/worker/gpu.h"
#include "base/util.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Codes after which the context is lost (cuda.h: "the process must be terminated and relaunched"). */
static bool is_sticky(CUresult result)
{
    switch (result) {
    case CUDA_ERROR_ILLEGAL_ADDRESS:
    case CUDA_ERROR_LAUNCH_TIMEOUT:
    case CUDA_ERROR_ASSERT:
    case CUDA_ERROR_HARDWARE_STACK_ERROR:
    case CUDA_ERROR_ILLEGAL_INSTRUCTION:
    case CUDA_ERROR_MISALIGNED_ADDRESS:
    case CUDA_ERROR_INVALID_ADDRESS_SPACE:
    case CUDA_ERROR_INVALID_PC:
    case CUDA_ERROR_LAUNCH_FAILED:
    case CUDA_ERROR_CONTEXT_IS_DESTROYED:
    case CUDA_ERROR_ECC_UNCORRECTABLE:
    case CUDA_ERROR_CONTAINED:
    case CUDA_ERROR_TENSOR_MEMORY_LEAK:
    case CUDA_ERROR_UNKNOWN:
        return true;
    default:
        return false;
    }
}

int gpu_check(struct gpu *gpu, CUresult result, const char *what, struct err *err)
{
    if (result == CUDA_SUCCESS) {
        return 0;
    }
    const char *name = NULL, *text = NULL;
    gpu->cu.cuGetErrorName(result, &name);
    gpu->cu.cuGetErrorString(result, &text);
    char diagnosis[1024] = "";
    if (gpu->cu.warpsim_diagnosis && gpu->cu.warpsim_diagnosis(diagnosis, sizeof(diagnosis)) != 0) {
        diagnosis[0] = '\0';
    }
    gpu->broken = gpu->broken || is_sticky(result);
    int code = result == CUDA_ERROR_NOT_SUPPORTED ? ERR_UNSUPPORTED
        : result == CUDA_ERROR_OUT_OF_MEMORY      ? -ENOMEM
                                                  : ERR_DEVICE;
    return err_set(err, code, "%s: %s (%s)%s%s", what, name ? name : "unknown CUDA error",
                   text ? text : "", diagnosis[0] ? ": " : "", diagnosis);
}

int gpu_finish(struct gpu *gpu, const char *what, struct err *err)
{
    CUresult result = gpu->cu.cuEventRecord(gpu->done, gpu->stream);
    uint64_t start = clock_ns();
    while (result == CUDA_SUCCESS) {
        result = gpu->cu.cuEventQuery(gpu->done);
        if (result != CUDA_ERROR_NOT_READY) {
            break;
        }
        result = CUDA_SUCCESS;
        if (clock_ns() - start > 5000000) { /* a long one: leave the core to others */
            nanosleep(&(struct timespec) { .tv_nsec = 50000 }, NULL);
        }
    }
    return gpu_check(gpu, result, what, err);
}

int gpu_launch(struct gpu *gpu, CUfunction function, unsigned blocks, unsigned threads,
               unsigned shared, void **args, struct err *err)
{
    return gpu_check(gpu, gpu->cu.cuLaunchKernel(function, blocks, 1, 1, threads, 1, 1, shared,
                                                 gpu->stream, args, NULL),
                     "a kernel of the gate", err);
}

static int attribute(const struct gpu *gpu, CUdevice_attribute what)
{
    int value = 0;
    gpu->cu.cuDeviceGetAttribute(&value, what, gpu->device);
    return value;
}

static void read_uuid(struct gpu *gpu)
{
    CUuuid uuid;
    if (!gpu->cu.cuDeviceGetUuid || gpu->cu.cuDeviceGetUuid(&uuid, gpu->device) != CUDA_SUCCESS) {
        return;
    }
    const unsigned char *b = (const unsigned char *)uuid.bytes;
    size_t at = (size_t)snprintf(gpu->uuid, sizeof(gpu->uuid), "GPU-");
    for (int i = 0; i < 16; i++) {
        bool dash = i == 4 || i == 6 || i == 8 || i == 10;
        at += (size_t)snprintf(gpu->uuid + at, sizeof(gpu->uuid) - at, "%s%02x", dash ? "-" : "",
                               b[i]);
    }
}

static void read_facts(struct gpu *gpu)
{
    int version = 0;
    gpu->cu.cuDriverGetVersion(&version);
    snprintf(gpu->driver, sizeof(gpu->driver), "%d.%d", version / 1000, version % 1000 / 10);
    gpu->cu.cuDeviceGetName(gpu->name, sizeof(gpu->name), gpu->device);
    gpu->cu.cuDeviceTotalMem(&gpu->total_memory, gpu->device);
    read_uuid(gpu);
    gpu->major = attribute(gpu, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR);
    gpu->minor = attribute(gpu, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
    gpu->sm_count = attribute(gpu, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);
    gpu->max_shared = attribute(gpu, CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN);
    gpu->max_threads_sm = attribute(gpu, CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR);
    gpu->l2_bytes = attribute(gpu, CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE);
    gpu->clock_khz = attribute(gpu, CU_DEVICE_ATTRIBUTE_CLOCK_RATE);
    double memory_khz = attribute(gpu, CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE);
    double bits = attribute(gpu, CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH);
    gpu->bandwidth = 2 * memory_khz * 1e3 * bits / 8; /* two transfers a clock */
    snprintf(gpu->arch, sizeof(gpu->arch), "sm_%d%d%s", gpu->major, gpu->minor,
             gpu->major >= 9 ? "a" : "");
}

static int pick_device(struct gpu *gpu, int number, struct err *err)
{
    int count = 0;
    CUresult result = gpu->cu.cuInit(0);
    if (result == CUDA_SUCCESS) {
        result = gpu->cu.cuDeviceGetCount(&count);
    }
    if (result != CUDA_SUCCESS) {
        gpu_check(gpu, result, "the CUDA driver doesn't start", err);
        return err_set(err, ERR_ENVIRONMENT, "%.1500s; nvidia-smi shows whether the driver works",
                       err_text(err));
    }
    if (number >= count) {
        return err_set(err, ERR_ENVIRONMENT, "there is no GPU %d: this machine has %d", number,
                       count);
    }
    return gpu_check(gpu, gpu->cu.cuDeviceGet(&gpu->device, number), "cuDeviceGet", err);
}

int gpu_open(const char *library, int number, struct gpu *ret, struct err *err)
{
    struct gpu gpu = { 0 };
    uint64_t start = clock_ns();
    /* A kernel that loads at its first launch would wait for the one that holds the stream. */
    setenv("CUDA_MODULE_LOADING", "EAGER", 1);
    int r = cuda_api_load(library, &gpu.cu, err);
    if (r == 0) {
        r = pick_device(&gpu, number, err);
    }
    if (r == 0) {
        gpu.modelled = gpu.cu.warpsim_sample_blocks != NULL;
        r = gpu_check(&gpu, gpu.cu.cuDevicePrimaryCtxRetain(&gpu.context, gpu.device),
                      "the GPU's context", err);
    }
    if (r == 0) {
        r = gpu_check(&gpu, gpu.cu.cuCtxSetCurrent(gpu.context), "cuCtxSetCurrent", err);
    }
    if (r == 0) {
        r = gpu_check(&gpu, gpu.cu.cuStreamCreate(&gpu.stream, CU_STREAM_DEFAULT),
                      "cuStreamCreate", err);
    }
    if (r == 0) {
        r = gpu_check(&gpu, gpu.cu.cuEventCreate(&gpu.done, CU_EVENT_DISABLE_TIMING),
                      "cuEventCreate", err);
    }
    if (r < 0) {
        return r;
    }
    read_facts(&gpu);
    gpu.context_ms = (double)(clock_ns() - start) * 1e-6;
    *ret = gpu;
    return 0;
}

void gpu_close(struct gpu *gpu)
{
    if (gpu->context && !gpu->broken) {
        gpu->cu.cuEventDestroy(gpu->done);
        gpu->cu.cuStreamDestroy(gpu->stream);
        gpu->cu.cuDevicePrimaryCtxRelease(gpu->device);
    }
    gpu->context = NULL;
}
