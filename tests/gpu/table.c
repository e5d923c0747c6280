/* SPDX-License-Identifier: BSD-3-Clause */
/* Proves that the CUDA kernels give the reference's numbers for every op in f32 and f64; emulated:
 * without a race, a wrong index or an order that matters, and that every kernel was run. Arguments:
 * names of ops or families; none runs all. Cases that leave rows out are not for a GPU, which
 * computes all. Emulated LSTMs are cut to few steps; of a batch, its ends are tried alone. */
#include "kernel/kt_inner.h"
#include "lib/tap.h"
#include "gpu/gpu.h"
#include "gpu/others.h"

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
    target = (struct kt_target){.be = gpu_backend(),
                                .name = "cuda",
                                .device = gpu_device(),
                                .n_alone = gpu_is_emulated ? 1 : 3,
                                .is_slow = gpu_is_emulated,
                                .begin = gpu_begin,
                                .caught = gpu_error};
    kt_run_ops(argc, argv);
    if (argc == 1) {
        gpu_others();
        gpu_neighbours_all();
        gpu_end();
    }
    return tap_done();
}
