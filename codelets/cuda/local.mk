# SPDX-License-Identifier: BSD-3-Clause
# CUDA kernels, always in the tarball. nvcc compiles them where there is one; the tests compile them for the emulation.
CUDA_KERNELS = codelets/cuda/pointwise.cu codelets/cuda/reduce.cu codelets/cuda/shape.cu codelets/cuda/gemm.cu codelets/cuda/conv.cu \
	codelets/cuda/pool.cu codelets/cuda/batchnorm.cu codelets/cuda/norm.cu codelets/cuda/attention.cu codelets/cuda/message.cu codelets/cuda/lstm.cu \
	codelets/cuda/loss.cu codelets/cuda/sync.cu codelets/cuda/update.cu codelets/cuda/encode.cu codelets/cuda/neighbours.cu
CUDA_PARTS = codelets/cuda/kernel.h codelets/cuda/emulate.h codelets/cuda/device.h codelets/cuda/update.h codelets/cuda/unary.h \
	codelets/cuda/map.h codelets/cuda/strided.h codelets/cuda/sums.h codelets/cuda/gemm.h codelets/cuda/bf16.h
EXTRA_DIST += $(CUDA_KERNELS)
libaster_a_SOURCES += codelets/cuda/device.c
if HAVE_CUDA
libaster_a_SOURCES += $(CUDA_KERNELS) codelets/cuda/table_cuda.c
$(CUDA_KERNELS:.cu=.o): $(CUDA_PARTS) codelets/backend.h codelets/ops.def codelets/keep.h codelets/strides.h codelets/neighbours.h src/atoms/box.h src/base/base.h
endif
noinst_HEADERS += $(CUDA_PARTS)
