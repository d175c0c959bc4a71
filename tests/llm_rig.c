/* SPDX-License-Identifier: MIT */
#include "tests/llm_rig.h"
#include "base/util.h"

#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

enum { WORDS_MAX = 24 };

static void become_fake(char *arguments, int in, int out)
{
    char *words[WORDS_MAX] = { (char *)(uintptr_t)WS_BIN_DIR "/fake_llm" };
    int n = 1;
    for (char *word = strtok(arguments, " "); word && n < WORDS_MAX - 1; word = strtok(NULL, " ")) {
        words[n++] = word;
    }
    dup2(in, STDIN_FILENO);
    dup2(out, STDOUT_FILENO);
    execv(words[0], words);
    _exit(127);
}

void fake_provider_start(struct fake_provider *ret, const char *arguments)
{
    int in[2], out[2];
    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    ret->pid = fork();
    if (ret->pid == 0) {
        become_fake(xstrdup(arguments), in[0], out[1]);
    }
    close(in[0]);
    close(out[1]);
    FILE *said = fdopen(out[0], "r");
    assert_int_equal(fscanf(said, "port %d", &ret->port), 1);
    fclose(said);
    ret->parent = in[1];
    snprintf(ret->url, sizeof(ret->url), "http://127.0.0.1:%d", ret->port);
}

void fake_provider_stop(struct fake_provider *provider)
{
    close(provider->parent);
    kill(provider->pid, SIGKILL);
    waitpid(provider->pid, NULL, 0);
}

void llm_keep(void *ud, const struct llm_reply *reply)
{
    struct llm_kept *kept = ud;
    kept->called++;
    kept->reply = *reply;
    kept->reply.text = kept->text = xstrdup(reply->text);
    kept->reply.error = kept->error = xstrdup(reply->error);
    kept->reply.model = kept->model = xstrdup(reply->model);
    kept->reply.request_id = kept->request_id = xstrdup(reply->request_id);
}

void llm_kept_done(struct llm_kept *kept)
{
    free(kept->text);
    free(kept->error);
    free(kept->model);
    free(kept->request_id);
    *kept = (struct llm_kept) { .called = 0 };
}

void llm_rig_options(struct llm_options *options, const char *spec, const char *url)
{
    llm_options_init(options);
    options->spec = spec;
    options->base_url = url;
    options->backoff_s = 0.02;
    options->retries = 2;
    options->timeout_s = 5;
    options->stall_s = 0.5;
    options->max_tokens = 100;
}

void llm_rig_ask(uv_loop_t *loop, struct llm *llm, const char *key, struct llm_kept *ret)
{
    static const struct llm_message messages[] = { { "system", "You answer." },
                                                   { "user", "question" } };
    struct llm_request request = { .key = key, .messages = messages, .n = 2, .temperature = NAN };
    struct llm_call *call;
    struct err err = { 0 };
    *ret = (struct llm_kept) { .called = 0 };
    if (llm_ask(llm, &request, llm_keep, ret, &call, &err) < 0) {
        fail_msg("%s", err_text(&err));
    }
    assert_int_equal(ret->called, 0); /* never from inside llm_ask */
    while (!ret->called && uv_run(loop, UV_RUN_ONCE)) {
    }
    assert_int_equal(ret->called, 1);
}

void llm_rig_close(uv_loop_t *loop, struct llm *llm)
{
    llm_close(llm);
    uv_run(loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(loop), 0);
}

void llm_rig_once(const struct llm_options *options, struct llm_kept *ret)
{
    uv_loop_t loop;
    struct llm *llm;
    struct err err = { 0 };
    uv_loop_init(&loop);
    if (llm_open(&loop, options, &llm, &err) < 0) {
        fail_msg("%s", err_text(&err));
    }
    llm_rig_ask(&loop, llm, "key-1", ret);
    assert_int_equal(llm_pending(llm), 0);
    llm_rig_close(&loop, llm);
}

char *llm_rig_folder(void)
{
    char template[] = "/tmp/ws_llm_XXXXXX";
    assert_non_null(mkdtemp(template));
    return xstrdup(template);
}
