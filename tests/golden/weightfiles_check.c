/* SPDX-License-Identifier: BSD-3-Clause */
/* Tensors bit by bit (but for the payload of a NaN), values one by one, the classifier in double.
 */
#include "golden/weightfiles_check.h"
#include "io/h5_internal.h"

#include <math.h>
#include <stdarg.h>
#include <string.h>

#define CLASSIFIER_LIMIT 1e-12 /* of outputs of size 1; two programs differ by 3e-16 */

struct check {
    struct aster_ctx *ctx;
    const struct aster_weightfile *f;
    struct aster_h5 *h;
    const char *group, *folder;
    struct counts *c;
};

ASTER_PRINTF(2, 3) static int differs(struct counts *c, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    if (!*c->wrong)
        vsnprintf(c->wrong, sizeof c->wrong, fmt, ap);
    va_end(ap);
    return 0;
}

/* ---- tensors ---- */

static bool same_real(double a, double b)
{
    return isnan(b) ? isnan(a) : a == b && signbit(a) == signbit(b);
}

/* Expected elements against ours: all of them, or samples of them (step > 0: of step in all). */
static int check_reals(struct check *k, const char *set, const struct aster_weight *w,
                       int64_t samples)
{
    double *want = NULL, *got = NULL;
    int64_t n = samples ? samples : w->n;
    int rc = aster_h5_read(k->h, set, ASTER_F64, n, &want);
    if (rc == 0)
        rc = aster_alloc(k->ctx, w->n, sizeof *got, &got);
    if (rc == 0)
        rc = aster_weightfile_read(k->f, w, 0, w->n, ASTER_F64, got);
    for (int64_t j = 0; rc == 0 && j < n; j++) {
        int64_t at = samples ? j * w->n / samples : j;
        if (!same_real(got[at], want[j]))
            differs(k->c, "%s: element %lld is %.17g, expected %.17g", w->name, (long long)at,
                    got[at], want[j]);
    }
    k->c->numbers += rc == 0 ? n : 0;
    aster_free(&want);
    aster_free(&got);
    return rc;
}

static int check_integers(struct check *k, const char *set, const struct aster_weight *w)
{
    int64_t *want = NULL, *got = NULL;
    int rc = aster_h5_read(k->h, set, ASTER_I64, w->n, &want);
    if (rc == 0)
        rc = aster_alloc(k->ctx, w->n, sizeof *got, &got);
    if (rc == 0)
        rc = aster_weightfile_read(k->f, w, 0, w->n, ASTER_I64, got);
    for (int64_t j = 0; rc == 0 && j < w->n; j++)
        if (got[j] != want[j])
            differs(k->c, "%s: element %lld is %lld, expected %lld", w->name, (long long)j,
                    (long long)got[j], (long long)want[j]);
    k->c->numbers += rc == 0 ? w->n : 0;
    aster_free(&want);
    aster_free(&got);
    return rc;
}

/* Above the range of our signed numbers: the bytes. */
static int check_unsigned(struct check *k, const char *set, const struct aster_weight *w)
{
    const void *bytes;
    uint64_t *want = NULL, v;
    ASTER_TRY(aster_weightfile_bytes(k->f, w, &bytes));
    ASTER_TRY(aster_alloc(k->ctx, w->n, sizeof *want, &want));
    hid_t d = H5Dopen2(k->h->id, set, H5P_DEFAULT);
    bool read = d >= 0 && H5Dread(d, H5T_NATIVE_UINT64, H5S_ALL, H5S_ALL, H5P_DEFAULT, want) >= 0;
    if (d >= 0)
        H5Dclose(d);
    for (int64_t j = 0; read && j < w->n; j++)
        if (memcpy(&v, (const char *)bytes + 8 * j, 8), v != want[j])
            differs(k->c, "%s: element %lld is %llu, expected %llu", w->name, (long long)j,
                    (unsigned long long)v, (unsigned long long)want[j]);
    k->c->numbers += w->n;
    aster_free(&want);
    return read ? 0 : aster_fail(k->ctx, ASTER_EFORMAT, "%s cannot be read", set);
}

