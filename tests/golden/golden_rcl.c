/* SPDX-License-Identifier: BSD-3-Clause */
/* golden-rcl FILE.h5...: models against files of reference results; one line per file with its
 * largest error. */
#include "golden/kernels.h"
#include "golden/rcl_check.h"

#include <math.h>
#include <string.h>

struct options {
    const char *isa;
    bool f32, f64, verbose, poison, perturb;
};

/* 0 when the file agrees, 1 when it does not or cannot be read. */
static int one_file(struct aster_ctx *ctx, const struct options *o, const struct aster_backend *be,
                    const char *path)
{
    struct golden g;
    struct score wide = {.verbose = o->verbose}, narrow = {.verbose = o->verbose};
    int rc = golden_open(ctx, path, &g);
    if (rc == 0) {
        g.perturb = o->perturb;
        rc = check_file(&g, be, ASTER_F64, &wide);
        narrow.passed_f64 = rc == 0 && wide.worst <= 1;
        if (rc == 0 && o->f32)
            rc = check_file(&g, be, ASTER_F32, &narrow);
        golden_close(&g);
    }
    const char *base = aster_path_base(path), *poison = o->poison ? aster_poison_error() : NULL;
    if (rc < 0) {
        printf("%s: %s\n", base, aster_ctx_message(ctx));
        aster_ctx_clear(ctx);
        return 1;
    }
    const struct score *s = !o->f64 || (o->f32 && narrow.worst > wide.worst) ? &narrow : &wide;
    if (!poison)
        poison = golden_kernels_error();
    bool good = s->worst <= 1 && !poison;
    printf("%s: largest error %.3g of the limit (%s)%s%s%s\n", base, s->worst, s->at,
           s->worst <= 1 ? "" : ", does not agree", poison ? ", " : "", poison ? poison : "");
    fflush(stdout);
    return !good;
}

static int usage(void)
{
    fprintf(
        stderr,
        "usage: golden-rcl [--isa NAME] [--dtype f32|f64|both] [--poison] [--perturb] [-v] "
        "FILE.h5...\n"
        "  --isa NAME   kernels: auto (default), x86-64, avx2, avx512 or avx512bf16\n"
        "  --dtype T    what is judged (default both; f32 computes in double too, for its limits)\n"
        "  --poison     kernels start from NaN and may not change their inputs\n"
        "  --perturb    one weight is moved by 1e-4: to see that this is noticed\n"
        "  -v           every compared quantity to stderr\n");
    return 1;
}

static int parse(int argc, char **argv, struct options *o)
{
    int k = 1;
    for (; k < argc && argv[k][0] == '-' && argv[k][1]; k++) {
        if (!strcmp(argv[k], "-v"))
            o->verbose = true;
        else if (!strcmp(argv[k], "--poison"))
            o->poison = true;
        else if (!strcmp(argv[k], "--perturb"))
            o->perturb = true;
        else if (!strcmp(argv[k], "--isa") && k + 1 < argc)
            o->isa = argv[++k];
        else if (!strcmp(argv[k], "--dtype") && k + 1 < argc) {
            k++;
            o->f32 = !strcmp(argv[k], "f32") || !strcmp(argv[k], "both");
            o->f64 = !strcmp(argv[k], "f64") || !strcmp(argv[k], "both");
            if (!o->f32 && !o->f64)
                return -1;
        } else
            return -1;
    }
    return k < argc ? k : -1;
}

int main(int argc, char **argv)
{
    struct options o = {.isa = "auto", .f32 = true, .f64 = true};
    struct aster_ctx *ctx = NULL;
    enum aster_isa isa;
    int first = parse(argc, argv, &o), failed = 0;
    if (first < 0)
        return usage();
    if (aster_ctx_new(&ctx) < 0)
        return 1;
    if (aster_isa_find(ctx, o.isa, &isa) < 0) {
        fprintf(stderr, "%s\n", aster_ctx_message(ctx));
        aster_ctx_free(&ctx);
        return 1;
    }
    aster_kernel_thread_init();
    const struct aster_backend *be = golden_kernels(isa);
    if (o.poison)
        be = aster_backend_poison(be);
    for (int k = first; k < argc; k++)
        failed |= one_file(ctx, &o, be, argv[k]);
    aster_ctx_free(&ctx);
    return failed;
}
