/* SPDX-License-Identifier: BSD-3-Clause */
/* golden-esm2 FILE.h5...: ESM-2 against files of reference results, forward and gradients; one line
 * per file with its largest error. */
#include "flow/pretrained.h"
#include "golden/lm_file.h"

#include <math.h>
#include <string.h>

/* of an array's norm */
#define F64_ROWS       1e-10
#define F64_GRAD       1e-9
#define F32_ALL        5e-6
#define BF16_SMALL     1.5e-2 /* means: half of it */
#define BF16_PUBLISHED 2.5e-2 /* models of the published sizes */

struct sequence {
    char *name;
    struct lm_tokens tokens;
};

struct file {
    struct aster_ctx *ctx;
    const struct golden_options *o;
    const char *path;
    struct aster_h5 *h5;
    struct aster_language_config c;
    int64_t seed, n;
    struct aster_pretrained *pretrained; /* NULL: generated */
    float *frequency; /* in force, for generated weights and to compare with stored ones */
    struct sequence *sequence;
    struct lm_tokens *tokens;
    enum aster_dtype type; /* what is computed now; bf16: with f32 */
    struct golden_score *score;
};

static int wrong(struct file *f, const char *what)
{
    return aster_fail(f->ctx, ASTER_EFORMAT, "%s: %s", f->path, what);
}

/* ---- weights ---- */

static bool contains(const char *s, const char *part)
{
    return strstr(s, part) != NULL;
}

/* README of the golden files: scale and shift by kind of tensor */
static void generate(void *arg, const char *name, const struct aster_param_info *info, float *out)
{
    const struct file *f = arg;
    bool is_norm = contains(name, "LayerNorm.") || contains(name, "layer_norm_after."),
         is_bias = contains(name, ".bias");
    float a = 0.1f, shift = 0;
    char full[200];
    if (contains(name, "word_embeddings")) {
        a = 1;
    } else if (is_norm && !is_bias) {
        a = 0.25f;
        shift = 1;
    } else if (!is_bias) {
        double s = contains(name, ".query.") || contains(name, ".key.")           ? 1.5
                   : contains(name, ".value.") || contains(name, "intermediate.") ? 1
                                                                                  : 0.5;
        a = (float)(s * sqrt(3 / (double)info->fan_in));
    }
    snprintf(full, sizeof full, "esm.%s", name);
    lm_generate(full, f->seed, info->n, a, shift, out);
}

static int read_block(void *arg, int64_t block, const struct aster_program *p, void *flat)
{
    struct file *f = arg;
    ASTER_TRY(f->pretrained ? aster_pretrained_read(f->pretrained, block, p, flat)
                            : lm_generate_block(f->ctx, &f->c, block, p, generate, f, flat));
    lm_perturb(f->o, block, p, flat);
    return 0;
}

static const float *frequencies(void *arg, int64_t layer)
{
    const struct file *f = arg;
    return f->pretrained ? aster_pretrained_frequencies(f->pretrained, layer) : f->frequency;
}

static int check_frequencies(struct file *f)
{
    int64_t n = f->c.width / f->c.n_heads / 2;
    float *rule = NULL;
    ASTER_TRY(aster_h5_read(f->h5, "inv_freq", ASTER_F32, n, &f->frequency));
    if (!f->pretrained) {
        ASTER_TRY(aster_alloc(f->ctx, n, sizeof *rule, &rule));
        aster_esm2_frequencies(n, rule);
    }
    for (int64_t layer = 0; layer < (f->pretrained ? f->c.n_layers : 1); layer++) {
        const float *ours = rule ? rule : aster_pretrained_frequencies(f->pretrained, layer);
        golden_fraction(f->score,
                        memcmp(ours, f->frequency, (size_t)n * sizeof *ours) ? (double)INFINITY : 0,
                        "inv_freq of layer %lld", (long long)layer);
    }
    aster_free(&rule);
    return 0;
}

