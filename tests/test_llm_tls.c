/* SPDX-License-Identifier: MIT */
/*
 * TLS, with a certificate of our own making: refused unless it is given as trusted, refused for another
 * name, and a proxy is asked where one is set. Needs the openssl program for the certificate and python3
 * for the server's side of TLS; without them the test says so and passes over.
 */
#include "base/file.h"
#include "base/util.h"
#include "tests/llm_rig.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

/* Ends TLS and hands everything on to the port of the fake provider. */
static const char tunnel[] =
    "import socket,ssl,sys,threading\n"
    "c=ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)\n"
    "c.load_cert_chain(sys.argv[1],sys.argv[2])\n"
    "l=socket.create_server(('127.0.0.1',0))\n"
    "print('port',l.getsockname()[1],flush=True)\n"
    "def pump(a,b):\n"
    "  try:\n"
    "    while d:=a.recv(65536): b.sendall(d)\n"
    "  except OSError: pass\n"
    "  for s in (a,b):\n"
    "    try: s.shutdown(2)\n"
    "    except OSError: pass\n"
    "def serve(s):\n"
    "  try: t=c.wrap_socket(s,server_side=True)\n"
    "  except OSError: return\n"
    "  u=socket.create_connection(('127.0.0.1',int(sys.argv[3])))\n"
    "  threading.Thread(target=pump,args=(t,u),daemon=True).start()\n"
    "  pump(u,t)\n"
    "while True:\n"
    "  s,_=l.accept()\n"
    "  threading.Thread(target=serve,args=(s,),daemon=True).start()\n";

/* Answers CONNECT for whatever host with a way to the port of the tunnel, and writes down what it saw. */
static const char proxy[] =
    "import socket,sys,threading\n"
    "l=socket.create_server(('127.0.0.1',0))\n"
    "print('port',l.getsockname()[1],flush=True)\n"
    "def pump(a,b):\n"
    "  try:\n"
    "    while d:=a.recv(65536): b.sendall(d)\n"
    "  except OSError: pass\n"
    "  for s in (a,b):\n"
    "    try: s.shutdown(2)\n"
    "    except OSError: pass\n"
    "def serve(s):\n"
    "  h=b''\n"
    "  while b'\\r\\n\\r\\n' not in h: h+=s.recv(65536)\n"
    "  open(sys.argv[1],'ab').write(h)\n"
    "  u=socket.create_connection(('127.0.0.1',int(sys.argv[3])))\n"
    "  s.sendall(b'HTTP/1.1 200 Connection established\\r\\n\\r\\n')\n"
    "  threading.Thread(target=pump,args=(s,u),daemon=True).start()\n"
    "  pump(u,s)\n"
    "while True:\n"
    "  s,_=l.accept()\n"
    "  threading.Thread(target=serve,args=(s,),daemon=True).start()\n";

struct peer {
    pid_t pid;
    int port;
};

struct tls {
    char *folder, *ca, *seen;
    struct fake_provider provider;
    struct peer tunnel, proxy;
};

static bool has(const char *program)
{
    auto_free char *command = xprintf("command -v %s >/dev/null 2>&1", program);
    return system(command) == 0;
}

static int run(const char *format, const char *folder)
{
    auto_free char *command = xprintf(format, folder, folder, folder, folder, folder);
    return system(command);
}

/* A program in python that says its port; its last argument is the port it passes on to. */
static void peer_start(const struct tls *t, const char *name, const char *text, const char *one,
                       const char *two, int port, struct peer *ret)
{
    auto_free char *script = xprintf("%s/%s.py", t->folder, name), *to = xprintf("%d", port);
    assert_int_equal(file_write(script, text, strlen(text), NULL), 0);
    int out[2];
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    ret->pid = fork();
    if (ret->pid == 0) {
        dup2(out[1], STDOUT_FILENO);
        execlp("python3", "python3", script, one, two, to, (char *)NULL);
        _exit(127);
    }
    close(out[1]);
    FILE *said = fdopen(out[0], "r");
    assert_int_equal(fscanf(said, "port %d", &ret->port), 1);
    fclose(said);
}

static void peer_stop(struct peer *peer)
{
    kill(peer->pid, SIGKILL);
    waitpid(peer->pid, NULL, 0);
}

static int set_up(void **state)
{
    if (!has("openssl") || !has("python3")) {
        print_message("no openssl or python3 here: TLS isn't tried\n");
        return 0;
    }
    struct tls *t = xcalloc(1, sizeof(*t));
    t->folder = llm_rig_folder();
    t->ca = xprintf("%s/cert.pem", t->folder);
    assert_int_equal(run("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes "
                         "-keyout %s/key.pem -out %s/cert.pem -days 2 -subj /CN=localhost "
                         "-addext subjectAltName=DNS:localhost,DNS:provider.test 2>%s/log", t->folder), 0);
    fake_provider_start(&t->provider, "--script ok");
    auto_free char *key = xprintf("%s/key.pem", t->folder);
    t->seen = xprintf("%s/seen", t->folder);
    peer_start(t, "tunnel", tunnel, t->ca, key, t->provider.port, &t->tunnel);
    peer_start(t, "proxy", proxy, t->seen, "", t->tunnel.port, &t->proxy);
    *state = t;
    return 0;
}

