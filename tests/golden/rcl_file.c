/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads golden files: attributes, inputs, stored tensors, generated weights. */
#include "golden/rcl_file.h"

#include "train/train.h"

#include <math.h>
#include <string.h>

static int wrong(struct golden *g, const char *what)
{
    return aster_fail(g->ctx, ASTER_EFORMAT, "%s: %s", g->path, what);
}

/* ---- the model ---- */

static int sizes(struct golden *g, const struct aster_json *list, int64_t *out, int *n)
{
    *n = 0;
    for (const struct aster_json *x = list->child; x; x = x->next) {
        if (*n == ASTER_MODEL_MAX_LAYERS || !x->is_int)
            return wrong(g, "model_config: a list of at most 16 integers is expected");
        out[(*n)++] = x->integer;
    }
    return 0;
}

static int model_field(struct golden *g, const struct aster_json *f)
{
    struct aster_model_config *c = &g->model;
    int n = c->n_layers;
    if (!strcmp(f->key, "channels"))
        ASTER_TRY(sizes(g, f, c->channels, &c->n_layers));
    else if (!strcmp(f->key, "kernel_sizes"))
        ASTER_TRY(sizes(g, f, c->kernel_sizes, &n));
    else if (!strcmp(f->key, "base_filters"))
        c->base_filters = f->integer;
    else if (!strcmp(f->key, "depth"))
        c->depth = (int)f->integer;
    else if (!strcmp(f->key, "attention"))
        c->attention = f->boolean;
    else if (!strcmp(f->key, "hidden_dim"))
        c->hidden_dim = f->integer;
    else if (!strcmp(f->key, "num_layers"))
        c->num_layers = (int)f->integer;
    else if (!strcmp(f->key, "num_classes") && f->integer != 2)
        return wrong(g, "model_config: num_classes is not 2");
    return 0;
}

static int read_model(struct golden *g)
{
    char *name = NULL, *text = NULL;
    struct aster_json *fields = NULL;
    int rc, kind = 0;
    ASTER_GOTO(aster_h5_attr_str(g->h5, "/", "model", &name), done);
    ASTER_GOTO(aster_h5_attr_str(g->h5, "/", "model_config", &text), done);
    ASTER_GOTO(aster_json_parse(g->ctx, g->path, text, strlen(text), &fields), done);
    while (kind < ASTER_N_MODEL_KINDS &&
           strcmp(aster_model_name((enum aster_model_kind)kind), name))
        kind++;
    if (kind == ASTER_N_MODEL_KINDS) {
        rc = wrong(g, "attribute model: cnn, unet or lstm is expected");
        goto done;
    }
    aster_model_defaults((enum aster_model_kind)kind, g->dim, &g->model);
    g->model.max_length = g->length;
    for (const struct aster_json *f = fields->child; f; f = f->next)
        ASTER_GOTO(model_field(g, f), done);
    g->model.dropout = 0;
    rc = aster_model_check(g->ctx, &g->model);
done:
    aster_json_free(&fields);
    aster_free(&name);
    aster_free(&text);
    return rc;
}

static int read_attributes(struct golden *g)
{
    ASTER_TRY(aster_h5_attr_i64(g->h5, "/", "batch", &g->batch));
    ASTER_TRY(aster_h5_attr_i64(g->h5, "/", "max_length", &g->length));
    ASTER_TRY(aster_h5_attr_i64(g->h5, "/", "input_dim", &g->dim));
    ASTER_TRY(aster_h5_attr_i64(g->h5, "/", "seed", &g->seed));
    ASTER_TRY(aster_h5_attr_i64(g->h5, "/", "n_parameters", &g->n_parameters));
    ASTER_TRY(aster_h5_attr_f64(g->h5, "/", "bound_scale", &g->bound_scale));
    ASTER_TRY(aster_h5_attr_f64(g->h5, "/", "learning_rate", &g->learning_rate));
    ASTER_TRY(aster_h5_attr_f64(g->h5, "/", "weight_decay", &g->weight_decay));
    ASTER_TRY(aster_h5_attr_f64(g->h5, "/", "adam_beta1", &g->beta1));
    ASTER_TRY(aster_h5_attr_f64(g->h5, "/", "adam_beta2", &g->beta2));
    ASTER_TRY(aster_h5_attr_f64(g->h5, "/", "adam_eps", &g->eps));
    ASTER_TRY(aster_h5_attr_f64(g->h5, "/", "well_conditioned_threshold", &g->well_conditioned));
    ASTER_TRY(aster_h5_attr_f64s(g->h5, "/", "loss_weights", 2, g->class_weights));
    ASTER_TRY(aster_h5_attr_str(g->h5, "/", "encoding", &g->encoding));
    ASTER_TRY(aster_h5_attr_str(g->h5, "/", "parameter_order", &g->order));
    if (g->batch < 1 || g->batch > 1 << 16 || g->length < 1 || g->length > 1 << 20 || g->dim < 1 ||
        g->dim > 1 << 16)
        return wrong(g, "attributes batch, max_length, input_dim: positive numbers are expected");
    return 0;
}

