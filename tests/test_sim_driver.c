/* SPDX-License-Identifier: MIT */
/* The driver API of libwarpsim.so, used as the device worker uses it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/sim_rig.h"

static const char *const scale_source =
    "extern \"C\" __global__ void scale(const float *x, float *y, float by, int n) {\n"
    "  int i = blockIdx.x * blockDim.x + threadIdx.x;\n"
    "  if (i < n) y[i] = by * x[i];\n"
    "}\n"
    /* for breaking things: writes or reads one float anywhere */
    "extern \"C\" __global__ void poke(float *y, long at) { y[at] = 1.0f; }\n"
    "extern \"C\" __global__ void peek(const float *x, float *y, long at) { *y = x[at]; }\n"
    "extern \"C\" __global__ void spin(volatile int *x) { while (*x == 0) { } }\n"
    "extern \"C\" __global__ void halt() { asm(\"trap;\"); }\n";

static void expect_diagnosis(const struct rig *rig, const char *part)
{
    char text[1024] = "";
    rig->warpsim_diagnosis(text, sizeof(text));
    if (!strstr(text, part)) {
        fprintf(stderr, "\"%s\" isn't in \"%s\"\n", part, text);
        _exit(1);
    }
}

IN_CHILD(device_facts)
{
    struct rig rig;
    char name[64], bus[32];
    int value, count, version;
    size_t total, free_bytes;
    CUuuid uuid;
    (void)arg;
    rig_open(&rig, "h200", NULL);
    RIG_OK(&rig, cuDriverGetVersion(&version));
    RIG_CHECK(version == 13000);
    RIG_OK(&rig, cuDeviceGetCount(&count));
    RIG_CHECK(count == 1);
    RIG_OK(&rig, cuDeviceGetName(name, sizeof(name), 0));
    RIG_CHECK(strstr(name, "H200") && strstr(name, "simulated"));
    RIG_OK(&rig, cuDeviceGetUuid(&uuid, 0));
    RIG_OK(&rig, cuDeviceGetPCIBusId(bus, sizeof(bus), 0));
    RIG_OK(&rig, cuDeviceGetAttribute(&value, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, 0));
    RIG_CHECK(value == 132);
    RIG_OK(&rig, cuDeviceGetAttribute(&value, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, 0));
    RIG_CHECK(value == 9);
    RIG_OK(&rig,
           cuDeviceGetAttribute(&value, CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN, 0));
    RIG_CHECK(value == 227 << 10);
    RIG_OK(&rig, cuDeviceGetAttribute(&value, CU_DEVICE_ATTRIBUTE_WARP_SIZE, 0));
    RIG_CHECK(value == 32);
    RIG_CHECK(rig.cuDeviceGetAttribute(&value, 10000, 0) == CUDA_ERROR_INVALID_VALUE);
    RIG_CHECK(rig.cuDeviceGetName(name, sizeof(name), 1) == CUDA_ERROR_INVALID_DEVICE);
    RIG_OK(&rig, cuDeviceTotalMem(&total, 0));
    RIG_OK(&rig, cuMemGetInfo(&free_bytes, &total));
    CUdeviceptr p = rig_alloc(&rig, 1 << 30);
    size_t after;
    RIG_OK(&rig, cuMemGetInfo(&after, &total));
    RIG_CHECK(free_bytes - after == 1 << 30);
    RIG_OK(&rig, cuMemFree(p));
    RIG_CHECK(rig.cuMemFree(p) == CUDA_ERROR_INVALID_VALUE);
    RIG_CHECK(rig.cuMemAlloc(&p, total + 1) == CUDA_ERROR_OUT_OF_MEMORY);
    RIG_CHECK(rig.cuMemAlloc(&p, 0) == CUDA_ERROR_INVALID_VALUE);
}

IN_CHILD(other_device)
{
    struct rig rig;
    int value;
    (void)arg;
    rig_open(&rig, "b200", NULL);
    RIG_OK(&rig, cuDeviceGetAttribute(&value, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, 0));
    RIG_CHECK(value == 148);
}

