/* SPDX-License-Identifier: BSD-3-Clause */
/* golden-dnabert FILE...: DNABERT-S against files of reference results (golden.h5), its tokenizer
 * against tables (.tsv); one line per file. */
#include "flow/pretrained.h"
#include "golden/lm_file.h"
#include "golden/token_tables.h"

#include <math.h>
#include <string.h>

struct sequence {
    char *name;
    int64_t n, n_rows;
    int32_t *ids, *rows; /* rows: positions that are stored in hidden */
};

struct file {
    struct aster_ctx *ctx;
    const struct golden_options *o;
    const char *path;
    struct aster_h5 *h5;
    struct aster_language_config c;
    int64_t seed, n;
    double limit[ASTER_N_DTYPES];
    struct aster_json *scales;
    struct aster_pretrained *pretrained; /* NULL: generated */
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

/* Part of a tensor's name, and its kind in scales */
static const char *const kinds[][2] = {
    {"word_embeddings.weight", "word"},
    {"token_type_embeddings.weight", "type"},
    {"Wqkv.weight", "qkv_weight"},
    {"Wqkv.bias", "qkv_bias"},
    {"output.dense.weight", "out_weight"},
    {"output.dense.bias", "out_bias"},
    {"gated_layers.weight", "gated_weight"},
    {"mlp.wo.weight", "wo_weight"},
    {"mlp.wo.bias", "wo_bias"},
    {".bias", "ln_bias"},
    {".weight", "ln_weight"},
};

static void generate(void *arg, const char *name, const struct aster_param_info *info, float *out)
{
    const struct file *f = arg;
    size_t k = 0;
    while (!strstr(name, kinds[k][0]))
        k++;
    const struct aster_json *a = aster_json_get(f->scales, kinds[k][1]);
    lm_generate(name, f->seed, info->n, a ? (float)a->number : NAN,
                strcmp(kinds[k][1], "ln_weight") == 0, out);
}

static int read_block(void *arg, int64_t block, const struct aster_program *p, void *flat)
{
    struct file *f = arg;
    ASTER_TRY(f->pretrained ? aster_pretrained_read(f->pretrained, block, p, flat)
                            : lm_generate_block(f->ctx, &f->c, block, p, generate, f, flat));
    lm_perturb(f->o, block, p, flat);
    return 0;
}

static int open_weights(struct file *f)
{
    char *folder = NULL, *name = NULL, *path = NULL;
    int rc;
    ASTER_GOTO(aster_h5_attr_str(f->h5, "/", "weight_file", &name), done);
    if (strncmp(name, "none", 4) == 0)
        goto done;
    ASTER_GOTO(golden_folder(f->ctx, f->path, &folder), done);
    ASTER_GOTO(aster_path_join(f->ctx, *folder ? folder : ".", name, &path), done);
    rc = aster_pretrained_open(f->ctx, path, &f->c, &f->pretrained);
done:
    aster_free(&folder);
    aster_free(&name);
    aster_free(&path);
    return rc;
}

/* ---- the file ---- */

static int read_attributes(struct file *f)
{
    char *config = NULL, *scales = NULL;
    struct aster_json *j = NULL;
    int rc;
    ASTER_GOTO(aster_h5_attr_str(f->h5, "/", "config", &config), done);
    ASTER_GOTO(aster_json_parse(f->ctx, f->path, config, strlen(config), &j), done);
    ASTER_GOTO(aster_pretrained_config_json(f->ctx, f->path, j, &f->c), done);
    ASTER_GOTO(aster_h5_attr_str(f->h5, "/", "scales", &scales), done);
    ASTER_GOTO(aster_json_parse(f->ctx, f->path, scales, strlen(scales), &f->scales), done);
    ASTER_GOTO(aster_h5_attr_i64(f->h5, "/", "seed", &f->seed), done);
    ASTER_GOTO(aster_h5_attr_f64(f->h5, "/", "tol_f64", &f->limit[ASTER_F64]), done);
    ASTER_GOTO(aster_h5_attr_f64(f->h5, "/", "tol_f32", &f->limit[ASTER_F32]), done);
    ASTER_GOTO(aster_h5_attr_f64(f->h5, "/", "tol_bf16", &f->limit[ASTER_BF16]), done);
    if (f->c.kind != ASTER_LANGUAGE_DNABERT)
        rc = wrong(f, "attribute config: another model than bert");
done:
    aster_json_free(&j);
    aster_free(&config);
    aster_free(&scales);
    return rc;
}

static int read_sequence(struct file *f, struct sequence *s)
{
    char set[300];
    struct aster_h5_shape shape;
    snprintf(set, sizeof set, "%s/ids", s->name);
    ASTER_TRY(aster_h5_shape(f->h5, set, &shape));
    s->n = shape.n;
    ASTER_TRY(aster_h5_read(f->h5, set, ASTER_I32, s->n, &s->ids));
    snprintf(set, sizeof set, "%s/rows", s->name);
    ASTER_TRY(aster_h5_shape(f->h5, set, &shape));
    s->n_rows = shape.n;
    ASTER_TRY(aster_h5_read(f->h5, set, ASTER_I32, s->n_rows, &s->rows));
    for (int64_t k = 0; k < s->n_rows; k++)
        if (s->rows[k] < 0 || s->rows[k] >= s->n)
            return wrong(f, "dataset rows names a token that is not there");
    return s->n > 0 ? 0 : wrong(f, "a sequence has no tokens");
}

static int read_sequences(struct file *f)
{
    char **names = NULL;
    int64_t n = 0;
    ASTER_TRY(aster_h5_list(f->h5, "/", &names, &n));
    int rc = aster_alloc(f->ctx, n, sizeof *f->sequence, &f->sequence);
    if (rc == 0)
        rc = aster_alloc(f->ctx, n, sizeof *f->tokens, &f->tokens);
    for (int64_t k = 0; rc == 0 && k < n; k++) {
        if (strncmp(names[k], "seq_", 4) != 0)
            continue;
        struct sequence *s = &f->sequence[f->n++];
        rc = aster_strdup(f->ctx, names[k], &s->name);
        if (rc == 0)
            rc = read_sequence(f, s);
        f->tokens[f->n - 1] = (struct lm_tokens){s->ids, s->n};
    }
    aster_h5_names_free(&names, n);
    return rc < 0 ? rc : f->n > 0 ? 0 : wrong(f, "has no group seq_...");
}

static int file_open(struct file *f)
{
    ASTER_TRY(aster_h5_open(f->ctx, f->path, &f->h5));
    ASTER_TRY(read_attributes(f));
    ASTER_TRY(read_sequences(f));
    return open_weights(f);
}

static void file_close(struct file *f)
{
    for (int64_t k = 0; f->sequence && k < f->n; k++) {
        aster_free(&f->sequence[k].name);
        aster_free(&f->sequence[k].ids);
        aster_free(&f->sequence[k].rows);
    }
    aster_free(&f->sequence);
    aster_free(&f->tokens);
    aster_json_free(&f->scales);
    aster_pretrained_close(&f->pretrained);
    aster_h5_close(&f->h5);
}

/* ---- forward ---- */

/* n values of a set from element first on; where a set has n_whole values in all. Nothing where it
 * is absent. */
static int judge(struct file *f, const struct sequence *s, const char *array, int64_t first,
                 int64_t n, int64_t n_whole, const double *got)
{
    char set[300];
    double *want = NULL;
    snprintf(set, sizeof set, "%s/%s", s->name, array);
    if (!aster_h5_has(f->h5, set))
        return 0;
    ASTER_TRY(aster_h5_read(f->h5, set, ASTER_F64, n_whole, &want));
    golden_judge(f->score, n, got, want + first, f->limit[f->type], "%s %s %s %lld",
                 aster_dtype_name(f->type), s->name, array, (long long)(first / n));
    aster_free(&want);
    return 0;
}

static int judge_hidden(struct file *f, const struct sequence *s, const double *rows)
{
    int64_t d = f->c.width;
    double *some = NULL;
    ASTER_TRY(aster_alloc(f->ctx, s->n_rows * d, sizeof *some, &some));
    for (int64_t k = 0; k < s->n_rows; k++)
        memcpy(some + k * d, rows + s->rows[k] * d, (size_t)d * sizeof *some);
    int rc = judge(f, s, "hidden", 0, s->n_rows * d, s->n_rows * d, some);
    aster_free(&some);
    return rc;
}

static int after_block(void *arg, int64_t block, int64_t k, const double *rows)
{
    struct file *f = arg;
    const struct sequence *s = &f->sequence[k];
    int64_t d = f->c.width, n_blocks = f->c.n_layers + 1;
    double *mean = NULL;
    char set[300];
    ASTER_TRY(judge(f, s, "layers", block * s->n * d, s->n * d, n_blocks * s->n * d, rows));
    ASTER_TRY(aster_alloc(f->ctx, d, sizeof *mean, &mean));
    for (int64_t i = 0; i < s->n; i++)
        for (int64_t j = 0; j < d; j++)
            mean[j] += rows[i * d + j] / (double)s->n;
    int rc = judge(f, s, "layers_pooled", block * d, d, n_blocks * d, mean);
    if (rc == 0 && block == f->c.n_layers) {
        rc = judge(f, s, "pooled", 0, d, d, mean);
        if (rc == 0)
            rc = judge_hidden(f, s, rows);
        snprintf(set, sizeof set, "%s/hidden", s->name);
        if (rc == 0 && !aster_h5_has(f->h5, set))
            rc = wrong(f, "a sequence has no dataset hidden");
    }
    aster_free(&mean);
    return rc;
}

static int one_type(struct file *f, enum aster_dtype type)
{
    struct lm_source source = {f, read_block, NULL};
    struct lm_net n;
    f->type = type;
    ASTER_TRY(lm_net_new(f->ctx, f->o->be, type, &f->c, &source, false, &n));
    struct lm_walk w = {&n, f->tokens, f->n, f, after_block};
    int rc = lm_walk_run(&w, f->score);
    lm_net_free(&n);
    return rc;
}

/* ---- tables ---- */

/* A table's folder lies beside the folder virnucpro, with the tokenizer and genomes in it. */
static int check_table(struct aster_ctx *ctx, const char *path, struct golden_score *s)
{
    struct tokenizer t;
    char *folder = NULL, tokenizer[4200], genomes[4200];
    int64_t lines = 0, differ = 0;
    int rc;
    ASTER_TRY(golden_folder(ctx, path, &folder));
    snprintf(genomes, sizeof genomes, "%s../virnucpro", folder);
    snprintf(tokenizer, sizeof tokenizer, "%s../virnucpro/dnaberts/tokenizer.json", folder);
    rc = tokenizer_open(ctx, tokenizer, &t);
    if (rc == 0) {
        rc = token_table(&t, path, genomes, &lines, &differ);
        tokenizer_close(&t);
    }
    if (rc == 0 && lines == 0)
        rc = aster_fail(ctx, ASTER_EFORMAT, "%s: has no lines below the first", path);
    if (rc == 0)
        golden_fraction(s, differ ? (double)INFINITY : 0, "%lld of %lld lines differ",
                        (long long)differ, (long long)lines);
    aster_free(&folder);
    return rc;
}

static int check(struct aster_ctx *ctx, const struct golden_options *o, const char *path,
                 struct golden_score *s)
{
    size_t length = strlen(path);
    if (length > 4 && strcmp(path + length - 4, ".tsv") == 0)
        return check_table(ctx, path, s);
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
    return golden_main(argc, argv, &(struct golden_program){"golden-dnabert", check, false});
}
