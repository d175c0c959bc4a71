/* SPDX-License-Identifier: MIT */
/* PTX text of any bytes: parsed, decoded, and what decodes is run for a moment; no crash, no access
 * to anything but its own memory, and an error always with its words. */
#include "base/util.h"
#include "evaluator/sim/exec.h"
#include "evaluator/sim/vmem.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { BUDGET = 4000, SHARED = 1024, SMALL = 1 << 20 };

static bool place(const struct ptx_module *m, struct vmem *mem)
{
    for (size_t i = 0; i < m->n_vars; i++) {
        struct ptx_var *v = m->vars[i];
        if (v->size > SMALL || vmem_alloc(mem, v->size ? v->size : 1, &v->addr))
            return false;
        if (v->init)
            require(vmem_write(mem, v->addr, v->init, v->size) == 0);
        for (size_t k = 0; k < v->n_relocs; k++)
            require(v->relocs[k].offset + 8ull <= v->size);
    }
    return true;
}

static void run(const struct exec_program *program, const struct ptx_kernel *k, struct vmem *mem,
                uint64_t buffer, uint8_t seed)
{
    uint8_t *params = xcalloc(1, k->param_size + 8);
    for (size_t i = 0; i < k->n_params; i++)
        memcpy(params + k->params[i].offset, &buffer,
               k->params[i].size < 8 ? k->params[i].size : 8);
    struct exec_launch l = {.program = program,
                            .mem = mem,
                            .grid = {2, 1, 1},
                            .block = {72, 1, 1},
                            .params = params,
                            .dynamic_shared = SHARED,
                            .checks = seed & 7,
                            .profile = seed & 8,
                            .trace = seed & 16,
                            .budget = BUDGET};
    struct exec_scratch *x = NULL;
    struct exec_counts counts = {0};
    struct exec_fault fault = {0};
    require(exec_scratch_new(&x) == 0);
    if (exec_scratch_prepare(x, &l) == 0) {
        int r = exec_block(x, (const uint32_t[3]){1, 0, 0}, &counts, &fault);
        require((r == 0) == (fault.text[0] == '\0'));
    }
    exec_scratch_free(x);
    free(params);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = {0};
    struct ptx_module *m = NULL;
    struct vmem *mem = NULL;
    uint64_t buffer;
    int r = ptx_module_parse((const char *)data, size, &m, &err);
    require((r == 0) == (m != NULL) && (r < 0) == (err.text[0] != '\0'));
    if (r < 0)
        return 0;
    require(vmem_new(64 << 20, &mem) == 0 && vmem_alloc(mem, 4096, &buffer) == 0);
    require(vmem_fill(mem, buffer, 3, 1, 4096) == 0);
    for (size_t i = 0; place(m, mem) && i < m->n_kernels; i++) {
        struct exec_program *program = NULL;
        memset(&err, 0, sizeof(err));
        r = exec_program_new(m, &m->kernels[i], &program, &err);
        require((r == 0) == (program != NULL) && (r < 0) == (err.text[0] != '\0'));
        if (program)
            run(program, &m->kernels[i], mem, buffer, size ? data[size - 1] : 0);
        exec_program_free(program);
    }
    ptx_module_free(m);
    vmem_free(mem);
    return 0;
}