IN_CHILD(needs_init_and_context)
{
    struct rig rig = {0};
    CUdeviceptr p;
    CUcontext ctx;
    (void)arg;
    rig_open(&rig, NULL, NULL);
    RIG_OK(&rig, cuCtxGetCurrent(&ctx));
    RIG_OK(&rig, cuCtxSetCurrent(NULL));
    RIG_CHECK(rig.cuMemAlloc(&p, 4) == CUDA_ERROR_INVALID_CONTEXT);
    RIG_OK(&rig, cuCtxSetCurrent(ctx));
    RIG_OK(&rig, cuMemAlloc(&p, 4));
    RIG_OK(&rig, cuDevicePrimaryCtxRelease(0));
    RIG_CHECK(rig.cuMemFree(p) == CUDA_ERROR_INVALID_CONTEXT);
}

IN_CHILD(copies_and_fills)
{
    struct rig rig;
    uint8_t in[64], out[64];
    uint32_t words[16];
    (void)arg;
    rig_open(&rig, NULL, NULL);
    CUdeviceptr p = rig_alloc(&rig, 64), q = rig_alloc(&rig, 64);
    for (int i = 0; i < 64; i++)
        in[i] = (uint8_t)(i * 7);
    RIG_OK(&rig, cuMemcpyHtoD(p, in, 64));
    RIG_OK(&rig, cuMemcpyDtoD(q + 1, p + 3, 40));
    RIG_OK(&rig, cuMemcpyDtoH(out, q + 1, 40));
    RIG_CHECK(memcmp(out, in + 3, 40) == 0);
    RIG_OK(&rig, cuMemsetD32(p, 0x7fc00001, 16));
    RIG_OK(&rig, cuMemcpyDtoH(words, p, 64));
    RIG_CHECK(words[0] == 0x7fc00001 && words[15] == 0x7fc00001);
    RIG_OK(&rig, cuMemsetD16(p + 2, 0xabcd, 1));
    RIG_OK(&rig, cuMemsetD8(p + 4, 0x11, 3));
    RIG_OK(&rig, cuMemcpyDtoH(words, p, 64));
    RIG_CHECK(words[0] == 0xabcd0001 && words[1] == 0x7f111111 && words[2] == 0x7fc00001);
    RIG_CHECK(rig.cuMemsetD32(p + 2, 0, 1) == CUDA_ERROR_INVALID_VALUE);
    RIG_CHECK(rig.cuMemcpyHtoD(p + 1, in, 64) == CUDA_ERROR_INVALID_VALUE);
    RIG_CHECK(rig.cuMemcpyDtoH(out, 4096, 4) == CUDA_ERROR_INVALID_VALUE);
}

/* A fill of more memory than the machine has, read back at a few places. */
IN_CHILD(large_fills_are_lazy)
{
    struct rig rig;
    const size_t size = 40ull << 30;
    uint32_t word;
    (void)arg;
    rig_open(&rig, NULL, NULL);
    CUdeviceptr p = rig_alloc(&rig, size);
    RIG_OK(&rig, cuMemsetD32(p + 4, 0xdeadbeef, size / 4 - 2));
    const size_t at[] = {4, 4096, 1000000004, size / 2 + 12, size - 8};
    for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
        RIG_OK(&rig, cuMemcpyDtoH(&word, p + at[i], 4));
        RIG_CHECK(word == 0xdeadbeef);
    }
    RIG_OK(&rig, cuMemcpyDtoH(&word, p, 4));
    RIG_CHECK(word == 0);
    RIG_OK(&rig, cuMemcpyDtoH(&word, p + size - 4, 4));
    RIG_CHECK(word == 0);
    word = 1;
    RIG_OK(&rig, cuMemcpyHtoD(p + 4096, &word, 4));
    RIG_OK(&rig, cuMemcpyDtoH(&word, p + size / 2, 4)); /* pages of the pattern aren't shared */
    RIG_CHECK(word == 0xdeadbeef);
    RIG_OK(&rig, cuMemsetD8(p, 0, size));
    RIG_OK(&rig, cuMemcpyDtoH(&word, p + size / 2, 4));
    RIG_CHECK(word == 0);
}

