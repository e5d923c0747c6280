/* SPDX-License-Identifier: BSD-3-Clause */
/* What a run reads: options of every kind of stage, cleaning of tables, annotated FASTA, splits,
 * stores of residue vectors. */
#include "flow/embeddings.h"
#include "unit/files.h"
#include "unit/zip_build.h"

#include <math.h>

/* ---- the table of kinds ---- */
static bool in_choices(const char *choices, const char *word)
{
    size_t n = strlen(word);
    for (const char *s = choices; s; s = strchr(s, '|') ? strchr(s, '|') + 1 : NULL)
        if (!strncmp(s, word, n) && (s[n] == '|' || !s[n]))
            return true;
    return false;
}

static bool numbers_fit(const struct aster_opt *o, const char *list, bool whole)
{
    char copy[256];
    snprintf(copy, sizeof copy, "%s", list);
    for (char *s = copy, *comma; s; s = comma) {
        double x;
        int64_t i;
        comma = strchr(s, ',');
        if (comma)
            *comma++ = '\0';
        if (aster_parse_f64(s, &x) < 0 || (whole && aster_parse_i64(s, &i) < 0) ||
            (o->min < o->max && (x < o->min || x > o->max)))
            return false;
    }
    return true;
}

static bool default_fits(const struct aster_opt *o)
{
    if (!o->def || !*o->def)
        return true;
    switch (o->type) {
    case ASTER_OPT_INT:
    case ASTER_OPT_INTS:
        return numbers_fit(o, o->def, true);
    case ASTER_OPT_REAL:
    case ASTER_OPT_REALS:
        return numbers_fit(o, o->def, false);
    case ASTER_OPT_BOOL:
        return !strcmp(o->def, "true") || !strcmp(o->def, "false");
    case ASTER_OPT_CHOICE:
        return in_choices(o->choices, o->def);
    default:
        return true;
    }
}

/* Every output that an option of type STAGE accepts is the output of some kind. */
static bool outputs_exist(const char *choices)
{
    char word[64];
    for (const char *s = choices; s; s = strchr(s, '|') ? strchr(s, '|') + 1 : NULL) {
        bool found = false;
        snprintf(word, sizeof word, "%.*s", (int)strcspn(s, "|"), s);
        for (int i = 0; i < aster_stage_n_kinds(); i++)
            found |= !strcmp(aster_stage_kind(i)->output, word);
        if (!found)
            return false;
    }
    return true;
}

static void kinds(void)
{
    bool unique = true, sentence = true, fits = true, choice = true, stages = true, runs = true;
    for (int i = 0; i < aster_stage_n_kinds(); i++) {
        const struct aster_stage_kind *k = aster_stage_kind(i);
        unique &= aster_stage_find(k->name) == k;
        runs &= k->run != NULL;
        for (const struct aster_opt *o = k->opts; o->key; o++) {
            for (const struct aster_opt *p = k->opts; p < o; p++)
                unique &= strcmp(p->key, o->key) != 0;
            sentence &= strlen(o->help) > 4 && o->help[strlen(o->help) - 1] == '.';
            if (!default_fits(o))
                tap_note("%s.%s: default '%s'", k->name, o->key, o->def);
            fits &= default_fits(o);
            choice &= (o->type == ASTER_OPT_CHOICE) <= (o->choices != NULL);
            if (o->type == ASTER_OPT_STAGE || o->type == ASTER_OPT_STAGES)
                stages &= o->choices && outputs_exist(o->choices);
        }
    }
    tap_ok(unique, "names of kinds and options occur once");
    tap_ok(runs && !aster_stage_find("x") && !aster_stage_kind(-1) &&
               !aster_stage_kind(aster_stage_n_kinds()),
           "every kind runs; others are not found");
    tap_ok(sentence, "every option is explained in a sentence");
    tap_ok(fits && choice, "defaults fit type, range and choices");
    tap_ok(stages, "options that name stages accept what some kind gives");
}

/* ---- tables ---- */
static struct aster_proteins *read_table(const char *name, int64_t max_length, bool upper)
{
    struct aster_proteins *t = NULL;
    if (aster_proteins_read(ctx, in_dir(name), "auto", max_length, upper, NULL, &t) < 0) {
        tap_note("%s", aster_ctx_message(ctx));
        aster_ctx_clear(ctx);
    }
    return t;
}

