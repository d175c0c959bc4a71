#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * The worker's end of the oracle: a process beside us, in which PyTorch says what is right. Questions
 * go to the agent as frames (FRAME_TYPE_ASK) and come back answered; tensors go through one piece of
 * memory that the oracle made for this judgement alone and whose descriptor it sent over descriptor
 * ORACLE_FD: a memfd where the device is simulated, GPU memory otherwise.
 *
 * That memory is mapped here only while tensors are copied, never while a candidate runs. Inputs
 * are the problem's own, made by seed: who lacks the job's salt can't make them again.
 *
 * Every function fails with ERR_ENVIRONMENT and the oracle's words: trouble of the problem or of the
 * oracle, never the candidate's.
 */
#include "evaluator/worker/channel.h"
#include "evaluator/worker/rig.h"

enum { ORACLE_FD = 4 };

struct oracle {
    struct gpu *gpu;
    const struct channel *channel;
    bool opened, host;
    size_t bytes, granule; /* of the memory; what mappings are multiples of */
    int fd;                /* host */
    void *mapped;          /* host */
    CUmemGenericAllocationHandle handle;
    CUdeviceptr base; /* reserved, mapped now and then */
    size_t places[TASK_TENSORS_MAX];
    /* Of outputs: what PyTorch's own f32 misses double by, at most and as RMS; shares of the RMS. */
    double off[TASK_TENSORS_MAX], off_rms[TASK_TENSORS_MAX];
    /* At most, where operands have the asked precision, by distribution; zeros for f32 and wider. */
    double rounded[TASK_TENSORS_MAX][GATE_MODE_COUNT];
    int hidden; /* draws that KernelBench-Verified has besides KernelBench's: 4, of one problem 5 */
};

/* Opens the job's problem, whose tensors are those of `bound`, for operands of that precision; `plain`:
 * for the functions of that name alone. oracle_close is needed whatever comes. */
int oracle_open(struct oracle *oracle, struct gpu *gpu, const struct channel *channel,
                const struct bound *bound, const char *precision, bool plain, struct err *err);
/* Tells the oracle, too, and gives all back. */
void oracle_close(struct oracle *oracle);

/* Fills the tensors of these parts (rig_part) as the seeds say, one for each part. */
int oracle_make(struct oracle *oracle, const struct rig_buffers *to, size_t n_tensors, unsigned parts,
                const uint64_t seeds[3], enum gate_mode mode, struct err *err);
/* What the reference makes of these buffers' inputs, into their outputs; waits. In double where
 * PyTorch can, or `as_is`: as the problem's file says. */
int oracle_run(struct oracle *oracle, const struct rig_buffers *set, size_t n_tensors, bool as_is,
               struct err *err);

/* A problem as its file has it: weights as Model makes them, inputs as get_inputs draws them. */
struct oracle_plain {
    bool exact;    /* drawn on the CPU from KernelBench's own seeds; else on the device from `seed` */
    int draw;      /* which of KernelBench's draws, where exact; ORACLE_DRAW_TIMED is the timed one */
    uint64_t seed;
    double scale;  /* of inputs that are floating */
};
enum { ORACLE_DRAW_TIMED = -1 };
int oracle_make_plain(struct oracle *oracle, const struct rig_buffers *to, size_t n_tensors,
                      unsigned parts, const struct oracle_plain *how, struct err *err);
/* What Model, as it is, makes of the inputs made last: into these buffers' outputs; waits. */
int oracle_run_plain(struct oracle *oracle, const struct rig_buffers *to, size_t n_tensors,
                     struct err *err);
