/* SPDX-License-Identifier: BSD-3-Clause */
/* Language models against plain loops in double; batches that change nothing; gradients by finite
 * differences; counts of parameters. */
#include "golden/kernels.h"
#include "golden/lm_file.h"
#include "lib/tap.h"
#include "unit/language_reference.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SEED = 5, N_SEQUENCES = 7, MOST = 90 };
static const int64_t lengths[N_SEQUENCES] = {2, 17, 3, MOST, 31, 2, 64};

static struct aster_ctx *ctx;

static bool fine(int rc)
{
    if (rc < 0) {
        tap_note("%s", aster_ctx_message(ctx));
        aster_ctx_clear(ctx);
    }
    return rc >= 0;
}

static const struct aster_language_config configs[] = {
    {ASTER_LANGUAGE_ESM2, 2, 24, 3, 40, 33, 0, 1e-5},
    {ASTER_LANGUAGE_ESM2, 1, 10, 1, 7, 33, 0, 1e-5},
    {ASTER_LANGUAGE_DNABERT, 2, 21, 3, 50, 40, 2, 1e-12},
    {ASTER_LANGUAGE_DNABERT, 1, 36, 12, 16, 40, 1, 1e-12},
};
enum { N_CONFIGS = sizeof configs / sizeof *configs };

static void title(const struct aster_language_config *c, char text[64])
{
    snprintf(text, 64, "%s, width %d, %d heads",
             c->kind == ASTER_LANGUAGE_ESM2 ? "esm2" : "dnabert-s", (int)c->width, (int)c->n_heads);
}

/* ---- weights: from the generator, so that all see the same ---- */

struct weights {
    const struct aster_language_config *c;
    float frequency[256];
    struct {
        char name[128];
        double *v;
    } tensor[64];
    int n;
};

static void one(void *arg, const char *name, const struct aster_param_info *info, float *theirs)
{
    bool is_norm = info->rank == 1 && info->init.constant == 1;
    float a = info->fan_in ? (float)(1.5 / sqrt((double)info->fan_in)) : 0.4f;
    (void)arg;
    lm_generate(name, SEED, info->n, a, is_norm ? 1 : 0, theirs);
}

static int read_block(void *arg, int64_t block, const struct aster_program *p, void *flat)
{
    struct weights *w = arg;
    return lm_generate_block(ctx, w->c, block, p, one, w, flat);
}

static const float *frequencies(void *arg, int64_t layer)
{
    (void)layer;
    return ((struct weights *)arg)->frequency;
}

/* All tensors in the reference's layout */
static bool collect(struct weights *w, struct lm_net *n)
{
    for (int64_t block = 0; block < aster_language_n_blocks(w->c); block++) {
        const struct aster_program *p = n->eval[aster_language_part_of(w->c, block)];
        for (int k = 0; k < aster_program_n_params(p); k++) {
            const struct aster_param_info *info = aster_program_param(p, k);
            float *theirs = NULL;
            aster_language_param_name(w->c, block, info, w->tensor[w->n].name,
                                      sizeof w->tensor[w->n].name);
            if (!fine(aster_alloc(ctx, info->n, sizeof *theirs, &theirs)) ||
                !fine(aster_alloc(ctx, info->n, sizeof(double), &w->tensor[w->n].v)))
                return false;
            one(NULL, w->tensor[w->n].name, info, theirs);
            for (int64_t i = 0; info->dtype == ASTER_BF16 && i < info->n; i++)
                theirs[i] = aster_bf16_to_f32(aster_f32_to_bf16(theirs[i]));
            lm_widen(ASTER_F32, info->n, theirs, w->tensor[w->n++].v);
            aster_free(&theirs);
        }
    }
    return true;
}

static const double *tensor(void *arg, const char *name)
{
    const struct weights *w = arg;
    for (int k = 0; k < w->n; k++)
        if (strcmp(w->tensor[k].name, name) == 0)
            return w->tensor[k].v;
    abort();
}

static void weights_free(struct weights *w)
{
    for (int k = 0; k < w->n; k++)
        aster_free(&w->tensor[k].v);
}

/* ---- sequences ---- */

static int32_t ids_of[N_SEQUENCES][MOST];
static struct lm_tokens tokens[N_SEQUENCES];

