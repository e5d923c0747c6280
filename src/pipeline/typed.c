/* SPDX-License-Identifier: BSD-3-Clause */
/* Texts to typed values: one parser for the file, the defaults and the command line. */
#include "pipeline/internal.h"

#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name, *one, *element;
} types[] = {
    [ASTER_OPT_STR] = {"str", "a text", NULL},
    [ASTER_OPT_FILE] = {"file", "a file", NULL},
    [ASTER_OPT_PATH] = {"path", "a path", NULL},
    [ASTER_OPT_INT] = {"int", "an int", NULL},
    [ASTER_OPT_REAL] = {"real", "a real number", NULL},
    [ASTER_OPT_BOOL] = {"bool", "true or false", NULL},
    [ASTER_OPT_CHOICE] = {"choice", "one of", NULL},
    [ASTER_OPT_INTS] = {"ints", "a list of ints", "int"},
    [ASTER_OPT_REALS] = {"reals", "a list of real numbers", "real"},
    [ASTER_OPT_STRS] = {"strs", "a list of texts", "str"},
    [ASTER_OPT_FILES] = {"files", "a list of files", "file"},
    [ASTER_OPT_STAGE] = {"stage", "a stage", NULL},
    [ASTER_OPT_STAGES] = {"stages", "a list of stages", "stage"},
};

const char *aster_opt_type_name(enum aster_opt_type type)
{
    return (size_t)type < sizeof types / sizeof *types ? types[type].name : "?";
}

bool aster_type_is_list(enum aster_opt_type type)
{
    return types[type].element != NULL;
}

enum aster_opt_type aster_type_element(enum aster_opt_type type)
{
    switch (type) {
    case ASTER_OPT_INTS:
        return ASTER_OPT_INT;
    case ASTER_OPT_REALS:
        return ASTER_OPT_REAL;
    case ASTER_OPT_STRS:
        return ASTER_OPT_STR;
    case ASTER_OPT_FILES:
        return ASTER_OPT_FILE;
    case ASTER_OPT_STAGES:
        return ASTER_OPT_STAGE;
    default:
        return type;
    }
}

bool aster_type_is_text(enum aster_opt_type type)
{
    return type == ASTER_OPT_STR || type == ASTER_OPT_FILE || type == ASTER_OPT_PATH ||
           type == ASTER_OPT_CHOICE;
}

/* ---- limits as text ---- */

void aster_number_text(double x, struct aster_str *out)
{
    char text[40];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, x);
        if (strtod(text, NULL) == x)
            break;
    }
    aster_str_add(out, text);
}

static void range_text(const struct aster_limits *l, const char *before, struct aster_str *out)
{
    if (!l->has_min && !l->has_max)
        return;
    aster_str_add(out, before);
    if (!l->has_min || !l->has_max)
        aster_str_add(out, l->has_min ? "at least " : "at most ");
    if (l->has_min)
        aster_number_text(l->min, out);
    if (l->has_min && l->has_max)
        aster_str_add(out, "..");
    if (l->has_max)
        aster_number_text(l->max, out);
}

static void choices_text(int n, const char *const *choices, struct aster_str *out)
{
    aster_str_add(out, "one of ");
    for (int i = 0; i < n; i++)
        aster_str_printf(out, "%s%s", i ? ", " : "", choices[i]);
}

/* "an int in 1..9": what one element has to be. */
void aster_limits_text(const struct aster_limits *l, struct aster_str *out)
{
    enum aster_opt_type t = aster_type_element(l->type);
    if (t == ASTER_OPT_CHOICE) {
        choices_text(l->n_choices, l->choices, out);
        return;
    }
    aster_str_add(out, types[t].one);
    range_text(l, l->has_min && l->has_max ? " in " : ", ", out);
}

static void range_and_unit(const struct aster_limits *l, const char *unit, struct aster_str *out)
{
    if (l->n_choices)
        choices_text(l->n_choices, l->choices, out);
    range_text(l, "", out);
    if (unit && *unit)
        aster_str_printf(out, "%s%s", out->len ? " " : "", unit);
}

void aster_parameter_range(const struct aster_parameter *q, struct aster_str *out)
{
    struct aster_limits l = {q->type, q->has_min,   q->has_max, q->min,
                             q->max,  q->n_choices, q->choices, false};
    range_and_unit(&l, q->unit, out);
}

