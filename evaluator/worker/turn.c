/* SPDX-License-Identifier: MIT */
#include "evaluator/worker/turn.h"
#include "base/util.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

void turn_open(struct turn *turn, const char *uuid)
{
    const char *folder = getenv("WARPSMITH_LOCKS");
    auto_free char *path
        = xprintf("%s/warpsmith-gpu-%s.lock", folder && *folder ? folder : "/tmp", uuid);
    turn->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (turn->fd >= 0) {
        (void)!fchmod(turn->fd, 0666); /* other users take turns, too */
    } else {
        turn->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    }
}

void turn_close(struct turn *turn)
{
    if (turn->fd >= 0) {
        close(turn->fd);
    }
    turn->fd = -1;
}

int turn_try(const struct turn *turn)
{
    return turn->fd < 0 || flock(turn->fd, LOCK_EX | LOCK_NB) == 0;
}

void turn_take(const struct turn *turn)
{
    while (turn->fd >= 0 && flock(turn->fd, LOCK_EX) < 0 && errno == EINTR) {
    }
}

void turn_give(const struct turn *turn)
{
    if (turn->fd >= 0) {
        flock(turn->fd, LOCK_UN);
    }
}
