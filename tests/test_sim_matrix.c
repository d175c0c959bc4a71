/* SPDX-License-Identifier: MIT */
/* Tensor-core instructions and asynchronous copies, held against plain products in C. Inputs are
 * small multiples of powers of two, so every sum is exact and results must be equal. */
#include "tests/sim_kit.h"
#include "evaluator/sim/ops.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define RUN(kit, ...)                                                                              \
    do {                                                                                           \
        if (kit_run1(kit, __VA_ARGS__))                                                            \
            fail_msg("%s%s", (kit)->err.text, (kit)->fault.text);                                  \
    } while (0)

static int small(uint32_t i)
{
    return (int)(i * 2654435761u >> 28) - 8;
}

/* A product c = a b of m x n x k through one kernel whose name says the type; a is row-major, b
 * column-major or row-major as b_cols says, element sizes in bytes. */
struct product {
    const char *kernel;
    unsigned m, n, k, size; /* of an input element: 8 means f64 */
    enum { F16, BF16, TF32, S8, F64, E4M3 } kind;
    bool b_rows, c_half;
};

static void encode(const struct product *p, int v, uint8_t *at)
{
    uint16_t h = p->kind == F16 ? ops_f2h((float)v) : ops_f2bf((float)v);
    float f = (float)v;
    double d = v;
    int8_t b = (int8_t)v;
    static const uint8_t e4m3[] = {0, 0x38, 0x40, 0x44, 0x48, 0x4a, 0x4c, 0x4e, 0x50};
    uint8_t e = (uint8_t)(e4m3[v < 0 ? -v : v] | (v < 0 ? 0x80 : 0));
    const void *from = p->kind == TF32 ? (const void *)&f : p->kind == S8 ? (const void *)&b
                     : p->kind == F64 ? (const void *)&d : p->kind == E4M3 ? (const void *)&e : &h;
    memcpy(at, from, p->size);
}

static double decode(const struct product *p, const uint8_t *at)
{
    float f;
    double d;
    int32_t i;
    uint16_t h;
    memcpy(&f, at, 4);
    memcpy(&i, at, 4);
    memcpy(&h, at, 2);
    if (p->kind == F64)
        memcpy(&d, at, 8);
    return p->kind == F64 ? d : p->kind == S8 ? i : p->c_half ? ops_h2f(h) : f;
}

static void check_product(struct sim_kit *kit, const struct product *p)
{
    unsigned c_size = p->kind == F64 ? 8 : p->c_half ? 2 : 4;
    size_t na = p->m * p->k, nb = p->k * p->n, nc = p->m * p->n;
    uint8_t *a = malloc(na * p->size), *b = malloc(nb * p->size), *c = malloc(nc * c_size + 8);
    for (uint32_t i = 0; i < na; i++)
        encode(p, small(i), a + i * p->size);
    for (uint32_t i = 0; i < nb; i++)
        encode(p, small(i + 7777), b + i * p->size);
    uint64_t da = kit_buffer(kit, a, na * p->size), db = kit_buffer(kit, b, nb * p->size),
             dc = kit_buffer(kit, NULL, nc * c_size);
    RUN(kit, p->kernel, 1, 32, ((uint64_t[]){da, db, dc}));
    kit_read(kit, dc, c, nc * c_size);
    for (uint32_t i = 0; i < p->m; i++)
        for (uint32_t j = 0; j < p->n; j++) {
            double want = 0;
            for (uint32_t t = 0; t < p->k; t++)
                want += small(i * p->k + t) *
                        small((p->b_rows ? t * p->n + j : j * p->k + t) + 7777);
            double got = decode(p, c + (i * p->n + j) * c_size);
            if (got != want)
                fail_msg("%s: [%u][%u] is %g, not %g", p->kernel, i, j, got, want);
        }
    free(a);
    free(b);
    free(c);
}

