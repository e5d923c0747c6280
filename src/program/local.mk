# SPDX-License-Identifier: BSD-3-Clause
noinst_HEADERS += src/program/program.h src/program/internal.h src/program/plan.h
libaster_a_SOURCES += src/program/value.c src/program/ops.c src/program/ops_pointwise.c src/program/ops_reduce.c \
	src/program/ops_shape.c src/program/ops_gemm.c src/program/ops_conv.c src/program/ops_pool.c src/program/ops_norm.c \
	src/program/ops_attention.c src/program/ops_message.c src/program/ops_lstm.c src/program/ops_loss.c src/program/ops_sync.c src/program/grad.c src/program/storage.c \
	src/program/plan.c src/program/exec.c src/program/extents.c src/program/param.c
