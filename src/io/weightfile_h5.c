/* SPDX-License-Identifier: BSD-3-Clause */
/* Tensors of an HDF5 file: datasets of its group weights, or params, whose bytes lie in one piece,
 * mapped. */
#include "io/h5_internal.h"
#include "io/internal.h"
#include "io/weightfile_internal.h"

#include <string.h>
#include <sys/mman.h>

struct walk {
    struct aster_weightfile *f;
    struct aster_h5 *h5;
    const char *group;
    int rc;
};

static int refuse(struct walk *w, const char *name, const char *what)
{
    return aster_fail(w->f->ctx, ASTER_EFORMAT, "%s: tensor '%.*s' %s", w->f->path,
                      ASTER_CUT(200, name), what);
}

/* Numbers of two bytes are bf16 where the attribute dtype says so. */
static int look_for_bf16(struct walk *w, const char *name, enum aster_weight_type *type)
{
    struct aster_str object = {0};
    char *text = NULL;
    aster_str_printf(&object, "%s/%s", w->group, name);
    int rc = aster_str_ok(w->f->ctx, &object);
    if (rc == 0 && aster_h5_attr_has(w->h5, object.s, "dtype")) {
        rc = aster_h5_attr_str(w->h5, object.s, "dtype", &text);
        if (rc == 0 && strcmp(text, "bf16") == 0)
            *type = ASTER_WEIGHT_BF16;
        else if (rc == 0)
            rc = refuse(w, name, "has an attribute dtype that is not bf16");
    }
    aster_free(&text);
    aster_str_free(&object);
    return rc;
}

/* IEEE's type of two bytes, which the library has no name for */
static hid_t half_type(void)
{
    hid_t t = H5Tcopy(H5T_IEEE_F32LE);
    H5Tset_fields(t, 15, 10, 5, 0, 10);
    H5Tset_size(t, 2);
    H5Tset_ebias(t, 15);
    return t;
}

static bool find_type(hid_t d, enum aster_weight_type *out)
{
    hid_t half = half_type();
    const struct {
        hid_t file;
        enum aster_weight_type type;
    } types[] = {
        {H5T_IEEE_F32LE, ASTER_WEIGHT_F32}, {H5T_IEEE_F64LE, ASTER_WEIGHT_F64},
        {half, ASTER_WEIGHT_F16},           {H5T_STD_I8LE, ASTER_WEIGHT_I8},
        {H5T_STD_I16LE, ASTER_WEIGHT_I16},  {H5T_STD_I32LE, ASTER_WEIGHT_I32},
        {H5T_STD_I64LE, ASTER_WEIGHT_I64},  {H5T_STD_U8LE, ASTER_WEIGHT_U8},
        {H5T_STD_U16LE, ASTER_WEIGHT_U16},  {H5T_STD_U32LE, ASTER_WEIGHT_U32},
        {H5T_STD_U64LE, ASTER_WEIGHT_U64},
    };
    hid_t type = H5Dget_type(d);
    bool found = false;
    for (size_t k = 0; k < sizeof types / sizeof *types && !found; k++) {
        found = H5Tequal(type, types[k].file) > 0;
        *out = types[k].type;
    }
    H5Tclose(half);
    H5Tclose(type);
    return found;
}

static bool is_plain(hid_t d)
{
    hid_t create = H5Dget_create_plist(d);
    bool plain = H5Pget_layout(create) == H5D_CONTIGUOUS && H5Pget_external_count(create) == 0;
    H5Pclose(create);
    return plain;
}

static int add_dataset(struct walk *w, const char *name, hid_t d)
{
    struct aster_weight t = {0};
    struct weight_place p = {.dense = true};
    struct aster_h5_shape shape = {0};
    ASTER_TRY(aster_h5_shape_of(w->h5, name, d, &shape));
    if (shape.rank == 0 && shape.n != 1)
        return refuse(w, name, "has no elements and no shape");
    if (!is_plain(d))
        return refuse(w, name,
                      "does not lie in one piece; 'asterism convert' writes files that do");
    if (!find_type(d, &t.type))
        return refuse(w, name, "holds no numbers of a type that weights have");
    if (t.type == ASTER_WEIGHT_U16)
        ASTER_TRY(look_for_bf16(w, name, &t.type));
    t.rank = shape.rank;
    t.n = shape.n;
    memcpy(t.dim, shape.dim, sizeof t.dim);
    weightfile_dense(&t, p.stride);
    haddr_t at = H5Dget_offset(d);
    int64_t bytes;
    ASTER_TRY(aster_mul(w->f->ctx, t.n, aster_weight_type_size(t.type), &bytes));
    if (t.n && at == HADDR_UNDEF)
        return refuse(w, name, "was made but never written");
    if (t.n && (at > (haddr_t)w->f->n_bytes || bytes > w->f->n_bytes - (int64_t)at))
        return refuse(w, name, "goes beyond the end of the file");
    p.first = t.n ? w->f->bytes + at : w->f->bytes;
    return weightfile_add(w->f, name, &t, &p);
}

static herr_t visit(hid_t group, const char *name, const H5L_info_t *info, void *arg)
{
    struct walk *w = arg;
    hid_t o = info->type == H5L_TYPE_HARD ? H5Oopen(group, name, H5P_DEFAULT) : -1;
    if (o < 0 || H5Iget_type(o) != H5I_DATASET)
        w->rc = refuse(w, name, "is no dataset");
    else
        w->rc = add_dataset(w, name, o);
    if (o >= 0)
        H5Oclose(o);
    return w->rc < 0 ? -1 : 0;
}

static int list(struct walk *w)
{
    bool is_here = H5Lexists(w->h5->id, "weights", H5P_DEFAULT) > 0;
    w->group = is_here || H5Lexists(w->h5->id, "params", H5P_DEFAULT) <= 0 ? "weights" : "params";
    hid_t group = H5Gopen2(w->h5->id, w->group, H5P_DEFAULT);
    if (group < 0)
        return aster_fail(w->f->ctx, ASTER_EFORMAT,
                          "%s: is an HDF5 file without a group weights or params; models that rcl-train "
                          "writes are converted to .safetensors first",
                          w->f->path);
    if (H5Literate(group, H5_INDEX_NAME, H5_ITER_INC, NULL, visit, w) < 0 && w->rc == 0)
        w->rc = aster_h5_fail(w->h5, w->group, "cannot be listed");
    H5Gclose(group);
    return w->rc;
}

int weightfile_open_h5(struct aster_weightfile *f)
{
    struct walk w = {.f = f};
    struct aster_map m;
    ASTER_TRY(aster_map_open(f->ctx, f->path, &m));
    f->bytes = m.bytes;
    f->n_bytes = m.n;
    ASTER_TRY(aster_h5_open(f->ctx, f->path, &w.h5));
    aster_h5_lock();
    int rc = list(&w);
    aster_h5_unlock();
    aster_h5_close(&w.h5);
    return rc < 0 ? rc : weightfile_sort(f);
}

void weightfile_close_h5(struct aster_weightfile *f)
{
    struct aster_map m = {f->bytes, f->n_bytes};
    if (f->bytes)
        aster_map_close(&m);
    f->bytes = NULL;
}
