/* SPDX-License-Identifier: BSD-3-Clause */
/* Input files of a run: where they are, what they hold (as hashes), and what of all this decides
 * the results. */
#include "flow/embed_language.h"

#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#define WHOLE_LIMIT (INT64_C(1) << 30) /* larger files are known by their size and ends */
#define END_BYTES   (INT64_C(1) << 26)

static int hash_part(struct aster_ctx *ctx, FILE *f, const char *path, int64_t n,
                     struct aster_sha256 *sha)
{
    char buf[65536];
    while (n > 0) {
        size_t got = fread(buf, 1, (size_t)aster_min64(n, (int64_t)sizeof buf), f);
        if (got == 0)
            return aster_fail(ctx, ASTER_EIO, "%s: cannot be read: %s", path,
                              ferror(f) ? strerror(errno) : "it became shorter");
        aster_sha256_add(sha, buf, got);
        n -= (int64_t)got;
    }
    return 0;
}

static int hash_file(struct aster_ctx *ctx, struct aster_input *in)
{
    struct stat st;
    struct aster_sha256 sha;
    if (stat(in->path, &st) == 0 && !S_ISREG(st.st_mode)) /* opening a pipe would wait */
        return aster_fail(ctx, ASTER_EIO,
                          "%s: is no regular file; a file is expected, inputs are read twice",
                          in->path);
    FILE *f = fopen(in->path, "rb");
    if (!f)
        return aster_fail(ctx, ASTER_EIO, "%s: cannot be read: %s", in->path, strerror(errno));
    int rc = 0;
    if (fstat(fileno(f), &st) < 0)
        rc = aster_fail(ctx, ASTER_EIO, "%s: cannot be read: %s", in->path, strerror(errno));
    if (rc == 0) {
        in->bytes = st.st_size;
        in->whole = in->bytes <= WHOLE_LIMIT;
        aster_sha256_init(&sha);
        rc = hash_part(ctx, f, in->path, in->whole ? in->bytes : END_BYTES, &sha);
        if (rc == 0 && !in->whole) {
            rc = fseeko(f, in->bytes - END_BYTES, SEEK_SET) < 0
                     ? aster_fail(ctx, ASTER_EIO, "%s: cannot be read: %s", in->path,
                                  strerror(errno))
                     : hash_part(ctx, f, in->path, END_BYTES, &sha);
            aster_sha256_add(&sha, &in->bytes, sizeof in->bytes);
        }
        aster_sha256_text(&sha, in->sha256);
    }
    fclose(f);
    return rc;
}

const struct aster_input *aster_run_input(const struct aster_run *run, const char *given)
{
    for (int64_t i = 0; i < run->n_inputs; i++)
        if (strcmp(run->inputs[i].given, given) == 0)
            return &run->inputs[i];
    return NULL;
}

static int place(struct aster_run *run, const struct aster_stage_spec *s, const char *key,
                 struct aster_str *out)
{
    aster_str_free(out);
    if (s->line)
        aster_str_printf(out, "%s:%d:%d: stage %s: %s",
                         run->spec->file ? run->spec->file : "pipeline", s->line, s->column, s->id,
                         key);
    else
        aster_str_printf(out, "stage %s: %s", s->id, key);
    return aster_str_ok(run->ctx, out);
}

static int add_input(struct aster_run *run, const struct aster_stage_spec *s, const char *key,
                     const char *given, bool weights)
{
    if (!given || !*given || !strcmp(given, "-") || aster_run_input(run, given))
        return 0;
    ASTER_TRY(aster_grow(run->ctx, run->n_inputs + 1, sizeof *run->inputs, &run->cap_inputs,
                         &run->inputs));
    struct aster_input *in = &run->inputs[run->n_inputs];
    struct aster_str where = {0};
    int rc = place(run, s, key, &where);
    if (rc == 0 && !aster_file_exists(given))
        rc = aster_fail(run->ctx, ASTER_EIO, "%s: %s: there is no such file", aster_str_get(&where),
                        given);
    if (rc == 0 && weights)
        rc = aster_weights_find(run->ctx, given, &in->path);
    else if (rc == 0)
        rc = aster_strdup(run->ctx, given, &in->path);
    aster_str_free(&where);
    if (rc == 0) {
        in->given = given;
        run->n_inputs++;
        rc = hash_file(run->ctx, in);
    }
    return rc;
}

