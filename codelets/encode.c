/* SPDX-License-Identifier: BSD-3-Clause */
/* The codelet that turns samples into the input buffer of a shard: rows of residues, labels, the
 * number of counted residues. */
#include "task.h"

#include <string.h>

struct encode_arg {
    struct aster_task task;
    struct aster_encode_task t;
};

enum { NOT_COUNTED = 255 };

static bool is_empty(const struct aster_encode_task *t, int64_t b)
{
    return !t->samples[b] || t->status[b] != 0;
}

/* x from the table; codes of all samples lie in the worker's scratch memory. */
static void table_rows(struct encode_arg *a, char *x)
{
    const struct aster_encode_task *t = &a->t;
    int64_t total = 0;
    for (int64_t b = 0; b < t->n; b++)
        total += is_empty(t, b) ? 0 : t->samples[b]->length;
    int64_t heads = aster_round_up(2 * t->n * 8, 64);
    char *memory = aster_task_scratch(&a->task, heads + total);
    for (int64_t b = 0; b < t->n && !memory; b++)
        t->status[b] = ASTER_ENOMEM;
    if (!memory)
        return;
    const uint8_t **codes = (const uint8_t **)memory;
    int64_t *lengths = (int64_t *)(memory + t->n * 8);
    uint8_t *next = (uint8_t *)memory + heads;
    for (int64_t b = 0; b < t->n; b++) {
        codes[b] = next;
        lengths[b] = is_empty(t, b) ? 0 : t->samples[b]->length;
        for (int64_t l = 0; l < lengths[b]; l++)
            next[l] = t->enc->code[(uint8_t)t->samples[b]->sequence[l]];
        next += lengths[b];
    }
    aster_k_encode_table_cpu(t->real, t->time_major, t->n, t->n_positions, t->enc->dim, codes,
                             lengths, t->enc->table, x);
}

/* n rows of sample b into x, zeros after them */
static void place_rows(const struct aster_encode_task *t, int64_t b, int64_t n, const float *rows,
                       char *x)
{
    int64_t dim = t->enc->dim, row = dim * aster_dtype_size(t->real);
    int64_t first = t->time_major ? b : b * t->n_positions, step = t->time_major ? t->n : 1;
    for (int64_t l = 0; l < t->n_positions; l++) {
        char *to = x + (first + l * step) * row;
        if (l >= n)
            memset(to, 0, (size_t)row);
        else if (t->real == ASTER_F32)
            memcpy(to, rows + l * dim, (size_t)row);
        else
            for (int64_t d = 0; d < dim; d++)
                ((double *)to)[d] = rows[l * dim + d];
    }
}

static void called_rows(struct encode_arg *a, char *x)
{
    const struct aster_encode_task *t = &a->t;
    for (int64_t b = 0; b < t->n; b++) {
        int64_t n = 0;
        float *rows = NULL;
        if (!is_empty(t, b)) {
            n = t->samples[b]->length;
            rows = aster_task_scratch(&a->task, n * t->enc->dim * (int64_t)sizeof *rows);
            int rc = rows ? t->enc->rows(t->enc->arg, t->samples[b]->key, n, rows) : ASTER_ENOMEM;
            if (rc < 0) {
                t->status[b] = rc;
                n = 0;
            }
        }
        place_rows(t, b, n, rows, x);
    }
}

static void write_labels(const struct aster_encode_task *t, uint8_t *labels)
{
    int64_t step = t->time_major ? t->n : 1;
    memset(labels, NOT_COUNTED, (size_t)(t->n * t->n_positions));
    for (int64_t b = 0; b < t->n && t->with_labels; b++) {
        const struct aster_sample *s = t->samples[b];
        uint8_t *to = labels + (t->time_major ? b : b * t->n_positions);
        for (int64_t l = 0; !is_empty(t, b) && l < s->length; l++)
            to[l * step] = s->labels ? s->labels[l] : l >= s->loop_begin && l < s->loop_end;
    }
}

static void encode_run(void *buffers[], void *cl_arg)
{
    struct encode_arg *a = cl_arg;
    char *input = aster_task_pointer(buffers[0]);
    aster_task_begin(&a->task);
    if (a->t.enc->table)
        table_rows(a, input + a->t.x);
    else
        called_rows(a, input + a->t.x);
    write_labels(&a->t, (uint8_t *)input + a->t.labels);
    *(double *)(input + a->t.count) = a->t.counted;
    aster_task_end(&a->task);
}

static struct starpu_perfmodel encode_model = ASTER_PERFMODEL("aster_encode");
static struct starpu_codelet encode_codelet = {
    .name = "encode",
    .cpu_funcs = {encode_run},
    .cpu_funcs_name = {"encode_run"},
    .nbuffers = STARPU_VARIABLE_NBUFFERS,
    .model = &encode_model,
    .can_execute = aster_task_can_execute,
};

int aster_cl_encode(struct aster_cl_env *env, const struct aster_encode_task *t)
{
    struct encode_arg a = {.task = {.env = env, .name = "encode"}, .t = *t};
    int64_t key[] = {1, t->n, t->n_positions, t->enc->dim, t->real, t->enc->table != NULL};
    a.task.footprint = aster_fnv1a64(key, sizeof key);
    a.task.bytes = (double)(t->n * t->n_positions * t->enc->dim * aster_dtype_size(t->real));
    struct starpu_task *task = aster_task_new(&encode_codelet, &a, sizeof a, 1);
    if (!task)
        return aster_fail(env->ctx, ASTER_ENOMEM, "out of memory for a task");
    aster_task_buffer(task, 0, t->input, STARPU_W);
    return aster_task_submit(task);
}
