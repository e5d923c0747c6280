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

/* That two copies at temperatures t1, t2 with potential energies e1, e2 change places */
double aster_exchange_probability(double t1, double t2, double e1, double e2);

#endif
