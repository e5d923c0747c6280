/* SPDX-License-Identifier: BSD-3-Clause */
/* The items of a shard as arrays, to and from HDF5. */
#include "flow/columns.h"

#include <string.h>

void aster_columns_free(struct aster_columns *c)
{
    aster_str_free(&c->ids);
    aster_str_free(&c->reasons);
    aster_free(&c->id_at);
    aster_free(&c->reason_at);
    aster_free(&c->prob_at);
    aster_free(&c->hash);
    aster_free(&c->length);
    aster_free(&c->status);
    aster_free(&c->start);
    aster_free(&c->end);
    aster_free(&c->confidence);
    aster_free(&c->prob);
}

static int alloc_columns(struct aster_ctx *ctx, int64_t n, struct aster_columns *c)
{
    c->n = n;
    ASTER_TRY(aster_alloc(ctx, n + 1, sizeof *c->id_at, &c->id_at));
    ASTER_TRY(aster_alloc(ctx, n + 1, sizeof *c->reason_at, &c->reason_at));
    ASTER_TRY(aster_alloc(ctx, n + 1, sizeof *c->prob_at, &c->prob_at));
    ASTER_TRY(aster_alloc(ctx, n, sizeof *c->hash, &c->hash));
    ASTER_TRY(aster_alloc(ctx, n, sizeof *c->length, &c->length));
    ASTER_TRY(aster_alloc(ctx, n, sizeof *c->status, &c->status));
    ASTER_TRY(aster_alloc(ctx, n, sizeof *c->start, &c->start));
    ASTER_TRY(aster_alloc(ctx, n, sizeof *c->end, &c->end));
    return aster_alloc(ctx, n, sizeof *c->confidence, &c->confidence);
}

int aster_columns_of(struct aster_ctx *ctx, const struct aster_shard *s, struct aster_columns *c)
{
    ASTER_TRY(alloc_columns(ctx, s->n, c));
    for (int64_t i = 0; i < s->n; i++) {
        const struct aster_item *x = &s->items[i];
        aster_str_add(&c->ids, x->id);
        aster_str_add(&c->reasons, x->reason ? x->reason : "");
        c->id_at[i + 1] = (int64_t)c->ids.len;
        c->reason_at[i + 1] = (int64_t)c->reasons.len;
        c->prob_at[i + 1] = c->prob_at[i] + (x->prob ? x->length : 0);
        c->hash[i] = (int64_t)x->hash;
        c->length[i] = x->length;
        c->status[i] = x->status;
        c->start[i] = (int32_t)(x->begin + 1);
        c->end[i] = (int32_t)(x->begin < 0 ? 0 : x->end);
        c->confidence[i] = x->confidence;
    }
    c->n_prob = c->prob_at[s->n];
    ASTER_TRY(aster_alloc(ctx, c->n_prob, sizeof *c->prob, &c->prob));
    for (int64_t i = 0; i < s->n; i++)
        if (s->items[i].prob)
            memcpy(c->prob + c->prob_at[i], s->items[i].prob,
                   (size_t)s->items[i].length * sizeof *c->prob);
    ASTER_TRY(aster_str_ok(ctx, &c->reasons));
    return aster_str_ok(ctx, &c->ids);
}

