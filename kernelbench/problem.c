/* SPDX-License-Identifier: MIT */
#include "kernelbench/problem.h"
#include "base/file.h"
#include "base/util.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { FILE_MAX = 1 << 20, PROBLEMS_MAX = 4096 };

/* The first word that a name has decides. */
static const struct {
    const char *word, *family;
} words[] = {
    { "conv", "convolution" }, { "attention", "attention" }, { "loss", "loss" },
    { "softmax", "softmax" }, { "norm", "norm" }, { "pooling", "pooling" },
    { "matmul", "matmul" }, { "matrix", "matmul" }, { "matrices", "matmul" }, { "gemm", "matmul" },
    { "bmm", "matmul" }, { "cumsum", "scan" }, { "cumprod", "scan" }, { "reduction", "reduction" },
    { "argm", "reduction" }, { "lstm", "recurrent" }, { "gru", "recurrent" }, { "rnn", "recurrent" },
    { "net", "network" }, { "transformer", "network" }, { "mlp", "network" }, { "vgg", "network" },
    { "relu", "activation" }, { "elu", "activation" }, { "sigmoid", "activation" },
    { "tanh", "activation" }, { "swish", "activation" }, { "soft", "activation" },
};

static const char *family_of(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (strcasestr(name, words[i].word)) {
            return words[i].family;
        }
    }
    return "other";
}

int problem_listed(const char *list, int n, bool *ret, struct err *err)
{
    bool found = !list;
    for (const char *at = list; at && *at;) {
        char *end;
        long from = isdigit((unsigned char)*at) ? strtol(at, &end, 10) : -1;
        long to = from;
        if (from >= 0 && *end == '-') {
            to = isdigit((unsigned char)end[1]) ? strtol(end + 1, &end, 10) : -1;
        }
        if (from < 0 || to < from || (*end != ',' && *end != '\0') || (*end == ',' && !end[1])) {
            return err_set(err, ERR_INVALID, "\"%.64s\" is no list of numbers; write 1-20,36", list);
        }
        found = found || (n >= from && n <= to);
        at = end + (*end == ',');
    }
    *ret = found;
    return 0;
}

/* "19_ReLU.py" has id 19; 0: no problem's file. */
static int id_of_file(const char *file)
{
    size_t digits = strspn(file, "0123456789"), len = strlen(file);
    bool fits = digits > 0 && digits < 7 && file[digits] == '_' && len > digits + 4;
    return fits && str_eq(file + len - 3, ".py") ? atoi(file) : 0;
}

/* One bad file doesn't keep the others from being judged. A pipe would be waited for. */
static struct problem read_problem(const char *folder, const char *file, int level, struct arena *arena)
{
    auto_free char *text = NULL;
    struct err err = { 0 };
    struct stat st;
    size_t len = 0;
    const char *path = arena_printf(arena, "%s/%s", folder, file);
    char *name = arena_strdup(arena, file);
    name[strlen(name) - 3] = '\0';
    struct problem p = { .level = level, .id = atoi(file), .name = name, .path = path, .family = family_of(name) };
    int r = stat(path, &st) == 0 && !S_ISREG(st.st_mode) ? err_set(&err, ERR_INVALID, "%s: not a file", path)
                                                         : file_read(path, FILE_MAX, &text, &len, &err);
    if (r < 0) {
        p.unreadable = arena_strdup(arena, err_text(&err));
    } else {
        id_of_bytes(text, len, &p.hash);
    }
    return p;
}

static int scan_level(const char *root, int level, const char *ids, struct arena *arena,
                      struct problem *list, size_t *n, struct err *err)
{
    auto_free char *folder = xprintf("%s/level%d", root, level);
    DIR *dir = opendir(folder);
    if (!dir) {
        return err_set(err, ERR_NOTFOUND, "%s: %s", folder, strerror(errno));
    }
    int r = 0;
    struct dirent *entry;
    while (r == 0 && (entry = readdir(dir))) {
        int id = id_of_file(entry->d_name);
        bool listed = false;
        r = id ? problem_listed(ids, id, &listed, err) : 0;
        if (r == 0 && listed && *n == PROBLEMS_MAX) {
            r = err_set(err, ERR_TOOBIG, "%s: more than %d problems", folder, PROBLEMS_MAX);
        } else if (r == 0 && listed) {
            list[(*n)++] = read_problem(folder, entry->d_name, level, arena);
        }
    }
    closedir(dir);
    return r;
}

static int by_number(const void *a, const void *b)
{
    const struct problem *p = a, *q = b;
    return p->level != q->level ? p->level - q->level
        : p->id != q->id        ? p->id - q->id
                                : strcmp(p->name, q->name);
}

/* Results are kept by level and number. */
static int check_numbers(const struct problem *sorted, size_t n, struct err *err)
{
    for (size_t i = 1; i < n; i++) {
        const struct problem *p = &sorted[i - 1], *q = &sorted[i];
        if (p->level == q->level && p->id == q->id) {
            return err_set(err, ERR_INVALID, "%s: %s.py has the number %d, too; rename one of them", p->path, q->name,
                           p->id);
        }
    }
    return 0;
}

static bool is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

int problem_find(const char *suite, const char *levels, const char *ids, struct arena *arena,
                 struct problem **ret, size_t *ret_n, struct err *err)
{
    auto_free char *inner = xprintf("%s/KernelBench", suite);
    auto_free char *absolute = realpath(is_folder(inner) ? inner : suite, NULL);
    if (!absolute) {
        return err_set(err, ERR_NOTFOUND, "%s: %s; --suite is a checkout of KernelBench", suite,
                       strerror(errno));
    }
    struct problem *list = arena_alloc(arena, PROBLEMS_MAX, sizeof(*list));
    size_t n = 0;
    bool wanted = true, any = false;
    int r = problem_listed(levels, PROBLEM_LEVELS, &wanted, err);
    if (r == 0 && levels && wanted) {
        return err_set(err, ERR_UNSUPPORTED,
                       "level 4 is whole models whose weights must be downloaded; use --levels 1-3");
    }
    for (int level = 1; r == 0 && level < PROBLEM_LEVELS; level++) {
        auto_free char *folder = xprintf("%s/level%d", absolute, level);
        r = problem_listed(levels, level, &wanted, err);
        if (r == 0 && wanted && (levels || is_folder(folder))) {
            any = true;
            r = scan_level(absolute, level, ids, arena, list, &n, err);
        }
    }
    if (r == 0 && (!any || n == 0)) {
        r = err_set(err, ERR_NOTFOUND, "%s: no problem there that was asked for (levelN/ID_Name.py)",
                    absolute);
    }
    if (r == 0) {
        qsort(list, n, sizeof(*list), by_number);
        r = check_numbers(list, n, err);
    }
    if (r == 0) {
        *ret = list;
        *ret_n = n;
    }
    return r;
}
