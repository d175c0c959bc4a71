/* SPDX-License-Identifier: MIT */
/*
 * Writes a set of cases for rank_run: the shipped kernels at their tasks' default shapes, with
 * their own parameters and a few drawn from their spaces, compiled and bound.
 *
 *   rank_prepare SOURCE_DIR CUDA_DIR OUT_DIR DRAWS [TASK]
 *
 * OUT_DIR/cases.txt has a line for each step, made for reading with fscanf; images lie beside it as
 * cubin (for a GPU) and PTX with ptxas's report (for the simulator).
 */
#include <dirent.h>
#include <inttypes.h>
#include <nvrtc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/tune/tune_plan.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/rng.h"
#include "base/util.h"
#include "evaluator/worker/compile_log.h"
#include "kernelbench/space.h"

struct prepare {
    const char *cuda, *out;
    FILE *cases;
    unsigned n_cases, n_images;
    const struct task *task;
    struct device_facts facts;
};

static void die(const char *what, const struct err *err)
{
    fprintf(stderr, "%s: %s\n", what, err ? err_text(err) : "failed");
    exit(1);
}

static char *nvrtc_text(nvrtcProgram p, nvrtcResult (*size)(nvrtcProgram, size_t *),
                        nvrtcResult (*get)(nvrtcProgram, char *), size_t *ret_n)
{
    size_t n = 0;
    if (size(p, &n) != NVRTC_SUCCESS || n == 0)
        return NULL;
    char *text = calloc(1, n + 1);
    if (!text || get(p, text) != NVRTC_SUCCESS)
        return NULL;
    *ret_n = n;
    return text;
}

static void save(const struct prepare *p, unsigned image, const char *suffix, const char *at,
                 size_t n)
{
    struct err err = {0};
    auto_free char *path = xprintf("%s/%u.%s", p->out, image, suffix);
    if (file_write(path, at, n, &err))
        die(path, &err);
}

/* 0, or -1 where it doesn't compile (a draw may ask for too much). */
static int compile(struct prepare *p, const char *source, const struct bound *b)
{
    const char *options[64] = {"-std=c++17", "-arch=sm_90a", "-lineinfo", "--ptxas-options=-v"};
    auto_free char *include = xprintf("-I%s/include", p->cuda);
    auto_free char *cccl = xprintf("-I%s/include/cccl", p->cuda);
    nvrtcProgram program;
    size_t n = 4, cubin_n = 0, ptx_n = 0, log_n = 0;
    options[n++] = include;
    options[n++] = cccl;
    for (size_t i = 0; i < b->n_options && n < 64; i++)
        options[n++] = b->options[i];
    if (nvrtcCreateProgram(&program, source, "kernel.cu", 0, NULL, NULL) != NVRTC_SUCCESS)
        die("nvrtc", NULL);
    nvrtcResult r = nvrtcCompileProgram(program, (int)n, options);
    auto_free char *log = nvrtc_text(program, nvrtcGetProgramLogSize, nvrtcGetProgramLog, &log_n);
    if (r != NVRTC_SUCCESS) {
        fprintf(stderr, "%.400s\n", log ? log : "");
        nvrtcDestroyProgram(&program);
        return -1;
    }
    auto_free char *cubin = nvrtc_text(program, nvrtcGetCUBINSize, nvrtcGetCUBIN, &cubin_n);
    auto_free char *ptx = nvrtc_text(program, nvrtcGetPTXSize, nvrtcGetPTX, &ptx_n);
    json_t *kernels = compile_log_kernels(log ? log : "");
    auto_buf struct buf text;
    const char *name;
    json_t *k;
    buf_init(&text, 64 << 20);
    json_object_foreach(kernels, name, k)
        buf_printf(&text, "// warpsim: kernel %s regs %d spill %d shared %d\n", name,
                   (int)json_integer_value(json_object_get(k, "registers")),
                   (int)json_integer_value(json_object_get(k, "spill_bytes")),
                   (int)json_integer_value(json_object_get(k, "shared")));
    buf_puts(&text, ptx);
    save(p, p->n_images, "ptx", text.at, text.len);
    save(p, p->n_images, "cubin", cubin, cubin_n);
    json_decref(kernels);
    nvrtcDestroyProgram(&program);
    return 0;
}