static void make_tokens(void)
{
    for (int k = 0; k < N_SEQUENCES; k++) {
        tokens[k] = (struct lm_tokens){ids_of[k], lengths[k]};
        for (int64_t i = 0; i < lengths[k]; i++)
            ids_of[k][i] = (int32_t)(33 * aster_uniform(SEED, (uint64_t)k, (uint64_t)i));
        ids_of[k][0] = 0;
        ids_of[k][lengths[k] - 1] = 2;
    }
    ids_of[4][5] = ids_of[4][6] = ids_of[4][7] = 32; /* masked */
}

/* ---- against the reference ---- */

struct check {
    const struct reference *r;
    struct golden_score *score;
    double limit;
};

static int against(void *arg, int64_t block, int64_t k, const double *rows)
{
    const struct check *c = arg;
    int64_t n = lengths[k] * c->r->c->width;
    double *want = NULL;
    if (block + 1 < aster_language_n_blocks(c->r->c))
        return 0;
    ASTER_TRY(aster_alloc(ctx, n, sizeof *want, &want));
    reference_run(c->r, lengths[k], ids_of[k], want);
    golden_judge(c->score, n, rows, want, c->limit, "sequence %d", (int)k);
    aster_free(&want);
    return 0;
}

/* Rounding of the type that is computed in; with bf16 that is f32, but where the instruction set
 * multiplies bf16. */
static double rounding(const struct aster_backend *be, enum aster_dtype t)
{
    if (t == ASTER_BF16 && strstr(be->name, "bf16"))
        return 0x1p-9;
    return t == ASTER_F64 ? 0x1p-53 : 0x1p-24;
}

static void test_model(const struct aster_backend *be, const struct aster_language_config *c,
                       enum aster_dtype t)
{
    struct weights w = {.c = c};
    struct lm_source source = {&w, read_block, frequencies};
    struct golden_score score = {0};
    struct reference r = {c, tensor, &w};
    struct check check = {&r, &score, 20 * rounding(be, t)};
    struct lm_net n = {0};
    char name[64];
    title(c, name);
    aster_esm2_frequencies(c->width / c->n_heads / 2, w.frequency);
    bool good = fine(lm_net_new(ctx, be, t, c, &source, false, &n)) && collect(&w, &n);
    struct lm_walk walk = {&n, tokens, N_SEQUENCES, &check, against};
    good = good && fine(lm_walk_run(&walk, &score));
    tap_ok(good && score.worst <= 1,
           "%s, %s, %s: as plain loops, and any batch gives the same bits: %.2g of the limit (%s)",
           be->name, name, aster_dtype_name(t), score.worst, score.at);
    weights_free(&w);
    lm_net_free(&n);
}

/* ---- gradients ---- */

/* The number whose gradient is taken: rows times weights that depend on their place */
static double weight_of(int64_t k)
{
    return 2 * aster_uniform(SEED, 99, (uint64_t)k) - 1;
}

struct shift { /* of the parameters of one block along a direction */
    struct weights *w;
    int64_t block;
    double by;
};

static double direction(int64_t k)
{
    return 2 * aster_uniform(SEED, 77, (uint64_t)k) - 1;
}

static int read_shifted(void *arg, int64_t block, const struct aster_program *p, void *flat)
{
    struct shift *s = arg;
    ASTER_TRY(read_block(s->w, block, p, flat));
    for (int64_t k = 0; block == s->block && k < aster_program_class_n(p, ASTER_CLASS_PARAM); k++)
        ((double *)flat)[k] += s->by * direction(k);
    return 0;
}

static const float *shifted_frequencies(void *arg, int64_t layer)
{
    return frequencies(((struct shift *)arg)->w, layer);
}

static int forward(struct lm_net *n, bool keep, struct lm_batch *b, double *number)
{
    static const int64_t which[] = {1, 2, 4};
    ASTER_TRY(lm_batch_new(n, tokens, 3, which, keep, b));
    for (int64_t block = 0; block < aster_language_n_blocks(&n->c); block++) {
        ASTER_TRY(lm_net_load(n, block));
        ASTER_TRY(lm_batch_forward(b));
    }
    *number = 0;
    for (int64_t k = 0; k < b->rows * n->c.width; k++)
        *number += weight_of(k) * ((double *)b->y)[k];
    return 0;
}

