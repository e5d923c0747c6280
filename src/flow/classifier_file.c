/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads and checks the weights of a classifier. */
#include "flow/classifier_file.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_CHUNK = 500, MOST_CHUNK = 1 << 30 };

struct reader {
    struct aster_ctx *ctx;
    const struct aster_weightfile *f;
    const char *path;
    char prefix[128]; /* in front of every name */
};

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && !strcmp(text + n - m, end);
}

/* What the names of a nested state begin with, found at its first matrix. */
static int find_prefix(struct reader *r)
{
    for (int64_t k = 0; k < aster_weightfile_count(r->f); k++) {
        const char *name = aster_weightfile_tensor(r->f, k)->name;
        size_t n = strlen(name) - (ends_with(name, "hidden_layer.weight") ? 19 : 0);
        if (n == strlen(name) || n >= sizeof r->prefix || (n && name[n - 1] != '.'))
            continue;
        memcpy(r->prefix, name, n);
        return 0;
    }
    return aster_fail(r->ctx, ASTER_EFORMAT,
                      "%s: has no tensor hidden_layer.weight; a classifier's hidden_layer, bn1 and "
                      "output_layer are expected",
                      r->path);
}

static const struct aster_weight *find(const struct reader *r, const char *name)
{
    char full[256];
    snprintf(full, sizeof full, "%s%s", r->prefix, name);
    return aster_weightfile_find(r->f, full);
}

/* The tensor of that name and shape as t; out has room for it. */
static int read_tensor(const struct reader *r, const char *name, int rank, const int64_t *dim,
                       enum aster_dtype t, void *out)
{
    const struct aster_weight *w = find(r, name);
    if (!w)
        return aster_fail(r->ctx, ASTER_EFORMAT, "%s: has no tensor '%s%s'", r->path, r->prefix,
                          name);
    ASTER_TRY(aster_weightfile_expect(r->f, w, rank, dim));
    ASTER_TRY(aster_weightfile_read(r->f, w, 0, w->n, t, out));
    for (int64_t k = 0; k < w->n; k++) {
        double x = t == ASTER_F64 ? ((double *)out)[k] : (double)((float *)out)[k];
        if (!isfinite(x))
            return aster_fail(r->ctx, ASTER_EFORMAT,
                              "%s: value %lld of tensor '%.*s' is not finite", r->path,
                              (long long)k, ASTER_CUT(200, w->name));
    }
    return 0;
}

static bool is_known(const struct reader *r, const struct aster_program *p, const char *name)
{
    size_t n = strlen(r->prefix);
    if (strncmp(name, r->prefix, n) != 0)
        return false;
    name += n;
    if (!strcmp(name, "bn1.num_batches_tracked"))
        return true;
    for (int k = 0; k < aster_program_n_params(p); k++)
        if (!strcmp(name, aster_program_param(p, k)->name))
            return true;
    for (int k = 0; k < aster_program_n_buffers(p); k++)
        if (!strcmp(name, aster_program_buffer(p, k)->name))
            return true;
    return false;
}

static int check_names(const struct reader *r, const struct aster_program *p)
{
    for (int64_t k = 0; k < aster_weightfile_count(r->f); k++) {
        const char *name = aster_weightfile_tensor(r->f, k)->name;
        if (!is_known(r, p, name))
            return aster_fail(r->ctx, ASTER_EFORMAT,
                              "%s: tensor '%.*s' is none of a classifier; hidden_layer, bn1 and "
                              "output_layer are expected",
                              r->path, ASTER_CUT(200, name));
    }
    return 0;
}

static int read_params(const struct reader *r, struct aster_classifier *c)
{
    for (int k = 0; k < aster_program_n_params(c->program); k++) {
        const struct aster_param_info *info = aster_program_param(c->program, k);
        int64_t dim[ASTER_MAX_RANK];
        void *theirs = NULL;
        aster_param_reference_shape(info, dim);
        ASTER_TRY(aster_alloc(r->ctx, info->n, (size_t)aster_dtype_size(c->real), &theirs));
        int rc = read_tensor(r, info->name, info->rank, dim, c->real, theirs);
        if (rc == 0)
            aster_param_from_reference(info, c->real, theirs, c->params);
        aster_free(&theirs);
        ASTER_TRY(rc);
    }
    for (int k = 0; k < aster_program_n_buffers(c->program); k++) {
        const struct aster_param_info *info = aster_program_buffer(c->program, k);
        double *to = c->buffers + info->offset;
        ASTER_TRY(read_tensor(r, info->name, 1, &info->n, ASTER_F64, to));
        for (int64_t i = 0; ends_with(info->name, "running_var") && i < info->n; i++)
            if (to[i] < 0)
                return aster_fail(r->ctx, ASTER_EFORMAT,
                                  "%s: variance %lld of tensor '%s%s' is %g, 0 or more is expected",
                                  r->path, (long long)i, r->prefix, info->name, to[i]);
    }
    return 0;
}

