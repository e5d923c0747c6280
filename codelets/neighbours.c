/* SPDX-License-Identifier: BSD-3-Clause */
/* The codelet that finds the neighbours of many structures. */
#include "neighbours.h"

#include "cuda/device.h"
#include "task.h"

struct neighbours_arg {
    struct aster_task task;
    struct aster_neighbours_sizes sizes;
};

/* Looks at a pair, and at so many for each edge that is found: for expected times */
enum { FLOPS_PER_LOOK = 20, LOOKS_PER_EDGE = 8 };

static void neighbours_run(void *buffers[], void *cl_arg)
{
    struct neighbours_arg *a = cl_arg;
    const void *input = aster_task_pointer(buffers[0]);
    void *list = aster_task_pointer(buffers[1]);
    aster_task_begin(&a->task);
    struct aster_device *device = aster_task_device(&a->task);
    if (device)
        device->neighbours(device, &a->sizes, input, list, aster_task_pointer(buffers[2]));
    else
        aster_k_neighbours_cpu(&a->sizes, input, list);
    aster_task_end(&a->task);
}

static struct starpu_perfmodel neighbours_model = ASTER_PERFMODEL("aster_neighbours");
static struct starpu_codelet neighbours_codelet = {
    .name = "neighbours",
    .cpu_funcs = {neighbours_run},
    .cpu_funcs_name = {"neighbours_run"},
    ASTER_CUDA_FUNCTION(neighbours_run).nbuffers = STARPU_VARIABLE_NBUFFERS,
    .model = &neighbours_model,
    .can_execute = aster_task_can_execute,
};

int aster_cl_neighbours(struct aster_cl_env *env, const struct aster_neighbours_task *t)
{
    struct neighbours_arg a = {.task = {.env = env, .name = t->name}, .sizes = *t->sizes};
    const struct aster_neighbours_sizes *z = t->sizes;
    int64_t key[] = {3, z->n_boxes, z->n_atoms, z->capacity, z->single};
    a.task.footprint = aster_fnv1a64(key, sizeof key);
    a.task.flops = (double)z->capacity * LOOKS_PER_EDGE * FLOPS_PER_LOOK;
    a.task.bytes = (double)(t->input->bytes + t->list->bytes + t->work->bytes);
    struct starpu_task *task = aster_task_new(&neighbours_codelet, &a, sizeof a, 3);
    if (!task)
        return aster_fail(env->ctx, ASTER_ENOMEM, "out of memory for a task");
    aster_task_buffer(task, 0, t->input, STARPU_R);
    aster_task_buffer(task, 1, t->list, STARPU_W);
    aster_task_buffer(task, 2, t->work, t->work->scratch ? STARPU_SCRATCH : STARPU_W);
    return aster_task_submit(task);
}
