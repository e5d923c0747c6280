/* SPDX-License-Identifier: BSD-3-Clause */
/* Metrics of per-residue labelling. */
#include "train/metric.h"

#include <math.h>
#include <string.h>

static double ratio(double a, double b)
{
    return b > 0 ? a / b : 0;
}

/* ---- residue level ---- */

static int label_of(const uint8_t *labels, int64_t i, int64_t begin, int64_t end)
{
    return labels ? labels[i] : i >= begin && i < end;
}

int aster_residues_add(struct aster_ctx *ctx, struct aster_residues *r, int64_t n,
                       const float *prob, const uint8_t *labels, int64_t begin, int64_t end,
                       int64_t *n_errors)
{
    for (int64_t i = 0; i < n; i++)
        if (label_of(labels, i, begin, end) <= 1 && !(prob[i] >= 0 && prob[i] <= 1))
            return aster_fail(ctx, ASTER_ENUMERIC,
                              "residue %lld: P(class 1) is %g, expected 0 to 1", (long long)(i + 1),
                              (double)prob[i]);
    int64_t n_positive = r->tp + r->fn, n_negative = r->tn + r->fp, wrong = 0;
    ASTER_TRY(aster_grow(ctx, n_positive + n, sizeof(float), &r->cap_positive, &r->positive));
    ASTER_TRY(aster_grow(ctx, n_negative + n, sizeof(float), &r->cap_negative, &r->negative));
    for (int64_t i = 0; i < n; i++) {
        int label = label_of(labels, i, begin, end);
        bool called = prob[i] > 0.5f;
        if (label > 1)
            continue;
        if (label) {
            r->positive[n_positive++] = prob[i] + 0.0f; /* no negative zero: see sort_probs */
            *(called ? &r->tp : &r->fn) += 1;
        } else {
            r->negative[n_negative++] = prob[i] + 0.0f;
            *(called ? &r->fp : &r->tn) += 1;
        }
        wrong += called != (label == 1);
    }
    if (n_errors)
        *n_errors = wrong;
    return 0;
}

/* Ascending, by three passes over 11 bits: floats from 0 to 1 are ordered as their bits. */
static void sort_probs(int64_t n, float *x, float *scratch)
{
    float *from = x, *to = scratch;
    for (int shift = 0; shift < 33; shift += 11) {
        int64_t start[2049] = {0};
        for (int64_t i = 0; i < n; i++) {
            uint32_t bits;
            memcpy(&bits, &from[i], sizeof bits);
            start[(bits >> shift & 2047) + 1]++;
        }
        for (int k = 0; k < 2048; k++)
            start[k + 1] += start[k];
        for (int64_t i = 0; i < n; i++) {
            uint32_t bits;
            memcpy(&bits, &from[i], sizeof bits);
            to[start[bits >> shift & 2047]++] = from[i];
        }
        float *t = from;
        from = to;
        to = t;
    }
    memcpy(x, from, (size_t)n * sizeof *x);
}

/* Of all pairs of a positive and a negative residue, the share in which the positive one is higher;
 * ties count half. Counted in integers, so the order of residues does not matter. */
static int area_under_roc(struct aster_ctx *ctx, struct aster_residues *r, double *auc)
{
    int64_t np = r->tp + r->fn, nn = r->tn + r->fp, lower = 0, not_higher = 0, twice = 0;
    float *scratch = NULL;
    *auc = 0;
    if (np == 0 || nn == 0)
        return 0;
    ASTER_TRY(aster_alloc(ctx, aster_max64(np, nn), sizeof *scratch, &scratch));
    sort_probs(np, r->positive, scratch);
    sort_probs(nn, r->negative, scratch);
    aster_free(&scratch);
    for (int64_t i = 0; i < np; i++) {
        while (lower < nn && r->negative[lower] < r->positive[i])
            lower++;
        while (not_higher < nn && r->negative[not_higher] <= r->positive[i])
            not_higher++;
        twice += lower + not_higher;
    }
    *auc = (double)twice / 2 / ((double)np * (double)nn);
    return 0;
}

