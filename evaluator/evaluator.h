#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * The agent's side of the evaluator: one device, its worker, the compile workers, and `judge`,
 * which turns a candidate into a verdict. Compiling overlaps timing; the device has one job at a
 * time. Everything runs on the loop's thread.
 *
 * A judgement always ends in exactly one callback: with a verdict, or with a negative code if the
 * machine failed (no device, no compiler) or it was canceled. Never from inside evaluator_judge.
 */
#include <uv.h>
#include "base/err.h"
#include "base/log.h"
#include "kernelbench/candidate.h"
#include "kernelbench/ceilings.h"
#include "kernelbench/task.h"
#include "kernelbench/verdict.h"

enum { EVALUATOR_GATE_VERSION = 4 };

struct evaluator;
struct judgement;
struct pytorch;

struct evaluator_options {
    const char *gpu;        /* "auto", "sim", "sim:h200", "sim:b200", or an index: "0" */
    size_t compile_workers; /* 0: one a core */
    const char *cache;      /* folder of compiled images, made if missing; NULL: memory only */
    bool oracle;            /* tasks whose oracle is PyTorch can be judged; needs a Python that has it */
    const char *worker;     /* NULL: $WARPSMITH_WORKER, else warpsmith-worker beside this program */
    const struct log *log;
};

struct device_info {
    char name[128], uuid[64], arch[16], driver[64], compiler[64];
    struct device_facts facts;
    bool modelled; /* the simulator: times are modelled */
    double context_ms;
    int landlock;     /* how far the compile workers are sealed, for doctor: the ABI; 0: the kernel has none */
    bool seccomp;
    char memory_cap[192]; /* what caps their memory */
    char nvml[256];   /* "" where NVML is available, else why not */
    bool has_ceilings; /* measured on this device, see evaluator_set_ceilings */
    struct ceilings ceilings;
};

/* Starts the workers and runs the loop until both kinds are ready or can't be. */
int evaluator_open(uv_loop_t *loop, const struct evaluator_options *options,
                   struct evaluator **ret, struct err *err);
/* Ends the workers; the loop must run until it is empty afterwards. NULL is fine. */
void evaluator_close(struct evaluator *evaluator);
const struct device_info *evaluator_device(const struct evaluator *evaluator);

/* NULL unless it was asked for. */
struct pytorch *evaluator_oracle(const struct evaluator *evaluator);

enum judge_depth {
    JUDGE_DEPTH_FULL,  /* every distribution on every shape that is cheap, timing until it is sure */
    JUDGE_DEPTH_QUICK, /* one trial on the default or small shape, five samples: for tuning */
    JUDGE_DEPTH_TIME,  /* the checks of QUICK and the timing of FULL */
    JUDGE_DEPTH_CHECK, /* the checks of FULL and no timing: `baseline` and `timed` are ignored */
    JUDGE_DEPTH_TASK,  /* the task alone (`candidate` NULL): do trivial candidates pass it? */
    /* One config of many: timed as QUICK, then checked as QUICK but for the timed runs. One slower
     * than `hopeless_us` after two samples is `slow`, and isn't checked. */
    JUDGE_DEPTH_TUNE,
    JUDGE_DEPTH_PROTOCOL, /* by `rules` instead: see protocol.h, which asks for it */
};

struct judge_request {
    const struct task *task; /* these three must live until the callback */
    const struct candidate *candidate; /* NULL for JUDGE_DEPTH_TASK alone */
    const struct candidate *baseline; /* NULL: none */
    const struct shape *timed;         /* NULL: the default shape */
    enum judge_depth depth;
    bool sanitize; /* what is accepted runs under compute-sanitizer, too: seconds a tool */
    bool profile; /* counters and energy besides, for what is accepted: a second or two more */
    uint64_t deadline_ms; /* of each stage (compile, device); 0: JUDGE_DEADLINE_MS */
    uint64_t compile_deadline_ms; /* of compiling alone; 0: as above */
    size_t samples;      /* at least so many, at most twice; 0: as the depth has it. Not FULL */
    double hopeless_us;  /* JUDGE_DEPTH_TUNE; 0: none is */
    unsigned rules;      /* JUDGE_DEPTH_PROTOCOL */
    bool exact;
};

enum { JUDGE_DEADLINE_MS = 30000, JUDGE_DEADLINE_MODELLED_MS = 120000 };

/* The verdict and everything in it live until the callback returns. */
typedef void (*judge_cb)(void *ud, int code, const struct verdict *verdict, const char *error);

struct judgement *evaluator_judge(struct evaluator *evaluator, const struct judge_request *request,
                                  judge_cb done, void *ud);
/* The callback comes with ERR_CANCELED, now. */
void judge_cancel(struct judgement *judgement);

/* `bytes` lives until the callback returns; code < 0: it doesn't compile, see `error`. */
typedef void (*image_cb)(void *ud, int code, const void *bytes, size_t len, const char *error);

/* The compiled image of a candidate at the task's default shape: a cubin, or PTX if modelled. */
void evaluator_image(struct evaluator *evaluator, const struct task *task,
                     const struct candidate *candidate, image_cb done, void *ud);
/* The same at another shape, whose defines may differ. */
void evaluator_image_at(struct evaluator *evaluator, const struct task *task,
                        const struct shape *shape, const struct candidate *candidate, image_cb done,
                        void *ud);

/* The compute-sanitizer that --sanitize would start; NULL: none was found. The caller frees it. */
char *evaluator_sanitizer(void);

/* Median time of the device's own copy that reads and writes `bytes` in all; code < 0: see `error`. */
typedef void (*copy_cb)(void *ud, int code, double median_us, const char *error);
void evaluator_copy(struct evaluator *evaluator, int64_t bytes, copy_cb done, void *ud);

/*
 * What the device reaches at best, measured now (about two seconds; the simulator has nothing to
 * measure). Judgements that start after evaluator_set_ceilings give their share of it; before, or
 * without it, of what theory says.
 */
typedef void (*ceilings_cb)(void *ud, int code, const struct ceilings *ceilings, const char *error);
void evaluator_measure_ceilings(struct evaluator *evaluator, ceilings_cb done, void *ud);
void evaluator_set_ceilings(struct evaluator *evaluator, const struct ceilings *ceilings);

/* Can hardware counters be read here? Starts a worker to see, and runs the loop meanwhile.
 * ERR_UNSUPPORTED with the reason and what to do. */
int evaluator_counters(struct evaluator *evaluator, struct err *err);

/* The worker's process ids, 0 where none runs: [0] device, then compile. For tests and kills. */
size_t evaluator_pids(const struct evaluator *evaluator, int *ret_pids, size_t most);
