/* SPDX-License-Identifier: BSD-3-Clause */
/* Calls against a base-by-base reference, numbers against every number of digits, tables as text.
 */
#include "unit/files.h"
#include "seq/seq.h"

#include <math.h>

static uint64_t drawn;

static int64_t draw(int64_t n)
{
    return (int64_t)(aster_uniform(6, 0, drawn++) * (double)n);
}

/* ---- numbers ---- */

static bool text_is(void (*add)(struct aster_str *, double), double x, const char *want)
{
    struct aster_str s = {0};
    add(&s, x);
    bool good = !strcmp(aster_str_get(&s), want);
    if (!good)
        tap_note("%.17g gives %s, %s is expected", x, aster_str_get(&s), want);
    aster_str_free(&s);
    return good;
}

static void add_f32(struct aster_str *out, double x)
{
    aster_text_f32(out, (float)x);
}

/* Significant digits in a number's text. */
static int digits_of(const char *text)
{
    int n = 0, last = 0;
    for (; *text && *text != 'e'; text++)
        if (*text >= '0' && *text <= '9' && (n || *text != '0')) {
            n++;
            if (*text != '0')
                last = n;
        }
    return last;
}

/* Reads back; none of the numbers with one digit less, the two around x, does; nearest of its
 * length unless that does not read back. */
static bool shortest_f32(float x)
{
    struct aster_str s = {0};
    char text[64];
    aster_text_f32(&s, x);
    const char *got = aster_str_get(&s);
    int n = digits_of(got);
    bool good = !s.failed && strtof(got, NULL) == x && n >= 1 && n <= 9;
    snprintf(text, sizeof text, "%.*e", n - 1, (double)x);
    if (good && strtof(text, NULL) == x)
        good = strtod(text, NULL) == strtod(got, NULL);
    for (int away = -1; good && n > 1 && away <= 1; away++) {
        snprintf(text, sizeof text, "%.*e", n - 2, (double)x);
        char *e = strchr(text, 'e');
        long long m = 0;
        for (char *c = text; c < e; c++)
            if (*c != '.')
                m = m * 10 + (*c - '0');
        int exponent = (int)strtol(e + 1, NULL, 10) - (n - 2);
        snprintf(text, sizeof text, "%llde%d", m + away, exponent);
        good = strtof(text, NULL) != x;
    }
    if (!good)
        tap_note("%.9g gives %s", (double)x, got);
    aster_str_free(&s);
    return good;
}

static void test_numbers(void)
{
    static const struct {
        double x;
        const char *text;
    } f64[] = {{0, "0.0"},
               {1, "1.0"},
               {-0.5, "-0.5"},
               {0.1, "0.1"},
               {1e-4, "0.0001"},
               {1e-5, "1e-05"},
               {1.5e-7, "1.5e-07"},
               {123456, "123456.0"},
               {1e15, "1000000000000000.0"},
               {1e16, "1e+16"},
               {1.25e100, "1.25e+100"},
               {0x1p-44, "5.684341886080802e-14"},
               {5e-324, "5e-324"},
               {1.7976931348623157e308, "1.7976931348623157e+308"},
               {2.2250738585072014e-308, "2.2250738585072014e-308"},
               {100, "100.0"},
               {1.0 / 3, "0.3333333333333333"},
               {2.0 / 3, "0.6666666666666666"},
               {9007199254740993.0, "9007199254740992.0"},
               {-1e22, "-1e+22"}};
    for (size_t k = 0; k < sizeof f64 / sizeof *f64; k++)
        tap_ok(text_is(aster_text_f64, f64[k].x, f64[k].text), "the double %s", f64[k].text);
    tap_ok(text_is(aster_text_f64, INFINITY, "inf") && text_is(add_f32, -INFINITY, "-inf") &&
               text_is(add_f32, NAN, "nan"),
           "what is no number");
    tap_ok(text_is(add_f32, 1e-5, "1e-05") && text_is(add_f32, 1e-4, "1e-04") &&
               text_is(add_f32, 0.00010001, "0.00010001") && text_is(add_f32, 0.1, "0.1") &&
               text_is(add_f32, 1, "1.0") && text_is(add_f32, 16777216, "16777216.0") &&
               text_is(add_f32, 1e-45, "1e-45") && text_is(add_f32, 0x1p-24, "5.9604645e-08") &&
               text_is(add_f32, 3.4028235e38, "3.4028235e+38"),
           "floats as Python's numpy prints them");
    int64_t wrong = 0;
    for (int k = 0; k < 60000; k++) {
        uint32_t bits = (uint32_t)draw(1LL << 31);
        float x;
        memcpy(&x, &bits, sizeof x);
        wrong += isfinite(x) && x != 0 && !shortest_f32(x);
        x = (float)ldexp(aster_uniform(6, 1, (uint64_t)k), -(k % 45));
        wrong += x > 0 && !shortest_f32(x);
    }
    for (int e = -149; e < 128; e++)
        wrong += !shortest_f32(ldexpf(1, e)) +
                 !shortest_f32(nextafterf(ldexpf(1, e), 0) > 0 ? nextafterf(ldexpf(1, e), 0) : 1) +
                 !shortest_f32(nextafterf(ldexpf(1, e), 1e30f));
    tap_ok(wrong == 0, "120000 floats of all sizes and scores, powers of two and their neighbours");
}

