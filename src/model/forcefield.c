/* SPDX-License-Identifier: BSD-3-Clause */
/* The program of the force field. */
#include "model/forcefield.h"

#include <math.h>

enum {
    MOST_WIDTH = 1 << 14,
    MOST_BLOCKS = 1000,
    MOST_RADIAL = 1 << 14,
    MOST_NUMBER = 1 << 16,
    MOST_INTERVALS = 1 << 16
};
#define LEAST_DISTANCE 1e-8 /* added to distances that divide */
#define LEAST_FORCE    1e-8 /* shorter forces have no direction */

static const double pi = 3.14159265358979323846;

struct field {
    struct aster_program *p;
    const struct aster_forcefield_config *c;
    bool is_whole; /* nothing left out */
    bool is_fast;  /* weights are constants and have transposed copies */
    aster_sz atoms, edges, structures, width;
    aster_val number, src, dst, vector, unit, radial, cut;
    aster_val edge, link, starts; /* of the fast program */
};
struct state {
    aster_val s, v[3]; /* v < 0: zero */
};

int aster_forcefield_check(struct aster_ctx *ctx, const struct aster_forcefield_config *c)
{
    const struct {
        const char *name;
        int64_t value, least, most;
    } size[] = {
        {"hidden_dim", c->width, 4, MOST_WIDTH},
        {"num_interactions", c->n_blocks, 1, MOST_BLOCKS},
        {"num_rbf", c->n_radial, 1, MOST_RADIAL},
        {"max_z", c->max_number, 1, MOST_NUMBER},
    };
    for (size_t k = 0; k < sizeof size / sizeof *size; k++)
        if (size[k].value < size[k].least || size[k].value > size[k].most)
            return aster_fail(ctx, ASTER_EPARAM, "%s = %lld, expected %lld to %lld", size[k].name,
                              (long long)size[k].value, (long long)size[k].least,
                              (long long)size[k].most);
    if (!(c->cutoff > 0 && c->cutoff <= 1000))
        return aster_fail(ctx, ASTER_EPARAM, "cutoff = %g, expected above 0, at most 1000",
                          c->cutoff);
    if (c->intervals < 0 || c->intervals > MOST_INTERVALS)
        return aster_fail(ctx, ASTER_EPARAM, "table intervals = %lld, expected 0 to %d",
                          (long long)c->intervals, MOST_INTERVALS);
    if (!(c->norm_eps >= 0 && c->norm_eps < 1))
        return aster_fail(ctx, ASTER_EPARAM, "norm_eps = %g, expected 0 or more, less than 1",
                          c->norm_eps);
    return 0;
}

/* ---- pieces ---- */

static aster_val add(struct field *f, aster_val a, aster_val b)
{
    return aster_emit_binary(f->p, ASTER_BIN_ADD, a, b);
}

static aster_val sub(struct field *f, aster_val a, aster_val b)
{
    return aster_emit_binary(f->p, ASTER_BIN_SUB, a, b);
}

static aster_val mul(struct field *f, aster_val a, aster_val b)
{
    return aster_emit_binary(f->p, ASTER_BIN_MUL, a, b);
}

static aster_val fn(struct field *f, enum aster_fn kind, aster_val x)
{
    return aster_emit_unary(f->p, kind, x);
}

/* a + b where either may be zero (< 0) */
static aster_val add_any(struct field *f, aster_val a, aster_val b)
{
    return a < 0 ? b : b < 0 ? a : add(f, a, b);
}

static aster_val part(struct field *f, aster_val x, int64_t first, int64_t n)
{
    return aster_emit_slice(f->p, x, -1, aster_size(f->p, first), aster_size(f->p, n));
}

/* [rows, n] -> [rows, 1] */
static aster_val sum_row(struct field *f, aster_val x)
{
    return aster_emit_sum_to(f->p, x, (aster_sz[]){aster_val_dim(f->p, x, 0), aster_size(f->p, 1)});
}

static aster_val sum_all(struct field *f, aster_val x)
{
    aster_sz one = aster_size(f->p, 1);
    return aster_emit_sum_to(f->p, x, (aster_sz[]){one, one});
}

struct affine {
    aster_val w, b;
};

static void transposed(struct field *f, const char *name, aster_val w, int64_t in, int64_t out)
{
    char text[128];
    snprintf(text, sizeof text, "%s" ASTER_FORCEFIELD_TRANSPOSED, name);
    aster_program_transposed(f->p, w,
                             aster_emit_param(f->p, text, 2, (int64_t[]){out, in},
                                              ASTER_LAYOUT_SAME, (struct aster_init){0, 0}, 0));
}

