/* SPDX-License-Identifier: MIT */
/* What a stream is given: done at once, or kept in the graph that it captures. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "evaluator/sim/driver.h"

void driver_op_done(struct driver_op *op)
{
    if (op->kind == DRIVER_OP_LAUNCH)
        free(op->launch.params);
}

CUresult driver_submit(struct driver *d, CUstream stream, struct driver_op *op)
{
    struct CUstream_st *s = driver_stream(d, stream);
    CUresult r = s ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
    if (s && s->capture) {
        r = driver_graph_add(s->capture, op);
        if (r == CUDA_SUCCESS)
            return r;
    } else if (s) {
        r = driver_perform(d, op, false);
    }
    driver_op_done(op);
    return r;
}

/* The device's own accesses keep to the protection: breaking it is a fault, as in a kernel. */
static CUresult check_access(struct driver *d, uint64_t addr, uint64_t size, bool write)
{
    for (uint64_t at = addr; at - addr < size;) {
        const struct vmem_span *s = vmem_find(d->mem, at);
        if (!s)
            return CUDA_ERROR_INVALID_VALUE;
        if (!s->readable || (write && !s->writable)) {
            driver_diagnose(
                d, "a %s of %" PRIu64 " bytes at 0x%" PRIx64 " meets memory that is mapped %s",
                write ? "copy or fill" : "copy from", size, addr,
                s->readable ? "read-only" : "without access");
            return d->sticky = CUDA_ERROR_ILLEGAL_ADDRESS;
        }
        at = s->addr + s->size;
    }
    return CUDA_SUCCESS;
}

static void touch(struct driver *d, uint64_t addr, uint64_t size)
{
    const struct vmem_span *s = vmem_find(d->mem, addr);
    if (s)
        model_cache_touch(&d->cache, s->addr, size, model_cache_capacity(d->machine));
}

static CUresult perform_fill(struct driver *d, const struct driver_op *op)
{
    CUresult r = check_access(d, op->fill.addr, op->fill.size, true);
    if (r != CUDA_SUCCESS)
        return r;
    r = driver_result(
        vmem_fill(d->mem, op->fill.addr, op->fill.value, op->fill.width, op->fill.size));
    touch(d, op->fill.addr, op->fill.size);
    d->now += model_fill_time(d->machine, 0, op->fill.size);
    return r;
}

static CUresult perform_copy(struct driver *d, const struct driver_op *op)
{
    uint64_t dst = op->copy.dst, src = op->copy.src, size = op->copy.size;
    CUresult r = CUDA_SUCCESS;
    if (!op->copy.src_host)
        r = check_access(d, src, size, false);
    if (r == CUDA_SUCCESS && !op->copy.dst_host)
        r = check_access(d, dst, size, true);
    if (r != CUDA_SUCCESS)
        return r;
    if (op->copy.src_host) {
        r = driver_result(vmem_write(d->mem, dst, (const void *)(uintptr_t)src, size));
        d->now += model_host_copy_time(d->machine, size);
    } else if (op->copy.dst_host) {
        r = driver_result(vmem_read(d->mem, src, (void *)(uintptr_t)dst, size));
        d->now += model_host_copy_time(d->machine, size);
    } else {
        r = driver_result(vmem_copy(d->mem, dst, src, size));
        d->now += model_fill_time(d->machine, size, size);
        touch(d, src, size);
    }
    if (!op->copy.dst_host)
        touch(d, dst, size);
    return r;
}

CUresult driver_perform(struct driver *d, const struct driver_op *op, bool in_graph)
{
    if (op->kind != DRIVER_OP_EVENT && d->after_event) {
        d->now += d->machine->event_ns;
        d->after_event = false;
    }
    switch (op->kind) {
    case DRIVER_OP_LAUNCH:
        return driver_perform_launch(d, op, in_graph);
    case DRIVER_OP_FILL:
        return perform_fill(d, op);
    case DRIVER_OP_COPY:
        return perform_copy(d, op);
    case DRIVER_OP_WRITE:
        return driver_result(vmem_write(d->mem, op->write.addr, &op->write.value, op->write.width));
    case DRIVER_OP_EVENT:
        op->event->recorded = true;
        op->event->at = d->now;
        d->after_event = true;
        model_cache_reset(&d->cache, d->machine); /* a timed sequence begins cold */
        return CUDA_SUCCESS;
    }
    return CUDA_ERROR_UNKNOWN;
}
