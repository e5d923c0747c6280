/* SPDX-License-Identifier: BSD-3-Clause */
/* Energies and forces of small molecules through the runtime, in the published benchmark's JSON:
 * six molecules one by one, then batches. Usage: bench-molecules MODEL.h5 FILE.extxyz [cores=1]
 * [trials=30] [first=17] [same=Benzene] [intervals=512] [batches=1,2,4,...] [output=FILE]. Every
 * trial moves all atoms by 0.001 A, finds neighbours anew, and ends when all results are there.
 * Batch b holds the file's first b molecules, again from the first after `first`; a second table
 * has the same molecule in every place. */
#include "bench/peak.h"
#include "flow/field.h"
#include "io/structures.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MOST_MOLECULES = 64, MOST_BATCHES = 16, WARM_UP = 5, MOST_TASKS = 1 << 14 };
static const char *const singles[] = {"Benzene",     "Ethane",  "Hexane",
                                      "Naphthalene", "Glycine", "Water_cluster_5"};
enum { N_SINGLES = sizeof singles / sizeof *singles };

struct molecule {
    struct aster_structure s;
    char name[64], formula[32];
};
struct copy { /* a molecule in a batch, its atoms moved */
    struct aster_structure s;
    int of;
    struct aster_field_item item;
};
struct task {
    struct bench *b;
    struct aster_ctx *ctx; /* of its own: it runs in a worker */
    int64_t n, n_atoms;
    struct aster_field_item **item;
    struct aster_edges edges;
    int rc;
};
struct bench {
    struct aster_ctx *ctx;
    struct aster_runtime *rt;
    struct aster_forcefield_file file;
    struct aster_field *field, *exact;
    struct aster_program *fast_program, *dense_program;
    struct molecule molecule[MOST_MOLECULES];
    int n_molecules, first, trials, cores, n_batches;
    int64_t batch[MOST_BATCHES], intervals, cap;
    const char *same, *output, *model;
    struct copy *copy;
    int64_t n_copies;
    struct task *task;
    int n_tasks, open;
    uint64_t random;
    double peak;
    pthread_mutex_t lock;
    pthread_cond_t all_done;
};
struct times { /* seconds of the whole batch */
    double mean, std, median, least, most, p95, p99, cpu;
};
struct work_done {
    double fast, dense, bytes;
    int64_t atoms, edges;
};

/* ---- molecules ---- */

static void formula_of(struct molecule *m)
{
    static const int order[] = {6, 1, 7, 8};
    int count[128] = {0}, at = 0;
    for (int64_t i = 0; i < m->s.n; i++)
        count[m->s.number[i] & 127]++;
    for (int k = 0; k < 4; k++)
        if (count[order[k]])
            at += snprintf(m->formula + at, sizeof m->formula - (size_t)at,
                           count[order[k]] > 1 ? "%s%d" : "%s", aster_element_symbol(order[k]),
                           count[order[k]]);
}

static int read_molecules(struct bench *b, const char *path)
{
    struct aster_structures *r = NULL;
    struct aster_structures_place at;
    int more = 1, rc = aster_structures_open(b->ctx, path, &r);
    while (rc == 0 && b->n_molecules < MOST_MOLECULES) {
        struct molecule *m = &b->molecule[b->n_molecules];
        more = aster_structures_next(r, &m->s, &at);
        if (more <= 0)
            break;
        if (at.fault) {
            rc = aster_fail(b->ctx, ASTER_EFORMAT, "%s", at.fault);
            break;
        }
        snprintf(m->name, sizeof m->name, "%s", at.name);
        formula_of(m);
        b->n_molecules++;
    }
    aster_structures_close(&r);
    if (b->first > b->n_molecules)
        b->first = b->n_molecules;
    return rc ? rc : more < 0 ? more : b->n_molecules ? 0 : ASTER_EFORMAT;
}

static int find(const struct bench *b, const char *name)
{
    for (int k = 0; k < b->n_molecules; k++)
        if (!strcmp(b->molecule[k].name, name))
            return k;
    return -1;
}

/* ---- a batch ---- */