/* [in, out], with Xavier's uniform start */
static aster_val weight(struct field *f, const char *name, int64_t in, int64_t out)
{
    char text[112];
    snprintf(text, sizeof text, "%s.weight", name);
    aster_val w = aster_emit_param(f->p, text, 2, (int64_t[]){in, out}, ASTER_LAYOUT_LINEAR,
                                   (struct aster_init){sqrt(6.0 / (double)(in + out)), 0}, in);
    if (f->is_fast)
        transposed(f, text, w, in, out);
    return w;
}

static struct affine affine(struct field *f, const char *name, int64_t in, int64_t out)
{
    char text[112];
    struct affine a = {weight(f, name, in, out), -1};
    snprintf(text, sizeof text, "%s.bias", name);
    a.b = aster_emit_param(f->p, text, 1, &out, ASTER_LAYOUT_SAME, (struct aster_init){0, 0}, in);
    return a;
}

static aster_val apply(struct field *f, struct affine a, aster_val x)
{
    return aster_emit_linear(f->p, x, a.w, a.b, ASTER_ACT_NONE);
}

/* Only the outputs n k .. n (k + 1) - 1 for k = first and, when it is not -1, k = second */
static struct affine columns(struct field *f, struct affine a, int64_t n, int first, int second)
{
    struct affine one = {part(f, a.w, first * n, n), part(f, a.b, first * n, n)};
    if (second < 0)
        return one;
    struct affine other = columns(f, a, n, second, -1);
    return (struct affine){aster_emit_concat(f->p, 2, (aster_val[]){one.w, other.w}, 1),
                           aster_emit_concat(f->p, 2, (aster_val[]){one.b, other.b}, 0)};
}

/* ---- geometry ---- */

/* A buffer of doubles as a row of reals */
static aster_val constants(struct field *f, const char *name, int64_t n, double init)
{
    aster_val v =
        aster_emit_cast(f->p, aster_emit_buffer(f->p, name, n, init), aster_program_real(f->p));
    return aster_emit_reshape(f->p, v, 2, (aster_sz[]){aster_size(f->p, 1), aster_size(f->p, n)});
}

static void geometry(struct field *f)
{
    const struct aster_forcefield_config *c = f->c;
    struct aster_program *p = f->p;
    aster_val d = fn(f, ASTER_FN_ROOT, sum_row(f, fn(f, ASTER_FN_SQUARE, f->vector)));
    f->unit =
        aster_emit_binary(p, ASTER_BIN_DIV, f->vector, aster_emit_affine(p, d, 1, LEAST_DISTANCE));
    aster_val center = constants(f, "rbf.centers", c->n_radial, 0);
    aster_val width = constants(f, "rbf.widths", c->n_radial, c->cutoff / (double)c->n_radial);
    aster_val z = aster_emit_binary(p, ASTER_BIN_DIV, sub(f, d, center), width);
    aster_val g = fn(f, ASTER_FN_EXP, aster_emit_affine(p, fn(f, ASTER_FN_SQUARE, z), -1, 0));
    f->cut = aster_emit_affine(p, fn(f, ASTER_FN_COS, aster_emit_affine(p, d, pi / c->cutoff, 0)),
                               0.5, 0.5);
    f->radial = c->cutoff_on == ASTER_CUTOFF_FEATURES ? mul(f, g, f->cut) : g;
}

/* ---- a block ---- */

static aster_val at_source(struct field *f, aster_val x)
{
    return x < 0 ? -1 : aster_emit_gather(f->p, x, f->src);
}

static aster_val to_target(struct field *f, aster_val x)
{
    return aster_emit_scatter_add(f->p, x, f->dst, f->atoms);
}

/* [E, n width], n = 3, or 2 where there are no vectors yet: for the scalars, the vectors, the
 * directions */
static aster_val filter(struct field *f, const char *prefix, bool has_vectors)
{
    char name[96];
    int64_t n = f->c->width;
    snprintf(name, sizeof name, "%s.message.rbf_to_scalar.0", prefix);
    aster_val h = fn(f, ASTER_FN_SILU, apply(f, affine(f, name, f->c->n_radial, n), f->radial));
    snprintf(name, sizeof name, "%s.message.rbf_to_scalar.2", prefix);
    struct affine a = affine(f, name, n, 3 * n);
    aster_val phi = apply(f, has_vectors || f->is_whole ? a : columns(f, a, n, 0, 2), h);
    return f->c->cutoff_on == ASTER_CUTOFF_FILTER ? mul(f, phi, f->cut) : phi;
}

