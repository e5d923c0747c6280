/* SPDX-License-Identifier: BSD-3-Clause */
/* Checkpoints and model files: one HDF5 layout, written whole or not at all. */
#include "train/internal.h"
#include "train/tensors.h"

#include <string.h>

#define FORMAT 1

struct scalar {
    const char *name;
    bool is_int;
    void *at;
};

/* The numbers of a progress by name. */
static int scalars_of(struct progress *p, struct scalar *out)
{
    struct scalar list[] = {
        {"epoch", true, &p->epoch},
        {"batch", true, &p->batch},
        {"step", true, &p->step},
        {"loss_sum", false, &p->loss_sum},
        {"lr", false, &p->lr},
        {"plateau_best", false, &p->plateau_best},
        {"plateau_bad", true, &p->plateau_bad},
        {"best", false, &p->best},
        {"best_epoch", true, &p->best_epoch},
        {"without_better", true, &p->without_better},
        {"skipped", true, &p->skipped},
    };
    memcpy(out, list, sizeof list);
    return (int)(sizeof list / sizeof *list);
}
enum { MAX_SCALARS = 16 };

static int write_model(struct aster_h5 *f, const struct snapshot *s)
{
    struct aster_str model = {0};
    model_to_json(s->model, &model);
    int rc = aster_h5_attr_set_str(f, "/", "model", aster_str_get(&model));
    aster_str_free(&model);
    ASTER_TRY(rc);
    ASTER_TRY(aster_h5_attr_set_str(f, "/", "encoding", s->encoding));
    ASTER_TRY(aster_h5_attr_set_f64(f, "/", "class_weight_0", s->class_weights[0]));
    return aster_h5_attr_set_f64(f, "/", "class_weight_1", s->class_weights[1]);
}

static int write_head(struct aster_h5 *f, const struct snapshot *s, const char *isa)
{
    if (s->model)
        ASTER_TRY(write_model(f, s));
    ASTER_TRY(aster_h5_attr_set_i64(f, "/", "asterism_checkpoint", FORMAT));
    ASTER_TRY(aster_h5_attr_set_str(f, "/", "provenance", s->provenance));
    ASTER_TRY(aster_h5_attr_set_str(f, "/", "config", s->config));
    return aster_h5_attr_set_str(f, "/", "isa", isa);
}

static int write_progress(struct aster_h5 *f, const struct progress *progress)
{
    struct progress p = *progress;
    struct scalar list[MAX_SCALARS];
    int n = scalars_of(&p, list);
    for (int k = 0; k < n; k++)
        if (list[k].is_int)
            ASTER_TRY(aster_h5_attr_set_i64(f, "/", list[k].name, *(int64_t *)list[k].at));
        else
            ASTER_TRY(aster_h5_attr_set_f64(f, "/", list[k].name, *(double *)list[k].at));
    ASTER_TRY(aster_h5_write(f, "top/epoch", ASTER_I64, 1, &p.n_top, p.top_epoch));
    return aster_h5_write(f, "top/value", ASTER_F64, 1, &p.n_top, p.top_value);
}

static int write_all(struct aster_ctx *ctx, struct aster_h5 *f, const struct snapshot *s,
                     const char *isa)
{
    ASTER_TRY(write_head(f, s, isa));
    ASTER_TRY(write_progress(f, &s->progress));
    char hash[24];
    snprintf(hash, sizeof hash, "%016llx", (unsigned long long)aster_program_hash(s->program));
    ASTER_TRY(aster_h5_attr_set_str(f, "/", "program", hash));
    ASTER_TRY(tensors_write(ctx, f, "weights", s->program, false, s->params));
    ASTER_TRY(tensors_write(ctx, f, "buffers", s->program, true, s->buffers));
    bool adam = s->optimizer != ASTER_OPTIMIZER_SGD;
    if (s->m)
        ASTER_TRY(tensors_write(ctx, f, adam ? "adam_m" : "momentum", s->program, false, s->m));
    if (s->v)
        ASTER_TRY(tensors_write(ctx, f, "adam_v", s->program, false, s->v));
    return 0;
}

int snapshot_write(struct aster_ctx *ctx, const char *path, const struct snapshot *s,
                   const char *isa)
{
    struct aster_h5 *f;
    ASTER_TRY(aster_h5_create(ctx, path, &f));
    int rc = write_all(ctx, f, s, isa);
    if (rc == 0)
        return aster_h5_commit(&f);
    aster_h5_close(&f);
    return rc;
}

