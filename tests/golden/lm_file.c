/* SPDX-License-Identifier: BSD-3-Clause */
/* Shared parts of the golden programs of language models. */
#include "golden/lm_file.h"

#include "golden/kernels.h"

#include <math.h>
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

void lm_perturb(const struct golden_options *o, int64_t block, const struct aster_program *p,
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
                    const struct lm_batch *single, struct golden_score *s)
{
    int64_t different = 0;
    for (int64_t k = 0; k < b->n; k++) {
        const struct lm_batch *one = &single[b->which[k]];
        different +=
            memcmp(lm_batch_rows(b, k), one->y,
                   (size_t)(one->rows * w->net->c.width * aster_dtype_size(w->net->real))) != 0;
    }
    golden_fraction(s, different ? (double)INFINITY : 0,
                    "%s block %lld: %lld sequences have other bits than alone",
                    lm_type_name(w->net), (long long)block, (long long)different);
}

static int all_blocks(const struct lm_walk *w, struct lm_batch *b, struct golden_score *s)
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

int lm_walk_run(const struct lm_walk *w, struct golden_score *s)
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
