/* SPDX-License-Identifier: MIT */
/* A campaign's record of any bytes: read whole or refused with a reason, and no file outside its home. */
#include "agent/recording.h"
#include "base/file.h"
#include "base/util.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char folder[] = "/tmp/warpsmith-fuzz-XXXXXX";
    require(mkdtemp(folder) != NULL);
    auto_free char *home = xprintf("%s/home", folder);
    auto_free char *at = xprintf("%s/store", folder);
    auto_close int fd = memfd_create("record", MFD_CLOEXEC);
    auto_free char *path = xprintf("/proc/self/fd/%d", fd);
    require(write(fd, data, size) == (ssize_t)size);
    struct store *store = NULL;
    struct store_options options = { .any_filesystem = true };
    struct recording recording;
    struct err err = { 0 };
    require(folder_make(home, NULL) == 0 && store_open(at, &options, &store, NULL) == 0);
    if (recording_read(path, home, store, &recording, &err) == 0) {
        require(recording.campaign && json_is_array(recording.tasks));
        recording_done(&recording);
    } else {
        require(err.text[0]);
    }
    store_close(store);
    folder_remove(folder, NULL);
    return 0;
}
