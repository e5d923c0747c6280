/* SPDX-License-Identifier: BSD-3-Clause */
/* embed-check MODEL FASTA RUN [NAME=VALUE ...]: the files of an embedding run against the model run
 * in double precision, one window of one sequence at a time, by rules said here once more. */
#include "flow/pretrained.h"
#include "golden/kernels.h"
#include "golden/lm_file.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_RECORDS = 2000, MOST_LAYERS = 8 };

struct record {
    char id[64], *letters;
    int64_t n;      /* of letters */
    int64_t length; /* before it was cut */
    bool good;
    double *rows[MOST_LAYERS]; /* [n, width] */
};

struct check {
    struct aster_ctx *ctx;
    const char *model, *fasta, *run;
    int64_t max_length, overlap;
    const char *over, *unknown, *output;
    int64_t n_layers, layer[MOST_LAYERS];
    double limit;
    bool perturb, npz;
    struct record record[MOST_RECORDS];
    int64_t n, n_good;
    struct record *good[MOST_RECORDS];
    struct aster_pretrained *weights;
    struct lm_net net;
    double worst;
    int64_t wrong;
};

static void wrong(struct check *c, const char *what, long long a, long long b)
{
    if (c->wrong++ < 10)
        printf("# %s: %lld, expected %lld\n", what, a, b);
}

/* ---- the records ---- */

/* Ids of the alphabet in the order of the token table, from 4 on */
static int32_t token_of(const struct check *c, char letter)
{
    static const char alphabet[] = "LAGVSERTIDPKQNFYMHWCXBUZO.-";
    const char *at = letter ? strchr(alphabet, letter) : NULL;
    return at ? (int32_t)(4 + (at - alphabet)) : strcmp(c->unknown, "x") == 0 ? 24 : 3;
}

static bool is_odd(char letter)
{
    return !strchr("LAGVSERTIDPKQNFYMHWCXBUZO.-", letter);
}

/* What the options make of a record. */
static void judge(struct check *c, struct record *r)
{
    bool odd = false;
    r->length = r->n;
    r->good = r->n > 0;
    if (r->n > c->max_length && strcmp(c->over, "error") == 0)
        r->good = false;
    if (r->n > c->max_length && strcmp(c->over, "truncate") == 0)
        r->letters[r->n = c->max_length] = '\0';
    for (int64_t k = 0; k < r->n; k++)
        odd = odd || is_odd(r->letters[k]);
    if (odd && strcmp(c->unknown, "error") == 0)
        r->good = false;
    if (r->good)
        c->good[c->n_good++] = r;
}

static int add_letters(struct check *c, const char *text)
{
    struct record *r = &c->record[c->n - 1];
    size_t more = strlen(text);
    char *grown = realloc(r->letters, (size_t)r->n + more + 1);
    if (!grown)
        return aster_fail(c->ctx, ASTER_ENOMEM, "%s: out of memory", c->fasta);
    r->letters = grown;
    for (size_t k = 0; k <= more; k++) /* small letters are taken as capitals */
        grown[(size_t)r->n + k] = (char)(text[k] >= 'a' && text[k] <= 'z' ? text[k] - 32 : text[k]);
    r->n += (int64_t)more;
    return 0;
}

static int read_fasta(struct check *c)
{
    static char line[1 << 20];
    FILE *f = fopen(c->fasta, "r");
    int rc = f ? 0 : aster_fail(c->ctx, ASTER_EIO, "%s: cannot be read", c->fasta);
    while (rc == 0 && fgets(line, sizeof line, f)) {
        line[strcspn(line, "\r\n")] = '\0';
        if (*line == '>' && c->n < MOST_RECORDS) {
            struct record *r = &c->record[c->n++];
            snprintf(r->id, sizeof r->id, "%.*s", (int)strcspn(line + 1, " \t"), line + 1);
            rc = add_letters(c, "");
        } else if (c->n) {
            rc = add_letters(c, line);
        }
    }
    if (f)
        fclose(f);
    for (int64_t i = 0; i < c->n; i++)
        judge(c, &c->record[i]);
    return rc;
}

