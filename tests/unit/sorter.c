/* SPDX-License-Identifier: BSD-3-Clause */
/* Sorting within little memory against sorting in memory; ids that come again; disks that are full.
 */
#include "unit/files.h"
#include "io/sorter.h"

#include <signal.h>
#include <sys/resource.h>

struct pair {
    char key[40];
    int n_key, number, size; /* number: in the order of adding; size of the value */
};
enum { MOST = 20000 };
static struct pair pairs[MOST];
static uint64_t drawn;

static int draw(int n)
{
    return (int)(aster_uniform(8, 0, drawn++) * n);
}

static int compare(const void *a, const void *b)
{
    const struct pair *x = a, *y = b;
    for (int k = 0; k < x->n_key && k < y->n_key; k++)
        if (x->key[k] != y->key[k])
            return (unsigned char)x->key[k] < (unsigned char)y->key[k] ? -1 : 1;
    if (x->n_key != y->n_key)
        return x->n_key < y->n_key ? -1 : 1;
    return x->number - y->number;
}

/* Short keys of few letters, a NUL and a byte above ASCII among them, so many are equal or begin
 * alike. */
static void make_pairs(int n, int longest)
{
    for (int k = 0; k < n; k++) {
        pairs[k] = (struct pair){
            .n_key = draw(longest), .number = k, .size = draw(50) ? draw(30) : draw(20000)};
        for (int j = 0; j < pairs[k].n_key; j++)
            pairs[k].key[j] = "ab\0\xe4"[draw(4)];
    }
}

static char letter(const struct pair *p, int at)
{
    return (char)('a' + (p->number + at) % 26);
}

static bool same(const struct aster_sorted *s, const struct pair *p)
{
    bool good = s->n_key == p->n_key && s->n_value == p->size &&
                (p->n_key == 0 || !memcmp(s->key, p->key, (size_t)p->n_key));
    for (int j = 0; good && j < p->size; j++)
        good = s->value[j] == letter(p, j);
    return good;
}

static void sorts(int n, int longest, int64_t memory)
{
    static char value[20000];
    struct aster_sorter *s = NULL;
    struct aster_sorted got;
    int64_t wrong = 0;
    make_pairs(n, longest);
    if (!fine(aster_sorter_new(ctx, test_dir, memory, &s)))
        return;
    for (int k = 0; k < n; k++) {
        for (int j = 0; j < pairs[k].size; j++)
            value[j] = letter(&pairs[k], j);
        wrong += !fine(aster_sorter_add(s, pairs[k].key, pairs[k].n_key, value, pairs[k].size));
    }
    qsort(pairs, (size_t)n, sizeof *pairs, compare);
    for (int k = 0; k < n && !wrong; k++)
        wrong += aster_sorter_next(s, &got) != 1 || !same(&got, &pairs[k]);
    wrong += aster_sorter_next(s, &got) != 0 || aster_sorter_next(s, &got) != 0;
    tap_ok(wrong == 0, "%d items with keys below %d bytes in %lld bytes of memory", n, longest,
           (long long)memory);
    failed_with("nothing is added afterwards", aster_sorter_add(s, "a", 1, "", 0), ASTER_EBUG,
                NULL);
    aster_sorter_free(&s);
}

static void test_repeats(void)
{
    for (int64_t memory = 100; memory < 10000000; memory *= 300) {
        struct aster_repeats *r = NULL;
        struct aster_repeat got;
        int64_t wrong = 0, n = 0;
        char id[40];
        if (!fine(aster_repeats_new(ctx, test_dir, memory, &r)))
            return;
        for (int k = 0; k < 3000; k++) { /* read_0 to read_999 three times each, in three files */
            snprintf(id, sizeof id, "read_%d", k * 7 % 1000);
            wrong += !fine(aster_repeats_add(r, id, k / 1000, k + 1));
        }
        wrong += !fine(aster_repeats_add(r, "once", 7, 7));
        char last[40] = "";
        for (; aster_repeats_next(r, &got) > 0; n++) {
            int64_t number = strtol(got.id + 5, NULL, 10);
            wrong += strcmp(last, got.id) > 0 || got.first_file != 0 || got.file != (n % 2) + 1 ||
                     got.line != got.first_line + 1000 * got.file ||
                     (got.first_line - 1) * 7 % 1000 != number;
            snprintf(last, sizeof last, "%s", got.id);
        }
        tap_ok(wrong == 0 && n == 2000, "2000 ids come again, %lld bytes of memory",
               (long long)memory);
        aster_repeats_free(&r);
    }
}

