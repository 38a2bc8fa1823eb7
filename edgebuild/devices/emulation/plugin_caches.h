/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A model of caches: set-associative, least recently used, write-allocate, no prefetch, counted in lines. */
#ifndef PLUGIN_CACHES_H
#define PLUGIN_CACHES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_BYTES_LOG2 6 /* cache lines of 64 bytes, as in every Cortex-A and Neoverse core */

struct cache {
    const char *name;
    size_t sets, ways; /* no ways: not modelled */
    uint64_t *lines;   /* sets x ways, the most recently used first */
    uint64_t accesses, misses;
    struct cache *next;
};

static struct cache l3 = { .name = "l3" };
static struct cache l2 = { .name = "l2", .next = &l3 };
static struct cache l1d = { .name = "l1d", .next = &l2 };
static struct cache l1i = { .name = "l1i", .next = &l2 };
static struct cache *const caches[] = { &l1i, &l1d, &l2, &l3 };
#define CACHES (sizeof caches / sizeof *caches)

static void *allocate(size_t count, size_t size)
{
    void *memory = calloc(count, size);
    if (!memory) {
        fputs("counting plugin: out of memory\n", stderr);
        exit(1);
    }
    return memory;
}

static bool configure(struct cache *cache, const char *text)
{
    size_t bytes;
    if (sscanf(text, "%zu:%zu", &bytes, &cache->ways) != 2 || cache->ways == 0) {
        return false;
    }
    cache->sets = (bytes >> LINE_BYTES_LOG2) / cache->ways;
    if (cache->sets == 0) {
        return false;
    }
    cache->lines = allocate(cache->sets * cache->ways, sizeof *cache->lines);
    memset(cache->lines, 0xff, cache->sets * cache->ways * sizeof *cache->lines);
    return true;
}

static uint64_t *set_of(const struct cache *cache, uint64_t line)
{
    bool power_of_two = (cache->sets & (cache->sets - 1)) == 0; /* a division takes longer than all else here */
    return cache->lines + (power_of_two ? line & (cache->sets - 1) : line % cache->sets) * cache->ways;
}

static void access_line(struct cache *cache, uint64_t line)
{
    for (; cache && cache->ways; cache = cache->next) {
        uint64_t *set = set_of(cache, line);
        size_t way = 1;
        cache->accesses++;
        if (set[0] == line) { /* most accesses: nothing moves */
            return;
        }
        while (way < cache->ways && set[way] != line) {
            way++;
        }
        bool hit = way < cache->ways;
        for (size_t i = hit ? way : cache->ways - 1; i > 0; i--) {
            set[i] = set[i - 1];
        }
        set[0] = line;
        if (hit) {
            return;
        }
        cache->misses++;
    }
}

static void access_bytes(struct cache *cache, uint64_t address, uint64_t bytes)
{
    uint64_t last = (address + bytes - 1) >> LINE_BYTES_LOG2;
    for (uint64_t line = address >> LINE_BYTES_LOG2; line <= last; line++) {
        access_line(cache, line);
    }
}

#endif
