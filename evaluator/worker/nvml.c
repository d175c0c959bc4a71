/* SPDX-License-Identifier: MIT */
#include "evaluator/worker/nvml.h"
#include "base/util.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

/* From NVML's documented interface (nvml.h of CUDA 12 and 13), which keeps its numbers. */
enum { NVML_OK = 0, NVML_SMALL = 7, CLOCK_SM = 1, PROCESSES_MAX = 128 };

/* nvmlProcessInfo_t of the _v3 functions. */
struct process {
    unsigned pid;
    unsigned long long memory;
    unsigned gpu_instance, compute_instance;
};

static const struct {
    unsigned bit;
    const char *name;
} held_back[] = {
    { 0x04, "sw_power_cap" },         { 0x08, "hw_slowdown" },
    { 0x10, "sync_boost" },           { 0x20, "sw_thermal_slowdown" },
    { 0x40, "hw_thermal_slowdown" },  { 0x80, "hw_power_brake" },
};

static int find_functions(struct nvml *nvml, int (**ret_init)(void),
                          int (**ret_find)(const char *, void **),
                          int (**ret_driver)(char *, unsigned))
{
    void *at = nvml->library;
    *(void **)ret_init = dlsym(at, "nvmlInit_v2");
    *(void **)ret_find = dlsym(at, "nvmlDeviceGetHandleByUUID");
    *(void **)ret_driver = dlsym(at, "nvmlSystemGetDriverVersion");
    *(void **)&nvml->reasons = dlsym(at, "nvmlDeviceGetCurrentClocksEventReasons");
    if (!nvml->reasons) { /* its name before CUDA 12.2 */
        *(void **)&nvml->reasons = dlsym(at, "nvmlDeviceGetCurrentClocksThrottleReasons");
    }
    *(void **)&nvml->clock = dlsym(at, "nvmlDeviceGetClockInfo");
    *(void **)&nvml->power = dlsym(at, "nvmlDeviceGetPowerUsage");
    *(void **)&nvml->energy = dlsym(at, "nvmlDeviceGetTotalEnergyConsumption");
    *(void **)&nvml->processes = dlsym(at, "nvmlDeviceGetComputeRunningProcesses_v3");
    return *ret_init && *ret_find ? 0 : -1;
}

static void read_all_once(const struct nvml *nvml)
{
    unsigned number;
    uint64_t energy;
    (void)nvml_throttle(nvml, &number);
    (void)nvml_sm_mhz(nvml, &number);
    (void)nvml_power_mw(nvml, &number);
    (void)nvml_energy_mj(nvml, &energy);
    (void)nvml_others(nvml, &number);
}

int nvml_open(const char *library, const char *uuid, struct nvml *ret, struct err *err)
{
    int (*init)(void), (*find)(const char *, void **), (*driver)(char *, unsigned);
    struct nvml nvml = { .library = dlopen(library ? library : "libnvidia-ml.so.1",
                                           RTLD_NOW | RTLD_LOCAL) };
    if (!nvml.library) {
        const char *why = dlerror();
        return err_set(err, ERR_UNSUPPORTED, "NVML isn't available: %s", why ? why : "no library");
    }
    if (find_functions(&nvml, &init, &find, &driver) < 0) {
        nvml_close(&nvml);
        return err_set(err, ERR_UNSUPPORTED, "NVML isn't available: the library is too old");
    }
    int result = init();
    result = result == NVML_OK ? find(uuid, &nvml.device) : result;
    if (result != NVML_OK) {
        nvml.device = NULL;
        nvml_close(&nvml);
        return err_set(err, ERR_UNSUPPORTED, "NVML isn't available: it has no GPU %s (error %d)",
                       uuid, result);
    }
    if (!driver || driver(nvml.driver, sizeof(nvml.driver)) != NVML_OK) {
        nvml.driver[0] = '\0';
    }
    nvml.driver[sizeof(nvml.driver) - 1] = '\0';
    read_all_once(&nvml);
    *ret = nvml;
    return 0;
}

void nvml_close(struct nvml *nvml)
{
    int (*shutdown)(void) = NULL;
    if (nvml->device) {
        *(void **)&shutdown = dlsym(nvml->library, "nvmlShutdown");
    }
    if (shutdown) {
        shutdown();
    }
    if (nvml->library) {
        dlclose(nvml->library);
    }
    *nvml = (struct nvml) { 0 };
}

int nvml_throttle(const struct nvml *nvml, unsigned *ret_reasons)
{
    unsigned long long reasons = 0;
    if (!nvml->device || !nvml->reasons || nvml->reasons(nvml->device, &reasons) != NVML_OK) {
        return ERR_UNSUPPORTED;
    }
    unsigned kept = 0;
    for (size_t i = 0; i < ARRAY_LEN(held_back); i++) {
        kept |= (unsigned)reasons & held_back[i].bit;
    }
    *ret_reasons = kept;
    return 0;
}

void nvml_throttle_text(unsigned reasons, char *ret, size_t size)
{
    size_t n = 0;
    ret[0] = '\0';
    for (size_t i = 0; i < ARRAY_LEN(held_back) && n < size; i++) {
        if (reasons & held_back[i].bit) {
            n += (size_t)snprintf(ret + n, size - n, "%s%s", n ? ", " : "", held_back[i].name);
        }
    }
}

static int read_number(const struct nvml *nvml, int result, unsigned value, unsigned *ret)
{
    if (!nvml->device || result != NVML_OK) {
        return ERR_UNSUPPORTED;
    }
    *ret = value;
    return 0;
}

int nvml_sm_mhz(const struct nvml *nvml, unsigned *ret)
{
    unsigned mhz = 0;
    int result = nvml->device && nvml->clock ? nvml->clock(nvml->device, CLOCK_SM, &mhz) : -1;
    return read_number(nvml, result, mhz, ret);
}

int nvml_power_mw(const struct nvml *nvml, unsigned *ret)
{
    unsigned mw = 0;
    int result = nvml->device && nvml->power ? nvml->power(nvml->device, &mw) : -1;
    return read_number(nvml, result, mw, ret);
}

int nvml_energy_mj(const struct nvml *nvml, uint64_t *ret)
{
    unsigned long long mj = 0;
    if (!nvml->device || !nvml->energy || nvml->energy(nvml->device, &mj) != NVML_OK) {
        return ERR_UNSUPPORTED;
    }
    *ret = mj;
    return 0;
}

int nvml_others(const struct nvml *nvml, unsigned *ret)
{
    struct process processes[PROCESSES_MAX];
    unsigned n = PROCESSES_MAX;
    if (!nvml->device || !nvml->processes) {
        return ERR_UNSUPPORTED;
    }
    memset(processes, 0, sizeof(processes));
    int result = nvml->processes(nvml->device, &n, processes);
    if (result != NVML_OK && result != NVML_SMALL) {
        return ERR_UNSUPPORTED;
    }
    /* Whether under its own number or another one, one of them is this process. */
    *ret = n > 0 ? n - 1 : 0;
    return 0;
}
