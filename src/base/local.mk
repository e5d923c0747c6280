# SPDX-License-Identifier: BSD-3-Clause
noinst_HEADERS += src/base/base.h
libaster_a_SOURCES += src/base/err.c src/base/mem.c src/base/str.c src/base/num.c src/base/rng.c src/base/hash.c src/base/sha256.c \
	src/base/clock.c src/base/file.c