/* "id:length:begin:end ..." of what was kept. */
static bool kept(const struct aster_proteins *t, const char *want)
{
    struct aster_str s = {0};
    for (int64_t i = 0; t && i < t->n; i++)
        aster_str_printf(&s, "%s%s:%lld:%lld:%lld", i ? " " : "", t->p[i].id,
                         (long long)t->p[i].length, (long long)t->p[i].begin,
                         (long long)t->p[i].end);
    bool same = !strcmp(aster_str_get(&s), want);
    if (!same)
        tap_note("%s, expected %s", aster_str_get(&s), want);
    aster_str_free(&s);
    return same;
}

static void cleaning(void)
{
    struct aster_str rejected = {0};
    struct aster_proteins *t = NULL;
    put_text("a.csv", "id,Name,rcl_start,rcl_end,Sequence\n"
                      " p1 ,\"x, y\",2,4, ACDEF \n" /* trimmed */
                      "p2,,1,5,ACDEF\n"             /* the whole */
                      "p3,,1,6,ACDEF\n"             /* end outside */
                      "p4,,0,3,ACDEF\n"             /* start outside */
                      "p5,,4,3,ACDEF\n"             /* end before start */
                      "p6,,No Result,3,ACDEF\n"
                      "p7,,2,no end,ACDEF\n"
                      "p8,,,3,ACDEF\n"
                      "p9,,about 3,4,ACDEF\n"      /* no integer; makes the column text */
                      "p10,,3,4,\n"                /* no sequence */
                      "p11,,3,4,ACDEFGHIKLM\n"     /* too long */
                      "p12,,3,4,    ACDEFGH    \n" /* too long before trimming */
                      "p13,,2.0,4,ACDEF\n"         /* a point in a column of text */
                      "p14,,2,4.0,ACDEF\n"         /* that is text too: p7 */
                      "p1,,3,3,acdBX\n");          /* an id again; a loop of one residue */
    int rc = aster_proteins_read(ctx, in_dir("a.csv"), "csv", 10, true, &rejected, &t);
    tap_ok(rc == 0 && kept(t, "p1:5:1:4 p2:5:0:5 p1:5:2:3"),
           "rows are kept by the rules of cleaning");
    tap_ok(t && t->counts.rows == 15 && t->counts.kept == 3 && t->counts.empty == 1 &&
               t->counts.too_long == 2 && t->counts.missing == 3 && t->counts.not_numeric == 3 &&
               t->counts.outside == 3,
           "and counted by reason: %lld missing, %lld not numeric, %lld outside",
           t ? (long long)t->counts.missing : -1, t ? (long long)t->counts.not_numeric : -1,
           t ? (long long)t->counts.outside : -1);
    tap_ok(t && t->n == 3 && !strcmp(t->p[2].sequence, "ACDBX"), "lower case becomes upper case");
    int64_t lines = 0;
    for (const char *s = aster_str_get(&rejected); (s = strchr(s, '\n')); s++)
        lines++;
    tap_ok(lines == 12 && strstr(aster_str_get(&rejected), "a.csv\t7\tp6\tno loop bounds\n"),
           "rejected rows have file, line, id and reason");
    aster_str_free(&rejected);
    aster_proteins_free(&t);
}

static void cleaning_numbers(void)
{
    struct aster_proteins *t;
    put_text("b.csv", "id,rcl_start,rcl_end,Sequence\np1,2.0,4.9,ACDEF\np2,,3,ACDEF\np3,nan,3,"
                      "ACDEF\np4,1,2,ACDEF\n");
    t = read_table("b.csv", 10, true);
    tap_ok(kept(t, "p1:5:1:4 p4:5:0:2"), "numbers with gaps are truncated");
    aster_proteins_free(&t);
    put_text("c.csv", "id,Sequence,rcl_start\nn1,ACDxF,7\nn2,AC*,x\n");
    t = read_table("c.csv", 10, false);
    tap_ok(kept(t, "n1:5:-1:-1 n2:3:-1:-1") && !strcmp(t->p[0].sequence, "ACDxF"),
           "without both columns of bounds all are negatives");
    aster_proteins_free(&t);
    put_text("d.csv", "name,Sequence\na,A\n");
    int rc = aster_proteins_read(ctx, in_dir("d.csv"), "auto", 10, true, NULL, &t);
    tap_ok(rc == ASTER_EFORMAT && strstr(aster_ctx_message(ctx), "d.csv:1: has no column 'id'"),
           "a table without ids: %s", aster_ctx_message(ctx));
    aster_ctx_clear(ctx);
}

