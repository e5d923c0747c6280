/* SPDX-License-Identifier: BSD-3-Clause */
/* What can be known of a run before it computes: inputs read, models sized, memory and task times
 * estimated. */
#include "flow/embed_language.h"
#include "flow/embed_part.h"
#include "flow/md.h"
#include "flow/training.h"
#include "flow/vnp.h"

#include <string.h>

#define CORE_RATE 2e10 /* FLOP/s of one core that estimates assume */

struct check {
    struct aster_run run;
    struct aster_str *out;
};

static const char *path_of(const struct aster_run *run, int stage, const char *key)
{
    const char *given = aster_run_text(run, stage, key);
    const struct aster_input *in = aster_run_input(run, given);
    return in ? in->path : given;
}

static int check_table(struct check *c, int i)
{
    struct aster_run *run = &c->run;
    struct aster_slot *slot = &run->slots[i];
    const char *path = path_of(run, i, "file");
    if (!*path) {
        ASTER_TRY(aster_alloc(run->ctx, 1, sizeof *slot->proteins, &slot->proteins));
        slot->proteins->max_length = aster_run_int(run, i, "max_length");
        aster_str_add(c->out, "no table\n");
        return 0;
    }
    ASTER_TRY(aster_proteins_read(run->ctx, path, aster_run_text(run, i, "format"),
                                  aster_run_int(run, i, "max_length"),
                                  aster_run_bool(run, i, "upper_case"), NULL, &slot->proteins));
    const struct aster_table_counts *n = &slot->proteins->counts;
    aster_str_printf(c->out, "%s: %lld of %lld rows usable, %lld with a loop\n", path,
                     (long long)n->kept, (long long)n->rows, (long long)slot->proteins->n_loops);
    return 0;
}

static int check_fasta(struct check *c, int i)
{
    const char *path = path_of(&c->run, i, "file");
    struct aster_fasta *f = NULL;
    struct aster_fasta_record rec;
    int64_t n = 0, longest = 0, rc;
    if (!strcmp(path, "-")) {
        aster_str_add(c->out, "the standard input\n");
        return 0;
    }
    ASTER_TRY(aster_fasta_open(c->run.ctx, path, &f));
    for (; (rc = aster_fasta_next(f, &rec)) == 1; n++)
        longest = aster_max64(longest, rec.length);
    aster_fasta_warn(c->run.ctx, path, f);
    aster_fasta_close(&f);
    if (rc == 0)
        aster_str_printf(c->out, "%s: %lld sequences, the longest has %lld residues\n", path,
                         (long long)n, (long long)longest);
    return (int)rc;
}

static int check_embeddings(struct check *c, int i)
{
    struct aster_run *run = &c->run;
    const char *path = path_of(run, i, "file");
    if (!*path) {
        aster_str_add(c->out, "none\n");
        return 0;
    }
    ASTER_TRY(aster_embeddings_open(
        run->ctx, path, aster_run_text(run, i, "encoding"), aster_run_int(run, i, "dim"),
        aster_run_int(run, i, "max_length"), &run->slots[i].embeddings));
    const struct aster_proteins *p = aster_embeddings_proteins(run->slots[i].embeddings);
    aster_str_printf(c->out, "%s: width %lld%s\n", path, (long long)aster_run_int(run, i, "dim"),
                     p ? ", with labels" : "");
    return 0;
}

static int check_split(struct check *c, int i)
{
    struct aster_split *s;
    ASTER_TRY(aster_split_of(&c->run, i, &c->run.slots[i].split));
    s = c->run.slots[i].split;
    aster_str_printf(c->out, "%lld to train on, %lld to validate\n", (long long)(s->n - s->n_val),
                     (long long)s->n_val);
    return 0;
}

