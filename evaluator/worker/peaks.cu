/* SPDX-License-Identifier: MIT */
/*
 * What this device reaches at best, measured: bytes a second copied and read, operations a second of
 * f32 multiply-adds and of the tensor cores. Tensor cores are driven by wgmma with both operands in
 * shared memory where the device has it (sm_90a), else by mma.sync from registers; on Blackwell that
 * isn't the fastest there is, and the record says which one it was. Operands are numbers like those
 * of real work, because zeros draw less power and so run at a higher clock.
 *
 * Every kernel leaves in ops[0] the operations of one block (bytes are counted by the host), and in
 * ops[1] 1 for wgmma.
 */
typedef unsigned int u32;
typedef unsigned long long u64;

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
#define WGMMA 1
#else
#define WGMMA 0
#endif

/* Every block has a stretch of its own of 1024 packs. */
extern "C" __global__ void __launch_bounds__(256) peak_copy(const uint4 *from, uint4 *to, u64 n)
{
    u64 i = blockIdx.x * 1024ull + threadIdx.x;
    uint4 a = __ldcs(from + i), b = __ldcs(from + i + 256), c = __ldcs(from + i + 512),
          d = __ldcs(from + i + 768);
    __stcs(to + i, a);
    __stcs(to + i + 256, b);
    __stcs(to + i + 512, c);
    __stcs(to + i + 768, d);
}

/* The same in a grid that goes over the buffer together. */
extern "C" __global__ void __launch_bounds__(256) peak_copy_strided(const uint4 *from, uint4 *to, u64 n)
{
    u64 stride = (u64)gridDim.x * blockDim.x, i = blockIdx.x * (u64)blockDim.x + threadIdx.x;
    for (; i + 3 * stride < n; i += 4 * stride) {
        uint4 a = from[i], b = from[i + stride], c = from[i + 2 * stride], d = from[i + 3 * stride];
        to[i] = a;
        to[i + stride] = b;
        to[i + 2 * stride] = c;
        to[i + 3 * stride] = d;
    }
    for (; i < n; i += stride) {
        to[i] = from[i];
    }
}

extern "C" __global__ void peak_read(const uint4 *from, uint4 *to, u64 n)
{
    u64 stride = (u64)gridDim.x * blockDim.x, i = blockIdx.x * (u64)blockDim.x + threadIdx.x;
    u32 sum = 0;
    for (; i + 3 * stride < n; i += 4 * stride) {
        uint4 a = from[i], b = from[i + stride], c = from[i + 2 * stride], d = from[i + 3 * stride];
        sum ^= a.x ^ a.y ^ a.z ^ a.w ^ b.x ^ b.y ^ b.z ^ b.w;
        sum ^= c.x ^ c.y ^ c.z ^ c.w ^ d.x ^ d.y ^ d.z ^ d.w;
    }
    if (sum == 0x12345678u) { /* never, but the compiler can't know */
        to[0] = make_uint4(sum, 0, 0, 0);
    }
}

enum { CHAINS = 16, F32_STEPS = 64 };

extern "C" __global__ void __launch_bounds__(256) peak_f32(float *out, u64 *ops, int rounds)
{
    float x[CHAINS], a = 0.999f + 1e-6f * threadIdx.x, b = 1e-3f * (threadIdx.x + 1);
    for (int k = 0; k < CHAINS; k++) {
        x[k] = 0.1f * k + threadIdx.x;
    }
    for (int i = 0; i < rounds; i++) {
#pragma unroll
        for (int s = 0; s < F32_STEPS; s++) {
            for (int k = 0; k < CHAINS; k++) {
                x[k] = __fmaf_rn(x[k], a, b);
            }
        }
    }
    float sum = 0;
    for (int k = 0; k < CHAINS; k++) {
        sum += x[k];
    }
    out[blockIdx.x * blockDim.x + threadIdx.x] = sum;
    ops[0] = 2ull * CHAINS * F32_STEPS * rounds * blockDim.x;
}

/* Two 16-bit floats, or one tf32, of either sign, from 1/8 to 1/2 in size (f16: to 2). */
enum kind { F16, BF16, TF32 };

template <kind K> __device__ u32 number(u32 i)
{
    u32 r = i * 2654435761u ^ 0x9e3779b9u;
    r ^= r >> 15;
    r *= 0x85ebca6bu;
    r ^= r >> 13;
    u32 sign = r & 0x80008000u;
    if (K == F16) {
        return sign | 0x30003000u | (r & 0x0fff0fffu);
    }
    if (K == BF16) {
        return sign | 0x3e003e00u | (r & 0x00ff00ffu);
    }
    return (r & 0x80000000u) | 0x3e000000u | (r & 0x00ffe000u);
}

#if WGMMA
enum { STAGES = 4, A_BYTES = 64 * 32, B_BYTES = 256 * 32, STAGE_BYTES = A_BYTES + B_BYTES };

#define D8(i) "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3]), "+f"(d[i + 4]),          \
    "+f"(d[i + 5]), "+f"(d[i + 6]), "+f"(d[i + 7])
#define D32(i) D8(i), D8(i + 8), D8(i + 16), D8(i + 24)
#define REGISTERS                                                                                  \
    "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, " \
    "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, " \
    "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, " \
    "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63, " \
    "%64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, " \
    "%80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95, " \
    "%96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, %111, " \
    "%112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, %127"
