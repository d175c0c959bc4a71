/* SPDX-License-Identifier: MIT */
/* Stream capture. A graph is the list of what its one stream was given; there are no other edges.
 */
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "evaluator/sim/driver.h"

#define GRAPH_MAX_OPS 100000

struct CUgraphExec_st {
    struct CUgraph_st graph;
};

static void ops_free(struct CUgraph_st *g)
{
    for (size_t i = 0; i < g->n; i++)
        driver_op_done(&g->ops[i]);
    free(g->ops);
}

void driver_graph_free(struct CUgraph_st *graph)
{
    ops_free(graph);
    free(graph);
}

CUresult driver_graph_add(struct CUgraph_st *g, struct driver_op *op)
{
    if (g->n == GRAPH_MAX_OPS)
        return CUDA_ERROR_OUT_OF_MEMORY;
    if (g->n == g->cap) {
        g->cap = g->cap ? 2 * g->cap : 16;
        g->ops = xrealloc(g->ops, g->cap, sizeof(*g->ops));
    }
    g->ops[g->n++] = *op;
    return CUDA_SUCCESS;
}

DRIVER_API CUresult cuStreamBeginCapture(CUstream stream, CUstreamCaptureMode mode)
{
    DRIVER_ENTER(d, DRIVER_NEEDS_CONTEXT);
    struct CUstream_st *s = driver_stream(d, stream);
    (void)mode;
    if (!s)
        return CUDA_ERROR_INVALID_HANDLE;
    if (s == &d->default_stream)
        return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    if (s->capture)
        return CUDA_ERROR_ILLEGAL_STATE;
    s->capture = xcalloc(1, sizeof(*s->capture));
    return CUDA_SUCCESS;
}

DRIVER_API CUresult cuStreamEndCapture(CUstream stream, CUgraph *ret)
{
    DRIVER_ENTER(d, DRIVER_NEEDS_CONTEXT);
    struct CUstream_st *s = driver_stream(d, stream);
    if (!s)
        return CUDA_ERROR_INVALID_HANDLE;
    if (!s->capture || !ret)
        return s->capture ? CUDA_ERROR_INVALID_VALUE : CUDA_ERROR_ILLEGAL_STATE;
    *ret = s->capture;
    s->capture = NULL;
    return CUDA_SUCCESS;
}

DRIVER_API CUresult cuStreamIsCapturing(CUstream stream, CUstreamCaptureStatus *ret)
{
    DRIVER_ENTER(d, DRIVER_NEEDS_CONTEXT);
    struct CUstream_st *s = driver_stream(d, stream);
    if (!s || !ret)
        return s ? CUDA_ERROR_INVALID_VALUE : CUDA_ERROR_INVALID_HANDLE;
    *ret = s->capture ? CU_STREAM_CAPTURE_STATUS_ACTIVE : CU_STREAM_CAPTURE_STATUS_NONE;
    return CUDA_SUCCESS;
}

DRIVER_API CUresult cuGraphInstantiateWithFlags(CUgraphExec *ret, CUgraph graph,
                                                unsigned long long flags)
{
    DRIVER_ENTER(d, DRIVER_NEEDS_CONTEXT);
    if (!ret || !graph || flags)
        return CUDA_ERROR_INVALID_VALUE;
    struct CUgraphExec_st *e = xcalloc(1, sizeof(*e));
    for (size_t i = 0; i < graph->n; i++) {
        struct driver_op op = graph->ops[i];
        if (op.kind == DRIVER_OP_LAUNCH) {
            size_t size = op.launch.function->kernel->param_size;
            op.launch.params = xcalloc(1, size + 1);
            memcpy(op.launch.params, graph->ops[i].launch.params, size);
        }
        driver_graph_add(&e->graph, &op);
    }
    *ret = e;
    return CUDA_SUCCESS;
}

DRIVER_API CUresult cuGraphLaunch(CUgraphExec exec, CUstream stream)
{
    DRIVER_ENTER(d, DRIVER_NEEDS_CONTEXT);
    struct CUstream_st *s = driver_stream(d, stream);
    CUresult r = CUDA_SUCCESS;
    if (!exec || !s)
        return CUDA_ERROR_INVALID_HANDLE;
    if (s->capture)
        return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED; /* child graphs */
    for (size_t i = 0; i < exec->graph.n && r == CUDA_SUCCESS; i++)
        r = driver_perform(d, &exec->graph.ops[i], i > 0);
    return r;
}

DRIVER_API CUresult cuGraphDestroy(CUgraph graph)
{
    DRIVER_ENTER(d, DRIVER_NEEDS_CONTEXT);
    if (!graph)
        return CUDA_ERROR_INVALID_VALUE;
    driver_graph_free(graph);
    return CUDA_SUCCESS;
}

DRIVER_API CUresult cuGraphExecDestroy(CUgraphExec exec)
{
    DRIVER_ENTER(d, DRIVER_NEEDS_CONTEXT);
    if (!exec)
        return CUDA_ERROR_INVALID_VALUE;
    ops_free(&exec->graph);
    free(exec);
    return CUDA_SUCCESS;
}
