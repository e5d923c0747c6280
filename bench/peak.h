/* SPDX-License-Identifier: BSD-3-Clause */
/* The core's f32 fused multiply-add peak, measured: the yardstick beside every kernel time. */
#ifndef ASTER_BENCH_PEAK_H
#define ASTER_BENCH_PEAK_H

/* FLOP/s of one thread over a few milliseconds of CPU time, with the widest vectors that this CPU
 * has. */
double aster_bench_peak_f32(void);

#endif