/* Each kernel loads its fragments word by word as the PTX manual lays them out. */
static const char mma_source[] =
    "typedef unsigned u;\n"
    "#define LANES int g = threadIdx.x / 4, t = threadIdx.x % 4\n"
    "#define PUT(T) c[g * 8 + 2 * t] = d0; c[g * 8 + 2 * t + 1] = d1; c[(g + 8) * 8 + 2 * t] = d2; "
    "c[(g + 8) * 8 + 2 * t + 1] = d3\n"
    "#define K16(name, types, T, C, kw, KK)\\\n"
    "extern \"C\" __global__ void name(const u *a, const u *b, T *c) { LANES; T d0 = 0, d1 = 0, d2 = 0, d3 = 0;\\\n"
    "  asm volatile(\"mma.sync.aligned.\" types \" {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};\"\\\n"
    "   : \"+\" C (d0), \"+\" C (d1), \"+\" C (d2), \"+\" C (d3) : \"r\"(a[g*kw+t]), \"r\"(a[(g+8)*kw+t]), \"r\"(a[g*kw+t+4]),\\\n"
    "     \"r\"(a[(g+8)*kw+t+4]), \"r\"(b[g*kw+t]), \"r\"(b[g*kw+t+4])); PUT(T); }\n"
    "#define K8(name, types, T, C, kw)\\\n"
    "extern \"C\" __global__ void name(const u *a, const u *b, T *c) { LANES; T d0 = 0, d1 = 0, d2 = 0, d3 = 0;\\\n"
    "  asm volatile(\"mma.sync.aligned.\" types \" {%0,%1,%2,%3}, {%4,%5}, {%6}, {%0,%1,%2,%3};\"\\\n"
    "   : \"+\" C (d0), \"+\" C (d1), \"+\" C (d2), \"+\" C (d3) : \"r\"(a[g*kw+t]), \"r\"(a[(g+8)*kw+t]), \"r\"(b[g*kw+t])); PUT(T); }\n"
    "K16(f16_k16, \"m16n8k16.row.col.f32.f16.f16.f32\", float, \"f\", 8, 16)\n"
    "K16(bf16_k16, \"m16n8k16.row.col.f32.bf16.bf16.f32\", float, \"f\", 8, 16)\n"
    "K16(tf32_k8, \"m16n8k8.row.col.f32.tf32.tf32.f32\", float, \"f\", 8, 8)\n"
    "K16(s8_k32, \"m16n8k32.row.col.s32.s8.s8.s32\", int, \"r\", 8, 32)\n"
    "K8(f16_k8, \"m16n8k8.row.col.f32.f16.f16.f32\", float, \"f\", 4)\n"
    "K8(bf16_k8, \"m16n8k8.row.col.f32.bf16.bf16.f32\", float, \"f\", 4)\n"
    "K8(tf32_k4, \"m16n8k4.row.col.f32.tf32.tf32.f32\", float, \"f\", 4)\n"
    "K8(s8_k16, \"m16n8k16.row.col.s32.s8.s8.s32\", int, \"r\", 4)\n"
    "#if __CUDA_ARCH__ >= 890\n"
    "K16(e4m3_k32, \"m16n8k32.row.col.f32.e4m3.e4m3.f32\", float, \"f\", 8, 32)\n"
    "#endif\n"
    "extern \"C\" __global__ void f16_half(const u *a, const u *b, u *c) { LANES; u d0 = 0, d1 = 0;\n"
    "  asm volatile(\"mma.sync.aligned.m16n8k16.row.col.f16.f16.f16.f16 {%0,%1}, {%2,%3,%4,%5}, {%6,%7}, {%0,%1};\"\n"
    "   : \"+r\"(d0), \"+r\"(d1) : \"r\"(a[g*8+t]), \"r\"(a[(g+8)*8+t]), \"r\"(a[g*8+t+4]), \"r\"(a[(g+8)*8+t+4]), \"r\"(b[g*8+t]), \"r\"(b[g*8+t+4]));\n"
    "  c[g * 4 + t] = d0; c[(g + 8) * 4 + t] = d1; }\n"
    "extern \"C\" __global__ void f64_k4(const double *a, const double *b, double *c) { LANES; double d0 = 0, d1 = 0;\n"
    "  asm volatile(\"mma.sync.aligned.m8n8k4.row.col.f64.f64.f64.f64 {%0,%1}, {%2}, {%3}, {%0,%1};\"\n"
    "   : \"+d\"(d0), \"+d\"(d1) : \"d\"(a[g*4+t]), \"d\"(b[g*4+t]));\n"
    "  c[g * 8 + 2 * t] = d0; c[g * 8 + 2 * t + 1] = d1; }\n"
    "extern \"C\" __global__ void ldmatrix(const u *a, const u *b, float *c) {\n"
    "  __shared__ alignas(16) u sa[16 * 8], sb[16 * 4]; LANES; float d0 = 0, d1 = 0, d2 = 0, d3 = 0;\n"
    "  for (int i = threadIdx.x; i < 128; i += 32) sa[i] = a[i];\n"
    "  for (int i = threadIdx.x; i < 64; i += 32) sb[i] = b[i]; __syncthreads();\n"
    "  u r0, r1, r2, r3, q0, q1; int l = threadIdx.x;\n"
    "  u pa = __cvta_generic_to_shared(sa + (l % 16) * 8 + l / 16 * 4), pb = __cvta_generic_to_shared(sb + (l % 16) * 4);\n"
    "  asm volatile(\"ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];\" : \"=r\"(r0), \"=r\"(r1), \"=r\"(r2), \"=r\"(r3) : \"r\"(pa));\n"
    "  asm volatile(\"ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0,%1}, [%2];\" : \"=r\"(q0), \"=r\"(q1) : \"r\"(pb));\n"
    "  asm volatile(\"mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};\"\n"
    "   : \"+f\"(d0), \"+f\"(d1), \"+f\"(d2), \"+f\"(d3) : \"r\"(r0), \"r\"(r1), \"r\"(r2), \"r\"(r3), \"r\"(q0), \"r\"(q1)); PUT(float); }\n";