/* ---- the inputs ---- */

struct truth {
    int64_t *length, *begin, *end;
}; /* per sample */

static int read_labels(struct golden *g, const struct truth *t)
{
    float *pairs = NULL;
    uint8_t *mask = NULL;
    int64_t n = g->batch * g->length;
    int rc;
    ASTER_GOTO(aster_h5_read(g->h5, "inputs/labels", ASTER_F32, 2 * n, &pairs), done);
    ASTER_GOTO(aster_h5_read(g->h5, "inputs/mask", ASTER_U8, n, &mask), done);
    ASTER_GOTO(aster_alloc(g->ctx, n, 1, &g->labels), done);
    for (int64_t i = 0; i < n; i++) {
        int64_t b = i / g->length, at = i % g->length;
        bool inside = at < t->length[b], loop = at >= t->begin[b] && at < t->end[b];
        g->labels[i] = inside ? loop : 255;
        g->counted += inside;
        float expected[2] = {inside ? !loop : 9999, inside ? loop : 9999};
        if (pairs[2 * i] != expected[0] || pairs[2 * i + 1] != expected[1] ||
            (mask[i] != 0) != inside) {
            rc = aster_fail(
                g->ctx, ASTER_EFORMAT,
                "%s: inputs/labels or mask of sample %lld, position %lld is not what lengths and "
                "loop bounds say",
                g->path, (long long)b, (long long)at);
            goto done;
        }
    }
done:
    aster_free(&pairs);
    aster_free(&mask);
    return rc;
}

static int compare_encoding(struct golden *g, const struct truth *t, char *const *sequences)
{
    struct aster_encoding e;
    ASTER_TRY(aster_encoding_table(g->ctx, g->encoding, &e));
    if (e.dim != g->dim)
        return wrong(g, "input_dim is not the encoding's");
    for (int64_t i = 0; i < g->batch * g->length; i++) {
        int64_t b = i / g->length, at = i % g->length;
        const double *row =
            at < t->length[b] ? e.table + e.code[(unsigned char)sequences[b][at]] * e.dim : NULL;
        for (int64_t k = 0; k < g->dim; k++)
            if (g->x[i * g->dim + k] != (row ? (float)row[k] : 0))
                return aster_fail(g->ctx, ASTER_EFORMAT,
                                  "%s: sample %lld, position %lld, column %lld: our encoding gives "
                                  "%g, inputs/x has %g",
                                  g->path, (long long)b, (long long)at, (long long)k,
                                  row ? row[k] : 0, (double)g->x[i * g->dim + k]);
    }
    return 0;
}

static int check_encoding(struct golden *g, const struct truth *t)
{
    char **sequences = NULL;
    int64_t n = 0;
    if (strcmp(g->encoding, "onehot") && strcmp(g->encoding, "blosum"))
        return 0;
    ASTER_TRY(aster_h5_read_strings(g->h5, "inputs/sequences", &sequences, &n));
    int rc = n == g->batch ? 0 : wrong(g, "inputs/sequences: one per sample is expected");
    for (int64_t b = 0; rc == 0 && b < n; b++)
        if ((int64_t)strlen(sequences[b]) != t->length[b])
            rc = wrong(g, "inputs/sequences: a length differs from inputs/lengths");
    if (rc == 0)
        rc = compare_encoding(g, t, sequences);
    aster_strings_free(&sequences, n);
    return rc;
}

static int read_inputs(struct golden *g)
{
    struct truth t = {0};
    int rc;
    ASTER_GOTO(aster_h5_read(g->h5, "inputs/lengths", ASTER_I64, g->batch, &t.length), done);
    ASTER_GOTO(aster_h5_read(g->h5, "inputs/rcl_start", ASTER_I64, g->batch, &t.begin), done);
    ASTER_GOTO(aster_h5_read(g->h5, "inputs/rcl_end", ASTER_I64, g->batch, &t.end), done);
    for (int64_t b = 0; b < g->batch; b++)
        if (t.length[b] < 0 || t.length[b] > g->length) {
            rc = wrong(g, "inputs/lengths: 0 to max_length is expected");
            goto done;
        }
    ASTER_GOTO(aster_h5_read(g->h5, "inputs/x", ASTER_F32, g->batch * g->length * g->dim, &g->x),
               done);
    ASTER_GOTO(read_labels(g, &t), done);
    rc = check_encoding(g, &t);
done:
    aster_free(&t.length);
    aster_free(&t.begin);
    aster_free(&t.end);
    return rc;
}

