# SPDX-License-Identifier: BSD-3-Clause
libaster_a_SOURCES +=
noinst_HEADERS += src/train/train.h