static void annotated(void)
{
    struct aster_proteins *t;
    put_text("a.fasta",
             "\n>a rcl:2-4 score:0.9\nACDEF\n>b rcl:not_identified score:0.00\nACDEF\n>c "
             "rcl:0-9\nACDEF\n>d rcl:no result-nan\nACDEF\n"
             ">e other rcl:4-5x\nACDEF\n>f rcl:5-4\nACDEF\n>g\n\n>h rcl:1-1\nACDEFGHIKLMNP\n>i "
             "rcl:7-9\nACDEF\n>j first rcl:1-2 rcl:3-4\nACDEF\n");
    t = read_table("a.fasta", 10, true);
    tap_ok(kept(t, "a:5:1:4 b:5:-1:-1 c:5:0:5 d:5:-1:-1 e:5:-1:-1 f:5:-1:-1 i:5:-1:-1 j:5:0:2"),
           "loops of FASTA headers");
    tap_ok(t && t->counts.empty == 1 && t->counts.too_long == 1,
           "empty and long records are left out");
    aster_proteins_free(&t);
}

/* ---- splits ---- */
static struct aster_split *split(struct aster_proteins *t, double share, uint32_t seed,
                                 bool grouped, bool dedup)
{
    const struct aster_protein **list = NULL;
    struct aster_split *s = NULL;
    if (aster_alloc(ctx, t->n, sizeof *list, &list) < 0)
        return NULL;
    for (int64_t i = 0; i < t->n; i++)
        list[i] = &t->p[i];
    if (aster_split_new(ctx, t->n, list, share, seed, grouped, dedup, 0.5, &s) < 0)
        tap_note("%s", aster_ctx_message(ctx));
    aster_free(&list);
    return s;
}

static bool is_permutation(const struct aster_split *s)
{
    bool *seen = NULL, good = aster_alloc(ctx, s->n, sizeof *seen, &seen) == 0;
    for (int64_t i = 0; good && i < s->n; i++) {
        good = s->order[i] >= 0 && s->order[i] < s->n && !seen[s->order[i]];
        if (good)
            seen[s->order[i]] = true;
    }
    aster_free(&seen);
    return good;
}

/* 40 families of 5 members that differ in one residue; one member twice. */
static struct aster_proteins *families(void)
{
    struct aster_proteins *t = NULL;
    char id[32], seq[101];
    if (aster_alloc(ctx, 1, sizeof *t, &t) < 0)
        return NULL;
    for (int f = 0; f < 40; f++)
        for (int m = 0; m < 5; m++) {
            for (int k = 0; k < 100; k++)
                seq[k] =
                    "ACDEFGHIKLMNPQRSTVWY"[(int)(20 * aster_uniform(7, (uint64_t)f, (uint64_t)k))];
            seq[100] = '\0';
            if (m < 4)
                seq[20 * m + 3] = 'X';
            snprintf(id, sizeof id, "f%d", f);
            if (aster_proteins_add(ctx, t, id, seq, 100, -1, -1) < 0 ||
                (m == 4 && aster_proteins_add(ctx, t, id, seq, 100, -1, -1) < 0))
                return t;
        }
    return t;
}

static void splits(void)
{
    struct aster_proteins *t = families();
    struct aster_split *s = split(t, 0.8, 42, false, false);
    tap_ok(s && s->n == 240 && s->n_val == 48 && is_permutation(s),
           "a random split is a permutation; a fifth validates");
    aster_split_free(&s);
    s = split(t, 0.8, 42, false, true);
    tap_ok(s && s->n == 200 && s->n_val == 40, "repeated sequences are dropped");
    aster_split_free(&s);
    s = split(t, 0.8, 42, true, false);
    bool together = s != NULL;
    int where[40] = {0};
    for (int64_t i = 0; s && i < s->n; i++)
        where[atoi(s->p[s->order[i]]->id + 1)] |= i < s->n_val ? 1 : 2;
    for (int f = 0; f < 40; f++)
        together &= where[f] == 1 || where[f] == 2;
    tap_ok(together && is_permutation(s) && s->n_val >= 48 && s->n_val < 54,
           "groups stay together: %lld validate", s ? (long long)s->n_val : -1);
    aster_split_free(&s);
    s = split(t, 0, 42, false, false);
    tap_ok(!s && aster_ctx_code(ctx) == ASTER_EPARAM, "a part without proteins: %s",
           aster_ctx_message(ctx));
    aster_ctx_clear(ctx);
    aster_proteins_free(&t);
}

/* ---- stores of residue vectors ---- */
static bool rows_are(struct aster_embeddings *e, int64_t key, int64_t n, float first)
{
    float rows[64];
    if (aster_embeddings_rows(e, key, n, rows) != 0)
        return false;
    for (int64_t i = 0; i < 3 * n; i++)
        if (rows[i] != first + (float)i)
            return false;
    return true;
}

