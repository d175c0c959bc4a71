/* SPDX-License-Identifier: MIT */
#include "evaluator/worker/roof.h"
#include "base/util.h"

#include <stdio.h>
#include <string.h>

/* Time from one dependent small kernel to the next on one stream, microseconds: what an empty
 * launch costs at the least on recent data-centre GPUs. */
static const double launch_us = 2.5;

/*
 * Dense operations (a multiply-add is two) per clock and SM.
 * 8.0: NVIDIA A100 architecture white paper, 2020, tables 1 and 4 (312 TFLOP/s f16 at 108 SMs and
 * 1410 MHz). 9.0: NVIDIA H100 white paper, 2022, tables 1 and 2 (989 TFLOP/s f16 at 132 SMs and
 * 1830 MHz, 67 f32). 10.0: NVIDIA Blackwell datasheet, 2024 (2.25 PFLOP/s f16, 4.5 f8 a GPU of 148
 * SMs; 1.1 tf32).
 */
struct peaks {
    int major, minor;
    double f64, f32, tf32, f16, f8;
};

static const struct peaks table[] = {
    { 8, 0, 128, 128, 1024, 2048, 4096 },
    { 9, 0, 256, 256, 2048, 4096, 8192 },
    { 10, 0, 128, 256, 4096, 8192, 16384 },
    { 10, 3, 128, 256, 4096, 8192, 16384 },
};

static double per_clock(const struct peaks *p, const char *precision)
{
    const struct {
        const char *name;
        double value;
    } names[] = {
        { "f64", p->f64 }, { "f32", p->f32 }, { "tf32", p->tf32 }, { "f16", p->f16 },
        { "bf16", p->f16 }, { "f8", p->f8 }, { "f8e4m3", p->f8 }, { "f8e5m2", p->f8 },
        { "i8", p->f8 },
    };
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (str_eq(names[i].name, precision)) {
            return names[i].value;
        }
    }
    return 0;
}

static const struct peaks *peaks_of(const struct roof_device *device)
{
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        if (table[i].major == device->major && table[i].minor == device->minor) {
            return &table[i];
        }
    }
    return NULL;
}

static double clocks(const struct roof_device *device)
{
    return (double)device->sm_count * device->clock_khz * 1e3;
}

double roof_peak(const struct roof_device *device, const char *precision)
{
    const struct peaks *p = peaks_of(device);
    return p ? per_clock(p, precision) * clocks(device) : 0;
}

/* f16 has TF32's mantissa: with a power of two for each row it does TF32's work at its own rate. */
static const char *quickest(const char *precision)
{
    return str_eq(precision, "tf32") ? "f16" : precision;
}

/* f32 can be had from tensor cores by splitting each number in three bf16 parts or two tf32 parts,
 * which multiplies at least three times: the floor must allow it. */
static double fastest(const struct roof_device *device, const char *precision)
{
    double peak = roof_peak(device, precision);
    if (str_eq(precision, "f32")) {
        peak = MAX(peak, roof_peak(device, "bf16") / 3);
    }
    return MAX(peak, roof_peak(device, quickest(precision)));
}

double roof_floor_us(const struct roof_device *device, const struct roof_work *work, char *ret_why,
                     size_t why_size)
{
    double beyond = work->bytes - device->l2_bytes;
    double memory = device->bandwidth > 0 && beyond > 0 ? beyond / device->bandwidth * 1e6 : 0;
    double peak = work->flops_minimum ? fastest(device, work->precision) : 0;
    double compute = peak > 0 ? work->flops / peak * 1e6 : 0;
    if (memory >= compute) {
        snprintf(ret_why, why_size,
                 "(%.0f bytes - %d of L2) / %.3g bytes/s = %.3f us", work->bytes, device->l2_bytes,
                 device->bandwidth, memory);
        return memory;
    }
    snprintf(ret_why, why_size, "%.4g operations / %.4g a second (%s) = %.3f us", work->flops, peak,
             work->precision, compute);
    return compute;
}

/* mma.sync is a means of older chips: Hopper's tensor cores want wgmma, Blackwell's tcgen05. */
static bool reaches_the_peak(const struct roof_device *device, const struct ceilings *measured,
                             const char *precision)
{
    return str_eq(precision, "f32") || device->major < 9
        || (device->major == 9 && str_eq(measured->instruction, "wgmma"));
}

void roof_share(const struct roof_device *device, const struct ceilings *measured,
                const struct roof_work *work, double time_us, struct roof_share *ret)
{
    double copied = MIN(2 * work->written, work->bytes);
    bool known_bandwidth = measured->copy > 0 && measured->read > 0;
    const char *precision = quickest(work->precision);
    double peak = ceilings_rate(measured, precision);
    bool known_peak = peak > 0 && reaches_the_peak(device, measured, precision);
    peak = known_peak ? peak : MAX(peak, roof_peak(device, precision));
    double memory = known_bandwidth
        ? (copied / measured->copy + (work->bytes - copied) / measured->read) * 1e6
        : device->bandwidth > 0 ? work->bytes / device->bandwidth * 1e6 : 0;
    double compute = peak > 0 ? work->flops / peak * 1e6 : 0;
    double bound = MAX(memory, compute);
    *ret = (struct roof_share) { .bound = "", .basis = "" };
    if (bound > 0 && time_us > 0) {
        bool by_memory = memory >= compute;
        ret->share = bound / time_us;
        ret->bound = by_memory ? "memory" : "compute";
        ret->basis = (by_memory ? known_bandwidth : known_peak) ? "measured" : "theoretical";
    }
}

enum bottleneck roof_bottleneck(const struct roof_share *share, double time_us, size_t n_launches)
{
    if (share->share >= 0.85) {
        return BOTTLENECK_NEAR_LIMIT;
    }
    if (time_us < 2 * launch_us * (double)MAX(n_launches, 1)) {
        return BOTTLENECK_LAUNCH_BOUND;
    }
    if (share->share >= 0.4) {
        return share->bound[0] == 'm' ? BOTTLENECK_MEMORY_BOUND : BOTTLENECK_COMPUTE_BOUND;
    }
    return BOTTLENECK_LATENCY_BOUND;
}
