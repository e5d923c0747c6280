/* SPDX-License-Identifier: BSD-3-Clause */
/* Differentiation as a transformation: reverse order, contributions added in a fixed order. */
#include "program/internal.h"

/* depends[v]: v is one of x or is computed from one */
static void mark_depends(const struct aster_program *p, int n, const aster_val *x, bool *depends)
{
    for (int k = 0; k < n; k++)
        if (x[k] >= 0)
            depends[x[k]] = true;
    for (int64_t k = 0; k < p->n_op; k++) {
        const struct op *o = &p->op[k];
        bool any = false;
        for (int j = 0; j < o->n_in; j++)
            any |= o->in[j] >= 0 && depends[o->in[j]];
        for (int j = 0; any && j < o->n_out; j++)
            depends[o->out[j]] = true;
    }
}

static int pull_back(struct aster_program *p, int64_t k, const bool *depends, aster_val *adjoint)
{
    const struct op o = p->op[k]; /* a copy: the list may move while ops are added */
    const struct op_desc *d = aster_op_descs[o.kind];
    const bool adds = d->flags & OP_GRAD_ADDS;
    aster_val dout[ASTER_MAX_OUT], din[ASTER_MAX_IN];
    bool want[ASTER_MAX_IN], any_out = false, any_in = false;
    for (int j = 0; j < ASTER_MAX_OUT; j++) {
        dout[j] = j < o.n_out ? adjoint[o.out[j]] : -1;
        any_out |= dout[j] >= 0;
    }
    for (int j = 0; j < ASTER_MAX_IN; j++) {
        want[j] = j < o.n_in && o.in[j] >= 0 && depends[o.in[j]];
        din[j] = want[j] && adds ? adjoint[o.in[j]] : -1;
        any_in |= want[j];
    }
    if (!any_out || !any_in)
        return 0;
    if (!d->grad)
        return aster_fail(p->ctx, ASTER_EBUG, "program %s: op %s has no derivative of its own",
                          p->name, aster_op_name(o.kind));
    d->grad(p, &o, want, dout, din);
    if (p->failed)
        return aster_ctx_code(p->ctx) < 0 ? aster_ctx_code(p->ctx) : ASTER_EBUG;
    for (int j = 0; j < o.n_in; j++) {
        if (!want[j] || din[j] < 0)
            continue;
        aster_val *a = &adjoint[o.in[j]];
        *a = *a < 0 || adds ? din[j] : aster_emit_binary(p, ASTER_BIN_ADD, *a, din[j]);
    }
    return 0;
}

int aster_program_sweep(struct aster_program *p, aster_val y, aster_val dy, int n,
                        const aster_val *x, aster_val *dx)
{
    if (p->failed || y < 0)
        return aster_ctx_code(p->ctx) < 0 ? aster_ctx_code(p->ctx) : ASTER_EBUG;
    int64_t n_value = p->n_value, n_op = p->n_op;
    if (!p->n_forward)
        p->n_forward = n_op;
    bool *depends = NULL;
    aster_val *adjoint = NULL;
    int rc;
    ASTER_GOTO(aster_alloc(p->ctx, n_value, sizeof *depends, &depends), done);
    ASTER_GOTO(aster_alloc(p->ctx, n_value, sizeof *adjoint, &adjoint), done);
    for (int64_t k = 0; k < n_value; k++)
        adjoint[k] = -1;
    mark_depends(p, n, x, depends);
    adjoint[y] = dy < 0 ? aster_emit_affine(p, y, 0, 1) : dy;
    for (int64_t k = n_op - 1; k >= 0; k--)
        ASTER_GOTO(pull_back(p, k, depends, adjoint), done);
    for (int k = 0; k < n; k++)
        dx[k] = x[k] >= 0 && depends[x[k]] ? adjoint[x[k]] : -1;
done:
    aster_free(&depends);
    aster_free(&adjoint);
    return rc;
}

int aster_program_grad(struct aster_program *p, aster_val y, int n, const aster_val *x,
                       aster_val *dx)
{
    return aster_program_sweep(p, y, -1, n, x, dx);
}
