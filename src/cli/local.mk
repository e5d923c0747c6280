# SPDX-License-Identifier: BSD-3-Clause
bin_PROGRAMS += asterism
asterism_SOURCES = src/cli/main.c src/cli/options.c src/cli/jobs.c src/cli/cmd_run.c src/cli/cmd_check.c src/cli/cmd_graph.c \
	src/cli/cmd_info.c src/cli/cmd_report.c src/cli/cmd_convert.c src/cli/cli.h
dist_man_MANS += docs/asterism.1 docs/asterism-run.1 docs/asterism-check.1 docs/asterism-graph.1 docs/asterism-info.1 \
	docs/asterism-report.1 docs/asterism-convert.1 docs/asterism-pipeline.5
