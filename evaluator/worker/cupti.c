/* SPDX-License-Identifier: MIT */
#include "evaluator/worker/cupti.h"
#include "base/util.h"
#include "evaluator/worker/cupti_api.h"

#include <stdlib.h>
#include <string.h>

enum { PASSES_MAX = 200 };

/* The host's part: metrics of one chip, scheduled. */
struct schedule {
    void *host;
    size_t n, config_bytes, passes;
    const char *metrics[COUNTER_COUNT];
    enum counter counters[COUNTER_COUNT]; /* behind each metric */
    uint8_t *config;
};

struct cupti {
    struct cupti_api api;
    struct gpu *gpu;
    struct schedule schedule;
    void *profiler;
    size_t image_bytes;
    uint8_t *image; /* what the passes brought, in CUPTI's own form */
};

#define CALL(api, name, ...) cupti_api_check(api, (api)->name(&(__VA_ARGS__)), #name, err)

/* Names differ from chip to chip: what this one lacks is left out. */
static bool chip_has(const struct cupti_api *api, void *host, const char *metric)
{
    auto_free char *base = xprintf("%.*s", (int)strcspn(metric, "."), metric);
    struct cupti_properties p = { CUPTI_SIZE(cupti_properties, type), .host = host, .metric = base };
    return api->cuptiProfilerHostGetMetricProperties(&p) == 0;
}

static int make_config(const struct cupti_api *api, struct schedule *s, struct err *err)
{
    struct cupti_add add = { CUPTI_SIZE(cupti_add, n), .host = s->host, .metrics = s->metrics,
                             .n = s->n };
    struct cupti_config_size size = { CUPTI_SIZE(cupti_config_size, bytes), .host = s->host };
    int r = CALL(api, cuptiProfilerHostConfigAddMetrics, add);
    r = r < 0 ? r : CALL(api, cuptiProfilerHostGetConfigImageSize, size);
    if (r < 0) {
        return r;
    }
    s->config_bytes = size.bytes;
    s->config = xcalloc(size.bytes + 1, 1);
    struct cupti_config config = { CUPTI_SIZE(cupti_config, at), .host = s->host,
                                   .bytes = size.bytes, .at = s->config };
    r = CALL(api, cuptiProfilerHostGetConfigImage, config);
    struct cupti_passes passes = { CUPTI_SIZE(cupti_passes, n), .bytes = size.bytes,
                                   .config = s->config };
    r = r < 0 ? r : CALL(api, cuptiProfilerHostGetNumOfPasses, passes);
    s->passes = passes.n;
    return r;
}

static void schedule_done(const struct cupti_api *api, struct schedule *s)
{
    if (s->host) {
        struct cupti_host_close close = { CUPTI_SIZE(cupti_host_close, host), .host = s->host };
        api->cuptiProfilerHostDeinitialize(&close);
    }
    free(s->config);
    *s = (struct schedule) { 0 };
}

static int schedule_init(const struct cupti_api *api, const char *chip, struct schedule *s,
                         struct err *err)
{
    struct cupti_host_open open = { CUPTI_SIZE(cupti_host_open, host),
                                    .type = CUPTI_TYPE_RANGE_PROFILER, .chip = chip };
    int r = CALL(api, cuptiProfilerHostInitialize, open);
    if (r < 0) {
        err_wrap(err, "chip %s", chip);
        return r;
    }
    *s = (struct schedule) { .host = open.host };
    for (int i = 0; i < COUNTER_COUNT; i++) {
        enum counter c = (enum counter)i;
        if (chip_has(api, s->host, counter_metric(c))) {
            s->counters[s->n] = c;
            s->metrics[s->n++] = counter_metric(c);
        }
    }
    r = s->n ? make_config(api, s, err)
             : err_set(err, ERR_UNSUPPORTED, "CUPTI knows no counter of chip %s", chip);
    if (r < 0) {
        schedule_done(api, s);
    }
    return r;
}