static void hash_text(struct aster_sha256 *sha, const char *s)
{
    aster_sha256_add(sha, s, strlen(s) + 1);
}

static void hash_file_option(const struct aster_run *run, struct aster_sha256 *sha,
                             const char *given)
{
    const struct aster_input *in = given ? aster_run_input(run, given) : NULL;
    hash_text(sha, in ? in->sha256 : "");
}

static int add_found(struct aster_run *run, const char *path)
{
    if (aster_run_input(run, path))
        return 0;
    ASTER_TRY(aster_grow(run->ctx, run->n_inputs + 1, sizeof *run->inputs, &run->cap_inputs,
                         &run->inputs));
    struct aster_input *in = &run->inputs[run->n_inputs];
    ASTER_TRY(aster_strdup(run->ctx, path, &in->path));
    in->given = in->path;
    run->n_inputs++;
    return hash_file(run->ctx, in);
}

/* The files that a language model is made of: added to the inputs, and to sha if there is one. */
static int take_language(struct aster_run *run, int stage, struct aster_sha256 *sha)
{
    struct aster_language_file *f = NULL;
    int rc = 0;
    ASTER_TRY(aster_language_file_find(run->ctx, aster_run_text(run, stage, "weights"),
                                       aster_run_text(run, stage, "config"),
                                       aster_run_text(run, stage, "tokenizer"), &f));
    if (aster_pretrained_is_drawn(f->weights)) {
        if (sha)
            hash_text(sha, f->weights);
        goto done;
    }
    ASTER_GOTO(add_found(run, f->weights), done);
    for (int64_t k = 0; k < f->n_shards; k++)
        ASTER_GOTO(add_found(run, f->shards[k]), done);
    if (f->config)
        ASTER_GOTO(add_found(run, f->config), done);
    if (f->tokenizer)
        ASTER_GOTO(add_found(run, f->tokenizer), done);
    if (!sha)
        goto done;
    hash_file_option(run, sha, f->weights);
    for (int64_t k = 0; k < f->n_shards; k++)
        hash_file_option(run, sha, f->shards[k]);
    hash_file_option(run, sha, f->config);
    hash_file_option(run, sha, f->tokenizer);
done:
    aster_language_file_free(&f);
    return rc;
}

int aster_inputs_read(struct aster_run *run)
{
    for (int i = 0; i < run->spec->n_stages; i++) {
        const struct aster_stage_spec *s = &run->spec->stages[i];
        if (!strcmp(s->kind->name, "load-language"))
            ASTER_TRY(take_language(run, i, NULL));
        bool weights = !strcmp(s->kind->name, "load-model");
        for (int k = 0; s->kind->opts[k].key; k++) {
            const struct aster_opt_value *v = &s->values[k];
            enum aster_opt_type t = s->kind->opts[k].type;
            if (!v->is_set)
                continue;
            if (t == ASTER_OPT_FILE || (t == ASTER_OPT_PATH && weights))
                ASTER_TRY(add_input(run, s, s->kind->opts[k].key, v->text, weights));
            for (int64_t j = 0; t == ASTER_OPT_FILES && j < v->n; j++)
                ASTER_TRY(add_input(run, s, s->kind->opts[k].key, v->items[j], false));
        }
    }
    return 0;
}

int aster_run_inputs(struct aster_ctx *ctx, const struct aster_run_spec *spec,
                     struct aster_str *out)
{
    struct aster_run run = {.ctx = ctx, .spec = spec, .lock = -1};
    int rc;
    ASTER_GOTO(aster_alloc(ctx, spec->n_stages, sizeof *run.slots, &run.slots), done);
    ASTER_GOTO(aster_inputs_read(&run), done);
    for (int64_t i = 0; i < run.n_inputs; i++)
        aster_str_printf(out, "input %s %s\n", aster_path_base(run.inputs[i].path),
                         run.inputs[i].sha256);
    rc = aster_str_ok(ctx, out);
done:
    aster_run_free_parts(&run);
    return rc;
}

