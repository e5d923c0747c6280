/* SPDX-License-Identifier: BSD-3-Clause */
/* Into the simulation: StarPU's library has a main of its own that reads the machine, makes a
 * simulated thread and calls starpu_main in it. Ours comes first, for a machine has to be chosen
 * before. */
#include "runtime/sim.h"
#include "runtime/start.h"

#include <dlfcn.h>
#include <stdlib.h>

#if ASTER_SIM
static struct {
    int (*work)(void *);
    void *arg;
} inside;

int starpu_main(int argc, char **argv);
int starpu_main(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    return inside.work(inside.arg);
}

static void set_environment(const struct aster_sim_machine *m, const char *dir)
{
    setenv("STARPU_PERF_MODEL_DIR", dir, 1);
    setenv("STARPU_HOSTNAME", m->name, 1);
    setenv("STARPU_SIMGRID", "1", 1);
    setenv("STARPU_SIMGRID_CUDA_MALLOC_COST", "0",
           0); /* buffers are made once and used for the whole run */
    setenv("STARPU_SILENT", "1", 0);
}

int aster_sim_enter(struct aster_ctx *ctx, const struct aster_sim_machine *m, int n_gpus,
                    const char *dir, int (*work)(void *), void *arg, int *status)
{
    static char program[] = "asterism-sim", quiet[] = "--log=root.thresh:error";
    char *argv[] = {program, quiet, NULL};
    int (*theirs)(int, char **) = NULL;
    ASTER_TRY(aster_sim_write(ctx, m, n_gpus, dir));
    set_environment(m, dir);
    *(void **)&theirs = dlsym(RTLD_NEXT, "main");
    if (!theirs)
        return aster_fail(ctx, ASTER_EDEVICE,
                          "this StarPU does not simulate: its library has no main");
    inside.work = work;
    inside.arg = arg;
    *status = theirs(2, argv);
    return 0;
}
#else
int aster_sim_enter(struct aster_ctx *ctx, const struct aster_sim_machine *m, int n_gpus,
                    const char *dir, int (*work)(void *), void *arg, int *status)
{
    (void)m, (void)n_gpus, (void)dir, (void)work, (void)arg, (void)status;
    return aster_fail(ctx, ASTER_EPARAM,
                      "this program runs on this machine; simulated ones need asterism-sim");
}
#endif
