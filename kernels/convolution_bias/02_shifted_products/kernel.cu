/* SPDX-License-Identifier: MIT */
/* Convolution, plain or transposed, f32 in and out. 02: a sum of shifted products on tensor cores.
 *
 * 01 asks memory for both factors of every product. Here a block owns a tile of positions and all
 * output channels of a group. It reads the inputs under the tile once, with their halo, and keeps
 * them as f16, eight channels of a position to 16 bytes ("octets"), a plane of positions an octet:
 *
 *     octet 0: [position 0][position 1] ...   octet 1: ...        16 bytes each
 *
 * A tap of the kernel is then a constant added to an address, and ldmatrix takes its rows from
 * there. The weights were laid out once, in the order in which the taps come; they pass through a
 * ring.
 *
 * Both kinds of convolution are one: output R*q + r takes inputs S*q + offset. Plain: R = 1, S is
 * the stride. Transposed: S = 1, R is the stride, each remainder r ("phase") has the taps that
 * reach it, and no zero is multiplied. Fewer than eight channels (3, mostly) share their octets
 * with the taps along the width ("inner").
 *
 * Operands have TF32's 10 bits: f16 with a power of two a tile of inputs and a power of two an
 * output channel, so that f16's range is no matter. A tile whose largest value is of ordinary size
 * is taken as it is; another is read again, scaled. Sums are f32.
 * EXACT splits values into two f16 each, for those who want f32's own result. */

#define THREADS (32 * WARPS_M * WARPS_N)

#if TRANSPOSED
#define INNER 0
#define STEP_D 1
#define STEP_H 1
#define STEP_W 1
#define PHASES_D SD
#define PHASES_H SH
#define PHASES_W SW
#else
#define INNER (CG < 8)
#define STEP_D SD
#define STEP_H SH
#define STEP_W SW
#define PHASES_D 1
#define PHASES_H 1
#define PHASES_W 1
#endif
#define PHASES (PHASES_D * PHASES_H * PHASES_W)

/* Inputs that a tile needs along one axis: from q0 * STEP + low, `span` of them. */
static constexpr __host__ __device__ int ceil_div(int a, int b)
{
    return (a + b - 1) / b;
}
static constexpr __host__ __device__ int low(int pad, int kernel, int dilation, int stride)
{
    int reach = (kernel - 1) * dilation - pad; /* of the last tap */
    if (!TRANSPOSED)
        return -pad;
    return reach >= 0 ? -(reach / stride) : ceil_div(-reach, stride);
}
static constexpr __host__ __device__ int span(int tile, int pad, int kernel, int dilation,
                                              int stride)
{
    int high = TRANSPOSED ? ceil_div(pad, stride) : (kernel - 1) * dilation - pad;
    return (tile - 1) * (TRANSPOSED ? 1 : stride) + high - low(pad, kernel, dilation, stride) + 1;
}
static constexpr int LOW_D = low(PD, KD, DD, SD), SPAN_D = span(TD, PD, KD, DD, SD);
static constexpr int LOW_H = low(PH, KH, DH, SH), SPAN_H = span(TH, PH, KH, DH, SH);
static constexpr int LOW_W = low(PW, KW, DW, SW), SPAN_W = INNER ? TW : span(TW, PW, KW, DW, SW);

/* Along the width positions of one remainder modulo the step stand together, so that those of eight
 * neighbouring outputs always are neighbours. */
static constexpr int SPLIT = INNER ? 1 : STEP_W, PITCH = ceil_div(SPAN_W, SPLIT);
static constexpr int PLANE = SPAN_D * SPAN_H * SPLIT * PITCH; /* positions, 16 bytes each */

static constexpr int CHANNELS = INNER ? CG * KW : CG, OCTETS = ceil_div(CHANNELS, 8);
static constexpr int CHUNK = OCTETS < CHUNK_OCTETS ? OCTETS : CHUNK_OCTETS;
static constexpr int CHUNKS = ceil_div(OCTETS, CHUNK);
static constexpr int BM = TD * TH * TW, TILES_N = ceil_div(KG, 128);
static constexpr int BN = ceil_div(ceil_div(KG, TILES_N), 8 * WARPS_N) * 8 * WARPS_N;
static constexpr int MF = BM / 16 / WARPS_M, NF = BN / 8 / WARPS_N; /* fragments of a warp */
static constexpr int STAGE_OCTETS = 2 * STEPS, STAGE_BYTES = STAGE_OCTETS * BN * 16;
/* A thread loads one octet at a time, or where octets hold taps all of a position: which tap is
 * where is then known when compiling. */