static void mma(void **state)
{
    static const char *const archs[] = {"sm_80", "sm_90a", "sm_100a"};
    static const struct product products[] = {
        {"f16_k16", 16, 8, 16, 2, F16, false, false},  {"bf16_k16", 16, 8, 16, 2, BF16, false, false},
        {"tf32_k8", 16, 8, 8, 4, TF32, false, false},  {"s8_k32", 16, 8, 32, 1, S8, false, false},
        {"f16_k8", 16, 8, 8, 2, F16, false, false},    {"bf16_k8", 16, 8, 8, 2, BF16, false, false},
        {"tf32_k4", 16, 8, 4, 4, TF32, false, false},  {"s8_k16", 16, 8, 16, 1, S8, false, false},
        {"f16_half", 16, 8, 16, 2, F16, false, true},  {"f64_k4", 8, 8, 4, 8, F64, false, false},
        {"ldmatrix", 16, 8, 16, 2, F16, true, false},  {"e4m3_k32", 16, 8, 32, 1, E4M3, false, false}};
    (void)state;
    for (unsigned arch = 0; arch < 3; arch++) {
        struct sim_kit kit;
        kit_init(&kit);
        kit_cuda(&kit, mma_source, archs[arch]);
        for (size_t i = 0; i < sizeof(products) / sizeof(products[0]); i++)
            if (ptx_module_kernel(kit.module, products[i].kernel))
                check_product(&kit, &products[i]);
        kit_done(&kit);
    }
}

static const char wmma_source[] =
    "#include <mma.h>\nusing namespace nvcuda::wmma;\n"
    "#define K(name, M, N, KK, T, C, LA, LB)\\\n"
    "extern \"C\" __global__ void name(const T *a, const T *b, C *c) {\\\n"
    "  fragment<matrix_a, M, N, KK, T, LA> x; fragment<matrix_b, M, N, KK, T, LB> y;\\\n"
    "  fragment<accumulator, M, N, KK, C> z; fill_fragment(z, (C)0);\\\n"
    "  load_matrix_sync(x, a, KK); load_matrix_sync(y, b, COLS(LB) ? KK : N);\\\n"
    "  mma_sync(z, x, y, z); for (int i = 0; i < z.num_elements; i++) z.x[i] = z.x[i] * (C)1;\\\n"
    "  store_matrix_sync(c, z, N, mem_row_major); }\n"
    "template <class L> struct is_col { static const bool v = false; };\n"
    "template <> struct is_col<col_major> { static const bool v = true; };\n"
    "#define COLS(L) is_col<L>::v\n"
    "K(w_f16, 16, 16, 16, half, float, row_major, col_major)\n"
    "K(w_f16_rows, 16, 16, 16, half, float, row_major, row_major)\n"
    "K(w_f16_tall, 32, 8, 16, half, float, row_major, col_major)\n"
    "K(w_f16_wide, 8, 32, 16, half, float, row_major, row_major)\n"
    "K(w_f16_half, 16, 16, 16, half, half, row_major, col_major)\n"
    "K(w_bf16, 16, 16, 16, __nv_bfloat16, float, row_major, col_major)\n"
    "K(w_s8, 16, 16, 16, signed char, int, row_major, col_major)\n"
    "K(w_f64, 8, 8, 4, double, double, row_major, col_major)\n";