/* Size, work and memory of a program over n samples of the model's length. */
static int describe_model(struct check *c, const struct aster_model_config *m,
                          enum aster_dtype real, bool train, int64_t n, const char *what)
{
    struct aster_model_loss loss = {.class_weights = {1, 1}};
    struct aster_program *p = NULL;
    struct aster_plan *plan = NULL;
    const struct aster_bind bind[] = {
        {"B", n}, {"L", m->max_length}, {"BG", n}, {"S", m->max_length}};
    double flops = 0, f, b;
    int rc;
    ASTER_GOTO(aster_model_program(c->run.ctx, m, real, train ? ASTER_USE_TRAIN : ASTER_USE_EVAL,
                                   &loss, &p),
               done);
    ASTER_GOTO(aster_plan_new(c->run.ctx, p, 4, bind, NULL, &plan), done);
    for (int k = 0; k < aster_plan_n_segments(plan); k++) {
        aster_plan_cost(plan, k, &f, &b);
        flops += f;
    }
    int64_t n_params = 0;
    for (int k = 0; k < aster_program_n_params(p); k++)
        n_params += aster_program_param(p, k)->n;
    aster_str_printf(c->out,
                     "  %lld parameters\n  %s: %lld samples per task, %.2f GFLOP, %.1f MB, about "
                     "%.0f ms on one core at %.0f GFLOP/s\n",
                     (long long)n_params, what, (long long)n, flops / 1e9,
                     (double)(aster_plan_bytes(plan, ASTER_CLASS_ARENA) +
                              aster_plan_bytes(plan, ASTER_CLASS_INPUT) +
                              aster_plan_bytes(plan, ASTER_CLASS_OUTPUT)) /
                         1e6,
                     1e3 * flops / CORE_RATE, CORE_RATE / 1e9);
done:
    aster_plan_free(&plan);
    aster_program_free(&p);
    return rc;
}

static int check_model(struct check *c, int i)
{
    struct aster_run *run = &c->run;
    struct aster_model_file *m = NULL;
    ASTER_TRY(aster_alloc(run->ctx, 1, sizeof *m, &m));
    run->slots[i].model = m;
    ASTER_TRY(aster_strdup(run->ctx, path_of(run, i, "path"), &m->path));
    ASTER_TRY(aster_run_weights(run, i, m->path, &m->weights));
    const struct aster_model_config *k = &m->weights->model;
    aster_str_printf(c->out, "%s: %s on %s, length %lld\n", m->path, aster_model_name(k->kind),
                     m->weights->encoding, (long long)k->max_length);
    return 0;
}

static int check_language(struct check *c, int i)
{
    ASTER_TRY(aster_stage_load_language_ready(c->run.ctx, &c->run, i));
    aster_language_file_text(c->run.slots[i].language, c->out);
    aster_str_printf(c->out, ", from %s\n", c->run.slots[i].language->weights);
    return 0;
}

static int check_dna(struct check *c, int i)
{
    struct aster_run *run = &c->run;
    ASTER_TRY(aster_stage_read_dna_ready(run->ctx, run, i));
    aster_str_printf(c->out, "%lld files\n", (long long)aster_run_value(run, i, "files")->n);
    return 0;
}

static int check_classifier(struct check *c, int i)
{
    ASTER_TRY(aster_stage_load_classifier_ready(c->run.ctx, &c->run, i));
    const struct aster_classifier_file *f = c->run.slots[i].classifier;
    aster_str_printf(c->out, "%s: %lld values, chunks of %lld bases\n", f->classifier->path,
                     (long long)f->classifier->config.n_inputs, (long long)f->chunk_length);
    return 0;
}

static int check_virnucpro(struct check *c, int i)
{
    ASTER_TRY(aster_stage_virnucpro_ready(c->run.ctx, &c->run, i));
    aster_str_add(c->out, "the models fit the classifier\n");
    return 0;
}

static int check_embed(struct check *c, int i)
{
    ASTER_TRY(aster_stage_embed_ready(c->run.ctx, &c->run, i));
    aster_str_printf(c->out, "layers %s, %s\n", aster_run_text(&c->run, i, "layers"),
                     aster_run_text(&c->run, i, "output"));
    return 0;
}

