/* SPDX-License-Identifier: BSD-3-Clause */
/* Weighted cross entropy over few classes, and its derivative. */
#include "cpu/lanes.h"

enum { XENT_CLASSES = 4, XENT_CELLS = 256, XENT_UNCOUNTED = 255 };

struct xent {
    int classes;
    const double *weight;
    double eps;
};

#define REAL float
#define VSUF f32
#include "cpu/loss_real.h"
#undef REAL
#undef VSUF
#define REAL double
#define VSUF f64
#include "cpu/loss_real.h"
#undef REAL
#undef VSUF

/* Marks the samples with a label that is neither a class nor "not counted". */
static void mark_bad_labels(const struct aster_args *a, int classes)
{
    const struct aster_tensor *labels = &a->in[1];
    int64_t n = aster_tensor_n(labels);
    if (!a->run || !a->run->status || n == 0)
        return;
    int64_t samples = labels->rank > 0 ? labels->dim[0] : 1;
    const uint8_t *label = labels->p;
    for (int64_t b = 0; b < samples; b++) {
        bool bad = false;
        for (int64_t k = 0; k < n / samples; k++, label++)
            bad |= *label >= classes && *label != XENT_UNCOUNTED;
        if (bad)
            a->run->status[b] = ASTER_EFORMAT;
    }
}

void ASTER_K(xent)(const struct aster_args *a)
{
    const struct aster_tensor *logits = &a->in[0];
    struct xent x = {(int)logits->dim[logits->rank - 1], a->f, a->f[4]};
    int64_t n = aster_tensor_n(&a->in[1]);
    double counted = *(const double *)a->in[2].p, loss;
    if (logits->dtype == ASTER_F64)
        loss = xent_f64(&x, n, logits->p, a->in[1].p, a->out[1].p);
    else
        loss = xent_f32(&x, n, logits->p, a->in[1].p, a->out[1].p);
    *(double *)a->out[0].p = counted > 0 ? loss / counted : 0;
    mark_bad_labels(a, x.classes);
}

void ASTER_K(xent_dx)(const struct aster_args *a)
{
    const struct aster_tensor *probs = &a->in[0];
    struct xent x = {(int)probs->dim[probs->rank - 1], a->f, a->f[4]};
    int64_t n = aster_tensor_n(&a->in[1]);
    double counted = *(const double *)a->in[2].p, dloss = *(const double *)a->in[3].p;
    double scale = counted > 0 ? dloss / counted : 0;
    if (probs->dtype == ASTER_F64)
        xent_dx_f64(&x, n, scale, probs->p, a->in[1].p, a->out[0].p);
    else
        xent_dx_f32(&x, n, scale, probs->p, a->in[1].p, a->out[0].p);
}
