/* SPDX-License-Identifier: BSD-3-Clause */
/* Text files beside their place. */
#include "flow/textfile.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static int refused(const struct aster_textfile *t, const char *what)
{
    return aster_fail(t->ctx, ASTER_EIO, "%s.tmp: cannot be %s: %s", t->path, what,
                      strerror(errno));
}

int aster_textfile_open(const struct aster_run *run, const char *name, struct aster_textfile *t)
{
    struct aster_str tmp = {0};
    *t = (struct aster_textfile){.ctx = run->ctx};
    ASTER_TRY(aster_run_path(run, name, &t->path));
    aster_str_printf(&tmp, "%s.tmp", t->path);
    int rc = aster_str_ok(t->ctx, &tmp);
    if (rc == 0) {
        t->file = fopen(tmp.s, "wb");
        if (!t->file)
            rc = refused(t, "made");
    }
    aster_str_free(&tmp);
    return rc;
}

int aster_textfile_flush(struct aster_textfile *t)
{
    if (!t->file)
        return 0;
    ASTER_TRY(aster_str_ok(t->ctx, &t->buffer));
    size_t n = t->buffer.len;
    if (n && fwrite(t->buffer.s, 1, n, t->file) != n)
        return refused(t, "written");
    aster_str_free(&t->buffer);
    return 0;
}

int aster_textfile_commit(struct aster_textfile *t)
{
    struct aster_str tmp = {0};
    if (!t->file)
        return 0;
    int rc = aster_textfile_flush(t);
    if (rc == 0 && (fflush(t->file) || fsync(fileno(t->file))))
        rc = refused(t, "written");
    if (fclose(t->file) && rc == 0)
        rc = refused(t, "written");
    t->file = NULL;
    aster_str_printf(&tmp, "%s.tmp", t->path);
    if (rc == 0)
        rc = aster_str_ok(t->ctx, &tmp);
    if (rc == 0 && rename(tmp.s, t->path))
        rc = aster_fail(t->ctx, ASTER_EIO, "%s: cannot be put in place: %s", t->path,
                        strerror(errno));
    aster_str_free(&tmp);
    return rc;
}

void aster_textfile_free(struct aster_textfile *t)
{
    if (t->file)
        fclose(t->file);
    t->file = NULL;
    aster_str_free(&t->buffer);
    aster_free(&t->path);
}
