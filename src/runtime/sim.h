/* SPDX-License-Identifier: BSD-3-Clause */
/* A machine that is not there: its devices and links, and the files from which StarPU simulates it.
 * No starpu.h here. */
#ifndef ASTER_RUNTIME_SIM_H
#define ASTER_RUNTIME_SIM_H

#include "codelets.h"

struct aster_sim_machine {
    char name[64];
    int cores;
    struct aster_device_model core; /* one of them when all work */
    double host_memory;
    int n_gpus;
    char gpu_name[64];
    struct aster_device_model gpu;
    double gpu_memory; /* bytes of each */
    /* links, bytes per second in each direction and seconds */
    double host_bandwidth;               /* of all copies between memory and GPUs together */
    double pcie_bandwidth, pcie_latency; /* between memory and one GPU */
    double peer_bandwidth, peer_latency; /* out of, and into, one GPU over a switch; 0: copies
                                            between GPUs go over PCIe */
};

/* StarPU's platform and bus files for n_gpus of the machine's GPUs, under dir. */
ASTER_CHECKED int aster_sim_write(struct aster_ctx *ctx, const struct aster_sim_machine *m,
                                  int n_gpus, const char *dir);
/* Calls work(arg) inside a simulation of that machine; *status is what it gave. Once in a process,
 * in the simulating program. */
ASTER_CHECKED int aster_sim_enter(struct aster_ctx *ctx, const struct aster_sim_machine *m,
                                  int n_gpus, const char *dir, int (*work)(void *), void *arg,
                                  int *status);
/* Bytes per second and seconds between two memories: 0 is the host's, 1.. the GPUs'. */
double aster_sim_bandwidth(const struct aster_sim_machine *m, int from, int to);
double aster_sim_latency(const struct aster_sim_machine *m, int from, int to);

#endif
