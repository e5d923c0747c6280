/* SPDX-License-Identifier: BSD-3-Clause */
/* Speed of the product and convolution kernels as percent of the core's peak, in CPU time; the peak
 * is measured between the samples. Products also through OpenBLAS and oneDNN on one thread, in turn
 * with ours. Usage: bench-kernels [NAME-PART [SAMPLES [cold]]]; cold empties the caches before each
 * sample. */
#include "peak.h"

#include "backend.h"

#include <cblas.h>
#include <oneapi/dnnl/dnnl.h>
#include <omp.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef void call(const struct aster_args *args);
static const struct aster_backend *be;

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

struct samples {
    double seconds[101], share[101];
}; /* share: of the peak */

static void sample(struct samples *x, int s, call *run, const struct aster_args *args, int repeats,
                   double flops, double *before)
{
    if (is_cold)
        empty_caches();
    double t = aster_cpu_thread();
    for (int r = 0; r < repeats; r++)
        run(args);
    t = (aster_cpu_thread() - t) / repeats;
    double after = aster_bench_peak_f32();
    x->share[s] = flops / t / ((*before + after) / 2) * (args->in[0].dtype == ASTER_F64 ? 2 : 1);
    x->seconds[s] = t;
    *before = after;
}

/* ours and theirs take turns; theirs end with NULL */
static void measure(const char *name, call *ours, call *const *theirs,
                    const struct aster_args *args, double flops)
{
    static struct samples all[3];
    call *run[3] = {ours};
    int n = 1;
    if (!strstr(name, wanted))
        return;
    while (theirs && theirs[n - 1] && n < 3) {
        run[n] = theirs[n - 1];
        n++;
    }
    double once = aster_cpu_thread();
    ours(args);
    once = aster_cpu_thread() - once;
    int repeats = is_cold ? 1 : 1 + (int)(2e-3 / (once + 1e-9));
    double before = aster_bench_peak_f32();
    for (int s = 0; s < n_samples; s++)
        for (int k = 0; k < n; k++)
            sample(&all[k], s, run[k], args, repeats, flops, &before);
    printf("%-40s %8.3f ms %7.2f GFLOP/s", name, 1e3 * median(all[0].seconds, n_samples),
           flops / median(all[0].seconds, n_samples) * 1e-9);
    for (int k = 0; k < n; k++)
        printf(" %6.1f %%", 100 * median(all[k].share, n_samples));
    printf("\n");
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
    snprintf(name, sizeof name, "conv1d    B%-2d L%-5d k%d %4d->%-4d%s", (int)b, (int)l, (int)k,
             (int)ci, (int)co, type);
    measure(name, be->op[ASTER_OP_conv1d], NULL, &f, flops);
    struct aster_args x = f;
    x.n_in = 2;
    x.in[0] = f.out[0];
    x.out[0] = f.in[0];
    x.s[0] = l;
    x.work_bytes = aster_work_conv(ASTER_OP_conv1d_dx, &x);
    x.work = aligned_alloc(64, (size_t)(x.work_bytes + 127) / 64 * 64);
    snprintf(name, sizeof name, "conv1d_dx B%-2d L%-5d k%d %4d->%-4d%s", (int)b, (int)l, (int)k,
             (int)ci, (int)co, type);
    measure(name, be->op[ASTER_OP_conv1d_dx], NULL, &x, flops);
    free(x.work);
    struct aster_args w = f;
    w.n_in = 2;
    w.in[1] = f.out[0];
    w.out[0] = f.in[1];
    w.s[0] = k;
    w.work_bytes = aster_work_conv(ASTER_OP_conv1d_dw, &w);
    w.work = aligned_alloc(64, (size_t)(w.work_bytes + 127) / 64 * 64);
    snprintf(name, sizeof name, "conv1d_dw B%-2d L%-5d k%d %4d->%-4d%s", (int)b, (int)l, (int)k,
             (int)ci, (int)co, type);
    measure(name, be->op[ASTER_OP_conv1d_dw], NULL, &w, flops);
    free(w.work);
    release(&f);
}

static void product_openblas(const struct aster_args *a)
{
    const struct aster_tensor *x = &a->in[0], *y = &a->in[1], *z = &a->out[0];
    enum CBLAS_TRANSPOSE tx = a->i[0] ? CblasTrans : CblasNoTrans,
                         ty = a->i[1] ? CblasTrans : CblasNoTrans;
    int m = (int)z->dim[0], n = (int)z->dim[1], k = (int)x->dim[a->i[0] ? 0 : 1];
    if (x->dtype == ASTER_F64)
        cblas_dgemm(CblasRowMajor, tx, ty, m, n, k, 1, x->p, (int)x->dim[1], y->p, (int)y->dim[1],
                    0, z->p, n);
    else
        cblas_sgemm(CblasRowMajor, tx, ty, m, n, k, 1, x->p, (int)x->dim[1], y->p, (int)y->dim[1],
                    0, z->p, n);
}

