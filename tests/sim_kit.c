/* SPDX-License-Identifier: MIT */
#include "tests/sim_kit.h"

#include <nvrtc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

void kit_init(struct sim_kit *kit)
{
    memset(kit, 0, sizeof(*kit));
    assert_int_equal(vmem_new(1ull << 36, &kit->mem), 0);
    kit->checks = EXEC_CHECK_UNWRITTEN | EXEC_CHECK_RACES | EXEC_CHECK_DIVERGENCE;
    kit->budget = 200000000;
}

void kit_done(struct sim_kit *kit)
{
    ptx_module_free(kit->module);
    vmem_free(kit->mem);
}

enum { KIT_OPTIONS_MAX = 128 };

char *kit_compile(const char *source, const char *arch, const char *const *options, int n)
{
    nvrtcProgram program;
    char arch_option[64];
    const char *all[KIT_OPTIONS_MAX] = {"-std=c++17", "-I" WS_CUDA_DIR "/include",
                           "-I" WS_CUDA_DIR "/include/cccl", "-lineinfo", arch_option};
    int count = 5;
    size_t size;
    char *text = NULL;
    snprintf(arch_option, sizeof(arch_option), "-arch=%s", arch);
    assert_true(n <= KIT_OPTIONS_MAX - count);
    for (int i = 0; i < n; i++)
        all[count++] = options[i];
    if (nvrtcCreateProgram(&program, source, "kernel.cu", 0, NULL, NULL) != NVRTC_SUCCESS)
        return NULL;
    if (nvrtcCompileProgram(program, count, all) != NVRTC_SUCCESS) {
        nvrtcGetProgramLogSize(program, &size);
        text = malloc(size + 1);
        nvrtcGetProgramLog(program, text);
        fprintf(stderr, "%s\n", text);
        free(text);
        nvrtcDestroyProgram(&program);
        return NULL;
    }
    nvrtcGetPTXSize(program, &size);
    text = malloc(size + 1);
    nvrtcGetPTX(program, text);
    nvrtcDestroyProgram(&program);
    return text;
}

static void place_vars(struct sim_kit *kit)
{
    struct ptx_module *m = kit->module;
    for (size_t i = 0; i < m->n_vars; i++) {
        struct ptx_var *v = m->vars[i];
        assert_int_equal(vmem_alloc(kit->mem, v->size ? v->size : 1, &v->addr), 0);
        if (v->init)
            vmem_write(kit->mem, v->addr, v->init, v->size);
        else
            vmem_fill(kit->mem, v->addr, 0, 1, v->size);
    }
    for (size_t i = 0; i < m->n_vars; i++)
        for (size_t k = 0; k < m->vars[i]->n_relocs; k++) {
            const struct ptx_reloc *r = &m->vars[i]->relocs[k];
            uint64_t value = r->target->addr + r->add;
            vmem_write(kit->mem, m->vars[i]->addr + r->offset, &value, 8);
        }
}

int kit_load(struct sim_kit *kit, const char *ptx)
{
    struct ptx_module *m;
    int rc = ptx_module_parse(ptx, strlen(ptx), &m, &kit->err);
    if (rc)
        return rc;
    ptx_module_free(kit->module);
    kit->module = m;
    place_vars(kit);
    return 0;
}

void kit_cuda(struct sim_kit *kit, const char *source, const char *arch)
{
    char *ptx = kit_compile(source, arch, NULL, 0);
    assert_non_null(ptx);
    if (kit_load(kit, ptx))
        fail_msg("%s", kit->err.text);
    free(ptx);
}

uint64_t kit_buffer(struct sim_kit *kit, const void *bytes, size_t n)
{
    uint64_t addr;
    assert_int_equal(vmem_alloc(kit->mem, n, &addr), 0);
    if (bytes)
        assert_int_equal(vmem_write(kit->mem, addr, bytes, n), 0);
    return addr;
}

void kit_read(struct sim_kit *kit, uint64_t addr, void *bytes, size_t n)
{
    assert_int_equal(vmem_read(kit->mem, addr, bytes, n), 0);
}

