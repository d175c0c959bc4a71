#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * A decoded kernel. Calls are inlined, blocks stand in reverse post-order, and virtual registers
 * have got slots in a warp's register memory by their live ranges (a slot's lane is only written by
 * the thread that owns it, so sharing slots is safe under divergence too).
 *
 * A register reference is a byte offset: into the warp's register memory, or, with REF_CONST, into
 * the program's pool of broadcast constants. Lanes are 2, 4 or 8 bytes apart, so a register takes
 * 64, 128 or 256 bytes. Predicates are 32-bit masks in an array of their own.
 *
 * An instruction's references are its destinations, then its sources; `r` repeats the first ones.
 */
#include "evaluator/sim/exec.h"
#include "evaluator/sim/ops.h"

#define REF_CONST 0x80000000u
#define PRED_NONE 0xffffu

enum insn_kind {
    INSN_OP,      /* fn(r0, r1, r2, r3, imm) */
    INSN_SETP,    /* p0|p1 = cmp(r0, r1), combined with p2 */
    INSN_SET,     /* r0 = cmp(r1, r2) and so on as a value; width, imm the value for true */
    INSN_SETP_X2, /* packed halves: p0 and p1 from the low and high ones */
    INSN_PLOGIC,  /* p0 = p1 op p2 */
    INSN_SELP,    /* r0 = p0 ? r1 : r2 */
    INSN_PSET,    /* p0 = imm */
    INSN_CARRY,   /* add.cc and its family */
    INSN_LD,
    INSN_ST,
    INSN_LD_PARAM,
    INSN_ATOM,
    INSN_SPECIAL, /* r0 = a register that changes (clock) or depends on the lane group */
    INSN_JUMP,    /* to target[0] */
    INSN_BRANCH,  /* p0 ? target[0] : target[1] */
    INSN_SWITCH,  /* brx.idx */
    INSN_EXIT,
    INSN_BAR,
    INSN_SHFL,
    INSN_VOTE,
    INSN_MATCH,
    INSN_REDUX,
    INSN_ACTIVEMASK,
    INSN_FENCE,
    INSN_CP_ASYNC,
    INSN_CP_COMMIT,
    INSN_CP_WAIT,
    INSN_LDMATRIX,
    INSN_STMATRIX,
    INSN_MOVMATRIX,
    INSN_MMA,
    INSN_WMMA_LD,
    INSN_WMMA_ST,
    INSN_WMMA_MMA,
    INSN_WGMMA,
    INSN_WGMMA_COMMIT,
    INSN_WGMMA_WAIT,
    INSN_BULK_LOAD,
    INSN_BULK_STORE,
    INSN_BULK_COMMIT,
    INSN_BULK_WAIT,
    INSN_ELECT,
    INSN_MBARRIER,
    INSN_TRAP,
    INSN_ASSERT,
    INSN_SLEEP,
    INSN_NOP,
    INSN_KINDS
};

enum latency_class {
    LAT_ALU,
    LAT_FMA,
    LAT_F64,
    LAT_SFU,
    LAT_TENSOR,
    LAT_SHUFFLE,
    LAT_SHARED,
    LAT_GLOBAL,
    LAT_ATOMIC,
    LAT_CONST,
    LAT_NONE /* ready at once: ptxas makes nothing of it */
};

struct insn {
    uint8_t kind;  /* enum insn_kind */
    uint8_t width; /* bytes a lane of the destination */
    uint8_t n_dst, n_src;
    uint16_t guard; /* predicate, or PRED_NONE */
    bool guard_negated;
    uint8_t latency;                      /* enum latency_class */
    uint16_t p[4];                        /* predicate operands, PRED_NONE where there is none */
    uint8_t p_negated;                    /* bit i: p[i] is negated */
    uint8_t sub, mode, flags;             /* meaning by kind */
    uint8_t space, elem, vec, addr_width; /* memory: enum ptx_space, bytes, elements */
    uint8_t is_signed, pipe, weight, weight_sfu; /* estimated machine instructions */
    uint8_t turns;  /* 0, or it begins a block, of which so many turns are scheduled as one */
    bool read_only; /* a load of memory that nobody writes meanwhile (.nc) */
    bool past_l1;   /* a load that L1 doesn't answer (.cg, .cv, volatile) */
    uint32_t r[5];
    uint32_t refs;      /* index in program->refs */
    uint32_t target[2]; /* blocks */
    uint32_t site;      /* memory instructions: number of its span cache */
    uint32_t line, loc;
    int64_t imm;
    union {
        ops_fn *fn;
        ops_cmp_fn *cmp;
    };
};

struct block {
    uint32_t first, n; /* instructions */
    double issue[EXEC_PIPE_COUNT];
    uint64_t tensor_flops[EXEC_TENSOR_COUNT];
};

/* A special register that is the same throughout a block's life: filled when a warp starts. */
struct program_special {
    uint32_t what; /* enum special */
    uint32_t ref;
};

enum special {
    SPECIAL_TID_X,
    SPECIAL_TID_Y,
    SPECIAL_TID_Z,
    SPECIAL_NTID_X,
    SPECIAL_NTID_Y,
    SPECIAL_NTID_Z,
    SPECIAL_CTAID_X,
    SPECIAL_CTAID_Y,
    SPECIAL_CTAID_Z,
    SPECIAL_NCTAID_X,
    SPECIAL_NCTAID_Y,
    SPECIAL_NCTAID_Z,
    SPECIAL_LANEID,
    SPECIAL_WARPID,
    SPECIAL_NWARPID,
    SPECIAL_SMID,
    SPECIAL_NSMID,
    SPECIAL_GRIDID,
    SPECIAL_LANEMASK_EQ,
    SPECIAL_LANEMASK_LE,
    SPECIAL_LANEMASK_LT,
    SPECIAL_LANEMASK_GE,
    SPECIAL_LANEMASK_GT,
    SPECIAL_DYNAMIC_SMEM,
    SPECIAL_TOTAL_SMEM,
    SPECIAL_ZERO,
    SPECIAL_ONE,
    SPECIAL_ENVREG1,
    SPECIAL_ENVREG2,
    SPECIAL_STATIC_COUNT,
    SPECIAL_CLOCK,
    SPECIAL_CLOCK_HI,
    SPECIAL_CLOCK64,
    SPECIAL_GLOBALTIMER,
    SPECIAL_GLOBALTIMER_LO,
    SPECIAL_GLOBALTIMER_HI
};

struct exec_program {
    const struct ptx_module *module;
    const struct ptx_kernel *kernel;
    struct arena *arena;
    struct insn *insns;
    size_t n_insns;
    struct block *blocks;
    size_t n_blocks;
    uint32_t *refs;
    uint32_t *switch_targets;
    uint8_t *consts; /* 64-byte aligned */
    size_t const_bytes;
    struct program_special *specials;
    size_t n_specials;
    uint32_t reg_bytes; /* of a warp */
    uint32_t n_preds, n_sites;
    uint32_t local_bytes; /* of a thread */
    uint32_t static_shared, live_regs;
    bool uses_fence, uses_carry;
    bool spins; /* a loop of one block reads memory that others write */
    uint16_t carry_pred;
    const struct ops_table *ops;
};
