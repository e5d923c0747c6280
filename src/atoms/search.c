/* SPDX-License-Identifier: BSD-3-Clause */
/* Before neighbours are looked for: precision, frame, images, and whether a list can be made at
 * all. */
#include "atoms/search.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#define FARTHEST_SINGLE 1e18  /* positions whose squares are numbers in f32 */
#define FARTHEST        1e100 /* and in f64 */
#define LONGEST_CUTOFF  1e9
#define PARALLEL        1e-10 /* of a vector's length is left: no volume */
#define MOST_SHIFT      1e9
#define MOST_LOOKED     2e7 /* images to look at, where hardly any of them is near */
#define HARDLY          20  /* one of so many */

const char *aster_search_called(const struct aster_search *q, char text[ASTER_CALLED])
{
    if (q->s->name && *q->s->name)
        snprintf(text, ASTER_CALLED, "structure '%.*s'", ASTER_CUT(80, q->s->name));
    else
        snprintf(text, ASTER_CALLED, "a structure of %" PRId64 " atoms", q->s->n);
    return text;
}

static double working(const struct aster_search *q, double x)
{
    return q->single ? (double)(float)x : x;
}

/* The largest square whose root is no more than the cutoff. */
static double square_within(const struct aster_search *q)
{
    if (!q->single) {
        double t = q->cutoff * q->cutoff;
        while (sqrt(t) > q->cutoff)
            t = nextafter(t, 0);
        while (sqrt(nextafter(t, DBL_MAX)) <= q->cutoff)
            t = nextafter(t, DBL_MAX);
        return t;
    }
    float c = (float)q->cutoff, t = c * c;
    while (sqrtf(t) > c)
        t = nextafterf(t, 0);
    while (sqrtf(nextafterf(t, FLT_MAX)) <= c)
        t = nextafterf(t, FLT_MAX);
    return (double)t;
}

static int farthest(const struct aster_search *q, double *out)
{
    const double *x = q->s->position;
    double most = 0, limit = q->single ? FARTHEST_SINGLE : FARTHEST;
    for (int64_t k = 0; k < 3 * q->s->n; k++) {
        if (!(fabs(x[k]) <= limit))
            return aster_fail(q->ctx, ASTER_ENUMERIC,
                              "%s: %c of atom %" PRId64 " is %g; at most %g from the origin is "
                              "expected in %s precision",
                              aster_search_called(q, (char[ASTER_CALLED]){0}), "xyz"[k % 3],
                              k / 3 + 1, x[k], limit, q->single ? "single" : "double");
        most = fmax(most, fabs(x[k]));
    }
    *out = most;
    return 0;
}

