/* SPDX-License-Identifier: MIT */
/* Streams, events, and the one clock behind them. */
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "evaluator/sim/driver.h"

struct CUstream_st *driver_stream(struct driver *d, CUstream handle)
{
    if (!handle || handle == CU_STREAM_LEGACY || handle == CU_STREAM_PER_THREAD)
        return &d->default_stream;
    return handle->magic == DRIVER_STREAM ? handle : NULL;
}

DRIVER_API CUresult cuStreamCreate(CUstream *ret, unsigned int flags)
{
    DRIVER_ENTER(d, DRIVER_NEEDS_CONTEXT);
    if (!ret || (flags & ~(unsigned)CU_STREAM_NON_BLOCKING))
        return CUDA_ERROR_INVALID_VALUE;
    struct CUstream_st *s = xcalloc(1, sizeof(*s));
    s->magic = DRIVER_STREAM;
    s->next = d->streams;
    d->streams = s;
    *ret = s;
    return CUDA_SUCCESS;
}

static void stream_free(struct CUstream_st *s)
{
    if (s->capture)
        driver_graph_free(s->capture);
    s->magic = 0;
    free(s);
}

DRIVER_API CUresult cuStreamDestroy(CUstream stream)
{
    DRIVER_ENTER(d, DRIVER_NEEDS_CONTEXT);
    for (struct CUstream_st **at = &d->streams; *at; at = &(*at)->next) {
        if (*at != stream)
            continue;
        *at = stream->next;
        stream_free(stream);
        return CUDA_SUCCESS;
    }
    return CUDA_ERROR_INVALID_HANDLE;
}

void driver_streams_free(struct driver *d)
{
    while (d->streams) {
        struct CUstream_st *s = d->streams;
        d->streams = s->next;
        stream_free(s);
    }
}

/* Nothing is ever pending: work is done when it is submitted. */
static CUresult settled(CUstream stream)
{
    DRIVER_ENTER(d, DRIVER_NEEDS_CONTEXT);
    struct CUstream_st *s = driver_stream(d, stream);
    if (!s)
        return CUDA_ERROR_INVALID_HANDLE;
    return s->capture ? CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED : CUDA_SUCCESS;
}

DRIVER_API CUresult cuStreamSynchronize(CUstream stream)
{
    return settled(stream);
}

DRIVER_API CUresult cuStreamQuery(CUstream stream)
{
    return settled(stream);
}

DRIVER_API CUresult cuStreamWaitEvent(CUstream stream, CUevent event, unsigned int flags)
{
    DRIVER_ENTER(d, DRIVER_NEEDS_CONTEXT);
    (void)flags;
    if (!driver_stream(d, stream) || !event || event->magic != DRIVER_EVENT)
        return CUDA_ERROR_INVALID_HANDLE;
    return CUDA_SUCCESS; /* what the event stands for is done */
}

DRIVER_API CUresult cuStreamWriteValue32(CUstream stream, CUdeviceptr addr, cuuint32_t value,
                                         unsigned int flags)
{
    DRIVER_ENTER(d, DRIVER_NEEDS_CONTEXT);
    struct driver_op op = {.kind = DRIVER_OP_WRITE};
    (void)flags;
    op.write.addr = addr;
    op.write.value = value;
    op.write.width = 4;
    return driver_submit(d, stream, &op);
}

/* Doesn't wait: a stream holds nothing back, and time is modelled as if launches were ready. */
DRIVER_API CUresult cuStreamWaitValue32(CUstream stream, CUdeviceptr addr, cuuint32_t value,
                                        unsigned int flags)
{
    DRIVER_ENTER(d, DRIVER_NEEDS_CONTEXT);
    uint32_t now;
    (void)value, (void)flags;
    if (!driver_stream(d, stream))
        return CUDA_ERROR_INVALID_HANDLE;
    return driver_result(vmem_read(d->mem, addr, &now, sizeof(now)));
}

DRIVER_API CUresult cuEventCreate(CUevent *ret, unsigned int flags)
{
    DRIVER_ENTER(d, DRIVER_NEEDS_CONTEXT);
    if (!ret)
        return CUDA_ERROR_INVALID_VALUE;
    struct CUevent_st *e = xcalloc(1, sizeof(*e));
    e->magic = DRIVER_EVENT;
    e->timed = !(flags & CU_EVENT_DISABLE_TIMING);
    *ret = e;
    return CUDA_SUCCESS;
}

DRIVER_API CUresult cuEventDestroy(CUevent event)
{
    DRIVER_ENTER(d, DRIVER_NEEDS_CONTEXT);
    if (!event || event->magic != DRIVER_EVENT)
        return CUDA_ERROR_INVALID_HANDLE;
    event->magic = 0;
    free(event);
    return CUDA_SUCCESS;
}

DRIVER_API CUresult cuEventRecord(CUevent event, CUstream stream)
{
    DRIVER_ENTER(d, DRIVER_NEEDS_CONTEXT);
    struct driver_op op = {.kind = DRIVER_OP_EVENT, .event = event};
    if (!event || event->magic != DRIVER_EVENT)
        return CUDA_ERROR_INVALID_HANDLE;
    return driver_submit(d, stream, &op);
}

static CUresult event_settled(CUevent event)
{
    DRIVER_ENTER(d, DRIVER_NEEDS_CONTEXT);
    return event && event->magic == DRIVER_EVENT ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

DRIVER_API CUresult cuEventSynchronize(CUevent event)
{
    return event_settled(event);
}

DRIVER_API CUresult cuEventQuery(CUevent event)
{
    return event_settled(event);
}

/* cuda.h gives the one name to the other's version; both are exported. */
#undef cuEventElapsedTime
CUresult cuEventElapsedTime(float *ms, CUevent start, CUevent end);

DRIVER_API CUresult cuEventElapsedTime_v2(float *ms, CUevent start, CUevent end)
{
    DRIVER_ENTER(d, DRIVER_NEEDS_CONTEXT);
    if (!ms)
        return CUDA_ERROR_INVALID_VALUE;
    if (!start || start->magic != DRIVER_EVENT || !end || end->magic != DRIVER_EVENT)
        return CUDA_ERROR_INVALID_HANDLE;
    if (!start->timed || !end->timed || !start->recorded || !end->recorded)
        return CUDA_ERROR_INVALID_HANDLE;
    *ms = (float)((end->at - start->at) * 1e-6);
    return CUDA_SUCCESS;
}

DRIVER_API CUresult cuEventElapsedTime(float *ms, CUevent start, CUevent end)
{
    return cuEventElapsedTime_v2(ms, start, end);
}
