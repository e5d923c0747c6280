/* SPDX-License-Identifier: BSD-3-Clause */
/* Proves that the runtime starts quietly within the CPU mask, counts its tasks, refuses a task that
 * can never fit, leaves the cores alone while there are none, and frees all. */
#include "lib/tap.h"
#include "runtime/runtime.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static struct aster_runtime *rt;
static struct aster_cl_env *env;

struct seen {
    _Atomic int calls;
    int first_cpu;
    bool outside, denormals;
    double sum;
};

static void look(void *arg, const void *const *in)
{
    struct seen *s = arg;
    const double *x = in[0];
    cpu_set_t mask;
    CPU_ZERO(&mask);
    if (sched_getaffinity(0, sizeof mask, &mask) != 0 || CPU_COUNT(&mask) != 1 ||
        !CPU_ISSET(s->first_cpu, &mask))
        s->outside = true;
    s->denormals = !aster_kernel_flushes_denormals();
    s->sum += x[0];
    s->calls++;
}

static void test_mask(struct aster_ctx *ctx)
{
    cpu_set_t all, one;
    struct seen s = {0};
    struct aster_buffer *b;
    CPU_ZERO(&all);
    if (sched_getaffinity(0, sizeof all, &all) != 0)
        return;
    while (!CPU_ISSET(s.first_cpu, &all))
        s.first_cpu++;
    for (int k = s.first_cpu; k < CPU_SETSIZE;
         k++) /* the last one: StarPU would take the first by itself */
        if (CPU_ISSET(k, &all))
            s.first_cpu = k;
    CPU_ZERO(&one);
    CPU_SET(s.first_cpu, &one);
    sched_setaffinity(0, sizeof one, &one);
    int rc = aster_runtime_new(ctx, &(struct aster_runtime_options){.cpus = -1}, &rt);
    tap_ok(rc == 0 && aster_runtime_n_workers(rt) == 1, "one core in the mask, one worker");
    if (rc == 0 && aster_buffer_new(rt, 64, &b) == 0) {
        rc = aster_cl_commit(aster_runtime_env(rt),
                             &(struct aster_commit_task){.name = "look",
                                                         .n = 1,
                                                         .in = (const struct aster_buffer *[]){b},
                                                         .copy = look,
                                                         .arg = &s});
        aster_runtime_wait(rt);
        aster_buffer_free(rt, &b);
    }
    if (CPU_COUNT(&all) > 1)
        tap_ok(rc == 0 && s.calls == 1 && !s.outside, "its thread stays in the mask");
    else
        tap_skip("one core only: no mask can be smaller");
    tap_ok(!s.denormals, "denormals are flushed in the worker");
    aster_runtime_free(&rt);
    sched_setaffinity(0, sizeof all, &all);
    unsetenv("STARPU_WORKERS_NOBIND");
}

static void test_buffers(void)
{
    struct aster_buffer *x, *y, *parts[5];
    bool good = aster_buffer_new(rt, 5 * 8, &x) == 0 && aster_buffer_new(rt, 5 * 8, &y) == 0;
    double *p = aster_buffer_open(x, true), *q;
    good &= ((uintptr_t)p & 63) == 0 && p[4] == 0 && x->bytes == 64;
    for (int k = 0; k < 5; k++)
        p[k] = k + 0.5;
    aster_buffer_close(x);
    for (int k = 0; k < 3; k++)
        good &= aster_cl_add(env, ASTER_NO_HOME, ASTER_F64, 5, y, x) == 0;
    q = aster_buffer_open(y, false);
    good &= q[0] == 1.5 && q[4] == 13.5;
    aster_buffer_close(y);
    tap_ok(good, "three sums in order");
    for (int n = 1; n <= 5; n++) { /* 2^53 swallows a 1 alone but not a 2: the order shows */
        const double values[5] = {9007199254740992.0, 1, 1, 1, 1};
        double want[5], host[5];
        memcpy(want, values, sizeof want);
        memcpy(host, values, sizeof host);
        for (int k = 0; k < n; k++) {
            good &= aster_buffer_new(rt, 8, &parts[k]) == 0;
            *(double *)aster_buffer_open(parts[k], true) = values[k];
            aster_buffer_close(parts[k]);
        }
        good &= n % 2 ? aster_cl_sum(env, ASTER_NO_HOME, ASTER_F64, 1, n,
                                     (const struct aster_buffer *const *)parts) == 0
                      : aster_cl_add_tree(env, ASTER_F64, 1, n,
                                          (const struct aster_buffer *const *)parts) == 0;
        double tree = n == 1   ? want[0]
                      : n == 2 ? want[0] + want[1]
                      : n == 3 ? (want[0] + want[1]) + want[2]
                      : n == 4 ? (want[0] + want[1]) + (want[2] + want[3])
                               : ((want[0] + want[1]) + (want[2] + want[3])) + want[4];
        good &= *(double *)aster_buffer_open(parts[0], false) == tree &&
                aster_tree_sum(n, host) == tree;
        aster_buffer_close(parts[0]);
        for (int k = 0; k < n; k++)
            aster_buffer_free(rt, &parts[k]);
    }
    tap_ok(good, "the tree of sums over 1 to 5 parts, as one task, as tasks, on the host");
    for (int k = 0; k < 3; k++) {
        good &= aster_buffer_new_pieces(rt, 21 * 8, 64, ASTER_WHOLE_NOWHERE, &parts[k]) == 0;
        double *to = aster_buffer_open(parts[k], true);
        for (int i = 0; i < 21; i++)
            to[i] = (k + 1) * (i + 0.5);
        aster_buffer_close(parts[k]);
    }
    good &=
        aster_cl_add_tree(env, ASTER_F64, 21, 3, (const struct aster_buffer *const *)parts) == 0;
    q = aster_buffer_open(parts[0], false);
    for (int i = 0; i < 21; i++)
        good &= q[i] == 6 * (i + 0.5);
    aster_buffer_close(parts[0]);
    tap_ok(good && parts[0]->n_pieces == 3,
           "the tree over buffers in three pieces, the last short");
    for (int k = 0; k < 3; k++)
        aster_buffer_free(rt, &parts[k]);
    aster_buffer_free(rt, &x);
    aster_buffer_free(rt, &y);
}

