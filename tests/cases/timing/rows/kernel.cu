/* Softmax with its row in registers, as shipped, in a grid of EXTRA per cent more blocks: those do the first rows once
   more, long after the L2 has lost them. */

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

/* HINT: 1 marks loads as streaming (each line is used once), 2 stores, 3 both, 0 neither. */
#if VEC == 4
typedef float4 pack;
static __device__ __forceinline__ void spread(float4 t, float *v) { v[0] = t.x, v[1] = t.y, v[2] = t.z, v[3] = t.w; }
static __device__ __forceinline__ float4 gather(const float *v) { return make_float4(v[0], v[1], v[2], v[3]); }
#else
typedef float pack;
static __device__ __forceinline__ void spread(float t, float *v) { v[0] = t; }
static __device__ __forceinline__ float gather(const float *v) { return v[0]; }
#endif

static __device__ __forceinline__ void load(const float *p, float *v)
{
#if HINT & 1
  spread(__ldcs((const pack *)p), v);
#else
  spread(__ldg((const pack *)p), v);
#endif
}

static __device__ __forceinline__ void store(float *p, const float *v)
{
#if HINT & 2
  __stcs((pack *)p, gather(v));
#else
  *(pack *)p = gather(v);
#endif
}

/* Merges (maximum, sum) pairs over groups of `lanes` lanes, a power of two; every lane gets its group's result. */
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

extern "C" __global__ void __launch_bounds__(BLOCK) softmax(const float *__restrict__ x, float *__restrict__ y, int rows, int cols)
{
  __shared__ float2 pair[WARPS];
  const int row = blockIdx.x < rows ? blockIdx.x : blockIdx.x - rows;
  const float *in = x + (long long)row * cols;
  float *out = y + (long long)row * cols;

  float v[CHUNKS][VEC];
#pragma unroll
  for (int k = 0; k < CHUNKS; k++) {
    int c = (k * BLOCK + threadIdx.x) * VEC;
    if (c < cols)
      load(in + c, v[k]);
    else
      for (int i = 0; i < VEC; i++)
        v[k][i] = PADDING;
  }

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
  if (WARPS > 1) {
    if (threadIdx.x % 32 == 0)
      pair[threadIdx.x / 32] = make_float2(peak, sum);
    __syncthreads();
    float2 mine = pair[threadIdx.x % WARPS];
    peak = mine.x, sum = mine.y;
    merge(peak, sum, WARPS);
  }
  float scale = fast_exp2(own - peak) / sum;

#pragma unroll
  for (int k = 0; k < CHUNKS; k++) {
    int c = (k * BLOCK + threadIdx.x) * VEC;
    for (int i = 0; i < VEC; i++)
      v[k][i] *= scale;
    if (c < cols)
      store(out + c, v[k]);
  }
}
