/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/cli.h"
static const struct aster_cli_option options[] = {ASTER_CLI_HELP_OPTION, ASTER_CLI_END};
static int scale(const struct aster_cli_args *args) { return args->n_words; }
const struct aster_cli_command aster_cmd_scale = {"scale", "FILE", "x", options, scale};