#define PRODUCT(shape, rest)                                                                       \
    asm volatile("{ wgmma.mma_async.sync.aligned." shape " {" REGISTERS "}, %128, %129, " rest     \
                 "; }"                                                                             \
                 : D32(0), D32(32), D32(64), D32(96)                                               \
                 : "l"(a), "l"(b))

/* 64 x 256 x 32 bytes of K. */
template <kind K> __device__ __forceinline__ void product(float (&d)[128], u64 a, u64 b)
{
    if (K == F16) {
        PRODUCT("m64n256k16.f32.f16.f16", "1, 1, 1, 0, 0");
    } else if (K == BF16) {
        PRODUCT("m64n256k16.f32.bf16.bf16", "1, 1, 1, 0, 0");
    } else {
        PRODUCT("m64n256k8.f32.tf32.tf32", "1, 1, 1");
    }
}

/* Core matrices of 8 rows x 16 bytes, two along K (128 bytes apart), 256 bytes from row group to
 * row group: no swizzle. PTX ISA 8.7, section 9.7.15.5.1, matrix descriptors. */
__device__ u64 descriptor(const void *at)
{
    u32 address = (u32)__cvta_generic_to_shared(at);
    return (u64)((address & 0x3ffff) >> 4) | (u64)(128 >> 4) << 16 | (u64)(256 >> 4) << 32;
}

/* Two warpgroups: one's products run while the other waits for its own. */
template <kind K> __device__ void tensor(float *out, u64 *ops, int rounds)
{
    __shared__ __align__(1024) u32 tiles[STAGES * STAGE_BYTES / 4];
    for (u32 i = threadIdx.x; i < STAGES * STAGE_BYTES / 4; i += blockDim.x) {
        tiles[i] = number<K>(i + blockIdx.x * 7919);
    }
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
    __syncthreads();
    float d[128];
    for (int k = 0; k < 128; k++) {
        d[k] = 0;
    }
    for (int i = 0; i < rounds; i++) {
        asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
#pragma unroll
        for (int s = 0; s < STAGES; s++) {
            const char *stage = (const char *)tiles + s * STAGE_BYTES;
            product<K>(d, descriptor(stage), descriptor(stage + A_BYTES));
        }
        asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
        asm volatile("wgmma.wait_group.sync.aligned 0;" ::: "memory");
    }
    float sum = 0;
    for (int k = 0; k < 128; k++) {
        sum += d[k];
    }
    out[blockIdx.x * blockDim.x + threadIdx.x] = sum;
    ops[0] = 2ull * 64 * 256 * (K == TF32 ? 8 : 16) * STAGES * rounds * (blockDim.x / 128);
    ops[1] = 1;
}
#else
enum { TILES = 8, TENSOR_STEPS = 16 };

template <kind K> __device__ void product(float (&d)[4], const u32 (&a)[4], const u32 (&b)[2])
{
#define PRODUCT(shape)                                                                             \
    asm volatile("mma.sync.aligned." shape " {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "       \
                 "{%0, %1, %2, %3};"                                                               \
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])                                  \
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]))
    if (K == F16) {
        PRODUCT("m16n8k16.row.col.f32.f16.f16.f32");
    } else if (K == BF16) {
        PRODUCT("m16n8k16.row.col.f32.bf16.bf16.f32");
    } else {
        PRODUCT("m16n8k8.row.col.f32.tf32.tf32.f32");
    }
}

template <kind K> __device__ void tensor(float *out, u64 *ops, int rounds)
{
    float d[TILES][4];
    u32 a[4], b[TILES][2], me = blockIdx.x * blockDim.x + threadIdx.x;
    for (int k = 0; k < 4; k++) {
        a[k] = number<K>(me * 4 + k);
    }
    for (int t = 0; t < TILES; t++) {
        b[t][0] = number<K>(me * 8 + t);
        b[t][1] = number<K>(~(me * 8 + t));
        for (int k = 0; k < 4; k++) {
            d[t][k] = 0;
        }
    }
    for (int i = 0; i < rounds; i++) {
#pragma unroll
        for (int s = 0; s < TENSOR_STEPS; s++) {
#pragma unroll
            for (int t = 0; t < TILES; t++) {
                product<K>(d[t], a, b[t]);
            }
        }
    }
    float sum = 0;
    for (int t = 0; t < TILES; t++) {
        sum += d[t][0] + d[t][1] + d[t][2] + d[t][3];
    }
    out[me] = sum;
    ops[0] = 2ull * 16 * 8 * (K == TF32 ? 8 : 16) * TILES * TENSOR_STEPS * rounds * (blockDim.x / 32);
    ops[1] = 0;
}
#endif

extern "C" __global__ void __launch_bounds__(256) peak_f16(float *out, u64 *ops, int rounds)
{
    tensor<F16>(out, ops, rounds);
}

extern "C" __global__ void __launch_bounds__(256) peak_bf16(float *out, u64 *ops, int rounds)
{
    tensor<BF16>(out, ops, rounds);
}

extern "C" __global__ void __launch_bounds__(256) peak_tf32(float *out, u64 *ops, int rounds)
{
    tensor<TF32>(out, ops, rounds);
}