static void test_too_large(struct aster_ctx *ctx)
{
    struct aster_buffer *small, *large;
    struct seen s = {0};
    bool good = aster_buffer_new(rt, 64, &small) == 0 && aster_buffer_new(rt, 2 << 20, &large) == 0;
    int rc = aster_cl_add(env, ASTER_NO_HOME, ASTER_F64, 8, large, small);
    tap_ok(good && rc == ASTER_EDEVICE && strstr(aster_ctx_message(ctx), "memory limit is 1048576"),
           "a task beyond the limit is refused: %s", aster_ctx_message(ctx));
    aster_ctx_clear(ctx);
    *(double *)aster_buffer_open(small, true) = 2;
    aster_buffer_close(small);
    rc = aster_cl_commit(env,
                         &(struct aster_commit_task){.name = "look",
                                                     .n = 1,
                                                     .in = (const struct aster_buffer *[]){small},
                                                     .copy = look,
                                                     .arg = &s});
    aster_runtime_wait(rt);
    tap_ok(rc == 0 && s.sum == 2, "and others run on");
    aster_buffer_free(rt, &small);
    aster_buffer_free(rt, &large);
}

static void test_counters(int workers)
{
    const struct aster_task_record *r;
    struct aster_worker_info w;
    int64_t tasks = 0, n = aster_runtime_records(rt, &r);
    bool good = n > 0;
    for (int k = 0; k < workers; k++) {
        aster_runtime_sample(rt, k, &w);
        tasks += w.tasks;
        good &= w.busy >= 0 && w.busy <= 1 && w.seconds_busy >= 0 && w.memory_used == 0 &&
                w.memory_total == 1 << 20;
        good &= !strncmp(w.name, "cpu ", 4);
    }
    for (int64_t k = 0; k < n; k++)
        good &= r[k].worker >= 0 && r[k].worker < workers && r[k].start >= 0 &&
                r[k].end >= r[k].start && r[k].codelet != NULL;
    tap_ok(good && tasks == n, "%lld tasks counted, %lld recorded", (long long)tasks, (long long)n);
}

static void test_refusals(struct aster_ctx *ctx)
{
    static const struct {
        struct aster_runtime_options o;
        const char *words;
    } cases[] = {
        {{.cpus = 0}, "cpus=0: no worker is left"},
        {{.cpus = 100000}, "cpus=100000: this StarPU was built for at most"},
        {{.cpus = 1, .gpus = "0,0"}, "gpus=0,0: "}, /* why depends on the build and the machine; a
                                                       GPU named twice is wrong on all */
        {{.cpus = 1, .scheduler = "dmdass"}, "nearest: dmdas"},
        {{.cpus = 1, .isa = "sse9"}, "isa=sse9: expected auto"},
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        int rc = aster_runtime_new(ctx, &cases[k].o, &rt);
        tap_ok(rc == ASTER_EPARAM && strstr(aster_ctx_message(ctx), cases[k].words), "%s",
               aster_ctx_message(ctx));
        aster_ctx_clear(ctx);
        aster_runtime_free(&rt);
    }
}

/* On an otherwise idle machine, workers that ask all the time would use all of it. */
static void test_idle(void)
{
    usleep(20000); /* they look about for a moment first */
    double cpu = aster_cpu_process();
    usleep(200000);
    cpu = aster_cpu_process() - cpu;
    tap_ok(cpu < 0.05, "without tasks for 0.2 s, %.4f s of CPU", cpu);
}

/* Everything that is written to stderr from now on, in memory. */
static int catch_stderr(int *old)
{
    int fd = memfd_create("stderr", 0);
    *old = dup(2);
    dup2(fd, 2);
    return fd;
}

int main(void)
{
    struct aster_ctx *ctx;
    int old;
    if (aster_ctx_new(&ctx) < 0)
        return 1;
    aster_log_level(ctx, ASTER_LOG_ERROR);
    test_refusals(ctx);
    int fd = catch_stderr(&old);
    test_mask(ctx);
    int workers = sysconf(_SC_NPROCESSORS_ONLN) > 1 ? 2 : 1;
    int rc = aster_runtime_new(
        ctx,
        &(struct aster_runtime_options){
            .cpus = workers, .gpus = "none", .memory_limit = 1 << 20, .profile = true},
        &rt);
    tap_ok(rc == 0, "a second runtime in the same process%s", aster_ctx_message(ctx));
    if (rc < 0)
        return tap_done();
    env = aster_runtime_env(rt);
    tap_ok(!strcmp(aster_runtime_scheduler(rt), "lws") &&
               aster_runtime_memory_limit(rt) == 1 << 20 &&
               aster_runtime_backend(rt) == aster_backend_cpu(aster_isa_best()) &&
               aster_runtime_starpu_version(rt)[0] == '1',
           "what it says about itself");
    test_idle();
    test_buffers();
    test_too_large(ctx);
    test_counters(workers);
    aster_runtime_free(&rt);
    dup2(old, 2);
    close(old);
    tap_ok(lseek(fd, 0, SEEK_END) == 0, "nothing was written to stderr");
    close(fd);
    aster_ctx_free(&ctx);
    tap_ok(aster_live_allocations() == 0, "%lld allocations are left",
           (long long)aster_live_allocations());
    return tap_done();
}
