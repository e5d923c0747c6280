# SPDX-License-Identifier: BSD-3-Clause
noinst_PROGRAMS += tests/golden-rcl tests/golden-metrics tests/golden-weightfiles
noinst_HEADERS += tests/golden/rcl_file.h tests/golden/rcl_net.h tests/golden/rcl_check.h tests/golden/rcl_limits.h
tests_golden_rcl_SOURCES = tests/golden/golden_rcl.c tests/golden/rcl_file.c tests/golden/rcl_net.c tests/golden/rcl_check.c
tests_golden_metrics_SOURCES = tests/golden/golden_metrics.c
noinst_HEADERS += tests/golden/weightfiles_check.h
tests_golden_weightfiles_SOURCES = tests/golden/golden_weightfiles.c tests/golden/weightfiles_check.c
tests_golden_weightfiles_LDADD = $(IO_LDADD)
dist_check_SCRIPTS += tests/golden/golden.sh tests/golden/synthetic.sh tests/golden/weightfiles.sh
SANITIZE_TESTS += tests/golden/weightfiles.sh
EXTRA_DIST += tests/golden/own/README.md tests/golden/own/cnn.h5 tests/golden/own/unet.h5 tests/golden/own/lstm.h5
noinst_PROGRAMS += tests/golden-virnucpro
noinst_HEADERS += tests/golden/virnucpro_check.h
tests_golden_virnucpro_SOURCES = tests/golden/golden_virnucpro.c tests/golden/virnucpro_check.c tests/golden/virnucpro_tables.c
tests_golden_virnucpro_LDADD = $(IO_LDADD)
dist_check_SCRIPTS += tests/golden/virnucpro.sh
SANITIZE_TESTS += tests/golden/virnucpro.sh