int aster_residues_result(struct aster_ctx *ctx, struct aster_residues *r,
                          struct aster_metrics *out)
{
    double tp = (double)r->tp, tn = (double)r->tn, fp = (double)r->fp, fn = (double)r->fn;
    double f1_other = ratio(2 * tn, 2 * tn + fp + fn);
    bool has_1 = r->tp + r->fp + r->fn > 0, has_0 = r->tn + r->fp + r->fn > 0;
    out->accuracy = ratio(tp + tn, tp + tn + fp + fn);
    out->precision = ratio(tp, tp + fp);
    out->recall = ratio(tp, tp + fn);
    out->f1 = ratio(2 * tp, 2 * tp + fp + fn);
    out->f1_macro = has_0 && has_1 ? (out->f1 + f1_other) / 2 : has_1 ? out->f1 : f1_other;
    out->mcc =
        ratio(tp * tn - fp * fn, sqrt(tp + fp) * sqrt(tp + fn) * sqrt(tn + fp) * sqrt(tn + fn));
    return area_under_roc(ctx, r, &out->auc);
}

void aster_residues_free(struct aster_residues *r)
{
    aster_free(&r->positive);
    aster_free(&r->negative);
    *r = (struct aster_residues){0};
}

/* ---- loops ---- */

void aster_region_find(int64_t n, const float *prob, double threshold, int64_t min_consecutive,
                       struct aster_region *out)
{
    float limit = (float)threshold;
    int64_t best = aster_max64(min_consecutive, 1) - 1; /* a run must be longer than this */
    *out = (struct aster_region){-1, -1, 0};
    for (int64_t i = 0; i < n; i++) {
        int64_t begin = i;
        while (i < n && prob[i] > limit)
            i++;
        if (i - begin > best) {
            best = i - begin;
            out->begin = begin;
            out->end = i;
        }
    }
    for (int64_t i = out->begin; i < out->end; i++)
        out->confidence += prob[i];
    if (out->begin >= 0)
        out->confidence /= (double)(out->end - out->begin);
}

double aster_region_iou(int64_t begin, int64_t end, int64_t true_begin, int64_t true_end)
{
    if (begin < 0 || true_begin < 0)
        return 0;
    int64_t shared = aster_min64(end, true_end) - aster_max64(begin, true_begin);
    return shared <= 0
               ? 0
               : ratio((double)shared,
                       (double)(aster_max64(end, true_end) - aster_min64(begin, true_begin)));
}

/* ---- sequence level ---- */

static bool within(int64_t a, int64_t b, int64_t distance)
{
    return a - b <= distance && b - a <= distance;
}

void aster_sequences_add(struct aster_sequences *s, int64_t true_begin, int64_t true_end,
                         const struct aster_region *found)
{
    bool has = true_begin >= 0, got = found->begin >= 0;
    s->n++;
    *(has ? got ? &s->tp : &s->fn : got ? &s->fp : &s->tn) += 1;
    if (!has || !got)
        return;
    s->iou_sum += aster_region_iou(found->begin, found->end, true_begin, true_end);
    s->close += within(found->begin, true_begin, 2) && within(found->end, true_end, 2);
    s->strict += found->begin == true_begin && found->end == true_end;
}

void aster_sequences_result(const struct aster_sequences *s, struct aster_sequence_metrics *out)
{
    double tp = (double)s->tp, fp = (double)s->fp, fn = (double)s->fn, n_true = tp + fn;
    out->n = s->n;
    out->n_true = s->tp + s->fn;
    out->n_found = s->tp + s->fp;
    out->accuracy = ratio((double)(s->tp + s->tn), (double)s->n);
    out->precision = ratio(tp, tp + fp);
    out->recall = ratio(tp, n_true);
    out->f1 = ratio(2 * tp, 2 * tp + fp + fn);
    out->mean_iou = ratio(s->iou_sum, n_true);
    out->exact_match_pct = 100 * ratio((double)s->close, (double)s->n);
    out->exact_match_true_pct = 100 * ratio((double)s->close, n_true);
    out->strict_match_true_pct = 100 * ratio((double)s->strict, n_true);
    out->false_positive_pct = 100 * ratio(fp, (double)(s->fp + s->tn));
}
