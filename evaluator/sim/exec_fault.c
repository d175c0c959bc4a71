/* SPDX-License-Identifier: MIT */
/* Words for what went wrong: "kernel k: invalid read of 4 bytes at 0x700000001000 (nothing is
 * mapped there) by thread (3,0,0) of block (1,0,0), PTX line 40, kernel.cu:12". */
#include "evaluator/sim/exec_parts.h"
#include "evaluator/sim/ptx_ast.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

int fault_at(struct exec_scratch *x, const struct warp *w, const struct insn *in, unsigned lane,
             enum exec_fault_kind kind, uint64_t addr, const char *format, ...)
{
    struct exec_fault *f = &x->fault;
    const struct ptx_module *m = x->program->module;
    const struct ptx_loc *loc = in ? ptx_module_loc(m, in->loc) : NULL;
    const char *file = loc ? ptx_module_file(m, loc->file) : NULL;
    const uint32_t *dim = x->launch->block;
    uint32_t thread = w ? w->index * 32 + lane : 0;
    char what[320], where[160] = "";
    va_list ap;
    va_start(ap, format);
    vsnprintf(what, sizeof(what), format, ap);
    va_end(ap);
    *f = (struct exec_fault){.kind = kind,
                             .address = addr,
                             .ptx_line = in ? in->line : 0,
                             .cuda_line = loc ? loc->line : 0};
    memcpy(f->block, x->ctaid, sizeof(f->block));
    f->thread[0] = thread % dim[0];
    f->thread[1] = thread / dim[0] % dim[1];
    f->thread[2] = thread / dim[0] / dim[1];
    if (file)
        snprintf(where, sizeof(where), ", %.120s:%u", base_name(file), loc->line);
    snprintf(f->text, sizeof(f->text),
             "kernel %.100s: %s by thread (%u,%u,%u) of block (%u,%u,%u), PTX line %u%s",
             x->program->kernel->name, what, f->thread[0], f->thread[1], f->thread[2], f->block[0],
             f->block[1], f->block[2], f->ptx_line, where);
    return RUN_FAULT;
}

static const char *space_name(enum ptx_space space)
{
    static const char *const names[] = {"generic",  "global",    "shared",  "local",
                                        "constant", "parameter", "register"};
    return names[space];
}

/* An access that has no place: where it points, and what lies there. */
int fault_access(struct exec_scratch *x, const struct warp *w, const struct insn *in,
                 const struct access *a, unsigned lane, enum ptx_space space)
{
    char there[160];
    uint64_t addr = a->addr[lane];
    const char *verb = a->atomic ? "atomic on" : a->write ? "write of" : "read of";
    if (addr % in->elem || addr % a->bytes)
        return fault_at(x, w, in, lane, EXEC_FAULT_MISALIGNED, addr,
                        "misaligned %s %u bytes of %s memory at 0x%" PRIx64, verb, a->bytes,
                        space_name(space), addr);
    if (space == PTX_SHARED)
        snprintf(there, sizeof(there), "the block has %u bytes", x->shared_bytes);
    else if (space == PTX_LOCAL)
        snprintf(there, sizeof(there), "the thread has %u bytes", x->program->local_bytes);
    else if (space == PTX_PARAM)
        snprintf(there, sizeof(there), "the parameters have %u bytes",
                 x->program->kernel->param_size);
    else
        vmem_describe(x->launch->mem, addr, a->bytes, there, sizeof(there));
    return fault_at(x, w, in, lane, EXEC_FAULT_ADDRESS, addr,
                    "invalid %s %u bytes of %s memory at 0x%" PRIx64 " (%s)", verb, a->bytes,
                    space_name(space), addr, there);
}