IN_CHILD(host_memory_is_seen_by_kernels)
{
    struct rig rig;
    float *x, *y;
    CUdeviceptr dx, dy;
    (void)arg;
    rig_open(&rig, NULL, NULL);
    CUfunction f = rig_function(&rig, scale_source, "scale");
    RIG_OK(&rig, cuMemAllocHost((void **)&x, 400));
    RIG_OK(&rig, cuMemHostAlloc((void **)&y, 400, CU_MEMHOSTALLOC_DEVICEMAP));
    RIG_OK(&rig, cuMemHostGetDevicePointer(&dx, x, 0));
    RIG_OK(&rig, cuMemHostGetDevicePointer(&dy, y, 0));
    for (int i = 0; i < 100; i++)
        x[i] = (float)i;
    float by = 3;
    int n = 100;
    rig_time(&rig, f, 1, 128, 0, (void *[]){&dx, &dy, &by, &n});
    RIG_CHECK(y[99] == 297.0f && y[1] == 3.0f);
    RIG_OK(&rig, cuMemFreeHost(x));
    RIG_CHECK(rig.cuMemFreeHost(x) == CUDA_ERROR_INVALID_VALUE);
}

/* Launch forms, argument checks and the result itself. */
IN_CHILD(launches)
{
    struct rig rig;
    const int n = 100000;
    (void)arg;
    rig_open(&rig, NULL, NULL);
    CUmodule module = rig_module(&rig, scale_source);
    CUfunction f;
    RIG_CHECK(rig.cuModuleGetFunction(&f, module, "nothing") == CUDA_ERROR_NOT_FOUND);
    RIG_OK(&rig, cuModuleGetFunction(&f, module, "scale"));
    CUdeviceptr x = rig_floats(&rig, n), y = rig_alloc(&rig, 4 * n);
    float by = 2, *in = malloc(4 * n), *out = malloc(4 * n);
    int count = n;
    unsigned grid = (n + 255) / 256;
    double us = rig_time(&rig, f, grid, 256, 0, (void *[]){&x, &y, &by, &count});
    RIG_CHECK(us > 1 && us < 50);
    RIG_OK(&rig, cuMemcpyDtoH(in, x, 4 * n));
    RIG_OK(&rig, cuMemcpyDtoH(out, y, 4 * n));
    for (int i = 0; i < n; i++)
        RIG_CHECK(out[i] == 2 * in[i]);

    struct {
        CUdeviceptr x, y;
        float by;
        int n;
    } packed = {x, y, 5, n};
    size_t size = sizeof(packed);
    void *extra[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, &packed, CU_LAUNCH_PARAM_BUFFER_SIZE, &size,
                     CU_LAUNCH_PARAM_END};
    RIG_OK(&rig, cuLaunchKernel(f, grid, 1, 1, 256, 1, 1, 0, NULL, NULL, extra));
    RIG_OK(&rig, cuMemcpyDtoH(out, y, 4 * n));
    RIG_CHECK(out[n - 1] == 5 * in[n - 1]);

    CUlaunchAttribute attribute = {.id = CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION};
    attribute.value.clusterDim.x = attribute.value.clusterDim.y = attribute.value.clusterDim.z = 1;
    CUlaunchConfig config = {.gridDimX = grid,
                             .gridDimY = 1,
                             .gridDimZ = 1,
                             .blockDimX = 256,
                             .blockDimY = 1,
                             .blockDimZ = 1,
                             .attrs = &attribute,
                             .numAttrs = 1};
    by = 7;
    void *params[] = {&x, &y, &by, &count};
    RIG_OK(&rig, cuLaunchKernelEx(&config, f, params, NULL));
    RIG_OK(&rig, cuMemcpyDtoH(out, y, 4 * n));
    RIG_CHECK(out[n / 2] == 7 * in[n / 2]);
    attribute.value.clusterDim.x = 2;
    RIG_CHECK(rig.cuLaunchKernelEx(&config, f, params, NULL) == CUDA_ERROR_NOT_SUPPORTED);
    expect_diagnosis(&rig, "clusters");

#define LAUNCH(gx, gy, bx, shared)                                                                 \
    rig.cuLaunchKernel(f, gx, gy, 1, bx, 1, 1, shared, NULL, params, NULL)
    RIG_CHECK(LAUNCH(0, 1, 256, 0) == CUDA_ERROR_INVALID_VALUE);
    RIG_CHECK(LAUNCH(1, 65536, 256, 0) == CUDA_ERROR_INVALID_VALUE);
    RIG_CHECK(LAUNCH(1, 1, 1025, 0) == CUDA_ERROR_INVALID_VALUE);
    RIG_CHECK(LAUNCH(1, 1, 256, 49 << 10) == CUDA_ERROR_INVALID_VALUE);
    RIG_OK(&rig, cuFuncSetAttribute(f, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 100 << 10));
    RIG_CHECK(LAUNCH(1, 1, 256, 100 << 10) == CUDA_SUCCESS);
    RIG_CHECK(rig.cuFuncSetAttribute(f, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
                                     228 << 10) == CUDA_ERROR_INVALID_VALUE);
    RIG_CHECK(rig.cuLaunchKernel(f, 1, 1, 1, 32, 1, 1, 0, NULL, NULL, NULL) ==
              CUDA_ERROR_INVALID_VALUE);
    free(in);
    free(out);
}

