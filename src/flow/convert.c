/* SPDX-License-Identifier: BSD-3-Clause */
/* Converting weights: what kind of file it is, and what belongs to it. */
#include "flow/convert.h"

#include "flow/embed_language.h"
#include "flow/forcefield_file.h"

#include <string.h>
#include <sys/stat.h>

static bool ends_with(const char *s, const char *ending)
{
    size_t n = strlen(s), m = strlen(ending);
    return n >= m && !strcmp(s + n - m, ending);
}

/* ---- models that we trained ---- */

static int is_trained_h5(struct aster_ctx *ctx, const char *path, bool *out)
{
    struct aster_h5 *f = NULL;
    ASTER_TRY(aster_h5_open(ctx, path, &f));
    *out = !aster_h5_attr_has(f, "/", "format");
    aster_h5_close(&f);
    return 0;
}

static int is_trained_st(struct aster_ctx *ctx, const char *path, bool *out)
{
    struct aster_weightfile *f = NULL;
    ASTER_TRY(aster_weightfile_open(ctx, path, &f));
    *out = aster_weightfile_metadata(f, "model") && aster_weightfile_metadata(f, "encoding");
    aster_weightfile_close(&f);
    return 0;
}

static int is_trained(struct aster_ctx *ctx, const char *path, bool *out)
{
    struct stat st;
    *out = false;
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
        char *weights = NULL;
        *out = !aster_language_folder(path);
        if (*out)
            return 0;
        ASTER_TRY(aster_path_join(ctx, path, "model.h5", &weights));
        int rc = aster_file_exists(weights) ? is_trained_h5(ctx, weights, out) : 0;
        aster_free(&weights);
        return rc;
    }
    if (!aster_file_exists(path))
        return aster_fail(ctx, ASTER_EIO, "%s: there is no such file or folder", path);
    if (ends_with(path, ".h5"))
        return is_trained_h5(ctx, path, out);
    return ends_with(path, ".safetensors") ? is_trained_st(ctx, path, out) : 0;
}

static int convert_trained(struct aster_ctx *ctx, const char *in, const char *out,
                           enum aster_dtype reals)
{
    struct aster_weights *w;
    char *path;
    if (reals == ASTER_BF16)
        return aster_fail(ctx, ASTER_EPARAM, "%s: a trained model is written as f32 or f64", in);
    ASTER_TRY(aster_weights_find(ctx, in, &path));
    int rc = aster_weights_load(ctx, path, reals == ASTER_F64 ? ASTER_F64 : ASTER_F32, &w);
    aster_free(&path);
    ASTER_TRY(rc);
    rc = ends_with(out, ".h5") ? aster_weights_save_h5(ctx, w, out)
                               : aster_weights_save_safetensors(ctx, w, out);
    aster_weights_free(&w);
    return rc;
}

/* ---- models of others ---- */

struct companion { /* a small file that belongs to the weights */
    const char *name;
    char *path, *text; /* path: where it goes; text: NULL where there is none */
    int64_t n;
};

static int beside(struct aster_ctx *ctx, const char *file, const char *name, char **out)
{
    size_t n = (size_t)(aster_path_base(file) - file);
    char *folder = NULL;
    ASTER_TRY(aster_strndup(ctx, n ? file : ".", n ? n : 1, &folder));
    int rc = aster_path_join(ctx, folder, name, out);
    aster_free(&folder);
    return rc;
}

/* What fair-esm keeps inside its files, as transformers keeps it beside them. */
static int fair_config(struct aster_ctx *ctx, const struct aster_weightfile *f, char **text,
                       int64_t *n)
{
    struct aster_language_config c;
    struct aster_str s = {0};
    if (aster_pretrained_config_fair(ctx, f, &c) < 0) { /* weights of something else */
        aster_ctx_clear(ctx);
        return 0;
    }
    aster_pretrained_config_write(&c, &s);
    int rc = aster_str_ok(ctx, &s);
    if (rc == 0)
        rc = aster_strdup(ctx, aster_str_get(&s), text);
    *n = (int64_t)s.len;
    aster_str_free(&s);
    return rc;
}

