/* SPDX-License-Identifier: BSD-3-Clause */
/* The epochs of a training: history.csv, which is read back, and training_history.json as the
 * reference writes it. */
#include "flow/training.h"

#include <string.h>

enum { MOST_METRICS = 10 };

/* What an epoch says of a validation: of a labelling model, of a force field */
struct kind {
    int n;
    const char *const name[MOST_METRICS];
};
static const struct kind kinds[2] = {
    {7, {"accuracy", "precision", "recall", "f1", "f1_macro", "mcc", "auc"}},
    {10,
     {"energy_rmse", "energy_mae", "force_rmse", "force_mae", "force_rmse_x", "force_rmse_y",
      "force_rmse_z", "angular_error_mean_deg", "angular_error_max_deg", "skipped_batches"}},
};

static int n_columns(const struct kind *k)
{
    return 6 + k->n;
}

static void get(const struct aster_epoch *e, bool is_field, double v[MOST_METRICS])
{
    const struct aster_metrics *m = &e->val;
    const struct aster_field_metrics *f = &e->field;
    const double values[2][MOST_METRICS] = {
        {m->accuracy, m->precision, m->recall, m->f1, m->f1_macro, m->mcc, m->auc},
        {f->energy_rmse, f->energy_mae, f->force_rmse, f->force_mae, f->force_rmse_axis[0],
         f->force_rmse_axis[1], f->force_rmse_axis[2], f->angle_mean, f->angle_max,
         (double)e->skipped}};
    memcpy(v, values[is_field], sizeof values[0]);
}

static void set(struct aster_epoch *e, bool is_field, const double *v)
{
    if (is_field) {
        e->field =
            (struct aster_field_metrics){v[0], v[1], v[2], v[3], {v[4], v[5], v[6]}, v[7], v[8]};
        e->skipped = (int64_t)v[9];
    } else {
        e->val = (struct aster_metrics){v[0], v[1], v[2], v[3], v[4], v[5], v[6]};
    }
}

int aster_history_add(struct aster_ctx *ctx, struct aster_history *h, const struct aster_epoch *e)
{
    h->n = aster_min64(h->n, e->epoch);
    ASTER_TRY(aster_grow(ctx, h->n + 1, sizeof *h->e, &h->cap, &h->e));
    h->e[h->n++] = *e;
    return 0;
}

void aster_history_free(struct aster_history *h)
{
    aster_free(&h->e);
    h->n = h->cap = 0;
}

static double number(const char *s)
{
    double x;
    return aster_parse_f64(s, &x) == 0 ? x : 0;
}

static int read_row(struct aster_ctx *ctx, const char *path, const struct aster_csv *c,
                    const char *const *f, struct aster_history *h)
{
    int64_t epoch;
    if (aster_parse_i64(f[0], &epoch) < 0 || epoch != h->n + 1)
        return aster_fail(ctx, ASTER_EFORMAT, "%s:%lld: epoch '%s', expected %lld", path,
                          (long long)aster_csv_line(c), f[0], (long long)h->n + 1);
    const struct kind *kind = &kinds[h->is_field];
    struct aster_epoch e = {.epoch = epoch - 1,
                            .train_loss = number(f[1]),
                            .val_loss = number(f[2]),
                            .lr = number(f[3 + kind->n]),
                            .seconds = number(f[4 + kind->n]),
                            .best = !strcmp(f[5 + kind->n], "1")};
    double v[MOST_METRICS] = {0};
    for (int k = 0; k < kind->n; k++)
        v[k] = number(f[3 + k]);
    set(&e, h->is_field, v);
    return aster_history_add(ctx, h, &e);
}

