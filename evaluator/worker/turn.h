#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * One GPU, one worker at a time on the whole machine: a lock file named by the GPU's UUID under
 * flock, which the kernel drops when its holder dies. The file is opened before the worker is
 * sealed; a machine where it can't be opened goes without (turn->fd is -1).
 */
struct turn {
    int fd;
};

/* In /tmp, for every user: WARPSMITH_LOCKS names another folder. */
void turn_open(struct turn *turn, const char *uuid);
void turn_close(struct turn *turn);

/* 1: taken at once, 0: another process has it (turn_take waits). */
int turn_try(const struct turn *turn);
void turn_take(const struct turn *turn);
void turn_give(const struct turn *turn);
