/* SPDX-License-Identifier: MIT */
#include "agent/bench_tasks.h"
#include "agent/catalog.h"
#include "base/file.h"
#include "base/jread.h"
#include "base/util.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

int bench_write_tasks(const char *folder, char **paths, size_t n, struct err *err)
{
    struct task *task = NULL;
    int r = catalog_task("gelu", &task, err);
    if (r < 0) {
        return r;
    }
    auto_free char *document = xprintf("%s/task.json", task->folder);
    json_t *json = NULL;
    r = jread_file(document, &json, err);
    for (size_t i = 0; r == 0 && i < n; i++) {
        auto_free char *name = xprintf("task%04zu", i);
        paths[i] = xprintf("%s/%s", folder, name);
        auto_free char *to = xprintf("%s/task.json", paths[i]);
        auto_free char *source = xprintf("%s/reference.cu", paths[i]);
        json_object_set_new(json, "name", json_string(name));
        auto_free char *text = json_canonical(json);
        r = folder_make(paths[i], err);
        r = r < 0 ? r : file_write(to, text, strlen(text), err);
        r = r < 0 ? r : file_write(source, task->reference_source,
                                   strlen(task->reference_source), err);
    }
    json_decref(json);
    task_free(task);
    return r;
}

double bench_resident_mib(int pid)
{
    long pages = 0, shared = 0;
    auto_free char *path = pid ? xprintf("/proc/%d/statm", pid) : xstrdup("/proc/self/statm");
    FILE *file = fopen(path, "re");
    if (file) {
        if (fscanf(file, "%*d %ld %ld", &pages, &shared) != 2) {
            pages = shared = 0;
        }
        fclose(file);
    }
    return (double)(pages - shared) * (double)sysconf(_SC_PAGESIZE) / (1 << 20);
}
