/* SPDX-License-Identifier: BSD-3-Clause */
/* Writing HDF5 datasets, whole or row by row. */
#include "io/h5_internal.h"

#include <string.h>

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

static hid_t text_type(void)
{
    hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, H5T_VARIABLE);
    H5Tset_cset(type, H5T_CSET_UTF8);
    return type;
}

/* The groups that a name goes through, without the times that the library would give them. */
static void make_groups(struct aster_h5 *f, const char *name)
{
    for (const char *end = strchr(name, '/'); end; end = strchr(end + 1, '/')) {
        char group[1024];
        if (end == name || (size_t)(end - name) >= sizeof group)
            continue;
        snprintf(group, sizeof group, "%.*s", (int)(end - name), name);
        if (aster_h5_exists(f->id, group))
            continue;
        hid_t create = H5Pcreate(H5P_GROUP_CREATE);
        H5Pset_obj_track_times(create, false);
        hid_t g = H5Gcreate2(f->id, group, H5P_DEFAULT, create, H5P_DEFAULT);
        if (g >= 0)
            H5Gclose(g);
        H5Pclose(create);
    }
}

/* In chunks of at most 1 MiB (what the library caches), each with its checksum. Scalars, what is
 * empty, and texts, which lie elsewhere in the file, stay as they are. */
static hid_t with_checksums(hid_t stored, int rank, const hsize_t *n, bool empty)
{
    hid_t create = H5Pcreate(H5P_DATASET_CREATE);
    hsize_t chunk[8], bytes = H5Tget_size(stored);
    H5Pset_obj_track_times(create, false);
    if (rank < 1 || rank > 8 || empty || H5Tget_class(stored) == H5T_STRING)
        return create;
    for (int k = rank - 1; k >= 0; k--) {
        chunk[k] = (1 << 20) / bytes;
        chunk[k] = chunk[k] < 1 ? 1 : chunk[k] > n[k] ? n[k] : chunk[k];
        bytes *= chunk[k];
    }
    H5Pset_chunk(create, rank, chunk);
    H5Pset_fletcher32(create);
    return create;
}

/* plain: bytes in one piece, which a reader can map */
static int write_as(struct aster_h5 *f, const char *name, hid_t stored, hid_t memory, int rank,
                    const int64_t *dim, const void *data, bool plain)
{
    hsize_t n[8];
    bool empty = false;
    for (int k = 0; k < rank && k < 8; k++) {
        n[k] = (hsize_t)dim[k];
        empty |= dim[k] == 0;
    }
    make_groups(f, name);
    hid_t create = with_checksums(stored, plain ? 0 : rank, n, empty),
          space = rank ? H5Screate_simple(rank, n, NULL) : H5Screate(H5S_SCALAR);
    hid_t d =
        space < 0 ? -1 : H5Dcreate2(f->id, name, stored, space, H5P_DEFAULT, create, H5P_DEFAULT);
    int rc = d < 0 || (!empty && H5Dwrite(d, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) < 0)
                 ? aster_h5_fail(f, name, "cannot be written")
                 : 0;
    if (d >= 0)
        H5Dclose(d);
    if (space >= 0)
        H5Sclose(space);
    H5Pclose(create);
    return rc;
}

static int write_typed(struct aster_h5 *f, const char *name, hid_t stored, hid_t memory, int rank,
                       const int64_t *dim, const void *data)
{
    return write_as(f, name, stored, memory, rank, dim, data, false);
}

int aster_h5_write_plain(struct aster_h5 *f, const char *name, enum aster_dtype t, int rank,
                         const int64_t *dim, const void *data)
{
    if (rank < 0 || rank > 8)
        return aster_fail(f->ctx, ASTER_EBUG, "%s: '%s': rank %d", f->path, name, rank);
    aster_h5_lock();
    int rc = write_as(f, name, file_type(t), aster_h5_memory_type(t), rank, dim, data, true);
    aster_h5_unlock();
    return rc;
}

int aster_h5_write(struct aster_h5 *f, const char *name, enum aster_dtype t, int rank,
                   const int64_t *dim, const void *data)
{
    if (rank < 0 || rank > 8)
        return aster_fail(f->ctx, ASTER_EBUG, "%s: '%s': rank %d", f->path, name, rank);
    aster_h5_lock();
    int rc = write_typed(f, name, file_type(t), aster_h5_memory_type(t), rank, dim, data);
    aster_h5_unlock();
    return rc;
}

int aster_h5_write_columns(struct aster_h5 *f, size_t n, const struct aster_h5_column *c)
{
    for (size_t k = 0; k < n; k++)
        ASTER_TRY(aster_h5_write(f, c[k].name, c[k].type, c[k].rank, c[k].dim, c[k].data));
    return 0;
}

int aster_h5_write_strings(struct aster_h5 *f, const char *name, int64_t n, const char *const *s)
{
    aster_h5_lock();
    hid_t type = text_type();
    int rc = write_typed(f, name, type, type, 1, &n, s);
    H5Tclose(type);
    aster_h5_unlock();
    return rc;
}

/* Rows of one shape: the sizes of the axes behind the first. */
struct rows {
    int64_t n, row_n; /* row_n: elements of a row */
    int rank;
    hsize_t dim[8]; /* dim[0] is that of all that is there */
};

