/* SPDX-License-Identifier: BSD-3-Clause */
/* Start and end of StarPU, and what the layers above ask about it. */
#include "runtime/start.h"
#include "runtime/gpus.h"
#include "runtime/machine.h"
#include "runtime/sim.h"

#include <malloc.h>
#include <string.h>

#define MAX_RECORDS 200000

/* ---- what is asked for ---- */

struct chosen {
    struct aster_machine machine;
    int cpus, n_gpus, gpu[ASTER_MAX_GPUS];
    int64_t gpu_memory[ASTER_MAX_GPUS]; /* 0: all of it */
    enum aster_isa isa;
};

/* A simulated machine instead of this one; without one, the simulating program has nothing to run
 * on. */
static int check_simulate(struct aster_ctx *ctx, const struct aster_runtime_options *o,
                          struct aster_machine *m)
{
    if (ASTER_SIM && !o->simulate)
        return aster_fail(ctx, ASTER_EPARAM,
                          "this is the simulating program: it runs no pipeline; asterism scale "
                          "--simulate MACHINE.yaml uses it");
    if (!ASTER_SIM && o->simulate)
        return aster_fail(ctx, ASTER_EPARAM,
                          "this program runs on this machine; simulated ones need asterism-sim");
    if (!o->simulate)
        return 0;
    const struct aster_sim_machine *s = o->simulate->machine;
    int drivers = o->simulate->gpus; /* each takes a core */
    if (o->simulate->gpus > s->n_gpus)
        return aster_fail(ctx, ASTER_EPARAM, "%d GPUs: %s has %d", o->simulate->gpus, s->name,
                          s->n_gpus);
    m->machine_cores = s->cores;
    m->cores = s->cores - drivers;
    m->masked = false;
    if (m->cores < 1)
        return aster_fail(ctx, ASTER_EPARAM,
                          "%s has %d cores and %d GPUs in use: no core is left for a CPU worker",
                          s->name, s->cores, drivers);
    return 0;
}

static int choose_cpus(struct aster_ctx *ctx, const struct aster_runtime_options *o,
                       const struct aster_machine *m, int *cpus)
{
    *cpus = o->cpus;
    if (o->cpus < 0) {
        *cpus = (int)aster_min64(m->cores, STARPU_MAXCPUS);
    }
    if (*cpus == 0)
        return aster_fail(ctx, ASTER_EPARAM,
                          "cpus=0: no worker is left that reads, encodes and writes");
    if (*cpus > STARPU_MAXCPUS)
        return aster_fail(ctx, ASTER_EPARAM,
                          "cpus=%d: this StarPU was built for at most %d CPU workers; ask for "
                          "fewer, or configure StarPU with --enable-maxcpus=%d",
                          *cpus, STARPU_MAXCPUS, *cpus);
    if (*cpus > m->machine_cores)
        return aster_fail(ctx, ASTER_EPARAM, "cpus=%d: this machine has %d cores", *cpus,
                          m->machine_cores);
    return 0;
}

/* The GPUs to use; each takes a core, and at least one stays for a CPU worker, which encodes and
 * commits. */
static int choose_gpus(struct aster_ctx *ctx, const struct aster_runtime_options *o,
                       struct chosen *c)
{
    struct aster_gpus g;
    if (o->simulate) {
        c->n_gpus = o->simulate->gpus;
        return 0;
    }
    aster_gpus_look(&g);
    ASTER_TRY(aster_gpus_choose(ctx, &g, o->gpus, &c->n_gpus, c->gpu));
    ASTER_TRY(aster_gpus_memory(ctx, o->gpu_memory, c->n_gpus, c->gpu, c->gpu_memory));
    if (c->n_gpus > STARPU_MAXCUDADEVS)
        return aster_fail(ctx, ASTER_EPARAM,
                          "%d GPUs: this StarPU was built for at most %d; name fewer with gpus, or "
                          "build one with scripts/build-starpu",
                          c->n_gpus, STARPU_MAXCUDADEVS);
    c->machine.cores = (int)aster_max64(1, c->machine.cores - c->n_gpus);
    return 0;
}