/* What fair-esm stores of the same model gives the same parameters, and its configuration. */
static int check_fair(struct file *f, const char *path)
{
    struct aster_language_config c;
    struct aster_weightfile *w = NULL;
    struct aster_pretrained *fair = NULL;
    struct lm_net n[2] = {0};
    struct lm_source source[2] = {{f, read_block, frequencies}, {f, read_block, frequencies}};
    int rc;
    ASTER_GOTO(aster_weightfile_open(f->ctx, path, &w), done);
    ASTER_GOTO(aster_pretrained_config_fair(f->ctx, w, &c), done);
    bool same = c.n_layers == f->c.n_layers && c.width == f->c.width && c.n_heads == f->c.n_heads &&
                c.inner == f->c.inner && c.n_ids == f->c.n_ids;
    golden_fraction(f->score, same ? 0 : (double)INFINITY, "configuration in %s",
                    aster_path_base(path));
    ASTER_GOTO(aster_pretrained_open(f->ctx, path, &c, &fair), done);
    for (int k = 0; k < 2; k++)
        ASTER_GOTO(lm_net_new(f->ctx, f->o->be, ASTER_F64, &f->c, &source[k], false, &n[k]), done);
    for (int64_t block = 0; block < aster_language_n_blocks(&c); block++) {
        const struct aster_program *p = n[0].eval[aster_language_part_of(&c, block)];
        ASTER_GOTO(aster_pretrained_read(f->pretrained, block, p, n[0].params), done);
        ASTER_GOTO(aster_pretrained_read(fair, block, p, n[1].params), done);
        size_t bytes = (size_t)aster_program_class_n(p, ASTER_CLASS_PARAM) * sizeof(double);
        golden_fraction(f->score, memcmp(n[0].params, n[1].params, bytes) ? (double)INFINITY : 0,
                        "parameters of block %lld in %s", (long long)block, aster_path_base(path));
    }
done:
    aster_pretrained_close(&fair);
    aster_weightfile_close(&w);
    lm_net_free(&n[0]);
    lm_net_free(&n[1]);
    return rc;
}

static int open_weights(struct file *f)
{
    char *folder = NULL, *weights = NULL, path[4096];
    int rc;
    ASTER_GOTO(aster_h5_attr_str(f->h5, "/", "weights", &weights), done);
    ASTER_GOTO(golden_folder(f->ctx, f->path, &folder), done);
    if (strcmp(weights, "generator") != 0) {
        snprintf(path, sizeof path, "%s%s/model.safetensors.index.json", folder, weights);
        if (!aster_file_exists(path))
            snprintf(path, sizeof path, "%s%s/model.safetensors", folder, weights);
        ASTER_GOTO(aster_pretrained_open(f->ctx, path, &f->c, &f->pretrained), done);
    }
    ASTER_GOTO(check_frequencies(f), done);
    snprintf(path, sizeof path, "%s%s/fair_esm.pt", folder, weights);
    if (f->pretrained && aster_file_exists(path))
        rc = check_fair(f, path);
done:
    aster_free(&folder);
    aster_free(&weights);
    return rc;
}

/* ---- the file ---- */

static int read_config(struct file *f)
{
    char *text = NULL;
    struct aster_json *j = NULL;
    int64_t layers, width, heads;
    int rc;
    ASTER_GOTO(aster_h5_attr_str(f->h5, "/", "config", &text), done);
    ASTER_GOTO(aster_json_parse(f->ctx, f->path, text, strlen(text), &j), done);
    ASTER_GOTO(aster_pretrained_config_json(f->ctx, f->path, j, &f->c), done);
    ASTER_GOTO(aster_h5_attr_i64(f->h5, "/", "layers", &layers), done);
    ASTER_GOTO(aster_h5_attr_i64(f->h5, "/", "width", &width), done);
    ASTER_GOTO(aster_h5_attr_i64(f->h5, "/", "heads", &heads), done);
    ASTER_GOTO(aster_h5_attr_i64(f->h5, "/", "seed", &f->seed), done);
    if (f->c.kind != ASTER_LANGUAGE_ESM2)
        rc = wrong(f, "attribute config: another model than esm");
    else if (layers > f->c.n_layers || width != f->c.width || heads != f->c.n_heads)
        rc = wrong(f, "attributes layers, width and heads are not those of config");
    f->c.n_layers = rc == 0 ? layers : f->c.n_layers;
done:
    aster_json_free(&j);
    aster_free(&text);
    return rc;
}

