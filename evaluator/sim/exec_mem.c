/* SPDX-License-Identifier: MIT */
/* Loads and stores. An access is resolved to host memory first: as one piece where all lanes lie in
 * one allocation (nearly always), else lane by lane; then values move. */
#include "evaluator/sim/exec_parts.h"

#include <inttypes.h>

static inline bool span_allows(const struct vmem_span *s, const struct access *a)
{
    return a->write ? s->writable && (!a->atomic || s->readable) : s->readable;
}

/* The span that holds [addr, addr + size) and allows the access, through the instruction's cache.
 */
static const struct vmem_span *find_span(struct exec_scratch *x, const struct insn *in,
                                         const struct access *a, uint64_t addr, uint64_t size)
{
    const struct vmem_span *s = x->sites[in->site];
    if (!s || !vmem_covers(s, addr, size)) {
        s = vmem_find(x->launch->mem, addr);
        if (!s || !vmem_covers(s, addr, size))
            return NULL;
        x->sites[in->site] = s;
    }
    return span_allows(s, a) ? s : NULL;
}

static int resolve_global(struct exec_scratch *x, struct warp *w, const struct insn *in,
                          struct access *a, unsigned lane)
{
    const struct vmem_span *s = find_span(x, in, a, a->addr[lane], a->bytes);
    if (!s || a->addr[lane] % a->bytes)
        return fault_access(x, w, in, a, lane, PTX_GLOBAL);
    a->ptr[lane] = vmem_host(s, a->addr[lane]);
    a->shadow[lane] = s->shadow ? s->shadow + (a->addr[lane] - s->addr) : NULL;
    return 0;
}

/* Memory of the block or thread: an offset below `size`. */
static int resolve_window(struct exec_scratch *x, struct warp *w, const struct insn *in,
                          struct access *a, unsigned lane, enum ptx_space space, uint64_t offset)
{
    uint8_t *base = x->shared, *shadow = x->shared_shadow;
    uint64_t size = x->shared_bytes;
    if (space == PTX_LOCAL) {
        size = x->program->local_bytes;
        base = w->local + lane * size;
        shadow = w->local_shadow ? w->local_shadow + lane * size : NULL;
    } else if (space == PTX_PARAM) {
        size = x->program->kernel->param_size;
        base = (uint8_t *)x->launch->params;
        shadow = NULL;
    }
    if (offset > size || a->bytes > size - offset || offset % a->bytes ||
        (space == PTX_PARAM && a->write))
        return fault_access(x, w, in, a, lane, space);
    a->ptr[lane] = base + offset;
    a->shadow[lane] = shadow ? shadow + offset : NULL;
    return 0;
}

static enum ptx_space space_of(uint64_t addr, uint64_t *ret_offset)
{
    if (addr - EXEC_SHARED_WINDOW < EXEC_WINDOW_SIZE) {
        *ret_offset = addr - EXEC_SHARED_WINDOW;
        return PTX_SHARED;
    }
    if (addr - EXEC_LOCAL_WINDOW < EXEC_WINDOW_SIZE) {
        *ret_offset = addr - EXEC_LOCAL_WINDOW;
        return PTX_LOCAL;
    }
    if (addr - EXEC_PARAM_WINDOW < EXEC_WINDOW_SIZE) {
        *ret_offset = addr - EXEC_PARAM_WINDOW;
        return PTX_PARAM;
    }
    *ret_offset = addr;
    return PTX_GLOBAL;
}

