/* SPDX-License-Identifier: BSD-3-Clause */
/* What workers did in a stretch of time, by kind of task. */
#include "runtime/start.h"

#include <string.h>

static enum aster_work kind_of(const char *codelet)
{
    static const struct {
        const char *name;
        enum aster_work kind;
    } kinds[] = {{"encode", ASTER_WORK_ENCODE},      {"train", ASTER_WORK_PROGRAM},
                 {"add", ASTER_WORK_REDUCE},         {"sum", ASTER_WORK_REDUCE},
                 {"norm", ASTER_WORK_REDUCE},        {"update", ASTER_WORK_UPDATE},
                 {"statistics", ASTER_WORK_UPDATE},  {"evaluate", ASTER_WORK_PROGRAM},
                 {"background", ASTER_WORK_PROGRAM}, {"layer", ASTER_WORK_PROGRAM},
                 {"embed", ASTER_WORK_PROGRAM},      {"tokens", ASTER_WORK_ENCODE}};
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
        if (!strcmp(codelet, kinds[k].name))
            return kinds[k].kind;
    return ASTER_WORK_OTHER;
}

/* GPUs decide a study of GPUs; the many cores beside them would only dilute the shares. */
static bool counts(const struct aster_runtime *rt, int worker)
{
    bool gpus = rt->simulate && rt->simulate->gpus > 0;
    return starpu_worker_get_type(worker) == (gpus ? STARPU_CUDA_WORKER : STARPU_CPU_WORKER);
}

/* Share of the time since the last call in which workers waited for data. */
static double waiting_for_data(const struct aster_runtime *rt)
{
    double waiting = 0, total = 0;
#if ASTER_SIM
    for (int k = 0; k < rt->env.n_workers; k++) {
        struct starpu_profiling_worker_info info;
        if (starpu_profiling_worker_get_info(k, &info) != 0 || !counts(rt, k))
            continue;
        waiting += starpu_timing_timespec_to_us(&info.waiting_time);
        total += starpu_timing_timespec_to_us(&info.total_time);
    }
#else
    (void)rt;
#endif
    return total > 0 ? waiting / total : 0;
}

void aster_runtime_usage(struct aster_runtime *rt, double start, double end,
                         struct aster_usage *out)
{
    const struct aster_task_record *r;
    int64_t n = aster_runtime_records(rt, &r);
    double sum = 0, modelled = 0;
    *out = (struct aster_usage){.transfer = waiting_for_data(rt)};
    for (int k = 0; k < rt->env.n_workers; k++)
        out->workers += counts(rt, k);
    start -= rt->env.start;
    end -= rt->env.start;
    for (int64_t k = 0; k < n; k++) {
        double from = r[k].start > start ? r[k].start : start, to = r[k].end < end ? r[k].end : end;
        if (!(to > from) || !counts(rt, r[k].worker))
            continue;
        out->seconds[kind_of(r[k].codelet)] += to - from;
        sum += to - from;
        modelled += r[k].modelled ? to - from : 0;
        out->tasks++;
    }
    if (sum > 0 && end > start) {
        out->busy = sum / ((end - start) * out->workers);
        out->modelled = modelled / sum;
    }
}