static void free_batch(struct bench *b)
{
    for (int k = 0; k < b->n_tasks; k++) {
        aster_edges_free(&b->task[k].edges);
        aster_free(&b->task[k].item);
        aster_ctx_free(&b->task[k].ctx);
    }
    for (int64_t k = 0; k < b->n_copies; k++)
        aster_structure_free(&b->copy[k].s);
    aster_free(&b->copy);
    aster_free(&b->task);
    b->n_tasks = 0;
    b->n_copies = 0;
}

static int make_copies(struct bench *b, int64_t n, int only)
{
    ASTER_TRY(aster_alloc(b->ctx, n, sizeof *b->copy, &b->copy));
    for (int64_t k = 0; k < n; k++) {
        struct copy *c = &b->copy[k];
        c->of = only >= 0 ? only : (int)(k % b->first);
        const struct aster_structure *s = &b->molecule[c->of].s;
        ASTER_TRY(aster_structure_new(b->ctx, s->n, true, &c->s));
        b->n_copies++;
        memcpy(c->s.number, s->number, (size_t)s->n * sizeof *s->number);
        memcpy(c->s.position, s->position, (size_t)(3 * s->n) * sizeof *s->position);
        c->item = (struct aster_field_item){.structure = &c->s, .force = c->s.force};
    }
    return 0;
}

/* Tasks as a pipeline makes them, but never fewer than cores: each molecule goes to the task that
 * has least, the largest first. */
static int make_tasks(struct bench *b)
{
    int64_t atoms = 0, room = aster_field_batch_atoms(b->field);
    for (int64_t k = 0; k < b->n_copies; k++)
        atoms += b->copy[k].s.n;
    int64_t n = aster_max64(aster_min64(b->cores, b->n_copies), (atoms + room - 1) / room);
    n = aster_min64(n + (n > b->cores ? (b->cores - n % b->cores) % b->cores : 0), MOST_TASKS);
    ASTER_TRY(aster_alloc(b->ctx, n, sizeof *b->task, &b->task));
    for (int64_t k = 0; k < n; k++) {
        struct task *t = &b->task[b->n_tasks++];
        t->b = b;
        ASTER_TRY(aster_ctx_new(&t->ctx));
        ASTER_TRY(aster_alloc(b->ctx, b->n_copies, sizeof *t->item, &t->item));
    }
    for (int64_t size = 4096; size > 0; size--)
        for (int64_t k = 0; k < b->n_copies; k++) {
            struct task *least = &b->task[0];
            if (b->copy[k].s.n != size)
                continue;
            for (int j = 1; j < b->n_tasks; j++)
                if (b->task[j].n_atoms < least->n_atoms)
                    least = &b->task[j];
            least->item[least->n++] = &b->copy[k].item;
            least->n_atoms += size;
        }
    return 0;
}

static double normal(struct bench *b)
{
    double u[2];
    for (int k = 0; k < 2; k++) {
        b->random = b->random * 6364136223846793005U + 1442695040888963407U;
        u[k] = ((double)(b->random >> 11) + 0.5) / 9007199254740992.0;
    }
    return sqrt(-2 * log(u[0])) * cos(2 * acos(-1) * u[1]);
}

static void move(struct bench *b)
{
    for (int64_t k = 0; k < b->n_copies; k++) {
        struct copy *c = &b->copy[k];
        for (int64_t i = 0; i < 3 * c->s.n; i++)
            c->s.position[i] = b->molecule[c->of].s.position[i] + 0.001 * normal(b);
    }
}

/* ---- a trial ---- */

static void one_less(void *arg)
{
    struct bench *b = ((struct task *)arg)->b;
    pthread_mutex_lock(&b->lock);
    if (--b->open == 0)
        pthread_cond_signal(&b->all_done);
    pthread_mutex_unlock(&b->lock);
}

static void wait_all(struct bench *b)
{
    pthread_mutex_lock(&b->lock);
    while (b->open)
        pthread_cond_wait(&b->all_done, &b->lock);
    pthread_mutex_unlock(&b->lock);
}

