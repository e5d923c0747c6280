/* SPDX-License-Identifier: BSD-3-Clause */
/* The classifier of frames: its numbers against plain double precision, alone and in a batch; its
 * weights from safetensors and from a pickled module; each kind of bad file by its message. */
#include "flow/classifier_file.h"
#include "lib/reals.h"
#include "unit/classifier_weights.h"
#include "unit/files.h"
#include "unit/torch_build.h"

#include <math.h>

enum { INPUTS = 37, HIDDEN = 19, ROWS = 23 };

static double x_of(int64_t row, int64_t k)
{
    return 4 * aster_uniform(9, (uint64_t)row, (uint64_t)k) - 2;
}

/* probs [n, 2] of rows first .. first + n - 1 */
static int run(const struct aster_classifier *c, int64_t first, int64_t n, double *probs)
{
    struct aster_bind bind[] = {{"B", n}};
    struct aster_plan *plan = NULL;
    struct aster_bound b = {0};
    int64_t x, out;
    int rc;
    ASTER_TRY(aster_plan_new(ctx, c->program, 1, bind, NULL, &plan));
    for (int k = 0; k < ASTER_N_CLASSES; k++)
        ASTER_GOTO(aster_alloc(ctx, aster_plan_bytes(plan, (enum aster_class)k), 1, &b.at[k]),
                   done);
    aster_free(&b.at[ASTER_CLASS_PARAM]);
    aster_free(&b.at[ASTER_CLASS_BUFFER]);
    b.at[ASTER_CLASS_PARAM] = c->params;
    b.at[ASTER_CLASS_BUFFER] = c->buffers;
    ASTER_GOTO(aster_plan_find(ctx, plan, ASTER_CLASS_INPUT, "x", NULL, &x), done);
    ASTER_GOTO(aster_plan_find(ctx, plan, ASTER_CLASS_OUTPUT, "probs", NULL, &out), done);
    for (int64_t k = 0; k < n * c->config.n_inputs; k++)
        put_real(c->real, (char *)b.at[ASTER_CLASS_INPUT] + x, k,
                 x_of(first + k / c->config.n_inputs, k % c->config.n_inputs));
    aster_exec(plan, aster_backend_cpu(ASTER_ISA_BASE), &b, 0);
    for (int64_t k = 0; k < 2 * n; k++)
        probs[k] = get_real(c->real, (char *)b.at[ASTER_CLASS_OUTPUT] + out, k);
done:
    b.at[ASTER_CLASS_PARAM] = b.at[ASTER_CLASS_BUFFER] = NULL;
    for (int k = 0; k < ASTER_N_CLASSES; k++)
        aster_free(&b.at[k]);
    aster_plan_free(&plan);
    return rc;
}

static void check_numbers(const struct aster_classifier *c, const struct classifier_weights *w,
                          double limit, const char *what)
{
    double probs[2 * ROWS], alone[2], x[INPUTS], p[2], worst = 0, spread = 0;
    bool same = true;
    if (!tap_ok(fine(run(c, 0, ROWS, probs)), "%s runs", what))
        return;
    for (int64_t r = 0; r < ROWS; r++) {
        for (int64_t k = 0; k < INPUTS; k++)
            x[k] = c->real == ASTER_F64 ? x_of(r, k) : (double)(float)x_of(r, k);
        classifier_weights_apply(w, x, p);
        double error = fmax(fabs(p[0] - probs[2 * r]), fabs(p[1] - probs[2 * r + 1]));
        worst = error <= worst ? worst : error;
        spread = fmax(spread, fabs(p[1] - 0.5));
        same = fine(run(c, r, 1, alone)) && alone[0] == probs[2 * r] &&
               alone[1] == probs[2 * r + 1] && same;
    }
    tap_ok(worst <= limit && spread > 0.2, "%s: %.3g from plain double precision, limit %.3g", what,
           worst, limit);
    tap_ok(same, "%s: a row alone has the bits that it has among others", what);
}

static struct classifier_weights weights;

/* Written with these names and metadata, then opened. */
static int reopen(const char *prefix, const char *meta, const char *value, const char *name,
                  enum aster_dtype real, struct aster_classifier **out)
{
    *out = NULL;
    ASTER_TRY(classifier_weights_write(ctx, &weights, prefix, meta, value, in_dir(name)));
    return aster_classifier_open(ctx, in_dir(name), real, out);
}

