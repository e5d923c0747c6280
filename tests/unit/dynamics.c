/* SPDX-License-Identifier: BSD-3-Clause */
/* Steps of an integrator against oscillators that can be solved, the statistics of temperature and
 * pressure, motions of the whole, drifts of made-up series. */
#include "atoms/dynamics.h"
#include "lib/tap.h"

#include <math.h>
#include <string.h>

enum { N = 50 };

static void body(int64_t n, double *mass, double *x)
{
    for (int64_t i = 0; i < n; i++) {
        mass[i] = 1 + (double)(i % 7);
        for (int a = 0; a < 3; a++)
            x[3 * i + a] = 3 + 10 * aster_uniform(1, 2, (uint64_t)(3 * i + a));
    }
}

static void momenta(int64_t n, const double *mass, const double *x, const double *v, double p[3],
                    double l[3])
{
    memset(p, 0, 3 * sizeof *p);
    memset(l, 0, 3 * sizeof *l);
    for (int64_t i = 0; i < n; i++)
        for (int a = 0; a < 3; a++) {
            int b = (a + 1) % 3, c = (a + 2) % 3;
            p[a] += mass[i] * v[3 * i + a];
            l[a] += mass[i] * (x[3 * i + b] * v[3 * i + c] - x[3 * i + c] * v[3 * i + b]);
        }
}

static double size3(const double v[3])
{
    return sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2]);
}

static void motion_of_the_whole(void)
{
    double mass[N], x[3 * N], v[3 * N], before[3 * N], p[3], l[3];
    body(N, mass, x);
    aster_dynamics_draw(N, mass, 300, &(struct aster_dynamics_key){7, 0, 0}, v);
    memcpy(before, v, sizeof v);
    momenta(N, mass, x, v, p, l);
    double was = size3(l);
    aster_dynamics_rest(N, mass, x, true, v);
    momenta(N, mass, x, v, p, l);
    tap_ok(size3(p) < 1e-12 && size3(l) < 1e-10 && was > 1,
           "at rest: momentum %.1e, angular momentum %.1e of %.2g", size3(p), size3(l), was);
    memcpy(v, before, sizeof v);
    aster_dynamics_rest(N, mass, x, false, v);
    momenta(N, mass, x, v, p, l);
    tap_ok(size3(p) < 1e-12 && size3(l) > 1e-3, "without rotation: only the momentum is taken out");
    memcpy(before, v, sizeof v);
    aster_dynamics_rest(N, mass, x, false, v);
    double moved = 0;
    for (int k = 0; k < 3 * N; k++)
        moved = fmax(moved, fabs(v[k] - before[k]));
    tap_ok(moved < 1e-15, "what is at rest stays as it is");

    /* atoms on a line, turning about it has no inertia; one atom alone */
    double line[9] = {0, 0, 0, 1, 2, 2, 2, 4, 4}, lv[9], lm[3] = {16, 12, 16};
    aster_dynamics_draw(3, lm, 300, &(struct aster_dynamics_key){8, 0, 0}, lv);
    aster_dynamics_rest(3, lm, line, true, lv);
    momenta(3, lm, line, lv, p, l);
    tap_ok(size3(p) < 1e-13 && size3(l) < 1e-12 && isfinite(lv[0]), "three atoms on a line");
    double one[3] = {1, 2, 3}, ov[3] = {1, -1, 2}, om[1] = {4};
    aster_dynamics_rest(1, om, one, true, ov);
    tap_ok(size3(ov) == 0, "one atom is at rest");
    aster_dynamics_rest(0, om, one, true, ov);
    tap_ok(true, "no atom at all");
}

