/* SPDX-License-Identifier: BSD-3-Clause */
/* What the workers did, from the counters that our codelets keep. */
#include "runtime/start.h"

#include <string.h>

void aster_runtime_sample(struct aster_runtime *rt, int worker, struct aster_worker_info *out)
{
    struct aster_cl_worker *w = &rt->env.worker[worker];
    struct aster_sampled *last = &rt->sampled[worker];
    double now = aster_wall(), busy = atomic_load_explicit(&w->busy_s, memory_order_relaxed);
    double since = atomic_load_explicit(&w->since, memory_order_relaxed);
    double in_task = since > 0 && now > since ? now - since : 0;
    busy += in_task;
    double share = now > last->at ? (busy - last->busy_s) / (now - last->at) : 0;
    *out = (struct aster_worker_info){
        .busy = share < 0   ? 0
                : share > 1 ? 1
                            : share,
        .tasks = atomic_load_explicit(&w->tasks, memory_order_relaxed),
        .seconds_busy = busy,
        .seconds_task = in_task,
        .memory_used = atomic_load(&rt->env.memory_used),
        .memory_total = rt->env.memory_limit,
    };
    snprintf(out->name, sizeof out->name, "%s", w->name);
    if (w->device) {
        unsigned node = starpu_worker_get_memory_node((unsigned)worker);
        out->memory_total = (int64_t)starpu_memory_get_total(node);
        out->memory_used = out->memory_total - (int64_t)starpu_memory_get_available(node);
    }
    *last = (struct aster_sampled){now, busy};
}

int64_t aster_runtime_records(struct aster_runtime *rt, const struct aster_task_record **out)
{
    *out = rt->env.record;
    return rt->env.record ? aster_min64(atomic_load(&rt->env.n_records), rt->env.max_records) : 0;
}

int aster_runtime_kinds(struct aster_ctx *ctx, const struct aster_runtime *rt,
                        struct aster_str *out)
{
    for (int w = 0; w < rt->env.n_workers; w++) {
        char kind[sizeof rt->env.worker->name];
        snprintf(kind, sizeof kind, "%s", rt->env.worker[w].name);
        kind[strcspn(kind, " 0123456789")] = '\0';
        if (!strstr(aster_str_get(out), kind))
            aster_str_printf(out, "%s%s", out->len ? " + " : "", kind);
    }
    aster_str_printf(out, " (%s)", aster_isa_name(aster_runtime_isa(rt)));
    return aster_str_ok(ctx, out);
}
