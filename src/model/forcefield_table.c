/* SPDX-License-Identifier: BSD-3-Clause */
/* Filters of a force field as splines, and other parameters of its fast program, computed in
 * double. */
#include "model/forcefield.h"

#include <math.h>
#include <string.h>

static const double pi = 3.14159265358979323846;

/* Knots beyond either end, from which on nothing reaches the table: 0.27^SIDE is below 1e-17. */
enum { SIDE = 30 };

/* Parameters of a program by name */
struct flat {
    const struct aster_program *p;
    const void *values;
};

struct maker {
    struct aster_ctx *ctx;
    const struct aster_forcefield_config *c;
    struct flat exact;
    const double *center, *width;
    double *w1, *b1, *w2, *b2; /* [K][F] [F] [F][3 F] [3 F] */
    double *x, *a;             /* at one distance */
    double *row;               /* [intervals + 1 + 2 SIDE][3 F] */
};

static const struct aster_param_info *find(const struct aster_program *p, const char *name)
{
    for (int k = 0; k < aster_program_n_params(p); k++)
        if (strcmp(aster_program_param(p, k)->name, name) == 0)
            return aster_program_param(p, k);
    return NULL;
}

static const struct aster_param_info *find_end(const struct aster_program *p, const char *name,
                                               const char *end)
{
    char text[128];
    snprintf(text, sizeof text, "%s%s", name, end);
    return find(p, text);
}

static double get(const struct flat *f, int64_t k)
{
    return aster_program_real(f->p) == ASTER_F64 ? ((const double *)f->values)[k]
                                                 : (double)((const float *)f->values)[k];
}

static void put(const struct aster_program *p, void *values, int64_t k, double v)
{
    if (aster_program_real(p) == ASTER_F64)
        ((double *)values)[k] = v;
    else
        ((float *)values)[k] = (float)v;
}

static int missing(struct aster_ctx *ctx, const char *name)
{
    return aster_fail(ctx, ASTER_EBUG,
                      "tables of a force field: the exact program has no fitting %s", name);
}

static int read_one(struct maker *m, int64_t block, const char *end, int64_t n, double *out)
{
    char name[112];
    snprintf(name, sizeof name, "interactions.%lld.message.rbf_to_scalar.%s", (long long)block,
             end);
    const struct aster_param_info *info = find(m->exact.p, name);
    if (!info || info->n != n)
        return missing(m->ctx, name);
    for (int64_t k = 0; k < n; k++)
        out[k] = get(&m->exact, info->offset + k);
    return 0;
}

static int read_block(struct maker *m, int64_t block)
{
    int64_t n = m->c->width, radial = m->c->n_radial;
    ASTER_TRY(read_one(m, block, "0.weight", radial * n, m->w1));
    ASTER_TRY(read_one(m, block, "0.bias", n, m->b1));
    ASTER_TRY(read_one(m, block, "2.weight", 3 * n * n, m->w2));
    return read_one(m, block, "2.bias", 3 * n, m->b2);
}

/* y = x w + b; w [rows][n] */
static void apply(int64_t rows, int64_t n, const double *w, const double *b, const double *x,
                  double *y)
{
    memcpy(y, b, (size_t)n * sizeof *y);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t k = 0; k < n; k++)
            y[k] += x[r] * w[r * n + k];
}

/* phi at distance d; beyond 0 and the cutoff as its formula goes on */
static void evaluate(struct maker *m, double d, double *phi)
{
    const struct aster_forcefield_config *c = m->c;
    bool on_filter = c->cutoff_on == ASTER_CUTOFF_FILTER;
    double cut = 0.5 * cos(pi / c->cutoff * d) + 0.5;
    for (int64_t k = 0; k < c->n_radial; k++) {
        double z = (d - m->center[k]) / m->width[k];
        m->x[k] = exp(-z * z) * (on_filter ? 1 : cut);
    }
    apply(c->n_radial, c->width, m->w1, m->b1, m->x, m->a);
    for (int64_t k = 0; k < c->width; k++)
        m->a[k] /= 1 + exp(-m->a[k]);
    apply(c->width, 3 * c->width, m->w2, m->b2, m->a, phi);
    for (int64_t k = 0; on_filter && k < 3 * c->width; k++)
        phi[k] *= cut;
}

