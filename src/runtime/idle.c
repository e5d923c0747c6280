/* SPDX-License-Identifier: BSD-3-Clause */
/* Idle workers wait. StarPU as it is packaged asks its scheduler again and again instead, which
 * takes cores from the threads that read, submit and write. */
#include "runtime/start.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

enum { AWAKE_US = 100, MOST_NS = 2000000 }; /* so long a worker asks; so long it waits at most */

static const struct starpu_sched_policy *below; /* the policy that decides */
static struct starpu_sched_policy policy;
static bool any_takes; /* any worker takes any task */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t pushed; /* by a clock that nobody sets */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static atomic_uint_fast64_t n_pushed;
static atomic_int n_waiting;
static atomic_bool over;
static _Thread_local double idle_since; /* 0: not idle */

static void make_pushed(void)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&pushed, &attr);
    pthread_condattr_destroy(&attr);
}

/* One worker, or all where the policy has chosen who is to run it */
static void wake(void)
{
    atomic_fetch_add(&n_pushed, 1);
    if (atomic_load(&n_waiting) == 0)
        return;
    pthread_mutex_lock(&lock);
    if (any_takes)
        pthread_cond_signal(&pushed);
    else
        pthread_cond_broadcast(&pushed);
    pthread_mutex_unlock(&lock);
}

static int push(struct starpu_task *task)
{
    int rc = below->push_task(task);
    wake();
    return rc;
}

/* A task for a certain worker, whichever wakes: that one within MOST_NS. */
static void push_notify(struct starpu_task *task, int worker, int perf_worker, unsigned context)
{
    if (below->push_task_notify)
        below->push_task_notify(task, worker, perf_worker, context);
    wake();
}

/* Waits until something is pushed that was not there when n_pushed was seen. Others may look at
 * this worker meanwhile. */
static void wait_for_push(uint_fast64_t seen)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += MOST_NS;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    starpu_worker_relax_on();
    pthread_mutex_lock(&lock);
    atomic_fetch_add(&n_waiting, 1);
    if (atomic_load(&n_pushed) == seen && !atomic_load(&over))
        pthread_cond_timedwait(&pushed, &lock, &until);
    atomic_fetch_sub(&n_waiting, 1);
    pthread_mutex_unlock(&lock);
    starpu_worker_relax_off();
}

static struct starpu_task *pop(unsigned context)
{
    uint_fast64_t seen = atomic_load(&n_pushed);
    struct starpu_task *task = below->pop_task(context);
    if (task || atomic_load(&over)) {
        idle_since = 0;
        return task;
    }
    double now = aster_wall();
    if (idle_since == 0)
        idle_since = now;
    else if (now - idle_since > 1e-6 * AWAKE_US) {
        wait_for_push(seen);
        if (atomic_load(&n_pushed) != seen)
            idle_since = 0;
    }
    return NULL;
}

void idle_policy(const char *name, struct starpu_conf *conf)
{
    static const char *const known[] = {"lws", "ws",   "eager", "prio",
                                        "dm",  "dmda", "dmdas", "dmdar"};
    enum { N_SHARED = 4, N_KNOWN = sizeof known / sizeof *known };
    struct starpu_sched_policy **p = starpu_sched_get_predefined_policies();
    int k = 0;
    while (k < N_KNOWN && strcmp(known[k], name) != 0)
        k++;
    while (*p && strcmp((*p)->policy_name, name) != 0)
        p++;
    if (ASTER_SIM || k == N_KNOWN || !*p)
        return;
    any_takes = k < N_SHARED;
    pthread_once(&once, make_pushed);
    below = *p;
    policy = **p;
    policy.push_task = push;
    policy.push_task_notify = push_notify;
    policy.pop_task = pop;
    atomic_store(&over, false);
    conf->sched_policy = &policy;
    conf->sched_policy_name = NULL;
}

void idle_end(void)
{
    if (!below)
        return;
    atomic_store(&over, true);
    pthread_mutex_lock(&lock);
    pthread_cond_broadcast(&pushed);
    pthread_mutex_unlock(&lock);
}
