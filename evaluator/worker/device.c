/* SPDX-License-Identifier: MIT */
#include "evaluator/worker/device.h"
#include "base/buf.h"
#include "base/jread.h"
#include "base/util.h"
#include "evaluator/worker/channel.h"
#include "evaluator/worker/copy.h"
#include "evaluator/worker/degenerate.h"
#include "evaluator/worker/judge.h"
#include "evaluator/worker/library.h"
#include "evaluator/worker/oracle.h"
#include "evaluator/worker/peaks.h"
#include "evaluator/worker/profile.h"
#include "evaluator/worker/protocol.h"
#include "evaluator/worker/sanitize.h"
#include "evaluator/worker/seal.h"
#include "evaluator/worker/turn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXIT_BROKEN = 4 };

struct device {
    struct gpu gpu;
    struct slabs slabs;
    struct gate gate;
    struct known_times times;
    struct degenerate_cache degenerate;
    bool has_gate;
    struct turn turn;
    struct nvml nvml;
    char nvml_says[256]; /* why it isn't available */
    bool profiles;       /* this worker profiles and doesn't judge */
    bool sanitizes;      /* likewise */
    struct cupti *cupti;
    struct err cupti_says;
    struct channel channel;
};

static json_t *hello(const struct device *d, const struct seal *seal)
{
    const struct gpu *gpu = &d->gpu;
    json_t *device = json_pack(
        "{s:s,s:s,s:s,s:[i,i],s:i,s:i,s:i,s:I,s:f,s:f,s:s,s:b}", "name", gpu->name, "uuid",
        gpu->uuid, "arch", gpu->arch, "cc", gpu->major, gpu->minor, "sm_count", gpu->sm_count,
        "max_shared", gpu->max_shared, "l2_bytes", gpu->l2_bytes, "total_memory",
        (json_int_t)gpu->total_memory, "clock_mhz", gpu->clock_khz / 1e3, "memory_bandwidth",
        gpu->bandwidth, "driver", gpu->driver, "modelled", gpu->modelled);
    return json_pack("{s:s,s:o,s:f,s:{s:b,s:s,s:s},s:{s:b,s:s},s:{s:i,s:b}}", "role", "device",
                     "device", device, "context_ms", gpu->context_ms, "nvml", "available",
                     d->nvml.device != NULL, "driver", d->nvml.driver, "why", d->nvml_says,
                     "counters", "available", d->cupti || (d->profiles && gpu->modelled), "why",
                     d->profiles ? err_text(&d->cupti_says) : "this worker doesn't profile",
                     "sealed", "landlock", seal->landlock, "seccomp", seal->seccomp);
}

static int reply(struct device *d, json_t *json, struct err *err)
{
    return channel_send(&d->channel, FRAME_TYPE_RESULT, json, NULL, 0, err);
}

static json_t *refusal(const struct err *why)
{
    return json_pack("{s:b,s:s}", "ok", 0, "error", err_text(why));
}

/* The image of gate.cu; a second one replaces the first. */
static int serve_setup(struct device *d, const char *blob, size_t len, struct err *err)
{
    struct err why = { 0 };
    if (d->has_gate) {
        gate_unload(&d->gate);
        d->has_gate = false;
    }
    auto_free char *image = xcalloc(len + PROGRAM_IMAGE_PAD, 1);
    memcpy(image, blob, len);
    int r = gate_load(&d->gate, &d->gpu, image, &why);
    d->has_gate = r == 0;
    if (r < 0) {
        gate_unload(&d->gate);
    }
    return reply(d, r == 0 ? json_pack("{s:b}", "ok", 1) : refusal(&why), err);
}

/* judge_run and its like. */
typedef json_t *(*judging)(const struct judge_tools *tools, const struct job *job, struct arena *arena);

