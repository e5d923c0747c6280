/* SPDX-License-Identifier: BSD-3-Clause */
/* FNV-1a, a quicker hash of long texts, CRC-32C. */
#include "base/base.h"

#include <pthread.h>
#include <string.h>

uint64_t aster_fnv1a64_more(uint64_t h, const void *bytes, size_t n)
{
    const uint8_t *b = bytes;
    for (size_t k = 0; k < n; k++)
        h = (h ^ b[k]) * 0x100000001b3ULL;
    return h;
}

uint64_t aster_fnv1a64(const void *bytes, size_t n)
{
    return aster_fnv1a64_more(0xcbf29ce484222325ULL, bytes, n);
}

uint64_t aster_hash64(const void *bytes, size_t n)
{
    const uint8_t *b = bytes;
    uint64_t h = aster_mix64(n + 0x9e3779b97f4a7c15ULL);
    for (; n >= 8; n -= 8, b += 8) {
        uint64_t word;
        memcpy(&word, b, 8);
        h = (h ^ word) * 0x9fb21c651e98df25ULL;
        h ^= h >> 32;
    }
    return aster_mix64(aster_fnv1a64_more(h, b, n));
}

static uint32_t crc_table[256];
static pthread_once_t crc_once = PTHREAD_ONCE_INIT;

static void crc_make(void)
{
    for (uint32_t k = 0; k < 256; k++) {
        uint32_t c = k;
        for (int j = 0; j < 8; j++)
            c = c & 1 ? c >> 1 ^ 0x82f63b78U : c >> 1;
        crc_table[k] = c;
    }
}

uint32_t aster_crc32c(uint32_t crc, const void *bytes, size_t n)
{
    const uint8_t *b = bytes;
    pthread_once(&crc_once, crc_make);
    crc = ~crc;
    for (size_t k = 0; k < n; k++)
        crc = crc_table[(crc ^ b[k]) & 255] ^ crc >> 8;
    return ~crc;
}