int golden_open(struct aster_ctx *ctx, const char *path, struct golden *g)
{
    *g = (struct golden){.ctx = ctx, .path = path};
    int rc;
    ASTER_GOTO(aster_h5_open(ctx, path, &g->h5), fail);
    ASTER_GOTO(read_attributes(g), fail);
    ASTER_GOTO(read_model(g), fail);
    ASTER_GOTO(read_inputs(g), fail);
    g->has_dp2 = aster_h5_has(g->h5, "dp2");
    return 0;
fail:
    golden_close(g);
    return rc;
}

void golden_close(struct golden *g)
{
    aster_h5_close(&g->h5);
    aster_free(&g->encoding);
    aster_free(&g->order);
    aster_free(&g->x);
    aster_free(&g->labels);
}

/* ---- stored tensors ---- */

int golden_attr(struct golden *g, const char *object, const char *name, double fallback,
                double *out)
{
    *out = fallback;
    return aster_h5_attr_has(g->h5, object, name) ? aster_h5_attr_f64(g->h5, object, name, out) : 0;
}

int golden_number(struct golden *g, const char *name, int64_t n, double *out)
{
    double *v = NULL;
    ASTER_TRY(aster_h5_read(g->h5, name, ASTER_F64, n, &v));
    memcpy(out, v, (size_t)n * sizeof *out);
    aster_free(&v);
    return 0;
}

int stored_read(struct golden *g, const char *group, const char *name, int64_t n,
                struct stored *out)
{
    char path[256];
    struct aster_h5_shape shape;
    double sampled, complete;
    *out = (struct stored){.n = n};
    snprintf(path, sizeof path, "%s/%s", group, name);
    ASTER_TRY(aster_h5_shape(g->h5, path, &shape));
    ASTER_TRY(golden_attr(g, path, "sampled", 0, &sampled));
    ASTER_TRY(golden_attr(g, path, "n", (double)shape.n, &complete));
    if (complete != (double)n || (sampled == 0 && shape.n != n) ||
        (sampled != 0 && (shape.n < 1 || shape.n > n)))
        return aster_fail(g->ctx, ASTER_EFORMAT,
                          "%s: %s has %lld entries of %.0f, expected a tensor of %lld", g->path,
                          path, (long long)shape.n, complete, (long long)n);
    out->count = shape.n;
    ASTER_TRY(golden_attr(g, path, "sum", NAN, &out->sum));
    ASTER_TRY(golden_attr(g, path, "l2", NAN, &out->l2));
    ASTER_TRY(golden_attr(g, path, "max_abs", NAN, &out->max_abs));
    ASTER_TRY(golden_attr(g, path, "f32_max_abs_diff", 0, &out->f32_diff));
    ASTER_TRY(aster_h5_read(g->h5, path, ASTER_F64, shape.n, &out->v));
    if (isnan(out->max_abs)) {
        out->max_abs = 0;
        for (int64_t k = 0; k < out->count; k++)
            out->max_abs = fmax(out->max_abs, fabs(out->v[k]));
    }
    return 0;
}

void stored_free(struct stored *s)
{
    aster_free(&s->v);
}

int64_t stored_position(const struct stored *s, int64_t k)
{
    return s->count == s->n ? k : k * s->n / s->count;
}

/* ---- weights ---- */

static void generate(const struct golden *g, const struct aster_param_info *info, float *theirs)
{
    size_t length = strlen(info->name);
    uint64_t base = aster_fnv1a64(info->name, length) ^ (uint64_t)g->seed * 0x9E3779B97F4A7C15ULL;
    bool norm_weight =
        info->fan_in == 0 && length > 7 && !strcmp(info->name + length - 7, ".weight");
    float scale = info->fan_in  ? (float)(g->bound_scale / sqrt((double)info->fan_in))
                  : norm_weight ? 0.25f
                                : 0.1f;
    for (int64_t i = 0; i < info->n; i++) {
        uint64_t z = aster_mix64(base + (uint64_t)(i + 1) * 0x9E3779B97F4A7C15ULL);
        float r = (float)((double)(z >> 40) * 0x1p-23 - 1);
        theirs[i] = scale * r;
        if (norm_weight)
            theirs[i] += 1;
    }
}

int golden_weights(struct golden *g, const struct aster_param_info *info, float *theirs)
{
    struct stored s;
    int rc;
    ASTER_GOTO(stored_read(g, "weights", info->name, info->n, &s), done);
    generate(g, info, theirs);
    for (int64_t k = 0; k < s.count; k++) {
        int64_t at = stored_position(&s, k);
        if (s.count == s.n)
            theirs[at] = (float)s.v[k];
        else if (theirs[at] != (float)s.v[k]) {
            rc = aster_fail(g->ctx, ASTER_EFORMAT,
                            "%s: weights/%s is sampled and not from the generator: element %lld is "
                            "%.9g, generated %.9g",
                            g->path, info->name, (long long)at, s.v[k], (double)theirs[at]);
            goto done;
        }
    }
done:
    stored_free(&s);
    return rc;
}
