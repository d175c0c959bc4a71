/* SPDX-License-Identifier: MIT */
/* A management library that says what FAKE_NVML tells it: "reasons,mhz,mw,mj,processes". */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

enum { OK = 0, NOT_SUPPORTED = 3, NOT_FOUND = 6, TOO_SMALL = 7 };

EXPORT int nvmlInit_v2(void);
EXPORT int nvmlShutdown(void);
EXPORT int nvmlDeviceGetHandleByUUID(const char *uuid, void **device);
EXPORT int nvmlSystemGetDriverVersion(char *text, unsigned size);
EXPORT int nvmlDeviceGetCurrentClocksThrottleReasons(void *device, unsigned long long *reasons);
EXPORT int nvmlDeviceGetClockInfo(void *device, int kind, unsigned *mhz);
EXPORT int nvmlDeviceGetPowerUsage(void *device, unsigned *mw);
EXPORT int nvmlDeviceGetTotalEnergyConsumption(void *device, unsigned long long *mj);
EXPORT int nvmlDeviceGetComputeRunningProcesses_v3(void *device, unsigned *n, void *processes);

static char handle;

/* The i-th number of FAKE_NVML; -1: that figure isn't supported. */
static long long number(int i)
{
    const char *at = getenv("FAKE_NVML");
    for (; at && i > 0; i--) {
        at = strchr(at, ',');
        at = at ? at + 1 : NULL;
    }
    return at ? strtoll(at, NULL, 0) : -1;
}

int nvmlInit_v2(void)
{
    return OK;
}

int nvmlShutdown(void)
{
    return OK;
}

int nvmlDeviceGetHandleByUUID(const char *uuid, void **device)
{
    *device = &handle;
    return strcmp(uuid, "GPU-here") == 0 ? OK : NOT_FOUND;
}

int nvmlSystemGetDriverVersion(char *text, unsigned size)
{
    snprintf(text, size, "580.1");
    return OK;
}

int nvmlDeviceGetCurrentClocksThrottleReasons(void *device, unsigned long long *reasons)
{
    long long value = device == &handle ? number(0) : -1;
    *reasons = (unsigned long long)value;
    return value < 0 ? NOT_SUPPORTED : OK;
}

int nvmlDeviceGetClockInfo(void *device, int kind, unsigned *mhz)
{
    long long value = device == &handle && kind == 1 ? number(1) : -1;
    *mhz = (unsigned)value;
    return value < 0 ? NOT_SUPPORTED : OK;
}

int nvmlDeviceGetPowerUsage(void *device, unsigned *mw)
{
    long long value = device == &handle ? number(2) : -1;
    *mw = (unsigned)value;
    return value < 0 ? NOT_SUPPORTED : OK;
}

int nvmlDeviceGetTotalEnergyConsumption(void *device, unsigned long long *mj)
{
    long long value = device == &handle ? number(3) : -1;
    *mj = (unsigned long long)value;
    return value < 0 ? NOT_SUPPORTED : OK;
}

int nvmlDeviceGetComputeRunningProcesses_v3(void *device, unsigned *n, void *processes)
{
    long long value = device == &handle ? number(4) : -1;
    unsigned room = *n;
    *n = (unsigned)value;
    if (value < 0) {
        return NOT_SUPPORTED;
    }
    if ((unsigned)value > room) {
        return TOO_SMALL;
    }
    memset(processes, 1, (size_t)value * 24);
    return OK;
}