/* ---- the model, one window after the other ---- */

static int read_block(void *arg, int64_t block, const struct aster_program *p, void *flat)
{
    struct check *c = arg;
    ASTER_TRY(aster_pretrained_read(c->weights, block, p, flat));
    lm_perturb(&(struct golden_options){.perturb = c->perturb}, block, p, flat);
    return 0;
}

static const float *frequencies(void *arg, int64_t layer)
{
    return aster_pretrained_frequencies(((struct check *)arg)->weights, layer);
}

static int open_model(struct check *c)
{
    struct aster_language_config config;
    struct lm_source source = {c, read_block, frequencies};
    char path[4096];
    snprintf(path, sizeof path, "%s/config.json", c->model);
    ASTER_TRY(aster_pretrained_config_read(c->ctx, path, &config));
    snprintf(path, sizeof path, "%s/model.safetensors", c->model);
    ASTER_TRY(aster_pretrained_open(c->ctx, path, &config, &c->weights));
    for (int64_t k = 0; k < c->n_layers; k++)
        if (c->layer[k] < 0)
            c->layer[k] = config.n_layers;
    return lm_net_new(c->ctx, golden_kernels(ASTER_ISA_BASE), ASTER_F64, &config, &source, false,
                      &c->net);
}

/* How far residue t is from the nearest end of a window that is not an end of the sequence; -1: not
 * in it. */
static int64_t depth(const struct record *r, int64_t begin, int64_t n, int64_t t)
{
    int64_t from_begin = begin == 0 ? INT64_MAX : t - begin,
            from_end = begin + n == r->n ? INT64_MAX : begin + n - 1 - t;
    return t < begin || t >= begin + n ? -1 : from_begin < from_end ? from_begin : from_end;
}

/* Begins of the windows: every max_length - overlap residues until one reaches the end, which is
 * moved back to end there. */
static int64_t list_windows(const struct check *c, const struct record *r, int64_t *begin)
{
    int64_t n = 0;
    for (int64_t at = 0;; at += c->max_length - c->overlap) {
        bool last = at + c->max_length >= r->n;
        begin[n++] = last && r->n > c->max_length ? r->n - c->max_length : at;
        if (last)
            return n;
    }
}

static void take_rows(struct check *c, struct record *r, const struct lm_batch *b, int64_t layer,
                      const int64_t *begin, int64_t n_windows, int64_t window)
{
    int64_t d = c->net.c.width, n = r->n < c->max_length ? r->n : c->max_length;
    const double *rows = lm_batch_rows(b, 0);
    for (int64_t t = 0; t < r->n; t++) {
        int64_t best = 0;
        for (int64_t k = 1; k < n_windows; k++)
            if (depth(r, begin[k], n, t) > depth(r, begin[best], n, t))
                best = k;
        if (best == window)
            memcpy(r->rows[layer] + t * d, rows + (t - begin[window] + 1) * d,
                   (size_t)d * sizeof *rows);
    }
}

static int run_window(struct check *c, struct record *r, const int64_t *begin, int64_t n_windows,
                      int64_t window)
{
    struct lm_batch b = {0};
    int64_t n = r->n < c->max_length ? r->n : c->max_length, zero = 0;
    struct lm_tokens t = {.n = n + 2};
    int rc;
    ASTER_TRY(aster_alloc(c->ctx, t.n, sizeof *t.ids, &t.ids));
    t.ids[0] = 0;
    t.ids[n + 1] = 2;
    for (int64_t k = 0; k < n; k++)
        t.ids[k + 1] = token_of(c, r->letters[begin[window] + k]);
    ASTER_GOTO(lm_batch_new(&c->net, &t, 1, &zero, false, &b), done);
    int64_t blocks = aster_language_n_blocks(&c->net.c);
    for (int64_t block = 0; block < blocks; block++) {
        ASTER_GOTO(lm_net_load(&c->net, block), done);
        ASTER_GOTO(lm_batch_forward(&b), done);
        for (int64_t k = 0; k < c->n_layers; k++)
            if (block == (c->layer[k] == c->net.c.n_layers ? blocks - 1 : c->layer[k]))
                take_rows(c, r, &b, k, begin, n_windows, window);
    }
done:
    if (b.net)
        lm_batch_free(&b);
    aster_free(&t.ids);
    return rc;
}