/* Straight-line code with more barriers than a wait that looks endless. */
IN_CHILD(barriers_in_a_row)
{
    struct rig rig;
    unsigned got;
    (void)arg;
    rig_open(&rig, NULL, NULL);
    CUfunction f = rig_function(&rig,
                                "extern \"C\" __global__ void sum(unsigned *y) {\n"
                                "  __shared__ unsigned t[1024]; unsigned i = threadIdx.x;\n"
                                "  t[i] = i; __syncthreads();\n"
                                "#pragma unroll\n"
                                "  for (int d = 512; d; d >>= 1) {\n"
                                "    unsigned v = t[(i + d) % 1024]; __syncthreads();\n"
                                "    t[i] += v; __syncthreads(); }\n"
                                "  if (i == 7) *y = t[i]; }\n",
                                "sum");
    CUdeviceptr y = rig_alloc(&rig, 4);
    rig_time(&rig, f, 1, 1024, 0, (void *[]){&y});
    RIG_OK(&rig, cuMemcpyDtoH(&got, y, 4));
    RIG_CHECK(got == 1023 * 1024 / 2);
}

IN_CHILD(function_facts)
{
    struct rig rig;
    (void)arg;
    rig_open(&rig, NULL, NULL);
    char *ptx = rig_ptx(scale_source), *said = malloc(strlen(ptx) + 200);
    sprintf(said, "// warpsim: kernel scale regs 168 spill 24 shared 1024\n%s", ptx);
    CUmodule module;
    CUfunction f;
    const char *name;
    size_t offset, size;
    int value;
    RIG_OK(&rig, cuModuleLoadDataEx(&module, said, 0, NULL, NULL));
    RIG_OK(&rig, cuModuleGetFunction(&f, module, "scale"));
    RIG_OK(&rig, cuFuncGetName(&name, f));
    RIG_CHECK(strcmp(name, "scale") == 0);
    RIG_OK(&rig, cuFuncGetAttribute(&value, CU_FUNC_ATTRIBUTE_NUM_REGS, f));
    RIG_CHECK(value == 168);
    RIG_OK(&rig, cuFuncGetAttribute(&value, CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES, f));
    RIG_CHECK(value == 24);
    RIG_OK(&rig, cuFuncGetAttribute(&value, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, f));
    RIG_CHECK(value == 384); /* 65536 registers are 12 warps of 168 (given in 256s) */
    RIG_OK(&rig, cuOccupancyMaxActiveBlocksPerMultiprocessor(&value, f, 128, 0));
    RIG_CHECK(value == 3);
    RIG_OK(&rig, cuFuncGetParamInfo(f, 2, &offset, &size));
    RIG_CHECK(offset == 16 && size == 4);
    RIG_CHECK(rig.cuFuncGetParamInfo(f, 4, &offset, &size) == CUDA_ERROR_INVALID_VALUE);
    CUdeviceptr x = rig_floats(&rig, 512);
    float by = 1;
    int n = 512;
    RIG_CHECK(rig.cuLaunchKernel(f, 1, 1, 1, 512, 1, 1, 0, NULL, (void *[]){&x, &x, &by, &n},
                                 NULL) == CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES);
    RIG_OK(&rig, cuModuleUnload(module));
    RIG_CHECK(rig.cuModuleUnload(module) == CUDA_ERROR_INVALID_HANDLE);
    RIG_CHECK(rig.cuModuleLoadData(&module, "this is no PTX") == CUDA_ERROR_INVALID_PTX);
    RIG_CHECK(rig.cuModuleLoadData(&module, "\177ELF") == CUDA_ERROR_NO_BINARY_FOR_GPU);
    RIG_CHECK(rig.cuTensorMapEncodeTiled(NULL, 0, 0, NULL, NULL, NULL, NULL, NULL, 0, 0, 0, 0) ==
              CUDA_ERROR_NOT_SUPPORTED);
    free(ptx);
    free(said);
}