static constexpr int PER = INNER ? CHUNK : 1;
static constexpr int ITEMS = CHUNK / PER * SPAN_D * SPAN_H * SPAN_W,
                     TRIPS = ceil_div(ITEMS, THREADS);
static constexpr int BATCHES = ceil_div(TRIPS, UNROLL > PER ? UNROLL / PER : 1);
static constexpr int BATCH = ceil_div(TRIPS, BATCHES);
static constexpr int TAPS_W = INNER ? 1 : KW;
/* EXACT: values as sums of two f16, products of parts as three entries of the list (all but the two
 * small parts), so that the result is f32's. The small parts of the inputs have planes of their
 * own. */
static constexpr int PARTS = EXACT ? 3 : 1, PLANES = CHUNK * (EXACT ? 2 : 1);
static constexpr int ENTRIES = PHASES * (STAGE_OCTETS + 2) + KD * KH * TAPS_W * CHUNK * PARTS;

/* The octets that a block multiplies, in order: where the first position's lies in shared memory,
 * of which tap and octet of a chunk its weights are (-1: padding). Phase p has stages start[p] to
 * start[p + 1] - 1, once a chunk. */
struct list {
    int offset[ENTRIES], tap[ENTRIES], octet[ENTRIES], small[ENTRIES], start[PHASES + 1];
};

/* Tap t of an axis in phase r: does it reach, and what does it add to the position? */
static constexpr __host__ __device__ bool reaches(int t, int r, int pad, int dilation, int stride)
{
    return !TRANSPOSED || (r + pad - t * dilation) % stride == 0;
}
static constexpr __host__ __device__ int shift(int t, int r, int pad, int dilation, int stride,
                                               int low)
{
    return (TRANSPOSED ? (r + pad - t * dilation) / stride : t * dilation - pad) - low;
}

static constexpr __host__ __device__ list make_list()
{
    list l = {};
    int n = 0, p = 0;
    for (int rd = 0; rd < PHASES_D; rd++)
        for (int rh = 0; rh < PHASES_H; rh++)
            for (int rw = 0; rw < PHASES_W; rw++, p++) {
                l.start[p] = n / STAGE_OCTETS;
                for (int part = 0; part < PARTS; part++) {
                    for (int o = 0; o < CHUNK; o++)
                        for (int i = 0; i < KD * KH * TAPS_W; i++) {
                            /* a transposed convolution's taps walk backwards: a pair's positions
                             * ascend */
                            int tap = TRANSPOSED ? KD * KH * TAPS_W - 1 - i : i;
                            int d = tap / (KH * TAPS_W), h = tap / TAPS_W % KH, w = tap % TAPS_W;
                            if (!reaches(d, rd, PD, DD, SD) || !reaches(h, rh, PH, DH, SH) ||
                                !reaches(w, rw, PW, DW, SW))
                                continue;
                            int at = INNER ? 0 : shift(w, rw, PW, DW, SW, LOW_W);
                            l.offset[n] = (o + (part == 2 ? CHUNK : 0)) * PLANE +
                                          (shift(d, rd, PD, DD, SD, LOW_D) * SPAN_H +
                                           shift(h, rh, PH, DH, SH, LOW_H)) *
                                              SPLIT * PITCH +
                                          at % SPLIT * PITCH + at / SPLIT;
                            l.tap[n] = tap;
                            l.small[n] = part == 1;
                            l.octet[n++] = o;
                        }
                    while (n % (part + 1 < PARTS ? 2 : STAGE_OCTETS)) {
                        l.offset[n] = l.offset[n - 1];
                        l.tap[n++] = -1;
                    }
                }
            }
    l.start[PHASES] = n / STAGE_OCTETS;
    return l;
}

static __constant__ list todo = make_list();
static constexpr int STAGES_ALL = make_list().start[PHASES] * CHUNKS;

extern __shared__ __align__(128) unsigned char shared[];

