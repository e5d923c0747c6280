/* SPDX-License-Identifier: BSD-3-Clause */
/* UTF-8, lists of texts, mapped files. */
#include "io/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int aster_utf8_length(const char *s, const char *end)
{
    const unsigned char *u = (const unsigned char *)s;
    int n;
    if (s >= end)
        return 0;
    if (u[0] < 0x80)
        return 1;
    if (u[0] >= 0xc2 && u[0] <= 0xdf)
        n = 2;
    else if ((u[0] & 0xf0) == 0xe0)
        n = 3;
    else if (u[0] >= 0xf0 && u[0] <= 0xf4)
        n = 4;
    else
        return 0;
    if (end - s < n)
        return 0;
    for (int k = 1; k < n; k++)
        if ((u[k] & 0xc0) != 0x80)
            return 0;
    bool overlong = (u[0] == 0xe0 && u[1] < 0xa0) || (u[0] == 0xf0 && u[1] < 0x90);
    bool no_character = (u[0] == 0xed && u[1] >= 0xa0) ||
                        (u[0] == 0xf4 && u[1] >= 0x90); /* surrogates, above U+10FFFF */
    return overlong || no_character ? 0 : n;
}

void aster_utf8_add(struct aster_str *out, uint32_t c)
{
    static const unsigned char lead[5] = {0, 0, 0xc0, 0xe0, 0xf0};
    char b[4];
    int n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (int k = n - 1; k > 0; k--, c >>= 6)
        b[k] = (char)(0x80 | (c & 0x3f));
    b[0] = (char)(lead[n] | c);
    aster_str_addn(out, b, (size_t)n);
}

void aster_strings_free(char ***s, int64_t n)
{
    for (int64_t k = 0; *s && k < n; k++)
        aster_free(&(*s)[k]);
    aster_free(s);
}

int aster_map_open(struct aster_ctx *ctx, const char *path, struct aster_map *out)
{
    struct stat st;
    *out = (struct aster_map){0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return aster_fail(ctx, ASTER_EIO, "%s: cannot be read: %s", path, strerror(errno));
    int rc = 0;
    if (fstat(fd, &st) < 0) {
        rc = aster_fail(ctx, ASTER_EIO, "%s: cannot be read: %s", path, strerror(errno));
    } else if (!S_ISREG(st.st_mode)) {
        rc = aster_fail(ctx, ASTER_EIO, "%s: is no plain file", path);
    } else if (st.st_size > 0) {
        void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
        if (p == MAP_FAILED)
            rc = aster_fail(ctx, ASTER_EIO, "%s: %lld bytes cannot be mapped: %s", path,
                            (long long)st.st_size, strerror(errno));
        else
            *out = (struct aster_map){p, st.st_size};
    }
    close(fd);
    return rc;
}

void aster_map_close(struct aster_map *m)
{
    if (m->bytes)
        munmap((void *)(uintptr_t)m->bytes, (size_t)m->n);
    *m = (struct aster_map){0};
}