IN_CHILD(module_variables)
{
    struct rig rig;
    CUmodule module;
    CUfunction f;
    CUdeviceptr p;
    size_t size;
    int table[4], got;
    (void)arg;
    rig_open(&rig, NULL, NULL);
    module = rig_module(&rig, "__device__ int table[4] = {1, 2, 3, 4};\n"
                              "__constant__ int factor = 10;\n"
                              "__device__ int *where = &table[2];\n"
                              "extern \"C\" __global__ void use(int *y) {\n"
                              "  *y = *where * factor; table[0] += 5; }\n");
    RIG_OK(&rig, cuModuleGetFunction(&f, module, "use"));
    RIG_OK(&rig, cuModuleGetGlobal(&p, &size, module, "table"));
    RIG_CHECK(size == 16);
    CUdeviceptr y = rig_alloc(&rig, 4);
    rig_time(&rig, f, 1, 1, 0, (void *[]){&y});
    RIG_OK(&rig, cuMemcpyDtoH(&got, y, 4));
    RIG_CHECK(got == 30);
    RIG_OK(&rig, cuMemcpyDtoH(table, p, 16));
    RIG_CHECK(table[0] == 6 && table[3] == 4);
    RIG_CHECK(rig.cuModuleGetGlobal(&p, &size, module, "absent") == CUDA_ERROR_NOT_FOUND);
}

