/* SPDX-License-Identifier: BSD-3-Clause */
/* Weights of language models: names of files matched with parameters of blocks, read block by
 * block. */
#include "flow/pretrained.h"

#include <stdlib.h>
#include <string.h>

enum { NAME_BYTES = 256 };

struct entry { /* a tensor of the file by our name */
    char name[NAME_BYTES];
    const struct aster_weight *tensor;
    bool is_used;
};

struct aster_pretrained {
    struct aster_ctx *ctx;
    struct aster_weightfile *file; /* NULL: numbers are drawn */
    struct aster_language_config c;
    struct entry *entry; /* sorted by name */
    int64_t n;
    float *frequency; /* [n_layers, n_frequencies] */
    int64_t n_frequencies;
};

/* ---- names ---- */

static bool starts_with(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

static const char *without(const char *s, const char *prefix)
{
    return starts_with(s, prefix) ? s + strlen(prefix) : s;
}

/* fair-esm's names within a layer */
static const char *const fair_names[][2] = {
    {"self_attn_layer_norm.", "attention.LayerNorm."},
    {"self_attn.q_proj.", "attention.self.query."},
    {"self_attn.k_proj.", "attention.self.key."},
    {"self_attn.v_proj.", "attention.self.value."},
    {"self_attn.out_proj.", "attention.output.dense."},
    {"self_attn.rot_emb.", "attention.self.rotary_embeddings."},
    {"final_layer_norm.", "LayerNorm."},
    {"fc1.", "intermediate.dense."},
    {"fc2.", "output.dense."},
};

static void fair_name(const char *theirs, char *out, size_t size)
{
    char *end = NULL;
    const char *rest = theirs + strlen("layers.");
    if (!strcmp(theirs, "embed_tokens.weight")) {
        snprintf(out, size, "embeddings.word_embeddings.weight");
        return;
    }
    if (starts_with(theirs, "emb_layer_norm_after.")) {
        snprintf(out, size, "encoder.%s", theirs);
        return;
    }
    if (starts_with(theirs, "layers.") && strtoll(rest, &end, 10) >= 0 && end > rest && *end == '.')
        for (size_t k = 0; k < sizeof fair_names / sizeof *fair_names; k++)
            if (starts_with(end + 1, fair_names[k][0])) {
                snprintf(out, size, "encoder.layer.%.*s.%s%s", (int)(end - rest), rest,
                         fair_names[k][1], end + 1 + strlen(fair_names[k][0]));
                return;
            }
    snprintf(out, size, "%s", theirs);
}

void aster_pretrained_name(enum aster_language_kind kind, const char *theirs, char *out,
                           size_t size)
{
    const char *name = without(theirs, kind == ASTER_LANGUAGE_ESM2 ? "esm." : "bert.");
    if (kind == ASTER_LANGUAGE_ESM2) {
        const char *fair = without(name, "model.");
        fair = without(without(fair, "encoder.sentence_encoder."), "encoder.");
        if (starts_with(fair, "layers.") || starts_with(fair, "embed_tokens.") ||
            starts_with(fair, "lm_head.") || starts_with(fair, "contact_head.") ||
            (starts_with(fair, "emb_layer_norm_after.") && !starts_with(name, "encoder.emb"))) {
            fair_name(fair, out, size);
            return;
        }
    }
    snprintf(out, size, "%s", name);
}

/* Parts of published files that the encoder does not have */
static bool is_not_needed(const char *name)
{
    static const char *const prefixes[] = {"lm_head.",         "contact_head.",
                                           "cls.predictions.", "cls.seq_relationship.",
                                           "pooler.dense.",    "embeddings.position_embeddings."};
    for (size_t k = 0; k < sizeof prefixes / sizeof *prefixes; k++)
        if (starts_with(name, prefixes[k]))
            return true;
    return strcmp(name, "embeddings.position_ids") == 0;
}

/* ---- matching ---- */

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct entry *)a)->name, ((const struct entry *)b)->name);
}

