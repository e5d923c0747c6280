/* SPDX-License-Identifier: BSD-3-Clause */
/* scatter_add for one real type: REAL and VSUF are defined by shape.c. */

/* to[d] += from[d] */
static inline void RN(add_row)(int64_t n, const REAL *from, double *to)
{
    enum { W = ASTER_VB / 8 };
    int64_t d = 0;
    for (; d + W <= n; d += W)
        aster_vstore_f64(to + d, aster_vload_f64(to + d) + RN(load_wide)(from + d));
    for (; d < n; d++)
        to[d] += (double)from[d];
}

/* Rows of dy are added in their order, in double, whatever part of the table is at hand: the table
 * is cut into pieces of at most SCATTER_CELLS so that sums stay in the cache. */
static void RN(scatter_add)(int64_t n, int64_t n_rows, int64_t dim, const REAL *dy,
                            const int32_t *idx, REAL *y)
{
    double acc[SCATTER_CELLS];
    int64_t width = n_rows * dim <= SCATTER_CELLS ? dim : aster_min64(dim, 32);
    int64_t height = width ? SCATTER_CELLS / width : 1;
    for (int64_t v0 = 0; v0 < n_rows; v0 += height)
        for (int64_t d0 = 0; d0 < dim; d0 += width) {
            int64_t h = aster_min64(height, n_rows - v0), w = aster_min64(width, dim - d0);
            memset(acc, 0, (size_t)(h * w) * sizeof *acc);
            for (int64_t k = next_inside(n, idx, 0, v0, h); k < n;
                 k = next_inside(n, idx, k + 1, v0, h))
                RN(add_row)(w, dy + k * dim + d0, acc + (idx[k] - v0) * w);
            for (int64_t v = 0; v < h; v++)
                for (int64_t d = 0; d < w; d++)
                    y[(v0 + v) * dim + d0 + d] = (REAL)acc[v * w + d];
        }
}
