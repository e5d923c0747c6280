/* SPDX-License-Identifier: BSD-3-Clause */
/* Proves that the CUDA kernels, emulated, give the reference's numbers for every op in f32 and f64, without a race, a wrong index
 * or an order that matters; and that every kernel was run. Arguments: names of ops or families; none runs all. Cases that leave
 * rows out are not for a GPU, which computes all; LSTMs are cut to few steps; of a batch, its ends are tried alone. */
#include "kernel/kt_inner.h"
#include "lib/tap.h"
#include "emulate/device.h"
#include "emulate/others.h"

static struct kt_target target;

int kt_n_targets(void)
{
    return 1;
}

const struct kt_target *kt_target(int k)
{
    (void)k;
    return &target;
}

int main(int argc, char **argv)
{
    target = (struct kt_target){
        .be = &aster_backend_cuda, .name = "cuda", .device = emulated_device(), .n_alone = 1, .is_slow = true, .begin = emulated_begin, .caught = emulated_error};
    kt_run_ops(argc, argv);
    if (argc == 1) {
        emulated_others();
        emulated_count();
    }
    return tap_done();
}
