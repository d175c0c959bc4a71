/* SPDX-License-Identifier: MIT */
#include "agent/turns.h"
#include "base/util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

struct note {
    char text[64];
    uv_timer_t timer;
};

struct piece {
    struct turn turn;
    struct note *note;
    char letter;
    uint64_t ms; /* how long it works */
};

static void work(void *ud)
{
    struct piece *p = ud;
    uint64_t until = clock_ns() + p->ms * 1000000u;
    size_t n = strlen(p->note->text);
    p->note->text[n] = p->letter;
    while (clock_ns() < until) {
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct note *note = timer->data;
    strcat(note->text, "!");
}

static void close_loop(uv_loop_t *loop, struct turns *turns)
{
    turns_free(turns);
    uv_run(loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(loop), 0);
}

static void test_order_and_removal(void **state)
{
    (void)state;
    uv_loop_t loop;
    uv_loop_init(&loop);
    struct turns *turns = turns_new(&loop);
    struct note note = { .text = "" };
    struct piece p[4];
    for (int i = 0; i < 4; i++) {
        p[i] = (struct piece) { .note = &note, .letter = (char)('a' + i) };
        turns_add(turns, &p[i].turn, work, &p[i]);
    }
    assert_string_equal(note.text, ""); /* never from inside turns_add */
    turns_remove(&p[1].turn);
    turns_remove(&p[1].turn);
    turns_remove(&p[3].turn); /* the last: what is added next must still be found */
    turns_add(turns, &p[1].turn, work, &p[1]);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_string_equal(note.text, "acb");
    turns_add(turns, &p[2].turn, work, &p[2]); /* forgotten with the rest */
    close_loop(&loop, turns);
    assert_string_equal(note.text, "acb");
    assert_null(p[2].turn.turns);
}

/* Pieces that work for a slice each leave the loop to others in between. */
static void test_others_come_in_between(void **state)
{
    (void)state;
    uv_loop_t loop;
    uv_loop_init(&loop);
    struct turns *turns = turns_new(&loop);
    struct note note = { .text = "" };
    struct piece p[8];
    for (int i = 0; i < 8; i++) {
        p[i] = (struct piece) { .note = &note, .letter = (char)('a' + i), .ms = TURNS_SLICE_MS + 1 };
        turns_add(turns, &p[i].turn, work, &p[i]);
    }
    uv_timer_init(&loop, &note.timer);
    note.timer.data = &note;
    uv_timer_start(&note.timer, on_timer, 1, 0);
    uv_run(&loop, UV_RUN_DEFAULT);
    const char *mark = strchr(note.text, '!');
    assert_non_null(mark);
    assert_true(mark[1] != '\0');
    uv_close((uv_handle_t *)&note.timer, NULL);
    close_loop(&loop, turns);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_and_removal),
        cmocka_unit_test(test_others_come_in_between),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
