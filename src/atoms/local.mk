# SPDX-License-Identifier: BSD-3-Clause
noinst_HEADERS += src/atoms/atoms.h
libaster_a_SOURCES += src/atoms/structure.c
