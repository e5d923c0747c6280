/* SPDX-License-Identifier: BSD-3-Clause */
/* Shared parts of the golden programs. */
#include "golden/golden_main.h"

#include "golden/kernels.h"

#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>
#if defined __GLIBC__
#include <malloc.h>
#endif

/* ---- errors ---- */

static void note(struct golden_score *s, double fraction, const char *fmt, va_list ap)
{
    char at[sizeof s->at];
    vsnprintf(at, sizeof at, fmt, ap);
    s->n_compared++;
    if (s->verbose)
        fprintf(stderr, "%-40s %.3g\n", at, fraction);
    if (!(fraction <= s->worst)) {
        s->worst = isfinite(fraction) ? fraction : (double)INFINITY;
        memcpy(s->at, at, sizeof at);
    }
}

void golden_fraction(struct golden_score *s, double fraction, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    note(s, fraction, fmt, ap);
    va_end(ap);
}

void golden_judge(struct golden_score *s, int64_t n, const double *got, const double *want,
                  double limit, const char *fmt, ...)
{
    double error = 0, size = 0;
    va_list ap;
    for (int64_t k = 0; k < n; k++) {
        error += (got[k] - want[k]) * (got[k] - want[k]);
        size += want[k] * want[k];
    }
    va_start(ap, fmt);
    note(s, error == 0 ? 0 : sqrt(error / size) / limit, fmt, ap);
    va_end(ap);
}

/* ---- the program ---- */

int golden_folder(struct aster_ctx *ctx, const char *path, char **out)
{
    return aster_strndup(ctx, path, (size_t)(aster_path_base(path) - path), out);
}

/* The last part of a path; where that is always the same, with its folder */
static const char *name_of(const char *path)
{
    const char *base = aster_path_base(path), *at = base;
    if (strcmp(base, "golden.h5") != 0)
        return base;
    for (at -= at > path; at > path && at[-1] != '/'; at--)
        ;
    return at;
}

static int one_file(struct aster_ctx *ctx, const struct golden_options *o, const char *path,
                    golden_check *check)
{
    struct golden_score s = {.verbose = o->verbose};
    int rc = check(ctx, o, path, &s);
    const char *base = name_of(path), *poison = golden_kernels_error() ? golden_kernels_error()
                                                : o->poison            ? aster_poison_error()
                                                                       : NULL;
    if (rc < 0) {
        printf("%s: %s\n", base, aster_ctx_message(ctx));
        aster_ctx_clear(ctx);
        return 1;
    }
    printf("%s: largest error %.3g of the limit (%s)%s%s%s\n", base, s.worst,
           s.at[0] ? s.at : "everything", s.worst <= 1 ? "" : ", does not agree",
           poison ? ", " : "", poison ? poison : "");
    fflush(stdout);
    return !(s.worst <= 1) || poison;
}

static int usage(const char *name, bool has_weights)
{
    fprintf(
        stderr,
        "usage: %s [--isa NAME] [--dtype f64|f32|both|bf16] [--poison] [--perturb] %s[-v] FILE...\n"
        "  --isa NAME   kernels: auto (default), x86-64, avx2, avx512 or avx512bf16\n"
        "  --dtype T    what is computed (default all); both: f64 and f32; bf16: matrices in bf16, "
        "the rest "
        "f32\n"
        "  --poison     kernels start from NaN and may not change their inputs\n"
        "  --perturb    one weight is moved a little: to see that this is noticed\n"
        "%s"
        "  -v           every compared quantity to stderr\n",
        name, has_weights ? "[--weights PATH] " : "",
        has_weights ? "  --weights P  a file of weights, or a folder of MODEL.h5\n" : "");
    return 1;
}

static int parse(int argc, char **argv, bool has_weights, struct golden_options *o)
{
    int k = 1;
    for (; k < argc && argv[k][0] == '-' && argv[k][1]; k++) {
        if (!strcmp(argv[k], "-v"))
            o->verbose = true;
        else if (!strcmp(argv[k], "--poison"))
            o->poison = true;
        else if (!strcmp(argv[k], "--perturb"))
            o->perturb = true;
        else if (has_weights && !strcmp(argv[k], "--weights") && k + 1 < argc)
            o->weights = argv[++k];
        else if (!strcmp(argv[k], "--isa") && k + 1 < argc)
            o->isa = argv[++k];
        else if (!strcmp(argv[k], "--dtype") && k + 1 < argc) {
            k++;
            bool both = !strcmp(argv[k], "both");
            o->f64 = !strcmp(argv[k], "f64") || both;
            o->f32 = !strcmp(argv[k], "f32") || both;
            o->bf16 = !strcmp(argv[k], "bf16");
            if (!o->f64 && !o->f32 && !o->bf16)
                return -1;
        } else
            return -1;
    }
    return k < argc ? k : -1;
}

/* Arenas come and go with each run of a program: their pages are not given back in between. */
static void keep_memory(void)
{
#if defined __GLIBC__
    mallopt(M_MMAP_MAX, 0);
    mallopt(M_TRIM_THRESHOLD, INT_MAX);
    mallopt(M_TOP_PAD, 64 << 20);
#endif
}

int golden_main(int argc, char **argv, const struct golden_program *program)
{
    struct golden_options o = {.isa = "auto", .f32 = true, .f64 = true, .bf16 = true};
    struct aster_ctx *ctx = NULL;
    enum aster_isa isa;
    int first = parse(argc, argv, program->has_weights, &o), failed = 0;
    if (first < 0)
        return usage(program->name, program->has_weights);
    if (aster_ctx_new(&ctx) < 0)
        return 1;
    if (aster_isa_find(ctx, o.isa, &isa) < 0) {
        fprintf(stderr, "%s\n", aster_ctx_message(ctx));
        aster_ctx_free(&ctx);
        return 1;
    }
    keep_memory();
    aster_kernel_thread_init();
    o.be = golden_kernels(isa);
    if (o.poison)
        o.be = aster_backend_poison(o.be);
    for (int k = first; k < argc; k++)
        failed |= one_file(ctx, &o, argv[k], program->check);
    aster_ctx_free(&ctx);
    return failed;
}
