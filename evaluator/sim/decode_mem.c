/* SPDX-License-Identifier: MIT */
/* Loads, stores, atomics, and address spaces. */
#include "evaluator/sim/decode.h"
#include "evaluator/sim/exec_ops.h"
#include "evaluator/sim/vmem.h"

#include <string.h>

/* Hints that change no result here. */
const char *const decode_cache_hints[] = {"ca",
                                          "cg",
                                          "cs",
                                          "lu",
                                          "cv",
                                          "nc",
                                          "wb",
                                          "wt",
                                          "L1::evict_normal",
                                          "L1::evict_unchanged",
                                          "L1::evict_first",
                                          "L1::evict_last",
                                          "L1::no_allocate",
                                          "L2::evict_normal",
                                          "L2::evict_first",
                                          "L2::evict_last",
                                          "L2::64B",
                                          "L2::128B",
                                          "L2::256B",
                                          "cta",
                                          "cluster",
                                          "gpu",
                                          "sys",
                                          "unified",
                                          "weak",
                                          NULL};

static enum ptx_space space_mod(struct decoder *d)
{
    static const struct {
        const char *name;
        enum ptx_space space;
    } names[] = {{"global", PTX_GLOBAL},      {"shared", PTX_SHARED},
                 {"shared::cta", PTX_SHARED}, {"shared::cluster", PTX_SHARED},
                 {"local", PTX_LOCAL},        {"const", PTX_CONST},
                 {"param", PTX_PARAM},        {"param::entry", PTX_PARAM},
                 {"param::func", PTX_PARAM}};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (mod(d, names[i].name))
            return names[i].space;
    return PTX_GENERIC;
}

/* Orders memory between warps: the race check treats it as synchronisation. */
static bool ordered(struct decoder *d)
{
    bool is = mod(d, "volatile");
    is |= mod(d, "relaxed");
    is |= mod(d, "acquire");
    is |= mod(d, "release");
    is |= mod(d, "acq_rel");
    is |= mod(d, "mmio");
    return is;
}

static unsigned vec_mod(struct decoder *d)
{
    return mod(d, "v2") ? 2 : mod(d, "v4") ? 4 : mod(d, "v8") ? 8 : 1;
}

void address_of(struct insn *in, const struct address *a, enum ptx_space space)
{
    in->addr_width = a->width;
    in->imm = a->offset;
    in->space = (uint8_t)space;
}

static void cost_memory(struct insn *in)
{
    bool shared = in->space == PTX_SHARED, constant = in->space == PTX_CONST;
    cost(in, EXEC_PIPE_LSU, 1, shared ? LAT_SHARED : constant ? LAT_CONST : LAT_GLOBAL);
}

/* The registers of a load or store: one, or as many as its vector has. */
static int vector_operands(struct decoder *d, const struct ptx_operand *op, unsigned vec,
                           const struct ptx_operand **ret_first)
{
    if (vec > 1 && (op->kind != PTX_OPERAND_VEC || op->n != vec))
        return decode_fail(d, "a list of %u operands expected", vec);
    if (vec == 1 && op->kind == PTX_OPERAND_VEC) {
        if (op->n != 1)
            return decode_fail(d, "one operand expected");
        *ret_first = op->vec;
        return 0;
    }
    *ret_first = vec > 1 ? op->vec : op;
    return 0;
}

/* Where a .param of a function (not of the kernel) lies: it is local memory here. */
static enum ptx_space real_space(enum ptx_space space, const struct address *a)
{
    if (space == PTX_PARAM && a->var && !a->var->is_kernel_param)
        return PTX_LOCAL;
    return space;
}

