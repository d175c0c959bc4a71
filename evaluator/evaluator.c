/* SPDX-License-Identifier: MIT */
#include "base/file.h"
#include "base/util.h"
#include "evaluator/evaluator_internal.h"
#include "evaluator/pytorch.h"
#include "evaluator/toolkit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    START_MS = 20000,
    PROFILE_START_MS = 120000, /* it waits for its turn on the GPU first */
    GATE_COMPILE_MS = 60000,
    GATE_SETUP_MS = 60000,
};

/* Turns the loop until the pool said hello or gave up. */
static int wait_for_hello(struct evaluator *ev, struct pool *pool, struct err *err)
{
    while (!pool_hello(pool) && !pool_failure(pool)) {
        if (!uv_run(ev->loop, UV_RUN_ONCE)) {
            break;
        }
    }
    if (!pool_hello(pool)) {
        const char *why = pool_failure(pool);
        return err_set(err, ERR_ENVIRONMENT, "%s", why ? why : "the worker didn't start");
    }
    return 0;
}

static int open_compile_pool(struct evaluator *ev, const struct evaluator_options *o,
                             const char *worker, struct err *err)
{
    auto_free char *include = NULL;
    int r = toolkit_include(&include, err);
    if (r < 0) {
        return r;
    }
    /* The compiler that belongs to these headers. */
    auto_free char *home
        = xprintf("CUDA_HOME=%.*s", (int)(strlen(include) - strlen("/include")), include);
    const char *const env[] = { home, NULL };
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    const char *const args[] = { "compile", "--include", include, NULL };
    struct pool_options options = {
        .name = "compile",
        .program = worker,
        .args = args,
        .env = env,
        .workers = o->compile_workers ? o->compile_workers : (size_t)MAX(1, MIN(cores, 16)),
        .start_ms = START_MS,
        .log = o->log,
    };
    return pool_new(ev->loop, &options, &ev->compile_pool, err);
}

int evaluator_device_pool(const struct evaluator *ev, const char *profile, struct pool **ret,
                          struct err *err)
{
    bool asks = ev->exchange[0] && !profile;
    const char *const args[] = { "device", "--driver", ev->driver, "--gpu", ev->index,
                                 profile ? "--profile" : asks ? "--oracle" : NULL,
                                 profile ? profile : asks ? "4" : NULL, NULL };
    const char *env[3] = { ev->env_device };
    auto_free char *include = NULL, *home = NULL;
    /* CUPTI lies in the toolkit, which need not be where the worker would look. */
    if (profile && !getenv("CUDA_HOME") && toolkit_include(&include, NULL) == 0) {
        home = xprintf("CUDA_HOME=%.*s", (int)(strlen(include) - strlen("/include")), include);
        env[env[0] ? 1 : 0] = home;
    }
    struct pool_options options = {
        .name = profile ? "profile" : "device",
        .program = ev->worker,
        .args = args,
        .env = env,
        .workers = 1,
        .passed = asks ? ev->exchange[0] : 0,
        .start_ms = profile ? PROFILE_START_MS : START_MS,
        .log = &ev->log,
    };
    return pool_new(ev->loop, &options, ret, err);
}

static void forget_device(struct evaluator *ev)
{
    free(ev->worker);
    free(ev->driver);
    free(ev->index);
    free(ev->env_device);
    ev->worker = ev->driver = ev->index = ev->env_device = NULL;
}

/* `model` NULL: a real GPU. */
static int open_device_pool(struct evaluator *ev, const char *worker, const char *index,
                            const char *model, struct err *err)
{
    forget_device(ev);
    if (model) {
        int r = file_find_program("libwarpsim.so", &ev->driver, err);
        if (r < 0) {
            return r;
        }
        ev->env_device = xprintf("WARPSIM_DEVICE=%s", model);
    } else {
        ev->driver = xstrdup("libcuda.so.1");
    }
    ev->worker = xstrdup(worker);
    ev->index = xstrdup(index);
    return evaluator_device_pool(ev, NULL, &ev->device_pool, err);
}

/* "auto": a GPU if its worker can start one, else the simulator. */
static int choose_device(struct evaluator *ev, const struct evaluator_options *o,
                         const char *worker, struct err *err)
{
    const char *gpu = o->gpu ? o->gpu : "auto";
    int64_t index = 0;
    int r;
    if (str_eq(gpu, "auto")) {
        r = open_device_pool(ev, worker, "0", NULL, err);
        if (r == 0 && wait_for_hello(ev, ev->device_pool, err) == 0) {
            return 0;
        }
        pool_close(ev->device_pool);
        ev->device_pool = NULL;
        gpu = "sim";
    }
    if (str_eq(gpu, "sim") || str_prefix(gpu, "sim:")) {
        const char *model = gpu[3] ? gpu + 4 : "h200";
        if (!str_eq(model, "h200") && !str_eq(model, "b200")) {
            return err_set(err, ERR_INVALID, "--gpu %s: there is no model of \"%s\"; use sim:h200 or sim:b200",
                           gpu, model);
        }
        r = open_device_pool(ev, worker, "0", model, err);
    } else if (str_to_i64(gpu, &index) && index >= 0 && index < 1024) {
        r = open_device_pool(ev, worker, gpu, NULL, err);
    } else {
        return err_set(err, ERR_INVALID,
                       "--gpu %s: expected a GPU's number, sim, sim:h200, sim:b200 or auto", gpu);
    }
    return r < 0 ? r : wait_for_hello(ev, ev->device_pool, err);
}

