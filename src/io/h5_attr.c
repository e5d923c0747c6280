/* SPDX-License-Identifier: BSD-3-Clause */
/* HDF5 attributes: numbers and text. */
#include "io/h5_internal.h"

#include <stdlib.h>
#include <string.h>

/* Sets or replaces. stored and memory belong to the
 * library or to the caller, who holds the lock. */
static int set(struct aster_h5 *f, const char *object, const char *name, hid_t stored, hid_t memory,
               const void *value)
{
    aster_h5_lock();
    hid_t o = H5Oopen(f->id, object, H5P_DEFAULT), space = H5Screate(H5S_SCALAR);
    if (o >= 0 && H5Aexists(o, name) > 0)
        H5Adelete(o, name);
    hid_t a = o < 0 ? -1 : H5Acreate2(o, name, stored, space, H5P_DEFAULT, H5P_DEFAULT);
    int rc = a < 0 || H5Awrite(a, memory, value) < 0
                 ? aster_h5_fail(f, name, "this attribute cannot be written")
                 : 0;
    if (a >= 0)
        H5Aclose(a);
    H5Sclose(space);
    if (o >= 0)
        H5Oclose(o);
    aster_h5_unlock();
    return rc;
}

int aster_h5_attr_set_i64(struct aster_h5 *f, const char *object, const char *name, int64_t v)
{
    aster_h5_lock();
    int rc = set(f, object, name, H5T_STD_I64LE, H5T_NATIVE_INT64, &v);
    aster_h5_unlock();
    return rc;
}

int aster_h5_attr_set_f64(struct aster_h5 *f, const char *object, const char *name, double v)
{
    aster_h5_lock();
    int rc = set(f, object, name, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, &v);
    aster_h5_unlock();
    return rc;
}

int aster_h5_attr_set_str(struct aster_h5 *f, const char *object, const char *name, const char *v)
{
    aster_h5_lock();
    hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, strlen(v) + 1);
    H5Tset_cset(type, H5T_CSET_UTF8);
    int rc = set(f, object, name, type, type, v);
    H5Tclose(type);
    aster_h5_unlock();
    return rc;
}

static hid_t open_attr(const struct aster_h5 *f, const char *object, const char *name)
{
    return H5Aexists_by_name(f->id, object, name, H5P_DEFAULT) > 0
               ? H5Aopen_by_name(f->id, object, name, H5P_DEFAULT, H5P_DEFAULT)
               : -1;
}

bool aster_h5_attr_has(const struct aster_h5 *f, const char *object, const char *name)
{
    aster_h5_lock();
    bool there = H5Aexists_by_name(f->id, object, name, H5P_DEFAULT) > 0;
    H5Eclear2(H5E_DEFAULT);
    aster_h5_unlock();
    return there;
}

/* n numbers, as integers or doubles; a text, another
 * count or a fraction for an integer is refused */
static int get(struct aster_h5 *f, const char *object, const char *name, bool integer, int64_t n,
               void *out)
{
    int rc = 0;
    aster_h5_lock();
    hid_t memory = integer ? H5T_NATIVE_INT64 : H5T_NATIVE_DOUBLE;
    hid_t a = open_attr(f, object, name), space = a < 0 ? -1 : H5Aget_space(a),
          type = a < 0 ? -1 : H5Aget_type(a);
    if (a < 0)
        rc = aster_fail(f->ctx, ASTER_EFORMAT, "%s: '%s' has no attribute '%s'", f->path, object,
                        name);
    else if (type < 0 || (H5Tget_class(type) != H5T_INTEGER && H5Tget_class(type) != H5T_FLOAT &&
                          H5Tget_class(type) != H5T_ENUM))
        rc = aster_fail(f->ctx, ASTER_EFORMAT, "%s: '%s': attribute '%s' is no number", f->path,
                        object, name);
    else if (integer && H5Tget_class(type) == H5T_FLOAT)
        rc = aster_fail(f->ctx, ASTER_EFORMAT, "%s: '%s': attribute '%s' is no integer", f->path,
                        object, name);
    else if (H5Sget_simple_extent_npoints(space) != n)
        rc = aster_fail(f->ctx, ASTER_EFORMAT,
                        "%s: '%s': attribute '%s' has %lld values, %lld are expected", f->path,
                        object, name, (long long)H5Sget_simple_extent_npoints(space), (long long)n);
    else if (H5Aread(a, memory, out) < 0)
        rc = aster_h5_fail(f, name, "this attribute cannot be read");
    if (type >= 0)
        H5Tclose(type);
    if (space >= 0)
        H5Sclose(space);
    if (a >= 0)
        H5Aclose(a);
    aster_h5_unlock();
    return rc;
}

int aster_h5_attr_i64(struct aster_h5 *f, const char *object, const char *name, int64_t *v)
{
    return get(f, object, name, true, 1, v);
}

int aster_h5_attr_f64(struct aster_h5 *f, const char *object, const char *name, double *v)
{
    return get(f, object, name, false, 1, v);
}

int aster_h5_attr_f64s(struct aster_h5 *f, const char *object, const char *name, int64_t n,
                       double *v)
{
    return get(f, object, name, false, n, v);
}

int aster_h5_attr_str(struct aster_h5 *f, const char *object, const char *name, char **v)
{
    int rc = 0;
    *v = NULL;
    aster_h5_lock();
    hid_t a = open_attr(f, object, name), type = a < 0 ? -1 : H5Aget_type(a),
          space = a < 0 ? -1 : H5Aget_space(a);
    size_t size = type < 0 ? 0 : H5Tget_size(type);
    if (a < 0) {
        rc = aster_fail(f->ctx, ASTER_EFORMAT, "%s: '%s' has no attribute '%s'", f->path, object,
                        name);
    } else if (type < 0 || H5Tget_class(type) != H5T_STRING ||
               H5Sget_simple_extent_npoints(space) != 1) {
        rc = aster_fail(f->ctx, ASTER_EFORMAT, "%s: '%s': attribute '%s' is no text", f->path,
                        object, name);
    } else if (H5Tis_variable_str(type) > 0) {
        char *text = NULL;
        if (H5Aread(a, type, &text) < 0)
            rc = aster_h5_fail(f, name, "this attribute cannot be read");
        else
            rc = aster_strdup(f->ctx, text ? text : "", v);
        H5free_memory(text);
    } else if (size > (64u << 20)) {
        rc = aster_fail(f->ctx, ASTER_ELIMIT, "%s: '%s': attribute '%s' has %zu bytes", f->path,
                        object, name, size);
    } else {
        rc = aster_alloc(f->ctx, (int64_t)size + 1, 1, v);
        if (rc == 0 && H5Aread(a, type, *v) < 0)
            rc = aster_h5_fail(f, name, "this attribute cannot be read");
    }
    if (space >= 0)
        H5Sclose(space);
    if (type >= 0)
        H5Tclose(type);
    if (a >= 0)
        H5Aclose(a);
    aster_h5_unlock();
    if (rc < 0)
        aster_free(v);
    return rc;
}
