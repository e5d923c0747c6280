/* SPDX-License-Identifier: BSD-3-Clause */
/* Weighted cross entropy for one real type: REAL and VSUF are defined by loss.c. */

/* Probabilities of n <= XENT_CELLS positions, class by class in p: softmax with the largest logit
 * taken off first. */
static void RN(softmax_block)(int64_t n, int classes, const REAL *logits,
                              REAL p[XENT_CLASSES][XENT_CELLS])
{
    enum { W = ASTER_VB / sizeof(REAL) };
    for (int c = 0; c < classes; c++) {
        for (int64_t k = 0; k < n; k++)
            p[c][k] = logits[k * classes + c];
        for (int64_t k = n; k < aster_round_up(n, W); k++)
            p[c][k] = 0;
    }
    for (int64_t k = 0; k < n; k += W) {
        VEC v[XENT_CLASSES], top = ASTER_V(load)(p[0] + k), sum = {0};
        for (int c = 1; c < classes; c++)
            top = ASTER_V(max)(top, ASTER_V(load)(p[c] + k));
        for (int c = 0; c < classes; c++) {
            v[c] = ASTER_V(exp)(ASTER_V(load)(p[c] + k) - top);
            sum += v[c];
        }
        for (int c = 0; c < classes; c++)
            ASTER_V(store)(p[c] + k, v[c] / sum);
    }
}

/* The logarithms of n <= XENT_CELLS values, in place. */
static void RN(logs)(int64_t n, REAL *x)
{
    enum { W = ASTER_VB / sizeof(REAL) };
    for (int64_t k = n; k < aster_round_up(n, W); k++)
        x[k] = 1;
    for (int64_t k = 0; k < n; k += W)
        ASTER_V(store)(x + k, ASTER_V(log)(ASTER_V(load)(x + k)));
}

/* Sum of -w ln(P + eps) over the counted positions, first to last; P leaves in probs. */
static double RN(xent)(const struct xent *x, int64_t n, const REAL *logits, const uint8_t *labels,
                       REAL *probs)
{
    REAL p[XENT_CLASSES][XENT_CELLS], term[XENT_CELLS];
    double loss = 0;
    for (int64_t k0 = 0; k0 < n; k0 += XENT_CELLS) {
        int64_t m = aster_min64(XENT_CELLS, n - k0);
        RN(softmax_block)(m, x->classes, logits + k0 * x->classes, p);
        for (int64_t k = 0; k < m; k++) {
            uint8_t c = labels[k0 + k];
            term[k] = c < x->classes ? p[c][k] + (REAL)x->eps : 1;
            for (int j = 0; j < x->classes; j++)
                probs[(k0 + k) * x->classes + j] = p[j][k];
        }
        RN(logs)(m, term);
        for (int64_t k = 0; k < m; k++)
            if (labels[k0 + k] < x->classes)
                loss -= x->weight[labels[k0 + k]] * (double)term[k];
    }
    return loss;
}

/* With q = -w / (n (P_c + eps)) at a position of class c: P_k (q [k = c] - q P_c) dloss. */
static void RN(xent_dx)(const struct xent *x, int64_t n, double scale, const REAL *probs,
                        const uint8_t *labels, REAL *dx)
{
    for (int64_t k = 0; k < n; k++, probs += x->classes, dx += x->classes) {
        uint8_t c = labels[k];
        if (c >= x->classes || scale == 0) {
            memset(dx, 0, (size_t)x->classes * sizeof *dx);
            continue;
        }
        double pc = (double)probs[c], q = -x->weight[c] / (pc + x->eps) * scale;
        for (int j = 0; j < x->classes; j++)
            dx[j] = (REAL)((double)probs[j] * ((j == c ? q : 0) - q * pc));
    }
}
