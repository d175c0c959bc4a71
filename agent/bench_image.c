/* SPDX-License-Identifier: MIT */
#include "agent/bench_image.h"
#include "base/util.h"

#include <elf.h>
#include <string.h>

struct elf {
    const char *at, *names;
    size_t len, names_len;
    Elf64_Ehdr head;
};

static bool elf_section(const struct elf *e, size_t index, Elf64_Shdr *ret)
{
    uint64_t at = e->head.e_shoff + index * sizeof(*ret);
    if (index >= e->head.e_shnum || at < e->head.e_shoff || at > e->len
        || e->len - at < sizeof(*ret)) {
        return false;
    }
    memcpy(ret, e->at + at, sizeof(*ret));
    return ret->sh_type == SHT_NOBITS
        || (ret->sh_offset <= e->len && ret->sh_size <= e->len - ret->sh_offset);
}

static bool elf_open(struct elf *e, const char *at, size_t len)
{
    Elf64_Shdr names;
    *e = (struct elf) { .at = at, .len = len };
    if (len < sizeof(e->head) || memcmp(at, ELFMAG, SELFMAG) != 0 || at[EI_CLASS] != ELFCLASS64) {
        return false;
    }
    memcpy(&e->head, at, sizeof(e->head));
    if (e->head.e_shentsize != sizeof(Elf64_Shdr) || !elf_section(e, e->head.e_shstrndx, &names)
        || names.sh_type == SHT_NOBITS || names.sh_size == 0) {
        return false;
    }
    e->names = at + names.sh_offset;
    e->names_len = names.sh_size;
    return e->names[e->names_len - 1] == '\0';
}

static const char *elf_name(const struct elf *e, const Elf64_Shdr *section)
{
    return section->sh_name < e->names_len ? e->names + section->sh_name : "";
}

/* Where code came from; and tables of names, which hold the names of such sections. */
static bool tells_origin(const char *name)
{
    static const char *const origins[] = { ".debug", ".nv_debug", ".rel.debug", ".rela.debug",
                                           ".rel.nv_debug", ".rela.nv_debug", ".strtab", ".shstrtab",
                                           ".symtab" };
    for (size_t i = 0; i < ARRAY_LEN(origins); i++) {
        if (str_prefix(name, origins[i])) {
            return true;
        }
    }
    return false;
}

/* Is every section of `a` that runs in `b`, with the same bytes? */
static bool elf_within(const struct elf *a, const struct elf *b)
{
    Elf64_Shdr x, y;
    for (size_t i = 0; i < a->head.e_shnum; i++) {
        bool found = false;
        if (!elf_section(a, i, &x)) {
            return false;
        }
        const char *name = elf_name(a, &x);
        if (tells_origin(name)) {
            continue;
        }
        for (size_t k = 0; k < b->head.e_shnum && !found; k++) {
            found = elf_section(b, k, &y) && str_eq(name, elf_name(b, &y)) && x.sh_size == y.sh_size
                && x.sh_type == y.sh_type && x.sh_flags == y.sh_flags
                && (x.sh_type == SHT_NOBITS
                    || memcmp(a->at + x.sh_offset, b->at + y.sh_offset, x.sh_size) == 0);
        }
        if (!found) {
            return false;
        }
    }
    return true;
}

/* The next line of PTX that isn't about origins; NULL at the end. */
static const char *next_line(const char **at, const char *end, size_t *ret_len)
{
    while (*at < end) {
        const char *line = *at, *stop = memchr(line, '\n', (size_t)(end - line));
        stop = stop ? stop : end;
        *at = stop < end ? stop + 1 : end;
        while (line < stop && (*line == ' ' || *line == '\t')) {
            line++;
        }
        size_t len = (size_t)(stop - line);
        if (len >= 8 && memcmp(line, ".section", 8) == 0) {
            *at = end; /* debug sections come last */
            return NULL;
        }
        bool origin = len >= 5 && (memcmp(line, ".loc\t", 5) == 0 || memcmp(line, ".loc ", 5) == 0
                                   || memcmp(line, ".file", 5) == 0);
        if (!origin) {
            *ret_len = len;
            return line;
        }
    }
    return NULL;
}

bool bench_image_same(const char *a, size_t a_len, const char *b, size_t b_len)
{
    struct elf x, y;
    if (elf_open(&x, a, a_len) && elf_open(&y, b, b_len)) {
        return elf_within(&x, &y) && elf_within(&y, &x);
    }
    const char *p = a, *q = b;
    for (;;) {
        size_t n = 0, m = 0;
        const char *left = next_line(&p, a + a_len, &n), *right = next_line(&q, b + b_len, &m);
        if (!left || !right) {
            return !left && !right;
        }
        if (n != m || memcmp(left, right, n) != 0) {
            return false;
        }
    }
}
