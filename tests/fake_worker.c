/* SPDX-License-Identifier: MIT */
/*
 * A worker that behaves badly on purpose, and one that is instant. The first argument is the mode;
 * as "compile" or "device" it plays the real roles at once: every source compiles (but one that says
 * FAKE_COMPILE_ERROR), every candidate is right, and its time follows from its plan, so that a campaign on it measures the agent alone.
 * WARPSMITH_FAKE_COMPILE and WARPSMITH_FAKE_JUDGE, "WHAT TEXT", single out the job that holds TEXT: it hangs, dies, ...
 * As "compiler" it numbers its compiles (as their seconds) and does what the source tells it to.
 */
#include "base/frame.h"
#include "base/util.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void say(enum frame_type type, uint64_t id, const char *json, const void *blob, size_t len)
{
    struct frame frame = { .type = type, .id = id, .json = json, .json_len = strlen(json),
                           .blob = blob, .blob_len = len };
    if (frame_write(3, &frame, NULL) < 0) {
        exit(1);
    }
}

/* What is to be done with a job, NULL: the usual. `order` is "WHAT TEXT", and the job holds TEXT. */
static const char *singled_out(const char *order, const char *job)
{
    const char *text = order ? strchr(order, ' ') : NULL;
    return text && strstr(job, text + 1) ? order : NULL;
}

static void misbehave(const char *what)
{
    if (what && str_prefix(what, "hang")) {
        pause();
    } else if (what && str_prefix(what, "die")) {
        abort();
    }
}

static void compile(const struct frame *job)
{
    static const char image[] = "image";
    misbehave(singled_out(getenv("WARPSMITH_FAKE_COMPILE"), job->json));
    if (strstr(job->blob, "FAKE_COMPILE_ERROR")) {
        say(FRAME_TYPE_RESULT, job->id, "{\"ok\":false,\"log\":\"kernel.cu(3): error: a fake one\","
            "\"seconds\":0}", NULL, 0);
        return;
    }
    say(FRAME_TYPE_RESULT, job->id,
        "{\"ok\":true,\"log\":\"\",\"seconds\":0,\"cubin\":[0,5],\"ptx\":[0,5],\"kernels\":{}}", image, 5);
}

/* The image is the source itself, and as large as "large N" says, in MiB. */
static void compile_as_told(const struct frame *job, int number)
{
    const char *large = strstr(job->blob, "large ");
    size_t len = large ? (size_t)atoi(large + 6) << 20 : job->blob_len;
    if (strstr(job->blob, "die")) {
        abort();
    }
    if (strstr(job->blob, "hang")) {
        pause();
    }
    char reply[256];
    bool good = !strstr(job->blob, "#error");
    snprintf(reply, sizeof(reply),
             "{\"ok\":%s,\"log\":\"%s\",\"seconds\":%d,\"cubin\":[0,%zu],\"ptx\":[%zu,1],"
             "\"kernels\":{\"k\":{\"registers\":40}}}",
             good ? "true" : "false", good ? "a warning" : "line 1: an error", number, len,
             strstr(job->blob, "outside") ? len + 1 : 0);
    char *image = xcalloc(len + 1, 1);
    memcpy(image, job->blob, MIN(len, job->blob_len));
    say(FRAME_TYPE_RESULT, job->id, reply, image, len);
    free(image);
}

/*
 * 100 us or a little less, by a hash of how the first case runs a side: the same launches, the same
 * time. Not parsed: this worker's time is part of what `bench overhead` measures. 0: no such side.
 */
static double time_of(const char *side)
{
    const char *end = side && *side == '{' ? strstr(side, "\"image\":") : NULL;
    auto_free char *text = xprintf("\"candidate\":%.*s\"image\":1},", end ? (int)(end - side) : 0,
                                   end ? side : "");
    uint32_t hash = 2166136261u;
    for (const char *at = text; *at; at++) {
        hash = (hash ^ (unsigned char)*at) * 16777619u;
    }
    const char *spread = getenv("WARPSMITH_FAKE_SPREAD"); /* 1: down to 50 us */
    return end ? 100 - hash % 1000 * 0.05 * (spread ? strtod(spread, NULL) : 1) : 0;
}

static const char *after(const char *text, const char *what)
{
    const char *at = text ? strstr(text, what) : NULL;
    return at ? at + strlen(what) : NULL;
}