static int check_scheduler(struct aster_ctx *ctx, const char *name)
{
    struct starpu_sched_policy **p = starpu_sched_get_predefined_policies();
    const char *names[64];
    int n = 0;
    for (; p[n] && n < 64; n++) {
        names[n] = p[n]->policy_name;
        if (!strcmp(names[n], name))
            return 0;
    }
    const char *near = aster_nearest(name, names, n);
    return aster_fail(ctx, ASTER_EPARAM, "scheduler=%s: this StarPU has no such policy; %s%s", name,
                      near ? "nearest: " : "",
                      near ? near : "eager, lws, dmda and dmdas are common ones");
}

/* StarPU reads how much of each GPU it may take from the environment, in MB. The variable without a
 * number, which would win over those with one, goes over to the GPUs that have no limit of ours. */
static int limit_gpus(struct aster_ctx *ctx, const struct chosen *c)
{
    static const char all[] = "STARPU_LIMIT_CUDA_MEM";
    const char *given = getenv(all);
    bool any = false;
    int failed = 0;
    for (int k = 0; k < c->n_gpus; k++)
        any |= c->gpu_memory[k] > 0;
    for (int k = 0; any && k < c->n_gpus; k++) {
        char name[48], value[24];
        snprintf(name, sizeof name, "STARPU_LIMIT_CUDA_%d_MEM", c->gpu[k]);
        snprintf(value, sizeof value, "%lld", (long long)(c->gpu_memory[k] >> 20));
        if (c->gpu_memory[k])
            failed |= setenv(name, value, 1);
        else if (given)
            failed |= setenv(name, given, 0);
    }
    if (any)
        failed |= unsetenv(all);
    return failed ? aster_fail(ctx, ASTER_ENOMEM, "no memory for StarPU's environment") : 0;
}

static int start(struct aster_runtime *rt, const struct chosen *c)
{
    struct starpu_conf conf;
    if (starpu_is_initialized())
        return aster_fail(rt->env.ctx, ASTER_EPARAM,
                          "this process runs a job or has a calculator open already; one at a "
                          "time is possible");
    if (starpu_conf_init(&conf) != 0)
        return aster_fail(rt->env.ctx, ASTER_EDEVICE,
                          "StarPU: the library and its header are of different versions");
    conf.precedence_over_environment_variables = 1;
    conf.sched_policy_name = rt->scheduler;
    if (c->n_gpus == 0)
        idle_policy(rt->scheduler, &conf);
    conf.ncpus = c->cpus;
    conf.ncuda = c->n_gpus;
    if (!rt->simulate && c->n_gpus > 0) {
        conf.use_explicit_workers_cuda_gpuid = 1;
        for (int k = 0; k < c->n_gpus; k++)
            conf.workers_cuda_gpuid[k] = (unsigned)c->gpu[k];
        ASTER_TRY(limit_gpus(rt->env.ctx, c));
    }
    conf.nopencl = 0;
    conf.catch_signals = 0;
    starpu_malloc_set_align(64);
    int rc = starpu_init(&conf);
    if (rc != 0)
        return aster_fail(rt->env.ctx, ASTER_EDEVICE, "StarPU cannot start: %s", strerror(-rc));
    rt->started = true;
    int n = (int)starpu_cpu_worker_get_count(), gpus = (int)starpu_cuda_worker_get_count();
    if (n != c->cpus || gpus != c->n_gpus)
        return aster_fail(rt->env.ctx, ASTER_EDEVICE,
                          "StarPU started %d CPU workers and %d GPUs; %d and %d were asked for", n,
                          gpus, c->cpus, c->n_gpus);
    return 0;
}

/* The GPUs that shards are dealt to: their arenas and inputs are large, and a scheduler that looks
 * at one task at a time keeps short tasks where the first one was. */