/* Mean kinetic energy of n degrees of freedom has a relative deviation of sqrt(2 / n). */
static void temperatures(void)
{
    enum { MANY = 20000 };
    static double mass[MANY], v[3 * MANY];
    for (int i = 0; i < MANY; i++)
        mass[i] = i % 2 ? 1.008 : 15.999;
    aster_dynamics_draw(MANY, mass, 350, &(struct aster_dynamics_key){3, 1, 0}, v);
    double t = aster_dynamics_temperature(MANY, aster_dynamics_kinetic(MANY, mass, v)), four = 0,
           mean = 0;
    for (int k = 0; k < 3 * MANY; k++) {
        double z = v[k] / sqrt(ASTER_KB * 350 / mass[k / 3]);
        four += z * z * z * z / (3.0 * MANY);
        mean += z / (3.0 * MANY);
    }
    tap_ok(fabs(t / 350 - 1) < 5 * sqrt(2.0 / (3 * MANY)), "drawn at 350 K: %.2f K", t);
    tap_ok(fabs(four - 3) < 5 * sqrt(96.0 / (3 * MANY)) && fabs(mean) < 5 / sqrt(3.0 * MANY),
           "a normal distribution: fourth moment %.3f, mean %.4f", four, mean);
    for (int step = 0; step < 60; step++)
        aster_dynamics_langevin(MANY, mass, 500, 0.2, 1, &(struct aster_dynamics_key){3, 1, step},
                                v);
    t = aster_dynamics_temperature(MANY, aster_dynamics_kinetic(MANY, mass, v));
    tap_ok(fabs(t / 500 - 1) < 5 * sqrt(2.0 / (3 * MANY)), "Langevin brings it to 500 K: %.2f K",
           t);
    double w[3] = {1, 2, 3}, u[3] = {1, 2, 3}, m1[1] = {2};
    aster_dynamics_langevin(1, m1, 300, 0, 1, &(struct aster_dynamics_key){3, 1, 5}, w);
    tap_ok(!memcmp(w, u, sizeof w), "without friction nothing changes");
}

static void keys(void)
{
    const struct aster_dynamics_key base = {5, 2, 9}, other[] = {{6, 2, 9}, {5, 3, 9}, {5, 2, 10}};
    double mass[2] = {1, 1}, v[6], u[6];
    aster_dynamics_draw(2, mass, 300, &base, v);
    aster_dynamics_draw(2, mass, 300, &base, u);
    tap_ok(!memcmp(u, v, sizeof u) && v[0] != v[3], "the same key, the same numbers; atoms differ");
    bool differ = true;
    for (int k = 0; k < 3; k++) {
        aster_dynamics_draw(2, mass, 300, &other[k], u);
        differ &= u[0] != v[0] && u[3] != v[3];
    }
    tap_ok(differ, "seed, copy and step make others");
}

/* An oscillator of spring k and mass m: Verlet's energy swings by (w dt)^2 / 8 and comes back */
static void oscillator(void)
{
    double mass = 2, k = 3, x[3] = {1, 0, 0}, v[3] = {0}, f[3], w = sqrt(k / mass), dt = 0.05 / w,
           worst = 0;
    int steps = 4000;
    for (int s = 0; s < steps; s++) {
        for (int a = 0; a < 3; a++)
            f[a] = -k * x[a];
        aster_dynamics_kick(1, &mass, f, dt / 2, v);
        aster_dynamics_drift(1, v, dt, x);
        for (int a = 0; a < 3; a++)
            f[a] = -k * x[a];
        aster_dynamics_kick(1, &mass, f, dt / 2, v);
        double e = aster_dynamics_kinetic(1, &mass, v) + k * x[0] * x[0] / 2;
        worst = fmax(worst, fabs(e / (k / 2) - 1));
    }
    /* Verlet's own frequency: sin(W dt / 2) = w dt / 2 */
    double exact = cos(2 * asin(w * dt / 2) * steps);
    tap_ok(worst < 0.05 * 0.05 / 4 && fabs(x[0] - exact) < 1e-9,
           "an oscillator: energy within %.1e, place within %.1e after %d steps", worst,
           fabs(x[0] - exact), steps);
}

/* Without noise the volume falls to where the pressure is that of the outside; with noise of an
 * ideal gas at constant kinetic energy the mean of ln V is known */
