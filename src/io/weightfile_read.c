/* SPDX-License-Identifier: BSD-3-Clause */
/* Elements of tensors of any type and layout, converted. */
#include "io/internal.h"
#include "io/weightfile_internal.h"

#include <math.h>
#include <string.h>

/* ---- one element ---- */

static double f8_e4m3(uint8_t b) /* no infinities; NaN is all ones */
{
    int exponent = b >> 3 & 15, fraction = b & 7;
    double v = exponent ? ldexp(8 + fraction, exponent - 10) : ldexp(fraction, -9);
    if ((b & 127) == 127)
        v = (double)NAN;
    return b & 128 ? -v : v;
}

static double real_at(enum aster_weight_type type, const uint8_t *p)
{
    float f;
    double d;
    switch (type) {
    case ASTER_WEIGHT_F16:
        return (double)aster_f16_to_f32((uint16_t)aster_get_le(p, 2));
    case ASTER_WEIGHT_BF16:
        return (double)aster_bf16_to_f32((uint16_t)aster_get_le(p, 2));
    case ASTER_WEIGHT_F32:
        memcpy(&f, p, sizeof f);
        return (double)f;
    case ASTER_WEIGHT_F8_E4M3:
        return f8_e4m3(*p);
    case ASTER_WEIGHT_F8_E5M2: /* the upper half of an f16 */
        return (double)aster_f16_to_f32((uint16_t)(*p << 8));
    default:
        memcpy(&d, p, sizeof d);
        return d;
    }
}

static bool is_real(enum aster_weight_type type)
{
    return type <= ASTER_WEIGHT_F8_E5M2;
}

/* False for an unsigned number above 2^63 - 1. */
static bool integer_at(enum aster_weight_type type, const uint8_t *p, int64_t *out)
{
    int size = (int)aster_weight_type_size(type), shift = 64 - 8 * size;
    uint64_t v = aster_get_le(p, size);
    bool is_signed = type <= ASTER_WEIGHT_I64;
    *out = is_signed ? (int64_t)(v << shift) >> shift : (int64_t)v;
    return is_signed || v <= (uint64_t)INT64_MAX;
}

static bool convert_one(enum aster_weight_type type, const uint8_t *from, enum aster_dtype t,
                        uint8_t *to)
{
    bool real_to = t == ASTER_F32 || t == ASTER_F64 || t == ASTER_BF16;
    int64_t i = 0;
    if (is_real(type)) {
        double v = real_at(type, from);
        if (real_to)
            return aster_put_real(t, v, to);
        return v >= -0x1p53 && v <= 0x1p53 && (double)(int64_t)v == v &&
               aster_put_integer(t, (int64_t)v, to);
    }
    bool fits = integer_at(type, from, &i);
    if (real_to)
        return aster_put_real(t, fits ? (double)i : (double)(uint64_t)i, to);
    return fits && aster_put_integer(t, i, to);
}

/* ---- runs of elements ---- */

static bool same_type(enum aster_weight_type type, enum aster_dtype t)
{
    return (type == ASTER_WEIGHT_F32 && t == ASTER_F32) ||
           (type == ASTER_WEIGHT_F64 && t == ASTER_F64) ||
           (type == ASTER_WEIGHT_BF16 && t == ASTER_BF16) ||
           (type == ASTER_WEIGHT_I32 && t == ASTER_I32) ||
           (type == ASTER_WEIGHT_I64 && t == ASTER_I64) ||
           ((type == ASTER_WEIGHT_U8 || type == ASTER_WEIGHT_BOOL) && t == ASTER_U8);
}

/* n elements that lie stride apart; the index of the first that does not fit, else n. The
 * conversions that large files need have loops of their own. */
static int64_t convert(enum aster_weight_type type, const uint8_t *from, int64_t stride, int64_t n,
                       enum aster_dtype t, uint8_t *to)
{
    int64_t size = aster_weight_type_size(type), width = aster_dtype_size(t), step = stride * size;
    uint16_t h;
    float f;
    if (same_type(type, t) && stride == 1) {
        memcpy(to, from, (size_t)(n * size));
        return n;
    }
    if (t == ASTER_F32 && type == ASTER_WEIGHT_F16) {
        for (int64_t k = 0; k < n; k++, from += step) {
            memcpy(&h, from, sizeof h);
            f = aster_f16_to_f32(h);
            memcpy(to + 4 * k, &f, sizeof f);
        }
        return n;
    }
    if (t == ASTER_F32 && type == ASTER_WEIGHT_BF16) {
        for (int64_t k = 0; k < n; k++, from += step) {
            memcpy(&h, from, sizeof h);
            f = aster_bf16_to_f32(h);
            memcpy(to + 4 * k, &f, sizeof f);
        }
        return n;
    }
    for (int64_t k = 0; k < n; k++, from += step, to += width)
        if (!convert_one(type, from, t, to))
            return k;
    return n;
}