struct place {
    int d, h, w;
};
static constexpr int RING = PLANES * PLANE * 16; /* where the ring of weights begins */
static constexpr int PEAKS = RING + STAGES * STAGE_BYTES;
/* Sums on their way out are gathered in shared memory, all phases along the width, so that memory
 * gets long aligned runs: [channel][row of the tile][LINE]. Where there is one phase the inputs
 * aren't needed any more and the channels may come in several passes. A channel's pitch spreads
 * banks. */
static constexpr int LINE = TW * PHASES_W, PASS = BN / PASSES;
static constexpr int CHANNEL_PITCH = ceil_div(TD * TH * LINE, 16) * 16 + 4;
static constexpr int GATHER_AT = PHASES == 1 ? 0 : PEAKS + 16;

static __device__ __forceinline__ unsigned pack(float lo, float hi)
{
    unsigned pair;
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(hi), "f"(lo));
    return pair;
}

/* What rounding to f16 leaves of a value. */
static __device__ __forceinline__ float rest(float v)
{
    float rounded;
    asm("{.reg .f16 h; cvt.rn.f16.f32 h, %1; cvt.f32.f16 %0, h;}" : "=f"(rounded) : "f"(v));
    return v - rounded;
}

/* The power of two that takes a largest value of these bits to 2^14; 1 for none, and where the
 * largest isn't a number. */
static __device__ __forceinline__ float power(unsigned peak)
{
    unsigned e = 268 - (peak >> 23);
    return peak && peak < 0x7f800000 ? __uint_as_float((e > 254 ? 254 : e) << 23) : 1.0f;
}

static __device__ __forceinline__ unsigned magnitude(float v)
{
    return __float_as_uint(v) & 0x7fffffff;
}

/* Weights, once: a block an output channel. packed[group][tile of channels][octet][channel][8]. */
extern "C" __global__ void pack_weights(const float *__restrict__ w, unsigned short *packed,
                                        float *unscale)
{
    __shared__ unsigned peak;
    int tile = blockIdx.x / BN, n = tile % TILES_N * BN + blockIdx.x % BN, g = tile / TILES_N;
    const int taps = KD * KH * KW;
    const long long per_c = TRANSPOSED ? (long long)KG * taps : taps;
    const float *mine = TRANSPOSED ? w + ((long long)g * CG * KG + n) * taps
                                   : w + ((long long)g * KG + n) * CG * taps;
    unsigned most = 0;

    if (threadIdx.x == 0)
        peak = 0;
    __syncthreads();
    for (int i = threadIdx.x; n < KG && i < CG * taps; i += blockDim.x)
        most = max(most, magnitude(mine[i / taps * per_c + i % taps]));
    atomicMax(&peak, most);
    __syncthreads();
    float scale = power(peak);
    if (threadIdx.x == 0)
        unscale[blockIdx.x] = 1.0f / scale;
    packed +=
        ((long long)tile * STAGES_ALL * STAGE_OCTETS * BN + blockIdx.x % BN) * 8 + threadIdx.x % 8;
    for (int p = 0; p < PHASES; p++)
        for (int chunk = 0; chunk < CHUNKS; chunk++) {
            int first = todo.start[p] * STAGE_OCTETS,
                count = todo.start[p + 1] * STAGE_OCTETS - first;
            for (int i = threadIdx.x / 8; i < count; i += blockDim.x / 8) {
                int v = (chunk * CHUNK + todo.octet[first + i]) * 8 + threadIdx.x % 8;
                int tap = todo.tap[first + i];
                int c = INNER ? v / KW : v, t = INNER ? tap * KW + v % KW : tap;
                float value = n < KG && tap >= 0 && v < CHANNELS ? mine[c * per_c + t] * scale : 0;
                packed[((long long)first * CHUNKS + chunk * count + i) * BN * 8] =
                    (unsigned short)pack(todo.small[first + i] ? rest(value) : value, 0);
            }
        }
}