/* Values of the filters of row k, at knot k - SIDE, and what is made of them: coefficients */
static double *row_of(const struct maker *m, int64_t k)
{
    return m->row + 3 * m->c->width * k;
}

/* The coefficients of cubic B-splines whose sums have these values at the knots, 1/6 of one, 4/6 of
 * the next and 1/6 of the one after it: by a recursion upwards and one downwards, which are exact
 * but for what the values beyond the ends have in them, and that fades by the pole with every knot.
 */
static void make_coefficients(struct maker *m, int64_t rows)
{
    const double pole = sqrt(3) - 2;
    int64_t n = 3 * m->c->width;
    for (int64_t k = 1; k < rows; k++)
        for (int64_t c = 0; c < n; c++)
            row_of(m, k)[c] += pole * row_of(m, k - 1)[c];
    for (int64_t c = 0; c < n; c++)
        row_of(m, rows - 1)[c] *= -6 * pole / (1 - pole * pole);
    for (int64_t k = rows - 2; k >= 0; k--)
        for (int64_t c = 0; c < n; c++)
            row_of(m, k)[c] = pole * (row_of(m, k + 1)[c] - 6 * row_of(m, k)[c]);
}

static void fill(struct maker *m, const struct aster_param_info *table,
                 const struct aster_program *fast, void *values)
{
    int64_t n = table->dim[1], parts = table->dim[2], some = table->dim[3], width = m->c->width;
    double step = m->c->cutoff / (double)(n - 3);
    for (int64_t k = 0; k < n - 2 + 2 * SIDE; k++)
        evaluate(m, (double)(k - SIDE) * step, row_of(m, k));
    make_coefficients(m, n - 2 + 2 * SIDE);
    for (int64_t k = 0; k < n; k++)
        for (int64_t part = 0; part < parts; part++)
            for (int64_t c = 0; c < table->dim[0] * some; c++) {
                int64_t from = (parts == 2 && part ? 2 : part) * width + c;
                int64_t to = ((c / some * n + k) * parts + part) * some + c % some;
                put(fast, values, table->offset + to,
                    c < width ? row_of(m, k + SIDE - 1)[from] : 0);
            }
}

static int make(struct maker *m, const struct aster_program *fast, void *values)
{
    const struct aster_forcefield_config *c = m->c;
    double *memory = NULL;
    int64_t n = c->width, radial = c->n_radial, rows = aster_forcefield_intervals(c) + 1 + 2 * SIDE;
    ASTER_TRY(aster_alloc(m->ctx, radial * n + 3 * n * n + 5 * n + radial + 3 * n * rows,
                          sizeof *memory, &memory));
    m->w1 = memory;
    m->b1 = m->w1 + radial * n;
    m->w2 = m->b1 + n;
    m->b2 = m->w2 + 3 * n * n;
    m->a = m->b2 + 3 * n;
    m->x = m->a + n;
    m->row = m->x + radial;
    int rc = 0;
    for (int64_t k = 0; rc == 0 && k < c->n_blocks; k++) {
        char name[32];
        snprintf(name, sizeof name, "table.%lld", (long long)k);
        const struct aster_param_info *table = find(fast, name);
        rc = table ? read_block(m, k) : missing(m->ctx, name);
        if (rc == 0)
            fill(m, table, fast, values);
    }
    aster_free(&memory);
    return rc;
}

/* ---- matrices ---- */

