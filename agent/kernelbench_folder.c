/* SPDX-License-Identifier: MIT */
/* Candidates that are there already: in a folder (`kernelbench run --candidates`), or shipped with the program. */
#include "agent/kernelbench_run.h"
#include "base/file.h"
#include "base/util.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

enum { NAMES_MAX = 256 };

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Sorted names in a folder that `wanted` likes; a folder that isn't there has none. */
static size_t names_in(struct arena *arena, const char *folder, bool (*wanted)(const char *, int), int id,
                       const char *ret[NAMES_MAX])
{
    DIR *dir = opendir(folder);
    size_t n = 0;
    struct dirent *entry;
    while (dir && n < NAMES_MAX && (entry = readdir(dir))) {
        if (wanted(entry->d_name, id)) {
            ret[n++] = arena_strdup(arena, entry->d_name);
        }
    }
    if (dir) {
        closedir(dir);
    }
    qsort(ret, n, sizeof(*ret), by_text);
    return n;
}

/* "19" or "19_ReLU" */
static bool is_for(const char *name, int id)
{
    size_t digits = strspn(name, "0123456789");
    return digits > 0 && digits < 7 && atoi(name) == id && (name[digits] == '_' || !name[digits]);
}

static bool is_sample(const char *name, int id)
{
    (void)id;
    return name[0] != '.';
}

static bool holds_candidate(const char *folder)
{
    auto_free char *source = xprintf("%s/kernel.cu", folder);
    return file_exists(source);
}

static void add(struct item *item, const char *folder, const char *name)
{
    struct entry *e = kernelbench_item_entry(item);
    struct err err = { 0 };
    e->name = arena_strdup(item->run->arena, name);
    if (candidate_load(folder, &e->candidate, &err) < 0) {
        e->error = xstrdup(err_text(&err));
    }
}

void kernelbench_folder_find(struct running *run, struct item *item, const char *dir)
{
    const char *of_problem[NAMES_MAX], *samples[NAMES_MAX];
    const struct problem *p = item->problem;
    const char *level = arena_printf(run->arena, "%s/level%d", dir, p->level);
    size_t n = names_in(run->arena, level, is_for, p->id, of_problem);
    for (size_t i = 0; i < n; i++) {
        const char *folder = arena_printf(run->arena, "%s/%s", level, of_problem[i]);
        if (holds_candidate(folder)) {
            add(item, folder, of_problem[i]);
        }
        size_t m = names_in(run->arena, folder, is_sample, 0, samples);
        for (size_t k = 0; k < m; k++) {
            const char *inner = arena_printf(run->arena, "%s/%s", folder, samples[k]);
            if (holds_candidate(inner)) {
                add(item, inner, arena_printf(run->arena, "%s/%s", of_problem[i], samples[k]));
            }
        }
    }
}

void kernelbench_folder_shipped(struct running *run, struct item *item)
{
    struct candidate *start = NULL;
    struct err err = { 0 };
    int r = kernelbench_map_start(run->maps, item->problem, &start, &err);
    if (r < 0) {
        item->code = r;
        item->why = arena_strdup(run->arena, err_text(&err));
        return;
    }
    struct entry *e = kernelbench_item_entry(item);
    e->candidate = start;
    e->name = arena_strdup(run->arena, start->name);
    item->start = arena_printf(run->arena, "%s/%s", item->task->family, start->name);
}
