/* SPDX-License-Identifier: MIT */
/* Candidates that are there already: in a folder (`kernelbench run --candidates`), or shipped with the program. */
#include "agent/kernelbench_run.h"
#include "base/file.h"
#include "base/util.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAMES_MAX = 65536 }; /* in one folder */

struct names {
    const char **at;
    size_t n;
};

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Sorted names in a folder that `wanted` likes; a folder that isn't there, or a file, has none. */
static int names_in(struct arena *arena, const char *folder, bool (*wanted)(const char *, int), int id,
                    struct names *ret, struct err *err)
{
    DIR *dir = opendir(folder);
    const struct dirent *entry;
    const char **list = NULL;
    size_t n = 0, room = 0;
    *ret = (struct names) { 0 };
    if (!dir) {
        int why = errno;
        return why == ENOENT || why == ENOTDIR ? 0 : err_set(err, -why, "%s: %s", folder, strerror(why));
    }
    while ((entry = readdir(dir)) && n <= NAMES_MAX) {
        if (!wanted(entry->d_name, id)) {
            continue;
        }
        if (n == room) {
            room = room ? 2 * room : 64;
            list = xrealloc(list, room, sizeof(*list));
        }
        list[n++] = arena_strdup(arena, entry->d_name);
    }
    closedir(dir);
    if (n && n <= NAMES_MAX) {
        qsort(list, n, sizeof(*list), by_text);
        ret->at = arena_alloc(arena, n, sizeof(*list));
        memcpy(ret->at, list, n * sizeof(*list));
        ret->n = n;
    }
    free(list);
    return n <= NAMES_MAX ? 0 : err_set(err, ERR_TOOBIG, "%s: more than %d candidates", folder, NAMES_MAX);
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

/* One of its two files is enough: that the other is missing should be said. */
static bool holds_candidate(const char *folder)
{
    auto_free char *source = xprintf("%s/kernel.cu", folder), *plan = xprintf("%s/plan.json", folder);
    return file_exists(source) || file_exists(plan);
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

static void add_unread(struct item *item, const char *name, const struct err *err)
{
    struct entry *e = kernelbench_item_entry(item);
    e->name = name;
    e->error = xstrdup(err_text(err));
}

static bool nothing(const char *name, int id)
{
    (void)name;
    (void)id;
    return false;
}

/* A folder of the problem's, by another name each. */
static void find_samples(struct item *item, const char *folder, const char *of_problem)
{
    struct arena *arena = item->run->arena;
    struct names samples, none;
    struct err err = { 0 };
    if (names_in(arena, folder, is_sample, 0, &samples, &err) < 0) {
        add_unread(item, of_problem, &err);
    }
    for (size_t i = 0; i < samples.n; i++) {
        const char *inner = arena_printf(arena, "%s/%s", folder, samples.at[i]);
        const char *name = arena_printf(arena, "%s/%s", of_problem, samples.at[i]);
        if (holds_candidate(inner)) {
            add(item, inner, name);
        } else if (names_in(arena, inner, nothing, 0, &none, &err) < 0) {
            add_unread(item, name, &err);
        }
    }
}

void kernelbench_folder_find(struct running *run, struct item *item, const char *dir)
{
    struct names of_problem;
    struct err err = { 0 };
    const struct problem *p = item->problem;
    const char *level = arena_printf(run->arena, "%s/level%d", dir, p->level);
    if (names_in(run->arena, level, is_for, p->id, &of_problem, &err) < 0) {
        add_unread(item, p->name, &err);
    }
    for (size_t i = 0; i < of_problem.n; i++) {
        const char *folder = arena_printf(run->arena, "%s/%s", level, of_problem.at[i]);
        if (holds_candidate(folder)) {
            add(item, folder, of_problem.at[i]);
        }
        find_samples(item, folder, of_problem.at[i]);
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
