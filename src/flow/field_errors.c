/* SPDX-License-Identifier: BSD-3-Clause */
/* How far energies and forces are from their labels. */
#include "flow/field_trainer.h"

#include <math.h>

#define LEAST_FORCE 1e-8 /* as in the program of the loss */
#define LEAST_ANGLE 1e-6 /* forces below it have no direction to be compared */

static double penalty(const struct aster_forcefield_loss *l, double x)
{
    double a = fabs(x);
    if (l->kind == ASTER_FORCE_MSE)
        return x * x;
    if (l->kind == ASTER_FORCE_MAE)
        return a;
    return a <= l->huber_delta ? x * x / 2 : l->huber_delta * (a - l->huber_delta / 2);
}

static double length_of(const double *v)
{
    return sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2]);
}

static void add_angle(struct aster_field_sums *s, const double *f, const double *want)
{
    double a = length_of(f), b = length_of(want), dot = 0;
    for (int k = 0; k < 3; k++)
        dot += f[k] * want[k];
    s->angle_loss += 1 - dot / (fmax(a, LEAST_FORCE) * fmax(b, LEAST_FORCE));
    if (!(a > LEAST_ANGLE && b > LEAST_ANGLE))
        return;
    double degrees = acos(fmax(-1, fmin(1, dot / (a * b)))) * (180 / 3.14159265358979323846);
    s->n_angles++;
    s->angle_sum += degrees;
    s->angle_max = fmax(s->angle_max, degrees);
}

void aster_field_sums_add(struct aster_field_sums *s, const struct aster_forcefield_loss *l,
                          const struct aster_structure *x, double energy, const double *force)
{
    double de = energy - x->energy;
    s->n++;
    s->n_atoms += x->n;
    s->energy_squares += de * de;
    s->energy_abs += fabs(de);
    s->energy_loss += penalty(l, de);
    for (int64_t i = 0; i < x->n; i++) {
        for (int k = 0; k < 3; k++) {
            double d = force[3 * i + k] - x->force[3 * i + k];
            s->force_squares[k] += d * d;
            s->force_abs += fabs(d);
            s->force_loss += penalty(l, d);
        }
        add_angle(s, force + 3 * i, x->force + 3 * i);
    }
}

double aster_field_sums_result(const struct aster_field_sums *s,
                               const struct aster_forcefield_loss *l, struct aster_field_metrics *m)
{
    double n = (double)s->n, atoms = (double)s->n_atoms, all = 0;
    for (int k = 0; k < 3; k++) {
        all += s->force_squares[k];
        m->force_rmse_axis[k] = sqrt(s->force_squares[k] / atoms);
    }
    m->energy_rmse = sqrt(s->energy_squares / n);
    m->energy_mae = s->energy_abs / n;
    m->force_rmse = sqrt(all / (3 * atoms));
    m->force_mae = s->force_abs / (3 * atoms);
    m->angle_mean = s->n_angles ? s->angle_sum / (double)s->n_angles : 0;
    m->angle_max = s->angle_max;
    return l->energy * s->energy_loss / n + l->force * s->force_loss / (3 * atoms) +
           l->angle * s->angle_loss / atoms;
}
