/* SPDX-License-Identifier: BSD-3-Clause */
/* matmul and linear for one real type. */

static void ASTER_R(matmul)(const struct aster_args *args)
{
    const struct aster_tensor *ta = &args->in[0], *tb = &args->in[1];
    const bool is_ta = args->i[0], is_tb = args->i[1];
    const int64_t *da = ta->dim + ta->rank - 2, *db = tb->dim + tb->rank - 2;
    const int64_t m = da[is_ta], k = da[!is_ta], n = db[!is_tb];
    const bool is_shared = tb->rank == 2;
    int64_t n_batches = 1;
    for (int d = 0; d < ta->rank - 2; d++)
        n_batches *= ta->dim[d];
    const REAL *a = ta->p, *b = tb->p;
    REAL *c = args->out[0].p;
    if (is_shared && !is_ta) { /* all batches are rows of one product */
        const struct ASTER_R(rows) rows = {0, a, c};
        const struct ASTER_R(product) p = {n_batches * m, n, k, &rows, 1, k, n, {b, db[1], is_tb, 0, 0, 0, NULL}, NULL,
                                           ASTER_ACT_NONE, args->products, args->work};
        ASTER_R(product_run)(&p);
        return;
    }
    for (int64_t s = 0; s < n_batches; s++) {
        const struct ASTER_R(right) right = {is_shared ? b : b + s * k * n, db[1], is_tb, 0, 0, 0, NULL};
        if (is_ta) {
            ASTER_R(product_transposed)(m, n, k, a + s * m * k, m, &right, args->products, c + s * m * n, n, args->work);
        } else {
            const struct ASTER_R(rows) rows = {0, a + s * m * k, c + s * m * n};
            const struct ASTER_R(product) p = {m, n, k, &rows, 1, k, n, right, NULL, ASTER_ACT_NONE, args->products, args->work};
            ASTER_R(product_run)(&p);
        }
    }
}

/* w real or bf16 */
static void ASTER_R(linear)(const struct aster_args *args)
{
    const struct aster_tensor *x = &args->in[0], *w = &args->in[1];
    const int64_t k = w->dim[0], n = w->dim[1];
    const bool is_half = w->dtype == ASTER_BF16;
    int64_t m = 1;
    for (int d = 0; d < x->rank - 1; d++)
        m *= x->dim[d];
    const struct ASTER_R(rows) rows = {0, x->p, args->out[0].p};
    const struct ASTER_R(product) p = {m, n, k, &rows, 1, k, n, {is_half ? NULL : w->p, n, false, 0, 0, 0, is_half ? w->p : NULL},
                                       args->n_in > 2 ? args->in[2].p : NULL, (int)args->i[0],
                                       is_half ? ASTER_PRODUCTS_FULL : args->products, args->work};
    ASTER_R(product_run)(&p);
}
