/* SPDX-License-Identifier: MIT */
/* doctor: what this machine can do, and how to get what it lacks. */
#include "agent/catalog.h"
#include "agent/command.h"
#include "base/file.h"
#include "base/jread.h"
#include "base/util.h"
#include "evaluator/pytorch.h"
#include "evaluator/toolkit.h"

#include <linux/landlock.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

struct doctor {
    json_t *checks;
    FILE *out; /* NULL: JSON only */
    bool lacks; /* something that the main job needs */
};

enum finding { FINDING_GOOD, FINDING_NOTE, FINDING_LACKS };

static void say(struct doctor *d, enum finding finding, const char *what, const char *text)
{
    static const char *const marks[] = { "ok", "note", "MISSING" };
    json_array_append_new(d->checks, json_pack("{s:s, s:s, s:s}", "check", what, "finding",
                                               marks[finding], "text", text));
    d->lacks = d->lacks || finding == FINDING_LACKS;
    if (d->out) {
        fprintf(d->out, "%-8s %-14s %s\n", marks[finding], what, text);
    }
}

static void check_toolkit(struct doctor *d)
{
    struct err err = { 0 };
    auto_free char *include = NULL;
    if (toolkit_include(&include, &err) < 0) {
        say(d, FINDING_LACKS, "CUDA headers", err_text(&err));
    } else {
        say(d, FINDING_GOOD, "CUDA headers", include);
    }
}

static void check_shipped(struct doctor *d)
{
    struct err err = { 0 };
    char *names[CATALOG_NAMES_MAX];
    size_t n = 0;
    if (catalog_names(false, names, &n, &err) < 0) {
        say(d, FINDING_LACKS, "tasks", err_text(&err));
        return;
    }
    auto_buf struct buf list;
    buf_init(&list, 4096);
    for (size_t i = 0; i < n; i++) {
        buf_printf(&list, "%s%s", i ? ", " : "", names[i]);
        free(names[i]);
    }
    say(d, n ? FINDING_GOOD : FINDING_LACKS, "tasks", n ? list.at : "none found");
}

static void check_store(struct doctor *d, const struct options *o)
{
    /* The nearest folder that is there: the store itself is made when it's first used. */
    auto_free char *folder = xstrdup(o->store);
    while (!file_exists(folder)) {
        char *slash = strrchr(folder, '/');
        if (!slash || slash == folder) {
            strcpy(folder, slash ? "/" : ".");
            break;
        }
        *slash = '\0';
    }
    struct statvfs vfs;
    double free_gb = statvfs(folder, &vfs) == 0
        ? (double)vfs.f_bavail * (double)vfs.f_frsize * 1e-9
        : 0;
    auto_free char *text = xprintf("%s (%s), %.1f GB free", o->store,
                                   file_exists(o->store) ? "there" : "made at first use", free_gb);
    bool writable = access(folder, W_OK) == 0;
    if (!writable) {
        auto_free char *why = xprintf("%s can't be written; choose another place with --store DIR",
                                      folder);
        say(d, FINDING_LACKS, "store", why);
    } else {
        say(d, free_gb < 1 ? FINDING_NOTE : FINDING_GOOD, "store", text);
    }
}

/* What a real GPU was measured to reach, and whether its driver tells of throttling. */
static void say_measured(struct doctor *d, const struct device_info *info)
{
    const struct ceilings *c = &info->ceilings;
    auto_free char *rates = xprintf(
        "copy %.2f TB/s, f32 %.0f, tf32 %.0f, bf16 %.0f, f16 %.0f TFLOP/s (tensor cores by %s)",
        c->copy * 1e-12, c->f32 * 1e-12, c->tf32 * 1e-12, c->bf16 * 1e-12, c->f16 * 1e-12,
        c->instruction);
    say(d, info->has_ceilings ? FINDING_GOOD : FINDING_NOTE, "ceilings",
        info->has_ceilings ? rates : "not measured: shares are of theoretical rates");
    say(d, info->nvml[0] ? FINDING_NOTE : FINDING_GOOD, "NVML",
        info->nvml[0] ? info->nvml : "throttle reasons and other processes can be seen");
}

/* Opens the evaluator on one device and says what came of it. */
static bool check_device(struct doctor *d, const struct options *o, const char *gpu,
                         const char *what, enum finding if_not)
{
    struct options copy = *o;
    copy.gpu = gpu;
    copy.jobs = 1;
    struct session session;
    struct err err = { 0 };
    if (session_open(&session, &copy, SESSION_EVALUATOR, &err) < 0) {
        say(d, if_not, what, err_text(&err));
        return false;
    }
    const struct device_info *info = evaluator_device(session.evaluator);
    auto_free char *text = xprintf("%s, %s, %s, %lld SMs, context in %.0f ms", info->name,
                                   info->arch, info->driver, (long long)info->facts.sm_count,
                                   info->context_ms);
    say(d, FINDING_GOOD, what, text);
    if (!info->modelled) {
        say_measured(d, info);
    }
    if (!info->modelled && evaluator_counters(session.evaluator, &err) < 0) {
        say(d, FINDING_NOTE, "counters", err_text(&err));
    } else if (!info->modelled) {
        say(d, FINDING_GOOD, "counters", "eval --profile reads the GPU's own");
    }
    if (!info->modelled) {
        say(d, FINDING_GOOD, "device worker",
            "sealed after start-up; worker/README.md says what stays open");
    }
    if (info->modelled) {
        say(d, FINDING_GOOD, "compiler", info->compiler);
        bool sealed = info->landlock > 0 && info->seccomp;
        auto_free char *seal = xprintf(
            "compile workers: %s, %s; memory: %s%s",
            info->landlock ? "Landlock" : "no Landlock", info->seccomp ? "seccomp" : "no seccomp",
            info->memory_cap[0] ? info->memory_cap : "not capped",
            sealed ? "" : "; this kernel lacks Landlock or seccomp (Linux 5.13 or newer has both): "
                          "don't judge candidates from strangers here");
        say(d, sealed ? FINDING_GOOD : FINDING_NOTE, "sandbox", seal);
    }
    session_close(&session);
    return true;
}

