# SPDX-License-Identifier: BSD-3-Clause
# CUDA kernels on an emulated GPU: the same sources, compiled as C++ for this CPU.
CUDA_EMULATED = $(CUDA_KERNELS:.cu=.emo)
SUFFIXES += .emo
.cu.emo:
	$(AM_V_CXX)$(MKDIR_P) $(@D) && $(CXX) -x c++ $(DEFS) $(DEFAULT_INCLUDES) $(AM_CPPFLAGS) $(CPPFLAGS) $(AM_CXXFLAGS) $(CXXFLAGS) -c -o $@ $<
$(CUDA_EMULATED): $(CUDA_PARTS) codelets/backend.h codelets/ops.def codelets/keep.h codelets/strides.h codelets/neighbours.h src/atoms/box.h src/base/base.h
CLEANFILES += $(CUDA_EMULATED)

check_LIBRARIES += tests/libemulated.a
tests_libemulated_a_SOURCES = codelets/cuda/emulate.cpp codelets/cuda/table_cuda.c tests/emulate/device.c
tests_libemulated_a_LIBADD = $(CUDA_EMULATED)

check_PROGRAMS += tests/kernel-emulate tests/kernel-table-cuda tests/models-cuda tests/workers-cuda tests/kernel-mirror tests/language-cuda
tests_kernel_emulate_SOURCES = tests/emulate/selftest.cpp
tests_kernel_emulate_LDADD = tests/libemulated.a $(ASTER_LIBS)
tests_kernel_table_cuda_SOURCES = $(GPU_TABLE)
nodist_EXTRA_tests_kernel_table_cuda_SOURCES = linked-as.cpp
tests_kernel_table_cuda_LDADD = tests/libemulated.a $(ASTER_LIBS)
tests_models_cuda_SOURCES = tests/gpu/models.c
nodist_EXTRA_tests_models_cuda_SOURCES = linked-as.cpp
tests_models_cuda_LDADD = tests/libemulated.a $(ASTER_LIBS)
tests_language_cuda_SOURCES = $(LANGUAGE_TEST) tests/gpu/golden_kernels.c
nodist_EXTRA_tests_language_cuda_SOURCES = linked-as.cpp
tests_language_cuda_LDADD = tests/libemulated.a $(ASTER_LIBS)
tests_workers_cuda_SOURCES = tests/emulate/workers.c tests/graph/graph_run.c tests/graph/graph_data.c
nodist_EXTRA_tests_workers_cuda_SOURCES = linked-as.cpp
tests_workers_cuda_LDADD = tests/libemulated.a $(ASTER_LIBS)
tests_kernel_mirror_SOURCES = tests/emulate/mirrored.c tests/gpu/mirror.c tests/unit/update_check.c $(KERNEL_TABLE)
nodist_EXTRA_tests_kernel_mirror_SOURCES = linked-as.cpp
tests_kernel_mirror_LDADD = tests/libemulated.a $(ASTER_LIBS)
check_PROGRAMS += tests/lists-cuda
tests_lists_cuda_SOURCES = tests/emulate/lists.c tests/unit/atoms_random.c
nodist_EXTRA_tests_lists_cuda_SOURCES = linked-as.cpp
tests_lists_cuda_LDADD = tests/libemulated.a $(ASTER_LIBS)
# asterism with an emulated GPU that finds neighbours
EXTRA_PROGRAMS += tests/asterism-lists
tests_asterism_lists_SOURCES = $(CLI_SOURCES) tests/emulate/lists_device.c
nodist_EXTRA_tests_asterism_lists_SOURCES = linked-as.cpp
tests_asterism_lists_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=aster_runtime_new
tests_asterism_lists_LDADD = tests/libemulated.a $(ASTER_LIBS)
CLEANFILES += tests/asterism-lists
tests/emulate/lists.log: tests/asterism-lists$(EXEEXT)
dist_check_SCRIPTS += tests/emulate/nvcc.sh tests/emulate/lists.sh
SANITIZE_TESTS += tests/kernel-mirror tests/lists-cuda
