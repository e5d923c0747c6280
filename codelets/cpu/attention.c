/* SPDX-License-Identifier: BSD-3-Clause */
/* Attention and its backward pass, a few query rows at a time: the matrix of scores is never stored. */
#include "cpu/kernel.h"
#include "cpu/vmath.h"

enum { ATTENTION_ROWS = 4, ATTENTION_PAD = 32 }; /* query rows together; widths in the workspace are multiples of the pad */

struct attention {
    int64_t n, t, s, e, sp, ep; /* sp, ep: s and e rounded up */
    bool causal;
    double scale;
    const int32_t *keys;
};

static struct attention attention_of(const struct aster_args *a, int mask)
{
    const struct aster_tensor *q = &a->in[0], *k = &a->in[1];
    return (struct attention){.n = q->dim[0], .t = q->dim[1], .s = k->dim[1], .e = q->dim[2],
                              .sp = aster_round_up(k->dim[1], ATTENTION_PAD), .ep = aster_round_up(q->dim[2], ATTENTION_PAD),
                              .causal = a->i[0] != 0, .scale = a->f[0],
                              .keys = a->n_in > mask ? a->in[mask].p : NULL};
}

/* Keys that query row sees: 0 .. result - 1. */
static int64_t seen(const struct attention *z, int64_t group, int64_t row)
{
    int64_t n = z->keys ? aster_max64(0, aster_min64(z->keys[group], z->s)) : z->s;
    return z->causal ? aster_min64(n, row + 1) : n;
}

#define REAL float
#define VSUF f32
#define RN(name) name##_f32
#include "cpu/attention_real.h"
#undef REAL
#undef VSUF
#undef RN
#define REAL double
#define VSUF f64
#define RN(name) name##_f64
#include "cpu/attention_real.h"
#undef REAL
#undef VSUF
#undef RN

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
