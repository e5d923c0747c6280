/* SPDX-License-Identifier: BSD-3-Clause */
/* Metrics by hand and by definition: areas by counting all pairs, regions by trying all runs,
 * corner cases. */
#include "lib/tap.h"
#include "train/metric.h"

#include <math.h>

static struct aster_ctx *ctx;

static bool near(double a, double b)
{
    return fabs(a - b) <= 1e-12;
}

/* A few levels only, so that ties are common. */
static float random_prob(uint64_t stream, int64_t i, int levels)
{
    return (float)((int)(aster_uniform(7, stream, (uint64_t)i) * levels) / (double)levels);
}

static double auc_by_pairs(int64_t n, const float *p, const uint8_t *y)
{
    double sum = 0, pairs = 0;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++)
            if (y[i] == 1 && y[j] == 0) {
                pairs++;
                sum += p[i] > p[j] ? 1 : p[i] == p[j] ? 0.5 : 0;
            }
    return pairs > 0 ? sum / pairs : 0;
}

static void test_auc(int64_t n, int levels)
{
    float p[300];
    uint8_t y[300];
    struct aster_residues r = {0}, halves = {0};
    struct aster_metrics m, h;
    for (int64_t i = 0; i < n; i++) {
        p[i] = random_prob((uint64_t)levels, i, levels);
        y[i] = aster_uniform(9, (uint64_t)levels, (uint64_t)i) < 0.2 ? 1 : i % 17 == 5 ? 255 : 0;
    }
    bool good = aster_residues_add(ctx, &r, n, p, y, 0, 0, NULL) == 0 &&
                aster_residues_result(ctx, &r, &m) == 0;
    good = good &&
           aster_residues_add(ctx, &halves, n - n / 3, p + n / 3, y + n / 3, 0, 0, NULL) == 0 &&
           aster_residues_add(ctx, &halves, n / 3, p, y, 0, 0, NULL) == 0 &&
           aster_residues_result(ctx, &halves, &h) == 0;
    double expected = auc_by_pairs(n, p, y);
    tap_ok(good && near(m.auc, expected) && !near(m.auc, expected + 1e-9),
           "area under ROC of %d residues on %d levels", (int)n, levels);
    tap_ok(good && m.auc == h.auc && m.mcc == h.mcc && m.f1_macro == h.f1_macro,
           "the same bits for the parts in another order");
    aster_residues_free(&r);
    aster_residues_free(&halves);
}

static void test_counts(void)
{
    /* true 1 at 2..4; called 1 at 3..5: tp 2, fp 1, fn 1, tn 4 */
    const float p[8] = {0, -0.0f, 0.5f, 0.75f, 1, 0.625f, 0.25f, 0.125f};
    struct aster_residues r = {0};
    struct aster_metrics m;
    int64_t wrong = -1;
    bool good = aster_residues_add(ctx, &r, 8, p, NULL, 2, 5, &wrong) == 0 &&
                aster_residues_result(ctx, &r, &m) == 0;
    tap_ok(good && wrong == 2 && r.tp == 2 && r.fp == 1 && r.fn == 1 && r.tn == 4,
           "counts; 0.5 is not above 0.5");
    tap_ok(good && near(m.accuracy, 0.75) && near(m.precision, 2. / 3) && near(m.recall, 2. / 3) &&
               near(m.f1, 2. / 3),
           "accuracy to f1");
    tap_ok(good && near(m.f1_macro, (2. / 3 + 0.8) / 2) && near(m.mcc, 7 / 15.0) &&
               near(m.auc, 14 / 15.0),
           "f1_macro, mcc, auc");
    aster_residues_free(&r);
}

static void test_one_class(void)
{
    const float low[3] = {0.1f, 0.2f, 0.3f}, bad[2] = {0.1f, NAN};
    struct aster_residues r = {0};
    struct aster_metrics m;
    bool good = aster_residues_add(ctx, &r, 3, low, NULL, -1, -1, NULL) == 0 &&
                aster_residues_result(ctx, &r, &m) == 0;
    tap_ok(good && m.accuracy == 1 && m.precision == 0 && m.recall == 0 && m.f1 == 0 &&
               m.mcc == 0 && m.auc == 0,
           "no positive: 0 / 0 is 0");
    tap_ok(good && m.f1_macro == 1, "f1_macro leaves the absent class out");
    tap_ok(aster_residues_add(ctx, &r, 2, bad, NULL, -1, -1, NULL) == ASTER_ENUMERIC && r.tn == 3,
           "not a number is refused, nothing added");
    aster_ctx_clear(ctx);
    aster_residues_free(&r);
    good = aster_residues_result(ctx, &r, &m) == 0;
    tap_ok(good && m.accuracy == 0 && m.f1_macro == 0 && m.auc == 0, "nothing at all");
}