/* Against looking every name up: a name never is an id, nor another repeat's. */
static void test_numbers(void)
{
    enum { N = 400 };
    static char ids[N][24], names[N][48];
    static const char *const odd[] = {"a#1", "a#02", "a#", "#2", "a#9999999999999999999", "a#+2"};
    for (int64_t memory = 100; memory < 1000000; memory *= 100) {
        struct aster_repeats *r = NULL;
        struct aster_repeat got;
        int64_t wrong = 0, n = 0, repeated = 0;
        if (!fine(aster_repeats_new(ctx, test_dir, memory, &r)))
            return;
        for (int k = 0; k < N; k++) { /* a, a#2 ... a#2#3 ..., b: many of them twice */
            const char *letter = draw(2) ? "a" : "b";
            int kind = draw(8);
            if (kind < 3)
                snprintf(ids[k], sizeof ids[k], "%s", letter);
            else if (kind < 5)
                snprintf(ids[k], sizeof ids[k], "%s#%d", letter, draw(200));
            else if (kind < 7)
                snprintf(ids[k], sizeof ids[k], "%s#2#%d", letter, draw(40));
            else
                snprintf(ids[k], sizeof ids[k], "%s", odd[draw(6)]);
            for (int j = 0; j < k; j++)
                if (!strcmp(ids[j], ids[k])) {
                    repeated++;
                    break;
                }
            wrong += !fine(aster_repeats_add(r, ids[k], 0, k));
        }
        for (; aster_repeats_next(r, &got) > 0; n++) {
            snprintf(names[n], sizeof names[n], "%s#%lld", got.id, (long long)got.number);
            for (int k = 0; k < N; k++)
                wrong += !strcmp(names[n], ids[k]);
            for (int64_t k = 0; k < n; k++)
                wrong += !strcmp(names[n], names[k]);
            wrong += got.number < 2 || strcmp(got.id, ids[got.line]) != 0;
        }
        tap_ok(wrong == 0 && n == repeated && n > 50,
               "%lld repeats get names that are nobody's, %lld bytes of memory", (long long)n,
               (long long)memory);
        aster_repeats_free(&r);
    }
}

static void test_failures(void)
{
    struct aster_sorter *s = NULL;
    struct rlimit old, little = {20000, 20000};
    static char value[1000];
    if (!fine(aster_sorter_new(ctx, in_dir("absent"), 10, &s)))
        return;
    tap_ok(fine(aster_sorter_add(s, "b", 1, "", 0)), "no file before it is needed");
    failed_with("a folder that is not there", aster_sorter_add(s, "a", 1, value, 1000), ASTER_EIO,
                "absent", "sorting", NULL);
    aster_sorter_free(&s);
    if (!fine(aster_sorter_new(ctx, test_dir, 5000, &s)) || getrlimit(RLIMIT_FSIZE, &old) < 0)
        return;
    signal(SIGXFSZ, SIG_IGN);
    little.rlim_max = old.rlim_max;
    int rc = setrlimit(RLIMIT_FSIZE, &little);
    for (int k = 0; rc == 0 && k < 100; k++)
        rc = aster_sorter_add(s, "a", 1, value, 1000);
    if (setrlimit(RLIMIT_FSIZE, &old) < 0)
        exit(1);
    failed_with("a file that may not grow", rc, ASTER_EIO, test_dir, "written", NULL);
    aster_sorter_free(&s);
}

int main(void)
{
    static const int64_t memories[] = {1, 3000, 100000, 1 << 26};
    test_start();
    for (int k = 0; k < 4; k++) {
        sorts(0, 1, memories[k]);
        sorts(1, 3, memories[k]);
        sorts(300, 4, memories[k]);
        sorts(k ? MOST : 2000, 39, memories[k]);
    }
    test_repeats();
    test_numbers();
    test_failures();
    return test_end();
}