static struct state message(struct field *f, const char *prefix, struct state in,
                            aster_val *whole_filter)
{
    int64_t n = f->c->width;
    bool has_vectors = in.v[0] >= 0;
    aster_val phi = filter(f, prefix, has_vectors);
    aster_val scalar = part(f, phi, 0, n),
              direction = part(f, phi, has_vectors || f->is_whole ? 2 * n : n, n),
              vector = has_vectors ? part(f, phi, n, n) : -1;
    struct state out;
    *whole_filter = phi;
    out.s = add(f, in.s, to_target(f, mul(f, at_source(f, in.s), scalar)));
    for (int k = 0; k < 3; k++) {
        aster_val m = mul(f, part(f, f->unit, k, 1), direction);
        if (has_vectors)
            m = add(f, m, mul(f, at_source(f, in.v[k]), vector));
        out.v[k] = add_any(f, in.v[k], to_target(f, m));
    }
    return out;
}

static aster_val length(struct field *f, const aster_val v[3])
{
    double eps = f->c->norm_eps;
    aster_val sum = fn(f, ASTER_FN_SQUARE, v[0]);
    for (int k = 1; k < 3; k++)
        sum = add(f, sum, fn(f, ASTER_FN_SQUARE, v[k]));
    if (eps == 0)
        return fn(f, ASTER_FN_ROOT, sum);
    return aster_emit_affine(f->p, fn(f, ASTER_FN_ROOT, aster_emit_affine(f->p, sum, 1, eps * eps)),
                             1, -eps);
}

static aster_val matrix(struct field *f, const char *name)
{
    return aster_emit_param(f->p, name, 2, (int64_t[]){3, 3}, ASTER_LAYOUT_SAME,
                            (struct aster_init){1, 0}, 3);
}

/* mixed[a] = sum over b of M[a][b] v[b] */
static void mix(struct field *f, const char *prefix, const aster_val v[3], aster_val mixed[3])
{
    char name[96];
    snprintf(name, sizeof name, "%s.update.mixing_matrix", prefix);
    aster_val m = aster_emit_reshape(f->p, matrix(f, name), 2,
                                     (aster_sz[]){aster_size(f->p, 1), aster_size(f->p, 9)});
    if (f->c->mixing == ASTER_MIXING_ISOTROPIC) {
        aster_val trace = add(f, add(f, part(f, m, 0, 1), part(f, m, 4, 1)), part(f, m, 8, 1));
        for (int a = 0; a < 3; a++)
            mixed[a] = mul(f, v[a], aster_emit_affine(f->p, trace, 1.0 / 3, 0));
        return;
    }
    for (int a = 0; a < 3; a++) {
        mixed[a] = -1;
        for (int b = 0; b < 3; b++)
            mixed[a] = add_any(f, mixed[a], mul(f, v[b], part(f, m, 3 * a + b, 1)));
    }
}

static struct state update(struct field *f, const char *prefix, struct state in, bool is_last)
{
    char name[96];
    int64_t n = f->c->width;
    struct state out = {-1, {-1, -1, -1}};
    aster_val q = aster_emit_concat(f->p, 2, (aster_val[]){in.s, length(f, in.v)}, 1), mixed[3];
    snprintf(name, sizeof name, "%s.update.update_mlp.0", prefix);
    aster_val y = fn(f, ASTER_FN_SILU, apply(f, affine(f, name, 2 * n, n), q));
    snprintf(name, sizeof name, "%s.update.update_mlp.2", prefix);
    struct affine a = affine(f, name, n, 3 * n);
    if (is_last) { /* its vectors are not read again */
        out.s = add(f, in.s, apply(f, columns(f, a, n, 0, -1), y));
        return out;
    }
    aster_val o = apply(f, a, y);
    out.s = add(f, in.s, part(f, o, 0, n));
    mix(f, prefix, in.v, mixed);
    for (int k = 0; k < 3; k++)
        out.v[k] =
            add(f, mul(f, in.v[k], part(f, o, n, n)), mul(f, mixed[k], part(f, o, 2 * n, n)));
    return out;
}

/* ---- the model ---- */

static aster_val embedding(struct field *f)
{
    int64_t n = f->c->max_number + 1;
    aster_val table = aster_emit_param(f->p, "embedding.weight", 2, (int64_t[]){n, f->c->width},
                                       ASTER_LAYOUT_SAME, (struct aster_init){sqrt(3.0), 0}, 0);
    return aster_emit_gather(f->p, table, f->number);
}

