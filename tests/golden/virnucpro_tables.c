/* SPDX-License-Identifier: BSD-3-Clause */
/* Tables of scores written again from their numbers and compared byte by byte; features as text. */
#include "golden/virnucpro_check.h"

#include <math.h>
#include <stdlib.h>

/* The number of a frame's name at the end of an id, -1 without one. */
static int frame_of(const char *id)
{
    size_t n = strlen(id);
    for (int k = 0; n > 2 && k < ASTER_N_FRAMES; k++)
        if (!strcmp(id + n - 2, aster_frame_name(k)))
            return k;
    return -1;
}

static bool parse_f32(const char *text, float *out)
{
    char *end;
    *out = strtof(text, &end);
    return end != text && !*end && isfinite(*out);
}

/* ---- the two tables of a run ---- */

struct group {
    char *chunk;
    struct aster_chunk_call call;
};
struct groups {
    struct group *g;
    int64_t n, cap;
};

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct group *)a)->chunk, ((const struct group *)b)->chunk);
}

static void free_groups(struct groups *s)
{
    for (int64_t k = 0; k < s->n; k++)
        aster_free(&s->g[k].chunk);
    aster_free(&s->g);
}

/* Id, label and scores of a frame; id ends where its frame begins afterwards. */
static int read_frame(struct vnp *v, const char *path, char **field, int *number, float *other,
                      float *virus)
{
    *number = frame_of(field[0]);
    if (*number < 0 || !parse_f32(field[2], other) || !parse_f32(field[3], virus))
        return aster_fail(v->ctx, ASTER_EFORMAT, "%s: '%s %s %s' is no frame with two scores", path,
                          field[0], field[2], field[3]);
    field[0][strlen(field[0]) - 2] = '\0';
    return 0;
}

static int add_to_group(struct vnp *v, struct groups *s, const char *chunk, float other,
                        float virus)
{
    if (s->n == 0 || strcmp(s->g[s->n - 1].chunk, chunk) != 0) {
        ASTER_TRY(aster_grow(v->ctx, s->n + 1, sizeof *s->g, &s->cap, &s->g));
        ASTER_TRY(aster_strdup(v->ctx, chunk, &s->g[s->n].chunk));
        s->g[s->n++].call = (struct aster_chunk_call){0};
    }
    aster_chunk_call_add(&s->g[s->n - 1].call, other, virus);
    return 0;
}

static int read_frames(struct vnp *v, const char *path, enum aster_table_style style,
                       struct aster_str *again, struct groups *s)
{
    struct aster_lines *l = NULL;
    char *line, *field[5];
    size_t n;
    int rc, number;
    float other, virus;
    ASTER_TRY(aster_lines_open(v->ctx, path, &l));
    aster_frame_table_head(again, style);
    rc = aster_lines_next(l, &line, &n);
    while (rc > 0 && (rc = aster_lines_next(l, &line, &n)) > 0) {
        if (vnp_split(line, field, 5) != 4)
            ASTER_GOTO(aster_fail(v->ctx, ASTER_EFORMAT, "%s:%lld: 4 columns are expected", path,
                                  (long long)aster_lines_number(l)),
                       done);
        ASTER_GOTO(read_frame(v, path, field, &number, &other, &virus), done);
        aster_frame_table_row(again, style, field[0], number, other, virus);
        ASTER_GOTO(add_to_group(v, s, field[0], other, virus), done);
        rc = 1;
    }
done:
    aster_lines_close(&l);
    return rc;
}

void vnp_check_tables(struct vnp *v, const char *folder, const char *where, bool reworked)
{
    enum aster_table_style style = reworked ? ASTER_TABLE_REWORKED : ASTER_TABLE_FIRST;
    struct aster_str frames = {0}, chunks = {0};
    struct groups s = {0};
    char *path[2] = {NULL, NULL};
    int rc = aster_path_join(v->ctx, folder, "prediction_results.txt", &path[0]);
    if (rc == 0)
        rc = aster_path_join(v->ctx, folder, "prediction_results_highestscore.csv", &path[1]);
    if (rc == 0)
        rc = read_frames(v, path[0], style, &frames, &s);
    if (rc < 0) {
        vnp_say_failed(v, where);
    } else {
        if (!reworked && s.n > 1)
            qsort(s.g, (size_t)s.n, sizeof *s.g, by_name);
        aster_chunk_table_head(&chunks, style);
        for (int64_t k = 0; k < s.n; k++)
            aster_chunk_table_row(&chunks, style, s.g[k].chunk, &s.g[k].call);
        vnp_compare(v, path[0], where, &frames);
        vnp_compare(v, path[1], where, &chunks);
    }
    free_groups(&s);
    aster_str_free(&frames);
    aster_str_free(&chunks);
    aster_free(&path[0]);
    aster_free(&path[1]);
}

/* ---- golden_scores.tsv: the same rows with the input's name in front ---- */

