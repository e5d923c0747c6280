/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of this folder share: a run under way and what its stages hand to one another. */
#ifndef ASTER_FLOW_INTERNAL_H
#define ASTER_FLOW_INTERNAL_H

#include "flow/flow.h"
#include "io/io.h"
#include "train/metric.h"
#include "train/train.h"

/* ---- what stages give ---- */
struct aster_protein {
    char *id, *sequence;
    int64_t length, begin, end; /* loop, 0-based half-open; -1, -1: none */
    const uint8_t *labels;      /* NULL: from the bounds */
    int64_t key;                /* its number in a store of residue vectors, -1 */
};

struct aster_table_counts {
    int64_t rows, kept, empty, too_long, missing, not_numeric, outside;
};

struct aster_proteins { /* one table */
    char *file;
    int64_t n, cap, max_length, n_loops;
    struct aster_protein *p;
    struct aster_table_counts counts;
};

struct aster_embeddings;    /* embeddings.h */
struct aster_language_file; /* embed_language.h */
struct aster_dna_source;    /* vnp.h */
struct aster_classifier_file;
struct aster_structure_source; /* field_part.h */
struct aster_forcefield_source;

struct aster_split {
    int64_t n, n_val, max_length;
    const struct aster_protein **p; /* the combined list */
    int64_t *order; /* permutation: order[0 .. n_val - 1] validates, the rest is trained on */
};

struct aster_fasta_source {
    char *path;
    bool upper_case, strip_stop;
    int64_t n, longest; /* -1: not counted */
};

struct aster_model_file {
    char *path;
    struct aster_weights *weights;
};

struct aster_slot { /* one per stage; what is there depends on the kind of stage */
    struct aster_proteins *proteins;
    struct aster_embeddings *embeddings;
    struct aster_split *split;
    struct aster_fasta_source *fasta;
    struct aster_model_file *model;
    struct aster_language_file *language;
    struct aster_dna_source *dna;
    struct aster_classifier_file *classifier;
    struct aster_structure_source *structures;
    struct aster_forcefield_source *forcefield;
};

/* ---- a run ---- */
struct aster_input {
    const char *given;
    char *path;
    int64_t bytes;
    char sha256[65];
    bool whole; /* all of it was hashed */
};
struct aster_fact {
    char *name, *value;
};
struct aster_progress;

struct aster_run {
    struct aster_ctx *ctx;
    const struct aster_run_spec *spec;
    const struct aster_run_options *opt;
    char *dir;
    int lock;                 /* file descriptor */
    bool resumed;             /* the folder holds an earlier part of this run */
    char isa_before[32];      /* instruction set of that part */
    struct aster_runtime *rt; /* started by the first stage that computes */
    struct aster_str devices; /* names of its workers */
    struct aster_progress *progress;
    struct aster_slot *slots;
    int64_t n_inputs, cap_inputs;
    struct aster_input *inputs;
    int64_t n_facts, cap_facts;
    struct aster_fact *facts;
    char hash[65]; /* of the pipeline: what decides its results */
    char started[32], finished[32];
    double started_at;
    int64_t items, failed;
    double busy;
    int64_t peak_memory;
};

/* Options of a stage; asking for a key that its kind has not is our mistake and ends the program.
 */
const struct aster_opt_value *aster_run_value(const struct aster_run *run, int stage,
                                              const char *key);
int64_t aster_run_int(const struct aster_run *run, int stage, const char *key);
double aster_run_real(const struct aster_run *run, int stage, const char *key);
bool aster_run_bool(const struct aster_run *run, int stage, const char *key);
/* The option precision: the type of numbers, and how products of f32 are computed. */
struct aster_precision {
    enum aster_dtype real;
    enum aster_products products;
};
struct aster_precision aster_run_precision(const struct aster_run *run, int stage);
/* The weights of a file, to be computed with in the stage's precision. */
ASTER_CHECKED int aster_run_weights(const struct aster_run *run, int stage, const char *path,
                                    struct aster_weights **out);
const char *aster_run_text(const struct aster_run *run, int stage,
                           const char *key); /* "" when unset */
/* Which of n names the option says; the last where it says none of them. */
int aster_run_choice(const struct aster_run *run, int stage, const char *key, int n,
                     const char *const *names);
/* ASTER_EPARAM; the message begins with the place of the option, or of the stage where it has a
 * default. */
int aster_run_refuse(const struct aster_run *run, int stage, const char *key, const char *fmt, ...)
    ASTER_PRINTF(4, 5);
/* The stage that an option of type STAGE names, NULL when unset; or the i-th of STAGES. */
const struct aster_slot *aster_run_slot(const struct aster_run *run, int stage, const char *key,
                                        int64_t i);
int aster_run_stage_index(const struct aster_run *run, const char *id); /* -1 */
/* The runtime, started if need be. */
ASTER_CHECKED int aster_run_runtime(struct aster_run *run, struct aster_runtime **rt);
bool aster_run_stopping(void);
void aster_run_free_parts(struct aster_run *run); /* slots, inputs, facts, runtime */
/* Something that a reader of the results wants to know at once: logged, in run.yaml and in the
 * report. */
ASTER_CHECKED int aster_run_fact(struct aster_run *run, const char *name, const char *fmt, ...)
    ASTER_PRINTF(3, 4);
ASTER_CHECKED int aster_run_path(const struct aster_run *run, const char *name,
                                 char **out); /* in the run directory */
ASTER_CHECKED int aster_run_write(struct aster_run *run, const char *name,
                                  const struct aster_str *text);
/* How an option that names a file was found and read before the stages ran. */
const struct aster_input *aster_run_input(const struct aster_run *run, const char *given);