static void store_h5(void)
{
    static const char *const ids[] = {"a", "b", "a"}, *const seqs[] = {"ACD", "EF", "GHIK"};
    const int64_t offsets[] = {0, 3, 5, 9}, begin[] = {1, -1, 0}, end[] = {3, -1, 4},
                  shape[] = {9, 3}, n4 = 4, n3 = 3;
    struct aster_embeddings *e = NULL;
    struct aster_h5 *f = NULL;
    const char *why;
    float values[27];
    for (int i = 0; i < 27; i++)
        values[i] = (float)i;
    int rc = aster_h5_create(ctx, in_dir("e.h5"), &f);
    rc |= aster_h5_attr_set_str(f, "/", "encoding", "esm2");
    rc |= aster_h5_write_strings(f, "ids", 3, ids);
    rc |= aster_h5_write_strings(f, "sequences", 3, seqs);
    rc |= aster_h5_write(f, "offsets", ASTER_I64, 1, &n4, offsets);
    rc |= aster_h5_write(f, "loop_begin", ASTER_I64, 1, &n3, begin);
    rc |= aster_h5_write(f, "loop_end", ASTER_I64, 1, &n3, end);
    rc |= aster_h5_write(f, "values", ASTER_F32, 2, shape, values);
    rc |= aster_h5_commit(&f);
    rc |= aster_embeddings_open(ctx, in_dir("e.h5"), "esm2_650m", 3, 10, &e);
    tap_ok(rc == 0, "a ragged store opens %s", aster_ctx_message(ctx));
    if (rc < 0)
        return;
    tap_ok(kept(aster_embeddings_proteins(e), "a:3:1:3 b:2:-1:-1 a:4:0:4"),
           "with its proteins and loops");
    tap_ok(aster_embeddings_find(e, "a", "GHIK", &why) == 2 &&
               aster_embeddings_find(e, "a", "ACD", &why) == 0,
           "an id twice is told apart by its sequence");
    tap_ok(aster_embeddings_find(e, "b", "EE", &why) == -1 && strstr(why, "another sequence"),
           "another sequence under an id: %s", why);
    tap_ok(aster_embeddings_find(e, "c", "EF", &why) == -1 && strstr(why, "not in the store"),
           "an id that is not there: %s", why);
    tap_ok(rows_are(e, 0, 3, 0) && rows_are(e, 1, 2, 9) && rows_are(e, 2, 4, 15), "rows of each");
    float row[3];
    tap_ok(aster_embeddings_rows(e, 3, 1, row) < 0 && aster_embeddings_rows(e, 1, 3, row) < 0,
           "no rows beyond an entry or its length");
    aster_embeddings_free(&e);
    rc = aster_embeddings_open(ctx, in_dir("e.h5"), "esm2", 4, 10, &e);
    tap_ok(rc == ASTER_EFORMAT &&
               strstr(aster_ctx_message(ctx), "numbers [residues, 4] are expected"),
           "another width: %s", aster_ctx_message(ctx));
    aster_ctx_clear(ctx);
}

static void npy(struct aster_str *out, const char *descr, const char *shape, const void *data,
                size_t n)
{
    char head[128];
    snprintf(head, sizeof head, "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", descr,
             shape);
    make_npy(out, 1, head, data, n);
}

static void store_npz(void)
{
    static const uint32_t ids[2][2] = {{'p', '1'}, {'p', '2'}},
                          seqs[2][4] = {{'A', 'C', 'D', 'E'}, {'F', 'G', 0, 0}};
    const float gap = 9999,
                labels[2][5][2] = {{{1, 0}, {0, 1}, {0, 1}, {1, 0}, {gap, gap}},
                                   {{0, 1}, {1, 0}, {gap, gap}, {gap, gap}, {gap, gap}}};
    float values[30];
    struct aster_str arrays[4] = {{0}}, zip = {0};
    struct aster_embeddings *e = NULL;
    const char *why;
    for (int i = 0; i < 30; i++)
        values[i] = (float)i;
    npy(&arrays[0], "<f4", "2, 5, 3", values, sizeof values);
    npy(&arrays[1], "<f4", "2, 5, 2", labels, sizeof labels);
    npy(&arrays[2], "<U2", "2,", ids, sizeof ids);
    npy(&arrays[3], "<U4", "2,", seqs, sizeof seqs);
    const struct entry entries[] = {
        {.name = "encodings.npy", .data = arrays[0].s, .n = arrays[0].len},
        {.name = "labels.npy", .data = arrays[1].s, .n = arrays[1].len, .deflate = true},
        {.name = "ids.npy", .data = arrays[2].s, .n = arrays[2].len},
        {.name = "sequences.npy", .data = arrays[3].s, .n = arrays[3].len}};
    make_zip(&zip, 4, entries, false, 0, "");
    put_bytes("e.npz", zip.s, zip.len);
    int rc = aster_embeddings_open(ctx, in_dir("e.npz"), "esm2", 3, 10, &e);
    tap_ok(rc == 0 && kept(aster_embeddings_proteins(e), "p1:4:1:3 p2:2:0:1"),
           "an archive as the reference writes it: ids, lengths, loops %s", aster_ctx_message(ctx));
    tap_ok(rc == 0 && rows_are(e, 0, 4, 0) && rows_are(e, 1, 2, 15), "and rows");
    tap_ok(rc == 0 && aster_embeddings_find(e, "p2", "FG", &why) == 1, "found by id and sequence");
    aster_embeddings_free(&e);
    for (int k = 0; k < 4; k++)
        aster_str_free(&arrays[k]);
    aster_str_free(&zip);
}