/* "libraries": those whose work the candidate's launches are. */
static void name_libraries(const struct device *d, const struct job *job, json_t *result)
{
    bool used[LIBRARY_CALLS] = { false };
    for (size_t c = 0; c < job->n_cases; c++) {
        const struct bound *b = job->cases[c].candidate.bound;
        for (size_t i = 0; b && i < b->n_launches + b->n_prepare; i++) {
            const struct bound_launch *l = i < b->n_launches ? &b->launches[i] : &b->prepare[i - b->n_launches];
            if (l->library) {
                used[l->library->call] = true;
            }
        }
    }
    auto_buf struct buf text;
    buf_init(&text, 256);
    for (size_t i = 0; i < LIBRARY_CALLS; i++) {
        const char *version = used[i] ? libraries_version(d->gpu.libraries, (enum library_call)i) : NULL;
        if (version) {
            buf_printf(&text, "%s%s", text.len ? ", " : "", version);
        }
    }
    if (text.len) {
        json_object_set_new(result, "libraries", json_string(text.at));
    }
}

/* A job that can't be read is a bug of the agent, not a verdict. */
static int serve_judge(struct device *d, const json_t *json, const char *blob, size_t len,
                       judging how, struct err *err)
{
    struct err why = { 0 };
    auto_arena struct arena *arena = arena_new();
    struct job *job = arena_alloc(arena, 1, sizeof(*job));
    int r = d->has_gate ? job_parse(json, blob, len, arena, job, &why)
                        : err_set(&why, ERR_PROTOCOL, "judge before setup");
    if (r < 0) {
        return reply(d, refusal(&why), err);
    }
    struct judge_tools tools = { &d->gpu, &d->slabs, &d->gate, &d->times, &d->channel,
                                 &d->nvml, &d->degenerate };
    struct oracle oracle = { .gpu = &d->gpu, .fd = -1 };
    uint64_t start = clock_ns();
    if (job->problem) {
        channel_progress(&d->channel, "oracle", job->cases[0].shape, 0);
        slabs_drop_all(&d->slabs); /* the oracle needs room, too */
        r = oracle_open(&oracle, &d->gpu, &d->channel, job->cases[0].reference.bound, job->precision,
                        how == protocol_run, &why);
        job->oracle = &oracle;
        job->opened_s = (double)(clock_ns() - start) * 1e-9;
    }
    json_t *result = r < 0 ? refusal(&why) : how(&tools, job, arena);
    oracle_close(&oracle);
    name_libraries(d, job, result);
    return reply(d, result, err);
}

static int serve_copy(struct device *d, const json_t *json, struct err *err)
{
    struct err why = { 0 };
    struct interval us = { 0 };
    json_int_t bytes = json_integer_value(json_object_get(json, "bytes"));
    int r = !d->has_gate || bytes < 2 || bytes > (json_int_t)1 << 36
        ? err_set(&why, ERR_PROTOCOL, "a copy needs the gate and 2 bytes to 64 GiB")
        : copy_time(&d->gpu, &d->slabs, &d->gate, (size_t)bytes, &us, &why);
    json_t *result = r < 0 ? refusal(&why)
                           : json_pack("{s:b,s:f,s:f,s:f}", "ok", 1, "median_us", us.median,
                                       "lo_us", us.lo, "hi_us", us.hi);
    return reply(d, result, err);
}

/* Somebody else's moment on this GPU: the agent says when it is over. */
static int serve_aside(struct device *d, struct err *err)
{
    struct frame frame = { 0 };
    struct err why = { 0 };
    slabs_drop_all(&d->slabs);
    int r = channel_send(&d->channel, FRAME_TYPE_ASK, json_pack("{s:s}", "kind", "aside"), NULL, 0, err);
    r = r < 0 ? r : frame_read(d->channel.fd, &frame, err);
    bool answered = r == 0 && frame.type == FRAME_TYPE_ANSWER && frame.id == d->channel.job;
    free(frame.owned);
    if (r < 0) {
        return r;
    }
    if (!answered) {
        err_set(&why, ERR_PROTOCOL, "expected an answer, got a frame of type %d", (int)frame.type);
    }
    return reply(d, answered ? json_pack("{s:b}", "ok", 1) : refusal(&why), err);
}

