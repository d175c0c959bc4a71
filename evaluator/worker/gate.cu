/* SPDX-License-Identifier: MIT */
/*
 * The gate's own kernels: they make inputs, compare outputs, watch the zones around buffers and
 * hold the GPU back while launches are queued. Compiled for the device that is found, by the same
 * compiler as candidates, and loaded into a module of their own. The numbers of types, domains and
 * the struct are those of gate.h.
 *
 * No headers, so that it compiles in milliseconds.
 */
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long i64;

enum { F64, F32, F16, BF16, F8E4M3, F8E5M2, I64, I32, I16, I8, U8, BOOL };
enum { REAL, POSITIVE, UNIT, PROBABILITY, INDEX, EXACT };
enum { OWN, OFFSET, OUTLIERS, INTEGERS, SCALED_ROWS, EDGES, IMPULSES, NEGATIVE, POSITIVES, FAR_BELOW,
       FAR_ABOVE, FAR_OFFSET, FAR_EDGES };

__device__ float half_to_float(u16 h)
{
    float f;
    asm("cvt.f32.f16 %0, %1;" : "=f"(f) : "h"(h));
    return f;
}

__device__ u16 float_to_half(float f)
{
    u16 h;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(h) : "f"(f));
    return h;
}

__device__ u16 float_to_bfloat(float f)
{
    u32 bits = __float_as_uint(f);
    return (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
}

__device__ float power_of_two(int exponent) { return __int_as_float((127 + exponent) << 23); }

/* 4 exponent bits, 3 of mantissa, largest 448, no infinity. */
__device__ float e4m3_to_float(u8 b)
{
    int exponent = (b >> 3) & 15, mantissa = b & 7;
    float f = exponent ? (8 + mantissa) * power_of_two(exponent - 10)
                       : mantissa * power_of_two(-9);
    f = (b & 0x7f) == 0x7f ? __int_as_float(0x7fffffff) : f;
    return b & 0x80 ? -f : f;
}

__device__ u8 float_to_e4m3(float f)
{
    float a = fminf(fabsf(f), 448.0f);
    int exponent = max((int)(__float_as_uint(a) >> 23) - 127, -6);
    int steps = (int)rintf(a * power_of_two(3 - exponent)); /* 16 carries into the exponent */
    int bits = steps < 8 ? steps : ((exponent + 6) << 3) + steps;
    return (u8)((f < 0 ? 0x80 : 0) | bits);
}

__device__ u8 float_to_e5m2(float f)
{
    u16 h = float_to_half(f);
    return (u8)((h + 0x7f + ((h >> 8) & 1)) >> 8);
}

/* Or the optimiser makes a loop for each type. */
#define OPAQUE(x) asm volatile("" : "+r"(x))
__device__ double load(const u8 *at, u64 i, int dtype)
{
    switch (dtype) {
    case F64: return ((const double *)at)[i];
    case F32: return ((const float *)at)[i];
    case F16: return half_to_float(((const u16 *)at)[i]);
    case BF16: return __uint_as_float((u32)((const u16 *)at)[i] << 16);
    case F8E4M3: return e4m3_to_float(at[i]);
    case F8E5M2: return half_to_float((u16)(at[i] << 8));
    case I64: return (double)((const i64 *)at)[i];
    case I32: return ((const int *)at)[i];
    case I16: return ((const short *)at)[i];
    case I8: return ((const signed char *)at)[i];
    default: return at[i];
    }
}

/* Philox4x32-10 (Salmon, Moraes, Dror, Shaw: Parallel random numbers: as easy as 1, 2, 3; SC11). */
__device__ uint4 philox(uint4 c, u32 k0, u32 k1)
{
#pragma unroll
    for (int round = 0; round < 10; round++) {
        u32 hi0 = __umulhi(0xD2511F53u, c.x), lo0 = 0xD2511F53u * c.x;
        u32 hi1 = __umulhi(0xCD9E8D57u, c.z), lo1 = 0xCD9E8D57u * c.z;
        c = make_uint4(hi1 ^ c.y ^ k0, lo1, hi0 ^ c.w ^ k1, lo0);
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return c;
}

/* In (0, 1), from the upper 24 bits. */
__device__ float unit(u32 r)
{
    return ((r >> 8) + 0.5f) * 5.9604644775390625e-8f;
}

/* Two standard normals by Box and Muller. */
__device__ void normals(u32 r0, u32 r1, float *a, float *b)
{
    float radius = sqrtf(-2.0f * __logf(unit(r0))), angle = 6.2831853f * unit(r1);
    *a = radius * __cosf(angle);
    *b = radius * __sinf(angle);
}

struct source {
    int dtype, domain, mode;
    u64 bound, inner, rows;
    u32 turn; /* of rows: which one comes first in their cycle */
};

/* Below one in the type, too. */
__device__ float below_one(int dtype)
{
    return dtype == BF16   ? 0.99609375f
        : dtype == F16     ? 0.99951171875f
        : dtype == F8E4M3  ? 0.9375f
        : dtype == F8E5M2  ? 0.875f
                           : 0.99999994f;
}

/* Real or positive numbers; `scale` as row_scale has it. */
__device__ float draw_number(const source &s, float n, u32 r, float scale)
{
    bool positive = s.domain == POSITIVE;
    float a = positive ? fabsf(n) + 0.015625f : n;
    switch (s.mode) {
    case OFFSET: return positive ? __expf(n) : 1.0f + 2.0f * n;
    case OUTLIERS: return (r & 255) == 0 ? 8.0f * a : a;
    case INTEGERS: return rintf(fminf(fmaxf(2.0f * a, positive ? 1.0f : -4.0f), 4.0f));
    case EDGES:
    case FAR_EDGES: return scale == 1.0f ? a : copysignf(scale + fabsf(n), a);
    case IMPULSES: return a * ((r & 31) == 0 ? 8.0f : 0.015625f) * scale;
    case NEGATIVE: return positive ? a * 0.015625f : -0.5f - fabsf(n);
    case POSITIVES: return fabsf(n) + 0.5f;
    case FAR_BELOW: return positive ? a * 0.015625f : -100.0f - 16.0f * fabsf(n);
    case FAR_ABOVE: return 100.0f + 16.0f * fabsf(n);
    case FAR_OFFSET: return positive || scale == 1.0f ? 1.0f + 2.0f * a : scale + n;
    default: return a * scale;
    }
}

/* A probability isn't normalised yet: an exponential, so that a row becomes a uniform draw from
 * the simplex. */
__device__ float draw_share(const source &s, u32 r, u32 other, float scale)
{
    float u = unit(r);
    if (s.domain == PROBABILITY) {
        float e = -__logf(u) + 1e-6f;
        bool large = s.mode == OUTLIERS ? (other & 255) == 0
            : s.mode == IMPULSES        ? (other & 31) == 0
                                        : scale == 8.0f;
        return large ? 64.0f * e : e;
    }
    switch (s.mode) {
    case OFFSET: u = u * u; break;
    case INTEGERS: u = floorf(u * 8.0f) * 0.125f; break;
    case EDGES: u = scale == 1.0f ? u : 0.875f + 0.125f * u; break;
    case IMPULSES: u = (other & 31) == 0 ? u : u * 0.015625f; break;
    }
    return fminf(u, below_one(s.dtype));
}

__device__ i64 draw_whole(const source &s, u32 r, u32 other)
{
    if (s.domain == INDEX) {
        if (s.mode != OWN && (r & 15) == 0) {
            return r & 16 ? (i64)s.bound - 1 : 0;
        }
        return (i64)__umul64hi(((u64)r << 32) | other, s.bound);
    }
    if (s.dtype == BOOL) {
        return r >> 31;
    }
    if (s.mode == IMPULSES && (other & 15) != 0) {
        return s.domain == POSITIVE; /* the least there is */
    }
    int v = (int)__umulhi(r, 17u);
    return s.domain == POSITIVE ? v + 1 : s.dtype == U8 || s.domain == UNIT ? v : v - 8;
}

__device__ bool is_whole(int dtype, int domain) { return dtype >= I64 || domain >= INDEX; }

/* First, last and one near a power of two in a row; all of the first and the last row. */
__device__ bool is_edge(const source &s, u64 row, u64 at)
{
    u64 near = (u64)32 << (row % 6);
    return at == 0 || at + 1 == s.inner || at + 1 == near + (row / 6 & 1)
        || (s.rows > 2 && (row == 0 || row + 1 == s.rows));
}

/* One element a row, near a boundary of lines, warps, blocks, or of the row. */
__device__ bool is_spike(const source &s, u64 row, u64 at)
{
    u64 k = row % 10, last = s.inner - 1;
    u64 place = k < 2 ? k : k < 4 ? 29 + k : k < 6 ? 251 + k : k < 8 ? 1017 + k : last + k - 9;
    return at == (place < last || k >= 8 ? place : last);
}

/* What makes a row differ: rows of every size, some so small that an epsilon decides; rows of nothing
 * among the impulses; short ones far from zero, where squares of sums cancel. */
__device__ float row_scale(const source &s, u64 row, u64 at)
{
    int step = (row + s.turn) & 7;
    switch (s.mode) {
    case SCALED_ROWS: return power_of_two(step == 7 ? -12 : step - 3);
    case EDGES: return is_edge(s, row, at) ? 8.0f : 1.0f;
    case FAR_EDGES: return is_spike(s, row + s.turn, at) ? 120.0f : 1.0f;
    case IMPULSES: return step == 7 && s.rows > 1 && s.domain == REAL ? 0.0f : 1.0f;
    case FAR_OFFSET: return ((step & 3) == 0 || s.rows < 4) && s.inner <= 300 ? 128.0f : 1.0f;
    default: return 1.0f;
    }
}

/* The scales of four neighbours that start at element i. */
__device__ void row_scales(const source &s, u64 i, float *scale)
{
    bool rows = s.mode >= SCALED_ROWS;
    u64 row = 0, at = 0;
    if (rows) {
        row = i / s.inner;
        at = i - row * s.inner;
    }
#pragma unroll
    for (int k = 0; k < 4; k++) {
        scale[k] = rows ? row_scale(s, row, at) : 1.0f;
        if (++at >= s.inner) {
            at = 0;
            row++;
        }
    }
}

__device__ void draw4(const source &s, u64 group, uint4 random, float *v, i64 *whole)
{
    u32 r[4] = { random.x, random.y, random.z, random.w };
    float scale[4];
    row_scales(s, 4 * group, scale);
    if (is_whole(s.dtype, s.domain)) {
#pragma unroll
        for (int k = 0; k < 4; k++) {
            whole[k] = draw_whole(s, r[k], r[(k + 1) & 3]);
            v[k] = (float)whole[k];
        }
    } else if (s.domain >= UNIT) {
        for (int k = 0; k < 4; k++) {
            v[k] = draw_share(s, r[k], r[(k + 1) & 3], scale[k]);
        }
    } else {
        float n[4];
        normals(r[0], r[1], &n[0], &n[1]);
        normals(r[2], r[3], &n[2], &n[3]);
#pragma unroll
        for (int k = 0; k < 4; k++) {
            v[k] = draw_number(s, n[k], r[k], scale[k]);
        }
    }
}

#define PACK4(T, f) (((T *)to)[g] = make_##T(f(v[0]), f(v[1]), f(v[2]), f(v[3])))

__device__ void store4(u8 *to, u64 g, int dtype, const float *v, const i64 *w)
{
    switch (dtype) {
    case F64:
        ((double2 *)to)[2 * g] = make_double2(v[0], v[1]);
        ((double2 *)to)[2 * g + 1] = make_double2(v[2], v[3]);
        break;
    case F32: ((float4 *)to)[g] = make_float4(v[0], v[1], v[2], v[3]); break;
    case F16: PACK4(ushort4, float_to_half); break;
    case BF16: PACK4(ushort4, float_to_bfloat); break;
    case F8E4M3: PACK4(uchar4, float_to_e4m3); break;
    case F8E5M2: PACK4(uchar4, float_to_e5m2); break;
    case I64:
        ((longlong2 *)to)[2 * g] = make_longlong2(w[0], w[1]);
        ((longlong2 *)to)[2 * g + 1] = make_longlong2(w[2], w[3]);
        break;
    case I32: ((int4 *)to)[g] = make_int4(w[0], w[1], w[2], w[3]); break;
    case I16: ((short4 *)to)[g] = make_short4(w[0], w[1], w[2], w[3]); break;
    default: ((uchar4 *)to)[g] = make_uchar4(w[0], w[1], w[2], w[3]); break;
    }
}

/* For the rest of a row or tensor; v for floating point, whole for integers. */
__device__ void store(u8 *at, u64 i, int dtype, float v, i64 whole)
{
    switch (dtype) {
    case F64: ((double *)at)[i] = v; break;
    case F32: ((float *)at)[i] = v; break;
    case F16: ((u16 *)at)[i] = float_to_half(v); break;
    case BF16: ((u16 *)at)[i] = float_to_bfloat(v); break;
    case F8E4M3: at[i] = float_to_e4m3(v); break;
    case F8E5M2: at[i] = float_to_e5m2(v); break;
    case I64: ((i64 *)at)[i] = whole; break;
    case I32: ((int *)at)[i] = (int)whole; break;
    case I16: ((short *)at)[i] = (short)whole; break;
    default: at[i] = (u8)whole; break;
    }
}

/* Element i of a tensor depends on the key and i alone, whatever the launch. `to` is 16-byte
 * aligned. */
extern "C" __global__ void gate_fill(u8 *to, u64 count, u64 inner, u64 bound, int dtype, int domain,
                                     int mode, u32 k0, u32 k1, u32 c2, u32 c3)
{
    source s = { dtype, domain, mode, bound, inner, count / inner, c3 };
    u64 groups = (count + 3) / 4, stride = (u64)gridDim.x * blockDim.x;
    for (u64 g = blockIdx.x * (u64)blockDim.x + threadIdx.x; g < groups; g += stride) {
        OPAQUE(s.dtype);
        OPAQUE(s.domain);
        OPAQUE(s.mode);
        float v[4] = { 0, 0, 0, 0 };
        i64 whole[4] = { 0, 0, 0, 0 };
        draw4(s, g, philox(make_uint4((u32)g, (u32)(g >> 32), c2, c3), k0, k1), v, whole);
        if (4 * g + 4 <= count) {
            store4(to, g, s.dtype, v, whole);
            continue;
        }
        for (int k = 0; k < 3; k++) {
            if (4 * g + k < count) {
                store(to, 4 * g + k, s.dtype, v[k], whole[k]);
            }
        }
    }
}

__device__ double block_sum(double v, double *cell)
{
    for (int step = 16; step > 0; step /= 2) {
        v += __shfl_down_sync(0xffffffffu, v, step);
    }
    if (threadIdx.x % 32 == 0) {
        cell[threadIdx.x / 32] = v;
    }
    __syncthreads();
    double sum = 0;
    for (int w = 0; w < (int)blockDim.x / 32; w++) {
        sum += cell[w];
    }
    __syncthreads();
    return sum;
}

/* Makes each row of `inner` elements sum to one. */
extern "C" __global__ void gate_normalise(u8 *at, u64 rows, u64 inner, int dtype)
{
    __shared__ double cell[32];
    for (u64 row = blockIdx.x; row < rows; row += gridDim.x) {
        double sum = 0;
        for (u64 i = threadIdx.x; i < inner; i += blockDim.x) {
            OPAQUE(dtype);
            sum += load(at, row * inner + i, dtype);
        }
        sum = block_sum(sum, cell);
        for (u64 i = threadIdx.x; i < inner; i += blockDim.x) {
            OPAQUE(dtype);
            store(at, row * inner + i, dtype, (float)(load(at, row * inner + i, dtype) / sum), 0);
        }
    }
}

struct comparison {
    u64 wrong, first;          /* elements; lowest index of a wrong one */
    u64 max_error;             /* bits of a double that isn't negative: they order like numbers */
    double error2, expected2;  /* sums of squares over finite elements */
    u64 not_finite;            /* expected elements that are NaN or infinite */
    u64 significant;           /* expected elements that zero wouldn't match */
    double expected1;          /* sum over finite elements */
};

__device__ bool finite(double v) { return fabs(v) <= 1.7976931348623157e308; }

/* Sums of the expected output alone. */
extern "C" __global__ void gate_norm(const u8 *expected, u64 count, int dtype, double atol,
                                     comparison *out)
{
    __shared__ double cell[32];
    double sum = 0, square = 0, odd = 0, significant = 0;
    u64 stride = (u64)gridDim.x * blockDim.x;
    for (u64 i = blockIdx.x * (u64)blockDim.x + threadIdx.x; i < count; i += stride) {
        OPAQUE(dtype);
        double e = load(expected, i, dtype);
        bool ok = finite(e);
        sum += ok ? e : 0;
        square += ok ? e * e : 0;
        odd += ok ? 0 : 1;
        significant += fabs(e) <= atol ? 0 : 1;
    }
    sum = block_sum(sum, cell);
    square = block_sum(square, cell);
    odd = block_sum(odd, cell);
    significant = block_sum(significant, cell);
    if (threadIdx.x == 0) {
        atomicAdd(&out->expected1, sum);
        atomicAdd(&out->expected2, square);
        atomicAdd(&out->not_finite, (u64)odd);
        atomicAdd(&out->significant, (u64)significant);
    }
}

/* Is `got` right? Written so that a NaN that isn't expected is never right. */
__device__ bool matches(double expected, double got, double error, double atol, double rtol)
{
    if (expected != expected) {
        return got != got;
    }
    if (!finite(expected)) {
        return got == expected;
    }
    return error <= atol + rtol * fabs(expected);
}

/* As torch.isclose has it: relative to what was got, in float's arithmetic but for f64. */
__device__ bool is_close(double expected, double got, double error, int dtype, double t)
{
    float off = fabsf((float)expected - (float)got), most = (float)t + fabsf((float)t * (float)got);
    bool near = dtype == F64 ? finite(error) && error <= t + fabs(t * got) : finite(off) && off <= most;
    return expected == got || near;
}

/* `close`: by is_close, with rtol for both tolerances. */
extern "C" __global__ void gate_compare(const u8 *expected, const u8 *got, u64 count, int dtype,
                                        double atol, double rtol, int close, comparison *out)
{
    __shared__ double cell[32];
    double wrong = 0, largest = 0, square = 0, odd = 0;
    u64 first = ~0ull, stride = (u64)gridDim.x * blockDim.x;
    for (u64 i = blockIdx.x * (u64)blockDim.x + threadIdx.x; i < count; i += stride) {
        OPAQUE(dtype);
        double e = load(expected, i, dtype), g = load(got, i, dtype);
        double error = fabs(g - e);
        bool right = close ? is_close(e, g, error, dtype, rtol) : matches(e, g, error, atol, rtol);
        odd += finite(e) ? 0 : 1;
        if (dtype >= I64 && atol < 1 && !close) { /* whole numbers: equal, however large */
            right = e == g && (dtype != I64 || ((const i64 *)expected)[i] == ((const i64 *)got)[i]);
        }
        if (!right) {
            wrong += 1;
            first = i < first ? i : first;
        }
        if (finite(error)) {
            largest = error > largest ? error : largest;
            square += error * error;
        }
    }
    if (wrong > 0) {
        atomicMin(&out->first, first);
    }
    wrong = block_sum(wrong, cell);
    square = block_sum(square, cell);
    odd = block_sum(odd, cell);
    for (int step = 16; step > 0; step /= 2) {
        double other = __shfl_down_sync(0xffffffffu, largest, step);
        largest = other > largest ? other : largest;
    }
    if (threadIdx.x % 32 == 0) {
        atomicMax(&out->max_error, (u64)__double_as_longlong(largest));
    }
    if (threadIdx.x == 0) {
        atomicAdd(&out->wrong, (u64)wrong);
        atomicAdd(&out->not_finite, (u64)odd);
        atomicAdd(&out->error2, square);
    }
}

/* Counts 4-byte words that differ; the last may be short. first: lowest index of one. */
extern "C" __global__ void gate_same(const u8 *a, const u8 *b, u64 bytes, comparison *out)
{
    u64 words = bytes / 4, differ = 0, first = ~0ull, stride = (u64)gridDim.x * blockDim.x;
    for (u64 i = blockIdx.x * (u64)blockDim.x + threadIdx.x; i < words; i += stride) {
        if (((const u32 *)a)[i] != ((const u32 *)b)[i]) {
            differ++;
            first = i < first ? i : first;
        }
    }
    if (blockIdx.x == 0 && threadIdx.x == 0) {
        for (u64 i = 4 * words; i < bytes; i++) {
            differ += a[i] != b[i];
            first = a[i] != b[i] && words < first ? words : first;
        }
    }
    if (differ) {
        atomicAdd(&out->wrong, differ);
        atomicMin(&out->first, first);
    }
}

struct zone { u64 at, bytes; };

/* One block a zone. out->first: the lowest address that no longer holds the pattern. */
extern "C" __global__ void gate_zones(const zone *zones, u32 pattern, comparison *out)
{
    zone z = zones[blockIdx.x];
    for (u64 i = threadIdx.x; i < z.bytes; i += blockDim.x) {
        u64 at = z.at + i;
        if (*(const u8 *)at != (u8)(pattern >> (8 * (at & 3)))) {
            atomicAdd(&out->wrong, 1ull);
            atomicMin(&out->first, at);
        }
    }
}

__device__ u64 globaltimer()
{
    u64 t;
    asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(t));
    return t;
}

__device__ u32 multiprocessor()
{
    u32 id;
    asm volatile("mov.u32 %0, %%smid;" : "=r"(id));
    return id;
}

/* Two readings of the SM clock and of the time, on one multiprocessor. */
struct stamps {
    u64 hold_cycles, hold_ns;   /* what the hold took, */
    u64 late, longest_ns;       /* whether it gave up, the longest it wasn't let run */
    u64 multiprocessor, cycles, ns; /* at its end */
    u64 after_cycles, after_ns; /* after what was timed; 0: not taken */
};

/*
 * Holds the stream until the host sets *flag to `turn` (or later), so that what is queued behind
 * runs without gaps. Gives up after `timeout` ns. A long step of the timer between two looks means
 * that something else had the GPU.
 */
extern "C" __global__ void gate_hold(const volatile u32 *flag, u32 turn, u64 timeout,
                                     volatile stamps *out)
{
    u64 start = globaltimer(), cycles = clock64(), now = start, longest = 0;
    bool late = false;
    while ((int)(*flag - turn) < 0 && !late) {
        u64 next = globaltimer();
        longest = next - now > longest ? next - now : longest;
        now = next;
        late = now - start > timeout;
    }
    out->after_cycles = out->after_ns = 0;
    out->late = late;
    out->longest_ns = longest;
    out->multiprocessor = multiprocessor();
    u64 at = clock64(), ns = globaltimer();
    out->hold_cycles = at - cycles;
    out->hold_ns = ns - start;
    out->cycles = at;
    out->ns = ns;
}

/* After what was timed: the same readings on the same multiprocessor, by whichever block is there. */
extern "C" __global__ void gate_stamp(volatile stamps *out)
{
    if (multiprocessor() == out->multiprocessor) {
        out->after_cycles = clock64();
        out->after_ns = globaltimer();
    }
}

/* Leaves a pattern in shared memory, so that a kernel that reads what it didn't write stands out. */
extern "C" __global__ void gate_shared(u32 pattern, u32 words)
{
    extern __shared__ u32 cells[];
    for (u32 i = threadIdx.x; i < words; i += blockDim.x) {
        ((volatile u32 *)cells)[i] = pattern;
    }
}

/* The outputs of trivial candidates, to see whether a task tells them apart. */
extern "C" __global__ void gate_constant(u8 *to, u64 count, int dtype, double value)
{
    u64 stride = (u64)gridDim.x * blockDim.x;
    for (u64 i = blockIdx.x * (u64)blockDim.x + threadIdx.x; i < count; i += stride) {
        OPAQUE(dtype);
        store(to, i, dtype, (float)value, (i64)rint(value));
    }
}

extern "C" __global__ void gate_cast(u8 *to, int to_dtype, const u8 *from, int from_dtype, u64 count)
{
    u64 stride = (u64)gridDim.x * blockDim.x;
    for (u64 i = blockIdx.x * (u64)blockDim.x + threadIdx.x; i < count; i += stride) {
        OPAQUE(to_dtype);
        OPAQUE(from_dtype);
        double v = load(from, i, from_dtype);
        store(to, i, to_dtype, (float)v, (i64)v);
    }
}

/* In each piece of `inner` elements the second half becomes a copy of the first. */
extern "C" __global__ void gate_halve(u8 *at, u64 count, u64 inner, int size)
{
    u64 half = (inner + 1) / 2, stride = (u64)gridDim.x * blockDim.x;
    for (u64 i = blockIdx.x * (u64)blockDim.x + threadIdx.x; i < count; i += stride) {
        if (i % inner >= half) {
            for (int b = 0; b < size; b++) {
                at[i * size + b] = at[(i - half) * size + b];
            }
        }
    }
}
