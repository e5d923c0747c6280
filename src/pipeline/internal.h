/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of this layer share: memory, mistakes, the YAML tree, typed values. */
#ifndef ASTER_PIPELINE_INTERNAL_H
#define ASTER_PIPELINE_INTERNAL_H

#include "pipeline/pipeline.h"

/* ---- memory freed together ---- */
struct aster_pool_block;
struct aster_pool {
    struct aster_ctx *ctx;
    struct aster_pool_block *blocks;
    size_t used;
};
/* zeroed */
ASTER_CHECKED int aster_pool_get(struct aster_pool *pool, int64_t n, size_t size, void *out);
ASTER_CHECKED int aster_pool_text(struct aster_pool *pool, const char *s, size_t n,
                                  const char **out);
void aster_pool_free(struct aster_pool *pool);

/* ---- the YAML tree ---- */
enum aster_node_kind {
    ASTER_NODE_NULL,
    ASTER_NODE_SCALAR,
    ASTER_NODE_LIST,
    ASTER_NODE_MAP,
    ASTER_NODE_BAD /* its mistake is listed already */
};
struct aster_node {
    enum aster_node_kind kind;
    bool quoted;
    const char *text; /* of a scalar */
    int line, column; /* from 1 */
    const char *key;  /* inside a map */
    int key_line, key_column;
    int n; /* children */
    struct aster_node *first, *last, *next;
};
/* What a plain scalar is by the core schema, less its rarer spellings. */
enum aster_plain {
    ASTER_PLAIN_TEXT,
    ASTER_PLAIN_INT,
    ASTER_PLAIN_REAL,
    ASTER_PLAIN_BOOL,
    ASTER_PLAIN_NULL,
    ASTER_PLAIN_OTHER_BOOL, /* yes, no, on, off, True ... */
    ASTER_PLAIN_OTHER_INT,  /* 0x10, 0o7 */
    ASTER_PLAIN_NOT_FINITE  /* .inf, .nan */
};
enum aster_plain aster_plain_kind(const char *text);
/* *root is NULL when the text is no YAML (a mistake is listed). */
ASTER_CHECKED int aster_yaml_parse(struct aster_pipeline *p, struct aster_node **root);
/* NULL if absent or null */
const struct aster_node *aster_node_get(const struct aster_node *map, const char *key);
/* "a list", ... */
const char *aster_node_kind_name(const struct aster_node *node);

/* ---- typed values ---- */
struct aster_limits {
    enum aster_opt_type type;
    bool has_min, has_max;
    double min, max;
    int n_choices;
    const char *const *choices;
    bool needs_value; /* texts: "" is refused */
};
enum aster_origin {
    ASTER_FROM_PLAIN,  /* YAML without quotes: the core schema says what it is */
    ASTER_FROM_QUOTED, /* YAML with quotes: text */
    ASTER_FROM_TEXT    /* command line, reference: read as what is expected */
};
struct aster_piece {
    const char *text;
    enum aster_origin origin;
    int line, column;
    const char *via; /* the parameter it came through, or NULL */
};
struct aster_pieces {
    int64_t n, cap;
    struct aster_piece *at;
    bool is_list;
};
bool aster_type_is_list(enum aster_opt_type type);
enum aster_opt_type aster_type_element(enum aster_opt_type type);
bool aster_type_is_text(enum aster_opt_type type);
/* Cuts text at commas where type is a list. */
ASTER_CHECKED int aster_pieces_cut(struct aster_pipeline *p, enum aster_opt_type type,
                                   struct aster_piece whole, struct aster_pieces *out);
ASTER_CHECKED int aster_pieces_add(struct aster_pipeline *p, struct aster_pieces *list,
                                   struct aster_piece piece);
/* 1: *out is set; 0: mistakes "what: expected ..., found ..." are listed. */
ASTER_CHECKED int aster_typed_value(struct aster_pipeline *p, const char *what,
                                    const struct aster_limits *limits,
                                    const struct aster_pieces *pieces, struct aster_opt_value *out);
