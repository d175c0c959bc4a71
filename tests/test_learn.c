/* SPDX-License-Identifier: MIT */
/* Strategies that a model invented: known ones, new ones, namesakes, and a direction that is full. */
#include "agent/learn.h"
#include "base/util.h"
#include "memory/node.h"
#include "store_rig.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct scene {
    struct store_rig rig;
    struct htg *htg;
};

static int setup(void **state)
{
    struct scene *s = xcalloc(1, sizeof(*s));
    store_rig_init(&s->rig, NULL);
    s->htg = htg_new();
    struct htg_direction direction = {.id = "data-reuse"};
    struct htg_strategy known = {.id = "row-in-registers", .direction = "data-reuse",
                                 .title = "Keep the row in registers",
                                 .guidance = "Read once, hold it, write once."};
    assert_int_equal(htg_add_direction(s->htg, &direction, NULL), 0);
    assert_int_equal(htg_add_strategy(s->htg, &known, NULL), 0);
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    struct scene *s = *state;
    htg_free(s->htg);
    store_rig_done(&s->rig);
    free(s);
    return 0;
}

static const char *invent(struct scene *s, const char *title, const char *summary)
{
    struct learn_invention invention = {"data-reuse", title, summary};
    struct store_batch *batch = store_batch_new();
    const char *id = NULL;
    assert_int_equal(learn_invented(s->htg, s->rig.store, batch, &invention, &id, NULL), 0);
    if (store_batch_empty(batch)) {
        store_batch_free(batch);
    } else {
        assert_int_equal(store_rig_commit(&s->rig, batch), 0);
    }
    return id;
}

static void test_known(void **state)
{
    struct scene *s = *state;
    struct learn_invention same = {"data-reuse", "Keep rows in registers", "hold it, write once"};
    struct learn_invention other = {"data-reuse", "Hilbert order", "a curve through the tiles"};
    assert_string_equal(learn_known(s->htg, &same), "row-in-registers");
    assert_null(learn_known(s->htg, &other));
}

static void test_new_node(void **state)
{
    struct scene *s = *state;
    const char *id = invent(s, "Hilbert order, of tiles!", "Walk a curve \xff.");
    assert_string_equal(id, "hilbert-order-of-tiles");
    const struct htg_strategy *node
        = htg_strategy(s->htg, (size_t)htg_find_strategy(s->htg, id));
    assert_int_equal(node->state, HTG_STATE_PROVISIONAL);
    assert_string_equal(node->guidance, "Walk a curve ?.");
    struct node_record *list;
    size_t n;
    assert_int_equal(node_list(s->rig.store, "strategy", s->rig.arena, &list, &n, NULL), 0);
    assert_int_equal(n, 1);
    assert_string_equal(list[0].id, id);
    assert_string_equal(invent(s, "hilbert ORDER of tiles", ""), "hilbert-order-of-tiles-2");
    assert_null(invent(s, "\xc3\xa4\xc3\xb6", "no letter that an id may have"));
}

static void test_quota(void **state)
{
    struct scene *s = *state;
    char title[32];
    for (int i = 0; i < LEARN_PROVISIONAL_MOST; i++) {
        snprintf(title, sizeof(title), "idea %d", i);
        assert_non_null(invent(s, title, ""));
    }
    assert_null(invent(s, "one too many", ""));
    /* One that failed for good makes room. */
    for (int i = 0; i < HTG_RETIRE_TRIES; i++) {
        assert_int_equal(htg_stat_add(s->htg, "strategy/idea-3/*|*|*", 0, true, NULL), 0);
    }
    assert_non_null(invent(s, "one more", ""));
    struct learn_invention lost = {"nowhere", "x", ""};
    struct store_batch *batch = store_batch_new();
    const char *id;
    assert_int_equal(learn_invented(s->htg, s->rig.store, batch, &lost, &id, NULL), ERR_INVALID);
    store_batch_free(batch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_known, setup, teardown),
        cmocka_unit_test_setup_teardown(test_new_node, setup, teardown),
        cmocka_unit_test_setup_teardown(test_quota, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
