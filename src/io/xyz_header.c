/* SPDX-License-Identifier: BSD-3-Clause */
/* The second line of an xyz frame: free text, or the keys and values of extxyz. */
#include "io/internal.h"
#include "io/xyz.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#define MOST_COLUMNS 100000

char *aster_xyz_word(char **line)
{
    char *p = *line + strspn(*line, " \t");
    if (!*p)
        return NULL;
    char *end = p + strcspn(p, " \t");
    *line = end + (*end != '\0');
    *end = '\0';
    return p;
}

void aster_xyz_quote(struct aster_str *out, const char *word)
{
    size_t n = strlen(word);
    aster_str_add(out, "'");
    for (size_t k = 0; k < n && k < 40; k++) {
        unsigned char c = (unsigned char)word[k];
        if (c >= 32 && c < 127)
            aster_str_addn(out, word + k, 1);
        else
            aster_str_printf(out, "\\x%02x", c);
    }
    aster_str_add(out, n > 40 ? "...'" : "'");
}

void aster_xyz_header_free(struct aster_xyz_header *h)
{
    aster_free(&h->name);
}

/* ---- keys and values ---- */

static const char closing[] = "]}";

/* The end of a value in brackets, NULL where they are not closed. */
static char *skip_brackets(char *p)
{
    int depth = 0;
    for (; *p; p++) {
        depth += (*p == '[' || *p == '{') - (strchr(closing, *p) != NULL);
        if (depth == 0)
            return p + 1;
    }
    return NULL;
}

/* Removes quotes and backslashes; the end, NULL where the quotes are not closed. */
static char *unquote(char *p)
{
    char *to = p, *from = p + 1;
    for (; *from && *from != '"'; from++) {
        if (*from == '\\' && from[1])
            from++;
        *to++ = *from;
    }
    if (!*from)
        return NULL;
    *to = '\0';
    return from + 1;
}

/* 1: a key, and its value or NULL; 0: no more; -1: a value that is not closed. Whatever stands
 * around is free text, and passes as keys without a value. */
static int next_pair(char **line, char **key, char **value)
{
    char *p = *line + strspn(*line, " \t"), *end;
    *value = NULL;
    if (!*p)
        return 0;
    *key = p;
    if (*p == '"' && (end = strchr(p + 1, '"')) && end[1 + strspn(end + 1, " \t")] == '=') {
        *key = p + 1;
        *end = '\0';
        p = end + 1;
    } else {
        p += strcspn(p, " \t=");
    }
    end = p;
    p += strspn(p, " \t");
    if (*p != '=') {
        *line = end + (*end != '\0');
        *end = '\0';
        return 1;
    }
    *end = '\0';
    p++;
    p += strspn(p, " \t");
    *value = p;
    end = *p == '"'                ? unquote(p)
          : *p && strchr("[{", *p) ? skip_brackets(p)
                                   : p + strcspn(p, " \t");
    if (!end)
        return -1;
    *line = end + (*end != '\0');
    *end = '\0';
    return 1;
}

/* Up to most numbers between blanks, commas and brackets; -1 and the word where one is none. */
static int numbers(char *value, int most, double *out, const char **bad)
{
    int n = 0;
    for (char *p = value; (p += strspn(p, " \t,[]{}"), *p); n++) {
        char *end = p + strcspn(p, " \t,[]{}");
        bool last = *end == '\0';
        *end = '\0';
        double x = 0;
        if (aster_parse_f64(p, &x) < 0) {
            *bad = p;
            return -1;
        }
        if (n < most)
            out[n] = x;
        if (last)
            return n + 1;
        p = end + 1;
    }
    return n;
}

struct keys {
    struct aster_xyz_header *h;
    struct aster_str *why;
    double stress[9], virial[9];
    int n_stress, n_virial;
    bool has_pbc, has_free_energy, has_config, is_named;
    double free_energy;
};

static bool wrong_count(struct keys *k, const char *key, int n, const char *expected)
{
    aster_str_printf(k->why, "%s has %d numbers; %s expected", key, n, expected);
    return false;
}

/* n numbers, where 9 is the most. */
static bool take_numbers(struct keys *k, const char *key, char *value, double *out, int *n)
{
    const char *bad = "";
    *n = value ? numbers(value, 9, out, &bad) : 0;
    if (*n >= 0)
        return true;
    aster_str_printf(k->why, "%s has ", key);
    aster_xyz_quote(k->why, bad);
    aster_str_add(k->why, "; finite numbers are expected");
    return false;
}

