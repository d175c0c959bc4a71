/* SPDX-License-Identifier: MIT */
#include "agent/tune_earlier.h"
#include "base/util.h"

#include <glob.h>
#include <stdlib.h>
#include <string.h>

/* Of data sheets: multiprocessors or compute units, GB/s, f32 TFLOP/s, L2 in MB, shared KB each. */
static const struct device {
    const char *name, *vendor, *arch;
    double sm_count, bandwidth, flops, l2, shared;
} devices[] = {
    { "A100", "nvidia", "ampere", 108, 1555, 19.5, 40, 164 },
    { "A4000", "nvidia", "ampere", 48, 448, 19.2, 4, 100 },
    { "A6000", "nvidia", "ampere", 84, 768, 38.7, 6, 100 },
    { "RTX_3090", "nvidia", "ampere", 82, 936, 35.6, 6, 100 },
    { "RTX_3060_laptop", "nvidia", "ampere", 30, 336, 10.9, 3, 100 },
    { "RTX_2080_Ti", "nvidia", "turing", 68, 616, 13.4, 5.5, 64 },
    { "RTX_Titan", "nvidia", "turing", 72, 672, 16.3, 6, 64 },
    { "H200", "nvidia", "hopper", 132, 4800, 67, 50, 228 },
    { "MI250X", "amd", "cdna", 110, 1638, 23.9, 8, 64 },
    { "W6600", "amd", "rdna", 28, 224, 10.4, 2, 64 },
    { "W7800", "amd", "rdna", 70, 576, 45.2, 6, 64 },
};

static struct prior_place place_of(const char *kernel, const char *device)
{
    struct prior_place place = { .kernel = kernel, .family = kernel };
    for (size_t i = 0; i < ARRAY_LEN(devices); i++) {
        const struct device *d = &devices[i];
        if (str_eq(d->name, device)) {
            place.vendor = d->vendor;
            place.arch = d->arch;
            place.sm_count = d->sm_count;
            place.bandwidth = d->bandwidth;
            place.flops = d->flops;
            place.l2 = d->l2;
            place.shared = d->shared;
        }
    }
    return place;
}

/* What a path is of; `recorded` isn't read. */
static int name_space(const char *path, struct tune_earlier_space *ret, struct err *err)
{
    const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    size_t kernel = strcspn(name, "."), device = strcspn(name + kernel + (name[kernel] != 0), ".");
    if (kernel == 0 || device == 0 || !str_prefix(name + kernel + 1 + device, ".json")) {
        return err_set(err, ERR_INVALID, "%s: expected a name like KERNEL.DEVICE.json.gz, which says "
                       "whose tuning it is", path);
    }
    *ret = (struct tune_earlier_space) {
        .path = xstrdup(path), .kernel = xprintf("%.*s", (int)kernel, name),
        .device = xprintf("%.*s", (int)device, name + kernel + 1),
    };
    ret->place = place_of(ret->kernel, ret->device);
    return 0;
}

void tune_earlier_done(struct tune_earlier_space *space)
{
    recorded_free(space->recorded);
    free(space->path);
    free(space->kernel);
    free(space->device);
    *space = (struct tune_earlier_space) { 0 };
}

int tune_earlier_read(const char *path, struct tune_earlier_space *ret, struct err *err)
{
    struct tune_earlier_space space;
    int r = name_space(path, &space, err);
    if (r < 0) {
        return r;
    }
    r = recorded_read(path, &space.recorded, err);
    if (r < 0) {
        tune_earlier_done(&space);
        return err_wrap(err, "%s", path);
    }
    *ret = space;
    return 0;
}

/* Appends one file, if it is of that kernel and of another device. */
static int add_file(const char *path, const char *kernel, const char *device,
                    struct tune_earlier_space *spaces, size_t *n, struct err *err)
{
    struct tune_earlier_space named;
    int r = name_space(path, &named, err);
    if (r < 0) {
        return r;
    }
    bool wanted = (!kernel || str_eq(named.kernel, kernel))
                  && (!device || !str_eq(named.device, device));
    tune_earlier_done(&named);
    if (!wanted) {
        return 0;
    }
    if (*n == TUNE_EARLIER_MAX) {
        return err_set(err, ERR_TOOBIG, "more than %d recorded spaces", TUNE_EARLIER_MAX);
    }
    r = tune_earlier_read(path, &spaces[*n], err);
    *n += r == 0;
    return r;
}

int tune_earlier_folder(const char *folder, const char *kernel, const char *device,
                        struct tune_earlier_space *spaces, size_t *n, struct err *err)
{
    static const char *const endings[] = { "json", "json.gz" };
    size_t before = *n;
    int r = 0;
    for (size_t e = 0; e < ARRAY_LEN(endings) && r == 0; e++) {
        char *pattern = xprintf("%s/*.%s", folder, endings[e]);
        glob_t found = { 0 };
        if (glob(pattern, 0, NULL, &found) == 0) {
            for (size_t k = 0; k < found.gl_pathc && r == 0; k++) {
                r = add_file(found.gl_pathv[k], kernel, device, spaces, n, err);
            }
            globfree(&found);
        }
        free(pattern);
    }
    if (r == 0 && *n == before) {
        return err_set(err, ERR_NOTFOUND, "%s: no recorded spaces%s%s there (KERNEL.DEVICE.json.gz)",
                       folder, kernel ? " of other devices of " : "", kernel ? kernel : "");
    }
    return r;
}

int tune_earlier_prior(const char *folder, const char *path, struct prior **ret,
                       struct tune_earlier_space *ret_here, struct err *err)
{
    struct tune_earlier_space here, spaces[TUNE_EARLIER_MAX];
    size_t n = 0;
    int r = name_space(path, &here, err);
    if (r < 0) {
        return r;
    }
    r = tune_earlier_folder(folder, here.kernel, here.device, spaces, &n, err);
    struct prior *prior = prior_new();
    for (size_t i = 0; i < n; i++) {
        const struct recorded *recorded = spaces[i].recorded;
        prior_add(prior, &spaces[i].place, recorded->space->params, recorded->space->n,
                  recorded->space->listed, recorded->times, recorded->space->n_listed);
        tune_earlier_done(&spaces[i]);
    }
    if (r < 0) {
        prior_free(prior);
        tune_earlier_done(&here);
        return r;
    }
    *ret = prior;
    *ret_here = here;
    return 0;
}
