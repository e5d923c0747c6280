# SPDX-License-Identifier: BSD-3-Clause
noinst_HEADERS += src/seq/seq.h
libaster_a_SOURCES += src/seq/chunks.c src/seq/frames.c src/seq/same.c src/seq/calls.c src/seq/shortest.c src/seq/tables.c
