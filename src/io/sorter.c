/* SPDX-License-Identifier: BSD-3-Clause */
/* Sorting by runs: what fills the memory is sorted and written away; at the end the runs are
 * merged. */
#include "io/sorter.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct item {
    int64_t at, n_key, n_value; /* in the bytes: the key, then the value */
};
struct head { /* of an item in the file */
    int64_t n_key, n_value;
};
struct run {
    int64_t at, end; /* what was not read yet, in the file */
    char *bytes;
    int64_t cap, n, from; /* of the bytes: how many, and where the next item begins */
    struct aster_sorted now;
};
struct aster_sorter {
    struct aster_ctx *ctx;
    char *folder;
    int64_t memory;
    struct item *items;
    char *bytes;
    int64_t n, cap, n_bytes, cap_bytes;
    int fd;
    int64_t file_end;
    struct run *runs;
    int64_t n_runs, cap_runs;
    int64_t *heap; /* numbers of runs, the least first */
    int64_t n_heap, given;
    bool reading;
};
enum { LEAST_BUFFER = 1 << 12, WRITE_BUFFER = 1 << 16 };

int aster_sorter_new(struct aster_ctx *ctx, const char *folder, int64_t memory,
                     struct aster_sorter **out)
{
    struct aster_sorter *s = NULL;
    *out = NULL;
    ASTER_TRY(aster_alloc(ctx, 1, sizeof *s, &s));
    s->ctx = ctx;
    s->fd = -1;
    s->memory = memory;
    int rc = aster_strdup(ctx, folder, &s->folder);
    if (rc < 0)
        aster_sorter_free(&s);
    *out = s;
    return rc;
}

void aster_sorter_free(struct aster_sorter **sp)
{
    struct aster_sorter *s = *sp;
    if (!s)
        return;
    for (int64_t k = 0; k < s->n_runs; k++)
        aster_free(&s->runs[k].bytes);
    if (s->fd >= 0)
        close(s->fd);
    aster_free(&s->runs);
    aster_free(&s->heap);
    aster_free(&s->items);
    aster_free(&s->bytes);
    aster_free(&s->folder);
    aster_free(sp);
}

static int compare_keys(const char *a, int64_t n, const char *b, int64_t m)
{
    int64_t least = aster_min64(n, m);
    int order = least ? memcmp(a, b, (size_t)least) : 0;
    return order ? order : (n > m) - (n < m);
}

static int compare_items(const void *x, const void *y, void *bytes)
{
    const struct item *a = x, *b = y;
    int order = compare_keys((char *)bytes + a->at, a->n_key, (char *)bytes + b->at, b->n_key);
    return order ? order : (a->at > b->at) - (a->at < b->at);
}

static void sort_items(struct aster_sorter *s)
{
    if (s->n > 1)
        qsort_r(s->items, (size_t)s->n, sizeof *s->items, compare_items, s->bytes);
}

/* ---- the file ---- */

