/* SPDX-License-Identifier: MIT */
#include "evaluator/worker/compile.h"
#include "base/buf.h"
#include "base/jread.h"
#include "base/util.h"
#include "evaluator/worker/channel.h"
#include "evaluator/worker/compile_log.h"
#include "evaluator/worker/nvrtc_api.h"
#include "evaluator/worker/refuse.h"
#include "evaluator/worker/scan.h"
#include "evaluator/worker/seal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MEMORY_MAX ((size_t)4 << 30)

enum {
    OPTIONS_MAX = 128,
    JOB_CPU_SECONDS = 120,
    OUTPUT_MAX = 64 << 20, /* bytes of cubin and of PTX */
};

struct compiler {
    struct nvrtc_api api;
    struct channel channel;
    char *include, *include_slash; /* the folder, and with a slash to be cut off messages */
    char *flag_include, *flag_cccl;
};

/* Compile options are checked again here: a plan's may only change how code is generated, never
 * what the compiler reads or writes. */
static bool option_allowed(const char *option)
{
    static const char *const exact[] = { "--use_fast_math", "-use_fast_math", "-lineinfo",
                                         "--generate-line-info", "--extra-device-vectorization",
                                         "-extra-device-vectorization", "--restrict", "-restrict",
                                         "--default-device", "-default-device" };
    static const char *const start[] = { "-D", "--fmad=", "-fmad=", "--maxrregcount=",
                                         "-maxrregcount=", "--ftz=", "-ftz=", "--prec-div=",
                                         "-prec-div=", "--prec-sqrt=", "-prec-sqrt=" };
    for (size_t i = 0; i < ARRAY_LEN(exact); i++) {
        if (str_eq(option, exact[i])) {
            return true;
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(start); i++) {
        size_t n = strlen(start[i]);
        if (strncmp(option, start[i], n) == 0 && option[n]) {
            return true;
        }
    }
    return false;
}

static bool arch_valid(const char *arch)
{
    if (!str_prefix(arch, "sm_") || strlen(arch) > 8) {
        return false;
    }
    size_t digits = strspn(arch + 3, "0123456789");
    const char *rest = arch + 3 + digits;
    return digits >= 2 && (!*rest || ((*rest == 'a' || *rest == 'f') && !rest[1]));
}

struct options {
    const char *at[OPTIONS_MAX + 8];
    int n;
    char arch[24];
};

static int read_options(const struct compiler *c, const json_t *job, struct options *ret,
                        struct err *err)
{
    const char *arch;
    const json_t *list = NULL;
    int r = jread_string(job, "arch", true, NULL, &arch, err);
    if (r == 0) {
        r = jread_array(job, "options", false, OPTIONS_MAX, NULL, &list, err);
    }
    if (r < 0) {
        return r;
    }
    if (!arch_valid(arch)) {
        return err_set(err, ERR_INVALID, "arch \"%.20s\" is none", arch);
    }
    *ret = (struct options) { 0 };
    snprintf(ret->arch, sizeof(ret->arch), "-arch=%s", arch);
    const char *own[] = { "-std=c++17", ret->arch, c->flag_include, c->flag_cccl,
                          "-lineinfo", "--ptxas-options=-v" };
    for (size_t i = 0; i < ARRAY_LEN(own); i++) {
        ret->at[ret->n++] = own[i];
    }
    for (size_t i = 0; list && i < json_array_size(list); i++) {
        const char *option = json_string_value(json_array_get(list, i));
        if (!option || !option_allowed(option)) {
            return err_set(err, ERR_INVALID, "compile option \"%.60s\" is not allowed",
                           option ? option : "");
        }
        ret->at[ret->n++] = option;
    }
    return 0;
}

/* What one compile left behind. */
struct output {
    char *log, *cubin, *ptx;
    size_t cubin_len, ptx_len;
};

static void output_done(struct output *o)
{
    free(o->log);
    free(o->cubin);
    free(o->ptx);
}

static int fetch(nvrtcResult (*size)(nvrtcProgram, size_t *),
                 nvrtcResult (*get)(nvrtcProgram, char *), nvrtcProgram program, char **ret,
                 size_t *ret_len)
{
    size_t n = 0;
    if (size(program, &n) != NVRTC_SUCCESS || n == 0 || n > OUTPUT_MAX) {
        return n > OUTPUT_MAX ? ERR_TOOBIG : ERR_NOTFOUND;
    }
    char *at = malloc(n + 1);
    if (!at || get(program, at) != NVRTC_SUCCESS) {
        free(at);
        return ERR_NOTFOUND;
    }
    at[n] = '\0';
    *ret = at;
    *ret_len = n;
    return 0;
}

/* 0: compiled; ERR_INVALID: the compiler said no (the log says why). */
static int compile(const struct compiler *c, const char *source, const struct options *options,
                   struct output *ret, struct err *err)
{
    const struct nvrtc_api *api = &c->api;
    nvrtcProgram program;
    nvrtcResult result = api->nvrtcCreateProgram(&program, source, "kernel.cu", 0, NULL, NULL);
    if (result != NVRTC_SUCCESS) {
        return err_set(err, ERR_BUG, "%s", api->nvrtcGetErrorString(result));
    }
    struct output out = { 0 };
    size_t log_len;
    result = api->nvrtcCompileProgram(program, options->n, options->at);
    fetch(api->nvrtcGetProgramLogSize, api->nvrtcGetProgramLog, program, &out.log, &log_len);
    int r = result == NVRTC_SUCCESS
        ? 0 : err_set(err, ERR_INVALID, "%s", api->nvrtcGetErrorString(result));
    if (r == 0) {
        r = fetch(api->nvrtcGetCUBINSize, api->nvrtcGetCUBIN, program, &out.cubin, &out.cubin_len);
    }
    /* The PTX is there even where ptxas refused it. */
    int no_ptx = fetch(api->nvrtcGetPTXSize, api->nvrtcGetPTX, program, &out.ptx, &out.ptx_len);
    r = r == 0 ? no_ptx : r;
    if (r < 0 && r != ERR_INVALID) {
        err_set(err, r, "the compiled program is empty or over %d MiB", OUTPUT_MAX >> 20);
    }
    api->nvrtcDestroyProgram(&program);
    *ret = out;
    return r;
}

/* Comment lines before the PTX carry what ptxas said to the simulator. */
static void put_ptx_head(const json_t *kernels, struct buf *out)
{
    const char *name;
    json_t *k;
    json_object_foreach((json_t *)(uintptr_t)kernels, name, k)
    {
        buf_printf(out, "// warpsim: kernel %s regs %d spill %d shared %d\n", name,
                   (int)json_integer_value(json_object_get(k, "registers")),
                   (int)json_integer_value(json_object_get(k, "spill_bytes")),
                   (int)json_integer_value(json_object_get(k, "shared")));
    }
}

static json_t *failure(const char *log)
{
    /* A log may hold any bytes of the source. */
    json_t *text = json_string(log);
    if (!text) {
        auto_free char *clean = xstrdup(log);
        for (char *at = clean; *at; at++) {
            *at = (unsigned char)*at < 0x80 ? *at : '?';
        }
        text = json_string(clean);
    }
    return json_pack("{s:b,s:o}", "ok", 0, "log", text);
}

/* What the PTX does that the agent may refuse or remark on. */
static json_t *findings(const struct output *o)
{
    struct refuse_finding found[REFUSE_FINDINGS_MAX];
    return refuse_json(found, o->ptx ? refuse_scan(o->ptx, strlen(o->ptx), found) : 0);
}

static int send_output(const struct compiler *c, const struct output *o, double seconds,
                       struct err *err)
{
    json_t *kernels = compile_log_kernels(o->log ? o->log : "");
    auto_buf struct buf blob;
    buf_init(&blob, 2 * (size_t)OUTPUT_MAX + (1 << 20));
    buf_add(&blob, o->cubin, o->cubin_len);
    size_t start = blob.len;
    put_ptx_head(kernels, &blob);
    buf_add(&blob, o->ptx, strlen(o->ptx));
    json_t *json = json_pack("{s:b,s:s,s:f,s:[i,I],s:[I,I],s:o,s:o}", "ok", 1, "log", "", "seconds",
                             seconds, "cubin", 0, (json_int_t)start, "ptx", (json_int_t)start,
                             (json_int_t)(blob.len - start), "kernels", kernels, "findings",
                             findings(o));
    if (!json || blob.failed) {
        json_decref(json);
        json = failure("error: a kernel's name can't be written as text");
        blob.len = 0;
    }
    return channel_send(&c->channel, FRAME_TYPE_RESULT, json, blob.at, blob.len, err);
}

static int send_failure(const struct compiler *c, const char *log, struct err *err)
{
    return channel_send(&c->channel, FRAME_TYPE_RESULT, failure(log), NULL, 0, err);
}

/* Other encodings (UTF-16 after a byte-order mark, say) would hide a line from the scan. */
static int check_text(const char *source, size_t len, struct err *err)
{
    json_t *text = json_stringn(source, len);
    json_decref(text);
    if (!text || memchr(source, '\0', len)) {
        return err_set(err, ERR_INVALID, "kernel.cu: error: the source is not UTF-8 text%s",
                       text ? " (it holds a NUL byte)" : "");
    }
    return 0;
}

static int serve_job(const struct compiler *c, const json_t *job, const char *source, size_t len,
                     struct err *err)
{
    struct options options;
    struct err why = { 0 };
    int r = read_options(c, job, &options, &why);
    if (r == 0) {
        r = check_text(source, len, &why);
    }
    if (r == 0) {
        r = scan_source(source, len, &why);
    }
    if (r < 0) {
        return send_failure(c, err_text(&why), err);
    }
    auto_free char *text = xprintf("%.*s", (int)len, source);
    uint64_t start = clock_ns();
    struct output out = { 0 };
    seal_cpu_seconds(JOB_CPU_SECONDS);
    r = compile(c, text, &options, &out, &why);
    if (r == 0) {
        r = send_output(c, &out, (double)(clock_ns() - start) * 1e-9, err);
    } else {
        auto_buf struct buf log;
        buf_init(&log, COMPILE_LOG_MAX);
        struct compile_log_texts texts = { text, len, out.ptx, c->include_slash };
        compile_log_explain(out.log ? out.log : "", &texts, &log);
        if (log.len == 0) {
            buf_printf(&log, "error: %s\n", err_text(&why));
        }
        json_t *json = failure(log.at);
        json_object_set_new(json, "findings", findings(&out)); /* ptxas may not know the symbol */
        r = channel_send(&c->channel, FRAME_TYPE_RESULT, json, NULL, 0, err);
    }
    output_done(&out);
    return r;
}

/* The first compile of a process loads what NVRTC loads late; without it sealing would break it. */
static int warm_up(const struct compiler *c, struct err *err)
{
    struct output out = { 0 };
    struct options options;
    json_t *job = json_pack("{s:s,s:[s]}", "arch", "sm_90a", "options", "-DN=1");
    int r = read_options(c, job, &options, err);
    if (r == 0) {
        r = compile(c, "#include <cuda_fp16.h>\n"
                       "extern \"C\" __global__ void warm(__half *x) { x[N] = __half(1.0f); }\n",
                    &options, &out, err);
    }
    if (r < 0) {
        err_wrap(err, "the compiler doesn't work here (%.300s)", out.log ? out.log : "no log");
    }
    output_done(&out);
    json_decref(job);
    return r;
}

static json_t *hello(const struct compiler *c, const struct seal *seal)
{
    int major = 0, minor = 0, n = 0;
    c->api.nvrtcVersion(&major, &minor);
    c->api.nvrtcGetNumSupportedArchs(&n);
    int *numbers = xcalloc((size_t)n + 1, sizeof(*numbers));
    c->api.nvrtcGetSupportedArchs(numbers);
    json_t *archs = json_array();
    for (int i = 0; i < n; i++) {
        json_array_append_new(archs, json_sprintf("sm_%d%s", numbers[i],
                                                  numbers[i] >= 90 ? "a" : ""));
    }
    free(numbers);
    auto_free char *version = xprintf("NVRTC %d.%d", major, minor);
    return json_pack("{s:s,s:s,s:{s:i,s:b,s:s},s:o}", "role", "compile", "compiler", version, "sealed",
                     "landlock", seal->landlock, "seccomp", seal->seccomp, "memory", seal->memory, "archs",
                     archs);
}

static int start(struct compiler *c, const struct compile_config *config, struct seal *ret_seal,
                 struct err *err)
{
    c->channel.fd = CHANNEL_FD;
    c->include = realpath(config->include, NULL);
    if (!c->include) {
        return err_set(err, ERR_ENVIRONMENT,
                       "the CUDA headers aren't at %s: install the CUDA Toolkit or set CUDA_HOME",
                       config->include);
    }
    c->include_slash = xprintf("%s/", c->include);
    c->flag_include = xprintf("--include-path=%s", c->include);
    c->flag_cccl = xprintf("--include-path=%s/cccl", c->include);
    int r = nvrtc_api_load(config->nvrtc, &c->api, err);
    if (r == 0) {
        r = warm_up(c, err);
    }
    /* A relative name is looked up from here: in the one folder that may be read anyway. */
    if (r == 0 && chdir(c->include) != 0) {
        r = err_set(err, ERR_ENVIRONMENT, "can't enter %s", c->include);
    }
    if (r == 0 && !config->unsealed) {
        struct err why = { 0 };
        bool group = seal_cgroup(MEMORY_MAX, &why) == 0;
        seal_environment();
        seal_limits();
        const char *readable[] = { c->include };
        r = seal_process(readable, 1, ret_seal, err);
        /* A thread that starts now is sealed, too. */
        r = r < 0 ? r : seal_memory(MEMORY_MAX, err);
        snprintf(ret_seal->memory, sizeof(ret_seal->memory), group ? "cgroup" : "watchdog (%.140s)",
                 err_text(&why));
    }
    return r;
}

int compile_serve(const struct compile_config *config)
{
    struct compiler c = { 0 };
    struct err err = { 0 };
    struct seal seal = { 0 };
    int r = start(&c, config, &seal, &err);
    json_t *first = r == 0 ? hello(&c, &seal)
                           : json_pack("{s:s,s:s}", "role", "compile", "error", err_text(&err));
    int sent = channel_send(&c.channel, FRAME_TYPE_HELLO, first, NULL, 0, NULL);
    bool failed = r < 0;
    while (r == 0 && sent == 0) {
        struct frame frame;
        json_t *job = NULL;
        r = channel_receive(&c.channel, &frame, &job, &err);
        if (r == 0) {
            r = serve_job(&c, job, frame.blob, frame.blob_len, &err);
            json_decref(job);
            free(frame.owned);
        }
    }
    free(c.include);
    free(c.include_slash);
    free(c.flag_include);
    free(c.flag_cccl);
    if (failed) {
        return 3;
    }
    if (r == ERR_NOTFOUND) {
        return 0;
    }
    fprintf(stderr, "level=error module=compile msg=\"%s\"\n", err_text(&err));
    return 1;
}
