#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * The files of a spool: their places, what makes one safe to read, and what it says. No loop here.
 * Replies are read below an open folder, never through a symbolic link, with a cap on their size.
 */
#include "agent/llm_wire.h"

enum spool_state {
    SPOOL_NOTHING,
    SPOOL_YOUNG,   /* perhaps still being written: look again soon */
    SPOOL_BAD,     /* no answer; renamed to KEY.bad, the error says why */
    SPOOL_REFUSED, /* an answer that there is none; the error says why */
    SPOOL_ANSWER,
};

struct spool_found {
    enum spool_state state;
    char name[LLM_KEY_MAX + 8]; /* of the file */
};

/* Makes the folder. ERR_ENVIRONMENT if everybody may write there; whose it is may differ (a group's, a
 * container's). */
int spool_file_folder(const char *path, int *ret_fd, struct err *err);
void spool_file_close(int fd);

/* One line in the batch format. `model` NULL: left to whoever answers. */
int spool_file_line(const struct llm_request *request, const char *model, struct buf *ret);
/* Durable: the file and its name. */
int spool_file_put(const char *folder, const char *path, const char *bytes, size_t len,
                   struct err *err);

void spool_file_find(int in_fd, const char *key, size_t cap, struct arena *arena,
                     struct llm_answer *ret_answer, struct spool_found *ret, struct err *err);

/* The bytes of a reply file; SPOOL_ANSWER, SPOOL_REFUSED or SPOOL_BAD. */
enum spool_state spool_file_read(const char *bytes, size_t len, bool plain, const char *key,
                                 struct arena *arena, struct llm_answer *ret, struct err *err);
