/* SPDX-License-Identifier: BSD-3-Clause */
/* Language models in the files that users bring, found and compared with each other before a run
 * begins. */
#include "flow/embed_language.h"

#include <string.h>
#include <sys/stat.h>

static bool is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* In this order; model.h5 is what convert writes. */
static const char *const names[] = {"model.h5", "model.safetensors.index.json", "model.safetensors",
                                    "pytorch_model.bin"};
enum { N_NAMES = sizeof names / sizeof *names };

bool aster_language_folder(const char *folder)
{
    for (int k = 0; k < N_NAMES; k++) {
        char path[4096];
        int n = snprintf(path, sizeof path, "%s/%s", folder, names[k]);
        if (n > 0 && (size_t)n < sizeof path && aster_file_exists(path))
            return true;
    }
    return false;
}

static int find_weights(struct aster_ctx *ctx, const char *path, char **out)
{
    if (!aster_file_exists(path))
        return aster_fail(ctx, ASTER_EIO,
                          "%s: there is no such file; the folder of a language model or its file "
                          "of weights is expected",
                          path);
    if (!is_folder(path))
        return aster_strdup(ctx, path, out);
    for (int k = 0; k < N_NAMES; k++) {
        ASTER_TRY(aster_path_join(ctx, path, names[k], out));
        if (aster_file_exists(*out))
            return 0;
        aster_free(out);
    }
    return aster_fail(ctx, ASTER_EIO, "%s: has no %s, %s, %s or %s; name a file of weights", path,
                      names[0], names[1], names[2], names[3]);
}

/* given, or the file of this name beside the weights; NULL when neither is there */
static int find_beside(struct aster_ctx *ctx, const char *weights, const char *given,
                       const char *name, char **out)
{
    size_t n = (size_t)(aster_path_base(weights) - weights);
    char *folder = NULL;
    if (*given)
        return aster_strdup(ctx, given, out);
    ASTER_TRY(aster_strndup(ctx, n ? weights : ".", n ? n : 1, &folder));
    int rc = aster_path_join(ctx, folder, name, out);
    aster_free(&folder);
    if (rc == 0 && !aster_file_exists(*out))
        aster_free(out);
    return rc;
}

static int find_shards(struct aster_ctx *ctx, struct aster_language_file *f)
{
    struct aster_weightfile *w = NULL;
    size_t n = strlen(f->weights);
    if (n < 5 || strcmp(f->weights + n - 5, ".json") != 0)
        return 0;
    ASTER_TRY(aster_weightfile_open(ctx, f->weights, &w));
    int rc = 0;
    int64_t count = 0;
    while (aster_weightfile_shard(w, count))
        count++;
    rc = aster_alloc(ctx, count, sizeof *f->shards, &f->shards);
    for (; rc == 0 && f->n_shards < count; f->n_shards++)
        rc = aster_strdup(ctx, aster_weightfile_shard(w, f->n_shards), &f->shards[f->n_shards]);
    aster_weightfile_close(&w);
    return rc;
}

int aster_language_file_find(struct aster_ctx *ctx, const char *weights, const char *config,
                             const char *tokenizer, struct aster_language_file **out)
{
    struct aster_language_file *f = NULL;
    int rc;
    *out = NULL;
    ASTER_TRY(aster_alloc(ctx, 1, sizeof *f, &f));
    if (aster_pretrained_is_drawn(weights)) {
        rc = aster_strdup(ctx, weights, &f->weights);
        goto done;
    }
    ASTER_GOTO(find_weights(ctx, weights, &f->weights), done);
    ASTER_GOTO(find_beside(ctx, f->weights, config, "config.json", &f->config), done);
    ASTER_GOTO(find_beside(ctx, f->weights, tokenizer, "tokenizer.json", &f->tokenizer), done);
    rc = find_shards(ctx, f);
done:
    if (rc < 0)
        aster_language_file_free(&f);
    *out = f;
    return rc;
}

void aster_language_file_free(struct aster_language_file **fp)
{
    struct aster_language_file *f = *fp;
    if (!f)
        return;
    for (int64_t k = 0; k < f->n_shards; k++)
        aster_free(&f->shards[k]);
    aster_free(&f->shards);
    aster_free(&f->weights);
    aster_free(&f->config);
    aster_free(&f->tokenizer);
    aster_free(fp);
}

