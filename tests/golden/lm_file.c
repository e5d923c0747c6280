/* SPDX-License-Identifier: BSD-3-Clause */
/* Shared parts of the golden programs of language models. */
#include "golden/lm_file.h"

#include "golden/kernels.h"

#include <math.h>
#include <stdarg.h>
#include <string.h>

void lm_generate(const char *name, int64_t seed, int64_t n, float a, float shift, float *out)
{
    uint64_t base = aster_fnv1a64(name, strlen(name)) ^ (uint64_t)seed * 0x9E3779B97F4A7C15ULL;
    for (int64_t i = 0; i < n; i++) {
        uint64_t z = aster_mix64(base + (uint64_t)(i + 1) * 0x9E3779B97F4A7C15ULL);
        float r = (float)((double)(z >> 40) * 0x1p-23 - 1);
        out[i] = a * r + shift;
    }
}

static int generate_one(struct aster_ctx *ctx, const char *name,
                        const struct aster_param_info *info, lm_one *one, void *arg, void *flat)
{
    enum aster_dtype t = info->dtype;
    float *narrow = NULL;
    double *wide = NULL;
    int rc;
    ASTER_GOTO(aster_alloc(ctx, info->n, sizeof *narrow, &narrow), done);
    one(arg, name, info, narrow);
    if (t == ASTER_F64) {
        ASTER_GOTO(aster_alloc(ctx, info->n, sizeof *wide, &wide), done);
        lm_widen(ASTER_F32, info->n, narrow, wide);
    }
    for (int64_t i = 0; t == ASTER_BF16 && i < info->n; i++)
        ((uint16_t *)narrow)[i] = aster_f32_to_bf16(narrow[i]);
    aster_param_from_reference(info, t, t == ASTER_F64 ? (void *)wide : (void *)narrow, flat);
done:
    aster_free(&narrow);
    aster_free(&wide);
    return rc;
}

int lm_generate_block(struct aster_ctx *ctx, const struct aster_language_config *c, int64_t block,
                      const struct aster_program *p, lm_one *one, void *arg, void *flat)
{
    for (int k = 0; k < aster_program_n_params(p); k++) {
        const struct aster_param_info *info = aster_program_param(p, k);
        char name[128];
        aster_language_param_name(c, block, info, name, sizeof name);
        ASTER_TRY(generate_one(ctx, name, info, one, arg, flat));
    }
    return 0;
}

void lm_perturb(const struct lm_options *o, int64_t block, const struct aster_program *p,
                void *flat)
{
    const enum aster_dtype t = aster_program_param(p, 0)->dtype;
    if (!o->perturb || block != 1)
        return;
    if (t == ASTER_F64)
        *(double *)flat *= 1.01;
    else if (t == ASTER_F32)
        *(float *)flat *= 1.01f;
    else
        *(uint16_t *)flat = aster_f32_to_bf16(1.01f * aster_bf16_to_f32(*(uint16_t *)flat));
}

/* ---- errors ---- */

static void note(struct lm_score *s, double fraction, const char *fmt, va_list ap)
{
    char at[sizeof s->at];
    vsnprintf(at, sizeof at, fmt, ap);
    if (s->verbose)
        fprintf(stderr, "%-40s %.3g\n", at, fraction);
    if (!(fraction <= s->worst)) {
        s->worst = isfinite(fraction) ? fraction : (double)INFINITY;
        memcpy(s->at, at, sizeof at);
    }
}

void lm_fraction(struct lm_score *s, double fraction, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    note(s, fraction, fmt, ap);
    va_end(ap);
}

void lm_judge(struct lm_score *s, int64_t n, const double *got, const double *want, double limit,
              const char *fmt, ...)
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

/* ---- the walk ---- */

static const char *lm_type_name(const struct lm_net *n)
{
    return aster_dtype_name(n->is_half ? ASTER_BF16 : n->real);
}

static int alone(const struct lm_walk *w, int64_t block, const struct lm_batch *b, int64_t k)
{
    double *rows = NULL;
    int64_t n = b->rows * w->net->c.width;
    ASTER_TRY(aster_alloc(w->net->ctx, n, sizeof *rows, &rows));
    lm_widen(w->net->real, n, b->y, rows);
    int rc = w->at(w->arg, block, k, rows);
    aster_free(&rows);
    return rc;
}

