/* SPDX-License-Identifier: BSD-3-Clause */
/* What an embedding run is cut into: batches by their budget, windows of long sequences; and .npz
 * files as they are written. */
#include "flow/embed_part.h"
#include "unit/files.h"

enum { MOST = 200 };

/* ---- batches ---- */

static bool packs(uint64_t seed, int64_t n, int64_t budget)
{
    int64_t tokens[MOST] = {0}, order[MOST], at[MOST + 1], n_batches = -1, seen[MOST] = {0};
    for (int64_t k = 0; k < n; k++)
        tokens[k] = 1 + (int64_t)(aster_uniform(seed, 1, (uint64_t)k) * 60);
    aster_embed_pack(n, tokens, budget, order, at, &n_batches);
    bool good = at[n_batches] == n && (n == 0 ? n_batches == 0 : at[0] == 0);
    for (int64_t k = 0; good && k < n; k++) {
        good = order[k] >= 0 && order[k] < n && seen[order[k]]++ == 0;
        if (good && k)
            good = tokens[order[k - 1]] > tokens[order[k]] ||
                   (tokens[order[k - 1]] == tokens[order[k]] && order[k - 1] < order[k]);
    }
    for (int64_t b = 0; good && b < n_batches; b++) {
        int64_t sum = 0;
        for (int64_t k = at[b]; k < at[b + 1]; k++)
            sum += tokens[order[k]];
        good = at[b + 1] > at[b] && (sum <= budget || at[b + 1] == at[b] + 1);
        if (good && b + 1 < n_batches) /* the next one would have been too much */
            good = sum + tokens[order[at[b + 1]]] > budget;
    }
    return good;
}

static void test_pack(void)
{
    static const int64_t budgets[] = {1, 7, 60, 61, 200, 5000, 100000};
    bool good = true;
    for (int64_t n = 0; n < MOST; n += n < 5 ? 1 : 39)
        for (size_t k = 0; k < sizeof budgets / sizeof *budgets; k++)
            good = good && packs((uint64_t)(n + 1), n, budgets[k]);
    tap_ok(good, "batches: each sequence once, longest first, full, and within the budget");
}

/* ---- windows ---- */

/* Each residue's row comes from the window in which it is farthest from a cut end, the first of
 * these, and once. */
static bool covers(int64_t length, int64_t most, int64_t overlap)
{
    int64_t n = aster_embed_n_windows(length, most, overlap), next = 0;
    struct aster_embed_window w[MOST];
    for (int64_t k = 0; k < n && k < MOST; k++) {
        w[k] = aster_embed_window(length, most, overlap, k);
        if (w[k].n != aster_min64(length, most) || w[k].begin < 0 || w[k].begin + w[k].n > length ||
            w[k].own != next || w[k].n_own < 1 || w[k].own < w[k].begin ||
            w[k].own + w[k].n_own > w[k].begin + w[k].n)
            return false;
        if (k && w[k - 1].begin + w[k - 1].n - w[k].begin < overlap)
            return false;
        next += w[k].n_own;
    }
    if (n > MOST || next != length || w[0].begin != 0 || w[n - 1].begin + w[n - 1].n != length)
        return false;
    for (int64_t t = 0; t < length; t++) {
        int64_t best = -1, owner = -1, best_depth = -1;
        for (int64_t k = 0; k < n; k++) {
            int64_t end = w[k].begin + w[k].n, left = w[k].begin ? t - w[k].begin : INT64_MAX,
                    right = end < length ? end - 1 - t : INT64_MAX;
            if (t >= w[k].own && t < w[k].own + w[k].n_own)
                owner = k;
            if (t < w[k].begin || t >= end || aster_min64(left, right) <= best_depth)
                continue;
            best = k;
            best_depth = aster_min64(left, right);
        }
        if (owner != best)
            return false;
    }
    return true;
}

static void test_windows(void)
{
    int64_t wrong = 0, n = 0;
    for (int64_t most = 1; most <= 12; most++)
        for (int64_t overlap = 0; overlap < most; overlap++)
            for (int64_t length = 1; length <= 40; length++, n++)
                wrong += !covers(length, most, overlap);
    tap_ok(wrong == 0, "windows: %lld of %lld cases are wrong", (long long)wrong, (long long)n);
    tap_ok(covers(5000, 1022, 256) && aster_embed_n_windows(1022, 1022, 256) == 1 &&
               aster_embed_n_windows(1023, 1022, 256) == 2,
           "windows of the usual length");
}

