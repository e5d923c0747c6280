/* SPDX-License-Identifier: BSD-3-Clause */
/* Tolerances, the distance of a result from its reference, and results spoilt on purpose. */
#include "kt_inner.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct kt_tolerance tolerances[] = {
#define TOL(op, dtype, metric, limit, reason)                                                      \
    {ASTER_OP_##op, ASTER_##dtype, ASTER_PRODUCTS_FULL, KT_##metric, limit, reason},
#define TOL_PRODUCTS(op, products, metric, limit, reason)                                          \
    {ASTER_OP_##op, ASTER_F32, ASTER_PRODUCTS_##products, KT_##metric, limit, reason},
#include "../tolerance.def"
#undef TOL
#undef TOL_PRODUCTS
};

const struct kt_tolerance *kt_tolerance_of(enum aster_op_kind op, enum aster_dtype dtype,
                                           enum aster_products products)
{
    for (size_t k = 0; k < sizeof tolerances / sizeof *tolerances; k++)
        if (tolerances[k].op == op && tolerances[k].dtype == dtype &&
            tolerances[k].products == products)
            return &tolerances[k];
    return NULL;
}

/* Which elements of output t count: all, or those in the rows asked for. */
static bool counts(const struct kt_case *c, const struct kt_tensor *t, int64_t k)
{
    if (!c->has_rows)
        return true;
    int64_t row = 1;
    for (int axis = 2; axis < t->rank; axis++)
        row *= t->dim[axis];
    return k / row % t->dim[1] < c->rows[k / row / t->dim[1]];
}

static bool untouched(enum aster_dtype t, const void *p, int64_t k)
{
    int64_t size = aster_dtype_size(t);
    const unsigned char *byte = (const unsigned char *)p + k * size;
    for (int64_t j = 0; j < size; j++)
        if (byte[j] != 0xff)
            return false;
    return true;
}

double kt_error(const struct kt_case *c, int out, const void *p)
{
    const struct kt_tensor *t = &c->out[out];
    double top = 0, worst = 0, sum = 0, sum_error = 0;
    for (int64_t k = 0; k < t->n; k++) {
        if (!counts(c, t, k)) {
            if (!untouched(t->dtype, p, k))
                return INFINITY;
            continue;
        }
        double want = t->v[k], got = kt_load(t->dtype, p, k);
        if (isinf(want) && want == got)
            continue;
        double d = fabs(got - want);
        if (!(d < INFINITY))
            return INFINITY;
        top = fmax(top, fabs(want));
        worst = fmax(worst, d);
        sum += want * want;
        sum_error += d * d;
    }
    if (c->t->tolerance->metric == KT_NMSE)
        return sum_error == 0 ? 0 : sum_error / sum;
    return worst == 0 ? 0 : worst / top;
}

/* The smallest change that must be seen; beside 0 it is 2^-100, as the smallest numbers may be
 * flushed. */
static void next_value(enum aster_dtype t, void *p, int64_t k)
{
    if ((t == ASTER_F32 || t == ASTER_F64 || t == ASTER_BF16) && kt_load(t, p, k) == 0) {
        kt_store(t, p, k, 0x1p-100);
        return;
    }
    switch (t) {
    case ASTER_F32:
        ((float *)p)[k] = nextafterf(((float *)p)[k], INFINITY);
        break;
    case ASTER_F64:
        ((double *)p)[k] = nextafter(((double *)p)[k], INFINITY);
        break;
    case ASTER_BF16:
        ((uint16_t *)p)[k] ^= 1;
        break;
    case ASTER_I32:
        ((int32_t *)p)[k] ^= 1;
        break;
    case ASTER_I64:
        ((int64_t *)p)[k] ^= 1;
        break;
    default:
        ((uint8_t *)p)[k] ^= 1;
        break;
    }
}

static void expect_miss(const struct kt_case *c, int out, const void *p)
{
    c->t->perturbed++;
    if (kt_error(c, out, p) <= c->t->tolerance->limit)
        c->t->missed++;
}

void kt_spoil(const struct kt_case *c, int out, const void *p)
{
    const struct kt_tensor *t = &c->out[out];
    const struct kt_tolerance *tol = c->t->tolerance;
    size_t bytes = (size_t)(t->n * aster_dtype_size(t->dtype));
    double top = 0;
    int64_t at = -1, n_counted = 0; /* at: some element that counts */
    for (int64_t k = 0; k < t->n; k++)
        if (counts(c, t, k) && isfinite(t->v[k])) {
            top = fmax(top, fabs(t->v[k]));
            if (++n_counted % 7 == 1)
                at = k;
        }
    if (at < 0 || (tol->limit > 0 && top == 0))
        return;
    void *copy = malloc(bytes);
    memcpy(copy, p, bytes);
    if (tol->limit == 0)
        next_value(t->dtype, copy, at);
    else if (tol->metric == KT_MAXREL)
        kt_store(t->dtype, copy, at, kt_load(t->dtype, p, at) + 10 * tol->limit * top);
    else
        for (int64_t k = 0; k < t->n; k++)
            if (counts(c, t, k))
                kt_store(t->dtype, copy, k, kt_load(t->dtype, p, k) * (1 + sqrt(10 * tol->limit)));
    expect_miss(c, out, copy);
    if (t->dtype == ASTER_F32 || t->dtype == ASTER_F64 || t->dtype == ASTER_BF16) {
        memcpy(copy, p, bytes);
        kt_store(t->dtype, copy, at, (double)NAN);
        expect_miss(c, out, copy);
    }
    free(copy);
}
