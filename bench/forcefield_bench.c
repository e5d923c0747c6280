/* SPDX-License-Identifier: BSD-3-Clause */
/* Time of a force field's energies, forces and virials over the molecules of a file. Usage:
 * bench-forcefield MODEL.h5 FILE.extxyz BATCH CORES [fast|exact [INTERVALS [REPEATS]]]: batches
 * hold the file's first BATCH molecules, and those again from the first where it has fewer; each
 * core has its share. Prints one JSON line (wall time, CPU time of the core that has most, CPU time
 * of neighbours on one core, percent of the peak by CPU time), and the time per op of all shares on
 * one core. */
#include "bench/peak.h"
#include "flow/forcefield_file.h"
#include "golden/mlff_net.h"
#include "io/structures.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_CORES = 64 };

struct share {
    struct work *w;
    int64_t n, n_atoms, cost;
    int64_t *first;
    int32_t *number;
    double *position;
    struct mlff_batch batch;
    struct mlff_run run;
    double cpu; /* seconds of its thread, of all repeats */
    int rc;
};
struct work {
    struct aster_ctx *ctx;
    struct mlff_net exact, fast, *net;
    struct aster_structure *structure;
    int64_t n_structures, batch;
    int cores, repeats;
    struct share share[MOST_CORES];
};

static int read_structures(struct work *w, const char *path)
{
    struct aster_structures *r = NULL;
    struct aster_structures_place at;
    int64_t capacity = 0;
    int rc = aster_structures_open(w->ctx, path, &r), more = 1;
    while (rc == 0 && more > 0 && w->n_structures < w->batch) {
        rc =
            aster_grow(w->ctx, w->n_structures + 1, sizeof *w->structure, &capacity, &w->structure);
        if (rc < 0)
            break;
        more = aster_structures_next(r, &w->structure[w->n_structures], &at);
        if (more < 0)
            rc = more;
        else if (more > 0 && at.fault)
            rc = aster_fail(w->ctx, ASTER_EFORMAT, "%s", at.fault);
        w->n_structures += more > 0;
    }
    aster_structures_close(&r);
    if (rc == 0 && !w->n_structures)
        return aster_fail(w->ctx, ASTER_EFORMAT, "%s: has no molecules", path);
    return rc;
}

static int add(struct share *s, const struct aster_structure *x)
{
    struct aster_ctx *ctx = s->w->ctx;
    int64_t cap_first = s->first ? s->n + 1 : 0, cap_number = s->n_atoms,
            cap_position = 3 * s->n_atoms, end = s->n_atoms + x->n;
    ASTER_TRY(aster_grow(ctx, s->n + 2, sizeof *s->first, &cap_first, &s->first));
    ASTER_TRY(aster_grow(ctx, end, sizeof *s->number, &cap_number, &s->number));
    ASTER_TRY(aster_grow(ctx, 3 * end, sizeof *s->position, &cap_position, &s->position));
    memcpy(s->number + s->n_atoms, x->number, (size_t)x->n * sizeof *s->number);
    memcpy(s->position + 3 * s->n_atoms, x->position, (size_t)(3 * x->n) * sizeof *s->position);
    s->first[s->n] = s->n_atoms;
    s->first[++s->n] = s->n_atoms = end;
    s->cost += x->n * x->n + 20 * x->n;
    return 0;
}

/* Each molecule to the share that has least so far, the largest first */
static int divide(struct work *w)
{
    bool *is_taken = NULL;
    ASTER_TRY(aster_alloc(w->ctx, w->batch, sizeof *is_taken, &is_taken));
    int rc = 0;
    for (int64_t k = 0; rc == 0 && k < w->batch; k++) {
        int64_t largest = -1;
        struct share *least = &w->share[0];
        for (int64_t j = 0; j < w->batch; j++)
            if (!is_taken[j] && (largest < 0 || w->structure[j % w->n_structures].n >
                                                    w->structure[largest % w->n_structures].n))
                largest = j;
        for (int c = 1; c < w->cores; c++)
            if (w->share[c].cost < least->cost)
                least = &w->share[c];
        is_taken[largest] = true;
        rc = add(least, &w->structure[largest % w->n_structures]);
    }
    aster_free(&is_taken);
    return rc;
}

