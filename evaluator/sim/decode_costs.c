/* SPDX-License-Identifier: MIT */
/* Sums of estimated machine instructions for each block, so that running a block counts once. */
#include "evaluator/sim/decode.h"
#include "evaluator/sim/exec_ops.h"

static void add_tensor(struct block *b, const struct insn *in)
{
    static const uint8_t types[] = {EXEC_TENSOR_F16, EXEC_TENSOR_F16, EXEC_TENSOR_TF32,
                                    EXEC_TENSOR_I8,  EXEC_TENSOR_I8,  EXEC_TENSOR_F64,
                                    EXEC_TENSOR_F8,  EXEC_TENSOR_F8};
    if (in->kind == INSN_MMA || in->kind == INSN_WMMA_MMA)
        b->tensor_flops[types[in->sub]] += (uint64_t)in->imm;
    if (in->kind == INSN_WGMMA)
        b->tensor_flops[in->sub == MMA_TF32 ? EXEC_TENSOR_WG_TF32 : EXEC_TENSOR_WG_F16] +=
            (uint64_t)in->imm;
}

void decode_costs(struct exec_program *program)
{
    for (size_t i = 0; i < program->n_blocks; i++) {
        struct block *b = &program->blocks[i];
        for (uint32_t k = b->first; k < b->first + b->n; k++) {
            const struct insn *in = &program->insns[k];
            b->issue[in->pipe] += in->weight;
            b->issue[EXEC_PIPE_SFU] += in->weight_sfu;
            add_tensor(b, in);
        }
    }
}
