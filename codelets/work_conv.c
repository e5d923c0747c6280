/* SPDX-License-Identifier: BSD-3-Clause */
/* Workspace of the convolutions. */
#include "backend.h"

#include "cpu/blocking.h"
#include "cpu/conv_edges.h"

static int64_t conv_bytes(int64_t n_samples, int64_t n_out, int64_t length, int64_t kernel,
                          int64_t pad, int64_t channels, int64_t n, int64_t size,
                          enum aster_products products)
{
    return aster_conv_span_bytes(n_samples) +
           aster_conv_copy_bytes(n_samples, n_out, length, kernel, pad, channels, size) +
           aster_product_bytes(channels, kernel * channels, n, size, products != 0);
}

int64_t aster_work_conv(enum aster_op_kind op, const struct aster_args *a)
{
    const struct aster_tensor *x = &a->in[0], *w = &a->in[1]; /* w is dy for conv1d_dw */
    const int64_t size = aster_real_size(x->dtype), kernel = w->dim[0];
    if (op == ASTER_OP_conv1d) {
        int64_t n_out = aster_max64(0, x->dim[1] + a->i[0] + a->i[1] - kernel + 1);
        return conv_bytes(x->dim[0], n_out, x->dim[1], kernel, a->i[0], w->dim[1], w->dim[2], size,
                          a->products);
    }
    if (op == ASTER_OP_conv1d_dx) /* on a GPU: the weights with their taps reversed */
        return aster_max64(kernel * w->dim[1] * w->dim[2] * size,
                           conv_bytes(x->dim[0], a->s[0], x->dim[1], kernel, kernel - 1 - a->i[0],
                                      w->dim[2], w->dim[1], size, a->products));
    if (op == ASTER_OP_conv1d_dw) {
        const struct aster_dw_block b = aster_dw_block(x->dim[0], w->dim[1], a->s[0]);
        const int64_t columns = aster_round_up(w->dim[2], ASTER_PANEL_BYTES_MAX / size);
        return (aster_round_up(b.x_rows * x->dim[2], 64) + b.dy_rows * columns) * size;
    }
    return 0;
}