static bool take_one(struct keys *k, const char *key, char *value, double *out, bool *has)
{
    double x[9];
    int n = 0;
    if (!take_numbers(k, key, value, x, &n))
        return false;
    if (n != 1)
        return wrong_count(k, key, n, "one is");
    *out = x[0];
    *has = true;
    return true;
}

static bool take_lattice(struct keys *k, char *value)
{
    double x[9];
    int n = 0;
    if (!take_numbers(k, "Lattice", value, x, &n))
        return false;
    if (n != 9 && n != 3)
        return wrong_count(k, "Lattice", n, "9 (three vectors), or 3 (lengths) are");
    for (int m = 0; m < 9; m++)
        k->h->cell[m] = n == 9 ? x[m] : m % 4 ? 0 : x[m / 4];
    k->h->has_cell = true;
    return true;
}

static bool take_pbc(struct keys *k, char *value)
{
    static const char *const yes[] = {"T", "t", "True", "true", "TRUE", "1", NULL};
    static const char *const no[] = {"F", "f", "False", "false", "FALSE", "0", NULL};
    int n = 0;
    for (char *p = value ? value : ""; (p += strspn(p, " \t,[]{}"), *p);) {
        size_t size = strcspn(p, " \t,[]{}");
        int is = -1;
        for (int m = 0; yes[m]; m++) {
            if (strlen(yes[m]) == size && !memcmp(yes[m], p, size))
                is = 1;
            if (strlen(no[m]) == size && !memcmp(no[m], p, size))
                is = 0;
        }
        if (is < 0 || n == 3) {
            aster_str_add(k->why, "pbc has ");
            aster_xyz_quote(k->why, p);
            aster_str_add(k->why, "; three times T or F are expected");
            return false;
        }
        k->h->pbc[n++] = is;
        p += size;
    }
    if (n == 1)
        k->h->pbc[1] = k->h->pbc[2] = k->h->pbc[0];
    if (n != 1 && n != 3) {
        aster_str_printf(k->why, "pbc has %d values; three times T or F are expected", n);
        return false;
    }
    k->has_pbc = true;
    return true;
}

/* ---- Properties ---- */

/* name:type:columns, the first of them; false at something else */
static bool next_property(char **list, char **name, char *type, int64_t *columns)
{
    char *p = *list, *end = p + strcspn(p, ":");
    if (end == p || !*end || !end[1] || end[2] != ':')
        return false;
    *end = '\0';
    *name = p;
    *type = end[1];
    p = end + 3;
    end = p + strcspn(p, ":");
    *list = end + (*end == ':');
    *end = '\0';
    return aster_parse_i64(p, columns) == 0 && *columns >= 1 && *columns <= MOST_COLUMNS;
}

/* Where a property that is known has its columns. */
static bool place_property(struct keys *k, const char *name, char type, int64_t columns)
{
    struct aster_xyz_columns *c = &k->h->column;
    static const struct {
        const char *name;
        char type;
        int64_t columns;
        int which;
    } known[] = {{"species", 'S', 1, 0},    {"Z", 'I', 1, 1},      {"numbers", 'I', 1, 1},
                 {"pos", 'R', 3, 2},        {"forces", 'R', 3, 3}, {"force", 'R', 3, 3},
                 {"velocities", 'R', 3, 4}, {"momenta", 'R', 3, 5}};
    int64_t *at[] = {&c->species, &c->number, &c->position, &c->force, &c->velocity, &c->momentum};
    for (size_t m = 0; m < sizeof known / sizeof *known; m++) {
        if (strcmp(name, known[m].name) != 0)
            continue;
        if (type != known[m].type || columns != known[m].columns) {
            aster_str_printf(k->why,
                             "Properties has %s:%c:%" PRId64 "; %s:%c:%" PRId64 " is expected",
                             name, type, columns, name, known[m].type, known[m].columns);
            return false;
        }
        if (*at[known[m].which] >= 0) {
            aster_str_printf(k->why,
                             "Properties has a second column for what '%s' says; one is "
                             "expected",
                             name);
            return false;
        }
        *at[known[m].which] = c->n;
    }
    return true;
}

static bool take_properties(struct keys *k, char *value)
{
    struct aster_xyz_columns *c = &k->h->column;
    char *list = value ? value : "", *name, type;
    int64_t columns = 0;
    *c = (struct aster_xyz_columns){true, 0, -1, -1, -1, -1, -1, -1};
    while (*list) {
        char *here = list;
        if (!next_property(&list, &name, &type, &columns)) {
            aster_str_add(k->why, "Properties has ");
            aster_xyz_quote(k->why, here);
            aster_str_add(k->why, "; name:type:columns is expected");
            return false;
        }
        if (!place_property(k, name, type, columns))
            return false;
        c->n += columns;
        if (c->n > MOST_COLUMNS) {
            aster_str_printf(k->why, "Properties has more than %d columns", MOST_COLUMNS);
            return false;
        }
    }
    if (c->position < 0 || (c->species < 0 && c->number < 0)) {
        aster_str_printf(k->why, "Properties names no %s",
                         c->position < 0 ? "positions; pos:R:3 is expected"
                                         : "elements; species:S:1 or Z:I:1 is expected");
        return false;
    }
    return true;
}