static int enable(struct cupti *c, struct err *err)
{
    struct cupti_enable on = { CUPTI_SIZE(cupti_enable, profiler), .context = c->gpu->context };
    int r = CALL(&c->api, cuptiRangeProfilerEnable, on);
    if (r < 0) {
        return r;
    }
    c->profiler = on.profiler;
    struct cupti_image_size size
        = { CUPTI_SIZE(cupti_image_size, bytes), .profiler = c->profiler,
            .metrics = c->schedule.metrics, .n = c->schedule.n, .ranges = CUPTI_KERNELS_MAX,
            .nodes = CUPTI_KERNELS_MAX };
    r = CALL(&c->api, cuptiRangeProfilerGetCounterDataSize, size);
    if (r == 0) {
        c->image_bytes = size.bytes;
        c->image = xcalloc(size.bytes + 1, 1);
    }
    return r;
}

/* A fresh image and the schedule, before the first pass. */
static int configure(struct cupti *c, struct err *err)
{
    struct cupti_image image = { CUPTI_SIZE(cupti_image, at), .profiler = c->profiler,
                                 .bytes = c->image_bytes, .at = c->image };
    struct cupti_set set = {
        CUPTI_SIZE(cupti_set, nesting_target), .profiler = c->profiler,
        .config_bytes = c->schedule.config_bytes, .config = c->schedule.config,
        .image_bytes = c->image_bytes, .image = c->image, .range = CUPTI_RANGE_AUTO,
        .replay = CUPTI_REPLAY_USER, .ranges_a_pass = CUPTI_KERNELS_MAX, .nesting = 1,
        .nesting_least = 1, .nesting_target = 1,
    };
    int r = CALL(&c->api, cuptiRangeProfilerCounterDataImageInitialize, image);
    return r < 0 ? r : CALL(&c->api, cuptiRangeProfilerSetConfig, set);
}

static int one_pass(struct cupti *c, const struct cupti_work *work, bool *ret_last, struct err *err)
{
    struct cupti_on on = { CUPTI_SIZE(cupti_on, profiler), .profiler = c->profiler };
    struct cupti_stop off = { CUPTI_SIZE(cupti_stop, all_passes), .profiler = c->profiler };
    int r = work->ready(work->ud, err);
    r = r < 0 ? r : CALL(&c->api, cuptiRangeProfilerStart, on);
    if (r < 0) {
        return r;
    }
    r = work->run(work->ud, err);
    r = r < 0 ? r : gpu_finish(c->gpu, "running the kernels", err);
    if (r < 0) {
        c->api.cuptiRangeProfilerStop(&off);
        return r;
    }
    r = CALL(&c->api, cuptiRangeProfilerStop, off);
    *ret_last = off.all_passes != 0;
    return r;
}

/* One kernel's values out of the image. */
static int evaluate(struct cupti *c, size_t range, struct counters *ret, struct err *err)
{
    double values[COUNTER_COUNT] = { 0 };
    struct cupti_evaluate evaluate
        = { CUPTI_SIZE(cupti_evaluate, values), .host = c->schedule.host, .image = c->image,
            .bytes = c->image_bytes, .range = range, .metrics = c->schedule.metrics,
            .n = c->schedule.n, .values = values };
    int r = CALL(&c->api, cuptiProfilerHostEvaluateToGpuValues, evaluate);
    *ret = (struct counters) { 0 };
    for (size_t i = 0; r == 0 && i < c->schedule.n; i++) {
        enum counter counter = c->schedule.counters[i];
        counters_set(ret, counter, values[i] * counter_scale(counter));
    }
    return r;
}

static int collect(struct cupti *c, struct counters *ret, struct cupti_kernels *ret_kernels,
                   struct err *err)
{
    struct cupti_decode decode = { CUPTI_SIZE(cupti_decode, dropped), .profiler = c->profiler };
    struct cupti_info info = { CUPTI_SIZE(cupti_info, ranges), .image = c->image,
                               .bytes = c->image_bytes };
    int r = CALL(&c->api, cuptiRangeProfilerDecodeData, decode);
    r = r < 0 ? r : CALL(&c->api, cuptiRangeProfilerGetCounterDataInfo, info);
    struct counters sum = { 0 }, kernel;
    struct cupti_kernels kernels = { 0 };
    for (size_t i = 0; r == 0 && i < MIN(info.ranges, CUPTI_KERNELS_MAX); i++) {
        r = evaluate(c, i, &kernel, err);
        if (r == 0) {
            counters_add(&sum, &kernel);
            kernels.us[kernels.n++] = counters_get(&kernel, COUNTER_TIME);
        }
    }
    if (r == 0) {
        *ret = sum;
        *ret_kernels = kernels;
    }
    return r;
}

