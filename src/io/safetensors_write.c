/* SPDX-License-Identifier: BSD-3-Clause */
/* Writing safetensors: widest types first, so that every tensor is aligned to its element. */
#include "io/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct item {
    const struct aster_st_out *t;
    int64_t index, bytes, begin;
};

static const char *type_name(enum aster_dtype t)
{
    static const char *const names[ASTER_N_DTYPES] = {"F32", "F64", "BF16", "I32", "I64", "U8"};
    return names[t];
}

static int measure(struct aster_ctx *ctx, const char *path, const struct aster_st_out *t,
                   int64_t *bytes)
{
    if (t->rank < 0 || t->rank > 8 || (unsigned)t->dtype >= ASTER_N_DTYPES)
        return aster_fail(ctx, ASTER_EBUG, "%s: tensor '%.*s': rank %d, dtype %d", path,
                          ASTER_CUT(200, t->name), t->rank, (int)t->dtype);
    for (const char *c = t->name, *end = c + strlen(c); c < end;) {
        int n = aster_utf8_length(c, end);
        if (!n)
            return aster_fail(ctx, ASTER_EPARAM, "%s: a tensor's name is not UTF-8", path);
        c += n;
    }
    *bytes = aster_dtype_size(t->dtype);
    for (int k = 0; k < t->rank; k++)
        ASTER_TRY(aster_mul(ctx, *bytes, t->dim[k], bytes));
    return 0;
}