static int check_forcefield(struct check *c, int i)
{
    ASTER_TRY(aster_stage_load_forcefield_ready(c->run.ctx, &c->run, i));
    const struct aster_forcefield_source *s = c->run.slots[i].forcefield;
    aster_str_printf(c->out, "%s: %lld interactions of width %lld, cutoff %g A, %s\n", s->path,
                     (long long)s->file.c.n_blocks, (long long)s->file.c.width, s->file.c.cutoff,
                     aster_dtype_name(s->real));
    return 0;
}

static int check_structures(struct check *c, int i)
{
    struct aster_run *run = &c->run;
    ASTER_TRY(aster_stage_read_structures_ready(run->ctx, run, i));
    aster_str_printf(c->out, "%lld files\n", (long long)aster_run_value(run, i, "files")->n);
    return 0;
}

static int check_dynamics(struct check *c, int i)
{
    struct aster_md_options o;
    ASTER_TRY(aster_md_options_read(&c->run, i, &o));
    aster_str_printf(c->out, "%s, %lld steps of %g fs, %lld of each structure",
                     aster_ensemble_name(o.ensemble), (long long)o.steps, o.timestep_fs,
                     (long long)o.replicas);
    for (int64_t k = 0; o.ensemble != ASTER_NVE && k < o.n_rungs; k++)
        aster_str_printf(c->out, "%s%.5g", k ? ", " : "; K: ", o.temperature[k]);
    aster_str_add(c->out, "\n");
    aster_md_options_free(&o);
    return 0;
}

/* The stage whose vectors stage i reads computes them in the run. */
static int embedding_stage(const struct aster_run *run, int i)
{
    int k = aster_run_stage_index(run, aster_run_text(run, i, "embeddings"));
    return k >= 0 && !strcmp(run->spec->stages[k].kind->name, "embed") ? k : -1;
}

/* Of an encoding that the run computes only the width is known yet. */
static int choose_encoding(const struct aster_run *run, int i, const char *name,
                           struct aster_encoding *enc)
{
    int k = embedding_stage(run, i);
    const struct aster_slot *e = aster_run_slot(run, i, "embeddings", 0);
    if (k < 0 || strncmp(name, "esm2", 4) != 0)
        return aster_encoding_choose(run->ctx, name, e ? e->embeddings : NULL, enc);
    *enc = (struct aster_encoding){.dim = aster_run_slot(run, k, "language", 0)->language->c.width};
    snprintf(enc->name, sizeof enc->name, "%s", name);
    return 0;
}

static int check_train(struct check *c, int i)
{
    struct aster_run *run = &c->run;
    struct aster_training t = aster_training_of(run, i);
    struct aster_train_config config;
    struct aster_encoding enc;
    ASTER_TRY(choose_encoding(run, i, t.encoding, &enc));
    ASTER_TRY(aster_training_config(&t, enc.dim, &config));
    ASTER_TRY(aster_train_check(run->ctx, &config, t.split->n - t.split->n_val, t.split->n_val));
    int64_t steps = (t.split->n - t.split->n_val + t.batch_size - 1) / t.batch_size;
    int64_t shard = aster_max64(
        1, aster_min64(t.batch_size, (t.batch_size + config.shards - 1) / config.shards));
    aster_str_printf(c->out, "%s on %s, %lld steps per epoch, at most %lld epochs\n", t.model,
                     t.encoding, (long long)steps, (long long)config.epochs);
    return describe_model(c, &config.model, config.real, true, shard, "gradient shard");
}

static int check_use(struct check *c, int i)
{
    struct aster_run *run = &c->run;
    const struct aster_slot *m = aster_run_slot(run, i, "model", 0);
    struct aster_encoding enc;
    if (!m->model) { /* trained by this very run */
        aster_str_add(c->out, "with the model that the run trains\n");
        return 0;
    }
    const struct aster_weights *w = m->model->weights;
    ASTER_TRY(choose_encoding(run, i, w->encoding, &enc));
    if (enc.dim != w->model.input_dim)
        return aster_fail(
            run->ctx, ASTER_EPARAM, "%s: reads %lld values per residue, encoding %s gives %lld",
            m->model->path, (long long)w->model.input_dim, enc.name, (long long)enc.dim);
    aster_str_add(c->out, "\n");
    return describe_model(c, &w->model, w->real, false, aster_run_int(run, i, "batch_size"),
                          "batch");
}

