/* SPDX-License-Identifier: MIT */
/* Softmax 4: persistent blocks with a ring of rows in shared memory, filled by cp.async.
   Prefetching into registers allowed one row ahead and doubled the register need. Asynchronous copies need no registers
   while in flight, so STAGES rows a block can be on their way. Every thread reads back only what it copied itself, so
   waiting for its own copies is enough and filling the ring needs no barrier; the only barrier a row is the exchange of
   maxima and sums.
   Loses: each value goes through shared memory once more, the ring limits how many blocks fit, and the walk is still
   dealt out in advance. */

#define WARPS (BLOCK / 32)
#define FLOOR (-1.0e38f) /* finite, so that a thread without elements never forms inf - inf */
#define PADDING __int_as_float(0xff800000) /* -inf: its exponential is 0 */
#define LOG2E 1.4426950408889634f

static __device__ __forceinline__ float fast_exp2(float v)
{
  float r;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(v));
  return r;
}

/* STREAM marks the stores: no line of y is used again. */
template <class T> static __device__ __forceinline__ void put(T *p, T v)
{
#if STREAM
  __stcs(p, v);
#else
  *p = v;
#endif
}

static __device__ __forceinline__ void copy_async(float *to, const float *from)
{
  unsigned at = (unsigned)__cvta_generic_to_shared(to);
#if VEC == 4
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(at), "l"(from) : "memory");
#else
  asm volatile("cp.async.ca.shared.global [%0], [%1], 4;" ::"r"(at), "l"(from) : "memory");
#endif
}

static __device__ __forceinline__ void fill(float *slot, const float *x, long long row, int rows, int cols)
{
  if (row < rows) {
    const float *in = x + row * cols;
#pragma unroll
    for (int k = 0; k < CHUNKS; k++) {
      int c = (k * BLOCK + threadIdx.x) * VEC;
      if (c < cols)
        copy_async(slot + c, in + c);
    }
  }
  asm volatile("cp.async.commit_group;" ::: "memory");
}

static __device__ __forceinline__ void merge(float &peak, float &sum, int lanes)
{
  float top = peak;
  for (int step = lanes / 2; step > 0; step /= 2)
    top = fmaxf(top, __shfl_xor_sync(0xffffffffu, top, step));
  sum *= fast_exp2(peak - top);
  for (int step = lanes / 2; step > 0; step /= 2)
    sum += __shfl_xor_sync(0xffffffffu, sum, step);
  peak = top;
}

static __device__ __forceinline__ void take(const float *slot, int cols, float (&v)[CHUNKS][VEC])
{
#pragma unroll
  for (int k = 0; k < CHUNKS; k++) {
    int c = (k * BLOCK + threadIdx.x) * VEC;
#if VEC == 4
    float4 t = c < cols ? *(const float4 *)(slot + c) : make_float4(PADDING, PADDING, PADDING, PADDING);
    v[k][0] = t.x, v[k][1] = t.y, v[k][2] = t.z, v[k][3] = t.w;
#else
    v[k][0] = c < cols ? slot[c] : PADDING;
#endif
  }
}

extern "C" __global__ void __launch_bounds__(BLOCK) softmax(const float *__restrict__ x, float *__restrict__ y, int rows,
                                                            int cols)
{
  extern __shared__ __align__(16) float ring[]; /* STAGES slots of CHUNKS*BLOCK*VEC floats */
  __shared__ float2 pair[2][WARPS];
  const int slot_size = CHUNKS * BLOCK * VEC;

  for (int s = 0; s < STAGES - 1; s++)
    fill(ring + s * slot_size, x, blockIdx.x + (long long)s * gridDim.x, rows, cols);

  int slot = 0, free_slot = STAGES - 1, side = 0;
  for (long long row = blockIdx.x; row < rows; row += gridDim.x) {
    fill(ring + free_slot * slot_size, x, row + (long long)(STAGES - 1) * gridDim.x, rows, cols);
    asm volatile("cp.async.wait_group %0;" ::"n"(STAGES - 1) : "memory");

    float v[CHUNKS][VEC];
    take(ring + slot * slot_size, cols, v);
    float own = FLOOR;
#pragma unroll
    for (int k = 0; k < CHUNKS; k++)
      for (int i = 0; i < VEC; i++)
        own = fmaxf(own, v[k][i]);
    own *= LOG2E;
    float sum = 0.0f;
#pragma unroll
    for (int k = 0; k < CHUNKS; k++)
      for (int i = 0; i < VEC; i++) {
        v[k][i] = fast_exp2(fmaf(v[k][i], LOG2E, -own));
        sum += v[k][i];
      }
    float peak = own;
    merge(peak, sum, 32);
    if (threadIdx.x % 32 == 0)
      pair[side][threadIdx.x / 32] = make_float2(peak, sum);
    __syncthreads();
    float2 mine = pair[side][threadIdx.x % WARPS];
    peak = mine.x, sum = mine.y;
    merge(peak, sum, WARPS);
    float scale = fast_exp2(own - peak) / sum;

    float *out = y + row * cols;
#pragma unroll
    for (int k = 0; k < CHUNKS; k++) {
      int c = (k * BLOCK + threadIdx.x) * VEC;
      if (c < cols) {
#if VEC == 4
        put((float4 *)(out + c), make_float4(v[k][0] * scale, v[k][1] * scale, v[k][2] * scale, v[k][3] * scale));
#else
        put(out + c, v[k][0] * scale);
#endif
      }
    }
    free_slot = slot;
    slot = slot + 1 == STAGES ? 0 : slot + 1;
    side ^= 1;
  }
}
