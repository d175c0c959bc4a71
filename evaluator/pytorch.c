/* SPDX-License-Identifier: MIT */
#include "evaluator/pytorch.h"
#include "base/file.h"
#include "base/util.h"
#include "evaluator/pool.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { START_MS = 120000, /* PyTorch takes seconds to import, more on a busy machine */
       ANSWER_MS = 600000, ENVIRONMENT_MOST = 64 };

struct pytorch {
    struct pool *pool;
};

struct pytorch_question {
    pytorch_cb done; /* NULL: forgotten */
    void *ud;
};

/* What a Python of the user's needs besides what every worker gets. */
static const char *const needs[] = { "PYTHONPATH=", "PYTHONHOME=", "VIRTUAL_ENV=", "CONDA_PREFIX=",
                                     "OMP_NUM_THREADS=", "MKL_NUM_THREADS=", "TORCH_HOME=",
                                     "TORCHINDUCTOR_CACHE_DIR=", "TRITON_CACHE_DIR=",
                                     "XDG_CACHE_HOME=", "CC=", "CXX=" };

static void collect(const char *ret[ENVIRONMENT_MOST])
{
    size_t n = 0;
    for (char **at = environ; at && *at; at++) {
        for (size_t i = 0; i < ARRAY_LEN(needs) && n + 1 < ENVIRONMENT_MOST; i++) {
            if (str_prefix(*at, needs[i])) {
                ret[n++] = *at;
            }
        }
    }
    ret[n] = NULL;
}

int pytorch_open(uv_loop_t *loop, const struct pytorch_options *o, struct pytorch **ret,
                 struct err *err)
{
    auto_free char *script = NULL;
    const char *env[ENVIRONMENT_MOST];
    const char *chosen = o->python ? o->python : getenv("WARPSMITH_PYTHON");
    int r = file_find_shipped("kernelbench/oracle.py", &script, err);
    if (r < 0) {
        return r;
    }
    collect(env);
    /* -B: no byte code is written beside what may be installed for all users. */
    const char *const args[] = { "-B", script, o->device, NULL };
    struct pool_options options = {
        .name = "oracle",
        .program = chosen && *chosen ? chosen : "python3",
        .args = args,
        .env = env,
        .workers = 1,
        .passed = o->passed,
        .group = true, /* a problem's file may start processes */
        .start_ms = START_MS,
        .log = o->log,
    };
    struct pytorch *p = xcalloc(1, sizeof(*p));
    r = pool_new(loop, &options, &p->pool, err);
    while (r == 0 && !pool_hello(p->pool) && !pool_failure(p->pool) && uv_run(loop, UV_RUN_ONCE)) {
    }
    if (r == 0 && !pool_hello(p->pool)) {
        const char *why = pool_failure(p->pool);
        bool helps = why && strstr(why, "WARPSMITH_PYTHON");
        r = err_set(err, ERR_ENVIRONMENT, "%s%s", why ? why : "the oracle didn't start",
                    helps ? "" : "; WARPSMITH_PYTHON names the Python to use, one that has PyTorch");
    }
    if (r < 0) {
        pytorch_close(p);
        return r;
    }
    *ret = p;
    return 0;
}

void pytorch_close(struct pytorch *p)
{
    if (p) {
        pool_close(p->pool);
        free(p);
    }
}

const json_t *pytorch_hello(const struct pytorch *p)
{
    return pool_hello(p->pool);
}

int pytorch_pid(const struct pytorch *p)
{
    return pool_worker_pid(p->pool, 0);
}

static void on_answer(void *ud, const struct pool_result *result)
{
    struct pytorch_question *q = ud;
    if (q->done) {
        q->done(q->ud, result->code, result->json, result->error);
    }
    free(q);
}

struct pytorch_question *pytorch_ask(struct pytorch *p, json_t *question, uint64_t most_ms,
                                     pytorch_cb done, void *ud)
{
    struct pytorch_question *q = xcalloc(1, sizeof(*q));
    *q = (struct pytorch_question) { done, ud };
    char *text = json_dumps(question, JSON_COMPACT);
    json_decref(question);
    require(text != NULL);
    pool_submit(p->pool, text, "", 0, most_ms ? most_ms : ANSWER_MS, on_answer, q);
    return q;
}

void pytorch_forget(struct pytorch_question *q)
{
    q->done = NULL;
}
