/* SPDX-License-Identifier: BSD-3-Clause */
/* Proves that the plans of all batch shapes exist for models of any length, that a cut holds the
 * longest sample and no more than it must, and that the buffers of a full part are large enough for
 * every part. */
#include "lib/tap.h"
#include "train/internal.h"

static struct aster_ctx *ctx;

struct model {
    struct aster_program *program;
    struct plans plans;
};

static int model_new(enum aster_model_kind kind, int64_t length, bool cut, struct model *m)
{
    struct aster_model_config c;
    aster_model_defaults(kind, 20, &c);
    c.max_length = length;
    ASTER_TRY(eval_program(ctx, &c, ASTER_F32, (double[]){1, 5}, &m->program));
    m->plans = (struct plans){.ctx = ctx,
                              .program = m->program,
                              .length = length,
                              .extents = !aster_model_time_major(kind),
                              .cut = cut};
    return 0;
}

static void model_free(struct model *m)
{
    plans_done(&m->plans);
    aster_program_free(&m->program);
}

/* Every length of a sample: its plan has room for it, and the plans are few. The first cut is a
 * 32nd of the length, in whole 32s. */
static void check_cuts(int64_t length)
{
    struct model m = {0};
    int64_t most[ASTER_N_CLASSES] = {0}, before = 0, shortest = 0;
    int rc = model_new(ASTER_MODEL_LSTM, length, true, &m);
    if (rc == 0)
        rc = plans_most(&m.plans, 2, 2, most);
    int64_t n_plans = m.plans.n;
    bool good = rc == 0 && n_plans >= 1 && n_plans <= 32;
    for (int64_t k = 0; good && k <= length; k++) {
        const struct planned *p = NULL;
        rc = plans_get(&m.plans, 2, 2, k, &p);
        good = rc == 0 && p->active >= k && p->active <= length && p->active >= before;
        for (int c = 0; good && c < ASTER_N_CLASSES; c++)
            good = planned_bytes(p, (enum aster_class)c) <= most[c];
        before = good ? p->active : 0;
        shortest = k == 0 ? before : shortest;
    }
    if (rc < 0)
        tap_note("%s", aster_ctx_message(ctx));
    int64_t first = (length + 1023) / 1024 * 32;
    tap_ok(good && before == length && m.plans.n == n_plans &&
               shortest == (first < length ? first : length),
           "lstm of length %lld: %lld cuts, the first of %lld", (long long)length,
           (long long)n_plans, (long long)shortest);
    model_free(&m);
}

/* A part with fewer samples fits into the buffers of a full one. */
static void check_parts(enum aster_model_kind kind, int64_t length, int64_t full)
{
    struct model m = {0};
    int64_t room[ASTER_N_CLASSES] = {0};
    int rc = model_new(kind, length, aster_model_time_major(kind), &m);
    if (rc == 0)
        rc = plans_most(&m.plans, full, full, room);
    bool good = rc == 0, larger = false;
    for (int64_t n = 1; good && n <= full + 1; n++) {
        int64_t need[ASTER_N_CLASSES] = {0};
        good = plans_most(&m.plans, n, n, need) == 0;
        for (int c = 0; good && c < ASTER_N_CLASSES; c++) {
            good = n > full || need[c] <= room[c];
            larger |= n > full && need[c] > room[c];
        }
    }
    tap_ok(good && larger, "%s of length %lld: parts of 1 to %lld fit, one more sample does not",
           aster_model_name(kind), (long long)length, (long long)full);
    model_free(&m);
}

int main(void)
{
    static const int64_t lengths[] = {1, 2, 31, 32, 33, 48, 64, 65, 1000, 1024, 1025, 2500},
                         full[] = {1, 2, 8, 13, 32};
    if (aster_ctx_new(&ctx) < 0)
        return 1;
    for (size_t k = 0; k < sizeof lengths / sizeof *lengths; k++)
        check_cuts(lengths[k]);
    for (int kind = 0; kind < ASTER_N_MODEL_KINDS; kind++)
        for (size_t k = 0; k < sizeof full / sizeof *full; k++) {
            check_parts((enum aster_model_kind)kind, 1024, full[k]);
            check_parts((enum aster_model_kind)kind, 113, full[k]);
        }
    aster_ctx_free(&ctx);
    tap_ok(aster_live_allocations() == 0, "nothing is left allocated");
    return tap_done();
}