static int run_record(struct check *c, struct record *r)
{
    static int64_t begin[1 << 16];
    int64_t n_windows = r->n > c->max_length ? list_windows(c, r, begin) : 1;
    if (n_windows == 1)
        begin[0] = 0;
    for (int64_t k = 0; k < c->n_layers; k++)
        ASTER_TRY(aster_alloc(c->ctx, r->n * c->net.c.width, sizeof(double), &r->rows[k]));
    for (int64_t w = 0; w < n_windows; w++)
        ASTER_TRY(run_window(c, r, begin, n_windows, w));
    return 0;
}

/* ---- comparing ---- */

static void compare(struct check *c, int64_t n, const float *got, const double *want)
{
    double error = 0, size = 0;
    for (int64_t k = 0; k < n; k++) {
        error += ((double)got[k] - want[k]) * ((double)got[k] - want[k]);
        size += want[k] * want[k];
    }
    error = sqrt(error / size) / c->limit;
    if (!(error <= c->worst))
        c->worst = isfinite(error) ? error : (double)INFINITY;
}

static void mean_of(const struct record *r, int64_t layer, int64_t d, double *mean)
{
    for (int64_t j = 0; j < d; j++) {
        mean[j] = 0;
        for (int64_t t = 0; t < r->n; t++)
            mean[j] += r->rows[layer][t * d + j] / (double)r->n;
    }
}

static void name_of(const struct check *c, int64_t k, const char *what, char *out, size_t size)
{
    if (k + 1 == c->n_layers)
        snprintf(out, size, "%s", what);
    else
        snprintf(out, size, "layer_%lld/%s", (long long)c->layer[k], what);
}

static int check_vectors(struct check *c, struct aster_h5 *f, int64_t k, int64_t n_rows)
{
    int64_t d = c->net.c.width, row = 0;
    bool rows = strcmp(c->output, "mean") != 0, mean = strcmp(c->output, "residues") != 0;
    char values_name[64], mean_name[64];
    float *got = NULL, *means = NULL;
    double *want = NULL;
    int rc = 0;
    name_of(c, k, "values", values_name, sizeof values_name);
    name_of(c, k, "mean", mean_name, sizeof mean_name);
    if (aster_h5_has(f, values_name) != rows || aster_h5_has(f, mean_name) != mean)
        wrong(c, "datasets of vectors", rows, mean);
    ASTER_GOTO(aster_alloc(c->ctx, d, sizeof *want, &want), done);
    if (rows)
        ASTER_GOTO(aster_h5_read(f, values_name, ASTER_F32, n_rows * d, &got), done);
    if (mean)
        ASTER_GOTO(aster_h5_read(f, mean_name, ASTER_F32, c->n_good * d, &means), done);
    for (int64_t i = 0; i < c->n_good; row += c->good[i++]->n) {
        if (rows)
            compare(c, c->good[i]->n * d, got + row * d, c->good[i]->rows[k]);
        mean_of(c->good[i], k, d, want);
        if (mean)
            compare(c, d, means + i * d, want);
    }
done:
    aster_free(&got);
    aster_free(&means);
    aster_free(&want);
    return rc;
}