int aster_history_read(struct aster_ctx *ctx, const char *dir, struct aster_history *out)
{
    char *path = NULL;
    struct aster_csv *c = NULL;
    const char *const *f;
    int rc = 0;
    memset(out, 0, sizeof *out);
    ASTER_TRY(aster_path_join(ctx, dir, "history.csv", &path));
    if (aster_file_exists(path)) {
        ASTER_GOTO(aster_csv_open(ctx, path, &c), done);
        out->is_field = aster_csv_n_columns(c) == n_columns(&kinds[1]);
        if (aster_csv_n_columns(c) != n_columns(&kinds[out->is_field]))
            ASTER_GOTO(aster_fail(ctx, ASTER_EFORMAT,
                                  "%s:1: %d columns, expected %d, or %d of a force field", path,
                                  aster_csv_n_columns(c), n_columns(&kinds[0]),
                                  n_columns(&kinds[1])),
                       done);
        while ((rc = aster_csv_next(c, &f)) == 1)
            ASTER_GOTO(read_row(ctx, path, c, f, out), done);
    }
done:
    aster_csv_close(&c);
    aster_free(&path);
    if (rc < 0)
        aster_history_free(out);
    return rc;
}

static int write_text(struct aster_ctx *ctx, const char *dir, const char *name,
                      const struct aster_str *s)
{
    char *path = NULL;
    ASTER_TRY(aster_str_ok(ctx, s));
    ASTER_TRY(aster_path_join(ctx, dir, name, &path));
    int rc = aster_file_write(ctx, path, s->s, (int64_t)s->len);
    aster_free(&path);
    return rc;
}

static void put(struct aster_str *s, double x)
{
    aster_str_add(s, ",");
    aster_json_number(s, x);
}

static int write_csv(struct aster_ctx *ctx, const char *dir, const struct aster_history *h)
{
    struct aster_str s = {0};
    const struct kind *kind = &kinds[h->is_field];
    aster_str_add(&s, "epoch,train_loss,val_loss");
    for (int k = 0; k < kind->n; k++)
        aster_str_printf(&s, ",%s", kind->name[k]);
    aster_str_add(&s, ",learning_rate,seconds,best\n");
    for (int64_t i = 0; i < h->n; i++) {
        const struct aster_epoch *e = &h->e[i];
        double v[MOST_METRICS];
        get(e, h->is_field, v);
        aster_str_printf(&s, "%lld", (long long)e->epoch + 1);
        put(&s, e->train_loss);
        put(&s, e->val_loss);
        for (int k = 0; k < kind->n; k++)
            put(&s, v[k]);
        put(&s, e->lr);
        aster_str_printf(&s, ",%.3f,%d\n", e->seconds, e->best);
    }
    int rc = write_text(ctx, dir, "history.csv", &s);
    aster_str_free(&s);
    return rc;
}

/* "name": [ ... ], which: 0 training loss, 1 validation loss, 2 + k a metric */
static void put_list(struct aster_str *s, const struct aster_history *h, const char *name,
                     int which, int indent, bool last)
{
    aster_str_printf(s, "%*s\"%s\": [", indent, "", name);
    for (int64_t i = 0; i < h->n; i++) {
        const struct aster_epoch *e = &h->e[i];
        double v[MOST_METRICS];
        get(e, h->is_field, v);
        aster_str_printf(s, "%s\n%*s", i ? "," : "", indent + 2, "");
        aster_json_number(s, which == 0 ? e->train_loss : which == 1 ? e->val_loss : v[which - 2]);
    }
    if (h->n)
        aster_str_printf(s, "\n%*s", indent, "");
    aster_str_add(s, last ? "]\n" : "],\n");
}

int aster_history_write(struct aster_ctx *ctx, const char *dir, const struct aster_history *h)
{
    struct aster_str s = {0};
    ASTER_TRY(write_csv(ctx, dir, h));
    aster_str_add(&s, "{\n");
    put_list(&s, h, "train_losses", 0, 2, false);
    put_list(&s, h, "val_losses", 1, 2, false);
    aster_str_add(&s, "  \"val_metrics\": {\n");
    const struct kind *kind = &kinds[h->is_field];
    for (int k = 0; k < kind->n; k++)
        put_list(&s, h, kind->name[k], 2 + k, 4, k == kind->n - 1);
    aster_str_add(&s, "  }\n}");
    int rc = write_text(ctx, dir, "training_history.json", &s);
    aster_str_free(&s);
    return rc;
}
