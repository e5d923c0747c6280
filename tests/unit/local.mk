# SPDX-License-Identifier: BSD-3-Clause

# Kernels called directly, for every instruction set that runs here
noinst_HEADERS += tests/unit/kernels.h
PRODUCT_LIBS = libkern_base.a libkern_avx2.a libkern_avx512.a libkern_avx512bf16.a libkern_vb64.a libaster.a -lm
PRODUCT_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/tests
check_PROGRAMS += tests/unit-conv tests/unit-gemm tests/unit-pool
tests_unit_conv_SOURCES = tests/unit/conv.c
tests_unit_conv_CPPFLAGS = $(PRODUCT_CPPFLAGS)
tests_unit_conv_LDADD = $(PRODUCT_LIBS)
tests_unit_gemm_SOURCES = tests/unit/gemm.c
tests_unit_gemm_CPPFLAGS = $(PRODUCT_CPPFLAGS)
tests_unit_gemm_LDADD = $(PRODUCT_LIBS)
tests_unit_pool_SOURCES = tests/unit/pool.c
tests_unit_pool_CPPFLAGS = $(PRODUCT_CPPFLAGS)
tests_unit_pool_LDADD = $(PRODUCT_LIBS)