/* PER octets of one position of a tile, as items are numbered: along the width first. */
struct item {
    int octet, at;  /* its first octet of the chunk; unit of 16 bytes in shared memory */
    const float *p; /* the first channel's value there */
    int w;          /* along the width, for octets that hold taps */
    bool inside;
};
static __device__ __forceinline__ item item_of(const float *__restrict__ x, int i, const place &q0)
{
    int w = i % SPAN_W, h = i / SPAN_W % SPAN_H, d = i / (SPAN_W * SPAN_H) % SPAN_D;
    int at_d = q0.d * STEP_D + LOW_D + d, at_h = q0.h * STEP_H + LOW_H + h;
    int at_w = INNER ? (q0.w + w) * SW - PW : q0.w * STEP_W + LOW_W + w;
    item it;
    it.octet = PER > 1 ? 0 : i / (SPAN_W * SPAN_H * SPAN_D);
    it.at = it.octet * PLANE + (d * SPAN_H + h) * SPLIT * PITCH + w % SPLIT * PITCH + w / SPLIT;
    it.w = at_w;
    it.inside =
        i < ITEMS && (unsigned)at_d < ID && (unsigned)at_h < IH && (INNER || (unsigned)at_w < IW);
    it.p = x + ((long long)at_d * IH + at_h) * IW + at_w;
    return it;
}

/* Value e of an item. */
static __device__ __forceinline__ float value_of(const item &it, int chunk, int e)
{
    const long long channel = (long long)ID * IH * IW;
    int v = (chunk * CHUNK + it.octet) * 8 + e, t = INNER ? v % KW * DW : 0;
    bool wanted = it.inside && (CHANNELS % (8 * CHUNK) == 0 || v < CHANNELS) &&
                  (!INNER || (unsigned)(it.w + t) < IW);
    return wanted ? it.p[(INNER ? v / KW : v) * channel + t] : 0;
}

/* The inputs under a tile, one chunk of channels, times `scale` if SCALED; returns the bits of the
 * largest. A thread's items come in BATCHES, all loads of one on their way before the first is
 * used. */
template <bool SCALED>
static __device__ __forceinline__ unsigned load_tile(const float *__restrict__ x, int chunk,
                                                     const place &q0, float scale)
{
    unsigned most = 0;

#pragma unroll 1
    for (int b = 0; b < BATCHES; b++) {
        float v[BATCH][8 * PER];
        int first = b * BATCH * THREADS + threadIdx.x;
#pragma unroll
        for (int u = 0; u < BATCH; u++) {
            item it = item_of(x, first + u * THREADS, q0);
#pragma unroll
            for (int e = 0; e < 8 * PER; e++)
                v[u][e] = value_of(it, chunk, e);
        }
#pragma unroll
        for (int u = 0; u < BATCH; u++) {
            int i = first + u * THREADS, at = item_of(x, i, q0).at;
#pragma unroll
            for (int e = 0; e < 8 * PER; e++) {
                most = max(most, magnitude(v[u][e]));
                v[u][e] *= SCALED ? scale : 1;
            }
#pragma unroll
            for (int o = 0; o < PER; o++) {
                const float *f = v[u] + o * 8;
                if (i < ITEMS)
                    reinterpret_cast<uint4 *>(shared)[at + o * PLANE] = make_uint4(
                        pack(f[0], f[1]), pack(f[2], f[3]), pack(f[4], f[5]), pack(f[6], f[7]));
#if EXACT
                if (i < ITEMS)
                    reinterpret_cast<uint4 *>(shared)[at + (CHUNK + o) * PLANE] =
                        make_uint4(pack(rest(f[0]), rest(f[1])), pack(rest(f[2]), rest(f[3])),
                                   pack(rest(f[4]), rest(f[5])), pack(rest(f[6]), rest(f[7])));
#endif
            }
        }
    }
    return most;
}

/* One chunk's inputs in shared memory for all; returns the scale they have. */
static __device__ __forceinline__ float load_chunk(const float *__restrict__ x, int chunk,
                                                   const place &q0)
{
    unsigned *peak = reinterpret_cast<unsigned *>(shared + PEAKS) + chunk % 2;
    float scale = 1;

    if (threadIdx.x == 0)
        *peak = 0;
    __syncthreads();
    for (int again = 0; again < 2; again++) {
        unsigned most =
            again ? load_tile<true>(x, chunk, q0, scale) : load_tile<false>(x, chunk, q0, scale);
        if (!again) {
            for (int i = 16; i > 0; i /= 2)
                most = max(most, __shfl_xor_sync(~0u, most, i));
            if (threadIdx.x % 32 == 0)
                atomicMax(peak, most);
        }
        __syncthreads();
        /* From 2^-8 to 2^15 f16 loses no more than 2^-17 of the largest to its smallest step, and two
         * parts from 2^-2 on no more than 2^-23. */
        if (again || !*peak || (*peak >= (EXACT ? 125u : 119u) << 23 && *peak < 142u << 23))
            break;
        scale = power(*peak);
    }
    return scale;
}

