/* SPDX-License-Identifier: MIT */
#include "store_rig.h"
#include "base/file.h"
#include "base/util.h"

#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void open_it(struct store_rig *rig, const struct store_options *options)
{
    struct store_options o = options ? *options : (struct store_options){0};
    o.loop = &rig->loop;
    int r = store_open(rig->path, &o, &rig->store, &rig->err);
    if (r < 0) {
        fprintf(stderr, "%s\n", err_text(&rig->err));
    }
    require(r == 0);
}

void store_rig_init(struct store_rig *rig, const struct store_options *options)
{
    *rig = (struct store_rig){0};
    const char *temporary = getenv("TMPDIR");
    snprintf(rig->path, sizeof(rig->path), "%.80s/warpsmith-store-XXXXXX",
             temporary && *temporary ? temporary : "/tmp");
    require(mkdtemp(rig->path) != NULL);
    require(uv_loop_init(&rig->loop) == 0);
    rig->arena = arena_new();
    open_it(rig, options);
}

void store_rig_done(struct store_rig *rig)
{
    store_close(rig->store);
    uv_run(&rig->loop, UV_RUN_DEFAULT);
    require(uv_loop_close(&rig->loop) == 0);
    require(rig->waiting == 0);
    arena_free(rig->arena);
    require(folder_remove(rig->path, NULL) == 0);
}

void store_rig_reopen(struct store_rig *rig, const struct store_options *options)
{
    store_close(rig->store);
    open_it(rig, options);
}

static void done(void *user, int status, const struct err *err)
{
    struct store_rig *rig = user;
    rig->waiting--;
    rig->failed += status < 0;
    rig->status = status;
    rig->last = err ? *err : (struct err){0};
    require((err != NULL) == (status < 0));
}

void store_rig_submit(struct store_rig *rig, struct store_batch *batch)
{
    int before = rig->waiting++;
    store_submit(rig->store, batch, done, rig);
    require(rig->waiting == before + 1); /* never called from here */
}

int store_rig_wait(struct store_rig *rig)
{
    while (rig->waiting) {
        require(uv_run(&rig->loop, UV_RUN_ONCE) || rig->waiting == 0);
    }
    return rig->status;
}

int store_rig_commit(struct store_rig *rig, struct store_batch *batch)
{
    store_rig_submit(rig, batch);
    return store_rig_wait(rig);
}

int store_rig_put(struct store_rig *rig, enum store_db db, const char *key, const char *value)
{
    struct store_batch *batch = store_batch_new();
    store_batch_put(batch, db, key, value, strlen(value));
    return store_rig_commit(rig, batch);
}

const char *store_rig_get(struct store_rig *rig, enum store_db db, const char *key)
{
    const void *at;
    size_t len;
    rig->err = (struct err){0};
    return store_get(rig->store, db, key, rig->arena, &at, &len, &rig->err) < 0 ? NULL : at;
}

void store_rig_raw(const char *path, const char *db, const char *key, const void *at, size_t len)
{
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;
    MDB_val k = {strlen(key), (void *)(uintptr_t)key}, v = {len, (void *)(uintptr_t)at};
    require(mdb_env_create(&env) == 0);
    mdb_env_set_maxdbs(env, 64);
    mdb_env_set_mapsize(env, 64 << 20);
    require(mdb_env_open(env, path, 0, 0600) == 0);
    require(mdb_txn_begin(env, NULL, 0, &txn) == 0);
    require(mdb_dbi_open(txn, db, MDB_CREATE, &dbi) == 0);
    require(mdb_put(txn, dbi, &k, &v, 0) == 0);
    require(mdb_txn_commit(txn) == 0);
    mdb_env_close(env);
}

pid_t store_rig_spawn(const char *mode, const char *a, const char *b, int *ret_out)
{
    int pipes[2];
    require(pipe(pipes) == 0);
    pid_t pid = fork();
    require(pid >= 0);
    if (pid == 0) {
        dup2(pipes[1], 1);
        close(pipes[0]);
        close(pipes[1]);
        execl("/proc/self/exe", "child", mode, a, b, (char *)NULL);
        _exit(127);
    }
    close(pipes[1]);
    *ret_out = pipes[0];
    return pid;
}

int store_rig_reap(pid_t pid)
{
    int status;
    require(waitpid(pid, &status, 0) == pid);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}
