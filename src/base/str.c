/* SPDX-License-Identifier: BSD-3-Clause */
/* Growing text, and the nearest of some words. */
#include "base/base.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static bool room(struct aster_str *b, size_t more)
{
    if (b->failed || more > SIZE_MAX / 2 - b->len - 1) {
        b->failed = true;
        return false;
    }
    size_t need = b->len + more + 1;
    if (need <= b->cap)
        return true;
    size_t cap = b->cap * 2 > need ? b->cap * 2 : need + 64;
    char *s = realloc(b->s, cap);
    if (!s) {
        b->failed = true;
        return false;
    }
    b->s = s;
    b->cap = cap;
    return true;
}

void aster_str_addn(struct aster_str *b, const char *bytes, size_t n)
{
    if (!room(b, n))
        return;
    if (n)
        memcpy(b->s + b->len, bytes, n);
    b->len += n;
    b->s[b->len] = '\0';
}

void aster_str_add(struct aster_str *b, const char *text)
{
    aster_str_addn(b, text, strlen(text));
}

void aster_str_add_i64(struct aster_str *b, int64_t v)
{
    char digits[24];
    int at = sizeof digits;
    uint64_t left = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
    do
        digits[--at] = (char)('0' + left % 10);
    while (left /= 10);
    if (v < 0)
        digits[--at] = '-';
    aster_str_addn(b, digits + at, sizeof digits - (size_t)at);
}

void aster_str_printf(struct aster_str *b, const char *fmt, ...)
{
    va_list ap, again;
    size_t left = b->failed ? 0 : b->cap - b->len;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(left ? b->s + b->len : NULL, left, fmt, ap);
    va_end(ap);
    if (n < 0) {
        b->failed = true;
    } else if ((size_t)n < left) {
        b->len += (size_t)n;
    } else if (room(b, (size_t)n)) {
        vsnprintf(b->s + b->len, (size_t)n + 1, fmt, again);
        b->len += (size_t)n;
    }
    va_end(again);
    if (b->failed && b->s)
        b->s[b->len] = '\0';
}

void aster_str_free(struct aster_str *b)
{
    free(b->s);
    *b = (struct aster_str){0};
}

int aster_str_ok(struct aster_ctx *ctx, const struct aster_str *b)
{
    return b->failed
               ? aster_fail(ctx, ASTER_ENOMEM, "out of memory for a text of %zu bytes", b->len)
               : 0;
}

const char *aster_str_get(const struct aster_str *b)
{
    return b->s ? b->s : "";
}

static int least(int a, int b)
{
    return a < b ? a : b;
}

/* Insertions, deletions, changes and swaps of neighbours that lead from a to b. */
static int distance(const char *a, const char *b)
{
    enum { MOST = 64 };
    int rows[3][MOST + 1], n = (int)strlen(b);
    if (n > MOST)
        return MOST;
    for (int j = 0; j <= n; j++)
        rows[0][j] = j;
    int i = 0;
    for (; a[i]; i++) {
        int *row = rows[(i + 1) % 3], *above = rows[i % 3], *above2 = rows[(i + 2) % 3];
        row[0] = i + 1;
        for (int j = 0; j < n; j++) {
            row[j + 1] = least(above[j] + (a[i] != b[j]), least(row[j], above[j + 1]) + 1);
            if (i && j && a[i] == b[j - 1] && a[i - 1] == b[j])
                row[j + 1] = least(row[j + 1], above2[j - 1] + 1);
        }
    }
    return rows[i % 3][n];
}

const char *aster_nearest(const char *word, const char *const *names, int n)
{
    int limit = (int)strlen(word) / 3, best = -1, at = 0;
    if (limit < 1)
        limit = 1;
    for (int k = 0; k < n; k++) {
        int d = distance(word, names[k]);
        if (d <= limit && (best < 0 || d < best)) {
            best = d;
            at = k;
        }
    }
    return best < 0 ? NULL : names[at];
}

int aster_cut(const char *s, int most)
{
    int n = s ? (int)strnlen(s, (size_t)most) : most;
    for (int k = n - 1; s && n == most && k >= 0 && k >= n - 4; k--) {
        unsigned char c = (unsigned char)s[k];
        if ((c & 0xc0) == 0x80)
            continue;
        int length = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc0 ? 2 : 1;
        return k + length > n ? k : n;
    }
    return n;
}
