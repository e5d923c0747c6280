/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames of xyz and extxyz. A line with nothing but a number begins a frame, which is how the next
 * one is found behind a broken one. */
#include "io/xyz.h"

#include "io/io.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

struct aster_xyz {
    struct aster_ctx *ctx;
    struct aster_lines *lines;
    struct aster_str count; /* the line that begins the next frame, when it was read already */
    int64_t count_line;
    bool has_count;
    /* of the frame that is read */
    struct aster_record *record;
    struct aster_xyz_header header;
    int64_t n, cap, position_cap, force_cap, velocity_cap;
    int32_t *number;
    double *position, *force, *velocity;
};

int aster_xyz_open(struct aster_ctx *ctx, const char *path, struct aster_xyz **out)
{
    *out = NULL;
    ASTER_TRY(aster_alloc(ctx, 1, sizeof **out, out));
    (*out)->ctx = ctx;
    int rc = aster_lines_open(ctx, path, &(*out)->lines);
    if (rc < 0)
        aster_xyz_close(out);
    return rc;
}

static void forget_frame(struct aster_xyz *x)
{
    aster_xyz_header_free(&x->header);
    aster_free(&x->number);
    aster_free(&x->position);
    aster_free(&x->force);
    aster_free(&x->velocity);
    x->n = x->cap = x->position_cap = x->force_cap = x->velocity_cap = 0;
}

void aster_xyz_close(struct aster_xyz **xp)
{
    struct aster_xyz *x = *xp;
    if (!x)
        return;
    forget_frame(x);
    aster_lines_close(&x->lines);
    aster_str_free(&x->count);
    aster_free(xp);
}

/* ---- faults ---- */

/* Begins the message about the record, which the caller ends; false when there is one already. */
static bool blame(struct aster_xyz *x, int64_t line)
{
    struct aster_str *s = &x->record->fault;
    if (s->len)
        return false;
    aster_str_printf(s, "%s:%" PRId64 ": structure %" PRId64, aster_lines_path(x->lines), line,
                     x->record->index + 1);
    if (x->header.name) {
        aster_str_add(s, " ");
        aster_xyz_quote(s, x->header.name);
    }
    aster_str_add(s, ": ");
    return true;
}

static bool is_bad(const struct aster_xyz *x)
{
    return x->record->fault.len > 0;
}

static void blame_word(struct aster_xyz *x, int64_t atom, const char *what, const char *word,
                       const char *expected)
{
    struct aster_str *s = &x->record->fault;
    if (!blame(x, aster_lines_number(x->lines)))
        return;
    aster_str_printf(s, "atom %" PRId64 ": %s is ", atom + 1, what);
    aster_xyz_quote(s, word);
    aster_str_printf(s, "; %s is expected", expected);
}

/* ---- lines ---- */

static bool is_blank(const char *text)
{
    return text[strspn(text, " \t")] == '\0';
}

/* Nothing but one number; n may be NULL. */
static bool is_count(const char *text, int64_t *n)
{
    char digits[24];
    int64_t value = 0;
    const char *p = text + strspn(text, " \t");
    size_t size = strcspn(p, " \t");
    if (size == 0 || size >= sizeof digits || !is_blank(p + size))
        return false;
    memcpy(digits, p, size);
    digits[size] = '\0';
    if (aster_parse_i64(digits, &value) < 0)
        return false;
    if (n)
        *n = value;
    return true;
}

/* The next line that is not blank becomes the count line. 0 at the end. */
static int find_count(struct aster_xyz *x)
{
    char *text;
    size_t n;
    int rc;
    if (x->has_count)
        return 1;
    do {
        ASTER_TRY(rc = aster_lines_next(x->lines, &text, &n));
        if (rc == 0)
            return 0;
        if (aster_lines_number(x->lines) == 1 && !strncmp(text, "\xef\xbb\xbf", 3))
            text += 3;
    } while (is_blank(text));
    x->count.len = 0;
    aster_str_add(&x->count, text);
    ASTER_TRY(aster_str_ok(x->ctx, &x->count));
    x->count_line = aster_lines_number(x->lines);
    x->has_count = true;
    return 1;
}

/* Behind a broken frame: to the next line that can begin one. */
static int skip_to_count(struct aster_xyz *x)
{
    int rc;
    while ((rc = find_count(x)) > 0 && !is_count(aster_str_get(&x->count), NULL))
        x->has_count = false;
    return rc < 0 ? rc : 0;
}

