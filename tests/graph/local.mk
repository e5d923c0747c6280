# SPDX-License-Identifier: BSD-3-Clause
check_PROGRAMS += tests/graph-train
tests_graph_train_SOURCES = tests/graph/graph_train.c tests/graph/graph_run.c tests/graph/graph_plain.c tests/graph/graph_data.c \
	tests/graph/graph.h