static int read_sequences(struct file *f)
{
    char **names = NULL;
    int64_t n = 0;
    ASTER_TRY(aster_h5_list(f->h5, "sequences", &names, &n));
    int rc = n > 0 ? aster_alloc(f->ctx, n, sizeof *f->sequence, &f->sequence)
                   : wrong(f, "group sequences is empty");
    if (rc == 0)
        rc = aster_alloc(f->ctx, n, sizeof *f->tokens, &f->tokens);
    for (int64_t k = 0; rc == 0 && k < n; k++) {
        struct sequence *s = &f->sequence[k];
        char set[300];
        struct aster_h5_shape shape;
        snprintf(set, sizeof set, "sequences/%s/ids", names[k]);
        rc = aster_strdup(f->ctx, names[k], &s->name);
        if (rc == 0)
            rc = aster_h5_shape(f->h5, set, &shape);
        if (rc == 0)
            rc = aster_h5_read(f->h5, set, ASTER_I32, shape.n, &s->tokens.ids);
        s->tokens.n = rc == 0 ? shape.n : 0;
        f->tokens[k] = s->tokens;
        f->n = k + 1;
        if (rc == 0 && shape.n < 2)
            rc = wrong(f, "a sequence has fewer than two tokens");
    }
    aster_h5_names_free(&names, n);
    return rc;
}

static int file_open(struct file *f)
{
    ASTER_TRY(aster_h5_open(f->ctx, f->path, &f->h5));
    ASTER_TRY(read_config(f));
    ASTER_TRY(read_sequences(f));
    return open_weights(f);
}

static void file_close(struct file *f)
{
    for (int64_t k = 0; f->sequence && k < f->n; k++) {
        aster_free(&f->sequence[k].name);
        aster_free(&f->sequence[k].tokens.ids);
    }
    aster_free(&f->sequence);
    aster_free(&f->tokens);
    aster_free(&f->frequency);
    aster_pretrained_close(&f->pretrained);
    aster_h5_close(&f->h5);
}

/* ---- forward ---- */

static int judge(struct file *f, const struct sequence *s, const char *array, int64_t number,
                 int64_t n, const double *got, double limit)
{
    char set[300];
    double *want = NULL;
    snprintf(set, sizeof set, "sequences/%s/%s_%lld", s->name, array, (long long)number);
    if (!aster_h5_has(f->h5, set))
        return 0;
    ASTER_TRY(aster_h5_read(f->h5, set, ASTER_F64, n, &want));
    golden_judge(f->score, n, got, want, limit, "%s %s %s_%lld", aster_dtype_name(f->type), s->name,
                 array, (long long)number);
    aster_free(&want);
    return 0;
}

/* Over the residues, without the tokens before and after */
static int judge_mean(struct file *f, const struct sequence *s, const double *rows, double limit)
{
    int64_t d = f->c.width, n = s->tokens.n - 2;
    double *mean = NULL;
    if (n < 1)
        return 0;
    ASTER_TRY(aster_alloc(f->ctx, d, sizeof *mean, &mean));
    for (int64_t i = 1; i <= n; i++)
        for (int64_t k = 0; k < d; k++)
            mean[k] += rows[i * d + k] / (double)n;
    int rc = judge(f, s, "mean", f->c.n_layers, d, mean, limit);
    aster_free(&mean);
    return rc;
}