/* Maps `size` bytes of fresh memory readable and writable. */
static CUdeviceptr map_pages(const struct rig *rig, size_t size, CUmemGenericAllocationHandle *h)
{
    CUmemAllocationProp prop = {.type = CU_MEM_ALLOCATION_TYPE_PINNED,
                                .location = {.type = CU_MEM_LOCATION_TYPE_DEVICE, .id = 0}};
    CUmemAccessDesc access = {.location = prop.location,
                              .flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
    CUdeviceptr p;
    RIG_OK(rig, cuMemCreate(h, size, &prop, 0));
    RIG_OK(rig, cuMemAddressReserve(&p, size, 0, 0, 0));
    RIG_OK(rig, cuMemMap(p, size, 0, *h, 0));
    RIG_OK(rig, cuMemSetAccess(p, size, &access, 1));
    return p;
}

IN_CHILD(mapped_memory)
{
    struct rig rig;
    CUmemGenericAllocationHandle h;
    CUmemAllocationProp prop = {.type = CU_MEM_ALLOCATION_TYPE_PINNED,
                                .location = {.type = CU_MEM_LOCATION_TYPE_DEVICE, .id = 0}};
    size_t granule;
    uint32_t word = 0;
    (void)arg;
    rig_open(&rig, NULL, NULL);
    RIG_OK(&rig, cuMemGetAllocationGranularity(&granule, &prop, CU_MEM_ALLOC_GRANULARITY_MINIMUM));
    RIG_CHECK(rig.cuMemCreate(&h, granule / 2, &prop, 0) == CUDA_ERROR_INVALID_VALUE);
    CUdeviceptr p = map_pages(&rig, 2 * granule, &h);
    RIG_OK(&rig, cuMemsetD32(p, 42, granule / 2)); /* both pages of it */
    CUdeviceptr q;                                 /* the second page once more, elsewhere */
    CUmemAccessDesc access = {.location = prop.location, .flags = CU_MEM_ACCESS_FLAGS_PROT_READ};
    RIG_OK(&rig, cuMemAddressReserve(&q, granule, 0, 0, 0));
    RIG_OK(&rig, cuMemMap(q, granule, granule, h, 0));
    RIG_OK(&rig, cuMemSetAccess(q, granule, &access, 1));
    RIG_OK(&rig, cuMemcpyDtoH(&word, q + 400, 4));
    RIG_CHECK(word == 42);
    RIG_OK(&rig, cuMemsetD32(p + granule + 400, 43, 1));
    RIG_OK(&rig, cuMemcpyDtoH(&word, q + 400, 4));
    RIG_CHECK(word == 43);
    RIG_OK(&rig, cuMemRelease(h));
    RIG_CHECK(rig.cuMemAddressFree(q, granule) == CUDA_ERROR_INVALID_VALUE); /* still mapped */
    RIG_OK(&rig, cuMemUnmap(p, 2 * granule));
    RIG_OK(&rig, cuMemAddressFree(p, 2 * granule));
    RIG_OK(&rig, cuMemUnmap(q, granule));
    RIG_OK(&rig, cuMemAddressFree(q, granule));
    RIG_CHECK(rig.cuMemcpyDtoH(&word, q, 4) == CUDA_ERROR_INVALID_VALUE);
}

IN_CHILD(store_to_read_only_memory)
{
    struct rig rig;
    CUmemGenericAllocationHandle h;
    CUdeviceptr free_me;
    (void)arg;
    rig_open(&rig, NULL, NULL);
    CUfunction poke = rig_function(&rig, scale_source, "poke");
    CUdeviceptr p = map_pages(&rig, 2 << 20, &h);
    CUmemAccessDesc access = {.location = {.type = CU_MEM_LOCATION_TYPE_DEVICE, .id = 0},
                              .flags = CU_MEM_ACCESS_FLAGS_PROT_READ};
    long at = 17;
    void *params[] = {&p, &at};
    rig_time(&rig, poke, 1, 1, 0, params); /* allowed so far */
    RIG_OK(&rig, cuMemSetAccess(p, 2 << 20, &access, 1));
    RIG_OK(&rig, cuLaunchKernel(poke, 1, 1, 1, 1, 1, 1, 0, NULL, params, NULL));
    RIG_CHECK(rig.cuCtxSynchronize() == CUDA_ERROR_ILLEGAL_ADDRESS);
    expect_diagnosis(&rig, "read-only");
    expect_diagnosis(&rig, "poke");
    /* and from then on everything */
    RIG_CHECK(rig.cuMemAlloc(&free_me, 4) == CUDA_ERROR_ILLEGAL_ADDRESS);
    RIG_CHECK(rig.cuStreamSynchronize(NULL) == CUDA_ERROR_ILLEGAL_ADDRESS);
}

struct fault_case {
    const char *name, *kernel;
    long at;
    CUresult result;
    const char *text;
};

static void fault_body(void *arg)
{
    const struct fault_case *c = arg;
    struct rig rig;
    rig_open(&rig, NULL, NULL);
    CUfunction f = rig_function(&rig, scale_source, c->kernel);
    CUdeviceptr x = rig_floats(&rig, 100), y = rig_alloc(&rig, 400);
    CUdeviceptr unaligned = x + 2;
    long at = c->at;
    void *poke[] = {&x, &at}, *peek[] = {&x, &y, &at}, *off[] = {&unaligned, &at};
    void **params = c->kernel[1] == 'e'                          ? peek
                    : c->result == CUDA_ERROR_MISALIGNED_ADDRESS ? off
                                                                 : poke;
    if (c->result == CUDA_ERROR_LAUNCH_FAILED && c->kernel[1] == 'e')
        peek[0] = &y; /* nobody wrote it */
    RIG_OK(&rig, cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, NULL, params, NULL));
    CUresult r = rig.cuCtxSynchronize();
    if (r != c->result) {
        fprintf(stderr, "%s: result %d\n", c->name, (int)r);
        _exit(1);
    }
    if (c->result)
        expect_diagnosis(&rig, c->text);
}