/* The last update's columns for scalars and the readout's first matrix: U A, and c A + a */
static int fold(struct maker *m, const struct aster_program *fast, void *values)
{
    char name[96];
    int64_t n = m->c->width, half = n / 2;
    snprintf(name, sizeof name, "interactions.%lld.update.update_mlp.2.",
             (long long)m->c->n_blocks - 1);
    const struct aster_param_info *u = find_end(m->exact.p, name, "weight"),
                                  *c = find_end(m->exact.p, name, "bias"),
                                  *a = find(m->exact.p, "energy_head.0.weight"),
                                  *bias = find(m->exact.p, "energy_head.0.bias"),
                                  *w = find(fast, ASTER_FORCEFIELD_FOLDED ".weight"),
                                  *t = find(fast, ASTER_FORCEFIELD_FOLDED
                                            ".weight" ASTER_FORCEFIELD_TRANSPOSED),
                                  *b = find(fast, ASTER_FORCEFIELD_FOLDED ".bias");
    if (!u || !c || !a || !bias || !w || !t || !b || u->n != 3 * n * n || a->n != n * half)
        return missing(m->ctx, ASTER_FORCEFIELD_FOLDED);
    for (int64_t r = 0; r <= n; r++)
        for (int64_t k = 0; k < half; k++) {
            double sum = r < n ? 0 : get(&m->exact, bias->offset + k);
            int64_t from = r < n ? u->offset + 3 * n * r : c->offset;
            for (int64_t j = 0; j < n; j++)
                sum += get(&m->exact, from + j) * get(&m->exact, a->offset + half * j + k);
            put(fast, values, r < n ? w->offset + half * r + k : b->offset + k, sum);
            if (r < n)
                put(fast, values, t->offset + n * k + r, sum);
        }
    return 0;
}

/* A parameter that the exact program has too, or its transpose */
static int take(struct maker *m, const struct aster_program *fast,
                const struct aster_param_info *to, void *values)
{
    char name[128];
    snprintf(name, sizeof name, "%s", to->name);
    size_t length = strlen(name), end = strlen(ASTER_FORCEFIELD_TRANSPOSED);
    bool is_transposed =
        length > end && strcmp(name + length - end, ASTER_FORCEFIELD_TRANSPOSED) == 0;
    if (is_transposed)
        name[length - end] = '\0';
    const struct aster_param_info *from = find(m->exact.p, name);
    if (!from || from->n != to->n)
        return missing(m->ctx, to->name);
    int64_t rows = is_transposed ? to->dim[0] : 1, columns = to->n / rows;
    for (int64_t i = 0; i < to->n; i++)
        put(fast, values, to->offset + i,
            get(&m->exact, from->offset + i % columns * rows + i / columns));
    return 0;
}

int aster_forcefield_tables(struct aster_ctx *ctx, const struct aster_forcefield_config *c,
                            const struct aster_program *exact, const void *params,
                            const double *buffers, const struct aster_program *fast,
                            void *fast_params)
{
    struct maker m = {.ctx = ctx, .c = c, .exact = {exact, params}};
    for (int k = 0; k < aster_program_n_buffers(exact); k++) {
        const struct aster_param_info *b = aster_program_buffer(exact, k);
        if (strcmp(b->name, "rbf.centers") == 0)
            m.center = buffers + b->offset;
        if (strcmp(b->name, "rbf.widths") == 0)
            m.width = buffers + b->offset;
    }
    if (!m.center || !m.width)
        return missing(ctx, "rbf.centers and rbf.widths");
    for (int k = 0; k < aster_program_n_params(fast); k++) {
        const struct aster_param_info *to = aster_program_param(fast, k);
        if (strncmp(to->name, "table.", 6) != 0 &&
            strncmp(to->name, ASTER_FORCEFIELD_FOLDED, strlen(ASTER_FORCEFIELD_FOLDED)) != 0)
            ASTER_TRY(take(&m, fast, to, fast_params));
    }
    ASTER_TRY(fold(&m, fast, fast_params));
    return make(&m, fast, fast_params);
}
