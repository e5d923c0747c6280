/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads tables of token ids and holds the tokenizer against them. */
#include "golden/token_tables.h"

#include "io/io.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

int tokenizer_open(struct aster_ctx *ctx, const char *path, struct tokenizer *t)
{
    *t = (struct tokenizer){.ctx = ctx};
    ASTER_TRY(aster_bpe_open(ctx, path, &t->bpe));
    int rc = aster_bpe_room_new(ctx, &t->room);
    if (rc < 0)
        tokenizer_close(t);
    return rc;
}

void tokenizer_close(struct tokenizer *t)
{
    aster_bpe_room_free(&t->room);
    aster_bpe_close(&t->bpe);
    aster_free(&t->ids);
}

int tokenizer_encode(struct tokenizer *t, const char *text, int64_t n)
{
    ASTER_TRY(aster_grow(t->ctx, n + 2, sizeof *t->ids, &t->cap, &t->ids));
    return aster_bpe_encode(t->bpe, t->room, text, n, t->ids, &t->n);
}

bool token_ids_same(const int32_t *ids, int64_t n, const char *numbers)
{
    int64_t k = 0;
    char *end;
    for (const char *at = numbers; *at; at = *end == ' ' ? end + 1 : end, k++) {
        long v = strtol(at, &end, 10);
        if (end == at || k >= n || ids[k] != v)
            return false;
    }
    return k == n;
}

/* \xHH to bytes, in place; the number of bytes. */
static int64_t unescape(char *s)
{
    char *to = s;
    for (const char *from = s; *from; from++)
        if (from[0] == '\\' && from[1] == 'x' && from[2] && from[3]) {
            char hex[3] = {from[2], from[3], 0};
            *to++ = (char)strtol(hex, NULL, 16);
            from += 3;
        } else {
            *to++ = *from;
        }
    return to - s;
}

int token_record(struct aster_ctx *ctx, const char *path, const char *record, char **out)
{
    struct aster_fasta *f = NULL;
    struct aster_fasta_record r;
    *out = NULL;
    ASTER_TRY(aster_fasta_open(ctx, path, &f));
    int rc = 1;
    while (!*out && (rc = aster_fasta_next(f, &r)) > 0)
        if (!strcmp(r.id, record) && (rc = aster_strndup(ctx, r.seq, (size_t)r.length, out)) < 0)
            break;
    for (char *c = *out; c && *c; c++)
        *c = (char)(*c >= 'a' && *c <= 'z' ? *c - 32 : *c);
    aster_fasta_close(&f);
    if (rc < 0)
        return rc;
    return *out ? 0 : aster_fail(ctx, ASTER_EFORMAT, "%s: there is no record '%s'", path, record);
}

struct window {
    char *file, *record;
    int64_t start, length, n_ids;
    uint64_t hash;
};

static bool parse_window(char *line, struct window *w)
{
    char *field[6];
    for (int k = 0; k < 6; k++) {
        field[k] = k ? field[k - 1] + strlen(field[k - 1]) + 1 : line;
        char *tab = strchr(field[k], '\t');
        if ((tab == NULL) != (k == 5))
            return false;
        if (tab)
            *tab = '\0';
    }
    *w =
        (struct window){.file = field[0], .record = field[1], .hash = strtoull(field[5], NULL, 16)};
    return aster_parse_i64(field[2], &w->start) == 0 &&
           aster_parse_i64(field[3], &w->length) == 0 &&
           aster_parse_i64(field[4], &w->n_ids) == 0 && w->start >= 0 && w->length >= 0;
}

static bool hash_agrees(const struct tokenizer *t, const struct window *w)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (int64_t k = 0; k < t->n; k++)
        for (int byte = 0; byte < 2; byte++)
            h = (h ^ (uint64_t)(t->ids[k] >> 8 * byte & 255)) * 0x100000001b3u;
    return t->n == w->n_ids && h == w->hash;
}

struct genome { /* the record read last */
    const char *folder;
    char name[300], *bases;
};

static int one_window(struct tokenizer *t, struct genome *g, const char *path, char *line,
                      bool *agrees)
{
    struct window w;
    char name[sizeof g->name], file[PATH_MAX];
    if (!parse_window(line, &w))
        return aster_fail(t->ctx, ASTER_EFORMAT,
                          "%s: a line is not file, record, start, length, n_ids and hash", path);
    snprintf(name, sizeof name, "%.140s %.140s", w.file, w.record);
    if (strcmp(name, g->name) != 0) {
        aster_free(&g->bases);
        snprintf(file, sizeof file, "%s/%s", g->folder, w.file);
        ASTER_TRY(token_record(t->ctx, file, w.record, &g->bases));
        memcpy(g->name, name, sizeof name);
    }
    if (w.start + w.length > (int64_t)strlen(g->bases))
        return aster_fail(t->ctx, ASTER_EFORMAT, "%s: a window of %s ends behind it", path, name);
    ASTER_TRY(tokenizer_encode(t, g->bases + w.start, w.length));
    *agrees = hash_agrees(t, &w);
    return 0;
}

static int one_text(struct tokenizer *t, const char *path, char *line, bool *agrees)
{
    char *ids = strchr(line, '\t');
    if (!ids)
        return aster_fail(t->ctx, ASTER_EFORMAT, "%s: a line has no tab between text and ids",
                          path);
    *ids++ = '\0';
    ASTER_TRY(tokenizer_encode(t, line, unescape(line)));
    *agrees = token_ids_same(t->ids, t->n, ids);
    return 0;
}

int token_table(struct tokenizer *t, const char *path, const char *genomes, int64_t *lines,
                int64_t *wrong)
{
    struct aster_lines *l = NULL;
    struct genome g = {.folder = genomes};
    char *line;
    size_t n;
    *lines = *wrong = 0;
    ASTER_TRY(aster_lines_open(t->ctx, path, &l));
    int rc = aster_lines_next(l, &line, &n);
    bool has_windows = rc > 0 && !strncmp(line, "file\t", 5);
    if (rc >= 0 && !has_windows && (rc == 0 || strncmp(line, "text\t", 5) != 0))
        rc = aster_fail(t->ctx, ASTER_EFORMAT,
                        "%s: the first line names neither columns text, ids nor those of windows",
                        path);
    while (rc >= 0 && (rc = aster_lines_next(l, &line, &n)) > 0) {
        bool agrees = false;
        rc =
            has_windows ? one_window(t, &g, path, line, &agrees) : one_text(t, path, line, &agrees);
        *wrong += !agrees;
        ++*lines;
    }
    aster_free(&g.bases);
    aster_lines_close(&l);
    return rc < 0 ? rc : 0;
}