static void test_numbers(void)
{
    struct aster_classifier *c;
    if (tap_ok(fine(reopen("", NULL, NULL, "c.safetensors", ASTER_F64, &c)), "a file is opened"))
        check_numbers(c, &weights, 1e-13, "f64");
    aster_classifier_free(&c);
    if (tap_ok(fine(reopen("model.", NULL, NULL, "c.safetensors", ASTER_F32, &c)),
               "names with a prefix"))
        check_numbers(c, &weights, 2e-6, "f32");
    aster_classifier_free(&c);
    weights.value[CW_GAMMA][3] *= 2; /* the test itself must see a wrong weight */
    double probs[2], x[INPUTS], p[2];
    bool seen = fine(aster_classifier_open(ctx, in_dir("c.safetensors"), ASTER_F64, &c)) &&
                fine(run(c, 0, 1, probs));
    for (int64_t k = 0; k < INPUTS; k++)
        x[k] = x_of(0, k);
    classifier_weights_apply(&weights, x, p);
    tap_ok(seen && fabs(p[0] - probs[0]) > 1e-5, "another weight gives another number");
    weights.value[CW_GAMMA][3] /= 2;
    aster_classifier_free(&c);
}

/* ---- the length of chunks ---- */

static void length_is(const char *meta, const char *value, const char *name, int64_t wanted,
                      int64_t expected)
{
    struct aster_classifier *c;
    int64_t length = 0;
    bool good = fine(reopen("", meta, value, name, ASTER_F32, &c)) &&
                fine(aster_classifier_length(ctx, c, wanted, false, &length));
    tap_ok(good && length == expected, "%s, %s, %lld asked for: chunks of %lld", name,
           value ? value : "no metadata", (long long)wanted, (long long)length);
    aster_classifier_free(&c);
}

static void test_lengths(void)
{
    struct aster_classifier *c;
    int64_t length;
    length_is(NULL, NULL, "c.safetensors", 0, 500);
    length_is(NULL, NULL, "c.safetensors", 123, 123);
    length_is("chunk_length", "300", "c.safetensors", 0, 300);
    length_is("expected_length", "300", "500_model.safetensors", 300, 300);
    length_is(NULL, NULL, "300_model.safetensors", 0, 300);
    length_is("chunk_length", "none", "my_300_model.safetensors", 0, 500);
    if (!tap_ok(fine(reopen("", NULL, NULL, "300_model.safetensors", ASTER_F32, &c)), "300_model"))
        return;
    failed_with("another length is refused", aster_classifier_length(ctx, c, 500, false, &length),
                ASTER_EPARAM, "300_model.safetensors", "300", "500", "by its name", "force_length",
                NULL);
    tap_ok(aster_classifier_length(ctx, c, 500, true, &length) == 0 && length == 500,
           "unless it is forced");
    aster_classifier_free(&c);
}

/* ---- a pickled module ---- */

static void add_tensor(struct aster_str *s, int t, const char *name)
{
    const struct aster_st_out *w = &weights.tensor[t];
    char key[8];
    int64_t n = 1, stride[2] = {1, 1};
    for (int k = 0; k < w->rank; k++)
        n *= w->dim[k];
    if (w->rank == 2)
        stride[0] = w->dim[1];
    snprintf(key, sizeof key, "%d", t);
    p_text(s, name);
    p_tensor(s, t == CW_STEPS ? "Long" : "Float", key, n, 0, w->rank, w->dim, stride);
}

static void part(struct aster_str *s, const char *name)
{
    p_text(s, name);
    P(s, "}(");
}

static void module(struct aster_str *s, const char *name, int weight, int bias)
{
    p_text(s, name);
    P(s, "ctorch.nn.modules\nLayer\n)\x81}(");
    p_text(s, "training");
    P(s, "\x89");
    part(s, "_parameters");
    add_tensor(s, weight, "weight");
    add_tensor(s, bias, "bias");
    P(s, "u");
    part(s, "_buffers");
    if (weight == CW_GAMMA) {
        add_tensor(s, CW_MEAN, "running_mean");
        add_tensor(s, CW_VAR, "running_var");
        add_tensor(s, CW_STEPS, "num_batches_tracked");
    }
    P(s, "u");
    part(s, "_modules");
    P(s, "uub");
}

