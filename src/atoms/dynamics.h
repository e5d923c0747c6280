/* SPDX-License-Identifier: BSD-3-Clause */
/* Equations of motion. Lengths in Angstrom, energies in eV, masses in amu; the unit of time follows
 * from these: sqrt(amu / eV) Angstrom. */
#ifndef ASTER_DYNAMICS_H
#define ASTER_DYNAMICS_H

#include "base/base.h"

#define ASTER_KB          8.617330337217213e-5 /* Boltzmann's constant, eV/K */
#define ASTER_FEMTOSECOND 0.09822694788464063  /* in the unit of time */

/* velocity += dt force / mass, of n atoms */
void aster_dynamics_kick(int64_t n, const double *mass, const double *force, double dt,
                         double *velocity);
/* position += dt velocity */
void aster_dynamics_drift(int64_t n, const double *velocity, double dt, double *position);
double aster_dynamics_kinetic(int64_t n, const double *mass, const double *velocity);
double aster_dynamics_temperature(int64_t n, double kinetic); /* 3 n degrees of freedom */

/* What random numbers depend on: so they are the same whoever computes the step. */
struct aster_dynamics_key {
    uint64_t seed;
    int64_t copy, step;
};
/* Velocities of a temperature, every component on its own */
void aster_dynamics_draw(int64_t n, const double *mass, double temperature,
                         const struct aster_dynamics_key *key, double *velocity);
/* Takes the motion of the whole out: of its center, and with rotation also about it. Directions
 * in which nothing can turn (atoms on a line) are left alone. */
void aster_dynamics_rest(int64_t n, const double *mass, const double *position, bool rotation,
                         double *velocity);
/* The part of Langevin's equation without forces, for a time dt: v becomes c v + noise, c =
 * exp(-friction dt). */
void aster_dynamics_langevin(int64_t n, const double *mass, double temperature, double friction,
                             double dt, const struct aster_dynamics_key *key, double *velocity);

/* A cell whose volume answers to the pressure by stochastic rescaling: d ln V over a time dt. */
struct aster_barostat {
    double pressure, compressibility, tau; /* eV / A^3, its inverse, time */
};
/* kinetic, virial: of the structure; virial is the trace of dE/d(strain). */
double aster_dynamics_swell(const struct aster_barostat *b, double volume, double temperature,
                            double kinetic, double virial, double dt,
                            const struct aster_dynamics_key *key);
/* Cell and positions grow by exp(swell / 3), velocities shrink. */
void aster_dynamics_scale(int64_t n, double swell, double cell[9], double *position,
                          double *velocity);

/* What a run without thermostat keeps of its energy. */
struct aster_drift {
    double relative, absolute; /* last - first: percent of |first|, eV */
    double largest_percent;    /* max |E - first|, percent of |first| */
    double rate, rate_error;   /* of a line through all, eV / ps */
    double per_atom;           /* rate in meV / atom / ps */
    double largest_step;       /* between neighbours, eV */
    double deviation, range;   /* standard deviation, max - min */
};
/* n >= 1 total energies at times (ps) of a structure of n_atoms atoms */
void aster_drift_of(int64_t n, const double *time, const double *energy, int64_t n_atoms,
                    struct aster_drift *out);

/* That two copies at temperatures t1, t2 with potential energies e1, e2 change places */
double aster_exchange_probability(double t1, double t2, double e1, double e2);

#endif