/* ---- npz ---- */

static void test_npz(void)
{
    static const char *const texts[] = {"", "one", "d\303\251j\303\240 vu", "bad \377 byte"};
    static const char *const read_back[] = {"", "one", "d\303\251j\303\240 vu",
                                            "bad \357\277\275 byte"};
    float x[24], y[24];
    int64_t numbers[3] = {-1, 0, INT64_MAX}, again[3], n_texts = 0;
    char **got = NULL;
    struct aster_npz_out *out = NULL;
    struct aster_npz *z = NULL;
    struct aster_npy_shape s;
    const char *path = in_dir("some.npz");
    for (int k = 0; k < 24; k++)
        x[k] = (float)k / 3;
    bool good = fine(aster_npz_create(ctx, path, &out)) &&
                fine(aster_npz_begin(out, "x", ASTER_F32, 3, (int64_t[]){2, 3, 4})) &&
                fine(aster_npz_add(out, 10, x)) && fine(aster_npz_add(out, 14, x + 10)) &&
                fine(aster_npz_begin_texts(out, "texts", 4, 10));
    for (int k = 0; good && k < 4; k++)
        good = fine(aster_npz_add_text(out, texts[k]));
    good = good && fine(aster_npz_begin(out, "numbers", ASTER_I64, 1, (int64_t[]){3})) &&
           fine(aster_npz_add(out, 3, numbers)) &&
           fine(aster_npz_begin(out, "none", ASTER_F32, 2, (int64_t[]){0, 4}));
    tap_ok(good && !aster_file_exists(path), "npz: nothing is there before it is complete");
    good = good && fine(aster_npz_commit(&out)) && !out && fine(aster_npz_open(ctx, path, &z));
    tap_ok(good && fine(aster_npz_shape(z, "x", &s)) && s.rank == 3 && s.dim[0] == 2 &&
               s.dim[1] == 3 && s.dim[2] == 4 &&
               fine(aster_npz_read_rows(z, "x", ASTER_F32, 0, 2, y)) && !memcmp(x, y, sizeof x),
           "npz: numbers are read back, with their checksum");
    tap_ok(good && fine(aster_npz_read_rows(z, "numbers", ASTER_I64, 0, 3, again)) &&
               !memcmp(numbers, again, sizeof again) && fine(aster_npz_shape(z, "none", &s)) &&
               s.n == 0,
           "npz: integers, and an array of nothing");
    bool same = good && fine(aster_npz_read_strings(z, "texts", &got, &n_texts)) && n_texts == 4;
    for (int k = 0; same && k < 4; k++)
        same = strcmp(got[k], read_back[k]) == 0;
    tap_ok(same, "npz: texts, one of them no UTF-8");
    aster_strings_free(&got, n_texts);
    aster_npz_close(&z);
}

static void test_npz_mistakes(void)
{
    struct aster_npz_out *out = NULL;
    const char *path = in_dir("wrong.npz");
    if (!fine(aster_npz_create(ctx, path, &out)))
        return;
    failed_with("npz: more than the format holds",
                aster_npz_begin(out, "x", ASTER_F32, 2, (int64_t[]){1 << 20, 1 << 11}),
                ASTER_ELIMIT, "wrong.npz", "'x'", "8.6 GB", NULL);
    bool begun = fine(aster_npz_begin(out, "y", ASTER_F32, 1, (int64_t[]){2}));
    float v[3] = {0};
    failed_with("npz: too many elements", aster_npz_add(out, 3, v), ASTER_EBUG, "more elements",
                NULL);
    failed_with("npz: too few elements", begun ? aster_npz_commit(&out) : 0, ASTER_EBUG,
                "y.npy lacks 8 bytes", NULL);
    tap_ok(!aster_file_exists(path) && !aster_file_exists(in_dir("wrong.npz.tmp")),
           "npz: what is not complete leaves no file");
    failed_with("npz: no folder for it", aster_npz_create(ctx, in_dir("no/x.npz"), &out), ASTER_EIO,
                "no/x.npz", NULL);
}

int main(void)
{
    test_start();
    test_pack();
    test_windows();
    test_npz();
    test_npz_mistakes();
    return test_end();
}
