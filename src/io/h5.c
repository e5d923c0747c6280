/* SPDX-License-Identifier: BSD-3-Clause */
/* HDF5 behind one lock: the file, its groups, the library's errors as our messages. */
#include "io/h5_internal.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;

static bool gave_up; /* a file that was being written */

/* The library's end closes what is open, and crashes on a file that cannot be written. */
static void end_library(void)
{
    if (!gave_up)
        H5close();
}

void aster_h5_lock(void)
{
    static bool begun;
    pthread_mutex_lock(&lock);
    if (!begun && H5dont_atexit() >= 0)
        atexit(end_library);
    begun = true;
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

void aster_h5_unlock(void)
{
    pthread_mutex_unlock(&lock);
}

/* The library tells what the system said in the middle of names, times and addresses. */
static herr_t innermost(unsigned n, const H5E_error2_t *e, void *text)
{
    static const char mark[] = "error message = '";
    const char *desc = e->desc ? e->desc : "", *said = strstr(desc, mark);
    if (n > 0)
        return 0;
    if (said)
        desc = said + sizeof mark - 1;
    snprintf(text, 200, "%.*s",
             ASTER_CUT(said ? (int)aster_min64((int64_t)strcspn(desc, "'"), 199) : 199, desc));
    return 0;
}

int aster_h5_fail(const struct aster_h5 *f, const char *name, const char *what)
{
    char why[200] = "";
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, innermost, why);
    int rc = aster_fail(f->ctx, f->writing ? ASTER_EIO : ASTER_EFORMAT, "%s: %s%s%s%s%s%s", f->path,
                        name ? "'" : "", name ? name : "", name ? "': " : "", what,
                        *why ? ": " : "", why);
    H5Eclear2(H5E_DEFAULT);
    return rc;
}

hid_t aster_h5_memory_type(enum aster_dtype t)
{
    switch (t) {
    case ASTER_F32:
        return H5T_NATIVE_FLOAT;
    case ASTER_F64:
        return H5T_NATIVE_DOUBLE;
    case ASTER_BF16:
        return H5T_NATIVE_UINT16;
    case ASTER_I32:
        return H5T_NATIVE_INT32;
    case ASTER_I64:
        return H5T_NATIVE_INT64;
    default:
        return H5T_NATIVE_UINT8;
    }
}

static int h5_new(struct aster_ctx *ctx, const char *path, bool writing, struct aster_h5 **out)
{
    ASTER_TRY(aster_alloc(ctx, 1, sizeof **out, out));
    struct aster_h5 *f = *out;
    f->ctx = ctx;
    f->writing = writing;
    f->id = -1;
    int rc = aster_strdup(ctx, path, &f->path);
    if (rc == 0 && writing) {
        rc = aster_alloc(ctx, (int64_t)strlen(path) + 8, 1, &f->tmp);
        if (rc == 0)
            snprintf(f->tmp, strlen(path) + 8, "%s.tmp", path);
    }
    if (rc < 0)
        aster_h5_close(out);
    return rc;
}

int aster_h5_open(struct aster_ctx *ctx, const char *path, struct aster_h5 **out)
{
    FILE *probe = fopen(path, "rb");
    *out = NULL;
    if (!probe)
        return aster_fail(ctx, ASTER_EIO, "%s: cannot be read: %s", path, strerror(errno));
    unsigned char head[8];
    size_t n = fread(head, 1, 8, probe);
    int why = ferror(probe) ? errno : 0;
    fclose(probe);
    if (why)
        return aster_fail(ctx, ASTER_EIO, "%s: cannot be read: %s", path, strerror(why));
    if (n < 8 || memcmp(head, "\x89HDF\r\n\x1a\n", 8))
        return aster_fail(ctx, ASTER_EFORMAT, "%s: is no HDF5 file (%s)", path,
                          n == 0 ? "it is empty" : "its first bytes are others");
    ASTER_TRY(h5_new(ctx, path, false, out));
    aster_h5_lock();
    (*out)->id = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    int rc = (*out)->id < 0 ? aster_h5_fail(*out, NULL, "cannot be opened as HDF5") : 0;
    aster_h5_unlock();
    if (rc < 0)
        aster_h5_close(out);
    return rc;
}