static void faults(void **state)
{
    const struct fault_case cases[] = {
        {"store in bounds", "poke", 99, CUDA_SUCCESS, ""},
        {"store past the end", "poke", 100, CUDA_ERROR_ILLEGAL_ADDRESS,
         "0 bytes past the end of an allocation of 400 bytes"},
        {"load past the end", "peek", 102, CUDA_ERROR_ILLEGAL_ADDRESS, "8 bytes past the end"},
        {"load before the start", "peek", -1, CUDA_ERROR_ILLEGAL_ADDRESS, "4 bytes before"},
        {"far away", "peek", 1l << 40, CUDA_ERROR_ILLEGAL_ADDRESS, "nothing is mapped"},
        {"misaligned", "poke", 0, CUDA_ERROR_MISALIGNED_ADDRESS, "poke"},
        {"unwritten", "peek", 5, CUDA_ERROR_LAUNCH_FAILED, "peek"},
        {"trap", "halt", 0, CUDA_ERROR_LAUNCH_FAILED, "halt"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fault_case c = cases[i];
        if (rig_in_child(fault_body, &c) != 0)
            fail_msg("%s", cases[i].name);
    }
}

IN_CHILD(checks_can_be_off)
{
    struct rig rig;
    (void)arg;
    rig_open(&rig, NULL, NULL);
    CUfunction f = rig_function(&rig, scale_source, "peek");
    CUdeviceptr y = rig_alloc(&rig, 400);
    long at = 5;
    RIG_CHECK(rig.warpsim_checks(WARPSIM_CHECK_ALL & ~WARPSIM_CHECK_UNWRITTEN) == 0);
    RIG_OK(&rig, cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, NULL, (void *[]){&y, &y, &at}, NULL));
    RIG_OK(&rig, cuCtxSynchronize());
    RIG_CHECK(rig.warpsim_checks(1u << 20) == -1);
}

static const struct rig *stop_rig;

static void on_alarm(int signal_number)
{
    (void)signal_number;
    stop_rig->warpsim_stop();
}

#include <signal.h>

IN_CHILD(stop_ends_a_launch)
{
    static struct rig rig;
    (void)arg;
    rig_open(&rig, NULL, NULL);
    stop_rig = &rig;
    CUfunction f = rig_function(&rig, scale_source, "spin");
    CUdeviceptr x = rig_alloc(&rig, 4);
    RIG_OK(&rig, cuMemsetD32(x, 0, 1));
    signal(SIGALRM, on_alarm);
    alarm(1);
    RIG_OK(&rig, cuLaunchKernel(f, 4, 1, 1, 32, 1, 1, 0, NULL, (void *[]){&x}, NULL));
    RIG_CHECK(rig.cuCtxSynchronize() == CUDA_ERROR_LAUNCH_TIMEOUT);
    expect_diagnosis(&rig, "spin");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(device_facts),
        cmocka_unit_test(other_device),
        cmocka_unit_test(needs_init_and_context),
        cmocka_unit_test(copies_and_fills),
        cmocka_unit_test(large_fills_are_lazy),
        cmocka_unit_test(host_memory_is_seen_by_kernels),
        cmocka_unit_test(launches),
        cmocka_unit_test(barriers_in_a_row),
        cmocka_unit_test(function_facts),
        cmocka_unit_test(module_variables),
        cmocka_unit_test(mapped_memory),
        cmocka_unit_test(store_to_read_only_memory),
        cmocka_unit_test(faults),
        cmocka_unit_test(checks_can_be_off),
        cmocka_unit_test(stop_ends_a_launch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
