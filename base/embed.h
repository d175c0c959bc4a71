#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * A text file built into the program, NUL-terminated: EMBED_TEXT(gate_text, PATH) defines the
 * symbol `gate_text`; declare it as `extern const char gate_text[];` in the same file. PATH is a
 * string literal, given by the build; the build also makes the object depend on the file.
 */
#define EMBED_TEXT(symbol, path)                                                                   \
    __asm__(".section .rodata\n"                                                                   \
            ".type " #symbol ", @object\n" #symbol ":\n"                                           \
            ".incbin \"" path "\"\n"                                                               \
            ".byte 0\n"                                                                            \
            ".previous\n");                                                                        \
    extern const char symbol[]