static void product_onednn(const struct aster_args *a)
{
    const struct aster_tensor *x = &a->in[0], *y = &a->in[1], *z = &a->out[0];
    if (dnnl_sgemm(a->i[0] ? 'T' : 'N', a->i[1] ? 'T' : 'N', z->dim[0], z->dim[1],
                   x->dim[a->i[0] ? 0 : 1], 1, x->p, x->dim[1], y->p, y->dim[1], 0, z->p,
                   z->dim[1]) != dnnl_success)
        exit(1);
}

static void matmul(enum aster_dtype t, int64_t m, int64_t k, int64_t n, bool ta, bool tb)
{
    char name[100];
    struct aster_args a = {.n_in = 2, .n_out = 1, .i = {ta, tb}};
    call *const peers[] = {product_openblas, t == ASTER_F64 ? NULL : product_onednn, NULL};
    a.in[0] = ta ? tensor(t, 2, k, m, 0) : tensor(t, 2, m, k, 0);
    a.in[1] = tb ? tensor(t, 2, n, k, 0) : tensor(t, 2, k, n, 0);
    a.out[0] = tensor(t, 2, m, n, 0);
    a.work_bytes = aster_work_gemm(ASTER_OP_matmul, &a);
    a.work = aligned_alloc(64, (size_t)(a.work_bytes + 127) / 64 * 64);
    snprintf(name, sizeof name, "matmul %c%c m%d k%d n%d%s", ta ? 'T' : 'N', tb ? 'T' : 'N', (int)m,
             (int)k, (int)n, t == ASTER_F64 ? " f64" : "");
    measure(name, be->op[ASTER_OP_matmul], peers, &a, 2.0 * (double)m * (double)k * (double)n);
    release(&a);
}

static void unet(int64_t b)
{
    static const int shape[][4] = {
        /* L, k, in, out */
        {1024, 1, 21, 32},  {1024, 7, 32, 32},  {512, 7, 32, 64},   {512, 7, 64, 64},
        {256, 7, 64, 128},  {256, 7, 128, 128}, {128, 7, 128, 128}, {64, 7, 128, 256},
        {64, 7, 256, 256},  {128, 1, 256, 64},  {128, 1, 128, 64},  {128, 1, 64, 1},
        {128, 7, 384, 128}, {256, 7, 256, 64},  {512, 7, 128, 32},  {1024, 1, 32, 16},
        {1024, 1, 16, 1},   {1024, 7, 64, 32},  {1024, 3, 32, 32},  {1024, 1, 32, 2}};
    for (size_t i = 0; i < sizeof shape / sizeof shape[0]; i++)
        conv(ASTER_F32, b, shape[i][0], shape[i][1], shape[i][2], shape[i][3]);
}

int main(int argc, char **argv)
{
    static const int cnn[][3] = {{7, 21, 256}, {7, 20, 256}, {5, 256, 128},
                                 {5, 128, 64}, {3, 64, 32},  {1, 32, 2}};
    if (argc > 1)
        wanted = argv[1];
    if (argc > 2)
        n_samples = (int)strtol(argv[2], NULL, 10);
    is_cold = argc > 3;
    if (n_samples < 1 || n_samples > 101)
        n_samples = 15;
    be = aster_backend_cpu(aster_isa_best());
    omp_set_num_threads(1); /* oneDNN's */
    openblas_set_num_threads(1);
    printf("%s; median of %d. Percent of the f32 peak (%.1f GFLOP/s; f64: half of it): ours; "
           "products also OpenBLAS, oneDNN\n",
           aster_isa_name(aster_isa_best()), n_samples, 1e-9 * aster_bench_peak_f32());
    for (size_t i = 0; i < sizeof cnn / sizeof cnn[0]; i++)
        conv(ASTER_F32, 8, 1024, cnn[i][0], cnn[i][1], cnn[i][2]);
    unet(8);
    unet(4);
    conv(ASTER_F64, 4, 1024, 5, 64, 64);
    matmul(ASTER_F32, 4096, 512, 1024, false, false);
    matmul(ASTER_F32, 4096, 1024, 512, false, true);
    matmul(ASTER_F32, 512, 8192, 1024, true, false);
    matmul(ASTER_F32, 1024, 8192, 1024, true, false);
    matmul(ASTER_F32, 12, 256, 128, false, false); /* one small molecule, there and back */
    matmul(ASTER_F32, 12, 128, 256, false, true);
    matmul(ASTER_F32, 24, 320, 1280, false, false);
    matmul(ASTER_F64, 512, 512, 512, false, false);
    matmul(ASTER_F64, 512, 512, 512, true, false);
    return 0;
}