static int make_homes(struct aster_runtime *rt, bool free_placement)
{
    int n = (int)starpu_worker_get_count_by_type(STARPU_CUDA_WORKER);
    if (n <= 0 || free_placement)
        return 0;
    ASTER_TRY(aster_alloc(rt->env.ctx, n, sizeof *rt->env.home, &rt->env.home));
    rt->env.n_homes =
        (int)starpu_worker_get_ids_by_type(STARPU_CUDA_WORKER, rt->env.home, (unsigned)n);
    return 0;
}

#define LEAST_BY_PIECES (1 << 22) /* bytes */
#define COPY_START_US   8.0       /* to begin a copy between GPUs, about */

/* Bytes from which n GPUs are sooner done by pieces than by the tree. By pieces each begins 2 (n -
 * 1) copies and moves 2 (1 - 1 / n) of the gradient's bytes. By the tree whole gradients follow
 * each other, log2 n of them and at least two: the parameters come back by many ways, while the
 * first GPUs compute. */
static double pieces_pay_from(int n, double bytes_per_us)
{
    int levels = 2;
    while (1 << levels < n)
        levels++;
    return bytes_per_us * COPY_START_US * (2 * (n - 1) - levels) / (levels - 2 + 2.0 / n);
}

/* Gradients by pieces: none with one GPU or with cores, which share their memory. */
static void choose_reduction(struct aster_runtime *rt, const char *reduction)
{
    struct aster_cl_env *env = &rt->env;
    env->pieces_from = INT64_MAX;
    if (reduction && *reduction) {
        env->pieces_from = strcmp(reduction, "pieces") ? INT64_MAX : 0;
    } else if (env->n_homes > 1) {
        double bytes = pieces_pay_from(
            env->n_homes,
            starpu_transfer_bandwidth(starpu_worker_get_memory_node((unsigned)env->home[0]),
                                      starpu_worker_get_memory_node((unsigned)env->home[1])));
        env->pieces_from =
            bytes > LEAST_BY_PIECES && bytes < 1e12 ? (int64_t)bytes : LEAST_BY_PIECES;
    }
}

static void init_thread(void *arg)
{
    (void)arg;
    aster_kernel_thread_init();
}

static int make_env(struct aster_runtime *rt, const struct aster_runtime_options *o,
                    const struct chosen *c)
{
    struct aster_cl_env *env = &rt->env;
    env->n_gpus = c->n_gpus;
    env->n_workers = c->cpus + c->n_gpus;
    if (!rt->simulate)
        env->core = (struct aster_device_model){
            .flops_f32 = 4e10, .flops_f64 = 2e10, .bandwidth = 5e9, .launch = 2e-6}; /* careful */
    env->memory_limit = o->memory_limit > 0 ? o->memory_limit
                        : rt->simulate      ? (int64_t)(0.8 * rt->simulate->machine->host_memory)
                                            : c->machine.free_memory / 10 * 8;
    ASTER_TRY(aster_alloc(env->ctx, env->n_workers, sizeof *env->worker, &env->worker));
    ASTER_TRY(aster_alloc(env->ctx, env->n_workers, sizeof *rt->sampled, &rt->sampled));
    ASTER_TRY(aster_alloc(env->ctx, ASTER_CL_MEASURED, sizeof *env->measured, &env->measured));
    if (c->n_gpus > 0)
        ASTER_TRY(aster_alloc(env->ctx, ASTER_CL_MEASURED, sizeof *env->measured_gpu,
                              &env->measured_gpu));
    if (o->profile) {
        env->max_records = MAX_RECORDS;
        ASTER_TRY(aster_alloc(env->ctx, MAX_RECORDS, sizeof *env->record, &env->record));
    }
    env->start = ASTER_SIM ? 0 : aster_wall();
    for (int k = 0; k < env->n_workers; k++)
        rt->sampled[k].at = env->start;
    return 0;
}