/* "an int in 1..9" */
void aster_limits_text(const struct aster_limits *limits, struct aster_str *out);
void aster_number_text(double x, struct aster_str *out);

/* ---- the pipeline ---- */
struct aster_mistake {
    int line, column; /* 0, 0: an argument */
    int64_t order;
    /* is_value: found by resolve, dropped by the next resolve */
    bool is_warning, is_value;
    char *text; /* with its place */
};

struct aster_declared {
    struct aster_parameter q;
    struct aster_limits limits;
    bool is_typed;           /* the type could be read */
    struct aster_pieces def; /* the default's */
    bool has_default, default_is_fine, is_used;
    int line, column; /* of the name */
    bool is_given, has_value;
    struct aster_opt_value value;
};

struct aster_link { /* of an option of type STAGE, STAGES */
    int stage;
    int line, column;
};
struct aster_declared_option {
    const struct aster_node *node; /* NULL: not written, or is_bad */
    bool is_bad;                   /* its mistake is listed */
    int n_links;
    struct aster_link *links;
};
struct aster_declared_stage {
    const char *id;
    int line, column;
    const struct aster_node *body;
    const struct aster_stage_kind *kind;   /* NULL: unknown, listed */
    struct aster_declared_option *options; /* as kind->opts */
};

struct aster_argument { /* name=value */
    const char *name, *value;
};

struct aster_pipeline {
    struct aster_ctx *ctx;
    struct aster_pool pool;
    struct aster_kinds kinds;
    const char *file, *text;
    const char *folder;
    size_t n_text;
    const char *name, *description;
    struct aster_mistake *mistakes;
    int64_t n_mistakes, cap_mistakes;
    bool in_values; /* mistakes being added are those of values */
    int failed;     /* first error of adding a mistake */
    int n_params;
    struct aster_declared *params;
    /* the section could be read: references to others are mistakes */
    bool params_known;
    int n_stages;
    struct aster_declared_stage *stages;
    const char **stage_ids;
    int *order; /* stages, each after those it reads */
    int64_t n_arguments, cap_arguments;
    struct aster_argument *arguments;
    struct aster_run_spec spec;
};

/* A failed allocation is remembered in p->failed. */
void aster_mistake_add(struct aster_pipeline *p, int line, int column, const char *fmt, ...)
    ASTER_PRINTF(4, 5);
void aster_warning_add(struct aster_pipeline *p, int line, int column, const char *fmt, ...)
    ASTER_PRINTF(4, 5);
void aster_mistakes_sort(struct aster_pipeline *p);
void aster_mistakes_drop_values(struct aster_pipeline *p);
/* "; did you mean 'x'?" into hint (size bytes), or "". */
void aster_hint(const char *word, const char *const *names, int n, char *hint, size_t size);

ASTER_CHECKED int aster_parameters_read(struct aster_pipeline *p, const struct aster_node *section);
struct aster_declared *aster_parameter_find(const struct aster_pipeline *p, const char *name,
                                            size_t n);
ASTER_CHECKED int aster_parameter_names(struct aster_pipeline *p, const char ***out);

ASTER_CHECKED int aster_stages_read(struct aster_pipeline *p, const struct aster_node *section);
int aster_kind_n_opts(const struct aster_stage_kind *kind);

/* ---- references in texts ---- */
/* Walks over a text: 1 a part was read, 0 the end, negative: what is wrong is in *why. */
struct aster_reference_part {
    const char *literal; /* characters, or */
    size_t n_literal;
    const char *name; /* the parameter's name */
    size_t n_name;
};
int aster_reference_next(const char **text, struct aster_reference_part *part, const char **why);
/* The name when the text is $name and nothing else, else NULL. */
const char *aster_reference_whole(const char *text, size_t *n);

#endif
