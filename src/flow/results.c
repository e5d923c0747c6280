/* SPDX-License-Identifier: BSD-3-Clause */
/* The files of a finished run made of its shards, in the order of the input: results.h5 and the
 * text files. */
#include "flow/columns.h"

#include "config.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

struct out {
    FILE *file;
    char *tmp, *path;
};

static int open_text(struct aster_run *run, const struct aster_results_file *file, struct out *out)
{
    struct aster_str name = {0};
    aster_str_printf(&name, "%s.tmp", file->name);
    int rc = aster_str_ok(run->ctx, &name);
    if (rc == 0)
        rc = aster_run_path(run, file->name, &out->path);
    if (rc == 0)
        rc = aster_run_path(run, name.s, &out->tmp);
    aster_str_free(&name);
    ASTER_TRY(rc);
    out->file = fopen(out->tmp, "w");
    if (!out->file || fputs(file->head, out->file) < 0)
        return aster_fail(run->ctx, ASTER_EIO, "%s: cannot be written: %s", out->tmp,
                          strerror(errno));
    return 0;
}

static int commit_text(struct aster_run *run, struct out *out)
{
    FILE *f = out->file;
    out->file = NULL;
    int rc = fclose(f) ? aster_fail(run->ctx, ASTER_EIO, "%s: cannot be written: %s", out->tmp,
                                    strerror(errno))
                       : aster_file_commit(run->ctx, out->tmp, out->path);
    if (rc < 0)
        unlink(out->tmp);
    return rc;
}

static int add_shard(struct aster_run *run, const struct aster_shard *shard, struct aster_h5 *h5,
                     struct aster_column_totals *t, int n_files,
                     const struct aster_results_file *files, struct out *outs)
{
    struct aster_columns c = {0};
    int rc = aster_columns_of(run->ctx, shard, &c);
    if (rc == 0)
        rc = aster_columns_append(h5, &c, t);
    aster_columns_free(&c);
    ASTER_TRY(rc);
    for (int k = 0; k < n_files; k++) {
        const struct aster_str *text = &shard->text[files[k].which];
        if (text->len && fwrite(text->s, 1, text->len, outs[k].file) != text->len)
            return aster_fail(run->ctx, ASTER_EIO, "%s: cannot be written: %s", outs[k].tmp,
                              strerror(errno));
    }
    return 0;
}

static int open_results(struct aster_run *run, struct aster_h5 **f)
{
    char *path = NULL;
    ASTER_TRY(aster_run_path(run, "results.h5", &path));
    int rc = aster_h5_create(run->ctx, path, f);
    aster_free(&path);
    return rc;
}

/* The instruction set of the kernels; two where a run began with another one. */
static int write_isa(struct aster_run *run, struct aster_h5 *f)
{
    const char *now = run->rt ? aster_isa_name(aster_runtime_isa(run->rt)) : "",
               *before = run->isa_before;
    bool both = *now && *before && strcmp(now, before);
    struct aster_str s = {0};
    aster_str_printf(&s, "%s%s%s", both || !*now ? before : "", both ? ", " : "", now);
    int rc = aster_str_ok(run->ctx, &s);
    if (rc == 0)
        rc = aster_h5_attr_set_str(f, "/", "isa", aster_str_get(&s));
    aster_str_free(&s);
    return rc;
}

static int commit_results(struct aster_run *run, struct aster_h5 **f, int64_t n)
{
    ASTER_TRY(aster_h5_attr_set_str(*f, "/", "program", PACKAGE_STRING));
    ASTER_TRY(write_isa(run, *f));
    ASTER_TRY(aster_h5_attr_set_i64(*f, "/", "count", n));
    ASTER_TRY(aster_h5_attr_set_str(*f, "/", "pipeline", run->spec->name));
    ASTER_TRY(aster_h5_attr_set_str(*f, "/", "pipeline_hash", run->hash));
    return aster_h5_commit(f);
}

int aster_results_write(struct aster_run *run, struct aster_store *s, int64_t n_shards, int n_files,
                        const struct aster_results_file *files,
                        int (*visit)(void *arg, const struct aster_shard *shard), void *arg)
{
    struct aster_column_totals t = {0};
    struct out outs[ASTER_N_TEXTS] = {{0}};
    struct aster_h5 *h5 = NULL;
    struct aster_shard *shard = NULL;
    int rc;
    ASTER_GOTO(open_results(run, &h5), done);
    for (int k = 0; k < n_files; k++)
        ASTER_GOTO(open_text(run, &files[k], &outs[k]), done);
    for (int64_t i = 0; i < n_shards; i++) {
        ASTER_GOTO(aster_shard_load(run->ctx, s, i, &shard), done);
        ASTER_GOTO(add_shard(run, shard, h5, &t, n_files, files, outs), done);
        ASTER_GOTO(visit(arg, shard), done);
        aster_shard_free(&shard);
    }
    for (int k = 0; k < n_files; k++)
        ASTER_GOTO(commit_text(run, &outs[k]), done);
    rc = commit_results(run, &h5, t.n);
done:
    aster_shard_free(&shard);
    aster_h5_close(&h5);
    for (int k = 0; k < n_files; k++) {
        if (outs[k].file) {
            fclose(outs[k].file);
            unlink(outs[k].tmp);
        }
        aster_free(&outs[k].tmp);
        aster_free(&outs[k].path);
    }
    return rc;
}