static int list_entries(struct aster_pretrained *w)
{
    w->n = aster_weightfile_count(w->file);
    ASTER_TRY(aster_alloc(w->ctx, w->n, sizeof *w->entry, &w->entry));
    for (int64_t k = 0; k < w->n; k++) {
        const struct aster_weight *t = aster_weightfile_tensor(w->file, k);
        if (strlen(t->name) >= NAME_BYTES / 2)
            return aster_fail(
                w->ctx, ASTER_EFORMAT,
                "%s: tensor '%.*s...': this name is too long to be one of the model's",
                aster_weightfile_path(w->file), ASTER_CUT(60, t->name));
        aster_pretrained_name(w->c.kind, t->name, w->entry[k].name, NAME_BYTES);
        w->entry[k].tensor = t;
    }
    qsort(w->entry, (size_t)w->n, sizeof *w->entry, by_name);
    for (int64_t k = 0; k + 1 < w->n; k++)
        if (strcmp(w->entry[k].name, w->entry[k + 1].name) == 0 && !is_not_needed(w->entry[k].name))
            return aster_fail(w->ctx, ASTER_EFORMAT,
                              "%s: tensors '%s' and '%s' are the same parameter of the model",
                              aster_weightfile_path(w->file), w->entry[k].tensor->name,
                              w->entry[k + 1].tensor->name);
    return 0;
}

static struct entry *find(const struct aster_pretrained *w, const char *name)
{
    struct entry key;
    snprintf(key.name, sizeof key.name, "%s", name);
    return bsearch(&key, w->entry, (size_t)w->n, sizeof *w->entry, by_name);
}

static void shape_text(int rank, const int64_t *dim, char *out, size_t size)
{
    size_t n = (size_t)snprintf(out, size, "[");
    for (int k = 0; k < rank && n < size; k++)
        n += (size_t)snprintf(out + n, size - n, "%s%lld", k ? ", " : "", (long long)dim[k]);
    if (n < size)
        snprintf(out + n, size - n, "]");
}

static int expect_shape(const struct aster_pretrained *w, const struct aster_weight *t, int rank,
                        const int64_t *dim)
{
    bool same = t->rank == rank;
    for (int k = 0; same && k < rank; k++)
        same = t->dim[k] == dim[k];
    if (same)
        return 0;
    char have[128], want[128];
    shape_text(t->rank, t->dim, have, sizeof have);
    shape_text(rank, dim, want, sizeof want);
    return aster_fail(w->ctx, ASTER_EFORMAT, "%s: tensor '%s' is %s, the model's is %s",
                      aster_weightfile_path(w->file), t->name, have, want);
}

static int match_block(struct aster_pretrained *w, int64_t block, const struct aster_program *p)
{
    for (int k = 0; k < aster_program_n_params(p); k++) {
        const struct aster_param_info *info = aster_program_param(p, k);
        char name[NAME_BYTES];
        int64_t dim[ASTER_MAX_RANK];
        aster_language_param_name(&w->c, block, info, name, sizeof name);
        struct entry *e = find(w, name);
        if (!e)
            return aster_fail(w->ctx, ASTER_EFORMAT,
                              "%s: there is no tensor '%s', with a prefix or another name of it",
                              aster_weightfile_path(w->file), name);
        aster_param_reference_shape(info, dim);
        ASTER_TRY(expect_shape(w, e->tensor, info->rank, dim));
        e->is_used = true;
    }
    return 0;
}

static int match_all(struct aster_pretrained *w)
{
    struct aster_program *p[3] = {0};
    int rc = 0;
    for (int64_t block = 0; rc == 0 && block < aster_language_n_blocks(&w->c); block++) {
        enum aster_language_part part = aster_language_part_of(&w->c, block);
        if (!p[part])
            rc = aster_language_program(w->ctx, &w->c, part, ASTER_F32, ASTER_LANGUAGE_EVAL,
                                        &p[part]);
        if (rc == 0)
            rc = match_block(w, block, p[part]);
    }
    for (int k = 0; k < 3; k++)
        aster_program_free(&p[k]);
    return rc;
}

/* ---- frequencies ---- */

