/* SPDX-License-Identifier: BSD-3-Clause */
/* The drawn models that other tests run: read by the program's own readers, of the shape asked for,
 * and not the same for another seed. */
#include "flow/pretrained.h"
#include "golden/random_model.h"
#include "io/tokens.h"
#include "unit/files.h"

static const struct aster_language_config esm2 = {ASTER_LANGUAGE_ESM2, 2, 16, 4, 24, 33, 0,
                                                  1.0 / 3 * 1e-5},
                                          dnabert = {
                                              ASTER_LANGUAGE_DNABERT, 3, 20, 5, 12, 200, 2, 1e-12};

/* The sum of squares of all parameters, over their number; negative when they cannot be read. */
static double mean_square(const struct aster_language_config *c, const char *folder)
{
    struct aster_pretrained *w = NULL;
    struct aster_language_config read;
    char path[PATH_MAX];
    double sum = 0;
    int64_t n = 0;
    snprintf(path, sizeof path, "%s/config.json", in_dir(folder));
    bool good =
        fine(aster_pretrained_config_read(ctx, path, &read)) && memcmp(&read, c, sizeof read) == 0;
    snprintf(path, sizeof path, "%s/model.safetensors", in_dir(folder));
    good = good && fine(aster_pretrained_open(ctx, path, &read, &w));
    for (int64_t block = 0; good && block < aster_language_n_blocks(c); block++) {
        struct aster_program *p = NULL;
        float *flat = NULL;
        good = fine(aster_language_program(ctx, c, aster_language_part_of(c, block), ASTER_F32,
                                           ASTER_LANGUAGE_EVAL, &p)) &&
               fine(aster_alloc(ctx, aster_program_class_n(p, ASTER_CLASS_PARAM), 4, &flat)) &&
               fine(aster_pretrained_read(w, block, p, flat));
        for (int k = 0; good && k < aster_program_n_params(p); k++) {
            const struct aster_param_info *info = aster_program_param(p, k);
            for (int64_t i = 0; i < info->n; i++, n++)
                sum += (double)flat[info->offset + i] * (double)flat[info->offset + i];
        }
        aster_program_free(&p);
        aster_free(&flat);
    }
    aster_pretrained_close(&w);
    return good && n > 0 ? sum / (double)n : -1;
}

static void test_weights(const struct aster_language_config *c, const char *name)
{
    double s[3];
    for (int k = 0; k < 3; k++) {
        char folder[32];
        snprintf(folder, sizeof folder, "%s-%d", name, k);
        bool written = fine(random_model_write(ctx, c, k < 2 ? 1 : 2,
                                               k == 1 ? ASTER_BF16 : ASTER_F32, in_dir(folder)));
        s[k] = written ? mean_square(c, folder) : -1;
    }
    tap_ok(s[0] > 0.01 && s[0] < 1, "%s: written, read, parameters of mean square %g", name, s[0]);
    tap_ok(s[1] > 0 && s[1] != s[0] && s[1] - s[0] < 1e-3 && s[0] - s[1] < 1e-3,
           "%s: nearly the same in bf16", name);
    tap_ok(s[2] > 0 && s[2] != s[0], "%s: another seed gives another model", name);
}

/* Pieces of a text, joined, are the text; none is unknown; merges take place. */
static void test_tokenizer(const char *folder)
{
    static const char text[] = "ACGTTGCAACGTGGGTTTACCATGACCCATGATTAGACCATTTGACCAGATTTGACAG";
    struct aster_bpe *b = NULL;
    struct aster_bpe_room *room = NULL;
    char path[PATH_MAX], joined[sizeof text] = "";
    int32_t ids[sizeof text + 2];
    int64_t n = 0;
    snprintf(path, sizeof path, "%s/tokenizer.json", in_dir(folder));
    bool good = fine(aster_bpe_open(ctx, path, &b)) && fine(aster_bpe_room_new(ctx, &room)) &&
                fine(aster_bpe_encode(b, room, text, sizeof text - 1, ids, &n));
    tap_ok(good && aster_bpe_n_ids(b) == dnabert.n_ids && ids[0] == 1 && ids[n - 1] == 2,
           "the tokenizer has the model's %lld tokens", (long long)dnabert.n_ids);
    for (int64_t k = 1; good && k < n - 1; k++)
        if (strlen(joined) + strlen(aster_bpe_token(b, ids[k])) < sizeof joined)
            strcat(joined, aster_bpe_token(b, ids[k]));
    tap_ok(strcmp(joined, text) == 0 && n - 2 < (int64_t)sizeof text * 3 / 4,
           "%lld pieces of %zu bases are the text again", (long long)n - 2, sizeof text - 1);
    aster_bpe_room_free(&room);
    aster_bpe_close(&b);
}

int main(void)
{
    struct aster_language_config small = dnabert;
    test_start();
    test_weights(&esm2, "esm2");
    test_weights(&dnabert, "dnabert");
    test_tokenizer("dnabert-0");
    small.n_ids = 8;
    failed_with("a vocabulary without room for the bases is refused",
                random_model_write(ctx, &small, 1, ASTER_F32, in_dir("small")), ASTER_EPARAM,
                "vocab", "8", NULL);
    return test_end();
}
