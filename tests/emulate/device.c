/* SPDX-License-Identifier: BSD-3-Clause */
/* The emulated GPU of the tests, and the count of kernels that ran on it. */
#include "lib/tap.h"
#include "cuda/emulate.h"
#include "gpu/gpu.h"

#include <ctype.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

enum { WORK_BYTES = 48 << 10 };

const bool gpu_is_emulated = true;

struct aster_device *gpu_device(void)
{
    static struct aster_device d = {
        .sm_count = 6, .shared_limit = 99 << 10, .work_bytes = WORK_BYTES,
        .neighbours = aster_k_neighbours_cuda};
    if (!d.work)
        d.work = aligned_alloc(256, WORK_BYTES);
    if (!d.work)
        abort();
    return &d;
}

void gpu_begin(int number)
{
    aster_emulate_forget();
    aster_emulate_order((enum aster_emulate_order)(number % 3));
    gpu_device()->error[0] = '\0';
    gpu_device()->work_bytes = number % 2 ? 0 : WORK_BYTES;
    memset(gpu_device()->work, 0xff, WORK_BYTES);
}

/* Its memory is the host's. */
const struct aster_backend *gpu_backend(void)
{
    return &aster_backend_cuda;
}

void gpu_encode(enum aster_dtype t, bool time_major, int64_t n_samples, int64_t n_positions,
                int64_t dim, const struct aster_encode_codes *c, void *x)
{
    aster_k_encode_table_cuda(gpu_device(), t, time_major, n_samples, n_positions, dim, c, x);
}

void gpu_neighbours(const struct aster_neighbours_sizes *z, const void *input, void *list,
                    void *work)
{
    gpu_device()->neighbours(gpu_device(), z, input, list, work);
}

const char *gpu_error(void)
{
    return aster_emulate_error()    ? aster_emulate_error()
           : gpu_device()->error[0] ? gpu_device()->error
                                    : NULL;
}

static bool launched(const char *name, size_t n)
{
    for (int k = 0; k < aster_emulate_n_kernels(); k++)
        if (strlen(aster_emulate_kernel(k)) == n && !strncmp(aster_emulate_kernel(k), name, n))
            return true;
    return false;
}

/* The name that __global__ declares: the first word before a parenthesis that is not an attribute
 */
static const char *declared(const char *p, size_t *n)
{
    for (;;) {
        while (*p && !isalpha((unsigned char)*p) && *p != '_')
            p++;
        *n = strspn(p, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789");
        if (*n == 0 || (p[*n] == '(' && strncmp(p, "__launch_bounds__", *n) != 0))
            return p;
        p += *n;
        if (*p == '(')
            p += strcspn(p, ")");
    }
}

static void count_file(const char *path, int *found, int *ran)
{
    static char text[1 << 20];
    FILE *f = fopen(path, "r");
    size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;
    if (!tap_ok(f && n > 0 && n < sizeof text - 1, "%s is read", path))
        n = 0;
    if (f)
        fclose(f);
    text[n] = '\0';
    for (const char *p = strstr(text, "__global__"); p; p = strstr(p + 1, "__global__")) {
        size_t length;
        const char *name = declared(p + strlen("__global__"), &length);
        ++*found;
        if (launched(name, length))
            ++*ran;
        else
            tap_note("%s: %.*s was not launched", path, (int)length, name);
    }
}

/* Every __global__ function of the sources against those launched in this process */
void gpu_end(void)
{
    const char *srcdir = getenv("srcdir");
    char folder[2048], path[4096];
    int found = 0, ran = 0;
    snprintf(folder, sizeof folder, "%s/codelets/cuda", srcdir ? srcdir : ".");
    DIR *d = opendir(folder);
    for (struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d)) {
        const char *dot = strrchr(e->d_name, '.');
        if (!dot || (strcmp(dot, ".cu") != 0 && strcmp(dot, ".h") != 0) ||
            !strcmp(e->d_name, "emulate.h"))
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        count_file(path, &found, &ran);
    }
    if (d)
        closedir(d);
    tap_ok(found > 0 && ran == found, "%d of %d kernels emulated", ran, found);
}
