/* SPDX-License-Identifier: BSD-3-Clause */
/* run.yaml: what was run, with what, on what, and how it ended. Written as simple YAML that is read
 * back line by line. */
#include "flow/internal.h"

#include "config.h"

#include <string.h>

static void put(struct aster_str *s, int depth, const char *key, const char *value)
{
    aster_str_printf(s, "%*s%s: ", 2 * depth, "", key);
    aster_json_quote(s, value);
    aster_str_add(s, "\n");
}

static void put_int(struct aster_str *s, const char *key, int64_t n)
{
    aster_str_printf(s, "  %s: %lld\n", key, (long long)n);
}

static void put_real(struct aster_str *s, const char *key, double x)
{
    aster_str_printf(s, "  %s: %.6g\n", key, x);
}

static void put_stages(const struct aster_run *run, struct aster_str *s)
{
    aster_str_add(s, "stages:\n");
    for (int i = 0; i < run->spec->n_stages; i++) {
        const struct aster_stage_spec *st = &run->spec->stages[i];
        aster_str_printf(s, "  %s:\n", st->id);
        put(s, 2, "stage", st->kind->name);
        for (int k = 0; st->kind->opts[k].key; k++)
            if (st->values[k].is_set)
                put(s, 2, st->kind->opts[k].key, st->values[k].text ? st->values[k].text : "");
    }
}

static void put_machine(struct aster_run *run, struct aster_str *s)
{
    aster_str_add(s, "versions:\n");
    put(s, 1, "asterism", PACKAGE_VERSION);
    if (!run->rt)
        return;
    put(s, 1, "starpu", aster_runtime_starpu_version(run->rt));
    aster_str_add(s, "machine:\n");
    put(s, 1, "isa", aster_isa_name(aster_runtime_isa(run->rt)));
    put(s, 1, "scheduler", aster_runtime_scheduler(run->rt));
    put_int(s, "memory_limit", aster_runtime_memory_limit(run->rt));
    put_int(s, "workers", aster_runtime_n_workers(run->rt));
    put(s, 1, "devices", aster_str_get(&run->devices));
}

static void put_inputs(const struct aster_run *run, struct aster_str *s)
{
    if (run->n_inputs)
        aster_str_add(s, "inputs:\n");
    for (int64_t i = 0; i < run->n_inputs; i++) {
        const struct aster_input *in = &run->inputs[i];
        aster_str_add(s, "  - {file: ");
        aster_json_quote(s, in->path);
        aster_str_printf(s, ", bytes: %lld, %s: %s}\n", (long long)in->bytes,
                         in->whole ? "sha256" : "sha256_of_ends", in->sha256);
    }
}

int aster_runfile_write(struct aster_run *run, const char *state)
{
    struct aster_str s = {0};
    put(&s, 0, "pipeline", run->spec->name);
    put(&s, 0, "pipeline_file", run->spec->file ? run->spec->file : "");
    put(&s, 0, "pipeline_hash", run->hash);
    put(&s, 0, "command_line", run->opt->command_line ? run->opt->command_line : "");
    put(&s, 0, "state", state);
    put(&s, 0, "started", run->started);
    if (*run->finished)
        put(&s, 0, "finished", run->finished);
    aster_str_add(&s, "parameters:\n");
    for (int i = 0; i < run->spec->n_params; i++)
        put(&s, 1, run->spec->params[i].name,
            run->spec->params[i].value ? run->spec->params[i].value : "");
    put_stages(run, &s);
    put_machine(run, &s);
    put_inputs(run, &s);
    if (*run->finished) {
        aster_str_add(&s, "results:\n");
        put_int(&s, "items", run->items);
        put_int(&s, "failed", run->failed);
        put_real(&s, "wall_s", aster_wall() - run->started_at);
        put_real(&s, "busy", run->busy);
        put_int(&s, "peak_memory", run->peak_memory);
    }
    if (run->n_facts)
        aster_str_add(&s, "facts:\n");
    for (int64_t i = 0; i < run->n_facts; i++)
        put(&s, 1, run->facts[i].name, run->facts[i].value);
    int rc = aster_run_write(run, "run.yaml", &s);
    aster_str_free(&s);
    return rc;
}

/* The text of a scalar as put() and put_int() write it. */
static int unquote(struct aster_ctx *ctx, const char *path, const char *text, char **out)
{
    struct aster_json *j = NULL;
    if (*text != '"')
        return aster_strdup(ctx, text, out);
    ASTER_TRY(aster_json_parse(ctx, path, text, strlen(text), &j));
    int rc = aster_strdup(ctx, j->type == ASTER_JSON_STRING ? j->string : "", out);
    aster_json_free(&j);
    return rc;
}

static int add_line(struct aster_ctx *ctx, const char *path, struct aster_runfile *f,
                    const char *section, const char *key, const char *value)
{
    ASTER_TRY(aster_grow(ctx, f->n + 1, sizeof *f->lines, &f->cap, &f->lines));
    struct aster_runfile_line *l = &f->lines[f->n++];
    ASTER_TRY(aster_strdup(ctx, section, &l->section));
    ASTER_TRY(aster_strdup(ctx, key, &l->key));
    return unquote(ctx, path, value, &l->value);
}

/* Sections are one level deep but for stages, whose options are read as section "stages.<id>". */
static int read_line(struct aster_ctx *ctx, const char *path, char *line, char section[256],
                     char stage[256], struct aster_runfile *f)
{
    size_t indent = strspn(line, " ");
    char *key = line + indent;
    if (!strncmp(key, "- ", 2))
        return add_line(ctx, path, f, section, "-", key + 2);
    char *colon = strchr(key, ':');
    if (!colon)
        return 0;
    const char *value = colon + 1 + strspn(colon + 1, " ");
    *colon = '\0';
    if (indent == 0 && !*value) {
        snprintf(section, 256, "%s", key);
        return 0;
    }
    if (indent == 2 && !*value) {
        snprintf(stage, 256, "%.*s.%.*s", ASTER_CUT(100, section), ASTER_CUT(100, key));
        return 0;
    }
    return add_line(ctx, path, f, indent == 0 ? "" : indent == 2 ? section : stage, key, value);
}

int aster_runfile_read(struct aster_ctx *ctx, const char *dir, struct aster_runfile *out)
{
    char *path = NULL, *text, *line;
    char section[256] = "", stage[256] = "";
    struct aster_lines *in = NULL;
    size_t n;
    memset(out, 0, sizeof *out);
    ASTER_TRY(aster_path_join(ctx, dir, "run.yaml", &path));
    int rc = aster_lines_open(ctx, path, &in);
    while (rc == 0 && (rc = aster_lines_next(in, &text, &n)) == 1) {
        rc = aster_strdup(ctx, text, &line);
        if (rc == 0)
            rc = read_line(ctx, path, line, section, stage, out);
        aster_free(&line);
    }
    aster_lines_close(&in);
    aster_free(&path);
    if (rc < 0)
        aster_runfile_free(out);
    return rc;
}

const char *aster_runfile_get(const struct aster_runfile *f, const char *section, const char *key)
{
    for (int64_t i = 0; i < f->n; i++)
        if (!strcmp(f->lines[i].section, section) && !strcmp(f->lines[i].key, key))
            return f->lines[i].value;
    return NULL;
}

void aster_runfile_free(struct aster_runfile *f)
{
    for (int64_t i = 0; i < f->n; i++) {
        aster_free(&f->lines[i].section);
        aster_free(&f->lines[i].key);
        aster_free(&f->lines[i].value);
    }
    aster_free(&f->lines);
    f->n = f->cap = 0;
}
