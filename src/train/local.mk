# SPDX-License-Identifier: BSD-3-Clause
libaster_a_SOURCES += src/train/metric.c
noinst_HEADERS += src/train/train.h src/train/metric.h
