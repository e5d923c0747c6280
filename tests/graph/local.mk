# SPDX-License-Identifier: BSD-3-Clause
check_PROGRAMS += tests/graph-train
tests_graph_train_SOURCES = tests/graph/graph_train.c tests/graph/graph_run.c tests/graph/graph_plain.c tests/graph/graph_data.c \
	tests/graph/graph.h
check_PROGRAMS += tests/graph-runtime tests/graph-schedule
tests_graph_runtime_SOURCES = tests/graph/graph_runtime.c
tests_graph_schedule_SOURCES = tests/graph/graph_schedule.c
SANITIZE_TESTS += tests/graph-schedule tests/graph-runtime
check_PROGRAMS += tests/graph-embed
tests_graph_embed_SOURCES = tests/graph/graph_embed.c $(RANDOM_MODEL)
SANITIZE_TESTS += tests/graph-embed
check_PROGRAMS += tests/graph-forcefield
tests_graph_forcefield_SOURCES = tests/graph/graph_forcefield.c
SANITIZE_TESTS += tests/graph-forcefield
