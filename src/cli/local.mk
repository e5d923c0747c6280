# SPDX-License-Identifier: BSD-3-Clause
bin_PROGRAMS += asterism
asterism_SOURCES = src/cli/main.c src/cli/options.c src/cli/jobs.c src/cli/cmd_run.c src/cli/cmd_check.c src/cli/cmd_graph.c \
	src/cli/cmd_info.c src/cli/cmd_report.c src/cli/cmd_convert.c src/cli/cli.h