static void test_module(void)
{
    struct aster_str pickle = {0}, file = {0};
    const void *bytes[CW_N];
    size_t length[CW_N];
    struct aster_classifier *c = NULL;
    P(&pickle, "\x80\2c__main__\nMLPClassifier\n)\x81}(");
    p_text(&pickle, "training");
    P(&pickle, "\x89");
    part(&pickle, "_parameters");
    P(&pickle, "u");
    part(&pickle, "_buffers");
    P(&pickle, "u");
    part(&pickle, "_modules");
    module(&pickle, "hidden_layer", CW_INPUTS, CW_HIDDEN_BIAS);
    module(&pickle, "bn1", CW_GAMMA, CW_BETA);
    module(&pickle, "output_layer", CW_OUTPUT, CW_OUTPUT_BIAS);
    P(&pickle, "uub.");
    for (int t = 0; t < CW_N; t++) {
        int64_t n = 1;
        for (int k = 0; k < weights.tensor[t].rank; k++)
            n *= weights.tensor[t].dim[k];
        bytes[t] = weights.tensor[t].data;
        length[t] = (size_t)n * (t == CW_STEPS ? 8 : 4);
    }
    make_torch(&file, &pickle, true, CW_N, bytes, length);
    const char *path = put_bytes("500_model.pth", file.s, file.len);
    if (tap_ok(fine(aster_classifier_open(ctx, path, ASTER_F64, &c)), "a pickled module is read")) {
        check_numbers(c, &weights, 1e-13, "a pickled module");
        tap_ok(c->chunk_length == 500 && c->by_name, "its name says 500");
    }
    aster_classifier_free(&c);
    aster_str_free(&pickle);
    aster_str_free(&file);
}

/* ---- bad files ---- */

static void refused(const char *what, const char *prefix, const char *first, const char *second)
{
    struct aster_classifier *c;
    int rc = reopen(prefix, NULL, NULL, "bad.safetensors", ASTER_F32, &c);
    failed_with(what, rc, ASTER_EFORMAT, "bad.safetensors", first, second, NULL);
    aster_classifier_free(&c);
}

static void test_bad(void)
{
    struct classifier_weights *w = &weights;
    refused("no such names", "other_", "hidden_layer.weight", "expected");
    w->tensor[CW_BETA].dim[0] = HIDDEN - 1;
    refused("another shape", "", "bn1.bias", "[18], expected real numbers [19]");
    w->tensor[CW_BETA].dim[0] = HIDDEN;
    w->tensor[CW_OUTPUT].dim[0] = 1;
    refused("one output", "", "output_layer.weight", "[2, 19]");
    w->tensor[CW_OUTPUT].dim[0] = 2;
    w->tensor[CW_INPUTS].rank = 1;
    refused("a matrix with one axis", "", "hidden_layer.weight", "1 axes");
    w->tensor[CW_INPUTS].rank = 2;
    w->value[CW_OUTPUT_BIAS][1] = NAN;
    refused("not a number", "", "output_layer.bias", "not finite");
    w->value[CW_OUTPUT_BIAS][1] = 0;
    w->value[CW_VAR][2] = -1;
    refused("a negative variance", "", "bn1.running_var", "0 or more");
    w->value[CW_VAR][2] = 1;
    w->tensor[CW_MEAN].dtype = ASTER_I32;
    refused("integers", "", "bn1.running_mean", "i32");
    w->tensor[CW_MEAN].dtype = ASTER_F32;
    struct aster_classifier *c;
    int rc = aster_classifier_open(ctx, put_text("text.pth", "not weights"), ASTER_F32, &c);
    failed_with("no file of weights", rc, ASTER_EFORMAT, "text.pth", NULL);
    const struct aster_st_out more = {"dropout.rate", ASTER_F32, 1, {1}, w->value[CW_VAR]};
    struct aster_st_out all[CW_N + 1];
    memcpy(all, w->tensor, sizeof w->tensor);
    all[CW_N] = more;
    rc = aster_st_write(ctx, in_dir("more.safetensors"), CW_N + 1, all, 0, NULL, NULL);
    if (rc == 0)
        rc = aster_classifier_open(ctx, in_dir("more.safetensors"), ASTER_F32, &c);
    failed_with("a tensor too many", rc, ASTER_EFORMAT, "dropout.rate", "none of a classifier",
                NULL);
    rc = aster_st_write(ctx, in_dir("less.safetensors"), CW_N - 2, all, 0, NULL, NULL);
    if (rc == 0)
        rc = aster_classifier_open(ctx, in_dir("less.safetensors"), ASTER_F32, &c);
    failed_with("a tensor too few", rc, ASTER_EFORMAT, "has no tensor 'output_layer.bias'", NULL);
}

int main(void)
{
    test_start();
    if (fine(classifier_weights_make(ctx, INPUTS, HIDDEN, 4, &weights))) {
        test_numbers();
        test_lengths();
        test_module();
        test_bad();
    }
    classifier_weights_free(&weights);
    return test_end();
}
