/* SPDX-License-Identifier: BSD-3-Clause */
/* asterism convert: weights from one file format to another. */
#include "cli/cli.h"
#include "flow/convert.h"

#include <string.h>

static const struct aster_cli_option options[] = {
    {"precision", 0, "TYPE",
     "Number format of the weights written: f32, f64 or bf16; without it f32 for "
     "a model trained here and for a force field, and for others each tensor's own."},
    {"force", 0, NULL,
     "Replace OUT, and a config.json and tokenizer.json beside it, when they are there."},
    {"verbose", 'v', NULL, "Say where in the program an error came from."},
    ASTER_CLI_HELP_OPTION,
    ASTER_CLI_END};

static bool ends_with(const char *s, const char *ending)
{
    size_t n = strlen(s), m = strlen(ending);
    return n >= m && !strcmp(s + n - m, ending);
}

/* f32 | f64 | bf16; without it what the kind of file asks for */
static bool number_format(const char *text, enum aster_dtype *out)
{
    *out = !text                  ? ASTER_N_DTYPES
           : !strcmp(text, "f64") ? ASTER_F64
           : !strcmp(text, "f32") ? ASTER_F32
                                  : ASTER_BF16;
    return *out != ASTER_BF16 || !strcmp(text, "bf16");
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
    enum aster_dtype reals;
    if (!number_format(precision, &reals))
        return aster_cli_misuse(args->command, "--precision: expected f32, f64 or bf16, found '%s'",
                                precision);
    if (!ends_with(out, ".safetensors") && !ends_with(out, ".h5"))
        return aster_cli_misuse(args->command,
                                "convert: '%s' ends neither in .h5 nor in .safetensors", out);
    if (aster_file_exists(out) && !aster_cli_has(args, "force"))
        return aster_cli_misuse(args->command, "convert: %s is there already; --force replaces it",
                                out);
    if (aster_ctx_new(&ctx) < 0)
        return ASTER_EXIT_BROKEN;
    int rc = aster_convert(ctx, in, out, reals, aster_cli_has(args, "force"));
    if (rc < 0)
        aster_cli_error("%s", aster_ctx_message(ctx));
    if (rc < 0 && aster_cli_has(args, "verbose"))
        aster_cli_error("code %d at %s", rc, aster_ctx_place(ctx));
    aster_ctx_free(&ctx);
    return rc < 0 ? ASTER_EXIT_BROKEN : ASTER_EXIT_DONE;
}

const struct aster_cli_command aster_cmd_convert = {
    "convert", "IN OUT [options]",
    "Converts weights. IN is the run folder of a training, a .h5 of it or a .safetensors that it "
    "was "
    "converted to; a force field; or a model of others: its folder as it is downloaded, or its "
    "file of weights "
    "(.safetensors, an index of shards, .pt, .pth, .bin, .h5). OUT ends in .h5 or .safetensors; a "
    "language model's config.json and tokenizer.json come to lie beside it.",
    options, convert};