static int decode_ld(struct decoder *d)
{
    enum ptx_type type = type_at(d, 0);
    bool read_only = mod(d, "nc"), past_l1 = mod(d, "cg") || mod(d, "cv");
    mod_ignore(d, decode_cache_hints);
    bool sync = ordered(d), policy = mod(d, "L2::cache_hint");
    enum ptx_space space = space_mod(d);
    unsigned vec = vec_mod(d), slot = 0;
    const struct ptx_operand *regs = NULL;
    struct address a;
    uint32_t dst[8];
    d->program->uses_fence |= sync && (space == PTX_GLOBAL || space == PTX_GENERIC);
    if (d->failed || operand_count(d, 2, policy ? 3 : 2) ||
        vector_operands(d, &d->s->operands[0], vec, &regs) ||
        memory_address(d, &d->s->operands[1], &a))
        return d->failed;
    if (ptx_type_size(type) > 8 || type == PTX_PRED)
        return decode_refuse(d, "this type");
    for (unsigned i = 0; i < vec; i++)
        if (regs[i].kind != PTX_OPERAND_SINK)
            slot = operand_slot(d, &regs[i]);
    slot = slot ? slot : slot_size(type);
    if (slot < slot_size(type))
        return decode_fail(d, "the destination is too narrow");
    for (unsigned i = 0; i < vec; i++)
        if (dst_reg(d, &regs[i], slot, &dst[i]))
            return d->failed;
    space = real_space(space, &a);
    bool param = space == PTX_PARAM && a.var && vec == 1;
    struct insn *in = emit(d, param ? INSN_LD_PARAM : INSN_LD);
    address_of(in, &a, space);
    in->elem = (uint8_t)ptx_type_size(type);
    in->vec = (uint8_t)vec;
    in->width = (uint8_t)slot;
    in->is_signed = ptx_type_is_signed(type);
    in->flags = sync;
    in->read_only = read_only;
    in->past_l1 = past_l1 || sync;
    cost_memory(in);
    for (unsigned i = 0; i < vec; i++)
        add_dst(d, dst[i]);
    if (!param) {
        in->site = d->program->n_sites++;
        add_src(d, a.ref);
        return d->failed;
    }
    in->imm += (int64_t)a.var->addr;
    cost(in, EXEC_PIPE_ALU, 0, LAT_NONE);
    if (in->imm < 0 || in->imm + in->elem > d->program->kernel->param_size)
        return decode_fail(d, "outside of the parameters");
    return d->failed;
}

static int decode_st(struct decoder *d)
{
    enum ptx_type type = type_at(d, 0);
    mod_ignore(d, decode_cache_hints);
    bool sync = ordered(d), policy = mod(d, "L2::cache_hint");
    enum ptx_space space = space_mod(d);
    unsigned vec = vec_mod(d), slot = 0;
    const struct ptx_operand *regs = NULL;
    struct address a;
    uint32_t src[8];
    if (d->failed || operand_count(d, 2, policy ? 3 : 2) ||
        memory_address(d, &d->s->operands[0], &a) ||
        vector_operands(d, &d->s->operands[1], vec, &regs))
        return d->failed;
    if (ptx_type_size(type) > 8 || type == PTX_PRED)
        return decode_refuse(d, "this type");
    for (unsigned i = 0; i < vec; i++)
        if (operand_slot(d, &regs[i]))
            slot = operand_slot(d, &regs[i]);
    slot = slot ? slot : slot_size(type);
    if (slot < slot_size(type))
        return decode_fail(d, "the value is too narrow");
    enum ptx_type as = slot == 2 ? PTX_B16 : slot == 4 ? PTX_B32 : PTX_B64;
    if (slot == slot_size(type))
        as = type; /* so that immediates are read as what they are */
    for (unsigned i = 0; i < vec; i++)
        if (src_value(d, &regs[i], as, &src[i]))
            return d->failed;
    space = real_space(space, &a);
    if (space == PTX_CONST || space == PTX_PARAM)
        return decode_fail(d, "a store to read-only memory");
    struct insn *in = emit(d, INSN_ST);
    address_of(in, &a, space);
    in->elem = (uint8_t)ptx_type_size(type);
    in->vec = (uint8_t)vec;
    in->width = (uint8_t)slot;
    in->flags = sync;
    in->site = d->program->n_sites++;
    cost_memory(in);
    in->latency = LAT_NONE;
    add_src(d, a.ref);
    for (unsigned i = 0; i < vec; i++)
        add_src(d, src[i]);
    return d->failed;
}