/* Options that change no result: a run goes on with others than it began with. */
static bool is_free(const struct aster_stage_spec *s, const char *key)
{
    static const char end[] = "token_budget";
    size_t n = strlen(key);
    if (!strcmp(key, "batch_atoms"))
        return true;
    return (n >= sizeof end - 1 && !strcmp(key + n - (sizeof end - 1), end)) ||
           (!strcmp(s->kind->name, "virnucpro") && !strcmp(key, "batch_size"));
}

bool aster_inputs_is_free(const struct aster_run_spec *spec, const char *name)
{
    for (int i = 0; i < spec->n_stages; i++)
        for (int k = 0; spec->stages[i].kind->opts[k].key; k++)
            if (!strcmp(spec->stages[i].kind->opts[k].key, name) && is_free(&spec->stages[i], name))
                return true;
    return false;
}

int aster_inputs_hash(struct aster_run *run)
{
    struct aster_sha256 sha;
    aster_sha256_init(&sha);
    hash_text(&sha, PACKAGE_VERSION);
    for (int i = 0; i < run->spec->n_stages; i++) {
        const struct aster_stage_spec *s = &run->spec->stages[i];
        bool stream =
                 !strcmp(s->kind->name, "read-fasta"), /* its records are compared one by one */
            language = !strcmp(s->kind->name, "load-language");
        hash_text(&sha, s->id);
        hash_text(&sha, s->kind->name);
        for (int k = 0; s->kind->opts[k].key; k++) {
            const struct aster_opt_value *v = &s->values[k];
            enum aster_opt_type t = s->kind->opts[k].type;
            if (is_free(s, s->kind->opts[k].key))
                continue;
            hash_text(&sha, s->kind->opts[k].key);
            if (t == ASTER_OPT_FILE || t == ASTER_OPT_PATH) {
                if (!stream && !language)
                    hash_file_option(run, &sha, v->is_set ? v->text : NULL);
            } else if (t == ASTER_OPT_FILES) {
                for (int64_t j = 0; v->is_set && j < v->n; j++)
                    hash_file_option(run, &sha, v->items[j]);
            } else {
                hash_text(&sha, v->is_set && v->text ? v->text : "");
            }
        }
        if (language)
            ASTER_TRY(take_language(run, i, &sha));
    }
    aster_sha256_text(&sha, run->hash);
    return 0;
}

void aster_inputs_free(struct aster_run *run)
{
    for (int64_t i = 0; i < run->n_inputs; i++)
        aster_free(&run->inputs[i].path);
    aster_free(&run->inputs);
    run->n_inputs = run->cap_inputs = 0;
}

/* The one file of a folder whose name ends in .h5. */
static int only_h5(struct aster_ctx *ctx, const char *folder, char **out)
{
    int n = 0;
    DIR *d = opendir(folder);
    if (!d)
        return aster_fail(ctx, ASTER_EIO, "%s: cannot be read: %s", folder, strerror(errno));
    int rc = 0;
    for (struct dirent *e; rc == 0 && (e = readdir(d));) {
        size_t len = strlen(e->d_name);
        if (len < 4 || strcmp(e->d_name + len - 3, ".h5") || !strcmp(e->d_name, "checkpoint.h5") ||
            !strcmp(e->d_name, "results.h5"))
            continue;
        n++;
        aster_free(out);
        rc = aster_path_join(ctx, folder, e->d_name, out);
    }
    closedir(d);
    if (rc == 0 && n != 1) {
        aster_free(out);
        rc = aster_fail(ctx, ASTER_EPARAM,
                        "%s: has no best_model.h5 and %d other weights files; name one file",
                        folder, n);
    }
    return rc;
}

int aster_weights_find(struct aster_ctx *ctx, const char *path, char **out)
{
    static const char *const names[] = {"best_model.h5", "final_model.h5"};
    struct stat st;
    *out = NULL;
    if (stat(path, &st) < 0)
        return aster_fail(ctx, ASTER_EIO, "%s: %s; a run folder or a weights file is expected",
                          path, strerror(errno));
    if (!S_ISDIR(st.st_mode))
        return aster_strdup(ctx, path, out);
    for (int i = 0; i < 2; i++) {
        ASTER_TRY(aster_path_join(ctx, path, names[i], out));
        if (aster_file_exists(*out))
            return 0;
        aster_free(out);
    }
    return only_h5(ctx, path, out);
}