static void simulate(struct aster_runtime *rt, const struct aster_sim_setup *s)
{
    struct aster_cl_env *env = &rt->env;
    const struct aster_sim_machine *m = s->machine;
    rt->simulate = s;
    env->core = m->core;
    env->gpu = m->gpu;
    env->gpu_memory =
        (int64_t)(0.8 * m->gpu_memory); /* as much as StarPU can be sure to make room for */
}

static const char *scheduler_of(const struct aster_runtime_options *o, const struct chosen *c)
{
    if (o->scheduler && *o->scheduler)
        return o->scheduler;
    return c->n_gpus > 0 ? ASTER_GPU_SCHEDULER : ASTER_DEFAULT_SCHEDULER;
}

/* Programs read pieces as one vector only where these lie behind each other: on homes. */
static int check_reduction(struct aster_ctx *ctx, const struct aster_runtime_options *o, int n_gpus)
{
    const char *name = o->reduction;
    if (!name || !*name || !strcmp(name, "tree"))
        return 0;
    if (strcmp(name, "pieces") != 0)
        return aster_fail(ctx, ASTER_EPARAM, "reduction=%s: expected tree or pieces", name);
    if (o->free_placement && n_gpus > 0)
        return aster_fail(ctx, ASTER_EPARAM,
                          "reduction=pieces needs shards that are dealt to the GPUs: it does not go "
                          "with free placement");
    return 0;
}

/* Whether the machine and this StarPU have what is asked for. */
static int choose(struct aster_ctx *ctx, const struct aster_runtime_options *o, struct chosen *c)
{
    *c = (struct chosen){.cpus = 0};
    ASTER_TRY(aster_machine_look(ctx, &c->machine));
    ASTER_TRY(check_simulate(ctx, o, &c->machine));
    ASTER_TRY(choose_gpus(ctx, o, c));
    ASTER_TRY(choose_cpus(ctx, o, &c->machine, &c->cpus));
    ASTER_TRY(aster_isa_find(ctx, o->isa && *o->isa ? o->isa : "auto", &c->isa));
    ASTER_TRY(check_reduction(ctx, o, c->n_gpus));
    return check_scheduler(ctx, scheduler_of(o, c));
}

int aster_runtime_check(struct aster_ctx *ctx, const struct aster_runtime_options *o)
{
    struct chosen c;
    return choose(ctx, o, &c);
}

/* Each worker's kernels and name, in the order StarPU numbers them. */
static void name_workers(struct aster_runtime *rt)
{
    int n[2] = {0};
    for (int k = 0; k < rt->env.n_workers; k++) {
        struct aster_cl_worker *w = &rt->env.worker[k];
        bool gpu = starpu_worker_get_type(k) == STARPU_CUDA_WORKER;
        w->backend = rt->env.cpu; /* gpu_workers_start gives a GPU its own */
        snprintf(w->name, sizeof w->name, "%s %d", gpu ? "gpu" : "cpu",
                 gpu ? starpu_worker_get_devid(k) : n[0]++);
    }
}

static int start_workers(struct aster_runtime *rt)
{
    name_workers(rt);
    if (ASTER_SIM || rt->env.n_gpus > 0)
        starpu_profiling_status_set(STARPU_PROFILING_ENABLE);
    if (ASTER_SIM)
        return 0;
    starpu_execute_on_each_worker(init_thread, NULL, STARPU_CPU);
    return rt->env.n_gpus > 0 ? gpu_workers_start(rt) : 0;
}

