/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Counts the work an ARM guest does inside marked regions: executions of each basic block, instructions of each
 * class, and optionally cache misses. A plugin for the user-mode emulator of QEMU 7.2 (plugin API version 1).
 *
 * The guest marks a region with system call 5000, which Linux answers with ENOSYS: argument 1 begins a region, 2 ends
 * it. Before, argument 3 says that what follows is to be watched: starting an interpreter and its libraries would take
 * ten times as long otherwise, and is no part of any region; without it, watching begins with the first region. Argument
 * 4 begins a region that ends, and another begins, whenever the guest reads a clock: a runtime that profiles reads it
 * before and after each operator. Regions are numbered from 0 in the order they end. Counters are not atomic: the guest
 * must use one thread, and the output says how many there were.
 *
 * Arguments: out=FILE, and for the cache model l1i=BYTES:WAYS, l1d=BYTES:WAYS, l2=BYTES:WAYS, l3=BYTES:WAYS (l3 is
 * optional, the others go together).
 *
 * Output, one JSON object a line: for each region its totals, then its hottest blocks, which together hold at least
 * 99.5 % of its instructions, each with its code words; at exit a last line. A file without the last line is not whole.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugin_api.h"
#include "plugin_caches.h"
#include "plugin_classes.h"

#define EXPORT __attribute__((visibility("default")))
#define MARKER_SYSCALL 5000
#define CLOCK_SYSCALL 113      /* clock_gettime of 64-bit ARM; the emulator has no vDSO that would answer instead */
#define MAX_BLOCK_WORDS 1024   /* QEMU ends a block after 512 instructions */
#define BUCKETS (1u << 16)
#define COVERED_PER_MILLE 995  /* share of a region's instructions that the listed blocks hold */

EXPORT int qemu_plugin_version = 1;

/* ---- basic blocks ---- */

struct block {
    uint64_t address, executions, before; /* before: executions at the beginning of the region */
    uint32_t words, digest;
    uint32_t *code;
    uint16_t classes[CLASSES];
    struct block *next;
};

static struct block *buckets[BUCKETS];
static size_t blocks;

static uint32_t fnv1a(const uint32_t *code, size_t words)
{
    uint32_t digest = 2166136261u;
    for (size_t i = 0; i < words; i++) {
        digest = (digest ^ code[i]) * 16777619u;
    }
    return digest;
}

static struct block *new_block(uint64_t address, const uint32_t *code, uint32_t words, uint32_t digest)
{
    struct block *block = allocate(1, sizeof *block);
    block->address = address;
    block->words = words;
    block->digest = digest;
    block->code = allocate(words, sizeof *code);
    memcpy(block->code, code, words * sizeof *code);
    for (uint32_t i = 0; i < words; i++) {
        block->classes[classify(code[i])]++;
    }
    blocks++;
    return block;
}

/* QEMU translates a block again whenever its cache is full: the same code at the same address is the same block. */
static struct block *find_block(uint64_t address, const uint32_t *code, uint32_t words)
{
    uint32_t digest = fnv1a(code, words);
    struct block **bucket = &buckets[(address >> 2) % BUCKETS];
    for (struct block *block = *bucket; block; block = block->next) {
        if (block->address == address && block->words == words && block->digest == digest) {
            return block;
        }
    }
    struct block *block = new_block(address, code, words, digest);
    block->next = *bucket;
    *bucket = block;
    return block;
}

static void on_memory(unsigned vcpu, qemu_plugin_meminfo_t info, uint64_t address, void *data)
{
    (void)vcpu, (void)data;
    access_bytes(&l1d, address, UINT64_C(1) << qemu_plugin_mem_size_shift(info));
}

static void on_block(unsigned vcpu, void *data)
{
    const struct block *block = data;
    (void)vcpu;
    access_bytes(&l1i, block->address, 4 * (uint64_t)block->words);
}

static void on_translation(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
    static uint32_t code[MAX_BLOCK_WORDS]; /* QEMU translates one block at a time */
    size_t words = qemu_plugin_tb_n_insns(tb);
    (void)id;
    if (words > MAX_BLOCK_WORDS) {
        words = MAX_BLOCK_WORDS;
    }
    for (size_t i = 0; i < words; i++) {
        memcpy(&code[i], qemu_plugin_insn_data(qemu_plugin_tb_get_insn(tb, i)), sizeof *code);
    }
    struct block *block = find_block(qemu_plugin_tb_vaddr(tb), code, words);
    qemu_plugin_register_vcpu_tb_exec_inline(tb, QEMU_PLUGIN_INLINE_ADD_U64, &block->executions, 1);
    if (!l1d.ways) {
        return;
    }
    qemu_plugin_register_vcpu_tb_exec_cb(tb, on_block, QEMU_PLUGIN_CB_NO_REGS, block);
    for (size_t i = 0; i < words; i++) {
        if (touches_memory(classify(code[i]))) {
            qemu_plugin_register_vcpu_mem_cb(qemu_plugin_tb_get_insn(tb, i), on_memory, QEMU_PLUGIN_CB_NO_REGS,
                                             QEMU_PLUGIN_MEM_RW, NULL);
        }
    }
}

/* ---- regions ---- */

static FILE *output;
static unsigned threads, regions;
static bool inside, watching, divided; /* divided: by the guest's readings of a clock */

static uint64_t region_executions(const struct block *block)
{
    return block->executions - block->before;
}

static uint64_t region_instructions(const struct block *block)
{
    return region_executions(block) * block->words;
}