static int make_file(struct aster_sorter *s)
{
    char *path = NULL;
    s->fd = open(s->folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (s->fd >= 0)
        return 0;
    ASTER_TRY(aster_path_join(s->ctx, s->folder, ".sorting-XXXXXX", &path));
    s->fd = mkostemp(path, O_CLOEXEC);
    if (s->fd >= 0)
        unlink(path);
    aster_free(&path);
    return s->fd >= 0
               ? 0
               : aster_fail(s->ctx, ASTER_EIO, "%s: no file for sorting can be made here: %s",
                            s->folder, strerror(errno));
}

static int write_all(struct aster_sorter *s, struct aster_str *out)
{
    ASTER_TRY(aster_str_ok(s->ctx, out));
    for (size_t at = 0; at < out->len;) {
        ssize_t w = pwrite(s->fd, out->s + at, out->len - at, s->file_end);
        if (w < 0 && errno == EINTR)
            continue;
        if (w <= 0)
            return aster_fail(s->ctx, ASTER_EIO,
                              "%s: %lld bytes for sorting cannot be written here: %s", s->folder,
                              (long long)out->len, strerror(w ? errno : EIO));
        at += (size_t)w;
        s->file_end += w;
    }
    out->len = 0;
    return 0;
}

/* What is in memory becomes a run. */
static int write_run(struct aster_sorter *s)
{
    struct aster_str out = {0};
    int rc = 0;
    if (s->fd < 0)
        ASTER_TRY(make_file(s));
    ASTER_TRY(aster_grow(s->ctx, s->n_runs + 1, sizeof *s->runs, &s->cap_runs, &s->runs));
    sort_items(s);
    int64_t begin = s->file_end;
    for (int64_t k = 0; rc == 0 && k < s->n; k++) {
        const struct item *i = &s->items[k];
        struct head h = {i->n_key, i->n_value};
        aster_str_addn(&out, (const char *)&h, sizeof h);
        aster_str_addn(&out, s->bytes + i->at, (size_t)(i->n_key + i->n_value));
        if (out.len >= WRITE_BUFFER)
            rc = write_all(s, &out);
    }
    if (rc == 0)
        rc = write_all(s, &out);
    s->runs[s->n_runs++] = (struct run){.at = begin, .end = s->file_end};
    s->n = s->n_bytes = 0;
    aster_str_free(&out);
    return rc;
}

int aster_sorter_add(struct aster_sorter *s, const char *key, int64_t n_key, const char *value,
                     int64_t n_value)
{
    int64_t size = n_key + n_value, used = s->n_bytes + s->n * (int64_t)sizeof *s->items;
    if (s->reading)
        return aster_fail(s->ctx, ASTER_EBUG, "an item for a sorter that is being read");
    if (s->n && used + size + (int64_t)sizeof *s->items > s->memory)
        ASTER_TRY(write_run(s));
    ASTER_TRY(aster_grow(s->ctx, s->n + 1, sizeof *s->items, &s->cap, &s->items));
    ASTER_TRY(aster_grow(s->ctx, s->n_bytes + size + 1, 1, &s->cap_bytes, &s->bytes));
    s->items[s->n++] = (struct item){s->n_bytes, n_key, n_value};
    memcpy(s->bytes + s->n_bytes, key, (size_t)n_key);
    if (n_value)
        memcpy(s->bytes + s->n_bytes + n_key, value, (size_t)n_value);
    s->n_bytes += size;
    return 0;
}

/* ---- merging ---- */

/* Until n bytes of the run are there from its next item on. */
static int fill(struct aster_sorter *s, struct run *r, int64_t n)
{
    int64_t left = r->n - r->from;
    if (left >= n)
        return 0;
    int64_t buffer = aster_max64(s->memory / s->n_runs, LEAST_BUFFER);
    ASTER_TRY(aster_grow(s->ctx, aster_max64(n, buffer), 1, &r->cap, &r->bytes));
    memmove(r->bytes, r->bytes + r->from, (size_t)left);
    r->from = 0;
    r->n = left;
    while (r->n < n) {
        int64_t most = aster_min64(r->cap - r->n, r->end - r->at);
        ssize_t got = most ? pread(s->fd, r->bytes + r->n, (size_t)most, r->at) : 0;
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return aster_fail(s->ctx, ASTER_EIO, "%s: the file for sorting cannot be read: %s",
                              s->folder, got ? strerror(errno) : "it ends too early");
        r->n += got;
        r->at += got;
    }
    return 0;
}

/* 1: now is the run's next item; 0: it has no more. */
static int advance(struct aster_sorter *s, struct run *r)
{
    struct head h;
    if (r->from == r->n && r->at == r->end)
        return 0;
    ASTER_TRY(fill(s, r, sizeof h));
    memcpy(&h, r->bytes + r->from, sizeof h);
    int64_t size = (int64_t)sizeof h + h.n_key + h.n_value;
    ASTER_TRY(fill(s, r, size));
    const char *key = r->bytes + r->from + sizeof h;
    r->now = (struct aster_sorted){key, key + h.n_key, h.n_key, h.n_value};
    r->from += size;
    return 1;
}

static bool before(const struct aster_sorter *s, int64_t a, int64_t b)
{
    const struct aster_sorted *x = &s->runs[a].now, *y = &s->runs[b].now;
    int order = compare_keys(x->key, x->n_key, y->key, y->n_key);
    return order ? order < 0 : a < b;
}

/* The heap's k-th entry sinks to its place. */
static void sink(struct aster_sorter *s, int64_t k)
{
    for (;;) {
        int64_t least = k;
        for (int64_t child = 2 * k + 1; child <= 2 * k + 2 && child < s->n_heap; child++)
            if (before(s, s->heap[child], s->heap[least]))
                least = child;
        if (least == k)
            return;
        int64_t keep = s->heap[k];
        s->heap[k] = s->heap[least];
        s->heap[least] = keep;
        k = least;
    }
}

static int start_reading(struct aster_sorter *s)
{
    s->reading = true;
    if (s->n_runs == 0) {
        sort_items(s);
        return 0;
    }
    ASTER_TRY(write_run(s));
    aster_free(&s->items);
    aster_free(&s->bytes);
    s->cap = s->cap_bytes = 0;
    ASTER_TRY(aster_alloc(s->ctx, s->n_runs, sizeof *s->heap, &s->heap));
    for (int64_t k = 0; k < s->n_runs; k++) {
        int rc = advance(s, &s->runs[k]);
        if (rc < 0)
            return rc;
        if (rc > 0)
            s->heap[s->n_heap++] = k;
    }
    for (int64_t k = s->n_heap / 2 - 1; k >= 0; k--)
        sink(s, k);
    s->given = -1;
    return 0;
}

/* The run whose item was given last goes on to its next. */
static int leave_given(struct aster_sorter *s)
{
    int rc = advance(s, &s->runs[s->given]);
    if (rc < 0)
        return rc;
    if (rc == 0)
        s->heap[0] = s->heap[--s->n_heap];
    sink(s, 0);
    return 0;
}

int aster_sorter_next(struct aster_sorter *s, struct aster_sorted *out)
{
    if (!s->reading)
        ASTER_TRY(start_reading(s));
    if (s->n_runs == 0) {
        if (s->given == s->n)
            return 0;
        const struct item *i = &s->items[s->given++];
        const char *key = s->bytes + i->at;
        *out = (struct aster_sorted){key, key + i->n_key, i->n_key, i->n_value};
        return 1;
    }
    if (s->given >= 0)
        ASTER_TRY(leave_given(s));
    s->given = -1;
    if (s->n_heap == 0)
        return 0;
    s->given = s->heap[0];
    *out = s->runs[s->given].now;
    return 1;
}

/* ---- ids that come again ---- */

struct place {
    int64_t file, line;
};
struct aster_repeats {
    struct aster_ctx *ctx;
    struct aster_sorter *sorter;
    struct aster_sorter *taken; /* ids such as a#2: a, and 2 as the value */
    struct aster_sorted next;   /* of taken, when any_next */
    bool any_next;
    char *id; /* the one that came last, with a final 0 */
    int64_t cap, n, number;
    struct place first;
    bool any;
};

int aster_repeats_new(struct aster_ctx *ctx, const char *folder, int64_t memory,
                      struct aster_repeats **out)
{
    ASTER_TRY(aster_alloc(ctx, 1, sizeof **out, out));
    (*out)->ctx = ctx;
    int rc = aster_sorter_new(ctx, folder, memory, &(*out)->sorter);
    if (rc == 0)
        rc = aster_sorter_new(ctx, folder, memory, &(*out)->taken);
    if (rc < 0)
        aster_repeats_free(out);
    return rc;
}

void aster_repeats_free(struct aster_repeats **rp)
{
    struct aster_repeats *r = *rp;
    if (!r)
        return;
    aster_sorter_free(&r->sorter);
    aster_sorter_free(&r->taken);
    aster_free(&r->id);
    aster_free(rp);
}

/* An id that a repeated one could be renamed to. Keys are in the order of the ids, then of the
 * numbers: no id has a zero byte. */
static int add_taken(struct aster_repeats *r, const char *id)
{
    const char *sharp = strrchr(id, '#');
    int64_t number = 0, n = sharp ? sharp - id : 0;
    char key[8];
    if (!sharp || sharp[1] < '1' || sharp[1] > '9' || strlen(sharp) > 18 ||
        aster_parse_i64(sharp + 1, &number) < 0 || number < 2)
        return 0;
    for (int k = 0; k < 8; k++)
        key[k] = (char)((uint64_t)number >> (56 - 8 * k));
    struct aster_str text = {0};
    aster_str_addn(&text, id, (size_t)n);
    aster_str_addn(&text, "", 1);
    aster_str_addn(&text, key, sizeof key);
    int rc = aster_str_ok(r->ctx, &text);
    if (rc == 0)
        rc = aster_sorter_add(r->taken, text.s, (int64_t)text.len, (const char *)&number,
                              sizeof number);
    aster_str_free(&text);
    return rc;
}

int aster_repeats_add(struct aster_repeats *r, const char *id, int64_t file, int64_t line)
{
    struct place p = {file, line};
    ASTER_TRY(add_taken(r, id));
    return aster_sorter_add(r->sorter, id, (int64_t)strlen(id), (const char *)&p, sizeof p);
}

static int next_taken(struct aster_repeats *r)
{
    int rc = aster_sorter_next(r->taken, &r->next);
    r->any_next = rc == 1;
    return rc < 0 ? rc : 0;
}

/* The next number of this id that is not taken. */
static int find_number(struct aster_repeats *r)
{
    for (r->number++; r->any_next;) {
        int64_t number;
        int order = compare_keys(r->next.key, r->next.n_key - 9, r->id, r->n);
        memcpy(&number, r->next.value, sizeof number);
        if (order > 0 || (order == 0 && number > r->number))
            break;
        r->number += order == 0 && number == r->number;
        ASTER_TRY(next_taken(r));
    }
    return 0;
}

int aster_repeats_next(struct aster_repeats *r, struct aster_repeat *out)
{
    struct aster_sorted s;
    struct place p;
    int rc;
    while ((rc = aster_sorter_next(r->sorter, &s)) > 0) {
        memcpy(&p, s.value, sizeof p);
        if (r->any && compare_keys(r->id, r->n, s.key, s.n_key) == 0) {
            ASTER_TRY(find_number(r));
            *out = (struct aster_repeat){r->id,         p.file,        p.line,
                                         r->first.file, r->first.line, r->number};
            return 1;
        }
        ASTER_TRY(aster_grow(r->ctx, s.n_key + 1, 1, &r->cap, &r->id));
        memcpy(r->id, s.key, (size_t)s.n_key);
        r->id[s.n_key] = '\0';
        r->n = s.n_key;
        r->first = p;
        r->number = 1;
        if (!r->any)
            ASTER_TRY(next_taken(r));
        r->any = true;
    }
    return rc;
}
