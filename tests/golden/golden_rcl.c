/* SPDX-License-Identifier: BSD-3-Clause */
/* golden-rcl FILE.h5...: labelling models against files of reference results. Single precision is
 * judged by limits that follow from double, which is computed for it too. */
#include "golden/golden_main.h"
#include "golden/rcl_check.h"

static void take(struct golden_score *s, const struct score *part)
{
    golden_fraction(s, part->worst, "%s", part->at);
}

static int check(struct aster_ctx *ctx, const struct golden_options *o, const char *path,
                 struct golden_score *s)
{
    struct golden g;
    struct score wide = {.verbose = o->verbose}, narrow = {.verbose = o->verbose};
    ASTER_TRY(golden_open(ctx, path, &g));
    g.perturb = o->perturb;
    int rc = check_file(&g, o->be, ASTER_F64, &wide);
    narrow.passed_f64 = rc == 0 && wide.worst <= 1;
    if (rc == 0 && o->f64)
        take(s, &wide);
    if (rc == 0 && o->f32)
        rc = check_file(&g, o->be, ASTER_F32, &narrow);
    if (rc == 0 && o->f32)
        take(s, &narrow);
    golden_close(&g);
    if (rc == 0 && !o->f32 && !o->f64)
        return aster_fail(ctx, ASTER_EPARAM, "%s: these models have no bf16", path);
    return rc;
}

int main(int argc, char **argv)
{
    return golden_main(argc, argv, &(struct golden_program){"golden-rcl", check, false});
}
