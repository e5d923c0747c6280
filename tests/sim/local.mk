# SPDX-License-Identifier: BSD-3-Clause
check_PROGRAMS += tests/unit-study tests/unit-machine
tests_unit_study_SOURCES = tests/sim/study.c
tests_unit_machine_SOURCES = tests/sim/machine.c
SANITIZE_TESTS += tests/unit-study tests/unit-machine
dist_check_SCRIPTS += tests/sim/scale.sh tests/sim/simulate.sh