static __device__ __forceinline__ void ldmatrix(unsigned r[4], unsigned addr)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(addr)
                 : "memory");
}

static __device__ __forceinline__ void mma(float d[4], const unsigned a[4], unsigned b0,
                                           unsigned b1)
{
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
                 "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

#if WGMMA
/* Products are on their way while the next stage's start: a stage is read for one round longer. */
static constexpr int AHEAD = STAGES - 2;
#define PRODUCTS_LEFT(n) asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(n) : "memory")
#define FENCE_ASYNC asm volatile("fence.proxy.async.shared::cta;" ::: "memory")
#define D1(j) "+f"(d[j][0]), "+f"(d[j][1]), "+f"(d[j][2]), "+f"(d[j][3])
#define D2(j) D1(j), D1(j + 1)
#define D4(j) D2(j), D2(j + 2)
#define D8(j) D4(j), D4(j + 4)
#define R1 "%0, %1, %2, %3"
#define R2 R1 ", %4, %5, %6, %7"
#define R3 R2 ", %8, %9, %10, %11"
#define R4 R3 ", %12, %13, %14, %15"
#define R5 R4 ", %16, %17, %18, %19"
#define R6 R5 ", %20, %21, %22, %23"
#define R7 R6 ", %24, %25, %26, %27"
#define R8 R7 ", %28, %29, %30, %31"
#define R9 R8 ", %32, %33, %34, %35"
#define R10 R9 ", %36, %37, %38, %39"
#define R11 R10 ", %40, %41, %42, %43"
#define R12 R11 ", %44, %45, %46, %47"
#define R13 R12 ", %48, %49, %50, %51"
#define R14 R13 ", %52, %53, %54, %55"
#define R15 R14 ", %56, %57, %58, %59"
#define R16 R15 ", %60, %61, %62, %63"
#define FOR(n, registers, a, b, p, ...)                                                            \
    if constexpr (BN == n)                                                                         \
    asm volatile("{.reg .pred p; setp.ne.b32 p, " p ", 0; wgmma.mma_async.sync.aligned.m64n" #n    \
                 "k16.f32.f16.f16 {" registers "}, " a ", " b ", p, 1, 1, 0, 0;}"                  \
                 : __VA_ARGS__                                                                     \
                 : "l"(from), "l"(weights), "r"(add))

/* 64 positions by BN channels by two octets: d = from * weights, plus d if `add`. */
static __device__ __forceinline__ void product(float d[NF][4], unsigned long long from,
                                               unsigned long long weights, int add)
{
    FOR(8, R1, "%4", "%5", "%6", D1(0));
    FOR(16, R2, "%8", "%9", "%10", D2(0));
    FOR(24, R3, "%12", "%13", "%14", D2(0), D1(2));
    FOR(32, R4, "%16", "%17", "%18", D4(0));
    FOR(40, R5, "%20", "%21", "%22", D4(0), D1(4));
    FOR(48, R6, "%24", "%25", "%26", D4(0), D2(4));
    FOR(56, R7, "%28", "%29", "%30", D4(0), D2(4), D1(6));
    FOR(64, R8, "%32", "%33", "%34", D8(0));
    FOR(72, R9, "%36", "%37", "%38", D8(0), D1(8));
    FOR(80, R10, "%40", "%41", "%42", D8(0), D2(8));
    FOR(88, R11, "%44", "%45", "%46", D8(0), D2(8), D1(10));
    FOR(96, R12, "%48", "%49", "%50", D8(0), D4(8));
    FOR(104, R13, "%52", "%53", "%54", D8(0), D4(8), D1(12));
    FOR(112, R14, "%56", "%57", "%58", D8(0), D4(8), D2(12));
    FOR(120, R15, "%60", "%61", "%62", D8(0), D4(8), D2(12), D1(14));
    FOR(128, R16, "%64", "%65", "%66", D8(0), D8(8));
}

/* An operand in shared memory: groups of eight rows of 16 bytes, `next` units of 16 bytes from one
 * octet to the other, `down` from group to group (PTX ISA 8.7, section 9.7.15.5.1). */
static __device__ __forceinline__ unsigned long long descriptor(unsigned at, unsigned next,
                                                                unsigned down)
{
    return (at & 0x3ffff) >> 4 | (unsigned long long)next << 16 | (unsigned long long)down << 32;
}
#else
static constexpr int AHEAD = STAGES - 1;
#define PRODUCTS_LEFT(n)
#define FENCE_ASYNC
#endif

/* Row m of the tile: eight neighbours along the width, then eight of those along the height, or
 * along the width too where the tile is a line. */
static __device__ __forceinline__ place place_of(int m)
{
    int i = m / 8 % 8, j = m % 8, c = m / 64;
#if TW % 64 == 0
    return {c / (TW / 64) / TH, c / (TW / 64) % TH, c % (TW / 64) * 64 + i * 8 + j};
#else
    return {c / (TW / 8 * (TH / 8)), c / (TW / 8) % (TH / 8) * 8 + i, c % (TW / 8) * 8 + j};
#endif
}

/* Starts copying stage s of the weights; past the end it only counts. */
static __device__ __forceinline__ void copy_stage(const unsigned char *weights, int s)
{
    unsigned to = (unsigned)__cvta_generic_to_shared(shared) + RING + s % STAGES * STAGE_BYTES;
    if (s < STAGES_ALL)
        for (int i = threadIdx.x; i < STAGE_BYTES / 16; i += THREADS)
            asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(to + i * 16),
                         "l"(weights + (long long)s * STAGE_BYTES + i * 16)
                         : "memory");
    asm volatile("cp.async.commit_group;" ::: "memory");
}