static void *repeat(void *arg)
{
    struct share *s = arg;
    const struct aster_plan *plan = s->run.plan;
    aster_kernel_thread_init();
    s->cpu = -aster_cpu_thread();
    for (int k = 0; s->n && k < s->w->repeats && s->rc == 0; k++)
        s->rc = aster_exec_all(s->w->ctx, s->w->net->be, 1, &plan, &s->run.bound);
    s->cpu += aster_cpu_thread();
    return NULL;
}

static int all_shares(struct work *w, double *wall)
{
    pthread_t thread[MOST_CORES];
    *wall = -aster_wall();
    for (int c = 1; c < w->cores; c++)
        if (pthread_create(&thread[c], NULL, repeat, &w->share[c]) != 0)
            return aster_fail(w->ctx, ASTER_ELIMIT, "a thread could not be started");
    repeat(&w->share[0]);
    for (int c = 1; c < w->cores; c++)
        pthread_join(thread[c], NULL);
    *wall += aster_wall();
    for (int c = 0; c < w->cores; c++)
        ASTER_TRY(w->share[c].rc);
    return 0;
}

/* All shares one after another on one core */
static void print_ops(const struct work *w, const struct aster_op_times *t, double peak)
{
    double molecules = (double)w->batch * w->repeats;
    printf("%-18s %9s %9s %8s %8s\n", "op", "us/mol", "calls", "GFLOP/s", "% peak");
    for (int k = 0; k < ASTER_N_OPS; k++)
        if (t->calls[k])
            printf("%-18s %9.2f %9.1f %8.1f %8.1f\n", aster_op_name((enum aster_op_kind)k),
                   1e6 * t->seconds[k] / molecules, (double)t->calls[k] / w->repeats,
                   1e-9 * t->flops[k] / t->seconds[k], 100 * t->flops[k] / t->seconds[k] / peak);
}

static int measure(struct work *w)
{
    double flops = 0, bytes, wall, neighbours = -aster_cpu_thread();
    for (int c = 0; c < w->cores; c++) {
        struct share *s = &w->share[c];
        s->w = w;
        if (s->n)
            ASTER_TRY(mlff_batch_new(w->ctx, s->n, s->first, s->number, s->position, NULL, NULL,
                                     w->net->c.cutoff, true, &s->batch));
    }
    neighbours += aster_cpu_thread();
    int64_t atoms = 0, edges = 0;
    for (int c = 0; c < w->cores; c++) {
        struct share *s = &w->share[c];
        double one;
        if (!s->n)
            continue;
        ASTER_TRY(mlff_run(w->net, &s->batch, NULL, &s->run));
        aster_plan_cost(s->run.plan, 0, &one, &bytes);
        flops += one;
        atoms += s->batch.n_atoms;
        edges += s->batch.edges.n;
    }
    double peak = aster_bench_peak_f32(), best = 0, least = 0;
    for (int k = 0; k < 5; k++) {
        double cpu = 0;
        ASTER_TRY(all_shares(w, &wall));
        best = k == 0 || wall < best ? wall : best;
        for (int c = 0; c < w->cores; c++)
            cpu = w->share[c].cpu > cpu ? w->share[c].cpu : cpu;
        least = k == 0 || cpu < least ? cpu : least;
    }
    double us = 1e6 * best / w->repeats / (double)w->batch,
           cpu_us = 1e6 * least / w->repeats / (double)w->batch;
    printf("{\"program\": \"%s\", \"batch\": %lld, \"cores\": %d, \"atoms\": %lld, \"edges\": "
           "%lld, \"us_per_molecule\": %.2f, \"cpu_us_per_molecule\": %.2f, \"neighbours_us\": "
           "%.2f, \"mflop_per_molecule\": "
           "%.3f, \"peak_gflops\": %.1f, \"percent_of_peak\": %.1f, \"kernels\": \"%s\"}\n",
           w->net == &w->fast ? "fast" : "exact", (long long)w->batch, w->cores, (long long)atoms,
           (long long)edges, us, cpu_us, 1e6 * neighbours / (double)w->batch,
           1e-6 * flops / (double)w->batch, 1e-9 * peak,
           100 * flops / (double)w->batch / (cpu_us * 1e-6) / peak / w->cores, w->net->be->name);
    struct aster_op_times times = {0};
    for (int c = 0; c < w->cores; c++) {
        w->share[c].run.bound.times = &times;
        repeat(&w->share[c]);
        ASTER_TRY(w->share[c].rc);
    }
    print_ops(w, &times, peak);
    return 0;
}