/* ---- published data ---- */
static struct aster_proteins *shared_table(const char *name)
{
    struct aster_proteins *t = NULL;
    if (aster_proteins_read(ctx, shared(name), "auto", 1024, true, NULL, &t) < 0)
        tap_note("%s", aster_ctx_message(ctx));
    return t;
}

static bool same_split(const struct aster_split *s)
{
    struct aster_csv *c = NULL;
    const char *const *f;
    int64_t rows = 0, wrong = 0;
    int rc = aster_csv_open(ctx, shared("rcl/derived/split_seed42.csv"), &c);
    while (rc == 0 && (rc = aster_csv_next(c, &f)) == 1) {
        int64_t index, position, length, begin = -1, end = -1;
        rc = aster_parse_i64(f[0], &index) | aster_parse_i64(f[2], &position) |
             aster_parse_i64(f[5], &length);
        bool val = !strcmp(f[1], "val");
        const struct aster_protein *p =
            rc == 0 ? s->p[s->order[val ? position : s->n_val + position]] : NULL;
        if (rc == 0 && *f[6])
            rc = aster_parse_i64(f[6], &begin) | aster_parse_i64(f[7], &end);
        wrong += rc || p != s->p[index] || strcmp(p->id, f[4]) || p->length != length ||
                 p->begin != begin || p->end != end;
        rows++;
    }
    aster_csv_close(&c);
    return rc == 0 && rows == 3431 && wrong == 0;
}

static void published(void)
{
    if (!shared("rcl/raw/old_RCL_annotation_file.csv")) {
        tap_skip("published tables: no test data here");
        return;
    }
    struct aster_proteins *old = shared_table("rcl/raw/old_RCL_annotation_file.csv"),
                          *neg = shared_table("rcl/raw/non_serpin_train.csv");
    struct aster_proteins *both = shared_table("rcl/raw/Alphafold_RCL_annotations.csv");
    tap_ok(old && old->counts.kept == 1383 && old->counts.too_long == 13 &&
               old->counts.empty + old->counts.missing + old->counts.not_numeric +
                       old->counts.outside ==
                   566,
           "the table before cleaning: 1383 kept, 13 too long, 566 skipped");
    tap_ok(both && both->n == 1383 && both->counts.too_long == 1 && neg && neg->n == 2048,
           "the training tables: 1383 and 2048");
    bool equal = old && both && old->n == both->n;
    for (int64_t i = 0; equal && i < old->n; i++)
        equal = !strcmp(old->p[i].id, both->p[i].id) &&
                !strcmp(old->p[i].sequence, both->p[i].sequence) &&
                old->p[i].begin == both->p[i].begin && old->p[i].end == both->p[i].end;
    tap_ok(equal, "the two annotated tables are the same after cleaning");
    for (int64_t i = 0; both && neg && i < neg->n; i++)
        if (aster_proteins_add(ctx, both, neg->p[i].id, neg->p[i].sequence, neg->p[i].length, -1,
                               -1) < 0)
            break;
    struct aster_split *s = both ? split(both, 0.8, 42, false, false) : NULL;
    tap_ok(s && s->n_val == 687 && s->order[0] == 1575 && s->order[1] == 1949 &&
               s->order[9] == 2498,
           "the split begins as the reference's");
    tap_ok(s && same_split(s), "and is the same to the last protein");
    aster_split_free(&s);
    aster_proteins_free(&old);
    aster_proteins_free(&both);
    aster_proteins_free(&neg);
}

int main(void)
{
    test_start();
    kinds();
    cleaning();
    cleaning_numbers();
    annotated();
    splits();
    store_h5();
    store_npz();
    published();
    return test_end();
}
