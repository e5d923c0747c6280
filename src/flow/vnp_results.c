/* SPDX-License-Identifier: BSD-3-Clause */
/* results.h5 of a virus run: records, chunks and frames as columns, and what they were made with.
 */
#include "flow/columns.h"
#include "flow/vnp_tables.h"

#include "config.h"

#include <math.h>
#include <string.h>

/* Each writing of a column reads and checks what its last piece has already. */
enum { ROWS_AT_A_TIME = 1 << 13 };

enum column {
    RECORD_ID_OFFSET,
    RECORD_FILE,
    RECORD_LINE,
    RECORD_LENGTH,
    RECORD_CHUNKS,
    RECORD_JUDGED,
    RECORD_VIRUS,
    RECORD_CALL,
    RECORD_MEAN,
    RECORD_MOST,
    CHUNK_RECORD,
    CHUNK_FIRST,
    CHUNK_LAST,
    CHUNK_FRAMES,
    CHUNK_FAILED,
    CHUNK_OTHER,
    CHUNK_VIRUS,
    FRAME_CHUNK,
    FRAME_NUMBER,
    FRAME_OTHER,
    FRAME_VIRUS,
    N_COLUMNS
};
static const struct {
    const char *name;
    enum aster_dtype t;
} columns[N_COLUMNS] = {
    [RECORD_ID_OFFSET] = {"records/id_offsets", ASTER_I64},
    [RECORD_FILE] = {"records/file", ASTER_I64},
    [RECORD_LINE] = {"records/line", ASTER_I64},
    [RECORD_LENGTH] = {"records/length", ASTER_I64},
    [RECORD_CHUNKS] = {"records/chunks", ASTER_I64},
    [RECORD_JUDGED] = {"records/judged", ASTER_I64},
    [RECORD_VIRUS] = {"records/virus_chunks", ASTER_I64},
    [RECORD_CALL] = {"records/call", ASTER_I64},
    [RECORD_MEAN] = {"records/mean_p_virus", ASTER_F64},
    [RECORD_MOST] = {"records/max_p_virus", ASTER_F64},
    [CHUNK_RECORD] = {"chunks/record", ASTER_I64},
    [CHUNK_FIRST] = {"chunks/first", ASTER_I64},
    [CHUNK_LAST] = {"chunks/last", ASTER_I64},
    [CHUNK_FRAMES] = {"chunks/frames", ASTER_I64},
    [CHUNK_FAILED] = {"chunks/failed_frames", ASTER_I64},
    [CHUNK_OTHER] = {"chunks/p_other", ASTER_F64},
    [CHUNK_VIRUS] = {"chunks/p_virus", ASTER_F64},
    [FRAME_CHUNK] = {"frames/chunk", ASTER_I64},
    [FRAME_NUMBER] = {"frames/frame", ASTER_I64},
    [FRAME_OTHER] = {"frames/p_other", ASTER_F64},
    [FRAME_VIRUS] = {"frames/p_virus", ASTER_F64},
};

struct rows {
    union {
        int64_t *whole;
        double *real;
    };
    int64_t n, cap;
};

struct vnp_results {
    const struct vnp_tables_options *o;
    struct aster_ctx *ctx;
    struct aster_h5 *f;
    struct rows rows[N_COLUMNS];
    struct aster_str ids;
    int64_t n_ids, n_records, n_chunks, n_frames; /* n_ids: bytes */
};

static int room(struct vnp_results *r, enum column c)
{
    struct rows *x = &r->rows[c];
    return aster_grow(r->ctx, x->n + 1, 8, &x->cap, &x->whole);
}

static int add(struct vnp_results *r, enum column c, int64_t v)
{
    ASTER_TRY(room(r, c));
    r->rows[c].whole[r->rows[c].n++] = v;
    return 0;
}

static int add_real(struct vnp_results *r, enum column c, double v)
{
    ASTER_TRY(room(r, c));
    r->rows[c].real[r->rows[c].n++] = v;
    return 0;
}

int vnp_results_frame(struct vnp_results *r, const struct vnp_frame *f)
{
    ASTER_TRY(add(r, FRAME_CHUNK, r->n_chunks));
    ASTER_TRY(add(r, FRAME_NUMBER, f->number));
    ASTER_TRY(add_real(r, FRAME_OTHER, f->status ? NAN : (double)f->other));
    r->n_frames++;
    return add_real(r, FRAME_VIRUS, f->status ? NAN : (double)f->virus);
}

int vnp_results_chunk(struct vnp_results *r, struct aster_span at, const struct aster_chunk_call *c)
{
    ASTER_TRY(add(r, CHUNK_RECORD, r->n_records));
    ASTER_TRY(add(r, CHUNK_FIRST, at.begin + 1));
    ASTER_TRY(add(r, CHUNK_LAST, at.end));
    ASTER_TRY(add(r, CHUNK_FRAMES, c->n_frames));
    ASTER_TRY(add(r, CHUNK_FAILED, c->n_failed));
    ASTER_TRY(add_real(r, CHUNK_OTHER, c->n_frames ? (double)c->other : NAN));
    r->n_chunks++;
    return add_real(r, CHUNK_VIRUS, c->n_frames ? (double)c->virus : NAN);
}

