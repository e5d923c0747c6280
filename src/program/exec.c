/* SPDX-License-Identifier: BSD-3-Clause */
/* Walks the steps of a segment and calls kernels. */
#include "program/plan.h"

#include <string.h>

void *aster_exec_pointer(const struct aster_plan *plan, aster_val v, const struct aster_bound *b)
{
    if (v < 0)
        return NULL;
    const struct place *at = &plan->place[v];
    return b->at[at->cls] ? (char *)b->at[at->cls] + at->offset : NULL;
}

void aster_exec_bind(const struct aster_plan *plan, const struct step *s,
                     const struct aster_bound *b, struct aster_args *a)
{
    const struct op *o = &plan->p->op[s->op];
    *a = s->args;
    for (int k = 0; k < o->n_in; k++)
        a->in[k].p = aster_exec_pointer(plan, o->in[k], b);
    for (int k = 0; k < o->n_out; k++)
        a->out[k].p = aster_exec_pointer(plan, o->out[k], b);
    a->run = &b->run;
    a->device = b->device;
    a->work = (char *)b->at[ASTER_CLASS_ARENA] + plan->work_offset;
}

void aster_exec_call(const struct aster_backend *be, enum aster_op_kind kind,
                     const struct aster_args *a, const struct step *s, struct aster_op_times *times)
{
    if (!times) {
        be->op[kind](a);
        return;
    }
    double t = aster_cpu_thread();
    be->op[kind](a);
    times->seconds[kind] += aster_cpu_thread() - t;
    times->flops[kind] += s->flops;
    times->bytes[kind] += s->bytes;
    times->calls[kind]++;
}

/* The sync values before a segment come in; those after it go out. */
static void sync_copy(const struct aster_plan *plan, const struct aster_backend *be,
                      const struct aster_bound *b, int group, bool in)
{
    const struct sync_group *g = &plan->sync[group];
    int64_t at = 0;
    for (int k = 0; k < g->n; k++) {
        const struct op *o = &plan->p->op[plan->step[g->first_step + k].op];
        int64_t n = aster_value_bytes(plan, o->out[0]);
        if (in)
            be->copy(b->device, aster_exec_pointer(plan, o->out[0], b),
                     (const char *)b->sync_in + at, n);
        else
            be->copy(b->device, (char *)b->sync_out + at, aster_exec_pointer(plan, o->in[0], b), n);
        at += n;
    }
}

void aster_exec(const struct aster_plan *plan, const struct aster_backend *be,
                const struct aster_bound *b, int segment)
{
    if (segment == 0) {
        if (b->at[ASTER_CLASS_GRAD])
            be->zero(b->device, b->at[ASTER_CLASS_GRAD], plan->bytes[ASTER_CLASS_GRAD]);
        if (b->at[ASTER_CLASS_AUX])
            be->zero(b->device, b->at[ASTER_CLASS_AUX], plan->bytes[ASTER_CLASS_AUX]);
    } else {
        sync_copy(plan, be, b, segment - 1, true);
    }
    if (plan->extents && b->lengths && b->background && !b->device) {
        aster_exec_extents(plan, be, b);
        return;
    }
    for (int64_t k = 0; k < plan->n_step; k++) {
        const struct step *s = &plan->step[k];
        enum aster_op_kind kind = plan->p->op[s->op].kind;
        if (s->segment != segment || s->is_view || kind == ASTER_OP_sync_sum)
            continue;
        struct aster_args a;
        aster_exec_bind(plan, s, b, &a);
        aster_exec_call(be, kind, &a, s, b->times);
    }
    if (segment < plan->n_sync)
        sync_copy(plan, be, b, segment, false);
}

/* buf[0] = (s0 + s1) + (s2 + s3) + ...: the same tree as the reduction tasks */
static void tree_sum(const struct aster_backend *be, struct aster_device *device,
                     enum aster_dtype t, int64_t bytes, int n, char **buf)
{
    int64_t count = bytes / aster_dtype_size(t);
    for (int step = 1; step < n; step *= 2)
        for (int k = 0; k + step < n; k += 2 * step)
            be->update.add_into(device, t, count, buf[k], buf[k + step]);
}

int aster_exec_all(struct aster_ctx *ctx, const struct aster_backend *be, int n_shards,
                   const struct aster_plan *const *plans, struct aster_bound *bounds)
{
    int n_segments = aster_plan_n_segments(plans[0]);
    int64_t most = 64;
    int rc;
    char **buf = NULL, *total = NULL;
    for (int k = 0; k + 1 < n_segments; k++)
        most = aster_max64(most, aster_plan_sync_bytes(plans[0], k));
    ASTER_TRY(aster_alloc(ctx, n_shards, sizeof *buf, &buf));
    ASTER_GOTO(aster_alloc(ctx, most, 1, &total), done);
    for (int s = 0; s < n_shards; s++) {
        ASTER_GOTO(aster_alloc(ctx, most, 1, &buf[s]), done);
        if (aster_plan_n_segments(plans[s]) != n_segments) {
            rc = aster_fail(ctx, ASTER_EBUG, "shards of different programs");
            goto done;
        }
    }
    for (int k = 0; k < n_segments; k++) {
        for (int s = 0; s < n_shards; s++) {
            bounds[s].sync_in = total;
            bounds[s].sync_out = buf[s];
            aster_exec(plans[s], be, &bounds[s], k);
        }
        if (k + 1 == n_segments)
            break;
        int64_t bytes = aster_plan_sync_bytes(plans[0], k);
        tree_sum(be, bounds[0].device, aster_plan_sync_dtype(plans[0], k), bytes, n_shards, buf);
        be->copy(bounds[0].device, total, buf[0], bytes);
    }
    rc = 0;
done:
    for (int s = 0; s < n_shards; s++)
        aster_free(&buf[s]);
    aster_free(&buf);
    aster_free(&total);
    return rc;
}
