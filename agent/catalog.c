/* SPDX-License-Identifier: MIT */
#include "agent/catalog.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/jread.h"
#include "base/util.h"
#include "graph/htg_seed.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Sub-folders of `folder` that hold a file `mark`, sorted. */
static int list_folders(const char *folder, const char *mark, char *ret_names[CATALOG_NAMES_MAX],
                        size_t *ret_n, struct err *err)
{
    DIR *dir = opendir(folder);
    if (!dir) {
        return err_set(err, ERR_NOTFOUND, "%s can't be read", folder);
    }
    size_t n = 0;
    struct dirent *entry;
    while ((entry = readdir(dir)) && n < CATALOG_NAMES_MAX) {
        auto_free char *marked = xprintf("%s/%s/%s", folder, entry->d_name, mark);
        if (entry->d_name[0] != '.' && file_exists(marked)) {
            ret_names[n++] = xstrdup(entry->d_name);
        }
    }
    closedir(dir);
    qsort(ret_names, n, sizeof(ret_names[0]), by_name);
    *ret_n = n;
    return 0;
}

static void free_names(char **names, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free(names[i]);
    }
}

int catalog_names(bool families, char *ret_names[CATALOG_NAMES_MAX], size_t *ret_n,
                  struct err *err)
{
    auto_free char *root = NULL;
    int r = file_find_shipped(families ? "kernels" : "kernelbench/tasks", &root, err);
    if (r < 0 || !families) {
        return r < 0 ? r : list_folders(root, "task.json", ret_names, ret_n, err);
    }
    size_t n, kept = 0;
    r = list_folders(root, ".", ret_names, &n, err);
    for (size_t i = 0; r == 0 && i < n; i++) {
        if (str_eq(ret_names[i], "memory") || str_eq(ret_names[i], "spaces")) {
            free(ret_names[i]);
        } else {
            ret_names[kept++] = ret_names[i];
        }
    }
    *ret_n = r == 0 ? kept : 0;
    return r;
}

/* "unknown task "softmx", did you mean "softmax"? Shipped: ...". */
static int unknown(const char *what, const char *name, const char *folder, const char *mark,
                   struct err *err)
{
    char *names[CATALOG_NAMES_MAX];
    size_t n = 0;
    if (list_folders(folder, mark, names, &n, NULL) < 0) {
        n = 0;
    }
    const char *near = suggest(name, (const char *const *)names, n);
    auto_buf struct buf list;
    buf_init(&list, 1500);
    for (size_t i = 0; i < n; i++) {
        buf_printf(&list, "%s%s", i ? ", " : "", names[i]);
    }
    err_set(err, ERR_NOTFOUND, "unknown %s \"%s\"%s%s%s. There are: %s; or give the path of a folder with %s",
            what, name, near ? ", did you mean \"" : "", near ? near : "", near ? "\"?" : "",
            list.len ? list.at : "none", mark);
    free_names(names, n);
    return ERR_NOTFOUND;
}

int catalog_task(const char *name, struct task **ret, struct err *err)
{
    auto_free char *document = xprintf("%s/task.json", name);
    if (strchr(name, '/') || file_exists(document)) {
        return task_load(name, ret, err);
    }
    auto_free char *root = NULL;
    int r = file_find_shipped("kernelbench/tasks", &root, err);
    if (r < 0) {
        return r;
    }
    auto_free char *folder = xprintf("%s/%s", root, name);
    auto_free char *shipped = xprintf("%s/task.json", folder);
    return file_exists(shipped) ? task_load(folder, ret, err)
                                : unknown("task", name, root, "task.json", err);
}

bool catalog_asks_oracle(const char *const *tasks, size_t n)
{
    bool any = false;
    for (size_t i = 0; i < n && !any; i++) {
        struct task *task = NULL;
        any = catalog_task(tasks[i], &task, NULL) == 0 && task->oracle;
        task_free(task);
    }
    return any;
}

int catalog_candidate(const char *name, const char *family, struct candidate **ret,
                      struct err *err)
{
    auto_free char *document = xprintf("%s/plan.json", name);
    if (file_exists(document)) {
        return candidate_load(name, ret, err);
    }
    auto_free char *root = NULL;
    int r = file_find_shipped("kernels", &root, err);
    if (r < 0) {
        return r;
    }
    auto_free char *folder = strchr(name, '/') ? xprintf("%s/%s", root, name)
                                               : xprintf("%s/%s/%s", root, family, name);
    auto_free char *shipped = xprintf("%s/plan.json", folder);
    if (file_exists(shipped)) {
        return candidate_load(folder, ret, err);
    }
    if (strchr(name, '/')) {
        return candidate_load(name, ret, err); /* its error names the path the user gave */
    }
    auto_free char *variants = xprintf("%s/%s", root, family);
    return unknown("candidate", name, variants, "plan.json", err);
}

int catalog_start(const struct task *task, struct candidate **ret, struct err *err)
{
    auto_free char *folder = xprintf("%s/start", task->folder ? task->folder : "");
    char *names[CATALOG_NAMES_MAX];
    size_t n = 0;
    if (!task->folder || list_folders(folder, "plan.json", names, &n, NULL) < 0 || n == 0) {
        return ERR_NOTFOUND;
    }
    auto_free char *first = xprintf("%s/%s", folder, names[0]);
    free_names(names, n);
    return candidate_load(first, ret, err);
}