void aster_opt_range(const struct aster_opt *opt, struct aster_str *out)
{
    bool has = opt->min != 0 || opt->max != 0;
    struct aster_limits l = {opt->type, has, has, opt->min, opt->max, 0, NULL, false};
    if (opt->type == ASTER_OPT_CHOICE || opt->type == ASTER_OPT_STAGE ||
        opt->type == ASTER_OPT_STAGES) {
        const char *between = opt->type == ASTER_OPT_CHOICE ? ", " : " or ";
        aster_str_add(out, opt->type == ASTER_OPT_CHOICE ? "one of " : "giving ");
        for (const char *c = opt->choices; *c; c++)
            aster_str_addn(out, *c == '|' ? between : c, *c == '|' ? strlen(between) : 1);
    }
    if (aster_type_element(opt->type) == ASTER_OPT_FILE && opt->choices &&
        !strcmp(opt->choices, "-"))
        aster_str_add(out, "or - for the standard input");
    range_and_unit(&l, opt->unit, out);
}

/* ---- pieces ---- */

int aster_pieces_add(struct aster_pipeline *p, struct aster_pieces *list, struct aster_piece piece)
{
    if (list->n == list->cap) {
        struct aster_piece *more;
        int64_t cap = list->cap ? 2 * list->cap : 4;
        ASTER_TRY(aster_pool_get(&p->pool, cap, sizeof *more, &more));
        if (list->n)
            memcpy(more, list->at, (size_t)list->n * sizeof *more);
        list->at = more;
        list->cap = cap;
    }
    list->at[list->n++] = piece;
    return 0;
}

int aster_pieces_cut(struct aster_pipeline *p, enum aster_opt_type type, struct aster_piece whole,
                     struct aster_pieces *out)
{
    *out = (struct aster_pieces){.is_list = aster_type_is_list(type)};
    if (!out->is_list)
        return aster_pieces_add(p, out, whole);
    if (whole.text[strspn(whole.text, " ")] == '\0')
        return 0;
    for (const char *s = whole.text;; s++) {
        size_t n = strcspn(s, ",");
        const char *end = s + n, *begin = s;
        while (begin < end && *begin == ' ')
            begin++;
        while (end > begin && end[-1] == ' ')
            end--;
        struct aster_piece piece = whole;
        ASTER_TRY(aster_pool_text(&p->pool, begin, (size_t)(end - begin), &piece.text));
        ASTER_TRY(aster_pieces_add(p, out, piece));
        s += n;
        if (!*s)
            return 0;
    }
}

/* ---- values ---- */

struct job {
    struct aster_pipeline *p;
    const char *what;
    const struct aster_limits *limits;
};

/* "what: expected ..., found '...'hint" */
static void refuse(const struct job *j, const struct aster_piece *piece, const char *hint)
{
    struct aster_str expected = {0};
    bool is_cut = strlen(piece->text) > 60;
    aster_limits_text(j->limits, &expected);
    aster_mistake_add(j->p, piece->line, piece->column, "%s: expected %s, found '%.*s%s'%s%s%s%s",
                      j->what, aster_str_get(&expected), ASTER_CUT(60, piece->text),
                      is_cut ? "..." : "", piece->via ? " from $" : "",
                      piece->via ? piece->via : "", *hint ? "; " : "", hint);
    aster_str_free(&expected);
}

static bool is_in_range(const struct aster_limits *l, double x)
{
    return (!l->has_min || x >= l->min) && (!l->has_max || x <= l->max);
}

static bool take_number(const struct job *j, const struct aster_piece *piece,
                        struct aster_opt_value *v)
{
    bool is_int = aster_type_element(j->limits->type) == ASTER_OPT_INT;
    enum aster_plain kind = aster_plain_kind(piece->text);
    const char *hint = "";
    bool good = kind == ASTER_PLAIN_INT || (kind == ASTER_PLAIN_REAL && !is_int);
    if (good && piece->origin == ASTER_FROM_QUOTED) {
        good = false;
        hint = "a text; remove the quotes";
    } else if (kind == ASTER_PLAIN_OTHER_INT) {
        hint = "write it in decimal";
    } else if (kind == ASTER_PLAIN_NOT_FINITE) {
        hint = "only finite numbers";
    }
    if (good)
        good = is_int ? aster_parse_i64(piece->text, &v->i) == 0
                      : aster_parse_f64(piece->text, &v->x) == 0;
    if (good && is_int)
        v->x = (double)v->i;
    good = good && is_in_range(j->limits, v->x);
    if (!good)
        refuse(j, piece, hint);
    return good;
}