static void copy_string(const json_t *object, const char *key, char *ret, size_t size)
{
    const char *s = json_string_value(json_object_get(object, key));
    snprintf(ret, size, "%s", s ? s : "");
}

static void read_device(struct evaluator *ev)
{
    struct device_info *d = &ev->device;
    const json_t *hello = pool_hello(ev->device_pool);
    const json_t *device = json_object_get(hello, "device");
    copy_string(device, "name", d->name, sizeof(d->name));
    copy_string(device, "uuid", d->uuid, sizeof(d->uuid));
    copy_string(device, "arch", d->arch, sizeof(d->arch));
    copy_string(device, "driver", d->driver, sizeof(d->driver));
    d->modelled = json_is_true(json_object_get(device, "modelled"));
    d->context_ms = json_number_value(json_object_get(hello, "context_ms"));
    d->facts.sm_count = json_integer_value(json_object_get(device, "sm_count"));
    d->facts.max_shared = json_integer_value(json_object_get(device, "max_shared"));
    d->facts.max_memory = json_integer_value(json_object_get(device, "total_memory")) / 4;
    snprintf(d->facts.arch, sizeof(d->facts.arch), "%.*s", (int)sizeof(d->facts.arch) - 1, d->arch);
    const json_t *nvml = json_object_get(hello, "nvml");
    copy_string(nvml, "why", d->nvml, sizeof(d->nvml));
    copy_string(nvml, "driver", d->ceilings.driver, sizeof(d->ceilings.driver));
    if (!d->ceilings.driver[0]) {
        snprintf(d->ceilings.driver, sizeof(d->ceilings.driver), "%s", d->driver);
    }
    const json_t *compile = pool_hello(ev->compile_pool);
    copy_string(compile, "compiler", d->compiler, sizeof(d->compiler));
    const json_t *sealed = json_object_get(compile, "sealed");
    d->landlock = (int)json_integer_value(json_object_get(sealed, "landlock"));
    d->seccomp = json_is_true(json_object_get(sealed, "seccomp"));
    copy_string(sealed, "memory", d->memory_cap, sizeof(d->memory_cap));
}

struct gate_wait {
    struct evaluator *ev;
    bool done;
    struct err *err;
    int code;
};

static void on_gate_compiled(void *ud, int code, const struct image *image, const char *error)
{
    struct gate_wait *wait = ud;
    wait->done = true;
    if (code < 0 || !image->ok) {
        wait->code = err_set(wait->err, ERR_ENVIRONMENT, "the gate's own kernels don't compile: %s",
                             code < 0 ? error : image->log);
        return;
    }
    pool_set_setup(wait->ev->device_pool, xstrdup("{\"kind\":\"setup\"}"), image->bytes,
                   image->len, GATE_SETUP_MS);
}

static int load_gate(struct evaluator *ev, struct err *err)
{
    struct gate_wait wait = { .ev = ev, .err = err };
    struct compile_request request = { .name = "gate.cu", .source = gate_source(),
                                       .deadline_ms = GATE_COMPILE_MS };
    compiler_get(ev->compiler, &request, on_gate_compiled, &wait);
    while (!wait.done && uv_run(ev->loop, UV_RUN_ONCE)) {
    }
    if (!wait.done) {
        return err_set(err, ERR_BUG, "the loop ended while the gate was being compiled");
    }
    return wait.code;
}

/* Both ends stay open here, so that either process can be started anew with the one it had. */
static int open_exchange(struct evaluator *ev, struct err *err)
{
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ev->exchange) != 0) {
        memset(ev->exchange, 0, sizeof(ev->exchange));
        return err_set(err, -errno, "no sockets for the oracle: %s", strerror(errno));
    }
    return 0;
}

static int open_oracle(struct evaluator *ev, struct err *err)
{
    char device[32];
    snprintf(device, sizeof(device), "cuda:%s", ev->index);
    struct pytorch_options options = { .device = ev->device.modelled ? "cpu" : device,
                                       .passed = ev->exchange[1], .log = &ev->log };
    return pytorch_open(ev->loop, &options, &ev->oracle, err);
}

struct pytorch *evaluator_oracle(const struct evaluator *ev)
{
    return ev->oracle;
}