/* ---- atoms ---- */

/* As other programs read them: a symbol in any case, or a number. */
static int element(const char *word)
{
    int64_t z = 0;
    char symbol[3] = "";
    if (aster_parse_i64(word, &z) == 0)
        return z >= 1 && z <= ASTER_MAX_ELEMENT ? (int)z : 0;
    if (strlen(word) > 2)
        return 0;
    for (int k = 0; word[k]; k++)
        symbol[k] = (char)(k ? tolower((unsigned char)word[k]) : toupper((unsigned char)word[k]));
    return aster_element_number(symbol);
}

static int make_room(struct aster_xyz *x)
{
    ASTER_TRY(aster_grow(x->ctx, x->n + 1, sizeof *x->number, &x->cap, &x->number));
    ASTER_TRY(
        aster_grow(x->ctx, 3 * (x->n + 1), sizeof *x->position, &x->position_cap, &x->position));
    if (x->header.column.force >= 0)
        ASTER_TRY(aster_grow(x->ctx, 3 * (x->n + 1), sizeof *x->force, &x->force_cap, &x->force));
    if (x->header.column.velocity >= 0 || x->header.column.momentum >= 0)
        return aster_grow(x->ctx, 3 * (x->n + 1), sizeof *x->velocity, &x->velocity_cap,
                          &x->velocity);
    return 0;
}

/* What the word in a column says; after a fault nothing more is looked at. */
static void take_word(struct aster_xyz *x, int64_t column, const char *word)
{
    static const char *const names[3][3] = {
        {"x", "y", "z"},
        {"the force along x", "the force along y", "the force along z"},
        {"the velocity along x", "the velocity along y", "the velocity along z"}};
    const struct aster_xyz_columns *c = &x->header.column;
    const int64_t begin[3] = {c->position, c->force, c->velocity >= 0 ? c->velocity : c->momentum};
    double *const all[3] = {x->position, x->force, x->velocity};
    int64_t i = x->n;
    if (column == c->species || column == c->number) {
        int z = element(word);
        if (z == 0)
            blame_word(x, i, "the element", word, "a symbol, or a number from 1 to 118,");
        else if (x->number[i] && x->number[i] != z)
            blame_word(x, i, "the element", word, "what the other column says");
        x->number[i] = z;
    }
    for (int which = 0; which < 3; which++) {
        int64_t first = begin[which], k = column - first;
        double *to = all[which];
        if (first < 0 || k < 0 || k > 2)
            continue;
        if (aster_parse_f64(word, &to[3 * i + k]) < 0)
            blame_word(x, i, names[which][k], word, "a finite number");
    }
}

static int take_atom(struct aster_xyz *x, char *line)
{
    const struct aster_xyz_columns *c = &x->header.column;
    int64_t n = 0;
    ASTER_TRY(make_room(x));
    for (char *word; !is_bad(x) && (word = aster_xyz_word(&line)); n++) {
        if (n < c->n)
            take_word(x, n, word);
    }
    if (!is_bad(x) && (n < c->n || (c->listed && n > c->n)) &&
        blame(x, aster_lines_number(x->lines)))
        aster_str_printf(&x->record->fault,
                         "atom %" PRId64 ": the line has %" PRId64 " columns; %s%" PRId64
                         " are expected",
                         x->n + 1, n, c->listed ? "" : "at least ", c->n);
    x->n++;
    return 0;
}

/* The lines of the atoms. One that could begin a frame, or none, ends them early. */
static int read_atoms(struct aster_xyz *x, int64_t n)
{
    char *text;
    size_t size;
    while (x->n < n && !is_bad(x)) {
        int rc = aster_lines_next(x->lines, &text, &size);
        ASTER_TRY(rc);
        if (rc > 0 && !is_count(text, NULL)) {
            ASTER_TRY(take_atom(x, text));
            continue;
        }
        blame(x, aster_lines_number(x->lines));
        aster_str_printf(&x->record->fault,
                         "%s after %" PRId64 " of %" PRId64 " atoms; one line "
                         "for each is expected",
                         rc > 0 ? "the next structure begins" : "the file ends", x->n, n);
        if (rc > 0) {
            x->count.len = 0;
            aster_str_add(&x->count, text);
            x->count_line = aster_lines_number(x->lines);
            x->has_count = true;
            return aster_str_ok(x->ctx, &x->count);
        }
    }
    return 0;
}

