/* SPDX-License-Identifier: BSD-3-Clause */
/* config.json of a training: the tree that readers of the reference's runs know, with the names of
 * encoding and model on top. */
#include "flow/training.h"

#include <string.h>

struct writer {
    struct aster_str s;
    int depth;
    bool first;
    const struct aster_run *run;
    int stage;
};

static void key(struct writer *w, const char *name)
{
    aster_str_printf(&w->s, "%s\n%*s", w->first ? "" : ",", 2 * w->depth, "");
    aster_json_quote(&w->s, name);
    aster_str_add(&w->s, ": ");
    w->first = false;
}

static void open(struct writer *w, const char *name)
{
    key(w, name);
    aster_str_add(&w->s, "{");
    w->depth++;
    w->first = true;
}

static void close(struct writer *w)
{
    w->depth--;
    aster_str_printf(&w->s, "\n%*s}", 2 * w->depth, "");
    w->first = false;
}

static void text(struct writer *w, const char *name, const char *value)
{
    key(w, name);
    if (value)
        aster_json_quote(&w->s, value);
    else
        aster_str_add(&w->s, "null");
}

static void integer(struct writer *w, const char *name, int64_t v)
{
    key(w, name);
    aster_str_printf(&w->s, "%lld", (long long)v);
}

/* An option of the stage under the name that it has in the tree. */
static void option(struct writer *w, const char *name, const char *opt)
{
    const struct aster_opt_value *v = aster_run_value(w->run, w->stage, opt);
    const struct aster_opt *o = w->run->spec->stages[w->stage].kind->opts;
    while (strcmp(o->key, opt))
        o++;
    key(w, name);
    if (o->type == ASTER_OPT_INT) {
        aster_str_printf(&w->s, "%lld", (long long)v->i);
    } else if (o->type == ASTER_OPT_REAL) {
        aster_json_number(&w->s, v->x);
    } else if (o->type == ASTER_OPT_BOOL) {
        aster_str_add(&w->s, v->b ? "true" : "false");
    } else if (o->type == ASTER_OPT_INTS || o->type == ASTER_OPT_REALS) {
        aster_str_add(&w->s, "[");
        for (int64_t i = 0; i < v->n; i++) {
            aster_str_printf(&w->s, "%s\n%*s", i ? "," : "", 2 * w->depth + 2, "");
            if (o->type == ASTER_OPT_INTS)
                aster_str_printf(&w->s, "%lld", (long long)v->numbers[i]);
            else
                aster_json_number(&w->s, v->numbers[i]);
        }
        aster_str_printf(&w->s, v->n ? "\n%*s]" : "]", 2 * w->depth, "");
    } else {
        aster_json_quote(&w->s, v->text ? v->text : "");
    }
}

/* A parameter of the pipeline, when it has one of this name. */
static void parameter(struct writer *w, const char *name, const char *param, bool number)
{
    for (int i = 0; i < w->run->spec->n_params; i++) {
        const struct aster_run_param *p = &w->run->spec->params[i];
        if (strcmp(p->name, param) || !p->value)
            continue;
        key(w, name);
        if (number)
            aster_str_add(&w->s, p->value);
        else
            aster_json_quote(&w->s, p->value);
    }
}

static void data(struct writer *w, const struct aster_training *t)
{
    open(w, "data");
    integer(w, "max_length", t->split->max_length);
    parameter(w, "train_split", "train_split", true);
    parameter(w, "random_seed", "split_seed", true);
    parameter(w, "train_serpin", "train_serpin", false);
    parameter(w, "train_non_serpin", "train_non_serpin", false);
    parameter(w, "test_serpin", "test_serpin", false);
    parameter(w, "test_non_serpin", "test_non_serpin", false);
    close(w);
}

static void encodings(struct writer *w)
{
    static const struct {
        const char *name;
        int64_t dim;
    } list[] = {{"onehot", 21}, {"blosum", 20}, {"esm2", 1280}, {"esm2_650m", 1280}};
    open(w, "encodings");
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        open(w, list[i].name);
        integer(w, "dim", list[i].dim);
        close(w);
    }
    close(w);
}

static void models(struct writer *w)
{
    open(w, "models");
    open(w, "cnn");
    option(w, "channels", "cnn_channels");
    option(w, "kernel_sizes", "cnn_kernel_sizes");
    option(w, "dropout", "cnn_dropout");
    close(w);
    open(w, "unet");
    option(w, "base_filters", "unet_base_filters");
    option(w, "depth", "unet_depth");
    option(w, "dropout", "unet_dropout");
    option(w, "attention", "unet_attention");
    close(w);
    open(w, "lstm");
    option(w, "hidden_dim", "lstm_hidden_dim");
    option(w, "num_layers", "lstm_num_layers");
    option(w, "dropout", "lstm_dropout");
    close(w);
    close(w);
}

static void training(struct writer *w, const struct aster_training *t)
{
    static const char *const options[] = {"epochs",
                                          "learning_rate",
                                          "weight_decay",
                                          "patience",
                                          "loss_weights",
                                          "optimizer",
                                          "beta1",
                                          "beta2",
                                          "eps",
                                          "momentum",
                                          "scheduler",
                                          "plateau_factor",
                                          "plateau_threshold",
                                          "plateau_patience",
                                          "min_lr",
                                          "save_top_k",
                                          "monitor",
                                          "mode",
                                          "precision",
                                          "clip_norm",
                                          "seed",
                                          "bn",
                                          "shards"};
    open(w, "training");
    integer(w, "batch_size", t->batch_size);
    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        option(w, options[i], options[i]);
    close(w);
}

int aster_config_json(const struct aster_training *t)
{
    struct writer w = {.depth = 1, .first = true, .run = t->run, .stage = t->stage};
    char *path = NULL;
    aster_str_add(&w.s, "{");
    text(&w, "encoding", t->encoding);
    text(&w, "model", t->model);
    option(&w, "epochs", "epochs");
    text(&w, "precomputed", t->embeddings ? aster_embeddings_path(t->embeddings) : NULL);
    data(&w, t);
    encodings(&w);
    models(&w);
    training(&w, t);
    open(&w, "logging");
    option(&w, "use_tensorboard", "tensorboard");
    option(&w, "log_interval", "log_interval");
    close(&w);
    aster_str_add(&w.s, "\n}");
    int rc = aster_str_ok(t->run->ctx, &w.s);
    if (rc == 0)
        rc = aster_path_join(t->run->ctx, t->dir, "config.json", &path);
    if (rc == 0)
        rc = aster_file_write(t->run->ctx, path, w.s.s, (int64_t)w.s.len);
    aster_free(&path);
    aster_str_free(&w.s);
    return rc;
}
