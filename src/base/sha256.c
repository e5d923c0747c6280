/* SPDX-License-Identifier: BSD-3-Clause */
/* SHA-256 (FIPS 180-4), by the instructions for it where the CPU has them. */
#include "base/base.h"

#include <string.h>
#if defined __x86_64__
#include <immintrin.h>
#endif

static const uint32_t sha_k[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static inline uint32_t turn(uint32_t x, int n)
{
    return x >> n | x << (32 - n);
}

/* One round; the caller renames a .. h from round to round instead of moving them. */
static inline void sha_round(uint32_t a, uint32_t b, uint32_t c, uint32_t *d, uint32_t e,
                             uint32_t f, uint32_t g, uint32_t *h, uint32_t kw)
{
    uint32_t t = *h + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + ((e & f) ^ (~e & g)) + kw;
    *d += t;
    *h = t + (turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
}

static void sha_block(uint32_t s[8], const uint8_t *p)
{
    uint32_t w[64], a = s[0], b = s[1], c = s[2], d = s[3], e = s[4], f = s[5], g = s[6], h = s[7];
    for (int k = 0; k < 16; k++)
        w[k] = (uint32_t)p[4 * k] << 24 | (uint32_t)p[4 * k + 1] << 16 |
               (uint32_t)p[4 * k + 2] << 8 | p[4 * k + 3];
    for (int k = 16; k < 64; k++) {
        uint32_t x = turn(w[k - 15], 7) ^ turn(w[k - 15], 18) ^ w[k - 15] >> 3,
                 y = turn(w[k - 2], 17) ^ turn(w[k - 2], 19) ^ w[k - 2] >> 10;
        w[k] = w[k - 16] + x + w[k - 7] + y;
    }
    for (int k = 0; k < 64; k += 8) {
        sha_round(a, b, c, &d, e, f, g, &h, sha_k[k] + w[k]);
        sha_round(h, a, b, &c, d, e, f, &g, sha_k[k + 1] + w[k + 1]);
        sha_round(g, h, a, &b, c, d, e, &f, sha_k[k + 2] + w[k + 2]);
        sha_round(f, g, h, &a, b, c, d, &e, sha_k[k + 3] + w[k + 3]);
        sha_round(e, f, g, &h, a, b, c, &d, sha_k[k + 4] + w[k + 4]);
        sha_round(d, e, f, &g, h, a, b, &c, sha_k[k + 5] + w[k + 5]);
        sha_round(c, d, e, &f, g, h, a, &b, sha_k[k + 6] + w[k + 6]);
        sha_round(b, c, d, &e, f, g, h, &a, sha_k[k + 7] + w[k + 7]);
    }
    const uint32_t add[8] = {a, b, c, d, e, f, g, h};
    for (int k = 0; k < 8; k++)
        s[k] += add[k];
}

static void sha_blocks_plain(uint32_t s[8], const uint8_t *p, size_t n)
{
    for (; n > 0; n--, p += 64)
        sha_block(s, p);
}

#if defined __x86_64__
/* The instructions keep the state as two registers, a b e f and c d g h, first letter highest, and
 * do two rounds each; four words of the schedule are made at a time. */
__attribute__((target("sha,sse4.1"))) static void sha_blocks_x86(uint32_t s[8], const uint8_t *p,
                                                                 size_t n)
{
    const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
    __m128i low = _mm_loadu_si128((const __m128i *)s), high = _mm_loadu_si128((__m128i *)(s + 4));
    low = _mm_shuffle_epi32(low, 0xb1);
    high = _mm_shuffle_epi32(high, 0x1b);
    __m128i abef = _mm_alignr_epi8(low, high, 8), cdgh = _mm_blend_epi16(high, low, 0xf0);
    for (; n > 0; n--, p += 64) {
        const __m128i abef_before = abef, cdgh_before = cdgh;
        __m128i w[4];
        for (int k = 0; k < 4; k++)
            w[k] = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(p + 16 * k)), swap);
#pragma GCC unroll 16
        for (int k = 0; k < 16; k++) {
            __m128i kw = _mm_add_epi32(w[k % 4], _mm_loadu_si128((const __m128i *)(sha_k + 4 * k)));
            cdgh = _mm_sha256rnds2_epu32(cdgh, abef, kw);
            abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(kw, 0x0e));
            if (k >= 12)
                continue;
            __m128i next = _mm_sha256msg1_epu32(w[k % 4], w[(k + 1) % 4]);
            next = _mm_add_epi32(next, _mm_alignr_epi8(w[(k + 3) % 4], w[(k + 2) % 4], 4));
            w[k % 4] = _mm_sha256msg2_epu32(next, w[(k + 3) % 4]);
        }
        abef = _mm_add_epi32(abef, abef_before);
        cdgh = _mm_add_epi32(cdgh, cdgh_before);
    }
    low = _mm_shuffle_epi32(abef, 0x1b);
    high = _mm_shuffle_epi32(cdgh, 0xb1);
    _mm_storeu_si128((__m128i *)s, _mm_blend_epi16(low, high, 0xf0));
    _mm_storeu_si128((__m128i *)(s + 4), _mm_alignr_epi8(high, low, 8));
}
#endif

static void sha_blocks(uint32_t s[8], const uint8_t *p, size_t n)
{
#if defined __x86_64__
    if (__builtin_cpu_supports("sha") && __builtin_cpu_supports("sse4.1")) {
        sha_blocks_x86(s, p, n);
        return;
    }
#endif
    sha_blocks_plain(s, p, n);
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
            take = n - n % 64;
            sha_blocks(s->h, b, take / 64);
        } else {
            memcpy(s->buf + at, b, take);
            if (at + take == 64)
                sha_blocks(s->h, s->buf, 1);
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

void aster_sha256_text(struct aster_sha256 *s, char out[65])
{
    uint8_t d[32];
    aster_sha256_done(s, d);
    for (int k = 0; k < 32; k++)
        snprintf(out + 2 * k, 3, "%02x", d[k]);
}

void aster_sha256_hex(const void *bytes, size_t n, char out[65])
{
    struct aster_sha256 s;
    aster_sha256_init(&s);
    aster_sha256_add(&s, bytes, n);
    aster_sha256_text(&s, out);
}