static int hotter_first(const void *left, const void *right)
{
    const struct block *a = *(struct block *const *)left, *b = *(struct block *const *)right;
    uint64_t in_a = region_instructions(a), in_b = region_instructions(b);
    if (in_a != in_b) {
        return in_a < in_b ? 1 : -1;
    }
    return a->address < b->address ? -1 : a->address > b->address;
}

static size_t executed_blocks(struct block **found)
{
    size_t count = 0;
    for (size_t i = 0; i < BUCKETS; i++) {
        for (struct block *block = buckets[i]; block; block = block->next) {
            if (region_executions(block)) {
                found[count++] = block;
            }
        }
    }
    qsort(found, count, sizeof *found, hotter_first);
    return count;
}

static void begin_region(void)
{
    inside = true;
    for (size_t i = 0; i < BUCKETS; i++) {
        for (struct block *block = buckets[i]; block; block = block->next) {
            block->before = block->executions;
        }
    }
    for (size_t i = 0; i < CACHES; i++) {
        caches[i]->accesses = caches[i]->misses = 0;
    }
}

static void write_caches(void)
{
    const char *comma = "";
    for (size_t i = 0; i < CACHES; i++) {
        if (caches[i]->ways) {
            fprintf(output, "%s\"%s\": {\"accesses\": %" PRIu64 ", \"misses\": %" PRIu64 "}", comma, caches[i]->name,
                    caches[i]->accesses, caches[i]->misses);
            comma = ", ";
        }
    }
}

static uint64_t write_totals(struct block *const *found, size_t count)
{
    uint64_t instructions = 0, classes[CLASSES] = { 0 };
    for (size_t i = 0; i < count; i++) {
        instructions += region_instructions(found[i]);
        for (size_t c = 0; c < CLASSES; c++) {
            classes[c] += region_executions(found[i]) * found[i]->classes[c];
        }
    }
    fprintf(output, "{\"region\": %u, \"instructions\": %" PRIu64 ", \"classes\": {", regions, instructions);
    for (size_t c = 0; c < CLASSES; c++) {
        fprintf(output, "%s\"%s\": %" PRIu64, c ? ", " : "", class_name[c], classes[c]);
    }
    fputs("}, \"caches\": {", output);
    write_caches();
    fputs("}}\n", output);
    return instructions;
}

static void write_block(const struct block *block)
{
    fprintf(output, "{\"region\": %u, \"executions\": %" PRIu64 ", \"code\": \"", regions, region_executions(block));
    for (uint32_t i = 0; i < block->words; i++) {
        fprintf(output, "%08" PRIx32, block->code[i]);
    }
    fputs("\"}\n", output);
}

static void end_region(void)
{
    struct block **found = allocate(blocks + 1, sizeof *found);
    size_t count = executed_blocks(found);
    uint64_t instructions = write_totals(found, count), listed = 0;
    for (size_t i = 0; i < count && listed * 1000 < instructions * COVERED_PER_MILLE; i++) {
        write_block(found[i]);
        listed += region_instructions(found[i]);
    }
    fflush(output);
    free(found);
    inside = false;
    regions++;
}

static void watch(qemu_plugin_id_t id);

static void on_syscall(qemu_plugin_id_t id, unsigned vcpu, int64_t number, uint64_t marker, uint64_t a2, uint64_t a3,
                       uint64_t a4, uint64_t a5, uint64_t a6, uint64_t a7, uint64_t a8)
{
    (void)vcpu, (void)a2, (void)a3, (void)a4, (void)a5, (void)a6, (void)a7, (void)a8;
    if (number == CLOCK_SYSCALL && inside && divided) {
        end_region();
        begin_region();
    }
    if (number != MARKER_SYSCALL) {
        return;
    }
    if (!watching && marker != 2) {
        watching = true;
        qemu_plugin_reset(id, watch); /* forgets all code that was translated without counters */
    }
    if (marker == 1 || marker == 4) {
        divided = marker == 4;
        begin_region();
    } else if (marker == 2 && inside) {
        end_region();
    }
}

static void on_thread(qemu_plugin_id_t id, unsigned vcpu)
{
    (void)id, (void)vcpu;
    threads++;
}

static void on_exit(qemu_plugin_id_t id, void *data)
{
    (void)id, (void)data;
    fprintf(output, "{\"regions\": %u, \"threads\": %u}\n", regions, threads);
    fclose(output);
}

/* ---- installation ---- */

static void attend(qemu_plugin_id_t id)
{
    qemu_plugin_register_vcpu_init_cb(id, on_thread);
    qemu_plugin_register_vcpu_syscall_cb(id, on_syscall);
    qemu_plugin_register_atexit_cb(id, on_exit, NULL);
}

static void watch(qemu_plugin_id_t id)
{
    attend(id);
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
}

static bool parse(const char *argument)
{
    const char *value = strchr(argument, '=');
    if (!value) {
        return false;
    }
    if (!strncmp(argument, "out=", 4)) {
        output = fopen(value + 1, "w");
        return output;
    }
    for (size_t i = 0; i < CACHES; i++) {
        size_t length = strlen(caches[i]->name);
        if ((size_t)(value - argument) == length && !strncmp(argument, caches[i]->name, length)) {
            return configure(caches[i], value + 1);
        }
    }
    return false;
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info *info, int argc, char **argv)
{
    (void)info;
    for (int i = 0; i < argc; i++) {
        if (!parse(argv[i])) {
            fprintf(stderr, "counting plugin: bad argument: %s\n", argv[i]);
            return 1;
        }
    }
    if (!output || !l1i.ways != !l1d.ways || !l1d.ways != !l2.ways) {
        fputs("counting plugin: out= is missing, or only some caches are given\n", stderr);
        return 1;
    }
    attend(id);
    return 0;
}
