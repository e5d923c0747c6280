/* SPDX-License-Identifier: BSD-3-Clause */
/* random-forcefield FILE.h5 [NAME=VALUE ...]: weights of a force field that are drawn, for tests
 * and timings. */
#include "golden/drawn_forcefield.h"

#include <string.h>

struct request {
    struct aster_forcefield_config c;
    int64_t seed, cutoff;
};

static int usage(void)
{
    fputs("usage: random-forcefield FILE.h5 [width=16] [blocks=2] [radial=8] [cutoff=4] [max_z=20] "
          "[seed=1] [mixing=compat|isotropic] [cutoff_on=features|filter]\n",
          stderr);
    return 1;
}

static bool parse(const char *text, struct request *r)
{
    const struct {
        const char *name;
        int64_t *out;
    } numbers[] = {{"width=", &r->c.width},      {"blocks=", &r->c.n_blocks},
                   {"radial=", &r->c.n_radial},  {"cutoff=", &r->cutoff},
                   {"max_z=", &r->c.max_number}, {"seed=", &r->seed}};
    for (size_t k = 0; k < sizeof numbers / sizeof *numbers; k++)
        if (strncmp(text, numbers[k].name, strlen(numbers[k].name)) == 0)
            return aster_parse_i64(text + strlen(numbers[k].name), numbers[k].out) == 0;
    if (!strcmp(text, "mixing=isotropic"))
        r->c.mixing = ASTER_MIXING_ISOTROPIC;
    else if (!strcmp(text, "cutoff_on=filter"))
        r->c.cutoff_on = ASTER_CUTOFF_FILTER;
    else
        return !strcmp(text, "mixing=compat") || !strcmp(text, "cutoff_on=features");
    return true;
}

int main(int argc, char **argv)
{
    struct request r = {{16, 2, 8, 20, 4, ASTER_MIXING_FREE, ASTER_CUTOFF_FEATURES, 0, 0}, 1, 4};
    struct aster_ctx *ctx = NULL;
    if (argc < 2)
        return usage();
    for (int k = 2; k < argc; k++)
        if (!parse(argv[k], &r))
            return usage();
    r.c.cutoff = (double)r.cutoff;
    if (aster_ctx_new(&ctx) < 0)
        return 1;
    int rc = draw_forcefield(ctx, &r.c, (uint64_t)r.seed, argv[1]);
    if (rc < 0)
        fprintf(stderr, "random-forcefield: %s\n", aster_ctx_message(ctx));
    aster_ctx_free(&ctx);
    return rc < 0;
}