int evaluator_open(uv_loop_t *loop, const struct evaluator_options *options,
                   struct evaluator **ret, struct err *err)
{
    struct evaluator *ev = xcalloc(1, sizeof(*ev));
    ev->loop = loop;
    if (options->log) {
        ev->log = *options->log;
    }
    auto_free char *found = NULL;
    const char *worker = options->worker ? options->worker : getenv("WARPSMITH_WORKER");
    int r = 0;
    if (!worker || !*worker) {
        r = file_find_program("warpsmith-worker", &found, err);
        worker = found;
    }
    if (r == 0 && options->cache) {
        r = folder_make(options->cache, err);
    }
    r = r < 0 || !options->oracle ? r : open_exchange(ev, err);
    r = r < 0 ? r : open_compile_pool(ev, options, worker, err);
    r = r < 0 ? r : choose_device(ev, options, worker, err);
    r = r < 0 ? r : wait_for_hello(ev, ev->compile_pool, err);
    if (r == 0) {
        read_device(ev);
        ev->compiler
            = compiler_new(ev->compile_pool, ev->device.arch, ev->device.modelled, options->cache);
        r = load_gate(ev, err);
    }
    r = r < 0 || !options->oracle ? r : open_oracle(ev, err);
    if (r < 0) {
        evaluator_close(ev);
        return r;
    }
    *ret = ev;
    return 0;
}

void evaluator_close(struct evaluator *ev)
{
    if (!ev) {
        return;
    }
    while (ev->live) {
        judge_cancel(ev->live);
    }
    pool_close(ev->device_pool);
    pool_close(ev->compile_pool);
    pytorch_close(ev->oracle);
    for (size_t i = 0; i < 2 && ev->exchange[i]; i++) {
        close(ev->exchange[i]);
    }
    compiler_free(ev->compiler);
    forget_device(ev);
    free(ev);
}

const struct device_info *evaluator_device(const struct evaluator *ev)
{
    return &ev->device;
}

size_t evaluator_pids(const struct evaluator *ev, int *ret_pids, size_t most)
{
    size_t n = 0;
    if (n < most) {
        ret_pids[n++] = pool_worker_pid(ev->device_pool, 0);
    }
    for (size_t i = 0; n < most && i < pool_workers(ev->compile_pool); i++) {
        ret_pids[n++] = pool_worker_pid(ev->compile_pool, i);
    }
    return n;
}

struct image_wait {
    image_cb done;
    void *ud;
};

static void on_image(void *ud, int code, const struct image *image, const char *error)
{
    struct image_wait *wait = ud;
    bool good = code == 0 && image->ok;
    wait->done(wait->ud, good ? 0 : code < 0 ? code : ERR_INVALID, good ? image->bytes : NULL,
               good ? image->len : 0, code < 0 ? error : good ? NULL : image->log);
    free(wait);
}

void evaluator_image(struct evaluator *ev, const struct task *task,
                     const struct candidate *candidate, image_cb done, void *ud)
{
    evaluator_image_at(ev, task, &task->shapes[0], candidate, done, ud);
}

void evaluator_image_at(struct evaluator *ev, const struct task *task, const struct shape *shape,
                        const struct candidate *candidate, image_cb done, void *ud)
{
    auto_arena struct arena *arena = arena_new();
    struct bound *bound;
    struct err err = { 0 };
    int r = candidate_bind(task, shape, candidate->plan, &ev->device.facts, arena, &bound, &err);
    if (r < 0) {
        done(ud, r, NULL, 0, err_text(&err));
        return;
    }
    struct image_wait *wait = xcalloc(1, sizeof(*wait));
    *wait = (struct image_wait) { done, ud };
    struct compile_request request = { .name = "kernel.cu", .source = candidate->source,
                                       .options = bound->options, .n_options = bound->n_options,
                                       .deadline_ms = GATE_COMPILE_MS };
    compiler_get(ev->compiler, &request, on_image, wait);
}

struct copy_wait {
    copy_cb done;
    void *ud;
};

static void on_copied(void *ud, const struct pool_result *result)
{
    struct copy_wait *wait = ud;
    const char *refused = json_string_value(json_object_get(result->json, "error"));
    int code = result->code < 0 ? result->code : refused ? ERR_DEVICE : 0;
    wait->done(wait->ud, code, json_number_value(json_object_get(result->json, "median_us")),
               refused ? refused : result->error);
    free(wait);
}

void evaluator_copy(struct evaluator *ev, int64_t bytes, copy_cb done, void *ud)
{
    struct copy_wait *wait = xcalloc(1, sizeof(*wait));
    *wait = (struct copy_wait) { done, ud };
    char *job = xprintf("{\"kind\":\"copy\",\"bytes\":%lld}", (long long)bytes);
    pool_submit(ev->device_pool, job, "", 0, JUDGE_DEADLINE_MS, on_copied, wait);
}