static int check_names(struct check *c, struct aster_h5 *f, int64_t *n_rows)
{
    char **ids = NULL, **letters = NULL;
    int64_t n_ids = 0, n_letters = 0, *offset = NULL, *record = NULL, *length = NULL,
            *by_name = NULL;
    int rc;
    *n_rows = 0;
    ASTER_GOTO(aster_h5_read_strings(f, "ids", &ids, &n_ids), done);
    ASTER_GOTO(aster_h5_read_strings(f, "sequences", &letters, &n_letters), done);
    if (n_ids != c->n_good || n_letters != c->n_good) {
        wrong(c, "entries", n_ids, c->n_good);
        rc = aster_fail(c->ctx, ASTER_EFORMAT, "other entries than expected");
        goto done;
    }
    ASTER_GOTO(aster_h5_read(f, "offsets", ASTER_I64, c->n_good + 1, &offset), done);
    ASTER_GOTO(aster_h5_read(f, "record", ASTER_I64, c->n_good, &record), done);
    ASTER_GOTO(aster_h5_read(f, "length", ASTER_I64, c->n_good, &length), done);
    ASTER_GOTO(aster_h5_read(f, "by_name", ASTER_I64, c->n_good, &by_name), done);
    for (int64_t i = 0; i < c->n_good; i++) {
        const struct record *r = c->good[i];
        if (strcmp(ids[i], r->id) != 0 || strcmp(letters[i], r->letters) != 0)
            wrong(c, "id or sequence of entry", i, -1);
        if (record[i] != r - c->record || length[i] != r->length)
            wrong(c, "record of an entry", record[i], r - c->record);
        if (offset[i] != *n_rows)
            wrong(c, "offset", offset[i], *n_rows);
        *n_rows += r->n;
    }
    if (offset[c->n_good] != *n_rows)
        wrong(c, "last offset", offset[c->n_good], *n_rows);
    for (int64_t i = 1; i < c->n_good; i++) {
        int order = strcmp(ids[by_name[i - 1]], ids[by_name[i]]);
        if (order > 0 || (order == 0 && by_name[i - 1] >= by_name[i]))
            wrong(c, "place by name", i, -1);
    }
done:
    aster_h5_names_free(&ids, n_ids);
    aster_h5_names_free(&letters, n_letters);
    aster_free(&offset);
    aster_free(&record);
    aster_free(&length);
    aster_free(&by_name);
    return rc;
}

/* The padded arrays have the numbers of the ragged ones, and zeros behind them. */
static int check_npz(struct check *c, struct aster_h5 *f)
{
    struct aster_npz *z = NULL;
    struct aster_npy_shape s;
    char path[4096], **ids = NULL, **letters = NULL;
    int64_t d = c->net.c.width, n_ids = 0, n_letters = 0, at = 0;
    float *padded = NULL, *rows = NULL;
    int rc;
    snprintf(path, sizeof path, "%s/embeddings.npz", c->run);
    ASTER_GOTO(aster_npz_open(c->ctx, path, &z), done);
    ASTER_GOTO(aster_npz_shape(z, "encodings", &s), done);
    ASTER_GOTO(aster_npz_read_strings(z, "ids", &ids, &n_ids), done);
    ASTER_GOTO(aster_npz_read_strings(z, "sequences", &letters, &n_letters), done);
    if (s.rank != 3 || s.dim[0] != c->n_good || s.dim[2] != d || n_ids != c->n_good ||
        n_letters != c->n_good) {
        wrong(c, "entries of the npz", s.dim[0], c->n_good);
        goto done;
    }
    ASTER_GOTO(aster_alloc(c->ctx, s.dim[1] * d, sizeof *padded, &padded), done);
    ASTER_GOTO(aster_alloc(c->ctx, s.dim[1] * d, sizeof *rows, &rows), done);
    for (int64_t i = 0; i < c->n_good; at += c->good[i++]->n) {
        memset(rows, 0, (size_t)(s.dim[1] * d) * sizeof *rows);
        ASTER_GOTO(aster_h5_read_rows(f, "values", ASTER_F32, at, c->good[i]->n, rows), done);
        ASTER_GOTO(aster_npz_read_rows(z, "encodings", ASTER_F32, i, 1, padded), done);
        if (memcmp(rows, padded, (size_t)(s.dim[1] * d) * sizeof *rows) != 0 ||
            strcmp(ids[i], c->good[i]->id) != 0 || strcmp(letters[i], c->good[i]->letters) != 0)
            wrong(c, "entry of the npz", i, -1);
    }
done:
    aster_strings_free(&ids, n_ids);
    aster_strings_free(&letters, n_letters);
    aster_free(&padded);
    aster_free(&rows);
    aster_npz_close(&z);
    return rc;
}