#if WGMMA
/* The products of one stage; rows: where each 64 positions start. They are on their way on return.
 */
static __device__ __forceinline__ void multiply(float sum[MF][NF][4], const unsigned rows[MF],
                                                unsigned ring, int first, int slot, int add)
{
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
#pragma unroll
    for (int k = 0; k < STEPS; k++) {
        unsigned at = todo.offset[first + 2 * k], next = todo.offset[first + 2 * k + 1] - at;
        unsigned long long w = descriptor(ring + slot * STAGE_BYTES + 2 * k * BN * 16, BN, 8);
#pragma unroll
        for (int i = 0; i < MF; i++)
            product(sum[i],
                    descriptor(rows[i] + at * 16, next, TW % 64 ? STEP_H * SPLIT * PITCH : 8), w,
                    k || add);
    }
    asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}
#else
/* The products of one stage; rows: this lane's position of each fragment. */
static __device__ __forceinline__ void multiply(float sum[MF][NF][4], const unsigned rows[MF],
                                                unsigned ring, int first, int slot, int)
{
    int lane = threadIdx.x % 32, wn = threadIdx.x / 32 % WARPS_N * (BN / WARPS_N);

#pragma unroll
    for (int k = 0; k < STEPS; k++) {
        unsigned a[MF][4], b[(NF + 1) / 2][4];
        unsigned at = todo.offset[first + 2 * k + lane / 16] * 16;
        unsigned w = ring + slot * STAGE_BYTES + ((2 * k + lane / 8 % 2) * BN + wn + lane % 8) * 16;
#pragma unroll
        for (int i = 0; i < MF; i++)
            ldmatrix(a[i], rows[i] + at);
#pragma unroll
        for (int j = 0; j < NF; j += 2)
            ldmatrix(b[j / 2], w + (j + (j + 1 < NF ? lane / 16 : 0)) * 128);
#pragma unroll
        for (int i = 0; i < MF; i++)
#pragma unroll
            for (int j = 0; j < NF; j++)
                mma(sum[i][j], a[i], b[j / 2][j % 2 * 2], b[j / 2][j % 2 * 2 + 1]);
    }
}
#endif

/* All sums are there. */
static __device__ __forceinline__ void products_done(float sum[MF][NF][4])
{
#if WGMMA
    PRODUCTS_LEFT(0);
#pragma unroll
    for (int i = 0; i < MF * NF * 4; i++)
        asm volatile("" : "+f"(sum[i / 4 / NF][i / 4 % NF][i % 4])::"memory");
#endif
}

/* Which row of the tile a lane has in half h of its fragment i. */
static __device__ __forceinline__ int row_of(int i, int h)
{
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    if (WGMMA)
        return ((warp / 4 * MF + i) * 4 + warp % 4) * 16 + h * 8 + lane / 4;
    return (warp / WARPS_N * MF + i) * 16 + h * 8 + lane / 4;
}