/* What this kernel offers for keeping compilers and candidates in. */
static void check_kernel(struct doctor *d)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    auto_free char *landlock
        = abi < 1 ? xstrdup("none: workers can open what you can (Linux 5.13 or newer has it; it may "
                            "have to be named in the kernel's lsm= list)")
                  : xprintf("ABI %ld: files%s%s", abi, abi >= 4 ? ", network" : "",
                            abi >= 6 ? ", signals" : "");
    say(d, abi < 1 ? FINDING_NOTE : FINDING_GOOD, "Landlock", landlock);
    uint32_t action = 0x00050000; /* SECCOMP_RET_ERRNO */
    bool seccomp = syscall(SYS_seccomp, 2 /* SECCOMP_GET_ACTION_AVAIL */, 0, &action) == 0;
    say(d, seccomp ? FINDING_GOOD : FINDING_NOTE, "seccomp",
        seccomp ? "filters: no programs, processes, sockets, tracing"
                : "none: workers can start programs and open sockets");
}

static void check_sanitizer(struct doctor *d, bool gpu)
{
    auto_free char *program = evaluator_sanitizer();
    say(d, program || !gpu ? FINDING_GOOD : FINDING_NOTE, "sanitizer",
        program ? program
        : gpu   ? "compute-sanitizer wasn't found, so --sanitize can't be had: install cuda-sanitizer "
                  "of NVIDIA's toolkit, or name it in WARPSMITH_SANITIZER"
                : "--sanitize means the simulator's own diagnoses");
}

/* Wanted by KernelBench's problems alone. */
static void check_pytorch(struct doctor *d, const struct options *o)
{
    struct session session;
    struct pytorch *pytorch = NULL;
    struct err err = { 0 };
    struct pytorch_options options = { .device = "cpu", .log = &o->log };
    if (session_open(&session, o, 0, &err) < 0) {
        say(d, FINDING_NOTE, "PyTorch", err_text(&err));
        return;
    }
    if (pytorch_open(&session.loop, &options, &pytorch, &err) < 0) {
        say(d, FINDING_NOTE, "PyTorch", err_text(&err));
    } else {
        const json_t *hello = pytorch_hello(pytorch);
        auto_free char *text = xprintf("%s, of %s: kernelbench can be used",
                                       json_string_value(json_object_get(hello, "torch")),
                                       json_string_value(json_object_get(hello, "program")));
        say(d, FINDING_GOOD, "PyTorch", text);
    }
    pytorch_close(pytorch);
    session_close(&session);
}

static int run_doctor(const struct options *o)
{
    struct doctor d = { .checks = json_array(),
                        .out = str_eq(o->json, "-") ? NULL : stdout };
    check_toolkit(&d);
    check_shipped(&d);
    check_store(&d, o);
    check_kernel(&d);
    bool gpu = check_device(&d, o, str_eq(o->gpu, "auto") ? "0" : o->gpu, "GPU", FINDING_NOTE);
    check_sanitizer(&d, gpu);
    check_device(&d, o, "sim", "simulator", FINDING_LACKS);
    check_pytorch(&d, o);
    bool lacks = d.lacks;
    if (d.out) {
        fprintf(d.out, "\n%s\n", lacks ? "Something is missing: see above."
                               : gpu   ? "Ready: warpsmith optimize softmax"
                                       : "Ready, with modelled times only (no GPU): warpsmith optimize softmax");
    }
    struct err err = { 0 };
    json_t *json = json_pack("{s:o, s:b, s:b}", "checks", d.checks, "ready", !lacks, "gpu", gpu);
    int r = 0;
    if (o->json) {
        r = output_json(o->json, json, &err);
    } else {
        json_decref(json);
    }
    return r < 0 ? options_fail(&err) : lacks ? EXIT_ENVIRONMENT : EXIT_DONE;
}

const struct command command_doctor = {
    .name = "doctor",
    .summary = "what this machine can do, and how to get what it lacks",
    .usage = "doctor [options]",
    .help = "Looks for the CUDA Toolkit, a GPU, the simulator, the sandbox and the store, and tries each.\n\n"
            "  warpsmith doctor",
    .takes = "gpu store json verbose",
    .args_min = 0,
    .args_max = 0,
    .run = run_doctor,
};