int vnp_results_record(struct vnp_results *r, const char *name, const struct vnp_record *x,
                       const struct aster_record_call *c)
{
    const char *call = aster_record_call_verdict(c, &r->o->rule);
    aster_str_add(&r->ids, name);
    r->n_ids += (int64_t)strlen(name);
    ASTER_TRY(add(r, RECORD_ID_OFFSET, r->n_ids));
    ASTER_TRY(add(r, RECORD_FILE, x->file));
    ASTER_TRY(add(r, RECORD_LINE, x->line));
    ASTER_TRY(add(r, RECORD_LENGTH, x->length));
    ASTER_TRY(add(r, RECORD_CHUNKS, c->n_chunks));
    ASTER_TRY(add(r, RECORD_JUDGED, c->n_judged));
    ASTER_TRY(add(r, RECORD_VIRUS, c->n_virus));
    ASTER_TRY(add(r, RECORD_CALL, !strcmp(call, "virus") ? 1 : !strcmp(call, "other") ? 0 : -1));
    ASTER_TRY(add_real(r, RECORD_MEAN, c->n_judged ? c->sum / (double)c->n_judged : NAN));
    r->n_records++;
    return add_real(r, RECORD_MOST, c->n_judged ? c->most : NAN);
}

static int flush(struct vnp_results *r)
{
    ASTER_TRY(aster_str_ok(r->ctx, &r->ids));
    if (r->ids.len)
        ASTER_TRY(
            aster_h5_append(r->f, "records/id_bytes", ASTER_U8, (int64_t)r->ids.len, 1, r->ids.s));
    r->ids.len = 0;
    for (int c = 0; c < N_COLUMNS; c++) {
        struct rows *x = &r->rows[c];
        if (x->n)
            ASTER_TRY(aster_h5_append(r->f, columns[c].name, columns[c].t, x->n, 1, x->whole));
        x->n = 0;
    }
    return 0;
}

int vnp_results_flush(struct vnp_results *r)
{
    const int64_t most = aster_max64(r->rows[CHUNK_RECORD].n, r->rows[FRAME_CHUNK].n);
    return aster_max64(most, r->rows[RECORD_FILE].n) < ROWS_AT_A_TIME ? 0 : flush(r);
}

int vnp_results_open(const struct vnp_tables_options *o, struct vnp_results **out)
{
    struct vnp_results *r = NULL;
    char *path = NULL;
    int rc;
    *out = NULL;
    ASTER_TRY(aster_alloc(o->run->ctx, 1, sizeof *r, &r));
    r->o = o;
    r->ctx = o->run->ctx;
    ASTER_GOTO(aster_run_path(o->run, "results.h5", &path), done);
    ASTER_GOTO(aster_h5_create(r->ctx, path, &r->f), done);
    rc = add(r, RECORD_ID_OFFSET, 0);
done:
    aster_free(&path);
    if (rc < 0)
        vnp_results_free(&r);
    *out = r;
    return rc;
}

/* What kinds of device took part. */
static const char *device_kinds(const struct aster_run *run)
{
    bool gpu = strstr(aster_str_get(&run->devices), "gpu") != NULL,
         cpu = strstr(aster_str_get(&run->devices), "cpu") != NULL;
    return cpu && gpu ? "cpu, gpu" : gpu ? "gpu" : "cpu";
}

int vnp_results_commit(struct vnp_results *r)
{
    static const char *const keys[] = {"dnabert", "esm2", "classifier"};
    const struct aster_run *run = r->o->run;
    const char *isa = run->rt ? aster_isa_name(aster_runtime_isa(run->rt)) : run->isa_before;
    ASTER_TRY(flush(r));
    ASTER_TRY(aster_h5_attr_set_str(r->f, "/", "program", PACKAGE_STRING));
    ASTER_TRY(aster_h5_attr_set_str(r->f, "/", "pipeline", run->spec->name));
    ASTER_TRY(aster_h5_attr_set_str(r->f, "/", "pipeline_hash", run->hash));
    ASTER_TRY(aster_h5_attr_set_str(r->f, "/", "isa", isa));
    ASTER_TRY(aster_h5_attr_set_str(r->f, "/", "devices", device_kinds(run)));
    ASTER_TRY(aster_h5_attr_set_i64(r->f, "/", "chunk_length", r->o->chunk_length));
    ASTER_TRY(aster_h5_attr_set_i64(r->f, "/", "n_records", r->n_records));
    ASTER_TRY(aster_h5_attr_set_i64(r->f, "/", "n_chunks", r->n_chunks));
    ASTER_TRY(aster_h5_attr_set_i64(r->f, "/", "n_frames", r->n_frames));
    for (int k = 0; k <= VNP_N_MODELS; k++) {
        char name[64];
        snprintf(name, sizeof name, "%s_sha256", keys[k]);
        ASTER_TRY(aster_h5_attr_set_str(r->f, "/", name, r->o->weights_hash[k]));
        snprintf(name, sizeof name, "%s_precision", keys[k]);
        ASTER_TRY(aster_h5_attr_set_str(r->f, "/", name, r->o->precision[k]));
    }
    return aster_h5_commit(&r->f);
}

void vnp_results_free(struct vnp_results **rp)
{
    struct vnp_results *r = *rp;
    if (!r)
        return;
    for (int c = 0; c < N_COLUMNS; c++)
        aster_free(&r->rows[c].whole);
    aster_str_free(&r->ids);
    aster_h5_close(&r->f);
    aster_free(rp);
}