#if !GATHERED
/* A phase's sums straight to their outputs. y: the image of its first channel, of `left`; q0: the
 * tile's first position. */
static __device__ __forceinline__ void store(float *__restrict__ y, const float sum[MF][NF][4],
                                             int phase, const place &q0, float factor,
                                             const float *unscale, const float *bias, int left)
{
    const long long channel = (long long)OD * OH * OW;
    int rw = phase % PHASES_W, rh = phase / PHASES_W % PHASES_H, rd = phase / (PHASES_W * PHASES_H);
    int n0 = threadIdx.x / 32 % WARPS_N * (BN / WARPS_N) + threadIdx.x % 4 * 2;

#pragma unroll
    for (int i = 0; i < MF * 2; i++) {
        place p = place_of(row_of(i / 2, i % 2));
        int d = (q0.d + p.d) * PHASES_D + rd, h = (q0.h + p.h) * PHASES_H + rh;
        int w = (q0.w + p.w) * PHASES_W + rw;
        float *to = y + n0 * channel + ((long long)d * OH + h) * OW + w;
        bool inside = d < OD && h < OH && w < OW;
#pragma unroll
        for (int j = 0; j < NF * 2; j++) {
            int n = n0 + j / 2 * 8 + j % 2;
            if (inside && n < left)
                to[(j / 2 * 8 + j % 2) * channel] =
                    sum[i / 2][j / 2][i % 2 * 2 + j % 2] * (unscale[n] * factor) +
                    (BIAS ? bias[n] : 0);
        }
    }
}
#else
/* A phase's sums of a pass's channels to where rows are gathered. */
static __device__ __forceinline__ void gather(const float sum[MF][NF][4], int phase, int pass,
                                              float factor, const float *unscale)
{
    int n0 = threadIdx.x / 32 % WARPS_N * (BN / WARPS_N) + threadIdx.x % 4 * 2;
    float *to = reinterpret_cast<float *>(shared + GATHER_AT) + phase % PHASES_W;

#pragma unroll
    for (int j = 0; j < NF / PASSES * 2; j++) {
        int n = n0 + j / 2 * 8 + j % 2;
        float scale = unscale[pass * PASS + n] * factor;
#pragma unroll
        for (int i = 0; i < MF * 2; i++) {
            place p = place_of(row_of(i / 2, i % 2));
            to[n * CHANNEL_PITCH + (p.d * TH + p.h) * LINE + p.w * PHASES_W] =
                sum[i / 2][pass * (NF / PASSES) + j / 2][i % 2 * 2 + j % 2] * scale;
        }
    }
}

/* Whole rows of what was gathered, a row by LANES threads, in runs that start at multiples of their
 * number, so that no sector but a row's first and last is written in part. */
static __device__ __forceinline__ void write_rows(float *__restrict__ y, int phase, int pass,
                                                  const place &q0, const float *bias, int left)
{
    const int LANES = LINE >= 32 ? 32 : LINE >= 16 ? 16 : 8, ROWS = TD * TH;
    const long long channel = (long long)OD * OH * OW;
    const float *gathered = reinterpret_cast<float *>(shared + GATHER_AT);
    int rh = phase / PHASES_W % PHASES_H, rd = phase / (PHASES_W * PHASES_H);
    int w0 = q0.w * PHASES_W;

#pragma unroll 4
    for (int r = 0; r < ceil_div(PASS * ROWS, THREADS / LANES); r++) {
        int i = r * (THREADS / LANES) + threadIdx.x / LANES;
        int n = pass * PASS + i / ROWS, row = i % ROWS;
        int d = (q0.d + row / TH) * PHASES_D + rd, h = (q0.h + row % TH) * PHASES_H + rh;
        float *to = y + n * channel + ((long long)d * OH + h) * OW + w0;
        const float *from = gathered + i / ROWS * CHANNEL_PITCH + row * LINE;
        int count = i < PASS * ROWS && n < left && d < OD && h < OH ? min(LINE, OW - w0) : 0;
        int first =
            threadIdx.x % LANES - (int)(reinterpret_cast<unsigned long long>(to) / 4 % LANES);
        float add = BIAS && count ? bias[n] : 0;
#pragma unroll
        for (int k = 0; k < (LINE + 2 * LANES - 2) / LANES; k++) {
            int e = first + k * LANES;
            if (e >= 0 && e < count)
                to[e] = from[e] + add;
        }
    }
}
#endif

