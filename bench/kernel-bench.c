/* SPDX-License-Identifier: BSD-3-Clause */
/* Speed of the product and convolution kernels as percent of the core's FMA peak, in CPU time; the peak is measured
 * between the samples. Usage: kernel-bench [NAME-PART [SAMPLES [cold]]]; cold empties the caches before each sample. */
#include "backend.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

aster_kernel aster_k_matmul_cpu_avx2, aster_k_linear_cpu_avx2, aster_k_conv1d_cpu_avx2, aster_k_conv1d_dx_cpu_avx2,
    aster_k_conv1d_dw_cpu_avx2, aster_k_avgpool2_cpu_avx2, aster_k_resize_cpu_avx2, aster_k_resize_dx_cpu_avx2;

static double cpu_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

typedef float v8 __attribute__((vector_size(32)));
static float sink;

/* GFLOP/s of fused steps without memory, f32 */
__attribute__((target("avx2,fma"))) static double peak(void)
{
    enum { CHAINS = 12, STEPS = 20000 };
    v8 s[CHAINS];
    const v8 a = {1, 1, 1, 1, 1, 1, 1, 1}, b = {1e-3f};
#pragma GCC unroll 12
    for (int c = 0; c < CHAINS; c++)
        s[c] = b;
    double t = cpu_seconds();
    for (int k = 0; k < STEPS; k++) {
#pragma GCC unroll 12
        for (int c = 0; c < CHAINS; c++)
            __asm__ volatile("vfmadd213ps %2, %1, %0" : "+x"(s[c]) : "x"(a), "x"(b));
    }
    t = cpu_seconds() - t;
#pragma GCC unroll 12
    for (int c = 0; c < CHAINS; c++)
        sink += s[c][0];
    return 2e-9 * CHAINS * 8 * STEPS / t;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}
static double median(double *x, int n)
{
    qsort(x, (size_t)n, sizeof *x, by_value);
    return x[n / 2];
}

static int n_samples = 15;
static const char *wanted = "";
static bool is_cold;

static void empty_caches(void)
{
    enum { BYTES = 96 << 20 };
    static unsigned char *p;
    if (!p && !(p = calloc(BYTES, 1)))
        exit(1);
    for (int64_t i = 0; i < BYTES; i += 64)
        p[i]++;
}

static void measure(const char *name, aster_kernel *kernel, const struct aster_args *args, double flops)
{
    if (!strstr(name, wanted))
        return;
    double ratio[101], seconds[101];
    double once = cpu_seconds();
    kernel(args);
    once = cpu_seconds() - once;
    int repeats = is_cold ? 1 : 1 + (int)(2e-3 / (once + 1e-9));
    double before = peak();
    for (int s = 0; s < n_samples; s++) {
        if (is_cold)
            empty_caches();
        double t = cpu_seconds();
        for (int r = 0; r < repeats; r++)
            kernel(args);
        t = (cpu_seconds() - t) / repeats;
        double after = peak();
        ratio[s] = flops / t * 1e-9 / ((before + after) / 2) * (args->in[0].dtype == ASTER_F64 ? 2 : 1);
        seconds[s] = t;
        before = after;
    }
    printf("%-44s %8.3f ms %7.2f GFLOP/s %6.1f %%\n", name, 1e3 * median(seconds, n_samples),
           flops / median(seconds, n_samples) * 1e-9, 100 * median(ratio, n_samples));
    fflush(stdout);
}

static void *filled(enum aster_dtype t, int64_t n)
{
    void *p = aligned_alloc(64, (size_t)((n * (t == ASTER_F64 ? 8 : 4) + 127) / 64 * 64));
    for (int64_t i = 0; p && i < n; i++) {
        double x = (double)(i * 2654435761u % 1000) * 1e-3 - 0.5;
        if (t == ASTER_F64)
            ((double *)p)[i] = x;
        else
            ((float *)p)[i] = (float)x;
    }
    if (!p)
        exit(1);
    return p;
}

static struct aster_tensor tensor(enum aster_dtype t, int rank, int64_t d0, int64_t d1, int64_t d2)
{
    struct aster_tensor x = {NULL, t, rank, {d0, d1, d2}};
    x.p = filled(t, d0 * d1 * (rank == 3 ? d2 : 1));
    return x;
}

static void release(struct aster_args *a)
{
    for (int k = 0; k < a->n_in; k++)
        free(a->in[k].p);
    for (int k = 0; k < a->n_out; k++)
        free(a->out[k].p);
    free(a->work);
}

