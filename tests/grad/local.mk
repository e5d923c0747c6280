# SPDX-License-Identifier: BSD-3-Clause
check_PROGRAMS += tests/grad-ops
tests_grad_ops_SOURCES = tests/grad/ops.c