/* ---- the length of chunks ---- */

static int64_t length_of(const char *text, size_t n)
{
    char digits[16];
    int64_t length;
    if (n == 0 || n >= sizeof digits)
        return 0;
    memcpy(digits, text, n);
    digits[n] = '\0';
    return aster_parse_i64(digits, &length) == 0 && length > 0 && length <= MOST_CHUNK ? length : 0;
}

static void find_length(const struct reader *r, struct aster_classifier *c)
{
    static const char *const keys[] = {"chunk_length", "expected_length"};
    struct aster_value v;
    for (int k = 0; k < 2 && !c->chunk_length; k++) {
        const char *text = aster_weightfile_metadata(r->f, keys[k]);
        if (text)
            c->chunk_length = length_of(text, strlen(text));
        else if (aster_weightfile_value(r->f, keys[k], &v) == 1 && v.kind == ASTER_VALUE_INTEGER &&
                 v.integer > 0 && v.integer <= MOST_CHUNK)
            c->chunk_length = v.integer;
    }
    const char *base = aster_path_base(r->path);
    size_t digits = strspn(base, "0123456789");
    if (!c->chunk_length && !strncmp(base + digits, "_model", 6)) {
        c->chunk_length = length_of(base, digits);
        c->by_name = c->chunk_length > 0;
    }
}

int aster_classifier_length(struct aster_ctx *ctx, const struct aster_classifier *c, int64_t wanted,
                            bool force, int64_t *out)
{
    *out = wanted ? wanted : c->chunk_length ? c->chunk_length : DEFAULT_CHUNK;
    if (c->chunk_length && *out != c->chunk_length && !force)
        return aster_fail(ctx, ASTER_EPARAM,
                          "%s: was trained on chunks of %lld bases (%s), chunks of %lld are asked "
                          "for; give expected_length=%lld, or force_length=true",
                          c->path, (long long)c->chunk_length,
                          c->by_name ? "by its name" : "as it says", (long long)*out,
                          (long long)c->chunk_length);
    return 0;
}

/* ---- the whole ---- */

static int read_all(struct reader *r, struct aster_classifier *c)
{
    ASTER_TRY(find_prefix(r));
    const struct aster_weight *w = find(r, "hidden_layer.weight");
    if (w->rank != 2)
        return aster_fail(r->ctx, ASTER_EFORMAT, "%s: tensor '%.*s' has %d axes, expected 2",
                          r->path, ASTER_CUT(200, w->name), w->rank);
    c->config = (struct aster_classifier_config){.n_inputs = w->dim[1], .hidden = w->dim[0]};
    ASTER_TRY(aster_classifier_program(r->ctx, &c->config, c->real, &c->program));
    ASTER_TRY(check_names(r, c->program));
    ASTER_TRY(aster_alloc(r->ctx, aster_program_class_n(c->program, ASTER_CLASS_PARAM),
                          (size_t)aster_dtype_size(c->real), &c->params));
    ASTER_TRY(aster_alloc(r->ctx, aster_program_class_n(c->program, ASTER_CLASS_BUFFER),
                          sizeof *c->buffers, &c->buffers));
    find_length(r, c);
    return read_params(r, c);
}

int aster_classifier_open(struct aster_ctx *ctx, const char *path, enum aster_dtype real,
                          struct aster_classifier **out)
{
    struct aster_weightfile *f = NULL;
    struct aster_classifier *c = NULL;
    int rc;
    *out = NULL;
    ASTER_TRY(aster_weightfile_open(ctx, path, &f));
    ASTER_GOTO(aster_alloc(ctx, 1, sizeof *c, &c), done);
    c->real = real;
    ASTER_GOTO(aster_strdup(ctx, path, &c->path), done);
    rc = read_all(&(struct reader){.ctx = ctx, .f = f, .path = path}, c);
done:
    aster_weightfile_close(&f);
    if (rc < 0)
        aster_classifier_free(&c);
    *out = c;
    return rc;
}

void aster_classifier_free(struct aster_classifier **cp)
{
    struct aster_classifier *c = *cp;
    if (!c)
        return;
    aster_program_free(&c->program);
    aster_free(&c->params);
    aster_free(&c->buffers);
    aster_free(&c->path);
    aster_free(cp);
}
