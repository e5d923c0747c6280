/* SPDX-License-Identifier: BSD-3-Clause */
/* Proves that lists found by tasks on a GPU, an emulated one, are those found on the host: with
 * structures that have none, with less room than is needed, with more structures than buffers. */
#include "atoms/atoms.h"
#include "cuda/emulate.h"
#include "flow/field_neighbours.h"
#include "gpu/gpu.h"
#include "unit/atoms.h"

#include <math.h>

enum { LISTS = 7, ITEMS = 5, N = LISTS * ITEMS };
#define CUTOFF 3.5

static struct aster_structure structure[N];
static struct aster_field_item item[N], *pointer[N];
static int failed[N];
static _Atomic int n_done;

static void fail(void *arg, struct aster_field_item *x, int rc, const char *reason)
{
    (void)arg;
    failed[x - item] = reason && *reason ? rc : 1;
}

static void done(void *arg)
{
    (void)arg;
    atomic_fetch_add(&n_done, 1);
}

static void make(void)
{
    for (int k = 0; k < N; k++) {
        struct dice d = {900 + (uint64_t)k, 0};
        structure[k] = random_structure(&d, k == 8 ? 120 : k % 9 * 3, 6, 0.3, k % 8, 1);
        item[k].structure = &structure[k];
        pointer[k] = &item[k];
    }
    structure[1].position[0] = NAN;
    for (int x = 0; x < 3; x++) /* no volume */
        structure[7].cell[x] = 0;
    for (int64_t i = 0; i < 3 * structure[8].n; i++) /* more edges than anybody expects */
        structure[8].position[i] = 1;
}

static void begin(struct aster_field_list *l, int k)
{
    *l = (struct aster_field_list){.cutoff = CUTOFF,
                                   .single = k % 2,
                                   .n = ITEMS,
                                   .item = pointer + k * ITEMS,
                                   .fail = fail,
                                   .done = done};
}

static bool is_right(const struct aster_field_list *l, int k)
{
    struct aster_edges e = {0};
    bool good = true;
    for (int i = k * ITEMS; i < (k + 1) * ITEMS && good; i++) {
        int64_t first = e.n;
        int rc = aster_edges_add(NULL, &e, 0, &structure[i], CUTOFF, l->single, NULL);
        good = failed[i] == rc && item[i].n_edges == e.n - first &&
               (rc < 0 || (item[i].edges == &l->edges && item[i].first_edge == first));
        if (!good)
            tap_note("structure %d: %d, not %d; %lld edges, not %lld", i, failed[i], rc,
                     (long long)item[i].n_edges, (long long)(e.n - first));
    }
    good = good && same_edges(&l->edges, &e);
    aster_edges_free(&e);
    return good;
}

/* All lists as tasks; a list that finds no room is to be found on the host. */
static int run(struct aster_runtime *rt, struct aster_field_lists *lists,
               struct aster_field_list *l, int *n_host)
{
    memset(failed, 0, sizeof failed);
    n_done = 0;
    for (int k = 0; k < LISTS; k++) {
        begin(&l[k], k);
        int rc = aster_field_lists_submit(lists, &l[k]);
        if (rc < 0)
            return rc;
        if (rc == 1) {
            ++*n_host;
            aster_field_list_find(&l[k]);
            aster_field_list_done(&l[k]);
        }
    }
    aster_runtime_wait(rt);
    return 0;
}

static void check(struct aster_runtime *rt, int64_t most_bytes, bool has_room, const char *name)
{
    struct aster_field_lists *lists = NULL;
    struct aster_field_list l[LISTS];
    int n_host = 0, right = 0;
    if (!fine(aster_field_lists_new(ctx, rt, most_bytes, &lists)) || !lists)
        exit(1);
    for (int again = 0; again < 2; again++) {
        int64_t before = aster_field_lists_again(lists);
        right = 0;
        bool good = fine(run(rt, lists, l, &n_host)) && n_done == LISTS && !gpu_error();
        for (int k = 0; k < LISTS; k++) {
            right += good && is_right(&l[k], k);
            aster_edges_free(&l[k].edges);
        }
        int64_t found_again = aster_field_lists_again(lists) - before;
        tap_ok(right == LISTS, "%s, %s: %d of %d lists%s%s", name, again ? "once more" : "first",
               right, LISTS, gpu_error() ? "; " : "", gpu_error() ? gpu_error() : "");
        tap_ok(has_room ? n_host == 0 && (again ? found_again == 0 : found_again > 0)
                        : n_host == (again + 1) * LISTS,
               "%s: %d of them for want of room on the host, %lld found again there", name, n_host,
               (long long)found_again);
    }
    aster_field_lists_free(&lists);
}

static _Atomic bool is_submitted;

/* A GPU that gives up, once all tasks are submitted: what it wrote is not taken for a list, and the
 * run is told. */
static void give_up(struct aster_device *d, const struct aster_neighbours_sizes *z,
                    const void *input, void *list, void *work)
{
    (void)input;
    (void)work;
    while (!is_submitted)
        usleep(100);
    memset(list, 0x9c, (size_t)aster_neighbours_list_bytes(z));
    aster_device_fail(d, "test", "made to fail");
}

static void check_failure(struct aster_runtime *rt)
{
    struct aster_field_lists *lists = NULL;
    struct aster_field_list l;
    gpu_device()->neighbours = give_up;
    if (!fine(aster_field_lists_new(ctx, rt, 1 << 30, &lists)))
        exit(1);
    memset(failed, 0, sizeof failed);
    n_done = 0;
    begin(&l, 0);
    int rc = aster_field_lists_submit(lists, &l);
    is_submitted = true;
    aster_runtime_wait(rt);
    tap_ok(rc == 0 && n_done == 1 && is_right(&l, 0) && aster_runtime_failed(rt) == ASTER_EDEVICE,
           "a GPU that gives up is told of, and what it wrote is no list");
    aster_edges_free(&l.edges);
    aster_ctx_clear(ctx);
    begin(&l, 0);
    rc = aster_field_lists_submit(lists, &l);
    tap_ok(rc == ASTER_EDEVICE && n_done == 1, "nothing is submitted after that");
    aster_ctx_clear(ctx);
    aster_field_lists_free(&lists);
}

int main(void)
{
    struct aster_runtime_options o = {.cpus = 1, .gpus = "none", .scheduler = "eager"};
    struct aster_runtime *rt = NULL;
    struct aster_field_lists *none = NULL;
    test_start();
    aster_log_level(ctx, ASTER_LOG_ERROR);
    make();
    if (!fine(aster_runtime_new(ctx, &o, &rt)))
        return 1;
    tap_ok(fine(aster_field_lists_new(ctx, rt, 1 << 30, &none)) && !none,
           "without a GPU there are no buffers for one");
    gpu_begin(0);
    aster_runtime_env(rt)->worker[0].device = gpu_device();
    check(rt, 1 << 30, true, "lists on a GPU");
    check(rt, 1 << 10, false, "no room for buffers");
    check_failure(rt);
    tap_ok(aster_emulate_n_kernels() > 0, "%d kernels were emulated", aster_emulate_n_kernels());
    aster_runtime_free(&rt);
    for (int k = 0; k < N; k++)
        aster_structure_free(&structure[k]);
    return test_end();
}
