# SPDX-License-Identifier: BSD-3-Clause
# Kernels are compiled once per instruction set; ASTER_ISA names it and becomes part of every symbol.
KERNEL_SOURCES += codelets/cpu/table_cpu.c codelets/cpu/lstm.c
noinst_HEADERS += codelets/cpu/kernel.h codelets/cpu/update.h codelets/cpu/vmath.h codelets/cpu/tile.h codelets/cpu/tile_real.h \
	codelets/cpu/lstm.h codelets/cpu/lstm_real.h
KERNEL_SOURCES += codelets/cpu/batchnorm.c codelets/cpu/norm.c codelets/cpu/attention.c codelets/cpu/micro.c codelets/cpu/gemm.c codelets/cpu/conv.c codelets/cpu/pool.c
noinst_HEADERS += codelets/cpu/batchnorm_real.h codelets/cpu/norm_real.h codelets/cpu/attention.h codelets/cpu/attention_real.h codelets/cpu/real.h codelets/cpu/rounding.h codelets/cpu/real_f32.h codelets/cpu/real_f64.h codelets/cpu/blocking.h codelets/cpu/micro.h \
	codelets/cpu/micro_api_real.h codelets/cpu/micro_real.h codelets/cpu/micro_bf16.h codelets/cpu/gemm_real.h codelets/cpu/conv_edges.h \
	codelets/cpu/conv_real.h codelets/cpu/pool_real.h

KERNEL_SOURCES += codelets/cpu/message.c
noinst_HEADERS += codelets/cpu/message.h codelets/cpu/message_real.h codelets/cpu/vectors_real.h

noinst_LIBRARIES += libkern_base.a libkern_avx2.a libkern_avx512.a libkern_avx512bf16.a
KERNEL_LIBS += libkern_base.a libkern_avx2.a libkern_avx512.a libkern_avx512bf16.a
libkern_base_a_SOURCES = $(KERNEL_SOURCES)
libkern_base_a_CPPFLAGS = $(AM_CPPFLAGS) -DASTER_ISA=base
libkern_base_a_CFLAGS = $(AM_CFLAGS) $(ASTER_KERNEL_OPT)
libkern_avx2_a_SOURCES = $(KERNEL_SOURCES)
libkern_avx2_a_CPPFLAGS = $(AM_CPPFLAGS) -DASTER_ISA=avx2
libkern_avx2_a_CFLAGS = $(AM_CFLAGS) $(ASTER_KERNEL_OPT) $(ISA_AVX2_CFLAGS)
libkern_avx512_a_SOURCES = $(KERNEL_SOURCES)
libkern_avx512_a_CPPFLAGS = $(AM_CPPFLAGS) -DASTER_ISA=avx512
libkern_avx512_a_CFLAGS = $(AM_CFLAGS) $(ASTER_KERNEL_OPT) $(ISA_AVX512_CFLAGS)
libkern_avx512bf16_a_SOURCES = $(KERNEL_SOURCES)
libkern_avx512bf16_a_CPPFLAGS = $(AM_CPPFLAGS) -DASTER_ISA=avx512bf16
libkern_avx512bf16_a_CFLAGS = $(AM_CFLAGS) $(ASTER_KERNEL_OPT) $(ISA_AVX512BF16_CFLAGS)
KERNEL_SOURCES += codelets/cpu/pointwise.c codelets/cpu/reduce.c codelets/cpu/shape.c codelets/cpu/loss.c codelets/cpu/sync.c \
	codelets/cpu/update.c
noinst_HEADERS += codelets/cpu/lanes.h codelets/cpu/pointwise_real.h codelets/cpu/unary_real.h codelets/cpu/reduce_real.h \
	codelets/cpu/shape_real.h codelets/cpu/loss_real.h codelets/cpu/update_real.h

# The 64-byte geometry on 32-byte vectors: its tiles and blocks can be tested where AVX-512 cannot run.
check_LIBRARIES += libkern_vb64.a
libkern_vb64_a_SOURCES = codelets/cpu/lstm.c codelets/cpu/micro.c codelets/cpu/gemm.c codelets/cpu/conv.c codelets/cpu/pool.c
libkern_vb64_a_CPPFLAGS = $(AM_CPPFLAGS) -DASTER_ISA=vb64 -DASTER_VB_FORCE=64
libkern_vb64_a_CFLAGS = $(AM_CFLAGS) -O1 $(ISA_AVX2_CFLAGS) -Wno-psabi
