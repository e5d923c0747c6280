/* SPDX-License-Identifier: BSD-3-Clause */
/* Where the chunks of a record begin and end, their names, and those of files. */
#include "seq/seq.h"

#include <string.h>

#define MOST_SIZE   (1LL << 40)
#define MOST_LENGTH (1LL << 60)

int aster_chunks_plan(struct aster_ctx *ctx, int64_t length, int64_t size, struct aster_chunks *out)
{
    *out = (struct aster_chunks){.length = length, .size = size};
    if (size < 1 || size > MOST_SIZE)
        return aster_fail(ctx, ASTER_EPARAM, "a chunk of %lld bases; 1 to %lld bases are expected",
                          (long long)size, MOST_SIZE);
    if (length < 0 || length > MOST_LENGTH)
        return aster_fail(ctx, ASTER_EBUG, "a record of %lld bases", (long long)length);
    if (length == 0)
        return 0;
    out->n = (length + size - 1) / size;
    int64_t shared = out->n * size - length;
    out->overlap = shared / out->n;
    out->n_wider = aster_min64(shared - out->overlap * (out->n - 1), out->n - 1);
    return 0;
}

int64_t aster_chunk_begin(const struct aster_chunks *c, int64_t i)
{
    return i * (c->size - c->overlap) - aster_min64(i, c->n_wider);
}

int64_t aster_chunk_end(const struct aster_chunks *c, int64_t i)
{
    return aster_min64(aster_chunk_begin(c, i) + c->size, c->length);
}

void aster_chunk_name(struct aster_str *out, const char *id, int64_t i)
{
    aster_str_add(out, id);
    aster_str_addn(out, "_chunk_", 7);
    aster_str_add_i64(out, i + 1);
}

void aster_stem_add(struct aster_str *out, const char *path)
{
    const char *base = aster_path_base(path);
    size_t n = strlen(base);
    if (!strcmp(path, "-")) {
        aster_str_add(out, "stdin");
        return;
    }
    if (n > 3 && !strcmp(base + n - 3, ".gz"))
        n -= 3;
    size_t dot = n;
    while (dot > 0 && base[dot - 1] != '.')
        dot--;
    aster_str_addn(out, base, dot > 1 ? dot - 1 : n);
}
