#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * The rig: the device memory of one case. The candidate has one set of buffers (two for timing, so
 * that addresses change from run to run); the reference has its own inputs and outputs, made anew
 * from the same key after the candidate ran; the baseline works on the candidate's tensors with
 * scratch of its own; `kept` holds copies of outputs for comparing two runs.
 *
 * A buffer lies at the end of its slab, between two zones filled with a pattern. Placed tight it
 * ends within 16 bytes of the mapping's end, so that reading past it faults; placed loose there is
 * a zone of at least 256 bytes behind it and its address is a multiple of 256, as an allocator's.
 */
#include "base/arena.h"
#include "evaluator/worker/gate.h"
#include "evaluator/worker/job.h"
#include "evaluator/worker/slab.h"

enum { RIG_SETS = 2, RIG_FRONT_ZONE = 4096, RIG_BACK_ZONE = 256 };

struct rig_buffers {
    size_t n;
    const struct bound_buffer *buffers;
    struct slab **slabs; /* NULL where another's memory is used */
    CUdeviceptr *at;
};

struct rig {
    struct gpu *gpu;
    struct slabs *slabs;
    struct gate *gate;
    const struct job *job;
    const struct job_case *one;
    size_t n_tensors, n_sets, n_zones;
    bool tight, unary; /* unary: one input of numbers and no matrix of weights */
    uint64_t weights_trial; /* one set of weights for all trials; 0: each has its own */
    uint32_t pattern;       /* of the zones, secret */
    struct rig_buffers sets[RIG_SETS], baseline[RIG_SETS], reference, kept;
    struct gate_zone zones[GATE_ZONES];
    const struct bound_buffer *zone_buffer[GATE_ZONES];
    bool zone_behind[GATE_ZONES];
};

/* -ENOMEM where the case doesn't fit the device. Two sets only where there is room. */
int rig_open(struct rig *rig, struct slabs *slabs, struct gate *gate, const struct job *job,
             const struct job_case *one, size_t sets, struct arena *arena, struct err *err);
/* For who needs of the reference its outputs alone: its inputs never lie here, nothing can be kept. */
int rig_open_bare(struct rig *rig, struct slabs *slabs, struct gate *gate, const struct job *job,
                  const struct job_case *one, struct arena *arena, struct err *err);
void rig_close(struct rig *rig);

/* Places every buffer of the sets and fills the zones. Needed once before anything is run. */
int rig_place(struct rig *rig, bool tight, struct err *err);
/* Slot gets the number of bytes that changed in the zones and the lowest address. */
int rig_check_zones(struct rig *rig, int slot, struct err *err);
/* "3 bytes past the end of y": where that address lies. */
void rig_describe(const struct rig *rig, uint64_t address, char *ret, size_t size);

/* The same for any address in or just behind a buffer's slab; false where none is near. */
bool rig_locate(const struct rig *rig, uint64_t address, char *ret, size_t size);

enum rig_part { RIG_PART_INPUTS = 1, RIG_PART_WEIGHTS = 2, RIG_PART_INOUT = 4, RIG_PART_ALL = 7 };

/* Makes the tensors of these parts; weights always have the task's own distribution. */
int rig_fill(struct rig *rig, struct rig_buffers *to, unsigned parts, uint64_t trial,
             enum gate_mode mode, struct err *err);
/* Ones, cheaply, for modelled runs whose values don't matter; indices are drawn. */
int rig_fill_cheaply(struct rig *rig, struct rig_buffers *to, struct err *err);

/* Two NaN patterns for every floating type, and plausible numbers, drawn anew for each buffer. */
enum rig_poison { RIG_POISON_A, RIG_POISON_B, RIG_POISON_NUMBERS };
int rig_poison_inputs(struct rig *rig, struct rig_buffers *to, struct err *err);
int rig_poison_outputs(struct rig *rig, struct rig_buffers *to, enum rig_poison which,
                       struct err *err);
int rig_poison_scratch(struct rig *rig, struct rig_buffers *to, enum rig_poison which,
                       struct err *err);
uint32_t rig_poison_word(enum rig_poison which);
/* Scratch that nobody ever wrote, for the simulator's diagnosis. */
int rig_renew_scratch(struct rig *rig, struct rig_buffers *to, struct err *err);

/* What candidates must never find, the reference's tensors and copies of outputs, is mapped only
 * while it is worked with. Where memory can't be unmapped, expected outputs are wiped instead. */
int rig_reveal(struct rig *rig, bool revealed, struct err *err);

/* Inputs and weights of a set; what an output aliases stays writable. */
int rig_protect(struct rig *rig, struct rig_buffers *set, bool writable, struct err *err);

/* Outputs of a set into `kept`; revealed for it. */
int rig_keep(struct rig *rig, const struct rig_buffers *from, struct err *err);

/* Does an output share this input's memory? */
bool rig_is_aliased(const struct rig *rig, size_t tensor);
bool rig_is_output(const struct bound_buffer *buffer);
size_t rig_bytes(const struct bound_buffer *buffer);