/* Along the direction, by the gradient of each block */
static int slopes_of(struct lm_net *n, double *slope)
{
    struct lm_batch b;
    double number, *dy = NULL;
    int rc = forward(n, true, &b, &number);
    int64_t size = b.rows * n->c.width;
    if (rc == 0)
        rc = aster_alloc(ctx, size, sizeof *dy, &dy);
    for (int64_t k = 0; rc == 0 && k < size; k++)
        dy[k] = weight_of(k);
    for (int64_t block = aster_language_n_blocks(&n->c) - 1; rc == 0 && block >= 0; block--) {
        const struct aster_program *p = n->eval[aster_language_part_of(&n->c, block)];
        rc = lm_net_load(n, block);
        if (rc == 0)
            rc = lm_batch_backward(&b, dy);
        for (int64_t k = 0; rc == 0 && k < aster_program_class_n(p, ASTER_CLASS_PARAM); k++)
            slope[block] += direction(k) * ((double *)n->grad)[k];
    }
    aster_free(&dy);
    lm_batch_free(&b);
    return rc;
}

static void test_gradient(const struct aster_backend *be, const struct aster_language_config *c)
{
    const double h = 1e-4;
    struct weights w = {.c = c};
    struct shift s = {&w, -1, 0};
    struct lm_source source = {&s, read_shifted, shifted_frequencies};
    struct lm_net n = {0};
    double slope[8] = {0}, worst = 0;
    char name[64];
    title(c, name);
    aster_esm2_frequencies(c->width / c->n_heads / 2, w.frequency);
    bool good =
        fine(lm_net_new(ctx, be, ASTER_F64, c, &source, true, &n)) && fine(slopes_of(&n, slope));
    for (s.block = 0; good && s.block < aster_language_n_blocks(c); s.block++) {
        double f[4];
        for (int k = 0; good && k < 4; k++) {
            struct lm_batch b;
            s.by = (k - 1.5) * h;
            good = fine(forward(&n, false, &b, &f[k]));
            lm_batch_free(&b);
        }
        double want = (f[0] - 27 * f[1] + 27 * f[2] - f[3]) / (24 * h);
        worst = fmax(worst, fabs(slope[s.block] - want) / fmax(fabs(want), 1e-3));
    }
    tap_ok(good && worst <= 1e-7,
           "%s, %s: gradients of all blocks are those of finite differences, error %.1e", be->name,
           name, worst);
    lm_net_free(&n);
}

/* ---- facts ---- */

static int64_t count(struct aster_language_config c)
{
    int64_t n = 0;
    for (int part = 0; part < (c.kind == ASTER_LANGUAGE_ESM2 ? 3 : 2); part++) {
        struct aster_program *p = NULL;
        if (!fine(aster_language_program(ctx, &c, (enum aster_language_part)part, ASTER_F32,
                                         ASTER_LANGUAGE_EVAL, &p)))
            return -1;
        for (int k = 0; k < aster_program_n_params(p); k++)
            n += aster_program_param(p, k)->n * (part == ASTER_PART_LAYER ? c.n_layers : 1);
        aster_program_free(&p);
    }
    return n;
}

static void test_counts(void)
{
    static const int64_t size[][4] = {{6, 320, 20, 7408960},        {12, 480, 20, 33269280},
                                      {30, 640, 20, 147728000},     {33, 1280, 20, 649400320},
                                      {36, 2560, 40, 2832442880LL}, {48, 5120, 40, 15102868480LL}};
    for (size_t k = 0; k < sizeof size / sizeof *size; k++) {
        const int64_t *s = size[k],
                      n = count((struct aster_language_config){ASTER_LANGUAGE_ESM2, s[0], s[1],
                                                               s[2], 4 * s[1], 33, 0, 1e-5});
        tap_ok(n == s[3], "esm2 of %d layers has %lld parameters", (int)s[0], (long long)n);
    }
    int64_t n = count(
        (struct aster_language_config){ASTER_LANGUAGE_DNABERT, 12, 768, 12, 3072, 4096, 2, 1e-12});
    tap_ok(n == 116477952, "dnabert-s has %lld parameters", (long long)n);
}

