/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading HDF5 datasets. Every size in a file is checked before memory is asked for. */
#include "io/h5_internal.h"

#include <string.h>

#define DATASET_LIMIT (1LL << 40)

/* The smallest of ours that holds every value of an integer type. */
static enum aster_dtype integer_type(size_t size, bool is_unsigned)
{
    if (size == 1 && is_unsigned)
        return ASTER_U8;
    return size < 4 || (size == 4 && !is_unsigned) ? ASTER_I32 : ASTER_I64;
}

int aster_h5_shape_of(struct aster_h5 *f, const char *name, hid_t d, struct aster_h5_shape *out)
{
    *out = (struct aster_h5_shape){.n = 1};
    hid_t space = H5Dget_space(d), type = H5Dget_type(d);
    hsize_t dim[H5S_MAX_RANK];
    int rc = 0, rank = space < 0 ? -1 : H5Sget_simple_extent_ndims(space);
    if (rank < 0 || type < 0 || H5Sget_simple_extent_dims(space, dim, NULL) < 0)
        rc = aster_h5_fail(f, name, "its shape or type cannot be read");
    else if (rank > 8)
        rc = aster_fail(f->ctx, ASTER_EFORMAT, "%s: '%s': rank %d, at most 8 is expected", f->path,
                        name, rank);
    for (int k = 0; rc == 0 && k < rank; k++) {
        if (dim[k] > (hsize_t)DATASET_LIMIT || (dim[k] && out->n > DATASET_LIMIT / (int64_t)dim[k]))
            rc = aster_fail(f->ctx, ASTER_ELIMIT, "%s: '%s': more than 2^40 elements", f->path,
                            name);
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
        case H5T_ENUM: /* truth values of h5py */
        case H5T_INTEGER:
            out->dtype = integer_type(size, H5Tget_sign(type) == H5T_SGN_NONE);
            break;
        case H5T_STRING:
            out->is_string = true;
            out->string_size = H5Tis_variable_str(type) > 0 ? -1 : (int64_t)size;
            break;
        default:
            rc = aster_fail(f->ctx, ASTER_EFORMAT, "%s: '%s': is neither numbers nor text", f->path,
                            name);
        }
    }
    if (type >= 0)
        H5Tclose(type);
    if (space >= 0)
        H5Sclose(space);
    return rc;
}

/* Bytes of an element in the file; a variable-length text is a length, an address and an index
 * there. */
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

/* Data in one piece must be as long as the
 * shape says: the library reads on beyond a shorter one. */
static int check_storage(struct aster_h5 *f, const char *name, hid_t d,
                         const struct aster_h5_shape *s)
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
    if (there < need &&
        (there > 0 || layout == H5D_COMPACT)) /* 0 bytes: never written, all fill values */
        return aster_fail(f->ctx, ASTER_EFORMAT,
                          "%s: '%s': its shape needs %lld bytes of data, there are %lld", f->path,
                          name, (long long)need, (long long)there);
    return 0;
}

