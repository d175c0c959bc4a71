/* SPDX-License-Identifier: MIT */
/* Streams, events and graphs of libwarpsim.so, used as the device worker uses them. */
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
    "}\n";

IN_CHILD(graphs)
{
    struct rig rig;
    CUstream stream;
    CUgraph graph;
    CUgraphExec exec;
    const int n = 1000;
    float out[1000], in[1000], by = 2, ms_graph, ms_plain;
    int count = n;
    (void)arg;
    rig_open(&rig, NULL, NULL);
    CUfunction f = rig_function(&rig, scale_source, "scale");
    CUdeviceptr x = rig_floats(&rig, n), y = rig_alloc(&rig, 4 * n), z = rig_alloc(&rig, 4 * n);
    RIG_OK(&rig, cuMemcpyDtoH(in, x, 4 * n));
    RIG_OK(&rig, cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    RIG_CHECK(rig.cuStreamBeginCapture(NULL, CU_STREAM_CAPTURE_MODE_GLOBAL) ==
              CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
    RIG_CHECK(rig.cuStreamEndCapture(stream, &graph) == CUDA_ERROR_ILLEGAL_STATE);
    RIG_OK(&rig, cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
    RIG_OK(&rig, cuMemsetD32Async(z, 0, n, stream));
    RIG_OK(&rig,
           cuLaunchKernel(f, 8, 1, 1, 128, 1, 1, 0, stream, (void *[]){&x, &y, &by, &count}, NULL));
    RIG_OK(&rig,
           cuLaunchKernel(f, 8, 1, 1, 128, 1, 1, 0, stream, (void *[]){&y, &z, &by, &count}, NULL));
    RIG_CHECK(rig.cuStreamSynchronize(stream) == CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
    RIG_OK(&rig, cuStreamEndCapture(stream, &graph));
    RIG_OK(&rig, cuGraphInstantiate(&exec, graph, 0));
    RIG_OK(&rig, cuGraphDestroy(graph));
    RIG_OK(&rig, cuMemsetD8(z, 0xff, 4 * n)); /* nothing has run yet */
    RIG_OK(&rig, cuMemcpyDtoH(out, z, 4 * n));
    RIG_CHECK(out[0] != out[0]);
    RIG_OK(&rig, cuEventRecord(rig.start, stream));
    RIG_OK(&rig, cuGraphLaunch(exec, stream));
    RIG_OK(&rig, cuEventRecord(rig.end, stream));
    RIG_OK(&rig, cuStreamSynchronize(stream));
    RIG_OK(&rig, cuEventElapsedTime(&ms_graph, rig.start, rig.end));
    RIG_OK(&rig, cuMemcpyDtoH(out, z, 4 * n));
    for (int i = 0; i < n; i++)
        RIG_CHECK(out[i] == 4 * in[i]);
    RIG_OK(&rig, cuEventRecord(rig.start, stream));
    RIG_OK(&rig, cuMemsetD32Async(z, 0, n, stream));
    for (int i = 0; i < 2; i++)
        RIG_OK(&rig, cuLaunchKernel(f, 8, 1, 1, 128, 1, 1, 0, stream,
                                    (void *[]){&x, &y, &by, &count}, NULL));
    RIG_OK(&rig, cuEventRecord(rig.end, stream));
    RIG_OK(&rig, cuEventElapsedTime(&ms_plain, rig.start, rig.end));
    RIG_CHECK(ms_graph < ms_plain && ms_graph > 0);
    RIG_OK(&rig, cuGraphExecDestroy(exec));
    RIG_OK(&rig, cuStreamDestroy(stream));
}

IN_CHILD(streams_and_events)
{
    struct rig rig;
    CUstream stream;
    CUevent untimed;
    CUdeviceptr flag;
    uint32_t *word;
    float ms;
    (void)arg;
    rig_open(&rig, NULL, NULL);
    RIG_OK(&rig, cuStreamCreate(&stream, CU_STREAM_DEFAULT));
    RIG_OK(&rig, cuMemAllocHost((void **)&word, 4));
    RIG_OK(&rig, cuMemHostGetDevicePointer(&flag, word, 0));
    RIG_OK(&rig, cuStreamWriteValue32(stream, flag, 7, 0));
    RIG_OK(&rig, cuStreamWaitValue32(stream, flag, 7, CU_STREAM_WAIT_VALUE_GEQ));
    RIG_CHECK(*word == 7);
    RIG_CHECK(rig.cuEventElapsedTime(&ms, rig.start, rig.end) == CUDA_ERROR_INVALID_HANDLE);
    RIG_OK(&rig, cuEventRecord(rig.start, stream));
    RIG_OK(&rig, cuEventRecord(rig.end, stream));
    RIG_OK(&rig, cuEventElapsedTime(&ms, rig.start, rig.end));
    RIG_CHECK(ms == 0);
    RIG_OK(&rig, cuEventCreate(&untimed, CU_EVENT_DISABLE_TIMING));
    RIG_OK(&rig, cuEventRecord(untimed, stream));
    RIG_OK(&rig, cuStreamWaitEvent(stream, untimed, 0));
    RIG_OK(&rig, cuEventQuery(untimed));
    RIG_OK(&rig, cuEventSynchronize(untimed));
    RIG_CHECK(rig.cuEventElapsedTime(&ms, rig.start, untimed) == CUDA_ERROR_INVALID_HANDLE);
    RIG_OK(&rig, cuEventDestroy(untimed));
    RIG_OK(&rig, cuStreamQuery(stream));
    RIG_OK(&rig, cuStreamDestroy(stream));
    RIG_CHECK(rig.cuStreamDestroy(stream) == CUDA_ERROR_INVALID_HANDLE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(graphs),
        cmocka_unit_test(streams_and_events),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