static int resolve_lanes(struct exec_scratch *x, struct warp *w, const struct insn *in,
                         struct access *a)
{
    a->shape = ACCESS_MIXED;
    for (uint32_t m = a->mask; m; m &= m - 1) {
        unsigned lane = (unsigned)__builtin_ctz(m);
        uint64_t offset = a->addr[lane];
        enum ptx_space space = in->space == PTX_GENERIC ? space_of(offset, &offset) : in->space;
        int rc = space == PTX_GLOBAL || space == PTX_CONST
                     ? resolve_global(x, w, in, a, lane)
                     : resolve_window(x, w, in, a, lane, space, offset);
        if (rc)
            return rc;
        if (m == a->mask)
            a->space = space;
    }
    for (unsigned lane = 0; lane < 32; lane++)
        if (!(a->mask >> lane & 1)) { /* harmless to read */
            a->ptr[lane] = a->ptr[__builtin_ctz(a->mask)];
            a->shadow[lane] = NULL;
        }
    return 0;
}

/* All lanes in one allocation, or in the block's shared memory: one check for all. False: go lane
 * by lane, which also finds the lane at fault. */
static bool resolve_piece(struct exec_scratch *x, const struct insn *in, struct access *a,
                          const struct ops_addresses *s)
{
    uint64_t lo = s->lo, hi = s->hi, size = s->hi - s->lo + a->bytes;
    enum ptx_space space = in->space;
    if (s->low_bits & (a->bytes - 1))
        return false;
    if (space == PTX_GENERIC) {
        space = space_of(s->lo, &lo);
        if (space != space_of(s->hi, &hi))
            return false;
    }
    if (space == PTX_SHARED) {
        if (lo > x->shared_bytes || size > x->shared_bytes - lo)
            return false;
        a->base = x->shared + lo;
        a->base_shadow = x->shared_shadow ? x->shared_shadow + lo : NULL;
    } else if (space == PTX_GLOBAL || space == PTX_CONST) {
        const struct vmem_span *span = find_span(x, in, a, lo, size);
        if (!span)
            return false;
        a->base = vmem_host(span, lo);
        a->base_shadow = span->shadow ? span->shadow + (lo - span->addr) : NULL;
    } else {
        return false;
    }
    a->space = space;
    a->shape = s->uniform ? ACCESS_UNIFORM : s->in_a_row ? ACCESS_WHOLE : ACCESS_SPREAD;
    if (a->shape == ACCESS_SPREAD)
        for (unsigned i = 0; i < 32; i++)
            a->offset[i] = a->addr[i] - s->lo;
    return true;
}

static int unwritten(struct exec_scratch *x, struct warp *w, const struct insn *in,
                     const struct access *a, unsigned lane)
{
    static const char *const names[] = {"", "global", "shared", "local", "constant", "", ""};
    return fault_at(x, w, in, lane, EXEC_FAULT_UNWRITTEN, a->addr[lane],
                    "read of %u bytes of %s memory at 0x%" PRIx64 " that nobody has written",
                    a->bytes, names[a->space], a->addr[lane]);
}

static const uint8_t *shadow_at(const struct access *a, unsigned lane)
{
    if (a->shape == ACCESS_MIXED)
        return a->shadow[lane];
    return a->base_shadow ? a->base_shadow + (access_at(a, lane) - a->base) : NULL;
}

static bool all_set(const uint8_t *shadow, unsigned bytes, bool any_is_enough)
{
    unsigned set = 0;
    for (unsigned i = 0; i < bytes; i++)
        set += shadow[i];
    return any_is_enough ? set != 0 : set == bytes;
}

static int check_written(struct exec_scratch *x, struct warp *w, const struct insn *in,
                         const struct access *a)
{
    if (a->shape != ACCESS_MIXED && !a->base_shadow)
        return 0;
    if (a->shape == ACCESS_WHOLE) {
        const uint8_t *hole = memchr(a->base_shadow, 0, 32ull * a->bytes);
        return hole ? unwritten(x, w, in, a, (unsigned)((size_t)(hole - a->base_shadow) / a->bytes))
                    : 0;
    }
    uint32_t lanes = a->shape == ACCESS_UNIFORM ? a->mask & -a->mask : a->mask;
    for (uint32_t m = lanes; m; m &= m - 1) {
        unsigned lane = (unsigned)__builtin_ctz(m);
        const uint8_t *shadow = shadow_at(a, lane);
        /* a thread's own memory may be copied with its padding: only wholly unwritten values count
         */
        if (shadow && !all_set(shadow, a->bytes, a->space == PTX_LOCAL))
            return unwritten(x, w, in, a, lane);
    }
    return 0;
}