static void wmma(void **state)
{
    static const struct product products[] = {
        {"w_f16", 16, 16, 16, 2, F16, false, false},     {"w_f16_rows", 16, 16, 16, 2, F16, true, false},
        {"w_f16_tall", 32, 8, 16, 2, F16, false, false}, {"w_f16_wide", 8, 32, 16, 2, F16, true, false},
        {"w_f16_half", 16, 16, 16, 2, F16, false, true}, {"w_bf16", 16, 16, 16, 2, BF16, false, false},
        {"w_s8", 16, 16, 16, 1, S8, false, false},       {"w_f64", 8, 8, 4, 8, F64, false, false}};
    struct sim_kit kit;
    (void)state;
    kit_init(&kit);
    kit_cuda(&kit, wmma_source, "sm_90a");
    for (size_t i = 0; i < sizeof(products) / sizeof(products[0]); i++)
        check_product(&kit, &products[i]);
    kit_done(&kit);
}

/* A copy through shared memory in stages; with `wait` groups left open. */
static const char copy_source[] =
    "#define COPY(n, dst, src, size) asm volatile(\"cp.async.ca.shared.global [%0], [%1], \" #n \", %2;\" ::"
    " \"r\"((unsigned)__cvta_generic_to_shared(dst)), \"l\"(src), \"r\"(size) : \"memory\")\n"
    "extern \"C\" __global__ void k(const float *x, float *y, int n, int lazy) {\n"
    "  __shared__ alignas(16) float s[2][256]; int i = threadIdx.x * 4;\n"
    "  for (int stage = 0; stage < 2; stage++) {\n"
    "    int left = n - stage * 256 - i, size = left <= 0 ? 0 : left >= 4 ? 16 : 4 * left;\n"
    "    COPY(16, &s[stage][i], x + (size ? stage * 256 + i : 0), size);\n"
    "    asm volatile(\"cp.async.commit_group;\"); }\n"
    "  if (lazy) asm volatile(\"cp.async.wait_group 2;\" ::: \"memory\");\n"
    "  else asm volatile(\"cp.async.wait_group 1;\" ::: \"memory\");\n"
    "  __syncthreads(); for (int k = 0; k < 4; k++) y[threadIdx.x + 64 * k] = s[0][255 - threadIdx.x - 64 * k];\n"
    "  asm volatile(\"cp.async.wait_all;\" ::: \"memory\"); __syncthreads();\n"
    "  for (int k = 0; k < 4; k++) y[256 + threadIdx.x + 64 * k] = s[1][threadIdx.x + 64 * k]; }\n";

static void async_copies(void **state)
{
    struct sim_kit kit;
    float x[300], got[512];
    (void)state;
    for (int i = 0; i < 300; i++)
        x[i] = (float)i + 1;
    kit_init(&kit);
    kit_cuda(&kit, copy_source, "sm_90a");
    uint64_t dx = kit_buffer(&kit, x, sizeof(x)), dy = kit_buffer(&kit, NULL, sizeof(got));
    RUN(&kit, "k", 1, 64, ((uint64_t[]){dx, dy, 299, 0}));
    kit_read(&kit, dy, got, sizeof(got));
    for (int i = 0; i < 256; i++) {
        assert_true(got[i] == x[255 - i]);
        assert_true(got[256 + i] == (256 + i < 299 ? x[256 + i] : 0.0f));
    }
    /* waiting for too little leaves what was there: all ones, which no result may be */
    kit.checks = 0;
    RUN(&kit, "k", 1, 64, ((uint64_t[]){dx, dy, 299, 1}));
    kit_read(&kit, dy, got, sizeof(got));
    int missing = 0;
    for (int i = 0; i < 256; i++)
        missing += isnan(got[i]) != 0;
    assert_true(missing > 0);
    kit_done(&kit);
}

