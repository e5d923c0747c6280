/* SPDX-License-Identifier: BSD-3-Clause */
/* HDF5 behind one lock: files and datasets. Every size in a file is checked before memory is asked for. */
#include "io/h5_internal.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DATASET_LIMIT (1LL << 40)

static pthread_mutex_t lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;

void aster_h5_lock(void)
{
    pthread_mutex_lock(&lock);
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

void aster_h5_unlock(void)
{
    pthread_mutex_unlock(&lock);
}

static herr_t innermost(unsigned n, const H5E_error2_t *e, void *text)
{
    if (n == 0)
        snprintf(text, 200, "%s", e->desc ? e->desc : "");
    return 0;
}

int aster_h5_fail(const struct aster_h5 *f, const char *name, const char *what)
{
    char why[200] = "";
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, innermost, why);
    int rc = aster_fail(f->ctx, f->writing ? ASTER_EIO : ASTER_EFORMAT, "%s: %s%s%s%s%s%s", f->path, name ? "'" : "", name ? name : "",
                        name ? "': " : "", what, *why ? ": " : "", why);
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

static hid_t file_type(enum aster_dtype t)
{
    switch (t) {
    case ASTER_F32:
        return H5T_IEEE_F32LE;
    case ASTER_F64:
        return H5T_IEEE_F64LE;
    case ASTER_BF16:
        return H5T_STD_U16LE;
    case ASTER_I32:
        return H5T_STD_I32LE;
    case ASTER_I64:
        return H5T_STD_I64LE;
    default:
        return H5T_STD_U8LE;
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
        return aster_fail(ctx, ASTER_EFORMAT, "%s: is no HDF5 file (%s)", path, n == 0 ? "it is empty" : "its first bytes are others");
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
    (*out)->id = H5Fcreate((*out)->tmp, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    int rc = (*out)->id < 0 ? aster_h5_fail(*out, NULL, "cannot be made") : 0;
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
    if (H5Fclose(f->id) < 0 && rc == 0)
        rc = aster_h5_fail(f, NULL, "cannot be written");
    f->id = -1;
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
    if (f->id >= 0) {
        aster_h5_lock();
        H5Fclose(f->id);
        aster_h5_unlock();
    }
    if (f->tmp)
        unlink(f->tmp);
    aster_free(&f->tmp);
    aster_free(&f->path);
    aster_free(fp);
}

/* Every part of the path exists (H5Lexists wants each in turn). */
static bool exists(hid_t file, const char *name)
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
    bool there = exists(f->id, name);
    H5Eclear2(H5E_DEFAULT);
    aster_h5_unlock();
    return there;
}

/* ---- names ---- */

struct name_list { struct aster_ctx *ctx; char **names; int64_t n, cap; int rc; };

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
    hid_t g = exists(f->id, group) ? H5Gopen2(f->id, group, H5P_DEFAULT) : -1;
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

/* ---- reading ---- */

static int shape_of(struct aster_h5 *f, const char *name, hid_t d, struct aster_h5_shape *out)
{
    *out = (struct aster_h5_shape){.n = 1};
    hid_t space = H5Dget_space(d), type = H5Dget_type(d);
    hsize_t dim[H5S_MAX_RANK];
    int rc = 0, rank = space < 0 ? -1 : H5Sget_simple_extent_ndims(space);
    if (rank < 0 || type < 0 || H5Sget_simple_extent_dims(space, dim, NULL) < 0)
        rc = aster_h5_fail(f, name, "its shape or type cannot be read");
    else if (rank > 8)
        rc = aster_fail(f->ctx, ASTER_EFORMAT, "%s: '%s': rank %d, at most 8 is expected", f->path, name, rank);
    for (int k = 0; rc == 0 && k < rank; k++) {
        if (dim[k] > (hsize_t)DATASET_LIMIT || (dim[k] && out->n > DATASET_LIMIT / (int64_t)dim[k]))
            rc = aster_fail(f->ctx, ASTER_ELIMIT, "%s: '%s': more than 2^40 elements", f->path, name);
        else
            out->n *= out->dim[k] = (int64_t)dim[k];
    }
    out->rank = rank;
    if (rc == 0 && H5Sget_simple_extent_type(space) == H5S_NULL)
        out->n = 0;
    if (rc == 0) {
        size_t size = H5Tget_size(type);
        switch (H5Tget_class(type)) {
        case H5T_FLOAT:
            out->dtype = size <= 4 ? ASTER_F32 : ASTER_F64;
            break;
        case H5T_INTEGER:
            out->dtype = size == 1 ? ASTER_U8 : size <= 4 ? ASTER_I32 : ASTER_I64;
            break;
        case H5T_STRING:
            out->is_string = true;
            out->string_size = H5Tis_variable_str(type) > 0 ? -1 : (int64_t)size;
            break;
        default:
            rc = aster_fail(f->ctx, ASTER_EFORMAT, "%s: '%s': is neither numbers nor text", f->path, name);
        }
    }
    if (type >= 0)
        H5Tclose(type);
    if (space >= 0)
        H5Sclose(space);
    return rc;
}

/* Bytes of an element in the file; a variable-length text is a length, an address and an index there. */
static int64_t stored_size(const struct aster_h5 *f, hid_t d, const struct aster_h5_shape *s)
{
    size_t address = 8, length;
    if (s->is_string && s->string_size < 0) {
        hid_t p = H5Fget_create_plist(f->id);
        if (p >= 0) {
            H5Pget_sizes(p, &address, &length);
            H5Pclose(p);
        }
        return 8 + (int64_t)address;
    }
    hid_t type = H5Dget_type(d);
    int64_t size = type < 0 ? 0 : (int64_t)H5Tget_size(type);
    H5Tclose(type);
    return size;
}

/* Data in one piece must be as long as the shape says: the library reads on beyond a shorter one. */
static int check_storage(struct aster_h5 *f, const char *name, hid_t d, const struct aster_h5_shape *s)
{
    int64_t need = 0;
    hid_t p = H5Dget_create_plist(d);
    H5D_layout_t layout = p < 0 ? H5D_LAYOUT_ERROR : H5Pget_layout(p);
    if (p >= 0)
        H5Pclose(p);
    if (layout != H5D_COMPACT && layout != H5D_CONTIGUOUS)
        return layout < 0 ? aster_h5_fail(f, name, "its layout cannot be read") : 0;
    ASTER_TRY(aster_mul(f->ctx, s->n, stored_size(f, d, s), &need));
    int64_t there = (int64_t)H5Dget_storage_size(d);
    if (there < need && (there > 0 || layout == H5D_COMPACT)) /* 0 bytes: never written, all fill values */
        return aster_fail(f->ctx, ASTER_EFORMAT, "%s: '%s': its shape needs %lld bytes of data, there are %lld", f->path, name, (long long)need,
                          (long long)there);
    return 0;
}

static int open_dataset(struct aster_h5 *f, const char *name, hid_t *d, struct aster_h5_shape *shape)
{
    bool there = exists(f->id, name);
    *d = there ? H5Dopen2(f->id, name, H5P_DEFAULT) : -1;
    if (*d < 0)
        return aster_h5_fail(f, name, there ? "cannot be opened as a dataset" : "no dataset of this name");
    int rc = shape_of(f, name, *d, shape);
    if (rc == 0)
        rc = check_storage(f, name, *d, shape);
    if (rc < 0)
        H5Dclose(*d);
    return rc;
}

int aster_h5_shape(struct aster_h5 *f, const char *name, struct aster_h5_shape *out)
{
    hid_t d;
    aster_h5_lock();
    int rc = open_dataset(f, name, &d, out);
    if (rc == 0)
        H5Dclose(d);
    aster_h5_unlock();
    return rc;
}

/* A value that an integer cannot hold ends the reading; the library's default would clip it. */
static H5T_conv_ret_t on_exception(H5T_conv_except_t kind, hid_t from, hid_t to, void *value, void *room, void *arg)
{
    (void)from;
    (void)to;
    (void)value;
    (void)room;
    *(bool *)arg |= kind != H5T_CONV_EXCEPT_PRECISION;
    return kind == H5T_CONV_EXCEPT_PRECISION ? H5T_CONV_UNHANDLED : H5T_CONV_ABORT;
}

/* Reads what from selects (H5S_ALL: everything) as numbers of type t. */
static int read_numbers(struct aster_h5 *f, const char *name, hid_t d, hid_t to, hid_t from, enum aster_dtype t, void *out)
{
    bool integer = t != ASTER_F32 && t != ASTER_F64, refused = false;
    int rc = 0;
    hid_t type = H5Dget_type(d), how = integer ? H5Pcreate(H5P_DATASET_XFER) : H5P_DEFAULT;
    if (t == ASTER_BF16 && (H5Tget_class(type) != H5T_INTEGER || H5Tget_size(type) != 2 || H5Tget_sign(type) != H5T_SGN_NONE))
        rc = aster_fail(f->ctx, ASTER_EFORMAT, "%s: '%s': bf16 is kept as unsigned 16-bit integers; this is another type", f->path, name);
    else if (how < 0 || (integer && H5Pset_type_conv_cb(how, on_exception, &refused) < 0) ||
             H5Dread(d, aster_h5_memory_type(t), to, from, how, out) < 0)
        rc = refused ? aster_fail(f->ctx, ASTER_EFORMAT, "%s: '%s': has a value that %s cannot hold", f->path, name, aster_dtype_name(t))
                     : aster_h5_fail(f, name, "cannot be read");
    H5Eclear2(H5E_DEFAULT);
    if (type >= 0)
        H5Tclose(type);
    if (integer && how >= 0)
        H5Pclose(how);
    return rc;
}

/* What the file can hold bounds what is allocated: a chunked dataset may claim far more than was written. */
static int believable(struct aster_h5 *f, const char *name, const struct aster_h5_shape *s, int64_t bytes)
{
    hsize_t size = 0;
    H5Fget_filesize(f->id, &size);
    if (bytes > (1LL << 30) && (double)bytes > 2000.0 * (double)size)
        return aster_fail(f->ctx, ASTER_ELIMIT, "%s: '%s': claims %lld elements in a file of %lld bytes", f->path, name, (long long)s->n,
                          (long long)size);
    return 0;
}

int aster_h5_read(struct aster_h5 *f, const char *name, enum aster_dtype t, int64_t n, void *out_pointer)
{
    struct aster_h5_shape s;
    void *data = NULL;
    hid_t d;
    aster_h5_lock();
    int rc = open_dataset(f, name, &d, &s);
    if (rc < 0)
        goto unlock;
    if (s.is_string)
        rc = aster_fail(f->ctx, ASTER_EFORMAT, "%s: '%s': is text, numbers are expected", f->path, name);
    else if (n >= 0 && s.n != n)
        rc = aster_fail(f->ctx, ASTER_EFORMAT, "%s: '%s': %lld elements, %lld are expected", f->path, name, (long long)s.n, (long long)n);
    if (rc == 0)
        rc = believable(f, name, &s, s.n * aster_dtype_size(t));
    if (rc == 0)
        rc = aster_alloc(f->ctx, s.n, (size_t)aster_dtype_size(t), &data);
    if (rc == 0 && s.n)
        rc = read_numbers(f, name, d, H5S_ALL, H5S_ALL, t, data);
    H5Dclose(d);
unlock:
    aster_h5_unlock();
    if (rc < 0)
        aster_free(&data);
    memcpy(out_pointer, &data, sizeof data);
    return rc;
}

int aster_h5_read_rows(struct aster_h5 *f, const char *name, enum aster_dtype t, int64_t first, int64_t count, void *out)
{
    struct aster_h5_shape s;
    hid_t d;
    aster_h5_lock();
    int rc = open_dataset(f, name, &d, &s);
    if (rc < 0)
        goto unlock;
    if (s.is_string || s.rank < 1)
        rc = aster_fail(f->ctx, ASTER_EFORMAT, "%s: '%s': rows of numbers are expected", f->path, name);
    else if (first < 0 || count < 0 || first > s.dim[0] - count)
        rc = aster_fail(f->ctx, ASTER_EFORMAT, "%s: '%s': %lld rows from row %lld on, there are %lld", f->path, name, (long long)count,
                        (long long)first, (long long)s.dim[0]);
    if (rc == 0 && count) {
        hsize_t start[8] = {0}, n[8];
        for (int k = 0; k < s.rank; k++)
            n[k] = (hsize_t)s.dim[k];
        start[0] = (hsize_t)first;
        n[0] = (hsize_t)count;
        hid_t from = H5Dget_space(d), to = H5Screate_simple(s.rank, n, NULL);
        if (from < 0 || to < 0 || H5Sselect_hyperslab(from, H5S_SELECT_SET, start, NULL, n, NULL) < 0)
            rc = aster_h5_fail(f, name, "rows cannot be read");
        else
            rc = read_numbers(f, name, d, to, from, t, out);
        if (from >= 0)
            H5Sclose(from);
        if (to >= 0)
            H5Sclose(to);
    }
    H5Dclose(d);
unlock:
    aster_h5_unlock();
    return rc;
}

static int read_fixed(struct aster_h5 *f, const char *name, hid_t d, const struct aster_h5_shape *s, char **list)
{
    char *bytes = NULL;
    int64_t total = 0;
    ASTER_TRY(aster_mul(f->ctx, s->n, s->string_size, &total));
    ASTER_TRY(believable(f, name, s, total));
    ASTER_TRY(aster_alloc(f->ctx, total, 1, &bytes));
    hid_t type = H5Dget_type(d);
    int rc = H5Dread(d, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, bytes) < 0 ? aster_h5_fail(f, name, "cannot be read") : 0;
    H5Tclose(type);
    for (int64_t k = 0; rc == 0 && k < s->n; k++)
        rc = aster_strndup(f->ctx, bytes + k * s->string_size, (size_t)s->string_size, &list[k]);
    aster_free(&bytes);
    return rc;
}

static int read_variable(struct aster_h5 *f, const char *name, hid_t d, const struct aster_h5_shape *s, char **list)
{
    char **text = NULL;
    ASTER_TRY(aster_alloc(f->ctx, s->n, sizeof *text, &text));
    hid_t type = H5Dget_type(d), space = H5Dget_space(d);
    int rc = H5Dread(d, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, text) < 0 ? aster_h5_fail(f, name, "cannot be read") : 0;
    for (int64_t k = 0; rc == 0 && k < s->n; k++)
        rc = aster_strdup(f->ctx, text[k] ? text[k] : "", &list[k]);
    H5Dvlen_reclaim(type, space, H5P_DEFAULT, text);
    H5Tclose(type);
    H5Sclose(space);
    aster_free(&text);
    return rc;
}

int aster_h5_read_strings(struct aster_h5 *f, const char *name, char ***out, int64_t *n)
{
    struct aster_h5_shape s;
    hid_t d;
    *out = NULL;
    *n = 0;
    aster_h5_lock();
    int rc = open_dataset(f, name, &d, &s);
    if (rc < 0)
        goto unlock;
    if (!s.is_string)
        rc = aster_fail(f->ctx, ASTER_EFORMAT, "%s: '%s': is numbers, text is expected", f->path, name);
    if (rc == 0)
        rc = believable(f, name, &s, s.n * 16);
    if (rc == 0)
        rc = aster_alloc(f->ctx, s.n, sizeof **out, out);
    if (rc == 0 && s.n)
        rc = s.string_size < 0 ? read_variable(f, name, d, &s, *out) : read_fixed(f, name, d, &s, *out);
    H5Dclose(d);
    *n = s.n;
unlock:
    aster_h5_unlock();
    if (rc < 0) {
        aster_h5_names_free(out, *out ? s.n : 0);
        *n = 0;
    }
    return rc;
}

/* ---- writing ---- */

static hid_t links_with_groups(void)
{
    hid_t l = H5Pcreate(H5P_LINK_CREATE);
    H5Pset_create_intermediate_group(l, 1);
    return l;
}

static int write_typed(struct aster_h5 *f, const char *name, hid_t stored, hid_t memory, int rank, const int64_t *dim, const void *data)
{
    hsize_t n[8];
    bool empty = false;
    for (int k = 0; k < rank && k < 8; k++) {
        n[k] = (hsize_t)dim[k];
        empty |= dim[k] == 0;
    }
    hid_t links = links_with_groups(), space = rank ? H5Screate_simple(rank, n, NULL) : H5Screate(H5S_SCALAR);
    hid_t d = space < 0 ? -1 : H5Dcreate2(f->id, name, stored, space, links, H5P_DEFAULT, H5P_DEFAULT);
    int rc = d < 0 || (!empty && H5Dwrite(d, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) < 0) ? aster_h5_fail(f, name, "cannot be written") : 0;
    if (d >= 0)
        H5Dclose(d);
    if (space >= 0)
        H5Sclose(space);
    H5Pclose(links);
    return rc;
}

int aster_h5_write(struct aster_h5 *f, const char *name, enum aster_dtype t, int rank, const int64_t *dim, const void *data)
{
    if (rank < 0 || rank > 8)
        return aster_fail(f->ctx, ASTER_EBUG, "%s: '%s': rank %d", f->path, name, rank);
    aster_h5_lock();
    int rc = write_typed(f, name, file_type(t), aster_h5_memory_type(t), rank, dim, data);
    aster_h5_unlock();
    return rc;
}

int aster_h5_write_strings(struct aster_h5 *f, const char *name, int64_t n, const char *const *s)
{
    aster_h5_lock();
    hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, H5T_VARIABLE);
    H5Tset_cset(type, H5T_CSET_UTF8);
    int rc = write_typed(f, name, type, type, 1, &n, s);
    H5Tclose(type);
    aster_h5_unlock();
    return rc;
}

/* The first rows appended foretell the rest: a chunk holds as many, from 16 KiB to 1 MiB. */
static hid_t make_appendable(struct aster_h5 *f, const char *name, enum aster_dtype t, int64_t n_rows, int64_t row_n)
{
    int64_t row_bytes = row_n * aster_dtype_size(t), least = (16 << 10) / row_bytes, most = (1 << 20) / row_bytes;
    hsize_t zero[2] = {0, (hsize_t)row_n}, grown[2] = {H5S_UNLIMITED, (hsize_t)row_n};
    hsize_t chunk[2] = {(hsize_t)aster_max64(1, aster_min64(most, aster_max64(least, n_rows))), (hsize_t)row_n};
    hid_t links = links_with_groups(), space = H5Screate_simple(row_n == 1 ? 1 : 2, zero, grown), create = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_chunk(create, row_n == 1 ? 1 : 2, chunk);
    hid_t d = H5Dcreate2(f->id, name, file_type(t), space, links, create, H5P_DEFAULT);
    H5Pclose(create);
    H5Sclose(space);
    H5Pclose(links);
    return d;
}

int aster_h5_append(struct aster_h5 *f, const char *name, enum aster_dtype t, int64_t n_rows, int64_t row_n, const void *data)
{
    struct aster_h5_shape s = {0};
    int rc = 0, rank = row_n == 1 ? 1 : 2;
    if (row_n < 1 || n_rows < 0 || row_n > INT64_MAX / 8)
        return aster_fail(f->ctx, ASTER_EBUG, "%s: '%s': %lld rows of %lld elements to append", f->path, name, (long long)n_rows, (long long)row_n);
    aster_h5_lock();
    hid_t d = exists(f->id, name) ? H5Dopen2(f->id, name, H5P_DEFAULT) : make_appendable(f, name, t, n_rows, row_n);
    if (d < 0) {
        rc = aster_h5_fail(f, name, "cannot be made");
    } else if ((rc = shape_of(f, name, d, &s)) == 0 && (s.rank != rank || (rank == 2 && s.dim[1] != row_n))) {
        rc = aster_fail(f->ctx, ASTER_EBUG, "%s: '%s': rows of %lld, %lld were appended", f->path, name, (long long)(s.rank == 2 ? s.dim[1] : 1),
                        (long long)row_n);
    } else if (rc == 0 && n_rows > 0) {
        hsize_t size[2] = {(hsize_t)(s.dim[0] + n_rows), (hsize_t)row_n}, start[2] = {(hsize_t)s.dim[0], 0}, n[2] = {(hsize_t)n_rows, (hsize_t)row_n};
        hid_t to = -1, from = H5Screate_simple(rank, n, NULL);
        if (H5Dset_extent(d, size) < 0 || (to = H5Dget_space(d)) < 0 || H5Sselect_hyperslab(to, H5S_SELECT_SET, start, NULL, n, NULL) < 0 ||
            H5Dwrite(d, aster_h5_memory_type(t), from, to, H5P_DEFAULT, data) < 0)
            rc = aster_h5_fail(f, name, "cannot be appended to");
        if (to >= 0)
            H5Sclose(to);
        H5Sclose(from);
    }
    if (d >= 0)
        H5Dclose(d);
    aster_h5_unlock();
    return rc;
}
