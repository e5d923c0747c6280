/* SPDX-License-Identifier: BSD-3-Clause */
/* Steps of an integrator. */
#include "atoms/dynamics.h"

#include <math.h>
#include <string.h>

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

/* ---- random numbers ---- */

enum { PURPOSE_DRAW, PURPOSE_LANGEVIN, PURPOSE_SWELL };

/* Four numbers of a normal distribution for (key, purpose, index) */
static void normals(const struct aster_dynamics_key *key, uint32_t purpose, int64_t index,
                    double out[4])
{
    const double turn = 6.28318530717958647692;
    uint64_t copy = (uint64_t)key->copy * 4 + purpose;
    uint32_t counter[4] = {(uint32_t)index, (uint32_t)key->step,
                           (uint32_t)((uint64_t)key->step >> 32), (uint32_t)copy},
             k[2] = {(uint32_t)key->seed, (uint32_t)(key->seed >> 32) ^ (uint32_t)(copy >> 32)},
             r[4];
    aster_philox(counter, k, r);
    for (int i = 0; i < 4; i += 2) {
        double size = sqrt(-2 * log(((double)r[i] + 0.5) * 0x1p-32)),
               angle = turn * ((double)r[i + 1] * 0x1p-32);
        out[i] = size * cos(angle);
        out[i + 1] = size * sin(angle);
    }
}

void aster_dynamics_draw(int64_t n, const double *mass, double temperature,
                         const struct aster_dynamics_key *key, double *velocity)
{
    for (int64_t i = 0; i < n; i++) {
        double x[4], width = sqrt(ASTER_KB * temperature / mass[i]);
        normals(key, PURPOSE_DRAW, i, x);
        for (int a = 0; a < 3; a++)
            velocity[3 * i + a] = width * x[a];
    }
}

void aster_dynamics_langevin(int64_t n, const double *mass, double temperature, double friction,
                             double dt, const struct aster_dynamics_key *key, double *velocity)
{
    double c = exp(-friction * dt), rest = -expm1(-2 * friction * dt);
    for (int64_t i = 0; i < n; i++) {
        double x[4], width = sqrt(rest * ASTER_KB * temperature / mass[i]);
        normals(key, PURPOSE_LANGEVIN, i, x);
        for (int a = 0; a < 3; a++)
            velocity[3 * i + a] = c * velocity[3 * i + a] + width * x[a];
    }
}

/* ---- rest ---- */

/* Eigenvectors (rows) and values of a symmetric matrix, by rotations */
static void eigen3(double m[3][3], double vector[3][3], double value[3])
{
    memset(vector, 0, 9 * sizeof(double));
    for (int a = 0; a < 3; a++)
        vector[a][a] = 1;
    for (int sweep = 0; sweep < 32; sweep++)
        for (int p = 0; p < 2; p++)
            for (int q = p + 1; q < 3; q++) {
                if (m[p][q] == 0)
                    continue;
                double theta = (m[q][q] - m[p][p]) / (2 * m[p][q]);
                double t = (theta < 0 ? -1 : 1) / (fabs(theta) + sqrt(theta * theta + 1));
                double c = 1 / sqrt(t * t + 1), s = t * c;
                for (int k = 0; k < 3; k++) {
                    double x = m[k][p], y = m[k][q];
                    m[k][p] = c * x - s * y;
                    m[k][q] = s * x + c * y;
                }
                for (int k = 0; k < 3; k++) {
                    double x = m[p][k], y = m[q][k], u = vector[p][k], v = vector[q][k];
                    m[p][k] = c * x - s * y;
                    m[q][k] = s * x + c * y;
                    vector[p][k] = c * u - s * v;
                    vector[q][k] = s * u + c * v;
                }
            }
    for (int a = 0; a < 3; a++)
        value[a] = m[a][a];
}

static void cross(const double a[3], const double b[3], double out[3])
{
    for (int k = 0; k < 3; k++)
        out[k] = a[(k + 1) % 3] * b[(k + 2) % 3] - a[(k + 2) % 3] * b[(k + 1) % 3];
}

/* The turning w with I w = L, nothing about axes without inertia */
static void turning(double inertia[3][3], const double momentum[3], double w[3])
{
    double vector[3][3], value[3], most = 0;
    eigen3(inertia, vector, value);
    for (int k = 0; k < 3; k++) {
        w[k] = 0;
        most = fmax(most, value[k]);
    }
    for (int k = 0; k < 3; k++) {
        double along = 0;
        if (!(value[k] > 1e-9 * most))
            continue;
        for (int a = 0; a < 3; a++)
            along += vector[k][a] * momentum[a];
        for (int a = 0; a < 3; a++)
            w[a] += vector[k][a] * along / value[k];
    }
}