static int check_sum(struct check *k, const char *set, const struct aster_weight *w)
{
    int64_t want;
    uint64_t sum = 0;
    uint32_t bits;
    float *got = NULL;
    ASTER_TRY(aster_h5_attr_i64(k->h, set, "sum_of_bits_mod_2_64", &want));
    ASTER_TRY(aster_alloc(k->ctx, w->n, sizeof *got, &got));
    int rc = aster_weightfile_read(k->f, w, 0, w->n, ASTER_F32, got);
    for (int64_t j = 0; rc == 0 && j < w->n; j++)
        sum += (memcpy(&bits, &got[j], 4), bits);
    if (rc == 0 && sum != (uint64_t)want)
        differs(k->c, "%s: the sum of all bits is %llu, expected %llu", w->name,
                (unsigned long long)sum, (unsigned long long)want);
    aster_free(&got);
    return rc;
}

static int check_shape(struct check *k, const char *set, const struct aster_weight *w, bool sampled)
{
    struct aster_h5_shape s;
    double dim[8];
    ASTER_TRY(aster_h5_shape(k->h, set, &s));
    bool same = sampled || (s.rank == w->rank && s.n == w->n);
    if (same && w->rank)
        ASTER_TRY(aster_h5_attr_f64s(k->h, set, "shape", w->rank, dim));
    for (int j = 0; same && j < w->rank; j++)
        same = (double)w->dim[j] == dim[j];
    return same ? 0 : differs(k->c, "%s: has another shape than expected", w->name);
}

static int check_tensor(struct check *k, const char *set)
{
    char *name = NULL, *type = NULL;
    int64_t sampled = 0;
    int rc = aster_h5_attr_str(k->h, set, "name", &name);
    const struct aster_weight *w = rc == 0 ? aster_weightfile_find(k->f, name) : NULL;
    if (rc == 0)
        rc = aster_h5_attr_str(k->h, set, "dtype", &type);
    if (rc == 0 && aster_h5_attr_has(k->h, set, "sampled"))
        rc = aster_h5_attr_i64(k->h, set, "sampled", &sampled);
    if (rc == 0 && !w)
        differs(k->c, "%s: is missing", name);
    else if (rc == 0 && strcmp(type, aster_weight_type_name(w->type)) != 0)
        differs(k->c, "%s: is %s, expected %s", name, aster_weight_type_name(w->type), type);
    else if (rc == 0)
        rc = check_shape(k, set, w, sampled);
    aster_free(&name);
    aster_free(&type);
    if (rc < 0 || *k->c->wrong)
        return rc;
    k->c->tensors++;
    if (sampled)
        ASTER_TRY(check_sum(k, set, w));
    if (w->type <= ASTER_WEIGHT_F8_E5M2)
        return check_reals(k, set, w, sampled ? 1024 : 0);
    return w->type == ASTER_WEIGHT_U64 ? check_unsigned(k, set, w) : check_integers(k, set, w);
}

/* ---- values ---- */

static int count_value(void *arg, const char *path, const struct aster_value *v)
{
    (void)path;
    (void)v;
    ++*(int64_t *)arg;
    return 0;
}

static bool same_value(const struct aster_json *want, const struct aster_value *v)
{
    switch (v->kind) {
    case ASTER_VALUE_BOOL:
        return want->type == ASTER_JSON_BOOL && want->boolean == (v->integer != 0);
    case ASTER_VALUE_INTEGER:
        return want->is_int && want->integer == v->integer;
    case ASTER_VALUE_REAL:
        return want->type == ASTER_JSON_NUMBER && !want->is_int && same_real(v->real, want->number);
    default:
        return want->type == ASTER_JSON_STRING && (int64_t)strlen(want->string) == v->n &&
               !memcmp(want->string, v->text, (size_t)v->n);
    }
}

