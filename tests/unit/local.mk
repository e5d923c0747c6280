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
tests_unit_vmath_LDADD = tests/libvmath_base.a tests/libvmath_avx2.a tests/libvmath_avx512.a libaster.a -lm
SANITIZE_TESTS += tests/unit-vmath
check_PROGRAMS += tests/unit-extents
tests_unit_extents_SOURCES = tests/unit/extents.c
check_PROGRAMS += tests/unit-gpus
tests_unit_gpus_SOURCES = tests/unit/gpus.c
SANITIZE_TESTS += tests/unit-gpus
check_PROGRAMS += tests/unit-plans
tests_unit_plans_SOURCES = tests/unit/plans.c
SANITIZE_TESTS += tests/unit-plans
check_PROGRAMS += tests/unit-metric tests/unit-model
tests_unit_metric_SOURCES = tests/unit/metric.c
tests_unit_model_SOURCES = tests/unit/model.c
SANITIZE_TESTS += tests/unit-metric tests/unit-model

# Kernels called directly, for every instruction set that runs here
noinst_HEADERS += tests/unit/kernels.h
PRODUCT_LIBS = libkern_base.a libkern_avx2.a libkern_avx512.a libkern_avx512bf16.a libkern_vb64.a libaster.a -lm
PRODUCT_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/tests
check_PROGRAMS += tests/unit-conv tests/unit-gemm tests/unit-pool tests/unit-lstm
tests_unit_lstm_SOURCES = tests/unit/lstm.c codelets/work_lstm.c
tests_unit_lstm_CPPFLAGS = $(PRODUCT_CPPFLAGS)
tests_unit_lstm_LDADD = $(PRODUCT_LIBS)
tests_unit_conv_SOURCES = tests/unit/conv.c
tests_unit_conv_CPPFLAGS = $(PRODUCT_CPPFLAGS)
tests_unit_conv_LDADD = $(PRODUCT_LIBS)
tests_unit_gemm_SOURCES = tests/unit/gemm.c
tests_unit_gemm_CPPFLAGS = $(PRODUCT_CPPFLAGS)
tests_unit_gemm_LDADD = $(PRODUCT_LIBS)
tests_unit_pool_SOURCES = tests/unit/pool.c
tests_unit_pool_CPPFLAGS = $(PRODUCT_CPPFLAGS)
tests_unit_pool_LDADD = $(PRODUCT_LIBS)

# The ground layer and the readers of files; they need no kernels
noinst_HEADERS += tests/unit/files.h tests/unit/zip_build.h tests/unit/torch_build.h
IO_LDADD = libaster.a $(HDF5_LIBS) $(ZLIB_LIBS) -lm -lpthread
io_tests = tests/unit-base tests/unit-csv tests/unit-fasta tests/unit-json tests/unit-h5 tests/unit-events tests/unit-safetensors tests/unit-npz tests/unit-tokens tests/unit-tokens-shared tests/unit-weightfile tests/unit-weightfile-large tests/unit-pickle-bad
check_PROGRAMS += $(io_tests)
SANITIZE_TESTS += $(io_tests)
tests_unit_base_SOURCES = tests/unit/base.c
tests_unit_base_LDADD = $(IO_LDADD)
tests_unit_csv_SOURCES = tests/unit/csv.c
tests_unit_csv_LDADD = $(IO_LDADD)
tests_unit_fasta_SOURCES = tests/unit/fasta.c
tests_unit_fasta_LDADD = $(IO_LDADD)
tests_unit_json_SOURCES = tests/unit/json.c
tests_unit_json_LDADD = $(IO_LDADD)
tests_unit_h5_SOURCES = tests/unit/h5.c
tests_unit_h5_LDADD = $(IO_LDADD)
tests_unit_events_SOURCES = tests/unit/events.c
tests_unit_events_LDADD = $(IO_LDADD)
tests_unit_safetensors_SOURCES = tests/unit/safetensors.c
tests_unit_safetensors_LDADD = $(IO_LDADD)
tests_unit_npz_SOURCES = tests/unit/npz.c
tests_unit_npz_LDADD = $(IO_LDADD)
tests_unit_weightfile_SOURCES = tests/unit/weightfile.c
tests_unit_weightfile_LDADD = $(IO_LDADD)
tests_unit_weightfile_large_SOURCES = tests/unit/weightfile_large.c
tests_unit_weightfile_large_LDADD = $(IO_LDADD)
tests_unit_pickle_bad_SOURCES = tests/unit/pickle_bad.c
tests_unit_pickle_bad_LDADD = $(IO_LDADD)
tests_unit_tokens_SOURCES = tests/unit/tokens.c
tests_unit_tokens_LDADD = $(IO_LDADD)
tests_unit_tokens_shared_SOURCES = tests/unit/tokens_shared.c
tests_unit_tokens_shared_LDADD = $(IO_LDADD)

check_PROGRAMS += tests/unit-update tests/unit-poison tests/unit-encode
tests_unit_update_SOURCES = tests/unit/update.c tests/unit/update_check.c
noinst_HEADERS += tests/unit/update_check.h
tests_unit_poison_SOURCES = tests/unit/poison.c
tests_unit_encode_SOURCES = tests/unit/encode.c
SANITIZE_TESTS += tests/unit-update tests/unit-poison tests/unit-encode
noinst_HEADERS += tests/unit/pipeline_kinds.h
check_PROGRAMS += tests/unit-pipeline tests/unit-pipeline-values
tests_unit_pipeline_SOURCES = tests/unit/pipeline_mistakes.c
tests_unit_pipeline_values_SOURCES = tests/unit/pipeline_values.c
SANITIZE_TESTS += tests/unit-pipeline tests/unit-pipeline-values
check_PROGRAMS += tests/unit-job
tests_unit_job_SOURCES = tests/unit/job_run.c
check_PROGRAMS += tests/unit-flow tests/unit-flow-run tests/unit-flow-infer
tests_unit_flow_SOURCES = tests/unit/flow_data.c
tests_unit_flow_run_SOURCES = tests/unit/flow_run.c
tests_unit_flow_infer_SOURCES = tests/unit/flow_infer.c
SANITIZE_TESTS += tests/unit-flow tests/unit-flow-run tests/unit-flow-infer
seq_tests = tests/unit-dna tests/unit-seq-rules tests/unit-seq-calls
check_PROGRAMS += $(seq_tests)
SANITIZE_TESTS += $(seq_tests)
tests_unit_seq_rules_SOURCES = tests/unit/seq_rules.c
tests_unit_seq_rules_LDADD = $(IO_LDADD)
tests_unit_seq_calls_SOURCES = tests/unit/seq_calls.c
tests_unit_seq_calls_LDADD = $(IO_LDADD)
tests_unit_dna_SOURCES = tests/unit/dna.c
tests_unit_dna_LDADD = $(IO_LDADD)
