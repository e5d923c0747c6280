/* SPDX-License-Identifier: BSD-3-Clause */
/* Time per op of the three labelling models on one core, as a share of the step and a percentage of
 * the core's measured f32 peak. Usage: bench-rcl-ops [model [samples [train|eval]]] */
#include "model/model.h"
#include "peak.h"

#include <stdlib.h>
#include <string.h>

enum { REPEATS = 5 };

struct bench {
    struct aster_ctx *ctx;
    struct aster_program *p;
    struct aster_plan *plan;
    char *at[ASTER_N_CLASSES];
    double *sync;
};

static int setup(struct bench *b, const struct aster_model_config *c, int64_t n, bool train)
{
    struct aster_model_loss loss = {.class_weights = {1, 5}, .sync_bn = train};
    ASTER_TRY(aster_model_program(b->ctx, c, ASTER_F32, train ? ASTER_USE_TRAIN : ASTER_USE_EVAL,
                                  &loss, &b->p));
    struct aster_bind bind[] = {{"B", n}, {"L", c->max_length}, {"BG", n}, {"S", c->max_length}};
    ASTER_TRY(aster_plan_new(b->ctx, b->p, 4, bind, NULL, &b->plan));
    for (int k = 0; k < ASTER_N_CLASSES; k++)
        ASTER_TRY(
            aster_alloc(b->ctx, aster_plan_bytes(b->plan, (enum aster_class)k), 1, &b->at[k]));
    aster_program_init_params(b->p, 1, b->at[ASTER_CLASS_PARAM]);
    aster_program_init_buffers(b->p, (double *)b->at[ASTER_CLASS_BUFFER]);
    struct aster_tensor t;
    int64_t offset;
    ASTER_TRY(aster_plan_find(b->ctx, b->plan, ASTER_CLASS_INPUT, "x", &t, &offset));
    float *x = (float *)(b->at[ASTER_CLASS_INPUT] + offset);
    for (int64_t i = 0; i < t.dim[0] * t.dim[1]; i++) /* half of the positions are padding */
        if (i % c->max_length < c->max_length / 2 || aster_model_time_major(c->kind))
            x[i * t.dim[2] + (int64_t)(aster_uniform(1, 2, (uint64_t)i) * (double)t.dim[2])] = 1;
    ASTER_TRY(aster_plan_find(b->ctx, b->plan, ASTER_CLASS_INPUT, "labels", &t, &offset));
    for (int64_t i = 0; i < t.dim[0] * t.dim[1]; i++)
        (b->at[ASTER_CLASS_INPUT] + offset)[i] = (char)(i % 50 == 0);
    ASTER_TRY(aster_plan_find(b->ctx, b->plan, ASTER_CLASS_INPUT, "n", &t, &offset));
    *(double *)(b->at[ASTER_CLASS_INPUT] + offset) = (double)(n * c->max_length);
    return 0;
}

static void report(const struct aster_op_times *times, double peak)
{
    double total = 0, flops = 0;
    for (int k = 0; k < ASTER_N_OPS; k++) {
        total += times->seconds[k];
        flops += times->flops[k];
    }
    printf("%-16s %8s %7s %9s %7s %8s\n", "op", "ms", "share", "GFLOP/s", "% peak", "GB/s");
    for (int k = 0; k < ASTER_N_OPS; k++)
        if (times->calls[k])
            printf("%-16s %8.2f %6.1f%% %9.1f %6.1f%% %8.1f\n",
                   aster_op_name((enum aster_op_kind)k), 1e3 * times->seconds[k] / REPEATS,
                   100 * times->seconds[k] / total, 1e-9 * times->flops[k] / times->seconds[k],
                   100 * times->flops[k] / times->seconds[k] / peak,
                   1e-9 * times->bytes[k] / times->seconds[k]);
    printf("%-16s %8.2f %6.1f%% %9.1f %6.1f%%\n", "all", 1e3 * total / REPEATS, 100.0,
           1e-9 * flops / total, 100 * flops / total / peak);
}

static int one(struct aster_ctx *ctx, enum aster_model_kind kind, int64_t n, bool train)
{
    struct bench b = {.ctx = ctx};
    struct aster_model_config c;
    aster_model_defaults(kind, 20, &c);
    int rc = setup(&b, &c, n, train);
    if (rc == 0) {
        struct aster_op_times times = {0};
        struct aster_bound bound = {.run = {.seed = 1}};
        for (int k = 0; k < ASTER_N_CLASSES; k++)
            bound.at[k] = b.at[k];
        const struct aster_plan *plan = b.plan;
        const struct aster_backend *be = aster_backend_cpu(aster_isa_best());
        rc = aster_exec_all(ctx, be, 1, &plan, &bound);
        double cpu = aster_cpu_thread();
        for (int k = 0; rc == 0 && k < REPEATS; k++)
            rc = aster_exec_all(ctx, be, 1, &plan, &bound);
        cpu = (aster_cpu_thread() - cpu) / REPEATS;
        bound.times = &times;
        for (int k = 0; rc == 0 && k < REPEATS; k++)
            rc = aster_exec_all(ctx, be, 1, &plan, &bound);
        double peak = aster_bench_peak_f32();
        printf("\n%s %s, %lld samples of %lld, arena %.1f MB, %.1f ms CPU per run, peak %.1f "
               "GFLOP/s, %s\n",
               aster_model_name(kind), train ? "training" : "evaluation", (long long)n,
               (long long)c.max_length, 1e-6 * (double)aster_plan_bytes(b.plan, ASTER_CLASS_ARENA),
               1e3 * cpu, 1e-9 * peak, be->name);
        report(&times, peak);
    }
    for (int k = 0; k < ASTER_N_CLASSES; k++)
        aster_free(&b.at[k]);
    aster_plan_free(&b.plan);
    aster_program_free(&b.p);
    return rc;
}

int main(int argc, char **argv)
{
    struct aster_ctx *ctx = NULL;
    if (aster_ctx_new(&ctx) < 0)
        return 1;
    aster_kernel_thread_init();
    int64_t n = argc > 2 ? strtoll(argv[2], NULL, 10) : 4;
    int rc = 0;
    for (int kind = 0; rc == 0 && kind < ASTER_N_MODEL_KINDS; kind++)
        for (int train = 1; rc == 0 && train >= 0; train--)
            if ((argc < 2 || !strcmp(argv[1], "all") ||
                 !strcmp(argv[1], aster_model_name((enum aster_model_kind)kind))) &&
                (argc < 4 || !strcmp(argv[3], train ? "train" : "eval")))
                rc = one(ctx, (enum aster_model_kind)kind, n, train);
    if (rc < 0)
        fprintf(stderr, "bench-rcl-ops: %s\n", aster_ctx_message(ctx));
    aster_ctx_free(&ctx);
    return rc < 0;
}
