# SPDX-License-Identifier: BSD-3-Clause
noinst_HEADERS += codelets/backend.h codelets/keep.h codelets/strides.h
EXTRA_DIST += codelets/ops.def
include codelets/cpu/local.mk
include codelets/cuda/local.mk
libaster_a_SOURCES += codelets/backend.c
libaster_a_SOURCES += codelets/poison.c codelets/encode_cpu.c
noinst_HEADERS += codelets/poison.h
libaster_a_SOURCES += codelets/work_gemm.c codelets/work_conv.c codelets/thread_init.c
libaster_a_SOURCES += codelets/work_lstm.c
libaster_a_SOURCES += codelets/task.c codelets/program.c codelets/encode.c codelets/reduction.c codelets/optimizer.c codelets/host.c
noinst_HEADERS += codelets/codelets.h codelets/task.h codelets/starpu_head.h
libaster_a_SOURCES += codelets/work_attention.c codelets/work_message.c
libaster_a_SOURCES += codelets/neighbours.c codelets/neighbours_cpu.c
noinst_HEADERS += codelets/neighbours.h