/* From the first layer's sums */
static aster_val readout_from(struct field *f, aster_val z)
{
    int64_t n = f->c->width;
    z = fn(f, ASTER_FN_SILU, z);
    z = fn(f, ASTER_FN_SILU, apply(f, affine(f, "energy_head.2", n / 2, n / 4), z));
    return apply(f, affine(f, "energy_head.4", n / 4, 1), z);
}

static aster_val readout(struct field *f, aster_val s)
{
    int64_t n = f->c->width;
    return readout_from(f, apply(f, affine(f, "energy_head.0", n, n / 2), s));
}

static aster_val energies(struct field *f, struct aster_forcefield_probe *probe)
{
    const struct aster_forcefield_config *c = f->c;
    struct state x = {embedding(f), {-1, -1, -1}};
    geometry(f);
    for (int64_t k = 0; k < c->n_blocks; k++) {
        char prefix[40];
        aster_val phi;
        snprintf(prefix, sizeof prefix, "interactions.%lld", (long long)k);
        struct state m = message(f, prefix, x, &phi);
        x = update(f, prefix, m, k == c->n_blocks - 1);
        if (probe && k < probe->n_blocks)
            probe->block[k] = (struct aster_forcefield_block){
                phi, m.s, x.s, {m.v[0], m.v[1], m.v[2]}, {x.v[0], x.v[1], x.v[2]}};
    }
    return readout(f, x.s);
}

/* ---- the same from tables, all three components of a vector in one value ---- */

static aster_val fast_message(struct field *f, int64_t k, aster_val s, aster_val *v)
{
    char name[32];
    int64_t n = f->c->width, most = ASTER_FORCEFIELD_TABLE_BLOCK;
    snprintf(name, sizeof name, "table.%lld", (long long)k);
    aster_val table =
        aster_emit_param(f->p, name, 4,
                         (int64_t[]){(n + most - 1) / most, aster_forcefield_intervals(f->c) + 3,
                                     *v < 0 ? 2 : 3, most},
                         ASTER_LAYOUT_SAME, (struct aster_init){0, 0}, 0);
    return aster_emit_message(
        f->p, &(struct aster_message){s, *v, f->edge, table, f->link, f->starts, f->c->cutoff}, v);
}

/* What the update's second matrix is applied to */
static aster_val fast_hidden(struct field *f, int64_t k, aster_val s, aster_val v)
{
    char name[96];
    int64_t n = f->c->width;
    aster_val q = aster_emit_vector_length(f->p, s, v, f->c->norm_eps);
    snprintf(name, sizeof name, "interactions.%lld.update.update_mlp.0", (long long)k);
    return fn(f, ASTER_FN_SILU, apply(f, affine(f, name, 2 * n, n), q));
}

static aster_val fast_update(struct field *f, int64_t k, aster_val s, aster_val *v)
{
    char name[96];
    int64_t n = f->c->width;
    aster_val y = fast_hidden(f, k, s, *v);
    snprintf(name, sizeof name, "interactions.%lld.update.update_mlp.2", (long long)k);
    struct affine a = affine(f, name, n, 3 * n);
    snprintf(name, sizeof name, "interactions.%lld.update.mixing_matrix", (long long)k);
    struct aster_gate g = {s, *v, apply(f, a, y), matrix(f, name),
                           f->c->mixing == ASTER_MIXING_ISOTROPIC};
    return aster_emit_vector_gate(f->p, &g, v);
}

/* The last update gives s + U y + c, of which the readout takes A and a: A s + (A U) y + (A c + a),
 * so what it gives is never made. */
static aster_val fast_readout(struct field *f, aster_val s, aster_val v)
{
    int64_t n = f->c->width;
    aster_val y = fast_hidden(f, f->c->n_blocks - 1, s, v),
              direct = aster_emit_linear(f->p, s, weight(f, "energy_head.0", n, n / 2), -1,
                                         ASTER_ACT_NONE);
    return readout_from(f,
                        add(f, direct, apply(f, affine(f, ASTER_FORCEFIELD_FOLDED, n, n / 2), y)));
}