static const char *kind_name(enum aster_language_kind kind)
{
    return kind == ASTER_LANGUAGE_ESM2 ? "ESM-2" : "DNABERT-S";
}

void aster_language_file_text(const struct aster_language_file *f, struct aster_str *out)
{
    aster_str_printf(out, "%s, %lld layers of width %lld, %s", kind_name(f->c.kind),
                     (long long)f->c.n_layers, (long long)f->c.width,
                     aster_dtype_name(f->precision));
}

/* ---- the stage ---- */

static int read_config(struct aster_ctx *ctx, struct aster_language_file *f)
{
    struct aster_weightfile *w = NULL;
    if (aster_pretrained_is_drawn(f->weights))
        return aster_pretrained_config_drawn(ctx, f->weights, &f->c);
    if (f->config)
        return aster_pretrained_config_read(ctx, f->config, &f->c);
    ASTER_TRY(aster_weightfile_open(ctx, f->weights, &w));
    int rc = aster_pretrained_config_fair(ctx, w, &f->c);
    aster_weightfile_close(&w);
    return rc;
}

static void add_hash(const struct aster_run *run, const char *path, struct aster_sha256 *sha)
{
    for (int64_t i = 0; i < run->n_inputs; i++)
        if (strcmp(run->inputs[i].path, path) == 0) {
            aster_sha256_add(sha, run->inputs[i].sha256, 64);
            return;
        }
}

static void hash_weights(const struct aster_run *run, struct aster_language_file *f)
{
    struct aster_sha256 sha;
    for (int64_t i = 0; i < run->n_inputs && f->n_shards == 0; i++)
        if (strcmp(run->inputs[i].path, f->weights) == 0)
            memcpy(f->sha256, run->inputs[i].sha256, sizeof f->sha256);
    if (f->n_shards == 0)
        return;
    aster_sha256_init(&sha);
    add_hash(run, f->weights, &sha);
    for (int64_t k = 0; k < f->n_shards; k++)
        add_hash(run, f->shards[k], &sha);
    aster_sha256_text(&sha, f->sha256);
}

int aster_stage_load_language_ready(struct aster_ctx *ctx, void *arg, int stage)
{
    struct aster_run *run = arg;
    struct aster_language_file **slot = &run->slots[stage].language;
    struct aster_pretrained *w = NULL;
    const char *precision = aster_run_text(run, stage, "precision");
    enum aster_language_kind kind = strcmp(aster_run_text(run, stage, "model"), "esm2")
                                        ? ASTER_LANGUAGE_DNABERT
                                        : ASTER_LANGUAGE_ESM2;
    const char *weights = aster_run_text(run, stage, "weights");
    if (aster_pretrained_is_drawn(weights) && !run->opt->timing)
        return aster_fail(
            ctx, ASTER_EPARAM,
            "weights = %s: a model of drawn numbers gives no vectors; it is there to be "
            "timed, by asterism scale, calibrate and simulate",
            weights);
    ASTER_TRY(aster_language_file_find(ctx, weights, aster_run_text(run, stage, "config"),
                                       aster_run_text(run, stage, "tokenizer"), slot));
    struct aster_language_file *f = *slot;
    ASTER_TRY(read_config(ctx, f));
    f->precision = !strcmp(precision, "f64")    ? ASTER_F64
                   : !strcmp(precision, "bf16") ? ASTER_BF16
                                                : ASTER_F32;
    if (f->c.kind != kind)
        return aster_fail(ctx, ASTER_EPARAM, "%s: is the configuration of %s, %s is expected",
                          f->config ? f->config : f->weights, kind_name(f->c.kind),
                          kind_name(kind));
    if (kind == ASTER_LANGUAGE_DNABERT && !f->tokenizer)
        return aster_fail(ctx, ASTER_EIO, "%s: there is no tokenizer.json beside it", f->weights);
    hash_weights(run, f);
    ASTER_TRY(aster_pretrained_open(ctx, f->weights, &f->c, &w));
    aster_pretrained_close(&w);
    return 0;
}

int aster_stage_load_language(struct aster_ctx *ctx, void *arg, int stage)
{
    struct aster_run *run = arg;
    struct aster_str text = {0};
    const struct aster_language_file *f = run->slots[stage].language;
    aster_language_file_text(f, &text);
    int rc = aster_run_fact(run, run->spec->stages[stage].id, "%s, from %s", aster_str_get(&text),
                            f->weights);
    aster_str_free(&text);
    return rc;
}
