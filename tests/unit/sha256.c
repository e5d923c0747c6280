/* SPDX-License-Identifier: BSD-3-Clause */
/* SHA-256 without the CPU's instructions for it gives what it gives with them. */
#include "base/base.h"
#include "lib/tap.h"

#include <stdlib.h>

#define __builtin_cpu_supports(name) 0
#define aster_sha256_init            plain_init
#define aster_sha256_add             plain_add
#define aster_sha256_done            plain_done
#define aster_sha256_text            plain_text
#define aster_sha256_hex             plain_hex
void plain_init(struct aster_sha256 *s);
void plain_add(struct aster_sha256 *s, const void *bytes, size_t n);
void plain_done(struct aster_sha256 *s, uint8_t out[32]);
void plain_text(struct aster_sha256 *s, char out[65]);
void plain_hex(const void *bytes, size_t n, char out[65]);
#include "base/sha256.c"
#undef aster_sha256_hex
#undef __builtin_cpu_supports

enum { LONGEST = 1 << 20 };

int main(void)
{
    uint8_t *bytes = malloc(LONGEST);
    char a[65], b[65];
    int64_t bad = 0;
    if (!bytes)
        return 1;
    for (int64_t k = 0; k < LONGEST; k++)
        bytes[k] = (uint8_t)aster_mix64((uint64_t)k);
    for (size_t n = 0; n < 700; n++) {
        aster_sha256_hex(bytes + n, n, a);
        plain_hex(bytes + n, n, b);
        bad += strcmp(a, b) != 0;
    }
    tap_ok(bad == 0, "messages of 0 to 699 bytes at every alignment: %lld differ", (long long)bad);
    aster_sha256_hex(bytes, LONGEST, a);
    plain_hex(bytes, LONGEST, b);
    tap_ok(strcmp(a, b) == 0, "a mebibyte");
    plain_hex("abc", 3, b);
    tap_ok(strcmp(b, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad") == 0,
           "the standard's first example");
    tap_note(__builtin_cpu_supports("sha") ? "this CPU has the instructions"
                                           : "this CPU has not the instructions");
    free(bytes);
    return tap_done();
}
