/* SPDX-License-Identifier: BSD-3-Clause */
/* Options of molecular dynamics, and which of them go together. */
#include "flow/md.h"

#include <math.h>
#include <string.h>

enum { MOST_RUNGS = 4096 };

static const char *const ensembles[] = {"nve", "langevin", "npt", "exchange"};

const char *aster_ensemble_name(enum aster_ensemble e)
{
    return ensembles[e];
}

static int read_times(struct aster_run *run, int stage, struct aster_md_options *o)
{
    o->steps = aster_run_int(run, stage, "steps");
    o->replicas = aster_run_int(run, stage, "replicas");
    o->seed = aster_run_int(run, stage, "seed");
    o->checkpoint = aster_run_int(run, stage, "checkpoint");
    o->log_interval = aster_run_int(run, stage, "log_interval");
    o->frame_interval = aster_run_int(run, stage, "frame_interval");
    o->exchange_interval = aster_run_int(run, stage, "exchange_interval");
    o->timestep_fs = aster_run_real(run, stage, "timestep");
    if (!(o->timestep_fs > 0))
        return aster_run_refuse(run, stage, "timestep", "is 0; femtoseconds are expected");
    o->dt = o->timestep_fs * ASTER_FEMTOSECOND;
    o->friction = aster_run_real(run, stage, "friction") / ASTER_FEMTOSECOND;
    if (o->ensemble != ASTER_NVE && !(o->friction > 0))
        return aster_run_refuse(run, stage, "friction", "is 0: nothing would keep the temperature");
    return 0;
}

static int read_pressure(struct aster_run *run, int stage, struct aster_md_options *o)
{
    struct aster_barostat *b = &o->barostat;
    b->pressure = aster_run_real(run, stage, "pressure") * ASTER_GPA;
    b->compressibility = aster_run_real(run, stage, "compressibility") / ASTER_GPA;
    b->tau = aster_run_real(run, stage, "barostat_time") * ASTER_FEMTOSECOND;
    if (o->ensemble != ASTER_NPT)
        return 0;
    if (!(b->compressibility > 0))
        return aster_run_refuse(run, stage, "compressibility", "is 0: the cell would never change");
    if (!(b->tau >= o->dt))
        return aster_run_refuse(
            run, stage, "barostat_time",
            "is shorter than a step; the cell would not follow the pressure but jump");
    return 0;
}

/* ---- temperatures ---- */

static int list_ladder(struct aster_run *run, int stage, struct aster_md_options *o)
{
    const struct aster_opt_value *v = aster_run_value(run, stage, "temperatures");
    if (v->n < 2)
        return aster_run_refuse(run, stage, "temperatures", "names one; two at least exchange");
    if (o->replicas != 1 && o->replicas != v->n)
        return aster_run_refuse(run, stage, "replicas",
                                "is not the number of temperatures; leave it out, or give as many");
    for (int64_t k = 0; k < v->n; k++)
        if (!(v->numbers[k] > 0) || (k && !(v->numbers[k] > v->numbers[k - 1])))
            return aster_run_refuse(run, stage, "temperatures", "are not above 0 and rising");
    ASTER_TRY(aster_alloc(run->ctx, v->n, sizeof *o->temperature, &o->temperature));
    memcpy(o->temperature, v->numbers, (size_t)v->n * sizeof *v->numbers);
    o->n_rungs = o->replicas = v->n;
    return 0;
}

static int geometric_ladder(struct aster_run *run, int stage, struct aster_md_options *o)
{
    double low = aster_run_real(run, stage, "temperature"),
           high = aster_run_real(run, stage, "highest_temperature");
    if (o->replicas < 2)
        return aster_run_refuse(run, stage, "replicas", "is 1; two copies at least exchange");
    if (o->replicas > MOST_RUNGS)
        return aster_run_refuse(run, stage, "replicas", "is more than %d temperatures", MOST_RUNGS);
    if (!(low > 0) || !(high > low))
        return aster_run_refuse(run, stage, "highest_temperature",
                                "is not above temperature, which has to be above 0");
    ASTER_TRY(aster_alloc(run->ctx, o->replicas, sizeof *o->temperature, &o->temperature));
    o->n_rungs = o->replicas;
    for (int64_t k = 0; k < o->n_rungs; k++)
        o->temperature[k] = low * pow(high / low, (double)k / (double)(o->n_rungs - 1));
    return 0;
}

static int read_temperatures(struct aster_run *run, int stage, struct aster_md_options *o)
{
    bool has_list = aster_run_value(run, stage, "temperatures")->n > 0,
         has_high = aster_run_real(run, stage, "highest_temperature") > 0;
    if (o->ensemble == ASTER_EXCHANGE) {
        if (has_list && has_high)
            return aster_run_refuse(run, stage, "highest_temperature", "goes without temperatures");
        if (!has_list && !has_high)
            return aster_run_refuse(run, stage, "temperatures",
                                    "exchange needs them, or highest_temperature and replicas");
        if (o->exchange_interval >= o->steps)
            return aster_run_refuse(run, stage, "exchange_interval",
                                    "is not below steps: nothing would be exchanged");
        return has_list ? list_ladder(run, stage, o) : geometric_ladder(run, stage, o);
    }
    if (has_list)
        return aster_run_refuse(run, stage, "temperatures", "is for ensemble exchange");
    if (has_high)
        return aster_run_refuse(run, stage, "highest_temperature", "is for ensemble exchange");
    ASTER_TRY(aster_alloc(run->ctx, 1, sizeof *o->temperature, &o->temperature));
    o->n_rungs = 1;
    o->temperature[0] = aster_run_real(run, stage, "temperature");
    if (o->ensemble == ASTER_NPT && !(o->temperature[0] > 0))
        return aster_run_refuse(run, stage, "temperature", "is 0; above 0 is expected with npt");
    return 0;
}

int aster_md_options_read(struct aster_run *run, int stage, struct aster_md_options *o)
{
    static const char *const starts[] = {"auto", "file", "temperature", "zero"};
    *o = (struct aster_md_options){
        .ensemble = (enum aster_ensemble)aster_run_choice(run, stage, "ensemble", 4, ensembles),
        .start = (enum aster_md_start)aster_run_choice(run, stage, "velocities", 4, starts),
        .remove_momentum = aster_run_bool(run, stage, "remove_momentum"),
        .remove_rotation = aster_run_bool(run, stage, "remove_rotation"),
        .extxyz = aster_run_bool(run, stage, "extxyz"),
        .h5 = aster_run_bool(run, stage, "h5")};
    ASTER_TRY(read_times(run, stage, o));
    ASTER_TRY(read_pressure(run, stage, o));
    int rc = read_temperatures(run, stage, o);
    if (rc == 0 && o->remove_rotation && !o->remove_momentum)
        rc = aster_run_refuse(
            run, stage, "remove_momentum",
            "is false and remove_rotation is true; rotation goes with the momentum");
    if (rc < 0)
        aster_md_options_free(o);
    return rc;
}

void aster_md_options_free(struct aster_md_options *o)
{
    aster_free(&o->temperature);
}