int aster_h5_create(struct aster_ctx *ctx, const char *path, struct aster_h5 **out)
{
    *out = NULL;
    ASTER_TRY(h5_new(ctx, path, true, out));
    FILE *probe = fopen((*out)->tmp, "wb");
    if (!probe) {
        int rc = aster_fail(ctx, ASTER_EIO, "%s: cannot be made: %s", (*out)->tmp, strerror(errno));
        aster_free(&(*out)->tmp);
        aster_h5_close(out);
        return rc;
    }
    fclose(probe);
    aster_h5_lock();
    /* in this version of the format all but the data itself has checksums */
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_libver_bounds(access, H5F_LIBVER_V110, H5F_LIBVER_LATEST);
    hid_t create = H5Pcreate(H5P_FILE_CREATE); /* no file tells when it was made: equal contents are
                                                  equal bytes */
    H5Pset_obj_track_times(create, false);
    errno = 0;
    (*out)->id = H5Fcreate((*out)->tmp, H5F_ACC_TRUNC, create, access);
    int why = errno, rc = 0;
    H5Pclose(create);
    H5Pclose(access);
    if ((*out)->id < 0)
        rc = aster_fail(ctx, ASTER_EIO, "%s: cannot be made: %s", (*out)->tmp,
                        why ? strerror(why) : "the HDF5 library refuses");
    H5Eclear2(H5E_DEFAULT);
    aster_h5_unlock();
    if (rc < 0)
        aster_h5_close(out);
    return rc;
}

int aster_h5_commit(struct aster_h5 **fp)
{
    struct aster_h5 *f = *fp;
    aster_h5_lock();
    bool bad = H5Fflush(f->id, H5F_SCOPE_GLOBAL) < 0;
    int rc = bad ? aster_h5_fail(f, NULL, "cannot be written") : 0;
    if (rc == 0) {
        if (H5Fclose(f->id) < 0)
            rc = aster_h5_fail(f, NULL, "cannot be written");
        f->id = -1;
    }
    aster_h5_unlock();
    if (rc == 0)
        rc = aster_file_commit(f->ctx, f->tmp, f->path);
    if (rc == 0)
        aster_free(&f->tmp);
    aster_h5_close(fp);
    return rc;
}

void aster_h5_close(struct aster_h5 **fp)
{
    struct aster_h5 *f = *fp;
    if (!f)
        return;
    /* A file that is given up stays open: closing it writes what is left, and where that fails the
     * library's memory is damaged. Cut to nothing it holds no space. */
    aster_h5_lock();
    gave_up |= f->tmp != NULL;
    if (f->id >= 0 && !f->tmp)
        H5Fclose(f->id);
    aster_h5_unlock();
    if (f->tmp && (truncate(f->tmp, 0) == 0 || errno != ENOENT))
        unlink(f->tmp);
    aster_free(&f->tmp);
    aster_free(&f->path);
    aster_free(fp);
}

bool aster_h5_exists(hid_t file, const char *name)
{
    char part[1024];
    size_t n = strlen(name);
    if (n == 0 || !strcmp(name, "/"))
        return true;
    if (n >= sizeof part)
        return false;
    for (size_t k = 1; k <= n; k++)
        if (name[k] == '/' || name[k] == '\0') {
            memcpy(part, name, k);
            part[k] = '\0';
            if (H5Lexists(file, part, H5P_DEFAULT) <= 0)
                return false;
        }
    return H5Oexists_by_name(file, name, H5P_DEFAULT) > 0;
}

bool aster_h5_has(const struct aster_h5 *f, const char *name)
{
    aster_h5_lock();
    bool there = aster_h5_exists(f->id, name);
    H5Eclear2(H5E_DEFAULT);
    aster_h5_unlock();
    return there;
}

/* ---- names ---- */

struct name_list {
    struct aster_ctx *ctx;
    char **names;
    int64_t n, cap;
    int rc;
};

static herr_t add_name(hid_t group, const char *name, const H5L_info_t *info, void *arg)
{
    struct name_list *l = arg;
    (void)group;
    (void)info;
    if (l->n >= 10000000)
        l->rc = aster_fail(l->ctx, ASTER_ELIMIT, "a group with more than ten million members");
    if (l->rc == 0)
        l->rc = aster_grow(l->ctx, l->n + 1, sizeof *l->names, &l->cap, &l->names);
    if (l->rc == 0)
        l->rc = aster_strdup(l->ctx, name, &l->names[l->n]);
    if (l->rc < 0)
        return -1;
    l->n++;
    return 0;
}

void aster_h5_names_free(char ***names, int64_t n)
{
    aster_strings_free(names, n);
}

int aster_h5_list(struct aster_h5 *f, const char *group, char ***names, int64_t *n)
{
    struct name_list l = {.ctx = f->ctx};
    int rc = 0;
    *names = NULL;
    *n = 0;
    aster_h5_lock();
    hid_t g = aster_h5_exists(f->id, group) ? H5Gopen2(f->id, group, H5P_DEFAULT) : -1;
    if (g < 0)
        rc = aster_h5_fail(f, group, "no group of this name");
    else if (H5Literate(g, H5_INDEX_NAME, H5_ITER_INC, NULL, add_name, &l) < 0)
        rc = l.rc < 0 ? l.rc : aster_h5_fail(f, group, "cannot be listed");
    if (g >= 0)
        H5Gclose(g);
    aster_h5_unlock();
    if (rc < 0) {
        aster_h5_names_free(&l.names, l.n);
        return rc;
    }
    *names = l.names;
    *n = l.n;
    return 0;
}
