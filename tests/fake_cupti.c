/* SPDX-License-Identifier: MIT */
/*
 * A CUPTI that schedules three passes and sees one kernel, whose i-th metric is i. FAKE_CUPTI names
 * a function and the code that it fails with: "cuptiRangeProfilerStart=35".
 */
#include "evaluator/worker/cupti_api.h"

#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))
#define X(name, params) EXPORT int name(struct cupti_##params *p);
CUPTI_FUNCTIONS(X)
#undef X
EXPORT int cuptiGetResultString(int result, const char **ret);

enum { PASSES = 3, CONFIG = 100, IMAGE = 1000 };

static int passes;
static char host, profiler;

static int asked_to_fail(const char *name)
{
    const char *at = getenv("FAKE_CUPTI");
    size_t n = strlen(name);
    return at && strncmp(at, name, n) == 0 && at[n] == '=' ? atoi(at + n + 1) : 0;
}

#define BEGIN                                                                                      \
    int fails = asked_to_fail(__func__);                                                           \
    if (fails || p->size < sizeof(void *)) {                                                       \
        return fails ? fails : 1;                                                                  \
    }

int cuptiGetResultString(int result, const char **ret)
{
    *ret = result == 35 ? "CUPTI_ERROR_INSUFFICIENT_PRIVILEGES" : "CUPTI_ERROR_OF_THE_TEST";
    return 0;
}

int cuptiProfilerInitialize(struct cupti_plain *p)
{
    BEGIN return 0;
}

int cuptiDeviceGetChipName(struct cupti_chip *p)
{
    BEGIN p->name = "FAKE";
    return 0;
}

int cuptiProfilerHostInitialize(struct cupti_host_open *p)
{
    BEGIN p->host = &host;
    return strcmp(p->chip, "FAKE") == 0 ? 0 : 1;
}

int cuptiProfilerHostDeinitialize(struct cupti_host_close *p)
{
    BEGIN return p->host == &host ? 0 : 1;
}

/* This chip has no warpgroups' multiply. */
int cuptiProfilerHostGetMetricProperties(struct cupti_properties *p)
{
    BEGIN return strstr(p->metric, "gmma") || strchr(p->metric, '.') ? 999 : 0;
}

int cuptiProfilerHostConfigAddMetrics(struct cupti_add *p)
{
    BEGIN return p->n > 10 ? 0 : 1;
}

int cuptiProfilerHostGetConfigImageSize(struct cupti_config_size *p)
{
    BEGIN p->bytes = CONFIG;
    return 0;
}

int cuptiProfilerHostGetConfigImage(struct cupti_config *p)
{
    BEGIN memset(p->at, 7, CONFIG);
    return p->bytes == CONFIG ? 0 : 1;
}

int cuptiProfilerHostGetNumOfPasses(struct cupti_passes *p)
{
    BEGIN p->n = PASSES;
    return p->config[CONFIG - 1] == 7 ? 0 : 1;
}

int cuptiProfilerHostEvaluateToGpuValues(struct cupti_evaluate *p)
{
    BEGIN for (size_t i = 0; i < p->n; i++)
    {
        p->values[i] = (double)i;
    }
    return p->range == 0 && p->image[0] == PASSES ? 0 : 1;
}

int cuptiRangeProfilerEnable(struct cupti_enable *p)
{
    BEGIN p->profiler = &profiler;
    return p->context ? 0 : 1;
}

int cuptiRangeProfilerDisable(struct cupti_on *p)
{
    BEGIN return p->profiler == &profiler ? 0 : 1;
}

int cuptiRangeProfilerGetCounterDataSize(struct cupti_image_size *p)
{
    BEGIN p->bytes = IMAGE;
    return p->ranges > 0 ? 0 : 1;
}

int cuptiRangeProfilerCounterDataImageInitialize(struct cupti_image *p)
{
    BEGIN memset(p->at, 0, IMAGE);
    return p->bytes == IMAGE ? 0 : 1;
}

static uint8_t *image;

int cuptiRangeProfilerSetConfig(struct cupti_set *p)
{
    BEGIN image = p->image;
    passes = 0;
    return p->range == CUPTI_RANGE_AUTO && p->replay == CUPTI_REPLAY_USER ? 0 : 1;
}

int cuptiRangeProfilerStart(struct cupti_on *p)
{
    BEGIN return p->profiler == &profiler ? 0 : 1;
}

int cuptiRangeProfilerStop(struct cupti_stop *p)
{
    BEGIN p->all_passes = ++passes == PASSES;
    return 0;
}

int cuptiRangeProfilerDecodeData(struct cupti_decode *p)
{
    BEGIN image[0] = (uint8_t)passes;
    return p->profiler == &profiler ? 0 : 1;
}

int cuptiRangeProfilerGetCounterDataInfo(struct cupti_info *p)
{
    BEGIN p->ranges = 1;
    return p->image[0] == PASSES ? 0 : 1;
}