static int after_block(void *arg, int64_t block, int64_t k, const double *rows)
{
    struct file *f = arg;
    struct sequence *s = &f->sequence[k];
    int64_t last = f->c.n_layers + 1, n = s->tokens.n * f->c.width;
    double limit = f->type == ASTER_F64   ? F64_ROWS
                   : f->type == ASTER_F32 ? F32_ALL
                   : f->pretrained        ? BF16_SMALL
                                          : BF16_PUBLISHED;
    if (block == last - 1) /* before the last norm */
        return 0;
    ASTER_TRY(judge(f, s, "rep", block == last ? last - 1 : block, n, rows, limit));
    if (block < last)
        return 0;
    char set[300];
    snprintf(set, sizeof set, "sequences/%s/rep_%lld", s->name, (long long)f->c.n_layers);
    if (!aster_h5_has(f->h5, set))
        return aster_fail(f->ctx, ASTER_EFORMAT, "%s: %s is not there", f->path, set);
    return judge_mean(f, s, rows, f->type == ASTER_BF16 ? limit / 2 : limit);
}

/* ---- gradients ---- */

/* C of the loss, for the sequences of the batch */
static int cotangent(struct file *f, const struct lm_batch *b, void *dy)
{
    int64_t width = f->c.width;
    float *c = NULL;
    double *wide = NULL;
    int rc;
    ASTER_GOTO(aster_alloc(f->ctx, b->rows * width, sizeof *c, &c), done);
    ASTER_GOTO(aster_alloc(f->ctx, b->rows * width, sizeof *wide, &wide), done);
    for (int64_t k = 0; k < b->n; k++) {
        char name[300];
        snprintf(name, sizeof name, "cotangent.%s", f->sequence[b->which[k]].name);
        lm_generate(name, f->seed, f->sequence[b->which[k]].tokens.n * width, 1, 0,
                    c + b->starts[k] * width);
    }
    lm_widen(ASTER_F32, b->rows * width, c, wide);
    lm_narrow(f->type, b->rows * width, wide, dy);
done:
    aster_free(&c);
    aster_free(&wide);
    return rc;
}

static int judge_gradient(struct file *f, const struct lm_net *n,
                          const struct aster_param_info *info, int64_t block)
{
    char name[128], set[200];
    void *theirs = NULL;
    double *got = NULL, *want = NULL;
    int rc;
    aster_language_param_name(&f->c, block, info, name, sizeof name);
    snprintf(set, sizeof set, "gradients/esm.%s", name);
    ASTER_GOTO(aster_alloc(f->ctx, info->n, (size_t)aster_dtype_size(f->type), &theirs), done);
    ASTER_GOTO(aster_alloc(f->ctx, info->n, sizeof *got, &got), done);
    ASTER_GOTO(aster_h5_read(f->h5, set, ASTER_F64, info->n, &want), done);
    aster_param_to_reference(info, f->type, n->grad, theirs);
    lm_widen(f->type, info->n, theirs, got);
    golden_judge(f->score, info->n, got, want, f->type == ASTER_F64 ? F64_GRAD : F32_ALL,
                 "%s gradient of %s", aster_dtype_name(f->type), name);
done:
    aster_free(&theirs);
    aster_free(&got);
    aster_free(&want);
    return rc;
}

static int judge_loss(struct file *f, const struct lm_batch *b, const void *dy)
{
    int64_t n = b->rows * f->c.width;
    double *y = NULL, *c = NULL, loss = 0, size = 0, want;
    int rc;
    ASTER_GOTO(aster_alloc(f->ctx, n, sizeof *y, &y), done);
    ASTER_GOTO(aster_alloc(f->ctx, n, sizeof *c, &c), done);
    ASTER_GOTO(aster_h5_attr_f64(f->h5, "gradients", "loss", &want), done);
    lm_widen(f->type, n, b->y, y);
    lm_widen(f->type, n, dy, c);
    for (int64_t k = 0; k < n; k++) {
        loss += y[k] * c[k];
        size += fabs(y[k] * c[k]);
    }
    /* terms of both signs: their sum is as exact as they are */
    golden_fraction(f->score,
                    fabs(loss - want) / size / (f->type == ASTER_F64 ? F64_ROWS : F32_ALL),
                    "%s loss", aster_dtype_name(f->type));
done:
    aster_free(&y);
    aster_free(&c);
    return rc;
}

