/* SPDX-License-Identifier: BSD-3-Clause */
/* Checks of FASTA files of DNA, record by record: what the virus pipeline could not judge, and what
 * may surprise. */
#include "flow/vnp_tables.h"

#include <string.h>

enum { MEMORY = 1 << 22, SHOWN = 20 };

struct validation {
    struct aster_run *run;
    struct aster_ctx *ctx;
    const char *stage;
    const struct aster_dna_source *source;
    double percent;
    struct aster_repeats *repeats;
    struct vnp_file out;
    struct aster_str text, failed;
    int64_t n, n_read, at_fault, repeated, warned, ambiguous, shortest, longest, bases, shown;
};

static int finding(struct validation *v, const char *path, int64_t line, const char *id, bool error,
                   const char *message)
{
    aster_tsv_field(&v->text, path);
    aster_str_printf(&v->text, "\t%lld\t", (long long)line);
    aster_tsv_field(&v->text, id);
    aster_str_add(&v->text, error ? "\terror\t" : "\twarning\t");
    aster_tsv_field(&v->text, message);
    aster_str_add(&v->text, "\n");
    if (v->shown++ < SHOWN)
        aster_log(v->ctx, ASTER_LOG_WARN, "%s", message);
    if (error)
        aster_ledger_line(&v->failed, id, v->stage, message);
    ASTER_TRY(aster_ledger_add(v->run, &v->failed));
    v->failed.len = 0;
    return vnp_file_add(&v->out, &v->text);
}

static int check_record(struct validation *v, const struct aster_dna_record *r, int64_t file)
{
    v->n++;
    if (r->fault) {
        v->at_fault++;
        return finding(v, r->path, r->line, r->id, true, r->fault);
    }
    v->shortest = v->n_read++ ? aster_min64(v->shortest, r->length) : r->length;
    v->longest = aster_max64(v->longest, r->length);
    v->bases += r->length;
    v->ambiguous += r->n_ambiguous;
    ASTER_TRY(aster_repeats_add(v->repeats, r->id, file, r->line));
    double percent = 100 * (double)r->n_ambiguous / (double)r->length;
    if (percent <= v->percent)
        return 0;
    char message[512];
    snprintf(message, sizeof message, "%.*s:%lld: record '%.*s' has %.1f %% ambiguous bases",
             ASTER_CUT(200, r->path), (long long)r->line, ASTER_CUT(200, r->id), percent);
    v->warned++;
    return finding(v, r->path, r->line, r->id, false, message);
}

/* Each file by itself, so that its number is known. */
static int check_file(struct validation *v, int64_t file)
{
    struct aster_dna *d = NULL;
    struct aster_dna_record r;
    const char *path = v->source->path[file];
    int rc;
    ASTER_TRY(aster_dna_open(v->ctx, 1, &path, v->source->any_letter, &d));
    while ((rc = aster_dna_next(d, &r)) == 1) {
        if (aster_run_stopping())
            ASTER_GOTO(ASTER_ESTOP, done);
        ASTER_GOTO(check_record(v, &r, file), done);
        aster_progress_set(v->run->progress, v->n);
    }
done:
    aster_dna_close(&d);
    return rc;
}

static int check_ids(struct validation *v)
{
    struct aster_repeat r;
    char message[768];
    int rc;
    while ((rc = aster_repeats_next(v->repeats, &r)) == 1) {
        snprintf(message, sizeof message, "%.*s:%lld: record '%.*s' is there before: %.*s:%lld",
                 ASTER_CUT(200, v->source->path[r.file]), (long long)r.line, ASTER_CUT(200, r.id),
                 ASTER_CUT(200, v->source->path[r.first_file]), (long long)r.first_line);
        v->repeated++;
        ASTER_TRY(finding(v, v->source->path[r.file], r.line, r.id, true, message));
    }
    return rc;
}

static int report(struct validation *v)
{
    struct aster_run *run = v->run;
    ASTER_TRY(aster_run_fact(run, "records", "%lld", (long long)v->n));
    ASTER_TRY(aster_run_fact(run, "bases", "%lld, of a record %lld to %lld, mean %.1f",
                             (long long)v->bases, (long long)v->shortest, (long long)v->longest,
                             v->n_read ? (double)v->bases / (double)v->n_read : 0));
    ASTER_TRY(aster_run_fact(run, "ambiguous bases", "%lld; %lld records have more than %g %%",
                             (long long)v->ambiguous, (long long)v->warned, v->percent));
    ASTER_TRY(aster_run_fact(run, "errors", "%lld records not readable, %lld ids repeated",
                             (long long)v->at_fault, (long long)v->repeated));
    run->items += v->n;
    run->failed += v->at_fault + v->repeated;
    return 0;
}

static int validate(struct validation *v)
{
    ASTER_TRY(aster_repeats_new(v->ctx, v->run->dir, MEMORY, &v->repeats));
    ASTER_TRY(aster_ledger_reset(v->run, v->stage));
    ASTER_TRY(vnp_file_open(v->run, "validation.tsv", &v->out));
    aster_str_add(&v->text, "file\tline\tid\tkind\tmessage\n");
    ASTER_TRY(vnp_file_add(&v->out, &v->text));
    for (int64_t k = 0; k < v->source->n; k++)
        ASTER_TRY(check_file(v, k));
    ASTER_TRY(check_ids(v));
    ASTER_TRY(vnp_file_commit(&v->out));
    return report(v);
}

int aster_stage_validate_dna(struct aster_ctx *ctx, void *arg, int stage)
{
    struct aster_run *run = arg;
    struct validation v = {.run = run,
                           .ctx = ctx,
                           .stage = run->spec->stages[stage].id,
                           .source = aster_run_slot(run, stage, "input", 0)->dna,
                           .percent = aster_run_real(run, stage, "ambiguous_percent")};
    int rc = validate(&v);
    vnp_file_drop(&v.out);
    aster_repeats_free(&v.repeats);
    aster_str_free(&v.text);
    aster_str_free(&v.failed);
    return rc;
}