/* ---- calls ---- */

static void test_chunk_calls(void)
{
    struct aster_chunk_call c = {0};
    tap_ok(!aster_chunk_call_is_virus(&c), "a chunk without frames is no virus");
    aster_chunk_call_add(&c, 0.75f, 0.25f);
    tap_ok(!aster_chunk_call_is_virus(&c) && c.n_frames == 1, "one frame against");
    aster_chunk_call_add(&c, 0.25f, 0.75f);
    tap_ok(aster_chunk_call_is_virus(&c) && c.other == 0.75f && c.virus == 0.75f,
           "equal maxima: a virus");
    aster_chunk_call_add(&c, NAN, 0.5f);
    aster_chunk_call_add(&c, 0.5f, INFINITY);
    tap_ok(c.n_frames == 2 && c.n_failed == 2 && c.virus == 0.75f,
           "scores that are no numbers are failed frames");
    c = (struct aster_chunk_call){0};
    aster_chunk_call_add(&c, -2, -3);
    tap_ok(c.other == -2 && c.virus == -3, "any numbers have a maximum");
    tap_ok(aster_frame_is_virus(0.25f, 0.75f) && !aster_frame_is_virus(0.5f, 0.5f),
           "a frame with equal scores is no virus");
}

/* Random chunks; intervals by marking every base. Touching spans are one, so a mark per base is
 * enough. */
static bool record_agrees(struct aster_record_call *r)
{
    static bool marked[4001];
    int64_t length = 1 + draw(4000), size = 1 + draw(400), judged = 0, virus = 0, spans = 0;
    struct aster_chunks plan;
    double sum = 0, most = 0;
    memset(marked, 0, sizeof marked);
    aster_record_call_reset(r, length);
    if (!fine(aster_chunks_plan(ctx, length, size, &plan)))
        return false;
    for (int64_t i = 0; i < plan.n; i++) {
        struct aster_chunk_call c = {0};
        struct aster_span at = {aster_chunk_begin(&plan, i), aster_chunk_end(&plan, i)};
        if (draw(4)) {
            float v = (float)draw(65) / 64;
            aster_chunk_call_add(&c, 1 - v, v);
            judged++;
            sum += (double)v;
            most = fmax(most, (double)v);
            virus += v >= 0.5f;
            for (int64_t k = at.begin; v >= 0.5f && k < at.end; k++)
                marked[k] = true;
        }
        if (!fine(aster_record_call_add(ctx, r, at, &c)))
            return false;
    }
    for (int64_t k = 0; k < length; k++) {
        if (!marked[k] || (k && marked[k - 1]))
            continue;
        if (spans >= r->n_spans || r->virus[spans].begin != k)
            return false;
        int64_t end = k;
        while (end < length && marked[end])
            end++;
        if (r->virus[spans++].end != end)
            return false;
    }
    struct aster_call_rule majority = {0}, mean = {.by_mean = true, .least = 0.5};
    const char *want = !judged ? "not_judged" : 2 * virus > judged ? "virus" : "other";
    const char *by_mean = !judged ? "not_judged" : sum / (double)judged >= 0.5 ? "virus" : "other";
    return spans == r->n_spans && r->n_chunks == plan.n && r->n_judged == judged &&
           r->n_virus == virus && r->sum == sum && (judged == 0 || r->most == most) &&
           !strcmp(aster_record_call_verdict(r, &majority), want) &&
           !strcmp(aster_record_call_verdict(r, &mean), by_mean);
}

static void test_record_calls(void)
{
    struct aster_record_call r = {0};
    int64_t wrong = 0;
    for (int k = 0; k < 3000; k++)
        wrong += !record_agrees(&r);
    tap_ok(wrong == 0, "3000 records base by base");
    aster_record_call_free(&r);
}

/* ---- tables ---- */