static void test_tables(void)
{
    double slope[12], factor[4];
    int exponent_of[12] = {2, 4, 6, 8, 10, 12, 14, 16, 1, 3, 5, 7},
        wrong = 0; /* of a half: 2^-1 is 2 halves */
    const int32_t ids[4] = {0, 32, 5, 2};
    aster_alibi_slopes(12, slope);
    for (int k = 0; k < 12; k++)
        wrong += fabs(slope[k] - pow(2, -exponent_of[k] / 2.0)) > 1e-16;
    tap_ok(wrong == 0, "slopes of 12 heads: those of 8, and every second of 16");
    aster_esm2_factors(4, ids, factor);
    tap_ok(factor[1] == 0 && fabs(factor[0] - 0.88 / 0.75) < 1e-15 && factor[2] == factor[0],
           "factors where one of four tokens is masked");
    float f[8];
    aster_esm2_frequencies(8, f);
    tap_ok(f[0] == 1 && f[4] == 0x1.47cp-7f,
           "the frequency 10000^-0.5 rounded to half precision: %a", (double)f[4]);
}

static void refused(struct aster_language_config c, const char *field)
{
    int rc = aster_language_check(ctx, &c);
    tap_ok(rc == ASTER_EPARAM && strstr(aster_ctx_message(ctx), field), "refused: %s",
           aster_ctx_message(ctx));
    aster_ctx_clear(ctx);
}

static void test_refused(void)
{
    struct aster_language_config c = configs[0];
    c.n_layers = 0, refused(c, "num_hidden_layers");
    c = configs[0], c.n_heads = 5, refused(c, "multiple");
    c = configs[0], c.n_heads = 8, refused(c, "even");
    c = configs[0], c.eps = NAN, refused(c, "layer_norm_eps");
    c = configs[2], c.n_types = 0, refused(c, "type_vocab_size");
}

/* A sequence longer than its plan says has no results; the others have. */
static void test_too_long(const struct aster_backend *be)
{
    enum { ROWS = 9, WIDTH = 4 };
    float q[ROWS * WIDTH], o[ROWS * WIDTH], lse[ROWS * 2], work[1 << 17];
    const int32_t starts[] = {0, 2, 8, 9};
    for (int k = 0; k < ROWS * WIDTH; k++)
        q[k] = (float)weight_of(k);
    struct aster_tensor rows = {q, ASTER_F32, 2, {ROWS, WIDTH}};
    struct aster_args a = {.n_in = 4,
                           .n_out = 2,
                           .in = {rows, rows, rows, {(void *)starts, ASTER_I32, 1, {4}}},
                           .i = {2},
                           .f = {1},
                           .s = {3},
                           .work = work,
                           .work_bytes = sizeof work,
                           .device = golden_device()};
    a.out[0] = (struct aster_tensor){o, ASTER_F32, 2, {ROWS, WIDTH}};
    a.out[1] = (struct aster_tensor){lse, ASTER_F32, 2, {ROWS, 2}};
    int64_t need = aster_work_attention(ASTER_OP_ragged_attention, &a);
    be->op[ASTER_OP_ragged_attention](&a);
    int wrong = 0;
    for (int k = 0; k < ROWS * WIDTH; k++)
        wrong += !isnan(o[k]) != (k / WIDTH < 2 || k / WIDTH >= 8);
    for (int k = 0; k < ROWS * 2; k++)
        wrong += !isnan(lse[k]) != (k / 2 < 2 || k / 2 >= 8);
    tap_ok(wrong == 0 && need <= (int64_t)sizeof work,
           "%s: a sequence longer than said gives NaN, its neighbours do not", be->name);
}

int main(void)
{
    if (aster_ctx_new(&ctx) < 0)
        return 99;
    make_tokens();
    test_counts();
    test_tables();
    test_refused();
    const struct aster_backend *be = NULL, *before;
    for (int isa = 0; isa < ASTER_N_ISAS; isa++) {
        if (!aster_isa_here((enum aster_isa)isa))
            continue;
        before = be;
        be = golden_kernels((enum aster_isa)isa);
        if (be == before) /* a GPU has one set of kernels */
            continue;
        for (int k = 0; k < N_CONFIGS; k++) {
            test_model(be, &configs[k], ASTER_F64);
            test_model(be, &configs[k], ASTER_F32);
            test_model(be, &configs[k], ASTER_BF16);
            test_gradient(be, &configs[k]);
        }
        test_too_long(be);
    }
    tap_ok(!golden_kernels_error(), "no kernel did anything wrong%s%s",
           golden_kernels_error() ? ": " : "",
           golden_kernels_error() ? golden_kernels_error() : "");
    aster_ctx_free(&ctx);
    tap_ok(aster_live_allocations() == 0, "nothing is left allocated (%lld)",
           (long long)aster_live_allocations());
    return tap_done();
}
