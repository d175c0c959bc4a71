/* SPDX-License-Identifier: MIT */
#include "evaluator/worker/profile.h"
#include "base/util.h"
#include "evaluator/worker/energy.h"

#include <string.h>

enum { TRIAL = 3000, TRIAL_WEIGHTS = 900 }; /* neither a check's nor a timed run's inputs */

struct profile {
    const struct profile_tools *tools;
    struct gpu *gpu;
    const struct job_case *one;
    struct rig rig;
    struct program program;
    struct slab *flush;
    struct counters counters;
    struct cupti_kernels kernels;
    struct energy energy;
    json_t *unavailable;
    bool plain; /* what runs now runs as it was judged, with no profiler in its way */
};

/* "counters: why" for the verdict; what isn't available is no failure. */
static void lacks(struct profile *p, const char *what, const char *why)
{
    auto_free char *text = xprintf("%s: %s", what, why);
    require(json_array_append_new(p->unavailable, json_text(text, strlen(text))) == 0);
}

static int fill(struct profile *p, struct err *err)
{
    struct rig_buffers *set = &p->rig.sets[0];
    int r = rig_place(&p->rig, false, err);
    if (r == 0 && p->gpu->modelled) {
        return rig_fill_cheaply(&p->rig, set, err);
    }
    r = r < 0 ? r : rig_fill(&p->rig, set, RIG_PART_WEIGHTS, TRIAL_WEIGHTS, GATE_MODE_OWN, err);
    r = r < 0 ? r : rig_fill(&p->rig, set, RIG_PART_INPUTS | RIG_PART_INOUT, TRIAL, GATE_MODE_OWN,
                             err);
    return r < 0 ? r : rig_poison_scratch(&p->rig, set, RIG_POISON_A, err);
}

/* State as it was, and a cold L2. */
static int ready(void *ud, struct err *err)
{
    struct profile *p = ud;
    const struct cuda_api *cu = &p->gpu->cu;
    int r = rig_fill(&p->rig, &p->rig.sets[0], RIG_PART_INOUT, TRIAL, GATE_MODE_OWN, err);
    if (r == 0 && cu->cuCtxResetPersistingL2Cache) {
        r = gpu_check(p->gpu, cu->cuCtxResetPersistingL2Cache(), "resetting the L2", err);
    }
    r = r < 0 ? r : gpu_check(p->gpu, cu->cuMemsetD32Async(p->flush->base, 0, p->flush->size / 4,
                                                           p->gpu->stream),
                              "flushing the L2", err);
    return r < 0 ? r : gpu_finish(p->gpu, "flushing the L2", err);
}

static int run(void *ud, struct err *err)
{
    struct profile *p = ud;
    return program_run(&p->program, err);
}

static int warm_up(struct profile *p, struct err *err)
{
    program_point(&p->program, p->rig.sets[0].at);
    p->plain = true;
    int r = p->program.n_prepare ? program_prepare(&p->program, err) : 0;
    if (r == 0 && !p->gpu->modelled) {
        r = program_run(&p->program, err);
    }
    return r < 0 ? r : gpu_finish(p->gpu, "running the kernels", err);
}

static int count(struct profile *p, struct err *err)
{
    if (p->gpu->modelled) {
        return profile_modelled(p->gpu, &p->program, &p->counters, &p->kernels, err);
    }
    if (!p->tools->cupti) {
        return err_set(err, ERR_UNSUPPORTED, "%s", p->tools->cupti_says);
    }
    const struct cupti_work work = { ready, run, p };
    p->plain = false;
    channel_progress(p->tools->channel, "counters", p->one->shape, -1);
    return cupti_profile(p->tools->cupti, &work, &p->counters, &p->kernels, err);
}

static int weigh(struct profile *p, struct err *err)
{
    if (p->gpu->modelled) {
        return err_set(err, ERR_UNSUPPORTED, "the simulator has no model of it");
    }
    channel_progress(p->tools->channel, "energy", p->one->shape, -1);
    return energy_measure(p->gpu, p->tools->nvml, run, p, &p->energy, err);
}

static int work(struct profile *p, const struct job *job, struct arena *arena, struct err *err)
{
    const struct job_side *side = &p->one->candidate;
    int r = program_load(&p->program, p->gpu, &job->images[side->image], p->one, side->bound, arena,
                         err);
    r = r < 0 ? r : slab_take(p->tools->slabs, MAX(2 * (size_t)p->gpu->l2_bytes, 1 << 20),
                              &p->flush, err);
    r = r < 0 ? r : rig_open(&p->rig, p->tools->slabs, p->tools->gate, job, p->one, 1, arena, err);
    r = r < 0 ? r : fill(p, err);
    r = r < 0 ? r : warm_up(p, err);
    if (r < 0) {
        return r;
    }
    struct err why = { 0 };
    /* Energy first: afterwards the profiler may still be in the way. */
    r = weigh(p, &why);
    if (r == ERR_UNSUPPORTED) {
        lacks(p, "energy", err_text(&why));
        r = 0;
    }
    r = r < 0 ? r : count(p, &why);
    if (r == ERR_UNSUPPORTED) {
        lacks(p, "counters", err_text(&why));
        r = 0;
    }
    return r < 0 ? err_set(err, r, "%s", err_text(&why)) : 0;
}

static const struct job_case *timed_case(const struct job *job)
{
    for (size_t i = 0; i < job->n_cases; i++) {
        if (job->cases[i].time) {
            return &job->cases[i];
        }
    }
    return NULL;
}

/* Time by kernel; one that is launched several times stands once. */
static json_t *kernel_times(const struct profile *p)
{
    json_t *times = json_object();
    size_t at = 0;
    for (size_t i = 0; i < p->program.n_launches && at < p->kernels.n; i++) {
        const char *name = p->program.launches[i].launch->kernel;
        if (name) {
            double sum = json_number_value(json_object_get(times, name)) + p->kernels.us[at++];
            require(json_object_set_new(times, name, json_real(sum)) == 0);
        }
    }
    if (at < p->kernels.n) { /* more than were launched: who is who isn't known */
        json_object_clear(times);
    }
    return times;
}

static json_t *describe(struct profile *p)
{
    json_t *json = json_pack("{s:b,s:o,s:O}", "ok", 1, "kernels", kernel_times(p), "unavailable",
                             p->unavailable);
    json_t *counters = counters_json(&p->counters);
    if (counters) {
        require(json_object_set_new(json, "counters", counters) == 0);
    }
    if (p->energy.joules > 0) {
        require(json_object_set_new(json, "joules", json_real(p->energy.joules)) == 0);
        require(json_object_set_new(json, "watts", json_real(p->energy.watts)) == 0);
    }
    return json;
}

json_t *profile_run(const struct profile_tools *tools, const struct job *job, struct arena *arena)
{
    struct profile *p = arena_alloc(arena, 1, sizeof(*p));
    struct err err = { 0 };
    p->tools = tools;
    p->gpu = tools->gpu;
    p->one = timed_case(job);
    p->unavailable = json_array();
    int r = p->one ? work(p, job, arena, &err)
                   : err_set(&err, ERR_PROTOCOL, "no shape of this job is timed");
    slab_give(p->flush);
    rig_close(&p->rig);
    program_unload(&p->program);
    json_t *json = r == 0 ? describe(p) : json_pack("{s:b}", "failed", p->plain && r == ERR_DEVICE);
    if (r < 0) {
        require(json_object_set_new(json, "error", json_text(err_text(&err), strlen(err_text(&err))))
                == 0);
    }
    json_decref(p->unavailable);
    return json;
}
