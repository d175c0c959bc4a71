/* SPDX-License-Identifier: MIT */
#include "evaluator/worker/nvrtc_api.h"
#include "base/file.h"
#include "base/util.h"

#include <dirent.h>
#include <dlfcn.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[] = { "libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so" };

static void *open_in(const char *folder)
{
    void *library = NULL;
    for (size_t i = 0; i < ARRAY_LEN(names) && !library; i++) {
        auto_free char *path = xprintf("%s/%s", folder, names[i]);
        library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    }
    return library;
}

static void *open_beside(void)
{
    void *library = NULL;
    for (size_t i = 0; i < ARRAY_LEN(names) && !library; i++) {
        auto_free char *path = NULL;
        if (file_find_program(names[i], &path, NULL) == 0) {
            library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        }
    }
    return library;
}

static void *open_anywhere(void)
{
    void *library = open_beside();
    static const char *const variables[] = { "CUDA_HOME", "CUDA_PATH" };
    for (size_t i = 0; i < ARRAY_LEN(variables) && !library; i++) {
        const char *root = getenv(variables[i]);
        auto_free char *folder = root && *root ? xprintf("%s/lib64", root) : NULL;
        library = folder ? open_in(folder) : NULL;
    }
    static const char *const folders[]
        = { "/usr/local/cuda/lib64", "/opt/cuda/lib64", "/usr/lib/x86_64-linux-gnu",
            "/usr/lib/aarch64-linux-gnu" };
    for (size_t i = 0; i < ARRAY_LEN(folders) && !library; i++) {
        library = open_in(folders[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(names) && !library; i++) {
        library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    }
    return library;
}

/*
 * NVRTC opens its builtins by name alone, which fails where its folder isn't on the loader's path.
 * One that is loaded already is found by that name, so it is opened here by its place: beside NVRTC.
 */
static void open_builtins(void *library)
{
    struct link_map *map = NULL;
    if (dlinfo(library, RTLD_DI_LINKMAP, &map) != 0 || !map->l_name) {
        return;
    }
    auto_free char *folder = realpath(map->l_name, NULL);
    char *slash = folder ? strrchr(folder, '/') : NULL;
    if (!slash) {
        return;
    }
    *slash = '\0';
    struct dirent **found = NULL;
    int n = scandir(folder, &found, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        if (str_prefix(found[i]->d_name, "libnvrtc-builtins.so.")) {
            auto_free char *path = xprintf("%s/%s", folder, found[i]->d_name);
            (void)!dlopen(path, RTLD_NOW | RTLD_LOCAL); /* if it fails, NVRTC says so itself */
        }
        free(found[i]);
    }
    free(found);
}

int nvrtc_api_load(const char *path, struct nvrtc_api *ret, struct err *err)
{
    struct nvrtc_api api = { .library = path ? dlopen(path, RTLD_NOW | RTLD_LOCAL)
                                             : open_anywhere() };
    if (!api.library) {
        return err_set(err, ERR_ENVIRONMENT,
                       "NVRTC (libnvrtc.so.13 or .12) was not found%s%s: install the CUDA Toolkit "
                       "12.8 or newer (package cuda-nvrtc-13-0), or set CUDA_HOME",
                       path ? " at " : "", path ? path : "");
    }
    open_builtins(api.library);
#define X(name)                                                                                    \
    *(void **)&api.name = dlsym(api.library, #name);                                               \
    if (!api.name) {                                                                               \
        return err_set(err, ERR_ENVIRONMENT, "this NVRTC is too old: it lacks %s", #name);         \
    }
    NVRTC_FUNCTIONS(X)
#undef X
    *ret = api;
    return 0;
}
