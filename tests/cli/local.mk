# SPDX-License-Identifier: BSD-3-Clause
dist_check_SCRIPTS += tests/cli/cli.sh tests/cli/dashboard.sh tests/cli/embed.sh tests/cli/library.sh tests/cli/mlff-md.sh tests/cli/mlff-train.sh tests/cli/mlff.sh tests/cli/pages.sh tests/cli/rcl.sh tests/cli/readme.sh tests/cli/run.sh tests/cli/starpu.sh
EXTRA_DIST += tests/cli/tap.sh
noinst_PROGRAMS += tests/on-terminal
tests_on_terminal_SOURCES = tests/cli/on_terminal.c
tests_on_terminal_LDADD = -lutil
# The virus pipeline with drawn models
noinst_PROGRAMS += tests/virnucpro-files
tests_virnucpro_files_SOURCES = tests/cli/virnucpro_files.c tests/golden/lm_net.c tests/golden/kernels.c tests/unit/classifier_weights.c
dist_check_SCRIPTS += tests/cli/virnucpro.sh
SANITIZE_TESTS += tests/cli/embed.sh tests/cli/virnucpro.sh
