/* SPDX-License-Identifier: BSD-3-Clause */
/* Rows of the tables of results, byte for byte as the two reference programs write them; and ours.
 */
#include "seq/seq.h"

#include <stdlib.h>
#include <string.h>

void aster_frame_table_head(struct aster_str *out, enum aster_table_style style)
{
    aster_str_add(out, style == ASTER_TABLE_NAMED ? "Sequence_ID\tPrediction\tp_other\tp_virus\n"
                                                  : "Sequence_ID\tPrediction\tscore1\tscore2\n");
}

static void add_number(struct aster_str *out, enum aster_table_style style, float x)
{
    aster_str_addn(out, "\t", 1);
    if (style == ASTER_TABLE_REWORKED)
        aster_text_f64(out, (double)x);
    else
        aster_text_f32(out, x);
}

void aster_frame_table_row(struct aster_str *out, enum aster_table_style style, const char *chunk,
                           int number, float other, float virus)
{
    aster_str_add(out, chunk);
    aster_str_add(out, aster_frame_name(number));
    aster_str_add(out, aster_frame_is_virus(other, virus) ? "\tvirus" : "\tothers");
    add_number(out, style, other);
    add_number(out, style, virus);
    aster_str_addn(out, "\n", 1);
}

/* The reworked program reads its own table with a quick parser before it takes the maxima: 17
 * digits at most, zeros in front among them, added up in double precision, then one division. Its
 * last digits differ from those of the number that was written. */
static double read_quickly(const char *text)
{
    double number = 0;
    int n = 0, exponent = 0;
    char power[16];
    bool point = false;
    for (; (*text >= '0' && *text <= '9') || *text == '.'; text++) {
        if (*text == '.') {
            point = true;
        } else if (n < 17) {
            number = number * 10 + (*text - '0');
            n++;
            exponent -= point;
        } else {
            exponent += !point;
        }
    }
    if (*text == 'e')
        exponent += (int)strtol(text + 1, NULL, 10);
    snprintf(power, sizeof power, "1e%d", abs(exponent));
    return exponent < 0 ? number / strtod(power, NULL) : number * strtod(power, NULL);
}

void aster_chunk_table_head(struct aster_str *out, enum aster_table_style style)
{
    static const char *const heads[] = {"Modified_ID\tIs_Virus\n",
                                        "Modified_ID\tIs_Virus\tmax_score_0\tmax_score_1\n",
                                        "Modified_ID\tIs_Virus\tmax_p_other\tmax_p_virus\n"};
    aster_str_add(out, heads[style]);
}

static void add_reread(struct aster_str *out, float x)
{
    struct aster_str text = {0};
    aster_text_f64(&text, (double)x);
    aster_str_addn(out, "\t", 1);
    aster_text_f64(out, read_quickly(aster_str_get(&text)));
    out->failed |= text.failed;
    aster_str_free(&text);
}

void aster_chunk_table_row(struct aster_str *out, enum aster_table_style style, const char *chunk,
                           const struct aster_chunk_call *c)
{
    aster_str_add(out, chunk);
    aster_str_add(out, aster_chunk_call_is_virus(c) ? "\tTrue" : "\tFalse");
    if (style == ASTER_TABLE_REWORKED) {
        add_reread(out, c->other);
        add_reread(out, c->virus);
    } else if (style == ASTER_TABLE_NAMED) {
        add_number(out, style, c->other);
        add_number(out, style, c->virus);
    }
    aster_str_addn(out, "\n", 1);
}

void aster_judged_table_head(struct aster_str *out)
{
    aster_str_add(out,
                  "chunk\tfirst\tlast\tframes\tfailed_frames\tp_other\tp_virus\tcall\treason\n");
}

/* Why a chunk has no call: every frame's reason, each reason once. */
static void add_reasons(struct aster_str *out, const enum aster_frame_state state[ASTER_N_FRAMES])
{
    bool seen[ASTER_N_FRAME_STATES] = {false};
    const char *before = "no open frame: ";
    for (int k = 0; k < ASTER_N_FRAMES; k++) {
        if (!seen[state[k]]) {
            aster_str_add(out, before);
            aster_str_add(out, aster_frame_reason(state[k]));
            before = ", ";
        }
        seen[state[k]] = true;
    }
}

static void add_integers(struct aster_str *out, int n, const int64_t *v)
{
    for (int k = 0; k < n; k++) {
        aster_str_addn(out, "\t", 1);
        aster_str_add_i64(out, v[k]);
    }
}

void aster_judged_table_row(struct aster_str *out, const char *chunk, struct aster_span at,
                            const struct aster_chunk_call *c,
                            const enum aster_frame_state state[ASTER_N_FRAMES])
{
    aster_str_add(out, chunk);
    add_integers(out, 4, (const int64_t[]){at.begin + 1, at.end, c->n_frames, c->n_failed});
    if (c->n_frames > 0) {
        add_number(out, ASTER_TABLE_NAMED, c->other);
        add_number(out, ASTER_TABLE_NAMED, c->virus);
        aster_str_add(out, aster_chunk_call_is_virus(c) ? "\tvirus\t" : "\tother\t");
        if (c->n_failed > 0)
            aster_str_add(out, "some frames failed");
    } else {
        aster_str_add(out, "\t\t\tnot_judged\t");
        if (c->n_failed > 0)
            aster_str_add(out, "all open frames failed");
        else
            add_reasons(out, state);
    }
    aster_str_addn(out, "\n", 1);
}

void aster_record_table_head(struct aster_str *out)
{
    aster_str_add(out, "record\tlength\tchunks\tjudged\tvirus_chunks\tframes\tfailed_frames\t"
                       "mean_p_virus\tmax_p_virus\tcall\tvirus_intervals\tvirus_bases\n");
}

void aster_record_table_row(struct aster_str *out, const char *id,
                            const struct aster_record_call *r, const struct aster_call_rule *rule)
{
    int64_t bases = 0;
    aster_str_add(out, id);
    add_integers(out, 6,
                 (const int64_t[]){r->length, r->n_chunks, r->n_judged, r->n_virus, r->n_frames,
                                   r->n_failed});
    aster_str_addn(out, "\t", 1);
    if (r->n_judged > 0)
        aster_text_f32(out, (float)(r->sum / (double)r->n_judged));
    aster_str_addn(out, "\t", 1);
    if (r->n_judged > 0)
        aster_text_f32(out, (float)r->most);
    aster_str_printf(out, "\t%s\t", aster_record_call_verdict(r, rule));
    for (int64_t k = 0; k < r->n_spans; k++) {
        aster_str_printf(out, "%s%lld-%lld", k ? "," : "", (long long)r->virus[k].begin + 1,
                         (long long)r->virus[k].end);
        bases += r->virus[k].end - r->virus[k].begin;
    }
    aster_str_printf(out, "\t%lld\n", (long long)bases);
}

/* A field of a line: what would end it becomes a blank. */
static void add_field(struct aster_str *out, const char *text, char separator)
{
    for (; *text; text++) {
        bool ends = *text == separator || *text == '\n' || *text == '\r';
        aster_str_addn(out, ends ? " " : text, 1);
    }
}

void aster_failed_line(struct aster_str *out, const char *path, const char *stage,
                       const char *error)
{
    add_field(out, path, '|');
    aster_str_addn(out, "|", 1);
    add_field(out, stage, '|');
    aster_str_addn(out, "|", 1);
    add_field(out, error, '\0');
    aster_str_addn(out, "\n", 1);
}