/* ledger.c: failed_items.tsv. A stage begins with no lines of its own; adding a line does not count
 * the item. */
ASTER_CHECKED int aster_ledger_reset(struct aster_run *run, const char *stage);
void aster_ledger_line(struct aster_str *out, const char *key, const char *stage,
                       const char *reason);
ASTER_CHECKED int aster_ledger_add(struct aster_run *run, const struct aster_str *lines);
/* Text for a tab-separated file: tabs and line ends become blanks. */
void aster_tsv_field(struct aster_str *out, const char *text);

/* rundir.c: takes the folder of the run and locks it. */
ASTER_CHECKED int aster_rundir_take(struct aster_run *run);
void aster_rundir_leave(struct aster_run *run);

/* inputs.c */
ASTER_CHECKED int aster_inputs_read(struct aster_run *run); /* finds and hashes every input file */
ASTER_CHECKED int aster_inputs_hash(struct aster_run *run); /* run->hash */
/* Whether options of that name change no result: a run goes on with others than before. */
bool aster_inputs_is_free(const struct aster_run_spec *spec, const char *name);
void aster_inputs_free(struct aster_run *run);

/* runfile.c: run.yaml, and reading it back as section, key and value */
ASTER_CHECKED int aster_runfile_write(struct aster_run *run, const char *state);
struct aster_runfile_line {
    char *section, *key, *value;
};
struct aster_runfile {
    int64_t n, cap;
    struct aster_runfile_line *lines;
};
ASTER_CHECKED int aster_runfile_read(struct aster_ctx *ctx, const char *dir,
                                     struct aster_runfile *out);
const char *aster_runfile_get(const struct aster_runfile *f, const char *section,
                              const char *key); /* NULL */
void aster_runfile_free(struct aster_runfile *f);

/* progress.c: what a person watches. All but new and free may be called from any thread. */
ASTER_CHECKED int aster_progress_new(struct aster_run *run, struct aster_progress **out);
ASTER_CHECKED int aster_progress_runtime(struct aster_progress *p,
                                         struct aster_runtime *rt); /* whose workers are sampled */
void aster_progress_stage(struct aster_progress *p, const char *what,
                          int64_t total); /* -1: unknown */
void aster_progress_interval(struct aster_progress *p,
                             double seconds); /* between log lines; 0: none */
void aster_progress_set(struct aster_progress *p, int64_t done);
void aster_progress_skip(struct aster_progress *p, int64_t done,
                         int64_t failed); /* done by an earlier part of the run */
void aster_progress_add(struct aster_progress *p, int64_t done, int64_t failed);
void aster_progress_note(struct aster_progress *p, const char *fmt, ...) ASTER_PRINTF(2, 3);
ASTER_CHECKED int aster_progress_finish(
    struct aster_progress *p); /* stops it; busy share and memory go to the run; workers.csv */
void aster_progress_free(struct aster_progress **p);

/* Stages (the run members of the table of kinds) */
int aster_stage_read_table(struct aster_ctx *ctx, void *run, int stage);
int aster_stage_read_fasta(struct aster_ctx *ctx, void *run, int stage);
int aster_stage_embeddings(struct aster_ctx *ctx, void *run, int stage);
int aster_stage_split(struct aster_ctx *ctx, void *run, int stage);
int aster_stage_train(struct aster_ctx *ctx, void *run, int stage);
int aster_stage_train_ready(struct aster_ctx *ctx, void *run, int stage);
int aster_stage_load_model(struct aster_ctx *ctx, void *run, int stage);
int aster_stage_evaluate(struct aster_ctx *ctx, void *run, int stage);
int aster_stage_predict(struct aster_ctx *ctx, void *run, int stage);
int aster_stage_experiments(struct aster_ctx *ctx, void *run, int stage);
int aster_stage_summary(struct aster_ctx *ctx, void *run, int stage);
int aster_stage_validate_table(struct aster_ctx *ctx, void *run, int stage);

int aster_stage_profile_language(struct aster_ctx *ctx, void *run, int stage); /* stage_profile.c */
int aster_stage_profile_language_ready(struct aster_ctx *ctx, void *run, int stage);

/* proteins.c */
ASTER_CHECKED int aster_proteins_add(struct aster_ctx *ctx, struct aster_proteins *t,
                                     const char *id, const char *sequence, int64_t length,
                                     int64_t begin, int64_t end);
void aster_proteins_free(struct aster_proteins **t);
void aster_upper_case(char *s);
/* Says so when sequences read so far hold what is no residue letter. */
void aster_fasta_warn(struct aster_ctx *ctx, const char *path, const struct aster_fasta *f);
/* A table read by the rules of cleaning; rejected rows are added to rejected (may be NULL) as TSV
 * lines. */
ASTER_CHECKED int aster_proteins_read(struct aster_ctx *ctx, const char *path, const char *format,
                                      int64_t max_length, bool upper_case,
                                      struct aster_str *rejected, struct aster_proteins **out);
/* Text that stands for "no value" in tables of the reference. */
bool aster_annotation_absent(const char *text, bool is_end);

/* split.c */
ASTER_CHECKED int aster_split_new(struct aster_ctx *ctx, int64_t n, const struct aster_protein **p,
                                  double train_split, uint32_t seed, bool grouped, bool deduplicate,
                                  double share, struct aster_split **out);
/* The split that a stage of that kind asks for, of the tables that it names. */
ASTER_CHECKED int aster_split_of(struct aster_run *run, int stage, struct aster_split **out);
void aster_split_free(struct aster_split **s);

#endif