/* Of yes, no, on, off, y, n, True, False in any case. */
static bool means_true(const char *s)
{
    return strchr("yYtT", s[0]) || s[1] == 'n' || s[1] == 'N';
}

static bool take_bool(const struct job *j, const struct aster_piece *piece,
                      struct aster_opt_value *v)
{
    enum aster_plain kind = aster_plain_kind(piece->text);
    v->b = !strcmp(piece->text, "true");
    if (kind == ASTER_PLAIN_BOOL && piece->origin != ASTER_FROM_QUOTED)
        return true;
    refuse(j, piece,
           kind == ASTER_PLAIN_BOOL         ? "a text; remove the quotes"
           : kind != ASTER_PLAIN_OTHER_BOOL ? ""
           : means_true(piece->text)        ? "write true"
                                            : "write false");
    return false;
}

static bool take_choice(const struct job *j, const struct aster_piece *piece)
{
    const struct aster_limits *l = j->limits;
    char hint[128] = "";
    for (int i = 0; i < l->n_choices; i++)
        if (!strcmp(piece->text, l->choices[i]))
            return true;
    aster_hint(piece->text, l->choices, l->n_choices, hint, sizeof hint);
    refuse(j, piece, *hint ? hint + 2 : "");
    return false;
}

/* A plain 42 or true is no text by the core schema. */
static bool take_text(const struct job *j, const struct aster_piece *piece)
{
    enum aster_plain kind =
        piece->origin == ASTER_FROM_PLAIN ? aster_plain_kind(piece->text) : ASTER_PLAIN_TEXT;
    if (kind != ASTER_PLAIN_TEXT && kind != ASTER_PLAIN_OTHER_BOOL) {
        refuse(j, piece,
               kind == ASTER_PLAIN_BOOL ? "a bool; for a text put it in quotes"
                                        : "a number; for a text put it in quotes");
        return false;
    }
    if (!*piece->text && (j->limits->needs_value || aster_type_is_list(j->limits->type))) {
        aster_mistake_add(j->p, piece->line, piece->column, "%s: is empty%s%s; expected %s",
                          j->what, piece->via ? " from $" : "", piece->via ? piece->via : "",
                          types[aster_type_element(j->limits->type)].one);
        return false;
    }
    return true;
}

static bool take_piece(const struct job *j, const struct aster_piece *piece,
                       struct aster_opt_value *v)
{
    switch (aster_type_element(j->limits->type)) {
    case ASTER_OPT_INT:
    case ASTER_OPT_REAL:
        return take_number(j, piece, v);
    case ASTER_OPT_BOOL:
        return take_bool(j, piece, v);
    case ASTER_OPT_CHOICE:
        return take_choice(j, piece);
    default:
        return take_text(j, piece);
    }
}

static int joined(struct aster_pipeline *p, const struct aster_pieces *pieces, const char **out)
{
    struct aster_str text = {0};
    for (int64_t i = 0; i < pieces->n; i++)
        aster_str_printf(&text, "%s%s", i ? "," : "", pieces->at[i].text);
    int rc = aster_str_ok(p->ctx, &text);
    if (rc == 0)
        rc = aster_pool_text(&p->pool, aster_str_get(&text), text.len, out);
    aster_str_free(&text);
    return rc;
}

int aster_typed_value(struct aster_pipeline *p, const char *what, const struct aster_limits *limits,
                      const struct aster_pieces *pieces, struct aster_opt_value *out)
{
    struct job j = {p, what, limits};
    const char **items;
    double *numbers;
    bool good = true;
    *out = (struct aster_opt_value){.is_set = true};
    ASTER_TRY(aster_pool_get(&p->pool, pieces->n, sizeof *items, &items));
    ASTER_TRY(aster_pool_get(&p->pool, pieces->n, sizeof *numbers, &numbers));
    for (int64_t i = 0; i < pieces->n; i++) {
        items[i] = pieces->at[i].text;
        good &= take_piece(&j, &pieces->at[i], out);
        numbers[i] = out->x;
    }
    ASTER_TRY(joined(p, pieces, &out->text));
    if (pieces->n) {
        out->line = pieces->at[0].line;
        out->column = pieces->at[0].column;
    }
    if (aster_type_is_list(limits->type)) {
        out->n = pieces->n;
        out->items = items;
        out->numbers = numbers;
        out->i = 0;
        out->x = 0;
    } else if (!*out->text && aster_type_is_text(limits->type)) {
        out->is_set = false;
    }
    return good;
}
