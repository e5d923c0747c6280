/* SPDX-License-Identifier: BSD-3-Clause */
/* make-synthetic DIR: writes the made-up proteins of data/synthetic. Integers only, so every
 * machine writes the same bytes. */
#include "base/base.h"

#include <string.h>

enum {
    SHORTEST = 120,
    LONGEST = 250, /* residues of a protein */
    LOOP_SHORTEST = 17,
    LOOP_LONGEST = 34, /* residues of a loop */
    N_START = 8,
    N_END = 6 /* residues of its two motifs */
};

struct rng {
    uint64_t state;
};

static uint64_t draw(struct rng *r)
{
    return aster_mix64(r->state += 0x9E3779B97F4A7C15ULL);
}

static int below(struct rng *r, int n)
{
    return (int)((draw(r) >> 32) * (uint64_t)n >> 32);
}

static int between(struct rng *r, int least, int most)
{
    return least + below(r, most - least + 1);
}

static bool percent(struct rng *r, int p)
{
    return below(r, 100) < p;
}

/* ---- residues: a background that changes its kind every few residues, as helices, strands and
 * coils do ---- */

static const char letters[] = "ARNDCQEGHILKMFPSTWYV";
static const int frequency[3][20] = {
    /* A    R   N   D   C   Q   E   G   H   I   L    K   M   F   P   S   T   W   Y   V */
    {118, 65, 30, 45, 10, 52, 92, 32, 22, 58, 130, 74, 32, 38, 12, 48, 40, 11, 27, 64},
    {62, 45, 26, 28, 20, 34, 46, 42, 24, 92, 98, 45, 22, 56, 20, 52, 74, 16, 46, 112},
    {64, 52, 62, 84, 14, 36, 60, 118, 24, 34, 62, 62, 16, 30, 92, 96, 60, 10, 28, 42},
};

struct background {
    int kind, left;
};

static char residue(struct rng *r, struct background *b)
{
    int total = 0, k = 0;
    if (b->left-- <= 0) {
        b->kind = below(r, 3);
        b->left = between(r, 4, b->kind == 0 ? 16 : 9);
    }
    for (int i = 0; i < 20; i++)
        total += frequency[b->kind][i];
    int at = below(r, total);
    while (at >= frequency[b->kind][k])
        at -= frequency[b->kind][k++];
    return letters[k];
}

static void fill(struct rng *r, char *s, int n)
{
    struct background b = {0, 0};
    for (int i = 0; i < n; i++)
        s[i] = residue(r, &b);
}

static void shuffle(struct rng *r, char *s, int n)
{
    for (int i = n - 1; i > 0; i--) {
        int j = below(r, i + 1);
        char t = s[i];
        s[i] = s[j];
        s[j] = t;
    }
}

/* ---- the loop: a hinge of small residues, anything, an end that leads to proline and a large
 * residue ---- */

static const char *const start_motif[N_START] = {"GSA", "TS",  "EDK", "AGV",
                                                 "AS",  "AGT", "AS",  "TSV"};
static const char *const end_motif[N_END] = {"FLIV", "*", "NDHK", "RKH", "P", "FLI"};

static void put_motif(struct rng *r, char *at, const char *const *motif, int n)
{
    for (int i = 0; i < n; i++)
        if (motif[i][0] != '*' && percent(r, 97))
            at[i] = percent(r, 75) ? motif[i][0] : motif[i][below(r, (int)strlen(motif[i]))];
}

static void put_loop(struct rng *r, char *at, int n)
{
    put_motif(r, at, start_motif, N_START);
    put_motif(r, at + n - N_END, end_motif, N_END);
}

struct protein {
    char s[LONGEST + 1];
    int n, begin, end;
};

/* A start or an end alone, too far from the loop to belong to it. */
static void put_decoy(struct rng *r, struct protein *p, bool start)
{
    int n = start ? N_START : N_END, at = between(r, 2, p->n - n - 2);
    if (at + n < p->begin - LOOP_LONGEST || at > p->end + LOOP_LONGEST)
        put_motif(r, p->s + at, start ? start_motif : end_motif, n);
}

static void begin_protein(struct rng *r, struct protein *p)
{
    *p = (struct protein){.n = between(r, SHORTEST, LONGEST), .begin = -1, .end = -1};
    fill(r, p->s, p->n);
    if (percent(r, 2))
        p->s[between(r, 0, 9)] = 'X';
}

/* Where a stretch of n residues goes: towards the end, as in serpins, but not always. */
static int place(struct rng *r, const struct protein *p, int n)
{
    int room = p->n - n - 12;
    return 12 + (percent(r, 70) ? between(r, room / 2, room - 12) : between(r, 0, room - 12));
}

static void make_positive(struct rng *r, struct protein *p)
{
    begin_protein(r, p);
    int n = between(r, LOOP_SHORTEST, LOOP_LONGEST);
    p->begin = place(r, p, n);
    p->end = p->begin + n;
    put_loop(r, p->s + p->begin, n);
    bool start = percent(r, 50);
    for (int k = below(r, 4); k > 0; k--)
        put_decoy(r, p, start);
}

static const char *const negative_kinds[] = {
    "start without end", "end without start", "shuffled loop", "shuffled protein",
    "end too near",      "end before start",  "end too far"};