static int serve_profile(struct device *d, const json_t *json, const char *blob, size_t len,
                         struct err *err)
{
    struct err why = { 0 };
    auto_arena struct arena *arena = arena_new();
    struct job *job = arena_alloc(arena, 1, sizeof(*job));
    int r = d->has_gate ? job_parse(json, blob, len, arena, job, &why)
                        : err_set(&why, ERR_PROTOCOL, "profile before setup");
    if (r < 0) {
        return reply(d, refusal(&why), err);
    }
    struct profile_tools tools = { &d->gpu, &d->slabs, &d->gate, &d->nvml, d->cupti,
                                   err_text(&d->cupti_says), &d->channel };
    return reply(d, profile_run(&tools, job, arena), err);
}

static int serve_sanitize(struct device *d, const json_t *json, const char *blob, size_t len,
                          struct err *err)
{
    struct err why = { 0 };
    auto_arena struct arena *arena = arena_new();
    struct job *job = arena_alloc(arena, 1, sizeof(*job));
    int r = d->has_gate ? job_parse(json, blob, len, arena, job, &why)
                        : err_set(&why, ERR_PROTOCOL, "sanitize before setup");
    if (r < 0) {
        return reply(d, refusal(&why), err);
    }
    struct sanitize_tools tools = { &d->gpu, &d->gate, &d->channel };
    return reply(d, sanitize_run(&tools, job, arena), err);
}

static int serve_ceilings(struct device *d, const char *blob, size_t len, struct err *err)
{
    struct err why = { 0 };
    struct ceilings ceilings;
    auto_free char *image = xcalloc(len + PROGRAM_IMAGE_PAD, 1);
    memcpy(image, blob, len);
    int r = d->gpu.modelled
        ? err_set(&why, ERR_UNSUPPORTED, "a modelled device has no ceilings to measure")
        : peaks_measure(&d->gpu, image, d->nvml.driver[0] ? d->nvml.driver : d->gpu.driver,
                        &ceilings, &why);
    json_t *result = r < 0 ? refusal(&why)
                           : json_pack("{s:b,s:o}", "ok", 1, "ceilings", ceilings_json(&ceilings));
    return reply(d, result, err);
}

/* Two workers that time on one GPU would each time the other. */
static void take_turn(struct device *d)
{
    if (!turn_try(&d->turn)) {
        channel_progress(&d->channel, "waiting for another process on this GPU", NULL, -1);
        turn_take(&d->turn);
    }
}

static int serve_job(struct device *d, const json_t *json, const struct frame *frame,
                     struct err *err)
{
    const char *kind = json_string_value(json_object_get(json, "kind"));
    if (kind && str_eq(kind, "setup")) {
        return serve_setup(d, frame->blob, frame->blob_len, err);
    }
    if (kind && d->profiles && str_eq(kind, "profile")) {
        take_turn(d); /* kept since the start */
        return serve_profile(d, json, frame->blob, frame->blob_len, err);
    }
    if (kind && (d->sanitizes || d->gpu.modelled) && str_eq(kind, "sanitize")) {
        take_turn(d);
        int r = serve_sanitize(d, json, frame->blob, frame->blob_len, err);
        turn_give(&d->turn);
        return r;
    }
    if (kind && d->sanitizes) {
        kind = "anything here but sanitize";
    } else if (kind && d->profiles) {
        kind = "anything here but profile";
    }
    judging how = !kind               ? NULL
        : str_eq(kind, "judge")       ? judge_run
        : str_eq(kind, "task")        ? judge_task
        : str_eq(kind, "protocol")    ? protocol_run
                                      : NULL;
    if (how) {
        take_turn(d);
        int r = serve_judge(d, json, frame->blob, frame->blob_len, how, err);
        turn_give(&d->turn);
        return r;
    }
    if (kind && str_eq(kind, "aside")) {
        take_turn(d);
        int r = serve_aside(d, err);
        turn_give(&d->turn);
        return r;
    }
    if (kind && str_eq(kind, "copy")) {
        take_turn(d);
        int r = serve_copy(d, json, err);
        turn_give(&d->turn);
        return r;
    }
    if (kind && str_eq(kind, "ceilings")) {
        take_turn(d);
        int r = serve_ceilings(d, frame->blob, frame->blob_len, err);
        turn_give(&d->turn);
        return r;
    }
    struct err why = { 0 };
    err_set(&why, ERR_PROTOCOL, "no kind of job is called \"%.40s\"", kind ? kind : "");
    return reply(d, refusal(&why), err);
}