/* Reads it, and sees to it that nothing else of its name is in the way. */
static int prepare(struct aster_ctx *ctx, const char *from, const char *out, bool replace,
                   struct companion *c)
{
    char *there = NULL;
    int64_t n = 0;
    ASTER_TRY(beside(ctx, out, c->name, &c->path));
    if (from)
        ASTER_TRY(aster_file_read(ctx, from, INT64_C(1) << 30, &c->text, &c->n));
    if (!aster_file_exists(c->path))
        return 0;
    ASTER_TRY(aster_file_read(ctx, c->path, INT64_C(1) << 30, &there, &n));
    bool same = c->text && n == c->n && !memcmp(there, c->text, (size_t)n);
    aster_free(&there);
    if (!c->text)
        aster_log(ctx, ASTER_LOG_WARN, "%s was there before; %s brings none", c->path,
                  aster_path_base(out));
    else if (!same && !replace)
        return aster_fail(ctx, ASTER_EPARAM,
                          "%s: is there and belongs to another model; choose another folder for "
                          "%s, or --force to replace it",
                          c->path, aster_path_base(out));
    if (same)
        aster_free(&c->text);
    return 0;
}

/* The weights last: with them the model is whole. */
static int write_all(struct aster_ctx *ctx, const struct aster_weightfile *f, const char *out,
                     enum aster_dtype reals, const struct companion *c, int n)
{
    for (int k = 0; k < n; k++)
        if (c[k].text)
            ASTER_TRY(aster_file_write(ctx, c[k].path, c[k].text, c[k].n));
    return ends_with(out, ".h5") ? aster_weightfile_write_h5(f, out, reals)
                                 : aster_weightfile_write_st(f, out, reals);
}

static int convert_pretrained(struct aster_ctx *ctx, const char *in, const char *out,
                              enum aster_dtype reals, bool replace)
{
    struct companion c[] = {{.name = "config.json"}, {.name = "tokenizer.json"}};
    struct aster_language_file *files = NULL;
    struct aster_weightfile *f = NULL;
    int rc;
    ASTER_TRY(aster_language_file_find(ctx, in, "", "", &files));
    ASTER_GOTO(aster_weightfile_open(ctx, files->weights, &f), done);
    if (aster_weightfile_count(f) == 0)
        ASTER_GOTO(aster_fail(ctx, ASTER_EFORMAT, "%s: holds no tensors", files->weights), done);
    if (!files->config)
        ASTER_GOTO(fair_config(ctx, f, &c[0].text, &c[0].n), done);
    ASTER_GOTO(prepare(ctx, files->config, out, replace, &c[0]), done);
    ASTER_GOTO(prepare(ctx, files->tokenizer, out, replace, &c[1]), done);
    rc = write_all(ctx, f, out, reals, c, 2);
done:
    for (int k = 0; k < 2; k++) {
        aster_free(&c[k].path);
        aster_free(&c[k].text);
    }
    aster_weightfile_close(&f);
    aster_language_file_free(&files);
    return rc;
}

int aster_convert(struct aster_ctx *ctx, const char *in, const char *out, enum aster_dtype reals,
                  bool replace)
{
    bool trained;
    struct stat st;
    if (stat(in, &st) == 0 && S_ISREG(st.st_mode) && aster_forcefield_is(ctx, in))
        return reals == ASTER_N_DTYPES || reals == ASTER_F32
                   ? aster_forcefield_convert(ctx, in, out)
                   : aster_fail(ctx, ASTER_EPARAM, "%s: a force field is written as f32", in);
    ASTER_TRY(is_trained(ctx, in, &trained));
    return trained ? convert_trained(ctx, in, out, reals)
                   : convert_pretrained(ctx, in, out, reals, replace);
}
