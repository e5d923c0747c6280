/* SPDX-License-Identifier: BSD-3-Clause */
/* Attention and its backward pass, a block of query rows at a time: the matrix of scores is never
 * stored. Groups are what rows attend within: a head of a sample, or a head of one of several
 * sequences back to back. */
#define TILE_AHEAD 0 /* packed just before */
#include "cpu/attention.h"
#include "cpu/tile.h"

struct attention {
    int64_t t, s, e, sp, ep, rows; /* sp, ep: s and e rounded up; rows: query rows of a block */
    int64_t n_keys;                /* that any row may see */
    bool causal;
    double scale;
    struct tile_cut cut_s, cut_e; /* groups of keys and of features */
};

static struct attention attention_new(const struct aster_args *a, int64_t t, int64_t s, int64_t e)
{
    int64_t size = aster_dtype_size(a->in[0].dtype), lanes = ASTER_VB / size;
    struct attention z = {.t = t, .s = s, .e = e, .n_keys = s, .scale = a->f[0]};
    z.sp = attention_padded(s, size);
    z.ep = attention_padded(e, size);
    z.rows = attention_rows(z.sp, size);
    z.cut_s = tile_cut_new((s + lanes - 1) / lanes);
    z.cut_e = tile_cut_new((e + lanes - 1) / lanes);
    return z;
}

/* Keys that a query row sees: 0 .. result - 1. Later rows never see fewer. */
static int64_t seen(const struct attention *z, int64_t row)
{
    return z->causal ? aster_min64(z->n_keys, row + 1) : z->n_keys;
}

#define REAL  float
#define VREAL aster_vf32
#define VSUF  f32
#include "cpu/attention_real.h"
#undef REAL
#undef VREAL
#undef VSUF
#define REAL  double
#define VREAL aster_vf64
#define VSUF  f64
#include "cpu/attention_real.h"

#define ATTENTION_ENTRY(name)                                                                      \
    void ASTER_K(name)(const struct aster_args *a)                                                 \
    {                                                                                              \
        if (a->in[0].dtype == ASTER_F64)                                                           \
            name##_f64(a);                                                                         \
        else                                                                                       \
            name##_f32(a);                                                                         \
    }
ATTENTION_ENTRY(attention)
ATTENTION_ENTRY(attention_dx)
ATTENTION_ENTRY(ragged_attention)
ATTENTION_ENTRY(ragged_attention_dx)
ATTENTION_ENTRY(rotary)