static void mark_written(const struct access *a)
{
    if (a->shape != ACCESS_MIXED && !a->base_shadow)
        return;
    if (a->shape == ACCESS_WHOLE || a->shape == ACCESS_UNIFORM) {
        memset(a->base_shadow, 1, (a->shape == ACCESS_WHOLE ? 32ull : 1) * a->bytes);
        return;
    }
    for (uint32_t m = a->mask; m; m &= m - 1) {
        uint8_t *shadow = (uint8_t *)shadow_at(a, (unsigned)__builtin_ctz(m));
        if (shadow)
            memset(shadow, 1, a->bytes);
    }
}

static int check(struct exec_scratch *x, struct warp *w, const struct insn *in, struct access *a,
                 const struct ops_addresses *s)
{
    unsigned checks = x->launch->checks;
    if (!resolve_piece(x, in, a, s) && resolve_lanes(x, w, in, a))
        return RUN_FAULT;
    if (checks & EXEC_CHECK_UNWRITTEN) {
        if ((!a->write || a->atomic) && check_written(x, w, in, a))
            return RUN_FAULT;
        if (a->write)
            mark_written(a);
    }
    if (x->race && race_access(x, w, in, a))
        return RUN_FAULT;
    if (x->launch->profile && !a->unprofiled)
        profile_access(x, w, in, a);
    return 0;
}

int access_resolve(struct exec_scratch *x, struct warp *w, const struct insn *in, uint32_t ref,
                   struct access *a)
{
    struct ops_addresses s;
    x->program->ops->addresses(a->addr, src_at(x, w, ref), in->addr_width, (uint64_t)in->imm,
                               a->mask, a->bytes, &s);
    return check(x, w, in, a, &s);
}

int access_check(struct exec_scratch *x, struct warp *w, const struct insn *in, struct access *a)
{
    struct ops_addresses s;
    uint64_t addr[32];
    memcpy(addr, a->addr, sizeof(addr));
    x->program->ops->addresses(a->addr, addr, 8, 0, a->mask, a->bytes, &s);
    return check(x, w, in, a, &s);
}

/* One value of `elem` bytes into a lane of `width` bytes. */
static inline uint64_t read_elem(const uint8_t *p, unsigned elem, bool is_signed)
{
    uint8_t b;
    uint16_t h;
    uint32_t u;
    uint64_t d;
    switch (elem) {
    case 1:
        b = *p;
        return is_signed ? (uint64_t)(int8_t)b : b;
    case 2:
        memcpy(&h, p, 2);
        return is_signed ? (uint64_t)(int16_t)h : h;
    case 4:
        memcpy(&u, p, 4);
        return is_signed ? (uint64_t)(int32_t)u : u;
    default:
        memcpy(&d, p, 8);
        return d;
    }
}

static inline void put_lane(uint8_t *dst, unsigned lane, unsigned width, uint64_t v)
{
    memcpy(dst + lane * width, &v, width); /* little-endian: the low bytes */
}

static void load_any(const struct insn *in, const struct access *a, uint8_t *dst, unsigned k)
{
    for (uint32_t m = a->mask; m; m &= m - 1) {
        unsigned lane = (unsigned)__builtin_ctz(m);
        const uint8_t *p = access_at(a, lane) + k * in->elem;
        put_lane(dst, lane, in->width, read_elem(p, in->elem, in->is_signed));
    }
}

/* 32 elements of 2, 4 or 8 bytes; the sizes are spelt out so that compilers copy by vectors. */
static inline void copy_lanes(uint8_t *to, const uint8_t *from, unsigned elem)
{
    if (elem == 4)
        memcpy(to, from, 128);
    else if (elem == 8)
        memcpy(to, from, 256);
    else
        memcpy(to, from, 64);
}

