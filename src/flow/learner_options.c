/* SPDX-License-Identifier: BSD-3-Clause */
/* The options that every training stage has: optimizer, rates, epochs, what is kept. */
#include "flow/training.h"

struct aster_train_config aster_run_learner(const struct aster_run *run, int s)
{
    static const char *const optimizers[] = {"adam", "adamw", "sgd", "rmsprop"},
                             *const schedules[] = {"reduce_on_plateau", "cosine", "none", "step",
                                                   "exponential",       "warmup"};
    return (struct aster_train_config){
        .real = aster_run_precision(run, s).real,
        .epochs = aster_run_int(run, s, "epochs"),
        .batch_size = aster_run_int(run, s, "batch_size"),
        .shards = aster_run_int(run, s, "shards"),
        .optimizer = (enum aster_optimizer)aster_run_choice(run, s, "optimizer", 4, optimizers),
        .learning_rate = aster_run_real(run, s, "learning_rate"),
        .weight_decay = aster_run_real(run, s, "weight_decay"),
        .beta1 = aster_run_real(run, s, "beta1"),
        .beta2 = aster_run_real(run, s, "beta2"),
        .eps = aster_run_real(run, s, "eps"),
        .momentum = aster_run_real(run, s, "momentum"),
        .clip_norm = aster_run_real(run, s, "clip_norm"),
        .schedule = (enum aster_schedule)aster_run_choice(run, s, "scheduler", 6, schedules),
        .plateau_factor = aster_run_real(run, s, "plateau_factor"),
        .plateau_threshold = aster_run_real(run, s, "plateau_threshold"),
        .plateau_patience = aster_run_int(run, s, "plateau_patience"),
        .min_lr = aster_run_real(run, s, "min_lr"),
        .patience = aster_run_int(run, s, "patience"),
        .seed = (uint64_t)aster_run_int(run, s, "seed"),
        .monitor = aster_run_text(run, s, "monitor"),
        .save_top_k = aster_run_int(run, s, "save_top_k"),
        .checkpoint_steps = aster_run_int(run, s, "checkpoint_steps"),
        .window = aster_run_int(run, s, "window")};
}