/* ---- frames ---- */

/* Momenta become velocities. */
static void divide(struct aster_xyz *x)
{
    const struct aster_xyz_columns *c = &x->header.column;
    for (int64_t k = 0; c->velocity < 0 && c->momentum >= 0 && k < 3 * x->n; k++)
        x->velocity[k] /= aster_element_mass(x->number[k / 3]);
}

static int hand_over(struct aster_xyz *x, struct aster_structure *out)
{
    struct aster_xyz_header *h = &x->header;
    divide(x);
    *out = (struct aster_structure){.name = h->name,
                                    .n = x->n,
                                    .number = x->number,
                                    .position = x->position,
                                    .has_cell = h->has_cell,
                                    .has_energy = h->has_energy,
                                    .has_forces = x->force != NULL,
                                    .has_stress = h->has_stress,
                                    .energy = h->energy,
                                    .force = x->force,
                                    .velocity = x->velocity};
    memcpy(out->cell, h->cell, sizeof out->cell);
    memcpy(out->pbc, h->pbc, sizeof out->pbc);
    memcpy(out->stress, h->stress, sizeof out->stress);
    h->name = NULL;
    x->number = NULL;
    x->position = x->force = x->velocity = NULL;
    forget_frame(x);
    return 1;
}

/* The second line and the atoms; n was on the first. */
static int read_body(struct aster_xyz *x, int64_t n)
{
    struct aster_str why = {0};
    char *text;
    size_t size;
    int rc;
    ASTER_TRY(rc = aster_lines_next(x->lines, &text, &size));
    if (rc == 0) {
        blame(x, x->count_line);
        aster_str_add(&x->record->fault, "the file ends behind the number of atoms; a second line "
                                         "and the atoms are expected");
        return 0;
    }
    rc = aster_xyz_header_read(x->ctx, text, &x->header, &why);
    if (rc == 0 && blame(x, aster_lines_number(x->lines)))
        aster_str_add(&x->record->fault, aster_str_get(&why));
    aster_str_free(&why);
    ASTER_TRY(rc);
    if (n < 1 || n > INT32_MAX) {
        if (blame(x, x->count_line))
            aster_str_printf(&x->record->fault,
                             n == 0 ? "has no atoms; one at least is expected"
                                    : "claims %" PRId64 " atoms; 1 to 2147483647 are expected",
                             n);
    }
    return is_bad(x) ? 0 : read_atoms(x, n);
}

/* What follows a whole frame has to be another, or the end. */
static int look_behind(struct aster_xyz *x, int64_t n)
{
    ASTER_TRY(find_count(x));
    if (!x->has_count || is_count(aster_str_get(&x->count), NULL) || !blame(x, x->count_line))
        return 0;
    aster_xyz_quote(&x->record->fault, aster_str_get(&x->count));
    aster_str_printf(&x->record->fault,
                     " follows its %" PRId64 " atoms; the number of atoms of the next structure, "
                     "or the end, is expected",
                     n);
    return 0;
}

int aster_xyz_next(struct aster_xyz *x, struct aster_structure *out, struct aster_record *r)
{
    int64_t n = 0;
    int rc = find_count(x);
    if (rc <= 0)
        return rc;
    x->record = r;
    r->line = x->count_line;
    x->has_count = false;
    if (!is_count(aster_str_get(&x->count), &n)) { /* only the first: the others were looked for */
        struct aster_str word = {0};
        aster_xyz_quote(&word, aster_str_get(&x->count));
        rc = aster_fail(x->ctx, ASTER_EFORMAT,
                        "%s:%" PRId64 ": has %s; the number of atoms of the first structure is "
                        "expected (xyz or extxyz), or an HDF5 file",
                        aster_lines_path(x->lines), x->count_line, aster_str_get(&word));
        aster_str_free(&word);
        return rc;
    }
    ASTER_TRY(read_body(x, n));
    if (!is_bad(x))
        ASTER_TRY(look_behind(x, n));
    if (is_bad(x)) {
        out->name = x->header.name; /* what is known of it */
        x->header.name = NULL;
        forget_frame(x);
        ASTER_TRY(skip_to_count(x));
        return 1;
    }
    return hand_over(x, out);
}
