# SPDX-License-Identifier: BSD-3-Clause
# The simulating program is a second build of the same sources, against a StarPU that simulates.
if SIMULATE
bin_PROGRAMS += asterism-sim
else
bin_PROGRAMS += asterism
endif
CLI_SOURCES = src/cli/main.c src/cli/options.c src/cli/jobs.c src/cli/cmd_run.c src/cli/cmd_check.c src/cli/cmd_graph.c \
	src/cli/cmd_info.c src/cli/cmd_report.c src/cli/cmd_convert.c src/cli/cmd_scale.c src/cli/scale_runs.c src/cli/scale.h src/cli/cmd_time.c src/cli/simulator.c src/cli/child.c src/cli/child.h src/cli/cli.h
asterism_SOURCES = $(CLI_SOURCES)
asterism_sim_SOURCES = $(CLI_SOURCES)
dist_man_MANS += docs/asterism.1 docs/asterism-run.1 docs/asterism-check.1 docs/asterism-graph.1 docs/asterism-info.1 \
	docs/asterism-report.1 docs/asterism-convert.1 docs/asterism-pipeline.5 docs/asterism-scale.1 docs/asterism-calibrate.1 \
	docs/asterism-simulate.1 docs/asterism-machine.5