/* The same value for all active lanes. */
static void load_one(struct exec_scratch *x, struct warp *w, const struct insn *in,
                     const struct access *a, uint8_t *dst, unsigned k)
{
    uint64_t v = read_elem(a->base + k * in->elem, in->elem, in->is_signed);
    bool full = mask_full(w, a->mask);
    uint8_t *to = full ? dst : x->tmp;
    uint32_t *words = (uint32_t *)to;
    if (in->width == 4)
        for (unsigned i = 0; i < 32; i++)
            words[i] = (uint32_t)v;
    else
        for (unsigned i = 0; i < 32; i++)
            put_lane(to, i, in->width, v);
    if (!full)
        lanes_merge(x, dst, to, a->mask, in->width);
}

static void load_words(struct exec_scratch *x, struct warp *w, const struct access *a, uint8_t *dst,
                       unsigned k)
{
    bool full = mask_full(w, a->mask);
    uint32_t *d = (uint32_t *)(full ? dst : x->tmp);
    if (a->shape == ACCESS_WHOLE) {
        const uint8_t *p = a->base + 4 * k;
        for (unsigned i = 0; i < 32; i++)
            memcpy(&d[i], p + i * a->bytes, 4);
    } else if (a->shape == ACCESS_SPREAD) {
        x->program->ops->gather(d, a->base + 4 * k, a->offset);
    } else {
        for (unsigned i = 0; i < 32; i++)
            memcpy(&d[i], a->ptr[i] + 4 * k, 4);
    }
    if (!full)
        lanes_merge(x, dst, (uint8_t *)d, a->mask, 4);
}

int run_load(struct exec_scratch *x, struct warp *w, const struct insn *in, uint32_t mask)
{
    struct access a;
    const uint32_t *refs = x->program->refs + in->refs;
    a.mask = mask;
    a.bytes = (uint32_t)in->elem * in->vec;
    a.write = a.atomic = a.unprofiled = false;
    int rc = access_resolve(x, w, in, refs[in->n_dst], &a);
    if (rc)
        return rc;
    if (in->flags)
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
    for (unsigned k = 0; k < in->vec; k++) {
        uint8_t *dst = w->regs + refs[k];
        if (a.shape == ACCESS_WHOLE && in->vec == 1 && in->elem == in->width)
            copy_lanes(dst, a.base, in->elem);
        else if (a.shape == ACCESS_UNIFORM)
            load_one(x, w, in, &a, dst, k);
        else if (in->elem == 4 && in->width == 4)
            load_words(x, w, &a, dst, k);
        else
            load_any(in, &a, dst, k);
    }
    return 0;
}

int run_store(struct exec_scratch *x, struct warp *w, const struct insn *in, uint32_t mask)
{
    struct access a;
    const uint32_t *refs = x->program->refs + in->refs;
    a.mask = mask;
    a.bytes = (uint32_t)in->elem * in->vec;
    a.write = true;
    a.atomic = a.unprofiled = false;
    int rc = access_resolve(x, w, in, refs[0], &a);
    if (rc)
        return rc;
    if (in->flags) /* volatile and ordered accesses, against blocks on other host threads */
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
    for (unsigned k = 0; k < in->vec; k++) {
        const uint8_t *src = src_at(x, w, refs[1 + k]);
        if (a.shape == ACCESS_WHOLE && in->vec == 1 && in->elem == in->width) {
            copy_lanes(a.base, src, in->elem);
            continue;
        }
        for (uint32_t m = mask; m; m &= m - 1) {
            unsigned lane = (unsigned)__builtin_ctz(m);
            memcpy(access_at(&a, lane) + k * in->elem, src + lane * in->width, in->elem);
        }
    }
    return 0;
}