int aster_runtime_new(struct aster_ctx *ctx, const struct aster_runtime_options *o,
                      struct aster_runtime **out)
{
    struct aster_runtime *rt;
    struct chosen c;
    int rc;
    *out = NULL;
    ASTER_TRY(aster_alloc(ctx, 1, sizeof *rt, &rt));
    rt->env.ctx = ctx;
    ASTER_GOTO(choose(ctx, o, &c), fail);
    rt->isa = c.isa;
    if (o->cpus < 0 && c.cpus < c.machine.cores)
        aster_log(ctx, ASTER_LOG_WARN,
                  "%d of %d cores are used: this StarPU was built for at most %d CPU workers "
                  "(configure StarPU with --enable-maxcpus)",
                  c.cpus, c.machine.cores, STARPU_MAXCPUS);
    ASTER_GOTO(aster_machine_set_environment(ctx, !c.machine.masked && c.cpus == c.machine.cores),
               fail);
    ASTER_GOTO(aster_strdup(ctx, scheduler_of(o, &c), &rt->scheduler_name), fail);
    rt->scheduler = rt->scheduler_name;
    rt->env.cpu = aster_backend_cpu(rt->isa);
    if (o->simulate)
        simulate(rt, o->simulate);
    ASTER_GOTO(make_env(rt, o, &c), fail);
    /* blocks above 1 MiB are mappings of their own and go back when freed; below, the heap is kept
     */
    mallopt(M_MMAP_THRESHOLD, 1 << 20);
    mallopt(M_TRIM_THRESHOLD, 64 << 20);
    ASTER_GOTO(start(rt, &c), fail);
    ASTER_GOTO(start_workers(rt), fail);
    ASTER_GOTO(make_homes(rt, o->free_placement), fail);
    choose_reduction(rt, o->reduction);
    int v[3];
    starpu_get_version(&v[0], &v[1], &v[2]);
    snprintf(rt->version, sizeof rt->version, "%d.%d.%d", v[0], v[1], v[2]);
    aster_log(ctx, ASTER_LOG_DEBUG,
              "StarPU %s, %s, %d CPU workers, %d GPUs, %s kernels, memory limit %.2f GB",
              rt->version, rt->scheduler, c.cpus, c.n_gpus, aster_isa_name(rt->isa),
              (double)rt->env.memory_limit / 1e9);
    *out = rt;
    return 0;
fail:
    aster_runtime_free(&rt);
    return rc;
}

void aster_runtime_free(struct aster_runtime **rtp)
{
    struct aster_runtime *rt = *rtp;
    if (!rt)
        return;
    if (rt->started) {
        starpu_task_wait_for_all();
        gpu_workers_stop(rt);
        idle_end();
        starpu_shutdown();
    }
    for (int k = 0; rt->env.worker && k < rt->env.n_workers; k++)
        aster_free(&rt->env.worker[k].scratch);
    aster_free(&rt->env.worker);
    aster_free(&rt->env.home);
    aster_free(&rt->env.measured);
    aster_free(&rt->env.measured_gpu);
    aster_free(&rt->env.record);
    aster_free(&rt->sampled);
    aster_free(&rt->scheduler_name);
    aster_free(rtp);
}

const struct aster_backend *aster_runtime_backend(const struct aster_runtime *rt)
{
    return rt->env.cpu;
}

enum aster_isa aster_runtime_isa(const struct aster_runtime *rt)
{
    return rt->isa;
}

const char *aster_runtime_scheduler(const struct aster_runtime *rt)
{
    return rt->scheduler;
}

const char *aster_runtime_starpu_version(const struct aster_runtime *rt)
{
    return rt->version;
}

int64_t aster_runtime_memory_limit(const struct aster_runtime *rt)
{
    return rt->env.memory_limit;
}

int aster_runtime_failed(const struct aster_runtime *rt)
{
    int rc = atomic_load(&rt->env.failed);
    return rc < 0 ? aster_fail(rt->env.ctx, rc, "%s", rt->env.failure) : 0;
}

int aster_runtime_n_workers(const struct aster_runtime *rt)
{
    return rt->env.n_workers;
}

double aster_runtime_now(const struct aster_runtime *rt)
{
    (void)rt;
    return ASTER_SIM ? 1e-6 * starpu_timing_now() : aster_wall();
}

bool aster_runtime_simulates(void)
{
    return ASTER_SIM;
}

struct aster_cl_env *aster_runtime_env(struct aster_runtime *rt)
{
    return &rt->env;
}

void aster_runtime_wait(struct aster_runtime *rt)
{
    (void)rt;
    starpu_task_wait_for_all();
}
