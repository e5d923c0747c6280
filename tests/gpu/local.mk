# SPDX-License-Identifier: BSD-3-Clause
# Tests on a real card. They are built and run by `make check-gpu`, and go into the bundle.
GPU_TABLE = tests/gpu/table.c tests/gpu/others.c tests/gpu/neighbours.c tests/unit/atoms_random.c tests/unit/update_check.c $(KERNEL_TABLE)
noinst_HEADERS += tests/gpu/gpu.h tests/gpu/mirror.h tests/gpu/others.h
GPU_CARD = tests/gpu/card.c tests/gpu/mirror.c
GPU_TESTS = tests/kernel-table-gpu tests/models-gpu tests/language-gpu tests/golden-rcl-gpu tests/golden-esm2-gpu tests/golden-dnabert-gpu
EXTRA_PROGRAMS += $(GPU_TESTS)
tests_kernel_table_gpu_SOURCES = $(GPU_TABLE) $(GPU_CARD)
tests_models_gpu_SOURCES = tests/gpu/models.c $(GPU_CARD)
tests_golden_rcl_gpu_SOURCES = $(GOLDEN_RCL) tests/gpu/golden_kernels.c $(GPU_CARD)
tests_language_gpu_SOURCES = $(LANGUAGE_TEST) tests/gpu/golden_kernels.c $(GPU_CARD)
tests_golden_esm2_gpu_SOURCES = $(GOLDEN_ESM2) tests/gpu/golden_kernels.c $(GPU_CARD)
tests_golden_dnabert_gpu_SOURCES = $(GOLDEN_DNABERT) tests/gpu/golden_kernels.c $(GPU_CARD)
EXTRA_DIST += tests/gpu/check-gpu
CLEANFILES += $(GPU_TESTS)

if HAVE_CUDA
check-gpu: all $(GPU_TESTS)
	$(SHELL) $(srcdir)/tests/gpu/check-gpu $(abs_top_builddir)/asterism $(abs_top_builddir)/tests \
		$(srcdir)/tests/golden/own/*.h5 $$(cd $${ASTERISM_TEST_DATA:-$(srcdir)/../shared/data} 2>/dev/null && \
		ls "$$PWD"/rcl/golden/*.h5 "$$PWD"/esm2/*.h5 "$$PWD"/dnabert/models/*/golden.h5 2>/dev/null)
else
check-gpu:
	@echo "check-gpu: this build has no CUDA; configure --with-starpu=\"\$$(scripts/build-starpu --cuda)\" --with-cuda" >&2; exit 1
endif
.PHONY: check-gpu
