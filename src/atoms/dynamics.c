/* SPDX-License-Identifier: BSD-3-Clause */
/* Steps of an integrator. */
#include "atoms/dynamics.h"

#include <math.h>

void aster_dynamics_kick(int64_t n, const double *mass, const double *force, double dt,
                         double *velocity)
{
    for (int64_t i = 0; i < n; i++)
        for (int a = 0; a < 3; a++)
            velocity[3 * i + a] += dt * force[3 * i + a] / mass[i];
}

void aster_dynamics_drift(int64_t n, const double *velocity, double dt, double *position)
{
    for (int64_t k = 0; k < 3 * n; k++)
        position[k] += dt * velocity[k];
}

double aster_dynamics_kinetic(int64_t n, const double *mass, const double *velocity)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        const double *v = velocity + 3 * i;
        sum += mass[i] * (v[0] * v[0] + v[1] * v[1] + v[2] * v[2]);
    }
    return sum / 2;
}

double aster_dynamics_temperature(int64_t n, double kinetic)
{
    return n ? 2 * kinetic / (3 * (double)n * ASTER_KB) : 0;
}

double aster_exchange_probability(double t1, double t2, double e1, double e2)
{
    double x = (1 / t1 - 1 / t2) * (e1 - e2) / ASTER_KB;
    return x >= 0 ? 1 : exp(x);
}
