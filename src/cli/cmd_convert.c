/* SPDX-License-Identifier: BSD-3-Clause */
/* asterism convert: weights from one file format to another. */
#include "cli/cli.h"
#include "flow/flow.h"
#include "train/train.h"

#include <string.h>

static const struct aster_cli_option options[] = {
    {"precision", 0, "TYPE", "Number format of the weights written: f32 or f64; without it f32."},
    {"force", 0, NULL, "Replace OUT when it is there."},
    {"verbose", 'v', NULL, "Say where in the program an error came from."},
    ASTER_CLI_HELP_OPTION,
    ASTER_CLI_END};

static bool ends_with(const char *s, const char *ending)
{
    size_t n = strlen(s), m = strlen(ending);
    return n >= m && !strcmp(s + n - m, ending);
}

static int convert_file(struct aster_ctx *ctx, const char *in, const char *out,
                        enum aster_dtype real)
{
    struct aster_weights *w;
    char *path;
    ASTER_TRY(aster_weights_find(ctx, in, &path));
    int rc = aster_weights_load(ctx, path, real, &w);
    aster_free(&path);
    ASTER_TRY(rc);
    rc = ends_with(out, ".safetensors") ? aster_weights_save_safetensors(ctx, w, out)
                                        : aster_weights_save_h5(ctx, w, out);
    aster_weights_free(&w);
    return rc;
}

static int convert(const struct aster_cli_args *args)
{
    const char *precision = aster_cli_value(args, "precision");
    struct aster_ctx *ctx;
    if (aster_cli_has(args, "help")) {
        aster_cli_help(args->command);
        return ASTER_EXIT_DONE;
    }
    if (args->n_words != 2)
        return aster_cli_misuse(args->command, "convert: expected two files, IN and OUT, found %d",
                                args->n_words);
    const char *in = args->words[0], *out = args->words[1];
    bool is_f64 = precision && !strcmp(precision, "f64");
    if (precision && !is_f64 && strcmp(precision, "f32") != 0)
        return aster_cli_misuse(args->command, "--precision: expected f32 or f64, found '%s'",
                                precision);
    if (!ends_with(out, ".safetensors") && !ends_with(out, ".h5"))
        return aster_cli_misuse(args->command,
                                "convert: '%s' ends neither in .h5 nor in .safetensors", out);
    if (aster_file_exists(out) && !aster_cli_has(args, "force"))
        return aster_cli_misuse(args->command, "convert: %s is there already; --force replaces it",
                                out);
    if (aster_ctx_new(&ctx) < 0)
        return ASTER_EXIT_BROKEN;
    int rc = convert_file(ctx, in, out, is_f64 ? ASTER_F64 : ASTER_F32);
    if (rc < 0)
        aster_cli_error("%s", aster_ctx_message(ctx));
    if (rc < 0 && aster_cli_has(args, "verbose"))
        aster_cli_error("code %d at %s", rc, aster_ctx_place(ctx));
    aster_ctx_free(&ctx);
    return rc < 0 ? ASTER_EXIT_BROKEN : ASTER_EXIT_DONE;
}

const struct aster_cli_command aster_cmd_convert = {
    "convert", "IN OUT [options]",
    "Converts the weights of a trained model: IN is the run folder of a training, a .h5 of it or a "
    ".safetensors that it was converted to, OUT ends in .h5 or .safetensors.",
    options, convert};
