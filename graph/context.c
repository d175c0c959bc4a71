/* SPDX-License-Identifier: MIT */
#include "graph/context.h"
#include "base/util.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MODEL "-model"

static const char *const class_names[] = {
#define X(name, text) text,
    CONTEXT_CLASS_LIST(X)
#undef X
};

const char *context_class_name(enum context_class class)
{
    return class_names[class];
}

bool context_class_parse(const char *name, enum context_class *ret)
{
    for (size_t i = 0; i < ARRAY_LEN(class_names); i++) {
        if (str_eq(class_names[i], name)) {
            *ret = (enum context_class)i;
            return true;
        }
    }
    return false;
}

const char *context_rung_name(enum context_rung rung)
{
    static const char *const names[] = {"exact", "class", "everywhere", "prior"};
    return names[rung];
}

static int check_name(const char *what, const char *name, size_t room, struct err *err)
{
    if (!name || !*name) {
        return err_set(err, ERR_INVALID, "context: the %s is empty", what);
    }
    if (strlen(name) >= room) {
        return err_set(err, ERR_TOOBIG, "context: %s \"%.40s...\" is over %zu bytes", what, name,
                       room - 1);
    }
    for (const char *c = name; *c; c++) {
        if (!isalnum((unsigned char)*c) && !strchr("_.-", *c)) {
            return err_set(err, ERR_INVALID, "context: %s \"%s\": only letters, digits, _ . -",
                           what, name);
        }
    }
    return 0;
}

static bool ends_in_model(const char *name)
{
    size_t n = strlen(name), m = strlen(MODEL);
    return n >= m && str_eq(name + n - m, MODEL);
}

/* "sm_90a" and "sm_100f" name features of the machines sm_90 and sm_100. */
static void drop_letter(char *arch)
{
    size_t digits = str_prefix(arch, "sm_") ? strspn(arch + 3, "0123456789") : 0;
    char *letter = arch + 3 + digits;
    if (digits > 0 && islower((unsigned char)letter[0]) && !letter[1]) {
        *letter = '\0';
    }
}

int context_init(struct context *ret, const char *family, const char *bottleneck, const char *arch,
                 bool modelled, struct err *err)
{
    struct context made = {.modelled = modelled};
    int r = check_name("family", family, sizeof(made.family), err);
    if (r == 0) {
        r = check_name("architecture", arch, sizeof(made.arch), err);
    }
    if (r < 0) {
        return r;
    }
    if (ends_in_model(arch)) {
        return err_set(err, ERR_INVALID, "context: architecture \"%s\" ends in \"" MODEL "\"",
                       arch);
    }
    if (!bottleneck || !context_class_parse(bottleneck, &made.class)) {
        const char *near =
            bottleneck ? suggest(bottleneck, class_names, ARRAY_LEN(class_names)) : NULL;
        return err_set(err, ERR_INVALID, "context: unknown bottleneck \"%.40s\"%s%s%s",
                       bottleneck ? bottleneck : "", near ? ", did you mean \"" : "",
                       near ? near : "", near ? "\"?" : "");
    }
    strcpy(made.family, family);
    strcpy(made.arch, arch);
    drop_letter(made.arch);
    *ret = made;
    return 0;
}

/* Two bars, the longest class (13), the mark of a model, the end. */
_Static_assert(CONTEXT_FAMILY_MAX + CONTEXT_ARCH_MAX + 2 + 13 + sizeof(MODEL) <= CONTEXT_KEY_MAX,
               "every key fits");

void context_key(const struct context *context, enum context_rung rung, char ret[CONTEXT_KEY_MAX])
{
    bool exact = rung == CONTEXT_RUNG_EXACT;
    const char *class
        = rung == CONTEXT_RUNG_EVERYWHERE ? "*" : context_class_name(context->class);
    char *at = stpcpy(ret, exact ? context->family : "*");
    *at++ = '|';
    at = stpcpy(at, class);
    *at++ = '|';
    at = stpcpy(at, exact ? context->arch : "*");
    stpcpy(at, context->modelled ? MODEL : "");
}

int context_parse(const char *key, struct context *ret, struct err *err)
{
    char copy[CONTEXT_KEY_MAX];
    if (strlen(key) >= sizeof(copy)) {
        return err_set(err, ERR_TOOBIG, "context: the key is over %zu bytes", sizeof(copy) - 1);
    }
    strcpy(copy, key);
    char *class = strchr(copy, '|');
    char *arch = class ? strchr(class + 1, '|') : NULL;
    if (!arch) {
        return err_set(err, ERR_INVALID, "context: \"%s\" isn't family|bottleneck|architecture",
                       key);
    }
    *class ++ = '\0';
    *arch++ = '\0';
    bool modelled = ends_in_model(arch);
    if (modelled) {
        arch[strlen(arch) - strlen(MODEL)] = '\0';
    }
    return context_init(ret, copy, class, arch, modelled, err);
}

bool context_arch_matches(const char *arch, const char *entry)
{
    if (!str_prefix(arch, "sm_") || !str_prefix(entry, "sm_")) {
        return str_eq(arch, entry);
    }
    char *rest;
    long have = strtol(arch + 3, NULL, 10);
    long want = strtol(entry + 3, &rest, 10);
    return *rest == '+' ? have >= want : have == want;
}