static int read_frequencies(struct aster_pretrained *w)
{
    struct entry *shared = w->file ? find(w, "encoder.rotary_embeddings.inv_freq") : NULL;
    w->n_frequencies = w->c.width / w->c.n_heads / 2;
    ASTER_TRY(
        aster_alloc(w->ctx, w->c.n_layers * w->n_frequencies, sizeof *w->frequency, &w->frequency));
    for (int64_t layer = 0; layer < w->c.n_layers; layer++) {
        float *here = w->frequency + layer * w->n_frequencies;
        char name[NAME_BYTES];
        snprintf(name, sizeof name, "encoder.layer.%lld.attention.self.rotary_embeddings.inv_freq",
                 (long long)layer);
        struct entry *e = w->file ? find(w, name) : NULL;
        e = e ? e : shared;
        if (!e) {
            aster_esm2_frequencies(w->n_frequencies, here);
            continue;
        }
        ASTER_TRY(expect_shape(w, e->tensor, 1, &w->n_frequencies));
        ASTER_TRY(aster_weightfile_read(w->file, e->tensor, 0, w->n_frequencies, ASTER_F32, here));
        e->is_used = true;
    }
    if (shared)
        shared->is_used = true;
    return 0;
}

/* ---- opening and reading ---- */

static int open_all(struct aster_pretrained *w, const char *path)
{
    if (aster_pretrained_is_drawn(path))
        return w->c.kind == ASTER_LANGUAGE_ESM2 ? read_frequencies(w) : 0;
    ASTER_TRY(aster_weightfile_open(w->ctx, path, &w->file));
    ASTER_TRY(list_entries(w));
    ASTER_TRY(match_all(w));
    if (w->c.kind == ASTER_LANGUAGE_ESM2)
        ASTER_TRY(read_frequencies(w));
    for (int64_t k = 0; k < w->n; k++)
        if (!w->entry[k].is_used && !is_not_needed(w->entry[k].name))
            return aster_fail(
                w->ctx, ASTER_EFORMAT,
                "%s: tensor '%s' is not one of this model's; is the configuration another model's?",
                path, w->entry[k].tensor->name);
    return 0;
}

int aster_pretrained_open(struct aster_ctx *ctx, const char *path,
                          const struct aster_language_config *c, struct aster_pretrained **out)
{
    struct aster_pretrained *w = NULL;
    *out = NULL;
    ASTER_TRY(aster_language_check(ctx, c));
    ASTER_TRY(aster_alloc(ctx, 1, sizeof *w, &w));
    w->ctx = ctx;
    w->c = *c;
    int rc = open_all(w, path);
    if (rc < 0) {
        aster_pretrained_close(&w);
        return rc;
    }
    *out = w;
    return 0;
}

int aster_pretrained_read(const struct aster_pretrained *w, int64_t block,
                          const struct aster_program *p, void *flat)
{
    if (!w->file) {
        aster_program_init_params(p, (uint64_t)block, flat);
        return 0;
    }
    for (int k = 0; k < aster_program_n_params(p); k++) {
        const struct aster_param_info *info = aster_program_param(p, k);
        enum aster_dtype t = info->dtype;
        char name[NAME_BYTES];
        void *theirs = NULL;
        aster_language_param_name(&w->c, block, info, name, sizeof name);
        const struct entry *e = find(w, name);
        if (!e)
            return aster_fail(w->ctx, ASTER_EBUG, "%s: '%s' was not matched",
                              aster_weightfile_path(w->file), name);
        ASTER_TRY(aster_alloc(w->ctx, info->n, (size_t)aster_dtype_size(t), &theirs));
        int rc = aster_weightfile_read(w->file, e->tensor, 0, info->n, t, theirs);
        if (rc == 0)
            aster_param_from_reference(info, t, theirs, flat);
        aster_free(&theirs);
        ASTER_TRY(rc);
    }
    return 0;
}

const float *aster_pretrained_frequencies(const struct aster_pretrained *w, int64_t layer)
{
    return w->frequency + layer * w->n_frequencies;
}

void aster_pretrained_close(struct aster_pretrained **w)
{
    if (!*w)
        return;
    aster_weightfile_close(&(*w)->file);
    aster_free(&(*w)->entry);
    aster_free(&(*w)->frequency);
    aster_free(w);
}
