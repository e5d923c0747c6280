# SPDX-License-Identifier: BSD-3-Clause
check_PROGRAMS += tests/grad-ops
tests_grad_ops_SOURCES = tests/grad/ops.c
check_PROGRAMS += tests/grad-models
tests_grad_models_SOURCES = tests/grad/models.c
SANITIZE_TESTS += tests/grad-models