int cupti_profile(struct cupti *c, const struct cupti_work *work, struct counters *ret,
                  struct cupti_kernels *ret_kernels, struct err *err)
{
    bool last = false;
    int r = configure(c, err);
    for (int pass = 0; r == 0 && !last; pass++) {
        r = pass < PASSES_MAX ? one_pass(c, work, &last, err)
                              : err_set(err, ERR_UNSUPPORTED, "CUPTI wants more than %d passes",
                                        PASSES_MAX);
    }
    return r < 0 ? r : collect(c, ret, ret_kernels, err);
}

struct rehearsal {
    struct gpu *gpu;
    CUmodule module;
    CUfunction function;
};

static int rehearse_ready(void *ud, struct err *err)
{
    (void)ud, (void)err;
    return 0;
}

static int rehearse_run(void *ud, struct err *err)
{
    struct rehearsal *r = ud;
    return gpu_launch(r->gpu, r->function, 1, 32, 0, NULL, err);
}

/* The driver opens devices at the first session, and compiles: neither is possible once sealed. */
static int rehearse(struct cupti *c, struct err *err)
{
    static const char ptx[] = ".version 7.0\n.target sm_70\n.address_size 64\n"
                              ".visible .entry nothing() { ret; }\n";
    struct rehearsal rehearsal = { .gpu = c->gpu };
    const struct cuda_api *cu = &c->gpu->cu;
    int r = gpu_check(c->gpu, cu->cuModuleLoadData(&rehearsal.module, ptx), "an empty kernel", err);
    r = r < 0 ? r : gpu_check(c->gpu, cu->cuModuleGetFunction(&rehearsal.function, rehearsal.module,
                                                              "nothing"), "an empty kernel", err);
    const struct cupti_work work = { rehearse_ready, rehearse_run, &rehearsal };
    struct counters counters = { 0 };
    struct cupti_kernels kernels = { 0 };
    r = r < 0 ? r : cupti_profile(c, &work, &counters, &kernels, err);
    if (rehearsal.module) {
        cu->cuModuleUnload(rehearsal.module);
    }
    if (r == 0 && kernels.n != 1) {
        r = err_set(err, ERR_UNSUPPORTED, "CUPTI saw %zu kernels where one ran", kernels.n);
    }
    return r;
}

void cupti_close(struct cupti *c)
{
    if (!c) {
        return;
    }
    if (c->profiler && !c->gpu->broken) {
        struct cupti_on off = { CUPTI_SIZE(cupti_on, profiler), .profiler = c->profiler };
        c->api.cuptiRangeProfilerDisable(&off);
    }
    schedule_done(&c->api, &c->schedule);
    free(c->image);
    free(c);
}

int cupti_open(const char *path, struct gpu *gpu, struct cupti **ret, struct err *err)
{
    struct cupti *c = xcalloc(1, sizeof(*c));
    c->gpu = gpu;
    struct cupti_plain plain = { CUPTI_SIZE(cupti_plain, private) };
    struct cupti_chip chip = { CUPTI_SIZE(cupti_chip, name), .device = (size_t)gpu->device };
    int r = cupti_api_load(path, &c->api, err);
    r = r < 0 ? r : CALL(&c->api, cuptiProfilerInitialize, plain);
    r = r < 0 ? r : CALL(&c->api, cuptiDeviceGetChipName, chip);
    r = r < 0 ? r : schedule_init(&c->api, chip.name ? chip.name : "", &c->schedule, err);
    r = r < 0 ? r : enable(c, err);
    r = r < 0 ? r : rehearse(c, err);
    if (r < 0) {
        cupti_close(c);
        return r;
    }
    *ret = c;
    return 0;
}

int cupti_chip_counters(const char *path, const char *chip, struct counters *ret,
                        size_t *ret_passes, struct err *err)
{
    struct cupti_api api;
    struct schedule s;
    int r = cupti_api_load(path, &api, err);
    r = r < 0 ? r : schedule_init(&api, chip, &s, err);
    if (r < 0) {
        return r;
    }
    *ret = (struct counters) { 0 };
    for (size_t i = 0; i < s.n; i++) {
        counters_set(ret, s.counters[i], 0);
    }
    *ret_passes = s.passes;
    schedule_done(&api, &s);
    return 0;
}
