/* SPDX-License-Identifier: BSD-3-Clause */
/* random-language esm2|dnabert FOLDER [NAME=VALUE ...]: a folder with a language model whose
 * weights are drawn, for tests and timings. */
#include "golden/random_model.h"

#include <string.h>

struct request {
    struct aster_language_config c;
    int64_t seed;
    enum aster_dtype t;
};

static int usage(void)
{
    fputs("usage: random-language esm2|dnabert FOLDER [layers=2] [width=32] [heads=4] [inner=64] "
          "[seed=1] [vocab=309] [dtype=f32|bf16]\n"
          "  vocab is for dnabert; esm2 has its 33 tokens\n",
          stderr);
    return 1;
}

static bool parse(const char *text, struct request *r)
{
    const struct {
        const char *name;
        int64_t *out;
    } numbers[] = {{"layers=", &r->c.n_layers}, {"width=", &r->c.width}, {"heads=", &r->c.n_heads},
                   {"inner=", &r->c.inner},     {"seed=", &r->seed},     {"vocab=", &r->c.n_ids}};
    for (size_t k = 0; k < sizeof numbers / sizeof *numbers; k++)
        if (strncmp(text, numbers[k].name, strlen(numbers[k].name)) == 0)
            return aster_parse_i64(text + strlen(numbers[k].name), numbers[k].out) == 0;
    r->t = strcmp(text, "dtype=bf16") ? ASTER_F32 : ASTER_BF16;
    return r->t == ASTER_BF16 || strcmp(text, "dtype=f32") == 0;
}

int main(int argc, char **argv)
{
    struct request r = {{ASTER_LANGUAGE_ESM2, 2, 32, 4, 64, 33, 0, 1e-5}, 1, ASTER_F32};
    struct aster_ctx *ctx = NULL;
    if (argc < 3 || (strcmp(argv[1], "esm2") && strcmp(argv[1], "dnabert")))
        return usage();
    if (strcmp(argv[1], "dnabert") == 0)
        r.c = (struct aster_language_config){ASTER_LANGUAGE_DNABERT, 2, 32, 4, 64, 309, 2, 1e-12};
    for (int k = 3; k < argc; k++)
        if (!parse(argv[k], &r))
            return usage();
    if (r.c.kind == ASTER_LANGUAGE_ESM2 && r.c.n_ids != 33)
        return usage();
    if (aster_ctx_new(&ctx) < 0)
        return 1;
    int rc = random_model_write(ctx, &r.c, (uint64_t)r.seed, r.t, argv[2]);
    if (rc < 0)
        fprintf(stderr, "random-language: %s\n", aster_ctx_message(ctx));
    aster_ctx_free(&ctx);
    return rc < 0;
}
