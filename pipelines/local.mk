# SPDX-License-Identifier: BSD-3-Clause
pipelinesdir = $(pkgdatadir)/pipelines
dist_pipelines_DATA = pipelines/rcl-train.yaml pipelines/rcl-evaluate.yaml pipelines/rcl-predict.yaml \
	pipelines/rcl-experiments.yaml pipelines/rcl-summary.yaml pipelines/rcl-validate.yaml
dist_pipelines_DATA += pipelines/esm2-embed.yaml pipelines/language-profile.yaml
dist_pipelines_DATA += pipelines/mlff-evaluate.yaml pipelines/mlff-md.yaml pipelines/mlff-train.yaml pipelines/virnucpro-validate.yaml pipelines/virnucpro.yaml
