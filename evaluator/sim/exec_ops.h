#pragma once
/* SPDX-License-Identifier: MIT */
/* What the decoder writes into an instruction's `sub` and `mode`, by kind. */

enum atom_op { /* INSN_ATOM: sub; mode is the enum ptx_type */
               ATOM_ADD,
               ATOM_MIN,
               ATOM_MAX,
               ATOM_AND,
               ATOM_OR,
               ATOM_XOR,
               ATOM_INC,
               ATOM_DEC,
               ATOM_EXCH,
               ATOM_CAS
};
enum shfl_mode { SHFL_UP, SHFL_DOWN, SHFL_BFLY, SHFL_IDX };   /* INSN_SHFL: sub */
enum vote_mode { VOTE_ALL, VOTE_ANY, VOTE_UNI, VOTE_BALLOT }; /* INSN_VOTE: sub */
enum redux_op { /* INSN_REDUX: sub; mode is the enum ptx_type */
                REDUX_ADD,
                REDUX_MIN,
                REDUX_MAX,
                REDUX_AND,
                REDUX_OR,
                REDUX_XOR
};
enum bar_mode { /* INSN_BAR: sub */
                BAR_SYNC,
                BAR_ARRIVE,
                BAR_POPC,
                BAR_AND,
                BAR_OR,
                BAR_WARP
};
enum { BAR_CLUSTER_ID = 16, BAR_COUNT = 17 };
enum combine {
    COMBINE_NONE,
    COMBINE_AND,
    COMBINE_OR,
    COMBINE_XOR
};                                    /* INSN_SETP, SET, PLOGIC: mode */
enum { CARRY_IN = 1, CARRY_OUT = 2 }; /* INSN_CARRY: flags */
enum mma_kind {                       /* INSN_MMA, INSN_WMMA_MMA: sub for a, elem for b */
                MMA_F16,
                MMA_BF16,
                MMA_TF32,
                MMA_S8,
                MMA_U8,
                MMA_F64,
                MMA_E4M3,
                MMA_E5M2
};
enum {
    MMA_C_HALF = 1,
    MMA_D_HALF = 2,
    MMA_SATURATE = 4
};                 /* mode; target[0]: m, [1]: n | k << 16 */
enum { /* INSN_WGMMA: mode; sub is the enum mma_kind, vec the registers of a (0: a descriptor), imm
          the warp's FLOPs, target[0] n, target[1] k, p[0] whether d is added to */
       WGMMA_NEGATE_A = 1,
       WGMMA_NEGATE_B = 2
};
enum mbarrier_op { /* INSN_MBARRIER: sub; mode: bytes of its operand */
                   MBARRIER_INIT,
                   MBARRIER_INVAL,
                   MBARRIER_ARRIVE,
                   MBARRIER_ARRIVE_TX,
                   MBARRIER_DROP,
                   MBARRIER_DROP_TX,
                   MBARRIER_EXPECT_TX,
                   MBARRIER_COMPLETE_TX,
                   MBARRIER_WAIT,
                   MBARRIER_WAIT_PARITY,
                   MBARRIER_COPIES,
                   MBARRIER_COPIES_NOINC
};
enum { MBARRIER_PENDING_MASK = 0xfffff };  /* of the object's lowest bits */
enum wmma_part { WMMA_A, WMMA_B, WMMA_C }; /* INSN_WMMA_LD, _ST: sub; flags: 1 for .col */
