# SPDX-License-Identifier: BSD-3-Clause
libaster_a_SOURCES += src/flow/stages.c
noinst_HEADERS += src/flow/flow.h