static double dot(const double *a, const double *b)
{
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

/* What is left of v without its parts along the given unit vectors; twice, against rounding. */
static double without(double v[3], int n, double unit[][3])
{
    for (int again = 0; again < 2; again++)
        for (int k = 0; k < n; k++) {
            double part = dot(v, unit[k]);
            for (int x = 0; x < 3; x++)
                v[x] -= part * unit[k][x];
        }
    return sqrt(dot(v, v));
}

static int no_volume(const struct aster_search *q)
{
    char axes[4] = "";
    for (int k = 0; k < q->n_axes; k++)
        axes[k] = "xyz"[q->axis[k]];
    return aster_fail(q->ctx, ASTER_EFORMAT,
                      "%s: is periodic along %s and the cell has no volume there (rows %g %g %g, "
                      "%g %g %g, %g %g %g): every atom would have infinitely many neighbours",
                      aster_search_called(q, (char[ASTER_CALLED]){0}), axes, q->cell[0], q->cell[1],
                      q->cell[2], q->cell[3], q->cell[4], q->cell[5], q->cell[6], q->cell[7],
                      q->cell[8]);
}

/* Vectors of the periodic axes from the last to the first, then those that complete them. */
static int set_frame(struct aster_search *q)
{
    double made[3][3];
    int n = 0;
    for (int k = q->n_axes - 1; k >= 0; k--, n++) {
        const double *vector = q->cell + 3 * q->axis[k];
        double size = sqrt(dot(vector, vector));
        memcpy(made[n], vector, sizeof made[n]);
        double left = without(made[n], n, made);
        if (!(left > PARALLEL * size))
            return no_volume(q);
        for (int x = 0; x < 3; x++)
            q->frame[k][x] = made[n][x] /= left;
    }
    while (n < 3) { /* of the three axes the one that is most across */
        double best = -1, v[3];
        for (int x = 0; x < 3; x++) {
            double unit[3] = {x == 0, x == 1, x == 2}, left = without(unit, n, made);
            if (left > best + 1e-6) {
                best = left;
                memcpy(v, unit, sizeof v);
            }
        }
        for (int x = 0; x < 3; x++)
            q->frame[n][x] = made[n][x] = v[x] / best;
        n++;
    }
    for (int k = 0; k < q->n_axes; k++)
        for (int x = k; x < 3; x++)
            q->lattice[k][x] = x < q->n_axes ? dot(q->cell + 3 * q->axis[k], q->frame[x]) : 0;
    return 0;
}

static int set_cell(struct aster_search *q)
{
    const struct aster_structure *s = q->s;
    for (int k = 0; k < 3; k++) {
        if (!s->pbc[k])
            continue;
        if (!s->has_cell)
            return aster_fail(q->ctx, ASTER_EFORMAT,
                              "%s: is periodic and has no cell; three vectors are expected",
                              aster_search_called(q, (char[ASTER_CALLED]){0}));
        for (int x = 0; x < 3; x++) {
            q->cell[3 * k + x] = working(q, s->cell[3 * k + x]);
            if (!(fabs(s->cell[3 * k + x]) <= FARTHEST_SINGLE))
                return aster_fail(q->ctx, ASTER_ENUMERIC,
                                  "%s: %c of cell vector %d is %g; at most %g is expected",
                                  aster_search_called(q, (char[ASTER_CALLED]){0}), "xyz"[x], k + 1,
                                  s->cell[3 * k + x], FARTHEST_SINGLE);
        }
        q->axis[q->n_axes++] = k;
    }
    return set_frame(q);
}

int aster_search_too_many(const struct aster_search *q)
{
    return aster_fail(q->ctx, ASTER_ELIMIT,
                      "%s: its %" PRId64 " atoms have more than %" PRId64
                      " neighbours within %g Angstrom; there is no memory for more",
                      aster_search_called(q, (char[ASTER_CALLED]){0}), q->s->n, q->most, q->cutoff);
}

/* How many edges there are at least, and how many images would be looked at for them. */
static int check_images(const struct aster_search *q)
{
    static const double ball[] = {1, 2, 3.15, 4.19}; /* of radius 1 in 0 to 3 dimensions */
    double n = (double)q->s->n, images = ball[q->n_axes], looked = 1;
    for (int k = 0; k < q->n_axes; k++) {
        images *= q->cutoff / q->lattice[k][k];
        looked *= 2 * q->reach / q->lattice[k][k] + 1;
    }
    double edges = q->n_axes ? images * n * (q->n_axes == 3 ? n : 1) : 0;
    if (edges > INT32_MAX)
        return aster_fail(q->ctx, ASTER_EFORMAT,
                          "%s: its cell is so small that each of its %" PRId64
                          " atoms has %.3g images within %g Angstrom of any other",
                          aster_search_called(q, (char[ASTER_CALLED]){0}), q->s->n, images,
                          q->cutoff);
    if (edges > (double)q->most)
        return aster_search_too_many(q);
    if (looked * n * (n <= ASTER_MOST_PERIODIC ? n : 1) > MOST_LOOKED &&
        looked > HARDLY * (images + 1))
        return aster_fail(q->ctx, ASTER_EFORMAT,
                          "%s: its cell is so flat that %.3g images of each atom would have to be "
                          "looked at for %.3g neighbours; shorter vectors of the same crystal are "
                          "expected",
                          aster_search_called(q, (char[ASTER_CALLED]){0}), looked, images);
    return 0;
}

/* How far images can be in cells, which says what rounding can do to a position. */
static int set_reach(struct aster_search *q, double far)
{
    double want = q->cutoff + (q->want_gap ? ASTER_GAP_SEEN : 0), size = 3 * far + want;
    double span = 4 * far + want, shift[3] = {0};
    for (int k = 0; k < q->n_axes; k++) {
        double across = span, *vector = q->cell + 3 * q->axis[k];
        for (int m = 0; m < k; m++)
            across += shift[m] * fabs(q->lattice[m][k]);
        shift[k] = across / q->lattice[k][k] + 1;
        if (!(shift[k] <= MOST_SHIFT))
            return aster_fail(
                q->ctx, ASTER_ELIMIT, "%s: atoms lie more than %g cells apart along %c",
                aster_search_called(q, (char[ASTER_CALLED]){0}), MOST_SHIFT, "xyz"[q->axis[k]]);
        size += shift[k] * sqrt(dot(vector, vector));
    }
    double rounding = 16 * (q->single ? (double)FLT_EPSILON : DBL_EPSILON) * size;
    if (q->n_axes && rounding > want)
        return aster_fail(q->ctx, ASTER_ENUMERIC,
                          "%s: atoms lie so far away, up to %g from the origin, that %s precision "
                          "cannot tell which images are within %g Angstrom; positions within the "
                          "cell are expected",
                          aster_search_called(q, (char[ASTER_CALLED]){0}), far,
                          q->single ? "single" : "double", q->cutoff);
    q->reach = want + rounding;
    q->sure =
        q->want_gap || rounding >= q->cutoff ? -1 : (q->cutoff - rounding) * (q->cutoff - rounding);
    return check_images(q);
}

int aster_search_begin(struct aster_search *q, struct aster_ctx *ctx, int64_t first,
                       const struct aster_structure *s, double cutoff, bool single, bool want_gap)
{
    double far = 0;
    *q = (struct aster_search){.ctx = ctx, .s = s, .first = first, .single = single};
    q->want_gap = want_gap;
    q->most_near = -1;
    q->most = INT32_MAX;
    q->least_far = INFINITY;
    if (!(cutoff > 0 && cutoff <= LONGEST_CUTOFF))
        return aster_fail(ctx, ASTER_EPARAM, "a cutoff of %g; a length up to %g is expected",
                          cutoff, LONGEST_CUTOFF);
    if (s->n < 0 || first < 0 || s->n > INT32_MAX - first)
        return aster_fail(ctx, ASTER_ELIMIT,
                          "%s: %" PRId64 " atoms behind %" PRId64 " others; at most %" PRId32
                          " together are expected",
                          aster_search_called(q, (char[ASTER_CALLED]){0}), s->n, first, INT32_MAX);
    q->cutoff = working(q, cutoff);
    if (q->cutoff <= 0)
        return aster_fail(ctx, ASTER_EPARAM, "a cutoff of %g is 0 in single precision", cutoff);
    q->most_d2 = square_within(q);
    ASTER_TRY(farthest(q, &far));
    ASTER_TRY(set_cell(q));
    return set_reach(q, far);
}

int aster_search_limit(struct aster_search *q, int64_t begin, int64_t most)
{
    q->begin = begin;
    if (most)
        q->most = aster_min64(most, INT32_MAX);
    return check_images(q);
}

void aster_search_locate(const struct aster_search *q, int64_t i, double u[3])
{
    double x[3];
    for (int k = 0; k < 3; k++)
        x[k] = working(q, q->s->position[3 * i + k]);
    for (int k = 0; k < 3; k++)
        u[k] = dot(x, q->frame[k]);
}

int aster_search_no_memory(const struct aster_search *q)
{
    return aster_fail(q->ctx, ASTER_ENOMEM, "%s: out of memory for its neighbours",
                      aster_search_called(q, (char[ASTER_CALLED]){0}));
}

int aster_search_reserve(const struct aster_search *q, struct aster_edges *e, int64_t n)
{
    int64_t want = e->n + n;
    if (want - q->begin > q->most)
        return aster_search_too_many(q);
    if (want <= e->capacity)
        return 0;
    if (want > INT32_MAX)
        return aster_fail(q->ctx, ASTER_ELIMIT,
                          "%s: has so many neighbours that the list passes %" PRId32 " edges",
                          aster_search_called(q, (char[ASTER_CALLED]){0}), INT32_MAX);
    return aster_edges_room(e, want) < 0 ? aster_search_no_memory(q) : 0;
}
