# SPDX-License-Identifier: BSD-3-Clause
# Damaged inputs for every reader; tests/fuzz-readers SEED SECONDS [READER] looks longer
check_PROGRAMS += tests/fuzz-readers
tests_fuzz_readers_SOURCES = tests/fault/fuzz_readers.c tests/fault/fuzz_formats.h tests/fault/fuzz_structures.h
tests_fuzz_readers_LDADD = $(IO_LDADD) $(YAML_LIBS)
SANITIZE_TESTS += tests/fuzz-readers
dist_check_SCRIPTS += tests/fault/kill.sh
noinst_PROGRAMS += tests/make-inputs
tests_make_inputs_SOURCES = tests/fault/make_inputs.c
tests_make_inputs_LDADD = $(IO_LDADD)
dist_check_SCRIPTS += tests/fault/bad-inputs.sh tests/fault/damaged.sh
SANITIZE_TESTS += tests/fault/bad-inputs.sh tests/fault/damaged.sh
EXTRA_DIST += tests/fault/bad.sh