static aster_val fast_energies(struct field *f)
{
    struct aster_program *p = f->p;
    aster_sz ends = aster_size_add(p, f->atoms, aster_size(p, 1));
    aster_val s = embedding(f), v = -1,
              reverse = aster_emit_input(p, "reverse", ASTER_I32, 1, &f->edges);
    f->starts = aster_emit_input(p, "starts", ASTER_I32, 1, &ends);
    f->link = aster_emit_concat(p, 2, (aster_val[]){f->src, reverse}, 0);
    f->edge = aster_emit_direction(p, f->vector, LEAST_DISTANCE);
    for (int64_t k = 0;; k++) {
        s = fast_message(f, k, s, &v);
        if (k == f->c->n_blocks - 1)
            return fast_readout(f, s, v);
        s = fast_update(f, k, s, &v);
    }
}

/* Pull of the edges on the atoms at both ends */
static aster_val forces(struct field *f, aster_val pull)
{
    return sub(f, aster_emit_scatter_add(f->p, pull, f->dst, f->atoms),
               aster_emit_scatter_add(f->p, pull, f->src, f->atoms));
}

static aster_val virials(struct field *f, aster_val pull, aster_val edge_owner)
{
    aster_val row[3];
    for (int a = 0; a < 3; a++)
        row[a] = mul(f, f->vector, part(f, pull, a, 1));
    return aster_emit_scatter_add(f->p, aster_emit_concat(f->p, 3, row, 1), edge_owner,
                                  f->structures);
}

/* ---- losses ---- */

/* x^2, |x|, or Huber's: with x clipped to c in -delta .. delta that is c (x - c / 2). Clipped by
 * relu(2 delta - relu(delta - x)) - delta, which is delta to the bit beyond it, however large x is:
 * differences of x and what is clipped off would be rounded as x is. */
static aster_val penalty(struct field *f, const struct aster_forcefield_loss *l, aster_val x)
{
    if (l->kind == ASTER_FORCE_MSE)
        return fn(f, ASTER_FN_SQUARE, x);
    if (l->kind == ASTER_FORCE_MAE)
        return fn(f, ASTER_FN_ABS, x);
    double delta = l->huber_delta;
    aster_val below = fn(f, ASTER_FN_RELU, aster_emit_affine(f->p, x, -1, delta));
    aster_val c = aster_emit_affine(
        f->p, fn(f, ASTER_FN_RELU, aster_emit_affine(f->p, below, -1, 2 * delta)), 1, -delta);
    return mul(f, c, sub(f, x, aster_emit_affine(f->p, c, 0.5, 0)));
}

static aster_val mean(struct field *f, aster_val x, double factor, aster_sz count)
{
    return aster_emit_scale_by_size(f->p, sum_all(f, x), factor, count);
}

/* Mean over atoms of 1 - cos of the angle between force and its target */
static aster_val angle(struct field *f, aster_val force, aster_val direction, aster_sz count)
{
    aster_val size = fn(f, ASTER_FN_ROOT, sum_row(f, fn(f, ASTER_FN_SQUARE, force)));
    aster_val least = aster_emit_affine(
        f->p, fn(f, ASTER_FN_RELU, aster_emit_affine(f->p, size, 1, -LEAST_FORCE)), 1, LEAST_FORCE);
    aster_val cosine =
        aster_emit_binary(f->p, ASTER_BIN_DIV, sum_row(f, mul(f, force, direction)), least);
    return mean(f, aster_emit_affine(f->p, cosine, -1, 1), 1, count);
}

/* (1 - a) hard + a soft, where soft is how far a teacher is */
static aster_val with_teacher(struct field *f, const struct aster_forcefield_loss *l,
                              aster_val hard, aster_val energy, aster_val force)
{
    struct aster_program *p = f->p;
    enum aster_dtype real = aster_program_real(p);
    aster_val want = aster_emit_input(p, "teacher_energy", real, 2,
                                      (aster_sz[]){f->structures, aster_size(p, 1)}),
              pull = aster_emit_input(p, "teacher_force", real, 2,
                                      (aster_sz[]){f->atoms, aster_size(p, 3)});
    aster_val soft = add(
        f, mean(f, fn(f, ASTER_FN_SQUARE, sub(f, energy, want)), 1, aster_size_symbol(p, "BG")),
        mean(f, fn(f, ASTER_FN_SQUARE, sub(f, force, pull)), 1.0 / 3, aster_size_symbol(p, "NG")));
    return add(f, aster_emit_affine(p, hard, 1 - l->teacher, 0),
               aster_emit_affine(p, soft, l->teacher / (l->temperature * l->temperature), 0));
}