static int tear_down(void **state)
{
    struct tls *t = *state;
    if (t) {
        peer_stop(&t->tunnel);
        peer_stop(&t->proxy);
        fake_provider_stop(&t->provider);
        folder_remove(t->folder, NULL);
        free(t->folder);
        free(t->ca);
        free(t->seen);
        free(t);
    }
    return 0;
}

static void ask(const struct tls *t, const char *host, const char *ca, const char *through,
                struct llm_kept *ret)
{
    struct llm_options options;
    auto_free char *url = xprintf("https://%s:%d", host, t->tunnel.port);
    llm_rig_options(&options, "openai:m", url);
    options.ca_file = ca;
    options.proxy = through;
    llm_rig_once(&options, ret);
}

static void test_certificates(void **state)
{
    struct tls *t = *state;
    struct llm_kept kept;
    if (!t) {
        skip();
    }
    ask(t, "localhost", NULL, NULL, &kept);
    assert_int_equal(kept.reply.code, ERR_ENVIRONMENT);
    assert_true(kept.reply.fatal);
    assert_int_equal(kept.reply.tries, 1);
    assert_non_null(strstr(kept.error, "--ca FILE"));
    llm_kept_done(&kept);
    ask(t, "localhost", t->ca, NULL, &kept);
    if (kept.reply.code != 0) {
        fail_msg("%s", kept.error);
    }
    assert_string_equal(kept.text, "an answer");
    llm_kept_done(&kept);
    ask(t, "127.0.0.1", t->ca, NULL, &kept); /* trusted, but another name */
    assert_int_equal(kept.reply.code, ERR_ENVIRONMENT);
    assert_non_null(strstr(kept.error, "certificate"));
    llm_kept_done(&kept);
}

static void test_missing_certificates(void **state)
{
    struct llm_options options;
    struct llm *llm;
    struct err err = { 0 };
    uv_loop_t loop;
    (void)state;
    uv_loop_init(&loop);
    llm_rig_options(&options, "openai:m", "https://localhost:1");
    options.ca_file = "/no/such/ca.pem";
    assert_int_equal(llm_open(&loop, &options, &llm, &err), ERR_INVALID);
    assert_non_null(strstr(err.text, "--ca /no/such/ca.pem"));
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
}

/* TLS goes through the proxy whole: it sees where to, and no key. */
static void test_through_a_proxy(void **state)
{
    struct tls *t = *state;
    struct llm_kept kept;
    if (!t) {
        skip();
    }
    auto_free char *through = xprintf("http://127.0.0.1:%d", t->proxy.port), *seen = NULL;
    ask(t, "provider.test", t->ca, through, &kept);
    if (kept.reply.code != 0) {
        fail_msg("%s", kept.error);
    }
    assert_string_equal(kept.text, "an answer");
    llm_kept_done(&kept);
    assert_int_equal(file_read(t->seen, 1 << 16, &seen, NULL, NULL), 0);
    assert_non_null(strstr(seen, "CONNECT provider.test:"));
    assert_null(strstr(seen, "sk-secret"));
    assert_null(strcasestr(seen, "authorization"));
}

/* The fake provider as proxy answers CONNECT with what it answers to everything: no tunnel comes about,
 * and the key wasn't in what it saw. For plain HTTP it is asked with the whole address. */
static void test_proxy_refuses(void **state)
{
    struct fake_provider fake;
    struct llm_options options;
    struct llm_kept kept;
    (void)state;
    auto_free char *folder = llm_rig_folder(), *log = xprintf("%s/log", folder), *text = NULL;
    auto_free char *arguments = xprintf("--script 403 --log %s", log);
    fake_provider_start(&fake, arguments);
    llm_rig_options(&options, "openai:m", "https://provider.invalid");
    options.proxy = fake.url;
    options.retries = 0;
    llm_rig_once(&options, &kept);
    assert_int_equal(kept.reply.code, ERR_ENVIRONMENT);
    assert_non_null(strstr(kept.error, "403"));
    assert_int_equal(kept.reply.tokens_unsure, 0);
    llm_kept_done(&kept);
    assert_int_equal(file_read(log, 1 << 20, &text, NULL, NULL), 0);
    assert_non_null(strstr(text, "\"authorized\":false"));
    assert_null(strstr(text, "\"authorized\":true"));
    fake_provider_stop(&fake);
    folder_remove(folder, NULL);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    setenv("OPENAI_API_KEY", "sk-secret", 1);
    setenv("no_proxy", "127.0.0.1,localhost", 1);
    unsetenv("SSL_CERT_FILE");
    unsetenv("SSL_CERT_DIR");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_certificates, set_up, tear_down),
        cmocka_unit_test(test_missing_certificates),
        cmocka_unit_test_setup_teardown(test_through_a_proxy, set_up, tear_down),
        cmocka_unit_test(test_proxy_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
