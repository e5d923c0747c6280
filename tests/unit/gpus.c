/* SPDX-License-Identifier: BSD-3-Clause */
/* Proves that a list of GPUs chooses what it says on machines with and without them, and that a wrong one is refused by name. */
#include "lib/tap.h"
#include "runtime/gpus.h"

#include <string.h>

static struct aster_ctx *ctx;

static void good(const struct aster_gpus *g, const char *list, const char *expected)
{
    int n, chosen[ASTER_MAX_GPUS];
    char text[256] = "";
    int rc = aster_gpus_choose(ctx, g, list, &n, chosen);
    for (int k = 0; rc == 0 && k < n; k++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%d", k ? " " : "", chosen[k]);
    tap_ok(rc == 0 && !strcmp(text, expected), "of %d, '%s': %s", g->n, list ? list : "(none given)", expected);
    aster_ctx_clear(ctx);
}

static void bad(const struct aster_gpus *g, const char *list, const char *words)
{
    int n, chosen[ASTER_MAX_GPUS];
    int rc = aster_gpus_choose(ctx, g, list, &n, chosen);
    if (!tap_ok(rc == ASTER_EPARAM && strstr(aster_ctx_message(ctx), words), "of %d, '%s': %s", g->n, list, words))
        tap_note("%d: %s", rc, aster_ctx_message(ctx));
    aster_ctx_clear(ctx);
}

int main(void)
{
    struct aster_gpus none = {.why = "no driver here"}, four = {.built = true, .n = 4};
    if (aster_ctx_new(&ctx) < 0)
        return 1;
    good(&none, NULL, "");
    good(&none, "", "");
    good(&none, "none", "");
    bad(&none, "0", "gpus=0: no driver here; leave gpus out, or give none");
    good(&four, NULL, "0 1 2 3");
    good(&four, "", "0 1 2 3");
    good(&four, "none", "");
    good(&four, "2", "2");
    good(&four, "3,0,1", "3 0 1");
    bad(&four, "4", "gpus=4: there is no GPU 4, this machine has 4 (0 to 3)");
    bad(&four, "0,0", "gpus=0,0: GPU 0 is named twice");
    bad(&four, "-1", "'-1' is no number of a GPU; expected all, none, or numbers such as 0,2,3");
    bad(&four, "0,", "'' is no number of a GPU");
    bad(&four, ",1", "'' is no number of a GPU");
    bad(&four, "0;1", "'0;1' is no number of a GPU");
    good(&four, "all", "0 1 2 3");
    good(&none, "all", "");
    bad(&four, "All", "'All' is no number of a GPU");
    bad(&four, "1 ", "'1 ' is no number of a GPU");
    bad(&four, "99999999999999999999", "'99999999999999999999' is no number of a GPU");
    bad(&four, "4294967296", "there is no GPU 4294967296");
    struct aster_gpus here;
    aster_gpus_look(&here);
    tap_ok(here.n > 0 ? !*here.why : *here.why != '\0', "this machine: %d GPUs%s%s", here.n, *here.why ? ", " : "", here.why);
    aster_ctx_free(&ctx);
    tap_ok(aster_live_allocations() == 0, "nothing is left allocated");
    return tap_done();
}