/* cuda::barrier, cuda::pipeline, and the instructions themselves between two warps. */
static const char barrier_source[] =
    "#include <cuda/barrier>\n"
    "#include <cuda/pipeline>\n"
    "#include <cooperative_groups.h>\n"
    "namespace cg=cooperative_groups;\n"
    "extern \"C\" __global__ void k(const float*x,float*y){ __shared__ "
    "cuda::barrier<cuda::thread_scope_block> bar; __shared__ float s[128];\n"
    " auto b=cg::this_thread_block(); if(b.thread_rank()==0) init(&bar,b.size()); "
    "b.sync();\n"
    " for(int r=0;r<4;r++){ cuda::memcpy_async(b,s,x+128*r,sizeof(float)*128,bar); "
    "bar.arrive_and_wait(); y[128*r+threadIdx.x]=s[127-threadIdx.x]*2; b.sync(); } }\n"
    "extern \"C\" __global__ void pipe(const float*x,float*y){ __shared__ float4 "
    "s[2][128]; __shared__ cuda::pipeline_shared_state<cuda::thread_scope_block,2> st; "
    "auto b=cg::this_thread_block(); auto p=cuda::make_pipeline(b,&st);\n"
    " for(int i=0;i<2;i++){p.producer_acquire(); cuda::memcpy_async(b,s[i],(const "
    "float4*)x+i*32,cuda::aligned_size_t<16>(512),p);p.producer_commit();}\n"
    " for(int i=0;i<4;i++){ p.consumer_wait(); "
    "y[i*128+threadIdx.x]=((float*)s[i&1])[threadIdx.x]+1; p.consumer_release(); "
    "if(i<2){p.producer_acquire(); cuda::memcpy_async(b,s[i&1],(const "
    "float4*)x+(i+2)*32,cuda::aligned_size_t<16>(512),p);p.producer_commit();} } }\n"
    "extern \"C\" __global__ void raw(float*y){ __shared__ alignas(8) unsigned long long "
    "b[2]; __shared__ int box; unsigned a=__cvta_generic_to_shared(b); \n"
    " if(threadIdx.x==0){asm volatile(\"mbarrier.init.shared.b64 [%0], 32;\"::\"r\"(a)); "
    "asm volatile(\"mbarrier.init.shared.b64 [%0], 32;\"::\"r\"(a+8));} __syncthreads();\n"
    " if(threadIdx.x<32){ for(int r=0;r<5;r++){ if(threadIdx.x==0) box=r*10; asm "
    "volatile(\"{.reg .b64 s; mbarrier.arrive.shared.b64 "
    "s,[%0];}\"::\"r\"(a):\"memory\"); asm volatile(\"{.reg .pred p; W: "
    "mbarrier.try_wait.parity.shared.b64 p,[%0],%1; @!p bra "
    "W;}\"::\"r\"(a+8),\"r\"(r&1):\"memory\"); } }\n"
    " else { for(int r=0;r<5;r++){ asm volatile(\"{.reg .pred p; W: "
    "mbarrier.try_wait.parity.shared.b64 p,[%0],%1; @!p bra "
    "W;}\"::\"r\"(a),\"r\"(r&1):\"memory\"); y[r*32+threadIdx.x-32]=box; asm "
    "volatile(\"mbarrier.arrive.shared.b64 _,[%0];\"::\"r\"(a+8):\"memory\"); } } }\n";

static void mbarriers(void **state)
{
    static const char *const archs[] = {"sm_90a", "sm_100a"};
    float x[512], got[512];
    (void)state;
    for (int i = 0; i < 512; i++)
        x[i] = (float)i;
    for (unsigned arch = 0; arch < 2; arch++) {
        struct sim_kit kit;
        kit_init(&kit);
        kit_cuda(&kit, barrier_source, archs[arch]);
        uint64_t dx = kit_buffer(&kit, x, sizeof(x)), dy = kit_buffer(&kit, NULL, sizeof(got));
        RUN(&kit, "k", 1, 128, ((uint64_t[]){dx, dy}));
        kit_read(&kit, dy, got, sizeof(got));
        for (int i = 0; i < 512; i++)
            assert_true(got[i] == (float)(i / 128 * 128 + 127 - i % 128) * 2);
        RUN(&kit, "pipe", 1, 128, ((uint64_t[]){dx, dy}));
        kit_read(&kit, dy, got, sizeof(got));
        for (int i = 0; i < 512; i++)
            assert_true(got[i] == x[i] + 1);
        RUN(&kit, "raw", 1, 64, ((uint64_t[]){dy}));
        kit_read(&kit, dy, got, sizeof(got));
        for (int i = 0; i < 160; i++)
            assert_true(got[i] == (float)(i / 32 * 10));
        kit_done(&kit);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mma),
        cmocka_unit_test(wmma),
        cmocka_unit_test(async_copies),
        cmocka_unit_test(mbarriers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
