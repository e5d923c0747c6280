/* SPDX-License-Identifier: BSD-3-Clause */
/* Loss and metrics over the validation samples. For src/train only. */
#ifndef ASTER_TRAIN_VALIDATION_H
#define ASTER_TRAIN_VALIDATION_H

#include "train/trainer.h"

struct validation;
ASTER_CHECKED int validation_new(struct trainer *tr, int64_t n, const struct aster_sample *val,
                                 struct validation **out);
void validation_free(struct validation **v);
/* After the steps submitted so far. stop: asked between batches; ASTER_ESTOP then, without a
 * sentence. */
ASTER_CHECKED int validation_run(struct validation *v, int64_t epoch,
                                 const struct aster_train_hooks *hooks, double *loss,
                                 struct aster_metrics *metrics);

#endif
