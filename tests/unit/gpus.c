/* SPDX-License-Identifier: BSD-3-Clause */
/* Proves that a list of GPUs chooses what it says on machines with and without them, and that a
 * wrong one is refused by name. */
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
    tap_ok(rc == 0 && !strcmp(text, expected), "of %d, '%s': %s", g->n,
           list ? list : "(none given)", expected);
    aster_ctx_clear(ctx);
}

static void bad(const struct aster_gpus *g, const char *list, const char *words)
{
    int n, chosen[ASTER_MAX_GPUS];
    int rc = aster_gpus_choose(ctx, g, list, &n, chosen);
    if (!tap_ok(rc == ASTER_EPARAM && strstr(aster_ctx_message(ctx), words), "of %d, '%s': %s",
                g->n, list, words))
        tap_note("%d: %s", rc, aster_ctx_message(ctx));
    aster_ctx_clear(ctx);
}

/* Of the GPUs 1 and 3 in use: MB allowed, or words of the message. */
static void memory(const char *text, const char *expected)
{
    const int chosen[] = {1, 3};
    int64_t limit[2] = {-1, -1};
    char got[400];
    if (aster_gpus_memory(ctx, text, 2, chosen, limit) == 0)
        snprintf(got, sizeof got, "%lld %lld", (long long)(limit[0] >> 20),
                 (long long)(limit[1] >> 20));
    else
        snprintf(got, sizeof got, "%s", aster_ctx_message(ctx));
    if (!tap_ok(strstr(got, expected) != NULL, "memory '%s': %s", text, expected))
        tap_note("%s", got);
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
    memory("20G", "20480 20480");
    memory("", "0 0");
    memory("3=1.5GiB", "0 1536");
    memory("3=8G,1=512M", "512 8192");
    memory("2=8G", "GPU 2 is not in use");
    memory("1=8G,1=9G", "GPU 1 is named twice");
    memory("8G,9G", "one size for all GPUs");
    memory("1=9G,8G", "one size for all GPUs");
    memory("8G,1=9G", "one size for all GPUs");
    memory("20", "less than 64M");
    memory("1=", "found '1='");
    memory("=8G", "found '=8G'");
    memory("1=8G,", "found ''");
    memory("x=8G", "found 'x=8G'");
    memory("-1=8G", "found '-1=8G'");
    memory("much", "found 'much'");
    struct aster_gpus here;
    aster_gpus_look(&here);
    tap_ok(here.n > 0 ? !*here.why : *here.why != '\0', "this machine: %d GPUs%s%s", here.n,
           *here.why ? ", " : "", here.why);
    aster_ctx_free(&ctx);
    tap_ok(aster_live_allocations() == 0, "nothing is left allocated");
    return tap_done();
}