static int check_values(struct check *k)
{
    char *text = NULL;
    struct aster_json *want = NULL;
    struct aster_value v;
    int64_t n = 0;
    ASTER_TRY(aster_weightfile_values(k->f, count_value, &n));
    if (!aster_h5_attr_has(k->h, k->group, "values"))
        return n ? differs(k->c, "%lld values, none are expected", (long long)n) : 0;
    ASTER_TRY(aster_h5_attr_str(k->h, k->group, "values", &text));
    int rc = aster_json_parse(k->ctx, "values", text, strlen(text), &want);
    if (rc == 0 && n != aster_json_count(want))
        differs(k->c, "%lld values, %lld are expected", (long long)n,
                (long long)aster_json_count(want));
    for (const struct aster_json *j = rc == 0 ? want->child : NULL; j; j = j->next) {
        if (!aster_weightfile_value(k->f, j->key, &v) || !same_value(j, &v))
            differs(k->c, "the value of %s is another one", j->key);
        k->c->values++;
    }
    aster_json_free(&want);
    aster_free(&text);
    return rc;
}

/* ---- classifier ---- */

static int read_named(struct check *k, const char *name, int64_t n, double **out)
{
    const struct aster_weight *w = aster_weightfile_find(k->f, name);
    if (!w || (n >= 0 && w->n != n))
        return aster_fail(k->ctx, ASTER_EFORMAT, "no tensor %s of %lld elements", name,
                          (long long)n);
    ASTER_TRY(aster_alloc(k->ctx, w->n, sizeof **out, out));
    return aster_weightfile_read(k->f, w, 0, w->n, ASTER_F64, *out);
}

enum { W1, B1, GAMMA, BETA, MEAN, VAR, W2, B2, N_PARTS };

/* One row: hidden layer, batch normalisation with the stored statistics, ReLU, output layer. */
static void classify(double *const part[N_PARTS], int64_t width, int64_t hidden, const double *x,
                     double *logits)
{
    logits[0] = part[B2][0];
    logits[1] = part[B2][1];
    for (int64_t j = 0; j < hidden; j++) {
        double y = part[B1][j];
        for (int64_t i = 0; i < width; i++)
            y += part[W1][j * width + i] * x[i];
        y = (y - part[MEAN][j]) / sqrt(part[VAR][j] + 1e-5) * part[GAMMA][j] + part[BETA][j];
        for (int o = 0; o < 2 && y > 0; o++)
            logits[o] += part[W2][o * hidden + j] * y;
    }
}

static int read_part(struct check *k, int part, int64_t n, double **out)
{
    static const char *const names[N_PARTS] = {
        "hidden_layer.weight", "hidden_layer.bias", "bn1.weight",          "bn1.bias",
        "bn1.running_mean",    "bn1.running_var",   "output_layer.weight", "output_layer.bias"};
    return read_named(k, names[part], n, out);
}

/* The features of another file of the data, columns of two tensors side by side. */
static int read_features(struct check *k, int64_t rows, int64_t width, double *x)
{
    static const char *const names[] = {"dnaberts", "esm2_3b"};
    struct aster_weightfile *f = NULL;
    char *path = NULL;
    int64_t column = 0;
    int rc = aster_path_join(k->ctx, k->folder,
                             "../../virnucpro/derived/golden_features.safetensors", &path);
    k->c->no_input = rc == 0 && !aster_file_exists(path);
    if (rc == 0 && !k->c->no_input)
        rc = aster_weightfile_open(k->ctx, path, &f);
    for (int part = 0; rc == 0 && f && part < 2; part++) {
        const struct aster_weight *w = aster_weightfile_find(f, names[part]);
        if (!w || w->rank != 2 || w->dim[0] < rows || column + w->dim[1] > width)
            rc = aster_fail(k->ctx, ASTER_EFORMAT, "%s: no fitting tensor %s", path, names[part]);
        for (int64_t r = 0; rc == 0 && r < rows; r++)
            rc = aster_weightfile_read(f, w, r * w->dim[1], w->dim[1], ASTER_F64,
                                       x + r * width + column);
        column += rc == 0 ? w->dim[1] : 0;
    }
    aster_weightfile_close(&f);
    aster_free(&path);
    return rc;
}

static int read_input(struct check *k, const char *group, int64_t rows, int64_t width, double *x)
{
    char name[320];
    double *stored = NULL;
    snprintf(name, sizeof name, "%s/x", group);
    if (!aster_h5_has(k->h, name))
        return read_features(k, rows, width, x);
    int rc = aster_h5_read(k->h, name, ASTER_F64, rows * width, &stored);
    if (rc == 0)
        memcpy(x, stored, (size_t)(rows * width) * sizeof *x);
    aster_free(&stored);
    return rc;
}

