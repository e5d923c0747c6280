/* SPDX-License-Identifier: BSD-3-Clause */
/* Calls of kernels on copies of the host's memory. */
#include "gpu/mirror.h"

#include <stdlib.h>
#include <string.h>

enum { MOST = 24, BAND = 256, BAND_BYTE = 0xff }; /* 0xff: NaN, for what reads beyond an input */

struct range { /* of the host's memory, and its copy */
    char *host, *copy;
    int64_t bytes;
};

struct call {
    struct range r[MOST];
    int n;
    char *arena;
    int64_t arena_bytes;
};

static const struct aster_backend *inner;
static struct aster_device *device;
static const struct mirror_memory *memory;
static char error_text[200];

const char *mirror_error(void)
{
    return error_text[0] ? error_text : NULL;
}

void mirror_forget(void)
{
    error_text[0] = '\0';
}

static void wrong(const char *what)
{
    if (!error_text[0])
        snprintf(error_text, sizeof error_text, "%s: %s", device->op ? device->op : "a kernel",
                 what);
}

/* Ranges that overlap become one: outputs may lie on inputs. */
static void want(struct call *c, const void *p, int64_t bytes)
{
    char *low = (char *)(uintptr_t)p, *high = low + bytes;
    if (!p)
        return;
    for (int k = 0; k < c->n;) {
        struct range *r = &c->r[k];
        if (low < r->host + r->bytes && r->host < high) {
            low = low < r->host ? low : r->host;
            high = high > r->host + r->bytes ? high : r->host + r->bytes;
            *r = c->r[--c->n];
            k = 0;
        } else {
            k++;
        }
    }
    if (c->n == MOST)
        abort();
    c->r[c->n++] = (struct range){low, NULL, high - low};
}

static void *at(const struct call *c, const void *p)
{
    const char *host = p;
    for (int k = 0; k < c->n; k++)
        if (host >= c->r[k].host && host <= c->r[k].host + c->r[k].bytes && c->r[k].copy &&
            (host < c->r[k].host + c->r[k].bytes || c->r[k].bytes == 0))
            return c->r[k].copy + (host - c->r[k].host);
    return NULL;
}

/* Copies start as far behind a multiple of 256 bytes as their originals lie behind one of 64, so
 * that a kernel meets the same alignment. */
static bool begin(struct call *c)
{
    int64_t bytes = BAND;
    for (int k = 0; k < c->n; k++)
        bytes += aster_round_up(c->r[k].bytes + 64, BAND) + BAND;
    c->arena_bytes = bytes;
    c->arena = memory->reserve(bytes);
    char *image = malloc((size_t)bytes);
    if (!c->arena || !image) {
        wrong("the GPU's memory does not hold a copy of its arguments");
        free(image);
        if (c->arena)
            memory->release(c->arena);
        return false;
    }
    memset(image, BAND_BYTE, (size_t)bytes);
    int64_t place = BAND;
    for (int k = 0; k < c->n; k++) {
        struct range *r = &c->r[k];
        int64_t here = place + (int64_t)((uintptr_t)r->host % 64);
        r->copy = c->arena + here;
        memcpy(image + here, r->host, (size_t)r->bytes);
        place += aster_round_up(r->bytes + 64, BAND) + BAND;
    }
    memory->put(c->arena, image, bytes);
    free(image);
    return true;
}

static void end(struct call *c)
{
    unsigned char *image = malloc((size_t)c->arena_bytes), *p = image;
    if (!image)
        abort();
    memory->take(image, c->arena, c->arena_bytes);
    for (int k = 0; k < c->n; k++) {
        const struct range *r = &c->r[k];
        int64_t here = r->copy - c->arena;
        if (memcmp(r->host, image + here, (size_t)r->bytes) != 0) /* constants stay untouched */
            memcpy(r->host, image + here, (size_t)r->bytes);
        memset(image + here, BAND_BYTE, (size_t)r->bytes);
    }
    while (p < image + c->arena_bytes && *p == BAND_BYTE)
        p++;
    if (p < image + c->arena_bytes)
        wrong("wrote beside its arguments on the GPU");
    free(image);
    memory->release(c->arena);
}