static int train(struct field *f, const struct aster_forcefield_loss *l, aster_val energy,
                 aster_val force, aster_val owner)
{
    struct aster_program *p = f->p;
    enum aster_dtype real = aster_program_real(p);
    aster_sz one = aster_size(p, 1), three = aster_size(p, 3);
    aster_sz all_structures = aster_size_symbol(p, "BG"), all_atoms = aster_size_symbol(p, "NG");
    aster_val want = aster_emit_input(p, "energy", real, 2, (aster_sz[]){f->structures, one}),
              pull = aster_emit_input(p, "force", real, 2, (aster_sz[]){f->atoms, three}),
              direction = aster_emit_input(p, "direction", real, 2, (aster_sz[]){f->atoms, three});
    aster_val total = aster_emit_scatter_add(p, energy, owner, f->structures);
    aster_val part_of[4];
    part_of[1] = mean(f, penalty(f, l, sub(f, total, want)), 1, all_structures);
    part_of[2] = mean(f, penalty(f, l, sub(f, force, pull)), 1.0 / 3, all_atoms);
    part_of[3] = angle(f, force, direction, all_atoms);
    part_of[0] = add(f,
                     add(f, aster_emit_affine(p, part_of[1], l->energy, 0),
                         aster_emit_affine(p, part_of[2], l->force, 0)),
                     aster_emit_affine(p, part_of[3], l->angle, 0));
    if (l->teacher > 0)
        part_of[0] = with_teacher(f, l, part_of[0], total, force);
    aster_val losses = aster_emit_concat(p, 4, part_of, 1);
    aster_emit_output(p, "loss", aster_emit_reshape(p, losses, 1, (aster_sz[]){aster_size(p, 4)}));
    return aster_program_grad_params(p, part_of[0]);
}

/* ---- programs ---- */

static void inputs(struct field *f)
{
    struct aster_program *p = f->p;
    f->atoms = aster_size_symbol(p, "N");
    f->edges = aster_size_symbol(p, "E");
    f->structures = aster_size_symbol(p, "B");
    f->number = aster_emit_input(p, "number", ASTER_I32, 1, &f->atoms);
    f->src = aster_emit_input(p, "src", ASTER_I32, 1, &f->edges);
    f->dst = aster_emit_input(p, "dst", ASTER_I32, 1, &f->edges);
    f->vector = aster_emit_input(p, "vector", aster_program_real(p), 2,
                                 (aster_sz[]){f->edges, aster_size(p, 3)});
}

static int build(struct field *f, enum aster_forcefield_use use,
                 const struct aster_forcefield_loss *loss, struct aster_forcefield_probe *probe)
{
    struct aster_program *p = f->p;
    inputs(f);
    aster_val energy = f->is_fast ? fast_energies(f) : energies(f, probe), pull = -1;
    aster_emit_output(p, "energy", energy);
    if (probe) {
        probe->radial = f->radial;
        probe->unit = f->unit;
        probe->vector = f->vector;
        probe->energy = sum_all(f, energy);
    }
    if (use == ASTER_FORCEFIELD_PROBE)
        return 0;
    if (use == ASTER_FORCEFIELD_ENERGY)
        return aster_program_finish(p);
    aster_val owner = aster_emit_input(p, "owner", ASTER_I32, 1, &f->atoms);
    ASTER_TRY(aster_program_grad(p, sum_all(f, energy), 1, &f->vector, &pull));
    aster_val force = forces(f, pull);
    aster_emit_output(p, "force", force);
    if (use == ASTER_FORCEFIELD_TRAIN) {
        ASTER_TRY(train(f, loss, energy, force, owner));
        return aster_program_finish(p);
    }
    aster_val edge_owner = aster_emit_input(p, "edge_owner", ASTER_I32, 1, &f->edges);
    aster_emit_output(p, "virial", virials(f, pull, edge_owner));
    return aster_program_finish(p);
}

int aster_forcefield_program(struct aster_ctx *ctx, const struct aster_forcefield_config *c,
                             enum aster_dtype real, enum aster_forcefield_use use,
                             const struct aster_forcefield_loss *loss,
                             struct aster_forcefield_probe *probe, struct aster_program **out)
{
    struct field f = {
        .c = c, .is_whole = use == ASTER_FORCEFIELD_PROBE, .is_fast = use == ASTER_FORCEFIELD_FAST};
    *out = NULL;
    ASTER_TRY(aster_forcefield_check(ctx, c));
    ASTER_TRY(aster_program_new(ctx, "force field", real, &f.p));
    int rc = build(&f, use, loss, probe);
    if (rc < 0)
        aster_program_free(&f.p);
    *out = f.p;
    return rc;
}
