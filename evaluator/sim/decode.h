#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * From statements to a program, in three passes: decode.c walks the kernel and inlines calls,
 * emitting instructions whose references are virtual registers; decode_flow.c finds the blocks and
 * puts them in order; decode_regs.c gives registers their slots. What is shared by the files that
 * decode families of instructions is here.
 *
 * The statement being decoded is `d->s`. Its modifiers are taken one by one (mod, type_at); what
 * nobody took makes the instruction "unsupported", so nothing is ignored silently. Decoders return
 * 0 or the code that fail() or refuse() recorded.
 */
#include "base/arena.h"
#include "evaluator/sim/exec_program.h"
#include "evaluator/sim/ptx_ast.h"

enum {
    DECODE_MAX_INSNS = 1 << 20,
    DECODE_MAX_DEPTH = 24, /* of inlined calls */
    DECODE_MAX_PREDS = 60000,
    DECODE_MAX_VREGS = 1 << 21
};

struct decode_place { /* where a variable of the kernel or of an inlined function lies */
    const struct ptx_var *var;
    uint32_t offset;
};

struct decode_frame {
    const struct ptx_func *func;
    const struct decode_frame *up;
    unsigned depth;
    uint32_t *reg; /* virtual register, or predicate, of each register */
    uint32_t *at;  /* instruction index of each statement, and of the end */
    struct decode_place *places;
    size_t n_places, cap_places;
};

struct decode_fixup {
    uint32_t insn, slot, stmt;
};

struct decoder {
    struct exec_program *program;
    const struct ptx_module *module;
    struct arena *arena; /* the program's */
    struct arena *work;  /* thrown away after decoding */
    struct err *err;
    int failed;
    struct decode_frame *frame;
    const struct ptx_stmt *s;
    uint32_t taken; /* parts of s that were understood */
    bool relu;      /* .relu, handed from one decoder to the next */
    struct insn *insns;
    size_t n_insns, cap_insns;
    uint32_t *refs;
    size_t n_refs, cap_refs;
    uint8_t *vreg_size;
    size_t n_vregs, cap_vregs;
    uint32_t n_preds;
    struct decode_fixup *fixups;
    size_t n_fixups, cap_fixups;
    uint64_t *const_value;
    uint32_t *const_ref;
    size_t n_consts, cap_consts, cap_const_refs;
    uint32_t special_ref[SPECIAL_STATIC_COUNT]; /* virtual register + 1 */
    struct decode_place *shared;
    size_t n_shared, cap_shared;
    uint32_t *switches;
    size_t n_switches, cap_switches;
};

/* Failing. fail: the text is wrong; refuse: it isn't simulated. Both name kernel and line. */
int decode_fail(struct decoder *d, const char *format, ...)
    __attribute__((format(printf, 2, 3), cold));
int decode_refuse(struct decoder *d, const char *what) __attribute__((cold));

/* Modifiers of d->s. */
bool mod(struct decoder *d, const char *name);                /* takes it if it is there */
void mod_ignore(struct decoder *d, const char *const *names); /* takes all of a NULL-ended list */
enum ptx_type type_at(struct decoder *d,
                      unsigned from_end); /* the parts from the end; fails if none */
unsigned rounding(struct decoder *d);     /* OPS_RN.., takes .rn .rz .rm .rp */

/* Emitting. The pointer is good until the next emit. */
struct insn *emit(struct decoder *d, enum insn_kind kind);
void add_dst(struct decoder *d, uint32_t ref);
void add_src(struct decoder *d, uint32_t ref);
/* fn over up to three sources (REF_NONE where there is none). */
#define REF_NONE 0xffffffffu
struct insn *emit_op(struct decoder *d, enum ops_id id, uint32_t dst, uint32_t a, uint32_t b,
                     uint32_t c);
struct insn *emit_fn(struct decoder *d, ops_fn *fn, unsigned width, uint32_t dst, uint32_t a,
                     uint32_t b, uint32_t c, uint32_t imm);
void cost(struct insn *in, enum exec_pipe pipe, unsigned weight, enum latency_class latency);

/* Operands. Sizes are in bytes of a lane's slot (2, 4, 8). */
uint32_t new_vreg(struct decoder *d, unsigned size);
uint32_t new_pred(struct decoder *d);
uint32_t const_ref(struct decoder *d, uint64_t value, unsigned size);
unsigned slot_size(enum ptx_type type);
int operand_count(struct decoder *d, unsigned min, unsigned max);
int dst_reg(struct decoder *d, const struct ptx_operand *op, unsigned size, uint32_t *ret_ref);
int src_value(struct decoder *d, const struct ptx_operand *op, enum ptx_type type,
              uint32_t *ret_ref);
int pred_dst(struct decoder *d, const struct ptx_operand *op, uint16_t *ret_pred);
int pred_src(struct decoder *d, const struct ptx_operand *op, uint16_t *ret_pred,
             bool *ret_negated);
unsigned operand_slot(struct decoder *d, const struct ptx_operand *op); /* 0 if not a register */
/* Address of a variable in its own space. */
int var_address(struct decoder *d, const struct ptx_var *var, uint64_t *ret_addr);
/* [base+offset] as a source of the instruction: its reference, width and immediate. */
struct address {
    uint32_t ref;
    uint8_t width;
    int64_t offset;
    const struct ptx_var *var; /* when the base is a variable: ref is then a constant */
};
int memory_address(struct decoder *d, const struct ptx_operand *op, struct address *ret_address);
void address_of(struct insn *in, const struct address *a, enum ptx_space space);
extern const char *const decode_cache_hints[]; /* modifiers that change no result here */
uint32_t local_alloc(struct decoder *d, uint64_t size, uint32_t align);

void *ptx_grow(struct arena *arena, void *array, size_t n, size_t *cap, size_t size);

/* Families, each in its file; NULL-ended tables of what they decode. */
struct decode_entry {
    const char *name;
    int (*decode)(struct decoder *d);
};
extern const struct decode_entry decode_int_table[], decode_float_table[], decode_cvt_table[],
    decode_pred_table[], decode_mem_table[], decode_warp_table[], decode_flow_table[],
    decode_matrix_table[], decode_mbarrier_table[], decode_bits_table[], decode_async_table[],
    decode_wgmma_table[];
/* d = op(a, b[, c]), all of one type. */
int decode_simple(struct decoder *d, enum ops_id id, enum ptx_type type, unsigned n,
                  struct insn **ret_insn);
/* add, sub, mul, fma, min, max, neg, abs, div of a floating-point type (already taken). */
int decode_arith(struct decoder *d, const char *op, enum ptx_type type);
int decode_copy_arrive(struct decoder *d); /* cp.async.mbarrier.arrive */
int decode_bulk(struct decoder *d);        /* cp.async.bulk */
int decode_pred_logic(struct decoder *d);
int decode_body(struct decoder *d, struct decode_frame *frame);

/* Passes after decoding. */
int decode_layout(struct decoder *d);     /* blocks, order, jumps */
int decode_registers(struct decoder *d); /* slots, references */
void decode_costs(struct exec_program *program);
void decode_unroll(struct exec_program *program); /* for the profile's critical path */