static void pressure(void)
{
    const struct aster_barostat b = {0.02, 0.5, 100};
    double volume = 1000, kinetic = 0.75 * 0.02 * 2000; /* 2 K / 3 V = P at V = 1000 */
    double swell =
        aster_dynamics_swell(&b, volume, 0, kinetic, 0, 1, &(struct aster_dynamics_key){1, 0, 0});
    tap_ok(fabs(swell) < 1e-15, "at its pressure a cell stays");
    swell = aster_dynamics_swell(&b, 500, 0, kinetic, 0, 1, &(struct aster_dynamics_key){1, 0, 0});
    tap_ok(fabs(swell - 0.5 / 100 * 0.02) < 1e-12, "at twice the pressure it grows: %.3g", swell);
    swell =
        aster_dynamics_swell(&b, volume, 0, kinetic, 60, 1, &(struct aster_dynamics_key){1, 0, 0});
    tap_ok(fabs(swell + 0.5 / 100 * 0.02) < 1e-12, "a virial under tension pulls it together: %.3g",
           swell);
    double cell[9] = {2, 0, 0, 1, 3, 0, 0, 0, 4}, x[3] = {1, 2, 3}, v[3] = {3, 2, 1};
    aster_dynamics_scale(1, 3 * log(2.0), cell, x, v);
    tap_ok(fabs(cell[4] - 6) < 1e-14 && fabs(x[1] - 4) < 1e-14 && fabs(v[2] - 0.5) < 1e-15,
           "cell and positions grow, velocities shrink");
    double sum = 0, squares = 0;
    enum { DRAWS = 20000 };
    for (int s = 0; s < DRAWS; s++) {
        double z = aster_dynamics_swell(&b, volume, 300, kinetic, 0, 2,
                                        &(struct aster_dynamics_key){1, 0, s});
        sum += z;
        squares += z * z;
    }
    double want = 2 * ASTER_KB * 300 * 0.5 / (1000.0 * 100) * 2;
    tap_ok(fabs(squares / DRAWS / want - 1) < 5 * sqrt(2.0 / DRAWS) &&
               fabs(sum / DRAWS) < 5 * sqrt(want / DRAWS),
           "the noise of ln V: %.3g, %.3g is expected", squares / DRAWS, want);
}

static void exchanges(void)
{
    tap_ok(aster_exchange_probability(300, 400, -1, -2) == 1, "the lower energy goes to the cold");
    double p = aster_exchange_probability(300, 400, -2, -1.9),
           want = exp((1 / (ASTER_KB * 300) - 1 / (ASTER_KB * 400)) * -0.1);
    tap_ok(fabs(p - want) < 1e-14 && p < 1, "the other way with %.4f", p);
    tap_ok(aster_exchange_probability(300, 300, 5, -5) == 1, "equal temperatures always");
}

static void drifts(void)
{
    enum { COUNT = 1001 };
    static double t[COUNT], e[COUNT];
    struct aster_drift d;
    for (int k = 0; k < COUNT; k++) {
        t[k] = 0.001 * k;
        e[k] = -100 + 0.02 * t[k] + (k % 2 ? 0.001 : -0.001);
    }
    aster_drift_of(COUNT, t, e, 10, &d);
    tap_ok(fabs(d.rate - 0.02) < 1e-4 && fabs(d.per_atom - 2) < 0.01,
           "a drift of 0.02 eV/ps is found: %.5f +- %.5f", d.rate, d.rate_error);
    tap_ok(fabs(d.absolute - 0.02) < 1e-12 && fabs(d.relative - 0.02) < 1e-4 &&
               fabs(d.largest_step - 0.00202) < 1e-9 && d.range < 0.0221 && d.range > 0.0219,
           "its other figures");
    aster_drift_of(1, t, e, 10, &d);
    tap_ok(d.rate == 0 && d.absolute == 0 && d.deviation == 0, "a series of one");
}

int main(void)
{
    motion_of_the_whole();
    temperatures();
    keys();
    oscillator();
    pressure();
    exchanges();
    drifts();
    return tap_done();
}