static int start(struct device *d, const struct device_config *config, struct seal *ret_seal,
                 struct err *err)
{
    int r = gpu_open(config->driver, config->gpu, &d->gpu, err);
    r = r < 0 ? r : slabs_init(&d->slabs, &d->gpu, config->plain_memory, err);
    if (r == 0 && !d->gpu.modelled) {
        struct err why = { 0 };
        turn_open(&d->turn, d->gpu.uuid);
        if (nvml_open(NULL, d->gpu.uuid, &d->nvml, &why) < 0) {
            snprintf(d->nvml_says, sizeof(d->nvml_says), "%.250s", err_text(&why));
        }
    }
    d->profiles = config->profile != NULL;
    d->sanitizes = config->sanitizes;
    if (r == 0 && config->profile && !d->gpu.modelled) {
        bool found = str_eq(config->profile, "auto");
        /* The rehearsal would be felt by one that times, and two profilers exclude each other. Kept
         * until this process has ended, like the profile's own turn. */
        turn_take(&d->turn);
        /* Where this fails, energy can still be had. */
        (void)!cupti_open(found ? NULL : config->profile, &d->gpu, &d->cupti, &d->cupti_says);
    }
    struct library_places places;
    library_look(&places);
    if (r == 0) {
        d->gpu.libraries = libraries_new(&places);
    }
    if (r == 0 && !config->unsealed && !config->sanitizes) {
        const char *readable[LIBRARY_CALLS];
        size_t n = 0;
        for (size_t i = 0; !d->gpu.modelled && i < LIBRARY_CALLS; i++) {
            if (places.folder[i][0]) {
                readable[n++] = places.folder[i];
            }
        }
        seal_limits();
        r = seal_process(readable, n, ret_seal, err);
    }
    return r;
}

static int serve(struct device *d, struct err *err)
{
    int r = 0;
    while (r == 0 && !d->gpu.broken) {
        struct frame frame;
        json_t *json = NULL;
        r = channel_receive(&d->channel, &frame, &json, err);
        if (r == 0) {
            r = serve_job(d, json, &frame, err);
            json_decref(json);
            free(frame.owned);
        }
    }
    return r;
}

int device_serve(const struct device_config *config)
{
    struct device d = { .channel = { .fd = CHANNEL_FD }, .turn = { -1 } };
    struct err err = { 0 };
    struct seal seal = { 0 };
    int r = start(&d, config, &seal, &err);
    json_t *first = r == 0 ? hello(&d, &seal)
                           : json_pack("{s:s,s:s}", "role", "device", "error", err_text(&err));
    int sent = channel_send(&d.channel, FRAME_TYPE_HELLO, first, NULL, 0, NULL);
    if (r < 0 || sent < 0) {
        return r < 0 ? 3 : 1;
    }
    r = serve(&d, &err);
    if (d.gpu.broken) {
        return EXIT_BROKEN; /* nothing can be freed any more, and nothing needs to be */
    }
    if (d.has_gate) {
        gate_unload(&d.gate);
    }
    cupti_close(d.cupti);
    slabs_done(&d.slabs);
    libraries_free(d.gpu.libraries, &d.gpu);
    gpu_close(&d.gpu);
    if (r == ERR_NOTFOUND) {
        return 0;
    }
    fprintf(stderr, "level=error module=device msg=\"%s\"\n", err_text(&err));
    return 1;
}