static void find_neighbours(void *arg)
{
    struct task *t = arg;
    t->edges.n = 0;
    t->rc = 0;
    for (int64_t k = 0; t->rc == 0 && k < t->n; k++) {
        struct aster_field_item *x = t->item[k];
        x->first_edge = t->edges.n;
        t->rc =
            aster_edges_add(t->ctx, &t->edges, 0, x->structure, t->b->file.c.cutoff, true, NULL);
        x->edges = &t->edges;
        x->n_edges = t->edges.n - x->first_edge;
    }
}

static int trial(struct bench *b, struct aster_field *field)
{
    b->open = b->n_tasks;
    for (int k = 0; k < b->n_tasks; k++)
        ASTER_TRY(aster_field_work(field, "neighbours", find_neighbours, one_less, &b->task[k]));
    wait_all(b);
    b->open = b->n_tasks;
    for (int k = 0; k < b->n_tasks; k++) {
        struct task *t = &b->task[k];
        ASTER_TRY(t->rc);
        ASTER_TRY(aster_field_submit(field, t->n, t->item, one_less, t));
    }
    wait_all(b);
    for (int64_t k = 0; k < b->n_copies; k++)
        if (b->copy[k].item.status < 0)
            return aster_fail(b->ctx, b->copy[k].item.status, "%s: %s",
                              b->molecule[b->copy[k].of].name,
                              b->copy[k].item.odd ? b->copy[k].item.odd : "no result");
    return 0;
}