/* ---- tensors ---- */

static const struct weight_place *place_of(const struct aster_weightfile *f,
                                           const struct aster_weight *w)
{
    return &f->place[w - f->weight];
}

static int check_member(const struct weight_place *p)
{
    return p->torch ? torch_member_check(p->torch, p->member) : 0;
}

/* Elements from first on of a tensor of any strides, row by row of its last axis. */
static int64_t convert_rows(const struct aster_weight *w, const struct weight_place *p,
                            int64_t first, int64_t count, enum aster_dtype t, uint8_t *out)
{
    int last = w->rank - 1;
    int64_t size = aster_weight_type_size(w->type), done = 0;
    while (done < count) {
        int64_t rest = first + done, at = 0;
        for (int k = last; k >= 0; k--) {
            at += rest % w->dim[k] * p->stride[k];
            rest /= w->dim[k];
        }
        int64_t inner = w->dim[last], n = inner - (first + done) % inner;
        n = aster_min64(n, count - done);
        int64_t good = convert(w->type, p->first + at * size, p->stride[last], n, t,
                               out + done * aster_dtype_size(t));
        done += good;
        if (good < n)
            return done;
    }
    return done;
}

int aster_weightfile_read(const struct aster_weightfile *f, const struct aster_weight *w,
                          int64_t first, int64_t count, enum aster_dtype t, void *out)
{
    const struct weight_place *p = place_of(f, w);
    if (first < 0 || count < 0 || first > w->n - count)
        return aster_fail(
            f->ctx, ASTER_EBUG, "%s: tensor '%.*s': %lld elements from %lld on; it has %lld",
            f->path, ASTER_CUT(200, w->name), (long long)count, (long long)first, (long long)w->n);
    if (count == 0)
        return 0;
    ASTER_TRY(check_member(p));
    int64_t size = aster_weight_type_size(w->type);
    int64_t good = p->dense ? convert(w->type, p->first + first * size, 1, count, t, out)
                            : convert_rows(w, p, first, count, t, out);
    if (good == count)
        return 0;
    return aster_fail(f->ctx, ASTER_EFORMAT,
                      "%s: tensor '%.*s': element %lld is a number of %s that %s cannot hold",
                      f->path, ASTER_CUT(200, w->name), (long long)(first + good),
                      aster_weight_type_name(w->type), aster_dtype_name(t));
}

int aster_weightfile_bytes(const struct aster_weightfile *f, const struct aster_weight *w,
                           const void **out)
{
    const struct weight_place *p = place_of(f, w);
    *out = p->dense ? p->first : NULL;
    return p->dense && w->n ? check_member(p) : 0;
}

/* ---- what a reader expects ---- */

static void shape_text(int rank, const int64_t *dim, struct aster_str *out)
{
    aster_str_add(out, "[");
    for (int k = 0; k < rank; k++)
        aster_str_printf(out, k ? ", %lld" : "%lld", (long long)dim[k]);
    aster_str_add(out, "]");
}

int aster_weightfile_expect(const struct aster_weightfile *f, const struct aster_weight *w,
                            int rank, const int64_t *dim)
{
    struct aster_str found = {0}, expected = {0};
    bool same = w->rank == rank && w->type <= ASTER_WEIGHT_F64;
    for (int k = 0; same && k < rank; k++)
        same = w->dim[k] == dim[k];
    if (same)
        return 0;
    shape_text(w->rank, w->dim, &found);
    shape_text(rank, dim, &expected);
    int rc = aster_fail(
        f->ctx, ASTER_EFORMAT, "%s: tensor '%.*s' is %s %s, expected real numbers %s",
        aster_weightfile_path(f), ASTER_CUT(200, w->name), aster_weight_type_name(w->type),
        aster_str_get(&found), aster_str_get(&expected));
    aster_str_free(&found);
    aster_str_free(&expected);
    return rc;
}
