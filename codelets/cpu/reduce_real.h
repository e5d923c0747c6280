/* SPDX-License-Identifier: BSD-3-Clause */
/* Sums over axes, for one real type: REAL and VSUF are defined by reduce.c. All sums are in double,
 * in an order that depends on the sizes of the summed axes (and of the last one) only. */

/* Sum of n neighbours. */
static double RN(sum_row)(int64_t n, const REAL *x)
{
    enum { W = ASTER_VB / 8 };
    double sum = 0;
    int64_t k = 0;
    if (n >= W) {
        aster_vf64 s0 = {0}, s1 = {0}, s2 = {0}, s3 = {0};
        for (; k + 4 * W <= n; k += 4 * W) {
            s0 += RN(load_wide)(x + k);
            s1 += RN(load_wide)(x + k + W);
            s2 += RN(load_wide)(x + k + 2 * W);
            s3 += RN(load_wide)(x + k + 3 * W);
        }
        for (; k + W <= n; k += W)
            s0 += RN(load_wide)(x + k);
        aster_vf64 s = (s0 + s1) + (s2 + s3);
        for (int j = 0; j < W; j++)
            sum += s[j];
    }
    for (; k < n; k++)
        sum += (double)x[k];
    return sum;
}

/* acc[c] += sum over rows r of x[r stride + c], four rows at a time. */
static void RN(add_rows)(int64_t rows, int64_t stride, int64_t n, const REAL *x, double *acc)
{
    enum { W = ASTER_VB / 8 };
    int64_t r = 0;
    for (; r + 4 <= rows; r += 4) {
        const REAL *x0 = x + r * stride, *x1 = x0 + stride, *x2 = x1 + stride, *x3 = x2 + stride;
        int64_t c = 0;
        for (; c + W <= n; c += W)
            aster_vstore_f64(acc + c, aster_vload_f64(acc + c) +
                                          ((RN(load_wide)(x0 + c) + RN(load_wide)(x1 + c)) +
                                           (RN(load_wide)(x2 + c) + RN(load_wide)(x3 + c))));
        for (; c < n; c++)
            acc[c] += ((double)x0[c] + (double)x1[c]) + ((double)x2[c] + (double)x3[c]);
    }
    for (; r < rows; r++)
        for (int64_t c = 0; c < n; c++)
            acc[c] += (double)x[r * stride + c];
}

/* The same for narrow rows without gaps: group rows are one wide row, and the groups are folded at
 * the end. */
static void RN(add_narrow_rows)(int64_t rows, int64_t n, const REAL *x, double *acc)
{
    double wide[REDUCE_COLUMNS];
    int64_t group = REDUCE_COLUMNS / n, whole = rows / group;
    if (whole < 2) {
        RN(add_rows)(rows, n, n, x, acc);
        return;
    }
    memset(wide, 0, sizeof wide);
    RN(add_rows)(whole, group * n, group * n, x, wide);
    for (int64_t r = 0; r < group; r++)
        for (int64_t c = 0; c < n; c++)
            acc[c] += wide[r * n + c];
    RN(add_rows)(rows - whole * group, n, n, x + whole * group * n, acc);
}

/* y[c] = sum over the index spaces of outer (n_outer rows apart by outer_stride) and rows. */
static void RN(sum_columns)(const struct sum_plan *p, const REAL *x, REAL *y)
{
    double acc[REDUCE_COLUMNS];
    for (int64_t c0 = 0; c0 < p->n; c0 += REDUCE_COLUMNS) {
        int64_t n = aster_min64(REDUCE_COLUMNS, p->n - c0);
        memset(acc, 0, (size_t)n * sizeof *acc);
        for (int64_t o = 0; o < p->summed[0]; o++) {
            const REAL *xo = x + o * p->summed_stride[0] + c0;
            if (p->n <= REDUCE_COLUMNS / 8 && p->summed_stride[1] == p->n)
                RN(add_narrow_rows)(p->summed[1], n, xo, acc);
            else
                RN(add_rows)(p->summed[1], p->summed_stride[1], n, xo, acc);
        }
        for (int64_t c = 0; c < n; c++)
            y[c0 + c] = (REAL)acc[c];
    }
}

static void RN(sum_to)(const struct sum_plan *p, const REAL *x, REAL *y)
{
    for (int64_t i = 0; i < p->kept[0]; i++)
        for (int64_t j = 0; j < p->kept[1]; j++) {
            const REAL *xi = x + i * p->kept_stride[0] + j * p->kept_stride[1];
            if (p->last_kept) {
                RN(sum_columns)(p, xi, y);
                y += p->n;
                continue;
            }
            double sum = 0;
            for (int64_t o = 0; o < p->summed[0]; o++)
                for (int64_t r = 0; r < p->summed[1]; r++)
                    sum +=
                        RN(sum_row)(p->n, xi + o * p->summed_stride[0] + r * p->summed_stride[1]);
            *y++ = (REAL)sum;
        }
}