/* Does `task` have every tensor of `native`, by name, type and size? An imported one may have other roles. */
static bool same_tensors(const struct task *task, const struct task *native)
{
    const struct symbols *symbols = &task->shapes[0].symbols;
    bool same = task->n_tensors == native->n_tensors;
    for (size_t i = 0; same && i < native->n_tensors; i++) {
        const struct tensor *own = task_tensor(task, native->tensors[i].name);
        int64_t have, want;
        same = own && own->dtype == native->tensors[i].dtype && tensor_count(own, symbols, &have, NULL) == 0
            && tensor_count(&native->tensors[i], symbols, &want, NULL) == 0 && have == want;
    }
    return same;
}

/* A family that ships no task says nothing of tensors. */
static bool in_words_of(const struct task *task, const char *family)
{
    char *names[CATALOG_NAMES_MAX];
    size_t n = 0;
    bool any = false, same = false;
    if (catalog_names(false, names, &n, NULL) < 0) {
        return true;
    }
    for (size_t i = 0; i < n && !same; i++) {
        struct task *native = NULL;
        if (catalog_task(names[i], &native, NULL) == 0 && str_eq(native->family, family)) {
            any = true;
            same = same_tensors(task, native);
        }
        task_free(native);
    }
    free_names(names, n);
    return same || !any;
}

bool catalog_fits(const struct task *task, const struct candidate *variant, const struct device_facts *facts)
{
    auto_arena struct arena *arena = arena_new();
    struct bound *bound;
    return in_words_of(task, task->family)
        && (!task->oracle
            || candidate_bind(task, &task->shapes[0], variant->plan, facts, arena, &bound, NULL) == 0);
}

int catalog_family(const char *family, struct catalog_family *ret, struct err *err)
{
    *ret = (struct catalog_family) { 0 };
    auto_free char *root = NULL;
    int r = file_find_shipped("kernels", &root, err);
    if (r < 0) {
        return r;
    }
    auto_free char *folder = xprintf("%s/%s", root, family);
    if (!file_exists(folder)) {
        return 0;
    }
    char *names[CATALOG_NAMES_MAX];
    size_t n = 0;
    r = list_folders(folder, "plan.json", names, &n, err);
    for (size_t i = 0; r == 0 && i < MIN(n, (size_t)CATALOG_VARIANTS_MAX); i++) {
        auto_free char *path = xprintf("%s/%s", folder, names[i]);
        r = candidate_load(path, &ret->variants[ret->n], err);
        ret->n += r == 0;
    }
    free_names(names, n);
    if (r < 0) {
        catalog_family_done(ret);
    }
    return r;
}

void catalog_family_done(struct catalog_family *family)
{
    for (size_t i = 0; i < family->n; i++) {
        candidate_free(family->variants[i]);
    }
    family->n = 0;
}

typedef int (*seed_fn)(struct htg *htg, const char *text, size_t len, struct err *err);

static int seed_from(struct htg *htg, const char *path, seed_fn seed, struct err *err)
{
    auto_free char *text = NULL;
    size_t len;
    int r = file_read(path, JREAD_TEXT_MAX, &text, &len, err);
    if (r < 0) {
        return r;
    }
    r = seed(htg, text, len, err);
    if (r < 0) {
        err_wrap(err, "%s", path);
    }
    return r;
}

/* Every strategies*.json, in the order of names. */
static int seed_strategies(struct htg *htg, const char *folder, struct err *err)
{
    struct dirent **found = NULL;
    int n = scandir(folder, &found, NULL, alphasort), r = 0;
    for (int i = 0; i < n; i++) {
        const char *name = found[i]->d_name;
        size_t len = strlen(name);
        if (r == 0 && str_prefix(name, "strategies") && len > 5
            && str_eq(name + len - 5, ".json")) {
            auto_free char *path = xprintf("%s/%s", folder, name);
            r = seed_from(htg, path, htg_seed_strategies, err);
        }
        free(found[i]);
    }
    free(found);
    return n < 0 ? err_set(err, ERR_NOTFOUND, "%s can't be read", folder) : r;
}

int catalog_memory_from(const char *folder, struct htg **ret, struct err *err)
{
    struct htg *htg = htg_new();
    auto_free char *directions = xprintf("%s/directions.json", folder);
    auto_free char *transitions = xprintf("%s/transitions.json", folder);
    int r = seed_from(htg, directions, htg_seed_directions, err);
    r = r < 0 ? r : seed_strategies(htg, folder, err);
    r = r < 0 ? r : seed_from(htg, transitions, htg_seed_transitions, err);
    if (r < 0) {
        htg_free(htg);
        return r;
    }
    *ret = htg;
    return 0;
}

int catalog_memory(struct htg **ret, struct err *err)
{
    auto_free char *folder = NULL;
    int r = file_find_shipped("kernels/memory", &folder, err);
    return r < 0 ? r : catalog_memory_from(folder, ret, err);
}
