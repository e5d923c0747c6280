/* SPDX-License-Identifier: BSD-3-Clause */
/* Where the simulating program and the files of machines are. */
#include "cli/cli.h"
#include "pipeline/machine_file.h"
#include "pipeline/pipeline.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int aster_cli_simulator(char **out, bool needed)
{
    const char *given = getenv("ASTERISM_SIM");
    char self[4096];
    struct aster_str path = {0};
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    *out = NULL;
    if (given && *given) {
        aster_str_add(&path, given);
    } else if (n > 0) {
        self[n] = '\0';
        *strrchr(self, '/') = '\0';
        aster_str_printf(&path, "%s/asterism-sim", self);
    }
    if (path.len && access(path.s, X_OK) == 0 && aster_strdup(NULL, path.s, out) == 0) {
        aster_str_free(&path);
        return 0;
    }
    if (needed)
        aster_cli_error("the simulating program is missing: there is no %s; build it (configure "
                        "--with-starpu=\"$(scripts/build-starpu "
                        "--simgrid)\" in a folder of its own) and name it in ASTERISM_SIM",
                        path.len ? path.s : "asterism-sim beside this program");
    aster_str_free(&path);
    return -1;
}

/* A path, or NAME for data/machines/NAME.yaml among the data. */
int aster_cli_find_machine(struct aster_ctx *ctx, const char *name, char **out)
{
    struct aster_str file = {0}, looked = {0};
    *out = NULL;
    if (strchr(name, '/') || aster_file_exists(name))
        return aster_strdup(ctx, name, out);
    aster_str_printf(&file, "data/machines/%s.yaml", name);
    int rc = aster_str_ok(ctx, &file);
    if (rc == 0)
        rc = aster_find_file(ctx, ".", file.s, out, &looked);
    if (rc == 0 && !*out)
        rc =
            aster_fail(ctx, ASTER_EPARAM, "no machine '%s': it is no file, and there is none of %s",
                       name, aster_str_get(&looked));
    aster_str_free(&file);
    aster_str_free(&looked);
    return rc;
}

int aster_cli_read_machine(const char *name, struct aster_sim_machine *out)
{
    struct aster_ctx *ctx;
    struct aster_str mistakes = {0};
    char *path = NULL;
    ASTER_TRY(aster_ctx_new(&ctx));
    int rc = aster_cli_find_machine(ctx, name, &path);
    if (rc == 0)
        rc = aster_machine_file_read(ctx, path, out, &mistakes);
    if (rc < 0) {
        fputs(aster_str_get(&mistakes), stderr);
        aster_cli_error("%s", aster_ctx_message(ctx));
    }
    aster_str_free(&mistakes);
    aster_free(&path);
    aster_ctx_free(&ctx);
    return rc < 0 ? -1 : 0;
}
