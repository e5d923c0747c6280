/* SPDX-License-Identifier: BSD-3-Clause */
/* FNV-1a, SHA-256 (FIPS 180-4) and CRC-32C. */
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

static const uint32_t sha_k[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static uint32_t turn(uint32_t x, int n)
{
    return x >> n | x << (32 - n);
}

static void sha_block(struct aster_sha256 *s, const uint8_t *b)
{
    uint32_t w[64], v[8];
    for (int k = 0; k < 16; k++)
        w[k] = (uint32_t)b[4 * k] << 24 | (uint32_t)b[4 * k + 1] << 16 |
               (uint32_t)b[4 * k + 2] << 8 | b[4 * k + 3];
    for (int k = 16; k < 64; k++) {
        uint32_t a = turn(w[k - 15], 7) ^ turn(w[k - 15], 18) ^ w[k - 15] >> 3,
                 c = turn(w[k - 2], 17) ^ turn(w[k - 2], 19) ^ w[k - 2] >> 10;
        w[k] = w[k - 16] + a + w[k - 7] + c;
    }
    memcpy(v, s->h, sizeof v);
    for (int k = 0; k < 64; k++) {
        uint32_t e = turn(v[4], 6) ^ turn(v[4], 11) ^ turn(v[4], 25),
                 ch = (v[4] & v[5]) ^ (~v[4] & v[6]);
        uint32_t t1 = v[7] + e + ch + sha_k[k] + w[k];
        uint32_t a = turn(v[0], 2) ^ turn(v[0], 13) ^ turn(v[0], 22),
                 maj = (v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]);
        memmove(v + 1, v, 7 * sizeof *v);
        v[4] += t1;
        v[0] = t1 + a + maj;
    }
    for (int k = 0; k < 8; k++)
        s->h[k] += v[k];
}

void aster_sha256_init(struct aster_sha256 *s)
{
    static const uint32_t h[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                  0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    *s = (struct aster_sha256){0};
    memcpy(s->h, h, sizeof h);
}

void aster_sha256_add(struct aster_sha256 *s, const void *bytes, size_t n)
{
    const uint8_t *b = bytes;
    while (n) {
        size_t at = s->n % 64, take = 64 - at < n ? 64 - at : n;
        if (at == 0 && n >= 64) {
            sha_block(s, b);
            take = 64;
        } else {
            memcpy(s->buf + at, b, take);
            if (at + take == 64)
                sha_block(s, s->buf);
        }
        s->n += take;
        b += take;
        n -= take;
    }
}

void aster_sha256_done(struct aster_sha256 *s, uint8_t out[32])
{
    uint64_t bits = s->n * 8;
    uint8_t one = 0x80, zero = 0, length[8];
    aster_sha256_add(s, &one, 1);
    while (s->n % 64 != 56)
        aster_sha256_add(s, &zero, 1);
    for (int k = 0; k < 8; k++)
        length[k] = (uint8_t)(bits >> (56 - 8 * k));
    aster_sha256_add(s, length, 8);
    for (int k = 0; k < 32; k++)
        out[k] = (uint8_t)(s->h[k / 4] >> (24 - 8 * (k % 4)));
}

void aster_sha256_hex(const void *bytes, size_t n, char out[65])
{
    struct aster_sha256 s;
    uint8_t d[32];
    aster_sha256_init(&s);
    aster_sha256_add(&s, bytes, n);
    aster_sha256_done(&s, d);
    for (int k = 0; k < 32; k++)
        snprintf(out + 2 * k, 3, "%02x", d[k]);
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