static int check_all(struct check *c)
{
    struct aster_h5 *f = NULL;
    char path[4096];
    int64_t n_rows;
    int rc;
    ASTER_TRY(read_fasta(c));
    ASTER_TRY(open_model(c));
    for (int64_t i = 0; i < c->n_good; i++)
        ASTER_TRY(run_record(c, c->good[i]));
    snprintf(path, sizeof path, "%s/embeddings.h5", c->run);
    ASTER_TRY(aster_h5_open(c->ctx, path, &f));
    ASTER_GOTO(check_names(c, f, &n_rows), done);
    for (int64_t k = 0; k < c->n_layers; k++)
        ASTER_GOTO(check_vectors(c, f, k, n_rows), done);
    if (c->npz)
        rc = check_npz(c, f);
done:
    aster_h5_close(&f);
    return rc;
}

/* ---- the program ---- */

static bool parse(struct check *c, char *text)
{
    char *value = strchr(text, '=');
    if (!value)
        return false;
    *value++ = '\0';
    if (!strcmp(text, "max_length"))
        return aster_parse_i64(value, &c->max_length) == 0;
    if (!strcmp(text, "overlap"))
        return aster_parse_i64(value, &c->overlap) == 0;
    if (!strcmp(text, "limit"))
        return aster_parse_f64(value, &c->limit) == 0;
    if (!strcmp(text, "over_length"))
        c->over = value;
    else if (!strcmp(text, "unknown"))
        c->unknown = value;
    else if (!strcmp(text, "output"))
        c->output = value;
    else if (!strcmp(text, "npz"))
        c->npz = !strcmp(value, "yes");
    else if (!strcmp(text, "perturb"))
        c->perturb = !strcmp(value, "yes");
    else if (strcmp(text, "layers") != 0)
        return false;
    else
        for (char *next = value; c->n_layers < MOST_LAYERS && *next; next += *next == ',')
            c->layer[c->n_layers++] = strtol(next, &next, 10);
    return true;
}

int main(int argc, char **argv)
{
    static struct check c = {.max_length = 1022,
                             .overlap = 256,
                             .over = "error",
                             .unknown = "unk",
                             .output = "both",
                             .limit = 1e-5};
    bool good = argc >= 4;
    for (int k = 4; good && k < argc; k++)
        good = parse(&c, argv[k]);
    if (!good || aster_ctx_new(&c.ctx) < 0) {
        fputs("usage: embed-check MODEL FASTA RUN [max_length= overlap= over_length= unknown= "
              "output= layers= limit= npz=yes perturb=yes]\n",
              stderr);
        return 1;
    }
    c.model = argv[1];
    c.fasta = argv[2];
    c.run = argv[3];
    if (c.n_layers == 0)
        c.layer[c.n_layers++] = -1;
    aster_kernel_thread_init();
    int rc = check_all(&c);
    if (rc < 0)
        printf("# %s\n", aster_ctx_message(c.ctx));
    else
        printf("# %lld of %lld records, largest error %.3g of the limit, %lld differences\n",
               (long long)c.n_good, (long long)c.n, c.worst, (long long)c.wrong);
    for (int64_t i = 0; i < c.n; i++) {
        free(c.record[i].letters);
        for (int64_t k = 0; k < c.n_layers; k++)
            aster_free(&c.record[i].rows[k]);
    }
    lm_net_free(&c.net);
    aster_pretrained_close(&c.weights);
    aster_ctx_free(&c.ctx);
    return rc < 0 || c.wrong || !(c.worst <= 1);
}