static void conv(enum aster_dtype t, int64_t b, int64_t l, int64_t k, int64_t ci, int64_t co)
{
    char name[100];
    const double flops = 2.0 * (double)(b * l) * (double)(k * ci * co);
    const char *type = t == ASTER_F64 ? " f64" : "";
    struct aster_args f = {.n_in = 3, .n_out = 1, .i = {k / 2, k - 1 - k / 2, ASTER_ACT_RELU}};
    f.in[0] = tensor(t, 3, b, l, ci);
    f.in[1] = tensor(t, 3, k, ci, co);
    f.in[2] = tensor(t, 2, 1, co, 0);
    f.out[0] = tensor(t, 3, b, l, co);
    f.work_bytes = aster_work_conv(ASTER_OP_conv1d, &f);
    f.work = aligned_alloc(64, (size_t)(f.work_bytes + 127) / 64 * 64);
    snprintf(name, sizeof name, "conv1d    B%-2d L%-5d k%d %4d->%-4d%s", (int)b, (int)l, (int)k, (int)ci, (int)co, type);
    measure(name, aster_k_conv1d_cpu_avx2, &f, flops);
    struct aster_args x = f;
    x.n_in = 2;
    x.in[0] = f.out[0];
    x.out[0] = f.in[0];
    x.s[0] = l;
    x.work_bytes = aster_work_conv(ASTER_OP_conv1d_dx, &x);
    x.work = aligned_alloc(64, (size_t)(x.work_bytes + 127) / 64 * 64);
    snprintf(name, sizeof name, "conv1d_dx B%-2d L%-5d k%d %4d->%-4d%s", (int)b, (int)l, (int)k, (int)ci, (int)co, type);
    measure(name, aster_k_conv1d_dx_cpu_avx2, &x, flops);
    free(x.work);
    struct aster_args w = f;
    w.n_in = 2;
    w.in[1] = f.out[0];
    w.out[0] = f.in[1];
    w.s[0] = k;
    w.work_bytes = aster_work_conv(ASTER_OP_conv1d_dw, &w);
    w.work = aligned_alloc(64, (size_t)(w.work_bytes + 127) / 64 * 64);
    snprintf(name, sizeof name, "conv1d_dw B%-2d L%-5d k%d %4d->%-4d%s", (int)b, (int)l, (int)k, (int)ci, (int)co, type);
    measure(name, aster_k_conv1d_dw_cpu_avx2, &w, flops);
    free(w.work);
    release(&f);
}

static void matmul(enum aster_dtype t, int64_t m, int64_t k, int64_t n, bool ta, bool tb)
{
    char name[100];
    struct aster_args a = {.n_in = 2, .n_out = 1, .i = {ta, tb}};
    a.in[0] = ta ? tensor(t, 2, k, m, 0) : tensor(t, 2, m, k, 0);
    a.in[1] = tb ? tensor(t, 2, n, k, 0) : tensor(t, 2, k, n, 0);
    a.out[0] = tensor(t, 2, m, n, 0);
    a.work_bytes = aster_work_gemm(ASTER_OP_matmul, &a);
    a.work = aligned_alloc(64, (size_t)(a.work_bytes + 127) / 64 * 64);
    snprintf(name, sizeof name, "matmul %c%c m%d k%d n%d%s", ta ? 'T' : 'N', tb ? 'T' : 'N', (int)m, (int)k, (int)n,
             t == ASTER_F64 ? " f64" : "");
    measure(name, aster_k_matmul_cpu_avx2, &a, 2.0 * (double)m * (double)k * (double)n);
    release(&a);
}

static void unet(int64_t b)
{
    static const int shape[][4] = {/* L, k, in, out */
        {1024, 1, 21, 32}, {1024, 7, 32, 32}, {512, 7, 32, 64}, {512, 7, 64, 64}, {256, 7, 64, 128}, {256, 7, 128, 128},
        {128, 7, 128, 128}, {64, 7, 128, 256}, {64, 7, 256, 256}, {128, 1, 256, 64}, {128, 1, 128, 64}, {128, 1, 64, 1},
        {128, 7, 384, 128}, {256, 7, 256, 64}, {512, 7, 128, 32}, {1024, 1, 32, 16}, {1024, 1, 16, 1}, {1024, 7, 64, 32},
        {1024, 3, 32, 32}, {1024, 1, 32, 2}};
    for (size_t i = 0; i < sizeof shape / sizeof shape[0]; i++)
        conv(ASTER_F32, b, shape[i][0], shape[i][1], shape[i][2], shape[i][3]);
}

int main(int argc, char **argv)
{
    static const int cnn[][3] = {{7, 21, 256}, {7, 20, 256}, {5, 256, 128}, {5, 128, 64}, {3, 64, 32}, {1, 32, 2}};
    if (argc > 1)
        wanted = argv[1];
    if (argc > 2)
        n_samples = (int)strtol(argv[2], NULL, 10);
    is_cold = argc > 3;
    if (n_samples < 1 || n_samples > 101)
        n_samples = 15;
    for (size_t i = 0; i < sizeof cnn / sizeof cnn[0]; i++)
        conv(ASTER_F32, 8, 1024, cnn[i][0], cnn[i][1], cnn[i][2]);
    unet(8);
    unet(4);
    conv(ASTER_F64, 4, 1024, 5, 64, 64);
    matmul(ASTER_F32, 4096, 512, 1024, false, false);
    matmul(ASTER_F32, 4096, 1024, 512, false, true);
    matmul(ASTER_F32, 512, 8192, 1024, true, false);
    matmul(ASTER_F32, 1024, 8192, 1024, true, false);
    matmul(ASTER_F64, 512, 512, 512, false, false);
    matmul(ASTER_F64, 512, 512, 512, true, false);
    return sink > 1e30f;
}
