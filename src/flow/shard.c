/* SPDX-License-Identifier: BSD-3-Clause */
/* Shards of predictions, in memory and as HDF5 files. */
#include "flow/columns.h"

static const char *const text_names[ASTER_N_TEXTS] = {
    "text/failed", "text/tsv", "text/csv", "text/seq_fasta", "text/rcl_fasta", "text/annotated"};

int aster_shard_new(struct aster_ctx *ctx, int64_t index, int64_t first, int64_t cap,
                    struct aster_shard **out)
{
    ASTER_TRY(aster_alloc(ctx, 1, sizeof **out, out));
    (*out)->index = index;
    (*out)->first = first;
    int rc = aster_alloc(ctx, cap, sizeof *(*out)->items, &(*out)->items);
    if (rc < 0)
        aster_shard_free(out);
    return rc;
}

void aster_shard_free(struct aster_shard **sp)
{
    struct aster_shard *s = *sp;
    if (!s)
        return;
    for (int64_t i = 0; i < s->n; i++) {
        aster_free(&s->items[i].id);
        aster_free(&s->items[i].sequence);
        aster_free(&s->items[i].reason);
        aster_free(&s->items[i].prob);
    }
    for (int k = 0; k < ASTER_N_TEXTS; k++)
        aster_str_free(&s->text[k]);
    aster_free(&s->items);
    aster_free(sp);
}

struct to_write {
    struct aster_ctx *ctx;
    const struct aster_shard *shard;
};

static int write_shard(void *arg, const char *path)
{
    struct aster_ctx *ctx = ((const struct to_write *)arg)->ctx;
    const struct aster_shard *s = ((const struct to_write *)arg)->shard;
    struct aster_columns c = {0};
    struct aster_h5 *f = NULL;
    int rc;
    ASTER_GOTO(aster_columns_of(ctx, s, &c), done);
    ASTER_GOTO(aster_h5_create(ctx, path, &f), done);
    ASTER_GOTO(aster_h5_attr_set_i64(f, "/", "first", s->first), done);
    ASTER_GOTO(aster_h5_attr_set_i64(f, "/", "count", s->n), done);
    ASTER_GOTO(aster_columns_write(f, &c), done);
    for (int k = 0; k < ASTER_N_TEXTS; k++) {
        ASTER_GOTO(aster_str_ok(ctx, &s->text[k]), done);
        ASTER_GOTO(aster_bytes_write(f, text_names[k], &s->text[k]), done);
    }
    rc = aster_h5_commit(&f);
done:
    aster_h5_close(&f);
    aster_columns_free(&c);
    return rc;
}

int aster_shard_commit(struct aster_ctx *ctx, struct aster_store *s,
                       const struct aster_shard *shard)
{
    return aster_store_put(s, shard->index, write_shard, &(struct to_write){ctx, shard});
}

int aster_shard_read(struct aster_ctx *ctx, const char *path, int64_t index,
                     struct aster_shard **out)
{
    struct aster_h5 *f = NULL;
    struct aster_columns c = {0};
    int64_t first, n;
    int rc;
    ASTER_TRY(aster_h5_open(ctx, path, &f));
    ASTER_GOTO(aster_h5_attr_i64(f, "/", "first", &first), done);
    ASTER_GOTO(aster_h5_attr_i64(f, "/", "count", &n), done);
    ASTER_GOTO(aster_shard_new(ctx, index, first, n, out), done);
    ASTER_GOTO(aster_columns_read(ctx, f, path, n, &c), done);
    ASTER_GOTO(aster_columns_to(ctx, &c, *out), done);
    for (int k = 0; k < ASTER_N_TEXTS; k++)
        ASTER_GOTO(aster_bytes_read(ctx, f, text_names[k], &(*out)->text[k]), done);
done:
    aster_h5_close(&f);
    aster_columns_free(&c);
    if (rc < 0)
        aster_shard_free(out);
    return rc;
}

int aster_shard_load(struct aster_ctx *ctx, struct aster_store *s, int64_t index,
                     struct aster_shard **out)
{
    char *path = NULL;
    *out = NULL;
    ASTER_TRY(aster_store_get(s, index, &path));
    int rc = aster_shard_read(ctx, path, index, out);
    aster_free(&path);
    return rc;
}