static int smaller(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static struct times summary(int n, double *t)
{
    struct times s = {0};
    for (int k = 0; k < n; k++)
        s.mean += t[k] / n;
    for (int k = 0; k < n; k++)
        s.std += (t[k] - s.mean) * (t[k] - s.mean) / n;
    s.std = sqrt(s.std);
    qsort(t, (size_t)n, sizeof *t, smaller);
    s.median = (t[n / 2] + t[(n - 1) / 2]) / 2;
    s.least = t[0];
    s.most = t[n - 1];
    s.p95 = t[(int)(0.95 * (n - 1) + 0.5)];
    s.p99 = t[(int)(0.99 * (n - 1) + 0.5)];
    return s;
}

/* only: the molecule in every place, -1: the first of the file */
static int measure(struct bench *b, int64_t n, int only, struct times *out, struct work_done *done)
{
    double *t = NULL, cpu = 0;
    ASTER_TRY(make_copies(b, n, only));
    ASTER_TRY(make_tasks(b));
    ASTER_TRY(aster_alloc(b->ctx, b->trials, sizeof *t, &t));
    int rc = 0;
    for (int k = -WARM_UP; rc == 0 && k < b->trials; k++) {
        move(b);
        double wall = -aster_wall();
        if (k == 0)
            cpu = -aster_cpu_process();
        rc = trial(b, b->field);
        if (k >= 0)
            t[k] = wall + aster_wall();
    }
    cpu += aster_cpu_process();
    *done = (struct work_done){0};
    for (int k = 0; rc == 0 && k < b->n_tasks; k++) {
        const struct task *x = &b->task[k];
        const struct aster_bind bind[] = {{"N", x->n_atoms}, {"E", x->edges.n}, {"B", x->n}};
        for (int dense = 0; rc == 0 && dense < 2; dense++) {
            struct aster_plan *plan = NULL;
            double flops = 0, bytes;
            rc = aster_plan_new(b->ctx, dense ? b->dense_program : b->fast_program, 3, bind, NULL,
                                &plan);
            if (rc == 0)
                aster_plan_cost(plan, 0, &flops, &bytes);
            *(dense ? &done->dense : &done->fast) += flops;
            aster_plan_free(&plan);
        }
        int64_t bytes = 0;
        if (rc == 0)
            rc = aster_field_bytes(b->field, x->n, x->n_atoms, x->edges.n, &bytes);
        done->bytes += (double)bytes;
        done->atoms += x->n_atoms;
        done->edges += x->edges.n;
    }
    if (rc == 0)
        *out = summary(b->trials, t);
    out->cpu = cpu / b->trials;
    aster_free(&t);
    free_batch(b);
    return rc;
}

/* ---- how far tables in single precision are from exact filters in double ---- */

static int deviation(struct bench *b, double *energy, double *force)
{
    double *first = NULL;
    int64_t n = 0;
    *energy = *force = 0;
    ASTER_TRY(make_copies(b, b->n_molecules, -1));
    for (int64_t k = 0; k < b->n_copies; k++)
        n += 3 * b->copy[k].s.n + 1;
    ASTER_TRY(make_tasks(b));
    ASTER_TRY(aster_alloc(b->ctx, n, sizeof *first, &first));
    int rc = 0;
    for (int which = 0; rc == 0 && which < 2; which++) {
        int64_t at = 0;
        rc = trial(b, which ? b->field : b->exact);
        for (int64_t k = 0; rc == 0 && k < b->n_copies; k++) {
            const struct copy *c = &b->copy[k];
            if (which)
                *energy =
                    fmax(*energy, fabs(c->item.energy - first[at]) / fmax(1, fabs(first[at])));
            first[at++] = c->item.energy;
            double most = 1;
            for (int64_t i = 0; which && i < 3 * c->s.n; i++)
                most = fmax(most, fabs(first[at + i]));
            for (int64_t i = 0; i < 3 * c->s.n; i++, at++)
                if (which && strcmp(b->molecule[c->of].name, "CH4")) /* no forces: symmetric */
                    *force = fmax(*force, fabs(c->s.force[i] - first[at]) / most);
                else
                    first[at] = c->s.force[i];
        }
    }
    aster_free(&first);
    free_batch(b);
    return rc;
}

/* ---- the report ---- */

static void print_times(FILE *f, const char *per, const struct times *t, double by)
{
    fprintf(f, "\"mean_ms%s\": %.5f, \"std_ms%s\": %.5f, \"median_ms%s\": %.5f, \"min_ms%s\": %.5f",
            per, 1e3 * t->mean / by, per, 1e3 * t->std / by, per, 1e3 * t->median / by, per,
            1e3 * t->least / by);
}

static int print_table(struct bench *b, FILE *f, const char *name, int only, double baseline,
                       double *best, int64_t *best_batch)
{
    fprintf(f, "  \"%s\": {\n", name);
    for (int k = 0; k < b->n_batches; k++) {
        struct times t;
        struct work_done w;
        double n = (double)b->batch[k];
        ASTER_TRY(measure(b, b->batch[k], only, &t, &w));
        double each = 1e3 * t.median / n;
        fprintf(f, "    \"batch_%lld\": {", (long long)b->batch[k]);
        print_times(f, "_per_mol", &t, n);
        fprintf(f,
                ", \"total_mean_ms\": %.5f, \"total_std_ms\": %.5f, \"batch_size\": %lld, "
                "\"speedup_vs_baseline\": %.3f, \"cpu_ms_per_mol\": %.5f, "
                "\"molecules_per_s\": %.1f, \"atoms_per_s\": %.1f, \"ns_per_day_each\": %.3f, "
                "\"atoms\": %lld, \"edges\": %lld, \"mflop_per_mol\": %.3f, "
                "\"dense_mflop_per_mol\": %.3f, \"less_work\": %.2f, \"percent_of_peak\": %.1f, "
                "\"memory_bytes\": %.0f}%s\n",
                1e3 * t.mean, 1e3 * t.std, (long long)b->batch[k], baseline / each, 1e3 * t.cpu / n,
                1e3 / each, (double)w.atoms / t.median, 43.2 / each, (long long)w.atoms,
                (long long)w.edges, 1e-6 * w.fast / n, 1e-6 * w.dense / n, w.dense / w.fast,
                100 * w.fast / t.median / b->peak / b->cores, w.bytes,
                k + 1 < b->n_batches ? "," : "");
        if (*best == 0 || each < *best) {
            *best = each;
            *best_batch = b->batch[k];
        }
    }
    fprintf(f, "  }");
    return 0;
}

static int print_singles(struct bench *b, FILE *f, double *baseline)
{
    int n = 0;
    fprintf(f, "  \"baseline\": {\"per_molecule\": {\n");
    for (int k = 0; k < N_SINGLES; k++) {
        struct times t;
        struct work_done w;
        int of = find(b, singles[k]);
        if (of < 0)
            continue;
        ASTER_TRY(measure(b, 1, of, &t, &w));
        fprintf(f, "%s    \"%s\": {", n ? ",\n" : "", singles[k]);
        print_times(f, "", &t, 1);
        fprintf(f, ", \"max_ms\": %.5f, \"p95_ms\": %.5f, \"p99_ms\": %.5f}", 1e3 * t.most,
                1e3 * t.p95, 1e3 * t.p99);
        *baseline += 1e3 * t.mean;
        n++;
    }
    *baseline /= n ? n : 1;
    fprintf(f, "},\n    \"mean_ms\": %.5f},\n", *baseline);
    return 0;
}

static int report(struct bench *b, FILE *f)
{
    double baseline = 0, best = 0, other = 0, energy, force;
    int64_t at = 0, other_at = 0;
    int same = find(b, b->same);
    if (same < 0)
        return aster_fail(b->ctx, ASTER_EPARAM, "same=%s: no such molecule in the file", b->same);
    ASTER_TRY(deviation(b, &energy, &force));
    fprintf(f,
            "{\"metadata\": {\"checkpoint\": \"%s\", \"device\": \"cpu\", \"pytorch_version\": "
            "null, \"python_version\": null, \"cuda_device\": null, \"n_trials\": %d, "
            "\"batch_sizes_tested\": [",
            b->model, b->trials);
    for (int k = 0; k < b->n_batches; k++)
        fprintf(f, "%s%lld", k ? ", " : "", (long long)b->batch[k]);
    fprintf(f,
            "], \"cores\": %d, \"kernels\": \"%s\", \"peak_gflops_per_core\": %.1f, "
            "\"table_intervals\": %lld, \"energy_deviation_relative\": %.3g, "
            "\"force_deviation_relative\": %.3g},\n  \"molecules\": {\n",
            b->cores, aster_isa_name(aster_runtime_isa(b->rt)), 1e-9 * b->peak,
            (long long)b->intervals, energy, force);
    for (int k = 0; k < b->first; k++)
        fprintf(f, "    \"%s\": {\"n_atoms\": %lld, \"formula\": \"%s\"}%s\n", b->molecule[k].name,
                (long long)b->molecule[k].s.n, b->molecule[k].formula, k + 1 < b->first ? "," : "");
    fprintf(f, "  },\n");
    ASTER_TRY(print_singles(b, f, &baseline));
    ASTER_TRY(print_table(b, f, "batched", -1, baseline, &best, &at));
    fprintf(f, ",\n  \"same_molecule_name\": \"%s\",\n", b->same);
    ASTER_TRY(print_table(b, f, "same_molecule", same, baseline, &other, &other_at));
    fprintf(f,
            ",\n  \"best_configuration\": {\"batch_size\": %lld, \"speedup\": %.3f, "
            "\"time_per_mol_ms\": %.5f, \"target_achieved\": %s}\n}\n",
            (long long)at, baseline / best, best, baseline / best >= 5 ? "true" : "false");
    return 0;
}

/* ---- the program ---- */

static int options(struct bench *b, int argc, char **argv)
{
    const char *batches = "1,2,4,8,16,32,64,256,1024";
    b->cores = 1;
    b->trials = 30;
    b->first = 17;
    b->same = "Benzene";
    b->intervals = ASTER_FORCEFIELD_INTERVALS;
    b->random = 1;
    for (int k = 3; k < argc; k++) {
        const char *value = strchr(argv[k], '=');
        if (!value++)
            return aster_fail(b->ctx, ASTER_EPARAM, "%s: name=value is expected", argv[k]);
        if (!strncmp(argv[k], "cores=", 6))
            b->cores = (int)strtol(value, NULL, 10);
        else if (!strncmp(argv[k], "trials=", 7))
            b->trials = (int)strtol(value, NULL, 10);
        else if (!strncmp(argv[k], "first=", 6))
            b->first = (int)strtol(value, NULL, 10);
        else if (!strncmp(argv[k], "same=", 5))
            b->same = value;
        else if (!strncmp(argv[k], "intervals=", 10))
            b->intervals = strtoll(value, NULL, 10);
        else if (!strncmp(argv[k], "batches=", 8))
            batches = value;
        else if (!strncmp(argv[k], "output=", 7))
            b->output = value;
        else
            return aster_fail(b->ctx, ASTER_EPARAM, "%s: there is no such option", argv[k]);
    }
    for (char *end; *batches && b->n_batches < MOST_BATCHES; batches = *end == ',' ? end + 1 : end)
        if ((b->batch[b->n_batches++] = strtoll(batches, &end, 10)) < 1 || end == batches)
            return aster_fail(b->ctx, ASTER_EPARAM, "batches: numbers above 0 are expected");
    if (b->cores < 1 || b->trials < 1 || b->first < 1)
        return aster_fail(b->ctx, ASTER_EPARAM, "cores, trials and first are above 0");
    return 0;
}

static int run(struct bench *b, int argc, char **argv)
{
    ASTER_TRY(options(b, argc, argv));
    b->model = strrchr(argv[1], '/') ? strrchr(argv[1], '/') + 1 : argv[1];
    ASTER_TRY(read_molecules(b, argv[2]));
    ASTER_TRY(aster_forcefield_open(b->ctx, argv[1], &b->file));
    struct aster_runtime_options ro = {.cpus = b->cores, .gpus = "none"};
    ASTER_TRY(aster_runtime_new(b->ctx, &ro, &b->rt));
    struct aster_field_options fast = {.real = ASTER_F32, .intervals = b->intervals},
                               exact = {.real = ASTER_F64};
    ASTER_TRY(aster_field_new(b->ctx, b->rt, &b->file, &fast, &b->field));
    ASTER_TRY(aster_field_new(b->ctx, b->rt, &b->file, &exact, &b->exact));
    struct aster_forcefield_config c = b->file.c;
    c.intervals = b->intervals;
    ASTER_TRY(aster_forcefield_program(
        b->ctx, &c, ASTER_F32, b->intervals ? ASTER_FORCEFIELD_FAST : ASTER_FORCEFIELD_FORCES, NULL,
        NULL, &b->fast_program));
    ASTER_TRY(aster_forcefield_program(b->ctx, &c, ASTER_F32, ASTER_FORCEFIELD_FORCES, NULL, NULL,
                                       &b->dense_program));
    b->peak = aster_bench_peak_f32();
    FILE *f = b->output ? fopen(b->output, "w") : stdout;
    if (!f)
        return aster_fail(b->ctx, ASTER_EIO, "%s: cannot be written", b->output);
    int rc = report(b, f);
    return (b->output ? fclose(f) : fflush(f)) == 0 || rc < 0
               ? rc
               : aster_fail(b->ctx, ASTER_EIO, "the report could not be written");
}

int main(int argc, char **argv)
{
    static struct bench b = {.lock = PTHREAD_MUTEX_INITIALIZER,
                             .all_done = PTHREAD_COND_INITIALIZER};
    if (argc < 3) {
        fprintf(stderr, "usage: bench-molecules MODEL.h5 FILE.extxyz [name=value ...]\n");
        return 1;
    }
    if (aster_ctx_new(&b.ctx) < 0)
        return 1;
    aster_log_level(b.ctx, ASTER_LOG_WARN);
    int rc = run(&b, argc, argv);
    if (rc < 0)
        fprintf(stderr, "bench-molecules: %s\n", aster_ctx_message(b.ctx));
    free_batch(&b);
    aster_program_free(&b.fast_program);
    aster_program_free(&b.dense_program);
    aster_field_free(&b.field);
    aster_field_free(&b.exact);
    aster_runtime_free(&b.rt);
    aster_forcefield_close(&b.file);
    for (int k = 0; k < b.n_molecules; k++)
        aster_structure_free(&b.molecule[k].s);
    aster_ctx_free(&b.ctx);
    return rc < 0;
}