/* A phase's outputs. */
static __device__ __forceinline__ void finish(float *__restrict__ y, const float sum[MF][NF][4],
                                              int phase, const place &q0, float factor,
                                              const float *unscale, const float *bias, int left)
{
#if GATHERED
#pragma unroll
    for (int pass = 0; pass < PASSES; pass++) {
        if (PHASES == 1)
            __syncthreads();
        gather(sum, phase, pass, factor, unscale);
        if (phase % PHASES_W < PHASES_W - 1)
            continue;
        __syncthreads();
        write_rows(y, phase, pass, q0, bias, left);
        if (PHASES > 1)
            __syncthreads();
    }
#else
    store(y, sum, phase, q0, factor, unscale, bias, left);
#endif
}

extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS_PER_SM)
    conv(const float *__restrict__ x, const unsigned char *__restrict__ packed,
         const float *__restrict__ unscale,
#if BIAS
         const float *__restrict__ bias,
#endif
         float *__restrict__ y)
{
#if !BIAS
    const float *bias = 0;
#endif
    const int tiles_w = ceil_div(ceil_div(OW, PHASES_W), TW),
              tiles_h = ceil_div(ceil_div(OH, PHASES_H), TH);
    const int tiles_d = ceil_div(ceil_div(OD, PHASES_D), TD);
    int t = blockIdx.x / TILES_N, n0 = blockIdx.x % TILES_N * BN, lane = threadIdx.x % 32,
        warp = threadIdx.x / 32;
    place q0 = {t / (tiles_w * tiles_h) % tiles_d * TD, t / tiles_w % tiles_h * TH,
                t % tiles_w * TW};
    int image = t / (tiles_w * tiles_h * tiles_d), g = image % GROUPS;
    unsigned base = (unsigned)__cvta_generic_to_shared(shared), rows[MF];
    float sum[MF][NF][4] = {}, scale = 1;

    x += (long long)image * CG * ID * IH * IW;
    y += ((long long)image * KG + n0) * OD * OH * OW;
    packed += (long long)(g * TILES_N + n0 / BN) * STAGES_ALL * STAGE_BYTES;
    unscale += g * TILES_N * BN + n0;
    bias += BIAS ? g * KG + n0 : 0;
#pragma unroll
    for (int i = 0; i < MF; i++) {
        place p =
            place_of(WGMMA ? (warp / 4 * MF + i) * 64 : (warp / WARPS_N * MF + i) * 16 + lane % 16);
        rows[i] = base + ((p.d * STEP_D * SPAN_H + p.h * STEP_H) * SPLIT * PITCH + p.w) * 16;
    }
#pragma unroll
    for (int s = 0; s < AHEAD; s++)
        copy_stage(packed, s);
    if (CHUNKS == 1)
        scale = load_chunk(x, 0, q0);
    for (int phase = 0, s = 0; phase < PHASES; phase++) {
        int first = todo.start[phase], end = todo.start[phase + 1];
#pragma unroll 1
        for (int chunk = 0; chunk < CHUNKS && first < end; chunk++) {
            if (CHUNKS > 1) {
                products_done(sum);
                __syncthreads();
                float now = load_chunk(x, chunk, q0);
#pragma unroll
                for (int i = 0; i < MF * NF * 4; i++)
                    sum[i / 4 / NF][i / 4 % NF][i % 4] *= now / scale;
                scale = now;
            }
#pragma unroll 1
            for (int k = first; k < end; k++, s++) {
                asm volatile("cp.async.wait_group %0;" ::"n"(AHEAD - 1) : "memory");
                FENCE_ASYNC;
                __syncthreads();
                copy_stage(packed, s + AHEAD);
                multiply(sum, rows, base + RING, k * STAGE_OCTETS, s % STAGES, k > first || chunk);
                PRODUCTS_LEFT(1);
            }
        }
        products_done(sum);
        finish(y, sum, phase, q0, 1 / scale, unscale, bias, KG - n0);
#pragma unroll
        for (int i = 0; i < MF * NF * 4; i++)
            sum[i / 4 / NF][i / 4 % NF][i % 4] = 0;
    }
}