static int64_t bytes_of(const struct aster_tensor *t)
{
    int64_t n = aster_dtype_size(t->dtype);
    for (int k = 0; k < t->rank; k++)
        n *= t->dim[k];
    return n;
}

static void run(const struct aster_args *given, aster_kernel *kernel)
{
    struct aster_args a = *given;
    struct aster_run_info info;
    struct call c = {.n = 0};
    for (int k = 0; k < a.n_in; k++)
        want(&c, a.in[k].p, bytes_of(&a.in[k]));
    for (int k = 0; k < a.n_out; k++)
        want(&c, a.out[k].p, bytes_of(&a.out[k]));
    want(&c, a.work, a.work_bytes);
    if (a.run)
        want(&c, a.run->status, MIRROR_STATUS * (int64_t)sizeof *a.run->status);
    if (!begin(&c))
        return;
    for (int k = 0; k < a.n_in; k++)
        a.in[k].p = at(&c, a.in[k].p);
    for (int k = 0; k < a.n_out; k++)
        a.out[k].p = at(&c, a.out[k].p);
    a.work = at(&c, a.work);
    if (a.run) {
        info = *a.run;
        info.status = at(&c, info.status);
        a.run = &info;
    }
    a.device = device;
    kernel(&a);
    end(&c);
}