void aster_dynamics_rest(int64_t n, const double *mass, const double *position, bool rotation,
                         double *velocity)
{
    double total = 0, center[3] = {0}, drift[3] = {0}, momentum[3] = {0}, inertia[3][3] = {{0}};
    for (int64_t i = 0; i < n; i++) {
        total += mass[i];
        for (int a = 0; a < 3; a++) {
            center[a] += mass[i] * position[3 * i + a];
            drift[a] += mass[i] * velocity[3 * i + a];
        }
    }
    for (int64_t k = 0; n && k < 3 * n; k++)
        velocity[k] -= drift[k % 3] / total;
    if (!rotation || n < 2)
        return;
    for (int64_t i = 0; i < n; i++) {
        double r[3], l[3], size = 0;
        for (int a = 0; a < 3; a++)
            r[a] = position[3 * i + a] - center[a] / total;
        cross(r, velocity + 3 * i, l);
        for (int a = 0; a < 3; a++) {
            momentum[a] += mass[i] * l[a];
            size += r[a] * r[a];
        }
        for (int a = 0; a < 3; a++)
            for (int b = 0; b < 3; b++)
                inertia[a][b] += mass[i] * ((a == b ? size : 0) - r[a] * r[b]);
    }
    double w[3];
    turning(inertia, momentum, w);
    for (int64_t i = 0; i < n; i++) {
        double r[3], v[3];
        for (int a = 0; a < 3; a++)
            r[a] = position[3 * i + a] - center[a] / total;
        cross(w, r, v);
        for (int a = 0; a < 3; a++)
            velocity[3 * i + a] -= v[a];
    }
}

/* ---- pressure ---- */

double aster_dynamics_swell(const struct aster_barostat *b, double volume, double temperature,
                            double kinetic, double virial, double dt,
                            const struct aster_dynamics_key *key)
{
    double x[4], now = (2 * kinetic - virial) / (3 * volume),
                 softness = b->compressibility / b->tau;
    normals(key, PURPOSE_SWELL, 0, x);
    return -softness * (b->pressure - now) * dt +
           sqrt(2 * ASTER_KB * temperature * softness / volume * dt) * x[0];
}

void aster_dynamics_scale(int64_t n, double swell, double cell[9], double *position,
                          double *velocity)
{
    double factor = exp(swell / 3);
    for (int k = 0; k < 9; k++)
        cell[k] *= factor;
    for (int64_t k = 0; k < 3 * n; k++) {
        position[k] *= factor;
        velocity[k] /= factor;
    }
}

/* ---- drift ---- */

/* A line through all points, and the error of its slope */
static void fit(int64_t n, const double *t, const double *e, struct aster_drift *d)
{
    double mt = 0, me = 0, tt = 0, te = 0, rest = 0;
    for (int64_t k = 0; k < n; k++) {
        mt += t[k] / (double)n;
        me += (e[k] - e[0]) / (double)n;
    }
    for (int64_t k = 0; k < n; k++) {
        tt += (t[k] - mt) * (t[k] - mt);
        te += (t[k] - mt) * (e[k] - e[0] - me);
    }
    d->rate = tt > 0 ? te / tt : 0;
    for (int64_t k = 0; k < n; k++) {
        double x = e[k] - e[0] - me - d->rate * (t[k] - mt);
        rest += x * x;
    }
    d->rate_error = tt > 0 ? sqrt(rest / (double)n) / sqrt(tt) : 0;
}

void aster_drift_of(int64_t n, const double *time, const double *energy, int64_t n_atoms,
                    struct aster_drift *out)
{
    double low = energy[0], high = energy[0], mean = 0, squares = 0, first = fabs(energy[0]);
    *out = (struct aster_drift){.absolute = energy[n - 1] - energy[0]};
    double away = 0;
    for (int64_t k = 0; k < n; k++) {
        low = fmin(low, energy[k]);
        high = fmax(high, energy[k]);
        mean += (energy[k] - energy[0]) / (double)n;
        away = fmax(away, fabs(energy[k] - energy[0]));
        if (k)
            out->largest_step = fmax(out->largest_step, fabs(energy[k] - energy[k - 1]));
    }
    for (int64_t k = 0; k < n; k++)
        squares += (energy[k] - energy[0] - mean) * (energy[k] - energy[0] - mean);
    out->range = high - low;
    out->deviation = sqrt(squares / (double)n);
    out->relative = first > 0 ? 100 * out->absolute / first : 0;
    out->largest_percent = first > 0 ? 100 * away / first : 0;
    fit(n, time, energy, out);
    out->per_atom = n_atoms > 0 ? 1000 * out->rate / (double)n_atoms : 0;
}

double aster_exchange_probability(double t1, double t2, double e1, double e2)
{
    double x = (1 / t1 - 1 / t2) * (e1 - e2) / ASTER_KB;
    return x >= 0 ? 1 : exp(x);
}
