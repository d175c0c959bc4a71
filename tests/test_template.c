/* SPDX-License-Identifier: MIT */
/* Templates: what goes in comes out, and what is misspelt doesn't go through. */
#include "agent/template.h"
#include "base/util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

static void test_templates(void **state)
{
    (void)state;
    static const struct {
        const char *text, *out, *error;
    } cases[] = {
        { "a {{x}} b\n", "a {{y}} b\n", NULL },
        { "{{?x}}\nhas {{x}}\n{{/x}}\n{{?no}}\nhidden {{no}} {{x}}\n{{/no}}\nend\n",
          "has {{y}}\nend\n", NULL },
        { "in {{?x}}line{{/x}}{{?no}}{{no}}{{/no}}\n", "in line\n", NULL },
        { "{{?no}}{{?x}}{{x}}{{/x}}{{/no}}", "", NULL },
        { "a\n{{z}}", NULL, "t.md, line 2: nothing is called \"z\"" },
        { "{{no}}{{x}}", NULL, "t.md, line 1: outside of a part there must be a value for \"no\"" },
        { "{{?x}}{{?no}}{{/x}}", NULL, "t.md, line 1: this doesn't end what was begun last: \"x\"" },
        { "{{?x}}{{?no}}{{/no}}", NULL, "t.md, line 1: this part isn't closed: \"x\"" },
        { "{{x", NULL, "t.md, line 1: a mark isn't closed: \"{{x\"" },
        { "{{x}}", NULL, "t.md: the value \"no\" is used nowhere" },
    };
    const struct template_value values[] = { { "x", "{{y}}" }, { "no", NULL } };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = { 0 };
        auto_buf struct buf out;
        buf_init(&out, 1000);
        size_t n = strstr(cases[i].text, "no") || (cases[i].error && strstr(cases[i].error, "no\""))
                       ? 2 : 1;
        int r = template_render("t.md", cases[i].text, values, n, &out, &err);
        assert_int_equal(r < 0, cases[i].error != NULL);
        assert_string_equal(cases[i].error ? err_text(&err) : out.len ? out.at : "",
                            cases[i].error ? cases[i].error : cases[i].out);
    }
}

static void test_limits(void **state)
{
    (void)state;
    struct err err = { 0 };
    auto_buf struct buf out;
    buf_init(&out, 4);
    const struct template_value value = { "x", "longer than four" };
    assert_int_equal(template_render("t.md", "{{x}}", &value, 1, &out, &err), ERR_TOOBIG);
    assert_string_equal(err_text(&err), "t.md: the text is too long");

    auto_buf struct buf deep;
    buf_init(&deep, 1000);
    const char *text = "{{?x}}{{?x}}{{?x}}{{?x}}{{?x}}{{?x}}{{?x}}{{?x}}{{?x}}";
    assert_int_equal(template_render("t.md", text, &value, 1, &deep, &err), ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_templates),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