static void write_case(struct prepare *p, const char *name, const struct bound *b)
{
    fprintf(p->cases, "case %s %u %zu %zu\n", name, p->n_images++, b->n_buffers, b->n_launches);
    for (size_t i = 0; i < b->n_buffers; i++)
        fprintf(p->cases, "buffer %" PRId64 " %s %d %" PRId64 "\n",
                b->buffers[i].count * (int64_t)dtype_size(b->buffers[i].dtype),
                dtype_name(b->buffers[i].dtype), (int)b->buffers[i].role,
                b->buffers[i].index_bound);
    for (size_t i = 0; i < b->n_launches; i++) {
        const struct bound_launch *l = &b->launches[i];
        if (!l->kernel) {
            fprintf(p->cases, "memset %" PRId64 " %" PRId64 "\n", l->buffer, l->value);
            continue;
        }
        fprintf(p->cases, "launch %s %d %d %d %d %d %d %d %zu", l->kernel, (int)l->grid[0],
                (int)l->grid[1], (int)l->grid[2], (int)l->block[0], (int)l->block[1],
                (int)l->block[2], (int)l->shared, l->n_args);
        for (size_t a = 0; a < l->n_args; a++) {
            const struct bound_arg *arg = &l->args[a];
            if (arg->kind == BOUND_ARG_KIND_SCALAR)
                fprintf(p->cases, " s %.17g", p->task->scalars[arg->value].value);
            else
                fprintf(p->cases, " %c %" PRId64, arg->kind == BOUND_ARG_KIND_BUFFER ? 'b' : 'i',
                        arg->value);
        }
        fputc('\n', p->cases);
    }
    p->n_cases++;
}

static void add(struct prepare *p, const char *name, const struct candidate *c)
{
    struct err err = {0};
    struct bound *bound;
    auto_arena struct arena *arena = arena_new();
    if (candidate_bind(p->task, &p->task->shapes[0], c->plan, &p->facts, arena, &bound, &err)) {
        fprintf(stderr, "%s: %s\n", name, err.text);
        return;
    }
    if (compile(p, c->source, bound) == 0)
        write_case(p, name, bound);
}

static void add_draws(struct prepare *p, const char *name, const struct candidate *c, int draws)
{
    struct err err = {0};
    struct space space;
    struct tune_space *made = NULL;
    struct rng rng;
    if (space_init(&space, p->task, &p->task->shapes[0], c->plan, &p->facts, &err) || !space.n
        || tune_plan(&space, &made, &err))
        return;
    rng_init(&rng, 1, rng_key(name), 0);
    for (int i = 0; i < draws; i++) {
        uint16_t ranks[PLAN_PARAMS_MAX];
        int64_t config[PLAN_PARAMS_MAX];
        struct symbol params[PLAN_PARAMS_MAX];
        struct candidate *drawn;
        auto_buf struct buf label;
        if (tune_space_draw(made, &rng, ranks))
            break;
        tune_plan_values(made, ranks, config);
        buf_init(&label, 1 << 12);
        buf_puts(&label, name);
        for (size_t k = 0; k < space.n; k++) {
            params[k] = (struct symbol){space.names[k], config[k]};
            buf_printf(&label, "%c%s=%" PRId64, k ? ',' : ':', space.names[k], config[k]);
        }
        if (candidate_with_params(c, params, space.n, &drawn, &err))
            continue;
        add(p, label.at, drawn);
        candidate_free(drawn);
    }
    tune_space_free(made);
}

static void add_family(struct prepare *p, const char *source, int draws)
{
    auto_free char *family = xprintf("%s/kernels/%s", source, p->task->family);
    struct dirent **entries;
    int n = scandir(family, &entries, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        struct candidate *c;
        struct err err = {0};
        auto_free char *path = xprintf("%s/%s", family, entries[i]->d_name);
        auto_free char *name = xprintf("%s/%s", p->task->name, entries[i]->d_name);
        if (entries[i]->d_name[0] != '.') {
            if (candidate_load(path, &c, &err) == 0) {
                add(p, name, c);
                add_draws(p, name, c, draws);
                candidate_free(c);
            } else {
                fprintf(stderr, "%s: %s\n", path, err.text);
            }
        }
        free(entries[i]);
    }
    if (n >= 0)
        free(entries);
}

int main(int argc, char **argv)
{
    if (argc < 5) {
        fprintf(stderr, "usage: rank_prepare SOURCE_DIR CUDA_DIR OUT_DIR DRAWS [TASK]\n");
        return 2;
    }
    struct err err = {0};
    struct prepare p = {
        .cuda = argv[2],
        .out = argv[3],
        .facts = {
            .sm_count = 132, .max_shared = 227 << 10, .max_memory = 100ll << 30, .arch = "sm_90a"}};
    auto_free char *tasks = xprintf("%s/kernelbench/tasks", argv[1]);
    auto_free char *list = xprintf("%s/cases.txt", argv[3]);
    struct dirent **entries;
    if (folder_make(p.out, &err) || !(p.cases = fopen(list, "w")))
        die(list, &err);
    int n = scandir(tasks, &entries, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        struct task *task;
        auto_free char *path = xprintf("%s/%s", tasks, entries[i]->d_name);
        bool wanted =
            entries[i]->d_name[0] != '.' && (argc < 6 || str_eq(argv[5], entries[i]->d_name));
        free(entries[i]);
        if (!wanted || task_load(path, &task, &err))
            continue;
        p.task = task;
        add_family(&p, argv[1], atoi(argv[4]));
        task_free(task);
    }
    if (n >= 0)
        free(entries);
    fclose(p.cases);
    printf("%u cases\n", p.n_cases);
    return 0;
}
