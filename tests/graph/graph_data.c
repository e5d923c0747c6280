/* SPDX-License-Identifier: BSD-3-Clause */
/* Made-up proteins and the settings of a run. */
#include "graph/graph.h"

#include <stdlib.h>
#include <string.h>

/* A motif of eight residues marks the loop, so that there is something to learn. */
static void make_protein(int k, char *text, struct aster_sample *s)
{
    static const char letters[] = "ACDEFGHIKLMNPQRSTVWYX", motif[] = "GTEAAGAT";
    int64_t length = 12 + (int64_t)(aster_uniform(11, 1, (uint64_t)k) * (MAX_LENGTH - 12 + 1));
    for (int64_t l = 0; l < length; l++)
        text[l] = letters[(int)(aster_uniform(11, 2 + (uint64_t)k, (uint64_t)l) * 21)];
    text[length] = '\0';
    *s = (struct aster_sample){
        .sequence = text, .length = length, .loop_begin = -1, .loop_end = -1, .key = k};
    if (k % 3 == 2)
        return;
    s->loop_begin = (int64_t)(aster_uniform(12, 1, (uint64_t)k) * (double)(length - 8 + 1));
    s->loop_end = s->loop_begin + 8;
    memcpy(text + s->loop_begin, motif, 8);
}

void proteins_make(struct proteins *p)
{
    for (int k = 0; k < N_TRAIN; k++)
        make_protein(k, p->text[k], &p->train[k]);
    for (int k = 0; k < N_VAL; k++)
        make_protein(N_TRAIN + k, p->text[N_TRAIN + k], &p->val[k]);
}

void run_defaults(struct run *r)
{
    *r = (struct run){.model = ASTER_MODEL_CNN,
                      .scheduler = "eager",
                      .cpus = 1,
                      .shards = 4,
                      .window = 3,
                      .epochs = 3,
                      .width = 8,
                      .pieces = -1,
                      .batch = 8,
                      .seed = 5,
                      .dir = "."};
}

static bool flag(const char *v)
{
    return !strcmp(v, "1");
}

int run_parse(int argc, char **argv, struct run *r)
{
    run_defaults(r);
    for (int k = 0; k < argc; k++) {
        char *v = strchr(argv[k], '=');
        if (!v)
            return -1;
        *v++ = '\0';
        const char *name = argv[k];
        const struct {
            const char *name;
            int64_t *at;
        } numbers[] = {
            {"shards", &r->shards}, {"window", &r->window},
            {"epochs", &r->epochs}, {"checkpoint_steps", &r->checkpoint_steps},
            {"batch", &r->batch},   {"stop_at", &r->stop_at},
            {"die_at", &r->die_at}, {"memory", &r->memory},
            {"width", &r->width},   {"pieces", &r->pieces},
        };
        const struct {
            const char *name;
            bool *at;
        } flags[] = {
            {"f64", &r->f64},       {"local_bn", &r->local_bn}, {"full_padding", &r->full_padding},
            {"resume", &r->resume}, {"clip", &r->clip},         {"rows", &r->rows},
            {"cosine", &r->cosine}, {"fail_row", &r->fail_row},
        };
        for (size_t j = 0; j < sizeof numbers / sizeof *numbers; j++)
            if (!strcmp(name, numbers[j].name))
                *numbers[j].at = atoll(v);
        for (size_t j = 0; j < sizeof flags / sizeof *flags; j++)
            if (!strcmp(name, flags[j].name))
                *flags[j].at = flag(v);
        if (!strcmp(name, "model"))
            r->model = !strcmp(v, "unet")   ? ASTER_MODEL_UNET
                       : !strcmp(v, "lstm") ? ASTER_MODEL_LSTM
                                            : ASTER_MODEL_CNN;
        if (!strcmp(name, "optimizer"))
            r->optimizer = !strcmp(v, "sgd")     ? ASTER_OPTIMIZER_SGD
                           : !strcmp(v, "adamw") ? ASTER_OPTIMIZER_ADAMW
                                                 : ASTER_OPTIMIZER_ADAM;
        for (int p = 0; !strcmp(name, "products") && p < ASTER_N_PRODUCTS; p++)
            if (!strcmp(v, aster_precision_name(ASTER_F32, (enum aster_products)p)))
                r->products = (enum aster_products)p;
        if (!strcmp(name, "scheduler"))
            r->scheduler = v;
        if (!strcmp(name, "reduction"))
            r->reduction = v;
        if (!strcmp(name, "cpus"))
            r->cpus = atoi(v);
        if (!strcmp(name, "seed"))
            r->seed = strtoull(v, NULL, 10);
        if (!strcmp(name, "dir"))
            r->dir = v;
    }
    return 0;
}

void run_config(const struct run *r, struct aster_train_config *c)
{
    *c = (struct aster_train_config){
        .real = r->f64 ? ASTER_F64 : ASTER_F32,
        .epochs = r->epochs,
        .batch_size = r->batch,
        .shards = r->shards,
        .bn = r->local_bn ? ASTER_BN_LOCAL : ASTER_BN_SYNC,
        .optimizer = r->optimizer,
        .momentum = 0.9,
        .min_lr = 1e-3,
        .learning_rate = 1e-2,
        .weight_decay = 1e-4,
        .beta1 = 0.9,
        .beta2 = 0.999,
        .eps = 1e-8,
        .clip_norm = r->clip ? 0.5 : 0,
        .schedule = r->cosine ? ASTER_SCHEDULE_COSINE : ASTER_SCHEDULE_PLATEAU,
        .plateau_factor = 0.5,
        .plateau_threshold = 1e-4,
        .plateau_patience = 0,
        .patience = 0,
        .class_weights = {1, 5},
        .seed = r->seed,
        .monitor = "val_f1",
        .monitor_max = true,
        .save_top_k = 2,
        .checkpoint_steps = r->checkpoint_steps,
        .window = r->window,
    };
    aster_model_defaults(r->model, 21, &c->model);
    c->model.products = r->products;
    c->model.max_length = MAX_LENGTH;
    c->model.n_layers = 2;
    c->model.channels[0] = r->width;
    c->model.channels[1] = 6;
    c->model.kernel_sizes[0] = 5;
    c->model.kernel_sizes[1] = 3;
    c->model.base_filters = 4;
    c->model.depth = 2;
    c->model.hidden_dim = 8;
}

int history_line(void *history, const struct aster_epoch *e)
{
    struct history *h = history;
    fprintf(h->f, "%lld %a %a %a %a %a %d\n", (long long)e->epoch, e->train_loss, e->val_loss,
            e->lr, e->val.f1, e->val.auc, e->best);
    return fflush(h->f) ? ASTER_EIO : 0;
}