static void reply_judged(const struct frame *job, const char *status, double us, double base)
{
    char reply[512];
    double ratio = base / us;
    const char *relation = ratio > 1.01 ? "faster" : ratio < 0.99 ? "slower" : "same";
    snprintf(reply, sizeof(reply),
             "{\"status\":\"%s\",\"phase\":\"done\",\"detail\":\"\",\"modelled\":true,"
             "\"time\":{\"median_us\":%.3f,\"lo_us\":%.3f,\"hi_us\":%.3f,\"n\":1,\"dropped\":0,"
             "\"samples_us\":[%.3f]},\"baseline\":{\"median_us\":%.3f,\"n\":1},\"speedup\":%.4f,"
             "\"relation\":\"%s\",\"sol\":0.5,\"sol_bound\":\"memory\",\"bottleneck\":\"memory_bound\"}",
             status, us, us, us, us, base, ratio, relation);
    say(FRAME_TYPE_RESULT, job->id, reply, NULL, 0);
}

/* Singled out are jobs by the candidate's launches, "block":[256, say. Such a one is `wrong`, or only
 * in a full check (`doomed`); takes longer in pairs than it seemed to, on either side (`worse`), or
 * half as long the first time it is looked at (`glitch`). */
static void judge(const struct frame *job, bool *glitched)
{
    const char *side = after(job->json, "\"candidate\":");
    const char *base_side = after(side, "\"baseline\":");
    const char *limit = after(job->json, "\"hopeless_us\":");
    double us = side ? time_of(side) : 100, base_us = time_of(base_side);
    auto_free char *launches = side && base_side ? strndup(side, (size_t)(base_side - side)) : xstrdup("");
    const char *what = singled_out(getenv("WARPSMITH_FAKE_JUDGE"), launches);
    const char *base_end = base_side ? strstr(base_side, "\"image\":") : NULL;
    auto_free char *base = base_end ? strndup(base_side, (size_t)(base_end - base_side)) : xstrdup("");
    const char *slower = singled_out(getenv("WARPSMITH_FAKE_JUDGE"), base);
    const char *status = limit && strtod(limit, NULL) > 0 && us > strtod(limit, NULL) ? "slow" : "accepted";
    misbehave(what);
    if (what && str_prefix(what, "worse ") && base_us > 0) {
        us *= 1.5;
    } else if (what && str_prefix(what, "glitch ") && !*glitched) {
        us /= 2;
        *glitched = true;
    } else if (what && (str_prefix(what, "wrong ") || (str_prefix(what, "doomed ") && !limit && !base_us))) {
        status = "incorrect";
    }
    base_us *= slower && str_prefix(slower, "worse ") ? 1.5 : 1;
    reply_judged(job, status, us, base_us > 0 ? base_us : 100);
}

/* As WARPSMITH_FAKE_PROFILE says: "PHASE JSON" replies with JSON, "PHASE hang" and "PHASE die" end there. */
static void profile(const struct frame *job)
{
    const char *order = getenv("WARPSMITH_FAKE_PROFILE");
    size_t n = order ? strcspn(order, " ") : 0;
    auto_free char *progress = xprintf("{\"phase\":\"%.*s\"}", (int)n, order ? order : "");
    say(FRAME_TYPE_PROGRESS, job->id, progress, NULL, 0);
    const char *what = n ? order + n + 1 : "{\"ok\":true}";
    if (str_eq(what, "hang")) {
        pause();
    } else if (str_eq(what, "die")) {
        abort();
    }
    say(FRAME_TYPE_RESULT, job->id, what, NULL, 0);
}

/* A device of its own for every process: the copy rate is the process's number. */
static void ceilings(const struct frame *job, const char *name)
{
    auto_free char *rates = xprintf("{\"ok\":true,\"ceilings\":{\"copy\":%d,\"read\":2e12,"
                                    "\"f32\":3e12,\"instruction\":\"wgmma\",\"driver\":\"0\"}}",
                                    (int)getpid());
    bool refuses = str_eq(name, "gpu-refuses");
    say(FRAME_TYPE_RESULT, job->id, refuses ? "{\"ok\":false,\"error\":\"no room\"}" : rates, NULL,
        0);
}

/* The program's name matters where it begins with "gpu": then the device isn't a model. */
static const char *own_name(char **argv)
{
    const char *slash = strrchr(argv[0], '/');
    return slash ? slash + 1 : argv[0];
}