static int open_dataset(struct aster_h5 *f, const char *name, hid_t *d,
                        struct aster_h5_shape *shape)
{
    bool there = aster_h5_exists(f->id, name);
    *d = there ? H5Dopen2(f->id, name, H5P_DEFAULT) : -1;
    if (*d < 0)
        return aster_h5_fail(f, name,
                             there ? "cannot be opened as a dataset" : "no dataset of this name");
    int rc = aster_h5_shape_of(f, name, *d, shape);
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
static H5T_conv_ret_t on_exception(H5T_conv_except_t kind, hid_t from, hid_t to, void *value,
                                   void *room, void *arg)
{
    (void)from;
    (void)to;
    (void)value;
    (void)room;
    *(bool *)arg |= kind != H5T_CONV_EXCEPT_PRECISION;
    return kind == H5T_CONV_EXCEPT_PRECISION ? H5T_CONV_UNHANDLED : H5T_CONV_ABORT;
}

/* IEEE half as numpy writes it: the library's own conversion of it is slow */
static bool is_half(hid_t type)
{
    size_t sign, exponent, exponent_bits, fraction, fraction_bits;
    return H5Tget_class(type) == H5T_FLOAT && H5Tget_size(type) == 2 &&
           H5Tget_order(type) == H5T_ORDER_LE &&
           H5Tget_fields(type, &sign, &exponent, &exponent_bits, &fraction, &fraction_bits) >= 0 &&
           sign == 15 && exponent == 10 && exponent_bits == 5 && fraction == 0 &&
           fraction_bits == 10 && H5Tget_ebias(type) == 15 && H5Tget_norm(type) == H5T_NORM_IMPLIED;
}

/* n halves at the end of out become n numbers that fill it. */
static void widen(int64_t n, enum aster_dtype t, char *out)
{
    const char *half = out + n * (aster_dtype_size(t) - 2);
    for (int64_t k = 0; k < n; k++) {
        uint16_t h;
        memcpy(&h, half + 2 * k, sizeof h);
        float x = aster_f16_to_f32(h);
        if (t == ASTER_F64)
            ((double *)(void *)out)[k] = (double)x;
        else
            ((float *)(void *)out)[k] = x;
    }
}

/* Reads what from selects (H5S_ALL: everything), n numbers, as numbers of type t. */
static int read_numbers(struct aster_h5 *f, const char *name, hid_t d, hid_t to, hid_t from,
                        int64_t n, enum aster_dtype t, void *out)
{
    bool integer = t != ASTER_F32 && t != ASTER_F64, refused = false;
    int rc = 0;
    hid_t type = H5Dget_type(d), how = integer ? H5Pcreate(H5P_DATASET_XFER) : H5P_DEFAULT;
    bool half = (t == ASTER_F32 || t == ASTER_F64) && is_half(type);
    char *first = (char *)out + (half ? n * (aster_dtype_size(t) - 2) : 0);
    if (t == ASTER_BF16 && (H5Tget_class(type) != H5T_INTEGER || H5Tget_size(type) != 2 ||
                            H5Tget_sign(type) != H5T_SGN_NONE))
        rc = aster_fail(f->ctx, ASTER_EFORMAT,
                        "%s: '%s': bf16 is kept as unsigned 16-bit integers; this is another type",
                        f->path, name);
    else if (how < 0 || (integer && H5Pset_type_conv_cb(how, on_exception, &refused) < 0) ||
             H5Dread(d, half ? type : aster_h5_memory_type(t), to, from, how, first) < 0)
        rc = refused
                 ? aster_fail(f->ctx, ASTER_EFORMAT, "%s: '%s': has a value that %s cannot hold",
                              f->path, name, aster_dtype_name(t))
                 : aster_h5_fail(f, name, "cannot be read");
    else if (half)
        widen(n, t, out);
    H5Eclear2(H5E_DEFAULT);
    if (type >= 0)
        H5Tclose(type);
    if (integer && how >= 0)
        H5Pclose(how);
    return rc;
}

/* What the file can hold bounds what is allocated: a chunked dataset may claim far more than was
 * written. */
static int believable(struct aster_h5 *f, const char *name, const struct aster_h5_shape *s,
                      int64_t bytes)
{
    hsize_t size = 0;
    H5Fget_filesize(f->id, &size);
    if (bytes > (1LL << 30) && (double)bytes > 2000.0 * (double)size)
        return aster_fail(f->ctx, ASTER_ELIMIT,
                          "%s: '%s': claims %lld elements in a file of %lld bytes", f->path, name,
                          (long long)s->n, (long long)size);
    return 0;
}

int aster_h5_read(struct aster_h5 *f, const char *name, enum aster_dtype t, int64_t n,
                  void *out_pointer)
{
    struct aster_h5_shape s;
    void *data = NULL;
    hid_t d;
    aster_h5_lock();
    int rc = open_dataset(f, name, &d, &s);
    if (rc < 0)
        goto unlock;
    if (s.is_string)
        rc = aster_fail(f->ctx, ASTER_EFORMAT, "%s: '%s': is text, numbers are expected", f->path,
                        name);
    else if (n >= 0 && s.n != n)
        rc = aster_fail(f->ctx, ASTER_EFORMAT, "%s: '%s': %lld elements, %lld are expected",
                        f->path, name, (long long)s.n, (long long)n);
    if (rc == 0)
        rc = believable(f, name, &s, s.n * aster_dtype_size(t));
    if (rc == 0)
        rc = aster_alloc(f->ctx, s.n, (size_t)aster_dtype_size(t), &data);
    if (rc == 0 && s.n)
        rc = read_numbers(f, name, d, H5S_ALL, H5S_ALL, s.n, t, data);
    H5Dclose(d);
unlock:
    aster_h5_unlock();
    if (rc < 0)
        aster_free(&data);
    memcpy(out_pointer, &data, sizeof data);
    return rc;
}

int aster_h5_read_rows(struct aster_h5 *f, const char *name, enum aster_dtype t, int64_t first,
                       int64_t count, void *out)
{
    struct aster_h5_shape s;
    hid_t d;
    aster_h5_lock();
    int rc = open_dataset(f, name, &d, &s);
    if (rc < 0)
        goto unlock;
    if (s.is_string || s.rank < 1)
        rc = aster_fail(f->ctx, ASTER_EFORMAT, "%s: '%s': rows of numbers are expected", f->path,
                        name);
    else if (first < 0 || count < 0 || first > s.dim[0] - count)
        rc = aster_fail(f->ctx, ASTER_EFORMAT,
                        "%s: '%s': %lld rows from row %lld on, there are %lld", f->path, name,
                        (long long)count, (long long)first, (long long)s.dim[0]);
    if (rc == 0 && count) {
        hsize_t start[8] = {0}, n[8];
        for (int k = 0; k < s.rank; k++)
            n[k] = (hsize_t)s.dim[k];
        start[0] = (hsize_t)first;
        n[0] = (hsize_t)count;
        int64_t numbers = s.dim[0] ? s.n / s.dim[0] * count : 0;
        hid_t from = H5Dget_space(d), to = H5Screate_simple(s.rank, n, NULL);
        if (from < 0 || to < 0 ||
            H5Sselect_hyperslab(from, H5S_SELECT_SET, start, NULL, n, NULL) < 0)
            rc = aster_h5_fail(f, name, "rows cannot be read");
        else
            rc = read_numbers(f, name, d, to, from, numbers, t, out);
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

/* Which strings of a dataset, of n in all: to and from are as H5Dread takes them. */
struct strings {
    hid_t d, to, from;
    int64_t n;
};

static int read_fixed(struct aster_h5 *f, const char *name, const struct strings *which,
                      const struct aster_h5_shape *s, char **list)
{
    char *bytes = NULL;
    int64_t total = 0;
    ASTER_TRY(aster_mul(f->ctx, which->n, s->string_size, &total));
    ASTER_TRY(believable(f, name, s, total));
    ASTER_TRY(aster_alloc(f->ctx, total, 1, &bytes));
    hid_t type = H5Dget_type(which->d);
    int rc = H5Dread(which->d, type, which->to, which->from, H5P_DEFAULT, bytes) < 0
                 ? aster_h5_fail(f, name, "cannot be read")
                 : 0;
    H5Tclose(type);
    for (int64_t k = 0; rc == 0 && k < which->n; k++)
        rc = aster_strndup(f->ctx, bytes + k * s->string_size, (size_t)s->string_size, &list[k]);
    aster_free(&bytes);
    return rc;
}

static int read_variable(struct aster_h5 *f, const char *name, const struct strings *which,
                         char **list)
{
    char **text = NULL;
    hsize_t n = (hsize_t)which->n;
    ASTER_TRY(aster_alloc(f->ctx, which->n, sizeof *text, &text));
    hid_t type = H5Dget_type(which->d), space = H5Screate_simple(1, &n, NULL);
    int rc = H5Dread(which->d, type, which->to, which->from, H5P_DEFAULT, text) < 0
                 ? aster_h5_fail(f, name, "cannot be read")
                 : 0;
    for (int64_t k = 0; rc == 0 && k < which->n; k++)
        rc = aster_strdup(f->ctx, text[k] ? text[k] : "", &list[k]);
    H5Dvlen_reclaim(type, space, H5P_DEFAULT, text);
    H5Tclose(type);
    H5Sclose(space);
    aster_free(&text);
    return rc;
}

static int read_list(struct aster_h5 *f, const char *name, const struct strings *which,
                     const struct aster_h5_shape *s, char ***out)
{
    int rc = believable(f, name, s, which->n * 16);
    if (rc == 0)
        rc = aster_alloc(f->ctx, which->n, sizeof **out, out);
    if (rc == 0 && which->n)
        rc = s->string_size < 0 ? read_variable(f, name, which, *out)
                                : read_fixed(f, name, which, s, *out);
    if (rc < 0)
        aster_h5_names_free(out, *out ? which->n : 0);
    return rc;
}

/* Of text. */
static int open_strings(struct aster_h5 *f, const char *name, hid_t *d, struct aster_h5_shape *s)
{
    ASTER_TRY(open_dataset(f, name, d, s));
    if (s->is_string)
        return 0;
    H5Dclose(*d);
    return aster_fail(f->ctx, ASTER_EFORMAT, "%s: '%s': is numbers, text is expected", f->path,
                      name);
}

int aster_h5_read_strings(struct aster_h5 *f, const char *name, char ***out, int64_t *n)
{
    struct aster_h5_shape s;
    hid_t d;
    *out = NULL;
    *n = 0;
    aster_h5_lock();
    int rc = open_strings(f, name, &d, &s);
    if (rc == 0) {
        rc = read_list(f, name, &(struct strings){d, H5S_ALL, H5S_ALL, s.n}, &s, out);
        H5Dclose(d);
    }
    aster_h5_unlock();
    *n = rc == 0 ? s.n : 0;
    return rc;
}

static int read_string_rows(struct aster_h5 *f, const char *name, hid_t d,
                            const struct aster_h5_shape *s, int64_t first, int64_t count,
                            char ***out)
{
    hsize_t start = (hsize_t)first, n = (hsize_t)count;
    int rc = 0;
    if (s->rank != 1 || first < 0 || count < 0 || first > s->n - count)
        return aster_fail(f->ctx, ASTER_EFORMAT,
                          "%s: '%s': %lld texts from row %lld on, there are %lld", f->path, name,
                          (long long)count, (long long)first, (long long)s->n);
    hid_t from = H5Dget_space(d), to = H5Screate_simple(1, &n, NULL);
    if (from < 0 || to < 0 || H5Sselect_hyperslab(from, H5S_SELECT_SET, &start, NULL, &n, NULL) < 0)
        rc = aster_h5_fail(f, name, "rows cannot be read");
    else
        rc = read_list(f, name, &(struct strings){d, to, from, count}, s, out);
    if (from >= 0)
        H5Sclose(from);
    if (to >= 0)
        H5Sclose(to);
    return rc;
}

int aster_h5_read_string_rows(struct aster_h5 *f, const char *name, int64_t first, int64_t count,
                              char ***out)
{
    struct aster_h5_shape s;
    hid_t d;
    *out = NULL;
    aster_h5_lock();
    int rc = open_strings(f, name, &d, &s);
    if (rc == 0) {
        rc = read_string_rows(f, name, d, &s, first, count, out);
        H5Dclose(d);
    }
    aster_h5_unlock();
    return rc;
}