static int run(struct work *w, int argc, char **argv)
{
    struct aster_forcefield_file file;
    const struct aster_backend *be = aster_backend_cpu(aster_isa_best());
    w->batch = strtoll(argv[3], NULL, 10);
    w->cores = (int)strtol(argv[4], NULL, 10);
    w->repeats = argc > 7 ? (int)strtol(argv[7], NULL, 10) : 50;
    if (w->batch < 1 || w->cores < 1 || w->cores > MOST_CORES || w->repeats < 1)
        return aster_fail(w->ctx, ASTER_EPARAM,
                          "batch, cores (at most %d) and repeats are expected above 0", MOST_CORES);
    for (int c = 0; c < w->cores; c++)
        w->share[c].w = w;
    ASTER_TRY(read_structures(w, argv[2]));
    ASTER_TRY(aster_forcefield_open(w->ctx, argv[1], &file));
    bool is_exact = argc > 5 && !strcmp(argv[5], "exact");
    int rc = mlff_net_start(w->ctx, be, is_exact ? ASTER_F32 : ASTER_F64, &file.c,
                            ASTER_FORCEFIELD_FORCES, NULL, NULL, &w->exact);
    if (rc == 0)
        rc = mlff_net_load(&w->exact, &file);
    aster_forcefield_close(&file);
    ASTER_TRY(rc);
    w->net = is_exact ? &w->exact : &w->fast;
    if (!is_exact)
        ASTER_TRY(mlff_net_fast(w->ctx, be, ASTER_F32, &w->exact,
                                argc > 6 ? strtoll(argv[6], NULL, 10) : 0, &w->fast));
    ASTER_TRY(divide(w));
    return measure(w);
}

int main(int argc, char **argv)
{
    static struct work w;
    if (argc < 5) {
        fprintf(stderr, "usage: bench-forcefield MODEL.h5 FILE.extxyz BATCH CORES [fast|exact "
                        "[INTERVALS [REPEATS]]]\n");
        return 1;
    }
    if (aster_ctx_new(&w.ctx) < 0)
        return 1;
    aster_kernel_thread_init();
    int rc = run(&w, argc, argv);
    if (rc < 0)
        fprintf(stderr, "bench-forcefield: %s\n", aster_ctx_message(w.ctx));
    for (int c = 0; c < w.cores && c < MOST_CORES; c++) {
        if (w.share[c].run.plan)
            mlff_run_free(&w.share[c].run);
        mlff_batch_free(w.ctx, &w.share[c].batch);
        aster_free(&w.share[c].first);
        aster_free(&w.share[c].number);
        aster_free(&w.share[c].position);
    }
    for (int64_t k = 0; k < w.n_structures; k++)
        aster_structure_free(&w.structure[k]);
    aster_free(&w.structure);
    mlff_net_free(&w.exact);
    mlff_net_free(&w.fast);
    aster_ctx_free(&w.ctx);
    return rc < 0;
}