/* Whether a table of the first program, where it is there, has this row. */
static int in_table(struct vnp *v, const char *input, size_t n_input, const struct aster_str *row,
                    bool *found)
{
    struct aster_str name = {0};
    struct aster_lines *l = NULL;
    char *path = NULL, *line;
    size_t n;
    *found = true;
    aster_str_printf(&name, "expected_pipeline/%.*s/vanilla/prediction_results.txt", (int)n_input,
                     input);
    int rc = aster_path_join(v->ctx, v->root, aster_str_get(&name), &path);
    if (rc == 0 && aster_file_exists(path)) {
        *found = false;
        rc = aster_lines_open(v->ctx, path, &l);
        while (rc >= 0 && !*found && (rc = aster_lines_next(l, &line, &n)) > 0)
            *found = n + 1 == row->len && !memcmp(line, row->s, n);
        aster_lines_close(&l);
    }
    aster_free(&path);
    aster_str_free(&name);
    return rc < 0 ? rc : 0;
}

static int read_scores(struct vnp *v, const char *path, struct aster_str *again, int64_t *wrong)
{
    struct aster_lines *l = NULL;
    struct aster_str row = {0};
    char *line, *field[5];
    size_t n;
    int rc, number;
    float other, virus;
    bool found;
    ASTER_TRY(aster_lines_open(v->ctx, path, &l));
    aster_str_add(again, "id\tprediction\tscore1_others\tscore2_virus\n");
    rc = aster_lines_next(l, &line, &n);
    while (rc > 0 && (rc = aster_lines_next(l, &line, &n)) > 0) {
        char *slash = strchr(line, '/');
        if (vnp_split(line, field, 5) != 4 || !slash)
            ASTER_GOTO(aster_fail(v->ctx, ASTER_EFORMAT,
                                  "%s:%lld: INPUT/FRAME and 3 more columns are expected", path,
                                  (long long)aster_lines_number(l)),
                       done);
        ASTER_GOTO(read_frame(v, path, field, &number, &other, &virus), done);
        row.len = 0;
        aster_frame_table_row(&row, ASTER_TABLE_FIRST, slash + 1, number, other, virus);
        ASTER_GOTO(in_table(v, line, (size_t)(slash - line), &row, &found), done);
        *wrong += !found;
        aster_str_addn(again, line, (size_t)(slash + 1 - line));
        aster_str_addn(again, aster_str_get(&row), row.len);
        rc = 1;
    }
done:
    aster_str_free(&row);
    aster_lines_close(&l);
    return rc;
}

void vnp_check_scores(struct vnp *v, const char *path)
{
    struct aster_str again = {0};
    int64_t wrong = 0;
    const char *name = aster_path_base(path);
    if (read_scores(v, path, &again, &wrong) < 0)
        vnp_say_failed(v, name);
    else if (wrong)
        vnp_say(v, false, name, "%lld rows are not in the tables of the runs", (long long)wrong);
    else
        vnp_compare(v, path, "", &again);
    aster_str_free(&again);
}

/* ---- features: every value as text ---- */

static int add_rows(struct vnp *v, const struct aster_st_tensor *t, const struct aster_json *ids,
                    struct aster_str *out)
{
    const struct aster_json *id = ids->child;
    if (t->rank != 2 || strcmp(t->dtype, "F32") != 0 || aster_json_count(ids) != t->dim[0])
        return aster_fail(v->ctx, ASTER_EFORMAT, "tensor '%s': one F32 row per id is expected",
                          t->name);
    for (int64_t i = 0; i < t->dim[0]; i++, id = id->next) {
        aster_str_add(out, id->string ? id->string : "");
        for (int64_t j = 0; j < t->dim[1]; j++) {
            float x;
            memcpy(&x, (const char *)t->data + (i * t->dim[1] + j) * 4, 4);
            aster_str_addn(out, "\t", 1);
            aster_text_f32(out, x);
        }
        aster_str_addn(out, "\n", 1);
    }
    return 0;
}

static int features(struct vnp *v, const struct aster_st *s, const char *path)
{
    const char *list = aster_st_metadata(s, "ids");
    struct aster_json *ids = NULL;
    struct aster_str name = {0};
    if (!list)
        return aster_fail(v->ctx, ASTER_EFORMAT, "%s: has no metadata 'ids'", path);
    int rc = aster_json_parse(v->ctx, path, list, strlen(list), &ids);
    for (int64_t k = 0; rc == 0 && k < aster_st_count(s); k++) {
        const struct aster_st_tensor *t = aster_st_tensor(s, k);
        struct aster_str text = {0};
        char *table = NULL;
        name.len = 0;
        rc = add_rows(v, t, ids, &text);
        if (rc == 0) {
            aster_str_printf(&name, "golden_%s_%lld.tsv", t->name, (long long)t->dim[1]);
            rc = aster_path_join(v->ctx, v->folder, aster_str_get(&name), &table);
        }
        if (rc == 0)
            vnp_compare(v, table, "", &text);
        aster_free(&table);
        aster_str_free(&text);
    }
    aster_str_free(&name);
    aster_json_free(&ids);
    return rc;
}

void vnp_check_features(struct vnp *v, const char *path)
{
    struct aster_st *s = NULL;
    int rc = aster_st_open(v->ctx, path, &s);
    if (rc == 0)
        rc = features(v, s, path);
    if (rc < 0)
        vnp_say_failed(v, aster_path_base(path));
    aster_st_close(&s);
}