static void make_negative(struct rng *r, struct protein *p, int kind)
{
    int n = between(r, LOOP_SHORTEST, LOOP_LONGEST);
    begin_protein(r, p);
    char *at = p->s + place(r, p, n);
    switch (kind) {
    case 0:
        put_motif(r, at, start_motif, N_START);
        break;
    case 1:
        put_motif(r, at + n - N_END, end_motif, N_END);
        break;
    case 2:
        put_loop(r, at, n);
        shuffle(r, at, n);
        break;
    case 3:
        put_loop(r, at, n);
        shuffle(r, p->s, p->n);
        break;
    case 4:
        put_motif(r, at, start_motif, N_START);
        put_motif(r, at + N_START, end_motif, N_END);
        break;
    case 5:
        put_motif(r, at, end_motif, N_END);
        put_motif(r, at + n - N_START, start_motif, N_START);
        break;
    default:
        put_motif(r, p->s + between(r, 4, 20), start_motif, N_START);
        put_motif(r, p->s + p->n - between(r, 10, 20), end_motif, N_END);
        break;
    }
}

/* ---- files ---- */

static const char *const organisms[] = {"Imaginaria prima", "Imaginaria secunda", "Fabula vulgaris",
                                        "Commentum novum"};

static void add_names(struct rng *r, struct aster_str *out, const char *id, const char *what,
                      int number)
{
    int chain = 'A' + below(r, 3), organism = below(r, 4);
    aster_str_printf(out, "%s,%s_SYN,\"Made-up %s %d, chain %c\",syn%d,%s,", id, id, what, number,
                     chain, number, organisms[organism]);
}

static void add_positive(struct rng *r, struct aster_str *out, const char *id, int number)
{
    struct protein p;
    make_positive(r, &p);
    add_names(r, out, id, "serpin", number);
    aster_str_printf(out, "%d,%d,%.2s,%.*s,%.2s,%s,%.*s,1,\n", p.begin + 1, p.end,
                     p.s + p.begin - 2, p.end - p.begin, p.s + p.begin, p.s + p.end,
                     percent(r, 70) ? "yes" : "no", p.n, p.s);
}

static void add_negative(struct rng *r, struct aster_str *out, const char *id, int number)
{
    struct protein p;
    int kind = number % 7;
    make_negative(r, &p, kind);
    add_names(r, out, id, negative_kinds[kind], number);
    aster_str_printf(out, "%.*s\n", p.n, p.s);
}

static int write_out(struct aster_ctx *ctx, const char *dir, const char *name,
                     struct aster_str *text)
{
    char *path = NULL;
    int rc = aster_str_ok(ctx, text);
    if (rc == 0)
        rc = aster_path_join(ctx, dir, name, &path);
    if (rc == 0)
        rc = aster_file_write(ctx, path, aster_str_get(text), (int64_t)text->len);
    aster_free(&path);
    aster_str_free(text);
    return rc;
}

static int write_table(struct aster_ctx *ctx, const char *dir, const char *name, const char *prefix,
                       bool positive, int n)
{
    struct rng r = {aster_fnv1a64(name, strlen(name))};
    struct aster_str out = {0};
    aster_str_add(&out, "id,Entry Name,Protein names,Gene Names,Organism,");
    aster_str_add(
        &out,
        positive
            ? "rcl_start,rcl_end,pre_rcl,rcl_seq,after_rcl,inhibitory,Sequence,Inclusion,Note\n"
            : "Sequence\n");
    for (int k = 1; k <= n; k++) {
        char id[16];
        snprintf(id, sizeof id, "%s%04d", prefix, k);
        (positive ? add_positive : add_negative)(&r, &out, id, k);
    }
    return write_out(ctx, dir, name, &out);
}

static int write_fasta(struct aster_ctx *ctx, const char *dir, const char *name, int n)
{
    struct rng r = {aster_fnv1a64(name, strlen(name))};
    struct aster_str out = {0};
    for (int k = 1; k <= n; k++) {
        struct protein p;
        bool positive = percent(&r, 50);
        if (positive)
            make_positive(&r, &p);
        else
            make_negative(&r, &p, k % 7);
        aster_str_printf(&out, ">SYNQ%04d made-up %s\n", k,
                         positive ? "serpin" : negative_kinds[k % 7]);
        for (int i = 0; i < p.n; i += 60)
            aster_str_printf(&out, "%.*s\n", p.n - i < 60 ? p.n - i : 60, p.s + i);
    }
    return write_out(ctx, dir, name, &out);
}

static int write_all(struct aster_ctx *ctx, const char *dir)
{
    ASTER_TRY(aster_mkdirs(ctx, dir));
    ASTER_TRY(write_table(ctx, dir, "serpins_train.csv", "SYNA", true, 200));
    ASTER_TRY(write_table(ctx, dir, "negatives_train.csv", "SYNB", false, 210));
    ASTER_TRY(write_table(ctx, dir, "serpins_test.csv", "SYNC", true, 50));
    ASTER_TRY(write_table(ctx, dir, "negatives_test.csv", "SYND", false, 56));
    return write_fasta(ctx, dir, "predict.fasta", 40);
}

int main(int argc, char **argv)
{
    struct aster_ctx *ctx = NULL;
    if (argc != 2) {
        fprintf(stderr, "usage: make-synthetic DIR\n");
        return 1;
    }
    if (aster_ctx_new(&ctx) < 0)
        return 1;
    int rc = write_all(ctx, argv[1]);
    if (rc < 0)
        fprintf(stderr, "%s\n", aster_ctx_message(ctx));
    aster_ctx_free(&ctx);
    return rc < 0;
}
