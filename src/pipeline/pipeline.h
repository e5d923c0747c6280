/* SPDX-License-Identifier: BSD-3-Clause */
/* A pipeline file: parsed, its mistakes listed, parameters set, resolved for a run, drawn. */
#ifndef ASTER_PIPELINE_H
#define ASTER_PIPELINE_H

#include "base/base.h"
#include "flow/flow.h"

struct aster_pipeline;

/* The stage kinds that a file may name. */
struct aster_kinds {
    int n;
    const struct aster_stage_kind *(*at)(int i);
};

/* ---- reading ---- */
/* A mistake in the file is no error of the call: it is listed (below). Negative: the file cannot be
 * read, or no memory. */
ASTER_CHECKED int aster_pipeline_open(struct aster_ctx *ctx, struct aster_kinds kinds,
                                      const char *path, struct aster_pipeline **out);
/* file: the name for messages; its folder is searched for default files. */
ASTER_CHECKED int aster_pipeline_parse(struct aster_ctx *ctx, struct aster_kinds kinds,
                                       const char *file, const char *text, size_t n,
                                       struct aster_pipeline **out);
void aster_pipeline_free(struct aster_pipeline **p);
/* "" when it has none */
const char *aster_pipeline_name(const struct aster_pipeline *p);
const char *aster_pipeline_file(const struct aster_pipeline *p);
/* "" when it has none */
const char *aster_pipeline_description(const struct aster_pipeline *p);

/* ---- mistakes: sorted by place ---- */
/* warnings included */
int64_t aster_pipeline_n_mistakes(const struct aster_pipeline *p);
int64_t aster_pipeline_n_errors(const struct aster_pipeline *p);
/* "file:line:column: message", without place where it is about an argument; a view. */
const char *aster_pipeline_mistake(const struct aster_pipeline *p, int64_t i);

/* ---- parameters ---- */
struct aster_parameter {
    const char *name, *help, *unit;
    enum aster_opt_type type;
    bool has_min, has_max;
    double min, max;
    int n_choices;
    const char *const *choices;
    const char *def; /* text of the default; NULL: must be given */
};
int aster_pipeline_n_parameters(const struct aster_pipeline *p);
const struct aster_parameter *aster_pipeline_parameter(const struct aster_pipeline *p, int i);
const char *aster_opt_type_name(enum aster_opt_type type); /* "int", "file" ... */
/* "1..100000 residues", "at least 0", "one of a, b"; "" without limits. */
void aster_parameter_range(const struct aster_parameter *q, struct aster_str *out);
void aster_opt_range(const struct aster_opt *opt, struct aster_str *out);

/* ---- values ---- */
/* As in name=value; looked at by aster_pipeline_resolve. A second call replaces the first. */
ASTER_CHECKED int aster_pipeline_set(struct aster_pipeline *p, const char *name, const char *value);
/* Gives every option its value and adds the mistakes of values. With inputs, a missing file or
 * parameter is one too. *spec is a view until the next call, NULL when there are errors. */
ASTER_CHECKED int aster_pipeline_resolve(struct aster_pipeline *p, bool inputs,
                                         const struct aster_run_spec **spec);

/* ---- pictures: without errors only ---- */
ASTER_CHECKED int aster_pipeline_dot(const struct aster_pipeline *p, struct aster_str *out);
ASTER_CHECKED int aster_pipeline_svg(const struct aster_pipeline *p, struct aster_str *out);

/* ---- where files are looked for ---- */
/* The file of a pipeline given by path or by name ("rcl-train"). */
ASTER_CHECKED int aster_find_pipeline(struct aster_ctx *ctx, const char *name, char **path_out);
/* The names under which pipelines are found here, sorted; the caller frees each and the list. */
ASTER_CHECKED int aster_list_pipelines(struct aster_ctx *ctx, int *n, char ***names);
/* A relative file: working directory, then folder, then the data folders. *path_out is NULL when it
 * is nowhere; looked, when not NULL, then lists the places. */
/* The first of the folders where pipelines and data are looked for. */
ASTER_CHECKED int aster_find_data(struct aster_ctx *ctx, char **out);
ASTER_CHECKED int aster_find_file(struct aster_ctx *ctx, const char *folder, const char *name,
                                  char **path_out, struct aster_str *looked);

#endif
