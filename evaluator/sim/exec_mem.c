/* SPDX-License-Identifier: MIT */
/* Loads and stores. An access is resolved to host pointers first, lane by lane or, where lanes
 * follow each other without gaps (most do), as one piece; then values move. */
#include "evaluator/sim/exec_state.h"

#include <inttypes.h>

/* The addresses of all lanes, also of inactive ones, which nobody looks at. */
static void gather_addresses(const struct exec_scratch *x, const struct warp *w,
                             const struct insn *in, uint32_t ref, struct access *a)
{
    const uint8_t *src = src_at(x, w, ref);
    uint64_t offset = (uint64_t)in->imm;
    if (in->addr_width == 4) {
        const uint32_t *v = (const uint32_t *)src;
        for (unsigned i = 0; i < 32; i++)
            a->addr[i] = (uint32_t)(v[i] + offset);
    } else {
        const uint64_t *v = (const uint64_t *)src;
        for (unsigned i = 0; i < 32; i++)
            a->addr[i] = v[i] + offset;
    }
}

static bool is_contiguous(const struct access *a)
{
    uint64_t base = a->addr[0], step = a->bytes, diff = 0;
    if (a->mask != ALL_LANES)
        return false;
    for (unsigned i = 0; i < 32; i++)
        diff |= a->addr[i] ^ (base + i * step);
    return diff == 0;
}

static inline bool span_allows(const struct vmem_span *s, const struct access *a)
{
    return a->write ? s->writable && (!a->atomic || s->readable) : s->readable;
}

/* The span that holds [addr, addr + size) and allows the access, through the instruction's cache. */
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
    return 0;
}

/* 32 lanes without gaps, in global or shared memory: one check for all. False: go lane by lane, which
 * also finds the lane at fault. */
static bool resolve_whole(struct exec_scratch *x, const struct insn *in, struct access *a)
{
    uint64_t addr = a->addr[0], size = 32ull * a->bytes;
    enum ptx_space space = in->space;
    if (!is_contiguous(a) || addr % a->bytes)
        return false;
    if (space == PTX_GENERIC)
        space = space_of(addr, &addr);
    a->space = space;
    if (space == PTX_SHARED) {
        if (addr > x->shared_bytes || size > x->shared_bytes - addr)
            return false;
        a->base = x->shared + addr;
        a->base_shadow = x->shared_shadow ? x->shared_shadow + addr : NULL;
        return true;
    }
    if (space != PTX_GLOBAL && space != PTX_CONST)
        return false;
    const struct vmem_span *s = find_span(x, in, a, addr, size);
    if (!s)
        return false;
    a->base = vmem_host(s, addr);
    a->base_shadow = s->shadow ? s->shadow + (addr - s->addr) : NULL;
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

static int check_written(struct exec_scratch *x, struct warp *w, const struct insn *in,
                         const struct access *a)
{
    if (a->contiguous) {
        const uint8_t *hole =
            a->base_shadow ? memchr(a->base_shadow, 0, 32ull * a->bytes) : NULL;
        return hole ? unwritten(x, w, in, a, (unsigned)((size_t)(hole - a->base_shadow) / a->bytes))
                    : 0;
    }
    for (uint32_t m = a->mask; m; m &= m - 1) {
        unsigned lane = (unsigned)__builtin_ctz(m);
        const uint8_t *shadow = a->shadow[lane];
        if (!shadow)
            continue;
        unsigned set = 0;
        for (unsigned i = 0; i < a->bytes; i++)
            set += shadow[i];
        /* a thread's own memory may be copied with its padding: only wholly unwritten values count */
        bool local = a->space == PTX_LOCAL;
        if (local ? set == 0 : set != a->bytes)
            return unwritten(x, w, in, a, lane);
    }
    return 0;
}

static void mark_written(const struct access *a)
{
    if (a->contiguous) {
        if (a->base_shadow)
            memset(a->base_shadow, 1, 32ull * a->bytes);
        return;
    }
    for (uint32_t m = a->mask; m; m &= m - 1) {
        unsigned lane = (unsigned)__builtin_ctz(m);
        if (a->shadow[lane])
            memset(a->shadow[lane], 1, a->bytes);
    }
}

int access_resolve(struct exec_scratch *x, struct warp *w, const struct insn *in, uint32_t ref,
                   struct access *a)
{
    gather_addresses(x, w, in, ref, a);
    return access_check(x, w, in, a);
}

int access_check(struct exec_scratch *x, struct warp *w, const struct insn *in, struct access *a)
{
    unsigned checks = x->launch->checks;
    a->contiguous = !a->atomic && resolve_whole(x, in, a);
    if (!a->contiguous && resolve_lanes(x, w, in, a))
        return RUN_FAULT;
    if (checks & EXEC_CHECK_UNWRITTEN) {
        if ((!a->write || a->atomic) && check_written(x, w, in, a))
            return RUN_FAULT;
        if (a->write)
            mark_written(a);
    }
    if (x->race && race_access(x, w, in, a))
        return RUN_FAULT;
    if (x->launch->profile)
        profile_access(x, w, in, a);
    return 0;
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
        const uint8_t *p = a->contiguous ? a->base + lane * a->bytes : a->ptr[lane];
        put_lane(dst, lane, in->width, read_elem(p + k * in->elem, in->elem, in->is_signed));
    }
}

static void load_words(const struct insn *in, const struct access *a, uint8_t *dst, unsigned k)
{
    uint32_t *d = (uint32_t *)dst;
    if (a->contiguous) {
        const uint8_t *p = a->base + 4 * k;
        for (unsigned i = 0; i < 32; i++)
            memcpy(&d[i], p + i * a->bytes, 4);
    } else if (a->mask == ALL_LANES) {
        for (unsigned i = 0; i < 32; i++)
            memcpy(&d[i], a->ptr[i] + 4 * k, 4);
    } else {
        load_any(in, a, dst, k);
    }
}

int run_load(struct exec_scratch *x, struct warp *w, const struct insn *in, uint32_t mask)
{
    struct access a = {.mask = mask, .bytes = (uint32_t)in->elem * in->vec};
    const uint32_t *refs = x->program->refs + in->refs;
    int rc = access_resolve(x, w, in, refs[in->n_dst], &a);
    if (rc)
        return rc;
    for (unsigned k = 0; k < in->vec; k++) {
        uint8_t *dst = w->regs + refs[k];
        if (a.contiguous && in->vec == 1 && in->elem == in->width)
            memcpy(dst, a.base, 32ull * in->elem);
        else if (in->elem == 4 && in->width == 4)
            load_words(in, &a, dst, k);
        else
            load_any(in, &a, dst, k);
    }
    return 0;
}

int run_store(struct exec_scratch *x, struct warp *w, const struct insn *in, uint32_t mask)
{
    struct access a = {.mask = mask, .bytes = (uint32_t)in->elem * in->vec, .write = true};
    const uint32_t *refs = x->program->refs + in->refs;
    int rc = access_resolve(x, w, in, refs[0], &a);
    if (rc)
        return rc;
    for (unsigned k = 0; k < in->vec; k++) {
        const uint8_t *src = src_at(x, w, refs[1 + k]);
        if (a.contiguous && in->vec == 1 && in->elem == in->width) {
            memcpy(a.base, src, 32ull * in->elem);
            continue;
        }
        for (uint32_t m = mask; m; m &= m - 1) {
            unsigned lane = (unsigned)__builtin_ctz(m);
            uint8_t *p = a.contiguous ? a.base + lane * a.bytes : a.ptr[lane];
            memcpy(p + k * in->elem, src + lane * in->width, in->elem);
        }
    }
    return 0;
}