static int atom_op(struct decoder *d)
{
    static const char *const names[] = {"add", "min", "max", "and",  "or",
                                        "xor", "inc", "dec", "exch", "cas"};
    for (int i = 0; i < 10; i++)
        if (mod(d, names[i]))
            return i;
    return -1;
}

static bool atom_allowed(int op, enum ptx_type type)
{
    bool is_float = ptx_type_is_float(type);
    unsigned size = ptx_type_size(type);
    if (op < 0 || type == PTX_TF32 || type == PTX_F32X2 || type == PTX_S16X2 || type == PTX_U16X2)
        return false;
    if (is_float)
        return op == ATOM_ADD ||
               ((op == ATOM_MIN || op == ATOM_MAX) && type != PTX_F32 && type != PTX_F64);
    if (size == 2)
        return op == ATOM_CAS || op == ATOM_EXCH;
    return (size == 4 || size == 8) && !((op == ATOM_INC || op == ATOM_DEC) && size == 8);
}

static int decode_atom(struct decoder *d)
{
    bool red = d->s->part[0][0] == 'r';
    enum ptx_type type = type_at(d, 0);
    ordered(d);
    mod_ignore(d, decode_cache_hints);
    mod(d, "noftz");
    bool policy = mod(d, "L2::cache_hint");
    enum ptx_space space = space_mod(d);
    unsigned vec = vec_mod(d), first = red ? 0 : 1;
    int op = atom_op(d);
    unsigned n = first + 2 + (op == ATOM_CAS), slot = slot_size(type);
    const struct ptx_operand *ops = d->s->operands, *dst_ops = NULL, *src_ops = NULL;
    struct address a;
    uint32_t dst[8], src[8], other = REF_NONE;
    if (d->failed || operand_count(d, n, policy ? n + 1 : n) ||
        memory_address(d, &ops[first], &a) ||
        (!red && vector_operands(d, &ops[0], vec, &dst_ops)) ||
        vector_operands(d, &ops[first + 1], vec, &src_ops))
        return d->failed;
    if (!atom_allowed(op, type) || (vec > 1 && !(ptx_type_is_float(type) && space == PTX_GLOBAL)) ||
        (space != PTX_GENERIC && space != PTX_GLOBAL && space != PTX_SHARED))
        return decode_refuse(d, "this operation on this type");
    for (unsigned i = 0; i < vec; i++)
        if (src_value(d, &src_ops[i], type, &src[i]) ||
            (!red && dst_reg(d, &dst_ops[i], slot, &dst[i])))
            return d->failed;
    if (op == ATOM_CAS && src_value(d, &ops[first + 2], type, &other))
        return d->failed;
    struct insn *in = emit(d, INSN_ATOM);
    address_of(in, &a, space);
    in->elem = (uint8_t)ptx_type_size(type);
    in->vec = (uint8_t)vec;
    in->width = (uint8_t)slot;
    in->sub = (uint8_t)op;
    in->mode = (uint8_t)type;
    in->site = d->program->n_sites++;
    cost(in, EXEC_PIPE_LSU, 1, red ? LAT_NONE : space == PTX_SHARED ? LAT_SHARED : LAT_ATOMIC);
    for (unsigned i = 0; !red && i < vec; i++)
        add_dst(d, dst[i]);
    add_src(d, a.ref);
    for (unsigned i = 0; i < vec; i++)
        add_src(d, src[i]);
    if (other != REF_NONE)
        add_src(d, other);
    return d->failed;
}

