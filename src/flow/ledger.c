/* SPDX-License-Identifier: BSD-3-Clause */
/* failed_items.tsv: every item that has no result, the stage that failed and why. */
#include "flow/internal.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define HEAD "key\tstage\treason\n"

void aster_ledger_line(struct aster_str *out, const char *key, const char *stage,
                       const char *reason)
{
    aster_tsv_field(out, key);
    aster_str_printf(out, "\t%s\t", stage);
    aster_tsv_field(out, reason);
    aster_str_add(out, "\n");
}

void aster_tsv_field(struct aster_str *out, const char *text)
{
    for (const char *s = text; *s; s++)
        aster_str_addn(out, *s == '\t' || *s == '\n' || *s == '\r' ? " " : s, 1);
}

/* Whether the second field of a line is stage. */
static bool is_of(const char *line, const char *stage)
{
    const char *a = strchr(line, '\t'), *b = a ? strchr(a + 1, '\t') : NULL;
    return b && (size_t)(b - a - 1) == strlen(stage) && !memcmp(a + 1, stage, strlen(stage));
}

int aster_ledger_reset(struct aster_run *run, const char *stage)
{
    char *path = NULL, *text;
    struct aster_lines *l = NULL;
    struct aster_str kept = {0};
    size_t n;
    int rc;
    ASTER_TRY(aster_run_path(run, "failed_items.tsv", &path));
    if (!aster_file_exists(path)) {
        aster_free(&path);
        return 0;
    }
    ASTER_GOTO(aster_lines_open(run->ctx, path, &l), done);
    while ((rc = aster_lines_next(l, &text, &n)) == 1)
        if (aster_lines_number(l) > 1 && strchr(text, '\t') && !is_of(text, stage))
            aster_str_printf(&kept, "%s\n", text);
    if (rc < 0)
        goto done;
    ASTER_GOTO(aster_str_ok(run->ctx, &kept), done);
    if (unlink(path) < 0)
        ASTER_GOTO(
            aster_fail(run->ctx, ASTER_EIO, "%s: cannot be removed: %s", path, strerror(errno)),
            done);
    if (kept.len)
        rc = aster_ledger_add(run, &kept);
done:
    aster_lines_close(&l);
    aster_str_free(&kept);
    aster_free(&path);
    return rc;
}

int aster_ledger_add(struct aster_run *run, const struct aster_str *lines)
{
    char *path = NULL;
    ASTER_TRY(aster_str_ok(run->ctx, lines));
    if (!lines->len)
        return 0;
    ASTER_TRY(aster_run_path(run, "failed_items.tsv", &path));
    int rc = 0;
    FILE *f = fopen(path, "a");
    bool bad = !f;
    if (f) {
        bad = fseek(f, 0, SEEK_END) || (ftell(f) == 0 && fputs(HEAD, f) < 0) ||
              fwrite(lines->s, 1, lines->len, f) != lines->len;
        bad = fclose(f) || bad;
    }
    if (bad)
        rc = aster_fail(run->ctx, ASTER_EIO, "%s: cannot be written: %s", path, strerror(errno));
    aster_free(&path);
    return rc;
}