/* ---- the line ---- */

/* The name is the value of name, or else of config_type. */
static int take_name(struct aster_ctx *ctx, struct keys *k, const char *key, const char *value)
{
    bool is_name = !strcmp(key, "name");
    if (!value || !*value || k->is_named || (!is_name && k->has_config))
        return 0;
    aster_free(&k->h->name);
    k->is_named = is_name;
    k->has_config = true;
    return aster_strdup(ctx, value, &k->h->name);
}

static int take(struct aster_ctx *ctx, struct keys *k, const char *key, char *value)
{
    if (!strcmp(key, "Lattice"))
        return take_lattice(k, value);
    if (!strcmp(key, "Properties"))
        return take_properties(k, value);
    if (!strcmp(key, "pbc"))
        return take_pbc(k, value);
    if (!value)
        return 1;
    if (!strcmp(key, "energy"))
        return take_one(k, key, value, &k->h->energy, &k->h->has_energy);
    if (!strcmp(key, "free_energy"))
        return take_one(k, key, value, &k->free_energy, &k->has_free_energy);
    if (!strcmp(key, "stress"))
        return take_numbers(k, key, value, k->stress, &k->n_stress);
    if (!strcmp(key, "virial"))
        return take_numbers(k, key, value, k->virial, &k->n_virial);
    if (!strcmp(key, "name") || !strcmp(key, "config_type"))
        ASTER_TRY(take_name(ctx, k, key, value));
    return 1;
}

/* 9 numbers, rows of a matrix, or 6 (xx yy zz yz xz xy); a virial is minus the stress times the
 * volume. */
static bool finish_stress(struct keys *k)
{
    struct aster_xyz_header *h = k->h;
    bool virial = k->n_stress == 0;
    double scale = 1, *x = virial ? k->virial : k->stress;
    int n = virial ? k->n_virial : k->n_stress;
    if (n == 0)
        return true;
    if (n != 6 && n != 9)
        return wrong_count(k, virial ? "virial" : "stress", n, "9 or 6 are");
    if (virial) {
        scale = -1 / aster_cell_volume(h->cell);
        if (!isfinite(scale)) {
            aster_str_add(k->why, "has a virial and no volume; a Lattice is expected");
            return false;
        }
    }
    static const int other[3] = {7, 6, 3}, one[3] = {5, 2, 1};
    for (int m = 0; m < 6; m++) {
        double v = n == 6 ? x[m] : m < 3 ? x[4 * m] : x[one[m - 3]] / 2 + x[other[m - 3]] / 2;
        h->stress[m] = scale * v;
    }
    h->has_stress = true;
    return true;
}

static bool is_text(const char *line)
{
    for (const char *p = line, *end = p + strlen(p); p < end;) {
        int n = aster_utf8_length(p, end);
        if (n == 0)
            return false;
        p += n;
    }
    return true;
}

int aster_xyz_header_read(struct aster_ctx *ctx, char *line, struct aster_xyz_header *out,
                          struct aster_str *why)
{
    struct keys k = {.h = out, .why = why};
    char *key, *value;
    int more, rc = 1;
    *out = (struct aster_xyz_header){.column = {false, 4, 0, -1, 1, -1, -1, -1}};
    if (!is_text(line)) {
        aster_str_add(why, "the second line is no UTF-8 text");
        return 0;
    }
    while (rc > 0 && (more = next_pair(&line, &key, &value)) != 0) {
        if (more < 0) {
            aster_str_add(why, "the value of ");
            aster_xyz_quote(why, key);
            aster_str_add(why, " has no end; closing quotes or brackets are expected");
            rc = 0;
        } else {
            rc = take(ctx, &k, key, value);
        }
    }
    if (rc > 0 && !k.has_pbc)
        out->pbc[0] = out->pbc[1] = out->pbc[2] = out->has_cell;
    if (rc > 0 && !out->has_energy && k.has_free_energy) {
        out->has_energy = true;
        out->energy = k.free_energy;
    }
    if (rc > 0)
        rc = finish_stress(&k);
    if (rc <= 0)
        aster_xyz_header_free(out);
    return rc;
}