/* Sequences of the batch against those alone: the same bits */
static void compare(const struct lm_walk *w, int64_t block, const struct lm_batch *b,
                    const struct lm_batch *single, struct lm_score *s)
{
    int64_t different = 0;
    for (int64_t k = 0; k < b->n; k++) {
        const struct lm_batch *one = &single[b->which[k]];
        different +=
            memcmp(lm_batch_rows(b, k), one->y,
                   (size_t)(one->rows * w->net->c.width * aster_dtype_size(w->net->real))) != 0;
    }
    lm_fraction(s, different ? (double)INFINITY : 0,
                "%s block %lld: %lld sequences have other bits than alone", lm_type_name(w->net),
                (long long)block, (long long)different);
}

static int all_blocks(const struct lm_walk *w, struct lm_batch *b, struct lm_score *s)
{
    for (int64_t block = 0; block < aster_language_n_blocks(&w->net->c); block++) {
        ASTER_TRY(lm_net_load(w->net, block));
        for (int64_t k = 0; k < w->n + 2; k++) {
            ASTER_TRY(lm_batch_forward(&b[k]));
            if (k < w->n)
                ASTER_TRY(alone(w, block, &b[k], k));
            else
                compare(w, block, &b[k], b, s);
        }
    }
    return 0;
}

int lm_walk_run(const struct lm_walk *w, struct lm_score *s)
{
    struct lm_batch *b = NULL;
    int64_t *order = NULL;
    int rc;
    ASTER_GOTO(aster_alloc(w->net->ctx, w->n + 2, sizeof *b, &b), done);
    ASTER_GOTO(aster_alloc(w->net->ctx, 2 * w->n, sizeof *order, &order), done);
    for (int64_t k = 0; k < w->n; k++) {
        order[k] = k;
        order[w->n + k] = w->n - 1 - k;
    }
    for (int64_t k = 0; k < w->n + 2; k++) {
        bool one = k < w->n;
        ASTER_GOTO(lm_batch_new(w->net, w->tokens, one ? 1 : w->n,
                                one ? order + k : order + (k - w->n) * w->n, false, &b[k]),
                   done);
    }
    rc = all_blocks(w, b, s);
done:
    for (int64_t k = 0; b && k < w->n + 2; k++)
        if (b[k].net)
            lm_batch_free(&b[k]);
    aster_free(&b);
    aster_free(&order);
    return rc;
}

/* ---- the program ---- */

int lm_folder(struct aster_ctx *ctx, const char *path, char **out)
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

static int one_file(struct aster_ctx *ctx, const struct lm_options *o, const char *path,
                    lm_check *check)
{
    struct lm_score s = {.verbose = o->verbose};
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

static int usage(const char *name)
{
    fprintf(stderr,
            "usage: %s [--isa NAME] [--dtype f64|f32|bf16] [--poison] [--perturb] [-v] FILE...\n"
            "  --isa NAME   kernels: auto (default), x86-64, avx2, avx512 or avx512bf16\n"
            "  --dtype T    what is computed (default all three); bf16: matrices in bf16, the rest "
            "f32\n"
            "  --poison     kernels start from NaN and may not change their inputs\n"
            "  --perturb    one weight is moved by 1%%: to see that this is noticed\n"
            "  -v           every compared quantity to stderr\n",
            name);
    return 1;
}

static int parse(int argc, char **argv, struct lm_options *o)
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
            o->f64 = !strcmp(argv[k], "f64");
            o->f32 = !strcmp(argv[k], "f32");
            o->bf16 = !strcmp(argv[k], "bf16");
            if (!o->f64 && !o->f32 && !o->bf16)
                return -1;
        } else
            return -1;
    }
    return k < argc ? k : -1;
}

int lm_main(int argc, char **argv, const char *name, lm_check *check)
{
    struct lm_options o = {.isa = "auto", .f32 = true, .f64 = true, .bf16 = true};
    struct aster_ctx *ctx = NULL;
    enum aster_isa isa;
    int first = parse(argc, argv, &o), failed = 0;
    if (first < 0)
        return usage(name);
    if (aster_ctx_new(&ctx) < 0)
        return 1;
    if (aster_isa_find(ctx, o.isa, &isa) < 0) {
        fprintf(stderr, "%s\n", aster_ctx_message(ctx));
        aster_ctx_free(&ctx);
        return 1;
    }
    aster_kernel_thread_init();
    o.be = golden_kernels(isa);
    if (o.poison)
        o.be = aster_backend_poison(o.be);
    for (int k = first; k < argc; k++)
        failed |= one_file(ctx, &o, argv[k], check);
    aster_ctx_free(&ctx);
    return failed;
}
