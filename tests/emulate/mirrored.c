/* SPDX-License-Identifier: BSD-3-Clause */
/* Proves, with emulated kernels, that the copies which tests on a card work on change no result and
 * that what a kernel does beside them is seen. */
#include "atoms/atoms.h"
#include "cuda/emulate.h"
#include "gpu/gpu.h"
#include "gpu/mirror.h"
#include "kernel/kt_inner.h"
#include "lib/tap.h"
#include "unit/update_check.h"

#include <stdlib.h>
#include <string.h>

static bool is_full;

static void *reserve(int64_t bytes)
{
    return is_full ? NULL : aligned_alloc(256, (size_t)aster_round_up(bytes, 256));
}
static void move(void *to, const void *from, int64_t bytes)
{
    memcpy(to, from, (size_t)bytes);
}
static const struct mirror_memory host = {reserve, free, move, move};

static struct kt_target target;
int kt_n_targets(void)
{
    return 1;
}
const struct kt_target *kt_target(int k)
{
    (void)k;
    return &target;
}

static void begin(int number)
{
    gpu_begin(number);
    mirror_forget();
}
static const char *caught(void)
{
    return mirror_error() ? mirror_error() : gpu_error();
}

/* Writes one element more than there is. */
static void too_far(const struct aster_args *a)
{
    const float *x = a->in[0].p;
    float *y = a->out[0].p;
    for (int64_t k = 0; k <= a->out[0].dim[0]; k++)
        y[k] = k < a->out[0].dim[0] ? x[k] : 1;
}
static void as_it_should(const struct aster_args *a)
{
    memmove(a->out[0].p, a->in[0].p, (size_t)a->out[0].dim[0] * sizeof(float));
}

static void check_bands(void)
{
    struct aster_backend bad = aster_backend_cuda;
    float x[5] = {1, 2, 3, 4, 5}, y[6] = {0, 0, 0, 0, 0, 7};
    struct aster_args a = {
        .n_in = 1, .n_out = 1, .in = {{x, ASTER_F32, 1, {5}}}, .out = {{y, ASTER_F32, 1, {5}}}};
    bad.op[ASTER_OP_cast] = as_it_should;
    bad.op[ASTER_OP_reshape] = too_far;
    const struct aster_backend *be = mirror_backend(&bad, gpu_device(), &host);
    begin(0);
    be->op[ASTER_OP_cast](&a);
    tap_ok(!mirror_error() && !memcmp(x, y, sizeof x) && y[5] == 7,
           "results come back, and nothing else");
    be->op[ASTER_OP_reshape](&a);
    tap_ok(mirror_error() && strstr(mirror_error(), "beside"), "a write behind an output is seen");
    tap_ok(y[5] == 7, "and does not reach the host's memory");
    mirror_forget();
    is_full = true;
    be->op[ASTER_OP_cast](&a);
    is_full = false;
    tap_ok(mirror_error() != NULL, "memory that is short is seen");
    mirror_forget();
    a.out[0].p = x + 2; /* over part of its input */
    a.out[0].dim[0] = a.in[0].dim[0] = 3;
    be->op[ASTER_OP_cast](&a);
    tap_ok(!mirror_error() && x[1] == 2 && x[2] == 1 && x[3] == 2, "an output may lie on an input");
}

static void check_encoding(void)
{
    static const uint8_t codes[] = {0, 1, 2, 2, 1};
    static const int64_t start[] = {0, 3}, lengths[] = {3, 2};
    static const double table[] = {1, 2, 3, 4, 5, 6};
    const struct aster_encode_codes c = {codes, start, lengths, 5, table, 3};
    float a[2 * 4 * 2], b[2 * 4 * 2];
    memset(a, 0xff, sizeof a);
    memset(b, 0xff, sizeof b);
    gpu_encode(ASTER_F32, false, 2, 4, 2, &c, a);
    mirror_encode(ASTER_F32, false, 2, 4, 2, &c, b);
    tap_ok(!caught() && !memcmp(a, b, sizeof a) && b[5] == 6, "encoding on copies");
}

/* Three atoms in a row, one of them out of reach of the first */
static void check_neighbours(void)
{
    enum { EDGES = 4 };
    const struct aster_neighbours_sizes z = {
        .n_boxes = 1, .n_atoms = 3, .capacity = EDGES, .cutoff = 1.5, .most_pairs = 9};
    static _Alignas(64) char input[1024], work[1024], list[2][256];
    double position[] = {0, 0, 0, 1, 0, 0, 2, 0, 0};
    struct aster_structure s = {.n = 3, .position = position};
    const struct aster_neighbours_input in = aster_neighbours_input_at(&z, input);
    const struct aster_neighbours_list l = aster_neighbours_list_at(&z, list[1]);
    bool good = aster_neighbours_input_bytes(&z) <= (int64_t)sizeof input &&
                aster_neighbours_work_bytes(&z) <= (int64_t)sizeof work &&
                aster_neighbours_list_bytes(&z) <= (int64_t)sizeof list[0] &&
                aster_box_make(NULL, &s, z.cutoff, z.single, 0, in.box) == 0;
    memcpy(in.position, position, sizeof position);
    memset(list, 0xff, sizeof list);
    gpu_neighbours(&z, input, list[0], work);
    mirror_neighbours(&z, input, list[1], work);
    tap_ok(good && !caught() && !memcmp(list[0], list[1], sizeof list[0]) && l.first[1] == EDGES &&
               l.src[1] == 0 && l.src[2] == 2 && l.reverse[3] == 2,
           "neighbours on copies");
}

int main(void)
{
    static char *ops[] = {"kernel-mirror", "binary", "gather", "xent", "layernorm", "conv1d_dx"};
    target = (struct kt_target){.be = mirror_backend(&aster_backend_cuda, gpu_device(), &host),
                                .name = "mirrored",
                                .device = gpu_device(),
                                .n_alone = 1,
                                .is_slow = true,
                                .begin = begin,
                                .caught = caught};
    kt_run_ops(sizeof ops / sizeof *ops, ops);
    update_check(target.be, gpu_device());
    check_encoding();
    check_neighbours();
    check_bands();
    return tap_done();
}
