# SPDX-License-Identifier: BSD-3-Clause
EXTRA_PROGRAMS += bench/bench-rcl-ops
bench_bench_rcl_ops_SOURCES = bench/rcl_ops.c bench/peak.c bench/peak.h

# Training and inference of the labelling models through the runtime
EXTRA_PROGRAMS += bench/bench-rcl
bench_bench_rcl_SOURCES = bench/rcl_bench.c

# Products and convolutions one by one
EXTRA_PROGRAMS += bench/bench-kernels
bench_bench_kernels_SOURCES = bench/kernel_bench.c bench/peak.c
bench_bench_kernels_LDADD = $(LDADD) $(DNNL_LIBS) -lgomp

# FASTA to frames
EXTRA_PROGRAMS += bench/bench-sequences
bench_bench_sequences_SOURCES = bench/sequences.c
bench_bench_sequences_LDADD = $(IO_LDADD)

# Language models through the runtime
EXTRA_PROGRAMS += bench/bench-language
bench_bench_language_SOURCES = bench/language_bench.c bench/peak.c

# Energies and forces of molecules
EXTRA_PROGRAMS += bench/bench-forcefield
bench_bench_forcefield_SOURCES = bench/forcefield_bench.c bench/peak.c tests/golden/mlff_net.c tests/golden/kernels.c

# The published benchmark of small molecules, through the runtime
EXTRA_PROGRAMS += bench/bench-molecules
bench_bench_molecules_SOURCES = bench/molecules_bench.c bench/peak.c bench/peak.h
