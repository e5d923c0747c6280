# SPDX-License-Identifier: BSD-3-Clause
# vmath.h is all inline: its test compiles it once per instruction set.
check_LIBRARIES += tests/libvmath_base.a tests/libvmath_avx2.a tests/libvmath_avx512.a
tests_libvmath_base_a_SOURCES = tests/unit/vmath_isa.c
tests_libvmath_base_a_CPPFLAGS = $(AM_CPPFLAGS) -DASTER_ISA=base
tests_libvmath_base_a_CFLAGS = $(AM_CFLAGS) $(ASTER_KERNEL_OPT)
tests_libvmath_avx2_a_SOURCES = tests/unit/vmath_isa.c
tests_libvmath_avx2_a_CPPFLAGS = $(AM_CPPFLAGS) -DASTER_ISA=avx2
tests_libvmath_avx2_a_CFLAGS = $(AM_CFLAGS) $(ASTER_KERNEL_OPT) $(ISA_AVX2_CFLAGS)
tests_libvmath_avx512_a_SOURCES = tests/unit/vmath_isa.c
tests_libvmath_avx512_a_CPPFLAGS = $(AM_CPPFLAGS) -DASTER_ISA=avx512
tests_libvmath_avx512_a_CFLAGS = $(AM_CFLAGS) $(ASTER_KERNEL_OPT) $(ISA_AVX512_CFLAGS)
noinst_HEADERS += tests/unit/vmath.h
check_PROGRAMS += tests/unit-vmath
tests_unit_vmath_SOURCES = tests/unit/vmath.c
tests_unit_vmath_LDADD = $(check_LIBRARIES) libaster.a -lm
SANITIZE_TESTS += tests/unit-vmath
check_PROGRAMS += tests/unit-extents
tests_unit_extents_SOURCES = tests/unit/extents.c
check_PROGRAMS += tests/unit-metric tests/unit-model
tests_unit_metric_SOURCES = tests/unit/metric.c
tests_unit_model_SOURCES = tests/unit/model.c
SANITIZE_TESTS += tests/unit-metric tests/unit-model
