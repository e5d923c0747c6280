/* SPDX-License-Identifier: BSD-3-Clause */
/* The folder of a run: found or made, and held by one process at a time. */
#include "flow/internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* Highest NNN of the folders run_NNN in parent; 0 if there is none. */
static int64_t highest_run(const char *parent)
{
    int64_t highest = 0, n;
    DIR *d = opendir(parent);
    if (!d)
        return 0;
    for (struct dirent *e; (e = readdir(d));)
        if (!strncmp(e->d_name, "run_", 4) &&
            strspn(e->d_name + 4, "0123456789") == strlen(e->d_name + 4) &&
            aster_parse_i64(e->d_name + 4, &n) == 0)
            highest = aster_max64(highest, n);
    closedir(d);
    return highest;
}

static int folder_name(struct aster_run *run, const char *parent, int64_t number)
{
    struct aster_str s = {0};
    aster_str_printf(&s, "%s/run_%03lld", parent, (long long)number);
    aster_free(&run->dir);
    int rc = aster_str_ok(run->ctx, &s);
    if (rc == 0)
        rc = aster_strdup(run->ctx, s.s, &run->dir);
    aster_str_free(&s);
    return rc;
}

/* The next number: mkdir is what makes it ours, whoever else counts at the same time. */
static int make_numbered(struct aster_run *run, const char *parent)
{
    ASTER_TRY(aster_mkdirs(run->ctx, parent));
    for (int64_t n = highest_run(parent) + 1;; n++) {
        ASTER_TRY(folder_name(run, parent, n));
        if (mkdir(run->dir, 0777) == 0)
            return 0;
        if (errno != EEXIST)
            return aster_fail(run->ctx, ASTER_EIO, "%s: cannot make this folder: %s", run->dir,
                              strerror(errno));
    }
}

static int choose_folder(struct aster_run *run)
{
    if (run->opt->out) {
        ASTER_TRY(aster_strdup(run->ctx, run->opt->out, &run->dir));
        return aster_mkdirs(run->ctx, run->dir);
    }
    struct aster_str parent = {0};
    aster_str_printf(&parent, "runs/%s", run->spec->name);
    int rc = aster_str_ok(run->ctx, &parent);
    int64_t last = rc == 0 && run->opt->resume ? highest_run(parent.s) : 0;
    if (rc == 0 && run->opt->resume && last == 0)
        rc = aster_fail(
            run->ctx, ASTER_EPARAM,
            "%s: there is no run to resume here; --out names the folder of one elsewhere",
            parent.s);
    else if (rc == 0)
        rc = last ? folder_name(run, parent.s, last) : make_numbered(run, parent.s);
    aster_str_free(&parent);
    return rc;
}

static int lock_folder(struct aster_run *run)
{
    char *path = NULL, owner[64] = "";
    ASTER_TRY(aster_run_path(run, "lock", &path));
    int rc = 0;
    run->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (run->lock < 0) {
        rc = aster_fail(run->ctx, ASTER_EIO, "%s: cannot be opened: %s", path, strerror(errno));
    } else if (flock(run->lock, LOCK_EX | LOCK_NB) < 0) {
        ssize_t n = read(run->lock, owner, sizeof owner - 1);
        owner[n > 0 ? n : 0] = '\0';
        owner[strcspn(owner, "\n")] = '\0';
        rc =
            errno != EWOULDBLOCK
                ? aster_fail(run->ctx, ASTER_EIO, "%s: cannot be locked: %s", path, strerror(errno))
                : aster_fail(run->ctx, ASTER_EEXIST,
                             "%s is in use by another run (%s); wait for it, or give another --out",
                             run->dir, *owner ? owner : "unknown process");
        close(run->lock);
        run->lock = -1;
    } else {
        int n = snprintf(owner, sizeof owner, "process %ld\n", (long)getpid());
        if (ftruncate(run->lock, 0) < 0 || pwrite(run->lock, owner, (size_t)n, 0) != n)
            rc =
                aster_fail(run->ctx, ASTER_EIO, "%s: cannot be written: %s", path, strerror(errno));
    }
    aster_free(&path);
    return rc;
}

int aster_rundir_take(struct aster_run *run)
{
    char *path = NULL;
    ASTER_TRY(choose_folder(run));
    ASTER_TRY(lock_folder(run));
    ASTER_TRY(aster_run_path(run, "run.yaml", &path));
    bool used = aster_file_exists(path);
    aster_free(&path);
    if (used && !run->opt->resume)
        return aster_fail(run->ctx, ASTER_EEXIST,
                          "%s already holds a run; resume it with --resume, or give another --out",
                          run->dir);
    run->resumed = used;
    return 0;
}

void aster_rundir_leave(struct aster_run *run)
{
    if (run->lock >= 0)
        close(run->lock);
    run->lock = -1;
}