int aster_columns_to(struct aster_ctx *ctx, const struct aster_columns *c, struct aster_shard *s)
{
    const char *ids = aster_str_get(&c->ids), *reasons = aster_str_get(&c->reasons);
    for (int64_t i = 0; i < c->n; i++) {
        struct aster_item *x = &s->items[i];
        int64_t n_prob = c->prob ? c->prob_at[i + 1] - c->prob_at[i] : 0;
        s->n = i + 1;
        x->hash = (uint64_t)c->hash[i];
        x->length = c->length[i];
        x->status = c->status[i];
        x->begin = c->start[i] - 1;
        x->end = c->start[i] ? c->end[i] : -1;
        x->confidence = c->confidence[i];
        ASTER_TRY(
            aster_strndup(ctx, ids + c->id_at[i], (size_t)(c->id_at[i + 1] - c->id_at[i]), &x->id));
        if (c->reason_at[i + 1] > c->reason_at[i])
            ASTER_TRY(aster_strndup(ctx, reasons + c->reason_at[i],
                                    (size_t)(c->reason_at[i + 1] - c->reason_at[i]), &x->reason));
        if (n_prob && n_prob != x->length)
            return aster_fail(ctx, ASTER_EFORMAT,
                              "item %lld of shard %lld has %lld probabilities for %lld residues",
                              (long long)i, (long long)s->index, (long long)n_prob,
                              (long long)x->length);
        if (n_prob) {
            ASTER_TRY(aster_alloc(ctx, n_prob, sizeof *x->prob, &x->prob));
            memcpy(x->prob, c->prob + c->prob_at[i], (size_t)n_prob * sizeof *x->prob);
        }
    }
    return 0;
}

/* ---- files ---- */
int aster_bytes_write(struct aster_h5 *f, const char *name, const struct aster_str *s)
{
    int64_t n = (int64_t)s->len;
    return n ? aster_h5_write(f, name, ASTER_U8, 1, &n, s->s) : 0;
}

int aster_bytes_read(struct aster_ctx *ctx, struct aster_h5 *f, const char *name,
                     struct aster_str *out)
{
    struct aster_h5_shape shape;
    char *bytes = NULL;
    if (!aster_h5_has(f, name))
        return 0;
    ASTER_TRY(aster_h5_shape(f, name, &shape));
    ASTER_TRY(aster_h5_read(f, name, ASTER_U8, shape.n, &bytes));
    aster_str_addn(out, bytes, (size_t)shape.n);
    aster_free(&bytes);
    return aster_str_ok(ctx, out);
}

int aster_columns_write(struct aster_h5 *f, const struct aster_columns *c)
{
    int64_t n = c->n, n1 = n + 1;
    ASTER_TRY(aster_bytes_write(f, "id_bytes", &c->ids));
    ASTER_TRY(aster_bytes_write(f, "reason_bytes", &c->reasons));
    ASTER_TRY(aster_h5_write(f, "id_offsets", ASTER_I64, 1, &n1, c->id_at));
    ASTER_TRY(aster_h5_write(f, "reason_offsets", ASTER_I64, 1, &n1, c->reason_at));
    ASTER_TRY(aster_h5_write(f, "hash", ASTER_I64, 1, &n, c->hash));
    ASTER_TRY(aster_h5_write(f, "length", ASTER_I64, 1, &n, c->length));
    ASTER_TRY(aster_h5_write(f, "status", ASTER_I32, 1, &n, c->status));
    ASTER_TRY(aster_h5_write(f, "rcl_start", ASTER_I32, 1, &n, c->start));
    ASTER_TRY(aster_h5_write(f, "rcl_end", ASTER_I32, 1, &n, c->end));
    ASTER_TRY(aster_h5_write(f, "confidence", ASTER_F64, 1, &n, c->confidence));
    if (!c->n_prob)
        return 0;
    ASTER_TRY(aster_h5_write(f, "probability_offsets", ASTER_I64, 1, &n1, c->prob_at));
    return aster_h5_write(f, "probability", ASTER_F32, 1, &c->n_prob, c->prob);
}

/* Pieces at[i] .. at[i + 1] of total must lie in order. */
static bool in_order(const int64_t *at, int64_t n, int64_t total)
{
    if (at[0] != 0 || at[n] != total)
        return false;
    for (int64_t i = 0; i < n; i++)
        if (at[i + 1] < at[i])
            return false;
    return true;
}