static void expect_text(const char *what, struct aster_str *s, const char *want)
{
    if (!tap_ok(!s->failed && !strcmp(aster_str_get(s), want), "%s", what))
        tap_note("got %s", aster_str_get(s));
    aster_str_free(s);
}

static void test_tables(void)
{
    struct aster_str s = {0};
    struct aster_chunk_call c = {0}, none = {0}, broken = {.n_failed = 2};
    enum aster_frame_state state[ASTER_N_FRAMES] = {ASTER_FRAME_STOP, ASTER_FRAME_SHORT,
                                                    ASTER_FRAME_STOP, ASTER_FRAME_SHORT,
                                                    ASTER_FRAME_STOP, ASTER_FRAME_STOP};
    aster_chunk_call_add(&c, 0.25f, 0.0625f);
    aster_frame_table_head(&s, ASTER_TABLE_FIRST);
    aster_frame_table_row(&s, ASTER_TABLE_FIRST, "x_chunk_1", 1, 0.1f, 0.5f);
    aster_frame_table_row(&s, ASTER_TABLE_REWORKED, "x_chunk_1", 4, 0.1f, 1e-5f);
    expect_text("rows of frames", &s,
                "Sequence_ID\tPrediction\tscore1\tscore2\nx_chunk_1F2\tvirus\t0.1\t0.5\n"
                "x_chunk_1R2\tothers\t0.10000000149011612\t9.999999747378752e-06\n");
    aster_frame_table_head(&s, ASTER_TABLE_NAMED);
    expect_text("columns that explain themselves", &s,
                "Sequence_ID\tPrediction\tp_other\tp_virus\n");
    aster_chunk_table_head(&s, ASTER_TABLE_FIRST);
    aster_chunk_table_row(&s, ASTER_TABLE_FIRST, "x_chunk_1", &c);
    aster_chunk_table_head(&s, ASTER_TABLE_REWORKED);
    aster_chunk_table_row(&s, ASTER_TABLE_REWORKED, "x_chunk_1", &c);
    aster_chunk_table_row(&s, ASTER_TABLE_NAMED, "x_chunk_1", &c);
    expect_text(
        "rows of chunks", &s,
        "Modified_ID\tIs_Virus\nx_chunk_1\tFalse\nModified_ID\tIs_Virus\tmax_score_0\tmax_score_1\n"
        "x_chunk_1\tFalse\t0.25\t0.0625\nx_chunk_1\tFalse\t0.25\t0.0625\n");
    aster_judged_table_row(&s, "x_chunk_1", (struct aster_span){0, 9}, &c, state);
    aster_judged_table_row(&s, "x_chunk_2", (struct aster_span){9, 12}, &none, state);
    aster_judged_table_row(&s, "x_chunk_3", (struct aster_span){12, 20}, &broken, state);
    expect_text(
        "a chunk that is not judged has a reason", &s,
        "x_chunk_1\t1\t9\t1\t0\t0.25\t0.0625\tother\t\n"
        "x_chunk_2\t10\t12\t0\t0\t\t\tnot_judged\tno open frame: stop codon, shorter than a codon\n"
        "x_chunk_3\t13\t20\t0\t2\t\t\tnot_judged\tall open frames failed\n");
    struct aster_record_call r = {0};
    struct aster_call_rule rule = {0};
    struct aster_chunk_call v = {.n_frames = 2, .other = 0.25f, .virus = 0.75f},
                            o = {.n_frames = 1, .other = 0.5f};
    bool good = true;
    aster_record_call_reset(&r, 90);
    for (int k = 0; k < 4; k++)
        good = good && fine(aster_record_call_add(ctx, &r, (struct aster_span){20 * k, 20 * k + 30},
                                                  k == 1   ? &o
                                                  : k == 3 ? &none
                                                           : &v));
    aster_record_table_row(&s, "x", &r, &rule);
    aster_record_call_reset(&r, 0);
    aster_record_table_row(&s, "y", &r, &rule);
    tap_ok(good, "calls are added");
    expect_text("rows of records", &s,
                "x\t90\t4\t3\t2\t5\t0\t0.5\t0.75\tvirus\t1-30,41-70\t60\n"
                "y\t0\t0\t0\t0\t0\t0\t\t\tnot_judged\t\t0\n");
    aster_record_call_free(&r);
    aster_failed_line(&s, "out_1.fa|x", "ESM-2", "two\nlines | kept");
    expect_text("a failed file", &s, "out_1.fa x|ESM-2|two lines | kept\n");
}

int main(void)
{
    test_start();
    test_numbers();
    test_chunk_calls();
    test_record_calls();
    test_tables();
    return test_end();
}
