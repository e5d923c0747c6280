# SPDX-License-Identifier: BSD-3-Clause
noinst_PROGRAMS += data/make-synthetic
data_make_synthetic_SOURCES = data/make_synthetic.c
synthetic_files = data/synthetic/serpins_train.csv data/synthetic/negatives_train.csv data/synthetic/serpins_test.csv \
	data/synthetic/negatives_test.csv data/synthetic/predict.fasta data/synthetic/README.md
syntheticdir = $(pkgdatadir)/data/synthetic
dist_synthetic_DATA = $(synthetic_files)
machinesdir = $(pkgdatadir)/data/machines
dist_machines_DATA = data/machines/h200x8-nvlink.yaml data/machines/h200x8-pcie.yaml data/machines/b200x8-nvlink.yaml \
	data/machines/b200x2-nvlink.yaml data/machines/mi300x8.yaml data/machines/workstation-1gpu.yaml \
	data/machines/workstation-2gpu.yaml data/machines/cpu-node.yaml
