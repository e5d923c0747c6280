/* SPDX-License-Identifier: BSD-3-Clause */
/* Times of tasks, taken out of a runtime and put into another one. */
#include "runtime/start.h"

int aster_runtime_measured(struct aster_runtime *rt, bool gpu, struct aster_measured_task **list,
                           int64_t *n)
{
    struct aster_cl_measured *table = gpu ? rt->env.measured_gpu : rt->env.measured;
    *n = 0;
    *list = NULL;
    if (!table)
        return 0;
    ASTER_TRY(aster_alloc(rt->env.ctx, ASTER_CL_MEASURED, sizeof **list, list));
    for (int k = 0; k < ASTER_CL_MEASURED; k++) {
        struct aster_cl_measured *m = &table[k];
        const char *name = atomic_load(&m->name);
        if (!name || !(atomic_load(&m->mean_us) > 0))
            continue;
        struct aster_measured_task *t = &(*list)[(*n)++];
        *t = (struct aster_measured_task){.footprint = atomic_load(&m->footprint),
                                          .mean_us = atomic_load(&m->mean_us),
                                          .n = atomic_load(&m->n)};
        snprintf(t->name, sizeof t->name, "%.*s", ASTER_CUT(23, name));
    }
    return 0;
}

bool aster_runtime_expect(struct aster_runtime *rt, bool gpu, const struct aster_measured_task *t)
{
    struct aster_cl_measured *m =
        aster_measured_find(gpu ? rt->env.measured_gpu : rt->env.measured, t->footprint, true);
    if (!m)
        return false;
    atomic_store(&m->mean_us, t->mean_us);
    atomic_store(&m->n, t->n);
    return true;
}