static void block_id(const struct exec_launch *l, uint64_t b, uint32_t ret[3])
{
    ret[0] = (uint32_t)(b % l->grid[0]);
    ret[1] = (uint32_t)(b / l->grid[0] % l->grid[1]);
    ret[2] = (uint32_t)(b / l->grid[0] / l->grid[1]);
}

static int run_blocks(struct sim_kit *kit, const struct exec_launch *l, uint64_t blocks)
{
    struct exec_scratch *x;
    uint32_t id[3];
    exec_scratch_new(&x);
    int rc = exec_scratch_prepare(x, l);
    for (uint64_t b = 0; b < blocks && !rc; b++) {
        block_id(l, b, id);
        rc = exec_block(x, id, &kit->counts, &kit->fault);
    }
    exec_scratch_free(x);
    return rc;
}

static int run_in_turns(struct sim_kit *kit, const struct exec_launch *l, uint64_t blocks)
{
    enum { QUANTUM = 4096 };
    struct exec_scratch **x = calloc(blocks, sizeof(*x));
    bool *done = calloc(blocks, sizeof(*done));
    uint64_t left = blocks;
    uint32_t id[3];
    int rc = 0;
    for (uint64_t b = 0; b < blocks && !rc; b++) {
        rc = exec_scratch_new(&x[b]);
        rc = rc ? rc : exec_scratch_prepare(x[b], l);
        block_id(l, b, id);
        if (!rc)
            exec_block_start(x[b], id);
    }
    while (left && !rc) {
        for (uint64_t b = 0; b < blocks && rc >= 0; b++) {
            if (done[b])
                continue;
            rc = exec_block_step(x[b], QUANTUM, &kit->counts, &kit->fault);
            done[b] = rc == 0;
            left -= rc == 0;
        }
        rc = rc < 0 ? rc : 0;
    }
    for (uint64_t b = 0; b < blocks; b++)
        exec_scratch_free(x[b]);
    free(done);
    free(x);
    return rc;
}

int kit_run_raw(struct sim_kit *kit, const char *kernel, const uint32_t grid[3],
                const uint32_t block[3], const void *params, size_t n)
{
    struct ptx_kernel *k = ptx_module_kernel(kit->module, kernel);
    struct exec_program *program;
    assert_non_null(k);
    assert_true(n >= k->param_size);
    int rc = exec_program_new(kit->module, k, &program, &kit->err);
    if (rc)
        return rc;
    struct exec_launch l = {.program = program,
                            .mem = kit->mem,
                            .params = params,
                            .dynamic_shared = kit->shared,
                            .checks = kit->checks,
                            .profile = true,
                            .budget = kit->budget,
                            .sm_count = 132};
    memcpy(l.grid, grid, sizeof(l.grid));
    memcpy(l.block, block, sizeof(l.block));
    memset(&kit->counts, 0, sizeof(kit->counts));
    memset(&kit->fault, 0, sizeof(kit->fault));
    uint64_t blocks = (uint64_t)grid[0] * grid[1] * grid[2];
    rc = kit->in_turns ? run_in_turns(kit, &l, blocks) : run_blocks(kit, &l, blocks);
    exec_program_free(program);
    return rc;
}

int kit_run(struct sim_kit *kit, const char *kernel, const uint32_t grid[3],
            const uint32_t block[3], const uint64_t *args)
{
    struct ptx_kernel *k = ptx_module_kernel(kit->module, kernel);
    assert_non_null(k);
    uint8_t *params = calloc(1, k->param_size + 8);
    for (size_t i = 0; i < k->n_params; i++)
        memcpy(params + k->params[i].offset, &args[i],
               k->params[i].size < 8 ? k->params[i].size : 8);
    int rc = kit_run_raw(kit, kernel, grid, block, params, k->param_size);
    free(params);
    return rc;
}

int kit_run1(struct sim_kit *kit, const char *kernel, uint32_t grid, uint32_t block,
             const uint64_t *args)
{
    return kit_run(kit, kernel, (uint32_t[3]){grid, 1, 1}, (uint32_t[3]){block, 1, 1}, args);
}

uint64_t kit_float(float f)
{
    uint32_t u;
    memcpy(&u, &f, 4);
    return u;
}