static int read_progress(struct aster_ctx *ctx, struct aster_h5 *f, const char *path,
                         struct progress *p)
{
    struct scalar list[MAX_SCALARS];
    struct aster_h5_shape shape;
    int n = scalars_of(p, list);
    for (int k = 0; k < n; k++)
        if (list[k].at == &p->skipped && !aster_h5_attr_has(f, "/", list[k].name))
            p->skipped = 0; /* of an earlier version: none were */
        else if (list[k].is_int)
            ASTER_TRY(aster_h5_attr_i64(f, "/", list[k].name, list[k].at));
        else
            ASTER_TRY(aster_h5_attr_f64(f, "/", list[k].name, list[k].at));
    ASTER_TRY(aster_h5_shape(f, "top/epoch", &shape));
    if (shape.n > TOP_MAX || p->epoch < 0 || p->batch < 0 || p->step < 0)
        return aster_fail(ctx, ASTER_EFORMAT, "%s: its counters are out of range; it is damaged",
                          path);
    p->n_top = shape.n;
    int64_t *epochs = NULL;
    double *values = NULL;
    int rc = aster_h5_read(f, "top/epoch", ASTER_I64, p->n_top, &epochs);
    if (rc == 0)
        rc = aster_h5_read(f, "top/value", ASTER_F64, p->n_top, &values);
    for (int64_t k = 0; rc == 0 && k < p->n_top; k++) {
        p->top_epoch[k] = epochs[k];
        p->top_value[k] = values[k];
    }
    aster_free(&epochs);
    aster_free(&values);
    return rc;
}

static int check_config(struct aster_ctx *ctx, struct aster_h5 *f, const char *path,
                        const struct snapshot *s)
{
    char *config = NULL, *program = NULL, ours[24];
    if (!aster_h5_attr_has(f, "/", "asterism_checkpoint"))
        return aster_fail(
            ctx, ASTER_EFORMAT,
            "%s: is no checkpoint of this program (attribute asterism_checkpoint is missing)",
            path);
    int64_t format;
    ASTER_TRY(aster_h5_attr_i64(f, "/", "asterism_checkpoint", &format));
    if (format != FORMAT)
        return aster_fail(ctx, ASTER_EFORMAT, "%s: format %lld, this program reads %d", path,
                          (long long)format, FORMAT);
    ASTER_TRY(aster_h5_attr_str(f, "/", "config", &config));
    int rc = config_compare(ctx, path, config, s->config);
    aster_free(&config);
    ASTER_TRY(rc);
    ASTER_TRY(aster_h5_attr_str(f, "/", "program", &program));
    snprintf(ours, sizeof ours, "%016llx", (unsigned long long)aster_program_hash(s->program));
    if (strcmp(program, ours))
        aster_log(ctx, ASTER_LOG_WARN,
                  "%s was written by another version of this program; results may differ in the "
                  "last bits",
                  path);
    aster_free(&program);
    return 0;
}

static int read_all(struct aster_ctx *ctx, struct aster_h5 *f, const char *path, struct snapshot *s,
                    char **isa)
{
    int64_t n = aster_program_class_n(s->program, ASTER_CLASS_PARAM),
            n_buffers = aster_program_class_n(s->program, ASTER_CLASS_BUFFER);
    size_t real = (size_t)aster_dtype_size(aster_program_real(s->program));
    bool adam = s->optimizer != ASTER_OPTIMIZER_SGD;
    ASTER_TRY(check_config(ctx, f, path, s));
    ASTER_TRY(aster_alloc(ctx, n, real, &s->params));
    ASTER_TRY(aster_alloc(ctx, n, real, &s->m));
    ASTER_TRY(aster_alloc(ctx, n_buffers, sizeof *s->buffers, &s->buffers));
    ASTER_TRY(read_progress(ctx, f, path, &s->progress));
    ASTER_TRY(tensors_read(ctx, f, path, "weights", s->program, false, s->params));
    ASTER_TRY(tensors_read(ctx, f, path, "buffers", s->program, true, s->buffers));
    ASTER_TRY(tensors_read(ctx, f, path, adam ? "adam_m" : "momentum", s->program, false, s->m));
    if (adam) {
        ASTER_TRY(aster_alloc(ctx, n, real, &s->v));
        ASTER_TRY(tensors_read(ctx, f, path, "adam_v", s->program, false, s->v));
    }
    return aster_h5_attr_str(f, "/", "isa", isa);
}

int snapshot_read(struct aster_ctx *ctx, const char *path, struct snapshot *s, char **isa)
{
    struct aster_h5 *f;
    *isa = NULL;
    ASTER_TRY(aster_h5_open(ctx, path, &f));
    int rc = read_all(ctx, f, path, s, isa);
    aster_h5_close(&f);
    return rc;
}

void snapshot_free(struct snapshot *s)
{
    aster_free(&s->params);
    aster_free(&s->buffers);
    aster_free(&s->m);
    aster_free(&s->v);
}
