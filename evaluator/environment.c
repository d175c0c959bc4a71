/* SPDX-License-Identifier: MIT */
#include "evaluator/environment.h"
#include "base/util.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

/* One that ends in '_' stands for all names that begin so. */
static const char *const passing[] = {
    "PATH", "HOME", "TMPDIR", "LANG", "LC_", "LD_LIBRARY_PATH", "CUDA_", "NVIDIA_", "WARPSMITH_",
    "WARPSIM_", "ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS", "LSAN_OPTIONS",
};
static const char *const never[] = { "KEY", "TOKEN", "SECRET", "PASSW", "CREDENTIAL", "AUTH" };

bool environment_passes(const char *entry)
{
    const char *equals = strchr(entry, '=');
    size_t len = equals ? (size_t)(equals - entry) : strlen(entry);
    bool listed = false;
    for (size_t i = 0; i < ARRAY_LEN(passing); i++) {
        size_t n = strlen(passing[i]);
        bool prefix = passing[i][n - 1] == '_';
        listed = listed
            || (len >= n && memcmp(entry, passing[i], n) == 0 && (prefix || len == n));
    }
    for (size_t i = 0; listed && i < ARRAY_LEN(never); i++) {
        size_t n = strlen(never[i]);
        for (size_t at = 0; listed && at + n <= len; at++) {
            listed = strncasecmp(entry + at, never[i], n) != 0;
        }
    }
    return listed;
}

char **environment_for_worker(const char *const *extra)
{
    size_t n = 0, most = 1;
    for (size_t i = 0; extra && extra[i]; i++) {
        most++;
    }
    for (char **at = environ; at && *at; at++) {
        most++;
    }
    char **all = xcalloc(most, sizeof(*all));
    for (size_t i = 0; extra && extra[i]; i++) {
        all[n++] = xstrdup(extra[i]);
    }
    for (char **at = environ; at && *at; at++) {
        if (environment_passes(*at)) {
            all[n++] = xstrdup(*at);
        }
    }
    return all;
}

void environment_free(char **environment)
{
    for (size_t i = 0; environment && environment[i]; i++) {
        free(environment[i]);
    }
    free(environment);
}