static void serve(const char *mode, const char *name, const struct frame *job, int number,
                  bool *glitched)
{
    if (str_eq(mode, "compile")) {
        compile(job);
    } else if (str_eq(mode, "compiler")) {
        compile_as_told(job, number);
    } else if (str_eq(mode, "device") && strstr(job->json, "\"setup\"")) {
        say(FRAME_TYPE_RESULT, job->id, "{\"ok\":true}", NULL, 0);
    } else if (str_eq(mode, "device") && strstr(job->json, "\"kind\":\"profile\"")) {
        profile(job);
    } else if (str_eq(mode, "device") && strstr(job->json, "\"ceilings\"}")) {
        ceilings(job, name);
    } else if (str_eq(mode, "device")) {
        judge(job, glitched);
    } else if (str_eq(mode, "echo")) {
        say(FRAME_TYPE_PROGRESS, job->id, "{\"phase\":\"echo\",\"shape\":\"small\"}", NULL, 0);
        say(FRAME_TYPE_RESULT, job->id, "{\"ok\":true}", job->blob, job->blob_len);
    } else if (str_prefix(mode, "sees:")) { /* the value of a variable, as the blob */
        const char *value = getenv(mode + 5);
        say(FRAME_TYPE_RESULT, job->id, "{\"ok\":true}", value, value ? strlen(value) : 0);
    } else if (str_eq(mode, "hang") || str_eq(mode, "stubborn")) {
        say(FRAME_TYPE_PROGRESS, job->id, "{\"phase\":\"check\",\"shape\":\"small\"}", NULL, 0);
        pause();
        for (;;) {
            sleep(1);
        }
    } else if (str_eq(mode, "crash")) {
        fprintf(stderr, "about to die\n");
        abort();
    } else if (str_eq(mode, "garbage")) {
        (void)!write(3, "this is not a frame, it only looks long enough to be one", 56);
        pause();
    } else if (str_eq(mode, "half")) {
        unsigned char header[FRAME_HEADER];
        frame_header(&(struct frame) { .type = FRAME_TYPE_RESULT, .id = job->id, .json_len = 100 },
                     header);
        (void)!write(3, header, sizeof(header));
        exit(0);
    } else if (str_eq(mode, "not-json")) {
        say(FRAME_TYPE_RESULT, job->id, "[1, 2", NULL, 0);
    } else if (str_eq(mode, "other-id")) {
        say(FRAME_TYPE_RESULT, job->id + 1, "{\"ok\":true}", NULL, 0);
    } else if (str_eq(mode, "flood")) {
        for (int i = 0; i < 200000; i++) {
            fputs("the same line again and again\n", stderr);
        }
        say(FRAME_TYPE_RESULT, job->id, "{\"ok\":true}", NULL, 0);
    } else if (str_eq(mode, "last-words")) { /* a result, then death, as after a sticky error */
        say(FRAME_TYPE_RESULT, job->id, "{\"ok\":true}", NULL, 0);
        exit(4);
    }
}

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "echo";
    if (str_eq(mode, "deaf")) {
        fprintf(stderr, "no reason given\n");
        return 3;
    }
    if (str_eq(mode, "silent")) {
        pause();
    }
    if (str_eq(mode, "stubborn")) {
        signal(SIGTERM, SIG_IGN);
    }
    if (str_eq(mode, "no-device")) {
        say(FRAME_TYPE_HELLO, 0, "{\"role\":\"device\",\"error\":\"there is no driver here\"}", NULL, 0);
        return 3;
    }
    auto_free char *hello = xprintf(
        "{\"role\":\"fake\",\"compiler\":\"none\",\"sealed\":{},\"context_ms\":0,\"device\":{\"name\":\"Fake\","
        "\"uuid\":\"fake\",\"arch\":\"sm_90a\",\"sm_count\":132,\"max_shared\":232448,"
        "\"total_memory\":1000000000000,\"driver\":\"0\",\"modelled\":%s}}",
        str_prefix(own_name(argv), "gpu") ? "false" : "true");
    say(FRAME_TYPE_HELLO, 0, hello, NULL, 0);
    struct frame job;
    bool glitched = false;
    for (int number = 1; frame_read(3, &job, NULL) == 0; number++) {
        serve(mode, own_name(argv), &job, number, &glitched);
        free(job.owned);
    }
    return 0;
}