static uint64_t window_of(enum ptx_space space)
{
    return space == PTX_SHARED  ? EXEC_SHARED_WINDOW
           : space == PTX_LOCAL ? EXEC_LOCAL_WINDOW
           : space == PTX_PARAM ? EXEC_PARAM_WINDOW
                                : 0;
}

static int decode_cvta(struct decoder *d)
{
    bool to = mod(d, "to");
    enum ptx_space space = space_mod(d);
    enum ptx_type type = type_at(d, 0);
    const struct ptx_operand *ops = d->s->operands;
    uint32_t dst, a;
    uint64_t window = window_of(space);
    if (d->failed || operand_count(d, 2, 2))
        return d->failed;
    if (type != PTX_U64 || space == PTX_GENERIC)
        return decode_refuse(d, "this form");
    if (ops[1].kind == PTX_OPERAND_VAR && space == PTX_PARAM && !ops[1].var->is_kernel_param)
        window = EXEC_LOCAL_WINDOW;
    if (src_value(d, &ops[1], PTX_U64, &a) || dst_reg(d, &ops[0], 8, &dst))
        return d->failed;
    struct insn *in =
        window ? emit_op(d, OPS_ADD_64, dst, a, const_ref(d, to ? -window : window, 8), REF_NONE)
               : emit_op(d, OPS_MOV_64, dst, a, REF_NONE, REF_NONE);
    cost(in, EXEC_PIPE_ALU, 0, LAT_NONE);
    return d->failed;
}

static int decode_isspacep(struct decoder *d)
{
    enum ptx_space space = space_mod(d);
    const struct ptx_operand *ops = d->s->operands;
    uint64_t base = space == PTX_GLOBAL ? VMEM_BASE : window_of(space);
    uint64_t size = space == PTX_GLOBAL  ? VMEM_END - VMEM_BASE
                    : space == PTX_CONST ? 0
                                         : EXEC_WINDOW_SIZE;
    uint32_t a, off = new_vreg(d, 8);
    uint16_t p;
    if (space == PTX_GENERIC)
        return decode_refuse(d, "");
    if (d->failed || operand_count(d, 2, 2) || src_value(d, &ops[1], PTX_U64, &a) ||
        pred_dst(d, &ops[0], &p))
        return d->failed;
    uint32_t minus = const_ref(d, -base, 8), limit = const_ref(d, size, 8);
    emit_op(d, OPS_ADD_64, off, a, minus, REF_NONE);
    struct insn *in = emit(d, INSN_SETP);
    in->cmp = d->program->ops->cmp[OPS_CMP_LT_U64];
    in->p[0] = p;
    cost(in, EXEC_PIPE_ALU, 1, LAT_ALU);
    add_src(d, off);
    add_src(d, limit);
    return d->failed;
}

static int decode_nothing(struct decoder *d)
{
    d->taken = UINT32_MAX;
    cost(emit(d, INSN_NOP), EXEC_PIPE_LSU, 1, LAT_NONE);
    return d->failed;
}

/* createpolicy gives a value that only cache hints read. */
static int decode_createpolicy(struct decoder *d)
{
    uint32_t dst;
    d->taken = UINT32_MAX;
    if (operand_count(d, 1, 5) || dst_reg(d, &d->s->operands[0], 8, &dst))
        return d->failed;
    emit_op(d, OPS_MOV_64, dst, const_ref(d, 0, 8), REF_NONE, REF_NONE)->weight = 0;
    return d->failed;
}

const struct decode_entry decode_mem_table[] = {{"ld", decode_ld},
                                                {"ldu", decode_ld},
                                                {"st", decode_st},
                                                {"atom", decode_atom},
                                                {"red", decode_atom},
                                                {"cvta", decode_cvta},
                                                {"isspacep", decode_isspacep},
                                                {"prefetch", decode_nothing},
                                                {"prefetchu", decode_nothing},
                                                {"discard", decode_nothing},
                                                {"applypriority", decode_nothing},
                                                {"createpolicy", decode_createpolicy},
                                                {NULL, NULL}};
