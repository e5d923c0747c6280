# SPDX-License-Identifier: BSD-3-Clause
noinst_HEADERS += src/atoms/atoms.h src/atoms/box.h src/atoms/search.h
libaster_a_SOURCES += src/atoms/structure.c src/atoms/elements.c src/atoms/search.c src/atoms/edges.c src/atoms/cells.c src/atoms/box.c
libaster_a_SOURCES += src/atoms/dynamics.c
noinst_HEADERS += src/atoms/dynamics.h
