/* SPDX-License-Identifier: BSD-3-Clause */
/* Filters of a force field as tables: value and slope at every knot, computed in double. */
#include "model/forcefield.h"

#include <math.h>
#include <string.h>

static const double pi = 3.14159265358979323846;

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
    double *w1, *b1, *w2, *b2;            /* [K][F] [F] [F][3 F] [3 F] */
    double *x, *dx, *a, *da, *phi, *dphi; /* at one distance */
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

/* y = x w + b and dy = dx w; w [rows][n] */
static void apply(int64_t rows, int64_t n, const double *w, const double *b, const double *x,
                  const double *dx, double *y, double *dy)
{
    memcpy(y, b, (size_t)n * sizeof *y);
    memset(dy, 0, (size_t)n * sizeof *dy);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t k = 0; k < n; k++) {
            y[k] += x[r] * w[r * n + k];
            dy[k] += dx[r] * w[r * n + k];
        }
}

/* phi and its derivative at distance d */
static void evaluate(struct maker *m, double d)
{
    const struct aster_forcefield_config *c = m->c;
    bool on_filter = c->cutoff_on == ASTER_CUTOFF_FILTER;
    double cut = 0.5 * cos(pi / c->cutoff * d) + 0.5,
           dcut = -0.5 * pi / c->cutoff * sin(pi / c->cutoff * d);
    for (int64_t k = 0; k < c->n_radial; k++) {
        double z = (d - m->center[k]) / m->width[k], g = exp(-z * z), dg = -2 * z / m->width[k] * g;
        m->x[k] = on_filter ? g : g * cut;
        m->dx[k] = on_filter ? dg : dg * cut + g * dcut;
    }
    apply(c->n_radial, c->width, m->w1, m->b1, m->x, m->dx, m->a, m->da);
    for (int64_t k = 0; k < c->width; k++) {
        double sigma = 1 / (1 + exp(-m->a[k]));
        m->da[k] *= sigma * (1 + m->a[k] * (1 - sigma));
        m->a[k] *= sigma;
    }
    apply(c->width, 3 * c->width, m->w2, m->b2, m->a, m->da, m->phi, m->dphi);
    for (int64_t k = 0; on_filter && k < 3 * c->width; k++) {
        m->dphi[k] = m->dphi[k] * cut + m->phi[k] * dcut;
        m->phi[k] *= cut;
    }
}

static void fill(struct maker *m, const struct aster_param_info *table,
                 const struct aster_program *fast, void *values)
{
    int64_t knots = table->dim[1], parts = table->dim[3], some = table->dim[4];
    double step = m->c->cutoff / (double)(knots - 1);
    for (int64_t k = 0; k < knots; k++) {
        evaluate(m, (double)k * step);
        for (int64_t part = 0; part < parts; part++)
            for (int64_t c = 0; c < table->dim[0] * some; c++) {
                int64_t from = (parts == 2 && part ? 2 : part) * m->c->width + c;
                int64_t to = ((c / some * knots + k) * 2 * parts + part) * some + c % some;
                bool is_there = c < m->c->width;
                put(fast, values, table->offset + to, is_there ? m->phi[from] : 0);
                put(fast, values, table->offset + to + parts * some,
                    is_there ? m->dphi[from] * step : 0);
            }
    }
}

static int make(struct maker *m, const struct aster_program *fast, void *values)
{
    const struct aster_forcefield_config *c = m->c;
    double *memory = NULL;
    int64_t n = c->width, radial = c->n_radial;
    ASTER_TRY(
        aster_alloc(m->ctx, radial * n + 3 * n * n + 12 * n + 2 * radial, sizeof *memory, &memory));
    m->w1 = memory;
    m->b1 = m->w1 + radial * n;
    m->w2 = m->b1 + n;
    m->b2 = m->w2 + 3 * n * n;
    m->a = m->b2 + 3 * n;
    m->da = m->a + n;
    m->phi = m->da + n;
    m->dphi = m->phi + 3 * n;
    m->x = m->dphi + 3 * n;
    m->dx = m->x + radial;
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