static int by_width(const void *a, const void *b)
{
    const struct item *x = a, *y = b;
    int64_t v = aster_dtype_size(x->t->dtype), w = aster_dtype_size(y->t->dtype);
    return v != w ? (v > w ? -1 : 1) : x->index < y->index ? -1 : 1;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int check_names(struct aster_ctx *ctx, const char *path, int64_t n,
                       const struct aster_st_out *tensors)
{
    const char **names = NULL;
    int rc = 0;
    ASTER_TRY(aster_alloc(ctx, n, sizeof *names, &names));
    for (int64_t k = 0; k < n; k++)
        names[k] = tensors[k].name;
    if (n)
        qsort(names, (size_t)n, sizeof *names, by_name);
    for (int64_t k = 0; k < n && rc == 0; k++)
        if ((k && !strcmp(names[k - 1], names[k])) || !strcmp(names[k], "__metadata__"))
            rc = aster_fail(ctx, ASTER_EPARAM, "%s: two tensors would be named '%.*s'", path,
                            ASTER_CUT(200, names[k]));
    aster_free(&names);
    return rc;
}

static void add_entry(struct aster_str *h, const struct item *i)
{
    aster_json_quote(h, i->t->name);
    aster_str_printf(h, ":{\"dtype\":\"%s\",\"shape\":[", type_name(i->t->dtype));
    for (int k = 0; k < i->t->rank; k++)
        aster_str_printf(h, "%s%lld", k ? "," : "", (long long)i->t->dim[k]);
    aster_str_printf(h, "],\"data_offsets\":[%lld,%lld]}", (long long)i->begin,
                     (long long)(i->begin + i->bytes));
}

/* The length, the JSON text, and blanks up to a multiple of 8. */
static void make_header(struct aster_str *out, int64_t n, const struct item *items, int n_meta,
                        const char *const *keys, const char *const *values)
{
    struct aster_str h = {0};
    char length[8];
    aster_str_add(&h, "{");
    for (int k = 0; k < n_meta; k++) {
        aster_str_add(&h, k ? "," : "\"__metadata__\":{");
        aster_json_quote(&h, keys[k]);
        aster_str_add(&h, ":");
        aster_json_quote(&h, values[k]);
    }
    aster_str_add(&h, n_meta ? "}" : "");
    for (int64_t k = 0; k < n; k++) {
        aster_str_add(&h, n_meta || k ? "," : "");
        add_entry(&h, &items[k]);
    }
    aster_str_add(&h, "}");
    while (h.len % 8 && !h.failed)
        aster_str_add(&h, " ");
    for (int k = 0; k < 8; k++)
        length[k] = (char)((uint64_t)h.len >> 8 * k & 255);
    aster_str_addn(out, length, 8);
    aster_str_addn(out, aster_str_get(&h), h.len);
    out->failed |= h.failed;
    aster_str_free(&h);
}

static int put_tensor(struct aster_ctx *ctx, FILE *f, const struct item *x,
                      const struct aster_st_load *load, bool *good)
{
    const void *data = x->t->data;
    void *made = NULL;
    if (x->bytes == 0)
        return 0;
    if (load) {
        ASTER_TRY(aster_alloc(ctx, x->bytes, 1, &made));
        int rc = load->load(load->arg, x->index, made);
        if (rc < 0) {
            aster_free(&made);
            return rc;
        }
        data = made;
    }
    *good = fwrite(data, 1, (size_t)x->bytes, f) == (size_t)x->bytes;
    int why = errno;
    aster_free(&made);
    errno = why;
    return 0;
}

static int put_file(struct aster_ctx *ctx, const char *tmp, const struct aster_str *header,
                    int64_t n, const struct item *items, const struct aster_st_load *load)
{
    FILE *f = fopen(tmp, "wb");
    if (!f)
        return aster_fail(ctx, ASTER_EIO, "%s: cannot be made: %s", tmp, strerror(errno));
    bool good = fwrite(header->s, 1, header->len, f) == header->len;
    int rc = 0;
    for (int64_t k = 0; good && rc == 0 && k < n; k++)
        rc = put_tensor(ctx, f, &items[k], load, &good);
    int why = errno;
    if (fclose(f) && good) {
        good = false;
        why = errno;
    }
    if (rc == 0 && !good)
        rc = aster_fail(ctx, ASTER_EIO, "%s: cannot be written: %s", tmp, strerror(why));
    return rc;
}

int aster_st_write_each(struct aster_ctx *ctx, const char *path, int64_t n,
                        const struct aster_st_out *tensors, int n_meta,
                        const char *const *meta_keys, const char *const *meta_values,
                        const struct aster_st_load *load)
{
    struct item *items = NULL;
    struct aster_str header = {0}, tmp = {0};
    int64_t at = 0;
    int rc;
    ASTER_TRY(check_names(ctx, path, n, tensors));
    ASTER_TRY(aster_alloc(ctx, n, sizeof *items, &items));
    for (int64_t k = 0; k < n; k++) {
        items[k] = (struct item){.t = &tensors[k], .index = k};
        ASTER_GOTO(measure(ctx, path, &tensors[k], &items[k].bytes), done);
    }
    if (n)
        qsort(items, (size_t)n, sizeof *items, by_width);
    for (int64_t k = 0; k < n; k++) {
        items[k].begin = at;
        ASTER_GOTO(aster_add(ctx, at, items[k].bytes, &at), done);
    }
    make_header(&header, n, items, n_meta, meta_keys, meta_values);
    aster_str_printf(&tmp, "%s.tmp", path);
    ASTER_GOTO(aster_str_ok(ctx, &header), done);
    ASTER_GOTO(aster_str_ok(ctx, &tmp), done);
    rc = put_file(ctx, tmp.s, &header, n, items, load);
    if (rc == 0)
        rc = aster_file_commit(ctx, tmp.s, path);
    if (rc < 0)
        unlink(tmp.s);
done:
    aster_str_free(&header);
    aster_str_free(&tmp);
    aster_free(&items);
    return rc;
}

int aster_st_write(struct aster_ctx *ctx, const char *path, int64_t n,
                   const struct aster_st_out *tensors, int n_meta, const char *const *meta_keys,
                   const char *const *meta_values)
{
    return aster_st_write_each(ctx, path, n, tensors, n_meta, meta_keys, meta_values, NULL);
}