static int check_rows(struct check *k, const char *group, double *const part[N_PARTS],
                      int64_t width, int64_t hidden)
{
    char name[320];
    struct aster_h5_shape s;
    double *want = NULL, *x = NULL, got[2];
    snprintf(name, sizeof name, "%s/logits", group);
    ASTER_TRY(aster_h5_shape(k->h, name, &s));
    int64_t rows = s.n / 2;
    int rc = aster_h5_read(k->h, name, ASTER_F64, rows * 2, &want);
    if (rc == 0)
        rc = aster_alloc(k->ctx, rows * width, sizeof *x, &x);
    if (rc == 0)
        rc = read_input(k, group, rows, width, x);
    for (int64_t r = 0; rc == 0 && !k->c->no_input && r < rows; r++) {
        classify(part, width, hidden, x + r * width, got);
        for (int o = 0; o < 2; o++)
            if (!(fabs(got[o] - want[2 * r + o]) <= CLASSIFIER_LIMIT))
                differs(k->c, "classifier: row %lld is %.17g, expected %.17g", (long long)r, got[o],
                        want[2 * r + o]);
        k->c->rows++;
    }
    aster_free(&want);
    aster_free(&x);
    return rc;
}

static int check_classifier(struct check *k)
{
    char group[300];
    double *part[N_PARTS] = {NULL};
    const struct aster_weight *w = aster_weightfile_find(k->f, "hidden_layer.weight");
    snprintf(group, sizeof group, "%s/classifier", k->group);
    if (!aster_h5_has(k->h, group))
        return 0;
    if (!w || w->rank != 2)
        return differs(k->c, "there is no hidden layer");
    int64_t hidden = w->dim[0];
    const int64_t sizes[N_PARTS] = {w->n, hidden, hidden, hidden, hidden, hidden, 2 * hidden, 2};
    int rc = 0;
    for (int p = 0; p < N_PARTS && rc == 0; p++)
        rc = read_part(k, p, sizes[p], &part[p]);
    if (rc == 0)
        rc = check_rows(k, group, part, w->dim[1], hidden);
    for (int p = 0; p < N_PARTS; p++)
        aster_free(&part[p]);
    return rc;
}

/* ---- all of it ---- */

int check_weightfile(struct aster_ctx *ctx, const struct aster_weightfile *f,
                     struct aster_h5 *expected, const char *group, const char *folder, bool values,
                     struct counts *c)
{
    struct check k = {ctx, f, expected, group, folder, c};
    char **names = NULL, set[400];
    int64_t n = 0, wanted = 0;
    int rc = aster_h5_attr_i64(expected, group, "n_tensors", &wanted);
    if (rc == 0 && aster_weightfile_count(f) != wanted)
        differs(c, "%lld tensors, %lld are expected", (long long)aster_weightfile_count(f),
                (long long)wanted);
    if (rc == 0)
        rc = aster_h5_list(expected, group, &names, &n);
    for (int64_t j = 0; j < n && rc == 0 && !*c->wrong; j++) {
        snprintf(set, sizeof set, "%s/%s", group, names[j]);
        if (names[j][0] == 't')
            rc = check_tensor(&k, set);
    }
    aster_strings_free(&names, n);
    if (rc == 0 && !*c->wrong && c->tensors != wanted)
        differs(c, "%lld tensors were compared, not %lld", (long long)c->tensors,
                (long long)wanted);
    if (rc == 0 && !*c->wrong && values)
        rc = check_values(&k);
    if (rc == 0 && !*c->wrong)
        rc = check_classifier(&k);
    return rc;
}

int read_weightfile(struct aster_ctx *ctx, const struct aster_weightfile *f)
{
    double piece[1000];
    for (int64_t k = 0; k < aster_weightfile_count(f); k++) {
        const struct aster_weight *w = aster_weightfile_tensor(f, k);
        for (int64_t at = 0; at < w->n; at += 1000)
            ASTER_TRY(
                aster_weightfile_read(f, w, at, aster_min64(1000, w->n - at), ASTER_F64, piece));
    }
    return aster_ctx_code(ctx);
}