int aster_columns_read(struct aster_ctx *ctx, struct aster_h5 *f, const char *path, int64_t n,
                       struct aster_columns *c)
{
    c->n = n;
    ASTER_TRY(aster_bytes_read(ctx, f, "id_bytes", &c->ids));
    ASTER_TRY(aster_bytes_read(ctx, f, "reason_bytes", &c->reasons));
    ASTER_TRY(aster_h5_read(f, "id_offsets", ASTER_I64, n + 1, &c->id_at));
    ASTER_TRY(aster_h5_read(f, "reason_offsets", ASTER_I64, n + 1, &c->reason_at));
    ASTER_TRY(aster_h5_read(f, "hash", ASTER_I64, n, &c->hash));
    ASTER_TRY(aster_h5_read(f, "length", ASTER_I64, n, &c->length));
    ASTER_TRY(aster_h5_read(f, "status", ASTER_I32, n, &c->status));
    ASTER_TRY(aster_h5_read(f, "rcl_start", ASTER_I32, n, &c->start));
    ASTER_TRY(aster_h5_read(f, "rcl_end", ASTER_I32, n, &c->end));
    ASTER_TRY(aster_h5_read(f, "confidence", ASTER_F64, n, &c->confidence));
    if (aster_h5_has(f, "probability")) {
        ASTER_TRY(aster_h5_read(f, "probability_offsets", ASTER_I64, n + 1, &c->prob_at));
        c->n_prob = c->prob_at[n];
        if (c->n_prob >= 0)
            ASTER_TRY(aster_h5_read(f, "probability", ASTER_F32, c->n_prob, &c->prob));
    }
    if (!in_order(c->id_at, n, (int64_t)c->ids.len) ||
        !in_order(c->reason_at, n, (int64_t)c->reasons.len) ||
        (c->prob_at && !in_order(c->prob_at, n, c->n_prob)))
        return aster_fail(ctx, ASTER_EFORMAT, "%s: its offsets are out of order", path);
    return 0;
}

static int append_bytes(struct aster_h5 *f, const char *name, const struct aster_str *s)
{
    return s->len ? aster_h5_append(f, name, ASTER_U8, (int64_t)s->len, 1, s->s) : 0;
}

/* Offsets that continue those before: the first one of a file is 0, later shards leave theirs out.
 */
static int append_offsets(struct aster_h5 *f, const char *name, const struct aster_columns *c,
                          int64_t *at, int64_t *total, bool first)
{
    for (int64_t i = 0; i <= c->n; i++)
        at[i] += *total;
    *total = at[c->n];
    return first ? aster_h5_append(f, name, ASTER_I64, c->n + 1, 1, at)
                 : aster_h5_append(f, name, ASTER_I64, c->n, 1, at + 1);
}

int aster_columns_append(struct aster_h5 *f, struct aster_columns *c, struct aster_column_totals *t)
{
    bool first = t->n == 0;
    if (c->n == 0)
        return 0;
    ASTER_TRY(append_bytes(f, "id_bytes", &c->ids));
    ASTER_TRY(append_bytes(f, "reason_bytes", &c->reasons));
    ASTER_TRY(append_offsets(f, "id_offsets", c, c->id_at, &t->id_bytes, first));
    ASTER_TRY(append_offsets(f, "reason_offsets", c, c->reason_at, &t->reason_bytes, first));
    ASTER_TRY(append_offsets(f, "probability_offsets", c, c->prob_at, &t->prob, first));
    ASTER_TRY(aster_h5_append(f, "hash", ASTER_I64, c->n, 1, c->hash));
    ASTER_TRY(aster_h5_append(f, "length", ASTER_I64, c->n, 1, c->length));
    ASTER_TRY(aster_h5_append(f, "status", ASTER_I32, c->n, 1, c->status));
    ASTER_TRY(aster_h5_append(f, "rcl_start", ASTER_I32, c->n, 1, c->start));
    ASTER_TRY(aster_h5_append(f, "rcl_end", ASTER_I32, c->n, 1, c->end));
    ASTER_TRY(aster_h5_append(f, "confidence", ASTER_F64, c->n, 1, c->confidence));
    t->n += c->n;
    return c->n_prob ? aster_h5_append(f, "probability", ASTER_F32, c->n_prob, 1, c->prob) : 0;
}
