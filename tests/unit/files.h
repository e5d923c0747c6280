/* SPDX-License-Identifier: BSD-3-Clause */
/* For tests of readers: a temporary folder that goes away, small files in it, failures with their
 * messages. */
#ifndef ASTER_TESTS_UNIT_FILES_H
#define ASTER_TESTS_UNIT_FILES_H

#include "base/base.h"
#include "lib/tap.h"

#include <ftw.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A literal and its size without the final 0. */
#define BYTES(literal) (literal), sizeof(literal) - 1

static struct aster_ctx *ctx;
static char test_dir[PATH_MAX];

__attribute__((unused)) static void test_start(void)
{
    const char *base = getenv("TMPDIR");
    snprintf(test_dir, sizeof test_dir, "%s/aster-test-XXXXXX", base && *base ? base : "/tmp");
    if (!mkdtemp(test_dir) || aster_ctx_new(&ctx) < 0) {
        printf("Bail out! no temporary folder\n");
        exit(1);
    }
}

static int test_unlink(const char *path, const struct stat *st, int kind, struct FTW *f)
{
    (void)st;
    (void)kind;
    (void)f;
    return remove(path);
}

/* To be called last: also looks whether all memory was given back. */
__attribute__((unused)) static int test_end(void)
{
    aster_ctx_free(&ctx);
    nftw(test_dir, test_unlink, 16, FTW_DEPTH | FTW_PHYS);
    tap_ok(aster_live_allocations() == 0, "nothing is left allocated (%lld)",
           (long long)aster_live_allocations());
    return tap_done();
}

/* A path in the folder, valid for the next seven calls. */
__attribute__((unused)) static const char *in_dir(const char *name)
{
    static char paths[8][PATH_MAX + 256];
    static int k;
    k = (k + 1) % 8;
    snprintf(paths[k], sizeof paths[k], "%s/%s", test_dir, name);
    return paths[k];
}

__attribute__((unused)) static const char *put_bytes(const char *name, const void *bytes, size_t n)
{
    const char *path = in_dir(name);
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(bytes, 1, n, f) != n || fclose(f)) {
        printf("Bail out! %s cannot be written\n", path);
        exit(1);
    }
    return path;
}

__attribute__((unused)) static const char *put_text(const char *name, const char *text)
{
    return put_bytes(name, text, strlen(text));
}

/* The code is the one expected and the message has every one of the words (up to NULL). */
__attribute__((unused)) static bool failed_with(const char *what, int rc, int code, ...)
{
    bool good = rc == code && aster_ctx_code(ctx) == code;
    va_list ap;
    va_start(ap, code);
    for (const char *word; (word = va_arg(ap, const char *));)
        if (!strstr(aster_ctx_message(ctx), word)) {
            tap_note("the message lacks '%s'", word);
            good = false;
        }
    va_end(ap);
    if (!good)
        tap_note("code %d: %s", rc, aster_ctx_message(ctx));
    tap_ok(good, "%s", what);
    aster_ctx_clear(ctx);
    return good;
}

/* True when rc is not a failure; else the message is shown. */
__attribute__((unused)) static bool fine(int rc)
{
    if (rc < 0) {
        tap_note("code %d: %s", rc, aster_ctx_message(ctx));
        aster_ctx_clear(ctx);
    }
    return rc >= 0;
}

/* A path in the shared test data, NULL when it is not there. */
__attribute__((unused)) static const char *shared(const char *name)
{
    static char path[PATH_MAX];
    const char *data = getenv("ASTERISM_TEST_DATA"), *source = getenv("srcdir");
    if (data && *data)
        snprintf(path, sizeof path, "%s/%s", data, name);
    else
        snprintf(path, sizeof path, "%s/../shared/data/%s", source && *source ? source : ".", name);
    return access(path, R_OK) == 0 ? path : NULL;
}

#endif