#define ASTER_OP(name, family)                                                                     \
    static void run_##name(const struct aster_args *a)                                             \
    {                                                                                              \
        run(a, inner->op[ASTER_OP_##name]);                                                        \
    }
#include "ops.def"
#undef ASTER_OP

/* ---- updates ---- */

typedef void step4(struct aster_device *, enum aster_dtype, int64_t, const struct aster_update *,
                   void *, const void *, void *, void *);

static void step(step4 *four, enum aster_dtype t, int64_t n, const struct aster_update *given,
                 void *w, const void *g, void *m, void *v)
{
    struct aster_update u = *given;
    struct call c = {.n = 0};
    int64_t bytes = n * aster_dtype_size(t);
    want(&c, w, bytes);
    want(&c, g, bytes);
    want(&c, m, bytes);
    want(&c, v, bytes);
    want(&c, u.squares, sizeof *u.squares);
    if (!begin(&c))
        return;
    u.squares = at(&c, u.squares);
    if (four)
        four(device, t, n, &u, at(&c, w), at(&c, g), at(&c, m), at(&c, v));
    else
        inner->update.sgd(device, t, n, &u, at(&c, w), at(&c, g), at(&c, m));
    end(&c);
}

static void adam(struct aster_device *d, enum aster_dtype t, int64_t n,
                 const struct aster_update *u, void *w, const void *g, void *m, void *v)
{
    (void)d;
    step(inner->update.adam, t, n, u, w, g, m, v);
}
static void adamw(struct aster_device *d, enum aster_dtype t, int64_t n,
                  const struct aster_update *u, void *w, const void *g, void *m, void *v)
{
    (void)d;
    step(inner->update.adamw, t, n, u, w, g, m, v);
}
static void sgd(struct aster_device *d, enum aster_dtype t, int64_t n, const struct aster_update *u,
                void *w, const void *g, void *m)
{
    (void)d;
    step(NULL, t, n, u, w, g, m, NULL);
}

/* y, n values, and x, n_x bytes of them */
static bool begin_two(struct call *c, void *y, int64_t y_bytes, const void *x, int64_t x_bytes)
{
    *c = (struct call){.n = 0};
    want(c, y, y_bytes);
    want(c, x, x_bytes);
    return begin(c);
}
static void add_into(struct aster_device *d, enum aster_dtype t, int64_t n, void *y, const void *x)
{
    struct call c;
    (void)d;
    if (!begin_two(&c, y, n * aster_dtype_size(t), x, n * aster_dtype_size(t)))
        return;
    inner->update.add_into(device, t, n, at(&c, y), at(&c, x));
    end(&c);
}
static void fill(struct aster_device *d, enum aster_dtype t, int64_t n, double value, void *y)
{
    struct call c;
    (void)d;
    if (!begin_two(&c, y, n * aster_dtype_size(t), NULL, 0))
        return;
    inner->update.fill(device, t, n, value, at(&c, y));
    end(&c);
}
static void sum_squares(struct aster_device *d, enum aster_dtype t, int64_t n, const void *x,
                        double *sum)
{
    struct call c;
    (void)d;
    if (!begin_two(&c, sum, sizeof *sum, x, n * aster_dtype_size(t)))
        return;
    inner->update.sum_squares(device, t, n, at(&c, x), at(&c, sum));
    end(&c);
}
static void ema(struct aster_device *d, enum aster_dtype t, int64_t n, double momentum, void *r,
                const void *s)
{
    struct call c;
    (void)d;
    if (!begin_two(&c, r, n * aster_dtype_size(t), s, n * aster_dtype_size(t)))
        return;
    inner->update.ema(device, t, n, momentum, at(&c, r), at(&c, s));
    end(&c);
}

static void zero(struct aster_device *d, void *p, int64_t bytes)
{
    struct call c;
    (void)d;
    if (!begin_two(&c, p, bytes, NULL, 0))
        return;
    inner->zero(device, at(&c, p), bytes);
    end(&c);
}
static void copy(struct aster_device *d, void *to, const void *from, int64_t bytes)
{
    struct call c;
    (void)d;
    if (!begin_two(&c, to, bytes, from, bytes))
        return;
    inner->copy(device, at(&c, to), at(&c, from), bytes);
    end(&c);
}

/* ---- encoding ---- */

void mirror_encode(enum aster_dtype t, bool time_major, int64_t n_samples, int64_t n_positions,
                   int64_t dim, const struct aster_encode_codes *given, void *x)
{
    struct aster_encode_codes e = *given;
    struct call c = {.n = 0};
    want(&c, e.codes, e.n_codes);
    want(&c, e.start, n_samples * (int64_t)sizeof *e.start);
    want(&c, e.lengths, n_samples * (int64_t)sizeof *e.lengths);
    want(&c, e.table, e.n_rows * dim * (int64_t)sizeof *e.table);
    want(&c, x, n_samples * n_positions * dim * aster_dtype_size(t));
    if (!begin(&c))
        return;
    e.codes = at(&c, e.codes);
    e.start = at(&c, e.start);
    e.lengths = at(&c, e.lengths);
    e.table = at(&c, e.table);
    device->op = "encoding";
    aster_k_encode_table_cuda(device, t, time_major, n_samples, n_positions, dim, &e, at(&c, x));
    end(&c);
}

/* ---- neighbours ---- */

void mirror_neighbours(const struct aster_neighbours_sizes *z, const void *input, void *list,
                       void *work)
{
    struct call c = {.n = 0};
    want(&c, input, aster_neighbours_input_bytes(z));
    want(&c, list, aster_neighbours_list_bytes(z));
    want(&c, work, aster_neighbours_work_bytes(z));
    if (!begin(&c))
        return;
    device->neighbours(device, z, at(&c, input), at(&c, list), at(&c, work));
    end(&c);
}

const struct aster_backend *mirror_backend(const struct aster_backend *of, struct aster_device *on,
                                           const struct mirror_memory *with)
{
    static const struct aster_backend table = {
        .name = "mirror",
        .op =
            {
#define ASTER_OP(name, family) [ASTER_OP_##name] = run_##name,
#include "ops.def"
#undef ASTER_OP
            },
        .update = {adam, adamw, sgd, add_into, fill, sum_squares, ema},
        .zero = zero,
        .copy = copy,
        .version = 1,
    };
    inner = of;
    device = on;
    memory = with;
    return &table;
}