/* The first rows appended foretell the rest: a chunk holds as many, from 16 KiB to 1 MiB. */
static hid_t make_appendable(struct aster_h5 *f, const char *name, hid_t stored,
                             const struct rows *r)
{
    int64_t row_bytes = r->row_n * (int64_t)H5Tget_size(stored), least = (16 << 10) / row_bytes,
            most = (1 << 20) / row_bytes;
    hsize_t zero[8], grown[8], chunk[8];
    for (int k = 0; k < r->rank; k++)
        zero[k] = grown[k] = chunk[k] = r->dim[k];
    zero[0] = 0;
    grown[0] = H5S_UNLIMITED;
    chunk[0] = (hsize_t)aster_max64(1, aster_min64(most, aster_max64(least, r->n)));
    make_groups(f, name);
    hid_t space = H5Screate_simple(r->rank, zero, grown), create = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_obj_track_times(create, false);
    H5Pset_chunk(create, r->rank, chunk);
    if (H5Tget_class(stored) != H5T_STRING)
        H5Pset_fletcher32(create);
    hid_t d = H5Dcreate2(f->id, name, stored, space, H5P_DEFAULT, create, H5P_DEFAULT);
    H5Pclose(create);
    H5Sclose(space);
    return d;
}

static int add_rows(struct aster_h5 *f, const char *name, hid_t d, hid_t memory,
                    const struct rows *r, const struct aster_h5_shape *s, const void *data)
{
    hsize_t start[8] = {(hsize_t)s->dim[0]}, size[8], n[8];
    hid_t to = -1, from;
    int rc = 0;
    for (int k = 0; k < r->rank; k++)
        size[k] = n[k] = r->dim[k];
    size[0] = (hsize_t)(s->dim[0] + r->n);
    n[0] = (hsize_t)r->n;
    from = H5Screate_simple(r->rank, n, NULL);
    if (H5Dset_extent(d, size) < 0 || (to = H5Dget_space(d)) < 0 ||
        H5Sselect_hyperslab(to, H5S_SELECT_SET, start, NULL, n, NULL) < 0 ||
        H5Dwrite(d, memory, from, to, H5P_DEFAULT, data) < 0)
        rc = aster_h5_fail(f, name, "cannot be appended to");
    if (to >= 0)
        H5Sclose(to);
    H5Sclose(from);
    return rc;
}

static int append_typed(struct aster_h5 *f, const char *name, hid_t stored, hid_t memory,
                        const struct rows *r, const void *data)
{
    struct aster_h5_shape s = {0};
    hid_t d = aster_h5_exists(f->id, name) ? H5Dopen2(f->id, name, H5P_DEFAULT)
                                           : make_appendable(f, name, stored, r);
    if (d < 0)
        return aster_h5_fail(f, name, "cannot be made");
    int rc = aster_h5_shape_of(f, name, d, &s);
    bool same = s.rank == r->rank;
    int64_t before = 1;
    for (int k = 1; k < s.rank; k++) {
        before *= s.dim[k];
        same = same && s.dim[k] == (int64_t)r->dim[k];
    }
    if (rc == 0 && !same)
        rc = aster_fail(f->ctx, ASTER_EBUG,
                        "%s: '%s': rows of %lld elements behind rows of %lld, or of another shape",
                        f->path, name, (long long)r->row_n, (long long)before);
    if (rc == 0 && r->n > 0)
        rc = add_rows(f, name, d, memory, r, &s, data);
    H5Dclose(d);
    return rc;
}

/* rank 0: rows of single elements */
static int set_rows(struct aster_h5 *f, const char *name, int64_t n_rows, int rank,
                    const int64_t *dim, struct rows *out)
{
    bool good = n_rows >= 0 && rank >= 0 && rank < 8;
    *out = (struct rows){.n = n_rows, .row_n = 1, .rank = rank + 1};
    for (int k = 0; good && k < rank; k++) {
        good = dim[k] >= 1 && dim[k] <= INT64_MAX / 8 / out->row_n;
        out->dim[k + 1] = (hsize_t)dim[k];
        out->row_n *= good ? dim[k] : 1;
    }
    return good ? 0
                : aster_fail(f->ctx, ASTER_EBUG, "%s: '%s': %lld rows of no shape to append",
                             f->path, name, (long long)n_rows);
}

int aster_h5_append_shaped(struct aster_h5 *f, const char *name, enum aster_dtype t, int64_t n_rows,
                           int rank, const int64_t *dim, const void *data)
{
    struct rows r;
    ASTER_TRY(set_rows(f, name, n_rows, rank, dim, &r));
    aster_h5_lock();
    int rc = append_typed(f, name, file_type(t), aster_h5_memory_type(t), &r, data);
    aster_h5_unlock();
    return rc;
}

int aster_h5_append(struct aster_h5 *f, const char *name, enum aster_dtype t, int64_t n_rows,
                    int64_t row_n, const void *data)
{
    return aster_h5_append_shaped(f, name, t, n_rows, row_n == 1 ? 0 : 1, &row_n, data);
}

int aster_h5_append_flags(struct aster_h5 *f, const char *name, int64_t n_rows, int64_t row_n,
                          const uint8_t *data)
{
    struct rows r;
    int8_t no = 0, yes = 1;
    ASTER_TRY(set_rows(f, name, n_rows, row_n == 1 ? 0 : 1, &row_n, &r));
    aster_h5_lock();
    hid_t type = H5Tenum_create(H5T_STD_I8LE);
    int rc =
        type < 0 || H5Tenum_insert(type, "FALSE", &no) < 0 || H5Tenum_insert(type, "TRUE", &yes) < 0
            ? aster_h5_fail(f, name, "truth values cannot be written")
            : append_typed(f, name, type, type, &r, data);
    if (type >= 0)
        H5Tclose(type);
    aster_h5_unlock();
    return rc;
}

int aster_h5_append_strings(struct aster_h5 *f, const char *name, int64_t n, const char *const *s)
{
    struct rows r;
    ASTER_TRY(set_rows(f, name, n, 0, NULL, &r));
    aster_h5_lock();
    hid_t type = text_type();
    int rc = append_typed(f, name, type, type, &r, s);
    H5Tclose(type);
    aster_h5_unlock();
    return rc;
}