static int sweep(struct file *f, struct lm_net *n, struct lm_batch *b, void *dy)
{
    int64_t blocks = aster_language_n_blocks(&f->c);
    for (int64_t block = 0; block < blocks; block++) {
        ASTER_TRY(lm_net_load(n, block));
        ASTER_TRY(lm_batch_forward(b));
    }
    ASTER_TRY(cotangent(f, b, dy));
    ASTER_TRY(judge_loss(f, b, dy));
    for (int64_t block = blocks - 1; block >= 0; block--) {
        const struct aster_program *p = n->eval[aster_language_part_of(&f->c, block)];
        ASTER_TRY(lm_net_load(n, block));
        ASTER_TRY(lm_batch_backward(b, dy));
        for (int k = 0; k < aster_program_n_params(p); k++)
            ASTER_TRY(judge_gradient(f, n, aster_program_param(p, k), block));
    }
    return 0;
}

/* The sequences that the loss is over: names, one a line */
static int listed(struct file *f, int64_t *which, int64_t *n)
{
    char *list = NULL, *rest = NULL;
    ASTER_TRY(aster_h5_attr_str(f->h5, "gradients", "sequences", &list));
    *n = 0;
    for (char *name = strtok_r(list, "\n", &rest); name; name = strtok_r(NULL, "\n", &rest)) {
        int64_t k = 0;
        while (k < f->n && strcmp(f->sequence[k].name, name) != 0)
            k++;
        if (k == f->n || *n == f->n) {
            int rc =
                aster_fail(f->ctx, ASTER_EFORMAT,
                           "%s: gradients are of sequence '%s', which is not there", f->path, name);
            aster_free(&list);
            return rc;
        }
        which[(*n)++] = k;
    }
    aster_free(&list);
    return *n > 0 ? 0 : wrong(f, "gradients are of no sequence");
}

static int gradients(struct file *f, struct lm_net *n)
{
    int64_t *which = NULL, count = 0;
    struct lm_batch b = {0};
    void *dy = NULL;
    int rc;
    ASTER_GOTO(aster_alloc(f->ctx, f->n, sizeof *which, &which), done);
    ASTER_GOTO(listed(f, which, &count), done);
    ASTER_GOTO(lm_batch_new(n, f->tokens, count, which, true, &b), done);
    ASTER_GOTO(aster_alloc(f->ctx, b.rows * f->c.width, (size_t)aster_dtype_size(f->type), &dy),
               done);
    rc = sweep(f, n, &b, dy);
done:
    if (b.net)
        lm_batch_free(&b);
    aster_free(&dy);
    aster_free(&which);
    return rc;
}

/* ---- one file ---- */

static int one_type(struct file *f, enum aster_dtype type)
{
    struct lm_source source = {f, read_block, frequencies};
    bool has_gradients = type != ASTER_BF16 && aster_h5_has(f->h5, "gradients");
    struct lm_net n;
    f->type = type;
    ASTER_TRY(lm_net_new(f->ctx, f->o->be, type, &f->c, &source, has_gradients, &n));
    struct lm_walk w = {&n, f->tokens, f->n, f, after_block};
    int rc = lm_walk_run(&w, f->score);
    if (rc == 0 && has_gradients)
        rc = gradients(f, &n);
    lm_net_free(&n);
    return rc;
}

static int check(struct aster_ctx *ctx, const struct golden_options *o, const char *path,
                 struct golden_score *s)
{
    struct file f = {.ctx = ctx, .o = o, .path = path, .score = s};
    int rc = file_open(&f);
    if (rc == 0 && o->f64)
        rc = one_type(&f, ASTER_F64);
    if (rc == 0 && o->f32)
        rc = one_type(&f, ASTER_F32);
    if (rc == 0 && o->bf16)
        rc = one_type(&f, ASTER_BF16);
    file_close(&f);
    return rc;
}

int main(int argc, char **argv)
{
    return golden_main(argc, argv, &(struct golden_program){"golden-esm2", check, false});
}
