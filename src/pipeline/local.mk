# SPDX-License-Identifier: BSD-3-Clause
libaster_a_SOURCES += src/pipeline/pipeline.c src/pipeline/mistake.c src/pipeline/yaml.c src/pipeline/machine_file.c src/pipeline/typed.c \
	src/pipeline/parameter.c src/pipeline/reference.c src/pipeline/stage_check.c src/pipeline/resolve.c src/pipeline/find.c \
	src/pipeline/graph.c src/pipeline/job.c
noinst_HEADERS += src/pipeline/pipeline.h src/pipeline/internal.h src/pipeline/machine_file.h
