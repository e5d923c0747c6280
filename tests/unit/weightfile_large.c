/* SPDX-License-Identifier: BSD-3-Clause */
/* A torch archive of more than 4 GiB, most of it a hole in the file: sizes and places in zip64
 * fields, as torch writes them; the elements at its end are read, and views that reach over 2^32
 * bytes. */
#include "unit/files.h"
#include "unit/torch_build.h"
#include "io/weightfile.h"

#include <errno.h>

#define ELEMENTS ((5LL << 30) / 4)

static const float last[4] = {1.5f, -2, 3, 0.25f}, small[2] = {7, 8};

static void add_zeros(struct aster_str *s, int n)
{
    for (int k = 0; k < n; k++)
        le_add(s, 0, 1);
}

static void add_local(struct aster_str *s, const char *name)
{
    le_add(s, 0x04034b50, 4);
    le_add(s, 0, 2);
    le_add(s, 8, 2); /* what follows is in the directory and behind the data */
    add_zeros(s, 18);
    le_add(s, strlen(name), 2);
    le_add(s, 0, 2);
    aster_str_add(s, name);
}

/* Only what does not fit 32 bits is in the extra field. */
static void add_central(struct aster_str *s, const char *name, uint64_t size, uint64_t offset)
{
    bool large = size >= 0xffffffff, far = offset >= 0xffffffff;
    int extra = large * 16 + far * 8;
    le_add(s, 0x02014b50, 4);
    le_add(s, 0, 4);
    le_add(s, 8, 2);
    add_zeros(s, 10);
    le_add(s, large ? 0xffffffff : size, 4);
    le_add(s, large ? 0xffffffff : size, 4);
    le_add(s, strlen(name), 2);
    le_add(s, extra ? (uint64_t)extra + 4 : 0, 2);
    le_add(s, 0, 8);
    le_add(s, 0, 2);
    le_add(s, far ? 0xffffffff : offset, 4);
    aster_str_add(s, name);
    if (extra) {
        le_add(s, 1, 2);
        le_add(s, (uint64_t)extra, 2);
    }
    if (large) {
        le_add(s, size, 8);
        le_add(s, size, 8);
    }
    if (far)
        le_add(s, offset, 8);
}

static void add_end(struct aster_str *s, uint64_t n, uint64_t size, uint64_t begin)
{
    le_add(s, 0x06064b50, 4);
    le_add(s, 44, 8);
    add_zeros(s, 12);
    le_add(s, n, 8);
    le_add(s, n, 8);
    le_add(s, size, 8);
    le_add(s, begin, 8);
    le_add(s, 0x07064b50, 4);
    le_add(s, 0, 4);
    le_add(s, begin + size, 8);
    le_add(s, 1, 4);
    le_add(s, 0x06054b50, 4);
    le_add(s, 0, 4);
    le_add(s, n, 2);
    le_add(s, n, 2);
    le_add(s, size, 4);
    le_add(s, 0xffffffff, 4);
    le_add(s, 0, 2);
}

static void make_pickle(struct aster_str *p)
{
    P(p, "\x80\2}(");
    p_text(p, "all");
    p_tensor(p, "Float", "0", ELEMENTS, 0, 2, (int64_t[]){ELEMENTS / 4, 4}, (int64_t[]){4, 1});
    p_text(p, "last");
    p_tensor(p, "Float", "0", ELEMENTS, ELEMENTS - 4, 1, (int64_t[]){4}, (int64_t[]){1});
    p_text(p, "ends");
    p_tensor(p, "Float", "0", ELEMENTS, 0, 2, (int64_t[]){2, 2}, (int64_t[]){ELEMENTS - 2, 1});
    p_text(p, "small");
    p_tensor(p, "Float", "1", 2, 0, 1, (int64_t[]){2}, (int64_t[]){1});
    P(p, "u.");
}

static bool write_at(FILE *f, uint64_t at, const struct aster_str *s)
{
    return fseeko(f, (off_t)at, SEEK_SET) == 0 && fwrite(s->s, 1, s->len, f) == s->len;
}

static bool write_file(const char *path)
{
    struct aster_str pickle = {0}, head = {0}, tail = {0}, central = {0};
    make_pickle(&pickle);
    add_local(&head, "t/data.pkl");
    aster_str_addn(&head, pickle.s, pickle.len);
    uint64_t storage = head.len;
    add_local(&head, "t/data/0");
    uint64_t end = head.len + (uint64_t)ELEMENTS * 4, at = end - sizeof last;
    aster_str_addn(&tail, (const char *)last, sizeof last);
    add_local(&tail, "t/data/1");
    aster_str_addn(&tail, (const char *)small, sizeof small);
    add_central(&central, "t/data.pkl", pickle.len, 0);
    add_central(&central, "t/data/0", (uint64_t)ELEMENTS * 4, storage);
    add_central(&central, "t/data/1", sizeof small, end);
    uint64_t size = central.len, begin = at + tail.len;
    add_end(&central, 3, size, begin);
    FILE *f = fopen(path, "wb");
    bool good =
        f && write_at(f, 0, &head) && write_at(f, at, &tail) && write_at(f, begin, &central);
    good = f && fclose(f) == 0 && good;
    aster_str_free(&pickle);
    aster_str_free(&head);
    aster_str_free(&tail);
    aster_str_free(&central);
    return good;
}

static bool reads(const struct aster_weightfile *f, const char *name, int64_t first,
                  const float *want, int n)
{
    const struct aster_weight *w = aster_weightfile_find(f, name);
    float got[4];
    return w && fine(aster_weightfile_read(f, w, first, n, ASTER_F32, got)) &&
           !memcmp(got, want, (size_t)n * sizeof *got);
}

int main(void)
{
    struct aster_weightfile *f = NULL;
    test_start();
    const char *path = in_dir("large.pt");
    if (!write_file(path)) {
        tap_skip("a file of 5 GiB: %s", strerror(errno));
        return test_end();
    }
    if (tap_ok(fine(aster_weightfile_open(ctx, path, &f)) && aster_weightfile_count(f) == 4,
               "an archive of 5 GiB is opened")) {
        tap_ok(reads(f, "last", 0, last, 4), "the last elements of a storage");
        tap_ok(reads(f, "all", ELEMENTS - 4, last, 4) && reads(f, "all", 5, (float[]){0, 0, 0}, 3),
               "pieces of a tensor of 5 GiB");
        tap_ok(reads(f, "ends", 0, (float[]){0, 0, last[2], last[3]}, 4),
               "rows that lie 5 GiB apart");
        tap_ok(reads(f, "small", 0, small, 2), "a storage behind it");
    }
    aster_weightfile_close(&f);
    return test_end();
}