static int check_experiments(struct check *c, int i)
{
    const struct aster_opt_value *e = aster_run_value(&c->run, i, "encodings"),
                                 *m = aster_run_value(&c->run, i, "models");
    const struct aster_slot *emb = aster_run_slot(&c->run, i, "embeddings", 0);
    bool has_vectors = (emb && emb->embeddings) || embedding_stage(&c->run, i) >= 0;
    int64_t without = 0;
    for (int64_t k = 0; k < e->n; k++)
        without += !strncmp(e->items[k], "esm2", 4) && !has_vectors ? m->n : 0;
    aster_str_printf(c->out, "%lld trainings\n", (long long)(e->n * m->n - without));
    if (without)
        aster_str_printf(c->out,
                         "  %lld more are left out: they need residue vectors (precomputed=FILE)\n",
                         (long long)without);
    return 0;
}

static int check_training(struct check *c, int i)
{
    struct aster_forcefield_config m;
    int64_t shard;
    ASTER_TRY(aster_stage_train_forcefield_ready(c->run.ctx, &c->run, i));
    ASTER_TRY(aster_train_forcefield_look(&c->run, i, &m, &shard));
    aster_str_printf(c->out,
                     "a force field of %lld interactions of width %lld, %lld radial functions to "
                     "%g A; shards of %lld structures\n",
                     (long long)m.n_blocks, (long long)m.width, (long long)m.n_radial, m.cutoff,
                     (long long)shard);
    return 0;
}

static int check_nothing(struct check *c, int i)
{
    aster_str_add(c->out, "\n");
    return 0;
}

static const struct {
    const char *kind;
    int (*check)(struct check *c, int stage);
} checks[] = {{"read-table", check_table},
              {"read-fasta", check_fasta},
              {"embeddings", check_embeddings},
              {"split", check_split},
              {"train", check_train},
              {"load-model", check_model},
              {"evaluate", check_use},
              {"predict", check_use},
              {"experiments", check_experiments},
              {"load-language", check_language},
              {"read-dna", check_dna},
              {"load-classifier", check_classifier},
              {"virnucpro", check_virnucpro},
              {"embed", check_embed},
              {"load-forcefield", check_forcefield},
              {"read-structures", check_structures},
              {"run-dynamics", check_dynamics},
              {"train-forcefield", check_training}};

static int check_stage(struct check *c, int i)
{
    const struct aster_stage_spec *s = &c->run.spec->stages[i];
    int (*check)(struct check *, int) = check_nothing;
    for (size_t k = 0; k < sizeof checks / sizeof *checks; k++)
        if (!strcmp(checks[k].kind, s->kind->name))
            check = checks[k].check;
    aster_str_printf(c->out, "%s (%s): ", s->id, s->kind->name);
    return check(c, i);
}

int aster_run_check(struct aster_ctx *ctx, const struct aster_run_spec *spec,
                    const struct aster_run_options *o, struct aster_str *out)
{
    struct check c = {.run = {.ctx = ctx, .spec = spec, .opt = o, .lock = -1}, .out = out};
    int rc;
    ASTER_GOTO(aster_alloc(ctx, spec->n_stages, sizeof *c.run.slots, &c.run.slots), done);
    ASTER_GOTO(aster_runtime_check(ctx, &o->runtime), done);
    ASTER_GOTO(aster_inputs_read(&c.run), done);
    for (int64_t i = 0; i < c.run.n_inputs; i++)
        aster_str_printf(out, "input %s: %lld bytes, sha256 %.16s...\n", c.run.inputs[i].path,
                         (long long)c.run.inputs[i].bytes, c.run.inputs[i].sha256);
    for (int i = 0; i < spec->n_stages; i++)
        ASTER_GOTO(check_stage(&c, i), done);
    rc = aster_str_ok(ctx, out);
done:
    aster_run_free_parts(&c.run);
    return rc;
}