/* The longest, then first, of all [a, b) that are above, and cannot grow. */
static struct aster_region region_by_trying(int64_t n, const float *p, double threshold,
                                            int64_t least)
{
    struct aster_region best = {-1, -1, 0};
    for (int64_t a = 0; a < n; a++)
        for (int64_t b = a + 1; b <= n; b++) {
            bool all = true;
            for (int64_t i = a; i < b; i++)
                all &= p[i] > (float)threshold;
            if (all && b - a >= least && b - a > best.end - best.begin)
                best = (struct aster_region){a, b, 0};
        }
    return best;
}

static void test_regions(void)
{
    int64_t wrong = 0, none = 0;
    for (int k = 0; k < 500; k++) {
        float p[24];
        int64_t n = k % 25, least = 1 + k % 5;
        for (int64_t i = 0; i < n; i++)
            p[i] = random_prob(1000 + (uint64_t)k, i, 5);
        struct aster_region got, expected = region_by_trying(n, p, 0.4, least);
        aster_region_find(n, p, 0.4, least, &got);
        wrong += got.begin != expected.begin || got.end != expected.end;
        none += expected.begin < 0;
    }
    tap_ok(wrong == 0 && none > 10 && none < 490, "500 random regions, %d of them none", (int)none);
    const float p[5] = {0.5f, 0.75f, 1, 0.5f, 0.9f};
    struct aster_region r;
    aster_region_find(5, p, 0.5, 0, &r);
    tap_ok(r.begin == 1 && r.end == 3 && near(r.confidence, 0.875), "bounds and mean of the run");
}

static void test_sequences(void)
{
    struct aster_sequences s = {0};
    struct aster_sequence_metrics m;
    aster_sequences_add(&s, 10, 30, &(struct aster_region){10, 30, 1}); /* strict */
    aster_sequences_add(&s, 10, 30, &(struct aster_region){12, 28, 1}); /* close: 16 / 20 */
    aster_sequences_add(&s, 10, 30, &(struct aster_region){13, 30, 1}); /* 17 / 20 */
    aster_sequences_add(&s, 10, 30, &(struct aster_region){30, 40, 1}); /* apart */
    aster_sequences_add(&s, 10, 30, &(struct aster_region){-1, -1, 0}); /* missed */
    aster_sequences_add(&s, -1, -1, &(struct aster_region){3, 9, 1});   /* false alarm */
    aster_sequences_add(&s, -1, -1, &(struct aster_region){-1, -1, 0});
    aster_sequences_add(&s, -1, -1, &(struct aster_region){-1, -1, 0});
    aster_sequences_result(&s, &m);
    tap_ok(s.tp == 4 && s.fn == 1 && s.fp == 1 && s.tn == 2 && m.n == 8 && m.n_true == 5 &&
               m.n_found == 5,
           "counts of proteins");
    tap_ok(near(m.mean_iou, (1 + 0.8 + 0.85) / 5), "mean overlap counts what was missed as 0");
    tap_ok(near(m.exact_match_pct, 25) && near(m.exact_match_true_pct, 40) &&
               near(m.strict_match_true_pct, 20),
           "matches");
    tap_ok(near(m.false_positive_pct, 100 / 3.0) && near(m.accuracy, 0.75) &&
               near(m.precision, 0.8) && near(m.recall, 0.8) && near(m.f1, 0.8),
           "false alarms, accuracy, precision, recall, f1");
}

int main(void)
{
    if (aster_ctx_new(&ctx) < 0)
        return 1;
    test_counts();
    test_one_class();
    test_auc(3, 4);
    test_auc(300, 3);
    test_auc(300, 100000);
    test_regions();
    test_sequences();
    aster_ctx_free(&ctx);
    tap_ok(aster_live_allocations() == 0, "nothing is left allocated");
    return tap_done();
}
