/* SPDX-License-Identifier: BSD-3-Clause */
/* Configurations of the models: published parameter counts, and a message that names the field for
 * every bad value. */
#include "lib/tap.h"
#include "model/model.h"

#include <math.h>
#include <string.h>

static struct aster_ctx *ctx;

/* Parameters and running statistics of a model that trains. */
static void count(struct aster_model_config c, int64_t n_params, int64_t n_buffers)
{
    struct aster_program *p = NULL;
    struct aster_model_loss loss = {{1, 5}, true};
    int64_t params = 0, buffers = 0;
    int rc = aster_model_program(ctx, &c, ASTER_F32, ASTER_USE_TRAIN, &loss, &p);
    for (int k = 0; rc == 0 && k < aster_program_n_params(p); k++)
        params += aster_program_param(p, k)->n;
    for (int k = 0; rc == 0 && k < aster_program_n_buffers(p); k++)
        buffers += aster_program_buffer(p, k)->n;
    tap_ok(rc == 0 && params == n_params && buffers == n_buffers,
           "%s on %d columns: %lld parameters, %lld statistics", aster_model_name(c.kind),
           (int)c.input_dim, (long long)params, (long long)buffers);
    aster_program_free(&p);
}

static void count_defaults(enum aster_model_kind kind, int64_t dim, int64_t n_params,
                           int64_t n_buffers)
{
    struct aster_model_config c;
    aster_model_defaults(kind, dim, &c);
    count(c, n_params, n_buffers);
}

static void test_counts(void)
{
    count_defaults(ASTER_MODEL_CNN, 21, 250082, 960);
    count_defaults(ASTER_MODEL_CNN, 20, 248290, 960);
    count_defaults(ASTER_MODEL_CNN, 1280, 2506210, 960);
    count_defaults(ASTER_MODEL_UNET, 21, 1862006, 3456);
    count_defaults(ASTER_MODEL_UNET, 20, 1861974, 3456);
    count_defaults(ASTER_MODEL_UNET, 1280, 1902294, 3456);
    count_defaults(ASTER_MODEL_LSTM, 21, 2280194, 0);
    count_defaults(ASTER_MODEL_LSTM, 20, 2278146, 0);
    count_defaults(ASTER_MODEL_LSTM, 1280, 4858626, 0);
    struct aster_model_config c;
    aster_model_defaults(ASTER_MODEL_UNET, 21, &c);
    c.base_filters = 8;
    count(c, 117602, 864);
    c.max_length = 250; /* the same parameters where the second resize acts */
    count(c, 117602, 864);
}

static void refused(struct aster_model_config c, const char *field)
{
    int rc = aster_model_check(ctx, &c);
    tap_ok(rc == ASTER_EPARAM && strstr(aster_ctx_message(ctx), field) &&
               strstr(aster_ctx_message(ctx), "expected"),
           "refused: %s", aster_ctx_message(ctx));
    aster_ctx_clear(ctx);
}

static void test_refusals(void)
{
    struct aster_model_config cnn, unet, lstm, c;
    aster_model_defaults(ASTER_MODEL_CNN, 21, &cnn);
    aster_model_defaults(ASTER_MODEL_UNET, 21, &unet);
    aster_model_defaults(ASTER_MODEL_LSTM, 21, &lstm);
    c = cnn;
    c.input_dim = 0;
    refused(c, "input_dim");
    c = cnn;
    c.max_length = 0;
    refused(c, "max_length");
    c = cnn;
    c.dropout = 1;
    refused(c, "dropout");
    c.dropout = -0.1;
    refused(c, "dropout");
    c.dropout = NAN;
    refused(c, "dropout");
    c = cnn;
    c.n_layers = 0;
    refused(c, "channels");
    c = cnn;
    c.n_layers = ASTER_MODEL_MAX_LAYERS + 1;
    refused(c, "channels");
    c = cnn;
    c.channels[2] = 0;
    refused(c, "channels[2]");
    c = cnn;
    c.kernel_sizes[1] = 4;
    refused(c, "kernel_sizes[1]");
    c = cnn;
    c.kernel_sizes[3] = -1;
    refused(c, "kernel_sizes[3]");
    c = unet;
    c.base_filters = 1;
    refused(c, "base_filters");
    c = unet;
    c.depth = 0;
    refused(c, "depth");
    c = unet;
    c.depth = 11;
    refused(c, "depth");
    c = unet;
    c.max_length = 15;
    refused(c, "depth");
    c = lstm;
    c.hidden_dim = 0;
    refused(c, "hidden_dim");
    c = lstm;
    c.num_layers = 17;
    refused(c, "num_layers");
    c = cnn;
    c.kind = ASTER_N_MODEL_KINDS;
    refused(c, "kind");
}

int main(void)
{
    if (aster_ctx_new(&ctx) < 0)
        return 1;
    test_counts();
    test_refusals();
    aster_ctx_free(&ctx);
    tap_ok(aster_live_allocations() == 0, "nothing is left allocated");
    return tap_done();
}
