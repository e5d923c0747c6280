/* SPDX-License-Identifier: BSD-3-Clause */
/* The loops that a prediction found, from results.h5: histograms and the first of them as a table.
 */
#include "flow/plots.h"
#include "flow/report.h"
#include "io/io.h"

#define MAX_ROWS  50
#define CHUNK     65536   /* records read at once */
#define MAX_LOOPS 1000000 /* in the histograms */

struct loops {
    struct aster_page *page;
    struct aster_h5 *f;
    int64_t n_records, n, n_shown, cap_length, cap_confidence;
    double *length, *confidence; /* [n] */
    int32_t start[CHUNK], end[CHUNK];
    double score[CHUNK];
};

/* Record i as a row of the table. */
static int show(struct loops *l, int64_t i, int32_t start, int32_t end, double score)
{
    struct aster_page *p = l->page;
    int64_t at[2], length;
    char id[201], text[32];
    ASTER_TRY(aster_h5_read_rows(l->f, "id_offsets", ASTER_I64, i, 2, at));
    ASTER_TRY(aster_h5_read_rows(l->f, "length", ASTER_I64, i, 1, &length));
    int64_t n = aster_min64(at[1] - at[0], (int64_t)sizeof id - 1);
    if (n > 0)
        ASTER_TRY(aster_h5_read_rows(l->f, "id_bytes", ASTER_U8, at[0], n, id));
    id[n > 0 ? n : 0] = '\0';
    aster_str_add(&p->s, "<tr>");
    aster_page_cell(p, "td", id);
    const int64_t numbers[4] = {length, start, end, (int64_t)end - start + 1};
    for (int k = 0; k < 4; k++) {
        snprintf(text, sizeof text, "%lld", (long long)numbers[k]);
        aster_page_cell(p, "td", text);
    }
    snprintf(text, sizeof text, "%.3f", score);
    aster_page_cell(p, "td", text);
    aster_str_add(&p->s, "</tr>\n");
    return 0;
}

static int add(struct loops *l, int64_t i, int32_t start, int32_t end, double score)
{
    struct aster_ctx *ctx = l->page->ctx;
    if (l->n_shown < MAX_ROWS) {
        l->n_shown++;
        ASTER_TRY(show(l, i, start, end, score));
    }
    if (l->n == MAX_LOOPS)
        return 0;
    ASTER_TRY(aster_grow(ctx, l->n + 1, sizeof *l->length, &l->cap_length, &l->length));
    ASTER_TRY(aster_grow(ctx, l->n + 1, sizeof *l->confidence, &l->cap_confidence, &l->confidence));
    l->length[l->n] = (double)end - start + 1;
    l->confidence[l->n++] = score;
    return 0;
}

static int read_all(struct loops *l)
{
    for (int64_t first = 0; first < l->n_records; first += CHUNK) {
        int64_t n = aster_min64(CHUNK, l->n_records - first);
        ASTER_TRY(aster_h5_read_rows(l->f, "rcl_start", ASTER_I32, first, n, l->start));
        ASTER_TRY(aster_h5_read_rows(l->f, "rcl_end", ASTER_I32, first, n, l->end));
        ASTER_TRY(aster_h5_read_rows(l->f, "confidence", ASTER_F64, first, n, l->score));
        for (int64_t i = 0; i < n; i++)
            if (l->start[i] > 0 && l->end[i] >= l->start[i])
                ASTER_TRY(add(l, first + i, l->start[i], l->end[i], l->score[i]));
    }
    return 0;
}

static int table_and_figures(struct loops *l)
{
    struct aster_page *p = l->page;
    ASTER_TRY(aster_h5_attr_i64(l->f, "/", "count", &l->n_records));
    aster_page_heading(p, "Loops");
    aster_str_add(&p->s, "<div class=\"scroll\"><table class=\"tight\">\n<tr><th>accession</th>"
                         "<th class=\"n\">residues</th><th class=\"n\">start</th><th "
                         "class=\"n\">end</th><th class=\"n\">loop length</th>"
                         "<th class=\"n\">confidence</th></tr>\n");
    ASTER_TRY(read_all(l));
    aster_str_add(&p->s, "</table></div>\n");
    if (l->n > l->n_shown)
        aster_str_printf(&p->s, "<p>The first %lld loops; the tables of the run have all.</p>\n",
                         (long long)l->n_shown);
    aster_str_add(&p->s, "<div class=\"figures\">\n");
    ASTER_TRY(aster_plots_predictions(p->ctx, l->n, l->length, l->confidence, &p->s));
    aster_str_add(&p->s, "</div>\n");
    return 0;
}

int aster_page_loops(struct aster_page *p)
{
    struct loops *l = NULL;
    char *path = NULL;
    bool there;
    int rc = 0;
    ASTER_TRY(aster_page_path(p, "results.h5", &path, &there));
    if (there)
        rc = aster_alloc(p->ctx, 1, sizeof *l, &l);
    if (rc == 0 && l) {
        l->page = p;
        rc = aster_h5_open(p->ctx, path, &l->f);
    }
    if (rc == 0 && l && aster_h5_has(l->f, "rcl_start"))
        rc = table_and_figures(l);
    if (l) {
        aster_h5_close(&l->f);
        aster_free(&l->length);
        aster_free(&l->confidence);
    }
    aster_free(&l);
    aster_free(&path);
    return rc;
}
