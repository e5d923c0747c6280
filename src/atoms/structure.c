/* SPDX-License-Identifier: BSD-3-Clause */
/* One molecule or crystal: memory, and what must be true of it. */
#include "atoms/atoms.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#define FLAT 1e-6 /* Angstrom^3, Angstrom^2 or Angstrom */

int aster_structure_new(struct aster_ctx *ctx, int64_t n, bool with_forces,
                        struct aster_structure *out)
{
    struct aster_structure s = {.n = n, .has_forces = with_forces};
    int64_t n3;
    int rc;
    *out = (struct aster_structure){0};
    ASTER_TRY(aster_mul(ctx, n, 3, &n3));
    ASTER_GOTO(aster_alloc(ctx, n, sizeof *s.number, &s.number), fail);
    ASTER_GOTO(aster_alloc(ctx, n3, sizeof *s.position, &s.position), fail);
    if (with_forces)
        ASTER_GOTO(aster_alloc(ctx, n3, sizeof *s.force, &s.force), fail);
    *out = s;
    return 0;
fail:
    aster_structure_free(&s);
    return rc;
}

void aster_structure_free(struct aster_structure *s)
{
    aster_free(&s->name);
    aster_free(&s->number);
    aster_free(&s->position);
    aster_free(&s->force);
    aster_free(&s->velocity);
    *s = (struct aster_structure){0};
}

double aster_cell_volume(const double c[9])
{
    return fabs(c[0] * (c[4] * c[8] - c[5] * c[7]) - c[1] * (c[3] * c[8] - c[5] * c[6]) +
                c[2] * (c[3] * c[7] - c[4] * c[6]));
}

static int check_number(struct aster_ctx *ctx, const struct aster_structure *s, int max_number,
                        const char *where)
{
    int most = max_number < ASTER_MAX_ELEMENT ? max_number : ASTER_MAX_ELEMENT;
    for (int64_t i = 0; i < s->n; i++)
        if (s->number[i] < 1 || s->number[i] > most)
            return aster_fail(ctx, ASTER_EFORMAT,
                              "%s: atom %" PRId64 " has the atomic number %" PRId32
                              "; 1 to %d is expected",
                              where, i + 1, s->number[i], most);
    return 0;
}

static int check_finite(struct aster_ctx *ctx, const struct aster_structure *s, const char *where)
{
    for (int64_t k = 0; k < 3 * s->n; k++)
        if (!isfinite(s->position[k]))
            return aster_fail(ctx, ASTER_ENUMERIC,
                              "%s: %c of atom %" PRId64 " is %g; a finite position is expected",
                              where, "xyz"[k % 3], k / 3 + 1, s->position[k]);
    if (!s->pbc[0] && !s->pbc[1] && !s->pbc[2])
        return 0;
    if (!s->has_cell)
        return aster_fail(ctx, ASTER_EFORMAT,
                          "%s: is periodic and has no cell; three vectors are expected", where);
    for (int k = 0; k < 9; k++)
        if (!isfinite(s->cell[k]))
            return aster_fail(ctx, ASTER_ENUMERIC,
                              "%s: %c of cell vector %d is %g; a finite number is expected", where,
                              "xyz"[k % 3], k / 3 + 1, s->cell[k]);
    return 0;
}

/* The volume of three periodic axes, the area of two, the length of one; 1 for none. Axes that are
 * not periodic may be anything, zeros too. */
static double periodic_measure(const struct aster_structure *s)
{
    const double *axis[3];
    int n = 0;
    for (int k = 0; k < 3; k++)
        if (s->pbc[k])
            axis[n++] = s->cell + 3 * k;
    if (n == 0)
        return 1;
    if (n == 1)
        return sqrt(axis[0][0] * axis[0][0] + axis[0][1] * axis[0][1] + axis[0][2] * axis[0][2]);
    if (n == 3)
        return aster_cell_volume(s->cell);
    double area2 = 0;
    for (int k = 0; k < 3; k++) {
        int i = (k + 1) % 3, j = (k + 2) % 3;
        double d = axis[0][i] * axis[1][j] - axis[0][j] * axis[1][i];
        area2 += d * d;
    }
    return sqrt(area2);
}

int aster_structure_check(struct aster_ctx *ctx, const struct aster_structure *s, int max_number,
                          const char *where, bool *is_flat)
{
    if (is_flat)
        *is_flat = false;
    if (s->n < 1)
        return aster_fail(ctx, ASTER_EFORMAT, "%s: has no atoms; one at least is expected", where);
    ASTER_TRY(check_number(ctx, s, max_number, where));
    ASTER_TRY(check_finite(ctx, s, where));
    if (is_flat)
        *is_flat = !(periodic_measure(s) >= FLAT);
    return 0;
}
