/* SPDX-License-Identifier: MIT */
/* Modules: PTX text in, kernels and variables out. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "evaluator/sim/driver.h"

#define IMAGE_MAX (64u << 20) /* bytes of PTX */

static void module_free(struct driver *d, struct driver_module *m)
{
    for (size_t i = 0; m->functions && i < m->ptx->n_kernels; i++) {
        m->functions[i].magic = 0;
        exec_program_free(m->functions[i].program);
        free(m->functions[i].refused);
    }
    for (size_t i = 0; i < m->ptx->n_vars; i++)
        if (m->ptx->vars[i]->addr)
            vmem_release(d->mem, m->ptx->vars[i]->addr);
    m->magic = 0;
    free(m->functions);
    ptx_module_free(m->ptx);
    free(m);
}

void driver_modules_free(struct driver *d)
{
    while (d->modules) {
        struct driver_module *m = d->modules;
        d->modules = m->next;
        module_free(d, m);
    }
}

static bool placed(const struct ptx_var *v)
{
    return (v->space == PTX_GLOBAL || v->space == PTX_CONST) && v->size;
}

/* Gives variables their addresses first, since their bytes may hold each other's. */
static int place_vars(struct driver *d, const struct ptx_module *ptx)
{
    int err = 0;
    for (size_t i = 0; i < ptx->n_vars && !err; i++)
        if (placed(ptx->vars[i]))
            err = vmem_alloc(d->mem, ptx->vars[i]->size, &ptx->vars[i]->addr);
    for (size_t i = 0; i < ptx->n_vars && !err; i++) {
        const struct ptx_var *v = ptx->vars[i];
        if (!placed(v))
            continue;
        err = v->init ? vmem_write(d->mem, v->addr, v->init, v->size)
                      : vmem_fill(d->mem, v->addr, 0, 1, v->size);
        for (size_t r = 0; r < v->n_relocs && !err; r++) {
            uint64_t value = v->relocs[r].target->addr + v->relocs[r].add;
            err = vmem_write(d->mem, v->addr + v->relocs[r].offset, &value, sizeof(value));
        }
    }
    return err;
}

static CUresult refuse_image(struct driver *d, const unsigned char *image)
{
    static const unsigned char elf[4] = {0x7f, 'E', 'L', 'F'};
    static const unsigned char fatbin[4] = {0x50, 0xed, 0x55, 0xba};
    if (memcmp(image, elf, 4) && memcmp(image, fatbin, 4))
        return CUDA_SUCCESS;
    driver_diagnose(d, "the simulated device executes PTX text; this image is a %s",
                    image[0] == 0x7f ? "cubin" : "fatbin");
    return CUDA_ERROR_NO_BINARY_FOR_GPU;
}

static CUresult module_load(CUmodule *ret, const void *image)
{
    DRIVER_ENTER(d, DRIVER_NEEDS_CONTEXT);
    struct ptx_module *ptx;
    struct err err = {0};
    if (!ret || !image)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult r = refuse_image(d, image);
    if (r != CUDA_SUCCESS)
        return r;
    int e = ptx_module_parse(image, strnlen(image, IMAGE_MAX), &ptx, &err);
    if (e) {
        driver_diagnose(d, "%s", err_text(&err));
        return e == ERR_UNSUPPORTED ? CUDA_ERROR_NOT_SUPPORTED : CUDA_ERROR_INVALID_PTX;
    }
    struct driver_module *m = xcalloc(1, sizeof(*m));
    *m = (struct driver_module){.magic = DRIVER_MODULE, .ptx = ptx};
    m->functions = xcalloc(ptx->n_kernels + 1, sizeof(*m->functions));
    for (size_t i = 0; i < ptx->n_kernels; i++)
        m->functions[i] = (struct driver_function){
            .magic = DRIVER_FUNCTION, .module = m, .kernel = &ptx->kernels[i]};
    e = place_vars(d, ptx);
    if (e) {
        module_free(d, m);
        return driver_result(e);
    }
    m->next = d->modules;
    d->modules = m;
    *ret = (CUmodule)m;
    return CUDA_SUCCESS;
}

DRIVER_API CUresult cuModuleLoadData(CUmodule *ret, const void *image)
{
    return module_load(ret, image);
}

/* Options are ptxas's; the simulator has none. */
DRIVER_API CUresult cuModuleLoadDataEx(CUmodule *ret, const void *image, unsigned int n,
                                       CUjit_option *options, void **values)
{
    (void)n, (void)options, (void)values;
    return module_load(ret, image);
}

static struct driver_module *module_of(CUmodule handle)
{
    struct driver_module *m = (struct driver_module *)handle;
    return m && m->magic == DRIVER_MODULE ? m : NULL;
}

DRIVER_API CUresult cuModuleUnload(CUmodule module)
{
    DRIVER_ENTER(d, DRIVER_NEEDS_CONTEXT);
    for (struct driver_module **at = &d->modules; *at; at = &(*at)->next) {
        struct driver_module *m = *at;
        if ((CUmodule)m != module)
            continue;
        *at = m->next;
        module_free(d, m);
        return CUDA_SUCCESS;
    }
    return CUDA_ERROR_INVALID_HANDLE;
}

CUresult driver_function_load(struct driver *d, struct driver_function *f)
{
    struct err err = {0};
    if (f->program)
        return CUDA_SUCCESS;
    if (!f->refused) {
        int e = exec_program_new(f->module->ptx, f->kernel, &f->program, &err);
        if (e == 0) {
            exec_program_info(f->program, &f->info);
            return CUDA_SUCCESS;
        }
        f->refused = xstrdup(err_text(&err));
    }
    driver_diagnose(d, "%s", f->refused);
    return CUDA_ERROR_NOT_SUPPORTED;
}

DRIVER_API CUresult cuModuleGetFunction(CUfunction *ret, CUmodule module, const char *name)
{
    DRIVER_ENTER(d, DRIVER_NEEDS_CONTEXT);
    struct driver_module *m = module_of(module);
    if (!m)
        return CUDA_ERROR_INVALID_HANDLE;
    if (!ret || !name)
        return CUDA_ERROR_INVALID_VALUE;
    for (size_t i = 0; i < m->ptx->n_kernels; i++) {
        if (strcmp(m->ptx->kernels[i].name, name))
            continue;
        CUresult r = driver_function_load(d, &m->functions[i]);
        if (r == CUDA_SUCCESS)
            *ret = (CUfunction)&m->functions[i];
        return r;
    }
    return CUDA_ERROR_NOT_FOUND;
}

DRIVER_API CUresult cuModuleGetGlobal(CUdeviceptr *ret_ptr, size_t *ret_size, CUmodule module,
                                      const char *name)
{
    DRIVER_ENTER(d, DRIVER_NEEDS_CONTEXT);
    struct driver_module *m = module_of(module);
    if (!m)
        return CUDA_ERROR_INVALID_HANDLE;
    if (!name)
        return CUDA_ERROR_INVALID_VALUE;
    const struct ptx_var *v = ptx_module_var(m->ptx, name);
    if (!v || !placed(v))
        return CUDA_ERROR_NOT_FOUND;
    if (ret_ptr)
        *ret_ptr = v->addr;
    if (ret_size)
        *ret_size = v->size;
    return CUDA_SUCCESS;
}
