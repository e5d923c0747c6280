# SPDX-License-Identifier: BSD-3-Clause
check_PROGRAMS += tests/kernel-table
# The table and its references, for any target
KERNEL_TABLE = tests/kernel/kt_run.c tests/kernel/kt_case.c tests/kernel/kt_call.c tests/kernel/kt_compare.c \
	tests/kernel/ref_pointwise.c tests/kernel/ref_keep.c tests/kernel/ref_reduce.c tests/kernel/ref_shape.c \
	tests/kernel/ref_gemm.c tests/kernel/ref_conv.c tests/kernel/ref_pool.c tests/kernel/ref_norm.c \
	tests/kernel/ref_attention.c tests/kernel/ref_ragged.c tests/kernel/ref_message.c tests/kernel/ref_lstm.c tests/kernel/ref_loss.c tests/kernel/ref_sync.c
tests_kernel_table_SOURCES = tests/kernel/table.c $(KERNEL_TABLE)
noinst_HEADERS += tests/kernel/kt.h tests/kernel/kt_inner.h
EXTRA_DIST += tests/tolerance.def
SANITIZE_TESTS += tests/kernel-table
check_PROGRAMS += tests/kernel-laws
tests_kernel_laws_SOURCES = tests/kernel/laws.c
SANITIZE_TESTS += tests/kernel-laws
check_PROGRAMS += tests/kernel-products
tests_kernel_products_SOURCES = tests/kernel/products.c
SANITIZE_TESTS += tests/kernel-products
