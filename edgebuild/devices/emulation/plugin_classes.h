/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sorts the instructions of A64 into classes by their encoding. */
#ifndef PLUGIN_CLASSES_H
#define PLUGIN_CLASSES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum class {
    LOAD, STORE, VECTOR_LOAD, VECTOR_STORE, INTEGER, MULTIPLY, BRANCH, SYSTEM,
    FP_FMA, FP_VECTOR, FP_SCALAR, DOT, MATRIX, VECTOR_MULTIPLY, VECTOR_INTEGER, SVE, CLASSES
};

static const char *const class_name[CLASSES] = {
    "load", "store", "vector_load", "vector_store", "integer", "multiply", "branch", "system",
    "fp_fma", "fp_vector", "fp_scalar", "dot", "matrix", "vector_multiply", "vector_integer", "sve"
};

/* A word belongs to the first rule with (word & mask) == value. Arm Architecture Reference Manual (DDI 0487), C4. */
static const struct { uint32_t mask, value; enum class class; } rules[] = {
    { 0x3f000000, 0x18000000, LOAD },            /* literal */
    { 0x3f000000, 0x1c000000, VECTOR_LOAD },
    { 0x3e400000, 0x28000000, STORE },           /* pair */
    { 0x3e400000, 0x28400000, LOAD },
    { 0x3e400000, 0x2c000000, VECTOR_STORE },
    { 0x3e400000, 0x2c400000, VECTOR_LOAD },
    { 0x3f400000, 0x08000000, STORE },           /* exclusive, ordered, compare and swap */
    { 0x3f400000, 0x08400000, LOAD },
    { 0xbe400000, 0x0c000000, VECTOR_STORE },    /* structures */
    { 0xbe400000, 0x0c400000, VECTOR_LOAD },
    { 0x3e400000, 0x3c000000, VECTOR_STORE },    /* one vector register */
    { 0x3e400000, 0x3c400000, VECTOR_LOAD },
    { 0x3f200c00, 0x38200000, LOAD },            /* atomic read-modify-write */
    { 0x3ec00000, 0x38000000, STORE },           /* one general register */
    { 0x0a000000, 0x08000000, LOAD },
    { 0x1c000000, 0x10000000, INTEGER },         /* immediate operand */
    { 0xfe000000, 0xd4000000, SYSTEM },
    { 0x1c000000, 0x14000000, BRANCH },
    { 0x1f000000, 0x1b000000, MULTIPLY },
    { 0x7fe0f800, 0x1ac00800, MULTIPLY },        /* divide */
    { 0x0e000000, 0x0a000000, INTEGER },         /* register operands */
    { 0x1e000000, 0x04000000, SVE },
    { 0x5f000000, 0x1f000000, FP_FMA },          /* scalar */
    { 0x5f000000, 0x1e000000, FP_SCALAR },
    { 0x9f20fc00, 0x0e009400, DOT },             /* sdot, udot; usdot; by element */
    { 0xbfe0fc00, 0x0e809c00, DOT },
    { 0x9f00f400, 0x0f00e000, DOT },
    { 0xbf00f400, 0x0f00f000, DOT },
    { 0x9fe0f400, 0x0e80a400, MATRIX },          /* smmla, ummla, usmmla */
    { 0xbf20fc00, 0x0e20cc00, FP_FMA },          /* vector; half precision; by element */
    { 0xbf60fc00, 0x0e400c00, FP_FMA },
    { 0xbf00b400, 0x0f001000, FP_FMA },
    { 0x9f00f400, 0x0f009000, FP_VECTOR },       /* fmul by element */
    { 0x9f000400, 0x0f000000, VECTOR_MULTIPLY }, /* other multiplications by element */
    { 0x9f208c00, 0x0e208000, VECTOR_MULTIPLY }, /* widening */
    { 0x9f20c400, 0x0e20c400, FP_VECTOR },
    { 0x9f20f400, 0x0e209400, VECTOR_MULTIPLY }, /* mla, mls, mul */
    { 0x9f20fc00, 0x0e20b400, VECTOR_MULTIPLY }, /* sqdmulh, sqrdmulh */
    { 0x9f20f400, 0x0e008400, VECTOR_MULTIPLY }, /* sqrdmlah, sqrdmlsh */
    { 0x9f3f8c00, 0x0e218800, FP_VECTOR },       /* conversions and rounding */
    { 0x0e000000, 0x0e000000, VECTOR_INTEGER },
};

static enum class classify(uint32_t word)
{
    bool scalar_simd = (word & 0xde000000) == 0x5e000000;
    if (scalar_simd) { /* differs from the vector form in this bit alone */
        word &= ~0x10000000u;
    }
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        if ((word & rules[i].mask) == rules[i].value) {
            return rules[i].class;
        }
    }
    return SYSTEM;
}

static bool touches_memory(enum class class)
{
    return class <= VECTOR_STORE || class == SVE;
}

#endif
