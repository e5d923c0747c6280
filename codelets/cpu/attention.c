/* SPDX-License-Identifier: BSD-3-Clause */
/* Attention and its backward pass, a block of query rows at a time: the matrix of scores is never stored. */
#include "cpu/attention.h"
#include "cpu/tile.h"

struct attention {
    int64_t n, t, s, e, sp, ep, rows; /* sp, ep: s and e rounded up; rows: query rows of a block */
    bool causal;
    double scale;
    const int32_t *keys;
    struct tile_cut cut_s, cut_e; /* groups of keys and of features */
};

static struct attention attention_of(const struct aster_args *a, int mask)
{
    const struct aster_tensor *q = &a->in[0], *k = &a->in[1];
    int64_t size = aster_dtype_size(q->dtype), lanes = ASTER_VB / size;
    struct attention z = {.n = q->dim[0], .t = q->dim[1], .s = k->dim[1], .e = q->dim[2], .causal = a->i[0] != 0, .scale = a->f[0],
                          .keys = a->n_in > mask ? a->in[mask].p : NULL};
    z.sp = attention_padded(z.s, size);
    z.ep = attention_padded(z.e, size);
    z.rows = attention_rows(z.sp, size);
    z.cut_s = tile_cut_new((z.s + lanes - 1) / lanes);
    z.cut_e = tile_cut_new((z.e + lanes - 1) / lanes);
    return z;
}

/* Keys that a query row sees: 0 .. result - 1. Later rows never see fewer. */
static int64_t seen(const struct attention *z, int64_t group, int64_t row)
{
    int64_t n = z->keys ? aster_max64(0, aster_min64(z->keys[group], z->s)) : z->s;
    return z->causal ? aster_min64(n, row + 1) : n;
}

#define REAL float
#define VREAL aster_vf32
#define VSUF f32
#include "cpu/attention_real.h"
#undef REAL
#undef VREAL
#undef VSUF
#define REAL double
#define VREAL aster_vf64
#define VSUF f64
#include "cpu/attention_real.h"

void ASTER_K(attention)(const struct aster_args *a)
{
    if (a->in[0].dtype == ASTER_F64)
        attention_f64(a);
    else
        attention_f32(a);
}

void ASTER_K(attention_dx)(const struct aster_args *a)
{
    if (a->in[0].dtype == ASTER_F64)
        attention_dx_f64(a);
    else
        attention_dx_f32(a);
}
